"""When looks take place, and what is known then; counted by hand for a handful of subjects."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hand_made_trials import scenario

from pmsstats.cohort.trial_arrays import TrialArrays
from pmsstats.errors import DesignError
from pmsstats.trials.cuts import cut_at, keep_places, take_replicates
from pmsstats.trials.information_at_looks import (
    information_at,
    information_steps,
    planned_fraction,
    year_of_information,
)
from pmsstats.trials.looks import all_followed_year, final_cut_year, look_year, nth_year
from pmsstats.trials.scenario import (
    Accrual,
    DecisionRule,
    Interim,
    TrialAnalysis,
    TrialPopulation,
)

YEAR = 365.25
ENTRY = np.array([[0.0, 0.5, 1.0, 1.5], [0.1, 0.2, 0.3, 0.4]])
PLAN = dataclasses.replace(scenario(n=4), accrual=Accrual(n_subjects=4, years=2.0))


def data(**changes):
    """Return four subjects in two trials, seen at weeks 0, 26 and 52."""
    values = np.tile([0.0, 1.0, 2.0], (2, 4, 1))
    values[0, 3, 2] = np.nan  # the last one of the first trial left after week 26
    fields = {
        "arms": ("placebo", "treated"),
        "arm": np.tile(np.array([0, 1, 0, 1], dtype=np.int8), (2, 1)),
        "weeks": (0, 26, 52),
        "day": np.array([[[0.0, 182.0, 364.0]]]),
        "values": {"y": values, "image": values.copy()},
        "exit_day": np.array([[364.0, 364.0, 364.0, 200.0], [364.0] * 4]),
        "exit_reason": np.array([[0, 0, 0, 1], [0] * 4]),
        "stop_day": np.array([[np.inf, 100.0, 300.0, np.inf], [np.inf] * 4]),
        "baseline": {"event_day": np.array([[90.0, np.inf, 30.0, 150.0], [np.inf] * 4])},
        "relapses": (np.array([0, 0, 1]), np.array([0, 2, 3]), np.array([10.0, 300.0, 20.0])),
        "entry_year": ENTRY,
    }
    return TrialArrays(**fields | changes)


def look(at, value, **changes):
    """Return a look."""
    fields = {"name": "look", "analysis": "change", "rule": "group_sequential"}
    return Interim(at=at, value=value, **fields | changes)


LOOKS = {
    "year": (look("year", 1.25), [1.25, 1.25]),
    "third subject": (look("enrolled", 3), [1.0, 0.3]),
    "half followed to week 26": (
        look("followed", 0.5, week=26), [0.5 + 182 / YEAR, 0.2 + 182 / YEAR],
    ),
    "three quarters followed to the end": (
        look("followed", 0.75), [1.0 + 364 / YEAR, 0.3 + 364 / YEAR],
    ),
    # Completers: three in the first trial, four in the second; two thirds are two and three.
    "two thirds of the information": (
        look("information", 2 / 3), [0.5 + 364 / YEAR, 0.3 + 364 / YEAR],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", LOOKS)
def test_looks_by_hand(case):
    interim, expected = LOOKS[case]
    assert np.allclose(look_year(PLAN, interim, data(), ENTRY), expected)


def test_empty_places_are_not_waited_for():
    kept = np.array([[True, False, True, True], [True] * 4])
    found = look_year(PLAN, look("enrolled", 2), keep_places(data(), kept), ENTRY)
    assert np.allclose(found, [1.0, 0.2])


def test_events_are_waited_for():
    plan = dataclasses.replace(
        PLAN,
        analyses=(TrialAnalysis(name="time", endpoint="event", method="log_rank"),),
        decision=DecisionRule(analysis="time", final="events", final_value=2),
    )
    # Calendar times of events: 90 days; 1 year + 30 days; 1.5 years + 150 days.
    found = look_year(plan, look("events", 2, analysis="time"), data(), ENTRY)
    assert np.allclose(found, [1.0 + 30 / YEAR, np.inf])
    only = look("events", 1, analysis="time", options={"events_in": "reference"})
    assert np.allclose(look_year(plan, only, data(), ENTRY), [90 / YEAR, np.inf])
    assert np.allclose(final_cut_year(plan, data(), ENTRY), [1.0 + 30 / YEAR, np.inf])
    with pytest.raises(DesignError, match="no events to wait for"):
        look_year(PLAN, look("events", 2), data(), ENTRY)


def test_the_end_is_when_the_last_one_left():
    found = all_followed_year(PLAN, data(), ENTRY)
    assert np.allclose(found, [1.5 + 200 / YEAR, 0.4 + 364 / YEAR])
    assert np.isposinf(final_cut_year(PLAN, data(), ENTRY)).all()


def test_nth_time():
    years = np.array([[3.0, 1.0, np.inf], [2.0, np.inf, np.inf]])
    assert nth_year(years, 2).tolist() == [3.0, np.inf]
    assert nth_year(years, 5).tolist() == [np.inf, np.inf]


def test_cut_by_hand():
    cut = cut_at(data(), ENTRY, np.array([1.0 + 200 / YEAR, np.inf]))
    # First trial: subject 1 had 565 days, subject 3 had 200, subject 4 (year 1.5) 17.4.
    assert np.isnan(cut.values["y"][0]).tolist() == [
        [False] * 3, [False] * 3, [False, False, True], [False, True, True],
    ]  # fmt: skip
    assert np.allclose(cut.exit_day[0], [364, 364, 200, 200 - 0.5 * YEAR])
    assert cut.exit_reason[0].tolist() == [0, 0, 0, 0]
    assert cut.stop_day[0].tolist() == [np.inf, 100.0, np.inf, np.inf]
    assert cut.relapses[2].tolist() == [10.0, 20.0]
    early = cut_at(data(), ENTRY, np.array([0.7, 0.7]))
    assert early.arm.tolist() == [[0, 1, -1, -1], [0, 1, 0, 1]]
    whole = data()
    assert cut_at(whole, ENTRY, np.full(2, np.inf)) is whole


def test_a_visit_on_the_day_of_the_look_counts():
    cut = cut_at(data(), ENTRY, np.array([0.5 + 182 / YEAR] * 2))
    assert not np.isnan(cut.values["y"][0, 1, 1])


def test_taking_replicates_keeps_their_relapses():
    part = take_replicates(data(), np.array([1]))
    assert part.relapses[0].tolist() == [0]
    assert part.relapses[1].tolist() == [3]
    assert part.entry_year.tolist() == ENTRY[1:].tolist()
    whole = data()
    assert take_replicates(whole, np.array([0, 1])) is whole


def test_information_of_a_slope_is_that_of_a_subjects_own_slope():
    analysis = TrialAnalysis(name="slope", endpoint="y", method="random_slope")
    plan = dataclasses.replace(
        PLAN,
        analyses=(analysis,),
        decision=DecisionRule(analysis="slope"),
        population=TrialPopulation(
            model="hand_made", settings={"slope_sd": 0.8, "residual_sd": 0.5}
        ),
    )
    steps = information_steps(plan, analysis, {})
    years = np.array([0.0, 182.0, 364.0]) / YEAR
    # Brute force: the variance of the slope by generalised least squares from one subject.
    for k in (2, 3):
        x = np.column_stack([np.ones(k), years[:k]])
        V = x @ np.diag([3.0, 0.64]) @ x.T + 0.25 * np.eye(k)
        variance = np.linalg.inv(x.T @ np.linalg.solve(V, x))[1, 1]
        assert np.isclose(steps[:k].sum(), 1 / variance)
    cut = np.array([1.0 + 200 / YEAR, np.inf])
    found = information_at(plan, analysis, data(), ENTRY, cut, options={})
    assert np.allclose(found, [steps.sum() * 2 + steps[1], steps.sum() * 4])
    half = year_of_information(
        plan, analysis, data(), ENTRY, share=0.5, options={}, until=np.full(2, np.inf)
    )
    reached = information_at(plan, analysis, data(), ENTRY, half, options={})
    total = information_at(plan, analysis, data(), ENTRY, np.full(2, np.inf), options={})
    assert (reached >= 0.5 * total).all()
    before = information_at(plan, analysis, data(), ENTRY, half - 1e-3, options={})
    assert (before < 0.5 * total).all()


def test_planned_fractions():
    # Entries at 0.25, 0.75, 1.25, 1.75 years; half followed means two of four completers.
    assert planned_fraction(PLAN, look("followed", 0.5)) == 0.5
    assert planned_fraction(PLAN, look("information", 0.3)) == 0.3
    assert planned_fraction(PLAN, look("year", 1.5, options={"fraction": 0.4})) == 0.4
    with pytest.raises(DesignError, match="above 0 and below 1"):
        planned_fraction(PLAN, look("enrolled", 1))
    slope = dataclasses.replace(
        PLAN, analyses=(TrialAnalysis(name="change", endpoint="y", method="random_slope"),)
    )
    with pytest.raises(DesignError, match="`slope_sd`"):
        planned_fraction(slope, look("followed", 0.5))
    time = dataclasses.replace(
        PLAN, analyses=(TrialAnalysis(name="change", endpoint="event", method="cox"),)
    )
    with pytest.raises(DesignError, match="how many of the final events"):
        planned_fraction(time, look("followed", 0.5))
