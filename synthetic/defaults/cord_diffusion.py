"""Diffusion in the spinal cord: whole section, grey matter, posterior and lateral columns.

Means and rates of the mean diffusivity are those of (AD + 2 RD) / 3.
"""

from __future__ import annotations

from synthetic.defaults.assumptions import by_phenotype, loadings
from synthetic.defaults.reasons import PERSONS, SCANNER, SHARES, SLOPES, TIED
from synthetic.observation import ImagingModel
from synthetic.values import PerPhenotype, assumed

__all__ = ["MODELS"]

_LEVEL = (
    "worse in progressive MS: cord-fa-lower-md-higher-ppms-vs-hc, posterior-column-md-rd-higher-"
    "spms-than-rrms, cord-gm-dti-worse-spms"
)
_FASTEST = "falls fastest in PPMS: cord-fa-decline-fastest-ppms"
_TENSOR = "(AD + 2 RD) / 3"

_FA_RATES = by_phenotype(
    _FASTEST, HC=-0.10, RIS=-0.20, CIS=-0.40, RRMS=-0.60, SPMS=-1.00, PPMS=-1.90
)
_AD_RATES = by_phenotype(
    "axial diffusivity hardly moves", HC=0.05, RIS=0.05, CIS=0.10, RRMS=0.10, SPMS=0.15, PPMS=0.20
)
_RD_RATES = by_phenotype(
    "radial diffusivity rises with the fall of FA",
    HC=0.10,
    RIS=0.30,
    CIS=0.50,
    RRMS=0.80,
    SPMS=1.20,
    PPMS=1.80,
)

_REGIONS: tuple[tuple[str, float, PerPhenotype, PerPhenotype, PerPhenotype], ...] = (
    (
        "cord",
        0.45,
        by_phenotype(_LEVEL, HC=0.700, RIS=0.695, CIS=0.685, RRMS=0.660, SPMS=0.610, PPMS=0.610),
        by_phenotype(_LEVEL, HC=1.75, RIS=1.75, CIS=1.75, RRMS=1.77, SPMS=1.80, PPMS=1.80),
        by_phenotype(_LEVEL, HC=0.55, RIS=0.56, CIS=0.58, RRMS=0.64, SPMS=0.74, PPMS=0.74),
    ),
    (
        "cord_gm",
        0.60,
        by_phenotype(_LEVEL, HC=0.550, RIS=0.545, CIS=0.535, RRMS=0.520, SPMS=0.460, PPMS=0.465),
        by_phenotype(_LEVEL, HC=1.50, RIS=1.50, CIS=1.51, RRMS=1.52, SPMS=1.56, PPMS=1.56),
        by_phenotype(_LEVEL, HC=0.60, RIS=0.61, CIS=0.63, RRMS=0.66, SPMS=0.78, PPMS=0.77),
    ),
    (
        "cord_posterior",
        0.50,
        by_phenotype(_LEVEL, HC=0.720, RIS=0.715, CIS=0.700, RRMS=0.675, SPMS=0.610, PPMS=0.620),
        by_phenotype(_LEVEL, HC=1.85, RIS=1.85, CIS=1.85, RRMS=1.86, SPMS=1.90, PPMS=1.90),
        by_phenotype(_LEVEL, HC=0.50, RIS=0.51, CIS=0.54, RRMS=0.60, SPMS=0.74, PPMS=0.72),
    ),
    (
        "cord_lateral",
        0.50,
        by_phenotype(_LEVEL, HC=0.710, RIS=0.705, CIS=0.695, RRMS=0.670, SPMS=0.610, PPMS=0.610),
        by_phenotype(_LEVEL, HC=1.80, RIS=1.80, CIS=1.80, RRMS=1.81, SPMS=1.85, PPMS=1.85),
        by_phenotype(_LEVEL, HC=0.52, RIS=0.53, CIS=0.55, RRMS=0.61, SPMS=0.72, PPMS=0.72),
    ),
)
"""Region, loading of its level on the cord process, FA, AD and RD by phenotype."""


def _mean_diffusivity(axial: PerPhenotype, radial: PerPhenotype) -> PerPhenotype:
    """Average the tensor's three directions."""
    return by_phenotype(_TENSOR, **{name: (axial[name] + 2 * radial[name]) / 3 for name in axial})


def _mean_rate(axial: PerPhenotype, radial: PerPhenotype) -> PerPhenotype:
    """Return the annual change of the mean diffusivity in percent."""
    return by_phenotype(
        _TENSOR,
        **{
            name: (axial[name] * _AD_RATES[name] + 2 * radial[name] * _RD_RATES[name])
            / (axial[name] + 2 * radial[name])
            for name in axial
        },
    )


def _model(
    measure: str, cord: float, mean: PerPhenotype, rate: PerPhenotype, *, sd: float, error: float
) -> ImagingModel:
    """Describe one diffusion measure of the cord."""
    return ImagingModel(
        measure=measure,
        mean=mean,
        sd=assumed(sd, PERSONS),
        rate_pct=rate,
        rate_sd_pct=assumed(1.2, SLOPES),
        error_sd=assumed(error, "3 to 6 % of the mean; the cord is small and moves"),
        level_loadings=loadings(TIED, cord_level=cord, age=0.05),
        rate_loadings=loadings(
            "its own way, apart from brain and lesions: cord-dti-change-independent-of-lesions-"
            "brain",
            cord_rate=0.35,
        ),
        drivers=(("cord", assumed(1.0, SHARES)),),
        method="map",
        scanner_sd=assumed(3.0, SCANNER),
        upgrade_sd=assumed(2.0, SCANNER),
    )


def _region(
    name: str, cord: float, fa: PerPhenotype, axial: PerPhenotype, radial: PerPhenotype
) -> tuple[ImagingModel, ...]:
    """Describe the four measures of a region."""
    md, md_rate = _mean_diffusivity(axial, radial), _mean_rate(axial, radial)
    unit = "um2_ms"
    return (
        _model(f"{name}_fa", cord, fa, _FA_RATES, sd=0.05, error=0.02),
        _model(f"{name}_md_{unit}", cord, md, md_rate, sd=0.09, error=0.04),
        _model(f"{name}_ad_{unit}", 0.1, axial, _AD_RATES, sd=0.15, error=0.07),
        _model(f"{name}_rd_{unit}", cord, radial, _RD_RATES, sd=0.085, error=0.04),
    )


MODELS: tuple[ImagingModel, ...] = tuple(model for region in _REGIONS for model in _region(*region))
