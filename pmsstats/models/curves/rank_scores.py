"""Weighted log-rank scores: observed less expected events, and their covariance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from pmsstats.models.curves.at_risk import RiskTable, segments

__all__ = [
    "LogRankTest",
    "RankScores",
    "RankWeights",
    "judge_contrast",
    "judge_scores",
    "rank_weights",
    "weighted_scores",
]

RankWeights = (
    Literal["log_rank", "gehan", "tarone_ware", "peto"]
    | tuple[Literal["fleming_harrington"], float, float]
)
"""Which times count how much in a comparison of survival curves."""

_SAME = 1e-10  # eigenvalues below, relative to the largest, are rounding


@dataclass(frozen=True, kw_only=True)
class LogRankTest:
    """Comparison of survival curves.

    Parameters
    ----------
    statistic : float
        Chi-square.
    df : int
        Groups less one.
    p_value : float
        Upper tail.
    """

    statistic: float
    df: int
    p_value: float


@dataclass(frozen=True, kw_only=True, eq=False)
class RankScores:
    """What a log-rank test is made of, summed over times and strata.

    Parameters
    ----------
    observed, expected : ndarray, shape (n_groups,)
        Weighted counts of events; expected if all groups had the same hazard.
    score : ndarray, shape (n_groups,)
        Observed less expected; sums to 0.
    covariance : ndarray, shape (n_groups, n_groups)
        Of the score, given the numbers at risk (hypergeometric: exact with ties); rows sum to 0.
    """

    observed: np.ndarray
    expected: np.ndarray
    score: np.ndarray
    covariance: np.ndarray


def rank_weights(table: RiskTable, weights: RankWeights) -> np.ndarray:
    """Return the weight of each time.

    Parameters
    ----------
    table : RiskTable
        Counts at event times; groups are pooled within strata.
    weights : RankWeights
        Which weights.

    Returns
    -------
    ndarray, shape (n_times,)
        Nonnegative.

    Notes
    -----
    With n at risk and d events at a time: 1 (log-rank), n (Gehan), sqrt(n) (Tarone-Ware), ``prod
    (1 - d / (n + 1))`` up to and including it (Peto-Peto), ``S(t-)^p (1 - S(t-))^q`` with the
    pooled Kaplan-Meier S (Fleming-Harrington) [1]_.

    References
    ----------
    .. [1] Klein JP, Moeschberger ML. Survival Analysis. 2nd ed. Springer 2003, table 7.3.
       doi:10.1007/b97377
    """
    n = table.n_at_risk.sum(axis=0).astype(float)
    d = table.n_events.sum(axis=(0, 1)).astype(float)
    if weights == "log_rank":
        return np.ones_like(n)
    if weights == "gehan":
        return n
    if weights == "tarone_ware":
        return np.sqrt(n)
    if weights == "peto":
        return _products(1.0 - d / (n + 1.0), table.stratum)
    factors = 1.0 - d / n
    after = _products(factors, table.stratum)
    before = np.empty_like(after)
    for part in segments(table.stratum):
        before[part] = np.concatenate([[1.0], after[part][:-1]])
    return before ** float(weights[1]) * (1.0 - before) ** float(weights[2])


def _products(factors: np.ndarray, stratum: np.ndarray) -> np.ndarray:
    """Multiply up to each time, within strata."""
    product = np.empty_like(factors)
    for part in segments(stratum):
        product[part] = np.cumprod(factors[part])
    return product


def weighted_scores(table: RiskTable, weights: RankWeights = "log_rank") -> RankScores:
    """Compare observed with expected events, time by time and stratum by stratum.

    Parameters
    ----------
    table : RiskTable
        Counts at event times by group; all causes count as events.
    weights : RankWeights, default "log_rank"
        Of the times.

    Returns
    -------
    RankScores
        Sums over times.

    Notes
    -----
    At a time with n at risk and d events, group g with n_g at risk expects ``d n_g / n``; the
    covariance is ``d (n - d) / (n - 1) n_g / n (1{g = h} - n_h / n)`` [1]_.

    References
    ----------
    .. [1] Mantel N. Evaluation of survival data and two new rank order statistics arising in its
       consideration. Cancer Chemother Rep 1966;50:163-170.
    """
    w = rank_weights(table, weights)
    at_risk = table.n_at_risk.astype(float)
    events = table.n_events.sum(axis=0).astype(float)
    n, d = at_risk.sum(axis=0), events.sum(axis=0)
    share = at_risk / n
    observed, expected = events @ w, share @ (w * d)
    spread = w**2 * d * (n - d) / np.maximum(n - 1.0, 1.0)
    covariance = np.diag(share @ spread) - (share * spread) @ share.T
    return RankScores(
        observed=observed, expected=expected, score=observed - expected, covariance=covariance
    )


def judge_scores(scores: RankScores) -> LogRankTest:
    """Test whether all groups have the same hazard.

    Parameters
    ----------
    scores : RankScores
        Of two or more groups.

    Returns
    -------
    LogRankTest
        Chi-square with as many degrees of freedom as the covariance has rank (groups less one
        where all were at risk of some event); missing statistic where the rank is 0.
    """
    values, vectors = np.linalg.eigh(scores.covariance)
    kept = values > _SAME * max(float(values[-1]), np.finfo(float).tiny)
    df = int(np.count_nonzero(kept))
    if not df:
        return LogRankTest(statistic=float("nan"), df=0, p_value=float("nan"))
    statistic = float(np.sum((scores.score @ vectors[:, kept]) ** 2 / values[kept]))
    return LogRankTest(statistic=statistic, df=df, p_value=float(stats.chi2.sf(statistic, df)))


def judge_contrast(scores: RankScores, contrast: np.ndarray) -> LogRankTest:
    """Test for a trend over the groups.

    Parameters
    ----------
    scores : RankScores
        Of two or more groups.
    contrast : ndarray, shape (n_groups,)
        Value of each group, for example its dose; a constant added changes nothing.

    Returns
    -------
    LogRankTest
        With one degree of freedom.
    """
    centred = contrast - contrast.mean()
    variance = float(centred @ scores.covariance @ centred)
    statistic = float((centred @ scores.score) ** 2 / variance) if variance > 0 else float("nan")
    return LogRankTest(statistic=statistic, df=1, p_value=float(stats.chi2.sf(statistic, 1)))
