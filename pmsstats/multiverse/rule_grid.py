"""Every combination of some options of a progression rule."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pandas as pd

from pmsstats.endpoints import ProgressionRule, progression_rule
from pmsstats.errors import DesignError, nearest
from pmsstats.multiverse.choices import WORDS_ONLY, choice_labels, content

__all__ = ["RESERVED_COLUMNS", "RuleGrid", "rule_grid"]

RESERVED_COLUMNS = (
    "rule", "term", "estimate", "std_error", "statistic", "p_value", "conf_low", "conf_high",
    "hazard_ratio", "hazard_ratio_low", "hazard_ratio_high", "n_at_risk", "n_events",
    "event_share", "km_share", "median_years", "median_kappa", "same_as", "note", "reason",
    "change", "few_events",
)  # fmt: skip
"""Columns of a multiverse's table: no option may have such a name."""

_FIELDS = tuple(f.name for f in fields(ProgressionRule) if f.name not in WORDS_ONLY)
_MOST = 20_000
Changes = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class RuleGrid:
    """Every combination of some options that makes a definition.

    Parameters
    ----------
    base : ProgressionRule
        What the options change.
    rules : tuple of ProgressionRule
        The definitions, the last option changing fastest. A combination that is the base rule is
        the base rule itself; the others are named after it, with their number among all
        combinations.
    options : pandas.DataFrame
        One row per definition: ``rule`` (its name) and one column per option, an ordered
        categorical of its choices.
    left_out : pandas.DataFrame
        One row per combination that contradicts itself: one column per option, and ``reason``.
    primary : str
        Name of the definition that is the base rule; empty where none is.
    """

    base: ProgressionRule
    rules: tuple[ProgressionRule, ...]
    options: pd.DataFrame
    left_out: pd.DataFrame
    primary: str = ""

    def __len__(self) -> int:
        """Count the definitions."""
        return len(self.rules)

    def __iter__(self) -> Iterator[ProgressionRule]:
        """Iterate over the definitions."""
        return iter(self.rules)

    def __repr__(self) -> str:
        """Show the options with the number of their choices."""
        names = self.options.columns[1:]
        sizes = " x ".join(f"{name} ({self.options[name].nunique()})" for name in names)
        out = f", {len(self.left_out)} combinations left out" if len(self.left_out) else ""
        return f"<RuleGrid: {len(self)} definitions around {self.base.name!r}, {sizes}{out}>"


@dataclass(frozen=True)
class _Choice:
    """One choice of an option: its words, and the fields that it sets."""

    label: str
    changes: Changes


def rule_grid(base_rule: ProgressionRule | str, **options: Any) -> RuleGrid:
    """Combine options of a progression rule in every way.

    Parameters
    ----------
    base_rule : ProgressionRule or str
        Gives every field that no option changes; or the name of a preset.
    **options
        Fields of :class:`~pmsstats.endpoints.ProgressionRule`, each with the values to try: a
        list, or a mapping of short words to values. Fields that go together are one option under
        a name of your own: a mapping of short words to the fields that each choice sets, as in
        ``relapses={"ignored": {}, "kept away": {"relapse_to_onset_days": 90}}``.

    Returns
    -------
    RuleGrid
        The definitions, what each of them chose, and the combinations that contradict themselves
        with the reason.

    Raises
    ------
    DesignError
        If there is no option, an option is no field or has no choice, a choice is there twice or
        contradicts every combination, or two options set one field.

    Examples
    --------
    >>> grid = rule_grid(
    ...     "cdp12",
    ...     confirm_weeks=[12, 24],
    ...     baseline=["fixed", "roving"],
    ...     subthreshold_rebaseline={"no": "none", "yes": "any"},
    ... )
    >>> grid
    <RuleGrid: 6 definitions around 'cdp12', confirm_weeks (2) x baseline (2) x \
subthreshold_rebaseline (2), 2 combinations left out>
    >>> grid.primary
    'cdp12'
    """
    base = progression_rule(base_rule) if isinstance(base_rule, str) else base_rule
    if not isinstance(base, ProgressionRule):
        raise DesignError(
            f"`base_rule` must be a ProgressionRule or the name of a preset, got {base!r}. Rules "
            "of other kinds go to derive_multiverse as a list."
        )
    if not options:
        raise DesignError("`rule_grid` needs at least one option, as in confirm_weeks=[12, 24].")
    choices = {name: _choices(name, values) for name, values in options.items()}
    _refuse_overlap(choices)
    size = int(np.prod([len(c) for c in choices.values()], dtype=float))
    if size > _MOST:
        raise DesignError(
            f"`options` combine to {size:,} definitions, more than {_MOST:,}. Take some out."
        )
    combinations = itertools.product(*choices.values())
    made = [_combine(base, one, f"{i:0{len(str(size))}d}") for i, one in enumerate(combinations, 1)]
    return _grid(base, choices, made)


def _choices(name: str, values: Any) -> list[_Choice]:
    """Return the choices of an option: of one field, or of fields that go together."""
    if not isinstance(values, Mapping | Sequence | np.ndarray) or isinstance(values, str):
        raise DesignError(
            f"`{name}` must list the values to try, as in [12, 24] or "
            f"{{'words': value}}, got {values!r}."
        )
    if not len(values):
        raise DesignError(f"`{name}` lists no value. Give at least one, or leave it out.")
    if name not in _FIELDS:
        return _joint_choices(name, values)
    plain = [_plain(v) for v in (values.values() if isinstance(values, Mapping) else values)]
    for i, value in enumerate(plain):
        if any(type(v) is type(value) and v == value for v in plain[:i]):
            raise DesignError(f"`{name}` lists {value!r} twice; each choice would count double.")
    labels = list(map(str, values)) if isinstance(values, Mapping) else choice_labels(plain)
    return [_Choice(label, {name: value}) for label, value in zip(labels, plain, strict=True)]


def _plain(value: Any) -> Any:
    """Turn lists and numpy numbers to what a rule stores."""
    if isinstance(value, np.generic):
        return value.item()
    return tuple(_plain(v) for v in value) if isinstance(value, list | np.ndarray) else value


def _joint_choices(name: str, values: Any) -> list[_Choice]:
    """Return the choices of an option that sets several fields."""
    joint = isinstance(values, Mapping) and all(isinstance(v, Mapping) for v in values.values())
    if not joint:
        raise DesignError(
            f"`{name}` is no field of a ProgressionRule.{nearest(name, _FIELDS)} For fields that "
            "go together give a mapping of short words to the fields that each choice sets."
        )
    if name in RESERVED_COLUMNS:
        raise DesignError(f"`{name}` is a column of the result. Give the option another name.")
    for label, changes in values.items():
        for field in changes:
            if field not in _FIELDS:
                raise DesignError(
                    f"`{name}` sets {field!r} in its choice {label!r}, which is no field of a "
                    f"ProgressionRule.{nearest(str(field), _FIELDS)}"
                )
    return [
        _Choice(str(label), {field: _plain(v) for field, v in changes.items()})
        for label, changes in values.items()
    ]


def _refuse_overlap(choices: Mapping[str, Sequence[_Choice]]) -> None:
    """Refuse two options that set one field: one would silently win."""
    owner: dict[str, str] = {}
    for name, listed in choices.items():
        for field in {field for choice in listed for field in choice.changes}:
            if field in owner:
                raise DesignError(f"`{owner[field]}` and `{name}` both set {field!r}. Join them.")
            owner[field] = name


def _combine(
    base: ProgressionRule, combination: Sequence[_Choice], number: str
) -> tuple[ProgressionRule | None, str]:
    """Make the rule of a combination, or say why it contradicts itself."""
    words = {
        "name": f"{base.name}_{number}", "label": "", "citation": "",
        "note": f"Modified from {base.name}.",
    }  # fmt: skip
    changes = {field: v for choice in combination for field, v in choice.changes.items()}
    try:
        rule = replace(base, **words, **changes)
    except DesignError as exc:
        return None, str(exc)
    return (base if content(rule) == content(base) else rule), ""


def _grid(
    base: ProgressionRule,
    choices: Mapping[str, Sequence[_Choice]],
    made: Sequence[tuple[ProgressionRule | None, str]],
) -> RuleGrid:
    """Name the definitions and tabulate what they chose."""
    labels = {name: [choice.label for choice in listed] for name, listed in choices.items()}
    table = _label_table(labels)
    valid = np.array([rule is not None for rule, _ in made])
    _refuse_impossible(table, valid, [reason for _, reason in made])
    rules = tuple(rule for rule, _ in made if rule is not None)
    options = table[valid].reset_index(drop=True)
    options.insert(0, "rule", [rule.name for rule in rules])
    _refuse_equal(options, rules)
    left_out = table[~valid].reset_index(drop=True)
    left_out["reason"] = [reason for rule, reason in made if rule is None]
    primary = base.name if any(rule is base for rule in rules) else ""
    return RuleGrid(base=base, rules=rules, options=options, left_out=left_out, primary=primary)


def _label_table(labels: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Tabulate all combinations, the last option changing fastest."""
    combinations = list(itertools.product(*labels.values()))
    columns = zip(*combinations, strict=True)
    return pd.DataFrame(
        {
            name: pd.Categorical(column, categories=list(labels[name]), ordered=True)
            for name, column in zip(labels, columns, strict=True)
        }
    )


def _refuse_impossible(table: pd.DataFrame, valid: np.ndarray, reasons: Sequence[str]) -> None:
    """Refuse a choice that fits no combination: it is wrong, rather than contradicted."""
    for name in table.columns:
        for label in table[name].cat.categories:
            chosen = (table[name] == label).to_numpy()
            if not valid[chosen].any():
                reason = reasons[int(np.flatnonzero(chosen)[0])]
                raise DesignError(f"`{name}`: the choice {label!r} fits no combination. {reason}")


def _refuse_equal(options: pd.DataFrame, rules: Sequence[ProgressionRule]) -> None:
    """Refuse combinations that are one definition: choices that differ in words alone."""
    seen: dict[Any, int] = {}
    for i, rule in enumerate(rules):
        first = seen.setdefault(content(rule), i)
        if first != i:
            differing = [c for c in options.columns[1:] if options[c][first] != options[c][i]]
            raise DesignError(
                f"The options {', '.join(differing)} have choices that make the same definition, "
                f"which would count twice: {dict(options.loc[first, differing])} and "
                f"{dict(options.loc[i, differing])}. Leave one out."
            )
