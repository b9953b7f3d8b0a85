"""Kaplan-Meier curves with the table of subjects at risk under their axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from pmsstats.plots.theme import (
    INK,
    MUTED,
    GroupStyle,
    drawable,
    group_levels,
    group_styles,
    legend_above,
    points,
    stamp_origin,
    wrapped,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_survival"]

_LEFT_LABEL_SHARE = 0.22  # of the width of the axes: longer names get a line of their own
_SIDE_GAP = 16.0
_ROW_HEIGHT = 1.55


def plot_survival(
    curves: pd.DataFrame,
    *,
    at_risk: pd.DataFrame | None = None,
    x_label: str = "Years from baseline",
    y_label: str = "Without event",
    at_risk_labels: Literal["auto", "left", "above"] = "auto",
    origin: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw survival as steps with their interval, and who is still at risk.

    Parameters
    ----------
    curves : pandas.DataFrame
        ``group duration survival conf_low conf_high``, durations in years and ascending within
        group; optionally ``n`` (subjects of the group). A categorical group fixes order and
        colours.
    at_risk : pandas.DataFrame, optional
        ``group duration n_at_risk``; its durations become the ticks of the time axis.
    x_label, y_label : str
        Axes; survival is shown in percent.
    at_risk_labels : {"auto", "left", "above"}
        Where group names stand in the table: left of their row, or on a line of their own
        above it (chosen for long names).
    origin : {"real", "synthetic"}, optional
        Synthetic data are stamped as such.
    ax : matplotlib.axes.Axes, optional
        The current axes by default.

    Returns
    -------
    matplotlib.axes.Axes
        Its texts with gid ``"at-risk"`` are the numbers of the table, row by row.

    Notes
    -----
    The table consists of texts placed below the axes; make room for it with a constrained
    layout, or save with ``bbox_inches="tight"``.
    """
    ax = plt.gca() if ax is None else ax
    levels = group_levels(curves["group"])
    styles = group_styles(levels)
    names = curves["group"].astype(str)
    present = [level for level in levels if (names == level).any()]
    for level in present:
        _draw_curve(ax, curves[names == level], styles[level])
    ax.set(ylim=(0, 1.015), xlabel=drawable(x_label), ylabel=drawable(y_label))
    ax.set_xlim(0, float(curves["duration"].max()) or 1.0)
    ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    stamp_origin(ax, origin)
    legend_above(
        ax,
        [
            Line2D([], [], color=styles[level].colour, linestyle=styles[level].linestyle)
            for level in present
        ],
        [wrapped(level, suffix=_n_text(curves[names == level])) for level in present],
    )
    if at_risk is not None and len(at_risk):
        _draw_at_risk(ax, at_risk, present, styles, at_risk_labels)
    return ax


def _draw_curve(ax: Axes, curve: pd.DataFrame, style: GroupStyle) -> None:
    """Draw the steps of one group, from 1 at time 0, and their interval."""
    columns = ["duration", "survival", "conf_low", "conf_high"]
    values = curve[columns].to_numpy(dtype=float)
    if values[0, 0] > 0:
        values = np.vstack([[0.0, 1.0, 1.0, 1.0], values])
    duration, survival, low, high = values.T
    ax.fill_between(duration, low, high, step="post", color=style.colour, alpha=0.14, linewidth=0)
    ax.step(duration, survival, where="post", color=style.colour, linewidth=1.8, gid="survival")
    ax.lines[-1].set_linestyle(style.linestyle)


def _n_text(curve: pd.DataFrame) -> str:
    """Return " (n = ...)", where the frame tells."""
    return f" (n = {int(curve['n'].iloc[0])})" if "n" in curve else ""


def _below_axis_title() -> float:
    """Return the distance from the axis to below its tick labels and title, in points."""
    rc = mpl.rcParams
    ticks = rc["xtick.major.size"] + rc["xtick.major.pad"] + 1.3 * points("xtick.labelsize")
    return ticks + rc["axes.labelpad"] + 1.5 * points("axes.labelsize")


def _draw_at_risk(
    ax: Axes,
    at_risk: pd.DataFrame,
    present: Sequence[str],
    styles: dict[str, GroupStyle],
    labels: str,
) -> None:
    """Write the table of subjects at risk under the axis, its columns at their times."""
    size = points("xtick.labelsize")
    times = np.sort(at_risk["duration"].unique())
    ax.set_xticks(times, [f"{t:g}" for t in times])
    ax.set_xlim(0, max(ax.get_xlim()[1], float(times[-1])))
    width = ax.get_window_extent().width / ax.figure.dpi * 72
    glyph = 0.68 * size  # width of a bold one
    longest = max(len(level) for level in present) * glyph
    above = labels == "above" or (labels == "auto" and longest > _LEFT_LABEL_SHARE * width)
    side, ha = (-0.5 * size, "left") if above else (-_SIDE_GAP, "right")
    room = max(int(width / glyph), 12) if above else 28
    y = -_below_axis_title()
    _write(ax, "Number at risk", 0.0, side, y, ha=ha, color=MUTED, axes_x=True)
    for level in present:
        y -= _ROW_HEIGHT * size
        name = wrapped(level, room, 1)
        colour = styles[level].colour
        _write(ax, name, 0.0, side, y, ha=ha, color=colour, weight="bold", axes_x=True)
        y -= 1.3 * size if above else 0.0
        rows = at_risk[at_risk["group"].astype(str) == level].sort_values("duration")
        for time, count in zip(rows["duration"], rows["n_at_risk"], strict=True):
            _write(ax, f"{int(count)}", float(time), 0.0, y, ha="center", color=INK, gid="at-risk")


def _write(
    ax: Axes,
    text: str,
    x: float,
    dx: float,
    dy: float,
    *,
    axes_x: bool = False,
    **kws: Any,
) -> None:
    """Write below the axis: `x` in data (or axes) units, offsets in points."""
    ax.annotate(
        text,
        xy=(x, 0),
        xycoords="axes fraction" if axes_x else ax.get_xaxis_transform(),
        xytext=(dx, dy),
        textcoords="offset points",
        va="top",
        fontsize=mpl.rcParams["xtick.labelsize"],
        annotation_clip=False,
        **kws,
    )
