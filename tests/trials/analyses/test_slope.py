"""Slopes in a window of later visits."""

from __future__ import annotations

import numpy as np
import pytest
from trial_cases import analysis_of, measured, slope_trials

from pmsstats.trials.scenario import TrialEndpoint
from tests.trials.analyses.small_trials import run


@pytest.mark.parametrize("method", ["random_slope", "multivariate"])
def test_a_shift_of_one_arm_does_not_move_slopes_in_a_later_window(method):
    data = slope_trials(53, 3, (25, 25), measures=("volume", "walk"), slopes=(-1.0, -0.5))
    up = 0.8 * (data.arm == 1)[..., None]
    moved = {name: measured(data, name) + up for name in ("volume", "walk")}
    endpoints = tuple(TrialEndpoint(name=n, measure=n) for n in ("volume", "walk"))
    analysis = analysis_of(method, from_week=24, endpoints=("volume", "walk"))
    one, other = (run(analysis, d, endpoints=endpoints) for d in (data, data.replace(values=moved)))
    np.testing.assert_allclose(one.estimate, other.estimate, rtol=2e-3)
    np.testing.assert_allclose(one.std_error, other.std_error, rtol=2e-3)
