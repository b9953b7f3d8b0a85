"""One timed test of its trials, with every decision that was taken on the way."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pmsstats.endpoints.scores.task_failure import TASK_LIMITS_S, task_failure_convention
from pmsstats.endpoints.scores.timed_test_spec import TimedTestSpec, plain_code
from pmsstats.errors import DesignError, first_ids

__all__ = ["Change", "CombinedTrials", "changes_table", "combine_trials"]

_UNUSUAL_CODES = (777.0, 888.0, 999.0)


@dataclass(frozen=True, kw_only=True)
class Change:
    """Values that needed the same decision.

    Parameters
    ----------
    measure : str
        The test.
    column : str
        The trial; empty for a decision about the whole test.
    reason : str
        The decision.
    where : ndarray of bool, shape (n_visits,)
        Which visits.
    recorded : ndarray of object, shape (n_visits,)
        What stands in the data.
    value : ndarray, shape (n_visits,)
        What it counts now, in seconds.
    """

    measure: str
    column: str
    reason: str
    where: NDArray[np.bool_]
    recorded: NDArray[np.object_]
    value: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class CombinedTrials:
    """One test at every visit.

    Parameters
    ----------
    value : ndarray, shape (n_visits,)
        Seconds; NaN where there is no result.
    failed : ndarray of bool, shape (n_visits,)
        Whether the value stands, wholly or in part, for trials that could not be done.
    changes : tuple of Change
        What was decided.
    """

    value: NDArray[np.float64]
    failed: NDArray[np.bool_]
    changes: tuple[Change, ...]


@dataclass(frozen=True, kw_only=True)
class _Trials:
    """The trials of a test as they were read, shape (n_visits, n_trials)."""

    measure: str
    columns: tuple[str, ...]
    times: NDArray[np.float64]
    failed: NDArray[np.bool_]


def _read(
    visits: pd.DataFrame, column: str, spec: TimedTestSpec
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return times, missing where there is none, and which trials failed."""
    cells = visits[column]
    if pd.api.types.is_numeric_dtype(cells.dtype) and not pd.api.types.is_bool_dtype(cells.dtype):
        times = cells.to_numpy(dtype=float, na_value=np.nan)
        failed = np.zeros(len(times), dtype=bool)
    else:
        text = cells.astype("string").str.strip().str.casefold()
        failed = text.isin([plain_code(t) for t in spec.failure_texts]).to_numpy(dtype=bool)
        missing = (text.isna() | text.isin([plain_code(t) for t in spec.missing_texts])).to_numpy()
        read = pd.to_numeric(text.mask(failed | missing).astype(object), errors="coerce")
        times = read.to_numpy(dtype=float)
        unread = ~failed & ~missing & np.isnan(times)
        _refuse(visits, column, unread, "neither a time in seconds (decimal point) nor a text that "
                "`failure_texts` or `missing_texts` explains")  # fmt: skip
    failed = failed | np.isin(times, spec.failure_codes)
    times = np.where(failed | np.isin(times, spec.missing_codes), np.nan, times)
    wrong = (times <= 0) | np.isinf(times)
    _refuse(visits, column, wrong, "no time above 0; if it is a code, give it in `failure_codes` "
            "or `missing_codes`")  # fmt: skip
    return times, failed


def _refuse(visits: pd.DataFrame, column: str, wrong: NDArray[np.bool_], what: str) -> None:
    """Refuse cells, naming the first of them and whose they are."""
    if wrong.any():
        raise DesignError(
            f"{int(wrong.sum())} value(s) in column {column!r} are {what}: "
            f"{visits[column][wrong].iloc[0]!r} of {first_ids(visits['subject_id'][wrong])}."
        )


def combine_trials(
    visits: pd.DataFrame, measure: str, columns: tuple[str, ...], spec: TimedTestSpec
) -> CombinedTrials:
    """Make one test of its trials.

    Parameters
    ----------
    visits : pandas.DataFrame
        One row per visit.
    measure : str
        The test.
    columns : tuple of str
        Its trials.
    spec : TimedTestSpec
        Codes and conventions.

    Returns
    -------
    CombinedTrials
        The test.

    Raises
    ------
    DesignError
        If a cell is neither time, text nor code, or a time is not above 0.
    """
    read = [_read(visits, column, spec) for column in columns]
    trials = _Trials(
        measure=measure,
        columns=columns,
        times=np.column_stack([times for times, _ in read]),
        failed=np.column_stack([failed for _, failed in read]),
    )
    worth = task_failure_convention(spec.failure).value(measure)
    some, done = trials.failed.any(axis=1), (~np.isnan(trials.times)).any(axis=1)
    used = _used(trials, spec, worth)
    counted = ~np.isnan(used)
    number = counted.sum(axis=1)
    value = np.where(counted, used, 0.0).sum(axis=1) / np.where(number > 0, number, np.nan)
    partly = (np.isnan(trials.times) & ~trials.failed).any(axis=1) & (number > 0)
    if spec.one_missing == "missing":
        value = np.where(partly, np.nan, value)
    mixed = _NO_VALUE if spec.one_failed == "average" and np.isnan(worth) else _MIXED
    whole = {mixed[spec.one_failed]: some & done, _PARTLY[spec.one_missing]: partly}
    nothing = np.full(len(visits), "", dtype=object)
    return CombinedTrials(
        value=value,
        failed=(trials.failed & counted).any(axis=1) & ~np.isnan(value),
        changes=(
            *_told_trials(visits, trials, spec),
            *(
                Change(measure=measure, column="", reason=reason, where=where, recorded=nothing,
                       value=value)
                for reason, where in whole.items()
            ),
        ),
    )  # fmt: skip


_MIXED = {
    "average": "one trial failed: mean of the time and the failure",
    "completed_trial": "one trial failed: the completed trial counts",
    "failed": "one trial failed: the failure counts",
}
_NO_VALUE = {"average": "one trial failed and has no value: the completed trial counts"}
_PARTLY = {
    "other_trial": "one trial missing: the other counts",
    "missing": "one trial missing: the test is left out",
}


def _used(trials: _Trials, spec: TimedTestSpec, worth: float) -> NDArray[np.float64]:
    """Return what each trial contributes; missing where it does not."""
    used = np.where(trials.failed, worth, trials.times)
    if spec.one_failed == "completed_trial":
        done = (~np.isnan(trials.times)).any(axis=1, keepdims=True)
        return np.where(done & trials.failed, np.nan, used)
    if spec.one_failed == "failed":
        some = trials.failed.any(axis=1, keepdims=True)
        return np.where(some & ~trials.failed, np.nan, used)
    return used


def _told_trials(visits: pd.DataFrame, trials: _Trials, spec: TimedTestSpec) -> list[Change]:
    """Return the decisions about single trials."""
    convention = task_failure_convention(spec.failure)
    worth = convention.value(trials.measure)
    limit = TASK_LIMITS_S.get(trials.measure, math.inf)
    outcome = "left missing" if math.isnan(worth) else f"{worth:g} s"
    told = []
    for column, times, failed in zip(
        trials.columns, trials.times.T, trials.failed.T, strict=True
    ):  # fmt: skip
        recorded = visits[column].astype(object).to_numpy()
        empty = visits[column].isna().to_numpy() | (visits[column].astype(str) == "").to_numpy()
        code = np.isin(times, _UNUSUAL_CODES)
        decisions = {
            f"could not be done: {outcome} (convention {convention.name})": failed,
            "given as a missing value": np.isnan(times) & ~failed & ~empty,
            f"longer than the limit of {limit:g} s: used as it stands": (times > limit) & ~code,
            "777, 888 or 999, often a code: used as a time": code,
        }
        value = np.where(failed, worth, times)
        told += [
            Change(measure=trials.measure, column=column, reason=reason, where=where,
                   recorded=recorded, value=value)
            for reason, where in decisions.items()
        ]  # fmt: skip
    return told


def changes_table(visits: pd.DataFrame, changes: list[Change]) -> pd.DataFrame:
    """Return the decisions as a frame.

    Parameters
    ----------
    visits : pandas.DataFrame
        One row per visit.
    changes : list of Change
        In the order in which they are listed.

    Returns
    -------
    pandas.DataFrame
        One row per value: ``subject_id day measure column reason recorded value``.
    """
    columns = ["subject_id", "day", "measure", "column", "reason", "recorded", "value"]
    pieces = [
        visits.loc[change.where, ["subject_id", "day"]].assign(
            measure=change.measure,
            column=change.column,
            reason=change.reason,
            recorded=[str(cell) for cell in change.recorded[change.where]],
            value=change.value[change.where],
        )
        for change in changes
        if change.where.any()
    ]
    if not pieces:
        return pd.DataFrame(columns=columns)
    return pd.concat(pieces, ignore_index=True)[columns]
