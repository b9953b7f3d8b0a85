"""Checks on the fake generator, one of each verdict."""

from __future__ import annotations

import pytest

from pmsstats.validation import Check, Claim, StudyDesign
from pmsstats.validation.analyses import Difference, Rate, RateDifference, TreatmentEffect

TWO_GROUPS = StudyDesign(groups=(("PPMS", 26), ("HC", 20)), years=(0.0, 1.0))
TRIAL = StudyDesign(groups=(("PPMS", 40),), years=(0.0, 1.0), treatments=("placebo", "active"))


def difference(measure="thalamus_ml", **fields):
    """Compare PPMS with controls."""
    return Difference(measure=measure, groups=("PPMS",), versus=("HC",), **fields)


@pytest.fixture(scope="session")
def checks():
    """One check per kind of verdict."""
    return (
        Check(
            finding="thalamus-atrophy-early-ppms",
            claims=(Claim(analysis=difference(), expect="lower"),),
            design=TWO_GROUPS,
        ),
        Check(
            finding="contradicted",
            claims=(
                Claim(analysis=difference(), expect="higher"),
                Claim(analysis=difference(), expect="lower"),
            ),
            design=TWO_GROUPS,
        ),
        Check(
            finding="no-difference",
            claims=(Claim(analysis=difference("brain_ml"), expect="none", margin=0.2),),
            design=TWO_GROUPS,
        ),
        Check(
            finding="not-offered",
            claims=(Claim(analysis=Rate(measure="nawm_mtr_pu", groups=("PPMS",)), expect="lower"),),
            design=TWO_GROUPS,
        ),
        Check(
            finding="rate-of-published-size",
            claims=(
                Claim(
                    analysis=RateDifference(
                        measure="thalamus_ml", groups=("PPMS",), versus=("HC",), percent=False
                    ),
                    expect="lower",
                    published=(-0.25, -0.15),
                ),
            ),
            design=TWO_GROUPS,
        ),
        Check(
            finding="trial",
            claims=(
                Claim(
                    analysis=TreatmentEffect(measure="thalamus_ml", groups=("PPMS",)),
                    expect="higher",
                ),
            ),
            design=TRIAL,
        ),
    )
