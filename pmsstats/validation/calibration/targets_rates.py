"""Published changes over time, and how they spread."""

from __future__ import annotations

from pmsstats.validation.analyses import RateDifference
from pmsstats.validation.calibration.declare import (
    ALL_MS,
    ANNUAL,
    ASCEND,
    EUROPEAN,
    INFORMS,
    MS_STAT,
    RELAPSING_TRIAL,
    SPRINT,
    target,
)
from pmsstats.validation.calibration.moments import AnnualChange, ChangeOver, Coefficient

__all__ = ["RATES", "SPREADS"]

_TWO_CORDS = (
    "two studies print 2.2 (Lukas 2015) and 1.63 %/yr (Furby 2010): one rate for both lies at an "
    "end of either interval, and with few subjects it may fall outside"
)

_CONFLICT_RRMS = (
    "an active relapsing trial, against -0.42 %/yr in 256 patients (Lukas 2015): no one rate is in "
    "both intervals"
)


RATES = (
    target(
        "azevedo2018_thalamus_rate_ms",
        AnnualChange(measure="thalamus_ml"),
        {"CIS": 90, "RRMS": 392, "SPMS": 38},
        (0.0, 1.0, 2.0, 3.0, 4.0),
    ),
    target(
        "azevedo2018_thalamus_rate_hc",
        AnnualChange(measure="thalamus_ml"),
        {"HC": 81},
        (0.0, 1.0, 2.0, 3.0, 4.0),
    ),
    target(
        "azevedo2018_thalamus_slope_sd",
        AnnualChange(measure="thalamus_ml", statistic="sd"),
        {"CIS": 90, "RRMS": 392, "SPMS": 38},
        ANNUAL,
    ),
    target(
        "casserly2018_cord_rate_ms",
        AnnualChange(measure="cord_area_c2c3_mm2"),
        ALL_MS,
        ANNUAL,
        printed=(-2.2, -1.28),
    ),
    target(
        "lukas2015_cord_rate_spms",
        AnnualChange(measure="cord_area_c2c3_mm2"),
        {"SPMS": 73},
        ANNUAL,
        why=_TWO_CORDS,
    ),
    target(
        "lukas2015_cord_rate_difference",
        Coefficient(
            analysis=RateDifference(
                measure="cord_area_c2c3_mm2", groups=("RRMS",), versus=("SPMS", "PPMS")
            )
        ),
        {"RRMS": 142, "SPMS": 73, "PPMS": 23},
        ANNUAL,
    ),
    target(
        "furby2010_cord_rate_spms",
        AnnualChange(measure="cord_area_c2c3_mm2"),
        {"SPMS": 56},
        ANNUAL,
        why=_TWO_CORDS,
        **MS_STAT,
    ),
    target(
        "bischof2022_cord_rate_converters",
        AnnualChange(measure="cord_area_c2c3_mm2"),
        {"SPMS": 54},
        ANNUAL,
        why="area at C1 in people before their conversion, taken for that of SPMS at C2-C3",
    ),
    target(
        "lin2003_cord_change_12m_placebo",
        ChangeOver(measure="cord_area_c2c3_mm2", until=1.0),
        {"RRMS": 7, "SPMS": 6},
        (0.0, 1.0),
    ),
    target(
        "lin2003_cord_change_48m_placebo",
        ChangeOver(measure="cord_area_c2c3_mm2", until=4.0),
        {"RRMS": 7, "SPMS": 6},
        (0.0, 4.0),
    ),
    target(
        "lin2003_cord_change_48m_placebo",
        ChangeOver(measure="cord_area_c2c3_mm2", until=4.0, statistic="sd"),
        {"RRMS": 7, "SPMS": 6},
        (0.0, 4.0),
        field="sd",
    ),
    *(
        target(f"lukas2015_pbvc_rate_{p.lower()}", AnnualChange(measure="pbvc_pct"), {p: n}, ANNUAL)
        for p, n in (("RRMS", 256), ("SPMS", 73), ("PPMS", 23))
    ),
    target(
        "chataway2014_brain_rate_spms_placebo",
        AnnualChange(measure="pbvc_pct"),
        {"SPMS": 70},
        ANNUAL,
        **MS_STAT,
    ),
    target(
        "chataway2014_brain_rate_spms_placebo",
        AnnualChange(measure="pbvc_pct", statistic="sd"),
        {"SPMS": 70},
        (0.0, 2.0),
        field="sd",
        **MS_STAT,
    ),
    target(
        "chataway2014_brain_rate_spms_simvastatin",
        AnnualChange(measure="pbvc_pct", arm="simvastatin"),
        {"SPMS": 140},
        ANNUAL,
        n=70,
        treatments=("placebo", "simvastatin"),
        **MS_STAT,
    ),
    target(
        "spain2017_pbvc_rate_spms_placebo", AnnualChange(measure="pbvc_pct"), {"SPMS": 24}, ANNUAL
    ),
    target(
        "spain2017_pbvc_rate_spms_lipoic_acid",
        AnnualChange(measure="pbvc_pct", arm="lipoic_acid"),
        {"SPMS": 51},
        ANNUAL,
        n=27,
        treatments=("placebo", "lipoic_acid"),
    ),
    target(
        "furby2010_brain_rate_spms",
        AnnualChange(measure="brain_ml"),
        {"SPMS": 56},
        ANNUAL,
        **MS_STAT,
    ),
    target(
        "furby2010_gm_rate_spms", AnnualChange(measure="gm_ml"), {"SPMS": 56}, ANNUAL, **MS_STAT
    ),
    target(
        "furby2010_wm_rate_spms", AnnualChange(measure="wm_ml"), {"SPMS": 56}, ANNUAL, **MS_STAT
    ),
    target("waubant2014_pbvc_rate_rrms", AnnualChange(measure="pbvc_pct"), {"RRMS": 21}, ANNUAL),
    target(
        "destefano2018_pbvc_change_rrms_placebo",
        ChangeOver(measure="pbvc_pct", since=0.5, until=2.0),
        {"RRMS": 338},
        (0.0, 0.5, 2.0),
        why=_CONFLICT_RRMS,
        **RELAPSING_TRIAL,
    ),
    target(
        "radue2017_pbvc_median_change_12m_rrms_placebo",
        ChangeOver(measure="pbvc_pct", until=1.0, statistic="median"),
        {"RRMS": 300},
        ANNUAL,
        why=_CONFLICT_RRMS,
        **RELAPSING_TRIAL,
    ),
    target(
        "radue2017_pbvc_median_change_24m_rrms_placebo",
        ChangeOver(measure="pbvc_pct", until=2.0, statistic="median"),
        {"RRMS": 300},
        ANNUAL,
        why=_CONFLICT_RRMS,
        **RELAPSING_TRIAL,
    ),
    target(
        "rocca2008_pbvc_change_cis",
        ChangeOver(measure="pbvc_pct", until=3.0),
        {"CIS": 30},
        (0.0, 3.0),
    ),
    target(
        "fox2018_bpf_yearly_pms_placebo",
        AnnualChange(measure="brain_fraction", percent=False),
        {"PPMS": 66, "SPMS": 60},
        ANNUAL,
        **SPRINT,
    ),
    target(
        "fox2018_bpf_yearly_pms_ibudilast",
        AnnualChange(measure="brain_fraction", percent=False, arm="ibudilast"),
        {"PPMS": 134, "SPMS": 121},
        ANNUAL,
        n=129,
        treatments=("placebo", "ibudilast"),
        **SPRINT,
    ),
    target(
        "kapoor2010_ccv_yearly_spms_placebo",
        AnnualChange(measure="central_brain_ml", percent=False),
        {"SPMS": 56},
        ANNUAL,
        **MS_STAT,
    ),
    target(
        "kapoor2010_ccv_yearly_spms_lamotrigine",
        AnnualChange(measure="central_brain_ml", percent=False, arm="lamotrigine"),
        {"SPMS": 108},
        ANNUAL,
        n=52,
        treatments=("placebo", "lamotrigine"),
        **MS_STAT,
    ),
    target(
        "molyneux2000_cerebrum_change_spms_placebo",
        ChangeOver(measure="central_brain_ml", until=3.0),
        {"SPMS": 95},
        (0.0, 3.0),
        n=48,
        **EUROPEAN,
    ),
    target(
        "arnold2020_cortex_change_spms_placebo",
        ChangeOver(measure="cortical_gm_ml", until=2.0),
        {"SPMS": 523},
        (0.0, 2.0),
        printed=(-1.17, -0.94),
        **ASCEND,
        why="GM loses 1.18 %/yr in Furby 2010, and the cortex is most of it: twice the loss of "
        "EXPAND, whose software (PBVC-based) differs",
    ),
    target(
        "arnold2020_thalamus_change_spms_placebo",
        ChangeOver(measure="thalamus_ml", until=2.0),
        {"SPMS": 523},
        (0.0, 2.0),
        printed=(-3.56, -1.31),
        **ASCEND,
    ),
    target(
        "martola2007_cc_area_rate_ms",
        AnnualChange(measure="corpus_callosum_mm2"),
        {"RRMS": 19, "SPMS": 12, "PPMS": 6},
        (0.0, 3.0, 6.0, 9.0),
    ),
    target(
        "inglese2017_cerebellum_rate_ppms",
        AnnualChange(measure="cerebellum_ml"),
        {"PPMS": 26},
        (0.0, 1.0),
    ),
    target(
        "inglese2017_cerebellum_rate_ppms",
        AnnualChange(measure="cerebellum_ml", statistic="sd"),
        {"PPMS": 26},
        (0.0, 1.0),
        field="sd",
    ),
    target(
        "inglese2017_cerebellar_cortex_rate_ppms",
        AnnualChange(measure="cerebellar_cortex_ml"),
        {"PPMS": 26},
        (0.0, 1.0),
    ),
    target(
        "inglese2017_cerebellar_cortex_rate_ppms",
        AnnualChange(measure="cerebellar_cortex_ml", statistic="sd"),
        {"PPMS": 26},
        (0.0, 1.0),
        field="sd",
    ),
    target(
        "miller2018_t2_growth_ppms",
        AnnualChange(measure="t2_lesion_ml", percent=False),
        {"PPMS": 487},
        (0.0, 1.0, 2.0, 3.0),
        factor=1e-3,
        **INFORMS,
    ),
    target(
        "miller1999_t2_growth_spms",
        ChangeOver(measure="t2_lesion_ml", until=3.0),
        {"SPMS": 300},
        (0.0, 3.0),
        n=300,
        **EUROPEAN,
    ),
    target(
        "li2001_t2_volume_median_change_spms_placebo",
        ChangeOver(measure="t2_lesion_ml", until=3.0, statistic="median"),
        {"SPMS": 205},
        (0.0, 3.0),
        n=205,
        why="another trial prints a growth of 15 % (Miller 1999): the default lies between",
        **EUROPEAN,
    ),
    target(
        "fisniku2008_t2_volume_yearly_rrms",
        AnnualChange(measure="t2_lesion_ml", percent=False),
        {"RRMS": 39},
        (0.0, 5.0, 10.0),
    ),
    target(
        "inglese2003_brain_mtr_change_24m_spms",
        ChangeOver(measure="brain_mtr_pu", until=2.0),
        {"SPMS": 54},
        (0.0, 2.0),
        **EUROPEAN,
    ),
    target(
        "inglese2003_brain_mtr_change_36m_spms",
        ChangeOver(measure="brain_mtr_pu", until=3.0),
        {"SPMS": 47},
        (0.0, 3.0),
        **EUROPEAN,
        why="the same study prints -4.9 % at 24 months: less at 36, in those who were left",
    ),
    target(
        "miller2018_new_t2_annual_rate_ppms_placebo",
        AnnualChange(measure="new_t2_count", percent=False),
        {"PPMS": 487},
        (0.0, 1.0, 2.0, 3.0),
        **INFORMS,
    ),
    target(
        "stellmann2014_edss_yearly_ppms",
        AnnualChange(measure="edss", percent=False),
        {"PPMS": 597},
        (0.0, 1.0, 2.0, 3.0, 4.0),
        why="a registry slope; a rate of worsening that gave it would put the trials too high "
        "(PROMISE above 22 % in a year, OLYMPUS above 44 % in 96 weeks)",
    ),
    target(
        "rudick2006_edss_yearly_rrms",
        AnnualChange(measure="edss", percent=False),
        {"RRMS": 30},
        (0.0, 5.0, 10.0, 13.0),
    ),
    target(
        "spain2017_t25fw_yearly_spms_placebo",
        AnnualChange(measure="t25fw_s", percent=False),
        {"SPMS": 24},
        ANNUAL,
        why="24 patients, whose walking hardly changed; in trials half of SPMS patients slow by "
        "a fifth within two years",
    ),
)

SPREADS = (
    target(
        "altmann2009_pbvc_sd_over_mean_spms",
        AnnualChange(measure="pbvc_pct", statistic="coefficient of variation"),
        {"SPMS": 43},
        (0.0, 2.0),
    ),
    target(
        "altmann2009_nbv_sd_over_mean_spms",
        AnnualChange(measure="brain_ml", statistic="coefficient of variation"),
        {"SPMS": 43},
        (0.0, 2.0),
    ),
    target(
        "altmann2009_ccv_sd_over_mean_spms",
        AnnualChange(measure="central_brain_ml", statistic="coefficient of variation"),
        {"SPMS": 43},
        (0.0, 2.0),
    ),
    target(
        "cawley2018_cord_sd_over_mean_ppms",
        AnnualChange(measure="cord_area_c2c3_mm2", statistic="coefficient of variation"),
        {"PPMS": 26},
        (0.0, 1.0),
    ),
)
