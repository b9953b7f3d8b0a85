"""The calibration figure: a dot where each value lies in its published interval."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from pmsstats.plots import PALETTE, plot_calibration

MOMENTS = pd.DataFrame(
    {
        "moment": ["mean of A", "mean of B", "mean of C", "mean of D"],
        "population": "SPMS",
        "source": "Doe 2001",
        "position": [0.4, 1.7, 9.0, -8.0],
        "position_error": 0.1,
        "inside": [True, False, False, False],
    }
)


def _dots(ax):
    return {
        (round(x, 6), round(y, 6)): tuple(np.round(c.get_facecolor()[0][:3], 3))
        for c in ax.collections
        if c.get_offsets().shape[1] == 2 and hasattr(c, "get_sizes") and len(c.get_sizes())
        for x, y in c.get_offsets()
    }


def test_values_are_drawn_in_their_rows_and_far_ones_at_the_edge():
    ax = plot_calibration(MOMENTS, ax=Figure().subplots())
    assert sorted(_dots(ax), key=lambda place: place[1]) == [
        (0.4, 0.0),
        (1.7, 1.0),
        (3.0, 2.0),
        (-3.0, 3.0),
    ]


def test_inside_and_outside_have_their_own_colours():
    dots = _dots(plot_calibration(MOMENTS, ax=Figure().subplots()))
    assert len({dots[place] for place in dots}) == 2
    assert dots[0.4, 0.0] != dots[1.7, 1.0]
    assert PALETTE[0] != PALETTE[1]


def test_rows_are_named_and_the_data_called_synthetic():
    ax = plot_calibration(MOMENTS, ax=Figure().subplots())
    labels = [text.get_text() for text in ax.get_yticklabels()]
    assert labels[0] == "mean of A, SPMS (Doe 2001)"
    assert ax.get_title("right") == "synthetic data"
