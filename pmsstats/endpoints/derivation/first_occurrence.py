"""The first relapse, the first scan with new lesions, the first loss of volume above a cut-off."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pmsstats.cohort import Cohort, Measure
from pmsstats.endpoints.definitions.event_rules import (
    LesionEventRule,
    RelapseEventRule,
    VolumeLossRule,
)
from pmsstats.endpoints.derivation.recorded import exact_events, follow_up_end, truth_values
from pmsstats.endpoints.derivation.time_to_event import EndpointResult, endpoint_result, left_out
from pmsstats.endpoints.scores.annual_change import annualised_percent_change
from pmsstats.errors import DesignError, SchemaError, first_ids, nearest
from pmsstats.results import Exclusion, exclude

__all__ = ["derive_lesion_event", "derive_relapse_event", "derive_volume_loss"]

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

_SLACK = 1e-9  # a loss of exactly the cut-off is none, however it was rounded


def derive_relapse_event(cohort: Cohort, rule: RelapseEventRule) -> EndpointResult:
    """Derive time to the first relapse.

    Parameters
    ----------
    cohort : Cohort
        With the columns of the relapses table that the rule names.
    rule : RelapseEventRule
        Which relapses count.

    Returns
    -------
    EndpointResult
        Exact events; subjects without any follow-up after day 0 are left out and counted, as are
        relapses that are not confirmed or too mild.

    Raises
    ------
    SchemaError
        If the relapses table lacks a column, or holds what it should not.
    DesignError
        If nobody is left.

    Notes
    -----
    Subjects without an event are followed until they left the study, or else until their last
    visit, whatever was measured there. A relapse after that is not counted: whether the others
    had one so late is not known.
    """
    relapses, dropped = _counted_relapses(cohort, rule)
    ids = cohort.subjects["subject_id"]
    end, left = follow_up_end(cohort)
    last_day = relapses["subject_id"].map(pd.Series(end.to_numpy(), index=ids))
    late = (relapses["day"] > last_day).to_numpy(dtype=bool)
    first = ids.map(relapses[~late].groupby("subject_id")["day"].min())
    after = "relapse after the last visit of a subject whose exit is not recorded"
    dropped = (
        *dropped,
        *exclude(f"endpoint {rule.name}", "row", after, relapses["subject_id"][late]),
    )
    days = first.fillna(end).astype(float)
    excluded = pd.Series(np.where(days > 0, "", "no follow-up after day 0"), index=ids.index)
    keep = excluded == ""
    events = exact_events(ids[keep], days[keep], first[keep].notna())
    ends = ("no relapse before leaving the study", "no relapse up to the last visit")
    events["censor_reason"] = np.where(left[keep], *ends)
    none = "" if len(cohort.relapses) else " The data hold no relapse of anybody."
    return endpoint_result(
        cohort,
        rule,
        label=rule.title,
        events=events,
        exclusions=(*left_out(rule.name, ids, excluded), *dropped),
        definition=rule.describe() + none,
    )


def _counted_relapses(
    cohort: Cohort, rule: RelapseEventRule
) -> tuple[pd.DataFrame, tuple[Exclusion, ...]]:
    """Return the relapses that count, and those after day 0 that do not, with reasons."""
    relapses = cohort.relapses
    relapses = relapses[relapses["day"] > 0]
    reason = pd.Series("", index=relapses.index, dtype=object)
    reason[relapses["day"] <= rule.from_day] = f"relapse not after day {rule.from_day}"
    if rule.severity_column:
        severity = _severities(relapses, rule)
        reason[severity < rule.min_severity] = f"relapse of severity below {rule.min_severity:g}"
        reason[severity.isna()] = f"relapse without a value in `{rule.severity_column}`"
    if rule.confirmed_column:
        confirmed = _relapse_column(relapses, rule.confirmed_column, "confirmed_column")
        status = truth_values(
            confirmed,
            relapses["subject_id"],
            column=f"`{rule.confirmed_column}` of the relapses table",
            advice="Correct it at its source.",
        )
        reason[~status.fillna(value=False).astype(bool)] = (
            f"relapse not confirmed (`{rule.confirmed_column}`)"
        )
    stage = f"endpoint {rule.name}"
    dropped = tuple(
        entry
        for why in dict.fromkeys(reason[reason != ""])
        for entry in exclude(stage, "row", why, relapses.loc[reason == why, "subject_id"])
    )
    return relapses[reason == ""], dropped


def _relapse_column(relapses: pd.DataFrame, name: str, field: str) -> pd.Series:
    """Return a column of the relapses table, or say which was meant."""
    if name not in relapses.columns:
        raise SchemaError(
            f"`{field}` names {name!r}, which is no column of the relapses table."
            f"{nearest(name, relapses.columns)} It has: {', '.join(relapses.columns)}."
        )
    return relapses[name]


def _severities(relapses: pd.DataFrame, rule: RelapseEventRule) -> pd.Series:
    """Return the severity of each relapse."""
    column = _relapse_column(relapses, rule.severity_column, "severity_column")
    numbers = pd.to_numeric(column, errors="coerce").astype(float)
    bad = numbers.isna() & column.notna()
    if bad.any():
        raise SchemaError(
            f"`{rule.severity_column}` of the relapses table must hold numbers, but "
            f"{int(bad.sum())} relapse(s) have something else, for example "
            f"{column[bad].tolist()[0]!r} ({first_ids(relapses.loc[bad, 'subject_id'])})."
        )
    return numbers


@dataclass(frozen=True, kw_only=True, eq=False)
class _Scans:
    """Visits with a scan, sorted by subject and day, and the baseline scan of each subject.

    Parameters
    ----------
    subject, day : ndarray of int, shape (n_scans,)
        Row of the subjects table, and study day.
    value : ndarray of float, shape (n_scans, n_measures)
        What was measured; NaN where it was not.
    reference : ndarray of int, shape (n_subjects,)
        The baseline scan, as a row of these; -1 where there is none.
    day_zero : ndarray of int, shape (n_subjects,)
        From when time runs.
    """

    subject: IntArray
    day: IntArray
    value: FloatArray
    reference: IntArray
    day_zero: IntArray

    @property
    def has_reference(self) -> BoolArray:
        """Whether the subject has a baseline scan."""
        return self.reference >= 0

    @property
    def reference_day(self) -> IntArray:
        """Day of the baseline scan; time zero where there is none."""
        return np.where(self.has_reference, _take(self.day, self.reference), self.day_zero)

    @property
    def after_reference(self) -> BoolArray:
        """Whether a scan comes after the baseline scan (after time zero where there is none)."""
        rows = np.arange(len(self.day)) > self.reference[self.subject]
        later = self.day > self.day_zero[self.subject]
        return np.where(self.has_reference[self.subject], rows, later)


def derive_lesion_event(cohort: Cohort, rule: LesionEventRule) -> EndpointResult:
    """Derive time to the first scan with new or enhancing lesions.

    Parameters
    ----------
    cohort : Cohort
        With the rule's measures.
    rule : LesionEventRule
        Which scans count, and which are active.

    Returns
    -------
    EndpointResult
        The interval of an event reaches from the last scan without lesions to the first with.
        Subjects without a scan after the baseline scan are left out and counted.

    Raises
    ------
    SchemaError
        If the cohort lacks a measure.
    DesignError
        If nobody is left.
    """
    for name in rule.measures:
        cohort.measure(name)
    scans = _scans(cohort, rule)
    counted = scans.after_reference
    if rule.from_day:
        counted &= scans.has_reference[scans.subject]
    with np.errstate(invalid="ignore"):
        active = (scans.value > rule.threshold).any(axis=1)
    none = f"no {' or '.join(rule.measures)} at any visit"
    reason = np.where(_last_row(scans, counted) < 0, _why_no_scan(scans, rule), "")
    reason = np.where(_last_row(scans, np.ones(len(scans.day), dtype=bool)) < 0, none, reason)
    return _scan_result(cohort, rule, scans, counted, active, reason=reason)


def derive_volume_loss(cohort: Cohort, rule: VolumeLossRule) -> EndpointResult:
    """Derive time to a loss of volume above a cut-off per year.

    Parameters
    ----------
    cohort : Cohort
        With the rule's outcome.
    rule : VolumeLossRule
        How loss is counted and annualised, and how much is an event.

    Returns
    -------
    EndpointResult
        The interval of an event reaches from the last scan that was judged, and lost less, to the
        first that lost more. Subjects without a scan to be judged are left out and counted.

    Raises
    ------
    SchemaError
        If the cohort has no such measure.
    DesignError
        If more of the measure is worse, it is a change in another unit than percent, or nobody is
        left.

    Notes
    -----
    A change from baseline of p % is taken for a volume of (100 + p) % of that at baseline, so
    that loss between two later scans is relative to the first of them. Where such a measure has
    no value at baseline (it is 0 by definition), the baseline is day 0.
    """
    measure = cohort.measure(rule.outcome)
    _check_volume(measure, rule)
    scans = _scans(cohort, rule)
    level = scans.value[:, 0] + (100.0 if measure.kind == "change" else 0.0)
    start, start_day = _starts(scans, level, rule, implied=measure.kind == "change")
    rate = annualised_percent_change(start, level, start_day, scans.day, method=rule.method)
    judged = scans.after_reference & np.isfinite(rate)
    judged &= scans.day - start_day >= rule.min_interval_days
    lost = -rate > rule.cutoff_pct_per_year + _SLACK
    return _scan_result(
        cohort,
        rule,
        scans,
        judged,
        lost,
        reason=_why_not_judged(scans, judged, rule, measure),
        baseline=np.where(scans.has_reference, _take(scans.value[:, 0], scans.reference), np.nan),
    )


def _check_volume(measure: Measure, rule: VolumeLossRule) -> None:
    """Refuse measures of which a loss is no progression, or no percentage."""
    if measure.worsening == "higher":
        raise DesignError(
            f"`outcome` of rule {rule.name!r} is {measure.name!r}, of which more is worse: a loss "
            "of it is no progression."
        )
    if measure.kind == "change" and measure.unit != "%":
        raise DesignError(
            f"`outcome` of rule {rule.name!r} is {measure.name!r}, a change in "
            f"{measure.unit or 'no unit'}. A loss per year needs a volume, or a change in %."
        )


def _scans(cohort: Cohort, rule: LesionEventRule | VolumeLossRule) -> _Scans:
    """Find the visits with a scan, and each subject's baseline scan."""
    columns = [rule.outcome] if isinstance(rule, VolumeLossRule) else list(rule.measures)
    ids, visits = cohort.subjects["subject_id"], cohort.visits
    value = visits[columns].to_numpy(dtype=float)
    has = ~np.isnan(value).all(axis=1)
    subject = pd.Index(ids).get_indexer(visits["subject_id"][has]).astype(np.int64)
    day = visits["day"].to_numpy(dtype=np.int64)[has]
    reference = _reference_rows(subject, day, len(ids), rule)
    found = (reference >= 0) & (rule.from_day == 0)
    zero = np.where(found, _take(day, reference), 0)
    return _Scans(
        subject=subject, day=day, value=value[has], reference=reference, day_zero=zero
    )  # fmt: skip


def _reference_rows(
    subject: IntArray, day: IntArray, n_subjects: int, rule: LesionEventRule | VolumeLossRule
) -> IntArray:
    """Return the row of each subject's baseline scan, -1 where there is none."""
    if rule.from_day:
        return _first_rows(subject, day >= rule.from_day, n_subjects)
    on_time = _last_rows(subject, day <= 0, n_subjects)
    late = (day > 0) & (day <= rule.baseline_window_days)
    return np.where(on_time >= 0, on_time, _first_rows(subject, late, n_subjects))


def _first_rows(subject: IntArray, mask: BoolArray, n_subjects: int) -> IntArray:
    """Return the first row of each subject that is in a mask, -1 where none is."""
    rows = np.flatnonzero(mask)[::-1]
    found = np.full(n_subjects, -1, dtype=np.int64)
    found[subject[rows]] = rows  # of several, the last assignment stays
    return found


def _last_rows(subject: IntArray, mask: BoolArray, n_subjects: int) -> IntArray:
    """Return the last row of each subject that is in a mask, -1 where none is."""
    rows = np.flatnonzero(mask)
    found = np.full(n_subjects, -1, dtype=np.int64)
    found[subject[rows]] = rows
    return found


def _last_row(scans: _Scans, mask: BoolArray) -> IntArray:
    """Return the last scan of each subject that is in a mask, -1 where none is."""
    return _last_rows(scans.subject, mask, len(scans.reference))


def _take(values: NDArray, rows: IntArray) -> NDArray:
    """Take rows, where -1 (no row) gives anything, even when there are no values at all."""
    return values[rows] if len(values) else np.zeros(len(rows), dtype=values.dtype)


def _starts(
    scans: _Scans, level: FloatArray, rule: VolumeLossRule, *, implied: bool
) -> tuple[FloatArray, IntArray]:
    """Return, for each scan, the volume (NaN where there is none) and day that it starts from.

    `implied`: whether subjects without a baseline scan started from 100 % on day 0.
    """
    implied = implied and not rule.from_day
    at_zero = 100.0 if implied else np.nan
    base = np.where(scans.has_reference, _take(level, scans.reference), at_zero)[scans.subject]
    base_day = scans.reference_day[scans.subject]
    early = ~scans.after_reference
    base, base_day = np.where(early, np.nan, base), np.where(early, scans.day, base_day)
    if rule.since == "baseline":
        return base, base_day
    before = _rows_before(scans, max(rule.min_interval_days, 1))
    usable = (before >= 0) & _take(scans.after_reference, before) & ~early
    usable &= scans.has_reference[scans.subject] | implied
    start = np.where(usable, _take(level, before), base)
    return start, np.where(usable, _take(scans.day, before), base_day)


def _rows_before(scans: _Scans, days: int) -> IntArray:
    """Return the subject's last scan at least so many days before each scan, -1 for none."""
    if not len(scans.day):
        return np.zeros(0, dtype=np.int64)
    first = int(scans.day.min()) - days
    span = int(scans.day.max()) - first + 1
    key = scans.subject * span + (scans.day - first)
    rows = np.searchsorted(key, key - days, side="right") - 1
    same = (rows >= 0) & (scans.subject[rows] == scans.subject)
    return np.where(same, rows, -1)


def _why_no_scan(scans: _Scans, rule: LesionEventRule | VolumeLossRule) -> NDArray[np.object_]:
    """Say why subjects have no scan that counts."""
    if not rule.from_day:
        return np.full(len(scans.reference), "no scan after the baseline scan", dtype=object)
    missing = f"no scan at or after day {rule.from_day} (no new baseline)"
    return np.where(scans.has_reference, "no scan after the new baseline scan", missing)


def _why_not_judged(
    scans: _Scans, judged: BoolArray, rule: VolumeLossRule, measure: Measure
) -> NDArray[np.object_]:
    """Say why subjects have no scan whose loss can be judged; empty for those who have."""
    window = rule.baseline_window_days
    late = f" nor in the {window} days after it" if window else ""
    short = f"no {measure.label} at least {rule.min_interval_days} days after another that counts"
    reason = np.where(
        _last_row(scans, scans.after_reference) >= 0, short, _why_no_scan(scans, rule)
    )
    if rule.from_day or measure.kind != "change":
        no_base = (
            f"no scan at or after day {rule.from_day} (no new baseline)"
            if rule.from_day
            else f"no {measure.label} at or before day 0{late} (no baseline)"
        )
        reason = np.where(scans.has_reference, reason, no_base)
    anything = _last_row(scans, np.ones(len(scans.day), dtype=bool)) >= 0
    reason = np.where(anything, reason, f"no {measure.label} at any visit")
    return np.where(_last_row(scans, judged) >= 0, "", reason)


def _scan_result(
    cohort: Cohort,
    rule: LesionEventRule | VolumeLossRule,
    scans: _Scans,
    counted: BoolArray,
    active: BoolArray,
    *,
    reason: NDArray[np.object_],
    baseline: FloatArray | None = None,
) -> EndpointResult:
    """Find the first active of the scans that count, and tabulate it."""
    ids = cohort.subjects["subject_id"]
    n = len(ids)
    found = _first_rows(scans.subject, counted & active, n)
    last = _last_row(scans, counted)
    event = found >= 0
    end = _take(scans.day, np.where(event, found, last)) - scans.day_zero
    left = _take(scans.day, last) - scans.day_zero
    left = np.where(event, _day_before(scans, counted, found) - scans.day_zero, left)
    events = pd.DataFrame(
        {
            "subject_id": ids.to_numpy(),
            "duration": end,
            "event": event,
            "day_baseline": scans.day_zero,
            "baseline_value": np.nan if baseline is None else baseline,
            "interval_left": left.astype(float),
            "interval_right": np.where(event, end, np.inf),
            "censor_reason": "no event up to the last scan",
        }
    )
    return endpoint_result(
        cohort,
        rule,
        label=rule.title,
        events=events[reason == ""],
        exclusions=(
            *left_out(rule.name, ids, pd.Series(reason, index=ids.index)),
            *_unused_scans(scans, counted, rule, ids.iloc[scans.subject], reason == ""),
        ),
    )


def _unused_scans(
    scans: _Scans,
    counted: BoolArray,
    rule: LesionEventRule | VolumeLossRule,
    ids: pd.Series,
    at_risk: BoolArray,
) -> tuple[Exclusion, ...]:
    """Count the scans of subjects at risk that could not make an event."""
    stage = f"endpoint {rule.name}"
    rest = ~counted & at_risk[scans.subject]
    rest[scans.reference[at_risk & scans.has_reference]] = False
    later = scans.after_reference
    days = getattr(rule, "min_interval_days", 0)
    return (
        *exclude(stage, "visit", "scan before the baseline scan", ids[rest & ~later]),
        *exclude(stage, "visit", f"no scan {days} days before to compare with", ids[rest & later]),
    )


def _day_before(scans: _Scans, counted: BoolArray, rows: IntArray) -> IntArray:
    """Return the day of the last scan that counts before each subject's row, else of baseline."""
    latest = np.maximum.accumulate(np.where(counted, np.arange(len(counted)), -1))
    before = _take(np.append([-1], latest)[:-1], rows)
    own = (before >= 0) & (_take(scans.subject, before) == np.arange(len(rows)))
    return np.where(own, _take(scans.day, before), scans.reference_day)
