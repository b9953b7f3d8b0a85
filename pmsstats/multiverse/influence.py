"""Which option moves the result most."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["INFLUENCE_COLUMNS", "Changes", "option_influence", "single_changes", "variance_shares"]

INFLUENCE_COLUMNS = (
    "option", "n_choices", "n_pairs", "mean_change_log_hr", "largest_change_log_hr",
    "largest_from", "largest_to", "variance_log_hr", "mean_change_share", "largest_change_share",
    "variance_share", "note",
)  # fmt: skip
"""Columns of the table of influence."""

_NO_VARIANCE = 1e-12  # of a sum of squares, relative to that of the values themselves


@dataclass(frozen=True, kw_only=True, eq=False)
class Changes:
    """Pairs of definitions that differ in one option alone, and how far apart they are.

    Parameters
    ----------
    first, second : ndarray of int, shape (n_pairs,)
        The two definitions; the first has the earlier choice.
    change : ndarray, shape (n_pairs,)
        Value of the second less that of the first; missing where either is.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    change: NDArray[np.float64]

    def mean(self) -> float:
        """Return the mean absolute change.

        Returns
        -------
        float
            Missing (NaN) without any pair.
        """
        known = self.change[~np.isnan(self.change)]
        return float(np.abs(known).mean()) if len(known) else float("nan")

    def n_paired(self) -> int:
        """Count the definitions that stand in some pair.

        Returns
        -------
        int
            Each once; without those whose value is missing.
        """
        known = ~np.isnan(self.change)
        return len(np.unique(np.concatenate([self.first[known], self.second[known]])))

    def largest(self) -> int:
        """Return which pair differs most.

        Returns
        -------
        int
            Position; -1 without any pair.
        """
        size = np.nan_to_num(np.abs(self.change), nan=-1.0)
        return int(np.argmax(size)) if len(size) and size.max() >= 0 else -1


def single_changes(codes: NDArray[np.int64], option: int, values: NDArray[np.float64]) -> Changes:
    """Find all pairs of definitions that differ in one option alone.

    Parameters
    ----------
    codes : ndarray of int, shape (n_rules, n_options)
        Choice of each definition; no two rows are the same.
    option : int
        Which column differs.
    values : ndarray, shape (n_rules,)
        What is compared.

    Returns
    -------
    Changes
        In the order of the earlier, then the later choice.

    Notes
    -----
    Definitions that agree in all other options are a row of a table whose columns are the choices
    of this one; every pair of columns gives the pairs.
    """
    others = np.delete(codes, option, axis=1)
    if others.shape[1]:
        _, row = np.unique(others, axis=0, return_inverse=True)
        row = row.ravel()
    else:
        row = np.zeros(len(codes), dtype=np.int64)
    where = np.full((int(row.max()) + 1, int(codes[:, option].max()) + 1), -1, dtype=np.int64)
    where[row, codes[:, option]] = np.arange(len(codes))
    pairs = [
        where[(where[:, a] >= 0) & (where[:, b] >= 0)][:, [a, b]]
        for a, b in itertools.combinations(range(where.shape[1]), 2)
    ]
    found = np.concatenate(pairs) if pairs else np.empty((0, 2), dtype=np.int64)
    first, second = found.T
    return Changes(first=first, second=second, change=values[second] - values[first])


def variance_shares(codes: NDArray[np.int64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share the variance of a value between options, by their main effects.

    Parameters
    ----------
    codes : ndarray of int, shape (n_rules, n_options)
        Choice of each definition.
    values : ndarray, shape (n_rules,)
        Missing ones are left out.

    Returns
    -------
    ndarray, shape (n_options,)
        From 0 to 1; missing (NaN) where the value does not vary.

    Notes
    -----
    Share of the sum of squares that the choices of an option explain beyond those of all other
    options, in a linear model of main effects: what R squared falls by without it. In a balanced
    grid that is the sum of squares between its choices, and the shares add up to the R squared
    of all main effects; the rest is interaction. In an unbalanced one they do not add up.
    """
    known = ~np.isnan(values)
    y = values[known] - values[known].mean() if known.any() else values[known]
    total = float(y @ y)
    n_options = codes.shape[1]
    if not total > _NO_VARIANCE * float(values[known] @ values[known]):
        return np.full(n_options, np.nan)
    blocks = [_dummies(codes[known, k]) for k in range(n_options)]
    full = _residual(blocks, y)
    without = [_residual([b for j, b in enumerate(blocks) if j != k], y) for k in range(n_options)]
    return np.maximum((np.array(without) - full) / total, 0.0)


def _dummies(code: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return one column per choice but the first, centred."""
    columns = (code[:, None] == np.unique(code)[None, 1:]).astype(float)
    return columns - columns.mean(axis=0)


def _residual(blocks: list[NDArray[np.float64]], y: NDArray[np.float64]) -> float:
    """Return the sum of squares that columns leave unexplained."""
    X = np.column_stack([*blocks, np.empty((len(y), 0))])
    if not X.shape[1]:
        return float(y @ y)
    rest = y - X @ np.linalg.lstsq(X, y, rcond=None)[0]
    return float(rest @ rest)


def option_influence(
    options: pd.DataFrame,
    log_hr: NDArray[np.float64] | None,
    share: NDArray[np.float64],
    *,
    is_grid: bool = True,
) -> pd.DataFrame:
    """Rank the options by how much they move the result.

    Parameters
    ----------
    options : pandas.DataFrame
        ``rule``, and one ordered categorical per option.
    log_hr : ndarray, shape (n_rules,), or None
        Log hazard ratios, missing where not estimable.
    share : ndarray, shape (n_rules,)
        Shares of subjects with the event.
    is_grid : bool, default True
        Whether the definitions are the combinations of the options. If not, an option says
        nothing (its changes and variances are missing) where fewer than half of the definitions
        stand in a pair that differs in it alone.

    Returns
    -------
    pandas.DataFrame
        Columns :data:`INFLUENCE_COLUMNS`, the largest mean absolute change of the log hazard ratio
        first (without hazard ratios: of the share); those of hazard ratios only where there are.
    """
    names = list(options.columns[1:])
    codes = np.column_stack(
        [options[name].cat.codes.to_numpy() for name in names] or [np.empty((len(options), 0))]
    ).astype(np.int64)
    measured = {"share": share} if log_hr is None else {"log_hr": log_hr, "share": share}
    lead = next(iter(measured))
    balance = _balance_note(codes, measured[lead])
    rows: list[dict[str, Any]] = [
        {"option": name, "n_choices": options[name].nunique(), "note": balance} for name in names
    ]
    for key, values in measured.items():
        changes = [single_changes(codes, k, values) for k in range(len(names))]
        counts = is_grid | np.array([_is_paired(c, values) for c in changes], dtype=bool)
        variance = variance_shares(codes, values) if counts.any() else np.full(len(names), np.nan)
        for k in range(len(names)):
            rows[k] |= _moved(key, changes[k], variance[k]) if counts[k] else {}
            if key == lead:
                rows[k] |= _pairs(options["rule"], changes[k], values, counted=bool(counts[k]))
    columns = [c for c in INFLUENCE_COLUMNS if log_hr is not None or "log_hr" not in c]
    table = pd.DataFrame(rows, columns=columns)
    return table.sort_values(
        f"mean_change_{lead}", ascending=False, kind="stable", ignore_index=True
    )


def _is_paired(changes: Changes, values: NDArray[np.float64]) -> bool:
    """Say whether at least half of the definitions with a value stand in some pair."""
    return 2 * changes.n_paired() >= int((~np.isnan(values)).sum()) > 0


def _moved(key: str, changes: Changes, variance: float) -> dict[str, float]:
    """Say how much an option moves a value."""
    at = changes.largest()
    return {
        f"mean_change_{key}": changes.mean(),
        f"largest_change_{key}": changes.change[at] if at >= 0 else np.nan,
        f"variance_{key}": variance,
    }


def _pairs(
    names: pd.Series, changes: Changes, values: NDArray[np.float64], *, counted: bool
) -> dict[str, Any]:
    """Count the pairs, name those furthest apart, and say where they are too few."""
    at = changes.largest() if counted else -1
    known = ~np.isnan(values)
    row: dict[str, Any] = {
        "n_pairs": int((~np.isnan(changes.change)).sum()),
        "largest_from": names.iloc[changes.first[at]] if at >= 0 else "",
        "largest_to": names.iloc[changes.second[at]] if at >= 0 else "",
    }
    if not counted:
        n = changes.n_paired()
        some = f"{n} of {known.sum()} definitions are in a pair that differs in this option alone"
        row["note"] = f"only {some}" if n else "no two definitions differ in this option alone"
    return row


def _balance_note(codes: NDArray[np.int64], values: NDArray[np.float64]) -> str:
    """Say so where not every combination has a value: shares of variance then overlap."""
    sizes = [len(np.unique(codes[:, k])) for k in range(codes.shape[1])]
    n_cells, n_known = int(np.prod(sizes, dtype=float)), int((~np.isnan(values)).sum())
    if n_known == n_cells:
        return ""
    return f"unbalanced: {n_known} of {n_cells} combinations, so variance shares do not add up"
