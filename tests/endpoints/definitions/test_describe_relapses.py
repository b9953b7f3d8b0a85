"""RAW, PIRA and lesion-free intervals in words: one sentence for each choice."""

from __future__ import annotations

import dataclasses

import pytest

from pmsstats.endpoints import AbsoluteThreshold, LesionFree, ProgressionRule, RelapseFree
from pmsstats.endpoints.definitions.describe_relapses import (
    classification_words,
    day_count,
    relapse_words,
)

BASE = ProgressionRule(
    name="mine",
    outcome="edss",
    threshold=AbsoluteThreshold(change=1.0),
    direction="increase",
    confirm_weeks=12,
    classify_relapses=True,
)
RAW = "A worsening is associated with a relapse (RAW) if its onset is at most 90 days after the"
NOWHERE = RelapseFree(onset=(0, 0), confirmation=(0, 0))


@pytest.mark.parametrize(
    ("days", "text"), [(1, "1 day"), (0, "0 days"), (30, "30 days"), (90.5, "90.5 days")]
)
def test_days(days: float, text: str) -> None:
    assert day_count(days) == text


def pira(free: RelapseFree, **changes: object) -> str:
    """Return the sentence that defines PIRA."""
    rule = dataclasses.replace(BASE, relapse_free=free, **changes)
    sentences = classification_words(rule).split(". ")
    return next(s for s in sentences if s.startswith("Any other worsening"))


@pytest.mark.parametrize(
    ("free", "words"),
    [
        (
            RelapseFree(),
            (
                "from 90 days before to 30 days after onset or from 90 days before to 30 days "
                "after the confirming visit; else it is undetermined"
            ),
        ),
        (RelapseFree(onset=(0, 0)), "begins from 90 days before to 30 days after the confirming"),
        (RelapseFree(onset=(90, 0), confirmation=(0, 0)), "begins in the 90 days up to onset;"),
        (RelapseFree(onset=(0, 30), confirmation=(0, 0)), "from onset to 30 days after it;"),
        (RelapseFree(onset=(1, 1), confirmation=(0, 0)), "from 1 day before to 1 day after onset;"),
        (
            RelapseFree(reference=(0, None), onset=(None, 30)),
            (
                "begins from the baseline visit to 30 days after onset or from 90 days before to "
                "30 days after the confirming visit;"
            ),
        ),
        (
            RelapseFree(reference=(30, None), onset=(None, None), confirmation=(None, 15)),
            "from 30 days before the baseline visit to 15 days after the confirming visit;",
        ),
        (
            RelapseFree(onset=(90, None), confirmation=(None, 0)),
            "from 90 days before onset to the confirming visit;",
        ),
        (
            RelapseFree(reference=(60, 10), reference_visit="last"),
            "begins from 60 days before to 10 days after the last visit before onset or from 90",
        ),
        (
            RelapseFree(reference=(60, 10), reference_visit="last_unchanged"),
            "from 60 days before to 10 days after the last unchanged visit or",
        ),
        (NOWHERE, "Any other worsening is independent of relapses (PIRA)."),
    ],
)
def test_intervals_without_relapses(free: RelapseFree, words: str) -> None:
    assert words in pira(free)


def test_without_confirmation_both_intervals_surround_onset() -> None:
    assert pira(RelapseFree(), confirm_weeks=None) == (
        "Any other worsening is independent of relapses (PIRA) if no relapse begins from 90 days "
        "before to 30 days after onset; else it is undetermined"
    )


@pytest.mark.parametrize("changes", [{"baseline": "roving"}, {"rebaseline_after_relapse": True}])
def test_a_reference_that_moves_is_the_current_baseline(changes: dict) -> None:
    free = RelapseFree(reference=(0, 30))
    assert "from the current baseline visit to 30 days after it" in pira(free, **changes)
    assert "from the baseline visit to 30 days after it" in pira(free)


@pytest.mark.parametrize(
    ("lesions", "words"),
    [
        (
            LesionFree(),
            (
                ", and no scan shows new lesions (`new_t2_count` or `gd_lesion_count` above 0) "
                "from 90 days before to 30 days after onset; else it is undetermined. At least one "
                "scan must fall in that interval."
            ),
        ),
        (
            LesionFree(measures=("new_t2_count",), onset=(60, 0), scan_required=False),
            (
                "new lesions (`new_t2_count` above 0) in the 60 days up to onset; else it is "
                "undetermined. No scan needs to fall in that interval."
            ),
        ),
        (
            LesionFree(onset=(0, 0), confirmation=(0, 30)),
            "from the confirming visit to 30 days after it; else",
        ),
        (
            LesionFree(confirmation=(30, 30)),
            (
                "after onset or from 30 days before to 30 days after the confirming visit; else it "
                "is undetermined. At least one scan must fall in one of the intervals without new "
                "lesions."
            ),
        ),
    ],
)
def test_intervals_without_lesions(lesions: LesionFree, words: str) -> None:
    assert words in classification_words(dataclasses.replace(BASE, lesion_free=lesions))


def test_lesions_alone_may_decide() -> None:
    rule = dataclasses.replace(BASE, relapse_free=NOWHERE, lesion_free=LesionFree())
    assert "(PIRA) if no scan shows new lesions" in classification_words(rule)


@pytest.mark.parametrize(
    ("free", "words", "said"),
    [
        (RelapseFree(), "Where several visits may confirm while the change lasts, any of", True),
        (RelapseFree(confirmation=(0, 0)), "Where several visits may confirm", False),
        (RelapseFree(), "Intervals include both of their ends.", True),
        (NOWHERE, "Intervals include both of their ends.", False),
        (
            RelapseFree(reference=(60, 0), reference_visit="last_unchanged"),
            "The last unchanged visit is the last one before onset from which onset and",
            True,
        ),
        (RelapseFree(reference=(60, 0)), "The last unchanged visit", False),
    ],
)
def test_terms_are_explained_where_they_are_used(free: RelapseFree, words: str, said: bool) -> None:
    rule = dataclasses.replace(BASE, relapse_free=free)
    assert (words in classification_words(rule)) is said


def test_events_that_are_not_told_apart_need_no_words() -> None:
    assert classification_words(dataclasses.replace(BASE, classify_relapses=False)) == ""


def test_who_looks_for_raw_alone_need_not_know_what_pira_is() -> None:
    rule = dataclasses.replace(BASE, classify_relapses=False, events="first_raw")
    assert classification_words(rule) == f"{RAW} onset of a relapse."
    assert "PIRA" in classification_words(dataclasses.replace(rule, baseline="roving"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"classify_relapses": False}, "Relapses are not taken into account."),
        ({}, ""),
        ({"classify_relapses": False, "rebaseline_after_relapse": True}, ""),
        (
            {"relapse_to_onset_days": 30, "relapse_to_confirmation_days": 60},
            (
                "A visit fewer than 30 days after the onset of a relapse does not start an event. "
                "A visit fewer than 60 days after the onset of a relapse does not confirm an event "
                "(but ends a change that it does not show)."
            ),
        ),
        (
            {"relapse_to_onset_days": (0, 1), "confirm_intermediate": False},
            "A visit fewer than 1 day before the onset of a relapse does not start an event.",
        ),
        (
            {
                "relapse_to_onset_days": 30,
                "relapse_to_confirmation_days": 30,
                "confirm_intermediate": False,
            },
            (
                "A visit fewer than 30 days after the onset of a relapse neither starts nor "
                "confirms an event."
            ),
        ),
        (
            {"relapse_to_onset_days": 30, "confirm_weeks": None},
            "A visit fewer than 30 days after the onset of a relapse does not start an event.",
        ),
    ],
)
def test_distances_to_relapses(changes: dict, words: str) -> None:
    assert relapse_words(dataclasses.replace(BASE, **changes)) == words
