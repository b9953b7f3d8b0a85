"""Models with an early effect of treatment: piecewise linear, or exponential."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError
from pmsstats.imaging.array_fits import fit_arrays
from pmsstats.imaging.column_labels import quoted
from pmsstats.imaging.early_effect import early_course
from pmsstats.imaging.early_effect_result import EarlyEffectResult
from pmsstats.imaging.early_effect_spec import EARLY, LATE, EarlyEffectSpec
from pmsstats.imaging.tau_profile import profile_tau
from pmsstats.models.formulas.design import require_columns
from pmsstats.models.mixed.lmm import LMMResult, LMMSpec, fit_lmm

if TYPE_CHECKING:
    from pmsstats.provenance import Origin

__all__ = [
    "EarlyEffectResult",
    "EarlyEffectSpec",
    "fit_early_effect",
]

_TAU = "tau_part"


def fit_early_effect(
    data: pd.DataFrame,
    spec: EarlyEffectSpec,
    *,
    engine: str = "native",
    origin: Origin = "real",
) -> EarlyEffectResult:
    """Fit a mixed model with an early effect of treatment beside the slope.

    Parameters
    ----------
    data : pandas.DataFrame
        One row per visit.
    spec : EarlyEffectSpec
        Outcome, arm, and the shape of the early effect.
    engine : str, default "native"
        Of the mixed models; see :func:`~pmsstats.models.mixed.lmm.fit_lmm`.
    origin : {"real", "synthetic"}, default "real"
        Where the data come from; synthetic ones are labelled.

    Returns
    -------
    EarlyEffectResult
        Slopes, early effects, and `tau` with its profile.

    Raises
    ------
    DesignError
        If a column is absent, there is one arm, or no visit lies before or after the knot.
    ConvergenceError
        If a fit does not converge.

    Notes
    -----
    Piecewise: ``mean = a + s_early min(year, knot) + s_late max(year - knot, 0)``, all by arm.
    R: ``lmer(y ~ (pmin(year, knot) + pmax(year - knot, 0)) * arm + (year | subject))``.

    Exponential: ``mean = a + s year + delta (1 - exp(-year / tau))``, `a` and `s` by arm, `delta`
    for each arm that has one. Given `tau` the model is linear, so the likelihood is profiled over
    `tau`: by ML on a grid of 25 values, then by Brent's method around the best. The interval of
    `tau` holds all values whose log-likelihood is within half a chi-squared quantile (1 df) of the
    best. The other estimates are those of ML at the best `tau`; the derivative
    ``-delta year / tau^2 exp(-year / tau)`` enters as a further column, whose coefficient is zero
    there, so that standard errors are those of the nonlinear model (one Gauss-Newton step).
    R: ``nlme::nlme(..., method = "ML")``.

    `tau` is hardly determined unless visits fall within it. Where its interval is wide, a piecewise
    model or a new baseline (:func:`~pmsstats.imaging.rebaseline.rebaseline`) asks less of the data.

    References
    ----------
    .. [1] De Stefano N, Airas L, Grigoriadis N, et al. Clinical relevance of brain volume measures
       in multiple sclerosis. CNS Drugs 2014;28:147-156. doi:10.1007/s40263-014-0140-z.
    """
    require_columns(data, [spec.outcome, spec.by, spec.time])
    levels = _levels(data, spec)
    options = {"engine": engine, "origin": origin}
    fitted = (
        _fit_piecewise(data, spec, options) if spec.shape == "piecewise"
        else _fit_exponential(data, spec, levels, options)
    )  # fmt: skip
    return EarlyEffectResult(
        spec=spec,
        estimates=_estimates(fitted.fit, spec, levels),
        tau=fitted.tau,
        tau_interval=fitted.interval,
        profile=fitted.profile,
        fit=fitted.fit,
        n_subjects=fitted.fit.n_subjects,
        n_obs=fitted.fit.n_obs,
        notes=(*fitted.notes, *fitted.fit.notes),
        origin=origin,
        exclusions=fitted.fit.exclusions,
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class _Fitted:
    """A mixed model, and what was found about `tau`."""

    fit: LMMResult
    tau: float | None = None
    interval: tuple[float, float] | None = None
    profile: pd.DataFrame
    notes: tuple[str, ...] = ()


def _no_profile() -> pd.DataFrame:
    """Return an empty profile."""
    return pd.DataFrame(columns=["tau", "log_likelihood"], dtype=float)


def _levels(data: pd.DataFrame, spec: EarlyEffectSpec) -> list[Any]:
    """List the arms among the rows that can be used, reference first."""
    column = data.loc[data[spec.outcome].notna(), spec.by].dropna()
    if isinstance(column.dtype, pd.CategoricalDtype):
        found = [c for c in column.cat.categories if (column == c).any()]
    else:
        found = sorted(column.unique().tolist(), key=lambda v: (isinstance(v, str), v))
    if len(found) < 2:
        raise DesignError(f"`by` must tell several arms apart, but {spec.by!r} has {found!r}.")
    return found


def _lmm(spec: EarlyEffectSpec, extra: Sequence[str], method: str) -> LMMSpec:
    """Write the mixed model, with further columns."""
    mean = " + ".join([spec.fixed, *extra])
    made = LMMSpec.from_formula(
        f"{quoted(spec.outcome)} ~ {mean} + {spec.random}", conf_level=spec.conf_level
    )
    return replace(made, method=method)  # type: ignore[arg-type]


def _fit_piecewise(data: pd.DataFrame, spec: EarlyEffectSpec, options: dict[str, Any]) -> _Fitted:
    """Fit two straight lines that meet."""
    knot = float(spec.knot or 0.0)
    year = data[spec.time].astype(float)
    seen = year[data[spec.outcome].notna()]
    if not (seen > knot).any() or not ((seen > 0) & (seen <= knot)).any():
        raise DesignError(
            f"`knot` must have visits on both sides, got {knot:g} with visits after baseline from "
            f"{seen[seen > 0].min():g} to {seen.max():g} years."
        )
    parts = {EARLY: np.minimum(year, knot), LATE: np.maximum(year - knot, 0.0)}
    fit = fit_lmm(data.assign(**parts), _lmm(spec, (), "REML"), **options)
    return _Fitted(fit=fit, profile=_no_profile())


def _early_columns(
    data: pd.DataFrame, spec: EarlyEffectSpec, levels: Sequence[Any], course: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the course of the early effect in each arm that has one, zero elsewhere."""
    return {
        f"{EARLY}_{k}": np.where((data[spec.by] == level).to_numpy(), course, 0.0)
        for k, level in enumerate(levels)
        if k > 0 or spec.early_in == "all"
    }


def _fit_exponential(
    data: pd.DataFrame, spec: EarlyEffectSpec, levels: Sequence[Any], options: dict[str, Any]
) -> _Fitted:
    """Fit with `tau` as given, or profile it."""
    year = data[spec.time].to_numpy(dtype=float)

    def fit_at(tau: float, method: str, extra: dict[str, np.ndarray] | None = None) -> LMMResult:
        course = early_course(year, "exponential", tau)
        columns = {**_early_columns(data, spec, levels, course), **(extra or {})}
        return fit_lmm(data.assign(**columns), _lmm(spec, list(columns), method), **options)

    if spec.tau is not None:
        return _Fitted(fit=fit_at(spec.tau, "REML"), tau=spec.tau, profile=_no_profile())

    start = fit_at(math.sqrt(spec.tau_range[0] * spec.tau_range[1]), "ML")
    log_likelihood = _log_likelihood_of_tau(start, spec, levels)
    profile, best, interval = profile_tau(log_likelihood, spec.tau_range, spec.conf_level)
    plain = fit_at(best, "ML")
    slope = _tau_derivative(plain, data, spec, levels, best)
    at_edge = not spec.tau_range[0] * 1.001 < best < spec.tau_range[1] / 1.001
    notes = (
        (("tau lies at the edge of `tau_range`: its likelihood has no maximum inside, and standard "
         "errors take it as known"),)
        if at_edge else ()
    )  # fmt: skip
    fit = plain if at_edge else fit_at(best, "ML", {_TAU: slope})
    return _Fitted(fit=fit, tau=best, interval=interval, profile=profile, notes=notes)


def _log_likelihood_of_tau(
    fit: LMMResult, spec: EarlyEffectSpec, levels: Sequence[Any]
) -> Callable[[float], float]:
    """Return the profile likelihood of log(tau): only the early columns change with it."""
    names, arrays = list(fit.design.fixed_names), fit.design.arrays
    year = fit.data[spec.time].to_numpy(dtype=float)

    def evaluate(log_tau: float) -> float:
        course = early_course(year, "exponential", math.exp(log_tau))
        X = arrays.X.copy()
        for name, values in _early_columns(fit.data, spec, levels, course).items():
            X[:, names.index(name)] = values
        found = fit_arrays(replace(arrays, X=X), reml=False)
        return found.log_likelihood if found.converged else math.nan

    return evaluate


def _tau_derivative(
    fit: LMMResult, data: pd.DataFrame, spec: EarlyEffectSpec, levels: Sequence[Any], tau: float
) -> np.ndarray:
    """Differentiate the mean of each row in `tau`, at the estimates."""
    year = np.maximum(data[spec.time].to_numpy(dtype=float), 0.0)
    change = -year / tau**2 * np.exp(-year / tau)
    delta = fit.coefficients.set_index("term")["estimate"]
    columns = _early_columns(data, spec, levels, change)
    derivative: np.ndarray = sum(
        (float(delta[name]) * values for name, values in columns.items()), np.zeros(len(data))
    )
    return derivative


def _estimates(fit: LMMResult, spec: EarlyEffectSpec, levels: Sequence[Any]) -> pd.DataFrame:
    """Tabulate slopes and early effects per arm, and their differences from the first arm."""
    slopes = {"late slope": LATE, "early slope": EARLY}
    if spec.shape == "exponential":
        slopes = {"slope": spec.time}
    parts = [_slopes(fit, spec, levels, column).assign(quantity=q) for q, column in slopes.items()]
    if spec.shape == "exponential":
        parts.append(_effects(fit, levels))
    made = pd.concat(parts, ignore_index=True)
    return made[["quantity", *[c for c in made.columns if c != "quantity"]]]


def _slopes(
    fit: LMMResult, spec: EarlyEffectSpec, levels: Sequence[Any], column: str
) -> pd.DataFrame:
    """Estimate the coefficient of a column per arm, and differences."""
    names = list(fit.design.fixed_names)
    weights = np.zeros((len(levels), len(names)))
    weights[:, names.index(column)] = 1.0
    for k, level in enumerate(levels[1:], start=1):
        pair = {f"{column}:{spec.by}[T.{level}]", f"{spec.by}[T.{level}]:{column}"}
        weights[k, next(i for i, name in enumerate(names) if name in pair)] = 1.0
    return _with_differences(fit, levels, weights)


def _effects(fit: LMMResult, levels: Sequence[Any]) -> pd.DataFrame:
    """Estimate the early effect per arm; it is zero by assumption where the arm has none."""
    names = list(fit.design.fixed_names)
    weights = np.zeros((len(levels), len(names)))
    for k in range(len(levels)):
        if f"{EARLY}_{k}" in names:
            weights[k, names.index(f"{EARLY}_{k}")] = 1.0
    table = _with_differences(fit, levels, weights).assign(quantity="early effect")
    return table[table["std_error"] > 0]


def _with_differences(fit: LMMResult, levels: Sequence[Any], weights: np.ndarray) -> pd.DataFrame:
    """Estimate combinations, and each one's difference from the first."""
    names = [str(level) for level in levels]
    pairs = [f"{name} - {names[0]}" for name in names[1:]]
    table = fit.estimate([*names, *pairs], np.vstack([weights, weights[1:] - weights[0]]))
    table.insert(1, "is_difference", np.arange(len(table)) >= len(names))
    return table
