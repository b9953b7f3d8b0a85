"""Over which time slopes are taken, and which groups are compared with which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError, nearest

if TYPE_CHECKING:
    from pmsstats.models.fixed_effects.reference_grid import ReferenceGrid
    from pmsstats.models.mixed.lmm_result import LMMResult

__all__ = ["level_text", "reference_notes", "time_column", "with_reference"]


def time_column(fit: LMMResult, time: str | None) -> str:
    """Return the column over which slopes are taken.

    Parameters
    ----------
    fit : LMMResult
        A fitted model.
    time : str, optional
        What was asked for.

    Returns
    -------
    str
        That column, if one was named. Else ``year`` where the mean depends on it; else the number
        that has a random slope; else ``day``; else the only number that varies within subjects.

    Raises
    ------
    DesignError
        If nothing was named, and none or several could be meant.
    """
    from pmsstats.models.fixed_effects.trajectory_frames import default_time

    if time is not None:
        return time
    numbers = sorted(fit.design.fixed.numbers)
    found = "year" if "year" in numbers else default_time(fit)
    if found is not None:
        return found
    varying = [name for name in numbers if fit.data.groupby(fit.group)[name].nunique().max() > 1]
    if len(varying) != 1:
        advice = f" Name one of {', '.join(varying)}: time=..." if varying else ""
        raise DesignError(
            f"The model {fit.spec.formula()} has no column that is plainly time, so it has no "
            f"slope.{advice} Times must be numbers in the fixed part, such as year."
        )
    return varying[0]


def level_text(level: Any) -> str:
    """Write a group as it is shown: whole numbers without a decimal point.

    Parameters
    ----------
    level : object
        A value of the group column.

    Returns
    -------
    str
        For example ``"1"`` for 1.0.

    Examples
    --------
    >>> level_text(1.0), level_text(0.5), level_text("placebo")
    ('1', '0.5', 'placebo')
    """
    whole = isinstance(level, float | np.floating) and float(level).is_integer()
    return str(int(level)) if whole else str(level)


def with_reference(grid: ReferenceGrid, reference: Any) -> ReferenceGrid:
    """Put the group that the others are compared with first.

    Parameters
    ----------
    grid : ReferenceGrid
        The groups.
    reference : object
        One of them; None for the first.

    Returns
    -------
    ReferenceGrid
        Of the same groups.

    Raises
    ------
    DesignError
        If there is no such group.
    """
    if reference is None:
        return grid
    if grid.by is None:
        raise DesignError(
            f"`reference` names a group, got {reference!r} without groups: give `by`."
        )
    names = [level_text(level) for level in grid.groups]
    if level_text(reference) not in names:
        raise DesignError(
            f"`reference` must be a group of {grid.by}: {', '.join(names)}; got {reference!r}."
            f"{nearest(str(reference), names)}"
        )
    first = grid.groups[names.index(level_text(reference))]
    return replace(grid, groups=(first, *(g for g in grid.groups if g is not first)))


def reference_notes(
    fit: LMMResult, by: str | None, labels: Sequence[str], reference: Any
) -> tuple[str, ...]:
    """Say where a reference group is merely the first in the alphabet.

    Parameters
    ----------
    fit : LMMResult
        A fitted model.
    by : str, optional
        Group column.
    labels : sequence of str
        Its groups, the reference first.
    reference : object
        The one that was asked for; None for none.

    Returns
    -------
    tuple of str
        One sentence, or nothing.
    """
    if by is None or reference is not None or len(labels) < 2 or by in fit.design.fixed.numbers:
        return ()
    kind = fit.data[by].dtype
    if isinstance(kind, pd.CategoricalDtype) or pd.api.types.is_numeric_dtype(kind):
        return ()
    note = (
        f"{labels[0]} is the reference of {by} only because it comes first in the alphabet; choose "
        "with reference=..."
    )
    return (note,)
