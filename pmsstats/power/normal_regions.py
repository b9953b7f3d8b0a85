"""Probabilities of a grid of boxes under a multivariate normal distribution."""

from __future__ import annotations

import functools

import numpy as np
from scipy import special
from scipy.stats import qmc

from pmsstats.errors import DesignError

__all__ = ["correlation_root", "grid_probabilities"]

_SHIFTS = 8  # independent sets of points, whose spread is the error
_EDGE = 1e-16  # of a probability, so that quantiles stay finite
_NOT_NEGATIVE = 1e-9  # of a squared pivot: rounding of a singular matrix


def correlation_root(correlation: np.ndarray) -> np.ndarray:
    """Return the lower Cholesky factor of a correlation matrix, which may be singular.

    Parameters
    ----------
    correlation : ndarray, shape (k, k)
        With ones on the diagonal.

    Returns
    -------
    ndarray, shape (k, k)
        Lower triangular.

    Raises
    ------
    DesignError
        If the matrix is not symmetric and positive semidefinite with ones on its diagonal.
    """
    k = len(correlation)
    root = np.zeros((k, k))
    valid = np.allclose(correlation, correlation.T) and np.allclose(np.diag(correlation), 1)
    for j in range(k):
        pivot = correlation[j, j] - root[j, :j] @ root[j, :j]
        valid &= bool(pivot >= -_NOT_NEGATIVE)
        root[j, j] = np.sqrt(max(pivot, 1e-12))
        root[j + 1 :, j] = (correlation[j + 1 :, j] - root[j + 1 :, :j] @ root[j, :j]) / root[j, j]
    if not valid:
        raise DesignError(
            "`correlation` must be a correlation matrix (symmetric, ones on the diagonal, no "
            f"negative eigenvalue), got {correlation.tolist()!r}."
        )
    return root


def grid_probabilities(edges: np.ndarray, root: np.ndarray, *, log2_points: int = 10) -> np.ndarray:
    """Return the probabilities that a normal vector with mean zero lies in the cells of a grid.

    Parameters
    ----------
    edges : ndarray, shape (k, m)
        Where each variable's axis is cut, ascending; the outer cells are open.
    root : ndarray, shape (k, k)
        Lower Cholesky factor of the covariance.
    log2_points : int, default 10
        Of the number of quasi-random points, for three and more variables.

    Returns
    -------
    ndarray, shape (n_sets, m + 1, ..., m + 1)
        One axis per variable, after one for independent sets of points: take the mean over it. For
        one or two variables there is a single set.

    Raises
    ------
    DesignError
        If there is no variable.

    Notes
    -----
    Each variable is integrated given those before it (separation of variables [1]_), over
    scrambled Sobol points with a fixed seed; cells share what they have in common. With two
    variables one integral is left, taken by Gauss-Legendre.

    References
    ----------
    .. [1] Genz A. J Comput Graph Stat 1992;1:141-149. doi:10.1080/10618600.1992.10477010
    """
    points, weights = _points(max(len(root) - 1, 1), log2_points)
    return np.stack([_grid(edges, root, one_set, weights) for one_set in points])


def _grid(
    edges: np.ndarray, root: np.ndarray, points: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Return the probabilities of all cells from one set of points."""
    k, m = edges.shape
    product = weights[:, None]  # points x cells so far
    drawn: list[np.ndarray] = []  # values of the variables so far, points x cells
    for j in range(k):
        shift = sum((root[j, i] * value for i, value in enumerate(drawn)), np.zeros_like(product))
        below = special.ndtr((edges[j] - shift[..., None]) / root[j, j])
        ends = np.zeros((*shift.shape, 1))
        width = np.diff(np.concatenate([ends, below, ends + 1], axis=-1), axis=-1)
        if j == k - 1:
            return np.einsum("pc,pcm->cm", product, width).reshape((m + 1,) * k)
        start = np.concatenate([ends, below], axis=-1)
        inner = start + points[:, j, None, None] * width
        new = special.ndtri(np.clip(inner, _EDGE, 1 - _EDGE))
        drawn = [np.repeat(value, m + 1, axis=1) for value in drawn]
        drawn.append(new.reshape(len(points), -1))
        product = (product[..., None] * width).reshape(len(points), -1)
    raise DesignError("`edges` must hold at least one variable.")


@functools.cache
def _points(dimension: int, log2_points: int) -> tuple[np.ndarray, np.ndarray]:
    """Return points in the unit cube, shape (sets, points, dimension), and weights."""
    if dimension == 1:
        nodes, weights = np.polynomial.legendre.leggauss(200)
        v = (nodes + 1) / 2
        # Flat at both ends, where quantiles are infinite: u = v^3 (10 - 15 v + 6 v^2).
        line = v**3 * (10 - 15 * v + 6 * v**2)
        slope = 30 * v**2 * (1 - v) ** 2
        return line[None, :, None], weights / 2 * slope
    sets = [
        qmc.Sobol(dimension, rng=np.random.default_rng(seed)).random_base2(log2_points)
        for seed in range(_SHIFTS)
    ]
    return np.stack(sets), np.full(2**log2_points, 0.5**log2_points)
