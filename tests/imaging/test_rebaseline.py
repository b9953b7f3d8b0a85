"""A new baseline: what is kept, how time restarts, what is counted."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from properties import assert_result_contract

from pmsstats.errors import DesignError
from pmsstats.imaging import rebaseline

VISITS = ["W0", "W26", "W52", "W104"]
YEARS = [0.0, 0.5, 1.0, 2.0]


@pytest.fixture
def visits():
    """Three subjects: complete; without the visit W26; who left after baseline."""
    rows = [("a", v, y) for v, y in zip(VISITS, YEARS, strict=True)]
    rows += [("b", v, y) for v, y in zip(VISITS, YEARS, strict=True) if v != "W26"]
    rows += [("c", "W0", 0.0)]
    frame = pd.DataFrame(rows, columns=["subject_id", "visit", "year"])
    frame["day"] = (frame["year"] * 365.25).round().astype(int)
    frame["brain_ml"] = 1500 - 10 * frame["year"]
    frame["pbvc_pct"] = np.where(frame["year"] > 0, -1.0 * frame["year"], np.nan)
    return frame


def test_by_label_only_subjects_seen_then_are_kept(visits):
    made = rebaseline(visits, outcomes="brain_ml", visit="W26")
    assert made.data["subject_id"].unique().tolist() == ["a"]
    assert made.data["year"].tolist() == [0.0, 0.5, 1.5]
    assert made.data["day"].tolist() == [0, 182, 547]
    assert made.data["rebaseline_year"].tolist() == [0.5] * 3


def test_by_time_the_first_visit_from_then_on_counts(visits):
    made = rebaseline(visits, outcomes="brain_ml", at=0.5)
    starts = made.data.drop_duplicates("subject_id").set_index("subject_id")["rebaseline_year"]
    assert starts.to_dict() == {"a": 0.5, "b": 1.0}
    assert made.data.groupby("subject_id")["year"].max().to_dict() == {"a": 1.5, "b": 1.0}


def test_everything_dropped_is_counted_once(visits):
    made = rebaseline(visits, outcomes="brain_ml", at=0.5)
    counts = {(e.unit, e.reason): (e.n, e.subject_ids) for e in made.exclusions}
    assert counts["subject", "no scan at the new baseline (year 0.5 or later)"] == (1, ("c",))
    assert counts["visit", "subject has no new baseline"] == (1, ("c",))
    assert counts["visit", "before the new baseline"] == (2, ("a", "b"))
    assert made.n_obs + 1 + 2 == len(visits)


def test_a_baseline_without_the_measure_is_none(visits):
    visits.loc[visits["visit"] == "W26", "brain_ml"] = np.nan
    made = rebaseline(visits, outcomes="brain_ml", at=0.5)
    assert made.data.loc[made.data["subject_id"] == "a", "rebaseline_year"].iloc[0] == 1.0


def test_percent_change_is_compounded(visits):
    made = rebaseline(visits, outcomes="pbvc_pct", visit="W26", percent_change=("pbvc_pct",))
    found = made.data["pbvc_pct"].tolist()
    assert np.isnan(found[0])
    # Volumes 99.5 and 98 percent of baseline: 98 / 99.5 - 1.
    assert found[1:] == pytest.approx([100 * (99 / 99.5 - 1), 100 * (98 / 99.5 - 1)])


def test_time_in_days_restarts_too(visits):
    made = rebaseline(visits.drop(columns="year"), outcomes="brain_ml", at=180, time="day")
    assert made.data["day"].tolist() == [0, 182, 547, 0, 365]
    assert made.data["rebaseline_year"].iloc[0] == pytest.approx(183 / 365.25, abs=0.003)
    assert "New baseline at day 180 (median" in made.headline()
    assert_result_contract(made)


def test_input_is_left_alone_and_order_of_rows_does_not_matter(visits):
    untouched = visits.copy(deep=True)
    made = rebaseline(visits, outcomes="brain_ml", at=0.5)
    shuffled = rebaseline(visits.sample(frac=1, random_state=2), outcomes="brain_ml", at=0.5)
    pd.testing.assert_frame_equal(visits, untouched)
    keys = ["subject_id", "year"]
    pd.testing.assert_frame_equal(
        shuffled.data.sort_values(keys, ignore_index=True),
        made.data.sort_values(keys, ignore_index=True),
    )


WRONG = {
    "neither": {"outcomes": "brain_ml"},
    "both": {"outcomes": "brain_ml", "visit": "W26", "at": 0.5},
    "no such visit": {"outcomes": "brain_ml", "visit": "W13"},
    "no such measure": {"outcomes": "thalamus_ml", "at": 0.5},
    "change of another": {"outcomes": "brain_ml", "at": 0.5, "percent_change": ("pbvc_pct",)},
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_requests_are_refused(visits, case):
    with pytest.raises(DesignError):
        rebaseline(visits, **WRONG[case])


def test_a_visit_twice_is_refused(visits):
    twice = pd.concat([visits, visits[visits["visit"] == "W26"]])
    with pytest.raises(DesignError, match="twice"):
        rebaseline(twice, outcomes="brain_ml", visit="W26")


def test_result_keeps_the_contract(visits):
    assert_result_contract(rebaseline(visits, outcomes="brain_ml", at=0.5))
