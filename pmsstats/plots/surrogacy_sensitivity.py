"""Mediation: how an unmeasured confounder would change an indirect effect."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd

from pmsstats.plots.theme import INK, MUTED, PALETTE, PAPER, stamp_origin, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_confounding"]


def plot_confounding(
    curve: pd.DataFrame,
    *,
    tipping: float | None = None,
    x_label: str,
    y_label: str,
    origin: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw an indirect effect against the strength of an unmeasured confounder.

    Parameters
    ----------
    curve : pandas.DataFrame
        ``strength indirect``, ascending in strength.
    tipping : float, optional
        Strength at which the effect is zero; marked.
    x_label, y_label : str
        What strength and effect are.
    origin : {"real", "synthetic"}, optional
        Synthetic data are stamped as such.
    ax : matplotlib.axes.Axes, optional
        The current axes by default.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    ax = plt.gca() if ax is None else ax
    ax.plot(curve["strength"], curve["indirect"], color=PALETTE[0], gid="indirect")
    ax.axhline(0, color=MUTED, linewidth=0.9, linestyle=(0, (4, 2)), zorder=1)
    ax.axvline(0, color=MUTED, linewidth=0.9, linestyle=(0, (4, 2)), zorder=1)
    ax.set_xlim(curve["strength"].iloc[0], curve["strength"].iloc[-1])
    if tipping is not None:
        ax.plot([tipping], [0], "o", color=PALETTE[1], ms=6.5, zorder=3, gid="tipping")
        right = tipping > 0
        ax.annotate(
            f"zero at {tipping:.3g}", (tipping, 0), xytext=(-8 if right else 8, -8),
            textcoords="offset points", va="top", ha="right" if right else "left", color=INK,
            fontsize=mpl.rcParams["xtick.labelsize"],
            bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 0.8, "alpha": 0.85},
        )  # fmt: skip
    ax.set_xlabel(wrapped(x_label, 60, 2))
    ax.set_ylabel(wrapped(y_label, 40, 2))
    stamp_origin(ax, origin)
    return ax
