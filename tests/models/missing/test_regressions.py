"""The imputation model: closed form without gaps, dense likelihood and fit_mmrm with them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import optimize

from pmsstats import fit_mmrm
from pmsstats.models.missing.augmentation import draw_posterior, draw_wisharts
from pmsstats.models.missing.moments import sums_of_replicates, sums_of_weights
from pmsstats.models.missing.regressions import fit_regressions

ROUNDING = 1e-9
LIKELIHOOD_FLAT = 2e-6  # two optimisers stop this far from the maximum, relative to its scale
T = 3


def data(seed: int = 3, *, n: int = 50, gaps: bool = True) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    arm, x = np.arange(n) % 2, rng.normal(size=n)
    spread = np.array([[1.0, 0.5, 0.4], [0.5, 1.5, 0.8], [0.4, 0.8, 2.0]])
    y = rng.multivariate_normal(np.zeros(T), spread, n) + np.outer(x, [0.5, 0.3, 0.1])
    y += arm[:, None] * np.array([0.1, 0.4, 0.9])
    if gaps:
        y[rng.random((n, T)) < 0.2] = np.nan
        y[n // 2, :] = np.nan
    return y, np.column_stack([arm == 0, arm == 1, x]).astype(float)


def fit(y, Z, group=None, weights=None):
    group = np.zeros(len(y), dtype=int) if group is None else group
    weights = np.ones((1, len(y))) if weights is None else weights
    return fit_regressions(sums_of_weights(y, Z, group, weights))


def test_without_gaps_it_is_least_squares_by_visit():
    y, Z = data(gaps=False)
    found = fit(y, Z)
    coefs, *_ = np.linalg.lstsq(Z, y, rcond=None)
    rest = y - Z @ coefs
    np.testing.assert_allclose(found.coefs[0], coefs, rtol=0, atol=ROUNDING)
    np.testing.assert_allclose(found.covariances[0, 0], rest.T @ rest / (50 - 3), atol=ROUNDING)


def test_with_gaps_it_is_the_unstructured_mmrm():
    y, Z = data()
    n = len(y)
    rows = pd.DataFrame({"subject_id": np.repeat(range(n), T), "visit": np.tile(range(T), n)})
    rows = rows.assign(arm=np.repeat(Z[:, 1], T), x=np.repeat(Z[:, 2], T), y=y.ravel()).dropna()
    other = fit_mmrm(
        rows, "y ~ 0 + C(visit) : C(arm) + C(visit) : x + us(visit | subject_id)",
        df_method="normal",
    )  # fmt: skip
    found = fit(y, Z)
    estimates = other.coefficients["estimate"].to_numpy()
    np.testing.assert_allclose(found.coefs[0].ravel(), estimates, atol=LIKELIHOOD_FLAT)
    covariance = other.visit_covariance().to_numpy()
    np.testing.assert_allclose(found.covariances[0, 0], covariance, atol=LIKELIHOOD_FLAT)


def dense_deviance(theta: np.ndarray, y: np.ndarray, Z: np.ndarray, group: np.ndarray) -> float:
    """Minus twice the restricted log-likelihood, one matrix for all rows."""
    roots = []
    for part in theta.reshape(2, -1):
        L = np.zeros((T, T))
        L[np.tril_indices(T)] = part
        roots.append(L @ L.T)
    seen = [np.flatnonzero(~np.isnan(row)) for row in y]
    X = np.vstack([np.kron(np.eye(T)[o], Z[i]) for i, o in enumerate(seen)])
    V = np.zeros((len(X), len(X)))
    at = 0
    for i, o in enumerate(seen):
        V[at : at + len(o), at : at + len(o)] = roots[group[i]][np.ix_(o, o)]
        at += len(o)
    values, W = y[~np.isnan(y)], np.linalg.inv(V)
    A = X.T @ W @ X
    rest = values - X @ np.linalg.solve(A, X.T @ W @ values)
    return np.linalg.slogdet(V)[1] + np.linalg.slogdet(A)[1] + rest @ W @ rest


def test_a_covariance_per_group_maximises_the_dense_likelihood():
    y, Z = data(n=60)
    group = Z[:, 1].astype(int)
    found = fit(y, Z, group)
    low = np.tril_indices(T)
    at = np.concatenate([np.linalg.cholesky(S)[low] for S in found.covariances[0]])
    here = dense_deviance(at, y, Z, group)
    other = optimize.minimize(dense_deviance, at * 1.1, (y, Z, group), method="BFGS")
    assert other.fun == pytest.approx(here, abs=1e-7)
    np.testing.assert_allclose(other.x, at, atol=1e-4)  # where differences of BFGS end


def test_weights_count_subjects():
    y, Z = data()
    counts = np.random.default_rng(1).integers(0, 3, len(y))
    again = np.repeat(np.arange(len(y)), counts)
    weighted, repeated = fit(y, Z, weights=counts[None].astype(float)), fit(y[again], Z[again])
    np.testing.assert_allclose(weighted.covariances, repeated.covariances, atol=ROUNDING)


def test_replicates_do_not_know_of_each_other():
    one, Z = data(3)
    two, _ = data(4)
    none = np.zeros(len(Z), dtype=int)
    both = fit_regressions(sums_of_replicates(np.stack([one, two]), Z, none))
    for row, y in enumerate((one, two)):
        alone = fit(y, Z)
        np.testing.assert_allclose(both.coefs[row], alone.coefs[0], atol=ROUNDING)
        np.testing.assert_allclose(both.covariances[row], alone.covariances[0], atol=ROUNDING)


def test_a_replicate_that_determines_no_model_is_flagged():
    y, Z = data()
    empty = y.copy()
    empty[Z[:, 1] == 1, 2] = np.nan
    found = fit_regressions(sums_of_replicates(np.stack([y, empty]), Z, np.zeros(50, dtype=int)))
    assert found.converged.tolist() == [True, False]
    assert np.isnan(found.coefs[1]).all()


def test_a_likelihood_without_maximum_is_flagged_and_harms_no_other():
    """Four subjects of a group at the last visit, four effects there: residuals vanish."""
    y, Z = data(n=60)
    few = y.copy()
    few[np.flatnonzero(Z[:, 0] == 1)[3:], 2] = np.nan
    group = Z[:, 1].astype(int)
    found = fit_regressions(sums_of_replicates(np.stack([few, y]), Z, group))
    assert found.converged.tolist() == [False, True]
    alone = fit(y, Z, group)
    np.testing.assert_allclose(found.covariances[1], alone.covariances[0], atol=ROUNDING)


# --- posterior -----------------------------------------------------------------------------------

N_DRAWS = 4000


def test_wisharts_have_their_mean_and_variance():
    scale, df = np.array([[2.0, 0.5], [0.5, 1.0]]), 7
    found = draw_wisharts(np.tile(scale, (N_DRAWS, 1, 1)), df, np.random.default_rng(2))
    variance = df * (scale**2 + np.outer(np.diag(scale), np.diag(scale)))
    error = np.abs(found.mean(axis=0) - df * scale)
    assert (error < 4 * np.sqrt(variance / N_DRAWS)).all()
    kurtosis = ((found - df * scale) ** 4).mean(axis=0) / variance**2
    spread = np.sqrt((kurtosis - 1) / N_DRAWS)
    assert (np.abs(found.var(axis=0) / variance - 1) < 4 * spread).all()


def test_without_gaps_the_posterior_is_the_one_of_textbooks():
    """Effects: multivariate t around least squares; covariances: inverse Wishart, df n - q."""
    y, Z = data(gaps=False)
    n, q = Z.shape
    start = fit(y, Z)
    coefs, covariances = draw_posterior(
        y, Z, np.zeros(n, dtype=int), start, n_draws=N_DRAWS, n_steps=25,
        rng=np.random.default_rng(8),
    )  # fmt: skip
    rest = y - Z @ start.coefs[0]
    products = rest.T @ rest
    mean = products / (n - q - T - 1)  # of the inverse Wishart
    error = covariances[:, 0].std(axis=0, ddof=1) / np.sqrt(N_DRAWS)
    assert (np.abs(covariances[:, 0].mean(axis=0) - mean) < 4 * error).all()
    variance = np.outer(np.diag(np.linalg.inv(Z.T @ Z)), np.diag(mean))
    assert (np.abs(coefs.mean(axis=0) - start.coefs[0]) < 4 * np.sqrt(variance / N_DRAWS)).all()
    ratio = coefs.var(axis=0, ddof=1) / variance
    assert (np.abs(ratio - 1) < 4 * np.sqrt(2.2 / N_DRAWS)).all()  # t with 44 df: kurtosis 3.15
