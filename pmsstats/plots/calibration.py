"""A generator's moments, each placed in its published interval."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from pmsstats.plots.theme import INK, MUTED, PALETTE, stamp_origin

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_calibration"]

_REACH = 3.0
_NORMAL_95 = 1.96


def plot_calibration(
    moments: pd.DataFrame, *, origin: str | None = "synthetic", ax: Axes | None = None
) -> Axes:
    """Draw where values lie in their published intervals, first row on top.

    Parameters
    ----------
    moments : pandas.DataFrame
        ``moment population source position position_error inside``; `position` is the value on a
        scale where the published interval runs from -1 to 1, `position_error` its standard error.
    origin : {"real", "synthetic"}, optional
        Synthetic data are stamped as such.
    ax : matplotlib.axes.Axes, optional
        The current axes by default.

    Returns
    -------
    matplotlib.axes.Axes
        The band is the published interval; values further out than three half-widths are drawn at
        the edge, with an arrow.
    """
    rows = moments.reset_index(drop=True)
    ax = plt.gca() if ax is None else ax
    ax.axvspan(-1, 1, color=MUTED, alpha=0.15, linewidth=0, zorder=0)
    ax.axvline(0, color=MUTED, linewidth=0.8, zorder=1)
    _draw_errors(ax, rows)
    _draw_values(ax, rows)
    names = rows["moment"] + ", " + rows["population"] + " (" + rows["source"] + ")"
    ax.set_yticks(np.arange(len(rows)), names.tolist(), fontsize=7)
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.set_xlim(-_REACH - 0.2, _REACH + 0.2)
    ax.set_xticks([-_REACH, -1, 0, 1, _REACH], ["", "low end", "published", "high end", ""])
    ax.set_xlabel("Value of the generator within the published 95 % interval")
    ax.grid(visible=False, axis="y")
    stamp_origin(ax, origin)
    return ax


def _draw_errors(ax: Axes, rows: pd.DataFrame) -> None:
    """Draw the Monte Carlo interval of each value."""
    ends = (rows["position"] + sign * _NORMAL_95 * rows["position_error"] for sign in (-1, 1))
    low, high = (np.clip(end, -_REACH, _REACH) for end in ends)
    ax.hlines(np.arange(len(rows)), low, high, color=INK, linewidth=0.8, zorder=2)


def _draw_values(ax: Axes, rows: pd.DataFrame) -> None:
    """Draw the values: inside, outside, and far outside at the edge."""
    position, inside = rows["position"].to_numpy(float), rows["inside"].to_numpy(bool)
    far = ~inside & (np.abs(position) > _REACH)
    for mask, colour, marker in (
        (inside, PALETTE[0], "o"),
        (~inside & ~far, PALETTE[1], "D"),
        (far & (position > 0), PALETTE[1], ">"),
        (far & (position < 0), PALETTE[1], "<"),
    ):
        if mask.any():
            x = np.clip(position[mask], -_REACH, _REACH)
            ax.scatter(x, np.flatnonzero(mask), color=colour, marker=marker, s=22, zorder=3)
