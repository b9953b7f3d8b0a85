"""Time to event: the result that every endpoint gives."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd

from pmsstats.cohort import Cohort
from pmsstats.errors import DesignError, first_ids
from pmsstats.plots.events import plot_events
from pmsstats.provenance import Origin
from pmsstats.results import Exclusion, Result, exclude, format_number, to_plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "EVENT_COLUMNS",
    "UNCONFIRMED",
    "EndpointResult",
    "EndpointRule",
    "endpoint_result",
    "left_out",
    "nobody_at_risk",
]

UNCONFIRMED = "change at the last visit not confirmed"
"""Why a subject is censored whose last visit shows a change that none could confirm."""

EVENT_COLUMNS = (
    "subject_id", "duration", "event", "day_baseline", "baseline_value", "day_onset",
    "day_confirmed", "censor_reason", "exit_reason",
)  # fmt: skip
"""Columns of :attr:`EndpointResult.events`."""


class EndpointRule(Protocol):
    """What every endpoint definition offers."""

    @property
    def name(self) -> str:
        """Short name, for file and step names."""

    def describe(self) -> str:
        """Write the definition as a paragraph."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class EndpointResult(Result):
    """Time to an event, one row per subject at risk.

    Parameters
    ----------
    rule : EndpointRule
        The definition.
    label : str
        The event in clinical words.
    definition : str
        The definition as a paragraph.
    events : pandas.DataFrame
        One row per subject at risk, in the order of the subjects table: ``subject_id``,
        ``duration`` (int, days from baseline), ``event`` (bool), ``day_baseline`` (int),
        ``baseline_value``, ``day_onset``, ``day_confirmed`` (nullable int), ``censor_reason``
        (empty for an event), ``exit_reason`` (from the exits table, else empty).
    n_subjects : int
        Subjects at risk.
    n_events : int
        Those with an event.
    origin : {"real", "synthetic"}
        Of the cohort.
    exclusions : tuple of Exclusion
        Subjects not at risk and visits not used, with reasons; each counted once.
    """

    rule: EndpointRule
    label: str
    definition: str
    events: pd.DataFrame
    n_subjects: int
    n_events: int
    origin: Origin = "real"
    exclusions: tuple[Exclusion, ...] = ()

    @property
    def subject_years(self) -> float:
        """Time at risk of all subjects, in years."""
        return float(self.events["duration"].sum()) / 365.25

    def headline(self) -> str:
        """Say how many subjects reached the event, in how much time, under which definition.

        Returns
        -------
        str
            One sentence.
        """
        share = _percent(self.n_events / self.n_subjects)
        who = "subject" if self.n_subjects == 1 else "subjects"
        years = format_number(self.subject_years, 3)
        left_out = sum(e.n for e in self.exclusions if e.unit == "subject")
        where = "In synthetic data, " if self.origin == "synthetic" else ""
        waiting = int((self.events["censor_reason"] == UNCONFIRMED).sum())
        rest = f"; {waiting} more changed at their last visit, unconfirmed" if waiting else ""
        rest += f"; {left_out} could not be assessed" if left_out else ""
        return (
            f"{where}{self.n_events} of {self.n_subjects} {who} ({share}) reached {self.label} "
            f"over {years} subject-years (definition: {self.rule.name}){rest}."
        )

    def table(self) -> pd.DataFrame:
        """Return the event table, one row per subject at risk (a copy).

        Returns
        -------
        pandas.DataFrame
            Columns :data:`EVENT_COLUMNS`.
        """
        return self.events.copy()

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw one line of follow-up per subject, with a mark at each event.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; the current axes by default.
        **kws
            Handed to :func:`pmsstats.plots.events.plot_events`.

        Returns
        -------
        matplotlib.axes.Axes
            The axes.
        """
        data = self.events[["subject_id", "event"]].assign(year=self.events["duration"] / 365.25)
        kws.setdefault("event_label", self.label)
        kws.setdefault("origin", self.origin)
        return plot_events(data, ax=ax, **kws)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types.

        Returns
        -------
        dict
            Keys ``schema rule label definition origin n_subjects n_events subject_years events
            exclusions``.
        """
        return {
            "schema": "endpoint_result/1",
            "rule": {"type": type(self.rule).__name__, **to_plain(self.rule)},
            "label": self.label,
            "definition": self.definition,
            "origin": self.origin,
            "n_subjects": self.n_subjects,
            "n_events": self.n_events,
            "subject_years": self.subject_years,
            "events": to_plain(self.events),
            "exclusions": to_plain(self.exclusions),
        }


def endpoint_result(
    cohort: Cohort,
    rule: EndpointRule,
    *,
    label: str,
    events: pd.DataFrame,
    exclusions: tuple[Exclusion, ...],
    definition: str | None = None,
) -> EndpointResult:
    """Complete the event table to its contract and wrap it up.

    Parameters
    ----------
    cohort : Cohort
        Where it came from.
    rule : EndpointRule
        The definition.
    label : str
        The event in clinical words.
    events : pandas.DataFrame
        Some of :data:`EVENT_COLUMNS`; the others are filled in.
    exclusions : tuple of Exclusion
        What was left out.
    definition : str, optional
        The paragraph; by default the rule's own.

    Returns
    -------
    EndpointResult
        The result.

    Raises
    ------
    DesignError
        If nobody is at risk.
    """
    if events.empty:
        raise DesignError(nobody_at_risk(label, exclusions))
    frame = events.reset_index(drop=True)
    onset = frame["day_baseline"] + frame["duration"]
    frame["day_onset"] = frame.get("day_onset", onset.astype("Int64").where(frame["event"]))
    frame["day_confirmed"] = frame.get(
        "day_confirmed", pd.array([pd.NA] * len(frame), dtype="Int64")
    )
    frame["baseline_value"] = frame.get("baseline_value", np.nan)
    frame["censor_reason"] = np.where(frame["event"], "", frame["censor_reason"])
    exits = cohort.exits.drop_duplicates("subject_id").set_index("subject_id")["reason"]
    frame["exit_reason"] = frame["subject_id"].map(exits.astype(str)).fillna("").astype(object)
    return EndpointResult(
        rule=rule,
        label=label,
        definition=definition or rule.describe(),
        events=frame[list(EVENT_COLUMNS)],
        n_subjects=len(frame),
        n_events=int(frame["event"].sum()),
        origin=cohort.origin,
        exclusions=exclusions,
    )


def left_out(name: str, ids: pd.Series, reasons: pd.Series) -> tuple[Exclusion, ...]:
    """Count the subjects left out, reason by reason.

    Parameters
    ----------
    name : str
        Of the rule.
    ids : pandas.Series
        Subject ids.
    reasons : pandas.Series
        As long; empty where the subject is kept.

    Returns
    -------
    tuple of Exclusion
        One per reason, in the order in which they are met.
    """
    return tuple(
        entry
        for reason in dict.fromkeys(reasons[reasons != ""])
        for entry in exclude(
            f"endpoint {name}", "subject", reason, ids[(reasons == reason).to_numpy()]
        )
    )


def nobody_at_risk(label: str, exclusions: Iterable[Exclusion]) -> str:
    """Say why no subject could be assessed.

    Parameters
    ----------
    label : str
        The event in clinical words.
    exclusions : iterable of Exclusion
        Why subjects were left out.

    Returns
    -------
    str
        An error message.
    """
    why = "; ".join(
        f"{e.reason}: {e.n} ({first_ids(e.subject_ids)})" for e in exclusions if e.unit == "subject"
    )
    return (
        f"No subject can be assessed for {label} ({why}). Check that the measure is filled in and "
        "that day 0 is baseline."
    )


def _percent(share: float) -> str:
    """Write a share in whole percent, without calling a few nobody or most everybody."""
    percent = round(100 * share)
    if percent == 0 and share > 0:
        return "<1 %"
    return ">99 %" if percent == 100 and share < 1 else f"{percent} %"
