"""Declared checks of the cerebellum section.

Witnesses: generators of which the truth is known: the review preset, and one without any effect,
which must reproduce nothing that has a direction.
"""

from __future__ import annotations

import pytest
import review_checks

from pmsstats.validation.checks.cerebellum import CHECKS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::pmsstats.errors.EvidenceUncheckedWarning"),
]

IDS = tuple(check.finding for check in CHECKS)


@pytest.mark.parametrize("name", IDS)
def test_finding_is_reproduced_on_the_review_preset(name):
    assert review_checks.review_verdicts(IDS, name) == {"reproduced"}


@pytest.mark.parametrize(("name", "claim"), review_checks.directional(CHECKS))
def test_nothing_is_reproduced_without_effects(name, claim):
    assert review_checks.null_verdict(IDS, name, claim) != "reproduced"
