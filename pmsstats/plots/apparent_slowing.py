"""Apparent slowing of a slope by treatment, against the size of an early effect."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import pandas as pd

from pmsstats.plots.theme import MUTED, drawable, group_levels, group_styles, legend_above

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_apparent_slowing"]


def plot_apparent_slowing(
    data: pd.DataFrame,
    *,
    truth: float,
    x_label: str,
    y_label: str = "Apparent slowing of the slope, %",
    ax: Axes | None = None,
) -> Axes:
    """Draw a line per analysis, and the true slowing.

    Parameters
    ----------
    data : pandas.DataFrame
        ``analysis early_change slowing_pct``.
    truth : float
        True slowing in percent.
    x_label, y_label : str
        With units.
    ax : matplotlib.axes.Axes, optional
        The current axes by default.

    Returns
    -------
    matplotlib.axes.Axes
        Lines have the analysis as gid; that of the truth is ``"truth"``.
    """
    ax = plt.gca() if ax is None else ax
    ax.axhline(truth, color=MUTED, linewidth=0.9, linestyle=(0, (4, 2)), zorder=1, gid="truth")
    levels = group_levels(data["analysis"])
    styles = group_styles(levels)
    lines = []
    for level in levels:
        mine = data[data["analysis"] == level].sort_values("early_change")
        lines += ax.plot(
            mine["early_change"].to_numpy(dtype=float),
            mine["slowing_pct"].to_numpy(dtype=float),
            color=styles[level].colour, linestyle=styles[level].linestyle, gid=level,
        )  # fmt: skip
    ax.set(xlabel=drawable(x_label), ylabel=drawable(y_label))
    legend_above(ax, lines, [drawable(level) for level in levels])
    return ax
