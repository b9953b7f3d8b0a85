"""Magnetisation transfer. Witnesses: the order that the findings state, printed falls."""

from __future__ import annotations

import pytest

from pmsstats import evidence
from synthetic.defaults.magnetisation import MODELS

BY_MEASURE = {model.measure: model for model in MODELS}
PROGRESSIVE = ("SPMS", "PPMS")
EARLY = ("HC", "RIS", "CIS", "RRMS")
TENTH_OF_A_SPREAD = 0.1
"""Differences between means below it count as none: invisible in fewer than 1,500 patients."""

BELOW = [
    ("nawm-mtr-below-hc-ppms", "nawm_mtr_pu", ["PPMS"], ["HC"]),
    ("nawm-mtr-lower-pms-than-other-phenotypes", "nawm_mtr_pu", PROGRESSIVE, EARLY),
]


@pytest.mark.parametrize(("finding", "measure", "low", "high"), BELOW, ids=[r[0] for r in BELOW])
def test_means_lie_below(finding, measure, low, high):
    assert evidence.finding(finding).direction == "lower"
    mean = BY_MEASURE[measure].mean
    gap = min(mean[name] for name in high) - max(mean[name] for name in low)
    assert gap > 4 * TENTH_OF_A_SPREAD * BY_MEASURE[measure].sd


def test_lesions_lie_below_the_tissue_around_them():
    """Finding lesion-mtr-below-nawm-ppms."""
    lesion, around = BY_MEASURE["lesion_mtr_pu"], BY_MEASURE["nawm_mtr_pu"]
    assert all(lesion.mean[name] < around.mean[name] - lesion.sd for name in around.mean)


def test_the_progressive_forms_do_not_differ_in_white_matter():
    """Finding nawm-mtr-no-difference-spms-ppms."""
    model = BY_MEASURE["nawm_mtr_pu"]
    assert abs(model.mean["SPMS"] - model.mean["PPMS"]) < TENTH_OF_A_SPREAD * model.sd
    assert model.rate_pct["SPMS"] == model.rate_pct["PPMS"]


def test_brain_falls_as_in_the_placebo_arm():
    """Finding ifnb1b-placebo-brain-mtr-falls-spms: -4.9 % at 24 months."""
    rate = BY_MEASURE["brain_mtr_pu"].rate_pct["SPMS"]
    assert 2 * rate == pytest.approx(-4.9)  # at 36 months fewer were left, who had fallen by less


def test_interferon_would_not_change_the_fall_of_the_brain():
    """Finding ifnb1b-no-effect-brain-mtr-spms: focal inflammation is no driver of it."""
    assert all("inflammation" not in dict(model.drivers) for model in MODELS)


@pytest.mark.parametrize("model", MODELS, ids=list(BY_MEASURE))
def test_falls_are_faster_in_later_disease(model):
    rates = [model.rate_pct[name] for name in ("HC", "RIS", "CIS", "RRMS")]
    assert rates == sorted(rates, reverse=True)
    assert max(model.rate_pct[name] for name in PROGRESSIVE) < rates[-1] < 0
