"""Cumulative incidence of competing causes, as steps with their intervals."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from pmsstats.plots.theme import (
    MUTED,
    PALETTE,
    drawable,
    group_levels,
    legend_above,
    stamp_origin,
    wrapped,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_cumulative_incidence"]

_DASHES = ("solid", (0, (5, 2)), (0, (1.5, 1.5)), (0, (7, 2, 1.5, 2)))


def plot_cumulative_incidence(
    curves: pd.DataFrame,
    *,
    causes: tuple[str, ...] | None = None,
    show_naive: bool = False,
    x_label: str = "Years from baseline",
    y_label: str = "Cumulative incidence",
    origin: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the incidence of each cause in each group.

    Parameters
    ----------
    curves : pandas.DataFrame
        ``group cause duration incidence conf_low conf_high``, durations in years and ascending
        within group and cause; optionally ``n`` (subjects of the group) and ``one_minus_km``.
        Groups are told apart by colour and causes by dashes; with one group, causes by both.
    causes : tuple of str, optional
        Which causes to draw; all by default.
    show_naive : bool, default False
        Whether to draw ``one_minus_km`` too, as thin lines.
    x_label, y_label : str
        Axes; incidence is shown in percent.
    origin : {"real", "synthetic"}, optional
        Synthetic data are stamped as such.
    ax : matplotlib.axes.Axes, optional
        The current axes by default.

    Returns
    -------
    matplotlib.axes.Axes
        Its lines have gid ``"incidence"``, or ``"naive"``.
    """
    ax = plt.gca() if ax is None else ax
    groups = group_levels(curves["group"])
    names = group_levels(curves["cause"])
    drawn = names if causes is None else [name for name in names if name in causes]
    by_cause = len(groups) == 1
    for (g, group), cause in itertools.product(enumerate(groups), drawn):
        curve = curves[(curves["group"] == group) & (curves["cause"] == cause)]
        k = names.index(cause)
        colour = PALETTE[(k if by_cause else g) % len(PALETTE)]
        if len(curve):
            _draw(ax, curve, colour, _DASHES[k % len(_DASHES)], show_naive=show_naive)
    ax.set(xlabel=drawable(x_label), ylabel=drawable(y_label))
    ax.set_ylim(0, None)
    ax.set_xlim(0, float(curves["duration"].max()) or 1.0)
    ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    stamp_origin(ax, origin)
    handles = [] if by_cause else [
        Line2D([], [], color=PALETTE[g % len(PALETTE)]) for g in range(len(groups))
    ]  # fmt: skip
    handles += [
        Line2D([], [], color=PALETTE[k % len(PALETTE)] if by_cause else MUTED,
               linestyle=_DASHES[k % len(_DASHES)])
        for k in map(names.index, drawn)
    ]  # fmt: skip
    labels = [] if by_cause else [wrapped(group, suffix=_n(curves, group)) for group in groups]
    legend_above(ax, handles, [*labels, *(wrapped(name) for name in drawn)])
    return ax


def _n(curves: pd.DataFrame, group: str) -> str:
    """Return " (n = ...)", where the frame tells."""
    mine = curves[curves["group"] == group]
    return f" (n = {int(mine['n'].iloc[0])})" if "n" in curves and len(mine) else ""


def _draw(ax: Axes, curve: pd.DataFrame, colour: str, dashes: object, *, show_naive: bool) -> None:
    """Draw the steps of one curve, and their interval."""
    columns = ["duration", "incidence", "conf_low", "conf_high"]
    duration, incidence, low, high = curve[columns].to_numpy(dtype=float).T
    low, high = (np.where(np.isnan(limit), incidence, limit) for limit in (low, high))
    ax.fill_between(duration, low, high, step="post", color=colour, alpha=0.12, linewidth=0)
    ax.step(duration, incidence, where="post", color=colour, linewidth=1.8, gid="incidence")
    ax.lines[-1].set_linestyle(dashes)
    if show_naive:
        naive = curve["one_minus_km"].to_numpy(dtype=float)
        ax.step(duration, naive, where="post", color=colour, linewidth=0.9, alpha=0.7, gid="naive")
        ax.lines[-1].set_linestyle(dashes)
