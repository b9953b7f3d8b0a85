"""Metabolites, tracers and proteins. Witnesses: the order that the findings state."""

from __future__ import annotations

import pytest

from pmsstats import evidence
from synthetic.defaults.metabolism import MODELS

BY_MEASURE = {model.measure: model for model in MODELS}
PATIENTS = ("RRMS", "SPMS", "PPMS")
CLEAR = 0.4
"""Spreads between two means that a finding calls different: seen in 200 patients."""
NO_CHANGE_PCT = 0.2
"""Percent a year that longitudinal spectroscopy of some years could not see."""

ORDER = [
    ("nawm-naa-below-hc-ppms", "nawm_naa_mmol_l", "PPMS", "HC"),
    ("cortical-naa-decreased-pms", "cortical_naa_mmol_l", "PPMS", "HC"),
    ("cortical-naa-decreased-pms", "cortical_naa_mmol_l", "SPMS", "HC"),
    ("nawm-tspo-up-with-severity-and-age-pms", "nawm_tspo_dvr", "HC", "PPMS"),
    ("nawm-tspo-above-hc-spms", "nawm_tspo_dvr", "HC", "SPMS"),
    ("cortical-tspo-raised-pms", "cortical_tspo_dvr", "HC", "SPMS"),
    ("cortical-tspo-raised-pms", "cortical_tspo_dvr", "HC", "PPMS"),
]


@pytest.mark.parametrize(
    ("finding", "measure", "low", "high"), ORDER, ids=["-".join(row) for row in ORDER]
)
def test_means_are_ordered_as_the_findings_say(finding, measure, low, high):
    assert evidence.finding(finding).status == "simulable"
    model = BY_MEASURE[measure]
    assert model.mean[high] - model.mean[low] > CLEAR * model.sd


@pytest.mark.parametrize(
    "measure", ["nawm_naa_mmol_l", "lesion_naa_mmol_l", "nawm_naa_cr", "lesion_naa_cr"]
)
def test_naa_is_the_same_in_all_patients(measure):
    """Finding naa-no-difference-ppms-other-phenotypes; age would make them differ."""
    model = BY_MEASURE[measure]
    assert len({model.mean[name] for name in PATIENTS}) == 1
    assert "age" not in dict(model.level_loadings)


def test_naa_hardly_changes():
    """Finding naa-longitudinal-studies-negative."""
    naa = [model for model in MODELS if "naa" in model.measure]
    assert len(naa) == 6
    assert all(abs(rate) < NO_CHANGE_PCT for model in naa for rate in model.rate_pct.values())


def test_tspo_rises_with_severity_and_age():
    """Finding nawm-tspo-up-with-severity-and-age-pms: with what the EDSS rises with, and age."""
    weights = dict(BY_MEASURE["nawm_tspo_dvr"].level_loadings)
    assert min(weights.values()) > 0
    assert {"age", "meningeal_level", "neurodegeneration_level"} <= set(weights)
