"""Accuracy of predicted risks: R as witness, brute force, jackknife, known truths, properties."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference_cases import load_case

from pmsstats.models.prediction.accuracy import MEASURES, estimate_measures
from pmsstats.models.prediction.accuracy_tables import RiskTable, calibration_frame
from pmsstats.models.prediction.inverse_censoring import censoring_weights

FOLLOWED = 1e-10  # relative: the same numbers in another order of summation
JACKKNIFE = 0.05  # relative: the jackknife adds terms of the order of 1 / n to an error
MODELS = ("good", "poor")
HORIZONS = (1.5, 3.25)


def causes(data: pd.DataFrame, kind: str) -> np.ndarray:
    """Return cause codes: both causes as one event, or progression against death."""
    competing = data["cause"].map({"censored": 0, "progression": 1, "death": 2})
    return (competing.to_numpy() if kind == "competing" else data["event"].to_numpy()).astype(int)


def accuracy(data: pd.DataFrame, kind: str, horizon: float):
    """Judge both models of the reference case."""
    weights = censoring_weights(data["duration"].to_numpy(), causes(data, kind), horizon)
    return estimate_measures(data[list(MODELS)].to_numpy().T, weights)


@pytest.mark.parametrize("kind", ["one", "competing"])
@pytest.mark.parametrize("horizon", HORIZONS)
def test_measures_agree_with_r(kind: str, horizon: float) -> None:
    """Witness: riskRegression::Score, and glm with prodlim's weights (stored)."""
    case = load_case("prediction_accuracy")
    found = accuracy(case.input, kind, horizon)
    difference, difference_error = found.difference(1, 0)
    looked_up = {
        **{f"{kind}.{name}": found.estimate[:, k] for k, name in enumerate(MEASURES)},
        **{f"{kind}.{name}_std_error": found.std_error()[:, k] for k, name in enumerate(MEASURES)},
        **{f"{kind}.{n}_difference": [None, difference[k]] for k, n in enumerate(MEASURES)},
        **{
            f"{kind}.{n}_difference_std_error": [None, difference_error[k]]
            for k, n in enumerate(MEASURES)
        },
    }
    rows = case.expected[case.expected["term"].str.endswith(f"@{horizon:g}")]
    rows = rows[rows["quantity"].isin(list(looked_up))]
    assert len(rows) == 20
    for row in rows.itertuples():
        value = looked_up[row.quantity][MODELS.index(row.term.split("@")[0])]
        assert value == pytest.approx(row.value, rel=row.rtol), (row.quantity, row.term)


def test_errors_agree_with_r_without_ties() -> None:
    """Witness: riskRegression::Score on times moved apart (stored)."""
    case = load_case("prediction_accuracy")
    apart = case.input["duration"] + 1e-4 * (np.arange(len(case.input)) + 1)
    found = accuracy(case.input.assign(duration=apart), "one", 3.25)
    expected = case.rows("untied.brier_std_error")
    k, tolerance = MEASURES.index("brier"), float(expected["rtol"].max())
    np.testing.assert_allclose(found.std_error()[:, k], expected["value"], rtol=tolerance)
    difference = case.rows("untied.brier_difference_std_error")["value"].item()
    assert found.difference(1, 0)[1][k] == pytest.approx(difference, rel=tolerance)


def test_observed_risks_in_groups_agree_with_r() -> None:
    """Witness: survfit within quarters of predicted risk (stored)."""
    case = load_case("prediction_accuracy")
    table = RiskTable(
        landmark=0.0,
        horizon=3.25,
        models=MODELS,
        risk=case.input[list(MODELS)].to_numpy().T,
        duration=case.input["duration"].to_numpy(),
        cause=causes(case.input, "one"),
    )
    frame = calibration_frame([table], 4, 0.95)
    frame["n"] = frame["n_subjects"]
    frame.index = frame["model"] + "@" + frame["group"].astype(str)
    rows = case.expected[case.expected["quantity"].str.startswith("group.")]
    assert len(rows) == 32
    for row in rows.itertuples():
        value = frame.loc[row.term, row.quantity.removeprefix("group.")]
        assert value == pytest.approx(row.value, rel=row.rtol), row


def test_without_censoring_measures_are_plain_averages() -> None:
    """Witness: double loop over pairs, and means, from the definitions."""
    rng = np.random.default_rng(11)
    n, horizon = 60, 2.0
    time = rng.exponential(2.0, n)
    p = rng.integers(1, 9, n) / 10  # with ties
    found = estimate_measures(p[None], censoring_weights(time, np.ones(n, int), horizon))
    case = time <= horizon
    wins = [
        1.0 if p[i] > p[j] else 0.5 if p[i] == p[j] else 0.0
        for i in np.flatnonzero(case)
        for j in np.flatnonzero(~case)
    ]
    brier = np.mean((case - p) ** 2)
    expected = [
        np.mean(wins),
        brier,
        1 - brier / np.mean((case - case.mean()) ** 2),
        case.mean() / p.mean(),
    ]
    np.testing.assert_allclose(found.estimate[0, :4], expected, rtol=FOLLOWED)


def test_weights_by_hand() -> None:
    """Witness: six patients worked by hand, horizon 4.

    Censored at 2 (5 at risk: G = 4/5) and at 3, where another has an event first and is not at
    risk of censoring (3 - 1 = 2 at risk: G = 4/5 * 1/2 = 2/5). Events at 1 and 3 weigh 1 and 5/4,
    the two followed beyond 4 weigh 5/2, those censored nothing; the sum is 1 + 5/4 + ... = 6 with
    one at risk beyond: 1 + 5/4 + 5/2 = 4.75 and the sixth, with an event at 4, weighs 5/2 too.
    """
    duration = np.array([1.0, 2.0, 3.0, 3.0, 4.0, 9.0])
    cause = np.array([1, 0, 1, 0, 1, 0])
    weights = censoring_weights(duration, cause, 4.0)
    by_hand = [1, 0, 5 / 4, 0, 15 / 8, 15 / 8]
    np.testing.assert_allclose(weights.weight, by_hand, rtol=FOLLOWED)
    assert weights.case.tolist() == [True, False, True, False, True, False]


def test_observed_share_is_kaplan_meier_by_hand() -> None:
    """Witness: 1 - product of (1 - d / n), worked by hand: 1 - (5/6)(3/4)(1/2) = 11/16."""
    duration = np.array([1.0, 2.0, 3.0, 3.0, 4.0, 9.0])
    cause = np.array([1, 0, 1, 0, 1, 0])
    weights = censoring_weights(duration, cause, 4.0)
    assert np.mean(weights.weight * weights.case) == pytest.approx(11 / 16, rel=FOLLOWED)


@pytest.mark.parametrize("kind", ["one", "competing"])
def test_standard_errors_agree_with_the_jackknife(kind: str) -> None:
    """Witness: leave one subject out, everything estimated again, weights included."""
    data = load_case("prediction_accuracy").input
    n, horizon = len(data), 3.25
    full = accuracy(data, kind, horizon)
    left = np.array([accuracy(data.drop(i), kind, horizon).estimate for i in range(n)])
    each = np.sqrt((n - 1) / n * ((left - left.mean(axis=0)) ** 2).sum(axis=0))
    np.testing.assert_allclose(full.std_error(), each, rtol=JACKKNIFE)
    gap = left[:, 1] - left[:, 0]
    of_difference = np.sqrt((n - 1) / n * ((gap - gap.mean(axis=0)) ** 2).sum(axis=0))
    np.testing.assert_allclose(full.difference(1, 0)[1], of_difference, rtol=JACKKNIFE)


def test_influence_is_the_derivative_of_the_estimate() -> None:
    """Witness: numerical derivative in the weight of one subject, by repeating the others.

    With everyone k times and one subject k + 1 times, the estimate moves by influence / (n k).
    """
    data = load_case("prediction_accuracy").input.iloc[:60]
    copies = 400
    base = accuracy(data, "competing", 2.0)
    many = pd.concat([data] * copies)
    for i in (0, 7, 23, 41):
        moved = accuracy(pd.concat([many, data.iloc[[i]]]), "competing", 2.0)
        derivative = (moved.estimate - base.estimate) * len(data) * copies
        influence = base.influence[:, :, i]
        scale = np.abs(base.influence).max(axis=2)
        assert (np.abs(derivative - influence) < 0.01 * scale).all()  # second order: 1 / copies


def draw(rng: np.random.Generator, n: int) -> tuple[np.ndarray, ...]:
    """Draw subjects whose true risk by time 1 is known, censored uniformly."""
    x = rng.uniform(-1.7, 1.7, n)
    rate = 0.6 * np.exp(0.8 * x)
    time, censored = rng.exponential(1 / rate), rng.uniform(0, 2.5, n)
    return 1 - np.exp(-rate), np.minimum(time, censored), (time <= censored).astype(int)


@pytest.mark.slow
def test_truth_is_recovered_and_covered() -> None:
    """Witness: the truth, from many uncensored subjects; 95 % intervals cover it."""
    rng, n_replicates = np.random.default_rng(77), 600
    x = rng.uniform(-1.7, 1.7, 1_000_000)
    rate = 0.6 * np.exp(0.8 * x)
    risk = 1 - np.exp(-rate)
    time = rng.exponential(1 / rate)
    weights = censoring_weights(time, np.ones(len(time), int), 1.0)
    truth = estimate_measures(risk[None], weights)
    estimates, covered = [], []
    for _ in range(n_replicates):
        p, duration, event = draw(rng, 250)
        found = estimate_measures(p[None], censoring_weights(duration, event, 1.0))
        half = 1.959963984540054 * found.std_error()
        estimates.append(found.estimate[0])
        covered.append(np.abs(found.estimate - truth.estimate)[0] <= half[0])
    estimates, covered = np.array(estimates), np.array(covered)
    error = np.sqrt(estimates.var(axis=0) / n_replicates + truth.std_error()[0] ** 2)
    # the scaled Brier score is a ratio with a bias of order 1 / n, which its own SE / 10 bounds
    bound = 4 * error + 0.1 * estimates.std(axis=0)
    assert (np.abs(estimates.mean(axis=0) - truth.estimate[0]) < bound).all()
    assert (np.abs(covered.mean(axis=0) - 0.95) < 4 * np.sqrt(0.95 * 0.05 / n_replicates)).all()


def test_true_risks_are_calibrated() -> None:
    """Witness: the truth; O / E is 1, intercept 0 and slope 1 within 4 standard errors."""
    p, duration, event = draw(np.random.default_rng(5), 20_000)
    found = estimate_measures(p[None], censoring_weights(duration, event, 1.0))
    z = (found.estimate[0, 3:] - [1, 0, 1]) / found.std_error()[0, 3:]
    assert (np.abs(z) < 4).all()
    assert (found.std_error()[0, 3:] < 0.05).all()


seeds = st.integers(0, 2**32 - 1)


@given(seed=seeds)
def test_order_of_subjects_changes_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p, duration, event = draw(rng, 50)
    duration = np.ceil(duration * 8) / 8
    event[:2], duration[:2] = [1, 0], [0.5, 3.0]
    order = rng.permutation(50)
    a = estimate_measures(p[None], censoring_weights(duration, event, 1.0))
    b = estimate_measures(p[None][:, order], censoring_weights(duration[order], event[order], 1.0))
    np.testing.assert_allclose(a.estimate, b.estimate, rtol=1e-8)
    np.testing.assert_allclose(a.influence[:, :, order], b.influence, rtol=1e-6, atol=1e-8)


@given(seed=seeds)
def test_auc_knows_only_ranks_and_turns_around(seed: int) -> None:
    p, duration, event = draw(np.random.default_rng(seed), 40)
    event[0], duration[0], duration[1] = 1, 0.5, 3.0
    weights = censoring_weights(duration, event, 1.0)
    found = estimate_measures(np.array([p, p**3, 1 - p]), weights)
    auc, error = found.estimate[:, 0], found.std_error()[:, 0]
    assert auc[1] == pytest.approx(auc[0], rel=FOLLOWED)
    assert auc[2] == pytest.approx(1 - auc[0], rel=FOLLOWED)
    assert error[2] == pytest.approx(error[0], rel=1e-8)


@given(seed=seeds, factor=st.floats(1e-3, 1e3))
def test_unit_of_time_changes_nothing(seed: int, factor: float) -> None:
    p, duration, event = draw(np.random.default_rng(seed), 40)
    event[0], duration[0], duration[1] = 1, 0.5, 3.0
    a = estimate_measures(p[None], censoring_weights(duration, event, 1.0))
    b = estimate_measures(p[None], censoring_weights(duration * factor, event, factor))
    np.testing.assert_allclose(a.estimate, b.estimate, rtol=1e-8)


@given(seed=seeds)
def test_weights_average_one(seed: int) -> None:
    _, duration, event = draw(np.random.default_rng(seed), 30)
    duration = np.ceil(duration * 4) / 4
    duration[0] = 9.0
    weights = censoring_weights(duration, event, 1.0)
    assert weights.weight.mean() == pytest.approx(1.0, rel=FOLLOWED)
    assert weights.influence(np.ones(30)) == pytest.approx(np.zeros(30), abs=1e-8)


def test_one_risk_for_all_has_no_slope_and_is_no_use() -> None:
    _, duration, event = draw(np.random.default_rng(8), 100)
    weights = censoring_weights(duration, event, 1.0)
    share = float((weights.weight * weights.case).mean())
    found = estimate_measures(np.full((1, 100), share), weights)
    auc, _, scaled, ratio, intercept, slope = found.estimate[0]
    assert (auc, scaled, ratio) == pytest.approx((0.5, 0.0, 1.0), abs=1e-12)
    assert intercept == pytest.approx(0.0, abs=1e-9)
    assert np.isnan(slope)


def test_certain_risks_have_no_calibration_curve() -> None:
    p, duration, event = draw(np.random.default_rng(8), 100)
    found = estimate_measures(np.round(p)[None], censoring_weights(duration, event, 1.0))
    assert np.isnan(found.estimate[0, 4:]).all()
    assert np.isfinite(found.estimate[0, :4]).all()


def test_perfect_separation_has_no_finite_slope() -> None:
    duration, event = np.arange(1.0, 21.0), np.ones(20, int)
    risk = np.where(duration <= 10, 0.7, 0.3)
    found = estimate_measures(risk[None], censoring_weights(duration, event, 10.0))
    assert found.estimate[0, 0] == 1.0
    assert np.isnan(found.estimate[0, 5])
