"""Who is at risk and who has which event, at every time: what all curves and tests count from."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

__all__ = ["RiskTable", "segments", "tabulate_at_risk"]


@dataclass(frozen=True, kw_only=True, eq=False)
class RiskTable:
    """Counts at the distinct times of each stratum, ordered by stratum and time.

    Parameters
    ----------
    stratum : ndarray of int, shape (n_times,)
        Stratum of each time; times of one stratum count subjects of that stratum only.
    time : ndarray, shape (n_times,)
        Ascending within stratum.
    n_at_risk : ndarray of int, shape (n_groups, n_times)
        Subjects with entry before and follow-up up to the time.
    n_events : ndarray of int, shape (n_causes, n_groups, n_times)
        Events at the time, by cause.
    n_censored : ndarray of int, shape (n_groups, n_times)
        Subjects whose follow-up ends at the time without an event.
    """

    stratum: np.ndarray
    time: np.ndarray
    n_at_risk: np.ndarray
    n_events: np.ndarray
    n_censored: np.ndarray


def tabulate_at_risk(
    duration: np.ndarray,
    code: np.ndarray,
    *,
    group: np.ndarray | None = None,
    stratum: np.ndarray | None = None,
    entry: np.ndarray | None = None,
    n_causes: int = 1,
    every_time: bool = False,
) -> RiskTable:
    """Count subjects at risk and events at each distinct time.

    Parameters
    ----------
    duration : ndarray, shape (n_subjects,)
        End of follow-up.
    code : ndarray of int or bool, shape (n_subjects,)
        0 for censored, else the cause from 1 to `n_causes`.
    group, stratum : ndarray of int, shape (n_subjects,), optional
        Codes from 0; one of each by default.
    entry : ndarray, shape (n_subjects,), optional
        A subject is at risk over (entry, duration]; from the beginning by default.
    n_causes : int, default 1
        How many causes there are.
    every_time : bool, default False
        Whether times at which subjects are only censored are listed too.

    Returns
    -------
    RiskTable
        Its groups and causes are those of the codes.

    Notes
    -----
    As everywhere in survival analysis, who is censored at the time of an event is at risk of it.
    """
    code = np.asarray(code, dtype=np.int64)
    group = np.zeros(len(code), dtype=np.int64) if group is None else np.asarray(group)
    stratum = np.zeros(len(code), dtype=np.int64) if stratum is None else np.asarray(stratum)
    n_groups = int(group.max(initial=0)) + 1
    times = np.unique(duration)
    span = len(times) + 1
    stop = stratum * span + np.searchsorted(times, duration)
    first = 0 if entry is None else np.searchsorted(times, entry, side="right")
    keys = np.unique(stop if every_time else stop[code > 0])
    enters = np.searchsorted(keys, stratum * span + first)
    leaves = np.searchsorted(keys, stop, side="right")
    shape = (n_groups, len(keys) + 1)
    change = _count(group, enters, shape) - _count(group, leaves, shape)
    at = np.searchsorted(keys, stop)
    return RiskTable(
        stratum=keys // span,
        time=times[keys % span],
        n_at_risk=np.cumsum(change, axis=1)[:, :-1],
        n_events=np.stack(
            [_count(group[code == c], at[code == c], shape)[:, :-1] for c in range(1, n_causes + 1)]
        ),
        n_censored=_count(group[code == 0], at[code == 0], shape)[:, :-1],
    )


def _count(row: np.ndarray, column: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Count how often each cell is met."""
    flat = row * shape[1] + column
    return np.bincount(flat, minlength=shape[0] * shape[1])[: shape[0] * shape[1]].reshape(shape)


def segments(stratum: np.ndarray) -> list[slice]:
    """Return where the times of each stratum stand.

    Parameters
    ----------
    stratum : ndarray of int, shape (n_times,)
        Ascending.

    Returns
    -------
    list of slice
        One per stratum that occurs.

    Examples
    --------
    >>> segments(np.array([0, 0, 2]))
    [slice(0, 2, None), slice(2, 3, None)]
    """
    edges = np.flatnonzero(np.diff(stratum, prepend=-1, append=-1))
    return [slice(int(a), int(b)) for a, b in pairwise(edges)]
