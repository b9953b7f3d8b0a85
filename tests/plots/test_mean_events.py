"""The figure of mean numbers of events: what its artists show."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from pmsstats.plots.mean_events import plot_mean_events

CURVES = pd.DataFrame(
    {
        "group": ["active"] * 3 + ["placebo"] * 2,
        "duration": [0.0, 0.5, 1.5, 0.0, 1.0],
        "mean_events": [0.0, 0.2, 0.5, 0.0, 0.4],
        "conf_low": [0.0, 0.1, 0.3, 0.0, 0.2],
        "conf_high": [0.0, 0.4, 0.8, 0.0, 0.8],
        "n": [30] * 3 + [28] * 2,
        "until": [2.0] * 3 + [1.8] * 2,
    }
)


def test_steps_run_to_the_end_of_follow_up() -> None:
    _, ax = plt.subplots()
    assert plot_mean_events(CURVES, ax=ax, origin="synthetic") is ax
    lines = [line for line in ax.lines if line.get_gid() == "mean_events"]
    assert len(lines) == 2
    np.testing.assert_allclose(lines[0].get_xdata(), [0, 0.5, 1.5, 2.0])
    np.testing.assert_allclose(lines[0].get_ydata(), [0, 0.2, 0.5, 0.5])
    np.testing.assert_allclose(lines[1].get_xdata(), [0, 1.0, 1.8])
    assert ax.get_xlabel() == "Years from baseline"
    assert ax.get_ylabel() == "Mean number of events per subject"
    shown = " ".join(text.get_text() for text in ax.get_legend().get_texts())
    assert "n = 30" in shown
    assert "n = 28" in shown
    plt.close("all")


def test_curves_without_sizes_end_at_their_last_event() -> None:
    _, ax = plt.subplots()
    plot_mean_events(CURVES.drop(columns=["n", "until"]), ax=ax)
    line = next(line for line in ax.lines if line.get_gid() == "mean_events")
    assert line.get_xdata()[-1] == 1.5
    plt.close("all")
