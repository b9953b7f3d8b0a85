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
from importlib.metadata import version

import numpy as np
import pandas as pd
from lifelines import CoxPHFitter, CoxTimeVaryingFitter
from lifelines.exceptions import ConvergenceError as LifelinesConvergenceError

from pmsstats.errors import ConvergenceError
from pmsstats.models.events.partial_likelihood import CountingProcess, CoxEngineFit

__all__ = ["maximise_partial_likelihood"]

_OPTIONS = {"max_steps": 100}


def maximise_partial_likelihood(
    process: CountingProcess, start: np.ndarray | None = None
) -> CoxEngineFit:
    """Fit a Cox model, by ``CoxPHFitter`` or, with delayed entry, ``CoxTimeVaryingFitter``.

    Parameters
    ----------
    process : CountingProcess
        Rows at risk; covariates should be standardised.
    start : ndarray, shape (n_terms,), optional
        Where lifelines begins; at zero by default. From the maximum it takes one step, which is
        as long as it finds that point to be wrong.

    Returns
    -------
    CoxEngineFit
        Estimate, log-likelihood and the engine's warnings.

    Raises
    ------
    ConvergenceError
        If lifelines gives up; its words are in the message.
    """
    if start is not None:  # lifelines steps in units of the sample standard deviation
        start = start * process.X.std(axis=0, ddof=1)
    fitter = CoxPHFitter if np.all(np.isneginf(process.start)) else CoxTimeVaryingFitter
    with warnings.catch_warnings(record=True) as caught, np.errstate(all="ignore"):
        warnings.simplefilter("always")
        try:
            fit = _FITTERS[fitter](process, start)
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


def _fit_from_origin(process: CountingProcess, start: np.ndarray | None) -> CoxPHFitter:
    """Fit rows that are all at risk from the beginning."""
    strata = _strata(process)
    frame = _frame(process, ("stop", "event", "stratum")[: 3 if strata else 2])
    return CoxPHFitter().fit(
        frame, "stop", "event", strata=strata, initial_point=start, fit_options=_OPTIONS
    )


def _fit_with_entry(process: CountingProcess, start: np.ndarray | None) -> CoxTimeVaryingFitter:
    """Fit rows with an entry; a stratum becomes a stretch of the time axis of its own.

    That gives each stratum its own risk sets, which is all that strata are, and spares
    ``CoxTimeVaryingFitter`` its path for strata, which fails where a stratum is a single row.
    """
    entry, stop = process.keys()
    frame = _frame(process, ("event",)).assign(start=entry, stop=stop)
    return CoxTimeVaryingFitter().fit(
        frame, "event", "start", "stop", initial_point=start, fit_options=_OPTIONS
    )


_FITTERS = {CoxPHFitter: _fit_from_origin, CoxTimeVaryingFitter: _fit_with_entry}
