"""The curvature of a joint model's complete data, averaged over the random effects' posterior.

What :func:`pmsstats.models.kernels.joint_pass.joint_pass` leaves: second derivatives of log
hazards' integrals, from moments at the points in time, and those of the markers' and the random
effects' normal densities, from posterior means.
"""

from __future__ import annotations

import numpy as np

from pmsstats.models.kernels.joint_sums import JointSums
from pmsstats.models.kernels.joint_terms import JointTerms
from pmsstats.models.kernels.joint_theta import JointTheta

__all__ = ["complete_information"]


def complete_information(
    sums: JointSums,
    theta: JointTheta,
    terms: JointTerms,
    features: np.ndarray,
    moments: np.ndarray,
) -> np.ndarray:
    """Return minus the expected second derivatives of the log density of the complete data.

    Parameters
    ----------
    sums : JointSums
        The data.
    theta : JointTheta
        The parameters.
    terms : JointTerms
        Coefficients at these parameters.
    features : ndarray, shape (n, n_features)
        Posterior means, of :class:`pmsstats.models.kernels.joint_pass.Passed`.
    moments : ndarray, shape (C, n_points, n_features)
        Moments of hazards, of the same.

    Returns
    -------
    ndarray, shape (n_theta, n_theta)
        Without the curvature that events of unknown time add within `Passed.spread`.
    """
    information = np.zeros((sums.shape.n_theta, sums.shape.n_theta))
    _add_markers(information, sums, theta, terms, features)
    _add_prior(information, sums, theta, features)
    for c in range(len(sums.shape.n_psi)):
        _add_hazard(information, sums, terms, c, moments[c])
    shape = sums.shape
    seen = sums.event_fixed.sum(0).reshape(-1, shape.p)  # (C M, p)
    information[shape.alpha, shape.beta] -= seen
    information[shape.beta, shape.alpha] -= seen.T
    return information


def _add_markers(
    information: np.ndarray,
    sums: JointSums,
    theta: JointTheta,
    terms: JointTerms,
    features: np.ndarray,
) -> None:
    """Add the normal densities of the measurements."""
    shape, q = sums.shape, sums.shape.q
    weight = 1.0 / theta.sigma**2
    wx = weight[shape.marker_of_fixed]
    information[shape.beta, shape.beta] += sums.XX.sum(0) * wx[:, None]
    lead = 1
    rows = terms.density[:, lead + shape.p : lead + shape.log_sigma.stop]
    squares = np.einsum("nkf,nf->k", rows, features) + sums.n_rows.sum(0)
    places = np.arange(shape.p, shape.log_sigma.stop)
    information[places, places] += 2 * squares
    inner = (sums.Xy - np.einsum("npr,r->np", sums.XX, theta.beta)).sum(0)
    inner -= np.einsum("npq,nq->p", sums.XZ, features[:, 1 : 1 + q])
    for j, k in enumerate(shape.marker_of_fixed):
        information[j, shape.p + k] += 2 * inner[j] * wx[j]
        information[shape.p + k, j] += 2 * inner[j] * wx[j]


def _add_prior(
    information: np.ndarray, sums: JointSums, theta: JointTheta, features: np.ndarray
) -> None:
    """Add the normal density of the random effects.

    With ``M = L^-1``, ``K = M S M'`` and S the sum of the mean squares of `b`, the second
    derivative of ``-tr(K) / 2`` along E and F is ``-tr(M F M E K) - tr(M E M F K) -
    tr(M E K F' M')``; the chain rule gives that in the logarithms of the diagonal.
    """
    shape, q = sums.shape, sums.shape.q
    M = np.linalg.inv(theta.root)
    upper = np.triu_indices(q)
    S = np.zeros((q, q))
    S[upper] = features[:, 1 + q :].sum(0)
    S = S + S.T - np.diag(np.diag(S))
    K = M @ S @ M.T
    MK, rows, columns = M.T @ K, *shape.lower
    P = M.T @ M  # D^-1; M.T @ K is indexed by (row of L, column of L)
    KM = K @ M
    twice = KM[columns[:, None], rows] * M[columns][:, rows].T
    second = -(twice + twice.T) - P[rows[:, None], rows] * K[columns[:, None], columns]
    scale = np.where(rows == columns, np.diag(theta.root)[rows], 1.0)
    second *= scale[:, None] * scale
    first = MK[rows, columns] * scale
    second[np.diag_indices(len(rows))] += np.where(rows == columns, first, 0.0)
    information[shape.root, shape.root] -= second


def _add_hazard(
    information: np.ndarray, sums: JointSums, terms: JointTerms, c: int, moments: np.ndarray
) -> None:
    """Add one cause's integrated hazard."""
    shape = sums.shape
    q, M, p = shape.q, shape.n_links, shape.p
    first, beta, psi = shape.alpha.start + c * M, shape.beta, shape.psi[c]
    alpha = slice(first, first + M)
    U = sums.basis[c]
    A = terms.columns[c][:, M * (1 + q) : M * (1 + q) + p]
    V, VV = _link_moments(sums, terms, moments)
    E = moments[:, :1]
    parts = [
        (psi, psi, U.T @ (E * U)),
        (psi, alpha, U.T @ V),
        (psi, beta, U.T @ (E * A)),
        (alpha, alpha, VV),
        (alpha, beta, V.T @ A + np.einsum("t,mtp->mp", E[:, 0], sums.fixed)),
        (beta, beta, A.T @ (E * A)),
    ]
    for one, other, part in parts:
        information[one, other] += part
        if one != other:
            information[other, one] += part.T


def _link_moments(
    sums: JointSums, terms: JointTerms, moments: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return moments of hazards with one association, (n_points, M), and with two, (M, M)."""
    q, M = sums.shape.q, sums.shape.n_links
    mean = np.einsum("mtq,tq->tm", sums.random, moments[:, 1 : 1 + q])
    level = terms.level.T
    V = moments[:, :1] * level + mean
    VV = level.T @ V + mean.T @ level
    rows, columns = np.triu_indices(q)
    square = np.zeros((len(moments), q, q))
    square[:, rows, columns] = moments[:, 1 + q :]
    square[:, columns, rows] = moments[:, 1 + q :]
    for m in range(M):
        turned = np.einsum("tq,tqr->tr", sums.random[m], square)
        VV[m] += np.einsum("tr,ltr->l", turned, sums.random)
    return V, VV
