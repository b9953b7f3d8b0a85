"""Second look at missing data: Monte Carlo error of pooled answers, and forms of a shift."""

from __future__ import annotations

import numpy as np
import pytest

from pmsstats.errors import DesignError
from pmsstats.models.missing import DeltaAdjustment
from pmsstats.models.missing.pooling import pool_rubin

ROUNDING = 1e-12


def test_error_and_missing_information_of_a_pooled_answer_by_hand():
    """Rubin 1987: T = W + (1 + 1 / m) B, (r + 2 / (nu + 3)) / (1 + r); mean of m draws: B / m."""
    answers = np.array([[1.0], [2.0], [4.0], [5.0]])
    found = pool_rubin(answers, np.full((4, 1), 0.5), np.full((4, 1), 30.0), ("x",)).iloc[0]
    between, within = 10 / 3, 0.5
    total = within + 1.25 * between
    missing = 1.25 * between / total
    nu = 1 / (missing**2 / 3 + 1 / (31 / 33 * 30 * (1 - missing)))
    increase = 1.25 * between / within
    assert found["estimate"] == 3.0
    assert found["mcse"] == pytest.approx(np.sqrt(between / 4), rel=ROUNDING)
    assert found["std_error"] == pytest.approx(np.sqrt(total), rel=ROUNDING)
    assert found["df"] == pytest.approx(nu, rel=ROUNDING)
    expected = (increase + 2 / (nu + 3)) / (1 + increase)
    assert found["fraction_missing"] == pytest.approx(expected, rel=ROUNDING)


@pytest.mark.parametrize("value", [1, 1.0, np.int64(1), np.float32(1)])
def test_a_shift_may_be_any_number(value):
    assert DeltaAdjustment(arm="active", values=value).values == 1.0


@pytest.mark.parametrize("values", [{"W48": 2}, (("W48", 2),), [("W48", np.int64(2))]])
def test_shifts_by_visit_may_come_in_any_form(values):
    """All are pairs in the end, so that a request can be told apart and hashed."""
    found = DeltaAdjustment(arm="active", values=values)
    assert found == DeltaAdjustment(arm="active", values=(("W48", 2.0),))
    assert isinstance(hash(found), int)


@pytest.mark.parametrize("values", ["1", "W48", None, (1.0, 2.0), {"W48": "much"}])
def test_shifts_that_are_none_are_refused(values):
    with pytest.raises(DesignError, match="must be one number, or a mapping of visit to number"):
        DeltaAdjustment(arm="active", values=values)
