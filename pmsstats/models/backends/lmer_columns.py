"""Names under which the columns of a mixed model are known to R, and the way back from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from pmsstats.models.mixed.mixed_design import MixedArrays

__all__ = ["r_frame", "random_formula", "sort_covariances", "sort_modes"]


def random_formula(
    blocks: tuple[tuple[int, ...], ...],
    n_fixed: int,
    others: tuple[tuple[tuple[int, ...], ...], ...] = (),
) -> str:
    """Write the R formula of a model on design columns.

    Parameters
    ----------
    blocks : tuple of tuple of int
        Random columns that may be correlated with each other.
    n_fixed : int
        Number of fixed columns.
    others : tuple
        The same as `blocks` for each further grouping factor.

    Returns
    -------
    str
        In R's language; the intercept is one of the columns.

    Examples
    --------
    >>> random_formula(((0, 1),), 2)
    'y ~ 0 + x1 + x2 + (0 + z1 + z2 | g)'
    >>> random_formula(((0, 1),), 1, (((0,),),))
    'y ~ 0 + x1 + (0 + z1 + z2 | g) + (0 + z1_1 | g1)'
    """
    fixed = " + ".join(f"x{j + 1}" for j in range(n_fixed))
    random = " + ".join(
        f"(0 + {' + '.join(_random_column(k, j) for j in block)} | {_group_column(k)})"
        for k, factor_blocks in enumerate((blocks, *others))
        for block in factor_blocks
    )
    return f"y ~ 0 + {fixed} + {random}"


def _random_column(factor: int, column: int) -> str:
    """Name a column of the random effects of one grouping factor."""
    return f"z{factor}_{column + 1}" if factor else f"z{column + 1}"


def _group_column(factor: int) -> str:
    """Name the column that holds the levels of one grouping factor."""
    return f"g{factor}" if factor else "g"


def r_frame(arrays: MixedArrays) -> pd.DataFrame:
    """Put the arrays into one frame under R's names.

    Parameters
    ----------
    arrays : MixedArrays
        The numbers of the model.

    Returns
    -------
    pandas.DataFrame
        Columns ``y``, ``g``, ``g1`` and so on, ``x1``, ``z1``, ``z1_1``.
    """
    columns = {"y": arrays.y, "g": arrays.subject + 1}
    columns |= {_group_column(k): o.codes + 1 for k, o in enumerate(arrays.others, start=1)}
    columns |= {f"x{j + 1}": column for j, column in enumerate(arrays.X.T)}
    for k, Z in enumerate((arrays.Z, *(other.Z for other in arrays.others))):
        columns |= {_random_column(k, j): column for j, column in enumerate(Z.T)}
    return pd.DataFrame(columns)


def _places(arrays: MixedArrays) -> dict[str, tuple[int, int]]:
    """Return grouping factor and column of each random effect by its name in R."""
    widths = (arrays.Z.shape[1], *(other.Z.shape[1] for other in arrays.others))
    return {_random_column(k, j): (k, j) for k, q in enumerate(widths) for j in range(q)}


def sort_covariances(arrays: MixedArrays, parts: Mapping[str, Any]) -> list[np.ndarray]:
    """Sort the blocks of R's variances into one covariance per grouping factor.

    Parameters
    ----------
    arrays : MixedArrays
        The numbers of the model.
    parts : mapping
        ``block_sizes``, ``block_names`` and ``block_values`` as read from R.

    Returns
    -------
    list of ndarray, shape (q_k, q_k)
        That of the subjects first.
    """
    places = _places(arrays)
    made = [np.zeros((o.Z.shape[1],) * 2) for o in (arrays, *arrays.others)]
    position = at = 0
    for size in parts["block_sizes"]:
        found = [places[name] for name in parts["block_names"][at : at + size]]
        columns = [column for _, column in found]
        block = np.asarray(parts["block_values"][position : position + size**2])
        made[found[0][0]][np.ix_(columns, columns)] = block.reshape(size, size)
        at, position = at + size, position + size**2
    return made


def sort_modes(arrays: MixedArrays, parts: Mapping[str, Any]) -> list[np.ndarray]:
    """Sort R's predicted random effects into one matrix per grouping factor.

    Parameters
    ----------
    arrays : MixedArrays
        The numbers of the model.
    parts : mapping
        ``mode_widths``, ``mode_names``, ``mode_sizes``, ``mode_levels`` and ``mode_values`` as
        read from R.

    Returns
    -------
    list of ndarray, shape (n_levels_k, q_k)
        That of the subjects first.
    """
    places = _places(arrays)
    counts = (arrays.n_subjects, *(other.n_levels for other in arrays.others))
    made = [
        np.zeros((count, o.Z.shape[1]))
        for count, o in zip(counts, (arrays, *arrays.others), strict=True)
    ]
    at = level_at = position = 0
    for width, size in zip(parts["mode_widths"], parts["mode_sizes"], strict=True):
        found = [places[name] for name in parts["mode_names"][at : at + width]]
        levels = np.asarray(parts["mode_levels"][level_at : level_at + size]) - 1
        values = np.asarray(parts["mode_values"][position : position + size * width])
        columns = [column for _, column in found]
        made[found[0][0]][np.ix_(levels, columns)] = values.reshape(width, size).T
        at, level_at, position = at + width, level_at + size, position + size * width
    return made
