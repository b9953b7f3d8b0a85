"""Hazards that are constant on pieces of time."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pmsstats.errors import DesignError

__all__ = ["PiecewiseHazard"]


@dataclass(frozen=True, kw_only=True)
class PiecewiseHazard:
    """A hazard, or a ratio of hazards, that is constant between breaks.

    Parameters
    ----------
    breaks : tuple of float, default ()
        Years at which a new piece starts, rising, above 0.
    rates : tuple of float
        Events per subject-year (or hazard ratios) on each piece: one more than breaks.

    Raises
    ------
    DesignError
        If breaks are negative or unordered, a rate is below 0, or the numbers do not match.

    Examples
    --------
    >>> delayed = PiecewiseHazard(breaks=(0.5,), rates=(1.0, 0.6))
    >>> delayed.at([0.2, 0.5, 3.0])
    array([1. , 0.6, 0.6])
    """

    breaks: tuple[float, ...] = ()
    rates: tuple[float, ...]

    def __post_init__(self) -> None:
        """Refuse what is no hazard."""
        object.__setattr__(self, "breaks", tuple(float(b) for b in self.breaks))
        object.__setattr__(self, "rates", tuple(float(r) for r in self.rates))
        if len(self.rates) != len(self.breaks) + 1:
            raise DesignError(
                f"`rates` needs one number per piece, {len(self.breaks) + 1} for the breaks "
                f"{self.breaks!r}, got {self.rates!r}."
            )
        if any(not math.isfinite(b) for b in self.breaks) or any(
            np.diff(self.breaks, prepend=0.0) <= 0
        ):
            raise DesignError(f"`breaks` must be years above 0 that rise, got {self.breaks!r}.")
        if any(not (math.isfinite(r) and r >= 0) for r in self.rates):
            raise DesignError(f"`rates` must be finite and not below 0, got {self.rates!r}.")

    @classmethod
    def from_share(cls, share: float, *, years: float) -> PiecewiseHazard:
        """Return the constant hazard with which a share has its event within some years.

        Parameters
        ----------
        share : float
            Above 0 and below 1.
        years : float
            Above 0.
        """
        if not 0.0 < share < 1.0 or not years > 0.0:
            raise DesignError(
                f"`share` must lie between 0 and 1 and `years` be above 0, got {share!r} and "
                f"{years!r}."
            )
        return cls(rates=(-math.log1p(-share) / years,))

    @property
    def is_constant(self) -> bool:
        """Whether there is but one rate."""
        return len(set(self.rates)) == 1

    def at(self, years: object) -> np.ndarray:
        """Return the rate at some times.

        Parameters
        ----------
        years : array_like
            From the start; at a break, that of the piece which starts there.
        """
        where = np.searchsorted(self.breaks, np.asarray(years, dtype=float), side="right")
        return np.asarray(self.rates)[where]

    def cumulative(self, years: object) -> np.ndarray:
        """Return the cumulative hazard at some times.

        Parameters
        ----------
        years : array_like
            From the start.
        """
        starts = np.array([0.0, *self.breaks])
        before = np.concatenate([[0.0], np.cumsum(np.diff(starts) * np.asarray(self.rates)[:-1])])
        t = np.asarray(years, dtype=float)
        where = np.searchsorted(self.breaks, t, side="right")
        return before[where] + np.asarray(self.rates)[where] * (t - starts[where])

    def survival(self, years: object) -> np.ndarray:
        """Return the share without event at some times.

        Parameters
        ----------
        years : array_like
            From the start.
        """
        return np.exp(-self.cumulative(years))

    def years_at(self, cumulative: object) -> np.ndarray:
        """Return when a cumulative hazard is reached: event times, from exponential draws.

        Parameters
        ----------
        cumulative : array_like
            Cumulative hazard, not below 0.

        Returns
        -------
        ndarray
            Years; infinite where it is never reached.
        """
        h = np.asarray(cumulative, dtype=float)
        starts = np.array([0.0, *self.breaks])
        reached = self.cumulative(starts)
        where = np.maximum(np.searchsorted(reached, h, side="left") - 1, 0)
        rate = np.asarray(self.rates)[where]
        with np.errstate(divide="ignore", invalid="ignore"):
            years = starts[where] + (h - reached[where]) / rate
        return np.where(h <= 0, 0.0, np.where(rate > 0, years, np.inf))

    def times(self, other: PiecewiseHazard) -> PiecewiseHazard:
        """Return the product with another: a hazard with a hazard ratio.

        Parameters
        ----------
        other : PiecewiseHazard
            May have breaks of its own.
        """
        breaks = tuple(sorted({*self.breaks, *other.breaks}))
        starts = np.array([0.0, *breaks])
        return PiecewiseHazard(breaks=breaks, rates=tuple(self.at(starts) * other.at(starts)))

    def to_power(self, exponent: float) -> PiecewiseHazard:
        """Return every rate raised to a power: hazard ratios further from 1, or nearer.

        Parameters
        ----------
        exponent : float
            1 changes nothing.
        """
        return PiecewiseHazard(breaks=self.breaks, rates=tuple(r**exponent for r in self.rates))
