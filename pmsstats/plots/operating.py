"""Operating characteristics of simulated trials: rejections, estimates, where trials end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from pmsstats.plots.theme import (
    INK,
    MUTED,
    PALETTE,
    RULE,
    group_styles,
    legend_above,
    points,
    stamp_origin,
    wrapped,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_designs", "plot_estimates", "plot_rejections", "plot_stopping"]

_HALF_WIDTH = 1.96
_COLOURS = {"power": PALETTE[0], "type1_error": PALETTE[1]}
_WORDS = {"power": "power", "type1_error": "type I error"}
_ENDS = {"efficacy": PALETTE[2], "futility": PALETTE[1], "end": PALETTE[6]}
_END_WORDS = {
    "efficacy": "stopped for efficacy", "futility": "stopped for futility", "end": "planned end",
}  # fmt: skip
_PERCENT_QUANTITIES = (
    "power", "error", "success", "coverage", "stopped", "failed", "dropped", "kept", "passed",
)  # fmt: skip
_MOST_BINS = 60
_LETTERS_WITHOUT_LAYOUT = 22
_NARROWEST = 0.2  # of the figure's width that the axes keep
_TICK_INCHES = 0.15
_WIDTH_OF_LETTER = 0.6  # em


def plot_rejections(
    data: pd.DataFrame, *, origin: str | None = None, ax: Axes | None = None
) -> Axes:
    """Draw power and type I error, one row per analysis and comparison.

    Parameters
    ----------
    data : pandas.DataFrame
        Columns ``label quantity value mcse n_replicates``.
    origin : {"real", "synthetic"}, optional
        Synthetic data are stamped as such.
    ax : matplotlib.axes.Axes, optional
        The current axes by default.

    Returns
    -------
    matplotlib.axes.Axes
        With 95 % Monte Carlo intervals.
    """
    ax = plt.gca() if ax is None else ax
    handles, labels = [], []
    heights = np.arange(len(data))
    for quantity, colour in _COLOURS.items():
        of_kind = (data["quantity"] == quantity).to_numpy()
        if not of_kind.any():
            continue
        rows = data[of_kind]
        handles.append(_dots(ax, rows, heights[of_kind], 100.0, colour))
        labels.append(_WORDS[quantity])
    _rows_down(ax, data["label"].tolist())
    n = int(data["n_replicates"].max()) if len(data) else 0
    label = f"Share of {n:,} simulated trials that reject (%)"
    if len(labels) == 1:
        label = f"{labels[0][:1].upper()}{labels[0][1:]}: {label[:1].lower()}{label[1:]}"
    ax.set(xlim=(-2, 102), xlabel=label)
    stamp_origin(ax, origin)
    if len(labels) > 1:
        legend_above(ax, handles, labels)
    return ax


def plot_designs(
    data: pd.DataFrame, *, quantity: str, origin: str | None = None, ax: Axes | None = None
) -> Axes:
    """Draw one operating characteristic of several designs, one row each.

    Parameters
    ----------
    data : pandas.DataFrame
        Columns ``design comparison value mcse``.
    quantity : str
        What it is; probabilities are drawn in per cent.
    origin : {"real", "synthetic"}, optional
        Synthetic data are stamped as such.
    ax : matplotlib.axes.Axes, optional
        The current axes by default.

    Returns
    -------
    matplotlib.axes.Axes
        With 95 % Monte Carlo intervals.
    """
    ax = plt.gca() if ax is None else ax
    is_share = any(word in quantity for word in _PERCENT_QUANTITIES) and "relative" not in quantity
    scale = 100.0 if is_share else 1.0
    several = len(set(data["comparison"])) > 1
    _dots(ax, data, np.arange(len(data)), scale, PALETTE[0])
    labels = [
        f"{row['design']}: {row['comparison']}" if several else str(row["design"])
        for row in data.to_dict("records")
    ]
    _rows_down(ax, labels)
    words = quantity.replace("_", " ").replace("type1", "type I")
    words = words.replace("passed interim", "goes on after the interim look")
    ax.set_xlabel(f"{words[:1].upper()}{words[1:]}{' (%)' if is_share else ''}")
    stamp_origin(ax, origin)
    return ax


def _dots(ax: Axes, rows: pd.DataFrame, heights: np.ndarray, scale: float, colour: str) -> object:
    """Draw values with their Monte Carlo intervals."""
    return ax.errorbar(
        scale * rows["value"].to_numpy(), heights,
        xerr=scale * _HALF_WIDTH * rows["mcse"].fillna(0).to_numpy(),
        fmt="o", color=colour, markersize=5, elinewidth=1.4, capsize=0,
    )  # fmt: skip


def _rows_down(ax: Axes, labels: list[str]) -> None:
    """Label rows from the top, with room for the labels where no layout makes it."""
    figure = ax.get_figure(root=True)
    laid_out = figure is None or figure.get_layout_engine() is not None
    lines, width = (2, 34) if laid_out else (4, _LETTERS_WITHOUT_LAYOUT)
    texts = [wrapped(label, width, lines) for label in labels]
    ax.set_yticks(range(len(texts)), texts)
    ax.set_ylim(len(texts) - 0.4, -0.6)
    ax.grid(visible=False, axis="y")
    ax.grid(visible=True, axis="x", color=RULE)
    if figure is not None and not laid_out and figure.axes == [ax]:
        longest = max((len(line) for text in texts for line in text.split("\n")), default=0)
        inches = _TICK_INCHES + longest * points("ytick.labelsize") * _WIDTH_OF_LETTER / 72
        margins = figure.subplotpars
        left = min(inches / figure.get_figwidth(), margins.right - _NARROWEST)
        figure.subplots_adjust(left=max(margins.left, left))


def plot_estimates(
    data: pd.DataFrame,
    *,
    scale: str = "effect",
    ratio: str = "",
    origin: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw how estimates spread, with their mean and the true value.

    Parameters
    ----------
    data : pandas.DataFrame
        Columns ``comparison estimate truth``, one row per replicate and comparison.
    scale : str
        What the estimates are, as ``"difference of slopes (ml per year)"``.
    ratio : str
        Where estimates are logarithms of a ratio: which. It is then written below them.
    origin : {"real", "synthetic"}, optional
        Synthetic data are stamped as such.
    ax : matplotlib.axes.Axes, optional
        The current axes by default.

    Returns
    -------
    matplotlib.axes.Axes
        One outline per comparison; dashes (gid ``"mean"``) at the mean, a full line (gid
        ``"truth"``) at the truth.
    """
    ax = plt.gca() if ax is None else ax
    known = data[np.isfinite(data["estimate"])]
    styles = group_styles(list(dict.fromkeys(data["comparison"])))
    n_bins = min(_MOST_BINS, max(int(np.sqrt(len(known))), 5))
    edges = np.histogram_bin_edges(known["estimate"], bins=n_bins) if len(known) else [0.0, 1.0]
    handles = []
    for name, style in styles.items():
        rows = known[known["comparison"] == name]
        _, _, patches = ax.hist(
            rows["estimate"], bins=edges, histtype="stepfilled", alpha=0.25, color=style.colour
        )
        handles.append(patches[0])
        if len(rows):
            mean = float(rows["estimate"].mean())
            ax.axvline(mean, color=style.colour, linestyle=(0, (4, 2)), gid="mean", lw=1.4)
        for truth in rows["truth"].dropna().unique():
            ax.axvline(truth, color=style.colour, lw=1.4, gid="truth")
    below = f", {ratio} below" if ratio else ""
    label = f"Estimated {scale}{below}; dashes: mean, line: truth"
    ax.set(xlabel=label, ylabel="Simulated trials")
    if ratio:
        ax.xaxis.set_major_formatter(lambda x, _: f"{x:g}\n{np.exp(x):.2g}")
    stamp_origin(ax, origin)
    counts = known["comparison"].value_counts()
    legend_above(ax, handles, [f"{name} (n = {counts.get(name, 0)})" for name in styles])
    return ax


def plot_stopping(data: pd.DataFrame, *, origin: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw at which look trials end, and why.

    Parameters
    ----------
    data : pandas.DataFrame
        Columns ``look stopped_for share mcse n_replicates``; shares of all trials.
    origin : {"real", "synthetic"}, optional
        Synthetic data are stamped as such.
    ax : matplotlib.axes.Axes, optional
        The current axes by default.

    Returns
    -------
    matplotlib.axes.Axes
        One stack of bars per look, with 95 % Monte Carlo intervals.
    """
    ax = plt.gca() if ax is None else ax
    looks = sorted(set(data["look"]))
    below = dict.fromkeys(looks, 0.0)
    handles, labels = [], []
    for kind in dict.fromkeys([*_ENDS, *data["stopped_for"]]):
        rows = data[data["stopped_for"] == kind]
        if rows.empty:
            continue
        heights = 100 * rows["share"].to_numpy()
        at = rows["look"].to_numpy()
        bottoms = np.array([below[look] for look in at])
        colour = _ENDS.get(kind, MUTED)
        ax.bar(at, heights, bottom=bottoms, color=colour, width=0.6, alpha=0.85)
        ax.errorbar(
            at, bottoms + heights, yerr=100 * _HALF_WIDTH * rows["mcse"].to_numpy(),
            fmt="none", ecolor=INK, elinewidth=1,
        )  # fmt: skip
        below |= {look: below[look] + h for look, h in zip(at.tolist(), heights, strict=True)}
        handles.append(Patch(color=colour, alpha=0.85))
        labels.append(_END_WORDS.get(kind, str(kind)))
    n = int(data["n_replicates"].sum())
    ax.set(xlabel="Look", ylabel=f"Share of {n:,} trials that end here (%)", ylim=(0, 102))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlim(min(looks, default=1) - 0.6, max(looks, default=1) + 0.6)
    stamp_origin(ax, origin)
    legend_above(ax, handles, labels)
    return ax
