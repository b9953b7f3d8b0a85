"""The oracle of confirmed change: every subject of a cohort, slowly and exactly, under any rule.

The search itself is in `oracle_walk.py`; here cohorts become exact rows, and rows days.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from endpoints.oracle_patients import Base, Found, Patient, exact
from endpoints.oracle_walk import Walk

from pmsstats.cohort import Cohort
from pmsstats.endpoints.definitions.progression_rule import ProgressionRule
from pmsstats.endpoints.definitions.thresholds import LevelThreshold

Row = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Everything about one subject, in days; `why_not` says why it is not at risk."""

    why_not: str = ""
    duration: int | None = None
    event: bool = False
    interval: tuple[float, float] | None = None
    day_baseline: int | None = None
    baseline_value: float | None = None
    unconfirmed: bool = False
    wanted: dict | None = None
    episodes: list[dict] = field(default_factory=list)


def derive(
    cohort: Cohort,
    rule: ProgressionRule,
    *,
    imputes: Callable[[str], bool] | None = None,
) -> dict[str, Answer]:
    """Answer for every subject. `imputes` draws for each; by default all do that may."""
    reasons = cohort.exits.set_index("subject_id")["reason"].astype(str)
    draw = imputes or (lambda subject: rule.impute_last_visit > 0)
    allowed = set(reasons.index[reasons.isin(rule.impute_reasons)])
    worsening = cohort.dictionary[rule.outcome].worsening
    worse = {"higher": "increase", "lower": "decrease"}.get(worsening, rule.direction)
    visits: dict[str, list[Row]] = {subject: [] for subject in cohort.subjects["subject_id"]}
    relapses: dict[str, list[int]] = {subject: [] for subject in visits}
    for row in cohort.visits.to_dict("records"):
        visits[row["subject_id"]].append(row)
    for row in cohort.relapses.to_dict("records"):
        relapses[row["subject_id"]].append(int(row["day"]))
    return {
        subject: answer(
            rows,
            relapses[subject],
            rule,
            worse=1 if worse == rule.direction else -1,
            imputes=draw(subject) and (subject in allowed or not rule.impute_reasons),
        )
        for subject, rows in visits.items()
    }


def answer(
    visits: Sequence[Row],
    relapses: Sequence[int],
    rule: ProgressionRule,
    *,
    worse: int,
    imputes: bool,
) -> Answer:
    """Answer for one subject."""
    patient = patient_of(visits, relapses, rule)
    if patient is None:
        return Answer(why_not="no baseline")
    return search(patient, rule, worse=worse, imputes=imputes)


def search(
    patient: Patient,
    rule: ProgressionRule,
    *,
    worse: int,
    imputes: bool,
    walk: type[Walk] = Walk,
) -> Answer:
    """Answer for one patient with a baseline."""
    run = walk(patient, rule, worse=worse, imputes=imputes)
    reason = not_at_risk(patient, run)
    if reason:
        return Answer(why_not=reason)
    run.run()
    return in_days(run) if run.started else Answer(why_not="no visit after a baseline that may be")


def patient_of(
    visits: Sequence[Row], relapses: Sequence[int], rule: ProgressionRule
) -> Patient | None:
    """Turn rows to exact numbers, from the first baseline on; None without one."""
    rows = [row for row in visits if not pd.isna(row[rule.outcome])]
    rows.sort(key=lambda row: row["day"])
    systems = rule.leading_systems
    may_be = [not systems or any(not pd.isna(row[name]) for name in systems) for row in rows]
    start = first_baseline([int(row["day"]) for row in rows], may_be, rule)
    return None if start is None else make_patient(rows[start:], visits, relapses, rule)


def first_baseline(days: list[int], may_be: list[bool], rule: ProgressionRule) -> int | None:
    """Return the place of the first baseline among the days with a value."""
    places = [i for i, allowed in enumerate(may_be) if allowed]
    if rule.baseline_visit == "first":
        return places[0] if places else None
    before = [i for i in places if days[i] <= 0]
    after = [i for i in places if 0 < days[i] <= rule.baseline_window_days]
    return before[-1] if before else (after[0] if after else None)


def make_patient(
    rows: Sequence[Row], visits: Sequence[Row], relapses: Sequence[int], rule: ProgressionRule
) -> Patient:
    """Turn rows to plain lists of exact numbers."""
    names = {c.outcome for c in rule.onset_conditions} | set(rule.leading_systems)
    names |= {rule.threshold_from} - {""}
    column = rule.confirmation_visits
    return Patient(
        days=[int(row["day"]) for row in rows],
        scores=[exact(row[rule.outcome]) for row in rows],
        columns={name: [exact(row[name]) for row in rows] for name in names},
        may_confirm=[
            not column or (not pd.isna(row[column]) and bool(row[column])) for row in rows
        ],
        relapses=sorted(relapses),
        scans=scans_of(visits, rule),
    )


def scans_of(visits: Sequence[Row], rule: ProgressionRule) -> list[tuple[int, bool]]:
    """List day and activity of the scans: the visits with a lesion count."""
    measures = rule.lesion_free.measures if rule.lesion_free else ()
    counts = [
        (int(row["day"]), [row[m] for m in measures if not pd.isna(row[m])]) for row in visits
    ]
    return [(day, any(n > 0 for n in found)) for day, found in counts if found]


def not_at_risk(patient: Patient, run: Walk) -> str:
    """Say why a subject is not at risk; empty if it is."""
    low, high = run.rule.baseline_range
    need = run.base.need[1]
    if patient.last < 1:
        return "no later value"
    if not (
        (low == -math.inf or exact(low) <= run.base.value)
        and (high == math.inf or run.base.value <= exact(high))
    ):
        return "baseline out of range"
    level = isinstance(run.rule.threshold, LevelThreshold)
    return "" if need is not None else ("level reached" if level else "no threshold")


def in_days(run: Walk) -> Answer:
    """Turn rows to days, and the search to time to event."""
    days = run.patient.days
    event = run.wanted()
    common = {"day_baseline": days[0], "baseline_value": float(run.patient.scores[0])}
    episodes = [episode(run, run.found[row]) for row in sorted(run.found)]
    if event is None:
        left = last_without_change(run, run.base, 1, run.patient.last + 1)
        return Answer(
            duration=days[-1] - days[0],
            interval=(left, math.inf),
            unconfirmed=run.is_changed(run.patient.last, run.base, 1),
            episodes=episodes,
            **common,
        )
    onset = days[event.onset] - days[0]
    left = last_without_change(run, event.base, event.sense, event.onset)
    return Answer(
        duration=onset,
        event=True,
        interval=(left, onset),
        wanted=episode(run, event),
        episodes=episodes,
        **common,
    )


def last_without_change(run: Walk, base: Base, sense: int, before: int) -> float:
    """Return days from time zero to the last row, before a row, that shows no change."""
    days = run.patient.days
    still = [x for x in range(before) if not run.is_changed(x, base, sense)]
    return float(days[still[-1]] - days[0]) if still else 0.0


def episode(run: Walk, event: Found) -> dict:
    """Describe an event by days and values."""
    days, values = run.patient.days, run.patient.scores

    def day(row: int | None) -> int | None:
        return None if row is None else days[row]

    def value(row: int | None) -> float | None:
        return None if row is None else float(values[row])

    weeks = [w.weeks for w in run.rule.windows]
    by_window = {
        **{f"day_confirmed_{w}w": day(x) for w, x in zip(weeks, event.confirmed, strict=True)},
        **{
            f"day_pira_confirmed_{w}w": day(x)
            for w, x in zip(weeks, event.pira_confirmed, strict=True)
        },
    }
    return {
        "change": "worsening" if event.sense == run.worse else "improvement",
        "relapse_class": event.relapse_class,
        "day_reference": days[event.base.row],
        "reference_value": float(event.base.value),
        "day_onset": days[event.onset],
        "onset_value": float(event.onset_value),
        "day_last_unchanged": days[event.last_unchanged],
        "day_confirmed": day(event.first_confirmation),
        "confirmed_value": value(event.first_confirmation),
        **by_window,
        "day_sustained_to": days[event.sustained_to],
        "sustained_to_end": event.sustained_to == run.patient.last,
        "imputed": event.imputed,
    }
