"""Closed forms over a grid: every point is the single answer, and none is lost in silence."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from properties import assert_result_contract

from pmsstats.errors import DesignError
from pmsstats.power.change import power_change, sample_size_change
from pmsstats.power.grid import power_grid
from pmsstats.power.proportion import sample_size_proportion


@pytest.fixture
def ax():
    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)


def curves(ax) -> list:
    return [line for line in ax.lines if line.get_gid() == "curve"]


def test_points_are_single_answers(ax):
    grid = power_grid(
        power_change, along={"n": (40, 80, 160), "effect": (0.3, 0.6)}, sd=1.0, effect_unit="ml"
    )
    rows = grid.table()
    assert rows.columns.tolist() == ["n", "effect", "power", "value"]
    for row in rows.itertuples():
        alone = power_change(n=row.n, effect=row.effect, sd=1.0)
        assert row.power == alone.power == row.value
    assert len(rows) == 6
    grid.plot(ax=ax)
    drawn = {tuple(line.get_ydata()) for line in curves(ax)}
    assert drawn == {tuple(rows.loc[rows["effect"] == e, "power"]) for e in (0.3, 0.6)}
    assert ax.get_xlabel() == "Subjects in all arms"
    assert [t.get_text() for t in ax.get_legend().get_texts()] == [
        "Effect (ml) 0.3",
        "Effect (ml) 0.6",
    ]


def test_contours_need_a_full_grid_of_numbers(ax):
    grid = power_grid(
        power_change, along={"n": (20, 60, 160, 320), "effect": (0.2, 0.4, 0.6)}, sd=1.0
    )
    assert grid.plot(ax=ax, kind="contour") is ax
    assert ax.get_ylabel() == "Effect"
    assert "Lines of equal power" in ax.get_title(loc="left")
    line = power_grid(power_change, along={"n": (20, 60)}, sd=1.0, effect=0.5)
    with pytest.raises(DesignError, match="only `n` does"):
        line.plot(ax=ax, kind="contour")
    words = power_grid(
        power_change, along={"n": (20, 60), "method": ("t", "normal")}, sd=1.0, effect=0.5
    )
    with pytest.raises(DesignError, match="`method` holds 't'"):
        words.plot(ax=ax, kind="contour")
    with pytest.raises(DesignError, match="`kind` must be one of"):
        line.plot(ax=ax, kind="surface")


def test_sample_sizes_over_two_arguments(ax):
    grid = power_grid(
        sample_size_change, along={"effect": (0.4, 0.5, 0.6), "sd": (1.0, 1.2)}, power=0.9
    )
    assert grid.solved_for == "n"
    assert "Subjects in all arms from" in grid.headline()
    grid.plot(ax=ax, kind="contour")
    assert "subjects in all arms" in ax.get_title(loc="left")


def test_designs_that_cannot_be_are_counted_with_their_reason():
    grid = power_grid(sample_size_change, along={"effect": (0.0, 0.5), "power": (0.02, 0.8)}, sd=1)
    rows = grid.table()
    assert rows["n"].isna().tolist() == [True, True, True, False]
    excluded = grid.excluded()
    assert excluded["n"].sum() == 3
    assert excluded["reason"].str.contains("no number of subjects will do").any()
    assert "3 of 4 designs cannot be carried out" in grid.headline()


def test_effects_solved_for_are_drawn_with_their_unit(ax):
    grid = power_grid(
        sample_size_change, along={"n": (40, 80)}, solve="effect", sd=1.0, effect_unit="ml"
    )
    grid.plot(ax=ax)
    assert ax.get_ylabel() == "Effect (ml)"
    assert grid.table()["effect"].is_monotonic_decreasing


def test_answer_keeps_the_contract():
    assert_result_contract(
        power_grid(sample_size_proportion, along={"treated": (0.2, 0.25)}, reference=0.4)
    )
    assert_result_contract(
        power_grid(sample_size_change, along={"effect": (0.0, 0.5), "sd": (1.0, 2.0)})
    )


@pytest.mark.parametrize(
    ("along", "fixed", "message"),
    [
        ({}, {}, "one or two arguments"),
        ({"n": (1,), "sd": (1,), "effect": (1,)}, {}, "one or two arguments"),
        ({"n": ()}, {}, "no values of `n`"),
        ({"n": (20,)}, {"n": 30}, "is fixed to 30 too"),
        ({"n": (1,)}, {"sd": 1.0, "effect": 1.0}, "No design of the grid can be carried out"),
    ],
)
def test_bad_grids_are_refused(along, fixed, message):
    with pytest.raises(DesignError, match=message):
        power_grid(power_change, along=along, **fixed)


def test_rows_are_a_fresh_frame():
    grid = power_grid(power_change, along={"n": (20, 60)}, sd=1.0, effect=0.5)
    grid.table()["power"] = 0.0
    assert isinstance(grid.table(), pd.DataFrame)
    assert grid.table()["power"].min() > 0
