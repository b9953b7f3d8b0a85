"""Declared checks of the outlook.

Witnesses: generators of which the truth is known. The review preset; one without any effect, which
must reproduce nothing that has a direction; one where disability worsens fast; a drug that leaves
lesions alone.
"""

from __future__ import annotations

import dataclasses

import pytest
import review_checks

from pmsstats.validation import check_evidence
from pmsstats.validation.checks.outlook import CHECKS
from synthetic import generate_cohort, preset
from synthetic.values import PerPhenotype

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::pmsstats.errors.EvidenceUncheckedWarning"),
]

IDS = tuple(check.finding for check in CHECKS)
INSENSITIVE = "clinical-outcomes-insensitive-small-short"
ACTIVE = "inflammatory-mri-useful-active-pms"
FAST = 30.0  # times as many steps: nearly everybody worsens within the year
NO_EFFECT_ON_LESIONS = "lamotrigine"


def verdicts(checks, config):
    """Verdicts of the claims of some checks on a generator."""
    result = check_evidence(
        generate_cohort, config, review_checks.SEED, n=review_checks.N_NULL, checks=checks
    )
    return result.table()["verdict"].tolist()


@pytest.mark.parametrize("name", IDS)
def test_finding_is_reproduced_on_the_review_preset(name):
    assert review_checks.review_verdicts(IDS, name) == {"reproduced"}


@pytest.mark.parametrize(
    ("name", "claim"), review_checks.directional(CHECKS, (INSENSITIVE, ACTIVE))
)
def test_nothing_is_reproduced_without_effects(name, claim):
    assert review_checks.null_verdict(IDS, name, claim) != "reproduced"


def test_clinical_outcomes_are_sensitive_where_nearly_everybody_worsens():
    base = preset("review")
    rate = base.disability.worsening_rate
    disability = dataclasses.replace(
        base.disability, worsening_rate=PerPhenotype(**{k: FAST * rate[k] for k in rate})
    )
    checks = tuple(check for check in CHECKS if check.finding == INSENSITIVE)
    config = dataclasses.replace(base, disability=disability)
    assert "reproduced" not in verdicts(checks, config)


def test_lesion_counts_show_no_drug_that_leaves_lesions_alone():
    check = next(check for check in CHECKS if check.finding == ACTIVE)
    treatments = ("placebo", NO_EFFECT_ON_LESIONS)
    other = dataclasses.replace(
        check, design=dataclasses.replace(check.design, treatments=treatments)
    )
    assert "reproduced" not in verdicts((other,), preset("review"))
