"""Replication probability of findings: a dot for each, with its Monte Carlo error."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from pmsstats.plots.theme import (
    MUTED,
    PALETTE,
    RULE,
    drawable,
    legend_above,
    wrapped,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.transforms import Transform

__all__ = ["plot_replication", "replication_height"]

_COLOURS = {"effect": PALETTE[0], "no effect": PALETTE[1], "both": PALETTE[3]}
_MARKERS = {"effect": "o", "no effect": "D", "both": "s"}
_LEGEND = {
    "effect": "an effect was reported",
    "no effect": "no effect was reported",
    "both": "some of each",
}
_HALF_WIDTH = 1.96
_INCHES_PER_ROW = 0.3
_FONT_SIZE = 6.5
_INCHES_AROUND = 1.2
_DESIGN_WIDTH = 30


def replication_height(n_findings: int) -> float:
    """Return the height in inches that a figure of so many findings needs.

    Parameters
    ----------
    n_findings : int
        Rows.

    Returns
    -------
    float
        For ``figsize``.
    """
    return _INCHES_AROUND + _INCHES_PER_ROW * n_findings


def plot_replication(
    findings: pd.DataFrame,
    *,
    ax: Axes | None = None,
    origin: str | None = None,
    label_width: int = 46,
) -> Axes:
    """Draw one row per finding, the likeliest to be found again at the top.

    Parameters
    ----------
    findings : pandas.DataFrame
        One row per finding: ``statement design expected probability mcse``; rows without a
        probability are left out.
    ax : matplotlib.axes.Axes, optional
        Where; the current axes by default. Give it :func:`replication_height`.
    origin : str, optional
        ``"synthetic"`` is stamped on the figure.
    label_width : int, default 46
        Characters of a line of the statement, which has two at most.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    ax = ax or plt.gca()
    known = findings.dropna(subset=["probability"])
    known = known.sort_values("probability", ascending=False, kind="stable").reset_index(drop=True)
    handles, labels = [], []
    for kind, colour in _COLOURS.items():
        rows = known[known["expected"] == kind]
        if rows.empty:
            continue
        handles.append(
            ax.errorbar(
                100 * rows["probability"], rows.index, xerr=_whiskers(rows), fmt=_MARKERS[kind],
                color=colour, markersize=4, elinewidth=1, capsize=0,
            )
        )  # fmt: skip
        labels.append(_LEGEND[kind])
    texts = [wrapped(statement, label_width) for statement in known["statement"]]
    ax.set_yticks(range(len(known)), texts, fontsize=_FONT_SIZE)
    _write_designs(ax, known["design"])
    ax.set_ylim(len(known) - 0.4, -0.6)
    ax.set_xlim(-2, 102)
    ax.set_xlabel("Repetitions of the study that find what it reported (%)")
    ax.grid(visible=True, axis="x", color=RULE)
    ax.axvline(80, color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
    legend_above(ax, handles, labels)
    if origin == "synthetic":  # beside the axis, because the legend fills what is above
        _write_beside(ax, "synthetic data", 0.0, ax.transAxes, offset=-12, style="italic")
    return ax


def _write_designs(ax: Axes, designs: pd.Series) -> None:
    """Write the design of each study at the right end of its row."""
    for row, design in enumerate(designs):
        _write_beside(ax, wrapped(design, _DESIGN_WIDTH), row, ax.get_yaxis_transform())


def _write_beside(
    ax: Axes, text: str, y: float, transform: Transform, *, offset: float = 0, style: str = "normal"
) -> None:
    """Write to the right of the axes."""
    ax.annotate(
        drawable(text),
        (1, y),
        (6, offset),
        xycoords=transform,
        textcoords="offset points",
        va="center",
        fontsize=_FONT_SIZE,
        fontstyle=style,
        color=MUTED,
        annotation_clip=False,
    )


def _whiskers(rows: pd.DataFrame) -> np.ndarray:
    """Return 95 % Monte Carlo intervals, cut at 0 and 100 %."""
    half = _HALF_WIDTH * rows["mcse"].to_numpy()
    share = rows["probability"].to_numpy()
    return 100 * np.stack([np.minimum(half, share), np.minimum(half, 1 - share)])
