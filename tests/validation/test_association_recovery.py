"""The check of association methods: on data of the joint model's own law, with known parameters."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from properties import assert_result_contract
from shared_cohorts import EVENT, generate

from pmsstats.errors import DesignError
from pmsstats.validation import check_association
from pmsstats.validation.association_recovery_result import RECOVERY_COLUMNS
from synthetic import SharedEffectsConfig

MCSE = 4.0
CONFIG = SharedEffectsConfig(association="slope", log_hazard=-1.0, dropout_rate=0.1)
METHODS = ("slope_correlation", "two_stage_raw", "two_stage", "time_varying")
TRUTH = -CONFIG.log_hazard * CONFIG.slope_sd


def run(**options):
    asked = {"methods": METHODS, "n_subjects": 150, "n_replicates": 12, "n_truth": 4000} | options
    return check_association(generate, CONFIG, "marker", EVENT, 1, **asked)


@pytest.fixture(scope="module")
def result():
    return run()


def test_the_truth_is_that_of_the_law(result):
    rows = result.table().set_index("method")
    for method in ("two_stage_raw", "two_stage"):
        row = rows.loc[method]
        assert abs(row["truth"] - TRUTH) < MCSE * row["truth_mcse"]
        assert row["truth_mcse"] < 0.1 * TRUTH


def test_the_truth_of_the_value_is_found_by_the_oracle():
    from dataclasses import replace

    config = replace(CONFIG, association="value", log_hazard=-0.6)
    found = check_association(
        generate, config, "marker", EVENT, 2, methods=("time_varying",), n_subjects=120,
        n_replicates=10, n_truth=4000,
    )  # fmt: skip
    row = found.table().iloc[0]
    assert abs(row["truth"] - 0.6 * config.level_sd) < MCSE * row["truth_mcse"]


def test_crude_slopes_are_biased_towards_no_association(result):
    rows = result.table().set_index("method")
    assert rows.loc["two_stage_raw", "bias"] < -MCSE * rows.loc["two_stage_raw", "bias_mcse"]
    assert rows.loc["two_stage_raw", "coverage"] < 0.8


def test_columns_are_worked_out_from_the_estimates(result):
    table = result.table()
    assert tuple(table.columns) == RECOVERY_COLUMNS
    mine = result.estimates[result.estimates["method"] == "two_stage"]
    row = table.set_index("method").loc["two_stage"]
    assert len(mine) == row["n_replicates"] == 12
    assert row["mean_estimate"] == pytest.approx(np.mean(mine["estimate"]))
    assert row["empirical_se"] == pytest.approx(np.std(mine["estimate"], ddof=1))
    assert row["model_se"] == pytest.approx(np.sqrt(np.mean(mine["std_error"] ** 2)))
    held = (mine["conf_low"] <= row["truth"]) & (row["truth"] <= mine["conf_high"])
    assert row["coverage"] == pytest.approx(held.mean())
    assert row["coverage_mcse"] == pytest.approx(np.sqrt(held.mean() * (1 - held.mean()) / 12))
    own = np.std(mine["estimate"], ddof=1) / np.sqrt(12)
    assert row["bias_mcse"] == pytest.approx(np.hypot(own, row["truth_mcse"]))


def test_replicates_are_cohorts_of_their_own(result):
    assert result.estimates.groupby("method")["estimate"].nunique()["two_stage"] == 12


def test_without_a_true_slope_of_the_outcome_there_is_no_truth(result):
    # the recorded outcome has no measure at all, so the correlation fails, and is counted
    row = result.table().set_index("method").loc["slope_correlation"]
    assert row["n_failed"] == 12
    assert pd.isna(row["truth"])


def test_processes_change_nothing(result):
    pd.testing.assert_frame_equal(run(n_jobs=2).estimates, result.estimates)


def test_a_cohort_in_which_nothing_is_estimable_counts_as_failed():
    result = run(min_events=10_000, n_replicates=10)
    assert (result.table()["n_failed"] == 10).all()
    assert "no method gave a hazard ratio" in result.headline()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_replicates": 5}, "`n_replicates` must be a whole number of at least 10"),
        ({"n_truth": 50}, "`n_truth` must be"),
        ({"methods": ("two_stages",)}, "`methods` must be one of"),
    ],
)
def test_bad_requests_are_refused(options, message):
    with pytest.raises(DesignError, match=message):
        run(**options)


def test_a_measure_without_true_courses_is_refused():
    with pytest.raises(DesignError, match="no column 'score_slope' or 'score_baseline'"):
        check_association(generate, CONFIG, "score", EVENT, 1, n_subjects=100, n_truth=1000)


def test_result_shows_itself(result):
    assert_result_contract(result)
    assert result.headline().startswith(
        "12 synthetic cohorts of 150 subjects, Marker and worsening"
    )
    ax = result.plot(ax=plt.figure().gca())
    assert ax.get_yticklabels()[0].get_text().startswith("Two-stage Cox")
    truths = [line for line in ax.get_lines() if line.get_gid() == "truth"]
    assert len(truths) == 3  # correlations have another scale
    assert truths[0].get_xdata()[0] == pytest.approx(
        np.exp(result.table().set_index("method").loc["two_stage_raw", "truth"])
    )
    plt.close("all")
