"""New lesions: how many form between scans, and how many of them still enhance.

A subject's new or enlarging T2 lesions are a Poisson process. Every one of them enhances for the
same time after it forms, so a scan's enhancing lesions are the youngest of those that are new since
the planned scan before: both counts agree with each other. The rate is the mean of the phenotype,
times a gamma factor of mean 1 (so that counts are negative binomial), times the ratio of the arm.
The factor follows the inflammatory activity that also drives relapses.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaincinv, ndtr, ndtri
from scipy.stats import poisson

from synthetic.config import LESION_MEASURES, CohortConfig
from synthetic.draws import SubjectStreams
from synthetic.parameters import LesionModel
from synthetic.population import Population, arm_effect
from synthetic.relapses import relapse_activity
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
    """

    rate: np.ndarray
    columns: np.ndarray
    enhancing: np.ndarray
    faded: np.ndarray


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
    untreated = mean * _frailty(model, streams)
    rate = untreated * arm_effect(config, population, "lesion_rate_ratio")
    columns = calendar.columns(config.schedule.imaging_weeks)
    enhancing = np.zeros((len(rate), len(columns)))
    faded = np.zeros_like(enhancing)
    window = model.enhancing_days / DAYS_PER_YEAR
    for k, column in enumerate(columns):
        week, year = calendar.weeks[column], calendar.year[:, column]
        gap = year - calendar.year[:, columns[k - 1]] if k else np.full(len(rate), window)
        recent = np.minimum(window, gap)
        since = rate if column else untreated  # treatment begins on day 0
        enhancing[:, k] = _poisson(streams.uniform("enhancing lesions", week), since * recent)
        faded[:, k] = _poisson(streams.uniform("faded lesions", week), rate * (gap - recent))
    return Lesions(rate=rate, columns=columns, enhancing=enhancing, faded=faded)


def _frailty(model: LesionModel, streams: SubjectStreams) -> np.ndarray:
    """Draw gamma factors of mean 1 whose normal scores correlate with those of relapse rates."""
    if model.dispersion == 0:
        return np.ones(streams.n_subjects)
    loading, shape = model.relapse_loading, 1.0 / model.dispersion
    tiny = np.finfo(float).tiny
    shared = ndtri(np.maximum(relapse_activity(streams), tiny))
    score = loading * shared + np.sqrt(1 - loading**2) * streams.normal("lesion rate")
    return gammaincinv(shape, ndtr(score)) / shape


def _poisson(uniform: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Turn uniform numbers to Poisson counts, the more the higher."""
    return np.maximum(poisson.ppf(uniform, mean), 0.0)


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
        ``new_t2_count``, new since the last scan that took place (NaN at a subject's first), and
        ``gd_lesion_count``; NaN at visits without a scan. Nothing where there are no lesions.
    """
    if lesions is None:
        return {}
    new, enhancing = (np.full(scanned.shape, np.nan) for _ in LESION_MEASURES)
    waiting = np.zeros(len(scanned))
    has_earlier = np.zeros(len(scanned), dtype=bool)
    for k, column in enumerate(lesions.columns):
        seen = scanned[:, column]
        waiting = waiting + lesions.enhancing[:, k] + lesions.faded[:, k]
        new[:, column] = np.where(seen & has_earlier, waiting, np.nan)
        enhancing[:, column] = np.where(seen, lesions.enhancing[:, k], np.nan)
        waiting = np.where(seen, 0.0, waiting)
        has_earlier |= seen
    return dict(zip(LESION_MEASURES, (new, enhancing), strict=True))
