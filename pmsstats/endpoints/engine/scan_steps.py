"""Single steps of the scan: changes, whether they hold, what lies near.

Rows of one subject are ``first`` (its first baseline) to ``end - 1``. Numbers are compared as the
decimals they stand for, as :func:`~pmsstats.endpoints.definitions.thresholds.is_reached` does.
"""

# ruff: noqa: PLR0917 (compiled functions take no keywords)

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from pmsstats.compiling import compiled
from pmsstats.endpoints.definitions.thresholds import DECIMAL_SLACK
from pmsstats.endpoints.engine.scan_arrays import Days, RuleArrays

__all__ = [
    "Base", "base_at", "confirming_row", "first_break", "first_day_after", "follows", "holds",
    "in_any_window", "is_changed", "is_extremum", "is_free_of_lesions", "is_free_of_relapses",
    "last_without", "leads", "least_changed", "meets", "side", "windows_of",
]  # fmt: skip

_SLACK = DECIMAL_SLACK


class Base(NamedTuple):
    """A baseline.

    Parameters
    ----------
    row : int
        Its row.
    x : float
        Its value, signed such that the rule's direction is up.
    need, need_opposite : float
        Changes up and down that count from it; NaN where none can.
    """

    row: int
    x: float
    need: float
    need_opposite: float


@compiled
def base_at(visits: np.ndarray, row: int) -> Base:
    """Take a row as baseline.

    Parameters
    ----------
    visits : recarray of type VISIT, shape (n_rows,)
        Of all subjects.
    row : int
        The visit.

    Returns
    -------
    Base
        With the changes that count from there.
    """
    visit = visits[row]
    return Base(row, visit.x, visit.need, visit.need_opposite)


@compiled
def side(x: float, other: float) -> int:
    """Say whether a number is above (1), below (-1) or the same decimal as another (0).

    Parameters
    ----------
    x, other : float
        The numbers.

    Returns
    -------
    int
        1, -1 or 0.
    """
    slack = _SLACK * max(abs(x), abs(other))
    if x - other > slack:
        return 1
    return -1 if other - x > slack else 0


@compiled
def is_changed(x: float, base: Base, sense: int) -> bool:
    """Say whether a value differs from the baseline, up or down, by at least what counts.

    Parameters
    ----------
    x : float
        Signed such that the rule's direction is up.
    base : Base
        The baseline.
    sense : {1, -1}
        Up or down.

    Returns
    -------
    bool
        False where no change can count.
    """
    need = base.need if sense > 0 else base.need_opposite
    scale = max(abs(x), abs(base.x), need)
    return sense * (x - base.x) >= need - _SLACK * scale


@compiled
def holds(
    visits: np.ndarray, as_at_onset: bool, base: Base, sense: int, onset: int, row: int
) -> bool:
    """Say whether a visit still shows the change of the onset.

    Parameters
    ----------
    visits : recarray of type VISIT, shape (n_rows,)
        Of all subjects.
    as_at_onset : bool
        Whether the value must be at least as changed as at onset, too.
    base : Base
        The baseline.
    sense : {1, -1}
        Up or down.
    onset : int
        Row at which the change is first seen.
    row : int
        The visit.

    Returns
    -------
    bool
        Whether it does.
    """
    x = visits[row].x
    if not is_changed(x, base, sense):
        return False
    return not as_at_onset or side(x, visits[onset].x) != -sense


@compiled
def first_break(
    visits: np.ndarray, as_at_onset: bool, base: Base, sense: int, onset: int, row: int, end: int
) -> int:
    """Return the first row from `row` on that does not show the change; `end` if all do.

    Parameters
    ----------
    visits : recarray of type VISIT, shape (n_rows,)
        Of all subjects.
    as_at_onset : bool
        Whether the value must be at least as changed as at onset, too.
    base : Base
        The baseline.
    sense : {1, -1}
        Up or down.
    onset : int
        Row at which the change is first seen.
    row : int
        Where to begin.
    end : int
        One after the subject's last row.
    """
    while row < end and holds(visits, as_at_onset, base, sense, onset, row):
        row += 1
    return row


@compiled
def last_without(visits: np.ndarray, base: Base, sense: int, first: int, row: int) -> int:
    """Return the last row before `row` that does not show the change; `first` if all do.

    Parameters
    ----------
    visits : recarray of type VISIT, shape (n_rows,)
        Of all subjects.
    base : Base
        The baseline.
    sense : {1, -1}
        Up or down.
    first : int
        The subject's first baseline row.
    row : int
        Where to begin, excluded.
    """
    row -= 1
    while row > first and is_changed(visits[row].x, base, sense):
        row -= 1
    return row


@compiled
def is_extremum(visits: np.ndarray, rule: Any, row: int, first: int, end: int) -> bool:
    """Say whether a row lies above, or below, both of its neighbours and may be no baseline.

    Parameters
    ----------
    visits : recarray of type VISIT, shape (n_rows,)
        Of all subjects.
    rule : record of type RULE
        The definition.
    row : int
        The visit.
    first : int
        The subject's first baseline row.
    end : int
        One after the subject's last row.

    Returns
    -------
    bool
        False for the first and the last row, and for one equal to the row two before it.
    """
    if not rule.skips_extrema or row == first or row == end - 1:
        return False
    x, before, after = visits[row].x, visits[row - 1].x, visits[row + 1].x
    sense = side(before, x)
    if sense == 0 or side(after, x) != sense:
        return False
    if row - 2 >= first and side(visits[row - 2].x, x) == 0:
        return False
    own = base_at(visits, row)
    return rule.skips_all_extrema or (
        is_changed(before, own, sense) and is_changed(after, own, sense)
    )


@compiled
def windows_of(arrays: RuleArrays, sense: int) -> np.ndarray:
    """Return the confirmation windows of changes up or down.

    Parameters
    ----------
    arrays : RuleArrays
        The definition.
    sense : {1, -1}
        Up or down.
    """
    if sense < 0 and len(arrays.opposite_windows) > 0:
        return arrays.opposite_windows
    return arrays.windows


@compiled
def in_any_window(windows: np.ndarray, days: int) -> bool:
    """Say whether a visit so many days after onset lies in any confirmation window.

    Parameters
    ----------
    windows : ndarray of float, shape (n_windows, 2)
        First and last day of each.
    days : int
        Days after onset.

    Returns
    -------
    bool
        Both ends of a window are inside.
    """
    for window in range(len(windows)):  # noqa: SIM110 - generators do not compile
        if windows[window, 0] <= days <= windows[window, 1]:
            return True
    return False


@compiled
def confirming_row(visits: np.ndarray, windows: np.ndarray, onset: int, end: int) -> int:
    """Return the first row that may confirm: the onset if nothing need, -1 if there is none.

    Parameters
    ----------
    visits : recarray of type VISIT, shape (n_rows,)
        Of all subjects.
    windows : ndarray of float, shape (n_windows, 2)
        First and last day of each.
    onset : int
        Row at which the change is first seen.
    end : int
        One after the subject's last row.
    """
    if len(windows) == 0:
        return onset
    for row in range(onset + 1, end):
        visit = visits[row]
        if visit.may_confirm and in_any_window(windows, visit.day - visits[onset].day):
            return row
    return -1


@compiled
def leads(systems: np.ndarray, rule: Any, base_row: int, onset: int, last: int) -> bool:
    """Say whether a functional system that worsened most at onset still is worse at `last`.

    Parameters
    ----------
    systems : ndarray of float, shape (n_rows, n_systems)
        Functional systems.
    rule : record of type RULE
        The definition.
    base_row : int
        The baseline's row.
    onset : int
        Row at which the change is first seen.
    last : int
        The confirming row.

    Returns
    -------
    bool
        A system without a grade has not worsened.
    """
    most = rule.leading_step
    for system in range(systems.shape[1]):
        rise = systems[onset, system] - systems[base_row, system]
        most = most if np.isnan(rise) else max(most, rise)
    for system in range(systems.shape[1]):
        start = systems[base_row, system]
        is_worse = systems[onset, system] - start >= most - _SLACK * most
        for row in range(onset + 1 if rule.intermediate else last, last + 1):
            rise = systems[row, system] - start
            is_worse = is_worse and rise >= rule.leading_step - _SLACK * rule.leading_step
        if is_worse:
            return True
    return False


@compiled
def meets(visits: np.ndarray, rule: Any, onset: int, last: int) -> bool:
    """Say whether the conditions on measures are met at onset, and up to `last` if they must.

    Parameters
    ----------
    visits : recarray of type VISIT, shape (n_rows,)
        Of all subjects.
    rule : record of type RULE
        The definition.
    onset : int
        Row at which the change is first seen.
    last : int
        The confirming row.

    Returns
    -------
    bool
        Whether they are.
    """
    if not visits[onset].meets:
        return False
    if rule.conditions_hold:
        for row in range(onset + 1 if rule.intermediate else last, last + 1):
            if not visits[row].meets:
                return False
    return True


@compiled
def least_changed(visits: np.ndarray, sense: int, onset: int, last: int) -> int:
    """Return the row from onset to `last` that lies least in a sense, the earliest of equals.

    Parameters
    ----------
    visits : recarray of type VISIT, shape (n_rows,)
        Of all subjects.
    sense : {1, -1}
        Up or down.
    onset : int
        Row at which the change is first seen.
    last : int
        The confirming row.
    """
    least = onset
    for row in range(onset + 1, last + 1):
        if side(visits[row].x, visits[least].x) == -sense:
            least = row
    return least


@compiled
def follows(rule: Any, sense: int) -> bool:
    """Say whether the baseline moves to a confirmed change in this sense.

    Parameters
    ----------
    rule : record of type RULE
        The definition.
    sense : {1, -1}
        Up or down.

    Returns
    -------
    bool
        Whether it does.
    """
    return rule.follows_up if sense > 0 else rule.follows_down


@compiled
def first_day_after(days: Days, subject: int, day: int) -> float:
    """Return the first relapse of a subject strictly after a day; infinite if none.

    Parameters
    ----------
    days : Days
        Relapses.
    subject : int
        Its code.
    day : int
        Study day, excluded.
    """
    for i in range(days.offsets[subject], days.offsets[subject + 1]):
        if days.day[i] > day:
            return float(days.day[i])
    return np.inf


@compiled
def _any_between(days: Days, subject: int, low: float, high: float, only_active: bool) -> bool:
    """Say whether a relapse, or a scan (an active one), lies between two days, both included."""
    for i in range(days.offsets[subject], days.offsets[subject + 1]):
        if low <= days.day[i] <= high and (days.active[i] or not only_active):
            return True
    return False


@compiled
def is_free_of_relapses(
    relapses: Days, free: np.ndarray, subject: int, reference: int, onset: int, confirmed: int
) -> bool:
    """Say whether no relapse lies in the intervals around three days.

    Parameters
    ----------
    relapses : Days
        Of all subjects.
    free : ndarray of float, shape (3, 2)
        Days before and after each point, NaN where two intervals are one.
    subject : int
        Its code.
    reference, onset, confirmed : int
        Study days of the three points.

    Returns
    -------
    bool
        Intervals include both ends; (0, 0) is none.
    """
    points = (float(reference), float(onset), float(confirmed))
    low = 0.0
    for point in range(3):
        before, after = free[point, 0], free[point, 1]
        if before == 0 and after == 0:
            continue
        if not np.isnan(before):  # else it began at an earlier point
            low = points[point] - before
        if np.isnan(after):
            continue  # and runs on to the next
        if _any_between(relapses, subject, low, points[point] + after, True):
            return False
    return True


@compiled
def is_free_of_lesions(
    scans: Days, rule: Any, lesions: np.ndarray, subject: int, onset: int, confirmed: int
) -> bool:
    """Say whether no scan around onset and confirmation is active, and there is one if it must.

    Parameters
    ----------
    scans : Days
        Of all subjects.
    rule : record of type RULE
        The definition.
    lesions : ndarray of float, shape (2, 2)
        Days before and after onset and confirmation.
    subject : int
        Its code.
    onset, confirmed : int
        Study days of the two points.

    Returns
    -------
    bool
        Intervals include both ends; (0, 0) is none.
    """
    points = (float(onset), float(confirmed))
    n_intervals, is_scanned = 0, False
    for point in range(2):
        before, after = lesions[point, 0], lesions[point, 1]
        if before == 0 and after == 0:
            continue
        low, high = points[point] - before, points[point] + after
        if _any_between(scans, subject, low, high, True):
            return False
        n_intervals += 1
        is_scanned = is_scanned or _any_between(scans, subject, low, high, False)
    return is_scanned or n_intervals == 0 or not rule.scan_required
