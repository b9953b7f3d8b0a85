"""Share of subjects with progression by a week."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pmsstats.errors import DesignError
from pmsstats.trials.analyses.answers import NO_SUBJECTS, answer, first_reason
from pmsstats.trials.analyses.event_times import event_times
from pmsstats.trials.analyses.layouts import count_by_arm
from pmsstats.trials.analyses.options import check_options, choice, option
from pmsstats.trials.analyses.product_limit import EventOrder, event_order, event_share
from pmsstats.trials.analyses.progression import interaction_refused, strata_of
from pmsstats.trials.analyses.two_shares import (
    EventTable,
    TwoShares,
    log_odds,
    score,
    share_difference,
    share_log_odds,
    two_shares,
)
from pmsstats.trials.analyses.windows import TrialWindow
from pmsstats.trials.outcomes import AnalysisBatch

__all__ = ["analyse_proportion"]

_MISSING = ("kaplan_meier", "no_event", "event", "excluded")
_UNFOLLOWED = "nobody of an arm is followed until the week"


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
    Progression counts if it happened by option ``week``, the last of the window by default. Option
    ``effect`` is ``"risk_difference"`` or ``"log_odds_ratio"``.

    Option ``missing`` says what is made of subjects who leave before the last visit by that week,
    without an event. ``"kaplan_meier"`` (default): they count for as long as they were seen, the
    share being estimated by Kaplan and Meier [1]_: without bias if leaving has nothing to do with
    progression. ``"no_event"``: as without progression, which draws a difference towards 0 the
    more people leave. ``"event"``: as with progression. ``"excluded"``: they are left out, which
    is biased too, as those who had the event before they would have left stay in.

    Where nobody leaves, the four are the same: plain shares, the standard errors of two binomial
    shares (of Woolf for a log odds ratio), and the score test of Cochran [2]_, with the variance
    of the shares that are pooled. So the default changes nothing in complete data. Where somebody
    leaves, ``"kaplan_meier"`` tests the estimate over its standard error, which comes from
    Greenwood's variances [3]_, for a log odds ratio by the delta method on the logit scale; there
    is no estimate where nobody of an arm is followed until the week. The others go on with plain
    shares and the score test.

    With strata (option ``strata``), or factors, differences and log odds ratios are those of
    Mantel and Haenszel [4]_, of either kind of share; the standard error of the odds ratio of
    plain shares is that of Robins, Breslow and Greenland [5]_.

    References
    ----------
    .. [1] Kaplan EL, Meier P. Nonparametric estimation from incomplete observations. J Am Stat
       Assoc 1958;53:457-481. doi:10.1080/01621459.1958.10501452
    .. [2] Cochran WG. Some methods for strengthening the common chi-squared tests. Biometrics
       1954;10:417-451. doi:10.2307/3001616
    .. [3] Greenwood M. The natural duration of cancer. Reports on Public Health and Medical
       Subjects 33. London: HMSO; 1926.
    .. [4] Mantel N, Haenszel W. Statistical aspects of the analysis of data from retrospective
       studies of disease. J Natl Cancer Inst 1959;22:719-748. doi:10.1093/jnci/22.4.719
    .. [5] Robins J, Breslow N, Greenland S. Estimators of the Mantel-Haenszel variance consistent
       in both sparse data and large-strata limiting models. Biometrics 1986;42:311-323.
       doi:10.2307/2531052
    """
    check_options(window.analysis, "week", "missing", "effect", "strata")
    interaction_refused(window)
    choice(window.analysis, "effect", ("risk_difference", "log_odds_ratio"))
    status = _status(window)
    counts = count_by_arm(window.code, status.known, window.n_arms)
    events = count_by_arm(window.code, status.event, window.n_arms)
    each = [_compare(window, status, k) for k in range(len(window.comparisons.names))]
    estimate, error, z, gone = (np.stack(part, axis=1) for part in zip(*each, strict=True))
    none = (window.comparisons.n_with(counts) == 0) | (window.comparisons.n_without(counts) == 0)
    return answer(
        window.comparisons,
        estimate=estimate,
        std_error=error,
        z=status.sign * z,
        counts=counts,
        n_events=window.comparisons.n_with(events) + window.comparisons.n_without(events),
        reason=first_reason(
            estimate.shape,
            (none, NO_SUBJECTS),
            (gone, _UNFOLLOWED),
            (np.isnan(z), "nobody, or everybody, has an event"),
            (~np.isfinite(estimate) | (error == 0), "nobody, or everybody, of an arm has an event"),
        ),
        truth_sign=status.sign,
    )


class _Status(NamedTuple):
    """Who has an event, whose status is known, and who left before that could be seen."""

    event: np.ndarray
    known: np.ndarray
    left: np.ndarray
    order: EventOrder | None
    sign: int


def _status(window: TrialWindow) -> _Status:
    """Find who had an event by the week; subjects are ordered where Kaplan and Meier ask for it."""
    times = event_times(window)
    missing = choice(window.analysis, "missing", _MISSING)
    end = _end(window)
    slack = window.scenario.schedule.window_days
    event = times.event & (times.duration <= end + slack)
    followed = event | (times.duration >= _last_visit(window, end) - slack)
    left = times.at_risk & ~followed
    order = None
    if missing == "kaplan_meier" and left.any():
        order = event_order(np.where(event | left, times.duration, np.inf), event)
    return _Status(
        event=event | left if missing == "event" else event,
        known=times.at_risk & ~left if missing == "excluded" else times.at_risk,
        left=left,
        order=order,
        sign=times.truth_sign,
    )


def _end(window: TrialWindow) -> float:
    """Return the day, from the start of the window, by which events count."""
    first, last = float(window.weeks[0]), float(window.weeks[-1])
    week = option(window.analysis, "week", last)
    is_number = isinstance(week, int | float) and not isinstance(week, bool)
    if not is_number or not week > first:
        raise DesignError(
            f"Option `week` of analysis {window.analysis.name!r} must be a number of weeks above "
            f"{first:g}, where its window begins, got {week!r}."
        )
    return 7 * (float(week) - first)


def _last_visit(window: TrialWindow, end: float) -> float:
    """Return the day, from the start of the window, of the last planned visit by a day."""
    days = 7 * (window.weeks - window.weeks[0])
    return float(days[days <= end].max())


class _Comparison(NamedTuple):
    """What one comparison gives; `gone` where the shares of the week cannot be told."""

    estimate: np.ndarray
    std_error: np.ndarray
    z: np.ndarray
    gone: np.ndarray


def _compare(window: TrialWindow, status: _Status, k: int) -> _Comparison:
    """Compare plain shares, or those of Kaplan and Meier in replicates that somebody left."""
    is_difference = option(window.analysis, "effect", "risk_difference") == "risk_difference"
    groups = _groups(window, status.known, k)
    table = _table(groups, status.event)
    plain = share_difference(two_shares(table)) if is_difference else log_odds(table)
    z, gone = score(table), np.zeros(len(window.code), dtype=bool)
    if status.order is None:
        return _Comparison(*plain, z, gone)
    shares = _kaplan_meier(groups, status.order, two_shares(table).weight)
    compared = share_difference(shares) if is_difference else share_log_odds(shares)
    unknown = np.isnan(shares.treated + shares.reference).any(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = compared.estimate / compared.std_error
    somebody_left = np.any([(status.left & (a | b)).any(axis=1) for a, b in groups], axis=0)
    return _Comparison(
        np.where(somebody_left, compared.estimate, plain.estimate),
        np.where(somebody_left, compared.std_error, plain.std_error),
        np.where(somebody_left, ratio, z),
        somebody_left & unknown,
    )


_Groups = list[tuple[np.ndarray, np.ndarray]]


def _groups(window: TrialWindow, known: np.ndarray, k: int) -> _Groups:
    """Say who is treated and who is the reference of a comparison, in each stratum."""
    column = window.comparisons.columns[:, k]
    treated = known & (column[window.code] == 1)
    other = known & (column[window.code] == 0)
    if not window.comparisons.by_factor:
        other &= window.code == 0
    codes = strata_of(window, k)
    if codes is None:
        return [(treated, other)]
    return [(treated & (codes == code), other & (codes == code)) for code in np.unique(codes)]


def _table(groups: _Groups, event: np.ndarray) -> EventTable:
    """Count events and subjects."""
    counts = [
        [np.count_nonzero(who, axis=1) for who in (a & event, a, b & event, b)] for a, b in groups
    ]
    return EventTable(*np.array(counts, dtype=float).transpose(1, 0, 2))


def _kaplan_meier(groups: _Groups, order: EventOrder, weight: np.ndarray) -> TwoShares:
    """Return shares with an event if nobody were to leave; 0 in strata that say nothing."""
    found = []
    for a, b in groups:
        treated, reference = event_share(order, a), event_share(order, b)
        found.append((treated.share, treated.variance, reference.share, reference.variance))
    parts = np.array(found).transpose(1, 0, 2)
    return TwoShares(*np.where(weight > 0, parts, 0.0), weight)
