"""Two-stage methods: one slope per subject first, then a Cox model on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pmsstats.association.spec import Exposure, Method, exposure
from pmsstats.association.task import (
    MethodRun,
    Task,
    complete_people,
    not_estimable,
    relate,
    within,
)
from pmsstats.association.trajectories import (
    least_squares_slopes,
    predicted_slopes,
    visits_for_slopes,
)
from pmsstats.models.curves.kaplan_meier import KMResult, KMSpec, fit_km
from pmsstats.results import Exclusion

if TYPE_CHECKING:
    from pmsstats.models.mixed.lmm import LMMResult

__all__ = ["run_two_stage", "run_two_stage_raw", "tertile_of"]

_CAVEATS = {
    "until_event": (
        "Two-stage: individual slopes use measurements up to the event only, so that subjects with "
        "early events have few and their slopes lie close to the mean; together with the ignored "
        "error of the slopes this tends to pull the hazard ratio towards 1."
    ),
    "all": (
        "Two-stage: individual slopes include measurements made after the event, so this is an "
        "association and not a prediction, and the event or its treatment may have changed them; "
        "their error is ignored, so the interval is too narrow."
    ),
}
_RAW_CAVEAT = (
    "Two-stage on least-squares slopes: each slope is taken as if it were known; its measurement "
    "error pulls the hazard ratio towards 1."
)
_SINGULAR_CAVEAT = (
    "Two-stage: the mixed model is singular (a variance between subjects is estimated as zero)."
)


def run_two_stage(task: Task) -> MethodRun:
    """Relate the outcome to slopes predicted by a mixed model (regression calibration).

    Parameters
    ----------
    task : Task
        Subjects at risk and their visits.

    Returns
    -------
    MethodRun
        Estimate per SD of the true slopes, the mixed model, and curves by third of the slope.
    """
    stage = "association two_stage"
    used, left_out = visits_for_slopes(task, stage)
    people, unmeasured = within(
        task.people, used["subject_id"], f"no {task.measure.label} up to the event", stage
    )
    left_out += unmeasured
    trajectories = task.trajectories
    if trajectories.model is None:
        row = not_estimable("two_stage", task, people, trajectories.reason)
        return MethodRun(row=row, exclusions=left_out)
    slopes = predicted_slopes(trajectories.model)
    people, ungrouped = within(people, slopes["subject_id"], f"no {task.spec.group}", stage)
    people, incomplete = complete_people(people, task.spec, stage)
    data = people.merge(slopes, on="subject_id")
    return _relate_predicted(data, trajectories.model, task, (*left_out, *ungrouped, *incomplete))


def _relate_predicted(
    data: pd.DataFrame, trajectory: LMMResult, task: Task, left_out: tuple[Exclusion, ...]
) -> MethodRun:
    """Fit the Cox model and the curves by third, unless the slopes are not worth it."""
    if task.trajectories.reason:
        row = not_estimable("two_stage", task, data, task.trajectories.reason)
        return MethodRun(row=row, trajectory=trajectory, exclusions=left_out)
    shown = exposure(task.measure, "two_stage")
    row, model, more = _relate_slopes("two_stage", data, task)
    data = data.assign(tertile=tertile_of(data["slope"], shown))
    singular = (_SINGULAR_CAVEAT,) if trajectory.fit_log.singular else ()
    return MethodRun(
        row=row,
        model=model,
        trajectory=trajectory,
        slopes=data[["subject_id", "slope", "tertile"]],
        tertiles=_curves_by_third(data, task),
        exclusions=(*left_out, *more),
        caveats=(_CAVEATS[task.spec.slope_visits], *singular) if model else (),
    )


def run_two_stage_raw(task: Task) -> MethodRun:
    """Relate the outcome to each subject's own least-squares slope, as if it had no error.

    Parameters
    ----------
    task : Task
        Subjects at risk and their visits.

    Returns
    -------
    MethodRun
        Estimate per SD of the true slopes, as the mixed model gives that SD.
    """
    stage = "association two_stage_raw"
    used, left_out = visits_for_slopes(task, stage)
    slopes = least_squares_slopes(used, task.measure)
    people, few = within(
        task.people,
        slopes["subject_id"],
        f"fewer than two values of {task.measure.label} up to the event",
        stage,
    )
    people, incomplete = complete_people(people, task.spec, stage)
    data = people.merge(slopes, on="subject_id")
    left_out += (*few, *incomplete)
    if task.trajectories.reason:
        row = not_estimable("two_stage_raw", task, data, task.trajectories.reason)
        return MethodRun(row=row, exclusions=left_out)
    row, model, more = _relate_slopes("two_stage_raw", data, task)
    return MethodRun(
        row=row,
        model=model,
        exclusions=(*left_out, *more),
        caveats=(_RAW_CAVEAT,) if model else (),
    )


def _relate_slopes(method: Method, data: pd.DataFrame, task: Task) -> tuple:
    """Fit a Cox model on slopes per SD of the true ones, turned towards worse."""
    sd = task.trajectories.sd
    return relate(
        method,
        task,
        data.assign(slope_per_sd=exposure(task.measure, method).sign * data["slope"] / sd),
        term="slope_per_sd",
        sd=sd,
        no_spread="all slopes are the same",
        times={"duration": "outcome_duration"},
    )


def _curves_by_third(data: pd.DataFrame, task: Task) -> KMResult:
    """Estimate the time to the outcome in each third of the slopes."""
    spec = KMSpec(
        duration="outcome_duration",
        event="outcome_event",
        by="tertile",
        conf_level=task.spec.conf_level,
    )
    return fit_km(data, spec, origin=task.origin)


def tertile_of(slope: pd.Series, shown: Exposure) -> pd.Categorical:
    """Cut slopes into thirds, from least to most worsening.

    Parameters
    ----------
    slope : pandas.Series
        In units of the measure per year.
    shown : Exposure
        Gives direction and labels.

    Returns
    -------
    pandas.Categorical
        Ordered; a slope at a limit belongs to the milder third.
    """
    oriented = shown.sign * slope.to_numpy()
    limits = np.quantile(oriented, [1 / 3, 2 / 3])
    codes = np.searchsorted(limits, oriented, side="left")
    return pd.Categorical.from_codes(codes, categories=list(shown.thirds), ordered=True)
