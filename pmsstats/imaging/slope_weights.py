"""Slopes per group and their differences, as combinations of a model's fixed effects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pmsstats.models.margins import DAYS_PER_YEAR
from pmsstats.models.reference_grid import ReferenceGrid

if TYPE_CHECKING:
    from pmsstats.models.lmm import LMMResult

__all__ = ["slope_weights"]

_LINEAR = 1e-8  # share of the change that a straight line may miss by rounding


def slope_weights(
    fit: LMMResult, *, by: str | None, time: str = "year"
) -> tuple[list[str], np.ndarray]:
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
    terms : list of str
        Groups (``"all"`` without `by`), then ``"active - placebo"``.
    weights : ndarray, shape (n_terms, p)
        Combinations of the fixed effects.

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
    rate = DAYS_PER_YEAR if time == "day" else 1.0
    slopes = fit.design.contrasts(rise) / (ends[1] - ends[0]) * rate
    groups = [str(group) for group in grid.groups]
    pairs = [f"{group} - {groups[0]}" for group in groups[1:]]
    return [*groups, *pairs], np.vstack([slopes, slopes[1:] - slopes[0]])
