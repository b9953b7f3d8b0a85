"""Checks that all survival data pass, and the counting of the rows that they leave out."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError, first_ids, nearest
from pmsstats.results import Exclusion, exclude

__all__ = [
    "Rows",
    "as_subjects",
    "at_least_two",
    "check_bounds",
    "check_conf_level",
    "check_duration",
    "check_event",
    "check_intervals",
    "check_one_row",
    "check_time",
    "groups_of",
    "require_columns",
]


class Rows:
    """A frame from which rows are dropped for stated reasons; local to one preparation.

    Parameters
    ----------
    data : pandas.DataFrame
        What a user gave; not modified.
    stage : str
        The step, as exclusions name it: ``"Kaplan-Meier"``.
    subject : str
        Column of subjects; where it is absent, rows are numbered from 1.

    Attributes
    ----------
    frame : pandas.DataFrame
        Rows that are left.
    subject : pandas.Series of str
        Whose they are.
    exclusions : tuple of Exclusion
        What was left out, in rows.
    """

    def __init__(self, data: pd.DataFrame, stage: str, subject: str) -> None:
        self.frame = data.reset_index(drop=True)
        self.stage = stage
        ids = self.frame[subject] if subject in self.frame else self.frame.index + 1
        self.subject = pd.Series(np.asarray(ids).astype(str), index=self.frame.index)
        self.exclusions: tuple[Exclusion, ...] = ()

    def drop(self, mask: pd.Series, reason: str) -> None:
        """Leave out rows, counted.

        Parameters
        ----------
        mask : pandas.Series of bool
            Aligned with :attr:`frame`; True for what goes.
        reason : str
            One plain clause.
        """
        if not mask.any():
            return
        self.exclusions += exclude(self.stage, "row", reason, self.subject[mask])
        self.frame, self.subject = self.frame[~mask], self.subject[~mask]

    def forbid(self, mask: pd.Series, problem: str, remedy: str) -> None:
        """Raise if any row of a mask is set.

        Parameters
        ----------
        mask : pandas.Series of bool
            Aligned with :attr:`frame`; True for what must not be.
        problem, remedy : str
            Beginning of the message, and what to do.

        Raises
        ------
        DesignError
            Counting rows and subjects.
        """
        if mask.any():
            ids = self.subject[mask]
            raise DesignError(
                f"{problem} in {len(ids)} row(s) of {ids.nunique()} subject(s) "
                f"({first_ids(ids)}). {remedy}"
            )


def require_columns(data: pd.DataFrame, named: Iterable[tuple[str, str]]) -> None:
    """Raise unless every argument names a column.

    Parameters
    ----------
    data : pandas.DataFrame
        What a user gave.
    named : iterable of (str, str)
        Pairs of argument and column.

    Raises
    ------
    DesignError
        Naming the argument, and the column that comes closest.
    """
    for argument, column in named:
        if column not in data.columns:
            raise DesignError(
                f"`{argument}` names {column!r}, which is no column of the data."
                f"{nearest(column, data.columns)} They have: {', '.join(map(str, data.columns))}."
            )


def check_event(rows: Rows, column: str) -> None:
    """Turn the event column to bool; rows without it are left out.

    Parameters
    ----------
    rows : Rows
        Changed in place.
    column : str
        True/False or 1/0.

    Raises
    ------
    DesignError
        If other values occur.
    """
    rows.drop(rows.frame[column].isna(), f"{column} missing")
    values = rows.frame[column]
    if not values.isin([0, 1]).all():
        odd = values[~values.isin([0, 1])].tolist()[0]
        raise DesignError(
            f"Column {column!r} must be True/False or 1/0 (1 = the event happened), found {odd!r}. "
            "Recode it."
        )
    rows.frame = rows.frame.assign(**{column: values.astype(bool)})


def check_time(rows: Rows, column: str) -> None:
    """Turn a time column to float; rows without it are left out, infinite ones refused.

    Parameters
    ----------
    rows : Rows
        Changed in place.
    column : str
        Times, in any unit.

    Raises
    ------
    DesignError
        If the column holds no numbers, or infinite ones.
    """
    values = _numbers(rows.frame[column], column)
    rows.frame = rows.frame.assign(**{column: values})
    rows.drop(values.isna(), f"{column} missing")
    rows.forbid(
        np.isinf(rows.frame[column]), f"Infinite `{column}`", "End follow-up at a finite time."
    )


def _numbers(given: pd.Series, column: str) -> pd.Series:
    """Return a column as float; refuse what is no number."""
    values = pd.to_numeric(given, errors="coerce") if given.dtype == object else given
    is_number = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    if not is_number or (values.isna() & given.notna()).any():
        raise DesignError(
            f"Column {column!r} must hold numbers (a time), found {given.dtype} such as "
            f"{given.dropna().tolist()[:1]}. Convert it to days or years first."
        )
    return pd.Series(values.to_numpy(dtype=float, na_value=np.nan), index=given.index)


def check_duration(rows: Rows, duration: str, event: str) -> None:
    """Refuse negative durations; leave out those of length zero.

    Parameters
    ----------
    rows : Rows
        Changed in place.
    duration : str
        Column of follow-up times from 0.
    event : str
        Column checked before: bool, or codes of causes with 0 for none.

    Raises
    ------
    DesignError
        If a duration is negative, infinite or no number.
    """
    check_time(rows, duration)
    rows.forbid(
        rows.frame[duration] < 0,
        f"Negative `{duration}`",
        "An event before entry is none of this follow-up: leave such subjects out.",
    )
    zero = rows.frame[duration] == 0
    rows.drop(zero & ~rows.frame[event].astype(bool), "no follow-up (duration 0)")
    zero = rows.frame[duration] == 0
    rows.drop(zero, "event at time 0, before any follow-up")


def check_intervals(rows: Rows, start: str, stop: str) -> None:
    """Refuse empty, reversed and overlapping intervals.

    Parameters
    ----------
    rows : Rows
        Changed in place.
    start, stop : str
        Columns of the interval (start, stop] over which a row is at risk.

    Raises
    ------
    DesignError
        Counting rows and subjects.
    """
    check_time(rows, start)
    check_time(rows, stop)
    rows.forbid(
        rows.frame[stop] <= rows.frame[start],
        f"`{stop}` not after `{start}`",
        "Each row is at risk over (start, stop]; merge or leave out intervals without length.",
    )
    order = pd.DataFrame(
        {"subject": rows.subject, "start": rows.frame[start], "stop": rows.frame[stop]}
    ).sort_values(["subject", "start", "stop"])
    before = order.groupby("subject", sort=False)["stop"].shift()
    overlapping = (order["start"] < before).reindex(rows.frame.index)
    rows.forbid(
        overlapping, "Overlapping intervals", "A subject is at risk in one row at any one time."
    )


def check_one_row(rows: Rows, cluster: str | None = None) -> None:
    """Refuse repeated subjects in right-censored data without a cluster.

    Parameters
    ----------
    rows : Rows
        Checked, not changed.
    cluster : str, optional
        With one, rows may repeat a subject.

    Raises
    ------
    DesignError
        Counting rows and subjects.
    """
    if cluster is None:
        rows.forbid(
            rows.subject.duplicated(keep=False),
            "More than one row per subject",
            "Give a Cox model `start` and `stop` for time-varying data, or a `cluster`.",
        )


def at_least_two(rows: Rows, what: str) -> None:
    """Refuse data in which nobody can be compared.

    Parameters
    ----------
    rows : Rows
        After all exclusions.
    what : str
        Subject of the message: ``"A Cox model"``.

    Raises
    ------
    DesignError
        If fewer than two subjects are left, with what was left out before.
    """
    n = rows.subject.nunique()
    if n < 2:
        left_out = sum(e.n for e in rows.exclusions)
        raise DesignError(
            f"{what} needs at least two subjects, found {n}"
            f"{f' after {left_out} row(s) were left out' if left_out else ''}. "
            f"{'; '.join(f'{e.n}: {e.reason}' for e in rows.exclusions)}".rstrip()
        )


def groups_of(frame: pd.DataFrame, by: str | None) -> pd.Categorical:
    """Return the groups that occur, in their order, labelled with text.

    Parameters
    ----------
    frame : pandas.DataFrame
        Rows without a missing group.
    by : str or None
        Column of groups; with None all rows form the group ``"all"``.

    Returns
    -------
    pandas.Categorical
        Ordered; a categorical column keeps the order of its categories, others are sorted.
    """
    if by is None:
        return pd.Categorical(["all"] * len(frame), ordered=True)
    values = frame[by]
    if isinstance(values.dtype, pd.CategoricalDtype):
        levels = [c for c in values.cat.categories if (values == c).any()]
    else:
        levels = sorted(values.unique())
    return pd.Categorical(
        values.astype(str), categories=[str(level) for level in levels], ordered=True
    )


def as_subjects(exclusions: Iterable[Exclusion]) -> tuple[Exclusion, ...]:
    """Count subjects, in data with one row per subject.

    Parameters
    ----------
    exclusions : iterable of Exclusion
        In rows.

    Returns
    -------
    tuple of Exclusion
        The same, in subjects.
    """
    return tuple(
        Exclusion(stage=e.stage, unit="subject", reason=e.reason, n=e.n, subject_ids=e.subject_ids)
        for e in exclusions
    )


def check_entry(rows: Rows, entry: str, duration: str) -> None:
    """Check delayed entry: nobody enters after the end of follow-up.

    Parameters
    ----------
    rows : Rows
        Changed in place; `duration` checked before. Rows without `entry`, and those that enter
        when they leave, are left out.
    entry : str
        Column of the time from which a subject is observed, on the scale of `duration`: at risk
        over (entry, duration].
    duration : str
        Column of the end of follow-up.

    Raises
    ------
    DesignError
        If a subject enters after its end of follow-up, or before time 0.
    """
    check_time(rows, entry)
    rows.forbid(rows.frame[entry] < 0, f"Negative `{entry}`", "Time starts at 0: shift the origin.")
    rows.forbid(
        rows.frame[entry] > rows.frame[duration],
        f"`{entry}` after `{duration}`",
        "An event before entry was not observed: leave such subjects out, or correct the times.",
    )
    rows.drop(rows.frame[entry] == rows.frame[duration], f"no follow-up after {entry}")


def check_bounds(rows: Rows, lower: str, upper: str) -> None:
    """Check interval-censored times: the event lies in (lower, upper], or at both if equal.

    Parameters
    ----------
    rows : Rows
        Changed in place: a missing lower becomes 0 and a missing upper infinity. Rows that say
        nothing (from 0 to infinity), and events at time 0, are left out.
    lower, upper : str
        Columns of the last time without the event and the first time with it.

    Raises
    ------
    DesignError
        If a column holds no numbers, a time is negative, `lower` is infinite or above `upper`.
    """
    for column, missing in ((lower, 0.0), (upper, np.inf)):
        values = _numbers(rows.frame[column], column).fillna(missing)
        rows.frame = rows.frame.assign(**{column: values})
        rows.forbid(values < 0, f"Negative `{column}`", "Time starts at 0: shift the origin.")
    low, high = rows.frame[lower], rows.frame[upper]
    rows.forbid(np.isinf(low), f"Infinite `{lower}`", "Give the last visit without the event.")
    rows.forbid(
        low > high,
        f"`{lower}` above `{upper}`",
        "The event lies in (lower, upper]: correct the times, or leave such rows out.",
    )
    rows.drop((low == 0) & np.isinf(high), "no follow-up (from 0 to infinity)")
    rows.drop(rows.frame[upper] == 0, "event at time 0, before any follow-up")


def check_conf_level(conf_level: float) -> None:
    """Raise unless a level lies between 0 and 1.

    Parameters
    ----------
    conf_level : float
        As a user gave it.

    Raises
    ------
    DesignError
        Showing it.
    """
    if not 0 < conf_level < 1:
        raise DesignError(f"`conf_level` must lie between 0 and 1, got {conf_level!r}.")


def check_cause(rows: Rows, column: str, censored: str | int | None = None) -> tuple[str, ...]:
    """Turn a column of causes to codes: 0 for censored, 1, 2, ... for the causes.

    Parameters
    ----------
    rows : Rows
        Changed in place; rows without a cause are left out (missing is not censored).
    column : str
        How follow-up ended: numbers or text.
    censored : str or int, optional
        The value that means "no event until then". By default 0 (or False) among numbers,
        ``"censored"`` among text.

    Returns
    -------
    tuple of str
        Labels of the causes that occur; code 1 is the first. A categorical column keeps the order
        of its categories, others are sorted.

    Raises
    ------
    DesignError
        If no cause occurs, or a text column has no level ``"censored"`` and `censored` does not
        say which one means it.
    """
    rows.drop(rows.frame[column].isna(), f"{column} missing")
    values = rows.frame[column]
    is_number = pd.api.types.is_numeric_dtype(values)
    labels = {v: f"{v:g}" if is_number else str(v) for v in _levels(values)}
    none = str(censored) if censored is not None else "0" if is_number else "censored"
    if censored is None and not is_number and none not in labels.values():
        raise DesignError(
            f"Column {column!r} has no level 'censored', only "
            f"{', '.join(map(repr, labels.values()))}. Say with `censored` which of them means "
            "that no event was seen."
        )
    causes = tuple(label for label in labels.values() if label != none)
    if not causes:
        raise DesignError(
            f"Column {column!r} names no cause: all {len(values)} row(s) are censored. Check the "
            "column, or `censored`."
        )
    code = {v: causes.index(label) + 1 if label != none else 0 for v, label in labels.items()}
    rows.frame = rows.frame.assign(**{column: values.map(code).astype(int)})
    return causes


def _levels(values: pd.Series) -> list[object]:
    """Return the values that occur, in the order of their categories, or sorted."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        return [c for c in values.cat.categories if (values == c).any()]
    return sorted(values.unique(), key=str if values.dtype == object else None)
