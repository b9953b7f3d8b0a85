"""The surrogate threshold effect, and the band of prediction that it comes from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from pmsstats.surrogacy.specs import Benefit

__all__ = ["PredictionLine", "prediction_band", "threshold_effect"]


@dataclass(frozen=True, kw_only=True, eq=False)
class PredictionLine:
    """Prediction of the effect on the clinical outcome from that on surrogates.

    Parameters
    ----------
    intercept : float
        Effect on the outcome where that on every surrogate is zero.
    slopes : ndarray, shape (n_surrogates,)
        Per unit of effect on each surrogate.
    covariance : ndarray, shape (1 + n_surrogates, 1 + n_surrogates)
        Of intercept and slopes.
    residual_variance : float
        Of the effect on the outcome of a new trial around the line.
    df : float
        Degrees of freedom of the t distribution used.
    """

    intercept: float
    slopes: np.ndarray
    covariance: np.ndarray
    residual_variance: float
    df: float

    def quantile(self, conf_level: float) -> float:
        """Return the quantile of the t distribution for a two-sided level.

        Parameters
        ----------
        conf_level : float
            Such as 0.95.
        """
        return float(stats.t.ppf((1 + conf_level) / 2, self.df))


def prediction_band(
    line: PredictionLine, at: np.ndarray, conf_level: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Predict the effect on the outcome in a new trial.

    Parameters
    ----------
    line : PredictionLine
        From a trial-level model.
    at : ndarray, shape (n, n_surrogates)
        True effects on the surrogates.
    conf_level : float
        Of the band.

    Returns
    -------
    estimate, low, high : ndarray, shape (n,)
        The prediction and its interval.
    """
    X = np.column_stack([np.ones(len(at)), at])
    estimate = X @ np.append(line.intercept, line.slopes)
    variance = line.residual_variance + np.einsum("ij,jk,ik->i", X, line.covariance, X)
    half = line.quantile(conf_level) * np.sqrt(np.maximum(variance, 0.0))
    return estimate, estimate - half, estimate + half


def threshold_effect(
    line: PredictionLine, conf_level: float, benefit: Benefit
) -> tuple[float, str]:
    """Find the smallest effect on the surrogate that predicts a benefit with confidence.

    Parameters
    ----------
    line : PredictionLine
        With one surrogate.
    conf_level : float
        Of the prediction interval that must exclude "no effect".
    benefit : {"lower", "higher"}
        Which effects on the outcome are a benefit.

    Returns
    -------
    ste : float
        Surrogate threshold effect; missing where there is none.
    note : str
        Why there is none.

    Notes
    -----
    The effect ``s`` at which the limit of the prediction interval on the side of harm is zero [1]_:
    a root of ``(g0 + g1 s)^2 = q^2 (sigma^2 + x' V x)``, ``x = (1, s)``. It exists where the slope
    differs from zero at that level; otherwise no effect on the surrogate, however large, predicts
    a benefit with confidence.

    References
    ----------
    .. [1] Burzykowski T, Buyse M. Surrogate threshold effect: an alternative measure for
       meta-analytic surrogate endpoint validation. Pharm Stat 2006;5:173-186. doi:10.1002/pst.207

    Examples
    --------
    >>> line = PredictionLine(
    ...     intercept=0.0,
    ...     slopes=np.array([2.0]),
    ...     covariance=np.zeros((2, 2)),
    ...     residual_variance=1.0,
    ...     df=1e9,
    ... )
    >>> round(threshold_effect(line, 0.95, "lower")[0], 3)
    -0.98
    """
    if len(line.slopes) != 1:
        return float("nan"), "no threshold with more than one surrogate"
    q2 = line.quantile(conf_level) ** 2
    g0, g1, V = line.intercept, float(line.slopes[0]), line.covariance
    a = g1**2 - q2 * V[1, 1]
    b = g0 * g1 - q2 * V[0, 1]
    c = g0**2 - q2 * (line.residual_variance + V[0, 0])
    if not np.isfinite([a, b, c]).all():
        return float("nan"), "no line could be estimated"
    if a <= 0:
        return float("nan"), "no threshold: the slope may be zero"
    root = np.sqrt(max(b**2 - a * c, 0.0))
    ends = np.array([(-b - root) / a, (-b + root) / a])
    predicted = g0 + g1 * ends
    return float(ends[np.argmin(predicted) if benefit == "lower" else np.argmax(predicted)]), ""
