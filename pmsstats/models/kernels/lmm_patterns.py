"""Sums over patterns of subjects in the likelihood of a linear mixed model, compiled by numba.

Subjects with the same ``S = Z'Z`` form a pattern: they share what the covariance of the random
effects does to them, so that an evaluation costs a few small matrices per pattern, however many
subjects there are. Without numba the sums are numpy's
(:mod:`pmsstats.models.kernels.lmm_vectorised`), and everything else runs as it stands.

Notation: ``V = I + Z Psi Z'`` per subject in units of the residual variance,
``R = (I + S Psi)^-1``, so that ``Z'V^-1 B = R Z'B`` and ``G = Z'V^-1 Z = R S`` for ``B = [X y]``,
which has P columns. ``A = B'V^-1 B``. Entries of symmetric q x q matrices are numbered along the
rows of the lower triangle, those of symmetric P x P ones along the rows of the upper; ``E_i`` is
the derivative of Psi in its i-th free entry, which moves both of its mirror images.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from pmsstats.compiling import IS_COMPILED, compiled
from pmsstats.models.kernels import lmm_vectorised

__all__ = [
    "Patterns",
    "add_products",
    "add_traces",
    "differentiate",
    "eigen",
    "evaluate",
    "group_products",
    "moments",
    "product",
]

_RANK = 1e-10  # eigenvalue of Z'Z, relative to the largest, that counts as zero


class Patterns(NamedTuple):
    """Sums of products of one data set within patterns.

    Parameters
    ----------
    S : ndarray, shape (k, q, q)
        Z'Z of each pattern's subjects.
    count : ndarray, shape (k,)
        Number of subjects.
    T : ndarray, shape (k, q (q + 1) / 2, P (P + 1) / 2)
        Sums of the products of ``H = Z'B``, made symmetric: entry ``[m, ab]`` for ``m = (c, d)`` is
        the mean of ``H[c, a] H[d, b]`` and ``H[d, a] H[c, b]``. Of length zero where `H` is used.
    H : ndarray, shape (k, q, P)
        Z'B itself where every pattern holds one subject; else of length zero.
    squares : ndarray, shape (P (P + 1) / 2,)
        B'B.
    n_obs : float
        Number of rows.
    n_free : float
        That less the fixed effects under REML.
    is_reml : bool
        Restricted or full.
    rows, columns : ndarray of int, shape (r,)
        Entries of Psi, and of its Cholesky factor, that are free.
    """

    S: np.ndarray
    count: np.ndarray
    T: np.ndarray
    H: np.ndarray
    squares: np.ndarray
    n_obs: float
    n_free: float
    is_reml: bool
    rows: np.ndarray
    columns: np.ndarray


def _in_words_of(other: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a function the documentation of another that does the same."""

    def describe(function: Callable[..., Any]) -> Callable[..., Any]:
        function.__doc__ = other.__doc__
        return function

    return describe


# --- small matrices ---------------------------------------------------------------------------


@compiled
def product(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Multiply two small matrices.

    Parameters
    ----------
    left, right : ndarray
        Of fitting shapes.

    Returns
    -------
    ndarray
        ``left @ right``.
    """
    made = np.zeros((left.shape[0], right.shape[1]))
    for i in range(left.shape[0]):
        for k in range(left.shape[1]):
            for j in range(right.shape[1]):
                made[i, j] += left[i, k] * right[k, j]
    return made


@compiled
def eigen(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return eigenvalues and eigenvectors of a small symmetric matrix, by Jacobi's rotations.

    Parameters
    ----------
    matrix : ndarray, shape (n, n)
        Symmetric. Where its entries say that it falls apart into blocks, so do the vectors.

    Returns
    -------
    values : ndarray, shape (n,)
        Unordered.
    vectors : ndarray, shape (n, n)
        One per column.
    """
    n = matrix.shape[0]
    a = matrix.copy()
    vectors = np.zeros((n, n))
    for i in range(n):
        vectors[i, i] = 1.0
    for _ in range(50):
        off, size = 0.0, 0.0
        for i in range(n):
            size += a[i, i] * a[i, i]
            for j in range(i):
                off += a[i, j] * a[i, j]
        if not off > 1e-34 * (size + off):
            break
        for i in range(n):
            for j in range(i):
                if a[i, j] != 0.0:
                    _rotate(a, vectors, i, j)
    values = np.empty(n)
    for i in range(n):
        values[i] = a[i, i]
    return values, vectors


@compiled
def _rotate(a: np.ndarray, vectors: np.ndarray, i: int, j: int) -> None:
    """Make one off-diagonal entry zero."""
    ratio = (a[i, i] - a[j, j]) / (2.0 * a[i, j])
    tangent = 1.0 / (abs(ratio) + np.sqrt(ratio * ratio + 1.0))
    if ratio < 0:
        tangent = -tangent
    cosine = 1.0 / np.sqrt(tangent * tangent + 1.0)
    sine = tangent * cosine
    for k in range(a.shape[0]):
        x, y = a[k, i], a[k, j]
        a[k, i], a[k, j] = cosine * x + sine * y, cosine * y - sine * x
    for k in range(a.shape[0]):
        x, y = a[i, k], a[j, k]
        a[i, k], a[j, k] = cosine * x + sine * y, cosine * y - sine * x
        x, y = vectors[k, i], vectors[k, j]
        vectors[k, i], vectors[k, j] = cosine * x + sine * y, cosine * y - sine * x


@compiled
def _invert(a: np.ndarray, inverse: np.ndarray) -> float:
    """Invert ``I + S Psi`` into `inverse`, spoiling `a`; return its log determinant.

    Its eigenvalues are at least one. Gauss-Jordan elimination with the largest pivot of a column.
    """
    n = a.shape[0]
    if n == 2:
        det = a[0, 0] * a[1, 1] - a[0, 1] * a[1, 0]
        inverse[0, 0], inverse[1, 1] = a[1, 1] / det, a[0, 0] / det
        inverse[0, 1], inverse[1, 0] = -a[0, 1] / det, -a[1, 0] / det
        return np.log(det)
    for i in range(n):
        for j in range(n):
            inverse[i, j] = 1.0 if i == j else 0.0
    log_det = 0.0
    for k in range(n):
        best = k
        for i in range(k + 1, n):
            if abs(a[i, k]) > abs(a[best, k]):
                best = i
        for j in range(n):
            a[k, j], a[best, j] = a[best, j], a[k, j]
            inverse[k, j], inverse[best, j] = inverse[best, j], inverse[k, j]
        log_det += np.log(abs(a[k, k]))
        _eliminate(a, inverse, k)
    return log_det


@compiled
def _eliminate(a: np.ndarray, inverse: np.ndarray, k: int) -> None:
    """Make column `k` that of the identity matrix."""
    n = a.shape[0]
    scale = 1.0 / a[k, k]
    for j in range(n):
        a[k, j] *= scale
        inverse[k, j] *= scale
    for i in range(n):
        if i != k:
            factor = a[i, k]
            for j in range(n):
                a[i, j] -= factor * a[k, j]
                inverse[i, j] -= factor * inverse[k, j]


# --- sums over patterns -----------------------------------------------------------------------


@compiled
def add_products(H: np.ndarray, T: np.ndarray) -> None:
    """Add the symmetric products of one subject's Z'B to those of its pattern.

    Parameters
    ----------
    H : ndarray, shape (q, P)
        Z'B of the subject.
    T : ndarray, shape (q (q + 1) / 2, P (P + 1) / 2)
        Is changed.
    """
    q, P = H.shape
    m = 0
    for c in range(q):
        for d in range(c + 1):
            at = 0
            for a in range(P):
                for b in range(a, P):
                    T[m, at] += 0.5 * (H[c, a] * H[d, b] + H[d, a] * H[c, b])
                    at += 1
            m += 1


@compiled
def group_products(H: np.ndarray, member: np.ndarray, n_patterns: int) -> np.ndarray:
    """Sum the products of subjects of the same pattern.

    Parameters
    ----------
    H : ndarray, shape (n_subjects, q, P)
        Z'B of each subject.
    member : ndarray of int, shape (n_subjects,)
        Pattern of each subject.
    n_patterns : int
        How many patterns.

    Returns
    -------
    ndarray, shape (n_patterns, q (q + 1) / 2, P (P + 1) / 2)
        As :attr:`Patterns.T`.
    """
    q, P = H.shape[1:]
    T = np.zeros((n_patterns, q * (q + 1) // 2, P * (P + 1) // 2))
    for s in range(len(H)):
        add_products(H[s], T[member[s]])
    return T


@compiled
def _products_of(patterns: Patterns, k: int, own: np.ndarray) -> np.ndarray:
    """Return the products of a pattern; `own` holds those of a single subject."""
    if len(patterns.T) > 0:
        return patterns.T[k]
    for m in range(own.shape[0]):
        for ab in range(own.shape[1]):
            own[m, ab] = 0.0
    add_products(patterns.H[k], own)
    return own


@compiled
@_in_words_of(lmm_vectorised.evaluate)
def _evaluate_loops(patterns: Patterns, psi: np.ndarray, R: np.ndarray) -> tuple[np.ndarray, float]:
    """Return `A` and the sum of log det V, and fill `R`, as lmm_vectorised.evaluate."""
    q, n_packed = psi.shape[0], len(patterns.squares)
    A = patterns.squares.copy()
    own = np.zeros((q * (q + 1) // 2, n_packed))
    core = np.empty((q, q))
    log_det = 0.0
    for k in range(len(patterns.S)):
        S, inverse = patterns.S[k], R[k]
        for i in range(q):
            for j in range(q):
                core[i, j] = 1.0 if i == j else 0.0
                for l in range(q):  # noqa: E741
                    core[i, j] += S[i, l] * psi[l, j]
        log_det += patterns.count[k] * _invert(core, inverse)
        T = _products_of(patterns, k, own)
        m = 0
        for i in range(q):
            for j in range(i + 1):
                weight = 0.0
                for l in range(q):  # noqa: E741
                    weight += psi[i, l] * inverse[l, j]
                if i != j:
                    weight *= 2.0
                for ab in range(n_packed):
                    A[ab] -= weight * T[m, ab]
                m += 1
    return A, log_det


@compiled
@_in_words_of(lmm_vectorised.differentiate)
def _differentiate_loops(
    patterns: Patterns, R: np.ndarray, omega: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sum what the derivatives need over patterns, as lmm_vectorised.differentiate."""
    q, n_packed = R.shape[1], len(patterns.squares)
    n_entries = q * (q + 1) // 2
    total = np.zeros((n_entries, n_packed))
    slope = np.zeros((q, q))
    curvature = np.zeros((len(patterns.rows), len(patterns.rows)))
    own = np.zeros((n_entries, n_packed))
    G, t, U = np.empty((q, q)), np.empty((q, q)), np.empty((q, q))
    contracted = np.empty(n_entries)
    for k in range(len(patterns.S)):
        T = _products_of(patterns, k, own)
        for m in range(n_entries):
            value = 0.0
            for ab in range(n_packed):
                value += T[m, ab] * omega[ab]
            contracted[m] = value
        _conjugate(R[k], T, contracted, total, t)
        _fill_symmetric(R[k], patterns.S[k], G)
        for i in range(q):
            for j in range(q):
                U[i, j] = 2.0 * t[i, j] - patterns.count[k] * G[i, j]
        for i in range(q):
            for j in range(q):
                slope[i, j] += t[i, j] - U[i, j]
        add_traces(G, U, patterns.rows, patterns.columns, curvature)
    return total, slope, curvature


@compiled
def _conjugate(
    R: np.ndarray, T: np.ndarray, contracted: np.ndarray, total: np.ndarray, t: np.ndarray
) -> None:
    """Add ``R T R'`` to `total`, and put the same of the contracted `T` into `t`."""
    q = R.shape[0]
    m = 0
    for a in range(q):
        for b in range(a + 1):
            at = 0
            value = 0.0
            for c in range(q):
                for d in range(c + 1):
                    weight = R[a, c] * R[b, d]
                    if c != d:
                        weight += R[a, d] * R[b, c]
                    value += weight * contracted[at]
                    for ab in range(T.shape[1]):
                        total[m, ab] += weight * T[at, ab]
                    at += 1
            t[a, b] = value
            t[b, a] = value
            m += 1


@compiled
def _fill_symmetric(R: np.ndarray, S: np.ndarray, G: np.ndarray) -> None:
    """Fill `G` with ``R S``, which is symmetric but for rounding."""
    q = R.shape[0]
    for i in range(q):
        for j in range(i + 1):
            value = 0.0
            for l in range(q):  # noqa: E741
                value += 0.5 * (R[i, l] * S[l, j] + R[j, l] * S[l, i])
            G[i, j] = value
            G[j, i] = value


@compiled
def add_traces(
    G: np.ndarray, U: np.ndarray, rows: np.ndarray, columns: np.ndarray, out: np.ndarray
) -> None:
    """Add ``tr(E_i G E_j U)`` to the entries of a matrix.

    Parameters
    ----------
    G, U : ndarray, shape (q, q)
        Symmetric.
    rows, columns : ndarray of int, shape (r,)
        Free entries of Psi.
    out : ndarray, shape (r, r)
        Is changed.
    """
    for i in range(len(rows)):
        a, b = rows[i], columns[i]
        for j in range(i + 1):
            c, d = rows[j], columns[j]
            value = G[b, c] * U[d, a]
            if c != d:
                value += G[b, d] * U[c, a]
            if a != b:
                value += G[a, c] * U[d, b]
                if c != d:
                    value += G[a, d] * U[c, b]
            out[i, j] += value
            if i != j:
                out[j, i] += value


@compiled
@_in_words_of(lmm_vectorised.moments)
def _moments_loops(
    patterns: Patterns,
) -> tuple[float, float, np.ndarray, np.ndarray, np.ndarray]:
    """Sum what the starting values need over patterns, as lmm_vectorised.moments."""
    q = patterns.S.shape[1]
    U, scaled = np.zeros((q, q)), np.zeros((q, q))
    all_U, all_S = np.zeros((q, q)), np.zeros((q, q))
    M = np.zeros((len(patterns.rows), len(patterns.rows)))
    explained, n_explained = 0.0, 0.0
    is_grouped = len(patterns.T) > 0
    for k in range(len(patterns.S)):
        S, count = patterns.S[k], patterns.count[k]
        m = 0
        for i in range(q):
            for j in range(i + 1):
                if is_grouped:
                    U[i, j] = patterns.T[k, m, -1]
                else:
                    U[i, j] = patterns.H[k, i, -1] * patterns.H[k, j, -1]
                U[j, i] = U[i, j]
                m += 1
        for i in range(q):
            for j in range(q):
                scaled[i, j] = count * S[i, j]
                all_S[i, j] += scaled[i, j]
                all_U[i, j] += U[i, j]
        part, rank = _explained(S, U)
        explained += part
        n_explained += count * rank
        add_traces(S, scaled, patterns.rows, patterns.columns, M)
    return explained, n_explained, all_U, all_S, M


@compiled
def _explained(S: np.ndarray, U: np.ndarray) -> tuple[float, float]:
    """Return ``tr(S^- U)`` with the pseudo-inverse, and the rank of `S`."""
    q = S.shape[0]
    values, vectors = eigen(S)
    largest, explained, rank = 0.0, 0.0, 0.0
    for v in range(q):
        largest = max(largest, values[v])
    for v in range(q):
        if values[v] > _RANK * largest:
            along = 0.0
            for i in range(q):
                for j in range(q):
                    along += vectors[i, v] * U[i, j] * vectors[j, v]
            explained += along / values[v]
            rank += 1.0
    return explained, rank


evaluate = _evaluate_loops if IS_COMPILED else lmm_vectorised.evaluate
"""As :func:`pmsstats.models.kernels.lmm_vectorised.evaluate`, compiled where that can be."""

differentiate = _differentiate_loops if IS_COMPILED else lmm_vectorised.differentiate
"""As :func:`pmsstats.models.kernels.lmm_vectorised.differentiate`, compiled where that can be."""

moments = _moments_loops if IS_COMPILED else lmm_vectorised.moments
"""As :func:`pmsstats.models.kernels.lmm_vectorised.moments`, compiled where that can be."""
