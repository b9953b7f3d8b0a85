"""What each visit of one subject did under a progression rule, and why others did nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pmsstats.endpoints.definitions.progression_rule import ProgressionRule
from pmsstats.endpoints.engine.rule_scan import RuleScan
from pmsstats.endpoints.engine.visit_table import FloatArray
from pmsstats.results import format_number

__all__ = ["SubjectRows", "notes_on_visits", "reference_values", "roles_of_visits"]

_SLACK = 1e-9  # numbers are compared as decimals, as the derivation does
TextArray = NDArray[np.object_]


@dataclass(frozen=True, kw_only=True, eq=False)
class SubjectRows:
    """The rows of one subject, as the rule saw them.

    Parameters
    ----------
    scan : RuleScan
        What the rule found, in all subjects.
    rule : ProgressionRule
        The definition.
    rows : slice
        The subject's rows of the visit table.
    base, start : int
        First baseline, and the first visit that may serve as one, counted from the subject's
        first row; -1 where the subject is not at risk.
    episodes : pandas.DataFrame
        The subject's confirmed changes.
    """

    scan: RuleScan
    rule: ProgressionRule
    rows: slice
    base: int
    start: int
    episodes: pd.DataFrame

    @property
    def day(self) -> NDArray[np.int64]:
        """Days of the visits with a value."""
        return self.scan.table.day[self.rows]

    @property
    def visits(self) -> NDArray[np.void]:
        """What each visit may be, and what change counts from it."""
        return self.scan.plan.study.visits[self.rows]

    @property
    def ends_at_event(self) -> bool:
        """Whether the search ended with the last of the episodes."""
        return bool(len(self.episodes)) and self.rule.events in ("first", "first_either")

    def row_of(self, day: object) -> int:
        """Return the row of a day, -1 for none.

        Parameters
        ----------
        day : int or missing
            Study day.

        Returns
        -------
        int
            Counted from the subject's first row.
        """
        if pd.isna(day):
            return -1
        found = np.flatnonzero(self.day == int(day))
        return int(found[0]) if len(found) else -1


def reference_values(subject: SubjectRows) -> tuple[FloatArray, NDArray[np.int64]]:
    """Find the baseline that each visit was compared with, as far as the events tell.

    Parameters
    ----------
    subject : SubjectRows
        One subject.

    Returns
    -------
    value : ndarray of float, shape (n_rows,)
        NaN before there is a baseline, after the search has ended, and where a baseline moved in
        ways that events do not show (after relapses, below the threshold).
    row : ndarray of int, shape (n_rows,)
        The visit whose need for change applies, -1 where that is not known.
    """
    n = len(subject.day)
    value, row = np.full(n, np.nan), np.full(n, -1)
    if subject.start < 0:
        return value, row
    if _moves_with_events_only(subject.rule):
        x = subject.scan.table.value[subject.rows]
        for base in _bases(subject):
            value[base + 1 :], row[base + 1 :] = x[base], base
    else:
        for episode in subject.episodes.to_dict("records"):
            base = subject.row_of(episode["day_reference"])
            onset = subject.row_of(episode["day_onset"])
            value[base + 1 : onset + 1] = episode["reference_value"]
    if subject.ends_at_event:
        end = _last_row(subject, subject.episodes.iloc[-1].to_dict())
        value[end + 1 :], row[end + 1 :] = np.nan, -1
    return value, row


def _moves_with_events_only(rule: ProgressionRule) -> bool:
    """Say whether confirmed changes that are recorded alone move the baseline, if anything does."""
    if rule.baseline == "fixed":
        return not rule.rebaseline_after_relapse
    return (
        rule.subthreshold_rebaseline == "none"
        and not rule.rebaseline_after_relapse
        and not rule.baseline_never_better
        and rule.moved_baseline_value == "visit"
        and rule.skip_local_extrema == "none"
        and rule.sustain_days == 0
        and not any(rule.relapse_to_baseline_days)
    )


def _bases(subject: SubjectRows) -> Iterator[int]:
    """Yield the rows of the baselines, one after the other."""
    rule = subject.rule
    yield subject.start
    for episode in subject.episodes.to_dict("records"):
        moves = rule.baseline in ("roving", f"roving_{episode['change']}")
        if moves and not episode["imputed"]:
            at_onset = rule.continue_from == "onset" or pd.isna(episode["day_confirmed"])
            yield subject.row_of(episode["day_onset" if at_onset else "day_confirmed"])


def _last_row(subject: SubjectRows, episode: dict) -> int:
    """Return the last row that confirmed a change in any window, or that of its onset."""
    onset = subject.row_of(episode["day_onset"])
    return max((row for row, _text in _confirmations(subject, episode)), default=onset)


def roles_of_visits(subject: SubjectRows, day_left: float) -> list[str]:
    """Say what each visit did.

    Parameters
    ----------
    subject : SubjectRows
        One subject.
    day_left : float
        Day of the last visit without the event; NaN for subjects without it.

    Returns
    -------
    list of str
        One per visit with a value, empty where it did nothing.
    """
    roles: list[list[str]] = [[] for _ in subject.day]
    if subject.start >= 0:
        roles[subject.base].append("baseline")
        if subject.start > subject.base:
            roles[subject.base].append("time zero")
            roles[subject.base].remove("baseline")
            roles[subject.start].append("baseline")
    several = len(subject.episodes) > 1
    left = subject.row_of(day_left)
    if left > subject.start:
        roles[left].append("last without the event")
    for episode in subject.episodes.to_dict("records"):
        name = f"{episode['change']} {episode['episode']}" if several else episode["change"]
        base = subject.row_of(episode["day_reference"])
        if base not in (subject.start, -1):
            roles[base].append(f"reference of {name}")
        kind = f" ({episode['relapse_class']})" if episode["relapse_class"] else ""
        taken = ", taken as confirmed" if episode["imputed"] else ""
        roles[subject.row_of(episode["day_onset"])].append(f"onset of {name}{kind}{taken}")
        for row, text in _confirmations(subject, episode):
            roles[row].append(f"{text} of {name}")
    return ["; ".join(texts) for texts in roles]


def _confirmations(subject: SubjectRows, episode: dict) -> Iterator[tuple[int, str]]:
    """Yield the rows that confirmed a change, and after how many weeks."""
    found: dict[int, list[str]] = {}
    for window in subject.rule.windows:
        row = subject.row_of(episode[f"day_confirmed_{window.weeks}w"])
        found.setdefault(row, []).append(f"{window.weeks}")
    found.pop(-1, None)
    if not found and pd.notna(episode["day_confirmed"]):
        yield subject.row_of(episode["day_confirmed"]), "confirmation"
    for row, weeks in found.items():
        yield row, f"{' and '.join(weeks)}-week confirmation"


def notes_on_visits(subject: SubjectRows) -> list[str]:
    """Say why visits could not be used, or why a change at them does not count.

    Parameters
    ----------
    subject : SubjectRows
        One subject.

    Returns
    -------
    list of str
        One per visit with a value, empty where there is nothing to say.
    """
    n = len(subject.day)
    if subject.start < 0:
        return [""] * n
    notes = [_why_barred(subject, row) for row in range(n)]
    _value, reference = reference_values(subject)
    covered = np.zeros(n, dtype=bool)
    for episode in subject.episodes.to_dict("records"):
        onset = subject.row_of(episode["day_onset"])
        covered[onset : _last_row(subject, episode) + 1] = True
    end = np.flatnonzero(covered)[-1] if subject.ends_at_event else n
    for row in range(subject.start + 1, n):
        if row > end:
            notes[row] = "after the event"
        elif reference[row] >= 0 and not covered[row] and not notes[row]:
            notes[row] = _why_not_counted(subject, row, int(reference[row]))
    return notes


def _why_barred(subject: SubjectRows, row: int) -> str:
    """Say why a visit may not serve, start or confirm an event."""
    if row < subject.base:
        return "before the baseline"
    if row < subject.start:
        return f"may not serve as baseline{_relapse_nearby(subject, row)}"
    visit = subject.visits[row]
    if row == subject.start or (visit["may_start"] and visit["may_confirm"]):
        return ""
    if not subject.rule.windows:
        return "" if visit["may_start"] else f"no onset{_relapse_nearby(subject, row)}"
    barred = [
        text
        for text, may in (("onset", visit["may_start"]), ("confirmation", visit["may_confirm"]))
        if not may
    ]
    return f"no {', no '.join(barred)}{_relapse_nearby(subject, row)}"


def _relapse_nearby(subject: SubjectRows, row: int) -> str:
    """Say how far the nearest relapses are, where there are any."""
    table, at = subject.scan.table, subject.rows.start + row
    since, until = float(table.since[at]), float(table.until[at])
    texts = [f"{since:.0f} days after a relapse"] if np.isfinite(since) else []
    if np.isfinite(until) and until > 0:
        texts.append(f"{until:.0f} days before a relapse")
    return f": {', '.join(texts)}" if texts else ""


def _why_not_counted(subject: SubjectRows, row: int, base: int) -> str:
    """Say why a change that is large enough is no event; empty where it is not."""
    visits, rule, day = subject.visits, subject.rule, subject.day
    if not _is_changed(visits, row, base):
        return ""
    size = format_number(abs(float(visits["x"][row] - visits["x"][base]))).rstrip("0").rstrip(".")
    changed = f"changed by {size}"
    if not visits["meets"][row]:
        return f"{changed}, but a condition on another measure is not met"
    if day[row] - day[base] < rule.min_days_from_baseline:
        return f"{changed}, but fewer than {rule.min_days_from_baseline} days after the baseline"
    later = _confirming_rows(subject, row)
    if not len(later):
        return f"{changed}, but no later visit that may confirm it"
    rows = range(row + 1, later[0] + 1) if rule.confirm_intermediate else later[:1]
    lost = next((r for r in rows if not _is_changed(visits, r, base)), None)
    if lost is not None:
        return f"{changed}, but no longer on day {day[lost]}"
    return f"{changed}, but not as the rule asks"


def _confirming_rows(subject: SubjectRows, row: int) -> NDArray[np.intp]:
    """Return the rows that may confirm a change at a row."""
    after = subject.day - subject.day[row]
    inside = np.zeros(len(after), dtype=bool)
    for window in subject.rule.windows:
        inside |= (after >= window.first_day) & (after <= window.last_day)
    if not subject.rule.windows:
        inside = after > 0
    return np.flatnonzero(inside & (after > 0) & subject.visits["may_confirm"])


def _is_changed(visits: NDArray[np.void], row: int, base: int) -> bool:
    """Say whether a value has changed enough in the rule's direction."""
    x = visits["x"]
    size = max(abs(float(x[row])), abs(float(x[base])), 1.0)
    return bool(x[row] - x[base] >= visits["need"][base] - _SLACK * size)
