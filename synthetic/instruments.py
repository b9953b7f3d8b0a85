"""From latent impairment to what a clinician writes down: EDSS, timed tests, cognitive scores."""

from __future__ import annotations

import numpy as np

from synthetic.clinical import DisabilityModel, InstrumentModel
from synthetic.config import CohortConfig
from synthetic.draws import SubjectStreams
from synthetic.observation import worse_sign
from synthetic.population import Population, score
from synthetic.progression import legal_edss
from synthetic.visits import Calendar

__all__ = ["COGNITIVE", "measure_instruments", "rate_edss"]

COGNITIVE = ("sdmt", "pasat3")
"""Measures that are taken at the schedule's cognition weeks only."""

_EARLY_UP_TO = 5.5


def rate_edss(
    model: DisabilityModel,
    population: Population,
    impairment: np.ndarray,
    weeks: tuple[int, ...],
    streams: SubjectStreams,
) -> np.ndarray:
    """Rate the EDSS, with a rater's error.

    Parameters
    ----------
    model : DisabilityModel
        Spread of ratings.
    population : Population
        Subjects; healthy controls are not rated.
    impairment : ndarray, shape (n_subjects, n_visits)
        True EDSS with relapses.
    weeks : tuple of int
        Planned week of each column.
    streams : SubjectStreams
        Random numbers.

    Returns
    -------
    ndarray, shape (n_subjects, n_visits)
        Legal scores; NaN in healthy controls.
    """
    noise = streams.weekly_normal(("edss rater",), weeks).T
    sd = np.where(impairment <= _EARLY_UP_TO, model.rater_sd, model.late_rater_sd)
    rated = legal_edss(impairment + sd * noise)
    return np.where(population.is_patient[:, None], rated, np.nan)


def measure_instruments(
    config: CohortConfig,
    population: Population,
    impairment: np.ndarray,
    calendar: Calendar,
    streams: SubjectStreams,
) -> dict[str, np.ndarray]:
    """Take every timed and scored test.

    Parameters
    ----------
    config : CohortConfig
        Instruments and schedule.
    population : Population
        Subjects.
    impairment : ndarray, shape (n_subjects, n_visits)
        True EDSS with relapses; 0 in healthy controls.
    calendar : Calendar
        Days.
    streams : SubjectStreams
        Random numbers.

    Returns
    -------
    dict of str to ndarray, shape (n_subjects, n_visits)
        By measure that is emitted or that the hands share; NaN where a test is not planned or
        cannot be done.
    """
    tests: dict[str, np.ndarray] = {}
    shared = ("nhpt_s",) if config.hands else ()
    for model in config.instruments:
        if model.measure not in config.emitted and model.measure not in shared:
            continue
        is_cognitive = model.measure in COGNITIVE
        planned = config.schedule.cognition_weeks if is_cognitive else calendar.weeks
        values = np.full(impairment.shape, np.nan)
        columns = calendar.columns(planned)
        part = calendar.part(planned)
        values[:, columns] = _take_test(
            config, model, population, impairment[:, columns], part, streams=streams
        )
        tests[model.measure] = values
    return tests


def _take_test(
    config: CohortConfig,
    model: InstrumentModel,
    population: Population,
    impairment: np.ndarray,
    calendar: Calendar,
    *,
    streams: SubjectStreams,
) -> np.ndarray:
    """Take one test at its visits."""
    noise = streams.weekly_normal(("test noise", model.measure), calendar.weeks).T
    own = streams.normal("test level", model.measure)
    person = model.own_sd * score(
        population, model.level_loadings, own, config.population.correlation_matrix()
    )
    late = np.maximum(impairment - model.late_from, 0.0)
    values = (
        model.intercept
        + model.slope * impairment
        + model.late_slope * late
        + worse_sign(model.measure) * person[:, None]
        + _drift(config, model, population, streams)[:, None] * calendar.year
        + model.noise_sd * noise
    )
    values = np.exp(values) if model.scale == "log" else values
    values = values + _practice(model, values.shape[1])
    ticks = 10.0**model.decimals
    values = np.rint(np.clip(values, model.low, model.high) * ticks) / ticks
    return np.where(impairment > model.unable_above, np.nan, values)


def _drift(
    config: CohortConfig, model: InstrumentModel, population: Population, streams: SubjectStreams
) -> np.ndarray:
    """Draw every patient's own change per year, faster where the processes are."""
    own = streams.normal("test drift", model.measure)
    faster = score(population, model.rate_loadings, own, config.population.correlation_matrix())
    drift = model.drift + worse_sign(model.measure) * model.drift_sd * faster
    return np.where(population.is_patient, drift, 0.0)


def _practice(model: InstrumentModel, n_tests: int) -> np.ndarray:
    """Return the gain at each administration, half of what is left at a time."""
    gain = model.practice * (1 - 0.5 ** np.arange(n_tests))
    return -worse_sign(model.measure) * gain
