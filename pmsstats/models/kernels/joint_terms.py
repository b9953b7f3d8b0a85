"""Everything of a joint likelihood that is known before integrating over the random effects `b`.

The log density of a subject's measurements, of `b` and of known events, and its derivatives in all
parameters, are polynomials of degree 2 in `b`: rows of coefficients of the features
``(1, b_1, ..., b_q, b_1 b_1, b_1 b_2, ..., b_q b_q)``. Log hazards are linear in `b`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pmsstats.models.kernels.joint_sums import JointSums
from pmsstats.models.kernels.joint_theta import JointTheta

__all__ = ["JointTerms", "joint_terms"]

_LOG_2_PI = float(np.log(2 * np.pi))


@dataclass(frozen=True, kw_only=True, eq=False)
class JointTerms:
    """Coefficients at one value of the parameters.

    Parameters
    ----------
    density : ndarray, shape (n, 1 + n_theta, n_features)
        Of the log density (first row) and its derivatives, hazards' integrals left out.
    precision : ndarray, shape (n, q, q)
        Minus its second derivative in `b`.
    pull : ndarray, shape (n, q)
        Its slope at ``b = 0``.
    base : ndarray, shape (C, n_points)
        Log hazard at the points of the integrals, at ``b = 0``.
    slope : ndarray, shape (C, n_points, q)
        Its derivative in `b`.
    level : ndarray, shape (n_links, n_points)
        What the associations take of the fixed effects.
    columns : ndarray, shape (C, n_points, width)
        Derivatives of the log hazard in the parameters: for the associations ``level``, then
        factors of ``b_1``, ..., ``b_q``; of beta; of psi (zeros where a cause has fewer).
    """

    density: np.ndarray
    precision: np.ndarray
    pull: np.ndarray
    base: np.ndarray
    slope: np.ndarray
    level: np.ndarray
    columns: np.ndarray


def joint_terms(sums: JointSums, theta: JointTheta) -> JointTerms:
    """Compute the coefficients.

    Parameters
    ----------
    sums : JointSums
        The data.
    theta : JointTheta
        The parameters.

    Returns
    -------
    JointTerms
        At these parameters.
    """
    shape = sums.shape
    inverse = _inverse_root(theta.root)
    weight = 1.0 / theta.sigma**2
    wz = weight[shape.marker_of_random]
    pull_y = (sums.Zy - np.einsum("npq,p->nq", sums.XZ, theta.beta)) * wz
    pull = pull_y + np.einsum("cm,ncmq->nq", theta.alpha, sums.event_random)
    precision_y = sums.ZZ * wz[:, None]
    precision = precision_y + inverse.T @ inverse
    density = _density(sums, theta, inverse, pull_y, precision_y)
    density[:, 0, 1 : 1 + shape.q] = pull
    density[:, 0, 1 + shape.q :] = -_pairs(precision) / 2
    return JointTerms(density=density, precision=precision, pull=pull, **_hazard_terms(sums, theta))


def _inverse_root(root: np.ndarray) -> np.ndarray:
    """Return the inverse of a lower triangle."""
    return np.tril(np.linalg.solve(root, np.eye(len(root))))


def _pairs(matrices: np.ndarray) -> np.ndarray:
    """Return the coefficients of ``b'Ab`` in the products of the features, for symmetric A."""
    rows, columns = np.triu_indices(matrices.shape[-1])
    return matrices[..., rows, columns] * np.where(rows == columns, 1.0, 2.0)


def _density(
    sums: JointSums,
    theta: JointTheta,
    inverse: np.ndarray,
    pull_y: np.ndarray,
    precision_y: np.ndarray,
) -> np.ndarray:
    """Fill the coefficients, but those of the log density that `b` multiplies."""
    shape, n = sums.shape, sums.n_subjects
    q, beta, lead = shape.q, theta.beta, 1  # row 0 is the log density
    weight = 1.0 / theta.sigma**2
    wx = weight[shape.marker_of_fixed]
    XXb = np.einsum("npr,r->np", sums.XX, beta)
    rss = sums.yy + _by_marker(shape.marker_of_fixed, beta * (XXb - 2 * sums.Xy), len(weight))
    out = np.zeros((n, lead + shape.n_theta, 1 + q + q * (q + 1) // 2))
    event_level = np.einsum("ncmp,p->ncm", sums.event_fixed, beta)
    constant = -0.5 * q * _LOG_2_PI + np.log(np.diag(inverse)).sum()
    gauss = sums.n_rows * (-0.5 * _LOG_2_PI - np.log(theta.sigma)) - 0.5 * rss * weight
    events = sums.event_basis @ np.concatenate([np.zeros(0), *theta.psi])
    events = events + np.einsum("cm,ncm->n", theta.alpha, event_level)
    out[:, 0, 0] = constant + gauss.sum(1) + events
    rows = out[:, lead:]
    rows[:, shape.beta, 0] = (sums.Xy - XXb) * wx
    rows[:, shape.beta, 0] += np.einsum("cm,ncmp->np", theta.alpha, sums.event_fixed)
    rows[:, shape.beta, 1 : 1 + q] = -sums.XZ * wx[:, None]
    for k in range(len(weight)):
        row, mine = rows[:, shape.p + k], shape.marker_of_random == k
        row[:, 0] = rss[:, k] * weight[k] - sums.n_rows[:, k]
        row[:, 1 : 1 + q] = -2 * pull_y * mine
        row[:, 1 + q :] = _pairs(precision_y * (mine[:, None] & mine))
    rows[:, shape.root] = _root_rows(theta.root, inverse, shape.lower)
    rows[:, shape.root.stop : shape.alpha.start, 0] = sums.event_basis
    rows[:, shape.alpha, 0] = event_level.reshape(n, -1)
    rows[:, shape.alpha, 1 : 1 + q] = sums.event_random.reshape(n, -1, q)
    return out


def _by_marker(marker: np.ndarray, values: np.ndarray, K: int) -> np.ndarray:
    """Add columns of the same marker, shape (n, K)."""
    return values @ (marker[:, None] == np.arange(K)).astype(float)


def _root_rows(
    root: np.ndarray, inverse: np.ndarray, lower: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """Return the derivatives of the log density of `b` in the log-Cholesky vector.

    Of ``-b'D^-1 b / 2 - log det L``: the entry (i, j) of L has ``(D^-1 b)_i (L^-1 b)_j``.
    """
    precision = inverse.T @ inverse
    q = len(root)
    rows = np.zeros((len(lower[0]), 1 + q + q * (q + 1) // 2))
    for k, (i, j) in enumerate(zip(*lower, strict=True)):
        outer = np.outer(precision[i], inverse[j]) * (root[i, i] if i == j else 1.0)
        rows[k, 1 + q :] = _pairs((outer + outer.T) / 2)
        rows[k, 0] = -1.0 if i == j else 0.0
    return rows


def _hazard_terms(sums: JointSums, theta: JointTheta) -> dict[str, np.ndarray]:
    """Return what the integrals over time need."""
    shape, C = sums.shape, len(sums.shape.n_psi)
    p, q, M, n_points = shape.p, shape.q, shape.n_links, len(sums.subject)
    level = sums.fixed @ theta.beta  # (M, n_points)
    columns = np.zeros((C, n_points, M * (1 + q) + p + max(shape.n_psi, default=0)))
    columns[:, :, :M] = level.T
    columns[:, :, M : M * (1 + q)] = sums.random.transpose(1, 2, 0).reshape(n_points, q * M)
    base, slope = np.empty((C, n_points)), np.empty((C, n_points, q))
    for c in range(C):
        basis = sums.basis[c]
        base[c] = basis @ theta.psi[c] + theta.alpha[c] @ level
        slope[c] = np.tensordot(theta.alpha[c], sums.random, 1)
        first = M * (1 + q)
        columns[c, :, first : first + p] = np.tensordot(theta.alpha[c], sums.fixed, 1)
        columns[c, :, first + p : first + p + basis.shape[1]] = basis
    return {"base": base, "slope": slope, "level": level, "columns": columns}
