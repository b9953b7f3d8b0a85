"""Rows at risk of a recurrent event: from lists of events and ends of follow-up."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pmsstats.models.events.rows import Rows, check_time, require_columns

__all__ = ["event_order", "recurrent_intervals"]

_OWN_COLUMNS = ("start", "stop", "event", "event_number")


def recurrent_intervals(
    events: pd.DataFrame,
    follow_up: pd.DataFrame,
    *,
    time: str = "day",
    end: str = "duration",
    subject: str = "subject_id",
) -> pd.DataFrame:
    """Cut each subject's follow-up at its events.

    Parameters
    ----------
    events : pandas.DataFrame
        One row per event, with `subject` and `time`; subjects without events have no row. For
        progression: the ``episodes`` of an endpoint with their ``day_onset``.
    follow_up : pandas.DataFrame
        One row per subject, with `subject`, `end` and covariates.
    time, end : str
        Columns of the time of an event, and of the end of follow-up, in the same unit from 0.
    subject : str, default "subject_id"
        Column of subjects in both.

    Returns
    -------
    pandas.DataFrame
        ``start stop event event_number`` beside the columns of `follow_up`, a row per event and
        one until the end of follow-up; by subject in the order of `follow_up`, then time.

    Raises
    ------
    DesignError
        If a column is missing or holds no times, a subject stands twice in `follow_up` or not at
        all, an event is not after 0 or after the end, or two of a subject are at one time.

    Examples
    --------
    >>> events = pd.DataFrame({"subject_id": ["S1", "S1"], "day": [90, 200]})
    >>> follow_up = pd.DataFrame({"subject_id": ["S1", "S2"], "duration": [365, 100]})
    >>> recurrent_intervals(events, follow_up)[["subject_id", "start", "stop", "event"]]
      subject_id  start   stop  event
    0         S1    0.0   90.0   True
    1         S1   90.0  200.0   True
    2         S1  200.0  365.0  False
    3         S2    0.0  100.0  False
    """
    require_columns(events, [("time", time), ("subject", subject)])
    require_columns(follow_up, [("end", end), ("subject", subject)])
    ends = _ends(follow_up, end, subject)
    happened = _checked_events(events, ends, time, end, subject)
    rows = pd.concat(
        [
            happened.assign(event=True),
            ends.loc[:, [subject, "position", "end"]].rename(columns={"end": "stop"})
            .assign(event=False),
        ],
        ignore_index=True,
    ).sort_values(["position", "stop", "event"], ascending=[True, True, False])  # fmt: skip
    before = rows.groupby("position", sort=False)
    rows["start"] = before["stop"].shift().fillna(0.0)
    rows["event_number"] = before.cumcount() + 1
    rows = rows[rows["stop"] > rows["start"]]  # nobody is at risk after an event at the very end
    carried = follow_up.drop(columns=[c for c in _OWN_COLUMNS if c in follow_up]).reset_index(
        drop=True
    )
    whole = carried.iloc[rows["position"].to_numpy()].reset_index(drop=True)
    return whole.assign(**{c: rows[c].to_numpy() for c in _OWN_COLUMNS})


def _ends(follow_up: pd.DataFrame, end: str, subject: str) -> pd.DataFrame:
    """Check the ends of follow-up."""
    rows = Rows(follow_up, "recurrent events", subject)
    rows.forbid(rows.frame[end].isna(), f"No `{end}`", "Give every subject an end of follow-up.")
    check_time(rows, end)
    rows.forbid(rows.frame[end] <= 0, f"`{end}` not after 0", "Leave such subjects out.")
    rows.forbid(
        rows.subject.duplicated(keep=False), "More than one row of `follow_up`", "Keep one each."
    )
    return pd.DataFrame(
        {subject: rows.subject, "position": np.arange(len(rows.frame)), "end": rows.frame[end]}
    )


def _checked_events(
    events: pd.DataFrame, ends: pd.DataFrame, time: str, end: str, subject: str
) -> pd.DataFrame:
    """Check the times of events against those of follow-up."""
    rows = Rows(events, "recurrent events", subject)
    rows.forbid(rows.frame[time].isna(), f"No `{time}`", "Date every event, or leave it out.")
    check_time(rows, time)
    rows.forbid(rows.frame[time] <= 0, f"`{time}` not after 0", "Follow-up starts at 0.")
    known = pd.DataFrame({subject: rows.subject, "stop": rows.frame[time]}).merge(
        ends, on=subject, how="left"
    )
    known.index = rows.frame.index
    rows.forbid(known["position"].isna(), "Events", "Give these subjects a row of `follow_up`.")
    rows.forbid(known["stop"] > known["end"], f"`{time}` after `{end}`", "Correct one of them.")
    rows.forbid(
        known.duplicated([subject, "stop"], keep=False),
        f"Two events at the same `{time}`",
        "Count them as one, or tell their times apart.",
    )
    return known[[subject, "position", "stop"]]


def event_order(subject: np.ndarray, start: np.ndarray, event: np.ndarray) -> np.ndarray:
    """Count, for each row, which event its subject is at risk of: 1 for the first.

    Parameters
    ----------
    subject : ndarray, shape (n_rows,)
        Whose row it is.
    start : ndarray, shape (n_rows,)
        When it begins.
    event : ndarray of bool, shape (n_rows,)
        Whether an event ends it.

    Returns
    -------
    ndarray of int, shape (n_rows,)
        In the order given.
    """
    order = np.lexsort((start, subject))
    frame = pd.DataFrame({"subject": subject[order], "event": event[order].astype(int)})
    before = frame.groupby("subject", sort=False)["event"].cumsum() - frame["event"]
    number = np.empty(len(order), dtype=int)
    number[order] = before.to_numpy() + 1
    return number
