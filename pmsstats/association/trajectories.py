"""The mixed model of a measure's trajectories, and what methods on slopes take from it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pmsstats.association.spec import AssociationSpec
from pmsstats.errors import ConvergenceError, DesignError
from pmsstats.models.mixed.lmm import LMMResult, LMMSpec, fit_lmm
from pmsstats.results import Exclusion, exclude

if TYPE_CHECKING:
    from pmsstats.association.task import Task
    from pmsstats.cohort.schema import Measure

__all__ = [
    "Trajectories",
    "fit_trajectories",
    "least_squares_slopes",
    "predicted_slopes",
    "slope_formula",
    "true_slope_sd",
    "visits_for_slopes",
]

_PERFECT = 0.9999  # correlation of intercept and slope at which an optimiser has met the boundary
_PERFECT_CORRELATION = (
    "the mixed model is singular: it finds intercept and slope perfectly correlated, so that "
    "individual slopes cannot be told from individual levels"
)
_MORE_VISITS = "; measurements after the event (`slope_visits='all'`) might tell them apart"
_NO_VARIANCE = (
    "the mixed model finds no difference in slope between subjects (its variance is zero), so "
    "there is nothing to relate to the outcome"
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Trajectories:
    """A fitted model of trajectories, or why there is none.

    Parameters
    ----------
    model : LMMResult, optional
        None where it failed.
    sd : float
        SD of the true slopes, in units of the measure per year; NaN without a model.
    reason : str
        Why slopes cannot be used; empty where they can.
    """

    model: LMMResult | None
    sd: float
    reason: str


def visits_for_slopes(
    task: Task, stage: str, *, until_event: bool | None = None
) -> tuple[pd.DataFrame, tuple[Exclusion, ...]]:
    """Choose the measurements that a model of trajectories may use.

    Parameters
    ----------
    task : Task
        Its spec says whether later ones count.
    stage : str
        For the exclusions.
    until_event : bool, optional
        Whatever the spec says.

    Returns
    -------
    tuple of (pandas.DataFrame, tuple of Exclusion)
        Visits with a value, and those left out.
    """
    visits, label = task.visits, task.measure.label
    measured = visits[task.measure.name].notna()
    late = measured & (visits["day"] > visits["outcome_end"])
    if not (task.spec.slope_visits == "until_event" if until_event is None else until_event):
        late[:] = False
    after = "after the event or the end of follow-up for it"
    return visits[measured & ~late], (
        *exclude(stage, "visit", f"no {label}", visits.loc[~measured, "subject_id"]),
        *exclude(stage, "visit", after, visits.loc[late, "subject_id"]),
    )


def fit_trajectories(data: pd.DataFrame, task: Task) -> Trajectories:
    """Fit the mixed model of the trajectories, and judge whether its slopes can be used.

    Parameters
    ----------
    data : pandas.DataFrame
        Visits with a value.
    task : Task
        Gives measure, engine and groups.

    Returns
    -------
    Trajectories
        The model, the SD of true slopes, and a reason against using them.
    """
    spec = LMMSpec.from_formula(
        slope_formula(task.measure, task.spec), conf_level=task.spec.conf_level
    )
    try:
        model = fit_lmm(
            data,
            spec,
            engine=task.spec.engine,
            dictionary={task.measure.name: task.measure},
            origin=task.origin,
        )
    except (DesignError, ConvergenceError) as exc:
        reason = f"the mixed model of the slopes failed: {exc}"
        return Trajectories(model=None, sd=math.nan, reason=reason)
    if _is_perfectly_correlated(model):
        remedy = _MORE_VISITS if task.spec.slope_visits == "until_event" else ""
        return Trajectories(model=model, sd=math.nan, reason=_PERFECT_CORRELATION + remedy)
    sd = true_slope_sd(model)
    return Trajectories(model=model, sd=sd, reason="" if task.has_spread(sd) else _NO_VARIANCE)


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


def true_slope_sd(trajectory: LMMResult) -> float:
    """Estimate the SD of true slopes: their variance in the model, and that of their means.

    Parameters
    ----------
    trajectory : LMMResult
        With random slopes on ``year``.

    Returns
    -------
    float
        In units of the measure per year.
    """
    parts = trajectory.variance_components
    is_slope = (parts["term1"] == "year") & (parts["term2"] == "year")
    within = float(parts.loc[is_slope & (parts["kind"] == "variance"), "estimate"].iloc[0])
    own = trajectory.individual_slopes(time="year").set_index("subject_id")["slope"]
    mean = own - trajectory.blups().set_index("subject_id")["year"]
    return math.sqrt(within + float(mean.var(ddof=1)))


def predicted_slopes(trajectory: LMMResult) -> pd.DataFrame:
    """Predict each subject's slope.

    Parameters
    ----------
    trajectory : LMMResult
        With random slopes on ``year``.

    Returns
    -------
    pandas.DataFrame
        ``subject_id slope``, units of the measure per year.
    """
    return trajectory.individual_slopes(time="year")[["subject_id", "slope"]]


def least_squares_slopes(visits: pd.DataFrame, measure: Measure) -> pd.DataFrame:
    """Fit a straight line to each subject's own values, and to nobody else's.

    Parameters
    ----------
    visits : pandas.DataFrame
        ``subject_id year`` and the measure, none missing.
    measure : Measure
        The line of a change from baseline goes through zero at time zero.

    Returns
    -------
    pandas.DataFrame
        ``subject_id slope`` of those who have values at two or more times (a change: at one other
        than zero), units of the measure per year.
    """
    subject = visits["subject_id"]
    year, value = visits["year"].astype(float), visits[measure.name].astype(float)
    if measure.kind != "change":
        year = year - year.groupby(subject).transform("mean")
        value = value - value.groupby(subject).transform("mean")
    sums = pd.DataFrame({"xy": year * value, "xx": year**2}).groupby(subject).sum()
    sums = sums[sums["xx"] > np.finfo(float).eps]
    return (sums["xy"] / sums["xx"]).rename("slope").rename_axis("subject_id").reset_index()


def _is_perfectly_correlated(trajectory: LMMResult) -> bool:
    """Say whether a subject's slope is a mere function of its intercept."""
    parts = trajectory.variance_components
    correlation = parts.loc[parts["kind"] == "correlation", "estimate"].abs()
    return bool((correlation >= _PERFECT).any())
