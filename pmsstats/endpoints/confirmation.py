"""The confirmation engine: first sustained worsening per subject, on sorted arrays.

Nothing here loops over subjects, and a "subject" is only a code: a batch of simulated trials is
derived at once by giving each trial's subjects codes of their own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pmsstats.errors import DesignError

__all__ = ["FirstEvents", "baseline_rows", "days_since", "first_confirmed", "last_rows"]

_LARGEST_KEY = np.iinfo(np.int64).max // 4


@dataclass(frozen=True, kw_only=True)
class FirstEvents:
    """The first event of each subject, as rows of the visit arrays.

    Parameters
    ----------
    onset : ndarray of int, shape (n_subjects,)
        Row of the visit at which the event began; -1 without event.
    confirmed : ndarray of int, shape (n_subjects,)
        Row of the visit that confirmed it; -1 without event, or where none was asked for.
    """

    onset: NDArray[np.int64]
    confirmed: NDArray[np.int64]


def baseline_rows(
    subject: NDArray[np.int64], day: NDArray[np.int64], n_subjects: int, *, window_days: int = 0
) -> NDArray[np.int64]:
    """Find the baseline visit of each subject.

    Parameters
    ----------
    subject : ndarray of int, shape (n_rows,)
        Codes 0 to n_subjects - 1, ascending.
    day : ndarray of int, shape (n_rows,)
        Ascending within a subject.
    n_subjects : int
        Number of codes.
    window_days : int, default 0
        How long after day 0 the first visit may serve, where there is none at or before day 0.

    Returns
    -------
    ndarray of int, shape (n_subjects,)
        Row of the last visit at or before day 0, else of the first within the window, else -1.
    """
    found = np.full(n_subjects, -1, dtype=np.int64)
    late = np.flatnonzero((day > 0) & (day <= window_days))[::-1]
    found[subject[late]] = late  # the last write wins: reversed, that is the earliest visit
    early = np.flatnonzero(day <= 0)
    found[subject[early]] = early  # and here the latest
    return found


def last_rows(subject: NDArray[np.int64], n_subjects: int) -> NDArray[np.int64]:
    """Find the last row of each subject.

    Parameters
    ----------
    subject : ndarray of int, shape (n_rows,)
        Codes, ascending.
    n_subjects : int
        Number of codes.

    Returns
    -------
    ndarray of int, shape (n_subjects,)
        Row, -1 for a subject without any.
    """
    found = np.full(n_subjects, -1, dtype=np.int64)
    found[subject] = np.arange(len(subject))
    return found


def days_since(
    subject: NDArray[np.int64],
    day: NDArray[np.int64],
    event_subject: NDArray[np.int64],
    event_day: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Count the days since the last event (a relapse, say) at or before each visit.

    Parameters
    ----------
    subject, day : ndarray of int, shape (n_rows,)
        The visits.
    event_subject, event_day : ndarray of int, shape (n_events,)
        The events, in any order.

    Returns
    -------
    ndarray of float, shape (n_rows,)
        Days, infinite where there was no event before.
    """
    since = np.full(len(day), np.inf)
    if not (len(day) and len(event_day)):
        return since
    low = min(int(day.min()), int(event_day.min()))
    span = max(int(day.max()), int(event_day.max())) - low + 1
    _check_span(int(max(subject.max(), event_subject.max())) + 1, span)
    order = np.lexsort((event_day, event_subject))
    event_subject, event_day = event_subject[order], event_day[order]
    key = event_subject * span + (event_day - low)
    last = np.searchsorted(key, subject * span + (day - low), side="right") - 1
    has = (last >= 0) & (event_subject[np.maximum(last, 0)] == subject)
    since[has] = (day - event_day[np.maximum(last, 0)])[has]
    return since


def first_confirmed(
    subject: NDArray[np.int64],
    day: NDArray[np.int64],
    worse: NDArray[np.bool_],
    n_subjects: int,
    *,
    min_days: int | None,
    usable: NDArray[np.bool_] | None = None,
) -> FirstEvents:
    """Find the first sustained worsening of each subject.

    Parameters
    ----------
    subject : ndarray of int, shape (n_rows,)
        Codes 0 to n_subjects - 1, ascending; rows are visits after baseline with a value.
    day : ndarray of int, shape (n_rows,)
        Ascending within a subject, no day twice.
    worse : ndarray of bool, shape (n_rows,)
        Whether the threshold is met at the visit.
    n_subjects : int
        Number of codes.
    min_days : int or None
        Fewest days from onset to the confirming visit (at least 1); None asks for no confirmation.
    usable : ndarray of bool, shape (n_rows,), optional
        Visits that may start or confirm an event; all by default. A visit that may not still
        breaks a confirmation when it does not meet the threshold.

    Returns
    -------
    FirstEvents
        Rows of onset and confirmation.

    Notes
    -----
    A visit is an onset if it is worse and usable and the first usable visit at least `min_days`
    later exists and that visit, and every one in between, is worse. (Were a later visit taken
    for confirmation, this one would lie in between.)
    """
    allowed = np.ones(len(day), dtype=bool) if usable is None else usable
    rows = np.arange(len(day))
    if min_days is None:
        onsets, confirming = rows[worse & allowed], None
    else:
        at = _confirming_rows(subject, day, allowed, min_days)
        hit = worse & allowed & (at < _next_better(worse))
        onsets, confirming = rows[hit], at[hit]
    found = FirstEvents(
        onset=np.full(n_subjects, -1, dtype=np.int64),
        confirmed=np.full(n_subjects, -1, dtype=np.int64),
    )
    first = onsets[::-1]
    found.onset[subject[first]] = first
    if confirming is not None:
        found.confirmed[subject[first]] = confirming[::-1]
    return found


def _next_better(worse: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return, for each row, the next row at or after it that is not worse; n_rows where none."""
    rows = np.where(worse, len(worse), np.arange(len(worse)))
    return np.minimum.accumulate(rows[::-1])[::-1]


def _confirming_rows(
    subject: NDArray[np.int64], day: NDArray[np.int64], usable: NDArray[np.bool_], min_days: int
) -> NDArray[np.int64]:
    """Return the row of the first usable visit at least `min_days` later; n_rows where none."""
    n_rows = len(day)
    if n_rows == 0:
        return np.empty(0, dtype=np.int64)
    low = int(day.min())
    span = (
        int(day.max()) - low + min_days + 1
    )  # so that a later visit never runs into the next code
    _check_span(int(subject[-1]) + 1, span)
    key = subject * span + (day - low)
    candidates = np.flatnonzero(usable)
    found = np.searchsorted(key[candidates], key + min_days)
    row = np.append(candidates, n_rows)[found]
    same = np.append(subject, -1)[row] == subject
    return np.where(same, row, n_rows)


def _check_span(n_subjects: int, span: int) -> None:
    """Refuse days so far apart that subject and day no longer fit one integer key."""
    if n_subjects * span > _LARGEST_KEY:
        raise DesignError(
            f"`day` spans {span} days for {n_subjects} subjects, which is no study. Check the "
            "unit of `day`, or the dates it was made from."
        )
