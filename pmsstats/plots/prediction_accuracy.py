"""Accuracy of predictions over landmarks, and observed against predicted risk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from pmsstats.plots.theme import (
    MUTED,
    drawable,
    group_levels,
    group_styles,
    legend_above,
    stamp_origin,
    wrapped,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_prediction_accuracy", "plot_prediction_calibration"]

_SPREAD = 0.5  # of the distance between landmarks that the models of one landmark fill


def plot_prediction_accuracy(
    data: pd.DataFrame,
    *,
    x_label: str = "Landmark",
    y_label: str = "AUC",
    neutral: float | None = None,
    origin: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw a measure with its interval, by landmark and model.

    Parameters
    ----------
    data : pandas.DataFrame
        ``landmark model estimate conf_low conf_high n_subjects n_events``; a categorical model
        fixes order and colours.
    x_label, y_label : str
        Axes.
    neutral : float, optional
        Value of no use or no error, drawn as a line.
    origin : {"real", "synthetic"}, optional
        Synthetic data are stamped as such.
    ax : matplotlib.axes.Axes, optional
        The current axes by default.

    Returns
    -------
    matplotlib.axes.Axes
        Landmarks are at x = 0, 1, ..., labelled with subjects and events; the models of one
        landmark stand side by side.
    """
    ax = plt.gca() if ax is None else ax
    landmarks = np.unique(data["landmark"])
    levels = group_levels(data["model"])
    styles = group_styles(levels)
    if neutral is not None:
        ax.axhline(neutral, color=MUTED, linewidth=0.8, linestyle="dashed", zorder=1)
    shifts = _SPREAD * (np.arange(len(levels)) - (len(levels) - 1) / 2) / max(len(levels), 2)
    for level, shift in zip(levels, shifts, strict=True):
        mine = data[data["model"].astype(str) == level]
        x = np.searchsorted(landmarks, mine["landmark"]) + shift
        low, mid, high = (mine[c].to_numpy(float) for c in ("conf_low", "estimate", "conf_high"))
        ax.vlines(x, low, high, color=styles[level].colour, linewidth=1.4)
        ax.plot(x, mid, "o", color=styles[level].colour, markersize=5, gid=level)
    once = data.drop_duplicates("landmark").set_index("landmark").loc[landmarks]
    labels = [
        f"{landmark:g}\n{events} of {n}"
        for landmark, n, events in zip(landmarks, once["n_subjects"], once["n_events"], strict=True)
    ]
    ax.set_xticks(np.arange(len(landmarks)), labels)
    ax.set_xlim(-0.6, len(landmarks) - 0.4)
    ax.set_xlabel(drawable(x_label) + "\nevents of subjects at risk")
    ax.set_ylabel(drawable(y_label))
    stamp_origin(ax, origin)
    handles = [Line2D([], [], color=styles[v].colour, marker="o") for v in levels]
    legend_above(ax, handles, [wrapped(level) for level in levels])
    return ax


def plot_prediction_calibration(
    data: pd.DataFrame,
    *,
    x_label: str = "Predicted risk",
    y_label: str = "Observed risk",
    origin: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw observed against predicted risk in groups of predicted risk.

    Parameters
    ----------
    data : pandas.DataFrame
        ``model predicted observed conf_low conf_high n_subjects``, one row per group; a
        categorical model fixes order and colours.
    x_label, y_label : str
        Axes; risks are shown in percent.
    origin : {"real", "synthetic"}, optional
        Synthetic data are stamped as such.
    ax : matplotlib.axes.Axes, optional
        The current axes by default.

    Returns
    -------
    matplotlib.axes.Axes
        Perfect predictions lie on the dashed diagonal; above it, too few events were predicted.
    """
    ax = plt.gca() if ax is None else ax
    levels = group_levels(data["model"])
    styles = group_styles(levels)
    names = data["model"].astype(str)
    for level in levels:
        mine = data[names == level].sort_values("predicted")
        colour = styles[level].colour
        ax.vlines(mine["predicted"], mine["conf_low"], mine["conf_high"], color=colour, alpha=0.6)
        ax.plot(
            mine["predicted"], mine["observed"], color=colour, marker="o", markersize=4.5,
            linestyle=styles[level].linestyle, linewidth=1.2, gid=level,
        )  # fmt: skip
    top = np.nanmax(data[["predicted", "observed", "conf_high"]].to_numpy(float))
    end = min(1.0, 1.05 * float(top))
    ax.plot([0, end], [0, end], color=MUTED, linewidth=0.8, linestyle="dashed", zorder=1)
    ax.set(xlim=(0, end), ylim=(0, end))
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    ax.set(xlabel=drawable(x_label), ylabel=drawable(y_label))
    stamp_origin(ax, origin)
    handles = [Line2D([], [], color=styles[v].colour, marker="o") for v in levels]
    labels = []
    for level in levels:
        n = int(data.loc[names == level, "n_subjects"].sum())
        labels.append(wrapped(level, suffix=f" (n = {n})"))
    legend_above(ax, handles, labels)
    return ax
