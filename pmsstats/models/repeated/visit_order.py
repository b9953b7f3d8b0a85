"""The order in time of visits that are named by text: from their numbers and a few known words."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

__all__ = ["order_in_time"]

_NUMBER = re.compile(r"(?:(?<=\s)|^)-\d+(?:\.\d+)?|\d+(?:\.\d+)?")
_SCREENING = frozenset({"screening", "screen", "scr", "prescreening"})
_BASELINE = frozenset(
    {"baseline", "bl", "base", "start", "entry", "enrolment", "enrollment", "inclusion"}
    | {"randomisation", "randomization", "pre", "pretreatment"}
)
_END = frozenset(
    {"end", "final", "last", "eos", "eot", "endofstudy", "endofstudyvisit", "endoftreatment"}
    | {"endoftrial", "studyend", "finalvisit", "lastvisit", "endvisit", "post", "posttreatment"}
)
_DAYS_PER_YEAR = 365.25
_DAYS = {
    **dict.fromkeys(("d", "day", "days"), 1.0),
    **dict.fromkeys(("w", "wk", "wks", "week", "weeks"), 7.0),
    **dict.fromkeys(("m", "mo", "mos", "mth", "month", "months"), _DAYS_PER_YEAR / 12),
    **dict.fromkeys(("y", "yr", "yrs", "year", "years"), _DAYS_PER_YEAR),
}


def order_in_time(labels: Sequence[str]) -> tuple[str, ...] | None:
    """Put names of visits into their order in time, if they tell it.

    Parameters
    ----------
    labels : sequence of str
        Distinct names, such as ``Baseline``, ``Month 6``, ``Month 12``.

    Returns
    -------
    tuple of str, or None
        None where the names do not tell the order beyond doubt.

    Notes
    -----
    Each name must be one of these, after case, blanks and punctuation were put aside: a word for
    screening (before all others), for baseline or the start (taken as zero), or for the end (after
    all others); or words with exactly one number. Words around the numbers must be the same in
    all of them (``V1``, ``V2``), or be units of time (``Week 12``, ``M6``: then days count). A
    minus sign counts after a blank only (``Week -2``). No two visits may have the same place; and
    screening is not placed among numbers below zero.

    Examples
    --------
    >>> order_in_time(["Baseline", "Month 12", "Month 6"])
    ('Baseline', 'Month 6', 'Month 12')
    >>> order_in_time(["early", "late"]) is None
    True
    """
    numbered = {label: _split(label) for label in labels if re.search(r"\d", label)}
    if any(found is None for found in numbered.values()):
        return None
    parts = {label: found for label, found in numbered.items() if found is not None}
    places = _numeric_places(parts)
    words = {label: _word_place(label) for label in labels if label not in numbered}
    if places is None or any(place is None for place in words.values()):
        return None
    all_places = {**places, **{label: p for label, p in words.items() if p is not None}}
    below_zero = any(place < 0 for place in places.values())
    if len(set(all_places.values())) < len(labels) or (
        below_zero and -math.inf in all_places.values()
    ):
        return None
    return tuple(sorted(labels, key=all_places.__getitem__))


def _plain(text: str) -> str:
    """Leave letters only, in lower case."""
    return "".join(c for c in text.casefold() if c.isalpha())


def _word_place(label: str) -> float | None:
    """Return the place of a name without a number, if it is a known word."""
    word = _plain(label)
    if word in _SCREENING:
        return -math.inf
    if word in _BASELINE:
        return 0.0
    return math.inf if word in _END else None


def _split(label: str) -> tuple[str, str, float] | None:
    """Return the words before and after the only number, with their signs, and the number."""
    found = list(_NUMBER.finditer(label))
    if len(found) != 1 or len(re.findall(r"\d+", found[0][0])) != len(re.findall(r"\d+", label)):
        return None
    start, end = found[0].span()
    before, after = (
        re.sub(r"[\s_]+", "", part.casefold()) for part in (label[:start], label[end:])
    )
    return before, after, float(found[0][0])


def _numeric_places(parts: dict[str, tuple[str, str, float]]) -> dict[str, float] | None:
    """Return the numbers on one scale: as they are, or as days where the units differ."""
    numbers = {label: number for label, (_, _, number) in parts.items()}
    if numbers and max(numbers.values()) < 0:
        return None  # a dash before each number may be no sign
    if len({(before, after) for before, after, _ in parts.values()}) <= 1:
        return numbers
    days = {label: _DAYS.get(_plain(before + after)) for label, (before, after, _) in parts.items()}
    signs = {re.sub(r"[^\W\d]", "", before) for before, _, _ in parts.values()}
    if len(signs) > 1:
        return None  # W-2 beside W2: is it a sign?
    known = {label: size for label, size in days.items() if size is not None}
    if len(known) < len(parts):
        return None
    return {label: numbers[label] * size for label, size in known.items()}
