"""Checks of the findings on the cerebellum."""

from __future__ import annotations

from pmsstats.validation.analyses import (
    Correlation,
    Difference,
    RateByOutcome,
    RateDifference,
    SampleSize,
    SampleSizeRatio,
)
from pmsstats.validation.check import Check
from pmsstats.validation.checks.claims import higher, lower
from pmsstats.validation.checks.published import difference_interval
from pmsstats.validation.design import StudyDesign

__all__ = ["CHECKS"]

PHASE_TWO_ARM = 100.0
"""Subjects. An arm of a phase 2 trial holds fewer; the cited study needs 81."""

COMPOSITE = "ccdp12"
"""Worsening of EDSS, walking or hand, confirmed after 12 weeks."""

CALABRESE_2010 = "calabrese2010_cerebellar_cortex_mean"
"""Records of the volumes by phenotype."""

PEDUNCLE = StudyDesign(
    groups=(("PPMS", 25), ("RRMS", 25), ("HC", 25)),
    source="not found: assumed, a typical single-centre diffusion study",
)
COCOZZA_2017 = StudyDesign(
    groups=(("SPMS", 41), ("PPMS", 41)),
    source=(
        "82 progressive patients in the abstract: Cocozza 2017, JNNP 88:1065; the split over the "
        "phenotypes assumed even"
    ),
)
INGLESE_2017 = StudyDesign(
    groups=(("PPMS", 26),),
    years=(0.0, 1.0),
    source="n and one year of the abstract: Inglese 2017, PLoS One 12:e0176519",
)

CHECKS: tuple[Check, ...] = (
    Check(
        finding="mcp-fa-lower-rd-higher-ppms",
        claims=(
            lower(Difference(measure="mcp_fa", groups=("PPMS",), versus=("HC",))),
            lower(Difference(measure="mcp_fa", groups=("PPMS",), versus=("RRMS",))),
            higher(Difference(measure="mcp_rd_um2_ms", groups=("PPMS",), versus=("HC",))),
            higher(Difference(measure="mcp_rd_um2_ms", groups=("PPMS",), versus=("RRMS",))),
        ),
        design=PEDUNCLE,
    ),
    Check(
        finding="mcp-dti-correlates-limb-disability-ppms",
        claims=(
            higher(Correlation(first="mcp_rd_um2_ms", second="nhpt_s", groups=("PPMS",))),
            higher(Correlation(first="mcp_rd_um2_ms", second="t25fw_s", groups=("PPMS",))),
            lower(Correlation(first="mcp_fa", second="nhpt_s", groups=("PPMS",))),
            lower(Correlation(first="mcp_fa", second="t25fw_s", groups=("PPMS",))),
        ),
        design=PEDUNCLE,
        note="Upper and lower limbs are read as the nine-hole peg test and the timed walk.",
    ),
    Check(
        finding="cerebellar-cortex-loss-all-stages",
        claims=tuple(
            lower(
                Difference(
                    measure="cerebellar_cortex_ml",
                    groups=(phenotype,),
                    versus=("HC",),
                    standardise=False,
                ),
                published=difference_interval(
                    f"{CALABRESE_2010}_{phenotype.lower()}", f"{CALABRESE_2010}_hc"
                ),
                record=f"{CALABRESE_2010}_{phenotype.lower()}",
            )
            for phenotype in ("CIS", "RRMS", "SPMS", "PPMS")
        ),
        design=StudyDesign(
            groups=(("CIS", 38), ("RRMS", 35), ("SPMS", 27), ("PPMS", 25), ("HC", 32)),
            source="n of the abstract: PubMed 19965849",
        ),
    ),
    Check(
        finding="cerebellar-gm-below-hc-spms",
        claims=(lower(Difference(measure="cerebellar_gm_ml", groups=("SPMS",), versus=("HC",))),),
        design=StudyDesign(
            groups=(("SPMS", 20), ("HC", 25)), source="not found: assumed, a typical group"
        ),
    ),
    Check(
        finding="cerebellar-lobules-correlate-9hpt-pms",
        claims=tuple(
            lower(Correlation(first=lobule, second="nhpt_s", groups=("SPMS", "PPMS")))
            for lobule in ("lobule_vi_ml", "lobule_viiia_ml")
        ),
        design=COCOZZA_2017,
        note=(
            "The abstract names lobules VI, crus I and VIII A for the tests together; VI and "
            "VIII A, which hold the hand, are taken for this one."
        ),
    ),
    Check(
        finding="cerebellar-lobules-correlate-cognition-pms",
        claims=tuple(
            higher(Correlation(first=lobule, second="sdmt", groups=("SPMS", "PPMS")))
            for lobule in ("lobule_vi_ml", "lobule_crus1_ml")
        ),
        design=COCOZZA_2017,
        note=(
            "The abstract names lobules VI, crus I and VIII A for the tests together; VI and "
            "crus I are taken for cognition, by the SDMT alone."
        ),
    ),
    Check(
        finding="cerebellar-cortex-atrophy-faster-ppms-5y",
        claims=(
            lower(RateDifference(measure="cerebellar_cortex_ml", groups=("PPMS",), versus=("HC",))),
        ),
        design=StudyDesign(
            groups=(("PPMS", 35), ("HC", 20)),
            years=(0.0, 1.0, 2.0, 3.0, 5.0),
            source="five years in the review; n and visits not found: assumed",
        ),
    ),
    Check(
        finding="cerebellar-loss-greater-in-progressors-ppms",
        claims=(
            lower(RateByOutcome(measure="cerebellum_ml", outcome=COMPOSITE, groups=("PPMS",))),
        ),
        design=INGLESE_2017,
        note="The cited worsening (EDSS, or 20 % of a timed test) was not confirmed; here it is.",
    ),
    Check(
        finding="cerebellar-sample-size-small",
        claims=(
            lower(
                SampleSize(
                    measure="cerebellum_ml",
                    groups=("PPMS",),
                    effect=0.3,
                    power=0.9,
                    against=PHASE_TWO_ARM,
                ),
                record="inglese2017_cerebellum_rate_ppms",
                label="numbers per arm for a slowing of 30 %, against 100",
                tested=False,
            ),
            lower(
                SampleSizeRatio(first="cerebellum_ml", second="brain_ml", groups=("PPMS",)),
                tested=False,
            ),
        ),
        design=INGLESE_2017,
        note="Small is read as: below 100 per arm, and fewer than by brain volume.",
    ),
)
"""One for each simulable finding on the cerebellum."""
