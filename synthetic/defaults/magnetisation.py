"""Magnetisation transfer ratio of brain tissue: levels, falls, and what they follow.

The normalised ratios of EXPAND are in units of their own and cannot be turned into percentage
units, so they anchor nothing here.
"""

from __future__ import annotations

from synthetic.defaults.assumptions import by_phenotype, loadings
from synthetic.observation import ImagingModel
from synthetic.values import PerPhenotype, Sourced, assumed, derived, published

__all__ = ["MODELS"]

_TISSUE = "myelin and axons hold the bound protons, so the ratio falls as they are lost"
_BETWEEN = "spread between persons on one scanner"
_LEVELS = "between controls and progressive MS, early disease nearer to controls"
_RATES = "small falls, as in trials of two years; faster in progressive MS"
_RATE_SPREAD = "about the mean fall of progressive MS, so that some patients stay stable"
_RESCAN = "0.5 to 1 % of the mean on one scanner, more in small regions"
_SCANNER = "sequences and coils differ by some percent"

_PPMS_NAWM = published("leary1999_mtr_ppms")

_BRAIN_FALL = derived(
    published("inglese2003_brain_mtr_change_24m_spms") / 2,
    "fall per year until month 24, with 54 patients; the 47 of month 36 had fallen by less",
    "inglese2003_brain_mtr_change_24m_spms",
)


def _six_times(record_id: str) -> Sourced:
    """Turn a change between two-monthly scans, in percent, to one per year."""
    return derived(6 * published(record_id), "six intervals of two months a year", record_id)


def _model(
    measure: str,
    *,
    mean: PerPhenotype,
    sd: float,
    rate_pct: PerPhenotype,
    error_sd: float,
    level: dict[str, float],
    rate: dict[str, float],
    drivers: dict[str, float],
    rate_sd_pct: float = 0.6,
) -> ImagingModel:
    """Describe the ratio of one tissue."""
    return ImagingModel(
        measure=measure,
        mean=mean,
        sd=assumed(sd, _BETWEEN),
        rate_pct=rate_pct,
        rate_sd_pct=assumed(rate_sd_pct, _RATE_SPREAD),
        error_sd=assumed(error_sd, _RESCAN),
        level_loadings=loadings(_TISSUE, **level),
        rate_loadings=loadings(_TISSUE, **rate),
        drivers=loadings(_TISSUE, **drivers),
        method="map",
        scanner_sd=assumed(3.0, _SCANNER),
        upgrade_sd=assumed(1.5, "half of the spread between scanners"),
    )


NAWM = _model(
    "nawm_mtr_pu",
    # The two progressive forms have the same mean (finding nawm-mtr-no-difference-spms-ppms) and
    # lie below the others (nawm-mtr-lower-pms-than-other-phenotypes). Levels of the corpus callosum
    # stand for all of the white matter.
    mean=by_phenotype(
        _LEVELS,
        HC=published("leary1999_mtr_hc"),
        RIS=40.5,
        CIS=40.45,
        RRMS=40.2,
        SPMS=assumed(_PPMS_NAWM, "as in PPMS: the two progressive forms do not differ"),
        PPMS=_PPMS_NAWM,
    ),
    sd=1.0,
    rate_pct=by_phenotype(
        _RATES, HC=-0.05, RIS=-0.10, CIS=-0.12, RRMS=-0.15, SPMS=-0.70, PPMS=-0.70
    ),
    error_sd=0.2,
    level={"demyelination_level": 0.70, "neurodegeneration_level": 0.10, "age": 0.05},
    rate={"demyelination_rate": 0.60},
    drivers={"demyelination": 1.0},
)

LESION = _model(
    "lesion_mtr_pu",
    mean=by_phenotype(
        "far below normal-appearing white matter (finding lesion-mtr-below-nawm-ppms); "
        "age-related hyperintensities in controls lose less",
        HC=36.0, RIS=33.5, CIS=33.0, RRMS=32.0, SPMS=30.5, PPMS=31.5,
    ),
    sd=2.2,
    rate_pct=by_phenotype(
        "between controls and RRMS in early disease; more in progressive MS",
        HC=-0.10, RIS=-0.30, CIS=-0.35, SPMS=-1.00, PPMS=-0.90,
        RRMS=_six_times("multscler2010_lesion_mtr_change_per_visit_rrms"),
    ),
    error_sd=0.4,
    level={"demyelination_level": 0.55, "inflammation_level": 0.15,
           "neurodegeneration_level": 0.10},
    rate={"demyelination_rate": 0.55},
    drivers={"demyelination": 1.0},
    rate_sd_pct=0.9,
)  # fmt: skip

NABT = _model(
    "nabt_mtr_pu",
    mean=by_phenotype(
        _LEVELS, HC=38.5, RIS=38.3, CIS=38.2, RRMS=37.9, SPMS=37.2, PPMS=37.4
    ),
    sd=1.0,
    rate_pct=by_phenotype(
        "between controls and RRMS in early disease; more in progressive MS",
        HC=-0.05, RIS=-0.08, CIS=-0.10, SPMS=-0.80, PPMS=-0.75,
        RRMS=_six_times("multscler2010_nabt_mtr_change_per_visit_rrms"),
    ),
    error_sd=0.2,
    level={"demyelination_level": 0.60, "neurodegeneration_level": 0.20, "age": 0.10},
    rate={"demyelination_rate": 0.50, "neurodegeneration_rate": 0.10},
    drivers={"demyelination": 0.8, "neurodegeneration": 0.2},
)  # fmt: skip

BRAIN = _model(
    "brain_mtr_pu",
    mean=by_phenotype(
        f"{_LEVELS}; includes lesions", HC=37.5, RIS=37.2, CIS=37.1, RRMS=36.4, SPMS=35.2, PPMS=35.7
    ),
    sd=1.1,
    # Falls faster than any of its parts in the other measures: it takes in new lesions and, as
    # tissue shrinks, more fluid at the edges. The study behind it says so much more than others.
    rate_pct=by_phenotype(
        "controls hardly change; the others by their place between controls and SPMS",
        HC=-0.10, RIS=-0.20, CIS=-0.30, RRMS=-0.50,
        SPMS=_BRAIN_FALL,
        PPMS=-1.30,
    ),
    error_sd=0.25,
    level={"demyelination_level": 0.50, "inflammation_level": 0.20,
           "neurodegeneration_level": 0.25, "age": 0.10},
    rate={"demyelination_rate": 0.45, "neurodegeneration_rate": 0.20},
    drivers={"demyelination": 0.7, "neurodegeneration": 0.3},
    rate_sd_pct=1.0,
)  # fmt: skip

_CORTICAL_LEVEL = {
    "demyelination_level": 0.50,
    "meningeal_level": 0.25,
    "neurodegeneration_level": 0.30,
}
# Change follows demyelination, which goes its own way from what worsens disability: the finding
# nagm-mtr-responsiveness-limited-lamotrigine-spms asks for a weak link with worsening.
_CORTICAL_RATE = {"demyelination_rate": 0.45, "meningeal_rate": 0.10}
_CORTICAL_DRIVERS = {"demyelination": 0.7, "meningeal": 0.3}
_CORTICAL_RATES = by_phenotype(
    f"{_RATES}; grey matter falls more than white in PPMS over one year (Khaleeli 2007)",
    HC=-0.08, RIS=-0.15, CIS=-0.18, RRMS=-0.30, SPMS=-0.80, PPMS=-0.90,
)  # fmt: skip

NAGM = _model(
    "nagm_mtr_pu",
    mean=by_phenotype(_LEVELS, HC=34.0, RIS=33.9, CIS=33.8, RRMS=33.4, SPMS=32.6, PPMS=32.9),
    sd=1.0,
    rate_pct=_CORTICAL_RATES,
    error_sd=0.25,
    level=_CORTICAL_LEVEL,
    rate=_CORTICAL_RATE,
    drivers=_CORTICAL_DRIVERS,
)

CORTEX = _model(
    "cortex_mtr_pu",
    mean=by_phenotype(_LEVELS, HC=32.5, RIS=32.4, CIS=32.2, RRMS=31.8, SPMS=30.9, PPMS=31.2),
    sd=1.0,
    rate_pct=_CORTICAL_RATES,
    error_sd=0.25,
    level=_CORTICAL_LEVEL,
    rate=_CORTICAL_RATE,
    drivers=_CORTICAL_DRIVERS,
)

CORTEX_OUTER = _model(
    "cortex_outer_mtr_pu",
    mean=by_phenotype(
        f"{_LEVELS}; below the meninges more is lost than in all of the cortex",
        HC=30.5, RIS=30.2, CIS=29.9, RRMS=29.3, SPMS=28.0, PPMS=28.4,
    ),
    sd=1.1,
    rate_pct=by_phenotype(
        f"{_RATES}; below the meninges most",
        HC=-0.10, RIS=-0.25, CIS=-0.30, RRMS=-0.45, SPMS=-1.00, PPMS=-1.00,
    ),
    error_sd=0.35,
    level={"demyelination_level": 0.40, "meningeal_level": 0.50, "neurodegeneration_level": 0.15},
    rate={"demyelination_rate": 0.35, "meningeal_rate": 0.30},
    drivers={"demyelination": 0.5, "meningeal": 0.5},
    rate_sd_pct=0.8,
)  # fmt: skip

THALAMUS = _model(
    "thalamus_mtr_pu",
    mean=by_phenotype(_LEVELS, HC=36.5, RIS=36.3, CIS=36.2, RRMS=35.8, SPMS=35.2, PPMS=35.3),
    sd=1.0,
    rate_pct=by_phenotype(
        _RATES, HC=-0.08, RIS=-0.15, CIS=-0.18, RRMS=-0.25, SPMS=-0.70, PPMS=-0.75
    ),
    error_sd=0.3,
    level={"demyelination_level": 0.45, "neurodegeneration_level": 0.35},
    rate={"demyelination_rate": 0.45, "neurodegeneration_rate": 0.20},
    drivers={"demyelination": 0.7, "neurodegeneration": 0.3},
)

MODELS: tuple[ImagingModel, ...] = (
    LESION,
    NAWM,
    NABT,
    BRAIN,
    NAGM,
    CORTEX,
    CORTEX_OUTER,
    THALAMUS,
)
