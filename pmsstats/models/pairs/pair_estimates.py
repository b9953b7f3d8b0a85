"""What a fitted pair model says of variances, correlations and slopes, with errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from pmsstats.models.fixed_effects.inference import quantile
from pmsstats.models.kernels.pair_maximum import PairMaximum
from pmsstats.models.pairs.pair_design import PairDesign

__all__ = [
    "CorrelationEstimate",
    "PairVariances",
    "correlation_of",
    "fisher_estimate",
    "pair_variances",
    "regression_of",
    "residual_estimate",
    "tabulate_sds",
]

_NOTHING = 1e-12  # share of all random variance, on the common scale, that counts as none


@dataclass(frozen=True, kw_only=True)
class CorrelationEstimate:
    """A correlation with its interval.

    Parameters
    ----------
    label : str
        What is correlated with what.
    estimate : float
        Between -1 and 1.
    std_error : float
        Of the correlation; missing where it lies on the boundary.
    conf_low, conf_high : float
        Interval.
    statistic : float
        Of no correlation: Fisher's z over its error; or the signed root of the likelihood ratio.
    p_value : float
        Two-sided.
    n_subjects : int
        Subjects that tell of it: those with both.
    interval : {"fisher", "profile"}
        Where the interval comes from.
    """

    label: str
    estimate: float
    std_error: float
    conf_low: float
    conf_high: float
    statistic: float
    p_value: float
    n_subjects: int
    interval: str


@dataclass(frozen=True, eq=False, kw_only=True)
class PairVariances:
    """Covariances of a fitted pair model in the user's units, with that of their estimates.

    Parameters
    ----------
    D : ndarray, shape (q, q)
        Covariance of the random effects.
    residual : ndarray, shape (2,) or (3,)
        Residual variances, and covariance at the same visit.
    D_covariance : ndarray, shape (q * q, q * q)
        Of the entries of `D`; missing where the fit is singular.
    residual_covariance : ndarray, shape (m, m)
        Of the entries of `residual`; missing where the fit is singular.
    """

    D: np.ndarray
    residual: np.ndarray
    D_covariance: np.ndarray
    residual_covariance: np.ndarray


def pair_variances(design: PairDesign, found: PairMaximum) -> PairVariances:
    """Work out covariances in the user's units.

    Parameters
    ----------
    design : PairDesign
        For the way back from the common scale.
    found : PairMaximum
        On the common scale.

    Returns
    -------
    PairVariances
        Errors from the observed information, the inverse of half the deviance's second
        derivatives; there are none where the covariance is singular.
    """
    q, m = len(found.F), len(found.residual)
    B, scale = design.random_map(), design.residual_scale()
    both = _observed_covariance(found)
    map_D = np.kron(B, B)
    D = B @ found.covariance @ B.T
    still = _without_variation(B, found)
    D[still], D[:, still] = 0.0, 0.0
    return PairVariances(
        D=D,
        residual=scale * found.residual,
        D_covariance=map_D @ both[: q * q, : q * q] @ map_D.T,
        residual_covariance=scale[:, None] * both[q * q :, q * q :] * scale.reshape(1, m),
    )


def _without_variation(B: np.ndarray, found: PairMaximum) -> np.ndarray:
    """Say which effects do not vary but for rounding: shape (q,), bool."""
    directions = B / np.linalg.norm(B, axis=1, keepdims=True)
    variances = np.einsum("ia,ab,ib->i", directions, found.covariance, directions)
    return variances <= _NOTHING * max(float(np.trace(found.covariance)), 1e-300)


def _observed_covariance(found: PairMaximum) -> np.ndarray:
    """Invert the observed information of the covariances: (q * q + m,) * 2."""
    q, m = len(found.F), len(found.residual)
    spread = _duplication(q)
    k = spread.shape[1]
    J = np.zeros((q * q + m, k + m))
    J[: q * q, :k], J[q * q :, k:] = spread, np.eye(m)
    information = J.T @ found.terms.hessian @ J / 2
    values, vectors = np.linalg.eigh(information)
    if found.singular or values[0] <= 1e-12 * values[-1]:
        return np.full((q * q + m,) * 2, np.nan)
    inverse = vectors / values @ vectors.T
    covariance: np.ndarray = J @ inverse @ J.T
    return covariance


def _duplication(q: int) -> np.ndarray:
    """Return the map from the lower triangle to all entries of a symmetric matrix."""
    rows, columns = np.tril_indices(q)
    made = np.zeros((q, q, len(rows)))
    made[rows, columns, np.arange(len(rows))] = 1.0
    made[columns, rows, np.arange(len(rows))] = 1.0
    return made.reshape(q * q, -1)


def correlation_of(
    D: np.ndarray, D_covariance: np.ndarray, a: np.ndarray, b: np.ndarray
) -> tuple[float, float]:
    """Return the correlation of two combinations of random effects, and its standard error.

    Parameters
    ----------
    D : ndarray, shape (q, q)
        Covariance of the effects.
    D_covariance : ndarray, shape (q * q, q * q)
        Of the entries of `D`.
    a, b : ndarray, shape (q,)
        Weights.

    Returns
    -------
    estimate, std_error : float
        By the delta method; both missing where one does not vary.
    """
    va, vb, both = a @ D @ a, b @ D @ b, a @ D @ b
    if not (va > 0 and vb > 0):
        return np.nan, np.nan
    rho = float(np.clip(both / np.sqrt(va * vb), -1.0, 1.0))
    slope = np.outer(a, b) / np.sqrt(va * vb)
    slope = slope - rho / 2 * (np.outer(a, a) / va + np.outer(b, b) / vb)
    return rho, _error(slope.ravel(), D_covariance)


def _error(slope: np.ndarray, covariance: np.ndarray) -> float:
    """Return a standard error by the delta method."""
    return float(np.sqrt(slope @ covariance @ slope))


def fisher_estimate(
    label: str, rho: float, std_error: float, *, n_subjects: int, conf_level: float
) -> CorrelationEstimate:
    """Make an interval that is symmetric on Fisher's z.

    Parameters
    ----------
    label : str
        What is correlated.
    rho, std_error : float
        The correlation and its error.
    n_subjects : int
        Who tells of it.
    conf_level : float
        Of the interval.

    Returns
    -------
    CorrelationEstimate
        Without an interval where there is no error.

    References
    ----------
    .. [1] Fisher RA. On the probable error of a coefficient of correlation deduced from a small
       sample. Metron 1921;1:3-32.
    """
    inside = abs(rho) < 1 and np.isfinite(std_error)
    z, error = np.nan, np.nan
    if inside:
        z, error = float(np.arctanh(rho)), std_error / (1 - rho**2)
    half = quantile(conf_level) * error
    return CorrelationEstimate(
        label=label,
        estimate=float(rho),
        std_error=float(std_error) if inside else np.nan,
        conf_low=float(np.tanh(z - half)),
        conf_high=float(np.tanh(z + half)),
        statistic=float(z / error),
        p_value=float(2 * stats.norm.sf(abs(z / error))),
        n_subjects=n_subjects,
        interval="fisher",
    )


def regression_of(
    D: np.ndarray, D_covariance: np.ndarray, a: np.ndarray, b: np.ndarray
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Regress one combination of random effects on another.

    Parameters
    ----------
    D : ndarray, shape (q, q)
        Covariance of the effects.
    D_covariance : ndarray, shape (q * q, q * q)
        Of the entries of `D`.
    a, b : ndarray, shape (q,)
        Weights of what is regressed on, and of what is regressed.

    Returns
    -------
    per_unit, per_sd : tuple of float
        Estimate and standard error of ``b`` per unit of ``a``, and per SD of it.
    """
    va, both = a @ D @ a, a @ D @ b
    if not va > 0:
        return (np.nan, np.nan), (np.nan, np.nan)
    cross, square = np.outer(a, b), np.outer(a, a)
    unit, sd = both / va, both / np.sqrt(va)
    unit_slope = (cross - unit * square) / va
    sd_slope = (cross - sd / (2 * np.sqrt(va)) * square) / np.sqrt(va)
    return (
        (float(unit), _error(unit_slope.ravel(), D_covariance)),
        (float(sd), _error(sd_slope.ravel(), D_covariance)),
    )


def residual_estimate(
    variances: PairVariances, *, n_subjects: int, conf_level: float
) -> CorrelationEstimate:
    """Return the correlation of the residuals of one visit, with Fisher's interval.

    Parameters
    ----------
    variances : PairVariances
        With a covariance of residuals.
    n_subjects : int
        Who tells of it.
    conf_level : float
        Of the interval.

    Returns
    -------
    CorrelationEstimate
        Error by the delta method.
    """
    s1, s2, c = variances.residual
    size = np.sqrt(s1 * s2)
    rho = float(c / size)
    slope = np.array([-rho / (2 * s1), -rho / (2 * s2), 1 / size])
    return fisher_estimate(
        "residuals of a visit",
        rho,
        _error(slope, variances.residual_covariance),
        n_subjects=n_subjects,
        conf_level=conf_level,
    )


def tabulate_sds(
    variances: PairVariances,
    effects: Sequence[tuple[str, str]],
    outcomes: Sequence[str],
    *,
    conf_level: float,
) -> pd.DataFrame:
    """Tabulate SDs of random effects and residuals.

    Parameters
    ----------
    variances : PairVariances
        Of a fit.
    effects : sequence of tuple
        Outcome and name of each random effect.
    outcomes : sequence of str
        The two outcomes.
    conf_level : float
        Of the intervals.

    Returns
    -------
    pandas.DataFrame
        ``outcome term estimate std_error conf_low conf_high``; intervals are symmetric on the log
        scale.
    """
    variance = np.concatenate([np.diag(variances.D), variances.residual[:2]])
    spread = (variances.D_covariance, variances.residual_covariance)
    q = len(variances.D)
    error = np.sqrt(np.concatenate([np.diag(spread[0])[:: q + 1], np.diag(spread[1])[:2]]))
    names = [*effects, *((outcome, "residual") for outcome in outcomes)]
    with np.errstate(divide="ignore", invalid="ignore"):
        half = quantile(conf_level) * error / (2 * variance)
        sd = np.sqrt(variance)
        columns = {
            "outcome": [outcome for outcome, _ in names],
            "term": [name for _, name in names],
            "estimate": sd,
            "std_error": error / (2 * sd),
            "conf_low": sd * np.exp(-half),
            "conf_high": sd * np.exp(half),
        }
    return pd.DataFrame(columns)
