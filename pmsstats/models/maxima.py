"""How far a point is from the maximum of a likelihood."""

from __future__ import annotations

import numpy as np

__all__ = ["newton_decrement"]


def newton_decrement(gradient: np.ndarray, information: np.ndarray) -> float:
    """Return how far from the maximum a point is, in squared standard errors.

    Parameters
    ----------
    gradient : ndarray, shape (m,)
        Of the log-likelihood, at that point.
    information : ndarray, shape (m, m)
        Minus its second derivatives there.

    Returns
    -------
    float
        ``gradient' information^-1 gradient``: the squared length of the next Newton step in the
        metric of the information. 1e-10 means that the step is 1e-5 standard errors.

    Examples
    --------
    >>> newton_decrement(np.array([2.0]), np.array([[4.0]]))
    1.0
    """
    return float(gradient @ np.linalg.solve(information, gradient))
