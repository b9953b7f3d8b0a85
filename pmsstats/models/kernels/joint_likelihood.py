"""The log-likelihood of a joint model, its derivatives, and the random effects' posterior.

Nodes are adaptive: centred at the mode of every subject's integrand, and scaled by its curvature,
at every value of the parameters. Derivatives hold the nodes fixed, and are then exact derivatives
of the sum that stands for the integral [1]_.

References
----------
.. [1] Pinheiro JC, Bates DM. Approximations to the log-likelihood function in the nonlinear
   mixed-effects model. J Comput Graph Stat 1995;4:12-35. doi:10.1080/10618600.1995.10474663.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from pmsstats.models.kernels.joint_curvature import complete_information
from pmsstats.models.kernels.joint_modes import Peaks, find_peaks
from pmsstats.models.kernels.joint_sums import JointSums, entry_sums, joint_sums
from pmsstats.models.kernels.joint_terms import JointTerms, joint_terms

if TYPE_CHECKING:
    from pmsstats.models.joint.arrays import JointArrays

__all__ = ["Evaluation", "JointProblem", "evaluate", "joint_problem", "product_nodes"]


@dataclass(frozen=True, kw_only=True, eq=False)
class JointProblem:
    """Sums of a data set.

    Parameters
    ----------
    sums : JointSums
        Of everything but left truncation.
    entry : JointSums or None
        Of late entrants' time before entry.
    late : ndarray of int, shape (n_late,)
        Codes of late entrants.
    """

    sums: JointSums
    entry: JointSums | None
    late: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """The likelihood at one value of the parameters.

    Parameters
    ----------
    theta : ndarray, shape (n_theta,)
        The parameters.
    value : float
        Log-likelihood; minus infinity where it cannot be computed.
    values : ndarray, shape (n,)
        The same per subject.
    scores : ndarray, shape (n, n_theta)
        Derivatives per subject.
    information : ndarray, shape (n_theta, n_theta)
        Minus the second derivatives of `value`.
    peaks : Peaks
        Centres and scales of the nodes.
    entry_peaks : Peaks or None
        The same for the probability of being free of events at entry.
    features : ndarray, shape (n, n_features)
        Posterior means of ``(1, b, products of b)``.
    """

    theta: np.ndarray
    value: float
    values: np.ndarray
    scores: np.ndarray
    information: np.ndarray
    peaks: Peaks
    entry_peaks: Peaks | None
    features: np.ndarray

    @property
    def score(self) -> np.ndarray:
        """Return the derivatives of the log-likelihood, shape (n_theta,)."""
        return self.scores.sum(0)


def joint_problem(arrays: JointArrays) -> JointProblem:
    """Add up a data set.

    Parameters
    ----------
    arrays : JointArrays
        The data.

    Returns
    -------
    JointProblem
        For :func:`evaluate`.
    """
    found = entry_sums(arrays)
    entry, late = (None, np.zeros(0, dtype=int)) if found is None else found
    return JointProblem(sums=joint_sums(arrays), entry=entry, late=late)


@lru_cache(maxsize=64)
def product_nodes(q: int, n_nodes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a product grid for integrals of functions that look like normal densities.

    Parameters
    ----------
    q : int
        Dimensions.
    n_nodes : int
        Nodes along each of them.

    Returns
    -------
    grid : ndarray, shape (n_nodes,)
        Along one axis, in standard deviations.
    nodes : ndarray, shape (q, n_nodes ** q)
        Their product; the last axis runs fastest.
    log_weight : ndarray, shape (n_nodes ** q,)
        Logarithms of weights for the plain measure.
    """
    grid, weight = np.polynomial.hermite_e.hermegauss(n_nodes)
    axes = np.meshgrid(*([grid] * q), indexing="ij")
    weights = np.meshgrid(*([np.log(weight) + grid**2 / 2] * q), indexing="ij")
    nodes = np.ascontiguousarray(np.stack([axis.ravel() for axis in axes]))
    log_weight = np.sum([w.ravel() for w in weights], axis=0)
    for array in (grid, nodes, log_weight):
        array.setflags(write=False)
    return grid, nodes, log_weight


def evaluate(
    problem: JointProblem,
    theta: np.ndarray,
    n_nodes: int,
    *,
    near: Evaluation | None = None,
    frozen: bool = False,
) -> Evaluation:
    """Compute value, score and information.

    Parameters
    ----------
    problem : JointProblem
        The data.
    theta : ndarray, shape (n_theta,)
        The parameters.
    n_nodes : int
        Nodes per dimension.
    near : Evaluation, optional
        At parameters not far away: where to start looking for modes.
    frozen : bool, default False
        Whether the nodes of `near` are used as they are.

    Returns
    -------
    Evaluation
        With a value of minus infinity where a number overflows.
    """
    with np.errstate(all="ignore"):
        try:
            return _evaluate(problem, theta, n_nodes, near, frozen)
        except np.linalg.LinAlgError:
            return _nowhere(problem, theta)


def _evaluate(
    problem: JointProblem, theta: np.ndarray, n_nodes: int, near: Evaluation | None, frozen: bool
) -> Evaluation:
    """Subtract the part of late entry from the rest."""
    old, old_entry = (None, None) if near is None else (near.peaks, near.entry_peaks)
    value, score, information, peaks, features = _integrate(
        problem.sums, theta, n_nodes, old, frozen
    )
    entry_peaks = None
    if problem.entry is not None:
        less = _integrate(problem.entry, theta, n_nodes, old_entry, frozen)
        value[problem.late] -= less[0]
        score[problem.late] -= less[1]
        information -= less[2]
        entry_peaks = less[3]
    if not (np.isfinite(value).all() and np.isfinite(information).all()):
        return _nowhere(problem, theta)
    return Evaluation(
        theta=theta,
        value=float(value.sum()),
        values=value,
        scores=score,
        information=(information + information.T) / 2,
        peaks=peaks,
        entry_peaks=entry_peaks,
        features=features,
    )


def _integrate(
    sums: JointSums, vector: np.ndarray, n_nodes: int, old: Peaks | None, frozen: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray, Peaks, np.ndarray]:
    """Return values, scores, the information, peaks and posterior means of one set of sums."""
    # loaded here because it loads numba, which only those who fit need
    from pmsstats.models.kernels.joint_pass import joint_pass

    shape = sums.shape
    theta = shape.unpack(vector)
    terms = joint_terms(sums, theta)
    if frozen and old is not None:
        peaks = old
    else:
        peaks = find_peaks(sums, terms, None if old is None else old.centre)
    found = joint_pass(*_arguments(sums, terms, peaks, n_nodes))
    information = found.spread + complete_information(
        sums, theta, terms, found.features, found.moments
    )
    return found.value, found.score, information, peaks, found.features


def _arguments(sums: JointSums, terms: JointTerms, peaks: Peaks, n_nodes: int) -> tuple:
    """Return what a pass takes."""
    from pmsstats.models.kernels.joint_pass import Layout

    shape = sums.shape
    starts = [place.start for place in shape.psi]
    layout = Layout(
        shape.p, shape.alpha.start, shape.n_links, np.array([*starts, shape.alpha.start])
    )
    return (
        terms.density,
        sums.weight,
        terms.base,
        terms.slope,
        terms.columns,
        sums.bounds,
        peaks.centre,
        peaks.root,
        *product_nodes(shape.q, n_nodes),
        layout,
    )


def _nowhere(problem: JointProblem, theta: np.ndarray) -> Evaluation:
    """Return what stands for a point at which nothing can be computed."""
    n, shape = problem.sums.n_subjects, problem.sums.shape
    q = shape.q
    none = Peaks(centre=np.zeros((n, q)), root=np.zeros((n, q, q)))
    return Evaluation(
        theta=theta,
        value=-np.inf,
        values=np.full(n, -np.inf),
        scores=np.zeros((n, shape.n_theta)),
        information=np.eye(shape.n_theta),
        peaks=none,
        entry_peaks=None,
        features=np.zeros((n, 1 + q + q * (q + 1) // 2)),
    )
