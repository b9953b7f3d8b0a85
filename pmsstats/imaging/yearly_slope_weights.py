"""Slopes per group and their differences per year, as combinations of a model's fixed effects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from pmsstats.models.fixed_effects.margins import DAYS_PER_YEAR
from pmsstats.models.fixed_effects.reference_grid import ReferenceGrid
from pmsstats.models.fixed_effects.slope_groups import level_text

if TYPE_CHECKING:
    from pmsstats.models.mixed.lmm import LMMResult

__all__ = ["YearlySlopes", "per_slope_unit", "slope_unit", "yearly_slope_weights"]

_LINEAR = 1e-8  # share of the change that a straight line may miss by rounding
SlopeQuantity = Literal["slope", "difference"]


@dataclass(frozen=True, eq=False, kw_only=True)
class YearlySlopes:
    """Slopes per group and their differences from the first, as weights.

    Parameters
    ----------
    quantity : tuple of {"slope", "difference"}, length n_terms
        What each row is. Labels of groups are free text, so terms do not tell.
    terms : tuple of str, length n_terms
        Groups (``"all"`` without any), then ``"active - placebo"``.
    weights : ndarray, shape (n_terms, p)
        Combinations of the fixed effects.
    """

    quantity: tuple[SlopeQuantity, ...]
    terms: tuple[str, ...]
    weights: np.ndarray

    def estimate(self, fit: LMMResult) -> pd.DataFrame:
        """Estimate them.

        Parameters
        ----------
        fit : LMMResult
            The model that the weights were made for.

        Returns
        -------
        pandas.DataFrame
            ``quantity term estimate std_error [df] statistic p_value conf_low conf_high``.
        """
        table = fit.estimate(list(self.terms), self.weights)
        table.insert(0, "quantity", list(self.quantity))
        return table


def per_slope_unit(time: str) -> float:
    """Return by how much of a time column a slope is given.

    Parameters
    ----------
    time : str
        Time column.

    Returns
    -------
    float
        365.25 for ``day``, as slopes are per year; 1 for ``year`` and any other column.
    """
    return DAYS_PER_YEAR if time == "day" else 1.0


def slope_unit(time: str) -> str:
    """Name what a slope is per.

    Parameters
    ----------
    time : str
        Time column.

    Returns
    -------
    str
        ``"year"`` for ``year`` and ``day``, else ``"unit of month"``.

    Examples
    --------
    >>> slope_unit("day"), slope_unit("month")
    ('year', 'unit of month')
    """
    return "year" if time in ("year", "day") else f"unit of {time}"


def yearly_slope_weights(fit: LMMResult, *, by: str | None, time: str = "year") -> YearlySlopes:
    """Return the slope of each group and its difference from the first, as weights.

    Parameters
    ----------
    fit : LMMResult
        A fitted model whose mean is linear in time.
    by : str, optional
        Column whose groups are told apart.
    time : str, default "year"
        Time column; slopes over ``day`` are given per year.

    Returns
    -------
    YearlySlopes
        Per year; over a column that is neither ``year`` nor ``day``, per unit of it.

    Raises
    ------
    DesignError
        If the mean is not a straight line in `time`.
    """
    grid = ReferenceGrid.of(fit, by, time)
    times = grid.observed()
    ends = np.array([times.min(), times.max()], dtype=float)
    at = [grid.weights(g, [ends[0], ends.mean(), ends[1]]) for g in grid.groups]
    rise = np.vstack([w[2] - w[0] for w in at])
    if any(np.abs(w[1] - (w[0] + w[2]) / 2).max() > _LINEAR * np.abs(r).max()
           for w, r in zip(at, rise, strict=True)):  # fmt: skip
        fit.slopes(by, time=time)  # refuses the curve, with advice
    slopes = fit.design.contrasts(rise) / (ends[1] - ends[0]) * per_slope_unit(time)
    groups = [level_text(group) for group in grid.groups]
    pairs = [f"{group} - {groups[0]}" for group in groups[1:]]
    return YearlySlopes(
        quantity=("slope",) * len(groups) + ("difference",) * len(pairs),
        terms=(*groups, *pairs),
        weights=np.vstack([slopes, slopes[1:] - slopes[0]]),
    )
