"""Diagnostic figures: points as in the frame, around their line."""

from __future__ import annotations

import pandas as pd
import pytest
from matplotlib.figure import Figure

from pmsstats.plots import plot_quantiles, plot_residuals

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
