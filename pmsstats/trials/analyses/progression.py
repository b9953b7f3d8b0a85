"""Times to progression compared by log-rank tests or Cox models."""

from __future__ import annotations

import numpy as np

from pmsstats.errors import DesignError
from pmsstats.trials.analyses.answers import NO_SUBJECTS, answer, first_reason
from pmsstats.trials.analyses.comparisons import models_of
from pmsstats.trials.analyses.event_times import EventTimes, event_times
from pmsstats.trials.analyses.layouts import count_by_arm
from pmsstats.trials.analyses.options import check_options, choice, option
from pmsstats.trials.analyses.windows import TrialWindow, known_at_entry
from pmsstats.trials.outcomes import AnalysisBatch

__all__ = ["analyse_progression", "interaction_refused", "strata_of"]

_NO_MAXIMUM = "no maximum of the partial likelihood"
_NO_EVENTS = "no event while both arms were at risk"


def analyse_progression(window: TrialWindow) -> AnalysisBatch:
    """Compare the time to progression in each replicate.

    Parameters
    ----------
    window : TrialWindow
        Subjects and visits.

    Returns
    -------
    AnalysisBatch
        Log hazard ratios, below 0 where the treated have fewer events.

    Raises
    ------
    DesignError
        If the endpoint is no time to an event, or an option is unknown.

    Notes
    -----
    ``"log_rank"``: the test of score less expectation over its hypergeometric standard error; the
    estimate is that of one step, and its information the variance of the score, about a quarter
    of the events where arms are equal. Each arm is compared with the reference alone; a factor
    within strata of the other factors. ``"cox"``: Efron's partial likelihood, all arms in one
    model, with covariates. Option ``strata`` names values known at entry, with few levels, within
    which arms are compared.

    References
    ----------
    .. [1] Mantel N. Evaluation of survival data and two new rank order statistics arising in its
       consideration. Cancer Chemother Rep 1966;50:163-170.
    """
    check_options(window.analysis, "strata")
    if window.analysis.method == "log_rank":
        interaction_refused(window)
    times = event_times(window)
    counts = count_by_arm(window.code, times.at_risk, window.n_arms)
    events = count_by_arm(window.code, times.event, window.n_arms)
    n_events = window.comparisons.n_with(events) + window.comparisons.n_without(events)
    compare = _log_rank if window.analysis.method == "log_rank" else _cox
    estimate, error, z, reason = compare(window, times)
    none = (window.comparisons.n_with(counts) == 0) | (window.comparisons.n_without(counts) == 0)
    return answer(
        window.comparisons,
        estimate=estimate,
        std_error=error,
        z=times.truth_sign * z,
        counts=counts,
        n_events=n_events,
        reason=first_reason(
            estimate.shape, (none, NO_SUBJECTS), (n_events == 0, "no event"), *reason
        ),
        truth_sign=times.truth_sign,
    )


Compared = tuple[np.ndarray, np.ndarray, np.ndarray, list[tuple[np.ndarray, str]]]


def _log_rank(window: TrialWindow, times: EventTimes) -> Compared:
    """Test each comparison by itself."""
    from pmsstats.models.kernels.log_rank_batch import log_rank_batch

    if window.analysis.covariates:
        raise DesignError(
            f"Analysis {window.analysis.name!r} has covariates, which a log-rank test cannot use. "
            "Take option `strata`, or method 'cox'."
        )
    names = window.comparisons.names
    estimate, error, z = np.empty((3, len(window.code), len(names)))
    for k in range(len(names)):
        column = window.comparisons.columns[:, k]
        arms = np.ones(window.n_arms, dtype=bool)
        if not window.comparisons.by_factor:
            arms = (column == 1) | (np.arange(window.n_arms) == 0)
        inside = times.at_risk & arms[window.code]
        batch = log_rank_batch(
            np.where(inside, times.duration, 0.0),
            times.event & inside,
            (column[window.code] == 1) & inside,
            strata_of(window, k),
        )
        estimate[:, k], error[:, k], z[:, k] = batch.log_hazard_ratio, batch.std_error, batch.z
    return estimate, error, z, [(np.isnan(z), _NO_EVENTS)]


def _cox(window: TrialWindow, times: EventTimes) -> Compared:
    """Fit one model to all comparisons; arms without an event are left out of it."""
    from pmsstats.models.kernels.cox_batch import cox_batch

    covariates, codes = window.covariates(), strata_of(window, None)
    inside = times.at_risk & ~np.isnan(covariates).any(axis=2)
    events = count_by_arm(window.code, times.event & inside, window.n_arms)
    by_factor = window.comparisons.by_factor
    absent = count_by_arm(window.code, inside, window.n_arms) == 0 if by_factor else events == 0
    shape = (len(window.code), len(window.comparisons.names))
    estimate, error, z = np.full((3, *shape), np.nan)
    runaway = np.broadcast_to((events[:, :1] == 0), shape).copy()
    if not by_factor:
        runaway |= events[:, 1:] == 0
    for rows, used, arms in models_of(window.comparisons, absent):
        kept = inside[rows] & arms[window.code[rows]]
        columns = window.comparisons.columns[:, used][window.code[rows]]
        X = np.concatenate([columns, covariates[rows]], axis=2)
        batch = cox_batch(
            np.where(kept, times.duration[rows], 0.0),
            times.event[rows] & kept,
            np.where(kept[..., None], X, 0.0),
            None if codes is None else codes[rows],
        )
        at, part = np.ix_(rows, used), slice(0, used.size)
        estimate[at], error[at] = batch.estimate[:, part], batch.std_error[:, part]
        z[at], runaway[at] = batch.z[:, part], batch.monotone[:, part]
    one_sided = "all events in one arm: the hazard ratio is 0 or infinite"
    return estimate, error, z, [(runaway, one_sided), (np.isnan(z), _NO_MAXIMUM)]


def strata_of(window: TrialWindow, comparison: int | None) -> np.ndarray | None:
    """Return the stratum of each subject.

    Parameters
    ----------
    window : TrialWindow
        With the option ``strata``.
    comparison : int, optional
        Of factors: which one is compared within strata of the others.

    Returns
    -------
    ndarray of int, shape (n_replicates, n_subjects), or None
        Codes; None without strata.

    Raises
    ------
    DesignError
        If a value is not known at entry, or no whole number.
    """
    asked = option(window.analysis, "strata", ())
    names = (asked,) if isinstance(asked, str) else tuple(asked)
    codes = None
    for name in names:
        value = np.where(window.code >= 0, known_at_entry(window.data, name, "strata"), 0.0)
        if not (value == np.rint(value)).all():
            raise DesignError(
                f"`strata` names {name!r}, which has values that are missing or no whole numbers. "
                "Strata need a value with few levels; take method 'cox' with covariates."
            )
        codes = _crossed(codes, value.astype(np.int64))
    if window.comparisons.by_factor and comparison is not None:
        others = np.delete(window.comparisons.columns, comparison, axis=1)
        _, kind = np.unique(others, axis=0, return_inverse=True)
        codes = _crossed(codes, kind.ravel()[window.code])
    return codes


def _crossed(codes: np.ndarray | None, more: np.ndarray) -> np.ndarray:
    """Combine two classifications."""
    if codes is None:
        return more
    return codes * (int(more.max()) - int(more.min()) + 1) + (more - int(more.min()))


def interaction_refused(window: TrialWindow) -> None:
    """Refuse interactions where a method compares factors within strata of the others.

    Parameters
    ----------
    window : TrialWindow
        With its comparisons.

    Raises
    ------
    DesignError
        If an interaction is asked for.
    """
    if window.comparisons.by_factor and choice(window.analysis, "interaction", (False, True)):
        raise DesignError(
            f"Method {window.analysis.method!r} of analysis {window.analysis.name!r} compares "
            "factors within strata and has no test of an interaction. Take a model ('cox')."
        )
