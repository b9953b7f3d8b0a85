"""Additive hazards regression with constant effects, for many weightings of the subjects.

References
----------
.. [1] Lin DY, Ying Z. Semiparametric analysis of the additive risk model. Biometrika
   1994;81:61-71. doi:10.1093/biomet/81.1.61
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pmsstats.errors import DesignError

__all__ = ["AdditiveHazardsFit", "additive_coefficients", "fit_additive_hazards"]

_SINGULAR = 1e-10  # smallest over largest eigenvalue, of standardised covariates
_CELLS = 4_000_000  # numbers per array of a chunk


@dataclass(frozen=True, kw_only=True, eq=False)
class AdditiveHazardsFit:
    """One additive hazards regression.

    Parameters
    ----------
    beta : ndarray, shape (n_terms,)
        Excess events per unit of time and unit of each covariate.
    covariance : ndarray, shape (n_terms, n_terms)
        Of these.
    """

    beta: np.ndarray
    covariance: np.ndarray


def fit_additive_hazards(X: np.ndarray, time: np.ndarray, event: np.ndarray) -> AdditiveHazardsFit:
    """Fit the additive hazards model of Lin and Ying.

    Parameters
    ----------
    X : ndarray, shape (n_subjects, n_terms)
        Covariates.
    time : ndarray, shape (n_subjects,)
        Follow-up.
    event : ndarray of bool, shape (n_subjects,)
        Whether it ended in an event.

    Returns
    -------
    AdditiveHazardsFit
        Effects, with errors.

    Raises
    ------
    DesignError
        If there are no more events than terms, or these are collinear.

    Notes
    -----
    The hazard is ``h0(t) + X beta``; beta solves ``A beta = b`` with ``A = sum_i int Y_i (X_i -
    Xbar)(X_i - Xbar)' dt`` and ``b = sum_events (X_i - Xbar)`` [1]_; its
    covariance is ``A^-1 (sum_events (X_i - Xbar)(X_i - Xbar)') A^-1``. R: ``timereg::aalen`` with
    every covariate in ``const()``.

    References
    ----------
    .. [1] Lin DY, Ying Z. Semiparametric analysis of the additive risk model. Biometrika
       1994;81:61-71. doi:10.1093/biomet/81.1.61

    Examples
    --------
    >>> X = np.array([[0.0], [0.0], [1.0], [1.0]])
    >>> fit = fit_additive_hazards(X, np.array([2.0, 4.0, 1.0, 3.0]), np.ones(4, dtype=bool))
    >>> round(float(fit.beta[0]), 4)
    0.3077
    """
    if event.sum() <= X.shape[1]:
        raise DesignError(
            f"{int(event.sum())} event(s) cannot support {X.shape[1]} terms of an additive hazards "
            "model. Use fewer covariates."
        )
    A, b, deviation = _moments(np.ones((1, len(time))), X, time, event)
    scale = np.sqrt(np.diag(A[0]))
    values = np.linalg.eigvalsh(A[0] / np.outer(scale, scale)) if (scale > 0).all() else [0.0, 1.0]
    if values[0] <= _SINGULAR * values[-1]:
        raise DesignError(
            "The covariates of the additive hazards model are collinear, or one has the same value "
            "in all subjects at risk. Leave one out."
        )
    inverse = np.linalg.inv(A[0])
    return AdditiveHazardsFit(
        beta=inverse @ b[0], covariance=inverse @ (deviation.T @ deviation) @ inverse
    )


def additive_coefficients(
    weights: np.ndarray, X: np.ndarray, time: np.ndarray, event: np.ndarray
) -> np.ndarray:
    """Fit the model for each weighting of the subjects.

    Parameters
    ----------
    weights : ndarray, shape (n_sets, n_subjects)
        How often each subject counts.
    X, time, event : ndarray
        As in :func:`fit_additive_hazards`.

    Returns
    -------
    ndarray, shape (n_sets, n_terms)
        Effects; missing where the covariates are collinear.
    """
    chunk = max(1, _CELLS // (X.shape[0] * (X.shape[1] + 1) ** 2))
    parts = [
        _solve(*_moments(weights[i : i + chunk], X, time, event)[:2])
        for i in range(0, len(weights), chunk)
    ]
    return np.concatenate(parts)


def _solve(A: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Solve the equations of each set; missing where they are singular."""
    scale = np.sqrt(np.maximum(np.einsum("rpp->rp", A), 1e-300))
    unit = A / (scale[:, :, None] * scale[:, None, :])
    values = np.linalg.eigvalsh(unit)
    regular = values[:, 0] > _SINGULAR * values[:, -1]
    safe = np.where(regular[:, None, None], unit, np.eye(A.shape[1]))
    beta = np.linalg.solve(safe, (b / scale)[..., None])[..., 0] / scale
    return np.where(regular[:, None], beta, np.nan)


def _moments(
    weights: np.ndarray, X: np.ndarray, time: np.ndarray, event: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return A and b of each set, and each event's deviation from the mean at risk of the first."""
    order = np.argsort(time, kind="stable")
    X, time, event = X[order] - X.mean(axis=0), time[order], event[order]
    w = weights[:, order]
    n, p = X.shape
    columns = np.column_stack([np.ones(n), X, (X[:, :, None] * X[:, None, :]).reshape(n, -1)])
    sums = np.cumsum((w[:, :, None] * columns)[:, ::-1], axis=1)[:, ::-1]
    sums = sums[:, np.searchsorted(time, time, side="left")]  # all that are tied are at risk
    total = sums[..., 0]
    some = np.where(total > 0, total, 1.0)
    mean = sums[..., 1 : p + 1] / some[..., None]
    length = np.diff(time, prepend=0.0)
    A = np.einsum("n,rnk->rk", length, sums[..., p + 1 :]).reshape(len(w), p, p)
    A -= np.einsum("n,rn,rnp,rnq->rpq", length, total, mean, mean, optimize=True)
    deviation = X[event] - mean[:, event]
    b = np.einsum("re,rep->rp", w[:, event], deviation)
    return A, b, deviation[0]
