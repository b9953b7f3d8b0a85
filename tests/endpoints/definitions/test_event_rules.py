"""Recorded events, exits and relapses as rules. Witness: sentences written by hand."""

from __future__ import annotations

import dataclasses

import pytest

from pmsstats.endpoints.definitions.event_rules import (
    ExitEventRule,
    RecordedEventRule,
    RelapseEventRule,
)
from pmsstats.errors import DesignError

RULES = [
    RecordedEventRule(duration="days", event="happened"),
    ExitEventRule(reasons=("death",)),
    RelapseEventRule(),
]
each_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)


@each_rule
def test_rules_are_frozen_and_can_be_looked_up(rule: object) -> None:
    assert {rule: 1}[dataclasses.replace(rule)] == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        rule.name = "other"


@each_rule
def test_own_label_is_the_title_and_begins_the_definition(rule: object) -> None:
    labelled = dataclasses.replace(rule, label="an event of mine")
    assert labelled.title == "an event of mine"
    assert labelled.describe().startswith("An event of mine")


@each_rule
@pytest.mark.parametrize("change", [{"name": " "}, {"name": 3}, {"label": None}])
def test_texts_are_texts(rule: object, change: dict) -> None:
    with pytest.raises(DesignError, match="must be a text"):
        dataclasses.replace(rule, **change)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"from_day": -1}, "`from_day` of rule 'relapse' must be a whole number of days"),
        ({"from_day": 1.5}, "whole number of days"),
        ({"from_day": True}, "whole number of days"),
        ({"severity_column": "grade"}, "needs both `severity_column` and `min_severity`"),
        ({"min_severity": 2}, "needs both `severity_column` and `min_severity`"),
        ({"severity_column": "grade", "min_severity": "2"}, "needs both"),
        ({"confirmed_column": None}, "`confirmed_column` of a rule must be a text"),
        ({"citation": 3}, "`citation` of a rule must be a text"),
    ],
)
def test_relapse_rule_is_checked_when_made(fields: dict, message: str) -> None:
    with pytest.raises(DesignError, match=message):
        RelapseEventRule(**fields)


def test_relapse_definition() -> None:
    rule = RelapseEventRule(
        confirmed_column="confirmed",
        severity_column="grade",
        min_severity=2,
        from_day=168,
        citation="Someone 2020.",
        note="A note.",
    )
    assert rule.describe() == (
        "First relapse: time from day 0 to the onset of the first relapse after day 168 where "
        "`confirmed` is true and `grade` is at least 2. Subjects without one are censored on the "
        "day they left the study, or else at their last visit. Source: Someone 2020. A note."
    )
    assert "where" not in RelapseEventRule().describe()
