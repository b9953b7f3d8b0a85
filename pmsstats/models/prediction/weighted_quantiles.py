"""Quantiles of weighted draws, many distributions at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["weighted_quantiles"]


def weighted_quantiles(
    values: np.ndarray, weight: np.ndarray, levels: Sequence[float]
) -> np.ndarray:
    """Find quantiles over the first axis.

    Parameters
    ----------
    values : ndarray, shape (n_draws, n, ...)
        Draws.
    weight : ndarray, shape (n_draws, n)
        Their weights, which add up to 1 over the first axis.
    levels : sequence of float
        Between 0 and 1.

    Returns
    -------
    ndarray, shape (n_levels, n, ...)
        Linear between draws, each of which stands for the middle of its weight.

    Examples
    --------
    >>> draws = np.array([3.0, 1.0, 2.0])[:, None]
    >>> weighted_quantiles(draws, np.full((3, 1), 1 / 3), (0.5,)).ravel().tolist()
    [2.0]
    """
    order = np.argsort(values, axis=0, kind="stable")
    sorted_values = np.take_along_axis(values, order, axis=0)
    full = np.broadcast_to(weight.reshape(weight.shape + (1,) * (values.ndim - 2)), values.shape)
    share = np.take_along_axis(full, order, axis=0)
    middle = np.cumsum(share, axis=0) - share / 2
    out = np.empty((len(levels), *values.shape[1:]))
    last = len(values) - 1
    for i, level in enumerate(levels):
        above = np.clip((middle < level).sum(axis=0), 1, last) if last else np.zeros(
            values.shape[1:], dtype=int)  # fmt: skip
        below = np.maximum(above - 1, 0)
        a, b = (np.take_along_axis(middle, k[None], axis=0)[0] for k in (below, above))
        x, y = (np.take_along_axis(sorted_values, k[None], axis=0)[0] for k in (below, above))
        gap = np.where(b > a, b - a, 1.0)
        out[i] = x + np.clip((level - a) / gap, 0.0, 1.0) * (y - x)
    return out
