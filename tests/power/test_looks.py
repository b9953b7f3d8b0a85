"""Bounds at the looks that took place: conditional power by hand, beyond and short of the plan."""

from __future__ import annotations

import math

import pytest
from scipy import stats

from pmsstats.power.boundaries import boundaries
from pmsstats.power.group_sequential import GroupSequentialDesign
from pmsstats.power.looks import sequential_bounds


@pytest.mark.parametrize("trend", ["design", "observed"])
@pytest.mark.parametrize("last", [0.8, 1.0, 1.3])
def test_conditional_power_is_at_its_limit_whatever_the_end(trend, last):
    """Also where the trial ends with less or more information than planned."""
    design = GroupSequentialDesign(
        looks=(0.4, 1.0), futility="conditional_power", futility_parameter=0.2, futility_trend=trend
    )
    t = 0.5
    bounds = sequential_bounds(design, (t, last))
    z, critical = bounds.futility[0], bounds.efficacy[1]
    drift = boundaries(design).drift if trend == "design" else z / math.sqrt(t)
    mean = z * math.sqrt(t) + drift * (last - t)
    chance = stats.norm.sf((critical * math.sqrt(last) - mean) / math.sqrt(last - t))
    assert chance == pytest.approx(0.2, abs=1e-9)
