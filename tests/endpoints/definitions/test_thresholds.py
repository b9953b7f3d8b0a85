"""Thresholds: witnesses are decimal arithmetic (fractions) and the published step tables."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pmsstats.endpoints import (
    AbsoluteThreshold,
    CombinedThreshold,
    LevelThreshold,
    RelativeThreshold,
    StepThreshold,
    Threshold,
    is_reached,
)
from pmsstats.endpoints.definitions.thresholds import decimal_text
from pmsstats.errors import DesignError

TENTHS = range(10, 1801)  # 1.0 s to 180.0 s
PERCENTS = (5, 10, 15, 20, 25, 30, 50, 100)
TWENTY, FOUR = RelativeThreshold(fraction=0.2), AbsoluteThreshold(change=4)
_DIRECTIONS = ("increase", "decrease")
PIVOTAL = StepThreshold(steps=((5.5, 1.0), (math.inf, 0.5)))
EITHER = CombinedThreshold(parts=(TWENTY, FOUR))
BOTH = CombinedThreshold(parts=(TWENTY, FOUR), take="largest")


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


@pytest.mark.parametrize("decimals", [1, 2])
@pytest.mark.parametrize("percent", [10, 15, 20, 25])
@pytest.mark.parametrize(("direction", "sign"), [("increase", 1), ("decrease", -1)])
def test_every_time_up_to_30_seconds(
    decimals: int, percent: int, direction: str, sign: int
) -> None:
    """Witness: exact fractions, over each baseline of 0.1 to 30.0 s that a watch can show."""
    unit = Fraction(1, 10**decimals)
    baselines = [n * unit for n in range(1, 30 * 10**decimals + 1)]
    limits = [start * (1 + sign * Fraction(percent, 100)) for start in baselines]
    last_decimal = unit / 100  # percentages add two decimals
    threshold = RelativeThreshold(fraction=percent / 100)
    before = [float(start) for start in baselines]
    at = [float(limit) for limit in limits]
    short = [float(limit - sign * last_decimal) for limit in limits]
    assert len(before) == 30 * 10**decimals
    assert is_reached(at, before, threshold, direction).all()
    assert not is_reached(short, before, threshold, direction).any()


@given(
    baseline=st.integers(-99_999, 99_999),
    value=st.integers(-99_999, 99_999),
    level=st.integers(-99_999, 99_999),
    decimals=st.integers(0, 4),
)
def test_level_agrees_with_integers(baseline: int, value: int, level: int, decimals: int) -> None:
    unit = 10**decimals
    threshold = LevelThreshold(level=level / unit)
    up = is_reached(value / unit, baseline / unit, threshold, "increase")
    down = is_reached(value / unit, baseline / unit, threshold, "decrease")
    assert bool(up) == (baseline < level <= value)
    assert bool(down) == (value <= level < baseline)


def test_level_is_reached_by_sums_of_decimals() -> None:
    """0.1 + 0.2 is more than 0.3 in binary, 0.7 + 0.1 less than 0.8; a reader sees a tie."""
    assert is_reached(0.7 + 0.1, 0.5, LevelThreshold(level=0.8), "increase")
    assert is_reached(0.1 + 0.2, 0.5, LevelThreshold(level=0.3), "decrease")
    for direction in ("increase", "decrease"):
        assert np.isnan(LevelThreshold(level=0.3).required(0.1 + 0.2, direction))


@given(
    baseline=st.integers(1, 900), value=st.integers(0, 1200), direction=st.sampled_from(_DIRECTIONS)
)
def test_smallest_is_any_and_largest_is_all(baseline: int, value: int, direction: str) -> None:
    """Witness: the parts, each by itself."""
    now, before = value / 10, baseline / 10
    parts = [bool(is_reached(now, before, part, direction)) for part in (TWENTY, FOUR)]
    assert bool(is_reached(now, before, EITHER, direction)) == any(parts)
    assert bool(is_reached(now, before, BOTH, direction)) == all(parts)


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
        (LevelThreshold(level=6), [0.0, 5.5, 6.0, 7.0], [6.0, 0.5, np.nan, np.nan]),
        (EITHER, [10.0, 20.0, 50.0], [2.0, 4.0, 4.0]),
        (BOTH, [10.0, 20.0, 50.0], [4.0, 4.0, 10.0]),
        (EITHER, [0.0, -5.0], [4.0, 4.0]),  # a share of these has no meaning, four points have
        (BOTH, [0.0, -5.0], [np.nan, np.nan]),
    ],
)
def test_required_change(threshold: Threshold, baseline: list, required: list) -> None:
    """Witness: the step tables as published; shares and distances by hand."""
    np.testing.assert_array_equal(threshold.required(baseline), required)


@pytest.mark.parametrize("threshold", [FOUR, TWENTY, PIVOTAL, EITHER, BOTH], ids=repr)
def test_only_levels_depend_on_the_direction(threshold: Threshold) -> None:
    baseline = [0.0, 3.0, 6.0, 30.0]
    both = [threshold.required(baseline, direction) for direction in _DIRECTIONS]
    np.testing.assert_array_equal(*both)
    level = LevelThreshold(level=4.0)
    np.testing.assert_array_equal(level.required(baseline, "decrease"), [np.nan, np.nan, 2, 26])


ALL = [FOUR, TWENTY, PIVOTAL, EITHER, BOTH, LevelThreshold(level=6.0)]


@pytest.mark.parametrize("threshold", ALL, ids=repr)
def test_missing_values_reach_nothing(threshold: Threshold) -> None:
    assert np.isnan(threshold.required([np.nan, np.nan])).all()
    assert np.isnan(threshold.required(np.nan))
    assert not is_reached([np.nan, 5.0], [1.0, np.nan], threshold, "increase").any()


@pytest.mark.parametrize("threshold", ALL, ids=repr)
def test_shapes_are_kept(threshold: Threshold) -> None:
    assert threshold.required(np.full((2, 3), 2.0)).shape == (2, 3)
    assert threshold.required(2.0).shape == ()
    assert is_reached(np.full((2, 1), 9.0), np.full(3, 2.0), threshold, "increase").shape == (2, 3)


@pytest.mark.parametrize("threshold", ALL, ids=repr)
def test_directions_are_two(threshold: Threshold) -> None:
    with pytest.raises(DesignError, match="one of increase, decrease, got 'up'"):
        is_reached(2.0, 1.0, threshold, "up")
    with pytest.raises(DesignError, match="Did you mean 'increase'"):
        threshold.required(1.0, "increased")


@given(value=st.floats(0.1, 100), baseline=st.floats(0.1, 100))
def test_increase_and_decrease_exclude_each_other(value: float, baseline: float) -> None:
    assume(value != baseline)
    threshold = AbsoluteThreshold(change=0.01)
    up = is_reached(value, baseline, threshold, "increase")
    down = is_reached(value, baseline, threshold, "decrease")
    assert not (up and down)


@pytest.mark.parametrize("bad", [0, -1, math.nan, math.inf, True, "1", None, 1j, [1.0]])
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
        ((("5.5", "1.0"), (math.inf, 0.5)), "pairs of numbers"),
        (((5.5, True), (math.inf, 0.5)), "pairs of numbers"),
        (((math.nan, 1.0), (math.inf, 0.5)), "pairs of numbers"),
        (((5.5, math.nan), (math.inf, 0.5)), "pairs of numbers"),
        (((-math.inf, 1.0), (math.inf, 0.5)), "rising upper bounds"),
        (((5.5, math.inf), (math.inf, 0.5)), "number above 0"),
    ],
)
def test_contradictory_steps_are_refused(steps: object, message: str) -> None:
    with pytest.raises(DesignError, match=message):
        StepThreshold(steps=steps)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, True, "6", None])
def test_level_must_be_a_number(bad: object) -> None:
    with pytest.raises(DesignError, match="`level` of a threshold must be a number"):
        LevelThreshold(level=bad)


@pytest.mark.parametrize("level", [0, -2.5, 6.0])
def test_level_may_be_any_number(level: float) -> None:
    assert is_reached(level, level - 1, LevelThreshold(level=level), "increase")


@pytest.mark.parametrize(
    "parts",
    [
        (),
        (FOUR,),
        FOUR,
        None,
        (FOUR, 0.2),
        (FOUR, AbsoluteThreshold(change=3)),
        (TWENTY, RelativeThreshold(fraction=0.1)),
        (FOUR, LevelThreshold(level=6.0)),
        (TWENTY, EITHER),
    ],
    ids=repr,
)
def test_parts_are_two_kinds_of_change(parts: object) -> None:
    with pytest.raises(DesignError, match="`parts` of a CombinedThreshold must be two or three of"):
        CombinedThreshold(parts=parts)


def test_which_part_counts_is_one_of_two() -> None:
    with pytest.raises(DesignError, match="one of smallest, largest, got 'small'"):
        CombinedThreshold(parts=(TWENTY, FOUR), take="small")


def test_parts_from_lists_are_hashable() -> None:
    assert hash(CombinedThreshold(parts=[TWENTY, FOUR])) == hash(EITHER)
    assert CombinedThreshold(parts=[TWENTY, FOUR]) == EITHER


def test_steps_from_lists_are_hashable() -> None:
    threshold = StepThreshold(steps=[[5.5, 1], [math.inf, 0.5]])
    assert hash(threshold) == hash(StepThreshold(steps=((5.5, 1.0), (math.inf, 0.5))))


@pytest.mark.parametrize(
    ("threshold", "direction", "unit", "words"),
    [
        (AbsoluteThreshold(change=4), "decrease", "", "a decrease from baseline of at least 4.0"),
        (AbsoluteThreshold(change=0.25), "increase", "ml", "at least 0.25 ml"),
        (RelativeThreshold(fraction=0.2), "increase", "s", "at least 20 % of the baseline value"),
        (LevelThreshold(level=6), "increase", "", "a value of 6.0 or more"),
        (LevelThreshold(level=20), "decrease", "s", "a value of 20.0 s or less"),
        (
            CombinedThreshold(parts=(FOUR, TWENTY)),
            "decrease",
            "ml",
            (
                "a decrease from baseline of at least 4.0 ml or of at least 20 % of the baseline "
                "value, whichever is smaller"
            ),
        ),
        (
            CombinedThreshold(parts=(FOUR, TWENTY, PIVOTAL), take="largest"),
            "increase",
            "",
            "and of at least 0.5 where it is above 5.5, whichever is largest",
        ),
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
    threshold: Threshold, direction: str, unit: str, words: str
) -> None:
    assert words in threshold.describe(direction, unit)


@pytest.mark.parametrize(
    ("steps", "lowest", "words"),
    [
        (
            ((0, 1.5), (math.inf, 1.0)),
            0.0,
            "of at least 1.5 where the baseline is 0, and of at least 1.0 where it is above 0",
        ),
        (((0, 1.5), (math.inf, 1.0)), -1.0, "where the baseline is 0.0 or below, and of at least"),
        (((1.5, 1.5), (math.inf, 1.0)), 0.0, "where the baseline is 1.5 or below, and of at le"),
        (((1, 1.5), (math.inf, 1.0)), 1.0, "where the baseline is 1, and of at least 1.0 where"),
    ],
)
def test_nothing_is_below_the_lowest_value(steps: tuple, lowest: float, words: str) -> None:
    threshold = StepThreshold(steps=steps)
    assert words in threshold.describe("increase", lowest=lowest)
    both = CombinedThreshold(parts=(TWENTY, threshold))
    assert words in both.describe("increase", lowest=lowest)


@pytest.mark.parametrize(
    ("threshold", "size"),
    [
        (FOUR, "4.0 s"),
        (TWENTY, "20 %"),
        (PIVOTAL, ""),
        (LevelThreshold(level=6.5), "6.5 s"),
        (EITHER, "20 % or 4.0 s, whichever is smaller"),
        (CombinedThreshold(parts=(FOUR, PIVOTAL)), ""),
    ],
    ids=repr,
)
def test_size_in_short(threshold: Threshold, size: str) -> None:
    assert threshold.size("s") == size


@pytest.mark.parametrize(
    ("value", "text"), [(4, "4.0"), (0.25, "0.25"), (-1.5, "-1.5"), (1 / 3, "0.333333")]
)
def test_decimals_as_scores_are_written(value: float, text: str) -> None:
    assert decimal_text(value) == text
