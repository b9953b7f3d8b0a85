"""Kaplan-Meier curves and log-rank tests by lifelines.

What lifelines does, read from its source (0.30): pointwise intervals are log(-log) transformed
Greenwood intervals, as R's ``survfit(conf.type = "log-log")``, but undefined ones are filled with
1 at the start and become 0 where the curve reaches 0 (R: missing); and fitting a curve switches
numpy's warnings off for the whole process, which is undone here.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from lifelines import KaplanMeierFitter
from lifelines.statistics import multivariate_logrank_test

__all__ = ["compare_groups", "estimate_curve"]


def estimate_curve(duration: np.ndarray, event: np.ndarray, *, conf_level: float) -> pd.DataFrame:
    """Estimate one Kaplan-Meier curve.

    Parameters
    ----------
    duration : ndarray, shape (n_subjects,)
        Positive.
    event : ndarray of bool, shape (n_subjects,)
        True where the event happened at `duration`.
    conf_level : float
        Of the pointwise log(-log) intervals.

    Returns
    -------
    pandas.DataFrame
        One row at 0 and one at each distinct duration: ``duration n_at_risk n_events n_censored
        survival conf_low conf_high``; the interval is missing where the curve is 0.
    """
    with np.errstate(all="ignore"):
        fit = KaplanMeierFitter(alpha=1 - conf_level).fit(duration, event)
    table, interval = fit.event_table, fit.confidence_interval_survival_function_
    survival = fit.survival_function_.iloc[:, 0].to_numpy()
    low, high = (np.where(survival > 0, interval.iloc[:, j], np.nan) for j in (0, 1))
    return pd.DataFrame(
        {
            "duration": table.index.to_numpy(),
            "n_at_risk": table["at_risk"].to_numpy(dtype=int),
            "n_events": table["observed"].to_numpy(dtype=int),
            "n_censored": table["censored"].to_numpy(dtype=int),
            "survival": survival,
            "conf_low": low,
            "conf_high": high,
        }
    )


def compare_groups(
    duration: np.ndarray, event: np.ndarray, group: np.ndarray
) -> tuple[float, int, float]:
    """Compare the curves of two or more groups.

    Parameters
    ----------
    duration : ndarray, shape (n_subjects,)
        Positive.
    event : ndarray of bool, shape (n_subjects,)
        True where the event happened.
    group : ndarray of int, shape (n_subjects,)
        Group code.

    Returns
    -------
    tuple of (float, int, float)
        Chi-square statistic, degrees of freedom, p value.
    """
    test = multivariate_logrank_test(duration, group, event)
    return float(test.test_statistic), int(test.degrees_of_freedom), float(test.p_value)
