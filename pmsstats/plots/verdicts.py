"""Verdicts on findings, counted by section of the review."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import pandas as pd

from pmsstats.plots.theme import INK, MUTED, PALETTE, RULE, drawable, legend_above, stamp_origin

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["SECTION_NAMES", "plot_verdicts"]

SECTION_NAMES = {
    "wm": "White matter",
    "cortex": "Cortex",
    "cord": "Spinal cord",
    "cerebellum": "Cerebellum",
    "dgm": "Deep grey matter",
    "trials": "Trials",
    "outlook": "Outlook",
    "": "Other",
}
"""Sections of the review, in its order."""

_COLOURS = {
    "reproduced": PALETTE[2],
    "not reproduced": PALETTE[4],
    "contradicted": PALETTE[1],
    "not possible": MUTED,
    "not checked": RULE,
}


def plot_verdicts(
    verdicts: pd.DataFrame, *, ax: Axes | None = None, origin: str | None = None
) -> Axes:
    """Draw stacked bars: findings by verdict, one bar for each section.

    Parameters
    ----------
    verdicts : pandas.DataFrame
        One row per finding: ``section verdict``.
    ax : matplotlib.axes.Axes, optional
        Where; the current axes by default.
    origin : str, optional
        ``"synthetic"`` is stamped on the figure.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    ax = ax or plt.gca()
    counts = pd.crosstab(verdicts["section"], verdicts["verdict"])
    known = [s for s in SECTION_NAMES if s in counts.index]
    sections = [*known, *(s for s in counts.index if s not in known)]
    left = pd.Series(0, index=sections)
    handles = []
    shown = [name for name in _COLOURS if name in counts.columns]
    for name in shown:
        width = counts.loc[sections, name]
        bars = ax.barh(
            range(len(sections)), width, left=left, color=_COLOURS[name], edgecolor="white",
            height=0.7,
        )  # fmt: skip
        labels = [str(n) if n else "" for n in width]
        ink = INK if name in ("not checked", "not reproduced") else "white"
        ax.bar_label(bars, labels, label_type="center", color=ink, fontsize=7)
        handles.append(bars)
        left = left + width
    ax.set_yticks(range(len(sections)), [drawable(SECTION_NAMES.get(s, s)) for s in sections])
    ax.set_ylim(len(sections) - 0.4, -0.6)
    ax.set_xlabel("Findings")
    ax.grid(visible=False)
    legend_above(ax, handles, shown)
    stamp_origin(ax, origin)
    return ax
