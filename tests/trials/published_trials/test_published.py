"""Simulated beside published results: rows by hand, and the whole library simulated once."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from properties import assert_result_contract

from pmsstats.errors import DesignError
from pmsstats.trials.published_trials import library_trial, trial_library
from pmsstats.trials.published_trials.entries import LibraryTrial, parse_trial
from pmsstats.trials.published_trials.overview import LibraryComparison, simulate_library
from pmsstats.trials.published_trials.published import compare_with_published, simulate_published
from pmsstats.trials.result import SimulationResult
from synthetic import generate_trials

FILE = """
takes = ["a"]
assumes = ["b"]
[[published]]
what = "hazard"
analysis = "time"
comparison = "active"
found = "better"
record = "montalban2017_cdp12_hr_arm_ppms"
scale = "ratio"
[[published]]
what = "volume"
analysis = "volume"
comparison = "active"
found = "no difference"
record = "chataway2014_brain_arm_difference_spms"
factor = 2.0
[[published]]
what = "volume, in words"
analysis = "volume"
comparison = "active"
found = "worse"
note = "no number"
[[published]]
what = "never answered"
analysis = "failing"
comparison = "active"
found = "no difference"
record = "chataway2014_brain_arm_difference_spms"
[scenario]
name = "By hand"
[scenario.population]
[[scenario.arms]]
name = "placebo"
[[scenario.arms]]
name = "active"
[scenario.accrual]
n_subjects = 10
[scenario.schedule]
weeks = [0, 12]
[[scenario.endpoints]]
name = "e"
measure = "edss"
[[scenario.analyses]]
name = "time"
endpoint = "e"
method = "change"
[[scenario.analyses]]
name = "volume"
endpoint = "e"
method = "change"
[[scenario.analyses]]
name = "failing"
endpoint = "e"
method = "change"
[scenario.decision]
analysis = "time"
"""
TRIAL = parse_trial("by_hand", FILE)
N = 42
"""41 trials with an estimate, whose 2.5 and 97.5 % quantiles are the second and the last but one;
and one that failed."""


def estimates(analysis: str, centre: float, step: float, *, look: int = 2) -> pd.DataFrame:
    """Evenly spaced estimates; ten trials significantly better, one just so, two worse."""
    spaced = centre + step * np.arange(-20, 21)
    z = np.concatenate([np.full(9, 3.0), [1.96], [-1.96, -5.0], np.full(29, 1.95)])
    return pd.DataFrame(
        {
            "replicate": np.arange(N),
            "look": look,
            "analysis": analysis,
            "comparison": "active",
            "estimate": [*spaced, np.nan],
            "z": [*z, np.nan],
        }
    )


def simulation(trial: LibraryTrial, *frames: pd.DataFrame) -> SimulationResult:
    empty = pd.DataFrame()
    return SimulationResult(
        scenario=trial.scenario, generator="by hand", seed="0", n_replicates=N, n_requested=N,
        stopped_because="all replicates", operating=empty, truth=empty, failures=empty,
        estimates=pd.concat(frames, ignore_index=True), trials=empty, arms=empty,
    )  # fmt: skip


@pytest.fixture(scope="module")
def by_hand():
    interim = estimates("time", 50.0, 1.0, look=1).assign(z=9.0)
    failed = estimates("failing", 0.0, 1.0).assign(estimate=np.nan, z=np.nan)
    frames = (
        interim, estimates("time", -0.2, 0.1), estimates("volume", 0.0, 0.02), failed
    )  # fmt: skip
    return compare_with_published(TRIAL, simulation(TRIAL, *frames))


def test_contract(by_hand):
    assert_result_contract(by_hand)
    assert_result_contract(LibraryComparison(comparisons=(by_hand, by_hand)))


def test_ratio_is_compared_on_the_log_scale_at_the_last_look(by_hand):
    row = by_hand.table().set_index("what").loc["hazard"]
    assert row["published"] == pytest.approx(math.log(0.76))
    assert (row["published_low"], row["published_high"]) == pytest.approx(
        (math.log(0.59), math.log(0.98))
    )
    assert row["simulated"] == pytest.approx(-0.2)
    assert (row["simulated_low"], row["simulated_high"]) == pytest.approx((-2.1, 1.7))
    assert row["inside"] == "yes"


def test_effect_beyond_the_simulated_ones_is_outside(by_hand):
    row = by_hand.table().set_index("what").loc["volume"]
    assert row["published"] == pytest.approx(2 * 0.254)
    assert (row["simulated_low"], row["simulated_high"]) == pytest.approx((-0.38, 0.38))
    assert row["inside"] == "no"


def test_share_counts_conclusions_among_all_trials(by_hand):
    rows = by_hand.table().set_index("what")
    shares = {"hazard": 10 / 42, "volume": 29 / 42, "volume, in words": 2 / 42}
    for what, share in shares.items():
        assert rows.loc[what, "share"] == pytest.approx(share)
        assert rows.loc[what, "mcse"] == pytest.approx(math.sqrt(share * (1 - share) / 42))
        assert rows.loc[what, "n_failed"] == 1


def test_finding_without_a_number_is_neither_inside_nor_outside(by_hand):
    row = by_hand.table().set_index("what").loc["volume, in words"]
    assert math.isnan(row["published"])
    assert (row["inside"], row["source"], row["note"]) == ("", "", "no number")


def test_analysis_that_always_failed_says_so(by_hand):
    row = by_hand.table().set_index("what").loc["never answered"]
    assert math.isnan(row["simulated"])
    assert (row["inside"], row["share"], row["n_failed"]) == ("", 0.0, N)


def test_words(by_hand):
    headline = by_hand.headline()
    assert "1 of 2 published effects" in headline
    assert "1 of 4 comparisons" in headline  # 29 of 42 trials find no difference of volume
    assert "analyses failed in up to 42 of them" in headline
    assert by_hand.describe().index("1 of 2 published") < by_hand.describe().index(
        "Taken from the paper"
    )
    both = LibraryComparison(comparisons=(by_hand, by_hand))
    assert both.headline().startswith("Published trials simulated: 2; 2 of 4 published effects")
    assert "2 of 8 comparisons" in both.headline()


def test_display_shows_ratios_and_shares(by_hand):
    shown = by_hand.display().set_index("Finding")
    assert shown.loc["hazard", "Published"] == "0.760 (0.590 to 0.980)"
    assert shown.loc["hazard", "Simulated"] == "0.82 (0.12 to 5.47)"  # exp of -0.2, -2.1, 1.7
    assert shown.loc["volume", "Simulated"] == "0.000 (-0.380 to 0.380)"
    assert shown.loc["volume, in words", "Published"] == "\N{EN DASH}"
    assert shown.loc["volume", "Trials that do (MCSE)"] == "69.0 % (7.1)"
    both = LibraryComparison(comparisons=(by_hand, by_hand)).display()
    assert both["Finding"].iloc[0] == "By hand: hazard"
    assert len(both) == 8


def test_remarks_give_sources_and_differences(by_hand):
    remarks = by_hand.remarks()
    assert remarks[0].startswith("hazard: Montalban X, et al.")
    assert remarks[2] == "volume, in words: no number."
    assert by_hand.describe().endswith(remarks[-1])


def test_dictionary_is_plain(by_hand):
    plain = json.loads(json.dumps(by_hand.to_dict()))
    assert (plain["trial"], plain["takes"], plain["assumes"]) == ("by_hand", ["a"], ["b"])
    assert len(plain["findings"]) == 4
    assert plain["scenario"]["name"] == "By hand"


def test_simulation_of_another_scenario_is_refused():
    changed = dataclasses.replace(
        TRIAL,
        scenario=dataclasses.replace(
            TRIAL.scenario, dropout=library_trial("ms_stat").scenario.dropout
        ),
    )
    other = simulation(changed, estimates("time", 0.0, 1.0))
    with pytest.raises(DesignError, match="of the scenario of 'by_hand'"):
        compare_with_published(TRIAL, other)


def test_renamed_scenario_is_the_same():
    renamed = dataclasses.replace(
        TRIAL, scenario=dataclasses.replace(TRIAL.scenario, name="Another name")
    )
    frames = [estimates(name, 0.0, 1.0) for name in ("time", "volume", "failing")]
    assert len(compare_with_published(TRIAL, simulation(renamed, *frames)).table()) == 4


@pytest.mark.parametrize("trials", [(), "ms_stat"])
def test_library_wants_a_list_of_names(trials):
    with pytest.raises(DesignError, match="must name some trials"):
        simulate_library(generate_trials, 20, 1, trials=trials)


def test_seed_is_required():
    with pytest.raises(TypeError, match="seed"):
        simulate_library(generate_trials, 20, trials=["ms_stat"])


SMALL = ("mesenchymal_stem_cells", "natalizumab_phase2a")


def test_trial_has_the_same_numbers_whichever_others_are_simulated():
    both = simulate_library(generate_trials, 40, 3, trials=SMALL).table()
    alone = simulate_library(generate_trials, 40, 3, trials=SMALL[1:]).table()
    pd.testing.assert_frame_equal(
        both[both["trial"] == SMALL[1]].reset_index(drop=True), alone, check_exact=True
    )
    shares = both.groupby("trial", sort=False)["share"].max()
    assert list(shares.index) == list(SMALL)


def test_library_without_printed_numbers_is_drawn_in_words():
    result = simulate_library(generate_trials, 20, 3, trials=SMALL[:1])
    ax = result.plot(ax=Figure().subplots())
    assert sum(t.get_text() == "no number printed" for t in ax.texts) == len(result.table())


def test_one_trial_by_name_prints_assumptions_and_table():
    text = simulate_published("ms_stat", generate_trials, 40, seed=1).describe()
    assert "70 per arm" in text
    assert "Assumed:" in text
    assert "whole-brain volume over 25 months" in text


@pytest.fixture(scope="module")
def library():
    return simulate_library(generate_trials, 200, 1)


@pytest.mark.slow
def test_no_trial_of_the_library_fails(library):
    rows = library.table()
    assert set(rows["trial"]) == set(trial_library())
    assert (rows["n_failed"] == 0).all()
    assert all(one.simulation.ledger().empty for one in library.comparisons)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["oratorio", "expand", "ms_stat", "glatiramer", "ibudilast", "lamotrigine"]
)
def test_published_effects_are_among_the_simulated(library, name):
    """The scenarios take the effects from the same papers, but not how estimates spread."""
    rows = library.table()
    printed = rows[(rows["trial"] == name) & (rows["inside"] != "")]
    assert set(printed["inside"]) == {"yes"}


@pytest.mark.slow
@pytest.mark.parametrize("at", range(7))
def test_simulated_trials_spread_about_as_widely_as_the_printed_interval_is(library, at):
    """Within a third: the generator's spread is from other papers, and events differ in number."""
    rows = library.table()
    primary = rows[rows["published_low"].notna()].drop_duplicates("trial").iloc[at]
    simulated = primary["simulated_high"] - primary["simulated_low"]
    printed = primary["published_high"] - primary["published_low"]
    assert simulated / printed == pytest.approx(1, abs=1 / 3)
