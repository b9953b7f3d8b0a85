"""Means over visits, per group, with their intervals and the numbers that they rest on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from pmsstats.plots.theme import (
    INK,
    MUTED,
    SINGLE_GROUP,
    GroupStyle,
    drawable,
    group_levels,
    group_styles,
    legend_above,
    points,
    stamp_origin,
    wrapped,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_means"]

_DODGE = 0.08  # between groups, as a share of the smallest gap between visits
_ROW_HEIGHT = 1.55
_MARKERS = "osD^vPX"


def plot_means(
    means: pd.DataFrame,
    *,
    y_label: str,
    x_label: str = "Visit",
    reference: float | None = None,
    joined: bool = True,
    show_n: bool = True,
    origin: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw a mean and its interval per visit and group.

    Parameters
    ----------
    means : pandas.DataFrame
        ``visit estimate conf_low conf_high`` and optionally ``group`` (a categorical fixes order
        and colours), ``n`` (subjects behind each mean) and ``position`` (where a visit stands on
        the axis; by default visits are evenly spaced, in the order of their categories). Rows
        without an estimate are left open.
    y_label : str
        What the means are of, with its unit.
    x_label : str
        Visit axis.
    reference : float, optional
        Where to draw a line, such as no change.
    joined : bool, default True
        Whether to join the means of a group: for visits, not for other groups.
    show_n : bool, default True
        Whether to write ``n`` under the axis, one row per group.
    origin : {"real", "synthetic"}, optional
        Synthetic data are stamped as such.
    ax : matplotlib.axes.Axes, optional
        The current axes by default.

    Returns
    -------
    matplotlib.axes.Axes
        With one line per group (gid ``"means"``); texts with gid ``"n"`` are the numbers.

    Notes
    -----
    The numbers are texts placed below the axes; make room for them with a constrained layout, or
    save with ``bbox_inches="tight"``.
    """
    ax = plt.gca() if ax is None else ax
    frame = means.assign(group=means.get("group", SINGLE_GROUP))
    places = _places(frame)
    styles = group_styles(group_levels(frame["group"]))
    names = frame["group"].astype(str)
    present = [level for level in styles if (names == level).any()]
    if reference is not None:
        ax.axhline(reference, color=MUTED, linewidth=0.9, linestyle=(0, (4, 2)), zorder=1)
    for level, shift in zip(present, _shifts(places, len(present)), strict=True):
        marker = _MARKERS[list(styles).index(level) % len(_MARKERS)]
        rows = frame[names == level]
        line = styles[level].linestyle if joined else "none"
        colour = styles[level].colour
        _draw_group(ax, rows, places, shift, color=colour, linestyle=line, marker=marker)
    ax.set(xlabel=drawable(x_label), ylabel=wrapped(y_label, 44))
    ax.margins(x=0.08)
    ax.set_xticks(list(places.values()), [wrapped(label, 14) for label in places])
    stamp_origin(ax, origin)
    if present != [SINGLE_GROUP]:
        handles = [
            Line2D([], [], color=styles[g].colour, linestyle=styles[g].linestyle) for g in present
        ]
        legend_above(ax, handles, [wrapped(level) for level in present])
    if show_n and "n" in frame:
        _write_n(ax, frame, places, present, styles)
    return ax


def _places(frame: pd.DataFrame) -> dict[str, float]:
    """Return where each visit stands on the axis, by its label."""
    labels = group_levels(frame["visit"])
    named = frame["visit"].astype(str)
    present = [label for label in labels if (named == label).any()]
    if "position" not in frame:
        return {label: float(i) for i, label in enumerate(present)}
    return {label: float(frame.loc[named == label, "position"].iloc[0]) for label in present}


def _shifts(places: dict[str, float], n_groups: int) -> np.ndarray:
    """Return how far each group is moved sideways, so that intervals do not hide each other."""
    where = np.sort(np.array(list(places.values())))
    gap = float(np.diff(where).min()) if len(where) > 1 else 1.0
    step = min(_DODGE, 0.5 / max(n_groups, 1)) * gap
    return (np.arange(n_groups) - (n_groups - 1) / 2) * step


def _draw_group(
    ax: Axes, rows: pd.DataFrame, places: dict[str, float], shift: float, **style: Any
) -> None:
    """Draw the means of one group."""
    x = np.array([places[label] for label in rows["visit"].astype(str)])
    order = np.argsort(x, kind="stable")
    y, low, high = (
        rows[name].to_numpy(dtype=float)[order] for name in ("estimate", "conf_low", "conf_high")
    )
    error = np.vstack([y - low, high - y])
    drawn = ax.errorbar(
        x[order] + shift, y, yerr=error, markersize=4.5, capsize=2.5, elinewidth=1.2, **style
    )
    drawn.lines[0].set_gid("means")


def _write_n(
    ax: Axes,
    frame: pd.DataFrame,
    places: dict[str, float],
    present: Sequence[str],
    styles: dict[str, GroupStyle],
) -> None:
    """Write how many subjects are behind each mean, below the axis, one row per group."""
    size = points("xtick.labelsize")
    rc = mpl.rcParams
    lines = 1 + max(wrapped(label, 14).count("\n") for label in places)
    y = -(rc["xtick.major.size"] + rc["xtick.major.pad"] + 1.3 * lines * size)
    y -= rc["axes.labelpad"] + 1.5 * points("axes.labelsize")
    _write(ax, "Subjects", (0.0, y), x_offset=-16.0, ha="right", color=MUTED)
    for level in present:
        rows = frame[frame["group"].astype(str) == level]
        if present != [SINGLE_GROUP]:
            y -= _ROW_HEIGHT * size
            name, colour = wrapped(level, 22, 1), styles[level].colour
            _write(ax, name, (0.0, y), x_offset=-16.0, ha="right", color=colour, weight="bold")
        for label, n in zip(rows["visit"].astype(str), rows["n"], strict=True):
            _write(ax, f"{int(n)}", (places[label], y), ha="center", color=INK, gid="n")


def _write(
    ax: Axes, text: str, at: tuple[float, float], *, x_offset: float | None = None, **kws: str
) -> None:
    """Write below the axis, at a visit or (with an offset) left of the axes."""
    left = x_offset is not None
    ax.annotate(
        text,
        xy=(at[0], 0),
        xycoords="axes fraction" if left else ax.get_xaxis_transform(),
        xytext=(x_offset or 0.0, at[1]),
        textcoords="offset points",
        va="top",
        fontsize=mpl.rcParams["xtick.labelsize"],
        annotation_clip=False,
        **kws,
    )
