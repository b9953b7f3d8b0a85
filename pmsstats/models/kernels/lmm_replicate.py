"""Fitting one linear mixed model to many replicates of its outcome, compiled by numba.

Subjects of a replicate with the same columns and the same missed visits form a cell: their
products of columns are computed once, and only the outcome is added up subject by subject. Cells
with the same random columns form a pattern, as in :mod:`pmsstats.models.kernels.lmm_patterns`. Each
replicate is fitted by itself, from its own starting point, so that results do not depend on which
others are fitted, in what order, or by how many threads.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pmsstats.compiling import compiled
from pmsstats.models.kernels.lmm_kernel import profile
from pmsstats.models.kernels.lmm_maximum import GOOD_ENOUGH, Maximum, maximise, satterthwaite
from pmsstats.models.kernels.lmm_patterns import Patterns

__all__ = ["NO_MAXIMUM", "Fits", "Schedule", "fit_replicates"]

# Why a replicate has no answer; the words are REASONS of lmm_batch_result.
_INFINITE, _TOO_FEW, _CONSTANT, _DEFICIENT, _EXACT, _NO_RESIDUAL = 1, 2, 3, 4, 5, 6
NO_MAXIMUM = 7
"""Reason of a replicate whose likelihood could not be maximised."""

_MOST_VISITS = 62  # bits of a pattern of missed visits
_EXACTLY = 1e-20  # residual sum of squares, relative to the spread of the outcome
_NOTHING = 1e-11  # residual variance, relative to that of least squares


class Schedule(NamedTuple):
    """What all replicates share: rows ordered by subject, on the common scale.

    Parameters
    ----------
    order : ndarray of int, shape (n_rows,)
        Which response each row has.
    first : ndarray of int, shape (n_subjects + 1,)
        Where each subject's rows start.
    same_columns, same_random : ndarray of int, shape (n_subjects,)
        Equal for subjects with the same columns, or the same random columns.
    X : ndarray, shape (n_rows, p)
        Fixed effects.
    Z : ndarray, shape (n_rows, q)
        Random effects.
    rows, columns : ndarray of int, shape (r,)
        Free entries of the random effects' covariance.
    is_reml : bool
        Restricted or full.
    contrasts : ndarray, shape (m, p)
        The combinations of fixed effects that are wanted.
    """

    order: np.ndarray
    first: np.ndarray
    same_columns: np.ndarray
    same_random: np.ndarray
    X: np.ndarray
    Z: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    is_reml: bool
    contrasts: np.ndarray


class Fits(NamedTuple):
    """Answers, one entry per replicate; all but the last three are not numbers where it has none.

    Parameters
    ----------
    estimates, variances, df : ndarray, shape (n_replicates, m)
        Of the combinations of fixed effects.
    psi : ndarray, shape (n_replicates, q, q)
        Covariance of the random effects over the residual variance.
    sigma2 : ndarray, shape (n_replicates,)
        Residual variance.
    log_likelihood : ndarray, shape (n_replicates,)
        Restricted or full.
    gain : ndarray, shape (n_replicates,)
        By how much that could still rise.
    counts : ndarray of int, shape (n_replicates, 3)
        Rows, subjects, evaluations of the likelihood.
    is_singular : ndarray of bool, shape (n_replicates,)
        Whether a variance, or a combination, is zero.
    reason : ndarray of int, shape (n_replicates,)
        Zero, or why there is no answer.
    """

    estimates: np.ndarray
    variances: np.ndarray
    df: np.ndarray
    psi: np.ndarray
    sigma2: np.ndarray
    log_likelihood: np.ndarray
    gain: np.ndarray
    counts: np.ndarray
    is_singular: np.ndarray
    reason: np.ndarray


class _Cells(NamedTuple):
    """Room for the cells of one replicate: at most one per subject."""

    of: np.ndarray  # cell of each subject, or -1
    head: np.ndarray  # first subject
    visits: np.ndarray  # bits of the visits that were not missed
    size: np.ndarray  # number of subjects
    sums: np.ndarray  # of the outcome, per visit
    fitted: np.ndarray  # by least squares, per visit
    K: np.ndarray  # Z'X
    pattern: np.ndarray
    pattern_head: np.ndarray  # first cell of each pattern
    table: np.ndarray  # hashed places of cells or patterns


@compiled
def _room(schedule: Schedule) -> _Cells:
    """Allocate once for all replicates of a thread."""
    n, width = len(schedule.first) - 1, 1
    for s in range(n):
        width = max(width, schedule.first[s + 1] - schedule.first[s])
    n_places = 4
    while n_places < 2 * n:
        n_places *= 2
    q, p = schedule.Z.shape[1], schedule.X.shape[1]
    return _Cells(
        np.zeros(n, dtype=np.int64),
        np.zeros(n, dtype=np.int64),
        np.zeros(n, dtype=np.int64),
        np.zeros(n),
        np.zeros((n, width)),
        np.zeros((n, width)),
        np.zeros((n, q, p)),
        np.zeros(n, dtype=np.int64),
        np.zeros(n, dtype=np.int64),
        np.zeros(n_places, dtype=np.int64),
    )


@compiled
def _place(key: int, visits: int, n_places: int) -> int:
    """Return where in a table of hashed places to start looking."""
    mixed = (int(key) * 40503 + int(visits)) * 2654435761 & 0xFFFFFFFFFFFF
    return (mixed ^ (mixed >> 17)) & (n_places - 1)


@compiled
def _look(schedule: Schedule, y: np.ndarray, s: int, reference: float) -> tuple[int, int, float]:
    """Return a subject's visits as bits, their number, and squared distances from a reference."""
    start = schedule.first[s]
    visits, n_visits, spread = 0, 0, 0.0
    for i in range(start, schedule.first[s + 1]):
        value = y[schedule.order[i]]
        if value == value:  # noqa: PLR0124 - missing ones differ from themselves
            visits |= 1 << min(i - start, _MOST_VISITS - 1)
            n_visits += 1
            spread += (value - reference) * (value - reference)
    return visits, n_visits, spread


@compiled
def _any_response(y: np.ndarray) -> float:
    """Return the first response that is there."""
    for value in y:
        if value == value:  # noqa: PLR0124
            return value
    return 0.0


@compiled
def _find_cells(
    schedule: Schedule, y: np.ndarray, cells: _Cells
) -> tuple[int, int, int, int, float]:
    """Sort subjects into cells and add up their outcomes.

    Returns the numbers of cells, rows, subjects, and rows that subjects have beyond one for each
    random effect, and the sum of squares around one outcome.
    """
    n_subjects, n_places = len(schedule.first) - 1, len(cells.table)
    is_wide = cells.sums.shape[1] > _MOST_VISITS
    cells.table.fill(-1)
    n_cells, n_obs, n_seen, n_spare, spread = 0, 0, 0, 0, 0.0
    reference = _any_response(y)
    for s in range(n_subjects):
        start, stop = schedule.first[s], schedule.first[s + 1]
        visits, n_visits, distance = _look(schedule, y, s, reference)
        n_obs, spread = n_obs + n_visits, spread + distance
        cells.of[s] = -1
        if visits == 0:
            continue
        n_seen += 1
        n_spare += max(n_visits - schedule.Z.shape[1], 0)
        key = s if is_wide else schedule.same_columns[s]
        at = _place(key, visits, n_places)
        c = cells.table[at]
        while c >= 0:
            head = cells.head[c]
            same = head == s if is_wide else schedule.same_columns[head] == key
            if same and cells.visits[c] == visits:
                break
            at = (at + 1) & (n_places - 1)
            c = cells.table[at]
        if c < 0:
            c = n_cells
            n_cells += 1
            cells.table[at] = c
            cells.head[c], cells.visits[c], cells.size[c] = s, visits, 0.0
            for t in range(stop - start):
                cells.sums[c, t] = 0.0
        cells.of[s] = c
        cells.size[c] += 1.0
        for i in range(start, stop):
            value = y[schedule.order[i]]
            if value == value:  # noqa: PLR0124
                cells.sums[c, i - start] += value
    return n_cells, n_obs, n_seen, n_spare, spread


@compiled
def _find_patterns(schedule: Schedule, n_cells: int, cells: _Cells) -> int:
    """Sort cells into patterns; return how many there are."""
    n_places = len(cells.table)
    is_wide = cells.sums.shape[1] > _MOST_VISITS
    cells.table.fill(-1)
    n_patterns = 0
    for c in range(n_cells):
        key = cells.head[c] if is_wide else schedule.same_random[cells.head[c]]
        at = _place(key, cells.visits[c], n_places)
        k = cells.table[at]
        while k >= 0:
            other = cells.pattern_head[k]
            head = cells.head[other]
            same = other == c if is_wide else schedule.same_random[head] == key
            if same and cells.visits[other] == cells.visits[c]:
                break
            at = (at + 1) & (n_places - 1)
            k = cells.table[at]
        if k < 0:
            k = n_patterns
            n_patterns += 1
            cells.table[at] = k
            cells.pattern_head[k] = c
        cells.pattern[c] = k
    return n_patterns


@compiled
def _is_seen(schedule: Schedule, y: np.ndarray, i: int) -> bool:
    """Say whether a row has an outcome."""
    value = y[schedule.order[i]]
    return value == value  # type: ignore[no-any-return]  # noqa: PLR0124


@compiled
def _add_columns(
    schedule: Schedule, y: np.ndarray, n_cells: int, cells: _Cells, patterns: Patterns
) -> None:
    """Add the products of the columns, and the products of the fixed ones with the outcome."""
    q, p = schedule.Z.shape[1], schedule.X.shape[1]
    S = np.empty((q, q))
    for c in range(n_cells):
        k, size, K = cells.pattern[c], cells.size[c], cells.K[c]
        S.fill(0.0)
        K.fill(0.0)
        start = schedule.first[cells.head[c]]
        for i in range(start, schedule.first[cells.head[c] + 1]):
            if _is_seen(schedule, y, i):
                _add_row(schedule, i, size, cells.sums[c, i - start], patterns.squares)
                for a in range(q):
                    z = schedule.Z[i, a]
                    for b in range(p):
                        K[a, b] += z * schedule.X[i, b]
                    for b in range(q):
                        S[a, b] += z * schedule.Z[i, b]
        patterns.count[k] += size
        if cells.pattern_head[k] == c:
            patterns.S[k] = S
        _add_cell(K, size, patterns.T[k])


@compiled
def _add_row(schedule: Schedule, i: int, size: float, outcome: float, squares: np.ndarray) -> None:
    """Add the products of the fixed columns of a row that several subjects have."""
    p = schedule.X.shape[1]
    at = 0
    for a in range(p):
        x = schedule.X[i, a]
        for b in range(a, p):
            squares[at] += size * x * schedule.X[i, b]
            at += 1
        squares[at] += x * outcome
        at += 1


@compiled
def _add_cell(K: np.ndarray, size: float, T: np.ndarray) -> None:
    """Add the fixed part of the symmetric products of Z'B of some subjects with the same."""
    q, p = K.shape
    m = 0
    for c in range(q):
        for d in range(c + 1):
            at = 0
            for a in range(p):
                for b in range(a, p):
                    T[m, at] += 0.5 * size * (K[c, a] * K[d, b] + K[d, a] * K[c, b])
                    at += 1
                at += 1
            m += 1


@compiled
def _take_fitted(
    schedule: Schedule, y: np.ndarray, n_cells: int, cells: _Cells, beta: np.ndarray
) -> None:
    """Compute what least squares fits at each visit of a cell, and make room for new sums."""
    for c in range(n_cells):
        start = schedule.first[cells.head[c]]
        for i in range(start, schedule.first[cells.head[c] + 1]):
            if _is_seen(schedule, y, i):
                value = 0.0
                for a in range(len(beta)):
                    value += schedule.X[i, a] * beta[a]
                cells.fitted[c, i - start] = value
                cells.sums[c, i - start] = 0.0


@compiled
def _add_residuals(schedule: Schedule, y: np.ndarray, cells: _Cells, patterns: Patterns) -> None:
    """Add the squares of the residuals, and of their products with the random columns."""
    q = schedule.Z.shape[1]
    last = len(patterns.squares) - 1
    along = np.empty(q)
    total = 0.0
    for s in range(len(schedule.first) - 1):
        c = cells.of[s]
        if c < 0:
            continue
        start, stop = schedule.first[s], schedule.first[s + 1]
        for a in range(q):
            along[a] = 0.0
        for i in range(start, stop):
            value = y[schedule.order[i]] - cells.fitted[c, i - start]
            if value == value:  # noqa: PLR0124
                total += value * value
                cells.sums[c, i - start] += value
                for a in range(q):
                    along[a] += schedule.Z[i, a] * value
        T = patterns.T[cells.pattern[c]]
        m = 0
        for a in range(q):
            for b in range(a + 1):
                T[m, last] += along[a] * along[b]
                m += 1
    patterns.squares[last] = total


@compiled
def _add_cross_products(
    schedule: Schedule, y: np.ndarray, n_cells: int, cells: _Cells, patterns: Patterns
) -> None:
    """Add the products of fixed columns with residuals, within subjects and over all rows."""
    q, p = schedule.Z.shape[1], schedule.X.shape[1]
    u = np.empty(q)
    at = p
    for a in range(p):
        patterns.squares[at] = 0.0
        at += p - a
    for c in range(n_cells):
        u.fill(0.0)
        start = schedule.first[cells.head[c]]
        for i in range(start, schedule.first[cells.head[c] + 1]):
            if _is_seen(schedule, y, i):
                value = cells.sums[c, i - start]
                for a in range(q):
                    u[a] += schedule.Z[i, a] * value
                at = p
                for a in range(p):
                    patterns.squares[at] += schedule.X[i, a] * value
                    at += p - a
        K, T = cells.K[c], patterns.T[cells.pattern[c]]
        m = 0
        for a in range(q):
            for b in range(a + 1):
                at = p
                for j in range(p):
                    T[m, at] += 0.5 * (K[a, j] * u[b] + K[b, j] * u[a])
                    at += p - j
                m += 1


@compiled
def _summarise(
    schedule: Schedule, y: np.ndarray, cells: _Cells, beta: np.ndarray
) -> tuple[Patterns, int, int]:
    """Sum one replicate's products; return also its subjects, and why it cannot be fitted.

    `beta` is filled with the least-squares estimates, of whose residuals the products are.
    """
    q, p = schedule.Z.shape[1], schedule.X.shape[1]
    n_cells, n_obs, n_seen, n_spare, spread = _find_cells(schedule, y, cells)
    n_patterns = _find_patterns(schedule, n_cells, cells)
    n_packed = (p + 1) * (p + 2) // 2
    patterns = Patterns(
        np.zeros((n_patterns, q, q)),
        np.zeros(n_patterns),
        np.zeros((n_patterns, q * (q + 1) // 2, n_packed)),
        np.zeros((0, q, p + 1)),
        np.zeros(n_packed),
        float(n_obs),
        float(n_obs - p if schedule.is_reml else n_obs),
        schedule.is_reml,
        schedule.rows,
        schedule.columns,
    )
    reason = _refuse(n_obs, n_seen, p + len(schedule.rows) + 1, n_spare, spread)
    if reason:
        return patterns, n_seen, reason
    _add_columns(schedule, y, n_cells, cells, patterns)
    least_squares = profile(patterns.squares)
    if not np.isfinite(least_squares.log_det):
        return patterns, n_seen, _DEFICIENT
    for a in range(p):
        beta[a] = least_squares.beta[a]
    _take_fitted(schedule, y, n_cells, cells, beta)
    _add_residuals(schedule, y, cells, patterns)
    _add_cross_products(schedule, y, n_cells, cells, patterns)
    is_exact = patterns.squares[-1] <= _EXACTLY * spread
    return patterns, n_seen, _EXACT if is_exact else 0


@compiled
def _refuse(n_obs: int, n_subjects: int, n_parameters: int, n_spare: int, spread: float) -> int:
    """Say why a replicate cannot be fitted, before trying; as mixed_design does of one data set."""
    if n_obs > 0 and not np.isfinite(spread):
        return _INFINITE
    if n_subjects < 2 or n_obs <= n_parameters or n_spare == 0:
        return _TOO_FEW
    return _CONSTANT if spread == 0.0 else 0


@compiled
def _judge(patterns: Patterns, found: Maximum) -> int:
    """Say why what was found is no answer, or return zero."""
    if not found.sigma2 > _NOTHING * patterns.squares[-1] / patterns.n_obs:
        return _NO_RESIDUAL
    return 0 if found.gain < GOOD_ENOUGH else NO_MAXIMUM


@compiled
def _keep(schedule: Schedule, found: Maximum, beta: np.ndarray, out: Fits, r: int) -> None:
    """Put the answer of one replicate among the others."""
    p, q = len(beta), len(found.psi)
    out.is_singular[r] = found.is_singular
    out.sigma2[r], out.log_likelihood[r] = found.sigma2, found.log_likelihood
    for a in range(q):
        for b in range(q):
            out.psi[r, a, b] = found.psi[a, b]
    for m in range(len(schedule.contrasts)):
        estimate, variance = 0.0, 0.0
        for a in range(p):
            weight = schedule.contrasts[m, a]
            estimate += weight * (beta[a] + found.beta[a])
            for b in range(p):
                variance += weight * found.C[a, b] * schedule.contrasts[m, b]
        out.estimates[r, m], out.variances[r, m] = estimate, found.sigma2 * variance


@compiled
def fit_replicates(
    schedule: Schedule, responses: np.ndarray, start: int, stop: int, out: Fits
) -> None:
    """Fit some of the replicates.

    Parameters
    ----------
    schedule : Schedule
        What they share.
    responses : ndarray, shape (n_replicates, n_rows)
        Missing where a visit was missed.
    start, stop : int
        Which replicates.
    out : Fits
        Their entries are filled.
    """
    cells = _room(schedule)
    beta = np.zeros(schedule.X.shape[1])
    for r in range(start, stop):
        patterns, n_subjects, reason = _summarise(schedule, responses[r], cells, beta)
        out.counts[r, 0], out.counts[r, 1] = int(patterns.n_obs), n_subjects
        if reason == 0:
            found = maximise(patterns)
            out.counts[r, 2], out.gain[r] = found.n_evaluations, found.gain
            reason = _judge(patterns, found)
            if reason == 0:
                _keep(schedule, found, beta, out, r)
                df = satterthwaite(found, patterns.n_free, schedule.contrasts)
                for m in range(len(df)):
                    out.df[r, m] = df[m]
        out.reason[r] = reason
