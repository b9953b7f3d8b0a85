"""Grids of options: every combination once, contradictions listed, wrong options refused."""

from __future__ import annotations

import dataclasses
import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

from pmsstats.endpoints import (
    AbsoluteThreshold,
    ProgressionRule,
    RecordedEventRule,
    edss_threshold,
    progression_rule,
)
from pmsstats.errors import DesignError
from pmsstats.multiverse import rule_grid

CDP12 = progression_rule("cdp12")


def test_every_combination_is_a_rule():
    weeks, baselines, days = [12, 24, None], ["fixed", "roving"], [0, 30, (90, 30)]
    grid = rule_grid(CDP12, confirm_weeks=weeks, baseline=baselines, relapse_to_onset_days=days)
    expected = [
        replace(CDP12, confirm_weeks=w, baseline=b, relapse_to_onset_days=d)
        for w, b, d in itertools.product(weeks, baselines, days)
    ]

    def facts(rule: ProgressionRule) -> tuple:
        return (rule.confirm_weeks, rule.baseline, rule.relapse_to_onset_days, rule.threshold)

    assert list(map(facts, grid)) == list(map(facts, expected))
    assert len(grid) == 18
    assert len({rule.name for rule in grid}) == 18
    assert grid.options["rule"].tolist() == [rule.name for rule in grid]
    assert grid.left_out.empty


def test_the_base_rule_stays_itself_and_the_others_are_no_longer_its_source_s():
    grid = rule_grid("cdp12", confirm_weeks=[24, 12])
    assert grid.rules[1] is CDP12
    assert grid.primary == "cdp12"
    assert (grid.rules[0].name, grid.rules[0].label) == ("cdp12_1", "")
    assert grid.rules[0].note == "Modified from cdp12."
    assert CDP12.citation
    assert grid.rules[0].citation == ""
    assert "Source" not in grid.rules[0].describe()


def test_without_the_base_rule_there_is_no_primary_one():
    assert rule_grid("cdp12", confirm_weeks=[24, 48]).primary == ""


def test_choices_keep_their_order_and_words():
    grid = rule_grid(
        "cdp12",
        threshold={"5.5": edss_threshold(5.5), "5.0": edss_threshold(5.0)},
        confirm_weeks=[24, 12, (12, 24)],
        confirm_intermediate=[True, False],
    )
    words = {name: list(grid.options[name].cat.categories) for name in grid.options.columns[1:]}
    assert words == {
        "threshold": ["5.5", "5.0"],
        "confirm_weeks": ["24", "12", "12, 24"],
        "confirm_intermediate": ["yes", "no"],
    }
    assert all(grid.options[name].cat.ordered for name in words)
    assert repr(grid) == (
        "<RuleGrid: 12 definitions around 'cdp12', threshold (2) x confirm_weeks (3) x "
        "confirm_intermediate (2)>"
    )


def test_contradictions_are_left_out_with_their_reason():
    grid = rule_grid("cdp12", confirm_weeks=[12, None], sustain_days=[0, math.inf])
    assert len(grid) == 3
    assert grid.left_out.drop(columns="reason").astype(str).to_numpy().tolist() == [
        ["none", "unlimited"]
    ]
    assert "`sustain_days`" in grid.left_out["reason"].iloc[0]
    assert "1 combinations left out" in repr(grid)


def test_fields_that_go_together_are_one_option():
    grid = rule_grid(
        "cdp12",
        relapses={
            "ignored": {},
            "kept away": {"relapse_to_onset_days": 30, "relapse_to_confirmation_days": [30, 7]},
        },
        confirm_weeks=np.array([12, 24]),
    )
    assert list(grid.options.columns) == ["rule", "relapses", "confirm_weeks"]
    assert grid.options["relapses"].tolist() == ["ignored"] * 2 + ["kept away"] * 2
    assert grid.rules[3].relapse_to_onset_days == (30, 0)
    assert grid.rules[3].relapse_to_confirmation_days == (30, 7)


def test_a_grid_is_frozen():
    grid = rule_grid("cdp12", confirm_weeks=[12, 24])
    with pytest.raises(dataclasses.FrozenInstanceError):
        grid.rules = ()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "at least one option"),
        ({"confirm_week": [12, 24]}, "no field of a ProgressionRule. Did you mean 'confirm_weeks'"),
        ({"name": ["a", "b"]}, "`name` is no field"),
        ({"confirm_weeks": []}, "`confirm_weeks` lists no value"),
        ({"confirm_weeks": 12}, "`confirm_weeks` must list the values"),
        ({"baseline": "fixed"}, "`baseline` must list the values"),
        ({"confirm_weeks": [12, 24, 12]}, "lists 12 twice"),
        ({"confirm_weeks": [12, 12.5]}, "choice '12.5' fits no combination"),
        ({"baseline": ["fixed", "rooving"]}, "choice 'rooving' fits no combination.*roving"),
        ({"relapse_to_onset_days": [30, (30, 0)]}, "relapse_to_onset_days have choices that make"),
        ({"estimate": {"a": {}, "b": {"confirm_weeks": 24}}}, "`estimate` is a column of the"),
        ({"when": {"a": {"confirm_week": 24}}}, "sets 'confirm_week' in its choice 'a'"),
        ({"when": {"a": {}, "b": 24}}, "`when` is no field"),
        (
            {"when": {"a": {}, "b": {"baseline": "roving"}}, "baseline": ["fixed", "roving"]},
            "`when` and `baseline` both set 'baseline'",
        ),
        (
            {"confirm_tolerance_days": range(84), "sustain_days": range(84, 2084)},
            "168,000 definitions",
        ),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(DesignError, match=message):
        rule_grid("cdp12", **options)


@pytest.mark.parametrize("base", [RecordedEventRule(duration="d", event="e"), 12, None])
def test_only_progression_rules_have_a_grid(base):
    with pytest.raises(DesignError, match="`base_rule` must be a ProgressionRule"):
        rule_grid(base, confirm_weeks=[12, 24])


def test_a_base_that_is_no_preset():
    with pytest.raises(DesignError, match="cdp12"):
        rule_grid("cdp_12", confirm_weeks=[12, 24])


def test_thresholds_without_words_get_some():
    choices = [AbsoluteThreshold(change=0.5), edss_threshold(5.5), edss_threshold(5.0)]
    grid = rule_grid("cdp12", threshold=choices)
    assert grid.options["threshold"].tolist() == [
        "0.5", "1 to 5.5, 0.5 above", "1 to 5, 0.5 above",
    ]  # fmt: skip
