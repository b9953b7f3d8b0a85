"""The event plot: artists hold what the frame says."""

from __future__ import annotations

from collections.abc import Iterator

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from matplotlib.axes import Axes

from pmsstats.plots.events import plot_events

DATA = pd.DataFrame({"year": [2.0, 0.5, 1.0], "event": [False, True, False]})


@pytest.fixture
def ax() -> Iterator[Axes]:
    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)


def test_one_line_per_subject_shortest_below(ax: Axes) -> None:
    plot_events(DATA, ax=ax)
    segments = [segment.tolist() for segment in ax.collections[0].get_segments()]
    assert segments == [[[0, 1], [0.5, 1]], [[0, 2], [1.0, 2]], [[0, 3], [2.0, 3]]]


def test_marks_stand_at_events_only(ax: Axes) -> None:
    plot_events(DATA, ax=ax)
    assert ax.lines[0].get_xydata().tolist() == [[0.5, 1.0]]


def test_counts_stand_in_the_legend(ax: Axes) -> None:
    plot_events(DATA, event_label="death", ax=ax)
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["death (n = 1)", "followed without it (n = 2)"]


@pytest.mark.parametrize(("origin", "stamp"), [(None, ""), ("synthetic", "synthetic data")])
def test_synthetic_data_are_stamped(origin: str | None, stamp: str, ax: Axes) -> None:
    plot_events(DATA, origin=origin, ax=ax)
    assert ax.get_title(loc="right") == stamp


@pytest.mark.parametrize("n", [1, 500])
def test_any_number_of_subjects(n: int, ax: Axes) -> None:
    data = pd.DataFrame({"year": [1.0] * n, "event": [True] * n})
    plot_events(data, ax=ax)
    assert len(ax.lines[0].get_xdata()) == n
    assert ax.get_ylim() == (0, n + 1)


def test_current_axes_by_default(ax: Axes) -> None:
    plt.sca(ax)
    assert plot_events(DATA) is ax


def test_data_are_not_modified(ax: Axes) -> None:
    before = DATA.copy()
    plot_events(DATA, ax=ax)
    pd.testing.assert_frame_equal(before, DATA)
