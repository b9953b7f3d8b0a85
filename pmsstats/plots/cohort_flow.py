"""Follow-up of a cohort: how many subjects are still seen, over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np

from pmsstats.plots.theme import group_levels, group_styles, legend_above, stamp_origin, wrapped

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["plot_follow_up"]


def plot_follow_up(
    data: pd.DataFrame, *, origin: str | None = None, ax: Axes | None = None
) -> Axes:
    """Draw a step line per group: subjects who still have a visit to come.

    Parameters
    ----------
    data : pandas.DataFrame
        ``group year n_subjects``, the count from each time on, rows in time order.
    origin : {"real", "synthetic"}, optional
        Synthetic data are stamped as such.
    ax : matplotlib.axes.Axes, optional
        The current axes by default.

    Returns
    -------
    matplotlib.axes.Axes
        One line per group, in group order.
    """
    ax = plt.gca() if ax is None else ax
    levels = group_levels(data["group"])
    styles = group_styles(levels)
    handles, labels = [], []
    for level in levels:
        rows = data[data["group"].astype(str) == level]
        style = styles[level]
        handles += ax.plot(
            rows["year"].to_numpy(dtype=float),
            rows["n_subjects"].to_numpy(dtype=float),
            drawstyle="steps-post",
            color=style.colour,
            linestyle=style.linestyle,
        )
        labels.append(wrapped(f"{level} (n = {int(rows['n_subjects'].max())})"))
    ax.set(xlabel="Years from baseline", ylabel="Subjects with visits to come")
    ax.set_xlim(left=0)
    ax.set_ylim(0, max(float(np.nanmax(data["n_subjects"])), 1.0) * 1.05)
    stamp_origin(ax, origin)
    legend_above(ax, handles, labels)
    return ax
