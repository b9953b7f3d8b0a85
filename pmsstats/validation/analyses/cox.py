"""Cox models of many studies at once: Efron's partial likelihood by Newton steps on arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pmsstats.validation.analyses.base import FloatArray
from pmsstats.validation.analyses.outcomes import Events

__all__ = ["HazardFit", "fit_hazards"]

_STEPS = 30
_DECREMENT = 1e-10
_LARGEST_STEP = 2.0  # on standardised covariates: a longer first step overshoots
_RUNAWAY = 15.0  # log hazard ratio per SD beyond which the likelihood has no maximum


@dataclass(frozen=True, kw_only=True, eq=False)
class HazardFit:
    """Log hazard ratios of each study.

    Parameters
    ----------
    beta, std_error : ndarray, shape (n_studies, n_terms)
        NaN where the partial likelihood has no maximum.
    """

    beta: FloatArray
    std_error: FloatArray


@dataclass(frozen=True, kw_only=True, eq=False)
class _Stratum:
    """Subjects of one stratum in all studies, sorted by falling duration.

    Parameters
    ----------
    X : ndarray, shape (n_studies, n, n_terms)
        Covariates, 0 for those not at risk.
    risk, event : ndarray, shape (n_studies, n)
        1 for those at risk, and with an event.
    last, before : ndarray of int, shape (n_studies, n)
        Places (plus 1) up to which all have at least this duration, and up to which all have a
        longer one.
    share : ndarray, shape (n_studies, n)
        Efron's fraction of the tied events that is taken out of the risk set.
    """

    X: FloatArray
    risk: FloatArray
    event: FloatArray
    last: NDArray[np.int64]
    before: NDArray[np.int64]
    share: FloatArray


def fit_hazards(
    events: Events, terms: Sequence[FloatArray], strata: Sequence[NDArray[np.int64]]
) -> HazardFit:
    """Fit a Cox model in each study.

    Parameters
    ----------
    events : Events
        First events; those with missing duration are left out.
    terms : sequence of ndarray, shape (n_studies, n_subjects)
        Covariates; subjects with a missing one are left out.
    strata : sequence of ndarray of int
        Columns of the subjects of each stratum.

    Returns
    -------
    HazardFit
        Per unit of each covariate.

    Notes
    -----
    Risk sets are sums from the longest duration downwards; ties as of Efron [1]_. Covariates are
    standardised, Newton steps bounded, and what has no maximum (no event, monotone likelihood) is
    given as missing.

    References
    ----------
    .. [1] Efron B. The efficiency of Cox's likelihood function for censored data. J Am Stat Assoc
       1977;72:557-565. doi:10.1080/01621459.1977.10480613.
    """
    X = np.stack(terms, axis=-1)
    known = np.isfinite(events.duration) & np.isfinite(X).all(axis=-1)
    X, scale = _standardised(X, known)
    parts = [_sorted_stratum(events, X, known, columns) for columns in strata]
    beta = np.zeros((X.shape[0], X.shape[2]))
    for _ in range(_STEPS):
        gradient, information = _derivatives(parts, beta)
        step, decrement = _newton(gradient, information)
        beta = beta + step
        if np.nanmax(decrement, initial=0.0) < _DECREMENT:
            break
    gradient, information = _derivatives(parts, beta)
    _, decrement = _newton(gradient, information)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = np.einsum("rii->ri", _safe_inverse(information))
        is_fine = (decrement < _DECREMENT) & (np.abs(beta) < _RUNAWAY).all(axis=1)
        keep = is_fine[:, None] & (variance > 0)
        error = np.sqrt(np.where(keep, variance, np.nan))
        return HazardFit(beta=np.where(keep, beta, np.nan) / scale, std_error=error / scale)


def _standardised(X: FloatArray, known: NDArray[np.bool_]) -> tuple[FloatArray, FloatArray]:
    """Centre and scale the covariates of each study; missing ones become 0."""
    w = known[..., None]
    n = np.maximum(w.sum(axis=1), 1)
    X = np.where(w, X, 0.0)
    X = np.where(w, X - (X.sum(axis=1) / n)[:, None], 0.0)
    scale = np.sqrt((X**2).sum(axis=1) / n)
    scale = np.where(scale > 0, scale, np.nan)
    return np.nan_to_num(X / scale[:, None]), scale


def _sorted_stratum(
    events: Events, X: FloatArray, known: NDArray[np.bool_], columns: NDArray[np.int64]
) -> _Stratum:
    """Lay out the subjects of one stratum for the risk sets."""
    known = known[:, columns]
    duration = np.where(known, events.duration[:, columns], -1.0)
    order = np.argsort(-duration, axis=1, kind="stable")
    t = np.take_along_axis(duration, order, axis=1)
    risk = np.take_along_axis(known, order, axis=1)
    event = np.take_along_axis(events.happened[:, columns], order, axis=1) & risk
    n = t.shape[1]
    place = np.broadcast_to(np.arange(n), t.shape)
    is_first = np.concatenate([np.ones((len(t), 1), bool), t[:, 1:] != t[:, :-1]], axis=1)
    before = np.maximum.accumulate(np.where(is_first, place, 0), axis=1)
    is_last = np.concatenate([is_first[:, 1:], np.ones((len(t), 1), bool)], axis=1)
    reversed_last = np.where(is_last, place + 1, n)[:, ::-1]
    last = np.minimum.accumulate(reversed_last, axis=1)[:, ::-1]
    counts = _from_zero(event.astype(float))
    tied = _between(counts, before, last)
    earlier = np.take_along_axis(counts, place, axis=1) - np.take_along_axis(counts, before, axis=1)
    return _Stratum(
        X=np.take_along_axis(X[:, columns], order[..., None], axis=1),
        risk=risk.astype(float),
        event=event.astype(float),
        last=last,
        before=before,
        share=np.where(event, earlier / np.maximum(tied, 1), 0.0),
    )


def _from_zero(values: FloatArray) -> FloatArray:
    """Return cumulative sums along the subjects, with a 0 before them."""
    zero = np.zeros((values.shape[0], 1, *values.shape[2:]))
    return np.concatenate([zero, np.cumsum(values, axis=1)], axis=1)


def _between(sums: FloatArray, low: NDArray[np.int64], high: NDArray[np.int64]) -> FloatArray:
    """Return sums from one place to another, from cumulative ones."""
    low, high = (i.reshape(i.shape + (1,) * (sums.ndim - 2)) for i in (low, high))
    return np.take_along_axis(sums, high, axis=1) - np.take_along_axis(sums, low, axis=1)


def _efron(values: FloatArray, part: _Stratum) -> FloatArray:
    """Sum weighted values over each risk set, less Efron's share of the tied events."""
    extra = (1,) * (values.ndim - 2)
    place = np.zeros_like(part.before)
    whole = _between(_from_zero(values), place, part.last)
    tied = _between(
        _from_zero(values * part.event.reshape(part.event.shape + extra)), part.before, part.last
    )
    return whole - part.share.reshape(part.share.shape + extra) * tied


def _derivatives(parts: Sequence[_Stratum], beta: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return score and information of all studies."""
    gradient = np.zeros_like(beta)
    information = np.zeros((*beta.shape, beta.shape[1]))
    for part in parts:
        weight = part.risk * np.exp(np.einsum("rnp,rp->rn", part.X, beta))
        s0 = _efron(weight, part)
        s0 = np.where(part.event > 0, s0, 1.0)
        s1 = _efron(weight[..., None] * part.X, part) / s0[..., None]
        outer = part.X[..., :, None] * part.X[..., None, :]
        s2 = _efron(weight[..., None, None] * outer, part) / s0[..., None, None]
        gradient += np.einsum("rn,rnp->rp", part.event, part.X - s1)
        spread = s2 - s1[..., :, None] * s1[..., None, :]
        information += np.einsum("rn,rnpq->rpq", part.event, spread)
    return gradient, information


def _safe_inverse(information: FloatArray) -> FloatArray:
    """Invert information matrices; singular ones become missing."""
    singular = ~(np.linalg.eigvalsh(information)[:, 0] > 1e-8)
    eye = np.eye(information.shape[1])
    inverse = np.linalg.inv(np.where(singular[:, None, None], eye, information))
    return np.where(singular[:, None, None], np.nan, inverse)


def _newton(gradient: FloatArray, information: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return bounded steps, and the squared distance to the maximum in standard errors."""
    inverse = _safe_inverse(information)
    step = np.nan_to_num(np.einsum("rpq,rq->rp", inverse, gradient))
    decrement = np.einsum("rp,rp->r", gradient, step)
    decrement = np.where(np.isnan(inverse[:, 0, 0]), np.nan, decrement)
    return np.clip(step, -_LARGEST_STEP, _LARGEST_STEP), decrement
