"""Covariances of repeated measures, their derivatives and starting values, compiled by numba.

The same as :mod:`~pmsstats.models.repeated.mmrm_covariance`, where the formulas are explained.
"""

from __future__ import annotations

import numpy as np

from pmsstats.compiling import compiled
from pmsstats.models.kernels.mmrm_plan import AR1, CS, EXCHANGEABLE, TOEP, TOEPLITZ, US, Plan
from pmsstats.models.kernels.small_matrices import cholesky

__all__ = ["covariance", "first_derivatives", "second_derivatives", "start_of"]


@compiled
def _correlation(code: int, rho: np.ndarray, T: int) -> np.ndarray:
    """Return the correlations."""
    R = np.eye(T)
    for i in range(T):
        for j in range(i):
            if code == AR1:
                R[i, j] = rho[0] ** (i - j)
            elif code == EXCHANGEABLE:
                R[i, j] = rho[0]
            elif code == TOEPLITZ:
                R[i, j] = rho[i - j - 1]
            else:
                R[i, j] = np.prod(rho[j:i])
            R[j, i] = R[i, j]
    return R


@compiled
def _correlation_first(code: int, rho: np.ndarray, T: int) -> np.ndarray:
    """Return the first derivatives of the correlations."""
    dR = np.zeros((len(rho), T, T))
    for i in range(T):
        for j in range(i):
            if code == AR1:
                dR[0, i, j] = (i - j) * rho[0] ** (i - j - 1)
            elif code == EXCHANGEABLE:
                dR[0, i, j] = 1.0
            elif code == TOEPLITZ:
                dR[i - j - 1, i, j] = 1.0
            else:
                for k in range(j, i):
                    dR[k, i, j] = np.prod(rho[j:k]) * np.prod(rho[k + 1 : i])
            for k in range(len(rho)):
                dR[k, j, i] = dR[k, i, j]
    return dR


@compiled
def _correlation_second(code: int, rho: np.ndarray, T: int) -> np.ndarray:
    """Return the second derivatives of the correlations."""
    m = len(rho)
    d2R = np.zeros((m, m, T, T))
    if code in (EXCHANGEABLE, TOEPLITZ):
        return d2R
    for i in range(T):
        for j in range(i):
            if code == AR1:
                d = i - j
                d2R[0, 0, i, j] = d * (d - 1) * rho[0] ** max(d - 2, 0)
                d2R[0, 0, j, i] = d2R[0, 0, i, j]
                continue
            for k in range(j, i):
                for h in range(j, k):
                    rest = np.prod(rho[j:h]) * np.prod(rho[h + 1 : k]) * np.prod(rho[k + 1 : i])
                    d2R[k, h, i, j] = d2R[h, k, i, j] = rest
                    d2R[k, h, j, i] = d2R[h, k, j, i] = rest
    return d2R


@compiled
def covariance(plan: Plan, theta: np.ndarray) -> np.ndarray:
    """Return the covariance of all visits in one group.

    Parameters
    ----------
    plan : Plan
        What all replicates share.
    theta : ndarray, shape (k,)
        Parameters of one group.

    Returns
    -------
    ndarray, shape (T, T)
        ``Sigma``.
    """
    T = plan.n_visits
    if plan.structure == US:
        sigma = np.empty((T, T))
        k = 0
        for i in range(T):
            for j in range(i + 1):
                sigma[i, j] = sigma[j, i] = theta[k]
                k += 1
        return sigma
    if plan.structure == TOEP:
        sigma = np.empty((T, T))
        for i in range(T):
            for j in range(T):
                sigma[i, j] = theta[abs(i - j)]
        return sigma
    if plan.structure == CS:
        return theta[0] + theta[1] * np.eye(T)
    m = T if plan.by_visit else 1
    sigma = _correlation(plan.correlation, theta[m:], T)
    for i in range(T):
        for j in range(T):
            sigma[i, j] *= np.sqrt(theta[i % m] * theta[j % m])
    return sigma


@compiled
def first_derivatives(plan: Plan, theta: np.ndarray) -> np.ndarray:
    """Return the first derivatives of the covariance.

    Parameters
    ----------
    plan : Plan
        What all replicates share.
    theta : ndarray, shape (k,)
        Parameters of one group.

    Returns
    -------
    ndarray, shape (k, T, T)
        One matrix per parameter.
    """
    T, K = plan.n_visits, len(theta)
    D = np.zeros((K, T, T))
    if plan.structure == US:
        k = 0
        for i in range(T):
            for j in range(i + 1):
                D[k, i, j] = D[k, j, i] = 1.0
                k += 1
        return D
    if plan.structure == TOEP:
        for i in range(T):
            for j in range(T):
                D[abs(i - j), i, j] = 1.0
        return D
    if plan.structure == CS:
        D[0] = 1.0
        D[1] = np.eye(T)
        return D
    _scaled_first(plan, theta, D)
    return D


@compiled
def _scaled_first(plan: Plan, theta: np.ndarray, D: np.ndarray) -> None:
    """Write the first derivatives of scaled correlations."""
    T, K = plan.n_visits, len(theta)
    m = T if plan.by_visit else 1
    sigma = covariance(plan, theta)
    dR = _correlation_first(plan.correlation, theta[m:], T)
    for i in range(T):
        for j in range(T):
            D[i % m, i, j] += sigma[i, j] / (2 * theta[i % m])
            D[j % m, i, j] += sigma[i, j] / (2 * theta[j % m])
            scale = np.sqrt(theta[i % m] * theta[j % m])
            for k in range(m, K):
                D[k, i, j] = scale * dR[k - m, i, j]


@compiled
def second_derivatives(plan: Plan, theta: np.ndarray, D: np.ndarray) -> np.ndarray:
    """Return the second derivatives of the covariance.

    Parameters
    ----------
    plan : Plan
        What all replicates share.
    theta : ndarray, shape (k,)
        Parameters of one group.
    D : ndarray, shape (k, T, T)
        First derivatives.

    Returns
    -------
    ndarray, shape (k, k, T, T)
        Of length zero where the covariance is linear.
    """
    T, K = plan.n_visits, len(theta)
    if plan.structure in (US, TOEP, CS):
        return np.zeros((0, 0, T, T))
    m = T if plan.by_visit else 1
    D2 = np.zeros((K, K, T, T))
    sigma = covariance(plan, theta)
    d2R = _correlation_second(plan.correlation, theta[m:], T)
    for i in range(T):
        for j in range(T):
            a, b = i % m, j % m
            # of log(s_i s_j): the derivative in a variance is once or twice 1 / (2 variance)
            for c, d in ((a, a), (a, b), (b, a), (b, b)):
                D2[c, d, i, j] += sigma[i, j] / (4 * theta[c] * theta[d])
            D2[a, a, i, j] -= sigma[i, j] / (2 * theta[a] ** 2)
            D2[b, b, i, j] -= sigma[i, j] / (2 * theta[b] ** 2)
            scale = np.sqrt(theta[a] * theta[b])
            for k in range(m, K):
                for v in (a, b):
                    D2[v, k, i, j] += D[k, i, j] / (2 * theta[v])
                    D2[k, v, i, j] = D2[v, k, i, j]
                for h in range(m, K):
                    D2[k, h, i, j] = scale * d2R[k - m, h - m, i, j]
    return D2


@compiled
def start_of(plan: Plan, sums: np.ndarray, together: np.ndarray, k: int) -> np.ndarray:
    """Return starting values of one group; correlations are shrunk until they fit together.

    Parameters
    ----------
    plan : Plan
        What all replicates share.
    sums, together : ndarray, shape (T, T)
        Sums of products of residuals, and of how many.
    k : int
        Parameters.

    Returns
    -------
    ndarray, shape (k,)
        Of a positive definite matrix.
    """
    T = plan.n_visits
    mean_variance = max(np.trace(sums) / max(np.trace(together), 1.0), 1e-8)
    s = np.empty(T)
    for i in range(T):
        s[i] = np.sqrt(max(sums[i, i] / max(together[i, i], 1.0), 1e-2 * mean_variance))
    correlation = np.eye(T)
    for i in range(T):
        for j in range(T):
            if i != j and together[i, j] > 0:
                value = sums[i, j] / together[i, j] / (s[i] * s[j])
                correlation[i, j] = min(max(value, -0.95), 0.95)
    shrink, theta = 1.0, np.empty(k)
    for _ in range(40):
        _fill_start(plan, shrink * correlation, s, mean_variance, theta)
        _, is_positive = cholesky(covariance(plan, theta), 1e-3)
        if is_positive:
            break
        shrink *= 0.8
    return theta


@compiled
def _fill_start(
    plan: Plan, correlation: np.ndarray, s: np.ndarray, mean_variance: float, theta: np.ndarray
) -> None:
    """Write variances and off-diagonal correlations into theta; the diagonal is taken as one."""
    T = plan.n_visits
    if plan.structure == US:
        k = 0
        for i in range(T):
            for j in range(i + 1):
                theta[k] = s[i] * s[j] * (1.0 if i == j else correlation[i, j])
                k += 1
        return
    by_lag, overall = _averages(correlation)
    if plan.structure == TOEP:
        theta[:] = mean_variance * by_lag
        theta[0] = mean_variance
        return
    if plan.structure == CS:
        theta[0], theta[1] = mean_variance * overall, mean_variance * (1 - overall)
        return
    _fill_scaled(plan, correlation, s, mean_variance, theta)


@compiled
def _fill_scaled(
    plan: Plan, correlation: np.ndarray, s: np.ndarray, mean_variance: float, theta: np.ndarray
) -> None:
    """Do so for scaled correlations."""
    T = plan.n_visits
    by_lag, overall = _averages(correlation)
    m = T if plan.by_visit else 1
    for i in range(m):
        theta[i] = s[i] ** 2 if plan.by_visit else mean_variance
    for k in range(m, len(theta)):
        if plan.correlation == AR1:
            theta[k] = by_lag[1]
        elif plan.correlation == EXCHANGEABLE:
            theta[k] = overall
        elif plan.correlation == TOEPLITZ:
            theta[k] = by_lag[k - m + 1]
        else:
            theta[k] = correlation[k - m + 1, k - m]


@compiled
def _averages(correlation: np.ndarray) -> tuple[np.ndarray, float]:
    """Average correlations by distance, and all of them."""
    T = len(correlation)
    by_lag = np.zeros(T)
    for d in range(1, T):
        for i in range(T - d):
            by_lag[d] += correlation[i + d, i] / (T - d)
    return by_lag, (correlation.sum() - np.trace(correlation)) / max(T * (T - 1), 1)
