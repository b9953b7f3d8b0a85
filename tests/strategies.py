"""Hypothesis strategies: valid cohorts, and cohorts that are broken in one known way."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import strategies as st

from pmsstats.cohort.cohort import Cohort

VISIT_GAP_DAYS = 84


@dataclass(frozen=True)
class Tables:
    """The four tables of a cohort as a user hands them in."""

    subjects: pd.DataFrame
    visits: pd.DataFrame
    relapses: pd.DataFrame
    exits: pd.DataFrame

    def frames(self) -> tuple[pd.DataFrame, ...]:
        """Return the tables in the order of the arguments of `Cohort`."""
        return self.subjects, self.visits, self.relapses, self.exits

    def cohort(self, **kws: Any) -> Cohort:
        """Make the cohort."""
        return Cohort(*self.frames(), **kws)

    def replace(self, **changes: pd.DataFrame) -> Tables:
        """Return a copy with some tables replaced."""
        return dataclasses.replace(self, **changes)


@dataclass(frozen=True)
class BrokenTables:
    """Tables that break one rule in known rows."""

    tables: Tables
    rule: str
    table: str
    rows: frozenset[int]


def subject_ids(min_size: int = 3, max_size: int = 7) -> st.SearchStrategy[list[str]]:
    """Draw distinct ids."""
    numbers = st.lists(st.integers(1, 999), min_size=min_size, max_size=max_size, unique=True)
    return numbers.map(lambda drawn: [f"S{i:03d}" for i in drawn])


def _varying(draw: st.DrawFn, low: float, high: float, step: float, n: int) -> np.ndarray:
    """Draw values in steps; neighbours differ, so that no part of a table is constant."""
    half = int((high - low) / step) // 2
    steps = np.array(draw(st.lists(st.integers(0, half - 1), min_size=n, max_size=n)))
    return np.round(low + step * (steps + half * (np.arange(n) % 2)), 6)


@st.composite
def visit_tables(draw: st.DrawFn, ids: list[str]) -> pd.DataFrame:
    """Draw the visits of some subjects: two to five each, the first on day 0."""
    n_visits = draw(st.lists(st.integers(2, 5), min_size=len(ids), max_size=len(ids)))
    total = sum(n_visits)
    number = np.concatenate([np.arange(n) for n in n_visits])
    shift = draw(st.lists(st.integers(-14, 14), min_size=total, max_size=total))
    missing = draw(st.lists(st.booleans(), min_size=total, max_size=total))
    missing[:2] = [False, False]  # keeps two values, which differ
    walk = np.where(missing, np.nan, _varying(draw, 5, 9, 0.01, total))
    return pd.DataFrame(
        {
            "subject_id": np.repeat(ids, n_visits).astype(object),
            "day": number * VISIT_GAP_DAYS + np.where(number > 0, shift, 0),
            "edss": _varying(draw, 2, 7, 0.5, total),
            "thalamus_ml": _varying(draw, 12, 16, 0.01, total),
            "t25fw_s": walk,
        }
    )


@st.composite
def valid_tables(draw: st.DrawFn) -> Tables:
    """Draw tables that break no rule, not even one of severity "warning"."""
    ids = draw(subject_ids())
    visits = draw(visit_tables(ids))
    last = visits.groupby("subject_id")["day"].max()
    arms = ["Placebo", "Active", *draw(_choices(["Placebo", "Active"], len(ids) - 2))]
    subjects = pd.DataFrame(
        {
            "subject_id": ids,
            "arm": arms,
            "phenotype": draw(_choices(["SPMS", "PPMS"], len(ids))),
            "sex": draw(_choices(["F", "M"], len(ids))),
            "age_years": draw(st.lists(st.integers(18, 70), min_size=len(ids), max_size=len(ids))),
        }
    )
    relapse_days = draw(
        st.lists(
            st.tuples(st.sampled_from(ids), st.integers(-2000, VISIT_GAP_DAYS - 14)),
            max_size=4,
            unique=True,
        )
    )
    relapses = pd.DataFrame(relapse_days, columns=["subject_id", "day"])
    leaving = ids[: draw(st.integers(0, len(ids)))]
    exits = pd.DataFrame(
        {
            "subject_id": leaving,
            "day": [int(last[i]) for i in leaving],
            "reason": draw(_choices(["completed", "dropout", "death"], len(leaving))),
        }
    )
    return Tables(subjects, visits, relapses, exits)


def _choices(options: list[str], n: int) -> st.SearchStrategy[list[str]]:
    """Draw `n` labels."""
    return st.lists(st.sampled_from(options), min_size=n, max_size=n)


valid_cohorts = valid_tables().map(lambda tables: tables.cohort())
"""Cohorts without any issue."""


Breaker = Callable[[Tables, int], tuple[Tables, set[int]]]


def _set(table: str, column: str, value: Any) -> Breaker:
    """Return a breaker that overwrites one value."""

    def apply(tables: Tables, at: int) -> tuple[Tables, set[int]]:
        frame = getattr(tables, table).copy()
        row = at % len(frame)
        frame[column] = frame[column].astype(object)
        frame.loc[row, column] = value
        return tables.replace(**{table: frame}), {row}

    return apply


def _append(frame: pd.DataFrame, row: dict[str, Any]) -> pd.DataFrame:
    """Return the frame with one row more; what is not given is copied from the first row."""
    new = pd.DataFrame([{**frame.iloc[0].to_dict(), **row}], columns=frame.columns)
    return pd.concat([frame.astype(object), new.astype(object)], ignore_index=True)


def _repeat_day(tables: Tables, at: int) -> tuple[Tables, set[int]]:
    """Move a visit to the day of the subject's visit before it."""
    visits = tables.visits.copy()
    later = visits.index[visits["subject_id"].duplicated()]
    row = int(later[at % len(later)])
    visits.loc[row, "day"] = visits.loc[row - 1, "day"]
    return tables.replace(visits=visits, exits=tables.exits.iloc[:0]), {row - 1, row}


def _repeat_label(tables: Tables, at: int) -> tuple[Tables, set[int]]:
    """Label a visit like the subject's visit before it."""
    visits = tables.visits.copy()
    visits["visit"] = [f"W{n}" for n in visits.groupby("subject_id").cumcount()]
    later = visits.index[visits["subject_id"].duplicated()]
    row = int(later[at % len(later)])
    visits.loc[row, "visit"] = visits.loc[row - 1, "visit"]
    return tables.replace(visits=visits), {row - 1, row}


def _move_visit(day: int) -> Breaker:
    """Return a breaker that gives a subject one more visit, on this day."""

    def apply(tables: Tables, at: int) -> tuple[Tables, set[int]]:
        subject = tables.visits["subject_id"].iloc[at % len(tables.visits)]
        visits = _append(tables.visits, {"subject_id": subject, "day": day})
        return tables.replace(visits=visits, exits=tables.exits.iloc[:0]), {len(visits) - 1}

    return apply


def _visit_after_exit(tables: Tables, at: int) -> tuple[Tables, set[int]]:
    """Let a subject leave the day before the last visit."""
    subject = tables.visits["subject_id"].iloc[at % len(tables.visits)]
    last = tables.visits.loc[tables.visits["subject_id"] == subject, "day"].idxmax()
    day = int(tables.visits.loc[last, "day"]) - 1
    exits = pd.DataFrame({"subject_id": [subject], "day": [day], "reason": ["death"]})
    return tables.replace(exits=exits), {int(last)}


def _unknown_visit(tables: Tables, at: int) -> tuple[Tables, set[int]]:
    """Take one subject out of the subjects table only."""
    known = tables.subjects["subject_id"].tolist()
    subject = known[2 + at % (len(known) - 2)]  # the first two keep both arms in the table
    rows = tables.visits.index[tables.visits["subject_id"] == subject]
    return (
        tables.replace(
            subjects=tables.subjects[tables.subjects["subject_id"] != subject],
            relapses=tables.relapses.iloc[:0],
            exits=tables.exits.iloc[:0],
        ),
        set(rows),
    )


def _no_visits(tables: Tables, at: int) -> tuple[Tables, set[int]]:
    """Add a subject who has no visit."""
    del at
    subjects = _append(tables.subjects, {"subject_id": "T001"})
    return tables.replace(subjects=subjects), {len(subjects) - 1}


def _second_subject_row(column: str | None) -> Breaker:
    """Return a breaker that repeats a subject's row, changed in one column if one is named."""

    def apply(tables: Tables, at: int) -> tuple[Tables, set[int]]:
        row = at % len(tables.subjects)
        copied = tables.subjects.iloc[row].to_dict()
        changed = (
            {} if column is None else {column: {"Placebo": "Active"}.get(copied[column], "Placebo")}
        )
        subjects = _append(tables.subjects, {**copied, **changed})
        last = len(subjects) - 1
        return tables.replace(subjects=subjects), {last} if column is None else {row, last}

    return apply


def _second_exit(tables: Tables, at: int) -> tuple[Tables, set[int]]:
    """Let a subject leave twice."""
    subject = tables.subjects["subject_id"].iloc[at % len(tables.subjects)]
    exits = pd.DataFrame(
        {"subject_id": [subject] * 2, "day": [3000, 3001], "reason": ["dropout", "death"]}
    )
    return tables.replace(exits=exits), {0, 1}


def _one_exit(**changes: Any) -> Breaker:
    """Return a breaker that leaves a single, wrong exit."""

    def apply(tables: Tables, at: int) -> tuple[Tables, set[int]]:
        subject = tables.subjects["subject_id"].iloc[at % len(tables.subjects)]
        row = {"subject_id": subject, "day": 3000, "reason": "dropout", **changes}
        return tables.replace(exits=pd.DataFrame([row])), {0}

    return apply


def _second_relapse(tables: Tables, at: int) -> tuple[Tables, set[int]]:
    """Enter a relapse twice."""
    subject = tables.subjects["subject_id"].iloc[at % len(tables.subjects)]
    relapses = pd.DataFrame({"subject_id": [subject] * 2, "day": [-300, -300]})
    return tables.replace(relapses=relapses), {0, 1}


def _relapse_after_exit(tables: Tables, at: int) -> tuple[Tables, set[int]]:
    """Enter a relapse after the subject left."""
    subject = tables.subjects["subject_id"].iloc[at % len(tables.subjects)]
    return (
        tables.replace(
            relapses=pd.DataFrame({"subject_id": [subject], "day": [3001]}),
            exits=pd.DataFrame({"subject_id": [subject], "day": [3000], "reason": ["dropout"]}),
        ),
        {0},
    )


def _one_visit(tables: Tables, at: int) -> tuple[Tables, set[int]]:
    """Leave a subject the first visit only."""
    ids = tables.subjects["subject_id"].tolist()
    subject = ids[1 + at % (len(ids) - 1)]  # the first subject's visits keep measures varying
    later = (tables.visits["subject_id"] == subject) & tables.visits["subject_id"].duplicated()
    visits = tables.visits[~later]
    first = visits.index[visits["subject_id"] == subject]
    return tables.replace(visits=visits), set(first)


def _no_baseline(tables: Tables, at: int) -> tuple[Tables, set[int]]:
    """Shift a subject's visits past baseline."""
    subject = tables.subjects["subject_id"].iloc[at % len(tables.subjects)]
    visits = tables.visits.copy()
    own = visits["subject_id"] == subject
    visits.loc[own, "day"] += 8
    return (
        tables.replace(visits=visits, exits=tables.exits.iloc[:0]),
        {int(visits.index[own][0])},
    )


def _decimal_slip(tables: Tables, at: int) -> tuple[Tables, set[int]]:
    """Lose the decimal point of one of a subject's four walks."""
    subject = tables.subjects["subject_id"].iloc[at % len(tables.subjects)]
    others = tables.visits[tables.visits["subject_id"] != subject]
    walks = pd.DataFrame(
        {
            "subject_id": subject,
            "day": [0, 80, 160, 240],
            "edss": 4.0,
            "thalamus_ml": 14.0,
            "t25fw_s": [6.1, 6.3, 62.0, 6.2],
        }
    )
    visits = pd.concat([others, walks], ignore_index=True)
    return (
        tables.replace(visits=visits, exits=tables.exits.iloc[:0]),
        {len(others) + 2},
    )


BREAKERS: dict[str, tuple[str, str, Breaker]] = {
    "EDSS 0.5": ("illegal_value", "visits", _set("visits", "edss", 0.5)),
    "EDSS 4.3": ("illegal_value", "visits", _set("visits", "edss", 4.3)),
    "EDSS 11": ("illegal_value", "visits", _set("visits", "edss", 11)),
    "EDSS -1": ("illegal_value", "visits", _set("visits", "edss", -1)),
    "negative volume": ("impossible_value", "visits", _set("visits", "thalamus_ml", -3.0)),
    "tiny volume": ("implausible_value", "visits", _set("visits", "thalamus_ml", 4.2)),
    "text in a measure": ("not_a_number", "visits", _set("visits", "thalamus_ml", "12,4")),
    "true in a measure": ("not_a_number", "visits", _set("visits", "thalamus_ml", value=True)),
    "infinite measure": ("infinite_value", "visits", _set("visits", "thalamus_ml", np.inf)),
    "infinite text": ("infinite_value", "visits", _set("visits", "thalamus_ml", "-inf")),
    "infinite covariate": ("infinite_value", "subjects", _set("subjects", "age_years", np.inf)),
    "odd phenotype": ("phenotype_spelling", "subjects", _set("subjects", "phenotype", "spms ")),
    "impossible age": ("impossible_age", "subjects", _set("subjects", "age_years", 1971)),
    "missing day": ("missing_day", "visits", _set("visits", "day", None)),
    "half a day": ("fractional_day", "visits", _set("visits", "day", 30.5)),
    "infinite day": ("infinite_value", "visits", _set("visits", "day", np.inf)),
    "text as day": ("not_a_number", "visits", _set("visits", "day", "week 12")),
    "date as number": ("day_out_of_range", "visits", _set("visits", "day", 20200131)),
    "spreadsheet date": ("day_out_of_range", "visits", _set("visits", "day", 43861)),
    "day beyond 32 bits": ("day_out_of_range", "visits", _set("visits", "day", 2**40)),
    "no id": ("missing_subject_id", "visits", _set("visits", "subject_id", None)),
    "blank id": ("missing_subject_id", "visits", _set("visits", "subject_id", "  ")),
    "two visits on a day": ("duplicate_visit", "visits", _repeat_day),
    "label twice": ("duplicate_visit_label", "visits", _repeat_label),
    "screening": ("screening_visit", "visits", _move_visit(-28)),
    "long before baseline": ("visit_before_baseline", "visits", _move_visit(-91)),
    "visit after exit": ("after_exit", "visits", _visit_after_exit),
    "relapse after exit": ("after_exit", "relapses", _relapse_after_exit),
    "unknown subject": ("unknown_subject", "visits", _unknown_visit),
    "no visits": ("subject_without_visits", "subjects", _no_visits),
    "subject twice": ("duplicate_subject", "subjects", _second_subject_row(None)),
    "two arms": ("varying_subject_column", "subjects", _second_subject_row("arm")),
    "two exits": ("several_exits", "exits", _second_exit),
    "exit too early": ("exit_before_baseline", "exits", _one_exit(day=-1)),
    "no reason": ("missing_exit_reason", "exits", _one_exit(reason=None)),
    "relapse twice": ("duplicate_relapse", "relapses", _second_relapse),
    "one visit": ("one_visit", "visits", _one_visit),
    "no baseline": ("no_baseline_visit", "visits", _no_baseline),
    "lost decimal point": ("decimal_slip", "visits", _decimal_slip),
}
"""Ways to break a cohort: the rule that reports it, the table in which, and how it is done."""

SIDE_EFFECTS: dict[str, frozenset[str]] = {
    "exit too early": frozenset({"after_exit"}),  # all visits then lie after it
}
"""Rules that a breakage also breaks, of necessity."""


def broken_tables(name: str) -> st.SearchStrategy[BrokenTables]:
    """Draw tables that are broken in one way, at a drawn place."""
    rule, table, apply = BREAKERS[name]

    def break_them(tables: Tables, at: int) -> BrokenTables:
        broken, rows = apply(tables, at)
        return BrokenTables(broken, rule, table, frozenset(rows))

    return st.builds(break_them, valid_tables(), st.integers(0, 1000))
