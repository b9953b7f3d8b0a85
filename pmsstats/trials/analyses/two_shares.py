"""Shares with an event in two groups, compared over strata: differences, odds ratios, score test.

Arrays have the shape (n_strata, n_replicates); a stratum without one of the groups says nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = ["Compared", "EventTable", "TwoShares", "log_odds", "score", "share_difference",
           "share_log_odds", "two_shares"]  # fmt: skip


class EventTable(NamedTuple):
    """Events and subjects.

    Parameters
    ----------
    treated, n_treated, reference, n_reference : ndarray, shape (n_strata, n_replicates)
        Subjects with an event, and all of them, of either group.
    """

    treated: np.ndarray
    n_treated: np.ndarray
    reference: np.ndarray
    n_reference: np.ndarray


class TwoShares(NamedTuple):
    """Shares with an event, and the weights of strata.

    Parameters
    ----------
    treated, treated_variance, reference, reference_variance : ndarray
        Shares from 0 to 1 and their variances, of shape (n_strata, n_replicates).
    weight : ndarray, shape (n_strata, n_replicates)
        Of Mantel and Haenszel; 0 where a group is empty.
    """

    treated: np.ndarray
    treated_variance: np.ndarray
    reference: np.ndarray
    reference_variance: np.ndarray
    weight: np.ndarray


class Compared(NamedTuple):
    """Treated less reference.

    Parameters
    ----------
    estimate, std_error : ndarray, shape (n_replicates,)
        Difference, or log odds ratio.
    """

    estimate: np.ndarray
    std_error: np.ndarray


def two_shares(t: EventTable) -> TwoShares:
    """Return plain shares with their binomial variances.

    Parameters
    ----------
    t : EventTable
        Counts.

    Returns
    -------
    TwoShares
        With the weights of Mantel and Haenszel.
    """
    p1, p0 = _ratio(t.treated, t.n_treated), _ratio(t.reference, t.n_reference)
    return TwoShares(
        treated=p1,
        treated_variance=_ratio(p1 * (1 - p1), t.n_treated),
        reference=p0,
        reference_variance=_ratio(p0 * (1 - p0), t.n_reference),
        weight=_ratio(t.n_treated * t.n_reference, t.n_treated + t.n_reference),
    )


def share_difference(s: TwoShares) -> Compared:
    """Return the difference of shares, weighted over strata.

    Parameters
    ----------
    s : TwoShares
        Shares of any kind.

    Returns
    -------
    Compared
        Difference and standard error.
    """
    total = s.weight.sum(axis=0)
    spread = s.treated_variance + s.reference_variance
    with np.errstate(divide="ignore", invalid="ignore"):
        estimate = (s.weight * (s.treated - s.reference)).sum(axis=0) / total
        return Compared(estimate, np.sqrt((s.weight**2 * spread).sum(axis=0)) / total)


def share_log_odds(s: TwoShares) -> Compared:
    """Return the log odds ratio of Mantel and Haenszel of shares that are no plain counts.

    Parameters
    ----------
    s : TwoShares
        Shares of any kind.

    Returns
    -------
    Compared
        Log odds ratio, and its standard error by the delta method.

    Notes
    -----
    ``log R - log S`` with R the weighted sum of ``p1 (1 - p0)`` and S that of ``(1 - p1) p0``.
    With one stratum this is the difference of logits, of variance ``v1 / (p1 (1 - p1))^2`` and the
    same of the reference.
    """
    w, p1, p0 = s.weight, s.treated, s.reference
    with np.errstate(divide="ignore", invalid="ignore"):
        R, S = (w * p1 * (1 - p0)).sum(axis=0), (w * (1 - p1) * p0).sum(axis=0)
        by_treated, by_reference = (1 - p0) / R + p0 / S, p1 / R + (1 - p1) / S
        variance = (w * by_treated) ** 2 * s.treated_variance
        variance += (w * by_reference) ** 2 * s.reference_variance
        return Compared(np.log(R / S), np.sqrt(variance.sum(axis=0)))


def score(t: EventTable) -> np.ndarray:
    """Return Cochran's score statistic.

    Parameters
    ----------
    t : EventTable
        Counts.

    Returns
    -------
    ndarray, shape (n_replicates,)
        Above 0 where the treated have more events; not a number where nobody has one, or all.
    """
    n = t.n_treated + t.n_reference
    pooled = _ratio(t.treated + t.reference, n)
    weight = _ratio(t.n_treated * t.n_reference, n)
    excess = weight * (_ratio(t.treated, t.n_treated) - _ratio(t.reference, t.n_reference))
    variance = (weight * pooled * (1 - pooled)).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(variance > 0, excess.sum(axis=0) / np.sqrt(variance), np.nan)


def log_odds(t: EventTable) -> Compared:
    """Return the log odds ratio of Mantel and Haenszel of counts.

    Parameters
    ----------
    t : EventTable
        Counts.

    Returns
    -------
    Compared
        Log odds ratio, and its standard error [1]_.

    References
    ----------
    .. [1] Robins J, Breslow N, Greenland S. Estimators of the Mantel-Haenszel variance consistent
       in both sparse data and large-strata limiting models. Biometrics 1986;42:311-323.
       doi:10.2307/2531052
    """
    n = t.n_treated + t.n_reference
    a, b = t.treated, t.n_treated - t.treated
    c, d = t.reference, t.n_reference - t.reference
    P, Q = _ratio(a + d, n), _ratio(b + c, n)
    R, S = _ratio(a * d, n), _ratio(b * c, n)
    with np.errstate(divide="ignore", invalid="ignore"):
        r, s = R.sum(axis=0), S.sum(axis=0)
        variance = (
            (P * R).sum(axis=0) / (2 * r**2)
            + (P * S + Q * R).sum(axis=0) / (2 * r * s)
            + (Q * S).sum(axis=0) / (2 * s**2)
        )
        return Compared(np.log(r / s), np.sqrt(variance))


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Divide where that can be done; 0 elsewhere."""
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)
