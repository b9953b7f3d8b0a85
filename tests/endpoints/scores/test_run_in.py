"""Run-in assessments; witnesses are hand-worked patients."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from pmsstats.endpoints.scores.run_in import PREBASELINE_TESTS, exclude_run_in
from pmsstats.errors import DesignError


@pytest.fixture
def visits():
    """Out of order; S2 has a missing value first, S3 a single assessment."""
    return pd.DataFrame(
        {
            "subject_id": ["S1", "S2", "S1", "S2", "S1", "S2", "S3"],
            "day": [90, 0, -30, 90, 0, -30, 0],
            "pasat3": [46.0, 50.0, 40.0, 51.0, 45.0, np.nan, 30.0],
            "sdmt": [50.0, 50.0, 49.0, 51.0, 50.0, 44.0, 30.0],
        },
        index=[3, 3, 2, 2, 1, 1, 0],
    )


def test_the_first_assessment_by_day_is_left_out_for_each_measure(visits):
    made = exclude_run_in(visits, ["pasat3", "sdmt"], n=1)
    np.testing.assert_array_equal(
        made.visits["pasat3"], [46.0, np.nan, np.nan, 51.0, 45.0, np.nan, np.nan]
    )
    np.testing.assert_array_equal(
        made.visits["sdmt"], [50.0, 50.0, np.nan, 51.0, 50.0, np.nan, np.nan]
    )
    assert made.visits.index.tolist() == visits.index.tolist()
    assert len(made.visits) == len(visits)


def test_everything_left_out_is_counted(visits):
    counts = {(e.unit, e.reason): (e.n, e.subject_ids)
              for e in exclude_run_in(visits, "pasat3", n=2).exclusions}  # fmt: skip
    assert counts == {
        ("visit", "pasat3: first 2 assessment(s), run-in"): (5, ("S2", "S1", "S3")),
        ("subject", "pasat3: no assessment after the run-in"): (2, ("S2", "S3")),
    }


def test_no_run_in_changes_nothing(visits):
    made = exclude_run_in(visits, "pasat3", n=0)
    pd.testing.assert_frame_equal(made.visits, visits)
    assert made.exclusions == ()


def test_more_run_in_never_brings_an_assessment_back(visits):
    known = [exclude_run_in(visits, "sdmt", n=n).visits["sdmt"].notna() for n in range(4)]
    assert all((more <= fewer).all() for fewer, more in itertools.pairwise(known))
    assert not known[-1].any()


def test_published_numbers_of_tests():
    # Solari 2005: one administration of the walk, three of PASAT, four of the peg test
    assert dict(PREBASELINE_TESTS) == {"t25fw_s": 1, "pasat3": 3, "nhpt_s": 4}


@pytest.mark.parametrize("n", [-1, 1.5, True, "1"])
def test_n_is_a_whole_number(visits, n):
    with pytest.raises(DesignError, match="`n` must be a whole number"):
        exclude_run_in(visits, "pasat3", n=n)


def test_the_measure_must_be_there(visits):
    with pytest.raises(DesignError, match="Did you mean 'pasat3'"):
        exclude_run_in(visits, "pasat")
