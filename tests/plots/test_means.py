"""Means over visits: what is drawn is what the frame holds, with its numbers under the axis."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from pmsstats.plots import theme
from pmsstats.plots.means import plot_means
from pmsstats.plots.theme import PALETTE

VISITS = ["W12", "W48", "W96"]
MEANS = pd.DataFrame(
    {
        "group": pd.Categorical(["placebo"] * 3 + ["active"] * 3, ["placebo", "active"]),
        "visit": pd.Categorical(VISITS * 2, VISITS, ordered=True),
        "estimate": [-0.3, -0.8, -1.5, -0.2, -0.6, np.nan],
        "conf_low": [-0.4, -1.0, -1.8, -0.3, -0.8, np.nan],
        "conf_high": [-0.2, -0.6, -1.2, -0.1, -0.4, np.nan],
        "n": [40, 36, 30, 41, 37, 0],
    }
)


def drawn(means: pd.DataFrame = MEANS, **kws):
    with theme():
        ax = Figure().subplots()
        assert plot_means(means, ax=ax, **{"y_label": "Mean change (%)"} | kws) is ax
    return ax


def lines(ax):
    return [line for line in ax.lines if line.get_gid() == "means"]


def numbers(ax):
    return [text.get_text() for text in ax.texts if text.get_gid() == "n"]


def test_lines_are_the_means_in_group_colours():
    placebo, active = lines(drawn())
    assert placebo.get_ydata().tolist() == [-0.3, -0.8, -1.5]
    assert active.get_ydata()[:2].tolist() == [-0.2, -0.6]
    assert np.isnan(active.get_ydata()[2])
    assert [to_hex(line.get_color()) for line in (placebo, active)] == list(PALETTE[:2])
    assert placebo.get_linestyle() != active.get_linestyle()
    assert placebo.get_marker() != active.get_marker()


def test_groups_are_moved_apart_around_their_visit():
    placebo, active = (line.get_xdata() for line in lines(drawn()))
    assert (placebo < active).all()
    np.testing.assert_allclose((placebo + active) / 2, [0, 1, 2])


def test_intervals_reach_from_low_to_high():
    ends = [
        segment[:, 1].tolist()
        for bars in drawn().collections
        for segment in bars.get_segments()
        if np.isfinite(segment).all() and len(segment)
    ]
    expected = MEANS[["conf_low", "conf_high"]].dropna().to_numpy()
    np.testing.assert_allclose(ends, expected)


def test_axis_has_the_visits_in_order():
    shuffled = drawn(MEANS.iloc[[5, 2, 0, 4, 1, 3]])
    assert [tick.get_text() for tick in shuffled.get_xticklabels()] == VISITS
    assert lines(shuffled)[0].get_ydata().tolist() == [-0.3, -0.8, -1.5]


def test_visits_may_stand_at_their_time():
    ax = drawn(MEANS.assign(position=[12.0, 48.0, 96.0] * 2))
    assert ax.get_xticks().tolist() == [12.0, 48.0, 96.0]


def test_subjects_behind_each_mean_are_written_below():
    ax = drawn()
    assert numbers(ax) == ["40", "36", "30", "41", "37", "0"]
    names = [text.get_text() for text in ax.texts if text.get_gid() != "n"]
    assert names == ["Subjects", "placebo", "active"]
    assert numbers(drawn(show_n=False)) == []
    assert numbers(drawn(MEANS.drop(columns="n"))) == []


def test_one_group_has_no_legend():
    ax = drawn(MEANS.iloc[:3].drop(columns="group"))
    assert ax.get_legend() is None
    assert numbers(ax) == ["40", "36", "30"]
    legend = drawn().get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["placebo", "active"]


def test_means_of_what_is_no_time_are_not_joined():
    assert {line.get_linestyle() for line in lines(drawn(joined=False))} == {"None"}


def test_reference_line_labels_and_stamp():
    ax = drawn(reference=0.0, x_label="Visit", origin="synthetic")
    assert any(np.allclose(line.get_ydata(), 0.0) for line in ax.lines)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Visit", "Mean change (%)")
    assert ax.get_title(loc="right") == "synthetic data"


@pytest.mark.parametrize("n_groups", [1, 7, 12])
def test_many_groups_stay_between_their_visits(n_groups):
    parts = [MEANS.iloc[:3].assign(group=f"arm {i}") for i in range(n_groups)]
    ax = drawn(pd.concat(parts, ignore_index=True))
    reach = [np.abs(line.get_xdata() - [0, 1, 2]).max() for line in lines(ax)]
    assert max(reach) < 0.5
