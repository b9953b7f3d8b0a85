"""Bounds at the looks that took place, for many trials of one design at once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtri

from pmsstats.errors import DesignError
from pmsstats.power.group_sequential import CLASSICAL, GroupSequentialDesign
from pmsstats.power.sequential import (
    advance,
    check_fractions,
    crossing_probabilities,
    row_blocks,
    solve_bound,
    start,
)
from pmsstats.power.spending import SPENDING_FAMILIES, spend

__all__ = [
    "SequentialBounds",
    "cumulative_alpha",
    "design_drift",
    "efficacy_bounds",
    "futility_bounds",
    "sequential_bounds",
]

_DELTA = {"obrien_fleming": 0.0, "pocock": 0.5}
_DRIFT_RANGE = (0.3, 4.0)  # of the drift of a fixed design, within which the design's is sought
_DRIFT_ERROR = 1e-12


@dataclass(frozen=True, kw_only=True, eq=False)
class SequentialBounds:
    """Bounds of many trials of one design.

    Parameters
    ----------
    efficacy, futility : ndarray, shape of the information fractions
        Of the statistic. Without a bound (or a look): plus and minus infinity. With lower bounds,
        those of the last look are equal.
    """

    efficacy: np.ndarray
    futility: np.ndarray


@lru_cache(maxsize=256)
def _classical_z(design: GroupSequentialDesign) -> tuple[float, ...]:
    """Return ``c t^(delta - 1/2)`` with the constant that spends alpha at the planned looks."""
    delta = _DELTA.get(design.spending, design.spending_parameter)
    t = np.asarray(design.looks)
    shape = t ** (float(delta or 0.0) - 0.5)

    def excess(constant: float) -> float:
        looks = crossing_probabilities(fractions=t, efficacy=constant * shape)
        return float(looks.efficacy.sum()) - design.alpha

    lowest = float(ndtri(1.0 - design.alpha)) / float(shape.max()) - 1e-9
    constant = brentq(excess, lowest, 12.0, xtol=1e-13, rtol=1e-13)
    return tuple(float(z) for z in constant * shape)


@lru_cache(maxsize=256)
def _classical_spent(design: GroupSequentialDesign) -> np.ndarray:
    """Return the cumulative error that classical bounds spend at the planned looks."""
    looks = crossing_probabilities(
        fractions=np.asarray(design.looks), efficacy=np.asarray(_classical_z(design))
    )
    return np.cumsum(looks.efficacy)


def cumulative_alpha(design: GroupSequentialDesign, information_fractions: object) -> np.ndarray:
    """Give the type I error that may be spent up to each look.

    Parameters
    ----------
    design : GroupSequentialDesign
        Of the trial.
    information_fractions : array_like, shape (n_looks,) or (n_rows, n_looks)
        Information of the looks, of the planned maximum; missing where a look did not take place.

    Returns
    -------
    ndarray, shape of `information_fractions`
        All of it at the last look, whatever its information. Bounds with constants spend what
        they do at the planned looks, and in between in proportion to information, which returns
        the constants where the plan is kept.

    Raises
    ------
    DesignError
        If fractions are not above 0 or do not rise.
    """
    t = check_fractions(information_fractions, name="information_fractions")
    if design.spending in CLASSICAL:
        spent = np.interp(t, (0.0, *design.looks), (0.0, *_classical_spent(design)))
    else:
        spent = spend(
            t,
            family=design.spending,  # type: ignore[arg-type]
            total=design.alpha,
            parameter=design.spending_parameter,
        )
    spent[:, -1] = design.alpha
    return spent.reshape(np.shape(information_fractions))


def _spent_beta(design: GroupSequentialDesign, t: np.ndarray) -> np.ndarray:
    """Return the type II error that may be spent up to each look."""
    return spend(
        t,
        family=design.futility,  # type: ignore[arg-type]
        total=1.0 - design.power,
        parameter=design.futility_parameter,
    )


def _increments(spent: np.ndarray) -> np.ndarray:
    """Return what is spent at each look; nothing at those that did not take place."""
    before = np.maximum.accumulate(np.nan_to_num(spent, nan=0.0), axis=1)
    return np.diff(before, axis=1, prepend=0.0)


def _walk(
    design: GroupSequentialDesign, t: np.ndarray, drift: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return upper and lower bounds, look by look; those by conditional power come later."""
    filled = np.maximum.accumulate(np.nan_to_num(t, nan=0.0), axis=1)
    alpha = _increments(cumulative_alpha(design, t))
    spends_beta = design.futility in SPENDING_FAMILIES
    beta = _increments(_spent_beta(design, t)) if spends_beta else np.zeros(t.shape)
    none, mean = np.zeros(len(t)), np.full(len(t), drift)
    unbounded = np.full(len(t), -np.inf)
    null, alternative = start(t), start(t)
    upper, lower = np.full(t.shape, np.inf), _fixed_lower(design, t)
    for k in range(t.shape[1]):
        at = filled[:, k]
        upper[:, k] = solve_bound(null, alpha[:, k], at, none)
        if k == t.shape[1] - 1:
            break
        if spends_beta:
            lower[:, k] = solve_bound(alternative, beta[:, k], at, mean, upper=False)
        lower[:, k] = np.minimum(lower[:, k], upper[:, k])
        if spends_beta:
            alternative = advance(alternative, lower[:, k], upper[:, k], at, mean)
        null = advance(null, lower[:, k] if design.binding else unbounded, upper[:, k], at, none)
    return upper, lower


def _fixed_lower(design: GroupSequentialDesign, t: np.ndarray) -> np.ndarray:
    """Return the lower bounds that are given as statistics, at looks that took place."""
    if design.futility != "z":
        return np.full(t.shape, -np.inf)
    fixed = np.array([*(design.futility_z or ()), -np.inf])
    if len(fixed) != t.shape[1]:
        raise DesignError(
            f"`futility='z'` has bounds for {len(fixed)} looks, but `information_fractions` has "
            f"{t.shape[1]}. Set looks that did not take place to NaN."
        )
    return np.where(np.isnan(t), -np.inf, fixed)


def _bounds(
    design: GroupSequentialDesign, t: np.ndarray, drift: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return upper and lower bounds under every kind of rule."""
    upper, lower = _walk(design, t, drift)
    if design.futility == "conditional_power":
        lower = np.where(np.isnan(t), -np.inf, _conditional_lower(design, t, upper, drift))
    if design.futility is not None:
        lower[:, -1] = upper[:, -1]
    return upper, lower


def _conditional_lower(
    design: GroupSequentialDesign, t: np.ndarray, upper: np.ndarray, drift: float
) -> np.ndarray:
    """Return the statistics at which conditional power is at its limit."""
    last = t[:, -1:]
    left = np.maximum(last - t, 0.0)
    need = upper[:, -1:] * np.sqrt(last)
    need = need + np.sqrt(left) * ndtri(design.futility_parameter or 0.5)
    if design.futility_trend == "observed":
        z = need * np.sqrt(t) / last
    else:
        z = (need - drift * left) / np.sqrt(t)
    return np.minimum(z, upper)


@lru_cache(maxsize=256)
def design_drift(design: GroupSequentialDesign) -> float:
    """Find the mean of the statistic at information 1 with which a design has its power.

    Parameters
    ----------
    design : GroupSequentialDesign
        At its planned looks, lower bounds obeyed.

    Returns
    -------
    float
        Above that of a fixed design, unless lower bounds bind.

    Raises
    ------
    DesignError
        If lower bounds take so much power away that no effect reaches it.
    """
    t = np.atleast_2d(np.asarray(design.looks))

    def excess(drift: float) -> float:
        upper, lower = _bounds(design, t, drift)
        looks = crossing_probabilities(fractions=t, efficacy=upper, futility=lower, drift=drift)
        return float(looks.efficacy.sum()) - design.power

    low, high = (edge * design.fixed_drift for edge in _DRIFT_RANGE)
    if excess(low) > 0 or excess(high) < 0:
        raise DesignError(
            f"No effect gives `power={design.power!r}` with these lower bounds "
            f"(`futility={design.futility!r}`). Lower them or the power."
        )
    return float(brentq(excess, low, high, xtol=_DRIFT_ERROR, rtol=_DRIFT_ERROR))


def sequential_bounds(
    design: GroupSequentialDesign, information_fractions: object
) -> SequentialBounds:
    """Give the bounds of trials by the information that they had at their looks.

    Parameters
    ----------
    design : GroupSequentialDesign
        Of all of them.
    information_fractions : array_like, shape (n_looks,) or (n_rows, n_looks)
        Of the planned maximum; rising, missing where a look did not take place. The last look is
        the end of the trial, whatever its information.

    Returns
    -------
    SequentialBounds
        Arrays in the shape of `information_fractions`. Rows that are alike are worked out once;
        the bounds of a row do not depend on the others, to the last bit.

    Raises
    ------
    DesignError
        If fractions are not above 0 or do not rise.

    Notes
    -----
    Error rates are spent at the information that was reached [1]_; what is left is spent at the
    last look, whose information may fall short of or exceed the plan. Lower bounds suppose the
    drift of the plan.

    References
    ----------
    .. [1] Lan KKG, DeMets DL. Discrete sequential boundaries for clinical trials. Biometrika
       1983;70:659-663. doi:10.1093/biomet/70.3.659

    Examples
    --------
    >>> design = GroupSequentialDesign(looks=(0.5, 1.0))
    >>> sequential_bounds(design, [[0.5, 1.0], [0.6, 1.1]]).efficacy.round(3)
    array([[2.963, 1.969],
           [2.669, 1.986]])
    """
    t = check_fractions(information_fractions, name="information_fractions")
    drift = design_drift(design) if design.futility is not None else design.fixed_drift
    filled = np.where(np.isnan(t), -1.0, t)
    unique, where = np.unique(filled, axis=0, return_inverse=True)
    paths = np.where(unique < 0, np.nan, unique)
    upper, lower = np.empty(paths.shape), np.empty(paths.shape)
    for rows in row_blocks(paths):
        upper[rows], lower[rows] = _bounds(design, paths[rows], drift)
    every, shape = where.ravel(), np.shape(information_fractions)
    return SequentialBounds(
        efficacy=upper[every].reshape(shape), futility=lower[every].reshape(shape)
    )


def efficacy_bounds(design: GroupSequentialDesign, information_fractions: object) -> np.ndarray:
    """Give the upper bounds of many trials.

    Parameters
    ----------
    design : GroupSequentialDesign
        Of all of them.
    information_fractions : array_like, shape (n_looks,) or (n_rows, n_looks)
        As in :func:`sequential_bounds`.

    Returns
    -------
    ndarray, shape of `information_fractions`
        Of the statistic: an effect is claimed at or above. Infinite where nothing may be claimed.

    Raises
    ------
    DesignError
        If fractions are not above 0 or do not rise.
    """
    return sequential_bounds(design, information_fractions).efficacy


def futility_bounds(design: GroupSequentialDesign, information_fractions: object) -> np.ndarray:
    """Give the lower bounds of many trials.

    Parameters
    ----------
    design : GroupSequentialDesign
        Of all of them.
    information_fractions : array_like, shape (n_looks,) or (n_rows, n_looks)
        As in :func:`sequential_bounds`.

    Returns
    -------
    ndarray, shape of `information_fractions`
        Of the statistic: a trial stops below. Minus infinity where there is no bound; the upper
        one at the last look.

    Raises
    ------
    DesignError
        If fractions are not above 0 or do not rise.
    """
    return sequential_bounds(design, information_fractions).futility
