"""Checks of single fields: what is refused, and what the message says."""

from __future__ import annotations

import math
from decimal import Decimal
from types import SimpleNamespace

import numpy as np
import pytest

from pmsstats.endpoints.definitions.field_checks import (
    as_tuple,
    day_pair,
    is_number,
    require_choice,
    require_days,
    require_text,
)
from pmsstats.errors import DesignError


@pytest.mark.parametrize("value", [0, -1, 2.5, math.inf, -math.inf, np.int64(3), np.float32(0.5)])
def test_numbers(value: object) -> None:
    assert is_number(value)


@pytest.mark.parametrize(
    "value",
    [True, np.True_, "1", None, math.nan, np.float64("nan"), 1j, [1], Decimal(1), np.ones(1)],
)
def test_what_is_no_number(value: object) -> None:
    assert not is_number(value)


@pytest.mark.parametrize(
    ("value", "stored"),
    [(None, ()), (1, (1,)), ("ab", ("ab",)), ([1, 2], (1, 2)), ((1, 2), (1, 2)), ((), ())],
)
def test_one_or_several(value: object, stored: tuple) -> None:
    assert as_tuple(value) == stored


def test_unordered_values_are_not_several() -> None:
    """Two runs would store the members of a set in two orders."""
    assert as_tuple({"a", "b"}) == ({"a", "b"},)


@pytest.mark.parametrize("value", ["", "  ", 3, None])
def test_text_is_needed(value: object) -> None:
    with pytest.raises(DesignError, match="`label` of a rule must be a text, got"):
        require_text(SimpleNamespace(label=value), "label")


def test_text_may_be_empty() -> None:
    rule = SimpleNamespace(label="", name=None)
    assert require_text(rule, "label", may_be_empty=True) is None
    with pytest.raises(DesignError, match="`name` of a rule must be a text, got None"):
        require_text(rule, "name", may_be_empty=True)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            "frst",
            "`events` of rule 'x' must be one of first, all, got 'frst'. Did you mean 'first'",
        ),
        (None, "must be one of first, all, got None"),
        (["first"], r"must be one of first, all, got \['first'\]"),
    ],
)
def test_choice(value: object, message: str) -> None:
    with pytest.raises(DesignError, match=message):
        require_choice("rule 'x'", "events", value, ("first", "all"))


@pytest.mark.parametrize(
    ("value", "options", "what"),
    [
        (-1, {}, "a finite number"),
        (math.inf, {}, "a finite number"),
        (math.nan, {"endless": True}, "a number"),
        ("7", {"endless": True}, "a number"),
        (True, {}, "a finite number"),
        (7.0, {"whole": True}, "a whole number"),
        (math.inf, {"whole": True}, "a whole number"),
        (True, {"whole": True}, "a whole number"),
    ],
)
def test_days(value: object, options: dict, what: str) -> None:
    with pytest.raises(DesignError, match=f"`gap` of a rule must be {what} of at least 0, got"):
        require_days("a rule", "gap", value, **options)


@pytest.mark.parametrize(
    ("value", "options"),
    [(0, {}), (7.5, {}), (math.inf, {"endless": True}), (np.int64(7), {"whole": True})],
)
def test_possible_days(value: object, options: dict) -> None:
    assert require_days("a rule", "gap", value, **options) is None


@pytest.mark.parametrize(
    ("value", "pair"), [(30, (30, 0)), ((30, 15), (30, 15)), ([0, 1.5], (0, 1.5))]
)
def test_pairs_of_days(value: object, pair: tuple) -> None:
    assert day_pair("a rule", "gap", value) == pair


@pytest.mark.parametrize(
    "value",
    [None, (30,), (30, 15, 1), (30, -1), (30, math.inf), (math.nan, 0), ("30", 0), "30", (None, 3)],
    ids=repr,
)
def test_what_is_no_pair_of_days(value: object) -> None:
    with pytest.raises(DesignError, match="`gap` of a rule must be days before and after, two"):
        day_pair("a rule", "gap", value)


def test_an_end_may_be_open() -> None:
    assert day_pair("a rule", "gap", (None, 30), may_be_open=True) == (None, 30)
