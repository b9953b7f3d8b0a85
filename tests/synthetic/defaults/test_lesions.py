"""Lesions of the brain. Witnesses: log-normal moments by sampling, printed figures, findings."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pmsstats import evidence
from pmsstats.evidence import record
from synthetic.defaults import population
from synthetic.defaults.clinical import DISABILITY
from synthetic.defaults.lesions import LESIONS, MODELS
from synthetic.processes import FACTORS, correlation_matrix

BY_MEASURE = {model.measure: model for model in MODELS}
N = 400_000
MONTE_CARLO_ERRORS = 4
WEAK = 0.3
"""Correlation called weak: Cohen's medium one."""
NO_HAZARD = math.log(1.1)
"""Log hazard ratio per SD below which a baseline does not determine progression: 10 %."""


def test_t2_volume_of_rrms_has_the_printed_moments():
    """CLARITY: mean 15,912, SD 16,319 mm3. Moments of exp(normal), by sampling."""
    model = BY_MEASURE["t2_lesion_ml"]
    mean = model.mean["RRMS"]
    score = np.random.default_rng(3).standard_normal(N)
    volume = np.exp(math.log(mean) - model.sd**2 / 2 + model.sd * score)
    assert abs(volume.mean() - 15.912) < MONTE_CARLO_ERRORS * volume.std() / math.sqrt(N)
    fourth = ((volume - volume.mean()) ** 4).mean()
    error = math.sqrt((fourth / volume.var() - volume.var()) / N) / 2
    assert abs(volume.std() - 16.319) < MONTE_CARLO_ERRORS * error


def _courses(model, phenotype, seed):
    """Draw log baselines and slopes of persons, without error."""
    matrix = correlation_matrix(population.CORRELATIONS)
    factors = np.random.default_rng(seed).multivariate_normal(np.zeros(len(FACTORS)), matrix, N)
    own = np.random.default_rng(seed + 1).standard_normal((3, N))

    def score(pairs, rest):
        shared = sum(w * factors[:, FACTORS.index(n)] for n, w in pairs if n in FACTORS)
        shared = shared + dict(pairs).get("duration", 0.0) * own[2]
        return shared + math.sqrt(1 - shared.var()) * rest

    level = score(model.level_loadings, own[0])
    rate = score(model.rate_loadings, own[1])
    start = math.log(model.mean[phenotype]) - model.sd**2 / 2 + model.sd * level
    return start, (model.rate_pct[phenotype] + model.rate_sd_pct * rate) / 100


GROWTH = [
    ("PPMS", "miller2018_t2_growth_ppms", 1000, 0.1),
    ("RRMS", "fisniku2008_t2_volume_yearly_rrms", 1, 0.1),
]


@pytest.mark.parametrize(("phenotype", "record_id", "per_ml", "tolerance"), GROWTH)
def test_t2_volume_grows_by_what_is_printed(phenotype, record_id, per_ml, tolerance):
    """Mean growth at baseline, ml a year; within a tenth, as the age weight is left out here."""
    start, slope = _courses(BY_MEASURE["t2_lesion_ml"], phenotype, seed=5)
    growth = np.exp(start) * slope
    expected = record(record_id).value / per_ml
    error = growth.std() / math.sqrt(N)
    assert abs(growth.mean() - expected) < tolerance * expected + MONTE_CARLO_ERRORS * error


def test_t2_volume_of_spms_grows_between_two_placebo_arms():
    """Medians of change at 36 months: 10 % in SPECTRIMS, 15 % (mean) in the European trial."""
    _, slope = _courses(BY_MEASURE["t2_lesion_ml"], "SPMS", seed=7)
    change = 100 * np.expm1(3 * slope)
    assert 10 < np.median(change) < np.mean(change) < 15


def test_t1_volume_of_spms_has_the_printed_median():
    """Barkhof 2001: 5.1 cm3."""
    model = BY_MEASURE["t1_lesion_ml"]
    assert model.mean["SPMS"] * math.exp(-(model.sd**2) / 2) == pytest.approx(5.1)


def test_lesion_load_is_low_in_ppms():
    """Finding t2lv-low-relative-to-severity-ppms."""
    assert evidence.finding("t2lv-low-relative-to-severity-ppms").direction == "lower"
    for measure in ("t2_lesion_ml", "t2_lesion_count", "t1_lesion_ml", "t1_lesion_count"):
        mean = BY_MEASURE[measure].mean
        assert mean["PPMS"] < 0.8 * min(mean["RRMS"], mean["SPMS"])
    assert LESIONS.rate["PPMS"] < 0.5 * LESIONS.rate["RRMS"]


def test_black_holes_are_part_of_the_t2_lesions():
    t2, t1 = BY_MEASURE["t2_lesion_ml"], BY_MEASURE["t1_lesion_ml"]
    assert all(t1.mean[name] < 0.5 * t2.mean[name] for name in t2.mean)


def _covariance(measure, hazard):
    """Covariance of a baseline score with a sum of loadings, by matrix algebra."""
    matrix = correlation_matrix(population.CORRELATIONS)
    first, second = (
        np.array([float(dict(pairs).get(name, 0.0)) for name in FACTORS])
        for pairs in (BY_MEASURE[measure].level_loadings, hazard)
    )
    return first @ matrix @ second


def test_the_number_of_lesions_does_not_tell_who_worsens():
    """Finding t2-lesions-not-predict-progression-ppms, on the hazard's own scale."""
    assert abs(_covariance("t2_lesion_count", DISABILITY.loadings)) < NO_HAZARD


@pytest.mark.parametrize("measure", ["t2_lesion_ml", "t1_lesion_ml", "t2_lesion_count"])
def test_conventional_measures_go_weakly_with_disability(measure):
    """Finding conventional-mri-weak-disability-pms, with the scores of age and duration."""
    shared = _covariance(measure, DISABILITY.level_loadings)
    scores = sum(
        dict(BY_MEASURE[measure].level_loadings).get(name, 0.0)
        * dict(DISABILITY.level_loadings).get(name, 0.0)
        for name in ("age", "duration")
    )
    assert 0 < shared + scores < WEAK


def test_new_lesions_become_fewer_with_duration():
    """Finding gd-lesions-more-frequent-early-ppms."""
    assert math.exp(-5 * LESIONS.duration_decline) < 0.7


def test_enhancement_of_ppms_at_baseline_is_as_printed():
    """INFORMS: 13 %. Persons' rates are gamma times the fall with duration, also gamma."""
    rng = np.random.default_rng(11)
    mean, sd = (
        population.POPULATION.duration_mean["PPMS"],
        population.POPULATION.duration_sd["PPMS"],
    )
    scale = sd**2 / mean
    fall = np.exp(-LESIONS.duration_decline * rng.gamma(mean / scale, scale, N))
    frailty = rng.gamma(1 / LESIONS.dispersion, LESIONS.dispersion, N)
    rate = LESIONS.rate["PPMS"] * LESIONS.baseline_ratio * frailty * fall / fall.mean()
    share = 1 - np.exp(-rate * LESIONS.enhancing_days / 365.25).mean()
    assert share == pytest.approx(
        record("miller2018_gd_prevalence_ppms_placebo").value / 100, abs=0.01
    )
