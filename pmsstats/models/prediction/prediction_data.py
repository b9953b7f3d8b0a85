"""Tables for dynamic prediction: who is at risk at a landmark, and what is known of them then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError, first_ids, nearest
from pmsstats.models.events.rows import (
    Rows,
    as_subjects,
    at_least_two,
    check_cause,
    check_duration,
    check_event,
    check_one_row,
    check_time,
    require_columns,
)
from pmsstats.results import Exclusion, exclude

if TYPE_CHECKING:
    from pmsstats.models.prediction.spec import PredictionSpec

__all__ = [
    "FollowUp",
    "LandmarkHistory",
    "PredictionData",
    "check_windows",
    "prepare_follow_up",
    "prepare_tables",
]

_STAGE = "prediction"


@dataclass(frozen=True, kw_only=True, eq=False)
class FollowUp:
    """One row per subject, checked.

    Parameters
    ----------
    frame : pandas.DataFrame
        The survival table, rows numbered from 0.
    duration : ndarray, shape (n_subjects,)
        Above 0.
    cause : ndarray of int, shape (n_subjects,)
        0 censored, 1 the event that is predicted, 2 another.
    exclusions : tuple of Exclusion
        Subjects left out.
    """

    frame: pd.DataFrame
    duration: np.ndarray
    cause: np.ndarray
    exclusions: tuple[Exclusion, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class LandmarkHistory:
    """What is known at a landmark, and nothing else.

    Parameters
    ----------
    landmark : float
        When.
    subjects : pandas.DataFrame
        One row per subject at risk: id and covariates, without duration and event.
    history : pandas.DataFrame
        Measurements of these subjects up to the landmark, by subject, then time.
    code : ndarray of int, shape (n_measurements,)
        Row of `subjects` that a measurement belongs to, never falling.
    position : ndarray of int, shape (n_subjects,)
        Where the subjects stand in the data that this was taken from.
    """

    landmark: float
    subjects: pd.DataFrame
    history: pd.DataFrame
    code: np.ndarray
    position: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class PredictionData:
    """Two tables of the same subjects, checked.

    Parameters
    ----------
    spec : PredictionSpec
        Which columns are what.
    survival : pandas.DataFrame
        One row per subject.
    longitudinal : pandas.DataFrame
        Measurements, by subject (in the order of `survival`), then time.
    code : ndarray of int, shape (n_measurements,)
        Row of `survival` that a measurement belongs to, never falling.
    duration : ndarray, shape (n_subjects,)
        Time to event or censoring.
    cause : ndarray of int, shape (n_subjects,)
        0 censored, 1 the event that is predicted, 2 another.
    exclusions : tuple of Exclusion
        What was left out.
    """

    spec: PredictionSpec
    survival: pd.DataFrame
    longitudinal: pd.DataFrame
    code: np.ndarray
    duration: np.ndarray
    cause: np.ndarray
    exclusions: tuple[Exclusion, ...] = ()

    def at(self, landmark: float) -> LandmarkHistory:
        """Cut the tables at a landmark.

        Parameters
        ----------
        landmark : float
            In the unit of the durations.

        Returns
        -------
        LandmarkHistory
            Of the subjects who are at risk after it and were measured by then.
        """
        early = self.longitudinal[self.spec.time].to_numpy() <= landmark
        measured = np.bincount(self.code[early], minlength=len(self.duration)) > 0
        position = np.flatnonzero((self.duration > landmark) & measured)
        place = np.full(len(self.duration), -1)
        place[position] = np.arange(len(position))
        rows = np.flatnonzero(early & (place[self.code] >= 0))
        outcome = [self.spec.duration, self.spec.cause or self.spec.event]
        subjects = self.survival.iloc[position].drop(columns=outcome)
        return LandmarkHistory(
            landmark=landmark,
            subjects=subjects.reset_index(drop=True),
            history=self.longitudinal.iloc[rows].reset_index(drop=True),
            code=place[self.code[rows]],
            position=position,
        )

    def take(self, subjects: np.ndarray) -> PredictionData:
        """Return the same tables of other subjects, renamed from 1 on.

        Parameters
        ----------
        subjects : ndarray of int, shape (n,)
            Rows of `survival`; one that is taken twice becomes two subjects.

        Returns
        -------
        PredictionData
            With ids 1 to n.
        """
        first = np.searchsorted(self.code, np.arange(len(self.duration)))
        count = np.bincount(self.code, minlength=len(self.duration))[subjects]
        code = np.repeat(np.arange(len(subjects)), count)
        within = np.arange(len(code)) - np.repeat(np.cumsum(count) - count, count)
        rows = np.repeat(first[subjects], count) + within
        name = self.spec.subject
        survival = self.survival.iloc[subjects].reset_index(drop=True)
        longitudinal = self.longitudinal.iloc[rows].reset_index(drop=True)
        return replace(
            self,
            survival=survival.assign(**{name: np.arange(len(subjects)) + 1}),
            longitudinal=longitudinal.assign(**{name: code + 1}),
            code=code,
            duration=self.duration[subjects],
            cause=self.cause[subjects],
        )


def prepare_follow_up(survival: pd.DataFrame, spec: PredictionSpec) -> FollowUp:
    """Check the survival table.

    Parameters
    ----------
    survival : pandas.DataFrame
        One row per subject.
    spec : PredictionSpec
        Which columns are what.

    Returns
    -------
    FollowUp
        Subjects with a duration and a known end.

    Raises
    ------
    DesignError
        If a column is missing or of the wrong kind, a subject stands there twice, a duration is
        negative, fewer than two subjects are left, or the cause does not occur.
    """
    end = ("cause", spec.cause) if spec.cause else ("event", spec.event)
    require_columns(survival, [("subject", spec.subject), ("duration", spec.duration), end])
    rows = Rows(survival, _STAGE, spec.subject)
    check_one_row(rows)
    if spec.cause:
        labels = check_cause(rows, spec.cause)
        if spec.of not in labels:
            raise DesignError(
                f"`of` must be a cause that occurs ({', '.join(labels)}), got {spec.of!r}."
                f"{nearest(str(spec.of), labels)}"
            )
        wanted = labels.index(str(spec.of)) + 1
    else:
        check_event(rows, spec.event)
        wanted = 1
    check_duration(rows, spec.duration, end[1])
    at_least_two(rows, "A prediction")
    code = rows.frame[end[1]].to_numpy(dtype=int)
    return FollowUp(
        frame=rows.frame.reset_index(drop=True),
        duration=rows.frame[spec.duration].to_numpy(dtype=float),
        cause=np.where(code == 0, 0, np.where(code == wanted, 1, 2)),
        exclusions=as_subjects(rows.exclusions),
    )


def prepare_tables(
    longitudinal: pd.DataFrame, survival: pd.DataFrame, spec: PredictionSpec
) -> PredictionData:
    """Check both tables, and match their subjects.

    Parameters
    ----------
    longitudinal : pandas.DataFrame
        One row per measurement occasion.
    survival : pandas.DataFrame
        One row per subject.
    spec : PredictionSpec
        Which columns are what.

    Returns
    -------
    PredictionData
        All subjects with follow-up; measurements of others, and later than the end of follow-up,
        left out.

    Raises
    ------
    DesignError
        See :func:`prepare_follow_up`; also if no measurement belongs to a subject with follow-up,
        or nobody is at risk, no event happens, or nobody is followed on at a landmark and horizon.
    """
    follow_up = prepare_follow_up(survival, spec)
    measurements, code, lost = _measurements(longitudinal, follow_up, spec)
    data = PredictionData(
        spec=spec,
        survival=follow_up.frame,
        longitudinal=measurements,
        code=code,
        duration=follow_up.duration,
        cause=follow_up.cause,
        exclusions=follow_up.exclusions + lost,
    )
    late = [e for landmark in spec.landmarks for e in _check_landmark(data, landmark)]
    return replace(data, exclusions=(*data.exclusions, *late))


def _measurements(
    longitudinal: pd.DataFrame, follow_up: FollowUp, spec: PredictionSpec
) -> tuple[pd.DataFrame, np.ndarray, tuple[Exclusion, ...]]:
    """Check the measurements of subjects with follow-up, and sort them by subject and time."""
    require_columns(longitudinal, [("subject", spec.subject), ("time", spec.time)])
    rows = Rows(longitudinal, _STAGE, spec.subject)
    rows.drop(rows.frame[spec.subject].isna(), f"no {spec.subject}")
    check_time(rows, spec.time)
    ids = follow_up.frame[spec.subject]
    place = pd.Series(np.arange(len(ids)), index=ids)
    found = place.reindex(rows.frame[spec.subject]).to_numpy()
    rows.drop(pd.Series(np.isnan(found), index=rows.frame.index), "subject has no follow-up")
    if not len(rows.frame):
        raise DesignError(
            f"No subject of `longitudinal` ({first_ids(longitudinal[spec.subject])}) is among "
            f"those of `survival` with follow-up ({first_ids(ids)}). Are the ids of the same kind "
            "(text or numbers)?"
        )
    code = found[~np.isnan(found)].astype(int)
    late = rows.frame[spec.time].to_numpy() > follow_up.duration[code]
    reason = "measured after the event or the end of follow-up"
    rows.drop(pd.Series(late, index=rows.frame.index), reason)
    code = code[~late]
    order = np.lexsort((rows.frame[spec.time].to_numpy(), code))
    return rows.frame.iloc[order].reset_index(drop=True), code[order], rows.exclusions


def _check_landmark(data: PredictionData, landmark: float) -> tuple[Exclusion, ...]:
    """Refuse a landmark at which nothing can be judged; count who was never measured by then."""
    position = data.at(landmark).position
    check_windows(data.duration, data.cause, position, landmark, data.spec.horizons(landmark))
    at_risk = data.duration > landmark
    at_risk[position] = False
    unmeasured = data.survival.loc[at_risk, data.spec.subject]
    return exclude(
        f"{_STAGE} at {landmark:g}", "subject", "at risk, but not measured by then", unmeasured
    )


def check_windows(
    duration: np.ndarray,
    cause: np.ndarray,
    position: np.ndarray,
    landmark: float,
    horizons: Sequence[float] | np.ndarray,
) -> None:
    """Refuse a landmark and horizons at which predictions cannot be judged.

    Parameters
    ----------
    duration, cause : ndarray, shape (n_subjects,)
        Follow-up of everyone.
    position : ndarray of int
        Who is at risk and was measured.
    landmark : float
        When predictions are made.
    horizons : sequence of float
        Up to when.

    Raises
    ------
    DesignError
        If fewer than two subjects are at risk, no event happens between landmark and horizon, or
        nobody is known to be without it at the horizon.
    """
    if len(position) < 2:
        raise DesignError(
            f"{len(position)} subject(s) with a measurement are at risk at landmark "
            f"{landmark:g}: at least two are needed. Follow-up ends at {duration.max():g}; choose "
            "earlier `landmarks`, in the unit of the durations."
        )
    longest = float(duration[position].max())
    for horizon in horizons:
        if longest <= horizon:
            raise DesignError(
                f"Nobody is followed beyond the horizon {horizon:g} (landmark {landmark:g} plus "
                f"its window): follow-up ends at {longest:g}, so how many are then without the "
                "event is unknown. Choose a shorter window or an earlier landmark."
            )
        in_window = (cause[position] == 1) & (duration[position] <= horizon)
        if not in_window.any():
            raise DesignError(
                f"No event happens between landmark {landmark:g} and horizon {horizon:g} among "
                f"{len(position)} subjects at risk: predictions cannot be judged there. Choose a "
                "longer window or another landmark."
            )
