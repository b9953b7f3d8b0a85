"""What is not seen: visits and scans that are missed, dropout, death.

Everything is drawn for everybody first, and taken away here: so another missingness model leaves
every measurement that is still seen as it was.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthetic.clinical import MissingnessModel
from synthetic.draws import SubjectStreams
from synthetic.visits import DAYS_PER_YEAR, Calendar

__all__ = ["REASONS", "Attendance", "draw_attendance"]

REASONS = ("completed", "dropout", "death")
"""Why follow-up ends."""

_WORSENED_BY = 1.0

_AGE_OF_RATE = 45.0
"""At which the death rate of a description holds."""


@dataclass(frozen=True, kw_only=True)
class Attendance:
    """What is seen of whom.

    Parameters
    ----------
    attended : ndarray of bool, shape (n_subjects, n_visits)
        The visit took place.
    scanned : ndarray of bool, shape (n_subjects, n_visits)
        It took place, and its scan too (where one is planned).
    missed : ndarray of bool, shape (n_subjects, n_visits)
        The visit was missed while the subject was still in the study.
    exit_day : ndarray of int, shape (n_subjects,)
        Last day in the study.
    reason : ndarray of int, shape (n_subjects,)
        Position in :data:`REASONS`.
    """

    attended: np.ndarray
    scanned: np.ndarray
    missed: np.ndarray
    exit_day: np.ndarray
    reason: np.ndarray


def draw_attendance(
    model: MissingnessModel,
    calendar: Calendar,
    edss: np.ndarray,
    streams: SubjectStreams,
    *,
    course: np.ndarray,
    age: np.ndarray,
) -> Attendance:
    """Draw who is seen when.

    Parameters
    ----------
    model : MissingnessModel
        Probabilities and rates.
    calendar : Calendar
        Planned days.
    edss : ndarray, shape (n_subjects, n_visits)
        Ratings as if everybody came; under ``"mar"`` only those that were seen count.
    streams : SubjectStreams
        Random numbers.
    course : ndarray, shape (n_subjects, n_visits)
        True EDSS; under ``"mnar"`` its rise before the next visit counts, seen or not.
    age : ndarray, shape (n_subjects,)
        At baseline, in years.

    Returns
    -------
    Attendance
        Masks and exits.
    """
    came = _coming(model.missed_visit, calendar, "missed visit", streams)
    scan = _coming(model.missed_scan, calendar, "missed scan", streams)
    last = calendar.day[:, -1]
    prone = {"mar": _worsened(edss, came), "mnar": _worsens(course)}.get(model.dropout)
    dropout = _dropout_day(model, calendar, prone, streams)
    years = _years_to_death(model, age, streams.exponential("death"))
    death = np.ceil(np.minimum(years, 1e6) * DAYS_PER_YEAR)
    candidates = np.stack([last.astype(float), dropout, death])
    reason = np.argmin(candidates, axis=0)
    exit_day = candidates.min(axis=0).astype(np.int64)
    present = calendar.day <= exit_day[:, None]
    return Attendance(
        attended=came & present,
        scanned=came & present & scan,
        missed=~came & present,
        exit_day=exit_day,
        reason=reason,
    )


def _coming(
    probability: float, calendar: Calendar, purpose: str, streams: SubjectStreams
) -> np.ndarray:
    """Say which visits are not missed; nobody misses baseline."""
    came = np.ones(calendar.day.shape, dtype=bool)
    if probability == 0:
        return came
    for column, week in enumerate(calendar.weeks[1:], start=1):
        came[:, column] = streams.uniform(purpose, week) >= probability
    return came


def _worsened(edss: np.ndarray, came: np.ndarray) -> np.ndarray:
    """Say after which visits the latest seen rating is at least a point above the first."""
    change = edss - edss[:, :1] >= _WORSENED_BY
    worsened = np.zeros(edss.shape, dtype=bool)
    for column in range(1, edss.shape[1]):
        worsened[:, column] = np.where(came[:, column], change[:, column], worsened[:, column - 1])
    return worsened


def _worsens(course: np.ndarray) -> np.ndarray:
    """Say after which visits the true EDSS rises before the next one."""
    rises = np.zeros(course.shape, dtype=bool)
    rises[:, :-1] = np.diff(course, axis=1) > 0
    return rises


def _years_to_death(model: MissingnessModel, age: np.ndarray, gap: np.ndarray) -> np.ndarray:
    """Invert the cumulative hazard of death, which rises exponentially with age (Gompertz)."""
    growth = model.death_log_hazard_per_year
    with np.errstate(divide="ignore"):
        years = gap / (model.death_rate * np.exp(growth * (age - _AGE_OF_RATE)))
    return np.log1p(growth * years) / growth if growth > 0 else years


def _dropout_day(
    model: MissingnessModel,
    calendar: Calendar,
    prone: np.ndarray | None,
    streams: SubjectStreams,
) -> np.ndarray:
    """Draw the day of dropout, infinite for those who stay: constant hazard between visits."""
    day = np.full(len(calendar.day), np.inf)
    if model.dropout == "none" or model.dropout_rate == 0:
        return day
    excess = np.exp(model.dropout_log_hazard)
    for column, week in enumerate(calendar.weeks[1:], start=1):
        ratio = 1.0 if prone is None else np.where(prone[:, column - 1], excess, 1.0)
        waited = np.floor(
            DAYS_PER_YEAR * streams.exponential("dropout", week) / (model.dropout_rate * ratio)
        )
        left = calendar.day[:, column - 1] + waited
        leaves = (left < calendar.day[:, column]) & np.isinf(day)
        day = np.where(leaves, left, day)
    return day
