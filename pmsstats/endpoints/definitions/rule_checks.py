"""Whether each field of a progression rule is possible; tuples are stored as such."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

import numpy as np

from pmsstats.endpoints.definitions.conditions import LesionFree, LevelCondition, RelapseFree
from pmsstats.endpoints.definitions.field_checks import (
    as_tuple,
    day_pair,
    is_number,
    require_choice,
    require_days,
    require_text,
)
from pmsstats.endpoints.definitions.rule_conflicts import check_agreement
from pmsstats.endpoints.definitions.thresholds import Threshold
from pmsstats.errors import DesignError

if TYPE_CHECKING:
    from pmsstats.endpoints.definitions.progression_rule import ProgressionRule

__all__ = ["check_rule"]

_TEXTS = ("name", "outcome")
_TEXTS_OR_EMPTY = ("label", "citation", "note", "threshold_from", "confirmation_visits")
_CHOICES = (
    "direction", "events", "baseline", "baseline_visit", "continue_from",
    "subthreshold_rebaseline", "moved_baseline_value", "skip_local_extrema", "confirm_level",
    "condition_visits",
)  # fmt: skip
_FLAGS = (
    "rebaseline_after_relapse", "baseline_never_better", "confirm_intermediate",
    "classify_relapses",
)  # fmt: skip
_PAIRS = (
    "relapse_to_baseline_days", "relapse_to_onset_days", "relapse_to_confirmation_days",
    "raw_days",
)  # fmt: skip


def check_rule(rule: ProgressionRule) -> None:
    """Check every field, and that they agree; pairs and tuples are stored as such.

    Parameters
    ----------
    rule : ProgressionRule
        Being made.

    Raises
    ------
    DesignError
        If a field is of the wrong type or range, or fields contradict each other.
    """
    _check_words(rule)
    _check_thresholds(rule)
    _check_numbers(rule)
    _check_weeks(rule)
    _check_opposite_weeks(rule)
    _check_per_window(rule, "confirm_tolerance_days", whole=True)
    _check_per_window(rule, "confirm_late_days", whole=False)
    _check_range(rule)
    _check_reasons(rule)
    _check_intervals(rule)
    _check_conditions(rule)
    _check_systems(rule)
    check_agreement(rule)


def _owner(rule: ProgressionRule) -> str:
    """Name the rule in messages."""
    return f"rule {rule.name!r}"


def _store(rule: ProgressionRule, name: str, value: object) -> None:
    """Store a field in its one form, although the rule is frozen."""
    object.__setattr__(rule, name, value)


@cache
def _hints(kind: type) -> dict[str, Any]:
    """Return the types of a rule's fields; reading them takes longer than all other checks."""
    return get_type_hints(kind)


def _check_words(rule: ProgressionRule) -> None:
    """Check texts, choices and flags."""
    for name in _TEXTS:
        require_text(rule, name)
    for name in _TEXTS_OR_EMPTY:
        require_text(rule, name, may_be_empty=True)
    hints = _hints(type(rule))
    for name in _CHOICES:
        require_choice(_owner(rule), name, getattr(rule, name), get_args(hints[name]))
    for name in _FLAGS:
        value = getattr(rule, name)
        if not isinstance(value, bool):
            raise DesignError(f"`{name}` of {_owner(rule)} must be true or false, got {value!r}.")


def _check_thresholds(rule: ProgressionRule) -> None:
    """Check that thresholds are thresholds."""
    for name in ("threshold", "opposite_threshold"):
        value = getattr(rule, name)
        optional = name == "opposite_threshold" and value is None
        if not (optional or isinstance(value, Threshold)):
            names = ", ".join(kind.__name__ for kind in Threshold.__subclasses__())
            raise DesignError(f"`{name}` of {_owner(rule)} must be one of {names}, got {value!r}.")


def _check_numbers(rule: ProgressionRule) -> None:
    """Check single numbers, and turn single days to pairs."""
    for name in ("baseline_window_days", "min_days_from_baseline"):
        require_days(_owner(rule), name, getattr(rule, name), whole=True)
    for name in ("sustain_days", "impute_within_days"):
        require_days(_owner(rule), name, getattr(rule, name), endless=True)
    for name in _PAIRS:
        _store(rule, name, day_pair(_owner(rule), name, getattr(rule, name)))
    chance = rule.impute_last_visit
    if not (is_number(chance) and 0 <= chance <= 1):
        raise DesignError(
            f"`impute_last_visit` of {_owner(rule)} is a probability from 0 to 1, got "
            f"{chance!r}. To limit it in time use `impute_within_days`."
        )


def _check_weeks(rule: ProgressionRule) -> None:
    """Check the confirmation windows; a single one is stored as its number."""
    weeks = as_tuple(rule.confirm_weeks)
    possible = all(_is_weeks(week) for week in weeks)
    if not possible or (rule.confirm_weeks is not None and not weeks):
        raise DesignError(
            f"`confirm_weeks` of {_owner(rule)} must be a whole number of at least 1, "
            f"several of them, or None, got {rule.confirm_weeks!r}."
        )
    if list(weeks) != sorted(set(weeks)):
        raise DesignError(
            f"`confirm_weeks` of {_owner(rule)} must rise and name each window once, got "
            f"{rule.confirm_weeks!r}."
        )
    _store(rule, "confirm_weeks", weeks if len(weeks) > 1 else next(iter(weeks), None))


def _is_weeks(value: object) -> bool:
    """Say whether a value is a whole number of at least 1."""
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return whole and bool(value >= 1)


def _check_opposite_weeks(rule: ProgressionRule) -> None:
    """Check the confirmation window of changes in the other direction."""
    weeks = rule.opposite_confirm_weeks
    if not (weeks is None or _is_weeks(weeks)):
        raise DesignError(
            f"`opposite_confirm_weeks` of {_owner(rule)} must be a whole number of at least 1, or "
            f"None, got {weeks!r}."
        )


def _check_per_window(rule: ProgressionRule, name: str, *, whole: bool) -> None:
    """Check days that may be given once or for each window; equal ones are stored once."""
    value = getattr(rule, name)
    days = as_tuple(value)
    n_windows = len(as_tuple(rule.confirm_weeks))
    if isinstance(value, list | tuple) and len(days) != n_windows:
        raise DesignError(
            f"`{name}` of {_owner(rule)} has {len(days)} value(s) for {n_windows} confirmation "
            "window(s). Give one for all, or one for each."
        )
    for number in days or (value,):
        require_days(_owner(rule), name, number, whole=whole, endless=not whole)
    _store(rule, name, days if len(set(days)) > 1 else days[0])


def _check_range(rule: ProgressionRule) -> None:
    """Check the range of baselines."""
    bounds = as_tuple(rule.baseline_range)
    numbers = len(bounds) == 2 and all(is_number(value) for value in bounds)
    if not (numbers and bounds[0] <= bounds[1] and bounds[0] < math.inf and bounds[1] > -math.inf):
        raise DesignError(
            f"`baseline_range` of {_owner(rule)} must be the lowest and the highest baseline, two "
            f"numbers such as (0, 5.5), got {rule.baseline_range!r}."
        )
    _store(rule, "baseline_range", bounds)


def _check_reasons(rule: ProgressionRule) -> None:
    """Check the reasons of exit for which a change at the last visit is taken as confirmed."""
    reasons = as_tuple(rule.impute_reasons)
    if not all(isinstance(reason, str) and reason.strip() for reason in reasons):
        raise DesignError(
            f"`impute_reasons` of {_owner(rule)} must be reasons of the exits table such as "
            f"('dropout',), got {rule.impute_reasons!r}."
        )
    _require_distinct(rule, "impute_reasons", reasons)
    _store(rule, "impute_reasons", reasons)


def _check_intervals(rule: ProgressionRule) -> None:
    """Check the intervals that tell events apart."""
    kinds: dict[str, tuple[type, ...]] = {
        "relapse_free": (RelapseFree,),
        "lesion_free": (LesionFree, type(None)),
    }
    for name, allowed in kinds.items():
        value = getattr(rule, name)
        if not isinstance(value, allowed):
            raise DesignError(
                f"`{name}` of {_owner(rule)} must be a {allowed[0].__name__}, got {value!r}."
            )


def _check_conditions(rule: ProgressionRule) -> None:
    """Check the conditions on onset."""
    conditions = as_tuple(rule.onset_conditions)
    if not all(isinstance(condition, LevelCondition) for condition in conditions):
        raise DesignError(
            f"`onset_conditions` of {_owner(rule)} must be LevelConditions, got "
            f"{rule.onset_conditions!r}."
        )
    _require_distinct(rule, "onset_conditions", [c.outcome for c in conditions])
    _store(rule, "onset_conditions", conditions)


def _check_systems(rule: ProgressionRule) -> None:
    """Check the functional systems, and by how much they must worsen."""
    systems = as_tuple(rule.leading_systems)
    if not all(isinstance(system, str) and system.strip() for system in systems):
        raise DesignError(
            f"`leading_systems` of {_owner(rule)} must name columns of the visits table, got "
            f"{rule.leading_systems!r}."
        )
    _require_distinct(rule, "leading_systems", systems)
    _store(rule, "leading_systems", systems)
    step = rule.leading_step
    if not (is_number(step) and 0 < step < math.inf):
        raise DesignError(f"`leading_step` of {_owner(rule)} must be above 0, got {step!r}.")


def _require_distinct(rule: ProgressionRule, name: str, words: Any) -> None:
    """Refuse a column or reason that is named twice."""
    for word in words:
        if list(words).count(word) > 1:
            raise DesignError(f"`{name}` of {_owner(rule)} names {word!r} twice. Name it once.")
