"""The Aalen-Johansen estimate of cumulative incidence, and Gray's test, on arrays.

lifelines' estimate is not used: it moves tied times by random amounts, so that two seeds gave
incidences that differ by 0.004 in 100 subjects followed in whole units; and it has no Gray test.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pmsstats.models.curves.at_risk import RiskTable, segments, tabulate_at_risk
from pmsstats.models.curves.rank_scores import LogRankTest, RankScores, judge_scores

__all__ = ["Incidence", "aalen_johansen", "gray_test"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Incidence:
    """Cumulative incidence of each cause in each group, at each distinct duration.

    Parameters
    ----------
    table : RiskTable
        Counts; its strata are the groups.
    incidence : ndarray, shape (n_causes, n_times)
        Probability of an event of the cause up to and including the time.
    std_error : ndarray, shape (n_causes, n_times)
        Of the incidence.
    event_free : ndarray, shape (n_times,)
        Probability of no event of any cause.
    one_minus_km : ndarray, shape (n_causes, n_times)
        What one minus Kaplan-Meier gives if other causes are taken for censoring: too much.
    """

    table: RiskTable
    incidence: np.ndarray
    std_error: np.ndarray
    event_free: np.ndarray
    one_minus_km: np.ndarray


def aalen_johansen(
    duration: np.ndarray,
    cause: np.ndarray,
    *,
    n_causes: int,
    group: np.ndarray | None = None,
    entry: np.ndarray | None = None,
) -> Incidence:
    """Estimate the cumulative incidence of competing causes.

    Parameters
    ----------
    duration : ndarray, shape (n_subjects,)
        End of follow-up.
    cause : ndarray of int, shape (n_subjects,)
        0 for censored, else the cause from 1 to `n_causes`.
    n_causes : int
        How many causes there are.
    group : ndarray of int, shape (n_subjects,), optional
        Codes from 0.
    entry : ndarray, shape (n_subjects,), optional
        A subject is at risk over (entry, duration].

    Returns
    -------
    Incidence
        Curves, one group after the other.

    Notes
    -----
    ``F_k(t) = sum S(u-) d_k(u) / n(u)`` [1]_. The variance is that of the delta method with
    multinomial events at each time, Greenwood's for one cause: with ``g = (F_k(t) - F_k(u)) /
    S(u)``, each time u adds ``S(u-)^2 [((1 - g)^2 d_k + g^2 d_o) / n^2 - ((1 - g) d_k - g d_o)^2 /
    n^3]``, where d_o counts events of other causes [2]_.

    References
    ----------
    .. [1] Aalen OO, Johansen S. An empirical transition matrix for non-homogeneous Markov chains
       based on censored observations. Scand J Stat 1978;5:141-150.
    .. [2] Andersen PK, Borgan O, Gill RD, Keiding N. Statistical Models Based on Counting
       Processes. Springer 1993, section IV.4. doi:10.1007/978-1-4612-4348-9
    """
    table = tabulate_at_risk(
        duration, cause, stratum=group, entry=entry, n_causes=n_causes, every_time=True
    )
    n = table.n_at_risk[0].astype(float)
    d = table.n_events[:, 0].astype(float)
    shape = d.shape
    incidence, std_error, naive = np.empty(shape), np.empty(shape), np.empty(shape)
    event_free = np.empty(shape[1])
    for part in segments(table.stratum):
        hazard = d[:, part] / n[part]
        after = np.cumprod(1.0 - hazard.sum(axis=0))
        before = np.concatenate([[1.0], after[:-1]])
        incidence[:, part] = np.cumsum(before * hazard, axis=1)
        event_free[part] = after
        naive[:, part] = 1.0 - np.cumprod(1.0 - hazard, axis=1)
        for k in range(n_causes):
            variance = _variance(incidence[k, part], before, after, d[k, part], n[part])
            std_error[k, part] = np.sqrt(variance)
    return Incidence(
        table=table,
        incidence=incidence,
        std_error=std_error,
        event_free=event_free,
        one_minus_km=naive,
    )


def _variance(
    incidence: np.ndarray, before: np.ndarray, after: np.ndarray, own: np.ndarray, n: np.ndarray
) -> np.ndarray:
    """Sum the variance up to each time: a square in F_k(t), so its coefficients are summed.

    All events at a time are ``n (1 - after / before)``.
    """
    # g = a + b F_k(t); at the last event S(u) is 0 and nothing is left to come, so that g is 0
    b = np.divide(1.0, after, out=np.zeros_like(after), where=after > 0)
    a = -incidence * b
    kept = np.divide(after, before, out=np.ones_like(after), where=before > 0)
    total = n * (1.0 - kept)
    scale = before**2 / n**2
    # own (1 - g)^2 + other g^2 - (own - total g)^2 / n, by powers of g
    zeroth = scale * (own - own**2 / n)
    first = scale * (-2.0 * own + 2.0 * own * total / n)
    second = scale * (total - total**2 / n)
    constant = np.cumsum(zeroth + first * a + second * a**2)
    linear = np.cumsum(first * b + 2.0 * second * a * b)
    square = np.cumsum(second * b**2)
    return np.maximum(constant + linear * incidence + square * incidence**2, 0.0)


def gray_test(
    duration: np.ndarray,
    cause: np.ndarray,
    group: np.ndarray,
    *,
    of: int,
    stratum: np.ndarray | None = None,
    rho: float = 0.0,
) -> LogRankTest:
    """Compare the cumulative incidence of one cause between groups.

    Parameters
    ----------
    duration : ndarray, shape (n_subjects,)
        End of follow-up.
    cause : ndarray of int, shape (n_subjects,)
        0 for censored, else the cause from 1.
    group : ndarray of int, shape (n_subjects,)
        Codes from 0.
    of : int
        The cause whose incidence is compared.
    stratum : ndarray of int, shape (n_subjects,), optional
        Groups are compared within strata.
    rho : float, default 0.0
        Times are weighted by ``(1 - F(t-))^rho``.

    Returns
    -------
    LogRankTest
        Chi-square; a missing statistic where the cause never occurs.

    Notes
    -----
    With Y_i at risk in group i, ``R_i = Y_i (1 - F_i(t-)) / S_i(t-)`` estimates who would be at
    risk of the cause had those with another event stayed: its score is ``sum (d_i - d R_i / sum
    R)``, weighted [1]_. The variance is that of [1]_, with the finite-population factor for ties
    of ``cmprsk::cuminc``.

    References
    ----------
    .. [1] Gray RJ. A class of K-sample tests for comparing the cumulative incidence of a competing
       risk. Ann Stat 1988;16:1141-1154. doi:10.1214/aos/1176350951
    """
    code = np.where(cause == of, 1, np.where(cause > 0, 2, 0))
    table = tabulate_at_risk(duration, code, group=group, stratum=stratum, n_causes=2)
    n_groups = len(table.n_at_risk)
    score, covariance = np.zeros(n_groups), np.zeros((n_groups, n_groups))
    for part in segments(table.stratum):
        one = _gray_stratum(table.n_at_risk[:, part], *table.n_events[:, :, part], rho)
        score += one[0]
        covariance += one[1]
    empty = np.zeros(n_groups)
    return judge_scores(
        RankScores(observed=empty, expected=empty, score=score, covariance=covariance)
    )


def _gray_stratum(
    at_risk: np.ndarray, own: np.ndarray, other: np.ndarray, rho: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return score and covariance of one stratum; arrays of shape (n_groups, n_times)."""
    n = at_risk.astype(float)
    here = n > 0
    divisor = np.where(here, n, 1.0)
    after = np.cumprod(1.0 - np.where(here, (own + other) / divisor, 0.0), axis=1)
    before = _lag(after, 1.0)
    incidence = np.cumsum(np.where(here, before * own / divisor, 0.0), axis=1)
    h = np.where(here, n / np.where(here, before, 1.0), 0.0)
    total = h.sum(axis=0)
    deaths = own.sum(axis=0)
    pooled = np.cumsum(deaths / total)
    left = 1.0 - _lag(pooled[None], 0.0)[0]
    weight = left**rho
    R = h * (1.0 - _lag(incidence, 0.0))
    score = (weight * (own - deaths * R / R.sum(axis=0))).sum(axis=1)
    # a[i, k]: how the score of group i changes with the incidence of group k
    a = weight * h[:, None] * (np.eye(len(n))[:, :, None] - (h / total)[None])
    c = np.cumsum(a * (deaths / (total * left)), axis=2)
    ahead = c[:, :, -1:] - c
    ratio = np.divide(1.0 - pooled, after, out=np.zeros_like(after), where=after > 0)
    by_own = a + np.where(after > 0, 1.0 - ratio, 1.0) * ahead
    tied = 1.0 - np.maximum(deaths - 1.0, 0.0) / np.maximum(total * before - 1.0, 1.0)
    own_variance = np.where(here, tied * before * deaths / (total * divisor), 0.0)
    by_other = ratio * ahead
    tied = 1.0 - np.maximum(other - 1.0, 0.0) / np.maximum(n - 1.0, 1.0)
    other_variance = np.where(here & (after > 0), tied * before**2 * other / divisor**2, 0.0)
    covariance = np.einsum("ikt,jkt,kt->ij", by_own, by_own, own_variance)
    covariance += np.einsum("ikt,jkt,kt->ij", by_other, by_other, other_variance)
    return score, covariance


def _lag(values: np.ndarray, first: float) -> np.ndarray:
    """Move values one time later."""
    return np.concatenate([np.full((len(values), 1), first), values[:, :-1]], axis=1)
