"""Sums of one replicate's residuals over subjects who share columns and visits, by numba."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pmsstats.compiling import compiled
from pmsstats.models.kernels.mmrm_plan import Plan
from pmsstats.models.kernels.mmrm_sigma import start_of
from pmsstats.models.kernels.small_matrices import cholesky, lower_inverse, mirror

__all__ = ["Cells", "find_cells", "pattern_inverse", "residuals", "start"]

_RANK = 1e-9  # share of a column's square that must be new
_EXACT = 1e-22  # share of the outcome's square that residuals must have
_SINGULAR = 1e-9  # share of a visit's variance that the visits before it must leave


class Cells(NamedTuple):
    """Sums of one replicate over subjects with the same columns and visits.

    Parameters
    ----------
    X : ndarray, shape (c, T, p)
        Columns, zero where a visit is missing.
    n : ndarray, shape (c,)
        Number of subjects.
    s : ndarray, shape (c, T)
        Sums of residuals.
    S : ndarray, shape (c, T, T)
        Sums of their products.
    pattern : ndarray of int, shape (c,)
        Pattern of each cell.
    seen : ndarray of bool, shape (n_patterns, T)
        Visits of each pattern.
    group : ndarray of int, shape (n_patterns,)
        Group of each pattern.
    """

    X: np.ndarray
    n: np.ndarray
    s: np.ndarray
    S: np.ndarray
    pattern: np.ndarray
    seen: np.ndarray
    group: np.ndarray


@compiled
def _normal_equations(plan: Plan, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, float, int]:
    """Return X'X, X'y and y'y over the rows with a response, and what is wrong with these."""
    n_rows, p = plan.X.shape
    XX, Xy = np.zeros((p, p)), np.zeros(p)
    n, square = 0, 0.0
    low, high = np.inf, -np.inf
    for i in range(n_rows):
        value = y[i]
        if np.isnan(value):
            continue
        n += 1
        low, high, square = min(low, value), max(high, value), square + value * value
        for a in range(p):
            Xy[a] += plan.X[i, a] * value
            for b in range(a + 1):
                XX[a, b] += plan.X[i, a] * plan.X[i, b]
    reason = 0
    if np.isinf(low) or np.isinf(high):
        reason = 1 if n else 2
    elif n < p + 2:
        reason = 2
    elif low == high:
        reason = 3
    mirror(XX)
    return XX, Xy, square, reason


@compiled
def residuals(plan: Plan, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, float, int]:
    """Return least-squares residuals of one replicate.

    Parameters
    ----------
    plan : Plan
        What all replicates share.
    y : ndarray, shape (n_rows,)
        Responses in the order of the plan.

    Returns
    -------
    ndarray, shape (n_rows,)
        Residuals of unit size.
    ndarray, shape (p,)
        Coefficients.
    float
        What the residuals were divided by.
    int
        Zero, or why there are none.
    """
    n_rows, p = plan.X.shape
    XX, Xy, square, reason = _normal_equations(plan, y)
    if reason:
        return y, Xy, 0.0, reason
    L, is_positive = cholesky(XX, _RANK)
    if not is_positive:
        return y, Xy, 0.0, 4
    M = lower_inverse(L)
    coefficients = M.T @ (M @ Xy)
    r = y - plan.X @ coefficients
    again = np.zeros(p)  # against rounding
    for i in range(n_rows):
        if not np.isnan(r[i]):
            for a in range(p):
                again[a] += plan.X[i, a] * r[i]
    change = M.T @ (M @ again)
    coefficients += change
    r -= plan.X @ change
    total = np.nansum(r * r)
    if total <= _EXACT * square:
        return y, Xy, 0.0, 5
    size = np.sqrt(total / np.count_nonzero(~np.isnan(r)))
    return r / size, coefficients, size, 0


@compiled
def _keys(plan: Plan, r: np.ndarray, n_columns: int) -> np.ndarray:
    """Give subjects a number by group, visits and columns; minus one without any visit."""
    n_subjects, T = len(plan.first) - 1, plan.n_visits
    keys = np.full(n_subjects, -1)
    for s in range(n_subjects):
        mask = 0
        for i in range(plan.first[s], plan.first[s + 1]):
            if not np.isnan(r[i]):
                mask |= 1 << plan.visit[i]
        if mask:
            keys[s] = ((plan.group[s] << T) | mask) * n_columns + plan.columns[s]
    return keys


@compiled
def find_cells(plan: Plan, r: np.ndarray) -> Cells:
    """Sum residuals and their products over subjects with the same columns and visits.

    Parameters
    ----------
    plan : Plan
        What all replicates share.
    r : ndarray, shape (n_rows,)
        Residuals; not a number where a visit was missed.

    Returns
    -------
    Cells
        Sorted by pattern.
    """
    T, p = plan.n_visits, plan.X.shape[1]
    n_columns = plan.columns.max() + 1
    keys = _keys(plan, r, n_columns)
    order = np.argsort(keys, kind="mergesort")
    order = order[np.count_nonzero(keys < 0) :]
    cell_of, n_cells, n_patterns = np.empty(len(order), np.int64), 0, 0
    pattern_of = np.empty(len(order), np.int64)
    for a in range(len(order)):
        key, before = keys[order[a]], keys[order[a - 1]] if a else -1
        n_cells += key != before
        n_patterns += a == 0 or key // n_columns != before // n_columns
        cell_of[a], pattern_of[a] = n_cells - 1, n_patterns - 1
    cells = Cells(
        np.zeros((n_cells, T, p)),
        np.zeros(n_cells),
        np.zeros((n_cells, T)),
        np.zeros((n_cells, T, T)),
        np.empty(n_cells, np.int64),
        np.zeros((n_patterns, T), np.bool_),
        np.empty(n_patterns, np.int64),
    )
    for a in range(len(order)):
        s, c = order[a], cell_of[a]
        cells.n[c] += 1
        cells.pattern[c] = pattern_of[a]
        cells.group[pattern_of[a]] = plan.group[s]
        for i in range(plan.first[s], plan.first[s + 1]):
            if np.isnan(r[i]):
                continue
            cells.X[c, plan.visit[i]] = plan.X[i]
            cells.s[c, plan.visit[i]] += r[i]
            cells.seen[pattern_of[a], plan.visit[i]] = True
            for j in range(plan.first[s], plan.first[s + 1]):
                if not np.isnan(r[j]):
                    cells.S[c, plan.visit[i], plan.visit[j]] += r[i] * r[j]
    return cells


@compiled
def start(plan: Plan, cells: Cells, n_parameters: int) -> np.ndarray:
    """Return starting values from moments of residuals.

    Parameters
    ----------
    plan : Plan
        What all replicates share.
    cells : Cells
        Of one replicate.
    n_parameters : int
        Of all groups.

    Returns
    -------
    ndarray, shape (n_parameters,)
        Group after group.
    """
    T, k = plan.n_visits, n_parameters // plan.n_groups
    theta = np.empty(n_parameters)
    for g in range(plan.n_groups):
        sums, together = np.zeros((T, T)), np.zeros((T, T))
        for c in range(len(cells.n)):
            if cells.group[cells.pattern[c]] != g:
                continue
            seen = cells.seen[cells.pattern[c]]
            sums += cells.S[c]
            for i in range(T):
                for j in range(T):
                    together[i, j] += cells.n[c] * (seen[i] and seen[j])
        theta[g * k : (g + 1) * k] = start_of(plan, sums, together, k)
    return theta


@compiled
def pattern_inverse(sigma: np.ndarray, seen: np.ndarray) -> tuple[np.ndarray, float, bool]:
    """Return the inverse of the part of a covariance that is seen.

    Parameters
    ----------
    sigma : ndarray, shape (T, T)
        Of all visits.
    seen : ndarray of bool, shape (T,)
        Which visits there are.

    Returns
    -------
    ndarray, shape (T, T)
        Zero where a visit is missing.
    float
        Log determinant of that part.
    bool
        Whether it is positive definite.
    """
    T = len(seen)
    where = np.flatnonzero(seen)
    t = len(where)
    part = np.empty((t, t))
    for i in range(t):
        for j in range(t):
            part[i, j] = sigma[where[i], where[j]]
    L, is_positive = cholesky(part, _SINGULAR)
    P = np.zeros((T, T))
    if not is_positive:
        return P, 0.0, False
    M = lower_inverse(L)
    log_det = 0.0
    for i in range(t):
        log_det += 2 * np.log(L[i, i])
        for j in range(i + 1):
            value = 0.0
            for k in range(i, t):
                value += M[k, i] * M[k, j]
            P[where[i], where[j]] = P[where[j], where[i]] = value
    return P, log_det, True
