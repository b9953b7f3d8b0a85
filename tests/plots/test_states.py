"""Stacked shares of states, and the diagram of transitions: their artists."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from pmsstats.plots.states import plot_state_shares, plot_transitions, state_colours

STATES = ("mild", "severe", "dead")
TIMES = [0.0, 1.0, 2.0]
SHARES = np.array([[1.0, 0.0, 0.0], [0.6, 0.3, 0.1], [0.4, 0.4, 0.2]])


@pytest.fixture
def axes():
    figure, ax = plt.subplots()
    yield ax
    plt.close(figure)


def shares() -> pd.DataFrame:
    """Return shares of three states at three times, with intervals of their sums."""
    sums = SHARES.cumsum(axis=1).ravel()
    return pd.DataFrame(
        {
            "time": np.repeat(TIMES, 3),
            "state": pd.Categorical(STATES * 3, categories=STATES, ordered=True),
            "share": SHARES.ravel(),
            "conf_low": sums - 0.05,
            "conf_high": sums + 0.05,
        }
    )


def intensities() -> pd.DataFrame:
    """Return three transitions, one of which has a way back."""
    return pd.DataFrame(
        {
            "from_state": ["mild", "severe", "severe"],
            "to_state": ["severe", "mild", "dead"],
            "estimate": [0.3, 0.1, 0.05],
            "conf_low": [0.2, 0.05, 0.01],
            "conf_high": [0.4, 0.2, 0.25],
        }
    )


def test_bands_are_stacked_and_fill_the_axes(axes) -> None:
    ax = plot_state_shares(shares(), death="dead", x_label="Years", ax=axes)
    assert [band.get_gid() for band in ax.collections] == [f"state {s}" for s in STATES]
    for band, top in zip(ax.collections, SHARES.cumsum(axis=1).T, strict=True):
        assert band.get_paths()[0].vertices[:, 1].max() == pytest.approx(top.max())
    assert ax.get_ylim() == (0, 1)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == list(STATES)


def test_intervals_are_drawn_about_every_edge_but_the_top(axes) -> None:
    ax = plot_state_shares(shares(), ax=axes)
    drawn = {line.get_gid(): line.get_ydata() for line in ax.lines if line.get_gid()}
    assert set(drawn) == {f"{c} {s}" for c in ("conf_low", "conf_high") for s in STATES[:2]}
    np.testing.assert_allclose(drawn["conf_low mild"], SHARES[:, 0] - 0.05)


def test_synthetic_data_are_stamped(axes) -> None:
    assert plot_state_shares(shares(), origin="synthetic", ax=axes).get_title("right")
    assert plot_transitions(intensities(), states=STATES, origin="synthetic", ax=axes).get_title(
        "right"
    )


def test_colours_darken_and_death_is_grey() -> None:
    colours = state_colours(("a", "b", "c", "dead"), death="dead")
    light = [sum(int(colours[s][i : i + 2], 16) for i in (1, 3, 5)) for s in "abc"]
    assert light == sorted(light, reverse=True)
    red, green, blue = (int(colours["dead"][i : i + 2], 16) for i in (1, 3, 5))
    assert max(red, green, blue) - min(red, green, blue) < 30


@pytest.mark.parametrize("width", [12.0, 4.0], ids=["wide", "narrow"])
def test_every_state_is_a_box_and_every_transition_an_arrow_with_its_number(width: float) -> None:
    figure, ax = plt.subplots(figsize=(width, 4))
    plot_transitions(intensities(), states=STATES, death="dead", ax=ax)
    boxes = [p for p in ax.patches if isinstance(p, FancyBboxPatch)]
    arrows = [p for p in ax.patches if isinstance(p, FancyArrowPatch)]
    assert (len(boxes), len(arrows)) == (3, 3)
    numbers = [text.get_text() for text in ax.texts if text.get_gid() == "intensity"]
    assert numbers == ["0.30\n(0.20 to 0.40)", "0.10\n(0.050 to 0.20)", "0.050\n(0.010 to 0.25)"]
    assert ax.get_xlabel() == "Transitions per person and year (interval)"
    corners = np.array([[box.get_x(), box.get_y()] for box in boxes])
    moved = np.abs(corners[1] - corners[0]) > 0  # from the first living state to the second
    assert moved.tolist() == [width > 8, width < 8]
    plt.close(figure)
