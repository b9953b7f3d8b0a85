"""Declared checks of the white matter section.

Witnesses: medians printed by Leary 1999, and generators of which the truth is known: the review
preset, and one without any effect, which must reproduce nothing that has a direction.
"""

from __future__ import annotations

import pytest
import review_checks

from pmsstats.validation.checks.white_matter import CHECKS, LEARY_DIFFERENCE

IDS = tuple(check.finding for check in CHECKS)
ROUNDING = 1e-9  # differences of numbers printed with two decimals
RELIABILITY = ("mtr-reproducible",)


def test_magnitude_of_leary_1999():
    # Medians of the abstract: callosum 39.73 against 40.63, frontal 39.11 against 39.59.
    assert pytest.approx((39.73 - 40.63, 39.11 - 39.59), abs=ROUNDING) == LEARY_DIFFERENCE


@pytest.mark.slow
@pytest.mark.parametrize("name", IDS)
def test_the_review_preset_reproduces(name):
    assert review_checks.review_verdicts(IDS, name) == {"reproduced"}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "claim"), review_checks.directional(CHECKS, RELIABILITY))
def test_nothing_is_reproduced_without_effects(name, claim):
    assert review_checks.null_verdict(IDS, name, claim) != "reproduced"


@pytest.mark.slow
@pytest.mark.parametrize("name", RELIABILITY)
def test_nothing_is_reproducible_in_noise(name):
    assert review_checks.null_verdict(RELIABILITY, name, 0, noise=True) != "reproduced"


@pytest.mark.slow
@pytest.mark.parametrize(("name", "claim"), review_checks.equivalent(CHECKS))
def test_no_absence_is_reproduced_where_everything_has_an_effect(name, claim):
    assert review_checks.loud_verdict(IDS, name, claim) != "reproduced"
