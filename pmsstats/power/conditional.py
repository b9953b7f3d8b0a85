"""Conditional and predictive power at an interim look, and tests that combine stages."""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy.special import ndtr

from pmsstats.errors import DesignError
from pmsstats.power.rejection import critical_value
from pmsstats.power.sequential import Continuation, advance, nodes_needed, probability_above

__all__ = [
    "CRITICAL",
    "combination_test",
    "conditional_power",
    "conditional_power_at_looks",
    "predictive_power",
]

CRITICAL = critical_value(alpha=0.025, sides=1)
"""Bound of the statistic of a one-sided 2.5 % test: 1.96."""


def _interim(z: object, fraction: object) -> tuple[np.ndarray, np.ndarray]:
    """Return statistics and their information fractions, checked."""
    statistic, t = np.asarray(z, dtype=float), np.asarray(fraction, dtype=float)
    if np.any(~((t > 0) & (t < 1))):
        raise DesignError(
            "`information_fraction` must lie between 0 and 1, the end of the trial, got "
            f"{fraction!r}."
        )
    return statistic, t


def conditional_power(
    z: float | np.ndarray,
    information_fraction: float | np.ndarray,
    *,
    drift: float | np.ndarray | Literal["observed"] = "observed",
    critical: float | np.ndarray = CRITICAL,
) -> np.ndarray:
    """Give the probability that the trial succeeds at its end, given the interim statistic.

    Parameters
    ----------
    z : float or ndarray
        Statistic at the interim look; above 0 favours treatment.
    information_fraction : float or ndarray
        There, above 0 and below 1.
    drift : float, ndarray or "observed"
        Mean of the final statistic that the rest of the trial follows: that of the design
        (``boundaries(design).drift``), 0 without effect, or the trend seen so far,
        ``z / sqrt(information_fraction)``.
    critical : float or ndarray, default 1.96
        Bound of the final statistic.

    Returns
    -------
    ndarray
        Probability, of the broadcast shape; missing where `z` is.

    Raises
    ------
    DesignError
        If a fraction is not between 0 and 1, or `drift` is another word.

    Notes
    -----
    ``Phi((z sqrt(t) + drift (1 - t) - critical) / sqrt(1 - t))`` [1]_.

    References
    ----------
    .. [1] Lan KKG, Wittes J. The B-value: a tool for monitoring data. Biometrics 1988;44:579-585.
       doi:10.2307/2531870

    Examples
    --------
    >>> conditional_power(1.5, 0.5).round(3), conditional_power(1.5, 0.5, drift=0.0).round(3)
    (np.float64(0.59), np.float64(0.102))
    """
    statistic, t = _interim(z, information_fraction)
    if isinstance(drift, str):
        if drift != "observed":
            raise DesignError(f"`drift` must be 'observed' or a number, got {drift!r}.")
        mean = statistic / np.sqrt(t)
    else:
        mean = np.asarray(drift, dtype=float)
    excess = statistic * np.sqrt(t) + mean * (1.0 - t) - np.asarray(critical, dtype=float)
    return ndtr(excess / np.sqrt(1.0 - t))


def predictive_power(
    z: float | np.ndarray,
    information_fraction: float | np.ndarray,
    *,
    critical: float | np.ndarray = CRITICAL,
    prior_drift: float = 0.0,
    prior_information: float = 0.0,
) -> np.ndarray:
    """Average conditional power over what is known of the effect.

    Parameters
    ----------
    z : float or ndarray
        Statistic at the interim look.
    information_fraction : float or ndarray
        There, above 0 and below 1.
    critical : float or ndarray, default 1.96
        Bound of the final statistic.
    prior_drift : float, default 0
        Mean of the normal prior of the drift.
    prior_information : float, default 0
        Its weight as information, of the planned maximum: its variance is one over this. 0 is a
        flat prior.

    Returns
    -------
    ndarray
        Probability, of the broadcast shape.

    Raises
    ------
    DesignError
        If a fraction is not between 0 and 1, or the prior's information is below 0.

    Notes
    -----
    The posterior of the drift is normal with information ``t + prior_information``; the
    statistic to come is normal around it [1]_.

    References
    ----------
    .. [1] Spiegelhalter DJ, Freedman LS, Blackburn PR. Monitoring clinical trials: conditional or
       predictive power? Control Clin Trials 1986;7:8-17.

    Examples
    --------
    >>> predictive_power(1.5, 0.5).round(3)
    np.float64(0.564)
    """
    statistic, t = _interim(z, information_fraction)
    if prior_information < 0:
        raise DesignError(f"`prior_information` must not be below 0, got {prior_information!r}.")
    known = t + prior_information
    mean = (statistic * np.sqrt(t) + prior_drift * prior_information) / known
    left = 1.0 - t
    excess = statistic * np.sqrt(t) + mean * left - np.asarray(critical, dtype=float)
    return ndtr(excess / np.sqrt(left + left**2 / known))


def conditional_power_at_looks(
    z: float,
    information_fraction: float,
    *,
    fractions: tuple[float, ...],
    efficacy: tuple[float, ...],
    drift: float | Literal["observed"] = "observed",
) -> np.ndarray:
    """Give the probability to have succeeded by each look to come.

    Parameters
    ----------
    z : float
        Statistic at the interim look.
    information_fraction : float
        There.
    fractions : tuple of float
        Information fractions of the looks to come, rising.
    efficacy : tuple of float
        Their bounds.
    drift : float or "observed"
        As in :func:`conditional_power`.

    Returns
    -------
    ndarray, shape (n_looks_to_come,)
        Cumulative probability.

    Raises
    ------
    DesignError
        If fractions do not rise from that of the interim look, or lengths differ.

    Examples
    --------
    >>> conditional_power_at_looks(1.5, 0.25, fractions=(0.5, 1.0), efficacy=(2.96, 1.97)).round(3)
    array([0.118, 0.883])
    """
    t = np.array([information_fraction, *fractions], dtype=float)
    if len(fractions) != len(efficacy) or np.any(np.diff(t, prepend=0.0) <= 0):
        raise DesignError(
            "`fractions` must rise from `information_fraction` with one bound each, got "
            f"{information_fraction!r}, {fractions!r} and {efficacy!r}."
        )
    if isinstance(drift, str) and drift != "observed":
        raise DesignError(f"`drift` must be 'observed' or a number, got {drift!r}.")
    mean = np.array([z / np.sqrt(t[0]) if isinstance(drift, str) else drift])
    state = Continuation(z=np.array([[z]]), mass=np.ones((1, 1)), fraction=t[:1], n_nodes=_nodes(t))
    unbounded, chances = np.full(1, -np.inf), []
    for at, bound in zip(t[1:], efficacy, strict=True):
        here, upper = np.array([at]), np.array([float(bound)])
        chances.append(probability_above(state, upper, here, mean)[0])
        state = advance(state, unbounded, upper, here, mean)
    return np.cumsum(chances)


def _nodes(t: np.ndarray) -> int:
    """Return nodes that resolve every increment, the first from a point included."""
    return max(nodes_needed(t[None, :]), nodes_needed(t[None, 1:]))


def combination_test(
    z1: float | np.ndarray, z2: float | np.ndarray, *, weight: float | np.ndarray
) -> np.ndarray:
    """Combine the statistics of two stages with weights fixed in advance.

    Parameters
    ----------
    z1 : float or ndarray
        Statistic of the first stage.
    z2 : float or ndarray
        Statistic of the data that came after it alone. Its size may depend on the first stage.
    weight : float or ndarray
        Information share of the first stage as planned, above 0 and below 1.

    Returns
    -------
    ndarray
        Standard normal without effect, whatever made the second stage longer or shorter.

    Raises
    ------
    DesignError
        If the weight is not between 0 and 1.

    Notes
    -----
    Inverse normal combination ``sqrt(w) z1 + sqrt(1 - w) z2`` [1]_ [2]_.

    References
    ----------
    .. [1] Cui L, Hung HMJ, Wang SJ. Modification of sample size in group sequential clinical
       trials. Biometrics 1999;55:853-857. doi:10.1111/j.0006-341X.1999.00853.x
    .. [2] Lehmacher W, Wassmer G. Adaptive sample size calculations in group sequential trials.
       Biometrics 1999;55:1286-1290. doi:10.1111/j.0006-341X.1999.01286.x

    Examples
    --------
    >>> combination_test(1.0, 2.0, weight=0.5).round(4)
    np.float64(2.1213)
    """
    w = np.asarray(weight, dtype=float)
    if np.any(~((w > 0) & (w < 1))):
        raise DesignError(f"`weight` must lie between 0 and 1, got {weight!r}.")
    return np.sqrt(w) * np.asarray(z1, dtype=float) + np.sqrt(1.0 - w) * np.asarray(z2, dtype=float)
