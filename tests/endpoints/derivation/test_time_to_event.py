"""The endpoint result: what it says, shows and hands on. Witness: counts made by hand."""

from __future__ import annotations

import dataclasses
import json

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from pmsstats.cohort import Cohort
from pmsstats.endpoints import (
    PRESETS,
    EndpointResult,
    RecordedEventRule,
    derive_progression,
    derive_recorded_event,
)
from pmsstats.endpoints.derivation.time_to_event import EPISODE_COLUMNS, EVENT_COLUMNS


def _result(n_events: int, n_subjects: int, origin: str = "real", left_out: int = 0) -> Cohort:
    """Subjects followed for 168 days; the first `n_events` progress at day 84."""
    visits = [
        (f"S{i:04d}", day, 5.0 if day and i < n_events else 4.0)
        for i in range(n_subjects)
        for day in (0, 84, 168)
    ] + [(f"X{i}", 0, 4.0) for i in range(left_out)]
    frame = pd.DataFrame(visits, columns=["subject_id", "day", "edss"])
    subjects = frame[["subject_id"]].drop_duplicates()
    return derive_progression(Cohort(subjects, frame, origin=origin), "cdp12")


@pytest.mark.parametrize(
    ("n_events", "n_subjects", "options", "words"),
    [
        (3, 20, {}, "3 of 20 subjects (15 %) reached 12-week confirmed EDSS progression over "),
        (1, 1, {}, "1 of 1 subject (100 %) reached"),
        (0, 5, {}, "0 of 5 subjects (0 %)"),
        (1, 400, {}, "1 of 400 subjects (<1 %)"),
        (399, 400, {}, "399 of 400 subjects (>99 %)"),
        (3, 20, {}, "(definition: cdp12)."),
        (3, 20, {"left_out": 2}, "; 2 could not be assessed."),
        (3, 20, {"origin": "synthetic"}, "In synthetic data, 3 of 20"),
    ],
)
def test_headline(n_events: int, n_subjects: int, options: dict, words: str) -> None:
    assert words in _result(n_events, n_subjects, **options).headline()


def test_headline_counts_changes_that_none_could_confirm() -> None:
    """Two subjects: A is worse at the last visit only, B never."""
    visits = pd.DataFrame(
        [("A", 0, 4.0), ("A", 84, 4.0), ("A", 168, 5.0), ("B", 0, 4.0), ("B", 84, 4.0)],
        columns=["subject_id", "day", "edss"],
    )
    cohort = Cohort(pd.DataFrame({"subject_id": ["A", "B"]}), visits)
    words = derive_progression(cohort, "cdp12").headline()
    assert "0 of 2 subjects" in words
    assert "; 1 more changed at their last visit, unconfirmed." in words


def test_subject_years() -> None:
    """By hand: 3 subjects to day 84 and 17 to day 168 are 3108 days, 8.51 years."""
    result = _result(3, 20)
    assert result.subject_years == pytest.approx(3108 / 365.25, rel=1e-12)  # rounding
    assert "over 8.51 subject-years" in result.headline()


def test_table_keeps_its_contract() -> None:
    result = _result(3, 20)
    table = result.table()
    assert tuple(table.columns) == EVENT_COLUMNS
    assert {c: str(t) for c, t in table.dtypes.items()} == {
        "subject_id": "object",
        "duration": "int64",
        "event": "bool",
        "status": "object",
        "interval_left": "float64",
        "interval_right": "float64",
        "death_duration": "Int64",
        "day_baseline": "int64",
        "baseline_value": "float64",
        "day_onset": "Int64",
        "day_confirmed": "Int64",
        "relapse_class": "object",
        "component": "object",
        "censor_reason": "object",
        "exit_reason": "object",
    }
    table["event"] = False
    assert result.table()["event"].sum() == 3


def test_to_dict_is_plain_json() -> None:
    plain = _result(3, 20, left_out=1).to_dict()
    again = json.loads(json.dumps(plain, allow_nan=False))
    assert again["schema"] == "endpoint_result/2"
    assert again["rule"]["type"] == "ProgressionRule"
    assert again["rule"]["threshold"]["steps"] == [[5.5, 1.0], ["inf", 0.5]]
    assert len(again["events"]) == again["n_subjects"] == 20
    assert again["events"][0]["day_onset"] == 84
    assert again["events"][-1]["day_onset"] is None
    assert again["exclusions"][0]["n"] == 1
    assert [e["day_onset"] for e in again["episodes"]] == [84, 84, 84]
    assert again["events"][-1]["interval_right"] == "inf"


# --- how the event was observed -----------------------------------------------------------------


def followed() -> EndpointResult:
    """A progresses at day 84; B dies on day 300 without; C dies after the event; D drops out."""
    scores = {"A": [4, 5, 5], "B": [4, 4, 5], "C": [4, 5, 5], "D": [4, 4, 4]}
    visits = pd.DataFrame(
        [(s, day, v) for s, vs in scores.items() for day, v in zip((-7, 84, 168), vs, strict=True)],
        columns=["subject_id", "day", "edss"],
    )
    exits = pd.DataFrame(
        [("B", 300, "death"), ("C", 400, "death"), ("D", 168, "dropout")],
        columns=["subject_id", "day", "reason"],
    )
    cohort = Cohort(pd.DataFrame({"subject_id": list(scores)}), visits, exits=exits)
    return derive_progression(cohort, "cdp12")


def test_death_is_a_status_of_those_without_the_event() -> None:
    table = followed().table().set_index("subject_id")
    assert table["status"].to_dict() == {"A": "event", "B": "death", "C": "event", "D": "censored"}
    assert table.loc["B", "death_duration"] == 307  # from day -7 to day 300
    assert table["death_duration"].notna().tolist() == [False, True, False, False]
    assert table["exit_reason"].tolist() == ["", "death", "death", "dropout"]


def test_intervals_are_those_between_visits() -> None:
    """B's change at the last visit is open: it was last seen without one on day 84."""
    table = followed().table()
    assert table["interval_left"].tolist() == [0, 91, 0, 175]
    assert table["interval_right"].tolist() == [91, float("inf"), 91, float("inf")]
    assert (table["interval_left"] <= table["duration"]).all()


def test_events_that_are_known_exactly_have_no_width() -> None:
    subjects = pd.DataFrame({"subject_id": ["A", "B"], "years": [1.0, 2.0], "dead": [True, False]})
    visits = pd.DataFrame({"subject_id": ["A", "B"], "day": 0, "edss": 4.0})
    rule = RecordedEventRule(duration="years", event="dead", duration_unit="year")
    result = derive_recorded_event(Cohort(subjects, visits), rule)
    table = result.table()
    assert tuple(table.columns) == EVENT_COLUMNS
    assert table["interval_left"].tolist() == table["duration"].tolist() == [365, 730]
    assert table["interval_right"].tolist() == [365, float("inf")]
    assert table["status"].tolist() == ["event", "censored"]
    assert tuple(result.episodes.columns) == EPISODE_COLUMNS
    assert result.episodes.empty


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        (0, ["no event"] * 4),
        # A and C were clean on day -7 and not on day 84: nobody knows when it happened
        (90, ["unknown", "no event", "unknown", "no event"]),
        (91, ["event", "no event", "event", "no event"]),  # from day -7 to day 84
        # B's last visit shows a change that nobody could confirm
        (175, ["event", "unknown", "event", "no event"]),
        (175.5, ["event", "unknown", "event", "unknown"]),
    ],
)
def test_status_at_a_day(day: float, expected: list[str]) -> None:
    found = followed().status_at(day)
    assert found.index.tolist() == ["A", "B", "C", "D"]
    assert found.tolist() == expected


def test_headline_of_multiple_events_counts_the_changes() -> None:
    """By hand: up to 5.0, confirmed, and back to 4.0, confirmed; the second subject is stable."""
    scores = {"A": [4, 5, 5, 4, 4], "B": [4, 4, 4, 4, 4]}
    visits = pd.DataFrame(
        [(s, 84 * i, v) for s, values in scores.items() for i, v in enumerate(values)],
        columns=["subject_id", "day", "edss"],
    )
    rule = dataclasses.replace(PRESETS["cdp12"], events="multiple", baseline="roving")
    cohort = Cohort(pd.DataFrame({"subject_id": list(scores)}), visits)
    words = derive_progression(cohort, rule).headline()
    assert "1 of 2 subjects (50 %)" in words
    assert words.endswith("; 2 confirmed changes in all.")


def test_shows_itself() -> None:
    result = _result(3, 20)
    assert repr(result) == f"<EndpointResult: {result.headline()}>"
    assert "subject_id" in str(result)
    assert "<table" in result._repr_html_()


def test_result_is_frozen() -> None:
    with pytest.raises(AttributeError):
        _result(1, 2).n_events = 5


@pytest.mark.parametrize(("origin", "stamp"), [("real", ""), ("synthetic", "synthetic data")])
def test_plot_draws_every_subject(origin: str, stamp: str) -> None:
    result: EndpointResult = _result(3, 20, origin)
    _, ax = plt.subplots()
    assert result.plot(ax=ax) is ax
    assert len(ax.collections[0].get_segments()) == 20
    assert ax.get_title(loc="right") == stamp
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == [
        "12-week confirmed EDSS progression (n = 3)",
        "followed without it (n = 17)",
    ]
    plt.close()


@pytest.mark.parametrize(
    ("reason", "status"),
    [("death", "death"), ("Died", "death"), (" DECEASED ", "death"), ("dropout", "censored")],
)
def test_death_is_known_by_any_common_word(reason: str, status: str) -> None:
    visits = pd.DataFrame({"subject_id": "A", "day": [0, 84, 168], "edss": [4.0, 4.0, 4.0]})
    exits = pd.DataFrame({"subject_id": ["A"], "day": [200], "reason": [reason]})
    cohort = Cohort(pd.DataFrame({"subject_id": ["A"]}), visits, exits=exits)
    assert derive_progression(cohort, "cdp12").table()["status"].tolist() == [status]
