"""Hazards over time: one line and band per curve, on a logarithmic axis."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from pmsstats.plots.hazards import plot_hazards


def curves(*labels: tuple[str, str]) -> pd.DataFrame:
    """Return one curve per cause and stratum."""
    time = np.array([1.0, 2.0, 3.0])
    made = []
    for k, (cause, stratum) in enumerate(labels):
        hazard = 0.1 * (k + 1) * time
        made.append(
            pd.DataFrame(
                {
                    "cause": cause,
                    "stratum": stratum,
                    "time": time,
                    "hazard": hazard,
                    "conf_low": hazard / 2,
                    "conf_high": hazard * 2,
                }
            )
        )
    return pd.concat(made)


def test_lines_and_bands_hold_the_numbers() -> None:
    figure, ax = plt.subplots()
    plot_hazards(curves(("death", "A"), ("death", "B")), time="year", ax=ax, origin="synthetic")
    lines = [line for line in ax.lines if line.get_gid() == "hazard"]
    np.testing.assert_allclose(lines[1].get_ydata(), [0.2, 0.4, 0.6])
    band = ax.collections[0].get_paths()[0].vertices[:, 1]
    np.testing.assert_allclose([band.min(), band.max()], [0.05, 0.6])
    assert ax.get_yscale() == "log"
    assert ax.get_xlabel() == "year"
    assert "Hazard per year" in ax.get_ylabel()
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["death, A", "death, B"]
    plt.close(figure)


def test_one_curve_needs_no_legend() -> None:
    figure, ax = plt.subplots()
    plot_hazards(curves(("event", "")), time="year", ax=ax)
    assert ax.get_legend() is None
    plt.close(figure)
