"""Bring tables of one row per value to one row per visit, and time-to-event tables to subjects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pmsstats.cohort.columns import as_texts
from pmsstats.cohort.issues import concat_issues, flag_rows, no_issues
from pmsstats.cohort.units import conversion_factor
from pmsstats.results import Exclusion, exclude

__all__ = ["Pivoted", "keep_rows", "pivot_parameters", "reduce_to_subjects", "take_events"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Pivoted:
    """A table after a change of layout.

    Parameters
    ----------
    frame : pandas.DataFrame
        The index is the first source row of each row.
    issues : pandas.DataFrame
        Values that contradict each other.
    exclusions : tuple of Exclusion
        Rows that were left out.
    """

    frame: pd.DataFrame
    issues: pd.DataFrame
    exclusions: tuple[Exclusion, ...] = ()


def keep_rows(
    raw: pd.DataFrame, keep: Mapping[str, tuple[str, ...]], *, stage: str, subject: pd.Series
) -> tuple[pd.DataFrame, tuple[Exclusion, ...]]:
    """Keep the rows that are asked for, and count the others.

    Parameters
    ----------
    raw : pandas.DataFrame
        As read.
    keep : mapping of str to tuple of str
        Column of the file to the values that stay (compared as text; ``""`` is missing).
    stage : str
        For the exclusions.
    subject : pandas.Series
        Subject of each row, for the exclusions.

    Returns
    -------
    frame : pandas.DataFrame
        The rows that stay.
    exclusions : tuple of Exclusion
        One for each column that left rows out.
    """
    exclusions: tuple[Exclusion, ...] = ()
    for column, values in keep.items():
        wanted = as_texts(raw[column]).astype(object).fillna("").isin(values)
        reason = f"{column} is not {' or '.join(repr(v) for v in values)}"
        left_out = subject.loc[raw.index[~wanted]]
        exclusions += exclude(stage, "row", reason, left_out.fillna(""))
        raw = raw[wanted]
    return raw, exclusions


def pivot_parameters(
    keys: pd.DataFrame,
    parameter: pd.Series,
    value: pd.Series,
    parameters: Sequence[str],
    *,
    match: str,
    table: str,
) -> Pivoted:
    """Turn one row per value to one row per visit.

    Parameters
    ----------
    keys : pandas.DataFrame
        ``subject_id``, ``day`` or ``date``, optionally ``visit`` and more; one row per value.
    parameter, value : pandas.Series
        What was measured, and its value.
    parameters : sequence of str
        All that occur, in the order of the new columns.
    match : {"day", "visit"}
        What makes rows one visit of a subject. With ``"visit"``, its day is that of its first
        row in time.
    table : str
        For issues.

    Returns
    -------
    Pivoted
        Columns of `keys`, then one for each parameter, named as in the file.
    """
    names = as_texts(parameter).astype(object)
    time = next(column for column in ("day", "year", "date") if column in keys)
    order = np.argsort(_sortable(keys[time]), kind="stable")
    keys, names, value = keys.iloc[order], names.iloc[order], value.iloc[order]
    group = _group(keys, "visit" if match == "visit" and "visit" in keys else time, time)
    issues = _flag_repeated(keys, names, value, group, table)
    frame = keys[~pd.Series(group).duplicated().to_numpy()]
    columns = {name: _column_of(name, names, value, group, len(frame)) for name in parameters}
    wide = frame.assign(**columns).sort_index()
    return Pivoted(frame=wide, issues=issues)


def _group(keys: pd.DataFrame, unit: str, time: str) -> np.ndarray:
    """Give visits running numbers; a row without subject or time is a visit of its own."""
    rows = pd.Series("\0" + keys.index.astype(str), index=keys.index)
    subject = keys["subject_id"].astype(object)
    moment = keys[time].astype(object).where(keys[time].notna(), rows)
    visit = keys[unit].astype(object)
    visit = visit.where(visit.notna(), "\0day " + moment.astype(str)) if unit != time else moment
    first, _ = pd.factorize(subject.where(subject.notna(), rows))
    second, distinct = pd.factorize(visit)
    return pd.factorize(first * np.int64(len(distinct) + 1) + second)[0]


def _sortable(values: pd.Series) -> np.ndarray:
    """Return numbers that sort like a column of days or dates; what is neither sorts last."""
    if values.dtype.kind == "M":
        return values.to_numpy().astype("int64")
    return pd.to_numeric(values, errors="coerce").to_numpy(dtype=float, na_value=np.inf)


def _column_of(
    name: str, names: pd.Series, value: pd.Series, group: np.ndarray, n_groups: int
) -> np.ndarray:
    """Return the values of one parameter, one for each group (the first of several)."""
    own = (names == name).to_numpy()
    groups, first = np.unique(group[own], return_index=True)
    column = np.full(n_groups, None, dtype=object)
    column[groups] = value[own].to_numpy(dtype=object)[first]
    return column


def _flag_repeated(
    keys: pd.DataFrame, names: pd.Series, value: pd.Series, group: np.ndarray, table: str
) -> pd.DataFrame:
    """Report values of which a subject has several of one parameter at one visit."""
    pairs = pd.DataFrame({"group": group, "name": names.to_numpy()})
    repeated = pairs.duplicated(keep=False).to_numpy()
    if not repeated.any():
        return no_issues()
    messages = np.array([f"Parameter {name!r} has several values at this visit." for name in names])
    return flag_rows(
        "repeated_value", "error", keys, repeated, table=table, column="value",
        message=messages, value=value,
    )  # fmt: skip


def reduce_to_subjects(
    frame: pd.DataFrame, take: Mapping[str, str | None], day: pd.Series | None, *, table: str
) -> Pivoted:
    """Reduce a table with several rows per subject to one.

    Parameters
    ----------
    frame : pandas.DataFrame
        ``subject_id`` and subject columns.
    take : mapping of str to {"baseline", "last"}
        Columns that may vary, and the row whose value counts.
    day : pandas.Series, optional
        Day of each row (same index); the order of the rows where it is absent.
    table : str
        For issues.

    Returns
    -------
    Pivoted
        One row per subject: the value of the row asked for, else the first that is not missing;
        columns that vary although they should not are issues.
    """
    order = np.arange(len(frame)) if day is None else np.argsort(_sortable(day), kind="stable")
    ordered = frame.iloc[order]
    ids = ordered["subject_id"].fillna("").to_numpy()
    first = ~pd.Series(ids).duplicated().to_numpy()
    last = ~pd.Series(ids).duplicated(keep="last").to_numpy()
    columns: dict[str, Any] = {}
    issues = []
    for name in frame.columns.drop("subject_id"):
        if take.get(name) is None:
            columns[name] = ordered[name].groupby(ids, sort=False).transform("first")[first]
            issues.append(_flag_varying(frame, name, table))
        else:
            end = last if take[name] == "last" else first
            by_subject = pd.Series(ordered.loc[end, name].array, index=ids[end])
            columns[name] = by_subject.reindex(ids[first]).array
    reduced = ordered.loc[first, ["subject_id"]].assign(**columns)
    return Pivoted(frame=reduced.sort_index(), issues=concat_issues(issues))


def _flag_varying(frame: pd.DataFrame, name: str, table: str) -> pd.DataFrame:
    """Report the rows of subjects for whom a column has several values."""
    values = frame[name].astype(object)
    n_values = values.groupby(frame["subject_id"].fillna("").to_numpy()).transform("nunique")
    return flag_rows(
        "varying_subject_column", "error", frame, n_values.to_numpy() > 1, table=table,
        column=name,
        message=f"{name} has more than one value for this subject. If that is right, say which "
        f'counts: {name} = {{column = "...", take = "baseline"}}.',
    )  # fmt: skip


def take_events(
    raw: pd.DataFrame, subject: pd.Series, *, duration: str, event: str, unit: str, table: str
) -> Pivoted:
    """Turn an ADTTE table to subject columns.

    Parameters
    ----------
    raw : pandas.DataFrame
        With AVAL (time to event or censoring) and CNSR (0 is an event).
    subject : pandas.Series
        Subject of each row.
    duration, event : str
        Names of the columns that are made: whole days, and whether it happened.
    unit : str
        Unit of AVAL.
    table : str
        For issues.

    Returns
    -------
    Pivoted
        ``subject_id`` and the two columns, one row per subject.
    """
    days = pd.to_numeric(raw["AVAL"], errors="coerce") * conversion_factor(unit, "days")
    censored = pd.to_numeric(raw["CNSR"], errors="coerce")
    known = days.notna() & censored.notna()
    frame = pd.DataFrame(
        {"subject_id": subject, duration: days.round(), event: (censored == 0).where(known, None)}
    )
    repeated = flag_rows(
        "repeated_event", "error", frame, frame["subject_id"].duplicated(keep=False), table=table,
        column=event,
        message="This subject has several times to event. Choose one with keep, as in "
        'keep = {PARAMCD = "TTDE"}.',
    )  # fmt: skip
    unreadable = flag_rows(
        "not_a_number", "error", frame, ~known, table=table, column=duration, value=raw["AVAL"],
        message="AVAL and CNSR must both be numbers.",
    )  # fmt: skip
    frame = frame[~frame["subject_id"].duplicated()]
    if known.all():
        frame = frame.astype({duration: np.int64, event: bool})
    return Pivoted(frame=frame, issues=concat_issues([repeated, unreadable]))
