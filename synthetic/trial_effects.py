"""What treatments do over time in the plain models of trials: added to a course, or to a hazard.

Subjects of one arm, and of one class of a baseline marker, are one group: all in it have the same
effect at the same time. Who stops treatment goes on as in the reference arm of the same class:
what was added so far stays, and what is added afterwards, or the hazard, is that of the reference.
Groups are numbered class by class: arm ``a`` of class ``m`` is group ``a + n_arms * m``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["AddedCourse", "GroupHazards", "added", "hazards_of_groups"]

AddedCourse = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Gives what treatment has added from years and groups, arrays of one shape."""


def added(
    course: AddedCourse,
    year: np.ndarray,
    group: np.ndarray,
    *,
    n_arms: int,
    n_groups: int,
    stop_year: np.ndarray | None,
) -> np.ndarray:
    """Work out what treatment has added to the course of every subject by a visit.

    Parameters
    ----------
    course : callable
        By year and group.
    year : ndarray, shape (1,) or (n_subjects,)
        Of the visit.
    group : ndarray of int, shape (n_subjects,)
        Of the subjects.
    n_arms, n_groups : int
        How many.
    stop_year : ndarray, shape (n_subjects,), or None
        When treatment is stopped.

    Returns
    -------
    ndarray, shape (n_subjects,)
        Native units.
    """
    if len(year) == 1:
        table = course(np.repeat(year, n_groups), np.arange(n_groups))
        total = table.take(group)
    else:
        total = course(year, group)
    if stop_year is None:
        return total
    who = np.flatnonzero(stop_year < year)
    if len(who):
        until, mine = stop_year[who], group[who]
        now = np.broadcast_to(year, group.shape)[who]
        reference = mine - mine % n_arms
        total[who] = course(until, mine) + course(now, reference) - course(until, reference)
    return total


@dataclass(frozen=True, kw_only=True)
class GroupHazards:
    """Piecewise constant hazards of groups.

    Parameters
    ----------
    breaks : sequence of ndarray
        Years at which the hazard of each group changes, ascending from 0.
    rates : sequence of ndarray
        From each break on, per year; the last holds for ever.
    n_arms : int
        How many groups one class of the marker has.
    """

    breaks: Sequence[np.ndarray]
    rates: Sequence[np.ndarray]
    n_arms: int

    def cumulative(self, year: np.ndarray, group: np.ndarray) -> np.ndarray:
        """Return cumulative hazards of groups.

        Parameters
        ----------
        year : ndarray, shape (n_subjects,)
            Finite.
        group : ndarray of int, shape (n_subjects,)
            Whose.

        Returns
        -------
        ndarray, shape (n_subjects,)
            From year 0 on.
        """
        total = np.zeros(len(group))
        for k, (breaks, rates) in enumerate(zip(self.breaks, self.rates, strict=True)):
            here = group == k
            now = year[here]
            piece = np.searchsorted(breaks, now, side="right") - 1
            total[here] = self._shown(k)[piece] + rates[piece] * (now - breaks[piece])
        return total

    def under(
        self, year: np.ndarray, group: np.ndarray, stop_year: np.ndarray | None
    ) -> np.ndarray:
        """Return cumulative hazards of subjects who may stop treatment.

        Parameters
        ----------
        year : ndarray, shape (n_subjects,)
            Finite.
        group : ndarray of int, shape (n_subjects,)
            Of the subjects.
        stop_year : ndarray, shape (n_subjects,), or None
            When treatment is stopped.

        Returns
        -------
        ndarray, shape (n_subjects,)
            From year 0 on.
        """
        total = self.cumulative(year, group)
        if stop_year is None:
            return total
        who = np.flatnonzero(stop_year < year)
        until, mine = stop_year[who], group[who]
        reference = mine - mine % self.n_arms
        total[who] = (
            self.cumulative(until, mine)
            + self.cumulative(year[who], reference)
            - self.cumulative(until, reference)
        )
        return total

    def year(
        self, reading: np.ndarray, group: np.ndarray, stop_year: np.ndarray | None
    ) -> np.ndarray:
        """Say when cumulative hazards reach a reading.

        Parameters
        ----------
        reading : ndarray, shape (n_subjects,)
            At least 0.
        group : ndarray of int, shape (n_subjects,)
            Of the subjects.
        stop_year : ndarray, shape (n_subjects,), or None
            When treatment is stopped.

        Returns
        -------
        ndarray, shape (n_subjects,)
            Years; infinite where they never do.
        """
        years = self._inverse(reading, group)
        if stop_year is None:
            return years
        who = np.flatnonzero(stop_year < years)
        until, mine = stop_year[who], group[who]
        reference = mine - mine % self.n_arms
        moved = self.cumulative(until, reference) - self.cumulative(until, mine)
        years[who] = self._inverse(reading[who] + moved, reference)
        return years

    def _inverse(self, reading: np.ndarray, group: np.ndarray) -> np.ndarray:
        """Invert the cumulative hazards of groups."""
        years = np.empty(len(group))
        for k, (breaks, rates) in enumerate(zip(self.breaks, self.rates, strict=True)):
            here = group == k
            wanted, shown = reading[here], self._shown(k)
            piece = np.searchsorted(shown, wanted, side="right") - 1
            with np.errstate(divide="ignore"):
                years[here] = breaks[piece] + (wanted - shown[piece]) / rates[piece]
        return years

    def _shown(self, group: int) -> np.ndarray:
        """Return the cumulative hazard of a group at its breaks."""
        breaks, rates = self.breaks[group], self.rates[group]
        return np.concatenate([[0.0], np.cumsum(rates[:-1] * np.diff(breaks))])


def hazards_of_groups(
    breaks: np.ndarray,
    rates: np.ndarray,
    *,
    ratios: np.ndarray,
    onsets: np.ndarray,
    n_arms: int,
) -> GroupHazards:
    """Multiply a hazard by the ratio of every group from its onset on.

    Parameters
    ----------
    breaks : ndarray, shape (n_pieces,)
        Years from which each rate holds; the first is 0.
    rates : ndarray, shape (n_pieces,)
        Per year, without treatment.
    ratios, onsets : ndarray, shape (n_groups,)
        Hazard (or rate) ratios, and the years from which on they hold.
    n_arms : int
        How many groups one class of the marker has.

    Returns
    -------
    GroupHazards
        Of all groups.
    """
    all_breaks, all_rates = [], []
    for ratio, onset in zip(ratios, onsets, strict=True):
        mine = np.unique([*breaks, onset]) if np.isfinite(onset) else breaks
        base = rates[np.searchsorted(breaks, mine, side="right") - 1]
        all_breaks.append(mine)
        all_rates.append(base * np.where(mine >= onset, ratio, 1.0))
    return GroupHazards(breaks=tuple(all_breaks), rates=tuple(all_rates), n_arms=n_arms)
