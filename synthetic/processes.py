"""The latent disease processes: what differs between persons, and how that hangs together.

Six processes run in every patient. For each a person has a level (what has accrued by baseline) and
a rate (how fast it goes on), both standard normal, higher is worse. These twelve factors are
correlated; everything that a cohort shows (images, disability, relapses) loads on them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pmsstats.errors import DesignError, nearest

__all__ = [
    "FACTORS",
    "LEVELS",
    "LEVEL_DRIVERS",
    "PROCESSES",
    "RATES",
    "check_factor",
    "correlation_matrix",
    "shared_covariance",
    "shared_variance",
    "weights",
]

PROCESSES = (
    "neurodegeneration",
    "demyelination",
    "inflammation",
    "meningeal",
    "cord",
    "iron",
)
"""Loss of neurons and axons; loss of myelin net of repair; focal inflammation (relapses, new
lesions); compartmentalised inflammation behind the barrier; damage of the cord; iron."""

LEVELS = tuple(f"{process}_level" for process in PROCESSES)
"""Factors: what has accrued by baseline."""

RATES = tuple(f"{process}_rate" for process in PROCESSES)
"""Factors: how fast it goes on."""

FACTORS = tuple(f"{process}_{what}" for process in PROCESSES for what in ("level", "rate"))
"""All twelve person factors: standard normal, higher is worse."""

LEVEL_DRIVERS = (*LEVELS, "age", "duration", "head_size")
"""What a baseline can load on: the levels, and scores (standard normal within a phenotype,
independent of the factors) of age, disease duration and head size, higher is older, longer,
larger."""


def check_factor(owner: str, field: str, name: str, known: Sequence[str]) -> None:
    """Check that a loading names a factor that exists.

    Parameters
    ----------
    owner, field : str
        Where, for the message.
    name : str
        What is named.
    known : sequence of str
        What there is.

    Raises
    ------
    DesignError
        If there is no such factor; with the nearest one.
    """
    if name not in known:
        raise DesignError(
            f"`{field}` of {owner} names {name!r}, which is none of {', '.join(known)}."
            f"{nearest(str(name), known)}"
        )


def correlation_matrix(
    pairs: Sequence[tuple[str, str, float]], owner: str = "the population"
) -> np.ndarray:
    """Return the correlations of the person factors.

    Parameters
    ----------
    pairs : sequence of (str, str, float)
        Two factors and their correlation; pairs not named are uncorrelated.
    owner : str, default "the population"
        Whose pairs, for the message.

    Returns
    -------
    ndarray, shape (n_factors, n_factors)
        Positive definite, in the order of :data:`FACTORS`.

    Raises
    ------
    DesignError
        If a factor is unknown, a pair is named twice, a correlation is not between -1 and 1, or
        they contradict each other; the message names the pair to change.

    Examples
    --------
    >>> correlation_matrix([("iron_level", "iron_rate", 0.3)])[10, 11].item()
    0.3
    """
    matrix = np.eye(len(FACTORS))
    for first, second, value in pairs:
        for name in (first, second):
            check_factor(owner, "correlations", name, FACTORS)
        if first == second or not -1 < value < 1:
            raise DesignError(
                f"`correlations` of {owner} must join two different factors by a number "
                f"between -1 and 1, got {(first, second, float(value))!r}."
            )
        i, j = FACTORS.index(first), FACTORS.index(second)
        if matrix[i, j] != 0:
            raise DesignError(
                f"`correlations` of {owner} name {first!r} and {second!r} twice. Keep one."
            )
        matrix[i, j] = matrix[j, i] = value
    _check_positive_definite(matrix, owner)
    return matrix


def _check_positive_definite(matrix: np.ndarray, owner: str) -> None:
    """Refuse contradictory correlations, and name the pair without which they would agree best."""
    if np.linalg.eigvalsh(matrix)[0] > 1e-10:
        return

    def smallest_without(pair: tuple[int, int]) -> float:
        trial = matrix.copy()
        trial[pair] = trial[pair[::-1]] = 0.0
        return float(np.linalg.eigvalsh(trial)[0])

    pairs = [(i, j) for i in range(len(FACTORS)) for j in range(i) if matrix[i, j] != 0]
    worst = max(pairs, key=smallest_without)
    raise DesignError(
        f"`correlations` of {owner} are not positive definite: "
        f"{FACTORS[worst[1]]!r} and {FACTORS[worst[0]]!r} cannot correlate by "
        f"{matrix[worst]:g} given the other pairs. Bring that one closer to 0."
    )


def weights(loadings: Sequence[tuple[str, float]], names: Sequence[str] = FACTORS) -> np.ndarray:
    """Write loadings as a vector.

    Parameters
    ----------
    loadings : sequence of (str, float)
        Driver and weight; others are skipped that are not among `names`.
    names : sequence of str, default FACTORS
        Drivers in order.

    Returns
    -------
    ndarray, shape (n_names,)
        Weights, 0 where nothing loads.
    """
    given = {name: float(value) for name, value in loadings}
    return np.array([given.get(name, 0.0) for name in names])


def shared_variance(loadings: Sequence[tuple[str, float]], matrix: np.ndarray) -> float:
    """Return the variance of what loadings add up to.

    Parameters
    ----------
    loadings : sequence of (str, float)
        On :data:`FACTORS`, and on the independent scores of :data:`LEVEL_DRIVERS`.
    matrix : ndarray, shape (n_factors, n_factors)
        Correlations of the factors.

    Returns
    -------
    float
        ``w' R w`` plus the squares of the weights of the independent scores.
    """
    return shared_covariance(loadings, loadings, matrix)


def shared_covariance(
    first: Sequence[tuple[str, float]], second: Sequence[tuple[str, float]], matrix: np.ndarray
) -> float:
    """Return the covariance of what two sets of loadings add up to.

    Parameters
    ----------
    first, second : sequence of (str, float)
        On :data:`FACTORS`, and on the independent scores of :data:`LEVEL_DRIVERS`.
    matrix : ndarray, shape (n_factors, n_factors)
        Correlations of the factors.

    Returns
    -------
    float
        ``v' R w`` plus the products of the weights of the independent scores.
    """
    other = LEVEL_DRIVERS[len(LEVELS) :]
    on_factors = weights(first) @ matrix @ weights(second)
    return float(on_factors + weights(first, other) @ weights(second, other))
