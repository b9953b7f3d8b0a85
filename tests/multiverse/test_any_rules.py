"""Definitions that are no grid: presets that lack data, twins, improvements, few events."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from properties import assert_result_contract

from pmsstats.cohort import Cohort
from pmsstats.endpoints import (
    PRESETS,
    AbsoluteThreshold,
    CompositeRule,
    RecordedEventRule,
    RelapseEventRule,
    derive_endpoint,
    progression_rule,
)
from pmsstats.endpoints.derivation.presets_for import presets_for
from pmsstats.errors import DesignError, SchemaError
from pmsstats.multiverse import MultiverseResult, derive_multiverse, rule_grid
from pmsstats.plots import plot_forest

CDP12, CDI12 = progression_rule("cdp12"), progression_rule("cdi12")
TWIN = replace(CDP12, name="ours", label="our endpoint", note="the same")


@pytest.fixture(scope="module")
def presets(trial: Cohort) -> MultiverseResult:
    """All presets on a trial that has the EDSS alone."""
    return derive_multiverse(trial, list(PRESETS), on_missing="leave_out")


# --- what the data do not have -------------------------------------------------------------------


def test_presets_without_their_measure_are_listed(trial, presets):
    table = presets_for(trial).set_index("name")
    lost = presets.left_out.set_index("rule")["reason"]
    derived = presets.definitions["rule"].tolist()
    assert set(derived) | set(lost.index) == set(PRESETS)
    assert [name for name in table.index if table.loc[name, "is_derivable"]] == derived
    assert "'t25fw_s'" in lost["t25fw20"]
    assert len(derived) > 10
    assert f"({len(lost)} more left out)" in presets.headline()
    assert_result_contract(presets)


def test_those_that_are_left_change_nothing(trial, presets):
    some = ["cdp12", "cdp24", "pira_mueller2023"]
    alone = derive_multiverse(trial, some).table().set_index("rule")
    columns = ["n_at_risk", "n_events", "estimate", "std_error", "change"]
    ours = presets.table().set_index("rule").loc[some, columns]
    pd.testing.assert_frame_equal(ours, alone[columns])


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_all_in_the_same_order_whatever_the_threads(trial, presets, n_jobs):
    again = derive_multiverse(trial, list(PRESETS), on_missing="leave_out", n_jobs=n_jobs)
    pd.testing.assert_frame_equal(again.table(), presets.table())
    pd.testing.assert_frame_equal(again.left_out, presets.left_out)


def test_of_a_grid_the_options_are_listed_as_well(trial):
    grid = rule_grid(
        "cdp12",
        outcome=["edss", "sdmt"],
        confirm_weeks=[12, None],
        sustain_days=[0, 90],
        threshold=[AbsoluteThreshold(change=1.0)],
    )
    found = derive_multiverse(trial, grid, on_missing="leave_out")
    assert found.options["outcome"].tolist() == ["edss"] * 3
    lost = found.left_out
    assert list(lost.columns) == [
        "rule", "outcome", "confirm_weeks", "sustain_days", "threshold", "reason",
    ]  # fmt: skip
    assert lost["rule"].ne("").tolist() == [True] * 3 + [False] * 2
    assert lost["outcome"].tolist() == ["sdmt"] * 3 + ["edss", "sdmt"]
    assert lost["reason"][:3].str.contains("no measure 'sdmt'").all()
    assert "3 definitions (3 more left out)" in found.headline()
    assert_result_contract(found)


def test_by_default_they_are_an_error(trial):
    with pytest.raises(SchemaError, match="t25fw_s"):
        derive_multiverse(trial, ["cdp12", "t25fw20"])


@pytest.mark.parametrize(
    ("rules", "options", "message"),
    [
        (["t25fw20", "sdmt4"], {}, "under any of the 2 definitions.*The first says.*'t25fw_s'"),
        (["cdp12", "sdmt4"], {"primary": "sdmt4"}, "`primary` is 'sdmt4', which cannot be derived"),
        (["cdp12", "cdp24"], {"on_missing": "drop"}, "`on_missing` must be 'raise' or 'leave_out'"),
        (["cdp12", replace(CDP12, name="drawn", impute_last_visit=0.5)], {}, "seed"),
        (["cdp12", CompositeRule(name="either", parts=(
            replace(CDP12, impute_last_visit=0.5), RelapseEventRule()))], {}, "seed"),
    ],
)  # fmt: skip
def test_leaving_out_does_not_hide_other_mistakes(trial, rules, options, message):
    with pytest.raises(DesignError, match=message):
        derive_multiverse(trial, rules, **({"on_missing": "leave_out"} | options))


def test_a_base_rule_that_cannot_be_derived_is_no_longer_primary(trial):
    grid = rule_grid("sdmt4", outcome=["sdmt", "edss"])
    found = derive_multiverse(trial, grid, on_missing="leave_out")
    assert found.options["outcome"].tolist() == ["edss"]
    assert found.spec.primary == ""


# --- one definition under two names --------------------------------------------------------------


def test_twins_are_marked_and_count_once(trial):
    rules = [CDP12, "cdp24", "cdp12_olympus"]
    without = derive_multiverse(trial, rules)
    found = derive_multiverse(trial, [*rules, TWIN])
    assert found.definitions["same_as"].tolist()[3] == "cdp12"
    ours, theirs = found.definitions.iloc[0], found.definitions.iloc[3]
    assert ours.drop(["rule", "same_as"]).equals(theirs.drop(["rule", "same_as"]))
    assert found.definitions["median_kappa"].tolist()[:3] == (
        without.definitions["median_kappa"].tolist()
    )
    pd.testing.assert_frame_equal(found.influence(), without.influence())
    count = "3 definitions (1 more under a second name) on"
    assert found.headline().replace(count, "3 definitions on") == without.headline()
    assert_result_contract(found)


def test_twins_draw_the_same(trial):
    drawn = replace(CDP12, impute_last_visit=0.5)
    relapse = RelapseEventRule()
    ours = CompositeRule(name="ours", parts=(drawn, relapse))
    theirs = CompositeRule(name="theirs", parts=(replace(drawn, name="cdp"), relapse))
    found = derive_multiverse(trial, [ours, theirs], seed=4)
    pd.testing.assert_frame_equal(found.events("ours"), found.events("theirs"))
    assert found.definitions["n_events"][0] == derive_endpoint(trial, ours, seed=4).n_events


# --- worsening and improvement, groups -----------------------------------------------------------


def test_change_is_in_the_table_and_the_headline(trial):
    found = derive_multiverse(trial, ["cdp12", "cdi12", RelapseEventRule()])
    assert found.table()["change"].tolist() == ["worsening", "improvement", "worsening"]
    ratios = found.ratios.set_index("rule")
    active = [ratios.loc[name, "hazard_ratio_high"] < 1 for name in ("cdp12", "relapse")]
    active.append(ratios.loc["cdi12", "hazard_ratio_low"] > 1)
    assert f"{sum(active)} of 3 intervals favour active" in found.headline()
    assert f"{ratios.loc['cdi12', 'hazard_ratio']:.2f} for improvement (n = 1)" in found.headline()


def test_numbers_favour_high_or_low_values(trial):
    words = derive_multiverse(trial, ["cdp12"], by="age_years").headline()
    assert "of 1 intervals favour higher age_years, 0 lower age_years" in words


def test_recorded_events_favour_nobody(eight):
    subjects = eight.subjects.assign(
        days=[10, 40, 70, 90, 20, 30, 50, 60], seen=[1, 1, 0, 0, 0, 1, 1, 1]
    )
    rule = RecordedEventRule(duration="days", event="seen", name="seen")
    found = derive_multiverse(Cohort(subjects, eight.visits), [rule])
    assert found.definitions["change"].tolist() == ["unspecified"]
    assert "0 of 1 intervals below 1, 0 above" in found.headline()


def test_groups_keep_the_order_of_the_arms(by_hand, eight):
    assert list(eight.subjects["arm"].cat.categories) == ["placebo", "active"]
    assert by_hand.groups["group"].cat.ordered
    shares = by_hand.groups.pivot_table(
        index="rule", columns="group", values="n_events", observed=True
    )
    assert list(shares.columns) == ["placebo", "active"]


# --- figures -------------------------------------------------------------------------------------


def test_a_figure_of_presets_names_them(presets):
    ax = presets.plot(ax=Figure(figsize=(9, 7)).subplots())
    assert ax.child_axes == []
    drawn = presets.table().dropna(subset="hazard_ratio")
    drawn = drawn.sort_values(["hazard_ratio", "rule"])
    better = drawn["change"] == "improvement"
    names = drawn["rule"].where(~better, drawn["rule"] + " (improvement)")
    assert better.any()
    assert [t.get_text() for t in ax.get_xticklabels()] == names.tolist()


def test_rules_that_are_no_grid_may_still_show_their_options(trial):
    found = derive_multiverse(trial, ["cdp12", "cdp24"])
    ax = found.plot(ax=Figure(figsize=(6, 6)).subplots(), options=("confirm_weeks",))
    assert len(ax.child_axes) == 1


def test_few_events_are_pale(by_hand):
    ax = by_hand.plot(ax=Figure(figsize=(6, 6)).subplots())
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert "fewer than 5 events (n = 1)" in labels


def test_forest_takes_ratios_and_not_the_table(multiverse):
    ax = Figure(figsize=(7, 12)).subplots()
    plot_forest(multiverse.forest(), ax=ax, log=True, reference=1, x_label="Hazard ratio")
    drawn = [line.get_xdata()[0] for line in ax.lines if line.get_gid() == "estimate"]
    assert drawn == multiverse.ratios["hazard_ratio"].tolist()
    first = multiverse.definitions.iloc[0]
    words = f"{first['n_at_risk']} subjects, {first['n_events']} events"
    assert multiverse.forest()["n"].iloc[0] == words
    table = multiverse.table().assign(label="x")
    with pytest.raises(DesignError, match="Logarithms of ratios must be turned back"):
        plot_forest(table, ax=ax, log=True, x_label="Hazard ratio")


def test_one_event_is_one(eight):
    rule = replace(CDI12, name="better", baseline_range=(-np.inf, np.inf))
    found = derive_multiverse(eight, [rule, CDP12]).forest()
    assert found["label"].tolist() == ["better", "cdp12"]
    assert found["n"].str.fullmatch(r"7 subjects, (1 event|\d+ events)").all()
