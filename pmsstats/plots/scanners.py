"""Scanners: when each was in use, and in whom."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from pmsstats.plots.theme import drawable, group_levels, group_styles, legend_above, stamp_origin

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_scanner_calendar"]

_HEIGHT = 0.7  # of a scanner's row that circles may fill
_AREA = 140.0  # of the largest circle, square points


def plot_scanner_calendar(
    data: pd.DataFrame,
    *,
    x_label: str,
    origin: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw when scanners were used: a row per scanner, a line of circles per group within it.

    Parameters
    ----------
    data : pandas.DataFrame
        ``scanner time group n``: how many scans; categoricals fix the order.
    x_label : str
        Time axis.
    origin : {"real", "synthetic"}, optional
        Synthetic data are stamped as such.
    ax : matplotlib.axes.Axes, optional
        The current axes by default.

    Returns
    -------
    matplotlib.axes.Axes
        Scanners are at y = 0, 1, ... from the top, with their number of scans; the area of a
        circle is in proportion to `n`.
    """
    ax = plt.gca() if ax is None else ax
    scanners, groups = group_levels(data["scanner"]), group_levels(data["group"])
    styles = group_styles(groups)
    offsets = _HEIGHT * (np.arange(len(groups)) - (len(groups) - 1) / 2) / max(len(groups), 1)
    row = data["scanner"].astype(str).map({name: y for y, name in enumerate(scanners)})
    of_group = data["group"].astype(str)
    for group, offset in zip(groups, offsets, strict=True):
        mine = data[of_group == group]
        ax.scatter(
            mine["time"].to_numpy(dtype=float),
            row[of_group == group].to_numpy(dtype=float) + offset,
            s=_AREA * mine["n"].to_numpy(dtype=float) / float(data["n"].max()),
            facecolors="none", edgecolors=styles[group].colour, linewidths=1.2, gid=group,
        )  # fmt: skip
    counts = data["n"].groupby(data["scanner"].astype(str)).sum()
    labels = [drawable(f"{name} (n = {counts.get(name, 0)})") for name in scanners]
    ax.set_yticks(range(len(scanners)), labels)
    ax.set_ylim(len(scanners) - 0.5, -0.5)
    ax.set_xlabel(drawable(x_label))
    stamp_origin(ax, origin)
    if len(groups) > 1:
        handles = [
            Line2D([], [], color=styles[g].colour, marker="o", mfc="none", linestyle="none")
            for g in groups
        ]
        legend_above(ax, handles, [drawable(g) for g in groups])
    return ax
