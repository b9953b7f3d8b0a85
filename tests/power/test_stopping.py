"""Estimates at stopping: limits by the bivariate normal law of two looks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from pmsstats.power.boundaries import update_boundaries
from pmsstats.power.group_sequential import GroupSequentialDesign
from pmsstats.power.stopping import estimate_at_stopping


def test_interval_at_stopping_has_the_level_it_names():
    """Each limit leaves alpha, by the bivariate normal law of two looks."""
    design = GroupSequentialDesign(looks=(0.4, 0.7, 1.0))
    fractions, z, error = (0.4, 0.75), 2.6, 0.2
    found = estimate_at_stopping(z, design=design, information_fractions=fractions, std_error=error)
    bound = update_boundaries(design, fractions).efficacy_z[0]
    t, rho = np.array(fractions), math.sqrt(0.4 / 0.75)

    def as_extreme(effect):
        mean = effect / (error * math.sqrt(0.75)) * np.sqrt(t)
        law = stats.multivariate_normal(cov=[[1, -rho], [-rho, 1]])
        later = law.cdf([bound - mean[0], mean[1] - z])
        return stats.norm.sf(bound - mean[0]) + later

    assert found.conf_level == pytest.approx(0.95)
    limits = (found.conf_low, found.estimate, found.conf_high)
    chances = [as_extreme(effect) for effect in limits]
    assert chances == pytest.approx([0.025, 0.5, 0.975], abs=1e-6)
    assert found.p_value == pytest.approx(as_extreme(0.0), abs=1e-6)
