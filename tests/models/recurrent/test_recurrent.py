"""Recurrent events: R as witness, hand-worked rows and curves, truth, bad input."""

from __future__ import annotations

import math
import re

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from properties import assert_covariance_matrix, assert_result_contract
from reference_cases import load_case

from pmsstats.errors import ConvergenceError, DesignError
from pmsstats.models.recurrent.intervals import event_order, recurrent_intervals
from pmsstats.models.recurrent.mean_function import MeanFunctionSpec, estimate_mean_function
from pmsstats.models.recurrent.recurrent import RecurrentSpec, fit_recurrent

SUMS = 1e-10  # relative: the same sums in another order
COVARIATES = "active + age_years"


@pytest.mark.parametrize("method", ["lwyy", "pwp_total", "pwp_gap"])
def test_agrees_with_r(method: str) -> None:
    """Witness: coxph with a cluster, and strata of the event number (stored)."""
    case = load_case("recurrent_gamma")
    fit = fit_recurrent(case.input, RecurrentSpec(covariates=COVARIATES, method=method))
    table = fit.table().set_index("term")
    for column in ("estimate", "std_error_model", "std_error_robust"):
        for row in case.rows(f"{method}.{column}").itertuples():
            assert table.loc[row.term, column] == pytest.approx(row.value, rel=row.rtol)
    np.testing.assert_array_equal(table["std_error"], table["std_error_robust"])


def test_andersen_gill_differs_from_lwyy_in_its_error_only() -> None:
    data = load_case("recurrent_gamma").input
    ag, lwyy = (
        fit_recurrent(data, RecurrentSpec(covariates=COVARIATES, method=m)).table()
        for m in ("andersen_gill", "lwyy")
    )
    np.testing.assert_array_equal(ag["estimate"], lwyy["estimate"])
    np.testing.assert_allclose(ag["std_error"], lwyy["std_error_model"], rtol=1e-12)
    assert (ag["std_error"] < lwyy["std_error"]).all()


def test_mean_function_agrees_with_r() -> None:
    """Witness: cumulative hazard of survfit by id, with its infinitesimal jackknife (stored)."""
    case = load_case("recurrent_gamma")
    curves = estimate_mean_function(case.input, MeanFunctionSpec(by="active")).curves()
    for quantity in ("mean_events", "std_error"):
        for row in case.rows(quantity).itertuples():
            group, time = row.term.split("@")
            curve = curves[(curves["group"] == group) & (curves["duration"] <= float(time))]
            assert curve[quantity].iloc[-1] == pytest.approx(row.value, rel=row.rtol)


ROWS = pd.DataFrame(
    {
        "subject_id": ["A", "A", "A", "B", "B", "C"],
        "start": [0, 10, 30, 0, 20, 0],
        "stop": [10, 30, 40, 20, 50, 25],
        "event": [1, 1, 0, 1, 0, 0],
        "arm": list("xxxyyx"),
    }
)


def test_mean_function_by_hand() -> None:
    """Events at 10 (3 at risk), 20 (3), 30 (2). At 30: mean 1/3 + 1/3 + 1/2 = 7/6.

    Deviations to 20: A: 1/3 - 2/9, B: 1/3 - 2/9, C: -2/9; squares sum to (1 + 1 + 4) / 81.
    To 30: A: 1/3 + 1/2 - 2/9 - 1/4, B: 1/3 - 2/9 - 1/4, C: -2/9.
    """
    curve = estimate_mean_function(ROWS).curves()
    assert curve["duration"].tolist() == [0, 10, 20, 30]
    np.testing.assert_allclose(curve["mean_events"], [0, 1 / 3, 2 / 3, 7 / 6], rtol=SUMS)
    assert curve["n_at_risk"].tolist() == [3, 3, 3, 2]
    assert curve["std_error"].iloc[2] ** 2 == pytest.approx(6 / 81, rel=SUMS)
    parts = (1 / 3 + 1 / 2 - 2 / 9 - 1 / 4, 1 / 3 - 2 / 9 - 1 / 4, -2 / 9)
    assert curve["std_error"].iloc[3] ** 2 == pytest.approx(sum(p**2 for p in parts), rel=SUMS)


def test_blocks_of_subjects_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    from pmsstats.models.recurrent import mean_function

    data = load_case("recurrent_gamma").input
    whole = estimate_mean_function(data).curves()
    monkeypatch.setattr(mean_function, "_CELLS_PER_BLOCK", 500)
    pd.testing.assert_frame_equal(estimate_mean_function(data).curves(), whole)


def test_intervals_by_hand() -> None:
    """S1 has events at 90 and at the very end; S2 none; columns of follow-up are carried."""
    events = pd.DataFrame({"subject_id": ["S1", "S1"], "day": [365, 90]})
    follow_up = pd.DataFrame(
        {"subject_id": ["S2", "S1"], "duration": [100, 365], "arm": ["b", "a"]}
    )
    rows = recurrent_intervals(events, follow_up)
    assert rows["subject_id"].tolist() == ["S2", "S1", "S1"]
    assert rows["start"].tolist() == [0, 0, 90]
    assert rows["stop"].tolist() == [100, 90, 365]
    assert rows["event"].tolist() == [False, True, True]
    assert rows["event_number"].tolist() == [1, 1, 2]
    assert rows["arm"].tolist() == ["b", "a", "a"]


def test_order_counts_earlier_events() -> None:
    subject, start = np.array(["A", "A", "B", "A"]), np.array([20, 0, 0, 10])
    event = np.array([False, True, True, False])
    assert event_order(subject, start, event).tolist() == [2, 1, 1, 2]


def test_episodes_of_an_endpoint_can_be_handed_over() -> None:
    """Two worsenings of one patient and none of another, as derive_progression tabulates them."""
    from pmsstats.cohort import Cohort
    from pmsstats.endpoints import derive_progression

    visits = pd.DataFrame(
        {
            "subject_id": ["S1"] * 6 + ["S2"] * 6,
            "day": [0, 84, 168, 252, 336, 420] * 2,
            "edss": [3.0, 4.0, 4.0, 5.0, 5.0, 5.0] + [4.0] * 6,
        }
    )
    cohort = Cohort(pd.DataFrame({"subject_id": ["S1", "S2"]}), visits)
    episodes = derive_progression(cohort, "cdp12").episodes
    follow_up = visits.groupby("subject_id", as_index=False)["day"].max()
    rows = recurrent_intervals(
        episodes[episodes["change"] == "worsening"], follow_up, time="day_onset", end="day"
    )
    assert rows["event"].sum() == (episodes["change"] == "worsening").sum() >= 1
    assert rows.groupby("subject_id")["stop"].max().tolist() == [420, 420]
    assert estimate_mean_function(rows).table()["n_subjects"].item() == 2


def simulate(rng: np.random.Generator, n: int, log_ratio: float) -> pd.DataFrame:
    """Draw counts from a gamma frailty: events of a subject depend on each other."""
    active = rng.integers(0, 2, n)
    end = rng.uniform(1, 4, n)
    rate = 0.8 * np.exp(log_ratio * active)
    count = rng.poisson(rng.gamma(1.5, 1 / 1.5, n) * rate * end)
    owner = np.repeat(np.arange(n), count)
    events = pd.DataFrame({"subject_id": owner, "time": rng.uniform(0, end[owner])})
    follow_up = pd.DataFrame({"subject_id": np.arange(n), "end": end, "active": active})
    return recurrent_intervals(events, follow_up, time="time", end="end")


@pytest.mark.slow
def test_truth_is_recovered_and_only_robust_errors_cover_it() -> None:
    """Witness: the simulation's own truth: ratio of means -0.5 (log), and mean 0.8 t without."""
    rng, n_replicates, truth = np.random.default_rng(2023), 150, -0.5
    tables, means = [], []
    for _ in range(n_replicates):
        rows = simulate(rng, 150, truth)
        tables.append(fit_recurrent(rows, RecurrentSpec(covariates="active")).table().iloc[0])
        curve = estimate_mean_function(rows, MeanFunctionSpec(by="active")).curves()
        means.append(curve[(curve["group"] == "0") & (curve["duration"] <= 2)].iloc[-1])
    table, mean = pd.DataFrame(tables), pd.DataFrame(means)
    estimate = table["estimate"].astype(float)
    assert abs(estimate.mean() - truth) < 4 * estimate.std() / math.sqrt(n_replicates)
    margin = 4 * math.sqrt(0.95 * 0.05 / n_replicates)
    error = (estimate - truth).abs()
    assert abs((error < 1.96 * table["std_error_robust"]).mean() - 0.95) < margin
    assert (error < 1.96 * table["std_error_model"]).mean() < 0.95 - margin
    assert (
        abs(mean["mean_events"].mean() - 1.6)
        < 4 * mean["mean_events"].std() / math.sqrt(n_replicates) + 0.02
    )
    covered = ((mean["conf_low"] <= 1.6) & (mean["conf_high"] >= 1.6)).mean()
    assert abs(covered - 0.95) < margin


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32 - 1))
def test_splitting_rows_and_their_order_change_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    data = simulate(rng, 40, -0.3)
    cut = data["start"] + rng.uniform(0.2, 0.8, len(data)) * (data["stop"] - data["start"])
    split = pd.concat([data.assign(stop=cut, event=False), data.assign(start=cut)])
    split = split.sample(frac=1, random_state=seed % 1000)
    columns = ["estimate", "std_error_model", "std_error_robust"]
    for method in ("lwyy", "pwp_gap"):
        a, b = (
            fit_recurrent(frame, RecurrentSpec(covariates="active", method=method)).table()[columns]
            for frame in (data, split)
        )
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-8)
    curves = [estimate_mean_function(frame).curves() for frame in (data, split)]
    np.testing.assert_allclose(
        *(c[["mean_events", "std_error"]].to_numpy() for c in curves), rtol=1e-9, atol=1e-12
    )


BAD = [
    (ROWS.assign(event=0), DesignError, "No event among"),
    (ROWS.assign(stop=0), DesignError, "`stop` not after `start`"),
    (ROWS.assign(start=0), DesignError, "Overlapping intervals"),
    (ROWS.drop(columns="subject_id"), DesignError, "`subject` names"),
    (ROWS.assign(arm="x"), DesignError, "same value in all rows"),
    (ROWS.assign(arm=ROWS["event"] * 1.0), ConvergenceError, "separation"),
]


@pytest.mark.parametrize(("data", "error", "message"), BAD)
def test_bad_input_is_refused(data, error, message) -> None:
    with pytest.raises(error, match=re.escape(message)):
        fit_recurrent(data, RecurrentSpec(covariates="arm"))


@pytest.mark.parametrize("data", [ROWS.assign(event=0), ROWS.assign(start=0)])
def test_bad_curves_are_refused(data: pd.DataFrame) -> None:
    with pytest.raises(DesignError):
        estimate_mean_function(data)


@pytest.mark.parametrize("options", [{"method": "wlw"}, {"covariates": ""}, {"conf_level": 2}])
def test_contradictory_specs_are_refused(options: dict) -> None:
    with pytest.raises(DesignError):
        RecurrentSpec(**({"covariates": "arm"} | options))
    with pytest.raises(DesignError):
        MeanFunctionSpec(duration_unit="month")


EVENTS = pd.DataFrame({"subject_id": ["S1", "S1"], "day": [90, 200]})
FOLLOW_UP = pd.DataFrame({"subject_id": ["S1", "S2"], "duration": [365, 100]})


@pytest.mark.parametrize(
    ("events", "follow_up", "message"),
    [
        (EVENTS.assign(day=90), FOLLOW_UP, "Two events at the same `day`"),
        (EVENTS.assign(day=[0, 9]), FOLLOW_UP, "`day` not after 0"),
        (EVENTS.assign(day=[9, None]), FOLLOW_UP, "No `day`"),
        (EVENTS.assign(day=[9, 400]), FOLLOW_UP, "`day` after `duration`"),
        (EVENTS.assign(subject_id="S9"), FOLLOW_UP, "Give these subjects a row"),
        (EVENTS, pd.concat([FOLLOW_UP, FOLLOW_UP]), "More than one row of `follow_up`"),
        (EVENTS, FOLLOW_UP.assign(duration=0), "`duration` not after 0"),
        (EVENTS, FOLLOW_UP.assign(duration=[365, None]), "No `duration`"),
    ],
)
def test_bad_lists_of_events_are_refused(events, follow_up, message) -> None:
    with pytest.raises(DesignError, match=re.escape(message)):
        recurrent_intervals(events, follow_up)


def test_missing_groups_and_events_are_counted() -> None:
    rows = ROWS.assign(arm=["x", "x", "x", "y", "y", None])
    fit = estimate_mean_function(rows, MeanFunctionSpec(by="arm"))
    assert [(e.reason, e.subject_ids) for e in fit.exclusions] == [("no arm", ("C",))]
    holed = fit_recurrent(ROWS.assign(event=[1, 1, 0, 1, 0, None]), RecurrentSpec(covariates="arm"))
    assert [(e.reason, e.n) for e in holed.exclusions] == [("event missing", 1)]


@pytest.mark.parametrize("unit", ["day", "year"])
def test_results_honour_the_contract(unit: str) -> None:
    data = load_case("recurrent_gamma").input
    before = data.copy()
    fit = fit_recurrent(data, RecurrentSpec(covariates=COVARIATES), origin="synthetic")
    assert_result_contract(fit)
    assert_covariance_matrix(fit.covariance)
    curve = estimate_mean_function(data, MeanFunctionSpec(by="active", duration_unit=unit))
    assert_result_contract(curve)
    pd.testing.assert_frame_equal(data, before)
    plt.close("all")


def test_gaps_of_the_same_length_tie_whatever_the_rounding():
    """0.87 - 0.50 and 0.37 are one gap: times in years may not break ties that days have."""
    rng = np.random.default_rng(3)
    rows = []
    for i in range(60):
        marks = np.sort(rng.choice(np.arange(1, 100), size=3, replace=False))
        x = rng.normal()
        rows += [
            {"subject_id": f"S{i}", "start": a, "stop": b, "event": k < 2, "x": x}
            for k, (a, b) in enumerate(zip([0, *marks[:-1]], marks, strict=True))
        ]
    whole = pd.DataFrame(rows)
    hundredths = whole.assign(start=whole["start"] / 100, stop=whole["stop"] / 100)
    spec = RecurrentSpec(covariates="x", method="pwp_gap")
    one, other = (
        fit_recurrent(data, spec).table().loc[0, "estimate"] for data in (whole, hundredths)
    )
    assert one == pytest.approx(other, abs=1e-9)


def test_a_group_without_events_has_a_flat_mean_function():
    data = pd.DataFrame(
        {
            "subject_id": ["a", "b", "c", "d"],
            "start": 0.0,
            "stop": [1.0, 2.0, 1.5, 2.5],
            "event": [True, True, False, False],
            "arm": ["x", "x", "y", "y"],
        }
    )
    curves = estimate_mean_function(data, MeanFunctionSpec(by="arm")).curves()
    quiet = curves[curves["group"] == "y"]
    assert (quiet["mean_events"] == 0).all()
    assert len(quiet) >= 1
