"""Linear mixed models through statsmodels' MixedLM, with its optimum checked."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import statsmodels
from statsmodels.regression.mixed_linear_model import MixedLM, MixedLMParams

from pmsstats.errors import DesignError
from pmsstats.models.backends import EngineFit
from pmsstats.models.mixed_likelihood import MixedLikelihood, Solution
from pmsstats.results import FitLog

__all__ = ["fit"]

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
    (:meth:`~pmsstats.models.mixed_likelihood.MixedLikelihood.improve`), and the log says so; the
    next optimiser is tried, from another starting point, where that does not help.
    """
    if likelihood.arrays.others:
        names = ", ".join(other.name for other in likelihood.arrays.others)
        raise DesignError(
            "engine='statsmodels' has one grouping factor, but the random terms have several (the "
            f"others: {names}). Use engine='native' or engine='lme4'."
        )
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


def _attempt(likelihood: MixedLikelihood, optimiser: str, start: np.ndarray) -> _Attempt:
    """Run one optimiser from one starting point, and judge where it stopped."""
    said: list[str] = []
    psi, n_evaluations = _run(likelihood, optimiser, start, said)
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
) -> tuple[np.ndarray, int]:
    """Let MixedLM optimise; return the relative covariance and the number of evaluations."""
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
            psi = np.asarray(result.cov_re_unscaled)
        except (np.linalg.LinAlgError, ValueError, FloatingPointError) as exc:
            said.append(f"stopped with {type(exc).__name__}: {exc}")
            psi = start
    said.extend(str(w.message) for w in caught)
    return np.where(arrays.mask(), psi, 0.0), counted[0]


def _count_calls(model: Any) -> list[int]:
    """Count the likelihood evaluations of one model object."""
    count = [0]
    original = model.loglike

    def counted(*args: Any, **kwargs: Any) -> Any:
        count[0] += 1
        return original(*args, **kwargs)

    model.loglike = counted
    return count
