"""Several outcomes in one effect: against the drift by hand, and against simulated trials."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pmsstats.errors import DesignError
from pmsstats.power import (
    power_change,
    power_combination,
    sample_size_change,
    sample_size_combination,
)

R = np.array([[1.0, 0.3, 0.2], [0.3, 1.0, 0.6], [0.2, 0.6, 1.0]])
EFFECTS, SD = (0.4, 3.0, 0.1), (1.0, 10.0, 0.5)
D = np.array(EFFECTS) / np.array(SD)
WEIGHTS = {
    "ols": np.ones(3),
    "gls": np.linalg.solve(R, np.ones(3)),
    "optimal": np.linalg.solve(R, D),
}


@pytest.mark.parametrize("combine", WEIGHTS)
def test_drift_by_hand(combine):
    """Power of a t-test with drift w'd / sqrt(w'Rw (1/n0 + 1/n1)); O'Brien 1984."""
    result = power_combination(
        n=(60, 90), effects=EFFECTS, sd=SD, correlation=R.tolist(), combine=combine
    )
    w = WEIGHTS[combine]
    drift = w @ D / math.sqrt(w @ R @ w * (1 / 60 + 1 / 90))
    bound = stats.t.isf(0.025, 148)
    expected = stats.nct.sf(bound, 148, drift) + stats.nct.cdf(-bound, 148, drift)
    assert result.power == pytest.approx(expected, abs=1e-10)
    given = {name: value for name, value, _ in result.details}
    shares = w / np.abs(w).sum()
    assert [given[f"weight_outcome_{i}"] for i in (1, 2, 3)] == pytest.approx(shares.tolist())


@pytest.mark.parametrize("combine", WEIGHTS)
def test_simulated_trials_reject_as_often(combine):
    rng = np.random.default_rng(4)
    n, trials = 50, 20_000
    w = WEIGHTS[combine]
    arms = [(rng.multivariate_normal(mean, R, size=(trials, n)) @ w) for mean in (np.zeros(3), D)]
    p = stats.ttest_ind(arms[1], arms[0], axis=1).pvalue
    share = float((p < 0.05).mean())
    result = power_combination(
        n=2 * n, effects=EFFECTS, sd=SD, correlation=R.tolist(), combine=combine
    )
    assert share == pytest.approx(result.power, abs=4 * math.sqrt(share * (1 - share) / trials))


def test_perfectly_correlated_equal_outcomes_are_one_outcome():
    both = power_combination(n=100, effects=(0.5, 0.5), correlation=1.0)
    assert both.power == pytest.approx(power_change(n=100, effect=0.5, sd=1.0).power, abs=1e-9)


def test_independent_equal_outcomes_gain_by_root_two():
    both = sample_size_combination(effects=(0.3, 0.3), correlation=0.0)
    one = sample_size_change(effect=0.3 * math.sqrt(2), sd=1.0)
    assert both.n == one.n


@given(
    effects=st.tuples(*[st.floats(0.05, 0.6)] * 3), rho=st.floats(0.0, 0.9), n=st.integers(20, 500)
)
def test_optimal_weights_are_never_worse_than_any_outcome_alone_or_other_weights(effects, rho, n):
    powers = {
        how: power_combination(n=2 * n, effects=effects, correlation=rho, combine=how)
        for how in WEIGHTS
    }
    best = powers["optimal"]
    alone = [value for name, value, _ in best.details if name.startswith("power_")]
    assert best.power >= max(*alone, powers["ols"].power, powers["gls"].power) - 1e-9


@given(power=st.floats(0.3, 0.98), effect=st.floats(0.1, 1.0))
def test_n_for_a_power_gives_it_back(power, effect):
    asked = {"effects": (effect, effect / 2), "correlation": 0.4, "combine": "gls"}
    found = sample_size_combination(power=power, **asked)
    assert found.power >= power
    smaller = (found.n[0] - 1, found.n[1] - 1)
    assert min(smaller) < 2 or power_combination(n=smaller, **asked).power < power


def test_given_weights_and_names():
    result = power_combination(
        n=100, effects=(0.5, 0.2), weights=(3, 1), outcomes=("atrophy", "walk"), dropout=0.1
    )
    details = {name: value for name, value, _ in result.details}
    assert details["weight_atrophy"] == 0.75
    assert details["power_walk"] < details["power_atrophy"]
    assert details["n_analysed"] == pytest.approx(90)
    assert "given weights" in result.assumptions
    assert "10 %" in result.assumptions


BAD = {
    "one outcome": ({"effects": (0.4,)}, "2 to 20 numbers"),
    "no benefit": ({"effects": (0.0, 0.0)}, "no number of subjects will do"),
    "harm": ({"effects": (-0.4, -0.1)}, "no number of subjects will do"),
    "no optimal weights": ({"effects": (0.0, 0.0), "combine": "optimal"}, "nothing to do"),
    "unknown combination": ({"combine": "best"}, "combine"),
    "weights of two kinds": ({"combine": "gls", "weights": (1, 1)}, "`weights`"),
    "too few weights": ({"weights": (1,)}, "`weights`"),
    "no correlation matrix": ({"correlation": [[1, 2], [2, 1]]}, "correlation"),
    "power below alpha": ({"power": 0.05}, "power"),
    "dropout": ({"dropout": 1.2}, "dropout"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case):
    change, message = BAD[case]
    with pytest.raises(DesignError, match=message):
        sample_size_combination(**{"effects": (0.4, 0.2)} | change)


def test_a_combination_needs_a_variance():
    """Two subjects leave no degree of freedom, and so no power at all."""
    with pytest.raises(DesignError, match="too few to estimate a variance"):
        power_combination(n=2, effects=(0.5, 0.5))
    found = sample_size_combination(effects=(5.0, 5.0), power=0.9)
    assert found.n == (2, 2)
    bound, shift = stats.t.isf(0.025, 2), 10 / math.sqrt(2)
    expected = stats.nct.sf(bound, 2, shift) + stats.nct.cdf(-bound, 2, shift)
    assert found.power == pytest.approx(expected, abs=1e-10)
