"""Operating characteristics as figures. Witness: frames written by hand, and the drawn artists."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from matplotlib.figure import Figure

from pmsstats.plots import plot_designs, plot_estimates, plot_rejections

LONG = "time to confirmed progression: high dose"


def rejections(*quantities: str) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "label": [f"{LONG} {i}" for i, _ in enumerate(quantities)], "quantity": quantities,
            "value": 0.4, "mcse": 0.01, "n_replicates": 2500,
        }
    )  # fmt: skip


DESIGNS = pd.DataFrame(
    {"design": [LONG, "b"], "comparison": "high dose", "value": [0.4, 0.5], "mcse": 0.01}
)
DRAWN = {
    "rejections": lambda ax: plot_rejections(rejections("power", "type1_error"), ax=ax),
    "designs": lambda ax: plot_designs(DESIGNS, quantity="power", ax=ax),
}


@pytest.mark.parametrize("name", DRAWN)
def test_labels_stand_within_a_plain_figure(name):
    figure, ax = plt.subplots()
    DRAWN[name](ax)
    figure.canvas.draw()
    boxes = [label.get_window_extent() for label in ax.get_yticklabels()]
    assert len(boxes) == 2
    assert min(box.x0 for box in boxes) >= 0
    assert "high" in ax.get_yticklabels()[0].get_text()
    assert "..." not in ax.get_yticklabels()[0].get_text()
    plt.close(figure)


@pytest.mark.parametrize("width", [1.5, 3.0])
def test_axes_of_a_small_figure_keep_some_room(width):
    figure, ax = plt.subplots(figsize=(width, 2))
    DRAWN["designs"](ax)
    assert 0.19 < ax.get_position().width < 0.7
    plt.close(figure)


def test_margins_of_a_figure_with_several_axes_are_left_alone():
    figure, axes = plt.subplots(1, 2)
    before = figure.subplotpars.left
    DRAWN["designs"](axes[0])
    assert figure.subplotpars.left == before
    plt.close(figure)


def test_margins_are_left_to_a_layout():
    figure = Figure(layout="constrained")
    ax = figure.subplots()
    before = figure.subplotpars.left
    DRAWN["designs"](ax)
    assert figure.subplotpars.left == before


LEGENDS = [
    (("power", "power"), [], "Power: share of 2,500 simulated trials that reject (%)"),
    (("type1_error",), [], "Type I error: share of 2,500 simulated trials that reject (%)"),
    (
        ("power", "type1_error"), ["power", "type I error"],
        "Share of 2,500 simulated trials that reject (%)",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("quantities", "legend", "label"), LEGENDS)
def test_one_quantity_is_named_on_the_axis_and_several_in_a_legend(quantities, legend, label):
    ax = plot_rejections(rejections(*quantities), ax=Figure().subplots())
    texts = [text.get_text() for shown in [ax.get_legend()] if shown for text in shown.get_texts()]
    assert texts == legend
    assert ax.get_xlabel() == label


ESTIMATES = pd.DataFrame(
    {"comparison": "active", "estimate": [-0.9, -0.5, 0.0, 0.4], "truth": [-0.5] * 4}
)


def test_estimates_are_named_by_their_scale():
    ax = plot_estimates(
        ESTIMATES, scale="difference of slopes (ml per year)", ax=Figure().subplots()
    )
    assert ax.get_xlabel() == (
        "Estimated difference of slopes (ml per year); dashes: mean, line: truth"
    )
    plain = plot_estimates(ESTIMATES, ax=Figure().subplots())
    assert plain.get_xlabel() == "Estimated effect; dashes: mean, line: truth"


def test_ratios_stand_below_their_logarithms():
    """exp(-0.5) = 0.61 and exp(0) = 1, by hand."""
    ax = plot_estimates(
        ESTIMATES, scale="log hazard ratio", ratio="hazard ratio", ax=Figure().subplots()
    )
    form = ax.xaxis.get_major_formatter()
    assert form(-0.5, None) == "-0.5\n0.61"
    assert form(0.0, None) == "0\n1"
    assert "hazard ratio below" in ax.get_xlabel()
