"""Who has which event when, under every definition, as arrays."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pmsstats.cohort import Cohort
from pmsstats.endpoints import ProgressionRule, derive_endpoint
from pmsstats.endpoints.engine.rule_scan import progression_arrays
from pmsstats.endpoints.engine.visit_table import VisitTable, prepare
from pmsstats.errors import DesignError, SchemaError
from pmsstats.multiverse.choices import first_twins
from pmsstats.multiverse.threads import in_threads
from pmsstats.seeds import Seed

__all__ = ["EventTables", "OnMissing", "derive_event_tables"]

OnMissing = Literal["raise", "leave_out"]


@dataclass(frozen=True, kw_only=True, eq=False)
class EventTables:
    """Time to event of every subject under every definition.

    Parameters
    ----------
    subject_ids : ndarray of str, shape (n_subjects,)
        Columns of the arrays.
    at_risk : ndarray of bool, shape (n_rules, n_subjects)
        Whether the subject can be assessed under the definition.
    event : ndarray of bool, shape (n_rules, n_subjects)
        True where the event happened; False for subjects not at risk.
    duration : ndarray of int32, shape (n_rules, n_subjects), days
        From time zero to event or censoring; 0 for subjects not at risk.
    problems : tuple of str, length n_rules
        Why the definition could not be derived from the data; empty where it was.
    """

    subject_ids: NDArray[np.str_]
    at_risk: NDArray[np.bool_]
    event: NDArray[np.bool_]
    duration: NDArray[np.int32]
    problems: tuple[str, ...]

    def select(self, rows: NDArray[np.int64]) -> EventTables:
        """Return the tables of some definitions.

        Parameters
        ----------
        rows : ndarray of int
            Which, and in which order.

        Returns
        -------
        EventTables
            Of the same subjects.
        """
        return EventTables(
            subject_ids=self.subject_ids,
            at_risk=self.at_risk[rows],
            event=self.event[rows],
            duration=self.duration[rows],
            problems=tuple(self.problems[i] for i in rows),
        )

    def first_equal(self) -> NDArray[np.int64]:
        """Find definitions that gave the same table.

        Returns
        -------
        ndarray of int, shape (n_rules,)
            For each definition the first one with an identical table: itself, or an earlier one.
        """
        seen: dict[bytes, int] = {}
        rows = zip(self.at_risk, self.event, self.duration, strict=True)
        digests = (hashlib.sha256(b"".join(a.tobytes() for a in row)).digest() for row in rows)
        return np.array([seen.setdefault(d, i) for i, d in enumerate(digests)], dtype=np.int64)


_Row = tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.integer[Any]]]


def derive_event_tables(
    cohort: Cohort,
    rules: Sequence[Any],
    subject_ids: NDArray[np.str_],
    *,
    seed: Seed | None = None,
    n_jobs: int = 1,
    on_missing: OnMissing = "raise",
) -> EventTables:
    """Derive every definition on the same subjects.

    Parameters
    ----------
    cohort : Cohort
        The data.
    rules : sequence of rule
        The definitions.
    subject_ids : ndarray of str, shape (n_subjects,)
        Whom to keep, and in which order.
    seed : int, SeedSequence or Generator, optional
        For definitions that draw whether a change at the last visit is taken as confirmed.
    n_jobs : int, default 1
        Threads; results do not depend on it.
    on_missing : {"raise", "leave_out"}
        What becomes of definitions that cannot be derived from these data: the first of them is
        an error, or nobody is at risk under them and `problems` says why.

    Returns
    -------
    EventTables
        Subjects without any follow-up (duration 0) count as not at risk.

    Raises
    ------
    SchemaError
        If the cohort lacks a measure or column that a definition names.
    DesignError
        If no definition has anybody at risk, or one needs a seed.

    Notes
    -----
    The visits of each measure are turned to arrays once; progression rules read them without
    making tables. Other rules, and those that draw, are derived one by one. Definitions that are
    the same but for their words are derived once, so that they draw the same.
    """
    distinct, twin = np.unique(first_twins(rules), return_inverse=True)
    derive = _deriver(cohort, rules, subject_ids, seed)

    def derive_or_say_why(rule: Any) -> tuple[_Row, str]:
        try:
            return derive(rule), ""
        except (SchemaError, DesignError) as exc:
            if on_missing == "raise" or _needs_seed(rule, seed):
                raise
            nobody = np.zeros(len(subject_ids), dtype=bool)
            return (nobody, nobody, nobody.astype(np.int32)), str(exc)

    found = in_threads(derive_or_say_why, [rules[i] for i in distinct], n_jobs)
    at_risk, event, duration = (np.array(p) for p in zip(*(row for row, _ in found), strict=True))
    problems = tuple(problem for _, problem in found)
    tables = EventTables(
        subject_ids=subject_ids, at_risk=at_risk, event=event, duration=duration, problems=problems
    )
    _require_somebody(tables, rules)
    return tables.select(twin.ravel())


def _deriver(
    cohort: Cohort, rules: Sequence[Any], subject_ids: NDArray[np.str_], seed: Seed | None
) -> Callable[[Any], _Row]:
    """Prepare the visits of each measure; return what derives one definition."""
    present = {measure.name for measure in cohort.measures}
    outcomes = {rule.outcome for rule in rules if _is_light(rule)} & present
    prepared = {outcome: prepare(cohort, outcome) for outcome in sorted(outcomes)}
    keep = pd.Index(cohort.subjects["subject_id"]).get_indexer(pd.Index(subject_ids))

    def derive(rule: Any) -> _Row:
        light = _is_light(rule)
        row = _light(cohort, prepared, rule) if light else _table(cohort, rule, seed)
        return _followed(*(values[keep] for values in row))

    return derive


def _require_somebody(tables: EventTables, rules: Sequence[Any]) -> None:
    """Refuse definitions under which nobody can be assessed, whichever is taken."""
    if tables.at_risk.any():
        return
    why = next((f" The first says: {problem}" for problem in tables.problems if problem), "")
    raise DesignError(
        f"Nobody is at risk under any of the {len(rules)} definitions. Check that their "
        "measures are filled in and that day 0 is baseline; derive_endpoint(cohort, "
        f"{rules[0].name!r}) says for one definition who is left out and why.{why}"
    )


def _needs_seed(rule: Any, seed: Seed | None) -> bool:
    """Say whether a rule, or a part of it, draws, but there is no seed."""
    parts = (rule, *getattr(rule, "parts", ()))
    draws = any(0 < getattr(part, "impute_last_visit", 0) < 1 for part in parts)
    nested = (part for part in parts[1:] if hasattr(part, "parts"))
    return seed is None and (draws or any(_needs_seed(part, seed) for part in nested))


def _is_light(rule: Any) -> bool:
    """Say whether the engine can derive a rule on arrays, without drawing."""
    return isinstance(rule, ProgressionRule) and rule.impute_last_visit in (0, 1)


def _light(cohort: Cohort, prepared: Mapping[str, VisitTable], rule: ProgressionRule) -> _Row:
    """Derive a progression rule on arrays."""
    cohort.measure(rule.outcome)
    found = progression_arrays(prepared[rule.outcome], rule)
    return found.at_risk, found.event, found.duration


def _table(cohort: Cohort, rule: Any, seed: Seed | None) -> _Row:
    """Derive any rule as a table, and lay it out over all subjects."""
    events = derive_endpoint(cohort, rule, seed=seed).table()
    ids = cohort.subjects["subject_id"]
    where = pd.Index(ids).get_indexer(events["subject_id"])
    at_risk, event = np.zeros(len(ids), dtype=bool), np.zeros(len(ids), dtype=bool)
    duration = np.zeros(len(ids), dtype=np.int64)
    at_risk[where] = True
    event[where] = events["event"].to_numpy(dtype=bool)
    duration[where] = events["duration"].to_numpy(dtype=np.int64)
    return at_risk, event, duration


def _followed(
    at_risk: NDArray[np.bool_], event: NDArray[np.bool_], duration: NDArray[np.integer[Any]]
) -> _Row:
    """Keep those with follow-up, and blank what is undefined for the others."""
    followed = at_risk & (duration > 0)
    return followed, event & followed, np.where(followed, duration, 0).astype(np.int32)
