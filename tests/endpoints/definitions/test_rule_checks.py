"""Fields of a progression rule, each by itself: what is impossible is refused when it is made."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from pmsstats.endpoints import (
    AbsoluteThreshold,
    LesionFree,
    LevelCondition,
    ProgressionRule,
    RelapseFree,
)
from pmsstats.errors import DesignError

BASE = ProgressionRule(
    name="mine",
    outcome="edss",
    threshold=AbsoluteThreshold(change=1.0),
    direction="increase",
    confirm_weeks=12,
)
FOUR = LevelCondition(outcome="edss", at_least=4)

REFUSED = [
    ({"name": " "}, "`name` of a rule must be a text"),
    ({"outcome": ""}, "`outcome` of a rule must be a text"),
    ({"outcome": 3}, "must be a text, got 3"),
    ({"label": None}, "`label` of a rule must be a text, got None"),
    ({"citation": 2018}, "`citation` of a rule must be a text, got 2018"),
    ({"note": None}, "`note` of a rule must be a text"),
    ({"threshold_from": None}, "`threshold_from` of a rule must be a text"),
    ({"confirmation_visits": True}, "`confirmation_visits` of a rule must be a text, got True"),
    ({"direction": "up"}, "`direction` of rule 'mine' must be one of increase, decrease"),
    ({"direction": "increas"}, "Did you mean 'increase'"),
    ({"events": "pira"}, "one of first, first_pira, first_raw, first_either, multiple, got 'pira'"),
    ({"baseline": "rovin"}, "Did you mean 'roving'"),
    ({"baseline_visit": 0}, "`baseline_visit` of rule 'mine' must be one of day_0, first"),
    ({"continue_from": "event"}, "one of confirmation, onset"),
    ({"subthreshold_rebaseline": True}, "one of none, any, improvement, worsening, got True"),
    ({"skip_local_extrema": "yes"}, "one of none, strict, all"),
    ({"confirm_level": 1.0}, "one of threshold, onset"),
    ({"condition_visits": "all"}, "`condition_visits` of rule 'mine' must be one of onset, conf"),
    ({"moved_baseline_value": "least"}, "one of visit, least_changed, got 'least'"),
    ({"rebaseline_after_relapse": 1}, "`rebaseline_after_relapse` of rule 'mine' must be true or"),
    ({"baseline_never_better": "yes"}, "must be true or false, got 'yes'"),
    ({"confirm_intermediate": None}, "must be true or false, got None"),
    ({"classify_relapses": 0}, "must be true or false, got 0"),
    ({"threshold": 1.0}, "must be one of AbsoluteThreshold, RelativeThreshold, StepThreshold"),
    ({"threshold": None}, "`threshold` of rule 'mine' must be one of"),
    ({"opposite_threshold": 1.0}, "`opposite_threshold` of rule 'mine' must be one of"),
    ({"baseline_window_days": -1}, "`baseline_window_days` of rule 'mine' must be a whole number"),
    ({"baseline_window_days": 7.0}, "a whole number of at least 0, got 7.0"),
    ({"baseline_window_days": math.inf}, "a whole number of at least 0, got inf"),
    ({"min_days_from_baseline": -1}, "`min_days_from_baseline` of rule 'mine' must be a whole nu"),
    ({"min_days_from_baseline": 30.0}, "a whole number of at least 0, got 30.0"),
    ({"min_days_from_baseline": math.inf}, "a whole number of at least 0, got inf"),
    ({"sustain_days": -1}, "`sustain_days` of rule 'mine' must be a number of at least 0"),
    ({"sustain_days": math.nan}, "a number of at least 0, got nan"),
    ({"sustain_days": "inf"}, "a number of at least 0, got 'inf'"),
    ({"impute_within_days": -1}, "`impute_within_days` of rule 'mine' must be a number of at"),
    ({"impute_last_visit": 1.5}, "is a probability from 0 to 1, got 1.5"),
    ({"impute_last_visit": -0.1}, "is a probability from 0 to 1"),
    ({"impute_last_visit": math.nan}, "is a probability from 0 to 1, got nan"),
    ({"impute_last_visit": True}, "is a probability from 0 to 1, got True"),
    ({"impute_last_visit": "always"}, "To limit it in time use `impute_within_days`"),
    ({"impute_reasons": ("dropout", "")}, "`impute_reasons` of rule 'mine' must be reasons of the"),
    ({"impute_reasons": (1,)}, "such as \\('dropout',\\), got \\(1,\\)"),
    ({"impute_reasons": {"dropout"}}, "must be reasons of the exits table"),
    ({"impute_reasons": ("dropout", "dropout")}, "`impute_reasons` .* names 'dropout' twice"),
    ({"relapse_to_baseline_days": -30}, "`relapse_to_baseline_days` of rule 'mine' must be days"),
    ({"relapse_to_onset_days": (30, -1)}, "two finite numbers of at least 0 such as"),
    ({"relapse_to_onset_days": (30, math.inf)}, "two finite numbers of at least 0 such as"),
    ({"relapse_to_confirmation_days": None}, "`relapse_to_confirmation_days` of rule 'mine' must"),
    ({"raw_days": (90, math.nan)}, "`raw_days` of rule 'mine' must be days before and after"),
    ({"raw_days": (90, None)}, "`raw_days` of rule 'mine' must be days before and after"),
    ({"confirm_weeks": 0}, "`confirm_weeks` of rule 'mine' must be a whole number of at least 1"),
    ({"confirm_weeks": -12}, "whole number of at least 1, several of them, or None, got -12"),
    ({"confirm_weeks": True}, "whole number of at least 1"),
    ({"confirm_weeks": "12"}, "whole number of at least 1"),
    ({"confirm_weeks": 12.0}, "whole number of at least 1"),
    ({"confirm_weeks": math.inf}, "whole number of at least 1"),
    ({"confirm_weeks": ()}, "whole number of at least 1"),
    ({"confirm_weeks": (12, "24")}, "whole number of at least 1"),
    ({"confirm_weeks": (24, 12)}, "must rise and name each window once, got \\(24, 12\\)"),
    ({"confirm_weeks": (12, 12)}, "must rise and name each window once"),
    ({"opposite_confirm_weeks": 0}, "`opposite_confirm_weeks` of rule 'mine' must be a whole num"),
    ({"opposite_confirm_weeks": 12.0}, "a whole number of at least 1, or None, got 12.0"),
    ({"opposite_confirm_weeks": True}, "a whole number of at least 1, or None, got True"),
    ({"opposite_confirm_weeks": (12, 24)}, "or None, got \\(12, 24\\)"),
    ({"confirm_tolerance_days": -1}, "`confirm_tolerance_days` of rule 'mine' must be a whole"),
    ({"confirm_tolerance_days": 1.5}, "a whole number of at least 0, got 1.5"),
    ({"confirm_tolerance_days": None}, "a whole number of at least 0, got None"),
    ({"confirm_tolerance_days": (7, 7)}, "has 2 value\\(s\\) for 1 confirmation window\\(s\\)"),
    ({"confirm_tolerance_days": ()}, "has 0 value\\(s\\) for 1"),
    ({"confirm_weeks": (12, 24), "confirm_late_days": [7]}, "has 1 value\\(s\\) for 2"),
    ({"confirm_weeks": (12, 24), "confirm_late_days": (7, -1)}, "a number of at least 0, got -1"),
    ({"confirm_late_days": math.nan}, "`confirm_late_days` of rule 'mine' must be a number of"),
    ({"baseline_range": (5.5, 2.0)}, "lowest and the highest baseline, two numbers such as"),
    ({"baseline_range": (2.0,)}, "lowest and the highest baseline"),
    ({"baseline_range": (2.0, 4.0, 6.0)}, "lowest and the highest baseline"),
    ({"baseline_range": 2.0}, "lowest and the highest baseline"),
    ({"baseline_range": (math.nan, 5.5)}, "lowest and the highest baseline"),
    ({"baseline_range": (math.inf, math.inf)}, "lowest and the highest baseline"),
    ({"baseline_range": (-math.inf, -math.inf)}, "lowest and the highest baseline"),
    ({"baseline_range": (None, 5.5)}, "lowest and the highest baseline"),
    ({"relapse_free": None}, "`relapse_free` of rule 'mine' must be a RelapseFree, got None"),
    ({"relapse_free": LesionFree()}, "must be a RelapseFree"),
    ({"lesion_free": RelapseFree()}, "`lesion_free` of rule 'mine' must be a LesionFree"),
    ({"lesion_free": True}, "must be a LesionFree, got True"),
    ({"onset_conditions": 4.0}, "`onset_conditions` of rule 'mine' must be LevelConditions"),
    ({"onset_conditions": (FOUR, "edss")}, "must be LevelConditions"),
    ({"onset_conditions": (FOUR, FOUR)}, "names 'edss' twice. Name it once"),
    ({"leading_systems": ("fs_pyramidal", "")}, "must name columns of the visits table"),
    ({"leading_systems": {"fs_pyramidal"}}, "must name columns of the visits table"),
    ({"leading_systems": ("fs_pyramidal", "fs_pyramidal")}, "names 'fs_pyramidal' twice"),
    ({"leading_step": 0}, "`leading_step` of rule 'mine' must be above 0, got 0"),
    ({"leading_step": math.inf}, "`leading_step` of rule 'mine' must be above 0, got inf"),
    ({"leading_step": math.nan}, "`leading_step` of rule 'mine' must be above 0, got nan"),
]


@pytest.mark.parametrize(("changes", "message"), REFUSED)
def test_impossible_fields_are_refused_when_made(changes: dict, message: str) -> None:
    with pytest.raises(DesignError, match=message):
        dataclasses.replace(BASE, **changes)


def test_every_field_is_checked() -> None:
    fields = {f.name for f in dataclasses.fields(ProgressionRule)}
    assert {name for changes, _ in REFUSED for name in changes} == fields


@pytest.mark.parametrize(
    "changes",
    [
        {"confirm_weeks": np.int64(24)},
        {"sustain_days": math.inf},
        {"sustain_days": np.float64(200)},
        {"impute_last_visit": np.float64(0.5)},
        {"relapse_to_onset_days": (30.5, 0)},
        {"baseline_range": (2, math.inf)},
        {"baseline_range": (4.0, 4.0)},
        {"baseline_window_days": np.int64(7)},
        {"min_days_from_baseline": np.int64(90)},
        {"opposite_confirm_weeks": np.int64(39), "events": "multiple"},
    ],
)
def test_possible_fields_are_taken(changes: dict) -> None:
    assert dataclasses.replace(BASE, **changes) != BASE
