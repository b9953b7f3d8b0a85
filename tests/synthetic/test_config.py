"""Descriptions that are impossible say what to change. Witness: the rules, by hand."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from pmsstats import evidence
from pmsstats.errors import DesignError
from synthetic import (
    FACTORS,
    PRESETS,
    TREATMENTS,
    Arm,
    CohortConfig,
    PerPhenotype,
    SiteModel,
    assumed,
    defaults,
    preset,
)
from synthetic.config import HAND_MEASURES, LESION_MEASURES

THALAMUS = next(m for m in defaults.IMAGING if m.measure == "thalamus_ml")
INFINITE = float("inf")
SDMT = defaults.INSTRUMENTS[2]
PPMS_ONLY = dataclasses.replace(defaults.POPULATION, mix=PerPhenotype(PPMS=1.0))

BROKEN_PARTS = [
    (THALAMUS, {"sd": -1.0}, "`sd` of imaging measure 'thalamus_ml' must be at least 0, got -1.0"),
    (THALAMUS, {"error_sd": -0.1}, "`error_sd`"),
    (THALAMUS, {"rate_loadings": (("iron_rate", 1.5),)}, "iron_rate.*from -1 to 1, got 1.5"),
    (THALAMUS, {"rate_loadings": (("iron_rat", 0.5),)}, "Did you mean 'iron_rate'"),
    (THALAMUS, {"rate_loadings": (("iron_level", 0.5),)}, "which is none of"),
    (THALAMUS, {"level_loadings": (("heads_size", 0.5),)}, "Did you mean 'head_size'"),
    (THALAMUS, {"level_loadings": (("age", 0.5), ("age", 0.1))}, "name 'age' twice"),
    (THALAMUS, {"drivers": (("cord", 0.5), ("iron", 0.6))}, "must sum to 1, got 1.1"),
    (THALAMUS, {"drivers": (("meninges", 1.0),)}, "Did you mean 'meningeal'"),
    (THALAMUS, {"method": "registred"}, "`method`"),
    (THALAMUS, {"rate_unit": "native", "scale": "log"}, "linear scale only"),
    (THALAMUS, {"scale": "presence", "sd": 0.0}, "`mean`.*from 0 to 1"),
    (THALAMUS, {"scanner_sd": -1.0}, "`scanner_sd`"),
    (SiteModel(), {"n_sites": 0}, "whole number from 1, got 0"),
    (SiteModel(), {"upgrade_share": 1.5}, "`upgrade_share`.*got 1.5"),
    (THALAMUS, {"scale": "linaer"}, "Did you mean 'linear'"),
    (THALAMUS, {"mean": PerPhenotype(HC=0.0)}, "`mean` of imaging measure"),
    (SDMT, {"noise_sd": -1.0}, "`noise_sd` of instrument 'sdmt'"),
    (SDMT, {"low": 200.0}, "`low` of instrument 'sdmt' must be below `high`"),
    (SDMT, {"scale": "square"}, "must be one of linear, log"),
    (defaults.MISSINGNESS, {"missed_visit": 1.2}, "`missed_visit`.*from 0 to 1, got 1.2"),
    (defaults.MISSINGNESS, {"missed_scan": -0.1}, "`missed_scan`"),
    (defaults.MISSINGNESS, {"dropout": "mcr"}, "Did you mean 'mcar'"),
    (defaults.MISSINGNESS, {"dropout_rate": -1.0}, "`dropout_rate`"),
    (defaults.RELAPSES, {"dispersion": -1.0}, "`dispersion`"),
    (defaults.RELAPSES, {"residual_share": 1.1}, "`residual_share`.*got 1.1"),
    (defaults.LESIONS, {"rate": PerPhenotype(PPMS=-1.0)}, "`rate` of the lesion model"),
    (defaults.LESIONS, {"dispersion": -1.0}, "`dispersion` of the lesion model"),
    (defaults.LESIONS, {"enhancing_days": -1.0}, "`enhancing_days`"),
    (defaults.LESIONS, {"relapse_loading": 1.2}, "`relapse_loading`.*from -1 to 1, got 1.2"),
    (defaults.HANDS, {"own_sd": -0.1}, "`own_sd` of the hands"),
    (defaults.HANDS, {"drift_sd": -0.1}, "`drift_sd` of the hands"),
    (defaults.HANDS, {"noise_sd": -0.1}, "`noise_sd` of the hands"),
    (defaults.DISABILITY, {"rater_sd": -0.1}, "`rater_sd`"),
    (defaults.DISABILITY, {"worsening_rate": PerPhenotype(PPMS=-0.1)}, "`worsening_rate`"),
    (defaults.DISABILITY, {"edss_low": PerPhenotype(PPMS=7.0)}, "below `edss_high`.*for PPMS"),
    (defaults.DISABILITY, {"step": 0.2}, "`step`"),
    (defaults.SCHEDULE, {"weeks": (0, 24, 12)}, "must ascend from 0"),
    (defaults.SCHEDULE, {"weeks": (12, 24)}, "must ascend from 0"),
    (defaults.SCHEDULE, {"weeks": ()}, "must ascend from 0"),
    (defaults.SCHEDULE, {"weeks": (0, 26.5, 52)}, r"whole numbers, got 26\.5.*`window_days`"),
    (defaults.SCHEDULE, {"weeks": (0, True)}, "whole numbers, got True"),
    (defaults.SCHEDULE, {"cognition_weeks": (0, "24")}, "`cognition_weeks`.*whole numbers"),
    (defaults.CONVERSION, {"ris_to_ppms": INFINITE}, "`ris_to_ppms`.*must be finite and at least"),
    (defaults.MISSINGNESS, {"dropout_rate": INFINITE}, "`dropout_rate`.*finite.*got inf"),
    (defaults.MISSINGNESS, {"death_rate": float("nan")}, "`death_rate`.*finite.*got nan"),
    (defaults.RELAPSES, {"severity": INFINITE}, "`severity`.*finite"),
    (defaults.LESIONS, {"enhancing_days": INFINITE}, "`enhancing_days`.*finite"),
    (defaults.POPULATION, {"relapse_free_years": INFINITE}, "`relapse_free_years`.*finite"),
    (THALAMUS, {"sd": INFINITE}, "`sd`.*finite"),
    (SDMT, {"slope": INFINITE}, "`slope` of instrument 'sdmt' must be finite"),
    (SDMT, {"drift": float("nan")}, "`drift` of instrument 'sdmt' must be finite"),
    (defaults.SCHEDULE, {"imaging_weeks": (0, 25)}, "some of `weeks`, got also 25"),
    (defaults.SCHEDULE, {"window_days": 42.0}, "keep visits apart that are 12 weeks"),
    (defaults.POPULATION, {"mix": PerPhenotype(PPMS=0.5, SPMS=0.6)}, "must sum to 1, got 1.1"),
    (defaults.POPULATION, {"mix": PerPhenotype(PPMS=-0.5, SPMS=1.5)}, "from 0 to 1"),
    (defaults.POPULATION, {"female": PerPhenotype(PPMS=1.5)}, "`female`.*got 1.5"),
    (defaults.POPULATION, {"age_sd": PerPhenotype(PPMS=-8.0)}, "`age_sd`"),
    (defaults.POPULATION, {"age_range": (70.0, 18.0)}, "youngest, oldest"),
    (
        defaults.POPULATION,
        {"correlations": (("iron_level", "iron_rte", 0.3),)},
        "Did you mean 'iron_rate'",
    ),
    (
        defaults.POPULATION,
        {"correlations": (("iron_level", "iron_rate", 1.3),)},
        "between -1 and 1",
    ),
    (
        defaults.POPULATION,
        {"correlations": (("iron_rate", "iron_rate", 0.3),)},
        "two different factors",
    ),
    (
        defaults.POPULATION,
        {"correlations": (("iron_rate", "cord_rate", 0.3), ("cord_rate", "iron_rate", 0.2))},
        "twice",
    ),
    (defaults.POPULATION, {"age_included": (50.0, 40.0)}, "`age_included`.*low, high"),
    (defaults.POPULATION, {"age_included": (80.0, 90.0)}, "must overlap its `age_range`"),
    (defaults.POPULATION, {"duration_included": (-1.0, 5.0)}, "`duration_included`"),
    (defaults.POPULATION, {"relapse_free_years": -1.0}, "`relapse_free_years`"),
]


@pytest.mark.parametrize(("part", "change", "message"), BROKEN_PARTS)
def test_impossible_parts_are_refused(part, change, message):
    with pytest.raises(DesignError, match=message):
        dataclasses.replace(part, **change)


BROKEN_COHORTS = [
    ({"n_subjects": 0}, "`n_subjects` must be at least 1, got 0"),
    ({"n_subjects": -5}, "at least 1"),
    ({"n_subjects": 10.5}, "whole number, got 10.5"),
    ({"n_subjects": True}, "whole number"),
    ({"measures": ("thalamus_m",)}, "Did you mean 'thalamus_ml'"),
    ({"imaging": (THALAMUS, THALAMUS)}, "'thalamus_ml' has 2 models"),
    (
        {"imaging": (dataclasses.replace(THALAMUS, measure="thalamus_lm"),)},
        "Unknown measure 'thalamus_lm'.*Did you mean",
    ),
    (
        {
            "population": PPMS_ONLY,
            "arms": (Arm(name="placebo", share=0.7), Arm(name="active", share=0.5)),
        },
        r"must sum to 1, got 1.2 \(placebo 0.7, active 0.5\)",
    ),
    (
        {
            "population": PPMS_ONLY,
            "arms": (Arm(name="placebo", share=0.3), Arm(name="active", share=0.5)),
        },
        r"must sum to 1, got 0.8 \(placebo 0.3, active 0.5\)",
    ),
    ({"literature": (("thalamus_rat", "common"),)}, "Did you mean 'thalamus_rate'"),
    ({"literature": (("thalamus_rate", "comon"),)}, "Did you mean 'common'"),
    ({"literature": (("thalamus_rate", "common"),) * 2}, "twice"),
    (
        {
            "imaging": (
                dataclasses.replace(
                    THALAMUS,
                    level_loadings=(("neurodegeneration_level", 0.9), ("meningeal_level", 0.5)),
                ),
            )
        },
        # 0.81 + 0.25 + 2 x 0.9 x 0.5 x 0.4
        "'thalamus_ml'.*variance 1.420",
    ),
    (
        {
            "population": PPMS_ONLY,
            "arms": (Arm(name="drug", share=0.5), Arm(name="drug", share=0.5)),
        },
        "different names",
    ),
    ({"arms": (Arm(name="placebo", share=1.0),)}, "Healthy controls are not randomised"),
    (
        {
            "population": dataclasses.replace(defaults.POPULATION, mix=PerPhenotype(CIS=1.0)),
            "imaging": (dataclasses.replace(THALAMUS, mean=PerPhenotype(HC=16.0)),),
        },
        "`imaging.thalamus_ml.mean` has no value for CIS",
    ),
    (
        {"lesions": dataclasses.replace(defaults.LESIONS, rate=PerPhenotype(PPMS=0.5))},
        "`lesions.rate` has no value for RRMS, SPMS",
    ),
    ({"measures": ("new_t2_count",)}, "'new_t2_count', which no model makes"),
    (
        {"hands": defaults.HANDS, "instruments": (SDMT,)},
        "'nhpt_s', which is none of `instruments`",
    ),
    (
        {
            "hands": defaults.HANDS,
            "instruments": (
                *defaults.INSTRUMENTS,
                dataclasses.replace(defaults.INSTRUMENTS[1], measure="nhpt_dominant_s"),
            ),
        },
        "'nhpt_dominant_s' has 2 models",
    ),
]


@pytest.mark.parametrize(("change", "message"), BROKEN_COHORTS)
def test_impossible_cohorts_are_refused(change, message):
    with pytest.raises(DesignError, match=message):
        CohortConfig(**change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"share": 1.5}, "`share` of arm 'active'.*got 1.5"),
        ({"worsening_hazard_ratio": -0.5}, "`worsening_hazard_ratio`"),
        ({"atrophy_slowing": 5.0}, "`atrophy_slowing`"),
        ({"lesion_rate_ratio": -0.1}, "`lesion_rate_ratio`"),
        ({"onset_years": -0.1}, "`onset_years`"),
        ({"pseudo_atrophy_years": 0.0}, "`pseudo_atrophy_years`"),
        ({"slowing": (("inflamation", 0.5),)}, "Did you mean 'inflammation'"),
        ({"slowing": (("iron", 5.0),)}, "slowing.iron"),
        ({"slowing": (("iron", 0.5), ("iron", 0.4))}, "names 'iron' 2 times"),
    ],
)
def test_impossible_arms_are_refused(change, message):
    with pytest.raises(DesignError, match=message):
        Arm(**{"name": "active", "share": 0.5, **change})


CONTRADICTORY = {
    ("cord_level", "cord_rate"): 0.9,
    ("cord_level", "iron_level"): 0.8,
    ("cord_rate", "iron_level"): -0.3,
}
"""Rate of the cord and iron both follow the cord's level closely: they cannot oppose each other."""


def _with_correlations(pairs):
    correlations = tuple((*names, value) for names, value in pairs.items())
    return dataclasses.replace(defaults.POPULATION, correlations=correlations)


def test_contradictory_correlations_name_a_pair_to_change():
    with pytest.raises(DesignError, match=r"'cord_level' and 'cord_rate' cannot correlate by 0\.9"):
        _with_correlations(CONTRADICTORY)


def test_following_that_advice_helps():
    matrix = _with_correlations(
        CONTRADICTORY | {("cord_level", "cord_rate"): 0.0}
    ).correlation_matrix()
    assert np.linalg.eigvalsh(matrix)[0] > 0


def test_correlation_matrix_is_symmetric():
    matrix = defaults.POPULATION.correlation_matrix()
    np.testing.assert_array_equal(matrix, matrix.T)
    assert (np.diag(matrix) == 1).all()
    for first, second, value in defaults.CORRELATIONS:
        assert matrix[FACTORS.index(first), FACTORS.index(second)] == value
    assert np.count_nonzero(np.triu(matrix, 1)) == len(defaults.CORRELATIONS)


def test_unknown_preset_suggests_the_nearest():
    with pytest.raises(DesignError, match="Did you mean 'progressive'"):
        preset("progresive")


@pytest.mark.parametrize("name", PRESETS)
def test_every_number_of_a_preset_names_its_source(name):
    sources = preset(name).sources()
    assert len(sources) > 100
    assert not (sources["source"] == "user").any()
    assert sources["parameter"].is_unique


@pytest.mark.parametrize("name", PRESETS)
def test_every_assumption_says_what_speaks_for_it(name):
    sources = preset(name).sources()
    silent = sources[(sources["source"] == "assumption") & (sources["why"] == "")]
    assert (sources["source"] == "assumption").sum() > 100
    assert list(silent["parameter"]) == []


@pytest.mark.parametrize("name", TREATMENTS)
def test_every_assumed_effect_says_what_speaks_for_it(name):
    sources = preset("review").for_study(mix={"SPMS": 1}, treatments=(name,)).sources()
    effects = sources[sources["parameter"].str.startswith(f"arms.{name}.")]
    assert len(effects) >= 1
    silent = effects[(effects["source"] == "assumption") & (effects["why"] == "")]
    assert list(silent["parameter"]) == []


@pytest.mark.parametrize("name", PRESETS)
def test_presets_rest_on_records_read_at_their_source(name):
    ids = preset(name).record_ids()
    assert len(ids) > 10
    assert all(evidence.record(i).is_anchor for i in ids)


def test_a_number_without_a_source_is_the_users():
    config = CohortConfig(disability=dataclasses.replace(defaults.DISABILITY, rater_sd=0.5))
    sources = config.sources().set_index("parameter")["source"]
    assert sources["disability.rater_sd"] == "user"
    assert sources["disability.late_rater_sd"] == "assumption"


def test_configs_are_frozen_hashable_and_equal_by_content():
    again = CohortConfig(measures=preset("progressive").measures)
    assert again == preset("progressive")
    assert hash(again) == hash(preset("progressive"))
    assert again != CohortConfig()
    with pytest.raises(dataclasses.FrozenInstanceError):
        CohortConfig().n_subjects = 5


def test_the_disagreement_on_thalamic_rates_is_a_named_preset():
    models = {name: preset(name).imaging_models for name in PRESETS[:2]}
    thalamus = {
        name: next(m for m in found if m.measure == "thalamus_ml").rate_pct
        for name, found in models.items()
    }
    common = thalamus["progressive_common_atrophy"]
    assert common["RRMS"] == common["SPMS"] == common["PPMS"] == -0.71
    assert thalamus["progressive"]["SPMS"] < thalamus["progressive"]["RRMS"]


def test_emitted_measures_keep_their_order():
    config = CohortConfig(measures=("thalamus_ml", "edss"))
    assert config.emitted == ("edss", "thalamus_ml")
    assert CohortConfig().emitted == CohortConfig().offered


def test_lesions_and_hands_are_offered_where_they_are_described():
    full = CohortConfig(lesions=defaults.LESIONS, hands=defaults.HANDS)
    assert set(full.offered) - set(CohortConfig().offered) == {*HAND_MEASURES, *LESION_MEASURES}
    trial = set(preset("ppms_trial").emitted) - set(preset("progressive").emitted)
    assert trial == {*HAND_MEASURES, "new_t2_count", "gd_lesion_count"}
    assert len(preset("progressive").emitted) == 11
    assert preset("review").emitted == preset("review").offered


def test_assumed_keeps_its_reason():
    assert assumed(1.0, "because").why == "because"
