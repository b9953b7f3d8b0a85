"""Likelihood of a Gaussian linear mixed model: evaluated and judged here, maximised elsewhere.

Notation: ``V = I + Z Psi Z'`` per subject, in units of the residual variance ``sigma^2``, which
is profiled out together with the fixed effects. The data enter only through sums of products
within subjects, so there is no loop over subjects, and each evaluation costs a few small
matrices per subject.

References
----------
.. [1] Bates D, Maechler M, Bolker B, Walker S. Fitting linear mixed-effects models using lme4.
   J Stat Softw 2015;67(1). doi:10.18637/jss.v067.i01.
.. [2] Harville DA. Maximum likelihood approaches to variance component estimation and to related
   problems. J Am Stat Assoc 1977;72:320-338. doi:10.1080/01621459.1977.10480998.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from scipy import optimize

from pmsstats.errors import DesignError
from pmsstats.models.formulas.columns import sum_by_subject
from pmsstats.models.mixed.covariance_roots import cholesky, downhill, root
from pmsstats.models.mixed.mixed_design import MixedArrays

__all__ = ["Certificate", "MixedLikelihood", "Solution"]

_BOUNDARY = 1e-4  # relative standard deviation below which lme4 too calls a fit singular
_NEARLY_ZERO = 1e-4  # relative variance that is compared with zero
_MAX_ESCAPES = 5
_LOG_2_PI = float(np.log(2 * np.pi))


@dataclass(frozen=True, eq=False, kw_only=True)
class Solution:
    """Everything that follows from one covariance of the random effects.

    Parameters
    ----------
    psi : ndarray, shape (q, q)
        Covariance of the random effects over ``sigma^2``.
    fixed : ndarray, shape (p,)
        Generalised least-squares estimates.
    fixed_covariance : ndarray, shape (p, p)
        ``sigma^2 (X' V^-1 X)^-1``.
    sigma2 : float
        Residual variance.
    log_likelihood : float
        Restricted or full, with all constants.
    modes : ndarray, shape (n_subjects, q)
        Best linear unbiased predictions of the random effects.
    gradient : ndarray, shape (q, q)
        Derivative of the deviance (minus twice the log-likelihood) in `psi`.
    information : ndarray, shape (q * q, q * q)
        Expected second derivative of the same.
    """

    psi: np.ndarray
    fixed: np.ndarray
    fixed_covariance: np.ndarray
    sigma2: float
    log_likelihood: float
    modes: np.ndarray
    gradient: np.ndarray
    information: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """How far a solution is from the maximum.

    Parameters
    ----------
    gain : float
        By how much the log-likelihood could still rise, to second order.
    singular : bool
        Whether a variance component, or a combination of them, is zero.
    """

    gain: float
    singular: bool


class MixedLikelihood:
    """Profiled (restricted) log-likelihood of one data set.

    Parameters
    ----------
    arrays : MixedArrays
        On the common scale (see :func:`~pmsstats.models.mixed.mixed_scale.standardise`).
    reml : bool
        Restricted or full.

    Raises
    ------
    DesignError
        If there are several grouping factors, or weights that are not worked into the rows yet.
    """

    def __init__(self, arrays: MixedArrays, *, reml: bool) -> None:
        if arrays.others or arrays.weights is not None:
            raise DesignError(
                "MixedLikelihood takes one grouping factor and no weights. Use GroupedLikelihood "
                "for several factors, and `standardise` to work weights into the rows."
            )
        self.arrays = arrays
        self.reml = reml
        X, Z, y = arrays.X, arrays.Z, arrays.y
        self._n_free = arrays.n_obs - X.shape[1] if reml else arrays.n_obs
        both = np.column_stack([X, y])
        self._squares = both.T @ both
        per_row = (Z[:, :, None] * Z[:, None, :], Z[:, :, None] * both[:, None, :])
        self._ZtZ, self._ZtXy = (
            sum_by_subject(values, arrays.subject, arrays.n_subjects) for values in per_row
        )

    def log_likelihood(self, psi: np.ndarray) -> float:
        """Evaluate at one relative covariance of the random effects.

        Parameters
        ----------
        psi : ndarray, shape (q, q)
            Positive semidefinite.

        Returns
        -------
        float
            Fixed effects and residual variance are profiled out.
        """
        factor = root(psi)
        core = np.eye(len(psi)) + factor.T @ self._ZtZ @ factor
        return self._value(core, factor)[0]

    def _value(
        self, core: np.ndarray, factor: np.ndarray
    ) -> tuple[float, np.ndarray, np.ndarray, float]:
        """Return log-likelihood, fixed effects, inverse of X'V^-1 X, residual variance."""
        half = factor.T @ self._ZtXy
        size = half.shape[2]
        inner = half.reshape(-1, size).T @ np.linalg.solve(core, half).reshape(-1, size)
        products = self._squares - inner
        XVX, XVy, yVy = products[:-1, :-1], products[:-1, -1], products[-1, -1]
        inverse = np.linalg.inv(XVX)
        fixed = inverse @ XVy
        sigma2 = float(yVy - XVy @ fixed) / self._n_free
        deviance = np.linalg.slogdet(core)[1].sum() + self._n_free * (
            _LOG_2_PI + np.log(sigma2) + 1.0
        )
        if self.reml:
            deviance += np.linalg.slogdet(XVX)[1]
        return -0.5 * float(deviance), fixed, inverse, sigma2

    def solve(self, psi: np.ndarray) -> Solution:
        """Work out everything that follows from one relative covariance.

        Parameters
        ----------
        psi : ndarray, shape (q, q)
            Positive semidefinite.

        Returns
        -------
        Solution
            Estimates, predictions, and the slope of the likelihood.
        """
        factor = root(psi)
        core = np.eye(len(psi)) + factor.T @ self._ZtZ @ factor
        value, fixed, inverse, sigma2 = self._value(core, factor)
        # Z' V^-1 A = (I - Z'Z F core^-1 F') Z' A
        shrink = np.eye(len(psi)) - self._ZtZ @ factor @ np.linalg.solve(
            core, np.broadcast_to(factor.T, core.shape)
        )
        ZVZ = shrink @ self._ZtZ
        ZVXy = shrink @ self._ZtXy
        ZVX, ZVy = ZVXy[:, :, :-1], ZVXy[:, :, -1]
        scores = ZVy - ZVX @ fixed
        return Solution(
            psi=psi,
            fixed=fixed,
            fixed_covariance=sigma2 * inverse,
            sigma2=sigma2,
            log_likelihood=value,
            modes=scores @ psi,
            gradient=self._gradient(ZVZ, ZVX, scores, inverse, sigma2),
            information=self._information(ZVZ),
        )

    def _gradient(
        self,
        ZVZ: np.ndarray,
        ZVX: np.ndarray,
        scores: np.ndarray,
        inverse: np.ndarray,
        sigma2: float,
    ) -> np.ndarray:
        """Differentiate the profiled deviance in psi (scores of [2], sigma^2 profiled)."""
        gradient = ZVZ.sum(axis=0) - scores.T @ scores / sigma2
        if self.reml:
            gradient = gradient - np.einsum("iqa,ira->qr", ZVX @ inverse, ZVX)
        return np.where(self.arrays.mask(), (gradient + gradient.T) / 2, 0.0)

    def _information(self, ZVZ: np.ndarray) -> np.ndarray:
        """Return the expected second derivative of the profiled deviance in vec(psi)."""
        q = ZVZ.shape[1]
        flat = ZVZ.reshape(len(ZVZ), -1)
        pairs = (flat.T @ flat).reshape(q, q, q, q).transpose(0, 2, 1, 3).reshape(q * q, q * q)
        total = ZVZ.sum(axis=0).reshape(-1)
        return pairs - np.outer(total, total) / self._n_free

    def starts(self) -> list[np.ndarray]:
        """Return starting points, the most likely first.

        Returns
        -------
        list of ndarray, shape (q, q)
            Diagonal relative covariances on a coarse grid: the best one, and the best one among
            those in which every effect varies clearly.
        """
        grid = (0.01, 0.1, 1.0, 10.0)
        q = self.arrays.Z.shape[1]
        if q > 4:
            return [np.eye(q), np.eye(q) * 0.1]
        points = [np.diag(values) for values in itertools.product(grid, repeat=q)]
        points.sort(key=self.log_likelihood, reverse=True)
        clear = next(p for p in points if np.diag(p).min() >= 1.0)
        return [points[0], clear] if clear is not points[0] else [points[0], points[1]]

    def improve(self, psi: np.ndarray) -> np.ndarray:
        """Climb from where an optimiser stopped to the nearest maximum, the boundary included.

        Parameters
        ----------
        psi : ndarray, shape (q, q)
            Relative covariance of the random effects.

        Returns
        -------
        ndarray, shape (q, q)
            At least as likely as `psi`.

        Notes
        -----
        Works on the Cholesky factor with diagonal at least zero, as lme4 does, by L-BFGS-B with
        the exact gradient. A zero on the diagonal is stationary in the factor even where it is a
        saddle of the likelihood: from there one step is taken in the variance itself, and the
        climb resumed.
        """
        rows, columns = np.nonzero(np.tril(self.arrays.mask()))
        bounds = [(0.0 if on_diagonal else None, None) for on_diagonal in rows == columns]

        def deviance(theta: np.ndarray) -> tuple[float, np.ndarray]:
            factor = np.zeros_like(psi)
            factor[rows, columns] = theta
            solution = self.solve(factor @ factor.T)
            slope = 2.0 * solution.gradient @ factor
            return -2.0 * solution.log_likelihood, slope[rows, columns]

        best = psi
        for _ in range(_MAX_ESCAPES):
            start = cholesky(self._escape(best))[rows, columns]
            found = optimize.minimize(
                deviance,
                start,
                jac=True,
                method="L-BFGS-B",
                bounds=bounds,
                options={"ftol": 1e-15, "gtol": 1e-9, "maxiter": 500},
            )
            factor = np.zeros_like(psi)
            factor[rows, columns] = found.x
            best = self._to_boundary(factor @ factor.T)
            if not self._is_saddle(best):
                break
        return best

    def _is_saddle(self, psi: np.ndarray) -> bool:
        """Say whether a variance on the boundary would rather be larger."""
        _, null = self._directions(psi)
        return bool(downhill(self.solve(psi).gradient, null))

    def _escape(self, psi: np.ndarray) -> np.ndarray:
        """Step out of the boundary where the likelihood rises there."""
        _, null = self._directions(psi)
        solution = self.solve(psi)
        for vector in downhill(solution.gradient, null):
            direction = np.outer(vector, vector)
            slope = float((direction * solution.gradient).sum())
            flat = direction.reshape(-1)
            curvature = float(flat @ solution.information @ flat)
            psi = psi - slope / max(curvature, 1e-12) * direction
        return psi

    def _to_boundary(self, psi: np.ndarray) -> np.ndarray:
        """Set variances that are zero for all that the data can say to zero."""
        best, value = psi, self.log_likelihood(psi)
        for block in self.arrays.blocks:
            values, vectors = np.linalg.eigh(best[np.ix_(block, block)])
            for k in np.flatnonzero(values < _NEARLY_ZERO):
                flat = np.where(np.arange(len(block)) <= k, 0.0, np.clip(values, 0.0, None))
                candidate = best.copy()
                candidate[np.ix_(block, block)] = (vectors * flat) @ vectors.T
                if self.log_likelihood(candidate) < value - 1e-9:
                    break
                best = candidate
        return best

    def certify(self, solution: Solution) -> Certificate:
        """Judge whether a solution is a maximum, on the boundary or inside.

        Parameters
        ----------
        solution : Solution
            From :meth:`solve`.

        Returns
        -------
        Certificate
            A maximum has a `gain` of zero. A point where a variance is zero but would rather be
            larger has not, even though the likelihood is flat there in the variance's root.
        """
        inside, null = self._directions(solution.psi)
        gain = 0.0
        if inside.size:
            slope = inside.T @ solution.gradient.reshape(-1)
            curvature = inside.T @ solution.information @ inside
            gain += float(slope @ np.linalg.lstsq(curvature, slope, rcond=1e-12)[0]) / 4
        for vector in downhill(solution.gradient, null):
            direction = np.outer(vector, vector).reshape(-1)
            slope = float(direction @ solution.gradient.reshape(-1))
            curvature = float(direction @ solution.information @ direction)
            gain += slope**2 / max(curvature, 1e-12) / 4
        return Certificate(gain=gain, singular=bool(null))

    def _directions(self, psi: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
        """Split changes of psi into those open both ways, and null spaces that may only grow."""
        q = len(psi)
        both_ways: list[np.ndarray] = []
        null: list[np.ndarray] = []
        for block in self.arrays.blocks:
            values, vectors = np.linalg.eigh(psi[np.ix_(block, block)])
            full = np.zeros((q, len(block)))
            full[list(block)] = vectors
            positive = values > _BOUNDARY**2
            if not positive.all():
                null.append(full[:, ~positive])
            for i, j in itertools.combinations_with_replacement(range(len(block)), 2):
                if positive[i] or positive[j]:
                    outer = np.outer(full[:, i], full[:, j])
                    both_ways.append(((outer + outer.T) / 2).reshape(-1))
        stacked = np.stack(both_ways, axis=1) if both_ways else np.empty((q * q, 0))
        return stacked, null
