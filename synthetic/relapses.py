"""Relapses: when they come, how hard they hit, what they leave behind."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaincinv, ndtr

from synthetic.clinical import RelapseModel
from synthetic.clock import Clock
from synthetic.config import CohortConfig
from synthetic.draws import SubjectStreams, event_times
from synthetic.population import Population, arm_effect, score

__all__ = ["Relapses", "draw_relapses", "relapse_activity", "relapse_impairment"]

_DAYS_PER_YEAR = 365.25


@dataclass(frozen=True, kw_only=True)
class Relapses:
    """Relapses of all subjects.

    Parameters
    ----------
    rate : ndarray, shape (n_subjects,)
        The subject's own rate per year, treatment included.
    years : ndarray, shape (n_subjects, n_most)
        Onsets, ascending; infinite where a subject has no more.
    severity : ndarray, shape (n_subjects, n_most)
        Rise of the EDSS at onset.
    """

    rate: np.ndarray
    years: np.ndarray
    severity: np.ndarray


def draw_relapses(
    config: CohortConfig, population: Population, streams: SubjectStreams
) -> Relapses:
    """Draw relapses over the planned follow-up.

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
    Relapses
        None in healthy controls.
    """
    model = config.relapses
    mean = np.where(population.is_patient, model.rate.take(population.phenotype), 0.0)
    frailty = _frailty(config, mean, relapse_activity(config, population, streams))
    rate = mean * frailty * arm_effect(config, population, "relapse_rate_ratio")
    horizon = config.schedule.horizon_years
    clock = None
    if population.stop_year is not None:
        later = mean * frailty * float(config.arms[0].relapse_rate_ratio)
        clock = Clock(breaks=(np.minimum(population.stop_year, horizon),), rates=(rate, later))
    years = event_times(streams, "relapse gap", rate, horizon, clock=clock)
    severity = np.empty_like(years)
    for k in range(years.shape[1]):
        severity[:, k] = model.severity * streams.exponential("relapse severity", k)
    return Relapses(rate=rate, years=years, severity=severity)


def _frailty(config: CohortConfig, mean: np.ndarray, activity: np.ndarray) -> np.ndarray:
    """Draw gamma factors, so that counts are negative binomial.

    They have mean 1. Given no relapse in the T years before baseline they are again gamma
    distributed, of the same shape a and mean ``a / (a + m T)``, m being the phenotype's mean rate.
    """
    if config.relapses.dispersion == 0:
        return np.ones(len(mean))
    shape = 1.0 / config.relapses.dispersion
    free = config.population.relapse_free_years
    return gammaincinv(shape, activity) / (shape + mean * free)


def relapse_activity(
    config: CohortConfig, population: Population, streams: SubjectStreams
) -> np.ndarray:
    """Say where each subject's relapse rate stands among those of the phenotype.

    Parameters
    ----------
    config : CohortConfig
        Loadings of the relapse rate on the person factors.
    population : Population
        Subjects.
    streams : SubjectStreams
        Random numbers.

    Returns
    -------
    ndarray, shape (n_subjects,)
        Uniform between 0 and 1: the share of subjects with a lower rate.
    """
    own = streams.normal("relapse rate")
    return ndtr(
        score(population, config.relapses.loadings, own, config.population.correlation_matrix())
    )


def relapse_impairment(model: RelapseModel, relapses: Relapses, year: np.ndarray) -> np.ndarray:
    """Add up what relapses still do to the EDSS.

    Parameters
    ----------
    model : RelapseModel
        Recovery.
    relapses : Relapses
        Onsets and severities.
    year : ndarray, shape (n_subjects, n_visits)
        When.

    Returns
    -------
    ndarray, shape (n_subjects, n_visits)
        EDSS points above the course without relapses.
    """
    total = np.zeros_like(year)
    for k in range(relapses.years.shape[1]):
        hit = np.flatnonzero(np.isfinite(relapses.years[:, k]))
        since = (year[hit] - relapses.years[hit, k, None]) * _DAYS_PER_YEAR
        left = model.residual_share + (1 - model.residual_share) * np.exp(
            -np.maximum(since, 0) / model.recovery_days
        )
        total[hit] += np.where(since >= 0, relapses.severity[hit, k, None] * left, 0.0)
    return total
