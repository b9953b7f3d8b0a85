"""The fixed part of a model: its full-rank columns, and how to make them from other data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pmsstats.errors import DesignError, first_ids
from pmsstats.models.formulas.columns import combine_columns, independent_columns
from pmsstats.models.formulas.design import DesignSpec, design_matrices

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FixedDesign", "build_fixed_design", "level_notes"]

_ESTIMABLE = 1e-6  # relative error below which two columns count as combined


@dataclass(frozen=True, eq=False, kw_only=True)
class FixedDesign:
    """The fixed part of a model, of full rank, with the words that belong to it.

    Parameters
    ----------
    fixed_names : tuple of str
        Of the columns that were kept.
    fixed : DesignSpec
        Makes all columns, the dropped ones included, from other data.
    kept : tuple of int
        Columns of `fixed` that were kept.
    aliasing : ndarray, shape (p, n_dropped)
        The dropped columns as combinations of the kept ones.
    """

    fixed_names: tuple[str, ...]
    fixed: DesignSpec
    kept: tuple[int, ...]
    aliasing: np.ndarray

    def contrasts(self, full: np.ndarray) -> np.ndarray:
        """Express combinations of all design columns in those that were kept.

        Parameters
        ----------
        full : ndarray, shape (m, n_columns)
            One combination per row, of the columns of `fixed`.

        Returns
        -------
        ndarray, shape (m, p)
            Of the columns that were kept; rows of missing values where a combination cannot be
            estimated because it needs what was dropped.
        """
        kept = full[:, list(self.kept)]
        dropped = np.delete(full, list(self.kept), axis=1)
        size = np.maximum(np.abs(full).max(axis=1, initial=1.0), 1.0)
        off = np.abs(dropped - kept @ self.aliasing).max(axis=1, initial=0.0)
        return np.where((off <= _ESTIMABLE * size)[:, None], kept, np.nan)

    def fixed_matrix(self, data: pd.DataFrame) -> np.ndarray:
        """Make the columns of `X` from other data.

        Parameters
        ----------
        data : pandas.DataFrame
            Has the variables of the fixed part.

        Returns
        -------
        ndarray, shape (n, p)
            In the order of `fixed_names`.

        Raises
        ------
        DesignError
            If the mean of some row cannot be estimated from the data of the fit.
        """
        made = self.contrasts(self.fixed.matrix(data).to_numpy())
        bad = np.isnan(made).any(axis=1)
        if bad.any():
            raise DesignError(
                f"The mean cannot be estimated for {int(bad.sum())} of {len(data)} row(s): the "
                "data of the fit do not hold their combination of values."
            )
        return made

    def notes_on_columns(self) -> tuple[str, ...]:
        """Say which columns were dropped.

        Returns
        -------
        tuple of str
            One sentence, or nothing.
        """
        names = [name for i, name in enumerate(self.fixed.columns) if i not in self.kept]
        if not names:
            return ()
        what = ", ".join(names)
        return (f"dropped from the fixed effects, as combinations of earlier ones: {what}",)


def build_fixed_design(rhs: str, rows: pd.DataFrame) -> tuple[np.ndarray, FixedDesign]:
    """Make the fixed columns of a model, and drop those that repeat earlier ones.

    Parameters
    ----------
    rhs : str
        Right-hand side of the mean.
    rows : pandas.DataFrame
        Complete in its variables.

    Returns
    -------
    X : ndarray, shape (n, p)
        Of full rank.
    design : FixedDesign
        Makes the same columns from other data.
    """
    frame, fixed = design_matrices(rhs, rows)
    matrix = frame.to_numpy()
    kept, dropped = independent_columns(matrix)
    design = FixedDesign(
        fixed_names=tuple(str(frame.columns[i]) for i in kept),
        fixed=fixed,
        kept=kept,
        aliasing=combine_columns(matrix, kept, dropped),
    )
    return matrix[:, list(kept)], design


def level_notes(*specs: DesignSpec) -> tuple[str, ...]:
    """Say which levels no row has, and which factors have one level only.

    Parameters
    ----------
    *specs : DesignSpec
        The parts of a model.

    Returns
    -------
    tuple of str
        One sentence per factor.
    """
    unused = {name: levels for spec in specs for name, levels in spec.unused_levels.items()}
    single = {
        name: levels[0]
        for spec in specs
        for name, levels in spec.levels.items()
        if len(levels) == 1
    }
    return (
        *(
            f"no row has {name} = {first_ids(levels, show=8)}, so that is no level of the model"
            for name, levels in unused.items()
        ),
        *(
            f"every row has {name} = {level}, so {name} has no effect that could be estimated"
            for name, level in single.items()
        ),
    )
