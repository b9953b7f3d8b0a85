"""Likelihood of Gaussian mixed models with several grouping factors, nested or crossed.

Notation: ``V = I + Z_0 Psi_0 Z_0' + sum_k Z_k Psi_k Z_k'`` in units of the residual variance
``sigma^2``, which is profiled out together with the fixed effects. Factor 0, that of the
subjects, has the most levels and is eliminated first: its part of the normal equations is block
diagonal, one small block per subject. What then remains of the other factors, O = (Z_1, Z_2, ...),
is one dense matrix with as many columns as they have levels times effects [2]_. The data enter
only through sums of products within levels.

References
----------
.. [1] Bates D, Maechler M, Bolker B, Walker S. Fitting linear mixed-effects models using lme4.
   J Stat Softw 2015;67(1). doi:10.18637/jss.v067.i01.
.. [2] Bates D, Alday P, Kleinschmidt D, et al. JuliaStats/MixedModels.jl (blocked Cholesky factor
   with the first factor diagonal). Zenodo. doi:10.5281/zenodo.596435.
.. [3] Harville DA. Maximum likelihood approaches to variance component estimation and to related
   problems. J Am Stat Assoc 1977;72:320-338. doi:10.1080/01621459.1977.10480998.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import linalg, sparse

from pmsstats.errors import DesignError
from pmsstats.models.formulas.columns import sum_by_subject
from pmsstats.models.mixed.covariance_roots import root
from pmsstats.models.mixed.mixed_design import GroupingArrays, MixedArrays

__all__ = ["GroupedLikelihood", "GroupedSolution", "GroupedState"]

_MAX_DENSE = 4000  # columns of the dense part: 128 MB, and seconds per evaluation
_LOG_2_PI = float(np.log(2 * np.pi))


@dataclass(frozen=True, eq=False, kw_only=True)
class GroupedSolution:
    """Everything that follows from one covariance of the random effects of each factor.

    Parameters
    ----------
    psi : tuple of ndarray, shape (q_k, q_k)
        Covariances of the random effects over ``sigma^2``, that of the subjects first.
    fixed : ndarray, shape (p,)
        Generalised least-squares estimates.
    fixed_covariance : ndarray, shape (p, p)
        ``sigma^2 (X' V^-1 X)^-1``.
    sigma2 : float
        Residual variance.
    log_likelihood : float
        Restricted or full, with all constants.
    modes : tuple of ndarray, shape (n_levels_k, q_k)
        Best linear unbiased predictions of the random effects.
    gradient : tuple of ndarray, shape (q_k, q_k)
        Derivative of the deviance (minus twice the log-likelihood) in `psi`.
    """

    psi: tuple[np.ndarray, ...]
    fixed: np.ndarray
    fixed_covariance: np.ndarray
    sigma2: float
    log_likelihood: float
    modes: tuple[np.ndarray, ...]
    gradient: tuple[np.ndarray, ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class GroupedState:
    """Products with ``V^-1`` at one covariance, from which all else is put together.

    Parameters
    ----------
    psi : tuple of ndarray, shape (q_k, q_k)
        Covariances of the random effects over ``sigma^2``.
    log_det : float
        Of `V`.
    fixed : ndarray, shape (p,)
        Generalised least-squares estimates.
    inverse : ndarray, shape (p, p)
        ``(X' V^-1 X)^-1``.
    log_det_fixed : float
        Logarithm of the determinant of ``X' V^-1 X``.
    residual : float
        ``(y - X fixed)' V^-1 (y - X fixed)``.
    ZVZ : tuple of ndarray, shape (q_k, q_k)
        ``Z' V^-1 Z`` summed over the levels of each factor (their diagonal blocks).
    ZVX : tuple of ndarray, shape (n_levels_k, q_k, p)
        ``Z' V^-1 X`` of each level.
    scores : tuple of ndarray, shape (n_levels_k, q_k)
        ``Z' V^-1 (y - X fixed)`` of each level.
    modes : tuple of ndarray, shape (n_levels_k, q_k)
        Best linear unbiased predictions, ``psi`` times the scores, without their cancellation.
    shrunk : ndarray, shape (n_subjects, q_0, q_0)
        ``Z_0' V_0^-1 Z_0`` of each subject, where ``V_0`` has the subjects' effects only.
    between : scipy.sparse.csr_matrix, shape (n_subjects * q_0, D)
        ``Z_0' V_0^-1 O``.
    remaining : ndarray, shape (D, D)
        ``O' V_0^-1 O``.
    solved : ndarray, shape (D, D)
        ``F (I + F' (O' V_0^-1 O) F)^-1 F'`` with F a root of the covariance of the effects of O.
    """

    psi: tuple[np.ndarray, ...]
    log_det: float
    fixed: np.ndarray
    inverse: np.ndarray
    log_det_fixed: float
    residual: float
    ZVZ: tuple[np.ndarray, ...]
    ZVX: tuple[np.ndarray, ...]
    scores: tuple[np.ndarray, ...]
    modes: tuple[np.ndarray, ...]
    shrunk: np.ndarray
    between: sparse.csr_matrix
    remaining: np.ndarray
    solved: np.ndarray


class GroupedLikelihood:
    """Profiled (restricted) log-likelihood of one data set with several grouping factors.

    Parameters
    ----------
    arrays : MixedArrays
        On the common scale (see :func:`~pmsstats.models.mixed.mixed_scale.standardise`), with
        `others`.
    reml : bool
        Restricted or full.

    Raises
    ------
    DesignError
        If the factors other than the subjects have some thousands of effects, or weights are not
        worked into the rows yet.
    """

    def __init__(self, arrays: MixedArrays, *, reml: bool) -> None:
        if arrays.weights is not None:
            raise DesignError("GroupedLikelihood takes no weights: call `standardise` first.")
        self.arrays = arrays
        self.reml = reml
        self.n_free = arrays.n_obs - arrays.X.shape[1] if reml else arrays.n_obs
        self.factors = (_subjects(arrays), *arrays.others)
        self.masks = tuple(factor.mask() for factor in self.factors)
        self.widths = tuple(factor.Z.shape[1] for factor in self.factors)
        self.columns = _dense_columns(arrays.others)
        Z, m, q = arrays.Z, arrays.n_subjects, arrays.Z.shape[1]
        both = np.column_stack([arrays.X, arrays.y])
        spread = sparse.hstack([_indicator(other) for other in arrays.others], format="csr")
        self._squares = both.T @ both
        self._OtO = (spread.T @ spread).toarray()
        self._OtXy = spread.T @ both
        self._ZtO = (_indicator(self.factors[0]).T @ spread).tocsr()
        self._ZtZ = sum_by_subject(Z[:, :, None] * Z[:, None, :], arrays.subject, m)
        products = sum_by_subject(Z[:, :, None] * both[:, None, :], arrays.subject, m)
        self._ZtXy = products.reshape(m * q, -1)

    def log_likelihood(self, psis: Sequence[np.ndarray]) -> float:
        """Evaluate at one relative covariance per grouping factor.

        Parameters
        ----------
        psis : sequence of ndarray, shape (q_k, q_k)
            Positive semidefinite, that of the subjects first.

        Returns
        -------
        float
            Fixed effects and residual variance are profiled out.
        """
        return self.profiled(self.state(psis))

    def profiled(self, state: GroupedState) -> float:
        """Return the log-likelihood of a state, with the residual variance that fits it best.

        Parameters
        ----------
        state : GroupedState
            From :meth:`state`.

        Returns
        -------
        float
            Restricted or full.
        """
        sigma2 = state.residual / self.n_free
        deviance = state.log_det + self.n_free * (_LOG_2_PI + np.log(sigma2) + 1.0)
        return -0.5 * float(deviance + (state.log_det_fixed if self.reml else 0.0))

    def solve(self, psis: Sequence[np.ndarray]) -> GroupedSolution:
        """Work out everything that follows from one relative covariance per grouping factor.

        Parameters
        ----------
        psis : sequence of ndarray, shape (q_k, q_k)
            Positive semidefinite, that of the subjects first.

        Returns
        -------
        GroupedSolution
            Estimates, predictions, and the slope of the likelihood.
        """
        state = self.state(psis)
        sigma2 = state.residual / self.n_free
        return GroupedSolution(
            psi=state.psi,
            fixed=state.fixed,
            fixed_covariance=sigma2 * state.inverse,
            sigma2=sigma2,
            log_likelihood=self.profiled(state),
            modes=state.modes,
            gradient=self.gradient(state, sigma2),
        )

    def gradient(self, state: GroupedState, sigma2: float) -> tuple[np.ndarray, ...]:
        """Differentiate the deviance in the relative covariances, at a residual variance.

        Parameters
        ----------
        state : GroupedState
            From :meth:`state`.
        sigma2 : float
            Residual variance; at the one that fits best this is the slope of the profiled
            deviance.

        Returns
        -------
        tuple of ndarray, shape (q_k, q_k)
            Scores of [3]_; zero where an entry is not free.
        """
        found = []
        for k, mask in enumerate(self.masks):
            slope = state.ZVZ[k] - state.scores[k].T @ state.scores[k] / sigma2
            if self.reml:
                ZVX = state.ZVX[k]
                slope = slope - np.einsum("lqa,lra->qr", ZVX @ state.inverse, ZVX)
            found.append(np.where(mask, (slope + slope.T) / 2, 0.0))
        return tuple(found)

    def state(self, psis: Sequence[np.ndarray]) -> GroupedState:
        """Work out the products with ``V^-1`` at one relative covariance per grouping factor.

        Parameters
        ----------
        psis : sequence of ndarray, shape (q_k, q_k)
            Positive semidefinite, that of the subjects first.

        Returns
        -------
        GroupedState
            What the likelihood, its slope and small-sample inference are made of.
        """
        psis = tuple(np.asarray(psi, dtype=float) for psi in psis)
        m, q = self.arrays.n_subjects, self.widths[0]
        # The subjects' own effects: V_0^-1 = I - Z_0 M Z_0'.
        factor = root(psis[0])
        core = np.eye(q) + factor.T @ self._ZtZ @ factor
        M = factor @ np.linalg.solve(core, np.broadcast_to(factor.T, core.shape))
        shrink = np.eye(q) - self._ZtZ @ M
        between = (_block_diagonal(shrink) @ self._ZtO).tocsr()
        MB = (_block_diagonal(M) @ self._ZtO).tocsr()
        M_Xy = (M @ self._ZtXy.reshape(m, q, -1)).reshape(m * q, -1)
        remaining = self._OtO - (self._ZtO.T @ MB).toarray()
        left = self._OtXy - self._ZtO.T @ M_Xy
        inner = self._squares - self._ZtXy.T @ M_Xy
        # What remains of the others: V^-1 = V_0^-1 - V_0^-1 O solved O' V_0^-1.
        roots = [root(psi) for psi in psis[1:]]
        K = self._times(roots, self._times(roots, remaining).T)
        K[np.diag_indices_from(K)] += 1.0
        lower = linalg.cholesky(K, lower=True, check_finite=False)
        half = linalg.solve_triangular(
            lower, self._times(roots, np.eye(len(K))), lower=True, check_finite=False
        )
        solved = half.T @ half
        others_Xy = left - remaining @ (solved @ left)
        products = inner - left.T @ (solved @ left)
        own_Xy = (shrink @ self._ZtXy.reshape(m, q, -1)).reshape(m * q, -1)
        subject_Xy = own_Xy - between @ (solved @ left)
        XVX, XVy = products[:-1, :-1], products[:-1, -1]
        inverse = np.linalg.inv(XVX)
        fixed = inverse @ XVy
        per_level = [subject_Xy.reshape(m, q, -1), *self._split(others_Xy)]
        shrunk = shrink @ self._ZtZ
        modes = solved @ (left[:, -1:] - left[:, :-1] @ fixed[:, None])
        own = self._ZtXy[:, -1:] - self._ZtXy[:, :-1] @ fixed[:, None] - self._ZtO @ modes
        return GroupedState(
            psi=psis,
            log_det=float(np.linalg.slogdet(core)[1].sum() + 2 * np.log(np.diag(lower)).sum()),
            fixed=fixed,
            inverse=inverse,
            log_det_fixed=float(np.linalg.slogdet(XVX)[1]),
            residual=float(products[-1, -1] - XVy @ fixed),
            ZVZ=(
                shrunk.sum(axis=0) - _quadratic(between, solved, q),
                *self._diagonal_blocks(remaining, remaining @ half.T),
            ),
            ZVX=tuple(values[:, :, :-1] for values in per_level),
            scores=tuple(values[:, :, -1] - values[:, :, :-1] @ fixed for values in per_level),
            modes=(
                (M @ own.reshape(m, q, 1))[:, :, 0],
                *(part[:, :, 0] for part in self._split(modes)),
            ),
            shrunk=shrunk,
            between=between,
            remaining=remaining,
            solved=solved,
        )

    def _times(self, roots: Sequence[np.ndarray], matrix: np.ndarray) -> np.ndarray:
        """Multiply by the transposed root of the covariance of all other effects, from the left."""
        made = np.empty_like(matrix)
        for factor, columns, part in zip(roots, self.columns, self._split(matrix), strict=True):
            made[columns] = (factor.T @ part).reshape(-1, matrix.shape[1])
        return made

    def _split(self, matrix: np.ndarray) -> list[np.ndarray]:
        """Cut rows that belong to the other factors into (level, effect, column)."""
        return [
            matrix[columns].reshape(-1, width, matrix.shape[1])
            for columns, width in zip(self.columns, self.widths[1:], strict=True)
        ]

    def _diagonal_blocks(self, remaining: np.ndarray, loss: np.ndarray) -> list[np.ndarray]:
        """Add up the levels' own blocks of ``remaining - loss loss'`` for each other factor."""
        found = []
        for columns, width in zip(self.columns, self.widths[1:], strict=True):
            n = (columns.stop - columns.start) // width
            own = remaining[columns, columns].reshape(n, width, n, width)
            part = loss[columns].reshape(n, width, -1)
            found.append(np.einsum("lalb->ab", own) - np.einsum("lac,lbc->ab", part, part))
        return found


def _subjects(arrays: MixedArrays) -> GroupingArrays:
    """Return the subjects as a grouping factor like the others."""
    return GroupingArrays(
        name="subject",
        codes=arrays.subject,
        n_levels=arrays.n_subjects,
        Z=arrays.Z,
        blocks=arrays.blocks,
    )


def _dense_columns(others: Sequence[GroupingArrays]) -> tuple[slice, ...]:
    """Return where the effects of each other factor stand in O."""
    sizes = [other.n_levels * other.Z.shape[1] for other in others]
    if not sizes:
        raise DesignError("GroupedLikelihood needs a second grouping factor; see MixedLikelihood.")
    if sum(sizes) > _MAX_DENSE:
        listed = ", ".join(f"{o.name} ({size})" for o, size in zip(others, sizes, strict=True))
        raise DesignError(
            f"The grouping factors besides the largest one have {sum(sizes)} random effects "
            f"({listed}), more than {_MAX_DENSE}. Use fewer random terms, or engine='lme4'."
        )
    ends = np.cumsum(sizes)
    return tuple(slice(int(e - s), int(e)) for s, e in zip(sizes, ends, strict=True))


def _indicator(factor: GroupingArrays) -> sparse.csr_matrix:
    """Spread the columns of Z over the levels: shape (n_obs, n_levels * q)."""
    n, q = factor.Z.shape
    columns = factor.codes[:, None] * q + np.arange(q)
    starts = np.arange(0, n * q + 1, q)
    return sparse.csr_matrix(
        (factor.Z.reshape(-1), columns.reshape(-1), starts), shape=(n, factor.n_levels * q)
    )


def _block_diagonal(blocks: np.ndarray) -> sparse.csr_matrix:
    """Put blocks, shape (m, q, q), on a diagonal."""
    m = len(blocks)
    return sparse.bsr_matrix((blocks, np.arange(m), np.arange(m + 1))).tocsr()


def _quadratic(between: sparse.csr_matrix, solved: np.ndarray, q: int) -> np.ndarray:
    """Add up ``E_i solved E_i'`` over subjects i, whose rows E_i are stacked in `between`."""
    parts = [between[a::q] for a in range(q)]
    total = np.empty((q, q))
    for a in range(q):
        for b in range(a + 1):
            total[a, b] = total[b, a] = (parts[a].T @ parts[b]).multiply(solved).sum()
    return total
