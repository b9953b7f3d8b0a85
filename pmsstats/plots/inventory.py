"""What is there and what is not, one mark per row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt

from pmsstats.plots.theme import MUTED, PALETTE, drawable

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["plot_inventory"]


def plot_inventory(data: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw a filled mark for each row that is there, and an open one for each that is missing.

    Parameters
    ----------
    data : pandas.DataFrame
        ``component found version``; first row on top.
    ax : matplotlib.axes.Axes, optional
        The current axes by default.

    Returns
    -------
    matplotlib.axes.Axes
        Rows are at y = 0, 1, ... from the top; the text beside a mark is the version.
    """
    ax = plt.gca() if ax is None else ax
    rows = range(len(data))
    faces = [PALETTE[0] if found else "none" for found in data["found"]]
    edges = [PALETTE[0] if found else MUTED for found in data["found"]]
    ax.scatter([0] * len(data), rows, s=40, c=faces, edgecolors=edges)
    for y, (found, version) in enumerate(zip(data["found"], data["version"], strict=True)):
        ax.text(0.04, y, drawable(version) if found else "missing", va="center")
    ax.set_yticks(rows, [drawable(name) for name in data["component"]])
    ax.set_ylim(len(data) - 0.5, -0.5)
    ax.set_xlim(-0.05, 1)
    ax.set_xticks([])
    ax.set_xlabel("Filled: found, with its version")
    return ax
