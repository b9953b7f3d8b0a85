"""Checks of the findings on deep grey matter: iron, volumes."""

from __future__ import annotations

import math

from pmsstats.validation.analyses import (
    Correlation,
    Difference,
    Prediction,
    RateDifference,
    Reliability,
    SampleSize,
)
from pmsstats.validation.check import Check
from pmsstats.validation.checks.claims import PROGRESSIVE, higher, lower, no_effect
from pmsstats.validation.checks.published import difference_interval
from pmsstats.validation.design import StudyDesign

__all__ = ["CHECKS"]

SAME_THALAMIC_LOSS = 0.14
"""Percent a year. A fifth of the 0.71 % of the study that found the subtypes the same."""

TRIAL_SIZE = 1.5
"""Factor. The number follows the inverse square of an effect, 0.43 % a year, known to 36 %."""

YEARLY_LOSS = 0.71
"""Percent. What the thalamus loses in a year in relapse-onset disease (Azevedo 2018)."""

ROPELE_2014 = StudyDesign(
    groups=(("RRMS", 65), ("SPMS", 22), ("PPMS", 10), ("HC", 81)),
    source=(
        "97 patients and 81 controls in the abstract: Ropele 2014, Mult Scler 20:1692; the split "
        "over the phenotypes assumed"
    ),
)
SCHWESER_2018 = StudyDesign(
    groups=(("RRMS", 40), ("SPMS", 40), ("HC", 80)),
    source="n of the abstract: Schweser 2018, NeuroImage 167:438",
)
AZEVEDO_2018 = StudyDesign(
    groups=(("CIS", 90), ("RRMS", 392), ("SPMS", 38), ("HC", 81)),
    years=(0.0, 1.0, 2.0, 3.0, 4.1),
    source="n and 4.1 years of the abstract: Azevedo 2018, Ann Neurol 83:223; visits assumed",
)
ESHAGHI_2018 = StudyDesign(
    groups=(("CIS", 253), ("RRMS", 708), ("SPMS", 128), ("PPMS", 125), ("HC", 203)),
    years=(0.0, 1.2, 2.4),
    source=(
        "n and 2.4 years in the abstract of the sister paper on the same cohort (Eshaghi 2018, "
        "Brain 141:1665); three scans assumed"
    ),
)

IRON = (
    Check(
        finding="dgm-r2star-up-ms-driven-by-rrms",
        claims=(
            higher(
                Difference(
                    measure="dgm_r2star_per_s", groups=("RRMS", "SPMS", "PPMS"), versus=("HC",)
                )
            ),
            higher(Difference(measure="dgm_r2star_per_s", groups=("RRMS",), versus=("HC",))),
        ),
        design=ROPELE_2014,
        note=(
            "Mainly because of RRMS is read as: RRMS alone differ too. That R2* rises most in "
            "RRMS is not claimed: the abstract of the cited study says the progressive stage."
        ),
    ),
    Check(
        finding="putamen-iron-correlates-edss-ppms",
        claims=(
            higher(
                Correlation(first="putamen_susceptibility_ppb", second="edss", groups=("PPMS",))
            ),
        ),
        design=StudyDesign(
            groups=(("PPMS", 24),),
            source="not found: assumed, the n of a later study by the method (PMC7960078)",
        ),
    ),
    Check(
        finding="dgm-iron-accumulates-across-stages",
        claims=tuple(
            higher(Difference(measure="dgm_susceptibility_ppb", groups=(later,), versus=(earlier,)))
            for earlier, later in (("CIS", "RRMS"), ("RRMS", "SPMS"))
        ),
        design=StudyDesign(
            groups=(("CIS", 30), ("RRMS", 60), ("SPMS", 30)), source="not found: assumed"
        ),
    ),
    Check(
        finding="thalamic-iron-reduced-rrms-spms",
        claims=tuple(
            lower(
                Difference(
                    measure="thalamus_susceptibility_ppb", groups=(phenotype,), versus=("HC",)
                )
            )
            for phenotype in ("RRMS", "SPMS")
        ),
        design=SCHWESER_2018,
    ),
    Check(
        finding="thalamic-iron-falls-with-duration",
        claims=(
            lower(
                Correlation(
                    first="thalamus_susceptibility_ppb",
                    second="duration",
                    groups=("RRMS", "SPMS"),
                )
            ),
        ),
        design=SCHWESER_2018,
    ),
)

THALAMUS = (
    Check(
        finding="thalamus-atrophy-early-ppms",
        claims=(lower(Difference(measure="thalamus_ml", groups=("PPMS",), versus=("HC",))),),
        design=StudyDesign(
            groups=(("PPMS", 40), ("HC", 20)),
            duration=(0.0, 5.0),
            source="not found: assumed; within five years of onset",
        ),
    ),
    Check(
        finding="thalamus-volume-correlates-cortical-lesions-ppms",
        claims=(
            lower(
                Correlation(first="thalamus_ml", second="cortical_lesion_count", groups=("PPMS",))
            ),
        ),
        design=StudyDesign(
            groups=(("PPMS", 26),), source="n of the abstract: Ruggieri 2015, JAMA Neurol 72:1466"
        ),
        note="Cortical lesions of the frontal lobe alone are not in the tables.",
    ),
    Check(
        finding="thalamus-atrophy-faster-ppms-15m",
        claims=(lower(RateDifference(measure="thalamus_ml", groups=("PPMS",), versus=("HC",))),),
        design=StudyDesign(
            groups=(("PPMS", 54), ("HC", 8)),
            years=(0.0, 1.25),
            source="n and 15 months of the abstract: Mesaros 2011, AJNR 32:1016",
        ),
    ),
    Check(
        finding="thalamus-atrophy-faster-ms-than-hc",
        claims=(
            lower(
                RateDifference(
                    measure="thalamus_ml", groups=("CIS", "RRMS", "SPMS"), versus=("HC",)
                ),
                published=difference_interval(
                    "azevedo2018_thalamus_rate_ms", "azevedo2018_thalamus_rate_hc"
                ),
                record="azevedo2018_thalamus_rate_ms",
            ),
        ),
        design=AZEVEDO_2018,
    ),
    Check(
        finding="thalamus-atrophy-rate-equal-across-subtypes",
        claims=tuple(
            no_effect(
                RateDifference(measure="thalamus_ml", groups=(later,), versus=(earlier,)),
                SAME_THALAMIC_LOSS,
            )
            for earlier, later in (("CIS", "RRMS"), ("RRMS", "SPMS"), ("CIS", "SPMS"))
        ),
        design=AZEVEDO_2018,
        note=(
            "Contradicts dgm-atrophy-rate-higher-pms-than-cis-hc: the generator follows one of "
            "the two (switch thalamus_rate), and the other is then not reproduced."
        ),
    ),
    Check(
        finding="thalamus-sample-size-24m",
        claims=(
            no_effect(
                SampleSize(
                    measure="thalamus_ml",
                    groups=("CIS", "RRMS", "SPMS"),
                    effect=1.0,
                    power=0.8,
                    versus_hc=True,
                    against=90,
                ),
                math.log(TRIAL_SIZE),
                record="azevedo2018_thalamus_n_per_arm_alpha05_ms",
                label="numbers per arm to slow to the loss of controls, against 80 to 100",
                tested=False,
            ),
        ),
        design=StudyDesign(
            groups=AZEVEDO_2018.groups,
            years=(0.0, 1.0, 2.0),
            source="24 months and the maximal effect in the abstract: Azevedo 2018; visits assumed",
        ),
        note="Published are 80 (alpha 0.10) and 100 (alpha 0.05) per arm.",
    ),
)

DEEP_GREY = (
    Check(
        finding="dgm-atrophy-rate-higher-pms-than-cis-hc",
        claims=tuple(
            lower(RateDifference(measure=measure, groups=(progressive,), versus=(other,)))
            for measure in ("dgm_ml", "thalamus_ml")
            for progressive in PROGRESSIVE
            for other in ("CIS", "HC")
        ),
        design=ESHAGHI_2018,
        note=(
            "Contradicts thalamus-atrophy-rate-equal-across-subtypes: the generator follows one "
            "of the two (switch thalamus_rate), and the other is then not reproduced. The "
            "thalamus, the largest part, is claimed too: it is what the two studies share."
        ),
    ),
    Check(
        finding="thalamus-baseline-predicts-progression",
        claims=(
            higher(
                Prediction(
                    measure="dgm_ml",
                    outcome="cdp12",
                    groups=("CIS", "RRMS", "SPMS", "PPMS"),
                    horizon=2.4,
                )
            ),
        ),
        design=ESHAGHI_2018,
        note="The review says thalamus; the predictor of the cited study is deep grey matter.",
    ),
    Check(
        finding="dgm-longitudinal-results-inconsistent",
        claims=(
            higher(
                Reliability(
                    measure="thalamus_ml",
                    groups=("CIS", "RRMS", "SPMS", "PPMS"),
                    kind="cv",
                    against=YEARLY_LOSS,
                ),
                label="error of a thalamic volume, over the loss of a year",
            ),
        ),
        design=StudyDesign(
            groups=(("CIS", 10), ("RRMS", 10), ("SPMS", 10), ("PPMS", 10)),
            years=(0.0, 0.02),
            source="the review names no study's n: assumed; a week between scans",
        ),
        note=(
            "A stand-in: software and sequence are not in the tables. If one scan errs by more "
            "than a year's loss, results of one or two years hang on how they are obtained."
        ),
    ),
)

CHECKS: tuple[Check, ...] = IRON + THALAMUS + DEEP_GREY
"""One for each simulable finding on deep grey matter."""
