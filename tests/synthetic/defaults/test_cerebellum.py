"""The cerebellum. Witnesses: sums of parts, printed changes, algebra, what findings state."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pmsstats import evidence
from pmsstats.cohort.schema import PHENOTYPES
from synthetic.defaults import deep_grey, volumes
from synthetic.defaults.cerebellum import MODELS
from synthetic.defaults.clinical import DISABILITY, INSTRUMENTS
from synthetic.defaults.population import CORRELATIONS
from synthetic.processes import LEVEL_DRIVERS, RATES

BY_MEASURE = {model.measure: model for model in (*MODELS, *deep_grey.MODELS, *volumes.MODELS)}
LOBULES = [name for name in BY_MEASURE if name.startswith("lobule_")]
RATE_TOLERANCE = 0.03
PATIENTS = ("CIS", "RRMS", "SPMS", "PPMS")
EFFECT = 0.1
"""Correlation. Smaller ones would not show in a few hundred patients."""


def _loss(measure, phenotype):
    """Millilitres per year."""
    model = BY_MEASURE[measure]
    return model.mean[phenotype] * model.rate_pct[phenotype] / 100


def _correlation(first, second):
    """Correlation of two standardised scores: sum over pairs of loadings."""
    known = {frozenset(pair[:2]): float(pair[2]) for pair in CORRELATIONS}
    return sum(
        v * w * (1.0 if a == b else known.get(frozenset((a, b)), 0.0))
        for a, v in first
        for b, w in second
    )


@pytest.mark.parametrize("phenotype", PHENOTYPES)
@pytest.mark.parametrize(
    ("whole", "parts"),
    [
        ("cerebellum_ml", ["cerebellar_gm_ml", "cerebellar_wm_ml"]),
        ("cerebellar_cortex_ml", LOBULES),
        ("dgm_cerebellum_ml", ["dgm_ml", "cerebellum_ml"]),
    ],
)
def test_wholes_are_their_parts(whole, parts, phenotype):
    assert BY_MEASURE[whole].mean[phenotype] == pytest.approx(
        sum(BY_MEASURE[part].mean[phenotype] for part in parts)
    )
    assert _loss(whole, phenotype) == pytest.approx(
        sum(_loss(part, phenotype) for part in parts), rel=RATE_TOLERANCE
    )


def test_the_brain_loses_more_than_its_cerebellum():
    assert all(_loss("brain_ml", p) < _loss("cerebellum_ml", p) < 0 for p in PHENOTYPES)


PRINTED = {
    "cerebellum_ml": "inglese2017_cerebellum_rate_ppms",
    "cerebellar_cortex_ml": "inglese2017_cerebellar_cortex_rate_ppms",
}


@pytest.mark.parametrize(("measure", "record"), PRINTED.items())
def test_a_year_of_change_in_ppms_is_as_printed(measure, record):
    """Inglese 2017: mean, and SD of slope and of the error of two scans."""
    model, printed = BY_MEASURE[measure], evidence.record(record)
    assert model.rate_pct["PPMS"] == printed.value
    error = 100 * model.error_sd / model.mean["PPMS"]
    assert math.hypot(model.rate_sd_pct, math.sqrt(2) * error) == pytest.approx(printed.sd)


def test_samples_are_small():
    """Finding cerebellar-sample-size-small: 81 per arm for 30 %, 90 % power (factor 21.0)."""
    model = BY_MEASURE["cerebellum_ml"]
    error = 100 * model.error_sd / model.mean["PPMS"]
    spread = math.hypot(model.rate_sd_pct, math.sqrt(2) * error)
    assert 21.0 * (spread / (0.3 * model.rate_pct["PPMS"])) ** 2 == pytest.approx(81, rel=0.05)


@pytest.mark.parametrize("phenotype", PATIENTS)
def test_cortex_is_smaller_at_every_stage(phenotype):
    """Finding cerebellar-cortex-loss-all-stages; CIS and RRMS are younger than controls besides."""
    model = BY_MEASURE["cerebellar_cortex_ml"]
    assert model.mean[phenotype] < model.mean["HC"] - 0.3 * model.sd


def test_other_orders_of_phenotypes():
    """Findings cerebellar-gm-below-hc-spms, cerebellar-cortex-atrophy-faster-ppms-5y."""
    grey, cortex = BY_MEASURE["cerebellar_gm_ml"], BY_MEASURE["cerebellar_cortex_ml"]
    assert grey.mean["SPMS"] < grey.mean["HC"] - 0.5 * grey.sd
    assert cortex.rate_pct["PPMS"] < 2 * cortex.rate_pct["HC"]


def test_loss_goes_with_worsening():
    """Finding cerebellar-loss-greater-in-progressors-ppms."""
    assert _correlation(BY_MEASURE["cerebellum_ml"].rate_loadings, DISABILITY.loadings) > EFFECT


@pytest.mark.parametrize("lobule", LOBULES)
@pytest.mark.parametrize("test", ["nhpt_s", "sdmt"])
def test_lobules_go_with_hand_and_cognition(lobule, test):
    """Findings cerebellar-lobules-correlate-9hpt-pms and -cognition-pms."""
    own = {model.measure: model for model in INSTRUMENTS}[test].level_loadings
    assert _correlation(BY_MEASURE[lobule].level_loadings, own) > EFFECT


def test_the_posterior_superior_lobe_is_fastest_in_spms():
    """Parmar 2021."""
    rates = {lobule: BY_MEASURE[lobule].rate_pct for lobule in LOBULES}
    order = sorted(LOBULES, key=lambda lobule: rates[lobule]["SPMS"])
    assert set(order[:3]) == {"lobule_vi_ml", "lobule_crus1_ml", "lobule_crus2_ml"}
    assert all(rates[lobule]["RRMS"] == rates[order[0]]["RRMS"] for lobule in LOBULES)


def _draws(model, seed, drivers, loadings, size):
    """Draw standardised scores: shared drivers by their correlation, the rest by itself."""
    known = {frozenset(pair[:2]): float(pair[2]) for pair in CORRELATIONS}
    matrix = np.array(
        [[1.0 if a == b else known.get(frozenset((a, b)), 0.0) for a in drivers] for b in drivers]
    )
    shared = np.random.default_rng(0).multivariate_normal(np.zeros(len(drivers)), matrix, size)
    weights = np.array([dict(loadings).get(name, 0.0) for name in drivers])
    own = np.random.default_rng(seed).standard_normal(size)
    return shared @ weights + math.sqrt(1 - weights @ matrix @ weights) * own, shared


@pytest.mark.parametrize(
    ("field", "drivers"), [("level_loadings", LEVEL_DRIVERS), ("rate_loadings", RATES)]
)
def test_the_sum_has_the_moments_of_a_sum(field, drivers):
    """Monte Carlo: SD of the sum, and its correlation with each driver."""
    size = 200_000
    scores, spreads = [], []
    for seed, measure in enumerate(("dgm_ml", "cerebellum_ml"), start=1):
        model = BY_MEASURE[measure]
        score, shared = _draws(model, seed, drivers, getattr(model, field), size)
        scale = {"level_loadings": model.sd}.get(
            field, model.rate_sd_pct * model.mean["SPMS"] / 100
        )
        scores.append(scale * score)
        spreads.append(scale)
    both = BY_MEASURE["dgm_cerebellum_ml"]
    expected = {"level_loadings": both.sd}.get(field, both.rate_sd_pct * both.mean["SPMS"] / 100)
    total = scores[0] + scores[1]
    assert expected == pytest.approx(total.std(), rel=4 / math.sqrt(2 * size))
    own, _ = _draws(both, 9, drivers, getattr(both, field), size)
    for column in range(len(drivers)):
        found = np.corrcoef(total, shared[:, column])[0, 1]
        assert np.corrcoef(own, shared[:, column])[0, 1] == pytest.approx(
            found, abs=4 * math.sqrt(2 / size)
        )
