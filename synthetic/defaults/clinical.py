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
from synthetic.values import PerPhenotype, assumed, derived, published

__all__ = [
    "CONVERSION",
    "DISABILITY",
    "FUNCTIONAL_SYSTEMS",
    "HANDS",
    "INSTRUMENTS",
    "MISSINGNESS",
    "RELAPSES",
]


_CALIBRATED = "chosen with the stages so that cohorts of published trials come near their results"
_INCLUSION = "typical inclusion of trials in progressive MS"

DISABILITY = DisabilityModel(
    edss_mean=PerPhenotype(
        RIS=assumed(0.5, "no symptoms by definition"),
        CIS=assumed(1.5),
        RRMS=published("destefano2018_edss_rrms"),
        SPMS=assumed(6.3),
        PPMS=assumed(5.0),
    ),
    edss_sd=PerPhenotype(
        RIS=assumed(0.8),
        CIS=assumed(1.0),
        RRMS=published("destefano2018_edss_rrms", "sd"),
        SPMS=assumed(1.1),
        PPMS=assumed(1.4),
    ),
    edss_low=PerPhenotype(
        RIS=assumed(0.0),
        CIS=assumed(0.0),
        RRMS=assumed(0.0),
        SPMS=assumed(3.0, _INCLUSION),
        PPMS=assumed(3.0, _INCLUSION),
    ),
    edss_high=PerPhenotype(
        RIS=assumed(2.0),
        CIS=assumed(4.0),
        RRMS=assumed(5.5),
        SPMS=assumed(6.5, _INCLUSION),
        PPMS=assumed(6.5, _INCLUSION),
    ),
    level_loadings=(
        ("cord_level", assumed(0.45, "walking, which the EDSS weighs most, hangs on the cord")),
        ("neurodegeneration_level", assumed(0.35)),
        ("meningeal_level", assumed(0.20)),
        ("demyelination_level", assumed(0.15)),
        ("age", assumed(0.15)),
        ("duration", assumed(0.15)),
    ),
    worsening_rate=PerPhenotype(
        RIS=assumed(0.03),
        CIS=assumed(0.10),
        RRMS=assumed(0.32, _CALIBRATED),
        SPMS=assumed(0.60, _CALIBRATED),
        PPMS=assumed(0.80, _CALIBRATED),
    ),
    loadings=(
        ("neurodegeneration_rate", assumed(0.28)),
        ("cord_rate", assumed(0.30)),
        ("meningeal_rate", assumed(0.15)),
        ("neurodegeneration_level", assumed(0.20)),
        ("demyelination_level", assumed(0.12)),
        ("cord_level", assumed(0.12)),
        ("meningeal_level", assumed(0.08)),
    ),
    stages=(
        (0.0, assumed(0.8)),
        (3.0, assumed(0.8)),
        (5.0, assumed(1.1)),
        (6.0, assumed(0.45, "people stay long at 6.0 and 6.5")),
        (7.0, assumed(0.35)),
        (9.5, assumed(0.0, "the end of the scale of the living")),
    ),
    step=assumed(0.5, "the smallest of the scale: a confirmed point takes two of them"),
    late_step=assumed(0.5),
    rater_sd=assumed(0.25, "one rating in three is half a point off"),
    late_rater_sd=assumed(0.13, "walking distance and aids rate reliably"),
)
"""No single trial's rate is a parameter: the rates and stages are one set, whose cohorts come near
the published shares with confirmed progression once they are included as the trials included."""

CONVERSION = ConversionModel(
    ris_loadings=(
        ("cord_level", assumed(0.9, "lesions of the cord precede the primary progressive course")),
        ("neurodegeneration_level", assumed(0.3)),
        ("age", assumed(0.4)),
    ),
    rrms_loadings=(
        ("cord_rate", assumed(0.5)),
        ("neurodegeneration_rate", assumed(0.3)),
        ("inflammation_level", assumed(0.6, "converters have more lesions (Fisniku 2008)")),
        ("inflammation_rate", assumed(0.8, "and gather over three times as much volume a year")),
        ("age", assumed(0.3)),
    ),
)
"""Nobody converts unless a description sets the rates: ``ris_to_ppms``, ``rrms_to_spms``."""

RELAPSES = RelapseModel(
    rate=PerPhenotype(
        RIS=assumed(0.0, "no symptoms by definition"),
        CIS=assumed(0.4),
        RRMS=assumed(0.5),
        SPMS=assumed(0.15),
        PPMS=published("wolinsky2004_relapses_ppms"),
    ),
    dispersion=assumed(1.0),
    loadings=(("inflammation_level", assumed(0.3)), ("inflammation_rate", assumed(0.5))),
    severity=assumed(1.0),
    recovery_days=assumed(45),
    residual_share=assumed(0.1),
)

INSTRUMENTS = (
    InstrumentModel(
        measure="t25fw_s",
        scale="log",
        intercept=assumed(1.40),
        slope=assumed(0.10),
        late_slope=assumed(0.30, "walking slows steeply once its range is limited"),
        late_from=assumed(4.0),
        own_sd=assumed(0.15),
        level_loadings=(("cord_level", assumed(0.3)), ("neurodegeneration_level", assumed(0.2))),
        drift=assumed(0.035),
        drift_sd=assumed(0.05),
        rate_loadings=(("cord_rate", assumed(0.35)), ("neurodegeneration_rate", assumed(0.3))),
        noise_sd=assumed(0.07),
        decimals=1,
        low=assumed(2.5),
        high=assumed(180.0),
        unable_above=assumed(7.25),
    ),
    InstrumentModel(
        measure="nhpt_s",
        scale="log",
        intercept=assumed(2.90),
        slope=derived(
            (math.log(published("steiner2016_nhpt_spms")) - 2.90) / 6.0,
            "median of a trial in SPMS, taken for EDSS 6.0, above 18.2 s without impairment",
            "steiner2016_nhpt_spms",
        ),
        own_sd=assumed(0.18),
        level_loadings=(("neurodegeneration_level", assumed(0.35)), ("cord_level", assumed(0.2))),
        drift=assumed(0.03),
        drift_sd=assumed(0.05),
        rate_loadings=(("neurodegeneration_rate", assumed(0.4)), ("cord_rate", assumed(0.2))),
        noise_sd=assumed(0.06),
        decimals=1,
        low=assumed(10.0),
        high=assumed(300.0),
    ),
    InstrumentModel(
        measure="sdmt",
        intercept=assumed(56.0),
        slope=assumed(-2.2),
        own_sd=assumed(9.0),
        level_loadings=(("neurodegeneration_level", assumed(0.45)), ("age", assumed(0.2))),
        drift=assumed(-0.4),
        drift_sd=assumed(0.6),
        rate_loadings=(("neurodegeneration_rate", assumed(0.5)),),
        noise_sd=assumed(3.0),
        practice=assumed(2.0),
        low=assumed(3.0),
        high=assumed(95.0),
    ),
    InstrumentModel(
        measure="pasat3",
        intercept=assumed(51.0),
        slope=assumed(-1.5),
        own_sd=assumed(8.0),
        level_loadings=(("neurodegeneration_level", assumed(0.45)), ("age", assumed(0.2))),
        drift=assumed(-0.2),
        drift_sd=assumed(0.5),
        rate_loadings=(("neurodegeneration_rate", assumed(0.5)),),
        noise_sd=assumed(3.0),
        practice=assumed(2.5),
        low=assumed(0.0),
        high=assumed(60.0),
    ),
)

HANDS = HandModel(
    mean=assumed(0.05, "the other hand takes some percent longer"),
    own_sd=assumed(0.20, "one side is often worse"),
    drift_sd=assumed(0.05),
    noise_sd=assumed(0.05),
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
    persistence=assumed(0.8),
    edss_mean=published("destefano2018_edss_rrms"),
    edss_sd=published("destefano2018_edss_rrms", "sd"),
)
"""For descriptions that record functional systems; no preset does. Impairment 0 and its spread of 1
are those of the trial whose patients the item parameters come from."""

MISSINGNESS = MissingnessModel(
    missed_visit=assumed(0.04),
    missed_scan=assumed(0.05),
    dropout="mar",
    dropout_rate=assumed(
        0.11, "with the excess after worsening, near the 21 % of OLYMPUS placebo at 96 weeks"
    ),
    dropout_log_hazard=assumed(0.7),
    death_rate=assumed(0.003),
    death_log_hazard_per_year=assumed(0.085, "mortality doubles about every eight years"),
)
