"""Two-stage prediction: a mixed model's true value at the landmark, then a Cox model of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError
from pmsstats.models.formulas.formula import design_matrices
from pmsstats.models.mixed.lmm import LMMResult, LMMSpec, fit_lmm
from pmsstats.models.prediction.cox_survival import CoxSurvival
from pmsstats.models.prediction.predictors import survival_in_window

if TYPE_CHECKING:
    from pmsstats.models.prediction.prediction_data import LandmarkHistory, PredictionData

__all__ = ["FittedTwoStage", "TwoStagePredictor", "subject_effects"]

_QUANTITIES = ("value", "slope")
_STEP = 1e-4  # of time, relative to the landmark or 1: central differences of smooth curves


@dataclass(frozen=True, kw_only=True)
class TwoStagePredictor:
    """Mixed model of the measurements up to the landmark, then a Cox model of its predictions.

    Parameters
    ----------
    longitudinal : str
        Mixed model in lme4's language.
    covariates : str, default ""
        Terms of the Cox model beside the marker, over the survival table.
    quantity : {"value", "slope", "value + slope"}
        What of the predicted trajectory at the landmark enters the Cox model.

    Raises
    ------
    DesignError
        If `quantity` is none of these, or the formula does not parse.

    Notes
    -----
    At each landmark the mixed model is fitted to what subjects then at risk had been measured by
    then; a subject's trajectory is its best linear unbiased prediction. Errors of measurement are
    so taken into account; those of the prediction, and that sicker subjects leave, are not.
    """

    longitudinal: str
    covariates: str = ""
    quantity: str = "value"

    def __post_init__(self) -> None:
        """Check the request."""
        LMMSpec.from_formula(self.longitudinal)
        words = self.words()
        if not words or set(words) - set(_QUANTITIES) or len(set(words)) < len(words):
            raise DesignError(
                f"`quantity` must be 'value', 'slope' or 'value + slope', got {self.quantity!r}."
            )

    def words(self) -> tuple[str, ...]:
        """Return the quantities one by one.

        Returns
        -------
        tuple of str
            ``"value"``, ``"slope"`` or both.
        """
        return tuple(word.strip() for word in self.quantity.split("+"))

    def fit(self, data: PredictionData) -> FittedTwoStage:
        """Fit both stages at each landmark.

        Parameters
        ----------
        data : PredictionData
            Both tables.

        Returns
        -------
        FittedTwoStage
            Two models of each landmark.

        Raises
        ------
        DesignError
            If the mixed model groups by another column than the subject, or the data cannot
            support a model.
        ConvergenceError
            If a model has no maximum.
        """
        spec, words = data.spec, self.words()
        group = LMMSpec.from_formula(self.longitudinal).group
        if group != spec.subject:
            raise DesignError(
                f"The mixed model {self.longitudinal!r} groups by {group!r}, but the subject of "
                f"the comparison is {spec.subject!r}. Write (... | {spec.subject})."
            )
        rhs = " + ".join([f"`true {word}`" for word in words] + [self.covariates] * bool(
            self.covariates.strip()))  # fmt: skip
        stages = {}
        for landmark in spec.landmarks:
            at = data.at(landmark)
            rows, code = _complete(at, self.longitudinal)
            lmm = fit_lmm(
                rows.assign(**{spec.subject: code}), self.longitudinal, df_method="normal"
            )
            frame = _trajectories(lmm, at, spec.time, words)
            stages[landmark] = (lmm, survival_in_window(data, at, frame, rhs))
        return FittedTwoStage(words=words, time=spec.time, stages=stages)


@dataclass(frozen=True, kw_only=True, eq=False)
class FittedTwoStage:
    """A fitted :class:`TwoStagePredictor`.

    Parameters
    ----------
    words : tuple of str
        Quantities.
    time : str
        Column of the time of measurement.
    stages : mapping of float to (LMMResult, CoxSurvival)
        By landmark.
    """

    words: tuple[str, ...]
    time: str
    stages: Mapping[float, tuple[LMMResult, CoxSurvival]]

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
        lmm, cox = self.stages[at.landmark]
        frame = _trajectories(lmm, at, self.time, self.words)
        return cox.survival(frame, at.landmark, horizons)


def _complete(at: LandmarkHistory, formula: str) -> tuple[pd.DataFrame, np.ndarray]:
    """Take the measurements that a mixed model can use, with covariates of the subjects."""
    spec = LMMSpec.from_formula(formula)
    names = [name for name in spec.variables if name != spec.group]
    elsewhere = [n for n in names if n not in at.history and n in at.subjects]
    absent = [n for n in names if n not in at.history and n not in elsewhere]
    if absent:
        raise DesignError(
            f"The mixed model names {absent[0]!r}, which is a column of neither table. "
            f"`longitudinal` has: {', '.join(map(str, at.history.columns[:12]))}."
        )
    rows = at.history
    if elsewhere:
        own = at.subjects[elsewhere].iloc[at.code].reset_index(drop=True)
        rows = pd.concat([rows, own], axis=1)
    complete = rows[names].notna().all(axis=1).to_numpy()
    return rows[complete].reset_index(drop=True), at.code[complete]


def _trajectories(
    lmm: LMMResult, at: LandmarkHistory, time: str, words: tuple[str, ...]
) -> pd.DataFrame:
    """Predict each subject's true value and slope at the landmark, missing where not measured."""
    rows, code = _complete(at, lmm.spec.formula())
    effects = subject_effects(lmm, rows, code, len(at.subjects))
    own, first = np.unique(code[::-1], return_index=True)
    template = rows.iloc[len(code) - 1 - first]
    step = _STEP * max(abs(at.landmark), 1.0)
    when = {"value": ((at.landmark, 1.0),)}
    when["slope"] = ((at.landmark + step, 0.5 / step), (at.landmark - step, -0.5 / step))
    beta = lmm.coefficients["estimate"].to_numpy()
    frame = at.subjects.copy()
    for word in words:
        total = np.full(len(frame), np.nan)
        total[own] = 0.0
        for moment, weight in when[word]:
            there = template.assign(**{time: moment})
            mean = lmm.design.fixed_matrix(there) @ beta
            mean += (lmm.design.random_matrix(there) * effects[own]).sum(axis=1)
            total[own] += weight * mean
        frame[f"true {word}"] = total
    return frame


def subject_effects(
    fit: LMMResult, rows: pd.DataFrame, code: np.ndarray, n_subjects: int
) -> np.ndarray:
    """Predict the random effects of any subjects from their own measurements.

    Parameters
    ----------
    fit : LMMResult
        A mixed model with one grouping factor.
    rows : pandas.DataFrame
        Measurements, complete; of subjects that the model has seen or of others.
    code : ndarray of int, shape (n_rows,)
        Subject of each row, from 0.
    n_subjects : int
        How many; one without rows gets 0.

    Returns
    -------
    ndarray, shape (n_subjects, q)
        ``(I + D Z'Z / sigma^2)^-1 D Z'(y - X beta) / sigma^2``, the best linear unbiased
        prediction with estimated D and sigma, which may be singular.
    """
    X, Z = fit.design.fixed_matrix(rows), fit.design.random_matrix(rows)
    y, _ = design_matrices(f"0 + {fit.spec.outcome}", rows)
    residual = y.to_numpy()[:, 0] - X @ fit.coefficients["estimate"].to_numpy()
    q = Z.shape[1]
    cross, moment = np.zeros((n_subjects, q, q)), np.zeros((n_subjects, q))
    np.add.at(cross, code, Z[:, :, None] * Z[:, None, :])
    np.add.at(moment, code, Z * residual[:, None])
    D = _covariance(fit)
    variance = fit.residual_sd**2
    left = np.eye(q) + D @ cross / variance
    return np.linalg.solve(left, (moment @ D / variance)[:, :, None])[:, :, 0]


def _covariance(fit: LMMResult) -> np.ndarray:
    """Return the covariance of the random effects as a matrix."""
    names = list(fit.design.random_names)
    D = np.zeros((len(names), len(names)))
    parts = fit.variance_components
    for row in parts[parts["kind"].isin(["variance", "covariance"])].itertuples():
        i, j = names.index(row.term1), names.index(row.term2)
        D[i, j] = D[j, i] = row.estimate
    return D
