"""Published levels: means, spreads and prevalences at baseline."""

from __future__ import annotations

from pmsstats.validation.calibration.declare import (
    ALL_MS,
    ASCEND,
    EUROPEAN,
    INFORMS,
    RELAPSING_TRIAL,
    target,
)
from pmsstats.validation.calibration.moments import Level, PositiveShare

__all__ = ["LEVELS", "PREVALENCES"]

_NEOCORTEX = (
    "the neocortex of this study and its grey matter would leave 112 ml for all else, and its "
    "spread in PPMS is twice that of the controls: the default keeps whole and parts together"
)

LEVELS = (
    *(
        target(f"casserly2018_cord_{name}", Level(measure="cord_area_c2c3_mm2"), groups)
        for name, groups in {
            "hc": {"HC": 100},
            "rrms": {"RRMS": 100},
            "spms": {"SPMS": 100},
            "ppms": {"PPMS": 100},
            "mean_pms": {"SPMS": 50, "PPMS": 50},
            "mean_ms": ALL_MS,
        }.items()
    ),
    *(
        target(
            f"ruggieri2015_{name}",
            Level(measure=measure, statistic=statistic),
            {phenotype: n},
            field=field,
            why=_NEOCORTEX if measure == "cortical_gm_ml" else "",
        )
        for phenotype, n, short in (("PPMS", 26, "ppms"), ("HC", 20, "hc"))
        for name, measure in (
            (f"nbv_{short}", "brain_ml"),
            (f"wm_mean_{short}", "wm_ml"),
            (f"gm_mean_{short}", "gm_ml"),
            (f"neocortex_mean_{short}", "cortical_gm_ml"),
        )
        for statistic, field in (("mean", "value"), ("sd", "sd"))
    ),
    *(
        target(
            f"calabrese2010_cerebellar_cortex_mean_{p.lower()}",
            Level(measure="cerebellar_cortex_ml"),
            {p: n},
        )
        for p, n in (("HC", 32), ("CIS", 38), ("RRMS", 35), ("SPMS", 27), ("PPMS", 25))
    ),
    target(
        "zivadinov2018_thalamus_qsm_mean_hc",
        Level(measure="thalamus_susceptibility_ppb"),
        {"HC": 250},
    ),
    target(
        "zivadinov2018_thalamus_qsm_mean_ms",
        Level(measure="thalamus_susceptibility_ppb"),
        {"RRMS": 452, "SPMS": 148},
    ),
    target("hbm2021_dgm_r2star_mean_hc", Level(measure="dgm_r2star_per_s"), {"HC": 36}),
    target(
        "hbm2021_dgm_r2star_mean_ms",
        Level(measure="dgm_r2star_per_s"),
        {"RRMS": 14, "SPMS": 11, "PPMS": 10},
        why="no excess over controls there; the review has one, driven by RRMS: the default "
        "lies at the end of the interval",
    ),
    target("leary1999_mtr_hc", Level(measure="nawm_mtr_pu", statistic="median"), {"HC": 26}),
    target("leary1999_mtr_ppms", Level(measure="nawm_mtr_pu", statistic="median"), {"PPMS": 52}),
    target(
        "destefano2018_t2_volume_rrms", Level(measure="t2_lesion_ml"), {"RRMS": 1025}, factor=1e-3
    ),
    target("destefano2018_edss_rrms", Level(measure="edss"), {"RRMS": 1025}),
    target("miller2018_t2_volume_ppms", Level(measure="t2_lesion_ml"), {"PPMS": 487}, **INFORMS),
    target(
        "barkhof2001_t1_lesion_volume_median_spms_placebo",
        Level(measure="t1_lesion_ml", statistic="median"),
        {"SPMS": 95},
        n=95,
        **EUROPEAN,
    ),
    target(
        "kappos2018_duration_spms",
        Level(measure="duration"),
        {"SPMS": 1645},
        why="onset not before the age of 15 cuts the longest durations",
    ),
    target(
        "steiner2016_nhpt_spms",
        Level(measure="nhpt_s", statistic="median"),
        {"SPMS": 887},
        why="fewer patients here have an EDSS of 6.0 or more (56 % against 63 %)",
        **ASCEND,
    ),
    target(
        "radue2017_nbv_mean_rrms_placebo",
        Level(measure="brain_ml"),
        {"RRMS": 300},
        why="the normalised volume of another trial and software: levels of SIENAX differ by "
        "scanner and version; the default follows the controls of Ruggieri 2015",
        **RELAPSING_TRIAL,
    ),
)

PREVALENCES = (
    *(
        target(
            f"absinta2015_lme_prevalence_{name}",
            PositiveShare(measure="leptomeningeal_presence"),
            groups,
        )
        for name, groups in {
            "hc": {"HC": 37},
            "rrms": {"RRMS": 181},
            "pms": {"SPMS": 59, "PPMS": 59},
            "ms": {"RRMS": 181, "SPMS": 59, "PPMS": 59},
        }.items()
    ),
    target(
        "makshakov2017_lme_prevalence_ms",
        PositiveShare(measure="leptomeningeal_presence"),
        {"RRMS": 40, "SPMS": 14},
        why="another scanner and protocol than Absinta 2015 (25 %), which the default follows",
    ),
    target(
        "miller2018_gd_prevalence_ppms_placebo",
        PositiveShare(measure="gd_lesion_presence"),
        {"PPMS": 487},
        **INFORMS,
    ),
)
