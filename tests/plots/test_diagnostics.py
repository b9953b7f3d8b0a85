"""Diagnostic figures: points as in the frame, around their line."""

from __future__ import annotations

import pandas as pd
import pytest
from matplotlib.figure import Figure

from pmsstats.plots import plot_quantiles, plot_residuals
from pmsstats.plots.diagnostics import (
    plot_draws,
    plot_influence,
    plot_ranked_intervals,
    plot_tails,
)

RESIDUALS = pd.DataFrame({"fitted": [1.0, 2.0, 3.0], "residual": [0.1, -0.2, 0.05]})
QUANTILES = pd.DataFrame({"expected": [-1.0, 0.0, 1.0], "observed": [-1.2, 0.1, 0.9]})


@pytest.mark.parametrize(
    ("plot", "data"), [(plot_residuals, RESIDUALS), (plot_quantiles, QUANTILES)]
)
def test_points_are_the_rows_and_counted(plot, data):
    ax = Figure().subplots()
    assert plot(data, origin="synthetic", ax=ax) is ax
    assert ax.lines[-1].get_xydata().tolist() == data.to_numpy().tolist()
    assert ax.get_title(loc="left") == "n = 3"
    assert ax.get_title(loc="right") == "synthetic data"


def test_residuals_lie_around_zero():
    ax = plot_residuals(RESIDUALS, ax=Figure().subplots())
    assert list(ax.lines[0].get_ydata()) == [0, 0]


def test_quantiles_lie_around_the_diagonal():
    ax = plot_quantiles(QUANTILES, ax=Figure().subplots())
    assert list(ax.lines[0].get_xdata()) == list(ax.lines[0].get_ydata()) == [-1.0, 1.0]
    assert len(ax.collections) == 0


def test_an_envelope_is_drawn_where_there_is_one():
    data = QUANTILES.assign(conf_low=-2.0, conf_high=2.0)
    ax = plot_quantiles(data, ax=Figure().subplots())
    heights = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == (-2.0, 2.0)


RANKED = pd.DataFrame(
    {"estimate": [0.3, -0.2, 0.1], "conf_low": [0.1, -0.5, 0.0], "conf_high": [0.5, 0.1, 0.2]}
)
INFLUENCE = pd.DataFrame({"label": ["S1", "S2", "S3"], "value": [0.1, 0.9, 0.2], "threshold": 0.5})


def test_predictions_are_ranked_with_their_intervals():
    ax = plot_ranked_intervals(RANKED, origin="synthetic", ax=Figure().subplots())
    assert ax.lines[-1].get_ydata().tolist() == [-0.2, 0.1, 0.3]
    ends = [path.vertices[:, 1].tolist() for path in ax.collections[0].get_paths()]
    assert ends == [[-0.5, 0.1], [0.0, 0.2], [0.1, 0.5]]
    assert (ax.get_title(loc="left"), ax.get_title(loc="right")) == ("n = 3", "synthetic data")


def test_stems_above_the_threshold_are_named():
    ax = plot_influence(INFLUENCE, ax=Figure().subplots())
    assert [text.get_text() for text in ax.texts] == ["S2"]
    assert ax.lines[0].get_ydata().tolist() == [0.1, 0.9, 0.2]
    assert set(ax.lines[1].get_ydata()) == {0.5}


def test_the_largest_stems_are_named_without_a_threshold():
    data = INFLUENCE.drop(columns="threshold")
    ax = plot_influence(data, n_labels=2, ax=Figure().subplots())
    assert [text.get_text() for text in ax.texts] == ["S2", "S3"]


def test_missing_influence_is_not_named():
    data = INFLUENCE.drop(columns="threshold").assign(value=[0.1, float("nan"), 0.2])
    ax = plot_influence(data, ax=Figure().subplots())
    assert [text.get_text() for text in ax.texts] == ["S3", "S1"]


def test_draws_surround_the_estimate():
    data = pd.DataFrame({"value": [1.0, 2.0, 2.5, None]}).assign(
        estimate=2.0, conf_low=1.0, conf_high=2.5
    )
    ax = plot_draws(data, ax=Figure().subplots())
    assert sum(patch.get_height() for patch in ax.patches) == 3
    assert [line.get_xdata()[0] for line in ax.lines] == [2.0, 1.0, 2.5]
    assert ax.get_title(loc="left") == "n = 3"


def test_tails_are_lines_with_the_statistic():
    data = pd.DataFrame({"statistic": [1.0, 2.0], "mixture": [0.4, 0.1], "naive": [0.6, 0.3]})
    ax = plot_tails(data, observed=1.5, ax=Figure().subplots())
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["mixture", "naive"]
    assert ax.lines[1].get_ydata().tolist() == [0.6, 0.3]
    assert ax.lines[2].get_xdata()[0] == 1.5
