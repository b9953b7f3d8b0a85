"""Definitions in words: a title, and a paragraph that leaves no choice unsaid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pmsstats.cohort.schema import Measure, default_dictionary
from pmsstats.endpoints.definitions.conditions import LevelCondition
from pmsstats.endpoints.definitions.describe_relapses import (
    classification_words,
    day_count,
    relapse_words,
)
from pmsstats.endpoints.definitions.field_checks import as_tuple
from pmsstats.endpoints.definitions.rule_texts import capital
from pmsstats.endpoints.definitions.thresholds import (
    CombinedThreshold,
    Direction,
    LevelThreshold,
    decimal_text,
)

if TYPE_CHECKING:
    from pmsstats.endpoints.definitions.progression_rule import ConfirmationWindow, ProgressionRule

__all__ = ["rule_paragraph", "rule_sentences", "rule_title"]

_OTHER: dict[Direction, Direction] = {"increase": "decrease", "decrease": "increase"}
_EXTREMA = (
    "A visit whose value lies above those of both the visit before and the visit after it, or "
    "below both, by {by}, is no baseline (except where the value equals that two visits earlier): "
    "the next visit that may is taken."
)
_ONE = {"increase": "an increase", "decrease": "a decrease"}


def rule_title(rule: ProgressionRule, measure: Measure | None = None) -> str:
    """Name the event of a rule in clinical words.

    Parameters
    ----------
    rule : ProgressionRule
        The definition.
    measure : Measure, optional
        What the outcome is; looked up in the package's data dictionary by default.

    Returns
    -------
    str
        The rule's own label, or one made from its fields.
    """
    if rule.label:
        return rule.label
    measure = measure or _known_measure(rule.outcome)
    weeks = _listed([f"{week}-" for week in as_tuple(rule.confirm_weeks)], "or")
    confirmed = f"{weeks}week confirmed" if weeks else "unconfirmed"
    size = rule.threshold.size(measure.unit)
    if isinstance(rule.threshold, LevelThreshold):
        more = "more" if rule.direction == "increase" else "less"
        return f"{confirmed} {measure.label} of {size} or {more}{_which_events(rule)}"
    by = f" by {size} or more" if size else ""
    if isinstance(rule.threshold, CombinedThreshold) and size:
        by = f" by at least {size}"
    change = _change_word(rule, measure)
    return f"{confirmed} {change} of {measure.label}{by}{_which_events(rule)}"


def rule_paragraph(rule: ProgressionRule, measure: Measure | None = None) -> str:
    """Write a definition as a paragraph, for a protocol or a methods section.

    Parameters
    ----------
    rule : ProgressionRule
        The definition.
    measure : Measure, optional
        What the outcome is; looked up in the package's data dictionary by default.

    Returns
    -------
    str
        Complete sentences: event, confirmation, relapses, baseline, time, source.
    """
    return " ".join(rule_sentences(rule, measure))


def rule_sentences(rule: ProgressionRule, measure: Measure | None = None) -> tuple[str, ...]:
    """Write the sentences of a definition.

    Parameters
    ----------
    rule : ProgressionRule
        The definition.
    measure : Measure, optional
        What the outcome is; looked up in the package's data dictionary by default.

    Returns
    -------
    tuple of str
        One or more complete sentences for each choice; the first names the event.
    """
    measure = measure or _known_measure(rule.outcome)
    sentences = (
        f"{capital(rule_title(rule, measure))}: {_event(rule, measure)}",
        _confirming_visits(rule),
        _sustained(rule),
        _imputed(rule),
        _onset_conditions(rule),
        _leading_systems(rule),
        _other_direction(rule, measure),
        relapse_words(rule),
        classification_words(rule),
        _wanted_events(rule),
        _baseline(rule),
        _baseline_moves(rule),
        _baseline_limits(rule),
        _time(rule),
        _censoring(rule),
        f"Source: {rule.citation}" if rule.citation else "",
        rule.note,
    )
    return tuple(sentence for sentence in sentences if sentence)


def _known_measure(name: str) -> Measure:
    """Look a measure up in the package's dictionary, else make one of its name."""
    return default_dictionary().get(name) or Measure(name=name, label=name)


def _label(name: str) -> str:
    """Call a column by its label where the package knows it, else by its name."""
    known = default_dictionary().get(name)
    return f"`{name}`" if known is None else known.label


def _change_word(rule: ProgressionRule, measure: Measure) -> str:
    """Call a change worsening or improvement where the dictionary tells which it is."""
    if rule.events in ("first_either", "multiple"):
        return "change"
    if measure.worsening == "unspecified":
        return rule.direction
    worse = {"higher": "increase", "lower": "decrease"}[measure.worsening]
    return "worsening" if worse == rule.direction else "improvement"


def _which_events(rule: ProgressionRule) -> str:
    """Say in a title which events count, where these are not all in the rule's direction."""
    lesions = "relapses and new lesions" if rule.lesion_free else "relapses"
    return {
        "first": "",
        "first_pira": f", independent of {lesions} (PIRA)",
        "first_raw": ", associated with a relapse (RAW)",
        "first_either": ", in either direction",
        "multiple": ", in both directions and as often as it happens",
    }[rule.events]


def _event(rule: ProgressionRule, measure: Measure) -> str:
    """Say what change counts, and how it is confirmed."""
    verb = "reaches" if isinstance(rule.threshold, LevelThreshold) else "shows"
    change = rule.threshold.describe(rule.direction, measure.unit, _lowest(rule, measure))
    other = (
        f" (the baseline that decides how much is the value of {_label(rule.threshold_from)} at "
        "the baseline visit)"
        if rule.threshold_from
        else ""
    )
    return f"{measure.axis_label} {verb} {change}{other}{_confirmation(rule)}"


def _lowest(rule: ProgressionRule, measure: Measure) -> float:
    """Return the lowest value that a baseline can have, of the measure that decides how much."""
    source = _known_measure(rule.threshold_from) if rule.threshold_from else measure
    return source.possible[0]


def _confirmation(rule: ProgressionRule) -> str:
    """Say how the change is confirmed."""
    if not rule.windows:
        return ", taken at the first visit that shows it, without confirmation."
    windows = [_window(window) for window in rule.windows]
    several = len(windows) > 1
    between = (
        " and at every visit in between"
        if rule.confirm_intermediate
        else ", whatever the visits in between show"
    )
    each = " Confirmation is reported for each of these windows." if several else ""
    return (
        f", still present at the first visit {', or '.join(windows)}"
        f"{',' if several and rule.confirm_intermediate else ''}{between}; visits without a value "
        f"are passed over.{each}"
    )


def _window(window: ConfirmationWindow) -> str:
    """Say when a visit may confirm."""
    nominal = 7 * window.weeks
    early, late = nominal - window.first_day, window.last_day - nominal
    spare = []
    if early:
        spare.append(f"less {early if 0 < late < math.inf else day_count(early)}")
    if 0 < late < math.inf:
        spare.append(f"plus {day_count(late)}")
    tolerance = f" {' or '.join(spare)} of tolerance" if spare else ""
    weeks = f"{window.weeks} week{'s' * (window.weeks != 1)}"
    return f"{_days_later(window)} later ({weeks}{tolerance})"


def _days_later(window: ConfirmationWindow) -> str:
    """Write the days of a window."""
    if window.last_day == math.inf:
        return f"at least {day_count(window.first_day)}"
    if window.first_day == window.last_day:
        return f"exactly {day_count(window.first_day)}"
    return f"{window.first_day} to {day_count(window.last_day)}"


def _confirming_visits(rule: ProgressionRule) -> str:
    """Say what else the confirming visits need."""
    sentences = []
    if rule.confirm_level == "onset":
        at = "these visits" if rule.confirm_intermediate else "the confirming visit"
        sentences.append(
            f"At {at} the value must be at least as far from baseline as it was at onset, too."
        )
    if rule.confirmation_visits:
        sentences.append(
            f"Only visits at which {_label(rule.confirmation_visits)} is true may confirm."
        )
    return " ".join(sentences)


def _sustained(rule: ProgressionRule) -> str:
    """Say how long the change must last."""
    if not rule.sustain_days:
        return ""
    if rule.sustain_days == math.inf:
        return "The change must last until the last visit."
    return (
        f"The change must last at least {day_count(rule.sustain_days)} from its onset, or until "
        "the last visit if that comes earlier."
    )


def _imputed(rule: ProgressionRule) -> str:
    """Say what becomes of a change at the last visit."""
    if not rule.impute_last_visit:
        return ""
    chance = (
        f" with a probability of {rule.impute_last_visit:g}" if rule.impute_last_visit < 1 else ""
    )
    soon = (
        f", if that is at most {day_count(rule.impute_within_days)} after the baseline visit"
        if rule.impute_within_days < math.inf
        else ""
    )
    reasons = " or ".join(repr(reason) for reason in rule.impute_reasons)
    whose = f" in subjects whose reason of exit is {reasons}" if reasons else ""
    return (
        f"{capital(_ONE[rule.direction])} first seen at the last visit, which none could confirm, "
        f"is taken as confirmed{chance}{whose}{soon}."
    )


def _onset_conditions(rule: ProgressionRule) -> str:
    """Say which levels are asked for at onset."""
    if not rule.onset_conditions:
        return ""
    levels = [f"{_label(c.outcome)} must be {_bounds(c)}" for c in rule.onset_conditions]
    visits = [f"At the visit where {_ONE[rule.direction]} is first seen"]
    if rule.condition_visits == "confirmation":
        visits += ["at the confirming visit"]
        visits += ["at every visit in between"] if rule.confirm_intermediate else []
    return (
        f"{_listed(visits, 'and')}, {_listed(levels, 'and')}; a missing value does not meet this."
    )


def _bounds(condition: LevelCondition) -> str:
    """Write the bounds of a level."""
    low, high = (
        None if bound is None else decimal_text(bound)
        for bound in (condition.at_least, condition.at_most)
    )
    if low is None:
        return f"at most {high}"
    return f"at least {low}" if high is None else f"from {low} to {high}"


def _leading_systems(rule: ProgressionRule) -> str:
    """Say which functional systems must worsen."""
    if not rule.leading_systems:
        return ""
    names = [_label(name) for name in rule.leading_systems]
    several = len(names) > 1
    who = f"at least one of {_listed(names, 'and')}" if several else names[0]
    current = "current " * _baseline_may_move(rule)
    any_of_them = "at least one of them" if several else "it"
    return (
        f"For {_ONE[rule.direction]}, {who} must be higher by at least "
        f"{decimal_text(rule.leading_step)} at onset than at the {current}baseline visit"
        f"{_still_leading(rule, several=several)}. A missing value is no rise; the first baseline "
        f"is a visit with a value of {any_of_them}."
    )


def _still_leading(rule: ProgressionRule, *, several: bool) -> str:
    """Say which functional systems must still be higher at confirmation."""
    if not rule.windows:
        return ""
    who = "at least one of those that have then risen most must" if several else "must"
    between = " and at every visit in between" * rule.confirm_intermediate
    return f", and {who} still be so at the confirming visit{between}"


def _other_direction(rule: ProgressionRule, measure: Measure) -> str:
    """Say how much change counts against the rule's direction, where this matters."""
    both = rule.events in ("first_either", "multiple")
    if rule.opposite_threshold is None and not both and not _follows_opposite(rule, measure):
        return ""
    threshold = rule.opposite_threshold or rule.threshold
    lowest = _lowest(rule, measure)
    change = threshold.describe(_OTHER[rule.direction], measure.unit, lowest)
    same = "" if rule.opposite_threshold else " likewise"
    confirmed = (
        f", but is confirmed at the first visit {_window(rule.opposite_windows[0])}"
        if rule.opposite_confirm_weeks is not None
        else ""
    )
    return f"In the other direction, {change} counts{same}{confirmed}."


def _follows_opposite(rule: ProgressionRule, measure: Measure) -> bool:
    """Say whether the baseline moves after changes against the rule's direction."""
    worse = {"higher": "increase", "lower": "decrease"}.get(measure.worsening, rule.direction)
    opposite = "improvement" if worse == rule.direction else "worsening"
    return rule.baseline in ("roving", f"roving_{opposite}")


def _wanted_events(rule: ProgressionRule) -> str:
    """Say which events are taken."""
    return {
        "first": "",
        "first_pira": f"The event is the first worsening that is PIRA; {_others(rule)}.",
        "first_raw": f"The event is the first worsening that is RAW; {_others(rule)}.",
        "first_either": "The event is the first change in either direction.",
        "multiple": (
            "All events in both directions are taken, one after the other; after each, the search "
            f"goes on at the visit after its {_where(rule)}."
        ),
    }[rule.events]


def _others(rule: ProgressionRule) -> str:
    """Say what becomes of worsenings of another class than that which is looked for."""
    if _follows_worsening(rule):
        return "others only move the baseline"
    same = " from the same baseline" * _baseline_may_move(rule)
    return (
        "others are passed over, so that one that lasts is looked at again at each later visit"
        f"{same}, and may then be classed otherwise"
    )


def _follows_worsening(rule: ProgressionRule) -> bool:
    """Say whether the baseline moves after worsenings."""
    return rule.baseline in ("roving", "roving_worsening")


def _where(rule: ProgressionRule) -> str:
    """Name the visit from which the search goes on, and to which a baseline moves."""
    at_onset = rule.continue_from == "onset" or rule.confirm_weeks is None
    return "onset" if at_onset else "confirming visit"


def _baseline(rule: ProgressionRule) -> str:
    """Say what the first baseline is, and who is at risk."""
    first = (
        "the first value" if rule.baseline_visit == "first" else "the last value at or before day 0"
    )
    late = (
        f", or else the first value within {day_count(rule.baseline_window_days)} after it"
        if rule.baseline_window_days
        else ""
    )
    stays = "" if _baseline_may_move(rule) else ", and stays the same throughout"
    level = (
        "without a baseline, without a value after it, or whose baseline has reached the level "
        "already,"
        if isinstance(rule.threshold, LevelThreshold)
        else "without a baseline, or without a value after it,"
    )
    return f"Baseline is {first}{late}{stays}; subjects {level} are not at risk.{_range(rule)}"


def _baseline_may_move(rule: ProgressionRule) -> bool:
    """Say whether there may be more baselines than the first."""
    return rule.baseline != "fixed" or rule.rebaseline_after_relapse


def _range(rule: ProgressionRule) -> str:
    """Say which baselines are at risk."""
    low, high = (None if math.isinf(bound) else bound for bound in rule.baseline_range)
    if low is None and high is None:
        return ""
    bounds = _bounds(LevelCondition(outcome=rule.outcome, at_least=low, at_most=high))
    of = "" if bounds.startswith("from") else "of "
    return f" Only subjects with a baseline {of}{bounds} are at risk."


def _baseline_moves(rule: ProgressionRule) -> str:
    """Say how the baseline moves."""
    sentences = []
    if rule.baseline != "fixed":
        what = (
            rule.baseline.removeprefix("roving").removeprefix("_") or "change in either direction"
        )
        sentences.append(f"The baseline moves to the {_where(rule)} of each confirmed {what}.")
    if rule.subthreshold_rebaseline != "none":
        what = {"any": "change", "improvement": "improvement", "worsening": "worsening"}
        sentences.append(
            f"A confirmed {what[rule.subthreshold_rebaseline]} below the threshold moves it, too, "
            "but is no event."
        )
    if rule.moved_baseline_value == "least_changed":
        sentences.append(
            "A baseline that moves so takes the value of the visit, from onset to the confirming "
            "one, that differs least from the old baseline."
        )
    if rule.rebaseline_after_relapse:
        wait = 0 if rule.events == "first_pira" else rule.raw_days[0]
        since = f" more than {day_count(wait)}" if wait else ""
        sentences.append(
            "After each relapse, the first visit on or after the day of its onset becomes the "
            f"baseline for changes first seen{since} after that day."
        )
    if rule.baseline_never_better:
        sentences.append("A baseline that moves keeps its old value where the new one is better.")
    return " ".join(sentences)


def _baseline_limits(rule: ProgressionRule) -> str:
    """Say which visits are passed over as baseline, or come too soon after it."""
    sentences = []
    if rule.skip_local_extrema != "none":
        by = "at least the threshold" if rule.skip_local_extrema == "strict" else "any amount"
        sentences.append(_EXTREMA.format(by=by))
    if rule.min_days_from_baseline:
        current = "current " * _baseline_may_move(rule)
        sentences.append(
            f"A visit fewer than {day_count(rule.min_days_from_baseline)} after the {current}"
            "baseline visit does not start an event."
        )
    return " ".join(sentences)


def _time(rule: ProgressionRule) -> str:
    """Say from when to when time runs."""
    first = "first " * _baseline_may_move(rule)
    passed = any(rule.relapse_to_baseline_days) or rule.skip_local_extrema != "none"
    also = " (also where that visit may not serve as baseline and a later one does)" * passed
    return (
        f"Time runs from the {first}baseline visit{also} to the visit at which the change was "
        "first seen."
    )


def _censoring(rule: ProgressionRule) -> str:
    """Say when subjects without an event are censored."""
    always = rule.impute_within_days == math.inf and not rule.impute_reasons
    imputed = rule.impute_last_visit == 1 and always
    open_change = (
        "also when a change there could not be confirmed any more, and "
        if rule.windows and not imputed
        else "also "
    )
    return (
        "Subjects without an event are censored at their last visit with a value, "
        f"{open_change}when they died or left the study."
    )


def _listed(words: Sequence[str], last: str) -> str:
    """Join with commas, the last with a word."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {last} {words[-1]}"
