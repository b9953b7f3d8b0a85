"""What the likelihood of a hidden Markov model of panel data reads, and what it returns.

Notation of both implementations (:mod:`~pmsstats.models.kernels.states_kernel`, compiled, and
:mod:`~pmsstats.models.kernels.states_vectorised`, the same in numpy): ``S`` states; ``T`` allowed
transitions; a *pattern* is one set of intensities (one combination of covariates), an *interval*
one pattern with one length of time, so that equal intervals share one matrix of probabilities.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = ["LONGEST", "Evaluation", "StatesPlan", "n_terms"]

LONGEST = 600.0
"""Expected number of jumps (uniformised) over an interval beyond which nothing is computed."""


class StatesPlan(NamedTuple):
    """Observations as arrays.

    Parameters
    ----------
    n_states : int
        S.
    origin, target : ndarray of int, shape (T,)
        From which state each transition leads to which.
    interval_time : ndarray, shape (n_intervals,)
        Lengths; grouped by pattern.
    interval_pattern : ndarray of int, shape (n_intervals,)
        Ascending.
    pattern_start : ndarray of int, shape (n_patterns + 1,)
        The intervals of pattern p are those from ``pattern_start[p]`` to ``pattern_start[p + 1]``.
    subject_start : ndarray of int, shape (n_subjects + 1,)
        Rows of each subject, in time order.
    interval : ndarray of int, shape (n_rows,)
        The interval that ends at the row; -1 at the first row of a subject.
    code : ndarray of int, shape (n_rows,)
        What was seen: a column of the emission matrices.
    rating : ndarray of int, shape (n_rows,)
        Which emission matrix holds at the row.
    exact : ndarray of int, shape (n_rows,)
        The state that was entered exactly at the row's time; -1 where a state was only seen.
    weight : ndarray, shape (n_subjects,)
        How often each subject counts: where states are seen without error, subjects are cut into
        movements, and equal movements are one.
    """

    n_states: int
    origin: np.ndarray
    target: np.ndarray
    interval_time: np.ndarray
    interval_pattern: np.ndarray
    pattern_start: np.ndarray
    subject_start: np.ndarray
    interval: np.ndarray
    code: np.ndarray
    rating: np.ndarray
    exact: np.ndarray
    weight: np.ndarray


class Evaluation(NamedTuple):
    """A log-likelihood and its derivatives.

    Parameters
    ----------
    by_subject : ndarray, shape (n_subjects,)
        Log-likelihood of each subject, times its weight; minus infinity where what was seen is
        impossible.
    log_intensity : ndarray, shape (n_patterns, T)
        Derivatives in the log intensities.
    emission : ndarray, shape (n_ratings, S, n_codes)
        Derivatives in the emission probabilities.
    initial : ndarray, shape (S,)
        Derivatives in the initial probabilities.
    posterior : ndarray, shape (n_rows, S)
        Probability of each true state at each row, given all that was seen of the subject.
    is_valid : bool
        False where an observation is impossible or an intensity beyond :data:`LONGEST`.
    """

    by_subject: np.ndarray
    log_intensity: np.ndarray
    emission: np.ndarray
    initial: np.ndarray
    posterior: np.ndarray
    is_valid: bool


def n_terms(mean: float) -> int:
    """Return how many terms of a Poisson series are summed.

    Parameters
    ----------
    mean : float
        Of the Poisson distribution.

    Returns
    -------
    int
        The terms left out sum to less than 1e-15.

    Examples
    --------
    >>> n_terms(0.0), n_terms(100.0)
    (10, 195)
    """
    return int(mean + 8.5 * np.sqrt(mean)) + 10
