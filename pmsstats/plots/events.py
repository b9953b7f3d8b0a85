"""Follow-up and events, one line per subject."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D

from pmsstats.plots.theme import (
    INK,
    MUTED,
    PALETTE,
    drawable,
    legend_above,
    stamp_origin,
    wrapped,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["plot_events"]

_CROWDED = 120


def plot_events(
    data: pd.DataFrame,
    *,
    event_label: str = "event",
    censored_label: str = "followed without it",
    x_label: str = "Years from baseline",
    origin: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw a line of follow-up per subject, the shortest below, with a mark at each event.

    Parameters
    ----------
    data : pandas.DataFrame
        One row per subject: ``year`` (time from baseline to event or censoring) and ``event``
        (bool).
    event_label, censored_label : str
        Legend entries; their counts are added.
    x_label : str
        Time axis.
    origin : {"real", "synthetic"}, optional
        Synthetic data are stamped as such.
    ax : matplotlib.axes.Axes, optional
        The current axes by default.

    Returns
    -------
    matplotlib.axes.Axes
        Its line collection has one line per subject, its one line with markers the events.
    """
    ax = plt.gca() if ax is None else ax
    ordered = data.sort_values("year", kind="stable")
    year = ordered["year"].to_numpy(dtype=float)
    event = ordered["event"].to_numpy(dtype=bool)
    row = np.arange(1, len(ordered) + 1)
    crowded = len(row) > _CROWDED
    width, size = (0.5, 2.2) if crowded else (1.1, 3.6)
    lines = np.stack([np.column_stack([0 * year, row]), np.column_stack([year, row])], axis=1)
    ax.add_collection(LineCollection(list(lines), colors=MUTED, linewidths=width, alpha=0.7))
    ax.plot(year[event], row[event], "o", ms=size, color=PALETTE[1], mew=0)
    ax.set(xlabel=drawable(x_label), ylabel="Subjects, shortest follow-up first")
    ax.set_xlim(0, max(float(year.max(initial=0.0)), 1e-9) * 1.03)
    ax.set_ylim(0, len(row) + 1)
    ax.set_yticks([1, len(row)] if len(row) > 1 else [1])
    stamp_origin(ax, origin)
    _legend(ax, {event_label: int(event.sum()), censored_label: int((~event).sum())})
    return ax


def _legend(ax: Axes, counts: dict[str, int]) -> None:
    """Name the mark and the line, with how many there are of each."""
    handles = [
        Line2D([], [], marker="o", ls="", ms=4, color=PALETTE[1], mew=0),
        Line2D([], [], color=MUTED, lw=1.1),
    ]
    labels = [f"{wrapped(label, width=48)} (n = {n})" for label, n in counts.items()]
    legend_above(ax, handles, labels)
    for text in ax.get_legend().get_texts():
        text.set_color(INK)
