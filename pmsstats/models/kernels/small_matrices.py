"""Factors of small symmetric matrices, compiled by numba."""

from __future__ import annotations

import numpy as np

from pmsstats.compiling import compiled

__all__ = ["cholesky", "invert", "lower_inverse", "mirror", "solve"]

_POSITIVE = 1e-13  # share of the diagonal that every pivot must be


@compiled
def cholesky(matrix: np.ndarray, least: float) -> tuple[np.ndarray, bool]:
    """Return the lower root of a matrix.

    Parameters
    ----------
    matrix : ndarray, shape (n, n)
        Symmetric.
    least : float
        Share of the diagonal that every pivot must be.

    Returns
    -------
    ndarray, shape (n, n)
        Lower triangle; unfinished where a pivot is too small.
    bool
        Whether none was.
    """
    n = len(matrix)
    L = np.zeros((n, n))
    for j in range(n):
        pivot = matrix[j, j]
        for k in range(j):
            pivot -= L[j, k] * L[j, k]
        if not (pivot > least * matrix[j, j] and matrix[j, j] > 0.0):
            return L, False
        L[j, j] = np.sqrt(pivot)
        for i in range(j + 1, n):
            value = matrix[i, j]
            for k in range(j):
                value -= L[i, k] * L[j, k]
            L[i, j] = value / L[j, j]
    return L, True


@compiled
def lower_inverse(L: np.ndarray) -> np.ndarray:
    """Return the inverse of a lower triangle.

    Parameters
    ----------
    L : ndarray, shape (n, n)
        Without zeros on the diagonal.

    Returns
    -------
    ndarray, shape (n, n)
        Lower triangle.
    """
    n = len(L)
    M = np.zeros((n, n))
    for j in range(n):
        M[j, j] = 1 / L[j, j]
        for i in range(j + 1, n):
            value = 0.0
            for k in range(j, i):
                value -= L[i, k] * M[k, j]
            M[i, j] = value / L[i, i]
    return M


@compiled
def mirror(matrix: np.ndarray) -> None:
    """Copy the lower triangle of a matrix to the upper one.

    Parameters
    ----------
    matrix : ndarray, shape (n, n)
        Changed in place.
    """
    for i in range(len(matrix)):
        for j in range(i):
            matrix[j, i] = matrix[i, j]


@compiled
def _scaled(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scale a symmetric matrix to a diagonal of one."""
    n = len(matrix)
    scale, made = np.empty(n), np.empty((n, n))
    for i in range(n):
        scale[i] = np.sqrt(abs(matrix[i, i])) + 1e-300
        for j in range(i + 1):
            made[i, j] = made[j, i] = matrix[i, j] / (scale[i] * scale[j])
    return made, scale


@compiled
def invert(matrix: np.ndarray) -> np.ndarray:
    """Invert a positive definite matrix.

    Parameters
    ----------
    matrix : ndarray, shape (n, n)
        Symmetric.

    Returns
    -------
    ndarray, shape (n, n)
        Not a number where it is not positive definite, to rounding.
    """
    made, scale = _scaled(matrix)
    L, is_positive = cholesky(made, _POSITIVE)
    if not is_positive:
        return np.full(matrix.shape, np.nan)
    M = lower_inverse(L)
    inverse = M.T @ M
    for i in range(len(matrix)):
        for j in range(len(matrix)):
            inverse[i, j] /= scale[i] * scale[j]
    return inverse


@compiled
def solve(matrix: np.ndarray, vector: np.ndarray) -> tuple[np.ndarray, bool]:
    """Solve a positive definite system.

    Parameters
    ----------
    matrix : ndarray, shape (n, n)
        Symmetric.
    vector : ndarray, shape (n,)
        Right-hand side.

    Returns
    -------
    ndarray, shape (n,)
        The solution.
    bool
        Whether the matrix is positive definite, to rounding.
    """
    n = len(vector)
    made, scale = _scaled(matrix)
    L, is_positive = cholesky(made, _POSITIVE)
    x = vector / scale
    if not is_positive:
        return x, False
    for i in range(n):
        for k in range(i):
            x[i] -= L[i, k] * x[k]
        x[i] /= L[i, i]
    for i in range(n - 1, -1, -1):
        for k in range(i + 1, n):
            x[i] -= L[k, i] * x[k]
        x[i] /= L[i, i]
    return x / scale, True
