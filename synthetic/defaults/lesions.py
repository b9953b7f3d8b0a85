"""Lesions of the brain: those there are, and those that form."""

from __future__ import annotations

import math

from synthetic.defaults.assumptions import by_phenotype, loadings
from synthetic.observation import ImagingModel
from synthetic.parameters import LesionModel
from synthetic.values import Sourced, assumed, derived, published

__all__ = ["LESIONS", "MODELS"]

# --- lesions that form ------------------------------------------------------------------------

LESIONS = LesionModel(
    # Few in progressive MS (finding inflammatory-mri-insensitive-pms).
    rate=by_phenotype(
        "between RRMS and PPMS; RRMS as in placebo arms of the first trials",
        RIS=1.0,
        CIS=2.5,
        RRMS=3.0,
        SPMS=1.0,
        PPMS=published("miller2018_new_t2_annual_rate_ppms_placebo"),
    ),
    dispersion=assumed(2.0, "most patients have none, a few have many"),
    relapse_loading=assumed(0.6, "lesions and relapses come from the same focal inflammation"),
    enhancing_days=assumed(56, "three to eight weeks, taken at the upper end for monthly scans"),
    duration_decline=assumed(
        0.10,
        "enhancement is commoner in the first five years of PPMS than later "
        "(finding gd-lesions-more-frequent-early-ppms)",
    ),
    baseline_ratio=assumed(
        2.2,
        "patients enter studies when active: with it 13 % of PPMS enhance at baseline, as in "
        "INFORMS (Miller 2018), although 0.5 lesions a year form afterwards",
    ),
    lesion_ml=assumed(0.12, "a sphere of 6 mm"),
    lesion_ml_sd=assumed(0.6, "some are nodules, some rings"),
)
"""New lesions, for descriptions that count them; ``progressive`` does not."""

# --- lesions there are ------------------------------------------------------------------------

_FOCAL = "focal inflammation leaves them"
_COUNT_ERROR = "readers disagree on small and confluent lesions"

_T2_RELATIVE = published("destefano2018_t2_volume_rrms", "sd") / published(
    "destefano2018_t2_volume_rrms"
)
_T2_SD = derived(
    math.sqrt(math.log1p(_T2_RELATIVE**2)),
    "spread of the logarithm of a log-normal variable with this mean and SD",
    "destefano2018_t2_volume_rrms",
)
_T2_RATE_SD = assumed(
    4.0,
    "between SPECTRIMS and the European trial the mean growth exceeds the median by half, which "
    "would need more, but steady growth in PPMS leaves no room for it",
)
_T2_LEVEL = loadings(_FOCAL, inflammation_level=0.88, duration=0.15, age=0.05)
_T2_RATE = loadings(_FOCAL, inflammation_rate=0.85)
_OWN_LEVEL_AND_RATE = 0.4
"""Correlation of inflammation's level and rate in the default population."""


def _growth(ml_per_year: float, mean_ml: float, why: str, *records: str) -> Sourced:
    """Return the mean growth of the logarithm that makes a mean volume grow by so much.

    Large volumes grow faster in ml, above all where level and rate go together: for jointly normal
    level and rate ``E[V r] = E[V] (m + cov)``.
    """
    together = _T2_LEVEL[0][1] * _T2_RATE[0][1] * _OWN_LEVEL_AND_RATE
    covariance = float(_T2_SD) * _T2_RATE_SD * together
    return derived(100 * ml_per_year / mean_ml - covariance, why, *records)


_TO_LOG = "ml per year over the mean volume, less what large volumes add by growing faster"

T2_VOLUME = ImagingModel(
    measure="t2_lesion_ml",
    scale="log",
    # Low in PPMS for the disability it comes with (finding t2lv-low-relative-to-severity-ppms).
    mean=by_phenotype(
        "little before RRMS; SPMS a little above RRMS",
        HC=assumed(0.4, "age-related hyperintensities"),
        RIS=4.5,
        CIS=4.5,
        RRMS=derived(
            published("destefano2018_t2_volume_rrms") / 1000,
            "mm3 to ml",
            "destefano2018_t2_volume_rrms",
        ),
        SPMS=16.5,
        PPMS=published("miller2018_t2_volume_ppms"),
    ),
    sd=_T2_SD,
    rate_pct=by_phenotype(
        "as in RRMS, a little more at the beginning",
        HC=assumed(0.3, "hyperintensities grow slowly with age"),
        RIS=4.0,
        CIS=5.0,
        RRMS=_growth(
            published("fisniku2008_t2_volume_yearly_rrms"),
            published("destefano2018_t2_volume_rrms") / 1000,
            f"those who stay RRMS gain 0.80 ml a year: {_TO_LOG}",
            "fisniku2008_t2_volume_yearly_rrms",
            "destefano2018_t2_volume_rrms",
        ),
        SPMS=derived(
            100
            * (
                math.log1p(published("miller1999_t2_growth_spms") / 100)
                + math.log1p(published("li2001_t2_volume_median_change_spms_placebo") / 100)
            )
            / 6,
            "mean of two placebo arms: growth of the logarithm per year over 36 months",
            "miller1999_t2_growth_spms",
            "li2001_t2_volume_median_change_spms_placebo",
        ),
        PPMS=_growth(
            published("miller2018_t2_growth_ppms") / 1000,
            published("miller2018_t2_volume_ppms"),
            f"172 mm3 a year: {_TO_LOG}",
            "miller2018_t2_growth_ppms",
            "miller2018_t2_volume_ppms",
        ),
    ),
    rate_sd_pct=_T2_RATE_SD,
    error_sd=assumed(0.05, "5 % between repeated semi-automated contours"),
    level_loadings=_T2_LEVEL,
    rate_loadings=_T2_RATE,
    drivers=loadings(_FOCAL, inflammation=1.0),
    process="t2 lesions",
    own_level="lesion volume",
    method="segmentation",
    scanner_sd=assumed(8.0, "contrast and slice thickness differ between scanners"),
    upgrade_sd=assumed(4.0, "half of the spread between scanners"),
)

# The number of lesions says less about a person than their volume; it does not tell who will
# worsen in PPMS (finding t2-lesions-not-predict-progression-ppms), hence the low weight.
T2_COUNT = ImagingModel(
    measure="t2_lesion_count",
    scale="count",
    mean=by_phenotype(
        "about 2.5 lesions a ml, fewer where they are confluent",
        HC=2.0, RIS=12.0, CIS=12.0, RRMS=38.0, SPMS=40.0, PPMS=25.0,
    ),
    sd=assumed(0.75, "less than the volume, because large lesions count once"),
    rate_pct=by_phenotype(
        "slower than the volume, because new lesions join old ones",
        HC=0.3, RIS=3.5, CIS=4.5, RRMS=2.5, SPMS=1.5, PPMS=1.0,
    ),
    rate_sd_pct=assumed(2.5, "some persons form none"),
    error_sd=assumed(0.08, _COUNT_ERROR),
    level_loadings=loadings(_FOCAL, inflammation_level=0.60),
    rate_loadings=loadings(_FOCAL, inflammation_rate=0.75),
    drivers=loadings(_FOCAL, inflammation=1.0),
    process="t2 lesions",
    method="count",
    scanner_sd=assumed(8.0, "contrast and slice thickness differ between scanners"),
)  # fmt: skip

_HOLES = "lesions that have destroyed tissue"
_T1_SD = assumed(0.85, "about that of the T2 volume")
_T1_LEVEL = loadings(_HOLES, inflammation_level=0.85, neurodegeneration_level=0.10, duration=0.15)
_T1_RATE = loadings(_HOLES, inflammation_rate=0.70, neurodegeneration_rate=0.15)
_T1_DRIVERS = loadings(_HOLES, inflammation=0.7, neurodegeneration=0.3)

T1_VOLUME = ImagingModel(
    measure="t1_lesion_ml",
    scale="log",
    mean=by_phenotype(
        "a fifth to a quarter of the T2 volume, less in early disease",
        HC=0.03,
        RIS=0.6,
        CIS=0.7,
        RRMS=3.5,
        SPMS=derived(
            published("barkhof2001_t1_lesion_volume_median_spms_placebo")
            * math.exp(_T1_SD**2 / 2),
            "median to mean of a log-normal variable",
            "barkhof2001_t1_lesion_volume_median_spms_placebo",
        ),
        PPMS=2.6,
    ),
    sd=_T1_SD,
    rate_pct=by_phenotype(
        "as fast as the T2 volume or faster, most in SPMS",
        HC=0.3, RIS=3.5, CIS=4.5, RRMS=4.5, SPMS=5.0, PPMS=2.5,
    ),
    rate_sd_pct=assumed(4.0, "some persons accrue none"),
    error_sd=assumed(0.08, "faint lesions are hard to outline"),
    level_loadings=_T1_LEVEL,
    rate_loadings=_T1_RATE,
    drivers=_T1_DRIVERS,
    process="t1 lesions",
    own_level="lesion volume",  # T1 lesions lie within T2 lesions
    method="segmentation",
    scanner_sd=assumed(10.0, "contrast differs between scanners"),
    upgrade_sd=assumed(5.0, "half of the spread between scanners"),
)  # fmt: skip

T1_COUNT = ImagingModel(
    measure="t1_lesion_count",
    scale="count",
    mean=by_phenotype(
        "a quarter to two fifths of the T2 lesions, less in early disease",
        HC=0.1, RIS=2.5, CIS=2.5, RRMS=10.0, SPMS=16.0, PPMS=7.0,
    ),
    sd=assumed(0.85, "as the volume"),
    rate_pct=by_phenotype(
        "slower than the volume, because new lesions join old ones",
        HC=0.3, RIS=3.0, CIS=4.0, RRMS=3.0, SPMS=3.0, PPMS=2.0,
    ),
    rate_sd_pct=assumed(3.0, "some persons accrue none"),
    error_sd=assumed(0.12, _COUNT_ERROR),
    level_loadings=loadings(_HOLES, inflammation_level=0.65, neurodegeneration_level=0.10),
    rate_loadings=_T1_RATE,
    drivers=_T1_DRIVERS,
    process="t1 lesions",
    method="count",
    scanner_sd=assumed(10.0, "contrast differs between scanners"),
)  # fmt: skip

_SMOULDERING = "lesions with microglia at their edge, where inflammation is closed in"


def _smouldering(measure: str, scale: str, means: dict[str, float], sd: float) -> ImagingModel:
    """Describe lesions that expand, or that have a rim of iron."""
    return ImagingModel(
        measure=measure,
        scale=scale,
        mean=by_phenotype(f"{_SMOULDERING}: some in RRMS, more in progressive MS", **means),
        sd=assumed(sd, "many persons have none, some have several"),
        rate_pct=by_phenotype(
            "they persist for years and slowly become more",
            HC=0.0, RIS=1.5, CIS=2.0, RRMS=2.0, SPMS=2.0, PPMS=2.0,
        ),
        rate_sd_pct=assumed(3.0, "some disappear"),
        error_sd=assumed(0.12, _COUNT_ERROR),
        level_loadings=loadings(_SMOULDERING, meningeal_level=0.50, inflammation_level=0.40),
        rate_loadings=loadings(_SMOULDERING, meningeal_rate=0.45, inflammation_rate=0.25),
        drivers=loadings(_SMOULDERING, meningeal=0.7, inflammation=0.3),
        process="expanding lesions" if measure.startswith("expanding") else measure,
        method="count" if scale == "count" else "segmentation",
        scanner_sd=assumed(10.0, "contrast and resolution differ between scanners"),
    )  # fmt: skip


_SMOULDERING_MODELS = (
    _smouldering(
        "expanding_lesion_ml",
        "log",
        {"HC": 0.01, "RIS": 0.25, "CIS": 0.30, "RRMS": 0.80, "SPMS": 1.30, "PPMS": 1.10},
        1.0,
    ),
    _smouldering(
        "expanding_lesion_count",
        "count",
        {"HC": 0.03, "RIS": 0.80, "CIS": 0.90, "RRMS": 2.00, "SPMS": 3.20, "PPMS": 2.80},
        0.9,
    ),
    _smouldering(
        "rim_lesion_count",
        "count",
        {"HC": 0.02, "RIS": 1.20, "CIS": 1.30, "RRMS": 2.20, "SPMS": 3.50, "PPMS": 3.00},
        1.0,
    ),
)

MODELS: tuple[ImagingModel, ...] = (
    T2_VOLUME,
    T2_COUNT,
    T1_VOLUME,
    T1_COUNT,
    *_SMOULDERING_MODELS,
)
