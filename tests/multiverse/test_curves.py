"""Kaplan-Meier numbers from arrays, against lifelines and fit_km."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifelines import KaplanMeierFitter

from pmsstats.models import fit_km
from pmsstats.multiverse.curves import event_free_curve

ROUNDING = 1e-12

follow_up = st.lists(st.tuples(st.integers(1, 12), st.booleans()), min_size=1, max_size=30)


@given(follow_up)
def test_curve_is_that_of_lifelines_and_median_that_of_fit_km(pairs):
    duration, event = (np.array(part) for part in zip(*pairs, strict=True))
    curve = event_free_curve(duration, event)
    theirs = KaplanMeierFitter().fit(duration, event).survival_function_.iloc[:, 0]
    np.testing.assert_allclose(curve.survival, theirs.loc[curve.time], atol=ROUNDING)
    frame = pd.DataFrame({"duration": duration, "event": event})
    median = fit_km(frame).table()["median"].iloc[0]
    assert curve.median() == pytest.approx(median, nan_ok=True)
    for time in (0.5, 3, 7.5, duration.max()):
        known = time <= duration.max() or curve.survival[-1] < ROUNDING
        expected = 1 - theirs[theirs.index <= time].iloc[-1] if known else np.nan
        assert curve.share_at(time) == pytest.approx(expected, abs=ROUNDING, nan_ok=True)


def test_after_the_end_of_follow_up_nothing_is_known():
    curve = event_free_curve(np.array([2, 3]), np.array([True, False]))
    assert curve.share_at(3) == 0.5
    assert np.isnan(curve.share_at(3.1))
    done = event_free_curve(np.array([2, 3]), np.array([True, True]))
    assert done.share_at(100) == 1


def test_nobody_has_no_curve():
    curve = event_free_curve(np.array([], dtype=np.int64), np.array([], dtype=bool))
    assert np.isnan([curve.share_at(1.0), curve.median()]).all()
