"""Least squares of many replicates at once, by products of columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["LeastSquaresBatch", "least_squares_batch"]

_SINGULAR = 1e-9  # eigenvalue of the columns' correlations: below, they cannot be told apart
_EXACT = 1e-22  # residual sum of squares relative to that of the outcome: below, it is rounding


@dataclass(frozen=True, kw_only=True, eq=False)
class LeastSquaresBatch:
    """Least-squares fits of many replicates.

    Parameters
    ----------
    estimate, std_error : ndarray, shape (n_replicates, p)
        Of each column; missing without an answer.
    df : ndarray, shape (n_replicates,)
        Rows less columns and intercept.
    is_singular : ndarray of bool, shape (n_replicates,)
        Whether columns cannot be told apart.
    """

    estimate: np.ndarray
    std_error: np.ndarray
    df: np.ndarray
    is_singular: np.ndarray


def least_squares_batch(X: np.ndarray, y: np.ndarray, seen: np.ndarray) -> LeastSquaresBatch:
    """Fit a linear model with an intercept to each replicate.

    Parameters
    ----------
    X : ndarray, shape (n_replicates, n_subjects, p)
        Columns, without the intercept.
    y : ndarray, shape (n_replicates, n_subjects)
        Outcome.
    seen : ndarray of bool, shape (n_replicates, n_subjects)
        Rows that are there; what others hold does not matter.

    Returns
    -------
    LeastSquaresBatch
        Estimates, standard errors and degrees of freedom as of any program for linear models.

    Notes
    -----
    Columns and outcome are centred in each replicate, which takes care of the intercept, and
    columns are scaled to unit length, so that products of columns are as exact as a decomposition
    for the few columns of a trial.
    """
    n, p = seen.sum(axis=1), X.shape[2]
    size = np.maximum(n, 1)
    y = np.where(seen, y, 0.0)
    y = np.where(seen, y - (y.sum(axis=1) / size)[:, None], 0.0)
    columns = np.ascontiguousarray(np.where(seen[..., None], X, 0.0).transpose(0, 2, 1))
    columns = columns - (columns.sum(axis=2) / size[:, None])[..., None]
    columns = np.where(seen[:, None, :], columns, 0.0)
    length = np.sqrt((columns**2).sum(axis=2))
    constant = ~(length > 1e-9 * np.abs(X).max(axis=1, initial=0.0, where=seen[..., None]))
    columns /= np.where(constant, 1.0, length)[..., None]
    cross = columns @ columns.transpose(0, 2, 1)
    df = (n - p - 1).astype(float)
    is_singular = constant.any(axis=1) | (df < 1)
    safe = np.where(is_singular[:, None, None], np.eye(p), cross)
    is_singular |= np.linalg.eigvalsh(safe)[:, 0] < _SINGULAR
    inverse = np.linalg.inv(np.where(is_singular[:, None, None], np.eye(p), cross))
    beta = (inverse @ (columns @ y[..., None]))[..., 0]
    rest = y - (beta[:, None, :] @ columns)[:, 0]
    squares = np.where(seen, rest, 0.0)
    rss = (squares**2).sum(axis=1)
    rss = np.where(rss <= _EXACT * (y**2).sum(axis=1), 0.0, rss)
    variance = rss[:, None] / np.maximum(df, 1)[:, None] * np.diagonal(inverse, axis1=1, axis2=2)
    with np.errstate(divide="ignore", invalid="ignore"):
        estimate, std_error = beta / length, np.sqrt(variance) / length
    bad = is_singular[:, None]
    return LeastSquaresBatch(
        estimate=np.where(bad, np.nan, estimate),
        std_error=np.where(bad, np.nan, std_error),
        df=np.where(is_singular, np.nan, df),
        is_singular=is_singular,
    )
