"""Replicates of a plain model of trials, cell by cell.

A cell of replicates is drawn as a whole whoever asks for which of them, from one stream per
purpose, so that the numbers depend neither on blocks nor on workers. Visits are outermost while
numbers are made: then every operation is on long rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from pmsstats.cohort.trial_arrays import TrialArrays
from pmsstats.seeds import REPLICATES_PER_CELL, replicate_cells
from synthetic.trial_arms import TrialScenario, choose_arms
from synthetic.trial_follow_up import (
    Attended,
    FollowUp,
    Stops,
    draw_attended,
    draw_days,
    draw_follow_up,
    draw_stops,
    follow_up_purposes,
    prone_to_leave,
)
from synthetic.trial_models import Cell, Drawn, PlainModel
from synthetic.visits import DAYS_PER_YEAR

__all__ = ["draw_plain"]

_Place = tuple[Mapping[str, np.random.Generator], slice, slice]


@dataclass(frozen=True, kw_only=True)
class _Store:
    """Arrays of all replicates that were asked for; replicates first, subjects second."""

    values: dict[str, np.ndarray]
    baseline: dict[str, np.ndarray]
    intercurrent: dict[str, np.ndarray]
    arm: np.ndarray
    day: np.ndarray
    exit_day: np.ndarray
    exit_reason: np.ndarray
    stop_day: np.ndarray

    def keep(self, array: np.ndarray, kept: slice) -> np.ndarray:
        """Return what was asked for of an array of a cell, subjects in the last axis."""
        cut = array.reshape(*array.shape[:-1], REPLICATES_PER_CELL, self.arm.shape[1])
        return cut[..., kept, :]


def draw_plain(
    model: PlainModel,
    scenario: TrialScenario,
    root: np.random.SeedSequence,
    *,
    first: int,
    last: int,
    arm: np.ndarray | None,
) -> TrialArrays:
    """Draw replicates of a plain model.

    Parameters
    ----------
    model : PlainModel
        The plan.
    scenario : TrialScenario
        What it was read from.
    root : numpy.random.SeedSequence
        From the seed.
    first, last : int
        First replicate, and the one after the last.
    arm : ndarray of int, shape (n_replicates, n_subjects), or None
        Who is in which arm (-1: nobody has this place); by chance where None.

    Returns
    -------
    TrialArrays
        Of these replicates.
    """
    store = _store(scenario, last - first, arm)
    purposes = (*model.purposes, *follow_up_purposes(scenario))
    if arm is None:
        purposes = (*purposes, "arm")
    for streams, kept, place in _cells(root, first, last, purposes):
        if arm is None:
            uniform = streams["arm"].random((REPLICATES_PER_CELL, store.arm.shape[1]))
            store.arm[place] = choose_arms(scenario, uniform)[kept]
        _fill_cell(model, scenario, store, (streams, kept, place))
    is_empty = store.arm < 0
    if is_empty.any():
        for values in store.values.values():
            values[is_empty] = np.nan
    return TrialArrays(
        arms=tuple(each.name for each in scenario.arms),
        weeks=tuple(scenario.schedule.weeks),
        **vars(store),
    )


def _store(scenario: TrialScenario, n_replicates: int, arm: np.ndarray | None) -> _Store:
    """Make room for all replicates."""
    shape = (n_replicates, scenario.accrual.n_subjects)
    full = (*shape, len(scenario.schedule.weeks))
    moves = "days" in follow_up_purposes(scenario)
    planned = 7.0 * np.array(scenario.schedule.weeks, dtype=float)
    return _Store(
        values={name: np.empty(full) for name in scenario.measures},
        baseline={},
        intercurrent={event.name: np.empty(shape) for event in scenario.intercurrent},
        arm=np.empty(shape, dtype=np.int64) if arm is None else arm,
        day=np.empty(full) if moves else planned[None, None],
        exit_day=np.empty(shape),
        exit_reason=np.empty(shape, dtype=np.int8),
        stop_day=np.full(shape, np.inf),
    )


def _cells(
    root: np.random.SeedSequence, first: int, last: int, purposes: tuple[str, ...]
) -> Iterator[_Place]:
    """Iterate over cells: the generator of every purpose, and which replicates are kept where."""
    cells = [replicate_cells(root, first, last, "trial", purpose) for purpose in purposes]
    for parts in zip(*cells, strict=True):
        streams = {name: part[0] for name, part in zip(purposes, parts, strict=True)}
        yield streams, parts[0][1], parts[0][2]


def _fill_cell(model: PlainModel, scenario: TrialScenario, store: _Store, place: _Place) -> None:
    """Draw one cell, take away what is not seen, and store what was asked for."""
    streams, kept, where = place
    arm = np.zeros((REPLICATES_PER_CELL, store.arm.shape[1]), dtype=np.int64)
    np.maximum(store.arm[where], 0, out=arm[kept])
    arm = arm.ravel()
    stops = draw_stops(scenario, streams, arm)
    day = draw_days(scenario, streams, len(arm))
    cell = Cell(
        streams=streams, arm=arm, day=day, year=day / DAYS_PER_YEAR, stop_year=stops.effect_year
    )
    drawn = model.draw(cell)
    attended = draw_attended(scenario, streams, cell.shape)
    prone = None
    if "dropout" in streams and _depends(scenario):
        prone = prone_to_leave(scenario, model.worse(drawn), attended.visits)
    follow_up = draw_follow_up(
        scenario, streams, day, n_subjects=len(arm), prone=prone, seen_until=stops.seen_until
    )
    for name in scenario.measures:
        seen = attended.scans if name in model.scans else attended.visits
        path = _seen(model, drawn.values[name], day, follow_up, seen)
        store.values[name][where] = np.moveaxis(store.keep(path, kept), 0, -1)
    _store_follow_up(store, follow_up, stops, (kept, where))
    _store_baseline(model, store, drawn, follow_up, _Seen(day, attended, (kept, where)))
    if store.day.shape[0] != 1 or store.day.shape[1] != 1:
        store.day[where] = np.moveaxis(store.keep(day, kept), 0, -1)


def _depends(scenario: TrialScenario) -> bool:
    """Say whether leaving depends on how a subject does."""
    return scenario.dropout.mechanism != "mcar" and scenario.dropout.log_hazard != 0


@dataclass(frozen=True)
class _Seen:
    """When a cell is seen, and where it is stored."""

    day: np.ndarray
    attended: Attended
    place: tuple[slice, slice]


def _seen(
    model: PlainModel,
    path: np.ndarray,
    day: np.ndarray,
    follow_up: FollowUp,
    attended: np.ndarray | None,
) -> np.ndarray:
    """Take away what is not seen, in place; counts go on to the next visit that takes place."""
    waiting = np.zeros(path.shape[1])
    for k, row in enumerate(path):
        gone = follow_up.exit_day < day[k]
        if attended is not None:
            gone |= ~attended[k]
        if model.accumulates:
            waiting += row
            row[:] = waiting
            waiting[~gone] = 0.0
            gone |= k == 0
        row[gone] = np.nan
    return path


def _store_follow_up(
    store: _Store, follow_up: FollowUp, stops: Stops, place: tuple[slice, slice]
) -> None:
    """Store exits and intercurrent events; what would come after the exit does not happen."""
    kept, where = place
    store.exit_day[where] = store.keep(follow_up.exit_day, kept)
    store.exit_reason[where] = store.keep(follow_up.reason, kept)
    for name, day in stops.events.items():
        happened = np.where(day <= follow_up.exit_day, day, np.inf)
        store.intercurrent[name][where] = store.keep(happened, kept)
        np.minimum(
            store.stop_day[where], store.intercurrent[name][where], out=store.stop_day[where]
        )


def _store_baseline(
    model: PlainModel, store: _Store, drawn: Drawn, follow_up: FollowUp, seen: _Seen
) -> None:
    """Store what is known at entry, and the days of events up to exit."""
    kept, where = seen.place
    found = dict(drawn.baseline)
    if drawn.event_day is not None:
        day = drawn.event_day
        if model.detected_at_visits:
            day = _detected(day, seen.day, seen.attended.visits)
        found["event_day"] = np.where(day <= follow_up.exit_day, day, np.inf)
    for name, values in found.items():
        room = store.baseline.setdefault(name, np.empty(store.exit_day.shape))
        room[where] = store.keep(values, kept)


def _detected(event_day: np.ndarray, day: np.ndarray, visits: np.ndarray | None) -> np.ndarray:
    """Date events to the first visit after them that is not missed."""
    detected = np.full(len(event_day), np.inf)
    for k in range(len(day) - 1, -1, -1):
        shows = event_day <= day[k]
        if visits is not None:
            shows &= visits[k]
        detected = np.where(shows, day[k], detected)
    return detected
