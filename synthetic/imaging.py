"""Imaging measures: a person's own level and rate, and the error of a scan.

On the linear scale a subject's true values are a straight line in native units,
``mean + sd * level`` with slope ``mean * rate / 100`` in the direction of worsening, level and rate
jointly normal within a phenotype. So a linear mixed model with random intercept and slope is the
true model, and the mean slope over the mean baseline is exactly the rate in percent. The line has a
break where an arm's effect begins late or the subject converts: the mean rate is then that of the
treatment, or of the new phenotype, and the person's own part of the rate goes on.

Arrays of many visits have shape (n_visits, n_subjects), visits outermost, and are changed in place:
here most of the numbers of a cohort are made.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from pmsstats.cohort.schema import PHENOTYPES
from synthetic.config import CohortConfig
from synthetic.conversion import Conversion
from synthetic.draws import SubjectStreams
from synthetic.observation import ImagingModel, known_measures, worse_sign
from synthetic.parameters import Arm
from synthetic.population import Population, arm_effect, score
from synthetic.sites import Scanners, scanner_shift
from synthetic.stopping import piecewise
from synthetic.visits import Calendar

__all__ = ["ImagingCourse", "draw_courses", "early_loss", "mean_rate", "measure_imaging"]

_TICKS = 1e4
"""Measured values have four digits after the point."""


@dataclass(frozen=True, kw_only=True)
class ImagingCourse:
    """True course of one measure; arrays have shape (n_subjects,).

    Parameters
    ----------
    model : ImagingModel
        What it was drawn from.
    baseline : ndarray
        Native units, or logarithm; 0 on the scale of change; how far the score is above the
        threshold on the scale of presence.
    slope : ndarray
        On day 0, per year, in the unit of `baseline` (percentage points on the scale of change);
        effects of treatment that begin on day 0 included.
    bends : tuple of (ndarray, ndarray)
        Years of further changes of the slope (infinite where there is none), and their sizes.
    unit : ndarray
        What one percent is in the unit of `baseline`.
    """

    model: ImagingModel
    baseline: np.ndarray
    slope: np.ndarray
    bends: tuple[tuple[np.ndarray, np.ndarray], ...]
    unit: np.ndarray


@dataclass(frozen=True, kw_only=True)
class _Setting:
    """What all measures of a cohort share."""

    config: CohortConfig
    population: Population
    conversion: Conversion | None
    streams: SubjectStreams
    correlations: np.ndarray


def draw_courses(
    config: CohortConfig,
    population: Population,
    streams: SubjectStreams,
    conversion: Conversion | None = None,
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
    conversion : Conversion, optional
        Who converts when; nobody by default.

    Returns
    -------
    dict of str to ImagingCourse
        By measure.
    """
    setting = _Setting(
        config=config,
        population=population,
        conversion=conversion,
        streams=streams,
        correlations=config.population.correlation_matrix(),
    )
    emitted = set(config.emitted)
    return {
        model.measure: _draw_course(model, setting)
        for model in config.imaging_models
        if model.measure in emitted
    }


def _draw_course(model: ImagingModel, setting: _Setting) -> ImagingCourse:
    """Draw one true course."""
    population, worse = setting.population, worse_sign(model.measure)
    draw, correlations = setting.streams.normal, setting.correlations
    own_level = draw("imaging level", model.own_level or model.measure)
    level = score(population, model.level_loadings, own_level, correlations)
    own_rate = draw("imaging rate", model.process or model.measure)
    faster = score(population, model.rate_loadings, own_rate, correlations)
    baseline, unit = _baseline(model, population.phenotype)
    spread = 1.0 if model.scale == "presence" else model.sd
    rates, bends = _mean_slopes(model, setting)
    faster *= worse * model.rate_sd_pct
    rates += faster
    rates *= unit
    if model.scale != "change":
        level *= worse * spread
        baseline += level
    return ImagingCourse(
        model=model,
        baseline=baseline,
        slope=rates,
        bends=tuple((year, size * unit) for year, size in bends),
        unit=unit,
    )


def _baseline(model: ImagingModel, phenotype: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean baseline, and one percent of it (or its equivalent), by subject."""
    n = len(phenotype)
    if model.scale == "change":
        return np.zeros(n), np.ones(n)
    mean = model.mean.take(phenotype)
    if model.scale == "linear":
        return mean, np.ones(n) if model.rate_unit == "native" else mean / 100
    if model.scale == "presence":
        return ndtri(mean) * np.hypot(1.0, model.error_sd), np.full(n, 0.01)
    return np.log(mean) - model.sd**2 / 2, np.full(n, 0.01)


def mean_rate(model: ImagingModel, arm: Arm | None) -> np.ndarray:
    """Return the mean rate of every phenotype under a treatment that has begun to work.

    Parameters
    ----------
    model : ImagingModel
        Rates, and what causes them.
    arm : Arm or None
        Treatment; None for none.

    Returns
    -------
    ndarray, shape (n_phenotypes,)
        In the unit of ``rate_pct``; NaN where the model has no number.
    """
    rate = model.rate_pct.take(np.arange(len(PHENOTYPES)))
    if arm is None:
        return rate
    normal = float(model.rate_pct.get("HC", 0.0))
    slowing = {name: float(share) for name, share in arm.slowing}
    prevented = sum(float(w) * slowing.get(name, 0.0) for name, w in model.driver_shares)
    return (normal + (rate - normal) * (1 - prevented)) * (1 - float(arm.atrophy_slowing))


def _mean_slopes(
    model: ImagingModel, setting: _Setting
) -> tuple[np.ndarray, list[tuple[np.ndarray, np.ndarray]]]:
    """Return every subject's mean rate on day 0, and when it changes by how much."""
    if setting.population.stop_year is not None:
        return _stopped_slopes(model, setting)
    arms = setting.config.arms
    treated = np.stack([mean_rate(model, arm) for arm in arms or (None,)])
    plain = np.broadcast_to(mean_rate(model, None), treated.shape)
    delayed = np.array([float(arm.onset_years) > 0 for arm in arms or ()] or [False])
    first = np.where(delayed[:, None], plain, treated)
    who = setting.population.arm, setting.population.phenotype
    rates = first[who]
    bends: list[tuple[np.ndarray, np.ndarray]] = []
    onset = np.zeros(len(rates))
    if delayed.any():
        onset = arm_effect(setting.config, setting.population, "onset_years")
        bends.append((onset, (treated - first)[who]))
    if setting.conversion is not None:
        year, new = setting.conversion.year, setting.conversion.phenotype
        after = setting.population.arm, new
        converts = np.isfinite(year)
        bends.append((year, np.where(converts, first[after] - rates, 0.0)))
        if delayed.any():
            later = (treated - first)[after] - (treated - first)[who]
            bends.append((np.maximum(year, onset), np.where(converts, later, 0.0)))
    return rates, bends


def _stopped_slopes(
    model: ImagingModel, setting: _Setting
) -> tuple[np.ndarray, list[tuple[np.ndarray, np.ndarray]]]:
    """Do as :func:`_mean_slopes` where treatments may be stopped."""
    treated = np.stack([mean_rate(model, arm) for arm in setting.config.arms])
    plain = mean_rate(model, None)

    def rate(arm: np.ndarray, has_begun: np.ndarray, phenotype: np.ndarray) -> np.ndarray:
        return np.where(has_begun, treated[arm, phenotype], plain[phenotype])

    breaks, rates = piecewise(setting.config, setting.population, setting.conversion, rate)
    changes = [(year, size) for year, size in zip(breaks, np.diff(rates, axis=0), strict=True)]
    return rates[0], [(year, size) for year, size in changes if size.any()]


def measure_imaging(
    courses: dict[str, ImagingCourse],
    calendar: Calendar,
    weeks: tuple[int, ...],
    streams: SubjectStreams,
    *,
    early: np.ndarray | None = None,
    scanners: Scanners | None = None,
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
        Random numbers; each measure has its own, in which each week has its own place.
    early : ndarray, shape (n_visits, n_subjects), optional
        Early loss of whole-brain volume that is no atrophy, in percent (:func:`early_loss`).
    scanners : Scanners, optional
        Sites; one without an offset by default.

    Returns
    -------
    dict of str to ndarray, shape (n_scans, n_subjects)
        By measure, in order of time; NaN at baseline on the scale of change.
    """
    columns = calendar.columns(weeks)
    planned = [calendar.weeks[column] for column in columns]
    year = np.ascontiguousarray(calendar.year.T[columns])
    measured: dict[str, np.ndarray] = {}
    room = np.empty_like(year)
    for measure, course in courses.items():
        values = streams.weekly_normal(("scan", measure), planned)
        values *= float(course.model.error_sd)
        values += course.baseline
        values += np.multiply(course.slope, year, out=room)
        _bend(values, course, year, room)
        if early is not None and course.model.pseudo_atrophy:
            values -= course.unit * course.model.pseudo_atrophy * early[columns]
        if scanners is not None:
            values += course.unit * scanner_shift(course.model, scanners, columns)
        measured[measure] = _observe(course.model, values)
        if course.model.scale == "change":
            values[np.array(planned) == 0] = np.nan
    return measured


def _bend(values: np.ndarray, course: ImagingCourse, year: np.ndarray, room: np.ndarray) -> None:
    """Add the changes of the slope, in place."""
    for when, size in course.bends:
        np.subtract(year, when, out=room)
        np.maximum(room, 0.0, out=room)
        room *= size
        values += room


def early_loss(config: CohortConfig, population: Population, year: np.ndarray) -> np.ndarray | None:
    """Return the early loss of whole-brain volume that is no atrophy.

    Parameters
    ----------
    config : CohortConfig
        Arms.
    population : Population
        Who is in which.
    year : ndarray, shape (n_subjects, n_visits)
        When.

    Returns
    -------
    ndarray, shape (n_visits, n_subjects), or None
        In percent; None where no arm has any.
    """
    if not any(arm.pseudo_atrophy_pct for arm in config.arms):
        return None
    total = arm_effect(config, population, "pseudo_atrophy_pct")
    constant = arm_effect(config, population, "pseudo_atrophy_years")
    if population.stop_year is None:
        return total * -np.expm1(-year.T / constant)
    until = np.minimum(year.T, population.stop_year)
    reference = config.arms[0]
    later = np.expm1(-until / reference.pseudo_atrophy_years) - np.expm1(
        -year.T / reference.pseudo_atrophy_years
    )
    return total * -np.expm1(-until / constant) + reference.pseudo_atrophy_pct * later


def _observe(model: ImagingModel, values: np.ndarray) -> np.ndarray:
    """Turn latent values to what is written down, in place."""
    if model.scale == "presence":
        return np.greater(values, 0.0, out=values)
    if model.scale in ("log", "count"):
        np.exp(values, out=values)
    if model.scale == "count":
        return np.rint(values, out=values)
    if model.scale == "linear":
        low, high = known_measures()[model.measure].possible
        np.clip(values, low, high, out=values)
    values *= _TICKS
    np.rint(values, out=values)
    values /= _TICKS
    return values
