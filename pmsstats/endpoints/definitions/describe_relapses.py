"""What relapses and new lesions do to an event, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pmsstats.endpoints.definitions.conditions import Days

if TYPE_CHECKING:
    from pmsstats.endpoints.definitions.progression_rule import ProgressionRule

__all__ = ["classification_words", "day_count", "relapse_words"]

_REFERENCES = {
    "baseline": "the baseline visit",
    "last": "the last visit before onset",
    "last_unchanged": "the last unchanged visit",
}
_CONFIRMING = "the confirming visit"


def day_count(days: float) -> str:
    """Write a number of days.

    Parameters
    ----------
    days : float
        How many.

    Returns
    -------
    str
        For example ``"1 day"``.
    """
    return f"{days:g} {'day' if days == 1 else 'days'}"


def relapse_words(rule: ProgressionRule) -> str:
    """Say how near to a relapse a visit may be to start or confirm an event or be a baseline.

    Parameters
    ----------
    rule : ProgressionRule
        The definition.

    Returns
    -------
    str
        Complete sentences; empty where only RAW and PIRA or the baseline have to do with relapses.
    """
    onset, confirmation = rule.relapse_to_onset_days, rule.relapse_to_confirmation_days
    ends = " (but ends a change that it does not show)" if rule.confirm_intermediate else ""
    if onset == confirmation:
        roles = [(onset, f"neither starts nor confirms an event{ends}")]
    else:
        unseen = ends if rule.windows else ""
        roles = [
            (onset, "does not start an event"),
            (confirmation, f"does not confirm an event{unseen}"),
        ]
    roles.append(
        (rule.relapse_to_baseline_days, "is no baseline: the next visit that may is taken")
    )
    said = [f"A visit {_near(days)} {role}." for days, role in roles if any(days)]
    if not said and not rule.classifies and not rule.rebaseline_after_relapse:
        return "Relapses are not taken into account."
    return " ".join(said)


def _near(days: Days) -> str:
    """Say how near to a relapse."""
    after, before = days
    if after and before:
        return (
            f"fewer than {day_count(after)} after or fewer than {day_count(before)} before the "
            "onset of a relapse"
        )
    side = f"{day_count(after)} after" if after else f"{day_count(before)} before"
    return f"fewer than {side} the onset of a relapse"


def classification_words(rule: ProgressionRule) -> str:
    """Say when a worsening is RAW, PIRA or undetermined.

    Parameters
    ----------
    rule : ProgressionRule
        The definition.

    Returns
    -------
    str
        Complete sentences; empty where events are not told apart.
    """
    if not rule.classifies:
        return ""
    raw = f"A worsening is associated with a relapse (RAW) if {_raw(rule.raw_days)}."
    if rule.events == "first_raw" and rule.baseline in ("fixed", "roving_improvement"):
        return raw
    relapses, lesions = _relapse_intervals(rule), _lesion_intervals(rule)
    free = [f"no relapse begins {_either(relapses)}"] if relapses else []
    if lesions:
        free.append(f"no scan shows new lesions ({_counts(rule)}) {_either(lesions)}")
    if not free:
        return f"{raw} Any other worsening is independent of relapses (PIRA)."
    pira = f"independent of relapses (PIRA) if {', and '.join(free)}; else it is undetermined."
    sentences = (
        raw,
        f"Any other worsening is {pira}",
        _scans(rule, lesions),
        _which_visits(" ".join(relapses + lesions)),
        "Intervals include both of their ends.",
    )
    return " ".join(sentence for sentence in sentences if sentence)


def _raw(days: Days) -> str:
    """Say when an onset is associated with a relapse."""
    after, before = days
    if not after and not before:
        return "a relapse begins on the day of its onset"
    late = f"at most {day_count(after)} after" if after else "on the day of"
    early = f", or at most {day_count(before)} before," if before else ""
    return f"its onset is {late}{early} the onset of a relapse"


def _points(rule: ProgressionRule) -> dict[str, str]:
    """Name the visits that intervals surround; without confirmation its visit is the onset."""
    reference = _REFERENCES[rule.relapse_free.reference_visit]
    if rule.baseline != "fixed" or rule.rebaseline_after_relapse:
        reference = reference.replace("the baseline visit", "the current baseline visit")
    confirmation = _CONFIRMING if rule.windows else "onset"
    return {"reference": reference, "onset": "onset", "confirmation": confirmation}


def _relapse_intervals(rule: ProgressionRule) -> list[str]:
    """Write the intervals without relapses; neighbours that are joined are one."""
    intervals: list[str] = []
    before: float = 0
    first = ""
    for name, point in _points(rule).items():
        start, end = getattr(rule.relapse_free, name)
        if start is not None:
            before, first = start, point
        if end is not None and (start, end) != (0, 0):
            intervals.append(_interval(before, first, point, end))
    return intervals


def _lesion_intervals(rule: ProgressionRule) -> list[str]:
    """Write the intervals without new lesions."""
    if rule.lesion_free is None:
        return []
    points = _points(rule)
    return [
        _interval(before, points[name], points[name], after)
        for name in ("onset", "confirmation")
        for before, after in [getattr(rule.lesion_free, name)]
        if before or after
    ]


def _interval(before: float, first: str, last: str, after: float) -> str:
    """Write an interval, from days before one visit to days after the same or a later one."""
    if first != last:
        start = f"{day_count(before)} before {first}" if before else first
        return f"from {start} to {f'{day_count(after)} after {last}' if after else last}"
    if not after:
        return f"in the {day_count(before)} up to {first}"
    if not before:
        return f"from {first} to {day_count(after)} after it"
    return f"from {day_count(before)} before to {day_count(after)} after {first}"


def _counts(rule: ProgressionRule) -> str:
    """Say which counts make a scan active."""
    measures = rule.lesion_free.measures if rule.lesion_free else ()
    return f"{' or '.join(f'`{name}`' for name in measures)} above 0"


def _scans(rule: ProgressionRule, intervals: list[str]) -> str:
    """Say whether scans are needed."""
    if rule.lesion_free is None:
        return ""
    there = "that interval" if len(intervals) == 1 else "one of the intervals without new lesions"
    return (
        f"At least one scan must fall in {there}."
        if rule.lesion_free.scan_required
        else f"No scan needs to fall in {there}."
    )


def _which_visits(intervals: str) -> str:
    """Say which visits are meant, where intervals depend on them."""
    sentences = []
    if _REFERENCES["last_unchanged"] in intervals:
        sentences.append(
            "The last unchanged visit is the last one before onset from which onset and "
            "confirmation differ by the threshold."
        )
    if _CONFIRMING in intervals:
        sentences.append(
            "Where several visits may confirm while the change lasts, any of them will do."
        )
    return " ".join(sentences)


def _either(intervals: list[str]) -> str:
    """Join intervals, each once."""
    return " or ".join(dict.fromkeys(intervals))
