"""Tipping-point figures: what is drawn."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from pmsstats.plots.tipping import plot_tipping

LABELS = {
    "x_label": "Shift in active, $ml$",
    "y_label": "Shift in placebo, ml",
    "estimate_label": "Difference, ml",
}


def grid(deltas, reference_deltas) -> pd.DataFrame:
    pairs = np.array(list(itertools.product(deltas, reference_deltas)), dtype=float)
    data = pd.DataFrame(pairs, columns=["delta", "delta_reference"])
    data["estimate"] = 1 + data["delta"] / 4 - data["delta_reference"] / 4
    return data.assign(conf_low=data["estimate"] - 0.5, conf_high=data["estimate"] + 0.5)


def with_gid(ax, gid):
    return [artist for artist in ax.get_children() if artist.get_gid() == gid]


def test_one_arm_is_a_line_with_its_interval():
    data = grid([2.0, -4.0, 0.0], [0.0])
    ax = plot_tipping(data, tips=[-2.0], origin="synthetic", ax=Figure().subplots(), **LABELS)
    (line,) = with_gid(ax, "estimate")
    assert line.get_xdata().tolist() == [-4, 0, 2]
    assert line.get_ydata().tolist() == [0, 1, 1.5]
    (band,) = with_gid(ax, "interval")
    assert band.get_paths()[0].get_extents().ymin == pytest.approx(-0.5)
    (tip,) = with_gid(ax, "tip")
    assert list(tip.get_xdata()) == [-2, -2]
    assert ax.get_xlabel() == r"Shift in active, \$ml\$"
    assert ax.get_ylabel() == "Difference, ml"
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts == ["estimate", "confidence interval", "tipping point -2"]
    assert ax.get_title("right") == "synthetic data"


def test_two_arms_are_a_plane_shaded_where_intervals_exclude_zero():
    data = grid(np.linspace(-8, 2, 11), np.linspace(-2, 2, 9))
    ax = plot_tipping(data, tips=[-2.0], ax=Figure().subplots(), **LABELS)
    shades = [c for c in ax.collections if c.get_alpha() == 0.2]
    assert len(shades) == 2  # above zero, and below
    corners = np.vstack([path.vertices for path in shades[0].get_paths()])
    inside = 1 + corners[:, 0] / 4 - corners[:, 1] / 4 - 0.5
    assert inside.min() == pytest.approx(0, abs=1e-9)
    (tip,) = with_gid(ax, "tip")
    assert (tip.get_xdata().tolist(), tip.get_ydata().tolist()) == ([-2], [0])
    assert ax.get_ylabel() == "Shift in placebo, ml"


def test_nothing_is_shaded_where_no_interval_excludes_zero():
    data = grid([-4.0, -3.0], [0.0, 0.5])
    ax = plot_tipping(data, ax=Figure().subplots(), **LABELS)
    assert [c for c in ax.collections if c.get_alpha() == 0.2] == []


def test_shifts_of_the_reference_alone_are_on_the_axis():
    ax = plot_tipping(grid([0.0], [-1.0, 1.0]), ax=Figure().subplots(), **LABELS)
    (line,) = with_gid(ax, "estimate")
    assert line.get_xdata().tolist() == [-1, 1]
