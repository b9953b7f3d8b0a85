"""Draws of the imputation model: posterior by data augmentation, bootstrap, jackknife."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pmsstats.errors import ConvergenceError, DesignError
from pmsstats.models.missing.augmentation import draw_posterior
from pmsstats.models.missing.moments import sums_of_weights
from pmsstats.models.missing.regressions import Regressions, fit_regressions
from pmsstats.seeds import Seed, stream

if TYPE_CHECKING:
    from pmsstats.models.missing.events import Plan
    from pmsstats.models.missing.spec import MissingSpec

__all__ = ["Draws", "draw_models"]

_BLOCK = 500  # resamples that are fitted together: what bounds memory
_MOST_FAILURES = 0.01  # share of bootstrap samples that may lack a fit


@dataclass(frozen=True, eq=False, kw_only=True)
class Draws:
    """Parameters of the imputation model, one set per imputation.

    Parameters
    ----------
    coefs : ndarray, shape (n_draws, q, n_visits)
        Means by arm, and effects of covariates.
    covariances : ndarray, shape (n_draws, n_groups, n_visits, n_visits)
        Of the visits of a subject; one group, or one per arm.
    weights : ndarray, shape (n_draws, n_subjects), optional
        For conditional means: how often each subject counts. The first row is the data itself.
    is_random : bool
        Whether imputed values get random residuals.
    n_failed : int
        Bootstrap samples without a fit, left out.
    n_steps : int
        Steps that the fit to the data took.
    """

    coefs: np.ndarray
    covariances: np.ndarray
    weights: np.ndarray | None
    is_random: bool
    n_failed: int
    n_steps: int


def draw_models(plan: Plan, spec: MissingSpec, *, seed: Seed) -> Draws:
    """Draw parameters of the imputation model as the method asks.

    Parameters
    ----------
    plan : Plan
        The data, and which of them inform the model.
    spec : MissingSpec
        The method.
    seed : int, SeedSequence or Generator
        The root of all randomness.

    Returns
    -------
    Draws
        One set per imputation or resample.

    Raises
    ------
    DesignError
        If the data cannot determine the model.
    ConvergenceError
        If the model, a fit without one subject, or too many bootstrap samples have no maximum.
    """
    _check_size(plan, spec)
    group = plan.wide.arm if spec.covariance_by_arm else np.zeros_like(plan.wide.arm)
    everybody = np.ones((1, plan.wide.n_subjects))
    fit = fit_regressions(sums_of_weights(plan.y_model, plan.wide.regressors(), group, everybody))
    if not fit.converged[0]:
        raise ConvergenceError(
            "The imputation model has no maximum: covariates that arms or each other determine, "
            "visits that nobody has both of, or too few values at one. Leave out covariates or "
            "visits."
        )
    if spec.method == "bayes":
        coefs, covariances = draw_posterior(
            plan.y_model, plan.wide.regressors(), group, fit, n_draws=spec.n_imputations,
            n_steps=spec.burn_in, rng=stream(seed, "posterior"),
        )  # fmt: skip
        return Draws(
            coefs=coefs, covariances=covariances, weights=None, is_random=True, n_failed=0,
            n_steps=fit.n_steps,
        )  # fmt: skip
    return _resampled(plan, spec, group, fit, seed)


def _check_size(plan: Plan, spec: MissingSpec) -> None:
    """Refuse models with more parameters than subjects can tell."""
    wide = plan.wide
    seen = (~np.isnan(plan.y_model)).sum(axis=0)
    need = len(wide.arms) + wide.covariates.shape[1] + wide.n_visits
    if seen.min() <= need:
        at = wide.visits[int(np.argmin(seen))]
        raise DesignError(
            f"The imputation model needs more than {need} values at each visit (arms, covariates "
            f"and visits together), but {at} has {int(seen.min())}. Leave out visits or covariates."
        )
    least = np.bincount(wide.arm[~np.isnan(plan.y_model).all(axis=1)], minlength=len(wide.arms))
    if spec.covariance_by_arm and least.min() <= need:
        raise DesignError(
            f"`covariance_by_arm` needs more than {need} subjects in each arm, but arm "
            f"{wide.arms[int(np.argmin(least))]!r} has {int(least.min())}. Use a common covariance."
        )


def _resampled(
    plan: Plan, spec: MissingSpec, group: np.ndarray, fit: Regressions, seed: Seed
) -> Draws:
    """Fit the model to resamples of subjects."""
    n = plan.wide.n_subjects
    jackknife = spec.method == "conditional_mean" and spec.variance == "jackknife"
    weights = (
        1.0 - np.eye(n)
        if jackknife
        else bootstrap_weights(plan.wide.arm, spec.n_imputations, stream(seed, "bootstrap"))
    )
    parts = [
        fit_regressions(
            sums_of_weights(plan.y_model, plan.wide.regressors(), group, weights[a : a + _BLOCK]),
            start=fit.covariances[0],
        )
        for a in range(0, len(weights), _BLOCK)
    ]
    good = np.concatenate([part.converged for part in parts])
    _judge(good, plan, jackknife=jackknife)
    coefs = np.concatenate([part.coefs for part in parts])[good]
    covariances = np.concatenate([part.covariances for part in parts])[good]
    weights = weights[good]
    is_random = spec.method == "bootstrap"
    if not is_random:
        coefs = np.concatenate([fit.coefs, coefs])
        covariances = np.concatenate([fit.covariances, covariances])
        weights = np.concatenate([np.ones((1, n)), weights])
    return Draws(
        coefs=coefs,
        covariances=covariances,
        weights=None if is_random else weights,
        is_random=is_random,
        n_failed=int((~good).sum()),
        n_steps=fit.n_steps,
    )


def bootstrap_weights(arm: np.ndarray, n_samples: int, rng: np.random.Generator) -> np.ndarray:
    """Draw subjects with replacement within arms.

    Parameters
    ----------
    arm : ndarray of int, shape (n_subjects,)
        Arm of each subject.
    n_samples : int
        How many samples.
    rng : numpy.random.Generator
        The stream.

    Returns
    -------
    ndarray, shape (n_samples, n_subjects)
        How often each subject was drawn.
    """
    weights = np.zeros((n_samples, len(arm)))
    for a in np.unique(arm):
        rows = np.flatnonzero(arm == a)
        weights[:, rows] = rng.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), n_samples)
    return weights


def _judge(good: np.ndarray, plan: Plan, *, jackknife: bool) -> None:
    """Refuse a jackknife with a gap, and a bootstrap with many."""
    if jackknife and not good.all():
        bad = [plan.wide.subject_ids[i] for i in np.flatnonzero(~good)[:3]]
        raise ConvergenceError(
            f"The jackknife needs a fit without each subject, but {int((~good).sum())} have none "
            f"(without {', '.join(bad)}). An arm has too few values at some visit: leave out that "
            "visit, or use method='bayes'."
        )
    if (~good).mean() > _MOST_FAILURES or good.sum() < 2:
        raise ConvergenceError(
            f"{int((~good).sum())} of {len(good)} bootstrap samples have no fit, more than "
            f"{_MOST_FAILURES:.0%}. An arm has too few values at some visit: leave out that visit, "
            "or use method='bayes'."
        )
