"""What the definitions of several parts of a composite have in common, said once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from pmsstats.endpoints.definitions.describe import rule_sentences
from pmsstats.endpoints.definitions.progression_rule import ProgressionRule
from pmsstats.endpoints.definitions.scan_rules import (
    LesionEventRule,
    VolumeLossRule,
    scan_sentences,
)

__all__ = ["parts_in_words"]

_FAMILIES: tuple[tuple[tuple[type, ...], Callable[[Any], tuple[str, ...]]], ...] = (
    ((ProgressionRule,), lambda rule: rule_sentences(rule)[1:]),  # but for what the event is
    ((LesionEventRule, VolumeLossRule), scan_sentences),
)


def parts_in_words(rules: Sequence[object], texts: Sequence[str]) -> str:
    """List the definitions of parts; sentences that all of a kind share come once, at the end.

    Parameters
    ----------
    rules : sequence of rules
        The parts.
    texts : sequence of str
        Their definitions, which may differ from those of the rules by themselves.

    Returns
    -------
    str
        For example ``"(1) One. (2) Two. For (1) and (2): What both share."``.
    """
    texts = list(texts)
    shared = []
    for kinds, sentences in _FAMILIES:
        group = [i for i, rule in enumerate(rules) if isinstance(rule, kinds)]
        common = _common(sentences(rules[group[0]]), [texts[i] for i in group]) if group[1:] else []
        for sentence in common:
            for i in group:
                texts[i] = texts[i].replace(f" {sentence}", "", 1)
        if common:
            shared.append(f"For {_numbers(group)}: {' '.join(common)}")
    listed = [f"({i}) {text}" for i, text in enumerate(texts, start=1)]
    return " ".join(listed + shared)


def _common(sentences: Sequence[str], texts: Sequence[str]) -> list[str]:
    """Return the sentences that stand in every text."""
    return [s for s in sentences if all(f" {s} " in f"{text} " for text in texts)]


def _numbers(group: Sequence[int]) -> str:
    """Write the numbers of some parts."""
    numbers = [f"({i + 1})" for i in group]
    in_a_row = all(b == a + 1 for a, b in pairwise(group))
    if in_a_row and len(group) > 2:
        return f"{numbers[0]} to {numbers[-1]}"
    return f"{', '.join(numbers[:-1])} and {numbers[-1]}"
