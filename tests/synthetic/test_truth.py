"""The truth and its files. Witnesses: the tables themselves, and parameters worked out by hand."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from pmsstats.cohort.schema import default_dictionary
from pmsstats.errors import DesignError
from synthetic import (
    CohortConfig,
    ImagingModel,
    PerPhenotype,
    defaults,
    generate_cohort,
    generate_tables,
    level_correlation,
    preset,
    slope_correlation,
    true_parameters,
    write_truth,
)

N = 20_000
MONTE_CARLO_ERRORS = 4

pytestmark = pytest.mark.filterwarnings("ignore::pmsstats.errors.EvidenceUncheckedWarning")


@pytest.fixture(scope="module")
def cohort():
    return generate_cohort("progressive", 17, n_subjects=60)


THALAMUS = ImagingModel(
    measure="thalamus_ml",
    mean=PerPhenotype(SPMS=13.0),
    sd=1.5,
    rate_pct=PerPhenotype(SPMS=-1.1),
    rate_sd_pct=0.8,
    error_sd=0.1,
    level_loadings=(("neurodegeneration_level", 0.7), ("age", 0.3)),
    rate_loadings=(("neurodegeneration_rate", 0.8),),
)
CAUDATE = dataclasses.replace(
    THALAMUS, measure="caudate_ml",
    level_loadings=(("iron_level", 0.5), ("age", 0.2)), rate_loadings=(("cord_rate", 0.5),),
)  # fmt: skip
SMALL = CohortConfig(
    imaging=(THALAMUS, CAUDATE),
    population=dataclasses.replace(
        defaults.POPULATION,
        mix=PerPhenotype(SPMS=1.0),
        correlations=(
            ("neurodegeneration_level", "neurodegeneration_rate", 0.3),
            ("neurodegeneration_level", "iron_level", 0.4),
            ("neurodegeneration_rate", "cord_rate", 0.25),
        ),
    ),
    disability=dataclasses.replace(
        defaults.DISABILITY,
        loadings=(("neurodegeneration_rate", 0.75), ("cord_rate", 0.2), ("age", 0.1)),
    ),
)


def test_parameters_of_the_thalamus_by_hand():
    """1.1 % of 13.0 ml; 0.7 x 0.8 x 0.3; 0.8 (0.75 + 0.25 x 0.2); 0.7 x 0.3 x 0.75 + 0.03."""
    found = true_parameters(SMALL)["measures"]["thalamus_ml"]
    assert found["slope_mean"]["SPMS"] == pytest.approx(-0.143)
    assert found["slope_sd"]["SPMS"] == pytest.approx(0.104)
    assert found["baseline_mean"]["SPMS"] == 13.0
    assert found["baseline_slope_correlation"] == pytest.approx(0.168)
    assert found["initial_log_hazard_per_sd_slope"] == pytest.approx(0.64)
    assert found["initial_log_hazard_per_sd_level"] == pytest.approx(0.1875)


def test_correlations_of_two_measures_by_hand():
    """0.7 x 0.4 x 0.5 and age 0.3 x 0.2; 0.8 x 0.25 x 0.5."""
    assert level_correlation(SMALL, "thalamus_ml", "caudate_ml") == pytest.approx(0.2)
    assert slope_correlation(SMALL, "thalamus_ml", "caudate_ml") == pytest.approx(0.1)


def test_a_shared_own_part_correlates_too():
    """Own parts of variance 1 - 0.64 and 1 - 0.25: 0.1 + 0.6 sqrt(0.75)."""
    shared = [dataclasses.replace(model, process="grey") for model in SMALL.imaging]
    config = dataclasses.replace(SMALL, imaging=tuple(shared))
    expected = 0.1 + 0.6 * np.sqrt(0.75)
    assert slope_correlation(config, "thalamus_ml", "caudate_ml") == pytest.approx(expected)


def test_unknown_measures_suggest_the_nearest():
    with pytest.raises(DesignError, match="Did you mean 'thalamus_ml'"):
        level_correlation(SMALL, "thalamus_m", "caudate_ml")


CHECKED = (
    "brain_ml", "thalamus_ml", "cord_area_c2c3_mm2", "nawm_mtr_pu", "t2_lesion_ml",
    "cortical_thickness_mm", "thalamus_susceptibility_ppb", "leptomeningeal_presence",
)  # fmt: skip


@pytest.fixture(scope="module")
def large():
    """Scores of a large cohort in one phenotype: standardised true baselines and slopes."""
    config = preset("review").for_study(
        n_subjects=N, mix={"SPMS": 1}, weeks=(0,), measures=(*CHECKED, "edss")
    )
    return config, generate_tables(config, 5).truth


def _worse(measure):
    return {"lower": -1.0}.get(default_dictionary()[measure].worsening, 1.0)


@pytest.mark.parametrize("measure", CHECKED)
def test_moments_of_a_large_cohort_are_the_parameters(large, measure):
    _, truth = large
    wanted = truth.parameters["measures"][measure]
    columns = [truth.subjects[f"{measure}_{what}"] for what in ("baseline", "slope")]
    for values, what in zip(columns, ("baseline", "slope"), strict=True):
        sd = wanted[f"{what}_sd"]
        sd = sd["SPMS"] if what == "slope" else sd
        mean = wanted[f"{what}_mean"]["SPMS"]
        assert abs(values.mean() - mean) < MONTE_CARLO_ERRORS * sd / np.sqrt(N)
        assert abs(values.std() - sd) < MONTE_CARLO_ERRORS * sd / np.sqrt(2 * N)
    found = np.corrcoef(*columns)[0, 1]
    gap = np.arctanh(found) - np.arctanh(wanted["baseline_slope_correlation"])
    assert abs(gap) < MONTE_CARLO_ERRORS / np.sqrt(N - 3)


@pytest.mark.parametrize("first", CHECKED)
@pytest.mark.parametrize("second", CHECKED)
def test_correlations_in_a_large_cohort_are_those_worked_out(large, first, second):
    config, truth = large
    for what, worked_out in (("baseline", level_correlation), ("slope", slope_correlation)):
        one = _worse(first) * truth.subjects[f"{first}_{what}"]
        other = _worse(second) * truth.subjects[f"{second}_{what}"]
        expected = min(worked_out(config, first, second), 1 - 1e-12)
        found = min(np.corrcoef(one, other)[0, 1], 1 - 1e-12)
        gap = np.arctanh(found) - np.arctanh(expected)
        assert abs(gap) < MONTE_CARLO_ERRORS / np.sqrt(N - 3) or found > 1 - 1e-9


@pytest.mark.parametrize("measure", CHECKED)
@pytest.mark.parametrize("what", ["baseline", "slope"])
def test_log_hazards_per_sd_are_those_of_the_hazards(large, measure, what):
    """Least squares of the log hazard on the score: normal, so it has the same slope."""
    _, truth = large
    wanted = truth.parameters["measures"][measure]
    sd = wanted["baseline_sd"] if what == "baseline" else wanted["slope_sd"]["SPMS"]
    score = _worse(measure) * truth.subjects[f"{measure}_{what}"] / sd
    baseline = truth.subjects["baseline_edss"]
    hazard = np.log(truth.subjects["worsening_hazard"])
    hazard = hazard - np.log(stage_multiplier(baseline))
    slope, *_ = np.polyfit(score, hazard, 1)
    error = hazard.std() / np.sqrt(N)
    key = "level" if what == "baseline" else "slope"
    gap = slope - wanted[f"initial_log_hazard_per_sd_{key}"]
    assert abs(gap) < MONTE_CARLO_ERRORS * error


def stage_multiplier(edss):
    """Look up the multiplier of every stage in the description."""
    starts, multipliers = zip(*defaults.DISABILITY.stages, strict=True)
    return np.array(multipliers)[np.searchsorted(starts, edss, side="right") - 1]


def test_parameters_concern_only_what_is_emitted():
    config = CohortConfig(measures=("edss", "pbvc_pct"))
    parameters = true_parameters(config)
    assert list(parameters["measures"]) == ["pbvc_pct"]
    rates = next(m for m in defaults.IMAGING if m.measure == "pbvc_pct").rate_pct
    assert parameters["measures"]["pbvc_pct"]["slope_mean"]["PPMS"] == rates["PPMS"]


def test_parameters_of_lesions_and_arms():
    found = true_parameters(preset("ppms_trial"))
    assert found["lesions"]["rate_mean"] == {"PPMS": float(defaults.LESIONS.rate["PPMS"])}
    assert found["lesions"]["dispersion"] == float(defaults.LESIONS.dispersion)
    slopes = [found["arms"][arm]["slope_mean"]["thalamus_ml"]["PPMS"] for arm in found["arms"]]
    assert slopes[1] == pytest.approx(0.7 * slopes[0])
    assert found["arms"]["active"]["lesion_rate_ratio"] == 0.3
    assert found["arms"]["placebo"]["lesion_rate_ratio"] == 1.0
    assert true_parameters(CohortConfig())["lesions"] == {}


def test_truth_tells_lesion_rates_and_hands_where_they_are_described(cohort):
    latent = {"lesion_rate", "hand_log_ratio", "hand_log_ratio_slope"}
    trial = generate_cohort("ppms_trial", 17, n_subjects=60)
    assert latent <= set(trial.truth.subjects)
    assert not latent & set(cohort.truth.subjects)
    assert not latent & set(default_dictionary())


def test_truth_covers_all_subjects_and_planned_visits(cohort):
    truth = cohort.truth
    assert list(truth.subjects["subject_id"]) == list(cohort.subjects["subject_id"])
    assert len(truth.visits) == 60 * len(truth.config.schedule.weeks)
    assert truth.visits["attended"].sum() == cohort.n_visits
    assert truth.seed == (17,)


def test_files_are_complete_and_the_same_bytes_again(cohort, tmp_path):
    again = generate_cohort("progressive", 17, n_subjects=60)
    first = write_truth(cohort, tmp_path / "one")
    second = write_truth(again, tmp_path / "two")
    assert [p.name for p in first] == ["truth.json", "truth_subjects.csv", "truth_visits.csv"]
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]


def test_truth_json_names_description_and_sources(cohort, tmp_path):
    path, *_ = write_truth(cohort, tmp_path)
    text = path.read_text(encoding="utf-8")
    truth = json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert truth["schema"] == "synthetic_truth/2"
    assert truth["origin"] == "synthetic"
    assert truth["seed"] == [17]
    assert truth["spec"]["n_subjects"] == 60
    sources = {row["parameter"]: row["source"] for row in truth["sources"]}
    assert sources["imaging.thalamus_ml.rate_pct.HC"] == "azevedo2018_thalamus_rate_hc"
    hazards = {name: float(value) for name, value in defaults.DISABILITY.loadings}
    assert truth["parameters"]["log_hazard_per_sd"] == hazards
    assert truth["parameters"]["literature"]["thalamus_rate"] == "by_phenotype"


def test_latent_tables_survive_parquet(cohort, tmp_path):
    paths = write_truth(cohort, tmp_path, format="parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(paths[1]), cohort.truth.subjects)
    pd.testing.assert_frame_equal(pd.read_parquet(paths[2]), cohort.truth.visits)


def test_latent_columns_are_no_measures(cohort):
    """An analysis that meets them by mistake finds no measure of that name."""
    latent = set(cohort.truth.subjects) | set(cohort.truth.visits)
    assert not latent & set(default_dictionary())
