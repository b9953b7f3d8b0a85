"""The likelihood of a hidden Markov model of panel data and its derivatives, compiled by numba.

Every function takes real or complex numbers: with a small imaginary part in one parameter, the
imaginary part of a derivative is a second derivative, exact to rounding [1]_.

Matrices of transition probabilities are summed by uniformisation [2]_: with ``B = I + Q / r`` and
``r`` no smaller than any rate of leaving, ``exp(Q t) = sum_k Poisson(k; r t) B^k``. No term is
negative, so that even small probabilities keep their digits, equal rates are no special case, and
all intervals of a pattern share the powers of B. Derivatives run backwards through the same sums.

References
----------
.. [1] Squire W, Trapp G. Using complex variables to estimate derivatives of real functions. SIAM
   Rev 1998;40:110-112. doi:10.1137/S003614459631241X.
.. [2] Moler C, Van Loan C. Nineteen dubious ways to compute the exponential of a matrix,
   twenty-five years later. SIAM Rev 2003;45:3-49. doi:10.1137/S00361445024180.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pmsstats.compiling import compiled
from pmsstats.models.kernels.states_plan import LONGEST, Evaluation, StatesPlan

__all__ = ["evaluate", "likeliest_paths", "transition_matrices"]


class _Rows(NamedTuple):
    """Per row: forward probabilities, those before what was seen, of what was seen, their sum."""

    alpha: np.ndarray
    before: np.ndarray
    seen: np.ndarray
    total: np.ndarray


@compiled
def _generator(plan: StatesPlan, log_intensity: np.ndarray) -> tuple[np.ndarray, float]:
    """Return B = I + Q / rate of one pattern, and the rate."""
    S = plan.n_states
    B = np.zeros((S, S), log_intensity.dtype)
    for t in range(len(plan.origin)):
        B[plan.origin[t], plan.target[t]] = np.exp(log_intensity[t])
    rate = 1e-300
    for r in range(S):
        total = B[r, 0] * 0.0
        for s in range(S):
            total += B[r, s]
        B[r, r] = -total
        rate = max(rate, total.real)
    for r in range(S):
        for s in range(S):
            B[r, s] = B[r, s] / rate
        B[r, r] += 1.0
    return B, rate


@compiled
def _powers(B: np.ndarray, n: int) -> np.ndarray:
    """Return B^0 ... B^(n - 1)."""
    S = len(B)
    powers = np.zeros((n, S, S), B.dtype)
    for r in range(S):
        powers[0, r, r] = 1.0
    for k in range(1, n):
        _add_product(powers[k - 1], B, powers[k])
    return powers


@compiled
def _add_product(left: np.ndarray, right: np.ndarray, out: np.ndarray) -> None:
    """Add a product of two small matrices to `out`."""
    S = len(out)
    for r in range(S):
        for k in range(S):
            factor = left[r, k]
            if factor != 0.0:
                for s in range(S):
                    out[r, s] += factor * right[k, s]


@compiled
def _n_terms(mean: float) -> int:
    """Return how many terms are summed; as :func:`states_plan.n_terms`."""
    return int(mean + 8.5 * np.sqrt(mean)) + 10


@compiled
def _longest(plan: StatesPlan, p: int) -> float:
    """Return the longest interval of a pattern."""
    longest = 0.0
    for m in range(plan.pattern_start[p], plan.pattern_start[p + 1]):
        longest = max(longest, plan.interval_time[m])
    return longest


@compiled
def transition_matrices(plan: StatesPlan, log_intensity: np.ndarray) -> tuple[np.ndarray, bool]:
    """Return the matrix of transition probabilities of every interval.

    Parameters
    ----------
    plan : StatesPlan
        Of which transitions, patterns and intervals are read.
    log_intensity : ndarray, shape (n_patterns, T)
        Real or complex.

    Returns
    -------
    ndarray, shape (n_intervals, S, S)
        Rows sum to one.
    bool
        False where an intensity is beyond what is computed.
    """
    S = plan.n_states
    P = np.zeros((len(plan.interval_time), S, S), log_intensity.dtype)
    for p in range(len(log_intensity)):
        B, rate = _generator(plan, log_intensity[p])
        longest = rate * _longest(plan, p)
        if not longest <= LONGEST:
            return P, False
        powers = _powers(B, _n_terms(longest))
        for m in range(plan.pattern_start[p], plan.pattern_start[p + 1]):
            mean = rate * plan.interval_time[m]
            weight = np.exp(-mean)
            for k in range(_n_terms(mean)):
                for r in range(S):
                    for s in range(S):
                        P[m, r, s] += weight * powers[k, r, s]
                weight *= mean / (k + 1)
    return P, True


@compiled
def _back(plan: StatesPlan, log_intensity: np.ndarray, A: np.ndarray, out: np.ndarray) -> None:
    """Add to `out` the derivatives in log intensities, of derivatives `A` in probabilities."""
    S = plan.n_states
    for p in range(len(log_intensity)):
        B, rate = _generator(plan, log_intensity[p])
        n = _n_terms(rate * _longest(plan, p))
        powers = _powers(B, n)
        C = np.zeros((n, S, S), A.dtype)
        for m in range(plan.pattern_start[p], plan.pattern_start[p + 1]):
            mean = rate * plan.interval_time[m]
            weight = np.exp(-mean)
            for k in range(_n_terms(mean)):
                for r in range(S):
                    for s in range(S):
                        C[k, r, s] += weight * A[m, r, s]
                weight *= mean / (k + 1)
        dB = np.zeros((S, S), A.dtype)
        for k in range(n - 1, 0, -1):  # B^k = B^(k-1) B
            _add_product(powers[k - 1].T, C[k], dB)
            _add_product(C[k], B.T, C[k - 1])
        for t in range(len(plan.origin)):
            r, s = plan.origin[t], plan.target[t]
            out[p, t] += np.exp(log_intensity[p, t]) * (dB[r, s] - dB[r, r]) / rate


@compiled
def _fill_densities(
    plan: StatesPlan, log_intensity: np.ndarray, emission: np.ndarray, seen: np.ndarray
) -> None:
    """Fill `seen` with the probability (or density) of every row, given each true state."""
    for j in range(len(plan.code)):
        if plan.exact[j] < 0:
            for s in range(plan.n_states):
                seen[j, s] = emission[plan.rating[j], s, plan.code[j]]
            continue
        p = plan.interval_pattern[plan.interval[j]]
        for t in range(len(plan.origin)):
            if plan.target[t] == plan.exact[j]:
                seen[j, plan.origin[t]] = np.exp(log_intensity[p, t])


@compiled
def evaluate(
    plan: StatesPlan, log_intensity: np.ndarray, emission: np.ndarray, initial: np.ndarray
) -> Evaluation:
    """Return the log-likelihood of every subject and its derivatives.

    Parameters
    ----------
    plan : StatesPlan
        The observations.
    log_intensity : ndarray, shape (n_patterns, T)
        Real or complex, as the following two.
    emission : ndarray, shape (n_ratings, S, n_codes)
        Probability of each code, given the true state.
    initial : ndarray, shape (S,)
        Probability of each state at the first row; ones where the likelihood is conditional on
        the first state.

    Returns
    -------
    Evaluation
        Values and derivatives.

    Notes
    -----
    The forward recursion of hidden Markov models with the scaled sums ``c``; derivatives by the
    backward one.
    """
    S, dtype = plan.n_states, log_intensity.dtype
    by_subject = np.zeros(len(plan.subject_start) - 1, dtype)
    slopes = np.zeros(log_intensity.shape, dtype)
    emission_slopes, initial_slopes = np.zeros(emission.shape, dtype), np.zeros(S, dtype)
    shape = (len(plan.code), S)
    rows = _Rows(
        np.zeros(shape, dtype), np.zeros(shape, dtype), np.zeros(shape, dtype),
        np.zeros(len(plan.code), dtype),
    )  # fmt: skip
    P, is_valid = transition_matrices(plan, log_intensity)
    if not is_valid:
        by_subject[:] = -np.inf
    else:
        _fill_densities(plan, log_intensity, emission, rows.seen)
        is_valid = _forward(plan, P, initial, rows, by_subject)
    if not is_valid:
        return Evaluation(by_subject, slopes, emission_slopes, initial_slopes, rows.alpha, False)
    A = np.zeros(P.shape, dtype)
    _backward(plan, P, rows, initial_slopes, A)
    _collect(plan, log_intensity, rows.seen, slopes, emission_slopes)
    _back(plan, log_intensity, A, slopes)
    return Evaluation(by_subject, slopes, emission_slopes, initial_slopes, rows.alpha, True)


@compiled
def _forward(
    plan: StatesPlan, P: np.ndarray, initial: np.ndarray, rows: _Rows, by_subject: np.ndarray
) -> bool:
    """Go from row to row; False where what was seen of a subject is impossible."""
    S, is_valid = plan.n_states, True
    alpha, before, seen, total = rows.alpha, rows.before, rows.seen, rows.total
    for i in range(len(by_subject)):
        for j in range(plan.subject_start[i], plan.subject_start[i + 1]):
            for s in range(S):
                if plan.interval[j] < 0:
                    before[j, s] = initial[s]
                else:
                    for r in range(S):
                        before[j, s] += alpha[j - 1, r] * P[plan.interval[j], r, s]
                alpha[j, s] = before[j, s] * seen[j, s]
                total[j] += alpha[j, s]
            if not total[j].real > 0.0:
                by_subject[i], is_valid = -np.inf, False
                break
            by_subject[i] += plan.weight[i] * np.log(total[j])
            for s in range(S):
                alpha[j, s] /= total[j]
    return is_valid


@compiled
def _backward(
    plan: StatesPlan, P: np.ndarray, rows: _Rows, initial_slopes: np.ndarray, A: np.ndarray
) -> None:
    """Run back from the last row: alpha becomes the posterior, seen its own derivative."""
    S = plan.n_states
    alpha, before, seen, total = rows.alpha, rows.before, rows.seen, rows.total
    beta, value = np.zeros(S, A.dtype), np.zeros(S, A.dtype)
    for i in range(len(plan.subject_start) - 1):
        weight = plan.weight[i]
        beta[:] = 1.0
        for j in range(plan.subject_start[i + 1] - 1, plan.subject_start[i] - 1, -1):
            for s in range(S):
                value[s] = seen[j, s] * beta[s] / total[j]
                seen[j, s] = weight * before[j, s] * beta[s] / total[j]
                alpha[j, s] *= beta[s]
                beta[s] = 0.0
            m = plan.interval[j]
            if m < 0:
                for s in range(S):
                    initial_slopes[s] += weight * value[s]
                continue
            for r in range(S):
                factor = weight * alpha[j - 1, r]
                for s in range(S):
                    A[m, r, s] += factor * value[s]
                    beta[r] += P[m, r, s] * value[s]


@compiled
def _collect(
    plan: StatesPlan,
    log_intensity: np.ndarray,
    seen_slopes: np.ndarray,
    slopes: np.ndarray,
    emission_slopes: np.ndarray,
) -> None:
    """Add up the derivatives in what was seen: emissions, and densities of exact entries."""
    for j in range(len(plan.code)):
        if plan.exact[j] < 0:
            for s in range(plan.n_states):
                emission_slopes[plan.rating[j], s, plan.code[j]] += seen_slopes[j, s]
            continue
        p = plan.interval_pattern[plan.interval[j]]
        for t in range(len(plan.origin)):
            if plan.target[t] == plan.exact[j]:
                entered = seen_slopes[j, plan.origin[t]]
                slopes[p, t] += entered * np.exp(log_intensity[p, t])


@compiled
def likeliest_paths(
    plan: StatesPlan, log_intensity: np.ndarray, emission: np.ndarray, initial: np.ndarray
) -> np.ndarray:
    """Return the single most probable course of true states of every subject (Viterbi).

    Parameters
    ----------
    plan : StatesPlan
        The observations.
    log_intensity, emission, initial : ndarray
        As in :func:`evaluate`, real.

    Returns
    -------
    ndarray of int, shape (n_rows,)
        States at the rows.
    """
    S, n_rows = plan.n_states, len(plan.code)
    P, _ = transition_matrices(plan, log_intensity)
    best = np.zeros((n_rows, S))
    _fill_densities(plan, log_intensity, emission, best)
    origin = np.zeros((n_rows, S), np.int64)
    path = np.zeros(n_rows, np.int64)
    for i in range(len(plan.subject_start) - 1):
        first, end = plan.subject_start[i], plan.subject_start[i + 1]
        for s in range(S):
            best[first, s] *= initial[s]
        for j in range(first + 1, end):
            _step_on(P[plan.interval[j]], best[j - 1], best[j], origin[j])
        path[end - 1] = np.argmax(best[end - 1])
        for j in range(end - 1, first, -1):
            path[j - 1] = origin[j, path[j]]
        if plan.exact[end - 1] >= 0:  # `best` there is of the state from which it was entered
            path[end - 1] = plan.exact[end - 1]
    return path


@compiled
def _step_on(P: np.ndarray, before: np.ndarray, best: np.ndarray, origin: np.ndarray) -> None:
    """Extend the best courses by one row; scaled, so that long ones do not vanish."""
    S, top = len(best), 0.0
    for s in range(S):
        reach = 0.0
        for r in range(S):
            value = before[r] * P[r, s]
            if value > reach:
                reach, origin[s] = value, r
        best[s] *= reach
        top = max(top, best[s])
    for s in range(S):
        best[s] /= top
