"""What every trial-level model gives: a fraction explained, and a line to predict from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pmsstats.surrogacy.threshold import PredictionLine

__all__ = ["TrialFit", "TrialLevelModel"]


@dataclass(frozen=True, kw_only=True, eq=False)
class TrialFit:
    """One trial-level model, fitted.

    Parameters
    ----------
    r2 : float
        Share of the variation of effects on the outcome that effects on the surrogate explain.
    line : PredictionLine
        For a new trial.
    note : str
        What to distrust; empty if nothing.
    mean : ndarray, shape (n_surrogates + 1,), optional
        Mean effects, surrogates first; of models of both effects.
    between : ndarray, shape (n_surrogates + 1, n_surrogates + 1), optional
        Covariance of true effects between trials; of models of both effects.
    """

    r2: float
    line: PredictionLine
    note: str = ""
    mean: np.ndarray | None = None
    between: np.ndarray | None = None


class TrialLevelModel(Protocol):
    """A model of trial-level effects that can be fitted to any weighting of the trials."""

    @property
    def within(self) -> np.ndarray:
        """Return what a trial's observed effects have beside the model, per trial.

        Returns
        -------
        ndarray, shape (n_trials, n_surrogates + 1, n_surrogates + 1)
            Covariance of sampling errors; of regressions, which take effects on surrogates as
            known, only the last diagonal entry, the variance of an observed outcome effect beyond
            that of the line for a new trial.
        """

    def squared(self, counts: np.ndarray) -> np.ndarray:
        """Return R2 for many weightings.

        Parameters
        ----------
        counts : ndarray, shape (n_sets, n_trials)
            How often each trial counts.

        Returns
        -------
        ndarray, shape (n_sets,)
            Missing where it is not defined.
        """

    def fits(self, counts: np.ndarray) -> list[TrialFit]:
        """Fit several weightings.

        Parameters
        ----------
        counts : ndarray, shape (n_sets, n_trials)
            How often each trial counts.

        Returns
        -------
        list of TrialFit
            The fraction explained and the line of each.
        """
