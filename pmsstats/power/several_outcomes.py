"""What is said of several outcomes: their names, spreads and correlations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pmsstats.errors import DesignError
from pmsstats.power.solving import check_real

__all__ = ["correlation_of", "outcome_names", "sd_of_each"]


def sd_of_each(sd: float | Sequence[float], k: int) -> list[float]:
    """Return a standard deviation per outcome.

    Parameters
    ----------
    sd : float or sequence of float
        One of all outcomes, or one of each.
    k : int
        Outcomes.

    Returns
    -------
    list of float
        Of length `k`.

    Raises
    ------
    DesignError
        If there are more or fewer, or one is not above 0.
    """
    sds = [sd] * k if np.ndim(sd) == 0 else list(sd)  # type: ignore[arg-type]
    if len(sds) != k:
        raise DesignError(f"`sd` must be one number, or one per outcome ({k}), got {sd!r}.")
    return [check_real("sd", s, low=0.0) for s in sds]  # type: ignore[arg-type]


def outcome_names(outcomes: Sequence[str] | None, k: int) -> tuple[str, ...]:
    """Return a name per outcome.

    Parameters
    ----------
    outcomes : sequence of str or None
        As given; numbered names where None.
    k : int
        Outcomes.

    Returns
    -------
    tuple of str
        Distinct.

    Raises
    ------
    DesignError
        If there are more or fewer, or two are the same.
    """
    if outcomes is None:
        return tuple(f"outcome_{i + 1}" for i in range(k))
    names = tuple(outcomes)
    if len(set(names)) != k or len(names) != k or {"any", "all"} & set(names):
        raise DesignError(
            f"`outcomes` must hold {k} distinct names, none of them 'any' or 'all', got "
            f"{outcomes!r}."
        )
    return names


def correlation_of(correlation: float | Sequence[Sequence[float]], k: int) -> np.ndarray:
    """Return the correlation matrix of outcomes.

    Parameters
    ----------
    correlation : float or square matrix
        Of all pairs, or of each.
    k : int
        Outcomes.

    Returns
    -------
    ndarray, shape (k, k)
        Not yet looked at for being one.

    Raises
    ------
    DesignError
        If a number is not from -1 to 1, or the matrix is of another size.
    """
    if np.ndim(correlation) == 0:
        rho = check_real("correlation", correlation, low=-1.0, high=1.0, ends="[]")  # type: ignore[arg-type]
        return np.full((k, k), rho) + (1 - rho) * np.eye(k)
    matrix = np.asarray(correlation, dtype=float)
    if matrix.shape != (k, k):
        raise DesignError(
            f"`correlation` must be one number or a matrix of {k} rows and columns, got "
            f"{correlation!r}."
        )
    return matrix
