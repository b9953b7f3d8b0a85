"""Log-rank and Cox score tests of many simulated trials at once, by whole-array operations.

Trials are rows of arrays. Each is sorted once; sums over those at risk are differences of running
sums, so that ties are exact and nothing loops over trials or subjects.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from pmsstats.errors import DesignError

__all__ = [
    "CoxScoreBatch",
    "LogRankBatch",
    "SortedTrials",
    "check_covariates",
    "cox_score_batch",
    "log_rank_batch",
    "sort_trials",
    "spread_rows",
    "sum_from",
]

_CELLS = 250_000  # array elements worked on at once: they stay in the processor's cache
_SINGULAR = 1e-10  # information relative to that of the covariate itself: below, it is rounding


@dataclass(frozen=True, kw_only=True, eq=False)
class LogRankBatch:
    """Log-rank tests of many trials with two groups.

    Parameters
    ----------
    score : ndarray, shape (n_trials,)
        Observed less expected events of the second group: below 0 where it has fewer.
    variance : ndarray, shape (n_trials,)
        Hypergeometric, exact with ties.
    z, p_value : ndarray, shape (n_trials,)
        ``score / sqrt(variance)`` and its two-sided normal p value; missing where the variance is
        0 (no events, or no event with both groups at risk).
    log_hazard_ratio, std_error : ndarray, shape (n_trials,)
        In one step: ``score / variance`` and ``1 / sqrt(variance)``.
    n_events : ndarray of int, shape (n_trials,)
        In both groups.
    """

    score: np.ndarray
    variance: np.ndarray
    z: np.ndarray
    p_value: np.ndarray
    log_hazard_ratio: np.ndarray
    std_error: np.ndarray
    n_events: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class CoxScoreBatch:
    """Score tests of Cox models of many trials, at no effect.

    Parameters
    ----------
    score : ndarray, shape (n_trials, n_terms)
        Covariates less their mean at risk, summed over events.
    information : ndarray, shape (n_trials, n_terms, n_terms)
        Its variance, exact with ties.
    statistic, p_value : ndarray, shape (n_trials,)
        Chi-square with `n_terms` degrees of freedom; missing where the information is singular.
    z : ndarray, shape (n_trials, n_terms)
        Score of each term alone over its standard deviation, with the sign of its effect.
    log_hazard_ratio : ndarray, shape (n_trials, n_terms)
        In one step from 0: inverse information times score.
    n_events : ndarray of int, shape (n_trials,)
        Events.
    """

    score: np.ndarray
    information: np.ndarray
    statistic: np.ndarray
    p_value: np.ndarray
    z: np.ndarray
    log_hazard_ratio: np.ndarray
    n_events: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class SortedTrials:
    """Trials sorted by stratum and time, with where each time begins and ends.

    Parameters
    ----------
    order : ndarray of int, shape (n_trials, n_subjects)
        Subject at each position.
    event : ndarray of bool, shape (n_trials, n_subjects)
        Sorted.
    first : ndarray of int, shape (n_trials, n_subjects)
        Position at which the time of each position begins: those from there to `end` are at risk.
    last : ndarray of int, shape (n_trials, n_subjects)
        Position after the last one of the same time.
    end : ndarray of int, shape (n_trials, n_subjects)
        Position after the last one of the same stratum.
    """

    order: np.ndarray
    event: np.ndarray
    first: np.ndarray
    last: np.ndarray
    end: np.ndarray


def sort_trials(
    duration: np.ndarray, event: np.ndarray, strata: np.ndarray | None = None
) -> SortedTrials:
    """Sort each trial by stratum and time.

    Parameters
    ----------
    duration : ndarray, shape (n_trials, n_subjects)
        Finite.
    event : ndarray of bool, shape (n_trials, n_subjects)
        True where the event happened.
    strata : ndarray of int, shape (n_trials, n_subjects), optional
        Codes.

    Returns
    -------
    SortedTrials
        Positions refer to sorted order.
    """
    order = np.argsort(duration, axis=1)
    if strata is not None:
        by_stratum = np.argsort(np.take_along_axis(strata, order, 1), axis=1, kind="stable")
        order = np.take_along_axis(order, by_stratum, 1)
    time = np.take_along_axis(duration, order, 1)
    is_new = np.ones(time.shape, dtype=bool)
    np.not_equal(time[:, 1:], time[:, :-1], out=is_new[:, 1:])
    starts = np.zeros(time.shape, dtype=bool)
    if strata is not None:
        code = np.take_along_axis(strata, order, 1)
        starts[:, 1:] = code[:, 1:] != code[:, :-1]
    is_new |= starts
    return SortedTrials(
        order=order,
        event=np.take_along_axis(event, order, 1),
        first=_latest(is_new),
        last=_next(is_new),
        end=_next(starts),
    )


def _latest(mark: np.ndarray) -> np.ndarray:
    """Return the position of the latest mark at or before each position."""
    at = np.where(mark, np.arange(mark.shape[1]), 0)
    return np.maximum.accumulate(at, axis=1)


def _next(mark: np.ndarray) -> np.ndarray:
    """Return the position of the next mark after each position, or the number of positions."""
    n = mark.shape[1]
    at = np.full(mark.shape, n)
    at[:, :-1] = np.where(mark[:, 1:], np.arange(1, n), n)
    return np.minimum.accumulate(at[:, ::-1], axis=1)[:, ::-1]


def sum_from(values: np.ndarray, begin: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Sum values over positions begin, ..., end - 1 of each trial.

    Parameters
    ----------
    values : ndarray, shape (n_trials, n_subjects)
        Sorted.
    begin, end : ndarray of int, shape (n_trials, n_subjects)
        Positions.

    Returns
    -------
    ndarray, shape (n_trials, n_subjects)
        Sums.
    """
    total = np.zeros((values.shape[0], values.shape[1] + 1), dtype=values.dtype)
    np.cumsum(values, axis=1, out=total[:, 1:])
    return np.take_along_axis(total, end, 1) - np.take_along_axis(total, begin, 1)


def spread_rows(
    duration: object, event: object, strata: object | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Check the arrays that all batched tests take.

    Parameters
    ----------
    duration, event, strata : array_like, shape (n_trials, n_subjects)
        As a caller gave them; strata may be of shape (n_subjects,), the same in all trials.

    Returns
    -------
    tuple of ndarray
        Durations as float, events as bool, strata as integer codes or None.

    Raises
    ------
    DesignError
        If shapes differ, a duration is negative or not finite, or an event is neither 0 nor 1.
    """
    times = np.asarray(duration, dtype=float)
    if times.ndim != 2 or not times.shape[1]:
        raise DesignError(
            f"`duration` must have shape (n_trials, n_subjects), got {times.shape}: a single trial "
            "is a row, duration[None, :]."
        )
    if not np.isfinite(times).all() or (times < 0).any():
        bad = int(np.count_nonzero(~(np.isfinite(times) & (times >= 0))))
        raise DesignError(
            f"`duration` must be finite and at least 0, found {bad} value(s) that are missing, "
            "infinite or negative. Leave such subjects out of the simulated trials."
        )
    happened = np.asarray(event)
    if happened.shape != times.shape or not np.isin(happened, (0, 1)).all():
        raise DesignError(
            f"`event` must hold True/False in the shape of `duration`, {times.shape}, got shape "
            f"{happened.shape} of {happened.dtype}."
        )
    return times, happened.astype(bool), _codes("strata", strata, times.shape)


def _codes(name: str, values: object | None, shape: tuple[int, ...]) -> np.ndarray | None:
    """Spread codes over trials; refuse other shapes."""
    if values is None:
        return None
    codes = np.asarray(values)
    if codes.shape not in (shape, shape[1:]) or codes.dtype.kind not in "biu":
        raise DesignError(
            f"`{name}` must hold integer codes in shape {shape} or {shape[1:]}, got shape "
            f"{codes.shape} of {codes.dtype}."
        )
    return np.broadcast_to(codes.astype(np.int64), shape)


def log_rank_batch(
    duration: np.ndarray,
    event: np.ndarray,
    group: np.ndarray,
    strata: np.ndarray | None = None,
) -> LogRankBatch:
    """Compare two groups by the log-rank test in each of many trials.

    Parameters
    ----------
    duration : ndarray, shape (n_trials, n_subjects)
        Time to event or censoring, in any unit; exact ties are ties.
    event : ndarray of bool, shape (n_trials, n_subjects)
        True where the event happened.
    group : ndarray of int, shape (n_trials, n_subjects) or (n_subjects,)
        0 for the reference, 1 for the other.
    strata : ndarray of int, shape (n_trials, n_subjects) or (n_subjects,), optional
        Codes; groups are compared within strata.

    Returns
    -------
    LogRankBatch
        One test per trial.

    Raises
    ------
    DesignError
        If shapes differ, a duration is negative or not finite, or a group is neither 0 nor 1.

    Notes
    -----
    The same numbers as :func:`~pmsstats.models.curves.log_rank.compare_survival`, trial by trial.
    The one-step hazard ratio is biased towards 1 far from 1 [1]_.

    References
    ----------
    .. [1] Yusuf S, Peto R, Lewis J, Collins R, Sleight P. Beta blockade during and after
       myocardial infarction. Prog Cardiovasc Dis 1985;27:335-371.
       doi:10.1016/S0033-0620(85)80003-7

    Examples
    --------
    >>> duration = np.array([[6.0, 7.0, 10.0, 1.0, 2.0, 4.0]])
    >>> event = np.array([[1, 0, 1, 1, 1, 1]])
    >>> log_rank_batch(duration, event, np.array([0, 0, 0, 1, 1, 1])).score.round(3)
    array([1.85])
    """
    times, happened, codes = spread_rows(duration, event, strata)
    member = _codes("group", group, times.shape)
    if member is None or not np.isin(member, (0, 1)).all():
        raise DesignError(
            f"`group` must be 0 (reference) or 1 for every subject, got "
            f"{np.unique(np.asarray(group)).tolist()[:5]}."
        )
    score, variance = np.empty(len(times)), np.empty(len(times))
    for rows in _blocks(times.shape):
        trials = sort_trials(times[rows], happened[rows], None if codes is None else codes[rows])
        score[rows], variance[rows] = _log_rank(trials, member[rows])
    positive = variance > _SINGULAR
    safe = np.where(positive, variance, 1.0)
    z = np.where(positive, score / np.sqrt(safe), np.nan)
    return LogRankBatch(
        score=score,
        variance=variance,
        z=z,
        p_value=2 * stats.norm.sf(np.abs(z)),
        log_hazard_ratio=np.where(positive, score / safe, np.nan),
        std_error=np.where(positive, 1 / np.sqrt(safe), np.nan),
        n_events=happened.sum(axis=1),
    )


def _blocks(shape: tuple[int, ...]) -> list[slice]:
    """Split trials into blocks that fit the cache."""
    step = max(1, _CELLS // shape[1])
    return [slice(low, low + step) for low in range(0, shape[0], step)]


def _log_rank(trials: SortedTrials, group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sum observed less expected and the variance over the events of each trial."""
    second = np.take_along_axis(group, trials.order, 1)
    at_risk = (trials.end - trials.first).astype(float)
    share = sum_from(second, trials.first, trials.end) / at_risk
    tied = sum_from(trials.event.astype(np.int64), trials.first, trials.last)
    spread = share * (1.0 - share) * (at_risk - tied) / np.maximum(at_risk - 1.0, 1.0)
    return (
        np.where(trials.event, second - share, 0.0).sum(axis=1),
        np.where(trials.event, spread, 0.0).sum(axis=1),
    )


def cox_score_batch(
    duration: np.ndarray,
    event: np.ndarray,
    X: np.ndarray,
    strata: np.ndarray | None = None,
) -> CoxScoreBatch:
    """Test the effect of covariates by the score test of a Cox model in each of many trials.

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
    CoxScoreBatch
        One test per trial.

    Raises
    ------
    DesignError
        If shapes differ, a duration is negative, or a value is not finite.

    Notes
    -----
    Ties are exact: with n at risk and d events at a time, the covariance of the covariates at risk
    is taken ``d (n - d) / (n - 1)`` times, as in the discrete partial likelihood [1]_. With one
    0/1 covariate this is the log-rank test.

    References
    ----------
    .. [1] Cox DR. Regression models and life-tables. J R Stat Soc B 1972;34:187-220.
       doi:10.1111/j.2517-6161.1972.tb00899.x

    Examples
    --------
    >>> duration = np.array([[6.0, 7.0, 10.0, 1.0, 2.0, 4.0]])
    >>> event = np.array([[1, 0, 1, 1, 1, 1]])
    >>> x = np.array([[0.0, 0.5, 0.1, 2.0, 1.0, 1.5]])
    >>> cox_score_batch(duration, event, x).z.round(2)
    array([[2.07]])
    """
    times, happened, codes = spread_rows(duration, event, strata)
    covariates = check_covariates(X, times.shape)
    n_terms = covariates.shape[2]
    score = np.empty((len(times), n_terms))
    information = np.empty((len(times), n_terms, n_terms))
    for rows in _blocks(times.shape):
        trials = sort_trials(times[rows], happened[rows], None if codes is None else codes[rows])
        score[rows], information[rows] = _cox_score(trials, covariates[rows])
    return _judge_batch(score, information, covariates, happened.sum(axis=1))


def check_covariates(X: object, shape: tuple[int, ...]) -> np.ndarray:
    """Return covariates centred within trials, with an axis of terms.

    Parameters
    ----------
    X : array_like, shape (n_trials, n_subjects) or (n_trials, n_subjects, n_terms)
        As a caller gave them.
    shape : tuple of int
        (n_trials, n_subjects).

    Returns
    -------
    ndarray, shape (n_trials, n_subjects, n_terms)
        Their mean over subjects is 0.

    Raises
    ------
    DesignError
        If the shape differs or a value is not finite.
    """
    values = np.asarray(X, dtype=float)
    values = values[:, :, None] if values.ndim == 2 else values
    if values.ndim != 3 or values.shape[:2] != shape or not values.shape[2]:
        raise DesignError(
            f"`X` must have shape {shape} or ({shape[0]}, {shape[1]}, n_terms), got {np.shape(X)}."
        )
    if not np.isfinite(values).all():
        raise DesignError(
            f"`X` must be finite, found {int(np.count_nonzero(~np.isfinite(values)))} value(s) "
            "that are missing or infinite."
        )
    return values - values.mean(axis=1, keepdims=True)


def _cox_score(trials: SortedTrials, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sum score and information over the events of each trial."""
    n_terms = X.shape[2]
    at_risk = (trials.end - trials.first).astype(float)
    tied = sum_from(trials.event.astype(np.int64), trials.first, trials.last)
    factor = np.where(trials.event, (at_risk - tied) / np.maximum(at_risk - 1.0, 1.0), 0.0)
    x = [np.take_along_axis(X[:, :, j], trials.order, 1) for j in range(n_terms)]
    mean = [sum_from(x[j], trials.first, trials.end) / at_risk for j in range(n_terms)]
    score = np.stack(
        [np.where(trials.event, x[j] - mean[j], 0.0).sum(axis=1) for j in range(n_terms)], axis=1
    )
    information = np.empty((len(X), n_terms, n_terms))
    for j in range(n_terms):
        for k in range(j + 1):
            square = sum_from(x[j] * x[k], trials.first, trials.end) / at_risk
            total = (factor * (square - mean[j] * mean[k])).sum(axis=1)
            information[:, j, k] = information[:, k, j] = total
    return score, information


def _judge_batch(
    score: np.ndarray, information: np.ndarray, X: np.ndarray, n_events: np.ndarray
) -> CoxScoreBatch:
    """Turn scores to tests; missing where a trial cannot tell."""
    variance = np.diagonal(information, axis1=1, axis2=2)
    scale = np.sqrt(np.maximum((X**2).mean(axis=1), np.finfo(float).tiny))
    informed = variance > _SINGULAR * scale**2
    root = np.sqrt(np.where(informed, variance, 1.0))
    correlation = information / (root[:, :, None] * root[:, None, :])
    correlation[~informed.all(axis=1)] = np.eye(score.shape[1])
    regular = informed.all(axis=1) & (np.linalg.eigvalsh(correlation)[:, 0] > _SINGULAR)
    safe = np.where(regular[:, None, None], correlation, np.eye(score.shape[1]))
    solved = np.linalg.solve(safe, (score / root)[:, :, None])[:, :, 0]
    statistic = np.where(regular, np.sum(solved * score / root, axis=1), np.nan)
    return CoxScoreBatch(
        score=score,
        information=information,
        statistic=statistic,
        p_value=stats.chi2.sf(statistic, score.shape[1]),
        z=np.where(informed, score / root, np.nan),
        log_hazard_ratio=np.where(regular[:, None], solved / root, np.nan),
        n_events=n_events,
    )
