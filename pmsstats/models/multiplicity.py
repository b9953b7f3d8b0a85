"""Several comparisons at once: adjusted p values, and levels of simultaneous intervals."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from pmsstats.errors import DesignError, nearest

__all__ = ["ADJUSTMENTS", "Adjustment", "adjust_p_values", "simultaneous_level"]

Adjustment = Literal["bonferroni", "holm", "sidak"]
ADJUSTMENTS: tuple[str, ...] = get_args(Adjustment)


def adjust_p_values(p_values: np.ndarray, method: Adjustment) -> np.ndarray:
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


def simultaneous_level(conf_level: float, n_comparisons: int, method: Adjustment) -> float:
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


def _check_method(method: str) -> None:
    """Refuse a method that does not exist."""
    if method not in ADJUSTMENTS:
        raise DesignError(
            f"`adjust` must be None or one of {', '.join(ADJUSTMENTS)}, got {method!r}."
            f"{nearest(str(method), ADJUSTMENTS)}"
        )
