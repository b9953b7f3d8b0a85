"""Apparent slowing against the size of an early effect."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd

from pmsstats.plots.apparent_slowing import plot_apparent_slowing

DATA = pd.DataFrame(
    {
        "analysis": ["line", "line", "piecewise", "piecewise"],
        "early_change": [0.0, -0.2, -0.2, 0.0],
        "slowing_pct": [30.0, 15.0, 29.0, 30.0],
    }
)


def test_each_analysis_is_a_line_beside_the_truth():
    figure, ax = plt.subplots()
    plot_apparent_slowing(DATA, truth=30.0, x_label="Early change, ml", ax=ax)
    lines = {line.get_gid(): line for line in ax.lines}
    assert list(lines) == ["truth", "line", "piecewise"]
    assert lines["line"].get_ydata().tolist() == [15.0, 30.0]
    assert lines["piecewise"].get_xdata().tolist() == [-0.2, 0.0]
    assert set(lines["truth"].get_ydata()) == {30.0}
    assert ax.get_xlabel() == "Early change, ml"
    plt.close(figure)
