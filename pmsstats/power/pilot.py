"""Sample size from a fitted pilot study, with an interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from pmsstats.errors import DesignError
from pmsstats.power.mmrm import sample_size_mmrm
from pmsstats.power.mmrm_design import BaselineUse, MMRMDesign
from pmsstats.power.pilot_precision import (
    IntervalMethod,
    lmm_parameter_covariance,
    mmrm_parameter_covariance,
    moment_df,
    ratio_interval,
)
from pmsstats.power.result import PowerResult
from pmsstats.power.schedule import VisitSchedule, retention_of_arms
from pmsstats.power.slope import sample_size_slope
from pmsstats.power.slope_design import SlopeDesign
from pmsstats.power.slope_variance import SlopeModel
from pmsstats.power.solving import check_choice, check_real
from pmsstats.power.visit_covariance import VisitCovariance
from pmsstats.results import format_number

if TYPE_CHECKING:
    from pmsstats.models.mixed.lmm_result import LMMResult
    from pmsstats.models.repeated.mmrm_result import MMRMResult

__all__ = ["sample_size_from_pilot", "slope_model_from_fit"]

_METHODS = ("gls", "hu_mackey_thomas", "edland", "two_scans")
_STEP = 1e-5  # of a standard deviation squared, for differences


@dataclass(frozen=True, kw_only=True)
class _Rate:
    """What the pilot study says about change: in patients, and in excess of healthy people."""

    total: float
    ageing: float | None
    std_error: float

    @property
    def scale(self) -> float:
        """What a slowing is a share of."""
        return self.total if self.ageing is None else self.total - self.ageing


def sample_size_from_pilot(
    fit: LMMResult | MMRMResult,
    *,
    schedule: VisitSchedule | None = None,
    power: float = 0.8,
    effect: float | None = None,
    slowing: float | None = None,
    by: str | None = None,
    patients: str | None = None,
    healthy: str | None = None,
    method: str | None = None,
    dropout: float | tuple[float, float] = 0.0,
    retention: Sequence[float] | Sequence[Sequence[float]] | None = None,
    baseline: BaselineUse = "none",
    interval: IntervalMethod = "pivotal",
    conf_level: float = 0.95,
    alpha: float = 0.05,
    sides: int = 2,
    ratio: float = 1.0,
) -> PowerResult:
    """Say how many subjects a trial needs, by the variances and the rate of a pilot study.

    Parameters
    ----------
    fit : LMMResult or MMRMResult
        A fit with random intercepts and slopes over ``year``, for a trial that compares slopes;
        or a model for repeated measures, for a trial with the same visits that compares means at
        the last one.
    schedule : VisitSchedule, optional
        Visits of the trial, needed where slopes are compared (they may differ from the pilot's).
    power : float, default 0.8
        Wanted.
    effect : float, optional
        Treated minus reference, in units per year (of the outcome, for repeated measures).
    slowing : float, optional
        Instead: share of the pilot's change that treatment prevents, 0 to 1; of the excess over
        healthy people where `healthy` is given.
    by, patients, healthy : str, optional
        Column of groups, and those whose change is slowed, and whose change is ageing. By default
        everybody in the fit is a patient.
    method : {"gls", "hu_mackey_thomas", "edland", "two_scans"}, optional
        How slopes are compared; see :func:`~pmsstats.power.slope.power_slope`.
    dropout : float or pair of float
        For slopes: share of those still in the trial that leaves in each year.
    retention : sequence of float, or a pair of such, optional
        Share still seen at each (analysed) visit instead.
    baseline : {"none", "covariate", "change"}
        For repeated measures: see :func:`~pmsstats.power.mmrm.power_mmrm`. With ``"none"`` the
        fitted outcome is itself the change.
    interval : {"pivotal", "delta"}
        See :func:`~pmsstats.power.pilot_precision.ratio_interval`.
    conf_level : float, default 0.95
        Of the interval.
    alpha, sides : float, int
        Type I error, and sides of the test.
    ratio : float
        Treated per reference subject.

    Returns
    -------
    PowerResult
        With `n_interval` for the subjects in all arms.

    Raises
    ------
    DesignError
        If the fit is of another kind, did not converge, lets slopes vary not at all, or arguments
        contradict each other.

    Notes
    -----
    The variance of the planned contrast is a function of the pilot's variance parameters; its
    degrees of freedom follow from their expected restricted information at the pilot's visits. The
    interval covers the uncertainty of the variances and, for a slowing, of the rate; not that
    patients or scanners of the trial may differ from those of the pilot study.
    """
    from pmsstats.models.mixed.lmm_result import LMMResult
    from pmsstats.models.repeated.mmrm_result import MMRMResult

    given = {name: value for name, value in locals().items() if name not in _CLASSES}
    check_choice("interval", interval, get_args(IntervalMethod))
    check_real("conf_level", conf_level, low=0.0, high=1.0)
    if not isinstance(fit, LMMResult | MMRMResult):
        raise DesignError(
            f"`fit` must be a result of fit_lmm or fit_mmrm, got {type(fit).__name__}."
        )
    if not fit.fit_log.converged:
        raise DesignError("The pilot fit did not converge, so that its variances mean nothing.")
    if (patients is None) != (by is None) or (healthy is not None and by is None):
        raise DesignError(
            "Name groups by all of `by` and `patients` (and `healthy`, for ageing), got "
            f"by={by!r}, patients={patients!r}, healthy={healthy!r}."
        )
    if isinstance(fit, LMMResult):
        return _from_slopes(fit, given)
    return _from_visits(fit, given)


_CLASSES = ("LMMResult", "MMRMResult", "fit")


# --- slopes ---------------------------------------------------------------------------------


def slope_model_from_fit(fit: LMMResult) -> SlopeModel:
    """Take the variances of a fitted mixed model for a design.

    Parameters
    ----------
    fit : LMMResult
        With random intercepts and slopes over ``year`` of one grouping factor.

    Returns
    -------
    SlopeModel
        Its estimates.

    Raises
    ------
    DesignError
        If the model has other random effects, weights or several grouping factors, or slopes are
        estimated not to vary.
    """
    arrays = fit.design.arrays
    names = tuple(fit.design.random_names)
    if set(names) != {"intercept", "year"} or arrays.others or arrays.weights is not None:
        raise DesignError(
            "A pilot fit for slopes must have random intercepts and slopes over year, one grouping "
            f"factor and no weights, like 'y ~ year + (year | {fit.group})'; got "
            f"{fit.spec.formula()!r}."
        )
    frame = fit.variance_components
    found = {(row.term1, row.term2, row.kind): float(row.estimate) for row in frame.itertuples()}
    slope = found["year", "year", "variance"]
    intercept = found["intercept", "intercept", "variance"]
    if slope <= 0:
        raise DesignError(
            "The pilot fit estimates that slopes do not vary between subjects; a number of "
            "subjects from it would count on scan noise alone. Give a SlopeModel with a "
            "`slope_sd` from a larger study to sample_size_slope."
        )
    covariance = found.get(("intercept", "year", "covariance"), 0.0)
    size = math.sqrt(slope * intercept)
    return SlopeModel(
        slope_sd=math.sqrt(slope),
        residual_sd=fit.residual_sd,
        intercept_sd=math.sqrt(intercept),
        correlation=min(max(covariance / size, -1.0), 1.0) if size > 0 else 0.0,
    )


def _from_slopes(fit: LMMResult, given: dict[str, Any]) -> PowerResult:
    """Plan a trial that compares slopes."""
    model, schedule = slope_model_from_fit(fit), given["schedule"]
    method = "gls" if given["method"] is None else given["method"]
    check_choice("method", method, _METHODS)
    if given["baseline"] != "none":
        raise DesignError("`baseline` is for repeated measures; name a `method` for slopes.")
    rate = _slope_rate(fit, given)
    shared = {name: given[name] for name in ("dropout", "retention", "alpha", "sides", "ratio")}
    planned = sample_size_slope(
        schedule=schedule,
        model=model,
        power=given["power"],
        method=method,
        unit=fit.unit or "units of the outcome",
        **_aim(given, rate),
        **shared,
    )
    design = SlopeDesign(schedule=schedule, models=(model, model), method=method, **shared)
    variance, gradient = design.variance_gradient(planned.n)
    df = moment_df(variance, gradient, lmm_parameter_covariance(fit, model))
    return _with_interval(planned, fit, given, rate=rate, df=df, unit=planned.effect_unit)


def _aim(given: dict[str, Any], rate: _Rate) -> dict[str, float | None]:
    """Return the effect as a design takes it."""
    if given["slowing"] is None:
        return {"effect": given["effect"]}
    return {"slowing": given["slowing"], "rate": rate.total, "ageing_rate": rate.ageing}


def _slope_rate(fit: LMMResult, given: dict[str, Any]) -> _Rate:
    """Return the slope of the patients, and of the healthy."""
    by, patients, healthy = given["by"], given["patients"], given["healthy"]
    slopes = fit.slopes(by=by, time="year", reference=healthy)
    rows = slopes.table().set_index("term")
    if by is None:
        own = rows.iloc[0]
        return _Rate(total=own["estimate"], ageing=None, std_error=own["std_error"])
    _check_group("patients", patients, list(rows.index))
    own = rows.loc[str(patients)]
    if healthy is None:
        return _Rate(total=own["estimate"], ageing=None, std_error=own["std_error"])
    excess = slopes.differences()
    row = excess.loc[excess["term"].str.startswith(f"{patients} ")].iloc[0]
    ageing = rows.loc[str(healthy)]["estimate"]
    return _Rate(total=own["estimate"], ageing=ageing, std_error=row["std_error"])


def _check_group(name: str, value: object, groups: list[Any]) -> None:
    """Refuse a group that the fit does not know."""
    if str(value) not in [str(group) for group in groups]:
        listed = ", ".join(str(group) for group in groups)
        raise DesignError(f"`{name}` must be one of {listed}, got {value!r}.")


# --- repeated measures ----------------------------------------------------------------------


def _from_visits(fit: MMRMResult, given: dict[str, Any]) -> PowerResult:
    """Plan a trial that compares means at the last visit."""
    if given["schedule"] is not None or given["dropout"] != 0 or given["method"] is not None:
        raise DesignError(
            "A model for repeated measures plans a trial with the visits of the pilot study: "
            "leave `schedule` and `method` out, and give `retention` instead of `dropout`."
        )
    if len(fit.design.groups) > 1:
        raise DesignError("The pilot fit must have one covariance for all subjects.")
    V, rate = fit.visit_covariance().to_numpy(), _visit_rate(fit, given)
    names = ("baseline", "alpha", "sides", "ratio")
    shared = {name: given[name] for name in names}
    planned = sample_size_mmrm(
        covariance=VisitCovariance.us(V),
        power=given["power"],
        retention=given["retention"],
        unit=fit.unit or "units of the outcome",
        **_aim(given, rate),
        **shared,
    )
    m = len(V) - (given["baseline"] != "none")
    retentions = retention_of_arms(range(m), 0.0, given["retention"])

    def variance_of(matrix: np.ndarray) -> float:
        covariance = VisitCovariance.us(matrix)
        design = MMRMDesign(
            covariances=(covariance, covariance),
            retentions=retentions,
            contrast=(*(0.0,) * (m - 1), 1.0),
            df="normal",
            **shared,
        )
        return design.precision(planned.n)[0]

    gradient = _matrix_gradient(variance_of, V)
    df = moment_df(variance_of(V), gradient, mmrm_parameter_covariance(fit))
    return _with_interval(planned, fit, given, rate=rate, df=df, unit=planned.effect_unit)


def _matrix_gradient(function: Any, V: np.ndarray) -> np.ndarray:
    """Return the derivative in each element of the lower triangle, by central differences."""
    found = []
    for i in range(len(V)):
        for j in range(i + 1):
            step = np.zeros_like(V)
            size = _STEP * float(np.linalg.eigvalsh(V).min())
            step[i, j] = step[j, i] = size
            found.append((function(V + step) - function(V - step)) / (2 * size))
    return np.array(found)


def _visit_rate(fit: MMRMResult, given: dict[str, Any]) -> _Rate:
    """Return the mean change until the last visit, of the patients and of the healthy."""
    by, patients, healthy = given["by"], given["patients"], given["healthy"]
    visit = str(fit.spec.visit)
    means = fit.means(visit if by is None else (by, visit))

    def change(group: object) -> np.ndarray:
        rows = means.contrasts
        if by is not None:
            _check_group("patients", group, list(dict.fromkeys(means.means[by])))
            rows = rows[(means.means[by].astype(str) == str(group)).to_numpy()]
        return np.asarray(rows[-1] - (rows[0] if given["baseline"] != "none" else 0.0))

    own = change(patients)
    weights = own if healthy is None else own - change(healthy)
    table = fit.estimate(["change"], weights[None, :])
    beta = fit.coefficients["estimate"].to_numpy()
    return _Rate(
        total=float(own @ beta),
        ageing=None if healthy is None else float(change(healthy) @ beta),
        std_error=float(table["std_error"].iloc[0]),
    )


# --- the answer -----------------------------------------------------------------------------


def _with_interval(
    planned: PowerResult,
    fit: LMMResult | MMRMResult,
    given: dict[str, Any],
    *,
    rate: _Rate,
    df: float,
    unit: str,
) -> PowerResult:
    """Add what the pilot study leaves open."""
    known = given["slowing"] is None
    low, high = ratio_interval(
        df=df,
        relative_error=0.0 if known else abs(rate.std_error / rate.scale),
        conf_level=given["conf_level"],
        method=given["interval"],
    )
    change = f"{format_number(rate.scale)} {unit}"
    rests = (
        "with the variances"
        if known
        else f"with the variances and the {'excess ' if rate.ageing is not None else ''}change "
        f"({change}, standard error {format_number(rate.std_error)})"
    )
    words = (
        f"{planned.assumptions[:-1]}, {rests} of a pilot study of {fit.n_subjects} subjects, whose "
        "patients and scans are taken to be like those of the trial."
    )
    return replace(
        planned,
        method=f"pilot_{planned.method}",
        assumptions=words,
        inputs=tuple(given.items()),
        n_interval=(low * planned.value, high * planned.value),
        conf_level=given["conf_level"],
        origin=fit.origin,
        exclusions=fit.exclusions,
        details=(
            *planned.details,
            ("pilot_subjects", float(fit.n_subjects), "subjects"),
            ("pilot_change", rate.total, unit),
            ("pilot_change_std_error", rate.std_error, unit),
            ("pilot_df", df, "of the variance"),
        ),
    )
