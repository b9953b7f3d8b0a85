"""Kaplan-Meier shares of many replicates. Witnesses: R's survfit, the product written out."""

from __future__ import annotations

import numpy as np
import pytest

from pmsstats.trials.analyses.product_limit import event_order, event_share

ROUNDING = 1e-12
PRINTED = 5e-4  # R prints three digits of the survival, four of its standard error

# Freireich et al., Blood 1963;21:699-716: weeks of remission on 6-MP; R 4.2.2, survival 3.5-3:
# summary(survfit(Surv(weeks, relapse) ~ 1)), columns time, survival, std.err.
WEEKS = np.array([6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35])
RELAPSE = np.array([1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0], dtype=bool)
SURVFIT = [
    (6, 0.857, 0.0764), (7, 0.807, 0.0869), (10, 0.753, 0.0963), (13, 0.690, 0.1068),
    (16, 0.627, 0.1141), (22, 0.538, 0.1282), (23, 0.448, 0.1346),
]  # fmt: skip


def by_then(duration, event, end):
    """The order of subjects whose status is asked for at a time."""
    event = event & (duration <= end)
    return event_order(np.where(~event & (duration >= end), np.inf, duration), event)


@pytest.mark.parametrize(("week", "survival", "error"), SURVFIT)
def test_a_known_remission_trial_is_that_of_survfit(week, survival, error):
    order = by_then(WEEKS[None].astype(float), RELAPSE[None], week + 0.5)
    found = event_share(order, np.ones((1, 21), dtype=bool))
    assert 1 - found.share[0] == pytest.approx(survival, abs=PRINTED)
    assert np.sqrt(found.variance[0]) == pytest.approx(error, abs=PRINTED)


def written_out(duration, event):
    """Product and sum over the different times of events: all events of a time at once."""
    survival, total = 1.0, 0.0
    for time in np.unique(duration[event]):
        d, y = np.sum(event & (duration == time)), np.sum(duration >= time)
        survival *= 1 - d / y
        total += d / (y * (y - d))
    return 1 - survival, survival**2 * total


def draw(seed, R=5, N=60):
    """Times with many ties, between events and between events and exits."""
    rng = np.random.default_rng(seed)
    day, gone = rng.integers(1, 9, (R, N)), rng.integers(1, 9, (R, N))
    end = np.minimum(np.minimum(day, gone), 6).astype(float)
    return end, (day <= gone) & (day <= 5), rng.random((R, N)) < 0.6


def test_groups_with_ties_are_the_product_over_times():
    duration, event, member = draw(3)
    order = by_then(duration, event, 6.0)
    for group in (member, ~member):
        found = event_share(order, group)
        for row in range(5):
            inside = group[row]
            expected = written_out(duration[row][inside], event[row][inside])
            assert found.share[row] == pytest.approx(expected[0], rel=ROUNDING)
            assert found.variance[row] == pytest.approx(expected[1], rel=ROUNDING)


def test_where_nobody_leaves_it_is_the_plain_share():
    _, event, member = draw(4)
    duration = np.where(event, 3.0, np.inf)
    found = event_share(event_order(duration, event), member)
    n = member.sum(axis=1)
    share = (event & member).sum(axis=1) / n
    np.testing.assert_allclose(found.share, share, rtol=ROUNDING)
    np.testing.assert_allclose(found.variance, share * (1 - share) / n, rtol=ROUNDING)


def test_nothing_is_known_beyond_the_last_who_left_but_after_the_last_event():
    """Three of four leave or have the event; all leave; the last one has the event; nobody."""
    inf = np.inf
    duration = np.array([[1.0, 2, 3, inf], [1, 2, 3, 4], [1, 2, 3, 4], [1, 2, 3, 4]])
    event = np.array([[1, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 1], [1, 1, 1, 1]], dtype=bool)
    member = np.array([[True] * 4] * 3 + [[False] * 4])
    found = event_share(event_order(duration, event), member)
    np.testing.assert_array_equal(found.share, [0.25, np.nan, 1.0, np.nan])
    np.testing.assert_array_equal(np.isnan(found.variance), [False, True, False, True])
    assert found.variance[2] == 0
