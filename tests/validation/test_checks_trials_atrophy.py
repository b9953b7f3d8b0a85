"""Declared checks of atrophy and cord measures in trials.

Witnesses: generators of which the truth is known: the review preset, one without any effect, which
must reproduce nothing that has a direction, and drugs that do act on the cord.
"""

from __future__ import annotations

import dataclasses

import pytest
import review_checks

from pmsstats.validation import check_evidence
from pmsstats.validation.checks.trials_atrophy import CHECKS
from synthetic import generate_cohort, preset

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::pmsstats.errors.EvidenceUncheckedWarning"),
]

WORKING_DRUG = "simvastatin"  # slows every measure of atrophy in the generator
NO_EFFECT = {
    check.finding: check for check in CHECKS if review_checks.expectations(check) == {"none"}
}
assert NO_EFFECT
IDS = tuple(check.finding for check in CHECKS)


@pytest.mark.parametrize("name", IDS)
def test_finding_is_reproduced_on_the_review_preset(name):
    assert review_checks.review_verdicts(IDS, name) == {"reproduced"}


@pytest.mark.parametrize(("name", "claim"), review_checks.directional(CHECKS))
def test_nothing_is_reproduced_without_effects(name, claim):
    assert review_checks.null_verdict(IDS, name, claim) != "reproduced"


@pytest.mark.parametrize("name", NO_EFFECT)
def test_no_effect_is_not_reproduced_with_a_drug_that_works(name):
    check = NO_EFFECT[name]
    treatments = ("placebo", WORKING_DRUG)
    other = dataclasses.replace(
        check, design=dataclasses.replace(check.design, treatments=treatments)
    )
    table = check_evidence(
        generate_cohort, preset("review"), review_checks.SEED,
        n=review_checks.N_LARGE, checks=(other,),
    ).table()  # fmt: skip
    assert "reproduced" not in review_checks.verdict_of(table, name)
