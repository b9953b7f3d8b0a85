"""Cumulative logit models through statsmodels' OrderedModel.

What OrderedModel does, read from its source (0.15): thresholds are optimised as a first value and
the logs of the increments, derivatives are by finite differences, and ``1e-20`` is added to every
probability. Its errors by cluster are right up to those finite differences, with a factor that is
neither CR0 nor CR1. So the neighbourhood of the maximum is taken from it; what follows comes from
:mod:`pmsstats.models.responses.cumulative_logit`.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import statsmodels
from statsmodels.miscmodels.ordinal_model import OrderedModel

__all__ = ["OrdinalStart", "near_maximum"]


@dataclass(frozen=True, eq=False, kw_only=True)
class OrdinalStart:
    """Where statsmodels stopped.

    Parameters
    ----------
    parameters : ndarray, shape (n_levels - 1 + p,)
        Thresholds, then effects.
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


def near_maximum(X: np.ndarray, level: np.ndarray, n_levels: int) -> OrdinalStart:
    """Maximise the likelihood with statsmodels.

    Parameters
    ----------
    X : ndarray, shape (n_obs, p)
        Columns on a common scale, without an intercept.
    level : ndarray of int, shape (n_obs,)
        Observed level; each occurs.
    n_levels : int
        How many levels.

    Returns
    -------
    OrdinalStart
        Close to the maximum, where there is one.
    """
    share = np.cumsum(np.bincount(level, minlength=n_levels))[:-1] / len(level)
    null = np.concatenate([np.log(share / (1 - share)), np.zeros(X.shape[1])])
    if X.shape[1] == 0:
        return OrdinalStart(parameters=null, version=statsmodels.__version__,
                            optimiser="closed form", n_evaluations=0, messages=())  # fmt: skip
    said: list[str] = []
    parameters, n_evaluations = null, 0
    with warnings.catch_warnings(record=True) as caught, np.errstate(all="ignore"):
        warnings.simplefilter("always")
        try:
            model = OrderedModel(level, X, distr="logit")
            found = model.fit(method="bfgs", maxiter=200, disp=0, skip_hessian=True)
            cuts = model.transform_threshold_params(np.asarray(found.params))[1:-1]
            parameters = np.concatenate([cuts, np.asarray(found.params)[: X.shape[1]]])
            n_evaluations = int(found.mle_retvals.get("fcalls", 0))
        except (np.linalg.LinAlgError, ValueError, FloatingPointError) as exc:
            said.append(f"stopped with {type(exc).__name__}: {exc}")
    said += [str(w.message) for w in caught]
    cuts = parameters[: n_levels - 1]
    usable = np.isfinite(parameters).all() and (np.diff(cuts) > 0).all()
    return OrdinalStart(
        parameters=parameters if usable else null,
        version=statsmodels.__version__,
        optimiser="bfgs",
        n_evaluations=n_evaluations,
        messages=tuple(dict.fromkeys(said)),
    )
