"""The request for judging predictions of survival: frozen, checked when it is made."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from numbers import Real

import numpy as np

from pmsstats.errors import DesignError
from pmsstats.models.events.rows import check_conf_level

__all__ = ["PredictionSpec"]


@dataclass(frozen=True, kw_only=True)
class PredictionSpec:
    """What is predicted, from when to when, and in which columns the data stand.

    Parameters
    ----------
    landmarks : float or tuple of float
        Times at which predictions are made, for subjects then at risk, from what was measured up
        to then; in the unit of the durations.
    windows : float or tuple of float
        How far ahead: the event by landmark + window is predicted.
    duration, event : str
        Columns of the survival table: time to event or censoring, and whether it happened.
    cause, of : str, optional
        With competing risks: column of the survival table with the cause of each event (0, or
        ``"censored"``, for none) in place of `event`, and the label of the cause that is
        predicted. One less "survival" is then the probability of that cause.
    time : str, default "year"
        Column of the longitudinal table: time of measurement, with the unit and the zero of the
        durations.
    subject : str, default "subject_id"
        Column of both tables.
    n_groups : int, default 5
        Groups of predicted risk, of equal size, in which calibration is shown.
    conf_level : float, default 0.95
        Of every interval.

    Raises
    ------
    DesignError
        If a field is outside of its range.

    Examples
    --------
    >>> PredictionSpec(landmarks=(1, 2), windows=2).landmarks
    (1.0, 2.0)
    """

    landmarks: float | tuple[float, ...]
    windows: float | tuple[float, ...]
    duration: str = "duration"
    event: str = "event"
    cause: str | None = None
    of: str | None = None
    time: str = "year"
    subject: str = "subject_id"
    n_groups: int = 5
    conf_level: float = 0.95

    def __post_init__(self) -> None:
        """Check every field, and give times their canonical form."""
        object.__setattr__(self, "landmarks", _times("landmarks", self.landmarks, least=0.0))
        object.__setattr__(self, "windows", _times("windows", self.windows, least=None))
        if (self.cause is None) != (self.of is None):
            raise DesignError(
                f"`cause` and `of` go together, got cause={self.cause!r} and of={self.of!r}."
            )
        whole = isinstance(self.n_groups, int) and not isinstance(self.n_groups, bool)
        if not whole or self.n_groups < 1:
            raise DesignError(f"`n_groups` must be a whole number from 1, got {self.n_groups!r}.")
        check_conf_level(self.conf_level)

    def horizons(self, landmark: float) -> np.ndarray:
        """Return the times up to which events are predicted from a landmark.

        Parameters
        ----------
        landmark : float
            One of `landmarks`.

        Returns
        -------
        ndarray, shape (n_windows,)
            On the scale of the durations.
        """
        return landmark + np.asarray(self.windows, dtype=float)


def _times(name: str, given: object, *, least: float | None) -> tuple[float, ...]:
    """Read one time or several, ascending; from `least` on, or above 0 without it."""
    values = given if isinstance(given, tuple | list | np.ndarray) else (given,)
    numbers = [float(v) for v in values if isinstance(v, Real) and not isinstance(v, bool)]
    fits = len(numbers) == len(values) > 0 and np.isfinite(numbers).all()
    if fits:
        low = min(numbers) > 0 if least is None else min(numbers) >= least
        fits = low and all(a < b for a, b in itertools.pairwise(numbers))
    if not fits:
        kind = "positive" if least is None else "non-negative"
        raise DesignError(
            f"`{name}` must be a {kind} finite time, or an ascending tuple of such, got {given!r}."
        )
    return tuple(numbers)
