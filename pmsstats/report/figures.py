"""The report's figures: each drawn for a page and for a phone, with a text alternative."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from pmsstats.plots import plot_forest, plot_survival, plot_trajectories, theme
from pmsstats.plots.theme import MUTED, group_levels, wrapped
from pmsstats.report import tables
from pmsstats.report.svg import inline_svg

__all__ = [
    "ReportFigure",
    "forest_figure",
    "result_figure",
    "risk_years",
    "survival_figure",
    "trajectory_figure",
]

_WIDTHS = {"wide": 7.4, "narrow": 3.55}
_TALL = 30.0
_OVERLAID_GROUPS = 3
_STEPS = (0.25, 0.5, 1, 2, 5, 10, 20)

Draw = Callable[[Axes, str], object]


@dataclass(frozen=True, kw_only=True)
class ReportFigure:
    """One figure of the report.

    Parameters
    ----------
    name : str
        ASCII identifier, unique in the report.
    alt : str
        What it shows, for those who do not see it.
    caption : str
        With n, and what the interval is.
    wide, narrow : markupsafe.Markup
        SVG for a page and for a phone.
    """

    name: str
    alt: str
    caption: str
    wide: Markup
    narrow: Markup


def _both_sizes(name: str, alt: str, caption: str, draw: Callable[[str], Figure]) -> ReportFigure:
    """Draw a figure for both widths."""
    svgs = {}
    for size in _WIDTHS:
        with theme():
            figure = draw(size)
            svgs[size] = inline_svg(figure, name=f"{name}-{size}", css_class=f"figure-{size}")
    return ReportFigure(name=name, alt=alt, caption=caption, **svgs)


def _new_figure(size: str, height: float) -> Figure:
    """Return an empty figure of the report's width, known to no global state."""
    figure = Figure(figsize=(_WIDTHS[size], height), layout="constrained")
    FigureCanvasSVG(figure)
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.03)
    return figure


def _single(size: str, axes_height: float, draw: Draw) -> Figure:
    """Draw one axes of a given height in inches, and cut the figure to what surrounds it."""
    figure = _new_figure(size, _TALL)
    ax = figure.subplots()
    draw(ax, size)
    figure.draw_without_rendering()
    around = (ax.get_tightbbox().height - ax.get_window_extent().height) / figure.dpi
    figure.set_figheight(axes_height + around + 0.08)
    return figure


def result_figure(
    name: str, draw: Callable[[Axes], object], *, height: float, alt: str, caption: str
) -> ReportFigure:
    """Draw what a result draws on one axes, for a page and for a phone.

    Parameters
    ----------
    name : str
        ASCII identifier, unique in the report.
    draw : callable
        Draws on the axes it is given, as a result's ``plot``.
    height : float
        Of the axes, in inches.
    alt, caption : str
        See :class:`ReportFigure`.

    Returns
    -------
    ReportFigure
        The figure.
    """
    return _both_sizes(
        name, alt, caption, lambda size: _single(size, height, lambda ax, _: draw(ax))
    )


def trajectory_figure(
    data: pd.DataFrame,
    fitted: pd.DataFrame | None,
    *,
    y_label: str,
    scale_steps: Sequence[float],
    origin: str,
    alt: str,
    caption: str,
) -> ReportFigure:
    """Draw individual and mean trajectories, overlaid, or in panels where groups are many.

    Parameters
    ----------
    data : pandas.DataFrame
        ``subject_id year value group``, group an ordered categorical.
    fitted : pandas.DataFrame or None
        ``group year estimate conf_low conf_high``, group with the same categories.
    y_label : str
        Measure with its unit.
    scale_steps : sequence of float
        Legal values of an ordinal measure, or empty.
    origin : {"real", "synthetic"}
        Synthetic data are stamped.
    alt, caption : str
        See :class:`ReportFigure`.

    Returns
    -------
    ReportFigure
        The figure.
    """
    shared = {"y_label": y_label, "scale_steps": scale_steps}
    levels = [g for g in group_levels(data["group"]) if (data["group"].astype(str) == g).any()]

    def _overlay(ax: Axes, size: str) -> object:
        del size
        group = "group" if len(levels) > 1 or levels[0] != "all" else None
        one = fitted if group or fitted is None else fitted.drop(columns="group")
        return plot_trajectories(data, fitted=one, group=group, origin=origin, ax=ax, **shared)

    def _draw(size: str) -> Figure:
        if len(levels) > _OVERLAID_GROUPS:
            return _panels(data, fitted, levels=levels, size=size, origin=origin, shared=shared)
        return _single(size, 3.4 if size == "wide" else 2.9, _overlay)

    return _both_sizes("trajectories", alt, caption, _draw)


def _panels(
    data: pd.DataFrame,
    fitted: pd.DataFrame | None,
    *,
    levels: Sequence[str],
    size: str,
    origin: str,
    shared: dict[str, object],
) -> Figure:
    """Draw one panel per group, on common axes."""
    n_columns = 3 if size == "wide" and len(levels) != 4 else 2
    n_rows = -(-len(levels) // n_columns)
    figure = _new_figure(size, 0.5 + 2.05 * n_rows)
    grid = figure.subplots(n_rows, n_columns, sharex=True, sharey=True, squeeze=False)
    for ax, level in zip(grid.flat, levels, strict=False):
        mine = data[data["group"].astype(str) == level]
        mean = None if fitted is None else fitted[fitted["group"].astype(str) == level]
        plot_trajectories(mine, fitted=mean, group="group", legend=False, ax=ax, **shared)  # type: ignore[arg-type]
        n = f" (n = {mine['subject_id'].nunique()})"
        title = wrapped(tables.group_label(level), 26 if size == "wide" else 19, suffix=n)
        ax.set_title(title, loc="left", fontsize=8)
        ax.set(xlabel="", ylabel="")
        ax.tick_params(labelbottom=True)
    for ax in list(grid.flat)[len(levels) :]:
        ax.remove()
    figure.get_layout_engine().set(hspace=0.06, wspace=0.03)
    figure.supxlabel("Years from baseline", fontsize=9)
    figure.supylabel(wrapped(str(shared["y_label"]), 44), fontsize=9)
    if origin == "synthetic":
        stamp = {"color": MUTED, "style": "italic", "fontsize": 9}
        figure.suptitle("synthetic data", x=0.995, ha="right", **stamp)
    return figure


def risk_years(longest: float, n_most: int) -> list[float]:
    """Return round times for the table of subjects at risk.

    Parameters
    ----------
    longest : float
        Longest follow-up, in years.
    n_most : int
        Number of columns that fit.

    Returns
    -------
    list of float
        From 0, evenly spaced, in years.

    Examples
    --------
    >>> risk_years(4.4, 6)
    [0.0, 1.0, 2.0, 3.0, 4.0]
    """
    step = next((s for s in _STEPS if longest / s < n_most), _STEPS[-1])
    return [float(t) for t in np.arange(0, longest + 1e-9, step)]


def survival_figure(
    curves: pd.DataFrame,
    at_risk: Callable[[Sequence[float]], pd.DataFrame],
    *,
    name: str,
    y_label: str,
    origin: str,
    alt: str,
    caption: str,
) -> ReportFigure:
    """Draw Kaplan-Meier curves with their table of subjects at risk.

    Parameters
    ----------
    curves : pandas.DataFrame
        ``group duration survival conf_low conf_high n``, durations in years.
    at_risk : callable
        Times in years to a frame ``group duration n_at_risk``, durations in years.
    name : str
        Identifier of the figure.
    y_label : str
        What survival means here.
    origin : {"real", "synthetic"}
        Synthetic data are stamped.
    alt, caption : str
        See :class:`ReportFigure`.

    Returns
    -------
    ReportFigure
        The figure.
    """
    longest = float(curves["duration"].max())

    def _draw_on(ax: Axes, size: str) -> object:
        return plot_survival(
            curves,
            at_risk=at_risk(risk_years(longest, 5 if size == "narrow" else 9)),
            y_label=y_label,
            origin=origin,
            ax=ax,
        )

    def _draw(size: str) -> Figure:
        return _single(size, 3.2 if size == "wide" else 2.6, _draw_on)

    return _both_sizes(name, alt, caption, _draw)


def forest_figure(
    estimates: pd.DataFrame, *, x_label: str, origin: str, alt: str, caption: str
) -> ReportFigure:
    """Draw hazard ratios on a logarithmic axis.

    Parameters
    ----------
    estimates : pandas.DataFrame
        ``label estimate conf_low conf_high n``, as ratios.
    x_label : str
        What the ratio is.
    origin : {"real", "synthetic"}
        Synthetic data are stamped.
    alt, caption : str
        See :class:`ReportFigure`.

    Returns
    -------
    ReportFigure
        The figure.
    """

    def _draw_on(ax: Axes, size: str) -> object:
        layout = "columns" if size == "wide" else "stacked"
        return plot_forest(
            estimates, reference=1.0, log=True, x_label=x_label, layout=layout, origin=origin, ax=ax
        )

    def _draw(size: str) -> Figure:
        return _single(size, len(estimates) * (0.62 if size == "wide" else 0.72) + 0.25, _draw_on)

    return _both_sizes("association", alt, caption, _draw)
