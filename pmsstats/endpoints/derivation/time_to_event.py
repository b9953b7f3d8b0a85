"""Time to event: the result that every endpoint gives."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pmsstats.cohort import Cohort
from pmsstats.endpoints.definitions.modified import definition_name
from pmsstats.endpoints.derivation.event_counts import count_events
from pmsstats.endpoints.derivation.event_display import event_display
from pmsstats.endpoints.derivation.trace import SubjectTrace, trace_subject
from pmsstats.errors import DesignError, first_ids
from pmsstats.plots.events import plot_events
from pmsstats.provenance import Origin
from pmsstats.results import Exclusion, Result, exclude, format_number, to_plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "EPISODE_COLUMNS",
    "EVENT_COLUMNS",
    "UNCONFIRMED",
    "EndpointResult",
    "EndpointRule",
    "endpoint_result",
    "left_out",
    "no_episodes",
    "nobody_at_risk",
]

UNCONFIRMED = "change at the last visit not confirmed"
"""Why a subject is censored whose last visit shows a change that none could confirm."""

DEATH = "death"
DEATH_WORDS = frozenset({"death", "died", "dead", "deceased"})
"""Reasons of exit that mean death, whatever their case."""

"""The reason of an exit that makes it a death."""

EVENT_COLUMNS = (
    "subject_id", "duration", "event", "status", "interval_left", "interval_right",
    "death_duration", "day_baseline", "baseline_value", "day_onset", "day_confirmed",
    "relapse_class", "component", "censor_reason", "exit_reason",
)  # fmt: skip
"""Columns of :attr:`EndpointResult.events`."""

EPISODE_COLUMNS = (
    "subject_id", "episode", "change", "relapse_class", "day_reference", "reference_value",
    "day_onset", "onset_value", "day_last_unchanged", "day_confirmed", "confirmed_value",
    "day_sustained_to", "sustained_to_end", "imputed",
)  # fmt: skip
"""Columns that :attr:`EndpointResult.episodes` always has."""

_EPISODE_TYPES = {
    "episode": "int64", "reference_value": "float64", "onset_value": "float64",
    "confirmed_value": "float64", "sustained_to_end": "bool", "imputed": "bool",
}  # fmt: skip


def no_episodes() -> pd.DataFrame:
    """Return a table of episodes without a row.

    Returns
    -------
    pandas.DataFrame
        Columns :data:`EPISODE_COLUMNS`.
    """
    types = {
        name: _EPISODE_TYPES.get(name, "Int64" if name.startswith("day_") else "object")
        for name in EPISODE_COLUMNS
    }
    return pd.DataFrame({name: pd.Series(dtype=dtype) for name, dtype in types.items()})


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
        ``duration`` (int, days from time zero, the first baseline), ``event`` (bool), ``status``
        (``"event"``, ``"death"`` without the event, or ``"censored"``), ``interval_left`` and
        ``interval_right`` (float, days from time zero: the event came after the first and up to
        the second, which is infinite if it was not seen; both are the duration where it was
        observed exactly), ``death_duration`` (nullable int, days from time zero, of those who
        died without the event), ``day_baseline`` (int), ``baseline_value``, ``day_onset``,
        ``day_confirmed`` (nullable int), ``relapse_class`` (``"RAW"``, ``"PIRA"``,
        ``"undetermined"``, or empty where events are not told apart), ``component`` (the part
        that made a composite event, else empty), ``censor_reason`` (empty for an event),
        ``exit_reason`` (from the exits table, else empty).
    n_subjects : int
        Subjects at risk.
    n_events : int
        Those with an event.
    origin : {"real", "synthetic"}
        Of the cohort.
    exclusions : tuple of Exclusion
        Subjects not at risk and visits not used, with reasons; each counted once.
    episodes : pandas.DataFrame
        One row per confirmed change that the search met, in order of onset; days are study days:
        ``subject_id``, ``episode`` (1, 2, ...), ``change`` (``"worsening"`` or
        ``"improvement"``), ``relapse_class``, ``day_reference`` and ``reference_value`` (the
        baseline at that time), ``day_onset``, ``onset_value``, ``day_last_unchanged``,
        ``day_confirmed``, ``confirmed_value``, ``day_confirmed_12w`` and
        ``day_pira_confirmed_12w`` for a confirmation window of 12 weeks and so on,
        ``day_sustained_to``, ``sustained_to_end``, ``imputed``. Empty for events that are not
        derived from repeated measurements.
    """

    rule: EndpointRule
    label: str
    definition: str
    events: pd.DataFrame
    n_subjects: int
    n_events: int
    origin: Origin = "real"
    exclusions: tuple[Exclusion, ...] = ()
    episodes: pd.DataFrame = field(default_factory=no_episodes)

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
        if getattr(self.rule, "events", "") == "multiple":
            rest += f"; {len(self.episodes)} confirmed changes in all"
        return (
            f"{where}{self.n_events} of {self.n_subjects} {who} ({share}) reached {self.label} "
            f"over {years} subject-years (definition: {definition_name(self.rule)}){rest}."
        )

    def table(self) -> pd.DataFrame:
        """Return the event table, one row per subject at risk (a copy).

        Returns
        -------
        pandas.DataFrame
            Columns :data:`EVENT_COLUMNS`.
        """
        return self.events.copy()

    def display(self) -> pd.DataFrame:
        """Return the event table as it is shown: text, in few columns.

        Returns
        -------
        pandas.DataFrame
            See :func:`~pmsstats.endpoints.derivation.event_display.event_display`.
        """
        return event_display(self.events)

    def counts(
        self, cohort: Cohort, *, change: str = "worsening", relapse_class: str = ""
    ) -> pd.DataFrame:
        """Count the events of each subject, of a rule with ``events="multiple"``.

        Parameters
        ----------
        cohort : Cohort
            Of which this was derived.
        change : {"worsening", "improvement"}
            Which changes.
        relapse_class : {"", "RAW", "PIRA", "undetermined"}
            Only worsenings of this class; all by default.

        Returns
        -------
        pandas.DataFrame
            ``subject_id``, ``n_events`` and ``years`` at risk, see
            :func:`~pmsstats.endpoints.derivation.event_counts.count_events`.

        Raises
        ------
        DesignError
            If the rule is of another kind, a choice is unknown, or the cohort another one.
        """
        return count_events(cohort, self, change=change, relapse_class=relapse_class)

    def trace(self, cohort: Cohort, subject_id: str) -> SubjectTrace:
        """Trace one subject's event, or its absence, back to the visits.

        Parameters
        ----------
        cohort : Cohort
            Of which this was derived.
        subject_id : str
            Whose.

        Returns
        -------
        SubjectTrace
            A sentence, a table of the visits and what each did, a figure of the course.

        Raises
        ------
        DesignError
            If the rule is no progression rule, or there is no such subject.
        """
        return trace_subject(cohort, self, subject_id)

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

    def status_at(self, day: float) -> pd.Series:
        """Say who has had the event by a day.

        Parameters
        ----------
        day : float
            Days from time zero.

        Returns
        -------
        pandas.Series
            ``"event"``, ``"no event"`` (known not to have happened by then) or ``"unknown"``
            (not assessed up to that day, or the day lies within the interval of a later event),
            by subject id.

        Notes
        -----
        For composites, absence of evidence asks for more: see
        :func:`~pmsstats.endpoints.derivation.status.derive_status`.
        """
        duration = self.events["duration"].to_numpy()
        happened = self.events["event"].to_numpy() & (duration <= day)
        is_free = self.events["interval_left"].to_numpy() >= day
        status = np.where(happened, "event", np.where(is_free, "no event", "unknown"))
        ids = pd.Index(self.events["subject_id"], name="subject_id")
        return pd.Series(status.astype(object), index=ids, name="status")

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types.

        Returns
        -------
        dict
            Keys ``schema rule label definition origin n_subjects n_events subject_years events
            episodes exclusions``.
        """
        return {
            "schema": "endpoint_result/2",
            "rule": {"type": type(self.rule).__name__, **to_plain(self.rule)},
            "label": self.label,
            "definition": self.definition,
            "origin": self.origin,
            "n_subjects": self.n_subjects,
            "n_events": self.n_events,
            "subject_years": self.subject_years,
            "events": to_plain(self.events),
            "episodes": to_plain(self.episodes),
            "exclusions": to_plain(self.exclusions),
        }


def is_death(reasons: NDArray[np.object_]) -> NDArray[np.bool_]:
    """Say which reasons of exit mean death.

    Parameters
    ----------
    reasons : ndarray of object
        Texts.

    Returns
    -------
    ndarray of bool
        True for the words of :data:`DEATH_WORDS`, whatever their case.
    """
    return np.array([str(reason).strip().casefold() in DEATH_WORDS for reason in reasons], bool)


def endpoint_result(
    cohort: Cohort,
    rule: EndpointRule,
    *,
    label: str,
    events: pd.DataFrame,
    exclusions: tuple[Exclusion, ...],
    definition: str | None = None,
    episodes: pd.DataFrame | None = None,
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
        Some of :data:`EVENT_COLUMNS`; the others are filled in. Without intervals, events count
        as observed exactly.
    exclusions : tuple of Exclusion
        What was left out.
    definition : str, optional
        The paragraph; by default the rule's own.
    episodes : pandas.DataFrame, optional
        See :class:`EndpointResult`; none by default.

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
    columns = {name: frame[name] for name in frame.columns}
    _fill_days(columns)
    _fill_intervals(columns)
    _fill_exits(columns, cohort)
    return EndpointResult(
        rule=rule,
        label=label,
        definition=definition or rule.describe(),
        events=pd.DataFrame({name: columns[name] for name in EVENT_COLUMNS}, copy=False),
        n_subjects=len(frame),
        n_events=int(frame["event"].sum()),
        origin=cohort.origin,
        exclusions=exclusions,
        episodes=no_episodes() if episodes is None else episodes.reset_index(drop=True),
    )


def _fill_days(columns: dict[str, Any]) -> None:
    """Fill in what an event without a derivation does not have."""
    event = columns["event"]
    if "day_onset" not in columns:
        onset = columns["day_baseline"] + columns["duration"]
        columns["day_onset"] = onset.astype("Int64").where(event)
    if "day_confirmed" not in columns:
        columns["day_confirmed"] = pd.Series(pd.NA, index=event.index, dtype="Int64")
    columns.setdefault("baseline_value", pd.Series(np.nan, index=event.index))
    for name in ("relapse_class", "component"):
        columns.setdefault(name, pd.Series("", index=event.index, dtype=object))
    reason = columns["censor_reason"].to_numpy(dtype=object)
    columns["censor_reason"] = np.where(event, "", reason)


def _fill_intervals(columns: dict[str, Any]) -> None:
    """Take events as observed exactly where no interval is given."""
    duration = columns["duration"].astype(float)
    columns.setdefault("interval_left", duration)
    columns.setdefault("interval_right", duration.where(columns["event"], np.inf))


def _fill_exits(columns: dict[str, Any], cohort: Cohort) -> None:
    """Say how follow-up ended, and when those died who had no event."""
    exits = cohort.exits
    row = pd.Index(exits["subject_id"]).get_indexer(columns["subject_id"])
    event = columns["event"].to_numpy(dtype=bool)
    reasons = exits["reason"].to_numpy(dtype=object)
    reason = np.append(np.where(pd.isna(reasons), "", reasons), "")[row]
    died = is_death(reason) & ~event
    day = np.append(exits["day"].to_numpy(dtype=np.int64), 0)[row]
    days = day - columns["day_baseline"].to_numpy(dtype=np.int64)
    columns["exit_reason"] = reason
    columns["status"] = np.where(event, "event", np.where(died, DEATH, "censored")).astype(object)
    columns["death_duration"] = pd.arrays.IntegerArray(days, ~died)


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
