"""Degrees of freedom and F tests: R as stored witness, formulas as published, properties."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference_cases import load_case
from scipy import stats
from small_sample_cases import CASE, METHODS, SMALL, Small, contrasts, fitted, stored_contrasts

from pmsstats.models.fixed_effects.degrees_of_freedom import (
    FixedDf,
    FTest,
    Inference,
    KenwardRoger,
    NormalInference,
    Satterthwaite,
    between_within_df,
)
from pmsstats.models.mixed.mixed_design import MixedArrays
from pmsstats.models.mixed.mixed_inference import mixed_inference
from pmsstats.models.mixed.mixed_likelihood import MixedLikelihood
from pmsstats.models.repeated.mmrm_inference import marginal_inference
from pmsstats.models.repeated.mmrm_likelihood import fit_marginal
from pmsstats.models.repeated.mmrm_patterns import RepeatedArrays

ROUNDING = 1e-9  # relative: the same numbers by other arithmetic
FIELDS = ("statistic", "df_numerator", "df_denominator", "p_value")
TESTED = [(model, short) for model in SMALL for short in model.methods]
IDS = [f"{model.name}-{short}" for model, short in TESTED]


def random_parts(seed: int, *, p: int = 4, k: int = 3, size: float = 0.02) -> dict[str, np.ndarray]:
    """Draw a covariance, derivatives of it, and a covariance of as many parameters."""
    rng = np.random.default_rng(seed)
    root, noise, spread = (rng.normal(size=shape) for shape in ((p, p), (k, p, p), (k, k)))
    return {
        "covariance": root @ root.T + 0.5 * np.eye(p),
        "jacobian": noise @ noise.transpose(0, 2, 1),
        "parameter_covariance": size * (spread @ spread.T + 0.1 * np.eye(k)) / 10,
    }


def satterthwaite(seed: int, **kws: float) -> Satterthwaite:
    return Satterthwaite(**random_parts(seed, **kws))


def kenward_roger(seed: int, **kws: float) -> KenwardRoger:
    parts = random_parts(seed, **kws)
    model = parts.pop("covariance")
    adjusted = model + 0.1 * parts["jacobian"].mean(axis=0)
    return KenwardRoger(covariance=adjusted, model_covariance=model, **parts)


def assert_same(found: FTest, expected: FTest, rtol: float = ROUNDING) -> None:
    for field in FIELDS:
        a, b = getattr(found, field), getattr(expected, field)
        np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-300, err_msg=field)


# --- another implementation -------------------------------------------------------------------


@pytest.mark.parametrize(("model", "short"), TESTED, ids=IDS)
def test_f_tests_equal_lmertest_and_pbkrtest(model: Small, short: str):
    fit = fitted(model, METHODS[short])
    expected = load_case(CASE).rows(f"{model.name}.{short}_f")
    split = expected["term"].str.split(" | ", regex=False, expand=True)
    for test, rows in expected.groupby(split[0], sort=False):
        L = contrasts(model, test, fit.design.fixed_names)
        found = fit.inference.f_test(L, fit.fixed)
        for field, (_, row) in zip(split.loc[rows.index, 1], rows.iterrows(), strict=True):
            assert getattr(found, field) == pytest.approx(row["value"], rel=row["rtol"]), test


def test_stored_f_tests_have_several_rows_and_rank_deficient_ones():
    sizes = stored_contrasts().groupby(["model", "test"])["row"].max()
    assert (sizes > 1).sum() > 15
    assert ("small", "repeated") in sizes.index


def test_counts_between_and_within_subjects_equal_nlme():
    models = {model.name: model for model in SMALL}
    for name in ("small", "visits", "trial"):
        fit = fitted(models[name], "between-within")
        rows = load_case(CASE).rows(f"{name}.between_within_df")
        found = dict(
            zip(fit.design.fixed_names, fit.inference.df(np.eye(len(fit.fixed))), strict=True)
        )
        assert [found[term] for term in rows["term"]] == rows["value"].tolist()
        # The intercept does not change within subjects (nlme and mmrm make an exception of it).
        assert found["Intercept"] == min(rows["value"])


def test_counts_between_and_within_subjects_equal_those_of_the_mmrm_vignette(shared_file):
    # "Between-Within", https://openpharma.github.io/mmrm: FEV1 ~ RACE + SEX + ARMCD * AVISIT has
    # 197 subjects with 537 values, 192 degrees of freedom between and 334 within them.
    data = pd.read_csv(shared_file("data/fev.csv")).dropna(subset=["FEV1"])
    codes, ids = pd.factorize(data["USUBJID"])
    between = pd.get_dummies(data[["RACE", "SEX", "ARMCD"]], drop_first=True, dtype=float)
    visit = pd.get_dummies(data["AVISIT"], drop_first=True, dtype=float)
    by_arm = visit.mul(between["ARMCD_TRT"], axis=0)
    X = np.column_stack([np.ones(len(data)), between, visit, by_arm])
    assert between_within_df(X, codes, len(ids)).tolist() == [192.0] * 5 + [334.0] * 6


# --- formulas as published ----------------------------------------------------------------------


def test_satterthwaite_of_independent_means_is_welch():
    # Two groups with their own variances: df = (a + b)^2 / (a^2/(n1-1) + b^2/(n2-1)), Welch 1947.
    n1, n2, v1, v2 = 12, 7, 3.0, 0.5
    covariance = np.diag([v1 / n1, v2 / n2])
    parts = Satterthwaite(
        covariance=covariance,
        jacobian=np.array([np.diag([1 / n1, 0.0]), np.diag([0.0, 1 / n2])]),
        parameter_covariance=np.diag([2 * v1**2 / (n1 - 1), 2 * v2**2 / (n2 - 1)]),
    )
    a, b = v1 / n1, v2 / n2
    welch = (a + b) ** 2 / (a**2 / (n1 - 1) + b**2 / (n2 - 1))
    contrasts = np.array([[1.0, -1.0], [1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    found = parts.df(contrasts)
    np.testing.assert_allclose(found[:3], [welch, n1 - 1, n2 - 1])
    assert np.isnan(found[3])


def kenward_roger_as_published(parts: KenwardRoger, L: np.ndarray, beta: np.ndarray) -> FTest:
    """Section 3 of Kenward and Roger 1997, in their symbols and sums."""
    phi, phi_a, W = parts.model_covariance, parts.covariance, parts.parameter_covariance
    inverse = np.linalg.inv(phi)
    P = [-inverse @ J @ inverse for J in parts.jacobian]
    ell = len(L)
    theta = L.T @ np.linalg.inv(L @ phi @ L.T) @ L
    A1 = A2 = 0.0
    for i, Pi in enumerate(P):
        for j, Pj in enumerate(P):
            left, right = theta @ phi @ Pi @ phi, theta @ phi @ Pj @ phi
            A1 += W[i, j] * np.trace(left) * np.trace(right)
            A2 += W[i, j] * np.trace(left @ right)
    B = (A1 + 6 * A2) / (2 * ell)
    g = ((ell + 1) * A1 - (ell + 4) * A2) / ((ell + 2) * A2)
    c = 3 * ell + 2 * (1 - g)
    c1, c2, c3 = g / c, (ell - g) / c, (ell + 2 - g) / c
    E = 1 / (1 - A2 / ell)
    V = 2 / ell * (1 + c1 * B) / ((1 - c2 * B) ** 2 * (1 - c3 * B))
    rho = V / (2 * E**2)
    m = 4 + (ell + 2) / (ell * rho - 1)
    F = m / (E * (m - 2)) * float(beta @ L.T @ np.linalg.inv(L @ phi_a @ L.T) @ L @ beta) / ell
    return FTest(
        statistic=F, df_numerator=ell, df_denominator=m, p_value=float(stats.f(ell, m).sf(F))
    )


@pytest.mark.parametrize("rank", [1, 2, 3, 4])
@pytest.mark.parametrize("seed", range(4))
def test_kenward_roger_is_as_published(seed, rank):
    rng = np.random.default_rng(seed)
    parts, L, beta = kenward_roger(seed), rng.normal(size=(rank, 4)), rng.normal(size=4)
    expected = kenward_roger_as_published(parts, L, beta)
    assert_same(parts.f_test(L, beta), expected)
    np.testing.assert_allclose(
        parts.df(L[:1]), kenward_roger_as_published(parts, L[:1], beta).df_denominator
    )


@pytest.mark.parametrize("rank", [2, 3])
@pytest.mark.parametrize("seed", range(4))
def test_satterthwaite_f_is_that_of_fai_and_cornelius(seed, rank):
    # Independent parts t_m with nu_m degrees of freedom: E(F) = sum(nu_m / (nu_m - 2)) / rank is
    # that of F with 2 E / (E - 1) of them.
    rng = np.random.default_rng(seed)
    parts, L, beta = satterthwaite(seed), rng.normal(size=(rank, 4)), rng.normal(size=4)
    values, vectors = np.linalg.eigh(L @ parts.covariance @ L.T)
    rows = vectors.T @ L
    nu = parts.df(rows)
    mean = np.mean(nu / (nu - 2))
    found = parts.f_test(L, beta)
    assert (nu > 2).all()
    assert found.df_denominator == pytest.approx(2 * mean / (mean - 1), rel=ROUNDING)
    assert found.statistic == pytest.approx(np.mean((rows @ beta) ** 2 / values), rel=ROUNDING)


@pytest.mark.parametrize(
    ("nu", "expected"),
    [
        ((1.5, 30.0), 2.0),
        ((1.5, 1.5), 1.5),
        ((2.0, 2.0), 2.0),
        ((7.0, 7.0), 7.0),
        ((np.inf, np.inf), np.inf),
        ((np.inf, 4.0), 6.0),
    ],
)
def test_satterthwaite_f_of_parts_with_known_degrees_of_freedom(nu, expected):
    # lmerTest's rules: equal ones are kept; one of at most 2 gives 2. The last: E = 1 + 2, so that
    # 2 E / (E - 2) = 6.
    parts = Satterthwaite(
        covariance=np.diag([1.0, 2.0]),
        jacobian=np.array([np.diag([1.0, 0.0]), np.diag([0.0, 2.0])]),
        parameter_covariance=np.diag(2 / np.array(nu)),
    )
    found = parts.f_test(np.eye(2), np.ones(2))
    assert found.df_denominator == pytest.approx(expected, rel=ROUNDING)
    assert found.statistic == pytest.approx((1 + 0.5) / 2, rel=ROUNDING)


def test_known_variances_give_the_chi_squared_test():
    parts = NormalInference(covariance=np.diag([1.0, 4.0]))
    found = parts.f_test(np.eye(2), np.array([1.0, 3.0]))
    assert found.statistic == pytest.approx((1 + 9 / 4) / 2, rel=ROUNDING)
    assert found.p_value == pytest.approx(stats.chi2(2).sf(1 + 9 / 4), rel=ROUNDING)
    assert found.df_denominator == np.inf


def test_parameters_without_error_have_infinite_degrees_of_freedom():
    silent = {**random_parts(1), "parameter_covariance": np.zeros((3, 3))}
    model = silent["covariance"]
    for parts in (
        Satterthwaite(**silent),
        KenwardRoger(model_covariance=model, **silent),
    ):
        assert np.isposinf(parts.df(np.eye(4))).all()
        known = NormalInference(covariance=model).f_test(np.eye(4), np.ones(4))
        assert_same(parts.f_test(np.eye(4), np.ones(4)), known)


# --- properties -------------------------------------------------------------------------------


EACH = {
    "satterthwaite": satterthwaite(3),
    "kenward-roger": kenward_roger(3),
    "normal": NormalInference(covariance=random_parts(3)["covariance"]),
    "counted": FixedDf(
        covariance=random_parts(3)["covariance"], per_coefficient=np.array([9.0, 5.0, 7.0, 9.0])
    ),
}
each = pytest.mark.parametrize("parts", EACH.values(), ids=EACH)


@each
def test_one_row_is_the_square_of_its_t_test(parts: Inference):
    row, beta = np.array([[0.0, 1.0, -2.0, 0.0]]), np.array([1.0, 2.0, 3.0, 4.0])
    t = float((row @ beta / np.sqrt(row @ parts.covariance @ row.T)).item())
    df = parts.df(row)
    spread = stats.norm if df is None else stats.t(df[0])
    found = parts.f_test(row, beta)
    assert found.statistic == pytest.approx(t**2, rel=ROUNDING)
    assert found.p_value == pytest.approx(2 * spread.sf(abs(t)), rel=ROUNDING)
    assert found.df_numerator == 1


@each
def test_rows_that_add_nothing_change_nothing(parts: Inference):
    L, beta = np.eye(4)[[1, 3]], np.array([1.0, 2.0, 3.0, 4.0])
    expected = parts.f_test(L, beta)
    assert_same(parts.f_test(np.vstack([L, np.zeros(4)]), beta), expected)
    # Repeating both rows keeps the principal axes, on which Satterthwaite's method depends.
    assert_same(parts.f_test(np.vstack([L, L]), beta), expected)
    assert expected.df_numerator == 2


@each
def test_what_cannot_be_tested_is_missing(parts: Inference):
    beta = np.ones(4)
    nothing = parts.f_test(np.zeros((2, 4)), beta)
    empty = parts.f_test(np.empty((0, 4)), beta)
    unknown = parts.f_test(np.vstack([np.eye(4)[0], np.full(4, np.nan)]), beta)
    assert nothing.df_numerator == empty.df_numerator == 0
    assert all(np.isnan(test.p_value) for test in (nothing, empty, unknown))
    assert all(np.isnan(test.statistic) for test in (nothing, empty, unknown))
    assert np.isnan(unknown.df_numerator)


@pytest.mark.parametrize("name", ["satterthwaite", "kenward-roger", "counted"])
def test_a_missing_row_leaves_the_others_alone(name):
    rows = np.vstack([np.eye(4), np.full(4, np.nan), np.zeros(4)])
    found = EACH[name].df(rows)
    np.testing.assert_array_equal(found[:4], EACH[name].df(np.eye(4)))
    assert np.isnan(found[4:]).all()


@each
@given(
    units=st.lists(st.sampled_from([1e-6, 1e-4, 1.0, 365.25, 1e5]), min_size=4, max_size=4),
)
def test_units_of_the_effects_do_not_matter(parts: Inference, units):
    # Effects in other units, and the same combinations of them.
    size = np.array(units)
    L = np.array([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, -1.0], [0.0, 1.0, 0.0, 1.0]])
    beta = np.array([1.0, 2.0, 3.0, 4.0])
    scaled = parts.mapped(lambda covariance: covariance * np.outer(size, size))
    assert_same(scaled.f_test(L / size, beta * size), parts.f_test(L, beta), rtol=1e-7)


@given(seed=st.integers(0, 10_000), units=st.tuples(*[st.sampled_from([1e-5, 1.0, 1e5])] * 3))
def test_kenward_roger_does_not_depend_on_how_the_combinations_are_written(seed, units):
    rng = np.random.default_rng(seed)
    parts, beta, L = kenward_roger(7), rng.normal(size=4), rng.normal(size=(3, 4))
    mixed = (rng.normal(size=(3, 3)) + 4 * np.eye(3)) @ L * np.array(units)[:, None]
    assert_same(parts.f_test(mixed, beta), parts.f_test(L, beta), rtol=1e-6)


@given(seed=st.integers(0, 10_000))
def test_satterthwaite_depends_on_it_only_up_to_rotation(seed):
    rng = np.random.default_rng(seed)
    parts, beta, L = satterthwaite(7), rng.normal(size=4), rng.normal(size=(3, 4))
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    mixed = 2.5 * rotation @ L
    assert_same(parts.f_test(mixed, beta), parts.f_test(L, beta), rtol=1e-6)


def test_kenward_roger_without_matching_moments_says_so():
    found = kenward_roger(3, size=40.0).f_test(np.eye(4), np.ones(4))
    assert np.isnan(found.df_denominator)
    assert np.isnan(found.p_value)
    assert np.isfinite(found.statistic)


def test_combinations_have_the_smallest_counted_degrees_of_freedom():
    parts = EACH["counted"]
    rows = np.array([[1.0, 0, 0, 1], [1, 1, 0, 0], [0, 0, 2, 1e-14]])
    assert parts.df(rows).tolist() == [9.0, 5.0, 7.0]
    assert parts.f_test(rows, np.ones(4)).df_denominator == 5.0


def test_columns_count_as_within_if_they_change_in_any_subject():
    subject = np.array([0, 1, 0, 2, 1, 2, 0])  # rows need not be in order
    one_changes = np.array([5.0, 2.0, 5.0, 7.0, 2.0, 7.5, 5.0])
    constant = np.array([1e-4, 2e-4, 1e-4, 3e-4, 2e-4, 3e-4, 1e-4])
    X = np.column_stack([np.ones(7), constant, one_changes])
    assert between_within_df(X, subject, 3).tolist() == [1.0, 1.0, 3.0]


# --- one method, two informations -------------------------------------------------------------

OPTIMISERS = 1e-7  # relative: two maximisations of one likelihood
# Shares by which Kenward and Roger's errors and degrees of freedom differ between the two models,
# as the docstring of DfMethod gives them: subjects, error at least, at most, df at least, at most.
APART = [(30, 1e-6, 3e-5, 5e-3, 2e-2), (300, 1e-8, 1e-6, 5e-4, 3e-3)]


def one_marginal_model(n_subjects: int, missed: float, method: str) -> tuple[Inference, Inference]:
    """Fit random intercepts and compound symmetry to the same data, two arms and a slope."""
    rng = np.random.default_rng(3)
    subject, visit = np.repeat(np.arange(n_subjects), 4), np.tile(np.arange(4), n_subjects)
    seen = (visit == 0) | (rng.random(len(subject)) >= missed)
    y = 5 - 0.5 * visit + rng.normal(size=n_subjects)[subject] + rng.normal(0, 0.7, len(subject))
    X = np.column_stack([np.ones(len(subject)), visit, subject % 2]).astype(float)
    same = {"y": y[seen], "X": X[seen], "subject": subject[seen], "n_subjects": n_subjects}
    mixed = MixedArrays(**same, Z=np.ones((seen.sum(), 1)), blocks=((0,),))
    repeated = RepeatedArrays(**same, visit=visit[seen], n_visits=4)
    likelihood = MixedLikelihood(mixed, reml=True)
    solution = likelihood.solve(likelihood.improve(np.eye(1)))
    marginal = fit_marginal(repeated, "cs", reml=True)
    assert solution.log_likelihood == pytest.approx(marginal.log_likelihood, rel=1e-10)
    return (
        mixed_inference(likelihood, solution, method),
        marginal_inference(repeated, marginal, method),
    )


def shares_apart(pair: tuple[Inference, Inference]) -> tuple[float, float]:
    """Return the largest relative differences of errors and of degrees of freedom."""
    errors = [np.sqrt(np.diag(one.covariance)) for one in pair]
    dfs = [one.df(np.eye(3)) for one in pair]
    return np.abs(errors[1] / errors[0] - 1).max(), np.abs(dfs[1] / dfs[0] - 1).max()


@pytest.mark.parametrize(
    ("missed", "method"),
    [(0.0, "kenward-roger"), (0.0, "satterthwaite"), (1 / 3, "satterthwaite")],
)
def test_mixed_and_marginal_model_agree_where_they_take_the_same_information(missed, method):
    """By Satterthwaite both take the observed one; in complete data the expected one is that."""
    assert max(shares_apart(one_marginal_model(30, missed, method))) < OPTIMISERS


@pytest.mark.parametrize(("n_subjects", "error", "error_max", "df", "df_max"), APART)
def test_kenward_roger_differs_between_expected_and_observed_information_by_what_is_documented(
    n_subjects, error, error_max, df, df_max
):
    found = shares_apart(one_marginal_model(n_subjects, 1 / 3, "kenward-roger"))
    assert error < found[0] < error_max
    assert df < found[1] < df_max
