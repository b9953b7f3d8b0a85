"""Tables for study files (TOML, JSON) from rules."""

from __future__ import annotations

from dataclasses import MISSING, Field, fields
from typing import Any

import numpy as np

from pmsstats.endpoints.definitions.conditions import LesionFree, LevelCondition, RelapseFree
from pmsstats.endpoints.definitions.from_table import JOIN, KINDS, AnyRule
from pmsstats.endpoints.definitions.thresholds import (
    AbsoluteThreshold,
    CombinedThreshold,
    LevelThreshold,
    RelativeThreshold,
    StepThreshold,
    Threshold,
)
from pmsstats.errors import DesignError

__all__ = ["rule_to_dict"]

_THRESHOLD_KEYS: dict[type[Threshold], tuple[str, str]] = {
    AbsoluteThreshold: ("change", "change"),
    RelativeThreshold: ("relative", "fraction"),
    StepThreshold: ("steps", "steps"),
    LevelThreshold: ("level", "level"),
}
_KEYS = {"outcome": "measure", "opposite_threshold": "opposite"}


def rule_to_dict(rule: AnyRule) -> dict[str, Any]:
    """Write a rule as a table, which :func:`rule_from_dict` turns back to the same rule.

    Parameters
    ----------
    rule : ProgressionRule, CompositeRule, or a rule of another kind
        The definition.

    Returns
    -------
    dict
        ``kind``, and each field that is not at its default, as texts, numbers (infinity among
        them), truth values, lists and tables.

    Raises
    ------
    DesignError
        If it is no rule.

    Examples
    --------
    >>> from pmsstats.endpoints import progression_rule
    >>> table = rule_to_dict(progression_rule("t25fw20"))
    >>> table["measure"], table["relative"], table["confirm_weeks"]
    ('t25fw_s', 0.2, 12)
    """
    kinds = [kind for kind, made in KINDS.items() if type(rule) is made.rule]
    if not kinds:
        raise DesignError(f"`rule` must be a rule, got {rule!r}.")
    return {"kind": kinds[0], **_fields(rule)}


def _fields(value: Any) -> dict[str, Any]:
    """Write the fields that are not at their defaults."""
    table: dict[str, Any] = {}
    for field in fields(value):
        given = getattr(value, field.name)
        if given == _default(field):
            continue
        if field.name == "threshold" and isinstance(given, Threshold):
            table |= _threshold(given)
        else:
            table[_KEYS.get(field.name, field.name)] = _plain(given)
    return table


def _default(field: Field[Any]) -> Any:
    """Return the default of a field; MISSING where there is none."""
    return field.default if field.default_factory is MISSING else field.default_factory()


def _threshold(threshold: Threshold) -> dict[str, Any]:
    """Write a threshold as a table with one key."""
    if isinstance(threshold, CombinedThreshold):
        return {threshold.take: [_threshold(part) for part in threshold.parts]}
    key, field = _THRESHOLD_KEYS[type(threshold)]
    return {key: _plain(getattr(threshold, field))}


def _plain(value: Any) -> Any:
    """Write a value with the types of a study file."""
    if isinstance(value, Threshold):
        return _threshold(value)
    if isinstance(value, RelapseFree | LesionFree | LevelCondition):
        return _fields(value)
    if isinstance(value, tuple(kind.rule for kind in KINDS.values())):
        return rule_to_dict(value)
    if isinstance(value, tuple):
        return [JOIN if item is None else _plain(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value
