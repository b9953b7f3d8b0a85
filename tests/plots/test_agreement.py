"""Bland-Altman plots: what is drawn is a column of the data."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from pmsstats.plots.agreement import plot_bland_altman

PAIRS = pd.DataFrame({"mean": [1.0, 2.0, 3.0], "difference": [0.1, -0.2, 0.3]})
LIMITS = pd.DataFrame(
    {
        "term": ["lower", "bias", "upper"],
        "estimate": [-0.4, 0.07, 0.5],
        "conf_low": [-0.9, -0.1, np.nan],
        "conf_high": [-0.2, 0.2, np.nan],
    }
)


@pytest.fixture
def ax():
    figure, axes = plt.subplots()
    plot_bland_altman(
        PAIRS, LIMITS, x_label="Mean (ml)", y_label="Difference (ml)", origin="synthetic", ax=axes
    )
    yield axes
    plt.close(figure)


def test_points_are_the_pairs(ax):
    points = next(line for line in ax.get_lines() if line.get_gid() == "pairs")
    assert points.get_xdata().tolist() == PAIRS["mean"].tolist()
    assert points.get_ydata().tolist() == PAIRS["difference"].tolist()


def test_lines_are_the_limits(ax):
    heights = {line.get_gid(): line.get_ydata()[0] for line in ax.get_lines()}
    assert {t: heights[t] for t in LIMITS["term"]} == LIMITS.set_index("term")["estimate"].to_dict()


def test_only_known_intervals_are_drawn(ax):
    assert len([patch for patch in ax.patches if patch.get_gid() == "interval"]) == 2


def test_labels_and_origin(ax):
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Mean (ml)", "Difference (ml)")
    assert ax.get_title(loc="right") == "synthetic data"
