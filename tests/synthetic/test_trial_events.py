"""Events and counts in trials. Witnesses: events over person-time, negative binomial moments."""

from __future__ import annotations

import numpy as np
import pytest
from plain_trials import halves, scenario

from pmsstats.trials.scenario import IntercurrentEvent, TrialDropout
from synthetic import generate_trials
from synthetic.trial_effects import hazards_of_groups

ERRORS = 4
R, N = 400, 100
LAST = 7 * 104 / 365.25


def events(settings, effects=({}, {}), **changes):
    return scenario(
        "event_times", settings, effects, n=N, measures=("progression",), methods=("cox",),
        **changes,
    )  # fmt: skip


def draw(trial):
    return generate_trials(trial, 7, first=0, last=R, arm=halves(R, N))


def rate_between(drawn, arm, start, end):
    """Count events and years at risk between two years, in one arm."""
    day = drawn.baseline["event_day"][drawn.arm == arm] / 365.25
    until = np.minimum(day, drawn.exit_day[drawn.arm == arm] / 365.25)
    at_risk = np.clip(until - start, 0, end - start).sum()
    return ((day > start) & (day <= end)).sum(), at_risk


PIECES = [
    (0, 0.0, 0.5, 0.2), (0, 0.5, 1.0, 0.2), (0, 1.0, 2.0, 0.4),
    (1, 0.0, 0.5, 0.2), (1, 0.5, 1.0, 0.12), (1, 1.0, 2.0, 0.24),
]  # fmt: skip


@pytest.mark.parametrize(("arm", "start", "end", "hazard"), PIECES)
def test_hazards_hold_between_breaks_and_from_the_onset_on(arm, start, end, hazard):
    trial = events(
        {"hazard": [0.2, 0.4], "breaks": [1.0]}, ({}, {"hazard_ratio": 0.6, "onset_years": 0.5}),
        dropout=TrialDropout(share=0.2),
    )  # fmt: skip
    n, years = rate_between(draw(trial), arm, start, end)
    assert abs(np.log(n / years / hazard)) < ERRORS / np.sqrt(n)


def test_the_hazard_ratio_is_recovered_and_known():
    trial = events({"hazard": 0.3}, ({}, {"hazard_ratio": 0.6}), dropout=TrialDropout(share=0.2))
    counts = [rate_between(draw(trial), arm, 0, 3) for arm in (0, 1)]
    log_ratio = np.log(counts[1][0] / counts[1][1]) - np.log(counts[0][0] / counts[0][1])
    error = np.sqrt(sum(1 / n for n, _ in counts))
    truth = generate_trials.truth(trial)["cox"]["a1"]
    assert truth == pytest.approx(np.log(0.6))
    assert abs(log_ratio - truth) < ERRORS * error


def test_a_hazard_that_is_not_proportional_has_no_one_ratio():
    late = events({"hazard": 0.3}, ({}, {"hazard_ratio": 0.6, "onset_years": 0.5}))
    assert generate_trials.truth(late) == {"cox": {"a1": None}}
    at_visits = events({"hazard": 0.3, "observed": "visits"}, ({}, {"hazard_ratio": 0.6}))
    assert generate_trials.truth(at_visits) == {}


def test_who_stops_has_the_hazard_of_the_reference_arm():
    """In the treated arm: the ratio before the day of stopping, none after it."""
    trial = events(
        {"hazard": 0.4}, ({}, {"hazard_ratio": 0.4}), intercurrent=(IntercurrentEvent(rate=0.7),)
    )
    drawn = draw(trial)
    treated = drawn.arm == 1
    event, exit_day = drawn.baseline["event_day"][treated], drawn.exit_day[treated]
    stop = drawn.stop_day[treated]
    until = np.minimum(event, exit_day)
    for n, days, hazard in (
        ((event <= np.minimum(stop, exit_day)).sum(), np.minimum(until, stop).sum(), 0.16),
        (((event > stop) & (event <= exit_day)).sum(), np.maximum(until - stop, 0).sum(), 0.4),
    ):
        assert abs(np.log(365.25 * n / days / hazard)) < ERRORS / np.sqrt(n)


def test_events_of_groups_are_at_their_cumulative_hazard():
    """Brute force: the hazard summed up in small steps to the year found."""
    hazards = hazards_of_groups(
        np.array([0.0, 1.0]), np.array([0.2, 0.5]),
        ratios=np.array([1.0, 0.5]), onsets=np.array([0.3, 0.4]), n_arms=2,
    )  # fmt: skip
    reading = np.array([0.05, 0.2, 0.6, 0.9, 0.05, 0.2, 0.6, 0.9])
    group = np.repeat([0, 1], 4)
    stop = np.array([0.1, np.inf, 0.7, 1.6, 0.1, np.inf, 0.7, 1.6])
    years = hazards.year(reading, group, stop)
    for year, total, arm, end in zip(years, reading, group, stop, strict=True):
        step = year / 20_000
        middles = step * (np.arange(20_000) + 0.5)
        base = np.where(middles < 1.0, 0.2, 0.5)
        halved = (arm == 1) & (middles >= 0.4) & (middles < end)
        assert step * np.where(halved, 0.5 * base, base).sum() == pytest.approx(total, rel=1e-3)
    np.testing.assert_allclose(hazards.under(years, group, stop), reading, rtol=1e-12)


def test_events_seen_at_visits_are_dated_to_the_first_after_them():
    missed = TrialDropout(share=0.1, missed_visit=0.2)
    settings = {"hazard": 0.4}
    exact = draw(events(settings, dropout=missed))
    seen = draw(events(settings | {"observed": "visits"}, dropout=missed))
    shown = seen.values["progression"] == 1
    first = np.where(shown.any(axis=2), shown.argmax(axis=2), 0)
    expected = np.where(shown.any(axis=2), seen.day[0, 0][first], np.inf)
    np.testing.assert_array_equal(seen.baseline["event_day"], expected)
    np.testing.assert_array_equal(seen.values["progression"], exact.values["progression"])
    happened = exact.baseline["event_day"] <= exact.day[0, 0][first]
    assert happened[shown.any(axis=2)].all()


def counted(settings, effects=({}, {}), **changes):
    return scenario(
        "counts", settings, effects, n=N, measures=("new_t2_count",), methods=("counts",), **changes
    )


def test_counts_are_negative_binomial():
    """Mean m and variance m + d m2 over follow-up, by arm; ratio of rates as told."""
    trial = counted({"rate": 2.0, "dispersion": 0.8}, ({}, {"rate_ratio": 0.5}))
    drawn = draw(trial)
    total = np.nansum(drawn.values["new_t2_count"], axis=2)
    assert np.isnan(drawn.values["new_t2_count"][..., 0]).all()
    for arm, rate in ((0, 2.0), (1, 1.0)):
        mine, mean = total[drawn.arm == arm], rate * LAST
        variance = mean + 0.8 * mean**2
        assert abs(mine.mean() - mean) < ERRORS * np.sqrt(variance / mine.size)
        spread = np.sqrt(np.var((mine - mean) ** 2) / mine.size)
        assert abs(np.var(mine) - variance) < ERRORS * spread
    assert generate_trials.truth(trial)["counts"]["a1"] == pytest.approx(np.log(0.5))


def test_counts_go_on_to_the_next_visit_that_takes_place():
    """By hand, subject by subject: the sum since the last visit seen."""
    settings, arm = {"rate": 3.0, "dispersion": 0.5}, halves(3, N)
    full, some = (
        generate_trials(counted(settings, dropout=d), 7, first=0, last=3, arm=arm)
        .values["new_t2_count"].reshape(-1, 5)
        for d in (TrialDropout(), TrialDropout(share=0.3, missed_visit=0.3))
    )  # fmt: skip
    assert np.isnan(some[:, 1:]).any()
    for all_of_it, seen in zip(full, some, strict=True):
        waiting = 0.0
        for k in range(1, 5):
            waiting += all_of_it[k]
            is_missed = np.isnan(seen[k])
            np.testing.assert_equal(seen[k], np.where(is_missed, np.nan, waiting))
            waiting *= is_missed


def test_the_rate_begins_to_fall_at_the_onset_and_is_back_after_stopping():
    """Expected counts by hand: years at each rate, for everybody."""
    trial = counted(
        {"rate": 2.0}, ({}, {"rate_ratio": 0.25, "onset_years": 0.5}),
        intercurrent=(IntercurrentEvent(rates={"a1": 0.5}),),
    )  # fmt: skip
    drawn = draw(trial)
    stop = np.minimum(drawn.stop_day / 365.25, LAST)
    treated = np.clip(stop - 0.5, 0, None) * (drawn.arm == 1)
    expected = 2.0 * (LAST - 0.75 * treated)
    total = np.nansum(drawn.values["new_t2_count"], axis=2)
    for arm in (0, 1):
        mine = drawn.arm == arm
        mean = expected[mine].sum()
        assert abs(total[mine].sum() - mean) < ERRORS * np.sqrt(mean)
