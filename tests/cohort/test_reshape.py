"""Reshaping: round trips, and nothing silently chosen."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from strategies import valid_cohorts

from pmsstats.cohort.cohort import Cohort
from pmsstats.cohort.reshape import merge_same_day, to_long, to_wide, visit_matrix
from pmsstats.errors import DesignError, SchemaError

VISITS = pd.DataFrame(
    {
        "subject_id": ["S1", "S1", "S2"],
        "day": [0, 90, 0],
        "visit": ["BL", "W12", "BL"],
        "edss": [4.0, None, 6.0],
        "sdmt": [50.0, 51.0, None],
    }
)


@given(cohort=valid_cohorts)
def test_wide_of_long_is_the_original(cohort: Cohort) -> None:
    visits = cohort.visits
    measures = [m.name for m in cohort.measures]
    back = to_wide(to_long(visits, measures))
    pd.testing.assert_frame_equal(back[list(visits.columns)], visits)


@given(cohort=valid_cohorts)
def test_the_matrix_holds_every_value_once(cohort: Cohort) -> None:
    visits = cohort.visits
    matrix = visit_matrix(visits, "edss")
    stacked = matrix.to_numpy().ravel()
    assert sorted(stacked[~pd.isna(stacked)]) == sorted(visits["edss"])
    assert matrix.columns.tolist() == visits["visit"].cat.categories.tolist()
    for row in visits.itertuples():
        assert matrix.loc[row.subject_id, row.visit] == row.edss


def test_long_keeps_or_drops_what_is_missing() -> None:
    assert len(to_long(VISITS, ["edss", "sdmt"])) == 6
    found = to_long(VISITS, ["edss", "sdmt"], keep_missing=False)
    assert found["value"].tolist() == [4.0, 50.0, 51.0, 6.0]
    assert found["measure"].astype(str).tolist() == ["edss", "sdmt", "sdmt", "edss"]


def test_long_does_not_modify_its_input() -> None:
    before = VISITS.copy(deep=True)
    to_long(VISITS, ["edss"])
    pd.testing.assert_frame_equal(VISITS, before)


def test_wide_refuses_a_measure_twice_on_a_day() -> None:
    long = to_long(VISITS, ["edss"])
    with pytest.raises(DesignError, match=r"1 subject\(s\) have the same measure twice .*\(S1\)"):
        to_wide(pd.concat([long, long.iloc[:1]]))


def test_wide_refuses_columns_that_differ_within_a_day() -> None:
    long = to_long(VISITS, ["edss", "sdmt"])
    long["scanner_id"] = ["A", "B", "A", "A", "A", "A"]
    with pytest.raises(DesignError, match=r"further columns that differ within a day \(S1\)"):
        to_wide(long)


def test_the_matrix_refuses_repeated_labels() -> None:
    visits = VISITS.assign(visit=["BL", "BL", "BL"])
    with pytest.raises(DesignError, match=r"repeat a visit label \(S1\)"):
        visit_matrix(visits, "edss")


def test_a_missing_column_is_named() -> None:
    with pytest.raises(SchemaError, match=r"no column 'eds'. Did you mean 'edss'"):
        to_long(VISITS, ["eds"])


def test_rows_of_a_day_complete_each_other() -> None:
    rows = pd.DataFrame(
        {
            "subject_id": ["S2", "S1", "S1", "S1"],
            "day": [0, 0, 90, 0],
            "edss": [6.0, None, 4.5, 4.0],
            "sdmt": [None, 50.0, None, None],
        }
    )
    expected = pd.DataFrame(
        {
            "subject_id": ["S1", "S1", "S2"],
            "day": [0, 90, 0],
            "edss": [4.0, 4.5, 6.0],
            "sdmt": [50.0, None, None],
        }
    )
    pd.testing.assert_frame_equal(merge_same_day(rows), expected)


def test_rows_of_a_day_that_agree_are_merged_and_contradictions_refused() -> None:
    rows = pd.DataFrame({"subject_id": ["S1", "S1"], "day": [0, 0], "edss": [4.0, 4.0]})
    assert len(merge_same_day(rows)) == 1
    with pytest.raises(SchemaError, match=r"differ in 'edss': 'edss' for 1 day\(s\) of S1"):
        merge_same_day(rows.assign(edss=[4.0, 4.5]))
