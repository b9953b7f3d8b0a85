"""A rule and a visit table, turned to what the scan reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pmsstats.cohort.schema import Measure
from pmsstats.endpoints.definitions.progression_rule import ProgressionRule
from pmsstats.endpoints.definitions.thresholds import DECIMAL_SLACK, Direction, LevelThreshold
from pmsstats.endpoints.engine.scan_arrays import (
    FIRST,
    FIRST_EITHER,
    FIRST_PIRA,
    FIRST_RAW,
    MULTIPLE,
    RULE,
    VISIT,
    Days,
    RuleArrays,
    Study,
)
from pmsstats.endpoints.engine.visit_table import BoolArray, EventDays, IntArray, VisitTable
from pmsstats.errors import DesignError

__all__ = [
    "AT_RISK", "LEVEL_REACHED", "NO_BASELINE", "NO_LATER_VALUE", "NO_THRESHOLD",
    "NO_USABLE_BASELINE", "NO_VALUE", "OUT_OF_RANGE", "STATUSES", "ScanPlan",
    "plan_scan", "worse_sense",
]  # fmt: skip

(
    AT_RISK, NO_VALUE, NO_BASELINE, NO_LATER_VALUE, OUT_OF_RANGE, LEVEL_REACHED, NO_THRESHOLD,
    NO_USABLE_BASELINE,
) = range(8)  # fmt: skip
"""Whether a subject is at risk, or why not."""

STATUSES = (
    "at risk", "no value", "no baseline", "no value after baseline", "baseline out of range",
    "level reached at baseline", "no threshold for the baseline", "no baseline that may serve",
)  # fmt: skip
"""The same in words."""

_EVENTS = {
    "first": FIRST,
    "first_either": FIRST_EITHER,
    "first_pira": FIRST_PIRA,
    "first_raw": FIRST_RAW,
    "multiple": MULTIPLE,
}
_OPPOSITE: dict[Direction, Direction] = {"increase": "decrease", "decrease": "increase"}
_WORSE_DIRECTION = {"higher": "increase", "lower": "decrease"}


@dataclass(frozen=True, kw_only=True, eq=False)
class ScanPlan:
    """What the scan reads.

    Parameters
    ----------
    study : Study
        Visits, relapses and scans.
    arrays : RuleArrays
        The rule.
    base_row, last_row : ndarray of int, shape (n_subjects,)
        First baseline and last visit; -1 where there is none.
    status : ndarray of int, shape (n_subjects,)
        :data:`AT_RISK`, or why not, as far as the first baseline tells.
    """

    study: Study
    arrays: RuleArrays
    base_row: IntArray
    last_row: IntArray
    status: NDArray[np.int8]


def worse_sense(rule: ProgressionRule, measure: Measure) -> int:
    """Say whether the rule's direction is a worsening.

    Parameters
    ----------
    rule : ProgressionRule
        The definition.
    measure : Measure
        Tells which direction is worse; where it does not, the rule's is taken as worse.

    Returns
    -------
    int
        1 if it is, -1 if it is an improvement.

    Raises
    ------
    DesignError
        If the rule asks for a class of worsening, but its direction is an improvement.
    """
    worse = _WORSE_DIRECTION.get(measure.worsening, rule.direction)
    if worse == rule.direction:
        return 1
    if rule.events in ("first_pira", "first_raw"):
        raise DesignError(
            f"`events` of rule {rule.name!r} is {rule.events!r}, which is a worsening, but a "
            f"{rule.direction} of {measure.label} is an improvement by the data dictionary. Use "
            "events='first'."
        )
    return -1


def plan_scan(table: VisitTable, rule: ProgressionRule) -> ScanPlan:
    """Turn a rule and a table to what the scan reads.

    Parameters
    ----------
    table : VisitTable
        Of the rule's outcome.
    rule : ProgressionRule
        The definition.

    Returns
    -------
    ScanPlan
        Arrays of the table itself are shared, not copied.

    Raises
    ------
    SchemaError
        If the table lacks a column that the rule names.
    DesignError
        If the rule asks for a class of worsening, but its direction is an improvement.
    """
    arrays = _rule_arrays(rule, worse_sense(rule, table.measure))
    base, last = table.first_baseline(rule), table.last_row
    study = _study(table, rule)
    return ScanPlan(
        study=study,
        arrays=arrays,
        base_row=base,
        last_row=last,
        status=_status(table, rule, study.visits["need"], base, last),
    )


def _study(table: VisitTable, rule: ProgressionRule) -> Study:
    """Show the data as the rule sees them."""
    systems = [table.column(name, "leading_systems") for name in rule.leading_systems]
    scans = table.scans(rule.lesion_free.measures) if rule.lesion_free else table.relapses
    return Study(
        visits=_visits(table, rule),
        since=table.since,
        until=table.until,
        systems=np.stack(systems, axis=1) if systems else np.empty((0, 0)),
        relapses=_days(table.relapses),
        scans=_days(scans),
    )


def _days(events: EventDays) -> Days:
    return Days(offsets=events.offsets, day=events.day, active=events.active)


def _visits(table: VisitTable, rule: ProgressionRule) -> NDArray[np.void]:
    """Work out what each visit may be and how much change counts from it."""
    up, down = rule.direction, _OPPOSITE[rule.direction]
    opposite = rule.opposite_threshold or rule.threshold
    visits = np.empty(table.n_rows, dtype=VISIT)
    visits["day"] = table.day
    visits["x"] = table.value if up == "increase" else -table.value
    visits["need"] = table.required(rule.threshold, up, rule.threshold_from)
    visits["need_opposite"] = table.required(opposite, down, rule.threshold_from)
    visits["may_base"] = table.far_from_relapses(*rule.relapse_to_baseline_days)
    visits["may_start"] = table.far_from_relapses(*rule.relapse_to_onset_days)
    visits["may_confirm"] = _may_confirm(table, rule)
    visits["meets"] = _meets(table, rule) if rule.onset_conditions else True
    return visits.view(np.recarray)


def _may_confirm(table: VisitTable, rule: ProgressionRule) -> BoolArray:
    """Say which rows may confirm a change."""
    far = table.far_from_relapses(*rule.relapse_to_confirmation_days)
    if not rule.confirmation_visits:
        return far
    return far & (table.column(rule.confirmation_visits, "confirmation_visits") > 0)


def _meets(table: VisitTable, rule: ProgressionRule) -> BoolArray:
    """Say which rows have the levels that an onset needs; bounds are compared as decimals."""
    meets = np.ones(table.n_rows, dtype=bool)
    for condition in rule.onset_conditions:
        level = table.column(condition.outcome, "onset_conditions")
        low = -np.inf if condition.at_least is None else condition.at_least
        high = np.inf if condition.at_most is None else condition.at_most
        slack = DECIMAL_SLACK * np.abs(level)
        meets &= (level + slack >= low) & (level - slack <= high)
    return meets


def _status(
    table: VisitTable,
    rule: ProgressionRule,
    need: NDArray[np.float64],
    base: IntArray,
    last: IntArray,
) -> NDArray[np.int8]:
    """Say who is at risk, as far as the first baseline tells; reasons in order of precedence."""
    status = np.zeros(table.n_subjects, dtype=np.int8)
    if not table.n_rows:
        return np.full(table.n_subjects, NO_VALUE, dtype=np.int8)
    value = table.value[base]
    low, high = rule.baseline_range
    slack = DECIMAL_SLACK * np.abs(value)
    undefined = np.isnan(need[base])
    status[undefined] = (
        LEVEL_REACHED if isinstance(rule.threshold, LevelThreshold) else NO_THRESHOLD
    )
    status[(value + slack < low) | (value - slack > high)] = OUT_OF_RANGE
    status[last == base] = NO_LATER_VALUE
    status[base < 0] = NO_BASELINE
    status[last < 0] = NO_VALUE
    return status


def _rule_arrays(rule: ProgressionRule, worse: int) -> RuleArrays:
    """Turn a rule to numbers."""
    free, lesions = rule.relapse_free, rule.lesion_free
    own_windows = () if rule.opposite_confirm_weeks is None else rule.opposite_windows
    around = (lesions.onset, lesions.confirmation) if lesions else ((0, 0), (0, 0))
    return RuleArrays(
        fields=_fields(rule, worse),
        windows=_pairs([(w.first_day, w.last_day) for w in rule.windows]),
        opposite_windows=_pairs([(w.first_day, w.last_day) for w in own_windows]),
        free=_pairs([free.reference, free.onset, free.confirmation]),
        lesions=_pairs(around),
    )


def _fields(rule: ProgressionRule, worse: int) -> NDArray[np.void]:
    """Turn the single fields of a rule to a record."""
    lesions, reference = rule.lesion_free, rule.relapse_free.reference_visit
    fields = {
        "events": _EVENTS[rule.events],
        "worse": worse,
        "follows_up": _follows(rule, worse),
        "follows_down": _follows(rule, -worse),
        "subthreshold_up": _is_named(rule.subthreshold_rebaseline, worse),
        "subthreshold_down": _is_named(rule.subthreshold_rebaseline, -worse),
        "any_difference": rule.subthreshold_rebaseline != "none",
        "least_changed": rule.moved_baseline_value == "least_changed",
        "min_from_base": rule.min_days_from_baseline,
        "to_confirmation": rule.continue_from == "confirmation",
        "after_relapse": rule.rebaseline_after_relapse,
        "relapse_wait": 0 if rule.events == "first_pira" else rule.raw_days[0],
        "never_better": rule.baseline_never_better,
        "skips_extrema": rule.skip_local_extrema != "none",
        "skips_all_extrema": rule.skip_local_extrema == "all",
        "intermediate": rule.confirm_intermediate,
        "as_at_onset": rule.confirm_level == "onset",
        "sustain_days": rule.sustain_days,
        "impute_within": rule.impute_within_days,
        "conditions_hold": rule.condition_visits == "confirmation",
        "leading": bool(rule.leading_systems),
        "leading_step": rule.leading_step,
        "classifies": rule.classifies,
        "raw_before": rule.raw_days[0],
        "raw_after": rule.raw_days[1],
        "from_last": reference == "last",
        "from_last_unchanged": reference == "last_unchanged",
        "lesion_free": lesions is not None,
        "scan_required": lesions is not None and lesions.scan_required,
    }
    return np.array([tuple(fields[name] for name in RULE.names)], dtype=RULE).view(np.recarray)


def _follows(rule: ProgressionRule, worse: int) -> bool:
    """Say whether the baseline follows worsenings (1) or improvements (-1)."""
    names = {"roving", "roving_worsening" if worse > 0 else "roving_improvement"}
    return rule.baseline in names


def _is_named(choice: str, worse: int) -> bool:
    """Say whether a choice means worsenings (1) or improvements (-1)."""
    return choice in {"any", "worsening" if worse > 0 else "improvement"}


def _pairs(pairs: Sequence[tuple[Any, Any]]) -> NDArray[np.float64]:
    """Collect days before and after, None as NaN; shape (n_pairs, 2)."""
    numbers = [np.nan if days is None else days for pair in pairs for days in pair]
    return np.array(numbers, dtype=float).reshape(-1, 2)
