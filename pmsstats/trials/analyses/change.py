"""Change from baseline at one visit, compared by least squares or by Welch's test."""

from __future__ import annotations

import numpy as np

from pmsstats.errors import DesignError
from pmsstats.trials.analyses.answers import NO_SUBJECTS, answer, first_reason
from pmsstats.trials.analyses.comparisons import models_of
from pmsstats.trials.analyses.layouts import count_by_arm
from pmsstats.trials.analyses.least_squares import least_squares_batch
from pmsstats.trials.analyses.options import check_options, choice, option
from pmsstats.trials.analyses.windows import TrialWindow
from pmsstats.trials.outcomes import AnalysisBatch

__all__ = ["analyse_change"]

_NOT_APART = "columns cannot be told apart in the subjects that are left"
_NO_SPREAD = "no spread left"


def analyse_change(window: TrialWindow) -> AnalysisBatch:
    """Compare the change at a visit in each replicate.

    Parameters
    ----------
    window : TrialWindow
        Subjects and visits; the first visit is the baseline.

    Returns
    -------
    AnalysisBatch
        Units of the measure. Subjects without a value at the baseline, at the visit or of a
        covariate are not among those counted.

    Raises
    ------
    DesignError
        If the visit is not in the window, or an option is unknown or does not fit.

    Notes
    -----
    The visit is the last of the window, or that of option ``week``. ``"change"`` compares means of
    the change by the pooled t test, with ``variance="unequal"`` by Welch's [1]_; ``"ancova"``
    adjusts for the baseline. Both adjust for covariates. Under the strategy
    ``while_on_treatment`` the last value before treatment was stopped is carried forward (unless an
    event with another strategy came before); under ``composite``, those who stopped before the
    visit get the change of option ``failure_change``.

    References
    ----------
    .. [1] Welch BL. The generalization of 'Student's' problem when several different population
       variances are involved. Biometrika 1947;34:28-35. doi:10.1093/biomet/34.1-2.28
    """
    analysis = window.analysis
    check_options(analysis, "week", "variance", "failure_change")
    at = _place(window)
    start = window.raw(window.endpoint.measure)[..., 0]
    change = window.carried(window.endpoint.measure)[..., at] - start
    if window.strategy.failure is not None:
        failed = window.strategy.failure <= window.days[..., at]
        change = np.where(failed, _failure(window), change)
    covariates = window.covariates()
    if analysis.method == "ancova":
        covariates = np.concatenate([covariates, start[..., None]], axis=2)
    seen = (window.code >= 0) & ~np.isnan(change) & ~np.isnan(covariates).any(axis=2)
    if choice(analysis, "variance", ("equal", "unequal")) == "unequal":
        return _welch(window, change, seen)
    return _pooled(window, change, covariates, seen)


def _place(window: TrialWindow) -> int:
    """Return the place of the visit in the window."""
    week = option(window.analysis, "week", window.weeks[-1])
    found = np.flatnonzero(window.weeks == week)
    if not found.size or found[0] == 0:
        after = ", ".join(f"{w:g}" for w in window.weeks[1:]) or "none"
        raise DesignError(
            f"Analysis {window.analysis.name!r} looks at week {week:g}, which must be a visit "
            f"after the first of its window. There are: {after}."
        )
    return int(found[0])


def _failure(window: TrialWindow) -> float:
    """Return the change that those who stopped treatment are taken to have."""
    value = option(window.analysis, "failure_change", None)
    if not isinstance(value, int | float) or isinstance(value, bool) or not np.isfinite(value):
        raise DesignError(
            f"Analysis {window.analysis.name!r} counts stopping as failure: option "
            f"`failure_change` must say which change that is, got {value!r}."
        )
    return float(value)


def _pooled(
    window: TrialWindow, change: np.ndarray, covariates: np.ndarray, seen: np.ndarray
) -> AnalysisBatch:
    """Compare by least squares, with one variance."""
    comparisons = window.comparisons
    counts = count_by_arm(window.code, seen, window.n_arms)
    n_columns = len(comparisons.names)
    estimate, error = np.full((2, len(counts), n_columns), np.nan)
    df, singular = np.full((len(counts), 1), np.nan), np.zeros((len(counts), 1), dtype=bool)
    empty = (comparisons.n_with(counts) == 0) | (comparisons.n_without(counts) == 0)
    for rows, used, _ in models_of(comparisons, counts == 0):
        columns = comparisons.columns[:, used][window.code[rows]]
        X = np.concatenate([columns, covariates[rows]], axis=2)
        fit = least_squares_batch(X, change[rows], seen[rows])
        estimate[np.ix_(rows, used)] = fit.estimate[:, : used.size]
        error[np.ix_(rows, used)] = fit.std_error[:, : used.size]
        df[rows, 0], singular[rows, 0] = fit.df, fit.is_singular
    return answer(
        comparisons,
        estimate=estimate,
        std_error=error,
        df=df,
        counts=counts,
        reason=_reasons(empty, singular, error),
        truth_sign=window.sign(),
    )


def _reasons(empty: np.ndarray, singular: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Say why there is no answer."""
    return first_reason(
        error.shape, (empty, NO_SUBJECTS), (singular, _NOT_APART), (error == 0, _NO_SPREAD)
    )


def _welch(window: TrialWindow, change: np.ndarray, seen: np.ndarray) -> AnalysisBatch:
    """Compare means, each with its own variance."""
    if window.comparisons.by_factor or window.analysis.covariates:
        raise DesignError(
            f"Analysis {window.analysis.name!r} asks for unequal variances, which go neither with "
            "covariates nor with factors. Take variance='equal'."
        )
    if window.analysis.method == "ancova":
        raise DesignError("Unequal variances go with method 'change', not with 'ancova'.")
    counts = count_by_arm(window.code, seen, window.n_arms)
    mean, error2 = np.full((2, *counts.shape), np.nan)
    for arm in range(window.n_arms):
        who = seen & (window.code == arm)
        n = np.maximum(counts[:, arm], 1)
        mean[:, arm] = np.where(who, change, 0.0).sum(axis=1) / n
        rest = np.where(who, change - mean[:, arm, None], 0.0)
        error2[:, arm] = (rest**2).sum(axis=1) / np.maximum(n - 1, 1) / n
    few = (counts[:, :1] < 2) | (counts[:, 1:] < 2)
    variance = error2[:, :1] + error2[:, 1:]
    share = error2**2 / np.maximum(counts - 1, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        df = variance**2 / (share[:, :1] + share[:, 1:])
    return answer(
        window.comparisons,
        estimate=mean[:, 1:] - mean[:, :1],
        std_error=np.sqrt(variance),
        df=df,
        counts=counts,
        reason=_reasons(few, np.zeros_like(few), np.sqrt(variance)),
        truth_sign=window.sign(),
    )
