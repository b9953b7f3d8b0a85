"""Theme: colours that are told apart, labels that are safe to draw, legends that hide nothing."""

from __future__ import annotations

import itertools

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pmsstats import plots
from pmsstats.plots.theme import (
    INK,
    MUTED,
    PALETTE,
    PALETTE_DARK,
    PAPER,
    drawable,
    group_levels,
    group_styles,
    legend_above,
    points,
    stamp_origin,
    theme,
    wrapped,
)

DARK_PAPER = "#15191d"  # the report's dark background
GRAPHIC_CONTRAST = 3.0  # WCAG 2.2, criterion 1.4.11: graphical objects
TEXT_CONTRAST = 4.5  # WCAG 2.2, criterion 1.4.3: text
LEAST_DIFFERENCE = 10.0  # CIE 1976 colour difference; 2.3 is just noticeable

# Machado GM, Oliveira MM, Fernandes LAF. IEEE Trans Vis Comput Graph 2009;15:1291-8: severity 1.
VISIONS = {
    "normal": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
               [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
               [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
               [0.004733, 0.691367, 0.303900]],
}  # fmt: skip
PALETTES = [(PALETTE, PAPER), (PALETTE_DARK, DARK_PAPER)]
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def linear_rgb(colour: str) -> np.ndarray:
    """Undo the sRGB transfer function (IEC 61966-2-1)."""
    values = np.array(mpl.colors.to_rgb(colour))
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def contrast(first: str, second: str) -> float:
    """Return the contrast ratio of WCAG 2.2."""
    low, high = sorted(float(TO_XYZ[1] @ linear_rgb(c)) for c in (first, second))
    return (high + 0.05) / (low + 0.05)


def lab(rgb: np.ndarray) -> np.ndarray:
    """Return CIE L*a*b* under D65."""
    xyz = TO_XYZ @ np.clip(rgb, 0, 1) / np.array([0.9505, 1.0, 1.089])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("vision", VISIONS)
@pytest.mark.parametrize(("palette", "_paper"), PALETTES, ids=["light", "dark"])
def test_groups_are_told_apart(palette, _paper, vision):
    seen = [lab(np.asarray(VISIONS[vision]) @ linear_rgb(c)) for c in palette]
    differences = [np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)]
    assert min(differences) > LEAST_DIFFERENCE


@pytest.mark.parametrize(("palette", "paper"), PALETTES, ids=["light", "dark"])
def test_groups_stand_out_from_the_paper(palette, paper):
    assert min(contrast(colour, paper) for colour in palette) > GRAPHIC_CONTRAST


@pytest.mark.parametrize("ink", [INK, MUTED])
def test_text_is_legible(ink):
    assert contrast(ink, PAPER) > TEXT_CONTRAST


def test_theme_leaves_no_trace():
    before = dict(mpl.rcParams)
    with theme():
        assert mpl.rcParams["text.color"] == INK
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize(
    ("column", "expected", "why"),
    [
        (pd.Series(["b", "a", "b"]), ["b", "a"], "text: as met"),
        (pd.Series(["b", None, "a"]), ["b", "a"], "missing is no group"),
        (pd.Series(pd.Categorical(["b"], ["c", "b"])), ["c", "b"], "unused categories keep place"),
        (pd.Series(pd.Categorical([2], [1, 2])), ["1", "2"], "names are text"),
    ],
)
def test_group_levels(column, expected, why):
    assert group_levels(column) == expected, why


def test_a_group_looks_the_same_whoever_is_missing():
    assert group_styles(["a", "b", "c"])["c"] == group_styles(["a", "b", "c", "d"])["c"]


@pytest.mark.parametrize("n", [1, 7, 8, 20])
def test_no_two_groups_look_the_same(n):
    styles = group_styles([f"g{i}" for i in range(n)])
    assert len(styles) == n
    assert len({(s.colour, str(s.linestyle)) for s in styles.values()}) == n


@pytest.mark.parametrize(
    ("text", "expected", "why"),
    [
        ("a\n\tb", "a b", "white space"),
        ("$x_1$", r"\$x_1\$", "no mathematics"),
        ("caf\u00e9", "caf\u00e9", "Latin-1 letters are in the font"),
        ("\u8f15", "\u25a1", "a character that the font lacks"),
        ("a\x00b", "a\u25a1b", "a control character"),
    ],
)
def test_drawable(text, expected, why):
    assert drawable(text) == expected, why


@pytest.mark.parametrize("text", ["$", "$$", r"\$x$", "$\\frac{1}$", "_hidden", "<b>", "%", "^_{"])
def test_any_label_can_be_drawn_as_itself(text):
    figure = Figure()
    drawn = figure.text(0, 0, drawable(text))
    figure.draw_without_rendering()
    assert drawn.get_text() == drawable(text)


@pytest.mark.parametrize(
    ("text", "width", "suffix", "expected"),
    [
        ("short", 10, "", "short"),
        ("one two", 4, "", "one\ntwo"),
        ("one two three", 5, "", "one\ntw..."),
        ("short", 14, " (n = 1)", "short (n = 1)"),
        ("exactly ten", 11, " (n = 1)", "exactly ten\n(n = 1)"),
    ],
)
def test_wrapped(text, width, suffix, expected):
    assert wrapped(text, width, suffix=suffix) == expected


@pytest.mark.parametrize("length", [5, 30, 60, 200])
def test_the_suffix_is_never_cut(length):
    assert wrapped("word " * (length // 5), 30, suffix=" (n = 12)").endswith("(n = 12)")


def test_points_of_a_named_size():
    with mpl.rc_context({"font.size": 10, "legend.fontsize": "medium"}):
        assert points("legend.fontsize") == 10


@pytest.mark.parametrize(
    ("origin", "expected"), [("synthetic", "synthetic data"), ("real", ""), (None, "")]
)
def test_stamp(origin, expected):
    ax = Figure().subplots()
    stamp_origin(ax, origin)
    assert ax.get_title(loc="right") == expected


@pytest.mark.parametrize("label", ["_underscore", "a", "two\nlines"])
def test_legend_shows_every_label(label):
    ax = Figure().subplots()
    legend_above(ax, [Line2D([], []), Line2D([], [])], [label, "b"])
    assert [t.get_text() for t in ax.get_legend().get_texts()] == [label, "b"]


@pytest.mark.parametrize("origin", ["real", "synthetic"])
def test_legend_covers_no_data_and_no_stamp(origin):
    figure = Figure(figsize=(5, 4))
    ax = figure.subplots()
    stamp_origin(ax, origin)
    legend_above(ax, [Line2D([], [])], ["a"])
    figure.draw_without_rendering()
    legend = ax.get_legend().get_window_extent()
    assert legend.y0 >= ax.get_window_extent().y1
    stamp = ax._right_title.get_window_extent()
    assert legend.y0 >= stamp.y1 or not ax.get_title(loc="right")


def test_lines_of_ones_own_take_the_palette():
    with theme():
        ax = Figure().subplots()
        for _ in PALETTE:
            ax.plot([0, 1])
    assert [line.get_color() for line in ax.lines] == list(PALETTE)
    assert plots.PALETTE is PALETTE


def test_theme_restores_what_it_set_and_nothing_else(monkeypatch):
    """A notebook turns interactive mode on when its first figure is made, inside the block."""
    monkeypatch.setitem(mpl.rcParams, "interactive", False)
    before = mpl.rcParams["axes.spines.top"]
    with theme():
        mpl.rcParams["interactive"] = True
        assert mpl.rcParams["axes.spines.top"] is False
    assert mpl.rcParams["interactive"] is True
    assert mpl.rcParams["axes.spines.top"] == before
