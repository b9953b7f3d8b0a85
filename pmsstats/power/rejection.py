"""Probability that a test of two means rejects, by its noncentrality."""

from __future__ import annotations

import math

import numpy as np
from numpy.polynomial.legendre import leggauss
from numpy.typing import ArrayLike
from scipy import special, stats

__all__ = [
    "ancova_rejection_probability",
    "critical_value",
    "rejection_probability",
    "welch_rejection_probability",
]

_LARGE_DF = 1e7  # from here on the t distribution differs from the normal by less than 1e-7
_NODES, _WEIGHTS = leggauss(64)
_REACH = 7.5  # standard deviations, beyond which less than 1e-13 of a normal distribution lies


def critical_value(*, alpha: float, sides: int = 2, df: float = math.inf) -> float:
    """Return the value that a t (or, with infinite degrees of freedom, z) statistic must exceed.

    Parameters
    ----------
    alpha : float
        Type I error.
    sides : int
        1 or 2.
    df : float
        Degrees of freedom.

    Returns
    -------
    float
        Positive for `alpha` below one half.
    """
    if df >= _LARGE_DF:
        return float(-special.ndtri(alpha / sides))
    return float(-special.stdtrit(df, alpha / sides))


def rejection_probability(
    noncentrality: ArrayLike, *, alpha: float, sides: int = 2, df: float = math.inf
) -> np.ndarray:
    """Return the probability that a t or z test rejects.

    Parameters
    ----------
    noncentrality : array-like
        Effect divided by its standard error. A one-sided test looks at its positive side.
    alpha : float
        Type I error.
    sides : int
        1 or 2; a two-sided test rejects in both tails, and both are counted.
    df : float
        Degrees of freedom of the t distribution; infinite for a z test.

    Returns
    -------
    ndarray
        Of the shape of `noncentrality`.

    Examples
    --------
    >>> float(rejection_probability(0.0, alpha=0.05).round(12))
    0.05
    """
    shift = np.asarray(noncentrality, dtype=float)
    bound = critical_value(alpha=alpha, sides=sides, df=df)
    return _tails(np.asarray(bound), df, shift, sides)


def _tails(bound: np.ndarray, df: float, shift: np.ndarray, sides: int) -> np.ndarray:
    """Return the noncentral t (or normal) distribution beyond its bounds."""
    if df >= _LARGE_DF:
        upper, lower = special.ndtr(shift - bound), special.ndtr(-shift - bound)
    else:
        upper, lower = stats.nct.sf(bound, df, shift), stats.nct.sf(bound, df, -shift)
    return np.asarray(upper + lower if sides == 2 else upper)


def welch_rejection_probability(
    effect: float,
    *,
    sd: tuple[float, float],
    arms: tuple[float, float],
    alpha: float,
    sides: int = 2,
) -> float:
    """Return the exact probability that Welch's t-test rejects.

    Parameters
    ----------
    effect : float
        Difference of the means. A one-sided test looks at its positive side.
    sd : pair of float
        Per arm, in the unit of the effect.
    arms : pair of float
        Subjects who are analysed, above 1 in each arm.
    alpha : float
        Type I error.
    sides : int
        1 or 2.

    Returns
    -------
    float
        Probability.

    Notes
    -----
    Given ``B``, the share of the first arm in the sum of both chi-square variables behind the
    sample variances, Welch's degrees of freedom are fixed, and the statistic is a multiple of a
    noncentral t variable with ``n_1 + n_2 - 2`` degrees of freedom. ``B`` has a beta distribution
    [1]_; the mean over it is a Gauss-Legendre sum.

    References
    ----------
    .. [1] Moser BK, Stevens GR, Watts CL. Commun Stat Theory Methods 1989;18:3963-3975.
    """
    nu = np.array(arms) - 1
    parts = np.array(sd) ** 2 / np.array(arms)
    share, weight = _beta_nodes(nu[0] / 2, nu[1] / 2)
    # Estimated variances of both means, divided by the sum of the chi-square variables over df.
    first, second = (parts * nu.sum() / nu)[:, None] * np.stack([share, 1 - share])
    df_welch = (first + second) ** 2 / (first**2 / nu[0] + second**2 / nu[1])
    error = math.sqrt(parts.sum())
    bound = -special.stdtrit(df_welch, alpha / sides) * np.sqrt(first + second) / error
    shift = np.full_like(bound, effect / error)
    return float(weight @ _tails(bound, float(nu.sum()), shift, sides))


def ancova_rejection_probability(
    noncentrality: float, *, df: float, alpha: float, sides: int = 2
) -> float:
    """Return the exact probability that the test of a difference adjusted for baseline rejects.

    Parameters
    ----------
    noncentrality : float
        Effect divided by its standard error, were the mean baselines of both arms the same. A
        one-sided test looks at its positive side.
    df : float
        Residual degrees of freedom: subjects less 3.
    alpha : float
        Type I error.
    sides : int
        1 or 2.

    Returns
    -------
    float
        Probability, over normal baselines that differ between arms by chance.

    Notes
    -----
    Given the baselines, the variance of the adjusted difference is inflated by
    ``1 + F / (df + 1)``, where ``F`` is the F statistic (1 and ``df + 1`` degrees of freedom) of
    the difference at baseline; the inverse of that has a beta distribution, and the mean over it
    is a Gauss-Legendre sum.
    """
    share, weight = _beta_nodes((df + 1) / 2, 0.5)
    bound = np.full_like(share, critical_value(alpha=alpha, sides=sides, df=df))
    return float(weight @ _tails(bound, df, noncentrality * np.sqrt(share), sides))


def _beta_nodes(a: float, b: float) -> tuple[np.ndarray, np.ndarray]:
    """Return nodes and weights of the mean over a beta distribution, both shapes at least 0.5.

    On the scale of the angle whose squared sine is the variable, the density has no poles, and
    falls from its mode at least as fast as a normal one with variance ``1 / (2 a + 2 b - 2)``.
    """
    mode = math.atan2(math.sqrt(max(2 * a - 1, 0.0)), math.sqrt(max(2 * b - 1, 0.0)))
    reach = _REACH / math.sqrt(max(2 * a + 2 * b - 2, 1.0))
    low, high = max(mode - reach, 0.0), min(mode + reach, math.pi / 2)
    angle = (low + high) / 2 + (high - low) / 2 * _NODES
    log_density = (2 * a - 1) * np.log(np.sin(angle)) + (2 * b - 1) * np.log(np.cos(angle))
    weight = _WEIGHTS * np.exp(log_density - log_density.max())
    return np.sin(angle) ** 2, weight / weight.sum()
