"""The latent course of disability: a true EDSS that rises in lasting steps.

The hazard of a step is constant over time and proportional between subjects: it is the mean rate of
the phenotype, times ``exp(b z - b^2 / 2)`` with z the person factor "rate" and b its log hazard
ratio per standard deviation, times the hazard ratio of the arm. So the hazard ratio of the first
step per standard deviation of z is known exactly, and its mean over subjects is the phenotype's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthetic.config import CohortConfig
from synthetic.draws import SubjectStreams, event_times, truncated_normal
from synthetic.parameters import DisabilityModel
from synthetic.population import Population, arm_effect

__all__ = ["HIGHEST_EDSS", "Progression", "draw_progression", "true_edss"]

HIGHEST_EDSS = 9.5
"""Highest score of a living person."""

_EARLY_UP_TO = 5.5


@dataclass(frozen=True, kw_only=True)
class Progression:
    """Latent course of all subjects.

    Parameters
    ----------
    hazard : ndarray, shape (n_subjects,)
        Of a step, per year, treatment included; 0 in healthy controls.
    baseline : ndarray, shape (n_subjects,)
        True EDSS on day 0; 0 in healthy controls.
    steps : ndarray, shape (n_subjects, n_most)
        Years of the steps, ascending; infinite where a subject has no more.
    """

    hazard: np.ndarray
    baseline: np.ndarray
    steps: np.ndarray


def draw_progression(
    config: CohortConfig, population: Population, streams: SubjectStreams
) -> Progression:
    """Draw the latent course over the planned follow-up.

    Parameters
    ----------
    config : CohortConfig
        Rates, schedule, arms.
    population : Population
        Subjects.
    streams : SubjectStreams
        Random numbers.

    Returns
    -------
    Progression
        Hazards, baseline, steps.
    """
    model = config.disability
    b = model.log_hazard_per_sd
    mean = np.where(population.is_patient, model.worsening_rate.take(population.phenotype), 0.0)
    hazard = (
        mean
        * np.exp(b * population.rate - b**2 / 2)
        * arm_effect(config, population, "worsening_hazard_ratio")
    )
    return Progression(
        hazard=hazard,
        baseline=_baseline(model, population),
        steps=event_times(streams, "worsening gap", hazard, config.schedule.horizon_years),
    )


def _baseline(model: DisabilityModel, population: Population) -> np.ndarray:
    """Place subjects on the scale by their person factor "disability"."""
    phenotype = population.phenotype
    continuous = truncated_normal(
        population.disability,
        model.edss_mean.take(phenotype),
        model.edss_sd.take(phenotype),
        model.edss_low.take(phenotype),
        model.edss_high.take(phenotype),
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
    rounded = np.round(np.clip(score, 0.0, HIGHEST_EDSS) * 2) / 2
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
        size = np.where(level[took] <= _EARLY_UP_TO, model.step, model.late_step)
        level[took] = legal_edss(np.minimum(level[took] + size, HIGHEST_EDSS))
        after = year[took] >= progression.steps[took, k, None]
        path[took] = np.where(after, level[took, None], path[took])
    return path
