"""The specification curve: one estimate per definition, and what each definition chose."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator, PercentFormatter
from matplotlib.transforms import Bbox

from pmsstats.plots.forest import log_ticks
from pmsstats.plots.theme import (
    INK,
    MUTED,
    PALETTE,
    PAPER,
    RULE,
    drawable,
    group_levels,
    legend_above,
    points,
    stamp_origin,
    wrapped,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

__all__ = ["plot_choices", "plot_specification_curve"]

_PALE = "#aeb7be"
_COLOURS = {
    "below": PALETTE[0], "above": PALETTE[1], "includes": MUTED, "plain": PALETTE[0], "few": _PALE,
}  # fmt: skip
_ROW_HEIGHT = 1.45  # of a choice, in font sizes
_GAP = 0.9  # between curve and choices, in font sizes
_TALL_MARK, _DOT = 3.2, 4.0  # points of width per definition: below, marks are bars, not dots
_THIN = 0.45  # points: a thinner bar can hardly be seen
_NAME_PITCH, _LEAST_NAME = 1.2, 5.0  # of names below the axis: distance in font sizes, points
_MOST_REACH = 1.2  # how far beyond the estimates an axis follows the intervals, in their range


def plot_specification_curve(
    data: pd.DataFrame,
    *,
    options: Sequence[str] = (),
    primary: str | None = None,
    reference: float | None = 1.0,
    log: bool = True,
    percent: bool = False,
    y_label: str = "Hazard ratio",
    x_label: str = "{n} definitions, lowest estimate first",
    interval_label: str = "95 % CI",
    few_label: str = "few events",
    origin: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the estimates of many definitions in rising order, with what each of them chose.

    Parameters
    ----------
    data : pandas.DataFrame
        One row per definition: ``rule estimate conf_low conf_high``, and one column per option
        with the choice of each definition; a categorical gives the order of the choices. Rows
        without an estimate are not drawn, but counted under the axis. Where a column
        ``few_events`` is true, estimates are drawn pale; a column ``label`` has words to stand
        for the rule.
    options : sequence of str
        Columns to show below the curve, one row per choice; without any, the names of the
        definitions stand there, if there is room.
    primary : str, optional
        ``rule`` of the definition to highlight.
    reference : float, optional
        Value of no effect: intervals are coloured by whether they lie below or above it.
    log : bool, default True
        Logarithmic axis, marked at plain numbers; estimates must be positive.
    percent : bool, default False
        Whether estimates are shares, to be shown in percent.
    y_label, x_label : str
        Axes; ``{n}`` becomes the number of definitions drawn.
    interval_label : str
        What the intervals are, for the legend.
    few_label : str
        What ``few_events`` means, for the legend.
    origin : {"real", "synthetic"}, optional
        Synthetic data are stamped as such.
    ax : matplotlib.axes.Axes, optional
        The current axes by default.

    Returns
    -------
    matplotlib.axes.Axes
        That of the curve. Its lines with gid ``"estimate"`` are the estimates, by colour; its
        child axes holds the choices.

    Notes
    -----
    The choices are placed below the axes, at a fixed height per choice; make room for them with a
    constrained layout in a tall figure, or save with ``bbox_inches="tight"``.
    """
    ax = plt.gca() if ax is None else ax
    rows, kinds = _ordered(data, reference)
    _set_scale(ax, rows, reference, log=log, percent=percent)
    if reference is not None:
        ax.axhline(reference, color=MUTED, linewidth=0.9, linestyle=(0, (4, 2)), zorder=1)
    handles, labels = _draw_estimates(
        ax, rows, kinds, reference, {"interval": interval_label, "few": few_label}
    )
    highlighted = _draw_primary(ax, rows, primary)
    if highlighted is not None:
        handles.append(highlighted)
        labels.append(wrapped(f"primary definition ({primary})", 44, 1))
    ax.set_xlim(0.5, max(len(rows), 1) + 0.5)
    ax.set_ylabel(drawable(y_label))
    ax.set_xticks([])
    stamp_origin(ax, origin)
    legend_above(ax, handles, labels) if handles else None
    if options:
        _hang_choices(ax, data, options, primary=primary, reference=reference, x_label=x_label)
    else:
        rest = "" if _name_definitions(ax, rows) else ", too many here to name each"
        ax.set_xlabel(_count_label(ax, x_label + rest, len(rows), len(data) - len(rows)))
    return ax


def plot_choices(
    data: pd.DataFrame,
    *,
    options: Sequence[str],
    primary: str | None = None,
    reference: float | None = 1.0,
    x_label: str = "{n} definitions, lowest estimate first",
    ax: Axes | None = None,
) -> Axes:
    """Draw what each definition chose: one row per choice, one column per definition.

    Parameters
    ----------
    data : pandas.DataFrame
        As for :func:`plot_specification_curve`, whose order and colours it takes.
    options : sequence of str
        Columns to show.
    primary : str, optional
        ``rule`` of the definition to highlight.
    reference : float, optional
        Value of no effect.
    x_label : str
        Below; ``{n}`` becomes the number of definitions drawn.
    ax : matplotlib.axes.Axes, optional
        The current axes by default.

    Returns
    -------
    matplotlib.axes.Axes
        Its lines with gid ``"choice"`` are the marks, row by row and by colour; its texts with
        gid ``"option"`` the names of the options.
    """
    ax = plt.gca() if ax is None else ax
    rows, kinds = _ordered(data, reference)
    layout = _rows_of(data, options)
    width = _width(ax) / max(len(rows), 1)
    chosen = {option: rows[option].astype(str).to_numpy() for option in options}
    for y, option, label in layout:
        if label is None:
            _write_option(ax, y, option)
            continue
        ax.axhline(y, color=RULE, linewidth=0.5, zorder=0)
        for kind, colour in _COLOURS.items():
            where = np.flatnonzero((chosen[option] == label) & (kinds == kind)) + 1
            _mark(ax, where, y, colour, width)
    _draw_primary_line(ax, rows, primary)
    named = [(y, label) for y, _, label in layout if label is not None]
    texts = [wrapped(label.replace("_", " "), 24, 1) for _, label in named]
    ax.set_yticks([y for y, _ in named], texts)
    ax.tick_params(axis="y", length=0, labelsize=0.92 * points("ytick.labelsize"))
    ax.set_ylim(len(layout) - 0.4, -0.6)
    ax.set_xlim(0.5, max(len(rows), 1) + 0.5)
    ax.set_xticks([])
    ax.grid(visible=False)
    for side in ("left", "bottom", "top", "right"):
        ax.spines[side].set_visible(False)
    ax.set_xlabel(_count_label(ax, x_label, len(rows), len(data) - len(rows)))
    return ax


def _name_definitions(ax: Axes, rows: pd.DataFrame) -> bool:
    """Write the names of the definitions below their estimates, if there is room; say whether."""
    size = min(points("xtick.labelsize"), _width(ax) / max(len(rows), 1) / _NAME_PITCH)
    if size < _LEAST_NAME:
        return False
    labels = rows["label"] if "label" in rows else rows["rule"]
    names = [wrapped(str(name), 30, 1) for name in labels]
    ax.set_xticks(range(1, len(rows) + 1), names, rotation=90, fontsize=size)
    return True


def _ordered(
    data: pd.DataFrame, reference: float | None
) -> tuple[pd.DataFrame, NDArray[np.object_]]:
    """Sort the definitions that have an estimate, and say where their intervals lie."""
    has = data[data["estimate"].notna()]
    rows = has.sort_values(["estimate", "rule"], kind="stable", ignore_index=True)
    kinds = np.full(len(rows), "plain" if reference is None else "includes", dtype=object)
    if reference is not None:
        kinds[(rows["conf_high"] < reference).to_numpy()] = "below"
        kinds[(rows["conf_low"] > reference).to_numpy()] = "above"
    if "few_events" in rows:
        kinds[rows["few_events"].to_numpy(dtype=bool)] = "few"
    return rows, kinds


def _rows_of(data: pd.DataFrame, options: Sequence[str]) -> list[tuple[int, str, str | None]]:
    """List the rows from the top: each option's name, then its choices."""
    listed: list[tuple[str, str | None]] = []
    for option in options:
        listed += [(option, None), *((option, level) for level in group_levels(data[option]))]
    return [(y, option, label) for y, (option, label) in enumerate(listed)]


def _width(ax: Axes) -> float:
    """Return the width of the axes in points."""
    return float(ax.get_window_extent().width / ax.figure.dpi * 72)


def _draw_estimates(
    ax: Axes,
    rows: pd.DataFrame,
    kinds: NDArray[np.object_],
    reference: float | None,
    words: Mapping[str, str],
) -> tuple[list[Any], list[str]]:
    """Draw intervals and estimates, coloured by where the interval lies; return the legend."""
    rank = np.arange(1, len(rows) + 1)
    width = _width(ax) / max(len(rows), 1)
    size, line = float(np.clip(0.75 * width, 1.1, 5)), float(np.clip(0.7 * width, 0.3, 1.6))
    low, high = (rows[c].to_numpy(dtype=float) for c in ("conf_low", "conf_high"))
    estimate = rows["estimate"].to_numpy(dtype=float)
    handles: list[Any] = []
    labels: list[str] = []
    for kind, colour in _COLOURS.items():
        here = kinds == kind
        if not here.any():
            continue
        x, y = _broken(rank[here], low[here], high[here])
        pale = 0.55 if width > _TALL_MARK else 0.38
        style = {"color": colour, "solid_capstyle": "butt"}
        ax.plot(x, y, linewidth=line, alpha=pale, gid="interval", **style)
        ax.plot(rank[here], estimate[here], "o", color=colour, ms=size, mew=0, gid="estimate")
        handles.append(Line2D([], [], color=colour, marker="o", ms=4, mew=0, lw=1.4))
        labels.append(_kind_label(kind, words, reference, int(here.sum())))
    return handles, labels


def _broken(
    x: NDArray[Any], low: NDArray[np.float64], high: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lay vertical lines end to end with gaps between: one path is drawn faster than many."""
    gap = np.full(len(x), np.nan)
    return np.repeat(x.astype(float), 3), np.column_stack([low, high, gap]).ravel()


def _kind_label(kind: str, words: Mapping[str, str], reference: float | None, n: int) -> str:
    """Name a colour in the legend."""
    if kind == "few":
        return f"{drawable(words['few'])} (n = {n:,})"
    where = "" if reference is None else f" {kind} {reference:g}"
    return f"{drawable(words['interval'])}{where} (n = {n:,})"


def _primary_rank(rows: pd.DataFrame, primary: str | None) -> int:
    """Return the rank of the highlighted definition; 0 where there is none."""
    found = np.flatnonzero(rows["rule"].astype(str) == primary) if primary else []
    return int(found[0]) + 1 if len(found) else 0


def _draw_primary_line(ax: Axes, rows: pd.DataFrame, primary: str | None) -> int:
    """Draw a line through the highlighted definition; return its rank."""
    rank = _primary_rank(rows, primary)
    if rank:
        style = {"linewidth": 0.9, "linestyle": (0, (1, 1.4)), "zorder": 0.5}
        ax.axvline(rank, color=INK, gid="primary", **style)
    return rank


def _draw_primary(ax: Axes, rows: pd.DataFrame, primary: str | None) -> Line2D | None:
    """Highlight a definition; return its legend handle."""
    at = _draw_primary_line(ax, rows, primary)
    if not at:
        return None
    style = {"marker": "D", "ms": 6, "color": INK, "mec": PAPER, "mew": 0.8, "ls": ""}
    ax.plot([at], [rows["estimate"].iloc[at - 1]], zorder=4, gid="primary", **style)
    return Line2D([], [], **style)


def _count_label(ax: Axes, text: str, n: int, n_missing: int) -> str:
    """Say how many definitions are drawn, and how many have no estimate."""
    rest = f"; {n_missing} more without an estimate" if n_missing else ""
    room = int(_width(ax) / (0.55 * points("axes.labelsize")))
    return wrapped(text.replace("{n}", f"{n:,}") + rest, max(room, 16), 4)


def _set_scale(
    ax: Axes, rows: pd.DataFrame, reference: float | None, *, log: bool, percent: bool
) -> None:
    """Set the value axis: all estimates inside, intervals as far as they leave these readable."""
    few = rows["few_events"].to_numpy(dtype=bool) if "few_events" in rows else np.zeros(len(rows))
    drawn = rows["estimate"].to_numpy(dtype=float)
    marks = np.append(drawn[few == 0], [] if reference is None else reference)
    ends = rows[["conf_low", "conf_high"]].to_numpy(dtype=float).ravel()
    marks, drawn, ends = (_plain_or_log(values, log=log) for values in (marks, drawn, ends))
    marks = marks if len(marks) else np.zeros(1)
    least = math.log(1.5) if log else 1e-3
    reach = _MOST_REACH * max(float(np.ptp(marks)), least)
    ends = np.clip(ends, marks.min() - reach, marks.max() + reach)
    ends = np.concatenate([ends, marks, drawn])
    margin = 0.04 * float(np.ptp(ends)) or 0.1
    limits = np.array([ends.min() - margin, ends.max() + margin])
    if log:
        _set_log_axis(ax, *np.exp(limits))
        return
    low, high = limits
    if percent:
        low, high = max(float(low), 0.0), min(float(high), 1.0)
        ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    ax.set_ylim(low, high)


def _plain_or_log(values: NDArray[np.float64], *, log: bool) -> NDArray[np.float64]:
    """Return the finite values, or their logarithms."""
    values = np.log(values[values > 0]) if log else values
    return values[np.isfinite(values)]


def _set_log_axis(ax: Axes, low: float, high: float) -> None:
    """Mark a logarithmic axis at plain numbers."""
    ticks = log_ticks(low, high)
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(FixedLocator(ticks))
    ax.yaxis.set_major_formatter(FixedFormatter([_tick_text(tick) for tick in ticks]))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.set_ylim(low, high)


def _tick_text(tick: float) -> str:
    """Write a tick without needless digits: 0.5, 1, 0.67, 1.25."""
    return f"{tick:.2f}".rstrip("0").rstrip(".") if tick >= 0.1 else f"{tick:g}"


def _mark(ax: Axes, where: NDArray[np.int64], y: int, colour: str, width: float) -> None:
    """Mark definitions in a row: dots where there is room, else bars as wide as a definition."""
    if width >= _DOT:
        size = float(np.clip(0.75 * width, 2.5, 4.6))
        ax.plot(where, np.full(len(where), y), "o", color=colour, ms=size, mew=0, gid="choice")
        return
    x, height = _broken(where, np.full(len(where), y - 0.38), np.full(len(where), y + 0.38))
    ax.plot(
        x, height, color=colour, linewidth=max(width, _THIN), solid_capstyle="butt", gid="choice"
    )


def _write_option(ax: Axes, y: int, option: str) -> None:
    """Write an option's name on a row of its own."""
    size = 0.92 * points("ytick.labelsize")
    room = max(int(_width(ax) / (0.68 * size)), 12)
    name = wrapped(option.replace("_", " "), room, 1)
    ax.text(
        0, y + 0.1, name, transform=ax.get_yaxis_transform(), ha="left", va="center",
        fontsize=size, weight="bold", color=INK, gid="option",
    )  # fmt: skip


def _hang_choices(
    ax: Axes,
    data: pd.DataFrame,
    options: Sequence[str],
    *,
    primary: str | None,
    reference: float | None,
    x_label: str,
) -> None:
    """Hang the choices below the curve, at a fixed height per row."""
    size = points("ytick.labelsize")
    height = len(_rows_of(data, options)) * _ROW_HEIGHT * size
    below = ax.inset_axes((0.0, -1.0, 1.0, 1.0))
    below.set_axes_locator(_Below(ax, gap=_GAP * size, height=height))
    plot_choices(
        data, options=options, primary=primary, reference=reference, x_label=x_label, ax=below
    )


class _Below:
    """Place axes under others, as wide as they are and of a fixed height in points."""

    def __init__(self, host: Axes, *, gap: float, height: float) -> None:
        self.host, self.gap, self.height = host, gap, height

    def __call__(self, axes: Axes, renderer: Any) -> Bbox:
        """Return the place, in shares of the figure."""
        del axes, renderer
        place = self.host.get_position(original=False)
        figure = self.host.get_figure(root=True)
        # not its height: a tight bounding box changes that, and leaves shares as they were
        bottom, top = figure.transFigure.transform([[0, 0], [0, 1]])[:, 1]
        points_high = (top - bottom) / figure.dpi * 72
        upper = place.y0 - self.gap / points_high
        return Bbox.from_extents(place.x0, upper - self.height / points_high, place.x1, upper)
