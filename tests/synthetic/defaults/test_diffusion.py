"""Diffusion. Witnesses: eigenvalues of a tensor, finite differences, the order of the findings."""

from __future__ import annotations

import numpy as np
import pytest

from pmsstats import evidence
from pmsstats.cohort.schema import PHENOTYPES
from synthetic.defaults.diffusion import MODELS, TENSORS

BY_MEASURE = {model.measure: model for model in MODELS}
REGIONS = [tensor.region for tensor in TENSORS]
SHORT = 1e-5
"""Years over which a change is taken as straight."""
CURVATURE = 1e-3
"""Relative error of a rate from a finite difference over so short a time, rounding included."""
CLEAR = 0.25
"""Spreads between two means that a finding calls different: seen in 500 patients."""


def _scalars(region):
    """Models of FA, MD, AD, RD."""
    unit = "_um2_ms"
    return [
        BY_MEASURE[f"{region}_fa"],
        *(BY_MEASURE[f"{region}_{s}{unit}"] for s in ("md", "ad", "rd")),
    ]


def _moments(ad, rd):
    """MD and FA from the three eigenvalues, by the general definition."""
    eigenvalues = np.array([ad, rd, rd])
    mean = eigenvalues.mean()
    spread = np.sqrt(1.5 * ((eigenvalues - mean) ** 2).sum() / (eigenvalues**2).sum())
    return mean, spread


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("phenotype", PHENOTYPES)
def test_scalars_are_those_of_one_tensor(region, phenotype):
    fa, md, ad, rd = (model.mean[phenotype] for model in _scalars(region))
    assert (md, fa) == pytest.approx(_moments(ad, rd))


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("phenotype", PHENOTYPES)
def test_rates_are_those_of_one_tensor(region, phenotype):
    fa, md, ad, rd = _scalars(region)
    now = {model: model.mean[phenotype] for model in (ad, rd)}
    later = {m: value * (1 + SHORT * m.rate_pct[phenotype] / 100) for m, value in now.items()}
    md_change, fa_change = (
        np.subtract(_moments(later[ad], later[rd]), _moments(now[ad], now[rd]))
        / _moments(now[ad], now[rd])
        * 100
        / SHORT
    )
    assert md.rate_pct[phenotype] == pytest.approx(md_change, rel=CURVATURE)
    assert fa.rate_pct[phenotype] == pytest.approx(fa_change, rel=CURVATURE)


ORDER = [
    ("wm-diffusion-worse-spms-than-rrms", "nawm_md_um2_ms", "RRMS", "SPMS"),
    ("wm-diffusion-worse-spms-than-rrms", "nawm_fa", "SPMS", "RRMS"),
    ("fa-decreased-lesions-and-nawm-spms", "nawm_fa", "SPMS", "HC"),
    ("fa-decreased-lesions-and-nawm-spms", "lesion_fa", "SPMS", "HC"),
    ("wm-md-rd-ad-up-fa-down-ppms-vs-hc", "nawm_md_um2_ms", "HC", "PPMS"),
    ("wm-md-rd-ad-up-fa-down-ppms-vs-hc", "nawm_ad_um2_ms", "HC", "PPMS"),
    ("wm-md-rd-ad-up-fa-down-ppms-vs-hc", "nawm_rd_um2_ms", "HC", "PPMS"),
    ("wm-md-rd-ad-up-fa-down-ppms-vs-hc", "nawm_fa", "PPMS", "HC"),
    ("nawm-diffusion-milder-ppms-than-spms", "nawm_md_um2_ms", "PPMS", "SPMS"),
    ("nawm-diffusion-milder-ppms-than-spms", "nawm_fa", "SPMS", "PPMS"),
    ("nagm-dti-worse-pms-than-rrms", "nagm_md_um2_ms", "RRMS", "SPMS"),
    ("nagm-dti-worse-pms-than-rrms", "nagm_md_um2_ms", "RRMS", "PPMS"),
    ("mcp-fa-lower-rd-higher-ppms", "mcp_fa", "PPMS", "HC"),
    ("mcp-fa-lower-rd-higher-ppms", "mcp_fa", "PPMS", "RRMS"),
    ("mcp-fa-lower-rd-higher-ppms", "mcp_rd_um2_ms", "HC", "PPMS"),
    ("mcp-fa-lower-rd-higher-ppms", "mcp_rd_um2_ms", "RRMS", "PPMS"),
]


@pytest.mark.parametrize(
    ("finding", "measure", "low", "high"), ORDER, ids=["-".join(row) for row in ORDER]
)
def test_means_are_ordered_as_the_findings_say(finding, measure, low, high):
    assert evidence.finding(finding).status == "simulable"
    model = BY_MEASURE[measure]
    assert model.mean[high] - model.mean[low] > CLEAR * model.sd


@pytest.mark.parametrize("phenotype", PHENOTYPES)
def test_lesions_are_worse_than_the_tissue_around_them(phenotype):
    """Finding lesion-fa-lower-md-higher-than-nawm."""
    fa, md, *_ = _scalars("lesion")
    around_fa, around_md, *_ = _scalars("nawm")
    assert fa.mean[phenotype] < around_fa.mean[phenotype] - fa.sd
    assert md.mean[phenotype] > around_md.mean[phenotype] + md.sd


@pytest.mark.parametrize("phenotype", ["SPMS", "PPMS"])
def test_grey_matter_worsens_within_a_year(phenotype):
    """Finding nagm-dti-worsens-over-1y-pms: the mean change is above its spread."""
    model = BY_MEASURE["nagm_md_um2_ms"]
    assert model.rate_pct[phenotype] > model.rate_sd_pct > model.rate_pct["HC"]


def test_grey_matter_change_goes_its_own_way():
    """Finding nagm-dti-change-independent-of-t2-and-atrophy: no rate of those processes."""
    names = {name for model in _scalars("nagm") for name, _ in model.rate_loadings}
    assert names == {"demyelination_rate"}


def test_natalizumab_leaves_the_drift_of_lesions():
    """Finding natalizumab-raises-lesion-ad-rd-spms: driven by loss of axons alone, upwards."""
    *_, ad, rd = _scalars("lesion")
    assert all(dict(model.drivers) == {"neurodegeneration": 1.0} for model in (ad, rd))
    assert min(ad.rate_pct["SPMS"], rd.rate_pct["SPMS"]) > 0
    assert dict(BY_MEASURE["nawm_fa"].drivers)["demyelination"] > 0.5


def test_anisotropy_loads_downwards_where_the_dictionary_leaves_the_direction_open():
    """Higher counts as worse there, but tissue loses anisotropy."""
    signs = {region: np.sign(_scalars(region)[0].level_loadings[0][1]) for region in REGIONS}
    assert signs["nagm"] == signs["thalamus"] == -1
    assert signs["nawm"] == signs["lesion"] == signs["mcp"] == signs["corpus_callosum"] == 1
