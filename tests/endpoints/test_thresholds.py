"""Thresholds: witnesses are decimal arithmetic (fractions) and the published step tables."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pmsstats.endpoints import AbsoluteThreshold, RelativeThreshold, StepThreshold, is_reached
from pmsstats.errors import DesignError

TENTHS = range(10, 1801)  # 1.0 s to 180.0 s
PERCENTS = (5, 10, 15, 20, 25, 30, 50, 100)


@pytest.mark.parametrize("percent", PERCENTS)
def test_exact_percentages_are_reached_for_every_baseline(percent: int) -> None:
    """Witness: integers. limit / 1000 = baseline * (100 + percent) / 100, in thousandths."""
    threshold = RelativeThreshold(fraction=percent / 100)
    baseline = np.array([tenths / 10 for tenths in TENTHS])
    limit = [tenths * (100 + percent) for tenths in TENTHS]  # thousandths
    reached = is_reached([n / 1000 for n in limit], baseline, threshold, "increase")
    short = is_reached([(n - 1) / 1000 for n in limit], baseline, threshold, "increase")
    assert reached.all()
    assert not short.any()


def test_naive_binary_comparison_would_miss_some() -> None:
    """Guard of the test above: without care, 20 % is missed for many baselines."""
    missed = [t for t in TENTHS if not t * 120 / 1000 - t / 10 >= t / 10 * 0.2]
    assert len(missed) > 100


def test_exact_percentage_decrease() -> None:
    threshold = RelativeThreshold(fraction=0.2)
    baseline = np.array([tenths / 10 for tenths in TENTHS])
    assert is_reached([t * 80 / 1000 for t in TENTHS], baseline, threshold, "decrease").all()
    short = [(t * 80 + 1) / 1000 for t in TENTHS]
    assert not is_reached(short, baseline, threshold, "decrease").any()


@given(
    baseline=st.integers(1, 99_999),
    value=st.integers(0, 199_999),
    decimals=st.integers(0, 4),
    percent=st.integers(1, 99),
)
def test_relative_agrees_with_fractions(
    baseline: int, value: int, decimals: int, percent: int
) -> None:
    unit = 10**decimals
    exact = Fraction(value, unit) >= Fraction(baseline, unit) * Fraction(100 + percent, 100)
    threshold = RelativeThreshold(fraction=percent / 100)
    assert bool(is_reached(value / unit, baseline / unit, threshold, "increase")) == exact


@given(
    baseline=st.integers(-99_999, 99_999),
    value=st.integers(-99_999, 99_999),
    change=st.integers(1, 9_999),
    decimals=st.integers(0, 4),
)
def test_absolute_agrees_with_fractions(
    baseline: int, value: int, change: int, decimals: int
) -> None:
    unit = 10**decimals
    threshold = AbsoluteThreshold(change=change / unit)
    up = is_reached(value / unit, baseline / unit, threshold, "increase")
    down = is_reached(value / unit, baseline / unit, threshold, "decrease")
    assert bool(up) == (value - baseline >= change)
    assert bool(down) == (baseline - value >= change)


@given(baseline=st.integers(1, 9_999), value=st.integers(1, 19_999), power=st.integers(-6, 6))
def test_units_do_not_matter_to_a_percentage(baseline: int, value: int, power: int) -> None:
    threshold = RelativeThreshold(fraction=0.2)
    scale = 10.0**power
    plain = is_reached(value / 10, baseline / 10, threshold, "increase")
    scaled = is_reached(value / 10 * scale, baseline / 10 * scale, threshold, "increase")
    assert plain == scaled


def test_noise_of_earlier_arithmetic_is_a_tie() -> None:
    """The mean of 5.9, 6.0, 6.1 differs from 6.0 in binary; a reader calls it 6.0."""
    noisy = [sum((5.9, 6.1, 6.0)) / 3, 0.1 * 60, 6.0 - 1e-15]
    assert is_reached(noisy, 5.0, RelativeThreshold(fraction=0.2), "increase").all()


@pytest.mark.parametrize(
    ("threshold", "baseline", "required"),
    [
        (AbsoluteThreshold(change=0.5), [0.0, 3.0], [0.5, 0.5]),
        (RelativeThreshold(fraction=0.25), [4.0, 8.0], [1.0, 2.0]),
        (RelativeThreshold(fraction=0.25), [0.0, -1.0], [np.nan, np.nan]),
        (StepThreshold(steps=((5.5, 1.0), (math.inf, 0.5))), [0, 5.5, 6.0], [1.0, 1.0, 0.5]),
        (StepThreshold(steps=((5.0, 1.0), (math.inf, 0.5))), [5.0, 5.5], [1.0, 0.5]),
        (StepThreshold(steps=((0, 1.5), (5, 1), (math.inf, 0.5))), [0, 1, 5.5], [1.5, 1.0, 0.5]),
        (StepThreshold(steps=((0.3, 1.0), (math.inf, 2.0))), [0.1 + 0.2], [1.0]),
        (StepThreshold(steps=((5.5, 1.0), (math.inf, 0.5))), [np.nan], [np.nan]),
    ],
)
def test_required_change(threshold: AbsoluteThreshold, baseline: list, required: list) -> None:
    """Witness: the step tables as published; a share by hand."""
    np.testing.assert_array_equal(threshold.required(baseline), required)


@pytest.mark.parametrize("threshold", [AbsoluteThreshold(change=1), RelativeThreshold(fraction=1)])
def test_missing_values_reach_nothing(threshold: AbsoluteThreshold) -> None:
    assert not is_reached([np.nan, 5.0], [1.0, np.nan], threshold, "increase").any()


@given(value=st.floats(0.1, 100), baseline=st.floats(0.1, 100))
def test_increase_and_decrease_exclude_each_other(value: float, baseline: float) -> None:
    assume(value != baseline)
    threshold = AbsoluteThreshold(change=0.01)
    up = is_reached(value, baseline, threshold, "increase")
    down = is_reached(value, baseline, threshold, "decrease")
    assert not (up and down)


@pytest.mark.parametrize("bad", [0, -1, math.nan, math.inf, True, "1", None])
def test_change_must_be_a_positive_number(bad: object) -> None:
    with pytest.raises(DesignError, match="number above 0"):
        AbsoluteThreshold(change=bad)
    with pytest.raises(DesignError, match="number above 0"):
        RelativeThreshold(fraction=bad)


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ((), "rising upper bounds"),
        (((5.5, 1.0),), "rising upper bounds"),
        (((5.5, 1.0), (5.5, 0.7), (math.inf, 0.5)), "rising upper bounds"),
        (((math.inf, 0.5), (5.5, 1.0)), "rising upper bounds"),
        (((5.5, 0.0), (math.inf, 0.5)), "number above 0"),
        (((5.5,), (math.inf, 0.5)), "pairs of numbers"),
        (5.5, "pairs of numbers"),
        ((("a", "b"),), "pairs of numbers"),
    ],
)
def test_contradictory_steps_are_refused(steps: object, message: str) -> None:
    with pytest.raises(DesignError, match=message):
        StepThreshold(steps=steps)


def test_steps_from_lists_are_hashable() -> None:
    threshold = StepThreshold(steps=[[5.5, 1], [math.inf, 0.5]])
    assert hash(threshold) == hash(StepThreshold(steps=((5.5, 1.0), (math.inf, 0.5))))


@pytest.mark.parametrize(
    ("threshold", "direction", "unit", "words"),
    [
        (AbsoluteThreshold(change=4), "decrease", "", "a decrease from baseline of at least 4.0"),
        (AbsoluteThreshold(change=0.25), "increase", "ml", "at least 0.25 ml"),
        (RelativeThreshold(fraction=0.2), "increase", "s", "at least 20 % of the baseline value"),
        (StepThreshold(steps=((math.inf, 1.0),)), "increase", "", "of at least 1.0"),
        (
            StepThreshold(steps=((0, 1.5), (5.5, 1.0), (math.inf, 0.5))),
            "increase",
            "",
            (
                "of at least 1.5 where the baseline is 0.0 or below, and of at least 1.0 where it "
                "is above 0.0 up to 5.5, and of at least 0.5 where it is above 5.5"
            ),
        ),
    ],
)
def test_thresholds_describe_themselves(
    threshold: AbsoluteThreshold, direction: str, unit: str, words: str
) -> None:
    assert words in threshold.describe(direction, unit)
