"""Whether the fields of a progression rule agree: none contradicts another, none is idle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from pmsstats.cohort.schema import default_dictionary
from pmsstats.endpoints.definitions.field_checks import as_tuple
from pmsstats.endpoints.definitions.thresholds import (
    AbsoluteThreshold,
    CombinedThreshold,
    LevelThreshold,
    RelativeThreshold,
    Threshold,
)
from pmsstats.errors import DesignError

if TYPE_CHECKING:
    from pmsstats.endpoints.definitions.progression_rule import ProgressionRule

__all__ = ["check_agreement"]


@dataclass(frozen=True, kw_only=True)
class _Need:
    """Options that do nothing unless something else is asked for.

    Parameters
    ----------
    options : tuple of str
        Fields of the rule that must then be at their defaults.
    met : callable
        Says of a rule whether they do something.
    reason : str
        Why they do nothing otherwise, to follow "but".
    remedy : str
        What to set.
    """

    options: tuple[str, ...]
    met: Callable[[ProgressionRule], bool]
    reason: str
    remedy: str


def check_agreement(rule: ProgressionRule) -> None:
    """Refuse fields that contradict each other, or do nothing together.

    Parameters
    ----------
    rule : ProgressionRule
        Being made; each field is possible by itself.

    Raises
    ------
    DesignError
        If fields contradict each other.
    """
    default = {
        f.name: f.default if f.default_factory is MISSING else f.default_factory()
        for f in fields(rule)
    }
    _check_level(rule, default)
    for need in _NEEDS:
        for name in need.options:
            value = getattr(rule, name)
            if value != default[name] and not need.met(rule):
                _refuse(rule, f"`{name}` is {value!r}, but {need.reason}. {need.remedy}")
    for check in _CHECKS:
        check(rule)


def _refuse(rule: ProgressionRule, problem: str) -> None:
    """Raise what is wrong with a rule."""
    raise DesignError(f"Rule {rule.name!r} contradicts itself: {problem}")


def _moves(rule: ProgressionRule) -> bool:
    """Say whether the baseline follows events."""
    return rule.baseline != "fixed"


def _confirms_opposite(rule: ProgressionRule) -> bool:
    """Say whether changes against the rule's direction are events, or move the baseline."""
    opposite = "worsening" if _improves(rule) else "improvement"
    moves = rule.baseline in ("roving", f"roving_{opposite}")
    return moves or rule.events in ("first_either", "multiple")


def _looks_back(rule: ProgressionRule) -> bool:
    """Say whether changes against the rule's direction matter."""
    return _confirms_opposite(rule) or rule.skip_local_extrema == "strict"


def _improves(rule: ProgressionRule) -> bool:
    """Say whether the rule's direction is an improvement; not so where the package cannot tell."""
    measure = default_dictionary().get(rule.outcome)
    worse = {"higher": "increase", "lower": "decrease"}
    return measure is not None and worse.get(measure.worsening, rule.direction) != rule.direction


def _change(rule: ProgressionRule) -> str:
    """Put the article before the rule's direction."""
    return "an increase" if rule.direction == "increase" else "a decrease"


def _depends_on_baseline(rule: ProgressionRule) -> bool:
    """Say whether any threshold needs a baseline value to tell how much change counts."""
    return any(
        not isinstance(threshold, AbsoluteThreshold)
        for threshold in (rule.threshold, rule.opposite_threshold or rule.threshold)
    )


_NEEDS = (
    _Need(
        options=(
            "confirm_tolerance_days", "confirm_late_days", "confirm_intermediate",
            "confirm_level", "confirmation_visits", "sustain_days", "impute_last_visit",
            "relapse_to_confirmation_days", "subthreshold_rebaseline", "continue_from",
            "opposite_confirm_weeks", "moved_baseline_value", "condition_visits",
        ),
        met=lambda rule: rule.confirm_weeks is not None,
        reason="nothing is to be confirmed",
        remedy="Set `confirm_weeks`, or leave it out.",
    ),
    _Need(
        options=("impute_within_days", "impute_reasons"),
        met=lambda rule: rule.impute_last_visit > 0,
        reason="no change at the last visit is taken as confirmed",
        remedy="Set `impute_last_visit` (1 for always), or leave it out.",
    ),
    _Need(
        options=("baseline_window_days",),
        met=lambda rule: rule.baseline_visit == "day_0",
        reason="the first visit is the baseline, whenever it comes",
        remedy='Set `baseline_visit` to "day_0", or leave it out.',
    ),
    _Need(
        options=("subthreshold_rebaseline", "moved_baseline_value"),
        met=_moves,
        reason="the baseline is fixed",
        remedy='Set `baseline` to "roving", or leave it out.',
    ),
    _Need(
        options=("baseline_never_better",),
        met=lambda rule: _moves(rule) or rule.rebaseline_after_relapse,
        reason="the baseline never moves",
        remedy="Set `baseline` or `rebaseline_after_relapse`, or leave it out.",
    ),
    _Need(
        options=("continue_from",),
        met=lambda rule: _moves(rule) or rule.events == "multiple",
        reason="nothing is searched for after the first event, and no baseline moves",
        remedy='Set `events` to "multiple" or `baseline` to "roving", or leave it out.',
    ),
    _Need(
        options=("opposite_threshold",),
        met=_looks_back,
        reason="changes in the other direction make no event and move no baseline",
        remedy=(
            'Set `events` to "first_either" or "multiple", or `baseline` to "roving", or leave '
            "it out."
        ),
    ),
    _Need(
        options=("opposite_confirm_weeks",),
        met=_confirms_opposite,
        reason="changes in the other direction make no event and move no baseline",
        remedy=(
            'Set `events` to "first_either" or "multiple", or `baseline` to "roving", or leave '
            "it out."
        ),
    ),
    _Need(
        options=("threshold_from",),
        met=_depends_on_baseline,
        reason="the threshold is the same for every baseline",
        remedy="Use a StepThreshold or RelativeThreshold, or leave it out.",
    ),
    _Need(
        options=("raw_days",),
        met=lambda rule: rule.classifies or rule.rebaseline_after_relapse,
        reason="neither are events told apart by relapses, nor does the baseline follow these",
        remedy="Set `classify_relapses` or `rebaseline_after_relapse`, or leave it out.",
    ),
    _Need(
        options=("relapse_free", "lesion_free"),
        met=lambda rule: rule.classifies,
        reason="events are not told apart by relapses",
        remedy=(
            'Set `classify_relapses`, or `events` to "first_pira" or "first_raw", or leave it out.'
        ),
    ),
    _Need(
        options=("relapse_free", "lesion_free"),
        met=lambda rule: not (
            rule.events == "first_raw" and rule.baseline in ("fixed", "roving_improvement")
        ),
        reason="only events associated with a relapse (RAW) are asked for",
        remedy='Set `events` to "first_pira", or leave it out.',
    ),
    _Need(
        options=("condition_visits",),
        met=lambda rule: bool(rule.onset_conditions),
        reason="no levels are asked for",
        remedy="Give the `onset_conditions`, or leave it out.",
    ),
    _Need(
        options=("leading_step",),
        met=lambda rule: bool(rule.leading_systems),
        reason="no functional system must worsen",
        remedy="Name the `leading_systems`, or leave it out.",
    ),
)  # fmt: skip


def _check_level(rule: ProgressionRule, default: dict[str, Any]) -> None:
    """Refuse what is about changes where a level is asked for."""
    if isinstance(rule.opposite_threshold, LevelThreshold):
        _refuse(
            rule,
            "`opposite_threshold` is a level, but the other direction is looked at as a change "
            "from baseline. Use an AbsoluteThreshold, RelativeThreshold or StepThreshold.",
        )
    if not isinstance(rule.threshold, LevelThreshold):
        return
    for name in (
        "baseline", "opposite_threshold", "threshold_from", "rebaseline_after_relapse",
        "skip_local_extrema",
    ):  # fmt: skip
        value = getattr(rule, name)
        if value != default[name]:
            _refuse(
                rule,
                f"`{name}` is {value!r}, but a level (LevelThreshold) is reached or not, whatever "
                "the baseline. Leave it out.",
            )
    if rule.events in ("first_either", "multiple"):
        _refuse(
            rule,
            f"`events` is {rule.events!r}, but a level is reached once, in one direction. Use "
            'events="first".',
        )
    _check_reachable(rule, rule.threshold.level)


def _check_reachable(rule: ProgressionRule, level: float) -> None:
    """Refuse a level that all baselines have reached, or that a condition on onset excludes."""
    up = rule.direction == "increase"
    low, high = rule.baseline_range
    if low >= level if up else high <= level:
        _refuse(
            rule,
            f"every baseline in `baseline_range` {rule.baseline_range!r} has reached the level "
            f"{level:g}, so that nobody is at risk.",
        )
    for condition in rule.onset_conditions:
        bound = condition.at_most if up else condition.at_least
        excluded = bound is not None and (bound < level if up else bound > level)
        if condition.outcome == rule.outcome and excluded:
            _refuse(rule, f"no value reaches the level {level:g} and meets {condition!r}.")


def _check_impossible(rule: ProgressionRule) -> None:
    """Refuse a decrease by all of a positive value, or more."""
    both = rule.opposite_threshold is not None or rule.events == "first_either"
    name = "opposite_threshold" if rule.opposite_threshold else "threshold"
    asked = {"threshold": rule.threshold} if rule.direction == "decrease" else {}
    if rule.direction == "increase" and both:
        asked = {name: getattr(rule, name)}
    for field, threshold in asked.items():
        share = _smallest_share(threshold)
        if share >= 1 and not rule.threshold_from:
            _refuse(
                rule,
                f"`{field}` asks for a decrease by {100 * share:g} % of baseline, which no "
                "positive measure reaches. Use a fraction below 1 (for decreases as "
                "`opposite_threshold`, if the rule is about increases).",
            )


def _smallest_share(threshold: Threshold) -> float:
    """Return the share of baseline that must be lost at least; 0 where it may be anything."""
    if isinstance(threshold, RelativeThreshold):
        return float(threshold.fraction)
    if isinstance(threshold, CombinedThreshold):
        choose = min if threshold.take == "smallest" else max
        return choose(_smallest_share(part) for part in threshold.parts)
    return 0.0


def _check_threshold_from(rule: ProgressionRule) -> None:
    """Refuse the outcome as the measure that decides how much change of it counts."""
    if rule.threshold_from == rule.outcome:
        _refuse(rule, f"`threshold_from` is the outcome {rule.outcome!r} itself. Leave it out.")


def _check_windows(rule: ProgressionRule) -> None:
    """Refuse windows that begin with the change itself, or before an earlier one."""
    for name, windows in (
        ("confirm_weeks", rule.windows),
        ("opposite_confirm_weeks", rule.opposite_windows),
    ):
        for window in windows:
            if window.first_day < 1:
                _refuse(
                    rule,
                    f"`confirm_tolerance_days` is {7 * window.weeks - window.first_day}, not "
                    f"shorter than the {7 * window.weeks} days of `{name}`: a visit would confirm "
                    "itself. Use a smaller tolerance.",
                )
    for one, next_one in pairwise(rule.windows):
        if next_one.first_day <= one.first_day:
            _refuse(
                rule,
                f"with these `confirm_tolerance_days` the window of {next_one.weeks} weeks begins "
                f"on day {next_one.first_day}, not after that of {one.weeks} weeks (day "
                f"{one.first_day}). Use smaller tolerances.",
            )


def _check_opposite_weeks(rule: ProgressionRule) -> None:
    """Refuse a confirmation of the other direction that is the same as that of the rule's own."""
    if rule.opposite_confirm_weeks is not None and rule.opposite_windows == rule.windows:
        _refuse(
            rule,
            f"`opposite_confirm_weeks` is {rule.opposite_confirm_weeks}, as `confirm_weeks` is, "
            "which holds for both directions. Leave it out.",
        )


def _check_sustained(rule: ProgressionRule) -> None:
    """Refuse a change that need not last as long as its confirmation."""
    longest = 7 * max(as_tuple(rule.confirm_weeks), default=0)
    if 0 < rule.sustain_days < longest:
        _refuse(
            rule,
            f"`sustain_days` is {rule.sustain_days}, shorter than the {longest} days of "
            "`confirm_weeks`: a change confirmed then has already lasted longer. Ask for at "
            "least as many days, or for none.",
        )
    if rule.impute_within_days == 0:
        _refuse(
            rule,
            "`impute_within_days` is 0, but no second visit comes on the day of the first. Use "
            "`impute_last_visit=0` to impute nothing.",
        )


def _check_baseline(rule: ProgressionRule) -> None:
    """Refuse a baseline that is to move, but cannot."""
    follows = rule.baseline.removeprefix("roving_")
    allowed = rule.subthreshold_rebaseline
    if {follows, allowed} == {"improvement", "worsening"}:
        _refuse(
            rule,
            f"`subthreshold_rebaseline` is {allowed!r}, but the baseline follows events of "
            f'{follows} only. Use the same in both, or baseline="roving".',
        )
    if rule.baseline_never_better and follows == "improvement":
        _refuse(
            rule,
            "the baseline is to follow improvements, but `baseline_never_better` keeps the old "
            'value. Use baseline="roving", or leave `baseline_never_better` out.',
        )
    if rule.moved_baseline_value == "least_changed" and _is_least_at_onset(rule):
        _refuse(
            rule,
            "`moved_baseline_value` is 'least_changed', but the baseline moves to the onset, and "
            "the visits that confirm are to be as far from baseline as that (`confirm_level`). "
            'Use continue_from="confirmation", or leave it out.',
        )
    unmoved = rule.subthreshold_rebaseline == "none" and rule.sustain_days == 0
    if _moves(rule) and unmoved and _ends_the_search(rule, follows):
        _refuse(
            rule,
            f"`baseline` is {rule.baseline!r}, but the events that it follows end the search "
            f'(events={rule.events!r}). Use baseline="fixed", or events="multiple".',
        )


def _is_least_at_onset(rule: ProgressionRule) -> bool:
    """Say whether a baseline that moves takes the value of the onset, which is the nearest."""
    at_onset = rule.continue_from == "onset" and rule.subthreshold_rebaseline == "none"
    return at_onset and rule.confirm_level == "onset" and rule.confirm_intermediate


def _ends_the_search(rule: ProgressionRule, follows: str) -> bool:
    """Say whether every event that moves the baseline is the one that is looked for."""
    wanted = "improvement" if _improves(rule) else "worsening"
    return rule.events == "first_either" or (rule.events == "first" and follows == wanted)


def _check_classified(rule: ProgressionRule) -> None:
    """Refuse to tell improvements apart by relapses, or to look for RAW where it cannot be."""
    wants_class = rule.events in ("first_pira", "first_raw")
    if _improves(rule) and (wants_class or (rule.classify_relapses and rule.events == "first")):
        name = "events" if wants_class else "classify_relapses"
        _refuse(
            rule,
            f"`{name}` is {getattr(rule, name)!r}, which is about worsening, but "
            f'{_change(rule)} of {rule.outcome!r} is an improvement. Use events="first" '
            "without `classify_relapses`, or the other `direction`.",
        )
    (since, until), (raw_since, raw_until) = rule.relapse_to_onset_days, rule.raw_days
    never_before = until > raw_until or raw_until == 0  # 0 is the day of the relapse itself
    if rule.events == "first_raw" and since > raw_since and never_before:
        _refuse(
            rule,
            f"`relapse_to_onset_days` {rule.relapse_to_onset_days!r} keeps every onset away from "
            f"relapses, so that none is within the `raw_days` {rule.raw_days!r}. Use fewer days.",
        )
    if rule.confirm_weeks is None and rule.lesion_free and any(rule.lesion_free.confirmation):
        _refuse(
            rule,
            "`lesion_free` has an interval around confirmation, but nothing is to be confirmed. "
            "Set `confirm_weeks`, or leave it out.",
        )


def _check_systems(rule: ProgressionRule) -> None:
    """Refuse functional systems that worsen with an improvement, or are the outcome."""
    if rule.outcome in rule.leading_systems:
        _refuse(rule, f"`leading_systems` names the outcome {rule.outcome!r}. Leave it out.")
    if rule.leading_systems and _improves(rule):
        _refuse(
            rule,
            f"`leading_systems` must worsen, but {_change(rule)} of {rule.outcome!r} is an "
            "improvement. Leave them out, or use the other `direction`.",
        )


_CHECKS = (
    _check_impossible, _check_threshold_from, _check_windows, _check_opposite_weeks,
    _check_sustained, _check_baseline, _check_classified, _check_systems,
)  # fmt: skip
