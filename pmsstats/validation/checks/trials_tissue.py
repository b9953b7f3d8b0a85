"""Trials that measured tissue: MTR, diffusion, spectroscopy, cortical lesions; as checks."""

from __future__ import annotations

from typing import Final

from pmsstats.evidence import record
from pmsstats.validation.analyses import (
    ChangeCorrelation,
    Rate,
    SampleSizeRatio,
    TreatmentEffect,
)
from pmsstats.validation.check import Check
from pmsstats.validation.checks.claims import (
    PROGRESSIVE,
    higher,
    lower,
    no_effect,
)
from pmsstats.validation.checks.margins import (
    STABLE_TISSUE_PCT_PER_YEAR,
    TWOFOLD_OR_MORE,
    WEAK_CORRELATION,
)
from pmsstats.validation.design import StudyDesign

__all__ = ["CHECKS"]

NATALIZUMAB_60_WEEKS: Final = StudyDesign(
    groups=(("SPMS", 12), ("PPMS", 5)),
    years=(0.0, 1.15),
    treatments=("natalizumab",),
    source="Romme Christensen 2014 Neurology 82:1499-1507 (abstract): 17 with progressive MS "
    "completed 60 weeks, open label; how many were primary: assumed",
)

INTERFERON_SOURCE: Final = (
    "Inglese 2003 Neurology 60:853-860 (abstract): 54 of 82 SPMS with scans at 24 months, 47 at 36"
)

INGLESE_FALL_PER_YEAR: Final = (
    record("inglese2003_brain_mtr_change_24m_spms").value / 2,
    record("inglese2003_brain_mtr_change_36m_spms").value / 3,
)
"""Percent a year. Both arms lost 4.9 % by month 24 and 4.3 % by month 36."""

LAMOTRIGINE: Final = StudyDesign(
    groups=(("SPMS", 117),),
    years=(0.0, 1.0, 2.0),
    treatments=("placebo", "lamotrigine"),
    source="Hayton 2012 J Neurol 259:505-514 (abstract): 117 SPMS, 24 months; visits assumed",
)

MTR_CHECKS: Final = (
    Check(
        finding="natalizumab-raises-nawm-mtr-spms",
        claims=(higher(Rate(measure="nawm_mtr_pu", groups=PROGRESSIVE, arm="natalizumab")),),
        design=NATALIZUMAB_60_WEEKS,
        note="One arm, open label: the rise is against baseline. The review says SPMS; the study "
        "was of progressive MS.",
    ),
    Check(
        finding="msc-mtr-increase-not-significant-spms",
        claims=tuple(
            no_effect(
                Rate(measure=measure, groups=("SPMS",), arm="mesenchymal_stem_cells"),
                STABLE_TISSUE_PCT_PER_YEAR,
            )
            for measure in ("lesion_mtr_pu", "nawm_mtr_pu")
        ),
        design=StudyDesign(
            groups=(("SPMS", 10),),
            years=(0.0, 0.25, 0.5, 0.83),
            treatments=("mesenchymal_stem_cells",),
            edss=(5.5, 6.5),
            source="Connick 2012 Lancet Neurol 11:150-156 (abstract): 10 SPMS, EDSS 5.5 to 6.5, up "
            "to 10 months after infusion; visits assumed",
        ),
        note="A rise that is not significant in ten patients is read as no change beyond the "
        "margin; the rise itself is not claimed.",
    ),
    Check(
        finding="ifnb1b-placebo-brain-mtr-falls-spms",
        claims=tuple(
            lower(
                Rate(measure="brain_mtr_pu", groups=("SPMS",), arm="placebo", up_to=years),
                published=INGLESE_FALL_PER_YEAR,
                record="inglese2003_brain_mtr_change_24m_spms",
            )
            for years in (2.0, 3.0)
        ),
        design=StudyDesign(
            groups=(("SPMS", 27),),
            years=(0.0, 1.0, 2.0, 3.0),
            treatments=("placebo",),
            source=f"{INTERFERON_SOURCE}; half of them on placebo assumed",
        ),
    ),
    Check(
        finding="ifnb1b-treated-brain-mtr-falls-m24-spms",
        claims=(
            lower(
                Rate(measure="brain_mtr_pu", groups=("SPMS",), arm="interferon_beta_1b", up_to=2.0),
                published=INGLESE_FALL_PER_YEAR,
                record="inglese2003_brain_mtr_change_24m_spms",
            ),
        ),
        design=StudyDesign(
            groups=(("SPMS", 27),),
            years=(0.0, 1.0, 2.0, 3.0),
            treatments=("interferon_beta_1b",),
            source=f"{INTERFERON_SOURCE}; half of them on interferon assumed",
        ),
        note="That the fall was not significant at month 36, with fewer patients left, is not "
        "claimed of the population.",
    ),
    Check(
        finding="ifnb1b-no-effect-brain-mtr-spms",
        claims=(
            no_effect(
                TreatmentEffect(measure="brain_mtr_pu", groups=("SPMS",), kind="rate"),
                STABLE_TISSUE_PCT_PER_YEAR,
            ),
        ),
        design=StudyDesign(
            groups=(("SPMS", 54),),
            years=(0.0, 1.0, 2.0, 3.0),
            treatments=("placebo", "interferon_beta_1b"),
            source=INTERFERON_SOURCE,
        ),
    ),
    Check(
        finding="lamotrigine-no-effect-nawm-mtr-change-spms",
        claims=(
            no_effect(
                TreatmentEffect(measure="nawm_mtr_pu", groups=("SPMS",), kind="rate"),
                STABLE_TISSUE_PCT_PER_YEAR,
            ),
        ),
        design=LAMOTRIGINE,
        note="The lower value of the lamotrigine arm at baseline is an imbalance of that trial, "
        "not a truth of the population.",
    ),
    Check(
        finding="nagm-mtr-sensitive-to-treatment-pms",
        claims=(higher(Rate(measure="nagm_mtr_pu", groups=PROGRESSIVE, arm="natalizumab")),),
        design=NATALIZUMAB_60_WEEKS,
        note="Shown by the trial with a rise; in the lamotrigine trial the fall was greater on "
        "treatment (p 0.036), which is not claimed.",
    ),
    Check(
        finding="nagm-mtr-responsiveness-limited-lamotrigine-spms",
        claims=(
            no_effect(
                ChangeCorrelation(first="nagm_mtr_pu", second="cdp24", groups=("SPMS",)),
                WEAK_CORRELATION,
            ),
        ),
        design=LAMOTRIGINE,
        note="Sustained disability is confirmed EDSS worsening, both arms together. The relation "
        "may exist, but must be weak.",
    ),
)

OTHER_CHECKS: Final = (
    Check(
        finding="natalizumab-raises-nawm-fa-spms",
        claims=(higher(Rate(measure="nawm_fa", groups=PROGRESSIVE, arm="natalizumab")),),
        design=NATALIZUMAB_60_WEEKS,
        note="One arm, open label: the rise is against baseline.",
    ),
    Check(
        finding="natalizumab-raises-lesion-ad-rd-spms",
        claims=tuple(
            higher(Rate(measure=measure, groups=PROGRESSIVE, arm="natalizumab"))
            for measure in ("lesion_ad_um2_ms", "lesion_rd_um2_ms")
        ),
        design=NATALIZUMAB_60_WEEKS,
        note="One arm, open label: the rise is against baseline. Diffusivity of lesions that rises "
        "without treatment as well would meet it.",
    ),
    Check(
        finding="dti-sample-sizes-highly-variable",
        claims=(
            higher(
                SampleSizeRatio(
                    first="nawm_ad_um2_ms", second="nawm_rd_um2_ms", groups=PROGRESSIVE
                ),
                published=TWOFOLD_OR_MORE,
                label="Sample size, axial over radial diffusivity of NAWM (metric)",
                tested=False,
            ),
            higher(
                SampleSizeRatio(
                    first="nawm_md_um2_ms", second="nagm_md_um2_ms", groups=PROGRESSIVE
                ),
                published=TWOFOLD_OR_MORE,
                label="Sample size, MD of NAWM over MD of NAGM (area)",
                tested=False,
            ),
        ),
        design=StudyDesign(
            groups=(("SPMS", 40), ("PPMS", 40)),
            years=(0.0, 1.0, 2.0),
            source="not found: assumed",
        ),
        note="What is claimed is the spread: at least twofold between metrics and between areas. "
        "Which of two needs more patients is the generator's, not the review's.",
    ),
    Check(
        finding="glatiramer-no-effect-naa-ppms",
        claims=tuple(
            no_effect(
                TreatmentEffect(measure=measure, groups=("PPMS",), kind="rate"),
                STABLE_TISSUE_PCT_PER_YEAR,
            )
            for measure in ("nawm_naa_cr", "lesion_naa_cr")
        ),
        design=StudyDesign(
            groups=(("PPMS", 58),),
            years=(0.0, 1.0, 2.0, 3.0),
            treatments=("placebo", "glatiramer"),
            sites=4,
            source="Sajja 2008 Mult Scler 14:73-80 (abstract): 58 PPMS, four centres, 3 years; "
            "yearly scans assumed",
        ),
        note="NAA hardly moves without treatment either (-0.1 % a year): stopping its loss would "
        "stay inside the margin, only a drug that changed NAA outright would not.",
    ),
    Check(
        finding="natalizumab-suppresses-cortical-pathology-rrms",
        claims=(
            lower(
                TreatmentEffect(measure="cortical_lesion_count", groups=("RRMS",), kind="change")
            ),
            higher(TreatmentEffect(measure="cortical_gm_ml", groups=("RRMS",), kind="rate")),
        ),
        design=StudyDesign(
            groups=(("RRMS", 70),),
            years=(0.0, 2.0),
            treatments=("placebo", "natalizumab"),
            source="Rinaldi 2012 Mult Scler 18:1760-7 (abstract): 35 on natalizumab, 35 untreated "
            "(and 50 on interferon or glatiramer), 2 years",
        ),
        note="Severe relapsing MS, with 2.9 new lesions and 4.6 % of cortex lost in two years "
        "untreated (0.2 and 1.7 % treated): magnitudes beyond the average patient, not claimed.",
    ),
)

CHECKS: Final = (*MTR_CHECKS, *OTHER_CHECKS)
"""The checks of trials that measured tissue."""
