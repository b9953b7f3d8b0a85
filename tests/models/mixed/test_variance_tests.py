"""Likelihood-ratio tests: lme4's statistics, mixtures from their definition, refusals."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from dense_mixed import Dense, expected, postfit, postfit_data, rtol
from properties import assert_result_contract
from scipy import stats

from pmsstats.errors import ConvergenceError, DesignError
from pmsstats.models import LMMSpec, fit_lmm
from pmsstats.models.mixed.mixed_state import mixed_state, open_directions, variance_information
from pmsstats.models.mixed.variance_tests import added_variances, compare_fixed, compare_variances

SLOPE, APART = "(year | subject_id)", "(year || subject_id)"
INTERCEPT, ONLY_SLOPE = "(1 | subject_id)", "(0 + year | subject_id)"
EXACT = 1e-9  # relative: the same formula
# statistic of the reference case, larger and smaller model, parts of the mixture
NESTED = [
    ("slope", SLOPE, INTERCEPT, (1, 2)),
    ("correlation", SLOPE, APART, (1,)),
    ("uncorrelated slope", APART, INTERCEPT, (0, 1)),
    ("intercept", INTERCEPT, None, (0, 1)),
]


def smaller(random):
    return None if random is None else postfit(random)


def mixture(statistic, parts):
    tails = [stats.chi2.sf(statistic, df) if df else 0.0 for df in parts]
    return sum(tails) / len(tails)


@pytest.mark.parametrize(("term", "full", "reduced", "parts"), NESTED)
def test_statistics_are_lme4s_and_p_values_follow(term, full, reduced, parts):
    result = compare_variances(postfit(full), smaller(reduced))
    assert result.statistic == pytest.approx(expected("lr")[term], rel=10 * rtol("lr"))
    assert result.p_value == pytest.approx(mixture(result.statistic, parts), rel=EXACT)
    assert_result_contract(result)


def test_the_naive_p_value_is_that_of_ranova():
    result = compare_variances(postfit(SLOPE), postfit(INTERCEPT))
    assert result.naive_p_value == pytest.approx(expected("lr")["naive p of slope"], rel=1e-3)
    assert result.p_value < result.naive_p_value


def test_fixed_effects_are_tested_as_by_anova():
    larger = postfit(SLOPE, "ML")
    result = compare_fixed(larger, postfit(SLOPE, "ML", "thalamus_ml ~ year + arm + age_years"))
    values = expected("lr")
    assert result.statistic == pytest.approx(values["interaction by ML"], rel=10 * rtol("lr"))
    assert result.p_value == pytest.approx(values["p of interaction"], rel=1e-4)
    assert result.headline().startswith("Thalamic volume, fixed effects year * arm + age_years")
    assert_result_contract(result)


def test_several_variances_at_once_are_simulated():
    result = compare_variances(postfit(SLOPE), seed=1, n_draws=2000)
    assert "2000 draws" in result.headline()
    assert 0 < result.p_value < result.naive_p_value
    again = compare_variances(postfit(SLOPE), seed=1, n_draws=2000)
    assert again.p_value == result.p_value
    assert_result_contract(result)
    with pytest.raises(DesignError, match="Give a `seed`"):
        compare_variances(postfit(SLOPE))


def balanced(n=30, seed=4):
    """Return a design in which the information on intercept and slope variances is known."""
    year = np.tile([-1.0, 0.0, 1.0], n)
    subject = np.repeat(np.arange(n), 3)
    y = np.random.default_rng(seed).normal(0, 1, 3 * n)
    return pd.DataFrame({"subject_id": subject, "year": year, "y": 5 + y})


def test_the_cone_of_a_balanced_design_follows_from_its_information():
    full = fit_lmm(balanced(), "y ~ year + (year || subject_id)")
    null = compare_variances(full, seed=7).null
    # dense information at no random effects, the residual variance eliminated
    dense = Dense.of(full)
    n = len(dense.y)
    H = np.eye(n) - dense.X @ np.linalg.solve(dense.X.T @ dense.X, dense.X.T)
    parts = [dense.Z[:, k::2] @ dense.Z[:, k::2].T for k in range(2)]
    J = np.array([[np.trace(H @ a @ H @ b) for b in parts] for a in parts])
    t = np.array([np.trace(H @ a) for a in parts])
    covariance = np.linalg.inv(J - np.outer(t, t) / (n - 2))
    rho = covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1])
    w0 = np.arccos(rho) / (2 * np.pi)
    for value in (1.0, 4.0, 9.0):
        expect = 0.5 * stats.chi2.sf(value, 1) + (0.5 - w0) * stats.chi2.sf(value, 2)
        assert abs(null.p_value(value) - expect) < 4 * null.mcse(value)


@pytest.mark.parametrize("method", ["REML", "ML"])
def test_information_is_that_of_dense_traces(method):
    fit = postfit(SLOPE, method)
    state = mixed_state(fit)
    basis = open_directions(state.psi, state.arrays.blocks)
    found = variance_information(state, basis)
    arrays = state.arrays
    Z = np.zeros((arrays.n_obs, 2 * arrays.n_subjects))
    for row, who in enumerate(arrays.subject):
        Z[row, 2 * who : 2 * who + 2] = arrays.Z[row]
    eye = np.eye(arrays.n_subjects)
    V = np.eye(arrays.n_obs) + Z @ np.kron(eye, state.psi) @ Z.T
    W = np.linalg.inv(V)
    X = arrays.X
    P = {"ML": W, "REML": W - W @ X @ np.linalg.inv(X.T @ W @ X) @ X.T @ W}[method]
    parts = [P @ Z @ np.kron(eye, E) @ Z.T for E in basis]
    pairs = np.array([[np.trace(a @ b) for b in parts] for a in parts])
    assert found.pairs == pytest.approx(pairs, rel=1e-8, abs=1e-10 * np.abs(pairs).max())
    assert found.traces == pytest.approx([np.trace(a) for a in parts], rel=1e-8, abs=1e-8)
    assert found.matrix[-1, -1] == pytest.approx(np.trace(P @ V) / 2, rel=1e-8)


def test_what_a_model_adds_is_told_apart():
    added = added_variances(postfit(SLOPE), postfit(INTERCEPT))
    assert (added.old, added.cones) == ((0,), ((1,),))
    assert (added.nuisance, added.free) == (((0, 0),), ((0, 1),))
    swapped = added_variances(postfit(SLOPE), postfit(ONLY_SLOPE))
    assert (swapped.old, swapped.cones, swapped.free) == ((1,), ((0,),), ((0, 1),))


def test_more_fixed_effects_count_under_ml():
    full = postfit(SLOPE, "ML")
    reduced = postfit(INTERCEPT, "ML", "thalamus_ml ~ year + arm + age_years")
    result = compare_variances(full, reduced)
    assert result.p_value == pytest.approx(mixture(result.statistic, (2, 3)), rel=EXACT)


FEWER = "thalamus_ml ~ year + age_years"
REFUSED = [
    (lambda: compare_variances(postfit(), postfit(INTERCEPT, "REML", FEWER)), "method='ML'"),
    (lambda: compare_variances(postfit(), postfit(INTERCEPT, "ML")), "one method"),
    (lambda: compare_variances(postfit(INTERCEPT), postfit(ONLY_SLOPE)), "not in"),
    (lambda: compare_variances(postfit(APART), postfit(SLOPE)), "not nested"),
    (lambda: compare_variances(postfit(), postfit()), "no variance or covariance"),
    (lambda: compare_fixed(postfit(), postfit(SLOPE, "REML", FEWER)), "f_test"),
    (lambda: compare_fixed(postfit(SLOPE, "ML"), postfit(INTERCEPT, "ML", FEWER)), "same random"),
    (lambda: compare_fixed(postfit(SLOPE, "ML"), postfit(SLOPE, "ML")), "no fixed effect"),
    (lambda: compare_fixed(postfit(SLOPE, "ML", FEWER), postfit(SLOPE, "ML")), "not nested"),
]


@pytest.mark.parametrize(("call", "words"), REFUSED)
def test_models_that_cannot_be_compared_are_refused(call, words):
    with pytest.raises(DesignError, match=words):
        call()


def test_other_rows_are_refused():
    spec = LMMSpec.from_formula("thalamus_ml ~ year * arm + age_years + (1 | subject_id)")
    with pytest.raises(DesignError, match="same rows"):
        compare_variances(postfit(), fit_lmm(postfit_data().iloc[1:], spec))


def test_a_larger_model_below_the_smaller_one_is_no_maximum():
    full = postfit()
    log = dataclasses.replace(full.fit_log, log_likelihood=-1e6)
    with pytest.raises(ConvergenceError, match="not at its maximum"):
        compare_variances(dataclasses.replace(full, fit_log=log), postfit(INTERCEPT))


def test_a_singular_smaller_model_is_told():
    data = balanced(seed=6)
    reduced = fit_lmm(data, "y ~ year + (1 | subject_id)")
    assert reduced.fit_log.singular
    result = compare_variances(fit_lmm(data, "y ~ year + (year | subject_id)"), reduced)
    assert "singular itself" in result.headline()
