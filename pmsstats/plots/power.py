"""Power against what it depends on: curves and contours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from pmsstats.errors import DesignError
from pmsstats.plots.theme import (
    INK,
    MUTED,
    PALETTE,
    SINGLE_GROUP,
    drawable,
    group_levels,
    group_styles,
    legend_above,
    stamp_origin,
    wrapped,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_power_contours", "plot_power_curve"]

_LEVELS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
_BOLD_LEVEL = 0.8  # the power that most trials are planned for


def plot_power_curve(
    data: pd.DataFrame,
    *,
    x: str = "n",
    y: str = "power",
    group: str | None = None,
    x_label: str = "Subjects in all arms",
    y_label: str = "Power",
    group_label: str | None = None,
    mark: tuple[float, float] | None = None,
    origin: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw power, or another quantity, against what it depends on.

    Parameters
    ----------
    data : pandas.DataFrame
        Columns `x`, `y` and, if asked for, `group` (a categorical fixes order and colours). Rows
        without a value are left open.
    x, y : str
        Names of the columns.
    group : str, optional
        Column with one line per value.
    x_label, y_label : str
        With units.
    group_label : str, optional
        What the groups are, said in front of each value.
    mark : pair of float, optional
        A chosen design, ``(x, y)``: drawn as a point with lines to both axes.
    origin : {"real", "synthetic"}, optional
        Synthetic data are stamped as such.
    ax : matplotlib.axes.Axes, optional
        The current axes by default.

    Returns
    -------
    matplotlib.axes.Axes
        With one line per group (gid ``"curve"``) and, for a marked design, one of gid ``"mark"``.
    """
    ax = plt.gca() if ax is None else ax
    groups = pd.Series(SINGLE_GROUP, data.index) if group is None else data[group]
    styles = group_styles(group_levels(groups))
    names = groups.astype(str)
    present = [level for level in styles if (names == level).any()]
    for level in present:
        rows = data[names == level].sort_values(x, kind="stable")
        style = {"color": styles[level].colour, "linestyle": styles[level].linestyle}
        ax.plot(rows[x].to_numpy(float), rows[y].to_numpy(float), gid="curve", **style)
    if y == "power":
        _draw_power_axis(ax)
    _draw_mark(ax, mark)
    ax.set(xlabel=wrapped(x_label, 60), ylabel=wrapped(y_label, 44))
    stamp_origin(ax, origin)
    if group is not None:
        lead = f"{group_label} " if group_label else ""
        handles = [
            Line2D([], [], color=styles[g].colour, linestyle=styles[g].linestyle) for g in present
        ]
        legend_above(ax, handles, [wrapped(f"{lead}{level}") for level in present])
    return ax


def _draw_power_axis(ax: Axes) -> None:
    """Let the power run from 0 to 100 %."""
    ax.set_ylim(0, 1.02)
    ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))


def _draw_mark(ax: Axes, mark: tuple[float, float] | None) -> None:
    """Draw a chosen design, with lines to both axes."""
    if mark is None:
        return
    x, y = mark
    dashes = {"color": MUTED, "linewidth": 0.9, "linestyle": (0, (4, 2)), "zorder": 1}
    left, bottom = ax.get_xlim()[0], ax.get_ylim()[0]
    ax.plot([left, x, x], [y, y, bottom], scalex=False, scaley=False, gid="guide", **dashes)
    ax.plot([x], [y], "o", color=INK, markersize=5, zorder=4, gid="mark", linestyle="none")


def plot_power_contours(
    data: pd.DataFrame,
    *,
    x: str,
    y: str,
    value: str = "power",
    x_label: str | None = None,
    y_label: str | None = None,
    value_label: str = "Power",
    levels: tuple[float, ...] | None = None,
    origin: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw lines of equal power, or of another quantity, over two arguments.

    Parameters
    ----------
    data : pandas.DataFrame
        Columns `x`, `y` and `value`, one row per pair of values of a full grid.
    x, y, value : str
        Names of the columns.
    x_label, y_label : str, optional
        With units; the names of the columns by default.
    value_label : str, default "Power"
        What the lines are of.
    levels : tuple of float, optional
        Which lines; by default powers of 50 to 95 %, and for other quantities what suits them.
    origin : {"real", "synthetic"}, optional
        Synthetic data are stamped as such.
    ax : matplotlib.axes.Axes, optional
        The current axes by default.

    Returns
    -------
    matplotlib.axes.Axes
        The line of 80 % power is thicker; missing values are left blank.

    Raises
    ------
    DesignError
        If the grid has holes or repeats, or fewer than two values along an axis.
    """
    ax = plt.gca() if ax is None else ax
    grid = _full_grid(data, x, y, value)
    is_power = value == "power"
    options: dict[str, Any] = {"levels": levels or (_LEVELS if is_power else 7)}
    z = np.ma.masked_invalid(grid.to_numpy(float))
    across, up = grid.columns.to_numpy(float), grid.index.to_numpy(float)
    drawn = ax.contour(across, up, z, colors=PALETTE[0], **options)
    widths = [2.6 if is_power and np.isclose(v, _BOLD_LEVEL) else 1.2 for v in drawn.levels]
    drawn.set_linewidths(widths)
    percent = {v: f"{100 * v:.0f} %" for v in drawn.levels}
    ax.clabel(drawn, fmt=percent if is_power else "%g", fontsize=7, colors=INK)
    ax.set(xlabel=wrapped(x_label or x, 60), ylabel=wrapped(y_label or y, 44))
    ax.set_title(drawable(f"Lines of equal {value_label[:1].lower()}{value_label[1:]}"), loc="left")
    stamp_origin(ax, origin)
    return ax


def _full_grid(data: pd.DataFrame, x: str, y: str, value: str) -> pd.DataFrame:
    """Return values with one row per value of y and one column per value of x."""
    n_x, n_y = data[x].nunique(), data[y].nunique()
    repeats = int(data.duplicated([x, y]).sum())
    if repeats or n_x < 2 or n_y < 2 or len(data) != n_x * n_y:
        raise DesignError(
            f"Contours need each pair of `{x}` and `{y}` once, at least two values of each, but "
            f"{len(data)} rows hold {n_x} values of `{x}` and {n_y} of `{y}`, with {repeats} "
            "repeated pairs. Give a full grid."
        )
    return data.pivot_table(index=y, columns=x, values=value, dropna=False)
