"""Where the integrand over a subject's random effects peaks, and how wide it is there.

The logarithm of the integrand is a normal density's plus known events' (linear in `b`) less the
integral of hazards (convex in `b`), thus concave; only the interval of an unknown time of the event
can bend it the other way, and that part of the curvature is left out where it does. Newton's method
runs for all subjects at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pmsstats.models.kernels.joint_sums import JointSums, segment_sums
from pmsstats.models.kernels.joint_terms import JointTerms

__all__ = ["Peaks", "find_peaks"]

_MAX_STEPS = 60
_DONE = 1e-10  # square of a step in posterior standard deviations
_SHORTER = 0.3  # of a step that went down
_HIGHEST = 250.0  # logarithm of a hazard that is as good as infinite
_LEAST_HAZARD = 1e-300


@dataclass(frozen=True, kw_only=True, eq=False)
class Peaks:
    """Peaks of all subjects.

    Parameters
    ----------
    centre : ndarray, shape (n, q)
        Modes.
    root : ndarray, shape (n, q, q)
        Lower triangles: times their transposes, the inverses of minus the second derivatives.
    """

    centre: np.ndarray
    root: np.ndarray


def find_peaks(sums: JointSums, terms: JointTerms, start: np.ndarray | None = None) -> Peaks:
    """Find all modes.

    Parameters
    ----------
    sums : JointSums
        The data.
    terms : JointTerms
        Coefficients at the parameters.
    start : ndarray, shape (n, q), optional
        Where to start; the mode without hazards' integrals by default.

    Returns
    -------
    Peaks
        Modes and scales.
    """
    b = np.linalg.solve(terms.precision, terms.pull[:, :, None])[:, :, 0]
    if start is not None and len(sums.subject):  # without hazards this is the mode
        b = start
    height, gradient, curvature = _integrand(sums, terms, b)
    for _ in range(_MAX_STEPS if len(sums.subject) else 0):
        step = np.linalg.solve(curvature, gradient[:, :, None])[:, :, 0]
        if not np.any(np.einsum("nq,nq->n", step, gradient) > _DONE):
            break
        b, height, gradient, curvature = _advance(sums, terms, (b, height, gradient), step)
    inverse = np.linalg.inv(curvature)
    root = np.linalg.cholesky((inverse + inverse.transpose(0, 2, 1)) / 2)
    return Peaks(centre=np.ascontiguousarray(b), root=root)


def _advance(
    sums: JointSums, terms: JointTerms, here: tuple[np.ndarray, ...], step: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Go along a step, less far where it leads down."""
    b, height, _ = here
    for _ in range(_MAX_STEPS):
        found = _integrand(sums, terms, b + step)
        slack = 1e-9 * (1.0 + np.abs(height))
        worse = ~(found[0] >= height - slack)
        if not worse.any():
            break
        step = np.where(worse[:, None], _SHORTER * step, step)
    return b + step, *found


def _integrand(
    sums: JointSums, terms: JointTerms, b: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the log integrand up to a constant, its slope, minus its second derivative."""
    q = b.shape[1]
    Ab = np.einsum("nqr,nr->nq", terms.precision, b)
    height = np.einsum("nq,nq->n", terms.pull - Ab / 2, b)
    gradient, curvature = terms.pull - Ab, terms.precision
    if not len(sums.subject):
        return height, gradient, curvature
    first, second = _integrals(sums, terms, b)
    height = height - first[:, 0]
    gradient = gradient - first[:, 1 : 1 + q]
    curvature = curvature + _symmetric(first[:, 1 + q :], q)
    has = np.flatnonzero(sums.bounds[:, 2] > sums.bounds[:, 1])
    if len(has):
        hazard = np.clip(second[has, 0], _LEAST_HAZARD, _HIGHEST)
        ratio = 1.0 / np.expm1(hazard)
        slope = second[has, 1 : 1 + q]
        height[has] += np.log(-np.expm1(-hazard))
        gradient[has] += ratio[:, None] * slope
        bend = (ratio * (1.0 + ratio))[:, None, None] * slope[:, :, None] * slope[:, None, :]
        bend -= ratio[:, None, None] * _symmetric(second[has, 1 + q :], q)
        total = curvature[has] + bend
        is_peak = np.linalg.eigvalsh(total)[:, 0] > 0.0
        curvature[has] = np.where(is_peak[:, None, None], total, curvature[has])
    return height, gradient, curvature


def _integrals(sums: JointSums, terms: JointTerms, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return hazards' integrals with derivatives in `b`, at risk and over the event's interval.

    Columns: the integral, its q slopes, the q (q + 1) / 2 products of its second derivative.
    """
    n, q = b.shape
    rows, columns = np.triu_indices(q)
    at_points = b[sums.subject]
    parts = np.zeros((len(sums.subject), 1 + q + len(rows)))
    for base, slope in zip(terms.base, terms.slope, strict=True):
        log_hazard = base + np.einsum("tq,tq->t", slope, at_points)
        hazard = sums.weight * np.exp(np.minimum(log_hazard, _HIGHEST))
        parts[:, 0] += hazard
        first = hazard[:, None] * slope
        parts[:, 1 : 1 + q] += first
        parts[:, 1 + q :] += first[:, rows] * slope[:, columns]
    counts = np.diff(sums.bounds, axis=1)
    if not counts[:, 1].any():
        return segment_sums(parts, sums.subject, n), np.zeros((n, 0))
    late = np.repeat(np.tile([0, 1], n), counts.ravel())
    both = segment_sums(parts, 2 * sums.subject + late, 2 * n)
    return both[0::2], both[1::2]


def _symmetric(products: np.ndarray, q: int) -> np.ndarray:
    """Return symmetric matrices of their upper triangles, shape (n, q, q)."""
    out = np.empty((len(products), q, q))
    rows, columns = np.triu_indices(q)
    out[:, rows, columns] = products
    out[:, columns, rows] = products
    return out
