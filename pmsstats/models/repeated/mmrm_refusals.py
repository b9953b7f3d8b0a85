"""Data on which no marginal model of repeated measures can be fitted, in words.

Visits and groups are numbers here, counted from one; whoever knows their names checks first.
"""

from __future__ import annotations

import numpy as np

from pmsstats.errors import DesignError
from pmsstats.models.repeated.mmrm_patterns import RepeatedArrays, unobserved_pairs
from pmsstats.models.repeated.mmrm_structure import Covariance

__all__ = ["refuse_unusable"]

_CONSTANT = 1e-11  # residual spread over the outcome's size that is rounding error


def refuse_unusable(arrays: RepeatedArrays, structure: Covariance) -> None:
    """Raise where no covariance could be estimated.

    Parameters
    ----------
    arrays : RepeatedArrays
        All rows.
    structure : Covariance
        Of the repeated measures.

    Raises
    ------
    DesignError
        If there are too few rows, nothing varies, or, for an unstructured covariance, nobody has
        both visits of some pair.
    """
    n, p = arrays.X.shape
    k = structure.n_parameters(arrays.n_visits) * arrays.n_groups
    if n < p + k:
        raise DesignError(
            f"expected at least as many rows as parameters; found {n} rows with an outcome for "
            f"{p} fixed effects and {k} parameters of covariance {structure.name!r}. Use a "
            "simpler covariance or fewer fixed effects."
        )
    rest = arrays.y - arrays.X @ np.linalg.lstsq(arrays.X, arrays.y, rcond=None)[0]
    size = float(np.abs(arrays.y).max())
    if np.ptp(arrays.y) == 0:
        raise DesignError(
            f"expected an outcome that varies; found {arrays.y[0]:g} in all {n} rows."
        )
    if np.abs(rest).max() <= _CONSTANT * size:
        raise DesignError(
            f"expected variation around the fixed effects; found that {p} columns reproduce all "
            f"{n} outcomes exactly, so no covariance can be estimated. Is the outcome (or a sum "
            "that makes it) among the fixed effects?"
        )
    missing = unobserved_pairs(arrays) if structure.name == "us" else []
    if missing:
        pairs = ", ".join(
            (f"{i + 1}" if i == j else f"{i + 1} and {j + 1}")
            + (f" (group {g + 1})" if arrays.n_groups > 1 else "")
            for g, i, j in missing
        )
        raise DesignError(
            "an unstructured covariance needs subjects seen at both visits of every pair; found "
            f"nobody with visits {pairs}. Join or drop visits, or choose a covariance with fewer "
            "parameters ('toeph', 'ar1h' or 'csh')."
        )
