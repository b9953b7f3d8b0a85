"""Cortical lesions, meningeal enhancement and cortical T2*."""

from __future__ import annotations

import math

from scipy.special import ndtri

from synthetic.defaults.assumptions import by_phenotype, loadings
from synthetic.observation import ImagingModel
from synthetic.values import PerPhenotype, Sourced, assumed, derived, published

__all__ = ["DETECTION", "MODELS", "TRUE_LOAD"]

# --- leptomeningeal enhancement ---------------------------------------------------------------

_PROGRESSIVE = derived(
    published("absinta2015_lme_prevalence_pms") / 100,
    "percent of all progressive MS, in which SPMS and PPMS are not told apart",
    "absinta2015_lme_prevalence_pms",
)

PREVALENCE = by_phenotype(
    "between controls and RRMS",
    HC=derived(
        published("absinta2015_lme_prevalence_hc") / 100, "percent", "absinta2015_lme_prevalence_hc"
    ),
    RIS=0.10,
    CIS=0.12,
    RRMS=derived(
        published("absinta2015_lme_prevalence_rrms") / 100,
        "percent",
        "absinta2015_lme_prevalence_rrms",
    ),
    SPMS=_PROGRESSIVE,
    PPMS=_PROGRESSIVE,
)

_FOLLICLES = "follicle-like inflammation of the meninges"
_MENINGEAL_LEVEL = loadings(_FOLLICLES, meningeal_level=0.90, age=0.10)
_MENINGEAL_RATE = loadings(_FOLLICLES, meningeal_rate=0.50)
_FOCI_SD = 1.3
# Foci persist unchanged for years (finding lme-stable-over-time): the score hardly moves, and the
# reading of persisting foci has no error.
_SCORE_RATE = {"HC": 0.0, "RIS": 0.3, "CIS": 0.3, "RRMS": 0.4, "SPMS": 0.5, "PPMS": 0.5}
_SCORE_RATE_SD = 1.0
_STABLE = "foci persist unchanged for years"


def _foci(prevalence: float) -> Sourced:
    """Return the mean of a log-normal variable that passes one half in such a share of persons."""
    log_median = math.log(0.5) + _FOCI_SD * float(ndtri(prevalence))
    return assumed(
        math.exp(log_median + _FOCI_SD**2 / 2),
        "rounds to one focus or more in the share of persons with enhancement",
    )


LEPTOMENINGEAL_PRESENCE = ImagingModel(
    measure="leptomeningeal_presence",
    scale="presence",
    mean=PREVALENCE,
    rate_pct=by_phenotype(_STABLE, **_SCORE_RATE),
    rate_sd_pct=assumed(_SCORE_RATE_SD, _STABLE),
    error_sd=assumed(0.0, _STABLE),
    level_loadings=_MENINGEAL_LEVEL,
    rate_loadings=_MENINGEAL_RATE,
    drivers=loadings(_FOLLICLES, meningeal=1.0),
    process="leptomeningeal",
    own_level="leptomeningeal",  # one score behind both, so that they agree in every scan
    method="count",
)

LEPTOMENINGEAL_FOCI = ImagingModel(
    measure="leptomeningeal_foci_count",
    scale="count",
    mean=PerPhenotype(**{name: _foci(share) for name, share in PREVALENCE.items()}),
    sd=assumed(_FOCI_SD, "most of those with enhancement have one focus or two"),
    rate_pct=by_phenotype(_STABLE, **{name: _FOCI_SD * rate for name, rate in _SCORE_RATE.items()}),
    rate_sd_pct=assumed(_FOCI_SD * _SCORE_RATE_SD, _STABLE),
    error_sd=assumed(0.0, _STABLE),
    level_loadings=_MENINGEAL_LEVEL,
    rate_loadings=_MENINGEAL_RATE,
    drivers=loadings(_FOLLICLES, meningeal=1.0),
    process="leptomeningeal",
    own_level="leptomeningeal",  # one score behind both, so that they agree in every scan
    method="count",
)

# --- cortical lesions: one true load, seen by chance ------------------------------------------

TRUE_LOAD = by_phenotype(
    "more in progressive MS than in RRMS (finding gm-demyelination-more-frequent-pms); 7 T saw 36 "
    "a person in a mixture of RRMS and SPMS (Maranzano 2019)",
    HC=0.1, RIS=4.0, CIS=5.0, RRMS=14.0, SPMS=28.0, PPMS=22.0,
)  # fmt: skip
"""Mean number of cortical lesions that are there."""

DETECTION = {
    "cortical_lesion_count": assumed(
        0.45, "several contrasts at 3 T: 0.59 of those at 7 T (Maranzano 2019), rounded down"
    ),
    "cortical_lesion_dir_count": assumed(
        0.25, "DIR alone found less than half of what several contrasts did (AJNR, PMC7984679)"
    ),
    "cortical_lesion_psir_count": assumed(
        0.40, "PSIR finds more than DIR (finding psir-more-sensitive-than-dir)"
    ),
    "cortical_lesion_7t_count": assumed(0.80, "purely intracortical and subpial ones are missed"),
}
"""Share of the lesions that a technique sees."""

_SUBPIAL = "cortical demyelination lies below inflamed meninges"
_LOAD_RATES = by_phenotype(
    "slow accrual, faster in progressive MS", HC=0.5, RIS=3.0, CIS=5.0, RRMS=6.0, SPMS=6.0, PPMS=5.0
)


def _lesions(measure: str, mean: PerPhenotype, sd: float, error_sd: float) -> ImagingModel:
    """Describe cortical lesions by one technique."""
    return ImagingModel(
        measure=measure,
        scale="log" if measure.endswith("_ml") else "count",
        mean=mean,
        sd=assumed(sd, "very uneven: some persons have none, some dozens"),
        rate_pct=_LOAD_RATES,
        rate_sd_pct=assumed(4.0, "some persons accrue none"),
        error_sd=assumed(error_sd, "readers disagree on faint lesions"),
        level_loadings=loadings(
            _SUBPIAL,
            meningeal_level=0.80,
            neurodegeneration_level=0.20,
            inflammation_level=0.15,
            duration=0.10,
        ),
        rate_loadings=loadings(_SUBPIAL, meningeal_rate=0.50, inflammation_rate=0.30),
        # Natalizumab suppresses them in RRMS (natalizumab-suppresses-cortical-pathology-rrms).
        drivers=loadings(_SUBPIAL, inflammation=0.6, meningeal=0.4),
        process="cortical lesions",
        own_level="cortical lesions",
        method="manual" if measure.endswith("_ml") else "count",
        scanner_sd=assumed(5.0, "contrast differs between scanners"),
    )


def _seen(share: Sourced) -> PerPhenotype:
    """Return how many lesions a technique sees."""
    return by_phenotype(
        f"true load times the share seen: {share.why}",
        **{name: load * share for name, load in TRUE_LOAD.items()},
    )


_CORTICAL_LESIONS = (
    *(_lesions(measure, _seen(share), 0.9, 0.15) for measure, share in DETECTION.items()),
    _lesions(
        "cortical_lesion_ml",
        by_phenotype(
            "about 0.05 ml a lesion",
            **{name: 0.05 * load * DETECTION["cortical_lesion_count"]
               for name, load in TRUE_LOAD.items()},
        ),
        1.0,
        0.20,
    ),
)  # fmt: skip

# --- T2* of the cortex by depth ---------------------------------------------------------------

_MYELIN_IRON = "myelin and the iron in it shorten T2*, so it rises as they are lost"
_GRADIENT = (
    "outer layers change early, inner ones in progressive MS "
    "(finding t2star-gradient-superficial-early-deep-late)"
)
# Levels and rates by depth: in CIS and RRMS the outer layer alone has left the controls and moves;
# in progressive MS the inner ones have followed and now move faster.
_DEPTHS = {
    "depth25": (
        {"HC": 33.0, "RIS": 33.8, "CIS": 34.2, "RRMS": 35.4, "SPMS": 37.0, "PPMS": 36.5},
        {"HC": 0.05, "RIS": 0.40, "CIS": 0.50, "RRMS": 0.60, "SPMS": 0.40, "PPMS": 0.40},
    ),
    "depth50": (
        {"HC": 31.0, "RIS": 31.1, "CIS": 31.2, "RRMS": 31.9, "SPMS": 34.0, "PPMS": 33.5},
        {"HC": 0.05, "RIS": 0.10, "CIS": 0.15, "RRMS": 0.30, "SPMS": 0.60, "PPMS": 0.60},
    ),
    "depth75": (
        {"HC": 29.0, "RIS": 29.0, "CIS": 29.05, "RRMS": 29.3, "SPMS": 31.4, "PPMS": 31.0},
        {"HC": 0.05, "RIS": 0.06, "CIS": 0.08, "RRMS": 0.15, "SPMS": 0.80, "PPMS": 0.80},
    ),
}


def _t2star(measure: str, means: dict[str, float], rates: dict[str, float]) -> ImagingModel:
    """Describe T2* of one depth."""
    return ImagingModel(
        measure=measure,
        mean=by_phenotype(_GRADIENT, **means),
        sd=assumed(2.2, "7 % of the mean between persons"),
        rate_pct=by_phenotype(_GRADIENT, **rates),
        rate_sd_pct=assumed(0.6, "about the mean change"),
        error_sd=assumed(0.6, "2 % of the mean between repeated maps"),
        level_loadings=loadings(
            _MYELIN_IRON, meningeal_level=0.45, demyelination_level=0.35, age=-0.05
        ),
        rate_loadings=loadings(_MYELIN_IRON, meningeal_rate=0.30, demyelination_rate=0.30),
        drivers=loadings(_MYELIN_IRON, meningeal=0.5, demyelination=0.5),
        process="cortical t2star",
        method="map",
        scanner_sd=assumed(3.0, "shim and resolution differ between scanners"),
        upgrade_sd=assumed(1.5, "half of the spread between scanners"),
    )


def _mean_of_depths(which: int) -> dict[str, float]:
    """Return means (0) or rates (1) of the whole cortex: those of the depths, averaged."""
    names = _DEPTHS["depth25"][0]
    weights = {name: [means[name] for means, _ in _DEPTHS.values()] for name in names}
    if which == 0:
        return {name: sum(values) / len(values) for name, values in weights.items()}
    moved = {
        name: [means[name] * rates[name] for means, rates in _DEPTHS.values()] for name in names
    }
    return {name: sum(moved[name]) / sum(weights[name]) for name in names}


_T2STAR = (
    _t2star("cortical_t2star_ms", _mean_of_depths(0), _mean_of_depths(1)),
    *(_t2star(f"cortical_t2star_{depth}_ms", *given) for depth, given in _DEPTHS.items()),
)

CORTICAL_LESION_T2STAR = ImagingModel(
    measure="cortical_lesion_t2star_ms",
    mean=by_phenotype(
        "longer than in cortex around it: demyelination with loss of iron outweighs iron; in "
        "controls that of the cortex",
        HC=33.0, RIS=40.0, CIS=40.0, RRMS=41.0, SPMS=43.0, PPMS=42.5,
    ),
    sd=assumed(3.5, "lesions with and without iron"),
    rate_pct=by_phenotype(
        "slow lengthening", HC=0.05, RIS=0.2, CIS=0.2, RRMS=0.3, SPMS=0.4, PPMS=0.4
    ),
    rate_sd_pct=assumed(0.6, "about the mean change"),
    error_sd=assumed(1.2, "3 % of the mean: small regions"),
    # Iron shortens it: a negative weight.
    level_loadings=loadings(_MYELIN_IRON, demyelination_level=0.50, iron_level=-0.20),
    rate_loadings=loadings(_MYELIN_IRON, demyelination_rate=0.30, iron_rate=-0.10),
    drivers=loadings(_MYELIN_IRON, demyelination=1.0),
    method="map",
    scanner_sd=assumed(3.0, "shim and resolution differ between scanners"),
    upgrade_sd=assumed(1.5, "half of the spread between scanners"),
)  # fmt: skip

MODELS: tuple[ImagingModel, ...] = (
    LEPTOMENINGEAL_PRESENCE,
    LEPTOMENINGEAL_FOCI,
    *_CORTICAL_LESIONS,
    *_T2STAR,
    CORTICAL_LESION_T2STAR,
)
