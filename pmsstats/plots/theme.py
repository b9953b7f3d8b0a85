"""One look for every figure: inks, palette, line styles, legends, the synthetic-data stamp."""

from __future__ import annotations

import functools
import itertools
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import pandas as pd
import seaborn as sns
from cycler import cycler
from matplotlib import font_manager
from matplotlib.ft2font import FT2Font
from matplotlib.transforms import ScaledTranslation

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

__all__ = [
    "INK",
    "MUTED",
    "PALETTE",
    "PALETTE_DARK",
    "PAPER",
    "RULE",
    "SINGLE_GROUP",
    "GroupStyle",
    "drawable",
    "group_levels",
    "group_styles",
    "legend_above",
    "points",
    "stamp_origin",
    "theme",
    "wrapped",
]

INK = "#1b2127"
"""Text and axes."""
MUTED = "#5b6670"
"""Second-rank text, reference lines."""
RULE = "#d5dade"
"""Grid lines."""
PAPER = "#ffffff"
"""Background, and the halo of lines drawn over others."""
PALETTE = ("#0a4a8a", "#a83a0a", "#1b8a6b", "#b8649c", "#ab9032", "#1e9be0", "#4a4450")
"""Group colours on light paper, in group order: told apart under each colour vision deficiency."""
PALETTE_DARK = ("#4a97f2", "#e8702e", "#4fd6a4", "#c678ae", "#f2cc50", "#86d4ff", "#e4e1ea")
"""The same groups on dark paper."""
SINGLE_GROUP = "All subjects"
"""The name of the only group where subjects are not grouped."""

_LINE_STYLES: tuple[Any, ...] = (
    "solid",
    (0, (6, 2)),
    (0, (2, 1.4)),
    (0, (7, 2, 1.5, 2)),
    (0, (10, 3)),
    (0, (1, 1.2)),
    (0, (5, 1.5, 1, 1.5, 1, 1.5)),
)
_OVERRIDES: dict[str, Any] = {
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans"],  # ships with matplotlib: the same on every machine
    "font.size": 9,
    "axes.labelsize": 9,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.labelpad": 5,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "axes.prop_cycle": cycler(color=PALETTE),
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "xtick.major.size": 3.5,
    "ytick.major.size": 0,
    "xtick.major.width": 0.8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
}


@dataclass(frozen=True, kw_only=True)
class GroupStyle:
    """How one group is drawn in every figure.

    Parameters
    ----------
    colour : str
        Hexadecimal, from :data:`PALETTE`.
    linestyle : object
        A matplotlib line style: groups stay apart where a print has no colours.
    """

    colour: str
    linestyle: Any


@contextmanager
def theme() -> Iterator[None]:
    """Apply the package's look to figures made inside a ``with`` block.

    Yields
    ------
    None
        Nothing: the settings that it changes are restored at the end.

    Notes
    -----
    Only these: ``matplotlib.rc_context`` would restore all, and with them undo the switch to
    interactive mode by which a notebook shows figures, if the first one is made in the block.

    Examples
    --------
    >>> with theme():
    ...     mpl.rcParams["axes.spines.top"]
    False
    """
    style = {**sns.axes_style("ticks"), **sns.plotting_context("paper"), **_OVERRIDES}
    before = {name: mpl.rcParams[name] for name in style}
    mpl.rcParams.update(style)
    try:
        yield
    finally:
        mpl.rcParams.update(before)


def group_levels(column: pd.Series) -> list[str]:
    """Return the groups of a column in their fixed order.

    Parameters
    ----------
    column : pandas.Series
        Group of each row. A categorical gives its order, unused categories included (so that a
        group that is missing from one figure changes no colour there); others the order in
        which they are met.

    Returns
    -------
    list of str
        Distinct group names.

    Examples
    --------
    >>> group_levels(pd.Series(["b", "a", "b"]))
    ['b', 'a']
    """
    if isinstance(column.dtype, pd.CategoricalDtype):
        return [str(level) for level in column.cat.categories]
    return list(dict.fromkeys(str(value) for value in column.dropna()))


def group_styles(levels: Sequence[str]) -> dict[str, GroupStyle]:
    """Give each group its colour and line style.

    Parameters
    ----------
    levels : sequence of str
        Groups in their fixed order, reference first.

    Returns
    -------
    dict of str to GroupStyle
        Past seven groups the colours repeat with other line styles.
    """
    turns = itertools.product(range(len(_LINE_STYLES)), range(len(PALETTE)))
    return {
        level: GroupStyle(
            colour=PALETTE[index], linestyle=_LINE_STYLES[(index + turn) % len(_LINE_STYLES)]
        )
        for level, (turn, index) in zip(levels, itertools.cycle(turns), strict=False)
    }


@functools.cache
def _glyphs() -> frozenset[int]:
    """Return the characters that the figure font can draw."""
    return frozenset(FT2Font(font_manager.findfont("DejaVu Sans")).get_charmap())


def drawable(text: str) -> str:
    """Make a label safe to draw: no mathematics, no control or missing characters.

    Parameters
    ----------
    text : str
        As a user wrote it.

    Returns
    -------
    str
        Dollar signs lose their meaning as mathematics; white space becomes single blanks;
        characters that the font lacks become a white square.

    Examples
    --------
    >>> drawable("a  b")
    'a b'
    """
    glyphs = _glyphs()
    tidy = " ".join(str(text).split())
    return "".join(c if ord(c) in glyphs else "\u25a1" for c in tidy).replace("$", r"\$")


def wrapped(text: str, width: int = 34, max_lines: int = 2, *, suffix: str = "") -> str:
    r"""Break a label into a few lines, and end it in an ellipsis where that is not enough.

    Parameters
    ----------
    text : str
        The label.
    width : int, default 34
        Characters per line.
    max_lines : int, default 2
        Lines at most.
    suffix : str
        What stands after the label, and is never cut.

    Returns
    -------
    str
        Drawable text with line breaks.

    Examples
    --------
    >>> wrapped("secondary progressive, active", width=12)
    'secondary\nprogressi...'
    >>> wrapped("secondary progressive", width=18, suffix=" (n = 7)")
    'secondary\nprogres... (n = 7)'
    """
    lines = textwrap.wrap(drawable(text), width=width) or [""]
    room = max(width - len(suffix), 4)
    if len(lines) <= max_lines and len(lines[-1]) <= room:
        return "\n".join(lines) + suffix
    if len(lines) < max_lines:
        return "\n".join([*lines, suffix.lstrip()])
    lines = lines[:max_lines]
    lines[-1] = lines[-1][: room - 3].rstrip() + "..."
    return "\n".join(lines) + suffix


def points(setting: str) -> float:
    """Return a font size setting in points.

    Parameters
    ----------
    setting : str
        Key of ``matplotlib.rcParams``, for example ``"xtick.labelsize"``.

    Returns
    -------
    float
        Points.
    """
    return font_manager.FontProperties(size=mpl.rcParams[setting]).get_size_in_points()


def stamp_origin(ax: Axes, origin: str | None) -> None:
    """Say "synthetic data" above the right end of the axes, where the data are.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        The axes.
    origin : str or None
        ``"synthetic"`` stamps; anything else leaves the axes as they are.
    """
    if origin == "synthetic":
        ax.set_title("synthetic data", loc="right", color=MUTED, style="italic", weight="normal")


def legend_above(ax: Axes, handles: Sequence[Artist], labels: Sequence[str]) -> None:
    """Put a legend above the axes, where it covers no data, in as many columns as fit.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        The axes.
    handles : sequence of matplotlib artists
        One per label.
    labels : sequence of str
        Drawable text.
    """
    size = mpl.font_manager.FontProperties(
        size=mpl.rcParams["legend.fontsize"]
    ).get_size_in_points()
    box = ax.get_position().width * ax.get_figure(root=True).get_figwidth() * 72
    longest = max(len(line) for label in labels for line in label.split("\n"))
    columns = int(box // ((longest + 6) * size * 0.6)) or 1  # a glyph is about 0.6 em wide
    lift = (20 if ax.get_title(loc="right") else 5) / 72  # inches: above the stamp
    raised = ax.transAxes + ScaledTranslation(0, lift, ax.figure.dpi_scale_trans)
    legend = ax.legend(
        handles,
        [f"group {i}" for i in range(len(labels))],  # a label with "_" in front would be skipped
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=min(columns, len(labels)),
        bbox_transform=raised,
        borderaxespad=0,
        borderpad=0,
        handlelength=2.6,
        columnspacing=1.6,
    )
    for text, label in zip(legend.get_texts(), labels, strict=True):
        text.set_text(label)
