"""Joint law of the test statistics of successive looks, by recursive numerical integration.

Statistics have independent increments: with information fractions t, ``Z_k`` has mean
``drift sqrt(t_k)`` and ``corr(Z_j, Z_k) = sqrt(t_j / t_k)``. Many designs (rows) are worked on at
once, and no row's numbers depend on the others, to the last bit: rows with as many quadrature nodes
go together, and each ends its own iterations.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import ndtr, ndtri

from pmsstats.errors import DesignError

__all__ = [
    "Continuation",
    "Crossing",
    "advance",
    "check_fractions",
    "crossing_probabilities",
    "probability_above",
    "probability_below",
    "solve_bound",
    "start",
]

_REACH = 9.0  # standard deviations of the mean beyond which nothing is integrated
_SPACING = 0.8  # of quadrature nodes, in standard deviations of an increment: error about exp(-30)
_NODES = (40, 1500)
_GRADES = 8  # numbers of nodes in use between a power of 2 and the next: rows share them
_CELLS = 250_000  # array elements worked on at once: they stay in the processor's cache
_ROOT = math.sqrt(2.0 * math.pi)
_TINY = 1e-300
_STEP = 1e-12  # of a bound, at which Newton's method ends


@dataclass(frozen=True, kw_only=True, eq=False)
class Continuation:
    """Where trials are that did not stop yet.

    Parameters
    ----------
    z : ndarray, shape (n_rows, n_nodes)
        Quadrature nodes of the statistic at the last look.
    mass : ndarray, shape (n_rows, n_nodes)
        Probability that stands for each node: density times weight.
    fraction : ndarray, shape (n_rows,)
        Information fraction of the last look.
    n_nodes : int
        Nodes after the next look; before the first there is one.
    """

    z: np.ndarray
    mass: np.ndarray
    fraction: np.ndarray
    n_nodes: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Crossing:
    """Probabilities of stopping at each look.

    Parameters
    ----------
    efficacy, futility : ndarray, shape (..., n_looks)
        Of crossing the upper and the lower bound there first.
    """

    efficacy: np.ndarray
    futility: np.ndarray


def check_fractions(fractions: object, *, name: str = "fractions") -> np.ndarray:
    """Return information fractions as rows of looks.

    Parameters
    ----------
    fractions : array_like, shape (n_looks,) or (n_rows, n_looks)
        Missing where a look did not take place.
    name : str
        Name of the argument, for messages.

    Returns
    -------
    ndarray, shape (n_rows, n_looks)
        As float.

    Raises
    ------
    DesignError
        If a fraction is not above 0, the last one is missing, or they do not rise.
    """
    t = np.atleast_2d(np.asarray(fractions, dtype=float))
    if t.ndim != 2 or not t.size:
        raise DesignError(
            f"`{name}` must have shape (n_looks,) or (n_rows, n_looks), got {np.shape(fractions)}."
        )
    if np.any(~(t[:, -1] > 0)) or np.any(t <= 0) or np.any(np.isinf(t)):
        raise DesignError(
            f"`{name}` must be above 0 and finite, with the last look present, got {t.min()!r} as "
            "smallest. A look that did not take place is NaN."
        )
    filled = _filled(t)
    bad = np.any((np.diff(filled, axis=1) <= 0) & ~np.isnan(t[:, 1:]), axis=1)
    if bad.any():
        raise DesignError(
            f"`{name}` must rise from look to look, but {int(bad.sum())} row(s) do not, as "
            f"{t[bad][0].tolist()!r}. Set a look without new information to NaN."
        )
    return t


def _filled(t: np.ndarray) -> np.ndarray:
    """Return fractions with those of missing looks carried forward from the look before."""
    return np.maximum.accumulate(np.where(np.isnan(t), 0.0, t), axis=1)


@lru_cache(maxsize=64)
def _legendre(n_nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return nodes and weights of Gauss and Legendre between -1 and 1."""
    return np.polynomial.legendre.leggauss(n_nodes)


def _nodes_of_rows(fractions: np.ndarray) -> np.ndarray:
    """Return for each row how many nodes resolve its smallest increment of information."""
    t = _filled(fractions)
    step, after = np.diff(t, axis=1), t[:, 1:]
    used = (step > 0) & (t[:, :-1] > 0)
    share = np.divide(step, after, out=np.ones_like(step), where=used)
    narrow = np.sqrt(np.min(share, axis=1, initial=1.0))
    needed = np.ceil(math.pi / 2.0 * 2.0 * _REACH / (_SPACING * narrow))
    grade = np.exp2(np.floor(np.log2(needed))) / _GRADES
    return np.clip(grade * np.ceil(needed / grade), *_NODES).astype(np.int64)


def nodes_needed(fractions: np.ndarray) -> int:
    """Return how many nodes resolve the smallest increment of information of any row.

    Parameters
    ----------
    fractions : ndarray, shape (n_rows, n_looks)
        Rising; missing for looks that did not take place.
    """
    return int(np.max(_nodes_of_rows(fractions)))


def start(fractions: np.ndarray) -> Continuation:
    """Return the state before the first look.

    Parameters
    ----------
    fractions : ndarray, shape (n_rows, n_looks)
        Of the looks to come; they fix the number of quadrature nodes.
    """
    n_rows = len(fractions)
    return Continuation(
        z=np.zeros((n_rows, 1)),
        mass=np.ones((n_rows, 1)),
        fraction=np.zeros(n_rows),
        n_nodes=nodes_needed(fractions),
    )


def _standardised(
    state: Continuation, bound: np.ndarray, fraction: np.ndarray, drift: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return a bound as seen from each node, in SDs of the increment, and its SDs per unit."""
    step = fraction - state.fraction
    sd = np.sqrt(np.where(step > 0, step, 1.0))
    reached = state.z * np.sqrt(state.fraction)[:, None] + (drift * step)[:, None]
    root = np.sqrt(np.where(fraction > 0, fraction, 1.0))
    return ((bound * root)[:, None] - reached) / sd[:, None], root / sd


def probability_above(
    state: Continuation, bound: np.ndarray, fraction: np.ndarray, drift: np.ndarray
) -> np.ndarray:
    """Return the probability of going on until a look and being above its bound there.

    Parameters
    ----------
    state : Continuation
        Before the look.
    bound, fraction, drift : ndarray, shape (n_rows,)
        Of the statistic at the look, its information fraction, and the mean of the statistic at
        information 1.
    """
    return np.sum(state.mass * ndtr(-_standardised(state, bound, fraction, drift)[0]), axis=1)


def probability_below(
    state: Continuation, bound: np.ndarray, fraction: np.ndarray, drift: np.ndarray
) -> np.ndarray:
    """Return the probability of going on until a look and being below its bound there.

    Parameters
    ----------
    state : Continuation
        Before the look.
    bound, fraction, drift : ndarray, shape (n_rows,)
        As in :func:`probability_above`.
    """
    return np.sum(state.mass * ndtr(_standardised(state, bound, fraction, drift)[0]), axis=1)


def solve_bound(
    state: Continuation,
    target: np.ndarray,
    fraction: np.ndarray,
    drift: np.ndarray,
    *,
    upper: bool = True,
) -> np.ndarray:
    """Find the bound that is crossed for the first time with given probability.

    Parameters
    ----------
    state : Continuation
        Before the look.
    target : ndarray, shape (n_rows,)
        Probability.
    fraction, drift : ndarray, shape (n_rows,)
        As in :func:`probability_above`.
    upper : bool, default True
        Crossing means above the bound; else below.

    Returns
    -------
    ndarray, shape (n_rows,)
        Infinite where nothing may be spent, or where all may. A row stays as it is once it is
        found, however long others take.
    """
    sign = 1.0 if upper else -1.0
    total = state.mass.sum(axis=1)
    moving = (target > 0) & (target < total) & (fraction > state.fraction)
    goal = ndtri(np.where(moving, target, 0.5))
    low = drift * np.sqrt(fraction) - 40.0
    high = low + 80.0
    bound = np.clip(drift * np.sqrt(fraction) - sign * goal, low, high)
    going_on = moving
    for _ in range(100):
        x, scale = _standardised(state, bound, fraction, drift)
        p = np.clip(np.sum(state.mass * ndtr(-sign * x), axis=1), _TINY, 1.0 - 1e-16)
        too_low = (p > target) if upper else (p < target)
        low, high = np.where(too_low, bound, low), np.where(too_low, high, bound)
        probit = ndtri(p)
        density = np.sum(state.mass * np.exp(-0.5 * x * x), axis=1) / _ROOT * scale
        slope = -sign * np.maximum(density, _TINY) * _ROOT * np.exp(0.5 * probit * probit)
        newton = bound - (probit - goal) / slope
        inside = (newton >= low) & (newton <= high)
        new = np.where(inside, newton, 0.5 * (low + high))
        done = np.abs(new - bound) < _STEP * (1.0 + np.abs(bound))
        bound = np.where(going_on, new, bound)
        going_on = going_on & ~done
        if not going_on.any():
            break
    return np.where(moving, bound, np.where(target < total, sign * np.inf, -sign * np.inf))


def advance(
    state: Continuation,
    lower: np.ndarray,
    upper: np.ndarray,
    fraction: np.ndarray,
    drift: np.ndarray,
) -> Continuation:
    """Go on to a look, and beyond it where the statistic lies between the bounds.

    Parameters
    ----------
    state : Continuation
        Before the look.
    lower, upper : ndarray, shape (n_rows,)
        Bounds; infinite where there is none.
    fraction, drift : ndarray, shape (n_rows,)
        As in :func:`probability_above`. A look without new information changes nothing.

    Returns
    -------
    Continuation
        After the look.

    Notes
    -----
    The density of going on is that of the look before, taken over the normal increment between
    both [1]_; the integral is one of Gauss and Legendre over the nodes.

    References
    ----------
    .. [1] Armitage P, McPherson CK, Rowe BC. Repeated significance tests on accumulating data.
       J R Stat Soc A 1969;132:235-244. doi:10.2307/2343787
    .. [2] Jennison C, Turnbull BW. Group sequential methods with applications to clinical trials.
       Chapman & Hall/CRC, 2000: chapter 19.
    """
    centre = np.where(fraction > 0, drift * np.sqrt(fraction), 0.0)
    low = np.clip(lower, centre - _REACH, centre + _REACH)
    high = np.clip(upper, centre - _REACH, centre + _REACH)
    half = np.maximum(0.5 * (high - low), 0.0)
    nodes, weights = _legendre(state.n_nodes)
    z = (0.5 * (high + low))[:, None] + half[:, None] * nodes
    step = fraction - state.fraction
    moved = step > 0
    sd = np.sqrt(np.where(moved, step, 1.0))
    reached = state.z * np.sqrt(state.fraction)[:, None] + (drift * step)[:, None]
    gap = ((z * np.sqrt(fraction)[:, None])[:, :, None] - reached[:, None, :]) / sd[:, None, None]
    np.square(gap, out=gap)
    gap *= -0.5
    np.exp(gap, out=gap)
    density = np.einsum("rij,rj->ri", gap, state.mass)
    density *= (np.sqrt(fraction) / (sd * _ROOT))[:, None]
    mass = density * (half[:, None] * weights)
    if not moved.all():
        before = ((0, 0), (0, state.n_nodes - state.z.shape[1]))
        z = np.where(moved[:, None], z, np.pad(state.z, before))
        mass = np.where(moved[:, None], mass, np.pad(state.mass, before))
    return Continuation(
        z=z, mass=mass, fraction=np.maximum(fraction, state.fraction), n_nodes=state.n_nodes
    )


def row_blocks(fractions: np.ndarray) -> list[np.ndarray]:
    """Return numbers of rows that have as many nodes, and whose arrays fit the cache.

    Parameters
    ----------
    fractions : ndarray, shape (n_rows, n_looks)
        Checked by :func:`check_fractions`.
    """
    n_nodes = _nodes_of_rows(fractions)
    blocks = []
    for n in np.unique(n_nodes).tolist():
        rows, size = np.flatnonzero(n_nodes == n), max(1, _CELLS // n**2)
        blocks += [rows[first : first + size] for first in range(0, len(rows), size)]
    return blocks


def crossing_probabilities(
    *,
    fractions: np.ndarray,
    efficacy: np.ndarray,
    futility: np.ndarray | None = None,
    drift: float | np.ndarray = 0.0,
) -> Crossing:
    """Give the probability of stopping at each look.

    Parameters
    ----------
    fractions : ndarray, shape (n_looks,) or (n_rows, n_looks)
        Information fractions, rising.
    efficacy : ndarray, shape of `fractions`
        Upper bounds of the statistic; infinite where there is none.
    futility : ndarray, shape of `fractions`, optional
        Lower bounds; minus infinity where there is none.
    drift : float or ndarray, shape (n_rows,)
        Mean of the statistic at information fraction 1.

    Returns
    -------
    Crossing
        Shape of `fractions`; trials that reach the end below a last bound without lower one stop
        nowhere.

    Raises
    ------
    DesignError
        If fractions do not rise, or shapes differ.

    Examples
    --------
    >>> looks = crossing_probabilities(
    ...     fractions=np.array([0.5, 1.0]), efficacy=np.array([2.797, 1.977])
    ... )
    >>> looks.efficacy.round(4)
    array([0.0026, 0.0224])
    """
    t = check_fractions(fractions)
    upper = np.atleast_2d(np.asarray(efficacy, dtype=float))
    lower = np.full(t.shape, -np.inf) if futility is None else np.atleast_2d(futility)
    if upper.shape != t.shape or lower.shape != t.shape:
        raise DesignError(
            f"`efficacy` and `futility` must have the shape {t.shape} of `fractions`, got "
            f"{upper.shape} and {lower.shape}."
        )
    mean = np.broadcast_to(np.asarray(drift, dtype=float), (len(t),))
    above, below = np.empty(t.shape), np.empty(t.shape)
    for rows in row_blocks(t):
        part = _crossing(t[rows], upper[rows], lower[rows], mean[rows])
        above[rows], below[rows] = part.efficacy, part.futility
    shape = np.shape(fractions)
    return Crossing(efficacy=above.reshape(shape), futility=below.reshape(shape))


def _crossing(t: np.ndarray, upper: np.ndarray, lower: np.ndarray, drift: np.ndarray) -> Crossing:
    """Walk through the looks of some rows."""
    state, filled = start(t), _filled(t)
    above, below = np.zeros(t.shape), np.zeros(t.shape)
    for k in range(t.shape[1]):
        took_place = ~np.isnan(t[:, k])
        b = np.where(took_place, upper[:, k], np.inf)
        a = np.where(took_place, np.minimum(lower[:, k], upper[:, k]), -np.inf)
        above[:, k] = probability_above(state, b, filled[:, k], drift)
        below[:, k] = probability_below(state, a, filled[:, k], drift)
        if k < t.shape[1] - 1:
            state = advance(state, a, b, filled[:, k], drift)
    return Crossing(efficacy=above, futility=below)
