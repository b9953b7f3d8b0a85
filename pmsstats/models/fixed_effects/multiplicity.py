"""Several comparisons at once: adjusted p values, and levels of simultaneous intervals."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from scipy import stats

from pmsstats.errors import DesignError, nearest

__all__ = [
    "ADJUSTMENTS",
    "Adjustment",
    "adjust_p_values",
    "simultaneous_level",
    "tukey_half_widths",
    "tukey_p_values",
]

PValueAdjustment = Literal["bonferroni", "holm", "sidak"]
Adjustment = Literal["bonferroni", "holm", "sidak", "tukey"]
ADJUSTMENTS: tuple[str, ...] = get_args(PValueAdjustment)
"""Those that need no more than p values."""

_TINY = 1e-9  # p value that is below the error of the studentized range's integral


def adjust_p_values(p_values: np.ndarray, method: PValueAdjustment) -> np.ndarray:
    """Adjust the p values of one family of comparisons.

    Parameters
    ----------
    p_values : ndarray, shape (m,)
        Missing where a comparison could not be made; those do not count.
    method : {"bonferroni", "holm", "sidak"}
        Holm's controls the family-wise error whenever Bonferroni's does, and never gives a larger
        p value. Sidak's is exact for independent comparisons.

    Returns
    -------
    ndarray, shape (m,)
        At most 1; missing where the p value is.

    Raises
    ------
    DesignError
        If there is no such method.

    Notes
    -----
    With m comparisons: Bonferroni ``m p``; Sidak ``1 - (1 - p)^m`` [2]_; Holm, for the i-th
    smallest, the largest of ``(m - j + 1) p_(j)`` over ``j <= i`` [1]_. R: ``p.adjust``; SAS:
    ``LSMEANS / ADJUST=``.

    References
    ----------
    .. [1] Holm S. A simple sequentially rejective multiple test procedure. Scand J Stat
       1979;6:65-70. https://www.jstor.org/stable/4615733.
    .. [2] Sidak Z. Rectangular confidence regions for the means of multivariate normal
       distributions. J Am Stat Assoc 1967;62:626-633. doi:10.1080/01621459.1967.10482935.

    Examples
    --------
    >>> [round(float(p), 4) for p in adjust_p_values(np.array([0.01, 0.04, 0.03]), "holm")]
    [0.03, 0.06, 0.06]
    """
    _check_method(method)
    p = np.asarray(p_values, dtype=float)
    m = int(np.isfinite(p).sum())
    if method == "bonferroni":
        return np.minimum(m * p, 1.0)
    if method == "sidak":
        with np.errstate(divide="ignore"):
            return -np.expm1(m * np.log1p(-p))  # keeps the digits of small p values
    order = np.argsort(p)[:m]  # missing ones come last
    steps = np.maximum.accumulate((m - np.arange(m)) * p[order])
    adjusted = np.full(len(p), np.nan)
    adjusted[order] = np.minimum(steps, 1.0)
    return adjusted


def simultaneous_level(conf_level: float, n_comparisons: int, method: PValueAdjustment) -> float:
    """Return the level of each interval that gives a whole family its level.

    Parameters
    ----------
    conf_level : float
        Of the family.
    n_comparisons : int
        How many.
    method : {"bonferroni", "holm", "sidak"}
        Holm's has no intervals of its own, and is given Bonferroni's, as emmeans does.

    Returns
    -------
    float
        At least `conf_level`.

    Raises
    ------
    DesignError
        If there is no such method.

    Examples
    --------
    >>> round(simultaneous_level(0.95, 5, "bonferroni"), 4)
    0.99
    """
    _check_method(method)
    m = max(n_comparisons, 1)
    if method == "sidak":
        return float(conf_level ** (1 / m))
    return 1 - (1 - conf_level) / m


def tukey_p_values(statistic: np.ndarray, df: np.ndarray | None, n_groups: int) -> np.ndarray:
    """Adjust the tests of all pairs of some groups' means as Tukey and Kramer do.

    Parameters
    ----------
    statistic : ndarray, shape (m,)
        Difference over its standard error; missing where there is none.
    df : ndarray, shape (m,), optional
        Degrees of freedom; without them the normal distribution is used.
    n_groups : int
        How many groups are compared with each other.

    Returns
    -------
    ndarray, shape (m,)
        Adjusted p values.

    Notes
    -----
    With k groups ``P(Q_{k, df} >= sqrt(2) |t|)``, where Q is the studentized range. Exact for
    independent means of equal variance, conservative for independent ones of unequal variance [1]_,
    an approximation for others. Kept between the unadjusted p value and Bonferroni's, which bound
    it; Bonferroni's, which it approaches, is taken below 1e-9, where the integral has no digits.
    R: ``emmeans``, ``adjust = "tukey"``; SAS: ``LSMEANS / ADJUST=TUKEY``.

    References
    ----------
    .. [1] Hayter AJ. A proof of the conjecture that the Tukey-Kramer multiple comparisons
       procedure is conservative. Ann Stat 1984;12:61-75. doi:10.1214/aos/1176346392.

    Examples
    --------
    >>> [round(float(p), 4) for p in tukey_p_values(np.array([1.0, 3.0]), np.array([20.0] * 2), 3)]
    [0.5854, 0.0186]
    """
    t = np.abs(np.asarray(statistic, dtype=float))
    each = _ranged_df(t, df)
    single = 2 * stats.t.sf(t, each)
    many = np.minimum(n_groups * (n_groups - 1) / 2 * single, 1.0)
    ranged = [
        stats.studentized_range.sf(np.sqrt(2.0) * q, n_groups, v) if bound > _TINY else bound
        for q, v, bound in zip(t, each, many, strict=True)
    ]
    return np.clip(ranged, single, many)


def tukey_half_widths(
    std_errors: np.ndarray, df: np.ndarray | None, n_groups: int, conf_level: float
) -> np.ndarray:
    """Return how far simultaneous intervals of all pairs reach to each side.

    Parameters
    ----------
    std_errors : ndarray, shape (m,)
        Of the differences; missing where there is none.
    df : ndarray, shape (m,), optional
        Degrees of freedom; without them the normal distribution is used.
    n_groups : int
        How many groups are compared with each other.
    conf_level : float
        Of the family.

    Returns
    -------
    ndarray, shape (m,)
        Quantile of the studentized range over ``sqrt(2)``, times the standard error.
    """
    errors = np.asarray(std_errors, dtype=float)
    each = _ranged_df(errors, df)
    quantiles = {
        v: stats.studentized_range.ppf(conf_level, n_groups, v) for v in set(each[~np.isnan(each)])
    }
    reach = np.array([quantiles.get(v, np.nan) for v in each])
    widths: np.ndarray = errors * reach / np.sqrt(2.0)
    return widths


def _ranged_df(values: np.ndarray, df: np.ndarray | None) -> np.ndarray:
    """Return degrees of freedom, infinite ones without, missing where the value is."""
    found = np.full(len(values), np.inf) if df is None else np.asarray(df, dtype=float)
    return np.where(np.isnan(values), np.nan, found)


def _check_method(method: str) -> None:
    """Refuse a method that does not exist."""
    if method not in ADJUSTMENTS:
        options = get_args(Adjustment)
        raise DesignError(
            f"`adjust` must be None or one of {', '.join(options)}, got {method!r}."
            f"{nearest(str(method), options)}"
        )
