"""A common scale for mixed models: numbers of about one for the optimiser, and the way back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy import linalg

from pmsstats.models.mixed.mixed_design import MixedArrays

__all__ = ["StandardScale", "standardise"]


@dataclass(frozen=True, eq=False, kw_only=True)
class StandardScale:
    """The way from the common scale back to the user's units.

    Parameters
    ----------
    offset : ndarray, shape (p,)
        Least-squares coefficients that were taken out of the outcome.
    scale : float
        What the outcome was divided by.
    R : ndarray, shape (p, p)
        ``X = X_standard @ R``.
    T : ndarray, shape (q, q)
        ``Z = Z_standard @ T``.
    others : tuple of ndarray
        The same of each further grouping factor.
    log_weights : float
        Sum of the logarithms of the precision weights.

    Notes
    -----
    REML and ML are invariant under these maps, so a fit on the common scale is the fit in the
    user's units; only the optimiser sees better numbers.
    """

    offset: np.ndarray
    scale: float
    R: np.ndarray
    T: np.ndarray
    others: tuple[np.ndarray, ...] = ()
    log_weights: float = 0.0

    def fixed(self, gamma: np.ndarray) -> np.ndarray:
        """Return fixed effects in the user's units.

        Parameters
        ----------
        gamma : ndarray, shape (p,)
            Fixed effects on the common scale.

        Returns
        -------
        ndarray, shape (p,)
            Of the columns before standardising.
        """
        return self.offset + self.scale * linalg.solve_triangular(self.R, gamma)

    def fixed_covariance(self, covariance: np.ndarray) -> np.ndarray:
        """Return the covariance of the fixed effects in the user's units.

        Parameters
        ----------
        covariance : ndarray, shape (p, p)
            On the common scale; or a derivative of it.

        Returns
        -------
        ndarray, shape (p, p)
            The same in the user's units.
        """
        return self.scale**2 * self._inverse @ covariance @ self._inverse.T

    @cached_property
    def _inverse(self) -> np.ndarray:
        """Return the inverse of R."""
        inverse: np.ndarray = linalg.solve_triangular(self.R, np.eye(len(self.R)))
        return inverse

    def random(self, modes: np.ndarray, *, grouping: int = 0) -> np.ndarray:
        """Return predicted random effects in the user's units.

        Parameters
        ----------
        modes : ndarray, shape (n_subjects, q)
            On the common scale.
        grouping : int, default 0
            Which grouping factor: 0 is that of the subjects.

        Returns
        -------
        ndarray, shape (n_subjects, q)
            Of the columns before standardising.
        """
        return self.scale * linalg.solve_triangular(self._triangle(grouping), modes.T).T

    def random_covariance(self, covariance: np.ndarray, *, grouping: int = 0) -> np.ndarray:
        """Return the covariance of the random effects in the user's units.

        Parameters
        ----------
        covariance : ndarray, shape (q, q)
            On the common scale.
        grouping : int, default 0
            Which grouping factor: 0 is that of the subjects.

        Returns
        -------
        ndarray, shape (q, q)
            Of the columns before standardising.
        """
        triangle = self._triangle(grouping)
        inverse = linalg.solve_triangular(triangle, np.eye(len(triangle)))
        return self.scale**2 * inverse @ covariance @ inverse.T

    def _triangle(self, grouping: int) -> np.ndarray:
        """Return the triangle of one grouping factor."""
        return (self.T, *self.others)[grouping]

    def log_likelihood(self, value: float, *, n_obs: int, reml: bool) -> float:
        """Return the log-likelihood of the outcome in the user's units.

        Parameters
        ----------
        value : float
            On the common scale.
        n_obs : int
            Number of rows.
        reml : bool
            Restricted or full.

        Returns
        -------
        float
            With the Jacobian of the outcome's unit, of the weights and, if restricted, of the
            fixed columns.
        """
        value = value + 0.5 * self.log_weights
        if not reml:
            return value - n_obs * float(np.log(self.scale))
        log_det = float(np.log(np.abs(np.diag(self.R))).sum())
        return value - (n_obs - len(self.R)) * float(np.log(self.scale)) - log_det


def standardise(arrays: MixedArrays) -> tuple[MixedArrays, StandardScale]:
    """Put a mixed model on a scale on which its numbers are about one.

    Parameters
    ----------
    arrays : MixedArrays
        In the user's units.

    Returns
    -------
    standard : MixedArrays
        Outcome: least-squares residuals of unit size. Fixed and random columns: orthogonal (the
        latter within each block) and of unit size. The weights are worked into the rows, by their
        square roots, and gone.
    back : StandardScale
        The way back.
    """
    root = 1.0 if arrays.weights is None else np.sqrt(arrays.weights)
    y, columns = arrays.y * root, (arrays.X.T * root).T
    R, X = _orthogonal(columns)
    offset = linalg.solve_triangular(R, X.T @ y / arrays.n_obs)
    residual = y - columns @ offset
    scale = float(np.sqrt(np.mean(residual**2)))
    T, Z = _orthogonal_blocks((arrays.Z.T * root).T, arrays.blocks)
    made = [_orthogonal_blocks((other.Z.T * root).T, other.blocks) for other in arrays.others]
    standard = MixedArrays(
        y=residual / scale,
        X=X,
        Z=Z,
        subject=arrays.subject,
        n_subjects=arrays.n_subjects,
        blocks=arrays.blocks,
        others=tuple(
            replace(other, Z=Z) for other, (_, Z) in zip(arrays.others, made, strict=True)
        ),
    )
    return standard, StandardScale(
        offset=offset,
        scale=scale,
        R=R,
        T=T,
        others=tuple(triangle for triangle, _ in made),
        log_weights=0.0 if arrays.weights is None else float(np.log(arrays.weights).sum()),
    )


def _orthogonal_blocks(
    Z: np.ndarray, blocks: tuple[tuple[int, ...], ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Split random-effects columns, each block by itself, as :func:`_orthogonal` does."""
    made = np.empty_like(Z)
    T = np.zeros((Z.shape[1],) * 2)
    for block in blocks:
        columns = list(block)
        T[np.ix_(columns, columns)], made[:, columns] = _orthogonal(Z[:, columns])
    return T, made


def _orthogonal(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Split columns into an upper triangle and orthogonal columns of unit mean square."""
    sizes = np.sqrt(np.mean(matrix**2, axis=0))
    Q, R = np.linalg.qr(matrix / sizes)
    root = np.sqrt(len(matrix))
    signs = np.sign(np.diag(R))
    return (R * sizes) * signs[:, None] / root, Q * signs * root
