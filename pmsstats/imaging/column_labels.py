"""Names of columns as formulas want them, and columns as factors of text."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from pmsstats.models.fixed_effects.slope_groups import level_text

__all__ = ["as_labels", "quoted"]


def quoted(name: str) -> str:
    """Write a column name as a formula wants it.

    Parameters
    ----------
    name : str
        Any column.

    Returns
    -------
    str
        In backticks where it is no plain name.

    Examples
    --------
    >>> quoted("year"), quoted("MR Delay")
    ('year', '`MR Delay`')
    """
    return name if name.isidentifier() else f"`{name}`"


def as_labels(column: pd.Series) -> pd.Categorical:
    """Turn a column (of scanners, arms, visits) to a factor of text, whatever it was stored as.

    Parameters
    ----------
    column : pandas.Series
        Numbers, text or a categorical; missing values stay missing.

    Returns
    -------
    pandas.Categorical
        Categories in their own order, else sorted; only those that occur.

    Examples
    --------
    >>> as_labels(pd.Series([3.0, None, 1.0])).categories.tolist()
    ['1', '3']
    """
    present = column.dropna()
    if isinstance(column.dtype, pd.CategoricalDtype):
        levels: Sequence[object] = [c for c in column.cat.categories if c in set(present)]
    else:
        levels = sorted(present.unique().tolist(), key=lambda v: (isinstance(v, str), v))
    names = {level: level_text(level) for level in levels}
    values = [names.get(value) for value in column.tolist()]
    return pd.Categorical(values, categories=list(names.values()))
