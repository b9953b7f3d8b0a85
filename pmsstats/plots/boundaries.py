"""Bounds of a group-sequential design against information."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from pmsstats.plots.theme import INK, PALETTE, legend_above

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_boundaries"]


def plot_boundaries(data: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw upper and lower bounds of the statistic at each look.

    Parameters
    ----------
    data : pandas.DataFrame
        ``information efficacy_z futility_z``, one row per look; infinite where there is no bound.
    ax : matplotlib.axes.Axes, optional
        The current axes by default.

    Returns
    -------
    matplotlib.axes.Axes
        With a line for each kind of bound.
    """
    ax = plt.gca() if ax is None else ax
    handles, labels = [], []
    for column, label, marker, colour in (
        ("efficacy_z", "Claim an effect above", "o", PALETTE[0]),
        ("futility_z", "Stop for futility below", "s", PALETTE[1]),
    ):
        shown = data[np.isfinite(data[column])]
        if shown.empty:
            continue
        (line,) = ax.plot(
            shown["information"], shown[column], color=colour, marker=marker, label=label
        )
        handles.append(line)
        labels.append(label)
    ax.axhline(0.0, color=INK, linewidth=0.6)
    ax.set_xlim(0.0, 1.05 * float(data["information"].max()))
    ax.set_xlabel("Information (share of the planned maximum)")
    ax.set_ylabel("Statistic z")
    legend_above(ax, handles, labels)
    return ax
