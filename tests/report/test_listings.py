"""Listings of the report: counted, in words, with the first subjects."""

from __future__ import annotations

import pandas as pd
import pytest

from pmsstats.report import listings
from pmsstats.results import exclude


def test_table_one_keeps_its_cells_and_knows_its_words():
    display = pd.DataFrame(
        {"Characteristic": ["Age"], "Statistic": ["mean (SD)"], "HC": ["50 (9)"], "Total": [""]}
    )
    table = listings.table_one(display)
    assert table.rows == (("Age", "mean (SD)", "50 (9)", ""),)
    assert table.columns == ("Characteristic", "Statistic", "HC", "Total")
    assert table.text_columns == (1,)


@pytest.mark.parametrize("build", [listings.exclusion_table, listings.issues_table])
def test_nothing_to_list_is_no_table(build):
    assert build(pd.DataFrame()) is None


def test_exclusions_name_the_first_subjects():
    left_out = exclude("endpoint", "visit", "no EDSS", ["S1", "S1", "S2", "S3", "S4"])
    row = listings.exclusion_table(left_out).rows[0]
    assert row == ("endpoint", "no EDSS", "visit", "5", "4", "S1, S2, S3, ...")


def test_issues_are_tallied():
    issues = pd.DataFrame(
        {
            "rule": ["implausible_value"] * 2 + ["one_visit"],
            "table": "visits",
            "column": ["edss", "edss", None],
            "message": ["first", "second", "third"],
        }
    )
    rows = listings.issues_table(issues).rows
    assert rows == (
        ("implausible value", "visits", "edss", "2", "first"),
        ("one visit", "visits", "", "1", "third"),
    )
