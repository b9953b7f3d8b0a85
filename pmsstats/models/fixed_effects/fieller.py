"""Fieller's confidence set of a ratio of two estimates.

References
----------
.. [1] Fieller EC. Some problems in interval estimation. J R Stat Soc B 1954;16:175-185.
   doi:10.1111/j.2517-6161.1954.tb00159.x.
.. [2] Zerbe GO. On Fieller's theorem and the general linear model. Am Stat 1978;32:103-105.
   doi:10.1080/00031305.1978.10479269.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pmsstats.models.fixed_effects.inference import quantile
from pmsstats.results import format_number

__all__ = ["FiellerSet", "SetShape", "fieller_bounds", "fieller_set"]

SetShape = Literal["bounded", "unbounded above", "unbounded below", "all but a gap", "whole line"]


@dataclass(frozen=True, kw_only=True)
class FiellerSet:
    """A ratio and all values of it that a t test does not reject.

    Parameters
    ----------
    estimate : float
        The ratio.
    std_error : float
        By the delta method; tells little where the denominator is not clearly away from zero.
    df : float, optional
        Degrees of freedom of the t distribution; None for the normal one.
    shape : {"bounded", "unbounded above", "unbounded below", "all but a gap", "whole line"}
        An interval only if the denominator differs significantly from zero. If it does not, the
        data exclude at most a gap, or nothing at all.
    conf_low, conf_high : float
        Ends of the set; infinite where it has none.
    gap_low, gap_high : float
        Ends of the excluded gap; missing where there is none.
    """

    estimate: float
    std_error: float
    df: float | None
    shape: SetShape
    conf_low: float
    conf_high: float
    gap_low: float = math.nan
    gap_high: float = math.nan

    def slowing(self) -> FiellerSet:
        """Return the same for ``100 * (1 - ratio)``."""
        flipped = {"unbounded above": "unbounded below", "unbounded below": "unbounded above"}
        return FiellerSet(
            estimate=100 * (1 - self.estimate),
            std_error=100 * self.std_error,
            df=self.df,
            shape=flipped.get(self.shape, self.shape),  # type: ignore[arg-type]
            conf_low=100 * (1 - self.conf_high),
            conf_high=100 * (1 - self.conf_low),
            gap_low=100 * (1 - self.gap_high),
            gap_high=100 * (1 - self.gap_low),
        )

    def words(self) -> str:
        """Say what the set holds.

        Returns
        -------
        str
            For example ``"3.0 to 51"``, or what is excluded where there is no interval.
        """
        low, high = format_number(self.conf_low, 3), format_number(self.conf_high, 3)
        if self.shape == "all but a gap":
            gap = f"{format_number(self.gap_low, 3)} and {format_number(self.gap_high, 3)}"
            return f"unbounded: all values but those between {gap}"
        return {
            "bounded": f"{low} to {high}",
            "unbounded above": f"{low} or more, without upper bound",
            "unbounded below": f"{high} or less, without lower bound",
            "whole line": "unbounded: no value is excluded",
        }[self.shape]


def fieller_set(
    values: np.ndarray, covariance: np.ndarray, *, df: float | None = None, conf_level: float = 0.95
) -> FiellerSet:
    """Find the confidence set of a ratio of two estimates.

    Parameters
    ----------
    values : ndarray, shape (2,)
        Numerator and denominator.
    covariance : ndarray, shape (2, 2)
        Theirs.
    df : float, optional
        Degrees of freedom of the t distribution; without them the normal one is used.
    conf_level : float, default 0.95
        Of the set.

    Returns
    -------
    FiellerSet
        Everything missing where an estimate is.

    Notes
    -----
    The set of all ``r`` for which the t test of ``numerator - r * denominator = 0`` is not
    significant [1]_ [2]_: ``(a - r b)^2 <= t^2 (v_aa - 2 r v_ab + r^2 v_bb)``. Its level is
    exact where a and b are normal; no interval that is always bounded can have that. R:
    ``mratios::gsci.ratio``; SAS has no statement for it.

    References
    ----------
    .. [1] Fieller EC. Some problems in interval estimation. J R Stat Soc B 1954;16:175-185.
       doi:10.1111/j.2517-6161.1954.tb00159.x.
    .. [2] Zerbe GO. On Fieller's theorem and the general linear model. Am Stat 1978;32:103-105.
       doi:10.1080/00031305.1978.10479269.

    Examples
    --------
    >>> found = fieller_set(np.array([1.0, 2.0]), 0.01 * np.eye(2))
    >>> found.shape, round(found.estimate, 3), round(found.conf_low, 3), round(found.conf_high, 3)
    ('bounded', 0.5, 0.395, 0.615)
    >>> fieller_set(np.array([1.0, 0.1]), 0.01 * np.eye(2)).words()
    'unbounded: all values but those between -10.3 and 3.28'
    """
    (a, b), V = (float(v) for v in values), np.asarray(covariance, dtype=float)
    size = np.sqrt(np.diag(V))
    if not (np.isfinite([a, b]).all() and np.isfinite(size).all() and b != 0 and size[1] > 0):
        return FiellerSet(
            estimate=math.nan, std_error=math.nan, df=df, shape="whole line",
            conf_low=-math.inf, conf_high=math.inf,
        )  # fmt: skip
    ratio = a / b
    gradient = np.array([1.0, -ratio]) / b
    std_error = math.sqrt(max(float(gradient @ V @ gradient), 0.0))
    t = float(quantile(conf_level, None if df is None else np.asarray(df)))
    shape, (low, high) = fieller_bounds(a, b, V, t)
    gap = {"gap_low": low, "gap_high": high} if shape == "all but a gap" else {}
    bounds = (-math.inf, math.inf) if gap else (low, high)
    return FiellerSet(
        estimate=ratio, std_error=std_error, df=df, shape=shape,
        conf_low=bounds[0], conf_high=bounds[1], **gap,
    )  # fmt: skip


def fieller_bounds(
    numerator: float, denominator: float, covariance: np.ndarray, quantile: float
) -> tuple[SetShape, tuple[float, float]]:
    """Solve for the ratios that a test does not reject.

    Parameters
    ----------
    numerator, denominator : float
        Estimates; the denominator may be 0.
    covariance : ndarray, shape (2, 2)
        Theirs; variances may be 0.
    quantile : float
        Of the reference distribution, such as 1.96.

    Returns
    -------
    shape : {"bounded", "unbounded above", "unbounded below", "all but a gap", "whole line"}
        Of the set.
    ends : tuple of two float
        Ends of the set, or of the gap.

    Notes
    -----
    The set of all ``r`` with ``A r^2 - 2 B r + C <= 0``, where ``A = b^2 - t^2 v_bb``, ``B = a b -
    t^2 v_ab`` and ``C = a^2 - t^2 v_aa`` [1]_. Solved in units of the denominator's standard error
    and of the ratio's size, with the discriminant divided by ``t^2``, whose terms cancel less, and
    the root of smaller size as ``C / A`` divided by the other.

    References
    ----------
    .. [1] Fieller EC. Some problems in interval estimation. J R Stat Soc B 1954;16:175-185.
       doi:10.1111/j.2517-6161.1954.tb00159.x.

    Examples
    --------
    >>> shape, (low, high) = fieller_bounds(1.0, 2.0, 0.01 * np.eye(2), 1.96)
    >>> shape, round(low, 3), round(high, 3)
    ('bounded', 0.395, 0.615)
    >>> fieller_bounds(0.1, 0.0, 0.01 * np.eye(2), 1.96)
    ('whole line', (-inf, inf))
    """
    v_a, v_b = float(covariance[0, 0]), float(covariance[1, 1])
    one = math.sqrt(v_b) if v_b > 0 else abs(denominator) or 1.0
    unit = math.sqrt(v_a) / one if v_a > 0 else 1.0
    V = covariance / np.outer([unit, 1], [unit, 1]) / (v_b if v_b > 0 else one**2)
    shape, ends = _solve(numerator / unit / one, denominator / one, V, quantile)
    return shape, (float(unit * ends[0]), float(unit * ends[1]))


def _solve(a: float, b: float, V: np.ndarray, t: float) -> tuple[SetShape, tuple[float, float]]:
    """Solve ``A r^2 - 2 B r + C <= 0``, with numbers of ordinary size."""
    A, B, C = b**2 - t**2 * V[1, 1], a * b - t**2 * V[0, 1], a**2 - t**2 * V[0, 0]
    inside = a**2 * V[1, 1] - 2 * a * b * V[0, 1] + b**2 * V[0, 0]
    inside -= t**2 * (V[0, 0] * V[1, 1] - V[0, 1] ** 2)
    if A == 0 and B != 0:
        end = C / (2 * B)
        return ("unbounded above", (end, math.inf)) if B > 0 else (
            "unbounded below", (-math.inf, end))  # fmt: skip
    if inside <= 0 and A <= 0:
        return "whole line", (-math.inf, math.inf)
    far = B + math.copysign(t * math.sqrt(max(inside, 0.0)), B)  # the root without cancellation
    roots = sorted((far / A, C / far if far != 0 else far / A))
    return ("bounded" if A > 0 else "all but a gap"), (roots[0], roots[1])
