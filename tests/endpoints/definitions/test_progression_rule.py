"""Progression rules as values: frozen, hashable, in one form; their windows."""

from __future__ import annotations

import dataclasses
import math
import pickle

import pytest
from endpoints.rule_strategies import progression_rules
from hypothesis import given

from pmsstats.endpoints import (
    AbsoluteThreshold,
    ConfirmationWindow,
    LevelCondition,
    ProgressionRule,
    RelapseFree,
)

BASE = ProgressionRule(
    name="mine",
    outcome="edss",
    threshold=AbsoluteThreshold(change=1.0),
    direction="increase",
    confirm_weeks=12,
)


@pytest.mark.parametrize(
    ("changes", "days"),
    [
        ({}, 84),
        ({"confirm_tolerance_days": 7}, 77),
        ({"confirm_tolerance_days": 83}, 1),
        ({"confirm_weeks": 24}, 168),
        ({"confirm_weeks": None}, None),
        ({"confirm_weeks": (12, 24)}, 84),
        ({"confirm_weeks": (12, 24), "confirm_tolerance_days": (7, 30)}, 77),
    ],
)
def test_days_to_confirmation(changes: dict, days: int | None) -> None:
    """Witness: weeks times seven, less the tolerance."""
    assert dataclasses.replace(BASE, **changes).min_days == days


@pytest.mark.parametrize(
    ("changes", "windows"),
    [
        ({"confirm_weeks": None}, []),
        ({}, [(12, 84, math.inf)]),
        ({"confirm_late_days": 14}, [(12, 84, 98)]),
        ({"confirm_tolerance_days": 7, "confirm_late_days": 0}, [(12, 77, 84)]),
        ({"confirm_weeks": (12, 24)}, [(12, 84, math.inf), (24, 168, math.inf)]),
        (
            {
                "confirm_weeks": (12, 24),
                "confirm_tolerance_days": (7, 28),
                "confirm_late_days": (14, math.inf),
            },
            [(12, 77, 98), (24, 140, math.inf)],
        ),
        (
            {"confirm_weeks": (4, 8, 12), "confirm_tolerance_days": 3, "confirm_late_days": 5.5},
            [(4, 25, 33.5), (8, 53, 61.5), (12, 81, 89.5)],
        ),
    ],
)
def test_windows(changes: dict, windows: list) -> None:
    """Witness: 7 days a week, less the tolerance, plus the days too late."""
    expected = [ConfirmationWindow(weeks=w, first_day=a, last_day=b) for w, a, b in windows]
    assert list(dataclasses.replace(BASE, **changes).windows) == expected


@pytest.mark.parametrize(
    ("changes", "windows"),
    [
        ({}, [(12, 84, math.inf)]),
        ({"opposite_confirm_weeks": 39}, [(39, 273, math.inf)]),
        ({"confirm_weeks": (12, 24)}, [(12, 84, math.inf), (24, 168, math.inf)]),
        (
            {
                "confirm_weeks": (12, 24),
                "confirm_tolerance_days": (7, 30),
                "confirm_late_days": (14, math.inf),
                "opposite_confirm_weeks": 39,
            },
            [(39, 266, 287)],
        ),
        ({"confirm_weeks": None}, []),
    ],
)
def test_windows_of_the_other_direction(changes: dict, windows: list) -> None:
    """Witness: 7 days a week, less and plus the first of the tolerances."""
    expected = [ConfirmationWindow(weeks=w, first_day=a, last_day=b) for w, a, b in windows]
    rule = dataclasses.replace(BASE, events="multiple", **changes)
    assert list(rule.opposite_windows) == expected


@pytest.mark.parametrize(
    ("changes", "classifies"),
    [
        ({}, False),
        ({"classify_relapses": True}, True),
        ({"events": "first_pira"}, True),
        ({"events": "first_raw"}, True),
        ({"events": "multiple"}, False),
    ],
)
def test_which_rules_tell_events_apart(changes: dict, classifies: bool) -> None:
    assert dataclasses.replace(BASE, **changes).classifies is classifies


def test_rules_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        BASE.confirm_weeks = 24


@given(rule=progression_rules())
def test_rules_are_values(rule: ProgressionRule) -> None:
    """A rule made of the fields of another is the same one; so is one sent between processes."""
    again = dataclasses.replace(rule)
    assert again == rule
    assert hash(again) == hash(rule)
    assert repr(again) == repr(rule)
    assert pickle.loads(pickle.dumps(rule)) == rule  # noqa: S301  (our own)


def as_lists(value: object) -> object:
    """Return what a study file would give for a tuple."""
    return [as_lists(item) for item in value] if isinstance(value, tuple) else value


@given(rule=progression_rules())
def test_lists_are_stored_as_tuples(rule: ProgressionRule) -> None:
    fields = {f.name: as_lists(getattr(rule, f.name)) for f in dataclasses.fields(rule)}
    assert ProgressionRule(**fields) == rule
    assert hash(ProgressionRule(**fields)) == hash(rule)


@pytest.mark.parametrize(
    ("changes", "name", "stored"),
    [
        ({"confirm_weeks": [12]}, "confirm_weeks", 12),
        ({"confirm_weeks": [12, 24]}, "confirm_weeks", (12, 24)),
        ({"confirm_weeks": [12, 24], "confirm_late_days": [7, 7]}, "confirm_late_days", 7),
        ({"confirm_tolerance_days": [7]}, "confirm_tolerance_days", 7),
        ({"relapse_to_onset_days": 30}, "relapse_to_onset_days", (30, 0)),
        ({"relapse_to_onset_days": [30, 15]}, "relapse_to_onset_days", (30, 15)),
        ({"baseline_range": [2, 5.5]}, "baseline_range", (2, 5.5)),
        ({"leading_systems": "fs_pyramidal"}, "leading_systems", ("fs_pyramidal",)),
        ({"leading_systems": None}, "leading_systems", ()),
        (
            {"impute_last_visit": 1, "impute_reasons": "dropout"},
            "impute_reasons",
            ("dropout",),
        ),
        ({"impute_reasons": []}, "impute_reasons", ()),
        (
            {"onset_conditions": LevelCondition(outcome="edss", at_least=4)},
            "onset_conditions",
            (LevelCondition(outcome="edss", at_least=4),),
        ),
    ],
)
def test_fields_have_one_form(changes: dict, name: str, stored: object) -> None:
    rule = dataclasses.replace(BASE, **changes)
    assert getattr(rule, name) == stored
    assert type(getattr(rule, name)) is type(stored)


def test_no_rule_shares_a_default_that_could_change() -> None:
    assert BASE.relapse_free == RelapseFree()
    with pytest.raises(dataclasses.FrozenInstanceError):
        BASE.relapse_free.onset = (0, 0)
