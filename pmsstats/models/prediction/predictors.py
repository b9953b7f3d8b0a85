"""Models that predict survival at a landmark, behind one protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError
from pmsstats.models.formulas.formula import formula_variables
from pmsstats.models.prediction.cox_survival import CoxSurvival, fit_cox_survival

if TYPE_CHECKING:
    from pmsstats.models.prediction.prediction_data import LandmarkHistory, PredictionData

__all__ = [
    "CoxPredictor",
    "FittedPredictor",
    "LandmarkPredictor",
    "Predictor",
    "last_measurement",
    "survival_in_window",
]


class FittedPredictor(Protocol):
    """A model that was fitted to training data."""

    def predict(self, at: LandmarkHistory, horizons: np.ndarray) -> np.ndarray:
        """Predict survival of subjects at risk at a landmark.

        Parameters
        ----------
        at : LandmarkHistory
            What is known of them then.
        horizons : ndarray, shape (n_horizons,)
            Times after the landmark.

        Returns
        -------
        ndarray, shape (n_subjects, n_horizons)
            Probability of being without the event at each horizon; NaN where it cannot be
            predicted.
        """
        ...


@runtime_checkable
class Predictor(Protocol):
    """A way to predict survival from a history: fitted to some data, applied to others."""

    def fit(self, data: PredictionData) -> FittedPredictor:
        """Fit to training data.

        Parameters
        ----------
        data : PredictionData
            Both tables, with the landmarks and windows that will be asked for.

        Returns
        -------
        FittedPredictor
            Ready to predict.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class CoxPredictor:
    """Cox model of what is known at baseline; measurements are not used.

    Parameters
    ----------
    covariates : str
        Right-hand side over the survival table.

    Examples
    --------
    >>> CoxPredictor(covariates="age_years + arm").covariates
    'age_years + arm'
    """

    covariates: str

    def fit(self, data: PredictionData) -> FittedCox:
        """Fit to the survival table.

        Parameters
        ----------
        data : PredictionData
            Both tables.

        Returns
        -------
        FittedCox
            Predicts ``S(horizon | x) / S(landmark | x)``.
        """
        spec = data.spec
        frame = data.survival.assign(**{spec.event: data.cause > 0})
        cox = fit_cox_survival(frame, self.covariates, duration=spec.duration, event=spec.event)
        return FittedCox(cox=cox)


@dataclass(frozen=True, kw_only=True, eq=False)
class FittedCox:
    """A fitted :class:`CoxPredictor`.

    Parameters
    ----------
    cox : CoxSurvival
        The model.
    """

    cox: CoxSurvival

    def predict(self, at: LandmarkHistory, horizons: np.ndarray) -> np.ndarray:
        """Predict survival of subjects at risk.

        Parameters
        ----------
        at : LandmarkHistory
            Subjects at risk at a landmark.
        horizons : ndarray, shape (n_horizons,)
            Times after it.

        Returns
        -------
        ndarray, shape (n_subjects, n_horizons)
            Probabilities.
        """
        return self.cox.survival(at.subjects, at.landmark, horizons)


@dataclass(frozen=True, kw_only=True)
class LandmarkPredictor:
    """Cox model from each landmark on, of the last measurement before it.

    Parameters
    ----------
    measure : str
        What of the last measurement is used: a column of the longitudinal table, or a transform
        (``"log(snfl_pg_ml)"``).
    covariates : str, default ""
        Further terms, over the survival table.

    Notes
    -----
    At each landmark a Cox model is fitted to the subjects then at risk, with follow-up ended at
    the end of the longest window (van Houwelingen HC. Dynamic prediction by landmarking in event
    history analysis. Scand J Stat 2007;34:70-85. doi:10.1111/j.1467-9469.2006.00529.x).
    """

    measure: str
    covariates: str = ""

    def fit(self, data: PredictionData) -> FittedLandmarks:
        """Fit one Cox model per landmark.

        Parameters
        ----------
        data : PredictionData
            Both tables.

        Returns
        -------
        FittedLandmarks
            A model of each landmark.
        """
        rhs = " + ".join(part for part in (self.measure, self.covariates) if part.strip())
        needed = tuple(formula_variables(self.measure))
        models = {}
        for landmark in data.spec.landmarks:
            at = data.at(landmark)
            frame = last_measurement(at, needed)
            models[landmark] = survival_in_window(data, at, frame, rhs)
        return FittedLandmarks(needed=needed, models=models)


@dataclass(frozen=True, kw_only=True, eq=False)
class FittedLandmarks:
    """A fitted :class:`LandmarkPredictor`.

    Parameters
    ----------
    needed : tuple of str
        Columns of the longitudinal table.
    models : mapping of float to CoxSurvival
        By landmark.
    """

    needed: tuple[str, ...]
    models: Mapping[float, CoxSurvival]

    def predict(self, at: LandmarkHistory, horizons: np.ndarray) -> np.ndarray:
        """Predict survival of subjects at risk.

        Parameters
        ----------
        at : LandmarkHistory
            Subjects at risk at a landmark that was fitted.
        horizons : ndarray, shape (n_horizons,)
            Times after it.

        Returns
        -------
        ndarray, shape (n_subjects, n_horizons)
            Probabilities.
        """
        frame = last_measurement(at, self.needed)
        return self.models[at.landmark].survival(frame, at.landmark, horizons)


def last_measurement(at: LandmarkHistory, needed: tuple[str, ...]) -> pd.DataFrame:
    """Carry each subject's last complete measurement to the landmark.

    Parameters
    ----------
    at : LandmarkHistory
        Subjects at risk.
    needed : tuple of str
        Columns of the longitudinal table that must not be missing.

    Returns
    -------
    pandas.DataFrame
        One row per subject: its covariates and the columns needed, missing where the subject has
        no complete measurement.

    Raises
    ------
    DesignError
        If a column is in neither table.
    """
    absent = [c for c in needed if c not in at.history and c not in at.subjects]
    if absent:
        raise DesignError(
            f"{absent[0]!r} is a column of neither table. `longitudinal` has: "
            f"{', '.join(map(str, at.history.columns[:12]))}."
        )
    here = [c for c in needed if c in at.history]
    complete = at.history[here].notna().all(axis=1).to_numpy()
    last = pd.DataFrame(at.history.loc[complete, here]).groupby(at.code[complete]).last()
    others = at.subjects.drop(columns=here, errors="ignore")
    return others.join(last.reindex(np.arange(len(at.subjects))))


def survival_in_window(
    data: PredictionData, at: LandmarkHistory, frame: pd.DataFrame, rhs: str
) -> CoxSurvival:
    """Fit a Cox model to the time from a landmark to the end of the longest window.

    Parameters
    ----------
    data : PredictionData
        Training data.
    at : LandmarkHistory
        Its subjects at risk at the landmark.
    frame : pandas.DataFrame
        Their covariates.
    rhs : str
        Right-hand side over `frame`.

    Returns
    -------
    CoxSurvival
        On the scale of the durations (nobody enters before the landmark).
    """
    spec = data.spec
    end = float(spec.horizons(at.landmark)[-1])
    duration = data.duration[at.position]
    rows = frame.assign(
        **{
            spec.duration: np.minimum(duration, end),
            spec.event: (data.cause[at.position] > 0) & (duration <= end),
        }
    )
    return fit_cox_survival(rows, rhs, duration=spec.duration, event=spec.event)
