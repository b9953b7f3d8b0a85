"""States over time: stacked shares, and the diagram of transitions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Patch
from matplotlib.ticker import PercentFormatter

from pmsstats.plots.theme import (
    INK,
    MUTED,
    PALETTE,
    PAPER,
    drawable,
    group_levels,
    legend_above,
    stamp_origin,
    wrapped,
)
from pmsstats.results import format_number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_state_shares", "plot_transitions", "state_colours"]

_LIGHT = "#bcd5ec"
_BOX = (0.62, 0.30)  # width and height, where states are one apart
_DEATH_BELOW = 1.35
_GAP = 0.055  # between the two arrows of a pair of states
_NARROW = 360.0  # points of width: below, a diagram stands upright


def state_colours(levels: Sequence[str], death: str | None = None) -> dict[str, str]:
    """Give states colours from light to dark as they get worse; grey for death.

    Parameters
    ----------
    levels : sequence of str
        States, mildest first.
    death : str, optional
        Which of them is death.

    Returns
    -------
    dict of str to str
        Hexadecimal colours.

    Examples
    --------
    >>> state_colours(["1", "2", "dead"], death="dead")["dead"]
    '#5b6670'
    """
    ramp = LinearSegmentedColormap.from_list("states", [_LIGHT, PALETTE[5], PALETTE[0]])
    living = [level for level in levels if level != death]
    depth = np.linspace(0, 1, len(living)) if len(living) > 1 else [0.5]
    colours = {level: to_hex(ramp(d)) for level, d in zip(living, depth, strict=True)}
    return colours | ({death: MUTED} if death is not None else {})


def plot_state_shares(
    shares: pd.DataFrame,
    *,
    death: str | None = None,
    x_label: str = "Years",
    y_label: str = "Share of people",
    origin: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the shares of people in every state over time, stacked.

    Parameters
    ----------
    shares : pandas.DataFrame
        ``time state share``; state an ordered categorical, mildest first; the shares of a time
        sum to 1. Optionally ``conf_low conf_high``: interval of the share in this state or a
        milder one, drawn as dotted lines about the upper edge of its band.
    death : str, optional
        Which state is death; drawn in grey.
    x_label, y_label : str
        Axes; shares are shown in percent.
    origin : {"real", "synthetic"}, optional
        Synthetic data are stamped as such.
    ax : matplotlib.axes.Axes, optional
        The current axes by default.

    Returns
    -------
    matplotlib.axes.Axes
        One band per state, the mildest at the bottom.
    """
    ax = plt.gca() if ax is None else ax
    levels = group_levels(shares["state"])
    colours = state_colours(levels, death)
    wide = shares.pivot_table(index="time", columns="state", values="share", observed=False)
    wide = wide.reindex(columns=levels).fillna(0.0)
    time = wide.index.to_numpy(dtype=float)
    tops = wide.to_numpy().cumsum(axis=1)
    below = np.zeros(len(time))
    for level, top in zip(levels, tops.T, strict=True):
        ax.fill_between(time, below, top, color=colours[level], linewidth=0, gid=f"state {level}")
        ax.plot(time, top, color=PAPER, linewidth=0.8)
        below = top
    if {"conf_low", "conf_high"} <= set(shares.columns):
        _draw_intervals(ax, shares, levels[:-1])
    ax.set(xlabel=drawable(x_label), ylabel=drawable(y_label), ylim=(0, 1))
    ax.set_xlim(time.min(), time.max() if time.max() > time.min() else time.min() + 1)
    ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    stamp_origin(ax, origin)
    patches = [Patch(facecolor=colours[level], edgecolor=MUTED, linewidth=0.4) for level in levels]
    legend_above(ax, patches, [wrapped(level, 22) for level in levels])
    return ax


def _draw_intervals(ax: Axes, shares: pd.DataFrame, levels: Sequence[str]) -> None:
    """Draw the interval of every edge between two bands."""
    for level in levels:
        rows = shares[shares["state"].astype(str) == level].sort_values("time")
        for column in ("conf_low", "conf_high"):
            ax.plot(
                rows["time"], rows[column], color=PAPER, linewidth=0.9, linestyle=(0, (1, 2)),
                gid=f"{column} {level}",
            )  # fmt: skip


def plot_transitions(
    intensities: pd.DataFrame,
    *,
    states: Sequence[str],
    death: str | None = None,
    unit: str = "year",
    origin: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw states as boxes, and the intensities of transitions on arrows between them.

    Parameters
    ----------
    intensities : pandas.DataFrame
        ``from_state to_state estimate conf_low conf_high``.
    states : sequence of str
        All of them, mildest first.
    death : str, optional
        Which of them is death; drawn apart from the others.
    unit : str, default "year"
        Of time.
    origin : {"real", "synthetic"}, optional
        Synthetic data are stamped as such.
    ax : matplotlib.axes.Axes, optional
        The current axes by default. Narrow axes are drawn upright.

    Returns
    -------
    matplotlib.axes.Axes
        Its texts with gid ``"intensity"`` are the numbers on the arrows, in the order of
        `intensities`.
    """
    ax = plt.gca() if ax is None else ax
    upright = ax.get_window_extent().width / ax.figure.dpi * 72 < _NARROW
    places = _places(states, death, upright)
    colours = state_colours(states, death)
    pairs = set(zip(intensities["from_state"], intensities["to_state"], strict=True))
    for row in intensities.itertuples():
        both_ways = (row.to_state, row.from_state) in pairs
        _draw_arrow(ax, places[row.from_state], places[row.to_state], row, both_ways=both_ways)
    for state in states:
        _draw_box(ax, places[state], state, colours[state])
    xy = np.array(list(places.values()))
    ax.set_xlim(xy[:, 0].min() - 0.5, xy[:, 0].max() + 0.5)
    ax.set_ylim(xy[:, 1].min() - 0.45, xy[:, 1].max() + 0.75)
    ax.set(xticks=[], yticks=[], xlabel=drawable(f"Transitions per person and {unit} (interval)"))
    ax.spines[:].set_visible(False)
    ax.grid(visible=False)
    stamp_origin(ax, origin)
    return ax


def _places(
    states: Sequence[str], death: str | None, upright: bool
) -> dict[str, tuple[float, float]]:
    """Return the centre of every box."""
    living = [state for state in states if state != death]
    middle = (len(living) - 1) / 2
    if upright:
        places = {state: (0.0, -1.0 * i) for i, state in enumerate(living)}
        return places | ({death: (_DEATH_BELOW, -middle)} if death is not None else {})
    places = {state: (1.0 * i, 0.0) for i, state in enumerate(living)}
    return places | ({death: (middle, -_DEATH_BELOW)} if death is not None else {})


def _draw_box(ax: Axes, place: tuple[float, float], state: str, colour: str) -> None:
    """Draw one state."""
    width, height = _BOX
    ax.add_patch(
        FancyBboxPatch(
            (place[0] - width / 2, place[1] - height / 2),
            width,
            height,
            boxstyle="round,pad=0.02",
            facecolor=colour,
            edgecolor=INK,
            linewidth=0.8,
            zorder=3,
        )
    )
    dark = sum(int(colour[i : i + 2], 16) for i in (1, 3, 5)) < 380
    ax.text(
        *place,
        wrapped(state, 11),
        ha="center",
        va="center",
        color=PAPER if dark else INK,
        fontsize="small",
        zorder=4,
    )


def _draw_arrow(
    ax: Axes, start: tuple[float, float], end: tuple[float, float], row: Any, *, both_ways: bool
) -> None:
    """Draw one transition and its intensity; a little left of the line where one comes back."""
    a, b = np.array(start), np.array(end)
    along = (b - a) / np.linalg.norm(b - a)
    left = np.array([-along[1], along[0]])
    shift = _GAP * left * both_ways
    tail, head = (_edge(p, sign * along) + shift for p, sign in ((a, 1), (b, -1)))
    ax.add_patch(
        FancyArrowPatch(
            tail, head, arrowstyle="-|>", mutation_scale=9, color=INK, linewidth=0.9, shrinkA=0,
            shrinkB=0, zorder=2,
        )
    )  # fmt: skip
    text = f"{format_number(row.estimate, 2)}\n"
    text += f"({format_number(row.conf_low, 2)} to {format_number(row.conf_high, 2)})"
    beside = {"ha": "center", "va": "center"}
    is_level, is_upright = abs(along[1]) < 0.1, abs(along[0]) < 0.1
    if is_level:
        beside["va"] = "bottom" if left[1] > 0 else "top"
    elif is_upright:
        beside["ha"] = "left" if left[0] > 0 else "right"
    place = tail + 0.5 * (head - tail) + (0.05 * left if is_level or is_upright else 0.0)
    ax.text(
        *place,
        text,
        **beside,
        fontsize="x-small",
        color=INK,
        gid="intensity",
        zorder=5,
        bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 1.0},
    )


def _edge(centre: np.ndarray, along: np.ndarray) -> np.ndarray:
    """Return where a line from the centre of a box leaves it."""
    half = np.array(_BOX) / 2 + 0.04
    with np.errstate(divide="ignore"):
        reach = np.min(half / np.abs(along))
    return centre + reach * along
