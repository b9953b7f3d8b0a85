"""Sums of squares and products by pattern of observed visits: all that the likelihood needs."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

__all__ = ["PatternSums", "sums_of_replicates", "sums_of_weights"]


@dataclass(frozen=True, eq=False, kw_only=True)
class PatternSums:
    """Sums over subjects with the same visits observed, for many replicates at once.

    Parameters
    ----------
    masks : ndarray of bool, shape (n_patterns, n_visits)
        Observed visits.
    group : ndarray of int, shape (n_patterns,)
        Whose covariance.
    n : ndarray, shape (n_replicates, n_patterns)
        Subjects (sum of weights).
    zz : ndarray, shape (n_replicates, n_patterns, q, q)
        Products of regressors.
    zy : ndarray, shape (n_replicates, n_patterns, q, n_visits)
        Products of regressors and outcomes; zero at visits that are not observed.
    yy : ndarray, shape (n_replicates, n_patterns, n_visits, n_visits)
        Products of outcomes, likewise.
    """

    masks: np.ndarray
    group: np.ndarray
    n: np.ndarray
    zz: np.ndarray
    zy: np.ndarray
    yy: np.ndarray

    @property
    def n_groups(self) -> int:
        """Return the number of covariances."""
        return int(self.group.max()) + 1

    def take(self, rows: np.ndarray) -> PatternSums:
        """Choose replicates.

        Parameters
        ----------
        rows : ndarray of int or bool
            Which.

        Returns
        -------
        PatternSums
            Of these.
        """
        chosen = {name: getattr(self, name)[rows] for name in ("n", "zz", "zy", "yy")}
        return replace(self, **chosen)


def sums_of_weights(
    y: np.ndarray, regressors: np.ndarray, group: np.ndarray, weights: np.ndarray
) -> PatternSums:
    """Sum one data set with many sets of weights: resamples are counts of subjects.

    Parameters
    ----------
    y : ndarray, shape (n_subjects, n_visits)
        NaN where missing.
    regressors : ndarray, shape (n_subjects, q)
        The same at all visits.
    group : ndarray of int, shape (n_subjects,)
        Whose covariance.
    weights : ndarray, shape (n_replicates, n_subjects)
        How often each subject counts.

    Returns
    -------
    PatternSums
        Patterns that occur, subjects without any value left out.
    """
    seen = ~np.isnan(y)
    filled = np.where(seen, y, 0.0)
    masks, groups, member = _patterns(seen, group)
    R, q, T = len(weights), regressors.shape[1], y.shape[1]
    sums = _empty(masks, groups, R, q)
    joined = np.hstack([regressors, filled])
    for p in range(len(masks)):
        rows = member == p
        products = joined[rows][:, :, None] * joined[rows][:, None, :]
        total = (weights[:, rows] @ products.reshape(rows.sum(), -1)).reshape(R, q + T, q + T)
        sums.n[:, p] = weights[:, rows].sum(axis=1)
        sums.zz[:, p], sums.zy[:, p] = total[:, :q, :q], total[:, :q, q:]
        sums.yy[:, p] = total[:, q:, q:]
    return sums


def sums_of_replicates(y: np.ndarray, regressors: np.ndarray, group: np.ndarray) -> PatternSums:
    """Sum many data sets of one design.

    Parameters
    ----------
    y : ndarray, shape (n_replicates, n_subjects, n_visits)
        NaN where missing.
    regressors : ndarray, shape (n_subjects, q)
        The same in all replicates and at all visits.
    group : ndarray of int, shape (n_subjects,)
        Whose covariance.

    Returns
    -------
    PatternSums
        Patterns that occur in any replicate.
    """
    R, n, T = y.shape
    seen = ~np.isnan(y)
    filled = np.where(seen, y, 0.0)
    everyone = np.broadcast_to(group, (R, n)).ravel()
    masks, groups, member = _patterns(seen.reshape(R * n, T), everyone)
    member = member.reshape(R, n)
    sums = _empty(masks, groups, R, regressors.shape[1])
    products = (regressors[:, :, None] * regressors[:, None, :]).reshape(n, -1)
    for p in range(len(masks)):
        weight = (member == p).astype(float)
        mine = filled * weight[:, :, None]
        sums.n[:, p] = weight.sum(axis=1)
        sums.zz[:, p] = (weight @ products).reshape(sums.zz[:, p].shape)
        sums.zy[:, p] = regressors.T @ mine
        sums.yy[:, p] = np.swapaxes(mine, 1, 2) @ mine
    return sums


def _patterns(seen: np.ndarray, group: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the patterns that occur, their groups, and the pattern of each row (-1: none)."""
    code = seen @ (1 << np.arange(seen.shape[1], dtype=np.int64))
    key = np.where(code > 0, group * (1 << seen.shape[1]) + code, -1)
    found, first, member = np.unique(key, return_index=True, return_inverse=True)
    skip = int(found[0] == -1)
    return seen[first[skip:]], group[first[skip:]], member.ravel() - skip


def _empty(masks: np.ndarray, group: np.ndarray, R: int, q: int) -> PatternSums:
    """Allocate sums."""
    P, T = masks.shape
    return PatternSums(
        masks=masks,
        group=group,
        n=np.zeros((R, P)),
        zz=np.zeros((R, P, q, q)),
        zy=np.zeros((R, P, q, T)),
        yy=np.zeros((R, P, T, T)),
    )
