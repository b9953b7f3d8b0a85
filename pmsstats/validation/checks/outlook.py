"""Checks of the findings in the review's outlook."""

from __future__ import annotations

from pmsstats.validation.analyses import (
    Difference,
    OutcomeSensitivity,
    Responsiveness,
    TreatmentEffect,
)
from pmsstats.validation.check import Check
from pmsstats.validation.checks.claims import PROGRESSIVE, higher, lower
from pmsstats.validation.design import StudyDesign

__all__ = ["CHECKS"]

HALF = 0.5
"""Hazard ratio. With 50 per arm 65 of 100 must worsen to be found with 80 %: possible, if many."""

TYPICAL = (("SPMS", 50), ("PPMS", 50))
"""A phase 2 trial of progressive disease."""

CHECKS: tuple[Check, ...] = (
    Check(
        finding="regional-volumes-more-sensitive-than-whole-brain",
        claims=tuple(
            higher(
                Responsiveness(first=region, second="brain_ml", groups=PROGRESSIVE), tested=False
            )
            for region in ("dgm_ml", "cerebellum_ml")
        ),
        design=StudyDesign(
            groups=TYPICAL,
            years=(0.0, 2.0),
            source="a statement of the review without a study: assumed",
        ),
        note=(
            "All by segmentation: the volume of the whole brain by registration is more sensitive "
            "than by segmentation, and would compare methods, not regions."
        ),
    ),
    Check(
        finding="clinical-outcomes-insensitive-small-short",
        claims=tuple(
            lower(
                OutcomeSensitivity(
                    outcome=outcome, groups=PROGRESSIVE, hazard_ratio=HALF, n_per_arm=50, power=0.8
                )
            )
            for outcome in ("cdp12", "ccdp12")
        ),
        design=StudyDesign(
            groups=TYPICAL,
            years=(0.0, 1.0),
            source="a statement of the review without a study: assumed",
        ),
        note=(
            "Insensitive is read as: 50 per arm over a year have less than 80 % power to find a "
            "hazard halved, which cord area is said to allow with 57."
        ),
    ),
    Check(
        finding="inflammatory-mri-insensitive-pms",
        claims=(
            lower(Difference(measure="gd_lesion_count", groups=PROGRESSIVE, versus=("RRMS",))),
            lower(Difference(measure="new_t2_count", groups=PROGRESSIVE, versus=("RRMS",), at=1.0)),
        ),
        design=StudyDesign(
            groups=(("RRMS", 50), *TYPICAL),
            years=(0.0, 1.0),
            source="a statement of the review without a study: assumed",
        ),
        note=(
            "Insensitive is read as: there is less to see. That the counts follow drugs in RRMS "
            "is not claimed a second time."
        ),
    ),
    Check(
        finding="inflammatory-mri-useful-active-pms",
        claims=(
            lower(
                TreatmentEffect(measure="new_t2_count", groups=("PPMS",), kind="count"),
                label="new T2 lesions in PPMS under ocrelizumab, log ratio to placebo",
            ),
        ),
        design=StudyDesign(
            groups=(("PPMS", 732),),
            years=(0.0, 0.5, 1.0, 2.3),
            treatments=("placebo", "ocrelizumab"),
            age=(18.0, 55.0),
            source=(
                "732 with PPMS, 18 to 55 years, as quoted from Montalban 2017, NEJM 376:209; "
                "equal arms here, two to one there; visits assumed"
            ),
        ),
        note=(
            "A role for these measures is read as: they show a drug at work where lesions still "
            "form, in the trial population with the youngest primary progressive patients."
        ),
    ),
    Check(
        finding="dgm-cerebellum-most-sensitive-regions",
        claims=tuple(
            higher(Responsiveness(first=region, second=other, groups=PROGRESSIVE), tested=False)
            for region in ("dgm_ml", "cerebellum_ml")
            for other in ("cortical_gm_ml", "temporal_gm_ml")
        ),
        design=StudyDesign(
            groups=(("SPMS", 128), ("PPMS", 125)),
            years=(0.0, 1.2, 2.4),
            source=(
                "n and 2.4 years in the abstract of the sister paper on the same cohort (Eshaghi "
                "2018, Brain 141:1665); three scans assumed"
            ),
        ),
        note="Against the cortex, and its temporal part, which the review names as fast in SPMS.",
    ),
)
"""One for each simulable finding of the outlook."""
