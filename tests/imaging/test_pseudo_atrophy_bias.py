"""Expected slopes under an early effect: closed forms, noiseless fits, simulation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from properties import assert_result_contract

from pmsstats.errors import DesignError
from pmsstats.imaging import (
    EarlyEffectSpec,
    PseudoAtrophyScenario,
    fit_early_effect,
    pseudo_atrophy_bias,
    rebaseline,
)
from pmsstats.models import fit_lmm

YEARS = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0)
ANALYSES = ["all visits, straight line", "new baseline", "piecewise", "exponential"]
ROUNDING = 1e-10
NEARLY_NOISELESS = 2e-4  # share of the slope; noise of 1e-4 of the effects is left for the fits


def scenario(**fields) -> PseudoAtrophyScenario:
    made = {
        "years": YEARS, "slope": -0.6, "slowing": 0.3, "early_change": -0.2,
        "shape": "exponential", "duration": 0.25, "rebaseline_at": 0.5, "knot": 0.5,
    }  # fmt: skip
    return PseudoAtrophyScenario(**{**made, **fields})


def biases(**fields) -> pd.Series:
    return pseudo_atrophy_bias(scenario(**fields)).table().set_index("analysis")["bias"]


def test_straight_line_has_the_bias_of_the_formula():
    t = np.array(YEARS)
    h = 1 - np.exp(-t / 0.25)
    expected = -0.2 * ((t - t.mean()) * h).sum() / ((t - t.mean()) ** 2).sum()
    assert biases()[ANALYSES[0]] == pytest.approx(expected, rel=ROUNDING)


def test_two_late_visits_by_hand():
    # Visits 0, 1, 2; a loss of 1 that is complete at the first: the line through 0, -1, -1 falls
    # by 0.5 per year.
    made = biases(years=(0.0, 1.0, 2.0), slope=-1.0, slowing=0.0, early_change=-1.0, shape="step",
                  duration=0, tau=0.3, rebaseline_at=1.0, knot=1.0)  # fmt: skip
    assert made[ANALYSES[0]] == pytest.approx(-0.5)
    assert made["new baseline"] == pytest.approx(0.0, abs=ROUNDING)


@pytest.mark.parametrize(
    ("analysis", "fields"),
    [
        ("new baseline", {"shape": "step", "duration": 0.5}),
        ("new baseline", {"shape": "ramp", "duration": 0.5}),
        ("piecewise", {"shape": "ramp", "duration": 0.5}),
        ("exponential", {"shape": "exponential", "duration": 0.7}),
    ],
)
def test_each_analysis_is_free_of_bias_under_its_own_assumption(analysis, fields):
    assert biases(**fields)[analysis] == pytest.approx(0.0, abs=ROUNDING)
    assert abs(biases(**fields)[ANALYSES[0]]) > 0.02


def test_bias_is_proportional_to_the_early_change_and_blind_to_the_slopes():
    np.testing.assert_allclose(biases(early_change=-0.4), 2 * biases(), atol=ROUNDING)
    np.testing.assert_allclose(biases(slope=-1.0, slowing=0.7), biases(), atol=ROUNDING)
    np.testing.assert_allclose(biases(early_change=0.0), 0.0, atol=ROUNDING)


def test_without_dropout_variances_do_not_matter():
    np.testing.assert_allclose(
        biases(intercept_sd=40.0, slope_sd=0.5, error_sd=0.3), biases(), atol=1e-8
    )


N_TREATED = 1500
# A standard error from 3,000 subjects is known to 1 / sqrt(2 * 3000); two of those, as the two of a
# ratio come from the same subjects.
PRECISION = 2 / np.sqrt(2 * 2 * N_TREATED)
DROPOUT = (1.0, 0.98, 0.95, 0.9, 0.8, 0.6)
VARIANCES = {"intercept_sd": 2.0, "slope_sd": 0.5, "error_sd": 0.3}


def population(s: PseudoAtrophyScenario, n: int, seed: int, *, noise: bool) -> pd.DataFrame:
    """Two arms of n subjects who leave as the scenario says; without noise all but exact."""
    rng = np.random.default_rng(seed)
    year = np.array(s.years)
    n_seen = np.searchsorted(-np.array(s.shares), -(np.arange(n) + 0.5) / n, side="left")
    rows = []
    for treated in (0, 1):
        mean = s.slope * (1 - s.slowing * treated) * year
        mean = mean + treated * s.early_change * (1 - np.exp(-year / s.duration))
        own = rng.normal(0, s.intercept_sd, (n, 1)) + rng.normal(0, s.slope_sd, (n, 1)) * year
        error = rng.normal(0, s.error_sd, (n, len(year)))
        value = mean + (own + error) * (1.0 if noise else 1e-4)
        seen = np.arange(len(year)) < n_seen[:, None]
        i, k = np.nonzero(seen)
        rows.append(
            pd.DataFrame({"subject_id": i + n * treated, "year": year[k], "y": value[i, k],
                          "arm": ["placebo", "active"][treated]})
        )  # fmt: skip
    data = pd.concat(rows, ignore_index=True)
    return data.assign(arm=pd.Categorical(data["arm"], ["placebo", "active"]))


def differences(data: pd.DataFrame, s: PseudoAtrophyScenario) -> dict[str, tuple[float, float]]:
    """Fit all four analyses to data."""
    line = "y ~ year * arm + (year | subject_id)"
    late = rebaseline(data, outcomes="y", at=s.rebaseline_at).data
    made = {}
    for name, frame in (("all visits, straight line", data), ("new baseline", late)):
        row = fit_lmm(frame, line).table().set_index("term").loc["year:arm[T.active]"]
        made[name] = (row["estimate"], row["std_error"])
    options = {"piecewise": {"knot": s.knot}, "exponential": {"tau": s.duration}}
    for shape, quantity in (("piecewise", "late slope"), ("exponential", "slope")):
        spec = EarlyEffectSpec(outcome="y", by="arm", shape=shape, **options[shape])
        table = fit_early_effect(data, spec).table().set_index(["quantity", "term"])
        row = table.loc[quantity, "active - placebo"]
        made[shape] = (row["estimate"], row["std_error"])
    return made


def test_complete_data_almost_without_noise_give_the_expected_slopes():
    s = scenario(**VARIANCES)
    expected = pseudo_atrophy_bias(s).table().set_index("analysis")["difference"]
    found = differences(population(s, 60, 1, noise=False), s)
    for name in ANALYSES:
        assert found[name][0] == pytest.approx(expected[name], abs=NEARLY_NOISELESS)


def test_simulated_trial_with_dropout_gives_the_expected_slopes_and_precision():
    s = scenario(observed=DROPOUT, **VARIANCES)
    expected = pseudo_atrophy_bias(s).table().set_index("analysis")
    found = differences(population(s, N_TREATED, 7, noise=True), s)
    naive = found[ANALYSES[0]][1]
    for name in ANALYSES:
        estimate, std_error = found[name]
        assert abs(estimate - expected.loc[name, "difference"]) < 4 * std_error
        assert std_error / naive == pytest.approx(
            expected.loc[name, "relative_std_error"], rel=PRECISION
        )


def test_expected_slope_with_dropout_is_dense_generalised_least_squares():
    s = scenario(observed=DROPOUT, **VARIANCES)
    found = pseudo_atrophy_bias(s).table().set_index("analysis")["slope_treated"]
    year = np.array(YEARS)
    mean = -0.42 * year - 0.2 * (1 - np.exp(-year / 0.25))
    # A hundred subjects, as many as the shares say at each visit.
    seen = [round(100 * share) for share in DROPOUT]
    blocks = []
    for subject in range(100):
        use = np.array([subject < count for count in seen])
        X = np.column_stack([np.ones(use.sum()), year[use]])
        V = 0.09 * np.eye(use.sum()) + X @ np.diag([4.0, 0.25]) @ X.T
        blocks.append((X.T @ np.linalg.solve(V, X), X.T @ np.linalg.solve(V, mean[use])))
    slope = np.linalg.solve(sum(b[0] for b in blocks), sum(b[1] for b in blocks))[1]
    assert found[ANALYSES[0]] == pytest.approx(slope, rel=1e-8)


def test_early_loss_hides_slowing_and_the_figure_says_so():
    made = pseudo_atrophy_bias(scenario())
    table = made.table().set_index("analysis")
    assert (
        table.loc[ANALYSES[0], "slowing_pct"] < 20 < 27 < table.loc["new baseline", "slowing_pct"]
    )
    assert "a true slowing of 30 % looks like" in made.headline()
    start = made.curve[made.curve["early_change"] == 0]
    np.testing.assert_allclose(start["slowing_pct"], 30.0)
    assert_result_contract(made)


WRONG = (
    {"years": (0.0, 1.0)},
    {"years": (0.5, 1.0, 2.0)},
    {"slope": 0.0},
    {"error_sd": 0.0},
    {"shape": "sudden"},
    {"duration": -1.0},
    {"shape": "step", "duration": 0},
    {"rebaseline_at": 2.0},
    {"knot": 2.0},
    {"observed": (1.0, 0.9)},
    {"observed": (1.0, 0.9, 0.95, 0.9, 0.8, 0.7)},
)


@pytest.mark.parametrize("fields", WRONG)
def test_impossible_scenarios_are_refused(fields):
    with pytest.raises(DesignError):
        scenario(**fields)
