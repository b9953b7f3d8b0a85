"""Each method on data whose law is the joint model's own: who finds the truth, and who is off.

The data come from `synthetic.generate_shared_effects`, where the log hazard per SD of true slope
(or of the true value) is a parameter.
"""

from __future__ import annotations

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from properties import assert_result_contract
from shared_cohorts import EVENT, MARKER, cohort_of, days

from pmsstats.association import associate
from pmsstats.association.spec import METHODS
from pmsstats.association.trajectories import least_squares_slopes
from pmsstats.cohort import Cohort
from pmsstats.errors import DesignError
from synthetic import SharedEffectsConfig, generate_shared_effects

MCSE = 4.0  # estimates may lie this many standard errors from the truth
BASE = SharedEffectsConfig(n_subjects=1500, association="slope", log_hazard=-1.0, dropout_rate=0.1)
PER_SD = -BASE.log_hazard * BASE.slope_sd  # per SD faster decline


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    return cohort_of(BASE, seed=1)


@pytest.fixture(scope="module")
def rows(cohort) -> pd.DataFrame:
    result = associate(
        cohort,
        "marker",
        EVENT,
        methods=tuple(METHODS),
        outcome_measure="score",
        slope_visits="until_event",
    )
    assert not result.table()["note"].any()
    return result.table().set_index("method")


def test_the_joint_model_of_the_slope_finds_the_truth(rows):
    row = rows.loc["joint_slope"]
    assert abs(row["estimate"] - PER_SD) < MCSE * row["std_error"]
    assert row["std_error"] < 0.25 * PER_SD


@pytest.mark.parametrize("method", ["two_stage_raw", "two_stage", "risk_set", "landmark"])
def test_slopes_with_error_are_attenuated_but_not_reversed(rows, method):
    assert 0 < rows.loc[method, "estimate"] < rows.loc["joint_slope", "estimate"]


def test_least_squares_slopes_are_worse_than_predicted_ones(rows):
    assert rows.loc["two_stage_raw", "estimate"] < rows.loc["two_stage", "estimate"]


def test_the_sd_of_true_slopes_is_recovered(rows):
    # a joint model's SD allows for early events of those who decline fastest
    assert abs(rows.loc["joint_slope", "sd"] / BASE.slope_sd - 1) < 0.1
    assert rows.loc["two_stage_raw", "sd"] == rows.loc["two_stage", "sd"]


def test_the_corrected_correlation_finds_the_truth(rows):
    row = rows.loc["slope_correlation_corrected"]
    truth = BASE.slope_sd / np.hypot(BASE.slope_sd, 0.5)
    assert abs(row["estimate"] - truth) < MCSE * row["std_error"]
    assert row["conf_low"] < truth < row["conf_high"]
    naive = rows.loc["slope_correlation"]
    assert 0 < naive["estimate"] < truth - MCSE * naive["std_error"]
    assert pd.isna(row["hazard_ratio"])
    assert list(rows["quantity"].unique()) == ["correlation", "log hazard ratio"]


def test_the_joint_model_of_the_value_finds_the_truth():
    config = replace(BASE, association="value", log_hazard=-0.7, error_sd=0.8)
    found = associate(
        cohort_of(config, seed=2), "marker", EVENT, methods=("time_varying", "joint_value")
    )
    table = found.table().set_index("method")
    row = table.loc["joint_value"]
    truth = 0.7 * config.level_sd
    assert abs(row["estimate"] - truth) < MCSE * row["std_error"]
    carried = table.loc["time_varying"]
    # per observed SD, which holds the error too: attenuation is seen per unit
    assert carried["estimate"] / carried["sd"] < 0.7 - MCSE * carried["std_error"] / carried["sd"]


def test_interval_censored_events_give_the_same_slope_association():
    config = replace(BASE, visit_years=(0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0), dropout_rate=0.0)
    data = generate_shared_effects(config, seed=3)
    whole = cohort_of(config, seed=3)
    seen = data.survival
    is_seen = np.isfinite(seen["upper"])
    subjects = whole.subjects.assign(
        event_day=np.where(is_seen, days(seen["upper"].where(is_seen, 0)), days(seen["lower"])),
        event_seen=is_seen.to_numpy(),
    )
    late = Cohort(subjects, whole.visits, dictionary=whole.dictionary, origin="synthetic")
    found = associate(late, "marker", EVENT, methods=("joint_slope",)).table().iloc[0]
    assert abs(found["estimate"] - PER_SD) < MCSE * found["std_error"] + 0.1 * PER_SD


def test_least_squares_slopes_by_hand():
    visits = pd.DataFrame(
        {
            "subject_id": ["a", "a", "a", "b", "c", "c"],
            "year": [0.0, 1.0, 2.0, 1.0, 1.0, 1.0],
            "marker": [1.0, 2.0, 6.0, 3.0, 1.0, 2.0],
        }
    )
    found = least_squares_slopes(visits, MARKER)
    assert found["subject_id"].tolist() == ["a"]  # one time is no slope
    assert found["slope"].tolist() == [pytest.approx(np.polyfit([0, 1, 2], [1, 2, 6], 1)[0])]
    change = replace(MARKER, kind="change")
    through_zero = least_squares_slopes(visits, change).set_index("subject_id")["slope"]
    assert through_zero["a"] == pytest.approx((0 * 1 + 1 * 2 + 2 * 6) / (0 + 1 + 4))
    assert through_zero["b"] == pytest.approx(3.0)


@pytest.fixture(scope="module")
def result(cohort):
    return associate(cohort, "marker", EVENT, methods=tuple(METHODS), outcome_measure="score")


@pytest.mark.parametrize("method", list(METHODS))
def test_every_subject_is_analysed_or_counted_once(result, method):
    mine = [e for e in result.exclusions if e.stage == f"association {method}"]
    left_out = [i for e in mine if e.unit == "subject" for i in e.subject_ids]
    assert len(left_out) == len(set(left_out))
    n = result.table().set_index("method").loc[method, "n_subjects"]
    assert n + len(left_out) == len(result.endpoint.table())


def test_the_headline_lets_one_method_of_each_kind_speak(result):
    text = result.headline()
    assert text.startswith("In synthetic data, per SD faster decline of Marker (0.")
    assert "joint model of the true slope, unadjusted, 1500 subjects" in text
    assert "joint model of the true current value" in text
    assert "correlation of true slopes, bivariate mixed model" in text
    assert "5 other method(s) gave ratios of " in text
    assert len(text) < 1000


def test_correlations_stand_as_figures_in_the_forest(result):
    frame = result.forest_frame().set_index("label")
    naive = frame.loc["Correlation of slopes (least squares)"]
    assert naive["instead"].startswith("r = 0.")
    assert np.isnan(naive["estimate"])
    axes = result.plot(ax=plt.figure().gca())
    figures = [text.get_text() for text in axes.texts if text.get_gid() == "figures"]
    assert len(figures) == len(METHODS)
    assert figures[0] == naive["instead"]
    assert "not estimable" not in figures
    plt.close("all")


def test_the_result_keeps_its_contract(result):
    assert_result_contract(result)
    plain = result.to_dict()
    assert set(plain["joint_models"]) == {"joint_slope", "joint_value"}
    assert plain["pair"]["schema"].startswith("pair_result/")
    assert plain["outcome_measure"] == "score"


def test_covariates_and_strata_reach_the_joint_models(cohort):
    found = associate(
        cohort, "marker", EVENT, methods=("joint_value", "landmark"), covariates=("sex",),
        strata=("arm",),
    )  # fmt: skip
    spec = found.joint_models["joint_value"].spec
    assert spec.strata == "outcome_stratum"
    terms = set(found.joint_models["joint_value"].table()["term"])
    assert "sex[T.M]" in {term.replace("`", "") for term in terms}
    assert list(found.models["landmark"].table()["term"]) == ["slope_per_sd", "sex[T.M]"]
    assert len(found.models["landmark"].strata) == 2


def test_events_between_visits_are_handed_over(cohort):
    rule = {"measure": "score", "change": 1.0, "direction": "increase"}
    dated = associate(cohort, "marker", rule, methods=("joint_value",))
    between = associate(cohort, "marker", rule, methods=("joint_value",), event_times="interval")
    spec = between.joint_models["joint_value"].spec
    assert (spec.lower, spec.upper) == ("outcome_left", "outcome_right")
    first, second = (r.table().iloc[0] for r in (dated, between))
    assert first["n_events"] == second["n_events"]
    assert first["estimate"] != second["estimate"]
    assert abs(first["estimate"] - second["estimate"]) < 2 * first["std_error"]  # the same events


def test_landmarks_can_be_asked_for(cohort):
    early, both = (
        associate(cohort, "marker", EVENT, methods=("landmark",), landmarks=marks)
        for marks in ((1.0,), (1.0, 2.0))
    )
    assert early.models["landmark"].n_obs == early.table().loc[0, "n_subjects"]
    assert both.models["landmark"].n_obs > both.table().loc[0, "n_subjects"]  # stacked
    assert "before 1 and 2 year(s)" in both.caveats[0]


def test_without_a_measure_behind_the_outcome_there_is_no_correlation(cohort):
    methods = ("slope_correlation", "slope_correlation_corrected", "two_stage")
    table = associate(cohort, "marker", EVENT, methods=methods).table()
    assert table["note"].str.contains("name one in `outcome_measure`").tolist() == [
        True, True, False,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"outcome_measure": "marker"}, "`outcome_measure` is 'marker', the measure itself"),
        ({"landmarks": ()}, "`landmarks` must be one or more years"),
        ({"landmarks": (-1.0,)}, "`landmarks` must be one or more years"),
        ({"event_times": "exact"}, "`event_times` must be one of observed, interval"),
        ({"methods": ("joint",)}, "`methods` must be one of"),
    ],
)
def test_bad_requests_are_refused(cohort, options, message):
    with pytest.raises(DesignError, match=message):
        associate(cohort, "marker", EVENT, **options)


def test_a_stratum_without_events_leaves_the_joint_model_and_is_counted(cohort):
    quiet = cohort.subjects["subject_id"].str[-1].isin(["7", "8"])
    site = np.where(quiet, "quiet", "busy")
    seen = cohort.subjects["event_seen"] & ~quiet
    subjects = cohort.subjects.assign(site=site, event_seen=seen)
    whole = Cohort(subjects, cohort.visits, dictionary=cohort.dictionary, origin="synthetic")
    found = associate(whole, "marker", EVENT, methods=("joint_value",), strata="site")
    counted = {e.reason: e.n for e in found.exclusions if e.unit == "subject"}
    assert counted["fewer than 2 events in the stratum"] == int(quiet.sum())
    assert found.table().loc[0, "n_subjects"] == int((~quiet).sum())
