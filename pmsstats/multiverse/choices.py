"""The options in which definitions differ, and short words for what each of them chose."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pmsstats.endpoints import preset
from pmsstats.errors import DesignError, first_ids

__all__ = [
    "WORDS_ONLY",
    "as_rules",
    "choice_labels",
    "content",
    "differing_options",
    "first_twins",
    "is_rule",
]

WORDS_ONLY = ("name", "label", "absence_label", "citation", "note")
"""Fields of a rule that change no result."""

_ABSENT = "\u2013"  # an option that a kind of rule does not have


def as_rules(rules: Sequence[Any]) -> tuple[Any, ...]:
    """Collect definitions, each with a name of its own.

    Parameters
    ----------
    rules : sequence of rule or str
        Definitions, or names of presets.

    Returns
    -------
    tuple of rule
        In their order.

    Raises
    ------
    DesignError
        If there is none, or two have one name.
    """
    if isinstance(rules, str | Mapping) or not isinstance(rules, Sequence):
        raise DesignError(
            f"`rules` must be a RuleGrid or a sequence of rules, got {type(rules).__name__}. Write "
            "rule_grid(...) for a grid of options, or [rule, rule, ...]."
        )
    found = tuple(preset(rule) if isinstance(rule, str) else rule for rule in rules)
    for rule in found:
        if not is_rule(rule):
            raise DesignError(
                f"`rules` must hold endpoint rules or names of presets, got {rule!r}."
            )
    if not found:
        raise DesignError("`rules` is empty: a multiverse needs at least one definition.")
    _refuse_namesakes(found)
    return found


def is_rule(value: Any) -> bool:
    """Say whether a value is an endpoint rule: frozen data with a name.

    Parameters
    ----------
    value : object
        Anything.

    Returns
    -------
    bool
        False for the classes themselves.
    """
    return is_dataclass(value) and not isinstance(value, type) and hasattr(value, "name")


def _refuse_namesakes(rules: Sequence[Any]) -> None:
    """Refuse two definitions of one name."""
    names = pd.Series([rule.name for rule in rules])
    twice = names[names.duplicated(keep=False)]
    if len(twice):
        raise DesignError(
            f"Each definition needs a name of its own, but {len(twice)} share one "
            f"({first_ids(twice)}). Rename them with dataclasses.replace(rule, name=...)."
        )


def first_twins(rules: Sequence[Any]) -> NDArray[np.int64]:
    """Find definitions that are the same but for their words.

    Parameters
    ----------
    rules : sequence of rule
        Of any kinds.

    Returns
    -------
    ndarray of int, shape (n_rules,)
        For each definition the first one of the same :func:`content`: itself, or an earlier one.
    """
    seen: dict[Any, int] = {}
    return np.array([seen.setdefault(content(r), i) for i, r in enumerate(rules)], dtype=np.int64)


def content(rule: Any) -> tuple[Any, ...]:
    """Return what a definition asks for, without its words.

    Parameters
    ----------
    rule : rule
        Any endpoint rule.

    Returns
    -------
    tuple
        Hashable: its kind, and its fields. Parts that are rules stand as their own content.
    """
    values = [getattr(rule, f.name) for f in fields(rule) if f.name not in WORDS_ONLY]
    return (type(rule).__name__, *(_inner(value) for value in values))


def _inner(value: Any) -> Any:
    """Return a field's content: of parts that are rules themselves, that without their words."""
    if isinstance(value, tuple | list):
        return tuple(_inner(item) for item in value)
    return content(value) if is_rule(value) else value


def differing_options(rules: Sequence[Any]) -> pd.DataFrame:
    """Tabulate the fields in which definitions differ.

    Parameters
    ----------
    rules : sequence of rule
        Of one kind or of several.

    Returns
    -------
    pandas.DataFrame
        ``rule`` (the name) and one column per field: an ordered categorical of short words, in
        the order in which the choices are met. Where the rules are of several kinds, ``kind``
        comes first, a field counts if it differs within a kind, and rules without it show a dash.
    """
    names = dict.fromkeys(f.name for rule in rules for f in fields(rule))
    columns = {"kind": [_kind(rule) for rule in rules]}
    columns |= {
        name: [getattr(rule, name, _ABSENT) for rule in rules]
        for name in names
        if name not in WORDS_ONLY
    }
    table = pd.DataFrame({"rule": [rule.name for rule in rules]})
    for name, values in columns.items():
        if len(_distinct([v for v in values if v is not _ABSENT])) > 1:
            distinct = _distinct(values)
            labels = choice_labels(distinct)
            chosen = [labels[_position(distinct, value)] for value in values]
            table[name] = pd.Categorical(chosen, categories=labels, ordered=True)
    return table


def _kind(rule: Any) -> str:
    """Return the kind of a rule in words: "relapse event"."""
    kind = type(rule).__name__.removesuffix("Rule")
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind).lower()


def _distinct(values: Sequence[Any]) -> list[Any]:
    """Return each value once; not by hash, so that any value will do."""
    found: list[Any] = []
    for value in values:
        if _position(found, value) < 0:
            found.append(value)
    return found


def _position(values: Sequence[Any], value: Any) -> int:
    """Return where a value stands, -1 where it does not; True is not 1 here."""
    same = (type(v) is type(value) and v == value for v in values)
    return next((i for i, hit in enumerate(same) if hit), -1)


def choice_labels(values: Sequence[Any]) -> list[str]:
    """Write values in short, each in its own words.

    Parameters
    ----------
    values : sequence
        Different values of one field.

    Returns
    -------
    list of str
        As long; where two would read the same, they are numbered.

    Examples
    --------
    >>> choice_labels([None, 12, (12, 24), True, (90, 30), float("inf")])
    ['none', '12', '12, 24', 'yes', '90, 30', 'unlimited']
    """
    labels = [_short(value) for value in values]
    return [
        label if labels.count(label) == 1 else f"{label} ({1 + labels[:i].count(label)})"
        for i, label in enumerate(labels)
    ]


def _short(value: Any) -> str:
    """Write one value in short."""
    if value is None or value == ():
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return "unlimited" if math.isinf(value) else f"{value:g}"
    if isinstance(value, tuple):
        return ", ".join(_short(item) for item in value)
    return _short_object(value)


def _short_object(value: Any) -> str:
    """Write a rule by its name, a threshold by its size, other parts by their settings."""
    if isinstance(value, str):
        return value or "none"
    if hasattr(value, "name"):
        return str(value.name)
    if hasattr(value, "steps"):
        return ", ".join(_step(up_to, change) for up_to, change in value.steps)
    if hasattr(value, "size"):
        return str(value.size()) or str(value)
    if is_dataclass(value):
        settings = [(f, getattr(value, f.name)) for f in fields(value)]
        own = [f"{f.name} {_short(v)}" for f, v in settings if v != f.default]
        return "; ".join(own) or "default"
    return str(value)


def _step(up_to: float, change: float) -> str:
    """Write one step of a threshold."""
    return f"{change:g} above" if up_to == math.inf else f"{change:g} to {up_to:g}"
