"""Declared checks of trials that measured tissue.

Witnesses: the changes printed by Inglese 2003, and generators of which the truth is known: the
review preset, and one without any effect, which must reproduce nothing that has a direction.
"""

from __future__ import annotations

import pytest
import review_checks

from pmsstats.validation.checks.trials_tissue import CHECKS, INGLESE_FALL_PER_YEAR

IDS = tuple(check.finding for check in CHECKS)
ROUNDING = 1e-9  # quotients of numbers printed with one decimal


def test_magnitude_of_inglese_2003():
    # Abstract: -4.9 % at month 24, -4.3 % at month 36.
    assert pytest.approx((-2.45, -4.3 / 3), abs=ROUNDING) == INGLESE_FALL_PER_YEAR


@pytest.mark.slow
@pytest.mark.parametrize("name", IDS)
def test_the_review_preset_reproduces(name):
    assert review_checks.review_verdicts(IDS, name) == {"reproduced"}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "claim"), review_checks.directional(CHECKS))
def test_nothing_is_reproduced_without_effects(name, claim):
    assert review_checks.null_verdict(IDS, name, claim) != "reproduced"


@pytest.mark.slow
@pytest.mark.parametrize(("name", "claim"), review_checks.equivalent(CHECKS))
def test_no_absence_is_reproduced_where_everything_has_an_effect(name, claim):
    assert review_checks.loud_verdict(IDS, name, claim) != "reproduced"
