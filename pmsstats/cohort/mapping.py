"""The mapping part of a study.toml: where the tables are, and which of their columns mean what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, StrictInt

from pmsstats.cohort.dates import SERIAL_FORMATS, strptime_format
from pmsstats.cohort.schema import (
    TABLE_COLUMNS,
    DataDictionary,
    Measure,
    default_dictionary,
    measure_from_dict,
)
from pmsstats.cohort.tables import ReadOptions
from pmsstats.cohort.toml_types import NO_OTHER_KEYS, check_toml, raise_problems
from pmsstats.cohort.units import conversion_factor, unit_of_name
from pmsstats.errors import SchemaError, nearest
from pmsstats.provenance import Origin

__all__ = [
    "DATE_COLUMNS",
    "MAPPING_KEYS",
    "TIME_COLUMNS",
    "CohortMapping",
    "ColumnSource",
    "TableSource",
    "parse_mapping",
    "target_unit",
]

MAPPING_KEYS = ("origin", "tables", "columns", "labels", "measures")
"""Top-level keys of a study.toml that are read here."""

DATE_COLUMNS = ("date", "baseline_date")
TIME_COLUMNS = ("day", "year", "date")
"""The ways to say when: days or years from baseline, or a calendar date."""


def _as_texts(value: Any) -> Any:
    """Turn one value, or a list of values, to a tuple of texts."""
    values = value if isinstance(value, list | tuple) else [value]
    if not all(isinstance(v, str | int | float) for v in values):
        raise ValueError('must be a value, or a list of values such as ["a", "b"]')
    return tuple(str(v) for v in values)


def _sheet(value: Any) -> Any:
    """Check the name or number of a sheet."""
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise ValueError("must be the name or the number of a sheet")  # noqa: TRY004 - for pydantic
    return value


def _one_key(key: str) -> BeforeValidator:
    """Accept text where a table with one key is meant."""
    return BeforeValidator(lambda value: {key: value} if isinstance(value, str) else value)


_Texts = Annotated[tuple[str, ...], BeforeValidator(_as_texts)]


@dataclass(frozen=True, kw_only=True)
class TableSource:
    """Where a table is, and how it is laid out.

    Parameters
    ----------
    path : str
        File, relative to the study file or to the data folder.
    layout : {"wide", "long", "bds", "adsl", "adtte"}
        ``wide``: one column per measure. ``long``: one row per value, with its parameter.
        ``bds``, ``adsl``, ``adtte``: the CDISC ADaM tables, see :mod:`pmsstats.cohort.adam`.
    sheet : str or int, optional
        Excel sheet.
    delimiter, decimal, encoding : str, optional
        Of a text file; found out where not given.
    missing : tuple of str
        Further codes for missing values.
    keep : mapping of str to tuple of str
        Rows to keep: column of the file, and the values that stay. The others are counted.
    parameter, value : str, optional
        Long layout: the columns with the parameter and its value.
    match : {"day", "visit"}
        What brings values of several rows, or of several files, together into one visit.
    adds_to : {"subjects", "visits"}, optional
        For a further file: the table that it adds columns to.
    duration, event : str, optional
        Layout ``adtte``: names of the subject columns that are made from AVAL and CNSR.
    unit : str
        Layout ``adtte``: unit of AVAL.
    """

    __pydantic_config__ = NO_OTHER_KEYS

    path: str
    layout: Literal["wide", "long", "bds", "adsl", "adtte"] = "wide"
    sheet: Annotated[str | int | None, BeforeValidator(_sheet)] = None
    delimiter: str | None = None
    decimal: Literal[".", ","] | None = None
    encoding: str | None = None
    missing: _Texts = ()
    keep: Mapping[str, _Texts] = field(default_factory=dict)
    parameter: str | None = None
    value: str | None = None
    match: Literal["day", "visit"] = "day"
    adds_to: Literal["subjects", "visits"] | None = None
    duration: str | None = None
    event: str | None = None
    unit: str = "days"

    @property
    def is_long(self) -> bool:
        """Whether there is one row per value."""
        return self.layout in ("long", "bds")

    @property
    def parameter_column(self) -> str:
        """Column with the parameters, in a long layout."""
        return self.parameter or "PARAMCD"

    @property
    def value_column(self) -> str:
        """Column with the values, in a long layout."""
        return self.value or "AVAL"

    @property
    def options(self) -> ReadOptions:
        """How to read the file."""
        return ReadOptions(
            delimiter=self.delimiter,
            decimal=self.decimal,
            encoding=self.encoding,
            sheet=self.sheet,
            missing=self.missing,
        )


@dataclass(frozen=True, kw_only=True)
class ColumnSource:
    """Which column of the file is meant, and what is done to its values.

    Parameters
    ----------
    column : str
        Name in the file; in the long layouts, the parameter.
    unit : str, optional
        Unit in the file, converted to the one of the measure or of the name.
    format : str, optional
        Format of a date, such as ``"%d.%m.%Y"``.
    take : {"baseline", "last"}, optional
        For a subject column that varies between rows: the value of which row.
    transform : {"log", "log10", "sqrt"}, optional
        Applied after the unit.
    zero_pad : int, optional
        Fill ids with leading zeros up to this length.
    """

    __pydantic_config__ = NO_OTHER_KEYS

    column: str
    unit: str | None = None
    format: str | None = None
    take: Literal["baseline", "last"] | None = None
    transform: Literal["log", "log10", "sqrt"] | None = None
    zero_pad: StrictInt | None = None


@dataclass(frozen=True, kw_only=True)
class _MappingShape:
    """Types of the TOML tables."""

    __pydantic_config__ = NO_OTHER_KEYS

    tables: Mapping[str, Annotated[TableSource, _one_key("path")]]
    columns: Mapping[str, Mapping[str, Annotated[ColumnSource, _one_key("column")]]] = field(
        default_factory=dict
    )
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    measures: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    origin: Origin = "real"


@dataclass(frozen=True, kw_only=True)
class CohortMapping:
    """Where the tables of a cohort are, and what their columns mean.

    Parameters
    ----------
    tables : mapping of str to TableSource
        ``subjects`` and ``visits``, optionally ``relapses``, ``exits`` and further files.
    columns : mapping of str to mapping of str to ColumnSource
        By table, our column name to the source column.
    labels : mapping of str to mapping of str to str
        By our column name, their label to ours; the order is the order of the groups.
    measures : tuple of Measure
        The user's own measures.
    origin : {"real", "synthetic"}
        Where the data come from.
    source : str
        Name of the study file, for messages.
    folder : pathlib.Path
        What the paths are relative to.
    """

    tables: Mapping[str, TableSource]
    columns: Mapping[str, Mapping[str, ColumnSource]] = field(default_factory=dict)
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    measures: tuple[Measure, ...] = ()
    origin: Origin = "real"
    source: str = "study.toml"
    folder: Path = Path()

    @cached_property
    def dictionary(self) -> DataDictionary:
        """The package's measures with the user's own."""
        return default_dictionary().extend(*self.measures)

    def role(self, table: str) -> str:
        """Return which of the four tables a file belongs to.

        Parameters
        ----------
        table : str
            Key under [tables].

        Returns
        -------
        str
            ``subjects``, ``visits``, ``relapses`` or ``exits``.
        """
        source = self.tables[table]
        if table in TABLE_COLUMNS:
            return table
        return source.adds_to or ("subjects" if source.layout == "adtte" else "visits")


def parse_mapping(
    toml: Mapping[str, Any], *, source: str, folder: str | Path = "."
) -> CohortMapping:
    """Check the mapping part of a study file.

    Parameters
    ----------
    toml : mapping
        The keys :data:`MAPPING_KEYS` of a study.toml.
    source : str
        Name of the file, for messages.
    folder : str or pathlib.Path
        What the paths are relative to.

    Returns
    -------
    CohortMapping
        The checked mapping; no file was opened.

    Raises
    ------
    SchemaError
        If a key is unknown, a type is wrong, a unit does not convert or tables do not fit
        together; all problems at once.

    Examples
    --------
    >>> mapping = parse_mapping(
    ...     {
    ...         "tables": {"subjects": "people.csv", "visits": "visits.csv"},
    ...         "columns": {"visits": {"edss": "EDSS score"}},
    ...     },
    ...     source="study.toml",
    ... )
    >>> mapping.columns["visits"]["edss"].column
    'EDSS score'
    """
    shape, problems = check_toml(_MappingShape, toml, source=source)
    measures, wrong = _read_measures(toml.get("measures"), source)
    if shape is None:
        raise_problems([*problems, *wrong], source)
    mapping = CohortMapping(
        tables=shape.tables,
        columns=shape.columns,
        labels=shape.labels,
        measures=measures,
        origin=shape.origin,
        source=source,
        folder=Path(folder),
    )
    checks = [_check_tables(mapping), _check_columns(mapping)]
    raise_problems([*wrong, *(problem for check in checks for problem in check)], source)
    return mapping


def _read_measures(entries: Any, source: str) -> tuple[tuple[Measure, ...], list[str]]:
    """Build the user's own measures; a wrong shape is reported elsewhere."""
    measures, problems = [], []
    for name, entry in entries.items() if isinstance(entries, Mapping) else ():
        if isinstance(entry, Mapping):
            try:
                measures.append(measure_from_dict(name, entry))
            except SchemaError as exc:
                problems.append(f"[measures.{name}] in {source}: {exc}")
    return tuple(measures), problems


def _check_tables(mapping: CohortMapping) -> Iterator[str]:
    """Find tables that are missing, unknown, or laid out as they cannot be."""
    where = f"[tables] in {mapping.source}"
    for name in ("subjects", "visits"):
        if name not in mapping.tables:
            yield f"{where} needs `{name}`. Both subjects and visits may name the same file."
    for name, table in mapping.tables.items():
        place = f"[tables.{name}] in {mapping.source}"
        if name not in TABLE_COLUMNS and table.adds_to is None and table.layout != "adtte":
            yield (
                f"{where}: {name!r} is none of {', '.join(TABLE_COLUMNS)}."
                f"{nearest(name, TABLE_COLUMNS)} A further file needs "
                'adds_to = "subjects" or adds_to = "visits".'
            )
            continue
        if name in TABLE_COLUMNS and table.adds_to is not None:
            yield f"{place}: `adds_to` is for further files, and {name!r} is a table of its own."
        yield from _check_layout(table, mapping.role(name), place)


_LAYOUT_ROLES = {"long": "visits", "bds": "visits", "adsl": "subjects", "adtte": "subjects"}


def _check_layout(table: TableSource, role: str, place: str) -> Iterator[str]:
    """Find settings that a layout needs or does not know."""
    wanted = _LAYOUT_ROLES.get(table.layout, role)
    if wanted != role:
        yield f'{place}: layout = "{table.layout}" is for {wanted}, not for {role}.'
    settings = {
        "parameter": (("long",), ("long", "bds")),
        "value": (("long",), ("long", "bds")),
        "duration": (("adtte",), ("adtte",)),
        "event": (("adtte",), ("adtte",)),
    }
    for name, (needed, allowed) in settings.items():
        given = getattr(table, name) is not None
        if table.layout in needed and not given:
            yield f'{place}: layout = "{table.layout}" needs `{name}`.'
        if given and table.layout not in allowed:
            listed = " or ".join(f'layout = "{layout}"' for layout in allowed)
            yield f'{place}: `{name}` is for {listed}, but this table is "{table.layout}".'
    if table.layout == "adtte":
        try:
            conversion_factor(table.unit, "days")
        except SchemaError as exc:
            yield f"`unit` of {place}: {exc}"


def _check_columns(mapping: CohortMapping) -> Iterator[str]:
    """Find mapped columns that cannot be: unknown table, bad name, unit that does not convert."""
    for table, columns in mapping.columns.items():
        if table not in mapping.tables:
            yield (
                f"[columns] in {mapping.source} has {table!r}, but [tables] has no such table."
                f"{nearest(table, mapping.tables)} It has: {', '.join(mapping.tables)}."
            )
            continue
        place = f"[columns.{table}] in {mapping.source}"
        if "day" in columns and "year" in columns:
            yield f"{place} maps both `day` and `year`. Keep one of them."
        for name, column in columns.items():
            yield from _check_column(name, column, mapping, table, place)


def _check_column(
    name: str, column: ColumnSource, mapping: CohortMapping, table: str, place: str
) -> Iterator[str]:
    """Find what is wrong with one mapped column."""
    if not (name.isidentifier() and name.isascii()):
        yield (
            f"{place}: {name!r} cannot be a column name here. Ours stands on the left, made of "
            f'letters, digits and _, and yours on the right, as in age_years = "{name}".'
        )
    if column.format is not None and name not in DATE_COLUMNS:
        yield f"{place}: `format` of {name!r} is for dates ({', '.join(DATE_COLUMNS)})."
    if column.format is not None and "%" not in column.format:
        yield from _check_format(name, column.format, place)
    if column.take is not None and mapping.role(table) != "subjects":
        yield f"{place}: `take` of {name!r} is for subject columns."
    if column.unit is not None:
        try:
            conversion_factor(column.unit, target_unit(name, mapping.dictionary))
        except SchemaError as exc:
            known = name in mapping.dictionary
            hint = "" if known else nearest(name, mapping.dictionary)
            undeclared = not known and not target_unit(name, mapping.dictionary)
            if undeclared and mapping.role(table) == "visits":
                exc_text = f"unknown measure: declare [measures.{name}] with its label and unit."
            else:
                exc_text = str(exc)
            yield f"`unit` of {name!r} of {place}: {exc_text}{hint}"


def _check_format(name: str, written: str, place: str) -> Iterator[str]:
    """Refuse a date format that is neither strptime's nor a way to count days; suggest one."""
    if written in SERIAL_FORMATS:
        return
    meant = strptime_format(written)
    advice = f'"{meant}"' if meant else '"%d.%m.%Y" (%d day, %m month, %Y year of four digits)'
    yield (
        f'{place}: format = "{written}" of {name!r} says nothing about day, month and year. Write '
        f"format = {advice}, or one of {', '.join(SERIAL_FORMATS)} for numbers that count days."
    )


def target_unit(name: str, dictionary: DataDictionary) -> str:
    """Return the unit into which a column is converted.

    Parameters
    ----------
    name : str
        Our column name.
    dictionary : DataDictionary
        What the measures are.

    Returns
    -------
    str
        Unit of the measure, ``"days"`` for time from baseline, else what the name ends in.

    Examples
    --------
    >>> target_unit("day", default_dictionary()), target_unit("age_years", default_dictionary())
    ('days', 'years')
    """
    if name in ("day", "year"):
        return "days"
    return dictionary[name].unit if name in dictionary else unit_of_name(name)
