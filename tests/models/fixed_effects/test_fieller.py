"""Fieller's set: by its definition, its level by simulation, and where numbers are zero."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from pmsstats.models.fixed_effects.fieller import fieller_bounds, fieller_set

ROUNDING = 1e-9  # relative: the same numbers in another order
ROOT = 1e-7  # relative: what a root finder leaves
MCSE = 4.0  # standard errors of a simulated share


def rejected(ratio, values, covariance, df, level=0.95):
    """Test numerator - ratio * denominator = 0, from the definition."""
    contrast = np.array([1.0, -ratio])
    t = contrast @ values / math.sqrt(contrast @ covariance @ contrast)
    return bool(abs(t) > stats.t.ppf(0.5 + level / 2, df))


CASES = [
    # numerator, denominator, shape
    (1.0, 2.0, "bounded"),
    (-1.0, 2.0, "bounded"),
    (-3.0, -0.8, "bounded"),
    (1.0, 0.01, "all but a gap"),
    (1.0, -0.15, "all but a gap"),
    (0.05, 0.01, "whole line"),
    (0.0, 1.0, "bounded"),
]
COVARIANCE = np.array([[0.010, 0.004], [0.004, 0.012]])


@pytest.mark.parametrize(("numerator", "denominator", "shape"), CASES)
def test_set_holds_the_ratios_that_are_not_rejected(numerator, denominator, shape):
    values = np.array([numerator, denominator])
    found = fieller_set(values, COVARIANCE, df=12)
    assert found.shape == shape
    grid = np.tan(np.linspace(-1.57, 1.57, 4001))
    inside = (grid >= found.conf_low) & (grid <= found.conf_high)
    inside &= ~((grid > found.gap_low) & (grid < found.gap_high))
    assert inside.tolist() == [not rejected(r, values, COVARIANCE, 12) for r in grid]


def test_ends_are_where_the_test_is_just_significant():
    values = np.array([1.0, 2.0])
    found = fieller_set(values, COVARIANCE, df=12)

    def excess(ratio):
        contrast = np.array([1.0, -ratio])
        return abs(contrast @ values) / math.sqrt(contrast @ COVARIANCE @ contrast) - stats.t.ppf(
            0.975, 12
        )

    ends = [optimize.brentq(excess, *where, xtol=1e-14) for where in ((-5, 0.5), (0.5, 5))]
    assert [found.conf_low, found.conf_high] == pytest.approx(ends, rel=ROOT)


def test_two_independent_means_have_the_closed_form():
    # Fieller 1954: with g = (t s_b / b)^2 and no covariance
    a, b, v_a, v_b, df = 3.0, 5.0, 0.4, 0.6, 17
    t = stats.t.ppf(0.975, df)
    g = (t**2 * v_b) / b**2
    half = t / b * math.sqrt(v_a * (1 - g) + (a / b) ** 2 * v_b)
    found = fieller_set(np.array([a, b]), np.diag([v_a, v_b]), df=df)
    ends = [(a / b - half) / (1 - g), (a / b + half) / (1 - g)]
    assert [found.conf_low, found.conf_high] == pytest.approx(ends, rel=ROUNDING)
    delta = math.sqrt(v_a + (a / b) ** 2 * v_b) / b
    assert found.std_error == pytest.approx(delta, rel=ROUNDING)


def test_a_precise_denominator_gives_the_interval_of_the_delta_method():
    found = fieller_set(np.array([1.0, 2.0]), np.diag([1e-2, 1e-14]))
    half = stats.norm.ppf(0.975) * found.std_error
    assert found.conf_low == pytest.approx(0.5 - half, rel=1e-6)
    assert found.conf_high == pytest.approx(0.5 + half, rel=1e-6)


@pytest.mark.parametrize(("sign", "shape"), [(1, "unbounded above"), (-1, "unbounded below")])
def test_a_denominator_on_the_edge_of_significance_gives_a_half_line(sign, shape):
    t = float(stats.norm.ppf(0.975))
    found = fieller_set(np.array([3.0, sign * t]), np.eye(2))
    assert found.shape == shape
    end = sign * (9 - t**2) / (2 * 3 * t)
    ends = sorted([end, sign * math.inf])
    assert [found.conf_low, found.conf_high] == pytest.approx(ends, rel=ROUNDING)
    assert "without" in found.words()


@given(
    st.floats(-5, 5), st.floats(0.3, 5), st.floats(0.05, 0.3), st.floats(0.05, 0.3),
    st.floats(1e-5, 1e5),
)  # fmt: skip
def test_units_do_not_matter(a, b, sd_a, sd_b, unit):
    plain = fieller_set(np.array([a, b]), np.diag([sd_a**2, sd_b**2]), df=9)
    other = fieller_set(np.array([a * unit, b]), np.diag([(unit * sd_a) ** 2, sd_b**2]), df=9)
    assert other.shape == plain.shape
    for name in ("estimate", "std_error", "conf_low", "conf_high", "gap_low", "gap_high"):
        assert getattr(other, name) == pytest.approx(
            unit * getattr(plain, name), rel=1e-6, abs=1e-9 * unit, nan_ok=True
        )


@pytest.mark.parametrize("denominator", [0.1, 0.25, 1.0])
def test_level_holds_whatever_the_denominator(denominator):
    rng = np.random.default_rng(5)
    truth, n, df = 1.4, 4000, 8
    values = rng.multivariate_normal([truth * denominator, denominator], COVARIANCE, n)
    scale = rng.chisquare(df, n) / df
    sets = [fieller_set(v, COVARIANCE * s, df=df) for v, s in zip(values, scale, strict=True)]
    held = np.mean(
        [s.conf_low <= truth <= s.conf_high and not s.gap_low < truth < s.gap_high for s in sets]
    )
    assert abs(held - 0.95) < MCSE * math.sqrt(0.95 * 0.05 / n)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_ratio_that_cannot_be_estimated_is_missing(bad):
    found = fieller_set(np.array([bad, 1.0]), np.eye(2))
    assert math.isnan(found.estimate)
    assert found.shape == "whole line"
    assert math.isnan(pd.Series([found.std_error]).iloc[0])


@pytest.mark.parametrize(
    ("a", "b", "variances", "shape", "ends"),
    [
        (1.0, 0.0, (0.01, 0.01), "all but a gap", "symmetric"),  # r^2 = (1 - t^2 v) / (t^2 v)
        (0.0, 0.0, (0.01, 0.01), "whole line", None),
        (1.0, 0.0, (0.01, 0.0), "whole line", None),
        (0.0, 0.0, (0.0, 0.0), "whole line", None),
        (0.1, 0.3, (0.0, 0.0), "bounded", (1 / 3, 1 / 3)),  # B^2 - A C rounds to less than 0
        (1.0, 2.0, (0.01, 0.0), "bounded", (0.4, 0.6)),  # (a -+ 2 s_a) / b
        (1.0, 2.0, (0.0, 0.01), "bounded", (1 / 2.2, 1 / 1.8)),  # a / (b +- 2 s_b)
        (1.0, 0.1, (0.0, 0.01), "all but a gap", (1 / -0.1, 1 / 0.3)),
    ],
)
def test_zero_estimates_and_variances_have_their_closed_forms(a, b, variances, shape, ends):
    found, (low, high) = fieller_bounds(a, b, np.diag(variances), 2.0)
    assert found == shape
    if ends == "symmetric":
        ends = (-math.sqrt(24.0), math.sqrt(24.0))
    expected = (-math.inf, math.inf) if ends is None else ends
    assert (low, high) == pytest.approx(expected, rel=ROUNDING)
