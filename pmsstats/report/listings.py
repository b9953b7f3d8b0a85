"""Tables of what is in the data: Table 1, doubtful values, and what was left out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import pandas as pd

from pmsstats.report.tables import ReportTable
from pmsstats.results import Exclusion, exclusions_table, format_number

__all__ = ["exclusion_table", "issues_table", "table_one"]


def table_one(display: pd.DataFrame) -> ReportTable:
    """Lay out a cohort's summary.

    Parameters
    ----------
    display : pandas.DataFrame
        Text cells: ``Characteristic Statistic`` and a column per group.

    Returns
    -------
    ReportTable
        "Table 1".
    """
    return ReportTable(
        caption="Subjects at baseline and their follow-up, by group",
        columns=tuple(str(c) for c in display.columns),
        rows=tuple(
            tuple(_unbroken(format_number(v)) for v in row) for row in display.to_numpy().tolist()
        ),
        layout="scroll",
        text_columns=tuple(i for i, c in enumerate(display.columns) if c == "Statistic"),
    )


def _unbroken(cell: str) -> str:
    """Keep what stands in square brackets on one line."""
    return re.sub(r"\[[^\]]*\]", lambda found: found[0].replace(" ", "\u00a0"), cell)


def exclusion_table(exclusions: Iterable[Exclusion]) -> ReportTable | None:
    """Lay out what was left out, with the first subjects concerned.

    Parameters
    ----------
    exclusions : iterable of Exclusion
        In the order of the steps.

    Returns
    -------
    ReportTable or None
        None where nothing was left out.
    """
    frame = exclusions_table(exclusions)
    if frame.empty:
        return None
    return ReportTable(
        caption="Left out, with the first subjects concerned",
        columns=("Step", "Reason", "Unit", "Left out", "Subjects", "For example"),
        rows=_cells(frame, ("stage", "reason", "unit", "n", "n_subjects", "first_subjects")),
        notes=("All subjects are listed in tables/exclusions.csv.",),
        text_columns=(1, 2, 5),
    )


def issues_table(issues: pd.DataFrame) -> ReportTable | None:
    """Tally what validation found doubtful, one row per rule, table and column.

    Parameters
    ----------
    issues : pandas.DataFrame
        ``rule severity table row subject_id column value message``.

    Returns
    -------
    ReportTable or None
        None where validation found nothing.
    """
    if issues.empty:
        return None
    keys = ["rule", "table", "column"]
    text = issues.assign(**{key: issues[key].fillna("").astype(str) for key in keys})
    tally = text.groupby(keys, sort=False).agg(n=("message", "size"), first=("message", "first"))
    frame = tally.reset_index()
    frame["rule"] = frame["rule"].str.replace("_", " ")
    return ReportTable(
        caption="Doubtful but used as they are",
        columns=("Rule", "Table", "Column", "Times", "First finding"),
        rows=_cells(frame, (*keys, "n", "first")),
        notes=("Every finding is listed with its row in tables/validation_warnings.csv.",),
        text_columns=(1, 2, 4),
    )


def _cells(frame: pd.DataFrame, columns: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Turn some columns to text, row by row."""
    records = frame[list(columns)].to_dict("records")
    return tuple(tuple(format_number(record[c]) for c in columns) for record in records)
