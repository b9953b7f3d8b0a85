"""The likelihood of mixed models, against dense matrices, and the judgement of a maximum."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from pmsstats.errors import DesignError
from pmsstats.models.mixed.mixed_design import GroupingArrays, MixedArrays
from pmsstats.models.mixed.mixed_likelihood import MixedLikelihood
from pmsstats.models.mixed.mixed_scale import standardise

DENSE = 1e-9  # relative: the same sums, once by Woodbury's identity and once with dense matrices
DIFFERENCE = 1e-5  # relative: central differences with steps of 1e-5
TOP = 1e-8  # log-likelihood units: an L-BFGS-B climb with the exact gradient
ESCAPED = 0.5  # log-likelihood units that are surely gained where the slopes do vary


def arrays(*, slope_sd: float = 0.4, n_subjects: int = 12, seed: int = 1, **kws) -> MixedArrays:
    rng = np.random.default_rng(seed)
    n = rng.integers(2, 6, n_subjects)
    subject = np.repeat(np.arange(n_subjects), n)
    time = rng.uniform(0, 4, len(subject))
    level, slope = rng.normal(0, 1, n_subjects), rng.normal(0, slope_sd, n_subjects)
    X = np.column_stack([np.ones_like(time), time, rng.normal(size=len(time))])
    y = X @ [3.0, -0.5, 0.2] + level[subject] + slope[subject] * time
    return MixedArrays(
        **{
            "y": y + rng.normal(0, 0.5, len(y)),
            "X": X,
            "Z": X[:, :2].copy(),
            "subject": subject,
            "n_subjects": n_subjects,
            "blocks": ((0, 1),),
            **kws,
        }
    )


PSIS = {
    "inside": np.array([[2.0, 0.3], [0.3, 0.4]]),
    "no slope": np.diag([2.0, 0.0]),
    "nothing": np.zeros((2, 2)),
    "one direction": np.outer([1.0, -0.5], [1.0, -0.5]),
    "large": np.diag([400.0, 100.0]),
}


def dense_quantities(data: MixedArrays, psi: np.ndarray, *, reml: bool) -> dict[str, np.ndarray]:
    """Generalised least squares with the whole covariance matrix, as in any textbook."""
    same = data.subject[:, None] == data.subject[None, :]
    V = np.eye(data.n_obs) + np.where(same, data.Z @ psi @ data.Z.T, 0.0)
    inverse = np.linalg.inv(V)
    A = data.X.T @ inverse @ data.X
    beta = np.linalg.solve(A, data.X.T @ inverse @ data.y)
    r = data.y - data.X @ beta
    p = data.X.shape[1]
    sigma2 = float(r @ inverse @ r) / (data.n_obs - p if reml else data.n_obs)
    full = stats.multivariate_normal(data.X @ beta, sigma2 * V).logpdf(data.y)
    # Patterson and Thompson: integrate the fixed effects out under a flat prior.
    restricted = full + 0.5 * p * np.log(2 * np.pi) - 0.5 * np.linalg.slogdet(A / sigma2)[1]
    modes = [
        psi @ data.Z[data.subject == i].T @ (inverse @ r)[data.subject == i]
        for i in range(data.n_subjects)
    ]
    return {
        "fixed": beta,
        "fixed_covariance": sigma2 * np.linalg.inv(A),
        "sigma2": sigma2,
        "log_likelihood": restricted if reml else full,
        "modes": np.array(modes),
    }


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("name", PSIS)
def test_everything_equals_generalised_least_squares_with_dense_matrices(name, reml):
    data = arrays()
    solution = MixedLikelihood(data, reml=reml).solve(PSIS[name])
    for quantity, expected in dense_quantities(data, PSIS[name], reml=reml).items():
        found = getattr(solution, quantity)
        size = max(np.abs(expected).max(), 1e-12)
        np.testing.assert_allclose(found, expected, atol=DENSE * size, rtol=0, err_msg=quantity)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("blocks", [((0, 1),), ((0,), (1,))])
def test_gradient_equals_finite_differences(reml, blocks):
    likelihood = MixedLikelihood(arrays(blocks=blocks), reml=reml)
    psi = np.where(likelihood.arrays.mask(), PSIS["inside"], 0.0)
    gradient = likelihood.solve(psi).gradient
    steps = [(i, j) for i in range(2) for j in range(i + 1) if likelihood.arrays.mask()[i, j]]
    for i, j in steps:
        step = np.zeros((2, 2))
        step[i, j] += 0.5e-5
        step[j, i] += 0.5e-5
        rise = likelihood.log_likelihood(psi + step) - likelihood.log_likelihood(psi - step)
        expected = -2 * rise / 2e-5  # both entries move together, by half a step each
        assert gradient[i, j] == pytest.approx(expected, rel=DIFFERENCE, abs=DIFFERENCE)
    assert len(steps) == sum(len(b) * (len(b) + 1) // 2 for b in blocks)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("scale", [1e-4, 1.0, 365.25])
def test_common_scale_is_undone_exactly(reml, scale):
    plain = arrays()
    data = arrays(y=plain.y * 1e-4 + 7.0, X=plain.X * [1, scale, 1e6], Z=plain.Z * [1.0, scale])
    standard, back = standardise(data)
    solution = MixedLikelihood(standard, reml=reml).solve(PSIS["inside"])
    inverse = np.linalg.inv(back.T)
    psi = inverse @ PSIS["inside"] @ inverse.T
    expected = dense_quantities(data, psi, reml=reml)
    found = {
        "fixed": back.fixed(solution.fixed),
        "fixed_covariance": back.fixed_covariance(solution.fixed_covariance),
        "sigma2": back.scale**2 * solution.sigma2,
        "log_likelihood": back.log_likelihood(solution.log_likelihood, n_obs=data.n_obs, reml=reml),
        "modes": back.random(solution.modes),
    }
    for quantity, value in expected.items():
        size = np.abs(value) + np.abs(value).max() * 1e-3
        error = np.abs(found[quantity] - value) / size
        assert error.max() < 1e-5, quantity  # the dense witness itself loses digits at these scales


def test_common_scale_has_orthogonal_columns_of_unit_size():
    standard, _ = standardise(arrays())
    n = standard.n_obs
    for matrix in (standard.X, standard.Z):
        np.testing.assert_allclose(matrix.T @ matrix / n, np.eye(matrix.shape[1]), atol=1e-12)
    assert np.mean(standard.y**2) == pytest.approx(1.0, rel=1e-12)


STARTS = [np.eye(2), np.diag([1.0, 0.0]), np.zeros((2, 2)), np.diag([100.0, 1e-3])]


@pytest.mark.parametrize("start", STARTS, ids=["one", "no slope", "nothing", "far"])
@pytest.mark.parametrize("blocks", [((0, 1),), ((0,), (1,))])
def test_climb_reaches_one_maximum_from_everywhere(start, blocks):
    standard, _ = standardise(arrays(blocks=blocks))
    likelihood = MixedLikelihood(standard, reml=True)
    top = likelihood.solve(likelihood.improve(np.eye(2)))
    reached = likelihood.solve(likelihood.improve(start))
    assert reached.log_likelihood == pytest.approx(top.log_likelihood, abs=TOP)
    assert likelihood.certify(reached).gain < TOP
    assert not likelihood.certify(reached).singular


def test_saddle_at_zero_slope_variance_is_no_maximum():
    standard, _ = standardise(arrays(slope_sd=1.0, n_subjects=30))
    likelihood = MixedLikelihood(standard, reml=True)
    intercept_only = MixedLikelihood(
        MixedArrays(
            y=standard.y, X=standard.X, Z=standard.Z[:, :1], subject=standard.subject,
            n_subjects=30, blocks=((0,),),
        ),
        reml=True,
    )  # fmt: skip
    psi = np.zeros((2, 2))
    psi[0, 0] = intercept_only.improve(np.eye(1))[0, 0]
    saddle = likelihood.solve(psi)
    certificate = likelihood.certify(saddle)
    assert certificate.singular
    assert certificate.gain > ESCAPED
    climbed = likelihood.solve(likelihood.improve(psi))
    assert climbed.log_likelihood > saddle.log_likelihood + ESCAPED
    assert likelihood.certify(climbed).gain < TOP


def test_maximum_on_the_boundary_is_certified_as_singular():
    singular = [
        (likelihood, likelihood.solve(likelihood.improve(np.eye(2))))
        for seed in range(8)
        for likelihood in [
            MixedLikelihood(standardise(arrays(slope_sd=0.0, seed=seed))[0], reml=True)
        ]
    ]
    on_boundary = [(likelihood, s) for likelihood, s in singular if likelihood.certify(s).singular]
    assert len(on_boundary) >= 3  # without varying slopes about half of the fits are singular
    for likelihood, solution in on_boundary:
        assert likelihood.certify(solution).gain < TOP
        assert np.linalg.eigvalsh(solution.psi)[0] == pytest.approx(0.0, abs=1e-8)
        beside = solution.psi + 1e-4 * np.eye(2)
        assert likelihood.log_likelihood(beside) < solution.log_likelihood + TOP


def test_gain_is_the_rise_to_the_maximum_to_second_order():
    standard, _ = standardise(arrays(n_subjects=200))
    likelihood = MixedLikelihood(standard, reml=True)
    top = likelihood.solve(likelihood.improve(np.eye(2)))
    near = likelihood.solve(top.psi * 1.05)
    rise = top.log_likelihood - near.log_likelihood
    assert likelihood.certify(near).gain == pytest.approx(rise, rel=0.2)  # expected for observed


def test_several_factors_and_weights_are_not_ignored():
    data = arrays()
    other = GroupingArrays(
        name="site", codes=data.subject % 3, n_levels=3, Z=data.Z[:, :1], blocks=((0,),)
    )
    for change in ({"others": (other,)}, {"weights": np.ones(data.n_obs)}):
        with pytest.raises(DesignError, match="one grouping factor and no weights"):
            MixedLikelihood(arrays(**change), reml=True)
