"""Until when each subject is known to be free of an event, whatever could not be assessed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pmsstats.cohort import Cohort
from pmsstats.endpoints.definitions.composite_rule import CompositeRule, PartRule
from pmsstats.endpoints.derivation.composite import derive_part, missing_reasons, spread
from pmsstats.endpoints.derivation.time_to_event import UNCONFIRMED
from pmsstats.results import Exclusion
from pmsstats.seeds import as_seed_sequence, stream

if TYPE_CHECKING:
    from pmsstats.seeds import Seed

__all__ = ["KnownTimes", "known_times"]

FloatArray = NDArray[np.float64]
TextArray = NDArray[np.object_]

_SEEN_LATER = "seen only later, not assessed in between"
_ENDED = "assessment ended before"


@dataclass(frozen=True, kw_only=True, eq=False)
class KnownTimes:
    """What is known of an event; shapes (n_subjects,), study days.

    Parameters
    ----------
    rule : rule
        The event.
    definition : str
        As a paragraph.
    event_day : ndarray of float
        Day on which it was seen to happen; infinite where it was not.
    free_until : ndarray of float
        Last day up to which it is known not to have happened: of the last assessment that did not
        show it; minus infinity where it was not assessed.
    seen_until : ndarray of float
        Day of the event, else of the last assessment, whatever that showed; minus infinity where
        it was not assessed.
    day_zero : ndarray of float
        From when time runs: the latest baseline of the parts that were assessed; 0 without any.
    missing : ndarray of object
        Why it was not assessed; empty where it was, and for composites, whose parts say it.
    parts : tuple of KnownTimes
        Of a composite.
    exclusions : tuple of Exclusion
        Visits and rows that were not used.
    """

    rule: PartRule
    definition: str
    event_day: FloatArray
    free_until: FloatArray
    seen_until: FloatArray
    day_zero: FloatArray
    missing: TextArray
    parts: tuple[KnownTimes, ...] = ()
    exclusions: tuple[Exclusion, ...] = ()

    def why_unknown(self, until: FloatArray) -> TextArray:
        """Say what was not assessed for so long, in subjects without the event.

        Parameters
        ----------
        until : ndarray of float, shape (n_subjects,)
            Study day.

        Returns
        -------
        ndarray of object
            Of a composite, the names of its parts, and why each was not assessed.
        """
        if not self.parts:
            between = np.where(np.isfinite(self.event_day), _SEEN_LATER, UNCONFIRMED)
            reason = np.where(until <= self.seen_until, between, _ENDED)
            return np.where(self.missing == "", reason, self.missing)
        text = np.full(len(self.missing), "", dtype=object)
        for part in self.parts:
            lacking = (part.event_day > until) & (part.free_until < until)
            more = np.where(text == "", "", "; ") + f"{part.rule.name}: " + part.why_unknown(until)
            text = np.where(lacking, text + more, text)
        return text


def known_times(cohort: Cohort, rule: PartRule, *, seed: Seed | None = None) -> KnownTimes:
    """Find what is known of an event, for every subject of a cohort.

    Parameters
    ----------
    cohort : Cohort
        With what the rule needs.
    rule : rule
        The event.
    seed : int, numpy.random.SeedSequence or numpy.random.Generator, optional
        For rules that draw at random.

    Returns
    -------
    KnownTimes
        In the order of the subjects table.

    Raises
    ------
    SchemaError
        If the cohort lacks a measure or column.
    DesignError
        If nobody can be assessed for a part.

    Notes
    -----
    Of a composite of which k parts are required, the event day is the k-th smallest of those of
    its parts. It is known not to have happened up to the k-th smallest of the days up to which
    its parts are. For a part that is the day of the last assessment without it (the day before
    the event, if that was seen exactly): a lesion on a scan may have come at any time since the
    scan before, and a change at the last visit that nobody could confirm may be the event. A part
    that was not assessed is not known to be free on any day.
    """
    if not isinstance(rule, CompositeRule):
        return _of_one_event(cohort, rule, seed)
    root = None if seed is None else as_seed_sequence(seed)
    parts = tuple(
        known_times(cohort, part, seed=None if root is None else stream(root, "part", part.name))
        for part in rule.parts
    )
    happened = np.column_stack([part.event_day for part in parts])
    free = np.column_stack([part.free_until for part in parts])
    k = rule.n_required - 1
    assessed = np.column_stack([np.isfinite(part.free_until) for part in parts])
    zeros = np.column_stack([part.day_zero for part in parts])
    zero = np.where(assessed, zeros, -np.inf).max(axis=1)
    seen = np.column_stack([part.seen_until for part in parts])
    return KnownTimes(
        rule=rule,
        definition=rule.describe(tuple(part.definition for part in parts)),
        event_day=np.sort(happened, axis=1)[:, k],
        free_until=np.sort(free, axis=1)[:, k],
        seen_until=np.sort(seen, axis=1)[:, k],
        day_zero=np.where(np.isfinite(zero), zero, 0),
        missing=np.full(len(free), "", dtype=object),
        parts=parts,
        exclusions=tuple(entry for part in parts for entry in part.exclusions),
    )


def _of_one_event(cohort: Cohort, rule: PartRule, seed: Seed | None) -> KnownTimes:
    """Take from an endpoint what is known of it."""
    ids = pd.Index(cohort.subjects["subject_id"])
    result = derive_part(cohort, rule, seed)
    events = result.events
    rows, n = ids.get_indexer(events["subject_id"]), len(ids)
    baseline = events["day_baseline"].to_numpy(dtype=float)
    day = baseline + events["duration"].to_numpy(dtype=float)
    happened = events["event"].to_numpy()
    free = baseline + events["interval_left"].to_numpy(dtype=float)
    return KnownTimes(
        rule=rule,
        definition=result.definition,
        event_day=spread(np.where(happened, day, np.inf), rows, n, np.inf),
        free_until=spread(np.where(happened, np.minimum(free, day - 1), free), rows, n, -np.inf),
        seen_until=spread(day, rows, n, -np.inf),
        day_zero=spread(baseline, rows, n, 0.0),
        missing=missing_reasons(result, ids),
        exclusions=tuple(e for e in result.exclusions if e.unit != "subject"),
    )
