"""The course of a trial as tables. Witness: cells written by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pandas as pd
import pytest

from pmsstats.report.course_tables import (
    course_tables,
    failure_sentence,
    silence_sentence,
    silent_table,
)
from pmsstats.trials.trial_course import TrialCourse

NAN = math.nan
COURSE = TrialCourse(
    n_replicates=1000,
    looks=pd.DataFrame(
        {
            "label": ["Look 1: half", "Look 2: pooled", "Planned end"],
            "n_replicates": [1000, 700, 670],
            "year_median": [1.494956, NAN, 3.99],
            "year_low": [1.494956, NAN, 3.7],
            "year_high": [1.494956, NAN, 4.12],
            "n_enrolled": [224.0, NAN, 1300.0],
        }
    ),
    arms=pd.DataFrame(
        {
            "arm": ["placebo", "high dose"], "ratio": [1.0, 1.5], "n_enrolled": [96.4, 93.3],
            "mcse": [0.52, 0.51], "n_at_end": [106.9, NAN],
        }
    ),
    silent=pd.DataFrame(
        {
            "analysis": ["progression", "progression"], "look": [1, 2],
            "reason": ["no event", "no maximum"], "n_replicates": [5, 3], "no_answer": [0, 3],
            "efficacy": [0, 0], "futility": [4, 0], "answered": [1, 0],
            "first_replicates": ["21, 168, ...", "7, 8, 9"],
        }
    ),
    places="Places go on.",
)  # fmt: skip
DASH = "\N{EN DASH}"


def test_looks_and_arms():
    looks, arms = course_tables(COURSE)
    assert looks.rows == (
        ("Look 1: half", "all 1,000 trials", "1.49", "224"),
        ("Look 2: pooled", "700 of 1,000 trials", DASH, DASH),
        ("Planned end", "670 of 1,000 trials", "3.99 (3.7 to 4.1)", "1,300"),
    )
    assert arms.columns[-1] == "In trials that go to the planned end"
    assert arms.rows == (
        ("placebo", "1", "96.40 (0.52)", "106.9"),
        ("high dose", "1.5", "93.30 (0.51)", DASH),
    )
    assert arms.notes == ("Places go on.",)


def test_end_is_left_out_where_all_trials_go_there():
    same = COURSE.arms.assign(n_at_end=COURSE.arms["n_enrolled"])
    arms = course_tables(replace(COURSE, arms=same, places=""))[1]
    assert arms.columns == ("Arm", "Allocation ratio", "Patients")
    assert arms.notes == ()


def test_silent_analyses_are_counted_in_words():
    table = silent_table(COURSE)
    assert table.rows == (
        (
            "progression, look 1", "5 of 1,000 (0.50 %)", "no event",
            "4 stopped early, futile; 1 had a final answer at the end", "21, 168, ...",
        ),
        (
            "progression, look 2", "3 of 1,000 (0.30 %)", "no maximum", "3 had no final answer",
            "7, 8, 9",
        ),
    )  # fmt: skip
    assert table.layout == "cards"
    assert silent_table(replace(COURSE, silent=COURSE.silent.head(0))) is None


SAID = [
    (0, COURSE.silent.head(0), "", ""),
    (
        0, COURSE.silent.head(1), "",
        ("The analysis 'progression' had no answer at look 1 in 5 of 1,000 trials (0.50 %): no "
        "event. No trial was left without a final answer."),
    ),
    (
        3, COURSE.silent,
        ("3 of 1,000 trials (0.30 %) had no final answer, most of them because of the analysis "
        "'progression': no maximum."), "",
    ),
    (3, COURSE.silent.head(0), "3 of 1,000 trials (0.30 %) had no final answer.", ""),
]  # fmt: skip


@pytest.mark.parametrize(("n_failed", "silent", "failure", "silence"), SAID)
def test_trials_and_analyses_without_an_answer_are_told_apart(n_failed, silent, failure, silence):
    course = replace(COURSE, silent=silent)
    assert failure_sentence(course, n_failed) == failure
    assert silence_sentence(course, n_failed) == silence
