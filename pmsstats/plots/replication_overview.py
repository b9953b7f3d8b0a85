"""All findings at a glance: how often each would be found again, by section of the review."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.colors import to_rgba

from pmsstats.plots.theme import INK, MUTED, PALETTE, drawable, legend_above, stamp_origin, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["is_assumed", "plot_replication_overview"]

_SECTIONS = {
    "wm": "White matter", "cortex": "Cortex", "cord": "Spinal cord", "cerebellum": "Cerebellum",
    "dgm": "Deep grey matter", "trials": "Trials", "outlook": "Outlook",
}  # fmt: skip
_KINDS = {
    "effect": "an effect was reported",
    "no effect": "no effect was reported",
    "both": "some of each",
}


def plot_replication_overview(
    findings: pd.DataFrame,
    *,
    named: Mapping[str, str] | None = None,
    origin: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw a dot for each finding, one row of dots for each section of the review.

    Parameters
    ----------
    findings : pandas.DataFrame
        One row per finding: ``finding section expected probability source``; rows without a
        probability are left out. Dots are empty where the source says that something of the
        study's design is assumed.
    named : mapping of str to str, optional
        Findings to be pointed at, and what to write beside them.
    origin : str, optional
        ``"synthetic"`` is stamped on the figure.
    ax : matplotlib.axes.Axes, optional
        Where; the current axes by default.

    Returns
    -------
    matplotlib.axes.Axes
        Dots that would cover each other are moved apart within their row.
    """
    ax = plt.gca() if ax is None else ax
    known = findings.dropna(subset=["probability"]).copy()
    known["percent"] = 100 * known["probability"]
    known["row"] = known["section"].map(_SECTIONS)
    rows = [label for label in _SECTIONS.values() if (known["row"] == label).any()]
    kinds = [kind for kind in _KINDS if (known["expected"] == kind).any()]
    colours = dict(zip(_KINDS, (PALETTE[0], PALETTE[1], PALETTE[3]), strict=True))
    ax.set_xlim(-4, 104)
    sns.swarmplot(
        data=known, x="percent", y="row", order=rows, hue="expected", hue_order=kinds,
        palette=colours, size=4.2, ax=ax, legend=False, warn_thresh=1.0,
    )  # fmt: skip
    _empty_assumed(ax, known, rows)
    ax.axvline(80, color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)), zorder=0)
    for finding, text in (named or {}).items():
        _point_at(ax, known, rows, finding, text)
    handles = [plt.Line2D([], [], marker="o", linestyle="", color=colours[k]) for k in kinds]
    empty = plt.Line2D([], [], marker="o", linestyle="", color=MUTED, markerfacecolor="white")
    legend_above(ax, [*handles, empty], [*(_KINDS[k] for k in kinds), "size or visits assumed"])
    ax.set_xlabel("Repetitions of the cited study that find what it reported (%)")
    ax.set_ylabel("")
    ax.set_ylim(len(rows) - 0.5, -0.8)
    stamp_origin(ax, origin)
    return ax


def _empty_assumed(ax: Axes, known: pd.DataFrame, rows: list[str]) -> None:
    """Empty the dots of studies whose design is partly assumed.

    The dots of a row are drawn in the order of its findings.
    """
    for dots, label in zip(ax.collections, rows, strict=False):
        found = known[known["row"] == label]
        colours = dots.get_facecolors()
        edges = colours.copy()
        colours[is_assumed(found).to_numpy()] = to_rgba("white")
        dots.set_facecolors(colours)
        dots.set_edgecolors(edges)
        dots.set_linewidth(1.0)


def is_assumed(findings: pd.DataFrame) -> pd.Series:
    """Say of which findings the cited study's numbers or visits are not all known.

    Parameters
    ----------
    findings : pandas.DataFrame
        With ``source``.

    Returns
    -------
    pandas.Series of bool
        True where the source says "assumed".
    """
    return findings["source"].fillna("").str.contains("assumed")


def _point_at(ax: Axes, known: pd.DataFrame, rows: list[str], finding: str, text: str) -> None:
    """Write beside a finding's dot what it is."""
    for row in known[known["finding"] == finding].itertuples():
        place = (row.percent, rows.index(row.row))
        ax.annotate(
            wrapped(drawable(text), 34, 3), place, (0, 15), textcoords="offset points",
            ha="left" if row.percent < 60 else "right", fontsize=7, color=INK,
            arrowprops={"arrowstyle": "-", "color": MUTED, "linewidth": 0.7},
        )  # fmt: skip
