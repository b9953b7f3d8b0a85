"""Shrinkage of scanner effects, against the equations of Johnson et al. 2007 solved otherwise."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy import optimize, stats

from pmsstats.errors import ConvergenceError
from pmsstats.imaging.empirical_bayes import (
    ScannerMoments,
    estimate_priors,
    scanner_moments,
    shrink,
)

SOLVER = 1e-9  # two root finders that each stop at about 1e-12
ROUNDING = 1e-12


@pytest.fixture(scope="module")
def values():
    rng = np.random.default_rng(3)
    scanner = rng.integers(0, 3, 90)
    spread = np.array([0.7, 1.0, 1.5])[scanner]
    return scanner, [rng.normal(0.3 * k - 0.5, spread, 90) for k in range(5)]


@pytest.fixture(scope="module")
def moments(values):
    scanner, z = values
    parts = [scanner_moments(column, scanner, 3) for column in z]
    return ScannerMoments(
        **{
            f.name: np.hstack([getattr(p, f.name) for p in parts])
            for f in dataclasses.fields(ScannerMoments)
        }
    )


def test_moments_are_mean_and_variance_of_each_scanner(values, moments):
    scanner, z = values
    for i in range(3):
        for v in range(5):
            mine = z[v][scanner == i]
            assert moments.n[i, v] == len(mine)
            np.testing.assert_allclose(moments.gamma[i, v], np.mean(mine), rtol=ROUNDING)
            np.testing.assert_allclose(moments.delta2[i, v], np.var(mine, ddof=1), rtol=ROUNDING)


def test_priors_have_the_moments_of_the_estimates(moments):
    priors = estimate_priors(moments)
    np.testing.assert_allclose(priors.gamma_bar, moments.gamma.mean(axis=1))
    np.testing.assert_allclose(priors.tau2, np.var(moments.gamma, axis=1, ddof=1))
    mean, variance = stats.invgamma(priors.shape, scale=priors.scale).stats("mv")
    np.testing.assert_allclose(mean, moments.delta2.mean(axis=1), rtol=1e-10)
    np.testing.assert_allclose(variance, np.var(moments.delta2, axis=1, ddof=1), rtol=1e-8)


def test_shrunk_effects_solve_the_equations_of_the_posterior_means(values, moments):
    scanner, z = values
    priors = estimate_priors(moments)
    gamma, delta2 = shrink(moments, priors)
    for i in range(3):
        for v in range(5):
            mine = z[v][scanner == i]
            n = len(mine)

            def off(point, mine=mine, n=n, i=i):
                g, d2 = point
                precision = n / d2 + 1 / priors.tau2[i]
                normal = (mine.sum() / d2 + priors.gamma_bar[i] / priors.tau2[i]) / precision
                posterior = stats.invgamma(
                    priors.shape[i] + n / 2, scale=priors.scale[i] + ((mine - g) ** 2).sum() / 2
                )
                return normal - g, posterior.mean() - d2

            found = optimize.root(off, [mine.mean(), mine.var()], tol=1e-13).x
            np.testing.assert_allclose([gamma[i, v], delta2[i, v]], found, rtol=SOLVER)


def test_shrunk_effects_lie_between_the_estimate_and_the_mean_of_the_features(moments):
    priors = estimate_priors(moments)
    gamma, _ = shrink(moments, priors)
    centre = priors.gamma_bar[:, None]
    between = (gamma - moments.gamma) * (gamma - centre)
    assert (between <= ROUNDING).all()


def test_features_that_agree_exactly_are_their_own_prior():
    rng = np.random.default_rng(1)
    scanner = np.repeat([0, 1], 20)
    one = scanner_moments(rng.normal(size=40), scanner, 2)
    same = ScannerMoments(
        n=np.hstack([one.n] * 3), gamma=np.hstack([one.gamma] * 3),
        delta2=np.hstack([one.delta2] * 3),
    )  # fmt: skip
    gamma, delta2 = shrink(same, estimate_priors(same))
    np.testing.assert_allclose(gamma, same.gamma, rtol=ROUNDING)
    np.testing.assert_allclose(delta2, same.delta2, rtol=ROUNDING)


def test_what_is_not_finite_is_refused():
    broken = ScannerMoments(
        n=np.full((2, 2), 5.0), gamma=np.array([[0.0, np.nan], [1.0, 2.0]]), delta2=np.ones((2, 2))
    )
    with pytest.raises(ConvergenceError, match="shrink=False"):
        shrink(broken, estimate_priors(broken))
