"""Declared checks of the cortex section.

Witnesses: statsmodels and scipy on the numbers printed by Absinta 2015 and Nielsen 2013, and
generators of which the truth is known: the review preset, one without any effect, which must
reproduce nothing that has a direction, and one with effects everywhere, which must reproduce no
absence.
"""

from __future__ import annotations

import numpy as np
import pytest
import review_checks
from scipy import stats
from statsmodels.stats.proportion import confint_proportions_2indep

from pmsstats.validation.checks.cortex import (
    ABSINTA_DIFFERENCE,
    CHECKS,
    NIELSEN_CORRELATION,
)

IDS = tuple(check.finding for check in CHECKS)
SHARES_ROUNDED = 0.5  # percentage points: shares are printed without decimals
TWO_DECIMALS = 0.005
RELIABILITY = ("dti-sensitive-and-reproducible-across-centres",)


def test_interval_of_absinta_2015():
    expected = confint_proportions_2indep(39, 118, 35, 181, method="wald")
    assert pytest.approx(100 * np.array(expected), abs=SHARES_ROUNDED) == ABSINTA_DIFFERENCE


def test_interval_of_nielsen_2013():
    # Fieller, Hartley and Pearson 1957: variance of Fisher's z of ranks 1.06 / (n - 3).
    z = stats.norm.interval(0.95, loc=np.arctanh(0.670), scale=np.sqrt(1.06 / 24))
    assert pytest.approx(np.tanh(z), abs=TWO_DECIMALS) == NIELSEN_CORRELATION


@pytest.mark.slow
@pytest.mark.parametrize("name", IDS)
def test_the_review_preset_reproduces(name):
    assert review_checks.review_verdicts(IDS, name) == {"reproduced"}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "claim"), review_checks.directional(CHECKS, RELIABILITY))
def test_nothing_is_reproduced_without_effects(name, claim):
    assert review_checks.null_verdict(IDS, name, claim) != "reproduced"


@pytest.mark.slow
@pytest.mark.parametrize("claim", [0, 1, 2])
def test_nothing_is_reproducible_in_noise(claim):
    name = RELIABILITY[0]
    assert review_checks.null_verdict(RELIABILITY, name, claim, noise=True) != "reproduced"


@pytest.mark.slow
@pytest.mark.parametrize(("name", "claim"), review_checks.equivalent(CHECKS))
def test_no_absence_is_reproduced_where_everything_has_an_effect(name, claim):
    assert review_checks.loud_verdict(IDS, name, claim) != "reproduced"
