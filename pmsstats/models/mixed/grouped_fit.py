"""Maximising the likelihood of mixed models with several grouping factors."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import cast

import numpy as np
from scipy import optimize

from pmsstats.models.backends import EngineFit
from pmsstats.models.mixed.cholesky_layout import CholeskyLayout
from pmsstats.models.mixed.covariance_roots import downhill
from pmsstats.models.mixed.grouped_likelihood import GroupedLikelihood, GroupedSolution
from pmsstats.models.mixed.mixed_likelihood import Certificate, MixedLikelihood, Solution
from pmsstats.provenance import package_version
from pmsstats.results import FitLog

__all__ = ["certify_any", "certify_grouped", "climb_grouped", "fit_grouped"]

_BOUNDARY = 1e-4  # relative standard deviation below which lme4 too calls a fit singular
_NEARLY_ZERO = 1e-4  # relative variance that is compared with zero
_GOOD_ENOUGH = 1e-9  # log-likelihood units that could still be gained
_MAX_ESCAPES = 5
_MAX_POLISH = 4
_STEP = 1e-5  # of central differences of the exact gradient, in relative standard deviations
_FLAT = 1e-9  # share of the largest curvature below which a direction is flat
_GRID = (0.1, 1.0)
_APART = (25.0, 1.0, 0.01)
_MAX_GRID = 4  # grouping factors of which all combinations are tried as starting points

Psis = tuple[np.ndarray, ...]


def fit_grouped(likelihood: GroupedLikelihood) -> EngineFit:
    """Maximise the likelihood of a model with several grouping factors.

    Parameters
    ----------
    likelihood : GroupedLikelihood
        The model and its data, on the common scale.

    Returns
    -------
    EngineFit
        `psi` and `modes` are tuples, one entry per grouping factor, that of the subjects first.
        The log tells by how much the log-likelihood could still rise.

    Notes
    -----
    L-BFGS-B in the entries of the Cholesky factors with diagonals of at least zero, as in lme4,
    with the exact gradient, then Newton steps with a Hessian from differences of that gradient.
    Where it stops at a zero variance that would rather be larger (a saddle), one step is taken in
    the variance itself and the climb resumed. Other starting points are tried where the first does
    not lead to a maximum, and where a variance is zero there: the likelihood may then have several
    maxima, of which the highest is kept.
    """
    attempts: list[tuple[GroupedSolution, Certificate]] = []
    counted = _Counted(likelihood)
    for start in _starts(counted):
        solution = likelihood.solve(_climb(counted, start))
        attempts.append((solution, _certify(counted, solution)))
        judged = attempts[-1][1]
        if judged.gain < _GOOD_ENOUGH and not judged.singular:
            break
    solution, certificate = max(attempts, key=_trustworthy)
    words = [f"log-likelihood could rise by {judged.gain:.1e}" for _, judged in attempts]
    return EngineFit(
        psi=solution.psi,
        fixed=solution.fixed,
        fixed_covariance=solution.fixed_covariance,
        sigma2=solution.sigma2,
        log_likelihood=solution.log_likelihood,
        modes=solution.modes,
        fit_log=FitLog(
            engine="native",
            engine_version=package_version(),
            optimiser="L-BFGS-B and Newton",
            converged=certificate.gain < _GOOD_ENOUGH,
            message=f"log-likelihood could rise by {certificate.gain:.1e}",
            n_evaluations=counted.n_evaluations,
            singular=certificate.singular,
            attempts=tuple(f"L-BFGS-B and Newton: {word}" for word in words),
        ),
    )


def _trustworthy(attempt: tuple[GroupedSolution, Certificate]) -> tuple[float, bool]:
    """Rank attempts: by likelihood, and among equal ones those that are certified maxima."""
    solution, certificate = attempt
    return round(solution.log_likelihood, 7), certificate.gain < _GOOD_ENOUGH


class _Counted:
    """Deviance of a likelihood as a function of theta, counting how often it is asked."""

    def __init__(self, likelihood: GroupedLikelihood) -> None:
        self.likelihood = likelihood
        self.layout = CholeskyLayout.from_masks(likelihood.masks)
        self.n_evaluations = 0

    def value(self, psis: Sequence[np.ndarray]) -> float:
        """Return the log-likelihood."""
        self.n_evaluations += 1
        return self.likelihood.log_likelihood(psis)

    def gradient(self, psis: Sequence[np.ndarray]) -> tuple[float, Psis]:
        """Return the deviance and its derivative in the relative covariances."""
        self.n_evaluations += 1
        state = self.likelihood.state(psis)
        sigma2 = state.residual / self.likelihood.n_free
        return -2.0 * self.likelihood.profiled(state), self.likelihood.gradient(state, sigma2)

    def deviance(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the deviance and its derivative in theta."""
        value, gradient = self.gradient(self.layout.psis(theta))
        return value, self.layout.slope(gradient, theta)

    def hessian(self, theta: np.ndarray, free: np.ndarray) -> np.ndarray:
        """Differentiate the slope in the free entries of theta by central differences."""
        rows = []
        for k in free:
            step = np.zeros_like(theta)
            step[k] = _STEP * max(1.0, abs(theta[k]))
            rise = self.deviance(theta + step)[1] - self.deviance(theta - step)[1]
            rows.append(rise[free] / (2 * step[k]))
        H = np.array(rows).reshape(len(free), len(free))
        return (H + H.T) / 2


def _starts(counted: _Counted) -> list[Psis]:
    """Return the best point of a coarse grid, and points far apart in which all effects vary."""
    sizes = counted.layout.sizes

    def point(values: Sequence[float]) -> Psis:
        return tuple(np.eye(q) * value for q, value in zip(sizes, values, strict=True))

    ends = [point([value] * len(sizes)) for value in _APART]
    if len(sizes) > _MAX_GRID:
        return ends
    grid = [point(values) for values in itertools.product(_GRID, repeat=len(sizes))]
    return [max(grid, key=counted.value), *ends]


def climb_grouped(likelihood: GroupedLikelihood, psis: Sequence[np.ndarray]) -> Psis:
    """Climb to the nearest maximum, the boundary included.

    Parameters
    ----------
    likelihood : GroupedLikelihood
        The model and its data, on the common scale.
    psis : sequence of ndarray, shape (q_k, q_k)
        Where to start.

    Returns
    -------
    tuple of ndarray
        Relative covariances that are at least as likely.
    """
    return _climb(_Counted(likelihood), psis)


def _climb(counted: _Counted, psis: Sequence[np.ndarray]) -> Psis:
    """Climb, counting evaluations."""
    layout = counted.layout
    bounds = [(0.0 if on_diagonal else None, None) for on_diagonal in layout.is_diagonal]
    best = tuple(psis)
    for _ in range(_MAX_ESCAPES):
        theta = _turned(counted, layout.theta(_escape(counted, best)))
        found = optimize.minimize(
            counted.deviance,
            theta,
            jac=True,
            method="L-BFGS-B",
            bounds=bounds,
            options={"ftol": 1e-13, "gtol": 1e-7, "maxiter": 500},
        )
        best = _to_boundary(counted, layout.psis(_polish(counted, found.x)))
        _, gradient = counted.gradient(best)
        spaces = _null_spaces(counted.likelihood, best)
        if not any(downhill(G, null) for G, null in zip(gradient, spaces, strict=True)):
            break
    return best


def _turned(counted: _Counted, theta: np.ndarray) -> np.ndarray:
    """Turn columns with a zero on the diagonal such that it would rather be positive.

    The sign of such a column means nothing, but decides on which side of the bound the slope is.
    """
    layout = counted.layout
    zero = layout.is_diagonal & (theta == 0)
    if not zero.any():
        return theta
    slope = counted.deviance(theta)[1]
    signs = np.ones_like(theta)
    for k in np.flatnonzero(zero & (slope > 0)):
        same = (layout.factor == layout.factor[k]) & (layout.column == layout.column[k])
        signs[same] = -1.0
    return theta * signs + 0.0


def _free(counted: _Counted, theta: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """List the entries that may move: not those held at zero."""
    return np.flatnonzero(~_held(counted, theta, slope))


def _held(counted: _Counted, theta: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """Say which entries are zero, or next to it, and would rather be smaller."""
    return counted.layout.is_diagonal & (theta <= _BOUNDARY) & (slope >= 0)


def _polish(counted: _Counted, theta: np.ndarray) -> np.ndarray:
    """Take Newton steps inside of the bounds as long as they shrink the slope."""
    value, slope = counted.deviance(theta)
    for _ in range(_MAX_POLISH):
        free = _free(counted, theta, slope)
        step = np.zeros_like(theta)
        step[free] = -_solve_curved(counted.hessian(theta, free), slope[free])
        trial = theta + step
        trial = np.where(counted.layout.is_diagonal, np.maximum(trial, 0.0), trial)
        new_value, new_slope = counted.deviance(trial)
        better = np.abs(new_slope[free]).max(initial=0) < np.abs(slope[free]).max(initial=0)
        if not better or new_value > value + 1e-9:
            break
        theta, value, slope = trial, new_value, new_slope
        if np.abs(step).max() < 1e-9:
            break
    snapped = np.where(_held(counted, theta, slope), 0.0, theta)
    return snapped if counted.deviance(snapped)[0] <= value + 1e-9 else theta


def _solve_curved(H: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """Solve ``H x = slope`` in the directions in which the deviance is curved upwards."""
    if not len(slope):
        return slope
    values, vectors = np.linalg.eigh(H)
    keep = values > _FLAT * max(values.max(), 0.0)
    parts = np.where(keep, vectors.T @ slope, 0.0) / np.where(keep, values, 1.0)
    solved: np.ndarray = vectors @ parts
    return solved


def _null_spaces(likelihood: GroupedLikelihood, psis: Psis) -> list[list[np.ndarray]]:
    """List, per grouping factor and block, bases of the effects that do not vary."""
    spaces = []
    for factor, psi in zip(likelihood.factors, psis, strict=True):
        null = []
        for block in factor.blocks:
            values, vectors = np.linalg.eigh(psi[np.ix_(block, block)])
            full = np.zeros((len(psi), len(block)))
            full[list(block)] = vectors
            if (values <= _BOUNDARY**2).any():
                null.append(full[:, values <= _BOUNDARY**2])
        spaces.append(null)
    return spaces


def _outward(counted: _Counted, psis: Psis) -> list[tuple[int, np.ndarray, float, float]]:
    """List ways out of the boundary: factor, direction, slope and curvature of the deviance."""
    _, gradient = counted.gradient(psis)
    found = []
    for k, null in enumerate(_null_spaces(counted.likelihood, psis)):
        for vector in downhill(gradient[k], null):
            direction = np.outer(vector, vector)
            small = 1e-3
            beside = (*psis[:k], psis[k] + small * direction, *psis[k + 1 :])
            _, there = counted.gradient(beside)
            slope = float((direction * gradient[k]).sum())
            curvature = float((direction * (there[k] - gradient[k])).sum()) / small
            found.append((k, direction, slope, max(curvature, 1e-12)))
    return found


def _escape(counted: _Counted, psis: Psis) -> Psis:
    """Step out of the boundary where the likelihood rises there."""
    moved = list(psis)
    for k, direction, slope, curvature in _outward(counted, psis):
        moved[k] = moved[k] + min(-slope / curvature, 1.0) * direction
    return tuple(moved)


def _to_boundary(counted: _Counted, psis: Psis) -> Psis:
    """Set variances that are zero for all that the data can say to zero."""
    best, value = list(psis), counted.value(psis)
    for k, factor in enumerate(counted.likelihood.factors):
        for block in factor.blocks:
            values, vectors = np.linalg.eigh(best[k][np.ix_(block, block)])
            for last in np.flatnonzero(values < _NEARLY_ZERO):
                flat = np.where(np.arange(len(block)) <= last, 0.0, np.clip(values, 0.0, None))
                candidate = best[k].copy()
                candidate[np.ix_(block, block)] = (vectors * flat) @ vectors.T
                if counted.value([*best[:k], candidate, *best[k + 1 :]]) < value - 1e-9:
                    break
                best[k] = candidate
    return tuple(best)


def certify_any(
    likelihood: MixedLikelihood | GroupedLikelihood, solution: Solution | GroupedSolution
) -> Certificate:
    """Judge a solution of a model with one or with several grouping factors.

    Parameters
    ----------
    likelihood : MixedLikelihood or GroupedLikelihood
        The model and its data, on the common scale.
    solution : Solution or GroupedSolution
        From its `solve`.

    Returns
    -------
    Certificate
        See :func:`certify_grouped`.
    """
    if isinstance(likelihood, GroupedLikelihood):
        return certify_grouped(likelihood, cast("GroupedSolution", solution))
    return likelihood.certify(cast("Solution", solution))


def certify_grouped(likelihood: GroupedLikelihood, solution: GroupedSolution) -> Certificate:
    """Judge whether a solution is a maximum, on the boundary or inside.

    Parameters
    ----------
    likelihood : GroupedLikelihood
        The model and its data, on the common scale.
    solution : GroupedSolution
        From :meth:`GroupedLikelihood.solve`.

    Returns
    -------
    Certificate
        By how much the log-likelihood could rise to second order, inside and out of the boundary;
        infinitely, at a saddle inside.
    """
    return _certify(_Counted(likelihood), solution)


def _certify(counted: _Counted, solution: GroupedSolution) -> Certificate:
    """Judge, counting evaluations."""
    theta = _turned(counted, counted.layout.theta(solution.psi))
    slope = counted.deviance(theta)[1]
    free = _free(counted, theta, slope)
    gain = 0.0
    if len(free):
        H = counted.hessian(theta, free)
        values = np.linalg.eigvalsh(H)
        if values.min() < -1e-4 * max(values.max(), 1.0):  # a saddle
            gain = np.inf
        gain += float(slope[free] @ _solve_curved(H, slope[free])) / 4
    gain += float(np.clip(slope * theta, 0.0, None)[_held(counted, theta, slope)].sum()) / 2
    for _, _, rise, curvature in _outward(counted, solution.psi):
        gain += rise**2 / curvature / 4
    null = _null_spaces(counted.likelihood, solution.psi)
    return Certificate(gain=gain, singular=any(len(part) > 0 for part in null))
