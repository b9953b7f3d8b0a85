"""Differences between paired measurements against their mean, with limits of agreement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from pmsstats.plots.theme import INK, MUTED, PALETTE, PAPER, drawable, stamp_origin
from pmsstats.results import format_number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_bland_altman"]

_WORDS = {"lower": "lower limit", "bias": "bias", "upper": "upper limit"}


def plot_bland_altman(
    pairs: pd.DataFrame,
    limits: pd.DataFrame,
    *,
    x_label: str,
    y_label: str,
    origin: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw differences against means, the bias, and the limits of agreement with intervals.

    Parameters
    ----------
    pairs : pandas.DataFrame
        ``mean difference``, one row per pair.
    limits : pandas.DataFrame
        ``term estimate conf_low conf_high`` with the terms ``lower``, ``bias``, ``upper``.
    x_label, y_label : str
        What the mean and the difference are, with their unit.
    origin : {"real", "synthetic"}, optional
        Synthetic data are stamped as such.
    ax : matplotlib.axes.Axes, optional
        The current axes by default.

    Returns
    -------
    matplotlib.axes.Axes
        Lines carry the gid of their term, bands ``"interval"``, points ``"pairs"``.
    """
    ax = plt.gca() if ax is None else ax
    ax.axhline(0, color=MUTED, linewidth=0.8, linestyle=(0, (1, 2)), zorder=1)
    for row in limits.to_dict("records"):
        is_bias = row["term"] == "bias"
        colour = PALETTE[0] if is_bias else PALETTE[1]
        if np.isfinite([row["conf_low"], row["conf_high"]]).all():
            ax.axhspan(
                row["conf_low"], row["conf_high"], color=colour, alpha=0.14, lw=0, gid="interval"
            )
        style = "solid" if is_bias else (0, (6, 2))
        ax.axhline(row["estimate"], color=colour, linewidth=1.5, linestyle=style, gid=row["term"])
        ax.annotate(
            f"{_WORDS[str(row['term'])]} {format_number(float(row['estimate']), 3)}",
            (1, row["estimate"]), xycoords=ax.get_yaxis_transform(), xytext=(-2, 2),
            textcoords="offset points", ha="right", va="bottom", color=INK, fontsize=8,
            gid="figures",
        )  # fmt: skip
    ax.plot(
        pairs["mean"], pairs["difference"], "o", color=PALETTE[0], markeredgecolor=PAPER,
        markeredgewidth=0.5, ms=5, gid="pairs", zorder=3,
    )  # fmt: skip
    ax.set_xlabel(drawable(x_label))
    ax.set_ylabel(drawable(y_label))
    stamp_origin(ax, origin)
    return ax
