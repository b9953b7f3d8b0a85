"""Distance from a maximum: the length of a Newton step in its own metric."""

from __future__ import annotations

import numpy as np
import pytest

from pmsstats.models.maxima import newton_decrement

ROUNDING = 1e-10  # relative: another order of the same sums


def test_a_quadratic_is_as_far_as_its_step_is_long_in_standard_errors():
    rng = np.random.default_rng(2)
    root = rng.normal(size=(4, 4))
    information = root @ root.T + np.eye(4)
    away = rng.normal(size=4)  # maximum minus point: the gradient is information @ away
    found = newton_decrement(information @ away, information)
    assert found == pytest.approx(away @ information @ away, rel=ROUNDING)
    assert newton_decrement(np.zeros(4), information) == 0.0
