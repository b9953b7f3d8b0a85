"""Operating characteristics: against loops by hand and what is known of the toy trial."""

from __future__ import annotations

import dataclasses
import math
import statistics

import numpy as np
import pandas as pd
import pytest
from toy_trials import (
    EFFECT,
    GENERATOR,
    QUANTILE,
    STD_ERROR,
    fail_every,
    toy_block,
    toy_scenario,
    with_interim,
)

from pmsstats.trials.blocks import check_outcome
from pmsstats.trials.operating import (
    OPERATING_COLUMNS,
    analyses_that_claim,
    benefit_sign,
    failure_ledger,
    final_answers,
    operating_characteristics,
)
from pmsstats.trials.outcomes import BlockOutcome
from pmsstats.trials.scenario import Interim, TrialAnalysis

N = 4000
ROOT = np.random.SeedSequence(5)


def simulated(scenario, n: int = N) -> BlockOutcome:
    return check_outcome(toy_block(scenario, GENERATOR, ROOT, 0, n), 0, n)


def truth_of(scenario, *values: float, error: float = 0.0) -> pd.DataFrame:
    return pd.DataFrame({
        "analysis": "test", "comparison": scenario.arm_names[1:], "value": list(values),
        "std_error": error,
    })  # fmt: skip


def looked_up(table: pd.DataFrame, quantity: str, comparison: str = "dose1", look: int = 0):
    rows = table[
        (table["quantity"] == quantity)
        & (table["comparison"] == comparison)
        & (table["look"] == look)
    ]
    assert len(rows) == 1, quantity
    return rows.iloc[0]


def upper(x: float) -> float:
    return 1 - statistics.NormalDist().cdf(x)


@pytest.mark.parametrize("effect", [0.0, 0.3, EFFECT])
def test_toy_trial_has_the_power_of_the_z_test(effect: float) -> None:
    scenario = toy_scenario(effect)
    table = operating_characteristics(scenario, simulated(scenario), truth_of(scenario, effect))
    assert tuple(table.columns) == OPERATING_COLUMNS
    exact = upper(QUANTILE - effect / STD_ERROR)
    row = looked_up(table, "power" if effect else "type1_error")
    assert abs(row["value"] - exact) < 4 * math.sqrt(exact * (1 - exact) / N)
    for quantity, value in {
        "bias": 0.0, "coverage": 0.95, "empirical_se": STD_ERROR, "model_se_relative_error": 0.0,
        "mse": STD_ERROR**2,
    }.items():  # fmt: skip
        row = looked_up(table, quantity)
        assert abs(row["value"] - value) < 4 * row["mcse"], quantity
    assert looked_up(table, "expected_n", "")["value"] == 40


@pytest.mark.parametrize(
    ("value", "error", "expected"),
    [
        (0.0, 0.0, "type1_error"),
        (-0.2, 0.0, "type1_error"),  # harm: a rejection is an error
        (-0.2, 0.1, "power"),  # may be no harm: within three errors
        (-0.4, 0.1, "type1_error"),
        (0.1, 0.1, "power"),
    ],
)
def test_rejection_is_an_error_where_there_is_no_gain(
    value: float, error: float, expected: str
) -> None:
    scenario = toy_scenario(0.0)
    truth = truth_of(scenario, value, error=error)
    table = operating_characteristics(scenario, simulated(scenario, 200), truth)
    assert {"power", "type1_error"} & set(table["quantity"]) == {expected}


def test_arm_defined_as_the_reference_has_a_type_1_error_without_a_truth() -> None:
    scenario = toy_scenario(0.8, 0.0)
    table = operating_characteristics(scenario, simulated(scenario, 200))
    names = table[table["quantity"].isin(["power", "type1_error"])]
    assert dict(zip(names["comparison"], names["quantity"], strict=True)) == {
        "dose1": "power", "dose2": "type1_error"
    }  # fmt: skip
    assert "familywise_error" in set(table["quantity"])
    assert "truth" not in set(table["quantity"])


def test_comparisons_keep_the_order_of_the_scenario() -> None:
    scenario = toy_scenario(0.8, 0.4)
    outcome = simulated(scenario, 50)
    gone = (outcome.estimates["replicate"] == 0) & (outcome.estimates["comparison"] == "dose1")
    outcome = dataclasses.replace(outcome, estimates=outcome.estimates[~gone])
    table = operating_characteristics(scenario, outcome)
    assert table.loc[table["quantity"] == "power", "comparison"].tolist() == ["dose1", "dose2"]


def test_failures_count_as_no_success() -> None:
    scenario = toy_scenario()
    whole = simulated(scenario, 1000)
    table = operating_characteristics(scenario, fail_every(whole, 10))
    hits = whole.estimates["rejected"].to_numpy()
    left = hits[np.arange(1000) % 10 > 0]
    power, given = looked_up(table, "power"), looked_up(table, "power_given_answer")
    assert (power["value"], power["n_replicates"]) == (left.sum() / 1000, 1000)
    assert (given["value"], given["n_replicates"]) == (left.mean(), 900)
    assert looked_up(table, "failed", "")["value"] == 0.1
    assert looked_up(table, "mean_estimate")["n_replicates"] == 900


def test_ledger_counts_reasons_with_their_first_replicates() -> None:
    failed = fail_every(simulated(toy_scenario(), 1000), 100)
    ledger = failure_ledger(failed)
    assert ledger["analysis"].tolist() == ["", "test"]
    assert ledger["n_replicates"].tolist() == [10, 10]
    assert ledger["first_replicates"].tolist() == ["0, 100, 200, 300, 400, ..."] * 2
    assert ledger["share"].tolist() == [0.01, 0.01]
    assert failure_ledger(simulated(toy_scenario(), 20)).empty


def test_families_of_comparisons_by_counting() -> None:
    scenario = toy_scenario(0.9, 0.0, 0.5)
    outcome = simulated(scenario, 500)
    table = operating_characteristics(scenario, outcome, truth_of(scenario, 0.9, 0.0, 0.5))
    hit = {
        name: {r for r, x in zip(rows["replicate"], rows["rejected"], strict=True) if x}
        for name, rows in outcome.estimates.groupby("comparison")
    }
    share = {
        "familywise_error": len(hit["dose2"]) / 500,
        "disjunctive_power": len(hit["dose1"] | hit["dose3"]) / 500,
        "conjunctive_power": len(hit["dose1"] & hit["dose3"]) / 500,
        "success": len(hit["dose1"] | hit["dose2"] | hit["dose3"]) / 500,
    }
    assert 0 < share["conjunctive_power"] < share["disjunctive_power"] < 1
    for quantity, value in share.items():
        assert looked_up(table, quantity, "")["value"] == value
    assert looked_up(table, "type1_error", "dose2")["value"] == share["familywise_error"]


def hand_made_stops() -> BlockOutcome:
    """Ten trials with two looks: 0-3 stop for efficacy, 4-5 for futility, 6-9 go on."""
    scenario = toy_scenario(0.9, 0.2)
    outcome = simulated(scenario, 10)
    stopped = np.array(["efficacy"] * 4 + ["futility"] * 2 + ["end"] * 4, dtype=object)
    looks = np.where(stopped == "end", 2, 1)
    trials = outcome.trials.assign(
        stopped_for=stopped, n_looks=looks, duration_years=np.where(looks == 1, 1.0, 3.0),
        n_enrolled=np.where(looks == 1, 20, 40),
    )  # fmt: skip
    dropped = np.where((outcome.arms["arm"] == "dose2") & (outcome.arms["replicate"] < 7), 1, 0)
    second = outcome.estimates[outcome.estimates["replicate"] >= 6].assign(look=2, estimate=9.0)
    estimates = pd.concat([outcome.estimates, second], ignore_index=True)
    block = BlockOutcome(
        estimates=estimates, trials=trials, arms=outcome.arms.assign(dropped_at=dropped)
    )
    return check_outcome(block, 0, 10)


def test_stopping_dropping_and_duration_by_hand() -> None:
    scenario = with_interim(toy_scenario(0.9, 0.2), rule="select_arms")
    table = operating_characteristics(scenario, hand_made_stops(), truth_of(scenario, 0.9, 0.2))
    assert looked_up(table, "stopped_for_efficacy", "", 1)["value"] == 0.4
    assert looked_up(table, "stopped_for_futility", "", 0)["value"] == 0.2
    assert looked_up(table, "expected_years", "")["value"] == pytest.approx(1.8)
    assert looked_up(table, "expected_n", "")["value"] == pytest.approx(28)
    assert looked_up(table, "dropped", "dose2", 1)["value"] == 0.7
    assert looked_up(table, "dropped", "dose1", 0)["value"] == 0.0
    assert looked_up(table, "best_arm_kept", "dose1")["value"] == 1.0


def test_analysis_that_only_guides_an_interim_look_has_no_power() -> None:
    """It tests nothing; counted by hand: who was looked at, not dropped there, and went on."""
    early = TrialAnalysis(name="early", endpoint="score", method="change")
    plain = toy_scenario(0.9, 0.2)
    two = dataclasses.replace(plain, analyses=(*plain.analyses, early))
    scenario = with_interim(two, rule="select_arms", analysis="early")
    assert analyses_that_claim(scenario) == {"test"}
    assert analyses_that_claim(two) == {"test", "early"}  # done at the end where no look has it
    block = hand_made_stops()
    first = block.estimates[block.estimates["look"] == 1]
    both = pd.concat([first.assign(analysis="early", rejected=False), block.estimates])
    block = check_outcome(dataclasses.replace(block, estimates=both), 0, 10)
    table = operating_characteristics(scenario, block)
    ours = table[table["analysis"] == "early"]
    assert not ours["quantity"].str.contains("power|type1").any()
    passed = ours[ours["quantity"] == "passed_interim"].set_index("comparison")
    assert passed["look"].tolist() == [1, 1]
    # trials 6-9 go on; dose2 was dropped in 0-6
    assert passed["value"].to_dict() == {"dose1": 0.4, "dose2": 0.3}
    assert {"power"} == set(table["quantity"]) & {"power", "type1_error"}


def test_last_look_is_the_answer() -> None:
    final = final_answers(hand_made_stops().estimates)
    assert len(final) == 20
    assert (final.loc[final["replicate"] >= 6, "estimate"] == 9.0).all()
    assert (final.loc[final["replicate"] < 6, "estimate"] != 9.0).all()


def test_benefit_may_be_a_negative_estimate() -> None:
    rows = simulated(toy_scenario(), 50).estimates
    assert benefit_sign(rows) == 1
    assert benefit_sign(rows.assign(estimate=-rows["estimate"])) == -1


def test_swapping_the_sign_keeps_power_and_turns_bias() -> None:
    scenario = toy_scenario()
    outcome = simulated(scenario, 500)
    turned = outcome.estimates.assign(
        estimate=-outcome.estimates["estimate"],
        conf_low=-outcome.estimates["conf_high"], conf_high=-outcome.estimates["conf_low"],
    )  # fmt: skip
    other = BlockOutcome(estimates=turned, trials=outcome.trials, arms=outcome.arms)
    a = operating_characteristics(scenario, outcome, truth_of(scenario, EFFECT))
    b = operating_characteristics(scenario, other, truth_of(scenario, -EFFECT))
    assert a["quantity"].tolist() == b["quantity"].tolist()
    for quantity, sign in {"bias": -1, "coverage": 1, "power": 1, "mse": 1, "truth": -1}.items():
        left, right = looked_up(a, quantity)["value"], looked_up(b, quantity)["value"]
        assert right == pytest.approx(sign * left, rel=1e-12)


def test_benefit_with_a_margin_is_that_without_it() -> None:
    """A loss of 0.1 +- 0.1 within a margin of 0.5 has z = 4, and is a loss all the same."""
    rows = pd.DataFrame({"estimate": [-0.1], "std_error": [0.1], "z": [4.0]})
    assert benefit_sign(rows, 0.5) == 1
    assert benefit_sign(rows.assign(estimate=0.1, z=4.0), 0.5) == -1


def test_margin_is_part_of_the_null_hypothesis() -> None:
    analysis = TrialAnalysis(
        name="test", endpoint="score", method="change", options={"margin": 0.5}
    )
    scenario = toy_scenario(-0.5, analyses=(analysis,))
    outcome = simulated(scenario, 200)
    shifted = outcome.estimates.assign(z=outcome.estimates["z"] + 0.5 / STD_ERROR)
    outcome = dataclasses.replace(outcome, estimates=shifted)
    at_margin = operating_characteristics(scenario, outcome, truth_of(scenario, -0.5))
    inside = operating_characteristics(scenario, outcome, truth_of(scenario, -0.2))
    assert "type1_error" in set(at_margin["quantity"])
    assert "type1_error" not in set(inside["quantity"])


def test_estimate_without_error_is_no_answer() -> None:
    outcome = simulated(toy_scenario(), 100)
    estimates = outcome.estimates.copy()
    estimates.loc[estimates["replicate"] < 30, "std_error"] = np.nan
    outcome = dataclasses.replace(outcome, estimates=estimates)
    table = operating_characteristics(toy_scenario(), outcome)
    assert looked_up(table, "mean_estimate")["n_replicates"] == 70
    assert looked_up(table, "power_given_answer")["n_replicates"] == 70


def test_estimates_are_those_of_the_last_look_with_one() -> None:
    outcome = simulated(toy_scenario(), 50)
    first = outcome.estimates.assign(estimate=5.0)
    second = outcome.estimates.assign(look=2)
    second.loc[second["replicate"] < 10, "estimate"] = np.nan
    both = pd.concat([first, second]).sort_values(["replicate", "look"], kind="stable")
    table = operating_characteristics(
        toy_scenario(), dataclasses.replace(outcome, estimates=both.reset_index(drop=True))
    )
    later = outcome.estimates["estimate"].to_numpy()[10:]
    expected = (10 * 5.0 + later.sum()) / 50
    assert looked_up(table, "mean_estimate")["value"] == pytest.approx(expected)


def test_events_of_a_trial_are_those_of_its_largest_comparison() -> None:
    scenario = toy_scenario(0.8, 0.4)
    outcome = simulated(scenario, 20)
    n_events = np.where(outcome.estimates["comparison"] == "dose1", 12, 15)
    outcome = dataclasses.replace(outcome, estimates=outcome.estimates.assign(n_events=n_events))
    table = operating_characteristics(scenario, outcome)
    assert looked_up(table, "expected_events", "")["value"] == 15


def test_arms_are_dropped_at_the_look_that_drops_them() -> None:
    looks = tuple(
        Interim(name=f"look {k}", at="followed", value=0.3 * k, analysis="test", rule="select_arms")
        for k in (1, 2)
    )
    scenario = toy_scenario(0.9, 0.2, interims=looks)
    outcome = simulated(scenario, 10)
    dropped = np.where(outcome.arms["arm"] == "dose2", outcome.arms["replicate"] % 3, 0)
    outcome = dataclasses.replace(outcome, arms=outcome.arms.assign(dropped_at=dropped))
    table = operating_characteristics(scenario, outcome, truth_of(scenario, 0.9, 0.2))
    shares = [looked_up(table, "dropped", "dose2", look)["value"] for look in (0, 1, 2)]
    assert shares == pytest.approx([0.6, 0.3, 0.3])  # replicates 1, 4, 7; and 2, 5, 8


@pytest.mark.parametrize(
    ("values", "best"),
    [((0.2, 0.9), "dose2"), ((0.9, 0.9), None), ((-0.1, -0.2), None), ((0.0, 0.0), None)],
)
@pytest.mark.parametrize("sign", [1, -1])
def test_best_arm_has_the_largest_gain_whatever_its_sign(
    values: tuple[float, float], best: str | None, sign: int
) -> None:
    scenario = with_interim(toy_scenario(0.2, 0.9), rule="select_arms")
    outcome = simulated(scenario, 200)
    turned = outcome.estimates.assign(estimate=sign * outcome.estimates["estimate"])
    outcome = dataclasses.replace(outcome, estimates=turned)
    truth = truth_of(scenario, *(sign * value for value in values))
    table = operating_characteristics(scenario, outcome, truth)
    found = table.loc[table["quantity"] == "best_arm_kept", "comparison"].tolist()
    assert found == [name for name in (best,) if name is not None]


def test_looks_that_never_came_are_counted() -> None:
    """Three of ten trials reach the end without the look; one stops at it."""
    scenario = with_interim(toy_scenario())
    outcome = simulated(scenario, 10)
    looks = np.array([1] * 4 + [2] * 6)
    stopped = np.array(["efficacy"] + ["end"] * 9, dtype=object)
    trials = outcome.trials.assign(n_looks=looks, stopped_for=stopped)
    table = operating_characteristics(scenario, dataclasses.replace(outcome, trials=trials))
    assert looked_up(table, "missed_look", "")["value"] == 0.3
    without = operating_characteristics(toy_scenario(), simulated(toy_scenario(), 10))
    assert "missed_look" not in set(without["quantity"])


@pytest.mark.parametrize(
    ("value", "error", "expected"),
    [
        (0.01, 0.008, "type1_error"),  # nothing, as far as a large trial can tell
        (0.03, 0.008, "power"),
        (0.1, 0.2, "power"),  # the large trial was too small to tell
    ],
)
def test_simulated_truth_next_to_nothing_is_nothing(
    value: float, error: float, expected: str
) -> None:
    scenario = toy_scenario(0.0)
    outcome = simulated(scenario, 200)
    table = operating_characteristics(scenario, outcome, truth_of(scenario, value, error=error))
    assert {"power", "type1_error"} & set(table["quantity"]) == {expected}
    assert ("relative_bias" in set(table["quantity"])) == (value > 2 * error)
