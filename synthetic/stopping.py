"""Subjects who stop their treatment: from then on the course goes on as in the reference arm.

What happened before stays. The slope of an imaging measure, the hazard of a worsening step and the
rates of relapses and lesions are those of the reference arm from the day of stopping on, its own
delayed onset included; an early loss of volume grows by what that of the reference arm grows by.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from synthetic.clock import Clock
from synthetic.config import CohortConfig
from synthetic.conversion import Conversion
from synthetic.population import Population, arm_effect

__all__ = ["arm_before_and_after", "break_years", "piecewise", "treated_years"]

REFERENCE = 0

_State = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def arm_before_and_after(
    config: CohortConfig, population: Population, effect: str
) -> tuple[np.ndarray, float]:
    """Look up an effect of every subject's treatment, and that of the reference arm.

    Parameters
    ----------
    config : CohortConfig
        With the arms.
    population : Population
        Who is in which.
    effect : str
        Field of :class:`synthetic.parameters.Arm`.

    Returns
    -------
    before : ndarray, shape (n_subjects,)
        The effect up to stopping.
    after : float
        From there on.
    """
    return arm_effect(config, population, effect), float(getattr(config.arms[REFERENCE], effect))


def break_years(
    config: CohortConfig, population: Population, conversion: Conversion | None
) -> np.ndarray:
    """List when something may change: onsets of treatment, stopping, conversion.

    Parameters
    ----------
    config : CohortConfig
        With the arms.
    population : Population
        Who is in which, and who stops when.
    conversion : Conversion or None
        Who converts when.

    Returns
    -------
    ndarray, shape (n_breaks, n_subjects)
        Ascending years; infinite where there is nothing.
    """
    onset, reference = arm_before_and_after(config, population, "onset_years")
    columns = [onset, np.full_like(onset, reference), _stops(population)]
    if conversion is not None:
        columns.append(conversion.year)
    return np.sort(np.stack(columns), axis=0)


def piecewise(
    config: CohortConfig, population: Population, conversion: Conversion | None, rate: _State
) -> tuple[np.ndarray, np.ndarray]:
    """Work out a rate between any two breaks.

    Parameters
    ----------
    config : CohortConfig
        With the arms.
    population : Population
        Who is in which, and who stops when.
    conversion : Conversion or None
        Who converts when.
    rate : callable
        Gives the rates from positions of arms, whether their effect has begun, and phenotypes,
        each of shape (n_subjects,).

    Returns
    -------
    breaks : ndarray, shape (n_breaks, n_subjects)
        As :func:`break_years`.
    rates : ndarray, shape (n_breaks + 1, n_subjects)
        Before the first break, and after each; after an infinite one, as before it.
    """
    breaks = break_years(config, population, conversion)
    onsets = np.array([float(arm.onset_years) for arm in config.arms])
    rates = []
    for start in (np.zeros(breaks.shape[1]), *breaks):
        arm = np.where(start < _stops(population), population.arm, REFERENCE)
        phenotype = population.phenotype
        if conversion is not None:
            phenotype = np.where(start < conversion.year, phenotype, conversion.phenotype)
        now = rate(arm, start >= onsets[arm], phenotype)
        rates.append(np.where(np.isfinite(start), now, rates[-1]) if rates else now)
    return breaks, np.stack(rates)


def treated_years(population: Population, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return how much of some intervals lies before stopping.

    Parameters
    ----------
    population : Population
        Who stops when.
    start, end : ndarray, shape (n_subjects,)
        Years.

    Returns
    -------
    ndarray, shape (n_subjects,)
        Years, from 0 to the length of the interval.
    """
    return np.clip(_stops(population) - start, 0.0, end - start)


def stopped_clock(
    config: CohortConfig,
    population: Population,
    conversion: Conversion | None,
    rate: _State,
    horizon: float,
) -> Clock:
    """Set up the clock of an event under treatments that may be stopped.

    Parameters
    ----------
    config : CohortConfig
        With the arms.
    population : Population
        Who is in which, and who stops when.
    conversion : Conversion or None
        Who converts when.
    rate : callable
        As for :func:`piecewise`.
    horizon : float
        Years after which nothing is of interest.

    Returns
    -------
    Clock
        Of every subject.
    """
    breaks, rates = piecewise(config, population, conversion, rate)
    return Clock(breaks=tuple(np.minimum(breaks, horizon)), rates=tuple(rates))


def _stops(population: Population) -> np.ndarray:
    """Return when subjects stop; infinite where they do not."""
    if population.stop_year is None:
        return np.full(len(population.arm), np.inf)
    return population.stop_year
