"""Marginal quantities of a mixed model: slopes over time and means, per group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError
from pmsstats.models.fixed_effects.inference import quantile
from pmsstats.models.fixed_effects.reference_grid import ReferenceGrid, is_level
from pmsstats.models.fixed_effects.slope_groups import (
    level_text,
    reference_notes,
    time_column,
    with_reference,
)
from pmsstats.models.fixed_effects.slopes_result import SlopesResult
from pmsstats.models.formulas.wilkinson import compile_rhs

if TYPE_CHECKING:
    from pmsstats.models.mixed.lmm_result import LMMResult

__all__ = [
    "DAYS_PER_YEAR",
    "SlopesResult",
    "estimate_slopes",
    "individual_slopes",
    "mean_curves",
    "slope_weights",
]

DAYS_PER_YEAR = 365.25
_LINEAR = 1e-8  # share of the change that a straight line may miss by rounding


def estimate_slopes(
    fit: LMMResult,
    *,
    by: str | None = None,
    time: str | None = None,
    over: tuple[float, float] | None = None,
    baseline_time: float | None = None,
    reference: Any = None,
) -> SlopesResult:
    """Estimate the mean slope over time, overall or per group, and its share of baseline.

    Parameters
    ----------
    fit : LMMResult
        A fitted model whose mean changes over time.
    by : str, optional
        Column of the model whose groups are told apart: a factor, or a number with few values.
    time : str, optional
        Time column; by default ``year``, or else that of
        :func:`~pmsstats.models.fixed_effects.slope_groups.time_column`. Slopes are per year for
        ``year`` and ``day``, else per unit of the column.
    over : tuple of float, optional
        Two times: estimate the average slope between them. Needed where the mean is not linear in
        time (splines, polynomials), because there is no one slope then.
    baseline_time : float, optional
        When the baseline mean is taken; by default time 0 where the data reach it, else the first
        time observed.
    reference : str, optional
        Group from which differences are taken; by default the first level of `by`.

    Returns
    -------
    SlopesResult
        One row per group, the reference first, and differences from it (none where the model
        gives all groups one slope).

    Raises
    ------
    DesignError
        If `time` or `by` is not in the fixed part of the model, or change is not linear and `over`
        is absent.

    Notes
    -----
    The estimand is the change per unit of time of the mean outcome in a reference population:
    numeric covariates at their mean over the rows analysed, and all levels of factors with equal
    weight. R: ``emmeans::emtrends(model, ~ group, var = "year")``.

    Percent is ``100 * slope / baseline mean``, with the standard error of that ratio by the delta
    method from the covariance of the fixed effects; where the engine gives degrees of freedom, its
    interval has those of the ratio, which are not the slope's. It is left missing where the
    baseline mean is not clearly away from zero, and for outcomes that are transformed or changes
    already.
    """
    time = time_column(fit, time)
    grid = with_reference(ReferenceGrid.of(fit, by, time), reference)
    slopes, baselines = _slope_weights(fit, grid, over, baseline_time)
    rate = DAYS_PER_YEAR if time == "day" else 1.0
    labels = [level_text(level) for level in grid.groups]
    table = _with_percent(fit, labels, slopes * rate, baselines)
    table["n_subjects"] = [_count_subjects(fit, by, level) for level in grid.groups]
    depends = by is None or len(labels) < 2 or not np.allclose(slopes, slopes[0], equal_nan=True)
    compared = len(labels) if depends else 1
    differences = _with_percent_differences(
        fit, labels[:compared], slopes[:compared] * rate, baselines[:compared]
    )
    return SlopesResult(
        spec=fit.spec,
        by=by,
        time=time,
        over=over,
        baseline_time=grid.baseline_time(baseline_time),
        slopes=table,
        difference_frame=differences,
        label=fit.label,
        unit=fit.unit,
        n_subjects=fit.n_subjects,
        depends_on_group=depends,
        fit_log=fit.fit_log,
        origin=fit.origin,
        exclusions=fit.exclusions,
        notes=(*fit.notes, *reference_notes(fit, by, labels, reference)),
    )


def slope_weights(
    fit: LMMResult,
    *,
    by: str | None,
    time: str,
    over: tuple[float, float] | None,
    reference: Any = None,
) -> tuple[tuple[str, ...], np.ndarray]:
    """Return each group's mean slope as a combination of the fixed effects.

    Parameters
    ----------
    fit : LMMResult
        A fitted model whose mean changes over time.
    by : str, optional
        Column whose groups are told apart.
    time : str
        Time column.
    over : tuple of float, optional
        Two times: the average slope between them.
    reference : str, optional
        Group that comes first; by default the first level of `by`.

    Returns
    -------
    labels : tuple of str
        One per group, the reference first.
    weights : ndarray, shape (n_groups, p)
        Per unit of the time column (per day for ``day``); missing where a slope cannot be
        estimated.

    Raises
    ------
    DesignError
        As :func:`estimate_slopes`.
    """
    grid = with_reference(ReferenceGrid.of(fit, by, time), reference)
    slopes, _ = _slope_weights(fit, grid, over, None)
    return tuple(level_text(level) for level in grid.groups), slopes


def _count_subjects(fit: LMMResult, by: str | None, level: Any) -> int:
    """Count the subjects of a group."""
    data = fit.data
    mine = data if by is None else data[is_level(data[by], level)]
    return int(mine[fit.group].nunique())


def _slope_weights(
    fit: LMMResult,
    grid: ReferenceGrid,
    over: tuple[float, float] | None,
    baseline_time: float | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights of each group's slope and baseline mean: two of shape (n_groups, p)."""
    start, end = _span(grid, over)
    start_weights = [grid.weights(g, [start]) for g in grid.groups]
    end_weights = [grid.weights(g, [end]) for g in grid.groups]
    slopes = (np.vstack(end_weights) - np.vstack(start_weights)) / (end - start)
    if over is None:
        for group, begin, slope in zip(grid.groups, start_weights, slopes, strict=True):
            inside = np.linspace(start, end, 7)[1:-1]
            line = begin + np.outer(inside - start, slope)
            _check_linear(fit, grid, grid.weights(group, inside) - line, slope * (end - start))
    at = grid.baseline_time(baseline_time)
    baselines = np.vstack([grid.weights(g, [at]) for g in grid.groups])
    return fit.design.contrasts(slopes), fit.design.contrasts(baselines)


def _span(grid: ReferenceGrid, over: tuple[float, float] | None) -> tuple[float, float]:
    """Return the two times between which slopes are taken."""
    if over is None:
        times = grid.observed()
        if np.ptp(times) == 0:
            raise DesignError(f"{grid.time!r} is the same in every row, so there is no slope.")
        return float(times.min()), float(times.max())
    start, end = (float(t) for t in over)
    if not (np.isfinite([start, end]).all() and start < end):
        raise DesignError(f"`over` must be two times, the earlier first, got {over!r}.")
    return start, end


def _check_linear(fit: LMMResult, grid: ReferenceGrid, off: np.ndarray, change: np.ndarray) -> None:
    """Refuse to give one slope to a curve."""
    size = max(float(np.abs(change).max()), np.finfo(float).tiny)
    if np.abs(off).max() > _LINEAR * size:
        _refuse_curve(fit, grid)


def _refuse_curve(fit: LMMResult, grid: ReferenceGrid) -> NoReturn:
    """Say that a curve has no one slope, and what to ask for instead."""
    times = grid.observed()
    raise DesignError(
        f"The mean is not a straight line in {grid.time!r} ({fit.spec.fixed}), so it has no one "
        f"slope. Ask for the average slope between two times: "
        f"over=({times.min():.3g}, {times.max():.3g})."
    )


def _with_percent(
    fit: LMMResult, labels: Sequence[str], slopes: np.ndarray, baselines: np.ndarray
) -> pd.DataFrame:
    """Tabulate slopes with baseline means, and with the slopes in percent of these."""
    table = fit.estimate(labels, slopes)
    base = fit.estimate(labels, baselines)
    baseline = base["estimate"].to_numpy()
    can_divide = _may_divide(fit, base["conf_low"].to_numpy(), base["conf_high"].to_numpy())
    gradients = _percent_gradients(fit, slopes, baselines)
    with np.errstate(divide="ignore", invalid="ignore"):
        percent = 100 * table["estimate"].to_numpy() / baseline
    table["baseline"] = baseline
    return _add_percent(fit, table, percent, gradients, can_divide)


def _with_percent_differences(
    fit: LMMResult, labels: Sequence[str], slopes: np.ndarray, baselines: np.ndarray
) -> pd.DataFrame:
    """Tabulate differences of slopes from the first group's, also in percentage points."""
    pairs = [f"{label} - {labels[0]}" for label in labels[1:]]
    table = fit.estimate(pairs, slopes[1:] - slopes[0])
    base = fit.estimate(["" for _ in baselines], baselines)
    good = _may_divide(fit, base["conf_low"].to_numpy(), base["conf_high"].to_numpy())
    gradients = _percent_gradients(fit, slopes, baselines)
    beta = fit.coefficients["estimate"].to_numpy()
    with np.errstate(divide="ignore", invalid="ignore"):
        percent = 100 * (slopes @ beta) / (baselines @ beta)
        change, gradient = percent[1:] - percent[0], gradients[1:] - gradients[0]
    return _add_percent(fit, table, change, gradient, good[1:] & good[0])


def _may_divide(fit: LMMResult, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Say of which baseline means a percentage makes sense."""
    measure = fit.measure
    is_level = measure is None or (measure.kind, measure.scale) == ("level", "ratio")
    is_plain = not compile_rhs(fit.spec.outcome).fragments
    with np.errstate(invalid="ignore"):
        away: np.ndarray = (low > 0) | (high < 0)
    return away & is_level & is_plain


def _percent_gradients(fit: LMMResult, slopes: np.ndarray, baselines: np.ndarray) -> np.ndarray:
    """Differentiate ``100 * slope / baseline`` in the fixed effects: shape (n_groups, p)."""
    beta = fit.coefficients["estimate"].to_numpy()
    slope, baseline = slopes @ beta, baselines @ beta
    with np.errstate(divide="ignore", invalid="ignore"):
        gradients: np.ndarray = (
            100 * (slopes - (slope / baseline)[:, None] * baselines) / baseline[:, None]
        )
    return gradients


def _add_percent(
    fit: LMMResult,
    table: pd.DataFrame,
    percent: np.ndarray,
    gradients: np.ndarray,
    good: np.ndarray,
) -> pd.DataFrame:
    """Add percentages with their intervals; missing where they make no sense.

    A percentage has degrees of freedom of its own, those of its gradient; the column ``df`` is the
    slope's.
    """
    gradients = np.where(good[:, None], gradients, np.nan)
    with np.errstate(invalid="ignore"):
        variance = np.einsum("ma,ab,mb->m", gradients, fit.covariance, gradients)
        std_error = np.sqrt(variance)
    half = quantile(fit.spec.conf_level, fit.inference.df(gradients)) * std_error
    for name, values in (
        ("percent_estimate", percent),
        ("percent_std_error", std_error),
        ("percent_conf_low", percent - half),
        ("percent_conf_high", percent + half),
    ):
        table[name] = np.where(good, values, np.nan)
    return table


def individual_slopes(
    fit: LMMResult, *, time: str | None = None, over: tuple[float, float] | None = None
) -> pd.DataFrame:
    """Predict each subject's own slope and intercept.

    Parameters
    ----------
    fit : LMMResult
        A fitted model whose mean changes over time.
    time : str, optional
        Time column; by default that of
        :func:`~pmsstats.models.fixed_effects.slope_groups.time_column`.
    over : tuple of float, optional
        Two times: give the average slope between them.

    Returns
    -------
    pandas.DataFrame
        The subject's id, ``intercept`` and ``slope``; see
        :meth:`~pmsstats.models.mixed.lmm_result.LMMResult.individual_slopes`.

    Raises
    ------
    DesignError
        If the mean does not depend on `time`, or not linearly and `over` is absent.
    """
    time = time_column(fit, time)
    grid = ReferenceGrid.of(fit, None, time)
    start, end = _span(grid, over)
    rate = DAYS_PER_YEAR if time == "day" else 1.0
    first = fit.data.drop_duplicates(fit.group).reset_index(drop=True)
    modes = fit.blup_frame[list(fit.design.random_names)].to_numpy()
    beta = fit.coefficients["estimate"].to_numpy()

    def at(when: float) -> np.ndarray:
        rows = first.assign(**{time: float(when)})
        fixed = fit.design.fixed_matrix(rows) @ beta
        values: np.ndarray = fixed + (fit.design.random_matrix(rows) * modes).sum(axis=1)
        return values

    low, high = at(start), at(end)
    if over is None:
        off = np.abs(at(0.6 * start + 0.4 * end) - (0.6 * low + 0.4 * high)).max()
        rounding = 1e-11 * np.abs(low).max()
        if off > _LINEAR * max(np.abs(high - low).max(), np.ptp(low)) + rounding:
            _refuse_curve(fit, grid)
    return pd.DataFrame(
        {
            fit.group: fit.blup_frame[fit.group],
            "intercept": at(grid.baseline_time(None)),
            "slope": (high - low) / (end - start) * rate,
        }
    )


def mean_curves(
    fit: LMMResult,
    *,
    by: str | None = None,
    time: str | None = None,
    at: Sequence[float] | None = None,
) -> pd.DataFrame:
    """Estimate the mean over time in the reference population, overall or per group.

    Parameters
    ----------
    fit : LMMResult
        A fitted model.
    by : str, optional
        Column whose groups are told apart.
    time : str, optional
        Time column; by default that of
        :func:`~pmsstats.models.fixed_effects.slope_groups.time_column`.
    at : sequence of float, optional
        Times; by default 25 between the first and the last time of each group.

    Returns
    -------
    pandas.DataFrame
        Columns ``group``, the time column, ``estimate std_error [df] conf_low conf_high``, sorted
        by time within group.

    Raises
    ------
    DesignError
        If `time` or `by` is not in the fixed part of the model.
    """
    time = time_column(fit, time)
    grid = ReferenceGrid.of(fit, by, time)
    parts = []
    for group in grid.groups:
        observed = grid.observed(group)
        times = np.linspace(observed.min(), observed.max(), 25) if at is None else np.asarray(at)
        weights = fit.design.contrasts(grid.weights(group, times.tolist()))
        made = fit.estimate([level_text(group)] * len(times), weights)
        made.insert(1, time, times)
        parts.append(made.drop(columns=["statistic", "p_value"]))
    return pd.concat(parts, ignore_index=True).rename(columns={"term": "group"})
