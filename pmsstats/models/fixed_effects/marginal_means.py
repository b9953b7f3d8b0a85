"""Least-squares means of models with fixed effects: per group, in a reference population."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError, nearest
from pmsstats.models.fixed_effects.means_result import Held, MeansResult, Weighting
from pmsstats.models.fixed_effects.reference_grid import group_levels, is_level

if TYPE_CHECKING:
    from pmsstats.models.fixed_effects.fixed_result import FixedEffectsResult

__all__ = ["estimate_means"]

_MAX_GRID = 20_000
_WEIGHTINGS = ("equal", "proportional")


def estimate_means(
    fit: FixedEffectsResult,
    by: str | Sequence[str],
    *,
    at: Held | None = None,
    weights: Weighting = "equal",
) -> MeansResult:
    """Estimate the mean outcome per group, in a reference population that is the same for all.

    Parameters
    ----------
    fit : FixedEffectsResult
        A fitted model: linear mixed (``fit_lmm``) or for repeated measures (``fit_mmrm``).
    by : str or sequence of str
        Columns of the fixed part whose combinations are told apart: factors, numbers with few
        values, or numbers for which `at` lists values.
    at : mapping, optional
        Values at which covariates are held, ``{"year": 2}``; of a factor, the only level used. A
        column of `by` may have several: ``by=("arm", "year"), at={"year": [0, 1, 2]}``.
    weights : {"equal", "proportional"}, default "equal"
        How levels of factors that are not in `by` are averaged over: all alike, as in a balanced
        design, or as often as they (in combination) occur in the rows analysed.

    Returns
    -------
    MeansResult
        One row per combination, and :meth:`MeansResult.differences` between them.

    Raises
    ------
    DesignError
        If a column is not in the fixed part, a value is none of the model's, or there would be
        too many combinations.

    Notes
    -----
    The estimand is ``L beta``, with ``L`` the average of the design rows of a reference grid:
    every combination of the factors' levels, numeric covariates at their mean over the rows
    analysed [1]_ [2]_. Means that the data cannot tell (empty cells) are missing, with a note.

    The same as ``emmeans::emmeans(model, ~ arm * visit, weights = ...)`` in R, except that emmeans
    takes both values of numeric covariates that have only two (``cov.keep = 1`` makes it take the
    mean), and as ``LSMEANS arm*visit / CL`` in SAS PROC MIXED, where ``weights="proportional"`` is
    ``OM`` if one factor is averaged over and ``at`` is ``AT``.

    References
    ----------
    .. [1] Searle SR, Speed FM, Milliken GA. Population marginal means in the linear model: an
       alternative to least squares means. Am Stat 1980;34:216-221.
       doi:10.1080/00031305.1980.10483031.
    .. [2] Lenth RV. Least-squares means: the R package lsmeans. J Stat Softw 2016;69(1).
       doi:10.18637/jss.v069.i01.
    """
    if weights not in _WEIGHTINGS:
        raise DesignError(
            f"`weights` must be one of {', '.join(_WEIGHTINGS)}, got {weights!r}."
            f"{nearest(str(weights), _WEIGHTINGS)}"
        )
    grid = _Grid.of(fit, (by,) if isinstance(by, str) else tuple(by), dict(at or {}))
    contrasts = fit.design.contrasts(grid.average(weights))
    names = [", ".join(map(_shown, row)) for row in grid.cells.itertuples(index=False)]
    table = fit.estimate(names, contrasts)
    for position, name in enumerate(grid.by, start=1):
        table.insert(position, name, grid.cells[name])
    table["n_subjects"] = grid.count_subjects()
    return MeansResult(
        fit=fit,
        by=grid.by,
        at=grid.at,
        weighting=weights,
        means=table,
        contrasts=contrasts,
        averaged=tuple(name for name in grid.others if len(grid.others[name]) > 1),
        held=grid.at_mean(),
        exclusions=fit.exclusions,
    )


def _shown(value: Any) -> str:
    """Write a level or a number."""
    return f"{value:g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True, eq=False)
class _Grid:
    """The reference grid: cells that are told apart, times what is averaged over in each."""

    fit: FixedEffectsResult
    by: tuple[str, ...]
    at: Mapping[str, tuple[Any, ...]]
    cells: pd.DataFrame
    others: Mapping[str, tuple[Any, ...]]

    @classmethod
    def of(cls, fit: FixedEffectsResult, by: tuple[str, ...], at: Mapping[str, Any]) -> _Grid:
        """Check the request, and list the values of every variable."""
        fixed = fit.design.fixed
        _check_names(fit, by, at)
        held = {name: _held(fit, name, value, name in by) for name, value in at.items()}
        told = {name: held.get(name) or group_levels(fit, name) for name in by}
        others: dict[str, tuple[Any, ...]] = {}
        for name in fixed.variables:
            if name in held and name not in by:
                others[name] = held[name]
            elif name in fixed.levels and name not in by:
                others[name] = fixed.levels[name]
            elif name not in by:
                others[name] = (float(fit.data[name].to_numpy(dtype=float).mean()),)
        size = np.prod([float(len(v)) for v in (*told.values(), *others.values())])
        if size > _MAX_GRID:
            raise DesignError(
                f"The reference population would have {size:.0f} combinations of values. Hold "
                "some factors at a level: at={name: level}."
            )
        cells = pd.DataFrame(list(itertools.product(*told.values())), columns=list(by))
        for name in by:
            if name in fixed.levels:
                cells[name] = pd.Categorical(cells[name], categories=told[name], ordered=True)
        return cls(fit, by, held, cells, others)

    def at_mean(self) -> dict[str, float]:
        """Return the numeric covariates that are held at their mean, and that mean."""
        numbers = [n for n in self.others if n not in self.fit.design.fixed.levels]
        return {name: self.others[name][0] for name in numbers if name not in self.at}

    def average(self, weights: Weighting) -> np.ndarray:
        """Average the design rows of each cell: shape (n_cells, n_columns)."""
        combos = list(itertools.product(*self.others.values()))
        rows = pd.DataFrame(
            {
                **{n: np.repeat(self.cells[n].astype(object), len(combos)) for n in self.by},
                **{
                    name: [combo[i] for combo in combos] * len(self.cells)
                    for i, name in enumerate(self.others)
                },
            }
        ).infer_objects()
        full = self.fit.design.fixed.matrix(rows.reset_index(drop=True)).to_numpy()
        cube = full.reshape(len(self.cells), len(combos), full.shape[1])
        share = np.ones(len(combos)) if weights == "equal" else self._frequencies()
        means: np.ndarray = np.einsum("ckp,k->cp", cube, share / share.sum())
        return means

    def _frequencies(self) -> np.ndarray:
        """Count the rows of each combination of the levels that are averaged over."""
        shape = tuple(len(values) for values in self.others.values())
        several = [name for name, values in self.others.items() if len(values) > 1]
        codes = np.zeros(len(self.fit.data), dtype=int)
        for name in several:
            levels = self.others[name]
            mine = [is_level(self.fit.data[name], level) for level in levels]
            codes = codes * len(levels) + np.argmax(mine, axis=0)
        return np.bincount(codes, minlength=int(np.prod(shape))).astype(float)

    def count_subjects(self) -> list[int]:
        """Count the subjects with a row in each cell; values from `at` match everybody."""
        data = self.fit.data
        ids = data[self.fit.group]
        compared = [n for n in self.by if n in self.fit.design.fixed.levels or n not in self.at]
        masks = {
            name: {level: is_level(data[name], level) for level in self.cells[name].unique()}
            for name in compared
        }
        counts = []
        for cell in self.cells.itertuples(index=False):
            keep = np.ones(len(data), dtype=bool)
            for name, level in zip(self.by, cell, strict=True):
                keep &= masks[name][level] if name in masks else True
            counts.append(int(ids[keep].nunique()))
        return counts


def _check_names(fit: FixedEffectsResult, by: tuple[str, ...], at: Mapping[str, Any]) -> None:
    """Refuse columns that the mean does not depend on, or that are asked for twice."""
    variables = fit.design.fixed.variables
    if not by or len(set(by)) < len(by):
        raise DesignError(f"`by` must name columns of the fixed part, each once, got {by!r}.")
    for argument, names in (("by", by), ("at", at)):
        for name in names:
            if name not in variables:
                raise DesignError(
                    f"`{argument}` must name columns of the fixed part, got {name!r}."
                    f"{nearest(str(name), variables)} The fixed part is {fit.spec.fixed}, so the "
                    "mean does not depend on anything else."
                )


def _held(fit: FixedEffectsResult, name: str, value: Any, is_told: bool) -> tuple[Any, ...]:
    """Check the values at which a covariate is held."""
    several = isinstance(value, Sequence | np.ndarray) and not isinstance(value, str)
    values = tuple(value) if several else (value,)
    if not values or (several and not is_told):
        raise DesignError(
            f"`at` must hold {name!r} at one value, got {value!r}. For a mean at each of several, "
            f"name {name!r} in `by` too."
        )
    levels = fit.design.fixed.levels.get(name)
    if levels is None:
        return tuple(_number(name, entry) for entry in values)
    known = {str(level): level for level in levels}
    strange = [entry for entry in values if str(entry) not in known]
    if strange:
        raise DesignError(
            f"`at` must hold {name!r} at one of its levels ({', '.join(known)}), got "
            f"{strange[0]!r}.{nearest(str(strange[0]), known)}"
        )
    return tuple(known[str(entry)] for entry in values)


def _number(name: str, value: Any) -> float:
    """Check a number at which a covariate is held."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not np.isfinite(number):
        raise DesignError(f"`at` must hold {name!r} at a number, got {value!r}.")
    return number
