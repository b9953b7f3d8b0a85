"""Separation: whether some combination of columns lets the likelihood rise for ever.

References
----------
.. [1] Albert A, Anderson JA. On the existence of maximum likelihood estimates in logistic
   regression models. Biometrika 1984;71:1-10. doi:10.1093/biomet/71.1.1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import linprog

__all__ = ["recession_direction", "separation_message"]

_RISES = 1e-6  # of columns scaled to one


def recession_direction(rising: np.ndarray, still: np.ndarray | None = None) -> np.ndarray | None:
    """Find a direction in which no row's likelihood ever falls, and some row's rises.

    Parameters
    ----------
    rising : ndarray, shape (m, p)
        The likelihood never falls along ``d`` where ``rising @ d >= 0``: for a yes/no outcome
        the rows of ``X``, with their sign changed where the outcome is no.
    still : ndarray, shape (k, p), optional
        Rows along which ``d`` must stay: for counts those of ``X`` whose count is not zero.

    Returns
    -------
    ndarray, shape (p,), or None
        The direction, largest entry one; None where the likelihood has a maximum.

    Notes
    -----
    The maximum exists just where there is no such direction [1]_. Solved as a linear program:
    the largest ``sum(rising @ d)`` with every entry of ``d`` between -1 and 1.
    """
    n = rising.shape[1]
    size = np.abs(rising).max(axis=0, initial=0.0)
    if still is not None and len(still):
        size = np.maximum(size, np.abs(still).max(axis=0))
    size = np.where(size > 0, size, 1.0)
    up = np.unique(rising / size, axis=0)
    flat = None if still is None or not len(still) else np.unique(still / size, axis=0)
    done = linprog(
        -up.sum(axis=0),
        A_ub=-up,
        b_ub=np.zeros(len(up)),
        A_eq=flat,
        b_eq=None if flat is None else np.zeros(len(flat)),
        bounds=[(-1, 1)] * n,
        method="highs",
    )
    if done.x is None or -done.fun <= _RISES:
        return None
    direction: np.ndarray = done.x / size
    return direction / np.abs(direction).max()


def separation_message(formula: str, names: Sequence[str], what: str) -> str:
    """Say that a model has no finite estimates, and why.

    Parameters
    ----------
    formula : str
        The model.
    names : sequence of str
        Columns to blame.
    what : str
        What they tell apart: ``"higher from lower edss"``.

    Returns
    -------
    str
        For an error.
    """
    verb = "separates" if len(names) == 1 else "together separate"
    return (
        f"{formula} has no finite estimates: {', '.join(names)} {verb} {what} without error, so "
        "that the likelihood rises for ever. Leave out or merge what is too rare."
    )
