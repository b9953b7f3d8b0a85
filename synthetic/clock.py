"""Clocks that turn exponential waiting times to years: cumulative hazards, piecewise linear.

Between two breaks (conversion, the onset of treatment, its end) the rate of an event is constant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Clock"]


@dataclass(frozen=True, kw_only=True)
class Clock:
    """Cumulative hazard of every subject, piecewise linear in time.

    Parameters
    ----------
    breaks : sequence of ndarray, each of shape (n_subjects,)
        Years at which the slope changes, ascending, finite.
    rates : sequence of ndarray, each of shape (n_subjects,)
        Slopes up to the first break, from there to the second, and so on: one more than breaks.
    """

    breaks: Sequence[np.ndarray]
    rates: Sequence[np.ndarray]

    @property
    def first_rate(self) -> np.ndarray:
        """Rate right after year 0, shape (n_subjects,)."""
        rate = self.rates[0]
        for when, later in zip(self.breaks, self.rates[1:], strict=True):
            rate = np.where(when > 0, rate, later)
        return rate

    def year(self, reading: np.ndarray) -> np.ndarray:
        """Say when the clock shows a reading.

        Parameters
        ----------
        reading : ndarray, shape (n_subjects,)
            Cumulative hazard.

        Returns
        -------
        ndarray, shape (n_subjects,)
            Years; infinite where it never does.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            year = reading / self.rates[0]
            start, shown = 0.0, 0.0
            for k, when in enumerate(self.breaks):
                shown = shown + self.rates[k] * (when - start)
                later = when + (reading - shown) / self.rates[k + 1]
                year = np.where(reading < shown, year, later)
                start = when
        return np.where(np.isnan(year), np.inf, year)
