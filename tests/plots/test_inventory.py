"""The inventory plot draws one mark per row, filled where the row was found."""

from __future__ import annotations

from collections.abc import Iterator

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba

from pmsstats.plots.inventory import plot_inventory
from pmsstats.plots.theme import PALETTE

DATA = pd.DataFrame(
    {
        "component": ["alpha", "beta $x$", "gamma"],
        "found": [True, False, True],
        "version": ["1.0", "broken", "3.0"],
    }
)


@pytest.fixture
def drawn() -> Iterator[Axes]:
    _, ax = plt.subplots()
    yield plot_inventory(DATA, ax=ax)
    plt.close(ax.figure)


def test_marks_stand_in_rows(drawn: Axes) -> None:
    assert drawn.collections[0].get_offsets().tolist() == [[0, 0], [0, 1], [0, 2]]


def test_first_row_is_on_top(drawn: Axes) -> None:
    bottom, top = drawn.get_ylim()
    assert bottom > top


def test_only_found_rows_are_filled(drawn: Axes) -> None:
    alpha = drawn.collections[0].get_facecolors()[:, 3]
    assert alpha.tolist() == [1, 0, 1]
    assert tuple(drawn.collections[0].get_facecolors()[0]) == to_rgba(PALETTE[0])


def test_text_is_the_version_or_says_missing(drawn: Axes) -> None:
    assert [text.get_text() for text in drawn.texts] == ["1.0", "missing", "3.0"]


def test_labels_are_not_mathematics(drawn: Axes) -> None:
    assert drawn.get_yticklabels()[1].get_text() == r"beta \$x\$"


def test_current_axes_are_the_default() -> None:
    figure, ax = plt.subplots()
    assert plot_inventory(DATA) is ax
    plt.close(figure)
