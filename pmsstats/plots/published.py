"""Published effects among those that simulated trials of the same design find."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from pmsstats.plots.theme import INK, MUTED, PALETTE, stamp_origin, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_published"]

_LABEL_WIDTH = 34
_REACH = 4.0
_SD_OF_RANGE = 2 * 1.959963984540054


def plot_published(
    findings: pd.DataFrame, *, origin: str | None = None, ax: Axes | None = None
) -> Axes:
    """Draw where each published effect lies among the simulated ones.

    Parameters
    ----------
    findings : pandas.DataFrame
        ``what published published_low published_high simulated simulated_low simulated_high found
        share``: the published effect with its interval, mean and middle 95 % of the simulated
        effects, the paper's conclusion, and the share of simulated trials that come to it.
    origin : {"real", "synthetic"}, optional
        Synthetic data are stamped as such.
    ax : matplotlib.axes.Axes, optional
        The current axes by default.

    Returns
    -------
    matplotlib.axes.Axes
        Rows are at y = 0, 1, ... from the top, each in its own standard errors: the band holds 95
        % of the simulated trials. Effects further than the axis reaches end in an arrow.
    """
    ax = plt.gca() if ax is None else ax
    ax.axvspan(-_SD_OF_RANGE / 2, _SD_OF_RANGE / 2, color=PALETTE[0], alpha=0.12, lw=0)
    ax.axvline(0.0, color=PALETTE[0], lw=1)
    for y, row in enumerate(findings.itertuples()):
        spread = (row.simulated_high - row.simulated_low) / _SD_OF_RANGE
        value, low, high = (
            (v - row.simulated) / spread
            for v in (row.published, row.published_low, row.published_high)
        )
        if np.isfinite(low):
            ax.plot([max(low, -_REACH), min(high, _REACH)], [y, y], color=INK, lw=1.6)
        if np.isfinite(value):
            marker = "o" if abs(value) <= _REACH else "<" if value < 0 else ">"
            ax.plot(np.clip(value, -_REACH, _REACH), y, marker, color=INK, ms=6)
        else:
            ax.text(0.0, y, "no number printed", ha="center", va="center", color=MUTED, size=8)
        text = f'"{row.found}" in {row.share:.0%}'
        ax.text(1.02, y, text, transform=ax.get_yaxis_transform(), va="center", size=8)
    ax.set_yticks(range(len(findings)), [wrapped(t, _LABEL_WIDTH) for t in findings["what"]])
    ax.set_ylim(len(findings) - 0.5, -0.5)
    ax.set_xlim(-_REACH - 0.3, _REACH + 0.3)
    ax.set_xlabel("Published effect, in standard errors from the mean of simulated trials")
    ax.text(1.02, -0.5, "concluded by", size=8, color=MUTED, va="bottom",
            transform=ax.get_yaxis_transform())  # fmt: skip
    stamp_origin(ax, origin)
    return ax
