"""Looks and rules that contradict a scenario are refused before any work."""

from __future__ import annotations

import dataclasses

import pytest
from hand_made_trials import scenario

from pmsstats.errors import DesignError
from pmsstats.trials.designs import enrichment_design, factorial_design
from pmsstats.trials.rules import check_rules
from pmsstats.trials.scenario import (
    Accrual,
    DecisionRule,
    Interim,
    TrialAnalysis,
    TrialArm,
    TrialEndpoint,
    TrialSchedule,
)

THREE = (TrialArm(name="placebo"), TrialArm(name="first"), TrialArm(name="second"))
TIMES = (TrialAnalysis(name="time", endpoint="event", method="log_rank"),)


def look(**changes):
    """Return a look."""
    fields = {"name": "look", "analysis": "image", "rule": "select_arms", "at": "followed"}
    return Interim(**{"value": 0.5, "options": {"keep": 1}} | fields | changes)


LATE = (*THREE[:2], TrialArm(name="late", opens_year=1.0))
WRONG = {
    "a look by a week without a visit": (
        {"interims": (look(week=200),)}, "one of the visits in weeks 0, 26, 52, got 200"
    ),
    "a look at the end": (
        {"interims": (look(),), "accrual": Accrual(n_subjects=90)}, "when the trial ends"
    ),
    "a look after the final year": (
        {
            "interims": (look(),),
            "decision": DecisionRule(analysis="change", final="year", final_value=1.4),
        },
        r"when the trial ends \(1.40 years\)",
    ),
    "more subjects than planned": (
        {
            "interims": (look(at="enrolled", value=95, options={"keep": 1, "n_planned": 80}),),
            "schedule": TrialSchedule(weeks=(0, 4)),
        },
        "waits for 95 subjects, but 80",
    ),
    "events of nobody": (
        {"interims": (look(options={"keep": 1, "events_in": "controls"}),)}, "`events_in`"
    ),
    "an unknown arm": (
        {"interims": (look(options={"keep": 1, "arms": ["frist"]}),)}, "Did you mean 'first'"
    ),
    "more events than subjects": (
        {
            "analyses": TIMES,
            "decision": DecisionRule(analysis="time", final="events", final_value=101),
        },
        "after 101 events, but only 100 subjects",
    ),
    "a share of failures over 1": ({"max_failure_rate": 5.0}, "`max_failure_rate`"),
    "Dunnett with a late arm": (
        {"arms": LATE, "decision": DecisionRule(analysis="change", multiplicity="dunnett")},
        "'late' has concurrent subjects only",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_is_refused(case):
    changes, words = WRONG[case]
    with pytest.raises(DesignError, match=words):
        check_rules(scenario(**{"n": 100, "arms": THREE} | changes))


def test_rules_that_do_not_go_together_are_refused():
    crossed = factorial_design(
        scenario(decision=DecisionRule(analysis="change", multiplicity="bonferroni")),
        factors={"a": {}, "b": {}},
    )
    dunnett = dataclasses.replace(crossed.decision, multiplicity="dunnett")
    with pytest.raises(DesignError, match="factors do not"):
        check_rules(dataclasses.replace(crossed, decision=dunnett))
    again = tuple(
        look(
            name=str(value), analysis="change", rule="sample_size", value=value,
            options={"n_planned": 60},
        )
        for value in (0.4, 0.7)
    )  # fmt: skip
    with pytest.raises(DesignError, match="at one look only"):
        check_rules(scenario(interims=again))
    # Events of the reference arm are no share of the events of all.
    events = look(
        at="events", value=20, analysis="time", rule="group_sequential",
        options={"events_in": "reference"},
    )  # fmt: skip
    rule = DecisionRule(analysis="time", boundary="ld_pocock", final="events", final_value=60)
    with pytest.raises(DesignError, match="Give its `fraction`"):
        check_rules(scenario(analyses=TIMES, decision=rule, interims=(events,)))


def test_an_enrichment_is_alone_in_its_trial():
    base = scenario(n=160, schedule=TrialSchedule(weeks=(0, 4, 8)))
    trial = enrichment_design(base, subgroup={"marker": (1, 1)}, value=50, n_planned=100)
    more = look(name="more", analysis="change", rule="group_sequential", options={})
    with pytest.raises(DesignError, match="cannot be combined"):
        check_rules(dataclasses.replace(trial, interims=(*trial.interims, more)))


SEQUENTIAL = {"rule": "group_sequential", "analysis": "change", "options": {}}
IDLE = {
    "events of a measurement": (
        {"interims": (look(at="events", value=5, **SEQUENTIAL),)},
        "'change' by the method 'change' counts none",
    ),
    "more events at a look than subjects": (
        {
            "analyses": TIMES,
            "decision": DecisionRule(analysis="time", boundary="ld_pocock"),
            "interims": (
                look(
                    at="events", value=101, analysis="time", rule="group_sequential",
                    options={"fraction": 0.5},
                ),
            ),
        },
        "waits for 101 events, but only 100 subjects",
    ),
    "a look that stops for nothing": (
        {"interims": (look(**SEQUENTIAL),)}, "can stop for nothing: .* leave the look out"
    ),
    "a look at another analysis without a bound": (
        {"interims": (look(rule="group_sequential", options={}),)}, "below `futility_z`"
    ),
    "a boundary without a look": (
        {"decision": DecisionRule(analysis="change", boundary="ld_pocock")},
        "`boundary` of the decision belongs to looks",
    ),
    "futility without a look": (
        {"decision": DecisionRule(analysis="change", futility={"z": 0.0})},
        "`futility` of the decision belongs to looks",
    ),
    "a boundary with looks that only drop arms": (
        {
            "decision": DecisionRule(analysis="change", boundary="ld_pocock"),
            "interims": (look(),),
        },
        "belongs to looks",
    ),
    "a number that must stay": (
        {
            "arms": THREE[:2],
            "interims": (look(analysis="change", rule="sample_size", options={}),),
        },
        "must stay 100: give `n_planned`",
    ),
    "a blinded number that must stay": (
        {
            "arms": THREE[:2],
            "interims": (
                look(
                    analysis="change", rule="sample_size",
                    options={"blinded": True, "effect": 0.5, "n_planned": 60, "n_max": 60},
                ),
            ),
        },
        "must stay 60",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", IDLE)
def test_rules_that_can_do_nothing_are_refused(case):
    changes, words = IDLE[case]
    with pytest.raises(DesignError, match=words):
        check_rules(scenario(**{"n": 100, "arms": THREE} | changes))


@pytest.mark.parametrize(
    "options",
    [
        {"n_planned": 60},
        {"n_planned": 60, "n_max": 80},
        {"blinded": True, "effect": 0.5, "n_min": 50},
    ],
)
def test_numbers_that_can_change_are_not_refused(options):
    again = look(analysis="change", rule="sample_size", options=options)
    check_rules(scenario(n=100, arms=THREE[:2], interims=(again,)))


@pytest.mark.parametrize(
    ("decision", "options"),
    [
        (DecisionRule(analysis="change", futility={"z": 0.0}), {}),
        (DecisionRule(analysis="change", boundary="pocock"), {}),
    ],
)
def test_looks_that_can_stop_for_one_thing_are_not_refused(decision, options):
    once = look(**SEQUENTIAL | {"options": options})
    check_rules(scenario(n=100, decision=decision, arms=THREE[:2], interims=(once,)))


def test_information_that_the_plan_cannot_tell_is_said_with_its_look():
    slopes = (TrialAnalysis(name="slope", endpoint="y", method="random_slope"),)
    trial = scenario(
        n=100, analyses=slopes, decision=DecisionRule(analysis="slope", boundary="ld_pocock"),
        interims=(look(analysis="slope", rule="group_sequential", at="information", options={}),),
    )  # fmt: skip
    with pytest.raises(DesignError, match=r"Interim 'look' waits for information.*`slope_sd`"):
        check_rules(trial)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"boundary": "obf"}, "`boundary` must be one of 'none', 'obrien_fleming'"),
        ({"boundary": "wang_tsiatis"}, "needs its `boundary_parameter`"),
        ({"boundary": "pocock", "boundary_parameter": 0.2}, "has no parameter"),
        ({"final_value": 3}, "`final_value` goes with"),
        ({"final": "events", "final_value": 30.5}, "whole number of events"),
    ],
)
def test_decisions_that_contradict_themselves_are_refused(changes, words):
    with pytest.raises(DesignError, match=words):
        DecisionRule(analysis="change", **changes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"at": "enrolled", "value": 0.5}, "counts subjects who have entered: .* whole number"),
        ({"at": "events", "value": 7.5}, "counts events: it must be a whole number"),
        ({"at": "followed", "value": 150}, "`value` is a share below 1"),
    ],
)
def test_what_a_look_counts_is_said(changes, words):
    with pytest.raises(DesignError, match=words):
        look(**changes)


@pytest.mark.parametrize("n", [60.5, 1, True, "60"])
def test_number_of_subjects_is_a_whole_one(n):
    with pytest.raises(DesignError, match="whole number of 2 or more"):
        Accrual(n_subjects=n)


@pytest.mark.parametrize(
    ("measure", "benefit"), [("edss", "lower"), ("brain_ml", "higher"), ("my_score", "higher")]
)
def test_direction_of_benefit_is_that_of_the_data_dictionary(measure, benefit):
    assert TrialEndpoint(name="x", measure=measure).benefit == benefit


def test_direction_that_contradicts_the_data_dictionary_is_refused():
    assert TrialEndpoint(name="x", measure="edss", better="lower").benefit == "lower"
    assert TrialEndpoint(name="x", measure="my_score", better="lower").benefit == "lower"
    with pytest.raises(DesignError, match="lower values of 'edss' are better"):
        TrialEndpoint(name="x", measure="edss", better="higher")
