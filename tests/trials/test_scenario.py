"""Scenarios: what contradicts itself is refused, and files give back what was written."""

from __future__ import annotations

import dataclasses
import math
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmsstats.errors import DesignError, SchemaError
from pmsstats.trials.scenario import (
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
)
from pmsstats.trials.scenario_toml import (
    read_scenario,
    scenario_from_dict,
    scenario_to_toml,
    write_scenario,
)

BASE = Scenario(
    name="Cord area in PPMS",
    population=TrialPopulation(model="random_slope", settings={"measure": "brain_ml"}),
    arms=(TrialArm(name="placebo"), TrialArm(name="treated", effects={"slowing": 0.5})),
    accrual=Accrual(n_subjects=300, years=1.0),
    schedule=TrialSchedule(weeks=(0, 26, 52, 78, 104)),
    endpoints=(TrialEndpoint(name="brain", measure="brain_ml"),),
    analyses=(TrialAnalysis(name="slope", endpoint="brain", method="random_slope"),),
    decision=DecisionRule(analysis="slope"),
)


def interim(**changes):
    """Make an interim of the base."""
    fields = {
        "name": "half", "at": "information", "value": 0.5, "analysis": "slope",
        "rule": "group_sequential",
    }  # fmt: skip
    return Interim(**fields | changes)


CONTRADICTIONS = {
    "one arm": ({"arms": BASE.arms[:1]}, "two or more, got 1"),
    "same name": ({"arms": (BASE.arms[0],) * 2}, "'placebo' twice"),
    "unknown endpoint": (
        {"analyses": (TrialAnalysis(name="slope", endpoint="brian", method="mmrm"),)},
        "Did you mean 'brain'",
    ),
    "unknown analysis": ({"decision": DecisionRule(analysis="slop")}, "Did you mean 'slope'"),
    "interim of an unknown analysis": ({"interims": (interim(analysis="cdp"),)}, "names 'cdp'"),
    "interim after the end": (
        {"interims": (interim(at="year", value=3.0),)},
        "planned in year 3, but the trial ends in year 2.99",
    ),
    "interim after the last recruit": (
        {"interims": (interim(at="enrolled", value=301.0),)},
        "waits for 301 subjects, but 300",
    ),
    "interim after the last event": (
        {
            "interims": (interim(at="events", value=90.0),),
            "decision": DecisionRule(analysis="slope", final="events", final_value=90.0),
        },
        "waits for 90 events, but the trial ends after 90",
    ),
    "late arm without patients": (
        {"arms": (*BASE.arms, TrialArm(name="late", opens_year=1.0))},
        "'late' has no patients",
    ),
    "late reference": (
        {"arms": (TrialArm(name="placebo", opens_year=0.5), BASE.arms[1])},
        "must be open from the start",
    ),
    "strategy for an event that cannot happen": (
        {
            "analyses": (
                dataclasses.replace(BASE.analyses[0], strategies={"rescue": "hypothetical"}),
            )
        },
        "names 'rescue', but there are none",
    ),
    "rate of an unknown arm": (
        {"intercurrent": (IntercurrentEvent(rates={"tretaed": 0.1}),)},
        "Did you mean 'treated'",
    ),
}


@pytest.mark.parametrize("case", CONTRADICTIONS)
def test_contradictions_are_refused(case):
    changes, message = CONTRADICTIONS[case]
    with pytest.raises(DesignError, match=message):
        dataclasses.replace(BASE, **changes)


BAD_PARTS = {
    "no patients": (lambda: TrialArm(name="a", ratio=0.0), "nobody is allocated"),
    "closes before it opens": (
        lambda: TrialArm(name="a", opens_year=1.0, closes_year=1.0),
        "before it closes",
    ),
    "one subject": (lambda: Accrual(n_subjects=1), "whole number of 2 or more"),
    "negative recruitment": (lambda: Accrual(n_subjects=9, years=-1.0), "0 or more"),
    "ramp without length": (lambda: Accrual(n_subjects=9, years=1.0, pattern="ramp"), "ramp_years"),
    "negative visit": (lambda: TrialSchedule(weeks=(-4, 0, 12)), "start at 0 and ascend"),
    "unordered visits": (lambda: TrialSchedule(weeks=(0, 24, 12)), "start at 0 and ascend"),
    "one visit": (lambda: TrialSchedule(weeks=(0,)), "two visits or more"),
    "scan without visit": (
        lambda: TrialSchedule(weeks=(0, 12), imaging_weeks=(0, 6)),
        "some of `weeks`, got also 6",
    ),
    "windows overlap": (lambda: TrialSchedule(weeks=(0, 1), window_days=3.5), "keep visits apart"),
    "dropout over 1": (lambda: TrialDropout(share=20.0), "20 % is 0.2"),
    "negative dropout": (lambda: TrialDropout(share=-0.1), "from 0 to below 1"),
    "negative deaths": (lambda: TrialDropout(death_rate=-1.0), "0 or more"),
    "negative discontinuation": (lambda: IntercurrentEvent(rate=-0.1), "0 or more"),
    "seen after": (lambda: IntercurrentEvent(seen_after=2.0), "share from 0 to 1"),
    "interim at nothing": (lambda: interim(value=0.0), "above 0"),
    "interim at all of the information": (lambda: interim(value=1.0), "before the end"),
    "alpha": (lambda: DecisionRule(analysis="a", alpha=0.5), "one-sided type I error"),
    "no end": (lambda: DecisionRule(analysis="a", final="events"), "must say how many"),
}


@pytest.mark.parametrize("case", BAD_PARTS)
def test_impossible_parts_are_refused(case):
    make, message = BAD_PARTS[case]
    with pytest.raises(DesignError, match=message):
        make()


def test_planned_end_is_recruitment_and_follow_up():
    assert BASE.planned_years == pytest.approx(1 + 104 * 7 / 365.25)
    fixed = dataclasses.replace(
        BASE, decision=DecisionRule(analysis="slope", final="year", final_value=2.5)
    )
    assert fixed.planned_years == 2.5


def test_file_gives_back_what_was_written(tmp_path):
    scenario = dataclasses.replace(
        BASE,
        arms=(*BASE.arms, TrialArm(name='"late"', opens_year=0.25, effects={"a b": {"c": -0.1}})),
        interims=(interim(options={"keep": 1, "futility": {"z": 0.5}, "binding": False}),),
        intercurrent=(IntercurrentEvent(rates={"treated": 0.2}),),
        citation="A tab\tand a \\ stroke; naïve",
    )
    assert read_scenario(write_scenario(scenario, tmp_path / "s.toml")) == scenario


@given(
    share=st.floats(0, 0.99), years=st.floats(0, 20), n=st.integers(2, 10**6),
    slowing=st.floats(-2, 2), to_week=st.floats(1, math.inf),
)  # fmt: skip
def test_every_number_survives_the_file(share, years, n, slowing, to_week):
    scenario = dataclasses.replace(
        BASE,
        dropout=TrialDropout(share=share),
        accrual=Accrual(n_subjects=n, years=years),
        arms=(BASE.arms[0], TrialArm(name="treated", effects={"slowing": slowing})),
        analyses=(dataclasses.replace(BASE.analyses[0], to_week=to_week),),
    )
    content = scenario.to_dict()
    assert scenario_from_dict(content) == scenario
    import tomllib

    assert scenario_from_dict(tomllib.loads(scenario_to_toml(scenario))) == scenario


def test_fingerprint_tells_what_moves_the_numbers():
    assert dataclasses.replace(BASE, name="x", citation="y").fingerprint == BASE.fingerprint
    larger = dataclasses.replace(BASE, accrual=Accrual(n_subjects=302, years=1.0))
    assert larger.fingerprint != BASE.fingerprint
    whole = dataclasses.replace(BASE, accrual=Accrual(n_subjects=300, years=1))
    assert whole.fingerprint == BASE.fingerprint
    assert hash(whole) == hash(BASE)
    assert pickle.loads(pickle.dumps(BASE)) == BASE  # noqa: S301


TOML = scenario_to_toml(BASE)
BAD_FILES = {
    "no TOML": ("[arms", "no valid TOML"),
    "unknown key": (TOML.replace("settings", "setings"), "Did you mean 'settings'"),
    "unknown key of a list": (
        TOML.replace('name = "treated"', 'name = "treated"\nratoi = 2'),
        r"\[\[arms\]\] number 2 in s.toml has no key 'ratoi'. Did you mean 'ratio'",
    ),
    "unknown method": (TOML.replace("random_slope", "randomslope"), "Did you mean 'random_slope'"),
    "text for a number": (
        TOML.replace("slowing = 0.5", 'slowing = "half"'),
        r"\[\[arms\]\] number 2 in s.toml: Effect 'slowing' of arm 'treated' must be a number",
    ),
    "a part's own check": (
        TOML.replace("years = 1", "years = -1"),
        r"\[accrual\] in s.toml: `years` of the accrual must be 0 or more",
    ),
    "parts that contradict": (
        TOML.replace('endpoint = "brain"', 'endpoint = "brian"'),
        "s.toml: `endpoint` of analysis 'slope' names 'brian'",
    ),
    "missing part": (TOML.partition("[decision]")[0], "needs `decision`"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_files_are_refused(case, tmp_path):
    text, message = BAD_FILES[case]
    path = tmp_path / "s.toml"
    path.write_text(text)
    with pytest.raises(SchemaError, match=message):
        read_scenario(path)


def test_all_problems_of_a_file_are_listed(tmp_path):
    path = tmp_path / "s.toml"
    path.write_text(TOML.replace("years = 1", "years = -1").replace('random_slope"', 'slope"'))
    with pytest.raises(SchemaError, match="has 2 problems"):
        read_scenario(path)
