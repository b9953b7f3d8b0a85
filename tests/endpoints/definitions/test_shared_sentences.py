"""Sentences that parts share. Witness: paragraphs put together by hand."""

from __future__ import annotations

import dataclasses

import pytest

from pmsstats.endpoints.definitions.describe import rule_sentences
from pmsstats.endpoints.definitions.event_rules import RelapseEventRule
from pmsstats.endpoints.definitions.presets import progression_rule
from pmsstats.endpoints.definitions.shared_sentences import parts_in_words

EDSS, WALK = progression_rule("cdp12"), progression_rule("t25fw20")
RELAPSE = RelapseEventRule()
FREE = "Relapses are not taken into account."


def test_only_what_stands_in_every_text_is_shared() -> None:
    """The texts, not the rules, are what is printed."""
    assert parts_in_words((EDSS, WALK), (f"One. {FREE} Two.", f"Three. {FREE}")) == (
        f"(1) One. Two. (2) Three. For (1) and (2): {FREE}"
    )
    assert parts_in_words((EDSS, WALK), (f"One. {FREE}", "Three.")) == f"(1) One. {FREE} (2) Three."


def test_parts_of_other_kinds_have_no_say() -> None:
    texts = (f"One. {FREE}", f"Two. {FREE}", f"Three. {FREE}")
    assert parts_in_words((EDSS, RELAPSE, WALK), texts) == (
        f"(1) One. (2) Two. {FREE} (3) Three. For (1) and (3): {FREE}"
    )
    assert parts_in_words((RELAPSE, EDSS), texts[:2]) == f"(1) One. {FREE} (2) Two. {FREE}"


def test_a_sentence_inside_of_another_is_none() -> None:
    longer = f"One. Not so: {FREE[:-1]} here."
    assert parts_in_words((EDSS, WALK), (f"Two. {FREE}", longer)) == f"(1) Two. {FREE} (2) {longer}"


@pytest.mark.parametrize("changes", [{}, {"confirm_weeks": 24}, {"baseline": "roving"}])
def test_the_event_is_said_for_each_part(changes: dict) -> None:
    """Also where two parts are about the same change."""
    rules = (EDSS, dataclasses.replace(EDSS, name="again", **changes))
    text = parts_in_words(rules, tuple(rule.describe() for rule in rules))
    for number, rule in enumerate(rules, start=1):
        assert f"({number}) {rule_sentences(rule)[0]}" in text
    assert text.count(FREE) == 1
