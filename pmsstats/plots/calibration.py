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
    position = rows["position"].to_numpy(float)
    shown = np.clip(position, -_REACH, _REACH)
    inside = rows["inside"].to_numpy(bool)
    y = np.arange(len(rows))
    ax.hlines(
        y, np.clip(position - 1.96 * rows["position_error"], -_REACH, _REACH),
        np.clip(position + 1.96 * rows["position_error"], -_REACH, _REACH),
        color=INK, linewidth=0.8, zorder=2,
    )  # fmt: skip
    for mask, colour, marker, label in (
        (inside, PALETTE[0], "o", "inside"),
        (~inside & (np.abs(position) <= _REACH), PALETTE[1], "D", "outside"),
        (~inside & (position > _REACH), PALETTE[1], ">", "far outside"),
        (~inside & (position < -_REACH), PALETTE[1], "<", "far outside"),
    ):
        if mask.any():
            ax.scatter(shown[mask], y[mask], color=colour, marker=marker, s=22, zorder=3,
                       label=label)  # fmt: skip
    names = (rows["moment"] + ", " + rows["population"] + " (" + rows["source"] + ")").tolist()
    ax.set_yticks(y, names, fontsize=7)
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.set_xlim(-_REACH - 0.2, _REACH + 0.2)
    ax.set_xticks([-_REACH, -1, 0, 1, _REACH], ["", "low end", "published", "high end", ""])
    ax.set_xlabel("Value of the generator within the published 95 % interval")
    ax.grid(visible=False, axis="y")
    stamp_origin(ax, origin)
    return ax
