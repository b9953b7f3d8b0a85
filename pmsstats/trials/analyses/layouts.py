"""Subjects sorted by arm, so that many replicates share the design of one model.

Arms are allocated at random, so that the same place has another arm in each replicate. Subjects
are exchangeable within an arm: sorted by arm, all replicates with as many subjects per arm have
the same design. A place that nobody fills has missing values. How many places there are depends on
the replicate alone, so that its numbers do not depend on the others that it is analysed with.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["ArmLayout", "arm_layouts", "count_by_arm"]

_STEPS = 20  # places are rounded up to so many parts of all subjects: few designs, few empty places


@dataclass(frozen=True, kw_only=True, eq=False)
class ArmLayout:
    """Replicates that share a design.

    Parameters
    ----------
    rows : ndarray of int, shape (n_rows,)
        Which replicates.
    index : ndarray of int, shape (n_rows, n_places), or None
        Subject of each place, counted through all replicates; -1 for nobody. None where all
        subjects of all replicates stand in their places already.
    arm : ndarray of int, shape (n_places,)
        Arm of each place, ascending.
    """

    rows: np.ndarray
    index: np.ndarray | None
    arm: np.ndarray

    def take(self, values: np.ndarray) -> np.ndarray:
        """Return values of the subjects by place.

        Parameters
        ----------
        values : ndarray, shape (n_replicates, n_subjects) or (n_replicates, n_subjects, n_visits)
            Of all replicates.

        Returns
        -------
        ndarray, shape (n_rows, n_places) or (n_rows, n_places, n_visits)
            Not a number where a place is empty; the same array where nobody moves.
        """
        if self.index is None:
            return values
        flat = values.reshape(-1, *values.shape[2:])
        taken = flat.take(self.index, axis=0, mode="wrap").astype(float, copy=False)
        if (self.index < 0).any():
            taken[self.index < 0] = np.nan
        return taken


def arm_layouts(code: np.ndarray, n_arms: int, *, exact: bool = False) -> list[ArmLayout]:
    """Group replicates by the number of subjects in their arms.

    Parameters
    ----------
    code : ndarray of int, shape (n_replicates, n_subjects)
        Arm of each subject; -1 for those who are not analysed.
    n_arms : int
        How many arms there are.
    exact : bool, default False
        Whether no place may be empty: more layouts.

    Returns
    -------
    list of ArmLayout
        Every replicate is in one of them. An arm without subjects has no place.
    """
    counts = count_by_arm(code, np.ones((1, 1), dtype=bool), n_arms)
    places = counts if exact else _widths(counts, code.shape[1])
    if _stands_in_order(code, counts, places):
        rows = np.arange(len(code))
        return [ArmLayout(rows=rows, index=None, arm=code[0].astype(np.int64))]
    shapes, group = np.unique(places, axis=0, return_inverse=True)
    members = [np.flatnonzero(code == arm) for arm in range(n_arms)]
    starts = [np.concatenate([[0], np.cumsum(counts[:, arm])]) for arm in range(n_arms)]
    layouts = []
    for number, shape in enumerate(shapes):
        rows = np.flatnonzero(group.ravel() == number)
        parts = [
            _places(members[arm], starts[arm][:-1][rows], counts[rows, arm], int(shape[arm]))
            for arm in range(n_arms)
        ]
        layouts.append(
            ArmLayout(
                rows=rows,
                index=np.concatenate(parts, axis=1),
                arm=np.repeat(np.arange(n_arms), shape),
            )
        )
    return layouts


def _widths(counts: np.ndarray, n_subjects: int) -> np.ndarray:
    """Round numbers of subjects up to few numbers of places; equal shares are one of them."""
    equal = -(-n_subjects // counts.shape[1])
    step = max(1, n_subjects // _STEPS)
    places = equal - (equal - counts) // step * step
    return np.where(counts > 0, places, 0)


def _stands_in_order(code: np.ndarray, counts: np.ndarray, places: np.ndarray) -> bool:
    """Say whether all replicates share one allocation, sorted by arm, without empty places."""
    if len(code) > 1 and code.strides[0] != 0:
        return False
    row = code[0]
    is_sorted = bool((np.diff(row) >= 0).all()) and row[0] >= 0
    return is_sorted and bool((counts[0] == places[0]).all())


def _places(members: np.ndarray, start: np.ndarray, count: np.ndarray, width: int) -> np.ndarray:
    """Return the members of an arm of some replicates, and -1 for places that are left."""
    at = np.arange(width)
    inside = at < count[:, None]
    if not members.size:
        return np.full(inside.shape, -1)
    return np.where(inside, members[np.where(inside, start[:, None] + at, 0)], -1)


def count_by_arm(code: np.ndarray, seen: np.ndarray, n_arms: int) -> np.ndarray:
    """Count subjects by arm.

    Parameters
    ----------
    code : ndarray of int, shape (n_replicates, n_subjects)
        Arm of each subject; -1 for those who are not analysed.
    seen : ndarray of bool, shape (n_replicates, n_subjects)
        Who counts.
    n_arms : int
        How many arms there are.

    Returns
    -------
    ndarray of int, shape (n_replicates, n_arms)
        Subjects.
    """
    return np.stack(
        [np.count_nonzero((code == arm) & seen, axis=1) for arm in range(n_arms)], axis=1
    )
