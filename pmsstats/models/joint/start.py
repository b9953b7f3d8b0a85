"""Start values of a joint model: its two stages, one after the other.

First the markers alone, by maximum likelihood; then, with the random effects replaced by their
posterior means, the hazards alone. That is the two-stage fit of the literature, which ignores that
the means are estimates and that measurements stop at events [1]_: a start, and a comparison.

References
----------
.. [1] Tsiatis AA, Davidian M. Joint modeling of longitudinal and time-to-event data: an overview.
   Stat Sin 2004;14:809-834.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np

from pmsstats.models.joint.climb import climb
from pmsstats.models.kernels.joint_likelihood import JointProblem
from pmsstats.models.kernels.joint_sums import JointSums, segment_sums
from pmsstats.models.kernels.joint_theta import JointShape, JointTheta

__all__ = ["TwoStage", "two_stage"]

_EM_STEPS = 25
_NODES = 3  # exact for the markers alone: the integrand is normal, scores and products quartic
_MAX_STEPS = 50
_DONE = 1e-10  # square of a step in standard errors
_LONGEST = 5.0  # change of a log hazard in one step
_FLOOR = 1e-9  # share of the largest curvature that is divided by
_LEAST_VARIANCE = 1e-10  # of a residual, over the variance of the values
_SHORTER = 0.3
_HIGHEST = 250.0
_LEAST_HAZARD = 1e-300


@dataclass(frozen=True, kw_only=True, eq=False)
class TwoStage:
    """What two stages found.

    Parameters
    ----------
    theta : ndarray, shape (n_theta,)
        All parameters.
    n_evaluations : int
        Of the likelihood of the markers.
    """

    theta: np.ndarray
    n_evaluations: int


def two_stage(problem: JointProblem) -> TwoStage:
    """Fit markers, then hazards.

    Parameters
    ----------
    problem : JointProblem
        The data.

    Returns
    -------
    TwoStage
        Parameters of both stages; finite also where the second has no maximum.
    """
    sums = problem.sums
    alone = _markers_alone(sums)
    shape = alone.shape
    first = climb(
        JointProblem(sums=alone, entry=None, late=np.zeros(0, dtype=int)),
        shape.pack(_moments(alone)),
        _NODES,
    )
    means = first.at.features[:, 1 : 1 + shape.q]
    parts = shape.unpack(first.at.theta)
    psi, alpha = _fit_hazards(sums, parts.beta, means)
    theta = sums.shape.pack(replace(parts, psi=psi, alpha=alpha))
    return TwoStage(theta=theta, n_evaluations=first.n_evaluations)


def _markers_alone(sums: JointSums) -> JointSums:
    """Forget events and hazards."""
    shape, n = sums.shape, sums.n_subjects
    return replace(
        sums,
        shape=JointShape(shape.n_fixed, shape.n_random, (), 0),
        n_events=np.zeros(0, dtype=int),
        event_basis=np.zeros((n, 0)),
        event_fixed=np.zeros((n, 0, 0, shape.p)),
        event_random=np.zeros((n, 0, 0, shape.q)),
        subject=sums.subject[:0],
        weight=sums.weight[:0],
        basis=(),
        fixed=np.zeros((0, 0, shape.p)),
        random=np.zeros((0, 0, shape.q)),
        bounds=np.zeros_like(sums.bounds),
    )


# --- markers ----------------------------------------------------------------------------------


def _moments(sums: JointSums) -> JointTheta:
    """Start from least squares, and go some steps of the EM algorithm (Laird and Ware 1982)."""
    shape, n = sums.shape, sums.n_subjects
    K = len(shape.n_fixed)
    XX, Xy = sums.XX.sum(0), sums.Xy.sum(0)
    beta = np.linalg.lstsq(XX, Xy, rcond=None)[0]
    n_rows = np.maximum(sums.n_rows.sum(0), 1.0)
    members = shape.marker_of_fixed[:, None] == np.arange(K)
    rss = sums.yy.sum(0) + (beta * (XX @ beta - 2 * Xy)) @ members
    floor = _LEAST_VARIANCE * np.maximum(sums.yy.sum(0) / n_rows, 1e-300)
    variance = np.maximum(rss / n_rows, floor) / 2
    spread = np.diag(sums.ZZ.sum(0)) / n_rows[shape.marker_of_random]
    D = np.diag(variance[shape.marker_of_random] / np.maximum(spread, 1e-12))
    for _ in range(_EM_STEPS):
        weight = 1.0 / variance
        wx, wz = weight[shape.marker_of_fixed], weight[shape.marker_of_random]
        V = np.linalg.inv(sums.ZZ * wz[:, None] + np.linalg.inv(D))
        V = (V + V.transpose(0, 2, 1)) / 2
        Zr = sums.Zy - np.einsum("npq,p->nq", sums.XZ, beta)
        b = np.einsum("nqr,nr->nq", V, Zr * wz)
        squares = np.einsum("nq,nr->nqr", b, b) + V
        D = squares.sum(0) / n
        left = (Xy - np.einsum("npq,nq->p", sums.XZ, b)) * wx
        beta = np.linalg.lstsq(XX * wx[:, None], left, rcond=None)[0]
        Zr = (sums.Zy - np.einsum("npq,p->nq", sums.XZ, beta)).ravel()
        rss = sums.yy.sum(0) + (beta * (XX @ beta - 2 * Xy)) @ members
        per_effect = np.einsum("nqr,nqr->q", sums.ZZ, squares)
        per_effect -= 2 * (Zr.reshape(n, -1) * b).sum(0)
        inner = per_effect @ (shape.marker_of_random[:, None] == np.arange(K))
        variance = np.maximum((rss + inner) / n_rows, floor)
    return JointTheta(
        beta=beta,
        sigma=np.sqrt(variance),
        root=np.linalg.cholesky(D + 1e-12 * np.diag(np.diag(D))),
        psi=(),
        alpha=np.zeros((0, 0)),
    )


# --- hazards ----------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, eq=False)
class _Regression:
    """Hazards with known covariates: rows at points per cause, and the sum of rows at events."""

    sums: JointSums
    rows: tuple[np.ndarray, ...]
    seen: np.ndarray
    places: tuple[slice, ...]

    def evaluate(self, gamma: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """Return log-likelihood, score and information."""
        sums, n = self.sums, self.sums.n_subjects
        late = np.repeat(np.tile([False, True], n), np.diff(sums.bounds, axis=1).ravel())
        value, score = float(self.seen @ gamma), self.seen.copy()
        information = np.zeros((len(gamma), len(gamma)))
        inner = np.zeros((n, len(gamma)))
        total = np.zeros(n)
        hazards = []
        for rows, place in zip(self.rows, self.places, strict=True):
            hazard = sums.weight * np.exp(np.minimum(rows @ gamma[place], _HIGHEST))
            hazards.append(hazard)
            risk = np.where(late, 0.0, hazard)
            value -= risk.sum()
            score[place] -= risk @ rows
            information[place, place] += rows.T @ (risk[:, None] * rows)
            if late.any():
                codes = sums.subject[late]
                total += segment_sums(hazard[late], codes, n)
                inner[:, place] = segment_sums(hazard[late, None] * rows[late], codes, n)
        if late.any():
            has = np.flatnonzero(np.diff(sums.bounds, axis=1)[:, 1])
            hazard = np.clip(total[has], _LEAST_HAZARD, _HIGHEST)
            ratio = np.zeros(n)
            ratio[has] = 1.0 / np.expm1(hazard)
            value += np.log(-np.expm1(-hazard)).sum()
            score += ratio @ inner
            information += inner.T @ ((ratio * (1.0 + ratio))[:, None] * inner)
            for rows, place, one in zip(self.rows, self.places, hazards, strict=True):
                less = np.where(late, one * ratio[sums.subject], 0.0)
                information[place, place] -= rows.T @ (less[:, None] * rows)
        return value, score, information


def _fit_hazards(
    sums: JointSums, beta: np.ndarray, b: np.ndarray
) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """Maximise the likelihood of the events over psi and alpha, beta and `b` taken as known."""
    shape, M = sums.shape, sums.shape.n_links
    level = sums.fixed @ beta + np.einsum("mtq,tq->mt", sums.random, b[sums.subject])
    rows = tuple(np.column_stack([basis, level.T]) for basis in sums.basis)
    seen_level = np.einsum("ncmp,p->cm", sums.event_fixed, beta)
    seen_level += np.einsum("ncmq,nq->cm", sums.event_random, b)
    n_psi = np.cumsum((0, *shape.n_psi))
    seen_basis = sums.event_basis.sum(0)
    seen = [
        np.concatenate([seen_basis[n_psi[c] : n_psi[c + 1]], seen_level[c]])
        for c in range(len(rows))
    ]
    ends = np.cumsum([0, *(block.shape[1] for block in rows)])
    places = tuple(slice(int(x), int(y)) for x, y in itertools.pairwise(ends))
    regression = _Regression(
        sums=sums, rows=rows, seen=np.concatenate([np.zeros(0), *seen]), places=places
    )
    with np.errstate(all="ignore"):
        gamma = _newton(regression, _constant_hazards(regression, M))
    blocks = [gamma[place] for place in places]
    psi = tuple(block[: len(block) - M] for block in blocks)
    return psi, np.array([block[len(block) - M :] for block in blocks]).reshape(len(rows), M)


def _constant_hazards(regression: _Regression, n_links: int) -> np.ndarray:
    """Return the coefficients of hazards that come closest to events over time at risk."""
    sums = regression.sums
    gamma = np.zeros(len(regression.seen))
    n_causes = len(regression.rows)
    n_unknown = float((sums.bounds[:, 2] > sums.bounds[:, 1]).sum())
    time = max(float(sums.weight.sum()), 1e-300)
    for c, (rows, place) in enumerate(zip(regression.rows, regression.places, strict=True)):
        basis = rows[:, : rows.shape[1] - n_links]
        root = np.sqrt(sums.weight)[:, None]
        rate = max(sums.n_events[c] + n_unknown / n_causes, 0.5) / time
        target = np.full(len(basis), np.log(rate))
        found = np.linalg.lstsq(root * basis, root[:, 0] * target, rcond=None)[0]
        gamma[place.start : place.start + basis.shape[1]] = found
    return gamma


def _newton(regression: _Regression, gamma: np.ndarray) -> np.ndarray:
    """Go up by Newton's steps, shortened where they overshoot."""
    value, score, information = regression.evaluate(gamma)
    for _ in range(_MAX_STEPS if len(gamma) else 0):
        scale = 1.0 / np.sqrt(np.maximum(np.abs(np.diag(information)), 1e-300))
        values, vectors = np.linalg.eigh(information * scale[:, None] * scale)
        along = vectors.T @ (scale * score)
        curvature = np.maximum(np.abs(values), _FLOOR * np.abs(values).max())
        step = scale * (vectors @ (along / curvature))
        if np.sum(along**2 / curvature) < _DONE:
            break
        blocks = zip(regression.rows, regression.places, strict=True)
        moves = max(np.abs(rows @ step[place]).max(initial=0.0) for rows, place in blocks)
        step *= min(1.0, _LONGEST / max(moves, 1e-300))
        for _ in range(_MAX_STEPS):
            found = regression.evaluate(gamma + step)
            if found[0] >= value - 1e-10 * (1.0 + abs(value)):
                break
            step = _SHORTER * step
        gamma = gamma + step
        value, score, information = found
    return gamma
