"""White matter: lesions, magnetisation transfer, diffusion, spectroscopy and PET, as checks."""

from __future__ import annotations

from typing import Final

from pmsstats.evidence import record
from pmsstats.validation.analyses import (
    Correlation,
    Difference,
    PairedDifference,
    Prediction,
    Prevalence,
    Rate,
    RateByOutcome,
    Reliability,
    TreatmentEffect,
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
from pmsstats.validation.checks.margins import (
    GOOD_ICC,
    THREEFOLD_TO_TENFOLD,
    WEAK_CORRELATION,
)
from pmsstats.validation.design import StudyDesign

__all__ = ["CHECKS"]

MS: Final = ("RRMS", "SPMS", "PPMS")

_LEARY_REGIONS: Final = (
    ("leary1999_mtr_ppms", "leary1999_mtr_hc"),
    ("leary1999_mtr_frontal_median_ppms", "leary1999_mtr_frontal_median_hc"),
    ("leary1999_mtr_cso_median_ppms", "leary1999_mtr_cso_median_hc"),
)
_LEARY_DIFFERENCES: Final = tuple(
    record(patients).value - record(controls).value for patients, controls in _LEARY_REGIONS
)
LEARY_DIFFERENCE: Final = (min(_LEARY_DIFFERENCES), max(_LEARY_DIFFERENCES))
"""Percentage units. Range over three regions of the difference of the medians."""

LONDON_COHORT: Final = StudyDesign(
    groups=(("RRMS", 67),),
    years=(0.0, 5.0, 10.0, 14.0, 20.0),
    duration=(0.0, 2.0),
    conversion=True,
    source="Fisniku 2008 Brain 131:808-817 (abstract): 107 seen at 20 years, 67 with MS, 28 of "
    "them SPMS; years of the scans not found: assumed",
)
"""Patients who had MS at 20 years. They entered with their first attack, for which relapsing MS of
at most two years stands, because only that converts in the generator."""

EARLY_PPMS: Final = StudyDesign(
    groups=(("PPMS", 30),),
    years=(0.0, 1.0),
    duration=(0.0, 5.0),
    source="Khaleeli 2007 JNNP 78:1076-82 (abstract): 30 PPMS within 5 years of onset, 1 year",
)

EARLY_PPMS_3Y: Final = StudyDesign(
    groups=(("PPMS", 43),),
    years=(0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0),
    duration=(0.0, 5.0),
    source="Khaleeli 2008 Arch Neurol 65:1454-9 (abstract): 47 PPMS, 43 completed 3 years, scans "
    "every 6 months",
)

LONDON_PPMS: Final = StudyDesign(
    groups=(("PPMS", 52), ("HC", 26)),
    source="Leary 1999 (abstract): 52 PPMS, 26 controls",
)

ALL_TYPES: Final = StudyDesign(
    groups=(("RRMS", 40), ("SPMS", 40), ("PPMS", 40)),
    source="not found: assumed",
)

PHENOTYPES_DTI: Final = StudyDesign(
    groups=(("RRMS", 40), ("SPMS", 40), ("PPMS", 35), ("HC", 40)),
    source="numbers of reference 38 not found: assumed",
)

LESION_CHECKS: Final = (
    Check(
        finding="t2lv-low-relative-to-severity-ppms",
        claims=(
            lower(Difference(measure="t2_lesion_ml", groups=("PPMS",), versus=("SPMS",))),
            lower(Prevalence(measure="gd_lesion_presence", groups=("PPMS",), versus=("RRMS",))),
            higher(Difference(measure="edss", groups=("PPMS",), versus=("RRMS",))),
        ),
        design=StudyDesign(
            groups=(("PPMS", 26), ("SPMS", 26), ("RRMS", 26)),
            source="Ruggieri 2015 JAMA Neurol 72:1466-74 (abstract): 26 PPMS (and 20 controls); "
            "comparison groups of the same size assumed",
        ),
        note="Low relative to severity is read as: less lesion volume than SPMS and fewer "
        "enhancing scans than RRMS, at a higher EDSS than RRMS.",
    ),
    Check(
        finding="gd-lesions-more-frequent-early-ppms",
        claims=(
            higher(
                Prevalence(measure="gd_lesion_presence", groups=("PPMS",), split=("duration", 5.0)),
                label="PPMS with Gd-enhancing lesions, first 5 years against later",
            ),
        ),
        design=StudyDesign(groups=(("PPMS", 90),), source="not found: assumed"),
    ),
    Check(
        finding="early-gd-little-effect-disability-ppms",
        claims=(
            no_effect(
                Prediction(
                    measure="gd_lesion_presence",
                    outcome="edss_change",
                    groups=("PPMS",),
                    horizon=5.0,
                ),
                SMALL_CORRELATION,
            ),
        ),
        design=StudyDesign(
            groups=(("PPMS", 41),),
            years=(0.0, 1.0, 2.0, 5.0),
            duration=(0.0, 5.0),
            source="reference 18 not found; visits and number of the 5-year study of Ingle 2003 "
            "Brain 126:2528-36 (abstract): 41 PPMS at 0, 1, 2 and 5 years",
        ),
    ),
    Check(
        finding="t2-lesions-not-predict-progression-ppms",
        claims=(
            no_effect(
                Prediction(
                    measure="t2_lesion_count",
                    outcome="edss_change",
                    groups=("PPMS",),
                    horizon=15.0,
                ),
                SMALL_CORRELATION,
            ),
            no_effect(
                Prediction(
                    measure="t2_lesion_ml",
                    outcome="edss_change",
                    groups=("PPMS",),
                    horizon=15.0,
                ),
                SMALL_CORRELATION,
            ),
        ),
        design=StudyDesign(
            groups=(("PPMS", 54),),
            years=(0.0, 1.25, 5.0, 15.0),
            source="Rocca 2017 Brain 140:2814-2819 (abstract): 54 PPMS, 0, 15 months, 5 and 15 "
            "years, 49 followed",
        ),
        note="The text of the review names the number of lesions, its Table 1 the lesion load: "
        "both are claimed.",
    ),
    Check(
        finding="t2lv-correlates-disability-20y-spms",
        claims=(
            higher(
                Correlation(first="t2_lesion_ml", second="edss", groups=("RRMS",), at_second=20.0)
            ),
            higher(
                Correlation(
                    first="t2_lesion_count", second="edss", groups=("RRMS",), at_second=20.0
                )
            ),
        ),
        design=LONDON_COHORT,
        note="The cohort began with relapses and was rated after 20 years, whether or not it had "
        "become SPMS. Its printed correlations (0.48 to 0.67) are of all 107 patients, 40 of whom "
        "never had MS, and so are no magnitude for patients.",
    ),
    Check(
        finding="t2lv-accrual-faster-in-spms-converters",
        claims=(
            higher(
                RateByOutcome(
                    measure="t2_lesion_ml",
                    outcome="conversion",
                    groups=("RRMS",),
                    percent=False,
                    ratio=True,
                ),
                published=THREEFOLD_TO_TENFOLD,
            ),
        ),
        design=LONDON_COHORT,
    ),
    Check(
        finding="t2lv-accrual-gap-significant-after-5y",
        claims=(
            higher(
                RateByOutcome(
                    measure="t2_lesion_ml",
                    outcome="conversion",
                    groups=("RRMS",),
                    percent=False,
                    up_to=5.0,
                )
            ),
        ),
        design=LONDON_COHORT,
        note="When a difference becomes significant is a matter of sample size; what is claimed "
        "is the difference itself over the first five years.",
    ),
    Check(
        finding="t1-black-hole-accrual-trial-index",
        claims=(
            higher(Rate(measure="t1_lesion_ml", groups=("SPMS",), arm="placebo")),
            lower(TreatmentEffect(measure="t1_lesion_ml", groups=("SPMS",), kind="rate")),
        ),
        design=StudyDesign(
            groups=(("SPMS", 95),),
            years=(0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0),
            treatments=("placebo", "interferon_beta_1b"),
            source="Barkhof 2001 Brain 124:1396-1402 (abstract): 95 SPMS in both arms; scans every "
            "6 months for 3 years assumed",
        ),
        note="That it served as an index is shown by a trial in which it would tell the arms "
        "apart: volume grows on placebo, and less on a treatment of focal inflammation.",
    ),
    Check(
        finding="conventional-mri-weak-disability-pms",
        claims=tuple(
            no_effect(
                Correlation(first=measure, second="edss", groups=PROGRESSIVE),
                WEAK_CORRELATION,
                tested=False,  # weak is not absent: a repetition finds it inside the margin
            )
            for measure in ("t2_lesion_ml", "t2_lesion_count", "t1_lesion_ml", "gd_lesion_count")
        ),
        design=StudyDesign(groups=(("SPMS", 50), ("PPMS", 50)), source="no study cited: assumed"),
        note="The relation may exist, but must be weak.",
    ),
)

MTR_CHECKS: Final = (
    Check(
        finding="lesion-mtr-below-nawm-ppms",
        claims=(
            lower(PairedDifference(first="lesion_mtr_pu", second="nawm_mtr_pu", groups=("PPMS",))),
        ),
        design=LONDON_PPMS,
    ),
    Check(
        finding="nawm-mtr-below-hc-ppms",
        claims=(
            lower(
                Difference(
                    measure="nawm_mtr_pu", groups=("PPMS",), versus=("HC",), standardise=False
                ),
                published=LEARY_DIFFERENCE,
                record="leary1999_mtr_ppms",
            ),
        ),
        design=LONDON_PPMS,
        note="The magnitude is the range over three regions of the differences of medians: corpus "
        "callosum 0.90, frontal 0.48, centrum semiovale 0.61 percentage units.",
    ),
    Check(
        finding="nawm-mtr-lower-pms-than-other-phenotypes",
        claims=tuple(
            lower(Difference(measure="nawm_mtr_pu", groups=(progressive,), versus=("RRMS", "CIS")))
            for progressive in PROGRESSIVE
        ),
        design=StudyDesign(
            groups=(("CIS", 20), ("RRMS", 40), ("SPMS", 35), ("PPMS", 35)),
            source="not found: assumed",
        ),
    ),
    Check(
        finding="nawm-mtr-no-difference-spms-ppms",
        claims=(
            no_effect(
                Difference(measure="nawm_mtr_pu", groups=("SPMS",), versus=("PPMS",)),
                SMALL_DIFFERENCE,
            ),
        ),
        design=StudyDesign(groups=(("SPMS", 40), ("PPMS", 60)), source="not found: assumed"),
        note="The text of the review cites reference 26, its Table 1 references 24 and 25.",
    ),
    Check(
        finding="nawm-mtr-predicts-disability-1y-ppms",
        claims=tuple(
            higher(
                Prediction(measure="nawm_mtr_pu", outcome=outcome, groups=("PPMS",), horizon=1.0)
            )
            for outcome in ("edss_change", "msfc_change")
        ),
        design=EARLY_PPMS,
    ),
    Check(
        finding="nawm-mtr-predicts-disability-3y-ppms",
        claims=(
            higher(
                Prediction(
                    measure="nawm_mtr_pu", outcome="edss_change", groups=("PPMS",), horizon=3.0
                )
            ),
        ),
        design=EARLY_PPMS_3Y,
        note="The abstract of the cited paper names the magnetisation transfer of grey matter as "
        "the best predictor over three years; the review says normal-appearing white matter.",
    ),
    Check(
        finding="mtr-sensitive-to-change",
        claims=tuple(
            lower(Rate(measure=measure, groups=PROGRESSIVE))
            for measure in ("nawm_mtr_pu", "lesion_mtr_pu")
        ),
        design=StudyDesign(
            groups=(("SPMS", 30), ("PPMS", 30)),
            years=(0.0, 1.0, 2.0),
            source="not found: assumed",
        ),
    ),
    Check(
        finding="mtr-reproducible",
        claims=(
            higher(
                Reliability(measure="nawm_mtr_pu", groups=MS, kind="icc", against=GOOD_ICC),
            ),
        ),
        design=StudyDesign(
            groups=(("RRMS", 10), ("SPMS", 10), ("PPMS", 10)),
            years=(0.0, 0.02),
            source="not found: assumed; two scans a week apart",
        ),
        note="The cost of the method is not a matter of data.",
    ),
)

DTI_CHECKS: Final = (
    Check(
        finding="lesion-fa-lower-md-higher-than-nawm",
        claims=(
            lower(PairedDifference(first="lesion_fa", second="nawm_fa", groups=MS)),
            higher(PairedDifference(first="lesion_md_um2_ms", second="nawm_md_um2_ms", groups=MS)),
        ),
        design=ALL_TYPES,
    ),
    Check(
        finding="wm-diffusion-worse-spms-than-rrms",
        claims=(
            higher(Difference(measure="nawm_md_um2_ms", groups=("SPMS",), versus=("RRMS",))),
            lower(Difference(measure="nawm_fa", groups=("SPMS",), versus=("RRMS",))),
        ),
        design=PHENOTYPES_DTI,
    ),
    Check(
        finding="fa-decreased-lesions-and-nawm-spms",
        claims=(
            lower(Difference(measure="nawm_fa", groups=("SPMS",), versus=("HC",))),
            lower(PairedDifference(first="lesion_fa", second="nawm_fa", groups=("SPMS",))),
        ),
        design=PHENOTYPES_DTI,
        note="Controls have no lesions: FA of lesions is compared with the normal-appearing "
        "white matter of the same patients.",
    ),
    Check(
        finding="wm-md-rd-ad-up-fa-down-ppms-vs-hc",
        claims=(
            *(
                higher(Difference(measure=measure, groups=("PPMS",), versus=("HC",)))
                for measure in ("nawm_md_um2_ms", "nawm_rd_um2_ms", "nawm_ad_um2_ms")
            ),
            lower(Difference(measure="nawm_fa", groups=("PPMS",), versus=("HC",))),
        ),
        design=PHENOTYPES_DTI,
    ),
    Check(
        finding="nawm-diffusion-milder-ppms-than-spms",
        claims=(
            lower(Difference(measure="nawm_md_um2_ms", groups=("PPMS",), versus=("SPMS",))),
            higher(Difference(measure="nawm_fa", groups=("PPMS",), versus=("SPMS",))),
        ),
        design=PHENOTYPES_DTI,
    ),
)

TRACER_CHECKS: Final = (
    Check(
        finding="nawm-naa-below-hc-ppms",
        claims=(lower(Difference(measure="nawm_naa_mmol_l", groups=("PPMS",), versus=("HC",))),),
        design=StudyDesign(groups=(("PPMS", 20), ("HC", 20)), source="not found: assumed"),
    ),
    Check(
        finding="naa-no-difference-ppms-other-phenotypes",
        claims=tuple(
            no_effect(
                Difference(measure=measure, groups=("PPMS",), versus=("RRMS", "SPMS")),
                SMALL_DIFFERENCE,
            )
            for measure in ("nawm_naa_mmol_l", "lesion_naa_mmol_l")
        ),
        design=StudyDesign(
            groups=(("PPMS", 20), ("RRMS", 20), ("SPMS", 20)), source="not found: assumed"
        ),
    ),
    Check(
        finding="nawm-tspo-up-with-severity-and-age-pms",
        claims=(
            higher(Difference(measure="nawm_tspo_dvr", groups=("SPMS",), versus=("HC",))),
            higher(Correlation(first="nawm_tspo_dvr", second="edss", groups=("SPMS", "RRMS"))),
            higher(Correlation(first="nawm_tspo_dvr", second="age", groups=("SPMS", "RRMS"))),
        ),
        design=StudyDesign(
            groups=(("SPMS", 15), ("RRMS", 12), ("HC", 14)),
            source="Herranz 2016 Ann Neurol 80:776-790 (abstract): 15 SPMS, 12 RRMS, 14 controls",
        ),
        note="The abstract of the cited paper reports the relation with disability; that with age "
        "is in the abstract of Rissanen 2018 (10 SPMS, 10 RRMS, 17 controls).",
    ),
    Check(
        finding="nawm-tspo-above-hc-spms",
        claims=(higher(Difference(measure="nawm_tspo_dvr", groups=("SPMS",), versus=("HC",))),),
        design=StudyDesign(
            groups=(("SPMS", 10), ("HC", 17)),
            source="Rissanen 2018 Neurol Neuroimmunol Neuroinflamm (PMC5840890, abstract): 10 SPMS,"
            " 17 controls; the review cites a review of that group",
        ),
    ),
)

CHECKS: Final = (*LESION_CHECKS, *MTR_CHECKS, *DTI_CHECKS, *TRACER_CHECKS)
"""The checks of the white matter section, in the order of the review."""
