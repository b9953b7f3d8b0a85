"""The marginal likelihood: against other programs, against full matrices, and bad input."""

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
    dense_hessian,
    dense_log_likelihood,
    fev_arrays,
    gradient_of,
    plain,
    small_arrays,
)

from pmsstats.errors import DesignError
from pmsstats.models.repeated.mmrm_covariance import COVARIANCES
from pmsstats.models.repeated.mmrm_likelihood import (
    MarginalFit,
    MarginalLikelihood,
    fit_marginal,
    unobserved_pairs,
)
from pmsstats.models.repeated.mmrm_patterns import RepeatedArrays

SAME = 1e-9  # relative: two maximisations of one likelihood
DENSE = 1e-9  # relative: the same formula in full matrices
NLME = ["us", "toep", "toeph", "ar1", "ar1h", "cs", "csh", "sp_exp"]
GLMMTMB = ["us", "toeph", "csh", "ar1"]


@pytest.fixture(scope="module")
def case() -> ReferenceCase:
    return load_case("mmrm_structures")


@pytest.fixture(scope="module")
def fev(case: ReferenceCase) -> RepeatedArrays:
    return fev_arrays(case.input, full=True)


def assert_matches(case: ReferenceCase, key: str, fit: MarginalFit) -> None:
    """Compare log-likelihood, estimates (in standard errors) and standard errors."""
    value = case.rows(f"{key}.log_likelihood").iloc[0]
    assert fit.log_likelihood == pytest.approx(value["value"], rel=value["rtol"])
    errors = np.sqrt(np.diag(fit.fixed_covariance))
    rows = case.rows(f"{key}.estimate")
    difference = np.abs(fit.fixed - rows["value"].to_numpy()) / errors
    assert (difference <= rows["rtol"]).all()


def assert_values(rows: pd.DataFrame, found: np.ndarray) -> None:
    np.testing.assert_allclose(found, rows["value"].to_numpy(), rtol=rows["rtol"].iloc[0])


def entries_of(fit: MarginalFit) -> np.ndarray:
    """Return the lower triangle, column by column, as R writes it."""
    assert fit.covariances is not None
    return fit.covariances[0].T[np.triu_indices(4)]


@pytest.mark.parametrize("name", NLME)
@pytest.mark.parametrize("method", ["reml", "ml"])
def test_gls(case: ReferenceCase, fev: RepeatedArrays, name: str, method: str) -> None:
    fit = fit_marginal(plain(fev), name, reml=method == "reml")
    assert fit.converged
    assert_matches(case, f"{method}.{name}", fit)
    rows = case.rows(f"{method}.{name}.covariance")
    found = fit.theta if name == "sp_exp" else entries_of(fit)
    tolerance = rows["rtol"].iloc[0] * rows["value"].abs().max()
    np.testing.assert_allclose(found, rows["value"], atol=tolerance, rtol=0)


@pytest.mark.parametrize("name", NLME)
def test_gls_standard_errors(case: ReferenceCase, fev: RepeatedArrays, name: str) -> None:
    fit = fit_marginal(plain(fev), name, reml=True)
    assert_values(case.rows(f"reml.{name}.std_error"), np.sqrt(np.diag(fit.fixed_covariance)))


@pytest.mark.parametrize("name", NLME)
@pytest.mark.parametrize("method", ["reml", "ml"])
def test_no_other_program_gets_higher(
    case: ReferenceCase, fev: RepeatedArrays, name: str, method: str
) -> None:
    value = case.rows(f"{method}.{name}.log_likelihood")["value"].iloc[0]
    fit = fit_marginal(plain(fev), name, reml=method == "reml")
    assert fit.log_likelihood >= value - 1e-9


@pytest.mark.parametrize("name", GLMMTMB)
@pytest.mark.parametrize("method", ["reml", "ml"])
def test_glmmtmb(case: ReferenceCase, fev: RepeatedArrays, name: str, method: str) -> None:
    row = case.rows(f"{method}.{name}.glmmTMB_log_likelihood").iloc[0]
    fit = fit_marginal(plain(fev), name, reml=method == "reml")
    assert fit.log_likelihood == pytest.approx(row["value"], rel=row["rtol"])


@pytest.mark.parametrize("name", ["cs", "us"])
def test_weights(case: ReferenceCase, fev: RepeatedArrays, name: str) -> None:
    arrays = replace(plain(fev), weights=fev.weights)
    fit = fit_marginal(arrays, name, reml=True)
    assert_matches(case, f"weighted.{name}", fit)
    rows = case.rows(f"weighted.{name}.std_error")
    assert_values(rows, np.sqrt(np.diag(fit.fixed_covariance)))


@pytest.mark.parametrize("name", ["us", "ar1h"])
def test_groups(case: ReferenceCase, fev: RepeatedArrays, name: str) -> None:
    assert fev.group is not None
    cell = fev.visit + 4 * fev.group[fev.subject]
    X = (cell[:, None] == np.arange(8)).astype(float)
    fit = fit_marginal(replace(fev, X=X, weights=None, n_groups=2), name, reml=True)
    assert_matches(case, f"grouped.{name}", fit)
    rows = case.rows(f"grouped.{name}.std_error")
    assert_values(rows, np.sqrt(np.diag(fit.fixed_covariance)))
    assert fit.covariances is not None
    assert fit.covariances.shape == (2, 4, 4)


def test_compound_symmetry_is_a_random_intercept() -> None:
    case = load_case("lmm_sleepstudy")  # values of lme4
    subject, _ = pd.factorize(case.input["Subject"])
    days = case.input["Days"].to_numpy()
    arrays = RepeatedArrays(
        y=case.input["Reaction"].to_numpy(),
        X=np.column_stack([np.ones(len(days)), days]),
        subject=subject,
        visit=days,
        n_subjects=18,
        n_visits=10,
    )
    fit = fit_marginal(arrays, "cs", reml=True)
    row = case.rows("intercept.log_likelihood").iloc[0]
    assert fit.log_likelihood == pytest.approx(row["value"], rel=row["rtol"])
    variance = case.rows("intercept.variance")["value"].iloc[0]
    assert fit.theta[0] == pytest.approx(variance, rel=1e-5)


# --- full matrices ----------------------------------------------------------------------------

VARIANTS: dict[str, Callable[[RepeatedArrays], RepeatedArrays]] = {
    "plain": plain,
    "weighted": lambda arrays: replace(arrays, group=None),
    "grouped": lambda arrays: replace(arrays, weights=None, n_groups=2),
    "both": lambda arrays: replace(arrays, n_groups=2),
}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", THETA)
@pytest.mark.parametrize("reml", [True, False])
def test_likelihood_in_full_matrices(name: str, variant: str, reml: bool) -> None:
    arrays = VARIANTS[variant](small_arrays(1))
    theta = np.concatenate([np.array(THETA[name]) * (1 - 0.1 * g) for g in range(arrays.n_groups)])
    likelihood = MarginalLikelihood(arrays, COVARIANCES[name], reml=reml)
    point = likelihood.at(theta / likelihood.units)
    assert point is not None
    expected = dense_log_likelihood(arrays, name, theta, reml=reml)
    assert likelihood.log_likelihood(point) == pytest.approx(expected, rel=DENSE)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", THETA)
@pytest.mark.parametrize("reml", [True, False])
def test_slopes_are_those_of_the_likelihood(name: str, variant: str, reml: bool) -> None:
    arrays = VARIANTS[variant](small_arrays(2))
    theta = np.concatenate([np.array(THETA[name]) * (1 - 0.1 * g) for g in range(arrays.n_groups)])
    likelihood = MarginalLikelihood(arrays, COVARIANCES[name], reml=reml)

    def deviance(t: np.ndarray) -> np.ndarray:
        point = likelihood.at(t)
        assert point is not None
        return np.array(point.deviance)

    def gradient(t: np.ndarray) -> np.ndarray:
        point = likelihood.at(t)
        assert point is not None
        return likelihood.slopes(point).gradient

    point = likelihood.at(theta)
    assert point is not None
    found = likelihood.slopes(point)
    size = np.abs(found.gradient).max()
    np.testing.assert_allclose(found.gradient, gradient_of(deviance, theta, 1e-3), atol=1e-6 * size)
    size = np.abs(found.observed).max()
    np.testing.assert_allclose(found.observed, gradient_of(gradient, theta, 1e-3), atol=1e-6 * size)


@pytest.mark.parametrize("name", ["us", "adh", "sp_exp"])
def test_second_derivatives_in_full_matrices(name: str) -> None:
    arrays = plain(small_arrays(3))
    theta = np.array(THETA[name])
    likelihood = MarginalLikelihood(arrays, COVARIANCES[name], reml=True)
    point = likelihood.at(theta / likelihood.units)
    assert point is not None
    units = np.outer(likelihood.units, likelihood.units)
    expected = dense_hessian(arrays, name, theta)
    tolerance = 1e-6 * np.abs(expected).max()
    np.testing.assert_allclose(likelihood.slopes(point).observed / units, expected, atol=tolerance)


def test_expected_information_is_the_mean_of_the_observed() -> None:
    arrays = plain(small_arrays(4, n_subjects=12))
    name, theta = "ar1h", np.array(THETA["ar1h"])
    like = MarginalLikelihood(arrays, COVARIANCES[name], reml=True)
    rng = np.random.default_rng(5)
    draws = []
    for _ in range(400):
        errors = [
            rng.multivariate_normal(np.zeros(4), COVARIANCES[name].matrix(theta, 4))
            for _ in range(12)
        ]
        y = np.array(errors)[arrays.subject, arrays.visit]
        drawn = MarginalLikelihood(replace(arrays, y=y), COVARIANCES[name], reml=True)
        point = drawn.at(theta / drawn.units)
        assert point is not None
        draws.append(drawn.slopes(point).observed / np.outer(drawn.units, drawn.units))
    point = like.at(theta / like.units)
    assert point is not None
    expected = like.slopes(point).expected / np.outer(like.units, like.units)
    mcse = np.std(draws, axis=0) / np.sqrt(len(draws))
    assert (np.abs(np.mean(draws, axis=0) - expected) <= 4 * mcse + 1e-9).all()


# --- properties -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", THETA)
def test_the_fit_is_a_maximum(name: str) -> None:
    arrays = plain(small_arrays(6, n_subjects=60))
    fit = fit_marginal(arrays, name, reml=True)
    assert fit.converged
    assert fit.gradient_norm < 1e-4
    rng = np.random.default_rng(7)
    root = np.linalg.cholesky(fit.theta_covariance)
    for size in (0.02, 0.2):
        other = fit.theta + size * root @ rng.normal(0, 1, len(fit.theta))
        assert dense_log_likelihood(arrays, name, other, reml=True) < fit.log_likelihood


def test_theta_covariance_is_that_of_full_matrices() -> None:
    arrays = plain(small_arrays(6, n_subjects=40))
    fit = fit_marginal(arrays, "toeph", reml=True)
    expected = 2 * np.linalg.inv(dense_hessian(arrays, "toeph", fit.theta))
    np.testing.assert_allclose(fit.theta_covariance, expected, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("name", ["us", "toep", "csh", "sp_exp"])
def test_order_of_rows_and_numbers_of_subjects_do_not_matter(name: str) -> None:
    arrays = small_arrays(8, n_subjects=60)
    fit = fit_marginal(arrays, name, reml=True)
    rng = np.random.default_rng(9)
    rows, names = rng.permutation(arrays.n_obs), rng.permutation(arrays.n_subjects)
    assert arrays.coordinate is not None
    assert arrays.weights is not None
    mixed = replace(
        arrays,
        y=arrays.y[rows],
        X=arrays.X[rows],
        subject=names[arrays.subject[rows]],
        visit=arrays.visit[rows],
        coordinate=arrays.coordinate[rows],
        weights=arrays.weights[rows],
        group=None,
    )
    other = fit_marginal(mixed, name, reml=True)
    assert other.log_likelihood == pytest.approx(fit.log_likelihood, rel=1e-11)
    np.testing.assert_allclose(other.fixed, fit.fixed, rtol=1e-6)
    np.testing.assert_allclose(other.theta, fit.theta, rtol=1e-5)


@pytest.mark.parametrize("scale", [1e-4, 1e6])
@pytest.mark.parametrize("name", ["us", "adh", "cs", "sp_exp"])
def test_units_do_not_matter(name: str, scale: float) -> None:
    arrays = plain(small_arrays(8, n_subjects=60))
    fit = fit_marginal(arrays, name, reml=True)
    assert arrays.coordinate is not None
    other = fit_marginal(
        replace(arrays, y=1e3 * scale + scale * arrays.y, coordinate=365.25 * arrays.coordinate),
        name,
        reml=True,
    )
    n, p = arrays.X.shape
    expected = fit.log_likelihood - (n - p) * np.log(scale)
    assert other.converged
    assert other.log_likelihood == pytest.approx(expected, rel=SAME)
    np.testing.assert_allclose(other.fixed[1:], scale * fit.fixed[1:], rtol=1e-5)
    units = np.where(COVARIANCES[name].with_units(4), scale**2, 365.25)
    correlations = np.array(["correlation" in term for term in fit.theta_names])
    np.testing.assert_allclose(other.theta, fit.theta * np.where(correlations, 1, units), rtol=1e-5)


def test_recombined_columns_change_restricted_likelihood_by_a_constant() -> None:
    arrays = plain(small_arrays(10, n_subjects=50))
    A = np.random.default_rng(11).normal(0, 1, (5, 5))
    for reml in (True, False):
        fit = fit_marginal(arrays, "toep", reml=reml)
        other = fit_marginal(replace(arrays, X=arrays.X @ A), "toep", reml=reml)
        constant = reml * np.linalg.slogdet(A)[1]
        assert other.log_likelihood == pytest.approx(fit.log_likelihood - constant, rel=SAME)
        np.testing.assert_allclose(A @ other.fixed, fit.fixed, rtol=1e-6)


def test_complete_data_have_a_closed_form() -> None:
    # With the same columns for all visits, and ML, us is the mean product of residuals.
    arrays = plain(small_arrays(12, n_subjects=50, missing=0.0))
    X = (arrays.visit[:, None] == np.arange(4)).astype(float)
    fit = fit_marginal(replace(arrays, X=X), "us", reml=False)
    wide = arrays.y.reshape(50, 4)
    np.testing.assert_allclose(fit.fixed, wide.mean(axis=0), rtol=1e-8)
    assert fit.covariances is not None
    np.testing.assert_allclose(fit.covariances[0], np.cov(wide.T, bias=True), rtol=1e-6)


@pytest.mark.parametrize(
    ("simple", "rich"),
    [
        ("cs", "csh"),
        ("cs", "toep"),
        ("ar1", "toep"),
        ("ar1", "ad"),
        ("ar1h", "adh"),
        ("toep", "toeph"),
        ("csh", "toeph"),
        ("ad", "adh"),
        ("adh", "us"),
        ("toeph", "us"),
    ],
)
def test_more_parameters_fit_better(fev: RepeatedArrays, simple: str, rich: str) -> None:
    less, more = (fit_marginal(plain(fev), name, reml=True) for name in (simple, rich))
    assert more.log_likelihood > less.log_likelihood
    assert more.n_parameters > less.n_parameters


def test_equidistant_times_make_spatial_autoregressive(fev: RepeatedArrays) -> None:
    arrays = replace(plain(fev), coordinate=fev.visit * 28.0)
    spatial, ar1 = (fit_marginal(arrays, name, reml=True) for name in ("sp_exp", "ar1"))
    assert spatial.log_likelihood == pytest.approx(ar1.log_likelihood, rel=SAME)
    assert np.exp(-28 / spatial.theta[1]) == pytest.approx(ar1.theta[1], rel=1e-6)


def test_equal_groups_have_the_common_covariance() -> None:
    arrays = plain(small_arrays(13, n_subjects=40))
    twice = {
        field: np.concatenate([getattr(arrays, field)] * 2)
        for field in ("y", "X", "visit", "coordinate")
    }
    doubled = replace(
        arrays,
        **twice,
        subject=np.concatenate([arrays.subject, arrays.subject + 40]),
        n_subjects=80,
        group=np.repeat([0, 1], 40),
        n_groups=2,
    )
    both = fit_marginal(doubled, "toep", reml=False)
    one = fit_marginal(arrays, "toep", reml=False)
    np.testing.assert_allclose(both.theta.reshape(2, -1), [one.theta] * 2, rtol=1e-5)


# --- bad input --------------------------------------------------------------------------------


def test_a_huge_dropout_is_no_obstacle() -> None:
    arrays = plain(small_arrays(14, n_subjects=120, missing=0.6))
    assert fit_marginal(arrays, "us", reml=True).converged


def test_too_few_subjects_for_unstructured_do_not_converge() -> None:
    rng = np.random.default_rng(15)
    arrays = RepeatedArrays(
        y=rng.normal(0, 1, 60),
        X=np.ones((60, 1)),
        subject=np.repeat(np.arange(6), 10),
        visit=np.tile(np.arange(10), 6),
        n_subjects=6,
        n_visits=10,
    )
    fit = fit_marginal(arrays, "us", reml=True)
    assert not fit.converged
    assert "singular" in fit.message
    assert "fewer parameters" in fit.message


def test_visits_never_seen_together_are_named() -> None:
    arrays = plain(small_arrays(16, n_subjects=40))
    apart = ~((arrays.visit == 1) & (arrays.subject % 2 == 0)) & ~(
        (arrays.visit == 3) & (arrays.subject % 2 == 1)
    )
    fewer = replace(
        arrays,
        y=arrays.y[apart],
        X=arrays.X[apart],
        subject=arrays.subject[apart],
        visit=arrays.visit[apart],
        coordinate=None,
    )
    assert unobserved_pairs(fewer) == [(0, 1, 3)]
    with pytest.raises(DesignError, match="nobody with visits 2 and 4"):
        fit_marginal(fewer, "us", reml=True)
    assert fit_marginal(fewer, "csh", reml=True).converged


def test_unidentified_parameters_are_named() -> None:
    arrays = plain(small_arrays(17, n_subjects=40, missing=0.0))
    one_each = arrays.visit == arrays.subject % 4
    single = replace(
        arrays,
        y=arrays.y[one_each],
        X=arrays.X[one_each],
        subject=arrays.subject[one_each],
        visit=arrays.visit[one_each],
        coordinate=None,
    )
    with pytest.raises(DesignError, match=r"cannot tell apart: .*covariance"):
        fit_marginal(single, "cs", reml=True)


BAD: dict[str, tuple[Callable[[RepeatedArrays], RepeatedArrays], str]] = {
    "constant": (lambda a: replace(a, y=np.full(a.n_obs, 0.1)), "outcome that varies"),
    "exact": (lambda a: replace(a, y=a.X @ np.arange(1.0, 6.0)), "reproduce all"),
    "short": (
        lambda a: replace(
            a, y=a.y[:12], X=a.X[:12], subject=a.subject[:12], visit=a.visit[:12], coordinate=None
        ),
        "at least as many rows as parameters; found 12 rows",
    ),
    "twice": (
        lambda a: replace(a, visit=np.where(np.arange(a.n_obs) == 1, a.visit[0], a.visit)),
        "one row per subject and visit",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused(name: str) -> None:
    change, words = BAD[name]
    with pytest.raises(DesignError, match=words):
        fit_marginal(change(plain(small_arrays(18, missing=0.0))), "us", reml=True)


def test_unknown_covariance_gets_a_suggestion() -> None:
    with pytest.raises(DesignError, match=r"found 'toepp'. Did you mean 'toep"):
        fit_marginal(plain(small_arrays(19)), "toepp", reml=True)


def test_spatial_needs_a_coordinate_and_no_ties() -> None:
    arrays = plain(small_arrays(20))
    with pytest.raises(DesignError, match="needs a coordinate"):
        fit_marginal(replace(arrays, coordinate=None), "sp_exp", reml=True)
    with pytest.raises(DesignError, match="subject and coordinate"):
        fit_marginal(replace(arrays, coordinate=np.zeros(arrays.n_obs)), "sp_exp", reml=True)


@pytest.mark.slow
def test_unstructured_of_ten_visits(data_file: Callable[[str], Path]) -> None:
    frame = pd.read_csv(data_file("bcva.csv.gz")).dropna()
    subject, _ = pd.factorize(frame["USUBJID"])
    visit = frame["VISITN"].to_numpy() - 1
    arm = (frame["ARMCD"] == "TRT").to_numpy()
    X = (visit + 10 * arm)[:, None] == np.arange(20)
    arrays = RepeatedArrays(
        y=frame["BCVA_CHG"].to_numpy(),
        X=X.astype(float),
        subject=subject,
        visit=visit,
        n_subjects=subject.max() + 1,
        n_visits=10,
    )
    fit = fit_marginal(arrays, "us", reml=True)
    assert fit.converged
    assert fit.n_evaluations < 20
