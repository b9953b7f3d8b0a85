"""Looks, arms and silent analyses. Witness: frames of four trials, counted by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pandas as pd
import pytest
from toy_trials import ENGINE, GENERATOR, toy_scenario, with_interim

from pmsstats.trials.scenario import Accrual, Interim
from pmsstats.trials.simulate import SimulationRequest, simulate_with
from pmsstats.trials.trial_course import describe_course

TWO = with_interim(
    toy_scenario(0.8, 0.4, accrual=Accrual(n_subjects=40, years=2.0)),
    name="early", rule="select_arms", options={"keep": 1},
)  # fmt: skip
REQUEST = SimulationRequest(n_replicates=4, truth=False)
RUN = replace(simulate_with(ENGINE, toy_scenario(0.8, 0.4), GENERATOR, 7, REQUEST), scenario=TWO)


def estimates(*rows: tuple) -> pd.DataFrame:
    columns = ["replicate", "look", "analysis", "comparison", "calendar_year", "reason"]
    return pd.DataFrame(rows, columns=columns)


def trials(*rows: tuple) -> pd.DataFrame:
    columns = ["replicate", "n_looks", "stopped_for", "duration_years", "n_enrolled", "failed"]
    return pd.DataFrame(rows, columns=columns)


def arms(*numbers: tuple[int, int, int]) -> pd.DataFrame:
    names = ("control", "dose1", "dose2")
    rows = [
        (replicate, arm, n)
        for replicate, each in enumerate(numbers)
        for arm, n in zip(names, each, strict=True)
    ]
    return pd.DataFrame(rows, columns=["replicate", "arm", "n_enrolled"])


# Subjects enter every 0.05 years from year 0.025: 20 of them by year 1, 10 by 0.5.
FOUR = replace(
    RUN,
    trials=trials(
        (0, 2, "end", 3.0, 40, False), (1, 1, "futility", 0.5, 10, False),
        (2, 2, "end", 3.2, 40, True), (3, 2, "end", 3.0, 40, False),
    ),
    estimates=estimates(
        (0, 1, "test", "dose1", 1.0, ""), (0, 1, "test", "dose2", 1.0, ""),
        (0, 2, "test", "dose1", 3.0, ""),
        (1, 1, "test", "dose1", 0.5, "no event"), (1, 1, "test", "dose2", 0.5, "no event"),
        (2, 1, "test", "dose1", 1.0, ""), (2, 2, "test", "dose1", 3.2, "no maximum"),
        (3, 1, "test", "dose1", 1.0, "no event"), (3, 2, "test", "dose1", 3.0, ""),
    ),
    arms=arms((18, 15, 7), (4, 3, 3), (16, 8, 16), (17, 16, 7)),
)  # fmt: skip


def test_looks_take_place_when_and_among_whom_they_did():
    looks = describe_course(FOUR).looks
    assert looks["label"].tolist() == ["Look 1: early", "Planned end"]
    assert looks["n_replicates"].tolist() == [4, 3]
    assert looks["year_median"].tolist() == [1.0, 3.0]
    assert looks["n_enrolled"].tolist() == [(20 + 10 + 20 + 20) / 4, 40.0]
    assert looks["year_low"].iloc[0] < looks["year_median"].iloc[0] == looks["year_high"].iloc[0]


def test_looks_are_numbered_where_some_never_came():
    two_looks = (
        *TWO.interims, Interim(name="late", at="followed", value=0.9, analysis="test",
                               rule="select_arms", options={"keep": 1})
    )  # fmt: skip
    looks = describe_course(replace(FOUR, scenario=replace(TWO, interims=two_looks))).looks
    assert looks["label"].tolist() == ["Look 1", "Planned end"]


def test_looks_without_estimates_have_no_year():
    """As looks at pooled data: the year is known only of trials that ended there."""
    later = FOUR.estimates[FOUR.estimates["look"] == 2]
    looks = describe_course(replace(FOUR, estimates=later)).looks
    assert looks["n_replicates"].tolist() == [4, 3]
    assert math.isnan(looks["year_median"].iloc[0])
    assert math.isnan(looks["n_enrolled"].iloc[0])


def test_arms_have_mean_numbers_of_patients():
    frame = describe_course(FOUR).arms
    assert frame["arm"].tolist() == ["control", "dose1", "dose2"]
    assert frame["ratio"].tolist() == [1.0, 1.0, 1.0]
    assert frame["n_enrolled"].tolist() == [13.75, 10.5, 8.25]
    assert frame["n_at_end"].tolist() == [17.0, 13.0, 10.0]
    # The SD of 18, 4, 16, 17 is 6.551; over the root of 4 trials.
    assert frame["mcse"].iloc[0] == pytest.approx(6.551 / 2, abs=1e-3)


def test_silent_analyses_say_what_became_of_their_trials():
    silent = describe_course(FOUR).silent.to_dict("records")
    assert silent == [
        {
            "analysis": "test", "look": 1, "reason": "no event", "n_replicates": 2, "no_answer": 0,
            "efficacy": 0, "futility": 1, "answered": 1, "first_replicates": "1, 3",
        },
        {
            "analysis": "test", "look": 2, "reason": "no maximum", "n_replicates": 1,
            "no_answer": 1, "efficacy": 0, "futility": 0, "answered": 0, "first_replicates": "2",
        },
    ]  # fmt: skip


PLACES = [
    ({"keep": 1}, "Places of a dropped arm go to the arms left: the trial keeps its size."),
    (
        {"keep": 1, "places": "close"},
        "Places of a dropped arm are not filled: the trial gets smaller.",
    ),
]


@pytest.mark.parametrize(("options", "words"), PLACES)
def test_places_of_dropped_arms(options, words):
    scenario = replace(TWO, interims=(replace(TWO.interims[0], options=options),))
    assert describe_course(replace(FOUR, scenario=scenario)).places == words


def test_plain_trial_has_an_end_and_nothing_else():
    course = describe_course(replace(RUN, scenario=toy_scenario(0.8, 0.4)))
    assert course.looks["label"].tolist() == ["Planned end"]
    assert course.looks["year_median"].tolist() == [1.0]
    assert course.silent.empty
    assert course.places == ""
