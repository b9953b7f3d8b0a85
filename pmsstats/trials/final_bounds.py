"""Which comparisons with the reference are claimed at the end, where there are several."""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

__all__ = ["dunnett_critical", "final_bounds"]

_NODES = 96  # of the Gauss-Hermite rule: the last digit of the critical value


def dunnett_critical(alpha: float, ratios: tuple[float, ...]) -> float:
    """Return the critical value of the largest of several comparisons with one reference.

    Parameters
    ----------
    alpha : float
        One-sided type I error, of all comparisons together.
    ratios : tuple of float
        Subjects of each treated arm per subject of the reference.

    Returns
    -------
    float
        Normal quantile: for large trials.

    Notes
    -----
    Statistics of comparisons j and k have the correlation ``b_j b_k`` with
    ``b = sqrt(r / (1 + r))`` [1]_; given the reference's share they are independent.

    References
    ----------
    .. [1] Dunnett CW. A multiple comparison procedure for comparing several treatments with a
       control. J Am Stat Assoc 1955;50:1096-1121. doi:10.1080/01621459.1955.10501294

    Examples
    --------
    >>> round(dunnett_critical(0.025, (1.0, 1.0)), 3)
    2.212
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    weights = weights / weights.sum()
    share = np.asarray(ratios, dtype=float)
    b = np.sqrt(share / (1.0 + share))[:, None]

    def excess(critical: float) -> float:
        below = ndtr((critical - b * nodes) / np.sqrt(1.0 - b**2)).prod(axis=0)
        return float(1.0 - np.sum(weights * below)) - alpha

    low, high = -ndtri(alpha), -ndtri(alpha / len(share))
    return float(low) if len(share) == 1 else float(brentq(excess, low - 1e-9, high + 1e-9))


def final_bounds(
    z: np.ndarray, *, alpha: float, multiplicity: str, ratios: tuple[float, ...]
) -> np.ndarray:
    """Return the bound of each comparison in a single final analysis.

    Parameters
    ----------
    z : ndarray, shape (n_replicates, n_comparisons)
        Statistics; missing where a comparison was given up, which then counts as not significant.
    alpha : float
        One-sided type I error.
    multiplicity : {"none", "bonferroni", "holm", "dunnett"}
        Over all comparisons that the trial began with.
    ratios : tuple of float
        Subjects of each treated arm per subject of the reference, for ``"dunnett"``.

    Returns
    -------
    ndarray, shape of `z`
        A comparison is claimed at or above. By Holm's rule, infinite once a larger statistic was
        below its own bound.
    """
    n = z.shape[1]
    if multiplicity == "holm":
        return _holm(z, alpha)
    critical = {
        "none": lambda: -ndtri(alpha),
        "bonferroni": lambda: -ndtri(alpha / n),
        "dunnett": lambda: dunnett_critical(alpha, ratios),
    }[multiplicity]()
    return np.full(z.shape, float(critical))


def _holm(z: np.ndarray, alpha: float) -> np.ndarray:
    """Return step-down bounds, the largest statistic first."""
    n = z.shape[1]
    filled = np.where(np.isnan(z), -np.inf, z)
    order = np.argsort(-filled, axis=1, kind="stable")
    ranked = np.take_along_axis(filled, order, axis=1)
    steps = -ndtri(alpha / (n - np.arange(n)))
    failed = np.cumsum(ranked < steps, axis=1) > 0
    before = np.concatenate([np.zeros((len(z), 1), bool), failed[:, :-1]], axis=1)
    bounds = np.empty(z.shape)
    np.put_along_axis(bounds, order, np.where(before, np.inf, steps), axis=1)
    return bounds
