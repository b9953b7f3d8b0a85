"""Worked follow-ups that the definitions tool of Bsteh, Marti and Hoepner publishes.

Witness: tests/reference/definitions_tool (facts of a public repository under the MIT licence, see
SOURCE.md there), translated to our rules with one of its units of time as a week.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import pandas as pd
import pytest
from reference_cases import REFERENCE

from pmsstats.cohort import Cohort
from pmsstats.cohort.schema import Measure, default_dictionary
from pmsstats.endpoints import StepThreshold, derive_progression, is_reached, rule_from_dict

FOLDER = REFERENCE / "definitions_tool"
FILE = tomllib.loads((FOLDER / "cases.toml").read_text(encoding="utf-8"))
CASES, DIFFERENCES = FILE["case"], FILE["difference"]
THRESHOLDS = pd.read_csv(FOLDER / "thresholds.csv")
UNIT = 7  # days
DICTIONARY = default_dictionary().extend(
    Measure(name="score", label="EDSS and half steps below 1", worsening="higher")
)
# Which of our changes a mode of the tool annotates, and which only move its reference.
ANNOTATED = {
    "worsening": {"worsening"},
    "worsening_roving": {"worsening"},
    "improvement": {"improvement"},
    "improvement_roving": {"improvement"},
    "both": {"worsening", "improvement"},
}
CLASSES = {
    "PIRA": "PIRA",
    "RAW": "RAW",
    "PIRA with relapse during confirmation": "undetermined",
    "Improvement": "",
}
# Their score of an event: that nearest to the reference, of these visits from onset on.
Scores = Callable[[pd.DataFrame, Any], list[float]]
SPANS: dict[str, Scores] = {
    "onset": lambda visits, found: [found.onset_value],
    "all": lambda visits, found: between(visits, found.day_onset, last_needed(found)),
    "ends": lambda visits, found: [found.onset_value, found.confirmed_value],
    "rest": lambda visits, found: between(visits, found.day_onset, math.inf),
}
NEAREST = {"worsening": min, "improvement": max}


@dataclass(frozen=True)
class Found:
    """What our rule finds on one follow-up."""

    visits: pd.DataFrame
    annotated: pd.DataFrame
    others: pd.DataFrame
    classified: bool


def between(visits: pd.DataFrame, first: float, last: float) -> list[float]:
    return visits.loc[visits["day"].between(first, last), "score"].tolist()


def last_needed(found: Any) -> float:
    """Return the day of confirmation, or of onset where that was imputed."""
    return max(day for day in (found.day_onset, found.day_confirmed) if pd.notna(day))


@cache
def named(kind: str) -> dict[str, dict[str, Any]]:
    return {case["id"]: case for case in FILE[kind]}


def find(case: dict[str, Any]) -> Found:
    visits = pd.DataFrame(
        {
            "subject_id": "S1",
            "day": [UNIT * unit for unit in case["units"]],
            "score": case["scores"],
        }
    )
    relapses = pd.DataFrame(
        {"subject_id": "S1", "day": [UNIT * unit for unit in case["relapses"]]}
    ).astype({"subject_id": "object"})
    cohort = Cohort(
        pd.DataFrame({"subject_id": ["S1"]}), visits, relapses=relapses, dictionary=DICTIONARY
    )
    table = FILE["modes"][case["mode"]] | case["rule"]
    rule = rule_from_dict(table, dictionary=DICTIONARY)
    episodes = derive_progression(cohort, rule).episodes
    wanted = episodes["change"].isin(ANNOTATED[case["mode"]])
    return Found(visits, episodes[wanted], episodes[~wanted], rule.classifies)


def units(days: pd.Series) -> list[float]:
    return [day / UNIT for day in days]


def with_class(case: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the events of the tool that have a counterpart: its undefined ones have none."""
    return [event for event in case["events"] if event["type"] in CLASSES]


def test_there_are_enough_cases() -> None:
    assert (len(CASES), len(DIFFERENCES), len(THRESHOLDS)) == (116, 3, 59)
    assert len(named("case")) == len(CASES)
    assert sum(len(with_class(case)) for case in CASES) == 125


@pytest.mark.parametrize("name", list(named("case")))
def test_events_agree(name: str) -> None:
    case = named("case")[name]
    found = find(case).annotated
    expected = with_class(case)
    assert units(found["day_onset"]) == [event["unit"] for event in expected]
    assert found["reference_value"].tolist() == [event["reference"] for event in expected]


@pytest.mark.parametrize("name", list(named("case")))
def test_scores_of_events_agree(name: str) -> None:
    """The tool's score of an event tells which visits it looked at to confirm it."""
    case = named("case")[name]
    found = find(case)
    scores = [
        NEAREST[event.change](SPANS[case["score_over"]](found.visits, event))
        for event in found.annotated.itertuples()
    ]
    assert scores == [event["score"] for event in with_class(case)]


@pytest.mark.parametrize("name", [c["id"] for c in CASES if "raw_days" in c["rule"]])
def test_classes_agree(name: str) -> None:
    case = named("case")[name]
    found = find(case)
    assert found.classified
    expected = [CLASSES[event["type"]] for event in with_class(case)]
    assert found.annotated["relapse_class"].tolist() == expected


@pytest.mark.parametrize("name", [c["id"] for c in CASES if "rebaselines" in c])
def test_moves_of_the_reference_agree(name: str) -> None:
    """Beside events, any confirmed change in the other direction moves a roving reference."""
    case = named("case")[name]
    assert units(find(case).others["day_onset"]) == case["rebaselines"]


@pytest.mark.parametrize("name", list(named("difference")))
def test_differences_are_known(name: str) -> None:
    """Where the definitions differ, ours gives what was worked out by hand, and not theirs."""
    case = named("difference")[name]
    found = find(case).annotated
    ours = [(event["unit"], event["reference"]) for event in case["ours"]]
    theirs = [(event["unit"], event["reference"]) for event in with_class(case)]
    assert list(zip(units(found["day_onset"]), found["reference_value"], strict=True)) == ours
    assert ours != theirs, case["why"]


# How the settings of thresholds.csv read as steps by baseline, for increases and decreases.
STEPS = {
    "plus_half": ([(math.inf, 0.5)], [(math.inf, 0.5)]),
    "plus_one": ([(math.inf, 1.0)], [(math.inf, 1.0)]),
    "plus_one_to_1": ([(0, 1.5), (1, 1.0), (math.inf, 0.5)], [(1.5, 1.5), (math.inf, 0.5)]),
    "standard": (
        [(0, 1.5), (5, 1.0), (math.inf, 0.5)],
        [(1.5, 1.5), (5.5, 1.0), (math.inf, 0.5)],
    ),
}


@pytest.mark.parametrize("setting", sorted(STEPS))
def test_thresholds_agree(setting: str) -> None:
    rows = THRESHOLDS[THRESHOLDS["setting"] == setting]
    assert len(rows) >= 12
    for steps, direction in zip(STEPS[setting], ("increase", "decrease"), strict=True):
        threshold = StepThreshold(steps=tuple(steps))
        found = is_reached(rows["score"], rows["reference"], threshold, direction)
        assert found.tolist() == rows[direction].eq("yes").tolist()
