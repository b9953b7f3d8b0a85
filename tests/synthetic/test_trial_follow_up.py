"""Who leaves when, for which of several reasons. Witnesses: paths by hand, person-time."""

from __future__ import annotations

import numpy as np
import pytest
from plain_trials import LINE, WEEKS, halves, scenario

from pmsstats.trials.scenario import IntercurrentEvent, TrialDropout
from synthetic import generate_trials

ERRORS = 4
R, N = 400, 100
DAYS = 7.0 * np.array(WEEKS)
YEARS = DAYS / 365.25
EXACT = 1e-9
"""Of sums of numbers around 100 in double precision."""


def draw(trial, arm=None, seed=11):
    n = trial.accrual.n_subjects
    return generate_trials(trial, seed, first=0, last=R, arm=halves(R, n) if arm is None else arm)


def assert_rate(n, years, rate):
    """Events over person-time, within Poisson errors."""
    assert n > 50
    assert abs(np.log(n / years / rate)) < ERRORS / np.sqrt(n)


def last_seen(values, worse):
    """Carry the verdict of the last visit that took place forward."""
    seen = ~np.isnan(values)
    place = np.maximum.accumulate(np.where(seen, np.arange(5), 0), axis=-1)
    return np.take_along_axis(worse, place, axis=-1)


@pytest.mark.parametrize("model", ["random_slope", "repeated"])
@pytest.mark.parametrize(("rate", "log_hazard"), [(-2.0, 1.0), (-2.0, -1.0), (2.0, 1.0)])
def test_leaving_at_random_follows_the_last_visit_that_took_place(model, rate, log_hazard):
    """Hazards between visits, by what was seen last; a negative logarithm keeps the worse in.

    Worse is further than the mean in the direction in which the mean goes, be it up or down.
    """
    leaving = TrialDropout(share=0.3, mechanism="mar", log_hazard=log_hazard, missed_visit=0.4)
    settings = {
        "random_slope": LINE | {"rate": rate},
        "repeated": {"measure": "y", "mean": (rate * YEARS).tolist(), "sd": 2.0},
    }[model]
    drawn, full, missed = (
        draw(scenario(model, settings, n=N, dropout=dropout))
        for dropout in (leaving, None, TrialDropout(missed_visit=0.4))
    )
    full, missed = full.values["y"], missed.values["y"]
    worse = np.sign(rate) * (full - full[..., :1] - rate * YEARS) > 0
    worse[..., 0] = False
    known = last_seen(missed, worse)[..., :-1]
    exit_day = drawn.exit_day[..., None]
    years = np.clip(exit_day - DAYS[:-1], 0, np.diff(DAYS)) / 365.25
    left = (exit_day >= DAYS[:-1]) & (exit_day < DAYS[1:])
    leaves = -np.log(0.7) / YEARS[-1]
    surprised = known & ~worse[..., :-1]
    for who, hazard in (
        (known, leaves * np.exp(log_hazard)), (~known, leaves),
        (surprised, leaves * np.exp(log_hazard)),
    ):  # fmt: skip
        assert_rate(left[who].sum(), years[who].sum(), hazard)


def test_the_first_of_two_events_ends_the_effect_and_either_ends_follow_up():
    effects = ({}, {"slowing": 0.5})
    events = (
        IntercurrentEvent(name="first", rate=0.5, seen_after=0.4),
        IntercurrentEvent(name="second", rate=0.5, seen_after=0.7),
    )
    arm = np.ones((R, 20), dtype=int)
    drawn = draw(scenario(effects=effects, n=20, intercurrent=events), arm)
    plain = draw(scenario(n=20), arm).values["y"]
    until = np.minimum(YEARS, np.minimum(drawn.stop_day, 4000.0)[..., None] / 365.25)
    gain = drawn.values["y"] - plain
    seen = ~np.isnan(gain)
    np.testing.assert_allclose(gain[seen], np.broadcast_to(until, gain.shape)[seen], atol=EXACT)
    for name, share in (("first", 0.4), ("second", 0.7)):
        day = drawn.intercurrent[name]
        happened = np.isfinite(day)
        stayed = (drawn.exit_day > day)[happened]
        error = np.sqrt(share * (1 - share) / happened.sum())
        assert abs(stayed.mean() - share) < ERRORS * error


def test_deaths_and_dropout_compete():
    """Constant hazards: shares by cause are in the ratio of the hazards."""
    drawn = draw(scenario(n=N, dropout=TrialDropout(share=0.3, death_rate=0.1)))
    leaving = -np.log(0.7) / YEARS[-1]
    years = drawn.exit_day.sum() / 365.25
    assert_rate((drawn.exit_reason == 1).sum(), years, leaving)
    assert_rate((drawn.exit_reason == 2).sum(), years, 0.1)
