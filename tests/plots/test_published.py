"""Published effects among simulated ones: what is drawn."""

from __future__ import annotations

import pandas as pd
import pytest
from matplotlib.figure import Figure

from pmsstats.plots.published import plot_published

HALF = 1.959963984540054


def findings(**changes: object) -> pd.DataFrame:
    """One row: mean 1 and standard error 0.5 of the simulated trials, published effect 2."""
    row = {
        "what": "brain volume", "published": 2.0, "published_low": 1.5, "published_high": 2.5,
        "simulated": 1.0, "simulated_low": 1 - 0.5 * HALF, "simulated_high": 1 + 0.5 * HALF,
        "found": "better", "share": 0.75,
    }  # fmt: skip
    return pd.DataFrame([row | changes])


def with_gid(ax, gid):
    return [artist for artist in ax.get_children() if artist.get_gid() == gid]


def draw(frame, width=7.4, **kws):
    return plot_published(frame, ax=Figure(figsize=(width, 3.2)).subplots(), **kws)


def test_effect_and_interval_are_in_standard_errors_of_the_simulated_ones():
    ax = draw(findings(), origin="synthetic")
    (effect,) = with_gid(ax, "effect")
    assert list(effect.get_xdata()) == pytest.approx([2.0])
    (interval,) = with_gid(ax, "interval")
    assert list(interval.get_xdata()) == pytest.approx([1.0, 3.0])
    assert ax.patches[0].get_extents().transformed(ax.transData.inverted()).x1 == pytest.approx(
        HALF
    )
    assert ax.get_title("right") == "synthetic data"


def test_label_stands_above_and_conclusion_below():
    ax = draw(findings())
    assert [t.get_text() for t in ax.texts] == [
        "brain volume", "paper: better, as 75% of simulations"
    ]  # fmt: skip
    assert [t.get_va() for t in ax.texts] == ["bottom", "top"]
    assert ax.get_xlabel().endswith("(band: 95 % of simulated trials)")


@pytest.mark.parametrize(("published", "marker", "x"), [(9.0, ">", 4.0), (-9.0, "<", -4.0)])
def test_effect_beyond_the_axis_ends_in_an_arrow(published, marker, x):
    row = findings(published=published, published_low=published - 1, published_high=published + 1)
    ax = draw(row)
    (effect,) = with_gid(ax, "effect")
    assert (effect.get_marker(), effect.get_xdata()[0]) == (marker, x)
    (interval,) = with_gid(ax, "interval")
    assert list(interval.get_xdata()) == [x, x]


def test_effect_without_an_interval_is_a_point():
    ax = draw(findings(published_low=float("nan"), published_high=float("nan")))
    assert len(with_gid(ax, "effect")) == 1
    assert not with_gid(ax, "interval")


NOTHING = {
    "no number printed": {"published": float("nan")},
    "no spread of simulated trials": {"simulated_low": 1.0, "simulated_high": 1.0},
}


@pytest.mark.parametrize("why", NOTHING)
def test_says_why_there_is_no_effect(why):
    ax = draw(findings(**NOTHING[why]))
    (text,) = with_gid(ax, "none")
    assert text.get_text() == why
    assert not with_gid(ax, "effect")


def test_trials_without_an_answer_have_no_spread():
    nan = float("nan")
    ax = draw(findings(simulated=nan, simulated_low=nan, simulated_high=nan))
    assert with_gid(ax, "none")[0].get_text() == "no spread of simulated trials"


def test_rows_stand_from_the_top():
    ax = draw(pd.concat([findings(), findings(what="second", published=1.0)], ignore_index=True))
    assert [e.get_ydata()[0] for e in with_gid(ax, "effect")] == [0, 1]
    assert ax.get_ylim() == (1.5, -0.5)


@pytest.mark.parametrize("width", [7.4, 3.55])
def test_texts_stay_within_the_axes(width):
    long = findings(what="central cerebral volume in the first year: more loss on lamotrigine",
                    found="no difference", share=1.0)  # fmt: skip
    ax = draw(long, width)
    ax.figure.draw_without_rendering()
    box = ax.get_window_extent()
    assert len(ax.texts) == 2
    for text in ax.texts:
        extent = text.get_window_extent()
        assert box.x0 - 1 <= extent.x0
        assert extent.x1 <= box.x1 + 1
        assert not text.get_text().endswith("...")


def test_label_as_markup_is_text():
    ax = draw(findings(what="$x$"))
    assert ax.texts[0].get_text() == r"\$x\$"
