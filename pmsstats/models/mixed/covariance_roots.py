"""Roots of covariance matrices that may be singular, and ways out of their boundary."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["cholesky", "downhill", "root"]


def root(psi: np.ndarray) -> np.ndarray:
    """Return a square root of a covariance.

    Parameters
    ----------
    psi : ndarray, shape (q, q)
        Positive semidefinite.

    Returns
    -------
    ndarray, shape (q, q)
        F with ``F F' = psi``.
    """
    values, vectors = np.linalg.eigh(psi)
    made: np.ndarray = vectors * np.sqrt(np.clip(values, 0.0, None))
    return made


def cholesky(psi: np.ndarray) -> np.ndarray:
    """Return the Cholesky factor of a covariance.

    Parameters
    ----------
    psi : ndarray, shape (q, q)
        Positive semidefinite.

    Returns
    -------
    ndarray, shape (q, q)
        The lower triangle L with ``L L' = psi`` and a diagonal of at least zero.

    Examples
    --------
    >>> cholesky(np.diag([4.0, 0.0]))
    array([[2., 0.],
           [0., 0.]])
    """
    upper = np.linalg.qr(root(psi).T, mode="r")
    signs = np.where(np.diag(upper) < 0, -1.0, 1.0)
    made: np.ndarray = (upper * signs[:, None]).T
    return made + 0.0


def downhill(gradient: np.ndarray, null: Sequence[np.ndarray]) -> list[np.ndarray]:
    """List directions out of the boundary in which the deviance falls.

    Parameters
    ----------
    gradient : ndarray, shape (q, q)
        Derivative of the deviance in the covariance.
    null : sequence of ndarray, shape (q, k)
        Orthonormal bases of effects that do not vary.

    Returns
    -------
    list of ndarray, shape (q,)
        Effects whose variance would rather be larger than zero.
    """
    found: list[np.ndarray] = []
    for basis in null:
        values, vectors = np.linalg.eigh(basis.T @ gradient @ basis)
        found += [basis @ vectors[:, k] for k in range(len(values)) if values[k] < 0]
    return found
