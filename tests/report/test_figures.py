"""Figures of the report: round times, every group, room for every label."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pmsstats.report.figures import forest_figure, risk_years, survival_figure, trajectory_figure

WORDS = {"origin": "real", "alt": "alt", "caption": "caption"}


@pytest.mark.parametrize(
    ("longest", "n_most", "expected"),
    [
        (4.4, 6, [0, 1, 2, 3, 4]),
        (2.0, 5, [0, 0.5, 1, 1.5, 2]),
        (0.9, 5, [0, 0.25, 0.5, 0.75]),
        (14.0, 5, [0, 5, 10]),
        (0.0, 5, [0]),
    ],
)
def test_times_of_the_table_at_risk_are_round(longest, n_most, expected):
    assert risk_years(longest, n_most) == pytest.approx(expected, abs=0)


def trajectories(n_groups: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    levels = [f"group {i}" for i in range(n_groups)]
    parts = [
        pd.DataFrame({"subject_id": f"S{i}", "year": [0.0, 1.0], "value": [1.0 + i, 2.0 + i]})
        for i in range(n_groups)
    ]
    data = pd.concat(part.assign(group=level) for part, level in zip(parts, levels, strict=True))
    data["group"] = pd.Categorical(data["group"], levels, ordered=True)
    fitted = data.rename(columns={"value": "estimate"}).assign(
        conf_low=lambda f: f["estimate"] - 1, conf_high=lambda f: f["estimate"] + 1
    )
    return data, fitted


@pytest.mark.parametrize("n_groups", [1, 2, 3, 4, 7, 9])
def test_every_group_is_drawn_in_its_colour(n_groups):
    data, fitted = trajectories(n_groups)
    figure = trajectory_figure(data, fitted, y_label="Volume (ml)", scale_steps=(), **WORDS)
    for svg in (figure.wide, figure.narrow):
        used = [i for i in range(1, 8) if f"var(--series-{i}," in svg]
        assert used == list(range(1, min(n_groups, 7) + 1))


@pytest.mark.parametrize(("n_groups", "n_rows"), [(4, 2), (5, 2), (7, 3)])
def test_panels_fill_their_rows(n_groups, n_rows):
    data, fitted = trajectories(n_groups)
    figure = trajectory_figure(data, fitted, y_label="Volume (ml)", scale_steps=(), **WORDS)
    box = figure.wide.split('viewBox="')[1].split('"')[0].split()
    assert float(box[3]) / 72 == pytest.approx(0.5 + 2.05 * n_rows, abs=0.1)


def heights(name_length: int, n_groups: int) -> tuple[float, float]:
    """Return the height of the page's and the phone's figure, over their width."""
    levels = [f"{i}" * name_length for i in range(n_groups)]
    curves = pd.DataFrame(
        {"group": np.repeat(levels, 2), "duration": [0.0, 3.0] * n_groups, "survival": 1.0,
         "conf_low": 1.0, "conf_high": 1.0, "n": 5}
    )  # fmt: skip

    def at_risk(years):
        return pd.DataFrame(
            [(g, y, 5) for g in levels for y in years], columns=["group", "duration", "n_at_risk"]
        )

    figure = survival_figure(curves, at_risk, name="progression", y_label="Free", **WORDS)
    boxes = [
        svg.split('viewBox="')[1].split('"')[0].split() for svg in (figure.wide, figure.narrow)
    ]
    return tuple(float(box[3]) / float(box[2]) for box in boxes)


def test_figures_grow_with_their_table():
    small, large = heights(3, 2), heights(60, 7)
    assert large[0] > small[0]
    assert large[1] > small[1]
    assert max(small) < 1.6  # no empty paper is left around a small one


def test_a_forest_without_estimates_can_be_drawn():
    rows = pd.DataFrame({"label": ["a"], "estimate": [np.nan], "conf_low": np.nan,
                         "conf_high": np.nan, "n": "0 subjects"})  # fmt: skip
    assert forest_figure(rows, x_label="Hazard ratio", **WORDS).wide.startswith("<svg")
