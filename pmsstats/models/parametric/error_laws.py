"""Laws of a standardised time: survival, density and their derivatives, on the log scale."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, log_ndtr, ndtri

__all__ = ["EXTREME_VALUE", "LOGISTIC", "NORMAL", "ErrorLaw"]

_HALF_LOG_TWO_PI = 0.5 * np.log(2 * np.pi)


@dataclass(frozen=True, kw_only=True, eq=False)
class ErrorLaw:
    """A distribution on the whole line whose log density and log survival are concave.

    Parameters
    ----------
    log_survival : callable
        ``log S(z)`` of an array.
    log_density : callable
        ``log g(z)``.
    density_slopes : callable
        First and second derivative of ``log g``.
    survival_slopes : callable
        First and second derivative of ``log S``.
    quantile : callable
        The ``z`` at which survival has come down to given values in (0, 1).
    """

    log_survival: Callable[[np.ndarray], np.ndarray]
    log_density: Callable[[np.ndarray], np.ndarray]
    density_slopes: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
    survival_slopes: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
    quantile: Callable[[np.ndarray], np.ndarray]


def _extreme_slopes(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Differentiate z - exp(z)."""
    hazard = np.exp(z)
    return 1.0 - hazard, -hazard


def _extreme_survival_slopes(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Differentiate -exp(z)."""
    hazard = np.exp(z)
    return -hazard, -hazard


def _logistic_slopes(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Differentiate z - 2 log(1 + exp(z))."""
    p = expit(z)
    return 1.0 - 2.0 * p, -2.0 * p * (1.0 - p)


def _logistic_survival_slopes(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Differentiate -log(1 + exp(z))."""
    p = expit(z)
    return -p, -p * (1.0 - p)


def _normal_log_density(z: np.ndarray) -> np.ndarray:
    """Return log phi(z)."""
    return -0.5 * z**2 - _HALF_LOG_TWO_PI


def _normal_survival_slopes(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Differentiate log Phi(-z), by Mills' ratio."""
    mills = np.exp(_normal_log_density(z) - log_ndtr(-z))
    return -mills, -mills * (mills - z)


EXTREME_VALUE = ErrorLaw(
    log_survival=lambda z: -np.exp(z),
    log_density=lambda z: z - np.exp(z),
    density_slopes=_extreme_slopes,
    survival_slopes=_extreme_survival_slopes,
    quantile=lambda s: np.log(-np.log(s)),
)
"""Of the smallest of many: hazards are proportional; with log time, Weibull."""

LOGISTIC = ErrorLaw(
    log_survival=lambda z: -np.logaddexp(0.0, z),
    log_density=lambda z: z - 2.0 * np.logaddexp(0.0, z),
    density_slopes=_logistic_slopes,
    survival_slopes=_logistic_survival_slopes,
    quantile=lambda s: np.log1p(-s) - np.log(s),
)
"""Odds of an event are proportional; with log time, log-logistic."""

NORMAL = ErrorLaw(
    log_survival=lambda z: log_ndtr(-z),
    log_density=_normal_log_density,
    density_slopes=lambda z: (-z, np.full_like(z, -1.0)),
    survival_slopes=_normal_survival_slopes,
    quantile=lambda s: -ndtri(s),
)
"""Probits are shifted; with log time, log-normal."""
