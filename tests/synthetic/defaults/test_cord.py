"""The spinal cord. Witnesses: sums of parts, printed levels and rates, what findings state."""

from __future__ import annotations

import math

import pytest

from pmsstats import evidence
from pmsstats.cohort.schema import PHENOTYPES
from synthetic.defaults import diffusion, lesions, volumes
from synthetic.defaults.clinical import CONVERSION, DISABILITY
from synthetic.defaults.cord import MODELS
from synthetic.defaults.population import CORRELATIONS, POPULATION

BY_MEASURE = {
    model.measure: model for model in (*MODELS, *volumes.MODELS, *lesions.MODELS, *diffusion.MODELS)
}
AREA = BY_MEASURE["cord_area_c2c3_mm2"]
PROGRESSIVE = ("SPMS", "PPMS")
REGIONS = ("cord", "cord_gm", "cord_posterior", "cord_lateral")

EFFECT = 0.1
"""SD, or correlation. Smaller ones would not show in a few hundred patients."""
NONE = 0.2
"""Correlation called none: 4 % of the variance, seen in one study of 40 patients out of four."""


def _gap(measure, first, second):
    """Difference of two phenotypes of the same age, in SD; of the logarithm for lesions."""
    model = BY_MEASURE[measure]
    means = [model.mean[name] for name in (first, second)]
    native = model.scale == "linear"
    difference = means[0] - means[1] if native else math.log(means[0] / means[1])
    worse = -1 if AREA.mean["HC"] > 0 and model.mean["PPMS"] < model.mean["HC"] else 1
    slope = worse * dict(model.level_loadings).get("age", 0.0) * model.sd
    years = POPULATION.age_mean[first] - POPULATION.age_mean[second]
    return (difference - slope * years / POPULATION.age_sd["SPMS"]) / model.sd


def _correlation(first, second):
    """Correlation of two standardised scores: sum over pairs of loadings."""
    known = {frozenset(pair[:2]): float(pair[2]) for pair in CORRELATIONS}
    return sum(
        v * w * (1.0 if a == b else known.get(frozenset((a, b)), 0.0))
        for a, v in first
        for b, w in second
    )


def _levels(first, second):
    return _correlation(BY_MEASURE[first].level_loadings, BY_MEASURE[second].level_loadings)


def _rates(first, second):
    return _correlation(BY_MEASURE[first].rate_loadings, BY_MEASURE[second].rate_loadings)


def _edss(measure):
    return _correlation(BY_MEASURE[measure].level_loadings, DISABILITY.level_loadings)


@pytest.mark.parametrize("phenotype", PHENOTYPES)
def test_the_area_is_grey_and_white_matter(phenotype):
    parts = [BY_MEASURE[f"cord_{tissue}_area_mm2"] for tissue in ("gm", "wm")]
    assert sum(m.mean[phenotype] for m in parts) == pytest.approx(AREA.mean[phenotype], rel=0.001)
    loss = sum(m.mean[phenotype] * m.rate_pct[phenotype] for m in parts)
    assert loss / AREA.mean[phenotype] == pytest.approx(AREA.rate_pct[phenotype], rel=0.02)


@pytest.mark.parametrize("phenotype", PHENOTYPES)
@pytest.mark.parametrize("region", REGIONS)
def test_mean_diffusivity_is_the_mean_of_three_directions(region, phenotype):
    md, ad, rd = (BY_MEASURE[f"{region}_{which}_um2_ms"] for which in ("md", "ad", "rd"))
    assert 3 * md.mean[phenotype] == pytest.approx(ad.mean[phenotype] + 2 * rd.mean[phenotype])
    change = [m.mean[phenotype] * m.rate_pct[phenotype] for m in (md, ad, rd)]
    assert 3 * change[0] == pytest.approx(change[1] + 2 * change[2])


PRINTED = [
    ("lukas2015_cord_rate_spms", "SPMS", 73),
    ("furby2010_cord_rate_spms", "SPMS", 56),
    ("bischof2022_cord_rate_converters", "SPMS", 54),
]


@pytest.mark.parametrize(("record", "phenotype", "n"), PRINTED)
def test_rates_are_compatible_with_what_is_printed(record, phenotype, n):
    """Two scans two years apart, the 95 % interval of as many patients."""
    printed = evidence.record(record)
    error = 100 * AREA.error_sd / AREA.mean[phenotype] * math.sqrt(2) / 2
    standard_error = math.hypot(AREA.rate_sd_pct, error) / math.sqrt(n)
    assert abs(AREA.rate_pct[phenotype] - printed.value) < 1.96 * standard_error


def test_progressive_disease_is_faster_by_as_much_as_printed():
    """Lukas 2015: 0.85 (SE 0.31) alone, 0.59 (SE 0.34) adjusted."""
    rate = AREA.rate_pct
    mix = (73 * rate["SPMS"] + 23 * rate["PPMS"]) / 96
    record = evidence.record("lukas2015_cord_rate_difference")
    assert 0.59 <= rate["RRMS"] - mix <= record.value


def test_a_trial_in_ppms_needs_57_per_arm():
    """Finding cord-csa-sample-size-ppms: 15.7 (SD / effect)^2 for 50 % over a year."""
    error = 100 * AREA.error_sd / AREA.mean["PPMS"]
    spread = math.hypot(AREA.rate_sd_pct, math.sqrt(2) * error)
    assert 15.7 * (spread / (0.5 * AREA.rate_pct["PPMS"])) ** 2 == pytest.approx(57, rel=0.02)


def test_areas_are_reproducible():
    """Finding cord-active-surface-reproducible; Yiannakas 2016: above 0.98."""
    printed = evidence.record("yiannakas2016_cord_icc_ms_and_hc").value
    assert AREA.sd**2 / (AREA.sd**2 + AREA.error_sd**2) > printed


BELOW = [
    # finding, measure, lower group, higher group
    ("cord-atrophy-present-early", "cord_area_c2c3_mm2", "CIS", "HC"),
    ("cord-atrophy-present-early", "cord_area_c2c3_mm2", "RRMS", "HC"),
    ("cord-atrophy-greater-pms-cervical-thoracic", "cord_area_cervical_mm2", "PPMS", "RRMS"),
    ("cord-atrophy-greater-pms-cervical-thoracic", "cord_area_thoracic_mm2", "SPMS", "RRMS"),
    ("cord-atrophy-greater-pms-cervical-thoracic", "cord_area_thoracic_mm2", "PPMS", "RRMS"),
    ("cord-volume-below-hc-ppms", "cord_c2c3_ml", "PPMS", "HC"),
    ("cord-volume-below-hc-ppms", "cord_c2c5_ml", "PPMS", "HC"),
    ("cord-fa-lower-md-higher-ppms-vs-hc", "cord_fa", "PPMS", "HC"),
    ("cord-fa-lower-md-higher-ppms-vs-hc", "cord_md_um2_ms", "HC", "PPMS"),
    ("posterior-column-md-rd-higher-spms-than-rrms", "cord_posterior_md_um2_ms", "RRMS", "SPMS"),
    ("posterior-column-md-rd-higher-spms-than-rrms", "cord_posterior_rd_um2_ms", "RRMS", "SPMS"),
    ("cord-gm-dti-worse-spms", "cord_gm_fa", "SPMS", "RRMS"),
    ("cord-gm-dti-worse-spms", "cord_gm_md_um2_ms", "RRMS", "SPMS"),
    ("cord-gm-dti-worse-spms", "cord_gm_rd_um2_ms", "CIS", "SPMS"),
    ("cord-subpial-mtr-worse-pms", "cord_pial_mtr_pu", "SPMS", "RRMS"),
    ("cord-subpial-mtr-worse-pms", "cord_pial_mtr_pu", "PPMS", "RRMS"),
    ("cord-lesion-load-higher-pms-than-rrms", "cord_lesion_cervical_count", "RRMS", "SPMS"),
    ("cord-lesion-load-higher-pms-than-rrms", "cord_lesion_mm3", "RRMS", "PPMS"),
    ("lesion-burden-higher-spms-than-ppms", "cord_lesion_count", "PPMS", "SPMS"),
]


@pytest.mark.parametrize(("finding", "measure", "low", "high"), BELOW)
def test_phenotypes_order_as_the_findings_say(finding, measure, low, high):
    assert evidence.finding(finding).status == "simulable"
    assert _gap(measure, low, high) < -EFFECT


def test_magnetisation_transfer_is_the_same_in_both_progressive_forms():
    """Finding cord-mtr-no-difference-ppms-spms."""
    assert abs(_gap("cord_mtr_pu", "PPMS", "SPMS")) < EFFECT / 2


def test_c7_separates_best():
    """Finding c7-area-best-separates-spms-rrms."""
    apart = {m: _gap(m, "SPMS", "RRMS") for m in BY_MEASURE if m.startswith("cord_area_")}
    assert len(apart) == 4
    others = [gap for measure, gap in apart.items() if measure != "cord_area_c7_mm2"]
    assert apart["cord_area_c7_mm2"] < min(others) - EFFECT


def test_most_lesions_are_cervical():
    """Finding cervical-cord-highest-lesion-load."""
    cervical, every = (BY_MEASURE[f"cord_lesion_{w}"] for w in ("cervical_count", "count"))
    assert all(cervical.mean[name] > 0.6 * every.mean[name] for name in PHENOTYPES)


def test_a_cord_syndrome_is_the_commonest_onset_of_ppms():
    """Finding cord-syndrome-commonest-onset-ppms."""
    share = BY_MEASURE["spinal_onset"].mean
    assert share["PPMS"] > 0.6 > max(share[name] for name in PHENOTYPES if name != "PPMS")


def test_fractional_anisotropy_falls_fastest_in_ppms():
    """Finding cord-fa-decline-fastest-ppms."""
    rate = BY_MEASURE["cord_fa"].rate_pct
    assert all(rate["PPMS"] < 1.5 * rate[name] < 0 for name in PHENOTYPES if name != "PPMS")


def test_the_cord_is_the_fastest_measure_in_spms():
    """Finding cord-csa-highest-annual-rate-spms, among those of Furby 2010."""
    others = ("brain_ml", "gm_ml", "wm_ml", "central_brain_ml", "brain_fraction")
    assert all(AREA.rate_pct["SPMS"] < 1.5 * BY_MEASURE[m].rate_pct["SPMS"] for m in others)


def test_the_loss_of_progressive_disease_is_not_that_of_controls():
    """Finding cord-csa-1y-loss-ppms-vs-hc; SPMS too, against cord-csa-1y-no-difference-spms-hc."""
    assert all(AREA.rate_pct[name] < 3 * AREA.rate_pct["HC"] for name in PROGRESSIVE)


UNRELATED = [
    ("cord-brain-dti-unrelated-ppms", "cord_fa", "nawm_fa"),
    ("cord-brain-dti-unrelated-ppms", "cord_md_um2_ms", "nawm_md_um2_ms"),
    ("cord-brain-dti-unrelated-ppms", "cord_area_c2c3_mm2", "brain_ml"),
    ("cord-atrophy-unrelated-brain-lesions-ppms", "cord_c2c5_ml", "t2_lesion_ml"),
    ("cord-atrophy-unrelated-brain-lesions-ppms", "cord_c2c5_ml", "brain_ml"),
]


@pytest.mark.parametrize(("finding", "cord", "brain"), UNRELATED)
def test_cord_and_brain_come_apart(finding, cord, brain):
    assert evidence.finding(finding).status == "simulable"
    assert abs(_levels(cord, brain)) < 0.75 * NONE


@pytest.mark.parametrize("cord", ["cord_fa", "cord_md_um2_ms"])
@pytest.mark.parametrize(
    "other", ["nawm_fa", "nawm_md_um2_ms", "t2_lesion_ml", "cord_lesion_count"]
)
def test_change_of_cord_diffusion_goes_its_own_way(cord, other):
    """Finding cord-dti-change-independent-of-lesions-brain."""
    assert abs(_rates(cord, other)) < 0.75 * NONE


def test_axons_rather_than_lesions_go_with_the_area():
    """Finding cord-atrophy-from-diffuse-axonal-loss."""
    area = "cord_area_c2c3_mm2"
    assert _levels("cord_naa_mmol_l", area) > _levels("cord_lesion_count", area) + EFFECT


def test_correlations_with_disability():
    """Findings cord-area-especially-gm-correlates-disability, cord-gm-rd-correlates-disability,
    cord-lesion-load-correlates-disability; Casserly 2018 prints -0.75 to -0.22 for the area."""
    grey, white = _edss("cord_gm_area_mm2"), _edss("cord_wm_area_mm2")
    assert grey > white + EFFECT
    assert 0.22 < _edss("cord_area_c2c3_mm2") < 0.75
    assert all(_edss(m) > EFFECT for m in ("cord_gm_rd_um2_ms", "cord_lesion_count"))


def test_the_cord_tells_the_course_to_come():
    """Findings cord-atrophy-predicts-disability, cord-atrophy-faster-with-progression,
    cord-lesions-predict-ris-to-ppms."""
    hazard = DISABILITY.loadings
    assert _correlation(AREA.level_loadings, hazard) > EFFECT
    assert _correlation(AREA.rate_loadings, hazard) > EFFECT
    lesions = BY_MEASURE["cord_lesion_count"].level_loadings
    assert _correlation(lesions, CONVERSION.ris_loadings) > EFFECT


def test_interferon_would_change_neither_area_nor_lesions():
    """Findings ifnb1a-no-effect-cord-ppms, ifnb1b-no-effect-cord-area-ppms."""
    touched = [m.measure for m in MODELS if "inflammation" in dict(m.drivers)]
    assert touched == []
