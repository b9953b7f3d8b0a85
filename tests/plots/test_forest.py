"""Forest plots: rows in order, figures as in the frame, ticks that are plain numbers."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from pmsstats.errors import DesignError
from pmsstats.plots import plot_forest, theme
from pmsstats.plots.forest import log_ticks
from pmsstats.results import format_interval

ROWS = pd.DataFrame(
    {
        "label": ["Two-stage", "Time-varying", "Failed"],
        "estimate": [1.8, 1.3, np.nan],
        "conf_low": [1.2, 0.9, np.nan],
        "conf_high": [2.7, 1.9, np.nan],
        "n": ["150 subjects, 34 events", "150 subjects, 33 events", "12 subjects, 1 event"],
    }
)


def drawn(rows: pd.DataFrame = ROWS, **kws):
    kws = {"x_label": "Hazard ratio per SD", "log": True, "reference": 1.0} | kws
    with theme():
        figure = Figure(layout="constrained")
        ax = figure.subplots()
        assert plot_forest(rows, ax=ax, **kws) is ax
        figure.draw_without_rendering()
    return ax


def line_data(ax, gid):
    return [line.get_xydata().tolist() for line in ax.lines if line.get_gid() == gid]


def test_estimates_and_intervals_are_those_of_the_frame():
    ax = drawn()
    assert line_data(ax, "estimate") == [[[1.8, 0]], [[1.3, 1]]]
    assert line_data(ax, "interval") == [[[1.2, 0], [2.7, 0]], [[0.9, 1], [1.9, 1]]]


def test_the_first_row_is_on_top():
    ax = drawn()
    bottom, top = ax.get_ylim()
    assert bottom > top
    assert [t.get_text() for t in ax.get_yticklabels()] == ["Two-stage", "Time-varying", "Failed"]


@pytest.mark.parametrize("layout", ["columns", "stacked"])
def test_every_row_says_its_figures_and_n(layout):
    texts = " | ".join(t.get_text() for t in drawn(layout=layout).texts)
    assert format_interval(1.8, 1.2, 2.7) in texts
    assert "150 subjects, 34 events" in texts
    assert "not estimable" in texts


def test_stacked_labels_stand_inside():
    ax = drawn(layout="stacked")
    assert [t.get_text() for t in ax.get_yticklabels()] == ["", "", ""]
    assert "Two-stage" in [t.get_text() for t in ax.texts]


def test_the_reference_is_drawn():
    assert [1.0, 1.0] in [list(line.get_xdata()) for line in drawn().lines]


def test_ticks_of_a_log_axis_are_plain():
    ax = drawn()
    assert ax.get_xscale() == "log"
    assert [t.get_text() for t in ax.get_xticklabels()] == ["1", "1.25", "1.5", "2"]
    assert list(ax.xaxis.get_minorticklocs()) == []


def test_a_linear_axis_may_cross_zero():
    rows = ROWS.assign(estimate=[-0.1, 0.2, 0.0], conf_low=-0.5, conf_high=0.5)
    ax = drawn(rows, log=False, reference=0.0)
    low, high = ax.get_xlim()
    assert low < -0.5
    assert high > 0.5


@pytest.mark.parametrize(
    ("low", "high", "n_arrows"),
    [(1.2, 2.7, 0), (1.2, math.inf, 1), (1e-9, math.inf, 2), (0.0, 5.0, 1)],
)
def test_an_endless_interval_ends_in_an_arrow_and_crushes_no_other(low, high, n_arrows):
    rows = ROWS.iloc[:2].assign(conf_low=[low, 0.9], conf_high=[high, 1.9])
    ax = drawn(rows)
    left, right = ax.get_xlim()
    assert len(line_data(ax, "arrow")) == n_arrows
    assert right / left < 400  # two factors of 12 around the estimates, and margins


def test_nothing_estimable_still_draws():
    assert line_data(drawn(ROWS.iloc[2:]), "estimate") == []


@pytest.mark.parametrize("low", [1e-4, 0.01, 0.3, 0.9, 1.0, 3.0, 1e3])
@pytest.mark.parametrize("ratio", [1.001, 1.05, 1.5, 3.0, 20.0, 500.0, 1e6])
def test_log_ticks_are_few_ascending_and_inside(low, ratio):
    ticks = log_ticks(low, low * ratio)
    assert 1 <= len(ticks) <= 9
    assert ticks == sorted(set(ticks))
    assert low <= ticks[0]
    assert ticks[-1] <= low * ratio


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.3, 4.0, [0.5, 1.0, 2.0]),
        (0.8, 1.3, [0.8, 0.9, 1.0, 1.1, 1.2, 1.3]),
        (0.1, 9.0, [0.1, 0.2, 0.5, 1.0, 2.0, 5.0]),
    ],
)
def test_log_ticks_are_the_numbers_that_people_know(low, high, expected):
    assert log_ticks(low, high) == expected


def test_shares_are_in_percent():
    rows = ROWS.assign(
        estimate=[0.3564, 0.05, np.nan], conf_low=[0.2936, 0.0, np.nan],
        conf_high=[0.4246, 0.1204, np.nan],
    )  # fmt: skip
    ax = drawn(rows, log=False, reference=None, percent=True, x_label="Subjects free of it")
    texts = [t.get_text() for t in ax.texts if t.get_gid() == "figures"]
    assert texts == ["36 % (29 to 42)", "5 % (0 to 12)", "not estimable"]
    assert all(t.get_text().endswith("%") for t in ax.get_xticklabels())


@pytest.mark.parametrize(
    ("estimate", "low", "high"), [(-0.34, -0.7, 0.1), (0.2, -0.1, 0.5), (0.0, 0.0, 1.0)]
)
def test_logarithms_on_a_logarithmic_axis_are_refused(estimate, low, high):
    rows = ROWS.assign(
        estimate=[estimate, 1.3, np.nan], conf_low=[low, 0.9, np.nan], conf_high=[high, 1.9, np.nan]
    )
    with pytest.raises(DesignError, match=r"1 of 3 rows are not \('Two-stage'.*exp\(\)"):
        drawn(rows)
    assert len(line_data(drawn(rows, log=False, reference=0.0), "estimate")) == 2
