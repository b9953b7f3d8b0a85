"""When visits take place. Witness: the windows, by hand."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from synthetic import defaults
from synthetic.draws import SubjectStreams
from synthetic.visits import draw_calendar

STREAMS = SubjectStreams(np.random.SeedSequence(3), 5000)


@pytest.fixture(scope="module")
def calendar():
    return draw_calendar(defaults.SCHEDULE, STREAMS)


def test_everybody_starts_on_day_0(calendar):
    assert (calendar.day[:, 0] == 0).all()


def test_visits_stay_in_their_windows_and_in_order(calendar):
    shift = calendar.day - 7 * np.array(calendar.weeks)
    assert np.abs(shift).max() == defaults.SCHEDULE.window_days
    assert (np.diff(calendar.day, axis=1) > 0).all()
    assert abs(shift[:, 1:].mean()) < 4 * 3.0 / np.sqrt(shift[:, 1:].size)


def test_without_a_window_visits_are_on_time():
    on_time = dataclasses.replace(defaults.SCHEDULE, window_days=0.0)
    day = draw_calendar(on_time, STREAMS).day
    assert (day == 7 * np.array(on_time.weeks)).all()


def test_another_visit_moves_none_of_the_others(calendar):
    weeks = (*defaults.SCHEDULE.weeks[:3], 30, *defaults.SCHEDULE.weeks[3:])
    more = draw_calendar(dataclasses.replace(defaults.SCHEDULE, weeks=weeks), STREAMS)
    assert more.weeks[3] == 30
    np.testing.assert_array_equal(np.delete(more.day, 3, axis=1), calendar.day)


def test_parts_and_labels(calendar):
    part = calendar.part((0, 48))
    assert part.labels == ("Baseline", "W48")
    np.testing.assert_array_equal(part.day, calendar.day[:, [0, 4]])
    np.testing.assert_allclose(part.year, part.day / 365.25)
