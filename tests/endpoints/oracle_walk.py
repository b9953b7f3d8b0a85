"""Confirmed change once more, slowly: one subject, one row at a time, in exact fractions.

Written from the definitions (see `ProgressionRule`), not from the engine, with which it shares no
code. A number is the fraction that its decimal text stands for, so ties are ties. `derive` in
`oracle.py` takes cohorts; here is the search through one patient's rows.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from fractions import Fraction

from endpoints.oracle_patients import (
    Base,
    Found,
    Number,
    Patient,
    exact,
    first_in,
    intervals,
    is_met,
    required,
)

from pmsstats.endpoints.definitions.progression_rule import ProgressionRule
from pmsstats.endpoints.definitions.thresholds import LevelThreshold


class Walk:
    """The search through one patient's rows. `worse` is the sense in which change is worsening."""

    def __init__(self, patient: Patient, rule: ProgressionRule, *, worse: int, imputes: bool):
        self.patient, self.rule, self.worse, self.imputes = patient, rule, worse, imputes
        self.sign = 1 if rule.direction == "increase" else -1
        self.needs = {1: self.needs_of(1), -1: self.needs_of(-1)}
        self.since, self.until = self.relapse_distances()
        self.row, self.search = 0, 1
        self.base = self.base_at(0)
        self.moved: Base | None = None
        self.previous: Base | None = None
        self.next_relapse: int | None = None
        self.found: dict[int, Found] = {}
        self.order: list[Found] = []
        self.ended, self.started = False, False

    # --- definitions ---

    def needs_of(self, sense: int) -> list[Number | None]:
        rule, patient = self.rule, self.patient
        threshold = rule.threshold if sense == 1 else (rule.opposite_threshold or rule.threshold)
        if sense == -1 and isinstance(threshold, LevelThreshold):
            return [None] * len(patient.scores)
        source = patient.columns[rule.threshold_from] if rule.threshold_from else patient.scores
        return [required(threshold, value, self.sign * sense) for value in source]

    def relapse_distances(self) -> tuple[list[float], list[float]]:
        relapses, days = self.patient.relapses, self.patient.days
        since = [min((d - r for r in relapses if r <= d), default=math.inf) for d in days]
        until = [min((r - d for r in relapses if r >= d), default=math.inf) for d in days]
        return since, until

    def base_at(self, row: int) -> Base:
        need = {sense: self.needs[sense][row] for sense in (1, -1)}
        return Base(row=row, value=self.patient.scores[row], need=need)

    def amount(self, value: Fraction, start: Fraction, sense: int) -> Fraction:
        return self.sign * sense * (value - start)

    def is_changed(self, row: int, base: Base, sense: int) -> bool:
        need = base.need[sense]
        return need is not None and self.amount(self.patient.scores[row], base.value, sense) >= need

    def is_far_from_relapse(self, row: int, days: tuple[float, float]) -> bool:
        return self.since[row] >= days[0] and self.until[row] >= days[1]

    def is_extremum(self, row: int) -> bool:
        """Say whether a row may not be a baseline because both of its neighbours lie beyond."""
        kind, values = self.rule.skip_local_extrema, self.patient.scores
        if kind == "none" or (row >= 2 and values[row] == values[row - 2]):
            return False
        neighbours = [max(row - 1, 0), min(row + 1, self.patient.last)]
        base = self.base_at(row)
        for sense in (1, -1):
            if kind == "strict" and all(self.is_changed(n, base, sense) for n in neighbours):
                return True
            if kind == "all" and all(
                self.amount(values[n], base.value, sense) > 0 for n in neighbours
            ):
                return True
        return False

    def follows(self, sense: int) -> bool:
        """Say whether the baseline moves to changes in this sense."""
        kind = "worsening" if sense == self.worse else "improvement"
        return self.rule.baseline in ("roving", f"roving_{kind}")

    # --- the search ---

    def run(self) -> None:
        while not self.ended:
            self.step()

    def step(self) -> None:
        self.place_baseline()
        if self.ended:
            return
        self.started = True
        onset = self.next_change()
        if onset is None:
            self.pass_over_rest()
        elif self.has_crossed_relapse(onset):
            self.search = onset
        else:
            self.examine(onset)
        if onset is not None and self.is_behind_relapse():
            self.go_behind_relapse()
        self.ended = self.ended or self.is_complete()

    def place_baseline(self) -> None:
        days = self.rule.relapse_to_baseline_days
        while self.row < self.patient.last and (
            not self.is_far_from_relapse(self.row, days) or self.is_extremum(self.row)
        ):
            self.row += 1
        self.base = self.base_at(self.row)
        if self.row == self.patient.last:
            self.ended = True
            return
        if self.moved is not None and self.moved.row == self.row:
            self.base = self.moved
        self.search = max(self.search, self.row + 1)
        self.next_relapse = self.relapse_after(self.patient.days[self.row])
        self.keep_worse_baseline()
        self.previous = self.base

    def relapse_after(self, day: int) -> int | None:
        return next((r for r in self.patient.relapses if r > day), None)

    def keep_worse_baseline(self) -> None:
        before = self.previous
        if not self.rule.baseline_never_better or before is None:
            return
        if self.amount(self.base.value, before.value, self.worse) < 0:
            self.base = dataclasses.replace(before, row=self.row)

    def next_change(self) -> int | None:
        for row in range(self.search, self.patient.last + 1):
            days = self.patient.days[row] - self.patient.days[self.row]
            if (
                days >= self.rule.min_days_from_baseline
                and self.has_any_change(row)
                and self.is_far_from_relapse(row, self.rule.relapse_to_onset_days)
            ):
                return row
        return None

    def has_any_change(self, row: int) -> bool:
        if self.rule.subthreshold_rebaseline != "none":
            return self.patient.scores[row] != self.base.value
        return any(self.is_changed(row, self.base, sense) for sense in (1, -1))

    @property
    def wait(self) -> float:
        return 0 if self.rule.events == "first_pira" else self.rule.raw_days[0]

    def has_crossed_relapse(self, onset: int) -> bool:
        relapse = self.next_relapse
        if not self.rule.rebaseline_after_relapse or relapse is None:
            return False
        return self.patient.days[onset] > relapse + self.wait

    def is_behind_relapse(self) -> bool:
        """Say whether the search has left a relapse behind that the baseline has not."""
        days, start = self.patient.days, self.patient.days[self.row]
        if not self.rule.rebaseline_after_relapse or self.search > self.patient.last:
            return False
        now = days[self.search]
        return any(start < r and r + self.wait < now for r in self.patient.relapses)

    def pass_over_rest(self) -> None:
        """Nothing changes any more from this baseline; it may from that after the next relapse."""
        self.go_behind_relapse()

    def go_behind_relapse(self) -> None:
        """Move the baseline to the first visit after the next relapse, or end."""
        days, relapse, last = self.patient.days, self.next_relapse, self.patient.last
        moves = self.rule.rebaseline_after_relapse and relapse is not None
        later = [x for x in range(self.row, last + 1) if moves and days[x] >= relapse]
        if later:
            self.row, self.search = later[0], later[0] + 1
        if later == [last]:
            self.base = self.base_at(last)
        self.ended = not later or later == [last]

    def is_complete(self) -> bool:
        return self.wanted() is not None and self.rule.events != "multiple"

    def wanted(self) -> Found | None:
        """Return the event that the rule is about: the first of its kind."""
        return next((e for _, e in sorted(self.found.items()) if self.is_wanted(e)), None)

    def is_wanted(self, event: Found) -> bool:
        match self.rule.events:
            case "first_either":
                return True
            case "first_pira":
                return event.relapse_class == "PIRA"
            case "first_raw":
                return event.relapse_class == "RAW"
        return event.sense == 1

    # --- one change ---

    def windows(self, onset: int, sense: int) -> list[list[int]]:
        """List the rows that may confirm, for each window."""
        days, rule = self.patient.days, self.rule
        spans = [(w.first_day, w.last_day) for w in rule.windows]
        if sense == -1 and rule.opposite_confirm_weeks is not None:
            nominal, (first, last) = 7 * rule.windows[0].weeks, spans[0]
            moved = 7 * rule.opposite_confirm_weeks - nominal
            spans = [(first + moved, last + moved)]
        allowed = [
            x
            for x in range(onset + 1, self.patient.last + 1)
            if self.patient.may_confirm[x]
            and self.is_far_from_relapse(x, rule.relapse_to_confirmation_days)
        ]
        return [
            [x for x in allowed if first <= days[x] - days[onset] <= last] for first, last in spans
        ]

    def between(self, onset: int, until: int) -> Iterator[int]:
        """Rows after onset that must agree: all up to a row, or only that one."""
        first = onset + 1 if self.rule.confirm_intermediate else until
        return iter(range(first, until + 1))

    def holds(self, row: int, onset: int, sense: int) -> bool:
        values, base = self.patient.scores, self.base
        as_far = self.rule.confirm_level == "threshold" or (
            self.amount(values[row], values[onset], sense) >= 0
        )
        return as_far and self.is_changed(row, base, sense)

    def sense_of(self, onset: int) -> int:
        for sense in (1, -1):
            if self.is_changed(onset, self.base, sense):
                return sense
        return 1 if self.amount(self.patient.scores[onset], self.base.value, 1) > 0 else -1

    def examine(self, onset: int) -> None:
        sense = self.sense_of(onset)
        windows = self.windows(onset, sense)
        unconfirmed = self.rule.confirm_weeks is None
        candidates = [onset] if unconfirmed else sorted({x for rows in windows for x in rows})
        first = candidates[0] if candidates else None
        if first is not None and self.is_confirmed(onset, first, sense):
            self.settle(onset, first, sense, windows, candidates)
        elif self.is_imputed(onset, sense):
            self.settle(onset, onset, sense, windows, [onset], imputed=True)
        elif first is not None and self.is_subthreshold(onset, first, sense):
            self.move_to(onset, first, sense)
        else:
            self.search = onset + 1

    def is_confirmed(self, onset: int, first: int, sense: int) -> bool:
        return (
            self.is_changed(onset, self.base, sense)
            and all(self.holds(x, onset, sense) for x in self.between(onset, first))
            and self.meets_conditions(onset, first, sense)
        )

    def is_imputed(self, onset: int, sense: int) -> bool:
        days = self.patient.days
        return (
            self.imputes
            and sense == 1
            and onset == self.patient.last
            and days[onset] - days[0] <= self.rule.impute_within_days
            and self.is_changed(onset, self.base, sense)
            and self.meets_conditions(onset, onset, sense)
        )

    def is_subthreshold(self, onset: int, first: int, sense: int) -> bool:
        kind = "worsening" if sense == self.worse else "improvement"
        values, base = self.patient.scores, self.base
        return (
            self.rule.subthreshold_rebaseline in ("any", kind)
            and self.follows(sense)
            and all(
                self.amount(values[x], base.value, sense) > 0
                for x in (onset, *self.between(onset, first))
            )
        )

    def meets_conditions(self, onset: int, first: int, sense: int) -> bool:
        columns, rule = self.patient.columns, self.rule
        if sense == -1:
            return True
        rows = (onset, *self.between(onset, first))
        asked = rows if rule.condition_visits == "confirmation" else (onset,)
        if not all(is_met(c, columns[c.outcome][x]) for c in rule.onset_conditions for x in asked):
            return False
        return not rule.leading_systems or self.has_led(onset, rows)

    def has_led(self, onset: int, rows: Sequence[int]) -> bool:
        """Say whether a system that has worsened most at onset still shows it at all rows."""
        scores = [self.patient.columns[name] for name in self.rule.leading_systems]
        scores = [s for s in scores if s[self.base.row] is not None and s[onset] is not None]
        rises = [s[onset] - s[self.base.row] for s in scores]
        step = exact(self.rule.leading_step)
        leading = [
            s for s, rise in zip(scores, rises, strict=True) if rise == max(rises) and rise >= step
        ]
        return any(
            all(s[x] is not None and s[x] >= s[self.base.row] + step for x in rows) for s in leading
        )

    def target(self, onset: int, first: int) -> int:
        return first if self.rule.continue_from == "confirmation" else onset

    # --- a confirmed change ---

    def settle(
        self,
        onset: int,
        first: int,
        sense: int,
        windows: list[list[int]],
        candidates: list[int],
        *,
        imputed: bool = False,
    ) -> None:
        """Record a confirmed change if it is sustained and wanted, and go on behind it."""
        last = self.patient.last
        undone = next(
            (x for x in range(first + 1, last + 1) if not self.holds(x, onset, sense)), last + 1
        )
        candidates = [x for x in candidates if x < undone]
        recorded = False
        if self.is_sustained(onset, undone, sense):
            unchanged = self.last_unchanged(onset, first, sense)
            name, pira = self.classify(onset, candidates, unchanged, sense)
            event = Found(
                sense=sense,
                relapse_class=name,
                base=self.base,
                onset=onset,
                onset_value=self.patient.scores[onset],
                first_confirmation=None if imputed or not windows else first,
                confirmed=self.by_window(windows, candidates, sense),
                pira_confirmed=self.by_window(windows, pira, sense),
                last_unchanged=unchanged,
                sustained_to=undone - 1,
                imputed=imputed,
            )
            recorded = not (self.is_passed_over(event) or self.is_idle(sense))
            if recorded:
                self.record(event)
        self.go_on(onset, first, sense, recorded=recorded, imputed=imputed)

    def by_window(
        self, windows: list[list[int]], allowed: list[int], sense: int
    ) -> tuple[int | None, ...]:
        """Return the first confirming row of each window of the rule."""
        if sense == -1 and self.rule.opposite_confirm_weeks is not None:
            return (None,) * len(self.rule.windows)
        return tuple(first_in(rows, allowed) for rows in windows)

    def is_sustained(self, onset: int, undone: int, sense: int) -> bool:
        asked, days, last = self.rule.sustain_days, self.patient.days, self.patient.last
        if asked == 0:
            return True
        if self.rule.confirm_intermediate:
            return undone > last or days[undone] - days[onset] >= asked
        late = (x for x in range(onset + 1, last + 1) if days[x] - days[onset] >= asked)
        return self.holds(next(late, last), onset, sense)

    def last_unchanged(self, onset: int, first: int, sense: int) -> int:
        for row in range(onset - 1, self.base.row, -1):
            base = self.base_at(row)
            if not self.is_extremum(row) and all(
                self.is_changed(x, base, sense) for x in (onset, *self.between(onset, first))
            ):
                return row
        return self.base.row

    def is_passed_over(self, event: Found) -> bool:
        wanted = {"first_pira": "PIRA", "first_raw": "RAW"}.get(self.rule.events)
        return (
            wanted is not None
            and event.relapse_class not in ("", wanted)
            and self.rule.baseline in ("fixed", "roving_improvement")
        )

    def is_idle(self, sense: int) -> bool:
        """Say whether a change against the rule's direction is no event, and moves nothing."""
        counts = sense == 1 or self.rule.events in ("first_either", "multiple")
        return not (counts or self.follows(sense))

    def record(self, event: Found) -> None:
        self.found[event.onset] = event
        self.order.append(event)

    def go_on(self, onset: int, first: int, sense: int, *, recorded: bool, imputed: bool) -> None:
        if imputed:
            self.search = onset + 1
        elif self.follows(sense):
            self.move_to(onset, first, sense)
        else:
            self.search = (self.target(onset, first) if recorded else onset) + 1

    def move_to(self, onset: int, first: int, sense: int) -> None:
        """Put the baseline to the visit of a change, and its value, or the least changed one."""
        self.row = self.target(onset, first)
        self.search = self.row + 1
        if self.rule.moved_baseline_value == "least_changed":
            scores, start = self.patient.scores, self.base.value
            amounts = {x: self.amount(scores[x], start, sense) for x in range(onset, first + 1)}
            least = self.base_at(min(amounts, key=lambda x: amounts[x]))
            self.moved = dataclasses.replace(least, row=self.row)

    # --- relapses and lesions ---

    def classify(
        self, onset: int, candidates: list[int], unchanged: int, sense: int
    ) -> tuple[str, list[int]]:
        """Name the class of an event, and list the rows that confirm it as PIRA."""
        if sense != self.worse or not self.rule.classifies:
            return "", []
        before, after = self.rule.raw_days
        if self.since[onset] <= before or self.until[onset] <= after:
            return "RAW", []
        rows = {"baseline": self.base.row, "last": onset - 1, "last_unchanged": unchanged}
        reference = rows[self.rule.relapse_free.reference_visit]
        pira = [x for x in candidates if self.is_independent(reference, onset, x)]
        return ("PIRA" if pira else "undetermined"), pira

    def is_independent(self, reference: int, onset: int, confirmation: int) -> bool:
        days, rule = self.patient.days, self.rule
        free = rule.relapse_free
        pairs = (free.reference, free.onset, free.confirmation)
        at = (days[reference], days[onset], days[confirmation])
        spans = intervals(pairs, at)
        if any(low <= r <= high for r in self.patient.relapses for low, high in spans):
            return False
        lesions = rule.lesion_free
        if lesions is None:
            return True
        spans = intervals((lesions.onset, lesions.confirmation), at[1:])
        seen = [
            active for day, active in self.patient.scans if any(a <= day <= b for a, b in spans)
        ]
        return not any(seen) and (bool(seen) or not lesions.scan_required)
