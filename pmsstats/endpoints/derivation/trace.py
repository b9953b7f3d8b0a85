"""One subject's event traced back to its visits: in a sentence, a table and a figure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pmsstats.cohort import Cohort, Measure
from pmsstats.endpoints.definitions.conditions import LesionFree
from pmsstats.endpoints.definitions.progression_rule import ProgressionRule
from pmsstats.endpoints.derivation.trace_notes import (
    SubjectRows,
    notes_on_visits,
    reference_values,
    roles_of_visits,
)
from pmsstats.endpoints.engine.rule_scan import scan_rule
from pmsstats.endpoints.engine.visit_table import prepare
from pmsstats.errors import DesignError, nearest
from pmsstats.plots.course import plot_course
from pmsstats.provenance import Origin
from pmsstats.results import Exclusion, Result, to_plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pmsstats.endpoints.derivation.time_to_event import EndpointResult

__all__ = ["TRACE_COLUMNS", "SubjectTrace", "trace_subject"]

TRACE_COLUMNS = (
    "visit", "day", "value", "reference_value", "change", "since_relapse", "until_relapse",
    "is_used", "role", "note",
)  # fmt: skip
"""Columns of :attr:`SubjectTrace.visits`."""

_LEAST = 1e-9  # of a change: less is rounding


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class SubjectTrace(Result):
    """What a definition made of one subject's visits.

    Parameters
    ----------
    subject_id : str
        Whose.
    rule : ProgressionRule
        The definition.
    sentence : str
        The event, or why there is none.
    measure : Measure
        The outcome.
    visits : pandas.DataFrame
        See :meth:`table`.
    episodes : pandas.DataFrame
        The subject's confirmed changes, see
        :class:`~pmsstats.endpoints.derivation.time_to_event.EndpointResult`.
    relapses : tuple of int
        Days of the relapses.
    scans : pandas.DataFrame
        ``day`` of visits with a lesion count, ``is_active`` (bool: with new lesions).
    origin : {"real", "synthetic"}
        Of the cohort.
    exclusions : tuple of Exclusion
        None: visits that were not used stand in the table.
    """

    subject_id: str
    rule: ProgressionRule
    sentence: str
    measure: Measure
    visits: pd.DataFrame
    episodes: pd.DataFrame
    relapses: tuple[int, ...]
    scans: pd.DataFrame
    origin: Origin = "real"
    exclusions: tuple[Exclusion, ...] = ()

    def headline(self) -> str:
        """Say what happened to the subject, with days and values.

        Returns
        -------
        str
            One sentence.
        """
        return self.sentence

    def table(self) -> pd.DataFrame:
        """Return the visits, and what each of them did (a copy).

        Returns
        -------
        pandas.DataFrame
            One row per visit: ``visit`` (label, empty where there is none), ``day``, ``value``,
            ``reference_value`` (of the baseline that the visit was compared with; missing where
            it was compared with none, or where the baseline moves in ways that events do not
            show), ``change`` from it, ``since_relapse`` and ``until_relapse`` (days, nullable),
            ``is_used`` (bool: whether it could be baseline, start an event or confirm one),
            ``role`` (baseline, onset, confirmation, last without the event), ``note`` (why it
            was not used, or why a change there does not count).
        """
        return self.visits.copy()

    def display(self) -> pd.DataFrame:
        """Return the table as it is shown: text, without columns of which no visit has anything.

        Returns
        -------
        pandas.DataFrame
            Of text.
        """
        shown = self.visits.drop(columns="is_used")
        texts = pd.DataFrame(
            {
                name: [
                    "" if pd.isna(v) else v if isinstance(v, str) else f"{v:.6g}" for v in column
                ]
                for name, column in shown.items()
            },
            dtype=object,
        )
        empty = [n for n in texts if (texts[n] == "").all() and n not in ("value", "role")]
        return texts.drop(columns=empty)

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw the course: visits, relapses, scans, reference, onset and confirmation.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; the current axes by default.
        **kws
            Handed to :func:`pmsstats.plots.course.plot_course`.

        Returns
        -------
        matplotlib.axes.Axes
            The axes.
        """
        unit = f" ({self.measure.unit})" if self.measure.unit else ""
        options: dict[str, Any] = {
            "y_label": f"{self.measure.label}{unit}",
            "x_label": f"Day (subject {self.subject_id})",
            "scale_steps": self.measure.values,  # noqa: PD011 (a field of Measure)
            "origin": self.origin,
        }
        return plot_course(
            self.visits[["day", "value", "is_used"]],
            episodes=self.episodes,
            relapses=self.relapses,
            scans=self.scans,
            ax=ax,
            **{**options, **kws},
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types.

        Returns
        -------
        dict
            Keys ``schema subject_id rule sentence outcome origin relapses visits episodes scans
            exclusions``.
        """
        plain = ("subject_id", "sentence", "origin", "relapses", "visits", "episodes", "scans",
                 "exclusions")  # fmt: skip
        return {
            "schema": "subject_trace/1",
            "rule": {"type": type(self.rule).__name__, **to_plain(self.rule)},
            "outcome": self.measure.name,
            **{name: to_plain(getattr(self, name)) for name in plain},
        }


def trace_subject(cohort: Cohort, result: EndpointResult, subject_id: str) -> SubjectTrace:
    """Trace one subject's event, or its absence, back to the visits.

    Parameters
    ----------
    cohort : Cohort
        Of which the result was derived.
    result : EndpointResult
        Of a progression rule.
    subject_id : str
        Whose.

    Returns
    -------
    SubjectTrace
        A sentence, a table of the visits, a figure.

    Raises
    ------
    DesignError
        If the rule is no progression rule, or there is no such subject.

    Notes
    -----
    The events are those of the result. Notes on visits explain them; the note "not as the rule
    asks" stands where a change is neither too small, nor unconfirmed, nor barred, but another
    field of the rule (lasting, class, functional systems, level at confirmation) passes it over.

    Examples
    --------
    >>> from pmsstats.endpoints import derive_progression
    >>> cohort = Cohort(
    ...     pd.DataFrame({"subject_id": ["S1"]}),
    ...     pd.DataFrame(
    ...         {"subject_id": "S1", "day": [0, 84, 170, 260], "edss": [4.0, 4.5, 5.0, 5.0]}
    ...     ),
    ... )
    >>> trace = trace_subject(cohort, derive_progression(cohort, "cdp12"), "S1")
    >>> print(trace.headline())
    S1 had 12-week confirmed EDSS progression: EDSS 5 on day 170 after 4 on day 0 (by 1, where 1 \
counts), confirmed on day 260 by 5; it came after day 84 and up to day 170.
    >>> trace.table()["role"].tolist()[:3]
    ['baseline', 'last without the event', 'onset of worsening']
    """
    rule = result.rule
    if not isinstance(rule, ProgressionRule):
        raise DesignError(
            f"`result` must be of a progression rule, but {rule.name!r} is a "
            f"{type(rule).__name__}. Trace its parts, each derived on its own."
        )
    subject_id = str(subject_id)
    ids = cohort.subjects["subject_id"].astype(str)
    if subject_id not in set(ids):
        raise DesignError(f"`subject_id` {subject_id!r} is not in the cohort."
                          f"{nearest(subject_id, ids.tolist())}")  # fmt: skip
    subject = _subject_rows(cohort, result, rule, subject_id)
    measure = cohort.measure(rule.outcome)
    event = result.events[result.events["subject_id"].astype(str) == subject_id]
    return SubjectTrace(
        subject_id=subject_id,
        rule=rule,
        sentence=_sentence(result, subject, measure, event, subject_id),
        measure=measure,
        visits=_visits(cohort, rule, subject, subject_id, _day_left(event)),
        episodes=subject.episodes,
        relapses=_relapses(cohort, subject_id),
        scans=_scans(cohort, rule, subject_id),
        origin=cohort.origin,
    )


def _subject_rows(
    cohort: Cohort, result: EndpointResult, rule: ProgressionRule, subject_id: str
) -> SubjectRows:
    """Read the visits as the rule did."""
    table = prepare(cohort, rule.outcome)
    scan = scan_rule(table, rule)
    i = int(np.flatnonzero(table.subject_ids.astype(str) == subject_id)[0])
    first, stop = int(table.offsets[i]), int(table.offsets[i + 1])
    at_risk = bool(scan.at_risk[i])
    episodes = result.episodes
    return SubjectRows(
        scan=scan,
        rule=rule,
        rows=slice(first, stop),
        base=int(scan.plan.base_row[i]) - first if at_risk else -1,
        start=int(scan.found.subjects.start[i]) - first if at_risk else -1,
        episodes=episodes[episodes["subject_id"].astype(str) == subject_id].reset_index(drop=True),
    )


def _day_left(event: pd.DataFrame) -> float:
    """Return the day of the last visit without the event; NaN without one."""
    if event.empty or not event["event"].iloc[0]:
        return np.nan
    return float(event["day_baseline"].iloc[0] + event["interval_left"].iloc[0])


def _visits(
    cohort: Cohort, rule: ProgressionRule, subject: SubjectRows, subject_id: str, day_left: float
) -> pd.DataFrame:
    """Tabulate all visits, also those without a value."""
    own = cohort.visits
    own = own[own["subject_id"].astype(str) == subject_id]
    table, rows = subject.scan.table, subject.rows
    reference, _row = reference_values(subject)
    notes = notes_on_visits(subject)
    seen = pd.DataFrame(
        {
            "day": subject.day,
            "reference_value": reference,
            "since_relapse": _whole(table.since[rows]),
            "until_relapse": _whole(table.until[rows]),
            "is_used": _is_used(subject),
            "role": roles_of_visits(subject, day_left),
            "note": notes,
        }
    )
    frame = pd.DataFrame(
        {
            "visit": own["visit"].astype(str).to_numpy() if "visit" in own else "",
            "day": own["day"].to_numpy(dtype=np.int64),
            "value": own[rule.outcome].to_numpy(dtype=float),
        }
    ).merge(seen, on="day", how="left", validate="one_to_one")
    frame["is_used"] = frame["is_used"].eq(other=True)
    frame["role"] = frame["role"].fillna("")
    missing = f"no {cohort.measure(rule.outcome).label}"
    frame["note"] = frame["note"].fillna(missing)
    change = frame["value"] - frame["reference_value"]
    frame["change"] = change.where(change.abs() > _LEAST, change * 0)
    return frame[list(TRACE_COLUMNS)]


def _is_used(subject: SubjectRows) -> np.ndarray:
    """Say which visits could be baseline, start an event or confirm one."""
    n = len(subject.day)
    if subject.start < 0:
        return np.zeros(n, dtype=bool)
    row, visits = np.arange(n), subject.visits
    may = visits["may_start"] | (visits["may_confirm"] & bool(subject.rule.windows))
    return (row == subject.start) | ((row > subject.start) & may)


def _whole(days: np.ndarray) -> pd.arrays.IntegerArray:
    """Return days as whole numbers, missing where infinite."""
    finite = np.isfinite(days)
    return pd.arrays.IntegerArray(np.where(finite, days, 0).astype(np.int64), ~finite)


def _relapses(cohort: Cohort, subject_id: str) -> tuple[int, ...]:
    """Return the days of a subject's relapses."""
    own = cohort.relapses
    own = own.loc[own["subject_id"].astype(str) == subject_id, "day"]
    return tuple(sorted(int(day) for day in own))


def _scans(cohort: Cohort, rule: ProgressionRule, subject_id: str) -> pd.DataFrame:
    """Return the scans of a subject, by the counts that the rule names or new lesions are in."""
    own = cohort.visits
    own = own[own["subject_id"].astype(str) == subject_id]
    names = [name for name in (rule.lesion_free or LesionFree()).measures if name in own]
    counts = own[names].to_numpy(dtype=float).reshape(len(own), len(names))
    scanned = ~np.isnan(counts).all(axis=1)
    active = (np.nan_to_num(counts) > 0).any(axis=1)
    day = own["day"].to_numpy(dtype=np.int64)
    return pd.DataFrame({"day": day[scanned], "is_active": active[scanned]})


def _sentence(
    result: EndpointResult,
    subject: SubjectRows,
    measure: Measure,
    event: pd.DataFrame,
    subject_id: str,
) -> str:
    """Say in one sentence what happened."""
    if event.empty:
        why = [e.reason for e in result.exclusions
               if e.unit == "subject" and subject_id in e.subject_ids]  # fmt: skip
        return f"{subject_id} is not at risk for {result.label}: {'; '.join(why)}."
    row = event.iloc[0]
    end = int(row["day_baseline"] + row["duration"])
    if not row["event"]:
        left = f"; left: {row['exit_reason']}" if row["exit_reason"] else ""
        return (
            f"{subject_id} had no {result.label} up to day {end}: {row['censor_reason']}{left}"
            f"{_more(subject, 0)}."
        )
    episodes = subject.episodes
    episode = episodes[episodes["day_onset"] == row["day_onset"]].iloc[0]
    return (
        f"{subject_id} had {result.label}: {_change(subject, measure, episode)}; it came after day "
        f"{int(row['day_baseline'] + row['interval_left'])} and up to day {end}{_more(subject, 1)}."
    )


def _change(subject: SubjectRows, measure: Measure, episode: pd.Series) -> str:
    """Write a confirmed change with its days and values."""
    onset, reference = float(episode["onset_value"]), float(episode["reference_value"])
    kind = f" ({episode['relapse_class']})" if episode["relapse_class"] else ""
    text = (
        f"{measure.label} {onset:.6g} on day {episode['day_onset']} after {reference:.6g} on day "
        f"{episode['day_reference']} (by {abs(onset - reference):.6g}"
        f"{_need(subject, episode)}){kind}"
    )
    if episode["imputed"]:
        return f"{text}, taken as confirmed at the last visit"
    if pd.isna(episode["day_confirmed"]):
        return text
    confirmed = float(episode["confirmed_value"])
    return f"{text}, confirmed on day {episode['day_confirmed']} by {confirmed:.6g}"


def _need(subject: SubjectRows, episode: pd.Series) -> str:
    """Say how much change counts, where that is known from the reference visit."""
    rule, row = subject.rule, subject.row_of(episode["day_reference"])
    up = (episode["onset_value"] > episode["reference_value"]) == (rule.direction == "increase")
    need = float(subject.visits["need" if up else "need_opposite"][row])
    own = abs(subject.scan.table.value[subject.rows][row] - episode["reference_value"]) <= _LEAST
    return f", where {need:.6g} counts" if own and np.isfinite(need) else ""


def _more(subject: SubjectRows, n_told: int) -> str:
    """Say how many other confirmed changes there are."""
    n = len(subject.episodes) - n_told
    other = "other " if n_told else ""
    return f"; {n} {other}confirmed change{'s' * (n > 1)}" if n > 0 else ""
