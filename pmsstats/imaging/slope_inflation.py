"""What it costs a slope to estimate scanner effects from the same data."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pmsstats.models.columns import sum_by_subject
from pmsstats.models.reference_grid import ReferenceGrid

if TYPE_CHECKING:
    from pmsstats.imaging.harmonisation_spec import HarmonisationSpec
    from pmsstats.models.lmm import LMMResult

__all__ = ["gls_covariance", "relative_covariance", "slope_inflation"]


def slope_inflation(fit: LMMResult, spec: HarmonisationSpec) -> pd.DataFrame:
    """Compare standard errors with and without scanner effects, at the same variances.

    Parameters
    ----------
    fit : LMMResult
        With the scanner as a fixed effect.
    spec : HarmonisationSpec
        Names the scanner, time and groups.

    Returns
    -------
    pandas.DataFrame
        ``term std_error_without std_error inflation``: the coefficients that hold time or group,
        and the average slope.
    """
    names = list(fit.design.fixed_names)
    other = [i for i, name in enumerate(names) if not name.startswith(f"{spec.scanner}[")]
    wanted = [i for i in other if _concerns(names[i], spec)]
    weights = np.vstack([np.eye(len(names))[wanted], _average_slope(fit, spec)])
    arrays = fit.design.arrays
    sizes = np.sqrt((arrays.X**2).mean(axis=0))
    X, L, psi = arrays.X / sizes, weights / sizes, relative_covariance(fit)
    full = gls_covariance(X, arrays.Z, psi, arrays.subject)
    less = gls_covariance(X[:, other], arrays.Z, psi, arrays.subject)
    with_scanner = fit.residual_sd * np.sqrt(np.einsum("ma,ab,mb->m", L, full, L))
    L = L[:, other]
    without = fit.residual_sd * np.sqrt(np.einsum("ma,ab,mb->m", L, less, L))
    return pd.DataFrame(
        {
            "term": [*(names[i] for i in wanted), "average slope"],
            "std_error_without": without,
            "std_error": with_scanner,
            "inflation": with_scanner / without,
        }
    )


def _average_slope(fit: LMMResult, spec: HarmonisationSpec) -> np.ndarray:
    """Return the slope between the first and the last time, averaged over groups, as weights."""
    grid = ReferenceGrid.of(fit, None, spec.time)
    times = grid.observed()
    ends = grid.weights(grid.groups[0], [float(times.min()), float(times.max())])
    slope: np.ndarray = fit.design.contrasts(np.diff(ends, axis=0)) / np.ptp(times)
    return slope


def _concerns(name: str, spec: HarmonisationSpec) -> bool:
    """Say whether a column of the mean holds time or the group."""
    words = [spec.time, *([spec.by] if spec.by else [])]
    return any(re.search(rf"(?<![\w.]){re.escape(word)}(?![\w.])", name) for word in words)


def relative_covariance(fit: LMMResult) -> np.ndarray:
    """Return the covariance of a fit's random effects over its residual variance.

    Parameters
    ----------
    fit : LMMResult
        With one grouping factor.

    Returns
    -------
    ndarray, shape (q, q)
        In the order of the columns of `Z`.
    """
    names = list(fit.design.random_names)
    psi = np.zeros((len(names),) * 2)
    parts = fit.variance_components
    for row in parts[parts["kind"] != "correlation"].to_dict("records"):
        i, j = names.index(row["term1"]), names.index(row["term2"])
        psi[i, j] = psi[j, i] = row["estimate"]
    relative: np.ndarray = psi / fit.residual_sd**2
    return relative


def gls_covariance(
    X: np.ndarray, Z: np.ndarray, psi: np.ndarray, subject: np.ndarray
) -> np.ndarray:
    """Return ``(X' V^-1 X)^-1`` with ``V = I + Z psi Z'`` within subjects.

    Parameters
    ----------
    X : ndarray, shape (n, p)
        Fixed effects, of full rank.
    Z : ndarray, shape (n, q)
        Random effects of each row's subject.
    psi : ndarray, shape (q, q)
        Their covariance over the residual variance.
    subject : ndarray of int, shape (n,)
        Subject number of each row.

    Returns
    -------
    ndarray, shape (p, p)
        In units of the residual variance.
    """
    values, vectors = np.linalg.eigh(psi)
    root = vectors * np.sqrt(np.clip(values, 0.0, None))
    ZF = Z @ root
    n_subjects = int(subject.max()) + 1
    squares = sum_by_subject(ZF[:, :, None] * ZF[:, None, :], subject, n_subjects)
    products = sum_by_subject(ZF[:, :, None] * X[:, None, :], subject, n_subjects)
    taken = np.linalg.solve(np.eye(len(psi)) + squares, products)
    inverse: np.ndarray = np.linalg.inv(X.T @ X - np.einsum("iqa,iqb->ab", products, taken))
    return inverse
