"""How well a pilot study knows the variances and the rate that a sample size rests on."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy import optimize, stats

from pmsstats.errors import DesignError
from pmsstats.power.expected_fit import Pattern, expect_fit, invert_information

if TYPE_CHECKING:
    from pmsstats.models.mixed.lmm_result import LMMResult
    from pmsstats.models.repeated.mmrm_result import MMRMResult
    from pmsstats.power.slope_variance import SlopeModel

__all__ = [
    "IntervalMethod",
    "lmm_parameter_covariance",
    "mmrm_parameter_covariance",
    "moment_df",
    "ratio_interval",
]

IntervalMethod = Literal["pivotal", "delta"]
"""How the interval of a number of subjects is found."""

_POINTS = 400  # of the chi-squared distribution: quantiles to about 1e-3 of themselves
_FAR = 1e9  # times the estimate: from here on the limit is infinite
_MOST_VISITS = 10


def ratio_interval(
    *, df: float, relative_error: float, conf_level: float, method: IntervalMethod = "pivotal"
) -> tuple[float, float]:
    """Return an interval for a number of subjects, as multiples of its estimate.

    Parameters
    ----------
    df : float
        Degrees of freedom of the estimated variance that the number is proportional to.
    relative_error : float
        Standard error of the rate over the rate; zero where the effect was given and not taken
        from the pilot study.
    conf_level : float
        Of the interval.
    method : {"pivotal", "delta"}
        From the distributions of variance and rate, or normal on the scale of the logarithm.

    Returns
    -------
    tuple of float
        Lower and upper; the upper one is infinite where the pilot study does not even show in
        which direction the rate goes.

    Notes
    -----
    The number is proportional to ``v / r^2``. Pivotal: with ``q`` chi-squared on `df` degrees of
    freedom and ``z`` standard normal, the true ratio is distributed as
    ``(df / q) / (1 - c z sqrt(df / q))^2`` about the estimated one, where ``c`` is
    `relative_error` and a rate of the other sign needs infinitely many [1]_. The standard error of
    the rate shares the error of ``v``, which is exact where both come from the same mean square
    (complete data, visits of the trial as in the pilot study). From 600 simulated pilot studies of
    40 patients with 4 scans, one of seven lost early, for a trial with other visits: 95 % intervals
    covered the true number in 96.3 %, which lay below 1.5 and above 2.2 % of them; intervals of the
    delta method in 95.0 %, but it lay above 4.5 % of them (below 0.5 %): those promise too few
    subjects too often.

    References
    ----------
    .. [1] Weerahandi S. Generalized confidence intervals. J Am Stat Assoc 1993;88:899-905.
       doi:10.1080/01621459.1993.10476355.
    """
    tails = ((1 - conf_level) / 2, (1 + conf_level) / 2)
    if method == "delta":
        spread = math.sqrt(2 / df + 4 * relative_error**2)
        low, high = (math.exp(float(stats.norm.ppf(tail)) * spread) for tail in tails)
        return low, high
    shares = (np.arange(_POINTS) + 0.5) / _POINTS
    inflation = df / stats.chi2.ppf(shares, df)
    if relative_error == 0:
        low, high = (df / float(stats.chi2.isf(tail, df)) for tail in tails)
        return low, high

    def below(log_ratio: float) -> float:
        needed = 1 - np.sqrt(inflation / math.exp(log_ratio))
        return float(stats.norm.cdf(needed / (relative_error * np.sqrt(inflation))).mean())

    far = math.log(_FAR)
    low, high = (
        math.exp(optimize.brentq(lambda x, p=tail: below(x) - p, -far, far))
        if below(far) > tail
        else math.inf
        for tail in tails
    )
    return low, high


def moment_df(variance: float, gradient: np.ndarray, covariance: np.ndarray) -> float:
    """Return Satterthwaite's degrees of freedom of an estimated variance, at least 1.

    Parameters
    ----------
    variance : float
        Function of the variance parameters.
    gradient : ndarray, shape (k,)
        Its derivative in each of them.
    covariance : ndarray, shape (k, k)
        Of their estimates.

    Returns
    -------
    float
        ``2 v^2 / var(v)``.
    """
    return max(float(2 * variance**2 / (gradient @ covariance @ gradient)), 1.0)


def lmm_parameter_covariance(fit: LMMResult, model: SlopeModel) -> np.ndarray:
    """Return the covariance of the estimated variances of a fit with random slopes.

    Parameters
    ----------
    fit : LMMResult
        With random intercepts and slopes of one grouping factor.
    model : SlopeModel
        What it estimates.

    Returns
    -------
    ndarray, shape (4, 4)
        Inverse of the expected restricted information, in the order of
        :meth:`~pmsstats.power.slope_variance.SlopeModel.derivatives`.
    """
    arrays = fit.design.arrays
    years = arrays.Z[:, list(fit.design.random_names).index("year")]
    rows = (np.flatnonzero(arrays.subject == i) for i in range(arrays.n_subjects))
    return _parameter_covariance(
        ((arrays.X[own], years[own]) for own in rows),
        lambda t: (model.covariance(t), model.derivatives(t)),
    )


def mmrm_parameter_covariance(fit: MMRMResult) -> np.ndarray:
    """Return the covariance of the estimated covariance of visits, as if it were unstructured.

    Parameters
    ----------
    fit : MMRMResult
        With one covariance for all subjects.

    Returns
    -------
    ndarray, shape (k, k)
        Of the lower triangle, row by row.
    """
    from pmsstats.power.mmrm_design import unstructured_derivatives

    arrays, m = fit.design.arrays, len(fit.design.visits)
    if m > _MOST_VISITS:
        raise DesignError(
            f"An interval from a model for repeated measures is offered for up to {_MOST_VISITS} "
            f"visits, and this fit has {m}. Fit a straight line with fit_lmm instead."
        )
    V, dV = fit.visit_covariance().to_numpy(), unstructured_derivatives(m)
    rows = [np.flatnonzero(arrays.subject == i) for i in range(arrays.n_subjects)]

    def at(visits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        chosen = np.ix_(visits.astype(int), visits.astype(int))
        return V[chosen], dV[(slice(None), *chosen)]

    return _parameter_covariance(((arrays.X[own], arrays.visit[own]) for own in rows), at)


def _parameter_covariance(
    subjects: Iterable[tuple[np.ndarray, np.ndarray]],
    at: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
) -> np.ndarray:
    """Invert the information of subjects, given by their columns and their visits."""
    kinds: dict[bytes, list[tuple[np.ndarray, np.ndarray]]] = {}
    for X, visits in subjects:
        kinds.setdefault(np.column_stack([X, visits]).tobytes(), []).append((X, visits))
    patterns = []
    for same in kinds.values():
        X, visits = same[0]
        V, dV = at(visits)
        patterns.append(Pattern(arm=0, share=float(len(same)), X=X, V=V, derivatives=dV))
    contrast = np.zeros(patterns[0].X.shape[1])
    return invert_information(expect_fit(patterns, contrast).parameter_information([1.0]))
