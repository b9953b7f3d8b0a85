"""Short words for what definitions chose, and the fields in which they differ."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pmsstats.endpoints import (
    CompositeRule,
    LesionFree,
    LevelCondition,
    RelapseEventRule,
    RelapseFree,
    progression_rule,
)
from pmsstats.errors import DesignError
from pmsstats.multiverse.choices import (
    as_rules,
    choice_labels,
    content,
    differing_options,
    first_twins,
)

CDP12, CDP24 = progression_rule("cdp12"), progression_rule("cdp24")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "none"),
        ((), "none"),
        ("", "none"),
        (True, "yes"),
        (False, "no"),
        (0.5, "0.5"),
        (float("inf"), "unlimited"),
        (float("-inf"), "unlimited"),
        ((30, float("inf")), "30, unlimited"),
        (RelapseFree(), "default"),
        (RelapseFree(onset=(30, None), confirmation=(None, 30)),
         "onset 30, none; confirmation none, 30"),
        (LesionFree(onset=(30, 30)), "onset 30, 30"),
        ((LevelCondition(outcome="fs_pyramidal", at_least=2),), "outcome fs_pyramidal; at_least 2"),
        ((CDP12, RelapseEventRule()), "cdp12, relapse"),
    ],
)  # fmt: skip
def test_words(value, words):
    assert choice_labels([value]) == [words]


def test_words_that_read_the_same_are_numbered():
    assert choice_labels([1, 1.0, "1", 2]) == ["1 (1)", "1 (2)", "1 (3)", "2"]


def test_only_fields_that_differ_are_options():
    rules = [CDP12, CDP24, replace(CDP12, name="roving", baseline="roving")]
    table = differing_options(rules)
    assert table.astype(str).to_dict("list") == {
        "rule": ["cdp12", "cdp24", "roving"],
        "baseline": ["fixed", "fixed", "roving"],
        "confirm_weeks": ["12", "24", "12"],
    }


def test_true_is_not_one():
    rules = [CDP12, replace(CDP12, name="certain", impute_last_visit=1)]
    assert differing_options(rules)["impute_last_visit"].tolist() == ["0", "1"]


def test_of_several_kinds_a_field_counts_if_it_differs_within_a_kind():
    either = CompositeRule(name="either", parts=(CDP12, RelapseEventRule()))
    both = replace(either, name="both", require="all")
    table = differing_options([CDP12, CDP24, either, both])
    assert table.astype(str).to_dict("list") == {
        "rule": ["cdp12", "cdp24", "either", "both"],
        "kind": ["progression", "progression", "composite", "composite"],
        "confirm_weeks": ["12", "24", "\u2013", "\u2013"],
        "require": ["\u2013", "\u2013", "any", "all"],
    }


def test_words_do_not_make_a_definition():
    assert content(replace(CDP12, name="a", label="b", citation="c", note="d")) == content(CDP12)
    assert content(CDP24) != content(CDP12)


def test_nor_do_the_words_of_parts():
    ours = CompositeRule(name="ours", parts=(CDP12, RelapseEventRule()))
    parts = (replace(CDP12, name="first"), RelapseEventRule(name="second"))
    theirs = CompositeRule(name="theirs", parts=parts)
    assert content(ours) == content(theirs)
    assert first_twins([CDP12, ours, CDP24, theirs]).tolist() == [0, 1, 2, 1]


def test_names_are_taken_once():
    with pytest.raises(DesignError, match=r"2 share one \(cdp12\)"):
        as_rules([CDP12, replace(CDP12, confirm_weeks=48)])
