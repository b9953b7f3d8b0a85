"""Whether a cohort can be asked what a study file asks: every name, before any model."""

from __future__ import annotations

from collections.abc import Iterator

from pmsstats.association.task import RESERVED_COLUMNS
from pmsstats.cohort import Cohort
from pmsstats.cohort.columns import as_texts
from pmsstats.endpoints import ProgressionRule
from pmsstats.errors import DesignError, SchemaError, nearest
from pmsstats.study.spec import StudySpec

__all__ = ["FOLLOW_UP_COLUMNS", "MOST_GROUPS", "check_questions"]

MOST_GROUPS = 12
FOLLOW_UP_COLUMNS = ("subject_id", "duration", "event")
"""Columns of an endpoint's table that are analysed by group."""

_TAKEN = {"day", "year", "visit", *FOLLOW_UP_COLUMNS, *RESERVED_COLUMNS}


def check_questions(cohort: Cohort, spec: StudySpec) -> None:
    """Check the questions of a study against its tables.

    Parameters
    ----------
    cohort : Cohort
        All subjects that were read.
    spec : StudySpec
        The study file.

    Raises
    ------
    SchemaError
        If a measure, column or group that [analysis] names does not exist, or has a name that the
        analysis needs for itself.
    DesignError
        If the measure has no value, or no subject has two.
    """
    analysis = spec.analysis
    _require_measure(cohort, analysis.measure)
    if isinstance(analysis.outcome, ProgressionRule):
        _require_measure(cohort, analysis.outcome.outcome)
    named = [("group", analysis.group), *(("covariates", c) for c in analysis.covariates)]
    for key, column in named:
        if column is not None:
            _require_column(cohort, spec, key, column)
    _require_groups(cohort, spec)
    _require_values(cohort, analysis.measure)


def _require_measure(cohort: Cohort, name: str) -> None:
    """Refuse a measure that is not there, and point to a column that was not mapped to it."""
    try:
        cohort.measure(name)
    except SchemaError as exc:
        issues = cohort.issues
        unmapped = issues.loc[issues["rule"] == "unmapped_measure", "column"].astype(str)
        alike = [c for c in unmapped if c.casefold() == name.casefold()]
        hint = f' Map it: {name} = "{alike[0]}" under [columns.visits].' if alike else ""
        raise SchemaError(f"{exc}{hint}") from exc


def _require_column(cohort: Cohort, spec: StudySpec, key: str, column: str) -> None:
    """Refuse a subject column that is not there, or whose name is taken."""
    columns = [str(c) for c in cohort.subjects.columns]
    where = f"`{key}` of [analysis] in {spec.source}"
    if column in _TAKEN or column in {m.name for m in cohort.measures}:
        raise SchemaError(
            f"{where} names {column!r}, a name that the analysis needs for itself. Map the column "
            f'to another one under [columns.subjects]: baseline_{column} = "...".'
        )
    if column not in columns:
        raise SchemaError(
            f"{where} names {column!r}, which is no column of the subjects table."
            f"{nearest(column, columns)} It has: {', '.join(columns)}."
        )


def _require_groups(cohort: Cohort, spec: StudySpec) -> None:
    """Refuse groups that are too many to compare, and values to keep that nobody has."""
    analysis = spec.analysis
    if analysis.group is None:
        return
    labels = as_texts(cohort.subjects[analysis.group].astype(object))
    found = labels.dropna().unique().tolist()
    for problem in _group_problems(found, analysis.groups, analysis.group):
        raise SchemaError(f"[analysis] in {spec.source}: {problem}")


def _group_problems(found: list[str], wanted: tuple[str, ...], group: str) -> Iterator[str]:
    """Say what is wrong with the groups."""
    for name in wanted:
        if name not in found:
            yield (
                f"`groups` names {name!r}, but {group!r} has: {', '.join(sorted(found)[:12])}."
                f"{nearest(name, found)}"
            )
    if not wanted and len(found) > MOST_GROUPS:
        yield (
            f"`group` names {group!r}, which has {len(found)} different values, more than "
            f"{MOST_GROUPS}. Use it as one of `covariates`, or name the `groups` to compare."
        )


def _require_values(cohort: Cohort, measure: str) -> None:
    """Refuse a measure that cannot show change."""
    visits = cohort.visits
    per_subject = visits.loc[visits[measure].notna(), "subject_id"].value_counts()
    if per_subject.empty:
        raise DesignError(f"The measure {measure!r} has no value at any visit. Check its column.")
    if per_subject.max() < 2:
        raise DesignError(
            f"No subject has {measure!r} at more than one visit, so no change can be estimated "
            f"({len(per_subject)} subjects with one value). Check that the visits table has all "
            "visits, and that the ids of repeated visits agree."
        )
