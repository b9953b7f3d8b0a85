"""Performance measures of simulated estimates, each with its Monte Carlo standard error."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

__all__ = ["PerformanceMeasure", "estimate_performance", "mean_measure", "share_measure"]


@dataclass(frozen=True, kw_only=True)
class PerformanceMeasure:
    """One operating characteristic.

    Parameters
    ----------
    value : float
        Its estimate from the replicates.
    mcse : float
        Monte Carlo standard error.
    n_replicates : int
        On which it rests.
    """

    value: float
    mcse: float
    n_replicates: int


def share_measure(hits: np.ndarray) -> PerformanceMeasure:
    """Estimate a probability.

    Parameters
    ----------
    hits : ndarray of bool, shape (n_replicates,)
        Whether it happened.

    Returns
    -------
    PerformanceMeasure
        Share, with the binomial standard error (0 where it happened always or never).

    Examples
    --------
    >>> share_measure(np.array([True, True, False, True]))
    PerformanceMeasure(value=0.75, mcse=0.21650635094610965, n_replicates=4)
    """
    n = len(hits)
    if n == 0:
        return PerformanceMeasure(value=math.nan, mcse=math.nan, n_replicates=0)
    share = float(np.mean(hits))
    return PerformanceMeasure(value=share, mcse=math.sqrt(share * (1 - share) / n), n_replicates=n)


def mean_measure(values: np.ndarray) -> PerformanceMeasure:
    """Estimate an expectation.

    Parameters
    ----------
    values : ndarray, shape (n_replicates,)
        One per replicate.

    Returns
    -------
    PerformanceMeasure
        Mean, with the standard error of a mean.
    """
    n = len(values)
    mean = float(np.mean(values)) if n else math.nan
    mcse = math.sqrt(_variance(values) / n) if n > 1 else math.nan
    return PerformanceMeasure(value=mean, mcse=mcse, n_replicates=n)


def _variance(values: np.ndarray) -> float:
    """Return the sample variance: exactly 0 of values that are all the same."""
    return float(np.var(values, ddof=1)) if np.ptp(values) > 0 else 0.0


def estimate_performance(
    estimate: np.ndarray,
    std_error: np.ndarray,
    conf_low: np.ndarray,
    conf_high: np.ndarray,
    *,
    truth: float = math.nan,
    truth_error: float = 0.0,
) -> dict[str, PerformanceMeasure]:
    """Measure how estimates behave around the true value.

    Parameters
    ----------
    estimate, std_error, conf_low, conf_high : ndarray, shape (n_replicates,)
        Of the replicates with an answer.
    truth : float
        True value; not a number where unknown: only what needs none is then given.
    truth_error : float
        Its standard error, where it was itself simulated: part of the error of what is compared
        with it.

    Returns
    -------
    dict of str to PerformanceMeasure
        ``mean_estimate``, ``empirical_se``, ``model_se``, ``model_se_relative_error`` (a share:
        0.05 says that model standard errors are 5 % too large), ``bias_eliminated_coverage``, and
        with a truth ``bias``, ``relative_bias`` (a share, where the truth is
        not 0, nor within two of its errors of it), ``mse`` and
        ``coverage``.

    Notes
    -----
    Formulas of Table 6 of [1]_. The model standard error is the root of the mean squared one. The
    error of a simulated truth is added to first order.

    References
    ----------
    .. [1] Morris TP, White IR, Crowther MJ. Using simulation studies to evaluate statistical
       methods. Stat Med 2019;38:2074-2102. doi:10.1002/sim.8086
    """
    n = len(estimate)
    mean = mean_measure(estimate)
    if n < 2:
        return {"mean_estimate": mean}
    empirical = mean.mcse * math.sqrt(n)
    centred = (conf_low <= mean.value) & (mean.value <= conf_high)
    found = {
        "mean_estimate": mean,
        "empirical_se": PerformanceMeasure(
            value=empirical, mcse=empirical / math.sqrt(2 * (n - 1)), n_replicates=n
        ),
        **_model_errors(std_error, empirical),
        "bias_eliminated_coverage": share_measure(centred),
    }
    if math.isnan(truth):
        return found
    bias_error = math.hypot(mean.mcse, truth_error)
    found["bias"] = PerformanceMeasure(value=mean.value - truth, mcse=bias_error, n_replicates=n)
    if abs(truth) > 2 * truth_error:
        ratio = mean.value / truth
        found["relative_bias"] = PerformanceMeasure(
            value=ratio - 1,
            mcse=math.hypot(mean.mcse, ratio * truth_error) / abs(truth),
            n_replicates=n,
        )
    squared = mean_measure((estimate - truth) ** 2)
    from_truth = 2 * (mean.value - truth) * truth_error  # the slope of both in the truth
    found["mse"] = replace(squared, mcse=math.hypot(squared.mcse, from_truth))
    found["coverage"] = _coverage(conf_low, conf_high, truth, truth_error)
    return found


def _coverage(
    low: np.ndarray, high: np.ndarray, truth: float, truth_error: float
) -> PerformanceMeasure:
    """Estimate the share of intervals that hold the truth; its error has that of the truth too."""
    shares = [share_measure((low <= at) & (at <= high)) for at in (truth, truth - truth_error)]
    above = share_measure((low <= truth + truth_error) & (truth + truth_error <= high))
    from_truth = (above.value - shares[1].value) / 2
    return replace(shares[0], mcse=math.hypot(shares[0].mcse, from_truth))


def _model_errors(std_error: np.ndarray, empirical: float) -> dict[str, PerformanceMeasure]:
    """Compare the standard errors that analyses state with the spread of the estimates."""
    n = len(std_error)
    squared = std_error**2
    model = math.sqrt(float(np.mean(squared)))
    if model == 0 or empirical == 0:
        return {"model_se": PerformanceMeasure(value=model, mcse=math.nan, n_replicates=n)}
    spread = _variance(squared) / (4 * n * model**4)  # relative variance of `model`
    ratio = model / empirical
    return {
        "model_se": PerformanceMeasure(value=model, mcse=model * math.sqrt(spread), n_replicates=n),
        "model_se_relative_error": PerformanceMeasure(
            value=ratio - 1, mcse=ratio * math.sqrt(spread + 1 / (2 * (n - 1))), n_replicates=n
        ),
    }
