"""Kaplan-Meier figures: steps as in the frame, and a table of subjects at risk that fits it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from pmsstats.plots import plot_survival, theme

GROUPS = ["placebo", "active"]
CURVES = pd.DataFrame(
    {
        "group": pd.Categorical(
            ["active", "active", "placebo", "placebo", "placebo"], GROUPS, ordered=True
        ),
        "duration": [1.0, 2.5, 0.0, 1.0, 3.0],
        "survival": [0.9, 0.8, 1.0, 0.7, 0.5],
        "conf_low": [0.8, 0.6, 1.0, 0.5, 0.3],
        "conf_high": [1.0, 0.9, 1.0, 0.8, 0.7],
        "n": [12, 12, 30, 30, 30],
    }
)
AT_RISK = pd.DataFrame(
    {
        "group": ["active"] * 3 + ["placebo"] * 3,
        "duration": [0.0, 1.5, 3.0] * 2,
        "n_at_risk": [12, 7, 0, 30, 20, 1],
    }
)
PIXEL = 1.0  # texts are placed to whole pixels


def drawn(curves: pd.DataFrame = CURVES, **kws):
    with theme():
        figure = Figure(figsize=(6, 6), layout="constrained")
        ax = figure.subplots()
        assert plot_survival(curves, ax=ax, **kws) is ax
        figure.draw_without_rendering()
    return ax


def at_risk_texts(ax):
    return [t for t in ax.texts if t.get_gid() == "at-risk"]


def test_steps_are_the_estimates_and_begin_at_one():
    placebo, active = (line for line in drawn().lines if line.get_gid() == "survival")
    assert placebo.get_xydata().tolist() == [[0.0, 1.0], [1.0, 0.7], [3.0, 0.5]]
    assert active.get_xydata().tolist() == [[0.0, 1.0], [1.0, 0.9], [2.5, 0.8]]
    assert active.get_drawstyle() == "steps-post"


def test_bands_are_the_intervals():
    lows = [float(c.get_paths()[0].vertices[:, 1].min()) for c in drawn().collections]
    assert lows == [0.3, 0.6]


def test_legend_says_n_in_the_order_of_the_groups():
    texts = [t.get_text() for t in drawn().get_legend().get_texts()]
    assert texts == ["placebo (n = 30)", "active (n = 12)"]


def test_the_share_is_in_percent_from_zero():
    ax = drawn(y_label="Without progression")
    assert ax.get_ylim()[0] == 0
    assert ax.yaxis.get_major_formatter()(0.5) == "50%"
    assert ax.get_ylabel() == "Without progression"


def test_the_table_holds_the_counts_row_by_row():
    texts = at_risk_texts(drawn(at_risk=AT_RISK))
    assert [t.get_text() for t in texts] == ["30", "20", "1", "12", "7", "0"]


def test_its_times_are_the_ticks():
    ax = drawn(at_risk=AT_RISK)
    assert ax.get_xticks().tolist() == [0.0, 1.5, 3.0]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["0", "1.5", "3"]


@pytest.mark.parametrize("labels", ["left", "above", "auto"])
def test_counts_stand_under_their_time_and_below_the_axis_title(labels):
    ax = drawn(at_risk=AT_RISK, at_risk_labels=labels)
    title = ax.xaxis.label.get_window_extent()
    for text, time in zip(at_risk_texts(ax), [0.0, 1.5, 3.0] * 2, strict=True):
        box = text.get_window_extent()
        assert (box.x0 + box.x1) / 2 == pytest.approx(
            ax.transData.transform((time, 0))[0], abs=PIXEL
        )
        assert box.y1 <= title.y0 + PIXEL


@pytest.mark.parametrize("names", [("a", "b"), ("x" * 90, "y" * 90)], ids=["short", "long"])
@pytest.mark.parametrize("width", [3.5, 7.4])
def test_no_text_overlaps_another_or_leaves_the_figure(names, width):
    levels = [f"{name}{i}" for i in range(4) for name in names][:7]
    times = [0.0, 1.0, 2.0, 3.0]
    curves = pd.concat(CURVES[CURVES["group"] == "placebo"].assign(group=level) for level in levels)
    counts = pd.concat(
        pd.DataFrame({"group": level, "duration": times, "n_at_risk": 123}) for level in levels
    )
    with theme():
        figure = Figure(figsize=(width, 12), layout="constrained")
        ax = plot_survival(curves, at_risk=counts, ax=figure.subplots())
        figure.draw_without_rendering()
    boxes = [t.get_window_extent() for t in ax.texts]
    overlapping = [(a, b) for k, a in enumerate(boxes) for b in boxes[:k] if a.overlaps(b)]
    assert len(boxes) == 1 + 7 + 28
    assert overlapping == []
    assert min(b.x0 for b in boxes) >= -PIXEL
    assert max(b.x1 for b in boxes) <= figure.bbox.x1 + PIXEL


def test_group_names_are_in_the_table():
    texts = [t.get_text() for t in drawn(at_risk=AT_RISK).texts]
    assert [t for t in texts if t in GROUPS] == GROUPS


def test_one_curve_without_events_can_be_drawn():
    flat = pd.DataFrame(
        {"group": ["all"], "duration": [0.0], "survival": [1.0], "conf_low": [np.nan],
         "conf_high": [np.nan]}
    )  # fmt: skip
    ax = drawn(flat)
    assert ax.get_xlim() == (0.0, 1.0)


def test_synthetic_data_are_stamped():
    assert drawn(origin="synthetic").get_title(loc="right") == "synthetic data"
