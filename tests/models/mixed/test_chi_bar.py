"""Mixtures of chi-squared: cones whose weights are known, projections by brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from pmsstats.errors import DesignError
from pmsstats.models.mixed.chi_bar import EmpiricalNull, mixture_of, project_on_cones, simulate_cone

N_DRAWS = 20_000
MCSE = 4.0  # standard errors of a simulated probability
POINTS = (0.5, 2.0, 6.0, 15.0)


def tail(weights, value):
    return sum(w * stats.chi2.sf(value, df) for df, w in enumerate(weights) if df)


@pytest.mark.parametrize("correlation", [-0.7, 0.0, 0.5])
@pytest.mark.parametrize("value", POINTS)
def test_two_variances_have_the_weights_of_a_wedge(correlation, value):
    # Silvapulle & Sen 2005, section 3.5: the orthant of two normal variables is a wedge
    covariance = np.array([[1.0, correlation], [correlation, 1.0]])
    null = simulate_cone(covariance, (1, 1), n_free=0, n_draws=N_DRAWS, seed=1)
    angle = math.acos(correlation)
    expect = tail([angle / (2 * math.pi), 0.5, 0.5 - angle / (2 * math.pi)], value)
    assert abs(null.p_value(value) - expect) < MCSE * null.mcse(value)


@pytest.mark.parametrize("value", POINTS)
def test_a_two_by_two_matrix_has_the_weights_of_a_circular_cone(value):
    # in Frobenius lengths the semidefinite 2 x 2 matrices are a cone of half-angle 45 degrees
    null = simulate_cone(np.diag([1.0, 0.5, 1.0]), (2,), n_free=0, n_draws=N_DRAWS, seed=2)
    far, near = (1 - math.sqrt(0.5)) / 2, math.sqrt(0.5) / 2
    expect = tail([far, near, near, far], value)
    assert abs(null.p_value(value) - expect) < MCSE * null.mcse(value)


@pytest.mark.parametrize("n_free", [0, 1, 3])
@pytest.mark.parametrize("value", POINTS)
def test_one_variance_is_half_and_half(n_free, value):
    null = simulate_cone(np.array([[2.7]]), (1,), n_free=n_free, n_draws=N_DRAWS, seed=3)
    expect = mixture_of(n_free, n_free + 1).p_value(value)
    assert abs(null.p_value(value) - expect) < MCSE * null.mcse(value)


def spd(seed, size):
    A = np.random.default_rng(seed).normal(size=(size, size + 2))
    return A @ A.T


@pytest.mark.parametrize("seed", range(6))
def test_projections_are_the_nearest_matrices(seed):
    metric = spd(seed, 4)
    draws = np.random.default_rng(seed + 50).normal(size=(3, 4))
    found = project_on_cones(draws, metric, (2, 1))

    def matrix(theta):  # by a factor: all semidefinite 2 x 2 matrices, and all numbers >= 0
        a, b, c, d = theta
        return np.array([a * a, a * b, b * b + c * c, d * d])

    def distance(theta, draw):
        off = matrix(theta) - draw
        return off @ metric @ off

    for draw, point in zip(draws, found, strict=True):
        starts = np.random.default_rng(1).normal(size=(8, 4))
        best = min(
            optimize.minimize(distance, start, args=(draw,), method="BFGS").fun for start in starts
        )
        off = point - draw
        assert off @ metric @ off == pytest.approx(best, rel=1e-5, abs=1e-7)
        assert np.linalg.eigvalsh([[point[0], point[1]], [point[1], point[2]]])[0] >= -1e-9
        assert point[3] >= 0


def test_the_seed_decides_the_draws():
    one, two, other = (
        simulate_cone(spd(1, 3), (2,), n_free=1, n_draws=500, seed=s).p_value(3.0)
        for s in (1, 1, 2)
    )
    assert one == two
    assert one != other


@given(st.floats(0.01, 60))
def test_p_values_fall_and_stay_within_bounds(value):
    null = mixture_of(1, 2)
    assert stats.chi2.sf(value, 1) <= null.p_value(value) <= stats.chi2.sf(value, 2)
    assert null.p_value(value + 0.1) < null.p_value(value)
    assert null.mcse(value) is None


def test_a_statistic_of_zero_has_a_p_value_of_one():
    assert mixture_of(0, 1).p_value(0.0) == 1.0
    assert mixture_of(0, 1).p_value(1e-12) == pytest.approx(0.5, abs=1e-5)


def test_simulated_data_sets_count_themselves():
    null = EmpiricalNull(statistics=np.array([0.0, 1.0, 5.0]))
    assert [null.p_value(v) for v in (0.0, 5.0, 6.0)] == [1.0, 0.5, 0.25]
    assert null.mcse(5.0) == pytest.approx(math.sqrt(0.25 / 3))


def test_too_few_draws_are_refused():
    with pytest.raises(DesignError, match="at least 100"):
        simulate_cone(np.eye(2), (1, 1), n_free=0, n_draws=10, seed=1)
