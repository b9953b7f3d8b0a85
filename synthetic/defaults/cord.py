"""The spinal cord: area and volume, lesions, magnetisation transfer, diffusion, NAA.

Cord measures load on the process "cord" and hardly on anything else, so that brain and cord come
apart as the review reports (cord-brain-dti-unrelated-ppms, cord-atrophy-unrelated-brain-lesions-
ppms, cord-dti-change-independent-of-lesions-brain). Volumes are of a fixed length of cord.
"""

from __future__ import annotations

import math

from synthetic.defaults import cord_diffusion
from synthetic.defaults.assumptions import by_phenotype, loadings
from synthetic.defaults.reasons import PERSONS, SCANNER, SHARES, SLOPES, TIED
from synthetic.defaults.wholes import part_of
from synthetic.observation import ImagingModel
from synthetic.values import PerPhenotype, Sourced, assumed, derived, published, worked_out

__all__ = ["MODELS"]

_AREAS = "early loss is small, progressive loss large, as in the pooled areas of Casserly 2018"
_CORD = (("cord", assumed(1.0, SHARES)),)

_AREA_LEVEL = loadings(TIED, cord_level=0.55, age=0.05, head_size=-0.2)
_AREA_RATE = loadings(TIED, cord_rate=0.70, neurodegeneration_rate=0.10)
_AREA_RATE_SD = worked_out("lin2003_cord_slope_sd")
_UPPER = ("cord_area_c2c3", "cord_area_cervical", "cord_c2")
_PPMS_LOSS = 2.0
_AREA_RATES = by_phenotype(
    "SPMS inside the intervals of both Lukas 2015 (-2.2) and Furby 2010 (-1.63), RRMS so that the "
    "difference lies between the two of Lukas 2015 (0.85 alone, 0.59 adjusted); faster than in "
    "controls in PPMS",
    HC=-0.30,
    RIS=-0.60,
    CIS=-0.80,
    RRMS=-1.25,
    SPMS=-1.92,
    PPMS=-_PPMS_LOSS,
)
_C2C3 = by_phenotype(
    _AREAS,
    HC=published("casserly2018_cord_hc"),
    RIS=80.0,
    CIS=79.4,
    RRMS=published("casserly2018_cord_rrms"),
    SPMS=published("casserly2018_cord_spms"),
    PPMS=published("casserly2018_cord_ppms"),
)
_ERROR_PCT = derived(
    math.sqrt(
        ((worked_out("cawley2018_cord_sd_over_mean_ppms") * _PPMS_LOSS) ** 2 - _AREA_RATE_SD**2) / 2
    ),
    "the error with which a change over a year has the SD behind the sample size of Cawley 2018; "
    "older methods had 1.9 % (Lin 2003), Papinutto 2019 less than 1.5 %",
    "cawley2018_cord_sd_over_mean_ppms",
    "lin2003_cord_slope_sd",
)


def _volume(record_id: str, millimetres: float, field: str = "value") -> Sourced:
    """Turn a published area, which is a volume over its length, to ml of cord of a length."""
    return derived(
        published(record_id, field) * millimetres / 1000,
        f"{field} times {millimetres:g} mm, a typical length, in ml",
        record_id,
    )


def _of_mean(error_pct: Sourced, mean: float) -> Sourced:
    """Turn an error in percent to native units."""
    why = f"{error_pct:.3g} % of the mean in PPMS; {error_pct.why}"
    return (
        derived(error_pct / 100 * mean, why, *error_pct.record_ids)
        if error_pct.record_ids
        else assumed(error_pct / 100 * mean, why)
    )


def _area(
    measure: str,
    mean: PerPhenotype,
    sd: Sourced,
    error_pct: Sourced,
    *,
    rate: PerPhenotype = _AREA_RATES,
    level: tuple[tuple[str, Sourced], ...] = _AREA_LEVEL,
) -> ImagingModel:
    """Describe an area or volume of the cord."""
    return ImagingModel(
        measure=measure,
        mean=mean,
        sd=sd,
        rate_pct=rate,
        rate_sd_pct=_AREA_RATE_SD,
        error_sd=_of_mean(error_pct, mean["PPMS"]),
        level_loadings=level,
        rate_loadings=_AREA_RATE,
        drivers=_CORD,
        own_level="cord area" if measure.startswith(_UPPER) else measure,
        process="cord area",
        method="segmentation",
        scanner_sd=published("lukas2021_cord_scanner_cv_asm_hc"),
        upgrade_sd=assumed(0.6, SCANNER),
    )


C2C3 = _area(
    "cord_area_c2c3_mm2",
    _C2C3,
    derived(
        published("ruggieri2015_cord_ppms", "sd"),
        "its sd; printed in mm3, but by its size that of an area (a volume per length), in mm2",
        "ruggieri2015_cord_ppms",
    ),
    _ERROR_PCT,
)

_SEPARATES = "RRMS and SPMS lie further apart at C7: c7-area-best-separates-spms-rrms"
AREAS = (
    C2C3,
    _area(
        "cord_area_cervical_mm2",
        by_phenotype(_AREAS, HC=79.0, RIS=78.2, CIS=77.6, RRMS=77.0, SPMS=67.5, PPMS=69.7),
        assumed(7.6, PERSONS),
        assumed(1.1, "a longer piece than at C2-C3"),
    ),
    _area(
        "cord_area_c7_mm2",
        by_phenotype(_SEPARATES, HC=71.0, RIS=70.3, CIS=69.8, RRMS=69.0, SPMS=57.0, PPMS=60.0),
        assumed(7.0, PERSONS),
        assumed(1.6, "the lower cervical cord is harder to segment"),
    ),
    _area(
        "cord_area_thoracic_mm2",
        by_phenotype(_AREAS, HC=44.0, RIS=43.6, CIS=43.2, RRMS=42.5, SPMS=38.0, PPMS=38.5),
        assumed(4.5, PERSONS),
        assumed(2.2, "moves with the breath"),
    ),
    _area(
        "cord_gm_area_mm2",
        by_phenotype(
            "grey matter shrinks most: cord-area-especially-gm-correlates-disability",
            HC=19.0,
            RIS=18.8,
            CIS=18.4,
            RRMS=18.0,
            SPMS=14.8,
            PPMS=15.5,
        ),
        assumed(1.9, PERSONS),
        assumed(2.5, "a small area"),
        rate=by_phenotype(
            "somewhat faster than the whole cord",
            HC=-0.30,
            RIS=-0.70,
            CIS=-0.90,
            RRMS=-1.40,
            SPMS=-2.30,
            PPMS=-2.40,
        ),
        level=loadings(
            "closest to disability of the areas", cord_level=0.70, age=0.05, head_size=-0.2
        ),
    ),
    _area(
        "cord_wm_area_mm2",
        by_phenotype(
            "area at C2-C3 less grey matter",
            HC=61.87,
            RIS=61.2,
            CIS=61.0,
            RRMS=60.88,
            SPMS=53.75,
            PPMS=55.48,
        ),
        assumed(6.4, PERSONS),
        assumed(1.5, "about that of the whole area"),
        rate=by_phenotype(
            "what C2-C3 and its grey matter leave",
            HC=-0.30,
            RIS=-0.57,
            CIS=-0.77,
            RRMS=-1.21,
            SPMS=-1.82,
            PPMS=-1.89,
        ),
        level=loadings(TIED, cord_level=0.45, age=0.05, head_size=-0.2),
    ),
    _area(
        "cord_c2c3_ml",
        by_phenotype(
            "in proportion to the areas of the groups",
            HC=2.36,
            RIS=2.34,
            CIS=2.32,
            RRMS=2.30,
            SPMS=1.90,
            PPMS=_volume("ruggieri2015_cord_ppms", 30),
        ),
        _volume("ruggieri2015_cord_ppms", 30, "sd"),
        assumed(1.2, "as the area"),
    ),
    _area(
        "cord_c2c5_ml",
        by_phenotype(
            "in proportion to the areas of the groups",
            HC=_volume("ruggieri2015_cord_c2c5_mean_hc", 60),
            RIS=4.91,
            CIS=4.87,
            RRMS=4.83,
            SPMS=4.25,
            PPMS=_volume("ruggieri2015_cord_c2c5_mean_ppms", 60),
        ),
        _volume("ruggieri2015_cord_c2c5_mean_ppms", 60, "sd"),
        assumed(1.1, "a longer piece"),
    ),
)

_LOAD = (
    "more in progressive MS than in RRMS, more in SPMS than in PPMS: "
    "cord-lesion-load-higher-pms-than-rrms, lesion-burden-higher-spms-than-ppms"
)
_CERVICAL_SHARE = 0.65
_COUNTS = by_phenotype(_LOAD, HC=0.02, RIS=0.9, CIS=0.8, RRMS=1.9, SPMS=4.2, PPMS=3.0)
_ACCRUAL = by_phenotype(
    "new cord lesions are few", HC=0.2, RIS=4.0, CIS=5.0, RRMS=4.0, SPMS=2.0, PPMS=2.5
)


def _lesions(measure: str, scale: str, mean: PerPhenotype, sd: float, error: float) -> ImagingModel:
    """Describe a measure of the load of lesions in the cord."""
    return ImagingModel(
        measure=measure,
        scale=scale,  # type: ignore[arg-type]
        mean=mean,
        sd=assumed(sd, "of the logarithm"),
        rate_pct=_ACCRUAL,
        rate_sd_pct=assumed(3.0, SLOPES),
        error_sd=assumed(error, "of the logarithm; readers differ"),
        level_loadings=loadings(
            "loosely tied to atrophy (cord-atrophy-from-diffuse-axonal-loss)",
            cord_level=0.25,
            inflammation_level=0.40,
        ),
        rate_loadings=loadings(TIED, inflammation_rate=0.4),
        drivers=(
            ("cord", assumed(1.0, "IFN beta did not change their number: ifnb1a-no-effect-cord")),
        ),
        process="cord lesions",
        own_level="cord lesions",
        method="count" if scale == "count" else "manual",
        scanner_sd=assumed(5.0, SCANNER),
    )


LESIONS = (
    _lesions("cord_lesion_count", "count", _COUNTS, 0.70, 0.05),
    _lesions(
        "cord_lesion_cervical_count",
        "count",
        part_of(
            _COUNTS,
            _CERVICAL_SHARE,
            "most are cervical, though the cervical cord is a third: cervical-cord-highest-"
            "lesion-load",
        ),
        0.70,
        0.05,
    ),
    _lesions(
        "cord_lesion_mm3",
        "log",
        by_phenotype(_LOAD, HC=0.5, RIS=85, CIS=75, RRMS=190, SPMS=460, PPMS=330),
        0.80,
        0.20,
    ),
    _lesions(
        "cord_lesion_area_mm2",
        "log",
        by_phenotype(_LOAD, HC=0.1, RIS=12, CIS=11, RRMS=28, SPMS=70, PPMS=50),
        0.80,
        0.20,
    ),
)

DIFFUSE = ImagingModel(
    measure="cord_diffuse_signal",
    scale="presence",
    mean=by_phenotype(
        "typical of primary progressive MS",
        HC=0.01,
        RIS=0.06,
        CIS=0.06,
        RRMS=0.13,
        SPMS=0.33,
        PPMS=0.45,
    ),
    rate_pct=by_phenotype("spreads slowly", HC=0.0, RIS=2.0, CIS=2.0, RRMS=3.0, SPMS=5.0, PPMS=6.0),
    rate_sd_pct=assumed(4.0, SLOPES),
    error_sd=assumed(0.2, "of the score; readers differ"),
    level_loadings=loadings(TIED, cord_level=0.5),
    rate_loadings=loadings(TIED, cord_rate=0.4),
    drivers=_CORD,
    method="manual",
)

ONSET = ImagingModel(
    measure="spinal_onset",
    scale="presence",
    mean=by_phenotype(
        "the commonest onset of PPMS (cord-syndrome-commonest-onset-ppms); none without symptoms",
        HC=0.0,
        RIS=0.0,
        CIS=0.40,
        RRMS=0.42,
        SPMS=0.45,
        PPMS=0.77,
    ),
    rate_pct=by_phenotype("a fact of the past", HC=0, RIS=0, CIS=0, RRMS=0, SPMS=0, PPMS=0),
    rate_sd_pct=assumed(0.0, "a fact of the past"),
    error_sd=assumed(0.0, "a fact of the past"),
    level_loadings=loadings(TIED, cord_level=0.3),
    method="manual",
)

_MTR_WHY = (
    "the same in both progressive forms (cord-mtr-no-difference-ppms-spms), lower than in early "
    "disease"
)
_MTR_RATES = by_phenotype(
    "slow loss of myelin", HC=-0.05, RIS=-0.10, CIS=-0.30, RRMS=-0.50, SPMS=-0.80, PPMS=-0.80
)
_MTR: tuple[tuple[str, PerPhenotype], ...] = (
    (
        "cord_mtr_pu",
        by_phenotype(_MTR_WHY, HC=45.0, RIS=44.5, CIS=44.0, RRMS=43.0, SPMS=40.5, PPMS=40.5),
    ),
    (
        "cord_pial_mtr_pu",
        by_phenotype(
            "most marked at the surface: cord-subpial-mtr-worse-pms",
            HC=41.0,
            RIS=40.3,
            CIS=39.6,
            RRMS=38.6,
            SPMS=35.0,
            PPMS=35.0,
        ),
    ),
    (
        "cord_wm_mtr_pu",
        by_phenotype(_MTR_WHY, HC=46.5, RIS=46.0, CIS=45.4, RRMS=44.3, SPMS=41.5, PPMS=41.5),
    ),
    (
        "cord_gm_mtr_pu",
        by_phenotype(_MTR_WHY, HC=42.5, RIS=42.1, CIS=41.7, RRMS=40.8, SPMS=38.6, PPMS=38.6),
    ),
)

MTR = tuple(
    ImagingModel(
        measure=measure,
        mean=mean,
        sd=assumed(2.5, PERSONS),
        rate_pct=_MTR_RATES,
        rate_sd_pct=assumed(0.6, SLOPES),
        error_sd=assumed(0.8, "2 %; the cord is small and moves"),
        level_loadings=loadings(TIED, cord_level=0.45, demyelination_level=0.2, age=0.05),
        rate_loadings=loadings(TIED, cord_rate=0.35, demyelination_rate=0.25),
        drivers=(("cord", assumed(0.7, SHARES)), ("demyelination", assumed(0.3, SHARES))),
        process="cord mtr",
        method="map",
        scanner_sd=assumed(3.0, SCANNER),
        upgrade_sd=assumed(2.0, SCANNER),
    )
    for measure, mean in _MTR
)

NAA = ImagingModel(
    measure="cord_naa_mmol_l",
    mean=by_phenotype(
        "axons are lost from early on", HC=7.0, RIS=6.6, CIS=6.1, RRMS=5.6, SPMS=4.6, PPMS=4.7
    ),
    sd=assumed(1.0, PERSONS),
    rate_pct=by_phenotype("slow", HC=-0.2, RIS=-0.4, CIS=-0.6, RRMS=-0.8, SPMS=-1.2, PPMS=-1.2),
    rate_sd_pct=assumed(1.0, SLOPES),
    error_sd=assumed(0.6, "10 %; a small voxel"),
    level_loadings=loadings("axonal loss", cord_level=0.6, age=0.05),
    rate_loadings=loadings(TIED, cord_rate=0.5),
    drivers=_CORD,
    method="spectrum",
    scanner_sd=assumed(5.0, SCANNER),
    upgrade_sd=assumed(3.0, SCANNER),
)

MODELS: tuple[ImagingModel, ...] = (
    *AREAS,
    *LESIONS,
    DIFFUSE,
    ONSET,
    *MTR,
    NAA,
    *cord_diffusion.MODELS,
)
