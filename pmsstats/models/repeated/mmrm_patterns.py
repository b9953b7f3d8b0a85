"""Repeated measures as arrays, with subjects sorted by which visits they have.

Subjects who were seen at the same visits (and belong to the same group) share one covariance
matrix, and so one inverse. Sums over subjects are then a few large matrix products, whatever the
number of subjects.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from pmsstats.errors import DesignError

__all__ = ["Patterns", "RepeatedArrays", "find_patterns", "unobserved_pairs"]


@dataclass(frozen=True, eq=False, kw_only=True)
class RepeatedArrays:
    """The numbers of a marginal model of repeated measures.

    Parameters
    ----------
    y : ndarray, shape (n_obs,)
        Outcome.
    X : ndarray, shape (n_obs, p)
        Fixed effects, of full rank.
    subject : ndarray of int, shape (n_obs,)
        Subject number of each row, 0 to n_subjects - 1.
    visit : ndarray of int, shape (n_obs,)
        Visit number of each row, 0 to n_visits - 1.
    n_subjects, n_visits : int
        How many there are.
    group : ndarray of int, shape (n_subjects,), optional
        Group of each subject, 0 to n_groups - 1; each has a covariance of its own.
    n_groups : int, default 1
        How many groups.
    coordinate : ndarray, shape (n_obs,), optional
        Where each row lies in time; what a spatial covariance measures distances on.
    weights : ndarray, shape (n_obs,), optional
        Above zero. The covariance of a subject is ``D^-1/2 Sigma D^-1/2``, ``D = diag(weights)``,
        as with the ``WEIGHT`` statement of SAS and `weights` of R's mmrm.
    """

    y: np.ndarray
    X: np.ndarray
    subject: np.ndarray
    visit: np.ndarray
    n_subjects: int
    n_visits: int
    group: np.ndarray | None = None
    n_groups: int = 1
    coordinate: np.ndarray | None = None
    weights: np.ndarray | None = None

    @property
    def n_obs(self) -> int:
        """Number of rows."""
        return len(self.y)

    @property
    def groups(self) -> np.ndarray:
        """Group of each subject: shape (n_subjects,)."""
        if self.group is None or self.n_groups == 1:
            return np.zeros(self.n_subjects, dtype=int)
        return self.group


@dataclass(frozen=True, eq=False, kw_only=True)
class Patterns:
    """Which subjects share a covariance matrix; subjects and patterns are sorted by group.

    Parameters
    ----------
    rows : ndarray of int, shape (n_subjects, n_slots)
        Row of the arrays behind each slot; -1 where there is none.
    subjects : ndarray of int, shape (n_subjects,)
        Subject number of each row of `rows`.
    of_subject : ndarray of int, shape (n_subjects,)
        Pattern of each of them, ascending.
    seen : ndarray of bool, shape (n_patterns, n_slots)
        Which slots are filled.
    counts : ndarray of int, shape (n_patterns,)
        Subjects per pattern.
    group : ndarray of int, shape (n_patterns,)
        Group of each pattern, ascending.
    n_groups : int
        How many groups.
    distances : ndarray, shape (n_patterns, n_slots, n_slots), or None
        Between coordinates, for a spatial covariance; zero where a slot is empty.
    """

    rows: np.ndarray
    subjects: np.ndarray
    of_subject: np.ndarray
    seen: np.ndarray
    counts: np.ndarray
    group: np.ndarray
    n_groups: int
    distances: np.ndarray | None

    @property
    def n_slots(self) -> int:
        """Visits, or for a spatial covariance the largest number of rows of a subject."""
        return int(self.seen.shape[1])

    @property
    def n_patterns(self) -> int:
        """Number of different patterns."""
        return len(self.seen)

    @functools.cached_property
    def _edges(self) -> tuple[np.ndarray, np.ndarray]:
        """Where the patterns, and the subjects, of each group begin."""
        each = np.arange(self.n_groups + 1)
        of_subject = self.group[self.of_subject]
        return np.searchsorted(self.group, each), np.searchsorted(of_subject, each)

    def pattern_slice(self, group: int) -> slice:
        """Return where the patterns of a group are.

        Parameters
        ----------
        group : int
            Group number.

        Returns
        -------
        slice
            Of patterns.
        """
        return slice(int(self._edges[0][group]), int(self._edges[0][group + 1]))

    def subject_slice(self, group: int) -> slice:
        """Return where the subjects of a group are.

        Parameters
        ----------
        group : int
            Group number.

        Returns
        -------
        slice
            Of subjects, in the order of the patterns.
        """
        return slice(int(self._edges[1][group]), int(self._edges[1][group + 1]))

    def spread(self, values: np.ndarray) -> np.ndarray:
        """Lay rows out by subject and slot.

        Parameters
        ----------
        values : ndarray, shape (n_obs, m)
            One row per observation.

        Returns
        -------
        ndarray, shape (n_subjects, n_slots, m)
            Zero where a slot is empty.
        """
        laid = values[self.rows]
        laid[self.rows < 0] = 0.0
        return laid

    def sum_subjects(self, values: np.ndarray) -> np.ndarray:
        """Return sums over the subjects of each pattern.

        Parameters
        ----------
        values : ndarray, shape (n_subjects, ...)
            In the order of the patterns.

        Returns
        -------
        ndarray, shape (n_patterns, ...)
            One sum per pattern.
        """
        starts = np.concatenate([[0], np.cumsum(self.counts)[:-1]])
        total: np.ndarray = np.add.reduceat(values, starts, axis=0)
        return total


def find_patterns(arrays: RepeatedArrays, *, spatial: bool) -> Patterns:
    """Sort subjects by the visits that they have.

    Parameters
    ----------
    arrays : RepeatedArrays
        All rows.
    spatial : bool
        Whether distances between coordinates matter instead of visits.

    Returns
    -------
    Patterns
        Every subject with at least one row is in it.

    Raises
    ------
    DesignError
        If a subject has two rows at one visit (or one coordinate).
    """
    slot, n_slots = _ranks(arrays) if spatial else (arrays.visit, arrays.n_visits)
    rows = np.full((arrays.n_subjects, n_slots), -1)
    rows[arrays.subject, slot] = np.arange(arrays.n_obs)
    subjects = np.flatnonzero((rows >= 0).any(axis=1))
    rows = rows[subjects]
    if np.count_nonzero(rows >= 0) < arrays.n_obs:
        raise DesignError(_duplicate_message(arrays))
    group = arrays.groups[subjects]
    where = _relative_coordinates(arrays, rows) if spatial else np.where(rows >= 0, 0.0, np.inf)
    keys = np.column_stack([group, where])
    distinct, of_subject, counts = np.unique(keys, axis=0, return_inverse=True, return_counts=True)
    order = np.argsort(of_subject, kind="stable")
    seen = np.isfinite(distinct[:, 1:])
    return Patterns(
        rows=rows[order],
        subjects=subjects[order],
        of_subject=of_subject[order],
        seen=seen,
        counts=counts,
        group=distinct[:, 0].astype(int),
        n_groups=arrays.n_groups,
        distances=_distances(distinct[:, 1:], seen) if spatial else None,
    )


def unobserved_pairs(arrays: RepeatedArrays) -> list[tuple[int, int, int]]:
    """List the visits that nobody has both of, which an unstructured covariance cannot do without.

    Parameters
    ----------
    arrays : RepeatedArrays
        All rows.

    Returns
    -------
    list of tuple of int
        ``(group, visit, later visit)``; twice the same visit where nobody has it at all.

    Examples
    --------
    >>> arrays = RepeatedArrays(
    ...     y=np.zeros(4),
    ...     X=np.ones((4, 1)),
    ...     subject=np.array([0, 0, 1, 1]),
    ...     visit=np.array([0, 1, 0, 2]),
    ...     n_subjects=2,
    ...     n_visits=3,
    ... )
    >>> unobserved_pairs(arrays)
    [(0, 1, 2)]
    """
    seen = np.zeros((arrays.n_subjects, arrays.n_visits))
    seen[arrays.subject, arrays.visit] = 1.0
    missing = []
    for g in range(arrays.n_groups):
        of_group = seen[arrays.groups == g]
        together = of_group.T @ of_group
        missing += [(g, int(i), int(j)) for i, j in np.argwhere(np.triu(together == 0))]
    visits_absent = {(g, i) for g, i, j in missing if i == j}
    return [
        (g, i, j)
        for g, i, j in missing
        if i == j or not {(g, i), (g, j)} & visits_absent  # once is enough for an absent visit
    ]


def _ranks(arrays: RepeatedArrays) -> tuple[np.ndarray, int]:
    """Rank the rows of each subject by coordinate, and return the largest number of rows."""
    if arrays.coordinate is None:
        raise DesignError(
            "covariance 'sp_exp' needs a coordinate for every row (days or years, say) to measure "
            "distances on; found none. Name a numeric column, or choose another covariance."
        )
    order = np.lexsort([arrays.coordinate, arrays.subject])
    sorted_subjects = arrays.subject[order]
    firsts = np.searchsorted(sorted_subjects, sorted_subjects)
    rank = np.empty(arrays.n_obs, dtype=int)
    rank[order] = np.arange(arrays.n_obs) - firsts
    same = np.diff(arrays.coordinate[order]) == 0
    if (same & (np.diff(sorted_subjects) == 0)).any():
        raise DesignError(_duplicate_message(arrays, "coordinate"))
    return rank, int(rank.max()) + 1


def _relative_coordinates(arrays: RepeatedArrays, rows: np.ndarray) -> np.ndarray:
    """Return coordinates from each subject's first; infinite where there is no row."""
    assert arrays.coordinate is not None  # noqa: S101
    where = np.where(rows >= 0, arrays.coordinate[rows], np.inf)
    relative: np.ndarray = where - where[:, :1]
    return relative


def _distances(where: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return distances between the filled slots of each pattern."""
    finite = np.where(seen, where, 0.0)
    both = seen[:, :, None] & seen[:, None, :]
    return np.where(both, np.abs(finite[:, :, None] - finite[:, None, :]), 0.0)


def _duplicate_message(arrays: RepeatedArrays, what: str = "visit") -> str:
    place = arrays.visit if what == "visit" else arrays.coordinate
    pairs = np.column_stack([arrays.subject, place])
    _, first, counts = np.unique(pairs, axis=0, return_index=True, return_counts=True)
    row = int(first[counts > 1][0])
    return (
        f"expected at most one row per subject and {what}; found {int((counts > 1).sum())} "
        f"subjects and {what}s with more, the first in row {row}. Remove repeats or average them."
    )
