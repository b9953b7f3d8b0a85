"""Survival that a Cox model predicts for other subjects, from a landmark on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pmsstats.models.events.survival import CoxSpec, fit_cox
from pmsstats.models.formulas.formula import design_matrices, formula_variables

if TYPE_CHECKING:
    from pmsstats.models.formulas.design import DesignSpec

__all__ = ["CoxSurvival", "fit_cox_survival"]


@dataclass(frozen=True, kw_only=True, eq=False)
class CoxSurvival:
    """A fitted Cox model, ready to predict.

    Parameters
    ----------
    design : DesignSpec
        Makes covariate columns from other data.
    beta : ndarray, shape (n_terms,)
        Log hazard ratios.
    mean : ndarray, shape (n_terms,)
        Where the baseline is taken.
    time : ndarray, shape (n_steps,)
        Event times, ascending.
    hazard : ndarray, shape (n_steps,)
        Cumulative baseline hazard at these.
    """

    design: DesignSpec
    beta: np.ndarray
    mean: np.ndarray
    time: np.ndarray
    hazard: np.ndarray

    def survival(self, frame: pd.DataFrame, start: float, times: np.ndarray) -> np.ndarray:
        """Predict survival, given survival up to `start`.

        Parameters
        ----------
        frame : pandas.DataFrame
            Covariates of subjects.
        start : float
            When they are known to be without the event.
        times : ndarray, shape (n_times,)
            From `start` on.

        Returns
        -------
        ndarray, shape (n_subjects, n_times)
            ``exp(-(H(t) - H(start)) exp((x - mean)' beta))``; NaN where a covariate is missing.
        """
        out = np.full((len(frame), len(times)), np.nan)
        complete = frame[list(self.design.variables)].notna().all(axis=1).to_numpy()
        if not complete.any():
            return out
        matrix = self.design.matrix(frame[complete]).drop(columns="Intercept", errors="ignore")
        steps = np.concatenate([[0.0], self.hazard])
        gone, upto = (steps[np.searchsorted(self.time, t, side="right")] for t in (start, times))
        relative = np.exp((matrix.to_numpy() - self.mean) @ self.beta)
        out[complete] = np.exp(-relative[:, None] * (upto - gone))
        return out


def fit_cox_survival(frame: pd.DataFrame, rhs: str, *, duration: str, event: str) -> CoxSurvival:
    """Fit a Cox model with Efron's ties and its baseline hazard.

    Parameters
    ----------
    frame : pandas.DataFrame
        One row per subject.
    rhs : str
        Covariates.
    duration, event : str
        Columns.

    Returns
    -------
    CoxSurvival
        The fit; rows with a missing covariate are left out of it.

    Raises
    ------
    DesignError
        If the data cannot support the model.
    ConvergenceError
        If the likelihood has no maximum.
    """
    variables = list(formula_variables(rhs))
    known = [name for name in variables if name in frame.columns]
    rows = frame[frame[known].notna().all(axis=1)]
    spec = CoxSpec(covariates=rhs, duration=duration, event=event, subject="no such column")
    fit = fit_cox(rows, spec, engine="native")  # resamples fit thousands
    _, design = design_matrices(rhs, rows)
    baseline = fit.baseline()
    return CoxSurvival(
        design=design,
        beta=fit.table()["estimate"].to_numpy(),
        mean=fit.process.X.mean(axis=0),
        time=baseline["duration"].to_numpy(),
        hazard=baseline["cumulative_hazard"].to_numpy(),
    )
