"""Models for repeated measures: SAS and nlme as stored witnesses, closed forms, properties."""

from __future__ import annotations

import dataclasses
import warnings
from functools import cache

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from properties import assert_covariance_matrix, assert_result_contract
from reference_cases import load_case
from scipy import linalg, sparse, stats

from pmsstats.cohort.schema import DataDictionary, Measure
from pmsstats.errors import ConvergenceError, ConvergenceWarning, DesignError, FormulaError
from pmsstats.models.repeated.mmrm import FALLBACKS, MMRMResult, MMRMSpec, fit_mmrm
from pmsstats.models.repeated.mmrm_checks import range_problem
from pmsstats.models.repeated.mmrm_design import build_repeated_design
from pmsstats.models.repeated.mmrm_likelihood import fit_marginal
from pmsstats.models.repeated.mmrm_spec import find_covariance_term
from pmsstats.results import Exclusion

FOUR_DIGITS = (
    5e-4  # relative: SAS stops a step short, see test_sas_stops_one_step_before_the_maximum
)
SMALL_P = 4e-3  # relative: of a p value of 1e-8, whose logarithm changes by t times the error of t
CLOSED_FORM = 1e-6  # relative: the optimiser's distance from the maximum in a variance
SAME_FIT = 1e-6  # relative: two runs from numbers that differ by rounding
ROUNDING = 1e-9  # relative: the same numbers added up in another order
VISITS = ["W12", "W24", "W48", "W96"]
MODEL = "pbvc_pct ~ age_years + arm * visit + us(visit | subject_id)"
STRUCTURES = ("us", "toep", "toeph", "ar1", "ar1h", "cs", "csh", "ad", "adh")


def trial(n_subjects: int = 60, seed: int = 5, dropout: float = 0.1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    visit = np.tile(np.arange(4), n_subjects)
    subject = np.repeat(np.arange(n_subjects), 4)
    root = np.linalg.cholesky(0.5 ** np.abs(np.subtract.outer(np.arange(4), np.arange(4))))
    noise = (rng.normal(size=(n_subjects, 4)) @ root.T * [0.3, 0.5, 0.8, 1.2]).ravel()
    arm = np.where(subject % 2, "active", "placebo")
    data = pd.DataFrame(
        {
            "subject_id": [f"S{i:03d}" for i in subject],
            "arm": pd.Categorical(arm, categories=["placebo", "active"], ordered=True),
            "visit": pd.Categorical(np.array(VISITS)[visit], categories=VISITS, ordered=True),
            "year": np.array([12, 24, 48, 96])[visit] / 52,
            "age_years": rng.normal(50, 8, n_subjects)[subject],
            "scan_quality": rng.uniform(0.5, 2.0, len(subject)),
            "pbvc_pct": -0.4 * (visit + 1) + 0.15 * (arm == "active") * visit + noise,
        }
    )
    return data[rng.random(len(data)) > dropout].reset_index(drop=True)


@cache
def fitted(formula: str = MODEL, **options: str) -> MMRMResult:
    return fit_mmrm(trial(), MMRMSpec.from_formula(formula, **options))


@cache
def fev() -> pd.DataFrame:
    return load_case("mmrm_fev").input


def row_of(fit: MMRMResult, term: str) -> pd.Series:
    return fit.table().set_index("term").loc[term]


# --- another implementation -------------------------------------------------------------------

SAS = [
    (covariance, ddfm)
    for covariance in ("us", "ar1", "cs")
    for ddfm in ("kenward-roger", "kenward-roger-linear")
]
SAS_NAMES = {"kenward-roger": "kr", "kenward-roger-linear": "kr(linear)"}
SAS_COLUMNS = ("estimate", "std_error", "df", "statistic", "p_value", "conf_low", "conf_high")


@cache
def fitted_as_sas(covariance: str, df_method: str) -> MMRMResult:
    formula = f"FEV1 ~ ARMCD + {covariance}(AVISIT | USUBJID)"
    return fit_mmrm(fev(), MMRMSpec.from_formula(formula, df_method=df_method))


@pytest.mark.parametrize(("covariance", "df_method"), SAS)
def test_difference_between_arms_is_that_of_sas(covariance, df_method, shared_file):
    printed = pd.read_csv(shared_file("reference/mmrm_sas/arm_difference.csv"))
    row = printed.set_index(["covariance", "ddfm"]).loc[(covariance, SAS_NAMES[df_method])]
    found = fitted_as_sas(covariance, df_method).differences().iloc[0]
    assert found["term"] == row["contrast"]
    for column in SAS_COLUMNS:
        rel = {"p_value": SMALL_P}.get(column, FOUR_DIGITS)
        assert found[column] == pytest.approx(row[column], rel=rel), column


@pytest.mark.parametrize(("covariance", "df_method"), SAS)
def test_stored_copy_of_sas_agrees_too(covariance, df_method):
    case = load_case("mmrm_fev")
    found = row_of(fitted_as_sas(covariance, df_method), "ARMCD[T.TRT]")
    for column in SAS_COLUMNS:
        rows = case.rows(f"sas.{column}").set_index("term")
        expected = rows.loc[f"{covariance}, {SAS_NAMES[df_method]}"]
        assert found[column] == pytest.approx(expected["value"], rel=expected["rtol"]), column


def test_maximum_is_where_gls_finds_it():
    case, fit = load_case("mmrm_fev"), fitted_as_sas("us", "kenward-roger")
    for term, value, rtol in case.rows("plain.estimate")[["term", "value", "rtol"]].to_numpy():
        assert row_of(fit, term)["estimate"] == pytest.approx(value, rel=rtol)
    likelihood = case.rows("plain.log_likelihood")["value"].item()
    assert fit.fit_log.log_likelihood == pytest.approx(likelihood, rel=1e-9)


def newton_steps(fit: MMRMResult, n_steps: int) -> tuple[float, float, float]:
    """Maximise REML over an unstructured covariance as PROC MIXED does, with dense matrices.

    Start: MIVQUE0, whose equations are those of scoring at V = I. Steps: Newton and Raphson's
    (Wolfinger et al. 1994). At the last one the covariance of Kenward and Roger (1997, eq. 3) with
    W twice the inverse second derivatives; degrees of freedom of one effect: 2 v^2 / (g' W g).
    """
    arrays = fit.design.arrays
    y, X = arrays.y, arrays.X
    same = arrays.subject[:, None] == arrays.subject[None, :]
    cells = list(zip(*np.tril_indices(4), strict=True))
    parts = []
    for i, j in cells:
        unit = np.zeros((4, 4))
        unit[i, j] = unit[j, i] = 1.0
        parts.append(sparse.csr_array(unit[np.ix_(arrays.visit, arrays.visit)] * same))
    theta = np.array([float(i == j) for i, j in cells])
    for step in range(n_steps + 2):
        V = sum(t * part for t, part in zip(theta, parts, strict=True))
        Vi = np.linalg.inv(V.toarray())
        Phi = np.linalg.inv(X.T @ Vi @ X)
        P = Vi - Vi @ X @ Phi @ X.T @ Vi
        products = [(part @ P).T for part in parts]
        e = P @ y
        gradient = np.array(
            [np.trace(A) - e @ part @ e for A, part in zip(products, parts, strict=True)]
        )
        flat = np.array([A.ravel() for A in products])
        traces = np.array([A.T.ravel() for A in products]) @ flat.T
        moved = np.array([part @ e for part in parts])
        observed = 2 * moved @ P @ moved.T - traces
        if step < n_steps + 1:
            theta = theta - np.linalg.solve(traces if step == 0 else observed, gradient)
    W = 2 * np.linalg.inv(observed)
    ViX = Vi @ X
    turned = np.array([part @ ViX for part in parts])
    slopes = np.einsum("np,knq->kpq", ViX, turned)
    Q = np.einsum("knp,nm,lmq,kl->pq", turned, Vi, turned, W, optimize=True)
    inner = Q - np.einsum("kl,kpa,ab,lbq->pq", W, slopes, Phi, slopes)
    adjusted = Phi + 2 * Phi @ inner @ Phi
    g = np.array([(Phi @ S @ Phi)[1, 1] for S in slopes])
    beta = Phi @ X.T @ Vi @ y
    return float(beta[1]), float(np.sqrt(adjusted[1, 1])), float(2 * Phi[1, 1] ** 2 / (g @ W @ g))


def test_sas_stops_one_step_before_the_maximum():
    """The third Newton step from MIVQUE0 gives every digit of SAS; the fifth gives ours."""
    case, fit = load_case("mmrm_fev"), fitted_as_sas("us", "kenward-roger")
    quantities = ("estimate", "std_error", "df")
    for column, value in zip(quantities, newton_steps(fit, 3), strict=True):
        expected = case.rows(f"sas.{column}").set_index("term").loc["us, kr", "value"]
        assert value == pytest.approx(expected, rel=1e-10), column
    for column, value in zip(quantities, newton_steps(fit, 5), strict=True):
        assert row_of(fit, "ARMCD[T.TRT]")[column] == pytest.approx(value, rel=CLOSED_FORM), column


TRIAL = "FEV1 ~ RACE + SEX + FEV1_BL + ARMCD * AVISIT"
GLS = {
    "us": {},
    "ml": {"method": "ML"},
    "weighted": {"weights": "WEIGHT"},
}


@cache
def fitted_as_gls(model: str) -> MMRMResult:
    spec = MMRMSpec.from_formula(
        f"{TRIAL} + us(AVISIT | USUBJID)", df_method="normal", **GLS[model]
    )
    return fit_mmrm(fev(), spec)


@pytest.mark.parametrize("model", GLS)
def test_likelihood_and_means_are_those_of_gls(model):
    case, fit = load_case("mmrm_fev"), fitted_as_gls(model)
    likelihood = case.rows(f"{model}.log_likelihood").iloc[0]
    assert fit.fit_log.log_likelihood == pytest.approx(likelihood["value"], rel=likelihood["rtol"])
    assert fit.n_obs == case.rows(f"{model}.n")["value"].item()
    means = fit.means().table().set_index("term")
    for column, quantity in (("estimate", "mean"), ("std_error", "mean_std_error")):
        expected = case.rows(f"{model}.{quantity}").set_index("term")
        np.testing.assert_allclose(
            means.loc[expected.index, column], expected["value"], rtol=expected["rtol"].max()
        )


def test_covariance_of_visits_is_that_of_gls():
    expected = load_case("mmrm_fev").rows("us.covariance")
    found = fitted_as_gls("us").visit_covariance()
    pairs = [term.split(" | ") for term in expected["term"]]
    values = [found.loc[row, column] for row, column in pairs]
    size = expected["value"].abs().max()
    np.testing.assert_allclose(
        values, expected["value"], rtol=0, atol=expected["rtol"].max() * size
    )


def test_covariances_by_arm_are_those_of_each_arm_alone():
    case = load_case("mmrm_fev")
    fit = fit_mmrm(
        fev(),
        MMRMSpec.from_formula(
            "FEV1 ~ 0 + ARMCD:AVISIT + us(AVISIT | ARMCD / USUBJID)", df_method="normal"
        ),
    )
    assert len(fit.coefficients) == 8
    total = case.rows("by_arm.log_likelihood")["value"].sum()
    assert fit.fit_log.log_likelihood == pytest.approx(total, rel=1e-7)
    means = fit.means(("ARMCD", "AVISIT")).table().set_index("term")
    for column, quantity in (("estimate", "mean"), ("std_error", "mean_std_error")):
        expected = case.rows(f"by_arm.{quantity}").set_index("term")
        np.testing.assert_allclose(
            means.loc[expected.index, column], expected["value"], rtol=expected["rtol"].max()
        )
    assert not np.allclose(fit.visit_covariance("PBO"), fit.visit_covariance("TRT"))


# --- closed forms -----------------------------------------------------------------------------


def test_complete_data_unstructured_gives_multivariate_analysis_of_variance():
    """Without missing visits REML's matrix is the pooled one within arms, divided by n - 2."""
    data = trial(40, dropout=0.0)
    fit = fit_mmrm(data, "pbvc_pct ~ arm * visit + us(visit | subject_id)")
    wide = data.pivot_table(index="subject_id", columns="visit", values="pbvc_pct", observed=True)
    arm = data.groupby("subject_id")["arm"].first().loc[wide.index]
    centred = wide - wide.groupby(arm, observed=True).transform("mean")
    pooled = centred.T @ centred / (len(wide) - 2)
    np.testing.assert_allclose(fit.visit_covariance(), pooled, rtol=CLOSED_FORM, atol=1e-8)
    last = fit.differences().iloc[-1]
    test = stats.ttest_ind(*(wide.loc[arm == name, "W96"] for name in ("active", "placebo")))
    assert last["df"] == pytest.approx(38, rel=CLOSED_FORM)  # Kenward and Roger: exact here
    assert last["statistic"] == pytest.approx(test.statistic, rel=CLOSED_FORM)
    assert last["p_value"] == pytest.approx(test.pvalue, rel=1e-5)


@pytest.mark.parametrize("structure", ["us", "toeph", "ar1", "cs", "sp_exp"])
def test_estimates_and_residuals_follow_from_dense_matrices(structure):
    visit = "year" if structure == "sp_exp" else "visit"
    fit = fit_mmrm(trial(20), f"pbvc_pct ~ arm + visit + {structure}({visit} | subject_id)")
    table = fit.visit_covariance()
    rows = fit.data
    codes = [list(table.index).index(value) for value in rows[visit]]
    same = rows["subject_id"].to_numpy()[:, None] == rows["subject_id"].to_numpy()[None, :]
    V = table.to_numpy()[np.ix_(codes, codes)] * same
    X, y = fit.design.arrays.X, fit.design.arrays.y
    information = X.T @ np.linalg.solve(V, X)
    beta = np.linalg.solve(information, X.T @ np.linalg.solve(V, y))
    np.testing.assert_allclose(fit.table()["estimate"], beta, rtol=CLOSED_FORM, atol=1e-9)
    r = y - X @ beta
    n, p = X.shape
    deviance = (
        np.linalg.slogdet(V)[1]
        + np.linalg.slogdet(information)[1]
        + r @ np.linalg.solve(V, r)
        + (n - p) * np.log(2 * np.pi)
    )
    assert fit.fit_log.log_likelihood == pytest.approx(-deviance / 2, rel=ROUNDING)
    whitened = fit.residuals()
    expected = linalg.solve_triangular(np.linalg.cholesky(V), r, lower=True)
    np.testing.assert_allclose(whitened["normalised"], expected, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(whitened["standardised"], r / np.sqrt(np.diag(V)), atol=1e-7)
    np.testing.assert_allclose(whitened["fitted"] + whitened["residual"], y)


def test_normalised_residuals_take_weights_into_account():
    fit = fit_mmrm(
        trial(), MMRMSpec.from_formula(MODEL, weights="scan_quality", df_method="satterthwaite")
    )
    sd = np.sqrt(np.diag(fit.visit_covariance()))
    where = [VISITS.index(v) for v in fit.data["visit"]]
    expected = fit.residuals()["residual"] * np.sqrt(fit.data["scan_quality"]) / sd[where]
    np.testing.assert_allclose(fit.residuals()["standardised"], expected, rtol=ROUNDING)


@pytest.mark.parametrize(("method", "fixed"), [("REML", 0), ("ML", 9)])
def test_information_criteria_count_as_sas_does(method, fixed):
    fit = fitted(method=method, df_method="satterthwaite")
    d = 10 + fixed  # ten variances and covariances of four visits
    deviance = -2 * fit.fit_log.log_likelihood
    assert fit.n_parameters == d
    assert fit.aic == pytest.approx(deviance + 2 * d)
    assert fit.bic == pytest.approx(deviance + d * np.log(fit.n_subjects))


# --- recovery of a known truth ----------------------------------------------------------------


@pytest.mark.slow
def test_truth_is_recovered_within_monte_carlo_error():
    n_replicates = 60
    estimates, covered = [], []
    for seed in range(n_replicates):
        row = fit_mmrm(trial(40, seed, 0.2), MODEL).differences().iloc[-1]
        estimates.append(row["estimate"])
        covered.append(row["conf_low"] <= 0.45 <= row["conf_high"])
    mcse = np.std(estimates, ddof=1) / np.sqrt(n_replicates)
    assert abs(np.mean(estimates) - 0.45) < 4 * mcse
    assert abs(np.mean(covered) - 0.95) < 4 * np.sqrt(0.95 * 0.05 / n_replicates)


# --- properties -------------------------------------------------------------------------------


def numbers(fit: MMRMResult) -> np.ndarray:
    return np.r_[
        fit.table().drop(columns="term").to_numpy().ravel(),
        fit.covariance.ravel(),
        fit.visit_covariance().to_numpy().ravel(),
        fit.fit_log.log_likelihood,
    ]


@settings(max_examples=5)
@given(st.integers(0, 2**32 - 1))
def test_order_of_rows_and_names_of_subjects_change_nothing(seed):
    data, rng = trial(), np.random.default_rng(seed)
    names = data["subject_id"].unique()
    renamed = data["subject_id"].map(dict(zip(names, rng.permutation(names), strict=True)))
    other = fit_mmrm(data.assign(subject_id=renamed).iloc[rng.permutation(len(data))], MODEL)
    np.testing.assert_allclose(numbers(other), numbers(fitted()), rtol=1e-5, atol=1e-9)


@settings(max_examples=4)
@given(st.sampled_from([1e-6, 1e-4, 1000.0, 1e6]))
def test_unit_of_the_outcome_scales_estimates_and_leaves_tests(factor):
    data = trial()
    other = fit_mmrm(data.assign(pbvc_pct=data["pbvc_pct"] * factor), MODEL)
    mine, theirs = fitted().table(), other.table()
    for column in ("estimate", "std_error", "conf_low", "conf_high"):
        np.testing.assert_allclose(theirs[column], factor * mine[column], rtol=SAME_FIT)
    for column in ("df", "statistic", "p_value"):
        np.testing.assert_allclose(theirs[column], mine[column], rtol=1e-5)
    scaled = factor**2 * fitted().visit_covariance()
    np.testing.assert_allclose(other.visit_covariance(), scaled, rtol=1e-5)
    assert_covariance_matrix(other.covariance)


@settings(max_examples=4)
@given(st.sampled_from([-1000.0, -1.0, 100.0, 1e5]))
def test_constant_added_to_the_outcome_moves_only_the_intercept(shift):
    data = trial()
    other = fit_mmrm(data.assign(pbvc_pct=data["pbvc_pct"] + shift), MODEL)
    moved = other.table()["estimate"] - fitted().table()["estimate"]
    expected = [shift, *[0.0] * (len(moved) - 1)]
    np.testing.assert_allclose(moved, expected, atol=SAME_FIT * max(1, abs(shift)))
    np.testing.assert_allclose(other.visit_covariance(), fitted().visit_covariance(), rtol=1e-5)


def test_swapping_arms_flips_the_sign_of_every_difference():
    swapped = trial().assign(arm=lambda f: f["arm"].cat.reorder_categories(["active", "placebo"]))
    mine, theirs = fitted().differences(), fit_mmrm(swapped, MODEL).differences()
    assert theirs["term"].unique().tolist() == ["placebo - active"]
    np.testing.assert_allclose(theirs["estimate"], -mine["estimate"], rtol=1e-5)
    np.testing.assert_allclose(theirs["p_value"], mine["p_value"], rtol=1e-4)


def test_visits_without_outcome_are_as_if_they_had_no_row():
    data = trial()
    gaps = trial(dropout=0.0).merge(
        data[["subject_id", "visit", "pbvc_pct"]], on=["subject_id", "visit"], how="left",
        suffixes=("_true", ""),
    )  # fmt: skip
    gaps = gaps.drop(columns=["age_years", "scan_quality"]).merge(
        data[["subject_id", "age_years"]].drop_duplicates(), on="subject_id"
    )
    other = fit_mmrm(gaps, MODEL)
    np.testing.assert_allclose(numbers(other), numbers(fitted()), rtol=1e-6, atol=1e-9)
    assert [(e.unit, e.reason) for e in other.exclusions] == [("row", "no pbvc_pct")]
    assert other.exclusions[0].n == len(gaps) - len(data)


def test_equal_weights_change_only_the_covariance():
    data = trial().assign(w=4.0)
    spec = MMRMSpec.from_formula(MODEL, weights="w")
    found, plain = fit_mmrm(data, spec), fitted()
    np.testing.assert_allclose(found.table()["estimate"], plain.table()["estimate"], rtol=1e-5)
    np.testing.assert_allclose(found.table()["p_value"], plain.table()["p_value"], rtol=1e-4)
    np.testing.assert_allclose(found.visit_covariance(), 4 * plain.visit_covariance(), rtol=1e-5)


def test_autoregression_is_exponential_decay_over_equal_steps():
    data = trial().assign(step=lambda f: f["visit"].cat.codes.astype(float))
    one = fit_mmrm(data, "pbvc_pct ~ arm * visit + ar1(visit | subject_id)")
    other = fit_mmrm(data, "pbvc_pct ~ arm * visit + sp_exp(step | subject_id)")
    assert other.fit_log.log_likelihood == pytest.approx(one.fit_log.log_likelihood, rel=1e-9)
    np.testing.assert_allclose(other.visit_covariance(), one.visit_covariance(), rtol=1e-5)


def test_more_general_covariances_never_fit_worse():
    likelihood = {
        name: fitted(MODEL.replace("us(", f"{name}(")).fit_log.log_likelihood for name in STRUCTURES
    }
    nested = [
        ("cs", "csh"), ("ar1", "ar1h"), ("toep", "toeph"), ("ad", "adh"), ("cs", "toep"),
        ("ar1", "toep"), ("ar1", "ad"), ("csh", "toeph"), ("ar1h", "toeph"), ("ar1h", "adh"),
        ("toeph", "us"), ("adh", "us"),
    ]  # fmt: skip
    for small, large in nested:
        assert likelihood[small] <= likelihood[large] + 1e-6, (small, large)


def test_means_without_intercept_are_the_same():
    one = fit_mmrm(trial(), "pbvc_pct ~ arm * visit + us(visit | subject_id)")
    other = fit_mmrm(trial(), "pbvc_pct ~ 0 + arm:visit + us(visit | subject_id)")
    assert "Intercept" not in set(other.table()["term"])
    for column in ("estimate", "std_error", "df"):
        np.testing.assert_allclose(
            other.means(("arm", "visit")).table()[column], one.means().table()[column], rtol=1e-5
        )


def test_common_mean_at_the_first_visit_is_what_user_made_columns_say():
    """Constrained analysis: arms differ only after the first visit, by columns of zero there."""
    data = trial().assign(active=lambda f: (f["arm"] == "active") * (f["visit"] != "W12") * 1.0)
    fit = fit_mmrm(data, "pbvc_pct ~ 0 + visit + visit:active + us(visit | subject_id)")
    assert "visit[W12]:active" not in set(fit.table()["term"])
    beta = fit.table().set_index("term")["estimate"]
    means = fit.means("visit", at={"active": 1})
    without = fit.means("visit", at={"active": 0}).table().set_index("visit")["estimate"]
    found = means.table().set_index("visit")["estimate"]
    assert np.isnan(found["W12"])  # no row has an active arm there
    assert "cannot be estimated: W12" in means.notes
    for visit in VISITS[1:]:
        expected = without[visit] + beta[f"visit[{visit}]:active"]
        assert found[visit] == pytest.approx(expected, rel=ROUNDING)
    assert any(note.startswith("dropped from the fixed effects") for note in fit.notes)


def test_kind_of_subject_ids_changes_nothing():
    data = trial()
    data.loc[0, "pbvc_pct"] = np.nan
    expected = numbers(fit_mmrm(data, MODEL))
    codes = data["subject_id"].str[1:].astype(int)
    for ids in (codes, pd.Categorical(data["subject_id"])):
        other = fit_mmrm(data.assign(subject_id=ids), MODEL)
        np.testing.assert_allclose(numbers(other), expected, rtol=ROUNDING)


def test_input_is_not_modified():
    data = trial()
    before = data.copy(deep=True)
    fit_mmrm(data, MODEL)
    pd.testing.assert_frame_equal(data, before)


def test_awkward_column_names_give_the_same_numbers():
    data = trial().rename(
        columns={"visit": "Visit (planned)", "subject_id": "us", "arm": "a|b", "pbvc_pct": "p v"}
    )
    other = fit_mmrm(
        data, "`p v` ~ age_years + `a|b` * `Visit (planned)` + us(`Visit (planned)`|us)"
    )
    np.testing.assert_allclose(numbers(other), numbers(fitted()), rtol=ROUNDING)
    assert MMRMSpec.from_formula(other.spec.formula()) == other.spec


# --- the request ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("y ~ a + us(visit | id)", ("us", "visit", None, "id", "y ~ a")),
        ("y ~ us(visit|id) + a", ("us", "visit", None, "id", "y ~ a")),
        ("y ~ cs(visit | g / id)", ("cs", "visit", "g", "id", "y ~ 1")),
        ("y ~ 0 + a + sp_exp(year | id) + b", ("sp_exp", "year", None, "id", "y ~ 0 + a + b")),
        ("y ~ ad(`v 1` | `g 1` / `i 1`) - 1", ("ad", "v 1", "g 1", "i 1", "y ~ - 1")),
    ],
)
def test_covariance_term_is_taken_out_of_the_formula(formula, expected):
    term = find_covariance_term(formula)
    assert (term.covariance, term.visit, term.group, term.subject, term.rest) == expected


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("y ~ arm * visit", "needs one covariance term"),
        ("y ~ arm + us(visit | id) + cs(visit | id)", "found 2"),
        ("y ~ arm + un(visit | id)", "needs one covariance term"),
        ("y ~ arm + us (visit | id)", "without a blank"),
        ("y ~ arm * us(visit | id)", "can only be added"),
        ("y ~ arm + us(visit, id)", "needs one covariance term"),
        ("y ~ arm + us(visit | a + id)", "is written us"),
        ("y ~ arm + us(visit | id) + (1 | id)", "no random term"),
        ("y ~ __import__('os') + us(visit | id)", "__import__"),
        ("y ~ arm + us(__import__('os') | id)", "is written us"),
    ],
)
def test_formulas_that_make_no_model_are_refused(formula, message):
    with pytest.raises(FormulaError, match=message):
        fit_mmrm(trial(), formula)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("covariance", "un", "`covariance` must be one of"),
        ("method", "reml", "Did you mean 'REML'"),
        ("df_method", "kr", "`df_method` must be one of"),
        ("empirical", "HC0", "`empirical` must be one of"),
        ("empirical", "CR2", "does not go with"),
        ("method", "ML", "is derived for REML"),
        ("conf_level", 95, "Write 0.95"),
        ("fallback", "cs", "must be a tuple"),
        ("fallback", ("cs", "unn"), "`fallback` must be one of"),
        ("fallback", ("sp_exp",), "must not mix"),
        ("fixed", "arm + (1 | id)", "must not hold random terms"),
    ],
)
def test_request_checks_its_fields(field, value, message):
    with pytest.raises(DesignError, match=message):
        MMRMSpec(**{"outcome": "y", "fixed": "arm", field: value})


SPELLINGS = [
    ("df_method", "kr", "kenward-roger"),
    ("df_method", "KR(Linear)", "kenward-roger-linear"),
    ("df_method", "Kenward-Rogers", "kenward-roger"),
    ("df_method", "satterth", "satterthwaite"),
    ("df_method", "Satterthwaite", "satterthwaite"),
    ("df_method", "bw", "between-within"),
    ("df_method", "asymptotic", "normal"),
    ("covariance", "un", "us"),
    ("covariance", "unstructured", "us"),
    ("covariance", "ar(1)", "ar1"),
    ("covariance", "ARH(1)", "ar1h"),
    ("covariance", "exchangeable", "cs"),
    ("covariance", "ANTE(1)", "adh"),
    ("covariance", "toeplitz", "toep"),
    ("covariance", "SP(EXP)", "sp_exp"),
    ("fallback", ("un",), "us"),
]


@pytest.mark.parametrize(("field", "value", "meant"), SPELLINGS)
def test_names_of_other_programs_are_explained(field, value, meant):
    with pytest.raises(DesignError, match=f"Did you mean '{meant}'"):
        MMRMSpec(**{"outcome": "y", "fixed": "arm", field: value})


@pytest.mark.parametrize(
    ("term", "meant"),
    [
        ("un", "us"),
        ("unstructured", "us"),
        ("ar(1)", "ar1"),
        ("exchangeable", "cs"),
        ("AR1", "ar1"),
    ],
)
def test_covariances_of_other_programs_are_explained_in_formulas(term, meant):
    with pytest.raises(FormulaError, match=f"Did you mean '{meant}'"):
        fit_mmrm(trial(), f"pbvc_pct ~ arm * visit + {term}(visit | subject_id)")


OPTIONS = [
    {"method": "ML", "df_method": "normal"},
    {"df_method": "satterthwaite", "empirical": "CR2"},
    {"conf_level": 0.9, "weights": "scan_quality"},
    {"fallback": ("csh",)},
]


@pytest.mark.parametrize("options", OPTIONS)
def test_options_beside_a_formula_are_those_of_the_request(options):
    found = fit_mmrm(trial(), MODEL, **options)
    assert found.spec == MMRMSpec.from_formula(MODEL, **options)
    with pytest.raises(DesignError, match=r"dataclasses\.replace\(spec, "):
        fit_mmrm(trial(), MMRMSpec.from_formula(MODEL), **options)


def test_list_of_fall_backs_will_do():
    assert fit_mmrm(trial(), MODEL, fallback=["csh"]).spec.fallback == ("csh",)


def test_something_else_than_a_request_is_refused():
    with pytest.raises(DesignError, match="must be an MMRMSpec, or a formula"):
        fit_mmrm(trial(), {"outcome": "y"})


def test_request_is_frozen_and_hashable():
    spec = MMRMSpec.from_formula(MODEL)
    assert hash(spec) == hash(MMRMSpec.from_formula(spec.formula()))
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec.covariance = "cs"


def test_unknown_way_to_fail_is_refused():
    with pytest.raises(DesignError, match="`on_failure` must be one of"):
        fit_mmrm(trial(), MODEL, on_failure="ignore")


# --- the result -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("formula", "options"),
    [
        (MODEL, {}),
        (MODEL, {"df_method": "normal", "method": "ML"}),
        (MODEL, {"df_method": "satterthwaite", "empirical": "CR2"}),
        (MODEL, {"df_method": "between-within", "empirical": "CR0"}),
        ("pbvc_pct ~ arm * visit + csh(visit | arm / subject_id)", {}),
        ("pbvc_pct ~ year * arm + sp_exp(year | subject_id)", {"df_method": "residual"}),
        ("pbvc_pct ~ age_years + cs(visit | subject_id)", {}),
        ("pbvc_pct ~ visit + cs(visit | subject_id)", {}),
        ("pbvc_pct ~ 1 + ar1(visit | subject_id)", {}),
    ],
)
def test_result_keeps_the_contract(formula, options):
    fit = fit_mmrm(trial(30), MMRMSpec.from_formula(formula, **options))
    assert_result_contract(fit)
    assert_covariance_matrix(fit.covariance)
    assert fit.to_dict()["schema"] == "mmrm_result/1"


def test_headline_says_how_arms_differ_at_the_last_visit():
    dictionary = DataDictionary(
        [Measure(name="pbvc_pct", label="Brain volume change", unit="%", worsening="lower")]
    )
    better = trial(120).assign(
        pbvc_pct=lambda f: f["pbvc_pct"] + 0.4 * ((f["arm"] == "active") & (f["visit"] == "W96"))
    )
    fit = fit_mmrm(better, MODEL, dictionary=dictionary, origin="synthetic")
    row = fit.differences().iloc[-1]
    assert fit.headline() == (
        f"Brain volume change at W96 was on average {row['estimate']:.3f} % higher (95 % CI "
        f"{row['conf_low']:.3f} to {row['conf_high']:.3f}, p = {row['p_value']:.3f}) in active "
        f"than in placebo in 120 synthetic subjects ({fit.n_obs} rows); REML converged, "
        "covariance us, Kenward-Roger df."
    )


def test_headline_of_no_clear_difference_does_not_claim_one():
    data = trial().assign(pbvc_pct=lambda f: f["pbvc_pct"] - 0.45 * (f["arm"] == "active"))
    fit = fit_mmrm(data, MODEL)
    row = fit.differences().iloc[-1]
    assert (
        f"did not clearly differ between active and placebo: active minus placebo is "
        f"{row['estimate']:.3f} % (95 % CI {row['conf_low']:.3f} to {row['conf_high']:.3f}"
    ) in fit.headline()


@pytest.mark.parametrize("name", ["t", "treatment_code"])
def test_arm_of_zero_and_one_is_compared(name):
    data = trial().assign(**{name: lambda f: (f["arm"] == "active") * 1})
    fit = fit_mmrm(data, MODEL.replace("arm", name))
    found, expected = fit.differences(), fitted().differences()
    np.testing.assert_allclose(found["estimate"], expected["estimate"], rtol=1e-6)
    np.testing.assert_allclose(found["p_value"], expected["p_value"], rtol=1e-6)
    assert found["term"].unique().tolist() == ["1 - 0"]
    assert f"{name} = 1 minus {name} = 0 is " in fit.headline()
    assert "at W96 " in fit.headline()


def test_columns_that_could_be_compared_are_named_where_none_is_the_arm():
    fit = fitted("pbvc_pct ~ age_years + scan_quality + us(visit | subject_id)")
    with pytest.raises(DesignError, match=r"numbers: age_years, scan_quality.*C\(age_years\)"):
        fit.differences()
    with pytest.raises(DesignError, match="Name the columns to take means by"):
        fit.means()
    with pytest.raises(DesignError, match="depends on no column"):
        fitted("pbvc_pct ~ 1 + ar1(visit | subject_id)").means()


SPATIAL = f"{TRIAL} + sp_exp(VISITN | USUBJID)"


def test_arm_and_visits_are_found_where_time_is_another_column():
    fit = fit_mmrm(fev(), SPATIAL)
    assert fit.headline().startswith("FEV1 at VIS4 was on average ")
    assert " higher " in fit.headline()
    assert "in TRT than in PBO" in fit.headline()
    assert fit.means().by == ("ARMCD", "AVISIT")
    rows = fit.differences()
    assert rows["AVISIT"].tolist() == ["VIS1", "VIS2", "VIS3", "VIS4"]
    direct = fit.marginal_means(("ARMCD", "AVISIT")).differences("ARMCD")
    np.testing.assert_allclose(rows["estimate"], direct["estimate"], rtol=ROUNDING)


def test_named_visits_are_in_order_where_time_is_another_column():
    names = {"VIS1": "M1", "VIS2": "M3", "VIS3": "M6", "VIS4": "M12"}
    fit = fit_mmrm(fev().assign(AVISIT=lambda f: f["AVISIT"].map(names)), SPATIAL)
    assert fit.differences()["AVISIT"].tolist() == list(names.values())
    assert fit.headline().startswith("FEV1 at M12 was on average ")
    assert any(note.startswith("AVISIT is text, taken in the order") for note in fit.notes)


def test_last_visit_is_the_latest_in_time_not_in_the_alphabet():
    names = {"VIS1": "start", "VIS2": "half", "VIS3": "later", "VIS4": "close"}
    fit = fit_mmrm(fev().assign(AVISIT=lambda f: f["AVISIT"].map(names)), SPATIAL)
    assert fit.headline().startswith("FEV1 at close was on average ")


def test_mean_over_a_number_of_time_says_where_arms_are_compared():
    words = fitted("pbvc_pct ~ year * arm + sp_exp(year | subject_id)").headline()
    assert f" at year = {trial()['year'].mean():.3f} (its mean) " in words


def test_figure_of_a_spatial_model_shows_arms_over_time():
    fit = fitted("pbvc_pct ~ year * arm + age_years + sp_exp(year | subject_id)")
    _, ax = plt.subplots()
    fit.plot(ax=ax)
    drawn = [line for line in ax.get_lines() if line.get_gid() == "means"]
    assert len(drawn) == 2
    years = trial()["year"]
    times = np.linspace(years.min(), years.max(), 5)
    means = fit.means(("arm", "year"), at={"year": times.tolist()}).table()
    for line, arm in zip(drawn, ("placebo", "active"), strict=True):
        expected = means.loc[means["arm"] == arm, "estimate"]
        np.testing.assert_allclose(line.get_ydata(), expected, rtol=1e-5)
    plt.close("all")


def test_figure_of_covariates_leaves_out_the_intercept():
    _, ax = plt.subplots()
    fitted("pbvc_pct ~ age_years + scan_quality + cs(visit | subject_id)").plot(ax=ax)
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == ["age_years", "scan_quality"]
    plt.close("all")


# --- covariance at its boundary ---------------------------------------------------------------


def test_range_of_about_zero_is_flagged_in_words():
    rng = np.random.default_rng(2)
    noise = trial(40, dropout=0.0).assign(pbvc_pct=rng.normal(size=160))
    fit = fit_mmrm(noise, "pbvc_pct ~ arm + sp_exp(year | subject_id)")
    assert fit.fit_log.singular
    assert "no correlation between visits can be seen" in fit.headline()
    assert fit.boundary in fit.to_dict()["notes"]
    independent = stats.linregress(noise["arm"] == "active", noise["pbvc_pct"])
    assert row_of(fit, "arm[T.active]")["estimate"] == pytest.approx(independent.slope)


def test_range_within_its_bounds_is_not_flagged():
    fit = fitted("pbvc_pct ~ year * arm + sp_exp(year | subject_id)")
    assert not fit.fit_log.singular
    assert fit.boundary is None
    assert fit.notes == ()


@pytest.mark.parametrize(
    ("distance", "error", "words"),
    [
        (0.01, 49.0, "boundary, zero"),
        (1.0, 0.2, None),
        (1e4, 1e7, "boundary, infinity"),
        (1e4, np.nan, "boundary, infinity"),
        (1e4, 2e3, None),  # high but well determined
    ],
)
def test_boundary_of_a_range_is_judged_by_correlation_and_error(distance, error, words):
    spec = MMRMSpec.from_formula("pbvc_pct ~ arm + sp_exp(year | subject_id)")
    design = build_repeated_design(trial(), spec)
    fit = dataclasses.replace(
        fit_marginal(design.arrays, "sp_exp", reml=True),
        theta=np.array([1.0, distance]),
        theta_covariance=np.diag([0.1, error**2]),
    )
    found = range_problem(design, fit)
    assert (found is None) == (words is None)
    assert (words or "") in (found or "")


def test_headline_without_interaction_names_no_visit():
    words = fitted("pbvc_pct ~ arm + visit + us(visit | subject_id)").headline()
    assert words.startswith("Brain volume change from baseline did not clearly differ between ")


def test_rows_that_cannot_be_used_are_counted_with_reasons():
    data = trial(dropout=0.0)
    data.loc[[0, 1], "pbvc_pct"] = np.nan
    data.loc[[5], "pbvc_pct"] = np.inf
    data.loc[8:11, "age_years"] = np.nan
    data.loc[[13], "visit"] = None
    before = (Exclusion(stage="earlier", unit="visit", reason="x", n=1),)
    fit = fit_mmrm(data, MODEL, prior_exclusions=before)
    assert [(e.unit, e.reason, e.n) for e in fit.exclusions] == [
        ("visit", "x", 1),
        ("row", "no pbvc_pct", 2),
        ("row", "pbvc_pct is infinite", 1),
        ("row", "no age_years", 4),
        ("row", "no visit", 1),
        ("subject", "no complete row", 1),
    ]
    assert "8 rows left out" in fit.headline()
    assert fit.n_obs == len(fit.data) == 232


def test_prediction_is_the_mean_with_its_interval():
    new = pd.DataFrame({"visit": ["W96"], "arm": ["active"], "age_years": [50.0]})
    found = fitted().predict(new).iloc[0]
    mean = fitted().means(at={"age_years": 50.0}).table().iloc[-1]
    for column in ("estimate", "std_error", "df", "conf_low", "conf_high"):
        assert found[column] == pytest.approx(mean[column], rel=ROUNDING)


def test_group_of_a_covariance_must_be_known():
    fit = fitted("pbvc_pct ~ arm * visit + cs(visit | arm / subject_id)")
    with pytest.raises(DesignError, match="must be one of placebo, active, got None"):
        fit.visit_covariance()
    with pytest.raises(DesignError, match="Did you mean 'active'"):
        fit.visit_correlation("activ")
    assert fit.visit_correlation("active").loc["W12", "W12"] == pytest.approx(1.0)


# --- no maximum -------------------------------------------------------------------------------


def too_few_subjects() -> pd.DataFrame:
    """Return six subjects at six visits: unstructured, the likelihood has no bound."""
    rng = np.random.default_rng(2)
    return pd.DataFrame(
        {
            "subject_id": np.repeat([f"S{i}" for i in range(6)], 6),
            "visit": np.tile([f"V{i}" for i in range(6)], 6),
            "sdmt": rng.normal(50, 8, 6).repeat(6) + rng.normal(0, 3, 36),
        }
    )


UNBOUNDED = "sdmt ~ visit + us(visit | subject_id)"


def test_no_maximum_is_an_error_that_says_what_to_try():
    with pytest.raises(ConvergenceError, match="fallback=") as caught:
        fit_mmrm(too_few_subjects(), UNBOUNDED)
    assert "on_failure='warn'" in str(caught.value)


def test_no_maximum_is_flagged_where_a_warning_was_asked_for():
    with pytest.warns(ConvergenceWarning, match="No maximum"):
        fit = fit_mmrm(too_few_subjects(), UNBOUNDED, on_failure="warn")
    assert not fit.fit_log.converged
    assert "(no interval)" in fit.headline()
    assert_result_contract(fit)
    assert "did NOT converge" in fit.headline()
    assert fit.fit_log.attempts == ()


def test_fall_back_is_used_and_reported_only_if_asked_for():
    spec = MMRMSpec.from_formula(UNBOUNDED, fallback=FALLBACKS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit = fit_mmrm(too_few_subjects(), spec)
    used = fit.structure
    assert used in FALLBACKS
    tried = [attempt.partition(":")[0] for attempt in fit.fit_log.attempts]
    assert tried == ["us", *FALLBACKS[: FALLBACKS.index(used) + 1]]
    assert "did not converge" in fit.fit_log.attempts[0]
    assert f"{used} was used instead of us" in fit.headline()
    assert fit.to_dict()["structure"] == used
    plain = fit_mmrm(too_few_subjects(), UNBOUNDED.replace("us(", f"{used}("))
    np.testing.assert_allclose(fit.table()["estimate"], plain.table()["estimate"], rtol=ROUNDING)
    assert_result_contract(fit)


def test_fall_back_also_helps_where_visits_were_never_seen_together():
    data = trial()
    seen = data.groupby("subject_id")["visit"].transform(lambda v: (v == "W12").any())
    data = data[~(seen & (data["visit"] == "W96"))]
    with pytest.raises(DesignError, match="has both W12 and W96"):
        fit_mmrm(data, MODEL)
    fit = fit_mmrm(data, MMRMSpec.from_formula(MODEL, fallback=("toeph", "csh")))
    assert fit.structure == "csh"
    assert [attempt.split(":")[0] for attempt in fit.fit_log.attempts] == ["us", "toeph", "csh"]
    assert "refused" in fit.fit_log.attempts[0]


def test_fall_backs_that_fail_too_are_named():
    spec = MMRMSpec.from_formula(UNBOUNDED, fallback=("us",))
    with pytest.raises(ConvergenceError, match="Nor was any fall-back a way out: us: did not"):
        fit_mmrm(too_few_subjects(), spec)
