"""Kaplan-Meier curves and log-rank tests by lifelines.

What lifelines (0.30) does, read from its source and tried. Curves: intervals are log(-log)
transformed Greenwood intervals, as R's ``survfit(conf.type = "log-log")``, but undefined ones are
filled with 1 at the start and become 0 where the curve reaches 0 (R: missing). With late entry its
table counts those who enter at a time among those at risk then (its curve, rightly, does not), and
it refuses data in which nobody is at risk at some time of the first half of the table, where R
goes on. Fitting a curve switches numpy's warnings off for the whole process; that is undone here.

Log-rank tests: all weights agree with R's ``survdiff`` and with sums of our own, up to 50,000
subjects. But the degrees of freedom are always groups less one, also where a group left before the
first event (R: one less for each such group); and there is no test with strata, late entry or for
a trend, no table of expected events and no covariance. There, and for those,
:mod:`pmsstats.models.curves.rank_scores` is used.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from lifelines import KaplanMeierFitter
from lifelines.exceptions import StatError
from lifelines.statistics import multivariate_logrank_test

from pmsstats.models.curves.rank_scores import LogRankTest, RankWeights

__all__ = ["compare_groups", "estimate_curve"]

_WEIGHTINGS = {
    "log_rank": None,
    "gehan": "wilcoxon",
    "tarone_ware": "tarone-ware",
    "peto": "peto",
}


def estimate_curve(
    duration: np.ndarray,
    event: np.ndarray,
    entry: np.ndarray | None = None,
    *,
    conf_level: float,
) -> pd.DataFrame | None:
    """Estimate one Kaplan-Meier curve.

    Parameters
    ----------
    duration : ndarray, shape (n_subjects,)
        Positive.
    event : ndarray of bool, shape (n_subjects,)
        True where the event happened at `duration`.
    entry : ndarray, shape (n_subjects,), optional
        A subject is at risk over (entry, duration]; from the beginning by default.
    conf_level : float
        Of the pointwise log(-log) intervals.

    Returns
    -------
    pandas.DataFrame or None
        One row at each distinct duration: ``duration survival conf_low conf_high n_at_risk
        n_events n_censored``; the interval is missing where the curve is 0. None where lifelines
        refuses, because early on nobody is at risk.
    """
    with np.errstate(all="ignore"):
        try:
            fit = KaplanMeierFitter(alpha=1 - conf_level).fit(duration, event, entry=entry)
        except StatError:
            return None
    table, interval = fit.event_table, fit.confidence_interval_survival_function_
    entered = table["entrance"].where(np.arange(len(table)) > 0, 0)  # at risk from then on
    survival = fit.survival_function_.iloc[:, 0].to_numpy()
    low, high = (np.where(survival > 0, interval.iloc[:, j], np.nan) for j in (0, 1))
    curve = pd.DataFrame(
        {
            "duration": table.index.to_numpy(dtype=float),
            "survival": survival,
            "conf_low": low,
            "conf_high": high,
            "n_at_risk": (table["at_risk"] - entered).to_numpy(dtype=int),
            "n_events": table["observed"].to_numpy(dtype=int),
            "n_censored": table["censored"].to_numpy(dtype=int),
        }
    )
    return curve[table["removed"].to_numpy() > 0].reset_index(drop=True)


def compare_groups(
    duration: np.ndarray, event: np.ndarray, group: np.ndarray, weights: RankWeights = "log_rank"
) -> LogRankTest:
    """Compare the curves of two or more groups, each with somebody at risk at an event.

    Parameters
    ----------
    duration : ndarray, shape (n_subjects,)
        Positive.
    event : ndarray of bool, shape (n_subjects,)
        True where the event happened.
    group : ndarray of int, shape (n_subjects,)
        Group code.
    weights : RankWeights, default "log_rank"
        Of the times.

    Returns
    -------
    LogRankTest
        With groups less one degrees of freedom.
    """
    test = multivariate_logrank_test(duration, group, event, **_weightings(weights))
    return LogRankTest(
        statistic=float(test.test_statistic),
        df=int(test.degrees_of_freedom),
        p_value=float(test.p_value),
    )


def _weightings(weights: RankWeights) -> dict[str, Any]:
    """Return weights in lifelines' words."""
    if isinstance(weights, tuple):
        return {"weightings": "fleming-harrington", "p": weights[1], "q": weights[2]}
    return {"weightings": _WEIGHTINGS[weights]}
