"""Maximise Cox's partial likelihood with lifelines.

What lifelines does, read from its source (0.30): both fitters treat ties by Efron's method.
``CoxPHFitter`` offers robust errors, but from score residuals that ignore ties and delayed entry;
``CoxTimeVaryingFitter`` offers none, nor residuals, nor a concordance, and does not look for
overlapping intervals. Both stop within about 1e-3 standard errors of the maximum. So only the
neighbourhood of the maximum is taken from it; the rest comes from
:mod:`pmsstats.models.events.partial_likelihood`.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np
import pandas as pd
from lifelines import CoxPHFitter, CoxTimeVaryingFitter
from lifelines.exceptions import ConvergenceError as LifelinesConvergenceError

from pmsstats.errors import ConvergenceError
from pmsstats.models.events.partial_likelihood import CountingProcess

__all__ = ["CoxEngineFit", "maximise_partial_likelihood"]

_OPTIONS = {"max_steps": 100}


@dataclass(frozen=True, kw_only=True, eq=False)
class CoxEngineFit:
    """What lifelines found.

    Parameters
    ----------
    beta : ndarray, shape (n_terms,)
        Log hazard ratios, per unit of the columns given, close to the maximum.
    log_likelihood : float
        Partial log-likelihood near there, by lifelines' own count.
    optimiser : str
        The lifelines class and its algorithm.
    version : str
        Of lifelines.
    messages : tuple of str
        Its warnings, first line each.
    """

    beta: np.ndarray
    log_likelihood: float
    optimiser: str
    version: str
    messages: tuple[str, ...]


def maximise_partial_likelihood(process: CountingProcess) -> CoxEngineFit:
    """Fit a Cox model, by ``CoxPHFitter`` or, with delayed entry, ``CoxTimeVaryingFitter``.

    Parameters
    ----------
    process : CountingProcess
        Rows at risk; covariates should be standardised.

    Returns
    -------
    CoxEngineFit
        Estimate, log-likelihood and the engine's warnings.

    Raises
    ------
    ConvergenceError
        If lifelines gives up; its words are in the message.
    """
    fitter = CoxPHFitter if np.all(np.isneginf(process.start)) else CoxTimeVaryingFitter
    with warnings.catch_warnings(record=True) as caught, np.errstate(all="ignore"):
        warnings.simplefilter("always")
        try:
            fit = _FITTERS[fitter](process)
        except LifelinesConvergenceError as exc:
            raise ConvergenceError(_first_line(exc.args[0])) from exc
    return CoxEngineFit(
        beta=fit.params_.to_numpy(dtype=float),
        log_likelihood=float(fit.log_likelihood_),
        optimiser=f"{fitter.__name__} (Newton-Raphson, Efron ties)",
        version=version("lifelines"),
        messages=tuple(dict.fromkeys(_first_line(w.message) for w in caught)),
    )


def _first_line(message: object) -> str:
    """Return the first line of an engine's message."""
    return str(message).strip().splitlines()[0].strip()


def _frame(process: CountingProcess, columns: tuple[str, ...]) -> pd.DataFrame:
    """Lay the process out as lifelines wants it."""
    frame = pd.DataFrame(process.X, columns=[f"x{j}" for j in range(process.X.shape[1])])
    return frame.assign(**{name: getattr(process, name) for name in columns})


def _strata(process: CountingProcess) -> list[str] | None:
    """Return the strata argument: none where there is one stratum."""
    return ["stratum"] if len(np.unique(process.stratum)) > 1 else None


def _fit_from_origin(process: CountingProcess) -> CoxPHFitter:
    """Fit rows that are all at risk from the beginning."""
    strata = _strata(process)
    frame = _frame(process, ("stop", "event", "stratum")[: 3 if strata else 2])
    return CoxPHFitter().fit(frame, "stop", "event", strata=strata, fit_options=_OPTIONS)


def _fit_with_entry(process: CountingProcess) -> CoxTimeVaryingFitter:
    """Fit rows with an entry; a stratum becomes a stretch of the time axis of its own.

    That gives each stratum its own risk sets, which is all that strata are, and spares
    ``CoxTimeVaryingFitter`` its path for strata, which fails where a stratum is a single row.
    """
    start, stop = process.keys()
    frame = _frame(process, ("event",)).assign(start=start, stop=stop)
    return CoxTimeVaryingFitter().fit(frame, "event", "start", "stop", fit_options=_OPTIONS)


_FITTERS = {CoxPHFitter: _fit_from_origin, CoxTimeVaryingFitter: _fit_with_entry}
