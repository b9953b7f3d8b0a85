"""Diffusion of brain tissue: axial and radial diffusivity, and what follows from them.

Means and rates are stated for axial (AD) and radial diffusivity (RD) alone. Mean diffusivity (MD)
and fractional anisotropy (FA) follow, with the tensor taken as symmetric about its axis:
``MD = (AD + 2 RD) / 3`` and ``FA = (AD - RD) / sqrt(AD^2 + 2 RD^2)``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from synthetic.defaults.assumptions import by_phenotype, loadings
from synthetic.observation import ImagingModel, worse_sign
from synthetic.values import PerPhenotype, assumed

__all__ = ["MODELS", "Tensor"]

_SCALARS = ("fa", "md", "ad", "rd")
_ANISOTROPY = "from axial and radial diffusivity, for a tensor that is symmetric about its axis"
_TISSUE = "myelin holds water back across fibres, axons along them"
_RESCAN = "0.6 to 1.5 % of the mean on one scanner"
_RATE_SPREAD = "about the mean change of progressive MS, so that some patients stay stable"
_SCANNER = "gradients and resolution differ by some percent"


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """Diffusion of one tissue.

    Parameters
    ----------
    region : str
        What the names of its measures begin with.
    why : str
        What speaks for the means.
    axial, radial : mapping of str to float
        Means by phenotype, 10^-3 mm2/s.
    axial_rate, radial_rate : mapping of str to float
        Change per year by phenotype, in percent of the mean.
    sd : mapping of str to float
        Between persons, by scalar ("fa", "md", "ad", "rd"), native units.
    level : mapping of str to float
        Loadings of the baseline, towards worse tissue.
    rate : mapping of str to float
        Loadings of the rate, towards worse tissue.
    drivers : mapping of str to mapping of str to float
        By scalar: shares of the processes in the mean change.
    rate_sd_pct : float
        Spread of the rate between persons, in percent of the mean; that of FA is half as large
        again.
    error_pct : float
        Scan-rescan error of MD in percent; those of AD and RD are a third, of FA two thirds larger.
    """

    region: str
    why: str
    axial: Mapping[str, float]
    radial: Mapping[str, float]
    axial_rate: Mapping[str, float]
    radial_rate: Mapping[str, float]
    sd: Mapping[str, float]
    level: Mapping[str, float]
    rate: Mapping[str, float]
    drivers: Mapping[str, Mapping[str, float]]
    rate_sd_pct: float = 0.5
    error_pct: float = 0.6

    def models(self) -> tuple[ImagingModel, ...]:
        """Describe its four scalars.

        Returns
        -------
        tuple of ImagingModel
            FA, MD, AD, RD.
        """
        return tuple(self._model(scalar) for scalar in _SCALARS)

    def _model(self, scalar: str) -> ImagingModel:
        """Describe one scalar."""
        measure = f"{self.region}_fa" if scalar == "fa" else f"{self.region}_{scalar}_um2_ms"
        # Anisotropy falls in worse tissue, also where the dictionary leaves the direction open and
        # loadings count towards higher values.
        flip = -1.0 if scalar == "fa" and worse_sign(measure) > 0 else 1.0
        level, rate = (
            {name: flip * weight for name, weight in given.items()}
            for given in (self.level, self.rate)
        )
        mean = self._by_phenotype(_MEANS[scalar])
        return ImagingModel(
            measure=measure,
            mean=mean,
            sd=assumed(self.sd[scalar], "spread between persons on one scanner"),
            rate_pct=self._by_phenotype(_RATES[scalar]),
            rate_sd_pct=assumed(self.rate_sd_pct * _RATE_SPREADS[scalar], _RATE_SPREAD),
            error_sd=assumed(mean["HC"] * self.error_pct / 100 * _ERRORS[scalar], _RESCAN),
            level_loadings=loadings(_TISSUE, **level),
            rate_loadings=loadings(_TISSUE, **rate),
            drivers=loadings(_TISSUE, **self.drivers[scalar]),
            method="map",
            scanner_sd=assumed(2.0, _SCANNER),
            upgrade_sd=assumed(1.0, "half of the spread between scanners"),
        )

    def _by_phenotype(self, rule: Callable[[float, float, float, float], float]) -> PerPhenotype:
        """Apply a rule of AD, RD and their rates to every phenotype."""
        return by_phenotype(
            f"{self.why}; {_ANISOTROPY}",
            **{
                name: rule(
                    self.axial[name],
                    self.radial[name],
                    self.axial_rate[name],
                    self.radial_rate[name],
                )
                for name in self.axial
            },
        )


def _anisotropy(ad: float, rd: float) -> float:
    """Return FA of a tensor that is symmetric about its axis."""
    return (ad - rd) / math.sqrt(ad**2 + 2 * rd**2)


def _anisotropy_rate(ad: float, rd: float, ad_rate: float, rd_rate: float) -> float:
    """Return the change of FA in percent: its logarithmic derivative by u = AD / RD."""
    u = ad / rd
    return (1 / (u - 1) - u / (u**2 + 2)) * u * (ad_rate - rd_rate)


_MEANS: Mapping[str, Callable[[float, float, float, float], float]] = {
    "fa": lambda ad, rd, _a, _r: _anisotropy(ad, rd),
    "md": lambda ad, rd, _a, _r: (ad + 2 * rd) / 3,
    "ad": lambda ad, _rd, _a, _r: ad,
    "rd": lambda _ad, rd, _a, _r: rd,
}
_RATES: Mapping[str, Callable[[float, float, float, float], float]] = {
    "fa": _anisotropy_rate,
    "md": lambda ad, rd, a, r: (ad * a + 2 * rd * r) / (ad + 2 * rd),
    "ad": lambda _ad, _rd, a, _r: a,
    "rd": lambda _ad, _rd, _a, r: r,
}
_RATE_SPREADS: Mapping[str, float] = {"fa": 1.5, "md": 1.0, "ad": 1.0, "rd": 1.0}
_ERRORS: Mapping[str, float] = {"fa": 5 / 3, "md": 1.0, "ad": 4 / 3, "rd": 4 / 3}

_MYELIN = {"demyelination": 0.8, "neurodegeneration": 0.2}
_AXON = {"neurodegeneration": 1.0}
_DRIVERS = {"fa": _MYELIN, "md": _MYELIN, "ad": _AXON, "rd": _MYELIN}

# White matter and cord damage hang together through the processes; the small negative weight on
# the cord takes that out again, as the finding cord-brain-dti-unrelated-ppms asks.
_WHITE_LEVEL = {
    "demyelination_level": 0.60,
    "neurodegeneration_level": 0.30,
    "inflammation_level": 0.10,
    "cord_level": -0.15,
    "age": 0.15,
}
_WHITE_RATE = {"demyelination_rate": 0.50, "neurodegeneration_rate": 0.15}

NAWM = Tensor(
    region="nawm",
    # Findings: wm-diffusion-worse-spms-than-rrms, nawm-diffusion-milder-ppms-than-spms,
    # wm-md-rd-ad-up-fa-down-ppms-vs-hc.
    why="all diffusivities up, most across fibres; SPMS worst, PPMS between RRMS and SPMS",
    axial={"HC": 1.200, "RIS": 1.205, "CIS": 1.208, "RRMS": 1.218, "SPMS": 1.255, "PPMS": 1.235},
    radial={"HC": 0.550, "RIS": 0.558, "CIS": 0.562, "RRMS": 0.580, "SPMS": 0.625, "PPMS": 0.600},
    axial_rate={"HC": 0.03, "RIS": 0.05, "CIS": 0.06, "RRMS": 0.08, "SPMS": 0.15, "PPMS": 0.12},
    radial_rate={"HC": 0.08, "RIS": 0.15, "CIS": 0.20, "RRMS": 0.35, "SPMS": 0.70, "PPMS": 0.65},
    sd={"fa": 0.030, "md": 0.042, "ad": 0.050, "rd": 0.050},
    level=_WHITE_LEVEL,
    rate=_WHITE_RATE,
    drivers=_DRIVERS,
)

LESION = Tensor(
    region="lesion",
    # Findings: lesion-fa-lower-md-higher-than-nawm, fa-decreased-lesions-and-nawm-spms,
    # natalizumab-raises-lesion-ad-rd-spms: diffusivities go on rising with the loss of axons,
    # which that drug does not slow, so its share is all of their drift.
    why="far above normal-appearing white matter; age-related hyperintensities in controls less so",
    axial={"HC": 1.320, "RIS": 1.400, "CIS": 1.410, "RRMS": 1.450, "SPMS": 1.510, "PPMS": 1.460},
    radial={"HC": 0.700, "RIS": 0.790, "CIS": 0.800, "RRMS": 0.850, "SPMS": 0.930, "PPMS": 0.880},
    axial_rate={"HC": 0.05, "RIS": 0.15, "CIS": 0.20, "RRMS": 0.35, "SPMS": 0.70, "PPMS": 0.60},
    radial_rate={"HC": 0.10, "RIS": 0.25, "CIS": 0.30, "RRMS": 0.55, "SPMS": 1.00, "PPMS": 0.90},
    sd={"fa": 0.035, "md": 0.090, "ad": 0.110, "rd": 0.095},
    level={
        "demyelination_level": 0.40,
        "neurodegeneration_level": 0.35,
        "inflammation_level": 0.20,
        "age": 0.10,
    },
    rate={"neurodegeneration_rate": 0.35, "demyelination_rate": 0.20},
    drivers={"fa": _MYELIN, "md": _AXON, "ad": _AXON, "rd": _AXON},
    rate_sd_pct=0.8,
    error_pct=0.9,
)

CALLOSUM = Tensor(
    region="corpus_callosum",
    why="as in white matter, with more of the damage in its dense fibres",
    axial={"HC": 1.450, "RIS": 1.458, "CIS": 1.462, "RRMS": 1.480, "SPMS": 1.530, "PPMS": 1.505},
    radial={"HC": 0.450, "RIS": 0.465, "CIS": 0.472, "RRMS": 0.505, "SPMS": 0.580, "PPMS": 0.540},
    axial_rate={"HC": 0.03, "RIS": 0.05, "CIS": 0.06, "RRMS": 0.10, "SPMS": 0.20, "PPMS": 0.15},
    radial_rate={"HC": 0.15, "RIS": 0.30, "CIS": 0.40, "RRMS": 0.70, "SPMS": 1.30, "PPMS": 1.20},
    sd={"fa": 0.038, "md": 0.050, "ad": 0.070, "rd": 0.060},
    level=_WHITE_LEVEL,
    rate=_WHITE_RATE,
    drivers=_DRIVERS,
    rate_sd_pct=0.8,
    error_pct=0.8,
)

GREY = Tensor(
    region="nagm",
    # Findings: nagm-dti-worse-pms-than-rrms, nagm-dti-worsens-over-1y-pms, and
    # nagm-dti-change-independent-of-t2-and-atrophy: change follows demyelination alone, which is
    # unrelated to the rates of lesions and of tissue loss.
    why="RRMS hardly differs from controls, SPMS most (Bozzali 2002)",
    axial={"HC": 1.020, "RIS": 1.022, "CIS": 1.024, "RRMS": 1.030, "SPMS": 1.090, "PPMS": 1.070},
    radial={"HC": 0.765, "RIS": 0.767, "CIS": 0.769, "RRMS": 0.775, "SPMS": 0.830, "PPMS": 0.812},
    axial_rate={"HC": 0.05, "RIS": 0.10, "CIS": 0.12, "RRMS": 0.25, "SPMS": 0.70, "PPMS": 0.75},
    radial_rate={"HC": 0.06, "RIS": 0.12, "CIS": 0.15, "RRMS": 0.30, "SPMS": 0.85, "PPMS": 0.90},
    sd={"fa": 0.012, "md": 0.045, "ad": 0.055, "rd": 0.045},
    level={
        "neurodegeneration_level": 0.40,
        "meningeal_level": 0.30,
        "demyelination_level": 0.25,
        "age": 0.20,
    },
    rate={"demyelination_rate": 0.40},
    drivers={scalar: {"demyelination": 0.6, "meningeal": 0.4} for scalar in _SCALARS},
    rate_sd_pct=0.6,
    error_pct=0.7,
)

THALAMUS = Tensor(
    region="thalamus",
    why="in PPMS less anisotropy and higher diffusivity than in controls (Mesaros 2011)",
    axial={"HC": 1.020, "RIS": 1.025, "CIS": 1.028, "RRMS": 1.040, "SPMS": 1.065, "PPMS": 1.060},
    radial={"HC": 0.630, "RIS": 0.637, "CIS": 0.641, "RRMS": 0.658, "SPMS": 0.688, "PPMS": 0.682},
    axial_rate={"HC": 0.05, "RIS": 0.08, "CIS": 0.10, "RRMS": 0.20, "SPMS": 0.35, "PPMS": 0.35},
    radial_rate={"HC": 0.10, "RIS": 0.15, "CIS": 0.20, "RRMS": 0.40, "SPMS": 0.75, "PPMS": 0.75},
    sd={"fa": 0.022, "md": 0.042, "ad": 0.055, "rd": 0.042},
    level={"neurodegeneration_level": 0.50, "demyelination_level": 0.25, "age": 0.20},
    rate={"neurodegeneration_rate": 0.40, "demyelination_rate": 0.20},
    drivers={scalar: {"neurodegeneration": 0.6, "demyelination": 0.4} for scalar in _SCALARS},
    rate_sd_pct=0.7,
    error_pct=0.9,
)

PEDUNCLE = Tensor(
    region="mcp",
    # Findings: mcp-fa-lower-rd-higher-ppms, mcp-dti-correlates-limb-disability-ppms: fibres to and
    # from the limbs pass here, hence the weight on the cord.
    why="PPMS below RRMS in anisotropy; RRMS close to controls",
    axial={"HC": 1.150, "RIS": 1.150, "CIS": 1.150, "RRMS": 1.152, "SPMS": 1.165, "PPMS": 1.160},
    radial={"HC": 0.420, "RIS": 0.424, "CIS": 0.426, "RRMS": 0.434, "SPMS": 0.474, "PPMS": 0.478},
    axial_rate={"HC": 0.02, "RIS": 0.04, "CIS": 0.05, "RRMS": 0.08, "SPMS": 0.15, "PPMS": 0.15},
    radial_rate={"HC": 0.10, "RIS": 0.20, "CIS": 0.25, "RRMS": 0.45, "SPMS": 1.00, "PPMS": 1.10},
    sd={"fa": 0.035, "md": 0.040, "ad": 0.060, "rd": 0.045},
    level={
        "neurodegeneration_level": 0.40,
        "cord_level": 0.30,
        "demyelination_level": 0.30,
        "age": 0.10,
    },
    rate={"demyelination_rate": 0.30, "neurodegeneration_rate": 0.30},
    drivers=_DRIVERS,
    rate_sd_pct=0.7,
    error_pct=0.9,
)

TENSORS = (NAWM, LESION, CALLOSUM, GREY, THALAMUS, PEDUNCLE)

MODELS: tuple[ImagingModel, ...] = tuple(model for tensor in TENSORS for model in tensor.models())
