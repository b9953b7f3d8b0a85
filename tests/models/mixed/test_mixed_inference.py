"""Small-sample inference of mixed models: R, dense matrices, finite differences, closed forms."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lmm_cases import MODELS, PREPARE, Model, as_stored
from reference_cases import load_case
from scipy import stats
from small_sample_cases import CASE, METHODS, SMALL, Small, fitted

from pmsstats.errors import DesignError
from pmsstats.models import LMMSpec
from pmsstats.models.backends import run_lmm_engine
from pmsstats.models.fixed_effects.degrees_of_freedom import (
    FixedDf,
    Inference,
    KenwardRoger,
    NormalInference,
)
from pmsstats.models.mixed.mixed_design import MixedArrays, build_mixed_design
from pmsstats.models.mixed.mixed_inference import mixed_inference
from pmsstats.models.mixed.mixed_likelihood import MixedLikelihood, Solution
from pmsstats.models.mixed.mixed_scale import standardise

DENSE = 1e-7  # relative: the same formula with n x n matrices
DIFFERENCES = 2e-5  # relative: second differences of the deviance with steps of 1e-3
CLOSED = 1e-5  # relative: an optimiser's distance from the maximum in a variance
LMERTEST = 2e-5  # relative, and far below the 1e-3 that finite differences could explain


def arrays(
    *, slope_sd: float = 0.4, n_subjects: int = 14, seed: int = 1, blocks=((0, 1),)
) -> MixedArrays:
    """Draw unbalanced data with two arms."""
    rng = np.random.default_rng(seed)
    n = rng.integers(2, 6, n_subjects)
    subject = np.repeat(np.arange(n_subjects), n)
    time = rng.uniform(0, 3, len(subject))
    arm = (subject % 2).astype(float)
    X = np.column_stack([np.ones_like(time), time, arm, arm * time])
    level, slope = rng.normal(0, 1, n_subjects), rng.normal(0, slope_sd, n_subjects)
    y = X @ [3.0, -0.5, 0.2, 0.3] + level[subject] + slope[subject] * time
    y = y + rng.normal(0, 0.5, len(y))
    return MixedArrays(
        y=y, X=X, Z=X[:, :2].copy(), subject=subject, n_subjects=n_subjects, blocks=blocks
    )


def maximum(data: MixedArrays, *, reml: bool = True) -> tuple[MixedLikelihood, Solution]:
    likelihood = MixedLikelihood(data, reml=reml)
    return likelihood, likelihood.solve(likelihood.improve(np.eye(data.Z.shape[1])))


def assert_same_inference(found: Inference, expected: Inference, rtol: float) -> None:
    """Compare covariance, degrees of freedom, and an F test of everything."""
    p = len(expected.covariance)
    size = np.abs(expected.covariance).max()
    np.testing.assert_allclose(found.covariance, expected.covariance, rtol=0, atol=rtol * size)
    np.testing.assert_allclose(found.df(np.eye(p)), expected.df(np.eye(p)), rtol=rtol)
    tests = [part.f_test(np.eye(p)[1:], np.arange(1.0, p + 1)) for part in (found, expected)]
    assert tests[0].df_denominator == pytest.approx(tests[1].df_denominator, rel=rtol)
    assert tests[0].statistic == pytest.approx(tests[1].statistic, rel=10 * rtol)


# --- another implementation -------------------------------------------------------------------


@cache
def satterthwaite_of(model: Model) -> dict[str, float]:
    data = PREPARE.get(model.case, as_stored)(model.load().input)
    design = build_mixed_design(data, LMMSpec.from_formula(model.formula, method=model.method))
    standard, back = standardise(design.arrays)
    inference = mixed_inference(*maximum(standard, reml=model.method == "REML"), "satterthwaite")
    df = inference.mapped(back.fixed_covariance).df(np.eye(len(design.fixed_names)))
    return dict(zip(design.fixed_names, df, strict=True))


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.id)
def test_satterthwaite_equals_lmertest_singular_fits_included(model: Model):
    found = satterthwaite_of(model)
    for _, row in model.load().rows(f"{model.name}.df").iterrows():
        assert found[row["term"]] == pytest.approx(row["value"], rel=min(LMERTEST, row["rtol"]))


@pytest.mark.parametrize("model", SMALL, ids=lambda model: model.name)
def test_satterthwaite_equals_lmertest_in_small_samples(model: Small):
    fit = fitted(model, METHODS["sat"])
    found = dict(zip(fit.design.fixed_names, fit.inference.df(np.eye(len(fit.fixed))), strict=True))
    for _, row in load_case(CASE).rows(f"{model.name}.sat_df").iterrows():
        assert found[row["term"]] == pytest.approx(row["value"], rel=row["rtol"])


@pytest.mark.parametrize("model", [m for m in SMALL if "kr" in m.methods], ids=lambda m: m.name)
def test_kenward_roger_equals_pbkrtest(model: Small):
    fit = fitted(model, METHODS["kr"])
    names, V = fit.design.fixed_names, fit.inference.covariance
    df = fit.inference.df(np.eye(len(names)))
    case = load_case(CASE)
    for quantity, values in (("kr_std_error", np.sqrt(np.diag(V))), ("kr_df", df)):
        found = dict(zip(names, values, strict=True))
        for _, row in case.rows(f"{model.name}.{quantity}").iterrows():
            assert found[row["term"]] == pytest.approx(row["value"], rel=row["rtol"]), quantity
    size = np.abs(V).max()
    for _, row in case.rows(f"{model.name}.kr_covariance").iterrows():
        i, j = (names.index(name) for name in row["term"].split(" | "))
        assert V[i, j] == pytest.approx(row["value"], abs=row["rtol"] * size)


# --- the papers, with dense matrices -------------------------------------------------------------


def kenward_roger_as_published(data: MixedArrays, solution: Solution) -> KenwardRoger:
    """Kenward and Roger 1997, sections 2 and 3, for the entries of sigma^2 Psi and sigma^2."""
    same = data.subject[:, None] == data.subject[None, :]
    X, Z, q = data.X, data.Z, data.Z.shape[1]
    derivatives = [np.eye(data.n_obs)]
    for i, j in zip(*np.nonzero(np.tril(data.mask())), strict=True):
        entry = np.zeros((q, q))
        entry[i, j] = entry[j, i] = 1.0
        derivatives.append(np.where(same, Z @ entry @ Z.T, 0.0))
    V = solution.sigma2 * (np.eye(data.n_obs) + np.where(same, Z @ solution.psi @ Z.T, 0.0))
    inverse = np.linalg.inv(V)
    phi = np.linalg.inv(X.T @ inverse @ X)
    P = [-X.T @ inverse @ D @ inverse @ X for D in derivatives]
    Q = [[X.T @ inverse @ D @ inverse @ E @ inverse @ X for E in derivatives] for D in derivatives]
    information = np.array(
        [
            [
                np.trace(inverse @ D @ inverse @ E)
                - np.trace(2 * phi @ Q[i][j] - phi @ P[i] @ phi @ P[j])
                for j, E in enumerate(derivatives)
            ]
            for i, D in enumerate(derivatives)
        ]
    )
    W = 2 * np.linalg.inv(information)
    middle = sum(
        W[i, j] * (Q[i][j] - P[i] @ phi @ P[j]) for i in range(len(P)) for j in range(len(P))
    )
    return KenwardRoger(
        covariance=phi + 2 * phi @ middle @ phi,
        model_covariance=phi,
        jacobian=np.array([-phi @ one @ phi for one in P]),
        parameter_covariance=W,
    )


PSIS = {
    "inside": np.array([[2.0, 0.3], [0.3, 0.4]]),
    "no slope": np.diag([2.0, 0.0]),
    "nothing": np.zeros((2, 2)),
    "one direction": np.outer([1.0, -0.5], [1.0, -0.5]),
    "large": np.diag([400.0, 100.0]),
}


@pytest.mark.parametrize("blocks", [((0, 1),), ((0,), (1,))])
@pytest.mark.parametrize("name", PSIS)
def test_kenward_roger_equals_the_paper_with_dense_matrices(name, blocks):
    data = arrays(blocks=blocks)
    likelihood = MixedLikelihood(data, reml=True)
    solution = likelihood.solve(np.where(data.mask(), PSIS[name], 0.0))
    found = mixed_inference(likelihood, solution, "kenward-roger")
    assert_same_inference(found, kenward_roger_as_published(data, solution), DENSE)


def dense_deviance(data: MixedArrays, theta: np.ndarray, sigma: float, *, reml: bool) -> float:
    """Evaluate lmerTest's deviance at a Cholesky factor and a residual SD, not profiled."""
    same = data.subject[:, None] == data.subject[None, :]
    factor = np.zeros(data.mask().shape)
    factor[np.nonzero(np.tril(data.mask()))] = theta
    V = np.eye(data.n_obs) + np.where(same, data.Z @ factor @ factor.T @ data.Z.T, 0.0)
    V = sigma**2 * V
    inverse = np.linalg.inv(V)
    A = data.X.T @ inverse @ data.X
    r = data.y - data.X @ np.linalg.solve(A, data.X.T @ inverse @ data.y)
    value = np.linalg.slogdet(V)[1] + r @ inverse @ r
    return float(value + (np.linalg.slogdet(A)[1] if reml else 0.0))


def dense_covariance(data: MixedArrays, theta: np.ndarray, sigma: float) -> np.ndarray:
    same = data.subject[:, None] == data.subject[None, :]
    factor = np.zeros(data.mask().shape)
    factor[np.nonzero(np.tril(data.mask()))] = theta
    V = np.eye(data.n_obs) + np.where(same, data.Z @ factor @ factor.T @ data.Z.T, 0.0)
    return sigma**2 * np.linalg.inv(data.X.T @ np.linalg.solve(V, data.X))


def satterthwaite_by_differences(
    data: MixedArrays, solution: Solution, theta: np.ndarray, *, reml: bool, step: float = 1e-3
) -> np.ndarray:
    """As lmerTest does it: second differences in theta and sigma, flat directions left out."""
    at = np.append(theta, np.sqrt(solution.sigma2))
    units = step * np.eye(len(at))

    def deviance(point: np.ndarray) -> float:
        return dense_deviance(data, point[:-1], point[-1], reml=reml)

    def mixed(h: float) -> np.ndarray:
        U = h * units
        return np.array(
            [
                [
                    deviance(at + a + b) - deviance(at + a - b)
                    - deviance(at - a + b) + deviance(at - a - b)
                    for b in U
                ]
                for a in U
            ]
        ) / (4 * h**2 * step**2)  # fmt: skip

    hessian = (4 * mixed(1.0) - mixed(2.0)) / 3  # Richardson
    values, vectors = np.linalg.eigh(hessian)
    kept = values > 1e-4
    W = 2 * (vectors[:, kept] / values[kept]) @ vectors[:, kept].T
    J = np.array(
        [
            np.diag(
                dense_covariance(data, (at + u)[:-1], (at + u)[-1])
                - dense_covariance(data, (at - u)[:-1], (at - u)[-1])
            )
            / (2 * step)
            for u in units
        ]
    )
    variance = np.diag(solution.fixed_covariance)
    return 2 * variance**2 / np.einsum("kp,kl,lp->p", J, W, J)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("blocks", [((0, 1),), ((0,), (1,))])
def test_satterthwaite_equals_second_differences(blocks, reml):
    data, _ = standardise(arrays(slope_sd=0.9, n_subjects=20, blocks=blocks))
    likelihood, solution = maximum(data, reml=reml)
    assert not likelihood.certify(solution).singular
    theta = np.linalg.cholesky(solution.psi)[np.nonzero(np.tril(data.mask()))]
    expected = satterthwaite_by_differences(data, solution, theta, reml=reml)
    found = mixed_inference(likelihood, solution, "satterthwaite").df(np.eye(4))
    np.testing.assert_allclose(found, expected, rtol=DIFFERENCES)


def test_satterthwaite_equals_second_differences_on_the_boundary():
    singular = [
        (data, likelihood, solution, np.linalg.eigh(solution.psi))
        for seed in range(12)
        for data in [standardise(arrays(slope_sd=0.0, n_subjects=12, seed=seed))[0]]
        for likelihood, solution in [maximum(data)]
        if likelihood.certify(solution).singular
    ]
    # One direction varies, and not only in the slope: a Cholesky factor covers what is nearby.
    of_rank_one = [case for case in singular if case[3][0][1] > 0.1 and abs(case[3][1][0, 1]) > 0.1]
    assert len(of_rank_one) >= 3
    for data, likelihood, solution, (values, vectors) in of_rank_one:
        column = vectors[:, 1] * np.sqrt(values[1])
        theta = np.append(column, 0.0)
        expected = satterthwaite_by_differences(data, solution, theta, reml=True)
        found = mixed_inference(likelihood, solution, "satterthwaite").df(np.eye(4))
        np.testing.assert_allclose(found, expected, rtol=10 * DIFFERENCES)


def test_without_any_random_effect_satterthwaite_counts_rows_less_effects():
    # y has no variation between subjects at all, so that all of them are estimated as zero.
    rng = np.random.default_rng(4)
    subject, time = np.repeat(np.arange(8), 4), np.tile(np.arange(4.0), 8)
    noise = rng.normal(size=32)
    noise -= np.bincount(subject, noise)[subject] / 4
    X = np.column_stack([np.ones(32), time])
    data = MixedArrays(
        y=X @ [1.0, 2.0] + noise, X=X, Z=X[:, :1].copy(), subject=subject, n_subjects=8,
        blocks=((0,),),
    )  # fmt: skip
    likelihood, solution = maximum(data)
    assert solution.psi[0, 0] == 0.0
    found = mixed_inference(likelihood, solution, "satterthwaite")
    np.testing.assert_allclose(found.df(np.eye(2)), [30.0, 30.0], rtol=CLOSED)


# --- closed forms -----------------------------------------------------------------------------


def trial(n_per_arm: int = 9, n_visits: int = 5, *, seed: int = 5) -> MixedArrays:
    """Draw a balanced trial in which slopes vary clearly."""
    rng = np.random.default_rng(seed)
    subject = np.repeat(np.arange(2 * n_per_arm), n_visits)
    time = np.tile(np.arange(float(n_visits)), 2 * n_per_arm)
    arm = (subject % 2).astype(float)
    X = np.column_stack([np.ones_like(time), time, arm, arm * time])
    effects = rng.normal(0, [[1.5, 0.8]], (2 * n_per_arm, 2))
    y = X @ [10.0, -0.5, 0.0, 0.6] + (effects[subject] * X[:, :2]).sum(axis=1)
    y = y + rng.normal(0, 0.5, len(y))
    return MixedArrays(
        y=y, X=X, Z=X[:, :2].copy(), subject=subject, n_subjects=2 * n_per_arm, blocks=((0, 1),)
    )


@pytest.mark.parametrize("method", ["kenward-roger", "satterthwaite"])
def test_balanced_slopes_are_compared_by_students_t_test(method):
    # With the same visits for all, the difference of slopes is that of two means of independent
    # normal slopes, one least-squares slope per subject: the t test is exact.
    data = trial()
    likelihood, solution = maximum(data)
    inference = mixed_inference(likelihood, solution, method)
    wide = data.y.reshape(data.n_subjects, -1)
    slopes = np.polyfit(np.arange(5.0), wide.T, 1)[0]
    exact = stats.ttest_ind(slopes[1::2], slopes[::2])
    found = inference.f_test(np.eye(4)[[3]], solution.fixed)
    assert found.df_denominator == pytest.approx(16.0, rel=CLOSED)
    assert found.statistic == pytest.approx(exact.statistic**2, rel=CLOSED)
    assert found.p_value == pytest.approx(exact.pvalue, rel=10 * CLOSED)


def test_balanced_kenward_roger_f_is_hotellings_test():
    # Level and slope together: two means of two-dimensional normal vectors, Hotelling's T^2 with
    # F = T^2 (n - 3) / (2 (n - 2)) on 2 and n - 3 degrees of freedom: one of the two cases that
    # Kenward and Roger, section 3, demand to be exact.
    data = trial()
    likelihood, solution = maximum(data)
    found = mixed_inference(likelihood, solution, "kenward-roger").f_test(
        np.eye(4)[[2, 3]], solution.fixed
    )
    wide = data.y.reshape(data.n_subjects, -1)
    lines = np.polyfit(np.arange(5.0), wide.T, 1).T
    arms, n = (lines[::2], lines[1::2]), data.n_subjects
    pooled = sum((len(a) - 1) * np.cov(a.T) for a in arms) / (n - 2)
    difference = arms[1].mean(axis=0) - arms[0].mean(axis=0)
    t2 = difference @ np.linalg.solve(pooled * 2 / 9, difference)
    assert found.df_denominator == pytest.approx(n - 3, rel=CLOSED)
    assert found.statistic == pytest.approx(t2 * (n - 3) / (2 * (n - 2)), rel=CLOSED)


@pytest.mark.parametrize("method", ["kenward-roger", "satterthwaite"])
def test_balanced_random_intercepts_have_the_degrees_of_freedom_of_analysis_of_variance(method):
    data = trial()
    only_level = MixedArrays(
        y=data.y, X=data.X, Z=data.Z[:, :1].copy(), subject=data.subject,
        n_subjects=data.n_subjects, blocks=((0,),),
    )  # fmt: skip
    centred = only_level.X.copy()
    centred[:, 1] -= 2.0
    centred[:, 3] = centred[:, 1] * centred[:, 2]
    strata = MixedArrays(
        y=data.y, X=centred, Z=only_level.Z, subject=data.subject, n_subjects=18, blocks=((0,),)
    )
    likelihood, solution = maximum(strata)
    inference = mixed_inference(likelihood, solution, method)
    # Between subjects 18 - 2; within 18 * 4 - 2. No adjustment of standard errors is needed.
    np.testing.assert_allclose(inference.df(np.eye(4)), [16.0, 70.0, 16.0, 70.0], rtol=CLOSED)
    np.testing.assert_allclose(inference.covariance, solution.fixed_covariance, rtol=0, atol=1e-9)


# --- properties -------------------------------------------------------------------------------


@given(
    outcome=st.sampled_from([1e-4, 1.0, 1e4]),
    time=st.sampled_from([1e-3, 1.0, 365.25]),
    seed=st.integers(0, 20),
    method=st.sampled_from(["satterthwaite", "kenward-roger"]),
)
def test_units_and_common_scale_do_not_matter(outcome, time, seed, method):
    plain = arrays(slope_sd=0.8, seed=seed)
    units = np.array([1.0, time, 1.0, time])
    data = MixedArrays(
        y=outcome * plain.y, X=plain.X * units, Z=plain.Z * units[:2], subject=plain.subject,
        n_subjects=plain.n_subjects, blocks=plain.blocks,
    )  # fmt: skip
    standard, back = standardise(data)
    first, _ = standardise(plain)
    likelihood, solution = maximum(standard)
    expected_likelihood, expected_solution = maximum(first)
    found = mixed_inference(likelihood, solution, method)
    expected = mixed_inference(expected_likelihood, expected_solution, method)
    np.testing.assert_allclose(found.df(np.eye(4)), expected.df(np.eye(4)), rtol=1e-4)
    mapped = found.mapped(back.fixed_covariance)
    t = back.fixed(solution.fixed) / np.sqrt(np.diag(mapped.covariance))
    assert np.isfinite(t).all()
    assert (mapped.df(np.eye(4)) > 0).all()


def test_order_of_rows_does_not_matter():
    data = arrays()
    order = np.random.default_rng(1).permutation(data.n_obs)
    mixed = MixedArrays(
        y=data.y[order], X=data.X[order], Z=data.Z[order], subject=data.subject[order],
        n_subjects=data.n_subjects, blocks=data.blocks,
    )  # fmt: skip
    psi = PSIS["inside"]
    for method in ("satterthwaite", "kenward-roger"):
        found, expected = (
            mixed_inference(likelihood, likelihood.solve(psi), method)
            for likelihood in (MixedLikelihood(d, reml=True) for d in (mixed, data))
        )
        assert_same_inference(found, expected, 1e-10)


def test_more_subjects_bring_both_methods_to_the_normal_distribution():
    data, _ = standardise(arrays(slope_sd=0.8, n_subjects=2000))
    likelihood, solution = maximum(data)
    for method in ("satterthwaite", "kenward-roger"):
        inference = mixed_inference(likelihood, solution, method)
        assert (inference.df(np.eye(4)) > 900).all()
        errors = [np.sqrt(np.diag(c)) for c in (inference.covariance, solution.fixed_covariance)]
        np.testing.assert_allclose(errors[0], errors[1], rtol=1e-3)


def test_kenward_roger_never_has_smaller_standard_errors():
    # Phi_A - Phi is positive semidefinite: it is a covariance.
    for seed in range(10):
        likelihood, solution = maximum(arrays(slope_sd=0.5, n_subjects=8, seed=seed))
        adjusted = mixed_inference(likelihood, solution, "kenward-roger").covariance
        values = np.linalg.eigvalsh(adjusted - solution.fixed_covariance)
        assert values.min() >= -1e-10 * values.max()


# --- the other methods, and refusals ----------------------------------------------------------


def test_simple_methods():
    data = arrays()
    likelihood = MixedLikelihood(data, reml=True)
    solution = likelihood.solve(PSIS["inside"])
    normal = mixed_inference(likelihood, solution, "normal")
    residual = mixed_inference(likelihood, solution, "residual")
    counted = mixed_inference(likelihood, solution, "between-within", columns=data.X)
    assert isinstance(normal, NormalInference)
    assert isinstance(residual, FixedDf)
    assert residual.df(np.eye(4)).tolist() == [data.n_obs - 4.0] * 4
    between, within = data.n_subjects - 2.0, data.n_obs - data.n_subjects - 2.0
    assert counted.df(np.eye(4)).tolist() == [between, within, between, within]
    for inference in (normal, residual, counted):
        np.testing.assert_array_equal(inference.covariance, solution.fixed_covariance)


def test_linear_kenward_roger_is_the_same_where_the_model_is_linear_in_its_parameters():
    data = arrays()
    likelihood = MixedLikelihood(data, reml=True)
    solution = likelihood.solve(PSIS["inside"])
    full, linear = (
        mixed_inference(likelihood, solution, method)
        for method in ("kenward-roger", "kenward-roger-linear")
    )
    np.testing.assert_array_equal(full.covariance, linear.covariance)


@pytest.mark.parametrize(
    ("method", "reml", "words"),
    [
        ("kenward-roger", False, "method='REML'"),
        ("kenward-roger-linear", False, "method='REML'"),
        ("between-within", True, "`columns`"),
        ("satterthwait", True, "Did you mean 'satterthwaite'"),
    ],
)
def test_what_cannot_be_had_is_refused(method, reml, words):
    likelihood = MixedLikelihood(arrays(), reml=reml)
    with pytest.raises(DesignError, match=words):
        mixed_inference(likelihood, likelihood.solve(PSIS["inside"]), method)


def test_flat_directions_are_left_out():
    # A point that is no maximum: some curvature is negative, and still every number is finite.
    likelihood = MixedLikelihood(arrays(), reml=True)
    for psi in (np.diag([50.0, 40.0]), np.diag([1e-3, 1e-3]), np.zeros((2, 2))):
        found = mixed_inference(likelihood, likelihood.solve(psi), "satterthwaite")
        assert np.isfinite(found.parameter_covariance).all()
        assert np.linalg.eigvalsh(found.parameter_covariance).min() > -1e-9
        assert (found.df(np.eye(4)) > 0).all()


def test_variances_that_the_data_say_nothing_about_are_left_out():
    # Every subject has a mean of its own, so that nothing is left to tell the variance of means.
    subject, time = np.repeat(np.arange(6), 4), np.tile(np.arange(4.0), 6)
    X = np.column_stack([np.eye(6)[subject], time])
    y = X @ np.arange(7.0) + np.random.default_rng(2).normal(size=24)
    data = MixedArrays(y=y, X=X, Z=np.ones((24, 1)), subject=subject, n_subjects=6, blocks=((0,),))
    likelihood = MixedLikelihood(data, reml=True)
    for psi in (np.zeros((1, 1)), np.eye(1)):
        for method in ("kenward-roger", "satterthwaite"):
            inference = mixed_inference(likelihood, likelihood.solve(psi), method)
            assert inference.df(np.eye(7)[[6]])[0] == pytest.approx(24 - 7, rel=CLOSED)


# --- simulation -------------------------------------------------------------------------------


REPLICATES = 2000
MCSES = 4.0  # a right answer is further off in 1 of 16,000 runs; the seed is fixed


def drawn_trial(rng: np.random.Generator, n_per_arm: int) -> MixedArrays:
    """Draw visits at 0, 6, ..., 24 months, with 30 % of those left lost before each of the last 3.

    Slopes vary (SD 0.5 per year) and do not differ between the arms.
    """
    n = 2 * n_per_arm
    stay = 2 + (rng.uniform(size=(n, 3)) > 0.30).cumprod(axis=1).sum(axis=1)
    subject = np.repeat(np.arange(n), stay)
    year = np.concatenate([0.5 * np.arange(k) for k in stay])
    arm = (subject % 2).astype(float)
    X = np.column_stack([np.ones_like(year), year, arm, arm * year])
    level, slope = rng.normal(0, 1, n), rng.normal(-0.3, 0.5, n)
    y = level[subject] + slope[subject] * year + rng.normal(0, 0.3, len(year))
    return MixedArrays(y=y, X=X, Z=X[:, :2].copy(), subject=subject, n_subjects=n, blocks=((0, 1),))


def p_values(data: MixedArrays, methods: tuple[str, ...]) -> list[float]:
    """Test that slopes do not differ, which is true, and that the slope is -0.3, which is too."""
    standard, back = standardise(data)
    likelihood = MixedLikelihood(standard, reml=True)
    solution = likelihood.solve(run_lmm_engine("native", likelihood).psi)
    error = back.fixed(solution.fixed) - [0.0, -0.3, 0.0, 0.0]
    parts = [
        mixed_inference(likelihood, solution, m).mapped(back.fixed_covariance) for m in methods
    ]
    return [part.f_test(np.eye(4)[[row]], error).p_value for part in parts for row in (3, 1)]


@pytest.mark.slow
def test_kenward_roger_holds_its_level_with_ten_per_arm_and_the_wald_test_does_not():
    rng = np.random.default_rng(20261122)
    methods = ("kenward-roger", "satterthwaite", "normal")
    found = np.array([p_values(drawn_trial(rng, 10), methods) for _ in range(REPLICATES)])
    rates = (found < 0.05).mean(axis=0).reshape(3, 2)
    mcse = np.sqrt(0.05 * 0.95 / REPLICATES)
    type1_error = dict(zip(methods, rates[:, 0], strict=True))
    coverage = dict(zip(methods, 1 - rates[:, 1], strict=True))
    assert abs(type1_error["kenward-roger"] - 0.05) < MCSES * mcse, type1_error
    assert abs(coverage["kenward-roger"] - 0.95) < MCSES * mcse, coverage
    assert type1_error["normal"] > 0.05 + MCSES * mcse, type1_error
    assert coverage["normal"] < 0.95 - MCSES * mcse, coverage
    # Satterthwaite's takes back most of the excess; its standard errors are not adjusted.
    assert type1_error["kenward-roger"] <= type1_error["satterthwaite"] < type1_error["normal"]
