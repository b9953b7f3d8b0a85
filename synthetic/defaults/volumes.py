"""Volumes of the brain and its parts, thickness of the cortex.

Whole brain, grey, white and cortical grey matter are normalised for head size as SIENAX does, and
so are the regions of the cortex and the brain fraction. All other volumes and areas are raw and
carry head size; the width of the third ventricle does not.
"""

from __future__ import annotations

import math

from synthetic.defaults import cortical_volumes
from synthetic.defaults.assumptions import by_phenotype, loadings
from synthetic.defaults.cortical_volumes import CORTEX_DRIVERS
from synthetic.defaults.reasons import (
    AGED,
    EARLY,
    PERSONS,
    PRECISION,
    SCANNER,
    SHARES,
    SLOPES,
    TIED,
)
from synthetic.observation import ImagingModel
from synthetic.values import assumed, derived, published, worked_out

__all__ = ["MODELS"]

_NORMAL = "loss speeds up from controls to progressive MS (section cortex of the review)"

_BRAIN_RATES = by_phenotype(
    "between Lukas 2015 (-0.42 in RRMS, -0.46 in 23 PPMS), Waubant 2014 (-0.49 in RRMS) and the "
    "faster loss of trials that ask for relapses (CLARITY -0.63)",
    HC=-0.20,
    RIS=-0.28,
    CIS=derived(
        published("rocca2008_pbvc_change_cis") / 3,
        "over 36 months",
        "rocca2008_pbvc_change_cis",
    ),
    RRMS=-0.45,
    SPMS=published("lukas2015_pbvc_rate_spms"),
    PPMS=-0.50,
)
_PBVC_MEAN = published("lukas2015_pbvc_rate_spms")
_PBVC_ERROR = derived(
    -_PBVC_MEAN * worked_out("altmann2009_pbvc_error_sd"),
    "multiple of the mean annual change",
    "altmann2009_pbvc_error_sd",
    "lukas2015_pbvc_rate_spms",
)
_BRAIN_SLOPE_SD = derived(
    (
        -_PBVC_MEAN * worked_out("altmann2009_pbvc_slope_sd")
        + math.sqrt(
            published("chataway2014_brain_rate_spms_placebo", "sd") ** 2
            - (_PBVC_ERROR * 12 / 25) ** 2
        )
    )
    / 2,
    "mean of two: a multiple of the mean annual change (Altmann 2009), and the SD of MS-STAT "
    "without the error of one change over 25 months",
    "altmann2009_pbvc_slope_sd",
    "altmann2009_pbvc_error_sd",
    "lukas2015_pbvc_rate_spms",
    "chataway2014_brain_rate_spms_placebo",
)
_BRAIN_RATE_LOADINGS = loadings(TIED, neurodegeneration_rate=0.8, inflammation_rate=0.15)
_NEURODEGENERATION = (("neurodegeneration", assumed(1.0, SHARES)),)
_BRAIN_DRIVERS = (
    ("neurodegeneration", assumed(0.75, SHARES)),
    ("meningeal", assumed(0.15, SHARES)),
    ("inflammation", assumed(0.10, SHARES)),
)

BRAIN = ImagingModel(
    measure="brain_ml",
    mean=by_phenotype(
        AGED + "; TEMSO prints 1509 ml for RRMS, on another scale than Ruggieri 2015",
        HC=published("ruggieri2015_nbv_hc"),
        RIS=1444,
        CIS=1444,
        RRMS=1424,
        SPMS=1360,
        PPMS=published("ruggieri2015_nbv_ppms"),
    ),
    sd=published("ruggieri2015_nbv_ppms", "sd"),
    rate_pct=_BRAIN_RATES,
    rate_sd_pct=_BRAIN_SLOPE_SD,
    error_sd=derived(
        -_PBVC_MEAN
        / 100
        * worked_out("altmann2009_nbv_error_sd")
        / math.sqrt(2)
        * published("ruggieri2015_nbv_ppms"),
        "error of a difference of two scans, in percent, over sqrt(2), of the mean volume",
        "altmann2009_nbv_error_sd",
        "lukas2015_pbvc_rate_spms",
        "ruggieri2015_nbv_ppms",
    ),
    level_loadings=loadings(TIED, neurodegeneration_level=0.5, age=0.35),
    rate_loadings=_BRAIN_RATE_LOADINGS,
    drivers=_BRAIN_DRIVERS,
    own_level="brain",
    process="brain",
    method="segmentation",
    scanner_sd=assumed(2.0, "segmentation differs between scanners by percents"),
    upgrade_sd=assumed(1.0, SCANNER),
    pseudo_atrophy=assumed(1.0, EARLY),
)

PBVC = ImagingModel(
    measure="pbvc_pct",
    scale="change",
    rate_pct=_BRAIN_RATES,
    rate_sd_pct=_BRAIN_SLOPE_SD,
    error_sd=_PBVC_ERROR,
    rate_loadings=_BRAIN_RATE_LOADINGS,
    drivers=_BRAIN_DRIVERS,
    process="brain",
    method="registration",
    upgrade_sd=assumed(0.4, SCANNER),
    pseudo_atrophy=assumed(1.0, EARLY),
)

GREY = ImagingModel(
    measure="gm_ml",
    mean=by_phenotype(
        AGED,
        HC=published("ruggieri2015_gm_mean_hc"),
        RIS=766,
        CIS=768,
        RRMS=752,
        SPMS=712,
        PPMS=published("ruggieri2015_gm_mean_ppms"),
    ),
    sd=published("ruggieri2015_gm_mean_ppms", "sd"),
    rate_pct=by_phenotype(
        "grey matter carries the loss of the brain (Furby 2010: -1.18 in SPMS, where the brain "
        "lost 0.59)",
        HC=-0.34,
        RIS=-0.45,
        CIS=-0.58,
        RRMS=-0.76,
        SPMS=-1.10,
        PPMS=-0.92,
    ),
    rate_sd_pct=assumed(0.60, SLOPES),
    error_sd=assumed(7.2, "1 %"),
    level_loadings=loadings(TIED, neurodegeneration_level=0.5, meningeal_level=0.2, age=0.35),
    rate_loadings=loadings(TIED, neurodegeneration_rate=0.7, meningeal_rate=0.2),
    drivers=CORTEX_DRIVERS,
    own_level="brain",
    process="brain",
    method="segmentation",
    scanner_sd=assumed(2.0, SCANNER),
    upgrade_sd=assumed(1.2, SCANNER),
    pseudo_atrophy=assumed(0.55, "early loss under treatment is of white matter for the most part"),
)

WHITE = ImagingModel(
    measure="wm_ml",
    mean=by_phenotype(
        AGED,
        HC=published("ruggieri2015_wm_mean_hc"),
        RIS=678,
        CIS=676,
        RRMS=672,
        SPMS=648,
        PPMS=published("ruggieri2015_wm_mean_ppms"),
    ),
    sd=published("ruggieri2015_wm_mean_ppms", "sd"),
    rate_pct=by_phenotype(
        "what brain and grey matter leave; Furby 2010 printed +0.12 for SPMS",
        HC=-0.05,
        RIS=-0.09,
        CIS=-0.09,
        RRMS=-0.10,
        SPMS=-0.05,
        PPMS=-0.03,
    ),
    rate_sd_pct=assumed(0.50, SLOPES),
    error_sd=assumed(8.5, "1.3 %"),
    level_loadings=loadings(TIED, neurodegeneration_level=0.25, demyelination_level=0.35, age=0.15),
    rate_loadings=loadings(TIED, demyelination_rate=0.3, inflammation_rate=0.3),
    drivers=_NEURODEGENERATION,
    method="segmentation",
    scanner_sd=assumed(2.0, SCANNER),
    upgrade_sd=assumed(1.2, SCANNER),
    pseudo_atrophy=assumed(1.5, "so that brain = grey + white matter also in the early loss"),
)

FRACTION = ImagingModel(
    measure="brain_fraction",
    mean=by_phenotype(
        AGED + "; RRMS as in Rudick 2006, progressive MS as the cohort of SPRINT-MS",
        HC=0.845,
        RIS=0.846,
        CIS=0.842,
        RRMS=0.825,
        SPMS=0.795,
        PPMS=0.803,
    ),
    sd=assumed(0.020, "0.015 in the narrow sample of Rudick 2006"),
    rate_pct=by_phenotype(
        "the outer contour shrinks too, so less than the volume; inside the intervals of both Fox "
        "2018 (placebo, progressive MS: -0.24) and Rudick 2006 (RRMS, 13 years: -0.48)",
        HC=-0.12,
        RIS=-0.17,
        CIS=-0.22,
        RRMS=-0.39,
        SPMS=-0.27,
        PPMS=-0.30,
    ),
    rate_sd_pct=assumed(0.25, SLOPES),
    error_sd=assumed(0.003, PRECISION),
    level_loadings=loadings(TIED, neurodegeneration_level=0.5, age=0.35),
    rate_loadings=_BRAIN_RATE_LOADINGS,
    drivers=_BRAIN_DRIVERS,
    own_level="brain",
    process="brain",
    method="segmentation",
    scanner_sd=assumed(0.8, SCANNER),
    upgrade_sd=assumed(0.5, SCANNER),
    pseudo_atrophy=assumed(0.6, EARLY),
)

CENTRAL = ImagingModel(
    measure="central_brain_ml",
    mean=by_phenotype(
        AGED + "; about 255 ml in the SPMS of Kapoor 2010",
        HC=290,
        RIS=289,
        CIS=288,
        RRMS=277,
        SPMS=255,
        PPMS=262,
    ),
    sd=assumed(26, PERSONS),
    rate_pct=by_phenotype(
        "between Kapoor 2010 (-0.97 in SPMS) and Molyneux 2000 (-1.3)",
        HC=-0.30,
        RIS=-0.45,
        CIS=-0.60,
        RRMS=-0.80,
        SPMS=-1.05,
        PPMS=-0.95,
    ),
    rate_sd_pct=assumed(0.85, "0.79 by the sample sizes of Altmann 2009, more in Kapoor 2010"),
    error_sd=assumed(2.6, "1 % per scan: 1.3 % of a change (Altmann 2009)"),
    level_loadings=loadings(TIED, neurodegeneration_level=0.5, age=0.35, head_size=-0.4),
    rate_loadings=_BRAIN_RATE_LOADINGS,
    drivers=_BRAIN_DRIVERS,
    process="brain",
    method="segmentation",
    scanner_sd=assumed(2.0, SCANNER),
    upgrade_sd=assumed(1.0, SCANNER),
    pseudo_atrophy=assumed(1.0, EARLY),
)

VENTRICLES = ImagingModel(
    measure="lateral_ventricle_ml",
    scale="log",
    mean=by_phenotype(AGED, HC=18, RIS=17, CIS=17, RRMS=23, SPMS=35, PPMS=30),
    sd=assumed(0.45, PERSONS),
    rate_pct=by_phenotype(_NORMAL, HC=1.5, RIS=2.0, CIS=2.5, RRMS=3.5, SPMS=4.0, PPMS=4.5),
    rate_sd_pct=derived(
        0.3 * math.sqrt(published("anderson2007_ventricles_n_per_arm_rrms") / 15.7) * 3.5,
        "n per arm for 30 % slowing = 15.7 (SD / 0.3 mean)^2 at 80 % power, mean 3.5 %/yr in RRMS",
        "anderson2007_ventricles_n_per_arm_rrms",
    ),
    error_sd=assumed(0.010, PRECISION),
    level_loadings=loadings(TIED, neurodegeneration_level=0.5, age=0.35, head_size=0.2),
    rate_loadings=loadings(TIED, neurodegeneration_rate=0.6),
    drivers=_BRAIN_DRIVERS,
    method="registration",
    scanner_sd=assumed(2.0, SCANNER),
    upgrade_sd=assumed(1.0, SCANNER),
)

THIRD_VENTRICLE = ImagingModel(
    measure="third_ventricle_mm",
    scale="log",
    mean=by_phenotype(AGED, HC=3.4, RIS=3.3, CIS=3.4, RRMS=4.6, SPMS=6.6, PPMS=5.8),
    sd=assumed(0.32, PERSONS),
    rate_pct=by_phenotype(_NORMAL, HC=1.2, RIS=1.6, CIS=2.0, RRMS=3.0, SPMS=3.5, PPMS=3.8),
    rate_sd_pct=assumed(2.5, SLOPES),
    error_sd=assumed(0.06, "a width read with a ruler"),
    level_loadings=loadings(TIED, neurodegeneration_level=0.5, age=0.35),
    rate_loadings=loadings(TIED, neurodegeneration_rate=0.5),
    drivers=_NEURODEGENERATION,
    method="manual",
    scanner_sd=assumed(2.0, SCANNER),
)

CALLOSUM = ImagingModel(
    measure="corpus_callosum_mm2",
    mean=by_phenotype(AGED, HC=620, RIS=615, CIS=605, RRMS=560, SPMS=490, PPMS=525),
    sd=assumed(70, PERSONS),
    rate_pct=by_phenotype(
        "towards the rate of Martola 2007, which is the same in every course",
        HC=-0.3,
        RIS=-0.8,
        CIS=-1.2,
        RRMS=published("martola2007_cc_area_rate_ms"),
        SPMS=published("martola2007_cc_area_rate_ms"),
        PPMS=published("martola2007_cc_area_rate_ms"),
    ),
    rate_sd_pct=assumed(1.0, SLOPES),
    error_sd=assumed(12, "2 %"),
    level_loadings=loadings(
        TIED,
        neurodegeneration_level=0.35,
        demyelination_level=0.25,
        inflammation_level=0.25,
        age=0.15,
        head_size=-0.2,
    ),
    rate_loadings=loadings(TIED, neurodegeneration_rate=0.4, inflammation_rate=0.2),
    drivers=_NEURODEGENERATION,
    method="manual",
    scanner_sd=assumed(1.0, SCANNER),
)

BRAINSTEM = ImagingModel(
    measure="brainstem_ml",
    mean=by_phenotype(AGED, HC=24.0, RIS=23.9, CIS=23.6, RRMS=23.0, SPMS=21.6, PPMS=21.9),
    sd=assumed(2.2, PERSONS),
    rate_pct=by_phenotype(
        _NORMAL, HC=-0.15, RIS=-0.20, CIS=-0.30, RRMS=-0.50, SPMS=-0.90, PPMS=-0.90
    ),
    rate_sd_pct=assumed(0.7, SLOPES),
    error_sd=assumed(0.25, "1 %"),
    level_loadings=loadings(
        TIED, neurodegeneration_level=0.4, cord_level=0.15, age=0.15, head_size=-0.35
    ),
    rate_loadings=loadings(TIED, neurodegeneration_rate=0.5, cord_rate=0.2),
    drivers=_NEURODEGENERATION,
    process="brainstem",
    method="segmentation",
    scanner_sd=assumed(2.0, SCANNER),
    upgrade_sd=assumed(1.0, SCANNER),
)

PONS = ImagingModel(
    measure="pons_ml",
    mean=by_phenotype(AGED, HC=14.5, RIS=14.4, CIS=14.3, RRMS=13.9, SPMS=13.0, PPMS=13.2),
    sd=assumed(1.4, PERSONS),
    rate_pct=by_phenotype(
        _NORMAL, HC=-0.15, RIS=-0.20, CIS=-0.30, RRMS=-0.50, SPMS=-0.90, PPMS=-0.90
    ),
    rate_sd_pct=assumed(0.7, SLOPES),
    error_sd=assumed(0.20, "1.4 %"),
    level_loadings=loadings(
        TIED, neurodegeneration_level=0.4, cord_level=0.15, age=0.15, head_size=-0.35
    ),
    rate_loadings=loadings(TIED, neurodegeneration_rate=0.5, cord_rate=0.2),
    drivers=_NEURODEGENERATION,
    process="brainstem",
    method="segmentation",
    scanner_sd=assumed(2.0, SCANNER),
    upgrade_sd=assumed(1.0, SCANNER),
)

MODELS: tuple[ImagingModel, ...] = (
    BRAIN,
    FRACTION,
    PBVC,
    GREY,
    WHITE,
    CENTRAL,
    VENTRICLES,
    THIRD_VENTRICLE,
    CALLOSUM,
    BRAINSTEM,
    PONS,
    *cortical_volumes.MODELS,
)
