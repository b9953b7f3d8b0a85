"""Maximise a likelihood with exact second derivatives: Fisher scoring, then Newton's method.

References
----------
.. [1] Jennrich RI, Schluchter MD. Unbalanced repeated-measures models with structured covariance
   matrices. Biometrics 1986;42:805-820. doi:10.2307/2530695.
.. [2] Nocedal J, Wright SJ. Numerical Optimization, 2nd ed. Springer, 2006.
   doi:10.1007/978-0-387-40065-5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from scipy import linalg, optimize

__all__ = ["Optimum", "maximise"]

_MAX_STEPS = 100
_MAX_HALVINGS = 40
_MAX_EVALUATIONS = 200  # from one start; twenty are usual
_LONGEST = 2.0  # of a step in any parameter without bounds (logarithms, mostly)
_ENOUGH = 1e-13  # squared distance to the maximum, in standard errors: as near as rounding lets
_CONVERGED = 1e-8  # squared distance at which a stop counts as a maximum
_NEAR = 0.3  # longest step, in parameters without bounds, for which Newton's direction is taken


class Objective(Protocol):
    """Minus twice a log-likelihood."""

    def value(self, free: np.ndarray) -> tuple[float, Any]:
        """Return the value (infinite where there is none) and what :meth:`slopes` needs."""

    def is_edge(self, point: Any) -> bool:
        """Say whether a point is so near the edge of the parameters that nothing lies beyond."""

    def slopes(self, free: np.ndarray, point: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return gradient, observed and expected second derivatives."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Optimum:
    """Where a search ended.

    Parameters
    ----------
    free : ndarray, shape (k,)
        Parameters without bounds.
    point : object
        What the objective returned there.
    value : float
        Minus twice the log-likelihood.
    distance : float
        To the maximum, in standard errors of the parameters: ``sqrt(g' H^-1 g / 2)``.
    converged : bool
        Whether that is small.
    message : str
        In words.
    n_evaluations : int
        Of the likelihood, over all starts.
    optimiser : str
        What found it.
    """

    free: np.ndarray
    point: Any
    value: float
    distance: float
    converged: bool
    message: str
    n_evaluations: int
    optimiser: str


def maximise(objective: Objective, starts: Sequence[np.ndarray]) -> Optimum:
    """Climb from the first start; from the others, and by other means, if that fails.

    Parameters
    ----------
    objective : Objective
        Minus twice a log-likelihood.
    starts : sequence of ndarray, shape (k,)
        The most promising first.

    Returns
    -------
    Optimum
        The first converged one; if there is none, the most likely point met.

    Raises
    ------
    FloatingPointError
        If the likelihood exists at no start.
    """
    met: list[Optimum] = []
    spent = 0
    for start in starts:
        found = _newton(objective, start)
        if found is None:
            continue
        spent += found.n_evaluations
        met.append(found)
        if found.converged:
            return _counted(found, spent)
        if sum(objective.is_edge(optimum.point) for optimum in met) == 2:
            break
    if not met:
        raise FloatingPointError("the likelihood exists at no starting point")
    best = min(met, key=lambda optimum: optimum.value)
    if objective.is_edge(best.point):
        return _counted(best, spent)
    found = _quasi_newton(objective, best.free)
    spent += found.n_evaluations
    return _counted(min([found, best], key=lambda o: (not o.converged, o.value)), spent)


def _counted(found: Optimum, n_evaluations: int) -> Optimum:
    return Optimum(**{**vars(found), "n_evaluations": n_evaluations})


def _newton(objective: Objective, start: np.ndarray) -> Optimum | None:
    """Take scoring steps far from the maximum and Newton steps near it, each of them uphill."""
    free = start
    value, point = objective.value(free)
    if point is None:
        return None
    n_evaluations, squared = 1, np.inf
    for _ in range(_MAX_STEPS):
        gradient, observed, expected = objective.slopes(free, point)
        step, squared = _direction(gradient, observed, expected)
        if squared <= _ENOUGH:
            break
        moved = _search(objective, free, value, step, gradient)
        n_evaluations += moved[3]
        if moved[2] is None:
            break  # no way up: rounding error, or not differentiable
        free, value, point = moved[0], moved[1], moved[2]
        if objective.is_edge(point) or n_evaluations > _MAX_EVALUATIONS:
            break
    return _judge(free, value, point, squared=squared, n_evaluations=n_evaluations)


def _direction(
    gradient: np.ndarray, observed: np.ndarray, expected: np.ndarray
) -> tuple[np.ndarray, float]:
    """Return a step downhill, and the squared distance to the minimum in standard errors."""
    newton = _solve(observed, gradient)
    if newton is not None and np.abs(newton).max() <= _NEAR:
        return -newton, float(gradient @ newton / 2)
    scoring = _solve(expected, gradient)
    if scoring is None:
        scoring = _solve(expected + _ridge(expected), gradient)
    if scoring is None:
        scoring = gradient / max(float(np.abs(gradient).max()), 1.0)
    return -scoring, float(gradient @ scoring / 2)


def _ridge(matrix: np.ndarray) -> np.ndarray:
    """Return something that makes a nearly singular matrix invertible."""
    size = np.maximum(np.abs(np.diag(matrix)), 1e-12 * np.abs(matrix).max() + 1e-300)
    return np.diag(1e-6 * size)


def _solve(matrix: np.ndarray, vector: np.ndarray) -> np.ndarray | None:
    """Solve a positive definite system; None if it is not."""
    diagonal = np.diag(matrix)
    if not np.isfinite(matrix).all() or (diagonal <= 0).any():
        return None
    scale = np.sqrt(diagonal)
    try:
        factor = linalg.cho_factor(matrix / np.outer(scale, scale), check_finite=False)
    except linalg.LinAlgError:
        return None
    solved: np.ndarray = linalg.cho_solve(factor, vector / scale) / scale
    return solved


def _search(
    objective: Objective, free: np.ndarray, value: float, step: np.ndarray, gradient: np.ndarray
) -> tuple[np.ndarray, float, Any, int]:
    """Halve a step until the likelihood rises as it should (Armijo's rule) [2]."""
    step = step * min(1.0, _LONGEST / max(float(np.abs(step).max()), 1e-300))
    slope = float(gradient @ step)
    slack = 1e-13 * (1 + abs(value))  # what rounding may hide
    for n in range(1, _MAX_HALVINGS + 1):
        trial = free + step
        new, point = objective.value(trial)
        if point is not None and new <= value + 1e-4 * slope + slack:
            return trial, new, point, n
        step, slope = step / 2, slope / 2
    return free, value, None, _MAX_HALVINGS


def _judge(
    free: np.ndarray, value: float, point: Any, *, squared: float, n_evaluations: int
) -> Optimum:
    """Say whether a stop is a maximum."""
    distance = float(np.sqrt(max(squared, 0.0)))
    converged = squared <= _CONVERGED
    message = (
        f"converged: {distance:.1e} standard errors from the maximum"
        if converged
        else f"not converged: {distance:.1e} standard errors from a maximum after "
        f"{n_evaluations} evaluations. Try a covariance with fewer parameters, or look for visits "
        "with very few subjects."
    )
    return Optimum(
        free=free,
        point=point,
        value=value,
        distance=distance,
        converged=converged,
        message=message,
        n_evaluations=n_evaluations,
        optimiser="Fisher scoring and Newton",
    )


def _quasi_newton(objective: Objective, start: np.ndarray) -> Optimum:
    """Climb by L-BFGS, then polish by Newton's method."""
    spent = 0

    def deviance(free: np.ndarray) -> tuple[float, np.ndarray]:
        nonlocal spent
        spent += 1
        value, point = objective.value(free)
        if point is None:
            return 1e30, np.zeros_like(free)
        return value, objective.slopes(free, point)[0]

    found = optimize.minimize(
        deviance, start, jac=True, method="L-BFGS-B", options={"ftol": 1e-14, "maxiter": 300}
    )
    polished = _newton(objective, found.x) or _newton(objective, start)
    assert polished is not None  # noqa: S101
    return Optimum(
        **{
            **vars(polished),
            "n_evaluations": spent + polished.n_evaluations,
            "optimiser": "L-BFGS-B, then Newton",
        }
    )
