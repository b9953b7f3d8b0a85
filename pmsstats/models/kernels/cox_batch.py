"""Cox models with few covariates of many simulated trials at once: Newton steps on whole arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from pmsstats.models.kernels.log_rank_batch import (
    SortedTrials,
    check_covariates,
    sort_trials,
    spread_rows,
    sum_from,
)

__all__ = ["CoxBatch", "cox_batch"]

_MOST_STEPS = 30
_DECREMENT = 1e-16  # squared standard errors from the maximum: one more step changes no digit
_CELLS = 250_000  # array elements worked on at once: they stay in the processor's cache
_SINGULAR = 1e-10  # eigenvalue of the information, per event and SD of the covariates
_RUNAWAY = 40.0  # log hazard ratio per SD of a covariate: beyond, there is no maximum


@dataclass(frozen=True, kw_only=True, eq=False)
class CoxBatch:
    """Cox models of many trials.

    Parameters
    ----------
    estimate, std_error : ndarray, shape (n_trials, n_terms)
        Log hazard ratios per unit of the covariates; missing where `converged` is false.
    z, p_value : ndarray, shape (n_trials, n_terms)
        Wald tests.
    log_likelihood, log_likelihood_null : ndarray, shape (n_trials,)
        Efron's partial likelihood at the estimate and at 0.
    converged : ndarray of bool, shape (n_trials,)
        Whether the maximum was reached: false without events, with constant or collinear
        covariates, and where the likelihood has no maximum.
    monotone : ndarray of bool, shape (n_trials, n_terms)
        Whether at every event the covariate has its highest (or its lowest) value at risk, so
        that its hazard ratio is infinite (or 0).
    n_events : ndarray of int, shape (n_trials,)
        Events.
    """

    estimate: np.ndarray
    std_error: np.ndarray
    z: np.ndarray
    p_value: np.ndarray
    log_likelihood: np.ndarray
    log_likelihood_null: np.ndarray
    converged: np.ndarray
    monotone: np.ndarray
    n_events: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class _Layout:
    """Sorted trials, what Efron's method needs of their ties, and covariates by position."""

    trials: SortedTrials
    x: np.ndarray  # (n_trials, n_subjects, n_terms)
    fraction: np.ndarray  # (n_trials, n_subjects): of tied events that a denominator leaves out


def cox_batch(
    duration: np.ndarray,
    event: np.ndarray,
    X: np.ndarray,
    strata: np.ndarray | None = None,
) -> CoxBatch:
    """Fit a Cox model with few covariates to each of many trials.

    Parameters
    ----------
    duration : ndarray, shape (n_trials, n_subjects)
        Time to event or censoring, in any unit; exact ties are ties.
    event : ndarray of bool, shape (n_trials, n_subjects)
        True where the event happened.
    X : ndarray, shape (n_trials, n_subjects) or (n_trials, n_subjects, n_terms)
        Covariates at baseline, in any unit.
    strata : ndarray of int, shape (n_trials, n_subjects) or (n_subjects,), optional
        Codes of baseline hazards.

    Returns
    -------
    CoxBatch
        Nothing is raised for a trial without a maximum: look at `converged` and count.

    Raises
    ------
    DesignError
        If shapes differ, a duration is negative, or a value is not finite.

    Notes
    -----
    The same numbers as :func:`~pmsstats.models.events.survival.fit_cox`: Efron's likelihood [1]_,
    Newton's steps from 0, halved where they do not lead uphill.

    References
    ----------
    .. [1] Efron B. The efficiency of Cox's likelihood function for censored data. J Am Stat Assoc
       1977;72:557-565. doi:10.1080/01621459.1977.10480613

    Examples
    --------
    >>> duration = np.array([[5.0, 8.0, 9.0, 12.0, 14.0, 20.0, 21.0, 30.0]])
    >>> event = np.array([[1, 1, 0, 1, 1, 0, 1, 0]])
    >>> x = np.array([[1.8, 0.9, 1.2, 1.6, 0.4, 0.8, 0.7, 0.6]])
    >>> np.exp(cox_batch(duration, event, x).estimate).round(1)
    array([[10.4]])
    """
    times, happened, codes = spread_rows(duration, event, strata)
    centred = check_covariates(X, times.shape)
    scale = np.sqrt((centred**2).mean(axis=1))
    varies = scale > 1e-12 * np.abs(np.asarray(X, dtype=float).reshape(centred.shape)).max(axis=1)
    scale = np.where(varies, scale, 1.0)
    standard = np.where(varies[:, None, :], centred / scale[:, None, :], 0.0)
    step = max(1, _CELLS // times.shape[1])
    parts = [
        _fit(times[rows], happened[rows], standard[rows], None if codes is None else codes[rows])
        for rows in (slice(low, low + step) for low in range(0, len(times), step))
    ]
    beta, error, value, null, converged, monotone = (
        np.concatenate(pieces) for pieces in zip(*parts, strict=True)
    )
    z = beta / error
    return CoxBatch(
        estimate=beta / scale,
        std_error=error / scale,
        z=z,
        p_value=2 * stats.norm.sf(np.abs(z)),
        log_likelihood=value,
        log_likelihood_null=null,
        converged=converged,
        monotone=monotone & varies,
        n_events=happened.sum(axis=1),
    )


def _fit(
    duration: np.ndarray, event: np.ndarray, X: np.ndarray, strata: np.ndarray | None
) -> tuple[np.ndarray, ...]:
    """Climb from 0 in all trials of a block; those that have arrived stay."""
    layout = _lay_out(duration, event, X, strata)
    n_trials, _, n_terms = X.shape
    beta = np.zeros((n_trials, n_terms))
    value, score, information = _evaluate(layout, beta)
    null = value.copy()
    n_events = np.maximum(layout.trials.event.sum(axis=1), 1)
    smallest = np.linalg.eigvalsh(information)[:, 0]
    regular = smallest > _SINGULAR * n_events
    monotone = _monotone(layout)
    active = regular & ~monotone.any(axis=1)
    arrived = np.zeros(n_trials, dtype=bool)
    for _ in range(_MOST_STEPS):
        at = np.flatnonzero(active)
        if not len(at):
            break
        step = np.linalg.solve(information[at], score[at][:, :, None])[:, :, 0]
        arrived[at] = np.sum(step * score[at], axis=1) < _DECREMENT
        _climb(layout, at, step, (beta, value, score, information))
        lost = (np.abs(beta[at]) > _RUNAWAY).any(axis=1)
        lost |= np.linalg.eigvalsh(information[at])[:, 0] <= _SINGULAR * n_events[at]
        active[at] = ~(arrived[at] | lost)
        arrived[at] &= ~lost
    covariance = np.linalg.inv(np.where(arrived[:, None, None], information, np.eye(n_terms)))
    error = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    missing = ~arrived[:, None]
    return (
        np.where(missing, np.nan, beta), np.where(missing, np.nan, error),
        np.where(arrived, value, np.nan), null, arrived, monotone,
    )  # fmt: skip


def _lay_out(
    duration: np.ndarray, event: np.ndarray, X: np.ndarray, strata: np.ndarray | None
) -> _Layout:
    """Sort, and rank tied events: the r-th of d leaves out the share r / d."""
    trials = sort_trials(duration, event, strata)
    counted = trials.event.astype(np.int64)
    here = np.broadcast_to(np.arange(counted.shape[1]), counted.shape)
    before = sum_from(counted, trials.first, here)
    tied = np.maximum(sum_from(counted, trials.first, trials.last), 1)
    return _Layout(
        trials=trials,
        x=np.take_along_axis(X, trials.order[:, :, None], 1),
        fraction=before / tied,
    )


def _part(layout: _Layout, at: np.ndarray) -> _Layout:
    """Keep some trials."""
    trials = layout.trials
    return _Layout(
        trials=SortedTrials(
            order=trials.order[at],
            event=trials.event[at],
            first=trials.first[at],
            last=trials.last[at],
            end=trials.end[at],
        ),
        x=layout.x[at],
        fraction=layout.fraction[at],
    )


def _climb(
    layout: _Layout, at: np.ndarray, step: np.ndarray, state: tuple[np.ndarray, ...]
) -> None:
    """Step uphill in some trials, halving what leads down; changes the state in place."""
    beta = state[0]
    start = state[1][at].copy()
    length = np.ones(len(at))
    todo = np.arange(len(at))
    origin = beta[at].copy()
    for _ in range(20):
        rows = at[todo]
        beta[rows] = origin[todo] + length[todo, None] * step[todo]
        found = _evaluate(_part(layout, rows), beta[rows])
        for kept, new in zip(state[1:], found, strict=True):
            kept[rows] = new
        # rounding of a sum of as many terms as events
        todo = todo[~(found[0] >= start[todo] - 1e-10 * (1 + np.abs(start[todo])))]
        if not len(todo):
            return
        length[todo] /= 2


def _evaluate(layout: _Layout, beta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return log-likelihood, score and information of each trial."""
    trials, x = layout.trials, layout.x
    n_terms = x.shape[2]
    eta = np.einsum("tnj,tj->tn", x, np.clip(beta, -1e3, 1e3))
    eta -= eta.max(axis=1, keepdims=True)
    weight = np.exp(eta)
    own = np.where(trials.event, weight, 0.0)

    def at_risk(values: np.ndarray) -> np.ndarray:
        """Sum over those at risk, the tied events in part."""
        everybody = sum_from(weight * values, trials.first, trials.end)
        return everybody - layout.fraction * sum_from(own * values, trials.first, trials.last)

    # beyond the last event of a stratum nothing is at stake; there sums may be rounding
    total = np.where(trials.event, at_risk(np.ones_like(weight)), 1.0)
    total = np.maximum(total, np.finfo(float).tiny)
    mean = [at_risk(x[:, :, j]) / total for j in range(n_terms)]
    value = np.where(trials.event, eta - np.log(total), 0.0).sum(axis=1)
    score = np.stack(
        [np.where(trials.event, x[:, :, j] - mean[j], 0.0).sum(axis=1) for j in range(n_terms)],
        axis=1,
    )
    information = np.empty((len(x), n_terms, n_terms))
    for j in range(n_terms):
        for k in range(j + 1):
            covariance = at_risk(x[:, :, j] * x[:, :, k]) / total - mean[j] * mean[k]
            summed = np.where(trials.event, covariance, 0.0).sum(axis=1)
            information[:, j, k] = information[:, k, j] = summed
    return value, score, information


def _monotone(layout: _Layout) -> np.ndarray:
    """Say which covariates are highest, or lowest, at risk at every event of a trial."""
    trials = layout.trials
    n_terms = layout.x.shape[2]
    result = np.empty((len(trials.order), n_terms), dtype=bool)
    # one running maximum per trial serves all strata: each is lifted above those after it
    changes = np.diff(trials.end, axis=1, prepend=trials.end[:, :1]) != 0
    stratum = np.cumsum(changes, axis=1)
    for j in range(n_terms):
        x = layout.x[:, :, j]
        span = 2.0 * (np.abs(x).max() + 1.0)
        either = []
        for signed in (x, -x):
            lifted = signed - span * stratum
            highest = np.maximum.accumulate(lifted[:, ::-1], axis=1)[:, ::-1]
            top = np.take_along_axis(highest, trials.first, 1)
            either.append(np.where(trials.event, lifted >= top, True).all(axis=1))
        result[:, j] = either[0] | either[1]
    return result & trials.event.any(axis=1)[:, None]
