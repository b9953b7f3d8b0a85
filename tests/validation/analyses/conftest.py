"""Studies of three kinds: levels and changes, arms, frequent ratings."""

from __future__ import annotations

import pytest
from studies_by_hand import make


@pytest.fixture(scope="module")
def three_groups():
    return make()


@pytest.fixture(scope="module")
def trial():
    return make(groups=(("PPMS", 60),), treatments=("placebo", "active"))


@pytest.fixture(scope="module")
def rated():
    weeks = tuple(range(0, 105, 12))
    years = tuple(w * 7 / 365.25 for w in weeks)
    return make(groups=(("SPMS", 70), ("PPMS", 60)), weeks=weeks, years=years, conversion=True)
