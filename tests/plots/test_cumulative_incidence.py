"""Figures of cumulative incidence: steps as in the frame, groups by colour, causes by dashes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from pmsstats.plots import theme
from pmsstats.plots.cumulative_incidence import plot_cumulative_incidence
from pmsstats.plots.theme import PALETTE

CURVES = pd.DataFrame(
    {
        "group": pd.Categorical(["a"] * 6 + ["b"] * 6, ["a", "b"]),
        "cause": pd.Categorical((["death"] * 3 + ["relapse"] * 3) * 2, ["death", "relapse"]),
        "duration": [0.0, 1, 2] * 4,
        "incidence": [0, 0.1, 0.2, 0, 0.3, 0.3, 0, 0.05, 0.1, 0, 0.0, 0.4],
        "one_minus_km": [0, 0.1, 0.3, 0, 0.3, 0.4, 0, 0.05, 0.2, 0, 0.0, 0.5],
        "n": [7] * 6 + [9] * 6,
    }
)
CURVES["conf_low"] = CURVES["incidence"] / 2
CURVES["conf_high"] = CURVES["incidence"] * 1.5


def drawn(curves: pd.DataFrame = CURVES, **kws):
    with theme():
        ax = Figure(layout="constrained").subplots()
        assert plot_cumulative_incidence(curves, ax=ax, **kws) is ax
        ax.figure.draw_without_rendering()
    return ax


def lines(ax, gid="incidence"):
    return [line for line in ax.lines if line.get_gid() == gid]


def labels(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_steps_are_the_estimates() -> None:
    found = lines(drawn())
    assert [line.get_ydata().tolist() for line in found] == [
        [0, 0.1, 0.2], [0, 0.3, 0.3], [0, 0.05, 0.1], [0, 0, 0.4],
    ]  # fmt: skip
    assert {line.get_drawstyle() for line in found} == {"steps-post"}


def test_bands_are_the_intervals() -> None:
    tops = [c.get_paths()[0].vertices[:, 1].max() for c in drawn().collections]
    np.testing.assert_allclose(tops, [0.3, 0.45, 0.15, 0.6])


def test_groups_have_colours_and_causes_dashes() -> None:
    ax = drawn()
    found = lines(ax)
    assert [line.get_color() for line in found] == [PALETTE[0]] * 2 + [PALETTE[1]] * 2
    assert found[0].get_linestyle() == found[2].get_linestyle() != found[1].get_linestyle()
    assert labels(ax) == ["a (n = 7)", "b (n = 9)", "death", "relapse"]


def test_one_group_tells_causes_by_colour() -> None:
    one = CURVES[CURVES["group"] == "a"].assign(group="all")
    ax = drawn(one)
    assert [line.get_color() for line in lines(ax)] == [PALETTE[0], PALETTE[1]]
    assert labels(ax) == ["death", "relapse"]


def test_some_causes_keep_their_dashes() -> None:
    ax = drawn(causes=("relapse",))
    assert len(lines(ax)) == 2
    assert lines(ax)[0].get_linestyle() == lines(drawn())[1].get_linestyle()
    assert labels(ax)[-1] == "relapse"


def test_naive_curves_are_drawn_when_asked_for() -> None:
    assert lines(drawn(), "naive") == []
    found = lines(drawn(show_naive=True), "naive")
    assert found[0].get_ydata().tolist() == [0, 0.1, 0.3]


@pytest.mark.parametrize(("origin", "stamp"), [("synthetic", "synthetic data"), ("real", "")])
def test_synthetic_data_are_stamped(origin: str, stamp: str) -> None:
    assert drawn(origin=origin).get_title(loc="right") == stamp
