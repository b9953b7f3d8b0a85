"""The landmark method: slopes up to a landmark, and the outcome after it."""

from __future__ import annotations

import pandas as pd

from pmsstats.association.result import estimates_row
from pmsstats.association.spec import exposure
from pmsstats.association.task import (
    MethodRun,
    Task,
    complete_people,
    not_estimable,
    too_few_events,
)
from pmsstats.association.trajectories import fit_trajectories, predicted_slopes
from pmsstats.cohort.coerce import DAYS_PER_YEAR
from pmsstats.errors import ConvergenceError, DesignError
from pmsstats.models.events.landmark import LandmarkResult, LandmarkSpec, fit_landmark
from pmsstats.results import Exclusion, exclude

__all__ = ["default_landmarks", "run_landmark"]

_METHOD = "landmark"
_STAGE = f"association {_METHOD}"
_LATEST = 2.0  # years: later, few are left in the trials of the field
_CAVEAT = (
    "Landmark: events before {years} year(s) are not used, and slopes rest on the few measurements "
    "up to then; predictions borrow from levels, and the interval is wide."
)


def run_landmark(task: Task) -> MethodRun:
    """Relate the outcome after a landmark to slopes predicted from measurements before it.

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
    measured = task.visits[task.measure.name].notna()
    unmeasured = task.visits.loc[~measured, "subject_id"]
    left_out = (*exclude(_STAGE, "visit", f"no {task.measure.label}", unmeasured), *incomplete)
    reason = too_few_events(people, task.spec) or task.trajectories.reason
    if reason:
        row = not_estimable(_METHOD, task, people, reason)
        return MethodRun(row=row, exclusions=left_out)
    landmarks = task.spec.landmarks or default_landmarks(people)
    try:
        model = fit_landmark(
            people.assign(outcome_duration=people["outcome_duration"] / DAYS_PER_YEAR),
            _slopes_at(landmarks, task.visits[measured], people, task),
            _landmark_spec(task, landmarks, people),
            origin=task.origin,
        )
    except (DesignError, ConvergenceError) as exc:
        return MethodRun(row=not_estimable(_METHOD, task, people, str(exc)), exclusions=left_out)
    more = _left_out(model, people, task.visits[measured], landmarks)
    counts = {"n_subjects": model.n_subjects, "n_events": _n_events(model)}
    if counts["n_events"] < task.spec.min_events:
        note = f"only {counts['n_events']} event(s) after the landmark"
        row = estimates_row(_METHOD, task.measure, **counts, note=note)
        return MethodRun(row=row, exclusions=(*left_out, *more))
    found = model.cox.table().iloc[0].drop("term").to_dict()
    row = estimates_row(_METHOD, task.measure, **found, sd=task.trajectories.sd, **counts)
    years = " and ".join(f"{mark:.2g}" for mark in landmarks)
    return MethodRun(
        row=row,
        model=model.cox,
        exclusions=(*left_out, *more),
        caveats=(_CAVEAT.format(years=years),),
    )


def _left_out(
    model: LandmarkResult,
    people: pd.DataFrame,
    visits: pd.DataFrame,
    landmarks: tuple[float, ...],
) -> tuple[Exclusion, ...]:
    """Count who is at risk at no landmark, who has no slope there, and later measurements."""
    analysed = people["subject_id"].isin(model.stacked["subject_id"])
    gone = people["outcome_duration"] / DAYS_PER_YEAR <= landmarks[0]
    since = (visits["day"] - visits["outcome_baseline"]) / DAYS_PER_YEAR
    gone_ids, without_ids = (people.loc[rows, "subject_id"] for rows in (gone, ~gone & ~analysed))
    late_ids = visits.loc[since > landmarks[-1], "subject_id"]
    return (
        *exclude(_STAGE, "subject", "event or end of follow-up by the landmark", gone_ids),
        *exclude(_STAGE, "subject", "no slope could be predicted at the landmark", without_ids),
        *exclude(_STAGE, "visit", "after the last landmark", late_ids),
    )


def default_landmarks(people: pd.DataFrame) -> tuple[float, ...]:
    """Choose the landmark where none is asked for.

    Parameters
    ----------
    people : pandas.DataFrame
        ``outcome_duration``, days.

    Returns
    -------
    tuple of float
        One, in years: half of the longest follow-up, but no later than 2 years.
    """
    longest = float(people["outcome_duration"].max()) / DAYS_PER_YEAR
    return (min(longest / 2, _LATEST),)


def _slopes_at(
    landmarks: tuple[float, ...], visits: pd.DataFrame, people: pd.DataFrame, task: Task
) -> pd.DataFrame:
    """Predict slopes at each landmark, from the past of those still at risk.

    Returns ``subject_id outcome_year slope_per_sd``: rows dated to the landmark, which the landmark
    model then finds as last values. Where the mixed model has no usable slopes there are none.
    """
    visits = visits[visits["subject_id"].isin(people["subject_id"])]
    since = (visits["day"] - visits["outcome_baseline"]) / DAYS_PER_YEAR
    end = visits["outcome_duration"] / DAYS_PER_YEAR
    factor = exposure(task.measure, _METHOD).sign / task.trajectories.sd
    parts = []
    for mark in landmarks:
        found = fit_trajectories(visits[(since <= mark) & (end > mark)], task)
        if found.model is None or found.reason:
            continue
        slopes = predicted_slopes(found.model)
        parts.append(
            pd.DataFrame(
                {
                    "subject_id": slopes["subject_id"],
                    "outcome_year": mark,
                    "slope_per_sd": factor * slopes["slope"],
                }
            )
        )
    if not parts:
        raise DesignError("no mixed model of the slopes could be fitted at the landmark")
    return pd.concat(parts, ignore_index=True)


def _landmark_spec(task: Task, landmarks: tuple[float, ...], people: pd.DataFrame) -> LandmarkSpec:
    """Write the request for the landmark model."""
    return LandmarkSpec(
        measure="slope_per_sd",
        landmarks=landmarks,
        horizon=float(people["outcome_duration"].max()) / DAYS_PER_YEAR,
        value="last",
        max_age=0.0,
        covariates=task.spec.adjustment(),
        strata=task.spec.strata_columns(),
        duration="outcome_duration",
        event="outcome_event",
        time="outcome_year",
        conf_level=task.spec.conf_level,
    )


def _n_events(model: LandmarkResult) -> int:
    """Count the subjects with an event after a landmark: rows of several landmarks repeat them."""
    stacked = model.stacked
    return int(stacked.loc[stacked["event"].astype(bool), "subject_id"].nunique())
