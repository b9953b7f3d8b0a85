"""What a multiverse shows: tables, words, figures, plain types."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure
from properties import assert_result_contract
from statsmodels.stats.proportion import proportion_confint

from pmsstats.errors import DesignError
from pmsstats.multiverse import derive_multiverse


def test_contract(multiverse):
    assert_result_contract(multiverse)


def test_table_is_one_row_per_definition_with_its_options(multiverse, grid):
    table = multiverse.table()
    assert table["rule"].tolist() == [rule.name for rule in grid]
    assert list(table.columns) == [
        "rule", "confirm_weeks", "baseline", "confirm_intermediate", "relapse_to_onset_days",
        "n_at_risk", "n_events", "event_share", "km_share", "median_years", "median_kappa",
        "change", "term", "estimate", "std_error", "statistic", "p_value", "conf_low", "conf_high",
        "hazard_ratio", "hazard_ratio_low", "hazard_ratio_high", "few_events", "note", "same_as",
    ]  # fmt: skip


def test_headline_counts_what_the_table_holds(multiverse):
    table, words = multiverse.table(), multiverse.headline()
    below = (table["hazard_ratio_high"] < 1).sum()
    assert words.startswith("In synthetic data, 24 definitions on 160 subjects: ")
    assert f", {below} of 24 intervals favour active, 0 placebo; share" in words
    low, middle, high = table["hazard_ratio"].quantile([0, 0.5, 1])
    assert (
        f"hazard ratio of active vs placebo {low:.2f} to {high:.2f} (median {middle:.2f})" in words
    )
    shares = [100 * f for f in table["event_share"].quantile([0, 1, 0.5])]
    assert "event {:.1f} to {:.1f} % (median {:.1f} %);".format(*shares) in words
    assert f"{multiverse.influence()['option'].iloc[0]} moves the hazard ratio most" in words


def test_kappa_matrix_is_named_and_symmetric(multiverse):
    matrix = multiverse.kappa()
    assert list(matrix.index) == list(matrix.columns) == multiverse.table()["rule"].tolist()
    np.testing.assert_array_equal(matrix, matrix.T)
    others = matrix.to_numpy()[0, 1:]
    assert multiverse.definitions["median_kappa"][0] == pytest.approx(np.median(others))


def test_plain_types_hold_every_table(multiverse):
    plain = multiverse.to_dict()
    assert plain["schema"] == "multiverse_result/1"
    assert [len(plain[k]) for k in ("rules", "options", "definitions", "groups", "ratios")] == [
        24, 24, 24, 48, 24,
    ]  # fmt: skip
    assert plain["rules"][0]["type"] == "ProgressionRule"
    assert plain["influence"][0]["option"] == multiverse.influence()["option"][0]


def test_figure_shows_the_hazard_ratios(multiverse):
    ax = multiverse.plot(ax=Figure(figsize=(7, 8)).subplots())
    drawn = sorted(y for line in ax.lines if line.get_gid() == "estimate" for y in line.get_ydata())
    assert drawn == sorted(multiverse.ratios["hazard_ratio"])
    assert ax.get_ylabel() == "Hazard ratio, active vs placebo"
    assert ax.get_title(loc="right") == "synthetic data"
    names = [t.get_text() for t in ax.child_axes[0].texts if t.get_gid() == "option"]
    assert names == ["confirm weeks", "baseline", "confirm intermediate", "relapse to onset days"]


def test_figure_of_shares_has_wilsons_intervals(multiverse):
    ax = multiverse.plot(ax=Figure().subplots(), quantity="event_share", options=())
    ends = next(line for line in ax.lines if line.get_gid() == "interval").get_ydata()
    counts = multiverse.definitions.sort_values(["event_share", "rule"])
    low, high = proportion_confint(counts["n_events"], counts["n_at_risk"], method="wilson")
    np.testing.assert_allclose(np.reshape(ends, (-1, 3))[:, :2], np.column_stack([low, high]))
    assert ax.get_ylabel() == "Subjects with the event"


def test_without_axes_the_current_ones_are_used(multiverse):
    figure, ax = plt.subplots()
    assert multiverse.plot() is ax
    plt.close(figure)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda r: r.plot(quantity="kappa"), "`quantity` must be 'hazard_ratio' or 'event_share'"),
        (lambda r: r.plot(term="active vs plcebo"), "Did you mean 'active vs placebo'"),
        (lambda r: r.influence(term="age"), "`term` must be one of 'active vs placebo'"),
        (lambda r: r.events("cdp13"), "No definition is called 'cdp13'. Did you mean"),
    ],
)
def test_unknown_names_are_refused(multiverse, call, message):
    with pytest.raises(DesignError, match=message):
        call(multiverse)


def test_no_ratio_to_draw_without_a_comparison(trial):
    found = derive_multiverse(trial, ["cdp12", "cdp24"], by=None)
    with pytest.raises(DesignError, match=r"No hazard ratio was asked for \(by=None\)"):
        found.plot(ax=Figure().subplots(), quantity="hazard_ratio")
