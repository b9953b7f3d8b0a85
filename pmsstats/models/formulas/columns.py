"""Columns of design matrices: which are independent, and sums of them within subjects."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["combine_columns", "independent_columns", "sum_by_subject", "within_subjects"]

_RANK_TOLERANCE = 1e-7  # as lme4's: share of a column's length that must be new


def independent_columns(matrix: np.ndarray) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Split columns into those that add something to the ones before, and the others.

    Parameters
    ----------
    matrix : ndarray, shape (n, p)
        Columns in order of importance.

    Returns
    -------
    kept, dropped : tuple of int
        Positions. Of two columns that say the same the later one is dropped, as R does.

    Examples
    --------
    >>> independent_columns(np.array([[1.0, 2.0, 0.0], [1.0, 2.0, 1.0], [1.0, 2.0, 2.0]]))
    ((0, 2), (1,))
    """
    kept: list[int] = []
    basis = np.empty((matrix.shape[0], 0))
    for j in range(matrix.shape[1]):
        column = matrix[:, j]
        length = np.linalg.norm(column)
        if length == 0 or basis.shape[1] == matrix.shape[0]:
            continue
        rest = column / length
        for _ in range(2):  # twice is enough against cancellation
            rest = rest - basis @ (basis.T @ rest)
        remaining = np.linalg.norm(rest)
        if remaining > _RANK_TOLERANCE:
            kept.append(j)
            basis = np.column_stack([basis, rest / remaining])
    return tuple(kept), tuple(j for j in range(matrix.shape[1]) if j not in kept)


def combine_columns(matrix: np.ndarray, kept: Sequence[int], dropped: Sequence[int]) -> np.ndarray:
    """Express dropped columns in the kept ones.

    Parameters
    ----------
    matrix : ndarray, shape (n, p)
        All columns.
    kept, dropped : sequence of int
        From :func:`independent_columns`.

    Returns
    -------
    ndarray, shape (n_kept, n_dropped)
        Weights, by least squares.
    """
    if not dropped:
        return np.empty((len(kept), 0))
    made: np.ndarray = np.linalg.lstsq(matrix[:, kept], matrix[:, dropped], rcond=None)[0]
    return made


def within_subjects(
    values: np.ndarray, Z: np.ndarray, subject: np.ndarray, n_subjects: int
) -> np.ndarray:
    """Take each subject's own random effects out of some columns, by least squares.

    Parameters
    ----------
    values : ndarray, shape (n_obs, k)
        Columns.
    Z : ndarray, shape (n_obs, q)
        Random-effects columns.
    subject : ndarray of int, shape (n_obs,)
        Subject number of each row.
    n_subjects : int
        How many subjects.

    Returns
    -------
    ndarray, shape (n_obs, k)
        Residuals of each column on `Z` within subjects.
    """
    squares = sum_by_subject(Z[:, :, None] * Z[:, None, :], subject, n_subjects)
    products = sum_by_subject(Z[:, :, None] * values[:, None, :], subject, n_subjects)
    effects = np.linalg.pinv(squares, rcond=1e-10, hermitian=True) @ products
    return values - np.einsum("iq,iqk->ik", Z, effects[subject])


def sum_by_subject(values: np.ndarray, subject: np.ndarray, n_subjects: int) -> np.ndarray:
    """Add up rows of the same subject.

    Parameters
    ----------
    values : ndarray, shape (n_obs, ...)
        One entry per row.
    subject : ndarray of int, shape (n_obs,)
        Subject number of each row.
    n_subjects : int
        How many subjects.

    Returns
    -------
    ndarray, shape (n_subjects, ...)
        Sums.
    """
    flat = values.reshape(len(values), -1)
    sums = np.stack(
        [np.bincount(subject, weights=column, minlength=n_subjects) for column in flat.T], axis=1
    )
    return sums.reshape((n_subjects, *values.shape[1:]))
