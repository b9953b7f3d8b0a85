"""The whole way: exact without gaps, invariances, known truths by simulation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from missing_trials import draw_outcomes, drop_out, long_frame, small_trial
from properties import assert_result_contract
from scipy import stats

from pmsstats.errors import ConvergenceError, DesignError
from pmsstats.models.missing import (
    DeltaAdjustment,
    EstimandStrategy,
    MissingSpec,
    estimate_with_missing,
    impute,
)

ROUNDING = 1e-9
SAME_MAXIMUM = 1e-7  # fits of shifted or mirrored data end within this of each other
STRATEGIES = ("MAR", "JR", "CR", "CIR", "LMCF")
METHODS = ("bayes", "bootstrap", "conditional_mean")


def spec_of(**options) -> MissingSpec:
    start = {"outcome": "y", "reference": "placebo", "n_imputations": 5, "burn_in": 5}
    return MissingSpec(**{**start, **options})


def estimates(table: pd.DataFrame, seed: int = 1, **options) -> pd.DataFrame:
    return estimate_with_missing(table, spec_of(**options), seed=seed).table()


def numbers(table: pd.DataFrame) -> np.ndarray:
    return table[["estimate", "std_error", "conf_low", "conf_high"]].to_numpy()


# --- without gaps --------------------------------------------------------------------------------


@pytest.mark.parametrize("dropout", STRATEGIES)
@pytest.mark.parametrize("method", ["bayes", "bootstrap"])
def test_without_gaps_it_is_the_analysis_of_covariance(method, dropout):
    table = small_trial(complete=True)
    found = estimates(table, method=method, dropout=dropout, covariates=("x",))
    for row in found.itertuples():
        at = table[table["visit"] == row.visit]
        X = np.column_stack([np.ones(60), at["arm"] == "active", at["x"]]).astype(float)
        inverse = np.linalg.inv(X.T @ X)
        b = inverse @ X.T @ at["y"].to_numpy()
        s2 = ((at["y"] - X @ b) ** 2).sum() / 57
        se = np.sqrt(s2 * inverse[1, 1])
        assert [row.estimate, row.std_error] == pytest.approx([b[1], se], rel=ROUNDING)
        assert row.df == 57
        assert row.p_value == pytest.approx(2 * stats.t.sf(abs(b[1] / se), 57), rel=ROUNDING)


@pytest.mark.parametrize("dropout", STRATEGIES)
def test_without_gaps_the_jackknife_is_that_of_a_difference_of_means(dropout):
    table = small_trial(complete=True)
    row = estimates(table, method="conditional_mean", dropout=dropout).iloc[-1]
    last = table[table["visit"] == "W48"]
    one, other = (last.loc[last["arm"] == a, "y"].to_numpy() for a in ("active", "placebo"))
    # Leaving one of m out moves a mean by (mean - y) / (m - 1): closed form, arms of equal size.
    n = 60
    moves = np.concatenate([(y.mean() - y) / (len(y) - 1) for y in (one, other)])
    se = np.sqrt((n - 1) / n * (moves**2).sum())
    assert row["estimate"] == pytest.approx(one.mean() - other.mean(), rel=ROUNDING)
    assert row["std_error"] == pytest.approx(se, rel=ROUNDING)


# --- invariances ---------------------------------------------------------------------------------

each_method = pytest.mark.parametrize("method", METHODS)


@each_method
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=6)
def test_rows_and_names_change_nothing(method, seed):
    table = small_trial()
    rng = np.random.default_rng(seed)
    names = dict(zip(table["subject_id"].unique(), rng.permutation(60), strict=True))
    other = table.assign(subject_id=table["subject_id"].map(names)).sample(
        frac=1, random_state=seed % 99
    )
    options = {"method": method, "covariates": ("x",), "dropout": "CIR"}
    one, two = estimates(table, **options), estimates(other, **options)
    np.testing.assert_allclose(numbers(one), numbers(two), atol=ROUNDING)


@given(shift=st.floats(-50, 50), scale=st.floats(0.01, 100))
@settings(max_examples=8)
def test_a_constant_changes_nothing_and_units_scale(shift, scale):
    table = small_trial()
    one = estimates(table, method="conditional_mean", dropout="JR")
    two = estimates(
        table.assign(y=table["y"] * scale + shift), method="conditional_mean", dropout="JR"
    )
    np.testing.assert_allclose(numbers(two) / scale, numbers(one), atol=SAME_MAXIMUM * 10)


@pytest.mark.parametrize("dropout", STRATEGIES)
def test_mirrored_outcomes_mirror_the_effect(dropout):
    table = small_trial()
    options = {"method": "conditional_mean", "dropout": dropout}
    one, two = estimates(table, **options), estimates(table.assign(y=-table["y"]), **options)
    np.testing.assert_allclose(one["estimate"], -two["estimate"], atol=SAME_MAXIMUM)
    np.testing.assert_allclose(one["std_error"], two["std_error"], atol=SAME_MAXIMUM)


def test_swapped_arms_flip_the_sign_under_mar():
    table = small_trial()
    one = estimates(table, method="conditional_mean")
    two = estimates(table, method="conditional_mean", reference="active")
    np.testing.assert_allclose(one["estimate"], -two["estimate"], atol=SAME_MAXIMUM)
    np.testing.assert_allclose(one["std_error"], two["std_error"], atol=SAME_MAXIMUM)


def test_the_reference_arm_does_not_depend_on_reference_based_strategies():
    table = small_trial()
    frames = [
        impute(table, spec_of(method="conditional_mean", dropout=name), seed=1).frame(0)
        for name in ("MAR", "JR", "CR", "CIR")
    ]
    for frame in frames[1:]:
        same = frame["arm"] == "placebo"
        np.testing.assert_allclose(frame.loc[same, "y"], frames[0].loc[same, "y"], atol=0)


@each_method
def test_a_delta_of_zero_is_none(method):
    table = small_trial()
    zero = (DeltaAdjustment(arm="active", values=0.0),)
    pd.testing.assert_frame_equal(
        estimates(table, method=method), estimates(table, method=method, delta=zero)
    )


@each_method
def test_seeds_repeat_and_differ(method):
    table = small_trial()
    one, again = estimates(table, 3, method=method), estimates(table, 3, method=method)
    pd.testing.assert_frame_equal(one, again)
    other = estimates(table, 4, method=method)
    assert (one["std_error"].iloc[-1] != other["std_error"].iloc[-1]) == (method in METHODS[:2])


def test_missed_rows_are_missed_values():
    table = small_trial()
    options = {"method": "conditional_mean", "dropout": "JR"}
    pd.testing.assert_frame_equal(
        estimates(table, **options), estimates(table.dropna(subset="y"), **options)
    )


# --- analyses ------------------------------------------------------------------------------------


def test_slopes_are_least_squares_lines_of_completed_data():
    table = small_trial()
    spec = spec_of(method="conditional_mean", analysis="slope")
    frame = impute(table, spec, seed=1).frame(0)
    slopes = frame.groupby("subject_id").apply(
        lambda d: np.polyfit(d["year"], d["y"], 1)[0], include_groups=False
    )
    arm = frame.groupby("subject_id")["arm"].first()
    by_hand = slopes[arm == "active"].mean() - slopes[arm == "placebo"].mean()
    found = estimate_with_missing(table, spec, seed=1).table()
    assert found["visit"].tolist() == ["slope"]
    assert found["estimate"].item() == pytest.approx(by_hand, rel=ROUNDING)


def by_t_test(frame: pd.DataFrame) -> tuple[float, float, float]:
    """Compare arms at the last visit by Student's t test."""
    last = frame[frame["visit"] == "W48"]
    one, other = (last.loc[last["arm"] == a, "y"] for a in ("active", "placebo"))
    test = stats.ttest_ind(one, other)
    return one.mean() - other.mean(), (one.mean() - other.mean()) / test.statistic, test.df


@pytest.mark.parametrize(("method", "variance"), [
    ("bayes", "jackknife"), ("conditional_mean", "jackknife"), ("conditional_mean", "bootstrap"),
])  # fmt: skip
def test_any_function_of_a_completed_frame_is_an_analysis(method, variance):
    table = small_trial()
    options = {"method": method, "variance": variance}
    own = estimates(table, analysis=by_t_test, **options)
    built_in = estimates(table, **options).iloc[[-1]]
    np.testing.assert_allclose(numbers(own), numbers(built_in), atol=ROUNDING)


def test_three_arms_are_each_compared_with_the_reference():
    table = small_trial(n=90)
    number = table["subject_id"].str[1:].astype(int)
    table["arm"] = pd.Categorical.from_codes(number % 3, ["none", "low", "high"], ordered=True)
    found = estimates(table, reference=None, method="conditional_mean", dropout="JR")
    assert found["term"].tolist() == ["low - none", "high - none"] * 3
    two = table[table["arm"] != "low"]
    means = two[two["visit"] == "W12"].groupby("arm", observed=True)["y"].mean()
    assert found["estimate"][1] == pytest.approx(means["high"] - means["none"], rel=1e-9)


# --- words ---------------------------------------------------------------------------------------

EVENTS = pd.DataFrame({"subject_id": ["S001", "S004"], "event": ["rescue", "death"], "day": 100})


@pytest.mark.parametrize("options", [
    {"dropout": "JR"},
    {"method": "conditional_mean", "variance": "bootstrap", "interval": "percentile",
     "n_imputations": 40},
    {"analysis": by_t_test},
    {"analysis": "slope", "covariance_by_arm": True, "covariates": ("x",)},
], ids=["bayes", "percentile", "callable", "slope"])  # fmt: skip
def test_results_honour_the_contract(options):
    rules = {
        "rescue": "hypothetical",
        "death": EstimandStrategy(event="death", strategy="composite", failure_value=-3.0),
    }
    spec = spec_of(strategies=rules, **options)
    result = estimate_with_missing(small_trial(), spec, intercurrent=EVENTS, seed=1)
    assert_result_contract(result)
    assert "1 subject with death counted as failures" in result.headline()
    assert "with rescue (hypothetical) imputed" in result.headline()


def test_what_was_set_aside_or_left_out_is_counted():
    table = small_trial(complete=True)
    table.loc[table["subject_id"] == "S007", "x"] = np.nan
    spec = spec_of(strategies={"rescue": "hypothetical", "death": "MAR"}, covariates=("x",))
    result = estimate_with_missing(table, spec, intercurrent=EVENTS, seed=1)
    assert result.n_subjects == 59
    found = [(e.unit, e.reason, e.n, e.subject_ids) for e in result.exclusions]
    assert found == [
        ("subject", "no x at baseline", 1, ("S007",)),
        ("visit", "observed after rescue (hypothetical)", 2, ("S001",)),
    ]
    assert result.imputed[["event", "n_imputed"]].to_numpy().tolist() == [
        ["death", 0],
        ["rescue", 2],
    ]


def test_a_covariate_that_the_arm_determines_is_refused():
    table = small_trial()
    table["x"] = (table["arm"] == "active").astype(float)
    with pytest.raises(ConvergenceError, match="covariates that arms or each other determine"):
        estimates(table, covariates=("x",))


def test_visits_that_nobody_has_both_of_are_refused():
    table = small_trial(complete=True)
    even = table["subject_id"].str[1:].astype(int) % 4 < 2
    table.loc[np.where(even, table["visit"] == "W24", table["visit"] == "W48"), "y"] = np.nan
    with pytest.raises(ConvergenceError, match="visits that nobody has both of"):
        estimates(table)


def test_a_request_of_another_kind_is_refused():
    with pytest.raises(DesignError, match="`spec` must be a MissingSpec, got str"):
        estimate_with_missing(small_trial(), "y ~ arm", seed=1)


# --- simulation ----------------------------------------------------------------------------------

N, EFFECT, N_TRIALS = 80, 0.9, 200  # EFFECT: 0.3 per visit, at the third


def simulated(**options) -> pd.DataFrame:
    arm, rng = np.arange(N) % 2, np.random.default_rng(20)
    rows = []
    for seed in range(N_TRIALS):
        table = long_frame(drop_out(draw_outcomes(rng, N), rng), arm)
        rows.append(estimates(table, seed, **options).iloc[-1])
    return pd.DataFrame(rows)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_under_mar_estimates_are_unbiased_and_intervals_cover(method):
    found = simulated(method=method, n_imputations=20, burn_in=15)
    sd = found["estimate"].std()
    assert abs(found["estimate"].mean() - EFFECT) < 4 * sd / np.sqrt(N_TRIALS)
    covered = ((found["conf_low"] < EFFECT) & (found["conf_high"] > EFFECT)).mean()
    assert abs(covered - 0.95) < 4 * np.sqrt(0.95 * 0.05 / N_TRIALS)
    mean_error = np.sqrt((found["std_error"] ** 2).mean())
    assert abs(mean_error / sd - 1) < 4 / np.sqrt(2 * N_TRIALS)


@pytest.mark.slow
def test_under_jr_rubins_rules_are_conservative_and_the_jackknife_is_not():
    """Known: Bartlett 2023 (Stat Biopharm Res 15:178) and Wolbers et al. 2022, table 3."""
    rubin = simulated(dropout="JR", n_imputations=20, burn_in=15)
    jackknife = simulated(dropout="JR", method="conditional_mean")
    sd = jackknife["estimate"].std()
    margin = 4 / np.sqrt(2 * N_TRIALS)  # of a standard deviation, relative
    assert abs(jackknife["std_error"].mean() / sd - 1) < margin
    assert rubin["std_error"].mean() / sd > 1 + margin
