"""One replicate as the frames that models of this package take: visits and subjects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pmsstats.cohort.coerce import DAYS_PER_YEAR
from pmsstats.trials.analyses.endpoint_kinds import LATENT
from pmsstats.trials.analyses.event_times import EventTimes
from pmsstats.trials.analyses.windows import TrialWindow

__all__ = ["TrialFrames", "trial_frames"]


@dataclass(frozen=True, kw_only=True, eq=False)
class TrialFrames:
    """All replicates of an analysis, to be taken as frames one by one.

    Parameters
    ----------
    window : TrialWindow
        Subjects and visits.
    measures : mapping of str to ndarray, shape (n_replicates, n_subjects, n_chosen)
        Values by name, without what strategies take out.
    known : mapping of str to ndarray, shape (n_replicates, n_subjects)
        What is known at entry: the day of an event is not.
    analysed : ndarray of bool, shape (n_replicates, n_subjects)
        Who is in the frames.
    times : EventTimes, optional
        Of an endpoint that is a time to an event.
    """

    window: TrialWindow
    measures: Mapping[str, np.ndarray]
    known: Mapping[str, np.ndarray]
    analysed: np.ndarray
    times: EventTimes | None

    def visits(self, row: int) -> pd.DataFrame:
        """Return the visits of a replicate that have a value of the endpoint's measure.

        Parameters
        ----------
        row : int
            Which replicate.

        Returns
        -------
        pandas.DataFrame
            ``subject_id``, ``arm`` (reference first), ``year`` (from the start of the window,
            actual days), ``week`` (planned), the measures, what is known at entry, ``baseline``
            (the endpoint's measure at the first visit of the window).
        """
        window = self.window
        n_visits = len(window.visits)
        code = np.repeat(window.code[row], n_visits)
        days = np.broadcast_to(window.days, (*window.code.shape, n_visits))[row]
        own = self.measures[window.endpoint.measure][row]
        frame = pd.DataFrame(
            {
                "subject_id": np.repeat(np.arange(window.code.shape[1]), n_visits),
                "arm": pd.Categorical.from_codes(code, list(window.comparisons.arms)),
                "year": (days.ravel() - 7 * window.weeks[0]) / DAYS_PER_YEAR,
                "week": np.tile(window.weeks, window.code.shape[1]),
                **{name: values[row].ravel() for name, values in self.measures.items()},
                **{name: np.repeat(value[row], n_visits) for name, value in self.known.items()},
                "baseline": np.repeat(own[:, 0], n_visits),
            }
        )
        keep = np.repeat(self.analysed[row], n_visits) & ~np.isnan(own.ravel())
        return frame[keep].reset_index(drop=True)

    def subjects(self, row: int) -> pd.DataFrame:
        """Return the subjects of a replicate.

        Parameters
        ----------
        row : int
            Which replicate.

        Returns
        -------
        pandas.DataFrame
            ``subject_id``, ``arm`` (reference first), what is known at entry; for a time to an
            event ``duration`` (years) and ``event``.
        """
        window = self.window
        frame = pd.DataFrame(
            {
                "subject_id": np.arange(window.code.shape[1]),
                "arm": pd.Categorical.from_codes(window.code[row], list(window.comparisons.arms)),
                **{name: value[row] for name, value in self.known.items()},
            }
        )
        if self.times is not None:
            frame["duration"] = self.times.duration[row] / DAYS_PER_YEAR
            frame["event"] = self.times.event[row]
        return frame[self.analysed[row]].reset_index(drop=True)


def trial_frames(window: TrialWindow, times: EventTimes | None = None) -> TrialFrames:
    """Prepare the frames of all replicates.

    Parameters
    ----------
    window : TrialWindow
        Subjects and visits.
    times : EventTimes, optional
        Of an endpoint that is a time to an event: those who are not at risk are left out.

    Returns
    -------
    TrialFrames
        The frames are made when they are asked for.

    Raises
    ------
    DesignError
        If the data do not have the measure of the endpoint.
    """
    data = window.data
    names = dict.fromkeys((window.endpoint.measure, *data.values))  # noqa: PD011 (no frame)
    return TrialFrames(
        window=window,
        measures={name: window.values(name) for name in names},
        known={name: value for name, value in data.baseline.items() if name != LATENT},
        analysed=window.code >= 0 if times is None else times.at_risk,
        times=times,
    )
