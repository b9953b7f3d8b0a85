"""Tipping points: the estimate against a shift of imputed values, or over shifts in two arms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from pmsstats.plots.theme import INK, MUTED, PALETTE, PAPER, drawable, legend_above, stamp_origin

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_tipping"]


def plot_tipping(
    data: pd.DataFrame,
    *,
    tips: Sequence[float] = (),
    x_label: str,
    y_label: str,
    estimate_label: str,
    interval_label: str = "confidence interval",
    origin: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw how a comparison depends on shifts of imputed values.

    Parameters
    ----------
    data : pandas.DataFrame
        ``delta delta_reference estimate conf_low conf_high``, a full grid. With one value of
        ``delta_reference`` the estimate is drawn with its interval against ``delta``; with
        several, lines of equal estimate over both, and shading where the interval excludes zero.
    tips : sequence of float
        Tipping points on the axis of ``delta``, for a reference arm without shift.
    x_label, y_label : str
        The shifts, with their unit; the second is used for two arms only.
    estimate_label : str
        What is estimated, with its unit.
    interval_label : str
        What the intervals are, for the legend.
    origin : {"real", "synthetic"}, optional
        Synthetic data are stamped as such.
    ax : matplotlib.axes.Axes, optional
        The current axes by default.

    Returns
    -------
    matplotlib.axes.Axes
        Lines with gid ``"tip"`` mark the tipping points.
    """
    ax = plt.gca() if ax is None else ax
    two = _varies(data["delta_reference"]) and _varies(data["delta"])
    handles, labels = (
        _draw_plane(ax, data, estimate_label) if two else _draw_line(ax, data, interval_label)
    )
    height = 0.0 if two else None
    for tip in tips:
        handle = _mark(ax, tip, height)
        handles.append(handle)
        labels.append(f"tipping point {tip:+.3g}")
    ax.set_xlabel(drawable(x_label))
    ax.set_ylabel(drawable(y_label if two else estimate_label))
    stamp_origin(ax, origin)
    legend_above(ax, handles, [drawable(label) for label in labels])
    return ax


def _varies(column: pd.Series) -> bool:
    """Say whether a column has several values."""
    return len(column.unique()) > 1


def _draw_line(ax: Axes, data: pd.DataFrame, interval_label: str) -> tuple[list[Any], list[str]]:
    """Draw estimate and interval against one shift."""
    name = "delta_reference" if _varies(data["delta_reference"]) else "delta"
    rows = data.sort_values(name)
    x = rows[name].to_numpy(dtype=float)
    low, high = (rows[c].to_numpy(dtype=float) for c in ("conf_low", "conf_high"))
    ax.axhline(0.0, color=MUTED, linewidth=0.9, linestyle=(0, (4, 2)), zorder=1)
    band = ax.fill_between(x, low, high, color=PALETTE[0], alpha=0.18, linewidth=0, gid="interval")
    line = ax.plot(x, rows["estimate"].to_numpy(dtype=float), color=PALETTE[0], gid="estimate")
    return [line[0], band], ["estimate", interval_label]


def _draw_plane(ax: Axes, data: pd.DataFrame, estimate_label: str) -> tuple[list[Any], list[str]]:
    """Shade where the interval excludes zero, and draw lines of equal estimate."""
    planes = {
        name: data.pivot_table(index="delta_reference", columns="delta", values=name)
        for name in ("estimate", "conf_low", "conf_high")
    }
    grid = planes["estimate"]
    x, y = grid.columns.to_numpy(dtype=float), grid.index.to_numpy(dtype=float)
    for name, sign in (("conf_low", 1), ("conf_high", -1)):
        beyond = sign * planes[name].to_numpy()  # above zero where the interval excludes it
        if (beyond > 0).any():
            levels = [0.0, float(beyond.max()) + 1.0]
            ax.contourf(x, y, beyond, levels=levels, colors=[PALETTE[0]], alpha=0.2)
    if np.ptp(grid.to_numpy()) > 0:
        lines = ax.contour(x, y, grid.to_numpy(), levels=7, colors=[INK], linewidths=0.8)
        ax.clabel(lines, fontsize=7)
    ax.axhline(0.0, color=MUTED, linewidth=0.6, zorder=1)
    ax.axvline(0.0, color=MUTED, linewidth=0.6, zorder=1)
    handles = [Patch(color=PALETTE[0], alpha=0.2), Line2D([], [], color=INK, linewidth=0.8)]
    return handles, ["interval excludes zero", estimate_label]


def _mark(ax: Axes, tip: float, height: float | None) -> Line2D:
    """Mark a tipping point: a line, or a diamond in the plane of two shifts."""
    if height is None:
        style: dict[str, Any] = {"color": PALETTE[1], "linestyle": (0, (1, 1.4)), "linewidth": 1.4}
        return ax.axvline(tip, gid="tip", zorder=3, **style)
    style = {"marker": "D", "ms": 6, "color": PALETTE[1], "mec": PAPER, "mew": 0.8, "ls": ""}
    return ax.plot([tip], [height], gid="tip", zorder=4, **style)[0]
