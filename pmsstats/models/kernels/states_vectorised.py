"""The likelihood of a hidden Markov model of panel data where numba is absent: numpy, by visit.

The same functions as in :mod:`pmsstats.models.kernels.states_kernel`, over all subjects at once.
"""

from __future__ import annotations

import numpy as np

from pmsstats.models.kernels.states_plan import LONGEST, Evaluation, StatesPlan, n_terms

__all__ = ["evaluate", "likeliest_paths", "transition_matrices"]


def _generators(plan: StatesPlan, log_intensity: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return B = I + Q / rate of every pattern, and the rates."""
    S = plan.n_states
    B = np.zeros((len(log_intensity), S, S), log_intensity.dtype)
    B[:, plan.origin, plan.target] = np.exp(log_intensity)
    total = B.sum(axis=2)
    rate = np.maximum(total.real.max(axis=1), 1e-300)
    B[:, range(S), range(S)] -= total
    return np.eye(S) + B / rate[:, None, None], rate


def _poisson_weights(plan: StatesPlan, rate: np.ndarray) -> np.ndarray:
    """Return Poisson probabilities, shape (n_terms, n_intervals)."""
    mean = rate[plan.interval_pattern] * plan.interval_time
    k = np.arange(1, n_terms(float(mean.max(initial=0.0))))
    steps = np.concatenate([np.exp(-mean)[None], mean / k[:, None]])
    return np.cumprod(steps, axis=0)


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
    B, rate = _generators(plan, log_intensity)
    P = np.zeros((len(plan.interval_time), plan.n_states, plan.n_states), B.dtype)
    if not np.all(rate[plan.interval_pattern] * plan.interval_time <= LONGEST):
        return P, False
    power = np.broadcast_to(np.eye(plan.n_states, dtype=B.dtype), B.shape)
    for weight in _poisson_weights(plan, rate):
        P += weight[:, None, None] * power[plan.interval_pattern]
        power = power @ B
    return P, True


def _back(plan: StatesPlan, log_intensity: np.ndarray, A: np.ndarray) -> np.ndarray:
    """Return derivatives in log intensities, of derivatives `A` in probabilities."""
    B, rate = _generators(plan, log_intensity)
    weights = _poisson_weights(plan, rate)
    powers = [np.broadcast_to(np.eye(plan.n_states, dtype=B.dtype), B.shape)]
    for _ in range(1, len(weights)):
        powers.append(powers[-1] @ B)
    dB, C = np.zeros_like(B), np.zeros_like(B)
    for k in range(len(weights) - 1, 0, -1):  # B^k = B^(k-1) B
        C = C @ B.swapaxes(1, 2)
        np.add.at(C, plan.interval_pattern, weights[k][:, None, None] * A)
        dB += powers[k - 1].swapaxes(1, 2) @ C
    dQ = dB / rate[:, None, None]
    r, s = plan.origin, plan.target
    return np.exp(log_intensity) * (dQ[:, r, s] - dQ[:, r, r])


def _densities(plan: StatesPlan, log_intensity: np.ndarray, emission: np.ndarray) -> np.ndarray:
    """Return the probability (or density) of every row, given each true state."""
    seen = emission[plan.rating, :, plan.code]
    rows = np.flatnonzero(plan.exact >= 0)
    seen[rows] = 0.0
    for row, t in _exact_pairs(plan, rows):
        pattern = plan.interval_pattern[plan.interval[row]]
        seen[row, plan.origin[t]] = np.exp(log_intensity[pattern, t])
    return seen


def _exact_pairs(plan: StatesPlan, rows: np.ndarray) -> list[tuple[np.ndarray, int]]:
    """Pair every transition with the rows that it may have led to at an exact time."""
    return [(rows[plan.exact[rows] == plan.target[t]], t) for t in range(len(plan.origin))]


def _by_visit(plan: StatesPlan) -> list[np.ndarray]:
    """Return the rows that are first of their subject, second, and so on."""
    sizes = np.diff(plan.subject_start)
    place = np.arange(len(plan.code)) - np.repeat(plan.subject_start[:-1], sizes)
    order = np.argsort(place, kind="stable")
    return np.split(order, np.cumsum(np.bincount(place))[:-1])


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
    """
    P, is_valid = transition_matrices(plan, log_intensity)
    seen = _densities(plan, log_intensity, emission)
    alpha, before = np.zeros_like(seen), np.zeros_like(seen)
    visits = _by_visit(plan)
    for rows in visits if is_valid else []:
        first = plan.interval[rows] < 0
        before[rows[first]] = initial
        later = rows[~first]
        before[later] = np.einsum("nr,nrs->ns", alpha[later - 1], P[plan.interval[later]])
        with np.errstate(invalid="ignore", divide="ignore"):
            alpha[rows] = before[rows] * seen[rows]
            alpha[rows] /= alpha[rows].sum(axis=1, keepdims=True)
    total = (before * seen).sum(axis=1)
    possible = total.real > 0
    with np.errstate(invalid="ignore"):
        logs = np.log(np.where(possible, total, 1.0))
    by_subject = np.add.reduceat(np.where(possible, logs, -np.inf), plan.subject_start[:-1])
    by_subject = by_subject * plan.weight
    zeros = np.zeros_like(emission), np.zeros_like(initial)
    if not possible.all():
        return Evaluation(by_subject, np.zeros_like(log_intensity), *zeros, alpha, False)
    return _backward(plan, (log_intensity, *zeros), P, (alpha, before, seen, total), by_subject)


def _backward(
    plan: StatesPlan,
    parameters: tuple[np.ndarray, np.ndarray, np.ndarray],
    P: np.ndarray,
    forward: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    by_subject: np.ndarray,
) -> Evaluation:
    """Run back from the last row, and collect the derivatives."""
    log_intensity, emission_slopes, _ = parameters
    alpha, before, seen, total = forward
    beta, A = np.ones_like(seen), np.zeros_like(P)
    weight = np.repeat(plan.weight, np.diff(plan.subject_start))[:, None]
    for rows in reversed(_by_visit(plan)):
        later = rows[plan.interval[rows] >= 0]
        m = plan.interval[later]
        value = seen[later] * beta[later] / total[later, None]
        np.add.at(A, m, (weight[later] * alpha[later - 1])[:, :, None] * value[:, None, :])
        beta[later - 1] = np.einsum("nrs,ns->nr", P[m], value)
    first = plan.subject_start[:-1]
    initial_slopes = (weight[first] * seen[first] * beta[first] / total[first, None]).sum(axis=0)
    seen_slopes = weight * before * beta / total[:, None]
    panel = plan.exact < 0
    np.add.at(
        emission_slopes.swapaxes(1, 2), (plan.rating[panel], plan.code[panel]), seen_slopes[panel]
    )
    slopes = _back(plan, log_intensity, A)
    for row, t in _exact_pairs(plan, np.flatnonzero(~panel)):
        pattern = plan.interval_pattern[plan.interval[row]]
        entered = seen_slopes[row, plan.origin[t]] * np.exp(log_intensity[pattern, t])
        np.add.at(slopes[:, t], pattern, entered)
    return Evaluation(by_subject, slopes, emission_slopes, initial_slopes, alpha * beta, True)


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
    P, _ = transition_matrices(plan, log_intensity)
    best = _densities(plan, log_intensity, emission)
    origin = np.zeros(best.shape, dtype=int)
    best[plan.subject_start[:-1]] *= initial
    visits = _by_visit(plan)
    for rows in visits:
        later = rows[plan.interval[rows] >= 0]
        through = best[later - 1, :, None] * P[plan.interval[later]]
        origin[later] = through.argmax(axis=1)
        best[later] *= through.max(axis=1)
        best[rows] /= best[rows].max(axis=1, keepdims=True)
    last = plan.subject_start[1:] - 1
    path = best.argmax(axis=1)
    for rows in reversed(visits):
        later = rows[plan.interval[rows] >= 0]
        path[later - 1] = origin[later, path[later]]
    path[last] = np.where(plan.exact[last] >= 0, plan.exact[last], path[last])
    return path
