"""What it costs a slope to estimate scanner effects from the same data."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pmsstats.models.fixed_effects.reference_grid import ReferenceGrid
from pmsstats.models.mixed.mixed_state import evaluate_state, mixed_state

if TYPE_CHECKING:
    from pmsstats.imaging.harmonisation_spec import HarmonisationSpec
    from pmsstats.models.mixed.lmm import LMMResult

__all__ = ["slope_inflation"]


def slope_inflation(fit: LMMResult, spec: HarmonisationSpec) -> pd.DataFrame:
    """Compare standard errors with and without scanner effects, at the same variances.

    Parameters
    ----------
    fit : LMMResult
        With the scanner as a fixed effect.
    spec : HarmonisationSpec
        Names the scanner, time and groups.

    Returns
    -------
    pandas.DataFrame
        ``term std_error_without std_error inflation``: the coefficients that hold time or group,
        and the average slope, per unit of time as it was given.

    Notes
    -----
    Square roots of ``(X' V^-1 X)^-1`` with and without the scanner's columns of ``X``, with ``V``
    from the fit. No R or SAS statement gives this; see
    :func:`~pmsstats.imaging.confounding.check_scanner_confounding`.
    """
    names = list(fit.design.fixed_names)
    other = [i for i, name in enumerate(names) if not name.startswith(f"{spec.scanner}[")]
    wanted = [i for i in other if _concerns(names[i], spec)]
    weights = np.vstack([np.eye(len(names))[wanted], _average_slope(fit, spec)])
    with_scanner = _standard_errors(fit, weights, list(range(len(names))))
    without = _standard_errors(fit, weights, other)
    return pd.DataFrame(
        {
            "term": [*(names[i] for i in wanted), "average slope"],
            "std_error_without": without,
            "std_error": with_scanner,
            "inflation": with_scanner / without,
        }
    )


def _standard_errors(fit: LMMResult, weights: np.ndarray, columns: list[int]) -> np.ndarray:
    """Return those of combinations of some of the columns, at the variances of the fit."""
    state, X = mixed_state(fit), fit.design.arrays.X[:, columns]
    sizes = np.sqrt((X**2).mean(axis=0))
    fewer = evaluate_state(
        replace(state.arrays, X=X / sizes), state.back, state.psi, state.sigma2, reml=state.reml
    )
    L = weights[:, columns] / sizes
    errors: np.ndarray = fit.residual_sd * np.sqrt(np.einsum("ma,ab,mb->m", L, fewer.inverse, L))
    return errors


def _average_slope(fit: LMMResult, spec: HarmonisationSpec) -> np.ndarray:
    """Return the slope between the first and the last time, averaged over groups, as weights."""
    grid = ReferenceGrid.of(fit, None, spec.time)
    times = grid.observed()
    ends = grid.weights(grid.groups[0], [float(times.min()), float(times.max())])
    slope: np.ndarray = fit.design.contrasts(np.diff(ends, axis=0)) / np.ptp(times)
    return slope


def _concerns(name: str, spec: HarmonisationSpec) -> bool:
    """Say whether a column of the mean holds time or the group."""
    words = [spec.time, *([spec.by] if spec.by else [])]
    return any(re.search(rf"(?<![\w.]){re.escape(word)}(?![\w.])", name) for word in words)
