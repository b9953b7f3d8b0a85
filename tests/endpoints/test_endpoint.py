"""Rules from tables of a study file, and the one door to all endpoints."""

from __future__ import annotations

import math
import tomllib

import pandas as pd
import pytest

from pmsstats.cohort import Cohort, Measure, default_dictionary
from pmsstats.endpoints import (
    PRESETS,
    AbsoluteThreshold,
    ExitEventRule,
    ProgressionRule,
    RecordedEventRule,
    RelativeThreshold,
    StepThreshold,
    derive_endpoint,
    rule_from_dict,
)
from pmsstats.errors import DesignError

OWN = default_dictionary().extend(
    Measure(name="rating", label="Clinical rating", worsening="higher"),
    Measure(name="volume", label="Volume", worsening="lower"),
    Measure(name="index", label="Index"),
)


@pytest.mark.parametrize(
    ("toml", "threshold", "direction", "weeks"),
    [
        ('measure="rating"\nchange=0.5', AbsoluteThreshold(change=0.5), "increase", None),
        (
            'measure="rating"\nchange=0.5\nconfirm_weeks=24\ndirection="increase"',
            AbsoluteThreshold(change=0.5),
            "increase",
            24,
        ),
        ('measure="volume"\nrelative=0.02', RelativeThreshold(fraction=0.02), "decrease", None),
        ('measure="volume"\nchange=1\ndirection="increase"', None, "increase", None),
        ('measure="index"\nchange=1\ndirection="decrease"', None, "decrease", None),
        (
            'kind="progression"\nmeasure="edss"\nsteps=[[5.0,1.0],[inf,0.5]]\nconfirm_weeks=12',
            StepThreshold(steps=((5.0, 1.0), (math.inf, 0.5))),
            "increase",
            12,
        ),
    ],
)
def test_progression_from_a_table(
    toml: str, threshold: object, direction: str, weeks: int | None
) -> None:
    rule = rule_from_dict(tomllib.loads(toml), dictionary=OWN)
    assert isinstance(rule, ProgressionRule)
    assert rule.threshold == (threshold or AbsoluteThreshold(change=1))
    assert (rule.direction, rule.confirm_weeks) == (direction, weeks)


def test_preset_as_it_is() -> None:
    assert rule_from_dict({"preset": "cdp24"}) is PRESETS["cdp24"]


def test_changed_preset_says_so() -> None:
    rule = rule_from_dict({"preset": "cdp12", "confirm_weeks": 24, "relapse_days": 30})
    assert (rule.name, rule.confirm_weeks, rule.relapse_days) == ("cdp12_modified", 24, 30)
    assert rule.threshold == PRESETS["cdp12"].threshold
    assert rule.title() == "24-week confirmed worsening of EDSS"
    assert "Modified from the preset cdp12." in rule.describe()


def test_changed_preset_may_be_named() -> None:
    table = {"preset": "nhpt20", "measure": "nhpt_dominant_s", "name": "hand", "relative": 0.25}
    rule = rule_from_dict(table)
    assert (rule.name, rule.outcome, rule.threshold.fraction) == ("hand", "nhpt_dominant_s", 0.25)


def test_other_kinds_from_a_table() -> None:
    recorded = {"kind": "recorded", "duration": "ttde_day", "event": "ttde_event"}
    assert rule_from_dict(recorded) == RecordedEventRule(duration="ttde_day", event="ttde_event")
    assert rule_from_dict({"kind": "exit", "reasons": ["death"]}) == ExitEventRule(
        reasons=("death",)
    )


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"preset": "cpd12"}, "Did you mean 'cdp12'"),
        ({"measure": "edss", "chnge": 1.0}, "no key 'chnge'. Did you mean 'change'"),
        ({"measure": "edss"}, "does not say how much change counts"),
        ({"change": 1.0}, "needs `measure`, but has only: change"),
        ({}, "needs `measure`, but has only: nothing"),
        ({"measure": "edss", "change": 1.0, "relative": 0.2}, "got `change` and `relative`"),
        ({"measure": "index", "change": 1.0}, "needs `direction`"),
        ({"measure": "unheard_of", "change": 1.0}, "no measure of the data dictionary"),
        ({"measure": "edss", "change": "1"}, "number above 0"),
        ({"measure": "edss", "change": -1.0}, "number above 0"),
        ({"measure": "edss", "steps": 5}, "pairs of numbers"),
        ({"measure": "edss", "change": 1.0, "confirm_weeks": "12"}, "whole number"),
        ({"measure": "edss", "change": 1.0, "direction": "worse"}, "one of increase, decrease"),
        ({"kind": "recored", "duration": "d", "event": "e"}, "Did you mean 'recorded'"),
        ({"kind": "recorded", "duration": "d"}, "needs `event`"),
        ({"kind": "recorded", "duration": "d", "evnt": "e"}, "Did you mean 'event'"),
        ({"kind": "exit"}, "needs `reasons`"),
        ({"kind": "exit", "reasons": []}, "must be a list of reasons"),
        ({"kind": 3, "measure": "edss"}, "one of progression, recorded, exit"),
    ],
)
def test_tables_that_cannot_be_understood(table: dict, message: str) -> None:
    with pytest.raises(DesignError, match=message):
        rule_from_dict(table, dictionary=OWN)


@pytest.fixture
def cohort() -> Cohort:
    """S1 progresses at day 84 (confirmed 168) and dies; S2 does neither."""
    return Cohort(
        pd.DataFrame({"subject_id": ["S1", "S2"], "days": [84, 168], "happened": [1, 0]}),
        pd.DataFrame(
            {
                "subject_id": ["S1"] * 3 + ["S2"] * 3,
                "day": [0, 84, 168] * 2,
                "edss": [4.0, 5.0, 5.0, 4.0, 4.0, 4.5],
                "rating": [1.0, 1.5, 1.5, 1.0, 1.0, 1.0],
            }
        ),
        exits=pd.DataFrame({"subject_id": ["S1"], "day": [170], "reason": ["death"]}),
        dictionary=OWN,
    )


@pytest.mark.parametrize(
    ("rule", "duration"),
    [
        ("cdp12", 84),
        (PRESETS["cdp12"], 84),
        ({"preset": "cdp12"}, 84),
        ({"measure": "rating", "change": 0.5, "confirm_weeks": 12}, 84),
        ({"kind": "recorded", "duration": "days", "event": "happened"}, 84),
        (RecordedEventRule(duration="days", event="happened"), 84),
        ({"kind": "exit", "reasons": ["death"]}, 170),
        (ExitEventRule(reasons=("death",)), 170),
    ],
)
def test_one_door(rule: object, duration: int, cohort: Cohort) -> None:
    events = derive_endpoint(cohort, rule).table()
    assert events["event"].tolist() == [True, False]
    assert events["duration"].tolist() == [duration, 168]


@pytest.mark.parametrize("rule", [12, None, ["cdp12"]])
def test_what_is_no_rule(rule: object, cohort: Cohort) -> None:
    with pytest.raises(DesignError, match="must be a rule, the name of a preset, or a table"):
        derive_endpoint(cohort, rule)
