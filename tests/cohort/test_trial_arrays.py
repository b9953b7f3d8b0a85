"""Arrays of many trials: shapes are checked, parts replaced. Witness: written by hand."""

from __future__ import annotations

import numpy as np
import pytest

from pmsstats.cohort.trial_arrays import EXIT_REASONS, TrialArrays
from pmsstats.errors import DesignError

R, N, V = 3, 4, 2


def arrays(**changes):
    parts = {
        "arms": ("placebo", "active"),
        "arm": np.zeros((R, N), dtype=int),
        "weeks": (0, 52),
        "day": np.array([[[0.0, 364.0]]]),
        "values": {"edss": np.full((R, N, V), 4.0)},
        "exit_day": np.full((R, N), 364.0),
        "exit_reason": np.zeros((R, N), dtype=int),
        "stop_day": np.full((R, N), np.inf),
    }
    return TrialArrays(**(parts | changes))


def test_counts_are_those_of_the_arms():
    made = arrays()
    assert (made.n_replicates, made.n_subjects) == (R, N)
    assert made.entry_year is None
    assert EXIT_REASONS[0] == "completed"


WRONG = [
    ("`arm`", {"arm": np.zeros(N, dtype=int)}),
    ("`exit_day`", {"exit_day": np.zeros((R, N + 1))}),
    ("`exit_reason`", {"exit_reason": np.zeros(N, dtype=int)}),
    ("`stop_day`", {"stop_day": np.zeros((R, 1))}),
    (r"`values\['edss'\]`", {"values": {"edss": np.zeros((R, N, V + 1))}}),
    (r"`baseline\['age_years'\]`", {"baseline": {"age_years": np.zeros((N, R))}}),
    (r"`intercurrent\['rescue'\]`", {"intercurrent": {"rescue": np.zeros(R)}}),
]


@pytest.mark.parametrize(("name", "changes"), WRONG, ids=[name for name, _ in WRONG])
def test_shapes_that_do_not_fit_are_refused(name, changes):
    with pytest.raises(DesignError, match=name):
        arrays(**changes)


def test_a_replaced_part_leaves_the_rest():
    made = arrays()
    cut = made.replace(exit_day=np.full((R, N), 100.0))
    assert (cut.exit_day == 100).all()
    assert (made.exit_day == 364).all()
    assert cut.values["edss"] is made.values["edss"]
