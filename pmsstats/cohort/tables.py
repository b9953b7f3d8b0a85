"""Read one table from a file of any supported format, losing and renaming nothing in silence."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pyreadstat
from openpyxl.utils.exceptions import InvalidFileException

from pmsstats.cohort.coerce import MISSING_CODES
from pmsstats.cohort.delimited import check_header, read_delimited
from pmsstats.cohort.issues import concat_issues, flag_rows, flag_table
from pmsstats.errors import SchemaError, nearest
from pmsstats.provenance import Source, hash_file

if TYPE_CHECKING:
    from openpyxl.workbook import Workbook

__all__ = ["SUFFIXES", "RawTable", "ReadOptions", "read_table"]

_TEXT_SUFFIXES = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz")
_EXCEL_SUFFIXES = (".xlsx", ".xlsm")
_STATISTICS: dict[str, tuple[str, Callable[..., tuple[pd.DataFrame, Any]]]] = {
    ".sas7bdat": ("SAS", pyreadstat.read_sas7bdat),
    ".xpt": ("SAS transport", pyreadstat.read_xport),
    ".sav": ("SPSS", pyreadstat.read_sav),
    ".zsav": ("SPSS", pyreadstat.read_sav),
    ".dta": ("Stata", pyreadstat.read_dta),
}
SUFFIXES = (*_TEXT_SUFFIXES, ".parquet", *_EXCEL_SUFFIXES, *_STATISTICS)
"""Endings of the files that can be read."""

_COMMA_DECIMAL = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")
_SHOWN_FILES = 8


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """How to read a file, where it cannot be found out or would be found out wrongly.

    Parameters
    ----------
    delimiter : str, optional
        Text: the character between cells.
    decimal : {".", ","}, optional
        Text: the decimal sign.
    encoding : str, optional
        Text and SAS, SPSS, Stata: the character encoding.
    sheet : str or int, optional
        Excel: name or number (from 1) of the sheet; the first by default.
    missing : tuple of str
        Further codes for missing values, such as ``"-99"``.
    """

    delimiter: str | None = None
    decimal: str | None = None
    encoding: str | None = None
    sheet: str | int | None = None
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class RawTable:
    """A table as it stands in its file, before any column is interpreted.

    Parameters
    ----------
    frame : pandas.DataFrame
        Columns by their names in the file. From text files every cell is text (so leading zeros
        survive); missing values are None or NaN. The index is the line or record number in the
        file, with the header as line 1.
    issues : pandas.DataFrame
        What was guessed or looks wrong, see :data:`pmsstats.cohort.issues.ISSUE_COLUMNS`.
    source : Source
        Name, hash and number of rows of the file.
    """

    frame: pd.DataFrame
    issues: pd.DataFrame
    source: Source


@dataclass(frozen=True, kw_only=True, eq=False)
class _Parsed:
    """What a format's reader returns."""

    frame: pd.DataFrame
    issues: tuple[pd.DataFrame, ...] = ()
    decimal: str = "."


def read_table(
    path: str | Path,
    *,
    table: str = "table",
    options: ReadOptions | None = None,
    allow_empty: bool = False,
) -> RawTable:
    """Read a table from a text, Parquet, Excel, SAS, SPSS or Stata file.

    Parameters
    ----------
    path : str or pathlib.Path
        The file; its ending tells the format, see :data:`SUFFIXES`.
    table : str, default "table"
        Its role (``"visits"``, ...), for messages.
    options : ReadOptions, optional
        Delimiter, encoding, sheet and so on; found out where not given.
    allow_empty : bool, default False
        Accept a header without rows.

    Returns
    -------
    RawTable
        The cells, what had to be guessed, and the file's hash.

    Raises
    ------
    SchemaError
        If the file is missing, of an unknown kind, damaged, empty, has a header only, or repeats
        a column name.
    """
    path = Path(path)
    options = options or ReadOptions()
    suffix = _check_path(path)
    if suffix in _TEXT_SUFFIXES:
        parsed = _read_text(path, table, options)
    elif suffix == ".parquet":
        parsed = _read_parquet(path, table)
    elif suffix in _EXCEL_SUFFIXES:
        parsed = _read_excel(path, table, options)
    else:
        parsed = _read_statistics(path, suffix, options)
    if not len(parsed.frame) and not allow_empty:
        raise SchemaError(
            f"{path.name} has a header with {parsed.frame.shape[1]} column(s) but no rows below "
            "it. Check that the rows were exported, not only the header."
        )
    return _tidy(path, table, parsed, options)


def _check_path(path: Path) -> str:
    """Return the ending of an existing file of a known kind, or suggest what was meant."""
    if path.is_dir():
        raise SchemaError(f"{path} is a folder; expected a file with one table.")
    if not path.is_file():
        raise SchemaError(_explain_missing(path))
    name = path.name.lower()
    suffix = next((s for s in sorted(SUFFIXES, key=len, reverse=True) if name.endswith(s)), None)
    if suffix is None:
        advice = "Save it as .xlsx or .csv." if name.endswith((".xls", ".ods")) else ""
        raise SchemaError(
            f"{path.name}: cannot tell the kind of file from its ending. Readable are "
            f"{', '.join(SUFFIXES)}. {advice}".rstrip()
        )
    return suffix


def _explain_missing(path: Path) -> str:
    """Say that a file does not exist, and which one in its folder may be meant."""
    folder = path.parent
    if not folder.is_dir():
        return f"There is no file {path.name}: its folder '{folder}' does not exist."
    names = sorted(p.name for p in folder.iterdir() if p.name.lower().endswith(SUFFIXES))
    tail = nearest(path.name, names)
    if not tail and names:
        shown = ", ".join(names[:_SHOWN_FILES])
        tail = f" The folder has {shown}{', ...' if len(names) > _SHOWN_FILES else ''}."
    return f"There is no file {path.name} in '{folder}'.{tail or ' The folder has no table.'}"


def _read_text(path: Path, table: str, options: ReadOptions) -> _Parsed:
    """Read a delimited text file."""
    text = read_delimited(
        path,
        table=table,
        delimiter=options.delimiter or ("\t" if ".tsv" in path.name.lower() else None),
        decimal=options.decimal,
        encoding=options.encoding,
    )
    return _Parsed(frame=text.frame, issues=text.issues, decimal=text.decimal)


def _damaged(path: Path, kind: str, exc: Exception) -> SchemaError:
    """Build the error for a file that its reader refuses."""
    said = str(exc).strip().split("\n")[0]
    return SchemaError(
        f"{path.name} cannot be read as {kind}: it is damaged, incomplete or of another kind than "
        f"its ending says ({said}). Copy or export it again."
    )


def _read_parquet(path: Path, table: str) -> _Parsed:
    """Read a Parquet file."""
    try:
        arrow = pq.read_table(path)
    except (pa.ArrowException, OSError) as exc:
        raise _damaged(path, "Parquet", exc) from exc
    names, issues = check_header(arrow.column_names, path=path, table=table)
    frame = arrow.to_pandas(ignore_metadata=True).set_axis(names, axis=1)
    frame = frame.drop(columns=[c for c in names if c.startswith("__index_level_")])
    return _Parsed(frame=_count_from(frame, 1), issues=tuple(issues))


def _count_from(frame: pd.DataFrame, first: int) -> pd.DataFrame:
    """Give the rows running numbers."""
    return frame.set_axis(pd.RangeIndex(first, first + len(frame)), axis=0)


def _read_excel(path: Path, table: str, options: ReadOptions) -> _Parsed:
    """Read one sheet; the first row with any cell is the header."""
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except (zipfile.BadZipFile, InvalidFileException, KeyError, OSError, ValueError) as exc:
        raise _damaged(path, "an Excel workbook", exc) from exc
    try:
        name, issues = _choose_sheet(book, path, table, options.sheet)
        sheet = book[name]
        sheet.reset_dimensions()  # some writers store wrong ones, which would cut the table
        rows = [list(row) for row in sheet.iter_rows(values_only=True)]
    finally:
        book.close()
    start = next((i for i, row in enumerate(rows) if any(_is_filled(c) for c in row)), None)
    if start is None:
        raise SchemaError(
            f"{path.name}: sheet {name!r} is empty: expected a first row with column names, and "
            "rows below it."
        )
    frame, header_issues = _sheet_frame(rows, start, path, table)
    return _Parsed(frame=frame, issues=(*issues, *header_issues))


def _sheet_frame(
    rows: list[list[Any]], start: int, path: Path, table: str
) -> tuple[pd.DataFrame, list[pd.DataFrame]]:
    """Turn the cells of a sheet to a frame, indexed by sheet row."""
    width = max(map(len, rows))
    padded = [row + [None] * (width - len(row)) for row in rows[start:]]
    header = ["" if cell is None else str(cell) for cell in padded[0]]
    names, issues = check_header(header, path=path, table=table)
    cells = np.empty((len(padded) - 1, width), dtype=object)
    for i, row in enumerate(padded[1:]):
        cells[i] = row
    frame = pd.DataFrame(cells, columns=pd.Index(names, dtype=object))
    return _count_from(frame, start + 2), issues


def _is_filled(cell: Any) -> bool:
    """Say whether a cell holds anything."""
    return cell is not None and str(cell).strip() != ""


def _choose_sheet(
    book: Workbook, path: Path, table: str, sheet: str | int | None
) -> tuple[str, list[pd.DataFrame]]:
    """Return the name of the sheet asked for; say which one was taken if none was."""
    names = [w.title for w in book.worksheets]
    if sheet is None:
        message = (
            f"{path.name} has {len(names)} sheets ({', '.join(names[:_SHOWN_FILES])}); the first, "
            f'{names[0]!r}, was read. To be sure, set sheet = "{names[0]}" for this table.'
        )
        flag = flag_table("sheet_chosen", "warning", table=table, message=message, value=names[0])
        return names[0], [flag] if len(names) > 1 else []
    if isinstance(sheet, int) and 1 <= sheet <= len(names):
        return names[sheet - 1], []
    if sheet not in names:
        raise SchemaError(
            f"{path.name} has no sheet {sheet!r}.{nearest(str(sheet), names)} It has: "
            f"{', '.join(map(repr, names))}."
        )
    return str(sheet), []


def _read_statistics(path: Path, suffix: str, options: ReadOptions) -> _Parsed:
    """Read a SAS, SPSS or Stata file; codes stay codes, dates become dates."""
    kind, reader = _STATISTICS[suffix]
    try:
        frame, _ = reader(str(path), encoding=options.encoding)
    except (pyreadstat.ReadstatError, pyreadstat.PyreadstatError, UnicodeError) as exc:
        raise _damaged(path, f"a {kind} file", exc) from exc
    return _Parsed(frame=_count_from(frame, 1))


def _tidy(path: Path, table: str, parsed: _Parsed, options: ReadOptions) -> RawTable:
    """Recognise missing values, and set aside nameless columns and rows without any value."""
    missing = frozenset({*MISSING_CODES, *(code.strip().casefold() for code in options.missing)})
    decimal = options.decimal or parsed.decimal
    raw = parsed.frame
    columns = [_clean(raw.iloc[:, i], missing, decimal) for i in range(raw.shape[1])]
    named = [i for i, name in enumerate(parsed.frame.columns) if name]
    issues = [*parsed.issues]
    nameless = [c for i, c in enumerate(columns) if i not in named and c.notna().any()]
    if nameless:
        message = (
            f"{path.name}: {len(nameless)} column(s) without a name are left out (row numbers that "
            f"R writes, often); the first holds {nameless[0].dropna().iloc[0]!r}."
        )
        issues.append(flag_table("nameless_column", "warning", table=table, message=message))
    names = [parsed.frame.columns[i] for i in named]
    frame = pd.DataFrame(
        dict(zip(names, (columns[i] for i in named), strict=True)), index=parsed.frame.index
    )
    frame, empty = _without_empty_rows(frame, table)
    source = Source(name=path.name, sha256=hash_file(path), n_rows=len(frame), role=table)
    return RawTable(frame=frame, issues=concat_issues([*issues, empty]), source=source)


def _without_empty_rows(frame: pd.DataFrame, table: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Leave out rows in which every cell is missing, and report them."""
    empty = np.ones(len(frame), dtype=bool)
    for name in frame.columns:
        empty &= frame[name].isna().to_numpy()
        if not empty.any():
            return frame, concat_issues([])
    issues = flag_rows(
        "empty_row", "warning", frame, empty, table=table, column="",
        value=np.full(len(frame), None, dtype=object),
        message="A row without any value was left out.",
    )  # fmt: skip
    return frame[~empty], issues


def _clean(values: pd.Series, missing: Collection[str], decimal: str) -> pd.Series:
    """Strip blanks and recognise missing values and decimal commas, once per distinct value."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        return values
    if values.dtype != object:
        codes = [float(code) for code in missing - MISSING_CODES if _is_number(code)]
        return values.mask(values.isin(codes)) if codes and values.dtype.kind in "iuf" else values
    numbers, distinct = pd.factorize(values.to_numpy(), use_na_sentinel=True)
    cleaned = np.empty(len(distinct) + 1, dtype=object)
    cleaned[:-1] = [_clean_value(value, missing, decimal) for value in distinct]
    return pd.Series(cleaned[numbers], index=values.index, name=values.name, dtype=object)


def _clean_value(value: Any, missing: Collection[str], decimal: str) -> Any:
    """Clean one value; missing ones become None."""
    text = value.strip() if isinstance(value, str) else value
    if str(text).casefold() in missing:
        return None
    if decimal == "," and isinstance(text, str) and _COMMA_DECIMAL.fullmatch(text):
        return text.replace(",", ".")
    return text


def _is_number(text: str) -> bool:
    """Say whether a code is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True
