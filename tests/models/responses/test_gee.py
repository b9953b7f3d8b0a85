"""Estimating equations: geepack as stored witness, dense matrices, recovery, bad input."""

from __future__ import annotations

import dataclasses
import itertools
from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from properties import assert_covariance_matrix, assert_result_contract
from reference_cases import load_case
from scipy import stats

from pmsstats.errors import ConvergenceError, ConvergenceWarning, DesignError, FormulaError
from pmsstats.models.responses.gee import GEEResult, GEESpec, fit_gee

OUTCOMES = {"gaussian": "sdmt", "binomial": "relapsed", "poisson": "new_lesions"}
CORRELATIONS = ("independence", "exchangeable", "ar1")
MODELS = list(itertools.product(OUTCOMES, CORRELATIONS))
SAME_FIT = 1e-6  # relative: iterations stop at 1e-9 of the equations per row


def spec_of(family: str, correlation: str, **change) -> GEESpec:
    return GEESpec(
        outcome=OUTCOMES[family], fixed="visit + visit:arm", family=family,
        correlation=correlation, time={"ar1": "visit"}.get(correlation), **change,
    )  # fmt: skip


def input_rows() -> pd.DataFrame:
    frame = load_case("gee_visits").input
    return frame.assign(arm=pd.Categorical(frame["arm"], categories=["placebo", "active"]))


@cache
def fitted(family: str, correlation: str, empirical: str | None = "CR0") -> GEEResult:
    return fit_gee(input_rows(), spec_of(family, correlation, empirical=empirical))


# --- another implementation -------------------------------------------------------------------


@pytest.mark.parametrize(("family", "correlation"), MODELS)
def test_fit_equals_geepack(family, correlation):
    case = load_case("gee_visits")
    for empirical, quantity in (("CR0", "cr0"), (None, "model")):
        table = fitted(family, correlation, empirical).table()
        for name, column in (("estimate", "estimate"), (quantity, "std_error")):
            expected = case.rows(f"{family}.{correlation}.{name}")
            assert table["term"].tolist() == expected["term"].tolist()
            assert (np.abs(table[column] / expected["value"].to_numpy() - 1) <= 1e-6).all()
    scale = case.rows(f"{family}.{correlation}.scale")["value"].iloc[0]
    assert fitted(family, correlation).scale == pytest.approx(scale, rel=1e-6)


@pytest.mark.parametrize(("family", "correlation"), [m for m in MODELS if m[1] != "independence"])
def test_working_correlation_equals_that_of_geepack(family, correlation):
    expected = load_case("gee_visits").rows(f"{family}.{correlation}.correlation")["value"].iloc[0]
    assert fitted(family, correlation).correlation == pytest.approx(expected, rel=1e-5)


def test_mancl_derouen_errors_equal_cr3_of_clubsandwich():
    case = load_case("counts_epil")
    spec = GEESpec(
        outcome="seizures", fixed="trt + log(base) + V4", family="poisson",
        correlation="independence", empirical="CR3",
    )  # fmt: skip
    table, expected = fit_gee(case.input, spec).table(), case.rows("poisson_cr3")
    assert (np.abs(table["std_error"].to_numpy() / expected["value"] - 1) <= expected["rtol"]).all()


# --- dense matrices ---------------------------------------------------------------------------


@pytest.mark.parametrize(("family", "correlation"), MODELS)
def test_equations_and_corrected_errors_by_dense_matrices(family, correlation):
    """Liang and Zeger 1986; Mancl and DeRouen 2001."""
    frame, fit = input_rows(), fitted(family, correlation, "CR3")
    X = np.column_stack(
        [np.ones(len(frame)), frame["visit"], frame["visit"] * (frame["arm"] == "active")]
    )
    y, beta = frame[OUTCOMES[family]].to_numpy(float), fit.table()["estimate"].to_numpy()
    mu = fit.link.mean(X @ beta)
    variance = {"gaussian": np.ones_like(mu), "binomial": mu * (1 - mu), "poisson": mu}[family]
    slope = variance  # canonical links
    inverse, score, parts = 0, 0, []
    for _, rows in frame.groupby("subject_id").indices.items():
        visits, a = frame["visit"].to_numpy()[rows], fit.correlation
        same = np.eye(len(rows))
        R = {
            "independence": same,
            "exchangeable": a + (1 - a) * same,
            "ar1": a ** np.abs(visits[:, None] - visits[None, :]) if a else same,
        }[correlation]
        root = np.sqrt(variance[rows])
        V = fit.scale * root[:, None] * R * root[None, :]
        D, r = slope[rows][:, None] * X[rows], (y - mu)[rows]
        parts.append((D, V, r))
        inverse = inverse + D.T @ np.linalg.solve(V, D)
        score = score + D.T @ np.linalg.solve(V, r)
    naive = np.linalg.inv(inverse)
    assert np.abs(np.sqrt(np.diag(naive)) * score).max() < 1e-6
    middle = 0
    for D, V, r in parts:
        H = D @ naive @ D.T @ np.linalg.inv(V)
        u = D.T @ np.linalg.solve(V, np.linalg.solve(np.eye(len(r)) - H, r))
        middle = middle + np.outer(u, u)
    assert np.allclose(fit.model_covariance, naive, rtol=SAME_FIT)
    assert np.allclose(fit.covariance, naive @ middle @ naive, rtol=SAME_FIT)


def test_independence_with_one_row_each_is_least_squares():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"subject_id": range(50), "x": rng.normal(size=50)})
    frame["y"] = 2 + 0.5 * frame["x"] + rng.normal(size=50)
    fit = fit_gee(
        frame, GEESpec(outcome="y", fixed="x", correlation="independence", empirical=None)
    )
    X = np.column_stack([np.ones(50), frame["x"]])
    beta = np.linalg.lstsq(X, frame["y"], rcond=None)[0]
    error = np.sqrt(np.diag(np.linalg.inv(X.T @ X)) * np.mean((frame["y"] - X @ beta) ** 2))
    assert fit.table()["estimate"].to_numpy() == pytest.approx(beta)
    assert fit.table()["std_error"].to_numpy() == pytest.approx(error)


def test_poisson_rates_per_time_observed():
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({"subject_id": np.arange(200) // 2, "years": rng.uniform(0.5, 2, 200)})
    frame["events"] = rng.poisson(1.5 * frame["years"])
    spec = GEESpec(
        outcome="events",
        fixed="1",
        family="poisson",
        exposure="years",
        correlation="independence",
    )
    fit = fit_gee(frame, spec)
    rate = frame["events"].sum() / frame["years"].sum()
    assert fit.means()["estimate"].iloc[0] == pytest.approx(rate, rel=1e-8)


# --- recovery ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_corrected_errors_hold_their_level_with_few_subjects():
    rng, n, visits, replicates = np.random.default_rng(5), 20, 4, 400
    arm = np.repeat(np.arange(n) % 2, visits)
    off = {"CR0": 0, "CR3": 0}
    for _ in range(replicates):
        y = np.repeat(rng.normal(size=n), visits) + rng.normal(size=n * visits)
        frame = pd.DataFrame({"subject_id": np.arange(n * visits) // visits, "arm": arm, "y": y})
        for kind in off:
            spec = GEESpec(outcome="y", fixed="arm", empirical=kind)
            off[kind] += fit_gee(frame, spec).table()["p_value"].iloc[1] < 0.05
    rates = {kind: count / replicates for kind, count in off.items()}
    # With 20 subjects z tests on an SD of 18 degrees of freedom exceed 5 % even if unbiased.
    unbiased = 2 * stats.t.sf(stats.norm.ppf(0.975), 18)
    allowed = 4 * np.sqrt(unbiased * (1 - unbiased) / replicates)
    assert rates["CR3"] < unbiased + allowed
    assert rates["CR3"] < rates["CR0"]


# --- properties -------------------------------------------------------------------------------


@pytest.mark.parametrize("family", OUTCOMES)
def test_result_contract(family):
    fit = fitted(family, "exchangeable")
    assert_result_contract(fit)
    assert_covariance_matrix(fit.covariance)
    names = {"gaussian": None, "binomial": "odds_ratio", "poisson": "rate_ratio"}
    assert fit.ratio == names[family]
    assert (str(fit.ratio) in fit.table()) == (fit.ratio is not None)


@settings(max_examples=8)
@given(st.integers(0, 10_000))
def test_order_of_rows_changes_nothing(seed):
    frame = input_rows().sample(frac=1, random_state=seed)
    table = fit_gee(frame, spec_of("binomial", "ar1")).table()
    expected = fitted("binomial", "ar1").table()
    for column in ("estimate", "std_error"):
        assert table[column].to_numpy() == pytest.approx(expected[column].to_numpy(), rel=SAME_FIT)


def test_units_of_outcome_and_columns():
    frame = input_rows().assign(
        sdmt=lambda f: 1e-4 * f["sdmt"], visit=lambda f: 365.25 * f["visit"]
    )
    table = fit_gee(frame, spec_of("gaussian", "exchangeable")).table()
    expected = fitted("gaussian", "exchangeable").table()
    factor = 1e-4 * np.array([1, 1 / 365.25, 1 / 365.25])
    for column in ("estimate", "std_error"):
        assert table[column].to_numpy() == pytest.approx(
            expected[column].to_numpy() * factor, rel=SAME_FIT
        )


# --- bad input --------------------------------------------------------------------------------


def test_missing_values_are_counted():
    frame = input_rows().reset_index(drop=True)
    frame.loc[:2, "sdmt"] = [np.nan, np.inf, np.nan]
    fit = fit_gee(frame, spec_of("gaussian", "exchangeable"))
    assert fit.n_obs == len(frame) - 3
    assert set(fit.excluded()["reason"]) >= {"no sdmt", "sdmt is infinite"}


def test_few_subjects_are_told():
    frame = input_rows()
    few = frame[frame["subject_id"].isin(frame["subject_id"].unique()[:12])]
    assert "only 12 subjects" in fit_gee(few, spec_of("gaussian", "exchangeable")).headline()


def test_separation_is_told():
    frame = input_rows().assign(relapsed=lambda f: f["relapsed"].mask(f["arm"] == "active", 1))
    spec = GEESpec(outcome="relapsed", fixed="arm", family="binomial")
    with pytest.raises(ConvergenceError, match=r"arm\[T.active\] separates"):
        fit_gee(frame, spec)
    with pytest.warns(ConvergenceWarning, match="arm"):
        fit_gee(frame, spec, on_failure="warn")


def test_impossible_correlation_is_told():
    rng = np.random.default_rng(7)
    y = rng.normal(size=(40, 3))
    y -= 0.999 * y.mean(axis=1, keepdims=True)
    frame = pd.DataFrame({"subject_id": np.repeat(range(40), 3), "y": y.ravel() * 1.0})
    extra = pd.DataFrame({"subject_id": ["x"] * 6, "y": rng.normal(size=6)})
    with pytest.raises(ConvergenceError, match="impossible for 6 rows"):
        fit_gee(pd.concat([frame, extra]), "y ~ 1")


@pytest.mark.parametrize(
    ("family", "change", "match"),
    [
        ("binomial", {"relapsed": 2}, "must be 0 or 1"),
        ("binomial", {"relapsed": "yes"}, "must hold numbers"),
        ("poisson", {"new_lesions": 0.5}, "a whole number"),
        ("gaussian", {"sdmt": 40.0}, "nothing to model"),
        ("gaussian", {"subject_id": "S1"}, "the data have one"),
        ("gaussian", {"sdmt": np.nan}, "No row is left"),
    ],
)
def test_bad_data_are_refused(family, change, match):
    with pytest.raises(DesignError, match=match):
        fit_gee(input_rows().assign(**change), spec_of(family, "exchangeable"))


def test_repeated_times_are_refused():
    with pytest.raises(DesignError, match="needs each visit once"):
        fit_gee(input_rows().assign(visit=1), GEESpec(
            outcome="sdmt", fixed="arm", correlation="ar1", time="visit"))  # fmt: skip


def test_bad_requests_are_refused():
    spec = spec_of("gaussian", "exchangeable")
    wrong = [{"correlation": "ar1"}, {"time": "visit"}, {"exposure": "visit"}]
    wrong += [{"family": "gamma"}, {"empirical": "CR1"}, {"conf_level": 95.0}]
    for change in wrong:
        with pytest.raises(DesignError):
            dataclasses.replace(spec, **change)
    with pytest.raises(FormulaError, match="no random terms"):
        fit_gee(input_rows(), "sdmt ~ visit + (1 | subject_id)")
    with pytest.raises(DesignError, match="inside of the GEESpec"):
        fit_gee(input_rows(), spec, family="poisson")
