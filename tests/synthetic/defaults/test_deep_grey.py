"""Deep grey matter and iron. Witnesses: sums of nuclei, printed means, what findings state."""

from __future__ import annotations

import math

import pytest

from pmsstats import evidence
from pmsstats.cohort.schema import PHENOTYPES
from synthetic.defaults.clinical import DISABILITY
from synthetic.defaults.deep_grey import MODELS, THALAMUS
from synthetic.defaults.population import CORRELATIONS, POPULATION

BY_MEASURE = {model.measure: model for model in MODELS}
NUCLEI = ("thalamus_ml", "caudate_ml", "putamen_ml", "pallidum_ml")
BASAL_GANGLIA = ("caudate", "putamen", "pallidum")
ACCUMBENS_ML = (0.9, 1.15)
"""What is left of deep grey matter without the four nuclei, about 0.5 ml a side."""
RATE_TOLERANCE = 0.03
EFFECT = 0.1
"""SD. Smaller differences or correlations would not show in a few hundred patients."""


def _gap(measure, first, second):
    """Difference of two phenotypes of the same age, in SD; the sign is that of the measure."""
    model = BY_MEASURE[measure]
    worse = -1 if model.rate_pct["PPMS"] < 0 else 1
    slope = worse * dict(model.level_loadings)["age"] * model.sd / POPULATION.age_sd["SPMS"]
    years = POPULATION.age_mean[first] - POPULATION.age_mean[second]
    return (model.mean[first] - model.mean[second] - slope * years) / model.sd


def _correlation(first, second):
    """Correlation of two standardised scores: sum over pairs of loadings."""
    known = {frozenset(pair[:2]): float(pair[2]) for pair in CORRELATIONS}
    return sum(
        v * w * (1.0 if a == b else known.get(frozenset((a, b)), 0.0))
        for a, v in first
        for b, w in second
    )


@pytest.mark.parametrize("phenotype", PHENOTYPES)
def test_deep_grey_matter_is_its_nuclei(phenotype):
    whole = BY_MEASURE["dgm_ml"]
    parts = [BY_MEASURE[m] for m in NUCLEI]
    low, high = ACCUMBENS_ML
    assert low <= whole.mean[phenotype] - sum(m.mean[phenotype] for m in parts) <= high
    loss = sum(m.mean[phenotype] * m.rate_pct[phenotype] for m in parts)
    volume = sum(m.mean[phenotype] for m in parts)
    assert whole.rate_pct[phenotype] == pytest.approx(loss / volume, rel=RATE_TOLERANCE)


@pytest.mark.parametrize("phenotype", PHENOTYPES)
@pytest.mark.parametrize("unit", ["r2star_per_s", "susceptibility_ppb"])
def test_iron_of_all_is_the_mean_of_the_nuclei_by_volume(phenotype, unit):
    volumes = [BY_MEASURE[f"{nucleus}_ml"].mean["HC"] for nucleus in BASAL_GANGLIA]
    values = [BY_MEASURE[f"{nucleus}_{unit}"].mean[phenotype] for nucleus in BASAL_GANGLIA]
    weighted = sum(v * w for v, w in zip(values, volumes, strict=True)) / sum(volumes)
    assert BY_MEASURE[f"dgm_{unit}"].mean[phenotype] == pytest.approx(weighted, rel=0.01)


PROGRESSIVE = ("SPMS", "PPMS")


def test_thalamic_loss_is_that_of_the_large_cohort():
    """Azevedo 2018: 90 CIS, 392 RRMS, 38 SPMS together, with its interval."""
    printed = evidence.record("azevedo2018_thalamus_rate_ms")
    mix = {"CIS": 90, "RRMS": 392, "SPMS": 38}
    mean = sum(n * THALAMUS.rate_pct[p] for p, n in mix.items()) / sum(mix.values())
    assert printed.ci_low < mean < printed.ci_high


def test_slopes_of_the_thalamus_spread_as_in_the_large_cohort():
    """SD of the slope of three annual scans: slopes, and error over the root of 2."""
    error = 100 * THALAMUS.error_sd / THALAMUS.mean["RRMS"] / math.sqrt(2)
    printed = evidence.record("azevedo2018_thalamus_slope_sd").value
    assert math.hypot(THALAMUS.rate_sd_pct, error) == pytest.approx(printed, rel=0.05)


def test_the_default_side_of_two_findings_that_contradict_each_other():
    """Finding dgm-atrophy-rate-higher-pms-than-cis-hc; the other side, thalamus-atrophy-rate-equal-
    across-subtypes, is a switch."""
    for model in (THALAMUS, BY_MEASURE["dgm_ml"]):
        fastest = min(model.rate_pct[name] for name in ("HC", "CIS"))
        assert all(model.rate_pct[name] < 1.5 * fastest for name in PROGRESSIVE)


@pytest.mark.parametrize("phenotype", ["CIS", "RRMS", "SPMS", "PPMS"])
def test_the_thalamus_shrinks_faster_than_in_controls(phenotype):
    """Findings thalamus-atrophy-faster-ms-than-hc, thalamus-atrophy-faster-ppms-15m."""
    rate = THALAMUS.rate_pct
    assert rate[phenotype] < 2 * rate["HC"]


ORDERS = [
    ("thalamus-atrophy-early-ppms", "thalamus_ml", "PPMS", "HC"),
    ("thalamic-iron-reduced-rrms-spms", "thalamus_susceptibility_ppb", "RRMS", "HC"),
    ("thalamic-iron-reduced-rrms-spms", "thalamus_susceptibility_ppb", "SPMS", "HC"),
    ("dgm-iron-accumulates-across-stages", "dgm_susceptibility_ppb", "CIS", "RRMS"),
    ("dgm-iron-accumulates-across-stages", "dgm_susceptibility_ppb", "RRMS", "SPMS"),
    ("dgm-r2star-up-ms-driven-by-rrms", "dgm_r2star_per_s", "HC", "RRMS"),
    ("dgm-r2star-up-ms-driven-by-rrms", "dgm_r2star_per_s", "HC", "SPMS"),
    ("dgm-r2star-up-ms-driven-by-rrms", "dgm_r2star_per_s", "PPMS", "RRMS"),
]
"""Finding, measure, which phenotype is below which, at the same age."""


@pytest.mark.parametrize(("finding", "measure", "low", "high"), ORDERS)
def test_phenotypes_order_as_the_findings_say(finding, measure, low, high):
    assert evidence.finding(finding).status == "simulable"
    assert _gap(measure, low, high) < -EFFECT


def test_thalamic_susceptibility_is_as_printed():
    """Zivadinov 2018: 452 RRMS and 148 SPMS together, and the difference between them."""
    mean = BY_MEASURE["thalamus_susceptibility_ppb"].mean
    assert (452 * mean["RRMS"] + 148 * mean["SPMS"]) / 600 == pytest.approx(-7.5)
    assert mean["SPMS"] - mean["RRMS"] == pytest.approx(-4.3)
    ganglia = BY_MEASURE["dgm_susceptibility_ppb"].mean
    assert (452 * ganglia["RRMS"] + 148 * ganglia["SPMS"]) / 600 == pytest.approx(62, abs=0.5)


def test_thalamic_iron_falls_with_duration():
    """Finding thalamic-iron-falls-with-duration; Zivadinov 2018: 0.42 ppb per year of duration."""
    model = BY_MEASURE["thalamus_susceptibility_ppb"]
    per_year = dict(model.level_loadings)["duration"] * model.sd / POPULATION.duration_sd["SPMS"]
    assert per_year == pytest.approx(0.42, rel=0.1)


def test_iron_of_the_putamen_goes_with_disability():
    """Finding putamen-iron-correlates-edss-ppms."""
    for unit in ("r2star_per_s", "susceptibility_ppb"):
        level = BY_MEASURE[f"putamen_{unit}"].level_loadings
        assert _correlation(level, DISABILITY.level_loadings) > EFFECT


def test_deep_grey_volume_goes_with_disability_and_predicts_it():
    """Finding thalamus-baseline-predicts-progression (deep grey matter in its primary paper)."""
    level = BY_MEASURE["dgm_ml"].level_loadings
    assert _correlation(level, DISABILITY.level_loadings) > EFFECT
    assert _correlation(level, DISABILITY.loadings) > EFFECT
