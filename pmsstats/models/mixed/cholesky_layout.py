"""The free entries of several Cholesky factors as one vector, as optimisers want them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from pmsstats.models.mixed.covariance_roots import cholesky

__all__ = ["CholeskyLayout"]


@dataclass(frozen=True, eq=False)
class CholeskyLayout:
    """Where the free entries of the Cholesky factors stand in one vector ``theta``.

    Parameters
    ----------
    factor : ndarray of int, shape (k,)
        Grouping factor of each entry.
    row, column : ndarray of int, shape (k,)
        Its place in that factor's lower triangle.
    sizes : tuple of int
        Effects of each grouping factor.
    """

    factor: np.ndarray
    row: np.ndarray
    column: np.ndarray
    sizes: tuple[int, ...]

    @classmethod
    def from_masks(cls, masks: Sequence[np.ndarray]) -> Self:
        """Make the layout from which entries of each covariance are free.

        Parameters
        ----------
        masks : sequence of ndarray of bool, shape (q_k, q_k)
            One per grouping factor.

        Returns
        -------
        CholeskyLayout
            Row by row, one factor after the other.
        """
        places = [
            (k, i, j)
            for k, mask in enumerate(masks)
            for i, j in zip(*np.nonzero(np.tril(mask)), strict=True)
        ]
        factor, row, column = np.array(places, dtype=int).T
        return cls(factor, row, column, tuple(len(mask) for mask in masks))

    @property
    def is_diagonal(self) -> np.ndarray:
        """Which entries are at least zero."""
        return self.row == self.column

    def lower(self, theta: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return the lower triangles.

        Parameters
        ----------
        theta : ndarray, shape (k,)
            Their free entries.
        """
        made = tuple(np.zeros((q, q)) for q in self.sizes)
        for value, k, i, j in zip(theta, self.factor, self.row, self.column, strict=True):
            made[k][i, j] = value
        return made

    def psis(self, theta: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return the relative covariances.

        Parameters
        ----------
        theta : ndarray, shape (k,)
            Free entries of their Cholesky factors.
        """
        return tuple(L @ L.T for L in self.lower(theta))

    def theta(self, psis: Sequence[np.ndarray]) -> np.ndarray:
        """Return the free entries of the Cholesky factors of relative covariances.

        Parameters
        ----------
        psis : sequence of ndarray, shape (q_k, q_k)
            Positive semidefinite.
        """
        return self.pick([cholesky(psi) for psi in psis])

    def pick(self, matrices: Sequence[np.ndarray]) -> np.ndarray:
        """Return the entries that are free.

        Parameters
        ----------
        matrices : sequence of ndarray, shape (q_k, q_k)
            One per grouping factor.
        """
        places = zip(self.factor, self.row, self.column, strict=True)
        return np.array([matrices[k][i, j] for k, i, j in places])

    def slope(self, gradient: Sequence[np.ndarray], theta: np.ndarray) -> np.ndarray:
        """Return a derivative in theta, given that in the covariances.

        Parameters
        ----------
        gradient : sequence of ndarray, shape (q_k, q_k)
            Symmetric.
        theta : ndarray, shape (k,)
            Where.
        """
        lower = self.lower(theta)
        return self.pick([2.0 * G @ L for G, L in zip(gradient, lower, strict=True)])
