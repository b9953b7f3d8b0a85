"""Checks that all survival data pass: what is refused, in which words, and what is left out."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from pmsstats.errors import DesignError
from pmsstats.models.events import rows as checks
from pmsstats.models.events.rows import Rows

DATA = pd.DataFrame(
    {
        "subject_id": ["A", "B", "C", "D"],
        "duration": [3.0, 0.0, 5.0, 2.0],
        "event": [1, 0, 0, 1],
        "entry": [0.0, 0.0, 5.0, 1.0],
        "cause": ["death", "censored", "censored", "progression"],
    }
)


def rows_of(**columns) -> Rows:
    return Rows(DATA.assign(**columns), "a step", "subject_id")


def reasons(rows: Rows) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(e.stage, e.reason, e.subject_ids) for e in rows.exclusions]


def test_rows_are_dropped_with_stage_reason_and_subjects() -> None:
    rows = rows_of(event=[1, None, 0, 1])
    checks.check_event(rows, "event")
    assert reasons(rows) == [("a step", "event missing", ("B",))]
    assert rows.frame["event"].tolist() == [True, False, True]
    assert rows.subject.tolist() == ["A", "C", "D"]
    assert [e.unit for e in rows.exclusions] == ["row"]
    assert [e.unit for e in checks.as_subjects(rows.exclusions)] == ["subject"]


def test_rows_without_subjects_are_numbered() -> None:
    rows = Rows(DATA.drop(columns="subject_id"), "a step", "subject_id")
    assert rows.subject.tolist() == ["1", "2", "3", "4"]


def test_durations_of_zero_are_left_out_events_apart() -> None:
    rows = rows_of(duration=[0, 0, 5, 2])
    checks.check_event(rows, "event")
    checks.check_duration(rows, "duration", "event")
    assert reasons(rows) == [
        ("a step", "no follow-up (duration 0)", ("B",)),
        ("a step", "event at time 0, before any follow-up", ("A",)),
    ]


def test_entry_at_the_end_of_follow_up_is_left_out() -> None:
    rows = rows_of(entry=[0, 0, 5, np.nan])
    checks.check_entry(rows, "entry", "duration")
    assert reasons(rows) == [
        ("a step", "entry missing", ("D",)),
        ("a step", "no follow-up after entry", ("B", "C")),
    ]


@pytest.mark.parametrize(
    ("columns", "causes", "codes"),
    [
        ({}, ("death", "progression"), [1, 0, 0, 2]),
        ({"cause": [2, 0, 0, 1]}, ("1", "2"), [2, 0, 0, 1]),
        ({"cause": [2.0, 0.0, 0.0, 7.0]}, ("2", "7"), [1, 0, 0, 2]),
        ({"cause": [True, False, False, True]}, ("1",), [1, 0, 0, 1]),
        (
            {"cause": pd.Categorical(DATA["cause"], ["progression", "x", "death", "censored"])},
            ("progression", "death"),
            [2, 0, 0, 1],
        ),
        ({"cause": pd.array([1, 0, 0, 2], dtype="Int64")}, ("1", "2"), [1, 0, 0, 2]),
    ],
)
def test_causes_become_codes(columns: dict, causes: tuple[str, ...], codes: list[int]) -> None:
    rows = rows_of(**columns)
    assert checks.check_cause(rows, "cause") == causes
    assert rows.frame["cause"].tolist() == codes


def test_a_missing_cause_is_not_censored() -> None:
    rows = rows_of(cause=["death", None, "censored", "progression"])
    checks.check_cause(rows, "cause")
    assert reasons(rows) == [("a step", "cause missing", ("B",))]


@pytest.mark.parametrize(("censored", "causes"), [("death", ("censored", "progression"))])
def test_the_censored_level_can_be_named(censored: str, causes: tuple[str, ...]) -> None:
    assert checks.check_cause(rows_of(), "cause", censored) == causes
    assert checks.check_cause(rows_of(cause=[9, 1, 1, 2]), "cause", 1) == ("2", "9")


def test_bounds_fill_missing_ends_and_drop_what_says_nothing() -> None:
    rows = rows_of(lower=[np.nan, 0, 0, 2], upper=[3, np.nan, 0, np.inf])
    checks.check_bounds(rows, "lower", "upper")
    assert rows.frame[["lower", "upper"]].to_numpy().tolist() == [[0, 3], [2, np.inf]]
    assert reasons(rows) == [
        ("a step", "no follow-up (from 0 to infinity)", ("B",)),
        ("a step", "event at time 0, before any follow-up", ("C",)),
    ]


def bounds(lower, upper):
    return lambda: checks.check_bounds(rows_of(lower=lower, upper=upper), "lower", "upper")


def entry(**columns):
    return lambda: checks.check_entry(rows_of(**columns), "entry", "duration")


REFUSED = [
    (entry(entry=[4, 0, 0, 0]), "`entry` after `duration` in 1 row(s) of 1 subject(s) (A). An"),
    (entry(entry=-1), "Negative `entry` in 4 row(s) of 4 subject(s) (A, B, C, ...)"),
    (bounds([5, 0, 0, 0], [4, 1, 1, 1]), "`lower` above `upper` in 1 row(s) of 1 subject(s) (A)"),
    (bounds(-1, 1), "Negative `lower`"),
    (bounds(np.inf, np.inf), "Infinite `lower`"),
    (bounds("x", 1), "Column 'lower' must hold numbers"),
    (lambda: checks.check_cause(rows_of(cause="censored"), "cause"), "names no cause: all 4"),
    (lambda: checks.check_cause(rows_of(cause=0), "cause"), "names no cause: all 4 row(s)"),
    (
        lambda: checks.check_cause(rows_of(cause=list("abab")), "cause"),
        "Column 'cause' has no level 'censored', only 'a', 'b'. Say with `censored`",
    ),
    (lambda: checks.check_event(rows_of(event=[0, 1, 2, 1]), "event"), "True/False or 1/0"),
    (lambda: checks.check_time(rows_of(duration=np.inf), "duration"), "Infinite `duration`"),
    (
        lambda: checks.check_intervals(rows_of(entry=9), "entry", "duration"),
        "`duration` not after `entry` in 4 row(s)",
    ),
    (
        lambda: checks.check_one_row(rows_of(subject_id="A")),
        "More than one row per subject in 4 row(s) of 1 subject(s) (A)",
    ),
    (lambda: checks.require_columns(DATA, [("by", "caus")]), "`by` names 'caus', which is no"),
    (lambda: checks.check_conf_level(1.0), "`conf_level` must lie between 0 and 1, got 1.0"),
]  # fmt: skip


@pytest.mark.parametrize(("check", "message"), REFUSED)
def test_what_cannot_be_is_refused_in_words(check, message: str) -> None:
    with pytest.raises(DesignError, match=re.escape(message)):
        check()


def test_clusters_may_repeat_subjects() -> None:
    checks.check_one_row(rows_of(subject_id="A"), cluster="site")


def test_nobody_to_compare_says_what_was_left_out() -> None:
    rows = rows_of(event=[None, None, None, 1])
    checks.check_event(rows, "event")
    with pytest.raises(DesignError, match=r"found 1 after 3 row\(s\) were left out. 3: event miss"):
        checks.at_least_two(rows, "A curve")


def test_groups_keep_the_order_of_their_categories() -> None:
    ordered = DATA.assign(arm=pd.Categorical(list("baba"), ["b", "x", "a"]))
    assert checks.groups_of(ordered, "arm").categories.tolist() == ["b", "a"]
    assert checks.groups_of(DATA, "duration").categories.tolist() == ["0.0", "2.0", "3.0", "5.0"]
    assert checks.groups_of(DATA, None).categories.tolist() == ["all"]
