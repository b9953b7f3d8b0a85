"""Write a cohort as plain tables, with a small file beside them that keeps what CSV cannot say."""

from __future__ import annotations

import csv
import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import pandas as pd

from pmsstats.cohort.schema import TABLE_COLUMNS, Measure, default_dictionary, measure_from_dict
from pmsstats.errors import SchemaError, nearest
from pmsstats.provenance import hash_file
from pmsstats.results import Exclusion, to_plain

if TYPE_CHECKING:
    from pmsstats.cohort.cohort import Cohort

__all__ = ["COHORT_FILE", "WrittenCohort", "read_cohort_file", "restore_columns", "write_cohort"]

COHORT_FILE = "cohort.json"
_SCHEMA = "cohort/1"
TableFormat = Literal["csv", "parquet"]


@dataclass(frozen=True, kw_only=True, eq=False)
class WrittenCohort:
    """What ``cohort.json`` keeps beside the tables.

    Parameters
    ----------
    origin : {"real", "synthetic"}
        Where the data come from.
    measures : tuple of Measure
        Those that are not the package's own.
    exclusions : tuple of Exclusion
        What was left out before the cohort was written.
    files : mapping of str to mapping
        By file name, its ``sha256`` and the kind of every column.
    """

    origin: Literal["real", "synthetic"]
    measures: tuple[Measure, ...]
    exclusions: tuple[Exclusion, ...]
    files: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def write_cohort(
    cohort: Cohort,
    folder: str | Path,
    *,
    format: TableFormat = "csv",  # noqa: A002
) -> list[Path]:
    """Write the tables of a cohort, so that :func:`pmsstats.cohort.io.read_cohort` gives it back.

    Parameters
    ----------
    cohort : Cohort
        Any cohort.
    folder : str or pathlib.Path
        Made where it does not exist; tables of a cohort that was written there are replaced.
    format : {"csv", "parquet"}, default "csv"
        Of the tables.

    Returns
    -------
    list of pathlib.Path
        ``subjects``, ``visits``, ``relapses``, ``exits`` and ``cohort.json``, which keeps the
        order of groups, column types, own measures, exclusions and the origin.

    Raises
    ------
    SchemaError
        If the format is unknown.
    """
    if format not in get_args(TableFormat):
        raise SchemaError(
            f"`format` must be one of {', '.join(get_args(TableFormat))}, got {format!r}."
            f"{nearest(str(format), get_args(TableFormat))}"
        )
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    _remove_tables(folder)
    files: dict[str, Any] = {}
    paths = []
    for name in TABLE_COLUMNS:
        frame = getattr(cohort, name).drop(columns="year", errors="ignore")
        path = folder / f"{name}.{format}"
        _write_table(frame, path)
        kinds = {column: _kind(frame[column]) for column in frame.columns}
        files[path.name] = {"sha256": hash_file(path), "columns": kinds}
        paths.append(path)
    return [*paths, _write_cohort_file(cohort, folder, files)]


def _remove_tables(folder: Path) -> None:
    """Remove the tables that an earlier call wrote (of the other format, say)."""
    written = read_cohort_file(folder).files
    for name in [
        f"{table}.{ending}" for table in TABLE_COLUMNS for ending in get_args(TableFormat)
    ]:
        if name in written:
            (folder / name).unlink(missing_ok=True)


def _write_table(frame: pd.DataFrame, path: Path) -> None:
    """Write one table; numbers in the shortest form that reads back exactly."""
    if path.suffix == ".csv":
        frame.to_csv(path, index=False, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    else:
        frame.to_parquet(path, index=False)


def _kind(values: pd.Series) -> Any:
    """Describe the type of a column."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        categories = [to_plain(c) for c in values.cat.categories]
        return {"categories": categories, "ordered": bool(values.cat.ordered)}
    by_kind = {"i": "int", "u": "int", "f": "float", "b": "bool", "M": "datetime"}
    if values.dtype.kind in by_kind:
        return by_kind[values.dtype.kind]
    inferred = pd.api.types.infer_dtype(values, skipna=True)
    return {"boolean": "truth", "date": "date", "datetime": "datetime"}.get(inferred, "text")


def _write_cohort_file(cohort: Cohort, folder: Path, files: Mapping[str, Any]) -> Path:
    """Write ``cohort.json``."""
    known = default_dictionary()
    own = [m for m in cohort.dictionary.values() if known.get(m.name) != m]
    content = {
        "schema": _SCHEMA,
        "origin": cohort.origin,
        "measures": to_plain(own),
        "exclusions": to_plain(cohort.exclusions),
        "files": files,
    }
    path = folder / COHORT_FILE
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def read_cohort_file(folder: Path) -> WrittenCohort:
    """Read ``cohort.json``.

    Parameters
    ----------
    folder : pathlib.Path
        Where a cohort was written, or any other folder.

    Returns
    -------
    WrittenCohort
        Its content; without files where there is none.

    Raises
    ------
    SchemaError
        If the file is not as it was written.
    """
    path = folder / COHORT_FILE
    if not path.is_file():
        return WrittenCohort(origin="real", measures=(), exclusions=())
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        measures = [
            measure_from_dict(m["name"], {k: v for k, v in m.items() if k != "name"})
            for m in content["measures"]
        ]
        exclusions = [
            Exclusion(**{**e, "subject_ids": tuple(e["subject_ids"])})
            for e in content["exclusions"]
        ]
        return WrittenCohort(
            origin=content["origin"],
            measures=tuple(measures),
            exclusions=tuple(exclusions),
            files=content["files"],
        )
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise SchemaError(
            f"{path} is not as `write_cohort` wrote it ({type(exc).__name__}: {exc}). Write the "
            "cohort anew, or delete this file to read the tables as plain ones."
        ) from exc


def restore_columns(frame: pd.DataFrame, kinds: Mapping[str, Any]) -> pd.DataFrame:
    """Give columns that were read as text the types that they were written with.

    Parameters
    ----------
    frame : pandas.DataFrame
        As read.
    kinds : mapping of str to str or mapping
        By column, ``text int float bool truth date datetime``, or its categories.

    Returns
    -------
    pandas.DataFrame
        Same columns.
    """
    columns = {name: _restore(frame[name], kinds.get(name, "text")) for name in frame.columns}
    return pd.DataFrame(columns, index=frame.index)


def _restore(values: pd.Series, kind: Any) -> Any:
    """Give one column its type."""
    if isinstance(kind, Mapping):
        return _restore_categories(values, kind)
    if kind in ("int", "float") and values.dtype == object:
        numbers = values.to_numpy(dtype=object, na_value=np.nan).astype(float)
        exact = kind == "int" and values.notna().all()
        return values.astype("int64") if exact else pd.Series(numbers, index=values.index)
    if kind in ("bool", "truth"):  # a truth may be missing
        truth = values.astype(object).map({"True": True, "False": False, True: True, False: False})
        return truth.astype(bool if kind == "bool" else object).where(values.notna(), None)
    if kind == "datetime":
        return pd.to_datetime(values, format="ISO8601").astype("datetime64[ns]")
    if kind == "date":
        return values.map(dt.date.fromisoformat, na_action="ignore") if _is_text(values) else values
    return values


def _is_text(values: pd.Series) -> bool:
    """Say whether the first value that is there is text."""
    return isinstance(next(iter(values.dropna()), None), str)


def _restore_categories(values: pd.Series, kind: Mapping[str, Any]) -> pd.Categorical:
    """Give a column its categories, which may be numbers."""
    categories = kind["categories"]
    by_text = {str(category): category for category in categories}
    labels = [None if pd.isna(v) else by_text.get(str(v)) for v in values.astype(object)]
    return pd.Categorical(labels, categories=categories, ordered=kind["ordered"])
