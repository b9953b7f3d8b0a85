"""What the checks claim, held to the registry; margins, held to the reasons given for them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from pmsstats.evidence import finding
from pmsstats.validation.checks import CHECKS
from pmsstats.validation.checks.claims import SMALL_CORRELATION, SMALL_DIFFERENCE
from pmsstats.validation.checks.margins import (
    STABLE_FOCI_PER_YEAR,
    STABLE_PREVALENCE_PER_YEAR,
    WEAK_CORRELATION,
)

SIGNS = {
    "lower": "lower",
    "higher": "higher",
    "positive_corr": "higher",
    "negative_corr": "lower",
    "predicts_worse": "higher",
    "no_difference": "none",
}
TURNED = {
    "cortical-tspo-relates-thinning-and-disability": "thinning comes first: thinner where more",
    "cortical-atrophy-correlates-cognition": "more volume, better cognition",
    "cord-csa-highest-annual-rate-spms": "size of the loss, not its sign",
    "mcp-dti-correlates-limb-disability-ppms": "radial diffusivity comes first, which rises",
    "inflammatory-mri-useful-active-pms": "useful because a drug lowers it",
}
DIRECTED = [name for name in CHECKS if finding(name).direction in SIGNS]
ROUNDING = 0.02  # the reasons give powers in words: one in six, one in four


@pytest.mark.parametrize("name", [name for name in DIRECTED if name not in TURNED])
def test_the_first_claim_has_the_direction_of_the_registry(name):
    assert CHECKS[name].claims[0].expect == SIGNS[finding(name).direction]


@pytest.mark.parametrize("name", TURNED)
def test_claims_that_turn_the_direction_do_so(name):
    assert CHECKS[name].claims[0].expect != SIGNS[finding(name).direction]


def test_most_findings_have_a_direction():
    assert len(DIRECTED) > 100


def test_a_small_difference_is_seen_by_two_groups_of_50_in_one_study_of_six():
    df, shift = 98, SMALL_DIFFERENCE / math.sqrt(2 / 50)
    critical = stats.t.ppf(0.975, df)
    power = stats.nct.sf(critical, df, shift) + stats.nct.cdf(-critical, df, shift)
    assert abs(power - 1 / 6) < ROUNDING


def test_a_small_correlation_is_seen_with_40_patients_in_one_study_of_four():
    shift = math.atanh(SMALL_CORRELATION) * math.sqrt(40 - 3)
    power = stats.norm.sf(1.96 - shift) + stats.norm.cdf(-1.96 - shift)
    assert abs(power - 1 / 4) < ROUNDING


def test_a_small_correlation_shares_4_percent_and_a_weak_one_9_percent_of_the_variance():
    assert np.square([SMALL_CORRELATION, WEAK_CORRELATION]) == pytest.approx([0.04, 0.09])


def test_what_is_called_stable_over_the_longest_follow_up_could_not_be_told_apart():
    longest = 5.5  # years, Absinta 2015
    assert 100 * STABLE_PREVALENCE_PER_YEAR * longest < 33 - 19  # points between the phenotypes
    assert STABLE_FOCI_PER_YEAR * longest < 1 / 3
