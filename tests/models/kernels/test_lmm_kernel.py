"""The compiled likelihood of mixed models: dense matrices, differences, numpy, other optimisers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from pmsstats.models.formulas.columns import sum_by_subject
from pmsstats.models.kernels import lmm_patterns, lmm_vectorised
from pmsstats.models.kernels.lmm_climb import ascent_at, climb, starting_factor
from pmsstats.models.kernels.lmm_kernel import deviance, in_factor, profile, slopes
from pmsstats.models.kernels.lmm_maximum import GOOD_ENOUGH, conclude, maximise, satterthwaite
from pmsstats.models.kernels.lmm_patterns import Patterns, eigen, evaluate, group_products
from pmsstats.models.mixed.mixed_design import MixedArrays
from pmsstats.models.mixed.mixed_likelihood import MixedLikelihood
from pmsstats.models.mixed.mixed_scale import standardise

DENSE = 1e-9  # relative: the same sums, by Woodbury's identity and with dense matrices
SLOPE = 1e-6  # relative to the largest: central differences with steps of 1e-4
CURVATURE = 1e-4  # relative to the largest: second differences with the same steps
ROUNDING = 1e-11  # relative: the same numbers added up in another order
TOP = 1e-8  # log-likelihood units: two optimisers, each within 1e-10 of the maximum
ONE_PERCENT = 1e-2  # of degrees of freedom; what is asked of them
STEP = 1e-4

BLOCKS = {
    "intercept": ((0,),),
    "correlated": ((0, 1),),
    "uncorrelated": ((0,), (1,)),
    "three": ((0, 1, 2),),
    "two and one": ((0, 2), (1,)),
}
each_structure = pytest.mark.parametrize("blocks", BLOCKS.values(), ids=BLOCKS)
each_method = pytest.mark.parametrize("reml", [True, False], ids=["REML", "ML"])


def arrays(
    blocks=((0, 1),), *, n_subjects: int = 14, seed: int = 1, slope_sd: float = 0.4,
    regular: bool = False,
) -> MixedArrays:  # fmt: skip
    """Draw unbalanced visits of subjects whose level and slope vary, on the common scale."""
    rng = np.random.default_rng(seed)
    q = sum(len(block) for block in blocks)
    visits = rng.integers(q + 2, 8, n_subjects)
    subject = np.repeat(np.arange(n_subjects), visits)
    regular_time = np.concatenate([np.arange(float(n)) for n in visits])
    time = np.where(regular, regular_time, rng.uniform(0, 4, len(subject)))
    effects = rng.normal(size=(n_subjects, 2)) * [1.0, slope_sd]
    X = np.column_stack([np.ones_like(time), time, (subject % 2).astype(float)])
    y = X @ [3.0, -0.5, 0.2] + effects[subject, 0] + effects[subject, 1] * time
    data = MixedArrays(
        y=y + rng.normal(0, 0.5, len(y)),
        X=X,
        Z=np.column_stack([time**k for k in range(q)]),
        subject=subject,
        n_subjects=n_subjects,
        blocks=blocks,
    )
    return standardise(data)[0]


def patterns_of(data: MixedArrays, *, reml: bool, member: np.ndarray | None = None) -> Patterns:
    """Sum products subject by subject; then over the groups that `member` names."""
    B = np.column_stack([data.X, data.y])
    S = sum_by_subject(data.Z[:, :, None] * data.Z[:, None, :], data.subject, data.n_subjects)
    H = sum_by_subject(data.Z[:, :, None] * B[:, None, :], data.subject, data.n_subjects)
    q, P = H.shape[1:]
    T, count = np.empty((0, q * (q + 1) // 2, P * (P + 1) // 2)), np.ones(len(S))
    groups = [] if member is None else [np.flatnonzero(member == k) for k in np.unique(member)]
    for group in groups:
        assert np.allclose(S[group], S[group[0]], rtol=0, atol=1e-9)
    if groups:
        T = group_products(H, member, len(groups))
        S, H = S[[g[0] for g in groups]], np.empty((0, q, P))
        count = np.array([float(len(g)) for g in groups])
    rows, columns = np.nonzero(np.tril(data.mask()))
    return Patterns(
        S, count, T, H, (B.T @ B)[np.triu_indices(P)], float(data.n_obs),
        float(data.n_obs - (P - 1) * reml), reml, rows.copy(), columns.copy(),
    )  # fmt: skip


def covariance(data: MixedArrays, seed: int = 5) -> np.ndarray:
    """Draw a covariance of the random effects with the zeros of the model."""
    A = np.random.default_rng(seed).normal(size=(data.Z.shape[1],) * 2)
    return np.where(data.mask(), A @ A.T + 0.3 * np.eye(len(A)), 0.0)


def dense_covariance(data: MixedArrays, psi: np.ndarray) -> np.ndarray:
    same = data.subject[:, None] == data.subject[None, :]
    return np.eye(data.n_obs) + np.where(same, data.Z @ psi @ data.Z.T, 0.0)


def dense_fit(
    data: MixedArrays, psi: np.ndarray, *, reml: bool, sigma2: float | None = None
) -> tuple[float, np.ndarray, float]:
    """Return deviance, covariance of the fixed effects and residual variance, from the density."""
    V = dense_covariance(data, psi)
    inverse = np.linalg.inv(V)
    A = data.X.T @ inverse @ data.X
    beta = np.linalg.solve(A, data.X.T @ inverse @ data.y)
    r = data.y - data.X @ beta
    p = data.X.shape[1]
    found = float(r @ inverse @ r) / (data.n_obs - p * reml)
    variance = found if sigma2 is None else sigma2
    value = -2 * stats.multivariate_normal(data.X @ beta, variance * V).logpdf(data.y)
    # Patterson and Thompson: integrate the fixed effects out under a flat prior.
    value += reml * (np.linalg.slogdet(A / variance)[1] - p * np.log(2 * np.pi))
    return value, variance * np.linalg.inv(A), variance


def moved(data: MixedArrays, psi: np.ndarray, entry: int, by: float) -> np.ndarray:
    rows, columns = np.nonzero(np.tril(data.mask()))
    i, j = rows[entry], columns[entry]
    step = np.zeros_like(psi)
    step[i, j] = step[j, i] = by
    return psi + step


def gradient_by_differences(value, point: np.ndarray) -> np.ndarray:
    steps = STEP * np.eye(len(point))
    return np.array([(value(point + s) - value(point - s)) / (2 * STEP) for s in steps])


def hessian_by_differences(value, point: np.ndarray) -> np.ndarray:
    steps = STEP * np.eye(len(point))
    return np.array(
        [
            [
                value(point + s + t)
                - value(point + s - t)
                - value(point - s + t)
                + value(point - s - t)
                for t in steps
            ]
            for s in steps
        ]
    ) / (4 * STEP**2)


def assert_close(found: np.ndarray, expected: np.ndarray, tolerance: float) -> None:
    size = max(np.abs(expected).max(), 1e-12)
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * size)


# --- dense matrices ---------------------------------------------------------------------------


@each_structure
@each_method
def test_likelihood_equals_the_normal_density_with_dense_matrices(blocks, reml):
    data = arrays(blocks)
    psi = covariance(data)
    sums = patterns_of(data, reml=reml)
    R = np.empty_like(sums.S)
    A, log_det = evaluate(sums, psi, R)
    found = profile(A)
    value, fixed_covariance, sigma2 = dense_fit(data, psi, reml=reml)
    V = dense_covariance(data, psi)
    B = np.column_stack([data.X, data.y])
    assert_close(A, (B.T @ np.linalg.solve(V, B))[np.triu_indices(B.shape[1])], DENSE)
    assert log_det == pytest.approx(np.linalg.slogdet(V)[1], rel=DENSE)
    assert deviance(sums, found, log_det) == pytest.approx(value, rel=DENSE)
    assert found.rss / sums.n_free == pytest.approx(sigma2, rel=DENSE)
    assert_close(found.C * sigma2, fixed_covariance, DENSE)


@each_structure
@each_method
def test_derivatives_in_the_covariance_equal_differences_of_the_dense_deviance(blocks, reml):
    data = arrays(blocks)
    psi = covariance(data)
    sums = patterns_of(data, reml=reml)

    def value(point: np.ndarray) -> float:
        there = psi
        for k, by in enumerate(point):
            there = moved(data, there, k, by)
        return dense_fit(data, there, reml=reml)[0]

    origin = np.zeros(len(sums.rows))
    reached = ascent_at(sums, np.linalg.cholesky(psi))
    assert_close(reached.slopes.gradient, gradient_by_differences(value, origin), SLOPE)
    assert_close(reached.slopes.hessian, hessian_by_differences(value, origin), CURVATURE)


@each_structure
@each_method
def test_derivatives_in_the_factor_equal_differences_of_the_dense_deviance(blocks, reml):
    data = arrays(blocks)
    sums = patterns_of(data, reml=reml)
    F = np.linalg.cholesky(covariance(data))

    def value(theta: np.ndarray) -> float:
        there = np.zeros_like(F)
        there[sums.rows, sums.columns] = theta
        return dense_fit(data, there @ there.T, reml=reml)[0]

    gradient, hessian = in_factor(sums, F, ascent_at(sums, F).slopes)
    theta = F[sums.rows, sums.columns]
    assert_close(gradient, gradient_by_differences(value, theta), SLOPE)
    assert_close(hessian, hessian_by_differences(value, theta), CURVATURE)


def test_derivatives_of_the_residual_sum_of_squares_and_of_products_equal_differences():
    data = arrays()
    sums, psi = patterns_of(data, reml=True), covariance(data)
    found = ascent_at(sums, np.linalg.cholesky(psi)).slopes
    R = np.empty_like(sums.S)
    for k in range(len(sums.rows)):
        ends = [evaluate(sums, moved(data, psi, k, by), R)[0] for by in (STEP, -STEP)]
        rise = (ends[0] - ends[1]) / (2 * STEP)
        assert_close(found.inner[k][np.triu_indices(len(found.inner[k]))], rise, SLOPE)
        logs = [np.log(profile(A).rss) for A in ends]
        assert found.log_rss[k] == pytest.approx((logs[0] - logs[1]) / (2 * STEP), rel=SLOPE)


# --- the same sums in another way -------------------------------------------------------------


@each_structure
def test_subjects_of_one_pattern_may_be_added_up(blocks):
    data = arrays(blocks, regular=True, n_subjects=40)
    visits = np.bincount(data.subject)
    alone = patterns_of(data, reml=True)
    shared = patterns_of(data, reml=True, member=np.unique(visits, return_inverse=True)[1])
    assert len(shared.S) < len(alone.S) / 4
    F = np.linalg.cholesky(covariance(data))
    found, expected = ascent_at(shared, F), ascent_at(alone, F)
    assert found.value == pytest.approx(expected.value, rel=ROUNDING)
    assert_close(found.slopes.hessian, expected.slopes.hessian, 1e3 * ROUNDING)
    assert_close(starting_factor(shared), starting_factor(alone), 1e3 * ROUNDING)


@each_structure
@pytest.mark.parametrize("is_grouped", [True, False], ids=["patterns", "subjects"])
def test_loops_and_numpy_add_up_the_same(blocks, is_grouped):
    data = arrays(blocks, regular=True, n_subjects=30)
    member = np.unique(np.bincount(data.subject), return_inverse=True)[1]
    sums = patterns_of(data, reml=True, member=member if is_grouped else None)
    psi = covariance(data)
    R, R_too = np.empty_like(sums.S), np.empty_like(sums.S)
    A, log_det = lmm_patterns._evaluate_loops(sums, psi, R)
    A_too, log_det_too = lmm_vectorised.evaluate(sums, psi, R_too)
    assert_close(A, A_too, ROUNDING)
    assert_close(R, R_too, ROUNDING)
    assert log_det == pytest.approx(log_det_too, rel=ROUNDING)
    omega = np.random.default_rng(2).normal(size=len(sums.squares))
    for found, expected in zip(
        (*lmm_patterns._differentiate_loops(sums, R, omega), *lmm_patterns._moments_loops(sums)),
        (*lmm_vectorised.differentiate(sums, R, omega), *lmm_vectorised.moments(sums)),
        strict=True,
    ):
        assert_close(np.asarray(found), np.asarray(expected), 1e2 * ROUNDING)


@pytest.mark.parametrize("n", [1, 2, 3, 6])
def test_eigenvectors_equal_lapack(n):
    A = np.random.default_rng(n).normal(size=(n, n))
    values, vectors = eigen(A + A.T)
    np.testing.assert_allclose(np.sort(values), np.linalg.eigvalsh(A + A.T), atol=1e-12)
    assert_close(vectors @ np.diag(values) @ vectors.T, A + A.T, 1e-13)
    assert_close(vectors.T @ vectors, np.eye(n), 1e-13)


def test_eigenvectors_stay_in_their_block():
    matrix = np.zeros((4, 4))
    matrix[:2, :2] = [[2.0, 1.0], [1.0, 2.0]]
    matrix[2:, 2:] = [[3.0, 0.5], [0.5, 1.0]]
    _, vectors = eigen(matrix)
    inside = (np.abs(vectors[:2]) > 0).any(axis=0) ^ (np.abs(vectors[2:]) > 0).any(axis=0)
    assert inside.all()


def test_dependent_columns_are_not_valid():
    B = np.random.default_rng(1).normal(size=(20, 3))
    B = np.column_stack([B[:, 0], B[:, 1], B[:, 0] + B[:, 1], B[:, 2]])
    assert not profile((B.T @ B)[np.triu_indices(4)]).is_valid


# --- the maximum ------------------------------------------------------------------------------


def other_maximum(data: MixedArrays, *, reml: bool) -> float:
    """Climb by L-BFGS-B from two starting points, in other code."""
    likelihood = MixedLikelihood(data, reml=reml)
    return max(likelihood.log_likelihood(likelihood.improve(s)) for s in likelihood.starts())


@each_structure
@each_method
@pytest.mark.parametrize("slope_sd", [0.4, 0.0], ids=["slopes", "no slopes"])
def test_maximum_is_that_of_another_optimiser(blocks, reml, slope_sd):
    checked = 0
    for seed in range(6):
        data = arrays(blocks, seed=seed, slope_sd=slope_sd, n_subjects=12 + 3 * seed)
        found = maximise(patterns_of(data, reml=reml))
        likelihood = MixedLikelihood(data, reml=reml)
        certificate = likelihood.certify(likelihood.solve(found.psi))
        assert found.log_likelihood == pytest.approx(other_maximum(data, reml=reml), abs=TOP)
        assert found.gain < GOOD_ENOUGH
        assert certificate.gain < GOOD_ENOUGH
        assert found.is_singular == certificate.singular
        checked += 1
    assert checked


def test_singular_maxima_occur_and_are_flagged():
    found = [
        maximise(patterns_of(arrays(seed=seed, slope_sd=0.0), reml=True)).is_singular
        for seed in range(20)
    ]
    assert 4 <= sum(found) < 20  # about half of the fits without varying slopes


@pytest.mark.parametrize("slope", [0.0, 1e-9], ids=["zero", "next to zero"])
def test_climb_leaves_the_saddle_at_a_zero_slope_variance(slope):
    data = arrays(slope_sd=1.0, n_subjects=30)
    sums = patterns_of(data, reml=True)
    F = np.diag([1.0, slope])
    assert in_factor(sums, F, ascent_at(sums, F).slopes)[0][-1] == pytest.approx(0.0, abs=1e-4)
    assert conclude(sums, ascent_at(sums, F), 0).gain > 0.5
    top = maximise(sums)
    reached = climb(sums, F)
    assert -0.5 * reached.value == pytest.approx(top.log_likelihood, abs=TOP)


def test_gain_is_infinite_where_there_is_no_likelihood():
    data = arrays()
    sums = patterns_of(data, reml=True)._replace(squares=np.zeros(10))
    assert maximise(sums).gain == np.inf


def numerical_satterthwaite(data: MixedArrays, F: np.ndarray, sigma: float) -> np.ndarray:
    """Degrees of freedom as lmerTest finds them: differences in all parameters (theta, sigma)."""
    rows, columns = np.nonzero(np.tril(data.mask()))
    point = np.append(F[rows, columns], sigma)

    def parts(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        there = np.zeros_like(F)
        there[rows, columns] = parameters[:-1]
        value, fixed, _ = dense_fit(data, there @ there.T, reml=True, sigma2=parameters[-1] ** 2)
        return value, np.diag(fixed)

    H = hessian_by_differences(lambda p: parts(p)[0], point)
    J = gradient_by_differences(lambda p: parts(p)[1], point)
    values, vectors = np.linalg.eigh(H)
    keep = values > 1e-6 * values.max()  # the rest is noise of the differences
    W = 2 * (vectors[:, keep] / values[keep]) @ vectors[:, keep].T
    return 2 * parts(point)[1] ** 2 / np.einsum("ka,kl,la->a", J, W, J)


@pytest.mark.parametrize("blocks", [((0,),), ((0, 1),), ((0,), (1,))], ids=str)
@pytest.mark.parametrize("slope_sd", [0.5, 0.0], ids=["slopes", "no slopes"])
def test_degrees_of_freedom_equal_differences_in_all_parameters(blocks, slope_sd):
    checked = 0
    for seed in range(4):
        data = arrays(blocks, seed=seed, slope_sd=slope_sd)
        sums = patterns_of(data, reml=True)
        found = maximise(sums)
        F = climb(sums, starting_factor(sums)).F
        expected = numerical_satterthwaite(data, F, np.sqrt(found.sigma2))
        df = satterthwaite(found, sums.n_free, np.eye(3))
        np.testing.assert_allclose(df, expected, rtol=ONE_PERCENT)
        checked += 1
    assert checked


def test_slopes_takes_what_evaluate_left():
    data = arrays()
    sums = patterns_of(data, reml=True)
    R = np.empty_like(sums.S)
    A, _ = evaluate(sums, np.eye(2), R)
    found = slopes(sums, R, profile(A))
    expected = ascent_at(sums, np.eye(2)).slopes
    assert_close(found.gradient, expected.gradient, ROUNDING)
