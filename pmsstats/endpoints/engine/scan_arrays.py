"""What the scan reads and writes: records by visit and subject, plain and compiled alike."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = [
    "EVENT", "FIRST", "FIRST_EITHER", "FIRST_PIRA", "FIRST_RAW", "MULTIPLE", "NO_CLASS", "PIRA",
    "RAW", "RULE", "SUBJECT", "UNDETERMINED", "VISIT", "Days", "Found", "RuleArrays", "Study",
]  # fmt: skip

FIRST, FIRST_EITHER, FIRST_PIRA, FIRST_RAW, MULTIPLE = range(5)
"""Which event ends the search of a subject."""

NO_CLASS, RAW, PIRA, UNDETERMINED = range(4)
"""What relapses have to do with a worsening."""

VISIT = np.dtype(
    [
        ("day", np.int64),
        ("x", np.float64),  # outcome, with its sign such that the rule's direction is up
        ("need", np.float64),  # change up that counts, were this row the baseline
        ("need_opposite", np.float64),  # change down that counts
        ("may_base", np.bool_),  # far enough from relapses to be baseline,
        ("may_start", np.bool_),  # to start an event,
        ("may_confirm", np.bool_),  # and to confirm one
        ("meets", np.bool_),  # conditions on measures
    ],
    align=True,
)
"""A visit, as a rule sees it."""

RULE = np.dtype(
    [
        ("events", np.int64),
        ("worse", np.int64),  # 1 where up is a worsening, else -1
        ("follows_up", np.bool_),  # the baseline moves to confirmed changes up,
        ("follows_down", np.bool_),  # and down,
        ("subthreshold_up", np.bool_),  # also to those below the threshold
        ("subthreshold_down", np.bool_),
        ("any_difference", np.bool_),  # look at every difference from baseline
        ("least_changed", np.bool_),  # a moved baseline has the least changed value of the event
        ("min_from_base", np.float64),  # fewest days from baseline to onset
        ("to_confirmation", np.bool_),  # go on from the confirming visit, else from the onset
        ("after_relapse", np.bool_),  # the baseline moves after relapses
        ("relapse_wait", np.float64),
        ("never_better", np.bool_),
        ("skips_extrema", np.bool_),
        ("skips_all_extrema", np.bool_),
        ("intermediate", np.bool_),
        ("as_at_onset", np.bool_),
        ("sustain_days", np.float64),
        ("impute_within", np.float64),
        ("conditions_hold", np.bool_),  # conditions are also for the visits that confirm
        ("leading", np.bool_),
        ("leading_step", np.float64),
        ("classifies", np.bool_),
        ("raw_before", np.float64),
        ("raw_after", np.float64),
        ("from_last", np.bool_),  # the reference visit is the one before onset,
        ("from_last_unchanged", np.bool_),  # or the last unchanged one; else the baseline
        ("lesion_free", np.bool_),
        ("scan_required", np.bool_),
    ],
    align=True,
)
"""A rule as numbers; up is its direction, down the opposite one."""

EVENT = np.dtype(
    [
        ("sense", np.int64),  # 1 up, -1 down
        ("relapse_class", np.int64),
        ("imputed", np.bool_),
        ("reference", np.int64),  # row of the baseline
        ("reference_x", np.float64),  # its value, signed as in VISIT
        ("confirmed", np.int64),  # first confirming row
        ("held", np.int64),  # last row of the unbroken run
        ("unchanged", np.int64),  # last row from which the event is a change
        ("left", np.int64),  # last row before onset without the change
    ],
    align=True,
)
"""A confirmed change; -1 stands for no row."""

SUBJECT = np.dtype(
    [
        ("start", np.int64),  # first row that may be baseline
        ("event", np.int64),  # onset row of the event that counts
        ("left", np.int64),  # last row without a change up from the last baseline
        ("is_open", np.bool_),  # whether the last row shows one
    ],
    align=True,
)
"""What follows for a subject; -1 stands for no row."""


class Days(NamedTuple):
    """Days of relapses or scans: those of subject i are ``day[offsets[i]:offsets[i + 1]]``.

    Parameters
    ----------
    offsets : ndarray of int, shape (n_subjects + 1,)
        Where each subject's days begin.
    day : ndarray of int, shape (n_days,)
        Study days, ascending within a subject.
    active : ndarray of bool, shape (n_days,)
        Of scans: whether there were new lesions; true for relapses.
    """

    offsets: np.ndarray
    day: np.ndarray
    active: np.ndarray


class Study(NamedTuple):
    """Data as a rule sees them.

    Parameters
    ----------
    visits : recarray of type VISIT, shape (n_rows,)
        Of all subjects, sorted by subject and day.
    since, until : ndarray of float, shape (n_rows,)
        Days since the last relapse at or before each visit, and until the next at or after it.
    systems : ndarray of float, shape (n_rows, n_systems)
        Functional systems that the rule names.
    relapses, scans : Days
        Those of each subject.
    """

    visits: np.ndarray
    since: np.ndarray
    until: np.ndarray
    systems: np.ndarray
    relapses: Days
    scans: Days


class RuleArrays(NamedTuple):
    """A rule as numbers and days.

    Parameters
    ----------
    fields : recarray of type RULE, shape (1,)
        What is one number each.
    windows : ndarray of float, shape (n_windows, 2)
        First and last day of each confirmation window.
    opposite_windows : ndarray of float, shape (0 or 1, 2)
        The same for changes down, where they have a window of their own.
    free : ndarray of float, shape (3, 2)
        Days before and after reference visit, onset and confirmation without relapse, NaN where
        two intervals are one.
    lesions : ndarray of float, shape (2, 2)
        Days before and after onset and confirmation without new lesions.
    """

    fields: np.ndarray
    windows: np.ndarray
    opposite_windows: np.ndarray
    free: np.ndarray
    lesions: np.ndarray


class Found(NamedTuple):
    """What the scan finds.

    Parameters
    ----------
    subjects : recarray of type SUBJECT, shape (n_subjects,)
        What follows for each subject.
    place : ndarray of int, shape (n_rows,)
        At the onset row of an event its place in the next two, else -1.
    events : recarray of type EVENT, shape (n_rows,)
        The events; places that no row names hold nothing.
    windows : ndarray of int, shape (n_rows, n_windows, 2)
        The first row that confirms an event in each window, at all and as independent of relapses;
        -1 for none.
    """

    subjects: np.ndarray
    place: np.ndarray
    events: np.ndarray
    windows: np.ndarray
