"""The maximum of a multi-state model's likelihood, from several starts, with a certificate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import optimize

from pmsstats.errors import DesignError, first_ids
from pmsstats.models.kernels.states_plan import LONGEST

if TYPE_CHECKING:
    from pmsstats.models.kernels.states_plan import StatesPlan
    from pmsstats.models.states.multistate_data import StatesData
    from pmsstats.models.states.multistate_layout import Layout

__all__ = ["Maximum", "maximise"]

_DECREMENT = 1e-8  # squared standard errors from the maximum: beyond, a fit did not converge
_ENOUGH = 1e-14  # squared standard errors that a further Newton step could move
_MAX_STEPS = 60
_MAX_HALVINGS = 40
_RUNAWAY = 10.0  # standard error of a log intensity, log odds or log hazard ratio: beyond, flat
_SINGULAR = 1e-10  # smallest over largest eigenvalue of the information, scaled to unit diagonal
_INVOLVED = 0.3  # share in a flat direction from which a parameter is named
_WORST = 1e12  # stands for minus infinity where the search wanders off
_ERRORS = (0.05, 0.15, 0.25)  # probability of each error of rating, from which searches start
_NOISE = (0.8, 0.5, 0.25)  # share of the movements seen that is then true
_WORDS = {"initial": "initial probability", "misclassification": "error of rating"}
_SEEK = {"maxiter": 15, "ftol": 1e-6, "gtol": 1e-2}
_CLIMB = {"maxiter": 200, "ftol": 1e-9, "gtol": 1e-4}


@dataclass(frozen=True, kw_only=True, eq=False)
class Maximum:
    """Where a search ended.

    Parameters
    ----------
    theta : ndarray, shape (n_parameters,)
        Estimates, as :class:`~pmsstats.models.states.multistate_layout.Layout` orders them.
    information : ndarray, shape (n_parameters, n_parameters)
        Minus the second derivatives of the log-likelihood.
    log_likelihood : float
        There.
    decrement : float
        Squared length of the next Newton step, in standard errors.
    condition : float
        Smallest over largest eigenvalue of the information, scaled to a unit diagonal.
    flat : tuple of int
        Parameters on which the likelihood hardly depends there.
    problem : str
        Why it cannot be trusted; empty if it can.
    n_evaluations : int
        Of the likelihood with its gradient, those for second derivatives included.
    attempts : tuple of str
        Log-likelihood reached from every start.
    """

    theta: np.ndarray
    information: np.ndarray
    log_likelihood: float
    decrement: float
    condition: float
    flat: tuple[int, ...]
    problem: str
    n_evaluations: int
    attempts: tuple[str, ...]


class _Objective:
    """Minus the log-likelihood and its gradient, counted; local to one search."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.n_evaluations = 0

    def __call__(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """Return value and gradient; a large number where there is none."""
        self.n_evaluations += 1
        found = self.layout.evaluate(theta)
        if not found.is_valid:
            return _WORST, np.zeros_like(theta)
        return -float(found.by_subject.sum()), -self.layout.gradient(theta, found)


def maximise(layout: Layout, data: StatesData) -> Maximum:
    """Find the maximum of the likelihood.

    Parameters
    ----------
    layout : Layout
        The parameters.
    data : StatesData
        The observations, for starting values.

    Returns
    -------
    Maximum
        With its certificate.

    Raises
    ------
    DesignError
        If what was seen of some subjects is impossible under the model.

    Notes
    -----
    A quasi-Newton search (L-BFGS-B) from each of a few fixed starts; the best goes on, and Newton
    steps with the exact second derivatives end it.
    """
    objective = _Objective(layout)
    starts = _starts(layout)
    _check_possible(layout, data, starts[0])
    bounds = _bounds(layout)

    def search(start: np.ndarray, options: dict[str, float]) -> optimize.OptimizeResult:
        return optimize.minimize(
            objective, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options
        )

    reached = [search(start, _SEEK) for start in starts]
    best = search(min(reached, key=lambda end: end.fun).x, _CLIMB)
    attempts = tuple(f"start {i}: {-end.fun:.6f}" for i, end in enumerate(reached, start=1))
    return _polish(layout, objective, best.x, attempts)


def _polish(
    layout: Layout, objective: _Objective, theta: np.ndarray, attempts: tuple[str, ...]
) -> Maximum:
    """Take Newton steps to the maximum, and judge it."""
    value, slope = objective(theta)
    for _ in range(_MAX_STEPS):
        information = -layout.hessian(theta)
        objective.n_evaluations += layout.hessian_cost
        step, decrement = _newton_step(information, slope)
        if decrement < _ENOUGH:
            break
        moved = _line_search(objective, theta, step, value)
        if moved is None:
            break
        theta, value, slope = moved
    else:
        information = -layout.hessian(theta)
        _, decrement = _newton_step(information, slope)
    condition, flat, problem = _judge(layout, information, decrement)
    return Maximum(
        theta=theta,
        information=information,
        log_likelihood=-value,
        decrement=decrement,
        condition=condition,
        flat=flat,
        problem=problem,
        n_evaluations=objective.n_evaluations,
        attempts=attempts,
    )


def _newton_step(information: np.ndarray, slope: np.ndarray) -> tuple[np.ndarray, float]:
    """Return a step that leads up, and its squared length in standard errors."""
    scale = np.sqrt(np.abs(np.diag(information))) + 1e-150
    values, vectors = np.linalg.eigh(information / np.outer(scale, scale))
    along = vectors.T @ (-slope / scale)
    curvature = np.maximum(np.abs(values), _SINGULAR * np.abs(values).max())
    return (vectors @ (along / curvature)) / scale, float(along @ (along / curvature))


def _line_search(
    objective: _Objective, theta: np.ndarray, step: np.ndarray, value: float
) -> tuple[np.ndarray, float, np.ndarray] | None:
    """Shorten a step until the likelihood does not fall; None where none helps."""
    length = min(1.0, 2.0 / float(np.abs(step).max()))  # no parameter moves by more than 2 at once
    for _ in range(_MAX_HALVINGS):
        moved = theta + length * step
        found, slope = objective(moved)
        if found <= value + 1e-12 * abs(value):
            return moved, found, slope
        length /= 2
    return None


def _judge(
    layout: Layout, information: np.ndarray, decrement: float
) -> tuple[float, tuple[int, ...], str]:
    """Return the condition of the information, flat parameters, and why not to trust a maximum."""
    scale = np.sqrt(np.abs(np.diag(information))) + 1e-150
    values, vectors = np.linalg.eigh(information / np.outer(scale, scale))
    condition = float(values[0] / values[-1])
    flat = tuple(np.flatnonzero(scale < 1 / _RUNAWAY).tolist())
    if not flat and condition < _SINGULAR:
        involved = np.flatnonzero(np.abs(vectors[:, 0]) > _INVOLVED).tolist()
        return condition, (), (
            f"The model is not identified: {_named(layout, involved)} cannot be told apart. Use "
            "fewer transitions, errors of rating or covariates."
        )  # fmt: skip
    if not flat:
        errors = np.sqrt(np.diag(np.linalg.inv(information)))
        flat = tuple(np.flatnonzero(errors > _RUNAWAY).tolist())
    if flat:
        return condition, flat, (
            f"{_named(layout, flat)} cannot be estimated: the likelihood hardly depends on it, or "
            "has its maximum at 0 or infinity. Leave it out (`transitions`, `misclassification`, "
            "`covariates`), give all states one hazard of death (`death_hazard='common'`), or "
            "merge states."
        )  # fmt: skip
    if not decrement < _DECREMENT:
        return condition, (), (
            "The multi-state model did not converge: the next Newton step would still be "
            f"{np.sqrt(abs(decrement)):.2g} standard errors long. Use fewer parameters."
        )  # fmt: skip
    return condition, (), ""


def _named(layout: Layout, which: Sequence[int]) -> str:
    """Put parameters into words."""
    names = [layout.parameters[j] for j in which]
    return (
        ", ".join(f"the {_WORDS.get(p.kind, p.kind)} of {p.term}" for p in names)
        or "a combination of parameters"
    )


def _check_possible(layout: Layout, data: StatesData, theta: np.ndarray) -> None:
    """Refuse observations that no parameters explain."""
    impossible = np.isneginf(layout.evaluate(theta).by_subject)
    if layout.plan is data.plan and impossible.any():  # movements of known states were checked
        ids = np.array(data.subject_ids)[impossible]
        raise DesignError(
            f"What was seen of {len(ids)} subject(s) ({first_ids(ids)}) is impossible under "
            "`transitions`, `misclassification` and `initial`. Allow more of them, or correct the "
            "data."
        )


def _bounds(layout: Layout) -> list[tuple[float, float]]:
    """Keep the first search within what can be computed; the maximum lies inside of it."""
    longest = float(layout.plan.interval_time.max())
    low = np.log(1e-9 / longest)
    high = np.log(0.5 * LONGEST / longest / layout.plan.n_states)
    n = layout.blocks[0].stop
    return [(low, high)] * n + [(-20.0, 20.0)] * (layout.blocks[-1].stop - n)


def _starts(layout: Layout) -> list[np.ndarray]:
    """Return starting points from counts of what was seen."""
    plan = layout.plan
    counts, years = _movements(plan)
    n = layout.blocks[0].stop
    moved = np.bincount(layout.base, counts[plan.origin, plan.target], minlength=n)
    followed = np.bincount(layout.base, years[plan.origin], minlength=n)
    crude = np.maximum(moved, 0.5) / np.maximum(followed, 1e-3 * years.max())
    pairs = [(0.0, 1.0)] if not layout.pairs else list(zip(_ERRORS, _NOISE, strict=True))
    return [_start(layout, crude, error, noise) for error, noise in pairs]


def _start(layout: Layout, crude: np.ndarray, error: float, noise: float) -> np.ndarray:
    """Return one starting point."""
    plan, blocks = layout.plan, layout.blocks
    theta = np.zeros(blocks[-1].stop)
    theta[blocks[0]] = np.log(crude * noise)
    if layout.pairs:
        true = np.array(layout.pairs)[:, 0]
        theta[blocks[2]] = np.log(error / (1 - error * np.bincount(true)[true]))
    if layout.initial_states:
        first = plan.code[plan.subject_start[:-1]]
        n = np.bincount(first, minlength=plan.n_states)[list(layout.initial_states)] + 0.5
        theta[blocks[4]] = np.log(n[1:] / n[0])
    return theta


def _movements(plan: StatesPlan) -> tuple[np.ndarray, np.ndarray]:
    """Count movements from state to state, and the time spent in each as far as it is seen."""
    S = plan.n_states
    later = np.flatnonzero(plan.interval >= 0)
    origin, target = plan.code[later - 1], plan.code[later]
    length = plan.interval_time[plan.interval[later]]
    known = (origin < S) & (target < S)
    counts, years = np.zeros((S, S)), np.zeros(S)
    weight = np.repeat(plan.weight, np.diff(plan.subject_start))[later][known]
    np.add.at(counts, (origin[known], target[known]), weight)
    np.add.at(years, origin[known], weight * length[known])
    return counts, years
