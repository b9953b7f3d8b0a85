"""The two-stage method: one slope per subject from a mixed model, then a Cox model on it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pmsstats.association.spec import AssociationSpec, Exposure, exposure
from pmsstats.association.task import (
    MethodRun,
    Task,
    complete_people,
    has_spread,
    not_estimable,
    relate,
    within,
)
from pmsstats.errors import ConvergenceError, DesignError
from pmsstats.models.events.survival import KMResult, KMSpec, fit_km
from pmsstats.models.mixed.lmm import LMMResult, LMMSpec, fit_lmm
from pmsstats.results import Exclusion, exclude

if TYPE_CHECKING:
    from pmsstats.cohort.schema import Measure

__all__ = ["run_two_stage", "slope_formula", "tertile_of"]

_METHOD = "two_stage"
_STAGE = f"association {_METHOD}"
_PERFECT = 0.9999  # correlation of intercept and slope at which an optimiser has met the boundary

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
_SINGULAR_CAVEAT = (
    "Two-stage: the mixed model is singular (a variance between subjects is estimated as zero)."
)
_NO_VARIANCE = (
    "the mixed model finds no difference in slope between subjects (its variance is zero), so "
    "there is nothing to relate to the outcome"
)
_PERFECT_CORRELATION = (
    "the mixed model is singular: it finds intercept and slope perfectly correlated, so that "
    "individual slopes cannot be told from individual levels"
)
_MORE_VISITS = "; measurements after the event (`slope_visits='all'`) might tell them apart"


def run_two_stage(task: Task) -> MethodRun:
    """Relate the outcome to individual slopes.

    Parameters
    ----------
    task : Task
        Subjects at risk and their visits.

    Returns
    -------
    MethodRun
        Estimate per SD of the slopes, the mixed model, and curves by third of the slope.
    """
    used, left_out = _visits_for_slopes(task)
    people, unmeasured = within(
        task.people, used["subject_id"], f"no {task.measure.label} up to the event", _STAGE
    )
    left_out += unmeasured
    try:
        trajectory = _fit_trajectories(used, task)
    except (DesignError, ConvergenceError) as exc:
        reason = f"the mixed model of the slopes failed: {exc}"
        row = not_estimable(_METHOD, task, people, reason)
        return MethodRun(row=row, exclusions=left_out)
    slopes = trajectory.individual_slopes(time="year")[["subject_id", "slope"]]
    people, ungrouped = within(people, slopes["subject_id"], f"no {task.spec.group}", _STAGE)
    people, incomplete = complete_people(people, task.spec, _STAGE)
    data = people.merge(slopes, on="subject_id")
    return _relate_slopes(data, trajectory, task, (*left_out, *ungrouped, *incomplete))


def _relate_slopes(
    data: pd.DataFrame, trajectory: LMMResult, task: Task, left_out: tuple[Exclusion, ...]
) -> MethodRun:
    """Fit the Cox model and the curves by third, unless the slopes are not worth it."""
    if _is_perfectly_correlated(trajectory):
        remedy = _MORE_VISITS if task.spec.slope_visits == "until_event" else ""
        row = not_estimable(_METHOD, task, data, _PERFECT_CORRELATION + remedy)
        return MethodRun(row=row, trajectory=trajectory, exclusions=left_out)
    shown = exposure(task.measure, _METHOD)
    sd = _true_slope_sd(trajectory)
    data = data.assign(slope_per_sd=shown.sign * data["slope"] / sd if sd else 0.0)
    row, model, more = relate(
        _METHOD,
        task,
        data,
        term="slope_per_sd",
        sd=sd,
        no_spread=_NO_VARIANCE,
        times={"duration": "outcome_duration"},
    )
    tertiles = None
    if has_spread(sd, task):
        data = data.assign(tertile=tertile_of(data["slope"], shown))
        tertiles = _curves_by_third(data, task)
    singular = (_SINGULAR_CAVEAT,) if trajectory.fit_log.singular else ()
    return MethodRun(
        row=row,
        model=model,
        trajectory=trajectory,
        slopes=data.reindex(columns=["subject_id", "slope", "tertile"]),
        tertiles=tertiles,
        exclusions=(*left_out, *more),
        caveats=(_CAVEATS[task.spec.slope_visits], *singular) if model else (),
    )


def _true_slope_sd(trajectory: LMMResult) -> float:
    """Estimate the SD of true slopes: their variance in the model, and that of their means."""
    parts = trajectory.variance_components
    is_slope = (parts["term1"] == "year") & (parts["term2"] == "year")
    within = float(parts.loc[is_slope & (parts["kind"] == "variance"), "estimate"].iloc[0])
    own = trajectory.individual_slopes(time="year").set_index("subject_id")["slope"]
    mean = own - trajectory.blups().set_index("subject_id")["year"]
    return math.sqrt(within + float(mean.var(ddof=1)))


def _curves_by_third(data: pd.DataFrame, task: Task) -> KMResult:
    """Estimate the time to the outcome in each third of the slopes."""
    spec = KMSpec(
        duration="outcome_duration",
        event="outcome_event",
        by="tertile",
        conf_level=task.spec.conf_level,
    )
    return fit_km(data, spec, origin=task.origin)


def slope_formula(measure: Measure, spec: AssociationSpec) -> str:
    """Write the mixed model of the trajectories in lme4's language.

    Parameters
    ----------
    measure : Measure
        A change from baseline starts at zero by definition, so it gets no intercept.
    spec : AssociationSpec
        Says whether groups have mean slopes of their own.

    Returns
    -------
    str
        For example ``"`thalamus_ml` ~ year + (year | subject_id)"``.
    """
    group = f"`{spec.group}`" if spec.slope_model == "by_group" else None
    if measure.kind == "change":
        time = f"0 + year + year:{group}" if group else "0 + year"
        return f"`{measure.name}` ~ {time} + (0 + year | subject_id)"
    time = f"year * {group}" if group else "year"
    return f"`{measure.name}` ~ {time} + (year | subject_id)"


def _visits_for_slopes(task: Task) -> tuple[pd.DataFrame, tuple[Exclusion, ...]]:
    """Choose the measurements that individual slopes may use."""
    visits, label = task.visits, task.measure.label
    measured = visits[task.measure.name].notna()
    late = measured & (visits["day"] > visits["outcome_end"])
    if task.spec.slope_visits == "all":
        late[:] = False
    after = "after the event or the end of follow-up for it"
    return visits[measured & ~late], (
        *exclude(_STAGE, "visit", f"no {label}", visits.loc[~measured, "subject_id"]),
        *exclude(_STAGE, "visit", after, visits.loc[late, "subject_id"]),
    )


def _fit_trajectories(data: pd.DataFrame, task: Task) -> LMMResult:
    """Fit the mixed model that gives individual slopes."""
    model = LMMSpec.from_formula(
        slope_formula(task.measure, task.spec), conf_level=task.spec.conf_level
    )
    return fit_lmm(
        data,
        model,
        engine=task.spec.engine,
        dictionary={task.measure.name: task.measure},
        origin=task.origin,
    )


def _is_perfectly_correlated(trajectory: LMMResult) -> bool:
    """Say whether a subject's slope is a mere function of its intercept."""
    parts = trajectory.variance_components
    correlation = parts.loc[parts["kind"] == "correlation", "estimate"].abs()
    return bool((correlation >= _PERFECT).any())


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
