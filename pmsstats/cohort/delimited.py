"""Text tables: find out encoding, delimiter and decimal sign, and read every cell as text."""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pmsstats.cohort.issues import flag_table
from pmsstats.errors import SchemaError

__all__ = ["DELIMITERS", "TextTable", "check_header", "read_delimited"]

DELIMITERS = (",", ";", "\t", "|")
"""What may stand between cells, where the caller does not say."""

_RARE_DELIMITERS = (":", "~", "^", " ")
_BOMS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_MAGIC = (
    (b"PK\x03\x04", "an Excel workbook (or another zip archive)"),
    (b"PAR1", "a Parquet file"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook (.xls)"),
    (b"$FL2", "an SPSS file"),
    (b"<stata_dta>", "a Stata file"),
    (b"HEADER RECORD*******", "a SAS transport file (.xpt)"),
)
_SAMPLE_CHARACTERS = 1 << 17
_SAMPLE_ROWS = 200
_COMMA_NUMBER = re.compile(r"[+-]?\d+,\d+")
_SEP_LINE = re.compile(r'"?sep=(.)"?\r?\n')
_POINT_NUMBER = re.compile(r"[+-]?\d*\.\d+")


@dataclass(frozen=True, kw_only=True, eq=False)
class TextTable:
    """A text table as it stands in the file.

    Parameters
    ----------
    frame : pandas.DataFrame
        Every cell text (an absent trailing cell is NaN); index: line in the file.
    decimal : {".", ","}
        The decimal sign.
    issues : tuple of pandas.DataFrame
        What had to be guessed, and rows that do not fit the header.
    """

    frame: pd.DataFrame
    decimal: str
    issues: tuple[pd.DataFrame, ...]


def read_delimited(
    path: Path,
    *,
    table: str,
    delimiter: str | None = None,
    decimal: str | None = None,
    encoding: str | None = None,
) -> TextTable:
    """Read a text table without interpreting any cell.

    Parameters
    ----------
    path : pathlib.Path
        An existing file; compressed if its name ends in ``.gz``.
    table : str
        Its role, for the issues.
    delimiter, decimal, encoding : str, optional
        Found out where not given.

    Returns
    -------
    TextTable
        Cells as text, and what had to be guessed.

    Raises
    ------
    SchemaError
        If the file is empty, is no text, cannot be decoded, has one column by a wrong delimiter,
        or repeats a column name.
    """
    content = _read_bytes(path)
    text, issues = _decode(content, path, table, encoding)
    hint = _SEP_LINE.match(text)  # a first line "sep=;" tells Excel the delimiter
    body, delimiter = (text[hint.end() :], delimiter or hint[1]) if hint else (text, delimiter)
    sample = _sample_lines(body)
    sign = _check_delimiter(sample, delimiter, path) if delimiter else _sniff(sample, path)
    buffer = io.StringIO(body, newline="")
    header, n_lines = _read_header(buffer, sign, path)
    header, header_issues = check_header(header, path=path, table=table)
    try:
        layout = _scan(buffer, sign, n_lines + (hint is not None), _count_lines(text))
        frame = _parse(buffer, header, layout, sign)
    except (pd.errors.ParserError, csv.Error) as exc:
        raise SchemaError(_explain(exc, path)) from exc
    widths = layout.widths[layout.lines.isin(frame.index)]
    frame, row_issues = _settle_width(frame, header, widths, path, table)
    if decimal is None:
        decimal, found = _sniff_decimal(sample, sign, path, table)
        issues += found
    return TextTable(frame=frame, decimal=decimal, issues=(*issues, *header_issues, *row_issues))


def _read_bytes(path: Path) -> bytes:
    """Read a file, decompressing it if its name says so; refuse what is empty or no text."""
    content = path.read_bytes()
    if path.suffix.lower() == ".gz":
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as exc:
            raise SchemaError(
                f"{path.name} ends in .gz but cannot be decompressed: {exc}. The file is damaged "
                "or incomplete; copy or export it again."
            ) from exc
    if not content.strip():
        raise SchemaError(
            f"{path.name} is empty: expected a first line with column names, and rows below it."
        )
    for magic, what in _MAGIC:
        if content.startswith(magic):
            raise SchemaError(
                f"{path.name} is not a text table: by its content it is {what}. Give the file the "
                "ending that fits its content, or export it as CSV."
            )
    return content


def _decode(
    content: bytes, path: Path, table: str, encoding: str | None
) -> tuple[str, list[pd.DataFrame]]:
    """Decode as told, else by byte order mark, else UTF-8, else Western European (said)."""
    if encoding is not None:
        return _decode_as_told(content, path, encoding), []
    for bom, name in _BOMS:
        if content.startswith(bom):
            return _decode_as_told(content, path, name), []
    if b"\0" in content:
        raise SchemaError(
            f"{path.name} is not a text table: it holds binary zeros. Export it again as CSV "
            '(UTF-8); if it is UTF-16 text, set encoding = "utf-16".'
        )
    try:
        return content.decode("utf-8"), []
    except UnicodeDecodeError as exc:
        return _decode_western(content, path, table, exc.start)


def _decode_as_told(content: bytes, path: Path, encoding: str) -> str:
    """Decode with a given encoding, or say why that fails."""
    try:
        text = content.decode(encoding)
    except LookupError as exc:
        raise SchemaError(
            f'{path.name}: no such encoding: {encoding!r}. Usual ones are "utf-8", '
            '"cp1252" (Windows, Western Europe), "latin-1" and "utf-16".'
        ) from exc
    except UnicodeError as exc:
        raise SchemaError(
            f"{path.name} is not written in the encoding {encoding!r}: {exc}. Leave `encoding` out "
            "to have it found, or name the right one."
        ) from exc
    return text.removeprefix("\ufeff")


def _decode_western(
    content: bytes, path: Path, table: str, position: int
) -> tuple[str, list[pd.DataFrame]]:
    """Decode what is not UTF-8 as cp1252 (or Latin-1), and say so with an example."""
    try:
        text, name = content.decode("cp1252"), "cp1252"
    except UnicodeDecodeError:
        text, name = content.decode("latin-1"), "latin-1"
    line = content.count(b"\n", 0, position) + 1
    start = content.rfind(b"\n", 0, position) + 1
    around = content[max(start, position - 15) : position + 15].decode(name)
    example = next(w for w in re.findall(r"[\w.'-]+|\S", around) if not w.isascii())
    message = (
        f"{path.name} is not UTF-8, so it was read as {name} (Western European): line {line} has "
        f'{example!r}. If that looks wrong, set encoding = "..." for this table.'
    )
    return text, [flag_table("encoding", "warning", table=table, message=message, value=name)]


def _sample_lines(text: str) -> list[str]:
    """Return the first lines, each whole."""
    buffer = io.StringIO(text[:_SAMPLE_CHARACTERS], newline="")
    lines = [line for line in buffer if line.strip()]
    return lines[:-1] if len(text) > _SAMPLE_CHARACTERS and len(lines) > 1 else lines


def _widths(lines: list[str], delimiter: str) -> list[int]:
    """Count the cells of the first rows, if cut at `delimiter`."""
    try:
        rows = csv.reader(lines, delimiter=delimiter)
        return [len(row) for _, row in zip(range(_SAMPLE_ROWS), rows, strict=False) if row]
    except csv.Error:
        return []


def _best_delimiter(lines: list[str], candidates: tuple[str, ...]) -> tuple[str, int] | None:
    """Choose the delimiter that cuts header and rows into equally many, and most, cells."""
    scored = []
    for rank, candidate in enumerate(candidates):
        widths = _widths(lines, candidate)
        if widths and widths[0] > 1:
            agreement = Counter(widths)[widths[0]] / len(widths)
            scored.append((agreement, widths[0], -rank, candidate))
    if not scored:
        return None
    _, width, _, chosen = max(scored)
    return chosen, width


def _sniff(lines: list[str], path: Path) -> str:
    """Find the delimiter; a one-column table is taken as such unless it looks like a mistake."""
    best = _best_delimiter(lines, DELIMITERS)
    if best is not None:
        return best[0]
    rare = _best_delimiter(lines, _RARE_DELIMITERS)
    if rare is not None and len(set(_widths(lines, rare[0]))) == 1:
        raise SchemaError(
            f"{path.name} has one column only, {lines[0].strip()!r}. It seems to be cut at "
            f"{rare[0]!r} into {rare[1]} columns: set delimiter = {_shown(rare[0])} for this table."
        )
    return ","


def _check_delimiter(lines: list[str], delimiter: str, path: Path) -> str:
    """Refuse a given delimiter under which the table has one column and another fits better."""
    if len(delimiter) != 1:
        raise SchemaError(
            f'{path.name}: `delimiter` must be one character such as ";", got {delimiter!r}.'
        )
    widths = _widths(lines, delimiter)
    best = _best_delimiter(lines, DELIMITERS + _RARE_DELIMITERS[:-1])
    if widths and widths[0] == 1 and best is not None:
        raise SchemaError(
            f"With delimiter = {_shown(delimiter)}, {path.name} has one column only, "
            f"{lines[0].strip()!r}. {_shown(best[0])} would give {best[1]} columns: leave "
            f"`delimiter` out, or set delimiter = {_shown(best[0])}."
        )
    return delimiter


def _shown(delimiter: str) -> str:
    """Write a delimiter as it stands in a TOML file."""
    return '"\\t"' if delimiter == "\t" else f'"{delimiter}"'


def _read_header(buffer: io.StringIO, delimiter: str, path: Path) -> tuple[list[str], int]:
    """Read the first record, leaving the buffer behind it; also count the lines it took."""
    reader = csv.reader(buffer, delimiter=delimiter)
    try:
        header = next((row for row in reader if any(cell.strip() for cell in row)), None)
    except csv.Error as exc:
        raise SchemaError(f"{path.name}: the first line cannot be read: {exc}.") from exc
    if header is None:
        raise SchemaError(f"{path.name} has no line with column names: its first lines are blank.")
    return header, reader.line_num


def check_header(
    header: list[str], *, path: Path, table: str
) -> tuple[list[str], list[pd.DataFrame]]:
    """Refuse repeated column names; strip blanks around names, and say so.

    Parameters
    ----------
    header : list of str
        As in the file.
    path : pathlib.Path
        The file, for messages.
    table : str
        Its role, for the issues.

    Returns
    -------
    list of str
        Names; a column without a name keeps the empty one.
    list of pandas.DataFrame
        Issues.

    Raises
    ------
    SchemaError
        If a name stands there more than once.
    """
    names = [name.strip() for name in header]
    repeated = [name for name, n in Counter(names).items() if n > 1 and name]
    if repeated:
        places = "; ".join(
            f"{name!r} (columns {', '.join(str(i + 1) for i, n in enumerate(names) if n == name)})"
            for name in repeated
        )
        raise SchemaError(
            f"{path.name} has {len(repeated)} column name(s) more than once: {places}. Which one "
            "is meant cannot be known: rename or delete the others in the file."
        )
    padded = [raw for raw, name in zip(header, names, strict=True) if raw != name and name]
    if not padded:
        return names, []
    message = (
        f"{path.name}: blanks around {len(padded)} column name(s) are ignored, for example "
        f"{padded[0]!r}."
    )
    return names, [flag_table("header_blanks", "warning", table=table, message=message)]


def _parse(buffer: io.StringIO, header: list[str], layout: _Layout, delimiter: str) -> pd.DataFrame:
    """Read the rows behind the header; blank lines go, and the index is the line in the file."""
    width = max(int(layout.widths.max(initial=0)), len(header))
    frame = pd.read_csv(
        buffer, sep=delimiter, header=None, names=range(width), dtype=str, index_col=False,
        keep_default_na=False, na_values=[], skip_blank_lines=False,
    )  # fmt: skip
    if len(frame) != len(layout.lines):
        raise pd.errors.ParserError(f"{len(layout.lines)} rows expected, {len(frame)} found")
    frame.index = layout.lines
    first = frame[0].str.strip() if len(header) > 1 else frame[0]
    return frame[(layout.widths > 1) | (first != "").to_numpy()]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Layout:
    """Shape of the rows behind the header: number of cells and first line, shape (n_rows,)."""

    widths: np.ndarray
    lines: pd.Index


def _scan(buffer: io.StringIO, delimiter: str, n_header: int, n_lines: int) -> _Layout:
    """Count the cells of every row and number the rows by their line in the file."""
    start = buffer.tell()
    widths = np.fromiter(map(len, csv.reader(buffer, delimiter=delimiter)), dtype=np.int64)
    buffer.seek(start)
    lines: pd.Index = pd.RangeIndex(n_header + 1, n_header + 1 + len(widths))
    if n_lines != n_header + len(widths):  # line breaks inside quotation marks
        reader = csv.reader(buffer, delimiter=delimiter)
        ends = np.fromiter((reader.line_num for _ in reader), dtype=np.int64)
        lines = pd.Index(n_header + 1 + np.concatenate([[0], ends[:-1]]))
        buffer.seek(start)
    return _Layout(widths=widths, lines=lines)


def _count_lines(text: str) -> int:
    """Count lines, whatever ends them."""
    end = "\n" if "\n" in text else "\r"
    return text.count(end) + (not text.endswith(end))


def _explain(exc: Exception, path: Path) -> str:
    """Say why a text cannot be cut into rows."""
    return (
        f"{path.name} cannot be cut into rows: {exc}. A quotation mark may lack its partner: look "
        'for a single " in the file.'
    )


def _settle_width(
    frame: pd.DataFrame, header: list[str], widths: np.ndarray, path: Path, table: str
) -> tuple[pd.DataFrame, list[pd.DataFrame]]:
    """Name the columns; report rows longer or shorter than the header, unless by empty cells."""
    n = len(header)
    surplus = frame.iloc[:, n:].fillna("").apply(lambda cells: cells.str.strip() != "")
    if len(frame) and surplus.shape[1] and surplus.iloc[:, 0].all():
        raise SchemaError(
            f"{path.name}: the header names {n} columns, but every row has more cells, so it is "
            "not known which name belongs to which. If R's write.table made the file, write it "
            "again with row.names = FALSE."
        )
    bad = {"more": surplus.any(axis=1).to_numpy(), "fewer": widths < n}
    issues = [
        _ragged(frame.index[rows], table, f"has {word} cells than the header has columns ({n})")
        for word, rows in bad.items()
        if rows.any()
    ]
    frame = frame.iloc[:, :n].set_axis(pd.Index(header, dtype=object), axis=1)
    return frame, issues


def _ragged(rows: pd.Index, table: str, what: str) -> pd.DataFrame:
    """Report rows of a wrong width."""
    issue = flag_table("ragged_row", "error", table=table, message=f"The row {what}.")
    issues = issue.loc[issue.index.repeat(len(rows))].reset_index(drop=True)
    issues["row"] = pd.array(rows.to_numpy(), dtype="Int64")
    return issues


def _sniff_decimal(
    lines: list[str], delimiter: str, path: Path, table: str
) -> tuple[str, list[pd.DataFrame]]:
    """Find the decimal sign: a comma if numbers with a comma occur and none with a point."""
    rows = list(csv.reader(lines[: _SAMPLE_ROWS + 1], delimiter=delimiter))[1:]
    cells = [cell.strip() for row in rows for cell in row]
    commas = [cell for cell in cells if _COMMA_NUMBER.fullmatch(cell)]
    if not commas or any(_POINT_NUMBER.fullmatch(cell) for cell in cells):
        return ".", []
    message = (
        f"{path.name}: the comma is read as decimal sign, {commas[0]!r} as "
        f'{commas[0].replace(",", ".")}. If it separates thousands, set decimal = "." for this '
        "table and remove the commas."
    )
    return ",", [flag_table("decimal_comma", "warning", table=table, message=message)]
