"""The event table as it is shown: what a reader asks first, in few columns."""

from __future__ import annotations

import math

import pandas as pd

__all__ = ["event_display"]

_OPTIONAL = ("relapse_class", "component", "day_confirmed", "baseline_value", "reason")


def event_display(events: pd.DataFrame) -> pd.DataFrame:
    """Shorten an event table for display.

    Parameters
    ----------
    events : pandas.DataFrame
        The events of an :class:`~pmsstats.endpoints.derivation.time_to_event.EndpointResult`.

    Returns
    -------
    pandas.DataFrame
        Text, as many rows: ``subject_id``, ``baseline_value``, ``status``, ``duration``,
        ``interval`` (in which the event happened, in days from time zero; empty without one),
        ``day_confirmed``, ``relapse_class``, ``component``, ``reason`` (why the subject is
        censored, and why it left). Columns of which nobody has a value are left out.

    Examples
    --------
    >>> events = pd.DataFrame(
    ...     {
    ...         "subject_id": ["S1"],
    ...         "status": ["event"],
    ...         "duration": [333],
    ...         "interval_left": [166.0],
    ...         "interval_right": [333.0],
    ...         "baseline_value": [3.0],
    ...         "day_confirmed": [421],
    ...         "relapse_class": [""],
    ...         "component": [""],
    ...         "censor_reason": [""],
    ...         "exit_reason": [""],
    ...     }
    ... )
    >>> event_display(events).iloc[0].tolist()
    ['S1', '3', 'event', '333', '167 to 333', '421']
    """
    shown = {
        "subject_id": events["subject_id"].astype(str),
        "baseline_value": _numbers(events["baseline_value"]),
        "status": events["status"].astype(str),
        "duration": _numbers(events["duration"]),
        "interval": _intervals(events),
        "day_confirmed": _numbers(events["day_confirmed"]),
        "relapse_class": events["relapse_class"].astype(str),
        "component": events["component"].astype(str),
        "reason": _reasons(events),
    }
    frame = pd.DataFrame({name: list(column) for name, column in shown.items()}, dtype=object)
    return frame.drop(columns=[name for name in _OPTIONAL if (frame[name] == "").all()])


def _numbers(column: pd.Series) -> list[str]:
    """Write numbers, and nothing where there is none."""
    return ["" if pd.isna(value) else f"{value:.6g}" for value in column.tolist()]


def _intervals(events: pd.DataFrame) -> list[str]:
    """Write the days on which an event can have happened; of one day, that."""
    ends = events[["interval_left", "interval_right"]].astype(float).to_numpy().tolist()
    return ["" if math.isinf(right) else _days(left, right) for left, right in ends]


def _days(left: float, right: float) -> str:
    """Write the days after the first up to the second."""
    first = min(left + 1, right)
    return f"{right:.0f}" if first == right else f"{first:.0f} to {right:.0f}"


def _reasons(events: pd.DataFrame) -> list[str]:
    """Say why follow-up ended without an event."""
    return [
        "; ".join(text for text in (why, f"left: {left}" if why and left else "") if text)
        for why, left in zip(events["censor_reason"], events["exit_reason"], strict=True)
    ]
