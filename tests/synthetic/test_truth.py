"""The truth and its files. Witnesses: the tables themselves, and parameters worked out by hand."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from pmsstats.cohort.schema import default_dictionary
from synthetic import CohortConfig, generate_cohort, preset, true_parameters, write_truth

pytestmark = pytest.mark.filterwarnings("ignore::pmsstats.errors.EvidenceUncheckedWarning")


@pytest.fixture(scope="module")
def cohort():
    return generate_cohort("progressive", 17, n_subjects=60)


def test_parameters_of_the_thalamus_by_hand():
    """1.1 % of 13.0 ml a year; 0.7 x 0.8 x 0.3; 0.75 x 0.8."""
    found = true_parameters(CohortConfig())["measures"]["thalamus_ml"]
    assert found["slope_mean"]["SPMS"] == pytest.approx(-0.143)
    assert found["slope_sd"]["SPMS"] == pytest.approx(0.104)
    assert found["baseline_mean"]["SPMS"] == 13.0
    assert found["baseline_slope_correlation"] == pytest.approx(0.168)
    assert found["initial_log_hazard_per_sd_slope"] == pytest.approx(0.6)


def test_parameters_concern_only_what_is_emitted():
    config = CohortConfig(measures=("edss", "pbvc_pct"))
    parameters = true_parameters(config)
    assert list(parameters["measures"]) == ["pbvc_pct"]
    assert parameters["measures"]["pbvc_pct"]["slope_mean"]["PPMS"] == -0.46


def test_parameters_of_lesions_and_arms():
    found = true_parameters(preset("ppms_trial"))
    assert found["lesions"] == {"rate_mean": {"PPMS": 0.5}, "dispersion": 3.0}
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
    assert truth["schema"] == "synthetic_truth/1"
    assert truth["origin"] == "synthetic"
    assert truth["seed"] == [17]
    assert truth["spec"]["n_subjects"] == 60
    assert truth["spec"]["imaging"][0]["rate_pct"]["HC"] == -0.28
    sources = {row["parameter"]: row["source"] for row in truth["sources"]}
    assert sources["imaging.thalamus_ml.rate_pct.HC"] == "azevedo2018_thalamus_rate_hc"
    assert truth["parameters"]["log_hazard_per_sd_rate"] == 0.75


def test_latent_tables_survive_parquet(cohort, tmp_path):
    paths = write_truth(cohort, tmp_path, format="parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(paths[1]), cohort.truth.subjects)
    pd.testing.assert_frame_equal(pd.read_parquet(paths[2]), cohort.truth.visits)


def test_latent_columns_are_no_measures(cohort):
    """An analysis that meets them by mistake finds no measure of that name."""
    latent = set(cohort.truth.subjects) | set(cohort.truth.visits)
    assert not latent & set(default_dictionary())
