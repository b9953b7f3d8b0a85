"""Tables from rules: reading back what was written gives the same rule."""

from __future__ import annotations

import copy
import json
import math

import numpy as np
import pytest
from endpoints.rule_strategies import any_rules, progression_rules
from hypothesis import given

from pmsstats.endpoints import (
    PRESETS,
    AbsoluteThreshold,
    CompositeRule,
    ExitEventRule,
    ProgressionRule,
    RelapseEventRule,
    RelapseFree,
    rule_from_dict,
    rule_to_dict,
)
from pmsstats.endpoints.definitions.composite_rule import PartRule
from pmsstats.errors import DesignError


@given(rule=progression_rules())
def test_progression_rules_come_back(rule: ProgressionRule) -> None:
    assert rule_from_dict(rule_to_dict(rule)) == rule


@given(rule=any_rules)
def test_rules_of_every_kind_come_back(rule: PartRule) -> None:
    assert rule_from_dict(rule_to_dict(rule)) == rule


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_presets_come_back(name: str) -> None:
    assert rule_from_dict(rule_to_dict(PRESETS[name])) == PRESETS[name]


@given(rule=any_rules)
def test_tables_hold_only_what_files_can(rule: PartRule) -> None:
    """Witness: JSON's own types. It has lists but no tuples, and no numbers of numpy."""
    table = rule_to_dict(rule)
    assert json.loads(json.dumps(table)) == table


@given(rule=any_rules)
def test_nothing_is_none_because_toml_has_no_null(rule: PartRule) -> None:
    assert "null" not in json.dumps(rule_to_dict(rule))


def test_numbers_of_numpy_become_plain() -> None:
    rule = ProgressionRule(
        name="mine",
        outcome="edss",
        threshold=AbsoluteThreshold(change=np.float64(0.5)),
        direction="increase",
        confirm_weeks=(np.int64(12), np.int64(24)),
        sustain_days=np.float32(math.inf),
    )
    assert rule_to_dict(rule) == {
        "kind": "progression",
        "name": "mine",
        "measure": "edss",
        "change": 0.5,
        "direction": "increase",
        "confirm_weeks": [12, 24],
        "sustain_days": math.inf,
    }
    assert json.loads(json.dumps(rule_to_dict(rule))) == rule_to_dict(rule)


def test_what_is_written() -> None:
    """Witness: the table as one would write it by hand."""
    rule = CompositeRule(
        name="either",
        parts=(
            ProgressionRule(
                name="pira",
                outcome="edss",
                threshold=AbsoluteThreshold(change=1.0),
                direction="increase",
                confirm_weeks=24,
                events="first_pira",
                relapse_free=RelapseFree(reference=(0, None), onset=(None, 30)),
            ),
            ExitEventRule(reasons=("death",)),
            RelapseEventRule(),
        ),
        require="any",
        absence_label="free",
    )
    assert rule_to_dict(rule) == {
        "kind": "composite",
        "name": "either",
        "parts": [
            {
                "kind": "progression",
                "name": "pira",
                "measure": "edss",
                "change": 1.0,
                "direction": "increase",
                "events": "first_pira",
                "confirm_weeks": 24,
                "relapse_free": {"reference": [0, "join"], "onset": ["join", 30]},
            },
            {"kind": "exit", "reasons": ["death"]},
            {"kind": "relapse"},
        ],
        "absence_label": "free",
    }


def test_tables_are_copies() -> None:
    table = rule_to_dict(PRESETS["neda3"])
    before = copy.deepcopy(rule_to_dict(PRESETS["neda3"]))
    table["parts"].clear()
    assert rule_to_dict(PRESETS["neda3"]) == before


@pytest.mark.parametrize("value", ["cdp12", None, {"preset": "cdp12"}, RelapseFree()], ids=repr)
def test_what_is_no_rule(value: object) -> None:
    with pytest.raises(DesignError, match="`rule` must be a rule, got"):
        rule_to_dict(value)
