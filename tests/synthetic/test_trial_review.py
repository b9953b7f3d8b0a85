"""Trials in which several things happen at once. Witnesses: paths by hand, person-time."""

from __future__ import annotations

import dataclasses

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
TICK = 2.1e-4
"""Twice what rounding of a measured value may do."""


def draw(trial, arm=None, seed=11):
    n = trial.accrual.n_subjects
    return generate_trials(trial, seed, first=0, last=R, arm=halves(R, n) if arm is None else arm)


def assert_rate(n, years, rate):
    """Events over person-time, within Poisson errors."""
    assert n > 50
    assert abs(np.log(n / years / rate)) < ERRORS / np.sqrt(n)


MARKED = LINE | {"marker_share": 0.5}


def test_who_stops_goes_on_as_the_reference_of_the_same_marker():
    """Positive: 0.5, then the reference's 0.2 of the rate; negative: a tenth of 0.5, then none."""
    effects = (
        {"slowing": 0.2, "effect_in_negatives": 0.0},
        {"slowing": 0.5, "effect_in_negatives": 0.1},
    )
    stopping = (IntercurrentEvent(rate=0.6),)
    arm = np.ones((R, 20), dtype=int)
    drawn = draw(scenario(settings=MARKED, effects=effects, n=20, intercurrent=stopping), arm)
    plain = draw(scenario(settings=MARKED, n=20), arm)
    positive = drawn.baseline["marker"][..., None] == 1
    until = np.minimum(YEARS, np.minimum(drawn.stop_day, 4000.0)[..., None] / 365.25)
    expected = np.where(positive, until + 0.4 * (YEARS - until), 0.1 * until)
    np.testing.assert_allclose(drawn.values["y"] - plain.values["y"], expected, atol=EXACT)
    assert np.isfinite(drawn.stop_day[~positive[..., 0]]).any()


OUTCOME = {"measure": "walk", "rate": 0.5, "intercept_sd": 0.0, "slope_sd": 0.7, "residual_sd": 0.0}


def progressing(effects, **settings):
    return {
        "model": "correlated_outcomes",
        "settings": {"outcomes": [OUTCOME], "hazard": 0.3, **settings},
        "effects": effects,
        "measures": ("walk", "progression"),
        "methods": ("cox",),
    }


def test_the_hazard_after_stopping_is_that_of_the_reference_of_the_same_marker():
    """By person-time in the treated arm: ratios 0.2 then 0.5 with the marker, 1 without it."""
    effects = (
        {"hazard_ratio": 0.5, "effect_in_negatives": 0.0},
        {"hazard_ratio": 0.2, "effect_in_negatives": 0.0},
    )
    stopping = (IntercurrentEvent(rate=0.7),)
    asked = scenario(**progressing(effects, marker_share=0.5), n=2 * N, intercurrent=stopping)
    drawn = draw(asked, np.ones((R, 2 * N), dtype=int))
    event, until = drawn.baseline["event_day"], np.minimum(drawn.baseline["event_day"], DAYS[-1])
    stop = drawn.stop_day
    for marker, before, after in ((1, 0.06, 0.15), (0, 0.3, 0.3)):
        who = drawn.baseline["marker"] == marker
        early, late = np.minimum(until, stop)[who].sum(), np.maximum(until - stop, 0)[who].sum()
        assert_rate((event <= np.minimum(stop, DAYS[-1]))[who].sum(), early / 365.25, before)
        assert_rate(((event > stop) & (event <= DAYS[-1]))[who].sum(), late / 365.25, after)


def test_worse_is_higher_where_higher_is_worse():
    """Walking time rises: who slows down faster has more events; the mean hazard is the given."""
    asked = scenario(**progressing(({}, {}), hazard_loadings={"walk": 0.6}), n=2 * N)
    drawn = draw(asked)
    path = drawn.values["walk"]
    score = ((path[..., 1] - path[..., 0]) / YEARS[1] - 0.5) / 0.7
    event = np.isfinite(drawn.baseline["event_day"])
    years = np.minimum(drawn.baseline["event_day"], DAYS[-1]) / 365.25
    hazard = 0.3 * np.exp(0.6 * score - 0.18)
    for who in (score < -0.5, score > 0.5):
        assert_rate(event[who].sum(), 1.0, (hazard * years)[who].sum())


def test_a_hazard_ratio_given_the_slope_is_not_that_of_all():
    for loading, known in ((0.0, {"cox": {"a1": pytest.approx(np.log(0.6))}}), (0.6, {})):
        effects = ({}, {"hazard_ratio": 0.6})
        asked = scenario(**progressing(effects, hazard_loadings={"walk": loading}))
        event = dataclasses.replace(asked.endpoints[0], measure="progression")
        asked = dataclasses.replace(asked, endpoints=(event,))
        assert generate_trials.truth(asked) == known


def test_the_mean_hazard_is_that_given_where_slopes_correlate():
    """Closed form up to quadrature: the share with an event, over a normal log hazard."""
    settings = {
        "outcomes": [OUTCOME, OUTCOME | {"measure": "hand"}],
        "slope_correlations": [[1, 0.8], [0.8, 1]],
        "hazard": 1.0, "hazard_loadings": {"walk": 0.7, "hand": 0.7},
    }  # fmt: skip
    asked = scenario(
        "correlated_outcomes", settings, n=N, weeks=(0, 52),
        measures=("walk", "progression"), methods=("cox",),
    )  # fmt: skip
    happened = np.isfinite(draw(asked).baseline["event_day"]).mean()
    variance = 0.49 * (1 + 1 + 2 * 0.8)
    points, weights = np.polynomial.hermite_e.hermegauss(60)
    hazard = np.exp(np.sqrt(variance) * points - variance / 2)
    share = weights @ -np.expm1(-hazard * 364 / 365.25) / weights.sum()
    assert abs(happened - share) < ERRORS * np.sqrt(share * (1 - share) / (R * N))


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


def test_the_early_loss_of_negatives_is_their_share_with_the_same_time_constant():
    effects = ({}, {"pseudo_atrophy": 2.0, "pseudo_atrophy_years": 0.5, "effect_in_negatives": 0.3})
    treated, plain = (draw(scenario(settings=MARKED, effects=e, n=20)) for e in (effects, ({}, {})))
    share = np.where(treated.baseline["marker"] == 1, 1.0, 0.3)[:, 10:, None]
    gain = (treated.values["y"] - plain.values["y"])[:, 10:]
    np.testing.assert_allclose(gain, -2.0 * share * (1 - np.exp(-2 * YEARS)), atol=EXACT)


WEEK = [
    ("change", {}, 0.6 * YEARS[-1]),
    ("change", {"week": 52}, 0.6 * YEARS[2]),
    ("ancova", {"week": 52}, 0.6 * YEARS[2]),
]


@pytest.mark.parametrize(("method", "options", "value"), WEEK)
def test_the_true_difference_is_that_of_the_visit_that_is_compared(method, options, value):
    asked = scenario(
        effects=({}, {"slowing": 0.3}), methods=(method,), analysis={"options": options}
    )
    assert generate_trials.truth(asked) == {method: {"a1": pytest.approx(value)}}


def test_nothing_is_said_of_a_week_without_a_visit():
    asked = scenario(
        effects=({}, {"slowing": 0.3}), methods=("change",), analysis={"options": {"week": 30}}
    )
    assert generate_trials.truth(asked) == {}


def test_true_values_where_a_marker_decides_are_those_of_who_has_it():
    asked = {
        limits: scenario(
            settings=MARKED, effects=({}, {"slowing": 0.3, "effect_in_negatives": 0.5}),
            analysis={"subgroup": {"marker": limits}},
        )
        for limits in ((1, 1), (0, 0), (0, 1))
    }  # fmt: skip
    found = {limits: generate_trials.truth(trial) for limits, trial in asked.items()}
    assert found == {(1, 1): {"random_slope": {"a1": pytest.approx(0.6)}}, (0, 0): {}, (0, 1): {}}


def test_nothing_is_said_of_events_that_a_rule_derives():
    asked = scenario(
        "event_times", {"hazard": 0.3}, ({}, {"hazard_ratio": 0.6}), measures=("progression",),
        methods=("cox",),
    )  # fmt: skip
    assert generate_trials.truth(asked) == {"cox": {"a1": pytest.approx(np.log(0.6))}}
    ruled = dataclasses.replace(asked.endpoints[0], rule="cdp12")
    assert generate_trials.truth(dataclasses.replace(asked, endpoints=(ruled,))) == {}


SILENT = [
    {"strategies": {"discontinuation": "hypothetical"}}, {"options": {"by": "factor"}},
]  # fmt: skip


@pytest.mark.parametrize("analysis", SILENT, ids=["strategy", "factor"])
def test_nothing_is_said_of_estimands_of_another_kind(analysis):
    never = (IntercurrentEvent(rate=0.0),)
    asked = scenario(effects=({}, {"slowing": 0.3}), analysis=analysis, intercurrent=never)
    assert generate_trials.truth(asked) == {}


@pytest.mark.parametrize("model", ["random_slope", "ppms_trial"])
def test_arms_by_chance_are_in_the_ratio_of_the_scenario(model):
    settings, measure = {"random_slope": (LINE, "y"), "ppms_trial": ({}, "edss")}[model]
    asked = scenario(model, settings, n=1000, measures=(measure,))
    arms = (asked.arms[0], dataclasses.replace(asked.arms[1], ratio=3.0))
    drawn = generate_trials(dataclasses.replace(asked, arms=arms), 4, first=0, last=4)
    assert abs((drawn.arm == 1).mean() - 0.75) < ERRORS * np.sqrt(0.75 * 0.25 / drawn.arm.size)


def patients(effects=({}, {}), measures=("brain_ml",), **changes):
    """Draw patients of a preset, all of them treated."""
    asked = scenario("ppms_trial", {}, effects, n=500, measures=measures, **changes)
    return generate_trials(asked, 8, first=0, last=4, arm=np.ones((4, 500), dtype=int))


def test_patients_who_are_not_seen_after_an_event_leave_with_it():
    drawn = patients(intercurrent=(IntercurrentEvent(rate=0.5, seen_after=0.3),))
    happened = np.isfinite(drawn.stop_day)
    stayed = (drawn.exit_day > drawn.stop_day)[happened]
    assert abs(stayed.mean() - 0.3) < ERRORS * np.sqrt(0.21 / happened.sum())
    gone = happened & (drawn.exit_day == drawn.stop_day)
    assert gone.sum() + stayed.sum() == happened.sum()
    early = gone & (drawn.exit_day < DAYS[-1])  # of the others, some come to the last visit
    assert early.sum() > 100
    assert (drawn.exit_reason[early] == 1).all()
    later = np.broadcast_to(drawn.day, (4, 500, 5)) > drawn.exit_day[..., None]
    assert np.isnan(drawn.values["brain_ml"][later]).all()


def test_the_first_of_two_events_that_stop_it_ends_the_effect_in_patients():
    effects = ({}, {"atrophy_slowing": 0.5})
    rescue = IntercurrentEvent(name="rescue", rate=0.6, effect_after="continues")
    events = tuple(IntercurrentEvent(name=name, rate=0.5) for name in ("one", "two"))
    plain, full, with_rescue, stopped = (
        patients(e, intercurrent=i)
        for e, i in ((({}, {}), ()), (effects, ()), (effects, (rescue,)), (effects, events))
    )
    assert np.isfinite(with_rescue.stop_day).any()
    np.testing.assert_array_equal(with_rescue.values["brain_ml"], full.values["brain_ml"])
    whole = (full.values["brain_ml"] - plain.values["brain_ml"])[..., 1:]
    gain = (stopped.values["brain_ml"] - plain.values["brain_ml"])[..., 1:]
    until = np.minimum(YEARS[1:], np.minimum(stopped.stop_day, 4000.0)[..., None] / 365.25)
    np.testing.assert_allclose(gain, whole * until / YEARS[1:], atol=TICK)


def test_a_day_has_one_relapse():
    settings = {"relapse_rate": 60.0}
    asked = scenario("ppms_trial", settings, n=200, measures=("relapses",), weeks=(0, 26))
    replicate, subject, day = generate_trials(asked, 8, first=0, last=2).relapses
    assert len(day) > 1000
    key = (replicate * 200 + subject) * 1000 + day
    assert len(np.unique(key)) == len(key)
