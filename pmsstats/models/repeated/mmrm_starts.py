"""Where the search for a covariance begins: moments of residuals, and plainer guesses."""

from __future__ import annotations

import numpy as np

from pmsstats.models.repeated.mmrm_covariance import SpatialCovariance
from pmsstats.models.repeated.mmrm_patterns import Patterns
from pmsstats.models.repeated.mmrm_structure import Covariance, VisitCovariance

__all__ = ["starting_values"]

_FLOOR = 0.02  # smallest eigenvalue that correlations from pairs of visits are raised to
_RANGES = (0.3, 1.0, 3.0, 0.1, 10.0)  # in typical distances between successive rows


def starting_values(
    laid: np.ndarray, patterns: Patterns, structure: Covariance
) -> list[np.ndarray]:
    """Return starting points for the optimiser, the most promising first.

    Parameters
    ----------
    laid : ndarray, shape (n_subjects, T, p + 1)
        By subject and slot; least-squares residuals of about unit size are in the last column.
    patterns : Patterns
        Who has which visits.
    structure : Covariance
        What the parameters mean.

    Returns
    -------
    list of ndarray, shape (k,)
        Parameters without bounds, group after group.
    """
    if isinstance(structure, SpatialCovariance):
        typical = _typical_distance(patterns)
        points = [structure.free(np.array([1.0, ratio * typical])) for ratio in _RANGES]
        return [np.tile(point, patterns.n_groups) for point in points]
    assert isinstance(structure, VisitCovariance)  # noqa: S101
    T = patterns.n_slots
    residuals, seen = laid[:, :, -1], patterns.seen[patterns.of_subject]
    own = []
    for g in range(patterns.n_groups):
        who = patterns.subject_slice(g)
        own.append(_moments(residuals[who], seen[who]))
    diagonal = [np.diag(np.diag(matrix)) for matrix in own]
    middle = [(matrix + plain) / 2 for matrix, plain in zip(own, diagonal, strict=True)]
    plain = [np.eye(T)] * patterns.n_groups
    return [
        np.concatenate([structure.free(structure.start(matrix), T) for matrix in matrices])
        for matrices in (own, middle, diagonal, plain)
    ]


def _moments(residuals: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return mean products of residuals over those who have both visits, positive definite."""
    together = seen.T.astype(float) @ seen
    products = residuals.T @ residuals / np.maximum(together, 1.0)
    variances = np.diag(products).copy()
    typical = float(variances[variances > 0].mean()) if (variances > 0).any() else 1.0
    variances = np.maximum(variances, 1e-4 * typical)
    s = np.sqrt(variances)
    correlations = np.clip(products / np.outer(s, s), -1, 1)
    np.fill_diagonal(correlations, 1.0)
    values, vectors = np.linalg.eigh(correlations)
    if values[0] < _FLOOR:
        raised = (vectors * np.maximum(values, _FLOOR)) @ vectors.T
        d = np.sqrt(np.diag(raised))
        correlations = raised / np.outer(d, d)
    return correlations * np.outer(s, s)


def _typical_distance(patterns: Patterns) -> float:
    """Return the median distance between rows of a subject, or 1 where nobody has two."""
    assert patterns.distances is not None  # noqa: S101
    positive = patterns.distances[patterns.distances > 0]
    return float(np.median(positive)) if len(positive) else 1.0
