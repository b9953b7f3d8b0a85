"""Visits of many trials, from a frame or from arrays, handed out trial by trial."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from pmsstats.endpoints.engine.visit_table import IntArray
from pmsstats.errors import DesignError, SchemaError, first_ids, nearest

__all__ = ["BatchRows", "BatchVisits", "read_arrays", "read_frame"]

KEYS = ("trial", "subject_id", "day")
MOST_DAYS = 36_525


@dataclass(frozen=True, kw_only=True, eq=False)
class BatchRows:
    """Visits of some neighbouring trials.

    Parameters
    ----------
    columns : dict of ndarray, each of shape (n_rows,)
        ``day``, the outcome and the others, sorted by subject and day.
    subject : ndarray of int, shape (n_rows,)
        Codes from 0, ascending through the trials.
    n_subjects : int
        Number of codes.
    relapse_subject, relapse_day : ndarray of int, shape (n_relapses,)
        Their relapses.
    """

    columns: Mapping[str, NDArray[Any]]
    subject: IntArray
    n_subjects: int
    relapse_subject: IntArray
    relapse_day: IntArray


@dataclass(frozen=True, kw_only=True, eq=False)
class BatchVisits:
    """Visits of all trials.

    Parameters
    ----------
    trials : ndarray, shape (n_trials,)
        Labels, ascending.
    subject_labels : ndarray, shape (n_subjects of all trials,)
        Labels, ascending within each trial.
    subject_offsets : ndarray of int, shape (n_trials + 1,)
        Where the subjects of each trial begin.
    row_offsets : ndarray of int, shape (n_trials + 1,)
        Where the visits of each trial begin.
    relapse_subject, relapse_day : ndarray of int, shape (n_relapses,)
        Place of the subject among all, ascending, and study day.
    read_columns : callable
        Gives, for the trials from one number to another (excluded), the columns and the place of
        each row's subject among all.
    """

    trials: NDArray[Any]
    subject_labels: NDArray[Any]
    subject_offsets: IntArray
    row_offsets: IntArray
    relapse_subject: IntArray
    relapse_day: IntArray
    read_columns: Callable[[int, int], tuple[Mapping[str, NDArray[Any]], IntArray]]

    @property
    def n_subjects_by_trial(self) -> IntArray:
        """Number of subjects of each trial."""
        return np.diff(self.subject_offsets)

    def subject_texts(self, trial: int) -> NDArray[np.object_]:
        """Return the subject ids of a trial as texts.

        Parameters
        ----------
        trial : int
            Its place.

        Returns
        -------
        ndarray of object
            Of str.
        """
        start, stop = self.subject_offsets[trial : trial + 2]
        return np.array([str(label) for label in self.subject_labels[start:stop]], dtype=object)

    def parts(self, n_rows: int) -> list[tuple[int, int]]:
        """Cut the trials into neighbouring ones with about so many visits together.

        Parameters
        ----------
        n_rows : int
            Visits in each part; more where a single trial has more.

        Returns
        -------
        list of tuple of int
            First trial of each part, and the one after its last.
        """
        wanted = np.arange(0, self.row_offsets[-1], n_rows)
        starts = np.unique(np.searchsorted(self.row_offsets[:-1], wanted, side="right") - 1)
        edges = [0, *starts[starts > 0].tolist(), len(self.trials)]
        return list(itertools.pairwise(edges))

    def read(self, first: int, stop: int) -> BatchRows:
        """Read some neighbouring trials.

        Parameters
        ----------
        first, stop : int
            From which trial to which (excluded).

        Returns
        -------
        BatchRows
            Their visits and relapses.
        """
        columns, subject = self.read_columns(first, stop)
        low, high = self.subject_offsets[first], self.subject_offsets[stop]
        near = slice(*np.searchsorted(self.relapse_subject, [low, high]))
        return BatchRows(
            columns=columns,
            subject=subject - low,
            n_subjects=int(high - low),
            relapse_subject=self.relapse_subject[near] - low,
            relapse_day=self.relapse_day[near],
        )


def read_frame(visits: pd.DataFrame, outcome: str, relapses: pd.DataFrame | None) -> BatchVisits:
    """Take visits from a frame.

    Parameters
    ----------
    visits : pandas.DataFrame
        One row per visit: ``trial``, ``subject_id``, ``day`` and the outcome.
    outcome : str
        Column of the values.
    relapses : pandas.DataFrame or None
        ``trial``, ``subject_id``, ``day``.

    Returns
    -------
    BatchVisits
        Sorted.

    Raises
    ------
    SchemaError
        If a column is missing.
    DesignError
        If there is no visit, days are no whole numbers, a subject has two visits on one day, or
        relapses belong to nobody.
    """
    _require_columns(visits, "visits", (*KEYS, outcome))
    if visits.empty:
        raise DesignError("`visits` has no row: there is nothing to derive.")
    trial_code, trials = _factorised(visits["trial"])
    subject_code, subjects = _factorised(visits["subject_id"])
    day = _whole_days(visits["day"], "visits")
    order = np.lexsort((day, subject_code, trial_code))
    key = (trial_code * len(subjects) + subject_code)[order]
    new = np.append(True, key[1:] != key[:-1])
    place = np.cumsum(new) - 1
    _refuse_same_day(day[order], new, visits, order)
    sorted_trial = trial_code[order]
    trial_numbers = np.arange(len(trials) + 1)
    at, days = _frame_relapses(relapses, trials, subjects, key[new])

    def read_columns(first: int, stop: int) -> tuple[Mapping[str, NDArray[Any]], IntArray]:
        rows = slice(*np.searchsorted(sorted_trial, [first, stop]))
        return visits.iloc[order[rows]], place[rows]

    return BatchVisits(
        trials=trials,
        subject_labels=subjects[key[new] % len(subjects)],
        subject_offsets=np.searchsorted(sorted_trial[new], trial_numbers),
        row_offsets=np.searchsorted(sorted_trial, trial_numbers),
        relapse_subject=at,
        relapse_day=days,
        read_columns=read_columns,
    )


def read_arrays(
    values: ArrayLike,
    outcome: str,
    day: ArrayLike | None,
    columns: Mapping[str, ArrayLike],
    relapses: pd.DataFrame | None,
) -> BatchVisits:
    """Take visits from arrays.

    Parameters
    ----------
    values : array_like, shape (n_trials, n_subjects, n_visits)
        The outcome, NaN where missing.
    outcome : str
        Its name.
    day : array_like of int
        Study days, of a shape that broadcasts to that of the values.
    columns : mapping of str to array_like
        Other columns, of the same shape as the values.
    relapses : pandas.DataFrame or None
        ``trial`` and ``subject_id`` as numbers from 0, ``day``.

    Returns
    -------
    BatchVisits
        Rows in the order of the arrays, which are not copied.

    Raises
    ------
    DesignError
        If shapes do not fit, days do not ascend, or relapses belong to nobody.
    """
    value = np.asarray(values, dtype=float)
    if value.ndim != 3 or not value.size:
        raise DesignError(
            "`visits` must be a frame, or values of shape (n_trials, n_subjects, n_visits), got "
            f"shape {value.shape}."
        )
    days = _array_days(day, value.shape)
    arrays = {outcome: value}
    for name, column in columns.items():
        arrays[name] = np.asarray(column)
        if arrays[name].shape != value.shape:
            raise DesignError(
                f"`columns` has {name!r} of shape {arrays[name].shape}, but the values have "
                f"{value.shape}. Give one entry for each visit."
            )
    n_trials, n_subjects, n_visits = value.shape
    numbers = np.arange(n_subjects)
    at, relapse_day = _frame_relapses(
        relapses, np.arange(n_trials), numbers, np.arange(n_trials * n_subjects)
    )

    def read_columns(first: int, stop: int) -> tuple[Mapping[str, NDArray[Any]], IntArray]:
        part = {name: array[first:stop].reshape(-1) for name, array in arrays.items()}
        part["day"] = days[first:stop].reshape(-1)
        return part, np.repeat(np.arange(first * n_subjects, stop * n_subjects), n_visits)

    return BatchVisits(
        trials=np.arange(n_trials),
        subject_labels=np.tile(numbers, n_trials),
        subject_offsets=np.arange(n_trials + 1) * n_subjects,
        row_offsets=np.arange(n_trials + 1) * n_subjects * n_visits,
        relapse_subject=at,
        relapse_day=relapse_day,
        read_columns=read_columns,
    )


def _require_columns(frame: pd.DataFrame, table: str, names: tuple[str, ...]) -> None:
    """Refuse a frame that lacks a column."""
    for name in names:
        if name not in frame.columns:
            raise SchemaError(
                f"`{table}` needs a column {name!r}.{nearest(name, frame.columns)} It has: "
                f"{', '.join(str(c) for c in frame.columns)}."
            )


def _factorised(column: pd.Series) -> tuple[IntArray, NDArray[Any]]:
    """Return the place of each label among the sorted ones."""
    code, labels = pd.factorize(column, sort=True)
    if (code < 0).any():
        raise DesignError(
            f"`{column.name}` of `visits` is missing in {int((code < 0).sum())} row(s). Fill it in."
        )
    return code.astype(np.int64), np.asarray(labels)


def _whole_days(column: pd.Series | NDArray[Any], table: str) -> IntArray:
    """Return days as integers, or refuse them."""
    given = pd.Series(column)
    if given.dtype.kind in "bmM":
        raise DesignError(
            f"`day` of `{table}` must be whole numbers of days, but is of type {given.dtype}. "
            "Count days from each subject's baseline."
        )
    number = pd.to_numeric(given, errors="coerce").to_numpy(float, na_value=np.nan)
    bad = ~(number == np.floor(number)) | ~(np.abs(number) <= MOST_DAYS)
    if bad.any():
        found = given.to_numpy(dtype=object)[bad][0]
        raise DesignError(
            f"`day` of `{table}` must be whole numbers, at most {MOST_DAYS} (100 years) from "
            f"baseline, but {int(bad.sum())} row(s) have something else, for example {found!r}."
        )
    return number.astype(np.int64)


def _refuse_same_day(
    day: IntArray, new: NDArray[np.bool_], visits: pd.DataFrame, order: IntArray
) -> None:
    """Refuse two visits of a subject on one day."""
    same = ~new[1:] & (day[1:] == day[:-1])
    if same.any():
        rows = order[1:][same]
        ids = [
            f"{s} in trial {t}"
            for t, s in visits[["trial", "subject_id"]].iloc[rows[:10]].itertuples(index=False)
        ]
        raise DesignError(
            f"`visits` must have one visit per day, but {len(rows)} row(s) repeat one "
            f"({first_ids(ids)}). Keep one of them."
        )


def _array_days(day: ArrayLike | None, shape: tuple[int, ...]) -> IntArray:
    """Return study days of the shape of the values, ascending."""
    if day is None:
        raise DesignError(
            "`day` is needed where `visits` is an array: study days, such as one for each visit."
        )
    days = np.asarray(day)
    whole = _whole_days(days.reshape(-1), "visits").reshape(days.shape)
    if not (np.diff(whole, axis=-1) > 0).all():
        raise DesignError(
            "`day` must ascend from visit to visit (its last axis), but two neighbours do not. "
            "Sort the visits."
        )
    try:
        return np.broadcast_to(whole, shape)
    except ValueError as exc:
        raise DesignError(
            f"`day` of shape {days.shape} does not fit values of shape {shape}. Give one day for "
            "each visit, (n_visits,), or a day for each value."
        ) from exc


def _frame_relapses(
    relapses: pd.DataFrame | None, trials: NDArray[Any], subjects: NDArray[Any], keys: IntArray
) -> tuple[IntArray, IntArray]:
    """Return the place of each relapse's subject among all, ascending, and its day."""
    if relapses is None or relapses.empty:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    _require_columns(relapses, "relapses", KEYS)
    day = _whole_days(relapses["day"], "relapses")
    trial = pd.Index(trials).get_indexer(relapses["trial"])
    subject = pd.Index(subjects).get_indexer(relapses["subject_id"])
    key = np.where((trial < 0) | (subject < 0), -1, trial * len(subjects) + subject)
    place = np.searchsorted(keys, key)
    unknown = (key < 0) | (keys[np.minimum(place, len(keys) - 1)] != key)
    if unknown.any():
        ids = relapses["subject_id"].to_numpy()[unknown]
        raise DesignError(
            f"`relapses` has {int(unknown.sum())} row(s) of subjects without any visit in their "
            f"trial ({first_ids(ids)}). Check `trial` and `subject_id`, or leave them out."
        )
    order = np.lexsort((day, place))
    return place[order].astype(np.int64), day[order]
