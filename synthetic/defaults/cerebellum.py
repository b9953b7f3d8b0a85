"""The cerebellum, its grey and white matter, cortex and lobules; raw volumes.

Cerebellum = grey + white matter; grey matter = cortex and 1.5 ml of deep nuclei; the lobules (with
their share of the vermis) sum to the cortex.
"""

from __future__ import annotations

import math

from synthetic.defaults.assumptions import by_phenotype, loadings
from synthetic.defaults.deep_grey import DEEP_GREY
from synthetic.defaults.population import CORRELATIONS
from synthetic.defaults.reasons import EARLY, SCANNER, SHARES, TIED
from synthetic.defaults.wholes import part_of, sum_of
from synthetic.observation import ImagingModel
from synthetic.values import PerPhenotype, Sourced, assumed, derived, published

__all__ = ["MODELS"]

_STAGES = "loss at every stage: cerebellar-cortex-loss-all-stages"
_SLOPE_SD = assumed(0.80, "three quarters of the spread of a change over a year (Inglese 2017)")
_CORTEX_SLOPE_SD = assumed(0.95, "two thirds of the spread of a change over a year (Inglese 2017)")
_LEVEL = loadings(
    TIED, neurodegeneration_level=0.50, meningeal_level=0.15, age=0.20, head_size=-0.30
)
_RATE = loadings(
    "more loss in those who worsen: cerebellar-loss-greater-in-progressors-ppms",
    neurodegeneration_rate=0.65,
    meningeal_rate=0.15,
)


def _calabrese(group: str) -> Sourced:
    """Look up the mean cortex of a group."""
    return published(f"calabrese2010_cerebellar_cortex_mean_{group}")


def _error(record_id: str, slope_sd: float, mean: float) -> Sourced:
    """Return the error of a scan that the spread of a change over a year leaves."""
    percent = math.sqrt((published(record_id, "sd") ** 2 - slope_sd**2) / 2)
    why = f"{percent:.2g} % of the mean: SD of the change over a year less that of the slopes"
    return derived(percent / 100 * mean, why, record_id)


def _cerebellar(
    measure: str, mean: PerPhenotype, rate: PerPhenotype, *, sd: float, error: float
) -> ImagingModel:
    """Describe a volume of the cerebellum."""
    return ImagingModel(
        measure=measure,
        mean=mean,
        sd=by_phenotype("8 to 13 % of the mean", HC=sd)["HC"],
        rate_pct=rate,
        rate_sd_pct=_SLOPE_SD if measure == "cerebellum_ml" else _CORTEX_SLOPE_SD,
        error_sd=by_phenotype("percents of a small volume", HC=error)["HC"],
        level_loadings=_LEVEL,
        rate_loadings=_RATE,
        drivers=(
            ("neurodegeneration", assumed(0.85, SHARES)),
            ("meningeal", assumed(0.15, SHARES)),
        ),
        own_level=measure if measure.startswith("lobule") else "cerebellum",
        process="cerebellum",
        method="segmentation",
        scanner_sd=assumed(2.5, SCANNER),
        upgrade_sd=assumed(1.2, SCANNER),
        pseudo_atrophy=assumed(0.3, EARLY),
    )


_CORTEX_MEANS = by_phenotype(
    "between controls and CIS",
    HC=_calabrese("hc"),
    RIS=110.0,
    CIS=_calabrese("cis"),
    RRMS=_calabrese("rrms"),
    SPMS=_calabrese("spms"),
    PPMS=_calabrese("ppms"),
)
_CORTEX_RATES = by_phenotype(
    "faster than in controls in PPMS (cerebellar-cortex-atrophy-faster-ppms-5y), other groups "
    "between",
    HC=-0.30,
    RIS=-0.40,
    CIS=-0.55,
    RRMS=-0.80,
    SPMS=-1.30,
    PPMS=published("inglese2017_cerebellar_cortex_rate_ppms"),
)
_CORTEX_SD = assumed(
    12.4, "spread behind the standard errors of Calabrese 2010 (2.0 to 2.6 of 25 to 38 persons)"
)
_NUCLEI_ML = 1.5

CORTEX = _cerebellar(
    "cerebellar_cortex_ml",
    _CORTEX_MEANS,
    _CORTEX_RATES,
    sd=_CORTEX_SD,
    error=_error(
        "inglese2017_cerebellar_cortex_rate_ppms", _CORTEX_SLOPE_SD, _CORTEX_MEANS["PPMS"]
    ),
)
GREY = _cerebellar(
    "cerebellar_gm_ml",
    by_phenotype(
        f"cortex and {_NUCLEI_ML} ml of deep nuclei",
        **{name: float(value) + _NUCLEI_ML for name, value in _CORTEX_MEANS.items()},
    ),
    by_phenotype("as the cortex", **{n: float(v) for n, v in _CORTEX_RATES.items()}),
    sd=12.5,
    error=0.75,
)
WHITE = _cerebellar(
    "cerebellar_wm_ml",
    by_phenotype(_STAGES, HC=29.0, RIS=28.8, CIS=28.4, RRMS=28.0, SPMS=26.2, PPMS=26.8),
    by_phenotype(
        "what cerebellum and grey matter leave; in PPMS Inglese 2017 asks for much",
        HC=-0.20,
        RIS=-0.30,
        CIS=-0.40,
        RRMS=-0.60,
        SPMS=-1.30,
        PPMS=-2.70,
    ),
    sd=3.2,
    error=0.35,
)
CEREBELLUM = _cerebellar(
    "cerebellum_ml",
    by_phenotype(
        "grey and white matter",
        **{name: float(GREY.mean[name] + WHITE.mean[name]) for name in GREY.mean},
    ),
    by_phenotype(
        "grey and white matter",
        HC=-0.28,
        RIS=-0.38,
        CIS=-0.52,
        RRMS=-0.76,
        SPMS=-1.30,
        PPMS=published("inglese2017_cerebellum_rate_ppms"),
    ),
    sd=14.0,
    error=_error(
        "inglese2017_cerebellum_rate_ppms",
        _SLOPE_SD,
        float(GREY.mean["PPMS"] + WHITE.mean["PPMS"]),
    ),
)

_LOBULES: tuple[tuple[str, float, float], ...] = (
    ("lobule_i_iv_ml", 0.055, -1.10),
    ("lobule_v_ml", 0.065, -1.10),
    ("lobule_vi_ml", 0.160, -1.45),
    ("lobule_crus1_ml", 0.215, -1.50),
    ("lobule_crus2_ml", 0.165, -1.40),
    ("lobule_viib_ml", 0.090, -1.15),
    ("lobule_viiia_ml", 0.095, -1.15),
    ("lobule_viiib_ml", 0.080, -1.10),
    ("lobule_ix_ml", 0.065, -1.05),
    ("lobule_x_ml", 0.010, -1.00),
)
"""Lobule, share of the cortex, annual change in SPMS: the posterior superior lobe is faster there
(Parmar 2021); elsewhere a lobule shrinks as the cortex does."""

LOBULES = tuple(
    _cerebellar(
        measure,
        part_of(_CORTEX_MEANS, share, "share of the cortex"),
        by_phenotype(
            "as the cortex, and the posterior superior lobe faster in SPMS (Parmar 2021)",
            **({n: float(v) for n, v in _CORTEX_RATES.items()} | {"SPMS": in_spms}),
        ),
        sd=0.13 * share * _CORTEX_MEANS["HC"],
        error=0.025 * share * _CORTEX_MEANS["HC"],
    )
    for measure, share, in_spms in _LOBULES
)

MODELS: tuple[ImagingModel, ...] = (
    CEREBELLUM,
    GREY,
    WHITE,
    CORTEX,
    *LOBULES,
    sum_of("dgm_cerebellum_ml", DEEP_GREY, CEREBELLUM, CORRELATIONS),
)
