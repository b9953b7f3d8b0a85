"""The survival table of a joint model: one checked event per subject."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError
from pmsstats.models.events.rows import (
    Rows,
    as_subjects,
    check_cause,
    check_duration,
    check_entry,
    check_event,
    check_time,
    require_columns,
)
from pmsstats.models.formulas.formula import formula_variables

if TYPE_CHECKING:
    from pmsstats.models.joint.spec import JointSpec
    from pmsstats.results import Exclusion

__all__ = ["EventData", "prepare_events"]

_CENSORED = "censored"
_CODE = "pmsstats_cause"
_LOWER, _UPPER, _ENTRY = "pmsstats_lower", "pmsstats_upper", "pmsstats_entry"


@dataclass(frozen=True, kw_only=True, eq=False)
class EventData:
    """What is known of the event of each subject.

    Parameters
    ----------
    ids : tuple
        Subjects, as they stand in the tables.
    frame : pandas.DataFrame
        Their rows of the survival table.
    lower, upper : ndarray, shape (n,)
        No event by `lower`; one by `upper`, which is infinite where none was seen. Equal where
        the time of the event is known.
    cause : ndarray of int, shape (n,)
        Code of the cause, from 0; -1 where no event was seen.
    causes : tuple of str
        Their labels; ``("event",)`` where there is one.
    entry : ndarray, shape (n,)
        From when on subjects were observed; 0 without left truncation.
    """

    ids: tuple[Any, ...]
    frame: pd.DataFrame
    lower: np.ndarray
    upper: np.ndarray
    cause: np.ndarray
    causes: tuple[str, ...]
    entry: np.ndarray

    @property
    def is_exact(self) -> np.ndarray:
        """Return whose event has a known time."""
        return self.lower == self.upper

    @property
    def is_interval(self) -> np.ndarray:
        """Return whose event is known to lie between two times."""
        return (self.lower < self.upper) & np.isfinite(self.upper)

    @property
    def end(self) -> np.ndarray:
        """Return the time of the event, the end of its interval, or the end of follow-up."""
        return np.where(np.isfinite(self.upper), self.upper, self.lower)

    @property
    def event_time(self) -> np.ndarray:
        """Return the times of the events seen, at the middle where only an interval is known."""
        seen = self.cause >= 0
        return 0.5 * (self.lower[seen] + self.upper[seen])

    def take(self, keep: np.ndarray) -> EventData:
        """Keep some subjects.

        Parameters
        ----------
        keep : ndarray of bool, shape (n,)
            Which.

        Returns
        -------
        EventData
            In the same order.
        """
        return EventData(
            ids=tuple(i for i, kept in zip(self.ids, keep, strict=True) if kept),
            frame=self.frame.loc[keep].reset_index(drop=True),
            lower=self.lower[keep],
            upper=self.upper[keep],
            cause=self.cause[keep],
            causes=self.causes,
            entry=self.entry[keep],
        )


def prepare_events(
    survival: pd.DataFrame, spec: JointSpec
) -> tuple[EventData, tuple[Exclusion, ...]]:
    """Check the survival table.

    Parameters
    ----------
    survival : pandas.DataFrame
        One row per subject.
    spec : JointSpec
        Which columns are what.

    Returns
    -------
    events : EventData
        Of the subjects with complete rows.
    exclusions : tuple of Exclusion
        Subjects left out.

    Raises
    ------
    DesignError
        If a column is missing or of the wrong kind, a subject has several rows, times are
        negative, reversed or before entry, or there is no event, or no event of a cause.
    """
    require_columns(survival, _named(survival, spec))
    rows = Rows(survival, "joint model", spec.subject)
    rows.drop(rows.frame[spec.subject].isna(), f"no {spec.subject}")
    rows.forbid(
        rows.frame[spec.subject].duplicated(keep=False),
        "More than one row per subject in `survival`",
        "Keep one row with the end of follow-up; values that change over time are markers.",
    )
    for name in spec.hazard_variables:
        rows.drop(rows.frame[name].isna(), f"no {name}")
        if pd.api.types.is_float_dtype(rows.frame[name].dtype):
            rows.drop(np.isinf(rows.frame[name].astype(float)), f"{name} is infinite")
    causes = _intervals(rows, spec) if spec.is_interval_censored else _durations(rows, spec)
    _check_entries(rows, spec)
    frame = rows.frame
    data = EventData(
        ids=tuple(frame[spec.subject].tolist()),
        frame=frame.reset_index(drop=True),
        lower=frame[_LOWER].to_numpy(dtype=float),
        upper=frame[_UPPER].to_numpy(dtype=float),
        cause=frame[_CODE].to_numpy(dtype=int),
        causes=causes,
        entry=frame[_ENTRY].to_numpy(dtype=float),
    )
    if not (data.cause >= 0).any():
        raise DesignError(
            f"No event among {len(data.ids)} subject(s) with follow-up: a hazard cannot be "
            "estimated. Check the outcome, or describe the marker alone with fit_lmm."
        )
    return data, as_subjects(rows.exclusions)


def _named(survival: pd.DataFrame, spec: JointSpec) -> list[tuple[str, str]]:
    """List the columns that must be there."""
    named = [("hazard", name) for name in formula_variables(spec.hazard)]
    if spec.interaction:
        named += [("interaction", name) for name in formula_variables(spec.interaction)]
    named += [("strata", spec.strata)] if spec.strata else []
    named += [("entry", spec.entry)] if spec.entry else []
    if spec.is_interval_censored:
        return [*named, ("lower", str(spec.lower)), ("upper", str(spec.upper))]
    named += [("duration", spec.duration)]
    if spec.cause is None or spec.event in survival.columns:
        named += [("event", spec.event)]
    return named + ([("cause", spec.cause)] if spec.cause else [])


def _durations(rows: Rows, spec: JointSpec) -> tuple[str, ...]:
    """Check durations and what ended them; the causes become codes."""
    if spec.cause is None:
        check_event(rows, spec.event)
        labels: tuple[str, ...] = ("event",)
        code = rows.frame[spec.event].astype(int)
    else:
        labels = _causes(rows, spec, spec.cause)
        code = rows.frame[_CODE]
    rows.frame = rows.frame.assign(**{_CODE: code})
    check_duration(rows, spec.duration, _CODE)
    time = rows.frame[spec.duration]
    seen = rows.frame[_CODE] > 0
    rows.frame = rows.frame.assign(
        **{
            _LOWER: time,
            _UPPER: time.where(seen, np.inf),
            _CODE: rows.frame[_CODE] - 1,
        }
    )
    return labels


def _causes(rows: Rows, spec: JointSpec, column: str) -> tuple[str, ...]:
    """Turn causes to codes: 0 where no event was seen."""
    if spec.event in rows.frame.columns and spec.event != column:
        check_event(rows, spec.event)
        seen = rows.frame[spec.event]
        rows.drop(seen & rows.frame[column].isna(), f"no {column} of the event")
        seen = rows.frame[spec.event]
    else:
        values = rows.frame[column]
        seen = values.notna() & ~values.isin([0, "0", "", _CENSORED])
    values = rows.frame[column]
    if isinstance(values.dtype, pd.CategoricalDtype):
        levels = [str(level) for level in values.cat.categories if str(level) in _words(values)]
        unseen = [str(c) for c in values.cat.categories if not (values[seen] == c).any()]
        levels = [level for level in levels if level in _words(values[seen])]
    else:
        levels, unseen = sorted(_words(values[seen])), []
    unseen = [level for level in unseen if level not in {_CENSORED, "0", ""}]
    if unseen:
        raise DesignError(
            f"`cause` {column!r} has the category {unseen[0]!r}, but no event of that cause was "
            "observed, so its hazard cannot be estimated. Drop the category, or check the coding."
        )
    if len(levels) == 1:
        raise DesignError(
            f"`cause` {column!r} holds one cause only ({levels[0]!r}): no competing cause was ever "
            "observed. Leave `cause` away and give `event`, or check the coding."
        )
    words = _as_words(values).where(seen, _CENSORED)
    coded = pd.Categorical(words, categories=[_CENSORED, *levels])
    rows.frame = rows.frame.assign(**{_CODE: coded})
    return check_cause(rows, _CODE)


def _as_words(values: pd.Series) -> pd.Series:
    """Turn causes to text; whole numbers without a decimal point."""
    if pd.api.types.is_numeric_dtype(values.dtype):
        return values.map(lambda v: f"{v:g}").astype(object)
    return values.astype(object).map(str)


def _words(values: pd.Series) -> set[str]:
    """Return the causes that occur, as text."""
    return set(_as_words(values.dropna()))


def _intervals(rows: Rows, spec: JointSpec) -> tuple[str, ...]:
    """Check intervals that hold the event."""
    lower, upper = str(spec.lower), str(spec.upper)
    check_time(rows, lower)
    given = rows.frame[upper]
    if not pd.api.types.is_numeric_dtype(given) or pd.api.types.is_bool_dtype(given):
        raise DesignError(
            f"Column {upper!r} must hold numbers (a time; empty where no event was seen), found "
            f"{given.dtype}."
        )
    end = pd.Series(given.to_numpy(dtype=float, na_value=np.nan), index=given.index)
    end = end.where(end.notna(), np.inf)
    rows.frame = rows.frame.assign(**{_LOWER: rows.frame[lower], _UPPER: end})
    rows.forbid(rows.frame[_LOWER] < 0, f"Negative `{lower}`", "Time starts at 0.")
    rows.forbid(
        rows.frame[_LOWER] > rows.frame[_UPPER],
        f"`{lower}` after `{upper}`",
        "The event lies in (lower, upper]: correct the times, or leave such rows out.",
    )
    rows.drop(rows.frame[_UPPER] == 0, "event at time 0, before any follow-up")
    nothing = (rows.frame[_LOWER] == 0) & np.isinf(rows.frame[_UPPER])
    rows.drop(nothing, "no follow-up (no event known after time 0)")
    code = np.where(np.isfinite(rows.frame[_UPPER]), 0, -1)
    rows.frame = rows.frame.assign(**{_CODE: code})
    return ("event",)


def _check_entries(rows: Rows, spec: JointSpec) -> None:
    """Check delayed entry."""
    if spec.entry is None:
        rows.frame = rows.frame.assign(**{_ENTRY: 0.0})
        return
    if spec.is_interval_censored:
        check_time(rows, spec.entry)
        negative = rows.frame[spec.entry] < 0
        rows.forbid(negative, f"Negative `{spec.entry}`", "Time starts at 0: shift the origin.")
        rows.forbid(
            rows.frame[spec.entry] > rows.frame[_LOWER],
            f"`{spec.entry}` after `{spec.lower}`",
            "An event that may lie before entry was not observed: correct the times, or raise "
            "`lower` to the entry.",
        )
    else:
        check_entry(rows, spec.entry, spec.duration)
    rows.frame = rows.frame.assign(**{_ENTRY: rows.frame[spec.entry].astype(float)})
