"""Likelihood-ratio tests between mixed models: variance components on their boundary, and means.

References
----------
.. [1] Self SG, Liang KY. Asymptotic properties of maximum likelihood estimators and likelihood
   ratio tests under nonstandard conditions. J Am Stat Assoc 1987;82:605-610.
   doi:10.1080/01621459.1987.10478472.
.. [2] Stram DO, Lee JW. Variance components testing in the longitudinal mixed effects model.
   Biometrics 1994;50:1171-1177. doi:10.2307/2533455.
.. [3] Silvapulle MJ, Sen PK. Constrained Statistical Inference. Wiley 2005.
   doi:10.1002/9781118165614.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pmsstats.errors import ConvergenceError, DesignError
from pmsstats.models.formulas.columns import independent_columns
from pmsstats.models.mixed.chi_bar import NullDistribution, mixture_of, simulate_cone
from pmsstats.models.mixed.likelihood_ratio_result import LikelihoodRatioResult
from pmsstats.models.mixed.mixed_likelihood import MixedLikelihood
from pmsstats.models.mixed.mixed_scale import standardise
from pmsstats.models.mixed.mixed_state import evaluate_state, mixed_state, variance_information
from pmsstats.seeds import Seed

if TYPE_CHECKING:
    from pmsstats.models.mixed.lmm_result import LMMResult

__all__ = ["AddedVariances", "added_variances", "compare_fixed", "compare_variances"]

_SAME = 1e-10  # relative difference of numbers that should be the same
_BELOW = 1e-5  # log-likelihood units by which a larger model may fall short, by rounding


@dataclass(frozen=True, kw_only=True)
class AddedVariances:
    """Which parameters of the random effects a larger model adds.

    Parameters
    ----------
    old : tuple of int
        Random effects of the larger model that the smaller one has too.
    cones : tuple of tuple of int
        The others, by block: their covariance matrices must be positive semidefinite.
    nuisance : tuple of tuple of int
        Pairs of effects whose (co)variance both models have.
    free : tuple of tuple of int
        Pairs whose covariance only the larger model has, at least one of them in the smaller one:
        these may have either sign.
    """

    old: tuple[int, ...]
    cones: tuple[tuple[int, ...], ...]
    nuisance: tuple[tuple[int, int], ...]
    free: tuple[tuple[int, int], ...]

    @property
    def in_cones(self) -> tuple[tuple[int, int], ...]:
        """Return the pairs whose (co)variances lie in the cones."""
        return tuple((i, j) for cone in self.cones for i, j in _pairs(cone))


def compare_variances(
    full: LMMResult,
    reduced: LMMResult | None = None,
    *,
    n_draws: int = 20_000,
    seed: Seed | None = None,
) -> LikelihoodRatioResult:
    """Test whether a model needs the random effects that a smaller one does not have.

    Parameters
    ----------
    full : LMMResult
        The larger model.
    reduced : LMMResult, optional
        The smaller one, on the same rows and by the same method; by default the one without any
        random effect. It must be given where there are several grouping factors, and then lack one
        random effect, such as ``(1 | site_id)``.
    n_draws : int, default 20000
        Draws from which the null distribution is found, where it has no closed form.
    seed : int, SeedSequence or Generator, optional
        Of these draws; needed only then.

    Returns
    -------
    LikelihoodRatioResult
        With the mixture of chi-squared distributions, and the naive p value beside it.

    Raises
    ------
    DesignError
        If the models are not nested, do not have the same rows, or (under REML) the same fixed
        effects; or a seed is needed.
    ConvergenceError
        If the larger model is less likely than the smaller one.

    Notes
    -----
    A variance cannot be negative, so that half of the time (under the null, in large samples) it
    is estimated as zero [1]_. With one random effect more, and q covariances of it with others,
    the statistic follows ``0.5 chi2(q) + 0.5 chi2(q + 1)`` [2]_. A single variance has q = 0.
    Covariances alone are not on a boundary: ``chi2(q)``. With several effects more, it follows
    the squared length of the projection of a normal vector, with the inverse of the expected
    information as its covariance, on the cone of possible values [3]_; its direction is simulated,
    its length integrated. Under ML the larger model may also have more fixed effects; each adds a
    degree of freedom.

    The mixtures hold for many independent subjects, or for many sites where the variance between
    sites is tested. With few, the p value tends to be too large:
    :func:`~pmsstats.models.mixed.lmm_bootstrap.bootstrap_variance_test` does without them. Where a
    variance of the smaller model is zero too, none of them holds, and the result says so. R:
    ``lmerTest::ranova(model)`` gives the statistic with the naive p value, ``RLRsim`` simulates;
    SAS: ``COVTEST`` of PROC GLIMMIX gives the mixtures.

    References
    ----------
    .. [1] Self SG, Liang KY. Asymptotic properties of maximum likelihood estimators and
       likelihood ratio tests under nonstandard conditions. J Am Stat Assoc 1987;82:605-610.
       doi:10.1080/01621459.1987.10478472.
    .. [2] Stram DO, Lee JW. Variance components testing in the longitudinal mixed effects model.
       Biometrics 1994;50:1171-1177. doi:10.2307/2533455.
    .. [3] Silvapulle MJ, Sen PK. Constrained Statistical Inference. Wiley 2005.
       doi:10.1002/9781118165614.
    """
    n_fixed = _check_comparable(full, reduced)
    added = added_variances(full, reduced)
    n_free = n_fixed + len(added.free)
    n_in_cones = len(added.in_cones)
    if n_free + n_in_cones == 0:
        raise DesignError(
            f"{full.spec.formula()} has no variance or covariance that the other model lacks."
        )
    if sum(map(len, added.cones)) <= 1:
        null = mixture_of(n_free, n_free + n_in_cones) if added.cones else mixture_of(n_free)
    elif full.design.arrays.others:
        raise DesignError(
            f"{full.spec.formula()} has several grouping factors; then one random effect can be "
            "tested at a time. Give as `reduced` a model that lacks one of them."
        )
    elif seed is None:
        raise DesignError(
            "Several variances at once have no tabulated null distribution: it is simulated. Give "
            "a `seed`, or add one random effect at a time."
        )
    else:
        covariance = _cone_covariance(full, reduced, added)
        sizes = tuple(map(len, added.cones))
        null = simulate_cone(covariance, sizes, n_free=n_free, n_draws=n_draws, seed=seed)
    return _result(full, reduced, null, n_free + n_in_cones, "random effects")


def compare_fixed(full: LMMResult, reduced: LMMResult) -> LikelihoodRatioResult:
    """Test whether a model needs the fixed effects that a smaller one does not have.

    Parameters
    ----------
    full, reduced : LMMResult
        Nested models of the same rows with the same random effects, both by ML.

    Returns
    -------
    LikelihoodRatioResult
        Against chi-squared.

    Raises
    ------
    DesignError
        If a model was fitted by REML, they are not nested, or do not have the same rows and random
        effects.
    ConvergenceError
        If the larger model is less likely than the smaller one.

    Notes
    -----
    In small samples the test is too liberal: prefer :meth:`LMMResult.f_test` of a REML fit with
    Kenward and Roger's degrees of freedom. R: ``anova(reduced, full)`` of fits with ``REML =
    FALSE``.
    """
    if "REML" in {full.spec.method, reduced.spec.method}:
        raise DesignError(
            "Restricted likelihoods of models with different fixed effects cannot be compared: "
            "they are of different data. Fit both with method='ML', or use f_test(...) of the "
            "REML fit."
        )
    n_more = _check_comparable(full, reduced)
    added = added_variances(full, reduced)
    if added.cones or added.free:
        raise DesignError(
            f"The models must have the same random effects, got {full.spec.formula()} and "
            f"{reduced.spec.formula()}. compare_variances tests both at once."
        )
    if n_more == 0:
        raise DesignError(f"{full.spec.formula()} has no fixed effect that the other model lacks.")
    return _result(full, reduced, mixture_of(n_more), n_more, "fixed effects")


def _result(
    full: LMMResult, reduced: LMMResult | None, null: NullDistribution, n_more: int, what: str
) -> LikelihoodRatioResult:
    """Compare the statistic with its null distribution."""
    smaller = _without_random(full) if reduced is None else reduced.fit_log.log_likelihood
    larger = full.fit_log.log_likelihood
    if smaller is None or larger is None or not larger >= smaller - _BELOW:
        raise ConvergenceError(
            f"The larger model has the log-likelihood {larger}, the smaller one {smaller}: the "
            "larger one is not at its maximum. Look at its fit_log, or try another engine."
        )
    return LikelihoodRatioResult(
        full=full.spec,
        reduced=None if reduced is None else reduced.spec,
        what=what,
        statistic=max(2 * (larger - smaller), 0.0),
        n_parameters=n_more,
        null=null,
        reduced_singular=reduced is not None and reduced.fit_log.singular,
        label=full.label,
        n_subjects=full.n_subjects,
        converged=full.fit_log.converged and (reduced is None or reduced.fit_log.converged),
        origin=full.origin,
        exclusions=full.exclusions,
    )


def _without_random(full: LMMResult) -> float:
    """Return the log-likelihood of the same model without any random effect."""
    arrays = full.design.arrays
    standard, back = standardise(arrays)
    reml = full.spec.method == "REML"
    value = MixedLikelihood(standard, reml=reml).log_likelihood(np.zeros((arrays.Z.shape[1],) * 2))
    return back.log_likelihood(value, n_obs=arrays.n_obs, reml=reml)


def _check_comparable(full: LMMResult, reduced: LMMResult | None) -> int:
    """Refuse models of different data; return how many fixed effects the larger one has more."""
    if reduced is None:
        mixed_state(full)  # refuses several grouping factors
        return 0
    if full.spec.method != reduced.spec.method:
        raise DesignError(
            f"Both models must be fitted by one method, got {full.spec.method} and "
            f"{reduced.spec.method}."
        )
    one, two = full.design.arrays, reduced.design.arrays
    weights = [np.ones(a.n_obs) if a.weights is None else a.weights for a in (one, two)]
    if (
        one.n_obs != two.n_obs
        or not np.allclose(one.y, two.y, rtol=_SAME, atol=0)
        or (full.group == reduced.group and not np.array_equal(one.subject, two.subject))
        or not np.allclose(*weights, rtol=_SAME)
    ):
        raise DesignError(
            f"Both models must be of the same rows and outcome, got {full.n_obs} rows of "
            f"{full.spec.outcome} and {reduced.n_obs} of {reduced.spec.outcome}. Leave out rows "
            "that miss a covariate of either model before fitting."
        )
    return _more_fixed(full, reduced)


def _more_fixed(full: LMMResult, reduced: LMMResult) -> int:
    """Return how many fixed effects the larger model has more; refuse models that differ."""
    one, two = full.design.arrays.X, reduced.design.arrays.X
    _, dropped = independent_columns(np.hstack([one, two]))
    nested = len(dropped) == two.shape[1]
    same = set(full.design.fixed_names) == set(reduced.design.fixed_names)
    if full.spec.method == "REML" and not (nested and same and one.shape == two.shape):
        raise DesignError(
            "Restricted likelihoods of models with different fixed effects cannot be compared: "
            "they are of different data. Fit both with method='ML'. Got fixed parts "
            f"{full.spec.fixed!r} and {reduced.spec.fixed!r}."
        )
    if not nested:
        raise DesignError(
            f"The fixed part {reduced.spec.fixed!r} is not nested in {full.spec.fixed!r}."
        )
    return one.shape[1] - two.shape[1]


def added_variances(full: LMMResult, reduced: LMMResult | None) -> AddedVariances:
    """List the parameters of the random effects that a larger model adds.

    Parameters
    ----------
    full : LMMResult
        The larger model.
    reduced : LMMResult, optional
        The smaller one; by default without any random effect.

    Returns
    -------
    AddedVariances
        By the positions of the larger model's random effects.

    Raises
    ------
    DesignError
        If the random part of the smaller model is not nested in that of the larger one.
    """
    smaller = [] if reduced is None else _factors(reduced)
    parts, start = [], 0
    for factor in _factors(full):
        same = [other for other in smaller if np.array_equal(other.codes, factor.codes)]
        smaller = [other for other in smaller if other not in same]
        parts.append(_added(factor, same[0] if same else None, start, full.spec.formula()))
        start += factor.Z.shape[1]
    if smaller:
        raise DesignError(
            f"Only the smaller model has random effects of {smaller[0].name}, so it is not nested "
            f"in {full.spec.formula()}."
        )
    return AddedVariances(
        old=tuple(itertools.chain.from_iterable(part.old for part in parts)),
        cones=tuple(itertools.chain.from_iterable(part.cones for part in parts)),
        nuisance=tuple(itertools.chain.from_iterable(part.nuisance for part in parts)),
        free=tuple(itertools.chain.from_iterable(part.free for part in parts)),
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class _Factor:
    """The random effects of one grouping factor."""

    name: str
    codes: np.ndarray
    Z: np.ndarray
    blocks: tuple[tuple[int, ...], ...]
    effects: tuple[str, ...]


def _factors(fit: LMMResult) -> list[_Factor]:
    """List the grouping factors of a model, the main one first."""
    arrays, words = fit.design.arrays, fit.design.groupings
    codes = [arrays.subject, *(other.codes for other in arrays.others)]
    matrices = [arrays.Z, *(other.Z for other in arrays.others)]
    return [
        _Factor(name=w.group, codes=c, Z=Z, blocks=w.blocks, effects=w.random_names)
        for w, c, Z in zip(words, codes, matrices, strict=True)
    ]


def _added(full: _Factor, reduced: _Factor | None, start: int, formula: str) -> AddedVariances:
    """List what one grouping factor adds; `start` is the position of its first effect."""
    q = full.Z.shape[1]
    old = () if reduced is None else _shared_effects(full, reduced, formula)
    known, mask = np.zeros((q, q), dtype=bool), _free(full)
    if reduced is not None:
        known[np.ix_(old, old)] = _free(reduced)
    if (known & ~mask).any():
        i, j = np.argwhere(known & ~mask)[0]
        raise DesignError(
            f"Only the smaller model lets {full.effects[i]!r} and {full.effects[j]!r} be "
            f"correlated, so it is not nested in {formula}."
        )
    cones = tuple(tuple(c + start for c in block if c not in old) for block in full.blocks)
    pairs = [pair for block in full.blocks for pair in _pairs(block)]
    touched = [(i, j) for i, j in pairs if i in old or j in old]
    return AddedVariances(
        old=tuple(k + start for k in old),
        cones=tuple(cone for cone in cones if cone),
        nuisance=tuple((i + start, j + start) for i, j in touched if known[i, j]),
        free=tuple((i + start, j + start) for i, j in touched if not known[i, j]),
    )


def _free(factor: _Factor) -> np.ndarray:
    """Say which entries of the covariance of a factor's effects are free."""
    free = np.zeros((factor.Z.shape[1],) * 2, dtype=bool)
    for block in factor.blocks:
        free[np.ix_(block, block)] = True
    return free


def _shared_effects(full: _Factor, reduced: _Factor, formula: str) -> tuple[int, ...]:
    """Return where the larger model has the random effects of the smaller one."""
    found: list[int] = []
    for name, column in zip(reduced.effects, reduced.Z.T, strict=True):
        same = [
            k
            for k, (other, mine) in enumerate(zip(full.effects, full.Z.T, strict=True))
            if other == name and np.allclose(mine, column, rtol=_SAME, atol=0)
        ]
        if not same:
            raise DesignError(
                f"The random effect {name!r} of the smaller model is not in {formula}, so the two "
                "are not nested."
            )
        found.append(same[0])
    return tuple(found)


def _pairs(block: tuple[int, ...]) -> list[tuple[int, int]]:
    """List the entries of a symmetric matrix of some effects, each once."""
    return list(itertools.combinations_with_replacement(block, 2))


def _cone_covariance(
    full: LMMResult, reduced: LMMResult | None, added: AddedVariances
) -> np.ndarray:
    """Return the covariance, at the smaller model, of the (co)variances that lie in the cones.

    The larger model's other parameters are unknown too. Every effect is measured in units of its
    own column, which changes neither the cones nor the projections.
    """
    standard, back = standardise(full.design.arrays)
    q = len(back.T)
    psi, sigma2 = np.zeros((q, q)), 1.0
    if reduced is not None:
        small = mixed_state(reduced)
        inverse = np.linalg.inv(small.back.T)
        psi[np.ix_(added.old, added.old)] = inverse @ small.psi @ inverse.T
        sigma2 = small.sigma2
    reml = full.spec.method == "REML"
    state = evaluate_state(standard, back, back.T @ psi @ back.T.T, sigma2, reml=reml)
    unit = back.T / np.linalg.norm(back.T, axis=0)
    order = [*added.in_cones, *added.nuisance, *added.free]
    basis = np.array([_symmetric(unit[:, i], unit[:, j], same=i == j) for i, j in order])
    information = variance_information(state, basis).profiled
    n = len(added.in_cones)
    rest = information[n:, n:]
    left = information[:n, :n] - information[:n, n:] @ np.linalg.pinv(rest) @ information[n:, :n]
    inverse_left: np.ndarray = np.linalg.inv(left)
    return inverse_left


def _symmetric(one: np.ndarray, two: np.ndarray, *, same: bool) -> np.ndarray:
    """Return the change of a covariance matrix per unit of one of its entries."""
    outer = np.outer(one, two)
    return outer if same else outer + outer.T
