"""Estimates of several methods beside the truth they aim at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from pmsstats.plots.forest import log_ticks
from pmsstats.plots.theme import INK, MUTED, PALETTE, drawable, stamp_origin, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_recovery"]

_REACH = 2.0  # a spread that ends further from every truth and mean than this factor is cut


def plot_recovery(
    recovery: pd.DataFrame,
    *,
    x_label: str,
    conf_level: float = 0.95,
    origin: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw mean and spread of estimated ratios, and the true ratio, one row per method.

    Parameters
    ----------
    recovery : pandas.DataFrame
        ``label truth estimate low high coverage``: the true ratio, the mean of the estimates, the
        ends of their spread, and the share of intervals that hold the truth.
    x_label : str
        What the ratio is.
    conf_level : float, default 0.95
        Of the intervals whose coverage is given.
    origin : {"real", "synthetic"}, optional
        Synthetic data are stamped as such.
    ax : matplotlib.axes.Axes, optional
        The current axes by default.

    Returns
    -------
    matplotlib.axes.Axes
        First row on top, logarithmic axis; spreads cut by the axis end in an arrow.
    """
    ax = plt.gca() if ax is None else ax
    rows = recovery.reset_index(drop=True)
    limits = _limits(rows)
    for y, row in enumerate(rows.to_dict("records")):
        ends = np.clip([row["low"], row["high"]], *limits)
        ax.plot(ends, [y, y], color=PALETTE[0], lw=1.8, gid="spread")
        cut = [(ends[0], "<")] if row["low"] < limits[0] else []
        cut += [(ends[1], ">")] if row["high"] > limits[1] else []
        for x, marker in cut:
            ax.plot([x], [y], marker, color=PALETTE[0], ms=6, clip_on=False, gid="arrow")
        ax.plot([row["estimate"]], [y], "o", color=PALETTE[0], ms=6.5, gid="estimate")
        ax.plot([row["truth"]] * 2, [y - 0.32, y + 0.32], color=PALETTE[1], lw=2.4, gid="truth")
        ax.annotate(
            f"{100 * row['coverage']:.0f} %",
            (1, y),
            xycoords=ax.get_yaxis_transform(),
            xytext=(10, 0),
            textcoords="offset points",
            va="center",
            color=INK,
            fontsize=mpl.rcParams["ytick.labelsize"],
            annotation_clip=False,
            gid="coverage",
        )
    _label(ax, rows, limits, x_label, conf_level)
    stamp_origin(ax, origin)
    return ax


def _limits(rows: pd.DataFrame) -> tuple[float, float]:
    """Return the ends of the axis: all truths and means, and spreads that are not absurd."""
    marks = rows[["truth", "estimate"]].to_numpy(dtype=float)
    low, high = np.nanmin(marks) / _REACH, np.nanmax(marks) * _REACH
    low, high = max(low, rows["low"].min()), min(high, rows["high"].max())
    margin = (high / low) ** 0.06
    return low / margin, high * margin


def _label(
    ax: Axes, rows: pd.DataFrame, limits: tuple[float, float], x_label: str, conf_level: float
) -> None:
    """Set the axes, their labels and the key."""
    low, high = limits
    ax.set_xscale("log")
    ax.set_xlim(low, high)
    ticks = log_ticks(*ax.get_xlim())
    ax.xaxis.set_major_locator(FixedLocator(ticks))
    ax.xaxis.set_major_formatter(FixedFormatter([f"{tick:.3g}" for tick in ticks]))
    ax.xaxis.set_minor_locator(NullLocator())
    if low < 1 < high:
        ax.axvline(1.0, color=MUTED, linewidth=0.9, linestyle=(0, (4, 2)), zorder=1)
    ax.set_ylim(len(rows) - 0.45, -0.75)
    ax.set_yticks(range(len(rows)), [wrapped(label, 30, 3) for label in rows["label"]])
    ax.grid(visible=False, axis="y")
    ax.spines["left"].set_visible(False)
    ax.set_xlabel(drawable(x_label))
    ax.annotate(
        f"{100 * conf_level:g} % intervals\nhold the truth in",
        (1, 1),
        xycoords="axes fraction",
        xytext=(10, 4),
        textcoords="offset points",
        va="bottom",
        color=MUTED,
        fontsize=mpl.rcParams["ytick.labelsize"],
        annotation_clip=False,
    )
    key = [
        Line2D([], [], color=PALETTE[1], lw=2.4, label="truth"),
        Line2D([], [], color=PALETTE[0], marker="o", label="estimates"),
    ]
    ax.legend(handles=key, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2, frameon=False)
