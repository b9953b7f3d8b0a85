"""What a joint result says: tables, words, tests, random effects, hazards, figures."""

from __future__ import annotations

import json
from functools import cache

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from joint_tables import simulate
from properties import assert_covariance_matrix, assert_result_contract
from scipy import stats

from pmsstats.errors import DesignError
from pmsstats.models.joint.joint import fit_joint
from pmsstats.models.joint.result import JointResult

FORMULA = "nfl ~ year + year:arm + (year | subject_id)"
ROUNDING = 1e-10
STEP = 1e-4  # of central differences
FITS = {
    "value": {"baseline": "weibull"},
    "causes": {"baseline": "weibull", "cause": "cause"},
    "strata": {"hazard": "1", "strata": "arm", "baseline": "piecewise", "n_intervals": 3},
    "slope": {"association": "value + slope", "baseline": "bspline"},
    "treated": {"baseline": "weibull", "interaction": "arm"},
    "none": {"baseline": "weibull", "association": "none"},
}


@cache
def fitted(name: str) -> JointResult:
    """Fit one of the models."""
    visits, subjects = simulate(250, seed=17)
    rng = np.random.default_rng(2)
    cause = np.where(subjects["event"], rng.choice(["death", "relapse"], len(subjects)), None)
    options = {"hazard": "arm"} | FITS[name]
    return fit_joint(visits, subjects.assign(cause=cause), FORMULA, origin="synthetic", **options)


@pytest.mark.parametrize("name", FITS)
def test_every_result_honours_the_contract(name: str) -> None:
    fit = fitted(name)
    assert_result_contract(fit)
    assert_covariance_matrix(fit.covariance)
    assert json.loads(json.dumps(fit.to_dict()))["schema"] == "joint_result/1"
    assert fit.n_parameters == len(fit.estimates) + len(fit.variance_components)
    assert fit.aic == pytest.approx(-2 * fit.log_likelihood + 2 * fit.n_parameters)
    assert fit.bic == pytest.approx(-2 * fit.log_likelihood + np.log(250) * fit.n_parameters)


def test_table_names_causes_only_where_there_are_several() -> None:
    assert "cause" not in fitted("value").table()
    assert set(fitted("causes").table()["cause"]) == {"", "death", "relapse"}
    assert list(fitted("value").table()["part"].unique()) == [
        "association",
        "hazard",
        "longitudinal",
        "baseline",
        "variance",
    ]


def test_headlines_say_it_in_clinical_words() -> None:
    words = fitted("value").headline()
    assert words.startswith("A true nfl higher by one SD between subjects (")
    assert "times the hazard (95 % CI" in words
    assert "in 250 subjects with" in words
    assert words.endswith("joint model, ML converged.")
    assert "rises faster by one SD" in fitted("slope").headline()
    assert "the others being equal" in fitted("slope").headline()
    assert "of death, in 250 subjects" in fitted("causes").headline()
    assert "where the interacting covariates are 0" in fitted("treated").headline()
    assert fitted("none").headline().startswith("Markers and events without association")


def test_associations_per_sd_use_the_true_spread() -> None:
    fit = fitted("slope")
    table = fit.association_table().set_index("term")
    spread = fit.variance_components.set_index("term")["estimate"]
    assert table.loc["value(nfl)", "sd"] == pytest.approx(spread["sd(intercept)"])
    assert table.loc["slope(nfl)", "sd"] == pytest.approx(spread["sd(year)"])
    np.testing.assert_allclose(table["estimate_per_sd"], table["estimate"] * table["sd"])
    np.testing.assert_allclose(table["hazard_ratio_per_sd"], np.exp(table["estimate_per_sd"]))


def test_errors_of_spreads_are_those_of_the_delta_method() -> None:
    fit = fitted("value")
    theta, covariance = fit.maximum.theta, fit.maximum.covariance

    def spreads(vector: np.ndarray) -> np.ndarray:
        natural = fit.design.scale.natural(vector)
        sd = np.sqrt(np.diag(natural.D))
        return np.array([*sd, natural.D[0, 1] / sd.prod(), natural.sigma[0]])

    steps = STEP * np.eye(len(theta))
    J = np.column_stack([(spreads(theta + s) - spreads(theta - s)) / (2 * STEP) for s in steps])
    expected = np.sqrt(np.diag(J @ covariance @ J.T))
    np.testing.assert_allclose(fit.variance_components["std_error"], expected, rtol=1e-6)
    np.testing.assert_allclose(fit.variance_components["estimate"], spreads(theta), rtol=ROUNDING)


def test_wald_test_of_one_coefficient_is_its_z_test() -> None:
    fit = fitted("value")
    row = fit.estimates.set_index("term").loc["arm[T.active]"]
    test = fit.wald_test(["arm[T.active]"])
    assert test["statistic"] == pytest.approx(row["statistic"] ** 2)
    assert test["p_value"] == pytest.approx(row["p_value"])
    assert fit.wald_test(["year", "year:arm[T.active]"])["df"] == 2
    with pytest.raises(DesignError, match=r"names 'arm', which is no coefficient"):
        fit.wald_test(["arm"])


def test_likelihood_ratio_test_compares_nested_models() -> None:
    fit, smaller = fitted("value"), fitted("none")
    test = fit.likelihood_ratio_test(smaller)
    assert test["df"] == 1
    difference = 2 * (fit.log_likelihood - smaller.log_likelihood)
    assert test["statistic"] == pytest.approx(difference)
    assert test["p_value"] == pytest.approx(stats.chi2.sf(difference, 1))
    with pytest.raises(DesignError, match="not nested"):
        smaller.likelihood_ratio_test(fit)
    visits, subjects = simulate(100, seed=1)
    other = fit_joint(visits, subjects, FORMULA, baseline="weibull")
    with pytest.raises(DesignError, match="other data"):
        fit.likelihood_ratio_test(other)


def test_random_effects_of_markers_alone_are_those_of_the_mixed_model() -> None:
    fit = fitted("none")
    natural = fit.design.scale.natural(fit.maximum.theta)
    rows = fit.data.rows[0][fit.data.codes[0] == 3]
    t = rows["year"].to_numpy()
    arm = float(rows["arm"].iloc[0] == "active")
    Z = np.column_stack([np.ones(len(t)), t])
    beta = natural.beta
    residual = rows["nfl"].to_numpy() - beta[0] - (beta[1] + beta[2] * arm) * t
    V = Z @ natural.D @ Z.T + natural.sigma[0] ** 2 * np.eye(len(t))
    gain = natural.D @ Z.T @ np.linalg.inv(V)
    mine = fit.blups().query("subject_id == @fit.subject_ids[3]")
    np.testing.assert_allclose(mine["estimate"], gain @ residual, rtol=1e-6)
    sd = np.sqrt(np.diag(natural.D - gain @ Z @ natural.D))
    np.testing.assert_allclose(mine["std_error"], sd, rtol=1e-6)
    lines = fit.trajectories([0.0, 2.0]).query("subject_id == @fit.subject_ids[3]")
    b = mine["estimate"].to_numpy()
    expected = [beta[0] + b[0], beta[0] + b[0] + 2 * (beta[1] + beta[2] * arm + b[1])]
    np.testing.assert_allclose(lines["estimate"], expected, rtol=1e-6)
    np.testing.assert_allclose(lines["std_error"].iloc[0], sd[0], rtol=1e-6)


def test_hazard_of_markers_alone_is_the_estimated_one() -> None:
    fit = fitted("none")
    psi = fit.estimates.query("part == 'baseline'")["estimate"].to_numpy()
    share = (fit.data.events.frame["arm"] == "active").mean()
    arm = fit.estimates.query("part == 'hazard'")["estimate"].iloc[0]
    found = fit.baseline_hazard([0.5, 2.0])
    expected = np.exp(psi[0] + arm * share + psi[1] * np.log([0.5, 2.0]))
    np.testing.assert_allclose(found["hazard"], expected, rtol=1e-8)
    cumulative = expected * np.array([0.5, 2.0]) / (1 + psi[1])
    np.testing.assert_allclose(found["cumulative_hazard"], cumulative, rtol=1e-3)
    assert (found["conf_low"] < found["hazard"]).all()
    with pytest.raises(DesignError, match="must be above 0"):
        fit.baseline_hazard([0.0])


def test_strata_have_hazards_of_their_own() -> None:
    frame = fitted("strata").baseline_hazard()
    assert frame.groupby("stratum").size().to_dict() == {"active": 100, "placebo": 100}


def test_figures_show_ratios_and_hazards() -> None:
    fit = fitted("causes")
    figure, axes = plt.subplots(1, 2)
    forest = fit.plot(ax=axes[0])
    labels = [label.get_text() for label in forest.get_yticklabels()]
    assert labels[0].replace("\n", " ") == "death: value(nfl), per SD"
    assert len(labels) == 4
    hazards = fit.plot_baseline(ax=axes[1])
    lines = [line for line in hazards.lines if line.get_gid() == "hazard"]
    assert len(lines) == 2
    assert hazards.get_yscale() == "log"
    plt.close(figure)


def test_two_stage_estimates_stand_beside_the_joint_ones() -> None:
    start = fitted("value").start
    assert list(start.columns) == ["part", "marker", "cause", "term", "two_stage", "joint"]
    assert isinstance(start, pd.DataFrame)
    np.testing.assert_allclose(start["joint"], fitted("value").estimates["estimate"])
