"""Lesions per year; witnesses are hand-worked patients and a plain sum."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import assert_result_contract

from pmsstats.cohort import Cohort
from pmsstats.endpoints.scores.lesion_rate import derive_lesion_rate
from pmsstats.errors import DesignError, SchemaError

ROUNDING = 1e-12


def visits(*rows):
    """Return visits of (subject, day, count, T2 volume)."""
    return pd.DataFrame(rows, columns=["subject_id", "day", "new_t2_count", "t2_lesion_ml"])


NAN = float("nan")
PATIENTS = visits(
    ("a", 0, NAN, 5.0), ("a", 183, 3, 5.5), ("a", 400, NAN, NAN), ("a", 731, 1, 5.6),
    ("b", 0, 2, 1.0), ("b", 365, 0, 1.0),  # the count at baseline is of earlier lesions
    ("c", 30, 1, 9.0),  # no scan at or before day 0
    ("d", 0, NAN, 2.0),  # nothing after
)  # fmt: skip


def rate(made, subject):
    """Return a subject's row."""
    return made.rates.set_index("subject_id").loc[subject]


def test_counts_belong_to_the_interval_that_ends_at_the_scan():
    made = derive_lesion_rate(PATIENTS)
    a, b = rate(made, "a"), rate(made, "b")
    assert (a["lesions"], a["n_scans"], a["start_day"], a["end_day"]) == (4, 2, 0, 731)
    assert a["years"] == pytest.approx(731 / 365.25, rel=ROUNDING)
    assert a["per_year"] == pytest.approx(4 / 731 * 365.25, rel=ROUNDING)
    assert (b["lesions"], b["per_year"]) == (0, 0.0)
    assert (made.n_subjects, made.n_lesions) == (2, 4)


def test_everything_left_out_is_counted():
    counts = {(e.unit, e.reason): (e.n, e.subject_ids)
              for e in derive_lesion_rate(PATIENTS).exclusions}  # fmt: skip
    assert counts == {
        ("visit", "scan at or before the first: its count is of earlier lesions"): (1, ("b",)),
        ("subject", "no scan at or before day 0"): (1, ("c",)),
        ("subject", "no counted scan after the first"): (1, ("d",)),
    }


def test_a_scan_that_was_not_counted_leaves_its_interval_out():
    # day 400 was a scan (it has a volume) without a count: 183 to 400 is not covered, and the
    # count at 731 is of what appeared since 400
    frame = PATIENTS.copy()
    frame.loc[2, "t2_lesion_ml"] = 5.5
    made = derive_lesion_rate(frame, scan_measure="t2_lesion_ml")
    a = rate(made, "a")
    assert a["years"] == pytest.approx((183 + 331) / 365.25, rel=ROUNDING)
    assert a["lesions"] == 4
    reasons = {e.reason: e.n for e in made.exclusions}
    assert reasons["scan without a count: its interval is not covered"] == 1


def test_a_rebaseline_scan_starts_the_period():
    a = rate(derive_lesion_rate(PATIENTS, from_day=183), "a")
    assert (a["start_day"], a["lesions"]) == (183, 1)
    assert a["per_year"] == pytest.approx(1 / 548 * 365.25, rel=ROUNDING)


def test_a_last_day_ends_the_period():
    made = derive_lesion_rate(PATIENTS, to_day=365)
    assert rate(made, "a")["end_day"] == 183
    assert {e.reason: e.n for e in made.exclusions}["scan after the last day"] == 1
    assert "from day 0 to day 365" in made.headline()


@given(st.lists(st.tuples(st.integers(1, 200), st.integers(0, 9)), min_size=1, max_size=8))
def test_the_rate_is_the_sum_of_counts_over_the_time(gaps):
    days = np.cumsum([gap for gap, _ in gaps])
    rows = [("a", 0, NAN, 1.0), *(("a", d, n, 1.0) for d, (_, n) in zip(days, gaps, strict=True))]
    made = derive_lesion_rate(visits(*rows))
    expected = sum(n for _, n in gaps) / (days[-1] / 365.25)
    assert made.rates["per_year"].item() == pytest.approx(expected, rel=1e-9)
    shuffled = derive_lesion_rate(visits(*rows[::-1]))
    pd.testing.assert_frame_equal(shuffled.rates, made.rates)


@given(st.integers(1, 199), st.integers(0, 5), st.integers(0, 5))
def test_one_more_scan_between_changes_nothing_if_no_lesion_hides(day, early, late):
    split = visits(("a", 0, NAN, 1.0), ("a", day, early, 1.0), ("a", 200, late, 1.0))
    whole = visits(("a", 0, NAN, 1.0), ("a", 200, early + late, 1.0))
    found = [derive_lesion_rate(f).rates["per_year"].item() for f in (split, whole)]
    assert found[0] == pytest.approx(found[1], rel=1e-9)


def test_a_cohort_brings_its_origin():
    cohort = Cohort(
        pd.DataFrame({"subject_id": ["a", "b", "c", "d"]}), PATIENTS, origin="synthetic"
    )
    made = derive_lesion_rate(cohort)
    assert made.headline().startswith("In synthetic data, 4 lesions (new_t2_count) in 3")
    assert_result_contract(made)
    with pytest.raises(SchemaError, match="no measure 'gd_lesion_count'"):
        derive_lesion_rate(cohort, "gd_lesion_count")


@pytest.mark.parametrize(
    ("frame", "options", "message"),
    [
        (PATIENTS, {"to_day": 0}, r"`to_day` \(0\) must lie after `from_day` \(0\)"),
        (PATIENTS, {"from_day": -1}, r"No subject has a scan with a count after a first scan"),
        (PATIENTS.assign(new_t2_count=-1.0), {}, r"must be a count of at least 0, but is -1"),
        (PATIENTS, {"measure": "new_t2"}, r"Did you mean 'new_t2_count'"),
        (PATIENTS.assign(new_t2_count="many"), {}, r"must hold numbers"),
    ],
)
def test_bad_requests_are_refused_in_words(frame, options, message):
    with pytest.raises(DesignError, match=message):
        derive_lesion_rate(frame, **options)
