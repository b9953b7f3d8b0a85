"""Recorded events and exits: witnesses are tables of a few subjects, worked by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pmsstats.cohort import Cohort
from pmsstats.endpoints import (
    ExitEventRule,
    RecordedEventRule,
    derive_exit_event,
    derive_recorded_event,
)
from pmsstats.errors import DesignError, SchemaError


def recorded_cohort(**columns: list) -> Cohort:
    n = len(next(iter(columns.values())))
    ids = [f"S{i + 1}" for i in range(n)]
    visits = pd.DataFrame({"subject_id": ids, "day": 0, "edss": 4.0})
    return Cohort(pd.DataFrame({"subject_id": ids, **columns}), visits)


RULE = RecordedEventRule(duration="time", event="status")


@pytest.mark.parametrize(
    ("options", "time", "status", "durations", "events"),
    [
        ({}, [10, 20], [True, False], [10, 20], [True, False]),
        ({}, [10, 20], [1, 0], [10, 20], [True, False]),
        ({}, [10.0, 20.0], [1.0, 0.0], [10, 20], [True, False]),
        ({}, ["10", "20"], ["1", "0"], [10, 20], [True, False]),
        ({"duration_unit": "year"}, [1.0, 2.0], [1, 0], [365, 730], [True, False]),
        ({"duration_unit": "week"}, [1, 2], [1, 0], [7, 14], [True, False]),
        ({"duration_unit": "month"}, [12, 1], [1, 0], [365, 30], [True, False]),
        ({"event_values": ("dead",)}, [5, 6], ["dead", "alive"], [5, 6], [True, False]),
        ({"event_values": "dead"}, [5, 6], ["dead", "alive"], [5, 6], [True, False]),
        ({"event_values": (0,)}, [5, 6], [0, 1], [5, 6], [True, False]),  # ADaM: CNSR = 0
        ({"event_values": (0,)}, [5, 6], ["0", "1"], [5, 6], [True, False]),
        ({"event_values": ("0",)}, [5, 6], [0.0, 1.0], [5, 6], [True, False]),
        ({}, [5, 6], ["TRUE", "false"], [5, 6], [True, False]),
        ({}, [5, 6], ["yes", "no"], [5, 6], [True, False]),
        ({}, [0, 6], [1, 1], [0, 6], [True, True]),
    ],
)
def test_recorded_event(
    options: dict, time: list, status: list, durations: list, events: list
) -> None:
    rule = RecordedEventRule(duration="time", event="status", **options)
    table = derive_recorded_event(recorded_cohort(time=time, status=status), rule).table()
    assert table["duration"].tolist() == durations
    assert table["event"].tolist() == events
    assert table["duration"].dtype == np.int64
    assert table["event"].dtype == bool


def test_recorded_onset_is_the_end_of_an_event_only() -> None:
    table = derive_recorded_event(recorded_cohort(time=[10, 20], status=[1, 0]), RULE).table()
    assert table["day_onset"].isna().tolist() == [False, True]
    assert table["day_onset"][0] == 10
    assert table["day_confirmed"].isna().all()
    assert table["censor_reason"].tolist() == ["", "recorded as censored"]


def test_subjects_without_a_record_are_counted() -> None:
    cohort = recorded_cohort(time=[10, np.nan, 30, -1], status=[1, 1, None, 0])
    result = derive_recorded_event(cohort, RULE)
    assert result.table()["subject_id"].tolist() == ["S1"]
    assert [(e.reason, e.subject_ids) for e in result.exclusions] == [
        ("no value in `time`", ("S2",)),
        ("no value in `status`", ("S3",)),
        ("`time` is negative", ("S4",)),
    ]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"tim": [1], "status": [1]}, "Did you mean 'tim'"),
        ({"time": [1], "statu": [1]}, "Did you mean 'statu'"),
        ({"time": ["soon"], "status": [1]}, "a number of days, but 1 subject"),
        ({"time": [1], "status": ["dead"]}, "true / false or 0 / 1, but holds 'dead'"),
        ({"time": [1], "status": [2]}, "true / false or 0 / 1, but holds 2"),
    ],
)
def test_recorded_columns_that_will_not_do(columns: dict, message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        derive_recorded_event(recorded_cohort(**columns), RULE)


def test_event_values_that_nobody_has() -> None:
    rule = RecordedEventRule(duration="time", event="status", event_values=("dead",))
    with pytest.raises(DesignError, match=r"Did you mean 'died'\? It has: died, alive"):
        derive_recorded_event(recorded_cohort(time=[1, 2], status=["died", "alive"]), rule)


def test_nobody_recorded() -> None:
    cohort = recorded_cohort(time=[np.nan, np.nan], status=[1, 0])
    with pytest.raises(DesignError, match=r"no value in `time`: 2 \(S1, S2\)"):
        derive_recorded_event(cohort, RULE)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"duration": ""}, "must be a text"),
        ({"event": 3}, "must be a text"),
        ({"duration_unit": "days"}, "Did you mean 'day'"),
    ],
)
def test_recorded_rule_is_checked_when_made(fields: dict, message: str) -> None:
    with pytest.raises(DesignError, match=message):
        RecordedEventRule(**{"duration": "time", "event": "status", **fields})


# --- exits --------------------------------------------------------------------------------------


@pytest.fixture
def exit_cohort() -> Cohort:
    """A died, B withdrew, C is still followed, D has only day 0, E died at day 50 unseen."""
    rows = [("A", 0), ("A", 84), ("B", 0), ("B", 84), ("C", 0), ("C", 168), ("D", 0), ("E", 0)]
    visits = pd.DataFrame(rows, columns=["subject_id", "day"]).assign(edss=4.0)
    exits = [("A", 100, "death"), ("B", 200, "dropout"), ("E", 50, "death")]
    return Cohort(
        pd.DataFrame({"subject_id": list("ABCDE")}),
        visits,
        exits=pd.DataFrame(exits, columns=["subject_id", "day", "reason"]),
    )


def test_death_as_an_event(exit_cohort: Cohort) -> None:
    result = derive_exit_event(exit_cohort, ExitEventRule(reasons=("death",)))
    table = result.table()
    assert table["subject_id"].tolist() == ["A", "B", "C", "E"]
    assert table["duration"].tolist() == [100, 200, 168, 50]
    assert table["event"].tolist() == [True, False, False, True]
    assert table["censor_reason"].tolist() == ["", "left the study", "last visit", ""]
    assert table["exit_reason"].tolist() == ["death", "dropout", "", "death"]
    assert [(e.reason, e.subject_ids) for e in result.exclusions] == [
        ("no follow-up after day 0", ("D",))
    ]


def test_several_reasons(exit_cohort: Cohort) -> None:
    rule = ExitEventRule(reasons=["death", "dropout"])
    assert derive_exit_event(exit_cohort, rule).n_events == 3
    assert rule.title == "death or dropout"


def test_reason_that_does_not_occur(exit_cohort: Cohort) -> None:
    with pytest.raises(DesignError, match=r"Did you mean 'death'\? It has: death, dropout"):
        derive_exit_event(exit_cohort, ExitEventRule(reasons=("deaths",)))


def test_no_exits_at_all() -> None:
    cohort = recorded_cohort(time=[1])
    with pytest.raises(DesignError, match="It has: no exit"):
        derive_exit_event(cohort, ExitEventRule(reasons=("death",)))


@pytest.mark.parametrize("reasons", [(), ("",), (3,), None])
def test_reasons_are_checked(reasons: object) -> None:
    with pytest.raises(DesignError, match="must be a list of reasons"):
        ExitEventRule(reasons=reasons)


def test_definitions_say_what_was_done() -> None:
    recorded = RecordedEventRule(duration="time", event="status", label="transplant or death")
    assert recorded.describe().startswith("Transplant or death, as recorded")
    assert "`time` (in days)" in recorded.describe()
    exits = ExitEventRule(reasons=("death",), label="death from any cause")
    assert "the reason of the exit is 'death'" in exits.describe()
    assert "all others at their last visit" in exits.describe()


def test_recorded_events_and_exits_are_exact(exit_cohort: Cohort) -> None:
    """Both ends of the interval are the day; without the event, it is open to the right."""
    recorded = derive_recorded_event(recorded_cohort(time=[10, 20], status=[1, 0]), RULE).table()
    assert recorded["interval_left"].tolist() == [10, 20]
    assert recorded["interval_right"].tolist() == [10, np.inf]
    exits = derive_exit_event(exit_cohort, ExitEventRule(reasons=("dropout",))).table()
    assert exits["interval_left"].tolist() == [100, 200, 168, 50]
    assert exits["interval_right"].tolist() == [np.inf, 200, np.inf, np.inf]
    assert exits["status"].tolist() == ["death", "event", "censored", "death"]
    assert exits["death_duration"].fillna(-1).tolist() == [100, -1, -1, 50]


def test_reason_may_be_absent_on_request(exit_cohort: Cohort) -> None:
    rule = ExitEventRule(reasons=("relocation",))
    assert derive_exit_event(exit_cohort, rule, may_be_absent=True).n_events == 0
