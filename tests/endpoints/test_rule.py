"""Progression rules: contradictions are errors when the rule is made; definitions read well."""

from __future__ import annotations

import dataclasses

import pytest

from pmsstats.cohort import Measure
from pmsstats.endpoints import (
    PRESETS,
    AbsoluteThreshold,
    ProgressionRule,
    RelativeThreshold,
    edss_threshold,
    progression_rule,
)
from pmsstats.errors import DesignError

BASE = ProgressionRule(
    name="mine",
    outcome="edss",
    threshold=AbsoluteThreshold(change=1.0),
    direction="increase",
    confirm_weeks=12,
)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"confirm_tolerance_days": 84}, "would confirm itself"),
        ({"confirm_tolerance_days": 200}, "would confirm itself"),
        ({"confirm_tolerance_days": -1}, "at least 0"),
        ({"confirm_tolerance_days": 1.5}, "whole number"),
        ({"confirm_weeks": 0}, "at least 1"),
        ({"confirm_weeks": -12}, "at least 1"),
        ({"confirm_weeks": True}, "whole number"),
        ({"confirm_weeks": "12"}, "whole number"),
        ({"confirm_weeks": None, "confirm_tolerance_days": 7}, "nothing is to be confirmed"),
        ({"relapse_days": -30}, "at least 0"),
        ({"baseline_window_days": -1}, "at least 0"),
        ({"direction": "up"}, "one of increase, decrease"),
        ({"direction": "increas"}, "Did you mean 'increase'"),
        ({"baseline": "roving"}, "one of fixed"),
        ({"outcome": ""}, "must be a text"),
        ({"name": " "}, "must be a text"),
        ({"outcome": 3}, "must be a text"),
        ({"threshold": 1.0}, "must be one of AbsoluteThreshold"),
        (
            {"threshold": RelativeThreshold(fraction=1.0), "direction": "decrease"},
            "no positive measure reaches",
        ),
    ],
)
def test_contradictions_are_refused_when_made(changes: dict, message: str) -> None:
    with pytest.raises(DesignError, match=message):
        dataclasses.replace(BASE, **changes)


@pytest.mark.parametrize(
    ("changes", "days"),
    [
        ({}, 84),
        ({"confirm_tolerance_days": 7}, 77),
        ({"confirm_tolerance_days": 83}, 1),
        ({"confirm_weeks": 24}, 168),
        ({"confirm_weeks": None}, None),
    ],
)
def test_days_to_confirmation(changes: dict, days: int | None) -> None:
    """Witness: weeks times seven, less the tolerance."""
    assert dataclasses.replace(BASE, **changes).min_days == days


def test_rules_are_frozen_and_hashable() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        BASE.confirm_weeks = 24
    assert hash(BASE) == hash(dataclasses.replace(BASE))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "at least 84 days later (12 weeks) and at every visit in between"),
        ({"confirm_tolerance_days": 7}, "77 days later (12 weeks less 7 days of tolerance)"),
        ({"confirm_weeks": None}, "without confirmation"),
        ({"confirm_weeks": None}, "last visit with a value, also when they died or left the study"),
        ({}, "also when a change there could not be confirmed any more, and when they died"),
        ({}, "Relapses are not taken into account."),
        ({"relapse_days": 30}, "fewer than 30 days after the onset of a relapse"),
        ({}, "last value at or before day 0, and stays"),
        ({"baseline_window_days": 28}, "or else the first value within 28 days after it"),
        ({"citation": "Nobody 2020."}, "Source: Nobody 2020."),
        ({"note": "In use somewhere."}, "In use somewhere."),
        ({"label": "my event"}, "My event: EDSS shows an increase from baseline of at least 1.0"),
        ({"outcome": "t25fw_s"}, "Timed 25-foot walk (s) shows an increase from baseline of at"),
    ],
)
def test_description_states_every_choice(changes: dict, words: str) -> None:
    assert words in dataclasses.replace(BASE, **changes).describe()


@pytest.mark.parametrize(
    ("changes", "title"),
    [
        ({}, "12-week confirmed worsening of EDSS by 1.0 or more"),
        ({"direction": "decrease"}, "12-week confirmed improvement of EDSS by 1.0 or more"),
        ({"confirm_weeks": None}, "unconfirmed worsening of EDSS by 1.0 or more"),
        ({"threshold": RelativeThreshold(fraction=0.2)}, "worsening of EDSS by 20 % or more"),
        ({"threshold": edss_threshold()}, "12-week confirmed worsening of EDSS"),
        ({"outcome": "t25fw_s"}, "worsening of Timed 25-foot walk by 1.0 s or more"),
        ({"outcome": "cdr"}, "12-week confirmed worsening of Rating by 1.0 or more"),
        ({"outcome": "nwbv_own"}, "12-week confirmed increase of nwbv_own by 1.0 or more"),
    ],
)
def test_title_says_worsening_or_improvement(changes: dict, title: str) -> None:
    measure = {"cdr": Measure(name="cdr", label="Rating", worsening="higher")}
    rule = dataclasses.replace(BASE, **changes)
    assert rule.title(measure.get(rule.outcome)).endswith(title)


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_presets_carry_their_source(name: str) -> None:
    rule = progression_rule(name)
    assert rule.name == name
    assert "doi:10." in rule.citation
    assert rule.describe().count("Source:") == 1


@pytest.mark.parametrize(
    ("name", "outcome", "weeks", "baseline", "change"),
    [
        ("cdp12", "edss", 12, 5.5, 1.0),  # Hawker 2009, Montalban 2017
        ("cdp12", "edss", 12, 6.0, 0.5),
        ("cdp24", "edss", 24, 5.5, 1.0),  # Montalban 2017
        ("cdp12_expand", "edss", 12, 5.5, 0.5),  # Kappos 2018
        ("t25fw20", "t25fw_s", 12, 5.0, 1.0),  # Wolinsky 2018: 20 %
        ("t25fw20_24", "t25fw_s", 24, 5.0, 1.0),  # Wolinsky 2020: 20 %
        ("nhpt20", "nhpt_s", 12, 25.0, 5.0),  # Wolinsky 2018: 20 %
        ("nhpt20_24", "nhpt_s", 24, 25.0, 5.0),  # Wolinsky 2020: 20 %
    ],
)
def test_presets_are_the_published_rules(
    name: str, outcome: str, weeks: int, baseline: float, change: float
) -> None:
    rule = PRESETS[name]
    assert (rule.outcome, rule.confirm_weeks) == (outcome, weeks)
    assert rule.threshold.required(baseline) == pytest.approx(change, rel=1e-15)  # rounding
    assert (rule.direction, rule.baseline, rule.relapse_days) == ("increase", "fixed", 0)
    assert rule.confirm_tolerance_days == 0


def test_unknown_preset_is_told_the_nearest() -> None:
    with pytest.raises(DesignError, match="Did you mean 'cdp24'"):
        progression_rule("cpd24")


def test_presets_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        PRESETS["cdp12"] = BASE
