"""Events that need no derivation: recorded for each subject, or the exit from the study."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from pmsstats.cohort import Cohort
from pmsstats.endpoints.definitions.event_rules import (
    DAYS_PER_UNIT,
    ExitEventRule,
    RecordedEventRule,
)
from pmsstats.endpoints.derivation.time_to_event import EndpointResult, endpoint_result, left_out
from pmsstats.errors import DesignError, SchemaError, first_ids, nearest

__all__ = [
    "derive_exit_event",
    "derive_recorded_event",
    "exact_events",
    "follow_up_end",
    "truth_values",
]

_STATUS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


def derive_recorded_event(cohort: Cohort, rule: RecordedEventRule) -> EndpointResult:
    """Take an event from the subjects table.

    Parameters
    ----------
    cohort : Cohort
        With the columns that the rule names.
    rule : RecordedEventRule
        Which columns.

    Returns
    -------
    EndpointResult
        Subjects without a duration or event status are left out and counted.

    Raises
    ------
    SchemaError
        If a column does not exist or does not hold what it should.
    DesignError
        If no subject has any of the `event_values`, or nobody is left.
    """
    subjects = cohort.subjects
    days = _durations(subjects, rule)
    happened = _happened(subjects, rule)
    ids = subjects["subject_id"]
    reasons = pd.Series("", index=subjects.index)
    reasons[happened.isna()] = f"no value in `{rule.event}`"
    reasons[days.isna()] = f"no value in `{rule.duration}`"
    reasons[days < 0] = f"`{rule.duration}` is negative"
    keep = reasons == ""
    events = exact_events(ids[keep], days[keep].round(), happened[keep].astype(bool))
    events["censor_reason"] = "recorded as censored"
    exclusions = left_out(rule.name, ids, reasons)
    return endpoint_result(cohort, rule, label=rule.title, events=events, exclusions=exclusions)


def derive_exit_event(
    cohort: Cohort, rule: ExitEventRule, *, may_be_absent: bool = False
) -> EndpointResult:
    """Take leaving the study for certain reasons as the event.

    Parameters
    ----------
    cohort : Cohort
        With exits.
    rule : ExitEventRule
        Which reasons count.
    may_be_absent : bool, default False
        Accept that nobody left for such a reason; by default it is taken for misspelt.

    Returns
    -------
    EndpointResult
        Subjects without any follow-up after day 0 are left out and counted.

    Raises
    ------
    DesignError
        If no exit has any of the reasons, or nobody is left.
    """
    ids = cohort.subjects["subject_id"]
    exits = cohort.exits.drop_duplicates("subject_id").set_index("subject_id")["reason"].astype(str)
    if not (may_be_absent or exits.isin(rule.reasons).any()):
        present = list(dict.fromkeys(exits))
        raise DesignError(
            f"`reasons` {list(rule.reasons)!r} do not occur in the exits table."
            f"{nearest(rule.reasons[0], present)} It has: {', '.join(present) or 'no exit'}."
        )
    days, left = follow_up_end(cohort)
    excluded = pd.Series(np.where(days > 0, "", "no follow-up after day 0"), index=ids.index)
    keep = excluded == ""
    events = exact_events(ids[keep], days[keep], ids.map(exits)[keep].isin(rule.reasons))
    events["censor_reason"] = np.where(left[keep], "left the study", "last visit")
    exclusions = left_out(rule.name, ids, excluded)
    return endpoint_result(cohort, rule, label=rule.title, events=events, exclusions=exclusions)


def follow_up_end(cohort: Cohort) -> tuple[pd.Series, pd.Series]:
    """Return the day on which each subject's follow-up ended.

    Parameters
    ----------
    cohort : Cohort
        Any.

    Returns
    -------
    days : pandas.Series of float
        Day of the exit, or else of the last visit, in the order of the subjects table; missing
        for subjects without either.
    left : pandas.Series of bool
        Whether it is the exit.
    """
    ids = cohort.subjects["subject_id"]
    exits = cohort.exits.drop_duplicates("subject_id").set_index("subject_id")["day"]
    last_visit = ids.map(cohort.visits.groupby("subject_id", observed=True)["day"].max())
    exit_day = ids.map(exits)
    return exit_day.fillna(last_visit).astype(float), exit_day.notna()


def exact_events(ids: pd.Series, days: pd.Series, event: pd.Series) -> pd.DataFrame:
    """Tabulate events whose day is known, counted from day 0.

    Parameters
    ----------
    ids : pandas.Series
        Subjects.
    days : pandas.Series
        Whole days to event or censoring.
    event : pandas.Series of bool
        Whether it happened.

    Returns
    -------
    pandas.DataFrame
        Columns ``subject_id duration event day_baseline``; without an interval, an event counts as
        observed exactly.
    """
    return pd.DataFrame(
        {
            "subject_id": ids,
            "duration": days.astype("int64"),
            "event": event.astype(bool),
            "day_baseline": np.int64(0),
        }
    )


def truth_values(values: pd.Series, ids: pd.Series, *, column: str, advice: str) -> pd.Series:
    """Read a column of yes and no.

    Parameters
    ----------
    values : pandas.Series
        True / false, yes / no or 0 / 1, as whatever they were stored.
    ids : pandas.Series
        Whose they are, same index.
    column : str
        What to call the column in messages: `` `event` of the subjects table``.
    advice : str
        What to do where a value is anything else.

    Returns
    -------
    pandas.Series
        Nullable booleans.

    Raises
    ------
    SchemaError
        If a value is anything else.
    """
    raw = values.astype(object)
    known = raw.notna()
    status = raw.map(_spelling).map(_STATUS)
    bad = known & status.isna()
    if bad.any():
        raise SchemaError(
            f"{column} must be true / false or 0 / 1, but holds {raw[bad].tolist()[0]!r} "
            f"({first_ids(ids[bad])}). {advice}"
        )
    return status.astype("boolean").where(known)


def _subject_column(subjects: pd.DataFrame, name: str, field: str) -> pd.Series:
    """Return a column of the subjects table, or say which was meant."""
    if name not in subjects.columns:
        raise SchemaError(
            f"`{field}` names {name!r}, which is no column of the subjects table."
            f"{nearest(name, subjects.columns)}"
        )
    return subjects[name]


def _durations(subjects: pd.DataFrame, rule: RecordedEventRule) -> pd.Series:
    """Return the recorded durations in days, missing where none is given."""
    column = _subject_column(subjects, rule.duration, "duration")
    numbers = pd.to_numeric(column, errors="coerce").astype(float)
    bad = numbers.isna() & column.notna()
    if bad.any():
        raise SchemaError(
            f"`{rule.duration}` of the subjects table must be a number of {rule.duration_unit}s, "
            f"but {int(bad.sum())} subject(s) have something else, for example "
            f"{column[bad].tolist()[0]!r} ({first_ids(subjects.loc[bad, 'subject_id'])})."
        )
    return numbers * DAYS_PER_UNIT[rule.duration_unit]


def _happened(subjects: pd.DataFrame, rule: RecordedEventRule) -> pd.Series:
    """Return the recorded event status as nullable booleans."""
    column = _subject_column(subjects, rule.event, "event").astype(object)
    if not rule.event_values:
        return truth_values(
            column,
            subjects["subject_id"],
            column=f"`{rule.event}` of the subjects table",
            advice="Name the values that mean an event under `event_values`.",
        )
    known = column.notna()
    spelled = column.map(_spelling)
    wanted = {_spelling(value) for value in rule.event_values}
    _require_some(spelled[known], wanted, rule)
    return spelled.isin(wanted).astype("boolean").where(known)


def _spelling(value: Any) -> str:
    """Write a value in one way, whether it came as 1, 1.0, True or "1"."""
    if isinstance(value, bool | np.bool_):
        return str(bool(value)).casefold()
    try:
        return f"{float(value):g}"
    except (TypeError, ValueError):
        return str(value).strip().casefold()


def _require_some(spelled: pd.Series, wanted: set[str], rule: RecordedEventRule) -> None:
    """Refuse event values that nobody has: more likely misspelt than absent."""
    if not spelled.isin(wanted).any():
        found = list(dict.fromkeys(spelled))
        raise DesignError(
            f"`event_values` {list(rule.event_values)!r} do not occur in `{rule.event}`."
            f"{nearest(str(rule.event_values[0]), found)} It has: {', '.join(found[:6])}."
        )
