"""Stacked bars of verdicts, and the dots of replication probabilities: what is drawn."""

from __future__ import annotations

import pandas as pd
import pytest
from matplotlib.figure import Figure

from pmsstats.plots import plot_replication, plot_verdicts
from pmsstats.plots.replication import replication_height


@pytest.fixture
def verdicts():
    return pd.DataFrame(
        {
            "section": ["dgm", "wm", "wm", "wm", "own"],
            "verdict": ["contradicted", "reproduced", "reproduced", "not checked", "reproduced"],
        }
    )


@pytest.fixture
def findings():
    return pd.DataFrame(
        {
            "statement": ["a cost of $5", "b " * 60, "c", "d"],
            "design": ["20 PPMS; one visit"] * 4,
            "expected": ["effect", "no effect", "effect", "both"],
            "probability": [0.2, 0.9, float("nan"), 0.99],
            "mcse": [0.02, 0.01, float("nan"), 0.05],
        }
    )


def test_bars_count_findings_by_section_in_the_reviews_order(verdicts):
    ax = plot_verdicts(verdicts, ax=Figure().subplots(), origin="synthetic")
    names = [text.get_text() for text in ax.get_yticklabels()]
    assert names == ["White matter", "Deep grey matter", "own"]
    by_verdict = {c.get_label(): [bar.get_width() for bar in c] for c in ax.containers}
    assert list(by_verdict.values()) == [[2, 0, 1], [0, 1, 0], [1, 0, 0]]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "reproduced", "contradicted", "not checked",
    ]  # fmt: skip
    assert ax.get_title("right") == "synthetic data"


def test_dots_are_sorted_and_named_with_the_design(findings):
    ax = plot_replication(findings, ax=Figure().subplots())
    labels = [text.get_text() for text in ax.get_yticklabels()]
    assert [label[0] for label in labels] == ["d", "b", "a"]
    assert labels[2] == r"a cost of \$5"
    assert labels[1].endswith("...")
    assert [text.get_text() for text in ax.texts] == ["20 PPMS; one visit"] * 3
    dots = {c.lines[0].get_xdata()[0]: c.lines[0].get_ydata()[0] for c in ax.containers}
    assert dots == {20.0: 2, 90.0: 1, 99.0: 0}


def test_intervals_stay_between_none_and_all(findings):
    ax = plot_replication(findings, ax=Figure().subplots())
    bars = [segment[:, 0] for c in ax.containers for segment in c.lines[2][0].get_segments()]
    assert [pytest.approx(list(bar)) for bar in bars] == [
        [100 * (0.2 - 1.96 * 0.02), 100 * (0.2 + 1.96 * 0.02)],
        [100 * (0.9 - 1.96 * 0.01), 100 * (0.9 + 1.96 * 0.01)],
        [100 * (0.99 - 1.96 * 0.05), 100 * (0.99 + 0.01)],
    ]


def test_height_grows_with_the_findings():
    assert replication_height(126) - replication_height(26) == pytest.approx(30.0)
