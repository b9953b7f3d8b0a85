"""Accelerated failure time models: covariates stretch the time to the event."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from pmsstats.errors import ConvergenceError, DesignError
from pmsstats.models.parametric.aft_result import AFTResult
from pmsstats.models.parametric.censored_times import (
    CensoredTimes,
    CensoredTimesSpec,
    prepare_times,
)
from pmsstats.models.parametric.error_laws import EXTREME_VALUE, LOGISTIC, NORMAL
from pmsstats.models.parametric.linear_transformation import (
    TransformationFit,
    TransformationModel,
    fit_transformation,
)
from pmsstats.results import FitLog

if TYPE_CHECKING:
    from pmsstats.models.backends.lifelines_aft import AFTEngineFit
    from pmsstats.provenance import Origin

__all__ = ["AFTResult", "AFTSpec", "Distribution", "fit_aft"]

Distribution = Literal["weibull", "exponential", "lognormal", "loglogistic"]

_LAWS = {
    "weibull": EXTREME_VALUE,
    "exponential": EXTREME_VALUE,
    "lognormal": NORMAL,
    "loglogistic": LOGISTIC,
}


@dataclass(frozen=True, kw_only=True)
class AFTSpec(CensoredTimesSpec):
    """Request for an accelerated failure time model.

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
    distribution : {"weibull", "exponential", "lognormal", "loglogistic"}, default "weibull"
        Of the time to the event.

    Raises
    ------
    DesignError
        If an option is outside of its range.

    Examples
    --------
    >>> AFTSpec(covariates=("age_years", "arm"), distribution="lognormal").rhs()
    '`age_years` + `arm`'
    """

    distribution: Distribution = "weibull"

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        if self.distribution not in _LAWS:
            raise DesignError(
                f"`distribution` must be one of {', '.join(map(repr, _LAWS))}, got "
                f"{self.distribution!r}."
            )


def fit_aft(
    data: pd.DataFrame,
    spec: AFTSpec,
    *,
    engine: Literal["native", "lifelines"] = "native",
    on_failure: Literal["raise", "warn"] = "raise",
    origin: Origin = "real",
) -> AFTResult:
    """Fit an accelerated failure time model to exact, censored or truncated times.

    Parameters
    ----------
    data : pandas.DataFrame
        One row per subject.
    spec : AFTSpec
        Which columns are what.
    engine : {"native", "lifelines"}, default "native"
        Whether lifelines, an independent program, looks for the maximum first, as a second opinion.
    on_failure : {"raise", "warn"}, default "raise"
        Whether a fit without a trustworthy maximum is refused, or returned with
        ``fit_log.converged=False`` and a warning.
    origin : {"real", "synthetic"}, default "real"
        Where the data come from; figures say so.

    Returns
    -------
    AFTResult
        Log time ratios, the intercept and the log scale.

    Raises
    ------
    DesignError
        If the data cannot support the model; the conditions stand at
        :func:`~pmsstats.models.parametric.censored_times.prepare_times`. If the engine is not
        known, or lifelines, which has no exponential model, is asked for one.
    ConvergenceError
        If the likelihood has no maximum (separation), or none was certified.

    Warns
    -----
    ConvergenceWarning
        If the maximum cannot be trusted and `on_failure` is "warn".

    Notes
    -----
    R: ``survival::survreg(Surv(...) ~ ..., dist = ...)``, which knows no left truncation; SAS:
    ``PROC LIFEREG``.

    ``log T = intercept + x' beta + scale * e`` [1]_: a covariate multiplies every quantile of the
    time to the event by ``exp(beta)``, its time ratio: above 1, more of it goes with later events.
    For the Weibull (and exponential) distribution hazards are proportional too, with hazard ratio
    ``exp(-beta / scale)``. The likelihood is maximised in ``(1, intercept, beta) / scale``, in
    which it is concave (apart from late entries), by Newton's method; the Newton decrement must end
    below 1e-8 squared standard errors. An interval that begins before entry begins at entry.

    With ``engine="lifelines"`` [2]_ the ascent starts where lifelines ended, from its own start;
    ``fit_log.message`` says how far that was from the maximum, or that lifelines gave up, in which
    case the fit is native. It is not the default: it found none of 24 log-normal models for
    intervals, the main use here, takes 4 to 20 times as long, and has no errors by cluster.

    References
    ----------
    .. [1] Kalbfleisch JD, Prentice RL. The Statistical Analysis of Failure Time Data. 2nd ed.
       Wiley 2002, section 2.3 and chapter 3. doi:10.1002/9781118032985
    .. [2] Davidson-Pilon C. lifelines: survival analysis in Python. J Open Source Softw
       2019;4:1317. doi:10.21105/joss.01317

    Examples
    --------
    >>> import pandas as pd
    >>> data = pd.DataFrame(
    ...     {
    ...         "last_free": [0.0, 0.5, 1.0, 1.0, 1.5, 2.0, 2.5, 3.0],
    ...         "first_seen": [0.5, 1.0, 1.5, 2.0, 2.0, None, 3.0, None],
    ...         "atrophy": [1.8, 0.9, 1.2, 1.6, 0.4, 0.8, 0.7, 0.6],
    ...     }
    ... )
    >>> spec = AFTSpec(covariates="atrophy", lower="last_free", upper="first_seen")
    >>> fit_aft(data, spec).headline()
    'Weibull model of 8 subjects with 6 events: time ratio of atrophy 0.307 (95 % CI ...'
    """
    _check_engine(engine, spec)
    times = prepare_times(data, spec, "An accelerated failure time model")
    centre, scale = _centre_and_scale(times.X)
    X = (times.X - centre) / scale
    location, spread = _log_time(times)
    model = _model(spec, times.terms, location, spread, _start(times, spec, location, spread))
    opinion = _SecondOpinion()
    if engine == "lifelines":
        opinion = _ask_lifelines(times, X, spec, location, spread)
        model = model if opinion.theta is None else replace(model, start=opinion.theta)
    fit = fit_transformation(
        times, X, model, what=f"The {spec.distribution} model", on_failure=on_failure
    )
    back = _turn_back(centre, scale, location, spread)
    return AFTResult(
        spec=spec,
        fit_log=opinion.noted(fit),
        working=back @ fit.theta,
        working_covariance=back @ fit.covariance @ back.T,
        terms=times.terms,
        design=times.design,
        law=model.law,
        longest=float(np.where(times.happened, times.upper, times.lower).max()),
        n_subjects=times.n_subjects,
        n_events=int(times.happened.sum()),
        log_likelihood=fit.log_likelihood,
        exclusions=times.exclusions,
        origin=origin,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _SecondOpinion:
    """What lifelines said: parameters of the standardised design, or why there are none."""

    found: AFTEngineFit | None = None
    theta: np.ndarray | None = None
    refusal: str = ""

    def noted(self, fit: TransformationFit) -> FitLog:
        """Return the fit log, with how far lifelines was from the maximum."""
        log = fit.fit_log
        if self.found is None or self.theta is None:
            return replace(log, message="; ".join(m for m in (log.message, self.refusal) if m))
        with np.errstate(all="ignore"):  # a fit that failed may have no errors
            errors = np.sqrt(np.diag(fit.covariance))
            distance = float(np.max(np.abs(self.theta - fit.theta) / errors))
        gain = fit.log_likelihood - self.found.log_likelihood
        words = (
            f"lifelines stopped {distance:.1g} standard errors from the maximum, at a "
            f"log-likelihood lower by {gain:.1g}"
        )
        return replace(
            log,
            engine="lifelines",
            engine_version=self.found.version,
            optimiser=f"{self.found.optimiser}, then {log.optimiser}",
            message="; ".join(m for m in (log.message, words) if m),
        )


def _check_engine(engine: str, spec: AFTSpec) -> None:
    """Refuse engines that are not known, or do not know the model."""
    if engine not in ("native", "lifelines"):
        raise DesignError(f"`engine` must be 'native' or 'lifelines', got {engine!r}.")
    if engine == "lifelines" and spec.distribution == "exponential":
        raise DesignError(
            "`engine='lifelines'` has no exponential regression, got distribution='exponential'. "
            "Use engine='native'."
        )


def _ask_lifelines(
    times: CensoredTimes, X: np.ndarray, spec: AFTSpec, location: float, spread: float
) -> _SecondOpinion:
    """Let lifelines look for the maximum; where it gives up, keep its words."""
    # loaded here because lifelines takes a second to import
    from pmsstats.models.backends.lifelines_aft import maximise_aft

    try:
        found = maximise_aft(times, X, spec.distribution)
    except ConvergenceError as exc:
        return _SecondOpinion(refusal=f"lifelines gave up: {exc}")
    theta = np.array([spread, found.intercept - location, *found.beta]) / found.scale
    if not np.isfinite(theta).all():
        return _SecondOpinion(refusal="lifelines gave up: its estimates are not finite")
    return _SecondOpinion(found=found, theta=theta)


def _centre_and_scale(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of the covariates."""
    return X.mean(axis=0), X.std(axis=0)


def _log_time(times: CensoredTimes) -> tuple[float, float]:
    """Return where log times of events lie, and how widely."""
    logs = np.log(times.typical())
    spread = float(logs.std())
    return float(logs.mean()), spread if spread > 0 else 1.0


def _start(times: CensoredTimes, spec: AFTSpec, location: float, spread: float) -> np.ndarray:
    """Start from the exponential model without covariates; its shape is fixed in that model."""
    end = np.where(times.happened, (times.lower + np.minimum(times.upper, 1e300)) / 2, times.lower)
    rate = times.happened.sum() / (end - times.entry).sum()
    shape = spread if spec.distribution == "exponential" else 1.0
    level = -(np.log(rate) + location) if spec.distribution == "exponential" else 0.0
    return np.array([shape, level, *np.zeros(len(times.terms))])


def _model(
    spec: AFTSpec, terms: tuple[str, ...], location: float, spread: float, start: np.ndarray
) -> TransformationModel:
    """Make the columns (log time, -1, -x), with log time standardised."""

    def point(time: np.ndarray, X: np.ndarray) -> np.ndarray:
        return np.column_stack([(np.log(time) - location) / spread, -np.ones(len(time)), -X])

    def slope(time: np.ndarray, X: np.ndarray) -> np.ndarray:
        flat = np.zeros((len(time), 1 + X.shape[1]))
        return np.column_stack([np.full(len(time), 1 / spread), flat])

    fixed = np.zeros(len(start), dtype=bool)
    fixed[0] = spec.distribution == "exponential"
    return TransformationModel(
        law=_LAWS[spec.distribution], point=point, slope=slope, start=start, fixed=fixed,
        names=("the scale", "the intercept", *terms), is_effect=np.ones(len(start), dtype=bool),
    )  # fmt: skip


def _turn_back(centre: np.ndarray, scale: np.ndarray, location: float, spread: float) -> np.ndarray:
    """Return the matrix from standardised to original (1, intercept, beta) / scale."""
    back = np.diag(np.concatenate([[1 / spread, 1.0], 1 / scale]))
    back[1, 0] = location / spread
    back[1, 2:] = -centre / scale
    return back
