"""Recovery figure: what is drawn is what is in the frame, and absurd spreads are cut."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from pmsstats.plots import plot_recovery


@pytest.fixture
def frame():
    return pd.DataFrame(
        {
            "label": ["Two-stage Cox", "Landmark Cox"],
            "truth": [1.5, 1.5],
            "estimate": [1.2, 2.5],
            "low": [1.1, 0.9],
            "high": [1.4, 50.0],
            "coverage": [0.18, 0.9],
        }
    )


def drawn(ax, gid):
    return [line for line in ax.get_lines() if line.get_gid() == gid]


def test_every_mark_is_in_its_place(frame):
    ax = plot_recovery(frame, x_label="Hazard ratio", ax=plt.figure().gca())
    assert [line.get_xdata()[0] for line in drawn(ax, "estimate")] == [1.2, 2.5]
    assert [line.get_xdata()[0] for line in drawn(ax, "truth")] == [1.5, 1.5]
    assert np.allclose(drawn(ax, "spread")[0].get_xdata(), [1.1, 1.4])
    assert [t.get_text() for t in ax.texts if t.get_gid() == "coverage"] == ["18 %", "90 %"]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["Two-stage Cox", "Landmark Cox"]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # first row on top
    plt.close("all")


def test_a_spread_without_end_is_cut_by_an_arrow(frame):
    ax = plot_recovery(frame, x_label="Hazard ratio", ax=plt.figure().gca())
    assert ax.get_xlim()[1] < 10
    arrows = drawn(ax, "arrow")
    assert [(a.get_marker(), a.get_ydata()[0]) for a in arrows] == [(">", 1)]
    assert arrows[0].get_xdata()[0] == pytest.approx(ax.get_xlim()[1])
    plt.close("all")


def test_synthetic_data_are_stamped(frame):
    ax = plot_recovery(
        frame, x_label="Hazard ratio", origin="synthetic", conf_level=0.9, ax=plt.figure().gca()
    )
    texts = [t.get_text() for t in ax.findobj(Text)]
    assert any("synthetic" in text for text in texts)
    assert any("90 % intervals" in text for text in texts)
    plt.close("all")
