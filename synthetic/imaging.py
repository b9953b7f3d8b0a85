"""Imaging measures: a person's own level and rate, and the error of a scan.

On the linear scale a subject's true values are a straight line in native units,
``mean + sd * level - mean * rate / 100 * year`` in the direction of worsening, with level and rate
jointly normal within a phenotype. So a linear mixed model with random intercept and slope is the
true model, and the mean slope over the mean baseline is exactly the rate in percent.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthetic.config import CohortConfig
from synthetic.draws import SubjectStreams
from synthetic.observation import ImagingModel, worse_sign
from synthetic.population import Population, arm_effect
from synthetic.visits import Calendar

__all__ = ["ImagingCourse", "draw_courses", "measure_imaging"]


@dataclass(frozen=True, kw_only=True)
class ImagingCourse:
    """True course of one measure; arrays have shape (n_subjects,).

    Parameters
    ----------
    model : ImagingModel
        What it was drawn from.
    baseline : ndarray
        Native units, or logarithm; 0 on the scale of change.
    slope : ndarray
        Per year, native units, or of the logarithm, or percentage points; treatment included.
    rate_score : ndarray
        Standard normal within phenotype: the subject's rate, higher is faster worsening.
    """

    model: ImagingModel
    baseline: np.ndarray
    slope: np.ndarray
    rate_score: np.ndarray


def draw_courses(
    config: CohortConfig, population: Population, streams: SubjectStreams
) -> dict[str, ImagingCourse]:
    """Draw the true course of every imaging measure that is emitted.

    Parameters
    ----------
    config : CohortConfig
        Imaging models, arms.
    population : Population
        Subjects.
    streams : SubjectStreams
        Random numbers.

    Returns
    -------
    dict of str to ImagingCourse
        By measure.
    """
    slowing = arm_effect(config, population, "atrophy_slowing")
    return {
        model.measure: _draw_course(model, population, slowing, streams)
        for model in config.imaging
        if model.measure in config.emitted
    }


def _draw_course(
    model: ImagingModel, population: Population, slowing: np.ndarray, streams: SubjectStreams
) -> ImagingCourse:
    """Draw one true course."""
    worse = worse_sign(model.measure)
    level = _level_score(model, population, streams.normal("imaging level", model.measure))
    own_rate = streams.normal("imaging rate", model.process or model.measure)
    loading = model.rate_loading
    rate_score = loading * population.rate + np.sqrt(1 - loading**2) * own_rate
    mean_rate = model.rate_pct.take(population.phenotype) * (1 - slowing)
    rate = (mean_rate + worse * model.rate_sd_pct * rate_score) / 100
    if model.scale == "change":
        baseline, slope = np.zeros(len(rate)), 100 * rate
    else:
        mean = model.mean.take(population.phenotype)
        if model.scale == "log":
            baseline, slope = np.log(mean) - model.sd**2 / 2, rate
        else:
            baseline, slope = mean, mean * rate
        baseline = baseline + worse * model.sd * level
    return ImagingCourse(model=model, baseline=baseline, slope=slope, rate_score=rate_score)


def _level_score(model: ImagingModel, population: Population, own: np.ndarray) -> np.ndarray:
    """Mix damage, age and the person's own part to a standard normal score, higher is worse."""
    rest = np.sqrt(max(1 - model.damage_loading**2 - model.age_loading**2, 0.0))
    return (
        model.damage_loading * population.damage
        + model.age_loading * population.age_score
        + rest * own
    )


def measure_imaging(
    courses: dict[str, ImagingCourse],
    calendar: Calendar,
    weeks: tuple[int, ...],
    streams: SubjectStreams,
) -> dict[str, np.ndarray]:
    """Scan everybody at the imaging visits.

    Parameters
    ----------
    courses : dict of str to ImagingCourse
        True courses.
    calendar : Calendar
        Days.
    weeks : tuple of int
        Planned weeks with a scan.
    streams : SubjectStreams
        Random numbers.

    Returns
    -------
    dict of str to ndarray, shape (n_subjects, n_visits)
        By measure; NaN at visits without a scan, and at baseline on the scale of change.
    """
    columns = calendar.columns(weeks)
    measured: dict[str, np.ndarray] = {}
    for measure, course in courses.items():
        values = np.full(calendar.day.shape, np.nan)
        for column in columns:
            values[:, column] = _scan(
                course, calendar.year[:, column],
                streams.normal("scan", measure, calendar.weeks[column]),
            )  # fmt: skip
        if course.model.scale == "change":
            values[:, 0] = np.nan
        measured[measure] = values
    return measured


def _scan(course: ImagingCourse, year: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Measure one visit."""
    values = course.baseline + course.slope * year + course.model.error_sd * noise
    if course.model.scale == "log":
        return np.round(np.exp(values), 4)
    return np.round(values if course.model.scale == "change" else np.maximum(values, 0.0), 4)
