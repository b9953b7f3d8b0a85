"""Model checks: residuals, quantiles, influence, and what estimates look like under resampling."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np

from pmsstats.plots.theme import INK, MUTED, PALETTE, drawable, stamp_origin

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = [
    "plot_draws",
    "plot_influence",
    "plot_quantiles",
    "plot_ranked_intervals",
    "plot_residuals",
    "plot_tails",
]

_SMALLEST_TAIL = 1e-12  # where the axis of a tail ends


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


def plot_ranked_intervals(
    data: pd.DataFrame,
    *,
    x_label: str = "Rank",
    y_label: str = "Prediction",
    origin: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw predictions with their intervals, the smallest first ("caterpillar").

    Parameters
    ----------
    data : pandas.DataFrame
        ``estimate conf_low conf_high``, one row per subject, in any order.
    x_label, y_label : str
        Axes, with the unit of the outcome.
    origin : {"real", "synthetic"}, optional
        Synthetic data are stamped as such.
    ax : matplotlib.axes.Axes, optional
        The current axes by default.

    Returns
    -------
    matplotlib.axes.Axes
        With the number of subjects in its left title.
    """
    ax = plt.gca() if ax is None else ax
    rows = data.sort_values("estimate", kind="stable")
    rank = np.arange(1, len(rows) + 1)
    ax.axhline(0, color=MUTED, linewidth=0.9)
    ax.vlines(rank, rows["conf_low"], rows["conf_high"], color=PALETTE[0], alpha=0.45, linewidth=1)
    ax.plot(rank, rows["estimate"], "o", ms=2.6, color=PALETTE[0], mew=0)
    return _finish(ax, len(rows), x_label, y_label, origin)


def plot_influence(
    data: pd.DataFrame,
    *,
    n_labels: int = 5,
    x_label: str = "Subject, in the order of the data",
    y_label: str = "Cook's distance",
    origin: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw one stem per subject, and name the largest.

    Parameters
    ----------
    data : pandas.DataFrame
        ``label value`` and optionally ``threshold`` (the same in every row), one row per subject
        in the order of the data.
    n_labels : int, default 5
        How many of the largest values to name; only those above the threshold, if there is one.
    x_label, y_label : str
        Axes.
    origin : {"real", "synthetic"}, optional
        Synthetic data are stamped as such.
    ax : matplotlib.axes.Axes, optional
        The current axes by default.

    Returns
    -------
    matplotlib.axes.Axes
        With the number of subjects in its left title.
    """
    ax = plt.gca() if ax is None else ax
    index = np.arange(1, len(data) + 1)
    values = data["value"].to_numpy(dtype=float)
    ax.vlines(index, 0, values, color=PALETTE[0], linewidth=1)
    ax.plot(index, values, "o", ms=2.8, color=PALETTE[0], mew=0)
    limit = -np.inf
    if "threshold" in data:
        limit = float(data["threshold"].iloc[0])
        ax.axhline(limit, color=MUTED, linewidth=0.9, linestyle=(0, (4, 2)))
    largest = np.argsort(-np.nan_to_num(values, nan=-np.inf), kind="stable")[:n_labels]
    for i in largest[values[largest] > limit]:
        ax.annotate(
            drawable(str(data["label"].iloc[i])), (index[i], values[i]), xytext=(0, 4),
            textcoords="offset points", ha="center", va="bottom", color=INK,
        )  # fmt: skip
    ax.margins(y=0.12)
    return _finish(ax, len(data), x_label, y_label, origin)


def plot_draws(
    data: pd.DataFrame,
    *,
    x_label: str = "Estimate",
    y_label: str = "Replicates",
    origin: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw how an estimate varies between replicates, around the one from the data.

    Parameters
    ----------
    data : pandas.DataFrame
        ``value``, one row per replicate, and the constants ``estimate conf_low conf_high``.
    x_label, y_label : str
        Axes, with the unit of the estimate.
    origin : {"real", "synthetic"}, optional
        Synthetic data are stamped as such.
    ax : matplotlib.axes.Axes, optional
        The current axes by default.

    Returns
    -------
    matplotlib.axes.Axes
        With the number of replicates in its left title.
    """
    ax = plt.gca() if ax is None else ax
    values = data["value"].dropna()
    ax.hist(values, bins=min(40, max(8, len(values) // 12)), color=PALETTE[0], alpha=0.45)
    ax.axvline(float(data["estimate"].iloc[0]), color=PALETTE[0], gid="estimate")
    for name in ("conf_low", "conf_high"):
        line = {"color": MUTED, "linewidth": 1.1, "linestyle": (0, (4, 2))}
        ax.axvline(float(data[name].iloc[0]), gid=name, **line)
    return _finish(ax, len(values), x_label, y_label, origin)


def plot_tails(
    data: pd.DataFrame,
    *,
    observed: float,
    x_label: str = "Likelihood-ratio statistic",
    y_label: str = "Probability of a larger value",
    origin: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw upper tails of reference distributions, and the statistic that was observed.

    Parameters
    ----------
    data : pandas.DataFrame
        ``statistic`` and one column per distribution, named as its legend.
    observed : float
        The statistic of the data.
    x_label, y_label : str
        Axes.
    origin : {"real", "synthetic"}, optional
        Synthetic data are stamped as such.
    ax : matplotlib.axes.Axes, optional
        The current axes by default.

    Returns
    -------
    matplotlib.axes.Axes
        One line per distribution, on a logarithmic axis.
    """
    ax = plt.gca() if ax is None else ax
    names = [name for name in data.columns if name != "statistic"]
    for i, name in enumerate(names):
        style = {"color": PALETTE[i % len(PALETTE)], "linestyle": ("solid", (0, (6, 2)))[i % 2]}
        ax.plot(data["statistic"], data[name], label=drawable(str(name)), **style)
    ax.axvline(observed, color=MUTED, linewidth=1.1, linestyle=(0, (4, 2)), gid="observed")
    tails = data[names].to_numpy(dtype=float)
    lowest = max(float(tails[tails > 0].min(initial=1.0)) / 2, _SMALLEST_TAIL)
    ax.set(xlabel=drawable(x_label), ylabel=drawable(y_label), yscale="log", ylim=(lowest, 1))
    ax.legend(loc="upper right")
    stamp_origin(ax, origin)
    return ax


def _finish(ax: Axes, n: int, x_label: str, y_label: str, origin: str | None) -> Axes:
    """Label the axes and say how many points there are."""
    ax.set(xlabel=drawable(x_label), ylabel=drawable(y_label))
    ax.set_title(f"n = {n}", loc="left", color=INK, weight="normal")
    stamp_origin(ax, origin)
    return ax
