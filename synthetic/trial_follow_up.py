"""Follow-up in the plain models of trials: stopping of treatment, dropout, death, missed visits.

Arrays are those of one cell of replicates: subjects in the last axis, visits before it.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pmsstats.cohort.trial_arrays import EXIT_REASONS
from synthetic.trial_arms import TrialScenario, event_rates
from synthetic.visits import DAYS_PER_YEAR

__all__ = [
    "Attended",
    "FollowUp",
    "Stops",
    "draw_attended",
    "draw_days",
    "draw_follow_up",
    "draw_stops",
    "dropout_rate",
    "follow_up_purposes",
    "prone_to_leave",
]

_DROPOUT, _DEATH = (EXIT_REASONS.index(reason) for reason in ("dropout", "death"))

Streams = Mapping[str, np.random.Generator]
"""Generators by purpose."""


@dataclass(frozen=True, kw_only=True)
class Stops:
    """Intercurrent events; days from entry, infinite where there is none.

    Parameters
    ----------
    events : mapping of str to ndarray, shape (n_subjects,)
        Day of each kind.
    effect_year : ndarray, shape (n_subjects,), or None
        Years until the effect of the treatment ends; None where it never does.
    seen_until : ndarray, shape (n_subjects,), or None
        Day of the first event after which the subject is not seen; None where all are.
    """

    events: Mapping[str, np.ndarray]
    effect_year: np.ndarray | None
    seen_until: np.ndarray | None


@dataclass(frozen=True, kw_only=True)
class FollowUp:
    """When subjects leave; arrays have shape (n_subjects,).

    Parameters
    ----------
    exit_day : ndarray
        Last day in the study.
    reason : ndarray of int
        Position in :data:`pmsstats.cohort.trial_arrays.EXIT_REASONS`.
    """

    exit_day: np.ndarray
    reason: np.ndarray


def follow_up_purposes(scenario: TrialScenario) -> tuple[str, ...]:
    """List the streams that follow-up needs.

    Parameters
    ----------
    scenario : TrialScenario
        What is not seen.

    Returns
    -------
    tuple of str
        Purposes; what never happens needs none.
    """
    dropout = scenario.dropout
    wanted = {
        "days": scenario.schedule.window_days >= 1,
        "dropout": dropout.share > 0,
        "death": dropout.death_rate > 0,
        "missed visit": dropout.missed_visit > 0,
        "missed scan": dropout.missed_scan > 0,
    }
    for event in scenario.intercurrent:
        happens = bool(event_rates(scenario, event).any())
        wanted[f"intercurrent {event.name}"] = happens
        wanted[f"seen after {event.name}"] = happens and event.seen_after < 1
    return tuple(purpose for purpose, is_wanted in wanted.items() if is_wanted)


def dropout_rate(share: float, weeks: tuple[int, ...]) -> float:
    """Return the hazard under which a share of the subjects leaves before the last visit.

    Parameters
    ----------
    share : float
        From 0 to below 1.
    weeks : tuple of int
        Planned visits.

    Returns
    -------
    float
        Per year.
    """
    return -math.log1p(-share) * DAYS_PER_YEAR / (7 * weeks[-1])


def draw_days(scenario: TrialScenario, streams: Streams, n_subjects: int) -> np.ndarray:
    """Draw when visits take place: any whole day of the window is as likely as another.

    Parameters
    ----------
    scenario : TrialScenario
        With the schedule.
    streams : mapping of str to numpy.random.Generator
        By purpose.
    n_subjects : int
        How many.

    Returns
    -------
    ndarray, shape (n_visits, 1) or (n_visits, n_subjects)
        Days from entry; the first is 0.
    """
    planned = 7.0 * np.array(scenario.schedule.weeks, dtype=float)[:, None]
    if "days" not in streams:
        return planned
    reach = int(scenario.schedule.window_days)
    shift = streams["days"].integers(-reach, reach + 1, size=(len(planned), n_subjects))
    shift[0] = 0
    return planned + shift


def draw_stops(scenario: TrialScenario, streams: Streams, arm: np.ndarray) -> Stops:
    """Draw intercurrent events.

    Parameters
    ----------
    scenario : TrialScenario
        With the events and their rates.
    streams : mapping of str to numpy.random.Generator
        By purpose; who is in which arm changes no number that is drawn.
    arm : ndarray of int, shape (n_subjects,)
        Positions of the arms.

    Returns
    -------
    Stops
        Days.
    """
    if not scenario.intercurrent:
        return Stops(events={}, effect_year=None, seen_until=None)
    events: dict[str, np.ndarray] = {}
    effect, unseen = np.full(len(arm), np.inf), np.full(len(arm), np.inf)
    for event in scenario.intercurrent:
        day = np.full(len(arm), np.inf)
        if f"intercurrent {event.name}" in streams:
            waited = streams[f"intercurrent {event.name}"].standard_exponential(len(arm))
            with np.errstate(divide="ignore"):
                day = DAYS_PER_YEAR * waited / event_rates(scenario, event)[arm]
        events[event.name] = day
        if event.effect_after == "stops":
            effect = np.minimum(effect, day / DAYS_PER_YEAR)
        if f"seen after {event.name}" in streams:
            uniform = streams[f"seen after {event.name}"].random(len(arm))
            unseen = np.minimum(unseen, np.where(uniform < event.seen_after, np.inf, day))
    return Stops(
        events=events,
        effect_year=effect if np.isfinite(effect).any() else None,
        seen_until=unseen if np.isfinite(unseen).any() else None,
    )


@dataclass(frozen=True, kw_only=True)
class Attended:
    """What is not missed by those still in the study.

    Parameters
    ----------
    visits, scans : ndarray of bool, shape broadcasting to (n_visits, n_subjects), or None
        None where all take place.
    """

    visits: np.ndarray | None
    scans: np.ndarray | None


def draw_attended(scenario: TrialScenario, streams: Streams, shape: tuple[int, int]) -> Attended:
    """Draw which visits and which scans are missed; nobody misses the first.

    Parameters
    ----------
    scenario : TrialScenario
        Probabilities, and weeks with a scan.
    streams : mapping of str to numpy.random.Generator
        By purpose.
    shape : (int, int)
        Visits and subjects.

    Returns
    -------
    Attended
        Masks.
    """
    visits = _came(streams, "missed visit", scenario.dropout.missed_visit, shape)
    masks = [visits, _came(streams, "missed scan", scenario.dropout.missed_scan, shape)]
    weeks, planned = scenario.schedule.weeks, scenario.schedule.imaging_weeks
    if planned is not None and set(planned) != set(weeks):
        masks.append(np.isin(weeks, planned)[:, None])
    found = [mask for mask in masks if mask is not None]
    return Attended(visits=visits, scans=functools.reduce(np.logical_and, found) if found else None)


def _came(
    streams: Streams, purpose: str, probability: float, shape: tuple[int, int]
) -> np.ndarray | None:
    """Say who comes when; None where all do."""
    if purpose not in streams:
        return None
    came = streams[purpose].random(shape) >= probability
    came[0] = True
    return came


def prone_to_leave(
    scenario: TrialScenario, worse: np.ndarray, visits: np.ndarray | None
) -> np.ndarray | None:
    """Say after which visits the hazard of leaving is another one.

    Parameters
    ----------
    scenario : TrialScenario
        With the mechanism.
    worse : ndarray of bool, shape (n_visits, n_subjects)
        Who is worse at which visit.
    visits : ndarray of bool, shape (n_visits, n_subjects), or None
        Which visits are not missed.

    Returns
    -------
    ndarray of bool, shape (n_visits - 1, n_subjects), or None
        Under ``"mar"`` those worse at the last visit that took place, under ``"mnar"`` those who
        will be at the next; None where that makes no difference.
    """
    if scenario.dropout.mechanism == "mnar":
        return worse[1:]
    if visits is None:
        return worse[:-1]
    last = worse.copy()
    for k in range(1, len(worse)):
        last[k] = np.where(visits[k], worse[k], last[k - 1])
    return last[:-1]


def draw_follow_up(
    scenario: TrialScenario,
    streams: Streams,
    day: np.ndarray,
    *,
    n_subjects: int,
    prone: np.ndarray | None = None,
    seen_until: np.ndarray | None = None,
) -> FollowUp:
    """Draw who leaves when.

    Parameters
    ----------
    scenario : TrialScenario
        Share and mechanism.
    streams : mapping of str to numpy.random.Generator
        By purpose.
    day : ndarray, shape broadcasting to (n_visits, n_subjects)
        Days of the visits.
    n_subjects : int
        How many.
    prone : ndarray of bool, shape (n_visits - 1, n_subjects), optional
        From :func:`prone_to_leave`.
    seen_until : ndarray, shape (n_subjects,), optional
        Day from which a subject is not seen for another reason.

    Returns
    -------
    FollowUp
        Exits.
    """
    exit_day = np.array(np.broadcast_to(day[-1], (n_subjects,)))
    reason = np.zeros(n_subjects, dtype=np.int8)
    candidates: list[tuple[np.ndarray, int]] = []
    if "dropout" in streams:
        waited = streams["dropout"].standard_exponential(n_subjects)
        candidates.append((_dropout_day(scenario, waited, day, prone), _DROPOUT))
    if seen_until is not None:
        candidates.append((seen_until, _DROPOUT))
    if "death" in streams:
        waited = streams["death"].standard_exponential(n_subjects)
        candidates.append((DAYS_PER_YEAR / scenario.dropout.death_rate * waited, _DEATH))
    for left, code in candidates:
        np.putmask(reason, left < exit_day, code)
        np.minimum(exit_day, left, out=exit_day)
    return FollowUp(exit_day=exit_day, reason=reason)


def _dropout_day(
    scenario: TrialScenario, waited: np.ndarray, day: np.ndarray, prone: np.ndarray | None
) -> np.ndarray:
    """Invert the cumulative hazard of leaving, which is linear between two visits."""
    dropout = scenario.dropout
    rate = dropout_rate(dropout.share, scenario.schedule.weeks) / DAYS_PER_YEAR
    if prone is None:
        return waited / rate
    excess = math.exp(dropout.log_hazard)
    left, hazard = np.full(len(waited), np.inf), np.zeros(len(waited))
    for k, is_prone in enumerate(prone):
        here = rate * np.where(is_prone, excess, 1.0)
        later = hazard + here * (day[k + 1] - day[k])
        leaves = (waited >= hazard) & (waited < later)
        left = np.where(leaves, day[k] + (waited - hazard) / here, left)
        hazard = later
    return left
