"""Counts of events compared by negative binomial regression."""

from __future__ import annotations

import numpy as np

from pmsstats.cohort.coerce import DAYS_PER_YEAR
from pmsstats.errors import DesignError
from pmsstats.trials.analyses.answers import NO_SUBJECTS, answer, first_reason
from pmsstats.trials.analyses.comparisons import models_of
from pmsstats.trials.analyses.layouts import count_by_arm
from pmsstats.trials.analyses.options import check_options, choice
from pmsstats.trials.analyses.rates import negative_binomial_batch
from pmsstats.trials.analyses.windows import TrialWindow
from pmsstats.trials.outcomes import AnalysisBatch

__all__ = ["analyse_counts"]


def analyse_counts(window: TrialWindow) -> AnalysisBatch:
    """Compare rates of events in each replicate.

    Parameters
    ----------
    window : TrialWindow
        Subjects and visits; events are counted after the first visit.

    Returns
    -------
    AnalysisBatch
        Log rate ratios.

    Raises
    ------
    DesignError
        If the data do not have the measure, its values are no numbers of events, or an option is
        unknown.

    Notes
    -----
    A value is the number of events since the last visit that took place; a subject's count is the
    sum over the visits of the window after its first, and its time that in which they happened: up
    to the last visit with a value, from the first visit of the window, or, where that was missed,
    from the one before it that took place. The measure ``"relapses"``, where no visit holds it, is
    counted from the days of relapses until the subject leaves. The model is log-linear with the
    time as offset and all arms in one model: negative binomial by maximum likelihood, with standard
    errors from the expected information, or ``family="poisson"``. The test is Wald's [1]_.

    References
    ----------
    .. [1] Lawless JF. Negative binomial and mixed Poisson regression. Can J Stat 1987;15:209-225.
       doi:10.2307/3314912
    """
    check_options(window.analysis, "family")
    count, years = _observed(window)
    covariates = window.covariates()
    seen = (window.code >= 0) & (years > 0) & ~np.isnan(covariates).any(axis=2)
    is_poisson = choice(window.analysis, "family", ("negative_binomial", "poisson")) == "poisson"
    counts = count_by_arm(window.code, seen, window.n_arms)
    totals = _totals(window, count, seen)
    absent = counts == 0 if window.comparisons.by_factor else totals == 0
    estimate, error = np.full((2, len(counts), len(window.comparisons.names)), np.nan)
    for rows, used, arms in models_of(window.comparisons, absent):
        columns = window.comparisons.columns[:, used][window.code[rows]]
        X = np.concatenate([columns, covariates[rows]], axis=2)
        kept = seen[rows] & arms[window.code[rows]]
        fit = negative_binomial_batch(X, count[rows], years[rows], kept, is_poisson=is_poisson)
        estimate[np.ix_(rows, used)] = fit.estimate[:, : used.size]
        error[np.ix_(rows, used)] = fit.std_error[:, : used.size]
    with_, without = window.comparisons.n_with(totals), window.comparisons.n_without(totals)
    none = (window.comparisons.n_with(counts) == 0) | (window.comparisons.n_without(counts) == 0)
    return answer(
        window.comparisons,
        estimate=estimate,
        std_error=error,
        counts=counts,
        n_events=with_ + without,
        reason=first_reason(
            estimate.shape,
            (none, NO_SUBJECTS),
            ((with_ == 0) | (without == 0), "no event in an arm"),
            (np.isnan(error), "no maximum found"),
        ),
        truth_sign=window.sign() if window.endpoint.measure != "relapses" else -1,
    )


def _totals(window: TrialWindow, count: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return events by arm: shape (n_replicates, n_arms)."""
    each = [np.where(seen & (window.code == arm), count, 0) for arm in range(window.n_arms)]
    return np.stack([own.sum(axis=1) for own in each], axis=1).astype(np.int64)


def _observed(window: TrialWindow) -> tuple[np.ndarray, np.ndarray]:
    """Return each subject's number of events, and years observed."""
    measure = window.endpoint.measure
    if measure == "relapses" and measure not in window.data.values:
        return _relapses(window)
    values = window.values(measure)[..., 1:]
    is_there = ~np.isnan(values)
    _check_counts(window, values[is_there])
    days = np.broadcast_to(window.days, (*window.code.shape, len(window.visits)))
    elapsed = days[..., 1:] - _last_look(window, measure)[..., None]
    last = np.where(is_there, elapsed, 0.0).max(axis=-1, initial=0.0)
    return np.where(is_there, values, 0.0).sum(axis=-1), last / DAYS_PER_YEAR


def _check_counts(window: TrialWindow, values: np.ndarray) -> None:
    """Refuse a measure that counts nothing."""
    wrong = (values < 0) | (values != np.rint(values))
    if wrong.any():
        raise DesignError(
            f"Method 'counts' is for numbers of events, but {window.endpoint.measure!r}, the "
            f"measure of endpoint {window.endpoint.name!r} of analysis {window.analysis.name!r}, "
            f"has the value {float(values[np.argmax(wrong)]):.6g}. Take a method for measures, "
            "such as 'random_slope'."
        )


def _last_look(window: TrialWindow, measure: str) -> np.ndarray:
    """Return the day up to which events were counted before the window: nobody misses week 0."""
    before = window.data.values[measure][..., : int(window.visits[0]) + 1]
    days = np.broadcast_to(np.asarray(window.data.day)[..., : before.shape[-1]], before.shape)
    return np.where(np.isnan(before), 0.0, days).max(axis=-1)


def _relapses(window: TrialWindow) -> tuple[np.ndarray, np.ndarray]:
    """Count relapses until subjects leave."""
    start, end = 7 * window.weeks[0], 7 * window.analysis.to_week
    end = np.minimum(window.data.exit_day, end)
    if window.strategy.cut is not None:
        end = np.minimum(end, window.strategy.cut)
    replicate, subject, day = window.data.relapses
    inside = (day > start) & (day <= end[replicate, subject])
    n_subjects = window.code.shape[1]
    place = (replicate * n_subjects + subject)[inside]
    count = np.bincount(place, minlength=window.code.size).reshape(window.code.shape)
    return count.astype(float), np.maximum(end - start, 0.0) / DAYS_PER_YEAR
