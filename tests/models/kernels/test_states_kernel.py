"""The likelihood of hidden Markov models: matrix exponentials, enumeration, differences, numpy."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.linalg import expm

from pmsstats.models.kernels import states_kernel, states_vectorised
from pmsstats.models.kernels.states_plan import LONGEST, StatesPlan, n_terms

SUMMED = 1e-11  # relative: sums of the same probabilities in another order
EXPONENTIAL = 1e-12  # absolute: scipy's Pade approximation loses about that
DIFFERENCE = 1e-7  # relative: central differences with steps of 1e-5
DIGITS = 1e-9  # relative: next term of a series in q t = 1e-5 is 1e-5 smaller; it is included

PAIRS = ((0, 1), (0, 3), (1, 0), (1, 2), (1, 3), (2, 1), (2, 3))
RATES = np.array([0.4, 0.02, 0.2, 0.3, 0.05, 0.1, 0.2])
EMISSION = np.array(
    [[0.9, 0.1, 0.0, 0.0, 1.0], [0.07, 0.85, 0.08, 0.0, 0.92], [0.0, 0.1, 0.9, 0.0, 0.1],
     [0.0, 0.0, 0.0, 1.0, 0.0]]
)  # fmt: skip
INITIAL = np.array([0.6, 0.3, 0.1, 0.0])
HISTORIES = (  # (time, code, exact): 4 is "0 or 1"; the last subject dies between two visits
    ((0.0, 0, -1), (0.7, 1, -1), (1.5, 4, -1), (2.5, 2, -1)),
    ((0.0, 1, -1), (0.7, 0, -1), (1.4, 1, -1), (1.9, 3, 3)),
    ((0.0, 2, -1),),
    ((0.0, 2, -1), (1.0, 1, -1), (2.0, 3, -1)),
)
PATTERNS = (0, 1, 0, 1)  # of each subject
EFFECT = np.array([0.3, 0.0, -0.5, 0.3, 0.1, -0.5, 0.0])
LOG_Q = np.log(RATES) + np.outer([0, 1], EFFECT)

each_kernel = pytest.mark.parametrize(
    "kernel", [states_kernel, states_vectorised], ids=["compiled", "numpy"]
)


def generator(log_q: np.ndarray, pairs=PAIRS, n: int = 4) -> np.ndarray:
    """Return Q."""
    Q = np.zeros((n, n))
    Q[tuple(np.array(pairs).T)] = np.exp(log_q)
    return Q - np.diag(Q.sum(axis=1))


def make_plan(times, patterns, pairs=PAIRS, n_states=4, **rows) -> StatesPlan:
    """Return a plan of some intervals, and of no rows unless they are given."""
    none = np.zeros(0, dtype=int)
    origin, target = np.array(pairs).T
    fields = dict.fromkeys(("interval", "code", "rating", "exact"), none)
    fields |= {"subject_start": np.zeros(1, dtype=int), "weight": np.zeros(0)}
    return StatesPlan(
        n_states=n_states,
        origin=origin,
        target=target,
        interval_time=np.asarray(times, dtype=float),
        interval_pattern=np.asarray(patterns),
        pattern_start=np.searchsorted(patterns, np.arange(max(patterns) + 2)),
        **(fields | rows),
    )


def plan_of_histories(weights=(1.0, 1.0, 1.0, 1.0)) -> StatesPlan:
    """Return the plan of the four subjects."""
    lengths = [
        (pattern, round(b[0] - a[0], 9))
        for pattern, history in zip(PATTERNS, HISTORIES, strict=True)
        for a, b in itertools.pairwise(history)
    ]
    distinct = sorted(set(lengths))
    remaining = iter(lengths)
    interval = [
        -1 if j == 0 else distinct.index(next(remaining))
        for history in HISTORIES
        for j in range(len(history))
    ]
    rows = [row for history in HISTORIES for row in history]
    return make_plan(
        [length for _, length in distinct],
        [pattern for pattern, _ in distinct],
        interval=np.array(interval),
        code=np.array([code for _, code, _ in rows]),
        rating=np.zeros(len(rows), dtype=int),
        exact=np.array([exact for _, _, exact in rows]),
        subject_start=np.cumsum([0, *map(len, HISTORIES)]),
        weight=np.array(weights),
    )


def evaluate(kernel, log_q=LOG_Q, emission=EMISSION[None], initial=INITIAL, plan=None):
    """Evaluate the four subjects."""
    dtype = np.result_type(log_q, emission, initial)
    parts = (np.asarray(part, dtype=dtype) for part in (log_q, emission, initial))
    return kernel.evaluate(plan_of_histories() if plan is None else plan, *parts)


def courses(history, pattern: int):
    """Enumerate every course of true states with its joint probability with what was seen."""
    Q = generator(LOG_Q[pattern])
    for course in itertools.product(range(4), repeat=len(history)):
        value = INITIAL[course[0]] * EMISSION[course[0], history[0][1]]
        for j in range(1, len(history)):
            P = expm(Q * (history[j][0] - history[j - 1][0]))
            value *= P[course[j - 1], course[j]]
            _, code, exact = history[j]
            value *= (
                EMISSION[course[j], code]
                if exact < 0
                else Q[course[j], exact] * (course[j] != exact)
            )
        yield course, value


@each_kernel
def test_probabilities_are_matrix_exponentials(kernel) -> None:
    """Witness: scipy's expm, also for long intervals and intensities that are all equal."""
    times, patterns = [0.0, 0.3, 2.0, 80.0, 0.5], [0, 0, 0, 0, 1]
    log_q = np.vstack([np.log(RATES), np.zeros(7)])
    P, is_valid = kernel.transition_matrices(make_plan(times, patterns), log_q)
    assert is_valid
    for found, time, pattern in zip(P, times, patterns, strict=True):
        np.testing.assert_allclose(found, expm(generator(log_q[pattern]) * time), atol=EXPONENTIAL)


@each_kernel
def test_small_probabilities_keep_their_digits(kernel) -> None:
    """Closed form: with equal intensities q along a chain, P(1 -> 3) = exp(-qt) (qt)^2 / 2 ..."""
    qt = 1e-5
    plan = make_plan([1.0], [0], pairs=((0, 1), (1, 2), (2, 3)))
    P, _ = kernel.transition_matrices(plan, np.full((1, 3), np.log(qt)))
    exact = [np.exp(-qt), qt * np.exp(-qt), qt**2 / 2 * np.exp(-qt), qt**3 / 6 * (1 - 3 * qt / 4)]
    np.testing.assert_allclose(P[0, 0], exact, rtol=DIGITS)


@each_kernel
def test_too_long_intervals_are_not_computed(kernel) -> None:
    plan = make_plan([2 * LONGEST], [0])
    assert not kernel.transition_matrices(plan, np.zeros((1, 7)))[1]


@pytest.mark.parametrize("mean", [0.0, 0.01, 1.0, 30.0, LONGEST])
def test_terms_left_out_do_not_count(mean: float) -> None:
    from scipy.stats import poisson

    assert poisson.sf(n_terms(mean) - 1, mean) < 1e-15


@each_kernel
def test_likelihood_is_the_sum_over_all_courses(kernel) -> None:
    """Witness: enumeration of all courses of true states, with scipy's expm."""
    found = evaluate(kernel)
    assert found.is_valid
    for value, history, pattern in zip(found.by_subject, HISTORIES, PATTERNS, strict=True):
        total = sum(probability for _, probability in courses(history, pattern))
        assert value == pytest.approx(np.log(total), rel=SUMMED)


@each_kernel
def test_posterior_and_best_course_by_enumeration(kernel) -> None:
    """Witness: the same enumeration; the state before a death stands at its row's posterior."""
    plan = plan_of_histories()
    posterior = evaluate(kernel).posterior
    path = kernel.likeliest_paths(plan, LOG_Q, EMISSION[None], INITIAL)
    for i, (history, pattern) in enumerate(zip(HISTORIES, PATTERNS, strict=True)):
        every = list(courses(history, pattern))
        total = sum(value for _, value in every)
        rows = slice(plan.subject_start[i], plan.subject_start[i + 1])
        share = np.zeros((len(history), 4))
        for course, value in every:
            share[range(len(history)), course] += value / total
        np.testing.assert_allclose(posterior[rows], share, atol=SUMMED)
        best = np.array(max(every, key=lambda pair: pair[1])[0])
        best[-1] = history[-1][2] if history[-1][2] >= 0 else best[-1]
        np.testing.assert_array_equal(path[rows], best)


@each_kernel
@pytest.mark.parametrize("part", ["log_q", "emission", "initial"])
def test_slopes_are_those_of_differences(kernel, part: str) -> None:
    """Witness: central differences of the log-likelihood."""
    parts = {"log_q": LOG_Q, "emission": EMISSION[None], "initial": INITIAL}
    slopes = evaluate(kernel)
    found = {"log_q": slopes.log_intensity, "emission": slopes.emission, "initial": slopes.initial}
    by_difference = np.zeros(parts[part].shape)
    for index in np.ndindex(by_difference.shape):
        step = np.zeros(by_difference.shape)
        step[index] = 1e-5
        ends = [
            evaluate(kernel, **(parts | {part: parts[part] + sign * step})).by_subject.sum()
            for sign in (1, -1)
        ]
        by_difference[index] = (ends[0] - ends[1]) / 2e-5
    scale = np.abs(by_difference).max()
    np.testing.assert_allclose(found[part], by_difference, atol=DIFFERENCE * scale)


@each_kernel
def test_complex_step_of_the_value_is_the_slope(kernel) -> None:
    step = LOG_Q.astype(complex)
    step[1, 3] += 1e-30j
    slope = evaluate(kernel, log_q=step).by_subject.sum().imag / 1e-30
    assert slope == pytest.approx(evaluate(kernel).log_intensity[1, 3], rel=SUMMED)


@each_kernel
def test_weights_count_subjects(kernel) -> None:
    weights = np.array([2.0, 0.0, 1.0, 3.0])
    once, often = evaluate(kernel), evaluate(kernel, plan=plan_of_histories(tuple(weights)))
    np.testing.assert_allclose(often.by_subject, weights * once.by_subject)
    each = [evaluate(kernel, plan=plan_of_histories(tuple(row))) for row in np.eye(4)]
    for name in ("log_intensity", "emission", "initial"):
        total = sum(w * getattr(e, name) for w, e in zip(weights, each, strict=True))
        np.testing.assert_allclose(getattr(often, name), total, atol=SUMMED)


@each_kernel
def test_impossible_observations_are_named(kernel) -> None:
    found = evaluate(kernel, initial=np.array([1.0, 0.0, 0.0, 0.0]))
    assert not found.is_valid
    np.testing.assert_array_equal(np.isneginf(found.by_subject), [False, False, True, True])


def test_both_implementations_agree_beyond_toys() -> None:
    """Witness: each other, on 60 subjects with visits at odd times."""
    rng = np.random.default_rng(3)
    sizes = rng.integers(2, 9, 60)
    start = np.append(0, np.cumsum(sizes))
    n_later = int(sizes.sum()) - 60
    interval = np.full(sizes.sum(), -1)
    later = np.setdiff1d(np.arange(sizes.sum()), start[:-1])
    pattern = np.sort(rng.integers(0, 3, n_later))
    interval[later] = rng.permutation(n_later)
    plan = make_plan(
        rng.exponential(1.0, n_later),
        pattern,
        interval=interval,
        code=rng.integers(0, 3, sizes.sum()),
        rating=np.zeros(sizes.sum(), dtype=int),
        exact=np.full(sizes.sum(), -1),
        subject_start=start,
        weight=np.ones(60),
    )
    log_q = np.log(RATES) + rng.normal(size=(3, 7))
    emission = np.tile(EMISSION[:, :4] + 0.01, (1, 1, 1))
    a, b = (k.evaluate(plan, log_q, emission, INITIAL) for k in (states_kernel, states_vectorised))
    for name in ("by_subject", "log_intensity", "emission", "initial", "posterior"):
        x, y = getattr(a, name), getattr(b, name)
        np.testing.assert_allclose(x, y, rtol=0, atol=SUMMED * np.abs(y).max())
    paths = [
        k.likeliest_paths(plan, log_q, emission, INITIAL)
        for k in (states_kernel, states_vectorised)
    ]
    np.testing.assert_array_equal(*paths)
