"""The overview of replication: every finding a dot, in the row of its section."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from pmsstats.plots.replication_overview import plot_replication_overview

FINDINGS = pd.DataFrame(
    {
        "finding": ["a", "b", "c", "d", "e"],
        "section": ["cord", "wm", "cord", "outlook", "wm"],
        "expected": ["effect", "effect", "no effect", "both", "effect"],
        "probability": [0.1, 0.99, 0.27, 0.5, np.nan],
        "source": ["read", "read", "visits assumed", "read", "read"],
    }
)


def _drawn(**kws):
    return plot_replication_overview(FINDINGS, ax=Figure().subplots(), **kws)


def test_each_known_finding_is_a_dot_at_its_probability():
    ax = _drawn()
    ax.figure.draw_without_rendering()
    offsets = np.concatenate([c.get_offsets() for c in ax.collections])
    assert sorted(offsets[:, 0].round(6)) == [10.0, 27.0, 50.0, 99.0]


def test_dots_of_assumed_designs_are_empty():
    ax = _drawn()
    ax.figure.draw_without_rendering()
    filled = {
        round(float(x), 6): tuple(c.get_facecolors()[i][:3]) != (1.0, 1.0, 1.0)
        for c in ax.collections
        for i, (x, _) in enumerate(c.get_offsets())
    }
    assert filled == {10.0: True, 27.0: False, 50.0: True, 99.0: True}


def test_rows_are_the_sections_that_have_findings_in_the_order_of_the_review():
    labels = [t.get_text() for t in _drawn().get_yticklabels()]
    assert labels == ["White matter", "Spinal cord", "Outlook"]


def test_named_findings_are_written_and_others_are_not():
    texts = [t.get_text() for t in _drawn(named={"c": "cord in 18", "none": "nobody"}).texts]
    assert texts == ["cord in 18"]


def test_synthetic_is_stamped():
    assert _drawn(origin="synthetic").get_title("right") == "synthetic data"
    assert _drawn().get_title("right") == ""
