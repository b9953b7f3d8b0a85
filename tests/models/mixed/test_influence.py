"""Influence of subjects: generalised least squares without each, and refits by lme4."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from dense_mixed import Dense, expected, postfit, postfit_data, rtol
from properties import assert_result_contract

from pmsstats.errors import DesignError
from pmsstats.models import fit_lmm
from pmsstats.models.mixed.influence import delete_subjects, estimate_influence
from pmsstats.models.mixed.mixed_state import mixed_state

DENSE = 1e-9  # relative: the same algebra by other matrices
# One step of Fisher scoring, measured against refits by lme4, as a share of the whole variance
ONE_STEP = 0.03
# Fixed effects against refits by lme4, in standard errors, measured: at most 0.291 and 0.064
KEPT, UPDATED = 0.3, 0.1
RANDOM = ["(year | subject_id)", "(year || subject_id)", "(1 | subject_id)"]


@pytest.mark.parametrize("random", RANDOM)
@pytest.mark.parametrize("method", ["REML", "ML"])
def test_leaving_out_is_exact_for_known_variances(random, method):
    fit = postfit(random, method)
    dense = Dense.of(fit)
    result = estimate_influence(fit)
    beta, C = dense.gls()
    p = len(beta)
    for i in range(fit.n_subjects):
        beta_i, C_i = dense.gls(np.flatnonzero(dense.subject != i))
        shift = beta - beta_i
        row = result.frame.iloc[i]
        found = result.estimates().iloc[i, 1:].to_numpy(dtype=float)
        assert found == pytest.approx(beta_i, rel=DENSE, abs=1e-6 * np.abs(beta).min())
        assert row["cooks_distance"] == pytest.approx(
            shift @ np.linalg.solve(C, shift) / p, rel=1e-6
        )
        assert row["mdffits"] == pytest.approx(shift @ np.linalg.solve(C_i, shift) / p, rel=1e-6)
        ratio = np.linalg.det(C_i) / np.linalg.det(C)
        assert row["covratio"] == pytest.approx(ratio, rel=1e-6)
        trace = abs(np.trace(np.linalg.solve(C, C_i)) - p)
        assert row["covtrace"] == pytest.approx(trace, rel=1e-6)
        betas = result.dfbetas().iloc[i, 1:].to_numpy(dtype=float)
        assert betas == pytest.approx(shift / np.sqrt(np.diag(C_i)), rel=1e-5, abs=1e-7)


def test_leaving_out_matches_the_stored_values():
    found = estimate_influence(postfit()).estimates().set_index("subject_id")
    values = expected("without")
    assert len(values) == found.size
    for term, value in values.items():
        who, name = term.split(" | ")
        assert found.loc[who, name] == pytest.approx(value, rel=rtol("without"))


def refits():
    rows = pd.DataFrame(
        [(*term.split(" | "), value) for term, value in expected("variance_refit").items()],
        columns=["subject_id", "name", "value"],
    )
    return rows.pivot_table(index="subject_id", columns="name", values="value")


def test_one_step_comes_close_to_a_refit():
    fit = postfit()
    frame = estimate_influence(fit).frame.set_index("subject_id").sort_index()
    parts = fit.variance_components.set_index("term1").query("kind == 'variance'")["estimate"]
    parts = {**parts.to_dict(), "residual": fit.residual_sd**2}
    again = refits()
    for name, value in parts.items():
        change = again[name] / value - 1
        error = (frame[f"rvc_{name}"] - change).abs()
        assert len(error) == fit.n_subjects
        assert error.max() < ONE_STEP
        assert error.median() < 0.1 * change.abs().max()


@pytest.mark.parametrize(("variances", "most"), [("kept", KEPT), ("updated", UPDATED)])
def test_fixed_effects_of_a_refit_are_close(variances, most):
    found = estimate_influence(postfit()).estimates(variances=variances).set_index("subject_id")
    sizes = postfit().table().set_index("term")["std_error"]
    terms = {tuple(term.split(" | ")): v for term, v in expected("without_refit").items()}
    off = [abs(found.loc[who, name] - v) / sizes[name] for (who, name), v in terms.items()]
    assert len(off) == found.size
    assert max(off) < most
    assert np.median(off) < most / 10


def test_the_residual_sum_of_squares_is_that_without_the_subject():
    state = mixed_state(postfit())
    deletion = delete_subjects(state)
    arrays = state.arrays
    Z = np.zeros((arrays.n_obs, 2 * arrays.n_subjects))
    for row, who in enumerate(arrays.subject):
        Z[row, 2 * who : 2 * who + 2] = arrays.Z[row]
    V = np.eye(arrays.n_obs) + Z @ np.kron(np.eye(arrays.n_subjects), state.psi) @ Z.T
    for i in range(arrays.n_subjects):
        rows = np.flatnonzero(arrays.subject != i)
        W, X, y = np.linalg.inv(V[rows][:, rows]), arrays.X[rows], arrays.y[rows]
        r = y - X @ np.linalg.solve(X.T @ W @ X, X.T @ W @ y)
        assert deletion.sum_of_squares[i] == pytest.approx(r @ W @ r, rel=DENSE)


def test_an_odd_subject_is_named_first():
    odd = postfit_data().assign(
        thalamus_ml=lambda f: f["thalamus_ml"] + 2.5 * f["year"] * (f["subject_id"] == "S05")
    )
    result = estimate_influence(fit_lmm(odd, "thalamus_ml ~ year * arm + (year | subject_id)"))
    assert result.table()["subject_id"].iloc[0] == "S05"
    assert "depend most on S05" in result.headline()
    assert (np.diff(result.table()["cooks_distance"]) <= 0).all()
    labels = [text.get_text() for text in result.plot().texts]
    assert "S05" in labels


def test_a_subject_without_whom_nothing_can_be_estimated_is_missing():
    alone = postfit_data().assign(
        centre=lambda f: np.where(f["subject_id"] == "S02", "lonely", "other")
    )
    fit = fit_lmm(alone, "thalamus_ml ~ year + centre + (year | subject_id)")
    result = estimate_influence(fit)
    row = result.frame.set_index("subject_id").loc["S02"]
    assert np.isnan(row[["cooks_distance", "covratio", "rvc_intercept"]].astype(float)).all()
    assert result.table()["subject_id"].iloc[0] == "S02"
    assert "without 1 of them the model cannot be estimated" in result.headline()
    assert_result_contract(result)


def test_a_singular_fit_keeps_its_zero():
    data = postfit_data().assign(
        thalamus_ml=lambda f: np.random.default_rng(3).normal(15, 1, len(f))
    )
    fit = fit_lmm(data, "thalamus_ml ~ year + (1 | subject_id)")
    frame = estimate_influence(fit).frame
    assert np.isfinite(frame["rvc_residual"]).all()
    assert frame["rvc_residual"].abs().max() < 0.2


def test_units_do_not_matter():
    scaled = postfit_data().assign(
        thalamus_ml=lambda f: 1e-4 * f["thalamus_ml"], year=lambda f: f["year"] * 365.25
    )
    one = estimate_influence(postfit()).frame
    two = estimate_influence(
        fit_lmm(scaled, "thalamus_ml ~ year * arm + age_years + (year | subject_id)")
    ).frame
    assert two.iloc[:, 1:].to_numpy() == pytest.approx(
        one.iloc[:, 1:].to_numpy(), rel=1e-4, abs=1e-6
    )


def test_contract_and_choice_of_measure():
    result = estimate_influence(postfit())
    assert_result_contract(result)
    assert result.plot(measure="rvc_year").get_ylabel() == "Relative change, year variance"
    with pytest.raises(DesignError, match="Did you mean 'covratio'"):
        result.plot(measure="covratios")
