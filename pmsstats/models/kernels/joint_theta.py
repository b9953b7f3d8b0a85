"""The parameters of a joint model as one vector, and as named parts.

The vector holds the fixed effects ``beta`` of all markers, the logarithms of their residual
standard deviations, the log-Cholesky vector of the random effects' covariance ``D`` [1]_ (lower
triangle by rows, logarithms on its diagonal), the coefficients ``psi`` of every cause's baseline
hazard and covariates, and the associations ``alpha`` by cause, then link.

References
----------
.. [1] Pinheiro JC, Bates DM. Unconstrained parametrizations for variance-covariance matrices.
   Stat Comput 1996;6:289-296. doi:10.1007/BF00140873.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property

import numpy as np

__all__ = ["JointShape", "JointTheta"]


@dataclass(frozen=True, kw_only=True, eq=False)
class JointTheta:
    """Named parts of the parameters.

    Parameters
    ----------
    beta : ndarray, shape (p,)
        Fixed effects of all markers.
    sigma : ndarray, shape (K,)
        Residual standard deviations.
    root : ndarray, shape (q, q)
        Lower triangle whose product with its transpose is D.
    psi : tuple of ndarray, shape (n_psi_c,)
        Baseline coefficients per cause.
    alpha : ndarray, shape (C, n_links)
        Associations.
    """

    beta: np.ndarray
    sigma: np.ndarray
    root: np.ndarray
    psi: tuple[np.ndarray, ...]
    alpha: np.ndarray

    @property
    def D(self) -> np.ndarray:  # noqa: N802 - the symbol of the field
        """Return the covariance of the random effects, shape (q, q)."""
        return self.root @ self.root.T


@dataclass(frozen=True)
class JointShape:
    """Numbers of parameters, and where they stand in the vector.

    Parameters
    ----------
    n_fixed : tuple of int
        Fixed effects per marker.
    n_random : tuple of int
        Random effects per marker.
    n_psi : tuple of int
        Baseline coefficients per cause.
    n_links : int
        Associations per cause.
    """

    n_fixed: tuple[int, ...]
    n_random: tuple[int, ...]
    n_psi: tuple[int, ...]
    n_links: int

    @cached_property
    def p(self) -> int:
        """Return the number of fixed effects."""
        return sum(self.n_fixed)

    @cached_property
    def q(self) -> int:
        """Return the number of random effects."""
        return sum(self.n_random)

    @cached_property
    def beta(self) -> slice:
        """Return the place of the fixed effects."""
        return slice(0, self.p)

    @cached_property
    def log_sigma(self) -> slice:
        """Return the place of the logarithms of the residual standard deviations."""
        return slice(self.p, self.p + len(self.n_fixed))

    @cached_property
    def root(self) -> slice:
        """Return the place of the log-Cholesky vector."""
        first = self.log_sigma.stop
        return slice(first, first + self.q * (self.q + 1) // 2)

    @cached_property
    def psi(self) -> tuple[slice, ...]:
        """Return the place of every cause's baseline coefficients."""
        ends = self.root.stop + np.cumsum((0, *self.n_psi))
        return tuple(slice(int(a), int(b)) for a, b in itertools.pairwise(ends))

    @cached_property
    def alpha(self) -> slice:
        """Return the place of the associations."""
        first = self.root.stop + sum(self.n_psi)
        return slice(first, first + len(self.n_psi) * self.n_links)

    @cached_property
    def n_theta(self) -> int:
        """Return the length of the vector."""
        return self.alpha.stop

    @cached_property
    def marker_of_fixed(self) -> np.ndarray:
        """Return the marker of every fixed effect, shape (p,)."""
        return np.repeat(np.arange(len(self.n_fixed)), self.n_fixed)

    @cached_property
    def marker_of_random(self) -> np.ndarray:
        """Return the marker of every random effect, shape (q,)."""
        return np.repeat(np.arange(len(self.n_random)), self.n_random)

    @cached_property
    def lower(self) -> tuple[np.ndarray, np.ndarray]:
        """Return rows and columns of the log-Cholesky vector's entries."""
        return np.tril_indices(self.q)

    def unpack(self, theta: np.ndarray) -> JointTheta:
        """Name the parts of a vector.

        Parameters
        ----------
        theta : ndarray, shape (n_theta,)
            The vector.

        Returns
        -------
        JointTheta
            Its parts.
        """
        root = np.zeros((self.q, self.q))
        root[self.lower] = theta[self.root]
        root[np.diag_indices(self.q)] = np.exp(np.diag(root))
        return JointTheta(
            beta=theta[self.beta].copy(),
            sigma=np.exp(theta[self.log_sigma]),
            root=root,
            psi=tuple(theta[place].copy() for place in self.psi),
            alpha=theta[self.alpha].reshape(len(self.n_psi), self.n_links).copy(),
        )

    def pack(self, parts: JointTheta) -> np.ndarray:
        """Join parts to a vector.

        Parameters
        ----------
        parts : JointTheta
            The parts.

        Returns
        -------
        ndarray, shape (n_theta,)
            The vector.
        """
        root = parts.root.copy()
        root[np.diag_indices(self.q)] = np.log(np.diag(root))
        sizes = (parts.beta, np.log(parts.sigma), root[self.lower], *parts.psi)
        return np.concatenate([*sizes, parts.alpha.ravel()])
