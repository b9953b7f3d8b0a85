"""The latent course of disability: a true EDSS that rises in lasting steps.

The hazard of a step is proportional between subjects: the mean rate of the phenotype (of the new
one after conversion), times the multiplier of the stage that the subject has reached, times
``exp(lp - var(lp) / 2)`` with lp the linear predictor of the person factors, times the hazard ratio
of the arm once its effect has begun. So the hazard ratio of a step per standard deviation of every
factor is known exactly, and the mean over subjects at a stage of multiplier 1 is the phenotype's.

Steps are drawn by inverting the cumulative hazard exactly. Everything but the stage depends on time
alone and is constant between two break points, conversion and the onset of treatment: it makes a
clock, piecewise linear in time, on which the gap before a step is exponential with the multiplier
of the current stage as its rate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from synthetic.clinical import DisabilityModel
from synthetic.clock import Clock
from synthetic.config import CohortConfig
from synthetic.draws import SubjectStreams, truncated_normal
from synthetic.population import Population, arm_effect, relative_hazard, score
from synthetic.stopping import stopped_clock

if TYPE_CHECKING:
    from synthetic.conversion import Conversion

__all__ = [
    "HIGHEST_EDSS",
    "Progression",
    "draw_progression",
    "legal_edss",
    "true_edss",
]

HIGHEST_EDSS = 9.5
"""Highest score of a living person."""

_EARLY_UP_TO = 5.5

_HALF_CELL = 0.249
"""Scores are half a point apart: what is rounded to an end of a range lies so far around it."""


@dataclass(frozen=True, kw_only=True)
class Progression:
    """Latent course of all subjects.

    Parameters
    ----------
    hazard : ndarray, shape (n_subjects,)
        Of a step right after baseline, per year, stage and treatment included; 0 in healthy
        controls.
    baseline : ndarray, shape (n_subjects,)
        True EDSS on day 0; 0 in healthy controls.
    steps : ndarray, shape (n_subjects, n_most)
        Years of the steps, ascending; infinite where a subject has no more.
    """

    hazard: np.ndarray
    baseline: np.ndarray
    steps: np.ndarray


def draw_progression(
    config: CohortConfig,
    population: Population,
    streams: SubjectStreams,
    conversion: Conversion | None = None,
) -> Progression:
    """Draw the latent course over the planned follow-up.

    Parameters
    ----------
    config : CohortConfig
        Rates, schedule, arms.
    population : Population
        Subjects.
    streams : SubjectStreams
        Random numbers; the gap before step k is a purpose of its own, so that a longer follow-up
        extends the course and changes nothing before.
    conversion : Conversion, optional
        Who converts when; nobody by default.

    Returns
    -------
    Progression
        Hazards, baseline, steps.
    """
    model = config.disability
    clock = _clock(config, population, conversion)
    baseline = _baseline(config, population, streams)
    return Progression(
        hazard=clock.first_rate * _stage(model, baseline),
        baseline=baseline,
        steps=_steps(model, baseline, clock, config.schedule.horizon_years, streams),
    )


def _clock(config: CohortConfig, population: Population, conversion: Conversion | None) -> Clock:
    """Set up the clock of every subject."""
    model, horizon = config.disability, config.schedule.horizon_years
    person = relative_hazard(config, population, model.loadings)
    if population.stop_year is not None:
        hazard = _hazard_under(config, person, population.is_patient)
        return stopped_clock(config, population, conversion, hazard, horizon)
    before = np.where(population.is_patient, model.worsening_rate.take(population.phenotype), 0.0)
    after, converts = before, np.full(len(before), horizon)
    if conversion is not None:
        rate = model.worsening_rate.take(conversion.phenotype)
        after = np.where(np.isfinite(conversion.year), rate, before)
        converts = np.minimum(conversion.year, horizon)
    ratio = arm_effect(config, population, "worsening_hazard_ratio")
    onset = np.minimum(arm_effect(config, population, "onset_years"), horizon)
    middle = np.where(converts < onset, after, before * ratio)
    return Clock(
        breaks=(np.minimum(converts, onset), np.maximum(converts, onset)),
        rates=(before * person, middle * person, after * ratio * person),
    )


def _hazard_under(
    config: CohortConfig, person: np.ndarray, is_patient: np.ndarray
) -> Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]:
    """Return what gives hazards from arms, whether their effect has begun, and phenotypes."""
    ratios = np.array([float(arm.worsening_hazard_ratio) for arm in config.arms])

    def hazard(arm: np.ndarray, has_begun: np.ndarray, phenotype: np.ndarray) -> np.ndarray:
        base = np.where(is_patient, config.disability.worsening_rate.take(phenotype), 0.0)
        return base * person * np.where(has_begun, ratios[arm], 1.0)

    return hazard


def _stage(model: DisabilityModel, edss: np.ndarray) -> np.ndarray:
    """Look up the multiplier of the stage that subjects have reached."""
    starts, multipliers = np.array(model.stages, dtype=float).T
    return multipliers[np.searchsorted(starts, edss, side="right") - 1]


def _steps(
    model: DisabilityModel,
    baseline: np.ndarray,
    clock: Clock,
    horizon: float,
    streams: SubjectStreams,
) -> np.ndarray:
    """Draw the years of the steps, shape (n_subjects, n_most)."""
    reading, level = np.zeros(len(baseline)), baseline.copy()
    columns: list[np.ndarray] = []
    while True:
        with np.errstate(divide="ignore"):
            gap = streams.exponential("worsening gap", len(columns)) / _stage(model, level)
        reading = reading + gap
        year = clock.year(reading)
        if not (year < horizon).any():
            return np.column_stack(columns) if columns else np.empty((len(baseline), 0))
        columns.append(np.where(year < horizon, year, np.inf))
        level = _step_up(model, level)


def _step_up(model: DisabilityModel, level: np.ndarray) -> np.ndarray:
    """Return the true EDSS after a step."""
    size = np.where(level <= _EARLY_UP_TO, model.step, model.late_step)
    return legal_edss(np.minimum(level + size, HIGHEST_EDSS))


def _baseline(config: CohortConfig, population: Population, streams: SubjectStreams) -> np.ndarray:
    """Place subjects on the scale."""
    model, phenotype = config.disability, population.phenotype
    continuous = truncated_normal(
        score(
            population,
            model.level_loadings,
            streams.normal("baseline edss"),
            config.population.correlation_matrix(),
        ),
        model.edss_mean.take(phenotype),
        model.edss_sd.take(phenotype),
        np.ceil(2 * model.edss_low.take(phenotype)) / 2 - _HALF_CELL,
        np.floor(2 * model.edss_high.take(phenotype)) / 2 + _HALF_CELL,
    )
    return np.where(population.is_patient, legal_edss(continuous), 0.0)


def legal_edss(score: np.ndarray) -> np.ndarray:
    """Round to the nearest legal score of a living person.

    Parameters
    ----------
    score : ndarray
        Any numbers; NaN stays.

    Returns
    -------
    ndarray
        0, or 1.0 to 9.5 by 0.5.
    """
    rounded = np.rint(np.clip(score, 0.0, HIGHEST_EDSS) * 2) / 2
    return np.where(rounded == 0.5, np.where(score < 0.5, 0.0, 1.0), rounded)


def true_edss(model: DisabilityModel, progression: Progression, year: np.ndarray) -> np.ndarray:
    """Return the true EDSS at given times, relapses left aside.

    Parameters
    ----------
    model : DisabilityModel
        Size of the steps.
    progression : Progression
        Baseline and steps.
    year : ndarray, shape (n_subjects, n_visits)
        When.

    Returns
    -------
    ndarray, shape (n_subjects, n_visits)
        Legal scores.
    """
    level = progression.baseline.copy()
    path = np.repeat(level[:, None], year.shape[1], axis=1)
    for k in range(progression.steps.shape[1]):
        took = np.flatnonzero(np.isfinite(progression.steps[:, k]))
        level[took] = _step_up(model, level[took])
        after = year[took] >= progression.steps[took, k, None]
        path[took] = np.where(after, level[took, None], path[took])
    return path
