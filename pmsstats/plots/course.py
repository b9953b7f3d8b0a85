"""One subject's course: visits, relapses, scans, and the changes that a definition counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.transforms import blended_transform_factory

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

__all__ = ["plot_course"]

_COLOURS = {"worsening": PALETTE[1], "improvement": PALETTE[2]}
_CONFIRMED = PALETTE[0]
_SCAN_HEIGHT = 0.04  # of the axes, above their lower end
_VISIT: dict[str, Any] = {"marker": "o", "ms": 4.5, "mec": INK, "mew": 1.0, "ls": ""}
_MOST_STEPS = 14  # more are crowded: whole ones only
_LEAST_ROOM = 1.0  # of the scale, below and above the values: a flat course is to look flat


def plot_course(
    visits: pd.DataFrame,
    *,
    y_label: str,
    episodes: pd.DataFrame | None = None,
    relapses: Sequence[float] = (),
    scans: pd.DataFrame | None = None,
    scale_steps: Sequence[float] = (),
    x_label: str = "Day",
    origin: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the visits of one subject, and what a definition made of them.

    Parameters
    ----------
    visits : pandas.DataFrame
        One row per visit: ``day``, ``value`` (missing ones are not drawn) and, if there,
        ``is_used`` (bool; other visits are hollow).
    y_label : str
        Measure with its unit.
    episodes : pandas.DataFrame, optional
        One row per change that counts: ``change`` (``"worsening"`` or ``"improvement"``),
        ``relapse_class``, ``day_reference``, ``reference_value``, ``day_onset``, ``onset_value``,
        ``day_confirmed``, ``confirmed_value``.
    relapses : sequence of float
        Their days.
    scans : pandas.DataFrame, optional
        ``day``, and ``is_active`` (bool: with new lesions).
    scale_steps : sequence of float
        Legal values of an ordinal scale (EDSS): the value axis is marked at these.
    x_label : str
        Time axis.
    origin : {"real", "synthetic"}, optional
        Synthetic data are stamped as such.
    ax : matplotlib.axes.Axes, optional
        The current axes by default.

    Returns
    -------
    matplotlib.axes.Axes
        Its lines have gids: ``"visits"``, ``"used"``, ``"not used"``, ``"relapse"``, ``"scan"``,
        ``"active scan"``, ``"reference"``, ``"onset"``, ``"confirmed"``.
    """
    ax = plt.gca() if ax is None else ax
    handles: dict[str, Line2D] = {}
    _draw_relapses(ax, relapses, handles)
    _draw_visits(ax, visits, handles)
    if episodes is not None:
        for episode in episodes.to_dict("records"):
            _draw_episode(ax, episode, handles)
    ax.set(xlabel=drawable(x_label), ylabel=wrapped(y_label, 44))
    _mark_scale(ax, visits, scale_steps)
    if scans is not None:
        _draw_scans(ax, scans, handles)
    stamp_origin(ax, origin)
    if handles:
        legend_above(ax, list(handles.values()), list(handles))
    return ax


def _draw_relapses(ax: Axes, relapses: Sequence[float], handles: dict[str, Line2D]) -> None:
    """Draw a dotted line for each relapse."""
    for day in relapses:
        line = ax.axvline(float(day), color=MUTED, ls=(0, (1, 1.6)), lw=1.4, zorder=1)
        line.set_gid("relapse")
        handles.setdefault("relapse", line)


def _draw_visits(ax: Axes, visits: pd.DataFrame, handles: dict[str, Line2D]) -> None:
    """Draw the values in their order, hollow where they were not used."""
    rows = visits[visits["value"].notna()].sort_values("day", kind="stable")
    day, value = rows["day"].to_numpy(dtype=float), rows["value"].to_numpy(dtype=float)
    used = np.ones(len(rows), dtype=bool)
    if "is_used" in rows:
        used = rows["is_used"].to_numpy(dtype=bool)
    ax.plot(day, value, color=MUTED, lw=1.1, zorder=2, gid="visits")
    for label, which, fill in (("visit", used, INK), ("visit not used", ~used, PAPER)):
        if which.any():
            gid = "used" if fill == INK else "not used"
            (marks,) = ax.plot(day[which], value[which], mfc=fill, zorder=4, gid=gid, **_VISIT)
            handles[label] = marks


def _draw_episode(ax: Axes, episode: dict[Any, Any], handles: dict[str, Line2D]) -> None:
    """Draw the reference as a dashed line up to the onset, rings at onset and confirmation."""
    change = str(episode["change"])
    colour = _COLOURS.get(change, PALETTE[1])
    onset, reference = float(episode["day_onset"]), float(episode["reference_value"])
    (line,) = ax.plot(
        [float(episode["day_reference"]), onset], [reference] * 2,
        color=colour, ls=(0, (5, 2.5)), lw=1.3, zorder=2.5, gid="reference",
    )  # fmt: skip
    ax.plot([onset] * 2, [reference, float(episode["onset_value"])], color=colour, lw=1.3,
            ls=(0, (5, 2.5)), zorder=2.5, gid="change")  # fmt: skip
    handles.setdefault("reference", line)
    ring = {"marker": "o", "ms": 11, "mfc": "none", "mew": 2.0, "ls": "", "zorder": 5}
    (mark,) = ax.plot(onset, float(episode["onset_value"]), mec=colour, gid="onset", **ring)
    handles.setdefault(change, mark)
    if pd.notna(episode["day_confirmed"]):
        at = float(episode["day_confirmed"]), float(episode["confirmed_value"])
        ring = {**ring, "marker": "s", "ms": 10}
        (mark,) = ax.plot(*at, mec=_CONFIRMED, gid="confirmed", **ring)
        handles.setdefault("confirmed", mark)
    _name_class(ax, episode, colour)


def _name_class(ax: Axes, episode: dict[Any, Any], colour: str) -> None:
    """Write RAW or PIRA beside the onset, on the side that the change leads to."""
    if not episode["relapse_class"]:
        return
    up = episode["onset_value"] >= episode["reference_value"]
    ax.annotate(
        drawable(episode["relapse_class"]),
        (float(episode["day_onset"]), float(episode["onset_value"])),
        xytext=(0, 9 if up else -9),
        textcoords="offset points",
        ha="center",
        va="bottom" if up else "top",
        color=colour,
        weight="bold",
        zorder=6,
    )


def _draw_scans(ax: Axes, scans: pd.DataFrame, handles: dict[str, Line2D]) -> None:
    """Draw a diamond for each scan along the lower end, filled where there were new lesions."""
    along = blended_transform_factory(ax.transData, ax.transAxes)
    day, active = scans["day"].to_numpy(dtype=float), scans["is_active"].to_numpy(dtype=bool)
    kinds = (("scan, none new", "scan", ~active, PAPER),
             ("scan, new lesions", "active scan", active, PALETTE[3]))  # fmt: skip
    for label, gid, which, fill in kinds:
        if which.any():
            (marks,) = ax.plot(
                day[which], np.full(which.sum(), _SCAN_HEIGHT), "D", ms=5, mfc=fill,
                mec=PALETTE[3], mew=1.2, transform=along, gid=gid, zorder=3, clip_on=False,
            )  # fmt: skip
            handles[label] = marks


def _mark_scale(ax: Axes, visits: pd.DataFrame, steps: Sequence[float]) -> None:
    """Leave room around the values, and mark a scale at its legal values in view."""
    value = visits["value"].to_numpy(dtype=float)
    value = value[np.isfinite(value)]
    if not len(value):
        return
    low, high = float(value.min()), float(value.max())
    room = _LEAST_ROOM if len(steps) else max(0.15 * (high - low), 0.05 * abs(high), 1e-9)
    ax.set_ylim(low - 1.3 * room, high + room)
    shown = [step for step in steps if low - room <= step <= high + room]
    if len(shown) > _MOST_STEPS:
        shown = [step for step in shown if float(step).is_integer()]
    if shown:
        ax.set_yticks(shown, [f"{step:g}" for step in shown])
