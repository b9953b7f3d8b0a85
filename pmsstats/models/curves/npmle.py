"""Turnbull's estimate on arrays: the nonparametric maximum likelihood of interval-censored times.

References
----------
.. [1] Turnbull BW. The empirical distribution function with arbitrarily grouped, censored and
   truncated data. J R Stat Soc B 1976;38:290-295. doi:10.1111/j.2517-6161.1976.tb01597.x
.. [2] Gentleman R, Geyer CJ. Maximum likelihood for interval censored data: consistency and
   computation. Biometrika 1994;81:618-623. doi:10.1093/biomet/81.3.618
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve

__all__ = ["NPMLE", "InnermostIntervals", "innermost_intervals", "maximise_npmle"]

_SHORT = 1e-9  # log-likelihood units that a maximum may be short of: far below any use of it
_EM_STEPS = 10  # and one per interval, between Newton steps: cheap, never downhill
_MOST_ROUNDS = 200
_NOTHING = 1e-2  # subjects' worth of mass that is tried at zero if its gradient says so
_RIDGE = 1e-12  # relative to the mean curvature: masses that no observation tells apart


@dataclass(frozen=True, kw_only=True, eq=False)
class InnermostIntervals:
    """Where the estimate can put mass, and which of these each subject's interval covers.

    Parameters
    ----------
    lower, upper : ndarray, shape (n_intervals,)
        Ends; ``(lower, upper]``, or the point itself where they are equal. Ascending, disjoint.
    first, last : ndarray of int, shape (n_distinct,)
        A distinct observation covers intervals first, ..., last.
    count : ndarray of int, shape (n_distinct,)
        How many subjects have it.
    of_subject : ndarray of int, shape (n_subjects,)
        Which of the distinct observations is a subject's.
    """

    lower: np.ndarray
    upper: np.ndarray
    first: np.ndarray
    last: np.ndarray
    count: np.ndarray
    of_subject: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class NPMLE:
    """The maximum, and how far from it the computation may be.

    Parameters
    ----------
    mass : ndarray, shape (n_intervals,)
        Probability of each innermost interval; sums to 1.
    log_likelihood : float
        At `mass`.
    shortfall : float
        Upper bound of the log-likelihood that is missing to the maximum: the largest of
        ``gradient - n``.
    n_rounds : int
        Of EM steps and a Newton step.
    """

    mass: np.ndarray
    log_likelihood: float
    shortfall: float
    n_rounds: int


def innermost_intervals(lower: np.ndarray, upper: np.ndarray) -> InnermostIntervals:
    """Find Turnbull's innermost intervals.

    Parameters
    ----------
    lower, upper : ndarray, shape (n_subjects,)
        The event lies in (lower, upper], at `lower` where both are equal, after `lower` where
        `upper` is infinite.

    Returns
    -------
    InnermostIntervals
        A left end followed by a right end, with no other end between them.
    """
    exact = lower == upper
    # at one and the same time: an exact event begins, then right ends close, then left ends open
    time = np.concatenate([lower, upper])
    n = len(lower)
    order = np.concatenate([np.where(exact, 0, 2), np.ones(n, dtype=int)])
    keys, key = np.unique(np.column_stack([time, order]), axis=0, return_inverse=True)
    key = key.ravel()
    is_right = keys[:, 1] == 1
    starts = np.flatnonzero(~is_right[:-1] & is_right[1:])
    first = np.searchsorted(starts, key[:n])
    last = np.searchsorted(starts + 1, key[n:], side="right") - 1
    pairs, of_subject, count = np.unique(
        np.column_stack([first, last]), axis=0, return_inverse=True, return_counts=True
    )
    return InnermostIntervals(
        lower=keys[starts, 0],
        upper=keys[starts + 1, 0],
        first=pairs[:, 0],
        last=pairs[:, 1],
        count=count,
        of_subject=of_subject.ravel(),
    )


def maximise_npmle(intervals: InnermostIntervals, count: np.ndarray | None = None) -> NPMLE:
    """Maximise the likelihood of masses on the innermost intervals.

    Parameters
    ----------
    intervals : InnermostIntervals
        Of all subjects.
    count : ndarray, shape (n_distinct,), optional
        Subjects per distinct observation, for a bootstrap sample; those of `intervals` by default.

    Returns
    -------
    NPMLE
        Check its `shortfall`.

    Notes
    -----
    Rounds of self-consistency (EM) steps [1]_, then a Newton step on the masses above zero. The
    log-likelihood is concave, and with gradient D (which averages to n) it is below its maximum
    by at most ``max D - n``: this certifies the result [2]_. The masses are unique: every innermost
    interval ends with an observation that covers it and earlier ones only, so that, from the first
    on, the probabilities of the observations determine each mass.
    """
    count = intervals.count if count is None else np.asarray(count)
    used = count > 0
    first, last, weight = intervals.first[used], intervals.last[used], count[used].astype(float)
    n = weight.sum()
    gradient = _gradient(first, last, weight, np.ones(len(intervals.lower)))
    mass = np.where(gradient > 0, 1.0, 0.0) / np.count_nonzero(gradient)
    n_rounds, shortfall = 0, np.inf
    while shortfall >= _SHORT and n_rounds < _MOST_ROUNDS:
        n_rounds += 1
        for _ in range(_EM_STEPS + len(mass)):
            mass = mass * _gradient(first, last, weight, mass) / n
        gradient = _gradient(first, last, weight, mass)
        mass = np.where((mass < _NOTHING / n) & (gradient < n), 0.0, mass)
        mass = _revive(mass / mass.sum(), gradient, n)
        shortfall = float(_gradient(first, last, weight, mass).max() - n)
        if shortfall >= _SHORT:
            mass = _newton_step(first, last, weight, mass)
            shortfall = float(_gradient(first, last, weight, mass).max() - n)
    return NPMLE(
        mass=mass,
        log_likelihood=_log_likelihood(first, last, weight, mass),
        shortfall=shortfall,
        n_rounds=n_rounds,
    )


def _probability(first: np.ndarray, last: np.ndarray, mass: np.ndarray) -> np.ndarray:
    """Return the probability of each observation."""
    total = np.concatenate([[0.0], np.cumsum(mass)])
    return total[last + 1] - total[first]


def _log_likelihood(
    first: np.ndarray, last: np.ndarray, weight: np.ndarray, mass: np.ndarray
) -> float:
    """Return the log-likelihood; minus infinity where an observation has no mass."""
    probability = _probability(first, last, mass)
    if (probability <= 0).any():
        return float("-inf")
    return float(weight @ np.log(probability))


def _gradient(
    first: np.ndarray, last: np.ndarray, weight: np.ndarray, mass: np.ndarray
) -> np.ndarray:
    """Return the derivative of the log-likelihood by each mass."""
    each = weight / _probability(first, last, mass)
    size = len(mass) + 1
    change = np.bincount(first, each, size) - np.bincount(last + 1, each, size)
    return np.maximum(np.cumsum(change)[:-1], 0.0)


def _revive(mass: np.ndarray, gradient: np.ndarray, n: float) -> np.ndarray:
    """Give a little mass to intervals without any where the likelihood wants it."""
    wanted = (mass == 0) & (gradient > n * (1 + 1e-12))
    if not wanted.any():
        return mass
    mass = np.where(wanted, 1e-3 / len(mass), mass)
    return mass / mass.sum()


def _newton_step(
    first: np.ndarray, last: np.ndarray, weight: np.ndarray, mass: np.ndarray
) -> np.ndarray:
    """Step to the maximum of the quadratic approximation, or as far towards it as is uphill."""
    support = np.flatnonzero(mass > 0)
    cover = ((first[:, None] <= support) & (support <= last[:, None])).astype(float)
    probability = cover @ mass[support]
    scaled = cover * (np.sqrt(weight) / probability)[:, None]
    gradient = cover.T @ (weight / probability)
    goal = _quadratic_maximum(mass[support], gradient, scaled.T @ scaled)
    start = _log_likelihood(first, last, weight, mass)
    step = np.zeros_like(mass)
    step[support] = goal - mass[support]
    for halvings in range(30):
        trial = np.maximum(mass + step / 2**halvings, 0.0)
        if _log_likelihood(first, last, weight, trial / trial.sum()) > start:
            return trial / trial.sum()
    return mass


def _quadratic_maximum(mass: np.ndarray, gradient: np.ndarray, curvature: np.ndarray) -> np.ndarray:
    """Follow the quadratic approximation from face to face of the simplex: masses reach 0, stay."""
    current, slope = mass.copy(), gradient.copy()
    ridge = _RIDGE * np.trace(curvature) / len(mass)
    free = np.arange(len(mass))
    while len(free) > 1:
        factor = cho_factor(curvature[np.ix_(free, free)] + ridge * np.eye(len(free)))
        both = cho_solve(factor, np.column_stack([slope[free], np.ones(len(free))]))
        step = both[:, 0] - both[:, 1] * (both[:, 0].sum() / both[:, 1].sum())
        ratio = np.divide(-current[free], step, out=np.full(len(free), np.inf), where=step < 0)
        length = min(1.0, float(ratio.min()))
        current[free] += length * step
        slope -= curvature[:, free] @ (length * step)
        if length == 1.0:
            break
        gone = ratio <= length * (1 + 1e-9)
        current[free[gone]] = 0.0
        free = free[~gone]
    return current
