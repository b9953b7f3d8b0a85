"""Trial-level surrogacy: effects on the outcome against effects on the marker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib import font_manager
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from pmsstats.plots.theme import (
    INK,
    MUTED,
    PALETTE,
    PAPER,
    drawable,
    legend_above,
    stamp_origin,
    wrapped,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_predicted_effects", "plot_trial_effects"]

_AREAS = (30.0, 320.0)  # square points of the smallest and the largest trial
_ALONE = 70.0  # where sizes are not known
_BESIDE = ((9.0, 6.0), (-9.0, 6.0), (9.0, -6.0), (-9.0, -6.0), (11.0, 0.0), (-11.0, 0.0))  # points


def plot_trial_effects(
    trials: pd.DataFrame,
    line: pd.DataFrame,
    *,
    ste: float | None = None,
    x_label: str,
    y_label: str,
    band_label: str = "95 % prediction",
    names: bool = True,
    origin: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw trials as bubbles, the fitted line, its prediction band and the surrogate threshold.

    Parameters
    ----------
    trials : pandas.DataFrame
        ``trial surrogate outcome n_subjects``: effects of each trial; the area of a bubble grows
        with the number of subjects, where it is known.
    line : pandas.DataFrame
        ``surrogate estimate conf_low conf_high``, ascending.
    ste : float, optional
        Surrogate threshold effect; marked where it lies inside of the drawn line.
    x_label, y_label : str
        Effects, with their units.
    band_label : str
        What the band is.
    names : bool, default True
        Whether trials are named, where there is room.
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
    x = line["surrogate"].to_numpy(dtype=float)
    low, high = line["conf_low"].to_numpy(dtype=float), line["conf_high"].to_numpy(dtype=float)
    ax.fill_between(x, low, high, color=PALETTE[0], alpha=0.14, linewidth=0)
    ax.plot(x, line["estimate"], color=PALETTE[0], gid="line")
    ax.axhline(0, color=MUTED, linewidth=0.9, linestyle=(0, (4, 2)), zorder=1)
    ax.axvline(0, color=MUTED, linewidth=0.9, linestyle=(0, (4, 2)), zorder=1)
    _bubbles(ax, trials["surrogate"], trials["outcome"], trials["n_subjects"])
    ax.set_xlim(x[0], x[-1])
    _set_height(ax, trials["outcome"].to_numpy(dtype=float), low, high)
    if ste is not None and x[0] <= ste <= x[-1]:
        _mark_threshold(ax, ste)
    if names:
        _name(ax, trials["trial"], trials["surrogate"], trials["outcome"])
    ax.grid(visible=True, axis="both")
    ax.set_xlabel(drawable(x_label))
    ax.set_ylabel(wrapped(y_label, 34, 2))
    stamp_origin(ax, origin)
    _legend(ax, trials["n_subjects"], band_label)
    return ax


def plot_predicted_effects(
    trials: pd.DataFrame,
    *,
    names: bool = True,
    origin: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw each trial's effect on the outcome against that predicted from the other trials.

    Parameters
    ----------
    trials : pandas.DataFrame
        ``trial observed predicted conf_low conf_high n_subjects``.
    names : bool, default True
        Whether trials are named, where there is room.
    origin : {"real", "synthetic"}, optional
        Synthetic data are stamped as such.
    ax : matplotlib.axes.Axes, optional
        The current axes by default.

    Returns
    -------
    matplotlib.axes.Axes
        The diagonal is a perfect prediction.
    """
    ax = plt.gca() if ax is None else ax
    both = trials[["observed", "predicted"]].to_numpy(dtype=float)
    ends = np.array([np.nanmin(both), np.nanmax(both)])
    ends += np.array([-0.08, 0.08]) * (np.ptp(ends) or 1.0)
    ax.plot(ends, ends, color=MUTED, linewidth=0.9, linestyle=(0, (4, 2)), gid="diagonal")
    ax.vlines(trials["predicted"], trials["conf_low"], trials["conf_high"], color=PALETTE[0],
              linewidth=1.2, alpha=0.5)  # fmt: skip
    _bubbles(ax, trials["predicted"], trials["observed"], trials["n_subjects"])
    ax.set_xlim(*ends)
    _set_height(ax, both.ravel(), trials["conf_low"].to_numpy(), trials["conf_high"].to_numpy())
    if names:
        _name(ax, trials["trial"], trials["predicted"], trials["observed"])
    ax.grid(visible=True, axis="both")
    ax.set_xlabel("Effect on the outcome, predicted from the other trials")
    ax.set_ylabel("Observed effect on the outcome")
    stamp_origin(ax, origin)
    _legend(ax, trials["n_subjects"], "Prediction interval")
    return ax


def _bubbles(ax: Axes, x: pd.Series, y: pd.Series, n: pd.Series) -> None:
    """Draw one bubble per trial, of an area that grows with its size."""
    size = n.to_numpy(dtype=float)
    area = np.full(len(size), _ALONE)
    if np.isfinite(size).all():
        area = np.maximum(_AREAS[1] * size / size.max(), _AREAS[0])
    ax.scatter(x, y, s=area, color=PALETTE[1], alpha=0.75, edgecolor=PAPER, linewidth=0.8,
               zorder=3, gid="trials")  # fmt: skip


def _set_height(ax: Axes, effects: np.ndarray, low: np.ndarray, high: np.ndarray) -> None:
    """Show all trials and zero, and of the band what fits in twice that height."""
    marks = np.append(effects[np.isfinite(effects)], 0.0)
    bottom, top = marks.min(), marks.max()
    reach = 0.6 * (top - bottom)
    bottom = max(np.nanmin(low, initial=bottom), bottom - reach)
    top = min(np.nanmax(high, initial=top), top + reach)
    margin = 0.05 * (top - bottom)
    ax.set_ylim(bottom - margin, top + margin)


def _mark_threshold(ax: Axes, ste: float) -> None:
    """Mark the surrogate threshold effect on the axis of effects on the marker."""
    ax.axvline(ste, color=INK, linewidth=1.1, linestyle=(0, (1, 1.2)), zorder=2, gid="ste")
    left, right = ax.get_xlim()
    near_right = ste > (left + right) / 2
    ax.annotate(
        f"STE {ste:.3g}", (ste, 1), xycoords=("data", "axes fraction"), va="top",
        xytext=(-4 if near_right else 4, -3), textcoords="offset points",
        ha="right" if near_right else "left", color=INK, fontsize=mpl.rcParams["xtick.labelsize"],
        bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 0.8, "alpha": 0.85}, gid="ste label",
    )  # fmt: skip


def _name(ax: Axes, names: pd.Series, x: pd.Series, y: pd.Series) -> None:
    """Write the names of trials beside their bubbles, where there is room for them."""
    figure = ax.get_figure(root=True)
    size = font_manager.FontProperties(size="x-small").get_size_in_points()
    at = ax.transData.transform(np.column_stack([x, y]).astype(float)) * 72 / figure.dpi  # points
    frame = np.array(ax.get_window_extent().extents) * 72 / figure.dpi
    taken = [(*(p - 7.0), *(p + 7.0)) for p in at]
    for name, point, where in zip(names, at, zip(x, y, strict=True), strict=True):
        text = wrapped(str(name), 18, 1)
        width, height = 0.62 * size * len(text), 1.1 * size
        for dx, dy in _BESIDE:
            left = point[0] + (dx if dx > 0 else dx - width)
            box = (left, point[1] + dy - height / 2, left + width, point[1] + dy + height / 2)
            if _is_free(box, taken, frame):
                taken.append(box)
                ax.annotate(
                    text, where, xytext=(dx, dy),
                    textcoords="offset points", ha="left" if dx > 0 else "right", va="center",
                    color=MUTED, fontsize="x-small", zorder=4, gid="name",
                )  # fmt: skip
                break


def _is_free(box: tuple[float, ...], taken: list[tuple[float, ...]], frame: np.ndarray) -> bool:
    """Say whether a box lies in the axes and touches nothing."""
    left, low, right, high = box
    if left < frame[0] or low < frame[1] or right > frame[2] or high > frame[3]:
        return False
    return all(right < t[0] or left > t[2] or high < t[1] or low > t[3] for t in taken)


def _legend(ax: Axes, n: pd.Series, band: str) -> None:
    """Say what bubbles and band are, and how many trials there are."""
    size = n.to_numpy(dtype=float)
    what = f"{len(size)} trials"
    if np.isfinite(size).all():
        what += f", {int(size.sum())} subjects"
    handles = [
        Patch(facecolor=PALETTE[0], alpha=0.14, linewidth=0),
        Line2D([], [], marker="o", linestyle="none", color=PALETTE[1], alpha=0.75),
    ]
    legend_above(ax, handles, [drawable(band), what])
