"""Start-stop intervals: hand-worked patients, and what never may change."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pmsstats.association.time_varying import value_intervals
from pmsstats.cohort.schema import Measure

MEASURE = Measure(name="nfl", label="NfL", unit="pg/ml", worsening="higher")
NONE = float("nan")

# (what is shown, visit days, values, baseline day, duration, event,
#  expected (start, stop, event, value) rows, expected reasons of left-out visits)
PATIENTS = [
    (
        "each value stands until the next visit, the last until the event",
        [0, 90, 180], [1.0, 2.0, 3.0], 0, 250, True,
        [(0, 90, False, 1.0), (90, 180, False, 2.0), (180, 250, True, 3.0)], [],
    ),
    (
        "the value of the event's own day does not predict it",
        [0, 90, 180], [1.0, 2.0, 3.0], 0, 180, True,
        [(0, 90, False, 1.0), (90, 180, True, 2.0)], ["on or after"],
    ),
    (
        "values after the event are not used",
        [0, 90, 400], [1.0, 2.0, 3.0], 0, 100, True,
        [(0, 90, False, 1.0), (90, 100, True, 2.0)], ["on or after"],
    ),
    (
        "a censored subject has no event row",
        [0, 90], [1.0, 2.0], 0, 120, False,
        [(0, 90, False, 1.0), (90, 120, False, 2.0)], [],
    ),
    (
        "a missing value leaves the one before in force",
        [0, 90, 180], [1.0, NONE, 3.0], 0, 200, True,
        [(0, 180, False, 1.0), (180, 200, True, 3.0)], ["no NfL"],
    ),
    (
        "without a value at baseline the subject enters late",
        [0, 90, 180], [NONE, 2.0, 3.0], 0, 200, True,
        [(90, 180, False, 2.0), (180, 200, True, 3.0)], ["no NfL"],
    ),
    (
        "of two values before baseline the later one holds at baseline",
        [-60, -10, 90], [1.0, 2.0, 3.0], 0, 100, True,
        [(0, 90, False, 2.0), (90, 100, True, 3.0)], ["before baseline"],
    ),
    (
        "a value on the day of baseline replaces an earlier one",
        [-10, 0, 90], [1.0, 2.0, 3.0], 0, 100, False,
        [(0, 90, False, 2.0), (90, 100, False, 3.0)], ["before baseline"],
    ),
    (
        "days count from the endpoint's baseline",
        [0, 30, 120], [1.0, 2.0, 3.0], 30, 100, True,
        [(0, 90, False, 2.0), (90, 100, True, 3.0)], ["before baseline"],
    ),
    ("no value before the event: no row", [100], [1.0], 0, 100, True, [], ["on or after"]),
    ("no follow-up: no row", [0], [1.0], 0, 0, False, [], ["on or after"]),
]  # fmt: skip


def visits_of(days, values, baseline, duration, event, subject="S1") -> pd.DataFrame:
    """Lay one patient out as the method gets it."""
    return pd.DataFrame(
        {
            "subject_id": subject,
            "day": days,
            "nfl": values,
            "outcome_baseline": baseline,
            "outcome_duration": duration,
            "outcome_event": event,
        }
    )


@pytest.mark.parametrize(
    ("days", "values", "baseline", "duration", "event", "expected", "reasons"),
    [patient[1:] for patient in PATIENTS],
    ids=[patient[0] for patient in PATIENTS],
)
def test_intervals_of_hand_worked_patients(
    days, values, baseline, duration, event, expected, reasons
) -> None:
    """Witness: worked by hand, one patient per rule."""
    intervals, left_out = value_intervals(
        visits_of(days, values, baseline, duration, event), MEASURE, "stage"
    )
    assert list(intervals.drop(columns="subject_id").itertuples(index=False, name=None)) == expected
    assert len(left_out) == len(reasons)
    assert all(e.reason.startswith(r) for e, r in zip(left_out, reasons, strict=True))
    assert sum(e.n for e in left_out) + len(intervals) == len(days)


def test_patients_do_not_mix() -> None:
    """All patients at once give the rows of each alone."""
    alone, together = [], []
    for number, (_, days, values, *rest, _, _) in enumerate(PATIENTS):
        visits = visits_of(days, values, *rest, subject=f"S{number:02d}")
        alone.append(value_intervals(visits, MEASURE, "stage")[0])
        together.append(visits)
    assert len(alone) == len(PATIENTS)
    found, _ = value_intervals(pd.concat(together, ignore_index=True), MEASURE, "stage")
    filled = [part for part in alone if len(part)]
    pd.testing.assert_frame_equal(found, pd.concat(filled, ignore_index=True), check_dtype=False)
    assert (found["outcome_stop"] > found["outcome_start"]).all()
    np.testing.assert_array_equal(
        found.groupby("subject_id")["outcome_event"].sum().to_numpy() <= 1, True
    )
