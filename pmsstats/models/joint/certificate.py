"""The evidence that a joint model's fit is the maximum, and that its integrals are exact enough."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pmsstats.models.joint.climb import ARRIVED, Climb, newton_step
from pmsstats.models.kernels.joint_likelihood import (
    Evaluation,
    JointProblem,
    evaluate,
    joint_problem,
)
from pmsstats.models.kernels.joint_sums import JointSums
from pmsstats.models.kernels.joint_theta import JointShape

if TYPE_CHECKING:
    from pmsstats.models.joint.arrays import JointArrays

__all__ = ["Certificate", "QuadratureChange", "certify", "more_nodes"]

_CHANGE = 0.05  # standard errors: shifts no 95 % interval's coverage by more than 0.03 points
_RANK = 1e-10  # share of the largest eigenvalue of the scaled information that counts as zero
_VAGUE = 20.0  # standard error of a log hazard, or of a log standard deviation, that tells nothing
_FULL_DOUBLING = 3  # random effects up to which the product grid can be doubled


@dataclass(frozen=True, kw_only=True)
class QuadratureChange:
    """What a finer quadrature would change.

    Parameters
    ----------
    n_nodes : int
        Nodes over each random effect, or points over time, of the finer one.
    log_likelihood : float
        Change of the log-likelihood at the same parameters.
    estimates : float
        Largest change of a parameter in standard errors, by one Newton step.
    """

    n_nodes: int
    log_likelihood: float
    estimates: float


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """What speaks for a fit, and what against it.

    Parameters
    ----------
    decrement : float
        Length of a further Newton step in standard errors: ``sqrt(g' I^-1 g)``.
    rank : int
        Of the observed information, scaled to ones on its diagonal.
    n_theta : int
        Number of parameters.
    condition : float
        Largest over smallest eigenvalue of the scaled information; infinite where that is not
        positive definite.
    nodes : QuadratureChange or None
        With more nodes over the random effects; None where this was not asked for.
    time : QuadratureChange or None
        With more points over time; None where this was not asked for.
    vague : tuple of int
        Places of parameters about which the data say next to nothing (standard errors beyond 20
        on a log scale): a baseline without events, complete separation, a variance of zero.
    problems : tuple of str
        Why the fit must not be trusted; empty where it may.
    """

    decrement: float
    rank: int
    n_theta: int
    condition: float
    nodes: QuadratureChange | None
    time: QuadratureChange | None
    vague: tuple[int, ...]
    problems: tuple[str, ...]

    @property
    def is_valid(self) -> bool:
        """Return whether nothing speaks against the fit."""
        return not self.problems

    @property
    def needs_nodes(self) -> bool:
        """Return whether the fit may be mended by more nodes over the random effects."""
        has_few = self.nodes is not None and not self.nodes.estimates < _CHANGE
        return has_few or not (self.decrement < ARRIVED or self.vague)

    @property
    def needs_points(self) -> bool:
        """Return whether the fit may be mended by more points over time."""
        return self.time is not None and not self.time.estimates < _CHANGE


def more_nodes(q: int, n_nodes: int) -> int:
    """Return how many nodes per dimension the next finer grid has.

    Parameters
    ----------
    q : int
        Dimensions.
    n_nodes : int
        Nodes along each of them.

    Returns
    -------
    int
        Twice as many; beyond three dimensions, where that would be 16 times the work or more,
        two more.
    """
    return 2 * n_nodes if q <= _FULL_DOUBLING else n_nodes + 2


def certify(
    problem: JointProblem,
    climbed: Climb,
    n_nodes: int,
    *,
    check_nodes: bool = True,
    refine: Callable[[], JointArrays] | None = None,
) -> Certificate:
    """Judge a fit.

    Parameters
    ----------
    problem : JointProblem
        The data.
    climbed : Climb
        The fit.
    n_nodes : int
        Nodes per dimension that it used.
    check_nodes : bool, default True
        Whether to evaluate with more nodes: twice as many per dimension, or two more where there
        are more than three random effects.
    refine : callable, optional
        Returns the same data with more points over time.

    Returns
    -------
    Certificate
        The evidence.
    """
    at, shape = climbed.at, problem.sums.shape
    rank, condition = _rank(at.information)
    nodes = time = None
    vague = _collapsed(shape, climbed.collapsed)
    if np.isfinite(condition):
        vague = tuple(sorted({*vague, *_vague(problem.sums, at)}))
        if check_nodes:
            more = more_nodes(shape.q, n_nodes)
            nodes = _change(at, evaluate(problem, at.theta, more, near=at), more)
        if refine is not None:
            finer = joint_problem(refine())
            ratio = len(finer.sums.subject) // max(len(problem.sums.subject), 1)
            time = _change(at, evaluate(finer, at.theta, n_nodes, near=at), ratio)
    return Certificate(
        decrement=climbed.decrement,
        rank=rank,
        n_theta=shape.n_theta,
        condition=condition,
        nodes=nodes,
        time=time,
        vague=vague,
        problems=_problems(climbed, (rank, shape.n_theta), nodes, time, vague),
    )


def _rank(information: np.ndarray) -> tuple[int, float]:
    """Return rank and condition number of the information, scaled to ones on its diagonal."""
    diagonal = np.diag(information)
    scale = 1.0 / np.sqrt(np.maximum(np.abs(diagonal), 1e-300))
    values = np.linalg.eigvalsh(information * scale[:, None] * scale)
    rank = int((values > _RANK * values.max()).sum())
    return rank, float(values.max() / values.min()) if rank == len(values) else np.inf


def _collapsed(shape: JointShape, effects: tuple[int, ...]) -> tuple[int, ...]:
    """Return the places of the logarithms of random effects' own standard deviations."""
    rows, columns = shape.lower
    diagonal = shape.root.start + np.flatnonzero(rows == columns)
    return tuple(int(diagonal[j]) for j in effects)


def _vague(sums: JointSums, at: Evaluation) -> tuple[int, ...]:
    """Find parameters whose standard error, times the size of what they multiply, is huge."""
    shape = sums.shape
    errors = np.sqrt(np.maximum(np.diag(np.linalg.inv(at.information)), 0.0))
    size = np.zeros(shape.n_theta)
    size[shape.log_sigma] = 1.0
    rows, columns = shape.lower
    size[shape.root] = rows == columns
    for place, basis in zip(shape.psi, sums.basis, strict=True):
        size[place] = np.abs(basis).max(0, initial=0.0)
    level = sums.fixed @ shape.unpack(at.theta).beta
    sizes = np.abs(level).max(1, initial=0.0) + np.abs(sums.random).max((1, 2), initial=0.0)
    size[shape.alpha] = np.tile(np.minimum(sizes, 1.0), len(shape.n_psi))
    return tuple(int(j) for j in np.flatnonzero(errors * size > _VAGUE))


def _change(at: Evaluation, finer: Evaluation, n_nodes: int) -> QuadratureChange:
    """Compare with a finer quadrature, by one Newton step from the same parameters."""
    errors = np.sqrt(np.maximum(np.diag(np.linalg.inv(at.information)), 1e-300))
    step, _, _ = newton_step(finer.score - at.score, at.information)
    return QuadratureChange(
        n_nodes=n_nodes,
        log_likelihood=finer.value - at.value,
        estimates=float(np.abs(step / errors).max()),
    )


def _problems(
    climbed: Climb,
    ranks: tuple[int, int],
    nodes: QuadratureChange | None,
    time: QuadratureChange | None,
    vague: tuple[int, ...],
) -> tuple[str, ...]:
    """Say what speaks against the fit."""
    rank, n_theta = ranks
    found = []
    if not np.isfinite(climbed.at.value):
        found.append("the likelihood cannot be computed at the start values")
    if climbed.collapsed:
        found.append(f"{len(climbed.collapsed)} variance(s) of random effects went to zero")
    elif not climbed.decrement < ARRIVED:
        found.append(
            f"the climb stopped after {climbed.n_iterations} steps where a further one would "
            f"still be {climbed.decrement:.2g} standard errors long"
        )
    if rank < n_theta or not climbed.is_peak:
        found.append(f"the information has rank {rank} instead of {n_theta}")
    if vague:
        found.append(f"the data say next to nothing about {len(vague)} parameter(s)")
    for change, what in ((nodes, "nodes over the random effects"), (time, "points over time")):
        if change is not None and not change.estimates < _CHANGE:
            found.append(
                f"more {what} would move an estimate by {change.estimates:.2g} standard errors"
            )
    return tuple(found)
