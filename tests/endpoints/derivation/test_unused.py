"""Who is not at risk and which visits are not used: worked by hand, each with its reason once."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pmsstats.cohort import Cohort
from pmsstats.endpoints import (
    PRESETS,
    EndpointResult,
    LevelThreshold,
    RelativeThreshold,
    derive_progression,
)
from pmsstats.errors import DesignError

CDP12 = PRESETS["cdp12"]
DAYS = (0, 84, 168, 252)
NO_BASELINE = "no visit with EDSS after a baseline"
STABLE = {"Z": (4.0, 4.0, 4.0, 4.0)}  # always at risk, so that there is a result


def derive(
    scores: dict[str, tuple],
    relapses: dict[str, tuple[int, ...]] | None = None,
    columns: dict[str, list] | None = None,
    **changes: Any,
) -> EndpointResult:
    """Derive a variant of CDP12 on visits every 12 weeks."""
    everybody = {**scores, **STABLE}
    visits = pd.DataFrame(
        [(s, d, v) for s, vs in everybody.items() for d, v in zip(DAYS, vs, strict=False)],
        columns=["subject_id", "day", "edss"],
    )
    frame = visits.assign(**(columns or {}))
    onsets = [(s, day) for s, days in (relapses or {}).items() for day in days]
    table = pd.DataFrame(onsets, columns=["subject_id", "day"])
    subjects = pd.DataFrame({"subject_id": list(everybody)})
    cohort = Cohort(subjects, frame, table if onsets else None)
    return derive_progression(cohort, dataclasses.replace(CDP12, **changes))


def left_out(result: EndpointResult, unit: str) -> dict[str, tuple[int, tuple[str, ...]]]:
    return {e.reason: (e.n, e.subject_ids) for e in result.exclusions if e.unit == unit}


@pytest.mark.parametrize(
    ("scores", "relapses", "changes", "reason"),
    [
        (
            (2.0, 3.0, 3.0),
            (),
            {"baseline_range": (3.0, 6.5)},
            "EDSS at baseline is not from 3 to 6.5",
        ),
        (
            (7.0, 7.0, 7.0),
            (),
            {"baseline_range": (3.0, 6.5)},
            "EDSS at baseline is not from 3 to 6.5",
        ),
        (
            (2.0, 3.0, 3.0),
            (),
            {"baseline_range": (3, np.inf)},
            "EDSS at baseline is not at least 3",
        ),
        ((7.0, 7.0), (), {"baseline_range": (-np.inf, 6.5)}, "EDSS at baseline is not at most 6.5"),
        (
            (6.0, 6.5, 6.5),
            (),
            {"threshold": LevelThreshold(level=6.0)},
            "EDSS at baseline has reached 6 already",
        ),
        (
            (0.0, 1.0, 1.0),
            (),
            {"threshold": RelativeThreshold(fraction=0.2)},
            "EDSS at baseline is not above 0, so no share of it can be taken",
        ),
        (
            (4.0, 5.0, 5.0),
            (-5, 80, 160),
            {"relapse_to_baseline_days": 30},
            f"{NO_BASELINE} free of relapse influence",
        ),
        (
            (4.0, 5.0),
            (-5,),
            {"relapse_to_baseline_days": 30, "skip_local_extrema": "all"},
            f"{NO_BASELINE} free of relapse influence and that is no local extremum",
        ),
        # two reasons at once: the first in the order of a reader's questions
        ((7.0,), (), {"baseline_range": (3.0, 6.5)}, "no visit with EDSS after baseline"),
    ],
)
def test_not_at_risk(scores: tuple, relapses: tuple, changes: dict, reason: str) -> None:
    result = derive({"A": scores}, {"A": relapses}, **changes)
    assert left_out(result, "subject") == {reason: (1, ("A",))}
    assert result.events["subject_id"].tolist() == ["Z"]


@pytest.mark.parametrize(("level", "at_risk"), [(6.5, True), (6.0, False), (6.0 + 1e-12, False)])
def test_a_level_is_reached_as_a_decimal(level: float, at_risk: bool) -> None:
    result = derive({"A": (6.0, 6.5, 6.5)}, threshold=LevelThreshold(level=level))
    assert ("A" in set(result.events["subject_id"])) == at_risk


@pytest.mark.parametrize("bound", [3.0, 3.0 + 1e-12])
def test_a_range_holds_its_ends_as_decimals(bound: float) -> None:
    result = derive({"A": (3.0, 4.0, 4.0)}, baseline_range=(bound, 6.5))
    assert result.events.set_index("subject_id").loc["A", "event"]


def test_another_measure_tells_how_much_change_counts() -> None:
    nhpt = [20.0, 20, 20, np.nan, 20, 20, *[20] * 4]
    result = derive(
        {"A": (4.0, 5.0, 5.0), "B": (4.0, 5.0, 5.0)},
        columns={"nhpt_s": nhpt},
        threshold_from="nhpt_s",
    )
    reason = "Nine-hole peg test at baseline does not tell how much change counts"
    assert left_out(result, "subject") == {reason: (1, ("B",))}
    assert result.events["subject_id"].tolist() == ["A", "Z"]


A_FEW = {"A": (4.0, 4.0, 5.0, 5.0), "B": (4.0, 4.0, 4.0, 4.0)}
NEAR = {"A": (160,), "B": (75,)}  # 8 and 92 days before visits of A, 9 and 93 of B


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {}),
        (
            {"relapse_to_onset_days": 30},
            {"fewer than 30 days after a relapse: no onset": (2, ("A", "B"))},
        ),
        (
            {"relapse_to_confirmation_days": 93},
            {"fewer than 93 days after a relapse: no confirmation": (3, ("A", "B"))},
        ),
        (
            {"relapse_to_onset_days": 30, "relapse_to_confirmation_days": 30},
            {"fewer than 30 days after a relapse: no onset, no confirmation": (2, ("A", "B"))},
        ),
        (
            # A: day 168 bars both, day 252 confirmation; so do B's days 84 and 168
            {"relapse_to_onset_days": 30, "relapse_to_confirmation_days": 94},
            {
                "fewer than 30 days after a relapse; fewer than 94 days after a relapse: no "
                "onset, no confirmation": (2, ("A", "B")),
                "fewer than 94 days after a relapse: no confirmation": (2, ("A", "B")),
            },
        ),
        (
            # A: 76 days before the relapse on day 84, and 8 after it on day 168
            {"relapse_to_onset_days": (10, 80)},
            {
                "fewer than 10 days after a relapse or fewer than 80 days before a relapse: no "
                "onset": (3, ("A", "B"))
            },
        ),
        (
            # B's baseline is 75 days before its relapse; day 84 comes 9 days after it
            {"relapse_to_baseline_days": (30, 80)},
            {"before a baseline free of relapse influence": (1, ("B",))},
        ),
        (
            {"confirmation_visits": "scheduled"},
            {"not among `scheduled`: no confirmation": (2, ("A", "Z"))},
        ),
        (
            {"confirmation_visits": "scheduled", "relapse_to_confirmation_days": 30},
            {
                "fewer than 30 days after a relapse, or not among `scheduled`: no confirmation": (
                    4,
                    ("A", "B", "Z"),
                )
            },
        ),
    ],
)
def test_visits_not_used(changes: dict, expected: dict) -> None:
    scheduled = [True, True, True, False, *[True] * 4, *[True, True, True, None]]
    result = derive(A_FEW, NEAR, {"scheduled": scheduled}, **changes)
    assert left_out(result, "visit") == expected


def test_visits_too_soon_after_the_baseline() -> None:
    """Days 84 of both; day 168 comes in time."""
    result = derive({"A": (4.0, 5.0, 5.0, 5.0)}, min_days_from_baseline=100)
    reason = "fewer than 100 days after the baseline: no onset"
    assert left_out(result, "visit") == {reason: (2, ("A", "Z"))}
    assert result.events["duration"].tolist() == [168, 252]


@pytest.mark.parametrize(
    ("visit", "when"), [("day_0", "at or before day 0"), ("first", "at any visit")]
)
def test_a_baseline_needs_a_grade_of_a_leading_system(visit: str, when: str) -> None:
    result = derive(
        {"A": (4.0, 5.0, 5.0, 5.0)},
        columns={"fs_pyramidal": [np.nan] * 4 + [2.0] * 4},
        leading_systems=("fs_pyramidal",),
        baseline_visit=visit,
    )
    reason = f"no EDSS with a grade of a leading system {when} (no baseline)"
    assert left_out(result, "subject") == {reason: (1, ("A",))}


def test_why_nobody_is_at_risk() -> None:
    with pytest.raises(DesignError, match=r"at least 9: 2 \(A, Z\)"):
        derive({"A": (4.0, 5.0)}, baseline_range=(9, np.inf))
