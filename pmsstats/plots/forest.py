"""Estimates with their intervals, one row each."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import (
    FixedFormatter,
    FixedLocator,
    MaxNLocator,
    NullLocator,
    PercentFormatter,
)

from pmsstats.errors import DesignError
from pmsstats.plots.theme import INK, MUTED, PALETTE, PAPER, drawable, stamp_origin, wrapped
from pmsstats.results import format_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["log_ticks", "plot_forest"]

_LOG_TICKS = {
    2.2: (0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4, 1.6, 1.8, 2.0),
    7.0: (0.25, 1 / 3, 0.5, 2 / 3, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0),
    100.0: tuple(float(f"{m}e{e}") for e in range(-9, 9) for m in (1, 2, 5)),
    1e4: tuple(float(f"{m}e{e}") for e in range(-9, 9) for m in (1, 3)),
    math.inf: tuple(float(f"1e{e}") for e in range(-300, 300)),
}
_REACH = 12.0  # an interval end further from every estimate than this factor is cut by an arrow


def plot_forest(
    estimates: pd.DataFrame,
    *,
    reference: float | None = None,
    log: bool = False,
    percent: bool = False,
    x_label: str,
    digits: int = 3,
    layout: Literal["columns", "stacked"] = "columns",
    origin: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw estimates as dots and their intervals as lines, first row on top.

    Parameters
    ----------
    estimates : pandas.DataFrame
        ``label estimate conf_low conf_high`` and optionally ``n`` (text or number), shown under
        the estimate's figures. Rows without an estimate say "not estimable", or what optional
        column ``instead`` says: a quantity that has no place on this axis.
    reference : float, optional
        Where to draw the line of no effect.
    log : bool, default False
        Logarithmic axis, marked at plain numbers; estimates must be positive. Give ratios, not
        their logarithms.
    percent : bool, default False
        Whether estimates are shares, to be shown in percent.
    x_label : str
        What is estimated, with its unit.
    digits : int, default 3
        Significant digits of the figures.
    layout : {"columns", "stacked"}
        Labels left and figures right of the axes, or (for narrow figures) both above each line.
    origin : {"real", "synthetic"}, optional
        Synthetic data are stamped as such.
    ax : matplotlib.axes.Axes, optional
        The current axes by default.

    Returns
    -------
    matplotlib.axes.Axes
        Rows are at y = 0, 1, ... from the top; intervals cut by the axis end in an arrow.

    Raises
    ------
    DesignError
        If the axis is logarithmic, and an estimate is not positive or an interval end negative.
    """
    rows = estimates.reset_index(drop=True)
    if log:
        _require_positive(rows)
    ax = plt.gca() if ax is None else ax
    _set_limits(ax, rows, reference, log=log)
    if reference is not None:
        ax.axvline(reference, color=MUTED, linewidth=0.9, linestyle=(0, (4, 2)), zorder=1)
    for y, row in enumerate(rows.to_dict("records")):
        _draw_row(ax, y, row, digits, layout, percent=percent)
    ax.set_ylim(len(rows) - 0.45, -0.55 if layout == "columns" else -0.9)
    labels = [wrapped(label, 30, 3) for label in rows["label"]]
    ax.set_yticks(range(len(rows)), labels if layout == "columns" else [""] * len(rows))
    if percent:
        ax.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    ax.grid(visible=False, axis="y")
    ax.grid(visible=True, axis="x")
    ax.spines["left"].set_visible(False)
    ax.set_xlabel(drawable(x_label))
    stamp_origin(ax, origin)
    return ax


def log_ticks(low: float, high: float) -> list[float]:
    """Return plain numbers that mark a logarithmic axis.

    Parameters
    ----------
    low, high : float
        Ends of the axis, positive.

    Returns
    -------
    list of float
        About three to nine ascending ticks inside the axis.

    Examples
    --------
    >>> log_ticks(0.4, 6.0)
    [0.5, 1.0, 2.0, 5.0]
    >>> log_ticks(0.02, 60)
    [0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0]
    """
    marks = next(_LOG_TICKS[limit] for limit in sorted(_LOG_TICKS) if high / low <= limit)
    inside = [t for t in marks if low <= t <= high]
    if len(inside) < 3:
        inside = [
            float(t)
            for t in MaxNLocator(4, steps=[1, 2, 5, 10]).tick_values(low, high)
            if low <= t <= high
        ]
    return inside[:: -(-len(inside) // 9)]


def _require_positive(rows: pd.DataFrame) -> None:
    """Refuse numbers that a logarithmic axis cannot show: most often logarithms of ratios."""
    bad = (rows["estimate"] <= 0) | (rows["conf_low"] < 0) | (rows["conf_high"] < 0)
    if bad.any():
        first = rows[bad].iloc[0]
        raise DesignError(
            f"`estimates` must be positive on a logarithmic axis, but {int(bad.sum())} of "
            f"{len(rows)} rows are not ({str(first['label'])!r}: {first['estimate']:.3g}, "
            f"{first['conf_low']:.3g} to {first['conf_high']:.3g}). Logarithms of ratios must be "
            "turned back with exp(), in all three columns, or drawn with log=False."
        )


def _tick_text(tick: float) -> str:
    """Write a tick without needless digits: 0.5, 1, 0.67, 1.25."""
    return f"{tick:.2f}".rstrip("0").rstrip(".") if tick >= 0.1 else f"{tick:g}"


def _set_limits(ax: Axes, rows: pd.DataFrame, reference: float | None, *, log: bool) -> None:
    """Set the value axis so that every estimate, and all but absurd interval ends, are inside."""
    estimates = rows["estimate"].to_numpy(dtype=float)
    ends = rows[["conf_low", "conf_high"]].to_numpy(dtype=float).ravel()
    marks = np.append(estimates, [] if reference is None else reference)
    marks = np.log(marks[marks > 0]) if log else marks
    ends = np.log(ends[ends > 0]) if log else ends
    marks, ends = marks[np.isfinite(marks)], ends[np.isfinite(ends)]
    if not len(marks):
        marks = np.zeros(1)
    reach = math.log(_REACH) if log else max(np.ptp(marks), 1e-9) * _REACH
    ends = np.clip(ends, marks.min() - reach, marks.max() + reach)
    low, high = (f(np.concatenate([marks, ends])) for f in (np.min, np.max))
    margin = 0.06 * (high - low) or 0.5
    limits = np.array([low - margin, high + margin])
    if log:
        limits = np.exp(limits)
        ticks = log_ticks(*limits)
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(FixedLocator(ticks))
        ax.xaxis.set_major_formatter(FixedFormatter([_tick_text(t) for t in ticks]))
        ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlim(*limits)


def _draw_row(
    ax: Axes, y: int, row: dict[str, object], digits: int, layout: str, *, percent: bool
) -> None:
    """Draw one estimate: interval, dot, arrows where the axis cuts, and its figures."""
    estimate, low, high = (float(row[c]) for c in ("estimate", "conf_low", "conf_high"))  # type: ignore[arg-type]
    if math.isfinite(estimate):
        left, right = ax.get_xlim()
        ends = [max(low, left) if not math.isnan(low) else estimate,
                min(high, right) if not math.isnan(high) else estimate]  # fmt: skip
        ax.plot(
            ends, [y, y], color=PALETTE[0], linewidth=1.8, solid_capstyle="butt", gid="interval"
        )
        cut = [(left, "<")] if low < left else []
        cut += [(right, ">")] if high > right else []
        for x, marker in cut:
            ax.plot([x], [y], marker, color=PALETTE[0], ms=6, clip_on=False, gid="arrow")
        ax.plot([estimate], [y], "o", color=PALETTE[0], ms=6.5, gid="estimate")
    instead = row.get("instead")
    text = str(instead) if instead else _figures(estimate, low, high, digits, percent=percent)
    _write_figures(ax, y, row, text, layout)


def _figures(estimate: float, low: float, high: float, digits: int, *, percent: bool) -> str:
    """Write an estimate with its interval."""
    if not math.isfinite(estimate):
        return "not estimable"
    if not percent:
        return format_interval(estimate, low, high, digits)
    figures = format_interval(100 * estimate, 100 * low, 100 * high, digits, decimals=0)
    return figures.replace(" (", " % (", 1)


def _write_figures(ax: Axes, y: int, row: dict[str, object], text: str, layout: str) -> None:
    """Write the estimate in figures and its n, beside the row or above it."""
    n = "" if row.get("n") is None else drawable(str(row["n"]))
    size = mpl.rcParams["ytick.labelsize"]
    common = {"textcoords": "offset points", "annotation_clip": False, "fontsize": size}
    across = ax.get_yaxis_transform()
    if layout == "columns":
        gap = 1.0 if n else 0.0
        ax.annotate(text, (1, y), xycoords=across, xytext=(10, gap), color=INK,
                    va="bottom" if n else "center", gid="figures", **common)  # fmt: skip
        ax.annotate(n, (1, y), xycoords=across, xytext=(10, -2), va="top", color=MUTED, **common)
        return
    common["bbox"] = {"facecolor": PAPER, "edgecolor": "none", "pad": 0.8}
    label = wrapped(str(row["label"]), 44, 2)
    ax.annotate(label, (0, y), xycoords=across, xytext=(0, 21), va="bottom", weight="bold",
                color=INK, **common)  # fmt: skip
    tail = f"{text}   {n}".rstrip()
    ax.annotate(tail, (0, y), xycoords=across, xytext=(0, 9), va="bottom", color=INK,
                gid="figures", **common)  # fmt: skip
