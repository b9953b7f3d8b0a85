"""How disability comes about and is measured, relapses, and what is not seen."""

from __future__ import annotations

import itertools
import math

from synthetic.clinical import (
    ConversionModel,
    DisabilityModel,
    FunctionalSystem,
    FunctionalSystemsModel,
    HandModel,
    InstrumentModel,
    MissingnessModel,
    RelapseModel,
)
from synthetic.defaults.assumptions import loadings
from synthetic.values import PerPhenotype, assumed, derived, published, worked_out

__all__ = [
    "CONVERSION",
    "DISABILITY",
    "FUNCTIONAL_SYSTEMS",
    "HANDS",
    "INSTRUMENTS",
    "MISSINGNESS",
    "RELAPSES",
]


_CALIBRATED = "rates and stages are one set: cohorts of published trials come near their results"
_INCLUSION = "typical inclusion of trials in progressive MS"
_BEFORE = "typical of the phenotype before inclusion cuts"
_BOTTOM = "where the scale begins"
_LESS = "less than the cord; how much is not published"
_HANDICAP = "the older and longer ill are more disabled at the same pathology"
_SPEED = "who loses faster worsens faster; the hazard ratio is not published"
_RESERVE = "who has lost more has less reserve; the hazard ratio is not published"
_AGE = "progression comes with age"
_SHARED = "what moves measures of brain and cord moves tests too, beyond the EDSS"
_SLOWER = "the old are slower at the same EDSS"
_BEYOND = "tests worsen a little where the EDSS stands still"
_BETWEEN = "typical between persons of the same EDSS"
_RETEST = "typical between repeated tests of one person"
_PRACTICE = "tests of cognition improve when repeated"
_ENDS = "where scores of the test end"
_FOCAL = "relapses come from focal inflammation; how much of their spread is not published"
_FEW = "few visits of trials are missed"

DISABILITY = DisabilityModel(
    edss_mean=PerPhenotype(
        RIS=assumed(0.5, "no symptoms by definition"),
        CIS=assumed(1.5, _BEFORE),
        RRMS=published("destefano2018_edss_rrms"),
        SPMS=assumed(6.3, _BEFORE),
        PPMS=assumed(5.0, _BEFORE),
    ),
    edss_sd=PerPhenotype(
        RIS=assumed(0.8, _BEFORE),
        CIS=assumed(1.0, _BEFORE),
        RRMS=published("destefano2018_edss_rrms", "sd"),
        SPMS=assumed(1.1, _BEFORE),
        PPMS=assumed(1.4, _BEFORE),
    ),
    edss_low=PerPhenotype(
        RIS=assumed(0.0, _BOTTOM),
        CIS=assumed(0.0, _BOTTOM),
        RRMS=assumed(0.0, _BOTTOM),
        SPMS=assumed(3.0, _INCLUSION),
        PPMS=assumed(3.0, _INCLUSION),
    ),
    edss_high=PerPhenotype(
        RIS=assumed(2.0, "more would be symptoms"),
        CIS=assumed(4.0, "one attack seldom leaves more"),
        RRMS=assumed(5.5, "typical inclusion of trials in relapsing MS"),
        SPMS=assumed(6.5, _INCLUSION),
        PPMS=assumed(6.5, _INCLUSION),
    ),
    level_loadings=(
        ("cord_level", assumed(0.45, "walking, which the EDSS weighs most, hangs on the cord")),
        ("neurodegeneration_level", assumed(0.35, _LESS)),
        ("meningeal_level", assumed(0.20, _LESS)),
        ("demyelination_level", assumed(0.15, _LESS)),
        ("age", assumed(0.15, _HANDICAP)),
        ("duration", assumed(0.15, _HANDICAP)),
    ),
    worsening_rate=PerPhenotype(
        RIS=assumed(0.03, "without symptoms, hardly any"),
        CIS=assumed(0.10, "a third of relapsing MS"),
        RRMS=assumed(0.32, _CALIBRATED),
        SPMS=assumed(0.60, _CALIBRATED),
        PPMS=assumed(0.80, _CALIBRATED),
    ),
    loadings=(
        ("neurodegeneration_rate", assumed(0.28, _SPEED)),
        ("cord_rate", assumed(0.30, _SPEED)),
        ("meningeal_rate", assumed(0.15, _SPEED)),
        ("neurodegeneration_level", assumed(0.20, _RESERVE)),
        ("demyelination_level", assumed(0.12, _RESERVE)),
        ("cord_level", assumed(0.12, _RESERVE)),
        ("meningeal_level", assumed(0.08, _RESERVE)),
    ),
    stages=(
        (0.0, assumed(0.8, _CALIBRATED)),
        (3.0, assumed(0.8, _CALIBRATED)),
        (5.0, assumed(1.1, _CALIBRATED)),
        (6.0, assumed(0.45, "people stay long at 6.0 and 6.5")),
        (7.0, assumed(0.35, "and longer still where they no longer walk")),
        (9.5, assumed(0.0, "the end of the scale of the living")),
    ),
    step=assumed(0.5, "the smallest of the scale: a confirmed point takes two of them"),
    late_step=assumed(0.5, "the smallest of the scale, and enough for progression above 5.5"),
    rater_sd=assumed(0.25, "one rating in three is half a point off"),
    late_rater_sd=assumed(0.13, "walking distance and aids rate reliably"),
)
"""No single trial's rate is a parameter: the rates and stages are one set, whose cohorts come near
the published shares with confirmed progression once they are included as the trials included."""

CONVERSION = ConversionModel(
    ris_loadings=(
        ("cord_level", assumed(0.9, "lesions of the cord precede the primary progressive course")),
        ("neurodegeneration_level", assumed(0.3, _RESERVE)),
        ("age", assumed(0.4, _AGE)),
    ),
    rrms_loadings=(
        ("cord_rate", assumed(0.5, "progression is of walking for the most part")),
        ("neurodegeneration_rate", assumed(0.3, _SPEED)),
        ("inflammation_level", assumed(0.6, "converters have more lesions (Fisniku 2008)")),
        ("inflammation_rate", assumed(0.8, "and gather over three times as much volume a year")),
        ("age", assumed(0.3, _AGE)),
    ),
)
"""Nobody converts unless a description sets the rates: ``ris_to_ppms``, ``rrms_to_spms``."""

RELAPSES = RelapseModel(
    rate=PerPhenotype(
        RIS=assumed(0.0, "no symptoms by definition"),
        CIS=assumed(0.4, "nearly that of relapsing MS"),
        RRMS=assumed(0.5, "about one in two years without treatment"),
        SPMS=assumed(0.15, "few relapses on top of progression"),
        PPMS=worked_out("wolinsky2004_relapses_ppms"),
    ),
    dispersion=assumed(1.0, "counts spread wider than by chance: some relapse often, many never"),
    loadings=loadings(_FOCAL, inflammation_level=0.3, inflammation_rate=0.5),
    severity=assumed(1.0, "a point at onset is typical of an attack"),
    recovery_days=assumed(45, "most of the recovery takes two to three months"),
    residual_share=assumed(0.1, "most attacks leave little: disability comes by progression"),
)

_PEGS = assumed(2.90, "18.2 s without impairment")
_TRIAL_EDSS = 6.0
INSTRUMENTS = (
    InstrumentModel(
        measure="t25fw_s",
        scale="log",
        intercept=assumed(1.40, "4.1 s without impairment"),
        slope=assumed(0.10, "a tenth longer per point while walking is free"),
        late_slope=assumed(0.30, "walking slows steeply once its range is limited"),
        late_from=assumed(4.0, "where walking distance begins to count in the EDSS"),
        own_sd=assumed(0.15, _BETWEEN),
        level_loadings=loadings(_SHARED, cord_level=0.3, neurodegeneration_level=0.2),
        drift=assumed(0.035, _BEYOND),
        drift_sd=assumed(0.05, _BETWEEN),
        rate_loadings=loadings(_SHARED, cord_rate=0.35, neurodegeneration_rate=0.3),
        noise_sd=assumed(0.07, _RETEST),
        decimals=1,
        low=assumed(2.5, _ENDS),
        high=assumed(180.0, _ENDS),
        unable_above=assumed(7.25, "from 7.5 on nobody walks 25 feet"),
    ),
    InstrumentModel(
        measure="nhpt_s",
        scale="log",
        intercept=_PEGS,
        slope=derived(
            (math.log(published("steiner2016_nhpt_spms")) - _PEGS) / _TRIAL_EDSS,
            f"median of a trial in SPMS, taken for EDSS {_TRIAL_EDSS:.1f}, above "
            f"{math.exp(_PEGS):.1f} s without impairment",
            "steiner2016_nhpt_spms",
        ),
        own_sd=assumed(0.18, _BETWEEN),
        level_loadings=loadings(_SHARED, neurodegeneration_level=0.35, cord_level=0.2),
        drift=assumed(0.03, _BEYOND),
        drift_sd=assumed(0.05, _BETWEEN),
        rate_loadings=loadings(_SHARED, neurodegeneration_rate=0.4, cord_rate=0.2),
        noise_sd=assumed(0.06, _RETEST),
        decimals=1,
        low=assumed(10.0, _ENDS),
        high=assumed(300.0, _ENDS),
    ),
    InstrumentModel(
        measure="sdmt",
        intercept=assumed(56.0, "typical of adults without impairment"),
        slope=assumed(-2.2, "at EDSS 6.0 about 13 fewer, as progressive MS scores"),
        own_sd=assumed(9.0, _BETWEEN),
        level_loadings=(
            *loadings(_SHARED, neurodegeneration_level=0.45),
            *loadings(_SLOWER, age=0.2),
        ),
        drift=assumed(-0.4, _BEYOND),
        drift_sd=assumed(0.6, _BETWEEN),
        rate_loadings=loadings(_SHARED, neurodegeneration_rate=0.5),
        noise_sd=assumed(3.0, _RETEST),
        practice=assumed(2.0, _PRACTICE),
        low=assumed(3.0, _ENDS),
        high=assumed(95.0, _ENDS),
    ),
    InstrumentModel(
        measure="pasat3",
        intercept=assumed(51.0, "typical of adults without impairment"),
        slope=assumed(-1.5, "at EDSS 6.0 about 9 fewer, as progressive MS scores"),
        own_sd=assumed(8.0, _BETWEEN),
        level_loadings=(
            *loadings(_SHARED, neurodegeneration_level=0.45),
            *loadings(_SLOWER, age=0.2),
        ),
        drift=assumed(-0.2, _BEYOND),
        drift_sd=assumed(0.5, _BETWEEN),
        rate_loadings=loadings(_SHARED, neurodegeneration_rate=0.5),
        noise_sd=assumed(3.0, _RETEST),
        practice=assumed(2.5, _PRACTICE),
        low=assumed(0.0, _ENDS),
        high=assumed(60.0, _ENDS),
    ),
)

HANDS = HandModel(
    mean=assumed(0.05, "the other hand takes some percent longer"),
    own_sd=assumed(0.20, "one side is often worse"),
    drift_sd=assumed(0.05, "a hand worsens on its own at times"),
    noise_sd=assumed(0.05, _RETEST),
)
"""The hands of the peg test, for descriptions that tell them apart; ``progressive`` does not."""


def _system(measure: str, discrimination: float, *increments: float) -> FunctionalSystem:
    """Take item parameters as they were deposited: a first threshold, then increments."""
    thresholds = tuple(assumed(v, _DEPOSITED) for v in itertools.accumulate(increments))
    return FunctionalSystem(
        measure=measure,
        discrimination=assumed(discrimination, _DEPOSITED),
        thresholds=thresholds,
    )


_DEPOSITED = (
    "final estimate of Novakovic 2017 (RRMS; deposited as DDMODEL00000223, read in a public "
    "transcription); no evidence record yet"
)

FUNCTIONAL_SYSTEMS = FunctionalSystemsModel(
    systems=(
        _system("fs_pyramidal", 3.16, -1.57, 1.27, 0.823, 1.43, 1.31),
        _system("fs_cerebellar", 2.81, -0.929, 0.979, 1.03, 1.64, 1.11),
        _system("fs_brainstem", 1.02, -0.121, 1.74, 2.02, 2.81),
        _system("fs_sensory", 0.98, -0.799, 1.2, 1.97, 2.39, 3.02, 2.35),
        _system("fs_bowel_bladder", 1.25, -0.151, 1.9, 1.54, 3.03, 0.962),
        _system("fs_visual", 0.424, 0.0351, 3.87, 2.76, 1.76, 1.77, 1.75),
        _system("fs_cerebral", 0.907, 0.4, 1.12, 4.17, 2.9),
    ),
    persistence=assumed(0.8, "a system once affected stays so for the most part"),
    edss_mean=published("destefano2018_edss_rrms"),
    edss_sd=published("destefano2018_edss_rrms", "sd"),
)
"""For descriptions that record functional systems; no preset does. Impairment 0 and its spread of 1
are those of the trial whose patients the item parameters come from."""

MISSINGNESS = MissingnessModel(
    missed_visit=assumed(0.04, _FEW),
    missed_scan=assumed(0.05, _FEW),
    dropout="mar",
    dropout_rate=assumed(
        0.11, "with the excess after worsening, near the 21 % of OLYMPUS placebo at 96 weeks"
    ),
    dropout_log_hazard=assumed(0.7, "who worsens leaves about twice as often"),
    death_rate=assumed(0.003, "3 in 1000 a year at 45, above that of the population"),
    death_log_hazard_per_year=assumed(0.085, "mortality doubles about every eight years"),
)
