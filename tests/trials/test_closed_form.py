"""Closed forms beside simulations. Witness: the formula of the paper, and simulated trials."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import integrate, special

from pmsstats.trials import (
    Accrual,
    DecisionRule,
    IntercurrentEvent,
    Interim,
    Scenario,
    TrialAnalysis,
    TrialArm,
    TrialDropout,
    TrialEndpoint,
    TrialPopulation,
    TrialSchedule,
    simulate_trials,
)
from pmsstats.trials.closed_form import closed_form_power
from synthetic import generate_trials

ERRORS_ALLOWED = 4
SLOPES = {"measure": "cord_area_c2c3_mm2", "intercept": 75.0, "rate": -1.2, "intercept_sd": 8.0}
SLOPES |= {"slope_sd": 1.0, "residual_sd": 1.0}
WEEKS = (0, 26, 52, 78, 104)


def scenario(model: str, method: str, **changes: object) -> Scenario:
    """Return a plain trial of 300 subjects, with the treatment's effect of the model."""
    is_slope = model == "random_slope"
    measure = "cord_area_c2c3_mm2" if is_slope else "progression"
    parts = {
        "name": "plain",
        "population": TrialPopulation(
            model=model, settings=SLOPES if is_slope else {"hazard": 0.18}
        ),
        "arms": (
            TrialArm(name="placebo"),
            TrialArm(
                name="active", effects={"slowing": 0.4} if is_slope else {"hazard_ratio": 0.6}
            ),
        ),
        "accrual": Accrual(n_subjects=300, years=1.0),
        "schedule": TrialSchedule(weeks=WEEKS),
        "dropout": TrialDropout(share=0.15),
        "endpoints": (
            TrialEndpoint(
                name="primary", measure=measure, better="higher" if is_slope else "lower"
            ),
        ),
        "analyses": (TrialAnalysis(name="main", endpoint="primary", method=method),),
        "decision": DecisionRule(analysis="main"),
    }
    return Scenario(**(parts | changes))


SLOPE = scenario("random_slope", "random_slope")
EVENTS = scenario("event_times", "log_rank")


@pytest.mark.parametrize("trial", [SLOPE, EVENTS], ids=["slopes", "event times"])
def test_simulation_agrees(trial):
    simulated = simulate_trials(trial, generate_trials, 1000, 1, truth=False)
    power, mcse = simulated.value("power")
    assert abs(closed_form_power(trial).power - power) < ERRORS_ALLOWED * mcse


def test_slopes_with_certain_baseline_are_a_textbook_formula():
    """Complete data, no spread of intercepts: generalised least squares of known covariance."""
    settings = SLOPES | {"intercept_sd": 0.0}
    trial = replace(
        SLOPE,
        population=TrialPopulation(model="random_slope", settings=settings),
        dropout=TrialDropout(),
        accrual=Accrual(n_subjects=3000, years=1.0),
        arms=(TrialArm(name="placebo"), TrialArm(name="active", effects={"slowing": 0.1})),
    )
    t = 7 * np.array(WEEKS) / 365.25
    V = np.outer(t, t) + np.eye(len(t))
    W, Z = np.linalg.inv(V), np.column_stack([np.ones_like(t), t, 0 * t])
    treated = np.column_stack([np.ones_like(t), t, t])
    information = 1500 * (Z.T @ W @ Z + treated.T @ W @ treated)
    error = math.sqrt(np.linalg.inv(information)[2, 2])
    expected = special.ndtr(0.12 / error - special.ndtri(0.975))
    assert closed_form_power(trial).power == pytest.approx(expected, abs=1e-3)  # t for normal


def test_event_times_follow_schoenfeld_with_events_counted_by_hand():
    """A ratio near 1: Lakatos and Schoenfeld agree. Events: integral of hazard x survival."""
    trial = replace(
        EVENTS,
        arms=(TrialArm(name="placebo"), TrialArm(name="active", effects={"hazard_ratio": 0.9})),
        accrual=Accrual(n_subjects=6000),
    )
    end = 7 * 104 / 365.25
    leaving = -math.log(0.85) / end

    def share(hazard):
        return integrate.quad(lambda u: hazard * math.exp(-(hazard + leaving) * u), 0, end)[0]

    events = 3000 * (share(0.18) + share(0.9 * 0.18))
    drift = math.sqrt(events) / 2 * -math.log(0.9)
    expected = special.ndtr(drift - special.ndtri(0.975))
    assert closed_form_power(trial).power == pytest.approx(expected, abs=0.003)


def test_unequal_allocation_and_deaths_are_passed_on():
    arms = (SLOPE.arms[0], replace(SLOPE.arms[1], ratio=2.0))
    uneven = closed_form_power(replace(SLOPE, arms=arms))
    assert uneven.n == (100, 200)
    assert uneven.power < closed_form_power(SLOPE).power
    dying = replace(SLOPE, dropout=TrialDropout(share=0.15, death_rate=0.1))
    assert closed_form_power(dying).power < closed_form_power(SLOPE).power


def test_effect_is_in_the_unit_of_the_measure():
    found = closed_form_power(SLOPE)
    assert found.effect == pytest.approx(0.48)
    assert "mm" in found.effect_unit
    assert (found.sides, found.alpha) == (1, 0.025)


def _with(base: Scenario, part: str, **changes: object) -> Scenario:
    return replace(base, **{part: replace(getattr(base, part), **changes)})


def _treated(base: Scenario, **effects: float) -> Scenario:
    return replace(base, arms=(base.arms[0], TrialArm(name="active", effects=effects)))


def _analysed(base: Scenario, **changes: object) -> Scenario:
    return replace(base, analyses=(replace(base.analyses[0], **changes),))


LOOK = Interim(name="half", at="year", value=1.9, analysis="main", rule="group_sequential")
NO_FORMULA = {
    "three arms": replace(SLOPE, arms=(*SLOPE.arms, TrialArm(name="other"))),
    "a look": replace(SLOPE, interims=(LOOK,)),
    "stopping of treatment": replace(SLOPE, intercurrent=(IntercurrentEvent(rate=0.1),)),
    "a named treatment": replace(
        SLOPE, arms=(SLOPE.arms[0], TrialArm(name="active", treatment="simvastatin"))
    ),
    "an arm that closes": replace(
        SLOPE, arms=(SLOPE.arms[0], replace(SLOPE.arms[1], closes_year=0.5))
    ),
    "an end by calendar": _with(SLOPE, "decision", final="year", final_value=2.5),
    "dropout after worsening": _with(SLOPE, "dropout", mechanism="mar", log_hazard=0.5),
    "missed scans": _with(SLOPE, "dropout", missed_scan=0.1),
    "visit windows": _with(SLOPE, "schedule", window_days=7.0),
    "fewer scans": _with(SLOPE, "schedule", imaging_weeks=(0, 104)),
    "a window": _analysed(SLOPE, from_week=26.0),
    "an option": _analysed(SLOPE, options={"df_method": "normal"}),
    "a subgroup": _analysed(SLOPE, subgroup={"age": (18.0, 50.0)}),
    "another method": _analysed(SLOPE, method="ancova"),
    "another model": _with(SLOPE, "population", model="ppms_trial", settings={}),
    "an effect that begins late": _treated(SLOPE, slowing=0.4, onset_years=0.5),
    "no effect": _treated(SLOPE, slowing=0.0),
    "harm": _treated(SLOPE, slope_difference=-0.3),
    "no hazard ratio": _treated(EVENTS),
    "events seen at visits": _with(
        EVENTS, "population", settings={"hazard": 0.18, "observed": "visits"}
    ),
}


@pytest.mark.parametrize("trial", NO_FORMULA.values(), ids=NO_FORMULA)
def test_no_formula_is_offered_for(trial):
    assert closed_form_power(trial) is None


def test_late_onset_of_event_times_and_a_changing_hazard_have_a_formula():
    late = closed_form_power(_treated(EVENTS, hazard_ratio=0.6, onset_years=0.5))
    assert late.power < closed_form_power(EVENTS).power
    settings = {"hazard": [0.18, 0.18], "breaks": [1.0]}
    same = closed_form_power(_with(EVENTS, "population", settings=settings))
    assert same.power == pytest.approx(closed_form_power(EVENTS).power, abs=1e-6)
