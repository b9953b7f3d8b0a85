"""Mean cumulative number of events per subject."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from pmsstats.plots.theme import (
    GroupStyle,
    drawable,
    group_levels,
    group_styles,
    legend_above,
    stamp_origin,
    wrapped,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_mean_events"]


def plot_mean_events(
    curves: pd.DataFrame,
    *,
    x_label: str = "Years from baseline",
    y_label: str = "Mean number of events per subject",
    origin: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the mean cumulative number of events as steps, with pointwise intervals.

    Parameters
    ----------
    curves : pandas.DataFrame
        ``group duration mean_events conf_low conf_high``, durations in years and ascending within
        group; optionally ``n`` (subjects of the group) and ``until`` (its longest follow-up, to
        which the last step is drawn). A categorical group fixes order and colours.
    x_label, y_label : str
        Axes.
    origin : {"real", "synthetic"}, optional
        Synthetic data are stamped as such.
    ax : matplotlib.axes.Axes, optional
        The current axes by default.

    Returns
    -------
    matplotlib.axes.Axes
        Its lines with gid ``"mean_events"`` are the curves.
    """
    ax = plt.gca() if ax is None else ax
    levels = group_levels(curves["group"])
    styles = group_styles(levels)
    names = curves["group"].astype(str)
    present = [level for level in levels if (names == level).any()]
    for level in present:
        _draw(ax, curves[names == level], styles[level])
    ax.set(xlabel=drawable(x_label), ylabel=drawable(y_label))
    ax.set_xlim(left=0)
    ax.set_ylim(bottom=0)
    stamp_origin(ax, origin)
    handles = [
        Line2D([], [], color=styles[level].colour, linestyle=styles[level].linestyle)
        for level in present
    ]
    legend_above(
        ax, handles, [wrapped(level, suffix=_n_text(curves[names == level])) for level in present]
    )
    return ax


def _n_text(curve: pd.DataFrame) -> str:
    """Return " (n = ...)", where the frame tells."""
    return f" (n = {int(curve['n'].iloc[0])})" if "n" in curve else ""


def _draw(ax: Axes, curve: pd.DataFrame, style: GroupStyle) -> None:
    """Draw the steps of one group and their interval."""
    values = curve[["duration", "mean_events", "conf_low", "conf_high"]].to_numpy(dtype=float)
    if "until" in curve:
        last = values[-1].copy()
        last[0] = max(float(curve["until"].iloc[-1]), last[0])
        values = np.vstack([values, last])
    duration, mean, low, high = values.T
    ax.fill_between(duration, low, high, step="post", color=style.colour, alpha=0.14, linewidth=0)
    ax.step(duration, mean, where="post", color=style.colour, linewidth=1.8, gid="mean_events")
    ax.lines[-1].set_linestyle(style.linestyle)
