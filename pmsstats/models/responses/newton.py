"""Newton's method for log-likelihoods of few parameters, with proof that the top was reached."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

__all__ = ["Ascent", "LikelihoodTerms", "climb"]

_GAIN = 1e-12  # log-likelihood units that a further step would add
_MOST_STEPS = 100
_MOST_HALVINGS = 40


@dataclass(frozen=True, eq=False, kw_only=True)
class LikelihoodTerms:
    """A log-likelihood with its derivatives at one point.

    Parameters
    ----------
    log_likelihood : float
        Sum over rows.
    scores : ndarray, shape (n_obs, m)
        Derivative of each row's log-likelihood.
    information : ndarray, shape (m, m)
        Minus the second derivatives, summed over rows.
    """

    log_likelihood: float
    scores: np.ndarray
    information: np.ndarray


@dataclass(frozen=True, eq=False, kw_only=True)
class Ascent:
    """Where the steps ended.

    Parameters
    ----------
    parameters : ndarray, shape (m,)
        Last point.
    terms : LikelihoodTerms
        There.
    gain : float
        What a further step is expected to add to the log-likelihood.
    n_steps : int
        Steps made.
    """

    parameters: np.ndarray
    terms: LikelihoodTerms
    gain: float
    n_steps: int

    @property
    def converged(self) -> bool:
        """Return whether this is a maximum."""
        return bool(self.gain < 1e3 * _GAIN)


def climb(terms_at: Callable[[np.ndarray], LikelihoodTerms], start: np.ndarray) -> Ascent:
    """Go uphill by Newton steps, halved where they do not rise.

    Parameters
    ----------
    terms_at : callable
        Gives log-likelihood and derivatives at a point; a log-likelihood that is not finite
        marks points that are not allowed.
    start : ndarray, shape (m,)
        First point.

    Returns
    -------
    Ascent
        Also where no maximum was found: its gain says so.
    """
    point = np.asarray(start, dtype=float)
    terms = terms_at(point)
    gain, steps = np.inf, 0
    for steps in range(_MOST_STEPS):  # noqa: B007
        gradient = terms.scores.sum(axis=0)
        step = _uphill(terms.information, gradient)
        gain = float(gradient @ step) / 2
        if not np.isfinite(gain) or gain < _GAIN:
            break
        moved = _halved(terms_at, point, step, terms.log_likelihood)
        if moved is None:
            break
        point, terms = moved
    return Ascent(parameters=point, terms=terms, gain=gain, n_steps=steps)


def _uphill(information: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """Return the Newton step; with curvatures made positive where it would lead downhill."""
    values, vectors = np.linalg.eigh((information + information.T) / 2)
    floor = 1e-14 * max(float(np.abs(values).max(initial=0.0)), 1e-300)
    step: np.ndarray = vectors @ ((vectors.T @ gradient) / np.maximum(np.abs(values), floor))
    return step


def _halved(
    terms_at: Callable[[np.ndarray], LikelihoodTerms],
    point: np.ndarray,
    step: np.ndarray,
    before: float,
) -> tuple[np.ndarray, LikelihoodTerms] | None:
    """Return the first point along a step that is not lower; None where there is none."""
    slack = 1e-13 * max(abs(before), 1.0)
    for _ in range(_MOST_HALVINGS):
        terms = terms_at(point + step)
        if np.isfinite(terms.log_likelihood) and terms.log_likelihood >= before - slack:
            return point + step, terms
        step = step / 2
    return None
