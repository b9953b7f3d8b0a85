"""The climb to the maximum of a linear mixed model's likelihood.

Newton's method on the Cholesky factor of the random effects' covariance, with analytic first and
second derivatives. Notation as in :mod:`pmsstats.models.kernels.lmm_patterns` and
:mod:`pmsstats.models.kernels.lmm_kernel`.

References
----------
.. [1] Lindstrom MJ, Bates DM. Newton-Raphson and EM algorithms for linear mixed-effects models for
   repeated-measures data. J Am Stat Assoc 1988;83:1014-1022. doi:10.1080/01621459.1988.10478693.
.. [2] Rao CR. Minimum variance quadratic unbiased estimation of variance components. J Multivar
   Anal 1971;1:445-456. doi:10.1016/0047-259X(71)90019-4.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pmsstats.compiling import compiled
from pmsstats.models.kernels.lmm_kernel import (
    Profile,
    Slopes,
    deviance,
    in_factor,
    profile,
    side,
    slopes,
)
from pmsstats.models.kernels.lmm_patterns import Patterns, eigen, evaluate, moments, product

__all__ = ["Ascent", "ascent_at", "climb", "newton_step", "starting_factor"]

_MAX_STEPS = 100
_SHORTEST = 1e-20  # share of a step that is still tried
_DONE = 1e-13  # deviance that a further step could gain
_NEGATIVE = 1e-7  # curvature, relative to the largest, that counts as negative
_FLAT = 1e-9  # curvature, relative to the largest, that is not divided by
_FIRST_FLOOR = 0.01  # variance over the residual's that a start has at least


@compiled
def starting_factor(patterns: Patterns) -> np.ndarray:
    """Find a starting point from moments of the outcome.

    Parameters
    ----------
    patterns : Patterns
        The data; the outcome holds residuals of least squares.

    Returns
    -------
    ndarray, shape (q, q)
        `F`, a lower triangle.

    Notes
    -----
    The residual variance comes from within subjects; then Rao's equations [2]_
    ``sum(Z'y y'Z) = sum(S) + sum(S Psi S)`` are solved, and eigenvalues raised above zero.
    """
    explained, n_explained, U, S, M = moments(patterns)
    total = patterns.squares[-1]
    sigma2 = (total - explained) / max(patterns.n_obs - n_explained, 1.0)
    sigma2 = max(sigma2, 1e-12 * total / patterns.n_obs)
    values, vectors = eigen(M)
    psi = np.zeros(U.shape)
    for k in range(len(values)):
        if values[k] > _FLAT * values.max():
            along = 0.0
            for i in range(len(values)):
                a, b = patterns.rows[i], patterns.columns[i]
                times = 1.0 if a == b else 2.0
                along += vectors[i, k] * times * (U[a, b] / sigma2 - S[a, b])
            for i in range(len(values)):
                a, b = patterns.rows[i], patterns.columns[i]
                psi[a, b] += vectors[i, k] * along / values[k]
                psi[b, a] = psi[a, b]
    return _lower_factor(psi, _FIRST_FLOOR)


@compiled
def _lower_factor(psi: np.ndarray, floor: float) -> np.ndarray:
    """Return the Cholesky factor of a symmetric matrix with eigenvalues raised to a floor."""
    q = psi.shape[0]
    values, vectors = eigen(psi)
    F = np.zeros((q, q))
    for i in range(q):
        for j in range(i + 1):
            rest = 0.0
            for k in range(q):
                rest += vectors[i, k] * max(values[k], floor) * vectors[j, k]
            for k in range(j):
                rest -= F[i, k] * F[j, k]
            if i == j:
                F[i, i] = np.sqrt(max(rest, floor * 1e-8))
            else:
                F[i, j] = rest / F[j, j]
    return F


@compiled
def newton_step(
    gradient: np.ndarray, hessian: np.ndarray, size: float
) -> tuple[np.ndarray, float, bool]:
    """Return a step, the deviance that it should save, and whether this is a saddle.

    Newton's step with the absolute values of the curvatures, so that it always leads down. Along
    negative curvature, where the slope may vanish, it is at least a fifth of `size` long.

    Parameters
    ----------
    gradient : ndarray, shape (n,)
        First derivatives of the deviance.
    hessian : ndarray, shape (n, n)
        Second derivatives.
    size : float
        No entry of the step is longer than four times that.

    Returns
    -------
    step : ndarray, shape (n,)
        Where to go.
    gain : float
        Deviance that a whole Newton step should save.
    is_saddle : bool
        Whether some curvature is negative.
    """
    n = len(gradient)
    step = np.zeros(n)
    gain, is_saddle = 0.0, False
    if n == 0:
        return step, gain, is_saddle
    values, vectors = eigen(hessian)
    largest = max(np.abs(values).max(), 1e-300)
    for k in range(n):
        along = 0.0
        for i in range(n):
            along += vectors[i, k] * gradient[i]
        curvature = max(abs(values[k]), _FLAT * largest)
        move = -along / curvature
        gain += 0.5 * along * along / curvature
        if values[k] < -_NEGATIVE * largest:
            is_saddle = True
            move = max(move, 0.2 * size) if move >= 0.0 else min(move, -0.2 * size)
        for i in range(n):
            step[i] += move * vectors[i, k]
    longest = np.abs(step).max()
    if longest > 4.0 * size:
        for i in range(n):
            step[i] *= 4.0 * size / longest
    return step, gain, is_saddle


@compiled
def _moved(patterns: Patterns, F: np.ndarray, step: np.ndarray, length: float) -> np.ndarray:
    """Return `F` after a step in its free entries."""
    moved = F.copy()
    for k in range(len(step)):
        moved[patterns.rows[k], patterns.columns[k]] += length * step[k]
    return moved


class Ascent(NamedTuple):
    """Where a climb ended.

    Parameters
    ----------
    F : ndarray, shape (q, q)
        Cholesky factor of the covariance.
    found : Profile
        Of the likelihood there.
    value : float
        Deviance there; infinite where it cannot be computed.
    slopes : Slopes
        Derivatives there.
    n_evaluations : int
        Of the likelihood.
    """

    F: np.ndarray
    found: Profile
    value: float
    slopes: Slopes
    n_evaluations: int


@compiled
def climb(patterns: Patterns, F: np.ndarray) -> Ascent:
    """Descend on the deviance in the entries of `F` by safeguarded Newton steps [1]_.

    Parameters
    ----------
    patterns : Patterns
        The data.
    F : ndarray, shape (q, q)
        Where to start: a lower triangle.

    Returns
    -------
    Ascent
        Where a further step would gain next to nothing, or no step leads down.
    """
    R = np.empty_like(patterns.S)
    r, P = len(patterns.rows), side(patterns.squares)
    step, there = np.zeros(r), F
    found = Profile(np.zeros((P - 1, P - 1)), np.zeros(P - 1), np.nan, np.nan, False)
    there_slopes = Slopes(np.zeros(r), np.zeros((r, r)), np.zeros((r, P, P)), np.zeros(r))
    value, is_near, length, n_evaluations, n_steps = np.inf, False, 1.0, 0, 0
    while n_steps < _MAX_STEPS and length > _SHORTEST:
        # One place for all evaluations: the first one is a step of no length.
        there = _moved(patterns, F, step, length)
        A, log_det = evaluate(patterns, product(there, there.T), R)
        n_evaluations += 1
        trial = profile(A)
        reached = deviance(patterns, trial, log_det)
        if not (reached < value or (is_near and np.isfinite(reached))):
            length = 0.3 * length if n_steps > 0 else 0.0
            continue
        F, found, value = there, trial, reached
        there_slopes = slopes(patterns, R, found)
        gradient, hessian = in_factor(patterns, F, there_slopes)
        size = 0.25 + 0.5 * np.abs(F).max()
        step, gain, is_saddle = newton_step(gradient, hessian, size)
        if gain < _DONE and not is_saddle:
            break
        is_near = gain < 1e-9 + 1e-13 * abs(value) and not is_saddle  # less than rounding tells
        length, n_steps = 1.0, n_steps + 1
    return Ascent(F, found, value, there_slopes, n_evaluations)


def ascent_at(patterns: Patterns, F: np.ndarray) -> Ascent:
    """Evaluate likelihood and derivatives at one point, without climbing.

    Parameters
    ----------
    patterns : Patterns
        The data.
    F : ndarray, shape (q, q)
        A lower triangle.

    Returns
    -------
    Ascent
        As if a climb had ended there.
    """
    R = np.empty_like(patterns.S)
    A, log_det = evaluate(patterns, F @ F.T, R)
    found = profile(A)
    value = deviance(patterns, found, log_det)
    return Ascent(F, found, value, slopes(patterns, R, found), 1)
