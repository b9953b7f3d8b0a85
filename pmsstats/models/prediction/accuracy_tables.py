"""Accuracy of several models at every landmark and horizon, as tables with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from pmsstats.models.prediction.accuracy import MEASURES, Accuracy, estimate_measures
from pmsstats.models.prediction.inverse_censoring import censoring_weights

__all__ = [
    "COMPARED",
    "RiskTable",
    "accuracy_frame",
    "calibration_frame",
    "difference_frame",
    "measure_all",
]

COMPARED = ("auc", "brier", "scaled_brier")
"""Measures whose differences between models mean something."""

_RATIOS = ("observed_expected",)  # their intervals are those of the logarithm


@dataclass(frozen=True, kw_only=True, eq=False)
class RiskTable:
    """Predicted risks of the same subjects by several models, and what happened to them.

    Parameters
    ----------
    landmark, horizon : float
        From when to when.
    models : tuple of str
        Names.
    risk : ndarray, shape (n_models, n_subjects)
        Predicted probability of the event by the horizon.
    duration : ndarray, shape (n_subjects,)
        Follow-up after the landmark.
    cause : ndarray of int, shape (n_subjects,)
        0 censored, 1 the event, 2 another.
    """

    landmark: float
    horizon: float
    models: tuple[str, ...]
    risk: np.ndarray
    duration: np.ndarray
    cause: np.ndarray

    @property
    def window(self) -> float:
        """Length of time from landmark to horizon."""
        return self.horizon - self.landmark

    @property
    def n_events(self) -> int:
        """Events of interest seen by the horizon."""
        return int(((self.cause == 1) & (self.duration <= self.window)).sum())

    def accuracy(self) -> Accuracy:
        """Estimate every measure.

        Returns
        -------
        Accuracy
            Of each model.
        """
        return estimate_measures(
            self.risk, censoring_weights(self.duration, self.cause, self.window)
        )


def measure_all(tables: Sequence[RiskTable]) -> np.ndarray:
    """Estimate every measure of every table, without errors' sake.

    Parameters
    ----------
    tables : sequence of RiskTable
        Of the same models.

    Returns
    -------
    ndarray, shape (n_tables, n_models, n_measures)
        Estimates.
    """
    return np.array([table.accuracy().estimate for table in tables])


def _limits(
    estimate: np.ndarray, std_error: np.ndarray, z: float, ratio: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return Wald limits, of the logarithm for ratios."""
    factor = np.ones_like(estimate)
    positive = ratio & (estimate > 0)
    factor[positive] = np.exp(z * std_error[positive] / estimate[positive])
    low = np.where(ratio, estimate / factor, estimate - z * std_error)
    return low, np.where(ratio, estimate * factor, estimate + z * std_error)


def accuracy_frame(tables: Sequence[RiskTable], conf_level: float) -> pd.DataFrame:
    """Tabulate the measures of every model.

    Parameters
    ----------
    tables : sequence of RiskTable
        One per landmark and horizon.
    conf_level : float
        Of the intervals.

    Returns
    -------
    pandas.DataFrame
        ``landmark horizon model measure estimate std_error conf_low conf_high n_subjects
        n_events``, tables slowest, then models, then measures.
    """
    z = stats.norm.ppf((1 + conf_level) / 2)
    parts = []
    for table in tables:
        accuracy = table.accuracy()
        m, k = accuracy.estimate.shape
        measure = np.tile(MEASURES, m)
        estimate, std_error = accuracy.estimate.ravel(), accuracy.std_error().ravel()
        low, high = _limits(estimate, std_error, z, np.isin(measure, _RATIOS))
        parts.append(
            pd.DataFrame(
                {
                    "landmark": table.landmark,
                    "horizon": table.horizon,
                    "model": np.repeat(table.models, k),
                    "measure": measure,
                    "estimate": estimate,
                    "std_error": std_error,
                    "conf_low": low,
                    "conf_high": high,
                    "n_subjects": len(table.duration),
                    "n_events": table.n_events,
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def difference_frame(tables: Sequence[RiskTable], conf_level: float) -> pd.DataFrame:
    """Tabulate the differences of every pair of models, on the same subjects.

    Parameters
    ----------
    tables : sequence of RiskTable
        One per landmark and horizon.
    conf_level : float
        Of the intervals.

    Returns
    -------
    pandas.DataFrame
        ``landmark horizon measure model reference estimate std_error statistic p_value conf_low
        conf_high``: `model` less `reference`, each pair once. Empty with one model.
    """
    z = stats.norm.ppf((1 + conf_level) / 2)
    rows = []
    for table in tables:
        accuracy = table.accuracy()
        for j in range(len(table.models)):
            for i in range(j):
                estimate, std_error = accuracy.difference(j, i)
                for name in COMPARED:
                    k = MEASURES.index(name)
                    names = (table.landmark, table.horizon, name, table.models[j], table.models[i])
                    rows.append((*names, estimate[k], std_error[k]))
    columns = ["landmark", "horizon", "measure", "model", "reference", "estimate", "std_error"]
    frame = pd.DataFrame(rows, columns=columns).astype({"estimate": float, "std_error": float})
    with np.errstate(divide="ignore", invalid="ignore"):  # equal predictions differ by 0 +- 0
        statistic = frame["estimate"] / frame["std_error"]
    half = z * frame["std_error"]
    return frame.assign(
        statistic=statistic,
        p_value=2 * stats.norm.sf(np.abs(statistic)),
        conf_low=frame["estimate"] - half,
        conf_high=frame["estimate"] + half,
    )


def calibration_frame(
    tables: Sequence[RiskTable], n_groups: int, conf_level: float
) -> pd.DataFrame:
    """Compare predicted and observed risk in groups of equal size.

    Parameters
    ----------
    tables : sequence of RiskTable
        One per landmark and horizon.
    n_groups : int
        Groups, cut at quantiles of the predicted risk; equal risks stay together.
    conf_level : float
        Of the intervals.

    Returns
    -------
    pandas.DataFrame
        ``landmark horizon model group n_subjects predicted observed conf_low conf_high``: mean
        predicted risk, and observed risk by Kaplan-Meier (Aalen-Johansen) within the group with
        its log-log interval; observed is missing where nobody of a group is followed to the
        horizon, limits also where it is 0 or 1.
    """
    z = stats.norm.ppf((1 + conf_level) / 2)
    rows = []
    for table in tables:
        for name, risk in zip(table.models, table.risk, strict=True):
            cuts = np.quantile(risk, np.arange(1, n_groups) / n_groups)
            group = np.unique(np.searchsorted(cuts, risk, side="left"), return_inverse=True)[1]
            for g in range(group.max() + 1):
                mine = group == g
                limits = _observed(table, mine, z)
                key = (table.landmark, table.horizon, name, g + 1, int(mine.sum()))
                rows.append((*key, float(risk[mine].mean()), *limits))
    columns = ["landmark", "horizon", "model", "group", "n_subjects", "predicted", "observed"]
    return pd.DataFrame(rows, columns=[*columns, "conf_low", "conf_high"])


def _observed(table: RiskTable, mine: np.ndarray, z: float) -> tuple[float, float, float]:
    """Return the observed risk of some subjects with its limits."""
    duration, cause = table.duration[mine], table.cause[mine]
    if duration.max() <= table.window and not (cause[duration == duration.max()] > 0).all():
        return np.nan, np.nan, np.nan
    weights = censoring_weights(duration, cause, table.window)
    case = weights.case.astype(float)
    observed = min(float((weights.weight * case).mean()), 1.0)
    if not 0 < observed < 1 or len(case) < 2:
        return observed, np.nan, np.nan
    n = len(case)
    std_error = np.sqrt((weights.influence(case) ** 2).sum() / (n * (n - 1)))
    log_survival = np.log1p(-observed)
    factor = np.exp(z * std_error / ((1 - observed) * abs(log_survival)))
    return (
        observed,
        float(-np.expm1(log_survival / factor)),
        float(-np.expm1(log_survival * factor)),
    )
