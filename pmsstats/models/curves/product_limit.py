"""The product-limit (Kaplan-Meier) estimate on arrays, with Greenwood's variance.

:func:`~pmsstats.models.curves.kaplan_meier.fit_km` takes its curves from lifelines. This one serves
loops, areas under curves, which need Greenwood's terms, and curves that lifelines refuses.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from pmsstats.models.curves.at_risk import RiskTable, segments, tabulate_at_risk

__all__ = ["ProductLimit", "log_log_interval", "product_limit"]


@dataclass(frozen=True, kw_only=True, eq=False)
class ProductLimit:
    """Survival of one or several groups, at each distinct duration.

    Parameters
    ----------
    table : RiskTable
        Counts; its strata are the groups.
    survival : ndarray, shape (n_times,)
        Probability of no event up to and including the time.
    greenwood : ndarray, shape (n_times,)
        ``d / (n (n - d))``; infinite where all at risk have the event.
    variance_log : ndarray, shape (n_times,)
        Greenwood's variance of log survival, their sum; infinite where survival is 0.
    """

    table: RiskTable
    survival: np.ndarray
    greenwood: np.ndarray
    variance_log: np.ndarray


def product_limit(
    duration: np.ndarray,
    event: np.ndarray,
    group: np.ndarray | None = None,
    entry: np.ndarray | None = None,
) -> ProductLimit:
    """Estimate survival in each group.

    Parameters
    ----------
    duration : ndarray, shape (n_subjects,)
        End of follow-up.
    event : ndarray of bool, shape (n_subjects,)
        True where it ends with the event.
    group : ndarray of int, shape (n_subjects,), optional
        Codes from 0.
    entry : ndarray, shape (n_subjects,), optional
        A subject is at risk over (entry, duration].

    Returns
    -------
    ProductLimit
        Curves, one after the other.

    Notes
    -----
    ``S(t) = prod (1 - d / n)`` over event times up to t [1]_, and ``var log S(t) = sum d / (n (n -
    d))`` [2]_.

    References
    ----------
    .. [1] Kaplan EL, Meier P. Nonparametric estimation from incomplete observations. J Am Stat
       Assoc 1958;53:457-481. doi:10.1080/01621459.1958.10501452
    .. [2] Greenwood M. The natural duration of cancer. Rep Public Health Med Subj 1926;33:1-26.
    """
    table = tabulate_at_risk(duration, event, stratum=group, entry=entry, every_time=True)
    n, d = table.n_at_risk[0].astype(float), table.n_events[0, 0].astype(float)
    with np.errstate(divide="ignore"):
        terms = np.where(d > 0, d / (n * (n - d)), 0.0)
    survival, variance = np.empty_like(n), np.empty_like(n)
    for part in segments(table.stratum):
        survival[part] = np.cumprod(1.0 - d[part] / n[part])
        variance[part] = np.cumsum(terms[part])
    return ProductLimit(table=table, survival=survival, greenwood=terms, variance_log=variance)


def log_log_interval(
    probability: np.ndarray, std_error_log: np.ndarray, conf_level: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return pointwise intervals that are symmetric on the log(-log) scale.

    Parameters
    ----------
    probability : ndarray, shape (n,)
        Estimates.
    std_error_log : ndarray, shape (n,)
        Standard errors of their logarithms.
    conf_level : float
        Of the intervals.

    Returns
    -------
    tuple of ndarray, each of shape (n,)
        Lower and upper limits; the estimate itself where it is 1 or its error is 0, missing
        where it is 0.
    """
    inside = (probability > 0) & (probability < 1)
    log = np.log(np.where(inside, probability, 0.5))
    error = np.where(inside, std_error_log, 0.0)
    spread = stats.norm.ppf((1 + conf_level) / 2) * error / np.abs(log)
    with np.errstate(over="ignore"):
        limits = [np.exp(log * np.exp(sign * spread)) for sign in (1, -1)]
    edge = np.where(probability > 0, probability, np.nan)
    low, high = (np.where(inside, limit, edge) for limit in limits)
    return low, high
