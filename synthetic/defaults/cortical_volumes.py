"""Volumes of the cortex and its regions, and its thickness.

Volumes are normalised for head size, as SIENAX does; the regions sum to the whole cortex.
"""

from __future__ import annotations

from synthetic.defaults.assumptions import by_phenotype, loadings
from synthetic.defaults.reasons import AGED, EARLY, PERSONS, SCANNER, SHARES, TIED
from synthetic.defaults.wholes import part_of
from synthetic.observation import ImagingModel
from synthetic.values import PerPhenotype, Sourced, assumed

__all__ = ["CORTEX_DRIVERS", "MODELS"]


CORTEX_DRIVERS = (
    ("neurodegeneration", assumed(0.50, SHARES)),
    ("meningeal", assumed(0.40, "thins under the meninges, and less so under natalizumab")),
    ("inflammation", assumed(0.10, SHARES)),
)
"""What the loss of cortex is owed to."""

_CORTEX_MEANS = by_phenotype(
    AGED + "; Ruggieri 2015 printed 645 for controls and 568 for PPMS, more apart than the whole "
    "grey matter allows: between the two",
    HC=610,
    RIS=614,
    CIS=612,
    RRMS=600,
    SPMS=560,
    PPMS=572,
)
_CORTEX_LEVEL = loadings(TIED, neurodegeneration_level=0.5, meningeal_level=0.3, age=0.35)
_CORTEX_RATE = loadings(TIED, neurodegeneration_rate=0.65, meningeal_rate=0.3)
_CORTEX_RATE_SD = assumed(0.70, "about that of the whole grey matter")


def _cortical(
    measure: str, mean: PerPhenotype, sd: Sourced, rate: PerPhenotype, error: Sourced
) -> ImagingModel:
    """Describe one measure of the cortex; they share what moves them."""
    return ImagingModel(
        measure=measure,
        mean=mean,
        sd=sd,
        rate_pct=rate,
        rate_sd_pct=_CORTEX_RATE_SD,
        error_sd=error,
        level_loadings=_CORTEX_LEVEL,
        rate_loadings=_CORTEX_RATE,
        drivers=CORTEX_DRIVERS,
        process="cortex",
        method="segmentation",
        scanner_sd=assumed(2.0, SCANNER),
        upgrade_sd=assumed(1.2, SCANNER),
        pseudo_atrophy=assumed(0.2 if measure.endswith("_mm") else 0.5, EARLY),
    )


CORTEX = _cortical(
    "cortical_gm_ml",
    _CORTEX_MEANS,
    assumed(40, "43 in the controls of Ruggieri 2015"),
    by_phenotype(
        "what grey matter loses outside the deep nuclei and the cerebellum; more in SPMS than the "
        "0.5 of the EXPAND subgroups, which Furby's grey matter would not allow",
        HC=-0.343,
        RIS=-0.458,
        CIS=-0.590,
        RRMS=-0.770,
        SPMS=-1.093,
        PPMS=-0.790,
    ),
    assumed(7.0, "1.2 %"),
)

_PATTERN = "each phenotype has its own pattern over the regions, and they sum to the whole cortex"
_REGIONS: tuple[tuple[str, float, float, PerPhenotype], ...] = (
    (
        "frontal",
        0.36,
        2.65,
        by_phenotype(_PATTERN, HC=-0.38, RIS=-0.46, CIS=-0.55, RRMS=-0.72, SPMS=-0.95, PPMS=-0.82),
    ),
    (
        "parietal",
        0.22,
        2.45,
        by_phenotype(_PATTERN, HC=-0.34, RIS=-0.47, CIS=-0.67, RRMS=-0.90, SPMS=-1.05, PPMS=-0.80),
    ),
    (
        "temporal",
        0.22,
        2.85,
        by_phenotype(
            "fastest in SPMS: temporal-cortex-atrophy-accelerated-spms",
            HC=-0.32,
            RIS=-0.45,
            CIS=-0.56,
            RRMS=-0.74,
            SPMS=-1.50,
            PPMS=-0.72,
        ),
    ),
    (
        "occipital",
        0.12,
        2.05,
        by_phenotype(_PATTERN, HC=-0.26, RIS=-0.40, CIS=-0.54, RRMS=-0.70, SPMS=-0.80, PPMS=-0.58),
    ),
    (
        "cingulate",
        0.05,
        0.0,
        by_phenotype(_PATTERN, HC=-0.40, RIS=-0.52, CIS=-0.75, RRMS=-1.05, SPMS=-1.15, PPMS=-1.25),
    ),
    (
        "insular",
        0.03,
        0.0,
        by_phenotype(_PATTERN, HC=-0.40, RIS=-0.52, CIS=-0.72, RRMS=-1.00, SPMS=-1.25, PPMS=-1.05),
    ),
)
"""Region, share of the cortex, thickness in controls (mm; 0 where not measured), annual change."""

_REGION_SHARE = "share of the cortex"
_THIN = "relative thinning, somewhat less than the relative loss of volume"
_THICKNESS = by_phenotype(_THIN, HC=1.0, RIS=0.998, CIS=0.995, RRMS=0.970, SPMS=0.920, PPMS=0.935)
_THICKNESS_RATE = 0.85

REGIONS = tuple(
    _cortical(
        f"{region}_gm_ml",
        part_of(_CORTEX_MEANS, share, _REGION_SHARE),
        assumed(0.08 * share * _CORTEX_MEANS["HC"], "8 % of the mean"),
        rate,
        assumed(0.015 * share * _CORTEX_MEANS["HC"], "1.5 % of the mean"),
    )
    for region, share, _, rate in _REGIONS
)

THICKNESS = (
    _cortical(
        "cortical_thickness_mm",
        part_of(_THICKNESS, 2.55, _THIN),
        assumed(0.10, PERSONS),
        part_of(CORTEX.rate_pct, _THICKNESS_RATE, _THIN),
        assumed(0.025, "1 %"),
    ),
    *(
        _cortical(
            f"{region}_thickness_mm",
            part_of(_THICKNESS, millimetres, _THIN),
            assumed(0.12, PERSONS),
            part_of(rate, _THICKNESS_RATE, _THIN),
            assumed(0.035, "1.4 %"),
        )
        for region, _, millimetres, rate in _REGIONS
        if millimetres
    ),
)

MODELS: tuple[ImagingModel, ...] = (CORTEX, *REGIONS, *THICKNESS)
