"""The specification curve: estimates in rising order, intervals by side, choices below."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from pmsstats.plots import theme
from pmsstats.plots.specification_curve import plot_choices, plot_specification_curve
from pmsstats.plots.theme import MUTED, PALETTE

BLUE, RED = PALETTE[:2]
PIXELS = 1.0  # text is placed to whole pixels
CURVE = pd.DataFrame(
    {
        "rule": ["a", "b", "c", "d", "e"],
        "estimate": [0.9, 0.5, 1.6, np.nan, 0.7],
        "conf_low": [0.7, 0.4, 1.2, np.nan, 0.5],
        "conf_high": [1.2, 0.8, 2.1, np.nan, 0.95],
        "weeks": pd.Categorical(["12", "24", "12", "24", "12"], ["12", "24"], ordered=True),
        "base_line": ["fixed", "fixed", "roving", "roving", "roving"],
    }
)
OPTIONS = ("weeks", "base_line")


def drawn(data: pd.DataFrame = CURVE, size: tuple[float, float] = (6, 7), **kws):
    with theme():
        figure = Figure(figsize=size, layout="constrained")
        ax = figure.subplots()
        assert plot_specification_curve(data, ax=ax, **kws) is ax
        figure.draw_without_rendering()
    return ax


def lines(ax, gid):
    return [line for line in ax.lines if line.get_gid() == gid]


def many(*sizes: int) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """A grid of options with as many choices as told, and a rising estimate."""
    names = tuple(f"some_option_of_the_rule_{k}" for k in range(len(sizes)))
    rows = list(itertools.product(*(range(size) for size in sizes)))
    data = pd.DataFrame(
        {name: pd.Categorical([f"choice {row[k]}" for row in rows]) for k, name in enumerate(names)}
    )
    estimate = np.linspace(0.6, 1.1, len(rows))
    data["rule"] = [f"cdp12_{i:04d}" for i in range(len(rows))]
    return data.assign(estimate=estimate, conf_low=estimate * 0.8, conf_high=estimate / 0.8), names


def test_estimates_rise_and_are_coloured_by_their_interval():
    ax = drawn()
    found = {to_hex(line.get_color()): line.get_xydata().tolist() for line in lines(ax, "estimate")}
    assert found == {
        BLUE: [[1, 0.5], [2, 0.7]],
        RED: [[4, 1.6]],
        MUTED: [[3, 0.9]],
    }


def test_intervals_are_those_of_the_frame():
    ends = {to_hex(line.get_color()): line.get_ydata() for line in lines(drawn(), "interval")}
    assert ends[BLUE][~np.isnan(ends[BLUE])].tolist() == [0.4, 0.8, 0.5, 0.95]
    assert ends[MUTED][:2].tolist() == [0.7, 1.2]


def test_legend_counts_the_intervals():
    labels = [text.get_text() for text in drawn(primary="a").get_legend().get_texts()]
    assert labels == [
        "95 % CI below 1 (n = 2)",
        "95 % CI above 1 (n = 1)",
        "95 % CI includes 1 (n = 1)",
        "primary definition (a)",
    ]


def test_definitions_without_an_estimate_are_counted():
    words = drawn().get_xlabel().replace("\n", " ")
    assert words == "4 definitions, lowest estimate first; 1 more without an estimate"


def test_the_primary_definition_is_marked():
    ax = drawn(primary="a", options=OPTIONS)
    line, mark = lines(ax, "primary")
    assert line.get_xdata()[0] == 3
    assert mark.get_xydata().tolist() == [[3, 0.9]]
    below = ax.child_axes[0]
    assert lines(below, "primary")[0].get_xdata()[0] == 3


@pytest.mark.parametrize("primary", ["d", "nobody", None])
def test_a_primary_definition_without_estimate_is_not_marked(primary):
    ax = drawn(primary=primary)
    assert lines(ax, "primary") == []
    assert len(ax.get_legend().get_texts()) == 3


def test_choices_stand_below_their_estimates():
    ax = drawn(options=OPTIONS)
    below = ax.child_axes[0]
    assert [t.get_text() for t in below.texts if t.get_gid() == "option"] == ["weeks", "base line"]
    labels = [t.get_text() for t in below.get_yticklabels()]
    rows = dict(zip(below.get_yticks(), labels, strict=True))
    assert rows == {1: "12", 2: "24", 4: "fixed", 5: "roving"}
    marks = {
        (rows[y], x) for line in lines(below, "choice") for x, y in line.get_xydata() if y in rows
    }
    # From the lowest estimate: b, e, a, c.
    assert marks == {
        ("24", 1), ("12", 2), ("12", 3), ("12", 4),
        ("fixed", 1), ("roving", 2), ("fixed", 3), ("roving", 4),
    }  # fmt: skip
    assert ax.get_xlabel() == ""
    assert below.get_xlabel().startswith("4 definitions, lowest estimate first")


def test_marks_have_the_colour_of_their_estimate():
    below = drawn(options=OPTIONS).child_axes[0]
    by_rank = {x: to_hex(m.get_color()) for m in lines(below, "choice") for x in m.get_xdata()}
    assert by_rank == {1: BLUE, 2: BLUE, 3: MUTED, 4: RED}


def test_choices_alone_are_the_same_rows():
    ax = Figure().subplots()
    assert plot_choices(CURVE, options=OPTIONS, ax=ax) is ax
    assert [t.get_text() for t in ax.get_yticklabels()] == ["12", "24", "fixed", "roving"]


def test_choices_are_as_wide_as_the_curve_and_touch_nothing():
    data, options = many(3, 2, 4)
    ax = drawn(data, options=options, size=(7, 8))
    below = ax.child_axes[0]
    upper, lower = ax.get_window_extent(), below.get_window_extent()
    assert (lower.x0, lower.x1) == pytest.approx((upper.x0, upper.x1), abs=PIXELS)
    assert lower.y1 < upper.y0
    assert below.get_tightbbox().y0 >= -PIXELS
    assert ax.get_tightbbox().x0 >= -PIXELS
    assert below.get_xlim() == ax.get_xlim()


def test_rows_keep_their_height_in_a_tight_bounding_box(tmp_path):
    data, options = many(3, 2, 4)
    heights = []
    figure = Figure(figsize=(5, 4))  # lower than curve and choices
    ax = figure.subplots()
    plot_specification_curve(data, options=options, ax=ax)
    below = ax.child_axes[0]
    place = below.get_axes_locator()

    def recorded(axes, renderer):
        heights.append(figure.transFigure.transform_bbox(place(axes, renderer)).height / figure.dpi)
        return place(axes, renderer)

    below.set_axes_locator(recorded)
    figure.savefig(tmp_path / "curve.png", bbox_inches="tight")
    assert heights
    assert heights == pytest.approx([heights[0]] * len(heights))


@pytest.mark.parametrize("sizes", [(3, 2, 4), (2, 4, 5, 5), (3, 3, 2, 5, 4, 2, 2)])
@pytest.mark.parametrize("width", [7.4, 3.55])
def test_rows_of_choices_never_overlap(sizes, width):
    data, options = many(*sizes)
    ax = drawn(data, options=options, size=(width, 10), primary="cdp12_0003")  # else it warns
    below = ax.child_axes[0]
    texts = [*below.get_yticklabels(), *(t for t in below.texts if t.get_gid() == "option")]
    boxes = sorted((text.get_window_extent() for text in texts), key=lambda box: box.y0)
    assert len(boxes) == sum(sizes) + len(sizes)
    assert all(low.y1 <= high.y0 + 2 * PIXELS for low, high in itertools.pairwise(boxes))
    assert max(box.x1 for box in boxes) <= below.get_window_extent().x1 + PIXELS


def test_crowded_marks_are_bars_that_fill_their_column():
    data, options = many(3, 3, 2, 5, 4, 2, 2)
    ax = drawn(data, options=options[:1], size=(7.4, 6))
    below = ax.child_axes[0]
    marks = lines(below, "choice")
    assert {line.get_marker() for line in marks} == {"None"}
    width = below.get_window_extent().width / ax.figure.dpi * 72 / len(data)
    assert all(width <= line.get_linewidth() < 3 * width for line in marks)
    heights = marks[0].get_ydata()[:2]
    assert heights[1] - heights[0] == pytest.approx(0.76)
    assert sum(len(line.get_xdata()) // 3 for line in marks) == 1440


def test_axis_is_logarithmic_with_plain_numbers():
    ax = drawn()
    assert ax.get_yscale() == "log"
    labels = [tick.get_text() for tick in ax.get_yticklabels()]
    assert labels == [f"{float(label):g}" for label in labels]
    assert {"0.5", "1", "2"} <= set(labels)
    low, high = ax.get_ylim()
    assert low < 0.4
    assert high > 2.1


def test_absurd_interval_ends_are_cut_by_the_axis():
    ax = drawn(CURVE.assign(conf_high=[1.2, 0.8, 900.0, np.nan, 0.95]))
    assert ax.get_ylim()[1] < 10


def test_shares_are_in_percent_without_a_reference():
    data = CURVE.assign(
        estimate=[0.1, 0.2, 0.3, 0.4, 0.5], conf_low=0.05, conf_high=[0.2, 0.3, 0.4, 0.5, 0.6]
    )
    ax = drawn(data, reference=None, log=False, percent=True, y_label="Subjects with the event")
    assert {to_hex(line.get_color()) for line in lines(ax, "estimate")} == {BLUE}
    assert ax.get_yticklabels()[1].get_text().endswith("%")
    assert ax.get_ylim()[0] >= 0
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["95 % CI (n = 5)"]


def test_without_options_definitions_are_named_where_there_is_room():
    assert [t.get_text() for t in drawn().get_xticklabels()] == ["b", "e", "a", "c"]
    crowded, _ = many(10, 10)
    assert drawn(crowded).get_xticklabels() == []


def test_synthetic_data_are_stamped():
    assert drawn(origin="synthetic").get_title(loc="right") == "synthetic data"


def test_nothing_estimable_is_drawn_as_nothing():
    ax = drawn(CURVE.assign(estimate=np.nan), options=OPTIONS, primary="a")
    assert lines(ax, "estimate") == []
    assert "0 definitions, lowest estimate first; 5 more without an estimate" in (
        ax.child_axes[0].get_xlabel().replace("\n", " ")
    )


def test_names_shrink_before_they_go():
    data, _ = many(4, 10)
    large, small, none = (drawn(data, size=(width, 5)) for width in (10, 5, 3))
    sizes = [ax.get_xticklabels()[0].get_fontsize() for ax in (large, small)]
    assert sizes[0] > sizes[1] >= 5
    for ax in (large, small):
        boxes = [text.get_window_extent() for text in ax.get_xticklabels()]
        assert len(boxes) == 40
        assert all(a.x1 <= b.x0 + 2 * PIXELS for a, b in itertools.pairwise(boxes))
        assert ax.get_tightbbox().y0 >= -PIXELS
    assert none.get_xticklabels() == []
    words = none.get_xlabel().replace("\n", " ")
    assert words == "40 definitions, lowest estimate first, too many here to name each"


def test_labels_stand_for_the_rules():
    ax = drawn(CURVE.assign(label=["A", "B", "C", "D", "E"]))
    assert [t.get_text() for t in ax.get_xticklabels()] == ["B", "E", "A", "C"]


def test_estimates_from_few_events_are_pale_and_do_not_stretch_the_axis():
    few = pd.DataFrame({"rule": ["f"], "estimate": [3.0], "conf_low": [0.01], "conf_high": [900.0]})
    without = drawn().get_ylim()
    data = pd.concat([CURVE.assign(few_events=False), few.assign(few_events=True)])
    ax = drawn(data, few_label="fewer than 5 events")
    colours = {to_hex(line.get_color()): len(line.get_xdata()) for line in lines(ax, "estimate")}
    assert colours == {BLUE: 2, RED: 1, MUTED: 1, "#aeb7be": 1}
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels[-1] == "fewer than 5 events (n = 1)"
    low, high = ax.get_ylim()
    assert 3.0 < high < 12
    assert without[0] / 5 < low < without[0]
