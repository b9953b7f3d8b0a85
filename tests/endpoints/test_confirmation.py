"""The engine on arrays: witnesses are cases small enough to read off."""

from __future__ import annotations

import numpy as np
import pytest

from pmsstats.endpoints.confirmation import baseline_rows, days_since, first_confirmed, last_rows
from pmsstats.errors import DesignError


def _first(subject: list, day: list, worse: list, min_days: int | None, **kws: object) -> tuple:
    n_subjects = 3
    found = first_confirmed(
        np.array(subject, dtype=np.int64),
        np.array(day, dtype=np.int64),
        np.array(worse, dtype=bool),
        n_subjects,
        min_days=min_days,
        **kws,
    )
    return found.onset.tolist(), found.confirmed.tolist()


@pytest.mark.parametrize(
    ("subject", "day", "worse", "min_days", "onset", "confirmed"),
    [
        ([], [], [], 84, [-1, -1, -1], [-1, -1, -1]),
        ([0, 0], [84, 168], [1, 1], 84, [0, -1, -1], [1, -1, -1]),
        ([0, 0], [84, 167], [1, 1], 84, [-1, -1, -1], [-1, -1, -1]),
        ([0, 0], [84, 168], [1, 0], 84, [-1, -1, -1], [-1, -1, -1]),
        ([0, 0, 0], [84, 100, 168], [1, 0, 1], 84, [-1, -1, -1], [-1, -1, -1]),
        ([0, 0], [84, 168], [1, 0], None, [0, -1, -1], [-1, -1, -1]),
        # the next subject's visits neither confirm nor break
        ([0, 1, 1], [84, 168, 252], [1, 1, 1], 84, [-1, 1, -1], [-1, 2, -1]),
        ([0, 0, 1], [84, 168, 84], [1, 1, 0], 84, [0, -1, -1], [1, -1, -1]),
        # a subject without rows in the middle
        ([0, 0, 2, 2], [1, 85, 1, 85], [1, 1, 1, 1], 84, [0, -1, 2], [1, -1, 3]),
        # negative days
        ([0, 0], [-300, -100], [1, 1], 84, [0, -1, -1], [1, -1, -1]),
    ],
)
def test_first_confirmed(
    subject: list, day: list, worse: list, min_days: int | None, onset: list, confirmed: list
) -> None:
    assert _first(subject, day, worse, min_days) == (onset, confirmed)


@pytest.mark.parametrize(
    ("usable", "worse", "onset", "confirmed"),
    [
        ([0, 1, 1], [1, 1, 1], 1, 2),  # cannot start
        ([1, 0, 1], [1, 1, 1], 0, 2),  # cannot confirm
        ([1, 0, 1], [1, 0, 1], -1, -1),  # cannot confirm, but breaks
        ([0, 0, 0], [1, 1, 1], -1, -1),
    ],
)
def test_visits_that_may_not_make_an_event(
    usable: list, worse: list, onset: int, confirmed: int
) -> None:
    found = _first([0, 0, 0], [84, 168, 252], worse, 84, usable=np.array(usable, dtype=bool))
    assert (found[0][0], found[1][0]) == (onset, confirmed)


@pytest.mark.parametrize(
    ("day", "window", "row"),
    [
        ([-14, 0, 84], 0, 1),
        ([-14, 5, 84], 0, 0),
        ([3, 84], 0, -1),
        ([3, 5, 84], 4, 0),
        ([5, 84], 4, -1),
        ([-14, 3], 4, 0),  # a value before day 0 comes first, however early
        ([4], 4, 0),
    ],
)
def test_baseline_rows(day: list, window: int, row: int) -> None:
    subject = np.zeros(len(day), dtype=np.int64)
    found = baseline_rows(subject, np.array(day, dtype=np.int64), 2, window_days=window)
    assert found.tolist() == [row, -1]


def test_last_rows() -> None:
    assert last_rows(np.array([0, 0, 2]), 4).tolist() == [1, -1, 2, -1]


def test_days_since_takes_the_last_event_of_the_same_subject() -> None:
    subject = np.array([0, 0, 1, 2, 2])
    day = np.array([0, 84, 84, -20, 10])
    events = np.array([2, 0, 0, 0, 2]), np.array([10, 80, 10, 90, -30])
    expected = [np.inf, 4, np.inf, 10, 0]
    assert days_since(subject, day, *events).tolist() == expected


@pytest.mark.parametrize(("visits", "events"), [([], [1]), ([1], []), ([], [])])
def test_days_since_without_visits_or_events(visits: list, events: list) -> None:
    zeros = np.zeros(len(visits), dtype=np.int64)
    found = days_since(
        zeros,
        np.array(visits, dtype=np.int64),
        np.zeros(len(events), dtype=np.int64),
        np.array(events, dtype=np.int64),
    )
    assert found.tolist() == [np.inf] * len(visits)


def test_absurd_days_are_refused_rather_than_overflow() -> None:
    with pytest.raises(DesignError, match="no study"):
        _first([0, 0], [0, 2**61], [1, 1], 84)
