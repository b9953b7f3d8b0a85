"""Spending functions: how much of an error rate may be used up at an information fraction."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import numpy as np
from scipy.special import ndtr, ndtri

from pmsstats.errors import DesignError, nearest

__all__ = [
    "CLASSICAL",
    "PARAMETRIC",
    "SPENDING_FAMILIES",
    "SpendingFamily",
    "check_family",
    "spend",
]

SpendingFamily = Literal["ld_obrien_fleming", "ld_pocock", "kim_demets", "hwang_shih_decani"]
SPENDING_FAMILIES = ("ld_obrien_fleming", "ld_pocock", "kim_demets", "hwang_shih_decani")
CLASSICAL = ("obrien_fleming", "pocock", "wang_tsiatis")
"""Bounds with constants, for looks at planned information."""
PARAMETRIC = ("wang_tsiatis", "kim_demets", "hwang_shih_decani")
_LINEAR = 1e-8  # a gamma of Hwang, Shih and De Cani this close to 0 spends in proportion


def check_family(argument: str, family: str, parameter: float | None, allowed: tuple) -> None:
    """Refuse an unknown family, or one whose parameter is missing or out of range.

    Parameters
    ----------
    argument : str
        Name of the argument, for the message.
    family : str
        As a caller gave it.
    parameter : float or None
        Of the families that have one: delta of Wang and Tsiatis, gamma of the others.
    allowed : tuple of str
        Families that will do here.

    Raises
    ------
    DesignError
        If the family is unknown, or its parameter missing, superfluous or out of range.
    """
    if family not in allowed:
        hint = nearest(str(family), allowed)
        listed = ", ".join(map(repr, allowed))
        raise DesignError(f"`{argument}` must be one of {listed}, got {family!r}.{hint}")
    if family in PARAMETRIC and parameter is None:
        raise DesignError(f"`{argument}={family!r}` needs its `{argument}_parameter`.")
    if family not in PARAMETRIC and parameter is not None:
        raise DesignError(
            f"`{argument}={family!r}` has no parameter, got `{argument}_parameter={parameter!r}`."
        )
    if parameter is None:
        return
    if not math.isfinite(parameter) or (family == "kim_demets" and parameter <= 0):
        raise DesignError(
            f"`{argument}_parameter` of {family!r} must be a finite number"
            f"{' above 0' if family == 'kim_demets' else ''}, got {parameter!r}."
        )


def spend(
    fraction: float | np.ndarray,
    *,
    family: SpendingFamily,
    total: float,
    parameter: float | None = None,
) -> np.ndarray:
    """Spend an error rate up to an information fraction.

    Parameters
    ----------
    fraction : float or ndarray
        Information as a share of the planned maximum, from 0; above 1 all is spent.
    family : {"ld_obrien_fleming", "ld_pocock", "kim_demets", "hwang_shih_decani"}
        The first two of [1]_, which come close to the bounds of O'Brien and Fleming and of Pocock;
        the power family of [2]_; the exponential family of [3]_.
    total : float
        Error rate to spend by the end, one-sided.
    parameter : float, optional
        Gamma of the last two: above 0 for ``"kim_demets"``; any for ``"hwang_shih_decani"``,
        where below 0 spends late (-4 is close to O'Brien and Fleming, 1 to Pocock).

    Returns
    -------
    ndarray
        Cumulative error rate, shape of `fraction`.

    Raises
    ------
    DesignError
        If the family is unknown, its parameter missing or out of range, `total` outside of 0 to
        1, or a fraction is below 0.

    References
    ----------
    .. [1] Lan KKG, DeMets DL. Discrete sequential boundaries for clinical trials. Biometrika
       1983;70:659-663. doi:10.1093/biomet/70.3.659
    .. [2] Kim K, DeMets DL. Design and analysis of group sequential tests based on the type I
       error spending rate function. Biometrika 1987;74:149-154. doi:10.1093/biomet/74.1.149
    .. [3] Hwang IK, Shih WJ, De Cani JS. Group sequential designs using a family of type I error
       probability spending functions. Stat Med 1990;9:1439-1445. doi:10.1002/sim.4780091207

    Examples
    --------
    >>> spend(np.array([0.5, 1.0]), family="kim_demets", total=0.025, parameter=3.0)
    array([0.003125, 0.025   ])
    """
    check_family("family", family, parameter, SPENDING_FAMILIES)
    if not 0.0 < total < 1.0:
        raise DesignError(f"`total` must lie between 0 and 1, got {total!r}.")
    t = np.asarray(fraction, dtype=float)
    if np.any(t < 0):
        raise DesignError(f"`fraction` must not be below 0, got {float(np.nanmin(t))!r}.")
    gamma = 0.0 if parameter is None else parameter
    return _SHAPES[family](np.minimum(t, 1.0), total, gamma)


def _obrien_fleming(t: np.ndarray, total: float, gamma: float) -> np.ndarray:
    """Return the share of [1] that is close to O'Brien and Fleming."""
    del gamma
    with np.errstate(divide="ignore"):
        return 2.0 * ndtr(ndtri(total / 2.0) / np.sqrt(t))


def _pocock(t: np.ndarray, total: float, gamma: float) -> np.ndarray:
    """Return the share of [1] that is close to Pocock."""
    del gamma
    return total * np.log1p((math.e - 1.0) * t)


def _power_family(t: np.ndarray, total: float, gamma: float) -> np.ndarray:
    """Return the share of Kim and DeMets."""
    return total * t**gamma


def _exponential_family(t: np.ndarray, total: float, gamma: float) -> np.ndarray:
    """Return the share of Hwang, Shih and De Cani."""
    if abs(gamma) < _LINEAR:
        return total * t
    return total * np.expm1(-gamma * t) / math.expm1(-gamma)


_SHAPES: dict[str, Callable[[np.ndarray, float, float], np.ndarray]] = {
    "ld_obrien_fleming": _obrien_fleming,
    "ld_pocock": _pocock,
    "kim_demets": _power_family,
    "hwang_shih_decani": _exponential_family,
}
