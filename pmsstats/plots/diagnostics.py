"""Model checks: residuals against fitted values, and quantiles against their expectation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt

from pmsstats.plots.theme import INK, MUTED, PALETTE, drawable, stamp_origin

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["plot_quantiles", "plot_residuals"]


def plot_residuals(
    data: pd.DataFrame,
    *,
    x_label: str = "Fitted value",
    y_label: str = "Residual",
    origin: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw residuals against fitted values, around a line at zero.

    Parameters
    ----------
    data : pandas.DataFrame
        ``fitted residual``, one row per observation.
    x_label, y_label : str
        Axes, with the unit of the outcome.
    origin : {"real", "synthetic"}, optional
        Synthetic data are stamped as such.
    ax : matplotlib.axes.Axes, optional
        The current axes by default.

    Returns
    -------
    matplotlib.axes.Axes
        With the number of observations in its left title.
    """
    ax = plt.gca() if ax is None else ax
    ax.axhline(0, color=MUTED, linewidth=0.9)
    ax.plot(data["fitted"], data["residual"], "o", ms=2.4, color=PALETTE[0], alpha=0.5, mew=0)
    return _finish(ax, len(data), x_label, y_label, origin)


def plot_quantiles(
    data: pd.DataFrame,
    *,
    x_label: str = "Expected normal quantile",
    y_label: str = "Observed quantile",
    origin: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw observed against expected quantiles, with the line on which they would agree.

    Parameters
    ----------
    data : pandas.DataFrame
        ``expected observed`` and optionally ``conf_low conf_high`` (pointwise envelope), sorted
        by ``expected``.
    x_label, y_label : str
        Axes.
    origin : {"real", "synthetic"}, optional
        Synthetic data are stamped as such.
    ax : matplotlib.axes.Axes, optional
        The current axes by default.

    Returns
    -------
    matplotlib.axes.Axes
        With the number of points in its left title.
    """
    ax = plt.gca() if ax is None else ax
    ends = [data["expected"].min(), data["expected"].max()]
    if {"conf_low", "conf_high"} <= set(data.columns):
        band = (data["expected"], data["conf_low"], data["conf_high"])
        ax.fill_between(*band, color=MUTED, alpha=0.16, linewidth=0)
    ax.plot(ends, ends, color=MUTED, linewidth=0.9)
    ax.plot(data["expected"], data["observed"], "o", ms=2.6, color=PALETTE[0], mew=0)
    return _finish(ax, len(data), x_label, y_label, origin)


def _finish(ax: Axes, n: int, x_label: str, y_label: str, origin: str | None) -> Axes:
    """Label the axes and say how many points there are."""
    ax.set(xlabel=drawable(x_label), ylabel=drawable(y_label))
    ax.set_title(f"n = {n}", loc="left", color=INK, weight="normal")
    stamp_origin(ax, origin)
    return ax
