"""Whether two definitions find the same subjects: Cohen's kappa of every pair at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pmsstats.multiverse.event_tables import EventTables

__all__ = ["kappa_matrix", "median_kappa", "status_by"]

_ALL = slice(None)
_BLOCK = 512  # rows of the matrix at a time


def status_by(
    tables: EventTables, day: float | None
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return whose status is known, and who had the event.

    Parameters
    ----------
    tables : EventTables
        Times to event.
    day : float or None
        Up to when, in days from time zero; None takes all of the follow-up.

    Returns
    -------
    known, had_event : ndarray of bool, shape (n_rules, n_subjects)
        By a day, status is known of those who had the event by then or were followed until then.
    """
    if day is None:
        return tables.at_risk, tables.event
    early = tables.event & (tables.duration <= day)
    return early | (tables.at_risk & (tables.duration >= day)), early


def kappa_matrix(
    known: NDArray[np.bool_], had_event: NDArray[np.bool_], rows: slice = _ALL
) -> NDArray[np.float64]:
    """Compute Cohen's kappa between every pair of definitions.

    Parameters
    ----------
    known : ndarray of bool, shape (n_rules, n_subjects)
        Whose status is known.
    had_event : ndarray of bool, shape (n_rules, n_subjects)
        Who had the event; False where not known.
    rows : slice, optional
        Which rows of the matrix; all by default.

    Returns
    -------
    ndarray, shape (n_rules, n_rules), or of the rows asked for
        Symmetric. 1 is full agreement, 0 what chance gives; missing (NaN) where a pair has nobody
        in common, or both definitions give everybody in common the same status.

    Notes
    -----
    With a, b, c, d the subjects of a pair that both, only the first, only the second and neither
    gave the event, ``kappa = 2 (a d - b c) / ((a + b)(b + d) + (a + c)(c + d))`` [1]_. The four
    counts of all pairs are products of the status matrices: in single precision, exact up to
    16,777,216 subjects.

    References
    ----------
    .. [1] Cohen J. A coefficient of agreement for nominal scales. Educ Psychol Meas 1960;20:37-46.
       doi:10.1177/001316446002000104
    """
    yes = had_event.astype(np.float32)
    no = (known & ~had_event).astype(np.float32)
    both = (yes[rows] @ yes.T).astype(float)
    neither = (no[rows] @ no.T).astype(float)
    only_first = (yes[rows] @ no.T).astype(float)
    only_second = (no[rows] @ yes.T).astype(float)
    agreement = 2 * (both * neither - only_first * only_second)
    chance = (both + only_first) * (only_first + neither)
    chance += (both + only_second) * (only_second + neither)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(chance > 0, agreement / chance, np.nan)


def median_kappa(known: NDArray[np.bool_], had_event: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Summarise how well each definition agrees with the others.

    Parameters
    ----------
    known, had_event : ndarray of bool, shape (n_rules, n_subjects)
        See :func:`kappa_matrix`.

    Returns
    -------
    ndarray, shape (n_rules,)
        Median over the others; missing (NaN) where there is no other with a kappa.
    """
    starts = range(0, len(known), _BLOCK)
    blocks = [_row_medians(known, had_event, start) for start in starts]
    return np.concatenate(blocks)


def _row_medians(
    known: NDArray[np.bool_], had_event: NDArray[np.bool_], start: int
) -> NDArray[np.float64]:
    """Return the medians of a block of rows, so that the whole matrix is never needed."""
    others = kappa_matrix(known, had_event, slice(start, start + _BLOCK))
    row = np.arange(len(others))
    others[row, start + row] = np.nan
    others.sort(axis=1)  # missing ones last
    count = (~np.isnan(others)).sum(axis=1)
    low = others[row, np.maximum(count - 1, 0) // 2]
    high = others[row, np.minimum(count // 2, others.shape[1] - 1)]
    return np.where(count > 0, (low + high) / 2, np.nan)
