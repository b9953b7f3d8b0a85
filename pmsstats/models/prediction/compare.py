"""Accuracy of dynamic predictions: of given ones, and of models that are fitted and compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError, first_ids
from pmsstats.models.events.rows import require_columns
from pmsstats.models.prediction.accuracy_result import PredictionAccuracyResult
from pmsstats.models.prediction.accuracy_tables import (
    RiskTable,
    accuracy_frame,
    calibration_frame,
    difference_frame,
)
from pmsstats.models.prediction.optimism import (
    Optimism,
    bootstrap_optimism,
    fit_predictors,
    predict_risks,
    risk_tables,
    with_optimism,
)
from pmsstats.models.prediction.prediction_data import (
    FollowUp,
    PredictionData,
    check_windows,
    prepare_follow_up,
    prepare_tables,
)
from pmsstats.models.prediction.predictors import Predictor
from pmsstats.results import Exclusion, exclude

if TYPE_CHECKING:
    from pmsstats.models.prediction.spec import PredictionSpec
    from pmsstats.provenance import Origin
    from pmsstats.seeds import Seed

__all__ = ["compare_predictions", "estimate_accuracy"]

_STAGE = "prediction accuracy"
_SAME_TIME = 1e-9  # relative: landmark + window, whoever added


def compare_predictions(
    longitudinal: pd.DataFrame,
    survival: pd.DataFrame,
    spec: PredictionSpec,
    *,
    models: Mapping[str, Predictor],
    n_bootstrap: int = 0,
    seed: Seed | None = None,
    origin: Origin = "real",
) -> PredictionAccuracyResult:
    """Fit several models, predict from landmarks on, and judge them on the same subjects.

    Parameters
    ----------
    longitudinal : pandas.DataFrame
        One row per measurement occasion; models see those up to the landmark.
    survival : pandas.DataFrame
        One row per subject.
    spec : PredictionSpec
        Landmarks, windows and columns.
    models : mapping of str to Predictor
        By the name that results show: :class:`CoxPredictor`, :class:`LandmarkPredictor`,
        :class:`TwoStagePredictor`, :class:`JointPredictor`, or another of that protocol. The first
        one is the reference of the headline.
    n_bootstrap : int, default 0
        Resamples of subjects in which all models are refitted, to correct for having been fitted
        to the data on which they are judged; 0 for none (then everything is apparent accuracy).
    seed : int, numpy.random.SeedSequence or numpy.random.Generator, optional
        Needed with `n_bootstrap`.
    origin : {"real", "synthetic"}, default "real"
        Where the data come from.

    Returns
    -------
    PredictionAccuracyResult
        Discrimination, Brier score and calibration with intervals, differences, predictions.

    Raises
    ------
    DesignError
        If a table or column is unfit, a landmark has nobody at risk, no event happens in a window,
        a horizon lies beyond follow-up, there is no model, or `n_bootstrap` has no `seed`.
    ConvergenceError
        If a model has no maximum, or in more than one in ten resamples.

    Notes
    -----
    Subjects are those at risk after the landmark who were measured by then and whom every model
    predicts; others are counted in ``exclusions``. Measures and their errors:
    :func:`~pmsstats.models.prediction.accuracy.estimate_measures`; the correction:
    :func:`~pmsstats.models.prediction.optimism.with_optimism`. Models that are fitted to each
    resample cannot be fitted all at once: the time is `n_bootstrap` times that of the fits.

    Examples
    --------
    >>> import numpy as np
    >>> from pmsstats.models.prediction.predictors import CoxPredictor, LandmarkPredictor
    >>> from pmsstats.models.prediction.spec import PredictionSpec
    >>> rng = np.random.default_rng(3)
    >>> level, age = rng.normal(size=200), rng.normal(50, 9, 200)
    >>> time = rng.exponential(6 / np.exp(level))
    >>> survival = pd.DataFrame(
    ...     {
    ...         "subject_id": range(200),
    ...         "duration": np.minimum(time, 5),
    ...         "event": time < 5,
    ...         "age_years": age,
    ...     }
    ... )
    >>> visits = pd.DataFrame({"subject_id": np.repeat(range(200), 2), "year": [0, 1] * 200})
    >>> visits["snfl"] = np.repeat(level, 2) + rng.normal(0, 0.5, 400)
    >>> found = compare_predictions(
    ...     visits,
    ...     survival,
    ...     PredictionSpec(landmarks=1, windows=2),
    ...     models={
    ...         "age": CoxPredictor(covariates="age_years"),
    ...         "last snfl": LandmarkPredictor(measure="snfl"),
    ...     },
    ... )
    >>> found.headline()
    'From 1 to 3 among 157 subjects at risk (48 events), last snfl discriminated best: ...'
    """
    _check_request(models, n_bootstrap, seed)
    if spec.cause:
        raise DesignError(
            "`cause` is not supported by compare_predictions, whose models predict one event. Give "
            "predictions of a competing-risks model to estimate_accuracy."
        )
    data = prepare_tables(longitudinal, survival, spec)
    predicted = predict_risks(fit_predictors(models, data), data)
    tables = risk_tables(list(models), predicted, data)
    unpredicted = _unpredicted(list(models), predicted, data)
    _check_tables(tables, models)
    optimism = None
    if n_bootstrap and seed is not None:
        optimism = bootstrap_optimism(models, data, n_bootstrap=n_bootstrap, seed=seed)
    return _assemble(
        tables,
        spec,
        optimism,
        predictions=_prediction_frame(list(models), predicted, data),
        exclusions=data.exclusions + unpredicted,
        origin=origin,
    )


def _check_request(models: Mapping[str, Predictor], n_bootstrap: int, seed: Seed | None) -> None:
    """Refuse what cannot be run."""
    if not isinstance(models, Mapping) or not models:
        raise DesignError(
            "`models` must map names to predictors, such as "
            f"{{'baseline': CoxPredictor(covariates='age_years')}}, got {models!r}."
        )
    for name, model in models.items():
        if not isinstance(model, Predictor):
            raise DesignError(
                f"`models[{name!r}]` must be a predictor such as CoxPredictor(covariates=...), got "
                f"{type(model).__name__}."
            )
    whole = isinstance(n_bootstrap, int) and not isinstance(n_bootstrap, bool)
    if not whole or n_bootstrap < 0 or n_bootstrap == 1:
        raise DesignError(f"`n_bootstrap` must be 0, or at least 2, got {n_bootstrap!r}.")
    if n_bootstrap and seed is None:
        raise DesignError("`n_bootstrap` needs a `seed`, so that the result can be reproduced.")


def _unpredicted(
    names: list[str],
    predicted: list[tuple[float, np.ndarray, np.ndarray]],
    data: PredictionData,
) -> tuple[Exclusion, ...]:
    """Count subjects whom a model does not predict, who are then left out of all."""
    ids = data.survival[data.spec.subject]
    lost: tuple[Exclusion, ...] = ()
    for landmark, position, risk in predicted:
        for name, mine in zip(names, np.isnan(risk).any(axis=2), strict=True):
            lost += exclude(
                f"prediction at {landmark:g}",
                "subject",
                f"no prediction by {name}: a covariate or measurement is missing",
                ids.iloc[position[mine]],
            )
    return lost


def _check_tables(tables: list[RiskTable], models: Mapping[str, Predictor]) -> None:
    """Refuse landmarks at which the subjects that all models predict are too few."""
    for table in tables:
        everyone = np.arange(len(table.duration))
        try:
            check_windows(
                table.duration + table.landmark,
                table.cause,
                everyone,
                table.landmark,
                [table.horizon],
            )
        except (DesignError, ValueError) as exc:
            raise DesignError(
                f"After leaving out whom one of {', '.join(models)} does not predict: {exc}"
            ) from exc


def _prediction_frame(
    names: list[str],
    predicted: list[tuple[float, np.ndarray, np.ndarray]],
    data: PredictionData,
) -> pd.DataFrame:
    """Tabulate the predictions of subjects that every model predicts."""
    ids = data.survival[data.spec.subject].to_numpy()
    parts = []
    for landmark, position, risk in predicted:
        kept = ~np.isnan(risk).any(axis=(0, 2))
        m, n, k = risk[:, kept].shape
        parts.append(
            pd.DataFrame(
                {
                    data.spec.subject: np.tile(np.repeat(ids[position[kept]], k), m),
                    "landmark": landmark,
                    "horizon": np.tile(data.spec.horizons(landmark), m * n),
                    "model": np.repeat(names, n * k),
                    "survival": 1.0 - risk[:, kept].ravel(),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def _assemble(
    tables: list[RiskTable],
    spec: PredictionSpec,
    optimism: Optimism | None,
    *,
    predictions: pd.DataFrame,
    exclusions: tuple[Exclusion, ...],
    origin: Origin,
) -> PredictionAccuracyResult:
    """Collect the answer."""
    measures = accuracy_frame(tables, spec.conf_level)
    differences = difference_frame(tables, spec.conf_level)
    if optimism is not None:
        measures = with_optimism(measures, optimism, tables)
        if len(differences):
            differences = with_optimism(differences, optimism, tables)
    return PredictionAccuracyResult(
        spec=spec,
        models=tables[0].models,
        measures=measures,
        differences=differences,
        calibration=calibration_frame(tables, spec.n_groups, spec.conf_level),
        predictions=predictions,
        n_bootstrap=0 if optimism is None else len(optimism.apparent),
        n_failed=0 if optimism is None else optimism.n_failed,
        origin=origin,
        exclusions=exclusions,
    )


def estimate_accuracy(
    predictions: pd.DataFrame,
    survival: pd.DataFrame,
    spec: PredictionSpec,
    *,
    origin: Origin = "real",
) -> PredictionAccuracyResult:
    """Judge predictions that were made elsewhere, best on data that did not make them.

    Parameters
    ----------
    predictions : pandas.DataFrame
        ``subject_id landmark horizon model survival``: the probability of being without the event
        at the horizon, given that so at the landmark. A missing `model` column means one model.
    survival : pandas.DataFrame
        One row per subject: what happened.
    spec : PredictionSpec
        Which landmarks and windows (horizon - landmark) of `predictions` to judge, and columns.
    origin : {"real", "synthetic"}, default "real"
        Where the data come from.

    Returns
    -------
    PredictionAccuracyResult
        As :func:`compare_predictions`, without correction for optimism.

    Raises
    ------
    DesignError
        If a column is missing, a probability lies outside of 0 to 1, a prediction is repeated or a
        horizon does not lie after its landmark; at a landmark with nobody at risk, a window
        without event or a horizon beyond follow-up.

    Notes
    -----
    With competing risks (``spec.cause``), one less `survival` is the probability of the cause
    ``spec.of`` by the horizon, and subjects with another cause are among those without it.
    """
    follow_up = prepare_follow_up(survival, spec)
    frame = _checked(predictions, spec)
    exclusions = follow_up.exclusions
    tables, parts = [], []
    for landmark in spec.landmarks:
        for horizon in spec.horizons(landmark):
            rows = frame[
                np.isclose(frame["landmark"], landmark, rtol=_SAME_TIME, atol=_SAME_TIME)
                & np.isclose(frame["horizon"], horizon, rtol=_SAME_TIME, atol=_SAME_TIME)
            ]
            table, kept, lost = _table(rows, follow_up, spec, landmark, float(horizon))
            tables.append(table)
            parts.append(rows[rows[spec.subject].isin(kept)])
            exclusions += lost
    return _assemble(
        tables,
        spec,
        None,
        predictions=pd.concat(parts, ignore_index=True),
        exclusions=exclusions,
        origin=origin,
    )


def _checked(predictions: pd.DataFrame, spec: PredictionSpec) -> pd.DataFrame:
    """Check a frame of predictions."""
    needed = ("landmark", "horizon", "survival")
    require_columns(predictions, [("subject", spec.subject), *((c, c) for c in needed)])
    frame = predictions.reset_index(drop=True)
    if "model" not in frame:
        frame = frame.assign(model="model")
    frame["model"] = frame["model"].astype(str)
    for column in needed:
        if not pd.api.types.is_numeric_dtype(frame[column]):
            raise DesignError(f"Column {column!r} of `predictions` must hold numbers.")
    wrong = frame[(frame["survival"] < 0) | (frame["survival"] > 1)]
    if len(wrong):
        raise DesignError(
            f"`survival` must be a probability from 0 to 1, found {wrong['survival'].iloc[0]!r} "
            f"in {len(wrong)} row(s) ({first_ids(wrong[spec.subject])}). Percentages are divided "
            "by 100 first."
        )
    early = frame[~(frame["horizon"] > frame["landmark"])]
    if len(early):
        first = early.iloc[0]
        raise DesignError(
            f"A horizon must lie after its landmark, found horizon {first['horizon']:g} at "
            f"landmark {first['landmark']:g} in {len(early)} row(s) of `predictions`. Horizons are "
            "times on the scale of the durations, not lengths of windows."
        )
    twice = frame.duplicated([spec.subject, "landmark", "horizon", "model"], keep=False)
    if twice.any():
        raise DesignError(
            f"{int(twice.sum())} rows of `predictions` repeat a subject, landmark, horizon and "
            f"model ({first_ids(frame.loc[twice, spec.subject])}). Keep one each."
        )
    return frame


def _table(
    rows: pd.DataFrame, follow_up: FollowUp, spec: PredictionSpec, landmark: float, horizon: float
) -> tuple[RiskTable, pd.Index, tuple[Exclusion, ...]]:
    """Match predictions of one landmark and horizon with what happened."""
    stage = f"{_STAGE} at {landmark:g}"
    if not len(rows):
        raise DesignError(
            f"`predictions` have no row for landmark {landmark:g} and horizon {horizon:g} "
            "(landmark plus window)."
        )
    wide = rows.pivot_table(index=spec.subject, columns="model", values="survival")
    wide = wide[list(dict.fromkeys(rows["model"]))]
    lost = exclude(stage, "subject", "no prediction by one of the models",
                   wide.index[wide.isna().any(axis=1)])  # fmt: skip
    wide = wide.dropna()
    place = pd.Series(np.arange(len(follow_up.frame)), index=follow_up.frame[spec.subject])
    known = wide.index.isin(place.index)
    lost += exclude(stage, "subject", "predicted, but no follow-up", wide.index[~known])
    wide = wide[known]
    position = place.reindex(wide.index).to_numpy(dtype=int)
    at_risk = follow_up.duration[position] > landmark
    lost += exclude(stage, "subject", "predicted, but not at risk at the landmark",
                    wide.index[~at_risk])  # fmt: skip
    wide, position = wide[at_risk], position[at_risk]
    check_windows(follow_up.duration, follow_up.cause, position, landmark, [horizon])
    table = RiskTable(
        landmark=landmark,
        horizon=horizon,
        models=tuple(wide.columns),
        risk=1.0 - wide.to_numpy().T,
        duration=follow_up.duration[position] - landmark,
        cause=follow_up.cause[position],
    )
    return table, wide.index, lost
