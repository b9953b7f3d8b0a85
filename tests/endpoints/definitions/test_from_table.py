"""Rules from tables of a study file: what each key means, and what cannot be understood."""

from __future__ import annotations

import dataclasses
import math
import tomllib

import pytest

from pmsstats.cohort import Measure, default_dictionary
from pmsstats.endpoints import (
    PRESETS,
    AbsoluteThreshold,
    CombinedThreshold,
    CompositeRule,
    ExitEventRule,
    LesionEventRule,
    LesionFree,
    LevelCondition,
    LevelThreshold,
    ProgressionRule,
    RecordedEventRule,
    RelapseEventRule,
    RelapseFree,
    RelativeThreshold,
    StepThreshold,
    VolumeLossRule,
    rule_from_dict,
)
from pmsstats.errors import DesignError, RenamedWarning

OWN = default_dictionary().extend(
    Measure(name="rating", label="Clinical rating", worsening="higher"),
    Measure(name="volume", label="Volume", worsening="lower"),
    Measure(name="index", label="Index"),
)
HALF, FIFTH = AbsoluteThreshold(change=0.5), RelativeThreshold(fraction=0.2)
STEPS = StepThreshold(steps=((5.0, 1.0), (math.inf, 0.5)))


@pytest.mark.parametrize(
    ("toml", "threshold", "direction", "weeks"),
    [
        ('measure="rating"\nchange=0.5', HALF, "increase", None),
        (
            'measure="rating"\nchange=0.5\nconfirm_weeks=24\ndirection="increase"',
            HALF,
            "increase",
            24,
        ),
        ('measure="volume"\nrelative=0.2', FIFTH, "decrease", None),
        ('measure="volume"\nchange=0.5\ndirection="increase"', HALF, "increase", None),
        ('measure="index"\nchange=0.5\ndirection="decrease"', HALF, "decrease", None),
        (
            'kind="progression"\nmeasure="edss"\nsteps=[[5.0,1.0],[inf,0.5]]\nconfirm_weeks=12',
            STEPS,
            "increase",
            12,
        ),
        (
            'measure="edss"\nlevel=6.0\nconfirm_weeks=[12, 24]',
            LevelThreshold(level=6),
            "increase",
            (12, 24),
        ),
        (
            'measure="sdmt"\nsmallest=[{change=0.5},{relative=0.2}]',
            CombinedThreshold(parts=(HALF, FIFTH)),
            "decrease",
            None,
        ),
        (
            'measure="edss"\nlargest=[{relative=0.2},{steps=[[5.0,1.0],[inf,0.5]]}]',
            CombinedThreshold(parts=(FIFTH, STEPS), take="largest"),
            "increase",
            None,
        ),
    ],
)
def test_progression_from_a_table(
    toml: str, threshold: object, direction: str, weeks: int | tuple | None
) -> None:
    rule = rule_from_dict(tomllib.loads(toml), dictionary=OWN)
    assert isinstance(rule, ProgressionRule)
    assert rule.threshold == threshold
    assert (rule.direction, rule.confirm_weeks) == (direction, weeks)


EVERYTHING = """
measure = "edss"
steps = [[5.0, 1.0], [inf, 0.5]]
opposite = {change = 0.5}
threshold_from = "t25fw_s"
events = "multiple"
baseline = "roving"
baseline_visit = "day_0"
baseline_window_days = 28
baseline_range = [-inf, 6.5]
continue_from = "onset"
subthreshold_rebaseline = "improvement"
rebaseline_after_relapse = true
baseline_never_better = true
moved_baseline_value = "least_changed"
skip_local_extrema = "strict"
min_days_from_baseline = 90
confirm_weeks = [12, 24]
confirm_tolerance_days = [7, 30]
confirm_late_days = [14, inf]
confirm_intermediate = false
confirm_level = "onset"
opposite_confirm_weeks = 39
confirmation_visits = "scheduled"
sustain_days = inf
impute_last_visit = 0.5
impute_within_days = 365
impute_reasons = ["dropout", "adverse event"]
relapse_to_baseline_days = 30
relapse_to_onset_days = [30, 15]
relapse_to_confirmation_days = [30, 0]
classify_relapses = true
raw_days = [60, 30]
relapse_free = {reference = [0, "join"], onset = ["join", 30], reference_visit = "last"}
lesion_free = {measures = ["new_t2_count"], onset = [90, 0], scan_required = false}
onset_conditions = [{measure = "edss", at_least = 4}, {measure = "fs_pyramidal", at_most = 5.0}]
condition_visits = "confirmation"
leading_systems = ["fs_pyramidal", "fs_cerebellar"]
leading_step = 2
name = "all_of_it"
label = "everything"
citation = "Nobody 2020."
note = "Nobody would."
"""


def test_every_field_from_a_table() -> None:
    assert rule_from_dict(tomllib.loads(EVERYTHING)) == ProgressionRule(
        name="all_of_it",
        outcome="edss",
        threshold=STEPS,
        direction="increase",
        opposite_threshold=HALF,
        threshold_from="t25fw_s",
        events="multiple",
        baseline="roving",
        baseline_window_days=28,
        baseline_range=(-math.inf, 6.5),
        continue_from="onset",
        subthreshold_rebaseline="improvement",
        rebaseline_after_relapse=True,
        baseline_never_better=True,
        moved_baseline_value="least_changed",
        skip_local_extrema="strict",
        min_days_from_baseline=90,
        confirm_weeks=(12, 24),
        confirm_tolerance_days=(7, 30),
        confirm_late_days=(14, math.inf),
        confirm_intermediate=False,
        confirm_level="onset",
        opposite_confirm_weeks=39,
        confirmation_visits="scheduled",
        sustain_days=math.inf,
        impute_last_visit=0.5,
        impute_within_days=365,
        impute_reasons=("dropout", "adverse event"),
        relapse_to_baseline_days=(30, 0),
        relapse_to_onset_days=(30, 15),
        relapse_to_confirmation_days=(30, 0),
        classify_relapses=True,
        raw_days=(60, 30),
        relapse_free=RelapseFree(reference=(0, None), onset=(None, 30), reference_visit="last"),
        lesion_free=LesionFree(measures=("new_t2_count",), onset=(90, 0), scan_required=False),
        onset_conditions=(
            LevelCondition(outcome="edss", at_least=4),
            LevelCondition(outcome="fs_pyramidal", at_most=5),
        ),
        condition_visits="confirmation",
        leading_systems=("fs_pyramidal", "fs_cerebellar"),
        leading_step=2,
        label="everything",
        citation="Nobody 2020.",
        note="Nobody would.",
    )


def test_every_field_has_a_key() -> None:
    keys = set(tomllib.loads(EVERYTHING)) | {"direction"}
    renamed = {"outcome": "measure", "threshold": "steps", "opposite_threshold": "opposite"}
    fields = {renamed.get(f.name, f.name) for f in dataclasses.fields(ProgressionRule)}
    assert keys == fields


@pytest.mark.parametrize(
    ("table", "name"),
    [
        ({"measure": "edss", "change": 1.0}, "edss_increase"),
        ({"measure": "edss", "change": 1.0, "confirm_weeks": 24}, "edss_increase_24w"),
        ({"measure": "sdmt", "change": 4, "confirm_weeks": [12, 24]}, "sdmt_decrease_12w_24w"),
        ({"measure": "edss", "change": 1.0, "name": "own"}, "own"),
    ],
)
def test_rules_without_a_name_get_one(table: dict, name: str) -> None:
    assert rule_from_dict(table).name == name


@pytest.mark.parametrize("name", ["cdp24", "neda3"])
def test_preset_as_it_is(name: str) -> None:
    assert rule_from_dict({"preset": name}) is PRESETS[name]


def test_changed_preset_says_so() -> None:
    rule = rule_from_dict({"preset": "cdp12", "confirm_weeks": 24, "relapse_to_onset_days": 30})
    assert (rule.name, rule.confirm_weeks) == ("cdp12_modified", 24)
    assert rule.relapse_to_onset_days == (30, 0)
    assert rule.threshold == PRESETS["cdp12"].threshold
    assert rule.title() == "24-week confirmed worsening of EDSS"
    assert "Modified from the definition cdp12 (source" in rule.describe()


def test_changed_preset_may_be_named() -> None:
    table = {"preset": "nhpt20", "measure": "nhpt_dominant_s", "name": "hand", "relative": 0.25}
    rule = rule_from_dict(table)
    assert (rule.name, rule.outcome, rule.threshold.fraction) == ("hand", "nhpt_dominant_s", 0.25)


def test_changed_composite() -> None:
    parts = ["cdp24", {"kind": "relapse"}]
    rule = rule_from_dict({"preset": "neda3", "parts": parts, "require": "all"})
    assert (rule.name, rule.require) == ("neda3_modified", "all")
    assert rule.parts == (PRESETS["cdp24"], RelapseEventRule())
    assert "Modified from the definition neda3 (source" in rule.describe()


def test_a_preset_can_do_without() -> None:
    """TOML has no null, so a word stands for it."""
    assert rule_from_dict({"preset": "cdp12", "confirm_weeks": "none"}).confirm_weeks is None
    pira = {"preset": "cdp12", "events": "first_pira"}
    assert rule_from_dict({**pira, "lesion_free": "none"}).lesion_free is None
    two_ways = {"preset": "cdp12", "events": "multiple"}
    weeks = rule_from_dict({**two_ways, "opposite_confirm_weeks": "none"}).opposite_confirm_weeks
    assert weeks is None
    assert rule_from_dict({**two_ways, "opposite": "none"}).opposite_threshold is None


@pytest.mark.parametrize(
    ("table", "rule"),
    [
        (
            {"kind": "recorded", "duration": "ttde_day", "event": "ttde_event"},
            RecordedEventRule(duration="ttde_day", event="ttde_event"),
        ),
        ({"kind": "exit", "reasons": ["death"]}, ExitEventRule(reasons=("death",))),
        (
            {"kind": "relapse", "severity_column": "steps", "min_severity": 2},
            RelapseEventRule(severity_column="steps", min_severity=2),
        ),
        (
            {"kind": "lesion", "measures": ["gd_lesion_count"], "from_day": 154},
            LesionEventRule(measures=("gd_lesion_count",), from_day=154),
        ),
        (
            {"kind": "volume_loss", "measure": "thalamus_ml", "cutoff_pct_per_year": 1.0},
            VolumeLossRule(outcome="thalamus_ml", cutoff_pct_per_year=1.0),
        ),
    ],
)
def test_other_kinds_from_a_table(table: dict, rule: object) -> None:
    assert rule_from_dict(table) == rule


def test_composite_from_a_table() -> None:
    toml = """
        kind = "composite"
        name = "any_worsening"
        require = 2
        parts = [
            "cdp12",
            {preset = "t25fw20", confirm_weeks = 24, name = "walk"},
            {measure = "rating", change = 0.5},
            {kind = "composite", name = "scan", parts = [{kind = "relapse"}, {kind = "lesion"}]},
        ]
    """
    rule = rule_from_dict(tomllib.loads(toml), dictionary=OWN)
    assert isinstance(rule, CompositeRule)
    assert rule.require == 2
    assert [part.name for part in rule.parts] == ["cdp12", "walk", "rating_increase", "scan"]
    assert rule.parts[0] is PRESETS["cdp12"]
    assert rule.parts[3].parts == (RelapseEventRule(), LesionEventRule())


@pytest.mark.parametrize(
    ("table", "confirmation"),
    [
        ({"measure": "edss", "change": 1.0, "confirm_weeks": 12}, (30, 0)),
        ({"preset": "cdp12"}, (30, 0)),
        ({"measure": "edss", "change": 1.0}, (0, 0)),
        ({"preset": "cdp12", "confirm_weeks": "none"}, (0, 0)),
    ],
)
def test_former_key_still_works_and_says_its_new_names(table: dict, confirmation: tuple) -> None:
    with pytest.warns(RenamedWarning, match="is now `relapse_to_onset_days` and `relapse_to_c"):
        rule = rule_from_dict({**table, "relapse_days": 30})
    assert rule.relapse_to_onset_days == (30, 0)
    assert rule.relapse_to_confirmation_days == confirmation


EDSS = {"measure": "edss", "change": 1.0, "confirm_weeks": 12}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"preset": "cpd12"}, "Did you mean 'cdp12'"),
        ({"preset": 12}, "`preset` of an endpoint must be a name, got 12"),
        ({"preset": "cdp12", "chnge": 1.0}, "no key 'chnge'. Did you mean 'change'"),
        (
            {"preset": "neda3", "confirm_weeks": 12},
            "A composite has no key 'confirm_weeks'. It may",
        ),
        ({"measure": "edss", "chnge": 1.0}, "no key 'chnge'. Did you mean 'change'"),
        ({"measure": "edss"}, "does not say how much change counts"),
        ({"change": 1.0}, "needs `measure`, but has only: change"),
        ({}, "needs `measure`, but has only: nothing"),
        ({"measure": "edss", "change": 1.0, "relative": 0.2}, "got `change` and `relative`"),
        ({"measure": "edss", "level": 6.0, "smallest": []}, "got `level` and `smallest`"),
        ({"measure": "index", "change": 1.0}, "needs `direction`"),
        ({"measure": "unheard_of", "change": 1.0}, "no measure of the data dictionary"),
        ({"measure": "edss", "change": "1"}, "number above 0"),
        ({"measure": "edss", "change": -1.0}, "number above 0"),
        ({"measure": "edss", "steps": 5}, "pairs of numbers"),
        ({"measure": "edss", "level": "6"}, "`level` of a threshold must be a number"),
        (
            {"measure": "edss", "smallest": {"change": 4}},
            "`smallest` of an endpoint must be a list",
        ),
        ({"measure": "edss", "smallest": [{"change": 4}]}, "must be two or three of"),
        ({"measure": "edss", "largest": [4, 0.2]}, "`largest` of an endpoint must be a table of"),
        ({"measure": "edss", "largest": [{"chnge": 4}]}, "no key 'chnge'. Did you mean 'change'"),
        ({"measure": "edss", "largest": [{}]}, "`largest` of an endpoint must give one of change,"),
        ({**EDSS, "opposite": 0.5}, "`opposite` of an endpoint must be a table of keys and values"),
        ({**EDSS, "opposite": {}}, "`opposite` of an endpoint must give one of change, relative"),
        ({**EDSS, "opposite_threshold": {"change": 1}}, "Did you mean 'opposite'"),
        ({**EDSS, "confirm_weeks": "12"}, "whole number"),
        ({**EDSS, "direction": "worse"}, "one of increase, decrease"),
        ({**EDSS, "relapse_free": [90, 30]}, "`relapse_free` of an endpoint must be a table"),
        (
            {**EDSS, "relapse_free": {"onst": [90, 30]}},
            "`relapse_free` of an endpoint has no key 'onst'. Did you mean 'onset'",
        ),
        ({**EDSS, "relapse_free": {"onset": ["join", 30]}}, "joins two intervals by None"),
        ({**EDSS, "relapse_free": {"onset": ["joint", 30]}}, "`onset` of RelapseFree must be days"),
        ({**EDSS, "lesion_free": True}, "`lesion_free` of an endpoint must be a table"),
        ({**EDSS, "lesion_free": {"measure": "x"}}, "no key 'measure'. Did you mean 'measures'"),
        ({**EDSS, "onset_conditions": ["edss"]}, "A condition of `onset_conditions` of"),
        ({**EDSS, "onset_conditions": {"at_least": 4}}, "needs `measure`, but has only: at_least"),
        ({**EDSS, "onset_conditions": [{"measure": "edss", "min": 4}]}, "no key 'min'"),
        (
            {**EDSS, "relapse_days": 30, "relapse_to_onset_days": 30},
            "Give either `relapse_days` or",
        ),
        ({"kind": "recored", "duration": "d", "event": "e"}, "Did you mean 'recorded'"),
        ({"kind": "recorded", "duration": "d"}, "needs `event`"),
        ({"kind": "recorded", "duration": "d", "evnt": "e"}, "Did you mean 'event'"),
        ({"kind": "exit"}, "needs `reasons`"),
        ({"kind": "exit", "reasons": []}, "must be a list of reasons"),
        ({"kind": "relapse", "min_severity": 2}, "needs both `severity_column` and `min_severity`"),
        ({"kind": "lesion", "measure": "x"}, "no key 'measure'. Did you mean 'measures'"),
        ({"kind": "volume_loss", "outcome": "x"}, "no key 'outcome'"),
        ({"kind": "composite", "name": "x"}, "needs `parts`, but has only: name"),
        ({"kind": "composite", "parts": ["cdp12", "neda3"]}, "needs `name`"),
        (
            {"kind": "composite", "name": "x", "parts": "cdp12"},
            "`parts` of a composite must be a li",
        ),
        ({"kind": "composite", "name": "x", "parts": ["cdp12", 3]}, "An endpoint must be a table"),
        ({"kind": "composite", "name": "x", "parts": ["cdp12", "cpd24"]}, "Did you mean 'cdp24'"),
        ({"kind": "composite", "name": "x", "parts": ["cdp12"]}, "at least two rules, got 1"),
        (
            {"kind": 3, "measure": "edss"},
            "one of progression, recorded, exit, relapse, lesion, vol",
        ),
        ("cdp12", "An endpoint must be a table of keys and values, got 'cdp12'"),
    ],
)
def test_tables_that_cannot_be_understood(table: object, message: str) -> None:
    with pytest.raises(DesignError, match=message):
        rule_from_dict(table, dictionary=OWN)
