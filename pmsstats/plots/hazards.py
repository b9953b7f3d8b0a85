"""Hazards over time with their interval."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.lines import Line2D

from pmsstats.plots.theme import drawable, group_styles, legend_above, stamp_origin, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_hazards"]


def plot_hazards(
    curves: pd.DataFrame, *, time: str, origin: str | None = None, ax: Axes | None = None
) -> Axes:
    """Draw hazards over time as lines with their interval.

    Parameters
    ----------
    curves : pandas.DataFrame
        ``cause stratum time hazard conf_low conf_high``, one curve per cause and stratum.
    time : str
        Name of the unit of time, for the labels.
    origin : {"real", "synthetic"}, optional
        Synthetic data are stamped as such.
    ax : matplotlib.axes.Axes, optional
        The current axes by default.

    Returns
    -------
    matplotlib.axes.Axes
        Lines have the gid ``"hazard"``.
    """
    ax = plt.gca() if ax is None else ax
    stratum = curves["stratum"].astype(str)
    labels = curves["cause"].astype(str) + (", " + stratum).where(stratum != "", "")
    levels = list(dict.fromkeys(labels))
    styles = group_styles(levels)
    for level in levels:
        curve, style = curves[labels == level], styles[level]
        ax.fill_between(
            curve["time"],
            curve["conf_low"],
            curve["conf_high"],
            color=style.colour,
            alpha=0.14,
            linewidth=0,
        )
        ax.plot(
            curve["time"],
            curve["hazard"],
            color=style.colour,
            linestyle=style.linestyle,
            linewidth=1.8,
            gid="hazard",
        )
    ax.set_yscale("log")
    ax.set(xlabel=drawable(time), ylabel=drawable(f"Hazard per {time} (typical subject)"))
    stamp_origin(ax, origin)
    if len(levels) > 1:
        lines = [
            Line2D([], [], color=styles[level].colour, linestyle=styles[level].linestyle)
            for level in levels
        ]
        legend_above(ax, lines, [wrapped(level) for level in levels])
    return ax
