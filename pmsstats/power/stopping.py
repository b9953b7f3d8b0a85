"""Inference where a group-sequential trial stopped: p value, estimate and intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from pmsstats.errors import DesignError
from pmsstats.power.boundaries import update_boundaries
from pmsstats.power.group_sequential import GroupSequentialDesign
from pmsstats.power.looks import sequential_bounds
from pmsstats.power.sequential import (
    crossing_probabilities,
)

__all__ = ["StoppingInference", "estimate_at_stopping", "repeated_intervals"]

_REACH = 12.0  # standard errors around the naive estimate within which roots are sought


@dataclass(frozen=True, kw_only=True)
class StoppingInference:
    """What a trial found, with its looks allowed for.

    Parameters
    ----------
    look : int
        At which it stopped, from 1.
    claimed : bool
        Whether the upper bound was reached there.
    p_value : float
        One-sided, under stagewise ordering.
    estimate : float
        Median-unbiased, in units of the effect.
    conf_low, conf_high : float
        Interval under stagewise ordering.
    conf_level : float
        Of it: 1 less twice the one-sided type I error of the design.
    naive_estimate : float
        Statistic times standard error: overstates the effect of trials that stop early.
    """

    look: int
    claimed: bool
    p_value: float
    estimate: float
    conf_low: float
    conf_high: float
    conf_level: float
    naive_estimate: float


def estimate_at_stopping(
    z: float,
    *,
    design: GroupSequentialDesign,
    information_fractions: tuple[float, ...],
    std_error: float,
    final: bool | None = None,
) -> StoppingInference:
    """Estimate the effect of a trial that stopped, with its looks allowed for.

    Parameters
    ----------
    z : float
        Statistic at the look at which it stopped; above 0 favours treatment.
    design : GroupSequentialDesign
        Of the trial.
    information_fractions : tuple of float
        Of the looks up to and with that one, of the planned maximum.
    std_error : float
        Of the estimate at that look.
    final : bool, optional
        Whether that look is the end of the trial, where all that is left is spent; by default
        whether its fraction is 1 or more.

    Returns
    -------
    StoppingInference
        p value, median-unbiased estimate and interval.

    Raises
    ------
    DesignError
        If fractions do not rise, the standard error is not above 0, or `z` is not finite.

    Notes
    -----
    Stagewise ordering [1]_ [2]_: a trial that crosses the upper bound at an earlier look is more
    extreme, and at the same look one with a larger statistic. Lower bounds are obeyed in the law
    of the statistic only where they bind. With effect delta, the p value is that of the drift
    ``delta / (std_error sqrt(t))``; the estimate makes it one half.

    References
    ----------
    .. [1] Fairbanks K, Madsen R. P values for tests using a repeated significance test design.
       Biometrika 1982;69:69-74. doi:10.1093/biomet/69.1.69
    .. [2] Tsiatis AA, Rosner GL, Mehta CR. Exact confidence intervals following a group sequential
       test. Biometrics 1984;40:797-803. doi:10.2307/2530924

    Examples
    --------
    >>> design = GroupSequentialDesign(looks=(0.5, 1.0))
    >>> found = estimate_at_stopping(
    ...     3.2, design=design, information_fractions=(0.5,), std_error=0.25
    ... )
    >>> found.claimed, round(found.p_value, 5), round(found.estimate, 3)
    (True, 0.00069, 0.8)
    """
    t, upper, lower = _bounds_so_far(design, information_fractions, final)
    if not math.isfinite(z) or not (std_error > 0 and math.isfinite(std_error)):
        raise DesignError(
            f"`z` must be finite and `std_error` above 0, got {z!r} and {std_error!r}."
        )
    binding = lower if design.binding else np.full(len(t), -np.inf)
    unit = std_error * math.sqrt(t[-1])  # effect per unit of drift

    def p_value(drift: float) -> float:
        return _stagewise_p(z, t, upper, binding, drift)

    def effect_at(target: float) -> float:
        return unit * _root(lambda drift: p_value(drift) - target, z / math.sqrt(t[-1]), t)

    return StoppingInference(
        look=len(t),
        claimed=bool(z >= upper[-1]),
        p_value=p_value(0.0),
        estimate=effect_at(0.5),
        conf_low=effect_at(design.alpha),
        conf_high=effect_at(1.0 - design.alpha),
        conf_level=1.0 - 2.0 * design.alpha,
        naive_estimate=z * std_error,
    )


def _bounds_so_far(
    design: GroupSequentialDesign, fractions: tuple[float, ...], final: bool | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return information and bounds of the looks so far."""
    seen = tuple(float(t) for t in fractions)
    ended = final if final is not None else bool(seen) and seen[-1] >= 1.0
    solved = update_boundaries(design, seen, final=ended)
    k = len(seen)
    return solved.information[:k], solved.efficacy_z[:k], solved.futility_z[:k]


def _stagewise_p(
    z: float, t: np.ndarray, upper: np.ndarray, lower: np.ndarray, drift: float
) -> float:
    """Return the probability of what is at least as extreme."""
    last = np.append(upper[:-1], z)
    below = np.append(lower[:-1], -np.inf)
    crossing = crossing_probabilities(fractions=t, efficacy=last, futility=below, drift=drift)
    return float(crossing.efficacy.sum())


def _root(excess: object, centre: float, t: np.ndarray) -> float:
    """Find the drift of a rising function around the naive one."""
    reach = _REACH / math.sqrt(t[0])
    return float(brentq(excess, centre - reach, centre + reach, xtol=1e-11, rtol=1e-12))


def repeated_intervals(
    z: np.ndarray,
    *,
    design: GroupSequentialDesign,
    information_fractions: np.ndarray,
    std_error: np.ndarray,
) -> np.ndarray:
    """Give intervals that hold at all looks together, whatever made the trial stop.

    Parameters
    ----------
    z : ndarray, shape (..., n_looks)
        Statistics.
    design : GroupSequentialDesign
        Of the trial.
    information_fractions : ndarray, shape of `z`
        Of the planned maximum; the last look is the end of the trial.
    std_error : ndarray, shape of `z`
        Of the estimate at each look.

    Returns
    -------
    ndarray, shape (..., n_looks, 2)
        Lower and upper limits, at 1 less twice the one-sided type I error; without limit at looks
        that spend nothing.

    Raises
    ------
    DesignError
        If fractions do not rise, or shapes differ.

    Notes
    -----
    The estimate give or take the efficacy bound times its standard error [1]_.

    References
    ----------
    .. [1] Jennison C, Turnbull BW. Interim analyses: the repeated confidence interval approach.
       J R Stat Soc B 1989;51:305-361.

    Examples
    --------
    >>> repeated_intervals(
    ...     np.array([1.5, 2.5]),
    ...     design=GroupSequentialDesign(looks=(0.5, 1.0)),
    ...     information_fractions=np.array([0.5, 1.0]),
    ...     std_error=np.array([1.4, 1.0]),
    ... ).round(2)
    array([[-2.05,  6.25],
           [ 0.53,  4.47]])
    """
    statistic, se = np.asarray(z, dtype=float), np.asarray(std_error, dtype=float)
    if statistic.shape != se.shape or statistic.shape != np.shape(information_fractions):
        raise DesignError(
            "`z`, `std_error` and `information_fractions` must have the same shape, got "
            f"{statistic.shape}, {se.shape} and {np.shape(information_fractions)}."
        )
    bound = sequential_bounds(design, information_fractions).efficacy
    return np.stack([(statistic - bound) * se, (statistic + bound) * se], axis=-1)
