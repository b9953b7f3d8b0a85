"""The climb to the maximum of a joint model's likelihood.

Newton's method with exact derivatives, made safe where the likelihood bends the wrong way: the
absolute values of curvatures are divided by, steps are capped, and shortened until they lead up.
Nodes are centred anew at every step, so that value and derivatives belong to slightly different
functions; close to the end a step counts as good when the score shrinks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pmsstats.models.kernels.joint_likelihood import Evaluation, JointProblem, evaluate

__all__ = ["ARRIVED", "Climb", "climb", "newton_step"]

_MAX_STEPS = 60
ARRIVED = 1e-4  # length of Newton's step in standard errors that no printed digit would show
_DONE = 1e-6  # length of Newton's step in standard errors
_NEAR = 0.3  # the same, where values no longer tell two points apart
_FLOOR = 1e-9  # share of the largest curvature that is divided by
_LONGEST = 2.0  # of any standard deviation, as a change of its logarithm
_COLLAPSED = 1e-4  # of the residual standard deviation: adds a part in 1e8 to the variance
_SHORTER = 0.3
_SHORTEST = 1e-5


@dataclass(frozen=True, kw_only=True, eq=False)
class Climb:
    """Where a climb ended.

    Parameters
    ----------
    at : Evaluation
        The last point.
    decrement : float
        Length of a further Newton step in standard errors.
    is_peak : bool
        Whether the information is positive definite there.
    n_iterations : int
        Steps taken.
    n_evaluations : int
        Of the likelihood with its derivatives.
    collapsed : tuple of int
        Random effects whose own part of the variance went to zero, which ended the climb.
    """

    at: Evaluation
    decrement: float
    is_peak: bool
    n_iterations: int
    n_evaluations: int
    collapsed: tuple[int, ...] = ()


def newton_step(score: np.ndarray, information: np.ndarray) -> tuple[np.ndarray, float, bool]:
    """Return a step that leads up, its length, and whether this is near a maximum.

    Parameters
    ----------
    score : ndarray, shape (n,)
        First derivatives.
    information : ndarray, shape (n, n)
        Minus the second derivatives.

    Returns
    -------
    step : ndarray, shape (n,)
        Newton's, with the absolute values of the curvatures.
    decrement : float
        Its length in standard errors.
    is_peak : bool
        Whether no curvature is negative.
    """
    scale = 1.0 / np.sqrt(np.maximum(np.abs(np.diag(information)), 1e-300))
    values, vectors = np.linalg.eigh(information * scale[:, None] * scale)
    along = vectors.T @ (scale * score)
    curvature = np.maximum(np.abs(values), _FLOOR * np.abs(values).max())
    step = scale * (vectors @ (along / curvature))
    return step, float(np.sqrt(np.sum(along**2 / curvature))), bool(values.min() > 0.0)


def climb(problem: JointProblem, theta: np.ndarray, n_nodes: int) -> Climb:
    """Maximise the likelihood.

    Parameters
    ----------
    problem : JointProblem
        The data.
    theta : ndarray, shape (n_theta,)
        Where to start.
    n_nodes : int
        Gauss-Hermite nodes per dimension.

    Returns
    -------
    Climb
        At the maximum, or where no step led up; the caller judges.
    """
    here = evaluate(problem, theta, n_nodes)
    n_iterations, n_evaluations = 0, 1
    step, decrement, is_peak = newton_step(here.score, here.information)
    if not np.isfinite(here.value):
        decrement, is_peak = np.inf, False
    n_most, collapsed = _MAX_STEPS if np.isfinite(here.value) else 0, ()
    while n_iterations < n_most and not (decrement < _DONE and is_peak) and not collapsed:
        length = _first_length(problem, step)
        there, found = here, (step, np.inf, False)
        while length > _SHORTEST:
            there = evaluate(problem, here.theta + length * step, n_nodes, near=here)
            n_evaluations += 1
            if np.isfinite(there.value):
                found = newton_step(there.score, there.information)
                closer = decrement < _NEAR and found[1] < decrement
                if there.value > here.value or closer:
                    break
            length *= _SHORTER
        else:
            break
        here, (step, decrement, is_peak) = there, found
        collapsed = _collapsed(problem, here.theta)
        n_iterations += 1
    return Climb(
        at=here,
        decrement=decrement,
        is_peak=is_peak,
        n_iterations=n_iterations,
        n_evaluations=n_evaluations,
        collapsed=collapsed,
    )


def _collapsed(problem: JointProblem, theta: np.ndarray) -> tuple[int, ...]:
    """Find random effects that measurements cannot tell from their regression on the others."""
    sums, shape = problem.sums, problem.sums.shape
    parts = shape.unpack(theta)
    rows = np.maximum(sums.n_rows.sum(0), 1.0)[shape.marker_of_random]
    size = np.sqrt(np.diag(sums.ZZ.sum(0)) / rows)
    share = np.diag(parts.root) * size / parts.sigma[shape.marker_of_random]
    return tuple(int(j) for j in np.flatnonzero(share < _COLLAPSED))


def _first_length(problem: JointProblem, step: np.ndarray) -> float:
    """Return the share of a step that changes no standard deviation too much."""
    shape = problem.sums.shape
    rows, columns = shape.lower
    logs = np.concatenate([step[shape.log_sigma], step[shape.root][rows == columns]])
    return float(min(1.0, _LONGEST / max(np.abs(logs).max(), 1e-300)))
