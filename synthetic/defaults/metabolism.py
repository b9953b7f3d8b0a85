"""Metabolites by spectroscopy, TSPO by PET, and proteins of blood and cerebrospinal fluid."""

from __future__ import annotations

from synthetic.defaults.assumptions import by_phenotype, loadings
from synthetic.observation import ImagingModel
from synthetic.values import PerPhenotype, assumed

__all__ = ["MODELS"]

_NEURONS = "NAA is made by neurons and is lost with them and with their function"
_GLIA = "microglia bind the tracer; they gather where inflammation is closed in"
_AXONS = "axons shed it as they are injured, by lesions or by slow loss"
_ASTROCYTES = "astrocytes shed it where inflammation is closed in and tissue scars"
_SPECTRUM_ERROR = "4 to 8 % of the mean between repeated spectra"
_TRACER_ERROR = "3 % of the mean between repeated scans"
_ASSAY = "assay and day-to-day variation"
_RATE_SPREAD = "small against the error of a spectrum"

# Patients do not differ from each other: the finding naa-no-difference-ppms-other-phenotypes asks
# for it in white matter and lesions, so age carries no weight either. Longitudinal studies were
# negative (naa-longitudinal-studies-negative): the mean hardly moves.
_NAA_EQUAL = "below controls, the same in all patients with an established course"
_NAA_RATE = by_phenotype(
    "longitudinal studies found no change",
    HC=-0.05, RIS=-0.05, CIS=-0.05, RRMS=-0.08, SPMS=-0.10, PPMS=-0.10,
)  # fmt: skip


def _naa(measure: str, mean: PerPhenotype, sd: float, error_sd: float) -> ImagingModel:
    """Describe N-acetyl-aspartate of one tissue."""
    return ImagingModel(
        measure=measure,
        mean=mean,
        sd=assumed(sd, "about a tenth of the mean"),
        rate_pct=_NAA_RATE,
        rate_sd_pct=assumed(0.8, _RATE_SPREAD),
        error_sd=assumed(error_sd, _SPECTRUM_ERROR),
        level_loadings=loadings(_NEURONS, neurodegeneration_level=0.60, demyelination_level=0.15),
        rate_loadings=loadings(_NEURONS, neurodegeneration_rate=0.40),
        drivers=loadings(_NEURONS, neurodegeneration=1.0),
        method="spectrum",
        scanner_sd=assumed(5.0, "calibration of the spectrum differs between scanners"),
        upgrade_sd=assumed(2.5, "half of the spread between scanners"),
    )


_NAA_MODELS = (
    _naa(
        "nawm_naa_mmol_l",
        by_phenotype(_NAA_EQUAL, HC=10.0, RIS=9.6, CIS=9.4, RRMS=9.0, SPMS=9.0, PPMS=9.0),
        sd=0.9, error_sd=0.45,
    ),
    _naa(
        "lesion_naa_mmol_l",
        by_phenotype(_NAA_EQUAL, HC=9.5, RIS=8.3, CIS=8.2, RRMS=7.6, SPMS=7.6, PPMS=7.6),
        sd=1.1, error_sd=0.55,
    ),
    _naa(
        "cortical_naa_mmol_l",
        by_phenotype(
            "below controls, most in progressive MS (finding cortical-naa-decreased-pms)",
            HC=9.4, RIS=9.2, CIS=9.1, RRMS=8.9, SPMS=8.5, PPMS=8.5,
        ),
        sd=0.9, error_sd=0.45,
    ),
    _naa(
        "nawm_naa_cr",
        by_phenotype(_NAA_EQUAL, HC=2.00, RIS=1.93, CIS=1.90, RRMS=1.80, SPMS=1.80, PPMS=1.80),
        sd=0.20, error_sd=0.10,
    ),
    _naa(
        "lesion_naa_cr",
        by_phenotype(_NAA_EQUAL, HC=1.90, RIS=1.65, CIS=1.63, RRMS=1.50, SPMS=1.50, PPMS=1.50),
        sd=0.24, error_sd=0.12,
    ),
    _naa(
        "cortical_naa_cr",
        by_phenotype(
            "below controls, most in progressive MS (finding cortical-naa-decreased-pms)",
            HC=1.50, RIS=1.47, CIS=1.46, RRMS=1.42, SPMS=1.36, PPMS=1.36,
        ),
        sd=0.14, error_sd=0.08,
    ),
)  # fmt: skip

MYO_INOSITOL = ImagingModel(
    measure="nawm_mins_mmol_l",
    mean=by_phenotype(
        "raised with gliosis, most in progressive MS",
        HC=4.2, RIS=4.4, CIS=4.5, RRMS=4.7, SPMS=5.1, PPMS=5.0,
    ),
    sd=assumed(0.7, "about a seventh of the mean"),
    rate_pct=by_phenotype(
        "slow rise", HC=0.2, RIS=0.3, CIS=0.4, RRMS=0.5, SPMS=0.8, PPMS=0.8
    ),
    rate_sd_pct=assumed(1.0, _RATE_SPREAD),
    error_sd=assumed(0.35, _SPECTRUM_ERROR),
    level_loadings=loadings("scarring by astrocytes", demyelination_level=0.4, meningeal_level=0.4),
    rate_loadings=loadings("scarring by astrocytes", meningeal_rate=0.3, demyelination_rate=0.2),
    drivers=loadings("scarring by astrocytes", meningeal=0.6, demyelination=0.4),
    method="spectrum",
    scanner_sd=assumed(5.0, "calibration of the spectrum differs between scanners"),
    upgrade_sd=assumed(2.5, "half of the spread between scanners"),
)  # fmt: skip


def _tspo(measure: str, why: str, means: dict[str, float], level: dict[str, float]) -> ImagingModel:
    """Describe tracer binding of one tissue."""
    return ImagingModel(
        measure=measure,
        mean=by_phenotype(why, **means),
        sd=assumed(0.08, "6 % of the mean between persons"),
        rate_pct=by_phenotype(
            "slow rise, in controls with age",
            HC=0.15, RIS=0.25, CIS=0.30, RRMS=0.35, SPMS=0.60, PPMS=0.60,
        ),
        rate_sd_pct=assumed(0.6, "about the mean rise of progressive MS"),
        error_sd=assumed(0.035, _TRACER_ERROR),
        level_loadings=loadings(_GLIA, **level),
        rate_loadings=loadings(_GLIA, meningeal_rate=0.5),
        drivers=loadings(_GLIA, meningeal=1.0),
        method="tracer",
        scanner_sd=assumed(3.0, "resolution differs between scanners"),
        upgrade_sd=assumed(1.5, "half of the spread between scanners"),
    )  # fmt: skip


_TSPO_MODELS = (
    # Findings: nawm-tspo-up-with-severity-and-age-pms, nawm-tspo-above-hc-spms; levels rise in the
    # order of Rissanen 2018 (SPMS above RRMS and controls).
    _tspo(
        "nawm_tspo_dvr",
        "SPMS above RRMS and controls (Rissanen 2018)",
        {"HC": 1.20, "RIS": 1.21, "CIS": 1.21, "RRMS": 1.23, "SPMS": 1.31, "PPMS": 1.29},
        {"meningeal_level": 0.45, "neurodegeneration_level": 0.35, "age": 0.35},
    ),
    _tspo(
        "lesion_rim_tspo_dvr",
        "rims of chronic active lesions bind more than white matter, most in progressive MS",
        {"HC": 1.20, "RIS": 1.27, "CIS": 1.28, "RRMS": 1.32, "SPMS": 1.42, "PPMS": 1.40},
        {"meningeal_level": 0.55, "inflammation_level": 0.20, "age": 0.15},
    ),
    # Findings: cortical-tspo-raised-pms, cortical-tspo-relates-thinning-and-disability.
    _tspo(
        "cortical_tspo_dvr",
        "raised in progressive MS",
        {"HC": 1.15, "RIS": 1.16, "CIS": 1.17, "RRMS": 1.19, "SPMS": 1.26, "PPMS": 1.25},
        {"meningeal_level": 0.60, "neurodegeneration_level": 0.30, "age": 0.10},
    ),
    _tspo(
        "thalamus_tspo_dvr",
        "SPMS above controls (Rissanen 2018)",
        {"HC": 1.40, "RIS": 1.41, "CIS": 1.42, "RRMS": 1.45, "SPMS": 1.52, "PPMS": 1.50},
        {"meningeal_level": 0.40, "neurodegeneration_level": 0.40, "age": 0.20},
    ),
)


def _fluid(
    measure: str, *, means: dict[str, float], sd: float, level: dict[str, float],
    drivers: dict[str, float], why: str,
) -> ImagingModel:  # fmt: skip
    """Describe a protein of blood or cerebrospinal fluid, on the scale of the logarithm."""
    return ImagingModel(
        measure=measure,
        scale="log",
        mean=by_phenotype(why, **means),
        sd=assumed(sd, "skewed: some have twice the mean"),
        rate_pct=by_phenotype(
            "rises with age in everybody",
            HC=2.0, RIS=2.0, CIS=2.0, RRMS=2.0, SPMS=3.0, PPMS=3.0,
        ),
        rate_sd_pct=assumed(4.0, "concentrations wander"),
        error_sd=assumed(0.12, _ASSAY),
        level_loadings=loadings(why, **level),
        rate_loadings=loadings(why, neurodegeneration_rate=0.25, inflammation_rate=0.2),
        drivers=loadings(why, **drivers),
        scanner_sd=assumed(0.0, "one laboratory for all sites"),
    )  # fmt: skip


_NFL_LEVEL = {"neurodegeneration_level": 0.35, "inflammation_level": 0.25, "age": 0.40}
_GFAP_LEVEL = {"meningeal_level": 0.40, "neurodegeneration_level": 0.30, "age": 0.40}
_NFL_DRIVERS = {"inflammation": 0.5, "neurodegeneration": 0.5}
_GFAP_DRIVERS = {"meningeal": 0.6, "neurodegeneration": 0.4}

_FLUID_MODELS = (
    _fluid(
        "snfl_pg_ml",
        means={"HC": 8.0, "RIS": 9.5, "CIS": 12.0, "RRMS": 11.5, "SPMS": 13.5, "PPMS": 13.0},
        sd=0.45, level=_NFL_LEVEL, drivers=_NFL_DRIVERS, why=_AXONS,
    ),
    _fluid(
        "sgfap_pg_ml",
        means={"HC": 75.0, "RIS": 80.0, "CIS": 82.0, "RRMS": 92.0, "SPMS": 130.0, "PPMS": 125.0},
        sd=0.40, level=_GFAP_LEVEL, drivers=_GFAP_DRIVERS, why=_ASTROCYTES,
    ),
    _fluid(
        "csf_nfl_pg_ml",
        means={"HC": 450.0, "RIS": 650.0, "CIS": 1100.0, "RRMS": 1000.0, "SPMS": 1150.0,
               "PPMS": 1050.0},
        sd=0.50, level=_NFL_LEVEL, drivers=_NFL_DRIVERS, why=_AXONS,
    ),
    _fluid(
        "csf_gfap_pg_ml",
        means={"HC": 5500.0, "RIS": 6000.0, "CIS": 6500.0, "RRMS": 7500.0, "SPMS": 10000.0,
         "PPMS": 9500.0},
        sd=0.40, level=_GFAP_LEVEL, drivers=_GFAP_DRIVERS, why=_ASTROCYTES,
    ),
)  # fmt: skip

MODELS: tuple[ImagingModel, ...] = (*_NAA_MODELS, MYO_INOSITOL, *_TSPO_MODELS, *_FLUID_MODELS)
