"""One rule on one visit table: the compiled scan, in as many threads as asked for."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pmsstats.endpoints.definitions.progression_rule import ProgressionRule
from pmsstats.endpoints.engine.imputation import imputes_last_visit
from pmsstats.endpoints.engine.scan_arrays import EVENT, SUBJECT, Found
from pmsstats.endpoints.engine.scan_plan import AT_RISK, NO_USABLE_BASELINE, ScanPlan, plan_scan
from pmsstats.endpoints.engine.visit_table import BoolArray, FloatArray, IntArray, VisitTable

__all__ = ["ProgressionArrays", "RuleScan", "progression_arrays", "scan_rule"]


@dataclass(frozen=True, kw_only=True, eq=False)
class RuleScan:
    """What a rule finds in a visit table.

    Parameters
    ----------
    table : VisitTable
        The visits.
    plan : ScanPlan
        What the scan read.
    found : Found
        What it wrote.
    status : ndarray of int, shape (n_subjects,)
        0 for subjects at risk, else why not, see :mod:`~pmsstats.endpoints.engine.scan_plan`.
    """

    table: VisitTable
    plan: ScanPlan
    found: Found
    status: NDArray[np.int8]

    @property
    def at_risk(self) -> BoolArray:
        """Whether a subject has a baseline that may serve and a value after it."""
        return self.status == AT_RISK

    def events_at(self, onset: IntArray) -> NDArray[np.void]:
        """Return the events with these onset rows.

        Parameters
        ----------
        onset : ndarray of int
            Rows of visits at which events began.

        Returns
        -------
        recarray of type EVENT
            As long.
        """
        return self.found.events[self.found.place[onset]]


@dataclass(frozen=True, kw_only=True, eq=False)
class ProgressionArrays:
    """Time to event of all subjects; undefined where they are not at risk.

    Parameters
    ----------
    duration : ndarray of int, shape (n_subjects,)
        Days from the first baseline to event or last visit.
    event : ndarray of bool, shape (n_subjects,)
        Whether the event was seen.
    at_risk : ndarray of bool, shape (n_subjects,)
        Whether it could have been.
    interval_left, interval_right : ndarray of float, shape (n_subjects,)
        The event happened after the first and up to the second; days from the first baseline.
    """

    duration: IntArray
    event: BoolArray
    at_risk: BoolArray
    interval_left: FloatArray
    interval_right: FloatArray


def scan_rule(
    table: VisitTable,
    rule: ProgressionRule,
    *,
    imputes: BoolArray | None = None,
    n_jobs: int = 1,
) -> RuleScan:
    """Find the events that a rule defines.

    Parameters
    ----------
    table : VisitTable
        Visits with the rule's outcome.
    rule : ProgressionRule
        The definition.
    imputes : ndarray of bool, shape (n_subjects,), optional
        For which subjects a change at the last visit is taken as confirmed; by default for all
        (with one of `impute_reasons`) if the rule's `impute_last_visit` is 1, else for none.
    n_jobs : int, default 1
        Threads; the result does not depend on them.

    Returns
    -------
    RuleScan
        Events by onset row, and what follows for each subject.

    Raises
    ------
    SchemaError
        If the table lacks a column that the rule names.
    DesignError
        If the rule asks for a class of worsening, but its direction is an improvement.
    """
    plan = plan_scan(table, rule)
    if imputes is None:
        imputes = np.zeros(table.n_subjects, dtype=bool)
        if rule.impute_last_visit == 1:
            imputes = imputes_last_visit(rule, table.subject_ids, exit_reason=table.exit_reason)
    found = _empty(table.n_subjects, table.n_rows, len(plan.arrays.windows))
    first = np.where(plan.status == AT_RISK, plan.base_row, -1)
    _run(plan, first, table.offsets[1:], imputes, found, n_jobs=n_jobs)
    status = plan.status.copy()
    status[(status == AT_RISK) & (found.subjects.start < 0)] = NO_USABLE_BASELINE
    return RuleScan(table=table, plan=plan, found=found, status=status)


def progression_arrays(
    table: VisitTable,
    rule: ProgressionRule,
    *,
    imputes: BoolArray | None = None,
) -> ProgressionArrays:
    """Derive time to event without tables and texts, for many rules on one cohort.

    Parameters
    ----------
    table : VisitTable
        From :func:`~pmsstats.endpoints.engine.visit_table.prepare`.
    rule : ProgressionRule
        The definition.
    imputes : ndarray of bool, shape (n_subjects,), optional
        See :func:`scan_rule`.

    Returns
    -------
    ProgressionArrays
        One entry per subject of the table.

    Raises
    ------
    SchemaError
        If the table lacks a column that the rule names.
    DesignError
        If the rule asks for a class of worsening, but its direction is an improvement.
    """
    return event_times(scan_rule(table, rule, imputes=imputes))


def event_times(scan: RuleScan) -> ProgressionArrays:
    """Read durations and intervals off a scan.

    Parameters
    ----------
    scan : RuleScan
        From :func:`scan_rule`.

    Returns
    -------
    ProgressionArrays
        One entry per subject of the table.
    """
    table, plan, subjects = scan.table, scan.plan, scan.found.subjects
    event = subjects.event >= 0
    if not table.n_rows:
        return _nobody(table.n_subjects)
    zero = table.day[plan.base_row]
    duration = table.day[np.where(event, subjects.event, plan.last_row)] - zero
    left = np.where(scan.at_risk, subjects.left, 0)
    left[event] = scan.events_at(subjects.event[event]).left
    return ProgressionArrays(
        duration=duration,
        event=event,
        at_risk=scan.at_risk,
        interval_left=(table.day[left] - zero).astype(float),
        interval_right=np.where(event, duration, np.inf),
    )


def _nobody(n_subjects: int) -> ProgressionArrays:
    """Return what there is without any visit."""
    return ProgressionArrays(
        duration=np.zeros(n_subjects, dtype=np.int64),
        event=np.zeros(n_subjects, dtype=bool),
        at_risk=np.zeros(n_subjects, dtype=bool),
        interval_left=np.zeros(n_subjects),
        interval_right=np.full(n_subjects, np.inf),
    )


def _empty(n_subjects: int, n_rows: int, n_windows: int) -> Found:
    """Make room for what the scan finds; events are written where there are some."""
    nothing = np.array([(-1, -1, -1, False)], dtype=SUBJECT)
    return Found(
        subjects=np.repeat(nothing, n_subjects).view(np.recarray),
        place=np.full(n_rows, -1, dtype=np.int32),
        events=np.empty(n_rows, dtype=EVENT).view(np.recarray),
        windows=np.empty((n_rows, n_windows, 2), dtype=np.int64),
    )


def _run(
    plan: ScanPlan,
    first: IntArray,
    stop: IntArray,
    imputes: BoolArray,
    found: Found,
    *,
    n_jobs: int,
) -> None:
    """Scan all subjects, a part of them in each thread."""
    from pmsstats.endpoints.engine.scan import scan

    def scan_part(part: tuple[int, int]) -> None:
        scan(plan.study, plan.arrays, first, stop, imputes, part, found)

    if n_jobs == 1:
        scan_part((0, len(first)))
        return
    edges = np.linspace(0, len(first), n_jobs + 1).astype(int).tolist()
    with ThreadPoolExecutor(max_workers=n_jobs) as pool:
        list(pool.map(scan_part, itertools.pairwise(edges)))
