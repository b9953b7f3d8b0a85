"""What a mixed model's plot and headline show when nothing is named: time, groups, one slope."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError
from pmsstats.models.fixed_effects.margins import DAYS_PER_YEAR, estimate_slopes, mean_curves
from pmsstats.models.fixed_effects.reference_grid import group_levels, is_level
from pmsstats.models.fixed_effects.slope_groups import level_text
from pmsstats.models.fixed_effects.slopes_result import describe_slope, time_words
from pmsstats.models.formulas.wilkinson import compile_rhs

if TYPE_CHECKING:
    from pmsstats.models.mixed.lmm_result import LMMResult

__all__ = [
    "TrajectoryFrames",
    "default_group",
    "default_time",
    "describe_average_slope",
    "trajectory_frames",
]


@dataclass(frozen=True, eq=False, kw_only=True)
class TrajectoryFrames:
    """What a plot of trajectories draws.

    Parameters
    ----------
    data : pandas.DataFrame
        ``subject_id year value`` and, with groups, ``group``.
    fitted : pandas.DataFrame
        ``year estimate conf_low conf_high`` and, with groups, ``group``.
    group : str, optional
        ``"group"`` where there are groups.
    x_label : str
        Of the time axis.
    """

    data: pd.DataFrame
    fitted: pd.DataFrame
    group: str | None
    x_label: str


def trajectory_frames(
    fit: LMMResult, *, by: str | None = None, time: str | None = None
) -> TrajectoryFrames:
    """Collect observed values and fitted means for a plot.

    Parameters
    ----------
    fit : LMMResult
        A fitted model.
    by : str, optional
        Group column; by default the only factor that changes the slope, if there is just one.
    time : str, optional
        Time column; by default the one that the model's slopes are over.

    Returns
    -------
    TrajectoryFrames
        Days are turned to years.

    Raises
    ------
    DesignError
        If the model has no time column, or a named column is not in its fixed part.
    """
    time = time or default_time(fit)
    if time is None:
        raise DesignError(
            f"The model {fit.spec.formula()} has no time column to draw over. Name one: time=..."
        )
    by = by or default_group(fit, time)
    scale = DAYS_PER_YEAR if time == "day" else 1.0
    rows = fit.data
    data = pd.DataFrame(
        {
            "subject_id": rows[fit.group],
            "year": rows[time].to_numpy(dtype=float) / scale,
            "value": fit.design.arrays.y,
        }
    )
    fitted = mean_curves(fit, by=by, time=time).rename(columns={time: "year"})
    fitted["year"] = fitted["year"] / scale
    if by is None:
        fitted = fitted.drop(columns="group")
    else:
        groups = [level_text(level) for level in group_levels(fit, by)]
        data["group"] = pd.Categorical(_shown(rows[by], fit, by), categories=groups, ordered=True)
        fitted["group"] = pd.Categorical(fitted["group"], categories=groups, ordered=True)
    return TrajectoryFrames(
        data=data,
        fitted=fitted,
        group=None if by is None else "group",
        x_label="Years from baseline" if time in {"year", "day"} else time,
    )


def _shown(values: pd.Series, fit: LMMResult, by: str) -> pd.Series:
    """Write each row's group as its level is written."""
    shown = pd.Series("", index=values.index, dtype=object)
    for level in group_levels(fit, by):
        shown[is_level(values, level)] = level_text(level)
    return shown


def default_time(fit: LMMResult) -> str | None:
    """Return the time column of a model.

    Parameters
    ----------
    fit : LMMResult
        A fitted model.

    Returns
    -------
    str or None
        What has a random slope, or else ``year`` or ``day``; None where the mean depends on none.
    """
    numbers = fit.design.fixed.numbers
    random = [name for term in fit.spec.random for name in compile_rhs(term.rhs()).variables]
    named = [*random, "year", "day"]
    return next((name for name in named if name in numbers), None)


def default_group(fit: LMMResult, time: str) -> str | None:
    """Return the factor that changes the slope, if there is just one.

    Parameters
    ----------
    fit : LMMResult
        A fitted model.
    time : str
        Time column.

    Returns
    -------
    str or None
        A column of the fixed part.
    """
    rhs = compile_rhs(fit.spec.fixed)
    columns = {alias: name for (name, _), alias in rhs.aliases.items()}
    found = []
    for term in rhs.terms:
        names = {
            name
            for part in term
            for name in (
                rhs.fragments[part].variables if part in rhs.fragments else [columns.get(part)]
            )
        }
        if time in names:
            levels = fit.design.fixed.levels
            found += [name for name in levels if name in names and len(levels[name]) > 1]
    distinct = list(dict.fromkeys(found))
    return distinct[0] if len(distinct) == 1 else None


def describe_average_slope(fit: LMMResult) -> str | None:
    """Say how the outcome changes on average, where that is one number.

    Parameters
    ----------
    fit : LMMResult
        A fitted model.

    Returns
    -------
    str or None
        For example ``"Thalamus volume fell by 0.06 ml per year (...)"``; None where the model has
        no time column, or the mean is not a straight line, or cannot be estimated.
    """
    time = default_time(fit)
    if time is None:
        return None
    try:
        slopes = estimate_slopes(fit, time=time)
    except DesignError:
        return None
    row = slopes.table().iloc[0]
    if not np.isfinite(row["estimate"]):
        return None
    words = describe_slope(
        row, label=fit.label, unit=fit.unit, per=time_words(time), conf_level=fit.spec.conf_level
    )
    group = default_group(fit, time)
    return f"{words}, averaged over {group}," if group else words
