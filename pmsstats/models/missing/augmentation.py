"""Posterior draws of a multivariate regression with missing outcomes, by data augmentation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pmsstats.models.missing.regressions import Regressions

__all__ = ["draw_posterior", "draw_wisharts"]


def draw_posterior(
    y: np.ndarray,
    regressors: np.ndarray,
    group: np.ndarray,
    fit: Regressions,
    *,
    n_draws: int,
    n_steps: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw effects and covariances from their posterior given the observed values.

    Parameters
    ----------
    y : ndarray, shape (n_subjects, n_visits)
        NaN where missing.
    regressors : ndarray, shape (n_subjects, q)
        The same at all visits.
    group : ndarray of int, shape (n_subjects,)
        Whose covariance.
    fit : Regressions
        Where every chain starts.
    n_draws : int
        Independent chains; each gives one draw.
    n_steps : int
        Steps of each chain.
    rng : numpy.random.Generator
        The stream.

    Returns
    -------
    tuple of ndarray
        Effects (n_draws, q, n_visits), covariances (n_draws, n_groups, n_visits, n_visits).

    Notes
    -----
    Priors are flat for effects and ``|Sigma|^{-(n_visits + 1) / 2}`` for covariances. Steps of a
    chain [1]_: missing values given parameters, covariances given values and effects
    (inverse Wishart), effects given values and covariances (normal). One draw of each of many
    chains is independent of the others, which thinned draws of one chain are only nearly.

    References
    ----------
    .. [1] Schafer JL. Analysis of Incomplete Multivariate Data. London: Chapman & Hall, 1997.
    """
    coefs = np.broadcast_to(fit.coefs[0], (n_draws, *fit.coefs.shape[1:])).copy()
    covariances = np.broadcast_to(fit.covariances[0], (n_draws, *fit.covariances.shape[1:])).copy()
    some = ~np.isnan(y).all(axis=1)  # those without any value tell nothing
    y, Z, group = y[some], regressors[some], group[some]
    data = _Data(
        y=y,
        Z=Z,
        members=[np.flatnonzero(group == g) for g in range(fit.covariances.shape[1])],
        cells=_cells(np.isnan(y), group),
    )
    filled = np.broadcast_to(np.nan_to_num(y), (n_draws, *y.shape)).copy()
    for _ in range(n_steps):
        _fill(filled, data, coefs, covariances, rng)
        covariances = _draw_covariances(filled, data, coefs, rng)
        coefs = _draw_effects(filled, data, covariances, rng)
    return coefs, covariances


@dataclass(frozen=True, eq=False, kw_only=True)
class _Data:
    """Observed values, regressors, subjects by covariance, and patterns with gaps."""

    y: np.ndarray
    Z: np.ndarray
    members: list[np.ndarray]
    cells: list[tuple[int, np.ndarray, np.ndarray]]


def _cells(gaps: np.ndarray, group: np.ndarray) -> list[tuple[int, np.ndarray, np.ndarray]]:
    """List group, missing visits and subjects of each pattern with gaps."""
    keys = np.column_stack([group, gaps])
    found, member = np.unique(keys, axis=0, return_inverse=True)
    return [
        (int(key[0]), key[1:].astype(bool), np.flatnonzero(member.ravel() == i))
        for i, key in enumerate(found)
        if key[1:].any()
    ]


def _fill(
    filled: np.ndarray,
    data: _Data,
    coefs: np.ndarray,
    covariances: np.ndarray,
    rng: np.random.Generator,
) -> None:
    """Draw missing values given parameters, in place."""
    for g, gap, rows in data.cells:
        seen = ~gap
        sigma = covariances[:, g]
        mean = data.Z[rows] @ coefs
        slopes = np.linalg.solve(sigma[:, seen][:, :, seen], sigma[:, seen][:, :, gap])
        rest = sigma[:, gap][:, :, gap] - sigma[:, gap][:, :, seen] @ slopes
        root = np.linalg.cholesky(rest)
        noise = rng.standard_normal((len(filled), len(rows), int(gap.sum())))
        drawn = mean[..., gap] + (data.y[rows][:, seen] - mean[..., seen]) @ slopes
        drawn += noise @ np.swapaxes(root, -1, -2)
        filled[:, rows[:, None], np.flatnonzero(gap)] = drawn


def _draw_covariances(
    filled: np.ndarray, data: _Data, coefs: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Draw covariances given all values and effects."""
    drawn = []
    for rows in data.members:
        rest = filled[:, rows] - data.Z[rows] @ coefs
        products = np.swapaxes(rest, 1, 2) @ rest
        drawn.append(np.linalg.inv(draw_wisharts(np.linalg.inv(products), len(rows), rng)))
    return np.stack(drawn, axis=1)


def draw_wisharts(scale: np.ndarray, df: int, rng: np.random.Generator) -> np.ndarray:
    """Draw Wishart matrices by Bartlett's decomposition.

    Parameters
    ----------
    scale : ndarray, shape (n_draws, T, T)
        Scale matrices; the mean is `df` times them.
    df : int
        Degrees of freedom, at least T.
    rng : numpy.random.Generator
        The stream.

    Returns
    -------
    ndarray, shape (n_draws, T, T)
        One matrix per scale.
    """
    n, T, _ = scale.shape
    lower = np.tril(rng.standard_normal((n, T, T)), -1)
    at = np.arange(T)
    lower[:, at, at] = np.sqrt(rng.chisquare(df - at, size=(n, T)))
    root = np.linalg.cholesky(scale) @ lower
    return root @ np.swapaxes(root, 1, 2)


def _draw_effects(
    filled: np.ndarray, data: _Data, covariances: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Draw effects given all values and covariances."""
    (M, _, T, _), Z, q = covariances.shape, data.Z, data.Z.shape[1]
    zz = np.stack([Z[rows].T @ Z[rows] for rows in data.members])
    omega = np.linalg.inv(covariances)
    A = np.einsum("mgts,gij->mtisj", omega, zz).reshape(M, T * q, T * q)
    zy = np.stack([Z[rows].T @ filled[:, rows] for rows in data.members], axis=1)
    rhs = np.swapaxes((zy @ omega).sum(axis=1), 1, 2).reshape(M, T * q, 1)
    root = np.linalg.cholesky(A)
    noise = np.linalg.solve(np.swapaxes(root, 1, 2), rng.standard_normal((M, T * q, 1)))
    effects = np.linalg.solve(A, rhs) + noise
    return np.swapaxes(effects.reshape(M, T, q), 1, 2)
