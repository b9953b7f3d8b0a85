"""What a joint likelihood needs of the data whatever the parameters are: sums, once per data set.

Markers enter through sums of products per subject, known events through sums of their rows (log
hazards are linear in the random effects), and the integrals over time through their points, those
of one subject side by side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pmsstats.models.kernels.joint_theta import JointShape

if TYPE_CHECKING:
    from pmsstats.models.joint.arrays import HazardPoints, JointArrays

__all__ = ["JointSums", "entry_sums", "joint_sums", "segment_sums"]


@dataclass(frozen=True, kw_only=True, eq=False)
class JointSums:
    """Sums of a data set.

    Parameters
    ----------
    shape : JointShape
        Numbers of parameters.
    n_subjects : int
        How many.
    n_rows : ndarray, shape (n, K)
        Measurements per subject and marker.
    XX : ndarray, shape (n, p, p)
        Products of the fixed effects' columns; zero between markers, as all that follow.
    XZ : ndarray, shape (n, p, q)
        With the random effects' columns.
    ZZ : ndarray, shape (n, q, q)
        Of the random effects' columns.
    Xy : ndarray, shape (n, p)
        Of the fixed effects' columns with the values.
    Zy : ndarray, shape (n, q)
        Of the random effects' columns with the values.
    yy : ndarray, shape (n, K)
        Squares of the values.
    n_events : ndarray of int, shape (C,)
        Events at known times per cause.
    event_basis : ndarray, shape (n, sum of n_psi)
        Baseline rows of events.
    event_fixed : ndarray, shape (n, C, n_links, p)
        What the associations take of the fixed effects at events.
    event_random : ndarray, shape (n, C, n_links, q)
        What they take of the random effects.
    subject : ndarray of int, shape (n_points,)
        Of the points of integrals over time.
    weight : ndarray, shape (n_points,)
        Of these points.
    basis : tuple of ndarray, shape (n_points, n_psi_c)
        Baseline at these points.
    fixed : ndarray, shape (n_links, n_points, p)
        What the associations take of the fixed effects there.
    random : ndarray, shape (n_links, n_points, q)
        What they take of the random effects.
    bounds : ndarray of int, shape (n, 3)
        A subject's points at risk are those from the first to the second, of the interval of its
        event from the second to the third.
    """

    shape: JointShape
    n_subjects: int
    n_rows: np.ndarray
    XX: np.ndarray
    XZ: np.ndarray
    ZZ: np.ndarray
    Xy: np.ndarray
    Zy: np.ndarray
    yy: np.ndarray
    n_events: np.ndarray
    event_basis: np.ndarray
    event_fixed: np.ndarray
    event_random: np.ndarray
    subject: np.ndarray
    weight: np.ndarray
    basis: tuple[np.ndarray, ...]
    fixed: np.ndarray
    random: np.ndarray
    bounds: np.ndarray


def segment_sums(values: np.ndarray, code: np.ndarray, n: int) -> np.ndarray:
    """Add rows with the same code.

    Parameters
    ----------
    values : ndarray, shape (n_rows, ...)
        Rows, sorted by code.
    code : ndarray of int, shape (n_rows,)
        From 0, never falling.
    n : int
        Number of codes.

    Returns
    -------
    ndarray, shape (n, ...)
        Zero where a code has no row.
    """
    sums = np.zeros((n, *values.shape[1:]))
    if len(code):
        first = np.flatnonzero(np.r_[True, np.diff(code) != 0])
        sums[code[first]] = np.add.reduceat(values, first, axis=0)
    return sums


def joint_sums(arrays: JointArrays) -> JointSums:
    """Add up everything but the integrals of left truncation.

    Parameters
    ----------
    arrays : JointArrays
        The data.

    Returns
    -------
    JointSums
        Ready for :func:`pmsstats.models.kernels.joint_likelihood.evaluate`.
    """
    shape = JointShape(arrays.n_fixed, arrays.n_random, arrays.n_psi, arrays.n_links)
    return JointSums(
        shape=shape,
        n_subjects=arrays.n_subjects,
        **_marker_sums(arrays, shape),
        **_event_sums(arrays, shape),
        **_points(arrays.at_risk, arrays.interval, arrays.n_subjects),
    )


def entry_sums(arrays: JointArrays) -> tuple[JointSums, np.ndarray] | None:
    """Add up what the probability of being free of events at entry needs.

    Parameters
    ----------
    arrays : JointArrays
        The data.

    Returns
    -------
    tuple of JointSums and ndarray of int, or None
        Of late entrants alone, as subjects without measurements or events, and their codes;
        None where nobody entered late.
    """
    codes, subject = np.unique(arrays.entry.subject, return_inverse=True)
    if not len(codes):
        return None
    shape = JointShape(arrays.n_fixed, arrays.n_random, arrays.n_psi, arrays.n_links)
    n, p, q, K = len(codes), shape.p, shape.q, len(shape.n_fixed)
    C, M = len(shape.n_psi), shape.n_links
    nothing = _points(arrays.entry, None, n, subject)
    return JointSums(
        shape=shape,
        n_subjects=n,
        n_rows=np.zeros((n, K)),
        XX=np.zeros((n, p, p)),
        XZ=np.zeros((n, p, q)),
        ZZ=np.zeros((n, q, q)),
        Xy=np.zeros((n, p)),
        Zy=np.zeros((n, q)),
        yy=np.zeros((n, K)),
        n_events=np.zeros(C, dtype=int),
        event_basis=np.zeros((n, sum(shape.n_psi))),
        event_fixed=np.zeros((n, C, M, p)),
        event_random=np.zeros((n, C, M, q)),
        **nothing,
    ), codes


def _marker_sums(arrays: JointArrays, shape: JointShape) -> dict[str, np.ndarray]:
    """Return the sums of products of every marker in its own block."""
    n, p, q, K = arrays.n_subjects, shape.p, shape.q, len(arrays.markers)
    sums = {
        "n_rows": np.zeros((n, K)),
        "XX": np.zeros((n, p, p)),
        "XZ": np.zeros((n, p, q)),
        "ZZ": np.zeros((n, q, q)),
        "Xy": np.zeros((n, p)),
        "Zy": np.zeros((n, q)),
        "yy": np.zeros((n, K)),
    }
    for k, marker in enumerate(arrays.markers):
        x = np.flatnonzero(shape.marker_of_fixed == k)
        z = np.flatnonzero(shape.marker_of_random == k)
        rows = np.column_stack([marker.X, marker.Z, marker.y, np.ones(len(marker.y))])
        outer = segment_sums(rows[:, :, None] * rows[:, None, :], marker.subject, n)
        X, Z = slice(0, len(x)), slice(len(x), len(x) + len(z))
        sums["n_rows"][:, k], sums["yy"][:, k] = outer[:, -1, -1], outer[:, -2, -2]
        sums["XX"][:, x[:, None], x] = outer[:, X, X]
        sums["XZ"][:, x[:, None], z] = outer[:, X, Z]
        sums["ZZ"][:, z[:, None], z] = outer[:, Z, Z]
        sums["Xy"][:, x], sums["Zy"][:, z] = outer[:, X, -2], outer[:, Z, -2]
    return sums


def _event_sums(arrays: JointArrays, shape: JointShape) -> dict[str, np.ndarray]:
    """Return the sums of the rows of known events."""
    n, C = arrays.n_subjects, arrays.n_causes
    M, p, q, event = shape.n_links, shape.p, shape.q, arrays.event
    has = arrays.event_cause[:, None] == np.arange(C)  # (n_event_rows, C)
    basis = [event.basis[c] * has[:, [c]] for c in range(C)]
    fixed = has[:, :, None, None] * np.moveaxis(event.fixed, 0, 1)[:, None]
    random = has[:, :, None, None] * np.moveaxis(event.random, 0, 1)[:, None]
    return {
        "n_events": has.sum(0),
        "event_basis": segment_sums(np.hstack(basis), event.subject, n),
        "event_fixed": segment_sums(fixed, event.subject, n).reshape(n, C, M, p),
        "event_random": segment_sums(random, event.subject, n).reshape(n, C, M, q),
    }


def _points(
    at_risk: HazardPoints, interval: HazardPoints | None, n: int, subject: np.ndarray | None = None
) -> dict:
    """Put the points of one subject side by side: at risk first, of the event's interval next."""
    subject = at_risk.subject if subject is None else subject
    both = (at_risk,) if interval is None or not len(interval.subject) else (at_risk, interval)
    codes = [subject, *(points.subject for points in both[1:])]
    subjects = np.concatenate(codes)
    late = np.repeat(np.arange(len(both)), [len(code) for code in codes])
    order = np.lexsort((late, subjects))
    counts = np.bincount(2 * subjects + late, minlength=2 * n).reshape(n, 2)
    ends = np.cumsum(counts.ravel()).reshape(n, 2)
    return {
        "subject": subjects[order],
        "weight": np.concatenate([points.weight for points in both])[order],
        "basis": tuple(
            np.ascontiguousarray(np.concatenate(parts)[order])
            for parts in zip(*(points.basis for points in both), strict=True)
        ),
        "fixed": np.concatenate([points.fixed for points in both], axis=1)[:, order],
        "random": np.concatenate([points.random for points in both], axis=1)[:, order],
        "bounds": np.column_stack([ends[:, 0] - counts[:, 0], ends]),
    }
