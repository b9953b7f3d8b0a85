"""Trajectories: what is drawn is what the frames hold, in the groups' order."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from pmsstats.plots import plot_trajectories, theme
from pmsstats.plots.theme import PALETTE

GROUPS = ["HC", "SPMS"]
DATA = pd.DataFrame(
    [
        ("S1", 0.0, 8.0, "SPMS"), ("S1", 1.0, 7.8, "SPMS"), ("S2", 0.0, 7.5, "SPMS"),
        ("S3", 0.0, 9.0, "HC"), ("S3", 2.0, 8.9, "HC"), ("S3", 1.0, 9.1, "HC"),
    ],
    columns=["subject_id", "year", "value", "phenotype"],
).assign(phenotype=lambda f: pd.Categorical(f["phenotype"], GROUPS, ordered=True))  # fmt: skip
FITTED = pd.DataFrame(
    {
        "group": ["SPMS", "SPMS", "HC", "HC"],
        "year": [0.0, 1.0, 0.0, 2.0],
        "estimate": [7.8, 7.6, 9.0, 8.95],
        "conf_low": [7.5, 7.3, 8.8, 8.7],
        "conf_high": [8.1, 7.9, 9.2, 9.2],
    }
)


def drawn(data: pd.DataFrame = DATA, **kws):
    kws = {"y_label": "Thalamus volume (ml)", "group": "phenotype", "fitted": FITTED} | kws
    with theme():
        ax = Figure().subplots()
        assert plot_trajectories(data, ax=ax, **kws) is ax
    return ax


def by_gid(artists, gid):
    return [a for a in artists if a.get_gid() == gid]


def test_individual_lines_are_the_rows_in_time_order():
    hc, spms = by_gid(drawn().collections, "individuals")
    assert [s.tolist() for s in hc.get_segments()] == [[[0.0, 9.0], [1.0, 9.1], [2.0, 8.9]]]
    assert [s.tolist() for s in spms.get_segments()] == [[[0.0, 8.0], [1.0, 7.8]]]


def test_a_single_visit_is_a_dot():
    xy = [line.get_xydata().tolist() for line in by_gid(drawn().lines, "single")]
    assert xy == [[], [[0.0, 7.5]]]


def test_fitted_lines_are_the_estimates_in_the_group_colour():
    lines = by_gid(drawn().lines, "fitted")
    assert [line.get_ydata().tolist() for line in lines] == [[7.8, 7.6], [9.0, 8.95]]
    assert [to_hex(line.get_color()) for line in lines] == [PALETTE[1], PALETTE[0]]


def test_bands_are_the_intervals():
    bands = [c for c in drawn().collections if c.get_gid() != "individuals"]
    ends = [(b.get_paths()[0].vertices[:, 1].min(), b.get_paths()[0].vertices[:, 1].max())
            for b in bands]  # fmt: skip
    assert ends == [(7.3, 8.1), (8.7, 9.2)]


def test_legend_says_n_in_the_order_of_the_groups():
    texts = [t.get_text() for t in drawn().get_legend().get_texts()]
    assert texts == ["HC (n = 1)", "SPMS (n = 2)"]


def test_axes_say_what_and_in_which_unit():
    ax = drawn(origin="synthetic")
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Years from baseline", "Thalamus volume (ml)")
    assert ax.get_title(loc="right") == "synthetic data"


def test_without_groups_everybody_is_one():
    ax = drawn(group=None, fitted=FITTED.drop(columns="group").iloc[:2])
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["All subjects (n = 3)"]
    assert len(by_gid(ax.collections, "individuals")[0].get_segments()) == 2


def test_no_legend_on_request():
    assert drawn(legend=False).get_legend() is None


@pytest.mark.parametrize(
    ("max_lines", "n_drawn", "said"),
    [(10, 10, []), (9, 5, ["5 of 10 subjects drawn"]), (3, 3, ["3 of 10 subjects drawn"])],
)
def test_many_lines_are_thinned_and_counted(max_lines, n_drawn, said):
    data = pd.DataFrame(
        {
            "subject_id": np.repeat([f"S{i}" for i in range(10)], 2),
            "year": np.tile([0.0, 1.0], 10),
            "value": np.arange(20.0),
        }
    )
    ax = drawn(data, group=None, fitted=None, max_lines=max_lines)
    assert len(by_gid(ax.collections, "individuals")[0].get_segments()) == n_drawn
    assert [t.get_text() for t in ax.texts] == said


@pytest.mark.parametrize(
    ("steps", "expected", "why"),
    [
        ([7.0, 7.5, 8.0, 8.5, 9.0], ["7.5", "8", "8.5", "9"], "those in view"),
        (np.arange(0, 20, 0.1).round(1), ["8", "9"], "whole ones where crowded"),
    ],
)
def test_ordinal_scales_are_marked_at_their_values(steps, expected, why):
    ax = drawn(scale_steps=steps)
    assert [t.get_text() for t in ax.get_yticklabels()] == expected, why


def test_the_input_is_not_changed():
    before = DATA.copy()
    drawn()
    pd.testing.assert_frame_equal(DATA, before)
