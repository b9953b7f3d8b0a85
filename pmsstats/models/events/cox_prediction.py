"""Survival that a Cox model predicts, with its error, on arrays."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from pmsstats.models.events.partial_likelihood import CountingProcess, EfronTerms, sums_from_start

__all__ = ["cox_survival"]


def cox_survival(
    process: CountingProcess,
    terms: EfronTerms,
    covariance: np.ndarray,
    *,
    X: np.ndarray,
    stratum: np.ndarray,
    at: np.ndarray,
    conf_level: float,
) -> pd.DataFrame:
    """Predict survival at some times for some rows.

    Parameters
    ----------
    process : CountingProcess
        Rows at risk.
    terms : EfronTerms
        Evaluated at the estimate.
    covariance : ndarray, shape (n_terms, n_terms)
        Of the estimate.
    X : ndarray, shape (n, n_terms)
        Covariates to predict for.
    stratum : ndarray of int, shape (n,)
        Their strata codes.
    at : ndarray, shape (n_times,)
        When.
    conf_level : float
        Of the log(-log) intervals.

    Returns
    -------
    pandas.DataFrame
        ``row duration survival conf_low conf_high``, all times of the first row first; missing
        beyond the follow-up of the stratum.

    Notes
    -----
    With ``d_l`` the denominators of the factors up to t (at the centred covariates) and ``m_l``
    the means of the covariates at risk, ``H(t | x) = r sum 1 / d_l`` with ``r`` the relative
    hazard, and its variance is ``r^2 {sum 1 / d_l^2 + q' V q}`` with ``q = sum (x - m_l) / d_l``.
    """
    centre = process.X.mean(axis=0)
    of_factor = process.stratum[terms.row]
    hazard = np.zeros((len(X), len(at)))
    error = hazard.copy()
    longest = np.full(len(X), np.nan)
    for code in np.unique(stratum):
        rows = np.flatnonzero(stratum == code)
        own = np.flatnonzero(of_factor == code)
        longest[rows] = process.stop[process.stratum == code].max()
        until = np.searchsorted(process.stop[terms.row[own]], at, side="right")
        step = 1.0 / terms.denominator[own]
        sums = [sums_from_start(values)[until] for values in (
            step, step**2, step[:, None] * (terms.mean[own] - centre))]  # fmt: skip
        shifted = X[rows] - centre
        relative = np.exp(shifted @ terms.beta)[:, None]
        drift = sums[0][None, :, None] * shifted[:, None, :] - sums[2][None]
        spread = np.einsum("ntj,jk,ntk->nt", drift, covariance, drift)
        hazard[rows] = relative * sums[0]
        error[rows] = relative * np.sqrt(sums[1] + spread)
    return _frame(hazard, error, longest, at, conf_level)


def _frame(
    hazard: np.ndarray, error: np.ndarray, longest: np.ndarray, at: np.ndarray, conf_level: float
) -> pd.DataFrame:
    """Turn cumulative hazards and their errors to survival with intervals."""
    with np.errstate(all="ignore"):
        spread = np.exp(stats.norm.ppf((1 + conf_level) / 2) * error / hazard)
    spread = np.where(hazard > 0, spread, 1.0)
    beyond = at[None, :] > longest[:, None]
    curves = [
        np.where(beyond, np.nan, np.exp(-value)).ravel()
        for value in (hazard, hazard * spread, hazard / spread)
    ]
    return pd.DataFrame(
        {
            "row": np.repeat(np.arange(len(hazard)), len(at)),
            "duration": np.tile(at, len(hazard)),
            "survival": curves[0],
            "conf_low": curves[1],
            "conf_high": curves[2],
        }
    )
