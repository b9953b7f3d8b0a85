"""The scan: every subject's visits from the first baseline on, event after event.

The search stands at a baseline and a row. It looks for the first change from the baseline, asks
whether the change is confirmed and sustained, records the event, moves the baseline where the rule
says so, and goes on, until the event asked for is found or the visits end.

In what follows ``c`` is the row at which a change is first seen, ``k`` the row that confirms it,
``u`` the first row after it that does not show the change, and ``end - 1`` the subject's last row.
"""

# ruff: noqa: PLR0917 (compiled functions take no keywords)

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from pmsstats.compiling import compiled
from pmsstats.endpoints.engine.scan_arrays import (
    FIRST,
    FIRST_PIRA,
    FIRST_RAW,
    MULTIPLE,
    NO_CLASS,
    PIRA,
    RAW,
    UNDETERMINED,
    Found,
    RuleArrays,
    Study,
)
from pmsstats.endpoints.engine.scan_steps import (
    Base,
    base_at,
    confirming_row,
    first_break,
    first_day_after,
    follows,
    holds,
    in_any_window,
    is_changed,
    is_extremum,
    is_free_of_lesions,
    is_free_of_relapses,
    last_without,
    leads,
    least_changed,
    meets,
    side,
    windows_of,
)

__all__ = ["scan"]


class _Change(NamedTuple):
    """A change: its sense, rows k (-1 for none) and u, and what was found of it."""

    sense: int
    k: int
    u: int
    is_confirmed: bool
    is_imputed: bool
    is_sustained: bool


@compiled
def scan(
    study: Study,
    arrays: RuleArrays,
    first: np.ndarray,
    stop: np.ndarray,
    imputes: np.ndarray,
    subjects: tuple[int, int],
    found: Found,
) -> None:
    """Scan some subjects.

    Parameters
    ----------
    study : Study
        The data, as the rule sees them.
    arrays : RuleArrays
        The rule.
    first, stop : ndarray of int, shape (n_subjects,)
        Row of the first baseline, -1 for subjects to leave out, and the end of the rows.
    imputes : ndarray of bool, shape (n_subjects,)
        Whether a change at the last visit is taken as confirmed.
    subjects : tuple of int
        From which subject to which (excluded).
    found : Found
        Filled in.
    """
    free = stop[subjects[0] - 1] if subjects[0] > 0 else 0  # no other part writes from there on
    for subject in range(subjects[0], subjects[1]):
        row, end = first[subject], stop[subject]
        if row < 0:
            continue
        base, free = _search(study, arrays, subject, row, end, imputes[subject], found, free)
        answer = found.subjects[subject]
        if arrays.fields[0].events == MULTIPLE:
            answer.event = _first_up(found, row, end)
        answer.is_open = is_changed(study.visits[end - 1].x, base, 1)
        answer.left = last_without(study.visits, base, 1, row, end)


@compiled
def _search(
    study: Study,
    arrays: RuleArrays,
    subject: int,
    first: int,
    end: int,
    imputes: bool,
    found: Found,
    free: int,
) -> tuple[Base, int]:
    """Go from event to event; return the last baseline and the first place that is still free."""
    visits, rule, answer = study.visits, arrays.fields[0], found.subjects[subject]
    b, valued, s = first, first, first + 1  # row of the baseline, and the row whose value it has
    base = base_at(visits, first)
    while True:
        served, b = b, _next_base(visits, rule, b, first, end)
        if b >= end - 1:
            base = base_at(visits, end - 1)
            break
        valued = valued if b == served else b
        s = max(s, b + 1)
        base = _settled(visits, rule, base, b, valued, answer.start >= 0)
        if answer.start < 0:
            answer.start = b
        relapse = first_day_after(study.relapses, subject, visits[b].day)
        c = _next_change(visits, rule, base, s, end)
        if c < 0 and not (rule.after_relapse and relapse < np.inf):
            break
        if c < 0:  # nothing to find from this baseline: on to the one after the next relapse
            s = end
        elif rule.after_relapse and visits[c].day > relapse + rule.relapse_wait:
            s = c
        else:
            change = _judge(
                visits, study.systems, rule, arrays.windows, arrays.opposite_windows, first, end,
                imputes, base, c,
            )  # fmt: skip
            is_recorded = change.is_sustained and _record(
                study, arrays, subject, first, end, base, c, change, found, free
            )
            b, valued, s = _go_on(visits, rule, base, valued, c, change, is_recorded)
            free = max(free, found.place[c] + 1)
            if is_recorded and _ends_search(rule.events, found, c):
                answer.event = c
                break
        if rule.after_relapse and (c < 0 or _is_past_relapse(study, rule, subject, b, s, end)):
            b = _first_row_from(visits, b, end, relapse)
            if b >= end - 1:
                base = base_at(visits, b) if b < end else base
                break
            valued, s = b, b + 1
    return base, free


@compiled
def _next_base(visits: np.ndarray, rule: Any, b: int, first: int, end: int) -> int:
    """Pass over rows that may not be baseline; `end` if none is left."""
    while b < end and (not visits[b].may_base or is_extremum(visits, rule, b, first, end)):
        b += 1
    return b


@compiled
def _is_past_relapse(study: Study, rule: Any, subject: int, b: int, s: int, end: int) -> bool:
    """Say whether the search has passed a relapse since the baseline."""
    if s >= end:
        return False
    relapse = first_day_after(study.relapses, subject, study.visits[b].day)
    return relapse + rule.relapse_wait < study.visits[s].day


@compiled
def _settled(
    visits: np.ndarray, rule: Any, old: Base, row: int, valued: int, is_moved: bool
) -> Base:
    """Take a row as baseline, with the value of the one before if that must not get better."""
    visit = visits[valued]
    fresh = Base(row, visit.x, visit.need, visit.need_opposite)
    if rule.never_better and is_moved and side(fresh.x, old.x) == -rule.worse:
        return Base(row, old.x, old.need, old.need_opposite)
    return fresh


@compiled
def _next_change(visits: np.ndarray, rule: Any, base: Base, s: int, end: int) -> int:
    """Return the first row that shows a change and may start an event, -1 if there is none."""
    earliest = visits[base.row].day + rule.min_from_base
    for row in range(s, end):
        x = visits[row].x
        if (visits[row].may_start and visits[row].day >= earliest) and (
            is_changed(x, base, 1)
            or is_changed(x, base, -1)
            or (rule.any_difference and side(x, base.x) != 0)
        ):
            return row
    return -1


@compiled
def _first_row_from(visits: np.ndarray, row: int, end: int, day: float) -> int:
    """Return the first row from `row` on that is not before a day; `end` if there is none."""
    while row < end and visits[row].day < day:
        row += 1
    return row


@compiled
def _first_up(found: Found, first: int, end: int) -> int:
    """Return the first onset of an event in the rule's direction, -1 if there is none."""
    for row in range(first + 1, end):
        place = found.place[row]
        if place >= 0 and found.events[place].sense > 0:
            return row
    return -1


@compiled
def _ends_search(events: int, found: Found, c: int) -> bool:
    """Say whether the event with an onset is the one that was looked for."""
    event = found.events[found.place[c]]
    return events != MULTIPLE and _is_asked_for(events, event.sense, event.relapse_class)


@compiled
def _is_asked_for(events: int, sense: int, relapse_class: int) -> bool:
    """Say whether an event is one that the rule asks for."""
    if events == FIRST:
        return sense > 0
    if events == FIRST_PIRA:
        return relapse_class == PIRA
    if events == FIRST_RAW:
        return relapse_class == RAW
    return True


@compiled
def _judge(
    visits: np.ndarray,
    systems: np.ndarray,
    rule: Any,
    windows: np.ndarray,
    opposite_windows: np.ndarray,
    first: int,
    end: int,
    imputes: bool,
    base: Base,
    c: int,
) -> _Change:
    """Ask whether a change is confirmed, or imputed, and whether it lasts."""
    sense = side(visits[c].x, base.x)
    own = opposite_windows if sense < 0 and len(opposite_windows) > 0 else windows
    k = confirming_row(visits, own, c, end)
    is_confirmed = _is_confirmed(visits, systems, rule, base, sense, c, k)
    is_imputed = (
        not is_confirmed
        and imputes
        and sense > 0
        and c == end - 1
        and visits[c].day - visits[first].day <= rule.impute_within
        and _is_confirmed(visits, systems, rule, base, sense, c, c)
    )
    if not (is_confirmed or is_imputed):
        return _Change(sense, k, end, False, False, False)
    k = c if is_imputed else k
    u = first_break(visits, rule.as_at_onset, base, sense, c, k + 1, end)
    is_sustained = _is_sustained(visits, rule, base, sense, c, u, end)
    return _Change(sense, k, u, True, is_imputed, is_sustained)


@compiled
def _go_on(
    visits: np.ndarray,
    rule: Any,
    base: Base,
    valued: int,
    c: int,
    change: _Change,
    is_recorded: bool,
) -> tuple[int, int, int]:
    """Return the baseline, the row whose value it has, and the row from which to search on."""
    if not change.is_confirmed:
        moves = _moves_below_threshold(visits, rule, base, c, change)
    else:
        moves = follows(rule, change.sense) and not change.is_imputed
    reached = change.k if rule.to_confirmation else c
    if not moves:
        return base.row, valued, (reached if is_recorded else c) + 1
    if rule.least_changed:
        return reached, least_changed(visits, change.sense, c, change.k), reached + 1
    return reached, reached, reached + 1


@compiled
def _is_confirmed(
    visits: np.ndarray, systems: np.ndarray, rule: Any, base: Base, sense: int, c: int, k: int
) -> bool:
    """Say whether the change at row c is one by the rule and is confirmed at row k."""
    if k < 0 or not is_changed(visits[c].x, base, sense):
        return False
    if sense > 0 and not meets(visits, rule, c, k):
        return False
    if sense > 0 and rule.leading and not leads(systems, rule, base.row, c, k):
        return False
    if rule.intermediate:
        return first_break(visits, rule.as_at_onset, base, sense, c, c + 1, k + 1) > k
    return holds(visits, rule.as_at_onset, base, sense, c, k)


@compiled
def _is_sustained(
    visits: np.ndarray, rule: Any, base: Base, sense: int, c: int, u: int, end: int
) -> bool:
    """Say whether the change lasts as long as the rule asks; u is the first row without it."""
    if rule.sustain_days == 0:
        return True
    if rule.intermediate:
        return u == end or visits[u].day - visits[c].day >= rule.sustain_days
    v = c + 1
    while v < end - 1 and visits[v].day - visits[c].day < rule.sustain_days:
        v += 1
    return holds(visits, rule.as_at_onset, base, sense, c, min(v, end - 1))


@compiled
def _moves_below_threshold(
    visits: np.ndarray, rule: Any, base: Base, c: int, change: _Change
) -> bool:
    """Say whether the baseline moves to a confirmed change that is too small for an event."""
    is_allowed = rule.subthreshold_up if change.sense > 0 else rule.subthreshold_down
    if change.k < 0 or not (is_allowed and follows(rule, change.sense)):
        return False
    for row in range(c if rule.intermediate else change.k, change.k + 1):
        if side(visits[row].x, base.x) != change.sense:
            return False
    return True


@compiled
def _record(
    study: Study,
    arrays: RuleArrays,
    subject: int,
    first: int,
    end: int,
    base: Base,
    c: int,
    change: _Change,
    found: Found,
    free: int,
) -> bool:
    """Classify a change, and write it down if it is asked for or moves the baseline; say which."""
    visits, rule = study.visits, arrays.fields[0]
    sense, k, u = change.sense, change.k, change.u
    unchanged = _last_unchanged(visits, rule, base, sense, c, k, first, end)
    reference = base.row
    if rule.from_last:
        reference = c - 1
    elif rule.from_last_unchanged:
        reference = unchanged
    relapse_class = NO_CLASS
    if rule.classifies and sense == rule.worse:
        windows = windows_of(arrays, sense)
        relapse_class = _relapse_class(study, arrays, windows, subject, reference, c, k, u)
    if not (_is_asked_for(rule.events, sense, relapse_class) or follows(rule, sense)):
        return False
    if found.place[c] < 0:  # else there was an event with this onset, from another baseline
        found.place[c] = free
    event = found.events[found.place[c]]
    event.sense = sense
    event.relapse_class = relapse_class
    event.imputed = change.is_imputed
    event.reference = base.row
    event.reference_x = base.x
    event.confirmed = -1 if change.is_imputed or len(arrays.windows) == 0 else k
    event.held = u - 1
    event.unchanged = unchanged
    event.left = last_without(visits, base, sense, first, c)
    confirmed = found.windows[found.place[c]]
    confirmed[:] = -1
    if sense > 0 or len(arrays.opposite_windows) == 0:
        _record_windows(study, arrays, subject, reference, c, u, relapse_class == PIRA, confirmed)
    return True


@compiled
def _record_windows(
    study: Study,
    arrays: RuleArrays,
    subject: int,
    reference: int,
    c: int,
    u: int,
    is_pira: bool,
    found: np.ndarray,
) -> None:
    """Find the first row that confirms in each window, at all and as independent of relapses."""
    visits, windows = study.visits, arrays.windows
    for window in range(len(windows)):
        for row in range(u - 1, c, -1):
            days = visits[row].day - visits[c].day
            if visits[row].may_confirm and windows[window, 0] <= days <= windows[window, 1]:
                found[window, 0] = row
                if is_pira and _is_independent(study, arrays, subject, reference, c, row):
                    found[window, 1] = row


@compiled
def _relapse_class(
    study: Study,
    arrays: RuleArrays,
    windows: np.ndarray,
    subject: int,
    reference: int,
    c: int,
    k: int,
    u: int,
) -> int:
    """Say what relapses have to do with a worsening."""
    visits, rule = study.visits, arrays.fields[0]
    if study.since[c] <= rule.raw_before or study.until[c] <= rule.raw_after:
        return RAW
    for row in range(k, u):
        days = visits[row].day - visits[c].day
        may_confirm = visits[row].may_confirm and in_any_window(windows, days)
        if (row == k or may_confirm) and _is_independent(study, arrays, subject, reference, c, row):
            return PIRA
    return UNDETERMINED


@compiled
def _is_independent(
    study: Study, arrays: RuleArrays, subject: int, reference: int, c: int, row: int
) -> bool:
    """Say whether a worsening confirmed at a row is free of relapses and of new lesions."""
    visits, rule = study.visits, arrays.fields[0]
    onset, confirmed = visits[c].day, visits[row].day
    before = visits[reference].day
    if not is_free_of_relapses(study.relapses, arrays.free, subject, before, onset, confirmed):
        return False
    return not rule.lesion_free or is_free_of_lesions(
        study.scans, rule, arrays.lesions, subject, onset, confirmed
    )


@compiled
def _last_unchanged(
    visits: np.ndarray, rule: Any, base: Base, sense: int, c: int, k: int, first: int, end: int
) -> int:
    """Return the closest row before the onset from which the event is a change, too."""
    for row in range(c - 1, base.row, -1):
        if is_extremum(visits, rule, row, first, end):
            continue
        own = base_at(visits, row)
        is_change = is_changed(visits[c].x, own, sense) and is_changed(visits[k].x, own, sense)
        for between in range(c + 1, k if rule.intermediate else c):
            is_change = is_change and is_changed(visits[between].x, own, sense)
        if is_change:
            return row
    return base.row
