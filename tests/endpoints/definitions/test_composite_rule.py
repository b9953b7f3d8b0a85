"""Composite rules. Witness: sentences and numbers written by hand."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from pmsstats.endpoints.definitions.composite_rule import CompositeRule, rule_title
from pmsstats.endpoints.definitions.event_rules import ExitEventRule, RelapseEventRule
from pmsstats.endpoints.definitions.presets import PRESETS
from pmsstats.endpoints.definitions.progression_rule import ProgressionRule
from pmsstats.endpoints.definitions.scan_rules import LesionEventRule, VolumeLossRule
from pmsstats.endpoints.definitions.thresholds import AbsoluteThreshold
from pmsstats.errors import DesignError

EDSS = ProgressionRule(
    name="edss",
    outcome="edss",
    threshold=AbsoluteThreshold(change=1.0),
    direction="increase",
    confirm_weeks=12,
    label="EDSS progression",
)
RELAPSE, LESION = RelapseEventRule(label="relapse"), LesionEventRule(label="new lesion")
PARTS = (EDSS, RELAPSE, LESION)
NEDA = CompositeRule(name="neda3", parts=PARTS, absence_label="NEDA-3")


def test_composites_are_frozen_hashable_and_can_be_parts() -> None:
    outer = CompositeRule(name="outer", parts=[NEDA, ExitEventRule(reasons="death", name="death")])
    assert isinstance(outer.parts, tuple)
    assert {outer: 1}[dataclasses.replace(outer)] == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        outer.name = "other"


@pytest.mark.parametrize(
    ("require", "n_required", "title"),
    [
        ("any", 1, "EDSS progression, relapse or new lesion"),
        (1, 1, "EDSS progression, relapse or new lesion"),
        (2, 2, "2 of: EDSS progression, relapse and new lesion"),
        (np.int64(2), 2, "2 of: EDSS progression, relapse and new lesion"),
        ("all", 3, "EDSS progression, relapse and new lesion"),
        (3, 3, "EDSS progression, relapse and new lesion"),
    ],
)
def test_how_many_parts_make_the_event(require: object, n_required: int, title: str) -> None:
    rule = dataclasses.replace(NEDA, require=require)
    assert (rule.n_required, rule.title) == (n_required, title)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"parts": ()}, "at least two rules, got 0"),
        ({"parts": EDSS}, "at least two rules, got 1"),
        ({"parts": (EDSS, "cdp12")}, "must be rules, got 'cdp12'. Look a preset up by name"),
        ({"parts": (EDSS, None)}, "must be rules, got None"),
        ({"parts": (RELAPSE, RELAPSE)}, "different names.*'relapse' stands twice"),
        ({"require": 0}, "whole number from 1 to 3"),
        ({"require": 4}, "whole number from 1 to 3"),
        ({"require": 2.0}, "whole number from 1 to 3"),
        ({"require": True}, "whole number from 1 to 3"),
        ({"require": "some"}, "'any', 'all' or a whole number"),
        ({"require": None}, "'any', 'all' or a whole number"),
        ({"missing_part": "ignored"}, "Did you mean 'ignore'"),
        ({"censor_at": "last"}, "one of last_of_any, first_of_any"),
        ({"name": ""}, "`name` of a rule must be a text"),
        ({"absence_label": None}, "`absence_label` of a rule must be a text"),
    ],
)
def test_composites_are_checked_when_made(change: dict, message: str) -> None:
    with pytest.raises(DesignError, match=message):
        dataclasses.replace(NEDA, **change)


def test_titles_of_all_kinds() -> None:
    assert [rule_title(r) for r in (EDSS, RELAPSE, NEDA)] == [
        "EDSS progression",
        "relapse",
        "EDSS progression, relapse or new lesion",
    ]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, "EDSS progression, relapse or new lesion: the first of 3 events. (1) EDSS"),
        ({}, "(2) Relapse: time from day 0"),
        ({}, "followed for the others. Subjects without it are censored at their last"),
        ({}, "Without the event: NEDA-3."),
        ({"require": "all"}, ": all of 3 events. (1)"),
        ({"require": "all"}, "Subjects who cannot be assessed for a part are left out."),
        ({"missing_part": "exclude"}, "Subjects who cannot be assessed for a part are left out."),
        ({"require": 2}, ": 2 of 3 events. (1)"),
        ({"require": 2}, "followed for the others, if there are at least 2."),
        ({"censor_at": "first_of_any"}, "when the assessment of the first part ended."),
        (
            {"censor_at": "first_of_any", "require": 2},
            "on the last day on which fewer than 2 parts can have happened.",
        ),
        ({"citation": "Someone 2020.", "note": "A note."}, "Source: Someone 2020. A note."),
        ({"label": "disease activity"}, "Disease activity: the first of 3 events."),
    ],
)
def test_definition_says_what_is_done(change: dict, words: str) -> None:
    assert words in dataclasses.replace(NEDA, **change).describe()


WALK = dataclasses.replace(EDSS, name="walk", outcome="t25fw_s", label="slower walk")


def test_what_all_progression_parts_share_is_said_once() -> None:
    """Witness: the whole paragraph, written by hand."""
    assert CompositeRule(name="either", parts=(EDSS, WALK), label="worsening").describe() == (
        "Worsening: the first of 2 events. (1) EDSS progression: EDSS shows an increase from "
        "baseline of at least 1.0, still present at the first visit at least 84 days later (12 "
        "weeks) and at every visit in between; visits without a value are passed over. (2) Slower "
        "walk: Timed 25-foot walk (s) shows an increase from baseline of at least 1.0 s, still "
        "present at the first visit at least 84 days later (12 weeks) and at every visit in "
        "between; visits without a value are passed over. For (1) and (2): Relapses are not taken "
        "into account. Baseline is the last value at or before day 0, and stays the same "
        "throughout; subjects without a baseline, or without a value after it, are not at risk. "
        "Time runs from the baseline visit to the visit at which the change was first seen. "
        "Subjects without an event are censored at their last visit with a value, also when a "
        "change there could not be confirmed any more, and when they died or left the study. The "
        "composite happens on the day on which the part that completes it happened. Time runs "
        "from the latest of the baselines of the parts. Subjects who cannot be assessed for a "
        "part are followed for the others. Subjects without it are censored at their last "
        "assessment of any part."
    )


def test_what_some_parts_do_otherwise_is_said_for_each() -> None:
    roving = dataclasses.replace(WALK, baseline="roving", name="roving")
    text = CompositeRule(name="three", parts=(EDSS, WALK, RELAPSE, roving)).describe()
    assert "For (1), (2) and (4): Relapses are not taken into account. Subjects without" in text
    assert text.count("stays the same throughout") == 2
    assert text.count("Time runs from the baseline visit") == 2
    assert text.count("Time runs from the first baseline visit") == 1


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ((EDSS, WALK, dataclasses.replace(EDSS, name="third")), "For (1) to (3): Relapses are"),
        ((RELAPSE, EDSS, WALK), "For (2) and (3): Relapses are"),
        ((EDSS, LESION, VolumeLossRule()), "For (2) and (3): The baseline scan is the last"),
    ],
)
def test_which_parts_share_it(parts: tuple, words: str) -> None:
    text = CompositeRule(name="x", parts=parts).describe()
    assert words in text
    assert text.count(words.partition(": ")[2]) == 1


def test_a_single_part_of_a_kind_keeps_its_sentences() -> None:
    assert "For (" not in NEDA.describe()
    assert EDSS.describe() in NEDA.describe()


@pytest.mark.parametrize("name", [n for n, r in PRESETS.items() if isinstance(r, CompositeRule)])
def test_nothing_that_a_part_says_is_lost(name: str) -> None:
    rule = PRESETS[name]
    text = rule.describe()
    sentences = [s for part in rule.parts for s in part.describe().split(". ")]
    assert sentences
    assert [s for s in sentences if s.rstrip(".") not in text] == []


def test_sentences_start_with_a_capital() -> None:
    """Labels are written as in the middle of a sentence."""
    text = CompositeRule(name="x", parts=(WALK, RELAPSE, LESION), label="any of them").describe()
    assert text.startswith("Any of them: ")
    for part in ("(1) Slower walk: ", "(2) Relapse: ", "(3) New lesion: "):
        assert part in text


def test_definitions_of_parts_may_be_given() -> None:
    text = NEDA.describe(("One.", "Two.", "Three."))
    assert "the first of 3 events. (1) One. (2) Two. (3) Three. The composite" in text
