"""What of the data of a trial is there at a point in calendar time."""

from __future__ import annotations

import numpy as np

from pmsstats.cohort.coerce import DAYS_PER_YEAR
from pmsstats.cohort.trial_arrays import TrialArrays

__all__ = ["cut_at", "keep_places", "seen_by", "take_replicates"]

_SAME_DAY = 1e-9  # years: what was measured on the day of the cut is there


def thin(array: np.ndarray) -> np.ndarray:
    """Return one row of an array that repeats it, else the array.

    Parameters
    ----------
    array : ndarray, shape (n_replicates, ...)
        Possibly a broadcast view.
    """
    return array[:1] if array.shape[0] > 1 and array.strides[0] == 0 else array


def take_replicates(data: TrialArrays, chosen: np.ndarray) -> TrialArrays:
    """Keep some replicates.

    Parameters
    ----------
    data : TrialArrays
        Of all of them.
    chosen : ndarray of int, shape (n_chosen,)
        Ascending positions.

    Returns
    -------
    TrialArrays
        The data themselves if all were chosen.
    """
    n = data.n_replicates
    if len(chosen) == n:
        return data
    place = np.full(n, -1)
    place[chosen] = np.arange(len(chosen))
    replicate, subject, day = data.relapses
    kept = place[replicate] >= 0
    return data.replace(
        arm=_rows(data.arm, chosen),
        day=data.day if np.ndim(data.day) < 3 else _rows(data.day, chosen),
        values={name: _rows(value, chosen) for name, value in data.values.items()},
        baseline={name: _rows(value, chosen) for name, value in data.baseline.items()},
        exit_day=_rows(data.exit_day, chosen),
        exit_reason=_rows(data.exit_reason, chosen),
        stop_day=_rows(data.stop_day, chosen),
        intercurrent={name: _rows(day, chosen) for name, day in data.intercurrent.items()},
        relapses=(place[replicate[kept]], subject[kept], day[kept]),
        entry_year=None if data.entry_year is None else _rows(data.entry_year, chosen),
    )


def _rows(array: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Return rows of an array, without copying one that repeats its first."""
    if array.shape[0] == 1 and array.ndim == 3:
        return array
    row = thin(array)
    if row is not array:
        return np.broadcast_to(row, (len(chosen), *array.shape[1:]))
    return array[chosen]


def keep_places(data: TrialArrays, kept: np.ndarray) -> TrialArrays:
    """Empty the places of subjects who are not to be there.

    Parameters
    ----------
    data : TrialArrays
        With all places filled.
    kept : ndarray of bool, shape (n_replicates, n_subjects)
        Who stays.

    Returns
    -------
    TrialArrays
        The others have arm -1, and nothing was measured in them.
    """
    if kept.all():
        return data
    values = {name: np.where(kept[..., None], v, np.nan) for name, v in data.values.items()}
    there = kept[data.relapses[0], data.relapses[1]]
    return data.replace(
        arm=np.where(kept, data.arm, np.int8(-1)).astype(np.int8),
        values=values,
        relapses=tuple(part[there] for part in data.relapses),
    )


def seen_by(data: TrialArrays, entry_year: np.ndarray, cut_year: np.ndarray) -> np.ndarray:
    """Say which visits took place by a point in calendar time.

    Parameters
    ----------
    data : TrialArrays
        With days of visits.
    entry_year : ndarray, shape (n_replicates, n_subjects)
        Entries.
    cut_year : ndarray, shape (n_replicates,)
        Calendar time.

    Returns
    -------
    ndarray of bool, broadcasting to (n_replicates, n_subjects, n_visits)
        Whether a visit, if there was one, lies before.
    """
    day = np.asarray(data.day)
    room = _days_until(entry_year, cut_year)
    return day <= room[..., None]


def _days_until(entry_year: np.ndarray, cut_year: np.ndarray) -> np.ndarray:
    """Return days from entry to a point in calendar time."""
    same = bool(np.all(cut_year == cut_year[0]))
    entry = thin(entry_year) if same else entry_year
    cut = cut_year[:1] if same else cut_year
    return (cut[:, None] - entry + _SAME_DAY) * DAYS_PER_YEAR


def cut_at(data: TrialArrays, entry_year: np.ndarray, cut_year: np.ndarray) -> TrialArrays:
    """Keep what is there at a point in calendar time.

    Parameters
    ----------
    data : TrialArrays
        Of the whole trial.
    entry_year : ndarray, shape (n_replicates, n_subjects)
        Entries.
    cut_year : ndarray, shape (n_replicates,)
        Calendar time; infinite for all of it.

    Returns
    -------
    TrialArrays
        Subjects who had not entered have arm -1. Later visits, relapses and ends of treatment are
        not there; who was still in the study leaves it at the cut as if completed.
    """
    if np.all(np.isposinf(cut_year)):
        return data
    shape = data.arm.shape
    room = np.broadcast_to(_days_until(entry_year, cut_year), shape)
    entered = room >= 0
    seen = seen_by(data, entry_year, cut_year)
    replicate, subject, day = data.relapses
    known = day <= room[replicate, subject]
    later = data.exit_day > room
    return data.replace(
        arm=np.where(entered, data.arm, np.int8(-1)).astype(np.int8),
        values={name: np.where(seen, value, np.nan) for name, value in data.values.items()},
        exit_day=np.where(later, np.maximum(room, 0.0), data.exit_day),
        exit_reason=np.where(later, 0, data.exit_reason),
        stop_day=np.where(data.stop_day > room, np.inf, data.stop_day),
        intercurrent={k: np.where(v > room, np.inf, v) for k, v in data.intercurrent.items()},
        relapses=(replicate[known], subject[known], day[known]),
    )
