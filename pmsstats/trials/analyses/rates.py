"""Negative binomial regression of many replicates at once, by steps of Newton on whole arrays.

References
----------
.. [1] Lawless JF. Negative binomial and mixed Poisson regression. Can J Stat 1987;15:209-225.
   doi:10.2307/3314912.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["RatesBatch", "negative_binomial_batch"]

_MOST_STEPS = 100
_TOLERANCE = 1e-10  # of the next step of effects (log rate) and of the log of the dispersion
_FARTHEST = 30.0  # log rate ratio: beyond, there is no maximum
_SMALLEST, _LARGEST = 1e-8, 1e4  # dispersion; below, the model is Poisson's


@dataclass(frozen=True, kw_only=True, eq=False)
class RatesBatch:
    """Rate models of many replicates.

    Parameters
    ----------
    estimate, std_error : ndarray, shape (n_replicates, p)
        Log rate ratios of the columns; missing without an answer.
    dispersion : ndarray, shape (n_replicates,)
        Variance is ``mu + dispersion * mu**2``; 0 where counts scatter no more than Poisson's.
    converged : ndarray of bool, shape (n_replicates,)
        Whether the maximum was found.
    """

    estimate: np.ndarray
    std_error: np.ndarray
    dispersion: np.ndarray
    converged: np.ndarray


def negative_binomial_batch(
    X: np.ndarray, y: np.ndarray, time: np.ndarray, seen: np.ndarray, *, is_poisson: bool = False
) -> RatesBatch:
    """Fit a log-linear model of rates to each replicate.

    Parameters
    ----------
    X : ndarray, shape (n_replicates, n_subjects, p)
        Columns, without the intercept.
    y : ndarray, shape (n_replicates, n_subjects)
        Counts.
    time : ndarray, shape (n_replicates, n_subjects)
        Time observed; above 0 where `seen`.
    seen : ndarray of bool, shape (n_replicates, n_subjects)
        Rows that are there; what others hold does not matter.
    is_poisson : bool, default False
        Whether the dispersion is 0.

    Returns
    -------
    RatesBatch
        The maximum of the likelihood, and standard errors of the expected information, as R's
        ``MASS::glm.nb`` gives them.

    Notes
    -----
    Effects and dispersion are orthogonal in expectation [1]_: a step of scoring in the effects
    alternates with one of Newton in the log dispersion, and replicates leave when they are done.
    """
    columns = np.concatenate([np.ones((*y.shape, 1)), X], axis=2)
    columns = np.ascontiguousarray(np.where(seen[..., None], columns, 0.0).transpose(0, 2, 1))
    y = np.where(seen, y, 0.0)
    offset = np.log(np.where(seen, time, 1.0))
    total = y.sum(axis=1)
    beta = np.zeros((len(y), columns.shape[1]))
    beta[:, 0] = np.log(np.maximum(total, 0.5) / np.where(seen, time, 0.0).sum(axis=1).clip(1e-9))
    alpha = np.zeros(len(y))
    done, lost = np.zeros(len(y), dtype=bool), total == 0
    work = _Work(columns, y, offset, seen, _counts_above(y))
    for step in range(_MOST_STEPS):
        rows = np.flatnonzero(~done & ~lost)
        if not rows.size:
            break
        part = work.of(rows)
        beta[rows], moved, bad = part.effects_step(beta[rows], alpha[rows])
        if not is_poisson and step >= 2:
            alpha[rows], shifted = part.dispersion_step(beta[rows], alpha[rows])
            moved = np.maximum(moved, shifted)
        lost[rows] |= bad | (np.abs(beta[rows]).max(axis=1) > _FARTHEST)
        done[rows] = (moved < _TOLERANCE) & ~lost[rows] & (step >= 3)
    return _finished(work, beta, alpha, done)


def _finished(work: _Work, beta: np.ndarray, alpha: np.ndarray, done: np.ndarray) -> RatesBatch:
    """Add standard errors."""
    information = work.information(work.means(beta), alpha)
    safe = np.where(done[:, None, None], information, np.eye(beta.shape[1]))
    variance = np.diagonal(np.linalg.inv(safe), axis1=1, axis2=2)
    bad = ~done[:, None]
    with np.errstate(invalid="ignore"):
        return RatesBatch(
            estimate=np.where(bad, np.nan, beta)[:, 1:],
            std_error=np.where(bad, np.nan, np.sqrt(variance))[:, 1:],
            dispersion=np.where(done, alpha, np.nan),
            converged=done,
        )


def _counts_above(y: np.ndarray) -> np.ndarray:
    """Return how many subjects of a replicate count more than 0, 1, 2, ...: (n_replicates, m)."""
    levels = np.arange(max(1, int(y.max(initial=0))))
    return np.stack([np.count_nonzero(y > level, axis=1) for level in levels], axis=1).astype(float)


@dataclass(frozen=True, eq=False)
class _Work:
    """Arrays of some replicates: columns (n, p, n_subjects); the others (n, n_subjects)."""

    columns: np.ndarray
    y: np.ndarray
    offset: np.ndarray
    seen: np.ndarray
    above: np.ndarray

    def of(self, rows: np.ndarray) -> _Work:
        """Return some of the replicates."""
        if len(rows) == len(self.y):
            return self
        parts = (self.columns, self.y, self.offset, self.seen, self.above)
        return _Work(*(part[rows] for part in parts))

    def means(self, beta: np.ndarray) -> np.ndarray:
        """Return expected counts; 0 where there is no row."""
        eta = (beta[:, None, :] @ self.columns)[:, 0] + self.offset
        return np.where(self.seen, np.exp(np.clip(eta, -50.0, 50.0)), 0.0)

    def information(self, mu: np.ndarray, alpha: np.ndarray) -> np.ndarray:
        """Return the expected information of the effects."""
        weight = mu / (1.0 + alpha[:, None] * mu)
        return (self.columns * weight[:, None, :]) @ self.columns.transpose(0, 2, 1)

    def effects_step(
        self, beta: np.ndarray, alpha: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Take a step of scoring; return also its size, and where it cannot be taken."""
        mu = self.means(beta)
        information = self.information(mu, alpha)
        rest = (self.y - mu) / (1.0 + alpha[:, None] * mu)
        score = (self.columns @ rest[..., None])[..., 0]
        size = np.sqrt(np.diagonal(information, axis1=1, axis2=2)).clip(1e-12)
        scaled = information / size[:, :, None] / size[:, None, :]
        bad = np.linalg.eigvalsh(scaled)[:, 0] < 1e-10
        safe = np.where(bad[:, None, None], np.eye(beta.shape[1]), scaled)
        step = np.linalg.solve(safe, (score / size)[..., None])[..., 0] / size
        longest = np.abs(step).max(axis=1)
        step *= np.minimum(1.0, 2.0 / longest.clip(1e-12))[:, None]
        return beta + np.where(bad[:, None], 0.0, step), longest, bad

    def dispersion_step(self, beta: np.ndarray, alpha: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Take a step of Newton in the log dispersion; return also its size."""
        mu = self.means(beta)
        at_none = (((self.y - mu) ** 2 - self.y) * self.seen).sum(axis=1) / 2
        start = 2 * at_none / (mu**2).sum(axis=1).clip(1e-300)
        is_new = (alpha == 0) & (at_none > 0)
        alpha = np.where(is_new, start.clip(1e-4, _LARGEST), alpha)
        slope, curve = self._log_slopes(mu, np.where(alpha > 0, alpha, 1.0))
        newton = np.where(curve < 0, -slope / np.where(curve < 0, curve, -1.0), np.sign(slope))
        step = np.clip(newton, -1.0, 1.0)
        moved = np.exp(np.log(np.where(alpha > 0, alpha, 1.0)) + step).clip(max=_LARGEST)
        is_none = (alpha == 0) | ((moved < _SMALLEST) & (at_none <= 0))
        shifted = np.where((alpha == 0) | is_none, 0.0, np.abs(step))
        return np.where(is_none, 0.0, moved), np.where(is_new, 1.0, shifted)

    def _log_slopes(self, mu: np.ndarray, alpha: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return first and second derivative of the log-likelihood in the log dispersion.

        With a the dispersion and n_j the number of counts above j, the log-likelihood is
        ``sum_j n_j log(1 + a j) + sum (y log mu - (y + 1/a) log(1 + a mu))`` and constants.
        """
        a = alpha[:, None]
        j = np.arange(self.above.shape[1])
        by_level = self.above * j / (1 + a * j)
        first = _in_turn(by_level)
        second = -_in_turn(self.above * j**2 / (1 + a * j) ** 2)
        log1, odds = np.log1p(a * mu), mu / (1 + a * mu)
        first += (log1 / a**2 - (self.y + 1 / a) * odds).sum(axis=1)
        second += (-2 * log1 / a**3 + 2 * odds / a**2 + (self.y + 1 / a) * odds**2).sum(axis=1)
        return alpha * first, alpha**2 * second + alpha * first


def _in_turn(rows: np.ndarray) -> np.ndarray:
    """Sum rows from left to right, so that zeros at their end change no digit."""
    total: np.ndarray = np.cumsum(rows, axis=1)[:, -1]
    return total
