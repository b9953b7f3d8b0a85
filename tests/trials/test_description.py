"""Scenarios in plain words. Witness: sentences written by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest
from toy_trials import toy_scenario, with_interim

from pmsstats.trials import (
    Accrual,
    DecisionRule,
    IntercurrentEvent,
    TrialAnalysis,
    TrialArm,
    TrialDropout,
    TrialEndpoint,
    TrialPopulation,
    TrialSchedule,
    describe_scenario,
    trial_library,
)
from pmsstats.trials.description import METHODS, describe_estimate, describe_ratio
from pmsstats.trials.scenario import AnalysisMethod

TOY = toy_scenario(0.8)


def part(label: str, **changes: object) -> str:
    """Return one sentence of the toy trial, changed."""
    return dict(describe_scenario(replace(TOY, **changes)))[label]


def test_plain_trial_part_by_part():
    assert describe_scenario(TOY) == (
        ("Population", "model toy"),
        ("Arms", "control; dose1 (shift 0.8)"),
        ("Recruitment", "40 subjects all on the first day; randomised 1:1, permuted blocks"),
        ("Visits", "weeks 0, 52"),
        ("Not seen", "nothing"),
        ("Endpoints", "score: score (higher is better)"),
        ("Analyses", "test: change from baseline (t-test) of score"),
        (
            "Success",
            (
                "test, one-sided 2.5 %, tested once, at the end; the end comes when everybody has "
                "reached the last visit or left"
            ),
        ),
    )


SENTENCES = [
    (
        "Population",
        {"population": TrialPopulation(model="event_times", settings={"hazard": 0.2})},
        "times to an event, model event_times (events per year in the reference arm 0.2)",
    ),
    (
        "Population",
        {"population": TrialPopulation(model="ppms_trial", settings={"age": [18, 55]})},
        "model ppms_trial (age 18 to 55)",
    ),
    (
        "Arms",
        {
            "arms": (
                TrialArm(name="control", ratio=2.0),
                TrialArm(name="high", effects={"slowing": 0.4, "onset_years": 0.5}),
                TrialArm(name="late", effects={"slowing": {"neurodegeneration": 0.3}}),
            )
        },
        ("control (ratio 2); high (slows change by 40 %, effect begins after 0.5 years); "
        "late (slowing neurodegeneration 0.3)"),
    ),
    (
        "Recruitment",
        {"accrual": Accrual(n_subjects=1200, years=1.0, pattern="poisson", allocation="simple")},
        "1,200 subjects over 1 year, at random times; randomised 1:1, simple randomisation",
    ),
    (
        "Recruitment",
        {"accrual": Accrual(n_subjects=90, years=2.0, pattern="ramp", ramp_years=0.5)},
        ("90 subjects over 2 years, with a rise over the first 0.5 years; randomised 1:1, permuted "
        "blocks"),
    ),
    (
        "Visits",
        {
            "schedule": TrialSchedule(
                weeks=(0, 12, 24, 36, 48), imaging_weeks=(0, 48), window_days=7.0
            )
        },
        "weeks 0 to 48, every 12 weeks; scans in weeks 0, 48; within 7 days",
    ),
    (
        "Not seen",
        {
            "dropout": TrialDropout(
                share=0.2, mechanism="mnar", missed_visit=0.05, missed_scan=0.1, death_rate=0.01
            )
        },
        ("20 % drop out before the end, more before a worsening that nobody sees; 5 % of visits "
        "are missed; 10 % of scans are missed; 1 % die per year"),
    ),
    (
        "After randomisation",
        {"intercurrent": (IntercurrentEvent(rate=0.1, rates={"dose1": 0.2}, seen_after=0.5),)},
        "discontinuation (10 % per year, 20 % in dose1; the effect stops; 50 % are seen after it)",
    ),
    (
        "Endpoints",
        {"endpoints": (TrialEndpoint(name="score", measure="edss", rule="cdp24"),)},
        "score: time to 24-week confirmed EDSS progression (cdp24 of edss)",
    ),
    (
        "Endpoints",
        {"endpoints": (TrialEndpoint(name="score", measure="score", rule="mine"),)},
        "score: time to mine of score",
    ),
    (
        "Endpoints",
        {"endpoints": (TrialEndpoint(name="score", measure="thalamus_ml"),)},
        "score: thalamus_ml, Thalamic volume in ml (higher is better)",
    ),
    (
        "Endpoints",
        {"endpoints": (TrialEndpoint(name="score", measure="t25fw_s"),)},
        "score: t25fw_s, Timed 25-foot walk in s (lower is better)",
    ),
    (
        "Analyses",
        {"analyses": (TrialAnalysis(name="test", endpoint="score", method="proportion"),)},
        ("test: proportion with progression of score, those who leave before count as long as "
        "they were seen (Kaplan-Meier)"),
    ),
    (
        "Analyses",
        {
            "analyses": (
                TrialAnalysis(
                    name="test", endpoint="score", method="proportion",
                    options={"missing": "excluded"},
                ),
            )
        },
        "test: proportion with progression of score, those who leave before are left out",
    ),
    (
        "Analyses",
        {
            "analyses": (
                TrialAnalysis(
                    name="test", endpoint="score", method="mmrm", from_week=4.0, to_week=52.0,
                    covariates=("age",), subgroup={"edss": (3.0, 6.5)},
                ),
            )
        },
        ("test: difference at the last visit (mixed model for repeated measures) of score, from "
        "week 4 to 52, adjusted for age, only edss 3 to 6.5"),
    ),
    (
        "Success",
        {
            "decision": DecisionRule(
                analysis="test", boundary="ld_pocock", futility={"z": 0.0}, multiplicity="dunnett",
                final="events", final_value=120,
            )
        },
        ("test, one-sided 2.5 %, Pocock-like spending (Lan-DeMets); the end comes after 120 "
        "events; futility: stop below z = 0; Dunnett over the comparisons"),
    ),
    ("Source", {"citation": "A paper, 2020."}, "A paper, 2020."),
]  # fmt: skip


@pytest.mark.parametrize(("label", "changes", "sentence"), SENTENCES)
def test_sentence(label, changes, sentence):
    assert part(label, **changes) == sentence


SEQUENTIAL = replace(
    TOY, decision=DecisionRule(analysis="test", boundary="ld_pocock", futility={"z": 0.0})
)
TIMINGS = [
    ({}, "half: when 50 % have reached the last visit, stop for efficacy or futility, by test"),
    (
        {"week": 52.0},
        "half: when 50 % have reached week 52, stop for efficacy or futility, by test",
    ),
    (
        {"at": "enrolled", "value": 20, "rule": "select_arms", "options": {"threshold": 0.3}},
        (
            "half: when 20 subjects are randomised, drop arms whose one-sided p value is not below "
            "0.3 (their later places go to the arms left), by test"
        ),
    ),
    (
        {"rule": "select_arms", "options": {"keep": 1, "places": "close"}},
        (
            "half: when 50 % have reached the last visit, drop arms, at most 1 going on (their "
            "later places are not filled), by test"
        ),
    ),
    (
        {"at": "information", "value": 0.35, "rule": "sample_size"},
        "half: at 35 % of the final information, re-estimate the number of subjects, by test",
    ),
]


@pytest.mark.parametrize(("changes", "sentence"), TIMINGS)
def test_look(changes, sentence):
    trial = with_interim(SEQUENTIAL, **changes)
    assert dict(describe_scenario(trial))["Interim looks"] == sentence


def test_several_comparisons_without_correction_are_said():
    three = toy_scenario(0.8, 0.4)
    said = dict(describe_scenario(three))["Success"]
    assert said.endswith(
        "; 2 comparisons with the reference, each at one-sided 2.5 %, not corrected for "
        "multiplicity"
    )
    corrected = replace(three, decision=DecisionRule(analysis="test", multiplicity="holm"))
    assert "not corrected" not in dict(describe_scenario(corrected))["Success"]
    assert "not corrected" not in part("Success")


def test_every_method_has_words_for_what_it_does_and_what_it_estimates():
    found = {
        method: describe_estimate(TrialAnalysis(name="a", endpoint="e", method=method))
        for method in METHODS
    }
    assert set(found) == set(get_args(AnalysisMethod))
    assert found["cox"] == "log hazard ratio"
    odds = TrialAnalysis(
        name="a", endpoint="e", method="proportion", options={"effect": "log_odds_ratio"}
    )
    assert describe_estimate(odds) == "log odds ratio"
    assert describe_estimate(replace(odds, options={})) == "difference of proportions"


SCALES = [
    ("random_slope", "thalamus_ml", "difference of slopes (ml per year)"),
    ("random_slope", "edss", "difference of slopes (per year)"),
    ("random_slope", "of my own", "difference of slopes (per year)"),
    ("mmrm", "t25fw_s", "difference of means at the last visit (s)"),
    ("change", "edss", "difference of mean changes"),
    ("counts", "new_t2_count", "log ratio of rates"),
]


@pytest.mark.parametrize(("method", "measure", "words"), SCALES)
def test_estimates_carry_the_unit_of_the_measure(method, measure, words):
    analysis = TrialAnalysis(name="a", endpoint="e", method=method)
    assert describe_estimate(analysis, TrialEndpoint(name="e", measure=measure)) == words


RATIOS = [
    ("cox", {}, "hazard ratio"),
    ("log_rank", {}, "hazard ratio"),
    ("counts", {}, "ratio of rates"),
    ("proportion", {"effect": "log_odds_ratio"}, "odds ratio"),
    ("proportion", {}, ""),
    ("random_slope", {}, ""),
]


@pytest.mark.parametrize(("method", "options", "ratio"), RATIOS)
def test_ratios_of_logarithms_are_named(method, options, ratio):
    analysis = TrialAnalysis(name="a", endpoint="e", method=method, options=options)
    assert describe_ratio(analysis) == ratio


def test_every_published_trial_is_described_without_leftovers():
    library = trial_library()
    assert len(library) >= 11
    for trial in library.values():
        text = " ".join(sentence for _, sentence in describe_scenario(trial.scenario))
        assert "{" not in text
        assert "Mapping" not in text
