"""Counts over the time in which they happened: by hand."""

from __future__ import annotations

import numpy as np
import pytest
from trial_cases import analysis_of, measured

from pmsstats.trials.outcomes import AnalysisBatch
from pmsstats.trials.scenario import TrialEndpoint
from tests.trials.analyses.small_trials import INF, run, small

COUNTED = (TrialEndpoint(name="volume", measure="t2", better="lower"),)


def rate_ratio(batch: AnalysisBatch, events, years):
    """Compare with events over person-time, by arm."""
    expected = np.log(events[1] / years[1] / (events[0] / years[0]))
    assert batch.estimate[0, 0] == pytest.approx(expected, rel=1e-7)
    assert batch.std_error[0, 0] == pytest.approx(np.sqrt(1 / events[0] + 1 / events[1]), rel=1e-7)


def test_counts_of_a_window_are_over_the_time_in_which_they_happened():
    """Weeks 24 to 48: who missed week 24 is counted from week 0 on; who missed 48 not at all."""
    rows = [[None, 1, 2], [None, None, 5], [None, 3, None], [None, 2, 4], [None, 1, 3]]
    data = small(rows, [0, 0, 0, 1, 1])
    data = data.replace(values={"t2": measured(data, "volume")})
    analysis = analysis_of("counts", from_week=24, options={"family": "poisson"})
    batch = run(analysis, data, endpoints=COUNTED)
    rate_ratio(batch, (2 + 5, 4 + 3), (24 + 48, 24 + 24))
    assert (batch.n_reference[0, 0], batch.n_treated[0, 0]) == (2, 2)


def test_relapses_are_counted_in_the_window_and_on_treatment():
    """Days 168 to 336, less what comes after stopping on day 250 (one of the treated)."""
    stop = np.array([[INF, INF, 250.0, INF]])
    who, day = [0, 0, 1, 2, 2, 3], [100.0, 200.0, 300.0, 240.0, 260.0, 180.0]
    data = small(
        [[1.0] * 3] * 4, [0, 0, 1, 1], stop_day=stop, intercurrent={"discontinuation": stop},
        relapses=(np.zeros(6, int), np.array(who), np.array(day)),
        exit_day=np.array([[336.0, 320.0, 336.0, 336.0]]),
    )  # fmt: skip
    endpoints = (TrialEndpoint(name="volume", measure="relapses"),)
    analysis = analysis_of(
        "counts", from_week=24, options={"family": "poisson"},
        strategies={"discontinuation": "while_on_treatment"},
    )  # fmt: skip
    batch = run(analysis, data, endpoints=endpoints, events=("discontinuation",))
    rate_ratio(batch, (2, 2), (168 + 152, 82 + 168))
