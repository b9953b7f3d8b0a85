"""Flexible parametric survival models (Royston-Parmar): a spline for the log cumulative hazard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError, nearest
from pmsstats.models.parametric.censored_times import (
    CensoredTimes,
    CensoredTimesSpec,
    prepare_times,
)
from pmsstats.models.parametric.error_laws import EXTREME_VALUE, LOGISTIC, NORMAL
from pmsstats.models.parametric.flexible_result import FlexibleResult
from pmsstats.models.parametric.linear_transformation import (
    TransformationModel,
    fit_transformation,
)
from pmsstats.models.parametric.log_time_splines import LogTimeSpline, choose_knots

if TYPE_CHECKING:
    from pmsstats.provenance import Origin

__all__ = ["FlexibleResult", "FlexibleSpec", "fit_flexible"]

_LAWS = {"hazard": EXTREME_VALUE, "odds": LOGISTIC, "normal": NORMAL}
_MOST_DF = 10
_N_CHECKED = 200  # times at which a fitted curve must fall


@dataclass(frozen=True, kw_only=True)
class FlexibleSpec(CensoredTimesSpec):
    """Request for a flexible parametric survival model.

    Parameters
    ----------
    covariates : str or tuple of str, default ()
        Right-hand side of a formula (``"arm + log(nfl)"``), or columns; none by default.
    duration : str, default "duration"
        Column of the time to event or censoring; not read where `lower` and `upper` are given.
    event : str, default "event"
        Column that is true where the event happened at `duration`; likewise.
    lower, upper : str, optional
        Columns between which the event happened: the last visit without it and the first with it.
        Equal where the time is known; `lower` 0 or missing where it happened before `upper`;
        `upper` missing or infinite where it had not happened by `lower`. Both or neither.
    entry : str, optional
        Column of the time from which a subject was observed (left truncation); 0 by default.
    cluster : str, optional
        Column of units within which rows may depend on each other; gives robust standard errors.
    subject : str, default "subject_id"
        Column of subjects, if there is one.
    conf_level : float, default 0.95
        Of the intervals.
    df : int, default 3
        Degrees of freedom of the baseline spline; 1 is Weibull (log-logistic, log-normal).
    scale : {"hazard", "odds", "normal"}, default "hazard"
        What the spline is of: the log cumulative hazard (hazards proportional), the log odds of
        an event (odds proportional), or its probit.
    time_varying : tuple of str, default ()
        Covariate columns (``"arm[T.active]"``) whose effect may change with time.
    time_varying_df : int, default 1
        Degrees of freedom of each such change; 1 is linear in log time.

    Raises
    ------
    DesignError
        If an option is outside of its range.

    Examples
    --------
    >>> FlexibleSpec(covariates="arm", df=4).scale
    'hazard'
    """

    df: int = 3
    scale: Literal["hazard", "odds", "normal"] = "hazard"
    time_varying: tuple[str, ...] = ()
    time_varying_df: int = 1

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        if self.scale not in _LAWS:
            raise DesignError(
                f"`scale` must be one of {', '.join(map(repr, _LAWS))}, got {self.scale!r}."
            )
        for name, value in (("df", self.df), ("time_varying_df", self.time_varying_df)):
            if not (isinstance(value, int) and 1 <= value <= _MOST_DF):
                raise DesignError(f"`{name}` must be 1 to {_MOST_DF}, got {value!r}.")
        if isinstance(self.time_varying, str):
            raise DesignError(f"`time_varying` must be a tuple, got {self.time_varying!r}.")


def fit_flexible(
    data: pd.DataFrame,
    spec: FlexibleSpec,
    *,
    on_failure: Literal["raise", "warn"] = "raise",
    origin: Origin = "real",
) -> FlexibleResult:
    """Fit a flexible parametric (Royston-Parmar) model to exact, censored or truncated times.

    Parameters
    ----------
    data : pandas.DataFrame
        One row per subject.
    spec : FlexibleSpec
        Which columns are what.
    on_failure : {"raise", "warn"}, default "raise"
        Whether a fit without a trustworthy maximum is refused, or returned with
        ``fit_log.converged=False`` and a warning.
    origin : {"real", "synthetic"}, default "real"
        Where the data come from; figures say so.

    Returns
    -------
    FlexibleResult
        Log hazard ratios, smooth survival and hazard curves.

    Raises
    ------
    DesignError
        If the data cannot support the model; the conditions stand at
        :func:`~pmsstats.models.parametric.censored_times.prepare_times` and
        :func:`~pmsstats.models.parametric.log_time_splines.choose_knots`.
    ConvergenceError
        If the likelihood has no maximum (separation), or none was certified.

    Warns
    -----
    ConvergenceWarning
        If the maximum cannot be trusted and `on_failure` is "warn".

    Notes
    -----
    R: ``flexsurv::flexsurvspline(..., k = df - 1)``, ``rstpm2::stpm2``; Stata: ``stpm2``.

    ``log H(t | x) = s(log t) + x' beta``: like a Cox model, but with a smooth baseline hazard, so
    that interval censoring and absolute risks come at no extra cost. Knots stand at even quantiles
    of the log times of events (of the middles of intervals), the outer ones at the first and last
    [1]_. The likelihood is concave (apart from late entries) and maximised by Newton's method; the
    Newton decrement must end below 1e-8 squared standard errors.

    References
    ----------
    .. [1] Royston P, Parmar MKB. Flexible parametric proportional-hazards and proportional-odds
       models for censored survival data. Stat Med 2002;21:2175-2197. doi:10.1002/sim.1203

    Examples
    --------
    >>> import pandas as pd
    >>> data = pd.DataFrame(
    ...     {
    ...         "duration": [5, 8, 9, 12, 14, 20, 21, 30, 33, 40],
    ...         "event": [True, True, False, True, True, False, True, False, True, True],
    ...         "atrophy": [1.8, 0.9, 1.2, 1.6, 0.4, 0.8, 0.7, 0.6, 0.9, 0.2],
    ...     }
    ... )
    >>> fit_flexible(data, FlexibleSpec(covariates="atrophy", df=2)).headline()
    'Flexible hazard model (2 df) of 10 subjects with 7 events: hazard ratio of atrophy ...'
    """
    times = prepare_times(data, spec, "A flexible parametric model")
    varying = _positions(spec, times.terms)
    logs = np.log(times.typical())
    low, width = _origin_and_width(logs)
    unit = (logs - low) / width
    baseline = LogTimeSpline(knots=choose_knots(unit, spec.df))
    change = LogTimeSpline(knots=choose_knots(unit, spec.time_varying_df))
    centre, scale = times.X.mean(axis=0), times.X.std(axis=0)
    model = transformation_model(
        spec=spec,
        terms=times.terms,
        baseline=baseline,
        change=change,
        varying=varying,
        low=low,
        width=width,
        start=_start(times, spec, low, width),
    )
    X = (times.X - centre) / scale
    fit = fit_transformation(
        times, X, model, what="The flexible model", on_failure=on_failure,
        objection=lambda theta: _rise(theta, model, X[:, list(varying)], times, spec),
    )  # fmt: skip
    return FlexibleResult(
        spec=spec,
        fit=fit,
        model=model,
        centre=centre,
        scale=scale,
        knots=tuple(float(k) for k in np.exp(low + width * np.asarray(baseline.knots))),
        terms=times.terms,
        varying=varying,
        design=times.design,
        longest=float(np.where(times.happened, times.upper, times.lower).max()),
        n_subjects=times.n_subjects,
        n_events=int(times.happened.sum()),
        exclusions=times.exclusions,
        origin=origin,
    )


def _positions(spec: FlexibleSpec, terms: tuple[str, ...]) -> tuple[int, ...]:
    """Find the covariate columns with a changing effect."""
    for name in spec.time_varying:
        if name not in terms:
            raise DesignError(
                f"`time_varying` names {name!r}, which is no covariate column."
                f"{nearest(name, terms)} They are: {', '.join(terms)}."
            )
    return tuple(terms.index(name) for name in spec.time_varying)


def _origin_and_width(logs: np.ndarray) -> tuple[float, float]:
    """Return the first log time of an event, and the distance to the last."""
    width = float(np.ptp(logs))
    return float(logs.min()), width if width > 0 else 1.0


def _start(times: CensoredTimes, spec: FlexibleSpec, low: float, width: float) -> np.ndarray:
    """Start from constant hazard (odds, probit: of the same slope) without covariates."""
    end = np.where(times.happened, (times.lower + np.minimum(times.upper, 1e300)) / 2, times.lower)
    rate = times.happened.sum() / (end - times.entry).sum()
    n_other = spec.df - 1 + len(times.terms) + len(spec.time_varying) * spec.time_varying_df
    return np.array([np.log(rate) + low, width, *np.zeros(n_other)])


def _rise(
    theta: np.ndarray,
    model: TransformationModel,
    moving: np.ndarray,
    times: CensoredTimes,
    spec: FlexibleSpec,
) -> str:
    """Say where a fitted survival curve rises; empty if none does between first and last event."""
    at = np.geomspace(*np.quantile(times.typical(), [0, 1]), _N_CHECKED)
    n_terms = len(times.terms)
    slope = model.slope(at, np.ones((len(at), n_terms)))
    first = spec.df + 1
    base = slope[:, :first] @ theta[:first]
    n_own = moving.shape[1] * spec.time_varying_df
    pieces = slope[:, first + n_terms :] * theta[first + n_terms :]
    change = pieces.reshape(len(at), moving.shape[1], spec.time_varying_df).sum(axis=2)
    pace = base + ((moving @ change.T).min(axis=0) if n_own else 0.0)
    if (pace > 0).all():
        return ""
    return (
        f"The fitted survival curve would rise near time {at[np.argmin(pace)]:.3g}: there are too "
        "few events there for this spline. Use a lower `df` (or `time_varying_df`)."
    )


def transformation_model(
    *,
    spec: FlexibleSpec,
    terms: tuple[str, ...],
    baseline: LogTimeSpline,
    change: LogTimeSpline,
    varying: tuple[int, ...],
    low: float,
    width: float,
    start: np.ndarray,
) -> TransformationModel:
    """Make the columns: baseline spline, covariates, covariates times the spline of change.

    Parameters
    ----------
    spec : FlexibleSpec
        The request.
    terms : tuple of str
        Covariate columns.
    baseline, change : LogTimeSpline
        Of the standardised log time ``(log t - low) / width``.
    varying : tuple of int
        Positions of covariates with a changing effect.
    low, width : float
        Origin and unit of the standardised log time.
    start : ndarray, shape (m,)
        First point.

    Returns
    -------
    TransformationModel
        For :func:`~pmsstats.models.parametric.linear_transformation.fit_transformation`.
    """
    chosen = list(varying)

    def point(time: np.ndarray, X: np.ndarray) -> np.ndarray:
        unit = (np.log(time) - low) / width
        moving = change.columns(unit)[:, 1:]
        products = [X[:, [j]] * moving for j in chosen]
        return np.hstack([baseline.columns(unit), X, *products])

    def slope(time: np.ndarray, X: np.ndarray) -> np.ndarray:
        unit = (np.log(time) - low) / width
        moving = change.slopes(unit)[:, 1:]
        products = [X[:, [j]] * moving for j in chosen]
        return np.hstack([baseline.slopes(unit), np.zeros(X.shape), *products]) / width

    names = [f"spline column {j}" for j in range(baseline.n_columns)] + list(terms)
    names += [f"{terms[j]} by time {k + 1}" for j in chosen for k in range(change.n_columns - 1)]
    return TransformationModel(
        law=_LAWS[spec.scale], point=point, slope=slope, start=start,
        fixed=np.zeros(len(start), dtype=bool), names=tuple(names),
        is_effect=np.array([name in terms for name in names]),
    )  # fmt: skip
