"""The course of one subject: artists hold what the frames say."""

from __future__ import annotations

from collections.abc import Iterator

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from pmsstats.plots.course import plot_course
from pmsstats.plots.theme import PAPER

VISITS = pd.DataFrame(
    {
        "day": [0, 84, 168, 252, 336],
        "value": [4.0, np.nan, 5.0, 5.5, 4.5],
        "is_used": [True, False, True, True, False],
    }
)
EPISODE = {
    "change": "worsening", "relapse_class": "PIRA", "day_reference": 0, "reference_value": 4.0,
    "day_onset": 168, "onset_value": 5.0, "day_confirmed": 252, "confirmed_value": 5.5,
}  # fmt: skip
SCANS = pd.DataFrame({"day": [0, 168, 336], "is_active": [False, True, False]})
EDSS_STEPS = [0.0, *np.arange(1, 10.5, 0.5).tolist()]


@pytest.fixture
def ax() -> Iterator[Axes]:
    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)


def lines(ax: Axes, gid: str) -> list[Line2D]:
    return [line for line in ax.lines if line.get_gid() == gid]


def points(ax: Axes, gid: str) -> list[list[float]]:
    return [point for line in lines(ax, gid) for point in np.asarray(line.get_xydata()).tolist()]


def draw(ax: Axes, **kws: object) -> Axes:
    return plot_course(VISITS, y_label="EDSS", ax=ax, **kws)


def test_visits_stand_at_their_values_hollow_where_not_used(ax: Axes) -> None:
    draw(ax)
    assert points(ax, "visits") == [[0, 4], [168, 5], [252, 5.5], [336, 4.5]]
    assert points(ax, "used") == [[0, 4], [168, 5], [252, 5.5]]
    assert points(ax, "not used") == [[336, 4.5]]
    assert lines(ax, "not used")[0].get_markerfacecolor() == PAPER
    assert lines(ax, "used")[0].get_markerfacecolor() != PAPER


def test_all_visits_are_used_where_nothing_else_is_said(ax: Axes) -> None:
    plot_course(VISITS.drop(columns="is_used"), y_label="EDSS", ax=ax)
    assert len(points(ax, "used")) == 4
    assert lines(ax, "not used") == []


def test_a_change_has_its_reference_onset_and_confirmation(ax: Axes) -> None:
    draw(ax, episodes=pd.DataFrame([EPISODE]))
    assert points(ax, "reference") == [[0, 4], [168, 4]]
    assert points(ax, "change") == [[168, 4], [168, 5]]
    assert points(ax, "onset") == [[168, 5]]
    assert points(ax, "confirmed") == [[252, 5.5]]
    assert [text.get_text() for text in ax.texts] == ["PIRA"]


@pytest.mark.parametrize(
    ("change", "marks", "texts"),
    [
        ({"day_confirmed": pd.NA, "confirmed_value": np.nan}, 0, ["PIRA"]),
        ({"relapse_class": ""}, 1, []),
        ({"change": "improvement", "onset_value": 3.0, "relapse_class": ""}, 1, []),
    ],
)
def test_what_a_change_lacks_is_not_drawn(
    change: dict, marks: int, texts: list[str], ax: Axes
) -> None:
    draw(ax, episodes=pd.DataFrame([{**EPISODE, **change}]))
    assert len(points(ax, "confirmed")) == marks
    assert [text.get_text() for text in ax.texts] == texts


def test_worsening_and_improvement_differ(ax: Axes) -> None:
    later = {**EPISODE, "change": "improvement", "day_onset": 336, "onset_value": 4.5}
    draw(ax, episodes=pd.DataFrame([EPISODE, later]))
    worse, better = lines(ax, "onset")
    assert worse.get_markeredgecolor() != better.get_markeredgecolor()


def test_relapses_and_scans_stand_at_their_days(ax: Axes) -> None:
    draw(ax, relapses=[100, 300], scans=SCANS)
    assert [line.get_xdata()[0] for line in lines(ax, "relapse")] == [100, 300]
    assert [x for x, _ in points(ax, "scan")] == [0, 336]
    assert [x for x, _ in points(ax, "active scan")] == [168]


def test_scans_do_not_hide_visits(ax: Axes) -> None:
    """The lowest value lies above the row of scans."""
    draw(ax, scans=SCANS, scale_steps=EDSS_STEPS)
    figure = ax.get_figure(root=True)
    figure.draw_without_rendering()
    lowest = ax.transData.transform((0, 4.0))[1]
    scan = lines(ax, "scan")[0].get_transform().transform(points(ax, "scan")[0])[1]
    assert lowest - scan > 10


def test_the_legend_names_what_is_there_once(ax: Axes) -> None:
    draw(ax, episodes=pd.DataFrame([EPISODE, EPISODE]), relapses=[100, 300], scans=SCANS)
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == [
        "relapse", "visit", "visit not used", "reference", "worsening", "confirmed",
        "scan, none new", "scan, new lesions",
    ]  # fmt: skip


def test_an_ordinal_scale_is_marked_at_its_legal_values(ax: Axes) -> None:
    draw(ax, scale_steps=EDSS_STEPS)
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == ["3", "3.5", "4", "4.5", "5", "5.5", "6", "6.5"]


def test_a_wide_scale_is_marked_at_whole_values(ax: Axes) -> None:
    wide = VISITS.assign(value=[0.0, 2, 4, 8, 10])
    plot_course(wide, y_label="EDSS", scale_steps=EDSS_STEPS, ax=ax)
    assert [label.get_text() for label in ax.get_yticklabels()] == [str(i) for i in range(11)]


@pytest.mark.parametrize("value", [[], [np.nan], [0.0], [5.0, 5.0]])
def test_any_number_of_values(value: list[float], ax: Axes) -> None:
    visits = pd.DataFrame({"day": range(len(value)), "value": np.array(value, dtype=float)})
    plot_course(visits, y_label="s", ax=ax)
    low, high = ax.get_ylim()
    assert low < high
    assert len(points(ax, "visits")) == np.isfinite(value).sum()


@pytest.mark.parametrize(("origin", "stamp"), [(None, ""), ("synthetic", "synthetic data")])
def test_synthetic_data_are_stamped(origin: str | None, stamp: str, ax: Axes) -> None:
    assert draw(ax, origin=origin).get_title(loc="right") == stamp


def test_current_axes_by_default_and_data_not_modified(ax: Axes) -> None:
    before = VISITS.copy()
    plt.sca(ax)
    assert plot_course(VISITS, y_label="EDSS") is ax
    pd.testing.assert_frame_equal(before, VISITS)
