"""Fits of one marginal model to many replicates, compiled by numba.

Within a replicate, subjects with the same columns and the same missed visits form a cell. All that
the likelihood needs of a cell is how many subjects it has, their columns, and the sums of their
residuals and of the products of these. Cells with the same missed visits share one inverse (a
pattern). Notation as in :mod:`~pmsstats.models.repeated.mmrm_profile`; ``D[k]`` is the derivative
of ``Sigma`` in parameter k, ``U = V^-1 X R'^-1`` with ``X'V^-1 X = R R'``.

The search is Fisher scoring and Newton's method in variances, covariances and correlations
themselves, kept inside by halving steps. It gives up early: what it does not bring to a maximum is
left to :func:`~pmsstats.models.repeated.mmrm_likelihood.fit_marginal`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pmsstats.compiling import compiled
from pmsstats.models.kernels.mmrm_cells import Cells, find_cells, pattern_inverse, residuals, start
from pmsstats.models.kernels.mmrm_plan import CS, KENWARD_ROGER, SATTERTHWAITE, Answers, Plan
from pmsstats.models.kernels.mmrm_sigma import covariance, first_derivatives, second_derivatives
from pmsstats.models.kernels.small_matrices import cholesky, invert, lower_inverse, mirror, solve

__all__ = ["fit_replicates"]

_MAX_EVALUATIONS = 100
_MAX_HALVINGS = 30
_ENOUGH = 1e-13  # as in mmrm_optimise
_CONVERGED = 1e-8
_NEAR = 1.0  # squared distance, in standard errors, from which Newton's direction is taken
_SINGULAR = 1e-9  # share of a visit's variance that the visits before it must leave
_DEPENDENT = 1e-14  # share of a column's weight that must be new
_LOG_2_PI = 1.8378770664093453


class _Point(NamedTuple):
    """What follows from one theta; `half` is the inverse of the lower root of X'V^-1 X."""

    deviance: float
    fixed: np.ndarray
    half: np.ndarray
    P: np.ndarray
    W: np.ndarray
    is_valid: bool


class _Slopes(NamedTuple):
    """Derivatives at one point; A (k, p, p), U (c, T, p), D (k, T, T), D2 (k, k, T, T)."""

    gradient: np.ndarray
    observed: np.ndarray
    expected: np.ndarray
    A: np.ndarray
    U: np.ndarray
    D: np.ndarray
    D2: np.ndarray


class _Sums(NamedTuple):
    """Weighted errors of each cell (c, T); products of residuals and of U per pattern."""

    ebar: np.ndarray
    R: np.ndarray
    C: np.ndarray


@compiled
def _evaluate(plan: Plan, cells: Cells, theta: np.ndarray) -> _Point:
    """Return deviance and fixed effects at one theta."""
    T, p = plan.n_visits, plan.X.shape[1]
    P, W = np.zeros((len(cells.seen), T, T)), np.zeros(cells.X.shape)
    bad = _Point(np.inf, np.zeros(p), np.zeros((p, p)), P, W, False)
    log_det, n_rows, is_positive = _invert(plan, cells, theta, P)
    if not is_positive:
        return bad
    XVX, XVy, yVy = np.zeros((p, p)), np.zeros(p), 0.0
    for c in range(len(cells.n)):
        yVy += _weigh(cells, c, P[cells.pattern[c]], W[c], XVX, XVy)
    mirror(XVX)
    root, is_positive = cholesky(XVX, _DEPENDENT)
    if not is_positive:
        return bad
    half = lower_inverse(root)
    fixed = half.T @ (half @ XVy)
    deviance = log_det + yVy - XVy @ fixed + (n_rows - p * plan.is_reml) * _LOG_2_PI
    if plan.is_reml:
        deviance += 2 * np.log(np.diag(root)).sum()
    return _Point(deviance, fixed, half, P, W, True)


@compiled
def _invert(
    plan: Plan, cells: Cells, theta: np.ndarray, P: np.ndarray
) -> tuple[float, float, bool]:
    """Write the inverse of each pattern; return log determinant, rows, and whether all is well."""
    T, k = plan.n_visits, len(theta) // plan.n_groups
    log_det, n_rows = 0.0, 0.0
    if not np.isfinite(theta).all():
        return log_det, n_rows, False
    sigmas = np.empty((plan.n_groups, T, T))
    for g in range(plan.n_groups):
        sigmas[g] = covariance(plan, theta[g * k : (g + 1) * k])
        _, is_positive = cholesky(sigmas[g], _SINGULAR)
        if not is_positive:
            return log_det, n_rows, False
    counts = np.zeros(len(cells.seen))
    for c in range(len(cells.n)):
        counts[cells.pattern[c]] += cells.n[c]
    for v in range(len(cells.seen)):
        P[v], own, _ = pattern_inverse(sigmas[cells.group[v]], cells.seen[v])
        log_det += counts[v] * own
        n_rows += counts[v] * cells.seen[v].sum()
    return log_det, n_rows, True


@compiled
def _weigh(  # noqa: PLR0917
    cells: Cells, c: int, P: np.ndarray, W: np.ndarray, XVX: np.ndarray, XVy: np.ndarray
) -> float:
    """Write P X of a cell, add to the lower triangle of X'PX and to X'Py; return y'Py."""
    T, p = W.shape
    yVy = 0.0
    for i in range(T):
        for j in range(T):
            if P[i, j] != 0.0:
                yVy += P[i, j] * cells.S[c, i, j]
                for a in range(p):
                    W[i, a] += P[i, j] * cells.X[c, j, a]
    for i in range(T):
        for a in range(p):
            XVy[a] += W[i, a] * cells.s[c, i]
            weight = W[i, a] * cells.n[c]
            for b in range(a + 1):
                XVX[a, b] += weight * cells.X[c, i, b]
    return yVy


@compiled
def _slopes(plan: Plan, cells: Cells, theta: np.ndarray, point: _Point) -> _Slopes:
    """Differentiate the deviance twice."""
    T, p, G = plan.n_visits, plan.X.shape[1], plan.n_groups
    K, k = len(theta), len(theta) // G
    C, V = len(cells.n), len(cells.seen)
    U = (point.W.reshape(C * T, p) @ point.half.T.copy()).reshape(C, T, p)
    nP = np.zeros((V, T, T))
    sums = _Sums(np.zeros((C, T)), np.zeros((V, T, T)), np.zeros((V, T, T)))
    for c in range(C):
        _add_cell(plan, cells, c, point, U, sums)
        nP[cells.pattern[c]] += cells.n[c] * point.P[cells.pattern[c]]
    E = np.zeros((V, T, T))
    for v in range(V):
        E[v] = point.P[v] @ sums.R[v] @ point.P[v]
    gradient, observed = np.zeros(K), np.zeros((K, K))
    expected = np.zeros((K, K))
    A, b = np.zeros((K, p, p)), np.zeros((K, p))
    D = np.empty((K, T, T))
    D2 = np.zeros((0, 0, T, T))
    for g in range(G):
        own = slice(g * k, (g + 1) * k)
        D[own] = first_derivatives(plan, theta[own])
        second = second_derivatives(plan, theta[own], D[own])
        if len(second) and g == 0:
            D2 = np.zeros((K, K, T, T))
        slope = np.zeros((T, T))
        traces, squares = np.zeros((T * T, T * T)), np.zeros((T * T, T * T))
        for v in range(V):
            if cells.group[v] == g:
                slope += nP[v] - E[v] - sums.C[v]
                _add_cross(point.P[v], nP[v] - 2 * sums.C[v], traces)
                _add_cross(point.P[v], E[v], squares)
        flat = D[own].copy().reshape(k, T * T)
        gradient[own] = flat @ slope.reshape(T * T)
        expected[own, own] = flat @ traces @ flat.T
        observed[own, own] = 2 * (flat @ squares @ flat.T)
        if len(second):
            D2[own, own] = second
            curved = second.reshape(k * k, T * T) @ slope.reshape(T * T)
            observed[own, own] += curved.reshape(k, k)
        A[own], b[own] = _products(cells, g, U, sums.ebar, flat)
    if plan.is_reml:
        tall = A.reshape(K, p * p)
        expected += tall @ tall.T
    observed -= expected + 2 * (b @ b.T)
    return _Slopes(gradient, observed, expected, A, U, D, D2)


@compiled
def _add_cell(  # noqa: PLR0917
    plan: Plan,
    cells: Cells,
    c: int,
    point: _Point,
    U: np.ndarray,
    sums: _Sums,
) -> None:
    """Add a cell to its pattern: products of residuals, of columns; and sum its weighted errors."""
    T, p = plan.n_visits, plan.X.shape[1]
    v, n = cells.pattern[c], cells.n[c]
    mean, left = np.zeros(T), np.empty(T)
    for i in range(T):
        for a in range(p):
            mean[i] += cells.X[c, i, a] * point.fixed[a]
        left[i] = cells.s[c, i] - n * mean[i]
    for i in range(T):
        for j in range(T):
            sums.ebar[c, i] += point.P[v, i, j] * left[j]
            sums.R[v, i, j] += cells.S[c, i, j] - mean[i] * cells.s[c, j] - left[i] * mean[j]
    if not plan.is_reml:
        return
    for i in range(T):
        for j in range(i + 1):
            value = 0.0
            for a in range(p):
                value += U[c, i, a] * U[c, j, a]
            sums.C[v, i, j] += n * value
            if i != j:
                sums.C[v, j, i] += n * value


@compiled
def _add_cross(P: np.ndarray, Y: np.ndarray, total: np.ndarray) -> None:
    """Add ``P[b, c] Y[d, a]`` at (ab, cd): ``tr(V_k P V_l Y)`` for unit entries of V."""
    T = len(P)
    for a in range(T):
        for b in range(T):
            for c in range(T):
                if P[b, c] == 0.0:
                    continue
                for d in range(T):
                    total[a * T + b, c * T + d] += P[b, c] * Y[d, a]


@compiled
def _products(
    cells: Cells, g: int, U: np.ndarray, ebar: np.ndarray, flat: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the sums of ``n U' D_k U`` and of ``U' D_k ebar`` over the cells of a group."""
    C, T, p = U.shape
    k = len(flat)
    own = np.empty(C, np.int64)
    count = 0
    for c in range(C):
        if cells.group[cells.pattern[c]] == g:
            own[count] = c
            count += 1
    wide, errors = np.empty((count, T * p)), np.empty((count, T))
    weighted = np.empty((count, T * p))
    for i in range(count):
        wide[i] = U[own[i]].reshape(T * p)
        weighted[i] = cells.n[own[i]] * wide[i]
        errors[i] = ebar[own[i]]
    squares = wide.T @ weighted  # (T p, T p)
    crossed = wide.T @ errors  # (T p, T)
    by_entry = np.empty((T * T, p * p))
    by_error = np.empty((T * T, p))
    for a in range(T):
        for b in range(T):
            for i in range(p):
                by_error[a * T + b, i] = crossed[a * p + i, b]
                for j in range(p):
                    by_entry[a * T + b, i * p + j] = squares[a * p + i, b * p + j]
    return (flat @ by_entry).reshape(k, p, p), flat @ by_error


@compiled
def _direction(slopes: _Slopes) -> tuple[np.ndarray, float, bool]:
    """Return a step downhill, its squared distance in standard errors, and whether Newton's."""
    step, squared, is_newton = np.zeros(len(slopes.gradient)), np.inf, False
    curvatures = np.stack((slopes.expected, slopes.observed))
    for which in range(2):
        found, is_positive = solve(curvatures[which], slopes.gradient)
        distance = slopes.gradient @ found / 2
        if is_positive and (which == 0 or distance <= _NEAR):
            step, squared, is_newton = -found, distance, which == 1
    return step, squared, is_newton


@compiled
def _maximise(
    plan: Plan, cells: Cells, theta: np.ndarray
) -> tuple[np.ndarray, _Point, _Slopes, int, bool]:
    """Climb from a start; say whether the top was reached.

    Every function is called in one place only: the compiler would write it out once per call.
    """
    point, slopes = _nothing(plan, cells, len(theta))
    step, slope, squared, is_newton = np.zeros(len(theta)), 0.0, np.inf, False
    n_halvings, n_evaluations = 0, 0
    for _ in range(_MAX_EVALUATIONS):
        trial = _evaluate(plan, cells, theta + step)
        n_evaluations += 1
        bound = point.deviance + 1e-4 * slope + 1e-13 * (1 + abs(trial.deviance))
        if not (trial.is_valid and (not point.is_valid or trial.deviance <= bound)):
            n_halvings += 1
            if not point.is_valid or n_halvings > _MAX_HALVINGS:
                break
            step, slope = step / 2, slope / 2
            continue
        theta, point, n_halvings = theta + step, trial, 0
        slopes = _slopes(plan, cells, theta, point)
        step, squared, is_newton = _direction(slopes)
        if squared <= _ENOUGH or not np.isfinite(squared):
            break
        slope = slopes.gradient @ step
    return theta, point, slopes, n_evaluations, is_newton and squared <= _CONVERGED


@compiled
def _nothing(plan: Plan, cells: Cells, K: int) -> tuple[_Point, _Slopes]:
    """Return what stands for a point before there is one."""
    T, p = plan.n_visits, plan.X.shape[1]
    square, matrices = np.zeros((p, p)), np.zeros((len(cells.seen), T, T))
    point = _Point(np.inf, np.zeros(p), square, matrices, np.zeros(cells.X.shape), False)
    curvature = np.zeros((K, K))
    slopes = _Slopes(
        np.zeros(K),
        curvature,
        curvature,
        np.zeros((K, p, p)),
        np.zeros(cells.X.shape),
        np.zeros((K, T, T)),
        np.zeros((0, 0, T, T)),
    )
    return point, slopes


@compiled
def _adjustments(
    plan: Plan, cells: Cells, point: _Point, slopes: _Slopes, W: np.ndarray
) -> np.ndarray:
    """Return ``sum_kl W_kl (V_k P V_l - V_kl / 4)`` of each pattern (Kenward and Roger)."""
    T, G, K = plan.n_visits, plan.n_groups, len(W)
    k = K // G
    inside = np.zeros((len(cells.seen), T, T))
    for v in range(len(cells.seen)):
        g = cells.group[v]
        for i in range(g * k, (g + 1) * k):
            combined = np.zeros((T, T))
            for j in range(g * k, (g + 1) * k):
                combined += W[i, j] * slopes.D[j]
                if plan.method == KENWARD_ROGER and len(slopes.D2):
                    inside[v] -= W[i, j] / 4 * slopes.D2[i, j]
            inside[v] += slopes.D[i] @ point.P[v] @ combined
    return inside


@compiled
def _test(
    plan: Plan, cells: Cells, point: _Point, slopes: _Slopes
) -> tuple[np.ndarray, np.ndarray]:
    """Return variance and degrees of freedom of each combination."""
    variances, df = np.empty(len(plan.contrasts)), np.empty(len(plan.contrasts))
    K, p = len(slopes.gradient), len(point.fixed)
    W = np.zeros((K, K))
    inside = np.zeros((0, plan.n_visits, plan.n_visits))
    if plan.method:
        W = 2 * invert(slopes.observed)
        if plan.method > SATTERTHWAITE:
            inside = _adjustments(plan, cells, point, slopes, W)
    Q = _spread(plan, cells, slopes, inside)
    tall = slopes.A.reshape(K * p, p)
    for m in range(len(plan.contrasts)):
        z = point.half @ plan.contrasts[m]
        variance = z @ z
        Az = (tall @ z).reshape(K, p)
        slope = Az @ z
        df[m] = 2 * variance**2 / (slope @ W @ slope) if plan.method else np.inf
        if plan.method > SATTERTHWAITE:
            variance += 2 * (z @ Q @ z - (W * (Az @ Az.T)).sum())
        variances[m] = variance
    return variances, df


@compiled
def _spread(plan: Plan, cells: Cells, slopes: _Slopes, inside: np.ndarray) -> np.ndarray:
    """Return the sum of ``n U' M U`` over the cells, M of each cell's pattern."""
    C, T, p = slopes.U.shape
    Q = np.zeros((p, p))
    if plan.method <= SATTERTHWAITE:
        return Q
    turned = np.zeros((C, T, p))
    for c in range(C):
        for i in range(T):
            for j in range(T):
                weight = cells.n[c] * inside[cells.pattern[c], i, j]
                for a in range(p):
                    turned[c, i, a] += weight * slopes.U[c, j, a]
    return slopes.U.reshape(C * T, p).T @ turned.reshape(C * T, p)


@compiled
def fit_replicates(
    plan: Plan, responses: np.ndarray, start_row: int, stop_row: int, answers: Answers
) -> None:
    """Fit some replicates.

    Parameters
    ----------
    plan : Plan
        What all replicates share.
    responses : ndarray, shape (n_replicates, n_rows)
        Not a number where a visit was missed.
    start_row, stop_row : int
        Which replicates.
    answers : Answers
        Filled in place; `reason` is 7 where no maximum was found.
    """
    p, K = plan.X.shape[1], answers.theta.shape[1]
    units = np.ones(K)
    n_units = K // plan.n_groups  # of the parameters of a group, how many have a unit
    if plan.structure > CS:
        n_units = plan.n_visits if plan.by_visit else 1
    for row in range(start_row, stop_row):
        r, coefficients, size, reason = residuals(plan, responses[row][plan.order])
        answers.reason[row] = reason
        if reason:
            continue
        cells = find_cells(plan, r)
        theta = start(plan, cells, K)
        theta, point, slopes, n_evaluations, converged = _maximise(plan, cells, theta)
        answers.counts[row, 2] = n_evaluations
        if not converged:
            answers.reason[row] = 7
            continue
        variances, answers.df[row] = _test(plan, cells, point, slopes)
        answers.variances[row] = size**2 * variances
        answers.estimates[row] = plan.contrasts @ (coefficients + size * point.fixed)
        n_free = answers.counts[row, 0] - p * plan.is_reml
        answers.log_likelihood[row] = -0.5 * point.deviance - n_free * np.log(size)
        for i in range(K):
            units[i] = size**2 if i % (K // plan.n_groups) < n_units else 1.0
        answers.theta[row] = theta * units
