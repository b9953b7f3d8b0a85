"""F tests of the terms of a model, beside the values that they would have to exceed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from pmsstats.plots.forest import log_ticks
from pmsstats.plots.theme import INK, MUTED, PALETTE, drawable, stamp_origin, wrapped
from pmsstats.results import format_number, format_p_value

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["plot_f_tests"]


def plot_f_tests(
    tests: pd.DataFrame,
    *,
    conf_level: float = 0.95,
    origin: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw F statistics as dots, and their critical values as upright strokes, first row on top.

    Parameters
    ----------
    tests : pandas.DataFrame
        ``label statistic df_numerator df_denominator p_value critical``. Rows without a statistic
        say "not tested".
    conf_level : float, default 0.95
        One less the level of the critical values, for the label of the axis.
    origin : {"real", "synthetic"}, optional
        Synthetic data are stamped as such.
    ax : matplotlib.axes.Axes, optional
        The current axes by default.

    Returns
    -------
    matplotlib.axes.Axes
        Rows are at y = 0, 1, ... from the top, on a logarithmic axis: a dot to the right of its
        stroke is a test that rejects.
    """
    ax = plt.gca() if ax is None else ax
    rows = tests.reset_index(drop=True)
    _set_limits(ax, rows)
    for y, row in enumerate(rows.to_dict("records")):
        _draw_row(ax, y, row)
    ax.set_ylim(len(rows) - 0.45, -0.55)
    ax.set_yticks(range(len(rows)), [wrapped(str(label), 30, 3) for label in rows["label"]])
    ax.grid(visible=False, axis="y")
    ax.grid(visible=True, axis="x")
    ax.spines["left"].set_visible(False)
    level = format_number(100 * (1 - conf_level), 3).rstrip("0").rstrip(".")
    ax.set_xlabel(drawable(f"F statistic (stroke: critical value at {level} %)"))
    stamp_origin(ax, origin)
    return ax


def _set_limits(ax: Axes, rows: pd.DataFrame) -> None:
    """Set a logarithmic axis around statistics and critical values; tiny statistics at its edge."""
    values = rows[["statistic", "critical"]].to_numpy(dtype=float).ravel()
    values = values[np.isfinite(values) & (values > 0)]
    high = values.max(initial=1.0)
    low = max(values.min(initial=high), high / 1e4, 1e-3)
    ax.set_xscale("log")
    ax.set_xlim(low / 1.6, high * 1.6)
    ticks = log_ticks(*ax.get_xlim())
    ax.xaxis.set_major_locator(FixedLocator(ticks))
    ax.xaxis.set_major_formatter(FixedFormatter([f"{tick:g}" for tick in ticks]))
    ax.xaxis.set_minor_locator(NullLocator())


def _draw_row(ax: Axes, y: int, row: dict[str, float]) -> None:
    """Draw one test, and write it in figures beside the row."""
    statistic, critical = row["statistic"], row["critical"]
    text = "not tested"
    if np.isfinite(statistic):
        shown = max(statistic, ax.get_xlim()[0])
        ends = [y - 0.25, y + 0.25]
        ax.plot([critical, shown], [y, y], color=MUTED, linewidth=1.0, zorder=1, gid="distance")
        ax.plot([critical, critical], ends, color=INK, linewidth=1.6, gid="critical")
        ax.plot([shown], [y], "o", color=PALETTE[0], ms=6.5, gid="statistic")
        text = _in_figures(row)
    ax.annotate(
        drawable(text),
        (1, y),
        xycoords=ax.get_yaxis_transform(),
        xytext=(10, 0),
        textcoords="offset points",
        annotation_clip=False,
        va="center",
        color=INK if np.isfinite(statistic) else MUTED,
        gid="figures",
    )


def _in_figures(row: dict[str, float]) -> str:
    """Write a test as papers do."""
    p = format_p_value(row["p_value"])
    df = f"{row['df_numerator']:.0f}, {format_number(row['df_denominator'], 3)}"
    equals = "" if p.startswith("<") else "= "
    return f"F({df}) = {format_number(row['statistic'], 3)}, p {equals}{p}"
