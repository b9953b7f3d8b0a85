"""Small-sample inference of marginal models: SAS, clubSandwich, and the papers in full matrices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from reference_cases import ReferenceCase, load_case
from repeated_cases import (
    THETA,
    dense_covariance,
    dense_hessian,
    dense_kenward_roger,
    dense_projection,
    fev_arrays,
    plain,
    small_arrays,
)

from pmsstats.errors import DesignError
from pmsstats.models.fixed_effects.degrees_of_freedom import Inference
from pmsstats.models.fixed_effects.inference import tabulate_estimates
from pmsstats.models.repeated.mmrm_covariance import COVARIANCES
from pmsstats.models.repeated.mmrm_inference import marginal_inference
from pmsstats.models.repeated.mmrm_likelihood import MarginalFit, fit_marginal
from pmsstats.models.repeated.mmrm_patterns import RepeatedArrays
from pmsstats.models.repeated.mmrm_profile import MarginalLikelihood

DENSE = 1e-6  # relative: the same formula in full matrices, derivatives by differences
SAS_METHODS = {"kr": "kenward-roger", "kr(linear)": "kenward-roger-linear"}
# SAS stops when a Newton step promises a relative change of the likelihood of 1e-8, which is some
# 1e-3 standard errors of a covariance parameter from the maximum (see the test of its steps).
SAS_STOPS = {"estimate": 1e-5, "std_error": 1e-4, "df": 3e-4, "statistic": 1e-4}
SAS_STOPS |= {"conf_low": 1e-4, "conf_high": 1e-4, "p_value": 3e-3}
COLUMNS = list(SAS_STOPS)


@pytest.fixture(scope="module")
def sas(shared_file: Callable[[str], Path]) -> pd.DataFrame:
    return pd.read_csv(shared_file("reference/mmrm_sas/arm_difference.csv"))


@pytest.fixture(scope="module")
def arm_only(data_file: Callable[[str], Path]) -> RepeatedArrays:
    return plain(fev_arrays(pd.read_csv(data_file("fev.csv")), full=False))


@pytest.fixture(scope="module")
def case() -> ReferenceCase:
    return load_case("mmrm_structures")


def arm_row(fixed: np.ndarray, inference: Inference) -> pd.Series:
    """Tabulate the difference between arms."""
    contrast = np.array([[0.0, 1.0]])
    error = np.sqrt(np.einsum("ma,ab,mb->m", contrast, inference.covariance, contrast))
    df = inference.df(contrast)
    return tabulate_estimates(["arm"], contrast @ fixed, error, df=df).iloc[0]


@pytest.mark.parametrize("covariance", ["us", "ar1", "cs"])
@pytest.mark.parametrize("ddfm", SAS_METHODS)
def test_sas(sas: pd.DataFrame, arm_only: RepeatedArrays, covariance: str, ddfm: str) -> None:
    expected = sas[(sas["covariance"] == covariance) & (sas["ddfm"] == ddfm)].iloc[0]
    fit = fit_marginal(arm_only, covariance, reml=True)
    found = arm_row(fit.fixed, marginal_inference(arm_only, fit, SAS_METHODS[ddfm]))
    for column in COLUMNS:
        assert found[column] == pytest.approx(expected[column], rel=SAS_STOPS[column]), column


@pytest.mark.parametrize("ddfm", SAS_METHODS)
def test_sas_to_the_last_digit_where_it_stopped(
    sas: pd.DataFrame, arm_only: RepeatedArrays, ddfm: str
) -> None:
    # SAS's way for TYPE=UN: MIVQUE0 (a scoring step from the identity), then Newton steps in the
    # covariances themselves. Four of them reproduce what it prints to 12 digits: the same
    # likelihood, observed information, and adjustment.
    likelihood = MarginalLikelihood(arm_only, COVARIANCES["us"], reml=True)
    theta = np.eye(4)[np.tril_indices(4)]
    for curvature in ("expected", "observed", "observed", "observed"):
        slopes = likelihood.slopes(likelihood.at(theta))
        theta = theta - np.linalg.solve(getattr(slopes, curvature), slopes.gradient)
    stopped = at_theta(arm_only, likelihood, theta)
    found = arm_row(stopped.fixed, marginal_inference(arm_only, stopped, SAS_METHODS[ddfm]))
    expected = sas[(sas["covariance"] == "us") & (sas["ddfm"] == ddfm)].iloc[0]
    for column in COLUMNS:
        assert found[column] == pytest.approx(expected[column], rel=1e-9), column


def at_theta(
    arrays: RepeatedArrays, likelihood: MarginalLikelihood, theta: np.ndarray
) -> MarginalFit:
    """Return a fit that stopped at some theta (on the common scale)."""
    point = likelihood.at(theta)
    assert point is not None
    units = np.outer(likelihood.units, likelihood.units)
    return replace(
        fit_marginal(arrays, likelihood.structure.name, reml=True),
        theta=theta * likelihood.units,
        theta_covariance=2 * np.linalg.inv(likelihood.slopes(point).observed) * units,
        fixed=likelihood.back.fixed(point.fixed),
        fixed_covariance=likelihood.back.fixed_covariance(point.fixed_covariance),
    )


# --- the papers in full matrices --------------------------------------------------------------

VARIANTS: dict[str, Callable[[RepeatedArrays], RepeatedArrays]] = {
    "plain": plain,
    "grouped and weighted": lambda arrays: replace(arrays, n_groups=2),
}
KR_CASES = [(name, "plain") for name in THETA] + [
    (name, "grouped and weighted") for name in ("cs", "ar1h", "sp_exp")
]


@pytest.mark.parametrize(("name", "variant"), KR_CASES)
def test_kenward_roger_in_full_matrices(name: str, variant: str) -> None:
    arrays = VARIANTS[variant](small_arrays(21, n_subjects=20))
    fit = fit_marginal(arrays, name, reml=True)
    assert fit.converged
    adjusted, slopes, W = dense_kenward_roger(arrays, name, fit.theta)
    _, phi = dense_projection(dense_covariance(arrays, name, fit.theta), arrays.X)
    df = 2 * np.diag(phi) ** 2 / np.einsum("kl,kaa,laa->a", W, slopes, slopes)
    for method, covariance in adjusted.items():
        found = marginal_inference(arrays, fit, method)
        size = np.abs(covariance).max()
        np.testing.assert_allclose(found.covariance, covariance, atol=DENSE * size)
        np.testing.assert_allclose(found.df(np.eye(5)), df, rtol=1e-4)


@pytest.mark.parametrize("name", ["us", "toep", "cs"])
def test_linear_covariances_have_no_second_order_terms(name: str) -> None:
    arrays = plain(small_arrays(22, n_subjects=40))
    fit = fit_marginal(arrays, name, reml=True)
    full, linear = (
        marginal_inference(arrays, fit, method).covariance
        for method in ("kenward-roger", "kenward-roger-linear")
    )
    np.testing.assert_array_equal(full, linear)


@pytest.mark.parametrize("name", THETA)
@pytest.mark.parametrize("reml", [True, False])
def test_satterthwaite_in_full_matrices(name: str, reml: bool) -> None:
    # The variance of a contrast as a function of theta, differentiated by differences.
    arrays = plain(small_arrays(23, n_subjects=40))
    fit = fit_marginal(arrays, name, reml=reml)
    L = np.array([[0.0, 0.0, 1.0, 3.0, 0.0]])

    def variance(theta: np.ndarray) -> float:
        _, phi = dense_projection(dense_covariance(arrays, name, theta), arrays.X)
        return (L @ phi @ L.T).item()

    steps = 1e-5 * np.diag(np.maximum(np.abs(fit.theta), 0.1))
    slope = np.array(
        [(variance(fit.theta + s) - variance(fit.theta - s)) / (2 * s.sum()) for s in steps]
    )
    expected = 2 * variance(fit.theta) ** 2 / (slope @ fit.theta_covariance @ slope)
    found = marginal_inference(arrays, fit, "satterthwaite")
    np.testing.assert_allclose(found.df(L), expected, rtol=1e-5)
    np.testing.assert_allclose(found.covariance, fit.fixed_covariance, rtol=1e-12)


def test_satterthwaite_takes_the_observed_information() -> None:
    arrays = plain(small_arrays(24, n_subjects=40))
    fit = fit_marginal(arrays, "ar1h", reml=True)
    W = marginal_inference(arrays, fit, "satterthwaite").parameter_covariance
    expected = 2 * np.linalg.inv(dense_hessian(arrays, "ar1h", fit.theta))
    np.testing.assert_allclose(W, expected, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("name", ["us", "csh", "sp_exp"])
@pytest.mark.parametrize("method", ["kenward-roger", "satterthwaite"])
def test_units_and_columns_do_not_matter(name: str, method: str) -> None:
    arrays = plain(small_arrays(25, n_subjects=40))
    A = np.random.default_rng(26).normal(0, 1, (5, 5))
    other = replace(arrays, y=1e-4 * arrays.y, X=arrays.X @ A)
    one, two = (
        marginal_inference(a, fit_marginal(a, name, reml=True), method) for a in (arrays, other)
    )
    L = np.array([[0.0, 0.0, 1.0, 3.0, 0.0]])
    np.testing.assert_allclose(two.df(L @ A), one.df(L), rtol=1e-5)
    np.testing.assert_allclose(
        A @ two.covariance @ A.T, 1e-8 * one.covariance, atol=1e-13, rtol=1e-5
    )


def test_complete_balanced_data_have_exact_degrees_of_freedom() -> None:
    # The mean of all visits, one mean per arm: a two-sample t test of subjects' means.
    arrays = plain(small_arrays(27, n_subjects=20, missing=0.0))
    arm = (arrays.subject % 2)[:, None]
    means = np.column_stack([(arrays.visit == v) for v in range(4)])
    X = np.column_stack([means * arm, means * (1 - arm)]).astype(float)
    fit = fit_marginal(replace(arrays, X=X), "us", reml=True)
    L = np.repeat([[0.25, -0.25]], 4, axis=1)
    by_subject = arrays.y.reshape(20, 4).mean(axis=1)
    difference = by_subject[1::2].mean() - by_subject[::2].mean()
    pooled = (by_subject[1::2].var(ddof=1) + by_subject[::2].var(ddof=1)) / 2
    for method in ("kenward-roger", "satterthwaite"):
        inference = marginal_inference(replace(arrays, X=X), fit, method)
        assert inference.df(L).item() == pytest.approx(18.0, rel=1e-6)
        assert (L @ inference.covariance @ L.T).item() == pytest.approx(pooled / 5, rel=1e-6)
    assert (L @ fit.fixed).item() == pytest.approx(difference, rel=1e-8)


def test_hotelling_under_unstructured() -> None:
    # All four differences between arms, complete data: Hotelling's T-squared [Anderson 2003, 5.3].
    arrays = plain(small_arrays(28, n_subjects=20, missing=0.0))
    arm = (arrays.subject % 2)[:, None]
    means = np.column_stack([(arrays.visit == v) for v in range(4)])
    X = np.column_stack([means, means * arm]).astype(float)
    arrays = replace(arrays, X=X)
    fit = fit_marginal(arrays, "us", reml=True)
    wide = arrays.y.reshape(20, 4)
    pooled = (np.cov(wide[1::2].T) + np.cov(wide[::2].T)) / 2
    gap = wide[1::2].mean(axis=0) - wide[::2].mean(axis=0)
    t_squared = gap @ np.linalg.solve(pooled * (1 / 10 + 1 / 10), gap)
    test = marginal_inference(arrays, fit, "kenward-roger").f_test(np.eye(8)[4:], fit.fixed)
    assert test.df_denominator == pytest.approx(18 - 4 + 1, rel=1e-6)
    assert test.statistic == pytest.approx((18 - 4 + 1) / (18 * 4) * t_squared, rel=1e-6)


# --- counted degrees of freedom ---------------------------------------------------------------


def test_between_within_as_in_the_vignette_of_mmrm(case: ReferenceCase) -> None:
    # openpharma/mmrm, vignette "Between-Within": 197 - (1 + 4) = 192 between subjects and
    # 537 - (197 + 6) = 334 within, for this model and data.
    arrays = plain(fev_arrays(case.input, full=True))
    fit = fit_marginal(arrays, "us", reml=True)
    inference = marginal_inference(arrays, fit, "between-within")
    np.testing.assert_array_equal(inference.df(np.eye(11))[1:], [192] * 4 + [334] * 6)


def test_residual_and_normal(case: ReferenceCase) -> None:
    arrays = plain(fev_arrays(case.input, full=True))
    fit = fit_marginal(arrays, "ar1", reml=True)
    assert marginal_inference(arrays, fit, "residual").df(np.eye(11))[3] == 537 - 11
    assert marginal_inference(arrays, fit, "normal").df(np.eye(11)) is None


# --- empirical covariance ---------------------------------------------------------------------

SANDWICHES = [(name, kind) for name in ("us", "cs", "weighted") for kind in ("CR0", "CR2", "CR3")]


def sandwich_fit(case: ReferenceCase, name: str) -> tuple[RepeatedArrays, MarginalFit]:
    full = fev_arrays(case.input, full=True)
    arrays = {"weighted": replace(plain(full), weights=full.weights)}.get(name, plain(full))
    covariance = {"weighted": "cs"}.get(name, name)
    return arrays, fit_marginal(arrays, covariance, reml=True)


@pytest.mark.parametrize(("name", "kind"), SANDWICHES)
def test_clubsandwich(case: ReferenceCase, name: str, kind: str) -> None:
    arrays, fit = sandwich_fit(case, name)
    inference = marginal_inference(arrays, fit, "satterthwaite", kind)
    key = f"sandwich.{name}.{kind}"
    joint = inference.f_test(np.eye(11)[8:], fit.fixed)
    found = {
        "std_error": np.sqrt(np.diag(inference.covariance)),
        "df": inference.df(np.eye(11)),
        "f": [joint.statistic, joint.df_denominator],
    }
    for quantity, values in found.items():
        rows = case.rows(f"{key}.{quantity}")
        np.testing.assert_allclose(values, rows["value"], rtol=rows["rtol"].iloc[0])


def test_cr2_is_unbiased_under_the_model() -> None:
    # The expectation of the sandwich, residual covariance taken from the model: equals the model's.
    arrays = replace(plain(small_arrays(29, n_subjects=16)))
    fit = fit_marginal(arrays, "cs", reml=True)
    inference = marginal_inference(arrays, fit, "satterthwaite", "CR2")
    a = inference.scores
    B = np.einsum("stp,stq->spq", a, inference.hats)
    expected = np.einsum("stp,stq->pq", a, a) - np.einsum("spa,sqa->pq", B, B)
    np.testing.assert_allclose(expected, fit.fixed_covariance, rtol=1e-8, atol=1e-12)


def test_sandwich_in_full_matrices() -> None:
    arrays = plain(small_arrays(30, n_subjects=16))
    fit = fit_marginal(arrays, "ar1", reml=True)
    V = dense_covariance(arrays, "ar1", fit.theta)
    inverse = np.linalg.inv(V)
    _, phi = dense_projection(V, arrays.X)
    residual = arrays.y - arrays.X @ fit.fixed
    hat = arrays.X @ phi @ arrays.X.T @ inverse
    sums = {"CR0": np.zeros((5, 5)), "CR3": np.zeros((5, 5))}
    for s in range(arrays.n_subjects):
        rows = arrays.subject == s
        half = arrays.X[rows].T @ inverse[np.ix_(rows, rows)]
        own = np.eye(rows.sum()) - hat[np.ix_(rows, rows)]
        for kind, adjusted in (
            ("CR0", residual[rows]),
            ("CR3", np.linalg.solve(own, residual[rows])),
        ):
            sums[kind] += np.outer(half @ adjusted, half @ adjusted)
    for kind, total in sums.items():
        found = marginal_inference(arrays, fit, "normal", kind).covariance
        np.testing.assert_allclose(found, phi @ total @ phi, rtol=1e-8)


def test_empirical_degrees_of_freedom_in_full_matrices() -> None:
    # Pustejovsky and Tipton (2018): moments of a quadratic form, every matrix written out.
    arrays = plain(small_arrays(31, n_subjects=14))
    fit = fit_marginal(arrays, "cs", reml=True)
    V = dense_covariance(arrays, "cs", fit.theta)
    inverse = np.linalg.inv(V)
    _, phi = dense_projection(V, arrays.X)
    L = np.array([0.0, 0.0, 1.0, 3.0, 0.0])
    I_H = np.eye(len(V)) - arrays.X @ phi @ arrays.X.T @ inverse
    vectors = []
    for s in range(arrays.n_subjects):
        rows = arrays.subject == s
        adjust = np.linalg.inv(I_H[np.ix_(rows, rows)])
        vectors.append(
            I_H[rows].T @ adjust.T @ inverse[np.ix_(rows, rows)] @ arrays.X[rows] @ phi @ L
        )
    P = np.array(vectors) @ V @ np.array(vectors).T
    found = marginal_inference(arrays, fit, "satterthwaite", "CR3").df(L[None])
    np.testing.assert_allclose(found, np.trace(P) ** 2 / (P**2).sum(), rtol=1e-8)


def test_empirical_inference_in_other_units(case: ReferenceCase) -> None:
    arrays, fit = sandwich_fit(case, "cs")
    inference = marginal_inference(arrays, fit, "satterthwaite", "CR2")
    B = np.random.default_rng(32).normal(0, 1, (11, 11))
    moved = inference.mapped(lambda C: B @ C @ B.T)
    L = np.random.default_rng(33).normal(0, 1, (3, 11))
    np.testing.assert_allclose(moved.df(L), inference.df(L @ B), rtol=1e-8)
    one, two = inference.f_test(L @ B, fit.fixed), moved.f_test(L, B @ fit.fixed)
    assert two.statistic == pytest.approx(one.statistic, rel=1e-7)
    assert two.df_denominator == pytest.approx(one.df_denominator, rel=1e-7)


def test_empirical_covariance_with_counted_degrees_of_freedom(case: ReferenceCase) -> None:
    arrays, fit = sandwich_fit(case, "cs")
    counted = marginal_inference(arrays, fit, "between-within", "CR0")
    own = marginal_inference(arrays, fit, "satterthwaite", "CR0")
    np.testing.assert_allclose(counted.covariance, own.covariance, rtol=1e-12)
    assert counted.df(np.eye(11))[1] == 192


@pytest.mark.parametrize("kind", ["CR2", "CR3"])
def test_a_subject_who_alone_decides_is_refused(kind: str) -> None:
    arrays = plain(small_arrays(34, n_subjects=20))
    X = np.column_stack([arrays.X, arrays.subject == 3]).astype(float)
    arrays = replace(arrays, X=X)
    fit = fit_marginal(arrays, "cs", reml=True)
    with pytest.raises(DesignError, match="1 subjects who alone decide"):
        marginal_inference(arrays, fit, "satterthwaite", kind)
    assert np.isfinite(marginal_inference(arrays, fit, "satterthwaite", "CR0").covariance).all()


# --- what does not go together ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("reml", "method", "empirical", "words"),
    [
        (True, "kenward-roger", "CR0", "empirical covariance 'CR0'"),
        (False, "kenward-roger", None, "restricted likelihood"),
        (False, "kenward-roger-linear", None, "restricted likelihood"),
        (True, "satterthwait", None, "Did you mean 'satterthwaite'"),
        (True, "satterthwaite", "CR1", "found 'CR1'"),
    ],
)
def test_impossible_requests_are_refused(
    reml: bool, method: str, empirical: str | None, words: str
) -> None:
    arrays = plain(small_arrays(35))
    fit = fit_marginal(arrays, "cs", reml=reml)
    with pytest.raises(DesignError, match=words):
        marginal_inference(arrays, fit, method, empirical)


def test_no_degrees_of_freedom_between_subjects_are_refused() -> None:
    arrays = plain(small_arrays(36, n_subjects=10, missing=0.0))
    own = np.eye(10)[arrays.subject][:, 1:]
    arrays = replace(arrays, X=np.column_stack([np.ones(40), arrays.visit, own]))
    fit = fit_marginal(arrays, "ar1", reml=True)
    with pytest.raises(DesignError, match="leaves no degrees of freedom"):
        marginal_inference(arrays, fit, "between-within")
