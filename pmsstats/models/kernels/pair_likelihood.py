"""Likelihood of a linear mixed model of two outcomes, with exact first and second derivatives.

Notation: rows of both outcomes are stacked, ``V = Z D Z' + R`` per subject, with ``R`` diagonal or,
for the two rows of one visit, ``[[s1, c], [c, s2]]``; columns ``C = [X1, X2, y]``. All that is
needed of the data are weighted sums of products within subjects
(:mod:`pmsstats.models.kernels.pair_sums`), so that an evaluation is a handful of operations on
stacks of q x q matrices, without a loop over subjects.

References
----------
.. [1] Harville DA. Maximum likelihood approaches to variance component estimation and to related
   problems. J Am Stat Assoc 1977;72:320-338. doi:10.1080/01621459.1977.10480998.
.. [2] Lindstrom MJ, Bates DM. Newton-Raphson and EM algorithms for linear mixed-effects models for
   repeated-measures data. J Am Stat Assoc 1988;83:1014-1022.
   doi:10.1080/01621459.1988.10478693.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pmsstats.models.kernels.pair_sums import PairSums

__all__ = ["PairTerms", "pair_terms"]

_LOG_2_PI = float(np.log(2 * np.pi))
_DIRECTIONS = np.array(
    [[[1.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]]
)


@dataclass(frozen=True, eq=False, kw_only=True)
class PairTerms:
    """The deviance (minus twice the log-likelihood) at one point, and what follows from it.

    Parameters
    ----------
    deviance : float
        Restricted or full, with all constants.
    gradient : ndarray, shape (q * q + n_residual,)
        In the entries of `D` (as if each could move alone), then in ``s1, s2[, c]``.
    hessian : ndarray, shape (q * q + n_residual,) * 2
        Second derivatives of the same; right for symmetric directions in `D`.
    fixed : ndarray, shape (p,)
        Generalised least-squares estimates of both outcomes' fixed effects.
    fixed_covariance : ndarray, shape (p, p)
        ``(X' V^-1 X)^-1``.
    modes : ndarray, shape (n_subjects, q)
        Best linear unbiased predictions of the random effects.
    mode_covariance : ndarray, shape (n_subjects, q, q)
        Of the random effects given the data, fixed effects taken as known.
    """

    deviance: float
    gradient: np.ndarray
    hessian: np.ndarray
    fixed: np.ndarray
    fixed_covariance: np.ndarray
    modes: np.ndarray
    mode_covariance: np.ndarray


@dataclass(frozen=True, eq=False, kw_only=True)
class _Precision:
    """Weights of the classes of rows in ``R^-1`` and its products with derivatives of ``R``."""

    weights: np.ndarray  # (n_classes,)
    once: np.ndarray  # (m, n_classes): R^-1 N R^-1
    twice: np.ndarray  # (m, m, n_classes): symmetric part of R^-1 N R^-1 N R^-1
    log_det: float  # log |R| over all rows
    traces: np.ndarray  # (m,): tr R^-1 N
    products: np.ndarray  # (m, m): tr R^-1 N R^-1 N


@dataclass(frozen=True, eq=False, kw_only=True)
class _Inner:
    """What a covariance makes of the sums, before any derivative."""

    K: np.ndarray  # (n, q, q): covariance of the random effects given the data
    G: np.ndarray  # Z'V^-1 Z
    U: np.ndarray  # (n, q, P): Z'V^-1 C
    Kh: np.ndarray  # (n, q, P): K Z'R^-1 C
    IAK: np.ndarray  # (n, q, q): I - Z'R^-1 Z K
    E: np.ndarray  # (P, P): C'V^-1 C
    log_det: float  # of V, over all subjects


def pair_terms(sums: PairSums, F: np.ndarray, residual: np.ndarray) -> PairTerms:
    """Evaluate the deviance and its derivatives.

    Parameters
    ----------
    sums : PairSums
        The data.
    F : ndarray, shape (q, q)
        Root of the random effects' covariance: ``D = F F'``; singular ones are allowed.
    residual : ndarray, shape (2,) or (3,)
        Residual variances of the two outcomes, and covariance at the same visit.

    Returns
    -------
    PairTerms
        With fixed effects profiled out.

    Notes
    -----
    With ``V_j`` the derivative of ``V`` in a parameter, ``r = y - X beta`` and
    ``C = (X'V^-1X)^-1``, the deviance has first derivatives ``tr V^-1 V_j - r'V^-1 V_j V^-1 r
    - tr C M_j`` (the last for REML) and second ones ``-tr V^-1 V_j V^-1 V_k + 2 r'V^-1 V_j V^-1
    V_k V^-1 r - 2 a_j' C a_k + 2 tr C X'V^-1 V_j V^-1 V_k V^-1 X - tr C M_j C M_k`` with
    ``a_j = X'V^-1 V_j V^-1 r`` and ``M_j = X'V^-1 V_j V^-1 X`` [1]_, [2]_. All are exact, none is
    expected.

    References
    ----------
    .. [1] Harville DA. Maximum likelihood approaches to variance component estimation and to
       related problems. J Am Stat Assoc 1977;72:320-338. doi:10.1080/01621459.1977.10480998.
    .. [2] Lindstrom MJ, Bates DM. Newton-Raphson and EM algorithms for linear mixed-effects models
       for repeated-measures data. J Am Stat Assoc 1988;83:1014-1022.
       doi:10.1080/01621459.1988.10478693.
    """
    precision = _precision(sums, residual)
    inner = _inner(sums, F, precision)
    deviance, fixed, covariance = _profile(sums, inner)
    c = np.append(-fixed, 1.0)
    gradient, hessian = _derivatives(sums, inner, precision, c, covariance)
    return PairTerms(
        deviance=deviance,
        gradient=gradient,
        hessian=hessian,
        fixed=fixed,
        fixed_covariance=covariance,
        modes=inner.Kh @ c,
        mode_covariance=inner.K,
    )


def _precision(sums: PairSums, residual: np.ndarray) -> _Precision:
    """Work out the weights that the residuals' covariance gives to each class of rows."""
    m, s = len(residual), residual[:2]
    n_single = np.array(sums.n_single, dtype=float)
    single = np.zeros((3, m, 2))  # 1 / s, and its products with the derivatives
    twice = np.zeros((m, m, 2))
    products = np.zeros((m, m))
    for k in (0, 1):
        single[0, k, k], twice[k, k, k] = 1 / s[k] ** 2, 1 / s[k] ** 3
        products[k, k] = n_single[k] / s[k] ** 2
    traces = np.append(n_single / s, np.zeros(m - 2))
    log_det = float(n_single @ np.log(s))
    if m == 2:
        return _Precision(
            weights=1 / s, once=single[0], twice=twice, log_det=log_det, traces=traces,
            products=products,
        )  # fmt: skip
    P = np.linalg.inv(np.array([[s[0], residual[2]], [residual[2], s[1]]]))
    PN = P @ _DIRECTIONS
    paired = np.einsum("mab,lbc,cd->mlad", PN, PN, P)
    paired = (paired + paired.transpose(1, 0, 2, 3)) / 2
    return _Precision(
        weights=np.concatenate([1 / s, _entries(P)]),
        once=np.concatenate([single[0], _entries(PN @ P)], axis=-1),
        twice=np.concatenate([twice, _entries(paired)], axis=-1),
        log_det=log_det - sums.n_paired * float(np.log(np.linalg.det(P))),
        traces=traces + sums.n_paired * np.trace(PN, axis1=1, axis2=2),
        products=products + sums.n_paired * np.einsum("mab,lba->ml", PN, PN),
    )


def _entries(matrix: np.ndarray) -> np.ndarray:
    """Return the diagonal and the off-diagonal entry of symmetric 2 x 2 matrices."""
    return np.stack([matrix[..., 0, 0], matrix[..., 1, 1], matrix[..., 0, 1]], axis=-1)


def _inner(sums: PairSums, F: np.ndarray, precision: _Precision) -> _Inner:
    """Work out what is needed at a point, by Woodbury's identity on q x q matrices."""
    A = _weighted(precision.weights, sums.S)
    h = _weighted(precision.weights, sums.H)
    T = _weighted(precision.weights, sums.T)
    eye = np.eye(len(F))
    M = eye + F.T @ A @ F
    root = np.linalg.cholesky(M)
    half = np.linalg.solve(root, np.broadcast_to(F.T, A.shape))
    K = half.transpose(0, 2, 1) @ half  # (D^-1 + A)^-1, for a singular D too
    AK = A @ K
    Kh = K @ h
    log_det = 2 * float(np.log(np.diagonal(root, axis1=1, axis2=2)).sum())
    return _Inner(
        K=K,
        G=A - AK @ A,
        U=h - A @ Kh,
        Kh=Kh,
        IAK=eye - AK,
        E=T - _over_rows(h, Kh),
        log_det=log_det + precision.log_det,
    )


def _weighted(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Add up the classes of rows by their weights."""
    made: np.ndarray = np.tensordot(weights, values, axes=1)
    return made


def _over_rows(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Sum ``left' right`` over subjects."""
    made: np.ndarray = left.reshape(-1, left.shape[-1]).T @ right.reshape(-1, right.shape[-1])
    return made


def _profile(sums: PairSums, inner: _Inner) -> tuple[float, np.ndarray, np.ndarray]:
    """Profile out the fixed effects: the deviance, their estimates and covariance."""
    E, p = inner.E, sums.n_fixed
    root = np.linalg.cholesky(E[:p, :p])
    inverse = np.linalg.solve(root, np.eye(p))
    covariance = inverse.T @ inverse
    fixed = covariance @ E[:p, p]
    deviance = inner.log_det + E[p, p] - float(E[:p, p] @ fixed)
    n_free = sums.n_obs
    if sums.is_reml:
        deviance += 2 * float(np.log(np.diag(root)).sum())
        n_free -= p
    return float(deviance + n_free * _LOG_2_PI), fixed, covariance


def _derivatives(
    sums: PairSums,
    inner: _Inner,
    precision: _Precision,
    c: np.ndarray,
    covariance: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return first and second derivatives of the deviance in D and in the residuals' covariance."""
    n, q, P = inner.U.shape
    p, m = P - 1, len(precision.traces)
    Q = _quadratic(c, covariance, is_reml=sums.is_reml)  # r'(.)r + tr C X'(.)X = <Q, C'(.)C>
    UQ = inner.U @ Q
    W = UQ @ inner.U.transpose(0, 2, 1)  # (n, q, q)
    B, h = _weighted(precision.once, sums.S), _weighted(precision.once, sums.H)
    hat = h - B @ inner.Kh  # (m, n, q, P): Z'R^-1 N R^-1 (C - Z K h)
    ZC = inner.IAK @ hat
    ZZ = inner.IAK @ B @ inner.IAK.transpose(0, 2, 1)
    T = _weighted(precision.once, sums.T)
    Kh = inner.Kh
    CC = T - np.stack([_over_rows(h[j] + hat[j], Kh) for j in range(m)])
    CC = (CC + CC.transpose(0, 2, 1)) / 2
    M = np.concatenate(
        [np.tensordot(inner.U, inner.U, axes=(0, 0)).transpose(0, 2, 1, 3).reshape(q * q, P, P), CC]
    )
    trace_R = precision.traces - np.einsum("nab,mnba->m", inner.K, B)
    traces = np.concatenate([inner.G.sum(axis=0).ravel(), trace_R])
    gradient = traces - np.tensordot(M, Q, axes=2)

    H = np.empty((q * q + m,) * 2)
    # D with D: sum over subjects of G_bc (2 W_ad - G_ad)
    pairs = inner.G.reshape(n, -1).T @ (2 * W - inner.G).reshape(n, -1)
    H[: q * q, : q * q] = pairs.reshape(q, q, q, q).transpose(2, 0, 1, 3).reshape(q * q, q * q)
    cross = 2 * np.einsum("nax,mnbx->mab", UQ, ZC, optimize=True) - ZZ.sum(axis=1)
    cross = (cross + cross.transpose(0, 2, 1)) / 2
    H[q * q :, : q * q] = cross.reshape(m, -1)
    H[: q * q, q * q :] = H[q * q :, : q * q].T
    H[q * q :, q * q :] = _residual_block(sums, inner, precision, Q, hat)
    a = M[:, :p] @ c  # X'V^-1 V_j V^-1 r
    H -= 2 * a @ covariance @ a.T
    if sums.is_reml:
        CM = covariance @ M[:, :p, :p]
        H -= np.einsum("jab,kba->jk", CM, CM, optimize=True)
    return gradient, (H + H.T) / 2


def _quadratic(c: np.ndarray, covariance: np.ndarray, *, is_reml: bool) -> np.ndarray:
    """Return the matrix whose product with ``C'(.)C`` is ``r'(.)r``, and for REML a trace more."""
    Q = np.outer(c, c)
    if is_reml:
        Q[:-1, :-1] += covariance
    return Q


def _residual_block(
    sums: PairSums,
    inner: _Inner,
    precision: _Precision,
    Q: np.ndarray,
    hat: np.ndarray,
) -> np.ndarray:
    """Return the second derivatives in the residuals' covariance, fixed effects held."""
    m = len(precision.traces)
    K, Kh = inner.K, inner.Kh
    made = np.empty((m, m))
    KB = K @ _weighted(precision.once, sums.S)
    KhQ = Kh @ Q
    for j in range(m):
        for k in range(j, m):
            weights = precision.twice[j, k]
            S = _weighted(weights, sums.S)
            H = _weighted(weights, sums.H)
            squares = float(np.sum(_weighted(weights, sums.T) * Q))
            squares += float(np.sum((S @ Kh - 2 * H) * KhQ))
            squares -= float(np.sum(hat[j] * (K @ hat[k] @ Q)))
            trace = precision.products[j, k] - 2 * float(np.einsum("nab,nba->", K, S))
            trace += float(np.einsum("nab,nba->", KB[j], KB[k]))
            made[j, k] = made[k, j] = 2 * squares - trace
    return made
