"""Exact power of Fisher's test of two shares, by enumeration."""

from __future__ import annotations

import numpy as np
from scipy import stats
from scipy.special import gammaln

__all__ = ["fisher_p_values", "fisher_rejection_probability"]

_TAIL = 1e-11  # probability of counts that are left out on either side
_TIES = 1e-7  # relative: tables as likely as the observed one count as extreme, as in R


def fisher_p_values(total: int, arms: tuple[int, int], *, sides: int = 2) -> np.ndarray:
    """Return p values of Fisher's exact test for all tables with one total.

    Parameters
    ----------
    total : int
        Events in both arms.
    arms : pair of int
        Subjects, reference first.
    sides : int
        2 sums all tables at most as likely as the observed one; 1 those with as few or fewer
        events in the treated arm.

    Returns
    -------
    ndarray, shape (n_tables,)
        By the number of events in the treated arm, from the fewest that are possible.
    """
    reference, treated = arms
    events = np.arange(max(0, total - reference), min(total, treated) + 1)
    log_p = -(
        gammaln(events + 1)
        + gammaln(treated - events + 1)
        + gammaln(total - events + 1)
        + gammaln(reference - total + events + 1)
    )
    p = np.exp(log_p - log_p.max())
    p /= p.sum()
    if sides == 1:
        return np.minimum(np.cumsum(p), 1.0)
    order = np.argsort(p, kind="stable")
    ranked = p[order]
    up_to = np.searchsorted(ranked, p * (1 + _TIES), side="right")
    return np.minimum(np.cumsum(ranked)[up_to - 1], 1.0)


def fisher_rejection_probability(
    shares: tuple[float, float], arms: tuple[int, int], *, alpha: float, sides: int = 2
) -> float:
    """Return the exact probability that Fisher's test rejects.

    Parameters
    ----------
    shares : pair of float
        Of subjects with an event, reference first, between 0 and 1.
    arms : pair of int
        Subjects who are analysed, reference first.
    alpha : float
        Type I error.
    sides : int
        1 or 2; a one-sided test looks in the direction of the difference.

    Returns
    -------
    float
        Probability.

    Notes
    -----
    Sum over all pairs of counts of their binomial probability, where the p value is at most
    `alpha`; counts with a probability below 1e-11 on either side are left out.
    """
    if shares[1] > shares[0]:  # count what is rarer among the treated
        shares = (1 - shares[0], 1 - shares[1])
    ranges, masses = [], []
    for share, size in zip(shares, arms, strict=True):
        count = stats.binom(size, share)
        kept = np.arange(int(count.ppf(_TAIL)), int(count.isf(_TAIL)) + 1)
        ranges.append(kept)
        masses.append(count.pmf(kept))
    (first, second), (p_first, p_second) = ranges, masses
    power = 0.0
    for total in range(int(first[0] + second[0]), int(first[-1] + second[-1]) + 1):
        rejects = fisher_p_values(total, arms, sides=sides) <= alpha * (1 + _TIES)
        lowest = max(0, total - arms[0])
        low, high = max(second[0], total - first[-1]), min(second[-1], total - first[0])
        events = np.arange(low, high + 1)
        chance = p_second[events - second[0]] * p_first[total - events - first[0]]
        power += float(chance @ rejects[events - lowest])
    return power
