"""Repeated measures: values carried forward, complete visits, a covariance that fails."""

from __future__ import annotations

import numpy as np
import pytest
from trial_cases import analysis_of, measured, slope_trials

from pmsstats.cohort.trial_arrays import TrialArrays
from tests.trials.analyses.small_trials import FITTED, run


def with_stops(data: TrialArrays, seed: int) -> TrialArrays:
    """Some stop somewhere in between."""
    rng = np.random.default_rng(seed)
    day = rng.uniform(30, 1500, data.arm.shape)
    return data.replace(stop_day=day, intercurrent={"discontinuation": day})


def test_repeated_measures_while_on_treatment_are_those_of_values_carried_forward():
    data = with_stops(slope_trials(51, 3, (25, 25), dropout=0.0), 52)
    analysis = analysis_of("mmrm", strategies={"discontinuation": "while_on_treatment"})
    found = run(analysis, data, events=("discontinuation",))
    by_hand = measured(data, "volume").copy()
    days = 7 * np.array(data.weeks)
    for r, i in np.ndindex(*data.arm.shape):
        on = days <= data.stop_day[r, i]
        by_hand[r, i, ~on] = by_hand[r, i, on][-1]
    expected = run(analysis_of("mmrm"), data.replace(values={"volume": by_hand}))
    np.testing.assert_array_equal(found.estimate, expected.estimate)
    policy = run(analysis_of("mmrm"), data)
    hypothetical = run(
        analysis_of("mmrm", strategies={"discontinuation": "hypothetical"}), data,
        events=("discontinuation",),
    )  # fmt: skip
    for other in (policy, hypothetical):
        assert (np.abs(other.estimate - found.estimate) > 1e-3).all()


@pytest.mark.parametrize(("baseline", "subtracted"), [("none", 0.0), ("change", 1.0)])
def test_repeated_measures_at_complete_visits_are_two_sample_tests(baseline, subtracted):
    """Means by arm and visit and any covariance: at the last visit, what a t test compares."""
    data = slope_trials(56, 3, (25, 20), dropout=0.0)
    batch = run(analysis_of("mmrm", options={"baseline": baseline}, to_week=48), data)
    y = measured(data, "volume")
    y = y[..., 2] - subtracted * y[..., 0]
    for row in range(3):
        groups = [y[row][data.arm[row] == a] for a in (0, 1)]
        pooled = sum(((g - g.mean()) ** 2).sum() for g in groups) / 43
        error = np.sqrt(pooled * (1 / 25 + 1 / 20))
        assert batch.estimate[row, 0] == pytest.approx(groups[1].mean() - groups[0].mean())
        assert batch.std_error[row, 0] == pytest.approx(error, rel=FITTED)
        assert batch.df[row, 0] == pytest.approx(43, rel=1e-4)


def test_a_weaker_covariance_takes_over_where_the_first_has_no_maximum():
    """More visits than subjects: no unstructured covariance, but one of two parameters."""
    data = slope_trials(84, 3, (3, 3), dropout=0.0)
    alone = run(analysis_of("mmrm"), data)
    assert (alone.reason != "").all()
    found = run(analysis_of("mmrm", options={"fallback": ("cs",)}), data)
    expected = run(analysis_of("mmrm", options={"covariance": "cs"}), data)
    np.testing.assert_array_equal(found.estimate, expected.estimate)
    assert np.isfinite(found.estimate).all()
