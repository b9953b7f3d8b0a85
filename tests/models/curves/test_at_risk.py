"""Counts at risk and events, against counting subject by subject."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pmsstats.models.curves.at_risk import segments, tabulate_at_risk


def draw(seed: int, n: int = 40):
    """Draw tied times with late entry, two strata, three groups and two causes."""
    rng = np.random.default_rng(seed)
    duration = rng.integers(1, 9, n).astype(float)
    entry = np.floor(rng.uniform(0, duration))
    return duration, rng.integers(0, 3, n), rng.integers(0, 3, n), rng.integers(0, 2, n), entry


@given(seed=st.integers(0, 2**32 - 1))
def test_every_cell_is_a_count_of_subjects(seed: int) -> None:
    duration, code, group, stratum, entry = draw(seed)
    table = tabulate_at_risk(
        duration, code, group=group, stratum=stratum, entry=entry, n_causes=2, every_time=True
    )
    assert len(table.time) == len(set(zip(stratum, duration, strict=True)))
    for j, (s, t) in enumerate(zip(table.stratum, table.time, strict=True)):
        for g in range(len(table.n_at_risk)):
            mine = (stratum == s) & (group == g)
            assert table.n_at_risk[g, j] == np.sum(mine & (entry < t) & (duration >= t))
            assert table.n_censored[g, j] == np.sum(mine & (duration == t) & (code == 0))
            for cause in (1, 2):
                found = table.n_events[cause - 1, g, j]
                assert found == np.sum(mine & (duration == t) & (code == cause))


@given(seed=st.integers(0, 2**32 - 1))
def test_event_times_are_the_rows_with_events(seed: int) -> None:
    duration, code, group, stratum, entry = draw(seed)
    codes = {"group": group, "stratum": stratum, "entry": entry, "n_causes": 2}
    every = tabulate_at_risk(duration, code, **codes, every_time=True)
    some = tabulate_at_risk(duration, code, **codes)
    kept = every.n_events.sum(axis=(0, 1)) > 0
    np.testing.assert_array_equal(some.time, every.time[kept])
    np.testing.assert_array_equal(some.n_at_risk, every.n_at_risk[:, kept])
    np.testing.assert_array_equal(some.n_events, every.n_events[:, :, kept])


def test_segments_cover_all_times() -> None:
    parts = segments(np.array([0, 0, 1, 3, 3, 3]))
    assert [(part.start, part.stop) for part in parts] == [(0, 2), (2, 3), (3, 6)]
    assert segments(np.array([], dtype=int)) == []
