"""Visits and who still comes to them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmsstats.errors import DesignError
from pmsstats.power.schedule import (
    VisitSchedule,
    checked_retention,
    last_visit_shares,
    retention_of_arms,
)

BAD = [
    (lambda: VisitSchedule(years=(0, -1)), "negative"),
    (lambda: VisitSchedule(years=(0, 2, 1)), "1 follows 2"),
    (lambda: VisitSchedule(years=(0, 1, 1)), "1 follows 1"),
    (lambda: VisitSchedule(years=(0,)), "at least two visits"),
    (lambda: VisitSchedule(years=(0.5, 1)), "start with the baseline visit at 0"),
    (lambda: VisitSchedule(years=(0, float("inf"))), "`years`"),
    (lambda: VisitSchedule(years=tuple(range(401))), "400 visits"),
    (lambda: VisitSchedule.every(months=5, duration=1), "2.4 intervals"),
    (lambda: VisitSchedule.every(months=0, duration=1), "`months`"),
    (lambda: VisitSchedule.equally_spaced(n_scans=1, duration=1), "at least 2"),
    (lambda: VisitSchedule.equally_spaced(n_scans=2.5, duration=1), "whole number"),
    (lambda: VisitSchedule.clustered(start=3, end=3, gap=0.3, duration=1), "overlap"),
    (lambda: retention_of_arms((0, 1), 1.0), "`dropout`"),
    (lambda: retention_of_arms((0, 1), -0.1), "`dropout`"),
    (lambda: retention_of_arms((0, 1), 0.1, (1, 0.9)), "not both"),
    (lambda: checked_retention((1, 0.8, 0.9), 3), "from 0.8 to 0.9 at visit 3"),
    (lambda: checked_retention((1, 1.2), 2), "`retention`"),
    (lambda: checked_retention((1, 0.9), 3), "each of 3 visits"),
    (lambda: checked_retention((1, 0), 2), "nobody"),
]


@pytest.mark.parametrize(("make", "words"), BAD)
def test_refused(make, words):
    with pytest.raises(DesignError, match=words):
        make()


def test_schedules():
    assert VisitSchedule.every(months=6, duration=1.5).years == (0.0, 0.5, 1.0, 1.5)
    assert VisitSchedule.every(months=4, duration=1).years[-1] == 1.0
    assert VisitSchedule.equally_spaced(n_scans=3, duration=4).years == (0.0, 2.0, 4.0)
    clustered = VisitSchedule.clustered(start=2, end=3, gap=0.25, duration=3)
    assert clustered.years == (0.0, 0.25, 2.5, 2.75, 3.0)
    assert clustered.interval is None
    assert VisitSchedule.every(months=6, duration=2).interval == 0.5
    assert clustered.stretched(6).years == (0.0, 0.5, 5.0, 5.5, 6.0)


def test_words():
    assert VisitSchedule(years=(0, 1, 2.5)).words() == "scans at 0, 1 and 2.5 years"
    quarterly = VisitSchedule.every(months=3, duration=2)
    assert quarterly.words() == "9 scans every 3 months over 2 years"


def test_yearly_dropout_compounds():
    reference, treated = retention_of_arms((0, 0.5, 1, 2), (0.1, 0.0))
    np.testing.assert_allclose(reference, [1, np.sqrt(0.9), 0.9, 0.81], rtol=1e-14)
    assert treated == (1.0, 1.0, 1.0, 1.0)


def test_retention_per_arm():
    reference, treated = retention_of_arms((0, 1), 0.0, ((1, 0.9), (1, 0.7)))
    assert (reference, treated) == ((1, 0.9), (1, 0.7))
    assert retention_of_arms((0, 1), 0.0, (1, 0.9)) == ((1, 0.9), (1, 0.9))


@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=8))
def test_last_visits_add_up(shares):
    seen = sorted(shares, reverse=True)
    last = last_visit_shares(seen)
    assert last.sum() == pytest.approx(seen[0])
    np.testing.assert_allclose(last[::-1].cumsum()[::-1], seen, rtol=1e-12)
