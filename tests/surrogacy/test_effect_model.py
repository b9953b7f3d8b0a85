"""Batched likelihood of trial-level effects: metafor, a hand-written likelihood, derivatives."""

import numpy as np
import pytest
from reference_cases import load_case
from scipy import optimize, stats

from pmsstats.surrogacy import effect_model
from pmsstats.surrogacy.effect_model import EffectModel, fit_effects, unit_symmetric

GRADIENT_TOLERANCE = 1e-5  # central differences of a sum of about 20 terms, step 1e-5
LIKELIHOOD_TOLERANCE = 1e-9  # the same sum in another order
MAXIMUM_TOLERANCE = 1e-4  # Nelder-Mead stops there
WEIGHT_TOLERANCE = 1e-8  # Newton's method stops at 1e-10 squared standard errors


def bivariate(n=12, seed=3, correlation=0.3):
    rng = np.random.default_rng(seed)
    sd = rng.uniform(0.1, 0.3, (n, 2))
    pattern = np.array([[1.0, correlation], [correlation, 1.0]])
    within = sd[:, :, None] * sd[:, None, :] * pattern
    true = rng.multivariate_normal([0.4, -0.3], [[0.3, 0.2], [0.2, 0.4]], n)
    effects = true + np.array([rng.multivariate_normal([0, 0], w) for w in within])
    return EffectModel(
        effects=effects,
        design=np.tile(np.eye(2), (n, 1, 1)),
        within=within,
        basis=np.tile(unit_symmetric(2), (n, 1, 1, 1)),
        sizes=(2,),
    )


def wishart_model(n=9, seed=5):
    """Return a model with residual squares, as the bivariate mixed model has them."""
    rng = np.random.default_rng(seed)
    model = bivariate(n, seed)
    scales = rng.uniform(0.02, 0.1, n)
    residual = unit_symmetric(2) * scales[:, None, None, None]
    squares = np.array([stats.wishart(30, np.eye(2)).rvs(random_state=rng) for _ in range(n)])
    return EffectModel(
        effects=model.effects,
        design=model.design,
        within=np.zeros_like(model.within),
        basis=np.concatenate([model.basis, residual], axis=1),
        sizes=(2, 2),
        residual_df=np.full(n, 30.0),
        residual_squares=squares,
    )


def by_hand(model, D, *, reml, sigma=None):
    """Return -log L from one big matrix, as in any textbook of mixed models."""
    n, d = model.effects.shape
    V = np.zeros((n * d, n * d))
    for i in range(n):
        block = model.within[i] + D
        if sigma is not None:
            block = block + model.basis[i, 3, 0, 0] * sigma
        V[i * d : (i + 1) * d, i * d : (i + 1) * d] = block
    X, y = model.design.reshape(n * d, -1), model.effects.ravel()
    precision = X.T @ np.linalg.solve(V, X)
    beta = np.linalg.solve(precision, X.T @ np.linalg.solve(V, y))
    r = y - X @ beta
    value = np.linalg.slogdet(V)[1] + r @ np.linalg.solve(V, r) + n * d * np.log(2 * np.pi)
    if reml:
        value += np.linalg.slogdet(precision)[1] - X.shape[1] * np.log(2 * np.pi)
    if sigma is not None:
        for df, S in zip(model.residual_df, model.residual_squares, strict=True):
            value += df * np.linalg.slogdet(sigma)[1] + np.trace(np.linalg.solve(sigma, S))
    return value / 2


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("make", [bivariate, wishart_model])
def test_gradient_and_hessian_are_those_of_the_likelihood(make, reml):
    model = make()
    sides = len(model.sizes) * 3
    theta = np.tile([0.6, 0.3, 0.4], (2, len(model.sizes)))
    theta[1] *= 1.3
    counts = np.ones((2, len(model.effects)))
    counts[1, :2] = [0.0, 2.0]
    _, slope, curvature, _ = effect_model._derivatives(model, theta, counts, reml)
    steps = 1e-5 * np.eye(sides)
    differences = np.stack(
        [
            effect_model._value(model, theta + e, counts, reml)[0]
            - effect_model._value(model, theta - e, counts, reml)[0]
            for e in steps
        ],
        axis=1,
    )
    second = np.stack(
        [
            effect_model._derivatives(model, theta + e, counts, reml)[1]
            - effect_model._derivatives(model, theta - e, counts, reml)[1]
            for e in steps
        ],
        axis=2,
    )
    np.testing.assert_allclose(slope, differences / 2e-5, atol=GRADIENT_TOLERANCE, rtol=1e-6)
    np.testing.assert_allclose(curvature, second / 2e-5, atol=10 * GRADIENT_TOLERANCE, rtol=1e-5)


@pytest.mark.parametrize("reml", [True, False])
def test_likelihood_is_that_of_one_big_normal_vector(reml):
    model = bivariate()
    found = fit_effects(model, np.ones((1, 12)), (np.eye(2),), reml=reml)
    D = found.matrix(0, model.sizes)[0]
    expected = -by_hand(model, D, reml=reml)
    assert found.log_likelihood[0] == pytest.approx(expected, rel=LIKELIHOOD_TOLERANCE)


def test_maximum_with_residual_squares_is_that_of_a_blind_search():
    model = wishart_model()

    def objective(theta):
        D_root = np.array([[theta[0], 0], [theta[1], theta[2]]])
        S_root = np.array([[theta[3], 0], [theta[4], theta[5]]])
        return by_hand(model, D_root @ D_root.T, reml=True, sigma=S_root @ S_root.T)

    blind = optimize.minimize(
        objective,
        [0.5, 0.2, 0.4, 1, 0, 1],
        method="Nelder-Mead",
        options={"xatol": 1e-8, "fatol": 1e-12, "maxiter": 20_000, "maxfev": 20_000},
    )
    found = fit_effects(model, np.ones((1, 9)), (np.eye(2), np.eye(2)))
    assert found.converged.all()
    root = np.array([[blind.x[0], 0], [blind.x[1], blind.x[2]]])
    np.testing.assert_allclose(
        found.matrix(0, model.sizes)[0], root @ root.T, atol=MAXIMUM_TOLERANCE
    )
    root = np.array([[blind.x[3], 0], [blind.x[4], blind.x[5]]])
    np.testing.assert_allclose(
        found.matrix(1, model.sizes)[0], root @ root.T, atol=MAXIMUM_TOLERANCE
    )


@pytest.mark.parametrize("method", ["REML", "ML"])
@pytest.mark.parametrize("correlation", [0.0, 0.4])
def test_metafor(method, correlation):
    case = load_case("surrogacy_bcg")
    d = case.input
    sd = d[["control_error", "vaccinated_error"]].to_numpy()
    pattern = np.array([[1.0, correlation], [correlation, 1.0]])
    n = len(d)
    model = EffectModel(
        effects=d[["control", "vaccinated"]].to_numpy(),
        design=np.tile(np.eye(2), (n, 1, 1)),
        within=sd[:, :, None] * sd[:, None, :] * pattern,
        basis=np.tile(unit_symmetric(2), (n, 1, 1, 1)),
        sizes=(2,),
    )
    found = fit_effects(model, np.ones((1, n)), (np.eye(2),), reml=method == "REML")
    name = f"bivariate.{method}.{correlation:g}"
    compare(case, f"{name}.mean", found.beta[0])
    compare(case, f"{name}.mean_error", np.sqrt(np.diag(found.beta_covariance[0])))
    compare(case, f"{name}.D", found.phi[0])
    # metafor's restricted likelihood has log|X'X| / 2 more, and X'X is n times the identity
    constant = np.log(n) if method == "REML" else 0.0
    compare(case, f"{name}.loglik", found.log_likelihood + constant)


def compare(case, quantity, values):
    rows = case.rows(quantity)
    np.testing.assert_allclose(values, rows["value"].astype(float), rtol=float(rows["rtol"].max()))


def test_published_example_of_van_houwelingen():
    """Section 4 of the tutorial of 2002 (13 trials of BCG), full likelihood, as printed."""
    case = load_case("surrogacy_bcg")
    sd = case.input[["control_error", "vaccinated_error"]].to_numpy()
    model = EffectModel(
        effects=case.input[["control", "vaccinated"]].to_numpy(),
        design=np.tile(np.eye(2), (13, 1, 1)),
        within=sd[:, :, None] ** 2 * np.eye(2),
        basis=np.tile(unit_symmetric(2), (13, 1, 1, 1)),
        sizes=(2,),
    )
    found = fit_effects(model, np.ones((1, 13)), (np.eye(2),), reml=False)
    D = found.matrix(0, (2,))[0]
    compare(case, "published.ML.mean", found.beta[0])
    compare(case, "published.ML.variance", np.diag(D))
    compare(case, "published.ML.correlation", D[0, 1] / np.sqrt(D[0, 0] * D[1, 1]))


def test_a_count_of_two_is_a_repeated_trial_and_zero_one_left_out():
    model = bivariate()
    counts = np.ones((1, 12))
    counts[0, 0], counts[0, 1] = 0.0, 2.0
    weighted = fit_effects(model, counts, (np.eye(2),))
    rows = np.array([1, 1, *range(2, 12)])
    repeated = EffectModel(
        effects=model.effects[rows],
        design=model.design[rows],
        within=model.within[rows],
        basis=model.basis[rows],
        sizes=(2,),
    )
    plain = fit_effects(repeated, np.ones((1, 12)), (np.eye(2),))
    np.testing.assert_allclose(weighted.phi, plain.phi, rtol=WEIGHT_TOLERANCE)
    np.testing.assert_allclose(weighted.log_likelihood, plain.log_likelihood, rtol=1e-10)


def test_singular_maximum_is_found_and_said_to_be_one():
    """Effects exactly on a line, whose errors could not have put them there."""
    model = bivariate()
    line = np.column_stack([model.effects[:, 0], 2 * model.effects[:, 0] + 1])
    singular = EffectModel(
        effects=line, design=model.design, within=model.within, basis=model.basis, sizes=(2,)
    )
    found = fit_effects(singular, np.ones((1, 12)), (np.eye(2),))
    D = found.matrix(0, (2,))[0]
    assert found.converged.all()
    assert np.linalg.eigvalsh(D)[0] == pytest.approx(0.0, abs=1e-6)
    assert D[0, 1] / D[0, 0] == pytest.approx(2.0, rel=0.15)
