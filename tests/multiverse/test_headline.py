"""A multiverse in one sentence. Every expected sentence is written by hand from the rows."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from pmsstats.multiverse.headline import (
    count_words,
    influence_words,
    range_words,
    ratio_words,
    share_words,
)

NAN = math.nan
SIDES = ("active", "placebo")


def rows_of(*rows: tuple) -> pd.DataFrame:
    """Rows of (change, ratio, low, high, few events, note)."""
    names = ["change", "hazard_ratio", "hazard_ratio_low", "hazard_ratio_high", "few_events"]
    frame = pd.DataFrame(rows, columns=[*names, "note"])
    frame.insert(0, "rule", [f"r{i}" for i in range(len(frame))])
    return frame


WORSE = rows_of(
    ("worsening", 0.7, 0.5, 0.9, False, ""),
    ("worsening", 0.8, 0.6, 1.1, False, ""),
    ("worsening", 1.5, 1.2, 1.9, False, ""),
)
BETTER = rows_of(
    ("improvement", 0.5, 0.3, 0.8, False, ""),  # fewer improve: favours placebo
    ("improvement", 1.6, 1.1, 2.3, False, ""),  # more improve: favours active
    ("improvement", 1.7, 1.2, 2.4, False, ""),
)
LOST = rows_of(
    ("worsening", 0.1, 0.01, 9.0, True, "only 3 events"),
    ("worsening", NAN, NAN, NAN, False, "no event in active"),
)
OTHER = rows_of(("mixed", 0.9, 0.8, 0.95, False, ""), ("unspecified", 1.2, 1.1, 1.3, False, ""))


def words_of(*frames: pd.DataFrame, primary: str = "") -> str:
    rows = pd.concat(frames, ignore_index=True)
    rows["rule"] = [f"r{i}" for i in range(len(rows))]
    return ratio_words(rows, term="active vs placebo", sides=SIDES, primary=primary)


@pytest.mark.parametrize(
    ("frames", "primary", "expected"),
    [
        ([WORSE], "", "0.70 to 1.50 (median 0.80), 1 of 3 intervals favour active, 1 placebo"),
        ([WORSE], "r1", ("0.70 to 1.50 (median 0.80), 0.80 under r1, 1 of 3 intervals favour "
         "active, 1 placebo")),
        ([BETTER], "", "0.50 to 1.70 (median 1.60), 2 of 3 intervals favour active, 1 placebo"),
        ([WORSE, BETTER], "", ("0.70 to 1.50 (median 0.80) for worsening (n = 3), 0.50 to 1.70 "
         "(median 1.60) for improvement (n = 3), 3 of 6 intervals favour active, 2 placebo")),
        ([WORSE, LOST], "", ("0.70 to 1.50 (median 0.80), 1 of 3 intervals favour active, "
         "1 placebo, 1 more with fewer than 5 events, 1 not estimable")),
        ([OTHER[1:]], "", "1.20, 0 of 1 intervals below 1, 1 above"),
        ([WORSE, OTHER], "", ("0.70 to 1.50 (median 0.80) for worsening (n = 3), 0.90 for mixed "
         "(n = 1), 1.20 for unspecified (n = 1), 1 of 3 intervals favour active, 1 placebo, "
         "2 more are neither worsening nor improvement")),
        ([LOST], "r0", "not stated (1 more with fewer than 5 events, 1 not estimable)"),
        ([LOST[1:]], "", "not estimable (no event in active)"),
    ],
)  # fmt: skip
def test_ratios(frames, primary, expected):
    assert words_of(*frames, primary=primary) == f"hazard ratio of active vs placebo {expected}"


@pytest.mark.parametrize(
    ("values", "decimals", "unit", "expected"),
    [
        ([0.283, 1.71, 0.8], None, "", "0.28 to 1.71 (median 0.80)"),
        ([0.0123, 1.5], None, "", "0.012 to 1.500 (median 0.756)"),
        ([0.00172, 0.164, NAN, 0.668], None, "", "0.0017 to 0.6680 (median 0.1640)"),
        ([0.172, 16.4, 66.8], 1, " %", "0.2 to 66.8 % (median 16.4 %)"),
        ([0.0, 1.0], None, "", "0.00 to 1.00 (median 0.50)"),
        ([0.801, 0.799], None, "", "0.80"),
        ([NAN], 1, " %", "\u2013"),
    ],
)
def test_ranges_have_equal_digits(values, decimals, unit, expected):
    assert range_words(values, decimals, unit) == expected


def test_shares_are_in_percent():
    words = share_words(pd.Series([0.00172, 0.668, NAN, 0.164]))
    assert words == "share of subjects with the event 0.2 to 66.8 % (median 16.4 %)"


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((1, 1, 0), "1 definition"),
        ((1440, 1440, 0), "1,440 definitions"),
        ((43, 42, 0), "42 definitions (1 more under a second name)"),
        ((43, 42, 3), "42 definitions (1 more under a second name, 3 more left out)"),
    ],
)
def test_counts(counts, expected):
    assert count_words(*counts) == expected


def influence(**changes: list[float]) -> pd.DataFrame:
    return pd.DataFrame({"option": ["confirm_weeks", "baseline"], **changes})


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (influence(mean_change_log_hr=[np.log(1.25), 0.1], mean_change_share=[0.0, 0.0]),
         ["confirm_weeks moves the hazard ratio most, by a factor of 1.25 on average"]),
        (influence(mean_change_share=[0.125, 0.1]),
         ["confirm_weeks moves it most, by 12.5 points on average"]),
        (influence(mean_change_log_hr=[0.2, NAN]), []),
        (influence(mean_change_log_hr=[NAN, NAN]), []),
        (influence(mean_change_log_hr=[0.0, 0.0]), []),
    ],
)  # fmt: skip
def test_most_needs_another_option_to_compare_with(table, expected):
    assert influence_words(table) == expected
