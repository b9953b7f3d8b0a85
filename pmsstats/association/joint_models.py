"""Joint models of trajectory and outcome: the true slope, or the true current value."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pmsstats.association.result import hazard_row
from pmsstats.association.spec import Method, exposure
from pmsstats.association.task import (
    MethodRun,
    Task,
    complete_people,
    not_estimable,
    too_few_events,
    within,
)
from pmsstats.association.trajectories import slope_formula, visits_for_slopes
from pmsstats.cohort.coerce import DAYS_PER_YEAR
from pmsstats.errors import ConvergenceError, DesignError
from pmsstats.models.joint.joint import fit_joint
from pmsstats.models.joint.result import JointResult
from pmsstats.models.joint.spec import JointSpec
from pmsstats.models.joint.total_association import estimate_total_association
from pmsstats.results import Exclusion, exclude

if TYPE_CHECKING:
    from pmsstats.association.spec import AssociationSpec
    from pmsstats.cohort.schema import Measure

__all__ = ["joint_formula", "joint_spec", "run_joint_slope", "run_joint_value"]

_FEWEST_IN_STRATUM = 2
_CAVEATS = {
    "joint_slope": (
        "Joint model of the slope: trajectories are straight; slope and level act on the hazard "
        "from the first day on, and the ratio is that of subjects whose slopes differ, and whose "
        "levels differ as they then do on average."
    ),
    "joint_value": (
        "Joint model of the value: trajectories are straight, and only the value of the moment "
        "acts on the hazard."
    ),
}
_BY_GROUP_CAVEAT = (
    "Joint model: one SD is that within groups, whose mean slopes differ; the other methods on "
    "slopes count these differences in."
)
_WEIBULL_CAVEAT = (
    "Joint model: the log baseline hazard is Weibull's, because a spline found no maximum."
)
_TERMS = {"joint_slope": "random_effects", "joint_value": "value"}
_DAY_COLUMNS = ("outcome_duration", "outcome_left", "outcome_right")
_TIMES: Mapping[str, Mapping[str, str]] = {
    "observed": {"duration": "outcome_duration", "event": "outcome_event"},
    "interval": {"lower": "outcome_left", "upper": "outcome_right"},
}


def run_joint_slope(task: Task) -> MethodRun:
    """Relate the hazard to the true slope and level, estimated together with it.

    Parameters
    ----------
    task : Task
        Subjects at risk and their visits.

    Returns
    -------
    MethodRun
        Total association per SD of the true slopes: without holding levels equal, as in the
        other methods on slopes.
    """
    return _run("joint_slope", task)


def run_joint_value(task: Task) -> MethodRun:
    """Relate the hazard to the true current value, estimated together with it.

    Parameters
    ----------
    task : Task
        Subjects at risk and their visits.

    Returns
    -------
    MethodRun
        Estimate per SD of the true values at the outcome's baseline.
    """
    return _run("joint_value", task)


def _run(method: Method, task: Task) -> MethodRun:
    """Fit one joint model."""
    visits, people, left_out = _follow_up(method, task)
    reason = too_few_events(people, task.spec)
    if reason:
        row = not_estimable(method, task, people, reason)
        return MethodRun(row=row, exclusions=left_out)
    try:
        model, caveats = _fit(method, task, visits, people)
    except (DesignError, ConvergenceError) as exc:
        return MethodRun(row=not_estimable(method, task, people, str(exc)), exclusions=left_out)
    stage = f"association {method}"
    if task.spec.slope_model == "by_group":
        caveats += (_BY_GROUP_CAVEAT,)
    return MethodRun(
        row=_row(method, task, model),
        joint=model,
        exclusions=(*left_out, *(replace(e, stage=stage) for e in model.exclusions)),
        caveats=(_CAVEATS[method], *caveats),
    )


def _fit(
    method: Method, task: Task, visits: pd.DataFrame, people: pd.DataFrame
) -> tuple[JointResult, tuple[str, ...]]:
    """Fit with a spline for the log baseline hazard, or, where there is no maximum, Weibull's.

    Events that are dated to visits leave a stretch before the first visit without any; there the
    logarithm of a spline's hazard would go to minus infinity.
    """
    spec = joint_spec(method, task)
    try:
        return fit_joint(visits, people, spec, origin=task.origin), ()
    except (DesignError, ConvergenceError):
        weibull = replace(spec, baseline="weibull")
        return fit_joint(visits, people, weibull, origin=task.origin), (_WEIBULL_CAVEAT,)


def _follow_up(
    method: Method, task: Task
) -> tuple[pd.DataFrame, pd.DataFrame, tuple[Exclusion, ...]]:
    """Keep measurements up to the event, and subjects who have any; time in years."""
    stage, label = f"association {method}", task.measure.label
    visits, left_out = visits_for_slopes(task, stage, until_event=True)
    visits = visits.assign(
        outcome_year=(visits["day"] - visits["outcome_baseline"]) / DAYS_PER_YEAR
    )
    people, unmeasured = within(
        task.people, visits["subject_id"], f"no {label} up to the event", stage
    )
    people, incomplete = complete_people(people, task.spec, stage)
    people = _with_stratum(people, task.spec)
    people, eventless = _strata_with_events(people, stage)
    visits = visits[visits["subject_id"].isin(people["subject_id"])]
    days = [c for c in people.columns if c in _DAY_COLUMNS]
    people = people.assign(**{c: people[c] / DAYS_PER_YEAR for c in days})
    return visits, people, (*left_out, *unmeasured, *incomplete, *eventless)


def _strata_with_events(
    people: pd.DataFrame, stage: str
) -> tuple[pd.DataFrame, tuple[Exclusion, ...]]:
    """Keep the strata that have events: others say nothing of a hazard ratio, as in Cox models."""
    if "outcome_stratum" not in people:
        return people, ()
    counts = people.groupby("outcome_stratum")["outcome_event"].transform("sum")
    few = counts < _FEWEST_IN_STRATUM
    reason = f"fewer than {_FEWEST_IN_STRATUM} events in the stratum"
    return people[~few], exclude(stage, "subject", reason, people.loc[few, "subject_id"])


def _with_stratum(people: pd.DataFrame, spec: AssociationSpec) -> pd.DataFrame:
    """Name each subject's stratum in one column."""
    columns = list(spec.strata_columns())
    if not columns:
        return people
    return people.assign(outcome_stratum=people[columns].astype(str).agg(", ".join, axis=1))


def joint_spec(method: Method, task: Task) -> JointSpec:
    """Write the request for a joint model.

    Parameters
    ----------
    method : str
        ``"joint_slope"`` or ``"joint_value"``.
    task : Task
        Gives covariates, strata and how event times are read.

    Returns
    -------
    JointSpec
        With a spline for the log baseline hazard whose size follows the number of events.
    """
    return JointSpec(
        longitudinal=(joint_formula(task.measure, task.spec),),
        hazard=task.spec.adjustment() or "1",
        association=_TERMS[method],
        time="outcome_year",
        strata="outcome_stratum" if task.spec.strata_columns() else None,
        baseline="bspline",  # its knots follow the number of events
        conf_level=task.spec.conf_level,
        **_TIMES[task.spec.event_times],
    )


def joint_formula(measure: Measure, spec: AssociationSpec) -> str:
    """Write the trajectories of a joint model, on the clock of the outcome.

    Parameters
    ----------
    measure : Measure
        A change from baseline has no intercept.
    spec : AssociationSpec
        Says whether groups have mean slopes of their own.

    Returns
    -------
    str
        For example ``"`thalamus_ml` ~ outcome_year + (outcome_year | subject_id)"``.
    """
    return re.sub(r"\byear\b", "outcome_year", slope_formula(measure, spec))


def _row(method: Method, task: Task, model: JointResult) -> dict[str, Any]:
    """Turn the association into one per SD towards worse."""
    if method == "joint_slope":
        found = estimate_total_association(model).iloc[-1]  # the slope comes after the level
    else:
        found = model.association_table()[["estimate_per_sd", "std_error_per_sd", "sd"]].iloc[0]
        found = found.rename({"estimate_per_sd": "estimate", "std_error_per_sd": "std_error"})
    return hazard_row(
        method,
        task.measure,
        estimate=exposure(task.measure, method).sign * float(found["estimate"]),
        std_error=float(found["std_error"]),
        sd=float(found["sd"]),
        conf_level=task.spec.conf_level,
        n_subjects=model.n_subjects,
        n_events=int(np.sum(model.n_events)),
    )
