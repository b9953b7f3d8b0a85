"""The calendar of scanners."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from pmsstats.plots.scanners import plot_scanner_calendar

DATA = pd.DataFrame(
    {
        "scanner": pd.Categorical(["new", "old", "old", "new"], ["old", "new"]),
        "time": [1.0, 0.0, 0.0, 2.0],
        "group": pd.Categorical(["a", "a", "b", "b"], ["a", "b"]),
        "n": [10, 40, 20, 5],
    }
)


@pytest.fixture
def ax():
    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)


def test_scanners_are_rows_with_their_number_of_scans(ax):
    plot_scanner_calendar(DATA, x_label="Years", ax=ax)
    assert [t.get_text() for t in ax.get_yticklabels()] == ["old (n = 60)", "new (n = 15)"]
    assert ax.yaxis_inverted()


def test_circles_are_where_and_as_large_as_the_data_say(ax):
    plot_scanner_calendar(DATA, x_label="Years", ax=ax)
    first, second = ax.collections
    assert first.get_gid() == "a"
    np.testing.assert_allclose(first.get_offsets()[:, 0], [1.0, 0.0])
    sizes = np.concatenate([first.get_sizes(), second.get_sizes()])
    np.testing.assert_allclose(sizes / sizes.max(), [0.25, 1.0, 0.5, 0.125])
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["a", "b"]


def test_synthetic_data_are_stamped(ax):
    plot_scanner_calendar(DATA, x_label="Years", origin="synthetic", ax=ax)
    assert ax.get_title(loc="right") == "synthetic data"
