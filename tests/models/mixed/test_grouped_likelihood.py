"""Mixed models with several grouping factors: lme4, lmerTest, pbkrtest, and dense matrices."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
from reference_cases import ReferenceCase, load_case
from scipy import stats

from pmsstats.errors import DesignError
from pmsstats.models import RandomTerm
from pmsstats.models.backends import EngineFit, pymer4_lmm, statsmodels_lmm
from pmsstats.models.fixed_effects.degrees_of_freedom import Inference
from pmsstats.models.formulas.formula import parse_formula
from pmsstats.models.mixed import grouped_inference as inference_module
from pmsstats.models.mixed.covariance_roots import cholesky
from pmsstats.models.mixed.grouped_fit import certify_grouped, climb_grouped, fit_grouped
from pmsstats.models.mixed.grouped_inference import grouped_inference
from pmsstats.models.mixed.grouped_likelihood import GroupedLikelihood
from pmsstats.models.mixed.mixed_design import (
    GroupingArrays,
    MixedArrays,
    MixedDesign,
    build_mixed_design,
)
from pmsstats.models.mixed.mixed_likelihood import MixedLikelihood
from pmsstats.models.mixed.mixed_scale import StandardScale, standardise

DENSE = 1e-9  # relative: the same sums, once by elimination and once with dense matrices
DIFFERENCE = 1e-5  # relative: central differences with steps of 1e-5
SAME = 1e-6  # relative: two climbs to the same maximum
TOP = 1e-8  # log-likelihood units


# --- against lme4, lmerTest and pbkrtest ----------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    """What the design is made from."""

    outcome: str
    fixed: str
    random: tuple[RandomTerm, ...]
    weights: str | None = None

    @classmethod
    def of(cls, formula: str, weights: str | None = None) -> Asked:
        parsed = parse_formula(formula)
        return cls(parsed.outcome, parsed.fixed, parsed.random_terms, weights)


@dataclass(frozen=True)
class Model:
    """One model of one reference case."""

    case: str
    name: str
    formula: str
    reml: bool = True
    weights: str | None = None

    @property
    def id(self) -> str:
        return f"{self.case}-{self.name}"


SLOPES = "thalamus_ml ~ year * arm + (year | site_id:subject_no) + (1 | site_id)"
SCANNERS = "mtr ~ year + age_years + (year | subject_id) + (1 | scanner)"
MODELS = (
    Model("lmm_threelevel", "reml", SLOPES),
    Model("lmm_threelevel", "ml", SLOPES, reml=False),
    Model("lmm_threelevel", "slash", "thalamus_ml ~ year * arm + (1 | site_id / subject_no)"),
    Model("lmm_crossed", "reml", SCANNERS),
    Model("lmm_crossed", "ml", SCANNERS, reml=False),
    Model(
        "lmm_crossed", "three",
        "mtr ~ year + age_years + (1 | subject_id) + (1 | scanner) + (1 | reader)",
    ),
    Model(
        "lmm_weights", "crossed", "score ~ year + (year | subject_id) + (1 | scanner)",
        weights="n_slices",
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Fitted:
    """A model fitted on the common scale, with the way back."""

    design: MixedDesign
    back: StandardScale
    likelihood: GroupedLikelihood
    found: EngineFit

    @classmethod
    def of(cls, data: pd.DataFrame, asked: Asked, *, reml: bool = True) -> Fitted:
        design = build_mixed_design(data, asked)
        standard, back = standardise(design.arrays)
        likelihood = GroupedLikelihood(standard, reml=reml)
        return cls(design, back, likelihood, fit_grouped(likelihood))

    def fixed(self) -> np.ndarray:
        return self.back.fixed(self.found.fixed)

    def inference(self, method: str) -> Inference:
        solution = self.likelihood.solve(self.found.psi)
        made = grouped_inference(self.likelihood, solution, method)
        return made.mapped(self.back.fixed_covariance)

    def log_likelihood(self) -> float:
        n = self.design.arrays.n_obs
        value = self.found.log_likelihood
        return self.back.log_likelihood(value, n_obs=n, reml=self.likelihood.reml)

    def variances(self) -> dict[str, float]:
        return {
            f"{words.group} | {first} | {second}": psi[i, j]
            for k, words in enumerate(self.design.groupings)
            for psi in [
                self.back.random_covariance(self.found.sigma2 * self.found.psi[k], grouping=k)
            ]
            for i, first in enumerate(words.random_names)
            for j, second in enumerate(words.random_names)
        }

    def blups(self) -> dict[str, float]:
        return {
            f"{words.group} | {level} | {name}": modes[i, j]
            for k, words in enumerate(self.design.groupings)
            for modes in [self.back.random(self.found.modes[k], grouping=k)]
            for i, level in enumerate(words.ids)
            for j, name in enumerate(words.random_names)
        }


def prepared(case: ReferenceCase) -> pd.DataFrame:
    arms = pd.CategoricalDtype(["placebo", "active"], ordered=True)
    return case.input.astype({name: arms for name in case.input.columns if name == "arm"})


@cache
def fitted(model: Model) -> Fitted:
    asked = Asked.of(model.formula, model.weights)
    return Fitted.of(prepared(load_case(model.case)), asked, reml=model.reml)


def by_term(fit: Fitted, values: np.ndarray) -> dict[str, float]:
    return dict(zip(fit.design.fixed_names, values, strict=True))


def vcov(fit: Fitted) -> dict[str, float]:
    names, V = fit.design.fixed_names, fit.inference("normal").covariance
    return {f"{a} | {b}": V[i, j] for i, a in enumerate(names) for j, b in enumerate(names)}


def coefficients_df(fit: Fitted, method: str) -> dict[str, float]:
    inference = fit.inference(method)
    return by_term(fit, inference.df(np.eye(len(inference.covariance))))


def std_error(fit: Fitted, method: str) -> dict[str, float]:
    return by_term(fit, np.sqrt(np.diag(fit.inference(method).covariance)))


QUANTITIES = {
    "estimate": lambda fit: by_term(fit, fit.fixed()),
    "std_error": lambda fit: std_error(fit, "satterthwaite"),
    "df": lambda fit: coefficients_df(fit, "satterthwaite"),
    "vcov": vcov,
    "variance": lambda fit: fit.variances(),
    "residual_sd": lambda fit: {"residual": fit.back.scale * np.sqrt(fit.found.sigma2)},
    "log_likelihood": lambda fit: {"model": fit.log_likelihood()},
    "blup": lambda fit: fit.blups(),
    "kr_std_error": lambda fit: std_error(fit, "kenward-roger"),
    "kr_df": lambda fit: coefficients_df(fit, "kenward-roger"),
}
SCALED = ("vcov", "variance", "blup")  # compared relative to the largest of the same kind
OF_REML = ("kr_std_error", "kr_df")


@pytest.mark.parametrize(
    ("model", "quantity"),
    [
        pytest.param(model, quantity, id=f"{model.id}-{quantity}")
        for model in MODELS
        for quantity in QUANTITIES
        if model.reml or quantity not in OF_REML
    ],
)
def test_fit_equals_lme4_lmertest_and_pbkrtest(model, quantity):
    expected = load_case(model.case).rows(f"{model.name}.{quantity}")
    found = pd.Series(QUANTITIES[quantity](fitted(model)))[expected["term"]].to_numpy()
    size = expected["value"].abs()
    kind = expected["term"].str.replace(r" \| .* \| ", " | ", regex=True)  # factor and effect
    largest = size.groupby(kind).transform("max") if quantity == "blup" else size
    largest = np.full(len(size), size.max()) if quantity in SCALED[:2] else largest
    error = (found - expected["value"]).abs() / (largest * expected["rtol"])
    assert (error <= 1).all(), expected.assign(found=found, error=error).to_string()


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.id)
def test_fit_is_a_certified_maximum(model):
    log = fitted(model).found.fit_log
    assert log.converged
    assert not log.singular
    assert log.engine == "native"


def weighted_fit(reml: bool) -> dict[str, dict[str, float]]:
    """Fit one grouping factor with weights, by the climb of its own likelihood."""
    asked = Asked.of("score ~ year + (year | subject_id)", "n_slices")
    design = build_mixed_design(load_case("lmm_weights").input, asked)
    standard, back = standardise(design.arrays)
    likelihood = MixedLikelihood(standard, reml=reml)
    solution = likelihood.solve(likelihood.improve(np.eye(2)))
    names, random = design.fixed_names, design.random_names
    V = back.fixed_covariance(solution.fixed_covariance)
    psi = back.random_covariance(solution.sigma2 * solution.psi)
    value = back.log_likelihood(solution.log_likelihood, n_obs=design.arrays.n_obs, reml=reml)
    pairs = [(i, j) for i in range(2) for j in range(2)]
    return {
        "estimate": dict(zip(names, back.fixed(solution.fixed), strict=True)),
        "std_error": dict(zip(names, np.sqrt(np.diag(V)), strict=True)),
        "variance": {f"subject_id | {random[i]} | {random[j]}": psi[i, j] for i, j in pairs},
        "residual_sd": {"residual": back.scale * np.sqrt(solution.sigma2)},
        "log_likelihood": {"model": value},
    }


@pytest.mark.parametrize(("name", "reml"), [("reml", True), ("ml", False)])
def test_weights_with_one_grouping_factor_equal_lme4(name, reml):
    found = weighted_fit(reml)
    for quantity, values in found.items():
        expected = load_case("lmm_weights").rows(f"{name}.{quantity}")
        np.testing.assert_allclose(
            pd.Series(values)[expected["term"]],
            expected["value"],
            rtol=expected["rtol"].iloc[0],
            err_msg=quantity,
        )


def test_weights_that_are_all_the_same_are_a_unit_of_the_residual_variance():
    data = prepared(load_case("lmm_crossed")).assign(w=4.0)
    plain = Fitted.of(data, Asked.of(SCANNERS))
    weighted = Fitted.of(data, Asked.of(SCANNERS, "w"))
    np.testing.assert_allclose(weighted.fixed(), plain.fixed(), rtol=SAME)
    assert weighted.log_likelihood() == pytest.approx(plain.log_likelihood(), rel=DENSE)
    ratio = weighted.found.sigma2 * weighted.back.scale**2
    assert ratio == pytest.approx(4 * plain.found.sigma2 * plain.back.scale**2, rel=SAME)
    for name, value in plain.variances().items():
        assert weighted.variances()[name] == pytest.approx(value, rel=1e-4, abs=1e-12)


# --- against dense matrices -----------------------------------------------------------------------


def arrays(seed: int = 0, **kws) -> MixedArrays:
    """Draw unbalanced data: visits of subjects in sites, crossed with scanners."""
    rng = np.random.default_rng(seed)
    n_subjects = 20
    subject = np.repeat(np.arange(n_subjects), rng.integers(2, 6, n_subjects))
    n = len(subject)
    site, scanner = subject % 4, rng.integers(0, 3, n)
    time = rng.uniform(0, 4, n)
    X = np.column_stack([np.ones(n), time, rng.normal(size=n)])
    y = X @ [1.0, -0.5, 0.2] + rng.normal(size=n_subjects)[subject] + rng.normal(0, 0.5, n)
    y += rng.normal(size=4)[site] + rng.normal(0, 0.4, n_subjects)[subject] * time
    y += rng.normal(0, 0.7, 3)[scanner]
    sites = GroupingArrays(name="site", codes=site, n_levels=4, Z=X[:, :2], blocks=((0,), (1,)))
    scanners = GroupingArrays(name="scanner", codes=scanner, n_levels=3, Z=X[:, :1], blocks=((0,),))
    return MixedArrays(
        **{
            "y": y, "X": X, "Z": X[:, :2], "subject": subject, "n_subjects": n_subjects,
            "blocks": ((0, 1),), "others": (sites, scanners), **kws,
        }
    )  # fmt: skip


PSIS = {
    "inside": (np.array([[2.0, 0.3], [0.3, 0.4]]), np.diag([1.0, 0.2]), np.eye(1) * 0.5),
    "no slopes": (np.diag([2.0, 0.0]), np.diag([1.0, 0.0]), np.eye(1) * 0.5),
    "nothing": (np.zeros((2, 2)), np.zeros((2, 2)), np.zeros((1, 1))),
    "one factor": (np.array([[2.0, 0.3], [0.3, 0.4]]), np.zeros((2, 2)), np.zeros((1, 1))),
    "large": (np.diag([400.0, 100.0]), np.diag([900.0, 10.0]), np.eye(1) * 1e4),
}


def spread(data: MixedArrays) -> list[np.ndarray]:
    """Return the whole matrix of random effects of each factor, columns level by level."""
    factors = [(data.Z, data.subject, data.n_subjects)]
    factors += [(other.Z, other.codes, other.n_levels) for other in data.others]
    return [
        (np.eye(m)[codes][:, :, None] * Z[:, None, :]).reshape(len(Z), -1)
        for Z, codes, m in factors
    ]


def dense_covariance(data: MixedArrays, psis) -> np.ndarray:
    levels = (data.n_subjects, *(other.n_levels for other in data.others))
    parts = [
        Z @ np.kron(np.eye(m), psi) @ Z.T
        for Z, m, psi in zip(spread(data), levels, psis, strict=True)
    ]
    residual = np.ones(data.n_obs) if data.weights is None else data.weights
    return np.diag(1.0 / residual) + sum(parts)


def dense_quantities(data: MixedArrays, psis, *, reml: bool) -> dict[str, np.ndarray]:
    """Generalised least squares with the whole covariance matrix, as in any textbook."""
    V = dense_covariance(data, psis)
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
        (Z.T @ inverse @ r).reshape(-1, len(psi)) @ psi
        for Z, psi in zip(spread(data), psis, strict=True)
    ]
    return {
        "fixed": beta,
        "fixed_covariance": sigma2 * np.linalg.inv(A),
        "sigma2": sigma2,
        "log_likelihood": restricted if reml else full,
        "modes": np.concatenate([part.reshape(-1) for part in modes]),
    }


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("name", PSIS)
def test_everything_equals_generalised_least_squares_with_dense_matrices(name, reml):
    data = arrays()
    solution = GroupedLikelihood(data, reml=reml).solve(PSIS[name])
    modes = np.concatenate([part.reshape(-1) for part in solution.modes])
    found = vars(solution) | {"modes": modes}
    for quantity, expected in dense_quantities(data, PSIS[name], reml=reml).items():
        size = max(np.abs(expected).max(), 1e-12)
        np.testing.assert_allclose(
            found[quantity], expected, atol=DENSE * size, rtol=0, err_msg=quantity
        )


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("name", ["inside", "large"])
def test_gradient_equals_finite_differences_of_dense_matrices(name, reml):
    data, psis = arrays(), PSIS[name]
    likelihood = GroupedLikelihood(data, reml=reml)
    gradient = likelihood.solve(psis).gradient
    places = [
        (k, i, j)
        for k, mask in enumerate(likelihood.masks)
        for i, j in zip(*np.nonzero(np.tril(mask)), strict=True)
    ]
    for k, i, j in places:
        size = 1e-5 * np.sqrt(psis[k][i, i] * psis[k][j, j])
        step = np.zeros_like(psis[k])
        step[i, j] += size / 2
        step[j, i] += size / 2
        ends = [
            dense_quantities(data, (*psis[:k], psis[k] + sign * step, *psis[k + 1 :]), reml=reml)
            for sign in (1, -1)
        ]
        rise = ends[0]["log_likelihood"] - ends[1]["log_likelihood"]
        expected = -2 * rise / (2 * size)  # both entries move together, by half a step each
        assert gradient[k][i, j] == pytest.approx(expected, rel=DIFFERENCE, abs=DIFFERENCE)
    assert len(places) == 6  # three of the subjects, two of the sites, one of the scanners


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("scale", [1e-4, 1.0, 365.25])
def test_common_scale_is_undone_exactly_with_weights(reml, scale):
    plain = arrays()
    unit = [1.0, scale]
    others = (replace(plain.others[0], Z=plain.others[0].Z * unit), plain.others[1])
    data = arrays(
        y=plain.y * 1e-2 + 7.0,
        X=plain.X * [*unit, 1e3],
        Z=plain.Z * unit,
        others=others,
        weights=np.random.default_rng(1).uniform(0.5, 3.0, plain.n_obs),
    )
    standard, back = standardise(data)
    assert standard.weights is None
    solution = GroupedLikelihood(standard, reml=reml).solve(PSIS["inside"])
    triangles = [np.linalg.inv(T) for T in (back.T, *back.others)]
    psis = [T @ psi @ T.T for T, psi in zip(triangles, PSIS["inside"], strict=True)]
    expected = dense_quantities(data, psis, reml=reml)
    modes = [back.random(part, grouping=k) for k, part in enumerate(solution.modes)]
    found = {
        "fixed": back.fixed(solution.fixed),
        "fixed_covariance": back.fixed_covariance(solution.fixed_covariance),
        "sigma2": back.scale**2 * solution.sigma2,
        "log_likelihood": back.log_likelihood(solution.log_likelihood, n_obs=data.n_obs, reml=reml),
        "modes": np.concatenate([part.reshape(-1) for part in modes]),
    }
    for quantity, value in expected.items():
        size = np.abs(value) + np.abs(value).max() * 1e-3
        error = np.abs(found[quantity] - value) / size
        assert error.max() < 1e-5, quantity  # the dense witness itself loses digits at these scales


def dense_kenward_roger(data: MixedArrays, psis, sigma2: float) -> tuple[np.ndarray, np.ndarray]:
    """Adjusted covariance and W from the formulas of Kenward and Roger (1997), sections 2 and 3."""
    levels = (data.n_subjects, *(other.n_levels for other in data.others))
    masks = (data.mask(), *(other.mask() for other in data.others))
    V_i = []
    for Z, m, mask in zip(spread(data), levels, masks, strict=True):
        for i, j in zip(*np.nonzero(np.tril(mask)), strict=True):
            E = np.zeros(mask.shape)
            E[i, j] = E[j, i] = 1.0
            V_i.append(Z @ np.kron(np.eye(m), E) @ Z.T)
    V_i.append(np.eye(data.n_obs))
    X, inverse = data.X, np.linalg.inv(sigma2 * dense_covariance(data, psis))
    Phi = np.linalg.inv(X.T @ inverse @ X)
    P = [-X.T @ inverse @ A @ inverse @ X for A in V_i]
    Q = [[X.T @ inverse @ A @ inverse @ B @ inverse @ X for B in V_i] for A in V_i]
    r = range(len(V_i))
    twice_information = [
        [
            np.trace(inverse @ V_i[i] @ inverse @ V_i[j])
            - np.trace(2 * Phi @ Q[i][j] - Phi @ P[i] @ Phi @ P[j])
            for j in r
        ]
        for i in r
    ]
    W = 2 * np.linalg.inv(np.array(twice_information))
    inner = sum(W[i, j] * (Q[i][j] - P[i] @ Phi @ P[j]) for i in r for j in r)
    return Phi + 2 * Phi @ inner @ Phi, W


def test_kenward_roger_equals_its_formulas_with_dense_matrices():
    data = arrays()
    likelihood = GroupedLikelihood(data, reml=True)
    solution = likelihood.solve(PSIS["inside"])
    found = grouped_inference(likelihood, solution, "kenward-roger")
    adjusted, W = dense_kenward_roger(data, solution.psi, solution.sigma2)
    np.testing.assert_allclose(found.covariance, adjusted, atol=DENSE * np.abs(adjusted).max())
    np.testing.assert_allclose(found.parameter_covariance, W, atol=DENSE * np.abs(W).max())


def test_satterthwaite_equals_finite_differences_of_dense_matrices():
    """Parameters (theta, sigma); all derivatives by differences of the dense likelihood."""
    data, _ = standardise(arrays())
    likelihood = GroupedLikelihood(data, reml=True)
    found = fit_grouped(likelihood)
    start = np.concatenate(
        [*(cholesky(psi)[np.tril(mask)] for psi, mask in zip(found.psi, likelihood.masks,
           strict=True)), [np.sqrt(found.sigma2)]]
    )  # fmt: skip

    def covariance(values: np.ndarray) -> tuple[float, np.ndarray]:
        psis, at = [], 0
        for mask in likelihood.masks:
            lower = np.zeros(mask.shape)
            count = int(np.tril(mask).sum())
            lower[np.tril(mask)] = values[at : at + count]
            psis.append(lower @ lower.T)
            at += count
        V = values[-1] ** 2 * dense_covariance(data, psis)
        inverse = np.linalg.inv(V)
        A = data.X.T @ inverse @ data.X
        r = data.y - data.X @ np.linalg.solve(A, data.X.T @ inverse @ data.y)
        dets = np.linalg.slogdet(V)[1] + np.linalg.slogdet(A)[1]
        return float(dets + r @ inverse @ r), np.linalg.inv(A)

    h, k = 1e-3, len(start)
    steps = np.eye(k) * h
    jacobian = np.stack([(covariance(start + s)[1] - covariance(start - s)[1]) / (2 * h)
                         for s in steps])  # fmt: skip
    signs = [(1, 1), (1, -1), (-1, 1), (-1, -1)]
    H = np.array([
        [sum(a * b * covariance(start + a * s + b * t)[0] for a, b in signs) / (4 * h**2)
         for t in steps] for s in steps
    ])  # fmt: skip
    W = 2 * np.linalg.inv(H)
    Phi = covariance(start)[1]
    expected = [
        2 * Phi[j, j] ** 2 / (jacobian[:, j, j] @ W @ jacobian[:, j, j]) for j in range(len(Phi))
    ]
    inference = grouped_inference(likelihood, likelihood.solve(found.psi), "satterthwaite")
    np.testing.assert_allclose(inference.df(np.eye(3)), expected, rtol=1e-3)  # errors of order h^2


# --- the maximum ----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_every_fit_is_a_maximum_boundary_included(seed):
    standard, _ = standardise(arrays(seed))
    likelihood = GroupedLikelihood(standard, reml=True)
    found = fit_grouped(likelihood)
    assert found.fit_log.converged, found.fit_log.message
    rng = np.random.default_rng(seed)
    for size in (1e-3, 1e-2, 0.1, 1.0):
        for _ in range(5):  # no covariance nearby or further off is more likely
            roots = [
                (cholesky(psi) + size * rng.normal(size=psi.shape)) * mask
                for psi, mask in zip(found.psi, likelihood.masks, strict=True)
            ]
            other = likelihood.log_likelihood([root @ root.T for root in roots])
            assert other <= found.log_likelihood + TOP


@pytest.mark.parametrize("seed", [35, 209])
def test_highest_of_several_maxima_is_found(seed):
    """Variances drawn such that the likelihood has several maxima, some on the boundary."""
    sizes = np.random.default_rng(seed + 1000)
    sd = sizes.choice([0, 0.05, 0.5, 2], 4)
    plain = arrays(seed)
    sites, scanners = plain.others
    y = plain.X @ [1, -0.5, 0.2] + sd[0] * sizes.normal(size=20)[plain.subject]
    y += sd[1] * sizes.normal(size=20)[plain.subject] * plain.X[:, 1]
    y += sd[2] * sizes.normal(size=4)[sites.codes] + sd[3] * sizes.normal(size=3)[scanners.codes]
    sites = replace(sites, blocks=((0, 1),))
    data = replace(plain, y=y + sizes.normal(0, 0.5, plain.n_obs), others=(sites, scanners))
    likelihood = GroupedLikelihood(standardise(data)[0], reml=True)
    found = fit_grouped(likelihood)
    tops = [
        likelihood.log_likelihood(
            climb_grouped(likelihood, [np.eye(len(p)) * start for p in found.psi])
        )
        for start in (0.01, 0.3, 1.0, 25.0)
    ]
    assert max(tops) > min(tops) + 1e-4  # else the data do not show what they should
    assert found.log_likelihood >= max(tops) - TOP


def test_weights_must_have_been_worked_into_the_rows():
    with pytest.raises(DesignError, match="call `standardise` first"):
        GroupedLikelihood(arrays(weights=np.ones(arrays().n_obs)), reml=True)


def test_variance_of_zero_is_reported_as_singular_and_is_a_maximum():
    rng = np.random.default_rng(5)
    plain = arrays()
    y = plain.X @ [1.0, -0.5, 0.2] + rng.normal(0, 1, plain.n_obs)
    y += rng.normal(0, 2, plain.n_subjects)[plain.subject]
    site = plain.others[0].codes
    for level in range(4):  # sites have the same mean
        y[site == level] -= y[site == level].mean()
    standard, _ = standardise(arrays(y=y))
    found = fit_grouped(GroupedLikelihood(standard, reml=True))
    assert found.fit_log.converged
    assert found.fit_log.singular
    assert found.psi[1][0, 0] == 0.0
    inference = grouped_inference(
        GroupedLikelihood(standard, reml=True),
        GroupedLikelihood(standard, reml=True).solve(found.psi),
        "satterthwaite",
    )
    assert (inference.df(np.eye(3)) > 1).all()


def test_saddle_at_zero_is_left():
    standard, _ = standardise(arrays())
    likelihood = GroupedLikelihood(standard, reml=True)
    top = fit_grouped(likelihood)
    nothing = [np.zeros_like(psi) for psi in top.psi]
    certificate = certify_grouped(likelihood, likelihood.solve(nothing))
    assert certificate.singular
    assert certificate.gain > 1
    climbed = likelihood.log_likelihood(climb_grouped(likelihood, nothing))
    assert climbed == pytest.approx(top.log_likelihood, abs=TOP)


def test_statsmodels_says_that_it_has_one_grouping_factor():
    standard, _ = standardise(arrays())
    with pytest.raises(DesignError, match=r"one grouping factor.*site, scanner.*engine='native'"):
        statsmodels_lmm.fit(GroupedLikelihood(standard, reml=True))


@pytest.mark.r
@pytest.mark.parametrize("reml", [True, False])
def test_lme4_engine_finds_the_same_maximum(reml):
    standard, _ = standardise(arrays())
    likelihood = GroupedLikelihood(standard, reml=reml)
    ours, theirs = fit_grouped(likelihood), pymer4_lmm.fit(likelihood)
    assert theirs.fit_log.converged
    np.testing.assert_allclose(theirs.fixed, ours.fixed, atol=1e-5)
    np.testing.assert_allclose(theirs.fixed_covariance, ours.fixed_covariance, atol=1e-5)
    for mine, yours in zip((*ours.psi, *ours.modes), (*theirs.psi, *theirs.modes), strict=True):
        np.testing.assert_allclose(yours, mine, atol=1e-4 * max(np.abs(mine).max(), 1.0))
    df = grouped_inference(likelihood, likelihood.solve(ours.psi), "satterthwaite").df(np.eye(3))
    np.testing.assert_allclose(theirs.inference.df(np.eye(3)), df, rtol=0.01)


# --- properties -----------------------------------------------------------------------------------


def answers(fit: Fitted) -> dict[str, float]:
    inference = fit.inference("kenward-roger")
    sizes = np.sqrt(np.diag(inference.covariance))
    values = [fit.fixed(), sizes, inference.df(np.eye(len(sizes)))]
    return {
        f"{name} {what}": value
        for what, column in zip(("estimate", "std_error", "df"), values, strict=True)
        for name, value in zip(fit.design.fixed_names, column, strict=True)
    } | fit.variances()


THREE = Model("lmm_crossed", "reml", SCANNERS)


@pytest.mark.parametrize("seed", [1, 2])
def test_order_of_rows_and_names_of_levels_change_nothing(seed):
    data = prepared(load_case("lmm_crossed"))
    other = data.sample(frac=1, random_state=seed)
    other["subject_id"] = "x" + other["subject_id"].str[::-1]
    other["scanner"] = other["scanner"].map(lambda name: ord(name[-1]) * seed)
    found, plain = answers(Fitted.of(other, Asked.of(SCANNERS))), answers(fitted(THREE))
    for name, value in plain.items():
        assert found[name] == pytest.approx(value, rel=1e-5), name


@pytest.mark.parametrize("factor", [1e-4, 1000.0])
def test_unit_of_the_outcome_scales_estimates_and_leaves_df(factor):
    data = prepared(load_case("lmm_crossed"))
    found = answers(Fitted.of(data.assign(mtr=data["mtr"] * factor), Asked.of(SCANNERS)))
    for name, value in answers(fitted(THREE)).items():
        power = 0 if name.endswith("df") else 2 if "|" in name else 1
        assert found[name] == pytest.approx(value * factor**power, rel=1e-5), name


def test_time_in_days_scales_slopes_and_leaves_df():
    data = prepared(load_case("lmm_crossed"))
    found = answers(
        Fitted.of(
            data.assign(day=data["year"] * 365.25),
            Asked.of(SCANNERS.replace("year +", "day +").replace("(year", "(day")),
        )
    )
    plain = answers(fitted(THREE))
    assert found["day estimate"] * 365.25 == pytest.approx(plain["year estimate"], rel=1e-5)
    assert found["day df"] == pytest.approx(plain["year df"], rel=1e-5)
    variance = "subject_id | {0} | {0}"
    assert found[variance.format("day")] * 365.25**2 == pytest.approx(
        plain[variance.format("year")], rel=1e-4
    )


def test_nesting_by_slash_by_colon_and_by_distinct_ids_is_the_same():
    data = prepared(load_case("lmm_threelevel"))
    data["subject_id"] = data["site_id"] + "/" + data["subject_no"].astype(str)
    formula = "thalamus_ml ~ year * arm + "
    ways = [
        "(1 | site_id / subject_no)", "(1 | site_id) + (1 | site_id:subject_no)",
        "(1 | subject_id) + (1 | site_id)",
    ]  # fmt: skip
    fits = [Fitted.of(data, Asked.of(formula + way)) for way in ways]
    for fit in fits[1:]:
        np.testing.assert_allclose(fit.fixed(), fits[0].fixed(), rtol=SAME)
        assert fit.log_likelihood() == pytest.approx(fits[0].log_likelihood(), rel=DENSE)
    assert [fit.design.group for fit in fits] == [*["site_id:subject_no"] * 2, "subject_id"]


def test_kenward_roger_of_nested_sites_equals_its_formulas_with_dense_matrices():
    """Nested sites are not linked with each other, so that they are worked out one by one."""
    data = replace(arrays(), others=arrays().others[:1])
    likelihood = GroupedLikelihood(data, reml=True)
    solution = likelihood.solve(PSIS["inside"][:2])
    found = grouped_inference(likelihood, solution, "kenward-roger")
    adjusted, W = dense_kenward_roger(data, solution.psi, solution.sigma2)
    np.testing.assert_allclose(found.covariance, adjusted, atol=DENSE * np.abs(adjusted).max())
    np.testing.assert_allclose(found.parameter_covariance, W, atol=DENSE * np.abs(W).max())


# --- what is refused ------------------------------------------------------------------------------


def visits() -> pd.DataFrame:
    return prepared(load_case("lmm_threelevel")).assign(
        one="A", copy=lambda f: f["site_id"].str.lower(), w=1.0, row=lambda f: range(len(f)),
        pair=lambda f: np.where(f["arm"] == "active", "x", "y"),
        subject_id=lambda f: f["site_id"] + "-" + f["subject_no"].astype(str),
    )  # fmt: skip


REFUSED = [
    ("(1 | subject_id) + (1 | one)", None, "Every row has one = A"),
    ("(1 | subject_id) + (1 | site_id:subject_no)", None, "in the same way by .* cannot be told"),
    ("(1 | subject_id) + (1 | site_id) + (1 | copy)", None, "site_id and by copy"),
    ("(1 | row) + (1 | site_id)", None, "one row"),
    ("(1 | subject_id) + (year + arm | pair)", None, "2 groups of pair cannot determine 3"),
    ("(1 | subject_id) + (1 | sit_id)", None, "Did you mean 'site_id'"),
    ("(1 | site_id / subject_np)", None, "Did you mean 'subject_no'"),
    ("(1 | subject_id) + (w | site_id)", None, "'w' is constant or repeats"),
    ("(1 | subject_id)", "arm", "column of positive numbers"),
    ("(1 | subject_id)", "weight", "no column of the data"),
]


@pytest.mark.parametrize(("random", "weights", "message"), REFUSED)
def test_designs_that_cannot_be_fitted_are_refused(random, weights, message):
    with pytest.raises(DesignError, match=message):
        build_mixed_design(visits(), Asked.of(f"thalamus_ml ~ year + {random}", weights))


@pytest.mark.parametrize("bad", [0.0, -1.0])
def test_weights_must_be_positive(bad):
    data = visits()
    data.loc[3, "w"] = bad
    with pytest.raises(DesignError, match=r"positive, but 1 row\(s\) of 'w'"):
        build_mixed_design(data, Asked.of("thalamus_ml ~ year + (1 | subject_id)", "w"))


def test_rows_without_weight_or_group_are_counted():
    data = visits()
    data.loc[3, "w"] = np.nan
    data.loc[4, "w"] = np.inf
    data.loc[[9, 11], "site_id"] = None
    asked = Asked.of("thalamus_ml ~ year + (1 | subject_id) + (1 | site_id)", "w")
    design = build_mixed_design(data, asked)
    counted = {(e.reason, e.n) for e in design.exclusions if e.unit == "row"}
    assert counted == {("no w", 1), ("w is infinite", 1), ("no site_id", 2)}
    assert design.arrays.n_obs == len(data) - 4 == len(design.arrays.weights)


def test_values_that_join_to_the_same_combination_are_refused():
    data = visits().assign(a="x:y", b="z")
    data.loc[data.index % 2 == 0, ["a", "b"]] = ["x", "y:z"]
    with pytest.raises(DesignError, match="read the same when joined"):
        build_mixed_design(data, Asked.of("thalamus_ml ~ year + (1 | subject_id) + (1 | a:b)"))


def test_factor_with_most_levels_comes_first_whatever_the_order():
    asked = Asked.of("thalamus_ml ~ year + (1 | pair) + (year | subject_id) + (1 | site_id)")
    design = build_mixed_design(visits(), asked)
    assert [words.group for words in design.groupings] == ["subject_id", "site_id", "pair"]
    assert design.group == "subject_id"
    assert design.random_names == ("intercept", "year")
    assert design.arrays.n_subjects == len(design.subject_ids) == 45
    assert [other.n_levels for other in design.arrays.others] == [9, 2]


def test_thousands_of_effects_besides_the_subjects_are_refused():
    n = 9000
    codes = np.arange(n) % 4500
    one = GroupingArrays(name="b", codes=codes, n_levels=4500, Z=np.ones((n, 1)), blocks=((0,),))
    data = MixedArrays(
        y=np.ones(n), X=np.ones((n, 1)), Z=np.ones((n, 1)), subject=np.arange(n) // 2,
        n_subjects=n // 2, blocks=((0,),), others=(one,),
    )  # fmt: skip
    with pytest.raises(DesignError, match=r"4500 random effects \(b \(4500\)\), more than 4000"):
        GroupedLikelihood(data, reml=True)


@pytest.mark.parametrize(
    ("method", "reml", "message"),
    [("kenward-roger", False, "defined for REML"), ("between-within", True, "several grouping")],
)
def test_methods_that_do_not_apply_are_refused(method, reml, message):
    likelihood = GroupedLikelihood(arrays(), reml=reml)
    with pytest.raises(DesignError, match=message):
        grouped_inference(likelihood, likelihood.solve(PSIS["inside"]), method)


def test_kenward_roger_of_too_many_linked_effects_advises_satterthwaite(monkeypatch):
    monkeypatch.setattr(inference_module, "_MAX_CONNECTED", 20)
    likelihood = GroupedLikelihood(arrays(), reml=True)
    with pytest.raises(DesignError, match="df_method='satterthwaite'"):
        grouped_inference(likelihood, likelihood.solve(PSIS["inside"]), "kenward-roger")


def test_other_methods_count_or_take_the_variances_as_known():
    likelihood = GroupedLikelihood(arrays(), reml=True)
    solution = likelihood.solve(PSIS["inside"])
    n, p = likelihood.arrays.X.shape
    residual = grouped_inference(likelihood, solution, "residual")
    np.testing.assert_array_equal(residual.df(np.eye(p)), n - p)
    assert grouped_inference(likelihood, solution, "normal").df(np.eye(p)) is None
