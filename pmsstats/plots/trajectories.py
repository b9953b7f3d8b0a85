"""Individual trajectories, and the mean that a model fitted to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib import patheffects
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D

from pmsstats.plots.theme import (
    MUTED,
    PAPER,
    SINGLE_GROUP,
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

__all__ = ["MAX_LINES", "plot_trajectories"]

MAX_LINES = 2000
"""Individual lines drawn at most; past that they hide each other."""


def plot_trajectories(
    data: pd.DataFrame,
    *,
    fitted: pd.DataFrame | None = None,
    y_label: str,
    group: str | None = None,
    x_label: str = "Years from baseline",
    scale_steps: Sequence[float] = (),
    origin: str | None = None,
    max_lines: int = MAX_LINES,
    legend: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Draw a thin line per subject, and the fitted mean with its interval per group.

    Parameters
    ----------
    data : pandas.DataFrame
        One row per visit: ``subject_id year value`` and the group column.
    fitted : pandas.DataFrame, optional
        Model means: ``year estimate conf_low conf_high`` and ``group``, sorted by year within
        group.
    y_label : str
        Measure with its unit.
    group : str, optional
        Group column of `data`; a categorical fixes order and colours.
    x_label : str
        Time axis.
    scale_steps : sequence of float
        Legal values of an ordinal scale (EDSS): the value axis is marked at these.
    origin : {"real", "synthetic"}, optional
        Synthetic data are stamped as such.
    max_lines : int, default 2000
        With more subjects, every k-th is drawn, and the figure says so.
    legend : bool, default True
        Whether to draw the legend, with the number of subjects per group.
    ax : matplotlib.axes.Axes, optional
        The current axes by default.

    Returns
    -------
    matplotlib.axes.Axes
        With one line collection per group (its gid ``"individuals"``).
    """
    ax = plt.gca() if ax is None else ax
    frame = _with_group(data, group)
    levels = group_levels(frame["group"])
    styles = group_styles(levels)
    present = [level for level in levels if (frame["group"].astype(str) == level).any()]
    n_subjects = {
        level: frame.loc[frame["group"].astype(str) == level, "subject_id"].nunique()
        for level in present
    }
    _draw_individuals(ax, frame, styles, present, max_lines)
    if fitted is not None:
        _draw_fitted(ax, _with_group(fitted, "group" if "group" in fitted else None), styles)
    ax.set(xlabel=drawable(x_label), ylabel=wrapped(y_label, 44))
    ax.autoscale_view()
    _mark_scale_steps(ax, scale_steps)
    stamp_origin(ax, origin)
    if legend and present:
        handles = [_legend_line(styles[level], thick=fitted is not None) for level in present]
        labels = [wrapped(level, suffix=f" (n = {n_subjects[level]})") for level in present]
        legend_above(ax, handles, labels)
    return ax


def _with_group(data: pd.DataFrame, group: str | None) -> pd.DataFrame:
    """Return a copy whose column ``group`` is filled."""
    return data.assign(group=SINGLE_GROUP if group is None else data[group])


def _draw_individuals(
    ax: Axes,
    frame: pd.DataFrame,
    styles: dict[str, GroupStyle],
    present: Sequence[str],
    max_lines: int,
) -> None:
    """Draw one thin line (or, for a single visit, one dot) per subject."""
    n_total = frame["subject_id"].nunique()
    step = max(1, -(-n_total // max_lines))
    n_drawn = 0
    for level in present:
        mine = frame[frame["group"].astype(str) == level].sort_values(["subject_id", "year"])
        paths = [
            piece[["year", "value"]].to_numpy(dtype=float)
            for _, piece in mine.groupby("subject_id", sort=False, observed=True)
        ][::step]
        n_drawn += len(paths)
        colour = styles[level].colour
        lines = LineCollection(
            [p for p in paths if len(p) > 1], colors=colour, linewidths=0.6, alpha=_alpha(n_total)
        )
        lines.set_gid("individuals")
        ax.add_collection(lines)
        single = np.array([p[0] for p in paths if len(p) == 1]).reshape(-1, 2)
        ax.plot(single[:, 0], single[:, 1], "o", ms=1.6, color=colour, alpha=0.5, gid="single")
    if n_drawn < n_total:
        text = f"{n_drawn} of {n_total} subjects drawn"
        ax.text(0.99, 0.01, text, transform=ax.transAxes, ha="right", va="bottom", color=MUTED)


def _alpha(n_lines: int) -> float:
    """Return the opacity at which this many lines show where they are dense."""
    return float(np.clip(6 / np.sqrt(max(n_lines, 1)), 0.12, 0.5))


def _draw_fitted(ax: Axes, fitted: pd.DataFrame, styles: dict[str, GroupStyle]) -> None:
    """Draw the mean line over a paper-coloured halo, and its interval as a band."""
    halo = [patheffects.withStroke(linewidth=4.2, foreground=PAPER)]
    for level, piece in fitted.groupby(fitted["group"].astype(str), sort=False):
        style = styles[level]
        year = piece["year"].to_numpy(dtype=float)
        low, high = (piece[c].to_numpy(dtype=float) for c in ("conf_low", "conf_high"))
        ax.fill_between(year, low, high, color=style.colour, alpha=0.22, linewidth=0, zorder=3)
        estimate = piece["estimate"].to_numpy(dtype=float)
        ax.plot(year, estimate, color=style.colour, linewidth=2.2, zorder=4, path_effects=halo)
        ax.lines[-1].set(linestyle=style.linestyle, gid="fitted")


def _mark_scale_steps(ax: Axes, steps: Sequence[float]) -> None:
    """Mark an ordinal scale at its legal values within view, whole ones only where crowded."""
    low, high = ax.get_ylim()
    shown = [s for s in steps if low <= s <= high]
    if len(shown) > 10:
        shown = [s for s in shown if float(s).is_integer()]
    if shown:
        ax.set_yticks(shown, [f"{s:g}" for s in shown])


def _legend_line(style: GroupStyle, *, thick: bool) -> Line2D:
    """Return the legend's sample of a group."""
    return Line2D(
        [], [], color=style.colour, linestyle=style.linestyle, linewidth=2.2 if thick else 1.2
    )
