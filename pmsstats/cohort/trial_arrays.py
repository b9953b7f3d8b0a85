"""Many replicates of one trial as arrays: what a trial generator hands to the simulation of trials.

A cohort is four tables; ten thousand trials would be forty thousand. Here each quantity is one
array with the replicates in the first axis and the subjects in the second.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from pmsstats.errors import DesignError

__all__ = ["EXIT_REASONS", "TrialArrays"]

EXIT_REASONS = ("completed", "dropout", "death")
"""Why follow-up ends, by code."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TrialArrays:
    """Replicates of a trial, as far as it could be seen: times run from each subject's own entry.

    Parameters
    ----------
    arms : tuple of str
        Names, reference first.
    arm : ndarray of int, shape (n_replicates, n_subjects)
        Position in `arms`; -1 for a place that was not filled.
    weeks : tuple of int
        Planned visits, ascending from 0.
    day : ndarray, shape broadcasting to (n_replicates, n_subjects, n_visits)
        When the visits took place, in days from entry; ascending in the last axis.
    values : mapping of str to ndarray, shape (n_replicates, n_subjects, n_visits)
        Measures by name, not a number where they were not taken.
    exit_day : ndarray, shape (n_replicates, n_subjects)
        Last day in the study.
    exit_reason : ndarray of int, shape (n_replicates, n_subjects)
        Position in :data:`EXIT_REASONS`.
    stop_day : ndarray, shape (n_replicates, n_subjects)
        Day of the first intercurrent event, as of stopping treatment; infinite where there was
        none up to `exit_day`.
    baseline : mapping of str to ndarray, shape (n_replicates, n_subjects)
        What is known at entry (``age_years``, ``sex`` as 0 men and 1 women, ...).
    relapses : tuple of ndarray, each of shape (n_relapses,)
        Replicate, subject (positions from 0) and day of each relapse.
    intercurrent : mapping of str to ndarray, shape (n_replicates, n_subjects)
        Day of each kind of intercurrent event, by name; infinite where it did not happen.
    entry_year : ndarray, shape (n_replicates, n_subjects), optional
        Calendar time of entry, in years from the opening of the trial; 0 by default.

    Raises
    ------
    DesignError
        If shapes do not fit.
    """

    arms: tuple[str, ...]
    arm: np.ndarray
    weeks: tuple[int, ...]
    day: np.ndarray
    values: Mapping[str, np.ndarray]
    exit_day: np.ndarray
    exit_reason: np.ndarray
    stop_day: np.ndarray
    baseline: Mapping[str, np.ndarray] = field(default_factory=dict)
    relapses: tuple[np.ndarray, np.ndarray, np.ndarray] = field(
        default_factory=lambda: (np.empty(0, int), np.empty(0, int), np.empty(0, int))
    )
    intercurrent: Mapping[str, np.ndarray] = field(default_factory=dict)
    entry_year: np.ndarray | None = None

    def __post_init__(self) -> None:
        """Check shapes."""
        shape = self.arm.shape
        if len(shape) != 2:
            raise DesignError(f"`arm` must have two axes, replicates and subjects, got {shape!r}.")
        wanted = {name: (getattr(self, name), shape) for name in ("exit_day", "exit_reason")}
        wanted["stop_day"] = (self.stop_day, shape)
        wanted |= {f"baseline[{name!r}]": (value, shape) for name, value in self.baseline.items()}
        days = self.intercurrent.items()
        wanted |= {f"intercurrent[{name!r}]": (value, shape) for name, value in days}
        full = (*shape, len(self.weeks))
        wanted |= {f"values[{name!r}]": (value, full) for name, value in self.values.items()}
        for name, (value, expected) in wanted.items():
            if value.shape != expected:
                raise DesignError(f"`{name}` must have the shape {expected}, got {value.shape}.")

    @property
    def n_replicates(self) -> int:
        """Number of trials."""
        return self.arm.shape[0]

    @property
    def n_subjects(self) -> int:
        """Number of places per trial."""
        return self.arm.shape[1]

    def replace(self, **changes: object) -> TrialArrays:
        """Return a copy with some fields changed.

        Parameters
        ----------
        **changes : object
            Fields by name.

        Returns
        -------
        TrialArrays
            The rest as it was, not copied.
        """
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]
