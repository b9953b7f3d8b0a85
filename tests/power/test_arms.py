"""Subjects of two arms: divided, rounded to whole ones, searched, analysed."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmsstats.errors import DesignError
from pmsstats.power.arms import analysed_arms, arm_sizes, integer_arms, smallest_arms, split_arms


def rising(n: float) -> float:
    """A power that rises from 0 to 1, 0.8 at 50."""
    return 1 - 0.2 ** (n / 50)


@pytest.mark.parametrize(
    ("total", "ratio", "arms"),
    [
        (85.03, 1.0, (43, 43)),
        (86.0000000001, 1.0, (43, 43)),
        (85.03, 2.0, (29, 58)),
        (85.03, 0.5, (58, 29)),
        (100.0, 1.5, (40, 60)),
        (101.0, 1.5, (41, 62)),
        (0.5, 1.0, (1, 1)),
    ],
)
def test_arms_are_rounded_up_with_the_ratio_kept(total, ratio, arms):
    assert integer_arms(total, ratio) == arms


@given(total=st.floats(2, 1e5), ratio=st.floats(0.2, 5))
def test_whole_arms_hold_the_total_and_little_more(total, ratio):
    reference, treated = integer_arms(total, ratio)
    parts = split_arms(total, ratio)
    assert sum(parts) == pytest.approx(total)
    assert reference >= parts[0] - 1e-6
    assert treated >= parts[1] - 1e-6
    assert reference + treated <= total + 2 + max(ratio, 1 / ratio)


def test_smallest_arms_are_searched_both_ways():
    def power(arms: tuple[int, int]) -> float:
        return rising(sum(arms))

    for start in (40.0, 50.0, 75.0):
        assert smallest_arms(power, start, 0.8) == (25, 25)
    with pytest.raises(DesignError, match=r"No whole number of subjects near 10.0"):
        smallest_arms(lambda _: 0.1, 10.0, 0.8)


def test_arms_of_a_total_keep_the_total():
    assert arm_sizes(21) == (10, 11)
    assert arm_sizes(30, 2.0) == (10, 20)
    assert arm_sizes((7, 9), 5.0) == (7, 9)
    assert arm_sizes(np.int64(8)) == (4, 4)


@pytest.mark.parametrize("n", [1, (0, 3), 2.5, (1, 2, 3), "a", True, (5, -1), math.inf])
def test_arms_that_cannot_be_are_refused(n):
    with pytest.raises(DesignError, match="`n"):
        arm_sizes(n)


def test_those_who_are_lost_are_not_analysed():
    assert analysed_arms((40.0, 80.0), (0.25, 0.5)) == (30.0, 40.0)
