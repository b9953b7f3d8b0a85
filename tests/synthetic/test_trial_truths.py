"""True values of estimands: those that have a closed form, and silence about others."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from plain_trials import LINE, WEEKS, scenario

from pmsstats.trials.scenario import IntercurrentEvent
from synthetic import generate_trials

YEARS = 7 * np.array(WEEKS) / 365.25
MARKED = LINE | {"marker_share": 0.5}
OUTCOME = {"measure": "walk", "rate": 0.5, "intercept_sd": 0.0, "slope_sd": 0.7, "residual_sd": 0.0}


def progressing(effects, **settings):
    return {
        "model": "correlated_outcomes",
        "settings": {"outcomes": [OUTCOME], "hazard": 0.3, **settings},
        "effects": effects,
        "measures": ("walk", "progression"),
        "methods": ("cox",),
    }


def test_a_hazard_ratio_given_the_slope_is_not_that_of_all():
    for loading, known in ((0.0, {"cox": {"a1": pytest.approx(np.log(0.6))}}), (0.6, {})):
        effects = ({}, {"hazard_ratio": 0.6})
        asked = scenario(**progressing(effects, hazard_loadings={"walk": loading}))
        event = dataclasses.replace(asked.endpoints[0], measure="progression")
        asked = dataclasses.replace(asked, endpoints=(event,))
        assert generate_trials.truth(asked) == known


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
