"""The maximum of a linear mixed model's likelihood, judged, and Satterthwaite's degrees of freedom.

Notation as in :mod:`pmsstats.models.kernels.lmm_patterns` and
:mod:`pmsstats.models.kernels.lmm_kernel`.

References
----------
.. [1] Fai AHT, Cornelius PL. Approximate F-tests of multiple degree of freedom hypotheses in
   generalized least squares analyses of unbalanced split-plot experiments. J Stat Comput Simul
   1996;54:363-378. doi:10.1080/00949659608811740.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pmsstats.compiling import compiled
from pmsstats.models.kernels.lmm_climb import Ascent, climb, newton_step, starting_factor
from pmsstats.models.kernels.lmm_kernel import Slopes, as_matrix, side
from pmsstats.models.kernels.lmm_patterns import Patterns, eigen, product

__all__ = ["GOOD_ENOUGH", "Maximum", "conclude", "maximise", "satterthwaite"]

GOOD_ENOUGH = 1e-10
"""Log-likelihood units that a maximum may at most be short of."""

_FLAT = 1e-9  # curvature, relative to the largest, that is not divided by
_BOUNDARY = 1e-8  # as MixedLikelihood's: the square of lme4's relative standard deviation 1e-4


class Maximum(NamedTuple):
    """Where the likelihood is largest.

    Parameters
    ----------
    psi : ndarray, shape (q, q)
        Covariance of the random effects over the residual variance.
    beta : ndarray, shape (p,)
        Fixed effects.
    C : ndarray, shape (p, p)
        Inverse of X'V^-1 X.
    sigma2 : float
        Residual variance.
    log_likelihood : float
        Restricted or full, with all constants.
    gain : float
        By how much the log-likelihood could still rise, to second order; not a number where the
        likelihood cannot be computed.
    is_singular : bool
        Whether a variance, or a combination, is zero.
    n_evaluations : int
        Of the likelihood.
    tangent : ndarray, shape (r, t)
        Directions (of the free entries of Psi) that keep the rank of Psi.
    information : ndarray, shape (t, t)
        Second derivative of the profiled deviance along these.
    inner : ndarray, shape (r, P, P)
        Derivatives of `A`.
    log_rss : ndarray, shape (r,)
        Derivatives of the logarithm of the residual sum of squares.
    """

    psi: np.ndarray
    beta: np.ndarray
    C: np.ndarray
    sigma2: float
    log_likelihood: float
    gain: float
    is_singular: bool
    n_evaluations: int
    tangent: np.ndarray
    information: np.ndarray
    inner: np.ndarray
    log_rss: np.ndarray


@compiled
def _pairs(
    patterns: Patterns, values: np.ndarray, vectors: np.ndarray
) -> tuple[np.ndarray, np.ndarray, int]:
    """List pairs of eigenvectors of one block of which the first has variance."""
    q, r = len(values), len(patterns.rows)
    block = np.zeros(q, dtype=np.int64)
    for m in range(r - 1, -1, -1):  # the first free column of a row comes last
        block[patterns.rows[m]] = patterns.columns[m]
    of = np.empty(q, dtype=np.int64)
    for k in range(q):
        of[k] = block[np.argmax(np.abs(vectors[:, k]))]
    first, second = np.empty(r, dtype=np.int64), np.empty(r, dtype=np.int64)
    n = 0
    for i in range(q):
        for j in range(i + 1):
            if of[i] == of[j] and max(values[i], values[j]) > _BOUNDARY:
                is_swapped = values[i] < values[j]
                first[n] = j if is_swapped else i
                second[n] = i if is_swapped else j
                n += 1
    return first, second, n


@compiled
def _tangent(
    patterns: Patterns, values: np.ndarray, vectors: np.ndarray, matrix: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the directions that keep the rank of Psi, and the curvature of the rank itself.

    Between an eigenvector i with variance and null ones j, k the surface of covariances of this
    rank bends, which adds ``2 g_jk / value_i`` to the second derivatives along it.
    """
    first, second, n = _pairs(patterns, values, vectors)
    directions, bend = np.empty((len(patterns.rows), n)), np.zeros((n, n))
    rotated = product(vectors.T, product(matrix, vectors))
    for t in range(n):
        i, j = first[t], second[t]
        for m in range(len(patterns.rows)):
            a, b = patterns.rows[m], patterns.columns[m]
            directions[m, t] = vectors[a, i] * vectors[b, j]
            if i != j:
                directions[m, t] += vectors[a, j] * vectors[b, i]
        for s in range(n):
            is_null = max(values[j], values[second[s]]) <= _BOUNDARY
            if is_null and first[s] == i:
                bend[t, s] = 2.0 * rotated[j, second[s]] / values[i]
    return directions, bend


@compiled
def _null_gain(patterns: Patterns, values: np.ndarray, vectors: np.ndarray, found: Slopes) -> float:
    """Return by how much the log-likelihood could rise by making variances of zero larger."""
    q, r = len(values), len(patterns.rows)
    if values.min() > _BOUNDARY:
        return 0.0
    null = np.zeros((q, q))
    for k in range(q):
        if values[k] <= _BOUNDARY:
            for i in range(q):
                for j in range(q):
                    null[i, j] += vectors[i, k] * vectors[j, k]
    slope, ways = eigen(product(null, product(as_matrix(patterns, found.gradient), null)))
    gain = 0.0
    for k in range(q):
        if slope[k] < 0.0:
            direction = np.empty((r, 1))
            for m in range(r):
                direction[m, 0] = ways[patterns.rows[m], k] * ways[patterns.columns[m], k]
            curvature = abs(product(direction.T, product(found.hessian, direction))[0, 0])
            gain += slope[k] * slope[k] / max(curvature, 1e-12) / 4.0
    return gain


@compiled
def maximise(patterns: Patterns) -> Maximum:
    """Find the covariance of the random effects of largest likelihood.

    Parameters
    ----------
    patterns : Patterns
        The data; the outcome holds residuals of least squares.

    Returns
    -------
    Maximum
        With the `gain` that remained; it is a maximum where that is next to nothing. Where the
        climb from the moments ends nowhere, another is tried, from random effects that vary as
        much as the residual.
    """
    F = starting_factor(patterns)
    best = _nothing(patterns)
    n_evaluations = 0
    for _ in range(2):
        found = conclude(patterns, climb(patterns, F), n_evaluations)
        if _is_better(found, best):
            best = found
        if best.gain < GOOD_ENOUGH:
            break
        n_evaluations = found.n_evaluations
        F = np.eye(len(F))
    return best


@compiled
def _nothing(patterns: Patterns) -> Maximum:
    """Return what is worse than any maximum."""
    r, q, P = len(patterns.rows), patterns.S.shape[1], side(patterns.squares)
    return Maximum(
        np.zeros((q, q)),
        np.zeros(P - 1),
        np.zeros((P - 1, P - 1)),
        np.nan,
        -np.inf,
        np.inf,
        False,
        0,
        np.zeros((r, 0)),
        np.zeros((0, 0)),
        np.zeros((r, P, P)),
        np.zeros(r),
    )


@compiled
def _is_better(second: Maximum, first: Maximum) -> bool:
    """Say whether another end of a climb is to be preferred: a maximum, or a higher one."""
    if (second.gain < GOOD_ENOUGH) != (first.gain < GOOD_ENOUGH):
        return second.gain < GOOD_ENOUGH
    return second.log_likelihood > first.log_likelihood + 1e-9


@compiled
def conclude(patterns: Patterns, reached: Ascent, n_before: int) -> Maximum:
    """Work out everything that follows from where a climb ended, and judge it.

    Parameters
    ----------
    patterns : Patterns
        The data.
    reached : Ascent
        From :func:`~pmsstats.models.kernels.lmm_kernel.climb`.
    n_before : int
        Evaluations of the likelihood before this climb.

    Returns
    -------
    Maximum
        Its `gain` judges whether it is one: in the variances themselves, so that a variance of
        zero that would rather be larger is told from one that would not.
    """
    psi = product(reached.F, reached.F.T)
    found, here = reached.slopes, reached.found
    values, vectors = eigen(psi)
    tangent, bend = _tangent(patterns, values, vectors, as_matrix(patterns, found.gradient))
    information = product(tangent.T, product(found.hessian, tangent)) + bend
    gradient = np.zeros(tangent.shape[1])
    for t in range(len(gradient)):
        for m in range(tangent.shape[0]):
            gradient[t] += tangent[m, t] * found.gradient[m]
    _, saved, is_saddle = newton_step(gradient, information, 0.0)
    gain = _null_gain(patterns, values, vectors, found) + 0.5 * saved
    if is_saddle or not np.isfinite(reached.value):
        gain = np.inf
    return Maximum(
        psi,
        here.beta,
        here.C,
        here.rss / patterns.n_free,
        -0.5 * reached.value,
        gain,
        bool(values.min() <= _BOUNDARY),
        n_before + reached.n_evaluations,
        tangent,
        information,
        found.inner,
        found.log_rss,
    )


@compiled
def satterthwaite(found: Maximum, n_free: float, contrasts: np.ndarray) -> np.ndarray:
    """Return Satterthwaite's degrees of freedom of combinations of the fixed effects [1]_.

    Parameters
    ----------
    found : Maximum
        From :func:`maximise`.
    n_free : float
        Of the data.
    contrasts : ndarray, shape (m, p)
        One combination per row.

    Returns
    -------
    ndarray, shape (m,)
        ``2 v^2 / var(v)`` of each estimated variance ``v``.

    Notes
    -----
    With the residual variance profiled out, ``var(v) / v^2 = 2 (l'H^-1 l + 1 / n_free)`` for the
    derivative `l` of ``log v`` and the second derivative `H` of the profiled deviance, both along
    the covariances of the rank that was found. R: ``lmerTest``, whose Hessian in all parameters
    gives the same.
    """
    n_directions = found.tangent.shape[1]
    values, vectors = np.zeros(0), np.zeros((0, 0))
    if n_directions:
        values, vectors = eigen(found.information)
    df = np.empty(len(contrasts))
    for i in range(len(contrasts)):
        rotated = product(_log_slope(found, contrasts[i]), product(found.tangent, vectors))
        spread = 1.0 / n_free
        for k in range(n_directions):
            if values[k] > _FLAT * values.max():
                spread += rotated[0, k] * rotated[0, k] / values[k]
        df[i] = 1.0 / spread
    return df


@compiled
def _log_slope(found: Maximum, contrast: np.ndarray) -> np.ndarray:
    """Return the derivative of the logarithm of an estimate's variance, shape (1, r)."""
    p, r = len(found.beta), len(found.log_rss)
    weights = np.zeros(p)
    variance = 0.0
    for a in range(p):
        for b in range(p):
            weights[a] += found.C[a, b] * contrast[b]
        variance += weights[a] * contrast[a]
    slope = np.empty((1, r))
    for m in range(r):
        along = 0.0
        for a in range(p):
            for b in range(p):
                along += weights[a] * found.inner[m, a, b] * weights[b]
        slope[0, m] = found.log_rss[m] - along / variance
    return slope
