"""The cumulative logit likelihood: thresholds and effects, with exact derivatives.

References
----------
.. [1] McCullagh P. Regression models for ordinal data. J R Stat Soc B 1980;42:109-142.
   doi:10.1111/j.2517-6161.1980.tb01109.x.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from pmsstats.models.responses.newton import LikelihoodTerms

__all__ = ["cumulative_logit", "level_probabilities"]


def cumulative_logit(
    parameters: np.ndarray, X: np.ndarray, level: np.ndarray, n_levels: int
) -> LikelihoodTerms:
    """Evaluate ``logit P(Y <= k) = zeta_k - x'beta`` [1]_.

    Parameters
    ----------
    parameters : ndarray, shape (n_levels - 1 + p,)
        Thresholds ``zeta`` in ascending order, then ``beta``.
    X : ndarray, shape (n_obs, p)
        Columns, without an intercept.
    level : ndarray of int, shape (n_obs,)
        Observed level, 0 the lowest.
    n_levels : int
        How many levels.

    Returns
    -------
    LikelihoodTerms
        The log-likelihood is minus infinity where thresholds are not in order.

    Notes
    -----
    With ``u`` and ``l`` the logits of the two cut points around the observed level, the
    probability of it is ``F(u) F(-l) (1 - exp(l - u))``, which loses no digits in the tails. The
    log-likelihood is concave, so that a point of zero slope is the maximum.
    """
    zeta, beta = parameters[: n_levels - 1], parameters[n_levels - 1 :]
    if (np.diff(zeta) <= 0).any() or not np.isfinite(parameters).all():
        none = np.full((len(parameters),) * 2, np.nan)
        return LikelihoodTerms(
            log_likelihood=-np.inf, scores=np.full((1, len(parameters)), np.nan), information=none
        )
    ends = np.concatenate([[-np.inf], zeta, [np.inf]])
    eta = X @ beta
    u, low = ends[level + 1] - eta, ends[level] - eta
    with np.errstate(over="ignore"):
        g = 1 / np.expm1(ends[level + 1] - ends[level])  # zero beside the outer levels
    slope_u, slope_l = expit(-u) + g, -expit(low) - g
    h = g * (1 + g)
    curve_u, curve_l = expit(u) * expit(-u) + h, expit(low) * expit(-low) + h
    to_u, to_l = _jacobians(X, level, n_levels)
    cross = to_u.T @ (h[:, None] * to_l)
    logs = -np.logaddexp(0, -u) - np.logaddexp(0, low)
    return LikelihoodTerms(
        log_likelihood=float((logs + np.log1p(-np.exp(ends[level] - ends[level + 1]))).sum()),
        scores=slope_u[:, None] * to_u + slope_l[:, None] * to_l,
        information=to_u.T @ (curve_u[:, None] * to_u)
        + to_l.T @ (curve_l[:, None] * to_l)
        - cross
        - cross.T,
    )


def _jacobians(X: np.ndarray, level: np.ndarray, n_levels: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the derivatives of the two logits around each observed level in the parameters."""
    cuts = np.arange(n_levels - 1)
    upper = (level[:, None] == cuts).astype(float)
    lower = (level[:, None] - 1 == cuts).astype(float)
    outer_u = (level < n_levels - 1)[:, None]  # the outer levels have one cut point only
    outer_l = (level > 0)[:, None]
    return np.hstack([upper, -X * outer_u]), np.hstack([lower, -X * outer_l])


def level_probabilities(
    parameters: np.ndarray, X: np.ndarray, n_levels: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the probability of each level, with its derivatives.

    Parameters
    ----------
    parameters : ndarray, shape (n_levels - 1 + p,)
        Thresholds, then effects.
    X : ndarray, shape (n, p)
        One row per prediction.
    n_levels : int
        How many levels.

    Returns
    -------
    probabilities : ndarray, shape (n, n_levels)
        Sum to one over levels.
    gradients : ndarray, shape (n, n_levels, n_levels - 1 + p)
        In the parameters.
    """
    zeta, beta = parameters[: n_levels - 1], parameters[n_levels - 1 :]
    logits = zeta[None, :] - (X @ beta)[:, None]
    below, density = expit(logits), expit(logits) * expit(-logits)
    n, m = len(X), len(parameters)
    cumulative = np.zeros((n, n_levels + 1))
    cumulative[:, 1:-1], cumulative[:, -1] = below, 1.0
    slopes = np.zeros((n, n_levels + 1, m))
    for k in range(n_levels - 1):
        slopes[:, k + 1, k] = density[:, k]
        slopes[:, k + 1, n_levels - 1 :] = -density[:, [k]] * X
    return np.diff(cumulative, axis=1), np.diff(slopes, axis=1)
