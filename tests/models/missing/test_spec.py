"""Shifts of imputed values: the forms in which they may be asked for."""

from __future__ import annotations

import numpy as np
import pytest

from pmsstats.errors import DesignError
from pmsstats.models.missing import DeltaAdjustment


@pytest.mark.parametrize("value", [1, 1.0, np.int64(1), np.float32(1)])
def test_a_shift_may_be_any_number(value):
    assert DeltaAdjustment(arm="active", values=value) == DeltaAdjustment(arm="active", values=1.0)


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
