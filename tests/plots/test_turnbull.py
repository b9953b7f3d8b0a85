"""Figures of interval-censored survival: flat where known, boxes where it falls somewhere."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from pmsstats.plots import theme
from pmsstats.plots.turnbull import plot_turnbull

CURVES = pd.DataFrame(
    {
        "group": pd.Categorical(["a", "a", "a", "b"], ["b", "a"]),
        "lower": [0.5, 2.0, 3.0, 1.0],
        "upper": [1.0, 2.0, np.inf, 2.0],
        "mass": [0.25, 0.25, 0.5, 1.0],
        "survival": [0.75, 0.5, 0.0, 0.0],
        "n": [4, 4, 4, 6],
    }
)


def drawn(curves: pd.DataFrame = CURVES, **kws):
    with theme():
        ax = Figure(layout="constrained").subplots()
        assert plot_turnbull(curves, ax=ax, last=4.0, **kws) is ax
        ax.figure.draw_without_rendering()
    return ax


def test_curve_is_drawn_where_it_is_known() -> None:
    b, a = (line for line in drawn().lines if line.get_gid() == "survival")
    pieces = a.get_xydata()
    np.testing.assert_array_equal(pieces[0:2], [[0, 1], [0.5, 1]])
    assert np.isnan(pieces[2]).all()
    np.testing.assert_array_equal(pieces[3:5], [[1, 0.75], [2, 0.75]])
    # beyond 3 nothing is known: the rest lies after the end of follow-up
    np.testing.assert_array_equal(pieces[6:8], [[2, 0.5], [3, 0.5]])
    np.testing.assert_array_equal(b.get_xydata()[3:5], [[2, 0], [4, 0]])


def test_boxes_span_the_falls() -> None:
    boxes = [patch for patch in drawn().patches if patch.get_gid() == "fall"]
    spans = [(p.get_x(), p.get_y(), p.get_width(), p.get_height()) for p in boxes]
    assert spans == [(1, 0, 1, 1), (0.5, 0.75, 0.5, 0.25), (2, 0.5, 0, 0.25)]


def test_legend_says_n_in_the_order_of_the_groups() -> None:
    texts = [text.get_text() for text in drawn().get_legend().get_texts()]
    assert texts == ["b (n = 6)", "a (n = 4)"]


def test_intervals_are_drawn_where_they_are_given() -> None:
    assert not [c for c in drawn().collections if c.get_gid() == "interval"]
    curves = CURVES.assign(conf_low=CURVES["survival"] / 2, conf_high=0.9)
    found = [c for c in drawn(curves).collections if c.get_gid() == "interval"]
    segments = found[1].get_segments()
    np.testing.assert_allclose(segments[0], [[1, 0.375], [1, 0.9]])
    assert len(segments) == 2


def test_synthetic_data_are_stamped() -> None:
    assert drawn(origin="synthetic").get_title(loc="right") == "synthetic data"
