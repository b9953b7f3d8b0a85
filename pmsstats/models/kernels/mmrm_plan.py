"""What fits of one marginal model to many replicates share, and where their answers go."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = [
    "AR1",
    "CS",
    "EXCHANGEABLE",
    "KENWARD_ROGER",
    "SATTERTHWAITE",
    "TOEP",
    "TOEPLITZ",
    "US",
    "Answers",
    "Plan",
]

# Codes of the linear structures (all others are scaled correlations), of correlations (all others
# are antedependent) and of methods (zero: none).
US, TOEP, CS = 0, 1, 2
AR1, EXCHANGEABLE, TOEPLITZ = 0, 1, 2
SATTERTHWAITE, KENWARD_ROGER = 1, 3


class Plan(NamedTuple):
    """What all replicates share.

    Parameters
    ----------
    X : ndarray, shape (n_rows, p)
        Columns on the common scale, sorted by subject.
    visit : ndarray of int, shape (n_rows,)
        Visit of each row.
    first : ndarray of int, shape (n_subjects + 1,)
        Where each subject's rows begin.
    columns : ndarray of int, shape (n_subjects,)
        Number of each subject's set of columns: the same where these are.
    group : ndarray of int, shape (n_subjects,)
        Group of each subject.
    order : ndarray of int, shape (n_rows,)
        Column of the responses behind each row.
    contrasts : ndarray, shape (m, p)
        Combinations of the fixed effects, on the common scale.
    n_visits, n_groups : int
        How many there are.
    structure, correlation : int
        Codes of the covariance.
    by_visit : bool
        Whether a scaled correlation has a variance per visit.
    is_reml : bool
        Restricted or full likelihood.
    method : int
        0: no degrees of freedom; 1: Satterthwaite; 2: Kenward and Roger without, 3: with
        second-order terms.
    """

    X: np.ndarray
    visit: np.ndarray
    first: np.ndarray
    columns: np.ndarray
    group: np.ndarray
    order: np.ndarray
    contrasts: np.ndarray
    n_visits: int
    n_groups: int
    structure: int
    correlation: int
    by_visit: bool
    is_reml: bool
    method: int


class Answers(NamedTuple):
    """One row per replicate; filled in place.

    Parameters
    ----------
    estimates, variances, df : ndarray, shape (n_replicates, m)
        Of the combinations.
    theta : ndarray, shape (n_replicates, k)
        Covariance parameters.
    log_likelihood : ndarray, shape (n_replicates,)
        For columns on the common scale.
    counts : ndarray of int, shape (n_replicates, 3)
        Rows and subjects (known before), evaluations of the likelihood.
    reason : ndarray of int, shape (n_replicates,)
        Zero for an answer.
    """

    estimates: np.ndarray
    variances: np.ndarray
    df: np.ndarray
    theta: np.ndarray
    log_likelihood: np.ndarray
    counts: np.ndarray
    reason: np.ndarray
