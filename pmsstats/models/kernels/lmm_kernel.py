"""The profiled likelihood of a linear mixed model, and its first and second derivatives.

The data enter through the sums of :mod:`pmsstats.models.kernels.lmm_patterns`, whose
notation is used; besides, ``Psi = F F'`` with `F` lower triangular, `C` is the inverse of the X
part of ``A = B'V^-1 B``, ``c = (-beta, 1)``, and ``rss = c'A c``.

References
----------
.. [1] Wolfinger R, Tobias R, Sall J. Computing Gaussian likelihoods and their derivatives for
   general linear mixed models. SIAM J Sci Comput 1994;15:1294-1310. doi:10.1137/0915079.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pmsstats.compiling import compiled
from pmsstats.models.kernels.lmm_patterns import (
    Patterns,
    differentiate,
    product,
)

__all__ = [
    "Profile",
    "Slopes",
    "as_matrix",
    "deviance",
    "in_factor",
    "profile",
    "side",
    "slopes",
]

_LOG_2_PI = float(np.log(2 * np.pi))
_RANK = 1e-10  # share of a column's square that must be new


class Profile(NamedTuple):
    """What follows from `A`.

    Parameters
    ----------
    C : ndarray, shape (p, p)
        Inverse of the X part of `A`.
    beta : ndarray, shape (p,)
        Fixed effects.
    rss : float
        Residual sum of squares.
    log_det : float
        Of the X part of `A`.
    is_valid : bool
        False where that is not positive definite, or no residual is left.
    """

    C: np.ndarray
    beta: np.ndarray
    rss: float
    log_det: float
    is_valid: bool


class Slopes(NamedTuple):
    """Derivatives of the deviance in the free entries of Psi.

    Parameters
    ----------
    gradient : ndarray, shape (r,)
        First.
    hessian : ndarray, shape (r, r)
        Second, of the deviance with the residual variance profiled out.
    inner : ndarray, shape (r, P, P)
        Of `A`.
    log_rss : ndarray, shape (r,)
        Of the logarithm of the residual sum of squares.
    """

    gradient: np.ndarray
    hessian: np.ndarray
    inner: np.ndarray
    log_rss: np.ndarray


# --- the deviance and its derivatives ---------------------------------------------------------


@compiled
def profile(packed: np.ndarray) -> Profile:
    """Take the fixed effects out of ``A = B'V^-1 B``, by Cholesky's factor of its X part.

    Parameters
    ----------
    packed : ndarray, shape (P (P + 1) / 2,)
        `A`.

    Returns
    -------
    Profile
        Not valid where the X part is not positive definite or no residual is left.
    """
    A = _unpack(packed)
    p = A.shape[0] - 1
    inverse, C, beta = np.zeros((p, p)), np.zeros((p, p)), np.zeros(p)
    log_det = _invert_factor(A, inverse)
    rss = A[p, p]
    for k in range(p):
        part = 0.0
        for j in range(k + 1):
            part += inverse[k, j] * A[j, p]
        rss -= part * part
        for i in range(k + 1):
            beta[i] += inverse[k, i] * part
            for j in range(k + 1):
                C[i, j] += inverse[k, i] * inverse[k, j]
    return Profile(C, beta, rss, log_det, rss > 0.0 and np.isfinite(log_det))


@compiled
def _invert_factor(A: np.ndarray, inverse: np.ndarray) -> float:
    """Invert Cholesky's factor of the leading part of `A`; return log det, or not a number."""
    p = inverse.shape[0]
    L = np.zeros((p, p))
    log_det = 0.0
    for i in range(p):
        for j in range(i + 1):
            rest = A[i, j]
            for k in range(j):
                rest -= L[i, k] * L[j, k]
            if j < i:
                L[i, j] = rest / L[j, j]
            elif rest > _RANK * A[i, i]:
                L[i, i] = np.sqrt(rest)
                log_det += np.log(rest)
            else:
                return np.nan
    for j in range(p):
        for i in range(j, p):
            rest = 1.0 if i == j else 0.0
            for k in range(j, i):
                rest -= L[i, k] * inverse[k, j]
            inverse[i, j] = rest / L[i, i]
    return log_det


@compiled
def side(packed: np.ndarray) -> int:
    """Return the number of rows of a symmetric matrix of which one triangle is given.

    Parameters
    ----------
    packed : ndarray, shape (P (P + 1) / 2,)
        The triangle.

    Returns
    -------
    int
        P.
    """
    return int((np.sqrt(8.0 * len(packed) + 1.0) - 1.0) / 2.0 + 0.5)


@compiled
def _unpack(packed: np.ndarray) -> np.ndarray:
    """Return the symmetric matrix whose upper triangle is given along its rows."""
    size = side(packed)
    full = np.empty((size, size))
    at = 0
    for i in range(size):
        for j in range(i, size):
            full[i, j] = packed[at]
            full[j, i] = packed[at]
            at += 1
    return full


@compiled
def deviance(patterns: Patterns, found: Profile, log_det: float) -> float:
    """Return minus twice the profiled log-likelihood, with all constants.

    Parameters
    ----------
    patterns : Patterns
        The data.
    found : Profile
        From :func:`profile`.
    log_det : float
        Sum of log det V.

    Returns
    -------
    float
        Infinite where it cannot be computed.
    """
    if not found.is_valid:
        return np.inf
    value = log_det + patterns.n_free * (_LOG_2_PI + 1.0 + np.log(found.rss / patterns.n_free))
    return value + found.log_det if patterns.is_reml else value


@compiled
def slopes(patterns: Patterns, R: np.ndarray, found: Profile) -> Slopes:
    """Differentiate the profiled deviance twice in the free entries of Psi.

    Parameters
    ----------
    patterns : Patterns
        The data.
    R : ndarray, shape (k, q, q)
        From the evaluation.
    found : Profile
        From the same.

    Returns
    -------
    Slopes
        Also the derivatives of what the deviance is made of.

    Notes
    -----
    As [1]_ with the residual variance profiled out: with ``A_i = dA / dPsi_i``, the term of the
    residuals ``n log(rss)`` has the second derivative
    ``n / rss (c'A_ij c - 2 (A_i c)'C (A_j c)) - n / rss^2 (c'A_i c) (c'A_j c)``, and REML's
    ``log det`` has ``tr(C A_ij) - tr(C A_i C A_j)``.
    """
    p, r = len(found.beta), len(patterns.rows)
    ratio = patterns.n_free / found.rss
    total, slope, hessian = differentiate(patterns, R, _omega(patterns, found, ratio))
    inner, CA = np.empty((r, p + 1, p + 1)), np.empty((r, p, p))
    gradient, log_rss = np.empty(r), np.empty(r)
    Ac = np.empty((r, p))
    for i in range(r):
        a, b = patterns.rows[i], patterns.columns[i]
        times = 1.0 if a == b else 2.0
        gradient[i] = times * slope[a, b]
        entry = _unpack(total[a * (a + 1) // 2 + b])
        for j in range(p + 1):
            for k in range(p + 1):
                inner[i, j, k] = -times * entry[j, k]
        log_rss[i] = _form(inner[i], found, Ac[i]) / found.rss
        _from_left(found.C, inner[i], CA[i])
    CAc = product(Ac, found.C)
    for i in range(r):
        for j in range(i + 1):
            value = -patterns.n_free * log_rss[i] * log_rss[j]
            for k in range(p):
                value -= 2.0 * ratio * CAc[i, k] * Ac[j, k]
            if patterns.is_reml:
                value -= _trace_of_product(CA[i], CA[j])
            hessian[i, j] += value
            hessian[j, i] = hessian[i, j]
    return Slopes(gradient, hessian, inner, log_rss)


@compiled
def _omega(patterns: Patterns, found: Profile, ratio: float) -> np.ndarray:
    """Return the derivative of the deviance in the entries of `A`, packed."""
    p = len(found.beta)
    omega = np.empty(len(patterns.squares))
    at = 0
    for a in range(p + 1):
        for b in range(a, p + 1):
            left = -found.beta[a] if a < p else 1.0
            right = -found.beta[b] if b < p else 1.0
            omega[at] = ratio * left * right
            if patterns.is_reml and b < p:
                omega[at] += found.C[a, b]
            if a != b:
                omega[at] *= 2.0
            at += 1
    return omega


@compiled
def _form(inner: np.ndarray, found: Profile, Ac: np.ndarray) -> float:
    """Return ``c'A_i c``, and put ``A_i c`` into `Ac`."""
    p = len(found.beta)
    value = 0.0
    for j in range(p + 1):
        along = inner[j, p]
        for k in range(p):
            along -= inner[j, k] * found.beta[k]
        if j < p:
            Ac[j] = along
            value -= found.beta[j] * along
        else:
            value += along
    return value


@compiled
def _from_left(C: np.ndarray, inner: np.ndarray, out: np.ndarray) -> None:
    """Fill `out` with `C` times the X part of `inner`."""
    p = C.shape[0]
    for i in range(p):
        for j in range(p):
            value = 0.0
            for k in range(p):
                value += C[i, k] * inner[k, j]
            out[i, j] = value


@compiled
def _trace_of_product(left: np.ndarray, right: np.ndarray) -> float:
    """Return ``tr(left right)``."""
    value = 0.0
    for i in range(left.shape[0]):
        for j in range(left.shape[1]):
            value += left[i, j] * right[j, i]
    return value


@compiled
def as_matrix(patterns: Patterns, gradient: np.ndarray) -> np.ndarray:
    """Return the derivative in Psi as a symmetric matrix.

    Parameters
    ----------
    patterns : Patterns
        Says which entries are free.
    gradient : ndarray, shape (r,)
        In the free entries.

    Returns
    -------
    ndarray, shape (q, q)
        Of half the derivative on either side of the diagonal.
    """
    q = patterns.S.shape[1]
    matrix = np.zeros((q, q))
    for m in range(len(gradient)):
        a, b = patterns.rows[m], patterns.columns[m]
        matrix[a, b] = gradient[m] if a == b else 0.5 * gradient[m]
        matrix[b, a] = matrix[a, b]
    return matrix


@compiled
def in_factor(patterns: Patterns, F: np.ndarray, found: Slopes) -> tuple[np.ndarray, np.ndarray]:
    """Turn derivatives in Psi to those in its Cholesky factor.

    Parameters
    ----------
    patterns : Patterns
        Says which entries are free.
    F : ndarray, shape (q, q)
        The factor.
    found : Slopes
        Derivatives in Psi.

    Returns
    -------
    gradient : ndarray, shape (r,)
        In the free entries of `F`.
    hessian : ndarray, shape (r, r)
        By the chain rule: ``J'HJ`` and the first derivatives times those of `J`.
    """
    rows, columns = patterns.rows, patterns.columns
    r = len(rows)
    J = np.zeros((r, r))
    for m in range(r):
        for k in range(r):
            if rows[k] == rows[m]:
                J[m, k] += F[columns[m], columns[k]]
            if rows[k] == columns[m]:
                J[m, k] += F[rows[m], columns[k]]
    hessian = product(J.T, product(found.hessian, J))
    matrix = as_matrix(patterns, found.gradient)
    gradient = np.zeros(r)
    for i in range(r):
        for j in range(r):
            gradient[i] += J[j, i] * found.gradient[j]
            if columns[i] == columns[j]:
                hessian[i, j] += 2.0 * matrix[rows[i], rows[j]]
    return gradient, hessian
