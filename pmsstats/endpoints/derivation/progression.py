"""Confirmed progression, derived from a cohort by a rule."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pmsstats.cohort import Cohort, Measure
from pmsstats.endpoints.definitions.presets import progression_rule
from pmsstats.endpoints.definitions.progression_rule import ProgressionRule
from pmsstats.endpoints.derivation.episodes import RELAPSE_CLASSES, episode_table, nullable_days
from pmsstats.endpoints.derivation.time_to_event import (
    UNCONFIRMED,
    EndpointResult,
    endpoint_result,
)
from pmsstats.endpoints.derivation.unused import subjects_left_out, visits_left_out
from pmsstats.endpoints.engine.imputation import imputes_last_visit
from pmsstats.endpoints.engine.rule_scan import RuleScan, event_times, scan_rule
from pmsstats.endpoints.engine.scan_arrays import NO_CLASS
from pmsstats.endpoints.engine.visit_table import prepare
from pmsstats.seeds import Seed

__all__ = ["derive_progression"]

NO_EVENT = "no event up to the last visit"
"""What ``censor_reason`` can say; why the subject left is in ``exit_reason``."""


def derive_progression(
    cohort: Cohort, rule: ProgressionRule | str, *, seed: Seed | None = None
) -> EndpointResult:
    """Derive time to confirmed progression.

    Parameters
    ----------
    cohort : Cohort
        With the outcome among its measures.
    rule : ProgressionRule or str
        The definition, or the name of a preset such as ``"cdp24"``.
    seed : int, SeedSequence or Generator, optional
        Needed where the rule takes unconfirmed changes at the last visit as confirmed with a
        probability between 0 and 1. What is drawn for a subject depends on its id and the seed
        alone, not on the other subjects.

    Returns
    -------
    EndpointResult
        One row per subject at risk; all confirmed changes in ``episodes``.

    Raises
    ------
    SchemaError
        If the cohort has no such measure, or no column that the rule names.
    DesignError
        If there is no such preset, the rule needs a seed, or no subject has a baseline and a
        later value.

    Notes
    -----
    The estimand is the time from the first baseline to the first change that the rule counts, see
    :meth:`ProgressionRule.describe`. Missing values are passed over. An event is dated at its
    onset, the first visit that shows the change; it happened after the last visit before that
    did not show it (``interval_left``). Where the rule asks for multiple events, time runs to the
    first in the rule's direction.

    Examples
    --------
    >>> import pandas as pd
    >>> cohort = Cohort(
    ...     pd.DataFrame({"subject_id": ["S1", "S2"]}),
    ...     pd.DataFrame(
    ...         {
    ...             "subject_id": ["S1"] * 4 + ["S2"] * 4,
    ...             "day": [0, 84, 168, 252] * 2,
    ...             "edss": [4.0, 5.0, 5.0, 5.5, 5.5, 6.0, 6.0, 6.0],
    ...         }
    ...     ),
    ... )
    >>> derive_progression(cohort, "cdp12").table()[["subject_id", "duration", "event"]]
      subject_id  duration  event
    0         S1        84   True
    1         S2       252  False
    """
    rule = progression_rule(rule) if isinstance(rule, str) else rule
    measure = cohort.measure(rule.outcome)
    table = prepare(cohort, rule.outcome)
    imputes = imputes_last_visit(rule, table.subject_ids, seed, exit_reason=table.exit_reason)
    scan = scan_rule(table, rule, imputes=imputes)
    return endpoint_result(
        cohort,
        rule,
        events=_events(scan),
        episodes=episode_table(scan, rule),
        label=rule.title(measure),
        definition=rule.describe(measure),
        exclusions=(
            *subjects_left_out(scan, rule, measure, _source(cohort, rule)),
            *visits_left_out(scan, rule, measure),
        ),
    )


def _source(cohort: Cohort, rule: ProgressionRule) -> Measure | None:
    """Return the measure that decides how much change counts, if it is another one."""
    return cohort.measure(rule.threshold_from) if rule.threshold_from else None


def _events(scan: RuleScan) -> pd.DataFrame:
    """Tabulate time to event, one row per subject at risk."""
    keep = np.flatnonzero(scan.at_risk)
    times, found, table = event_times(scan), scan.found, scan.table
    base, onset = scan.plan.base_row[keep], found.subjects.event[keep]
    event = times.event[keep]
    confirmed, relapse_class = np.full(len(keep), -1), np.full(len(keep), NO_CLASS)
    at_onset = scan.events_at(onset[event])
    confirmed[event], relapse_class[event] = at_onset.confirmed, at_onset.relapse_class
    open_change = np.where(found.subjects.is_open[keep], UNCONFIRMED, NO_EVENT)
    return pd.DataFrame(
        {
            "subject_id": table.subject_ids[keep],
            "duration": times.duration[keep],
            "event": event,
            "interval_left": times.interval_left[keep],
            "interval_right": times.interval_right[keep],
            "day_baseline": table.day[base],
            "baseline_value": table.value[base],
            "day_onset": nullable_days(table.day, onset),
            "day_confirmed": nullable_days(table.day, confirmed),
            "relapse_class": RELAPSE_CLASSES[relapse_class],
            "censor_reason": open_change.astype(object),
        },
        copy=False,
    )
