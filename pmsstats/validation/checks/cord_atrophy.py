"""Checks of the spinal cord findings: area and volume."""

from __future__ import annotations

import math

from pmsstats.validation.analyses import (
    ChangeCorrelation,
    Correlation,
    CorrelationContrast,
    Difference,
    DifferenceContrast,
    PairedRateDifference,
    Prediction,
    Rate,
    RateByOutcome,
    RateDifference,
    Reliability,
    SampleSize,
)
from pmsstats.validation.check import Check
from pmsstats.validation.checks.claims import (
    PROGRESSIVE,
    SMALL_CORRELATION,
    higher,
    lower,
    no_effect,
)
from pmsstats.validation.checks.published import correlation_interval, standardised_interval
from pmsstats.validation.design import StudyDesign

__all__ = ["CHECKS"]

AREA = "cord_area_c2c3_mm2"
"""The upper cervical area, which most of the cited studies measured."""

SLOW_CORD_LOSS = 0.3
"""Percent a year. A fifth of the 1.6 % a year of SPMS: less than a drug is hoped to save."""

FACTOR_OF_TWO = math.log(2)
"""Log ratio. Numbers per arm follow the square of SD over mean, known to about 40 % from 26."""

EXCELLENT_ICC = 0.9
"""Above it reliability is usually called excellent."""

PROGRESSORS = "cdp12"
"""Worsening on the EDSS confirmed after 12 weeks."""

LUKAS_2015 = StudyDesign(
    groups=(("RRMS", 256), ("SPMS", 73), ("PPMS", 23)),
    years=(0.0, 2.0),
    source="n and 24 months of the abstract: Lukas 2015, JNNP 86:410; ratings in between assumed",
)
SCHLAEGER_2015 = StudyDesign(
    groups=(("RRMS", 100), ("SPMS", 21), ("PPMS", 21)),
    source=(
        "142 patients in the abstract: Schlaeger 2015, JAMA Neurol 72:897; the split over the "
        "phenotypes assumed"
    ),
)
RUGGIERI_2015 = StudyDesign(
    groups=(("PPMS", 26), ("HC", 20)),
    source="n of the abstract: Ruggieri 2015, JAMA Neurol 72:1466",
)
FURBY_2010 = StudyDesign(
    groups=(("SPMS", 56),),
    years=(0.0, 1.0, 2.0),
    source="n and 24 months of the abstract: Furby 2010, J Neurol 257:1508; yearly scans assumed",
)
CAWLEY_2018 = StudyDesign(
    groups=(("PPMS", 26), ("SPMS", 18), ("HC", 20)),
    years=(0.0, 1.0),
    source=(
        "26 PPMS, 18 SPMS, 12 months in the abstract: Cawley 2018, Mult Scler 24:932; 20 HC assumed"
    ),
)

ACROSS = (
    Check(
        finding="cord-atrophy-from-diffuse-axonal-loss",
        claims=(
            higher(
                CorrelationContrast(
                    first="cord_naa_mmol_l",
                    second="cord_lesion_count",
                    other=AREA,
                    groups=("RRMS", "SPMS", "PPMS"),
                ),
                label="cord area: correlation with cord NAA minus that with cord lesions",
                tested=False,
            ),
        ),
        design=StudyDesign(
            groups=(("RRMS", 5), ("SPMS", 40), ("PPMS", 10)),
            source=(
                "55 post-mortem cases in the abstract: Evangelou 2005, Brain 128:29; the split "
                "over the phenotypes assumed"
            ),
        ),
        note="A stand-in in the living: cord NAA for axons, the number of cord lesions for focal.",
    ),
    Check(
        finding="cord-atrophy-present-early",
        claims=tuple(
            lower(Difference(measure=AREA, groups=(phenotype,), versus=("HC",)))
            for phenotype in ("CIS", "RRMS")
        ),
        design=StudyDesign(
            groups=(("CIS", 85), ("RRMS", 182), ("HC", 64)),
            source=(
                "the cited study's controls were not found: assumed as in the abstract of a "
                "study of early disease (PubMed 25139943)"
            ),
        ),
    ),
    Check(
        finding="cord-atrophy-greater-pms-cervical-thoracic",
        claims=(
            lower(Difference(measure=AREA, groups=PROGRESSIVE, versus=("RRMS",))),
            lower(
                Difference(measure="cord_area_thoracic_mm2", groups=PROGRESSIVE, versus=("RRMS",))
            ),
            higher(Difference(measure="cord_lesion_count", groups=PROGRESSIVE, versus=("RRMS",))),
        ),
        design=SCHLAEGER_2015,
    ),
    Check(
        finding="cord-area-especially-gm-correlates-disability",
        claims=(
            lower(Correlation(first=AREA, second="edss", groups=("RRMS", "SPMS", "PPMS"))),
            lower(
                Correlation(
                    first="cord_area_thoracic_mm2",
                    second="edss",
                    groups=("RRMS", "SPMS", "PPMS"),
                )
            ),
            higher(
                CorrelationContrast(
                    first="cord_gm_area_mm2",
                    second="cord_wm_area_mm2",
                    other="edss",
                    groups=("RRMS", "SPMS", "PPMS"),
                ),
                label="EDSS: correlation with cord grey matter minus that with its white matter",
                tested=False,
            ),
        ),
        design=SCHLAEGER_2015,
        note="Grey matter in particular is read as: a stronger relation than that of white matter.",
    ),
    Check(
        finding="c7-area-best-separates-spms-rrms",
        claims=(
            lower(
                Difference(measure="cord_area_c7_mm2", groups=("SPMS",), versus=("RRMS",)),
            ),
            lower(
                DifferenceContrast(
                    first="cord_area_c7_mm2", second=AREA, groups=("SPMS",), versus=("RRMS",)
                ),
                label="difference of SPMS and RRMS at C7 minus that at C2-C3",
                tested=False,
            ),
        ),
        design=StudyDesign(
            groups=(("SPMS", 25), ("RRMS", 31)),
            source="n of the abstract: Zeydan 2018, Neurol Neuroimmunol Neuroinflamm 5:e435",
        ),
        note="The cited SPMS were within a year of its onset, which the tables do not hold.",
    ),
    Check(
        finding="cord-volume-below-hc-ppms",
        claims=(
            lower(Difference(measure="cord_c2c3_ml", groups=("PPMS",), versus=("HC",))),
            lower(
                Difference(measure="cord_c2c5_ml", groups=("PPMS",), versus=("HC",)),
                published=standardised_interval(
                    "ruggieri2015_cord_c2c5_mean_ppms", "ruggieri2015_cord_c2c5_mean_hc"
                ),
                record="ruggieri2015_cord_c2c5_mean_ppms",
            ),
        ),
        design=RUGGIERI_2015,
    ),
    Check(
        finding="cord-atrophy-unrelated-brain-lesions-ppms",
        claims=tuple(
            no_effect(
                Correlation(first="cord_c2c5_ml", second=other, groups=("PPMS",)),
                SMALL_CORRELATION,
            )
            for other in ("t2_lesion_ml", "brain_ml")
        ),
        design=RUGGIERI_2015,
    ),
)

OVER_TIME = (
    Check(
        finding="cord-atrophy-faster-with-progression",
        claims=(
            lower(
                RateByOutcome(measure=AREA, outcome=PROGRESSORS, groups=("RRMS", "SPMS", "PPMS"))
            ),
        ),
        design=LUKAS_2015,
    ),
    Check(
        finding="cord-atrophy-predicts-disability",
        claims=(
            higher(
                Prediction(
                    measure=AREA,
                    outcome=PROGRESSORS,
                    groups=("RRMS", "SPMS", "PPMS"),
                    horizon=2.0,
                )
            ),
        ),
        design=LUKAS_2015,
    ),
    Check(
        finding="cord-csa-declines-15m-ppms",
        claims=(lower(Rate(measure=AREA, groups=("PPMS",))),),
        design=StudyDesign(
            groups=(("PPMS", 54),),
            years=(0.0, 1.25),
            source="54 with scans 15 months apart in the abstract: Rocca 2017, Brain 140:2814",
        ),
    ),
    Check(
        finding="cord-csa-highest-annual-rate-spms",
        claims=tuple(
            higher(
                PairedRateDifference(first=AREA, second=other, groups=("SPMS",), magnitude=True),
                tested=False,
            )
            for other in ("brain_ml", "gm_ml", "wm_ml")
        ),
        design=FURBY_2010,
        note="Percent a year in the direction of worsening, against the volumes of that study.",
    ),
    Check(
        finding="cord-csa-change-correlates-msfc-change-spms",
        claims=(
            higher(
                ChangeCorrelation(first=AREA, second="msfc_z", groups=("SPMS",)),
                published=correlation_interval("furby2010_cord_r_msfc_change_spms"),
                record="furby2010_cord_r_msfc_change_spms",
            ),
        ),
        design=FURBY_2010,
    ),
    Check(
        finding="cord-csa-1y-loss-ppms-vs-hc",
        claims=(lower(RateDifference(measure=AREA, groups=("PPMS",), versus=("HC",))),),
        design=CAWLEY_2018,
    ),
    Check(
        finding="cord-csa-1y-no-difference-spms-hc",
        claims=(
            no_effect(
                RateDifference(measure=AREA, groups=("SPMS",), versus=("HC",)), SLOW_CORD_LOSS
            ),
        ),
        design=CAWLEY_2018,
        note=(
            "Not so in truth here: the 2.2 % a year of 73 SPMS (Lukas 2015) and the 1.63 % of 56 "
            "(Furby 2010) are losses that controls do not have, so a large study contradicts the "
            "finding by design. What it says is how often 18 patients would have missed them."
        ),
    ),
    Check(
        finding="cord-csa-sample-size-ppms",
        claims=(
            no_effect(
                SampleSize(measure=AREA, groups=("PPMS",), effect=0.5, power=0.8, against=57),
                FACTOR_OF_TWO,
                record="cawley2018_cord_n_per_arm_ppms",
                label="numbers per arm for a slowing of 50 %, against the published 57",
                tested=False,
            ),
        ),
        design=CAWLEY_2018,
    ),
    Check(
        finding="cord-active-surface-reproducible",
        claims=(
            higher(
                Reliability(
                    measure=AREA,
                    groups=("HC", "CIS", "RRMS", "SPMS", "PPMS"),
                    kind="icc",
                    against=EXCELLENT_ICC,
                ),
                label="intraclass correlation of two scans, over 0.9",
            ),
        ),
        design=StudyDesign(
            groups=(("HC", 26), ("CIS", 21), ("RRMS", 26), ("SPMS", 21), ("PPMS", 26)),
            years=(0.0, 0.02),
            source=(
                "n of the abstract: Yiannakas 2016, NeuroImage Clin 10:71; a week between scans "
                "assumed"
            ),
        ),
    ),
)

CHECKS: tuple[Check, ...] = ACROSS + OVER_TIME
"""One for each simulable finding on cord area and volume."""
