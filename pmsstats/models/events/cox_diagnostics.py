"""What a fitted Cox model says beyond its estimates: residuals, baseline, tests, concordance.

All of it works on start-stop rows with ties and strata, where the engine's own does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from pmsstats.models.events.partial_likelihood import (
    CountingProcess,
    EfronTerms,
    sum_at_risk,
    sums_from_start,
)

__all__ = [
    "HazardSteps",
    "ScoreTest",
    "TimeTransform",
    "baseline_hazard",
    "concordance",
    "martingale_residuals",
    "proportional_hazards_test",
    "schoenfeld_residuals",
    "score_residuals",
]

TimeTransform = Literal["km", "rank", "log", "identity"]
_SAME_TIME = 1e-12  # spread of a function of time over its size: below, all times are one
_CELLS_PER_BLOCK = 4_000_000  # pairs compared at once: 4 MB of bool


@dataclass(frozen=True, kw_only=True, eq=False)
class HazardSteps:
    """Steps of the baseline hazard.

    Parameters
    ----------
    stratum : ndarray of int, shape (n_steps,)
        Code of the stratum.
    time : ndarray, shape (n_steps,)
        When events happened.
    increment : ndarray, shape (n_steps,)
        Jump of the cumulative hazard at the covariate means.
    n_events : ndarray of int, shape (n_steps,)
        Events at that time.
    """

    stratum: np.ndarray
    time: np.ndarray
    increment: np.ndarray
    n_events: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class ScoreTest:
    """Score tests, one per term and one of all.

    Parameters
    ----------
    statistic : ndarray, shape (n_terms + 1,)
        Chi-square of each term; the last is that of all terms together.
    df : ndarray of int, shape (n_terms + 1,)
        Degrees of freedom.
    p_value : ndarray, shape (n_terms + 1,)
        Upper tail.
    """

    statistic: np.ndarray
    df: np.ndarray
    p_value: np.ndarray


def martingale_residuals(process: CountingProcess, terms: EfronTerms) -> np.ndarray:
    """Return observed minus expected events of each row.

    Parameters
    ----------
    process : CountingProcess
        Rows at risk.
    terms : EfronTerms
        Evaluated at the estimate.

    Returns
    -------
    ndarray, shape (n_rows,)
        Sums to zero over all rows; a row tied with other events takes its share of their factors,
        as in R's ``residuals.coxph``.
    """
    start, stop = process.keys()
    hazard = 1.0 / terms.denominator
    between = [np.searchsorted(terms.key, k, side="right") for k in (start, stop)]
    expected = _between(hazard, *between)
    n_ties = int(terms.tie[-1]) + 1
    expected[terms.row] -= np.bincount(terms.tie, terms.fraction * hazard, n_ties)[terms.tie]
    return process.event - terms.relative_hazard * expected


def score_residuals(process: CountingProcess, terms: EfronTerms) -> np.ndarray:
    """Split the score into one part per row.

    Parameters
    ----------
    process : CountingProcess
        Rows at risk.
    terms : EfronTerms
        Evaluated at the estimate.

    Returns
    -------
    ndarray, shape (n_rows, n_terms)
        Sums to the score over all rows. Summed within clusters and multiplied by the inverse
        information they give the robust ("sandwich") covariance [1]_.

    Notes
    -----
    A row at risk at factor l takes the share ``w (x - mean_l) / denominator_l`` of the expected
    part; a row whose own event is tied there takes ``1 - l / d`` of that share [2]_.

    References
    ----------
    .. [1] Lin DY, Wei LJ. The robust inference for the Cox proportional hazards model. J Am Stat
       Assoc 1989;84:1074-1078. doi:10.1080/01621459.1989.10478874
    .. [2] Therneau TM, Grambsch PM. Modeling Survival Data. Springer 2000, section 7.1.
       doi:10.1007/978-1-4757-3294-8
    """
    start, stop = process.keys()
    hazard = 1.0 / terms.denominator
    drift = terms.mean * hazard[:, None]
    between = [np.searchsorted(terms.key, k, side="right") for k in (start, stop)]
    expected = _between(hazard, *between)[:, None] * process.X - _between(drift, *between)
    # the tied events themselves are at risk for 1 - fraction of each factor only
    n_ties = int(terms.tie[-1]) + 1
    spared = np.bincount(terms.tie, terms.fraction * hazard, n_ties)[terms.tie]
    spared_drift = np.zeros((n_ties, process.X.shape[1]))
    np.add.at(spared_drift, terms.tie, terms.fraction[:, None] * drift)
    own = process.X[terms.row]
    expected[terms.row] -= spared[:, None] * own - spared_drift[terms.tie]
    residuals = -terms.relative_hazard[:, None] * expected
    residuals[terms.row] += schoenfeld_residuals(process, terms)
    return residuals


def _between(values: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Sum `values` over positions low, ..., high - 1."""
    total = sums_from_start(values)
    return total[high] - total[low]


def schoenfeld_residuals(process: CountingProcess, terms: EfronTerms) -> np.ndarray:
    """Return covariate minus expected covariate at each event.

    Parameters
    ----------
    process : CountingProcess
        Rows at risk.
    terms : EfronTerms
        Evaluated at the estimate.

    Returns
    -------
    ndarray, shape (n_events, n_terms)
        In the order of ``terms.row``; tied events share the mean of their factors.
    """
    n_ties = int(terms.tie[-1]) + 1
    mean = np.zeros((n_ties, process.X.shape[1]))
    np.add.at(mean, terms.tie, terms.mean)
    count = np.bincount(terms.tie, minlength=n_ties)
    return process.X[terms.row] - (mean / count[:, None])[terms.tie]


def proportional_hazards_test(
    process: CountingProcess, terms: EfronTerms, transform: TimeTransform = "km"
) -> ScoreTest:
    """Test whether log hazard ratios change with a function of time.

    Parameters
    ----------
    process : CountingProcess
        Rows at risk.
    terms : EfronTerms
        Evaluated at the estimate.
    transform : {"km", "rank", "log", "identity"}, default "km"
        The function g of time: one minus Kaplan-Meier just before it, the mean rank among all
        follow-up times, the logarithm, or time itself.

    Returns
    -------
    ScoreTest
        One test per term, then the global one; missing where all events have the same time.

    Notes
    -----
    The model is extended to ``x' beta + g(t) x' theta``; the score test of ``theta = 0`` needs
    the Schoenfeld residuals and the covariance of x at risk at each event, no new fit [1]_.

    References
    ----------
    .. [1] Grambsch PM, Therneau TM. Proportional hazards tests and diagnostics based on weighted
       residuals. Biometrika 1994;81:515-526. doi:10.1093/biomet/81.3.515
    """
    g = _transform(process, terms.row, transform)
    n_terms = terms.mean.shape[1]
    df = np.append(np.ones(n_terms, dtype=int), n_terms)
    if np.ptp(g) <= _SAME_TIME * np.abs(g).max():  # events at one time tell of no change
        missing = np.full(n_terms + 1, np.nan)
        return ScoreTest(statistic=missing, df=df, p_value=missing.copy())
    g = g - g.mean()
    residuals = process.X[terms.row] - terms.mean
    score = g @ residuals
    cross = np.einsum("i,ijk->jk", g, terms.covariance)
    information = np.einsum("i,ijk->jk", g**2, terms.covariance)
    # the score of theta, given that beta was estimated
    information = information - cross @ np.linalg.solve(terms.information, cross.T)
    score = score - cross @ np.linalg.solve(terms.information, terms.score)
    each = score**2 / np.diag(information)
    together = score @ np.linalg.solve(information, score)
    statistic = np.append(each, together)
    return ScoreTest(statistic=statistic, df=df, p_value=stats.chi2.sf(statistic, df))


def _transform(process: CountingProcess, row: np.ndarray, transform: TimeTransform) -> np.ndarray:
    """Evaluate the function of time at the events of some rows."""
    time = process.stop[row]
    if transform == "identity":
        return time
    if transform == "log":
        return np.log(time)
    if transform == "rank":
        return stats.rankdata(process.stop)[row]
    return _one_minus_km(process, time)


def _one_minus_km(process: CountingProcess, time: np.ndarray) -> np.ndarray:
    """Return the Kaplan-Meier probability of an event before each time, strata pooled."""
    at, n_events = np.unique(process.stop[process.event], return_counts=True)
    ones = np.ones(len(process.stop))
    at_risk = sum_at_risk(process.start, process.stop, ones, at)
    survival = np.concatenate([[1.0], np.cumprod(1.0 - n_events / at_risk)])
    return 1.0 - survival[np.searchsorted(at, time, side="left")]


def baseline_hazard(process: CountingProcess, terms: EfronTerms) -> HazardSteps:
    """Estimate the baseline hazard at the covariate means, consistently with Efron's ties.

    Parameters
    ----------
    process : CountingProcess
        Rows at risk.
    terms : EfronTerms
        Evaluated at the estimate.

    Returns
    -------
    HazardSteps
        One step per stratum and event time.
    """
    _, first, count = np.unique(terms.key, return_index=True, return_counts=True)
    rows = terms.row[first]
    return HazardSteps(
        stratum=process.stratum[rows],
        time=process.stop[rows],
        increment=np.add.reduceat(1.0 / terms.denominator, first),
        n_events=count,
    )


def concordance(process: CountingProcess, terms: EfronTerms) -> float:
    """Return the share of comparable pairs that the model orders rightly (Harrell's C).

    Parameters
    ----------
    process : CountingProcess
        Rows at risk.
    terms : EfronTerms
        Evaluated at the estimate.

    Returns
    -------
    float
        0.5 means no better than chance; NaN where no pair can be compared.

    Notes
    -----
    At each event, its row is compared with all rows of the stratum that are at risk then and
    have no event at the same time. Pairs of equal predicted hazard count one half.
    """
    start, stop = process.keys()
    # equal covariates must tie, whatever the order of the floating-point sums
    hazard = np.round(np.log(terms.relative_hazard), 10)
    block = max(1, _CELLS_PER_BLOCK // len(stop))
    right = tied = total = 0
    for low in range(0, len(terms.row), block):
        row, key = terms.row[low : low + block, None], terms.key[low : low + block, None]
        comparable = (start < key) & ((stop > key) | ((stop == key) & ~process.event))
        comparable &= process.stratum == process.stratum[row]
        right += int(np.count_nonzero(comparable & (hazard < hazard[row])))
        tied += int(np.count_nonzero(comparable & (hazard == hazard[row])))
        total += int(np.count_nonzero(comparable))
    return (right + tied / 2) / total if total else float("nan")
