"""When each visit takes place: the planned day, moved a little inside its window."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthetic.draws import SubjectStreams
from synthetic.observation import ScheduleModel

__all__ = ["DAYS_PER_YEAR", "Calendar", "draw_calendar", "visit_labels"]

DAYS_PER_YEAR = 365.25


@dataclass(frozen=True, kw_only=True)
class Calendar:
    """Days of all planned visits.

    Parameters
    ----------
    weeks : tuple of int
        Planned weeks.
    day : ndarray of int, shape (n_subjects, n_visits)
        Days from baseline; the first column is 0.
    """

    weeks: tuple[int, ...]
    day: np.ndarray

    @property
    def year(self) -> np.ndarray:
        """Time since baseline in years, shape (n_subjects, n_visits)."""
        return self.day / DAYS_PER_YEAR

    def columns(self, weeks: tuple[int, ...]) -> np.ndarray:
        """Find the columns of some planned weeks.

        Parameters
        ----------
        weeks : tuple of int
            Some of the planned ones.

        Returns
        -------
        ndarray of int
            In their order of time.
        """
        return np.flatnonzero(np.isin(self.weeks, weeks))

    def part(self, weeks: tuple[int, ...]) -> Calendar:
        """Keep some planned weeks.

        Parameters
        ----------
        weeks : tuple of int
            Some of the planned ones.

        Returns
        -------
        Calendar
            Their days.
        """
        columns = self.columns(weeks)
        return Calendar(weeks=tuple(self.weeks[c] for c in columns), day=self.day[:, columns])

    @property
    def labels(self) -> tuple[str, ...]:
        """How the visits are called, in order of time."""
        return visit_labels(self.weeks)


def visit_labels(weeks: tuple[int, ...]) -> tuple[str, ...]:
    """Name planned visits.

    Parameters
    ----------
    weeks : tuple of int
        From baseline.

    Returns
    -------
    tuple of str
        ``"Baseline"``, ``"W12"``, and so on.
    """
    return tuple("Baseline" if week == 0 else f"W{week}" for week in weeks)


def draw_calendar(model: ScheduleModel, streams: SubjectStreams) -> Calendar:
    """Draw the day of every planned visit.

    Parameters
    ----------
    model : ScheduleModel
        Weeks and windows.
    streams : SubjectStreams
        Random numbers; each planned week has its own, so another visit moves none of these.

    Returns
    -------
    Calendar
        Days, ascending within a subject.
    """
    day = np.zeros((streams.n_subjects, len(model.weeks)), dtype=np.int64)
    reach = np.floor(model.window_days)
    if reach == 0:
        day[:] = 7 * np.array(model.weeks, dtype=np.int64)
        return Calendar(weeks=model.weeks, day=day)
    for column, week in enumerate(model.weeks[1:], start=1):
        shift = np.clip(np.rint(model.window_sd * streams.normal("visit", week)), -reach, reach)
        day[:, column] = 7 * week + shift.astype(np.int64)
    return Calendar(weeks=model.weeks, day=day)
