"""Arms by chance."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from plain_trials import LINE, scenario

from synthetic import generate_trials

ERRORS = 4


@pytest.mark.parametrize("model", ["random_slope", "ppms_trial"])
def test_arms_by_chance_are_in_the_ratio_of_the_scenario(model):
    settings, measure = {"random_slope": (LINE, "y"), "ppms_trial": ({}, "edss")}[model]
    asked = scenario(model, settings, n=1000, measures=(measure,))
    arms = (asked.arms[0], dataclasses.replace(asked.arms[1], ratio=3.0))
    drawn = generate_trials(dataclasses.replace(asked, arms=arms), 4, first=0, last=4)
    assert abs((drawn.arm == 1).mean() - 0.75) < ERRORS * np.sqrt(0.75 * 0.25 / drawn.arm.size)
