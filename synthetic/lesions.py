"""New lesions: how many form between scans, and how many of them still enhance.

A subject's new or enlarging T2 lesions are a Poisson process. Every one of them enhances for the
same time after it forms, so a scan's enhancing lesions are the youngest of those that are new since
the planned scan before: both counts agree with each other, and a lesion that is active at a scan is
always one of the new ones. The rate is the mean of the phenotype, times a gamma factor of mean 1
(so that counts are negative binomial), times a factor of mean 1 that falls with the disease
duration at baseline, times the ratio of the arm. The gamma factor follows the inflammatory activity
that also drives relapses. Shortly before baseline the rate may be another one, because patients
enter studies when they are active.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaincinv, ndtr, ndtri

from synthetic.config import LESION_MEASURES, CohortConfig
from synthetic.draws import SubjectStreams, poisson_counts
from synthetic.parameters import LesionModel, PopulationModel
from synthetic.population import Population, arm_effect
from synthetic.relapses import relapse_activity
from synthetic.stopping import treated_years
from synthetic.visits import DAYS_PER_YEAR, Calendar

__all__ = ["Lesions", "count_lesions", "draw_lesions"]


@dataclass(frozen=True, kw_only=True)
class Lesions:
    """New lesions of all subjects.

    Parameters
    ----------
    rate : ndarray, shape (n_subjects,)
        The subject's own rate per year, treatment included.
    columns : ndarray of int, shape (n_scans,)
        Visits with a planned scan, in order of time.
    enhancing : ndarray, shape (n_subjects, n_scans)
        Lesions that enhance at the scan.
    faded : ndarray, shape (n_subjects, n_scans)
        Lesions formed since the planned scan before that no longer do; 0 at the first.
    enhancing_ml : ndarray, shape (n_subjects, n_scans)
        Volume of those that enhance at the scan.
    """

    rate: np.ndarray
    columns: np.ndarray
    enhancing: np.ndarray
    faded: np.ndarray
    enhancing_ml: np.ndarray


def draw_lesions(
    config: CohortConfig, population: Population, calendar: Calendar, streams: SubjectStreams
) -> Lesions | None:
    """Draw the lesions that form between the planned scans.

    Parameters
    ----------
    config : CohortConfig
        Rates, schedule, arms.
    population : Population
        Subjects.
    calendar : Calendar
        Days.
    streams : SubjectStreams
        Random numbers; each planned scan has its own.

    Returns
    -------
    Lesions or None
        None where no lesions are described; no lesions in healthy controls.
    """
    model = config.lesions
    if model is None:
        return None
    mean = np.where(population.is_patient, model.rate.take(population.phenotype), 0.0)
    untreated = mean * _frailty(config, population, streams) * _decline(config, population)
    rate = untreated * arm_effect(config, population, "lesion_rate_ratio")
    columns = calendar.columns(config.schedule.imaging_weeks)
    enhancing, faded, enhancing_ml = (np.zeros((len(rate), len(columns))) for _ in range(3))
    window = model.enhancing_days / DAYS_PER_YEAR
    for k, column in enumerate(columns):
        week, year = calendar.weeks[column], calendar.year[:, column]
        gap = year - calendar.year[:, columns[k - 1]] if k else np.full(len(rate), window)
        recent = np.minimum(window, gap)
        # Treatment begins on day 0.
        since = rate if column else untreated * model.baseline_ratio
        recently, earlier = since * recent, rate * (gap - recent)
        if population.stop_year is not None and column:
            lost = untreated * float(config.arms[0].lesion_rate_ratio) - rate
            recently += lost * _stopped_years(population, year - recent, year)
            earlier += lost * _stopped_years(population, year - gap, year - recent)
        enhancing[:, k] = poisson_counts(streams.uniform("enhancing lesions", week), recently)
        faded[:, k] = poisson_counts(streams.uniform("faded lesions", week), earlier)
        enhancing_ml[:, k] = enhancing[:, k] * _lesion_volume(model, streams, week)
    return Lesions(
        rate=rate, columns=columns, enhancing=enhancing, faded=faded, enhancing_ml=enhancing_ml
    )


def _stopped_years(population: Population, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return how much of some intervals lies after stopping."""
    return end - start - treated_years(population, start, end)


def _frailty(
    config: CohortConfig, population: Population, streams: SubjectStreams
) -> np.ndarray | float:
    """Draw gamma factors of mean 1 whose normal scores correlate with those of relapse rates."""
    model = config.lesions
    if model is None or model.dispersion == 0:
        return 1.0
    loading, shape = model.relapse_loading, 1.0 / model.dispersion
    tiny = np.finfo(float).tiny
    shared = ndtri(np.clip(relapse_activity(config, population, streams), tiny, 1 - 1e-16))
    score = loading * shared + np.sqrt(1 - loading**2) * streams.normal("lesion rate")
    return gammaincinv(shape, ndtr(score)) / shape


def _decline(config: CohortConfig, population: Population) -> np.ndarray | float:
    """Let the rate fall with disease duration.

    The mean of ``exp(-k d)`` over gamma distributed durations of shape a and scale s is
    ``(1 + k s)^-a``; that durations end at adolescence is left out.
    """
    model, people = config.lesions, config.population
    if model is None or model.duration_decline == 0:
        return 1.0
    mean, scale = _duration_moments(people, population.phenotype)
    decline = model.duration_decline
    log_mean = -(mean / scale) * np.log1p(decline * scale)
    factor = np.exp(-decline * population.duration - log_mean)
    return np.where(population.is_patient, factor, 1.0)


def _duration_moments(
    people: PopulationModel, phenotype: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and scale (variance over mean) of the disease durations of each phenotype."""
    mean = people.duration_mean.take(phenotype)
    return mean, people.duration_sd.take(phenotype) ** 2 / mean


def _lesion_volume(model: LesionModel, streams: SubjectStreams, week: int) -> np.ndarray | float:
    """Draw the mean volume of a scan's enhancing lesions: log-normal."""
    if model.lesion_ml_sd == 0:
        return model.lesion_ml
    noise = model.lesion_ml_sd * streams.normal("enhancing volume", week)
    return model.lesion_ml * np.exp(noise - model.lesion_ml_sd**2 / 2)


def count_lesions(lesions: Lesions | None, scanned: np.ndarray) -> dict[str, np.ndarray]:
    """Count lesions at the scans that took place.

    Parameters
    ----------
    lesions : Lesions or None
        What formed when.
    scanned : ndarray of bool, shape (n_subjects, n_visits)
        Which scans took place.

    Returns
    -------
    dict of str to ndarray, shape (n_subjects, n_visits)
        ``new_t2_count`` and ``active_lesion_count``, new since the last scan that took place (NaN
        at a subject's first; equal, because active lesions are among the new ones);
        ``gd_lesion_count``, ``gd_lesion_presence`` (1 or 0) and ``gd_lesion_ml``. NaN at visits
        without a scan. Nothing where there are no lesions.
    """
    if lesions is None:
        return {}
    measured = {name: np.full(scanned.shape, np.nan) for name in LESION_MEASURES}
    waiting = np.zeros(len(scanned))
    has_earlier = np.zeros(len(scanned), dtype=bool)
    for k, column in enumerate(lesions.columns):
        seen, enhancing = scanned[:, column], lesions.enhancing[:, k]
        waiting = waiting + enhancing + lesions.faded[:, k]
        new = np.where(seen & has_earlier, waiting, np.nan)
        measured["new_t2_count"][:, column] = measured["active_lesion_count"][:, column] = new
        measured["gd_lesion_count"][:, column] = np.where(seen, enhancing, np.nan)
        measured["gd_lesion_presence"][:, column] = np.where(seen, enhancing > 0, np.nan)
        volume = np.round(lesions.enhancing_ml[:, k], 4)
        measured["gd_lesion_ml"][:, column] = np.where(seen, volume, np.nan)
        waiting = np.where(seen, 0.0, waiting)
        has_earlier |= seen
    return measured
