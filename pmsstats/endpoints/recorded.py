"""Events that need no derivation: recorded for each subject, or the exit from the study."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from pmsstats.cohort import Cohort
from pmsstats.endpoints.rule import require_text
from pmsstats.endpoints.time_to_event import EndpointResult, endpoint_result, left_out
from pmsstats.errors import DesignError, SchemaError, first_ids, nearest

__all__ = ["ExitEventRule", "RecordedEventRule", "derive_exit_event", "derive_recorded_event"]

_DAYS = {"day": 1.0, "week": 7.0, "month": 365.25 / 12, "year": 365.25}
DurationUnit = Literal["day", "week", "month", "year"]
_STATUS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


@dataclass(frozen=True, kw_only=True)
class RecordedEventRule:
    """An event that the subjects table already holds.

    Parameters
    ----------
    duration : str
        Subject column with the time from day 0 to event or censoring.
    event : str
        Subject column that says whether the event happened.
    event_values : tuple
        Values of that column that mean "happened"; by default it must be true / false,
        yes / no or 0 / 1.
    duration_unit : {"day", "week", "month", "year"}
        Unit of the duration column; rounded to whole days.
    name : str
        Short name.
    label : str
        The event in clinical words; by default made from the column name.

    Raises
    ------
    DesignError
        If a field is empty or the unit unknown.

    Examples
    --------
    >>> RecordedEventRule(duration="years", event="status", event_values=("dead",),
    ...                   duration_unit="year", label="death").describe()
    "Death, as recorded for each subject: time from day 0 in `years` (in years), event where \
`status` is 'dead', censored otherwise. Nothing was derived from visits."
    """

    duration: str
    event: str
    event_values: tuple[Any, ...] = ()
    duration_unit: DurationUnit = "day"
    name: str = "recorded"
    label: str = ""

    def __post_init__(self) -> None:
        """Check names and unit."""
        for field in ("duration", "event", "name"):
            require_text(self, field)
        require_text(self, "label", may_be_empty=True)
        if self.duration_unit not in _DAYS:
            raise DesignError(
                f"`duration_unit` must be one of {', '.join(_DAYS)}, got {self.duration_unit!r}."
                f"{nearest(str(self.duration_unit), _DAYS)}"
            )
        object.__setattr__(self, "event_values", _as_tuple(self.event_values))

    @property
    def title(self) -> str:
        """The event in clinical words."""
        return self.label or f"the recorded event `{self.event}`"

    def describe(self) -> str:
        """Write the definition as a paragraph.

        Returns
        -------
        str
            For a protocol or a methods section.
        """
        values = " or ".join(repr(v) for v in self.event_values) or "true"
        return (
            f"{_capital(self.title)}, as recorded for each subject: time from day 0 in "
            f"`{self.duration}` (in {self.duration_unit}s), event where `{self.event}` is "
            f"{values}, censored otherwise. Nothing was derived from visits."
        )


@dataclass(frozen=True, kw_only=True)
class ExitEventRule:
    """Leaving the study for certain reasons, such as death, as an event.

    Parameters
    ----------
    reasons : tuple of str
        Reasons in the exits table that count as the event.
    name : str
        Short name.
    label : str
        The event in clinical words; by default the reasons.

    Raises
    ------
    DesignError
        If there is no reason.

    Examples
    --------
    >>> ExitEventRule(reasons=("death",)).title
    'death'
    """

    reasons: tuple[str, ...]
    name: str = "exit"
    label: str = ""

    def __post_init__(self) -> None:
        """Check the reasons."""
        reasons = _as_tuple(self.reasons)
        if not reasons or not all(isinstance(r, str) and r for r in reasons):
            raise DesignError(
                f"`reasons` must be a list of reasons of the exits table such as ['death'], got "
                f"{self.reasons!r}."
            )
        object.__setattr__(self, "reasons", reasons)
        require_text(self, "name")
        require_text(self, "label", may_be_empty=True)

    @property
    def title(self) -> str:
        """The event in clinical words."""
        return self.label or " or ".join(self.reasons)

    def describe(self) -> str:
        """Write the definition as a paragraph.

        Returns
        -------
        str
            For a protocol or a methods section.
        """
        reasons = " or ".join(repr(r) for r in self.reasons)
        return (
            f"{_capital(self.title)}: time from day 0 to the day of exit, where the reason of the "
            f"exit is {reasons}. Subjects who left for another reason are censored on that day, "
            "all others at their last visit."
        )


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
    events = pd.DataFrame(
        {
            "subject_id": ids[keep],
            "duration": days[keep].round().astype("int64"),
            "event": happened[keep].astype(bool),
            "day_baseline": np.int64(0),
            "censor_reason": "recorded as censored",
        }
    )
    exclusions = left_out(rule.name, ids, reasons)
    return endpoint_result(cohort, rule, label=rule.title, events=events, exclusions=exclusions)


def derive_exit_event(cohort: Cohort, rule: ExitEventRule) -> EndpointResult:
    """Take an event from the exits table.

    Parameters
    ----------
    cohort : Cohort
        With exits.
    rule : ExitEventRule
        Which reasons count.

    Returns
    -------
    EndpointResult
        Subjects without any follow-up after day 0 are left out and counted.

    Raises
    ------
    DesignError
        If no exit has any of the reasons, or nobody is left.
    """
    exits = cohort.exits.drop_duplicates("subject_id").set_index("subject_id")
    found = exits["reason"].astype(str)
    if not found.isin(rule.reasons).any():
        present = list(dict.fromkeys(found))
        raise DesignError(
            f"`reasons` {list(rule.reasons)!r} do not occur in the exits table."
            f"{nearest(rule.reasons[0], present)} It has: {', '.join(present) or 'no exit'}."
        )
    ids = cohort.subjects["subject_id"]
    last_visit = ids.map(cohort.visits.groupby("subject_id", observed=True)["day"].max())
    exit_day, reason = ids.map(exits["day"]), ids.map(found)
    days = exit_day.fillna(last_visit)
    excluded = pd.Series(np.where(days > 0, "", "no follow-up after day 0"), index=ids.index)
    keep = excluded == ""
    events = pd.DataFrame(
        {
            "subject_id": ids[keep],
            "duration": days[keep].astype("int64"),
            "event": reason[keep].isin(rule.reasons),
            "day_baseline": np.int64(0),
            "censor_reason": np.where(exit_day[keep].isna(), "last visit", "left the study"),
        }
    )
    exclusions = left_out(rule.name, ids, excluded)
    return endpoint_result(cohort, rule, label=rule.title, events=events, exclusions=exclusions)


def _as_tuple(value: Any) -> tuple[Any, ...]:
    """Turn one value or several to a tuple."""
    return (value,) if isinstance(value, str) or not isinstance(value, Iterable) else tuple(value)


def _capital(text: str) -> str:
    """Start with a capital letter and leave the rest as it is."""
    return text[:1].upper() + text[1:]


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
    return numbers * _DAYS[rule.duration_unit]


def _happened(subjects: pd.DataFrame, rule: RecordedEventRule) -> pd.Series:
    """Return the recorded event status as nullable booleans."""
    column = _subject_column(subjects, rule.event, "event").astype(object)
    known = column.notna()
    spelled = column.map(_spelling)
    if rule.event_values:
        wanted = {_spelling(value) for value in rule.event_values}
        _require_some(spelled[known], wanted, rule)
        return spelled.isin(wanted).astype("boolean").where(known)
    status = spelled.map(_STATUS)
    bad = known & status.isna()
    if bad.any():
        raise SchemaError(
            f"`{rule.event}` of the subjects table must be true / false or 0 / 1, but holds "
            f"{column[bad].tolist()[0]!r} ({first_ids(subjects.loc[bad, 'subject_id'])}). Name "
            "the values that mean an event under `event_values`."
        )
    return status.astype("boolean").where(known)


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
