"""Fields of a progression rule together: what contradicts itself, or does nothing, is refused."""

from __future__ import annotations

import dataclasses
import math

import pytest

from pmsstats.endpoints import (
    AbsoluteThreshold,
    CombinedThreshold,
    LesionFree,
    LevelCondition,
    LevelThreshold,
    ProgressionRule,
    RelapseFree,
    RelativeThreshold,
    StepThreshold,
)
from pmsstats.endpoints.definitions import rule_conflicts
from pmsstats.errors import DesignError

ONE = AbsoluteThreshold(change=1.0)
HALF = AbsoluteThreshold(change=0.5)
DOUBLE = RelativeThreshold(fraction=1.0)
STEPS = StepThreshold(steps=((5.5, 1.0), (math.inf, 0.5)))
SIX = LevelThreshold(level=6.0)
FOUR = LevelCondition(outcome="edss", at_least=4)
BASE = ProgressionRule(
    name="mine", outcome="edss", threshold=ONE, direction="increase", confirm_weeks=12
)

UNCONFIRMED = "but nothing is to be confirmed. Set `confirm_weeks`, or leave it out"
NO_CLASS = "events are not told apart by relapses"
ONLY_RAW = "only events associated with a relapse \\(RAW\\) are asked for"
A_LEVEL = "but a level \\(LevelThreshold\\) is reached or not, whatever the baseline"

IDLE = [
    ({"confirm_weeks": None, "confirm_tolerance_days": 7}, UNCONFIRMED),
    ({"confirm_weeks": None, "confirm_late_days": 7}, UNCONFIRMED),
    ({"confirm_weeks": None, "confirm_intermediate": False}, UNCONFIRMED),
    ({"confirm_weeks": None, "confirm_level": "onset"}, UNCONFIRMED),
    ({"confirm_weeks": None, "confirmation_visits": "scheduled"}, UNCONFIRMED),
    ({"confirm_weeks": None, "sustain_days": 84}, UNCONFIRMED),
    ({"confirm_weeks": None, "impute_last_visit": 1}, UNCONFIRMED),
    ({"confirm_weeks": None, "relapse_to_confirmation_days": 30}, UNCONFIRMED),
    (
        {"confirm_weeks": None, "baseline": "roving", "subthreshold_rebaseline": "any"},
        UNCONFIRMED,
    ),
    ({"confirm_weeks": None, "baseline": "roving", "continue_from": "onset"}, UNCONFIRMED),
    (
        {"confirm_weeks": None, "baseline": "roving", "moved_baseline_value": "least_changed"},
        UNCONFIRMED,
    ),
    (
        {"confirm_weeks": None, "events": "multiple", "opposite_confirm_weeks": 24},
        UNCONFIRMED,
    ),
    (
        {"confirm_weeks": None, "onset_conditions": FOUR, "condition_visits": "confirmation"},
        UNCONFIRMED,
    ),
    ({"condition_visits": "confirmation"}, "no levels are asked for. Give the `onset_conditions`"),
    ({"impute_reasons": ("dropout",)}, "but no change at the last visit is taken as confirmed"),
    ({"moved_baseline_value": "least_changed"}, "but the baseline is fixed. Set `baseline` to"),
    (
        {"rebaseline_after_relapse": True, "moved_baseline_value": "least_changed"},
        "but the baseline is fixed",
    ),
    ({"opposite_confirm_weeks": 24}, "changes in the other direction make no event and move no"),
    (
        {"skip_local_extrema": "strict", "opposite_confirm_weeks": 24},
        "changes in the other direction make no event and move no",
    ),
    (
        {
            "baseline": "roving_worsening",
            "events": "first_pira",
            "opposite_confirm_weeks": 24,
        },
        "changes in the other direction make no event and move no",
    ),
    (
        {"baseline": "roving_worsening", "events": "first_raw", "opposite_threshold": HALF},
        "changes in the other direction make no event and move no",
    ),
    (
        {
            "baseline": "roving_improvement",
            "direction": "decrease",
            "sustain_days": 168,
            "opposite_confirm_weeks": 24,
        },
        "changes in the other direction make no event and move no",
    ),
    ({"impute_within_days": 365}, "but no change at the last visit is taken as confirmed"),
    (
        {"baseline_visit": "first", "baseline_window_days": 7},
        "but the first visit is the baseline, whenever it comes",
    ),
    ({"subthreshold_rebaseline": "any"}, 'but the baseline is fixed. Set `baseline` to "roving"'),
    ({"baseline_never_better": True}, "but the baseline never moves"),
    ({"continue_from": "onset"}, "but nothing is searched for after the first event"),
    ({"opposite_threshold": HALF}, "changes in the other direction make no event and move no"),
    ({"threshold_from": "t25fw_s"}, "the threshold is the same for every baseline"),
    ({"raw_days": (30, 0)}, "neither are events told apart by relapses, nor does the baseline"),
    ({"relapse_free": RelapseFree(onset=(30, 30))}, NO_CLASS),
    ({"lesion_free": LesionFree()}, NO_CLASS),
    ({"events": "first_raw", "relapse_free": RelapseFree(onset=(30, 30))}, ONLY_RAW),
    ({"events": "first_raw", "lesion_free": LesionFree()}, ONLY_RAW),
    ({"leading_step": 2.0}, "no functional system must worsen. Name the `leading_systems`"),
]

CONTRADICTIONS = [
    ({"confirm_tolerance_days": 84}, "not shorter than the 84 days .* would confirm itself"),
    ({"confirm_tolerance_days": 200}, "`confirm_tolerance_days` is 200, not shorter than the 84"),
    (
        {"confirm_weeks": (4, 24), "confirm_tolerance_days": 28},
        "is 28, not shorter than the 28 days of `confirm_weeks`",
    ),
    (
        {"confirm_weeks": (12, 13), "confirm_tolerance_days": (0, 14)},
        "the window of 13 weeks begins on day 77, not after that of 12 weeks \\(day 84\\)",
    ),
    (
        {"confirm_weeks": (12, 13), "confirm_tolerance_days": (0, 7)},
        "begins on day 84, not after that of 12 weeks \\(day 84\\)",
    ),
    (
        {"confirm_tolerance_days": 28, "opposite_confirm_weeks": 4, "events": "multiple"},
        "`confirm_tolerance_days` is 28, not shorter than the 28 days of `opposite_confirm_weeks`",
    ),
    (
        {"events": "multiple", "opposite_confirm_weeks": 12},
        "`opposite_confirm_weeks` is 12, as `confirm_weeks` is, which holds for both directions",
    ),
    (
        {
            "baseline": "roving",
            "moved_baseline_value": "least_changed",
            "continue_from": "onset",
            "confirm_level": "onset",
        },
        "is 'least_changed', but the baseline moves to the onset, and the visits that confirm",
    ),
    (
        {"baseline": "roving_worsening", "outcome": "a_score_of_my_own"},
        "the events that it follows end the search",
    ),
    ({"sustain_days": 83}, "`sustain_days` is 83, shorter than the 84 days of `confirm_weeks`"),
    ({"confirm_weeks": (12, 24), "sustain_days": 90}, "shorter than the 168 days"),
    (
        {"impute_last_visit": 1, "impute_within_days": 0},
        "`impute_within_days` is 0, but no second visit comes on the day of the first",
    ),
    (
        {"baseline": "roving_improvement", "subthreshold_rebaseline": "worsening"},
        "the baseline follows events of improvement only",
    ),
    (
        {"baseline": "roving_worsening", "subthreshold_rebaseline": "improvement"},
        "the baseline follows events of worsening only",
    ),
    (
        {"baseline": "roving_improvement", "baseline_never_better": True},
        "to follow improvements, but `baseline_never_better` keeps the old value",
    ),
    ({"baseline": "roving_worsening"}, "the events that it follows end the search"),
    (
        {"baseline": "roving_improvement", "direction": "decrease"},
        "the events that it follows end the search \\(events='first'\\)",
    ),
    (
        {"baseline": "roving", "events": "first_either"},
        "end the search \\(events='first_either'\\)",
    ),
    (
        {"direction": "decrease", "threshold": DOUBLE},
        "`threshold` asks for a decrease by 100 % of baseline, which no positive measure reaches",
    ),
    (
        {"events": "multiple", "opposite_threshold": DOUBLE},
        "`opposite_threshold` asks for a decrease by 100 %",
    ),
    ({"events": "first_either", "threshold": DOUBLE}, "`threshold` asks for a decrease by 100 %"),
    (
        {
            "direction": "decrease",
            "threshold": CombinedThreshold(parts=(DOUBLE, ONE), take="largest"),
        },
        "no positive measure reaches",
    ),
    (
        {"threshold": STEPS, "threshold_from": "edss"},
        "`threshold_from` is the outcome 'edss' itself. Leave it out",
    ),
    (
        {"events": "first_pira", "direction": "decrease"},
        "`events` is 'first_pira', which is about worsening, but a decrease of 'edss' is an impr",
    ),
    (
        {"events": "first_raw", "outcome": "sdmt"},
        "`events` is 'first_raw', which is about worsening, but an increase of 'sdmt' is an impr",
    ),
    (
        {"classify_relapses": True, "direction": "decrease"},
        "`classify_relapses` is True, which is about worsening",
    ),
    (
        {"events": "first_raw", "relapse_to_onset_days": 91},
        "`relapse_to_onset_days` \\(91, 0\\) keeps every onset away from relapses",
    ),
    (
        {"events": "first_raw", "relapse_to_onset_days": (91, 31), "raw_days": (90, 30)},
        "keeps every onset away from relapses",
    ),
    (
        {
            "confirm_weeks": None,
            "events": "first_pira",
            "lesion_free": LesionFree(confirmation=(90, 30)),
        },
        "`lesion_free` has an interval around confirmation, but nothing is to be confirmed",
    ),
    ({"leading_systems": ("edss",)}, "`leading_systems` names the outcome 'edss'"),
    (
        {"leading_systems": ("fs_pyramidal",), "direction": "decrease"},
        "`leading_systems` must worsen, but a decrease of 'edss' is an improvement",
    ),
]

LEVELS = [
    ({"baseline": "roving"}, f"`baseline` is 'roving', {A_LEVEL}"),
    ({"opposite_threshold": ONE, "events": "multiple"}, f"`opposite_threshold` is .*, {A_LEVEL}"),
    ({"threshold_from": "t25fw_s"}, f"`threshold_from` is 't25fw_s', {A_LEVEL}"),
    ({"rebaseline_after_relapse": True}, f"`rebaseline_after_relapse` is True, {A_LEVEL}"),
    ({"skip_local_extrema": "strict"}, f"`skip_local_extrema` is 'strict', {A_LEVEL}"),
    ({"events": "multiple"}, "`events` is 'multiple', but a level is reached once, in one dir"),
    ({"events": "first_either"}, "`events` is 'first_either', but a level is reached once"),
    ({"baseline_range": (6.0, math.inf)}, "has reached the level 6, so that nobody is at risk"),
    (
        {"direction": "decrease", "baseline_range": (0, 6)},
        "has reached the level 6, so that nobody is at risk",
    ),
    (
        {"onset_conditions": LevelCondition(outcome="edss", at_most=5.5)},
        "no value reaches the level 6 and meets LevelCondition",
    ),
    (
        {
            "direction": "decrease",
            "onset_conditions": LevelCondition(outcome="edss", at_least=6.5),
        },
        "no value reaches the level 6 and meets LevelCondition",
    ),
]


@pytest.mark.parametrize(("changes", "message"), IDLE + CONTRADICTIONS)
def test_contradictions_are_refused_when_made(changes: dict, message: str) -> None:
    with pytest.raises(DesignError, match=f"Rule 'mine' contradicts itself: .*{message}"):
        dataclasses.replace(BASE, **changes)


@pytest.mark.parametrize(("changes", "message"), LEVELS)
def test_a_level_is_no_change_from_baseline(changes: dict, message: str) -> None:
    with pytest.raises(DesignError, match=message):
        dataclasses.replace(BASE, threshold=SIX, **changes)


def test_a_level_is_no_change_in_the_other_direction() -> None:
    with pytest.raises(DesignError, match="`opposite_threshold` is a level, but the other direct"):
        dataclasses.replace(BASE, events="multiple", opposite_threshold=SIX)


def test_every_idle_option_has_a_case() -> None:
    """Guard of the table above."""
    options = {name for need in rule_conflicts._NEEDS for name in need.options}
    assert options
    assert options <= {name for changes, _ in IDLE for name in changes}


@pytest.mark.parametrize(
    "changes",
    [
        {"confirm_tolerance_days": 83},
        {"sustain_days": 84},
        {"confirm_weeks": (12, 13), "confirm_tolerance_days": (0, 6)},
        {"baseline": "roving_worsening", "events": "multiple"},
        {"baseline": "roving_worsening", "events": "first_pira"},
        {"baseline": "roving_worsening", "sustain_days": 168},
        {"baseline": "roving_worsening", "subthreshold_rebaseline": "worsening"},
        {"baseline": "roving_improvement", "outcome": "a_score_of_my_own"},
        {"baseline": "roving", "subthreshold_rebaseline": "worsening"},
        {"baseline": "roving", "opposite_threshold": HALF},
        {"baseline": "roving_improvement", "opposite_threshold": HALF},
        {"baseline": "roving_improvement", "opposite_confirm_weeks": 39},
        {
            "baseline": "roving_worsening",
            "direction": "decrease",
            "opposite_confirm_weeks": 24,
            "opposite_threshold": HALF,
        },
        {"events": "multiple", "confirm_weeks": (12, 24), "opposite_confirm_weeks": 12},
        {"events": "multiple", "confirm_tolerance_days": 27, "opposite_confirm_weeks": 4},
        {"baseline": "roving", "moved_baseline_value": "least_changed", "continue_from": "onset"},
        {"baseline": "roving", "moved_baseline_value": "least_changed", "confirm_level": "onset"},
        {
            "baseline": "roving",
            "moved_baseline_value": "least_changed",
            "continue_from": "onset",
            "confirm_level": "onset",
            "subthreshold_rebaseline": "any",
        },
        {
            "baseline": "roving",
            "moved_baseline_value": "least_changed",
            "continue_from": "onset",
            "confirm_level": "onset",
            "confirm_intermediate": False,
        },
        {"onset_conditions": FOUR, "condition_visits": "confirmation"},
        {"impute_last_visit": 0.5, "impute_reasons": "dropout"},
        {"min_days_from_baseline": 400},
        {"rebaseline_after_relapse": True, "baseline_never_better": True},
        {"rebaseline_after_relapse": True, "raw_days": (30, 0)},
        {"skip_local_extrema": "strict", "opposite_threshold": HALF},
        {"threshold": DOUBLE},
        {"threshold": CombinedThreshold(parts=(DOUBLE, ONE)), "direction": "decrease"},
        {"threshold": DOUBLE, "direction": "decrease", "threshold_from": "sdmt"},
        {"threshold": STEPS, "threshold_from": "t25fw_s"},
        {"opposite_threshold": STEPS, "events": "multiple", "threshold_from": "t25fw_s"},
        {"events": "first_raw", "relapse_to_onset_days": 90},
        {"events": "first_raw", "relapse_to_onset_days": (91, 30), "raw_days": (90, 30)},
        {"events": "first_raw", "baseline": "roving", "lesion_free": LesionFree()},
        {"events": "first_pira", "classify_relapses": True},
        {"events": "multiple", "classify_relapses": True, "direction": "decrease"},
        {"threshold": SIX, "baseline_range": (-math.inf, 5.5)},
        {"threshold": SIX, "events": "first_pira", "relapse_to_baseline_days": 30},
        {"threshold": SIX, "onset_conditions": LevelCondition(outcome="edss", at_most=6)},
        {"events": "first_pira", "confirm_weeks": None, "lesion_free": LesionFree()},
        {"leading_systems": ("fs_pyramidal",), "leading_step": 2},
    ],
)
def test_what_only_looks_like_a_contradiction(changes: dict) -> None:
    assert dataclasses.replace(BASE, **changes) != BASE
