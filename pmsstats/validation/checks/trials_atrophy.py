"""Checks of the findings on atrophy and cord measures in trials."""

from __future__ import annotations

from pmsstats.validation.analyses import SampleSizeRatio, TreatmentEffect
from pmsstats.validation.check import Check
from pmsstats.validation.checks.claims import higher, lower, no_effect
from pmsstats.validation.checks.published import printed_interval
from pmsstats.validation.design import StudyDesign

__all__ = ["CHECKS"]

AREA = "cord_area_c2c3_mm2"
"""The upper cervical area, which the cited trials measured."""

SMALL_CORD_EFFECT = 0.3
"""Percent a year. A fifth of the 1.6 % a year of SPMS: less than a trial is planned to see."""

FEW_LESIONS = 0.1
"""Lesions in two years. Two thirds of the growth on placebo: a drug that stops it exceeds it."""

CHECKS: tuple[Check, ...] = (
    Check(
        finding="ifnb1b-no-effect-cord-area-ppms",
        claims=(no_effect(TreatmentEffect(measure=AREA, groups=("PPMS",)), SMALL_CORD_EFFECT),),
        design=StudyDesign(
            groups=(("PPMS", 70),),
            years=(0.0, 1.0, 2.0),
            treatments=("placebo", "interferon_beta_1b"),
            source=(
                "70 in the review, 73 randomised and 24 months in the abstract: Montalban 2009, "
                "Mult Scler 15:1195; yearly scans assumed"
            ),
        ),
    ),
    Check(
        finding="ifnb1a-no-effect-cord-ppms",
        claims=(
            no_effect(TreatmentEffect(measure=AREA, groups=("PPMS",)), SMALL_CORD_EFFECT),
            no_effect(
                TreatmentEffect(
                    measure="cord_lesion_count", groups=("PPMS",), kind="change", percent=False
                ),
                FEW_LESIONS,
            ),
        ),
        design=StudyDesign(
            groups=(("PPMS", 50),),
            years=(0.0, 1.0, 2.0),
            treatments=("placebo", "interferon_beta_1a"),
            source=(
                "50 patients and 24 months of the abstract: Leary 2003, Neurology 60:44, two "
                "doses against placebo; one treated arm of half of them and yearly scans assumed"
            ),
        ),
    ),
    Check(
        finding="lamotrigine-no-effect-cord-area-spms",
        claims=(no_effect(TreatmentEffect(measure=AREA, groups=("SPMS",)), SMALL_CORD_EFFECT),),
        design=StudyDesign(
            groups=(("SPMS", 108),),
            years=(0.0, 1.0, 2.0),
            treatments=("placebo", "lamotrigine"),
            source=(
                "52 and 56 analysed over 24 months: Kapoor 2010, Lancet Neurol 9:681; yearly "
                "scans assumed"
            ),
        ),
    ),
    Check(
        finding="registration-more-sensitive-than-segmentation",
        claims=(
            lower(
                SampleSizeRatio(first="pbvc_pct", second="brain_ml", groups=("SPMS",)),
                record="altmann2009_pbvc_n_per_arm_spms",
                tested=False,
            ),
        ),
        design=StudyDesign(
            groups=(("SPMS", 43),),
            years=(0.0, 2.0),
            source="n and 24 months of the abstract: Altmann 2009, Neurology 72:595",
        ),
        note="Published: 32 per arm by registration, 273 by segmentation; no interval is printed.",
    ),
    Check(
        finding="atrophy-primary-outcome-good-effect-size",
        claims=(
            higher(
                TreatmentEffect(measure="pbvc_pct", groups=("SPMS",), percent=False),
                published=printed_interval("chataway2014_brain_arm_difference_spms"),
                record="chataway2014_brain_arm_difference_spms",
            ),
            higher(TreatmentEffect(measure="gm_ml", groups=("SPMS",))),
        ),
        design=StudyDesign(
            groups=(("SPMS", 140),),
            years=(0.0, 1.0, 2.0),
            treatments=("placebo", "simvastatin"),
            source="140 randomised for 24 months: Chataway 2014, Lancet 383:2213; scans assumed",
        ),
        note=(
            "Of the four cited trials the one whose arms differed in the review's sense and "
            "whose interval is printed; the lamotrigine trial among them found no benefit."
        ),
    ),
)
"""One for each simulable finding on atrophy and cord measures in trials."""
