"""Events per subject. Witnesses: subjects worked by hand; a count of patients drawn at random by
another route, from the events that a search on the rest of the follow-up finds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from pmsstats.cohort import Cohort
from pmsstats.endpoints import derive_endpoint, derive_progression, progression_rule
from pmsstats.endpoints.derivation.event_counts import count_events
from pmsstats.errors import DesignError

ALL = replace(
    progression_rule("cdp12"), name="all", label="", events="multiple", baseline="roving",
    classify_relapses=True,
)  # fmt: skip
COURSES = {
    "two": [4.0, 5.0, 5.0, 6.0, 6.0, 6.0],
    "down": [4.0, 5.0, 5.0, 4.0, 4.0, 4.0],
    "none": [4.0, 4.0, 4.5, 4.0, 4.5, 4.5],
    "alone": [4.0],
}


def cohort_of(courses: dict[str, list[float]], relapses: dict[str, int]) -> Cohort:
    """One visit every 184 days from day -10 on."""
    rows = [(s, -10 + 184 * i, v) for s, values in courses.items() for i, v in enumerate(values)]
    return Cohort(
        pd.DataFrame({"subject_id": list(courses)}),
        pd.DataFrame(rows, columns=["subject_id", "day", "edss"]),
        relapses=pd.DataFrame(list(relapses.items()), columns=["subject_id", "day"]),
    )


COHORT = cohort_of(COURSES, {"two": 530})
RESULT = derive_progression(COHORT, ALL)


def test_counts_by_hand() -> None:
    """Exposure is all of the follow-up, not only the time to the first event."""
    counts = count_events(COHORT, RESULT)
    assert counts["subject_id"].tolist() == ["down", "none", "two"]
    assert counts["n_events"].tolist() == [1, 0, 2]
    assert counts["years"].tolist() == [5 * 184 / 365.25] * 3
    assert count_events(COHORT, RESULT, change="improvement")["n_events"].tolist() == [1, 0, 0]


@pytest.mark.parametrize(("relapse_class", "n"), [("RAW", 1), ("PIRA", 1), ("undetermined", 0)])
def test_worsenings_of_a_class(relapse_class: str, n: int) -> None:
    """The second worsening comes 12 days after a relapse."""
    counts = count_events(COHORT, RESULT, relapse_class=relapse_class).set_index("subject_id")
    assert counts.loc["two", "n_events"] == n


def test_years_end_at_the_last_value() -> None:
    courses = {"two": [4.0, 5.0, 5.0, 6.0, 6.0, np.nan], "other": [4.0] * 6}
    cohort = cohort_of(courses, {})
    counts = count_events(cohort, derive_progression(cohort, ALL)).set_index("subject_id")
    assert counts["years"].to_dict() == {"two": 4 * 184 / 365.25, "other": 5 * 184 / 365.25}


def test_counts_agree_with_a_search_from_event_to_event() -> None:
    """Cut off what was used, look for the first event again, until there is none."""
    rng = np.random.default_rng(5)
    steps = rng.choice([-1.0, 0.0, 0.0, 1.0], size=(40, 9))
    courses = {
        f"S{i:02d}": np.clip(4 + steps[i].cumsum(), 1, 9).tolist() for i in range(len(steps))
    }
    cohort = cohort_of(courses, {})
    counts = count_events(cohort, derive_progression(cohort, ALL)).set_index("subject_id")
    expected = {subject: _count_by_hand(values) for subject, values in courses.items()}
    assert max(expected.values()) > 1
    assert counts["n_events"].to_dict() == expected


def _count_by_hand(values: list[float]) -> int:
    """A point, still there at the next visit; the baseline follows."""
    base, row, n = values[0], 1, 0
    while row < len(values) - 1:
        change, later = values[row] - base, values[row + 1] - base
        confirmed = min(abs(change), abs(later)) >= 1 and change * later > 0
        n += int(confirmed and change > 0)
        base, row = (values[row + 1], row + 2) if confirmed else (base, row + 1)
    return n


@pytest.mark.parametrize(
    ("rule", "message"),
    [("cdp12", "events='multiple'"), ({"kind": "relapse", "name": "relapse"}, "RelapseEventRule")],
)
def test_rules_that_stop_at_the_first_event_are_refused(rule: object, message: str) -> None:
    result = derive_endpoint(COHORT, rule)
    with pytest.raises(DesignError, match=message):
        count_events(COHORT, result)


def test_another_cohort_is_refused() -> None:
    other = cohort_of({**COURSES, "two": [4.0]}, {})
    with pytest.raises(DesignError, match=r"not the one .* 1 .*two"):
        count_events(other, RESULT)


@pytest.mark.parametrize("choice", [{"change": "worse"}, {"relapse_class": "pira"}])
def test_unknown_choices_are_refused(choice: dict[str, str]) -> None:
    with pytest.raises(DesignError, match="must be one of"):
        count_events(COHORT, RESULT, **choice)


def test_a_result_counts_its_events() -> None:
    pd.testing.assert_frame_equal(RESULT.counts(COHORT), count_events(COHORT, RESULT))
    shown = RESULT.counts(COHORT, change="improvement")
    assert shown["n_events"].sum() == 1
