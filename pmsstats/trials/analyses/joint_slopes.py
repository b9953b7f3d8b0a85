r"""Several outcomes in one mixed model, in many replicates at once.

Each outcome has a random intercept and slope per subject, all of them correlated, and a residual
variance of its own. The restricted likelihood is climbed by expectation and maximisation [1]_,
accelerated by squared extrapolation [2]_. A subject enters by its products of columns alone, so
that subjects with the same visits (a slot) share all matrices of the size of the random effects.

With :math:`S` the information of a subject's visits about its intercepts and slopes and :math:`s`
its score at 0, :math:`M = (I + S D)^{-1}` gives :math:`M S` (information with the random effects
integrated out), :math:`M s`, and the posterior covariance :math:`D M` of the random effects;
no inverse of :math:`D` is needed, which may be singular.

References
----------
.. [1] Laird NM, Ware JH. Random-effects models for longitudinal data. Biometrics
   1982;38:963-974. doi:10.2307/2529876.
.. [2] Varadhan R, Roland C. Simple and globally convergent methods for accelerating the
   convergence of any EM algorithm. Scand J Stat 2008;35:335-353.
   doi:10.1111/j.1467-9469.2007.00585.x.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pmsstats.trials.analyses.joint_sums import JointSums

__all__ = ["JointSlopes", "fit_joint_slopes"]

_MOST_ROUNDS = 400
_TOLERANCE = 1e-7  # of a plain step in the covariances, relative to standard deviations
_STILL = 1e-7  # of a plain step in the effects, in standard errors: where covariances creep along
_ACCEPTED = 1e-5  # the same, after the last round
_FLOOR = 1e-3  # variances, of outcomes of unit variance, below which steps count as absolute


@dataclass(frozen=True, kw_only=True, eq=False)
class JointSlopes:
    """Fits of many replicates, on the scale of the sums.

    Parameters
    ----------
    effects : ndarray, shape (n_replicates, q)
        Fixed effects, in the order of the columns of the means.
    covariance : ndarray, shape (n_replicates, q, q)
        Of the fixed effects.
    random : ndarray, shape (n_replicates, 2K, 2K)
        Covariance of the random effects: intercept and slope of each outcome.
    residual : ndarray, shape (n_replicates, K)
        Residual variances.
    converged : ndarray of bool, shape (n_replicates,)
        Whether the maximum was found.
    """

    effects: np.ndarray
    covariance: np.ndarray
    random: np.ndarray
    residual: np.ndarray
    converged: np.ndarray


def fit_joint_slopes(sums: JointSums, means: np.ndarray) -> JointSlopes:
    """Maximise the restricted likelihood of each replicate.

    Parameters
    ----------
    sums : JointSums
        Products of columns, by slot and arm.
    means : ndarray, shape (n_arms, 2K, q)
        From fixed effects to the mean intercepts and slopes of an arm.

    Returns
    -------
    JointSlopes
        Not numbers where there is no maximum.
    """
    n, size = len(sums.square), sums.square.shape[-1]
    random = np.zeros((n, size, size)) + np.diag(np.tile([0.6, 0.1], size // 2))
    residual = np.full((n, size // 2), 0.3)
    solvable = _solvable(sums, means)
    done = ~solvable
    moving = np.full(n, np.inf)
    for _ in range(_MOST_ROUNDS):
        rows = np.flatnonzero(~done)
        if not rows.size:
            break
        part = sums.of(rows)
        random[rows], residual[rows], done[rows], moving[rows] = _round(
            part, means, random[rows], residual[rows]
        )
    converged = (done | (moving < _ACCEPTED)) & solvable
    q = means.shape[2]
    effects, covariance = np.full((n, q), np.nan), np.full((n, q, q), np.nan)
    rows = np.flatnonzero(converged)
    if rows.size:
        at_end = _step(sums.of(rows), means, random[rows], residual[rows])
        effects[rows], covariance[rows] = at_end.effects, at_end.covariance
    return JointSlopes(
        effects=effects,
        covariance=covariance,
        random=random,
        residual=residual,
        converged=converged,
    )


def _solvable(sums: JointSums, means: np.ndarray) -> np.ndarray:
    """Say in which replicates the visits can tell the fixed effects apart."""
    information = _by_arm(sums.count, sums.square)
    cross = _fixed_information(information, means)
    size = np.sqrt(np.diagonal(cross, axis1=1, axis2=2))
    scaled = cross / np.where(size > 0, size, 1.0)[:, :, None]
    scaled = scaled / np.where(size > 0, size, 1.0)[:, None, :]
    enough = sums.n_subjects > means.shape[2]
    return (np.linalg.eigvalsh(scaled)[:, 0] > 1e-10) & enough


def _by_arm(count: np.ndarray, matrices: np.ndarray) -> np.ndarray:
    """Sum matrices of slots over the subjects of each arm: shape (n, n_arms, 2K, 2K)."""
    arms = range(count.shape[2])
    return np.stack([(count[:, :, a, None, None] * matrices).sum(axis=1) for a in arms], axis=1)


def _fixed_information(by_arm: np.ndarray, means: np.ndarray) -> np.ndarray:
    """Return the information about the fixed effects."""
    return (means.transpose(0, 2, 1) @ by_arm @ means).sum(axis=1)


@dataclass(frozen=True, eq=False)
class _Step:
    """One step of expectation and maximisation, and the effects that it started from."""

    effects: np.ndarray
    covariance: np.ndarray
    random: np.ndarray
    residual: np.ndarray


def _step(sums: JointSums, means: np.ndarray, random: np.ndarray, residual: np.ndarray) -> _Step:
    """Take the step of all replicates."""
    weight = np.repeat(1 / residual, 2, axis=1)
    S = sums.square * weight[:, None, :, None]
    D = random[:, None]
    M = np.linalg.inv(np.eye(S.shape[-1]) + S @ D)
    G, W = D @ M, M @ S
    s = sums.score * weight[:, None, None, :]
    covariance = np.linalg.inv(_fixed_information(_by_arm(sums.count, W), means))
    along = (M @ s.transpose(0, 1, 3, 2)).sum(axis=1).transpose(0, 2, 1)
    score = (along[:, :, None, :] @ means)[:, :, 0].sum(axis=1)
    effects = (covariance @ score[..., None])[..., 0]
    mean = (means @ effects[:, None, :, None])[..., 0]
    rest = _rest(sums, S, s, mean, weight)
    uncertain = means @ covariance[:, None] @ means.transpose(0, 2, 1)
    n_slot = sums.count.sum(axis=2)[..., None, None]
    WQ = [W @ uncertain[:, a, None] for a in range(uncertain.shape[1])]
    counts = [sums.count[:, :, a, None, None] for a in range(uncertain.shape[1])]
    by_mean = sum(n * (wq @ W) for n, wq in zip(counts, WQ, strict=True))
    GR = G @ rest
    GRG = GR @ G
    new = (GRG + n_slot * G).sum(axis=1) + random @ np.sum(by_mean, axis=1) @ random
    spread = S @ (GRG + n_slot * G) + sum(n * (wq @ M) for n, wq in zip(counts, WQ, strict=True))
    squares = _blocks(spread - 2 * GR)
    total = _around_mean(sums, mean) + residual * squares
    return _Step(
        effects=effects,
        covariance=covariance,
        random=_symmetric(new / sums.n_subjects[:, None, None]),
        residual=total / sums.n_values,
    )


def _symmetric(matrices: np.ndarray) -> np.ndarray:
    """Remove what rounding left of asymmetry."""
    return (matrices + matrices.transpose(0, 2, 1)) / 2


def _rest(
    sums: JointSums, S: np.ndarray, s: np.ndarray, mean: np.ndarray, weight: np.ndarray
) -> np.ndarray:
    """Sum the squares of scores around the means of the arms, by slot."""
    total = sums.product * weight[:, None, :, None] * weight[:, None, None, :]
    for a in range(mean.shape[1]):
        expected = (S @ mean[:, None, a, :, None])[..., 0]
        mixed = s[:, :, a, :, None] * expected[:, :, None, :]
        square = expected[..., None] * expected[:, :, None, :]
        total = total - mixed - mixed.transpose(0, 1, 3, 2)
        total = total + sums.count[:, :, a, None, None] * square
    return total


def _blocks(matrices: np.ndarray) -> np.ndarray:
    """Sum the diagonal of each outcome's block over slots: shape (n, K)."""
    diagonal = np.diagonal(matrices, axis1=2, axis2=3).sum(axis=1)
    return diagonal[:, 0::2] + diagonal[:, 1::2]


def _around_mean(sums: JointSums, mean: np.ndarray) -> np.ndarray:
    """Sum squares of the outcomes around the means of the arms: shape (n, K)."""
    score = sums.score.sum(axis=1)
    square = _by_arm(sums.count, sums.square)
    linear = mean * score
    quadratic = mean * (square @ mean[..., None])[..., 0]
    each = (quadratic - 2 * linear).sum(axis=1)
    return sums.squares + each[:, 0::2] + each[:, 1::2]


def _round(
    sums: JointSums, means: np.ndarray, random: np.ndarray, residual: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Take two steps and extrapolate from them [2]; say who has arrived, and how effects move."""
    first = _step(sums, means, random, residual)
    second = _step(sums, means, first.random, first.residual)
    x0, x1, x2 = (
        _packed(D, v)
        for D, v in (
            (random, residual), (first.random, first.residual), (second.random, second.residual)
        )
    )  # fmt: skip
    r, v = x1 - x0, x2 - 2 * x1 + x0
    change = _relative(second, first)
    errors = np.sqrt(np.diagonal(second.covariance, axis1=1, axis2=2))
    moving = (np.abs(second.effects - first.effects) / errors).max(axis=1)
    arrived = (change < _TOLERANCE) | ((change < 100 * _TOLERANCE) & (moving < _STILL))
    length = np.sqrt((r**2).sum(axis=1) / (v**2).sum(axis=1).clip(1e-300)).clip(1.0, 64.0)
    far = x0 + 2 * length[:, None] * r + length[:, None] ** 2 * v
    D, variance = _unpacked(far, residual.shape[1])
    inside = (np.linalg.eigvalsh(D)[:, 0] > 0) & (np.abs(far - x2).max(axis=1) < 2.0) & ~arrived
    D = np.where(inside[:, None, None], D, second.random)
    return D, np.where(inside[:, None], variance, second.residual), arrived, moving


def _packed(random: np.ndarray, residual: np.ndarray) -> np.ndarray:
    """Return parameters as rows: covariances, then logs of residual variances."""
    return np.concatenate([random.reshape(len(random), -1), np.log(residual)], axis=1)


def _unpacked(rows: np.ndarray, n_outcomes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return covariances and residual variances of rows."""
    size = 2 * n_outcomes
    random = _symmetric(rows[:, : size**2].reshape(-1, size, size))
    return random, np.exp(np.clip(rows[:, size**2 :], -40.0, 40.0))


def _relative(new: _Step, old: _Step) -> np.ndarray:
    """Return the largest change of a covariance, or of a log residual variance."""
    scale = np.sqrt(np.diagonal(new.random, axis1=1, axis2=2)) + np.sqrt(_FLOOR)
    change = np.abs(new.random - old.random) / (scale[:, :, None] * scale[:, None, :])
    logs = np.abs(np.log(new.residual / old.residual)).max(axis=1)
    return np.maximum(change.max(axis=(1, 2)), logs)
