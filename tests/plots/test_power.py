"""Power curves and contours: what is drawn is what the frame holds."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from pmsstats.errors import DesignError
from pmsstats.plots import theme
from pmsstats.plots.power import plot_power_contours, plot_power_curve
from pmsstats.plots.theme import PALETTE

CURVES = pd.DataFrame(
    {
        "n": [60, 20, 40] * 2,
        "power": [0.7, 0.3, 0.5, 0.9, 0.5, np.nan],
        "marker": pd.Categorical(["cord"] * 3 + ["brain"] * 3, ["cord", "brain"]),
    }
)
GRID = pd.DataFrame(
    [(n, e, 1 - np.exp(-n * e / 20)) for n in (20, 40, 80, 160) for e in (0.2, 0.5, 0.8)],
    columns=["n", "effect", "power"],
)


def axes(function, data, **kws):
    with theme():
        ax = Figure().subplots()
        assert function(data, ax=ax, **kws) is ax
    return ax


def of(ax, gid):
    return [line for line in ax.lines if line.get_gid() == gid]


def test_lines_are_sorted_and_in_group_colours():
    ax = axes(plot_power_curve, CURVES, group="marker", group_label="of")
    cord, brain = of(ax, "curve")
    assert cord.get_xdata().tolist() == [20, 40, 60]
    assert cord.get_ydata().tolist() == [0.3, 0.5, 0.7]
    assert np.isnan(brain.get_ydata()[1])
    assert [to_hex(line.get_color()) for line in (cord, brain)] == list(PALETTE[:2])
    assert cord.get_linestyle() != brain.get_linestyle()
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["of cord", "of brain"]
    assert ax.get_ylim() == (0, 1.02)
    assert ax.yaxis.get_major_formatter()(0.8) == "80 %"


def test_one_group_has_no_legend_and_other_answers_their_own_axis():
    data = pd.DataFrame({"effect": [0.2, 0.4], "n": [800, 200]})
    ax = axes(plot_power_curve, data, x="effect", y="n", x_label="Effect", y_label="Subjects")
    assert ax.get_legend() is None
    assert ax.get_ylim()[1] > 700
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Effect", "Subjects")


def test_design_is_marked_with_lines_to_both_axes():
    ax = axes(plot_power_curve, CURVES, group="marker", mark=(40, 0.5), origin="synthetic")
    (mark,) = of(ax, "mark")
    assert (mark.get_xdata()[0], mark.get_ydata()[0]) == (40, 0.5)
    (guide,) = of(ax, "guide")
    assert guide.get_xdata()[1:].tolist() == [40, 40]
    assert guide.get_ydata()[-1] == 0
    assert ax.get_title(loc="right") == "synthetic data"


def test_contours_follow_the_grid():
    ax = axes(plot_power_contours, GRID, x="n", y="effect", x_label="Subjects", y_label="Effect")
    (drawn,) = ax.collections
    levels = list(drawn.levels)
    assert levels == [0.5, 0.6, 0.7, 0.8, 0.9, 0.95]
    widths = drawn.get_linewidths()
    assert np.argmax(widths) == levels.index(0.8)
    vertices = np.concatenate([p.vertices for p in drawn.get_paths()[:1]])
    assert len(vertices)
    inside = pd.DataFrame(vertices, columns=["n", "effect"])
    # The line of 50 % runs between neighbours below and above it.
    exact = 1 - np.exp(-inside["n"] * inside["effect"] / 20)
    assert (exact - 0.5).abs().max() < 0.15
    assert {t.get_text() for t in ax.texts} <= {"50 %", "60 %", "70 %", "80 %", "90 %", "95 %"}


def test_contours_of_other_quantities_choose_their_levels():
    data = GRID.assign(subjects=1000 / GRID["effect"] ** 2 + GRID["n"])
    ax = axes(
        plot_power_contours, data, x="n", y="effect", value="subjects", value_label="Subjects"
    )
    assert ax.get_title(loc="left") == "Lines of equal subjects"
    assert len(ax.collections[0].levels) > 3


def test_holes_are_left_blank_and_missing_rows_refused():
    holes = GRID.assign(power=GRID["power"].where(GRID["n"] > 20))
    assert axes(plot_power_contours, holes, x="n", y="effect").collections
    for broken in (GRID.iloc[1:], pd.concat([GRID, GRID.iloc[:1]]), GRID[GRID["n"] == 20]):
        with pytest.raises(DesignError, match="each pair of `n` and `effect` once"):
            plot_power_contours(broken, x="n", y="effect", ax=Figure().subplots())
