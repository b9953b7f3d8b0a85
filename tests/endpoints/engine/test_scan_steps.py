"""Single steps of the scan: witnesses are exact fractions, and cases read off by eye."""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmsstats.endpoints.engine.scan_arrays import VISIT, Days
from pmsstats.endpoints.engine.scan_steps import (
    Base,
    first_day_after,
    in_any_window,
    is_changed,
    is_extremum,
    is_free_of_lesions,
    is_free_of_relapses,
    leads,
    side,
)

hundredths = st.integers(-99_999, 99_999)


def plain(function):
    """Return the function as written: compiled ones take no stand-ins for records."""
    return getattr(function, "py_func", function)


@given(one=hundredths, other=hundredths)
def test_side_compares_decimals(one: int, other: int) -> None:
    expected = (one > other) - (one < other)
    assert side(one / 100, other / 100) == expected
    assert side(one / 100 + 0.1 - 0.1, other * 0.01) == expected


@given(base=hundredths, step=st.integers(1, 9_999), off=st.integers(-3, 3), up=st.booleans())
def test_a_change_is_compared_as_decimals(base: int, step: int, off: int, up: bool) -> None:
    sense = {True: 1, False: -1}[up]
    value = (base + sense * (step + off)) / 100
    need = step * 0.01
    expected = sense * (Fraction(str(value)) - Fraction(base, 100)) >= Fraction(step, 100)
    assert is_changed(value, Base(0, base / 100, need, need), sense) == expected


def test_a_change_needs_something_that_counts() -> None:
    nothing = Base(0, 0.0, np.nan, np.nan)
    assert not is_changed(5.0, nothing, 1)
    assert not is_changed(-5.0, nothing, -1)
    assert is_changed(5.0, nothing._replace(need=5.0), 1)
    assert not is_changed(-5.0, nothing._replace(need=5.0), -1)


def visits_of(values: list[float]) -> np.ndarray:
    visits = np.zeros(len(values), dtype=VISIT).view(np.recarray)
    visits["x"], visits["need"], visits["need_opposite"] = values, 1.0, 0.5
    return visits


@pytest.mark.parametrize(
    ("values", "row", "strict", "by_anything"),
    [
        ([4.0, 3.0, 4.0], 1, True, True),  # both a point above
        ([4.0, 3.0, 3.5], 1, False, True),  # one of them half a point
        ([4.0, 4.5, 4.0], 1, True, True),  # both half a point below, which is enough down there
        ([4.0, 4.5, 4.2], 1, False, True),
        ([4.0, 3.0, 3.0], 1, False, False),  # one is the same
        ([3.0, 4.0, 5.0], 1, False, False),  # between them
        ([5.0, 4.0, 5.0], 0, False, False),  # the first has one neighbour
        ([5.0, 4.0, 5.0], 2, False, False),  # and the last
        ([3.0, 4.0, 3.0, 4.0], 2, False, False),  # equals the visit before the last
        ([3.5, 4.0, 3.0, 4.0], 2, True, True),
    ],
)
def test_local_extrema(values: list[float], row: int, strict: bool, by_anything: bool) -> None:
    visits, n = visits_of(values), len(values)
    found = [
        plain(is_extremum)(
            visits, SimpleNamespace(skips_extrema=True, skips_all_extrema=a), row, 0, n
        )
        for a in (False, True)
    ]
    assert found == [strict, by_anything]
    never = SimpleNamespace(skips_extrema=False, skips_all_extrema=False)
    assert not plain(is_extremum)(visits, never, row, 0, n)


@pytest.mark.parametrize(
    ("days", "inside"),
    [(76, False), (77, True), (114, True), (115, False), (160, False), (161, True), (9_999, True)],
)
def test_windows_hold_both_ends(days: int, inside: bool) -> None:
    windows = np.array([[77, 114], [161, np.inf]])
    assert in_any_window(windows, days) == inside


def test_a_relapse_on_the_day_is_not_after_it() -> None:
    days = Days(np.array([0, 2, 2]), np.array([10, 20]), np.array([True, True]))
    assert [first_day_after(days, 0, day) for day in (9, 10, 20)] == [10, 20, np.inf]
    assert first_day_after(days, 1, 0) == np.inf


OPEN = np.nan
FREE = {
    "around": [[0, 0], [90, 30], [90, 30]],
    "reference": [[5, 10], [0, 0], [0, 0]],
    "all in one": [[0, OPEN], [OPEN, OPEN], [OPEN, 0]],
    "to onset": [[0, OPEN], [OPEN, 30], [0, 0]],
    "from onset": [[0, 0], [7, OPEN], [OPEN, 1]],
}


@pytest.mark.parametrize(
    ("name", "relapse", "free"),
    [
        # reference day 100, onset day 500, confirmed on day 800
        ("around", 409, True), ("around", 410, False), ("around", 530, False),
        ("around", 531, True), ("around", 709, True), ("around", 710, False),
        ("around", 830, False), ("around", 831, True), ("around", 100, True),
        ("reference", 94, True), ("reference", 95, False), ("reference", 110, False),
        ("reference", 111, True), ("reference", 500, True),
        ("all in one", 99, True), ("all in one", 100, False), ("all in one", 300, False),
        ("all in one", 800, False), ("all in one", 801, True),
        ("to onset", 99, True), ("to onset", 100, False), ("to onset", 530, False),
        ("to onset", 531, True), ("to onset", 800, True),
        ("from onset", 492, True), ("from onset", 493, False), ("from onset", 801, False),
        ("from onset", 802, True), ("from onset", 100, True),
    ],
)  # fmt: skip
def test_intervals_without_relapse_hold_both_ends(name: str, relapse: int, free: bool) -> None:
    days = Days(np.array([0, 1]), np.array([relapse]), np.array([True]))
    around = np.array(FREE[name], dtype=float)
    assert is_free_of_relapses(days, around, 0, 100, 500, 800) == free


@pytest.mark.parametrize(
    ("scans", "required", "free"),
    [
        ([(490, False)], True, True),
        ([(490, True)], True, False),
        ([(400, True)], True, False),  # outside of both, and none inside
        ([(400, True)], False, True),
        ([], True, False),
        ([], False, True),
        ([(805, False)], True, True),  # one around confirmation suffices
        ([(490, False), (805, True)], True, False),
    ],
)
def test_intervals_without_lesions(
    scans: list[tuple[int, bool]], required: bool, free: bool
) -> None:
    day = np.array([d for d, _ in scans], dtype=np.int64)
    active = np.array([a for _, a in scans], dtype=bool)
    days = Days(np.array([0, len(scans)]), day, active)
    rule = SimpleNamespace(scan_required=required)
    around = np.array([[90.0, 30.0], [10.0, 10.0]])
    assert plain(is_free_of_lesions)(days, rule, around, 0, 500, 800) == free


def test_no_interval_asks_for_no_scan() -> None:
    days = Days(np.array([0, 0]), np.array([], dtype=np.int64), np.array([], dtype=bool))
    rule = SimpleNamespace(scan_required=True)
    assert plain(is_free_of_lesions)(days, rule, np.zeros((2, 2)), 0, 500, 800)


@pytest.mark.parametrize(
    ("grades", "intermediate", "expected"),
    [
        ([[1], [2], [2], [2]], True, True),
        ([[1], [2], [1], [2]], True, False),  # not at the visit in between
        ([[1], [2], [1], [2]], False, True),
        ([[1], [2], [2], [1]], True, False),
        ([[1], [1.5], [2], [2]], True, False),
        ([[np.nan], [2], [2], [2]], True, False),
        ([[1], [2], [np.nan], [2]], True, False),
        ([[1], [2], [np.nan], [2]], False, True),
        ([[1, 1], [2, 2], [1, 2], [2, 2]], True, True),  # the second lasts
    ],
)
def test_leading_systems(grades: list[list[float]], intermediate: bool, expected: bool) -> None:
    rule = SimpleNamespace(intermediate=intermediate, leading_step=1.0)
    assert plain(leads)(np.array(grades, dtype=float), rule, 0, 1, 3) == expected
