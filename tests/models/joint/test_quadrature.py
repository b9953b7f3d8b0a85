"""Points over time: exactness, pieces, and hazards that are infinite at 0."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from pmsstats.models.joint.quadrature import gauss_kronrod, time_points

ROUNDING = 1e-13
DEGREES = {7: 11, 15: 23}
SINGULAR = {0.4: 1e-3, 0.5: 1e-4, 0.8: 1e-6, 1.0: 1e-12, 1.7: 1e-10}  # shape: relative error


@pytest.mark.parametrize("n", DEGREES)
def test_rules_are_exact_for_polynomials_of_their_degree_and_no_further(n: int) -> None:
    nodes, weights = gauss_kronrod(n)
    powers = np.arange(DEGREES[n] + 1)
    found = weights @ nodes[:, None] ** powers
    np.testing.assert_allclose(found, 1 / (powers + 1), rtol=ROUNDING)
    further = DEGREES[n] + 1
    centred = weights @ (2 * nodes - 1) ** further
    assert abs(centred * (further + 1) - 1) > 100 * ROUNDING
    assert (np.diff(nodes) > 0).all()


@given(
    st.lists(st.floats(0.1, 9.0), min_size=1, max_size=5),
    st.lists(st.floats(0.2, 8.0), max_size=3, unique=True),
    st.sampled_from([1, 2]),
    st.booleans(),
)
def test_weights_add_up_to_the_time_between(
    ends: list[float], cuts: list[float], n_panels: int, is_singular: bool
) -> None:
    upper = np.array(ends)
    lower = 0.3 * upper * (np.arange(len(upper)) % 2)
    points = time_points(
        lower, upper, edges=sorted(cuts), n_points=7, n_panels=n_panels, is_singular=is_singular
    )
    found = np.bincount(points.subject, points.weight, minlength=len(upper))
    np.testing.assert_allclose(found, upper - lower, rtol=1e-10)
    squares = np.bincount(points.subject, points.weight * points.time**2, minlength=len(upper))
    np.testing.assert_allclose(squares, (upper**3 - lower**3) / 3, rtol=1e-10)
    assert (np.diff(points.subject) >= 0).all()
    same = np.diff(points.subject) == 0
    assert (np.diff(points.time)[same] > 0).all()
    assert ((points.time > lower[points.subject]) & (points.time < upper[points.subject])).all()


@pytest.mark.parametrize("shape", SINGULAR)
def test_weibull_hazards_times_a_trend_are_integrated(shape: float) -> None:
    points = time_points(np.zeros(1), np.ones(1), is_singular=True)
    hazard = shape * points.time ** (shape - 1) * np.exp(-2 * points.time)
    exact = special.hyp1f1(shape, shape + 1, -2.0)
    assert points.weight @ hazard == pytest.approx(exact, rel=SINGULAR[shape])


def test_nobody_has_points_where_no_time_passes() -> None:
    points = time_points(np.array([0.0, 1.0]), np.array([0.0, 1.0]))
    assert len(points.time) == 0
