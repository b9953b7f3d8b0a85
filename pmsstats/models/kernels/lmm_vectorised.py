"""The sums over patterns of a mixed model's likelihood in numpy, for where numba is absent.

Each function takes and returns what its compiled counterpart in
:mod:`pmsstats.models.kernels.lmm_kernel` does; the notation is explained there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pmsstats.models.kernels.lmm_kernel import Patterns

__all__ = ["differentiate", "evaluate", "moments"]

_RANK = 1e-10  # eigenvalue of Z'Z, relative to the largest, that counts as zero


def evaluate(patterns: Patterns, psi: np.ndarray, R: np.ndarray) -> tuple[np.ndarray, float]:
    """Return ``B'V^-1 B`` and the sum of log det V.

    Parameters
    ----------
    patterns : Patterns
        The data.
    psi : ndarray, shape (q, q)
        Relative covariance of the random effects.
    R : ndarray, shape (k, q, q)
        Filled with ``(I + S psi)^-1``.

    Returns
    -------
    A : ndarray, shape (P (P + 1) / 2,)
        Upper triangle along its rows.
    log_det : float
        Over all subjects.
    """
    core = np.eye(len(psi)) + patterns.S @ psi
    R[:] = np.linalg.inv(core)
    W = psi @ R
    if len(patterns.T):
        inner = np.einsum("km,kma->a", _doubled(W), patterns.T)
    else:
        inner = _packed(np.einsum("kia,kib->ab", patterns.H, W @ patterns.H, optimize=True))
    return patterns.squares - inner, float(patterns.count @ np.linalg.slogdet(core)[1])


def differentiate(
    patterns: Patterns, R: np.ndarray, omega: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sum what the derivatives need over patterns.

    Parameters
    ----------
    patterns : Patterns
        The data.
    R : ndarray, shape (k, q, q)
        From :func:`evaluate`.
    omega : ndarray, shape (P (P + 1) / 2,)
        Weights of the entries of `A`; off-diagonal ones counted twice.

    Returns
    -------
    total : ndarray, shape (q (q + 1) / 2, P (P + 1) / 2)
        Sum of ``R T R'``.
    slope : ndarray, shape (q, q)
        Sum of ``n G - t``, where `t` is ``R T R'`` contracted with `omega`.
    curvature : ndarray, shape (r, r)
        Sum of ``tr(E_i G E_j (2 t - n G))``.
    """
    q = R.shape[1]
    G = R @ patterns.S
    G = (G + G.transpose(0, 2, 1)) / 2
    if len(patterns.T):
        total = np.einsum("kmn,kna->ma", _conjugations(R), patterns.T, optimize=True)
        t = R @ _square(patterns.T @ omega, q) @ R.transpose(0, 2, 1)
    else:
        half = R @ patterns.H
        full = np.einsum("kia,kjb->ijab", half, half, optimize=True)
        pairs = zip(*np.tril_indices(q), strict=True)
        total = np.array([_packed(full[i, j] + full[j, i]) / 2 for i, j in pairs])
        weights = _square(omega, half.shape[2], upper=True)
        weights = (weights + np.diag(np.diag(weights))) / 2  # each off-diagonal entry once
        t = half @ weights @ half.transpose(0, 2, 1)
    scaled = patterns.count[:, None, None] * G
    return total, (scaled - t).sum(axis=0), _traces(G, 2 * t - scaled, patterns)


def moments(
    patterns: Patterns,
) -> tuple[float, float, np.ndarray, np.ndarray, np.ndarray]:
    """Sum what the starting values need over patterns.

    Parameters
    ----------
    patterns : Patterns
        The data.

    Returns
    -------
    explained : float
        Sum of squares that the random columns explain within subjects.
    n_explained : float
        Its degrees of freedom.
    U : ndarray, shape (q, q)
        Sum of ``Z'y y'Z``.
    S : ndarray, shape (q, q)
        Sum of ``Z'Z``.
    M : ndarray, shape (r, r)
        Sum of ``tr(E_i S E_j S)``.
    """
    S = patterns.S
    if len(patterns.T):
        U = _square(patterns.T[:, :, -1], S.shape[1])
    else:
        U = patterns.H[:, :, -1:] * patterns.H[:, None, :, -1]
    values, vectors = np.linalg.eigh(S)
    kept = values > _RANK * values[:, -1:]
    along = np.einsum("kji,kjl,kli->ki", vectors, U, vectors, optimize=True)
    explained = float(np.divide(along, values, out=np.zeros_like(along), where=kept).sum())
    scaled = patterns.count[:, None, None] * S
    return (
        explained,
        float(patterns.count @ kept.sum(axis=1)),
        U.sum(axis=0),
        scaled.sum(axis=0),
        _traces(S, scaled, patterns),
    )


def _packed(matrix: np.ndarray) -> np.ndarray:
    """Return the upper triangle along its rows, made symmetric."""
    both = (matrix + matrix.T) / 2
    packed: np.ndarray = both[np.triu_indices(len(matrix))]
    return packed


def _doubled(matrices: np.ndarray) -> np.ndarray:
    """Return lower triangles along their rows, off-diagonal entries doubled."""
    i, j = np.tril_indices(matrices.shape[1])
    doubled: np.ndarray = matrices[:, i, j] * np.where(i == j, 1.0, 2.0)
    return doubled


def _square(packed: np.ndarray, size: int, *, upper: bool = False) -> np.ndarray:
    """Return symmetric matrices from lower (or upper) triangles along their rows."""
    i, j = np.triu_indices(size) if upper else np.tril_indices(size)
    full = np.empty((*packed.shape[:-1], size, size))
    full[..., i, j] = packed
    full[..., j, i] = packed
    return full


def _conjugations(R: np.ndarray) -> np.ndarray:
    """Return the maps of lower triangles ``T -> R T R'``."""
    a, b = np.tril_indices(R.shape[1])
    straight = R[:, a[:, None], a] * R[:, b[:, None], b]
    crossed = R[:, a[:, None], b] * R[:, b[:, None], a]
    maps: np.ndarray = straight + np.where(a == b, 0.0, crossed)
    return maps


def _traces(G: np.ndarray, U: np.ndarray, patterns: Patterns) -> np.ndarray:
    """Return the sum of ``tr(E_i G E_j U)``."""
    basis = np.zeros((len(patterns.rows), G.shape[1], G.shape[1]))
    each = np.arange(len(patterns.rows))
    basis[each, patterns.rows, patterns.columns] = 1.0
    basis[each, patterns.columns, patterns.rows] = 1.0
    pairs = np.einsum("kbc,kda->bcda", G, U, optimize=True)
    found: np.ndarray = np.einsum("iab,bcda,jcd->ij", basis, pairs, basis, optimize=True)
    return (found + found.T) / 2
