"""Declared checks of the deep grey matter section.

Witnesses: generators of which the truth is known. The review preset under both readings of the
literature on the thalamus; one without any effect, which must reproduce nothing that has a
direction; ones that measure without error, and with more.
"""

from __future__ import annotations

import dataclasses

import pytest
import review_checks

from pmsstats.validation import check_evidence
from pmsstats.validation.checks.deep_grey import CHECKS
from synthetic import generate_cohort, preset

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::pmsstats.errors.EvidenceUncheckedWarning"),
]

IDS = tuple(check.finding for check in CHECKS)
SAME = "thalamus-atrophy-rate-equal-across-subtypes"
FASTER = "dgm-atrophy-rate-higher-pms-than-cis-hc"
SIZE = "thalamus-sample-size-24m"
DISCORDANT = "dgm-longitudinal-results-inconsistent"


def with_error(times):
    """The review preset with so many times the error of every measure."""
    base = preset("review")
    models = tuple(
        dataclasses.replace(model, error_sd=times * model.error_sd) for model in base.imaging
    )
    return dataclasses.replace(base, imaging=models)


def verdicts(config, *findings):
    """Verdict of each finding on a generator."""
    result = check_evidence(
        generate_cohort, config, review_checks.SEED, n=review_checks.N_LARGE, findings=findings
    )
    reproduced = result.table().groupby("finding")["verdict"].agg(set)
    return {name: reproduced[name] == {"reproduced"} for name in findings}


@pytest.mark.parametrize("name", [name for name in IDS if name != SAME])
def test_finding_is_reproduced_on_the_review_preset(name):
    assert review_checks.review_verdicts(IDS, name) == {"reproduced"}


def test_equal_rates_are_contradicted_by_design():
    # The generator follows the study that found progressive disease faster: 0.71 % a year in RRMS,
    # 1.1 % in SPMS.
    assert "contradicted" in review_checks.review_verdicts(IDS, SAME)


@pytest.mark.parametrize(
    ("reading", "expected"),
    [("by_phenotype", {SAME: False, FASTER: True}), ("common", {SAME: True, FASTER: False})],
)
def test_exactly_one_study_of_the_thalamus_holds(reading, expected):
    config = dataclasses.replace(preset("review"), literature=(("thalamus_rate", reading),))
    assert verdicts(config, SAME, FASTER) == expected


@pytest.mark.parametrize(("name", "claim"), review_checks.directional(CHECKS, (DISCORDANT,)))
def test_nothing_is_reproduced_without_effects(name, claim):
    assert review_checks.null_verdict(IDS, name, claim) != "reproduced"


def test_results_agree_where_nothing_errs():
    assert verdicts(with_error(0.0), DISCORDANT) == {DISCORDANT: False}


def test_a_hundred_per_arm_are_not_enough_with_three_times_the_error():
    # Witness: error SD 3 x 0.14 ml in 14.4 ml at three yearly scans moves the slope by 2.1 %.
    assert verdicts(with_error(3.0), SIZE) == {SIZE: False}
