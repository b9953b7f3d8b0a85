"""Bring an opened file to our columns: choose its rows, change its layout, convert its values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from pmsstats.cohort.adam import observed_records
from pmsstats.cohort.columns import as_texts, convert_columns
from pmsstats.cohort.issues import concat_issues, no_issues
from pmsstats.cohort.layouts import Pivoted, keep_rows, pivot_parameters, take_events
from pmsstats.cohort.mapping import ColumnSource
from pmsstats.cohort.resolve import OpenedTable
from pmsstats.cohort.schema import DataDictionary
from pmsstats.results import Exclusion

__all__ = ["Part", "convert_table"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """An opened file in our columns.

    Parameters
    ----------
    table : OpenedTable
        Where it comes from.
    frame : pandas.DataFrame
        Our columns; time still as ``day``, ``year`` (in days) or ``date``.
    issues : pandas.DataFrame
        Problems met on the way.
    exclusions : tuple of Exclusion
        Rows left out on the way.
    """

    table: OpenedTable
    frame: pd.DataFrame
    issues: pd.DataFrame
    exclusions: tuple[Exclusion, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class _Context:
    """What all conversions of a table need."""

    table: OpenedTable
    dictionary: DataDictionary
    labels: Mapping[str, Mapping[str, str]]

    @property
    def stage(self) -> str:
        """Name the step, for exclusions."""
        return f"reading {self.table.name}"

    def columns(
        self, raw: pd.DataFrame, columns: Mapping[str, ColumnSource]
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Convert some columns."""
        return convert_columns(
            raw,
            columns,
            table=self.table.role,
            dictionary=self.dictionary,
            labels=self.labels,
            typed=self.table.typed,
        )


def convert_table(
    table: OpenedTable, dictionary: DataDictionary, labels: Mapping[str, Mapping[str, str]]
) -> Part:
    """Bring an opened file to our columns.

    Parameters
    ----------
    table : OpenedTable
        With settled columns.
    dictionary : DataDictionary
        What the measures are.
    labels : mapping of str to mapping of str to str
        By our column name, their label to ours.

    Returns
    -------
    Part
        Its rows in our columns.
    """
    context = _Context(table=table, dictionary=dictionary, labels=labels)
    keep = dict(table.source.keep)
    if table.source.is_long:  # first, so that rows of other parameters are counted once
        keep = {table.source.parameter_column: _parameters(table), **keep}
    raw, left_out = keep_rows(
        table.raw.frame, keep, stage=context.stage, subject=as_texts(table.subject)
    )
    if table.source.layout == "adtte":
        part = _convert_events(context, raw)
    elif table.source.is_long:
        part = _convert_long(context, raw)
    else:
        frame, issues = context.columns(raw, table.columns)
        part = Part(table=table, frame=frame, issues=issues)
    return Part(
        table=table,
        frame=part.frame,
        issues=part.issues,
        exclusions=(*left_out, *part.exclusions),
    )


def _parameters(table: OpenedTable) -> tuple[str, ...]:
    """List the parameters that are mapped, each once."""
    return tuple(dict.fromkeys(source.column for source in table.parameters.values()))


def _convert_long(context: _Context, raw: pd.DataFrame) -> Part:
    """Convert a table with one row per value."""
    table = context.table
    wanted = table.parameters
    key_sources = {name: c for name, c in table.columns.items() if name not in wanted}
    keys, key_issues = context.columns(raw, key_sources)
    observed = _observe(context, raw, keys)
    rows = raw.loc[observed.frame.index]
    wide = pivot_parameters(
        observed.frame,
        rows[table.source.parameter_column],
        rows[table.source.value_column],
        _parameters(table),
        match=table.source.match,
        table=table.role,
    )
    measured, issues = context.columns(
        wide.frame, {"subject_id": ColumnSource(column="subject_id"), **wanted}
    )
    return Part(
        table=table,
        frame=wide.frame[[*key_sources]].join(measured[[*wanted]]),
        issues=concat_issues([key_issues, observed.issues, wide.issues, issues]),
        exclusions=observed.exclusions,
    )


def _observe(context: _Context, raw: pd.DataFrame, keys: pd.DataFrame) -> Pivoted:
    """Apply the ADaM conventions to a BDS table; leave other long tables alone."""
    table = context.table
    if table.source.layout != "bds":
        return Pivoted(frame=keys, issues=no_issues())
    return observed_records(
        raw,
        keys,
        kept=table.source.keep,
        study_day="day" in table.columns and table.columns["day"].column == "ADY",
        table=table.role,
        stage=context.stage,
    )


def _convert_events(context: _Context, raw: pd.DataFrame) -> Part:
    """Convert a time-to-event table to subject columns."""
    source = context.table.source
    keys, issues = context.columns(raw, {"subject_id": context.table.columns["subject_id"]})
    events = take_events(
        raw,
        keys["subject_id"],
        duration=str(source.duration),
        event=str(source.event),
        unit=source.unit,
        table=context.table.role,
    )
    return Part(
        table=context.table,
        frame=events.frame,
        issues=concat_issues([issues, events.issues]),
    )
