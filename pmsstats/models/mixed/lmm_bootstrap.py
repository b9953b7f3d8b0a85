"""Parametric bootstrap of mixed models: data drawn from a fit, and fitted again.

References
----------
.. [1] Davison AC, Hinkley DV. Bootstrap Methods and their Application. Cambridge University Press
   1997, chapters 4 and 5. doi:10.1017/CBO9780511802843.
.. [2] Bates D, Maechler M, Bolker B, Walker S. Fitting linear mixed-effects models using lme4.
   J Stat Softw 2015;67(1). doi:10.18637/jss.v067.i01.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError
from pmsstats.models.mixed.bootstrap_result import BootstrapResult
from pmsstats.models.mixed.chi_bar import EmpiricalNull
from pmsstats.models.mixed.likelihood_ratio_result import LikelihoodRatioResult
from pmsstats.models.mixed.lmm_batch import fit_lmm_batch
from pmsstats.models.mixed.mixed_state import mixed_state, random_covariance
from pmsstats.models.mixed.variance_tests import added_variances, compare_variances
from pmsstats.seeds import Seed, as_seed_sequence, stream

if TYPE_CHECKING:
    from pmsstats.models.mixed.lmm_batch_result import LMMBatchResult
    from pmsstats.models.mixed.lmm_result import LMMResult

__all__ = ["ResponseSource", "bootstrap_lmm", "bootstrap_variance_test", "response_source"]

Statistic = Callable[[pd.Series, pd.Series], Mapping[str, float]]
_PURPOSE = "parametric bootstrap"
_SIMULATED = "simulated_response"  # takes the place of outcomes, which may be transforms
_CELLS_PER_BLOCK = 20_000_000  # numbers drawn at once: 160 MB


@dataclass(frozen=True, eq=False, kw_only=True)
class ResponseSource:
    """What new outcomes are drawn from.

    Parameters
    ----------
    mean : ndarray, shape (n_obs,)
        Of each row, over subjects.
    Z : ndarray, shape (n_obs, q)
        Random effects of each row's subject.
    subject : ndarray of int, shape (n_obs,)
        Subject number of each row.
    n_subjects : int
        How many subjects.
    root : ndarray, shape (q, q)
        A root of the random effects' covariance.
    noise : ndarray, shape (n_obs,)
        Residual standard deviation of each row.
    """

    mean: np.ndarray
    Z: np.ndarray
    subject: np.ndarray
    n_subjects: int
    root: np.ndarray
    noise: np.ndarray

    def draw(self, replicate: int, seed: np.random.SeedSequence) -> np.ndarray:
        """Draw one outcome: new random effects and new residuals.

        Parameters
        ----------
        replicate : int
            Which one: each has a stream of its own.
        seed : numpy.random.SeedSequence
            The root of the streams.

        Returns
        -------
        ndarray, shape (n_obs,)
            In the units of the model's outcome.
        """
        rng = stream(seed, _PURPOSE, replicate)
        effects = rng.standard_normal((self.n_subjects, len(self.root))) @ self.root.T
        between = (self.Z * effects[self.subject]).sum(axis=1)
        drawn: np.ndarray = self.mean + between + self.noise * rng.standard_normal(len(self.mean))
        return drawn


def response_source(fit: LMMResult) -> ResponseSource:
    """Return what a fit says new outcomes of its rows are drawn from.

    Parameters
    ----------
    fit : LMMResult
        A fitted model with one grouping factor.

    Returns
    -------
    ResponseSource
        Normal, with the estimated parameters.

    Raises
    ------
    DesignError
        If the model has several grouping factors.
    """
    mixed_state(fit)  # refuses several grouping factors
    arrays = fit.design.arrays
    values, vectors = np.linalg.eigh(random_covariance(fit))
    weights = np.ones(arrays.n_obs) if arrays.weights is None else arrays.weights
    return ResponseSource(
        mean=arrays.X @ fit.coefficients["estimate"].to_numpy(),
        Z=arrays.Z,
        subject=arrays.subject,
        n_subjects=arrays.n_subjects,
        root=vectors * np.sqrt(np.clip(values, 0.0, None)),
        noise=fit.residual_sd / np.sqrt(weights),
    )


def _without_random(fit: LMMResult) -> tuple[ResponseSource, np.ndarray]:
    """Return the source of the model without random effects, and an orthonormal basis of it."""
    arrays = fit.design.arrays
    weights = np.ones(arrays.n_obs) if arrays.weights is None else arrays.weights
    basis, R = np.linalg.qr(arrays.X * np.sqrt(weights)[:, None])
    y = arrays.y * np.sqrt(weights)
    beta = np.linalg.solve(R, basis.T @ y)
    n_free = arrays.n_obs - (len(R) if fit.spec.method == "REML" else 0)
    sd = np.sqrt(((y - basis @ (basis.T @ y)) ** 2).sum() / n_free)
    q = arrays.Z.shape[1]
    source = replace(
        response_source(fit),
        mean=arrays.X @ beta,
        root=np.zeros((q, q)),
        noise=sd / np.sqrt(weights),
    )
    return source, basis


def _check_counts(n_replicates: int, n_jobs: int) -> None:
    """Refuse too few replicates."""
    for name, value, least in (("n_replicates", n_replicates, 19), ("n_jobs", n_jobs, 1)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
            raise DesignError(f"`{name}` must be a whole number of {least} or more, got {value!r}.")


def _refit(fit: LMMResult, y: np.ndarray, n_jobs: int) -> LMMBatchResult:
    """Fit a model to other outcomes."""
    spec = replace(fit.spec, outcome=_SIMULATED)
    return fit_lmm_batch(fit.data, spec, y, df_method="normal", n_jobs=n_jobs)


def bootstrap_lmm(
    fit: LMMResult,
    statistic: Statistic | None = None,
    *,
    contrasts: Mapping[str, Mapping[str, float]] | None = None,
    n_replicates: int = 999,
    seed: Seed,
    n_jobs: int = 1,
) -> BootstrapResult:
    """Draw data from a fit, fit the model again, and see how the estimates vary.

    Parameters
    ----------
    fit : LMMResult
        A fitted model with one grouping factor.
    statistic : callable, optional
        ``statistic(fixed, variances) -> {name: value}``: further numbers, from the fixed effects
        by term and from ``sd(intercept)``, ``cor(intercept, year)``, ..., ``sd(residual)``.
    contrasts : mapping, optional
        ``{label: {term: weight}}``: combinations of the fixed effects.
    n_replicates : int, default 999
        How many data sets.
    seed : int, SeedSequence or Generator
        Of the data sets; each has a stream of its own.
    n_jobs : int, default 1
        Threads; the answer does not depend on it.

    Returns
    -------
    BootstrapResult
        Bias, standard error, percentile and basic intervals, and how many refits were singular
        or failed.

    Raises
    ------
    DesignError
        If a term is unknown, an argument is out of range, or the model has several grouping
        factors.

    Notes
    -----
    Both random effects and residuals are drawn anew, from normal distributions with the
    estimated variances. Percentile intervals are quantiles of the replicates; basic ones mirror
    them at the estimate [1]_. Refits that did not converge are left out and counted; singular
    ones are valid and kept; a correlation with an effect that does not vary is missing. R:
    ``lme4::bootMer(model, FUN, nsim, type = "parametric")``, ``confint(model, method = "boot")``.

    References
    ----------
    .. [1] Davison AC, Hinkley DV. Bootstrap Methods and their Application. Cambridge University
       Press 1997, chapters 4 and 5. doi:10.1017/CBO9780511802843.
    """
    _check_counts(n_replicates, n_jobs)
    contrasts = {} if contrasts is None else _checked(fit, contrasts)
    source, root = response_source(fit), as_seed_sequence(seed)
    measure = partial(_measure, fit, contrasts, statistic)
    draws: list[dict[str, float]] = []
    n_singular = 0
    for block in _blocks(n_replicates, fit.n_obs):
        refits = _refit(fit, np.array([source.draw(i, root) for i in block]), n_jobs)
        good = np.flatnonzero(refits.converged)
        n_singular += int(refits.singular[good].sum())
        parts = (refits.estimates, refits.random_covariances, refits.residual_sd)
        draws += [measure(*(part[i] for part in parts)) for i in good]
    beta = fit.coefficients["estimate"].to_numpy()
    estimates = measure(beta, random_covariance(fit), fit.residual_sd)
    frame = pd.DataFrame(draws, columns=list(estimates), dtype=float)
    return BootstrapResult(
        spec=fit.spec,
        frame=_tabulate(estimates, frame, fit.spec.conf_level),
        draw_frame=frame,
        n_replicates=n_replicates,
        n_failed=n_replicates - len(draws),
        n_singular=n_singular,
        label=fit.label,
        n_subjects=fit.n_subjects,
        fit_log=fit.fit_log,
        origin=fit.origin,
        exclusions=fit.exclusions,
    )


def _blocks(n_replicates: int, n_obs: int) -> list[range]:
    """Split replicates so that few numbers are held at once."""
    size = max(1, _CELLS_PER_BLOCK // n_obs)
    return [range(i, min(i + size, n_replicates)) for i in range(0, n_replicates, size)]


def _checked(
    fit: LMMResult, contrasts: Mapping[str, Mapping[str, float]]
) -> Mapping[str, Mapping[str, float]]:
    """Refuse contrasts that the fit does not know."""
    if not all(isinstance(weights, Mapping) for weights in contrasts.values()):
        raise DesignError(f"`contrasts` must be {{label: {{term: weight}}}}, got {contrasts!r}.")
    if contrasts:
        fit.contrast(contrasts)
    return contrasts


def _measure(
    fit: LMMResult,
    contrasts: Mapping[str, Mapping[str, float]],
    statistic: Statistic | None,
    *numbers: Any,
) -> dict[str, float]:
    """Name every number of one replicate: of fixed effects, their covariance, residual SD."""
    beta, psi, residual_sd = numbers
    fixed = pd.Series(beta, index=fit.coefficients["term"].tolist())
    spread = {**_spread(fit, psi), "sd(residual)": float(residual_sd)}
    made = {**fixed.to_dict(), **spread}
    for label, weights in contrasts.items():
        made[label] = float(sum(weight * fixed[term] for term, weight in weights.items()))
    if statistic is not None:
        made |= {str(k): float(v) for k, v in statistic(fixed, pd.Series(spread)).items()}
    return made


def _spread(fit: LMMResult, psi: np.ndarray) -> dict[str, float]:
    """Name standard deviations and correlations of the random effects."""
    names = fit.design.random_names
    sd = np.sqrt(np.clip(np.diag(psi), 0.0, None))
    made = {f"sd({name})": float(size) for name, size in zip(names, sd, strict=True)}
    for block in fit.design.arrays.blocks:
        for i in block:
            for j in (k for k in block if k > i):
                product = float(sd[i] * sd[j])
                value = float(psi[i, j]) / product if product > 0 else float("nan")
                made[f"cor({names[i]}, {names[j]})"] = value
    return made


def _tabulate(
    estimates: Mapping[str, float], draws: pd.DataFrame, conf_level: float
) -> pd.DataFrame:
    """Tabulate bias, standard error and intervals."""
    values = np.array(list(estimates.values()))
    tails = [(1 - conf_level) / 2, (1 + conf_level) / 2]
    low, high = draws.quantile(tails).to_numpy(dtype=float)
    return pd.DataFrame(
        {
            "term": list(estimates),
            "estimate": values,
            "bias": draws.mean().to_numpy() - values,
            "std_error": draws.std(ddof=1).to_numpy(),
            "conf_low": low,
            "conf_high": high,
            "basic_low": 2 * values - high,
            "basic_high": 2 * values - low,
            "n_replicates": draws.notna().sum().to_numpy(),
        }
    )


def bootstrap_variance_test(
    full: LMMResult,
    reduced: LMMResult | None = None,
    *,
    n_replicates: int = 999,
    seed: Seed,
    n_jobs: int = 1,
) -> LikelihoodRatioResult:
    """Test random effects against data that were drawn without them.

    Parameters
    ----------
    full : LMMResult
        The larger model.
    reduced : LMMResult, optional
        The smaller one, with the same fixed effects; by default the one without any random effect.
    n_replicates : int, default 999
        Data sets drawn from the smaller model.
    seed : int, SeedSequence or Generator
        Of these.
    n_jobs : int, default 1
        Threads; the answer does not depend on it.

    Returns
    -------
    LikelihoodRatioResult
        Whose null distribution is that of the data sets.

    Raises
    ------
    DesignError
        As :func:`~pmsstats.models.mixed.variance_tests.compare_variances`; or the fixed effects
        differ.
    ConvergenceError
        If the larger model is less likely than the smaller one.

    Notes
    -----
    ``p = (1 + k) / (1 + n)``, with k of n data sets reaching the statistic of the data [1]_. Needs
    no large sample, but takes the smaller model's estimates for its parameters. R:
    ``pbkrtest::PBmodcomp`` (by ML); ``RLRsim::exactRLRT`` for one variance.

    References
    ----------
    .. [1] Davison AC, Hinkley DV. Bootstrap Methods and their Application. Cambridge University
       Press 1997, chapters 4 and 5. doi:10.1017/CBO9780511802843.
    """
    asymptotic = compare_variances(full, reduced, n_draws=100, seed=0)
    added = added_variances(full, reduced)
    if asymptotic.n_parameters != len(added.free) + len(added.in_cones):
        raise DesignError("The bootstrap test needs models with the same fixed effects.")
    _check_counts(n_replicates, n_jobs)
    root = as_seed_sequence(seed)
    source, basis = _without_random(full)
    source = source if reduced is None else response_source(reduced)
    statistics: list[np.ndarray] = []
    for block in _blocks(n_replicates, full.n_obs):
        y = np.array([source.draw(i, root) for i in block])
        larger = _refit(full, y, n_jobs)
        if reduced is None:
            smaller, good = _linear_likelihoods(full, basis, y), larger.converged
        else:
            refits = _refit(reduced, y, n_jobs)
            smaller, good = refits.log_likelihood, larger.converged & refits.converged
        statistics.append(2 * (larger.log_likelihood - smaller)[good])
    found = np.clip(np.concatenate(statistics), 0.0, None)
    return replace(asymptotic, null=EmpiricalNull(statistics=found))


def _linear_likelihoods(fit: LMMResult, basis: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the log-likelihood of each outcome, shape (m, n_obs), without random effects."""
    arrays = fit.design.arrays
    weights = np.ones(arrays.n_obs) if arrays.weights is None else arrays.weights
    scaled = y * np.sqrt(weights)
    squares = ((scaled - (scaled @ basis) @ basis.T) ** 2).sum(axis=1)
    reml = fit.spec.method == "REML"
    n_free = arrays.n_obs - (basis.shape[1] if reml else 0)
    deviance = n_free * (np.log(2 * np.pi * squares / n_free) + 1) - np.log(weights).sum()
    if reml:
        gram = (arrays.X * weights[:, None]).T @ arrays.X
        deviance = deviance + np.linalg.slogdet(gram)[1]
    value: np.ndarray = -0.5 * deviance
    return value
