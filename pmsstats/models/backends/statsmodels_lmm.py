"""Linear mixed models through statsmodels' MixedLM: its optimum checked, or its own answer."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import statsmodels
from statsmodels.regression.mixed_linear_model import MixedLM, MixedLMParams

from pmsstats.errors import ConvergenceError, DesignError
from pmsstats.models.backends import EngineFit
from pmsstats.models.mixed.mixed_likelihood import MixedLikelihood, Solution
from pmsstats.results import FitLog

__all__ = ["fit", "own_answer"]

_GOOD_ENOUGH = 1e-10  # log-likelihood units that could still be gained
_ATTEMPTS = ("bfgs", "lbfgs")  # those that keep a covariance that is fixed at zero


@dataclass(frozen=True, eq=False, kw_only=True)
class _Attempt:
    """One run of one optimiser."""

    optimiser: str
    solution: Solution
    gain: float
    singular: bool
    n_evaluations: int
    words: str


def fit(likelihood: MixedLikelihood) -> EngineFit:
    """Maximise the likelihood with statsmodels.

    Parameters
    ----------
    likelihood : MixedLikelihood
        The model and its data, on the common scale.

    Returns
    -------
    EngineFit
        The best of the attempts. Their log tells which optimisers were tried, and by how much
        the log-likelihood could still rise.

    Raises
    ------
    DesignError
        If the model has several grouping factors, which MixedLM has not.

    Notes
    -----
    MixedLM reports optima as converged that are none: near a zero variance its gradient vanishes
    in the root of the variance, and on the boundary its likelihood cannot be computed. So each
    answer is judged by the slope of the likelihood in the variances themselves. Where it falls
    short, as on the boundary, a few steps are added from where MixedLM stopped
    (:meth:`~pmsstats.models.mixed.mixed_likelihood.MixedLikelihood.improve`), and the log says so;
    the next optimiser is tried, from another starting point, where that does not help.

    So only the covariance of the random effects is MixedLM's, and what follows from it is this
    package's, as for every engine but lme4: :func:`own_answer` gives MixedLM's own numbers.
    """
    _refuse_several(likelihood)
    attempts: list[_Attempt] = []
    for optimiser, start in zip(_ATTEMPTS, likelihood.starts(), strict=True):
        attempts.append(_attempt(likelihood, optimiser, start))
        if attempts[-1].gain < _GOOD_ENOUGH:
            break
    best = max(attempts, key=lambda a: a.solution.log_likelihood)
    solution = best.solution
    return EngineFit(
        psi=solution.psi,
        fixed=solution.fixed,
        fixed_covariance=solution.fixed_covariance,
        sigma2=solution.sigma2,
        log_likelihood=solution.log_likelihood,
        modes=solution.modes,
        fit_log=FitLog(
            engine="statsmodels",
            engine_version=statsmodels.__version__,
            optimiser=best.optimiser,
            converged=best.gain < _GOOD_ENOUGH,
            message=best.words,
            n_evaluations=sum(a.n_evaluations for a in attempts),
            singular=best.singular,
            attempts=tuple(f"{a.optimiser}: {a.words}" for a in attempts),
        ),
    )


def own_answer(likelihood: MixedLikelihood) -> EngineFit:
    """Maximise the likelihood with statsmodels, and report what MixedLM itself says.

    Parameters
    ----------
    likelihood : MixedLikelihood
        The model and its data, on the common scale; no more than these is taken from it.

    Returns
    -------
    EngineFit
        MixedLM's ``fe_params``, ``cov_re``, ``scale``, ``llf``, ``random_effects``, and the
        covariance of the fixed effects out of ``cov_params()``. What MixedLM could not compute is
        missing: on the boundary of the parameters the likelihood and the predictions. The first
        optimiser that MixedLM calls converged; if none, the one with the highest likelihood.

    Raises
    ------
    DesignError
        If the model has several grouping factors, which MixedLM has not.
    ConvergenceError
        If every optimiser stopped with an error.

    Notes
    -----
    MixedLM inverts the observed information of fixed effects and variances together, whose cross
    terms are not zero in unbalanced data; ``bse_fe`` are the roots of that inverse, and differ by
    some percent from errors for known variances, which lme4 and this package give. From the same
    matrix ``C`` follow the latter, as the conditional covariance
    ``C_ff - C_fv C_vv^-1 C_vf``.
    """
    _refuse_several(likelihood)
    said: list[str] = []
    found: list[tuple[EngineFit, bool]] = []
    for optimiser, start in zip(_ATTEMPTS, likelihood.starts(), strict=True):
        result, n_evaluations = _run(likelihood, optimiser, start, said)
        if result is not None:
            found.append(_own_fit(likelihood, result, optimiser, n_evaluations, said))
            if found[-1].fit_log.converged:
                return found[-1]
    if not found:
        raise ConvergenceError(
            f"statsmodels' MixedLM gave no answer: {'; '.join(dict.fromkeys(said))[:300]}. Use "
            "engine='native' or engine='lme4'."
        )
    return max(found, key=lambda own: np.nan_to_num(own.log_likelihood, nan=-np.inf))


def _refuse_several(likelihood: MixedLikelihood) -> None:
    """Raise where there are several grouping factors."""
    if likelihood.arrays.others:
        names = ", ".join(other.name for other in likelihood.arrays.others)
        raise DesignError(
            "engine='statsmodels' has one grouping factor, but the random terms have several (the "
            f"others: {names}). Use engine='native' or engine='lme4'."
        )


def _own_fit(
    likelihood: MixedLikelihood, result: Any, optimiser: str, n_evaluations: int, said: list[str]
) -> EngineFit:
    """Copy MixedLM's numbers, missing where it has none."""
    arrays = likelihood.arrays
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        llf = float(result.llf)
        try:
            effects = result.random_effects
            modes = np.array([effects[i] for i in range(arrays.n_subjects)], dtype=float)
        except (np.linalg.LinAlgError, ValueError):
            modes = np.full((arrays.n_subjects, arrays.Z.shape[1]), np.nan)
    scale = float(result.scale)
    return EngineFit(
        psi=np.asarray(result.cov_re) / scale,
        fixed=np.asarray(result.fe_params),
        fixed_covariance=_for_known_variances(np.asarray(result.cov_params()), arrays.X.shape[1]),
        sigma2=scale,
        log_likelihood=llf if np.isfinite(llf) else float("nan"),
        modes=modes,
        fit_log=FitLog(
            engine="statsmodels",
            engine_version=statsmodels.__version__,
            optimiser=optimiser,
            converged=bool(result.converged),
            message="; ".join(dict.fromkeys(said)),
            n_evaluations=n_evaluations,
        ),
    )


def _for_known_variances(joint: np.ndarray, p: int) -> np.ndarray:
    """Return the covariance of the first p parameters given the others; missing if there is none.

    Parameters that are held fixed have no variance.
    """
    others = p + np.flatnonzero(np.diag(joint)[p:])
    across = joint[:p, others]
    try:
        explained = across @ np.linalg.solve(joint[np.ix_(others, others)], across.T)
    except np.linalg.LinAlgError:
        return np.full((p, p), np.nan)
    conditional: np.ndarray = joint[:p, :p] - explained
    return conditional if (np.diag(conditional) > 0).all() else np.full((p, p), np.nan)


def _attempt(likelihood: MixedLikelihood, optimiser: str, start: np.ndarray) -> _Attempt:
    """Run one optimiser from one starting point, and judge where it stopped."""
    said: list[str] = []
    result, n_evaluations = _run(likelihood, optimiser, start, said)
    psi = start if result is None else np.asarray(result.cov_re_unscaled)
    psi = np.where(likelihood.arrays.mask(), psi, 0.0)
    solution = likelihood.solve(psi)
    certificate = likelihood.certify(solution)
    if not certificate.gain < _GOOD_ENOUGH:
        stopped = solution.log_likelihood
        solution = likelihood.solve(likelihood.improve(psi))
        certificate = likelihood.certify(solution)
        said.insert(0, f"added {solution.log_likelihood - stopped:.1e} after it stopped")
    said.insert(0, f"log-likelihood could rise by {certificate.gain:.1e}")
    return _Attempt(
        optimiser=optimiser,
        solution=solution,
        gain=certificate.gain,
        singular=certificate.singular,
        n_evaluations=n_evaluations,
        words="; ".join(dict.fromkeys(said)),
    )


def _run(
    likelihood: MixedLikelihood, optimiser: str, start: np.ndarray, said: list[str]
) -> tuple[Any, int]:
    """Let MixedLM optimise; return its result, if it gave one, and the number of evaluations."""
    arrays = likelihood.arrays
    p = arrays.X.shape[1]
    model = MixedLM(arrays.y, arrays.X, groups=arrays.subject, exog_re=arrays.Z)
    counted = _count_calls(model)
    free = MixedLMParams.from_components(
        fe_params=np.ones(p), cov_re=arrays.mask().astype(float), vcomp=np.empty(0)
    )
    begin = MixedLMParams.from_components(fe_params=np.zeros(p), cov_re=start, vcomp=np.empty(0))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = model.fit(
                start_params=begin,
                reml=likelihood.reml,
                free=free,
                method=optimiser,
                maxiter=500,
                gtol=1e-8,
            )
        except (np.linalg.LinAlgError, ValueError, FloatingPointError) as exc:
            said.append(f"stopped with {type(exc).__name__}: {exc}")
            result = None
    said.extend(str(w.message) for w in caught)
    return result, counted[0]


def _count_calls(model: Any) -> list[int]:
    """Count the likelihood evaluations of one model object."""
    count = [0]
    original = model.loglike

    def counted(*args: Any, **kwargs: Any) -> Any:
        count[0] += 1
        return original(*args, **kwargs)

    model.loglike = counted
    return count
