"""Newton's method to the top: the climb that other responses share, and one step more."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pmsstats.models.responses.newton import Ascent, LikelihoodTerms, climb

__all__ = ["climb_to_top"]


def climb_to_top(terms_at: Callable[[np.ndarray], LikelihoodTerms], start: np.ndarray) -> Ascent:
    """Climb until the likelihood no longer rises, then step once more.

    Parameters
    ----------
    terms_at : callable
        Gives log-likelihood and derivatives at a point.
    start : ndarray, shape (m,)
        First point.

    Returns
    -------
    Ascent
        The climb ends 1e-6 standard errors from the maximum, where rounding hides any rise; the
        gradient still sees it, and the last step squares that distance.
    """
    ascent = climb(terms_at, start)
    information = ascent.terms.information
    if not (ascent.converged and np.isfinite(information).all()):
        return ascent
    gradient = ascent.terms.scores.sum(axis=0)
    point = ascent.parameters + np.linalg.pinv(information, hermitian=True) @ gradient
    terms = terms_at(point)
    is_closer = np.abs(terms.scores.sum(axis=0)).sum() < np.abs(gradient).sum()
    if not is_closer:
        return ascent
    return Ascent(parameters=point, terms=terms, gain=ascent.gain, n_steps=ascent.n_steps + 1)
