"""One door to all endpoints: a preset's name, a table of a study file, or a rule."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, replace
from typing import Any

from pmsstats.cohort import Cohort
from pmsstats.cohort.schema import DataDictionary, default_dictionary
from pmsstats.endpoints.presets import progression_rule
from pmsstats.endpoints.progression import derive_progression
from pmsstats.endpoints.recorded import (
    ExitEventRule,
    RecordedEventRule,
    derive_exit_event,
    derive_recorded_event,
)
from pmsstats.endpoints.rule import ProgressionRule
from pmsstats.endpoints.thresholds import (
    AbsoluteThreshold,
    RelativeThreshold,
    StepThreshold,
    Threshold,
)
from pmsstats.endpoints.time_to_event import EndpointResult
from pmsstats.errors import DesignError, nearest

__all__ = ["AnyRule", "derive_endpoint", "rule_from_dict"]

AnyRule = ProgressionRule | RecordedEventRule | ExitEventRule

_THRESHOLDS: Mapping[str, Callable[[Any], Threshold]] = {
    "change": lambda value: AbsoluteThreshold(change=value),
    "relative": lambda value: RelativeThreshold(fraction=value),
    "steps": lambda value: StepThreshold(steps=value),
}
_OPTIONS = tuple(f.name for f in fields(ProgressionRule) if f.name not in {"outcome", "threshold"})
_WORSE_MEANS = {"higher": "increase", "lower": "decrease"}


def derive_endpoint(cohort: Cohort, rule: AnyRule | str | Mapping[str, Any]) -> EndpointResult:
    """Derive any endpoint.

    Parameters
    ----------
    cohort : Cohort
        The data.
    rule : ProgressionRule, RecordedEventRule, ExitEventRule, str or mapping
        A rule, the name of a preset, or a table for :func:`rule_from_dict`.

    Returns
    -------
    EndpointResult
        One row per subject at risk.

    Raises
    ------
    DesignError
        If the rule cannot be understood, or nobody can be assessed.
    SchemaError
        If the cohort lacks a measure or column.
    """
    if isinstance(rule, Mapping):
        rule = rule_from_dict(rule, dictionary=cohort.dictionary)
    if isinstance(rule, ProgressionRule | str):
        return derive_progression(cohort, rule)
    if isinstance(rule, RecordedEventRule):
        return derive_recorded_event(cohort, rule)
    if isinstance(rule, ExitEventRule):
        return derive_exit_event(cohort, rule)
    raise DesignError(
        f"`rule` must be a rule, the name of a preset, or a table, got {type(rule).__name__}."
    )


def rule_from_dict(
    table: Mapping[str, Any], *, dictionary: DataDictionary | None = None
) -> AnyRule:
    """Build a rule from a table of a study file.

    Parameters
    ----------
    table : mapping
        By default a progression rule: ``measure`` with one of ``change``, ``relative`` or
        ``steps``, or ``preset``, and any further field of :class:`ProgressionRule`. With
        ``kind = "recorded"`` the fields of :class:`RecordedEventRule`, with ``kind = "exit"``
        those of :class:`ExitEventRule`.
    dictionary : DataDictionary, optional
        Tells which direction is worse, where the table gives no ``direction``; the package's own
        by default.

    Returns
    -------
    ProgressionRule, RecordedEventRule or ExitEventRule
        The checked rule.

    Raises
    ------
    DesignError
        If a key is unknown or missing, keys contradict each other, or a value is wrong.

    Examples
    --------
    >>> rule = rule_from_dict({"measure": "edss", "change": 1.0, "confirm_weeks": 24})
    >>> rule.direction, rule.title()
    ('increase', '24-week confirmed worsening of EDSS by 1.0 or more')
    """
    kind = table.get("kind", "progression")
    rest = {key: value for key, value in table.items() if key != "kind"}
    if kind == "recorded":
        return _plain_rule(RecordedEventRule, rest)
    if kind == "exit":
        return _plain_rule(ExitEventRule, rest)
    if kind == "progression":
        return _progression(rest, default_dictionary() if dictionary is None else dictionary)
    kinds = ("progression", "recorded", "exit")
    raise DesignError(
        f"`kind` of an endpoint must be one of {', '.join(kinds)}, got {kind!r}."
        f"{nearest(str(kind), kinds)}"
    )


def _plain_rule(
    rule: type[RecordedEventRule | ExitEventRule], table: Mapping[str, Any]
) -> RecordedEventRule | ExitEventRule:
    """Fill a rule whose fields are the table's keys."""
    known = [f.name for f in fields(rule)]
    _require_known(table, known)
    needed = ("reasons",) if rule is ExitEventRule else ("duration", "event")
    _require_present(table, needed)
    return rule(**table)


def _progression(table: Mapping[str, Any], dictionary: DataDictionary) -> ProgressionRule:
    """Build a progression rule, from a preset or from its parts."""
    _require_known(table, ["preset", "measure", *_THRESHOLDS, *_OPTIONS])
    if "preset" in table:
        return _from_preset(table)
    _require_present(table, ("measure",))
    options = {key: table[key] for key in _OPTIONS if key in table}
    if "direction" not in options:
        options["direction"] = _direction(table["measure"], dictionary)
    weeks = f"_{options['confirm_weeks']}w" if options.get("confirm_weeks") else ""
    options.setdefault("name", f"{table['measure']}_{options['direction']}{weeks}")
    threshold = _threshold(table)
    if threshold is None:
        raise DesignError(
            f"The endpoint on {table['measure']!r} does not say how much change counts. Give one "
            "of `change` (in its unit), `relative` (0.2 is 20 % of baseline) or `steps`."
        )
    return ProgressionRule(outcome=table["measure"], threshold=threshold, **options)


def _from_preset(table: Mapping[str, Any]) -> ProgressionRule:
    """Take a preset, with what the table changes; a changed rule no longer bears its labels."""
    rule = progression_rule(table["preset"])
    changes = {key: table[key] for key in _OPTIONS if key in table}
    if "measure" in table:
        changes["outcome"] = table["measure"]
    threshold = _threshold(table)
    if threshold is not None:
        changes["threshold"] = threshold
    if not changes:
        return rule
    note = f"Modified from the preset {rule.name}."
    fresh = {"name": f"{rule.name}_modified", "label": "", "note": note}
    return replace(rule, **{**fresh, **changes})


def _threshold(table: Mapping[str, Any]) -> Threshold | None:
    """Build the threshold that the table gives, if any; refuse two."""
    given = [key for key in _THRESHOLDS if key in table]
    if len(given) > 1:
        raise DesignError(
            f"An endpoint takes one of {', '.join(f'`{k}`' for k in _THRESHOLDS)}, got "
            f"{' and '.join(f'`{k}`' for k in given)}."
        )
    return _THRESHOLDS[given[0]](table[given[0]]) if given else None


def _direction(measure: object, dictionary: DataDictionary) -> str:
    """Return the direction of worsening that the dictionary gives."""
    entry = dictionary.get(str(measure))
    worsening = "unspecified" if entry is None else entry.worsening
    if entry is None:
        raise DesignError(
            f"The endpoint is on {measure!r}, which is no measure of the data dictionary."
            f"{nearest(str(measure), dictionary)} If it is your own, describe it under [measures], "
            'or say which `direction` is worse ("increase" or "decrease").'
        )
    if worsening not in _WORSE_MEANS:
        raise DesignError(
            f'The endpoint on {measure!r} needs `direction` ("increase" or "decrease"): the '
            "data dictionary does not say which change of it is worse."
        )
    return _WORSE_MEANS[worsening]


def _require_known(table: Mapping[str, Any], known: Iterable[str]) -> None:
    """Refuse an unknown key."""
    known = list(known)
    for key in table:
        if key not in known:
            raise DesignError(
                f"An endpoint has no key {key!r}.{nearest(str(key), known)} It may have: "
                f"{', '.join(known)}."
            )


def _require_present(table: Mapping[str, Any], needed: Iterable[str]) -> None:
    """Refuse a table that lacks a key."""
    for key in needed:
        if key not in table:
            raise DesignError(
                f"An endpoint table needs `{key}`, but has only: {', '.join(table) or 'nothing'}."
            )
