"""The k-th of several events. Witness: every combination of whole days that the parts allow."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmsstats.endpoints.engine.kth_event import PartTimes, kth_event

LAST = 9
"""Days run from 0 to this; an event that was not seen may also come on the day after."""


@st.composite
def parts(draw: st.DrawFn) -> tuple[bool, bool, int, int, int]:
    """Draw one part: at risk, event, day, left, right (-1: not seen)."""
    left = draw(st.integers(0, LAST - 1))
    event = draw(st.booleans())
    day = draw(st.integers(left + 1 if event else left, LAST))
    exact = event and draw(st.booleans())
    return draw(st.booleans()), event, day, day if exact else left, day if event else -1


PARTS = st.lists(parts(), min_size=2, max_size=4).filter(
    lambda p: any(at_risk for at_risk, *_ in p)
)


def as_times(drawn: list[tuple[bool, bool, int, int, int]]) -> PartTimes:
    """Put one subject's parts into arrays."""
    at_risk, event, day, left, right = (np.array([column]) for column in zip(*drawn, strict=True))
    right = np.where(right < 0, np.inf, right)
    return PartTimes(
        at_risk=at_risk, event=event & at_risk, day=day.astype(float), left=left.astype(float),
        right=right.astype(float),
    )  # fmt: skip


def kth_of(possible: list[range], k: int) -> list[int]:
    """Return the k-th smallest of every combination."""
    return [sorted(days)[k - 1] for days in itertools.product(*possible)]


def watched(drawn: list[tuple[bool, bool, int, int, int]]) -> list[tuple[bool, int, int, int]]:
    """Keep the parts that the subject is at risk for."""
    return [rest for at_risk, *rest in drawn if at_risk]


@given(PARTS, st.data())
def test_interval_is_what_the_parts_allow(drawn: list, data: st.DataObject) -> None:
    """Enumerate all days on which each part can have happened."""
    seen = watched(drawn)
    k = data.draw(st.integers(1, len(seen)))
    possible = [
        range(right if left == right else left + 1, (right if event else LAST + 1) + 1)
        for event, _, left, right in seen
    ]
    days = kth_of(possible, k)
    found = kth_event(as_times(drawn), k)
    low, high = min(days), max(days)
    open_end = high == LAST + 1
    expected_right = np.inf if open_end else high
    expected_left = high if low == high and not open_end else low - 1
    assert (found.left[0], found.right[0]) == (expected_left, expected_right)


@given(PARTS, st.data())
def test_first_end_is_the_last_day_without_doubt(drawn: list, data: st.DataObject) -> None:
    """Dated events stand; parts that were not seen may come on any later day."""
    seen = watched(drawn)
    k = data.draw(st.integers(1, len(seen)))
    possible = [
        range(day, day + 1) if event else range(day + 1, LAST + 2) for event, day, _, _ in seen
    ]
    found = kth_event(as_times(drawn), k)
    assert found.first_end[0] == min(kth_of(possible, k)) - 1


@given(PARTS, st.data())
def test_day_is_the_kth_of_those_seen(drawn: list, data: st.DataObject) -> None:
    seen = watched(drawn)
    k = data.draw(st.integers(1, len(seen)))
    days = [*sorted(day for event, day, _, _ in seen if event), *[np.inf] * len(seen)]
    found = kth_event(as_times(drawn), k)
    assert found.day[0] == days[k - 1]
    assert found.event[0] == np.isfinite(days[k - 1])
    assert found.last_end[0] == max(day for _, day, _, _ in seen)


@given(PARTS, st.randoms(), st.integers(1, 2))
def test_order_of_parts_changes_nothing(drawn: list, random: object, k: int) -> None:
    shuffled = list(drawn)
    random.shuffle(shuffled)
    one, other = (kth_event(as_times(p), k) for p in (drawn, shuffled))
    np.testing.assert_array_equal([*vars(one).values()], [*vars(other).values()])


@given(PARTS)
def test_more_required_never_comes_earlier(drawn: list) -> None:
    found = [kth_event(as_times(drawn), k) for k in range(1, len(drawn) + 1)]
    for name in ("day", "right", "first_end"):
        values = [getattr(f, name)[0] for f in found]
        assert values == sorted(values), name
    lefts = [f.left[0] - (f.left[0] == f.right[0]) for f in found]  # day d is (d - 1, d]
    assert lefts == sorted(lefts)


def test_three_parts_by_hand() -> None:
    """After day 2 and up to day 3 is on day 3."""
    times = as_times([(True, True, 5, 2, 5), (True, True, 3, 3, 3), (True, False, 7, 6, -1)])
    found = [kth_event(times, k) for k in (1, 2, 3)]
    assert [f.day[0] for f in found] == [3, 5, np.inf]
    assert [(f.left[0], f.right[0]) for f in found] == [(3, 3), (2, 5), (6, np.inf)]


@pytest.mark.parametrize("k", [1, 2])
def test_nobody_at_risk(k: int) -> None:
    found = kth_event(as_times([(False, True, 5, 2, 5), (False, False, 3, 3, -1)]), k)
    assert not found.event[0]
    assert np.isinf(found.day[0])
    assert found.last_end[0] == -np.inf
