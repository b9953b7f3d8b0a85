"""Share of subjects with progression by a week."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pmsstats.trials.analyses.answers import NO_SUBJECTS, answer, first_reason
from pmsstats.trials.analyses.event_times import event_times
from pmsstats.trials.analyses.layouts import count_by_arm
from pmsstats.trials.analyses.options import check_options, choice, option
from pmsstats.trials.analyses.progression import interaction_refused, strata_of
from pmsstats.trials.analyses.windows import TrialWindow
from pmsstats.trials.outcomes import AnalysisBatch

__all__ = ["analyse_proportion"]


def analyse_proportion(window: TrialWindow) -> AnalysisBatch:
    """Compare the share with progression in each replicate.

    Parameters
    ----------
    window : TrialWindow
        Subjects and visits.

    Returns
    -------
    AnalysisBatch
        Risk differences, or log odds ratios.

    Raises
    ------
    DesignError
        If the endpoint is no time to an event, or an option is unknown or does not fit.

    Notes
    -----
    Progression counts if it happened by option ``week``, the last of the window by default.
    Option ``missing`` says what is made of subjects without an event who were not followed until
    the last visit by then: ``"no_event"`` (default), ``"event"``, or ``"excluded"``. Option
    ``effect`` is ``"risk_difference"`` or ``"log_odds_ratio"``. The test is the score test of
    Cochran [1]_, with the variance of the shares that are pooled; standard errors are those of
    Woolf for a log odds ratio and of two binomial shares for a difference. With strata (option
    ``strata``), or factors, differences and log odds ratios are those of Mantel and Haenszel [2]_,
    with the standard error of Robins, Breslow and Greenland [3]_ for the odds ratio.

    References
    ----------
    .. [1] Cochran WG. Some methods for strengthening the common chi-squared tests. Biometrics
       1954;10:417-451. doi:10.2307/3001616
    .. [2] Mantel N, Haenszel W. Statistical aspects of the analysis of data from retrospective
       studies of disease. J Natl Cancer Inst 1959;22:719-748. doi:10.1093/jnci/22.4.719
    .. [3] Robins J, Breslow N, Greenland S. Estimators of the Mantel-Haenszel variance consistent
       in both sparse data and large-strata limiting models. Biometrics 1986;42:311-323.
       doi:10.2307/2531052
    """
    check_options(window.analysis, "week", "missing", "effect", "strata")
    interaction_refused(window)
    effect = choice(window.analysis, "effect", ("risk_difference", "log_odds_ratio"))
    event, known, sign = _status(window)
    counts = count_by_arm(window.code, known, window.n_arms)
    events = count_by_arm(window.code, event, window.n_arms)
    names = window.comparisons.names
    estimate, error, z = np.empty((3, len(counts), len(names)))
    for k in range(len(names)):
        table = _tables(window, event, known, k)
        compared = _difference(table) if effect == "risk_difference" else _odds(table)
        estimate[:, k], error[:, k] = compared
        z[:, k] = sign * _score(table)
    none = (window.comparisons.n_with(counts) == 0) | (window.comparisons.n_without(counts) == 0)
    return answer(
        window.comparisons,
        estimate=estimate,
        std_error=error,
        z=z,
        counts=counts,
        n_events=window.comparisons.n_with(events) + window.comparisons.n_without(events),
        reason=first_reason(
            estimate.shape,
            (none, NO_SUBJECTS),
            (np.isnan(z), "nobody, or everybody, has an event"),
            (~np.isfinite(estimate) | (error == 0), "nobody, or everybody, of an arm has an event"),
        ),
        truth_sign=sign,
    )


def _status(window: TrialWindow) -> tuple[np.ndarray, np.ndarray, int]:
    """Return who has an event, whose status is known, and whether events are good (1) or bad."""
    times = event_times(window)
    week = option(window.analysis, "week", None)
    start = window.weeks[0]
    end = 7 * ((window.weeks[-1] if week is None else week) - start)
    slack = window.scenario.schedule.window_days
    event = times.event & (times.duration <= end + slack)
    followed = event | (times.duration >= _last_visit(window, end) - slack)
    missing = choice(window.analysis, "missing", ("no_event", "event", "excluded"))
    if missing == "event":
        event = event | (times.at_risk & ~followed)
    known = times.at_risk & (followed | (missing != "excluded"))
    return event, known, times.truth_sign


def _last_visit(window: TrialWindow, end: float) -> float:
    """Return the day, from the start of the window, of the last planned visit by a day."""
    days = 7 * (window.weeks - window.weeks[0])
    return float(days[days <= end].max())


class _Tables(NamedTuple):
    """Events and subjects of treated and reference, of shape (n_strata, n_replicates)."""

    treated: np.ndarray
    n_treated: np.ndarray
    reference: np.ndarray
    n_reference: np.ndarray


def _tables(window: TrialWindow, event: np.ndarray, known: np.ndarray, k: int) -> _Tables:
    """Count events in the strata of a comparison."""
    column = window.comparisons.columns[:, k]
    treated = known & (column[window.code] == 1)
    other = known & (column[window.code] == 0)
    if not window.comparisons.by_factor:
        other &= window.code == 0
    codes = strata_of(window, k)
    inside = [known] if codes is None else [codes == code for code in np.unique(codes)]
    counts = [
        [
            np.count_nonzero(who & within, axis=1)
            for who in (treated & event, treated, other & event, other)
        ]
        for within in inside
    ]
    return _Tables(*np.array(counts, dtype=float).transpose(1, 0, 2))


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Divide where that can be done; 0 elsewhere."""
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)


def _score(t: _Tables) -> np.ndarray:
    """Return the score statistic, above 0 where the treated have more events."""
    n = t.n_treated + t.n_reference
    pooled = _ratio(t.treated + t.reference, n)
    weight = _ratio(t.n_treated * t.n_reference, n)
    excess = weight * (_ratio(t.treated, t.n_treated) - _ratio(t.reference, t.n_reference))
    variance = (weight * pooled * (1 - pooled)).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(variance > 0, excess.sum(axis=0) / np.sqrt(variance), np.nan)


def _difference(t: _Tables) -> tuple[np.ndarray, np.ndarray]:
    """Return the difference of shares, weighted over strata, and its standard error."""
    p1, p0 = _ratio(t.treated, t.n_treated), _ratio(t.reference, t.n_reference)
    weight = _ratio(t.n_treated * t.n_reference, t.n_treated + t.n_reference)
    spread = _ratio(p1 * (1 - p1), t.n_treated) + _ratio(p0 * (1 - p0), t.n_reference)
    total = weight.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        estimate = (weight * (p1 - p0)).sum(axis=0) / total
        return estimate, np.sqrt((weight**2 * spread).sum(axis=0)) / total


def _odds(t: _Tables) -> tuple[np.ndarray, np.ndarray]:
    """Return the log odds ratio of Mantel and Haenszel, and its standard error [3]."""
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
        return np.log(r / s), np.sqrt(variance)
