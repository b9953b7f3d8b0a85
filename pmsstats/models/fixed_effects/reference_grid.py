"""Reference populations: the covariates at which a model's means and slopes are taken."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError, nearest

if TYPE_CHECKING:
    from pmsstats.models.mixed.lmm_result import LMMResult

__all__ = ["ReferenceGrid", "group_levels", "is_level"]

ALL = "all"
_MAX_GRID = 20_000
_MAX_GROUPS = 12


@dataclass(frozen=True, eq=False)
class ReferenceGrid:
    """The reference population of each group.

    Parameters
    ----------
    fit : LMMResult
        The model.
    time : str
        Time column.
    by : str, optional
        Group column.
    groups : tuple
        Its values; one, standing for everybody, where there is no group column.
    """

    fit: LMMResult
    time: str
    by: str | None
    groups: tuple[Any, ...]

    @classmethod
    def of(cls, fit: LMMResult, by: str | None, time: str) -> ReferenceGrid:
        """Check the columns and list the groups.

        Parameters
        ----------
        fit : LMMResult
            A fitted model.
        by : str, optional
            Group column.
        time : str
            Time column.

        Returns
        -------
        ReferenceGrid
            For that time and those groups.

        Raises
        ------
        DesignError
            If a column is not in the fixed part of the model.
        """
        fixed = fit.design.fixed
        if time not in fixed.numbers:
            times = sorted(fixed.numbers)
            raise DesignError(
                f"The mean of this model does not depend on a number {time!r}, so it has no slope "
                f"over it.{nearest(time, times)} Its formula: {fit.spec.formula()}."
            )
        if by is None:
            return cls(fit, time, None, (ALL,))
        if by not in fixed.variables or by == time:
            options = [name for name in fixed.variables if name != time]
            advice = "" if by == time else f" To let slopes differ, write {time} * {by} in it."
            raise DesignError(
                f"`by` must be a factor of the fixed part, got {by!r}.{nearest(by, options)} The "
                f"fixed part is {fit.spec.fixed}.{advice}"
            )
        return cls(fit, time, by, group_levels(fit, by))

    def rows(self, group: Any, times: Sequence[float]) -> pd.DataFrame:
        """Return the reference rows of one group, at each of some times.

        Parameters
        ----------
        group : object
            One of `groups`.
        times : sequence of float
            In units of the time column.

        Returns
        -------
        pandas.DataFrame
            Times vary slowest; numeric covariates at their mean, all levels of factors.

        Raises
        ------
        DesignError
            If there would be too many combinations.
        """
        fixed = self.fit.design.fixed
        data = self.fit.data
        values: dict[str, Sequence[Any]] = {}
        for name in fixed.variables:
            if name == self.time:
                continue
            if name == self.by:
                values[name] = [group]
            elif name in fixed.levels:
                values[name] = fixed.levels[name]
            else:
                values[name] = [float(data[name].to_numpy(dtype=float).mean())]
        n_rows = len(times) * int(np.prod([len(v) for v in values.values()]))
        if n_rows > _MAX_GRID:
            raise DesignError(
                f"The reference population would have {n_rows} combinations of factor levels. "
                "Use fewer factors in the fixed part."
            )
        made = list(itertools.product(times, *values.values()))
        return pd.DataFrame(made, columns=[self.time, *values])

    def weights(self, group: Any, times: Sequence[float]) -> np.ndarray:
        """Return the design columns of one group's mean.

        Parameters
        ----------
        group : object
            One of `groups`.
        times : sequence of float
            In units of the time column.

        Returns
        -------
        ndarray, shape (n_times, n_columns)
            Averaged over the reference rows, with equal weight.
        """
        full = self.fit.design.fixed.matrix(self.rows(group, times)).to_numpy()
        means: np.ndarray = full.reshape(len(times), -1, full.shape[1]).mean(axis=1)
        return means

    def observed(self, group: Any = ALL) -> np.ndarray:
        """Return the times observed in a group.

        Parameters
        ----------
        group : object
            One of `groups`; everybody by default.

        Returns
        -------
        ndarray
            One entry per row.
        """
        data = self.fit.data
        mine = data if self.by is None or group is ALL else data[is_level(data[self.by], group)]
        return mine[self.time].to_numpy(dtype=float)

    def baseline_time(self, wanted: float | None) -> float:
        """Return when the baseline mean is taken.

        Parameters
        ----------
        wanted : float, optional
            A time that was asked for.

        Returns
        -------
        float
            By default time 0 where the data reach it, else the first time observed.
        """
        if wanted is not None:
            return float(wanted)
        times = self.observed()
        return 0.0 if times.min() <= 0.0 <= times.max() else float(times.min())


def group_levels(fit: LMMResult, by: str) -> tuple[Any, ...]:
    """List the groups of a column, reference first.

    Parameters
    ----------
    fit : LMMResult
        A fitted model.
    by : str
        A column of its fixed part.

    Returns
    -------
    tuple
        Levels of a factor, or the values of a number.

    Raises
    ------
    DesignError
        If a number has more values than groups can be.
    """
    fixed = fit.design.fixed
    if by in fixed.levels:
        return tuple(fixed.levels[by])
    values = np.unique(fit.data[by].to_numpy(dtype=float))
    if len(values) > _MAX_GROUPS:
        raise DesignError(
            f"`by` must be a column of groups, but {by!r} is a number with {len(values)} values. "
            f"Cut it into classes, or use C({by}) in the formula."
        )
    return tuple(float(v) for v in values)


def is_level(values: pd.Series, level: Any) -> np.ndarray:
    """Say which rows are in a group.

    Parameters
    ----------
    values : pandas.Series
        Group column of the data.
    level : object
        One of :func:`group_levels`; compared as it is shown where nothing equals it.

    Returns
    -------
    ndarray of bool
        One entry per row.
    """
    if isinstance(level, float):
        numbers = pd.to_numeric(values.astype(object), errors="coerce")  # text is no number
        return np.isclose(numbers.to_numpy(dtype=float), level)
    matches: np.ndarray = (values.astype(object) == level).to_numpy(dtype=bool)
    return matches if matches.any() else (values.astype(str) == str(level)).to_numpy(dtype=bool)
