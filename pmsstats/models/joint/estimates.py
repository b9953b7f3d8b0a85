"""Estimates of a joint model in the units of the data, with standard errors by the delta method."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import stats

if TYPE_CHECKING:
    from pmsstats.models.joint.layout import JointDesign
    from pmsstats.models.joint.scale import NaturalParameters

__all__ = [
    "Quantities",
    "association_frame",
    "derivative",
    "estimate_quantities",
    "interval_frame",
    "linear_labels",
    "linear_vector",
    "variance_frame",
]

_STEP = 1e-30  # of complex steps: no difference is taken, so that nothing cancels
_WITH_RATIO = ("association", "hazard")


@dataclass(frozen=True, kw_only=True, eq=False)
class Quantities:
    """Functions of the parameters, with their covariance.

    Parameters
    ----------
    estimate : ndarray, shape (k,)
        Their values.
    covariance : ndarray, shape (k, k)
        By the delta method.
    """

    estimate: np.ndarray
    covariance: np.ndarray

    @property
    def std_error(self) -> np.ndarray:
        """Return their standard errors: shape (k,)."""
        return np.sqrt(np.maximum(np.diag(self.covariance), 0.0))


def derivative(function: Callable[[np.ndarray], np.ndarray], theta: np.ndarray) -> np.ndarray:
    """Differentiate a function by complex steps.

    Parameters
    ----------
    function : callable
        Of complex vectors; analytic.
    theta : ndarray, shape (n,)
        Where.

    Returns
    -------
    ndarray, shape (k, n)
        Exact to rounding.

    References
    ----------
    .. [1] Squire W, Trapp G. Using complex variables to estimate derivatives of real functions.
       SIAM Rev 1998;40:110-112. doi:10.1137/S003614459631241X.
    """
    steps = _STEP * 1j * np.eye(len(theta))
    return np.column_stack([function(theta + step).imag / _STEP for step in steps])


def estimate_quantities(
    function: Callable[[np.ndarray], np.ndarray], theta: np.ndarray, covariance: np.ndarray
) -> Quantities:
    """Estimate functions of the parameters.

    Parameters
    ----------
    function : callable
        Of the parameters of the fit; takes complex ones.
    theta : ndarray, shape (n,)
        Parameters of the fit.
    covariance : ndarray, shape (n, n)
        Theirs.

    Returns
    -------
    Quantities
        Values and covariance.
    """
    J = derivative(function, theta)
    return Quantities(estimate=function(theta), covariance=J @ covariance @ J.T)


def linear_vector(design: JointDesign, theta: np.ndarray) -> np.ndarray:
    """Collect fixed effects, associations and hazard coefficients in the units of the data.

    Parameters
    ----------
    design : JointDesign
        Of the model.
    theta : ndarray, shape (n,)
        Parameters of the fit.

    Returns
    -------
    ndarray, shape (k,)
        In the order of :func:`linear_labels`.
    """
    natural = design.scale.natural(theta)
    return np.concatenate(
        [natural.beta, natural.alpha.ravel(), *_covariates_first(design, natural)]
    )


def _covariates_first(design: JointDesign, natural: NaturalParameters) -> list[np.ndarray]:
    """Put the coefficients of covariates before those of the baseline."""
    n = [len(constant) for constant in design.scale.constants]
    covariates = [psi[k:] for psi, k in zip(natural.psi, n, strict=True)]
    return covariates + [psi[:k] for psi, k in zip(natural.psi, n, strict=True)]


def linear_labels(design: JointDesign) -> pd.DataFrame:
    """Name fixed effects, associations and hazard coefficients.

    Parameters
    ----------
    design : JointDesign
        Of the model.

    Returns
    -------
    pandas.DataFrame
        ``part marker cause term``; empty text where a column does not apply.
    """
    rows: list[tuple[str, str, str, str]] = []
    for marker in design.markers:
        rows += [("longitudinal", marker.name, "", name) for name in marker.mixed.fixed_names]
    for cause in design.causes:
        rows += [
            ("association", design.markers[link.marker].name, cause, link.name)
            for link in design.links
        ]
    for cause in design.causes:
        rows += [("hazard", "", cause, name) for name in design.hazard.covariate_names]
    for cause, baseline in zip(design.causes, design.hazard.baselines, strict=True):
        for level in design.hazard.levels:
            where = f" in {design.hazard.strata}={level}" if design.hazard.strata else ""
            rows += [("baseline", "", cause, f"{name}{where}") for name in baseline.names]
    return pd.DataFrame(rows, columns=["part", "marker", "cause", "term"])


def interval_frame(labels: pd.DataFrame, found: Quantities, conf_level: float) -> pd.DataFrame:
    """Tabulate estimates with normal intervals; hazard ratios where they make sense.

    Parameters
    ----------
    labels : pandas.DataFrame
        ``part marker cause term``.
    found : Quantities
        In the same order.
    conf_level : float
        Of the intervals.

    Returns
    -------
    pandas.DataFrame
        The labels, then ``estimate std_error statistic p_value conf_low conf_high hazard_ratio
        hazard_ratio_low hazard_ratio_high``.
    """
    frame = labels.copy()
    z = stats.norm.isf((1 - conf_level) / 2)
    se = found.std_error
    frame["estimate"], frame["std_error"] = found.estimate, se
    with np.errstate(divide="ignore", invalid="ignore"):
        frame["statistic"] = found.estimate / se
    frame["p_value"] = 2 * stats.norm.sf(np.abs(frame["statistic"]))
    frame["conf_low"], frame["conf_high"] = found.estimate - z * se, found.estimate + z * se
    has_ratio = frame["part"].isin(_WITH_RATIO)
    pairs = {
        "hazard_ratio": "estimate",
        "hazard_ratio_low": "conf_low",
        "hazard_ratio_high": "conf_high",
    }
    with np.errstate(over="ignore"):
        for name, column in pairs.items():
            frame[name] = np.exp(frame[column]).where(has_ratio)
    baseline = frame["part"] == "baseline"  # a level of zero is no hypothesis
    frame.loc[baseline, ["statistic", "p_value"]] = np.nan
    return frame


def variance_frame(
    design: JointDesign, theta: np.ndarray, covariance: np.ndarray, conf_level: float
) -> pd.DataFrame:
    """Tabulate standard deviations and correlations with intervals.

    Parameters
    ----------
    design : JointDesign
        Of the model.
    theta : ndarray, shape (n,)
        Parameters of the fit.
    covariance : ndarray, shape (n, n)
        Theirs.
    conf_level : float
        Of the intervals.

    Returns
    -------
    pandas.DataFrame
        ``part marker term kind estimate std_error conf_low conf_high``; intervals on the scale
        of the logarithm of standard deviations, and of the inverse hyperbolic tangent of
        correlations.
    """
    found = estimate_quantities(partial(_spreads, design), theta, covariance)
    labels = _spread_labels(design)
    z = stats.norm.isf((1 - conf_level) / 2)
    is_sd = (labels["kind"] != "correlation").to_numpy()
    low, high = (found.estimate + sign * z * found.std_error for sign in (-1, 1))
    turned = np.where(is_sd, np.exp(found.estimate), np.tanh(found.estimate))
    rate = np.where(is_sd, turned, 1 - turned**2)
    return labels.assign(
        estimate=turned,
        std_error=found.std_error * rate,
        conf_low=np.where(is_sd, np.exp(low), np.tanh(low)),
        conf_high=np.where(is_sd, np.exp(high), np.tanh(high)),
    )


def _spreads(design: JointDesign, theta: np.ndarray) -> np.ndarray:
    """Collect log standard deviations, transformed correlations, log residual deviations."""
    natural = design.scale.natural(theta)
    sd = np.sqrt(np.diag(natural.D))
    rows, columns = np.tril_indices(len(sd), -1)
    rho = natural.D[rows, columns] / (sd[rows] * sd[columns])
    atanh = 0.5 * (np.log(1 + rho) - np.log(1 - rho))
    return np.concatenate([np.log(sd), atanh, np.log(natural.sigma)])


def _spread_labels(design: JointDesign) -> pd.DataFrame:
    """Name standard deviations and correlations."""
    names = [(m.name, name) for m in design.markers for name in m.mixed.random_names]
    several = len(design.markers) > 1
    shown = [f"{name}({marker})" if several else name for marker, name in names]
    rows = [("variance", marker, f"sd({name})", "sd") for marker, name in names]
    for i, j in zip(*np.tril_indices(len(names), -1), strict=True):
        owner = names[i][0] if names[i][0] == names[j][0] else ""
        rows.append(("variance", owner, f"cor({shown[j]}, {shown[i]})", "correlation"))
    rows += [("variance", m.name, "sd(residual)", "residual sd") for m in design.markers]
    return pd.DataFrame(rows, columns=["part", "marker", "term", "kind"])


def association_frame(
    design: JointDesign,
    moments: np.ndarray,
    theta: np.ndarray,
    covariance: np.ndarray,
    conf_level: float,
) -> pd.DataFrame:
    """Tabulate associations per standard deviation of what they are with.

    Parameters
    ----------
    design : JointDesign
        Of the model.
    moments : ndarray, shape (n_links, q, q)
        By which D is weighted to give the variance of each associated quantity.
    theta : ndarray, shape (n,)
        Parameters of the fit.
    covariance : ndarray, shape (n, n)
        Theirs.
    conf_level : float
        Of the intervals.

    Returns
    -------
    pandas.DataFrame
        ``sd estimate_per_sd std_error_per_sd hazard_ratio_per_sd hazard_ratio_per_sd_low
        hazard_ratio_per_sd_high``, one row per cause and association.
    """

    def per_sd(vector: np.ndarray) -> np.ndarray:
        natural = design.scale.natural(vector)
        return np.asarray((natural.alpha * _link_sd(moments, natural)).ravel())

    found = estimate_quantities(per_sd, theta, covariance)
    z = stats.norm.isf((1 - conf_level) / 2)
    low, high = (found.estimate + sign * z * found.std_error for sign in (-1, 1))
    sd = _link_sd(moments, design.scale.natural(theta))
    return pd.DataFrame(
        {
            "sd": np.tile(sd, len(design.causes)),
            "estimate_per_sd": found.estimate,
            "std_error_per_sd": found.std_error,
            "hazard_ratio_per_sd": np.exp(found.estimate),
            "hazard_ratio_per_sd_low": np.exp(low),
            "hazard_ratio_per_sd_high": np.exp(high),
        }
    )


def _link_sd(moments: np.ndarray, natural: NaturalParameters) -> np.ndarray:
    """Return the standard deviation between subjects of each associated quantity."""
    return np.asarray(np.sqrt(np.einsum("mij,ij->m", moments, natural.D)))
