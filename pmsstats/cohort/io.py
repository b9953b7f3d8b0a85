"""Read a cohort from a study file, a folder or a mapping, and write it back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from pmsstats.cohort.assemble import assemble_tables, drop_empty_visits
from pmsstats.cohort.cohort import Cohort
from pmsstats.cohort.convert import convert_table
from pmsstats.cohort.folder import write_cohort
from pmsstats.cohort.issues import concat_issues
from pmsstats.cohort.mapping import CohortMapping
from pmsstats.cohort.resolve import OpenedTable, find_mapping, open_tables
from pmsstats.cohort.schema import DataDictionary
from pmsstats.cohort.source_values import source_units, tell_source_values
from pmsstats.cohort.tables import RawTable, ReadOptions, read_table
from pmsstats.cohort.validate import describe
from pmsstats.errors import SchemaError
from pmsstats.provenance import Source
from pmsstats.results import Exclusion

__all__ = ["RawTable", "ReadOptions", "read_cohort", "read_table", "write_cohort"]

_UNDATABLE = ("date_order_unknown", "mixed_dates")


def read_cohort(path: str | Path | CohortMapping, *, data_dir: str | Path | None = None) -> Cohort:
    """Read, convert and check the tables of a cohort.

    Parameters
    ----------
    path : str, pathlib.Path or CohortMapping
        A study.toml; a folder that holds ``subjects``, ``visits`` and optionally ``relapses`` and
        ``exits`` with our column names; or a mapping.
    data_dir : str or pathlib.Path, optional
        Folder of the tables; by default that of the study file.

    Returns
    -------
    Cohort
        Validated. Its ``sources`` have the hashes of the files, its ``exclusions`` the rows that
        reading left out, its ``issues`` what was guessed or looks doubtful.

    Raises
    ------
    SchemaError
        If files, columns or values are not as they must be. All problems of the study file are
        told at once, then all of files and columns, then all of values.

    Notes
    -----
    ``day`` counts from the subject's ``baseline_date``, if the subjects table maps one, else from
    the first dated visit. Subject columns that are in the visits' file must not vary within a
    subject, unless their mapping says which value to `take`. With a section [columns.subjects],
    columns of a subjects file that are not mapped and look like names or ids are not read.
    Visits without a value of any measure are left out and counted.
    """
    mapping = find_mapping(path)
    opened = open_tables(mapping, Path(data_dir) if data_dir is not None else mapping.folder)
    dictionary = _dictionary(mapping, opened)
    parts = [convert_table(table, dictionary, mapping.labels) for table in opened]
    issues = [*(table.raw.issues for table in opened), *(part.issues for part in parts)]
    _stop_if_undatable(concat_issues(issues))
    tables, found = assemble_tables(parts)
    _stop_if_undated(tables, concat_issues([*issues, found]))
    exclusions = [*_earlier_exclusions(opened), *(e for part in parts for e in part.exclusions)]
    visits = tables["visits"]
    if not all(table.typed for table in opened):  # what write_cohort wrote stays whole
        visits, empty = drop_empty_visits(visits, dictionary)
        exclusions += empty
    units = source_units(parts, dictionary)
    try:
        cohort = Cohort(
            tables["subjects"],
            visits,
            tables.get("relapses"),
            tables.get("exits"),
            dictionary=dictionary,
            origin="synthetic" if _is_synthetic(mapping, opened) else "real",
            sources=_sources(opened),
            prior_issues=concat_issues([*issues, found]),
            exclusions=exclusions,
        )
    except SchemaError as exc:
        if exc.failures is None:
            raise
        failures = tell_source_values(exc.failures, units)
        raise SchemaError(describe(failures), failures=failures) from None
    cohort._issues = tell_source_values(cohort.issues, units)  # noqa: SLF001
    return cohort


def _dictionary(mapping: CohortMapping, opened: Sequence[OpenedTable]) -> DataDictionary:
    """Join the package's measures, those kept beside the tables, and the study file's own."""
    written = [measure for table in opened for measure in table.written.measures]
    return mapping.dictionary.extend(*written, *mapping.measures)


def _is_synthetic(mapping: CohortMapping, opened: Sequence[OpenedTable]) -> bool:
    """Say whether the study file, or the writer of any table, calls the data synthetic."""
    return mapping.origin == "synthetic" or any(t.written.origin == "synthetic" for t in opened)


def _stop_if_undatable(issues: pd.DataFrame) -> None:
    """Refuse tables whose dates cannot be read at all: nothing more can be said about them."""
    wrong_format = (issues["rule"] == "not_a_date") & issues["row"].isna()
    if (issues["rule"].isin(_UNDATABLE) | wrong_format).any():
        raise SchemaError(describe(issues), failures=issues)


def _stop_if_undated(tables: Mapping[str, pd.DataFrame], issues: pd.DataFrame) -> None:
    """Refuse tables of which no row has a date that can be read, before they seem to be empty."""
    undated = issues.loc[issues["rule"] == "not_a_date", "table"]
    if any(not len(tables[name]) for name in ("subjects", "visits") if name in set(undated)):
        raise SchemaError(describe(issues), failures=issues)


def _earlier_exclusions(opened: Sequence[OpenedTable]) -> list[Exclusion]:
    """Return what was left out before the tables were written, each once."""
    return list(dict.fromkeys(e for table in opened for e in table.written.exclusions))


def _sources(opened: Sequence[OpenedTable]) -> list[Source]:
    """List the files, each once, with all tables that came from it."""
    sources: dict[tuple[str, str], Source] = {}
    for table in opened:
        source = replace(table.raw.source, role=table.name)
        key = (source.name, source.sha256)
        if key in sources:
            source = replace(source, role=f"{sources[key].role}, {table.name}")
        sources[key] = source
    return list(sources.values())
