"""Rules from tables of a study file (TOML, JSON), and back."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from pmsstats.cohort.schema import DataDictionary, default_dictionary
from pmsstats.endpoints.definitions.composite_rule import CompositeRule, PartRule
from pmsstats.endpoints.definitions.conditions import LesionFree, LevelCondition, RelapseFree
from pmsstats.endpoints.definitions.event_rules import (
    ExitEventRule,
    LesionEventRule,
    RecordedEventRule,
    RelapseEventRule,
    VolumeLossRule,
)
from pmsstats.endpoints.definitions.field_checks import as_tuple
from pmsstats.endpoints.definitions.modified import modified_rule
from pmsstats.endpoints.definitions.presets import preset
from pmsstats.endpoints.definitions.progression_rule import ProgressionRule
from pmsstats.endpoints.definitions.thresholds import (
    AbsoluteThreshold,
    CombinedThreshold,
    LevelThreshold,
    RelativeThreshold,
    StepThreshold,
    Threshold,
)
from pmsstats.errors import DesignError, RenamedWarning, nearest

__all__ = ["AnyRule", "rule_from_dict"]

AnyRule = PartRule
"""A rule of any kind."""

JOIN = "join"
"""Stands for the end of an interval that goes on to the next one."""

NOTHING = "none"
"""Stands for None, where a preset is to be taken without something."""

_WORSE_MEANS = {"higher": "increase", "lower": "decrease"}
_RELAPSE_DAYS = ("relapse_to_onset_days", "relapse_to_confirmation_days")


def rule_from_dict(
    table: Mapping[str, Any], *, dictionary: DataDictionary | None = None
) -> AnyRule:
    """Build a rule from a table of a study file.

    Parameters
    ----------
    table : mapping
        By default a progression rule: ``measure`` with one of ``change``, ``relative``,
        ``steps``, ``level``, ``smallest`` or ``largest``, or ``preset``, and any further field of
        :class:`ProgressionRule`. With ``kind = "recorded"``, ``"exit"``, ``"relapse"``,
        ``"lesion"`` or ``"volume_loss"`` the fields of such a rule; with ``kind = "composite"``
        those of :class:`CompositeRule`, whose ``parts`` are tables or names of presets.
    dictionary : DataDictionary, optional
        Tells which direction is worse, where the table gives no ``direction``; the package's own
        by default.

    Returns
    -------
    ProgressionRule, CompositeRule, or a rule of another kind
        The checked rule.

    Raises
    ------
    DesignError
        If a key is unknown or missing, keys contradict each other, or a value is wrong.

    Warns
    -----
    RenamedWarning
        If `relapse_days` is given, which now has two names.

    Notes
    -----
    ``smallest`` and ``largest`` are lists of tables with one of ``change``, ``relative`` or
    ``steps``; ``opposite`` is a table like these for the other direction. Intervals of
    ``relapse_free`` are joined by the word ``"join"`` in place of the days between them. The word
    ``"none"`` takes a field away from a preset (``confirm_weeks = "none"``).

    Examples
    --------
    >>> rule = rule_from_dict({"measure": "edss", "change": 1.0, "confirm_weeks": 24})
    >>> rule.direction, rule.title()
    ('increase', '24-week confirmed worsening of EDSS by 1.0 or more')
    >>> points = {"smallest": [{"change": 4}, {"relative": 0.2}]}
    >>> rule_from_dict({"measure": "sdmt", **points}).threshold.describe("decrease")
    'a decrease from baseline of at least 4.0 or of at least 20 % of the baseline value, whichever \
is smaller'
    """
    _require_table("An endpoint", table)
    kind = table.get("kind", "progression")
    if not isinstance(kind, str) or kind not in KINDS:
        raise DesignError(
            f"`kind` of an endpoint must be one of {', '.join(KINDS)}, got {kind!r}."
            f"{nearest(str(kind), KINDS)}"
        )
    rest = {key: value for key, value in table.items() if key != "kind"}
    return KINDS[kind].build(rest, default_dictionary() if dictionary is None else dictionary)


@dataclass(frozen=True, kw_only=True)
class RuleKind:
    """A kind of rule, and how it is built from a table.

    Parameters
    ----------
    rule : type
        Its class.
    build : callable
        Takes the table (without its kind) and the data dictionary, returns the rule.
    """

    rule: type[AnyRule]
    build: Callable[[Mapping[str, Any], DataDictionary], AnyRule]


def _plain(rule: type[AnyRule], *needed: str) -> RuleKind:
    """Return a kind of rule whose fields are the table's keys (`measure` is its outcome)."""

    def build(table: Mapping[str, Any], dictionary: DataDictionary) -> AnyRule:
        del dictionary
        known = {_key(f.name): f.name for f in fields(rule)}
        _require_known(table, known)
        _require_present(table, needed)
        return rule(**{known[key]: value for key, value in table.items()})

    return RuleKind(rule=rule, build=build)


def _key(field: str) -> str:
    """Return the key of a field in tables."""
    return "measure" if field == "outcome" else field


def _composite(table: Mapping[str, Any], dictionary: DataDictionary) -> AnyRule:
    """Build a composite: its parts are tables or names of presets."""
    _require_known(table, [f.name for f in fields(CompositeRule)], "A composite")
    _require_present(table, ("name", "parts"))
    return CompositeRule(**{**table, **_parts(table, dictionary)})


def _parts(table: Mapping[str, Any], dictionary: DataDictionary) -> dict[str, Any]:
    """Build the parts of a composite, if the table gives them."""
    if "parts" not in table:
        return {}
    given = table["parts"]
    if not isinstance(given, list | tuple):
        raise DesignError(
            "`parts` of a composite must be a list of tables or names of presets, such as "
            f'["cdp12", "t25fw20"], got {given!r}.'
        )
    parts = [
        preset(part) if isinstance(part, str) else rule_from_dict(part, dictionary=dictionary)
        for part in given
    ]
    return {"parts": tuple(parts)}


def _progression(table: Mapping[str, Any], dictionary: DataDictionary) -> AnyRule:
    """Build a progression rule, from a preset or from its parts."""
    if "preset" in table:
        return _from_preset(table, dictionary)
    _require_known(_without_former(table), _PROGRESSION_KEYS)
    _require_present(table, ("measure",))
    measure = table["measure"]
    options = _options(table, confirmed="confirm_weeks" in table)
    if "direction" not in options:
        options["direction"] = _direction(measure, dictionary)
    weeks = "".join(f"_{week}w" for week in as_tuple(options.get("confirm_weeks")))
    options = {"name": f"{measure}_{options['direction']}{weeks}", **options}
    if "threshold" not in options:
        raise DesignError(
            f"The endpoint on {measure!r} does not say how much change counts. Give one "
            "of `change` (in its unit), `relative` (0.2 is 20 % of baseline), `steps`, `level`, "
            "`smallest` or `largest`."
        )
    return ProgressionRule(**options)


def _from_preset(table: Mapping[str, Any], dictionary: DataDictionary) -> AnyRule:
    """Take a preset, with what the table changes; a changed rule no longer bears its labels."""
    if not isinstance(table["preset"], str):
        raise DesignError(f"`preset` of an endpoint must be a name, got {table['preset']!r}.")
    rule = preset(table["preset"])
    given = {key: value for key, value in table.items() if key != "preset"}
    if isinstance(rule, CompositeRule):
        _require_known(given, [f.name for f in fields(CompositeRule)], "A composite")
        changes = {**given, **_parts(given, dictionary)}
    else:
        _require_known(_without_former(given), _PROGRESSION_KEYS)
        weeks = given.get("confirm_weeks", rule.confirm_weeks)
        changes = _options(given, confirmed=weeks not in (None, NOTHING))
    return modified_rule(rule, changes)


def _options(table: Mapping[str, Any], *, confirmed: bool) -> dict[str, Any]:
    """Turn the keys of a progression rule's table to fields."""
    table = _renamed(table, confirmed=confirmed)
    options = {key: table[key] for key in _FIELDS if key in table}
    for field in ("confirm_weeks", "opposite_confirm_weeks"):
        if options.get(field) == NOTHING:
            options[field] = None
    if "measure" in table:
        options["outcome"] = table["measure"]
    threshold = _threshold(table)
    if threshold is not None:
        options["threshold"] = threshold
    for key, (field, build) in _NESTED.items():
        if key in table:
            nothing = key in ("opposite", "lesion_free") and table[key] == NOTHING
            options[field] = None if nothing else build(table[key])
    return options


def _without_former(table: Mapping[str, Any]) -> Mapping[str, Any]:
    """Leave out the former key, which is known but not to be suggested."""
    return {key: value for key, value in table.items() if key != "relapse_days"}


def _renamed(table: Mapping[str, Any], *, confirmed: bool) -> Mapping[str, Any]:
    """Take the former key `relapse_days` for the two that replace it."""
    if "relapse_days" not in table:
        return table
    new = [key for key in _RELAPSE_DAYS if key in table]
    if new:
        raise DesignError(f"Give either `relapse_days` or {' and '.join(f'`{k}`' for k in new)}.")
    warnings.warn(
        "`relapse_days` is now `relapse_to_onset_days` and `relapse_to_confirmation_days`, which "
        "may differ; both are set to it. The former name will be refused in the next release.",
        RenamedWarning,
        stacklevel=2,
    )
    names = _RELAPSE_DAYS if confirmed else _RELAPSE_DAYS[:1]
    return {**table, **dict.fromkeys(names, table["relapse_days"])}


def _threshold(table: Mapping[str, Any]) -> Threshold | None:
    """Build the threshold that the table gives, if any; refuse two."""
    given = [key for key in THRESHOLDS if key in table]
    if len(given) > 1:
        raise DesignError(
            f"An endpoint takes one of {', '.join(f'`{key}`' for key in THRESHOLDS)}, got "
            f"{' and '.join(f'`{key}`' for key in given)}."
        )
    return THRESHOLDS[given[0]](table[given[0]]) if given else None


def _combined(take: str) -> Callable[[Any], Threshold]:
    """Return what builds the smallest or largest of several thresholds."""

    def build(given: Any) -> Threshold:
        if not isinstance(given, list | tuple):
            raise DesignError(
                f"`{take}` of an endpoint must be a list of tables, such as [{{change = 4}}, "
                f"{{relative = 0.2}}], got {given!r}."
            )
        parts = tuple(_one_threshold(f"`{take}` of an endpoint", part) for part in given)
        return CombinedThreshold(parts=parts, take=take)

    return build


def _one_threshold(owner: str, table: Any) -> Threshold:
    """Build a threshold from a table that gives nothing else."""
    _require_table(owner, table)
    _require_known(table, THRESHOLDS, owner)
    threshold = _threshold(table)
    if threshold is None:
        raise DesignError(f"{owner} must give one of {', '.join(THRESHOLDS)}, got {table!r}.")
    return threshold


def _opposite(table: Any) -> Threshold:
    """Build the threshold of the other direction."""
    return _one_threshold("`opposite` of an endpoint", table)


def _relapse_free(table: Any) -> RelapseFree:
    """Build intervals without relapses; "join" is an open end."""
    owner = "`relapse_free` of an endpoint"
    _require_table(owner, table)
    _require_known(table, [f.name for f in fields(RelapseFree)], owner)
    return RelapseFree(**{key: _open_ends(value) for key, value in table.items()})


def _open_ends(value: Any) -> Any:
    """Put None where an interval goes on to the next."""
    if not isinstance(value, list | tuple):
        return value
    return tuple(None if end == JOIN else end for end in value)


def _lesion_free(table: Any) -> LesionFree:
    """Build intervals without new lesions."""
    owner = "`lesion_free` of an endpoint"
    _require_table(owner, table)
    _require_known(table, [f.name for f in fields(LesionFree)], owner)
    return LesionFree(**table)


def _conditions(given: Any) -> tuple[LevelCondition, ...]:
    """Build the conditions on onset: a table, or a list of them."""
    owner = "A condition of `onset_conditions` of an endpoint"
    known = {_key(f.name): f.name for f in fields(LevelCondition)}
    conditions = []
    for table in as_tuple(given):
        _require_table(owner, table)
        _require_known(table, known, owner)
        _require_present(table, ("measure",))
        conditions.append(LevelCondition(**{known[key]: value for key, value in table.items()}))
    return tuple(conditions)


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


def _require_table(owner: str, value: object) -> None:
    """Refuse what is no table."""
    if not isinstance(value, Mapping):
        raise DesignError(f"{owner} must be a table of keys and values, got {value!r}.")


def _require_known(
    table: Mapping[str, Any], known: Iterable[str], owner: str = "An endpoint"
) -> None:
    """Refuse an unknown key."""
    known = list(known)
    for key in table:
        if key not in known:
            raise DesignError(
                f"{owner} has no key {key!r}.{nearest(str(key), known)} It may have: "
                f"{', '.join(known)}."
            )


def _require_present(table: Mapping[str, Any], needed: Iterable[str]) -> None:
    """Refuse a table that lacks a key."""
    for key in needed:
        if key not in table:
            raise DesignError(
                f"An endpoint table needs `{key}`, but has only: {', '.join(table) or 'nothing'}."
            )


THRESHOLDS: Mapping[str, Callable[[Any], Threshold]] = {
    "change": lambda value: AbsoluteThreshold(change=value),
    "relative": lambda value: RelativeThreshold(fraction=value),
    "steps": lambda value: StepThreshold(steps=value),
    "level": lambda value: LevelThreshold(level=value),
    "smallest": _combined("smallest"),
    "largest": _combined("largest"),
}
"""Keys of thresholds."""

_NESTED: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "opposite": ("opposite_threshold", _opposite),
    "relapse_free": ("relapse_free", _relapse_free),
    "lesion_free": ("lesion_free", _lesion_free),
    "onset_conditions": ("onset_conditions", _conditions),
}
_BUILT = {"outcome", "threshold", *(field for field, _ in _NESTED.values())}
_FIELDS = tuple(f.name for f in fields(ProgressionRule) if f.name not in _BUILT)
_PROGRESSION_KEYS = ("preset", "measure", *THRESHOLDS, *_NESTED, *_FIELDS)

KINDS: Mapping[str, RuleKind] = {
    "progression": RuleKind(rule=ProgressionRule, build=_progression),
    "recorded": _plain(RecordedEventRule, "duration", "event"),
    "exit": _plain(ExitEventRule, "reasons"),
    "relapse": _plain(RelapseEventRule),
    "lesion": _plain(LesionEventRule),
    "volume_loss": _plain(VolumeLossRule),
    "composite": RuleKind(rule=CompositeRule, build=_composite),
}
"""Kinds of rules by the word that tables use."""
