"""Cortex: leptomeninges, cortical lesions, tissue maps, PET and atrophy, as checks."""

from __future__ import annotations

import math
from typing import Final

from pmsstats.evidence import record
from pmsstats.validation.analyses import (
    ChangeCorrelation,
    Correlation,
    Difference,
    PairedDifference,
    PairedRateDifference,
    Prevalence,
    Rate,
    RateDifference,
    Reliability,
)
from pmsstats.validation.check import Check
from pmsstats.validation.checks.claims import (
    PROGRESSIVE,
    SMALL_CORRELATION,
    higher,
    lower,
    no_effect,
)
from pmsstats.validation.checks.margins import (
    GOOD_ICC,
    STABLE_FOCI_PER_YEAR,
    STABLE_PREVALENCE_PER_YEAR,
    STABLE_TISSUE_PCT_PER_YEAR,
)
from pmsstats.validation.checks.published import Z
from pmsstats.validation.design import StudyDesign

__all__ = ["CHECKS"]

MS: Final = ("RRMS", "SPMS", "PPMS")

NIELSEN_CORRELATION: Final = (0.38, 0.84)
"""Spearman 0.670 of 27 patients, with the 95 % interval tanh(atanh 0.670 +- 1.96 sqrt(1.06 / 24))
of a rank correlation."""


def _share_difference(first_id: str, second_id: str) -> tuple[float, float]:
    """Return the 95 % interval of a difference of printed shares, in percentage points."""
    shares = [record(i) for i in (first_id, second_id)]
    variance = sum(r.value * (100 - r.value) / r.n for r in shares)
    middle = shares[0].value - shares[1].value
    return middle - Z * math.sqrt(variance), middle + Z * math.sqrt(variance)


ABSINTA_DIFFERENCE: Final = _share_difference(
    "absinta2015_lme_prevalence_pms", "absinta2015_lme_prevalence_rrms"
)
"""Percentage points: 33 % of 118 against 19 % of 181."""

ABSINTA: Final = StudyDesign(
    groups=(("SPMS", 59), ("PPMS", 59), ("RRMS", 181)),
    source="Absinta 2015 Neurology 85:18-28 (abstract): 118 progressive, 181 relapsing; how many "
    "of the progressive were primary: assumed half",
)

ABSINTA_FOLLOWED: Final = StudyDesign(
    groups=(("SPMS", 20), ("PPMS", 20)),
    years=(0.0, 2.5, 5.5),
    source="Absinta 2015 Neurology 85:18-28 (abstract): foci followed for up to 5.5 years; number "
    "and visits assumed",
)

MAKSHAKOV: Final = StudyDesign(
    groups=(("SPMS", 27), ("PPMS", 27)),
    source="Makshakov 2017 Neurol Res Int 8652463 (abstract): 54 with MS; here all progressive, "
    "assumed half primary",
)

HERRANZ: Final = StudyDesign(
    groups=(("SPMS", 15), ("RRMS", 12), ("HC", 14)),
    source="Herranz 2016 Ann Neurol 80:776-790 (abstract): 15 SPMS, 12 RRMS, 14 controls",
)

PHENOTYPES_GM: Final = StudyDesign(
    groups=(("RRMS", 34), ("SPMS", 34), ("PPMS", 34), ("HC", 30)),
    source="Bozzali 2002 AJNR 23:985 (abstract): 102 with MS of three phenotypes, 30 controls; "
    "thirds assumed. Taken as reference 71",
)

GM_DTI_FOLLOWED: Final = StudyDesign(
    groups=(("PPMS", 54), ("SPMS", 30)),
    years=(0.0, 1.25),
    source="54 PPMS scanned after 15 months as in Rocca 2017 Brain 140:2814-2819 (abstract); "
    "SPMS not found: assumed",
)

ATROPHY_FOLLOWED: Final = StudyDesign(
    groups=(("SPMS", 56), ("PPMS", 30)),
    years=(0.0, 1.0, 2.0),
    source="references 20, 57, 84: numbers not found; 56 SPMS over 24 months as in Furby 2010 "
    "J Neurol 257:1508-16 (abstract), 30 PPMS assumed",
)

DGM_STUDY: Final = StudyDesign(
    groups=(("CIS", 253), ("RRMS", 708), ("SPMS", 128), ("PPMS", 125), ("HC", 203)),
    years=(0.0, 1.2, 2.4),
    source="Eshaghi 2018 Ann Neurol 83:210-222; numbers from Brain 141:1665-77 on the same cohort "
    "(abstract): 3604 scans over a mean of 2.4 years",
)

MENINGEAL_CHECKS: Final = (
    Check(
        finding="lme-prevalence-progressive-vs-rrms",
        claims=(
            higher(
                Prevalence(measure="leptomeningeal_presence", groups=PROGRESSIVE, versus=("RRMS",)),
                published=ABSINTA_DIFFERENCE,
                record="absinta2015_lme_prevalence_pms",
            ),
        ),
        design=ABSINTA,
        note="The review prints the 33 % as of SPMS; the paper counts all progressive MS.",
    ),
    Check(
        finding="lme-stable-over-time",
        claims=(
            no_effect(
                Rate(measure="leptomeningeal_presence", groups=PROGRESSIVE, percent=False),
                STABLE_PREVALENCE_PER_YEAR,
            ),
            no_effect(
                Rate(measure="leptomeningeal_foci_count", groups=PROGRESSIVE, percent=False),
                STABLE_FOCI_PER_YEAR,
            ),
        ),
        design=ABSINTA_FOLLOWED,
        note="Persistence of the single focus is read as no net gain or loss of foci.",
    ),
    Check(
        finding="lme-associated-cortical-atrophy",
        claims=(
            lower(
                Correlation(
                    first="leptomeningeal_foci_count", second="cortical_gm_ml", groups=PROGRESSIVE
                )
            ),
            higher(
                Correlation(
                    first="leptomeningeal_foci_count",
                    second="cortical_lesion_count",
                    groups=PROGRESSIVE,
                )
            ),
        ),
        design=MAKSHAKOV,
        note="Subpial demyelination is seen in tissue; cortical lesions on MRI stand for it.",
    ),
)

LESION_CHECKS: Final = (
    Check(
        finding="gm-demyelination-more-frequent-pms",
        claims=(
            higher(
                Difference(measure="cortical_lesion_count", groups=PROGRESSIVE, versus=("RRMS",))
            ),
        ),
        design=StudyDesign(
            groups=(("SPMS", 15), ("PPMS", 15), ("RRMS", 20)), source="not found: assumed"
        ),
        note="The cited study is of tissue after death; cortical lesions on MRI stand for it.",
    ),
    Check(
        finding="psir-more-sensitive-than-dir",
        claims=(
            higher(
                PairedDifference(
                    first="cortical_lesion_psir_count",
                    second="cortical_lesion_dir_count",
                    groups=MS,
                )
            ),
        ),
        design=StudyDesign(
            groups=(("RRMS", 30), ("SPMS", 15), ("PPMS", 15)), source="not found: assumed"
        ),
        note="Both sequences see the same lesions, each with its own probability of detection.",
    ),
    Check(
        finding="cortical-lesions-7t-correlate-disability",
        claims=(
            higher(
                Correlation(
                    first="cortical_lesion_7t_count",
                    second="edss",
                    groups=("RRMS", "SPMS"),
                    pooled=True,
                ),
                published=NIELSEN_CORRELATION,
            ),
        ),
        design=StudyDesign(
            groups=(("RRMS", 18), ("SPMS", 9)),
            source="Nielsen 2013 Neurology 81:641-649 (abstract): 27 evaluable of CIS, RRMS and "
            "SPMS; shares assumed, CIS counted as RRMS",
        ),
        note="The study pooled the phenotypes, so that the correlation holds the difference "
        "between them. Its 0.670 is of subpial lesions alone, the strongest of the types.",
    ),
)

TISSUE_CHECKS: Final = (
    Check(
        finding="mtr-correlates-myelin-axons-naa",
        claims=(
            higher(
                Correlation(first="nagm_mtr_pu", second="cortical_naa_mmol_l", groups=MS),
            ),
        ),
        design=StudyDesign(
            groups=(("RRMS", 10), ("SPMS", 10), ("PPMS", 10)),
            source="Pike 1999 AJNR 20:829 (abstract), the nearest study found: 30 of three "
            "phenotypes, thirds assumed",
        ),
        note="Only the relation with NAA in vivo is a matter of tables; that with myelin and "
        "axons is of tissue.",
    ),
    Check(
        finding="nagm-mtr-correlates-disability-pms",
        claims=(
            lower(Correlation(first="nagm_mtr_pu", second="edss", groups=PROGRESSIVE)),
            higher(Correlation(first="nagm_mtr_pu", second="msfc_z", groups=PROGRESSIVE)),
        ),
        design=StudyDesign(
            groups=(("SPMS", 117), ("PPMS", 30)),
            source="Hayton 2012 J Neurol 259:505-514 (117 SPMS) and Khaleeli 2007 JNNP 78:1076-82 "
            "(30 PPMS), abstracts",
        ),
    ),
    Check(
        finding="nagm-dti-worse-pms-than-rrms",
        claims=(
            higher(Difference(measure="nagm_md_um2_ms", groups=PROGRESSIVE, versus=("RRMS",))),
        ),
        design=PHENOTYPES_GM,
    ),
    Check(
        finding="nagm-dti-worsens-over-1y-pms",
        claims=(higher(Rate(measure="nagm_md_um2_ms", groups=PROGRESSIVE)),),
        design=GM_DTI_FOLLOWED,
    ),
    Check(
        finding="nagm-dti-change-independent-of-t2-and-atrophy",
        claims=tuple(
            no_effect(
                ChangeCorrelation(first="nagm_md_um2_ms", second=second, groups=PROGRESSIVE),
                SMALL_CORRELATION,
            )
            for second in ("t2_lesion_ml", "brain_ml")
        ),
        design=GM_DTI_FOLLOWED,
    ),
    Check(
        finding="dti-sensitive-and-reproducible-across-centres",
        claims=(
            higher(Rate(measure="nagm_md_um2_ms", groups=PROGRESSIVE)),
            *(
                higher(
                    Reliability(measure=measure, groups=PROGRESSIVE, kind="icc", against=GOOD_ICC),
                )
                for measure in ("nagm_md_um2_ms", "nagm_fa")
            ),
        ),
        design=StudyDesign(
            groups=(("SPMS", 30), ("PPMS", 30)),
            years=(0.0, 0.02, 1.0),
            sites=4,
            source="not found: assumed; two scans a week apart, the next after a year",
        ),
        note="Each patient is scanned at one centre, which scans differently from the others: "
        "what is claimed is that scan and rescan agree in a study of several centres.",
    ),
    Check(
        finding="t2star-gradient-superficial-early-deep-late",
        claims=(
            higher(
                Difference(measure="cortical_t2star_depth25_ms", groups=("RRMS",), versus=("HC",)),
                label="Outer cortical T2*, RRMS against controls (early)",
            ),
            higher(
                Difference(
                    measure="cortical_t2star_depth75_ms", groups=("SPMS",), versus=("RRMS",)
                ),
                label="Inner cortical T2*, SPMS against RRMS (late)",
            ),
        ),
        design=StudyDesign(
            groups=(("RRMS", 28), ("SPMS", 13), ("HC", 17)), source="not found: assumed"
        ),
        note="Early and late are read as relapsing and secondary progressive disease.",
    ),
    Check(
        finding="cortical-naa-decreased-pms",
        claims=(
            lower(Difference(measure="cortical_naa_mmol_l", groups=PROGRESSIVE, versus=("HC",))),
        ),
        design=StudyDesign(
            groups=(("SPMS", 15), ("PPMS", 15), ("HC", 20)),
            source="not found: assumed (Sijens 2005 Eur Radiol 15:1686-1693, taken as reference "
            "41, had 4 PPMS and 4 controls)",
        ),
    ),
    Check(
        finding="naa-longitudinal-studies-negative",
        claims=(
            no_effect(
                Rate(measure="cortical_naa_mmol_l", groups=("PPMS",)),
                STABLE_TISSUE_PCT_PER_YEAR,
            ),
        ),
        design=StudyDesign(
            groups=(("PPMS", 58),),
            years=(0.0, 1.0, 2.0, 3.0),
            sites=4,
            source="Sajja 2008 Mult Scler 14:73-80 (abstract): 58 PPMS, four centres, 3 years",
        ),
    ),
    Check(
        finding="cortical-tspo-raised-pms",
        claims=(higher(Difference(measure="cortical_tspo_dvr", groups=("SPMS",), versus=("HC",))),),
        design=HERRANZ,
        note="The cited study had SPMS, not PPMS.",
    ),
    Check(
        finding="cortical-tspo-relates-thinning-and-disability",
        claims=(
            lower(
                Correlation(
                    first="cortical_tspo_dvr",
                    second="cortical_thickness_mm",
                    groups=("SPMS", "RRMS"),
                )
            ),
            higher(Correlation(first="cortical_tspo_dvr", second="edss", groups=("SPMS", "RRMS"))),
        ),
        design=HERRANZ,
        note="The abstract of the cited paper relates cortical thinning to TSPO of the thalamus; "
        "the review says of the cortex.",
    ),
)

ATROPHY_CHECKS: Final = (
    Check(
        finding="brain-volume-loss-driven-by-gm",
        claims=(
            lower(Rate(measure="gm_ml", groups=PROGRESSIVE)),
            lower(
                PairedRateDifference(first="gm_ml", second="wm_ml", groups=PROGRESSIVE),
                tested=False,
            ),
        ),
        design=ATROPHY_FOLLOWED,
    ),
    Check(
        finding="cortical-atrophy-greater-pms",
        claims=tuple(
            lower(Difference(measure="cortical_gm_ml", groups=PROGRESSIVE, versus=(other,)))
            for other in ("RRMS", "CIS")
        ),
        design=StudyDesign(
            groups=(("SPMS", 30), ("PPMS", 30), ("RRMS", 30), ("CIS", 20)),
            source="references 20, 57, 84: numbers not found: assumed",
        ),
    ),
    Check(
        finding="cortical-atrophy-correlates-motor-disability",
        claims=(
            lower(Correlation(first="cortical_gm_ml", second="edss", groups=PROGRESSIVE)),
            lower(ChangeCorrelation(first="cortical_gm_ml", second="nhpt_s", groups=PROGRESSIVE)),
        ),
        design=ATROPHY_FOLLOWED,
        note="Motor disability over time is the nine-hole peg test, which followed grey matter "
        "loss in Furby 2010, where no measure followed the EDSS.",
    ),
    Check(
        finding="cortical-atrophy-correlates-cognition",
        claims=(
            higher(Correlation(first="cortical_gm_ml", second="sdmt", groups=PROGRESSIVE)),
            higher(ChangeCorrelation(first="cortical_gm_ml", second="sdmt", groups=PROGRESSIVE)),
        ),
        design=ATROPHY_FOLLOWED,
    ),
    Check(
        finding="regional-atrophy-pattern-differs-by-phenotype",
        claims=(
            lower(
                RateDifference(measure="temporal_gm_ml", groups=("SPMS",), versus=("RRMS",)),
            ),
            lower(
                RateDifference(measure="cingulate_gm_ml", groups=("PPMS",), versus=("RRMS",)),
            ),
        ),
        design=DGM_STUDY,
        note="A pattern of time and space is read as: the lobes that shrink faster than in RRMS "
        "are not the same in the two progressive phenotypes.",
    ),
    Check(
        finding="temporal-cortex-atrophy-accelerated-spms",
        claims=(
            lower(
                RateDifference(measure="temporal_gm_ml", groups=("SPMS",), versus=("RRMS",)),
            ),
        ),
        design=DGM_STUDY,
    ),
)

CHECKS: Final = (*MENINGEAL_CHECKS, *LESION_CHECKS, *TISSUE_CHECKS, *ATROPHY_CHECKS)
"""The checks of the cortex section."""
