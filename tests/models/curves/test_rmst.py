"""Restricted mean survival times: R as witness, areas by hand, known truths, bad input."""

from __future__ import annotations

import math
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import assert_result_contract
from reference_cases import load_case
from scipy import stats

from pmsstats.errors import DesignError
from pmsstats.models.curves.rmst import RMSTSpec, rmst

SAME = 1e-9  # relative: the same sums in another order
HORIZONS = ["6", "11.25"]


@pytest.mark.parametrize("horizon", HORIZONS)
def test_means_agree_with_r(horizon: str) -> None:
    """Witness: summary(survfit, rmean = horizon) of R's survival (stored)."""
    case = load_case("survival_curves")
    table = rmst(case.input, RMSTSpec(horizon=float(horizon), by="arm")).table()
    means = table[table["quantity"] == "mean"].set_index("term")
    for quantity, column in ((f"rmst.{horizon}", "estimate"), (f"rmst_se.{horizon}", "std_error")):
        for row in case.rows(quantity).itertuples():
            assert means.loc[row.term, column] == pytest.approx(row.value, rel=row.rtol)


def test_contrasts_follow_from_the_means_as_in_survrm2() -> None:
    """Witness: the delta method written out from R's means and errors (Royston & Parmar 2013)."""
    case = load_case("survival_curves")
    table = rmst(case.input, RMSTSpec(horizon=6, by="arm")).table().set_index(["quantity", "term"])
    mean = case.rows("rmst.6").set_index("term")["value"]
    error = case.rows("rmst_se.6").set_index("term")["value"]
    z = stats.norm.ppf(0.975)
    a, b = "low", "high"
    found = table.loc[("difference", f"{a} - {b}")]
    spread = math.hypot(error[a], error[b])
    assert found["estimate"] == pytest.approx(mean[a] - mean[b], rel=1e-9)
    assert found["std_error"] == pytest.approx(spread, rel=1e-9)
    assert found["p_value"] == pytest.approx(
        2 * stats.norm.sf(abs(mean[a] - mean[b]) / spread), rel=1e-9
    )
    for quantity, x, y in (
        ("ratio", mean[a], mean[b]),
        ("ratio_lost", 6 - mean[a], 6 - mean[b]),
    ):
        found = table.loc[(quantity, f"{a} / {b}")]
        on_log = math.hypot(error[a] / x, error[b] / y)
        assert found["estimate"] == pytest.approx(x / y, rel=1e-9)
        assert found["conf_low"] == pytest.approx(x / y * math.exp(-z * on_log), rel=1e-9)
        assert found["conf_high"] == pytest.approx(x / y * math.exp(z * on_log), rel=1e-9)
        assert found["std_error"] == pytest.approx(x / y * on_log, rel=1e-9)


def test_area_by_hand() -> None:
    """Witness: by hand. Events at 2 (of 4) and 4 (of 2), horizon 5: 2 + 3/4 * 2 + 3/8 * 1.

    Areas beyond: 15/8 after 2, 3/8 after 4; variance 225/64 / 12 + 9/64 / 2.
    """
    data = pd.DataFrame({"duration": [2, 3, 4, 6], "event": [1, 0, 1, 1]})
    row = rmst(data, RMSTSpec(horizon=5)).table().iloc[0]
    assert row["estimate"] == pytest.approx(2 + 1.5 + 0.375, rel=SAME)
    assert row["std_error"] == pytest.approx(math.sqrt(225 / 64 / 12 + 9 / 64 / 2), rel=SAME)


def test_without_censoring_it_is_the_mean_of_the_times() -> None:
    """Witness: the ordinary mean of min(T, horizon), and its standard error with divisor n."""
    time = np.array([1.0, 2.5, 3.0, 4.0, 7.5, 9.0])
    for horizon in (5.0, 20.0):
        row = rmst(
            pd.DataFrame({"duration": time, "event": True}), RMSTSpec(horizon=horizon)
        ).table()
        cut = np.minimum(time, horizon)
        assert row["estimate"].item() == pytest.approx(cut.mean(), rel=SAME)
        assert row["std_error"].item() == pytest.approx(cut.std() / math.sqrt(6), rel=SAME)


@pytest.mark.slow
def test_known_difference_is_recovered_and_covered() -> None:
    """Witness: exponential times, whose restricted mean is (1 - exp(-rate h)) / rate."""
    rng = np.random.default_rng(11)
    horizon, rates, n_replicates = 2.0, np.array([0.6, 0.35]), 300
    truth = np.diff((1 - np.exp(-rates * horizon)) / rates).item()
    rows = []
    arm = np.repeat([0, 1], 80)
    for _ in range(n_replicates):
        time, censored = rng.exponential(1 / rates[arm]), rng.uniform(0.5, 5, 160)
        frame = pd.DataFrame(
            {"duration": np.minimum(time, censored), "event": time <= censored, "arm": arm}
        )
        table = rmst(frame, RMSTSpec(horizon=horizon, by="arm")).table()
        rows.append(table[table["quantity"] == "difference"].iloc[0])
    found = pd.DataFrame(rows)
    estimate = found["estimate"].astype(float)
    mcse = estimate.std() / math.sqrt(n_replicates)
    assert abs(estimate.mean() - truth) < 4 * mcse
    covered = ((found["conf_low"] <= truth) & (truth <= found["conf_high"])).mean()
    assert abs(covered - 0.95) < 4 * math.sqrt(0.95 * 0.05 / n_replicates)


@given(seed=st.integers(0, 2**32 - 1), factor=st.floats(0.01, 100))
def test_units_scale_the_mean_and_leave_the_p_value(seed: int, factor: float) -> None:
    rng = np.random.default_rng(seed)
    data = pd.DataFrame(
        {
            "duration": rng.integers(3, 20, 24).astype(float),
            "event": rng.permutation([True, True, False] * 8),
            "arm": ["a", "b"] * 12,
        }
    )
    a = rmst(data, RMSTSpec(horizon=3, by="arm", extend=True)).table()
    b = rmst(
        data.assign(duration=data["duration"] * factor),
        RMSTSpec(horizon=3 * factor, by="arm", extend=True),
    ).table()
    times = a["quantity"].isin(["mean", "difference"])
    np.testing.assert_allclose(
        b["estimate"], np.where(times, factor, 1.0) * a["estimate"], rtol=1e-7, atol=1e-9
    )
    np.testing.assert_allclose(b["p_value"], a["p_value"], rtol=1e-6)


def test_swapping_arms_flips_the_sign_and_inverts_the_ratio() -> None:
    data = load_case("survival_curves").input
    two = data[data["arm"] != "low"]
    there = rmst(two, RMSTSpec(horizon=8, by="arm")).table().set_index("quantity")
    swapped = two.assign(arm=two["arm"].map({"high": "placebo", "placebo": "high"}))
    back = rmst(swapped, RMSTSpec(horizon=8, by="arm")).table().set_index("quantity")
    assert back.loc["difference", "estimate"] == pytest.approx(
        -there.loc["difference", "estimate"], rel=SAME
    )
    assert back.loc["ratio", "conf_low"] == pytest.approx(
        1 / there.loc["ratio", "conf_high"], rel=SAME
    )


SMALL = pd.DataFrame(
    {
        "subject_id": [f"S{i}" for i in range(1, 9)],
        "duration": [5.0, 8, 9, 12, 14, 20, 21, 30],
        "event": [1, 1, 0, 1, 1, 0, 1, 0],
        "arm": list("aabbabab"),
    }
)


def test_horizon_defaults_to_the_latest_allowed() -> None:
    # arm a ends at 21 with an event (its curve is 0 from there), arm b at 30 without
    assert rmst(SMALL, RMSTSpec(by="arm")).horizon == 30
    assert rmst(SMALL.assign(event=[1, 1, 0, 1, 1, 0, 0, 0]), RMSTSpec(by="arm")).horizon == 21


def test_horizon_past_follow_up_must_be_asked_for() -> None:
    data = SMALL.assign(event=[1, 1, 0, 1, 1, 0, 0, 0])
    message = "`horizon` must not lie past the follow-up of a group, got 25.0, but a ends at 21."
    with pytest.raises(DesignError, match=re.escape(message)):
        rmst(data, RMSTSpec(horizon=25.0, by="arm"))
    with pytest.raises(DesignError, match="The largest allowed is 21"):
        rmst(data, RMSTSpec(horizon=40.0, by="arm"))
    fit = rmst(data, RMSTSpec(horizon=25.0, by="arm", extend=True))
    until = rmst(data, RMSTSpec(horizon=21.0, by="arm"))
    # the curve of arm a stays where it ended: 3/4 * 2/3 * 1/2 ... by its own last value
    level = until.curves.curves().query("group == 'a'")["survival"].iloc[-1]
    gained = fit.means["mean"].iloc[0] - until.means["mean"].iloc[0]
    assert gained == pytest.approx(4 * level, rel=SAME)


BAD = [
    (SMALL.assign(event=0), {}, "No event among 8 subject(s)"),
    (SMALL.assign(duration=-1), {}, "Negative `duration`"),
    (SMALL.head(0), {}, "at least one subject"),
    (SMALL, {"by": "arms"}, "`by` names 'arms'"),
]


@pytest.mark.parametrize(("data", "options", "message"), BAD)
def test_bad_input_is_refused(data: pd.DataFrame, options: dict, message: str) -> None:
    with pytest.raises(DesignError, match=re.escape(message)):
        rmst(data, RMSTSpec(**options))


@pytest.mark.parametrize(
    "options", [{"horizon": 0.0}, {"horizon": -3}, {"horizon": float("inf")}, {"conf_level": 1},
                {"duration_unit": "month"}]
)  # fmt: skip
def test_contradictory_specs_are_refused(options: dict) -> None:
    with pytest.raises(DesignError, match="must"):
        RMSTSpec(**options)


def test_nobody_loses_time_before_the_first_event() -> None:
    """Both curves are 1 up to the horizon: no ratio of times lost, no test of a difference."""
    table = rmst(SMALL, RMSTSpec(horizon=4, by="arm")).table().set_index("quantity")
    assert table.loc["difference", "estimate"] == 0
    assert math.isnan(table.loc["difference", "p_value"])
    assert math.isnan(table.loc["ratio_lost", "estimate"])


def test_result_contract() -> None:
    fit = rmst(SMALL.assign(arm=[None, *"abbabab"]), RMSTSpec(horizon=10, by="arm"))
    assert_result_contract(fit)
    assert fit.to_dict()["schema"] == "rmst_result/1"
    assert [(e.n, e.reason) for e in fit.exclusions] == [(1, "no arm")]
    ax = fit.plot()
    line = next(line for line in ax.lines if line.get_gid() == "horizon")
    assert line.get_xdata()[0] == pytest.approx(10 / 365.25)


def test_an_arm_that_loses_no_time_has_no_ratio_of_time_lost():
    """1 less 1 is rounding error, not time: the ratio of the other arm's loss to it is missing."""
    rng = np.random.default_rng(0)
    data = pd.DataFrame({"duration": rng.uniform(1.0, 3.0, 60), "arm": ["a"] * 30 + ["b"] * 30})
    data["event"] = (data["arm"] == "b") & (rng.random(60) < 0.6)
    for horizon in (1.1, 1.3, 1.7):
        table = rmst(data, RMSTSpec(horizon=horizon, by="arm")).table().set_index("quantity")
        assert np.isnan(table.loc["ratio_lost", "estimate"])
        assert np.isfinite(table.loc["ratio", "estimate"])
