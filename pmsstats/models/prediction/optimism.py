"""How much better predictions look on the data that made them: the bootstrap's answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pmsstats.errors import ConvergenceError, DesignError
from pmsstats.models.prediction.accuracy import MEASURES
from pmsstats.models.prediction.accuracy_tables import RiskTable, measure_all
from pmsstats.seeds import as_seed_sequence, stream

if TYPE_CHECKING:
    from pmsstats.models.prediction.prediction_data import PredictionData
    from pmsstats.models.prediction.predictors import FittedPredictor, Predictor
    from pmsstats.seeds import Seed

__all__ = [
    "Optimism",
    "bootstrap_optimism",
    "fit_predictors",
    "predict_risks",
    "risk_tables",
    "with_optimism",
]

_MOST_FAILURES = 0.1  # share of resamples without an answer: beyond, the rest are a selection


@dataclass(frozen=True, kw_only=True, eq=False)
class Optimism:
    """Accuracy in resamples, on the resample itself and on the original data.

    Parameters
    ----------
    apparent, test : ndarray, shape (n_resamples, n_tables, n_models, n_measures)
        Of models that were fitted to the resample: on the resample, and on the original data.
    n_failed : int
        Resamples in which a model could not be fitted or judged; they are in neither array.
    """

    apparent: np.ndarray
    test: np.ndarray
    n_failed: int


def fit_predictors(
    models: Mapping[str, Predictor], data: PredictionData
) -> dict[str, FittedPredictor]:
    """Fit every model.

    Parameters
    ----------
    models : mapping of str to Predictor
        By name.
    data : PredictionData
        Training data.

    Returns
    -------
    dict of str to FittedPredictor
        By name.

    Raises
    ------
    DesignError
        If the data cannot support a model, which is named.
    ConvergenceError
        If a model has no maximum, which is named.
    """
    fitted = {}
    for name, model in models.items():
        try:
            fitted[name] = model.fit(data)
        except (DesignError, ConvergenceError) as exc:
            raise type(exc)(f"Model {name!r} could not be fitted. {exc}") from exc
    return fitted


def predict_risks(
    fitted: Mapping[str, FittedPredictor], data: PredictionData
) -> list[tuple[float, np.ndarray, np.ndarray]]:
    """Predict the risk of everyone at risk at each landmark.

    Parameters
    ----------
    fitted : mapping of str to FittedPredictor
        Models.
    data : PredictionData
        Whose histories are used.

    Returns
    -------
    list of (float, ndarray, ndarray)
        Landmark, positions of the subjects, and risks of shape (n_models, n_subjects, n_windows).
    """
    predicted = []
    for landmark in data.spec.landmarks:
        at = data.at(landmark)
        horizons = data.spec.horizons(landmark)
        survival = [model.predict(at, horizons) for model in fitted.values()]
        predicted.append((landmark, at.position, 1.0 - np.array(survival)))
    return predicted


def risk_tables(
    names: Sequence[str],
    predicted: Sequence[tuple[float, np.ndarray, np.ndarray]],
    data: PredictionData,
) -> list[RiskTable]:
    """Set predicted risks beside what happened, for subjects that every model predicts.

    Parameters
    ----------
    names : sequence of str
        Of the models.
    predicted : sequence
        As :func:`predict_risks` returns it.
    data : PredictionData
        What happened.

    Returns
    -------
    list of RiskTable
        Landmarks slowest, then windows.
    """
    tables = []
    for landmark, position, risk in predicted:
        kept = ~np.isnan(risk).any(axis=(0, 2))
        who = position[kept]
        tables += [
            RiskTable(
                landmark=landmark,
                horizon=float(horizon),
                models=tuple(names),
                risk=risk[:, kept, k],
                duration=data.duration[who] - landmark,
                cause=data.cause[who],
            )
            for k, horizon in enumerate(data.spec.horizons(landmark))
        ]
    return tables


def bootstrap_optimism(
    models: Mapping[str, Predictor], data: PredictionData, *, n_bootstrap: int, seed: Seed
) -> Optimism:
    """Refit and judge every model in resamples of subjects.

    Parameters
    ----------
    models : mapping of str to Predictor
        By name.
    data : PredictionData
        The original data.
    n_bootstrap : int
        Resamples.
    seed : int, numpy.random.SeedSequence or numpy.random.Generator
        Resample b is the same whatever `n_bootstrap`.

    Returns
    -------
    Optimism
        Accuracy by resample.

    Raises
    ------
    ConvergenceError
        If more than one in ten resamples gives no answer.
    """
    root = as_seed_sequence(seed)
    apparent, test, reasons = [], [], []
    for b in range(n_bootstrap):
        rng = stream(root, "prediction bootstrap", b)
        sample = data.take(np.sort(rng.integers(0, len(data.duration), len(data.duration))))
        try:
            inside, outside = _one_resample(models, sample, data)
        except (DesignError, ConvergenceError) as exc:
            reasons.append(str(exc))
            continue
        apparent.append(inside)
        test.append(outside)
    if len(reasons) > _MOST_FAILURES * n_bootstrap:
        raise ConvergenceError(
            f"{len(reasons)} of {n_bootstrap} bootstrap resamples gave no answer, so that the "
            f"others are a selection; the first: {reasons[0]} Use simpler models, fewer landmarks, "
            "or longer windows."
        )
    return Optimism(apparent=np.array(apparent), test=np.array(test), n_failed=len(reasons))


def _one_resample(
    models: Mapping[str, Predictor], sample: PredictionData, data: PredictionData
) -> tuple[np.ndarray, np.ndarray]:
    """Fit to a resample; judge there, and on the original data."""
    fitted = fit_predictors(models, sample)
    judged = []
    for where in (sample, data):
        tables = risk_tables(list(models), predict_risks(fitted, where), where)
        for table in tables:
            _check_table(table)
        judged.append(measure_all(tables))
    return judged[0], judged[1]


def _check_table(table: RiskTable) -> None:
    """Refuse a resample in which nothing can be judged."""
    if table.n_events == 0 or not (table.duration > table.window).any():
        raise DesignError(
            f"The resample has no event, or no survivor, between landmark {table.landmark:g} and "
            f"horizon {table.horizon:g}."
        )


def with_optimism(
    frame: pd.DataFrame, optimism: Optimism, tables: Sequence[RiskTable]
) -> pd.DataFrame:
    """Add corrected estimates to a table of measures, or of differences.

    Parameters
    ----------
    frame : pandas.DataFrame
        ``landmark horizon model measure estimate conf_low conf_high``; ``reference`` where these
        are differences.
    optimism : Optimism
        Accuracy by resample.
    tables : sequence of RiskTable
        In the order of its second axis.

    Returns
    -------
    pandas.DataFrame
        With ``optimism optimism_mcse corrected corrected_low corrected_high``; missing where
        fewer than two resamples have the measure.

    Notes
    -----
    The optimism is the mean over resamples of (accuracy on the resample - accuracy on the original
    data) of models fitted to the resample [1]_, with its Monte Carlo error; corrected = estimate -
    optimism. The interval of the apparent accuracy is moved by the optimism [2]_; here it is the
    one by influence functions, since resamples in which models are refitted vary too little in
    calibration. In simulations of a Cox model (150 subjects, one covariate and five of noise) the
    apparent AUC was 0.03 too high and the apparent slope 0.18, the corrected ones less than 0.005,
    and nominal 95 % intervals of the corrected measures covered 91 to 95 % of the true ones.

    References
    ----------
    .. [1] Harrell FE, Lee KL, Mark DB. Multivariable prognostic models. Stat Med 1996;15:361-387.
       doi:10.1002/(SICI)1097-0258(19960229)15:4<361::AID-SIM168>3.0.CO;2-4
    .. [2] Noma H, Shinozaki T, Iba K, Teramukai S, Furukawa TA. Confidence intervals of prediction
       accuracy measures for multivariable prediction models based on the bootstrap-based optimism
       correction methods. Stat Med 2021;40:5691-5701. doi:10.1002/sim.9148
    """
    apparent, test = (
        np.stack([_column(values, row, tables) for row in frame.itertuples()])
        for values in (optimism.apparent, optimism.test)
    )
    gap = np.where(np.isfinite(apparent), apparent - test, np.nan)
    used = np.isfinite(gap).sum(axis=1)
    shift, spread = np.full((2, len(frame)), np.nan)
    enough = used >= 2
    shift[enough] = np.nanmean(gap[enough], axis=1)
    spread[enough] = np.nanstd(gap[enough], axis=1, ddof=1)
    return frame.assign(
        optimism=shift,
        optimism_mcse=spread / np.sqrt(np.maximum(used, 1)),
        corrected=frame["estimate"] - shift,
        corrected_low=frame["conf_low"] - shift,
        corrected_high=frame["conf_high"] - shift,
    )


def _column(values: np.ndarray, row: object, tables: Sequence[RiskTable]) -> np.ndarray:
    """Take one measure of one model, or its difference to another, over the resamples."""
    place = [(t.landmark, t.horizon) for t in tables].index((row.landmark, row.horizon))  # type: ignore[attr-defined]
    models = tables[place].models
    k = MEASURES.index(row.measure)  # type: ignore[attr-defined]
    mine: np.ndarray = values[:, place, models.index(row.model), k]  # type: ignore[attr-defined]
    reference = getattr(row, "reference", None)
    if reference is None:
        return mine
    return mine - values[:, place, models.index(reference), k]
