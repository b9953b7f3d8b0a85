"""The day on which an event is known: that of the visit that confirms it."""

from __future__ import annotations

import numpy as np

from pmsstats.cohort import Measure, default_dictionary
from pmsstats.endpoints.definitions.progression_rule import ProgressionRule
from pmsstats.endpoints.engine.batch import ROWS_AT_ONCE
from pmsstats.endpoints.engine.batch_input import BatchVisits, read_arrays
from pmsstats.endpoints.engine.rule_scan import scan_rule
from pmsstats.endpoints.engine.visit_table import visit_table
from pmsstats.trials.analyses.event_times import event_times, relapses_seen, rules_of
from pmsstats.trials.analyses.windows import TrialWindow

__all__ = ["known_days"]


def known_days(window: TrialWindow) -> np.ndarray:
    """Find the day on which each subject's event is known.

    Parameters
    ----------
    window : TrialWindow
        Subjects and visits.

    Returns
    -------
    ndarray, shape (n_replicates, n_subjects)
        Days from entry; infinite for those without an event.

    Raises
    ------
    DesignError
        If the endpoint is no time to an event.

    Notes
    -----
    A composite is known when enough of its parts are. Where a rule asks that a change lasts, or
    takes one at the last visit as confirmed, that is not waited for.
    """
    times = event_times(window)
    if window.endpoint.rule is None:
        known = np.where(times.event, times.duration + 7 * window.weeks[0], np.inf)
    else:
        parts, n_required = rules_of(window)
        days = np.stack([_confirmed(window, part) for part in parts], axis=-1)
        known = np.partition(days, n_required - 1, axis=-1)[..., n_required - 1]
    if window.strategy.failure is not None:
        known = np.minimum(known, window.strategy.failure)
    return np.where(times.event, known, np.inf)


def _confirmed(window: TrialWindow, rule: ProgressionRule) -> np.ndarray:
    """Return days from entry of the visits that confirm the events of a rule."""
    days = np.broadcast_to(window.days, (*window.code.shape, len(window.visits)))
    whole = np.rint(days).astype(np.int64)
    first = whole[..., 0]
    source = read_arrays(
        window.values(rule.outcome),
        rule.outcome,
        whole - first[..., None],
        {},
        relapses_seen(window, first),
    )
    parts = [_scanned(source, part, rule) for part in source.parts(ROWS_AT_ONCE)]
    known = np.concatenate(parts).reshape(first.shape) + first
    if (whole == days).all():
        return known
    at = np.argmax(whole == known[..., None], axis=-1)
    exact = np.take_along_axis(days, at[..., None], axis=-1)[..., 0]
    return np.where(np.isfinite(known), exact, np.inf)


def _scanned(source: BatchVisits, part: tuple[int, int], rule: ProgressionRule) -> np.ndarray:
    """Scan some trials; return days of confirmation, infinite without an event."""
    rows = source.read(*part)
    measure = default_dictionary().get(rule.outcome)
    table = visit_table(
        rows.columns,
        measure or Measure(name=rule.outcome, label=rule.outcome),
        subject=rows.subject,
        subject_ids=np.empty(rows.n_subjects, dtype=object),
        relapse_subject=rows.relapse_subject,
        relapse_day=rows.relapse_day,
    )
    scan = scan_rule(table, rule)
    onset = scan.found.subjects.event
    known = np.full(rows.n_subjects, np.inf)
    has = onset >= 0
    known[has] = table.day[np.maximum(onset[has], scan.events_at(onset[has]).confirmed)]
    return known
