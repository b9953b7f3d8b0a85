"""The time-varying method: a Cox model on the last value measured before each event."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pmsstats.association.spec import exposure
from pmsstats.association.task import (
    OUTCOME_COLUMNS,
    MethodRun,
    Task,
    complete_people,
    relate,
    within,
)
from pmsstats.results import Exclusion, exclude

if TYPE_CHECKING:
    from pmsstats.cohort.schema import Measure

__all__ = ["run_time_varying", "value_intervals"]

_METHOD = "time_varying"
_STAGE = f"association {_METHOD}"
_CAVEAT = (
    "Time-varying: the last measured value is taken as free of error and as constant until the "
    "next visit, which tends to pull the hazard ratio towards 1."
)


def run_time_varying(task: Task) -> MethodRun:
    """Relate the outcome to the current value.

    Parameters
    ----------
    task : Task
        Subjects at risk and their visits.

    Returns
    -------
    MethodRun
        Estimate per SD between subjects at the start of follow-up.
    """
    label = task.measure.label
    intervals, left_out = value_intervals(task.visits, task.measure, _STAGE)
    people, incomplete = complete_people(task.people, task.spec, _STAGE)
    people, unmeasured = within(
        people, intervals["subject_id"], f"no {label} before the event", _STAGE
    )
    fixed = people.drop(columns=list(OUTCOME_COLUMNS))
    data = intervals.merge(fixed, on="subject_id")
    entry = data.drop_duplicates("subject_id")
    sd = float(entry["value"].std(ddof=1))
    sign = exposure(task.measure, _METHOD).sign
    row, model, more = relate(
        _METHOD,
        task,
        data.assign(value_per_sd=sign * data["value"] / sd if sd else 0.0),
        term="value_per_sd",
        sd=sd,
        no_spread=f"{label} is the same in all subjects at the start of follow-up",
        times={"start": "outcome_start", "stop": "outcome_stop"},
    )
    n_late = int((entry["outcome_start"] > 0).sum())
    late = f"Time-varying: {n_late} subject(s) enter at their first {label} after baseline."
    return MethodRun(
        row=row,
        model=model,
        exclusions=(*left_out, *incomplete, *unmeasured, *more),
        caveats=(_CAVEAT, *((late,) if n_late else ())) if model else (),
    )


def value_intervals(
    visits: pd.DataFrame, measure: Measure, stage: str
) -> tuple[pd.DataFrame, tuple[Exclusion, ...]]:
    """Carry each value forward from its visit until the next, or until the end of follow-up.

    Parameters
    ----------
    visits : pandas.DataFrame
        ``subject_id day outcome_baseline outcome_duration outcome_event`` and the measure, sorted
        by subject and day; subjects at risk for the outcome only.
    measure : Measure
        What is measured.
    stage : str
        For the exclusions.

    Returns
    -------
    tuple of (pandas.DataFrame, tuple of Exclusion)
        ``subject_id outcome_start outcome_stop outcome_event value``, in days from the endpoint's
        baseline, and the visits left out.

    Notes
    -----
    A row is at risk over (start, stop] with the value measured at its start: a value measured on
    the day of the event cannot predict it. Of the values at or before baseline the last one
    holds at baseline. A subject without one enters at the first measurement (delayed entry).
    """
    start = visits["day"] - visits["outcome_baseline"]
    rows = visits.assign(outcome_start=start, value=visits[measure.name])
    measured = rows["value"].notna()
    late = measured & (rows["outcome_start"] >= rows["outcome_duration"])
    rows, left_out = rows[measured & ~late], (
        *exclude(stage, "visit", f"no {measure.label}", rows.loc[~measured, "subject_id"]),
        *exclude(
            stage,
            "visit",
            "on or after the day of the event or the end of follow-up for it",
            rows.loc[late, "subject_id"],
        ),
    )  # fmt: skip
    following = rows.groupby("subject_id", sort=False)["outcome_start"].shift(-1)
    superseded = following <= 0
    left_out += exclude(
        stage,
        "visit",
        "before baseline, with a later value at or before it",
        rows.loc[superseded, "subject_id"],
    )
    is_last = following.isna()
    intervals = pd.DataFrame(
        {
            "subject_id": rows["subject_id"],
            "outcome_start": np.maximum(rows["outcome_start"], 0),
            "outcome_stop": following.where(~is_last, rows["outcome_duration"]),
            "outcome_event": rows["outcome_event"] & is_last,
            "value": rows["value"].astype(float),
        }
    )
    return intervals[~superseded].reset_index(drop=True), left_out
