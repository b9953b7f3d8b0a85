"""Predictions: Henderson's equations by dense matrices, lme4, TMB, and coverage."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from dense_mixed import ARMS, Dense, expected, postfit, postfit_case, postfit_data, rtol
from properties import assert_covariance_matrix, assert_result_contract
from scipy import stats

from pmsstats.errors import DesignError
from pmsstats.models import LMMSpec, fit_lmm
from pmsstats.models.fixed_effects.degrees_of_freedom import FixedDf, NormalInference
from pmsstats.models.mixed.influence import estimate_influence
from pmsstats.models.mixed.lmm_checks import added_curvature
from pmsstats.models.mixed.lmm_diagnostics import estimate_residuals
from pmsstats.models.mixed.lmm_prediction import (
    blup_covariances,
    estimate_blups,
    predict_marginal,
    predict_subjects,
    target_variance,
)
from pmsstats.models.mixed.mixed_state import evaluate_state, mixed_state, open_directions

DENSE = 1e-8  # relative: inverses of matrices of all rows at once
RANDOM = ["(year | subject_id)", "(year || subject_id)", "(1 | subject_id)"]
NEW = pd.DataFrame(
    {
        "subject_id": ["S00", "S03", "S03", "S17"],
        "year": [0.0, 2.0, 5.0, 1.5],
    }
)


def new_rows() -> pd.DataFrame:
    first = postfit_data().drop_duplicates("subject_id").set_index("subject_id")
    return NEW.join(first[["arm", "age_years"]], on="subject_id")


def with_df(fit):
    """Return the fit with an inference that has degrees of freedom."""
    size = len(fit.covariance)
    inference = FixedDf(covariance=fit.covariance, per_coefficient=np.full(size, 20.0))
    return dataclasses.replace(fit, inference=inference)


@pytest.mark.parametrize("quantity", ["condvar", "pev"])
def test_variances_of_random_effects_match_lme4_and_tmb(quantity):
    fit = postfit()
    found = blup_covariances(mixed_state(fit), conditional=quantity == "condvar")
    position = {str(i): k for k, i in enumerate(fit.design.subject_ids)}
    names = {"intercept": 0, "year": 1}
    values = expected(quantity)
    assert len(values) == 3 * fit.n_subjects
    size = np.abs(found).max(axis=0)
    for term, value in values.items():
        who, one, two = term.split(" | ")
        i, j = names[one], names[two]
        error = abs(found[position[who], i, j] - value)
        assert error <= rtol(quantity) * np.sqrt(size[i, i] * size[j, j]), term


@pytest.mark.parametrize("random", RANDOM)
@pytest.mark.parametrize("method", ["REML", "ML"])
def test_prediction_errors_are_those_of_hendersons_equations(random, method):
    fit = postfit(random, method)
    dense = Dense.of(fit)
    full = dense.henderson()
    p = dense.X.shape[1]
    covariances = blup_covariances(mixed_state(fit))
    known = np.linalg.inv(dense.Z.T @ np.linalg.inv(dense.R) @ dense.Z + np.linalg.inv(dense.G))
    conditional = blup_covariances(mixed_state(fit), conditional=True)
    for i in range(fit.n_subjects):
        part = slice(i * dense.q, (i + 1) * dense.q)
        mine = full[p:, p:][part, part]
        assert covariances[i] == pytest.approx(mine, rel=DENSE, abs=DENSE * np.abs(mine).max())
        assert conditional[i] == pytest.approx(known[part, part], rel=DENSE, abs=1e-10)
        assert_covariance_matrix(covariances[i])


def test_predictions_match_lme4_and_tmb():
    fit = postfit()
    found = predict_subjects(fit, new_rows())
    label = [f"{i} | {t:g}" for i, t in zip(NEW["subject_id"], NEW["year"], strict=True)]
    marginal = predict_marginal(fit, new_rows())
    for k, term in enumerate(label):
        assert found["estimate"][k] == pytest.approx(
            expected("predicted")[term], rel=rtol("predicted")
        )
        assert marginal["estimate"][k] == pytest.approx(
            expected("predicted_marginal")[term], rel=rtol("predicted_marginal")
        )
        assert found["std_error"][k] == pytest.approx(
            expected("predicted_se")[term], rel=rtol("predicted_se")
        )


@pytest.mark.parametrize("random", RANDOM)
def test_predictions_are_those_of_dense_matrices(random):
    fit = postfit(random)
    dense = Dense.of(fit)
    full = dense.henderson()
    rows = new_rows()
    X, Z = fit.design.fixed_matrix(rows), fit.design.random_matrix(rows)
    found = predict_subjects(fit, rows)
    position = {i: k for k, i in enumerate(fit.design.subject_ids)}
    for k, who in enumerate(rows["subject_id"]):
        w = np.zeros(len(full))
        w[: X.shape[1]] = X[k]
        start = X.shape[1] + position[who] * dense.q
        w[start : start + dense.q] = Z[k]
        variance = w @ full @ w
        assert found["std_error"][k] == pytest.approx(np.sqrt(variance), rel=DENSE)
        total = np.sqrt(variance + fit.residual_sd**2)
        assert found["new_std_error"][k] == pytest.approx(total, rel=DENSE)


def test_a_new_subject_is_the_mean_with_all_variation():
    fit = postfit()
    dense = Dense.of(fit)
    rows = new_rows().assign(subject_id="nobody")
    X, Z = fit.design.fixed_matrix(rows), fit.design.random_matrix(rows)
    beta, C = dense.gls()
    G = dense.G[:2, :2]
    own = np.einsum("ma,ab,mb->m", X, C, X) + np.einsum("ma,ab,mb->m", Z, G, Z)
    found = predict_subjects(fit, rows)
    assert found["estimate"].to_numpy() == pytest.approx(X @ beta, rel=1e-6)
    assert found["std_error"].to_numpy() == pytest.approx(np.sqrt(own), rel=DENSE)
    marginal = predict_marginal(fit, rows.drop(columns="subject_id"))
    assert marginal["new_std_error"].to_numpy() == pytest.approx(
        np.sqrt(own + fit.residual_sd**2), rel=DENSE
    )
    assert marginal["std_error"].to_numpy() == pytest.approx(
        fit.predict(rows)["std_error"].to_numpy(), rel=DENSE
    )


def satterthwaite_by_differences(fit, rows, extra):
    """Differentiate Henderson's variance in G and R numerically; information by dense traces."""
    dense = Dense.of(fit)
    p, step = dense.X.shape[1], 1e-5
    n_subjects = fit.n_subjects
    X, Z = fit.design.fixed_matrix(rows), fit.design.random_matrix(rows)
    position = {i: k for k, i in enumerate(fit.design.subject_ids)}
    shapes = [
        np.array(m, dtype=float) for m in ([[1, 0], [0, 0]], [[0, 1], [1, 0]], [[0, 0], [0, 1]])
    ]
    n = len(dense.y)
    scale = [dense.G[0, 0], abs(dense.G[0, 1]), dense.G[1, 1], dense.R[0, 0]]

    def variance(theta, k):
        G = np.kron(np.eye(n_subjects), sum(t * s for t, s in zip(theta[:3], shapes, strict=True)))
        moved = dataclasses.replace(dense, G=G, R=theta[3] * np.eye(n))
        w = np.zeros(p + n_subjects * 2)
        w[:p] = X[k]
        start = p + position[rows["subject_id"].iloc[k]] * 2
        w[start : start + 2] = Z[k]
        return w @ moved.henderson() @ w + extra * theta[3]

    theta = np.array([dense.G[0, 0], dense.G[0, 1], dense.G[1, 1], dense.R[0, 0]])
    V = dense.V
    W = np.linalg.inv(V)
    P = W - W @ dense.X @ np.linalg.inv(dense.X.T @ W @ dense.X) @ dense.X.T @ W
    parts = [dense.Z @ np.kron(np.eye(n_subjects), s) @ dense.Z.T for s in shapes] + [np.eye(n)]
    information = 0.5 * np.array([[np.trace(P @ a @ P @ b) for b in parts] for a in parts])
    spread = np.linalg.inv(information)
    found = []
    for k in range(len(rows)):
        gradient = np.array(
            [
                (variance(theta + e, k) - variance(theta - e, k)) / (2 * step * s)
                for e, s in zip(np.diag(np.array(scale) * step), scale, strict=True)
            ]
        )
        found.append(2 * variance(theta, k) ** 2 / (gradient @ spread @ gradient))
    return np.array(found)


def test_degrees_of_freedom_are_satterthwaites():
    fit = with_df(postfit())
    rows = new_rows()
    found = predict_subjects(fit, rows)
    expect = satterthwaite_by_differences(fit, rows, extra=0.0)
    assert found["df"].to_numpy() == pytest.approx(expect, rel=1e-4)
    new = satterthwaite_by_differences(fit, rows, extra=1.0)
    half = (found["new_high"] - found["new_low"]) / 2 / found["new_std_error"]
    assert half.to_numpy() == pytest.approx(stats.t.ppf(0.975, new), rel=1e-6)


@pytest.mark.parametrize("subject", [0, 5, -1])
def test_gradient_is_that_of_the_variance(subject):
    state = mixed_state(postfit())
    x, z = np.array([[0.3, 1.0, -0.5, 0.2, 0.7]]), np.array([[1.0, -0.8]])
    who = np.array([subject])
    target = target_variance(state, x, z, who)
    for E in open_directions(state.psi, state.arrays.blocks):
        near = [
            evaluate_state(state.arrays, state.back, state.psi + h * E, state.sigma2, reml=True)
            for h in (1e-5, -1e-5)
        ]
        moved = [target_variance(other, x, z, who).value[0] for other in near]
        slope = (moved[0] - moved[1]) / 2e-5
        assert np.vdot(target.gradient[0], E) == pytest.approx(slope, rel=1e-5, abs=1e-8)


def test_normal_quantiles_where_the_fit_uses_them():
    fit = postfit()
    normal = dataclasses.replace(fit, inference=NormalInference(covariance=fit.covariance))
    table = estimate_blups(normal).table()
    half = (table["conf_high"] - table["conf_low"]) / 2 / table["std_error"]
    assert half.to_numpy() == pytest.approx(stats.norm.ppf(0.975), rel=1e-9)


def test_blups_keep_their_estimates_and_the_contract():
    fit = with_df(postfit())
    result = estimate_blups(fit)
    assert_result_contract(result)
    wide = result.table().pivot_table(index="subject_id", columns="term", values="estimate")
    assert wide.to_numpy() == pytest.approx(
        fit.blups().set_index("subject_id").sort_index()[["intercept", "year"]].to_numpy()
    )
    assert result.plot(term="year").get_ylabel() == "Thalamic volume: year"
    with pytest.raises(DesignError, match="Did you mean 'year'"):
        result.plot(term="yeer")


def test_conditional_errors_are_smaller():
    full, known = (
        estimate_blups(postfit(), conditional=c).table()["std_error"] for c in (False, True)
    )
    assert (known < full).all()


def test_a_singular_fit_predicts_without_variation():
    data = postfit_data().assign(
        thalamus_ml=lambda f: np.random.default_rng(3).normal(15, 1, len(f))
    )
    fit = fit_lmm(data, "thalamus_ml ~ year + (1 | subject_id)")
    assert fit.fit_log.singular
    table = estimate_blups(with_df(fit)).table()
    assert table["std_error"].to_numpy() == pytest.approx(0, abs=1e-4)
    assert "singular" in estimate_blups(fit).headline()
    found = predict_subjects(with_df(fit), data.head(3))
    assert found["std_error"].to_numpy() == pytest.approx(
        fit.predict(data.head(3))["std_error"].to_numpy(), rel=1e-6
    )


def test_intervals_hold_their_subjects_and_new_values():
    rng = np.random.default_rng(11)
    n, times = 400, np.array([0.0, 1.0, 2.0, 3.0])
    subject = np.repeat(np.arange(n), 4)
    b = rng.multivariate_normal([0, 0], [[1.0, -0.1], [-0.1, 0.09]], n)
    year = np.tile(times, n)
    truth = 10 - 0.5 * year + b[subject, 0] + b[subject, 1] * year
    data = pd.DataFrame(
        {"subject_id": subject, "year": year, "y": truth + rng.normal(0, 0.4, 4 * n)}
    )
    fit = fit_lmm(data, "y ~ year + (year | subject_id)")
    later = data.groupby("subject_id").tail(1).assign(year=4.0)
    mean = 10 - 2.0 + b[:, 0] + 4 * b[:, 1]
    found = predict_subjects(fit, later)
    held = ((found["conf_low"] <= mean) & (mean <= found["conf_high"])).mean()
    new = mean + rng.normal(0, 0.4, n)
    held_new = ((found["new_low"] <= new) & (new <= found["new_high"])).mean()
    four_errors = 4 * np.sqrt(0.95 * 0.05 / n)
    assert abs(held - 0.95) < four_errors
    assert abs(held_new - 0.95) < four_errors


def test_bad_rows_are_refused():
    with pytest.raises(DesignError, match="'subject_id'"):
        predict_subjects(postfit(), new_rows().drop(columns="subject_id"))


def test_columns_of_an_earlier_prediction_are_replaced():
    once = predict_subjects(postfit(), new_rows())
    twice = predict_subjects(postfit(), once)
    pd.testing.assert_frame_equal(once, twice)


def test_the_case_has_both_arms():
    assert sorted(postfit_case().input["arm"].unique()) == sorted(ARMS)


def weighted():
    data = postfit_data().assign(precision=lambda f: 1 + (np.arange(len(f)) % 3))
    formula = "thalamus_ml ~ year * arm + age_years + (year | subject_id)"
    return fit_lmm(data, LMMSpec.from_formula(formula, weights="precision"))


def test_weights_enter_predictions_residuals_and_influence():
    fit = weighted()
    dense = Dense.of(fit)
    full = dense.henderson()
    rows = fit.data.iloc[[0, 7, 20]]
    found = predict_subjects(fit, rows)
    beta, _ = dense.gls()
    for k, row in enumerate([0, 7, 20]):
        w = np.concatenate([dense.X[row], dense.Z[row]])
        variance = w @ full @ w
        assert found["std_error"][k] == pytest.approx(np.sqrt(variance), rel=1e-6)
        total = variance + dense.R[row, row]
        assert found["new_std_error"][k] == pytest.approx(np.sqrt(total), rel=1e-6)
    rows_of = np.flatnonzero(dense.subject == 3)
    L = np.linalg.cholesky(dense.V[rows_of][:, rows_of])
    r = dense.y - dense.X @ beta
    residuals = estimate_residuals(fit)["standardised"].to_numpy()[rows_of]
    assert residuals == pytest.approx(np.linalg.solve(L, r[rows_of]), rel=1e-5, abs=1e-6)
    without, _ = dense.gls(np.flatnonzero(dense.subject != 3))
    kept = estimate_influence(fit).estimates().iloc[3, 1:].to_numpy(dtype=float)
    assert kept == pytest.approx(without, rel=1e-6)
    year = fit.data["year"].to_numpy()
    X = np.column_stack([dense.X, year**2])
    W = np.linalg.inv(dense.V)
    wider = np.linalg.inv(X.T @ W @ X)
    z = (wider @ X.T @ W @ dense.y)[-1] / np.sqrt(wider[-1, -1])
    assert added_curvature(mixed_state(fit), year) == pytest.approx(z, rel=1e-5)
    with pytest.raises(DesignError, match="'precision'"):
        predict_subjects(fit, rows.drop(columns="precision"))


def test_several_grouping_factors_are_refused():
    data = postfit_data().assign(site=lambda f: f["subject_id"].str[-1])
    fit = fit_lmm(data, "thalamus_ml ~ year + (1 | subject_id) + (1 | site)")
    with pytest.raises(DesignError, match="one grouping factor"):
        estimate_blups(fit)
