"""What is expected of a fit when hardly anybody is left, and where nothing is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from pmsstats.power.expected_fit import invert_information
from pmsstats.power.schedule import VisitSchedule
from pmsstats.power.slope import power_slope
from pmsstats.power.slope_variance import SlopeModel

FEW = [
    {"n": 3, "dropout": 0.6, "schedule": VisitSchedule(years=(0, 1))},
    {"n": 4, "dropout": 0.9, "schedule": VisitSchedule(years=(0, 1, 2))},
]
MODELS = [
    SlopeModel(slope_sd=0.0, residual_sd=0.5),
    SlopeModel(slope_sd=1.0, residual_sd=0.5),
    SlopeModel(slope_sd=0.5, residual_sd=0.6, intercept_sd=1.0, correlation=0.3),
]


@pytest.mark.parametrize("method", ["gls", "hu_mackey_thomas"])
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("plan", FEW)
def test_fewer_than_are_estimated_leave_one_df(plan, model, method):
    """No warning either: 1.2 of 3 subjects with a change, or 0.4 of 4, tell no variance."""
    found = power_slope(effect=1.0, model=model, method=method, **plan)
    shown = found.table().set_index("quantity")["value"]
    assert shown["df"] == 1.0
    bound, shift = stats.t.isf(0.025, 1), 1.0 / shown["std_error"]
    by_hand = stats.nct.sf(bound, 1, shift) + stats.nct.cdf(-bound, 1, shift)
    assert found.power == pytest.approx(by_hand, rel=1e-6)


def test_directions_without_information_stay_unknown():
    found = invert_information(np.array([[4.0, 0.0, 1.0], [0.0, 0.0, 0.0], [1.0, 0.0, 1.0]]))
    assert found == pytest.approx(np.array([[1, 0, -1], [0, 0, 0], [-1, 0, 4]]) / 3, abs=1e-12)
    alike = invert_information(np.ones((2, 2)))  # only their sum is known
    assert alike == pytest.approx(np.full((2, 2), 0.25), abs=1e-12)


def test_arms_may_have_different_numbers_of_variances():
    """Two scans, slopes that vary in one arm only: Welch's t-test of changes, by hand."""
    models = (SlopeModel(slope_sd=0.0, residual_sd=0.5), SlopeModel(slope_sd=1.0, residual_sd=0.5))
    found = power_slope(n=(10, 20), effect=1.0, model=models, schedule=VisitSchedule(years=(0, 1)))
    shown = found.table().set_index("quantity")["value"]
    parts = (0.5 / 10, 1.5 / 20)
    assert shown["std_error"] == pytest.approx(math.sqrt(sum(parts)), rel=1e-10)
    welch = sum(parts) ** 2 / (parts[0] ** 2 / 9 + parts[1] ** 2 / 19)
    assert shown["df"] == pytest.approx(welch, rel=1e-8)
