"""Free intervals and levels: contradictions are errors when they are made."""

from __future__ import annotations

import dataclasses
import math

import pytest

from pmsstats.endpoints import LesionFree, LevelCondition, RelapseFree
from pmsstats.errors import DesignError


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"reference": (0, None)}, "joins two intervals by None at the end of the first"),
        ({"onset": (None, 30)}, "joins two intervals"),
        ({"reference": (None, 0)}, "joins two intervals"),
        ({"onset": (90, None)}, "joins two intervals"),
        ({"confirmation": (90, None)}, "joins two intervals"),
        ({"reference": (0, None), "onset": (None, None)}, "joins two intervals"),
        ({"onset": (-90, 30)}, "`onset` of RelapseFree must be days before and after"),
        ({"confirmation": (90, math.inf)}, "two finite numbers of at least 0"),
        ({"confirmation": (90, math.nan)}, "two finite numbers of at least 0"),
        ({"reference": "90"}, "`reference` of RelapseFree"),
        ({"reference": (90, 30), "reference_visit": "first"}, "one of baseline, last, last_unch"),
        ({"reference_visit": "last"}, "there is no interval around it"),
    ],
)
def test_intervals_without_relapses(fields: dict, message: str) -> None:
    with pytest.raises(DesignError, match=message):
        RelapseFree(**fields)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"onset": (0, 0), "confirmation": (0, 0)},
        {"reference": [0, None], "onset": [None, 30]},
        {"onset": (90, None), "confirmation": (None, 30)},
        {"reference": (0, None), "onset": (None, None), "confirmation": (None, 0)},
        {"reference": (30, 0), "reference_visit": "last_unchanged"},
        {"onset": 90},
    ],
)
def test_intervals_are_stored_as_pairs(fields: dict) -> None:
    free = RelapseFree(**fields)
    assert dataclasses.replace(free) == free
    assert hash(free) == hash(dataclasses.replace(free))
    assert all(type(pair) is tuple for pair in (free.reference, free.onset, free.confirmation))


def test_default_intervals_are_those_recommended() -> None:
    """Witness: Mueller 2023, 90 days before and 30 days after both onset and confirmation."""
    assert (RelapseFree().onset, RelapseFree().confirmation) == ((90, 30), (90, 30))
    assert RelapseFree().reference == (0, 0)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"measures": ()}, "must name columns with lesion counts"),
        ({"measures": ("new_t2_count", 3)}, "must name columns"),
        ({"measures": [["new_t2_count"]]}, "must name columns"),
        ({"measures": ("new_t2_count", " ")}, "must name columns"),
        ({"measures": ("new_t2_count", "new_t2_count")}, "each once"),
        ({"onset": (0, 0)}, "LesionFree has no interval"),
        ({"onset": (90, math.inf)}, "two finite numbers"),
        ({"onset": (None, 30)}, "`onset` of LesionFree must be days before and after"),
        ({"confirmation": (-1, 0)}, "`confirmation` of LesionFree"),
        ({"scan_required": 1}, "`scan_required` of LesionFree must be true or false, got 1"),
    ],
)
def test_intervals_without_lesions(fields: dict, message: str) -> None:
    with pytest.raises(DesignError, match=message):
        LesionFree(**fields)


def test_lesion_counts_are_stored_as_tuples() -> None:
    assert LesionFree(measures="new_t2_count", onset=[90, 30]) == LesionFree(
        measures=("new_t2_count",)
    )
    assert hash(LesionFree(measures=["a", "b"], onset=90)) == hash(
        LesionFree(measures=("a", "b"), onset=(90, 0))
    )


@pytest.mark.parametrize(
    "bounds",
    [
        {},
        {"at_least": 4.0, "at_most": 3.5},
        {"at_least": math.nan},
        {"at_least": math.inf},
        {"at_most": -math.inf},
        {"at_least": -math.inf, "at_most": 3.0},
        {"at_least": "4"},
        {"at_least": True},
    ],
)
def test_levels_that_nobody_or_everybody_has(bounds: dict) -> None:
    with pytest.raises(DesignError, match="A LevelCondition on 'edss' needs `at_least`, `at_most`"):
        LevelCondition(outcome="edss", **bounds)


@pytest.mark.parametrize("outcome", ["", "  ", None, 4])
def test_levels_are_of_a_measure(outcome: object) -> None:
    with pytest.raises(DesignError, match="`outcome` of a LevelCondition must be a text"):
        LevelCondition(outcome=outcome, at_least=4)


def test_a_level_may_be_one_value() -> None:
    assert LevelCondition(outcome="edss", at_least=4, at_most=4.0).at_most == 4
