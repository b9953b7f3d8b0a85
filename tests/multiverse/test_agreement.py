"""Cohen's kappa of all pairs at once, against a loop over subjects."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmsstats.multiverse import agreement
from pmsstats.multiverse.agreement import kappa_matrix, median_kappa, status_by
from pmsstats.multiverse.event_tables import EventTables
from pmsstats.seeds import stream

ROUNDING = 1e-12


def kappa_by_loop(known: np.ndarray, event: np.ndarray, i: int, j: int) -> float:
    """Observed and chance agreement, subject by subject (Cohen 1960)."""
    both = [s for s in range(known.shape[1]) if known[i, s] and known[j, s]]
    if not both:
        return float("nan")
    observed = sum(event[i, s] == event[j, s] for s in both) / len(both)
    first = sum(event[i, s] for s in both) / len(both)
    second = sum(event[j, s] for s in both) / len(both)
    chance = first * second + (1 - first) * (1 - second)
    return float("nan") if chance == 1 else (observed - chance) / (1 - chance)


@st.composite
def statuses(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    shape = (draw(st.integers(1, 5)), draw(st.integers(1, 9)))
    cells = shape[0] * shape[1]
    codes = np.array(draw(st.lists(st.sampled_from("nyu"), min_size=cells, max_size=cells)))
    return (codes != "u").reshape(shape), (codes == "y").reshape(shape)


@given(statuses())
def test_kappa_is_that_of_a_loop_over_subjects(status):
    known, event = status
    n = len(known)
    expected = [[kappa_by_loop(known, event, i, j) for j in range(n)] for i in range(n)]
    np.testing.assert_allclose(kappa_matrix(known, event), expected, atol=ROUNDING)


@given(statuses())
def test_median_is_over_the_other_definitions(status):
    matrix = kappa_matrix(*status)
    n = len(matrix)
    others = [[matrix[i, j] for j in range(n) if j != i and matrix[i, j] == matrix[i, j]]
              for i in range(n)]  # fmt: skip
    expected = [np.median(row) if row else np.nan for row in others]
    np.testing.assert_allclose(median_kappa(*status), expected, atol=ROUNDING)


def test_blocks_of_rows_are_those_of_the_matrix(monkeypatch):
    rng = stream(3, "status")
    known, event = rng.random((11, 40)) < 0.8, rng.random((11, 40)) < 0.4
    status = known, event & known
    np.testing.assert_array_equal(
        kappa_matrix(*status, rows=slice(4, 8)), kappa_matrix(*status)[4:8]
    )
    whole = median_kappa(*status)
    monkeypatch.setattr(agreement, "_BLOCK", 4)
    np.testing.assert_array_equal(median_kappa(*status), whole)


def test_three_known_values():
    event = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1], [1, 0, 1, 0]], dtype=bool)
    matrix = kappa_matrix(np.ones_like(event), event)
    assert matrix[0].tolist() == [1, 1, -1, 0]


def test_large_counts_stay_whole_numbers():
    # 3,999,999 agree on no event, one disagrees: products of counts need more than single precision
    event = np.zeros((2, 4_000_000), dtype=bool)
    event[:, :1000] = True
    event[1, 1000] = True
    p, q = 1000 / 4e6, 1001 / 4e6
    chance = p * q + (1 - p) * (1 - q)
    expected = (1 - 1 / 4e6 - chance) / (1 - chance)
    assert kappa_matrix(np.ones_like(event), event)[0, 1] == pytest.approx(expected, rel=1e-9)


def test_status_by_a_day_needs_an_event_or_follow_up():
    tables = EventTables(
        subject_ids=np.array(list("abcde"), dtype=object),
        at_risk=np.array([[True, True, True, True, False]]),
        event=np.array([[True, True, False, False, False]]),
        duration=np.array([[100, 101, 99, 100, 0]]),
        problems=("",),
    )
    known, early = status_by(tables, 100)
    assert known.tolist() == [[True, True, False, True, False]]
    assert early.tolist() == [[True, False, False, False, False]]
    assert [part.tolist() for part in status_by(tables, None)] == [
        tables.at_risk.tolist(), tables.event.tolist(),
    ]  # fmt: skip
