"""Reshape visits: one row per value, one row per subject, one row per day."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError, SchemaError, first_ids, nearest

__all__ = ["merge_same_day", "to_long", "to_wide", "visit_matrix"]

_KEYS = ("subject_id", "day")


def to_long(
    visits: pd.DataFrame, measures: Sequence[str], *, keep_missing: bool = True
) -> pd.DataFrame:
    """Stack measures: one row per subject, visit and measure.

    Parameters
    ----------
    visits : pandas.DataFrame
        ``subject_id day``, the measures, and any further columns, which are repeated.
    measures : sequence of str
        Columns to stack.
    keep_missing : bool, default True
        Keep rows without a value, so that :func:`to_wide` gives the visits back.

    Returns
    -------
    pandas.DataFrame
        The other columns, then ``measure`` (ordered as given) and ``value``; sorted as the visits
        are, measures of a visit together.

    Raises
    ------
    SchemaError
        If a measure is no column of the visits.

    Examples
    --------
    >>> visits = pd.DataFrame({"subject_id": ["S1"], "day": [0], "edss": [4.0], "sdmt": [51.0]})
    >>> to_long(visits, ["edss", "sdmt"])
      subject_id  day measure  value
    0         S1    0    edss    4.0
    1         S1    0    sdmt   51.0
    """
    _require(visits, [*_KEYS, *measures])
    others = [c for c in visits.columns if c not in set(measures)]
    long = visits[others].loc[visits.index.repeat(len(measures))].reset_index(drop=True)
    codes = np.tile(np.arange(len(measures)), len(visits))
    long["measure"] = pd.Categorical.from_codes(codes, categories=list(measures), ordered=True)
    long["value"] = visits[list(measures)].to_numpy(dtype=float).ravel()
    return long if keep_missing else long[long["value"].notna()].reset_index(drop=True)


def to_wide(long: pd.DataFrame, *, measure: str = "measure", value: str = "value") -> pd.DataFrame:
    """Spread measures: the inverse of :func:`to_long`.

    Parameters
    ----------
    long : pandas.DataFrame
        ``subject_id day``, a column that names the measure, and its value; any further column
        must be the same for all measures of a subject's day.
    measure : str, default "measure"
        Column that names the measure.
    value : str, default "value"
        Column of values.

    Returns
    -------
    pandas.DataFrame
        One row per subject and day, sorted by both; measures in category order, or as met.

    Raises
    ------
    SchemaError
        If a column is missing.
    DesignError
        If a subject has a measure twice on a day, or a further column varies within a day.
    """
    _require(long, [*_KEYS, measure, value])
    _refuse_repeats(long, [*_KEYS, measure], "have the same measure twice on one day")
    others = [c for c in long.columns if c not in {measure, value}]
    rows = long[others].drop_duplicates()
    _refuse_repeats(rows, list(_KEYS), "have further columns that differ within a day")
    names = _levels(long[measure])
    spread = long.set_index([*_KEYS, measure])[value].unstack(measure)[names]  # noqa: PD010
    spread.columns = [str(name) for name in names]
    wide = rows.merge(spread.reset_index(), on=list(_KEYS), how="left", validate="1:1")
    return wide.sort_values(list(_KEYS), kind="stable").reset_index(drop=True)


def visit_matrix(visits: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Lay one measure out with a row per subject and a column per visit label.

    Parameters
    ----------
    visits : pandas.DataFrame
        ``subject_id visit`` and the measure. Visits without a label are left out.
    measure : str
        Column to lay out.

    Returns
    -------
    pandas.DataFrame
        Index ``subject_id``, sorted; one column per visit label, in order; missing where a subject
        has no such visit.

    Raises
    ------
    SchemaError
        If a column is missing.
    DesignError
        If a subject has several visits of one label.
    """
    _require(visits, ["subject_id", "visit", measure])
    labelled = visits[visits["visit"].notna()]
    _refuse_repeats(labelled, ["subject_id", "visit"], "repeat a visit label")
    names = _levels(labelled["visit"])
    matrix = labelled.set_index(["subject_id", "visit"])[measure]
    spread = matrix.unstack("visit")  # noqa: PD010 (pivot cannot keep the order of labels)
    return spread.reindex(columns=names).sort_index()


def merge_same_day(visits: pd.DataFrame) -> pd.DataFrame:
    """Merge rows of the same subject and day that complete each other.

    Parameters
    ----------
    visits : pandas.DataFrame
        ``subject_id day`` and any other columns, for example the rows of a clinic and of a scanner.

    Returns
    -------
    pandas.DataFrame
        One row per subject and day, sorted by both, with the value that any of the rows has.

    Raises
    ------
    SchemaError
        If rows of one day contradict each other: nothing is averaged or chosen silently.

    Examples
    --------
    >>> visits = pd.DataFrame(
    ...     {
    ...         "subject_id": ["S1", "S1"],
    ...         "day": [0, 0],
    ...         "edss": [4.0, None],
    ...         "brain_ml": [None, 1402.0],
    ...     }
    ... )
    >>> merge_same_day(visits)
      subject_id  day  edss  brain_ml
    0         S1    0   4.0    1402.0
    """
    _require(visits, _KEYS)
    days = visits.groupby(list(_KEYS), sort=True, observed=True)
    n_values = days.nunique()
    contradicting = n_values.columns[(n_values > 1).any()]
    if len(contradicting):
        column = contradicting[0]
        ids = n_values.index[n_values[column] > 1].get_level_values("subject_id")
        raise SchemaError(
            f"Rows of the same subject and day differ in {', '.join(map(repr, contradicting))}: "
            f"{column!r} for {len(ids)} day(s) of {first_ids(ids)}. Keep the right row of each."
        )
    return days.first().reset_index()[list(visits.columns)]


def _require(frame: pd.DataFrame, columns: Sequence[str]) -> None:
    """Refuse frames that lack a column."""
    for column in columns:
        if column not in frame.columns:
            raise SchemaError(
                f"The frame has no column {column!r}.{nearest(column, frame.columns)} "
                f"It has: {', '.join(map(str, frame.columns))}."
            )


def _refuse_repeats(frame: pd.DataFrame, keys: list[str], what: str) -> None:
    """Refuse frames that repeat a key."""
    repeated = frame.duplicated(keys)
    if repeated.any():
        ids = frame.loc[repeated, "subject_id"]
        raise DesignError(
            f"Rows must be unique by {', '.join(keys)}, but {ids.nunique()} subject(s) {what} "
            f"({first_ids(ids)}). Merge or correct them first, see merge_same_day."
        )


def _levels(column: pd.Series) -> list[str]:
    """Return the values that occur, in category order, else as met."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        present = set(column.dropna())
        return [c for c in column.cat.categories if c in present]
    return list(dict.fromkeys(column.dropna()))
