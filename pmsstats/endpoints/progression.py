"""Confirmed progression, derived from a cohort by a rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pmsstats.cohort import Cohort, Measure
from pmsstats.endpoints.confirmation import (
    FirstEvents,
    baseline_rows,
    days_since,
    first_confirmed,
    last_rows,
)
from pmsstats.endpoints.presets import progression_rule
from pmsstats.endpoints.rule import ProgressionRule
from pmsstats.endpoints.thresholds import is_reached
from pmsstats.endpoints.time_to_event import (
    UNCONFIRMED,
    EndpointResult,
    endpoint_result,
    left_out,
)
from pmsstats.results import Exclusion, exclude

__all__ = ["derive_progression"]

IntArray = NDArray[np.int64]

NO_EVENT = "no event up to the last visit"
"""What ``censor_reason`` can say; why the subject left is in ``exit_reason``."""


@dataclass(frozen=True, kw_only=True)
class _Assessments:
    """Visits with a value, sorted by subject and day.

    Parameters
    ----------
    subject, day : ndarray of int, shape (n_rows,)
        Subject code (row of the subjects table) and study day.
    value : ndarray of float, shape (n_rows,)
        The outcome.
    n_subjects : int
        Rows of the subjects table.
    """

    subject: IntArray
    day: IntArray
    value: NDArray[np.float64]
    n_subjects: int


@dataclass(frozen=True, kw_only=True)
class _FollowUp:
    """What each subject brings, in the order of the subjects table.

    Parameters
    ----------
    base_row, final_row : ndarray of int, shape (n_subjects,)
        Baseline and last visit, as rows of the assessments; -1 where there is none.
    base_value : ndarray of float, shape (n_subjects,)
        Outcome at baseline; NaN where there is none.
    reason : ndarray of object, shape (n_subjects,)
        Why the subject is not at risk; empty where it is.
    """

    base_row: IntArray
    final_row: IntArray
    base_value: NDArray[np.float64]
    reason: NDArray[np.object_]

    @property
    def at_risk(self) -> NDArray[np.bool_]:
        """Whether the subject has a baseline and a value after it."""
        return self.reason == ""


def derive_progression(cohort: Cohort, rule: ProgressionRule | str) -> EndpointResult:
    """Derive time to confirmed progression.

    Parameters
    ----------
    cohort : Cohort
        With the outcome among its measures.
    rule : ProgressionRule or str
        The definition, or the name of a preset such as ``"cdp24"``.

    Returns
    -------
    EndpointResult
        One row per subject at risk.

    Raises
    ------
    SchemaError
        If the cohort has no such measure.
    DesignError
        If there is no such preset, or no subject has a baseline and a later value.

    Notes
    -----
    The estimand is the time from baseline to the first change of at least the threshold that is
    still there at the confirming visit, see :meth:`ProgressionRule.describe`. The confirming
    visit is the first one far enough from the onset. Its value, and every value in between,
    must meet the threshold; missing values are passed over. The event is dated at its onset.

    Examples
    --------
    >>> import pandas as pd
    >>> cohort = Cohort(
    ...     pd.DataFrame({"subject_id": ["S1", "S2"]}),
    ...     pd.DataFrame(
    ...         {
    ...             "subject_id": ["S1"] * 4 + ["S2"] * 4,
    ...             "day": [0, 84, 168, 252] * 2,
    ...             "edss": [4.0, 5.0, 5.0, 5.5, 5.5, 6.0, 6.0, 6.0],
    ...         }
    ...     ),
    ... )
    >>> derive_progression(cohort, "cdp12").table()[["subject_id", "duration", "event"]]
      subject_id  duration  event
    0         S1        84   True
    1         S2       252  False
    """
    rule = progression_rule(rule) if isinstance(rule, str) else rule
    measure = cohort.measure(rule.outcome)
    ids = cohort.subjects["subject_id"]
    data, missing = _assessments(cohort, rule.outcome, ids)
    follow = _follow_up(data, rule, measure)
    near = _near_relapse(cohort, rule, data, ids)
    events = _events(data, follow, near, rule)
    events.insert(0, "subject_id", ids.to_numpy())
    reasons = pd.Series(follow.reason, index=ids.index)
    return endpoint_result(
        cohort,
        rule,
        events=events[follow.at_risk],
        label=rule.title(measure),
        definition=rule.describe(measure),
        exclusions=(
            *left_out(rule.name, ids, reasons),
            *exclude(f"endpoint {rule.name}", "visit", f"no {measure.label}", missing),
            *_unused_visits(data, follow, near, rule, ids),
        ),
    )


def _assessments(cohort: Cohort, outcome: str, ids: pd.Series) -> tuple[_Assessments, pd.Series]:
    """Return the visits that have a value, and the subject ids of those that have not.

    A cohort's tables are sorted by subject and day, so the codes ascend, and days within them.
    """
    visits = cohort.visits[["subject_id", "day", outcome]]
    value = visits[outcome].to_numpy(dtype=float, na_value=np.nan)
    has = ~np.isnan(value)
    subject = pd.Index(ids).get_indexer(visits["subject_id"][has]).astype(np.int64)
    day = visits["day"].to_numpy(dtype=np.int64)[has]
    data = _Assessments(subject=subject, day=day, value=value[has], n_subjects=len(ids))
    return data, visits["subject_id"][~has]


def _take(values: NDArray[Any], rows: IntArray) -> NDArray[Any]:
    """Take rows, where -1 (no row) gives anything, even when there are no values at all."""
    return values[rows] if len(values) else np.zeros(len(rows), dtype=values.dtype)


def _follow_up(data: _Assessments, rule: ProgressionRule, measure: Measure) -> _FollowUp:
    """Find each subject's baseline and last visit, and say who is not at risk."""
    window = rule.baseline_window_days
    base = baseline_rows(data.subject, data.day, data.n_subjects, window_days=window)
    final = last_rows(data.subject, data.n_subjects)
    value = np.where(base >= 0, _take(data.value, base), np.nan)
    reason = np.full(len(base), "", dtype=object)
    undefined = np.isnan(rule.threshold.required(value))
    late = f" nor in the {window} days after it" if window else ""
    zero = f"{measure.label} at baseline is not above 0, so no share of it can be taken"
    reason[undefined] = zero
    reason[final == base] = f"no visit with {measure.label} after baseline"
    reason[base < 0] = f"no {measure.label} at or before day 0{late} (no baseline)"
    reason[final < 0] = f"no {measure.label} at any visit"
    return _FollowUp(base_row=base, final_row=final, base_value=value, reason=reason)


def _near_relapse(
    cohort: Cohort, rule: ProgressionRule, data: _Assessments, ids: pd.Series
) -> NDArray[np.bool_]:
    """Say which visits come too soon after a relapse."""
    if not rule.relapse_days:
        return np.zeros(len(data.day), dtype=bool)
    relapses = cohort.relapses
    subject = pd.Index(ids).get_indexer(relapses["subject_id"]).astype(np.int64)
    day = relapses["day"].to_numpy(dtype=np.int64)
    return days_since(data.subject, data.day, subject, day) < rule.relapse_days


def _used(data: _Assessments, follow: _FollowUp) -> NDArray[np.bool_]:
    """Say which visits come after the baseline of a subject at risk."""
    after = np.arange(len(data.day)) > follow.base_row[data.subject]
    return after & follow.at_risk[data.subject]


def _events(
    data: _Assessments, follow: _FollowUp, near: NDArray[np.bool_], rule: ProgressionRule
) -> pd.DataFrame:
    """Tabulate the events, one row per subject (also of those not at risk)."""
    baseline = follow.base_value[data.subject]
    worse = is_reached(data.value, baseline, rule.threshold, rule.direction)
    found = _first_events(data, np.flatnonzero(_used(data, follow)), worse, near, rule)
    event = found.onset >= 0
    day_baseline = _take(data.day, follow.base_row)
    end = _take(data.day, np.where(event, found.onset, follow.final_row))
    return pd.DataFrame(
        {
            "duration": end - day_baseline,
            "event": event,
            "day_baseline": day_baseline,
            "baseline_value": follow.base_value,
            "day_onset": _nullable_day(data.day, found.onset),
            "day_confirmed": _nullable_day(data.day, found.confirmed),
            "censor_reason": np.where(_take(worse, follow.final_row), UNCONFIRMED, NO_EVENT),
        }
    )


def _first_events(
    data: _Assessments,
    rows: IntArray,
    worse: NDArray[np.bool_],
    near: NDArray[np.bool_],
    rule: ProgressionRule,
) -> FirstEvents:
    """Run the engine on the visits after baseline and map its rows back."""
    found = first_confirmed(
        data.subject[rows],
        data.day[rows],
        worse[rows],
        data.n_subjects,
        min_days=rule.min_days,
        usable=~near[rows],
    )
    back = np.append(rows, -1)
    return FirstEvents(onset=back[found.onset], confirmed=back[found.confirmed])


def _nullable_day(day: IntArray, rows: IntArray) -> pd.Series:
    """Return the day of each row, missing where there is none."""
    return pd.Series(_take(day, rows), dtype="Int64").mask(rows < 0)


def _unused_visits(
    data: _Assessments,
    follow: _FollowUp,
    near: NDArray[np.bool_],
    rule: ProgressionRule,
    ids: pd.Series,
) -> tuple[Exclusion, ...]:
    """Count the visits of subjects at risk that have a value and yet could not make an event."""
    stage = f"endpoint {rule.name}"
    used = _used(data, follow)
    early = follow.at_risk[data.subject] & ~used
    early[follow.base_row[follow.at_risk]] = False
    soon = f"fewer than {rule.relapse_days} days after a relapse: no onset, no confirmation"
    return (
        *exclude(stage, "visit", "before the baseline visit", ids.iloc[data.subject[early]]),
        *exclude(stage, "visit", soon, ids.iloc[data.subject[used & near]]),
    )
