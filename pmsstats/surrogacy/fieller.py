"""Confidence sets for a ratio of two estimates."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pmsstats.models.fixed_effects.fieller import SetShape, fieller_bounds

__all__ = ["RatioSet", "SetKind", "fieller_set"]

SetKind = Literal["bounded", "outside", "everything"]
_KINDS: dict[SetShape, SetKind] = {"bounded": "bounded", "all but a gap": "outside"}


@dataclass(frozen=True, kw_only=True)
class RatioSet:
    """Values of a ratio that the data do not refute.

    Parameters
    ----------
    kind : {"bounded", "outside", "everything"}
        An interval; all values but those between `low` and `high`; or all values.
    low, high : float
        Its ends; infinite for ``"everything"``.
    """

    kind: SetKind
    low: float
    high: float


def fieller_set(
    numerator: float,
    denominator: float,
    *,
    variances: tuple[float, float],
    covariance: float,
    quantile: float,
) -> RatioSet:
    """Return Fieller's confidence set of ``numerator / denominator``.

    Parameters
    ----------
    numerator, denominator : float
        Normal estimates.
    variances : tuple of two float
        Of numerator and denominator.
    covariance : float
        Between them.
    quantile : float
        Of the reference distribution, such as 1.96.

    Returns
    -------
    RatioSet
        Bounded if and only if the denominator differs from zero at that level.

    Notes
    -----
    The set of ``r`` with ``(a - r b)^2 <= q^2 (v_a - 2 r c + r^2 v_b)`` [1]_: a quadratic in r,
    whose leading coefficient ``b^2 - q^2 v_b`` is negative where the denominator may be zero.

    References
    ----------
    .. [1] Fieller EC. Some problems in interval estimation. J R Stat Soc B 1954;16:175-185.
       doi:10.1111/j.2517-6161.1954.tb00159.x

    Examples
    --------
    >>> fieller_set(1.0, 2.0, variances=(0.01, 0.01), covariance=0.0, quantile=1.96).kind
    'bounded'
    """
    V = np.array([[variances[0], covariance], [covariance, variances[1]]])
    shape, (low, high) = fieller_bounds(numerator, denominator, V, quantile)
    if shape not in _KINDS:  # touching: one end runs away
        return RatioSet(kind="everything", low=-math.inf, high=math.inf)
    return RatioSet(kind=_KINDS[shape], low=low, high=high)
