"""Maximum likelihood of a joint model, from arrays to estimates: also the way of simulations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pmsstats.models.joint.certificate import Certificate, certify, more_nodes
from pmsstats.models.joint.climb import ARRIVED, Climb, climb
from pmsstats.models.joint.start import TwoStage, two_stage
from pmsstats.models.kernels.joint_likelihood import JointProblem, joint_problem
from pmsstats.models.kernels.joint_theta import JointShape

if TYPE_CHECKING:
    from pmsstats.models.joint.arrays import JointArrays

__all__ = ["JointMaximum", "default_nodes", "maximise"]

_NODES = {1: 15, 2: 9, 3: 7, 4: 5}  # per dimension; see `maximise` for what that leaves
_FEWEST = 3
_MENDS = 2  # times that more nodes are tried


@dataclass(frozen=True, kw_only=True, eq=False)
class JointMaximum:
    """Estimates of a joint model on the scale of its arrays.

    Parameters
    ----------
    shape : JointShape
        Where parameters stand in `theta`.
    beta : ndarray, shape (p,)
        Fixed effects of all markers.
    sigma : ndarray, shape (K,)
        Residual standard deviations.
    D : ndarray, shape (q, q)
        Covariance of the random effects.
    psi : tuple of ndarray, shape (n_psi_c,)
        Baseline coefficients per cause.
    alpha : ndarray, shape (C, n_links)
        Associations.
    theta : ndarray, shape (n_theta,)
        All of them as one vector: beta, log sigma, log-Cholesky vector of D, psi, alpha.
    covariance : ndarray, shape (n_theta, n_theta)
        Inverse of the observed information; not a number where that is singular.
    log_likelihood : float
        With all constants.
    score : ndarray, shape (n_theta,)
        Its derivatives.
    scores : ndarray, shape (n, n_theta)
        The same per subject, for robust variances.
    information : ndarray, shape (n_theta, n_theta)
        Observed.
    n_iterations : int
        Steps of the climb.
    n_evaluations : int
        Of the likelihood with its derivatives, those of the start included.
    n_nodes : int
        Gauss-Hermite nodes per random effect.
    posterior_mean : ndarray, shape (n, q)
        Of the random effects, given all that was seen.
    posterior_covariance : ndarray, shape (n, q, q)
        The same.
    certificate : Certificate
        What speaks for and against the fit.
    start : ndarray, shape (n_theta,)
        The two-stage estimates.
    """

    shape: JointShape
    beta: np.ndarray
    sigma: np.ndarray
    D: np.ndarray
    psi: tuple[np.ndarray, ...]
    alpha: np.ndarray
    theta: np.ndarray
    covariance: np.ndarray
    log_likelihood: float
    score: np.ndarray
    scores: np.ndarray
    information: np.ndarray
    n_iterations: int
    n_evaluations: int
    n_nodes: int
    posterior_mean: np.ndarray
    posterior_covariance: np.ndarray
    certificate: Certificate
    start: np.ndarray


def default_nodes(q: int) -> int:
    """Return how many Gauss-Hermite nodes each of q random effects gets.

    Parameters
    ----------
    q : int
        Number of random effects of all markers.

    Returns
    -------
    int
        15, 9, 7, 5 for one to four, 3 beyond.
    """
    return _NODES.get(q, _FEWEST)


def maximise(
    arrays: JointArrays,
    *,
    n_nodes: int | None = None,
    refine: Callable[[], JointArrays] | None = None,
    check_nodes: bool = True,
    start: np.ndarray | None = None,
) -> JointMaximum:
    """Fit a joint model by maximum likelihood.

    Parameters
    ----------
    arrays : JointArrays
        The data, on scales of order 1.
    n_nodes : int, optional
        Gauss-Hermite nodes per random effect. By default :func:`default_nodes`, and more, at most
        twice, where the certificate finds that too few.
    refine : callable, optional
        Returns the same data with about twice as many points over time, for the certificate.
    check_nodes : bool, default True
        Whether the certificate evaluates the likelihood with more nodes. Simulation loops that
        know their quadrature may save that.
    start : ndarray, shape (n_theta,), optional
        Where to start first. Next, and by default, come the two-stage estimates, then those with
        associations of zero, until a climb arrives.

    Returns
    -------
    JointMaximum
        Estimates. Whether they may be trusted is for `certificate` to say: it must be asked.

    Notes
    -----
    The log-likelihood of subject i is ``log int p(y_i | b) p(b) prod_events h(t | b)
    exp(-int_0^T h) [1 - exp(-int_L^R h)] db``, less the logarithm of the probability of no event
    before entry. The integral over `b` is an adaptive Gauss-Hermite sum centred at the mode of
    each subject's integrand, at every step; score and information are exact derivatives of the
    sum with its nodes held fixed. Newton's method climbs from the two-stage estimates.

    Examples
    --------
    >>> import numpy as np
    >>> from pmsstats.models.joint.arrays import (
    ...     HazardPoints,
    ...     JointArrays,
    ...     MarkerArrays,
    ...     no_points,
    ... )
    >>> rng = np.random.default_rng(1)
    >>> level, who = rng.normal(size=200), np.repeat(np.arange(200), 4)
    >>> y = level[who] + 0.5 * rng.normal(size=800)
    >>> T = rng.exponential(1 / np.exp(0.8 * level))
    >>> ones = np.ones((800, 1))
    >>> marker = MarkerArrays(y=y, X=ones, Z=ones, subject=who)
    >>> one = np.ones((1, 200, 1))
    >>> until = HazardPoints(
    ...     subject=np.arange(200), weight=T, basis=(one[0],), fixed=0 * one, random=one
    ... )
    >>> event = HazardPoints(
    ...     subject=np.arange(200), weight=one[0, :, 0], basis=(one[0],), fixed=0 * one, random=one
    ... )
    >>> fit = maximise(
    ...     JointArrays(
    ...         n_subjects=200,
    ...         markers=(marker,),
    ...         at_risk=until,
    ...         event=event,
    ...         event_cause=np.zeros(200, dtype=int),
    ...         interval=no_points(until),
    ...         entry=no_points(until),
    ...     )
    ... )
    >>> fit.certificate.is_valid
    True
    >>> bool(abs(fit.alpha[0, 0] - 0.8) < 3 * fit.covariance[-1, -1] ** 0.5)
    True
    """
    problem = joint_problem(arrays)
    shape = problem.sums.shape
    n_mends = _MENDS if n_nodes is None else 0
    n_nodes = default_nodes(shape.q) if n_nodes is None else n_nodes
    staged = two_stage(problem)
    unlinked = staged.theta.copy()
    unlinked[shape.alpha] = 0.0
    starts = (staged.theta, unlinked) if start is None else (start, staged.theta, unlinked)
    climbed = _first_to_arrive(problem, starts, n_nodes)
    certificate = certify(problem, climbed, n_nodes, check_nodes=check_nodes, refine=refine)
    while certificate.needs_nodes and n_mends > 0:
        n_nodes, n_mends = more_nodes(shape.q, n_nodes), n_mends - 1
        climbed = _first_to_arrive(problem, (climbed.at.theta, staged.theta), n_nodes)
        certificate = certify(problem, climbed, n_nodes, check_nodes=check_nodes, refine=refine)
    return _maximum(problem, climbed, certificate, n_nodes, staged)


def _first_to_arrive(problem: JointProblem, starts: tuple[np.ndarray, ...], n_nodes: int) -> Climb:
    """Climb from one start after the other until a maximum is reached; else return the highest."""
    climbs: list[Climb] = []
    for start in starts:
        climbs.append(climb(problem, start, n_nodes))
        has_arrived = climbs[-1].is_peak and climbs[-1].decrement < ARRIVED
        if has_arrived or climbs[-1].collapsed:
            return climbs[-1]
    return max(climbs, key=lambda climbed: climbed.at.value)


def _maximum(
    problem: JointProblem,
    climbed: Climb,
    certificate: Certificate,
    n_nodes: int,
    staged: TwoStage,
) -> JointMaximum:
    """Name everything that was found."""
    shape, at = problem.sums.shape, climbed.at
    parts = shape.unpack(at.theta)
    mean, covariance = _posterior(at.features, shape.q)
    return JointMaximum(
        shape=shape,
        beta=parts.beta,
        sigma=parts.sigma,
        D=parts.D,
        psi=parts.psi,
        alpha=parts.alpha,
        theta=at.theta,
        covariance=_inverse(at.information, is_full=np.isfinite(certificate.condition)),
        log_likelihood=at.value,
        score=at.score,
        scores=at.scores,
        information=at.information,
        n_iterations=climbed.n_iterations,
        n_evaluations=climbed.n_evaluations + staged.n_evaluations,
        n_nodes=n_nodes,
        posterior_mean=mean,
        posterior_covariance=covariance,
        certificate=certificate,
        start=staged.theta,
    )


def _posterior(features: np.ndarray, q: int) -> tuple[np.ndarray, np.ndarray]:
    """Return means and covariances of posterior means of ``(1, b, products of b)``."""
    mean = features[:, 1 : 1 + q]
    rows, columns = np.triu_indices(q)
    squares = np.empty((len(mean), q, q))
    squares[:, rows, columns] = features[:, 1 + q :]
    squares[:, columns, rows] = features[:, 1 + q :]
    return mean.copy(), squares - mean[:, :, None] * mean[:, None, :]


def _inverse(information: np.ndarray, *, is_full: bool) -> np.ndarray:
    """Invert a matrix that was scaled to ones on its diagonal first."""
    if not is_full:
        return np.full_like(information, np.nan)
    scale = 1.0 / np.sqrt(np.diag(information))
    inverse = np.linalg.inv(information * scale[:, None] * scale) * scale[:, None] * scale
    return (inverse + inverse.T) / 2
