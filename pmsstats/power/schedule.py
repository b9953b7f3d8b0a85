"""When subjects are scanned, and how many of them still come."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from pmsstats.errors import DesignError
from pmsstats.power.solving import check_dropout, check_real

__all__ = ["VisitSchedule", "checked_retention", "last_visit_shares", "retention_of_arms"]

_MOST_VISITS = 400
_ROUNDING = 1e-9


@dataclass(frozen=True, kw_only=True)
class VisitSchedule:
    """Planned visits of every subject.

    Parameters
    ----------
    years : tuple of float
        Since baseline, rising, the first 0.

    Raises
    ------
    DesignError
        If there are fewer than two visits, or they are negative, not in order, or do not start
        at 0.

    Examples
    --------
    >>> VisitSchedule.every(months=6, duration=2).years
    (0.0, 0.5, 1.0, 1.5, 2.0)
    >>> VisitSchedule.clustered(start=2, end=2, gap=0.25, duration=2).years
    (0.0, 0.25, 1.75, 2.0)
    """

    years: tuple[float, ...]

    def __post_init__(self) -> None:
        """Refuse visits that no trial can have."""
        if np.ndim(self.years) != 1 or len(self.years) < 2:
            raise DesignError(
                "`years` must name at least two visits, baseline and one later, got "
                f"{self.years!r}."
            )
        if len(self.years) > _MOST_VISITS:
            raise DesignError(f"`years` may have {_MOST_VISITS} visits, got {len(self.years)}.")
        years = tuple(check_real("years", year) for year in self.years)
        if min(years) < 0:
            raise DesignError(
                f"`years` must not be negative, got {min(years)!r}. Count from baseline, at 0."
            )
        for earlier, later in itertools.pairwise(years):
            if later <= earlier:
                raise DesignError(
                    f"`years` must rise from visit to visit, but {later:g} follows {earlier:g}."
                )
        if years[0] != 0:
            raise DesignError(
                f"`years` must start with the baseline visit at 0, got {years[0]!r} first."
            )
        object.__setattr__(self, "years", years)

    @classmethod
    def every(cls, *, months: float, duration: float) -> Self:
        """Plan visits at a fixed interval.

        Parameters
        ----------
        months : float
            Between visits.
        duration : float
            Years until the last visit: a whole number of intervals.

        Returns
        -------
        VisitSchedule
            From 0 to `duration`.

        Raises
        ------
        DesignError
            If the interval does not divide the duration.
        """
        interval = check_real("months", months, low=0.0) / 12
        n = check_real("duration", duration, low=0.0) / interval
        if abs(n - round(n)) > 1e-6 or round(n) < 1:
            raise DesignError(
                f"`duration={duration!r}` years is {n:.4g} intervals of `months={months!r}`. Give "
                "a duration that is a whole number of intervals."
            )
        return cls(years=tuple(round(k * interval, 12) for k in range(round(n) + 1)))

    @classmethod
    def equally_spaced(cls, *, n_scans: int, duration: float) -> Self:
        """Plan a number of visits at equal distances.

        Parameters
        ----------
        n_scans : int
            Visits, baseline included, at least 2.
        duration : float
            Years until the last visit.

        Returns
        -------
        VisitSchedule
            From 0 to `duration`.

        Raises
        ------
        DesignError
            If there are too few visits, or the duration is not above 0.
        """
        last = check_real("duration", duration, low=0.0)
        count = _whole("n_scans", n_scans, at_least=2)
        return cls(years=tuple((np.arange(count) * (last / (count - 1))).tolist()))

    @classmethod
    def clustered(cls, *, start: int, end: int, gap: float, duration: float) -> Self:
        """Plan several visits at the start and at the end, none between.

        Parameters
        ----------
        start, end : int
            Visits of either cluster, at least 1.
        gap : float
            Years between visits of a cluster.
        duration : float
            Years from the first to the last visit.

        Returns
        -------
        VisitSchedule
            The first cluster starts at 0, the last one ends at `duration`.

        Raises
        ------
        DesignError
            If the clusters overlap.

        Notes
        -----
        For a straight line and independent errors nothing measures a slope better than scans at
        both ends: two and two have 1.8 times the information about it that four at equal
        distances have, as far as errors and not patients limit the trial.
        """
        first, last = _whole("start", start, at_least=1), _whole("end", end, at_least=1)
        step = check_real("gap", gap, low=0.0)
        total = check_real("duration", duration, low=0.0)
        opening = [k * step for k in range(first)]
        closing = [total - k * step for k in reversed(range(last))]
        if opening[-1] >= closing[0]:
            raise DesignError(
                f"The clusters overlap: {first} visits `gap={gap!r}` years apart end at "
                f"{opening[-1]:g}, and the last {last} start at {closing[0]:g} years."
            )
        return cls(years=tuple(opening + closing))

    @property
    def duration(self) -> float:
        """Years from the first to the last visit."""
        return self.years[-1]

    @property
    def n_scans(self) -> int:
        """Visits of a subject who stays, baseline included."""
        return len(self.years)

    @property
    def interval(self) -> float | None:
        """Years between visits; None where that varies."""
        steps = np.diff(self.years)
        return float(steps[0]) if np.ptp(steps) <= 1e-9 * steps.max() else None

    def stretched(self, duration: float) -> Self:
        """Return as many visits over another duration, at the same proportions of it.

        Parameters
        ----------
        duration : float
            Years until the last visit.
        """
        factor = check_real("duration", duration, low=0.0) / self.duration
        return type(self)(years=tuple(factor * year for year in self.years))

    def words(self) -> str:
        """Return words that say when the visits are."""
        if len(self.years) > 6 and self.interval is not None:
            return (
                f"{self.n_scans} scans every {12 * self.interval:.3g} months over "
                f"{self.duration:.3g} years"
            )
        *first, last = [f"{year:.3g}" for year in self.years]
        return f"scans at {', '.join(first)} and {last} years"


def _whole(name: str, value: int, *, at_least: int) -> int:
    """Refuse what is no whole number, or too small a one."""
    number = check_real(name, value)
    if number != round(number) or number < at_least:
        raise DesignError(f"`{name}` must be a whole number of at least {at_least}, got {value!r}.")
    return int(number)


def checked_retention(retention: Sequence[float], n_visits: int) -> tuple[float, ...]:
    """Refuse shares of subjects seen at each visit that no trial can have.

    Parameters
    ----------
    retention : sequence of float
        Share of an arm that is still seen, per visit.
    n_visits : int
        Planned visits.

    Returns
    -------
    tuple of float
        The same.

    Raises
    ------
    DesignError
        If there is not one per visit, one is outside 0 to 1, or more are seen later than before.
    """
    if np.ndim(retention) != 1 or len(retention) != n_visits:
        raise DesignError(
            f"`retention` must have one share for each of {n_visits} visits, got {retention!r}."
        )
    shares = tuple(
        check_real("retention", share, low=0.0, high=1.0, ends="[]") for share in retention
    )
    for visit, (earlier, later) in enumerate(itertools.pairwise(shares), start=2):
        if later > earlier + _ROUNDING:
            raise DesignError(
                "`retention` must not rise, because who has left does not come back, but it goes "
                f"from {earlier:g} to {later:g} at visit {visit}."
            )
    if shares[-1] == 0:
        raise DesignError("`retention` leaves nobody at the last visit. Plan fewer visits.")
    return shares


def retention_of_arms(
    years: Sequence[float],
    dropout: float | tuple[float, float] = 0.0,
    retention: Sequence[float] | Sequence[Sequence[float]] | None = None,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the share of each arm that is still seen at each visit.

    Parameters
    ----------
    years : sequence of float
        Visits.
    dropout : float or pair of float
        Share of those still in the trial that leaves in each year, in both arms or per arm; the
        share seen at ``t`` years is ``(1 - dropout) ** t``.
    retention : sequence of float, or a pair of such, optional
        Shares seen at each visit instead, in both arms or per arm.

    Returns
    -------
    tuple of tuple of float
        Reference and treated arm.

    Raises
    ------
    DesignError
        If `dropout` is not from 0 to below 1, `retention` not possible, or both are given.
    """
    rates = check_dropout(dropout)
    if retention is None:
        reference, treated = (
            tuple(math.exp(year * math.log1p(-rate)) for year in years) for rate in rates
        )
        return reference, treated
    if rates != (0.0, 0.0):
        raise DesignError(
            f"Give `dropout` or `retention`, not both, got dropout={dropout!r} and "
            f"retention={retention!r}."
        )
    per_arm = [np.ndim(part) for part in retention] == [1, 1]
    both = tuple(retention) if per_arm else (retention, retention)
    reference, treated = (checked_retention(part, len(years)) for part in both)  # type: ignore[arg-type]
    return reference, treated


def last_visit_shares(retention: Sequence[float]) -> np.ndarray:
    """Return the share of subjects whose last visit is each of the visits.

    Parameters
    ----------
    retention : sequence of float
        Share still seen at each visit.

    Returns
    -------
    ndarray, shape (n_visits,)
        They add up to the first entry of `retention`.

    Examples
    --------
    >>> last_visit_shares([1.0, 0.75, 0.5]).tolist()
    [0.25, 0.25, 0.5]
    """
    seen = np.asarray(retention, dtype=float)
    return np.maximum(seen - np.append(seen[1:], 0.0), 0.0)
