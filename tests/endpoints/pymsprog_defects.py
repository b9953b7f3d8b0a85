"""The defects of pymsprog 1.0.7, each as a small change of the oracle that gives its answers.

A subject on whom we differ from pymsprog is explained by a defect if the oracle with this change,
and no other, answers as pymsprog does. Hand-worked patients of each: SOURCE.md and defects.toml
in tests/reference/pymsprog.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from endpoints.oracle import patient_of, search
from endpoints.oracle_patients import Base, Found, Patient
from endpoints.oracle_walk import Walk
from endpoints.pymsprog_cases import Theirs, milestone_rule, of_oracle, rule_of

from pmsstats.endpoints.definitions.progression_rule import ProgressionRule

# How much change counts, as pymsprog or the functions given to it compute it: in binary.
DELTAS: dict[str, Callable[[float], float]] = {
    "edss": lambda value: 1.5 if value == 0 else (1.0 if value <= 5 else 0.5),
    "t25fw": lambda value: value / 5,
    "nhpt": lambda value: value / 5,
    "sdmt": lambda value: min(value / 5, 4),
    "steps_5.5": lambda value: 1.0 if value <= 5.5 else 0.5,
    "steps_5.0": lambda value: 1.0 if value <= 5.0 else 0.5,
    "one": lambda value: 1.0,
    "half": lambda value: 0.5,
    "three": lambda value: 3.0,
    "four": lambda value: 4.0,
    "tenth": lambda value: value / 10,
    "quarter": lambda value: value / 4,
    "fifth_or_2": lambda value: min(value / 5, 2.0),
    "fifth_and_2": lambda value: max(value / 5, 2.0),
}


class CrashError(Exception):
    """Where pymsprog crashes."""


class Case(Walk):
    """A walk that knows the options of pymsprog, and the subject's relapses in the file's order."""

    options: dict[str, Any]
    filed: Sequence[int]


class BinaryTies(Case):
    """Compares binary numbers, and so misses changes that are exactly as large as asked."""

    def needs_of(self, sense: int) -> list[float]:
        delta = DELTAS[self.options.get("delta_fun", self.options["outcome"])]
        name = self.rule.threshold_from
        source = self.patient.columns[name] if name else self.patient.scores
        return [delta(float(value)) for value in source]

    def is_changed(self, row: int, base: Base, sense: int) -> bool:
        change = float(self.patient.scores[row]) - float(base.value)
        return self.sign * sense * change >= base.need[sense]


class OldRelapses(Case):
    """Forgets relapses that began more than `relapse_to_bl` days before the first visit."""

    def relapses_from(self) -> float:
        return self.patient.days[0] - self.rule.relapse_to_baseline_days[0]

    def relapse_distances(self) -> tuple[list[float], list[float]]:
        known = [r for r in self.patient.relapses if r >= self.relapses_from()]
        self.patient = dataclasses.replace(self.patient, relapses=known)
        return super().relapse_distances()


class UnsortedRelapses(Case):
    """Looks for the next relapse in the order of the file, from the one met last."""

    place = 0

    def relapse_after(self, day: int) -> int | None:
        known = [r for r in self.filed if r in self.patient.relapses]
        later = [i for i in range(self.place, len(known)) if known[i] > day]
        self.place = later[0] if later else len(known)
        return known[self.place] if later else None


class LowerIsImprovement(Case):
    """Takes any lower value for an improvement below the threshold, where lower is worse, too."""

    def examine(self, onset: int) -> None:
        sense = self.sense_of(onset)
        first = min((x for rows in self.windows(onset, sense) for x in rows), default=None)
        worsens = sense == self.worse
        falls = worsens == (self.options["outcome"] == "sdmt")
        if first is None or not falls or (not worsens and self.is_confirmed(onset, first, sense)):
            super().examine(onset)
        elif self.moves_to_any(onset, first, sense, "improvement"):
            self.move_to(onset, first, sense)
        else:
            super().examine(onset)

    def moves_to_any(self, onset: int, first: int, sense: int, kind: str) -> bool:
        allowed = self.rule.subthreshold_rebaseline in ("any", kind)
        follows = self.rule.baseline in ("roving", f"roving_{kind}")
        rows = (onset, *self.between(onset, first))
        scores, start = self.patient.scores, self.base.value
        beyond = all(self.amount(scores[x], start, sense) > 0 for x in rows)
        return allowed and follows and beyond

    def is_subthreshold(self, onset: int, first: int, sense: int) -> bool:
        rises = (sense == self.worse) == (self.options["outcome"] != "sdmt")
        return self.moves_to_any(onset, first, sense, "worsening" if rises else "improvement")


class NeverLower(Case):
    """Keeps the higher baseline for `bl_geq`, which is the better one where lower is worse."""

    def keep_worse_baseline(self) -> None:
        before = self.previous
        if self.rule.baseline_never_better and before and before.value > self.base.value:
            self.base = dataclasses.replace(before, row=self.row)


class NeverBetterIgnored(Case):
    """Ignores `bl_geq` unless `relapse_rebl` is set as well."""

    def keep_worse_baseline(self) -> None:
        if self.options["relapse_rebl"]:
            super().keep_worse_baseline()


class Overwritten(Case):
    """Writes the value kept for `bl_geq` over the visit's own, for all that comes later.

    With a column of its own for the threshold, the threshold is that of the new visit.
    """

    def keep_worse_baseline(self) -> None:
        own = self.base
        super().keep_worse_baseline()
        if self.base.value == own.value:
            return
        if self.rule.threshold_from:
            self.base = dataclasses.replace(self.base, need=own.need)
        scores = list(self.patient.scores)
        scores[self.row] = self.base.value
        self.patient = dataclasses.replace(self.patient, scores=scores)
        for sense in (1, -1):
            self.needs[sense][self.row] = self.base.need[sense]

    def last_unchanged(self, onset: int, first: int, sense: int) -> int:
        for row in range(onset - 1, 0, -1):
            base = self.base_at(row)
            if not self.is_extremum(row) and all(
                self.is_changed(x, base, sense) for x in (onset, *self.between(onset, first))
            ):
                return row
        return 0


class FirstTakesTwo(Case):
    """For `event="first"` goes on until two events are found."""

    def is_complete(self) -> bool:
        if self.options["event"] == "first":
            return len(self.order) > 1
        return super().is_complete()

    def wanted(self) -> Found | None:
        if self.options["event"] == "first":
            return self.found[min(self.found)] if self.found else None
        return super().wanted()


class NoChangeNoMove(Case):
    """Ends where nothing has changed from the baseline, though `relapse_rebl` would move it."""

    def pass_over_rest(self) -> None:
        self.ended = True


class HiddenOnset(Case):
    """Goes on after the confirmation of a change that makes no event, and moves no baseline."""

    def is_idle(self, sense: int) -> bool:
        return False

    def target(self, onset: int, first: int) -> int:
        return first if self.options["proceed_from"] == "firstconf" else onset


class PickedByPlace(Case):
    """Finds an event's place in the order of detection, and takes that place in time."""

    def wanted(self) -> Found | None:
        wanted = super().wanted()
        if wanted is None or not self.ended:
            return wanted
        place = self.order.index(wanted)
        in_time = sorted(self.found)
        if place >= len(in_time):
            raise CrashError
        return self.found[in_time[place]]


class EmptyWindow(Case):
    """Crashes if a window stays empty for an event that is passed over or did not last."""

    def is_sustained(self, onset: int, undone: int, sense: int) -> bool:
        lasts = super().is_sustained(onset, undone, sense)
        windows = self.windows(onset, sense)
        empty = any(not [x for x in rows if x < undone] for rows in windows)
        if empty and sense != self.worse and not lasts:
            raise CrashError
        return lasts

    def is_passed_over(self, event: Found) -> bool:
        passed = super().is_passed_over(event)
        if passed and None in event.confirmed:
            raise CrashError
        return passed


class MilestoneOldRelapses(OldRelapses):
    """Forgets relapses that began more than `relapse_to_event` days before the first visit."""

    def relapses_from(self) -> float:
        return self.patient.days[0] - self.rule.relapse_to_onset_days[0]


class MilestoneIsACount(Case):
    """Imputes where the milestone is the number of visits less one, wherever it is reached."""

    def is_imputed(self, onset: int, sense: int) -> bool:
        days = self.patient.days
        within = days[onset] - days[0] <= self.rule.impute_within_days
        return self.imputes and within and self.options["milestone"] == self.patient.last

    def settle(self, onset: int, first: int, *args: Any, imputed: bool = False) -> None:
        sense, windows, _ = args
        if not imputed or onset == self.patient.last:
            super().settle(onset, first, *args, imputed=imputed)
            return
        candidates = sorted({x for rows in windows for x in rows})
        if not candidates:
            raise CrashError
        super().settle(onset, candidates[0], sense, windows, candidates)


class MilestoneSkips(Case):
    """Goes on after the next value below the milestone, even where lower is worse."""

    def examine(self, onset: int) -> None:
        self.settled = False
        super().examine(onset)
        scores, last = self.patient.scores, self.patient.last
        below = (x for x in range(onset + 1, last) if scores[x] < self.options["milestone"])
        if not self.settled:
            self.search = next(below, last) + 1

    def settle(self, *args: Any, imputed: bool = False) -> None:
        self.settled = True
        super().settle(*args, imputed=imputed)


PROGRESSION: dict[str, type[Case]] = {
    "lower_is_improvement": LowerIsImprovement,
    "binary_ties": BinaryTies,
    "old_relapses": OldRelapses,
    "never_better_ignored": NeverBetterIgnored,
    "never_lower": NeverLower,
    "overwritten": Overwritten,
    "unsorted_relapses": UnsortedRelapses,
    "no_change_no_move": NoChangeNoMove,
    "hidden_onset": HiddenOnset,
    "first_takes_two": FirstTakesTwo,
    "picked_by_place": PickedByPlace,
    "empty_window": EmptyWindow,
}
"""Defects of `MSprog`, in the order in which they are tried."""

MILESTONE: dict[str, type[Case]] = {
    "milestone_skips": MilestoneSkips,
    "milestone_is_a_count": MilestoneIsACount,
    "milestone_old_relapses": MilestoneOldRelapses,
}
"""Defects of `value_milestone`."""


@dataclass(kw_only=True)
class Subject:
    """What a subject's answers are made from: options, visits, relapses in the file's order."""

    options: dict[str, Any]
    visits: Sequence[dict[str, Any]]
    relapses: Sequence[int]

    @property
    def known(self) -> dict[str, type[Case]]:
        """The defects of the function that is called."""
        return MILESTONE if self.options["function"] == "value_milestone" else PROGRESSION

    @cached_property
    def rule(self) -> ProgressionRule:
        """The definition."""
        return (milestone_rule if self.known is MILESTONE else rule_of)(self.options)

    @cached_property
    def patient(self) -> Patient | None:
        """The exact rows."""
        return patient_of(self.visits, self.relapses, self.rule)

    def answer_with(self, names: Iterable[str]) -> Theirs:
        """Answer as pymsprog would if it had these defects, and no other."""
        options, classes = self.options, (*(self.known[name] for name in names), Case)
        assert self.patient is not None
        try:
            found = search(
                self.patient,
                self.rule,
                worse=-1 if options.get("event") == "firstCDI" else 1,
                imputes=self.rule.impute_last_visit > 0,
                walk=type("Theirs", classes, {"options": options, "filed": list(self.relapses)}),
            )
        except CrashError:
            return Theirs(error="crash")
        return of_oracle(found, options)

    def explain(self, theirs: Theirs) -> tuple[str, ...]:
        """Return the fewest defects that make our definition answer as pymsprog does."""
        for size in (1, 2, 3):
            for names in itertools.combinations(self.known, size):
                if self.answer_with(names) == theirs:
                    return names
        return ()
