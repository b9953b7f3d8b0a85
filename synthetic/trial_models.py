"""The plain models of trials: what they share.

A plain model is a frozen plan read from a scenario. It draws the subjects of a cell of replicates
in arrays with the visits outermost: what is drawn does not depend on who is in which arm, so that
other arms give the same people under other treatments.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

__all__ = ["Cell", "Drawn", "PlainModel", "Truths"]

Truths = Mapping[str, Mapping[str, float | None]]
"""True value by analysis and arm; None where there is no closed form."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """Subjects of whole cells of replicates, and their treatment.

    Parameters
    ----------
    streams : mapping of str to numpy.random.Generator
        By purpose.
    arm : ndarray of int, shape (n_subjects,)
        Positions of the arms.
    day : ndarray, shape (n_visits, 1) or (n_visits, n_subjects)
        Days of the visits.
    year : ndarray, likewise
        The same in years.
    stop_year : ndarray, shape (n_subjects,), or None
        When the effect of treatment ends.
    """

    streams: Mapping[str, np.random.Generator]
    arm: np.ndarray
    day: np.ndarray
    year: np.ndarray
    stop_year: np.ndarray | None

    @property
    def n_subjects(self) -> int:
        """How many."""
        return len(self.arm)

    @property
    def shape(self) -> tuple[int, int]:
        """Visits and subjects."""
        return len(self.day), len(self.arm)


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """What a model drew, as if everybody were seen.

    Parameters
    ----------
    values : mapping of str to ndarray, shape (n_visits, n_subjects)
        Measures; the arrays may be changed.
    baseline : mapping of str to ndarray, shape (n_subjects,)
        What is known at entry.
    event_day : ndarray, shape (n_subjects,), or None
        Days of events, infinite where there are none.
    """

    values: Mapping[str, np.ndarray]
    baseline: Mapping[str, np.ndarray] = field(default_factory=dict)
    event_day: np.ndarray | None = None


class PlainModel(Protocol):
    """What a plan can do."""

    @property
    def measures(self) -> tuple[str, ...]:
        """What it makes."""

    @property
    def scans(self) -> frozenset[str]:
        """Which of them are taken at scans only."""

    @property
    def accumulates(self) -> bool:
        """Whether values are counts since the last visit that took place."""

    @property
    def detected_at_visits(self) -> bool:
        """Whether events are dated to the first visit that took place after them."""

    @property
    def purposes(self) -> tuple[str, ...]:
        """Streams that it draws from."""

    def draw(self, cell: Cell) -> Drawn:
        """Draw a cell.

        Parameters
        ----------
        cell : Cell
            Who.

        Returns
        -------
        Drawn
            Arrays.
        """

    def worse(self, drawn: Drawn) -> np.ndarray:
        """Say who is worse than expected at which visit: what dropout may depend on.

        Parameters
        ----------
        drawn : Drawn
            From :meth:`draw`, before anything is taken away.

        Returns
        -------
        ndarray of bool, shape (n_visits, n_subjects)
            False at the first visit.
        """

    def truths(self) -> Truths:
        """Return true values of the scenario's analyses as far as there are closed forms."""
