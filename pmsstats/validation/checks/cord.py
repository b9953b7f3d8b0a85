"""Checks of the spinal cord findings: lesions, magnetisation transfer, diffusion."""

from __future__ import annotations

from pmsstats.validation.analyses import (
    ChangeCorrelation,
    ConversionPrediction,
    Correlation,
    Difference,
    PairedDifference,
    RateDifference,
    Share,
)
from pmsstats.validation.check import Check
from pmsstats.validation.checks.claims import (
    PROGRESSIVE,
    SMALL_CORRELATION,
    SMALL_DIFFERENCE,
    higher,
    lower,
    no_effect,
)
from pmsstats.validation.design import StudyDesign

__all__ = ["CHECKS"]

HALF = 0.5
"""The cervical cord carries more than the rest together if it holds over half of all lesions."""

MOST = 50.0
"""Percent. A share above it is larger than that of any other presentation, whatever they are."""

CORRELATION_OF_COUNTS = 0.1
"""Half of a small correlation: few patients gain a whole lesion, so that counts show half of it."""

LUKAS_2013 = StudyDesign(
    groups=(("RRMS", 311), ("SPMS", 92), ("PPMS", 37)),
    source="n of the abstract: Lukas 2013, Radiology 269:541",
)
KEARNEY = StudyDesign(
    groups=(("CIS", 25), ("RRMS", 35), ("SPMS", 30), ("PPMS", 30)),
    source=(
        "the paper's n was not found: assumed as in the abstract of the same group's study of "
        "focal cord lesions (doi:10.1177/1352458515604905)"
    ),
)
BRAIN_AND_CORD_MT = StudyDesign(
    groups=(("SPMS", 35), ("PPMS", 90)),
    source="not found: assumed, the size of the larger magnetisation transfer studies of the time",
)
AGOSTA_2005 = StudyDesign(
    groups=(("PPMS", 24), ("HC", 13)),
    source="n of the abstract: Agosta 2005, Neurology 64:631",
)
AGOSTA_2007 = StudyDesign(
    groups=(("RRMS", 14), ("SPMS", 14), ("PPMS", 14)),
    years=(0.0, 2.4),
    source=(
        "42 patients and 2.4 years in the abstract: Agosta 2007, Brain 130:2211; the split over "
        "the phenotypes assumed even"
    ),
)

LESIONS = (
    Check(
        finding="cervical-cord-highest-lesion-load",
        claims=(
            higher(
                PairedDifference(
                    first="cord_lesion_cervical_count",
                    second="cord_lesion_count",
                    factor=HALF,
                    groups=("RRMS", "SPMS", "PPMS"),
                ),
                label="cervical lesions minus half of all cord lesions",
            ),
        ),
        design=StudyDesign(
            groups=(("RRMS", 40), ("SPMS", 15), ("PPMS", 15)),
            source="not found: assumed",
        ),
        note="The other levels are taken together: tables hold cervical and all cord lesions.",
    ),
    Check(
        finding="cord-lesion-load-higher-pms-than-rrms",
        claims=tuple(
            higher(
                Difference(
                    measure="cord_lesion_cervical_count", groups=(phenotype,), versus=("RRMS",)
                )
            )
            for phenotype in PROGRESSIVE
        ),
        design=LUKAS_2013,
    ),
    Check(
        finding="cord-lesion-load-correlates-disability",
        claims=(
            higher(
                Correlation(
                    first="cord_lesion_cervical_count",
                    second="edss",
                    groups=("RRMS", "SPMS", "PPMS"),
                )
            ),
        ),
        design=LUKAS_2013,
        note="Within phenotypes, so that the difference between them does not make the relation.",
    ),
    Check(
        finding="cord-syndrome-commonest-onset-ppms",
        claims=(
            higher(
                Share(measure="spinal_onset", groups=("PPMS",), against=MOST),
                label="onset with a cord syndrome in PPMS, over one half",
                tested=False,
            ),
        ),
        design=StudyDesign(
            groups=(("PPMS", 200),), source="not found: assumed, a regional natural history cohort"
        ),
        note="Commonest is read as: in more than half, which no other presentation can then be.",
    ),
    Check(
        finding="cord-lesions-predict-ris-to-ppms",
        claims=(
            higher(
                ConversionPrediction(
                    measure="cord_lesion_count", groups=("RIS",), to="PPMS", horizon=5.0
                )
            ),
        ),
        design=StudyDesign(
            groups=(("RIS", 453),),
            years=(0.0, 1.0, 2.0, 3.0, 4.0, 5.0),
            conversion=True,
            source=(
                "453 with RIS, 15 of whom evolved to PPMS after a median of 3.5 years, in the "
                "abstract: Kantarci 2016, Ann Neurol 79:288; annual scans assumed"
            ),
        ),
        note=(
            "The cited study compared those who evolved to PPMS with all who had not, first "
            "attacks included; here the others stay RIS."
        ),
    ),
)

MAGNETISATION = (
    Check(
        finding="cord-subpial-mtr-worse-pms",
        claims=(
            lower(
                Difference(measure="cord_pial_mtr_pu", groups=PROGRESSIVE, versus=("CIS", "RRMS"))
            ),
        ),
        design=KEARNEY,
    ),
    Check(
        finding="cord-mtr-no-difference-ppms-spms",
        claims=(
            no_effect(
                Difference(measure="cord_mtr_pu", groups=("PPMS",), versus=("SPMS",)),
                SMALL_DIFFERENCE,
            ),
        ),
        design=BRAIN_AND_CORD_MT,
    ),
    Check(
        finding="lesion-burden-higher-spms-than-ppms",
        claims=(
            higher(Difference(measure="cord_lesion_count", groups=("SPMS",), versus=("PPMS",))),
        ),
        design=BRAIN_AND_CORD_MT,
        note="The review does not say which burden; read as that of the cord, which it discusses.",
    ),
)

DIFFUSION = (
    Check(
        finding="cord-brain-dti-unrelated-ppms",
        claims=tuple(
            no_effect(Correlation(first=cord, second=brain, groups=("PPMS",)), SMALL_CORRELATION)
            for cord, brain in (
                ("cord_fa", "nawm_fa"),
                ("cord_md_um2_ms", "nawm_md_um2_ms"),
                ("cord_area_c2c3_mm2", "brain_ml"),
            )
        ),
        design=AGOSTA_2005,
        note="Conventional measures are read as cord area against brain volume.",
    ),
    Check(
        finding="cord-fa-lower-md-higher-ppms-vs-hc",
        claims=(
            lower(Difference(measure="cord_fa", groups=("PPMS",), versus=("HC",))),
            higher(Difference(measure="cord_md_um2_ms", groups=("PPMS",), versus=("HC",))),
        ),
        design=AGOSTA_2005,
    ),
    Check(
        finding="posterior-column-md-rd-higher-spms-than-rrms",
        claims=tuple(
            higher(Difference(measure=measure, groups=("SPMS",), versus=("RRMS",)))
            for measure in ("cord_posterior_md_um2_ms", "cord_posterior_rd_um2_ms")
        ),
        design=KEARNEY,
    ),
    Check(
        finding="cord-gm-dti-worse-spms",
        claims=(
            lower(Difference(measure="cord_gm_fa", groups=("SPMS",), versus=("RRMS", "CIS"))),
            higher(
                Difference(measure="cord_gm_md_um2_ms", groups=("SPMS",), versus=("RRMS", "CIS"))
            ),
            higher(
                Difference(measure="cord_gm_rd_um2_ms", groups=("SPMS",), versus=("RRMS", "CIS"))
            ),
        ),
        design=KEARNEY,
    ),
    Check(
        finding="cord-gm-rd-correlates-disability",
        claims=(
            higher(
                Correlation(
                    first="cord_gm_rd_um2_ms",
                    second="edss",
                    groups=("CIS", "RRMS", "SPMS", "PPMS"),
                )
            ),
        ),
        design=KEARNEY,
    ),
    Check(
        finding="cord-fa-decline-fastest-ppms",
        claims=tuple(
            lower(RateDifference(measure="cord_fa", groups=("PPMS",), versus=(other,)))
            for other in ("SPMS", "RRMS")
        ),
        design=AGOSTA_2007,
    ),
    Check(
        finding="cord-dti-change-independent-of-lesions-brain",
        claims=tuple(
            no_effect(
                ChangeCorrelation(first=cord, second=other, groups=("RRMS", "SPMS", "PPMS")),
                margin,
            )
            for cord, brain in (
                ("cord_fa", "nawm_fa"),
                ("cord_md_um2_ms", "nawm_md_um2_ms"),
            )
            for other, margin in (
                (brain, SMALL_CORRELATION),
                ("t2_lesion_ml", SMALL_CORRELATION),
                ("cord_lesion_count", CORRELATION_OF_COUNTS),
            )
        ),
        design=AGOSTA_2007,
        note="Supratentorial damage is read as NAWM diffusion and T2 volume; all as changes.",
    ),
)

CHECKS: tuple[Check, ...] = LESIONS + MAGNETISATION + DIFFUSION
"""One for each simulable finding on cord lesions, magnetisation transfer and diffusion."""
