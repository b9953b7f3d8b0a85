"""Survival given a history under a joint model, on arrays: exact, and by draws."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pmsstats.models.joint.layout import hazard_points, lay_out, points_between
from pmsstats.models.joint.maximise import default_nodes
from pmsstats.models.joint.posterior import log_hazard
from pmsstats.models.joint.quadrature import TimePoints
from pmsstats.models.kernels.joint_likelihood import product_nodes
from pmsstats.models.kernels.joint_modes import Peaks, find_peaks
from pmsstats.models.kernels.joint_sums import JointSums, joint_sums
from pmsstats.models.kernels.joint_terms import joint_terms

if TYPE_CHECKING:
    from pmsstats.models.joint.arrays import HazardPoints, JointArrays
    from pmsstats.models.joint.data import JointData
    from pmsstats.models.joint.layout import JointDesign
    from pmsstats.models.kernels.joint_theta import JointTheta

__all__ = ["Futures", "PosteriorDraws", "draw_posterior", "expected_survival", "lay_out_futures"]

_DRAW_NODES = 5  # per random effect, for the weights of draws: their error is far below that of one
_WIDER = 1.1  # proposal over posterior SD, so that the weights of draws are bounded
_HIGHEST = 250.0  # log hazard that is as good as infinite


@dataclass(frozen=True, kw_only=True, eq=False)
class Futures:
    """Histories up to a landmark, and times after it, ready for the hazards.

    Parameters
    ----------
    arrays : JointArrays
        Measurements, and time without event up to the landmark.
    sums : JointSums
        The same, summed by subject.
    points : HazardPoints
        Quadrature between the landmark and the horizons.
    cell : ndarray of int, shape (n_points,)
        ``subject * n_horizons + k`` of points between horizon k - 1 (or the landmark) and k,
        never falling.
    n_horizons : int
        Horizons.
    """

    arrays: JointArrays
    sums: JointSums
    points: HazardPoints
    cell: np.ndarray
    n_horizons: int

    def survival(self, theta: JointTheta, effects: np.ndarray) -> np.ndarray:
        """Return survival from the landmark on, for given random effects.

        Parameters
        ----------
        theta : JointTheta
            Parameters.
        effects : ndarray, shape (n, Q, q)
            Random effects, on the scale of the fit.

        Returns
        -------
        ndarray, shape (n, n_horizons, Q)
            ``exp(-integral of all hazards)``.
        """
        n, Q, _ = effects.shape
        steps = _integrals(self.points, theta, effects, self.cell, n * self.n_horizons)
        return np.exp(-np.cumsum(steps.reshape(n, self.n_horizons, Q), axis=1))


@dataclass(frozen=True, kw_only=True, eq=False)
class PosteriorDraws:
    """Draws of parameters, and of the random effects given them and the history.

    Parameters
    ----------
    theta : ndarray, shape (n_draws, n_theta)
        From the estimates' asymptotic normal distribution.
    effects : ndarray, shape (n_draws, n, q)
        On the scale of the fit.
    weight : ndarray, shape (n_draws, n)
        Importance weights; they add up to 1 over the draws of each subject.
    survival : ndarray, shape (n_draws, n, n_horizons)
        Of each draw.
    """

    theta: np.ndarray
    effects: np.ndarray
    weight: np.ndarray
    survival: np.ndarray


def _integrals(
    points: HazardPoints, theta: JointTheta, effects: np.ndarray, cell: np.ndarray, n_cells: int
) -> np.ndarray:
    """Integrate the hazards of all causes within cells of points: shape (n_cells, Q)."""
    out = np.zeros((n_cells, effects.shape[1]))
    if not len(cell):
        return out
    hazard = np.exp(np.minimum(log_hazard(points, theta, effects), _HIGHEST)).sum(axis=2)
    first = np.flatnonzero(np.diff(cell, prepend=-1))
    out[cell[first]] = np.add.reduceat(points.weight[:, None] * hazard, first, axis=0)
    return out


def lay_out_futures(
    design: JointDesign, history: JointData, horizons: np.ndarray, *, n_panels: int = 1
) -> Futures:
    """Lay histories and horizons out as arrays.

    Parameters
    ----------
    design : JointDesign
        Of the fit.
    history : JointData
        Subjects without event up to the landmark, ``history.events.lower``.
    horizons : ndarray, shape (n_horizons,)
        Ascending, from the landmark on.
    n_panels : int, default 1
        Panels of the quadrature per smooth piece.

    Returns
    -------
    Futures
        Arrays.
    """
    arrays = lay_out(design, history, n_panels=n_panels)
    K, start = len(horizons), history.events.lower
    upper = np.maximum(horizons, start[:, None])
    lower = np.hstack([start[:, None], upper[:, :-1]])
    by_cell = points_between(design, lower.ravel(), upper.ravel(), n_panels=n_panels)
    points = TimePoints(subject=by_cell.subject // K, time=by_cell.time, weight=by_cell.weight)
    return Futures(
        arrays=arrays,
        sums=joint_sums(arrays),
        points=hazard_points(design, history, points),
        cell=by_cell.subject,
        n_horizons=K,
    )


def _weighted_nodes(
    futures: Futures,
    theta: JointTheta,
    n_nodes: int,
    *,
    start: np.ndarray | None = None,
    extra: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, Peaks, np.ndarray | None]:
    """Represent the posterior of the random effects; also evaluate it at extra points.

    Returns nodes (n, Q, q), weights (n, Q) that add up to 1, the peaks, and the posterior density
    relative to the standard normal one at ``peak + root @ extra``, shape (n,).
    """
    sums = futures.sums
    n = sums.n_subjects
    terms = joint_terms(sums, theta)
    peaks = find_peaks(sums, terms, start)
    q = peaks.centre.shape[1]
    _, grid, log_weight = product_nodes(q, n_nodes)
    offsets = np.broadcast_to(grid.T, (n, len(log_weight), q))
    if extra is not None:
        offsets = np.concatenate([offsets, extra[:, None]], axis=1)
    nodes = peaks.centre[:, None] + np.einsum("nqr,nzr->nzq", peaks.root, offsets)
    log_density = np.einsum("nq,nzq->nz", terms.pull, nodes)
    log_density -= 0.5 * np.einsum("nzq,nqr,nzr->nz", nodes, terms.precision, nodes)
    at_risk = futures.arrays.at_risk
    log_density -= _integrals(at_risk, theta, nodes, at_risk.subject, n)
    Q = len(log_weight)
    logs = log_density[:, :Q] + log_weight
    top = logs.max(axis=1, keepdims=True)
    weights = np.exp(logs - top)
    total = weights.sum(axis=1, keepdims=True)
    ratio = None
    if extra is not None:  # density of the standardised effects over the proposal's, see below
        ratio = np.exp(log_density[:, Q] - top[:, 0]) / total[:, 0]
    return nodes[:, :Q], weights / total, peaks, ratio


def expected_survival(
    futures: Futures, theta: np.ndarray, n_nodes: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return survival given the history, averaged over the random effects' posterior.

    Parameters
    ----------
    futures : Futures
        Histories and horizons.
    theta : ndarray, shape (n_theta,)
        Parameters on the scale of the fit.
    n_nodes : int, optional
        Gauss-Hermite nodes per random effect.

    Returns
    -------
    survival : ndarray, shape (n, n_horizons)
        ``E[S(u | b) / S(t | b) | T > t, history]``: eq. 2 of [1]_.
    effects : ndarray, shape (n, q)
        Posterior means, on the scale of the fit.

    References
    ----------
    .. [1] Rizopoulos D. Dynamic predictions and prospective accuracy in joint models for
       longitudinal and time-to-event data. Biometrics 2011;67:819-829.
       doi:10.1111/j.1541-0420.2010.01546.x
    """
    shape = futures.sums.shape
    parts = shape.unpack(theta)
    n_nodes = default_nodes(shape.q) if n_nodes is None else n_nodes
    nodes, weights, _, _ = _weighted_nodes(futures, parts, n_nodes)
    survival = np.einsum("nkz,nz->nk", futures.survival(parts, nodes), weights)
    return np.clip(survival, 0.0, 1.0), np.einsum("nzq,nz->nq", nodes, weights)


def draw_posterior(
    futures: Futures,
    theta: np.ndarray,
    covariance: np.ndarray,
    *,
    n_draws: int,
    rng: np.random.Generator,
) -> PosteriorDraws:
    """Draw parameters, then random effects given parameters and history, then survival.

    Parameters
    ----------
    futures : Futures
        Histories and horizons.
    theta : ndarray, shape (n_theta,)
        Estimates on the scale of the fit.
    covariance : ndarray, shape (n_theta, n_theta)
        Of the estimates.
    n_draws : int
        How many.
    rng : numpy.random.Generator
        Source of randomness; the draws of a subject depend on its place.

    Returns
    -------
    PosteriorDraws
        Weighted draws.

    Notes
    -----
    The scheme of [1]_, with importance weights in place of Metropolis-Hastings steps: the random
    effects are proposed from a normal distribution at the mode of their posterior, a little wider
    than it, and weighted by posterior over proposal density, whose normalising constant is known
    by quadrature. The weights are close to 1.

    References
    ----------
    .. [1] Rizopoulos D. Dynamic predictions and prospective accuracy in joint models for
       longitudinal and time-to-event data. Biometrics 2011;67:819-829.
       doi:10.1111/j.1541-0420.2010.01546.x
    """
    shape, n = futures.sums.shape, futures.sums.n_subjects
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    thetas = theta + rng.standard_normal((n_draws, len(theta))) @ root.T
    standard = _WIDER * rng.standard_normal((n_draws, n, shape.q))
    effects = np.empty_like(standard)
    log_proposal = -0.5 * (standard / _WIDER) ** 2
    weight = np.empty((n_draws, n))
    survival = np.empty((n_draws, n, futures.n_horizons))
    start = None
    for draw in range(n_draws):  # each has hazards and modes of its own
        parts = shape.unpack(thetas[draw])
        _, _, peaks, ratio = _weighted_nodes(
            futures, parts, _DRAW_NODES, start=start, extra=standard[draw]
        )
        start = peaks.centre if start is None else start
        weight[draw] = ratio / np.exp(log_proposal[draw].sum(axis=1))
        effects[draw] = peaks.centre + np.einsum("nqr,nr->nq", peaks.root, standard[draw])
        survival[draw] = futures.survival(parts, effects[draw][:, None])[:, :, 0]
    weight /= weight.sum(axis=0)
    return PosteriorDraws(theta=thetas, effects=effects, weight=weight, survival=survival)
