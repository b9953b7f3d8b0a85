"""Published effects among those that simulated trials of the same design find."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from pmsstats.plots.theme import INK, MUTED, PALETTE, stamp_origin, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_published"]

_HALF_RANGE = 1.959963984540054
"""Standard errors from the mean that hold 95 % of the simulated trials."""

_REACH = 4.0
_TEXT_SIZE = 8
_INCHES_PER_LETTER = 0.06
_LABEL_SHARE = 0.85
"""Letters of the axis label that take the place of one of small print."""

_GAP = 5
_X_LABEL = "Published effect minus simulated mean, in standard errors"
_BAND = "(band: 95 % of simulated trials)"


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
        % of the simulated trials. Above a row stands what was found, below it how many simulated
        trials conclude the same. Effects further than the axis reaches end in an arrow.
    """
    ax = plt.gca() if ax is None else ax
    ax.axvspan(-_HALF_RANGE, _HALF_RANGE, color=PALETTE[0], alpha=0.12, lw=0)
    ax.axvline(0.0, color=PALETTE[0], lw=1, alpha=0.5)
    letters = _letters(ax)
    for y, row in enumerate(findings.itertuples()):
        _draw_effect(ax, y, row)
        conclusion = f"paper: {row.found}, as {row.share:.0%} of simulations"
        _write(ax, y, wrapped(str(row.what), letters), above=True)
        _write(ax, y, wrapped(conclusion, letters, max_lines=1), above=False)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.set_ylim(max(len(findings), 1) - 0.5, -0.5)
    ax.set_xlim(-_REACH - 0.3, _REACH + 0.3)
    label = wrapped(_X_LABEL, int(_LABEL_SHARE * letters), max_lines=3)
    ax.set_xlabel(f"{label}\n{_BAND}")
    stamp_origin(ax, origin)
    return ax


def _letters(ax: Axes) -> int:
    """Return how many letters of small print stand beside each other in the axes."""
    width = ax.get_figure(root=True).get_figwidth() * ax.get_position().width
    return max(int(width / _INCHES_PER_LETTER), 20)


def _draw_effect(ax: Axes, y: int, row: Any) -> None:
    """Draw a published effect and its interval, or say why there is none."""
    spread = (row.simulated_high - row.simulated_low) / (2 * _HALF_RANGE)
    if not (math.isfinite(row.published) and spread > 0):
        why = "no number printed" if math.isnan(row.published) else "no spread of simulated trials"
        ax.text(0.1, y, why, va="center", color=MUTED, size=_TEXT_SIZE, style="italic", gid="none")
        return
    value, low, high = (
        (v - row.simulated) / spread for v in (row.published, row.published_low, row.published_high)
    )
    if math.isfinite(low):
        ends = np.clip([low, high], -_REACH, _REACH)
        ax.plot(ends, [y, y], color=INK, lw=1.6, gid="interval")
    marker = "o" if abs(value) <= _REACH else "<" if value < 0 else ">"
    ax.plot(np.clip(value, -_REACH, _REACH), y, marker, color=INK, ms=6, gid="effect")


def _write(ax: Axes, y: int, text: str, *, above: bool) -> None:
    """Write a line above or below a row, from the left."""
    ax.annotate(
        text, (0.0, y), (0, _GAP if above else -_GAP), xycoords=ax.get_yaxis_transform(),
        textcoords="offset points", va="bottom" if above else "top",
        size=_TEXT_SIZE, color=INK if above else MUTED,
    )  # fmt: skip
