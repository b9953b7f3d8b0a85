"""Visits of one measure as arrays: sorted, with the relapses and scans around them.

A table depends on the cohort and the measure alone, so that many rules can share it; what a rule
asks for besides (the visit that is baseline, other measures, scans) is worked out once and kept.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pmsstats.cohort import Cohort, Measure
from pmsstats.endpoints.definitions.progression_rule import ProgressionRule
from pmsstats.endpoints.definitions.thresholds import Direction, Threshold
from pmsstats.errors import DesignError, SchemaError, nearest

__all__ = ["EventDays", "VisitTable", "days_around", "prepare", "visit_table"]

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

_LARGEST_KEY = np.iinfo(np.int64).max // 4


@dataclass(frozen=True, kw_only=True, eq=False)
class EventDays:
    """Days of relapses or scans, subject after subject.

    Parameters
    ----------
    offsets : ndarray of int, shape (n_subjects + 1,)
        The days of subject i are ``day[offsets[i]:offsets[i + 1]]``.
    day : ndarray of int, shape (n_days,)
        Ascending within a subject.
    active : ndarray of bool, shape (n_days,)
        Of scans: whether there were new lesions. True for relapses.
    """

    offsets: IntArray
    day: IntArray
    active: BoolArray


@dataclass(frozen=True, kw_only=True, eq=False)
class VisitTable:
    """Visits with a value of the outcome, sorted by subject and day.

    Parameters
    ----------
    measure : Measure
        The outcome.
    subject_ids : ndarray of object, shape (n_subjects,)
        All subjects, also those without a visit.
    offsets : ndarray of int, shape (n_subjects + 1,)
        The visits of subject i are rows ``offsets[i]`` to ``offsets[i + 1] - 1``.
    subject : ndarray of int, shape (n_rows,)
        Subject codes, ascending.
    day : ndarray of int, shape (n_rows,)
        Study day, ascending within a subject.
    value : ndarray of float, shape (n_rows,)
        The outcome.
    since, until : ndarray of float, shape (n_rows,)
        Days since the last relapse at or before the visit and until the next at or after it;
        infinite where there is none.
    relapses : EventDays
        All relapses of each subject.
    exit_reason : ndarray of object, shape (n_subjects,)
        Why each subject left the study, empty for those who did not; None where that is not
        known.
    without_value : ndarray of int, shape (n_missing,)
        Subject codes of the visits without a value.
    read_column : callable
        Gives another column, one number per row, by its name and the field that asks for it.
    read_scans : callable
        Gives the scans on which any of some measures was counted.
    kept : dict
        What was worked out for a rule and will be asked for again.
    """

    measure: Measure
    subject_ids: NDArray[np.object_]
    offsets: IntArray
    subject: IntArray
    day: IntArray
    value: FloatArray
    since: FloatArray
    until: FloatArray
    relapses: EventDays
    exit_reason: NDArray[np.object_] | None
    without_value: IntArray
    read_column: Callable[[str, str], FloatArray]
    read_scans: Callable[[tuple[str, ...]], EventDays]
    kept: dict[Hashable, Any] = field(default_factory=dict)

    @property
    def n_subjects(self) -> int:
        """Number of subjects."""
        return len(self.offsets) - 1

    @property
    def n_rows(self) -> int:
        """Number of visits with a value."""
        return len(self.day)

    def column(self, name: str, wanted_by: str) -> FloatArray:
        """Return another column of the visits, as numbers.

        Parameters
        ----------
        name : str
            The column.
        wanted_by : str
            Field of the rule that names it, for messages.

        Returns
        -------
        ndarray of float, shape (n_rows,)
            Missing is NaN, true 1 and false 0.

        Raises
        ------
        SchemaError
            If there is no such column, or it holds texts.
        """
        return self._keep(("column", name), lambda: self.read_column(name, wanted_by))

    def scans(self, measures: tuple[str, ...]) -> EventDays:
        """Return the days of scans, with or without new lesions.

        Parameters
        ----------
        measures : tuple of str
            Lesion counts: a visit with a value of any of them is a scan, one with a value above
            0 is active.

        Returns
        -------
        EventDays
            Scans of visits with or without a value of the outcome.

        Raises
        ------
        SchemaError
            If a measure is not in the visits table.
        """
        return self._keep(("scans", measures), lambda: self.read_scans(measures))

    @property
    def last_row(self) -> IntArray:
        """Last row of each subject, -1 where there is none; shape (n_subjects,)."""
        return self._keep(
            "last_row", lambda: np.where(np.diff(self.offsets), self.offsets[1:], 0) - 1
        )

    def far_from_relapses(self, before: float, after: float) -> BoolArray:
        """Say which visits lie far enough from relapses on both sides.

        Parameters
        ----------
        before, after : float
            Fewest days since the last relapse and until the next.

        Returns
        -------
        ndarray of bool, shape (n_rows,)
            Whether both are met.
        """
        return self._keep(
            ("far", before, after), lambda: (self.since >= before) & (self.until >= after)
        )

    def first_baseline(self, rule: ProgressionRule) -> IntArray:
        """Find the first baseline visit of each subject.

        Parameters
        ----------
        rule : ProgressionRule
            With `baseline_visit`, `baseline_window_days` and `leading_systems`: where it has
            these, only visits with a grade of at least one of them are looked at.

        Returns
        -------
        ndarray of int, shape (n_subjects,)
            Row of the last visit at or before day 0, else of the first within the window after
            it (or simply the first row, if the rule says so); -1 where there is none.
        """
        key = ("baseline", rule.baseline_visit, rule.baseline_window_days, rule.leading_systems)
        return self._keep(key, lambda: self._find_baseline(rule))

    def required(self, threshold: Threshold, direction: Direction, source: str) -> FloatArray:
        """Return the change that counts from each row, were it the baseline.

        Parameters
        ----------
        threshold : Threshold
            How much change counts.
        direction : {"increase", "decrease"}
            Which change.
        source : str
            Column whose value decides; empty for the outcome itself.

        Returns
        -------
        ndarray of float, shape (n_rows,)
            NaN where no change can count.
        """

        def compute() -> FloatArray:
            value = self.column(source, "threshold_from") if source else self.value
            return np.ascontiguousarray(threshold.required(value, direction), dtype=float)

        return self._keep(("required", threshold, direction, source), compute)

    def _find_baseline(self, rule: ProgressionRule) -> IntArray:
        may_serve = np.ones(self.n_rows, dtype=bool)
        if rule.leading_systems:
            grades = [self.column(name, "leading_systems") for name in rule.leading_systems]
            may_serve = ~np.isnan(grades).all(axis=0)
        found = np.full(self.n_subjects, -1, dtype=np.int64)
        in_time = rule.baseline_visit == "first" or self.day <= rule.baseline_window_days
        first = np.flatnonzero(may_serve & in_time)[::-1]
        found[self.subject[first]] = first  # the last write wins: reversed, the earliest visit
        if rule.baseline_visit == "day_0":
            early = np.flatnonzero(may_serve & (self.day <= 0))
            found[self.subject[early]] = early  # and here the latest
        return found

    def _keep(self, key: Hashable, compute: Callable[[], Any]) -> Any:
        if key not in self.kept:
            self.kept[key] = compute()
        return self.kept[key]


def prepare(cohort: Cohort, outcome: str) -> VisitTable:
    """Turn the visits of a cohort to arrays, for any number of rules on one measure.

    Parameters
    ----------
    cohort : Cohort
        The data.
    outcome : str
        Measure that the rules are about.

    Returns
    -------
    VisitTable
        Subjects in the order of the subjects table.

    Raises
    ------
    SchemaError
        If the cohort has no such measure.
    """
    measure = cohort.measure(outcome)
    ids = cohort.subjects["subject_id"]
    visits, relapses = cohort.visits, cohort.relapses
    return visit_table(
        visits,
        measure,
        subject=_codes(visits["subject_id"], ids),
        subject_ids=ids.to_numpy(dtype=object),
        relapse_subject=_codes(relapses["subject_id"], ids),
        relapse_day=relapses["day"].to_numpy(dtype=np.int64),
        exit_reason=_exit_reasons(cohort, ids),
    )


def visit_table(
    visits: pd.DataFrame | Mapping[str, NDArray[Any]],
    measure: Measure,
    *,
    subject: IntArray,
    subject_ids: NDArray[np.object_],
    relapse_subject: IntArray,
    relapse_day: IntArray,
    exit_reason: NDArray[np.object_] | None = None,
) -> VisitTable:
    """Turn visits to arrays.

    Parameters
    ----------
    visits : pandas.DataFrame or mapping of arrays
        Sorted by subject and day, no day twice: ``day``, the outcome, and further columns that
        rules name.
    measure : Measure
        The outcome: its name is the column of the values. Visits without one are set aside.
    subject : ndarray of int, shape (n_visits,)
        Subject codes, ascending.
    subject_ids : ndarray of object, shape (n_subjects,)
        What the codes stand for.
    relapse_subject, relapse_day : ndarray of int, shape (n_relapses,)
        Relapses, in any order.
    exit_reason : ndarray of object, shape (n_subjects,), optional
        Why each subject left the study, empty for those who did not; by default not known.

    Returns
    -------
    VisitTable
        The table.

    Raises
    ------
    DesignError
        If days are so far apart that they are none.
    """
    n_subjects = len(subject_ids)
    all_days = np.asarray(visits["day"], dtype=np.int64)
    value = _as_numbers(visits[measure.name], measure.name, "outcome")
    has = ~np.isnan(value)
    rows = slice(None) if has.all() else np.flatnonzero(has)
    relapses = _event_days(relapse_subject, relapse_day, None, n_subjects)
    code, day = subject[rows], all_days[rows]
    since, until = days_around(code, day, relapses)

    def read_column(name: str, wanted_by: str) -> FloatArray:
        _require_column(visits, name, wanted_by)
        return np.ascontiguousarray(_as_numbers(visits[name], name, wanted_by)[rows])

    def read_scans(measures: tuple[str, ...]) -> EventDays:
        for name in measures:
            _require_column(visits, name, "measures")
        counts = np.stack([_as_numbers(visits[name], name, "measures") for name in measures])
        scanned = ~np.isnan(counts).all(axis=0)
        active = (np.nan_to_num(counts) > 0).any(axis=0)[scanned]
        return _event_days(subject[scanned], all_days[scanned], active, n_subjects)

    return VisitTable(
        measure=measure,
        subject_ids=subject_ids,
        offsets=_offsets(code, n_subjects),
        subject=code,
        day=day,
        value=value[rows],
        since=since,
        until=until,
        relapses=relapses,
        exit_reason=exit_reason,
        without_value=subject[~has],
        read_column=read_column,
        read_scans=read_scans,
    )


def days_around(
    subject: IntArray, day: IntArray, events: EventDays
) -> tuple[FloatArray, FloatArray]:
    """Count the days since the last event at or before each visit and until the next.

    Parameters
    ----------
    subject, day : ndarray of int, shape (n_rows,)
        The visits: subject codes, ascending, and days, ascending within a subject.
    events : EventDays
        Of the same subjects.

    Returns
    -------
    tuple of ndarray of float, shape (n_rows,)
        Days since and days until; an event on the day of the visit gives 0 for both, none inf.

    Raises
    ------
    DesignError
        If subject and day do not fit one integer key.
    """
    since, until = np.full(len(day), np.inf), np.full(len(day), np.inf)
    if not (len(day) and len(events.day)):
        return since, until
    low = min(int(day.min()), int(events.day.min()))
    span = max(int(day.max()), int(events.day.max())) - low + 1
    n_subjects = len(events.offsets) - 1
    _check_span(n_subjects, span)
    event_subject = np.repeat(np.arange(n_subjects), np.diff(events.offsets))
    key = subject * span + (day - low)
    event_key = event_subject * span + (events.day - low)
    until_then = _number_up_to(event_key, key, side="left")
    has = until_then > events.offsets[subject]
    since[has] = (day - events.day[until_then - 1])[has]
    before = _number_up_to(event_key, key, side="right")
    has = before < events.offsets[subject + 1]
    until[has] = (np.append(events.day, 0)[before] - day)[has]
    return since, until


def _number_up_to(events: IntArray, keys: IntArray, *, side: Literal["left", "right"]) -> IntArray:
    """Count the events up to each key, with or (right) without those at the key; both ascend."""
    first = np.searchsorted(keys, events, side=side)  # first key that counts the event
    return np.cumsum(np.bincount(first, minlength=len(keys) + 1))[:-1]


def _exit_reasons(cohort: Cohort, ids: pd.Series) -> NDArray[np.object_]:
    """Return why each subject left the study, empty for those who did not."""
    exits = cohort.exits
    reason = exits["reason"].to_numpy(dtype=object)
    row = pd.Index(exits["subject_id"]).get_indexer(ids)
    return np.append(np.where(pd.isna(reason), "", reason), "")[row]


def _codes(column: pd.Series, ids: pd.Series) -> IntArray:
    """Return each row's place among the sorted ids; equal ids stand together."""
    texts = column.to_numpy(dtype=object)
    if not len(texts):
        return np.empty(0, dtype=np.int64)
    starts = np.flatnonzero(np.append(True, texts[1:] != texts[:-1]))
    code = pd.Index(ids).get_indexer(texts[starts]).astype(np.int64)
    return np.repeat(code, np.diff(np.append(starts, len(texts))))


def _offsets(subject: IntArray, n_subjects: int) -> IntArray:
    """Return where each subject's rows begin, and the end."""
    counts = np.bincount(subject, minlength=n_subjects)
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _event_days(
    subject: IntArray, day: IntArray, active: BoolArray | None, n_subjects: int
) -> EventDays:
    """Sort events by subject and day."""
    active = np.ones(len(day), dtype=bool) if active is None else active
    order = np.lexsort((day, subject))
    return EventDays(offsets=_offsets(subject, n_subjects), day=day[order], active=active[order])


def _require_column(
    visits: pd.DataFrame | Mapping[str, NDArray[Any]], name: str, wanted_by: str
) -> None:
    """Refuse a column that is not there."""
    columns: Sequence[str] = [str(c) for c in visits]
    if name not in columns:
        raise SchemaError(
            f"`{wanted_by}` of the rule names {name!r}, which is no column of the visits table."
            f"{nearest(name, columns)} It has: {', '.join(columns)}."
        )


def _as_numbers(column: Any, name: str, wanted_by: str) -> FloatArray:
    """Return a column as numbers: missing NaN, true 1, false 0."""
    if isinstance(column, np.ndarray) and column.dtype.kind in "fiub":
        return column.astype(float)
    if isinstance(column, pd.Series) and pd.api.types.is_numeric_dtype(column.dtype):
        return column.to_numpy(dtype=float, na_value=np.nan)
    try:
        return pd.array(column, dtype="Float64").to_numpy(dtype=float, na_value=np.nan)
    except (TypeError, ValueError) as exc:
        raise SchemaError(
            f"`{wanted_by}` of the rule names {name!r}, a column of the visits table that must "
            f"hold numbers, or true and false, but holds texts ({exc})."
        ) from exc


def _check_span(n_subjects: int, span: int) -> None:
    """Refuse days so far apart that subject and day no longer fit one integer key."""
    if n_subjects * span > _LARGEST_KEY:
        raise DesignError(
            f"`day` spans {span} days for {n_subjects} subjects, which is no study. Check the "
            "unit of `day`, or the dates it was made from."
        )
