"""The scan on subjects worked by hand: what each option does, at the visit where it matters.

Scores are EDSS, twelve weeks (84 days) apart from day 0 unless days are given. A whole point counts
from 5.5 and below, half a point above.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pmsstats.cohort import Cohort
from pmsstats.endpoints import (
    PRESETS,
    EndpointResult,
    LevelCondition,
    ProgressionRule,
    derive_progression,
)

CDP12, CDP24 = PRESETS["cdp12"], PRESETS["cdp24"]
MULTIPLE: dict[str, Any] = {"events": "multiple", "baseline": "roving"}
Columns = dict[str, list[float]]


def changed(rule: ProgressionRule, **fields: Any) -> ProgressionRule:
    return dataclasses.replace(rule, **fields)


def derived(
    rule: ProgressionRule,
    scores: list[float],
    *,
    days: list[int] | None = None,
    relapses: tuple[int, ...] = (),
    **columns: list[float],
) -> EndpointResult:
    """Derive one subject."""
    days = days or [84 * i for i in range(len(scores))]
    visits = pd.DataFrame({"subject_id": "A", "day": days, "edss": scores, **columns})
    onsets = pd.DataFrame({"subject_id": ["A"] * len(relapses), "day": list(relapses)})
    subjects = pd.DataFrame({"subject_id": ["A"]})
    return derive_progression(Cohort(subjects, visits, onsets), rule)


def event_of(result: EndpointResult) -> tuple[int, int] | None:
    """Return the days of onset and confirmation."""
    row = result.events.iloc[0]
    return (row["day_onset"], row["day_confirmed"]) if row["event"] else None


def episodes_of(result: EndpointResult) -> list[tuple]:
    """Return change, value of the baseline, days of onset and confirmation."""
    names = ["change", "reference_value", "day_onset", "day_confirmed"]
    return list(result.episodes[names].itertuples(index=False, name=None))


# --- a baseline that moves after relapses -------------------------------------------------------

AFTER_RELAPSE = changed(CDP12, rebaseline_after_relapse=True)


@pytest.mark.parametrize(
    ("relapses", "rule", "event"),
    [
        ((100,), AFTER_RELAPSE, (300, 400)),  # from 3.5 on day 200, the first visit after it
        ((200,), AFTER_RELAPSE, (300, 400)),  # also if the relapse is on that day
        ((201,), AFTER_RELAPSE, None),  # then the next visit is baseline, 4.5
        ((), AFTER_RELAPSE, None),
        ((100,), CDP12, None),
    ],
)
def test_the_baseline_moves_after_a_relapse_without_any_change_before(
    relapses: tuple[int, ...], rule: ProgressionRule, event: tuple | None
) -> None:
    scores, days = [4.0, 3.5, 4.5, 4.5], [0, 200, 300, 400]
    assert event_of(derived(rule, scores, days=days, relapses=relapses)) == event


def test_the_baseline_moves_relapse_by_relapse() -> None:
    """To day 100 after the first, to day 250 (3.0) after the second; 4.0 is a point more."""
    scores, days = [4.0, 4.0, 3.0, 4.0, 4.0], [0, 100, 250, 350, 450]
    result = derived(AFTER_RELAPSE, scores, days=days, relapses=(50, 150))
    assert episodes_of(result) == [("worsening", 3.0, 350, 450)]
    assert result.episodes["day_reference"].tolist() == [250]


def test_no_visit_but_the_last_after_the_relapse() -> None:
    scores, days = [4.0, 4.5, 5.0], [0, 100, 200]
    assert event_of(derived(AFTER_RELAPSE, scores, days=days, relapses=(150,))) is None


# --- improvements beside the event that is looked for -------------------------------------------

EITHER_SIDE = [4.0, 3.0, 5.0, 3.0, 5.0]
"""Better at visits 1 and 3, worse at 2 and 4: each confirmed after 24 weeks, if others may lie
between."""


@pytest.mark.parametrize(
    ("changes", "event"),
    [
        ({}, (168, 336)),
        ({"events": "first_either"}, (84, 252)),
        ({"events": "first_pira"}, (168, 336)),
        # the search goes on after the confirming visit, and none confirms the one of day 336
        ({"events": "multiple"}, None),
        ({"events": "multiple", "continue_from": "onset"}, (168, 336)),
    ],
)
def test_a_confirmed_improvement_hides_no_worsening(changes: dict, event: tuple | None) -> None:
    rule = changed(CDP24, confirm_intermediate=False, **changes)
    assert event_of(derived(rule, EITHER_SIDE)) == event


def test_an_improvement_moves_the_baseline_it_is_followed_by() -> None:
    """Then 4.0 on day 252 is a point more than 3.0, where the baseline is now."""
    scores = [4.0, 3.0, 3.0, 4.0, 4.0]
    assert event_of(derived(CDP12, scores)) is None
    assert event_of(derived(changed(CDP12, baseline="roving"), scores)) == (252, 336)


# --- conditions on other measures ---------------------------------------------------------------

PYRAMIDAL = (LevelCondition(outcome="fs_pyramidal", at_least=2),)


@pytest.mark.parametrize(
    ("grades", "visits", "intermediate", "event"),
    [
        ([1, 2, 1, 2], "onset", True, (84, 252)),
        ([1, 2, 1, 2], "confirmation", True, None),
        ([1, 2, 1, 2], "confirmation", False, (84, 252)),
        ([1, 2, 2, 1], "confirmation", False, None),
        ([1, 2, 2, 1], "onset", True, (84, 252)),
        ([1, 2, 2, 2], "confirmation", True, (84, 252)),
        ([1, 2, np.nan, 2], "confirmation", True, None),  # no grade, not met
        ([1, 1, 2, 2], "onset", True, None),  # day 168 starts, and nothing confirms it
    ],
)
def test_conditions_at_onset_or_up_to_confirmation(
    grades: list[float], visits: str, intermediate: bool, event: tuple | None
) -> None:
    rule = changed(
        CDP24,
        onset_conditions=PYRAMIDAL,
        condition_visits=visits,
        confirm_intermediate=intermediate,
    )
    assert event_of(derived(rule, [4.0, 5.0, 5.0, 5.0], fs_pyramidal=grades)) == event


SYSTEMS = ("fs_pyramidal", "fs_cerebellar")


@pytest.mark.parametrize(
    ("pyramidal", "cerebellar", "step", "event"),
    [
        ([1, 3, 1], [1, 2, 2], 1.0, None),  # pyramidal leads, and is back
        ([1, 3, 2], [1, 2, 1], 1.0, (84, 168)),  # it is still a grade worse
        ([1, 2, 1], [1, 2, 2], 1.0, (84, 168)),  # both lead, one lasts
        ([np.nan, 3, 3], [1, 2, 2], 1.0, (84, 168)),  # without a first grade it cannot lead
        ([np.nan, 3, 3], [1, 2, 1], 1.0, None),
        ([1, 2, 2], [1, 2, 2], 2.0, None),  # neither by two grades
        ([1, 3, 2], [1, 1, 1], 2.0, None),  # no longer by two
        ([1, 1, 1], [1, 1, 1], 1.0, None),
    ],
)
def test_the_systems_that_worsened_most_lead(
    pyramidal: list[float], cerebellar: list[float], step: float, event: tuple | None
) -> None:
    rule = changed(CDP12, leading_systems=SYSTEMS, leading_step=step)
    columns = {"fs_pyramidal": pyramidal, "fs_cerebellar": cerebellar}
    assert event_of(derived(rule, [4.0, 5.0, 5.0], **columns)) == event


@pytest.mark.parametrize(
    ("pyramidal", "cerebellar", "baseline"),
    [
        ([1, np.nan, 2, 2], [np.nan, np.nan, 2, 2], -14),
        ([1, np.nan, 2, 2], [1, 1, 2, 2], 0),
    ],
)
def test_a_first_baseline_has_a_grade_of_a_leading_system(
    pyramidal: list[float], cerebellar: list[float], baseline: int
) -> None:
    rule = changed(CDP12, leading_systems=SYSTEMS)
    columns = {"fs_pyramidal": pyramidal, "fs_cerebellar": cerebellar}
    result = derived(rule, [4.0, 4.0, 5.0, 5.0], days=[-14, 0, 84, 168], **columns)
    assert result.events["day_baseline"].tolist() == [baseline]
    assert result.events["duration"].tolist() == [84 - baseline]


# --- improvements confirmed after other weeks ---------------------------------------------------

SLOWER = changed(CDP12, **MULTIPLE, opposite_confirm_weeks=24)


@pytest.mark.parametrize(
    ("scores", "days", "slower", "same"),
    [
        (
            [5.0, 4.0, 4.0, 5.0, 5.0],
            [0, 84, 168, 252, 336],
            [],
            [("improvement", 5.0, 84, 168), ("worsening", 4.0, 252, 336)],
        ),
        (
            [5.0, 4.0, 4.0, 4.0, 5.0, 5.0],
            [0, 84, 168, 252, 336, 420],
            [("improvement", 5.0, 84, 252), ("worsening", 4.0, 336, 420)],
            [("improvement", 5.0, 84, 168), ("worsening", 4.0, 336, 420)],
        ),
    ],
)
def test_improvements_have_a_window_of_their_own(
    scores: list[float], days: list[int], slower: list, same: list
) -> None:
    assert episodes_of(derived(SLOWER, scores, days=days)) == slower
    assert episodes_of(derived(changed(CDP12, **MULTIPLE), scores, days=days)) == same


def test_windows_are_reported_in_the_rules_direction_alone() -> None:
    episodes = derived(SLOWER, [5.0, 4.0, 4.0, 4.0, 5.0, 5.0]).episodes
    assert episodes["day_confirmed_12w"].isna().tolist() == [True, False]
    assert episodes["day_confirmed_12w"].iloc[1] == 420


@pytest.mark.parametrize(("day", "episodes"), [(160, 0), (161, 1), (168, 1), (182, 1), (183, 0)])
def test_the_first_tolerances_are_those_of_the_opposite_window(day: int, episodes: int) -> None:
    """24 weeks are 168 days, at most 7 days early and 14 late."""
    rule = changed(
        SLOWER, confirm_weeks=(8, 12), confirm_tolerance_days=(7, 5), confirm_late_days=(14, 90)
    )
    found = derived(rule, [5.0, 4.0, 4.0], days=[0, 100, 100 + day]).episodes
    assert len(found) == episodes


# --- changes at the last visit ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reasons", "within", "imputed"),
    [
        ((), np.inf, ["A", "B", "C"]),
        (("dropout",), np.inf, ["A"]),
        (("dropout", "death"), np.inf, ["A", "B"]),
        (("lost",), np.inf, []),
        ((), 84, ["A", "B", "C"]),  # the last visit is 84 days after the first
        ((), 83, []),
    ],
)
def test_changes_at_a_last_visit_by_reason_of_exit(
    reasons: tuple[str, ...], within: float, imputed: list[str]
) -> None:
    """A drops out, B dies, C completes; D, without a change, drops out as well."""
    scores = {"A": 5.0, "B": 5.0, "C": 5.0, "D": 4.0}
    visits = pd.DataFrame(
        [(s, day, v if day else 4.0) for s, v in scores.items() for day in (0, 84)],
        columns=["subject_id", "day", "edss"],
    )
    exits = pd.DataFrame({"subject_id": ["A", "B", "D"], "day": 90})
    exits["reason"] = ["dropout", "death", "dropout"]
    rule = changed(CDP12, impute_last_visit=1, impute_reasons=reasons, impute_within_days=within)
    cohort = Cohort(pd.DataFrame({"subject_id": list(scores)}), visits, exits=exits)
    result = derive_progression(cohort, rule)
    assert result.events.loc[result.events["event"], "subject_id"].tolist() == imputed
    assert result.events["day_confirmed"].isna().all()
    assert result.episodes["imputed"].tolist() == [True] * len(imputed)


# --- time since the baseline --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fewest", "event"),
    [(0, (84, 168)), (84, (84, 168)), (85, (168, 252)), (168, (168, 252)), (169, None)],
)
def test_an_onset_needs_some_days_since_the_baseline(fewest: int, event: tuple | None) -> None:
    rule = changed(CDP12, min_days_from_baseline=fewest)
    assert event_of(derived(rule, [4.0, 5.0, 5.0, 5.0])) == event


def test_days_are_counted_from_the_baseline_that_moved() -> None:
    """The second change is seen 84 days after the baseline moved (day 252): too early by 16."""
    rule = changed(CDP12, **MULTIPLE, min_days_from_baseline=100)
    scores, days = [4.0, 5.0, 5.0, 6.0, 6.0, 6.0], [0, 168, 252, 336, 420, 504]
    assert episodes_of(derived(rule, scores, days=days)) == [
        ("worsening", 4.0, 168, 252),
        ("worsening", 5.0, 420, 504),
    ]


# --- the value that a moved baseline takes ------------------------------------------------------

LEAST = changed(CDP24, **MULTIPLE, moved_baseline_value="least_changed")


@pytest.mark.parametrize(
    ("scores", "visit", "least"),
    [
        (  # 6.0 is half a point above 5.5 (too little), a point above 5.0
            [4.0, 6.0, 5.0, 5.5, 6.0, 6.0, 6.0],
            [("worsening", 4.0, 84, 252)],
            [("worsening", 4.0, 84, 252), ("worsening", 5.0, 336, 504)],
        ),
        (  # after an improvement: 6.5 is a point above 5.5, half a point above 6.0 (which counts)
            [7.0, 5.5, 6.0, 5.5, 6.5, 6.5, 6.5],
            [("improvement", 7.0, 84, 252), ("worsening", 5.5, 336, 504)],
            [("improvement", 7.0, 84, 252), ("worsening", 6.0, 336, 504)],
        ),
        (  # half a point is too little from 5.5, where the least changed value has its own need
            [6.5, 5.0, 5.5, 5.0, 6.0, 6.0, 6.0],
            [("improvement", 6.5, 84, 252), ("worsening", 5.0, 336, 504)],
            [("improvement", 6.5, 84, 252)],
        ),
    ],
)
def test_a_moved_baseline_may_take_the_least_changed_value(
    scores: list[float], visit: list, least: list
) -> None:
    assert episodes_of(derived(changed(CDP24, **MULTIPLE), scores)) == visit
    assert episodes_of(derived(LEAST, scores)) == least
    day = derived(LEAST, scores).episodes["day_reference"].tolist()
    assert day == [0, 252][: len(day)]  # its day is that of the confirming visit
