"""Open the files of a mapping and settle which of their columns are which of ours."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from pmsstats.cohort.adam import ADAM_COLUMNS
from pmsstats.cohort.columns import guess_type
from pmsstats.cohort.dates import looks_like_dates
from pmsstats.cohort.folder import WrittenCohort, read_cohort_file, restore_columns
from pmsstats.cohort.issues import concat_issues, flag_table
from pmsstats.cohort.mapping import (
    DATE_COLUMNS,
    MAPPING_KEYS,
    TIME_COLUMNS,
    CohortMapping,
    ColumnSource,
    TableSource,
    parse_mapping,
)
from pmsstats.cohort.rules_tables import is_identifying
from pmsstats.cohort.schema import TABLE_COLUMNS, DataDictionary
from pmsstats.cohort.tables import SUFFIXES, RawTable, read_table
from pmsstats.cohort.toml_types import raise_problems
from pmsstats.errors import SchemaError, nearest

__all__ = ["OpenedTable", "find_mapping", "open_tables"]

_STUDY_KEYS = ("title", "acknowledgement", "analysis")
_SUBJECT_COLUMNS = ("arm", "phenotype", "sex", "age_years", "site_id", "baseline_date")
_ID_NAMES = frozenset(
    {"id", "subject", "subjectid", "subjid", "usubjid", "patient", "patientid", "pid", "ptid",
     "participant", "participantid", "recordid", "rid"}
)  # fmt: skip
_SHOWN_COLUMNS = 20


@dataclass(frozen=True, kw_only=True, eq=False)
class OpenedTable:
    """A file that was read, and what its columns are.

    Parameters
    ----------
    name : str
        Key under [tables].
    role : str
        ``subjects``, ``visits``, ``relapses`` or ``exits``.
    source : TableSource
        Where and how.
    raw : RawTable
        Its cells.
    columns : mapping of str to ColumnSource
        Our name to the source column, all of which exist.
    shared : bool
        Whether the visits are in the same file.
    written : WrittenCohort
        What ``cohort.json`` beside the file says.
    typed : bool
        Whether the columns have their types already, because `write_cohort` wrote them.
    """

    name: str
    role: str
    source: TableSource
    raw: RawTable
    columns: Mapping[str, ColumnSource]
    shared: bool
    written: WrittenCohort
    typed: bool

    @property
    def parameters(self) -> dict[str, ColumnSource]:
        """Our columns that are parameters of a long table, not columns of it."""
        keys = ("subject_id", "visit", *TIME_COLUMNS)
        is_long = self.source.is_long
        return {name: c for name, c in self.columns.items() if is_long and name not in keys}

    @property
    def subject(self) -> pd.Series:
        """Subject of each row as it stands in the file."""
        return self.raw.frame[self.columns["subject_id"].column]


def find_mapping(path: str | Path | CohortMapping) -> CohortMapping:
    """Return the mapping of a study file, or of a folder with our table names.

    Parameters
    ----------
    path : str, pathlib.Path or CohortMapping
        A study.toml, a folder, or a mapping.

    Returns
    -------
    CohortMapping
        Checked.

    Raises
    ------
    SchemaError
        If there is nothing of the kind.
    """
    if isinstance(path, CohortMapping):
        return path
    path = Path(path)
    if path.is_dir():
        return _folder_mapping(path)
    if path.suffix.lower() != ".toml":
        raise SchemaError(
            f"Expected a study.toml, or a folder with subjects.csv and visits.csv, got '{path}'"
            f"{'' if path.exists() else ', which does not exist'}."
        )
    content = _read_toml(path)
    unknown = [key for key in content if key not in (*_STUDY_KEYS, *MAPPING_KEYS)]
    known = (*_STUDY_KEYS, *MAPPING_KEYS)
    problems = [
        f"{path.name} has no key {key!r}.{nearest(key, known)} Known: {', '.join(known)}."
        for key in unknown
    ]
    raise_problems(problems, path.name)
    mapped = {key: content[key] for key in MAPPING_KEYS if key in content}
    return parse_mapping(mapped, source=path.name, folder=path.parent)


def _read_toml(path: Path) -> dict[str, Any]:
    """Read TOML, or say where it stops being so."""
    if not path.is_file():
        near = [p.name for p in path.parent.glob("*.toml")] if path.parent.is_dir() else []
        raise SchemaError(f"There is no study file '{path}'.{nearest(path.name, near)}")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise SchemaError(
            f"{path.name} is not valid TOML: {exc}. Text needs quotes, and names with blanks too."
        ) from exc


def _folder_mapping(folder: Path) -> CohortMapping:
    """Find the tables of a folder by their names."""
    tables: dict[str, TableSource] = {}
    problems = []
    names = sorted(p.name for p in folder.iterdir() if p.is_file())
    for table in TABLE_COLUMNS:
        found = [name for name in names if name.lower() in [table + s for s in SUFFIXES]]
        if len(found) > 1:
            problems.append(f"{folder} has {' and '.join(found)}. Keep one {table} table.")
        if found:
            tables[table] = TableSource(path=found[0])
        elif table in ("subjects", "visits"):
            problems.append(
                f"{folder} has no {table} table: expected {table}.csv (or .parquet, .xlsx, ...) "
                f"with our column names. It has: {', '.join(names[:8]) or 'nothing'}. For other "
                "names, write a study.toml."
            )
    raise_problems(problems, str(folder))
    return CohortMapping(tables=tables, source=folder.name, folder=folder)


def open_tables(mapping: CohortMapping, folder: Path) -> list[OpenedTable]:
    """Read every file of a mapping and find every mapped column in it.

    Parameters
    ----------
    mapping : CohortMapping
        Checked.
    folder : pathlib.Path
        What the paths are relative to.

    Returns
    -------
    list of OpenedTable
        In the order of the mapping.

    Raises
    ------
    SchemaError
        If files cannot be read or columns are not there; all problems at once.
    """
    opened: list[OpenedTable] = []
    problems: list[str] = []
    cache: dict[Any, OpenedTable] = {}
    for name, source in mapping.tables.items():
        try:
            table = _open(name, source, mapping, folder, cache)
        except SchemaError as exc:
            problems.append(str(exc))
            continue
        opened.append(table)
        problems.extend(_missing_columns(table, mapping))
    if not problems:
        problems.extend(_misplaced(opened, mapping))
    raise_problems(problems, mapping.source)
    return opened


def _open(
    name: str, source: TableSource, mapping: CohortMapping, folder: Path, cache: dict[Any, Any]
) -> OpenedTable:
    """Read one file (once, if several tables are in it) and settle its columns."""
    role = mapping.role(name)
    path = folder / source.path
    key = (path, source.options)
    if key not in cache:
        raw = read_table(
            path, table=name, options=source.options, allow_empty=role in ("relapses", "exits")
        )
        cache[key] = _restore_types(raw, path)
    raw, written, typed = cache[key]
    shared = name != "visits" and _same_file(source, mapping.tables.get("visits"))
    table = OpenedTable(
        name=name, role=role, source=source, raw=raw, columns={}, shared=shared, written=written,
        typed=typed,
    )  # fmt: skip
    table = replace(table, columns=_settle_columns(table, mapping))
    issues = concat_issues(
        [raw.issues, *_unmapped_measures(table, mapping), *_unread_columns(table, mapping)]
    )
    return replace(table, raw=replace(raw, issues=issues))


def _unmapped_measures(table: OpenedTable, mapping: CohortMapping) -> Iterator[pd.DataFrame]:
    """Report columns that are left out although they are named like a measure but for case."""
    if table.role != "visits" or table.name not in mapping.columns or table.source.is_long:
        return
    measures = {name.casefold(): name for name in mapping.dictionary}
    used = {source.column for source in table.columns.values()}
    for name in [n for n in table.raw.frame.columns if n not in used]:
        ours = measures.get(name.strip().casefold())
        if ours is not None and ours not in table.columns:
            yield flag_table(
                "unmapped_measure",
                "warning",
                table=table.name,
                column=name,
                message=f"{table.raw.source.name} has a column {name!r} that is left out. If it is "
                f'the measure {ours!r}, add {ours} = "{name}" under [columns.{table.name}].',
            )


def _unread_columns(table: OpenedTable, mapping: CohortMapping) -> Iterator[pd.DataFrame]:
    """Report columns of a subjects file that are not read; without values of what may be names."""
    if table.name != "subjects" or table.shared or table.source.layout != "wide":
        return
    used = {source.column for source in table.columns.values()}
    unread = [str(name) for name in table.raw.frame.columns if name not in used]
    names = _like_names(table, mapping)
    for name in [name for name in unread if name in names]:
        yield flag_table(
            "identifying_column",
            "warning",
            table="subjects",
            column=name,
            message=f"{name!r} has a text of its own for most subjects: it looks like names or "
            "ids, and was not read.",
        )
    lost = [n for n in unread if n not in names and not _is_our_kind(n)]
    more = ", ..." if len(lost) > _SHOWN_COLUMNS else ""
    if lost:
        ours = re.sub(r"\W+", "_", lost[0], flags=re.ASCII).strip("_").lower() or "my_column"
        ours = f"x_{ours}" if not ours.isidentifier() else ours
        shown = ", ".join(map(repr, lost[:_SHOWN_COLUMNS]))
        yield flag_table(
            "unmapped_column",
            "warning",
            table="subjects",
            column=lost[0],
            message=f"{table.raw.source.name} has {len(lost)} column(s) whose names cannot be used "
            f"here, and which are left out: {shown}{more}. "
            f'Map what you need under [columns.subjects], as in {ours} = "{lost[0]}".',
        )


def _is_our_kind(name: str) -> bool:
    """Say whether a column can keep its name here."""
    return name.isidentifier() and name.isascii()


def _like_names(table: OpenedTable, mapping: CohortMapping) -> set[str]:
    """Return the columns of a subjects file that look like names or ids, by their values."""
    own = _own_names(table, mapping.dictionary)
    frame = table.raw.frame
    mapped = mapping.columns.get(table.name, {}).get("subject_id")
    key = "subject_id" if mapped is None else mapped.column
    if key in frame:  # a subject may have several rows
        frame = frame.drop_duplicates(key)
    return {n for n in frame if n not in (*own, key) and is_identifying(guess_type(frame[n]))}


def _same_file(one: TableSource, other: TableSource | None) -> bool:
    """Say whether two tables are in the same file and read the same way."""
    return other is not None and (one.path, one.options) == (other.path, other.options)


def _restore_types(raw: RawTable, path: Path) -> tuple[RawTable, WrittenCohort, bool]:
    """Give a table that `write_cohort` wrote its types back, if nobody changed it since."""
    written = read_cohort_file(path.parent)
    entry = written.files.get(path.name)
    if entry is None:
        return raw, WrittenCohort(origin="real", measures=(), exclusions=()), False
    if entry["sha256"] != raw.source.sha256:
        message = (
            f"{path.name} was changed since write_cohort wrote it, so the order of groups and the "
            "types of columns in cohort.json are not used."
        )
        changed = flag_table(
            "changed_since_written", "warning", table=raw.source.role, message=message
        )
        return replace(raw, issues=concat_issues([raw.issues, changed])), written, False
    frame = restore_columns(raw.frame, entry["columns"])
    return replace(raw, frame=frame), written, True


def _settle_columns(table: OpenedTable, mapping: CohortMapping) -> dict[str, ColumnSource]:
    """Join mapped columns with those that need no entry."""
    mapped = dict(mapping.columns.get(table.name, {}))
    if table.shared and "subject_id" not in mapped:
        visits = mapping.columns.get("visits", {})
        mapped |= {name: visits[name] for name in ("subject_id",) if name in visits}
    present = set(table.raw.frame.columns)
    defaults = ADAM_COLUMNS.get(table.source.layout, {})
    implied = {ours: theirs for ours, theirs in defaults.items() if theirs in present}
    implied |= {name: name for name in _implied(table, mapping)}
    has_time = any(name in mapped for name in TIME_COLUMNS)
    for ours, theirs in implied.items():
        if ours not in mapped and not (has_time and ours in TIME_COLUMNS):
            mapped[ours] = ColumnSource(column=theirs)
    times = [name for name in TIME_COLUMNS if name in mapped and name in implied]
    for name in times[1:] if not has_time else ():
        del mapped[name]  # day wins over year, year over date
    first = [name for name in ("subject_id", *TIME_COLUMNS, "visit") if name in mapped]
    return {name: mapped[name] for name in [*first, *mapped]}


def _implied(table: OpenedTable, mapping: CohortMapping) -> list[str]:
    """List the columns of a file that need no entry in the mapping.

    Of a subjects file of its own, that is every column with a usable name. If the study file has a
    section [columns.subjects], unmapped columns that look like names or ids are not read.
    """
    used = {c.column for c in mapping.columns.get(table.name, {}).values()}
    names = [n for n in table.raw.frame.columns if _is_our_kind(n)]
    names = [n for n in names if n not in used]
    layout = table.source.layout
    if layout in ("bds", "adsl", "adtte"):
        return []
    if layout == "long":
        return [n for n in names if n in ("subject_id", "visit", *TIME_COLUMNS)]
    if table.name not in TABLE_COLUMNS or table.shared:
        return [n for n in names if n in _own_names(table, mapping.dictionary)]
    if table.name not in mapping.columns:
        return names
    if table.role == "subjects":
        hidden = _like_names(table, mapping)
        return [n for n in names if n not in hidden]
    return [n for n in names if n in _own_names(table, mapping.dictionary)]


def _own_names(table: OpenedTable, dictionary: DataDictionary) -> set[str]:
    """Return the column names that have a meaning in a table."""
    names = {"subject_id", *TABLE_COLUMNS[table.role]}
    if table.role == "subjects":
        further = set() if table.name not in TABLE_COLUMNS else set(_SUBJECT_COLUMNS)
        return names | further
    measures = set(dictionary) if table.role == "visits" else set()
    return names | {"visit", *TIME_COLUMNS} | measures


def _missing_columns(table: OpenedTable, mapping: CohortMapping) -> Iterator[str]:
    """Find columns that are asked for or needed, but not there."""
    present = list(table.raw.frame.columns)
    file, place = table.raw.source.name, f"[columns.{table.name}] in {mapping.source}"
    listed = f"It has: {', '.join(present[:_SHOWN_COLUMNS])}" + (
        ", ..." if len(present) > _SHOWN_COLUMNS else "."
    )
    for ours, source in table.columns.items():
        if source.column not in _available(table, ours):
            what = "parameter" if ours in table.parameters else "column"
            options = _available(table, ours)
            shown = f"It has: {', '.join(options[:_SHOWN_COLUMNS])}."
            yield (
                f"{file} has no {what} {source.column!r}, which {place} maps to {ours!r}."
                f"{nearest(source.column, options)} {shown}"
            )
    for column in _layout_columns(table.source):
        if column not in present:
            yield (
                f"{file} has no column {column!r}, which [tables.{table.name}] in "
                f"{mapping.source} needs.{nearest(column, present)} {listed}"
            )
    for ours in _needed(table):
        if ours == TIME_COLUMNS and not any(name in table.columns for name in ours):
            yield _missing_time(table, place, listed)
        elif not any(name in table.columns for name in ours):
            guess = _guess_column(ours[0], present)
            yield (
                f"{file} has no column {ours[0]!r}, which the {table.role} table needs. Say under "
                f'{place} which of its columns that is, as in {ours[0]} = "{guess}". {listed}'
            )


def _missing_time(table: OpenedTable, place: str, listed: str) -> str:
    """Say that nothing tells when, the three ways to say it, and which columns may do so."""
    frame = table.raw.frame
    dates = [str(name) for name in frame.columns if looks_like_dates(frame[name])]
    close = _guess_column("day", [str(name) for name in frame.columns])
    if dates:
        guess = f'date = "{dates[0]}"'
        found = f" Columns that look like dates: {', '.join(map(repr, dates))}."
    else:
        guess, found = f'day = "{close}"', ""
    return (
        f"{table.raw.source.name} has no column 'day', 'date' or 'year', one of which the "
        f"{table.role} table needs: `day` and `year` count from baseline, `date` is a calendar "
        f"date. Say under {place} which of its columns that is, as in {guess}.{found} {listed}"
    )


def _guess_column(ours: str, present: list[str]) -> str:
    """Guess which column of a file is meant by ours."""
    if ours == "subject_id":
        for name in present:
            if "".join(filter(str.isalnum, name)).casefold() in _ID_NAMES:
                return name
    close = nearest(ours, present)
    return close.split("'")[1] if close else "..."


def _needed(table: OpenedTable) -> list[tuple[str, ...]]:
    """List what a table cannot do without; one of each tuple is enough."""
    needed: list[tuple[str, ...]] = [("subject_id",)]
    if table.role != "subjects":
        needed.append(TIME_COLUMNS)
    if table.name == "exits":
        needed.append(("reason",))
    return needed


def _layout_columns(source: TableSource) -> list[str]:
    """List the columns of the file that a layout or `keep` reads."""
    columns = [*source.keep]
    if source.is_long:
        columns += [source.parameter_column, source.value_column]
    if source.layout == "adtte":
        columns += ["AVAL", "CNSR"]
    return columns


def _available(table: OpenedTable, ours: str) -> list[str]:
    """List the columns, or parameters, that one of ours can be."""
    frame = table.raw.frame
    if ours not in table.parameters:
        return [str(column) for column in frame.columns]
    parameter = table.source.parameter_column
    return sorted(map(str, frame[parameter].dropna().unique())) if parameter in frame else []


def _misplaced(opened: list[OpenedTable], mapping: CohortMapping) -> Iterator[str]:
    """Find labels of columns that do not exist, and columns that come from two files."""
    ours = {name for table in opened for name in table.columns}
    for name in mapping.labels:
        if name not in ours:
            yield (
                f"[labels.{name}] in {mapping.source}: no table has a column {name!r}."
                f"{nearest(name, ours)}"
            )
    for role in ("subjects", "visits"):
        seen: dict[str, str] = {}
        for table in [t for t in opened if t.role == role]:
            for name in table.columns:
                if name in ("subject_id", "visit", *TIME_COLUMNS, *DATE_COLUMNS):
                    continue
                if name in seen:
                    yield (
                        f"{name!r} comes from two files, {seen[name]} and "
                        f"{table.raw.source.name}. Map it in one of them."
                    )
                seen[name] = table.raw.source.name
