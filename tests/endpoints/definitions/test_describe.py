"""Definitions in words: every choice is said, and no two definitions read the same."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator
from typing import Any

import pytest
from endpoints.rule_strategies import progression_rules
from hypothesis import given

from pmsstats.cohort import Measure
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
    edss_threshold,
)
from pmsstats.errors import DesignError

BASE = ProgressionRule(
    name="mine",
    outcome="edss",
    threshold=AbsoluteThreshold(change=1.0),
    direction="increase",
    confirm_weeks=12,
)
MULTIPLE = {"events": "multiple"}
ROVING = {"baseline": "roving"}
PIRA = {"events": "first_pira"}
STEPS = StepThreshold(steps=((5.5, 1.0), (math.inf, 0.5)))

# Field: what else the rule needs for it, the change, words that must then be there.
CHANGES: list[tuple[str, dict[str, Any], Any, str]] = [
    ("outcome", {}, "t25fw_s", "Timed 25-foot walk (s) shows an increase"),
    ("threshold", {}, AbsoluteThreshold(change=0.75), "an increase from baseline of at least 0.75"),
    ("threshold", {}, LevelThreshold(level=6), "EDSS reaches a value of 6.0 or more"),
    ("threshold", {}, LevelThreshold(level=6), "whose baseline has reached the level already, are"),
    (
        "threshold",
        {},
        CombinedThreshold(parts=(RelativeThreshold(fraction=0.2), AbsoluteThreshold(change=4))),
        "20 % of the baseline value or of at least 4.0, whichever is smaller",
    ),
    ("direction", {}, "decrease", "EDSS shows a decrease from baseline"),
    (
        "opposite_threshold",
        MULTIPLE,
        AbsoluteThreshold(change=0.5),
        "In the other direction, a decrease from baseline of at least 0.5 counts.",
    ),
    ("threshold_from", {"threshold": STEPS}, "nhpt_s", "is the value of Nine-hole peg test at the"),
    ("threshold_from", {"threshold": STEPS}, "own", "is the value of `own` at the baseline visit"),
    (
        "events",
        {},
        "first_pira",
        (
            "The event is the first worsening that is PIRA; others are passed over, so that one "
            "that lasts is looked at again at each later visit, and may then be classed otherwise."
        ),
    ),
    ("events", ROVING, "first_pira", "that is PIRA; others only move the baseline"),
    ("events", {}, "first_raw", "The event is the first worsening that is RAW; others are passed"),
    (
        "events",
        {"rebaseline_after_relapse": True},
        "first_raw",
        "at each later visit from the same baseline, and may then be classed otherwise.",
    ),
    ("events", {}, "first_either", "The event is the first change in either direction."),
    ("events", {}, "first_either", "a decrease from baseline of at least 1.0 counts likewise."),
    ("events", {}, "multiple", "All events in both directions are taken, one after the other"),
    ("events", {}, "multiple", "the search goes on at the visit after its confirming visit."),
    ("baseline", {}, "roving", "moves to the confirming visit of each confirmed change in either"),
    ("baseline", {}, "roving_improvement", "to the confirming visit of each confirmed improvement"),
    ("baseline", MULTIPLE, "roving_worsening", "confirming visit of each confirmed worsening."),
    ("baseline", {}, "roving", "Time runs from the first baseline visit"),
    ("baseline_visit", {}, "first", "Baseline is the first value, and stays the same throughout;"),
    ("baseline_window_days", {}, 28, "or else the first value within 28 days after it, and stays"),
    ("baseline_window_days", {}, 1, "within 1 day after it"),
    ("baseline_range", {}, (2, 5.5), "Only subjects with a baseline from 2.0 to 5.5 are at risk."),
    ("baseline_range", {}, (2, math.inf), "with a baseline of at least 2.0 are at risk."),
    ("baseline_range", {}, (-math.inf, 5), "with a baseline of at most 5.0 are at risk."),
    ("continue_from", MULTIPLE, "onset", "the search goes on at the visit after its onset."),
    ("continue_from", ROVING, "onset", "The baseline moves to the onset of each confirmed change"),
    ("subthreshold_rebaseline", ROVING, "any", "A confirmed change below the threshold moves it,"),
    ("subthreshold_rebaseline", ROVING, "improvement", "A confirmed improvement below the thresh"),
    ("subthreshold_rebaseline", ROVING, "worsening", "A confirmed worsening below the threshold"),
    (
        "rebaseline_after_relapse",
        {},
        True,
        (
            "After each relapse, the first visit on or after the day of its onset becomes the "
            "baseline for changes first seen more than 90 days after that day."
        ),
    ),
    ("rebaseline_after_relapse", PIRA, True, "baseline for changes first seen after that day."),
    ("baseline_never_better", ROVING, True, "keeps its old value where the new one is better."),
    (
        "moved_baseline_value",
        ROVING,
        "least_changed",
        (
            "A baseline that moves so takes the value of the visit, from onset to the confirming "
            "one, that differs least from the old baseline."
        ),
    ),
    ("min_days_from_baseline", {}, 90, "A visit fewer than 90 days after the baseline visit does"),
    ("min_days_from_baseline", ROVING, 1, "fewer than 1 day after the current baseline visit does"),
    ("skip_local_extrema", {}, "strict", "below both, by at least the threshold, is no baseline"),
    ("skip_local_extrema", {}, "all", "or below both, by any amount, is no baseline"),
    ("confirm_weeks", {}, 24, "at least 168 days later (24 weeks) and at every visit in between"),
    ("confirm_weeks", {}, 1, "at least 7 days later (1 week) and"),
    ("confirm_weeks", {}, None, "taken at the first visit that shows it, without confirmation"),
    ("confirm_weeks", {}, None, "last visit with a value, also when they died or left the study."),
    (
        "confirm_weeks",
        {},
        (12, 24),
        (
            "at the first visit at least 84 days later (12 weeks), or at least 168 days later (24 "
            "weeks), and at every visit in between; visits without a value are passed over. "
            "Confirmation is reported for each of these windows."
        ),
    ),
    ("confirm_tolerance_days", {}, 7, "at least 77 days later (12 weeks less 7 days of tolerance)"),
    ("confirm_tolerance_days", {}, 1, "at least 83 days later (12 weeks less 1 day of tolerance)"),
    (
        "confirm_tolerance_days",
        {"confirm_late_days": 14},
        7,
        "77 to 98 days later (12 weeks less 7 or plus 14 days of tolerance)",
    ),
    ("confirm_late_days", {}, 14, "84 to 98 days later (12 weeks plus 14 days of tolerance)"),
    ("confirm_late_days", {}, 0, "at the first visit exactly 84 days later (12 weeks) and"),
    ("confirm_late_days", {"confirm_tolerance_days": 7}, 0, "77 to 84 days later (12 weeks less 7"),
    ("confirm_intermediate", {}, False, "(12 weeks), whatever the visits in between show; visits"),
    ("confirm_level", {}, "onset", "at least as far from baseline as it was at onset, too."),
    (
        "opposite_confirm_weeks",
        {"confirm_tolerance_days": 7, **MULTIPLE},
        39,
        "counts likewise, but is confirmed at the first visit at least 266 days later (39 weeks",
    ),
    (
        "opposite_confirm_weeks",
        {"opposite_threshold": AbsoluteThreshold(change=0.5), **ROVING},
        1,
        "0.5 counts, but is confirmed at the first visit at least 7 days later (1 week).",
    ),
    (
        "confirmation_visits",
        {},
        "scheduled",
        "Only visits at which `scheduled` is true may confirm",
    ),
    (
        "sustain_days",
        {},
        180,
        "must last at least 180 days from its onset, or until the last visit",
    ),
    ("sustain_days", {}, math.inf, "The change must last until the last visit."),
    (
        "impute_last_visit",
        {},
        1,
        "first seen at the last visit, which none could confirm, is taken as confirmed.",
    ),
    ("impute_last_visit", {}, 0.25, "is taken as confirmed with a probability of 0.25."),
    (
        "impute_within_days",
        {"impute_last_visit": 1},
        365,
        "is taken as confirmed, if that is at most 365 days after the baseline visit.",
    ),
    (
        "impute_reasons",
        {"impute_last_visit": 1},
        ("dropout",),
        "is taken as confirmed in subjects whose reason of exit is 'dropout'.",
    ),
    (
        "impute_reasons",
        {"impute_last_visit": 0.25, "impute_within_days": 365},
        ("dropout", "adverse event"),
        (
            "with a probability of 0.25 in subjects whose reason of exit is 'dropout' or 'adverse "
            "event', if that is at most 365 days"
        ),
    ),
    (
        "relapse_to_baseline_days",
        {},
        (30, 0),
        "A visit fewer than 30 days after the onset of a relapse is no baseline: the next visit",
    ),
    (
        "relapse_to_onset_days",
        {},
        (30, 15),
        (
            "A visit fewer than 30 days after or fewer than 15 days before the onset of a relapse "
            "does not start an event."
        ),
    ),
    (
        "relapse_to_onset_days",
        {"relapse_to_confirmation_days": 30},
        30,
        (
            "A visit fewer than 30 days after the onset of a relapse neither starts nor confirms "
            "an event (but ends a change that it does not show)."
        ),
    ),
    (
        "relapse_to_confirmation_days",
        {},
        (0, 30),
        "A visit fewer than 30 days before the onset of a relapse does not confirm an event (but",
    ),
    ("classify_relapses", {}, True, "A worsening is associated with a relapse (RAW) if its onset"),
    ("raw_days", PIRA, (60, 0), "its onset is at most 60 days after the onset of a relapse."),
    ("raw_days", PIRA, (0, 0), "(RAW) if a relapse begins on the day of its onset."),
    (
        "raw_days",
        PIRA,
        (60, 30),
        "at most 60 days after, or at most 30 days before, the onset of a",
    ),
    ("raw_days", PIRA, (0, 30), "its onset is on the day of, or at most 30 days before, the onset"),
    ("raw_days", {"rebaseline_after_relapse": True}, (60, 0), "first seen more than 60 days after"),
    (
        "relapse_free",
        PIRA,
        RelapseFree(onset=(45, 15)),
        "from 45 days before to 15 days after onset",
    ),
    ("lesion_free", PIRA, LesionFree(), "no scan shows new lesions (`new_t2_count` or `gd_lesion_"),
    (
        "onset_conditions",
        {},
        (
            LevelCondition(outcome="edss", at_least=4),
            LevelCondition(outcome="fs_pyramidal", at_least=2, at_most=5),
            LevelCondition(outcome="own", at_most=3),
        ),
        (
            "At the visit where an increase is first seen, EDSS must be at least 4.0, Pyramidal "
            "functional system must be from 2.0 to 5.0 and `own` must be at most 3.0; a missing "
            "value does not meet this."
        ),
    ),
    (
        "condition_visits",
        {"onset_conditions": LevelCondition(outcome="edss", at_least=4)},
        "confirmation",
        (
            "At the visit where an increase is first seen, at the confirming visit and at every "
            "visit in between, EDSS must be at least 4.0; a missing value does not meet this."
        ),
    ),
    (
        "condition_visits",
        {
            "onset_conditions": LevelCondition(outcome="edss", at_least=4),
            "confirm_intermediate": False,
        },
        "confirmation",
        "is first seen and at the confirming visit, EDSS must be at least 4.0;",
    ),
    (
        "leading_systems",
        {},
        ("fs_pyramidal",),
        (
            "For an increase, Pyramidal functional system must be higher by at least 1.0 at onset "
            "than at the baseline visit, and must still be so at the confirming visit and at every "
            "visit in between. A missing value is no rise; the first baseline is a visit with a "
            "value of it."
        ),
    ),
    (
        "leading_systems",
        {"confirm_intermediate": False},
        ("fs_pyramidal", "own"),
        (
            ", and at least one of those that have then risen most must still be so at the "
            "confirming visit. A missing value is no rise; the first baseline is a visit with a "
            "value of at least one of them."
        ),
    ),
    (
        "leading_systems",
        {"confirm_weeks": None},
        ("fs_pyramidal", "own"),
        (
            "at least one of Pyramidal functional system and `own` must be higher by at least 1.0 "
            "at onset than at the baseline visit. A missing value is no rise;"
        ),
    ),
    (
        "leading_step",
        {"leading_systems": ("fs_pyramidal",)},
        2,
        "must be higher by at least 2.0 at",
    ),
    ("label", {}, "my event", "My event: EDSS shows an increase"),
    ("citation", {}, "Nobody 2020.", "Source: Nobody 2020."),
    ("note", {}, "In use somewhere.", "In use somewhere."),
]


@pytest.mark.parametrize(("field", "needs", "value", "words"), CHANGES)
def test_every_choice_is_said(field: str, needs: dict, value: object, words: str) -> None:
    before = dataclasses.replace(BASE, **needs)
    after = dataclasses.replace(before, **{field: value})
    assert words in after.describe()
    assert words not in before.describe()


def test_every_field_has_a_case() -> None:
    """The name is a handle, and no part of the definition."""
    fields = {f.name for f in dataclasses.fields(ProgressionRule)} - {"name"}
    assert {field for field, *_ in CHANGES} == fields


def test_the_simple_case_reads_as_in_a_protocol() -> None:
    assert dataclasses.replace(BASE, threshold=edss_threshold()).describe() == (
        "12-week confirmed worsening of EDSS: EDSS shows an increase from baseline of at least 1.0 "
        "where the baseline is 5.5 or below, and of at least 0.5 where it is above 5.5, still "
        "present at the first visit at least 84 days later (12 weeks) and at every visit in "
        "between; visits without a value are passed over. Relapses are not taken into account. "
        "Baseline is the last value at or before day 0, and stays the same throughout; subjects "
        "without a baseline, or without a value after it, are not at risk. Time runs from the "
        "baseline visit to the visit at which the change was first seen. Subjects without an event "
        "are censored at their last visit with a value, also when a change there could not be "
        "confirmed any more, and when they died or left the study."
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"baseline": "roving"}, True),
        ({"baseline": "roving_improvement"}, True),
        ({"baseline": "roving_worsening", "events": "first_pira"}, False),
        ({"baseline": "roving_worsening", "events": "multiple"}, True),
        ({"baseline": "roving_worsening", "direction": "decrease"}, True),
        ({"baseline": "roving_improvement", "direction": "decrease", "sustain_days": 84}, False),
        ({"skip_local_extrema": "strict"}, False),
    ],
)
def test_the_other_direction_is_said_where_it_matters(changes: dict, said: bool) -> None:
    text = dataclasses.replace(BASE, **changes).describe()
    assert ("In the other direction" in text) is said


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        ("edss", "1.5 where the baseline is 0, and of at least 1.0 where it is above 0 up to 5.5"),
        ("own", "of at least 1.5 where the baseline is 0.0 or below, and of at least 1.0"),
    ],
)
def test_nothing_lies_below_the_lowest_score(outcome: str, words: str) -> None:
    """The EDSS begins at 0; where a measure of one's own begins is not known."""
    rule = dataclasses.replace(BASE, outcome=outcome, threshold=edss_threshold(from_zero=1.5))
    assert words in rule.describe()
    other = dataclasses.replace(rule, outcome="sdmt", threshold_from=outcome)
    assert words in other.describe()


def test_the_lowest_score_of_the_other_direction() -> None:
    low = StepThreshold(steps=((0.0, 1.5), (math.inf, 1.0)))
    text = dataclasses.replace(BASE, opposite_threshold=low, **MULTIPLE).describe()
    assert "a decrease from baseline of at least 1.5 where the baseline is 0, and of" in text


def test_changes_that_are_always_confirmed_are_not_censored() -> None:
    always = dataclasses.replace(BASE, impute_last_visit=1)
    assert "could not be confirmed any more" not in always.describe()
    sometimes = dataclasses.replace(BASE, impute_last_visit=0.5)
    assert "could not be confirmed any more" in sometimes.describe()
    some = dataclasses.replace(always, impute_reasons=("dropout",))
    assert "could not be confirmed any more" in some.describe()


NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?")


def numbers(value: object) -> Iterator[float]:
    """Yield the finite numbers above 0 of a field, shares as percent."""
    if isinstance(value, RelativeThreshold):
        yield 100 * value.fraction
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from numbers(getattr(value, field.name))
    elif isinstance(value, tuple):
        for item in value:
            yield from numbers(item)
    elif isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf:
        yield value


# A chance of 1 is no number in the text; the default step and intervals may not be in use.
UNSAID = {"impute_last_visit", "leading_step", "raw_days", "relapse_free"}


@given(rule=progression_rules())
def test_every_number_of_a_rule_is_in_its_paragraph(rule: ProgressionRule) -> None:
    said = {float(number) for number in NUMBER.findall(rule.describe())}
    fields = [f.name for f in dataclasses.fields(rule) if f.name not in UNSAID]
    wanted = {float(f"{n:.6g}") for name in fields for n in numbers(getattr(rule, name))}
    assert wanted - said == set()


def variants(rule: ProgressionRule, other: ProgressionRule) -> Iterator[ProgressionRule]:
    """Yield the rule with one field of another, where such a rule is possible."""
    for field in dataclasses.fields(rule):
        given_value = getattr(other, field.name)
        differs = given_value != getattr(rule, field.name)
        # That events are told apart needs no saying where the event wanted is of a class.
        unsaid = field.name == "name" or (rule.classifies and field.name == "classify_relapses")
        if differs and not unsaid:
            try:
                yield dataclasses.replace(rule, **{field.name: given_value})
            except DesignError:
                continue


@given(rule=progression_rules(), other=progression_rules())
def test_no_two_definitions_read_the_same(rule: ProgressionRule, other: ProgressionRule) -> None:
    """A field that may differ is said. So a field that would change nothing must be refused."""
    paragraph = rule.describe()
    assert [v for v in variants(rule, other) if v.describe() == paragraph] == []


BAD_STYLE = re.compile(r"  |\bNone\b|\binf\b|\bnan\b|True|False|\.\.|\( | \)| [,;.]|a increase")


@given(rule=progression_rules())
def test_paragraphs_are_plain_sentences(rule: ProgressionRule) -> None:
    text = rule.describe()
    assert BAD_STYLE.search(text) is None
    assert text[0].isupper() or text[0].isdigit()
    assert text.endswith(".")
    assert text.count("(") == text.count(")")
    assert all(sentence[0].isupper() for sentence in re.split(r"(?<=[a-z)]\.) ", text)[1:])


@pytest.mark.parametrize(
    ("changes", "title"),
    [
        ({}, "12-week confirmed worsening of EDSS by 1.0 or more"),
        ({"direction": "decrease"}, "12-week confirmed improvement of EDSS by 1.0 or more"),
        ({"confirm_weeks": None}, "unconfirmed worsening of EDSS by 1.0 or more"),
        ({"confirm_weeks": (12, 24)}, "12- or 24-week confirmed worsening of EDSS by 1.0 or more"),
        ({"confirm_weeks": (4, 8, 12)}, ("4-, 8- or 12-week confirmed worsening of EDSS by 1.0 or "
         "more")),
        ({"threshold": RelativeThreshold(fraction=0.2)}, "worsening of EDSS by 20 % or more"),
        ({"threshold": edss_threshold()}, "12-week confirmed worsening of EDSS"),
        ({"threshold": LevelThreshold(level=6)}, "12-week confirmed EDSS of 6.0 or more"),
        (
            {"threshold": LevelThreshold(level=20), "outcome": "t25fw_s", "direction": "decrease"},
            "12-week confirmed Timed 25-foot walk of 20.0 s or less",
        ),
        (
            {
                "threshold": CombinedThreshold(
                    parts=(AbsoluteThreshold(change=4), RelativeThreshold(fraction=0.2))
                )
            },
            "12-week confirmed worsening of EDSS by at least 4.0 or 20 %, whichever is smaller",
        ),
        ({"outcome": "t25fw_s"}, "worsening of Timed 25-foot walk by 1.0 s or more"),
        ({"outcome": "cdr"}, "12-week confirmed worsening of Rating by 1.0 or more"),
        ({"outcome": "nwbv_own"}, "12-week confirmed increase of nwbv_own by 1.0 or more"),
        (PIRA, "worsening of EDSS by 1.0 or more, independent of relapses (PIRA)"),
        (
            {"lesion_free": LesionFree(), **PIRA},
            "of EDSS by 1.0 or more, independent of relapses and new lesions (PIRA)",
        ),
        ({"events": "first_raw"}, "of EDSS by 1.0 or more, associated with a relapse (RAW)"),
        ({"events": "first_either"}, "change of EDSS by 1.0 or more, in either direction"),
        (MULTIPLE, "change of EDSS by 1.0 or more, in both directions and as often as it happens"),
        ({"label": "my event", **PIRA}, "my event"),
    ],
)  # fmt: skip
def test_title_says_which_event(changes: dict, title: str) -> None:
    measure = {"cdr": Measure(name="cdr", label="Rating", worsening="higher")}
    rule = dataclasses.replace(BASE, **changes)
    assert rule.title(measure.get(rule.outcome)).endswith(title)


def test_measures_of_the_cohort_are_called_by_their_labels() -> None:
    own = Measure(name="edss", label="Own scale", unit="points")
    text = BASE.describe(own)
    assert "Own scale (points) shows an increase from baseline of at least 1.0 points" in text
