"""One subject at a landmark: measurements, the trajectory ahead, and survival."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from pmsstats.plots.theme import INK, MUTED, PALETTE, drawable, legend_above, stamp_origin

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_prediction_course"]


def plot_prediction_course(
    measurements: pd.DataFrame,
    trajectory: pd.DataFrame,
    survival: pd.DataFrame,
    *,
    landmark: float,
    x_label: str = "Year",
    y_label: str = "Marker",
    survival_label: str = "Without event",
    origin: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw what was measured up to the landmark, and what is predicted from then on.

    Parameters
    ----------
    measurements : pandas.DataFrame
        ``time value``, up to the landmark.
    trajectory : pandas.DataFrame
        ``time estimate [conf_low conf_high]``, ascending.
    survival : pandas.DataFrame
        ``time survival [conf_low conf_high]``, ascending, after the landmark.
    landmark : float
        When the prediction is made.
    x_label, y_label, survival_label : str
        Axes.
    origin : {"real", "synthetic"}, optional
        Synthetic data are stamped as such.
    ax : matplotlib.axes.Axes, optional
        The current axes by default.

    Returns
    -------
    matplotlib.axes.Axes
        The axes of the marker; survival is drawn on an axis of its own, on the right.
    """
    ax = plt.gca() if ax is None else ax
    right = ax.twinx()
    blue, red = PALETTE[0], PALETTE[1]
    past = trajectory[trajectory["time"] <= landmark]
    ahead = trajectory[trajectory["time"] >= landmark]
    if "conf_low" in trajectory:
        ax.fill_between(
            trajectory["time"].to_numpy(float), trajectory["conf_low"].to_numpy(float),
            trajectory["conf_high"].to_numpy(float), color=blue, alpha=0.12, linewidth=0,
        )  # fmt: skip
    ax.plot(past["time"], past["estimate"], color=blue, linewidth=1.8, gid="fitted")
    ax.plot(ahead["time"], ahead["estimate"], color=blue, linestyle="dashed", gid="forecast")
    ax.plot(measurements["time"], measurements["value"], "o", color=INK, markersize=4, gid="seen")
    ax.axvline(landmark, color=MUTED, linewidth=0.9, linestyle="dotted")
    curve = survival[survival["time"] > landmark]
    time = np.concatenate([[landmark], curve["time"].to_numpy(float)])
    value = np.concatenate([[1.0], curve["survival"].to_numpy(float)])
    if "conf_low" in survival:
        low, high = (
            np.concatenate([[1.0], curve[c].to_numpy(float)]) for c in ("conf_low", "conf_high")
        )
        right.fill_between(time, low, high, color=red, alpha=0.14, linewidth=0)
    right.plot(time, value, color=red, linewidth=1.8, gid="survival")
    right.set_ylim(0, 1.015)
    right.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    right.set_ylabel(drawable(survival_label), color=red)
    right.grid(visible=False)
    ax.set_xlabel(drawable(x_label))
    ax.set_ylabel(drawable(y_label), color=blue)
    stamp_origin(ax, origin)
    handles = [
        Line2D([], [], color=INK, marker="o", linestyle="none"),
        Line2D([], [], color=blue),
        Line2D([], [], color=blue, linestyle="dashed"),
        Line2D([], [], color=red),
    ]
    legend_above(ax, handles, ["Measured", "Fitted", "Forecast", survival_label])
    return ax
