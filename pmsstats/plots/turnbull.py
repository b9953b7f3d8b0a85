"""Survival of interval-censored events: flat where it is known, boxes where it falls somewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import PercentFormatter

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

__all__ = ["plot_turnbull"]


def plot_turnbull(
    curves: pd.DataFrame,
    *,
    last: float,
    x_label: str = "Years from baseline",
    y_label: str = "Without event",
    origin: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw survival where it is determined, and boxes where it falls somewhere.

    Parameters
    ----------
    curves : pandas.DataFrame
        ``group lower upper mass survival``, times in years and ascending within group; optionally
        ``conf_low conf_high`` at `upper`, and ``n`` (subjects of the group).
    last : float
        End of follow-up in years.
    x_label, y_label : str
        Axes; survival is shown in percent.
    origin : {"real", "synthetic"}, optional
        Synthetic data are stamped as such.
    ax : matplotlib.axes.Axes, optional
        The current axes by default.

    Returns
    -------
    matplotlib.axes.Axes
        Its lines have gid ``"survival"``, its boxes ``"fall"``, intervals ``"interval"``.
    """
    ax = plt.gca() if ax is None else ax
    levels = group_levels(curves["group"])
    styles = group_styles(levels)
    present = [level for level in levels if (curves["group"] == level).any()]
    for level in present:
        _draw(ax, curves[curves["group"] == level], styles[level], last)
    ax.set(ylim=(0, 1.015), xlabel=drawable(x_label), ylabel=drawable(y_label))
    ax.set_xlim(0, last or 1.0)
    ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    stamp_origin(ax, origin)
    handles = [
        Line2D([], [], color=styles[level].colour, linestyle=styles[level].linestyle)
        for level in present
    ]
    legend_above(ax, handles, [_label(curves, level) for level in present])
    return ax


def _label(curves: pd.DataFrame, level: str) -> str:
    """Name a group, with its size where the frame tells."""
    if "n" not in curves:
        return wrapped(level)
    return wrapped(level, suffix=f" (n = {int(curves.loc[curves['group'] == level, 'n'].iloc[0])})")


def _draw(ax: Axes, curve: pd.DataFrame, style: GroupStyle, last: float) -> None:
    """Draw one curve: flat pieces, and the diagonal of each box in which it falls."""
    lower, upper = curve["lower"].to_numpy(dtype=float), curve["upper"].to_numpy(dtype=float)
    after = curve["survival"].to_numpy(dtype=float)
    before = np.concatenate([[1.0], after[:-1]])
    seen = np.isfinite(upper)
    for left, right, top, bottom in zip(
        lower[seen], upper[seen], before[seen], after[seen], strict=True
    ):
        box = Rectangle((left, bottom), right - left, top - bottom, gid="fall", linewidth=0)
        box.set(facecolor=style.colour, alpha=0.16)
        ax.add_patch(box)
    # gaps in the line where the curve is not determined
    starts, ends = np.concatenate([[0.0], upper[seen]]), np.concatenate([lower, [last]])
    levels = np.concatenate([[1.0], after[seen]])
    x = np.column_stack([starts, ends[: len(starts)], np.full(len(starts), np.nan)]).ravel()
    y = np.column_stack([levels, levels, np.full(len(starts), np.nan)]).ravel()
    ax.plot(x, y, color=style.colour, linewidth=1.8, linestyle=style.linestyle, gid="survival")
    edges_x = np.column_stack([lower, upper, np.full(len(lower), np.nan)])[seen].ravel()
    edges_y = np.column_stack([before, after, np.full(len(lower), np.nan)])[seen].ravel()
    ax.plot(edges_x, edges_y, color=style.colour, linewidth=0.9)
    if "conf_low" in curve:
        limits = curve[["conf_low", "conf_high"]].to_numpy(dtype=float)[seen]
        ax.vlines(
            upper[seen], limits[:, 0], limits[:, 1], color=style.colour, linewidth=0.9,
            alpha=0.6, gid="interval",
        )  # fmt: skip
