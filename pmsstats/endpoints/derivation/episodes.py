"""All confirmed changes that a scan has met, as a table."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pmsstats.endpoints.definitions.progression_rule import ProgressionRule
from pmsstats.endpoints.engine.rule_scan import RuleScan
from pmsstats.endpoints.engine.visit_table import IntArray

__all__ = ["RELAPSE_CLASSES", "episode_table", "nullable_days"]

RELAPSE_CLASSES = np.array(["", "RAW", "PIRA", "undetermined"], dtype=object)
"""What relapses have to do with a worsening, by the engine's codes."""

_CHANGES = np.array(["improvement", "worsening"], dtype=object)


def nullable_days(day: IntArray, rows: IntArray) -> pd.api.extensions.ExtensionArray:
    """Return the day of each row.

    Parameters
    ----------
    day : ndarray of int, shape (n_rows,)
        Study days.
    rows : ndarray of int
        Rows, -1 for none.

    Returns
    -------
    pandas array of Int64
        Missing where there is no row.
    """
    return pd.arrays.IntegerArray(day[np.maximum(rows, 0)], rows < 0)


def episode_table(scan: RuleScan, rule: ProgressionRule) -> pd.DataFrame:
    """Tabulate the confirmed changes.

    Parameters
    ----------
    scan : RuleScan
        What the rule found.
    rule : ProgressionRule
        The definition: its windows name columns.

    Returns
    -------
    pandas.DataFrame
        See :class:`~pmsstats.endpoints.derivation.time_to_event.EndpointResult`; in the order of
        the subjects, then of onset.
    """
    table, found, plan = scan.table, scan.found, scan.plan
    rows = np.flatnonzero(found.place >= 0)
    subject = table.subject[rows]
    sign = 1.0 if rule.direction == "increase" else -1.0
    events, windows = scan.events_at(rows), found.windows[found.place[rows]]
    is_worsening = events.sense == plan.arrays.fields["worse"]
    value = np.append(table.value, np.nan)
    columns = {
        "subject_id": table.subject_ids[subject],
        "episode": _number_within(subject),
        "change": _CHANGES[is_worsening.astype(int)],
        "relapse_class": RELAPSE_CLASSES[events.relapse_class],
        "day_reference": nullable_days(table.day, events.reference),
        "reference_value": sign * events.reference_x,
        "day_onset": nullable_days(table.day, rows),
        "onset_value": table.value[rows],
        "day_last_unchanged": nullable_days(table.day, events.unchanged),
        "day_confirmed": nullable_days(table.day, events.confirmed),
        "confirmed_value": value[events.confirmed],
    }
    for window, weeks in enumerate(w.weeks for w in rule.windows):
        for which, name in enumerate(("", "pira_")):
            days = nullable_days(table.day, windows[:, window, which])
            columns[f"day_{name}confirmed_{weeks}w"] = days
    columns["day_sustained_to"] = nullable_days(table.day, events.held)
    columns["sustained_to_end"] = events.held == plan.last_row[subject]
    columns["imputed"] = events.imputed
    return pd.DataFrame(columns, copy=False)


def _number_within(subject: IntArray) -> NDArray[np.int64]:
    """Count the rows of each subject from 1; codes ascend."""
    rows = np.arange(len(subject))
    starts = np.flatnonzero(np.diff(subject, prepend=-1))
    return rows - np.repeat(rows[starts], np.diff(np.append(starts, len(subject)))) + 1
