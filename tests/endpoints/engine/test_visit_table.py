"""Visits as arrays: witnesses are tables small enough to read off, and loops."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pandas as pd
import pytest
from endpoints.engine.drawn_cohorts import cohorts
from hypothesis import given
from hypothesis import strategies as st

from pmsstats.cohort import Cohort, default_dictionary
from pmsstats.endpoints import PRESETS, ProgressionRule
from pmsstats.endpoints.engine.visit_table import VisitTable, prepare, visit_table
from pmsstats.errors import DesignError, SchemaError

CDP12 = PRESETS["cdp12"]
VISITS = pd.DataFrame(
    {
        "subject_id": ["B", "A", "A", "A", "D", "D"],
        "day": [5, 100, -10, 0, -20, 30],
        "edss": [4.0, 5.0, 3.0, np.nan, 2.0, 2.5],
        "new_t2_count": [np.nan, 2, 0, np.nan, np.nan, np.nan],
        "gd_lesion_count": [1, np.nan, 0, 0, np.nan, np.nan],
        "scheduled": [True, False, True, None, True, True],
        "site": ["x", "y", "x", "y", "x", "y"],
    }
)
RELAPSES = pd.DataFrame({"subject_id": ["A", "B", "A", "A"], "day": [100, 5, 40, -30]})


def small_cohort() -> Cohort:
    subjects = pd.DataFrame({"subject_id": ["A", "B", "C", "D"]})
    return Cohort(subjects, VISITS, RELAPSES)


def small_table() -> VisitTable:
    return prepare(small_cohort(), "edss")


def test_rows_are_visits_with_a_value_by_subject_and_day() -> None:
    table = small_table()
    assert table.subject_ids.tolist() == ["A", "B", "C", "D"]
    assert table.subject.tolist() == [0, 0, 1, 3, 3]
    assert table.day.tolist() == [-10, 100, 5, -20, 30]
    assert table.value.tolist() == [3.0, 5.0, 4.0, 2.0, 2.5]
    assert table.offsets.tolist() == [0, 2, 3, 3, 5]
    assert table.last_row.tolist() == [1, 2, -1, 4]
    assert table.without_value.tolist() == [0]


def test_days_to_relapses() -> None:
    """A relapse on the day of the visit is 0 days before and 0 days after it."""
    table = small_table()
    assert table.since.tolist() == [20, 0, 0, np.inf, np.inf]
    assert table.until.tolist() == [50, 0, 0, np.inf, np.inf]
    assert table.relapses.day.tolist() == [-30, 40, 100, 5]
    assert table.relapses.offsets.tolist() == [0, 3, 4, 4, 4]
    assert table.far_from_relapses(20, 50).tolist() == [True, False, False, True, True]
    assert table.far_from_relapses(21, 50).tolist() == [False, False, False, True, True]
    assert table.far_from_relapses(0, 51).tolist() == [False, False, False, True, True]


def test_a_scan_is_a_visit_with_any_of_the_counts_and_is_active_above_zero() -> None:
    """Also at a visit without a value of the outcome (A, day 0)."""
    scans = small_table().scans(("new_t2_count", "gd_lesion_count"))
    assert scans.day.tolist() == [-10, 0, 100, 5]
    assert scans.active.tolist() == [False, False, True, True]
    assert scans.offsets.tolist() == [0, 3, 4, 4, 4]
    one = small_table().scans(("new_t2_count",))
    assert (one.day.tolist(), one.active.tolist()) == ([-10, 100], [False, True])


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, [0, -1, -1, 3]),
        ({"baseline_window_days": 4}, [0, -1, -1, 3]),
        ({"baseline_window_days": 5}, [0, 2, -1, 3]),
        ({"baseline_visit": "first"}, [0, 2, -1, 3]),
    ],
)
def test_first_baseline(changes: dict[str, Any], expected: list[int]) -> None:
    rule = dataclasses.replace(CDP12, **changes)
    assert small_table().first_baseline(rule).tolist() == expected


def test_columns_are_numbers() -> None:
    table = small_table()
    np.testing.assert_equal(table.column("scheduled", "confirmation_visits"), [1, 0, 1, 1, 1])
    np.testing.assert_equal(table.column("new_t2_count", "measures"), [0, 2] + [np.nan] * 3)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("sceduled", "`confirmation_visits` .*'sceduled', .* no column .*ou mean 'scheduled'"),
        ("site", "`confirmation_visits` .*'site'.* numbers, or true and false, but holds texts"),
    ],
)
def test_columns_that_cannot_be_used(name: str, message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        small_table().column(name, "confirmation_visits")


def test_scans_need_their_measure() -> None:
    with pytest.raises(SchemaError, match=r"`measures` .*'pet_count'"):
        small_table().scans(("pet_count",))


def test_no_such_measure() -> None:
    with pytest.raises(SchemaError, match="no measure 'sdmt'"):
        prepare(small_cohort(), "sdmt")


def test_required_change_by_another_measure() -> None:
    """Where the other measure has no value, no change can count."""
    table = small_table()
    own = table.required(CDP12.threshold, "increase", "")
    assert own.tolist() == [1.0, 1.0, 1.0, 1.0, 1.0]
    other = table.required(CDP12.threshold, "increase", "gd_lesion_count")
    np.testing.assert_equal(other, [1.0, np.nan, 1.0, np.nan, np.nan])


def test_what_was_worked_out_is_kept() -> None:
    table = small_table()
    for _ in range(2):
        first = table.required(CDP12.threshold, "increase", "")
        assert table.required(CDP12.threshold, "increase", "") is first
    assert table.first_baseline(CDP12) is table.first_baseline(PRESETS["cdp24"])
    later = dataclasses.replace(CDP12, baseline_window_days=30)
    assert table.first_baseline(CDP12) is not table.first_baseline(later)


def test_a_cohort_without_any_value() -> None:
    visits = VISITS.assign(edss=np.nan)
    table = prepare(Cohort(pd.DataFrame({"subject_id": ["A", "B", "D"]}), visits), "edss")
    assert (table.n_rows, table.n_subjects) == (0, 3)
    assert table.last_row.tolist() == [-1, -1, -1]
    assert table.first_baseline(CDP12).tolist() == [-1, -1, -1]


def test_days_that_are_no_days_are_refused() -> None:
    nanoseconds = 86_400 * 10**9
    with pytest.raises(DesignError, match=r"which is no study\. Check the unit of `day`"):
        visit_table(
            {"day": np.array([0, 9_000 * nanoseconds]), "edss": np.array([1.0, 2.0])},
            default_dictionary()["edss"],
            subject=np.array([0, 1]),
            subject_ids=np.array([f"S{i}" for i in range(100)], dtype=object),
            relapse_subject=np.array([0]),
            relapse_day=np.array([5]),
        )


def loop_since(day: int, relapses: list[int]) -> float:
    return min((day - r for r in relapses if r <= day), default=np.inf)


def loop_baseline(days: list[int], rule: ProgressionRule) -> int | None:
    """Return the place of the baseline visit among the days."""
    early = [i for i, day in enumerate(days) if day <= 0]
    late = [i for i, day in enumerate(days) if 0 < day <= rule.baseline_window_days]
    first = list(range(len(days))) if rule.baseline_visit == "first" else early[-1:] or late
    return first[0] if first else None


@given(
    cohort=cohorts(),
    changes=st.sampled_from([{}, {"baseline_window_days": 30}, {"baseline_visit": "first"}]),
)
def test_agrees_with_loops_over_subjects(cohort: Cohort, changes: dict[str, Any]) -> None:
    rule = dataclasses.replace(CDP12, **changes)
    table, relapses = prepare(cohort, "edss"), cohort.relapses
    visits = cohort.visits.dropna(subset="edss")
    for number, subject_id in enumerate(cohort.subjects["subject_id"]):
        own = visits[visits["subject_id"] == subject_id]
        onsets = relapses.loc[relapses["subject_id"] == subject_id, "day"].tolist()
        low, high = table.offsets[number : number + 2]
        days = own["day"].tolist()
        assert table.day[low:high].tolist() == days
        assert table.value[low:high].tolist() == own["edss"].tolist()
        assert table.since[low:high].tolist() == [loop_since(d, onsets) for d in days]
        mirrored = [-r for r in onsets]
        assert table.until[low:high].tolist() == [loop_since(-d, mirrored) for d in days]
        place = loop_baseline(days, rule)
        expected = -1 if place is None else low + place
        assert table.first_baseline(rule)[number] == expected
