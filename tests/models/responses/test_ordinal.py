"""Cumulative logit models: clm and polr as stored witness, brute force, recovery, bad input."""

from __future__ import annotations

import dataclasses
import warnings
from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from properties import assert_covariance_matrix, assert_result_contract
from reference_cases import load_case
from scipy import optimize, stats

from pmsstats.errors import ConvergenceError, ConvergenceWarning, DesignError, FormulaError
from pmsstats.models.responses.cumulative_logit import cumulative_logit, level_probabilities
from pmsstats.models.responses.ordinal import OrdinalResult, OrdinalSpec, fit_ordinal

SPEC = OrdinalSpec(outcome="edss", fixed="year * arm + age_years")
KINDS = {"CR0": "cr0", "CR1": "cr1", None: "std_error"}
SAME_FIT = 1e-7  # relative: two fits of numbers that differ by rounding
DIFFERENCE = 2e-6  # relative: central differences with steps of 1e-5


def input_rows() -> pd.DataFrame:
    frame = load_case("ordinal_edss").input
    return frame.assign(arm=pd.Categorical(frame["arm"], categories=["placebo", "active"]))


@cache
def fitted(empirical: str | None = "CR0") -> OrdinalResult:
    return fit_ordinal(input_rows(), dataclasses.replace(SPEC, empirical=empirical))


# --- another implementation -------------------------------------------------------------------


@pytest.mark.parametrize("empirical", KINDS)
def test_errors_equal_those_of_r(empirical):
    expected = load_case("ordinal_edss").rows(KINDS[empirical])
    found = np.sqrt(np.diag(fitted(empirical).joint_covariance))
    assert (np.abs(found / expected["value"] - 1) <= expected["rtol"]).all()


def test_estimates_equal_those_of_clm():
    expected = load_case("ordinal_edss").rows("estimate")
    fit = fitted()
    terms = [f"threshold {t}" for t in fit.thresholds["term"]] + fit.table()["term"].tolist()
    assert terms == expected["term"].tolist()
    assert (np.abs(fit.parameters / expected["value"] - 1) <= expected["rtol"]).all()
    likelihood = load_case("ordinal_edss").rows("log_likelihood")["value"].iloc[0]
    assert fit.fit_log.log_likelihood == pytest.approx(likelihood, rel=1e-10)


def test_probabilities_equal_those_of_clm():
    new = pd.DataFrame({"year": [1.5], "arm": ["active"], "age_years": [50.0]})
    made = fitted(None).predict(new)
    case = load_case("ordinal_edss")
    for quantity, column in (("probability", "estimate"), ("probability_std_error", "std_error")):
        expected = case.rows(quantity)
        assert made["level"].tolist() == expected["term"].tolist()
        assert (np.abs(made[column] / expected["value"].to_numpy() - 1) <= 1e-5).all()


# --- brute force ------------------------------------------------------------------------------


def plain_log_likelihood(theta: np.ndarray, X: np.ndarray, level: np.ndarray, k: int) -> np.ndarray:
    """Differences of logistic distribution functions, row by row."""
    cuts = np.concatenate([[-np.inf], theta[: k - 1], [np.inf]])
    eta = X @ theta[k - 1 :]
    upper, lower = stats.logistic.cdf(cuts[level + 1] - eta), stats.logistic.cdf(cuts[level] - eta)
    return np.log(upper - lower)


def test_derivatives_equal_finite_differences():
    rng = np.random.default_rng(4)
    X, level = rng.normal(size=(40, 2)), rng.integers(0, 4, 40)
    theta = np.array([-1.0, 0.2, 1.1, 0.7, -0.4])
    terms = cumulative_logit(theta, X, level, 4)
    assert terms.log_likelihood == pytest.approx(plain_log_likelihood(theta, X, level, 4).sum())
    step = 1e-5 * np.eye(5)
    for j in range(5):
        up, down = (cumulative_logit(theta + s * step[j], X, level, 4) for s in (1, -1))
        plain = [plain_log_likelihood(theta + s * step[j], X, level, 4) for s in (1, -1)]
        slope = (plain[0] - plain[1]) / 2e-5
        assert np.allclose(terms.scores[:, j], slope, rtol=DIFFERENCE, atol=1e-8)
        curve = -(up.scores.sum(axis=0) - down.scores.sum(axis=0)) / 2e-5
        assert np.allclose(terms.information[j], curve, rtol=DIFFERENCE, atol=1e-6)


def test_tails_lose_no_digits():
    theta, X, level = np.array([-1.0, 1.0, 1.0]), np.array([[600.0], [-600.0]]), np.array([0, 2])
    terms = cumulative_logit(theta, X, level, 3)
    assert terms.log_likelihood == pytest.approx(-601.0 - 601.0)
    assert np.isfinite(terms.scores).all()


def test_gradients_of_probabilities_equal_finite_differences():
    theta, X = np.array([-0.5, 0.4, 0.8]), np.array([[0.3], [-1.2]])
    p, gradients = level_probabilities(theta, X, 3)
    assert np.allclose(p.sum(axis=1), 1)
    for j in range(3):
        step = np.zeros(3)
        step[j] = 1e-5
        up, down = (level_probabilities(theta + s * step, X, 3)[0] for s in (1, -1))
        assert np.allclose(gradients[:, :, j], (up - down) / 2e-5, atol=1e-9)


def test_two_levels_are_logistic_regression():
    frame = input_rows().assign(edss=lambda f: np.where(f["edss"] > 4.5, 6.0, 3.0))
    fit = fit_ordinal(frame, dataclasses.replace(SPEC, fixed="year", empirical=None))
    y, X = (
        (frame["edss"] > 4.5).to_numpy(float),
        np.column_stack([np.ones(len(frame)), frame["year"]]),
    )

    def loss(beta: np.ndarray) -> float:
        return float(-(y * (X @ beta) - np.logaddexp(0, X @ beta)).sum())

    beta = optimize.minimize(loss, np.zeros(2), method="BFGS", options={"gtol": 1e-9}).x
    p = stats.logistic.cdf(X @ beta)
    error = np.sqrt(np.diag(np.linalg.inv(X.T @ ((p * (1 - p))[:, None] * X))))
    assert fit.parameters == pytest.approx([-beta[0], beta[1]], rel=1e-5)
    assert fit.table()["std_error"].to_numpy() == pytest.approx(error[1:], rel=1e-5)


def test_without_covariates_thresholds_are_logits_of_shares():
    frame = input_rows()
    fit = fit_ordinal(frame, "edss ~ 1")
    share = frame["edss"].value_counts(normalize=True).sort_index().cumsum().to_numpy()[:-1]
    assert fit.thresholds["estimate"].to_numpy() == pytest.approx(np.log(share / (1 - share)))
    assert_result_contract_without_effects(fit)


def assert_result_contract_without_effects(fit: OrdinalResult) -> None:
    assert fit.headline().endswith(".")
    assert fit.table().empty
    assert fit.to_dict()["coefficients"] == []


def brant_by_hand(frame: pd.DataFrame, cuts: list[float]) -> tuple[float, int]:
    """Brant's omnibus statistic from separate logistic fits (Brant 1990)."""
    X = np.column_stack([np.ones(len(frame)), frame["year"], frame["age_years"]])
    fits = []
    for cut in cuts:
        y = (frame["edss"] > cut).to_numpy(float)
        beta = np.zeros(3)
        for _ in range(50):
            p = stats.logistic.cdf(X @ beta)
            beta = beta + np.linalg.solve(X.T @ ((p * (1 - p))[:, None] * X), X.T @ (y - p))
        fits.append((beta, stats.logistic.cdf(X @ beta)))
    blocks = [[None] * len(cuts) for _ in cuts]
    for i, (_, p) in enumerate(fits):
        for j, (_, q) in enumerate(fits):
            w = np.minimum(p, q) if i == j else fits[max(i, j)][1]
            middle = X.T @ ((w - p * q)[:, None] * X)
            left = np.linalg.inv(X.T @ ((p * (1 - p))[:, None] * X))
            right = np.linalg.inv(X.T @ ((q * (1 - q))[:, None] * X))
            blocks[i][j] = (left @ middle @ right)[1:, 1:]
    beta = np.concatenate([b[1:] for b, _ in fits])
    D = np.hstack([np.kron(np.ones((len(cuts) - 1, 1)), np.eye(2)), -np.eye(2 * (len(cuts) - 1))])
    values = D @ beta
    return float(values @ np.linalg.solve(D @ np.block(blocks) @ D.T, values)), len(values)


def test_proportional_odds_check_is_brants():
    frame = input_rows()
    spec = OrdinalSpec(outcome="edss", fixed="year + age_years", empirical=None)
    table = fit_ordinal(frame, spec).check_proportional_odds().set_index("term")
    statistic, df = brant_by_hand(frame, [3.5, 4.0, 4.5, 5.5, 6.0])
    assert table.loc["all", "statistic"] == pytest.approx(statistic, rel=1e-6)
    assert table.loc["all", "df"] == df
    assert table.loc["all", "p_value"] == pytest.approx(stats.chi2.sf(statistic, df))


@pytest.mark.slow
def test_proportional_odds_check_keeps_its_level():
    rng, replicates = np.random.default_rng(11), 200
    p_values = []
    for _ in range(replicates):
        x = rng.normal(size=400)
        y = np.searchsorted([-1.0, 0.5, 1.5], 0.8 * x + rng.logistic(size=400))
        frame = pd.DataFrame({"subject_id": range(400), "x": x, "score": y})
        fit = fit_ordinal(frame, OrdinalSpec(outcome="score", fixed="x"))
        p_values.append(fit.check_proportional_odds()["p_value"].iloc[0])
    rate = np.mean(np.array(p_values) < 0.05)
    assert abs(rate - 0.05) < 4 * np.sqrt(0.05 * 0.95 / replicates)


def test_proportional_odds_check_finds_a_departure():
    rng = np.random.default_rng(12)
    x = rng.normal(size=2000)
    y = np.where(x + rng.logistic(size=2000) > 0, 1 + (rng.random(2000) < 0.5), 0)
    frame = pd.DataFrame({"subject_id": range(2000), "x": x, "score": y})
    assert fit_ordinal(frame, "score ~ x").check_proportional_odds()["p_value"].iloc[0] < 1e-6


def test_proportional_odds_check_needs_something_to_compare():
    fit = fit_ordinal(input_rows(), "edss ~ 1")
    with pytest.raises(DesignError, match="no effects"):
        fit.check_proportional_odds()
    with pytest.raises(DesignError, match="at least 1000 rows"):
        fitted().check_proportional_odds(min_rows=1000)


# --- recovery ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_intervals_by_subject_cover_with_repeated_visits():
    rng = np.random.default_rng(8)
    n, visits, replicates = 120, 4, 300
    arm, covered = np.arange(n) % 2, np.zeros(2)
    subject = np.repeat(np.arange(n), visits)
    # A bridge distribution keeps the marginal logit exact (Wang and Louis 2003, Biometrika 90:765).
    phi, effect = 0.6, 0.9
    for _ in range(replicates):
        u = rng.random(n)
        bridge = np.log(np.sin(phi * np.pi * u) / np.sin(phi * np.pi * (1 - u))) / phi
        latent = effect / phi * arm[subject] + bridge[subject] + rng.logistic(size=n * visits)
        level = np.searchsorted([-1.5, 0.0, 2.0], latent)
        frame = pd.DataFrame({"subject_id": subject, "arm": arm[subject], "score": level})
        fit = fit_ordinal(frame, OrdinalSpec(outcome="score", fixed="arm"))
        off = abs(fit.table()["estimate"].iloc[0] - effect)
        errors = np.sqrt([fit.covariance[0, 0], fit.model_covariance[0, 0]])
        covered += off <= stats.norm.ppf(0.975) * errors
    robust, naive = covered / replicates
    assert abs(robust - 0.95) < 4 * np.sqrt(0.95 * 0.05 / replicates)
    assert naive < 0.85  # rows of one subject are not independent


# --- properties -------------------------------------------------------------------------------


def test_result_contract():
    assert_result_contract(fitted())
    assert_covariance_matrix(fitted().joint_covariance)
    assert fitted().table()["odds_ratio"].to_numpy() == pytest.approx(
        np.exp(fitted().table()["estimate"])
    )
    assert "5" in fitted().headline()  # nobody at EDSS 5.0


@settings(max_examples=8)
@given(st.integers(0, 2**32 - 1))
def test_order_of_rows_and_names_of_subjects_change_nothing(seed):
    rng = np.random.default_rng(seed)
    frame = input_rows().sample(frac=1, random_state=seed % 1000)
    names = rng.permutation(frame["subject_id"].unique())
    renamed = dict(zip(frame["subject_id"].unique(), names, strict=True))
    fit = fit_ordinal(frame.assign(subject_id=frame["subject_id"].map(renamed)), SPEC)
    assert fit.table()["estimate"].to_numpy() == pytest.approx(
        fitted().table()["estimate"].to_numpy(), rel=SAME_FIT
    )
    assert fit.table()["std_error"].to_numpy() == pytest.approx(
        fitted().table()["std_error"].to_numpy(), rel=SAME_FIT
    )


def test_units_of_columns_change_nothing_else():
    frame = input_rows().assign(
        day=lambda f: f["year"] * 365.25, tiny=lambda f: f["age_years"] * 1e-6
    )
    fit = fit_ordinal(frame, dataclasses.replace(SPEC, fixed="day * arm + tiny"))
    scale = np.array([1 / 365.25, 1, 1e6, 1 / 365.25])
    for column in ("estimate", "std_error"):
        assert fit.table()[column].to_numpy() == pytest.approx(
            fitted().table()[column].to_numpy() * scale, rel=SAME_FIT
        )
    assert fit.table()["p_value"].to_numpy() == pytest.approx(
        fitted().table()["p_value"].to_numpy(), rel=1e-5
    )


def test_reversed_scores_flip_signs():
    fit = fit_ordinal(input_rows().assign(edss=lambda f: 10 - f["edss"]), SPEC)
    assert fit.table()["estimate"].to_numpy() == pytest.approx(
        -fitted().table()["estimate"].to_numpy(), rel=SAME_FIT
    )


def test_standardised_shares_are_averages_of_predictions():
    made = fitted().means("arm")
    frame = input_rows()
    both = frame.assign(
        arm=pd.Categorical(["active"] * len(frame), categories=["placebo", "active"])
    )
    by_hand = fitted().predict(both).groupby("level")["estimate"].mean()
    mine = made[made["group"] == "active"].set_index("level")["estimate"]
    assert mine[by_hand.index].to_numpy() == pytest.approx(by_hand.to_numpy())
    assert made.groupby("group")["estimate"].sum().to_numpy() == pytest.approx([1.0, 1.0])


def test_rank_deficient_columns_are_dropped_and_named():
    frame = input_rows().assign(months=lambda f: 12 * f["year"])
    fit = fit_ordinal(frame, dataclasses.replace(SPEC, fixed="year * arm + age_years + months"))
    assert any("months" in note for note in fit.notes)
    assert fit.table()["estimate"].to_numpy() == pytest.approx(
        fitted().table()["estimate"].to_numpy(), rel=SAME_FIT
    )


# --- bad input --------------------------------------------------------------------------------


def test_missing_and_infinite_values_are_counted():
    frame = input_rows().reset_index(drop=True)
    frame.loc[:2, "edss"] = np.nan
    frame.loc[3, "age_years"] = np.inf
    fit = fit_ordinal(frame, SPEC)
    assert fit.n_obs == len(frame) - 4
    rows = fit.excluded()
    assert rows[rows["unit"] == "row"]["n"].sum() == 4


def test_ordered_categories_keep_their_order_and_tell_of_empty_ones():
    frame = input_rows()
    words = ["mild", "none at all", "severe"]
    labels = np.where(frame["edss"] < 4.5, words[0], words[2])
    column = pd.Categorical(labels, categories=words, ordered=True)
    fit = fit_ordinal(frame.assign(state=column), dataclasses.replace(SPEC, outcome="state"))
    assert fit.levels == ("mild", "severe")
    assert any("none at all" in note for note in fit.notes)


def test_separation_is_told():
    frame = input_rows()
    frame["late"] = (frame["edss"] > 5).astype(float)
    with pytest.raises(ConvergenceError, match="late separates"):
        fit_ordinal(frame, dataclasses.replace(SPEC, fixed="age_years + late"))
    with pytest.warns(ConvergenceWarning, match="late"):
        fit_ordinal(frame, dataclasses.replace(SPEC, fixed="late"), on_failure="warn")


def test_large_but_finite_effects_are_no_separation():
    rng = np.random.default_rng(2)
    x = np.repeat([0.0, 1.0], 400)
    y = np.searchsorted([0.0, 9.0], 9 * x + rng.logistic(size=800))
    frame = pd.DataFrame({"subject_id": range(800), "x": x, "score": y})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit = fit_ordinal(frame, "score ~ x")
    assert fit.fit_log.converged


@pytest.mark.parametrize(
    ("change", "formula", "match"),
    [
        ({"edss": 4.0}, "edss ~ year", "every row has 4"),
        ({"edss": "bad"}, "edss ~ year", "holds text"),
        ({"edss": np.nan}, "edss ~ year", "No row is left"),
        ({"subject_id": "S1"}, "edss ~ year", "the data have one"),
        ({}, "edss ~ 0 + year", "cannot be without one"),
        ({}, "edss ~ year + (1 | subject_id)", "no random terms"),
        ({}, "log(edss) ~ year", "as it was recorded"),
        ({}, "edss ~ yeer", "Did you mean 'year'"),
        ({"edss": np.arange(379.0)}, "edss ~ year", "distinct values"),
    ],
)
def test_bad_requests_are_refused(change, formula, match):
    with pytest.raises((DesignError, FormulaError), match=match):
        fit_ordinal(input_rows().assign(**change), formula)


def test_too_few_rows_are_refused():
    with pytest.raises(DesignError, match="cannot determine"):
        fit_ordinal(input_rows().groupby("edss").head(1), "edss ~ year + age_years")


@pytest.mark.parametrize(
    "change",
    [{"conf_level": 95}, {"empirical": "CR9"}, {"fixed": "(1 | x)"}],
)
def test_bad_specs_are_refused(change):
    with pytest.raises(DesignError):
        dataclasses.replace(SPEC, **change)
