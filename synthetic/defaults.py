"""The numbers behind the presets; each names its evidence record, or says that it is assumed."""

from __future__ import annotations

import dataclasses
import math

from synthetic.observation import (
    HandModel,
    ImagingModel,
    InstrumentModel,
    MissingnessModel,
    ScheduleModel,
)
from synthetic.parameters import DisabilityModel, LesionModel, PopulationModel, RelapseModel
from synthetic.values import PerPhenotype, Sourced, assumed, derived, published

__all__ = [
    "DISABILITY",
    "HANDS",
    "IMAGING",
    "INSTRUMENTS",
    "LESIONS",
    "MISSINGNESS",
    "POPULATION",
    "RELAPSES",
    "SCHEDULE",
    "THALAMUS_COMMON_RATE",
]


def _hazard(record_id: str, years: float) -> Sourced:
    """Turn a published percentage with an event by some time to a constant hazard per year."""
    percent = published(record_id)
    return derived(-math.log1p(-percent / 100) / years, f"constant hazard over {years:g} yr",
                   record_id)  # fmt: skip


POPULATION = PopulationModel(
    mix=PerPhenotype(HC=assumed(0.20), RRMS=assumed(0.15), SPMS=assumed(0.35), PPMS=assumed(0.30)),
    female=PerPhenotype(
        HC=assumed(0.60), RRMS=assumed(0.70), SPMS=assumed(0.60), PPMS=assumed(0.50)
    ),
    age_mean=PerPhenotype(HC=assumed(46), RRMS=assumed(38), SPMS=assumed(48), PPMS=assumed(47)),
    age_sd=PerPhenotype(HC=assumed(10), RRMS=assumed(9), SPMS=assumed(8), PPMS=assumed(8)),
    age_range=(18.0, 70.0),
    duration_mean=PerPhenotype(
        RRMS=assumed(8), SPMS=published("kappos2018_duration_spms"), PPMS=assumed(7)
    ),
    duration_sd=PerPhenotype(
        RRMS=assumed(6), SPMS=published("kappos2018_duration_spms", "sd"), PPMS=assumed(5)
    ),
    correlations=(
        ("damage", "rate", assumed(0.3)),
        ("damage", "disability", assumed(0.4)),
        ("rate", "disability", assumed(0.2)),
    ),
)

_PROMISE = _hazard("wolinsky2004_progression_ppms", 1.0)
_OLYMPUS = _hazard("hawker2009_progression_ppms", 96 * 7 / 365.25)
_INCLUSION = "typical inclusion of trials in progressive MS"

DISABILITY = DisabilityModel(
    edss_mean=PerPhenotype(
        RRMS=published("destefano2018_edss_rrms"), SPMS=assumed(5.4), PPMS=assumed(4.7)
    ),
    edss_sd=PerPhenotype(
        RRMS=published("destefano2018_edss_rrms", "sd"), SPMS=assumed(1.0), PPMS=assumed(1.2)
    ),
    edss_low=PerPhenotype(
        RRMS=assumed(0.0), SPMS=assumed(3.0, _INCLUSION), PPMS=assumed(3.0, _INCLUSION)
    ),
    edss_high=PerPhenotype(
        RRMS=assumed(5.5), SPMS=assumed(6.5, _INCLUSION), PPMS=assumed(6.5, _INCLUSION)
    ),
    worsening_rate=PerPhenotype(
        RRMS=assumed(0.05, "lasting worsening apart from relapses"),
        SPMS=_hazard("brochet2017_progression_spms", 2.0),
        PPMS=derived(
            (_PROMISE + _OLYMPUS) / 2,
            "mean of the hazards in PROMiSe (over 1 yr) and OLYMPUS placebo (over 96 weeks)",
            "wolinsky2004_progression_ppms",
            "hawker2009_progression_ppms",
        ),
    ),
    log_hazard_per_sd=assumed(0.75),
    step=assumed(1.0),
    late_step=assumed(0.5),
    rater_sd=assumed(0.28, "one rating in five is half a point off"),
    late_rater_sd=assumed(0.13, "walking distance and aids rate reliably"),
)

RELAPSES = RelapseModel(
    rate=PerPhenotype(
        RRMS=assumed(0.5), SPMS=assumed(0.15), PPMS=published("wolinsky2004_relapses_ppms")
    ),
    dispersion=assumed(1.0),
    severity=assumed(1.0),
    recovery_days=assumed(45),
    residual_share=assumed(0.1),
)

LESIONS = LesionModel(
    rate=PerPhenotype(
        RRMS=assumed(3.0),
        SPMS=assumed(1.0),
        PPMS=assumed(0.5, "as in the placebo arm of INFORMS (Miller 2018)"),
    ),
    dispersion=assumed(3.0, "most patients have none, a few have many"),
    relapse_loading=assumed(0.5),
    enhancing_days=assumed(
        42, "some weeks; a scan then enhances in 5 % of PPMS, where INFORMS found 13 % at baseline"
    ),
)
"""New lesions, for descriptions that count them; ``progressive`` does not."""

_EXPAND = "inside the range over subgroups of the EXPAND placebo arm, -0.7 to -1.8 %/yr"
_PBVC_MEAN = published("lukas2015_pbvc_rate_spms")
_PBVC_SLOPE_SD = derived(
    -_PBVC_MEAN * published("altmann2009_pbvc_slope_sd"),
    "multiple of the mean annual change",
    "altmann2009_pbvc_slope_sd",
    "lukas2015_pbvc_rate_spms",
)
_BRAIN_RATES = PerPhenotype(
    HC=assumed(-0.2),
    RRMS=published("lukas2015_pbvc_rate_rrms"),
    SPMS=_PBVC_MEAN,
    PPMS=published("lukas2015_pbvc_rate_ppms"),
)

THALAMUS = ImagingModel(
    measure="thalamus_ml",
    mean=PerPhenotype(HC=assumed(15.8), RRMS=assumed(14.4), SPMS=assumed(13.0), PPMS=assumed(13.4)),
    sd=assumed(1.5),
    rate_pct=PerPhenotype(
        HC=published("azevedo2018_thalamus_rate_hc"),
        RRMS=published("azevedo2018_thalamus_rate_ms"),
        SPMS=assumed(-1.1, _EXPAND),
        PPMS=assumed(-1.2, _EXPAND),
    ),
    rate_sd_pct=assumed(
        0.8, "with the error below, three annual scans give slopes of SD 1.07 %/yr (Azevedo: 1.09)"
    ),
    error_sd=assumed(0.14, "1 % of a patient's volume"),
    damage_loading=assumed(0.7),
    age_loading=assumed(0.3),
    rate_loading=assumed(0.8),
)

THALAMUS_COMMON_RATE = dataclasses.replace(
    THALAMUS,
    rate_pct=PerPhenotype(
        HC=published("azevedo2018_thalamus_rate_hc"),
        RRMS=published("azevedo2018_thalamus_rate_ms"),
        SPMS=published("azevedo2018_thalamus_rate_ms"),
        PPMS=assumed(published("azevedo2018_thalamus_rate_ms"), "as in relapse-onset MS"),
    ),
)
"""Thalamus with the same rate in all patients, as Azevedo 2018 found it; the default follows the
deep grey matter study that found faster loss in progressive MS. The two disagree."""

BRAIN = ImagingModel(
    measure="brain_ml",
    mean=PerPhenotype(
        HC=published("ruggieri2015_nbv_hc"),
        RRMS=assumed(1400),
        SPMS=assumed(1365),
        PPMS=published("ruggieri2015_nbv_ppms"),
    ),
    sd=published("ruggieri2015_nbv_ppms", "sd"),
    rate_pct=_BRAIN_RATES,
    rate_sd_pct=_PBVC_SLOPE_SD,
    error_sd=derived(
        -_PBVC_MEAN
        / 100
        * published("altmann2009_nbv_error_sd")
        / math.sqrt(2)
        * published("ruggieri2015_nbv_ppms"),
        "error of a difference of two scans, in percent, over sqrt(2), of the mean volume",
        "altmann2009_nbv_error_sd",
        "lukas2015_pbvc_rate_spms",
        "ruggieri2015_nbv_ppms",
    ),
    damage_loading=assumed(0.6),
    age_loading=assumed(0.4),
    rate_loading=assumed(0.7),
    process="brain",
)

PBVC = ImagingModel(
    measure="pbvc_pct",
    scale="change",
    rate_pct=_BRAIN_RATES,
    rate_sd_pct=_PBVC_SLOPE_SD,
    error_sd=derived(
        -_PBVC_MEAN * published("altmann2009_pbvc_error_sd"),
        "multiple of the mean annual change",
        "altmann2009_pbvc_error_sd",
        "lukas2015_pbvc_rate_spms",
    ),
    rate_loading=assumed(0.7),
    process="brain",
)

CORD = ImagingModel(
    measure="cord_area_c2c3_mm2",
    mean=PerPhenotype(
        HC=published("casserly2018_cord_hc"),
        RRMS=published("casserly2018_cord_rrms"),
        SPMS=published("casserly2018_cord_spms"),
        PPMS=published("casserly2018_cord_ppms"),
    ),
    sd=published("ruggieri2015_cord_ppms", "sd"),
    rate_pct=PerPhenotype(
        HC=assumed(-0.3),
        RRMS=derived(
            published("lukas2015_cord_rate_spms") + published("lukas2015_cord_rate_difference"),
            "rate in SPMS plus the difference",
            "lukas2015_cord_rate_spms",
            "lukas2015_cord_rate_difference",
        ),
        SPMS=published("lukas2015_cord_rate_spms"),
        PPMS=assumed(-2.0),
    ),
    rate_sd_pct=published("lin2003_cord_slope_sd"),
    error_sd=derived(
        published("lin2003_cord_error_sd") / 100 * published("casserly2018_cord_spms"),
        "percent of the mean area in SPMS",
        "lin2003_cord_error_sd",
        "casserly2018_cord_spms",
    ),
    damage_loading=assumed(0.5),
    age_loading=assumed(0.1),
    rate_loading=assumed(0.6),
)

NAWM_MTR = ImagingModel(
    measure="nawm_mtr_pu",
    mean=PerPhenotype(
        HC=published("leary1999_mtr_hc"),
        RRMS=assumed(40.1),
        SPMS=assumed(39.5),
        PPMS=published("leary1999_mtr_ppms"),
    ),
    sd=assumed(1.0),
    rate_pct=PerPhenotype(
        HC=assumed(0.0), RRMS=assumed(-0.3), SPMS=assumed(-0.6), PPMS=assumed(-0.6)
    ),
    rate_sd_pct=assumed(0.4),
    error_sd=assumed(0.3),
    damage_loading=assumed(0.5),
    age_loading=assumed(0.1),
    rate_loading=assumed(0.5),
)

_T2_RELATIVE = published("destefano2018_t2_volume_rrms", "sd") / published(
    "destefano2018_t2_volume_rrms"
)

T2_LESIONS = ImagingModel(
    measure="t2_lesion_ml",
    scale="log",
    mean=PerPhenotype(
        HC=assumed(0.4, "age-related hyperintensities"),
        RRMS=derived(
            published("destefano2018_t2_volume_rrms") / 1000,
            "mm3 to ml",
            "destefano2018_t2_volume_rrms",
        ),
        SPMS=assumed(15.0),
        PPMS=published("miller2018_t2_volume_ppms"),
    ),
    sd=derived(
        math.sqrt(math.log1p(_T2_RELATIVE**2)),
        "spread of the logarithm of a log-normal variable with this mean and SD",
        "destefano2018_t2_volume_rrms",
    ),
    rate_pct=PerPhenotype(
        HC=assumed(1.0),
        RRMS=assumed(4.0),
        SPMS=derived(
            100 * math.log1p(published("miller1999_t2_growth_spms") / 100) / 3,
            "growth of the logarithm per year over 36 months",
            "miller1999_t2_growth_spms",
        ),
        PPMS=derived(
            published("miller2018_t2_growth_ppms") / 10 / published("miller2018_t2_volume_ppms"),
            "mm3 per year in percent of the mean volume",
            "miller2018_t2_growth_ppms",
            "miller2018_t2_volume_ppms",
        ),
    ),
    rate_sd_pct=assumed(3.0),
    error_sd=assumed(0.05),
    damage_loading=assumed(0.5),
    age_loading=assumed(0.1),
    rate_loading=assumed(0.3),
)

IMAGING = (THALAMUS, BRAIN, PBVC, CORD, NAWM_MTR, T2_LESIONS)

INSTRUMENTS = (
    InstrumentModel(
        measure="t25fw_s",
        scale="log",
        intercept=assumed(1.40),
        slope=assumed(0.10),
        late_slope=assumed(0.30, "walking slows steeply once its range is limited"),
        late_from=assumed(4.0),
        own_sd=assumed(0.15),
        drift=assumed(0.03),
        drift_sd=assumed(0.05),
        rate_loading=assumed(0.5),
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
        drift=assumed(0.02),
        drift_sd=assumed(0.04),
        rate_loading=assumed(0.5),
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
        drift=assumed(-0.4),
        drift_sd=assumed(0.6),
        rate_loading=assumed(0.5),
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
        drift=assumed(-0.2),
        drift_sd=assumed(0.5),
        rate_loading=assumed(0.5),
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

SCHEDULE = ScheduleModel(
    weeks=tuple(range(0, 145, 12)),
    imaging_weeks=(0, 24, 48, 96, 144),
    cognition_weeks=tuple(range(0, 145, 24)),
    window_days=assumed(7),
    window_sd=assumed(3),
)

MISSINGNESS = MissingnessModel(
    missed_visit=assumed(0.04),
    missed_scan=assumed(0.05),
    dropout="mar",
    dropout_rate=assumed(
        0.11, "with the excess after worsening, near the 21 % of OLYMPUS placebo at 96 weeks"
    ),
    dropout_log_hazard=assumed(0.7),
    death_rate=assumed(0.003),
)
