"""Accelerated failure time models by lifelines.

What lifelines (0.30) does, tried on simulated trials of 300 with two covariates: right-censored
times, with or without late entry, were fitted for all of its distributions; of 24 log-normal models
for intervals it found none, not even when started at the maximum, and of 24 Weibull models one
failed. It takes 4 to 20 times as long as Newton's method (``tests/benchmarks/bench_cox.py``), has
no exponential regression and no errors by cluster. So it is a second opinion here.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from importlib.metadata import version
from typing import Literal

import numpy as np
import pandas as pd
from lifelines import LogLogisticAFTFitter, LogNormalAFTFitter, WeibullAFTFitter
from lifelines.exceptions import ConvergenceError as LifelinesConvergenceError
from lifelines.exceptions import StatError

from pmsstats.errors import ConvergenceError
from pmsstats.models.parametric.censored_times import CensoredTimes

__all__ = ["AFTEngineFit", "maximise_aft"]

# fitter, its parameters of location and of shape, and the sign of log shape against log scale
_FITTERS = {
    "weibull": (WeibullAFTFitter, "lambda_", "rho_", -1.0),
    "lognormal": (LogNormalAFTFitter, "mu_", "sigma_", 1.0),
    "loglogistic": (LogLogisticAFTFitter, "alpha_", "beta_", -1.0),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class AFTEngineFit:
    """Where lifelines ended: ``log T = intercept + x' beta + scale * e``.

    Parameters
    ----------
    intercept : float
        Log time where all covariates are 0.
    beta : ndarray, shape (n_terms,)
        Log time ratios, per unit of the columns given.
    scale : float
        Positive.
    log_likelihood : float
        By lifelines' own count.
    optimiser : str
        Its class.
    version : str
        Of lifelines.
    """

    intercept: float
    beta: np.ndarray
    scale: float
    log_likelihood: float
    optimiser: str
    version: str


def maximise_aft(
    times: CensoredTimes,
    X: np.ndarray,
    distribution: Literal["weibull", "lognormal", "loglogistic"],
) -> AFTEngineFit:
    """Fit an accelerated failure time model, from lifelines' own starting values.

    Parameters
    ----------
    times : CensoredTimes
        Exact, censored or truncated times.
    X : ndarray, shape (n_rows, n_terms)
        Covariates; should be standardised.
    distribution : {"weibull", "lognormal", "loglogistic"}
        Of the times.

    Returns
    -------
    AFTEngineFit
        Estimate and log-likelihood.

    Raises
    ------
    ConvergenceError
        If lifelines gives up; its words are in the message.
    """
    fitter, location, shape, sign = _FITTERS[distribution]
    names = [f"x{j}" for j in range(X.shape[1])]
    frame = pd.DataFrame(X, columns=names)
    entry = {"entry_col": "entry"} if (times.entry > 0).any() else {}
    if entry:
        frame["entry"] = times.entry
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # it warns of overflow on its way
        try:
            fit = _fit(fitter(), frame, times, entry)
        except (LifelinesConvergenceError, StatError, ValueError) as exc:
            raise ConvergenceError(_first_sentence(exc)) from exc
    return AFTEngineFit(
        intercept=float(fit.params_[location, "Intercept"]),
        beta=fit.params_[location].reindex(names).to_numpy(dtype=float),
        scale=float(np.exp(sign * fit.params_[shape, "Intercept"])),
        log_likelihood=float(fit.log_likelihood_),
        optimiser=fitter.__name__,
        version=version("lifelines"),
    )


def _first_sentence(error: Exception) -> str:
    """Return what went wrong, without the advice that follows."""
    return str(error).strip().splitlines()[0].partition(" Try the following")[0].strip()


def _fit(
    fitter: WeibullAFTFitter | LogNormalAFTFitter | LogLogisticAFTFitter,
    frame: pd.DataFrame,
    times: CensoredTimes,
    entry: dict[str, str],
) -> WeibullAFTFitter | LogNormalAFTFitter | LogLogisticAFTFitter:
    """Hand the times over, as intervals only where there are any."""
    is_exact = times.lower == times.upper
    if np.all(is_exact | np.isinf(times.upper)):
        frame = frame.assign(duration=times.lower, event=is_exact)
        return fitter.fit(frame, "duration", "event", **entry)
    frame = frame.assign(lower=times.lower, upper=times.upper)
    return fitter.fit_interval_censoring(frame, "lower", "upper", **entry)
