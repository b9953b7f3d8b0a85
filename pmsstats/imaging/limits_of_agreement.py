"""Bias and limits of agreement of paired measurements, with their intervals.

References
----------
.. [1] Bland JM, Altman DG. Measuring agreement in method comparison studies. Stat Methods Med Res
   1999;8:135-160. doi:10.1177/096228029900800204.
.. [2] Carkeet A. Exact parametric confidence intervals for Bland-Altman limits of agreement. Optom
   Vis Sci 2015;92:e71-e80. doi:10.1097/OPX.0000000000000513.
.. [3] Zou GY. Confidence interval estimation for the Bland-Altman limits of agreement with
   multiple observations per individual. Stat Methods Med Res 2013;22:630-642.
   doi:10.1177/0962280211402548.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from pmsstats.imaging.reliability import Estimate, OneWay, one_way

__all__ = ["Limits", "limits_of_agreement"]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bias and limits of agreement.

    Parameters
    ----------
    bias : Estimate
        Mean difference.
    sd : float
        Of single differences.
    lower, upper : Estimate
        Limits.
    """

    bias: Estimate
    sd: float
    lower: Estimate
    upper: Estimate


def limits_of_agreement(
    differences: np.ndarray, subject: np.ndarray, *, coverage: float, conf_level: float
) -> Limits:
    """Estimate between which values differences lie.

    Parameters
    ----------
    differences : ndarray, shape (n_pairs,)
        Second measurement less first, or one method less another.
    subject : ndarray of int, shape (n_pairs,)
        Subject number of each pair, 0 to n_subjects - 1; one or several pairs per subject.
    coverage : float
        Share of differences that lie between the limits, for example 0.95.
    conf_level : float
        Of the intervals.

    Returns
    -------
    Limits
        Missing intervals where there are fewer than two subjects.

    Notes
    -----
    Limits are ``bias -/+ z s`` [1]_. With one pair per subject each limit has the exact interval
    of a normal percentile, from the noncentral t distribution, as the individual limits of [2]_.
    With several pairs ``s^2 = s_m^2 + (1 - 1/m_h) s_w^2`` from the variance ``s_m^2`` of subjects'
    mean differences and that within subjects, ``m_h`` being the harmonic mean number of pairs
    (true values may differ between pairs), the bias is the mean over subjects, and intervals
    combine those of the parts [3]_.
    """
    anova = one_way(differences, subject)
    if anova.df_between < 1:
        nothing = Estimate(value=np.nan)
        return Limits(bias=nothing, sd=np.nan, lower=nothing, upper=nothing)
    z = float(stats.norm.ppf(0.5 + coverage / 2))
    if anova.df_within == 0:
        return _single(differences, z, conf_level)
    return _repeated(anova, z, conf_level)


def _bias(means: np.ndarray, conf_level: float) -> Estimate:
    """Return the mean over subjects with its t interval."""
    n = len(means)
    centre, error = float(means.mean()), float(means.std(ddof=1)) / np.sqrt(n)
    half = float(stats.t.isf((1 - conf_level) / 2, n - 1)) * error
    return Estimate(value=centre, low=centre - half, high=centre + half, df=float(n - 1))


def _single(differences: np.ndarray, z: float, conf_level: float) -> Limits:
    """Return exact intervals for one pair per subject [2]."""
    n, tail = len(differences), (1 - conf_level) / 2
    centre, s = float(differences.mean()), float(differences.std(ddof=1))
    near, far = (
        float(stats.nct.ppf(p, n - 1, z * np.sqrt(n)) / np.sqrt(n)) for p in (tail, 1 - tail)
    )
    return Limits(
        bias=_bias(differences, conf_level),
        sd=s,
        lower=Estimate(value=centre - z * s, low=centre - far * s, high=centre - near * s),
        upper=Estimate(value=centre + z * s, low=centre + near * s, high=centre + far * s),
    )


def _repeated(anova: OneWay, z: float, conf_level: float) -> Limits:
    """Return intervals for several pairs per subject, from those of mean and variances [3]."""
    n, tail = len(anova.sizes), (1 - conf_level) / 2
    centre, between = float(anova.means.mean()), float(anova.means.var(ddof=1))
    inner = (1 - float(np.mean(1 / anova.sizes))) * anova.ms_within
    variance = between + inner

    def reach(p: float) -> float:
        parts = ((between, n - 1), (inner, anova.df_within))
        return float(np.sqrt(sum((v * (1 - df / stats.chi2.ppf(p, df))) ** 2 for v, df in parts)))

    s = np.sqrt(variance)
    s_low = np.sqrt(max(variance - reach(1 - tail), 0.0))
    s_high = np.sqrt(variance + reach(tail))
    error = float(stats.norm.isf(tail)) * np.sqrt(between / n)
    near = float(np.hypot(error, z * (s - s_low)))
    far = float(np.hypot(error, z * (s_high - s)))
    low, high = centre - z * s, centre + z * s
    return Limits(
        bias=_bias(anova.means, conf_level),
        sd=float(s),
        lower=Estimate(value=float(low), low=float(low - far), high=float(low + near)),
        upper=Estimate(value=float(high), low=float(high - near), high=float(high + far)),
    )
