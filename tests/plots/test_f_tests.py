"""F tests as dots beside critical values."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from pmsstats.plots.f_tests import plot_f_tests


@pytest.fixture
def ax():
    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)


def rows() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "label": ["year", "arm", "year:arm"],
            "statistic": [36.1, np.nan, 1e-9],
            "df_numerator": [1.0, np.nan, 2.0],
            "df_denominator": [16.06, np.nan, np.inf],
            "p_value": [1.8e-5, np.nan, 1.0],
            "critical": [4.49, np.nan, 3.0],
        }
    )


def drawn(ax, kind: str) -> list[tuple[float, float]]:
    lines = [line for line in ax.lines if line.get_gid() == kind]
    return [(line.get_xdata()[0], np.mean(line.get_ydata())) for line in lines]


def test_each_test_has_a_dot_a_stroke_and_its_figures(ax):
    assert plot_f_tests(rows(), ax=ax) is ax
    assert drawn(ax, "statistic")[0] == (36.1, 0.0)
    assert drawn(ax, "critical") == [(4.49, 0.0), (3.0, 2.0)]
    words = [text.get_text() for text in ax.texts]
    assert words[0].startswith("F(1, 16.1) = 36.1, p <0.001")
    assert words[1] == "not tested"
    assert [label.get_text() for label in ax.get_yticklabels()] == ["year", "arm", "year:arm"]


def test_tiny_statistics_stay_at_the_edge(ax):
    plot_f_tests(rows(), ax=ax)
    left, right = ax.get_xlim()
    assert left > 1e-4
    assert drawn(ax, "statistic")[1][0] == left
    assert right > 36.1


def test_axis_names_the_level_and_synthetic_data_are_stamped(ax):
    plot_f_tests(rows(), conf_level=0.9, origin="synthetic", ax=ax)
    assert ax.get_xlabel() == "F statistic (stroke: critical value at 10 %)"
    assert ax.get_title(loc="right") == "synthetic data"


def test_nothing_to_draw_is_no_error(ax):
    plot_f_tests(rows().iloc[:0], ax=ax)
    assert drawn(ax, "statistic") == []
