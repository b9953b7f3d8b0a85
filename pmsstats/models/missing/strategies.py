"""Imputation strategies: the distribution that a subject is taken to follow after an event."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

__all__ = ["STRATEGIES", "copy_increments", "copy_reference", "jump_to_reference"]
__all__ += ["last_mean", "missing_at_random"]

Joint: TypeAlias = tuple[np.ndarray, np.ndarray]
Strategy: TypeAlias = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray, int], Joint]


def missing_at_random(
    mu_active: np.ndarray,
    mu_reference: np.ndarray,  # noqa: ARG001
    cov_active: np.ndarray,
    cov_reference: np.ndarray,  # noqa: ARG001
    n_before: int,  # noqa: ARG001
) -> Joint:
    """Go on as those of the own arm with the same values so far (MAR).

    Parameters
    ----------
    mu_active, mu_reference : ndarray, shape (..., n_subjects, n_visits)
        Means in the own and in the reference arm.
    cov_active, cov_reference : ndarray, shape (..., n_visits, n_visits)
        Covariances.
    n_before : int
        Visits before the event.

    Returns
    -------
    tuple of ndarray
        Mean and covariance of all visits.
    """
    return mu_active, cov_active


def jump_to_reference(
    mu_active: np.ndarray,
    mu_reference: np.ndarray,
    cov_active: np.ndarray,
    cov_reference: np.ndarray,
    n_before: int,
) -> Joint:
    """Have the reference arm's mean from the event on (JR).

    Parameters
    ----------
    mu_active, mu_reference : ndarray, shape (..., n_subjects, n_visits)
        Means in the own and in the reference arm.
    cov_active, cov_reference : ndarray, shape (..., n_visits, n_visits)
        Covariances.
    n_before : int
        Visits before the event.

    Returns
    -------
    tuple of ndarray
        Mean and covariance of all visits.
    """
    mu = np.concatenate([mu_active[..., :n_before], mu_reference[..., n_before:]], axis=-1)
    return mu, _spliced(cov_active, cov_reference, n_before)


def copy_reference(
    mu_active: np.ndarray,  # noqa: ARG001
    mu_reference: np.ndarray,
    cov_active: np.ndarray,  # noqa: ARG001
    cov_reference: np.ndarray,
    n_before: int,  # noqa: ARG001
) -> Joint:
    """Follow the reference arm all along, before the event too (CR).

    Parameters
    ----------
    mu_active, mu_reference : ndarray, shape (..., n_subjects, n_visits)
        Means in the own and in the reference arm.
    cov_active, cov_reference : ndarray, shape (..., n_visits, n_visits)
        Covariances.
    n_before : int
        Visits before the event.

    Returns
    -------
    tuple of ndarray
        Mean and covariance of all visits.
    """
    return mu_reference, cov_reference


def copy_increments(
    mu_active: np.ndarray,
    mu_reference: np.ndarray,
    cov_active: np.ndarray,
    cov_reference: np.ndarray,
    n_before: int,
) -> Joint:
    """Change as the reference arm does from the event on, keeping what was gained (CIR).

    Parameters
    ----------
    mu_active, mu_reference : ndarray, shape (..., n_subjects, n_visits)
        Means in the own and in the reference arm.
    cov_active, cov_reference : ndarray, shape (..., n_visits, n_visits)
        Covariances.
    n_before : int
        Visits before the event.

    Returns
    -------
    tuple of ndarray
        Mean and covariance of all visits.
    """
    if n_before == 0:
        return mu_reference, cov_reference
    at = slice(n_before - 1, n_before)
    gained = mu_active[..., at] - mu_reference[..., at]
    after = mu_reference[..., n_before:] + gained
    mu = np.concatenate([mu_active[..., :n_before], after], axis=-1)
    return mu, _spliced(cov_active, cov_reference, n_before)


def last_mean(
    mu_active: np.ndarray,
    mu_reference: np.ndarray,  # noqa: ARG001
    cov_active: np.ndarray,
    cov_reference: np.ndarray,  # noqa: ARG001
    n_before: int,
) -> Joint:
    """Stay at the own arm's mean of the last visit before the event (LMCF).

    Parameters
    ----------
    mu_active, mu_reference : ndarray, shape (..., n_subjects, n_visits)
        Means in the own and in the reference arm.
    cov_active, cov_reference : ndarray, shape (..., n_visits, n_visits)
        Covariances.
    n_before : int
        Visits before the event; at least one, as there must be a mean to carry.

    Returns
    -------
    tuple of ndarray
        Mean and covariance of all visits.
    """
    mu = mu_active.copy()
    mu[..., n_before:] = mu_active[..., n_before - 1 : n_before]
    return mu, cov_active


STRATEGIES: dict[str, Strategy] = {
    "MAR": missing_at_random,
    "JR": jump_to_reference,
    "CR": copy_reference,
    "CIR": copy_increments,
    "LMCF": last_mean,
}
"""Functions of means and covariances in both arms, and the number of visits before the event.

Carpenter JR, Roger JH, Kenward MG. J Biopharm Stat 2013;23:1352-1371.
doi:10.1080/10543406.2013.834911.
"""


def _spliced(active: np.ndarray, reference: np.ndarray, n_before: int) -> np.ndarray:
    """Join the own arm's covariance before the event to the reference arm's law after it.

    Visits before have the own covariance; those after are regressed on them as in the reference
    arm, with its residual covariance (Carpenter et al. 2013, appendix).
    """
    b, n = n_before, reference.shape[-1]
    if b in {0, n} or active is reference:
        return reference if b == 0 else active
    slopes = np.swapaxes(np.linalg.solve(reference[..., :b, :b], reference[..., :b, b:]), -1, -2)
    lower = slopes @ active[..., :b, :b]
    rest = reference[..., b:, b:] - slopes @ reference[..., :b, b:]
    joined = np.empty_like(reference)
    joined[..., :b, :b] = active[..., :b, :b]
    joined[..., b:, :b] = lower
    joined[..., :b, b:] = np.swapaxes(lower, -1, -2)
    joined[..., b:, b:] = rest + lower @ np.swapaxes(slopes, -1, -2)
    return joined
