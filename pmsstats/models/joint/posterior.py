"""The random effects' posterior, and hazards given them: what predictions are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pmsstats.models.joint.maximise import default_nodes
from pmsstats.models.kernels.joint_likelihood import product_nodes
from pmsstats.models.kernels.joint_modes import find_peaks
from pmsstats.models.kernels.joint_sums import JointSums, joint_sums, segment_sums
from pmsstats.models.kernels.joint_terms import JointTerms, joint_terms
from pmsstats.models.kernels.joint_theta import JointTheta

if TYPE_CHECKING:
    from pmsstats.models.joint.arrays import HazardPoints, JointArrays

__all__ = ["log_hazard", "posterior_nodes"]


def posterior_nodes(
    arrays: JointArrays, theta: np.ndarray, n_nodes: int | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Represent the random effects' posterior given everything in the arrays by weighted nodes.

    Parameters
    ----------
    arrays : JointArrays
        What was seen of the subjects: measurements, and time without or until an event. Late
        entry tells nothing about the random effects beyond that.
    theta : ndarray, shape (n_theta,)
        Parameters, ordered as in :class:`pmsstats.models.joint.maximise.JointMaximum`.
    n_nodes : int, optional
        Nodes per random effect; :func:`pmsstats.models.joint.maximise.default_nodes` by default.

    Returns
    -------
    nodes : ndarray, shape (n, Q, q)
        Random effects; Q is `n_nodes` to the power q.
    weights : ndarray, shape (n, Q)
        Posterior probabilities: they add up to 1 for every subject.
    log_likelihood : ndarray, shape (n,)
        Of what was seen, given no condition on late entry.
    """
    sums = joint_sums(arrays)
    shape = sums.shape
    n_nodes = default_nodes(shape.q) if n_nodes is None else n_nodes
    with np.errstate(all="ignore"):
        terms = joint_terms(sums, shape.unpack(theta))
        peaks = find_peaks(sums, terms)
        _, grid, log_weight = product_nodes(shape.q, n_nodes)
        nodes = peaks.root @ grid + peaks.centre[:, :, None]
        logs = log_weight + np.log(np.diagonal(peaks.root, axis1=1, axis2=2)).sum(1)[:, None]
        logs = logs + _log_integrand(sums, terms, nodes)
    top = logs.max(1, keepdims=True)
    weights = np.exp(logs - top)
    total = weights.sum(1, keepdims=True)
    return nodes.transpose(0, 2, 1), weights / total, (top + np.log(total))[:, 0]


def _log_integrand(sums: JointSums, terms: JointTerms, nodes: np.ndarray) -> np.ndarray:
    """Return the log density of everything seen and `b` at nodes, shape (n, Q)."""
    n, q, _ = nodes.shape
    rows, columns = np.triu_indices(q)
    density = terms.density[:, 0]
    logs = density[:, :1] + np.einsum("nq,nqz->nz", density[:, 1 : 1 + q], nodes)
    logs += np.einsum("nf,nfz->nz", density[:, 1 + q :], nodes[:, rows] * nodes[:, columns])
    if not len(sums.subject):
        return logs
    at_points = nodes[sums.subject]
    hazard = np.zeros((len(sums.subject), nodes.shape[2]))
    for base, slope in zip(terms.base, terms.slope, strict=True):
        log_hazards = base[:, None] + np.einsum("tq,tqz->tz", slope, at_points)
        hazard += sums.weight[:, None] * np.exp(np.minimum(log_hazards, 250.0))
    counts = np.diff(sums.bounds, axis=1)
    late = np.repeat(np.tile([0, 1], n), counts.ravel())
    both = segment_sums(hazard, 2 * sums.subject + late, 2 * n)
    logs -= both[0::2]
    has = np.flatnonzero(counts[:, 1])
    logs[has] += np.log(-np.expm1(-np.maximum(both[1::2][has], 1e-300)))
    return logs


def log_hazard(points: HazardPoints, theta: JointTheta, nodes: np.ndarray) -> np.ndarray:
    """Return log hazards at points in time for given random effects.

    Parameters
    ----------
    points : HazardPoints
        Times of subjects.
    theta : JointTheta
        Parameters: `JointShape.unpack` of those that were fitted.
    nodes : ndarray, shape (n, Q, q)
        Random effects of all subjects, of :func:`posterior_nodes`.

    Returns
    -------
    ndarray, shape (n_points, Q, C)
        By point, node and cause.
    """
    at_points = nodes[points.subject]
    level = points.fixed @ theta.beta
    links = level[:, :, None] + np.einsum("mtq,tzq->mtz", points.random, at_points)
    causes = [
        (basis @ psi)[:, None] + np.tensordot(alpha, links, 1)
        for basis, psi, alpha in zip(points.basis, theta.psi, theta.alpha, strict=True)
    ]
    return np.stack(causes, axis=2)
