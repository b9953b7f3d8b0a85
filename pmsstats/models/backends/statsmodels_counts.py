"""Negative binomial models through statsmodels' NegativeBinomial (NB2)."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import statsmodels
from statsmodels.discrete.discrete_model import NegativeBinomial

__all__ = ["CountsStart", "near_maximum"]

_LEAST, _MOST = 1e-8, 1e4  # dispersions outside are no start


@dataclass(frozen=True, eq=False, kw_only=True)
class CountsStart:
    """Where statsmodels stopped.

    Parameters
    ----------
    parameters : ndarray, shape (p + 1,)
        Effects, then ``log(1 / alpha)``.
    version : str
        Of statsmodels.
    optimiser : str
        Its optimiser.
    n_evaluations : int
        Of the likelihood.
    messages : tuple of str
        What it said.
    """

    parameters: np.ndarray
    version: str
    optimiser: str
    n_evaluations: int
    messages: tuple[str, ...]


def near_maximum(
    X: np.ndarray, y: np.ndarray, offset: np.ndarray, start: np.ndarray
) -> CountsStart:
    """Maximise the likelihood with statsmodels.

    Parameters
    ----------
    X : ndarray, shape (n_obs, p)
        Columns on a common scale.
    y : ndarray, shape (n_obs,)
        Counts.
    offset : ndarray, shape (n_obs,)
        Log of the time observed.
    start : ndarray, shape (p + 1,)
        Effects of the Poisson model, and a first dispersion.

    Returns
    -------
    CountsStart
        Close to the maximum; `start` itself where statsmodels left the plausible range.
    """
    said: list[str] = []
    parameters, n_evaluations = np.full(len(start), np.nan), 0
    with warnings.catch_warnings(record=True) as caught, np.errstate(all="ignore"):
        warnings.simplefilter("always")
        try:
            model = NegativeBinomial(y, X, loglike_method="nb2", offset=offset)
            found = model.fit(
                start_params=start, method="bfgs", maxiter=200, disp=0, skip_hessian=True
            )
            parameters = np.asarray(found.params, dtype=float).copy()
            n_evaluations = int(found.mle_retvals.get("fcalls", 0))
        except (np.linalg.LinAlgError, ValueError, FloatingPointError) as exc:
            said.append(f"stopped with {type(exc).__name__}: {exc}")
    said += [str(w.message) for w in caught]
    alpha = parameters[-1]
    usable = bool(np.isfinite(parameters).all() and _LEAST < alpha < _MOST)
    parameters[-1] = -np.log(alpha) if usable else np.nan
    fallback = np.append(start[:-1], -np.log(start[-1]))
    return CountsStart(
        parameters=parameters if usable else fallback,
        version=statsmodels.__version__,
        optimiser="bfgs",
        n_evaluations=n_evaluations,
        messages=tuple(dict.fromkeys(said)),
    )
