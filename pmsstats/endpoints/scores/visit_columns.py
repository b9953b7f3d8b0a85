"""Columns of a visits table: there, once, and numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pmsstats.errors import DesignError, first_ids, nearest

__all__ = ["KEYS", "number_column", "require_visits"]

KEYS = ("subject_id", "day")
"""What tells one visit from another."""


def require_visits(visits: pd.DataFrame, columns: Sequence[str] = ()) -> None:
    """Refuse what is no visits table with the columns that a score needs.

    Parameters
    ----------
    visits : pandas.DataFrame
        One row per subject and visit.
    columns : sequence of str
        What is needed besides ``subject_id`` and ``day``.

    Raises
    ------
    DesignError
        If it is no frame, a column is absent or stands there twice, or a row has no subject or
        no day.
    """
    if not isinstance(visits, pd.DataFrame):
        raise DesignError(
            f"`visits` must be a data frame with one row per visit, got "
            f"{type(visits).__name__}. Of a cohort, hand on `cohort.visits`."
        )
    names = [str(name) for name in visits.columns]
    for name in (*KEYS, *columns):
        if names.count(name) != 1:
            found = "no column" if name not in names else f"{names.count(name)} columns"
            raise DesignError(
                f"`visits` must have one column {name!r}, but has {found} of that name."
                f"{nearest(name, names)} It has: {first_ids(names, show=12)}."
            )
    unknown = visits["subject_id"].isna() | visits["day"].isna()
    if unknown.any():
        raise DesignError(
            f"{int(unknown.sum())} row(s) of `visits` have no subject_id or no day (first: row "
            f"{visits.index[unknown][0]!r}). Drop them, or fill them in."
        )


def number_column(visits: pd.DataFrame, name: str) -> NDArray[np.float64]:
    """Return a column as numbers.

    Parameters
    ----------
    visits : pandas.DataFrame
        One row per visit.
    name : str
        A column of numbers; missing values allowed.

    Returns
    -------
    ndarray, shape (n_visits,)
        NaN where missing.

    Raises
    ------
    DesignError
        If the column does not hold numbers, or holds an infinite one.
    """
    column = visits[name]
    kind = column.dtype
    if column.isna().all():
        return np.full(len(column), np.nan)
    if not pd.api.types.is_numeric_dtype(kind) or pd.api.types.is_bool_dtype(kind):
        raise DesignError(
            f"Column {name!r} of `visits` must hold numbers, but is of type {kind} (first value: "
            f"{column.dropna().iloc[0]!r}). Convert it, and codes for missing values, first."
        )
    values: NDArray[np.float64] = column.to_numpy(dtype=float, na_value=np.nan)
    if np.isinf(values).any():
        raise DesignError(
            f"Column {name!r} of `visits` holds {int(np.isinf(values).sum())} infinite value(s), "
            f"of {first_ids(visits.loc[np.isinf(values), 'subject_id'])}. Leave them out."
        )
    return values
