"""Risk-set calibration: slopes predicted anew, from those still at risk and their past only."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pmsstats.association.spec import exposure
from pmsstats.association.task import (
    MethodRun,
    Task,
    complete_people,
    not_estimable,
    relate,
    within,
)
from pmsstats.association.trajectories import fit_trajectories, predicted_slopes
from pmsstats.results import Exclusion, exclude

__all__ = ["calibration_days", "run_risk_set", "slope_intervals"]

_METHOD = "risk_set"
_STAGE = f"association {_METHOD}"
_N_CALIBRATIONS = 8
_CAVEAT = (
    "Risk-set calibration: slopes come from the few measurements before each time at risk; where "
    "few, predictions borrow from levels, so that the ratio also tells what the level says."
)


def run_risk_set(task: Task) -> MethodRun:
    """Relate the outcome to slopes that are predicted anew as time goes on.

    Parameters
    ----------
    task : Task
        Subjects at risk and their visits.

    Returns
    -------
    MethodRun
        Estimate per SD of the true slopes, as the mixed model of all visits gives that SD.
    """
    people, incomplete = complete_people(task.people, task.spec, _STAGE)
    if task.trajectories.reason:
        row = not_estimable(_METHOD, task, people, task.trajectories.reason)
        return MethodRun(row=row, exclusions=incomplete)
    intervals, left_out = slope_intervals(people, task)
    people, early = within(
        people,
        intervals["subject_id"],
        f"no slope of {task.measure.label} could be predicted before the event or the end of "
        "follow-up",
        _STAGE,
    )
    data = intervals.merge(people.drop(columns=["outcome_event"]), on="subject_id")
    sign, sd = exposure(task.measure, _METHOD).sign, task.trajectories.sd
    row, model, more = relate(
        _METHOD,
        task,
        data.assign(slope_per_sd=sign * data["slope"] / sd),
        term="slope_per_sd",
        sd=sd,
        no_spread="all slopes are the same",
        times={"start": "outcome_start", "stop": "outcome_stop"},
    )
    return MethodRun(
        row=row,
        model=model,
        exclusions=(*left_out, *incomplete, *early, *more),
        caveats=(_CAVEAT,) if model else (),
    )


def calibration_days(people: pd.DataFrame) -> np.ndarray:
    """Choose the days on which slopes are predicted anew.

    Parameters
    ----------
    people : pandas.DataFrame
        ``outcome_duration outcome_event``.

    Returns
    -------
    ndarray, shape (at most 8,), days
        Just before equal shares of the events; ascending, no two the same.
    """
    events = np.sort(people.loc[people["outcome_event"], "outcome_duration"].to_numpy(dtype=float))
    shares = np.arange(_N_CALIBRATIONS) / _N_CALIBRATIONS
    return np.unique(np.quantile(events, shares, method="higher") - 1.0) if len(events) else events


def slope_intervals(people: pd.DataFrame, task: Task) -> tuple[pd.DataFrame, tuple[Exclusion, ...]]:
    """Predict slopes at each calibration day, to hold until the next one.

    Parameters
    ----------
    people : pandas.DataFrame
        Subjects at risk, complete.
    task : Task
        Their visits.

    Returns
    -------
    tuple of (pandas.DataFrame, tuple of Exclusion)
        ``subject_id outcome_start outcome_stop outcome_event slope``, in days from the endpoint's
        baseline, and the visits that no prediction could use.

    Notes
    -----
    On each day the mixed model is fitted to the past of those still at risk. Days on which it has
    no usable slopes (too early) are passed over.
    """
    visits = task.visits[task.visits["subject_id"].isin(people["subject_id"])]
    measured = visits[task.measure.name].notna()
    left_out = exclude(
        _STAGE, "visit", f"no {task.measure.label}", visits.loc[~measured, "subject_id"]
    )
    visits = visits[measured]
    since = visits["day"] - visits["outcome_baseline"]
    days = calibration_days(people)
    parts = []
    for day, until in zip(days, [*days[1:], np.inf], strict=True):
        past = visits[(since <= day) & (visits["outcome_duration"] > day)]
        found = fit_trajectories(past, task) if past["subject_id"].nunique() > 2 else None
        if found is None or found.model is None or found.reason:
            continue
        at_risk = people[people["outcome_duration"] > day].merge(
            predicted_slopes(found.model), on="subject_id"
        )
        parts.append(_interval(at_risk, day, until))
    columns = ["subject_id", "outcome_start", "outcome_stop", "outcome_event", "slope"]
    frame = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)
    return frame, left_out


def _interval(at_risk: pd.DataFrame, day: float, until: float) -> pd.DataFrame:
    """Lay out one stretch of time with its slopes."""
    end = at_risk["outcome_duration"].astype(float)
    return pd.DataFrame(
        {
            "subject_id": at_risk["subject_id"],
            "outcome_start": day,
            "outcome_stop": np.minimum(end, until),
            "outcome_event": at_risk["outcome_event"] & (end <= until),
            "slope": at_risk["slope"],
        }
    )
