"""From the maximum of a multi-state model to what is reported: values with standard errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import stats

from pmsstats.errors import DesignError
from pmsstats.models.kernels.states_plan import StatesPlan
from pmsstats.models.states.multistate_layout import complex_step, kernel

if TYPE_CHECKING:
    from pmsstats.models.states.multistate_data import Covariates
    from pmsstats.models.states.multistate_layout import Layout

__all__ = [
    "Estimates",
    "coefficient_table",
    "covariate_row",
    "estimate",
    "probabilities_at",
    "rates_of_leaving",
]

_LINKS = {
    "identity": (lambda x: x, np.ones_like, lambda x: x),
    "log": (np.log, lambda x: 1 / x, np.exp),
    "logit": (
        lambda x: np.log(x / (1 - x)),
        lambda x: 1 / (x * (1 - x)),
        lambda x: 1 / (1 + np.exp(-x)),
    ),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Estimates:
    """Values that follow from the parameters.

    Parameters
    ----------
    estimate, std_error, conf_low, conf_high : ndarray, shape (n,)
        On their natural scale; the interval is symmetric on the scale of the link.
    """

    estimate: np.ndarray
    std_error: np.ndarray
    conf_low: np.ndarray
    conf_high: np.ndarray

    def columns(self) -> dict[str, np.ndarray]:
        """Return the canonical columns."""
        return {
            "estimate": self.estimate,
            "std_error": self.std_error,
            "conf_low": self.conf_low,
            "conf_high": self.conf_high,
        }


def estimate(
    function: Callable[[np.ndarray], np.ndarray],
    theta: np.ndarray,
    covariance: np.ndarray,
    *,
    link: str,
    conf_level: float,
) -> Estimates:
    """Estimate a function of the parameters by the delta method.

    Parameters
    ----------
    function : callable
        Of a real or complex vector of parameters; returns shape (n,).
    theta : ndarray, shape (n_parameters,)
        Estimates.
    covariance : ndarray, shape (n_parameters, n_parameters)
        Theirs.
    link : {"identity", "log", "logit"}
        On which scale the interval is symmetric.
    conf_level : float
        Of the intervals.

    Returns
    -------
    Estimates
        Values that cannot vary (a probability of 0 or 1) are their own interval.
    """
    value = np.asarray(function(theta), dtype=float)
    slopes = complex_step(function, theta)
    std_error = np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", slopes, covariance, slopes), 0.0))
    there, slope, back = _LINKS[link]
    half = stats.norm.ppf((1 + conf_level) / 2) * std_error
    is_fixed = (value <= 0) | ((value >= 1) if link == "logit" else np.zeros(len(value), bool))
    is_fixed &= link != "identity"
    inside = np.where(is_fixed, 0.5, value)
    half = half * np.abs(slope(inside))
    low = np.minimum(back(there(inside) - half), inside)  # not beyond it by rounding
    high = np.maximum(back(there(inside) + half), inside)
    return Estimates(
        estimate=value,
        std_error=std_error,
        conf_low=np.where(is_fixed, value, low),
        conf_high=np.where(is_fixed, value, high),
    )


def coefficient_table(
    layout: Layout, theta: np.ndarray, covariance: np.ndarray, conf_level: float
) -> pd.DataFrame:
    """Tabulate every parameter, per unit of its covariate.

    Parameters
    ----------
    layout : Layout
        Of the parameters.
    theta : ndarray, shape (n_parameters,)
        Estimates.
    covariance : ndarray, shape (n_parameters, n_parameters)
        Theirs.
    conf_level : float
        Of the intervals.

    Returns
    -------
    pandas.DataFrame
        ``kind term estimate std_error statistic p_value conf_low conf_high value value_low
        value_high``; see :class:`~pmsstats.models.states.multistate_result.MultistateResult`.
    """
    unit = np.array([p.unit for p in layout.parameters])
    kind = np.array([p.kind for p in layout.parameters])
    value, std_error = theta / unit, np.sqrt(np.diag(covariance)) / unit
    half = stats.norm.ppf((1 + conf_level) / 2) * std_error
    is_effect = np.char.endswith(kind.astype(str), "effect")
    statistic = np.where(is_effect, value / std_error, np.nan)
    with np.errstate(over="ignore"):
        natural = np.exp([value, value - half, value + half])
    for name, function in (
        ("misclassification", lambda t: _error_probabilities(layout, t)),
        ("initial", lambda t: layout.initial(t)[list(layout.initial_states[1:])]),
    ):
        if (kind == name).any():
            found = estimate(function, theta, covariance, link="logit", conf_level=conf_level)
            natural[:, kind == name] = [found.estimate, found.conf_low, found.conf_high]
    return pd.DataFrame(
        {
            "kind": kind,
            "term": [p.term for p in layout.parameters],
            "estimate": value,
            "std_error": std_error,
            "statistic": statistic,
            "p_value": 2 * stats.norm.sf(np.abs(statistic)),
            "conf_low": value - half,
            "conf_high": value + half,
            "value": natural[0],
            "value_low": natural[1],
            "value_high": natural[2],
        }
    )


def _error_probabilities(layout: Layout, theta: np.ndarray) -> np.ndarray:
    """Return the probability of each error of rating at the means of its covariates."""
    emission = layout.emissions(theta, np.zeros((1, layout.W.shape[1])))[0]
    true, seen = np.array(layout.pairs).T
    return emission[true, seen]


def covariate_row(
    covariates: Covariates, at: Mapping[str, Any] | None, argument: str
) -> np.ndarray:
    """Return one standardised row of covariates.

    Parameters
    ----------
    covariates : Covariates
        Of the data.
    at : mapping of str to value, or None
        Every column that the formula reads; None for the means.
    argument : str
        What to call `at` in messages.

    Returns
    -------
    ndarray, shape (1, n_columns)
        Zeros for the means.

    Raises
    ------
    DesignError
        If a column is missing from `at`, or there are no covariates.
    """
    if at is None:
        return np.zeros((1, len(covariates.terms)))
    if covariates.design is None:
        raise DesignError(f"`{argument}` gives covariates, but the model has none.")
    missing = [name for name in covariates.design.variables if name not in at]
    if missing:
        raise DesignError(
            f"`{argument}` must give every covariate of the model; {', '.join(missing)} missing. "
            "None stands for the means."
        )
    X = covariates.design.matrix(pd.DataFrame([dict(at)])).drop(
        columns="Intercept", errors="ignore"
    )
    return (X.to_numpy() - covariates.mean) / covariates.scale


def probabilities_at(
    layout: Layout, theta: np.ndarray, X: np.ndarray, times: Sequence[float]
) -> np.ndarray:
    """Return the probabilities of all states after some times.

    Parameters
    ----------
    layout : Layout
        Of the parameters.
    theta : ndarray, shape (n_parameters,)
        Real or complex.
    X : ndarray, shape (n_patterns, n_covariates)
        Standardised.
    times : sequence of float
        Not negative.

    Returns
    -------
    ndarray, shape (n_patterns, n_times, S, S)
        From state (rows) to state.

    Raises
    ------
    DesignError
        If a time is negative, or too long to be computed.
    """
    at = np.asarray(times, dtype=float)
    if not (np.isfinite(at).all() and (at >= 0).all()):
        raise DesignError(f"`times` must be finite and not negative, got {list(times)!r}.")
    n, T = len(X), len(at)
    plan: StatesPlan = layout.plan._replace(
        interval_time=np.tile(at, n),
        interval_pattern=np.repeat(np.arange(n), T),
        pattern_start=np.arange(n + 1) * T,
    )
    P, is_valid = kernel().transition_matrices(plan, layout.log_intensities(theta, X))
    if not is_valid:
        raise DesignError(f"`times` reach too far to be computed, got up to {at.max():g}.")
    return P.reshape(n, T, plan.n_states, plan.n_states)


def rates_of_leaving(layout: Layout, theta: np.ndarray, X: np.ndarray) -> np.ndarray:
    """Return the intensity of leaving every state.

    Parameters
    ----------
    layout : Layout
        Of the parameters.
    theta : ndarray, shape (n_parameters,)
        Real or complex.
    X : ndarray, shape (1, n_covariates)
        Standardised.

    Returns
    -------
    ndarray, shape (S,)
        0 for a state that nothing leaves.
    """
    rate = np.exp(layout.log_intensities(theta, X))[0]
    total = np.zeros(layout.plan.n_states, rate.dtype)
    np.add.at(total, layout.plan.origin, rate)
    return total
