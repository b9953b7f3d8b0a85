"""Which methods go with times to an event, and which with measures."""

from __future__ import annotations

import dataclasses
from typing import get_args

import numpy as np
import pytest
from hand_made_trials import generate as generate_by_hand
from hand_made_trials import scenario as hand_made
from plain_trials import halves, scenario
from trial_cases import analysis_of

from pmsstats.errors import DesignError
from pmsstats.trials.analyses import analyse
from pmsstats.trials.analyses.endpoint_kinds import EVENT_METHODS, MEASURE_METHODS, is_event
from pmsstats.trials.scenario import AnalysisMethod, TrialDropout
from synthetic import generate_trials

WALK = {"measure": "walk", "rate": 0.5, "intercept_sd": 1.0, "slope_sd": 0.7, "residual_sd": 0.5}
EVENTS = {"hazard": 0.5}
BOTH = {"outcomes": [WALK], "hazard": 0.5}
COUNTS = {"rate": 2.0}
ONLY_EVENTS = tuple(m for m in EVENT_METHODS if m != "function")
ONLY_MEASURES = tuple(m for m in MEASURE_METHODS if m != "function")
FIELDS = {
    "model": {"formula": "progression ~ year * arm + (1 | subject_id)"},
    "multivariate": {"endpoints": ("progression",)},
}


def both(**changes):
    """Walking time, and progression that is drawn with it."""
    changes = {"measures": ("walk", "progression"), "n": 30, **changes}
    return scenario("correlated_outcomes", BOTH, **changes)


def run(trial, **fields):
    """The only analysis of a trial, changed."""
    analysis = dataclasses.replace(trial.analyses[0], **fields)
    n = trial.accrual.n_subjects
    data = generate_trials(trial, 3, first=0, last=4, arm=halves(4, n))
    return analyse(trial, analysis, data, arms=("a1",))


def test_every_method_is_for_one_kind_or_both():
    assert {*EVENT_METHODS, *MEASURE_METHODS} == set(get_args(AnalysisMethod))
    assert set(EVENT_METHODS) & set(MEASURE_METHODS) == {"function"}


@pytest.mark.parametrize("method", ONLY_MEASURES)
@pytest.mark.parametrize("endpoints", [("progression",), ("progression", "walk")])
def test_a_drawn_time_to_an_event_is_no_measure(method, endpoints):
    trial = both(methods=(method,), measures=endpoints)
    words = (
        rf"'{method}' is for measures, but endpoint 'progression' of analysis '{method}' is a time "
        "to an event.*log_rank, cox, proportion, function"
    )
    with pytest.raises(DesignError, match=words):
        run(trial, **FIELDS.get(method, {}))


def test_one_event_among_several_measures_is_enough():
    with pytest.raises(DesignError, match=r"'progression' .* is a time to an event"):
        run(both(methods=("multivariate",)), endpoints=("walk", "progression"))


@pytest.mark.parametrize("method", ["ancova", "random_slope", "mmrm", "imputation", "counts"])
def test_a_rule_makes_a_time_to_an_event_of_a_measure(method):
    trial = both(methods=(method,))
    ruled = dataclasses.replace(trial.endpoints[0], rule="cdp12")
    trial = dataclasses.replace(trial, endpoints=(ruled, *trial.endpoints[1:]))
    with pytest.raises(
        DesignError, match=r"is a time to 'cdp12'.*To analyse 'walk' itself, add an"
    ):
        run(trial)


@pytest.mark.parametrize("method", ONLY_EVENTS)
def test_a_measure_is_no_time_to_an_event_though_another_one_is(method):
    with pytest.raises(
        DesignError,
        match=rf"'{method}' is for times to an event, but endpoint "
        "'walk' .*that of 'progression'.*such as 'cdp24'.*random_slope, mmrm",
    ):
        run(both(methods=(method,)))


@pytest.mark.parametrize("method", ONLY_EVENTS)
@pytest.mark.parametrize("settings", [BOTH, {"outcomes": [WALK]}], ids=["unasked", "without"])
def test_a_measure_is_no_time_to_an_event_if_nobody_asked_for_one(settings, method):
    """Events that no endpoint is about are not there."""
    trial = scenario(
        "correlated_outcomes", settings, n=30, measures=("walk",), methods=(method,)
    )  # fmt: skip
    with pytest.raises(DesignError, match="has no `rule`, and the generator gives no 'event_day'"):
        run(trial)


@pytest.mark.parametrize("observed", ["exact", "visits"])
def test_events_are_seen_as_such_whatever_is_missing(observed):
    leaving = TrialDropout(share=0.4, missed_visit=0.3)
    trial = scenario(
        "event_times", EVENTS | {"observed": observed}, n=30, measures=("progression",),
        methods=("cox",), dropout=leaving, window_days=10,
    )  # fmt: skip
    data = generate_trials(trial, 3, first=0, last=4, arm=halves(4, 30))
    assert np.isnan(data.values["progression"]).any()
    assert is_event(data, trial.endpoints[0])
    assert (run(trial).reason == "").all()


@pytest.mark.parametrize("method", ["cox", "change"])
def test_events_that_no_measure_shows_may_be_those_of_any_endpoint(method):
    """A generator of one's own need not make a measure of its events."""
    trial = hand_made(n=40)
    data = generate_by_hand(trial, np.random.SeedSequence(2), first=0, last=4, arm=halves(4, 40))
    batch = analyse(trial, analysis_of(method, endpoint="event"), data, arms=("treated",))
    assert (batch.reason == "").all()
    assert not is_event(data, trial.endpoints[0])


def test_counts_are_of_whole_numbers():
    trial = both(methods=("counts",))
    with pytest.raises(DesignError, match="'counts' is for numbers of events, but 'walk'"):
        run(trial)
    counted = scenario("counts", COUNTS, n=30, measures=("new_t2_count",), methods=("counts",))
    assert (run(counted).reason == "").all()


@pytest.mark.parametrize("method", ONLY_EVENTS)
def test_an_event_may_be_analysed_by_all_that_is_for_events(method):
    assert (run(both(methods=(method,)), endpoint="progression").reason == "").all()
