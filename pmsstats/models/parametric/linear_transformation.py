"""Fit a model that is linear in its parameters after a transformation of time.

Accelerated failure times and Royston-Parmar models differ in the columns that they make of a time;
what they share stands here: the layout of censored rows, the ascent, its certificate, inference.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats

from pmsstats.errors import ConvergenceError, ConvergenceWarning, DesignError
from pmsstats.models.maxima import newton_decrement
from pmsstats.models.parametric.ascent import climb_to_top
from pmsstats.models.parametric.censored_likelihood import CensoredRows, censored_terms
from pmsstats.models.parametric.censored_times import CensoredTimes
from pmsstats.models.parametric.error_laws import ErrorLaw
from pmsstats.models.responses.newton import Ascent, LikelihoodTerms
from pmsstats.results import FitLog

__all__ = [
    "TransformationFit",
    "TransformationModel",
    "estimates_table",
    "fit_transformation",
    "survival_frame",
    "with_ratios",
]

_DECREMENT = 1e-8  # squared standard errors from the maximum: beyond, a fit did not converge
_RUNAWAY = 1e2  # standard error per SD of a covariate: beyond, its likelihood has no maximum
_SINGULAR = 1e-12  # smallest over largest eigenvalue of the scaled information
_INVOLVED = 0.1  # share of a parameter in the direction that the data say nothing about

Columns = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True, kw_only=True, eq=False)
class TransformationModel:
    """What a model makes of a time and of covariates.

    Parameters
    ----------
    law : ErrorLaw
        Of the predictor.
    point : callable
        Of times, shape (n,), and standardised covariates, shape (n, n_terms): design columns of
        the predictor, shape (n, m).
    slope : callable
        Their derivative with respect to log time.
    start : ndarray, shape (m,)
        A point at which the curve falls.
    fixed : ndarray of bool, shape (m,)
        Parameters that stay at their start.
    names : tuple of str
        Of the parameters, for messages.
    is_effect : ndarray of bool, shape (m,)
        Parameters on a scale of order one, whose standard error shows a runaway: not the
        coefficients of a spline.
    """

    law: ErrorLaw
    point: Columns
    slope: Columns
    start: np.ndarray
    fixed: np.ndarray
    names: tuple[str, ...]
    is_effect: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class TransformationFit:
    """Parameters of the standardised design, with their covariance.

    Parameters
    ----------
    theta : ndarray, shape (m,)
        At the maximum.
    covariance : ndarray, shape (m, m)
        Inverse information, or the sandwich where there are clusters; zero for fixed parameters.
    log_likelihood : float
        There.
    fit_log : FitLog
        What the ascent did.
    """

    theta: np.ndarray
    covariance: np.ndarray
    log_likelihood: float
    fit_log: FitLog


def lay_out(times: CensoredTimes, X: np.ndarray, model: TransformationModel) -> CensoredRows:
    """Make the design of every time that the likelihood looks at.

    Parameters
    ----------
    times : CensoredTimes
        The data.
    X : ndarray, shape (n_rows, n_terms)
        Standardised covariates.
    model : TransformationModel
        Makes the columns.

    Returns
    -------
    CensoredRows
        One kind per row.
    """
    lower, upper = times.lower, times.upper
    exact = np.flatnonzero(lower == upper)
    right = np.flatnonzero(np.isinf(upper))
    left = np.flatnonzero((lower == 0) & np.isfinite(upper))
    between = np.flatnonzero((lower > 0) & (lower < upper) & np.isfinite(upper))
    late = np.flatnonzero(times.entry > 0)
    return CensoredRows(
        n_rows=len(lower), exact=exact, right=right, left=left, between=between, late=late,
        exact_point=model.point(lower[exact], X[exact]),
        exact_slope=model.slope(lower[exact], X[exact]),
        exact_log_time=np.log(lower[exact]),
        right_point=model.point(lower[right], X[right]),
        left_point=model.point(upper[left], X[left]),
        lower_point=model.point(lower[between], X[between]),
        upper_point=model.point(upper[between], X[between]),
        late_point=model.point(times.entry[late], X[late]),
    )  # fmt: skip


def fit_transformation(
    times: CensoredTimes,
    X: np.ndarray,
    model: TransformationModel,
    *,
    what: str,
    on_failure: Literal["raise", "warn"],
    objection: Callable[[np.ndarray], str] = lambda _: "",
) -> TransformationFit:
    """Maximise the likelihood and certify the maximum.

    Parameters
    ----------
    times : CensoredTimes
        The data.
    X : ndarray, shape (n_rows, n_terms)
        Standardised covariates.
    model : TransformationModel
        Makes the columns.
    what : str
        The model, for messages: ``"The Weibull model"``.
    on_failure : {"raise", "warn"}
        Whether a fit without a trustworthy maximum is refused.
    objection : callable, optional
        Says of parameters why they are no answer; empty if they are one.

    Returns
    -------
    TransformationFit
        With ``fit_log.converged`` false where it was not certified.

    Raises
    ------
    ConvergenceError
        If no maximum was certified and `on_failure` is "raise".
    DesignError
        If `on_failure` is neither "raise" nor "warn".
    """
    if on_failure not in ("raise", "warn"):
        raise DesignError(f"`on_failure` must be 'raise' or 'warn', got {on_failure!r}.")
    rows = lay_out(times, X, model)
    free = np.flatnonzero(~model.fixed)

    def terms_at(free_theta: np.ndarray) -> LikelihoodTerms:
        theta = model.start.copy()
        theta[free] = free_theta
        terms = censored_terms(theta, rows, model.law)
        return LikelihoodTerms(
            log_likelihood=terms.log_likelihood,
            scores=terms.scores[:, free],
            information=terms.information[np.ix_(free, free)],
        )

    ascent = climb_to_top(terms_at, model.start[free])
    names = [model.names[j] for j in free]
    problem = _problem(ascent, names, model.is_effect[free], what)
    problem = problem or objection(_whole(model, ascent))
    if problem and on_failure == "raise":
        raise ConvergenceError(problem)
    if problem:
        warnings.warn(problem, ConvergenceWarning, stacklevel=3)
    return _fit(times, model, ascent, problem)


def _whole(model: TransformationModel, ascent: Ascent) -> np.ndarray:
    """Return all parameters, the fixed ones among them."""
    theta = model.start.copy()
    theta[~model.fixed] = ascent.parameters
    return theta


def _problem(ascent: Ascent, names: list[str], is_effect: np.ndarray, what: str) -> str:
    """Say why a maximum cannot be trusted; empty if it can."""
    information = ascent.terms.information
    if not (np.isfinite(information).all() and np.isfinite(ascent.terms.log_likelihood)):
        return _no_maximum(what, [])
    size = np.sqrt(np.abs(np.diag(information)))
    lost = is_effect & ~(size > 1 / _RUNAWAY)
    if lost.any():
        return _no_maximum(what, [name for name, gone in zip(names, lost, strict=True) if gone])
    values, vectors = np.linalg.eigh(information / np.outer(size, size))
    if values[0] <= _SINGULAR * values[-1]:
        weak = np.abs(vectors[:, 0]) > _INVOLVED
        return _no_maximum(
            what, [name for name, is_weak in zip(names, weak, strict=True) if is_weak]
        )
    errors = np.sqrt(np.diag(np.linalg.inv(information))) * is_effect
    if errors.max() > _RUNAWAY:
        return _no_maximum(what, [names[int(np.argmax(errors))]])
    decrement = newton_decrement(ascent.terms.scores.sum(axis=0), information)
    if not decrement < _DECREMENT:
        return (
            f"{what} did not converge: the next Newton step would still be "
            f"{np.sqrt(abs(decrement)):.2g} standard errors long. Use fewer parameters; where all "
            "events fall on one time, there is no such model."
        )
    return ""


def _no_maximum(what: str, names: list[str]) -> str:
    """Say that the likelihood rises for ever, and along which parameters."""
    where = f" of {', '.join(names)}" if names else ""
    return (
        f"{what} has no finite estimate{where}: a term separates the subjects with an event from "
        "the others or hardly varies, or all events fall on one time. Leave the term out, or merge "
        "its levels."
    )


def _fit(
    times: CensoredTimes, model: TransformationModel, ascent: Ascent, problem: str
) -> TransformationFit:
    """Collect what the ascent found."""
    free = np.flatnonzero(~model.fixed)
    theta = _whole(model, ascent)
    covariance = np.zeros((len(theta), len(theta)))
    covariance[np.ix_(free, free)] = _covariance(ascent.terms, times.cluster)
    return TransformationFit(
        theta=theta,
        covariance=covariance,
        log_likelihood=ascent.terms.log_likelihood,
        fit_log=FitLog(
            engine="native",
            optimiser="Newton-Raphson",
            converged=not problem,
            message=problem,
            n_evaluations=ascent.n_steps + 1,
            log_likelihood=ascent.terms.log_likelihood,
        ),
    )


def _covariance(terms: LikelihoodTerms, cluster: np.ndarray | None) -> np.ndarray:
    """Return the inverse information, or the sandwich over clusters; missing where there is none.

    The sandwich is that of White (Econometrica 1982;50:1-25. doi:10.2307/1912526).
    """
    if not np.isfinite(terms.information).all():
        return np.full_like(terms.information, np.nan)
    inverse = np.linalg.pinv(terms.information, hermitian=True)
    if cluster is None:
        return inverse
    summed = np.zeros((int(cluster.max()) + 1, terms.scores.shape[1]))
    np.add.at(summed, cluster, terms.scores @ inverse)
    return summed.T @ summed


def estimates_table(
    terms: tuple[str, ...], estimate: np.ndarray, variance: np.ndarray, conf_level: float
) -> pd.DataFrame:
    """Tabulate estimates with Wald tests and intervals.

    Parameters
    ----------
    terms : tuple of str
        Names.
    estimate, variance : ndarray, shape (n_terms,)
        With the squares of their standard errors.
    conf_level : float
        Of the intervals.

    Returns
    -------
    pandas.DataFrame
        ``term estimate std_error statistic p_value conf_low conf_high``; without a test where
        the variance is zero (a fixed parameter).
    """
    std_error = np.sqrt(np.where(variance > 0, variance, np.nan))
    statistic = estimate / std_error
    half = stats.norm.ppf((1 + conf_level) / 2) * std_error
    return pd.DataFrame(
        {
            "term": list(terms),
            "estimate": estimate,
            "std_error": std_error,
            "statistic": statistic,
            "p_value": 2 * stats.norm.sf(np.abs(statistic)),
            "conf_low": estimate - half,
            "conf_high": estimate + half,
        }
    )


def with_ratios(estimates: pd.DataFrame, name: str) -> pd.DataFrame:
    """Add the exponentials of estimates and of their intervals.

    Parameters
    ----------
    estimates : pandas.DataFrame
        ``estimate conf_low conf_high``, on the log scale.
    name : str
        Of the ratio: ``"hazard_ratio"``.

    Returns
    -------
    pandas.DataFrame
        With the columns `name`, and `name` with ``_low`` and ``_high``; infinite where a runaway
        estimate is returned with a warning.
    """
    sources = {name: "estimate", f"{name}_low": "conf_low", f"{name}_high": "conf_high"}
    with np.errstate(over="ignore"):
        return estimates.assign(**{new: np.exp(estimates[old]) for new, old in sources.items()})


def survival_frame(
    fit: TransformationFit,
    model: TransformationModel,
    X: np.ndarray,
    times: np.ndarray,
    conf_level: float,
) -> pd.DataFrame:
    """Estimate survival at some times for some rows of covariates.

    Parameters
    ----------
    fit : TransformationFit
        Parameters.
    model : TransformationModel
        Makes the columns.
    X : ndarray, shape (n, n_terms)
        Standardised covariates.
    times : ndarray, shape (n_times,)
        Not negative.
    conf_level : float
        Of the intervals.

    Returns
    -------
    pandas.DataFrame
        ``row duration survival conf_low conf_high``, all times of the first row first. Intervals
        are symmetric on the scale of the predictor (for Weibull, of log(-log S)).
    """
    row = np.repeat(np.arange(len(X)), len(times))
    at = np.tile(times, len(X))
    with np.errstate(divide="ignore"):
        design = model.point(np.maximum(at, np.finfo(float).tiny), X[row])
    z = design @ fit.theta
    half = stats.norm.ppf((1 + conf_level) / 2) * np.sqrt(
        np.maximum(np.einsum("ij,jk,ik->i", design, fit.covariance, design), 0.0)
    )
    curves = [np.exp(model.law.log_survival(value)) for value in (z, z + half, z - half)]
    survival, low, high = (np.where(at > 0, curve, 1.0) for curve in curves)
    return pd.DataFrame(
        {"row": row, "duration": at, "survival": survival, "conf_low": low, "conf_high": high}
    )
