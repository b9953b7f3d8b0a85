"""Statistics of many studies at once: arrays of shape (n_studies, n_subjects), NaN left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from pmsstats.validation.analyses.base import FloatArray

__all__ = [
    "LinearFit",
    "Moments",
    "Ratio",
    "correlation",
    "influence_error",
    "linear_fit",
    "mean_and_variance",
    "pooled_correlation",
    "pooled_sd",
    "ranks",
    "ratio_to_baseline",
    "residuals",
    "welch_df",
]

_CONSTANT = 1e-9  # spread per unit of the mean below which a covariate does not vary
_RANK_TOLERANCE = 1e-10  # of the eigenvalues of a correlation matrix of covariates


@dataclass(frozen=True, kw_only=True, eq=False)
class Moments:
    """Mean, variance (n - 1) and number of values of each study.

    Parameters
    ----------
    mean, variance, n : ndarray, shape (n_studies,)
        NaN where there are no values.
    """

    mean: FloatArray
    variance: FloatArray
    n: FloatArray


def mean_and_variance(values: FloatArray) -> Moments:
    """Return the moments of each study.

    Parameters
    ----------
    values : ndarray, shape (n_studies, n_subjects)
        NaN where missing.

    Returns
    -------
    Moments
        Of those that are not missing.
    """
    known = np.isfinite(values)
    n = known.sum(axis=1).astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(known, values, 0.0).sum(axis=1) / n
        centred = np.where(known, values - mean[:, None], 0.0)
        variance = (centred**2).sum(axis=1) / (n - 1)
    return Moments(mean=mean, variance=variance, n=n)


def influence_error(influence: FloatArray) -> FloatArray:
    """Return the standard error of an estimate from its influence values.

    Parameters
    ----------
    influence : ndarray, shape (n_studies, n_subjects)
        How much each subject moves the estimate, times the number of subjects; NaN or 0 for those
        who do not count.

    Returns
    -------
    ndarray, shape (n_studies,)
        Square root of the variance of the mean.
    """
    known = np.isfinite(influence)
    n = known.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.sqrt(np.where(known, influence, 0.0).__pow__(2).sum(axis=1) / (n * (n - 1)))


@dataclass(frozen=True, kw_only=True, eq=False)
class Ratio:
    """A mean, or its ratio to another mean, in each study.

    Parameters
    ----------
    estimate, std_error, statistic, n : ndarray, shape (n_studies,)
        The statistic is that of the mean itself against zero.
    influence : ndarray, shape (n_studies, n_subjects)
        NaN for subjects without a value.
    """

    estimate: FloatArray
    std_error: FloatArray
    statistic: FloatArray
    n: FloatArray
    influence: FloatArray


def ratio_to_baseline(values: FloatArray, baseline: FloatArray | None) -> Ratio:
    """Estimate a mean, in percent of the mean at baseline where one is given.

    Parameters
    ----------
    values : ndarray, shape (n_studies, n_subjects)
        Annual changes.
    baseline : ndarray of the same shape, optional
        Values at baseline.

    Returns
    -------
    Ratio
        With the error of both means (delta method); subjects without either value are left out.
    """
    if baseline is not None:
        values = np.where(np.isfinite(baseline), values, np.nan)
    moments = mean_and_variance(values)
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = moments.mean / np.sqrt(moments.variance / moments.n)
        if baseline is None:
            influence, estimate = values - moments.mean[:, None], moments.mean
        else:
            level = mean_and_variance(np.where(np.isfinite(values), baseline, np.nan)).mean
            estimate = 100 * moments.mean / level
            influence = (100 * values - estimate[:, None] * baseline) / level[:, None]
    return Ratio(
        estimate=estimate,
        std_error=influence_error(influence),
        statistic=statistic,
        n=moments.n,
        influence=influence,
    )


def welch_df(
    first: FloatArray, n_first: FloatArray, second: FloatArray, n_second: FloatArray
) -> FloatArray:
    """Return Welch's degrees of freedom of a difference of two means.

    Parameters
    ----------
    first : ndarray, shape (n_studies,)
        Standard error of the first mean.
    n_first : ndarray, shape (n_studies,)
        Number behind it.
    second, n_second : ndarray, shape (n_studies,)
        The same of the second mean.

    Returns
    -------
    ndarray, shape (n_studies,)
        Satterthwaite's approximation.
    """
    a, b = first**2, second**2
    with np.errstate(divide="ignore", invalid="ignore"):
        return (a + b) ** 2 / (a**2 / (n_first - 1) + b**2 / (n_second - 1))


def pooled_sd(values: FloatArray, first: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the standard deviation within two sides, pooled, and its degrees of freedom.

    Parameters
    ----------
    values : ndarray, shape (n_studies, n_subjects)
        NaN where missing.
    first : ndarray of the same shape
        1 for the first side, 0 for the second.

    Returns
    -------
    tuple of ndarray, each of shape (n_studies,)
        Standard deviation and degrees of freedom.
    """
    sides = [mean_and_variance(np.where(first == code, values, np.nan)) for code in (1, 0)]
    df = sides[0].n + sides[1].n - 2
    with np.errstate(divide="ignore", invalid="ignore"):
        total = sum((s.n - 1) * s.variance for s in sides)
        return np.sqrt(total / df), df


def pooled_correlation(x: FloatArray, y: FloatArray, first: FloatArray) -> FloatArray:
    """Return the correlation within two sides, pooled.

    Parameters
    ----------
    x, y : ndarray, shape (n_studies, n_subjects)
        NaN where missing, in both.
    first : ndarray of the same shape
        1 for the first side, 0 for the second.

    Returns
    -------
    ndarray, shape (n_studies,)
        Pearson's, of deviations from each side's mean.
    """
    return correlation(residuals(x, [first]), residuals(y, [first]))


@dataclass(frozen=True, kw_only=True, eq=False)
class LinearFit:
    """Least squares in each study.

    Parameters
    ----------
    beta, std_error : ndarray, shape (n_studies, 1 + n_terms)
        Intercept (at the mean of the terms) first.
    df : ndarray, shape (n_studies,)
        Of the residuals.
    residual : ndarray, shape (n_studies, n_subjects)
        NaN where something is missing.
    """

    beta: FloatArray
    std_error: FloatArray
    df: FloatArray
    residual: FloatArray


def linear_fit(y: FloatArray, terms: Sequence[FloatArray]) -> LinearFit:
    """Fit a linear model with an intercept in each study.

    Parameters
    ----------
    y : ndarray, shape (n_studies, n_subjects)
        Outcome.
    terms : sequence of ndarray of the same shape
        Covariates.

    Returns
    -------
    LinearFit
        Of subjects with all values; a covariate that does not vary in a study, or repeats
        others, takes no part there.

    Notes
    -----
    Terms are centred and scaled, then the normal equations solved by the pseudo-inverse of their
    correlation matrix.
    """
    X = np.stack([np.broadcast_to(t, y.shape) for t in terms], axis=-1)
    known = np.isfinite(y) & np.isfinite(X).all(axis=-1)
    n = known.sum(axis=1).astype(float)
    X, scale = _scaled_terms(X, known, n)
    with np.errstate(divide="ignore", invalid="ignore"):
        level = np.where(known, y, 0.0).sum(axis=1) / n
        centred = np.where(known, y - level[:, None], 0.0)
    inverse, rank = _inverse(np.einsum("rni,rnj->rij", X, X, optimize=True))
    gamma = np.einsum("rij,rj->ri", inverse, np.einsum("rni,rn->ri", X, centred, optimize=True))
    residual = centred - np.einsum("rni,ri->rn", X, gamma, optimize=True)
    df = n - 1 - rank
    with np.errstate(divide="ignore", invalid="ignore"):
        sigma2 = np.where(df > 0, (residual**2).sum(axis=1) / df, np.nan)
        error = np.sqrt(sigma2[:, None] * np.einsum("rii->ri", inverse)) / scale
        beta = np.where(error > 0, gamma / scale, np.nan)
        error = np.where(error > 0, error, np.nan)
        level_error = np.sqrt(sigma2 / n)
    return LinearFit(
        beta=np.concatenate([level[:, None], beta], axis=1),
        std_error=np.concatenate([level_error[:, None], error], axis=1),
        df=df,
        residual=np.where(known, residual, np.nan),
    )


def _scaled_terms(
    X: FloatArray, known: NDArray[np.bool_], n: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Centre terms and scale them to length 1; the scale of one that does not vary is infinite."""
    w = known[..., None]
    with np.errstate(divide="ignore", invalid="ignore"):
        X = np.where(w, X, 0.0)
        centre = X.sum(axis=1) / n[:, None]
        X = np.where(w, X - centre[:, None], 0.0)
        scale = np.sqrt((X**2).sum(axis=1))
        least = _CONSTANT * np.sqrt(n)[:, None] * (1 + np.abs(centre))
    scale = np.where(scale > least, scale, np.inf)
    return X / scale[:, None], scale


def _inverse(gram: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return pseudo-inverses of correlation matrices, and their ranks."""
    values, vectors = np.linalg.eigh(gram)
    kept = values > _RANK_TOLERANCE
    reciprocal = np.where(kept, 1 / np.where(kept, values, 1.0), 0.0)
    inverse = np.einsum("rik,rk,rjk->rij", vectors, reciprocal, vectors, optimize=True)
    return inverse, kept.sum(axis=1).astype(float)


def residuals(y: FloatArray, terms: Sequence[FloatArray]) -> FloatArray:
    """Return what a linear model in some terms leaves unexplained.

    Parameters
    ----------
    y : ndarray, shape (n_studies, n_subjects)
        Values.
    terms : sequence of ndarray of the same shape
        Covariates; none leaves the values centred.

    Returns
    -------
    ndarray of the same shape
        NaN where something is missing.
    """
    if terms:
        return linear_fit(y, terms).residual
    return y - mean_and_variance(y).mean[:, None]


def correlation(x: FloatArray, y: FloatArray) -> FloatArray:
    """Return Pearson's correlation in each study.

    Parameters
    ----------
    x, y : ndarray, shape (n_studies, n_subjects)
        NaN where missing.

    Returns
    -------
    ndarray, shape (n_studies,)
        Of pairs without missing values.
    """
    known = np.isfinite(x) & np.isfinite(y)
    n = known.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        a, b = (np.where(known, v, 0.0) for v in (x, y))
        a = np.where(known, a - (a.sum(axis=1) / n)[:, None], 0.0)
        b = np.where(known, b - (b.sum(axis=1) / n)[:, None], 0.0)
        return (a * b).sum(axis=1) / np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))


def ranks(values: FloatArray) -> FloatArray:
    """Return the ranks within each study, ties averaged.

    Parameters
    ----------
    values : ndarray, shape (n_studies, n_subjects)
        NaN where missing.

    Returns
    -------
    ndarray of the same shape
        From 1; NaN where missing.
    """
    known = np.isfinite(values)
    ranked = stats.rankdata(np.where(known, values, np.inf), axis=1)
    return np.where(known, ranked, np.nan)
