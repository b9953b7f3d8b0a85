"""The day on which the k-th of several events happened, where each is known in part."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["KthEvent", "PartTimes", "kth_event"]

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class PartTimes:
    """When each of several events happened to each subject; shapes (n_subjects, n_parts), days.

    Parameters
    ----------
    at_risk : ndarray of bool
        Whether the subject can be assessed for the part. Where not, its other entries are ignored.
    event : ndarray of bool
        Whether the part was seen to happen.
    day : ndarray of float
        Day on which it did, or on which its assessment ended.
    left, right : ndarray of float
        The part happened after `left`, and not after `right` (infinite if it was not seen to);
        on that very day if both are the same.
    """

    at_risk: BoolArray
    event: BoolArray
    day: FloatArray
    left: FloatArray
    right: FloatArray


@dataclass(frozen=True, kw_only=True, eq=False)
class KthEvent:
    """When the k-th event happened; shapes (n_subjects,), days.

    Parameters
    ----------
    event : ndarray of bool
        Whether k parts were seen to happen.
    day : ndarray of float
        Day on which the k-th of them did; infinite where fewer did.
    left, right : ndarray of float
        The k-th event happened after `left`, and not after `right`; on that very day if both are
        the same.
    first_end : ndarray of float
        Last day up to which fewer than k parts can have happened, where those that were seen did
        so on their `day`, and the others on any day after theirs.
    last_end : ndarray of float
        Last day on which any part was seen to happen or was assessed.
    """

    event: BoolArray
    day: FloatArray
    left: FloatArray
    right: FloatArray
    first_end: FloatArray
    last_end: FloatArray


def kth_event(parts: PartTimes, k: int) -> KthEvent:
    r"""Find when k of several events had happened.

    Parameters
    ----------
    parts : PartTimes
        One column per event.
    k : int
        From 1 to the number of parts.

    Returns
    -------
    KthEvent
        Subjects with fewer than k parts at risk get infinite days.

    Notes
    -----
    The k-th smallest of the times :math:`T_1, ..., T_n` grows with each of them. So where each
    lies in its own interval :math:`(L_i, R_i]`, it can be anything from the k-th smallest of the
    :math:`L_i` (excluded) to the k-th smallest of the :math:`R_i`, and nothing else. A part that
    was not seen to happen has :math:`R_i = \infty`. Days are whole: an exact day d is the
    interval (d - 1, d], and the other way round.

    In right-censored data an event has its day :math:`D_i`, which is the interval
    :math:`(D_i - 1, D_i]`, and assessment without one ended at :math:`C_i`: up to the k-th
    smallest of :math:`D_i - 1` and :math:`C_i`, fewer than k parts can have happened.
    """
    left = np.where(parts.left == parts.right, parts.right - 1, parts.left)
    low = _kth(np.where(parts.at_risk, left, np.inf), k)
    high = _kth(np.where(parts.at_risk & parts.event, parts.right, np.inf), k)
    day = _kth(np.where(parts.at_risk & parts.event, parts.day, np.inf), k)
    return KthEvent(
        event=np.isfinite(day),
        day=day,
        left=np.where(high - 1 <= low, high, low),
        right=high,
        first_end=_kth(np.where(parts.at_risk, parts.day - parts.event, np.inf), k),
        last_end=np.where(parts.at_risk, parts.day, -np.inf).max(axis=1, initial=-np.inf),
    )


def _kth(values: FloatArray, k: int) -> FloatArray:
    """Return the k-th smallest of each row."""
    return np.partition(values, k - 1, axis=1)[:, k - 1]
