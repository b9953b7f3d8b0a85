"""One pass over the subjects of a joint model: the integral over the random effects.

Per subject, a product grid of Gauss-Hermite nodes, centred and scaled by the caller, is weighted
by the joint density of everything seen and `b`; the same weights turn the score and the curvature
of the complete data to those of the observed data [1]_ [2]_. The grid is a linear map of a
product, so that hazards at all its nodes are products of few exponentials.

References
----------
.. [1] Rizopoulos D. Fast fitting of joint models for longitudinal and event time data using a
   pseudo-adaptive Gaussian quadrature rule. Comput Stat Data Anal 2012;56:491-501.
   doi:10.1016/j.csda.2011.09.007.
.. [2] Louis TA. Finding the observed information matrix when using the EM algorithm. J R Stat Soc
   B 1982;44:226-233. doi:10.1111/j.2517-6161.1982.tb01203.x.
"""

# ruff: noqa: PLR0917 (compiled functions take no keywords)

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pmsstats.compiling import IS_COMPILED, compiled

__all__ = ["Layout", "Passed", "hazards", "joint_pass"]

_HIGHEST = 500.0  # logarithm of a hazard that is as good as infinite


class Layout(NamedTuple):
    """Where parts stand in the vector of parameters.

    Parameters
    ----------
    p : int
        Number of fixed effects.
    alpha : int
        First association.
    n_links : int
        Associations per cause.
    psi : ndarray of int, shape (C + 1,)
        First baseline coefficient of every cause, and one past the last.
    """

    p: int
    alpha: int
    n_links: int
    psi: np.ndarray


class Passed(NamedTuple):
    """What a pass found.

    Parameters
    ----------
    value : ndarray, shape (n,)
        Log-likelihood per subject.
    score : ndarray, shape (n, n_theta)
        Its derivatives, the nodes held fixed.
    spread : ndarray, shape (n_theta, n_theta)
        Minus the sum of the posterior covariances of the scores of the complete data, and the
        part of their curvature that no sum over points gives.
    features : ndarray, shape (n, n_features)
        Posterior means of ``(1, b, products of b)``.
    moments : ndarray, shape (C, n_points, n_features)
        Weighted hazards times features, averaged over the posterior; within the interval of an
        event with the sign and the factor of their part in the curvature.
    """

    value: np.ndarray
    score: np.ndarray
    spread: np.ndarray
    features: np.ndarray
    moments: np.ndarray


@compiled
def _products(B: np.ndarray) -> np.ndarray:
    """Return the features of nodes, shape (n_features, Q)."""
    q, Q = B.shape
    out = np.empty((1 + q + q * (q + 1) // 2, Q))
    out[0] = 1.0
    at = 1 + q
    for i in range(q):
        out[1 + i] = B[i]
        for j in range(i, q):
            out[at] = B[i] * B[j]
            at += 1
    return out


def _hazards_point_by_point(
    weight: np.ndarray, base: np.ndarray, slope: np.ndarray, centre: np.ndarray, grid: np.ndarray
) -> np.ndarray:
    """Do what :func:`hazards` does, with loops for the compiler."""
    k, q = slope.shape
    m = len(grid)
    limit = _HIGHEST / (q + 1)
    out = np.empty((k, m**q))
    along = np.ones(m)
    for t in range(k):
        out[t, 0] = weight[t] * np.exp(min(base[t] + centre[t], limit))
        size = 1
        for d in range(q):
            for j in range(m // 2):  # the grid is symmetric
                along[j] = np.exp(max(min(slope[t, d] * grid[j], limit), -limit))
                along[m - 1 - j] = 1.0 / along[j]
            for s in range(size - 1, -1, -1):
                level = out[t, s]
                for j in range(m):
                    out[t, s * m + j] = level * along[j]
            size *= m
    return out


def _hazards_at_once(
    weight: np.ndarray, base: np.ndarray, slope: np.ndarray, centre: np.ndarray, grid: np.ndarray
) -> np.ndarray:
    """Do what :func:`hazards` does, without a compiler."""
    k, q = slope.shape
    m = len(grid)
    limit = _HIGHEST / (q + 1)
    out = (weight * np.exp(np.minimum(base + centre, limit)))[:, None]
    for d in range(q):
        along = np.exp(np.clip(slope[:, [d]] * grid, -limit, limit))
        out = (out[:, :, None] * along[:, None]).reshape(k, m ** (d + 1))
    return out


_on_grid = compiled(_hazards_point_by_point) if IS_COMPILED else _hazards_at_once


@compiled
def hazards(
    weight: np.ndarray, base: np.ndarray, slope: np.ndarray, centre: np.ndarray, grid: np.ndarray
) -> np.ndarray:
    """Return weighted hazards at the nodes of a product grid.

    Parameters
    ----------
    weight : ndarray, shape (k,)
        Of the points in time.
    base : ndarray, shape (k,)
        Log hazards at ``b = 0``.
    slope : ndarray, shape (k, q)
        Their derivatives along the axes of the grid.
    centre : ndarray, shape (k,)
        What the centre of the grid adds to the log hazards.
    grid : ndarray, shape (m,)
        Nodes along every axis, symmetric around zero.

    Returns
    -------
    ndarray, shape (k, m ** q)
        The last axis of the grid runs fastest.
    """
    return _on_grid(weight, base, slope, centre, grid)


@compiled
def _into(
    out: np.ndarray, columns: np.ndarray, W: np.ndarray, B: np.ndarray, layout: Layout, c: int
) -> None:
    """Add the derivatives of one cause's cumulative hazard at all nodes, shape (n_theta, Q)."""
    M, p, q = layout.n_links, layout.p, len(B)
    found = np.dot(columns.T, W)
    first = layout.alpha + c * M
    out[first : first + M] += found[:M]
    for d in range(q):
        out[first : first + M] += found[M * (1 + d) : M * (2 + d)] * B[d]
    at = M * (1 + q)
    out[:p] += found[at : at + p]
    n_psi = layout.psi[c + 1] - layout.psi[c]
    out[layout.psi[c] : layout.psi[c + 1]] += found[at + p : at + p + n_psi]


@compiled
def joint_pass(
    density: np.ndarray,
    weight: np.ndarray,
    base: np.ndarray,
    slope: np.ndarray,
    columns: np.ndarray,
    bounds: np.ndarray,
    centre: np.ndarray,
    root: np.ndarray,
    grid: np.ndarray,
    nodes: np.ndarray,
    log_weight: np.ndarray,
    layout: Layout,
) -> Passed:
    """Integrate over the random effects of all subjects.

    Parameters
    ----------
    density : ndarray, shape (n, 1 + n_theta, n_features)
        See :class:`pmsstats.models.kernels.joint_terms.JointTerms`, as the next four.
    weight : ndarray, shape (n_points,)
        Of the points in time.
    base : ndarray, shape (C, n_points)
        Log hazards at ``b = 0``.
    slope : ndarray, shape (C, n_points, q)
        Their derivatives in `b`.
    columns : ndarray, shape (C, n_points, width)
        Derivatives of the log hazards in the parameters.
    bounds : ndarray of int, shape (n, 3)
        The points of every subject: at risk, then of the interval of its event.
    centre : ndarray, shape (n, q)
        Of the grid.
    root : ndarray, shape (n, q, q)
        Lower triangles that scale the grid.
    grid : ndarray, shape (m,)
        Nodes along every axis.
    nodes : ndarray, shape (q, m ** q)
        Their product; the last axis runs fastest.
    log_weight : ndarray, shape (m ** q,)
        Logarithms of the weights of the nodes for an integral over the plain measure.
    layout : Layout
        Where parameters stand.

    Returns
    -------
    Passed
        Value and derivatives.
    """
    n, q = centre.shape
    n_theta, C, Q = density.shape[1] - 1, len(base), nodes.shape[1]
    value, score = np.empty(n), np.empty((n, n_theta))
    features = np.empty((n, density.shape[2]))
    spread = np.zeros((n_theta, n_theta))
    moments = np.empty((C, len(weight), density.shape[2]))
    for i in range(n):
        a, m, z = bounds[i]
        B = np.dot(root[i], nodes) + centre[i].reshape(q, 1)
        phi = _products(B)
        T = np.dot(density[i], phi)
        S, logs = T[1:], T[0] + log_weight + np.log(np.diag(root[i])).sum()
        W = np.empty((C, z - a, Q))
        for c in range(C):
            along = np.dot(slope[c, a:z], root[i])
            middle = np.dot(slope[c, a:z], centre[i])
            W[c] = hazards(weight[a:z], base[c, a:z], along, middle, grid)
        inner = np.zeros((n_theta if z > m else 0, Q))
        ratio = np.ones(Q)
        for c in range(C):
            logs -= W[c, : m - a].sum(0)
            lost = np.zeros((n_theta, Q))
            _into(lost, columns[c, a:m], W[c, : m - a], B, layout, c)
            S -= lost
        if z > m:
            hazard = np.zeros(Q)
            for c in range(C):
                hazard += W[c, m - a :].sum(0)
                _into(inner, columns[c, m:z], W[c, m - a :], B, layout, c)
            hazard = np.minimum(np.maximum(hazard, 1e-300), _HIGHEST)
            logs += np.log(-np.expm1(-hazard))
            ratio = 1.0 / np.expm1(hazard)
            S += inner * ratio
        top = logs.max()
        posterior = np.exp(logs - top)
        total = posterior.sum()
        posterior /= total
        value[i] = top + np.log(total)
        score[i] = np.dot(S, posterior)
        S -= score[i].reshape(n_theta, 1)
        spread -= np.dot(S * posterior, S.T)
        if z > m:
            spread += np.dot(inner * (posterior * ratio * (1.0 + ratio)), inner.T)
        weighted = phi * posterior
        features[i] = weighted.sum(1)
        for c in range(C):
            moments[c, a:m] = np.dot(W[c, : m - a], weighted.T)
            if z > m:
                moments[c, m:z] = -np.dot(W[c, m - a :], (weighted * ratio).T)
    return Passed(value, score, spread, features, moments)
