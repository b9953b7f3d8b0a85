"""Subjects that are not at risk and visits that could not make an event, counted by reason."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np

from pmsstats.cohort import Measure
from pmsstats.endpoints.definitions.conditions import Days
from pmsstats.endpoints.definitions.progression_rule import ProgressionRule
from pmsstats.endpoints.engine import scan_plan
from pmsstats.endpoints.engine.rule_scan import RuleScan
from pmsstats.endpoints.engine.visit_table import BoolArray
from pmsstats.results import Exclusion, exclude

__all__ = ["subjects_left_out", "visits_left_out"]


def subjects_left_out(
    scan: RuleScan, rule: ProgressionRule, measure: Measure, source: Measure | None
) -> tuple[Exclusion, ...]:
    """Count the subjects that are not at risk.

    Parameters
    ----------
    scan : RuleScan
        What the rule found.
    rule : ProgressionRule
        The definition.
    measure : Measure
        The outcome.
    source : Measure or None
        The measure that decides how much change counts, if it is another one.

    Returns
    -------
    tuple of Exclusion
        One per reason, each subject in one of them.
    """
    stage = f"endpoint {rule.name}"
    codes, first = np.unique(scan.status, return_index=True)
    return tuple(
        entry
        for code in codes[np.argsort(first)]
        if code != scan_plan.AT_RISK
        for entry in exclude(
            stage,
            "subject",
            _why_not_at_risk(rule, measure, source)[int(code)],
            scan.table.subject_ids[scan.status == code],
        )
    )


def visits_left_out(
    scan: RuleScan, rule: ProgressionRule, measure: Measure
) -> tuple[Exclusion, ...]:
    """Count the visits that could not make an event.

    Parameters
    ----------
    scan : RuleScan
        What the rule found.
    rule : ProgressionRule
        The definition.
    measure : Measure
        The outcome.

    Returns
    -------
    tuple of Exclusion
        One per reason: visits without a value, and those of subjects at risk that come before
        the baseline, or may not start or confirm an event; each visit in one of them.
    """
    table, stage = scan.table, f"endpoint {rule.name}"
    ids = table.subject_ids
    without = exclude(stage, "visit", f"no {measure.label}", ids[table.without_value])
    return (
        *without,
        *(
            entry
            for reason, rows in _unused_rows(scan, rule)
            for entry in exclude(stage, "visit", reason, ids[table.subject[rows]])
        ),
    )


def _why_not_at_risk(
    rule: ProgressionRule, measure: Measure, source: Measure | None
) -> Mapping[int, str]:
    """Give the reason for each code of the engine."""
    label, window = measure.label, rule.baseline_window_days
    low, high = rule.baseline_range
    late = f" nor in the {window} days after it" if window else ""
    when = "at any visit" if rule.baseline_visit == "first" else f"at or before day 0{late}"
    graded = " with a grade of a leading system" if rule.leading_systems else ""
    undefined = f"{label} at baseline is not above 0, so no share of it can be taken"
    if source is not None:
        undefined = f"{source.label} at baseline does not tell how much change counts"
    level = getattr(rule.threshold, "level", math.nan)
    return {
        scan_plan.NO_VALUE: f"no {label} at any visit",
        scan_plan.NO_BASELINE: f"no {label}{graded} {when} (no baseline)",
        scan_plan.NO_LATER_VALUE: f"no visit with {label} after baseline",
        scan_plan.OUT_OF_RANGE: f"{label} at baseline is not {_range(low, high)}",
        scan_plan.LEVEL_REACHED: f"{label} at baseline has reached {level:g} already",
        scan_plan.NO_THRESHOLD: undefined,
        scan_plan.NO_USABLE_BASELINE: (f"no visit with {label} after a baseline {_usable(rule)}"),
    }


def _range(low: float, high: float) -> str:
    """Write a range in words."""
    if high == math.inf:
        return f"at least {low:g}"
    return f"at most {high:g}" if low == -math.inf else f"from {low:g} to {high:g}"


def _usable(rule: ProgressionRule) -> str:
    """Say what makes a visit a baseline."""
    parts = []
    if any(rule.relapse_to_baseline_days):
        parts.append("free of relapse influence")
    if rule.skip_local_extrema != "none":
        parts.append("that is no local extremum")
    return " and ".join(parts)


def _unused_rows(scan: RuleScan, rule: ProgressionRule) -> Iterator[tuple[str, BoolArray]]:
    """Give reasons and rows, of subjects at risk alone."""
    table, visits = scan.table, scan.plan.study.visits
    row = np.arange(table.n_rows)
    at_risk = scan.at_risk[table.subject]
    base, start = scan.plan.base_row[table.subject], scan.found.subjects.start[table.subject]
    yield "before the baseline visit", at_risk & (row < base)
    yield f"before a baseline {_usable(rule)}", at_risk & (row > base) & (row < start)
    if not (_bars_onset(rule) or _bars_confirmation(rule)):
        return
    used = at_risk & (row > start)
    no_onset = used & ~visits.may_start
    no_confirmation = used & ~visits.may_confirm if rule.windows else np.zeros_like(used)
    onset, confirmation = rule.relapse_to_onset_days, rule.relapse_to_confirmation_days
    barred = _near(onset)
    confirm_barred = _near(confirmation)
    if rule.confirmation_visits:
        other = f"not among `{rule.confirmation_visits}`"
        confirm_barred = f"{confirm_barred}, or {other}" if confirm_barred else other
    both = barred if barred == confirm_barred else f"{barred}; {confirm_barred}"
    yield f"{both}: no onset, no confirmation", no_onset & no_confirmation
    yield f"{barred}: no onset", no_onset & ~no_confirmation
    yield f"{confirm_barred}: no confirmation", no_confirmation & ~no_onset
    wait = rule.min_days_from_baseline
    early = used & (table.day - table.day[start] < wait) & ~no_onset & ~no_confirmation
    yield f"fewer than {wait} days after the baseline: no onset", early


def _bars_onset(rule: ProgressionRule) -> bool:
    """Say whether some visits may not start an event."""
    return any(rule.relapse_to_onset_days) or rule.min_days_from_baseline > 0


def _bars_confirmation(rule: ProgressionRule) -> bool:
    """Say whether some visits may not confirm."""
    return any(rule.relapse_to_confirmation_days) or bool(rule.confirmation_visits)


def _near(days: Days) -> str:
    """Say how close to a relapse is too close."""
    before, after = days
    parts = []
    if before:
        parts.append(f"fewer than {before:g} days after a relapse")
    if after:
        parts.append(f"fewer than {after:g} days before a relapse")
    return " or ".join(parts)
