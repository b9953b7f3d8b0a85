"""Events without a change of a clinical score: recorded, exits, relapses, lesions, volume loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from pmsstats.endpoints.definitions.field_checks import as_tuple, is_number, require_text
from pmsstats.endpoints.definitions.rule_texts import (
    capital,
    check_texts,
    definition,
    require_whole_days,
)
from pmsstats.endpoints.definitions.scan_rules import LesionEventRule, VolumeLossRule
from pmsstats.errors import DesignError, nearest

__all__ = [
    "DAYS_PER_UNIT",
    "DurationUnit",
    "ExitEventRule",
    "LesionEventRule",
    "RecordedEventRule",
    "RelapseEventRule",
    "VolumeLossRule",
]

DurationUnit = Literal["day", "week", "month", "year"]

DAYS_PER_UNIT = {"day": 1.0, "week": 7.0, "month": 365.25 / 12, "year": 365.25}
"""Days of each unit of a recorded duration."""


@dataclass(frozen=True, kw_only=True)
class RecordedEventRule:
    """An event that the subjects table already holds.

    Parameters
    ----------
    duration : str
        Subject column with the time from day 0 to event or censoring.
    event : str
        Subject column that says whether the event happened.
    event_values : tuple
        Values of that column that mean "happened"; by default it must be true / false,
        yes / no or 0 / 1.
    duration_unit : {"day", "week", "month", "year"}
        Unit of the duration column; rounded to whole days.
    name : str
        Short name.
    label : str
        The event in clinical words; by default made from the column name.

    Raises
    ------
    DesignError
        If a field is empty or the unit unknown.

    Examples
    --------
    >>> RecordedEventRule(duration="years", event="status", event_values=("dead",),
    ...                   duration_unit="year", label="death").describe()
    "Death, as recorded for each subject: time from day 0 in `years` (in years), event where \
`status` is 'dead', censored otherwise. Nothing was derived from visits."
    """

    duration: str
    event: str
    event_values: tuple[Any, ...] = ()
    duration_unit: DurationUnit = "day"
    name: str = "recorded"
    label: str = ""

    def __post_init__(self) -> None:
        """Check names and unit."""
        for field in ("duration", "event", "name"):
            require_text(self, field)
        require_text(self, "label", may_be_empty=True)
        if self.duration_unit not in DAYS_PER_UNIT:
            raise DesignError(
                f"`duration_unit` must be one of {', '.join(DAYS_PER_UNIT)}, got "
                f"{self.duration_unit!r}.{nearest(str(self.duration_unit), DAYS_PER_UNIT)}"
            )
        object.__setattr__(self, "event_values", as_tuple(self.event_values))

    @property
    def title(self) -> str:
        """The event in clinical words."""
        return self.label or f"the recorded event `{self.event}`"

    def describe(self) -> str:
        """Write the definition as a paragraph.

        Returns
        -------
        str
            For a protocol or a methods section.
        """
        values = " or ".join(repr(v) for v in self.event_values) or "true"
        return (
            f"{capital(self.title)}, as recorded for each subject: time from day 0 in "
            f"`{self.duration}` (in {self.duration_unit}s), event where `{self.event}` is "
            f"{values}, censored otherwise. Nothing was derived from visits."
        )


@dataclass(frozen=True, kw_only=True)
class ExitEventRule:
    """Leaving the study for certain reasons, such as death, as an event.

    Parameters
    ----------
    reasons : tuple of str
        Reasons in the exits table that count as the event.
    name : str
        Short name.
    label : str
        The event in clinical words; by default the reasons.

    Raises
    ------
    DesignError
        If there is no reason.

    Examples
    --------
    >>> ExitEventRule(reasons=("death",)).title
    'death'
    """

    reasons: tuple[str, ...]
    name: str = "exit"
    label: str = ""

    def __post_init__(self) -> None:
        """Check the reasons."""
        reasons = as_tuple(self.reasons)
        if not reasons or not all(isinstance(r, str) and r for r in reasons):
            raise DesignError(
                f"`reasons` must be a list of reasons of the exits table such as ['death'], got "
                f"{self.reasons!r}."
            )
        object.__setattr__(self, "reasons", reasons)
        require_text(self, "name")
        require_text(self, "label", may_be_empty=True)

    @property
    def title(self) -> str:
        """The event in clinical words."""
        return self.label or " or ".join(self.reasons)

    def describe(self) -> str:
        """Write the definition as a paragraph.

        Returns
        -------
        str
            For a protocol or a methods section.
        """
        reasons = " or ".join(repr(r) for r in self.reasons)
        return (
            f"{capital(self.title)}: time from day 0 to the day of exit, where the reason of the "
            f"exit is {reasons}. Subjects who left for another reason are censored on that day, "
            "all others at their last visit."
        )


@dataclass(frozen=True, kw_only=True)
class RelapseEventRule:
    """The first relapse after day 0.

    Parameters
    ----------
    confirmed_column : str
        Column of the relapses table that is true (or yes, or 1) where a relapse counts
        ("confirmed", "protocol-defined"); those without a value do not. All count by default.
    severity_column : str
        Column of the relapses table with a number that says how severe a relapse was.
    min_severity : float, optional
        Smallest severity that counts; relapses without one do not.
    from_day : int, default 0
        Only relapses after this day count. Time still runs from day 0.
    name : str
        Short name.
    label : str
        The event in clinical words.
    citation : str
        Source of the definition, with DOI.
    note : str
        Where sources differ, or how this differs from the source.

    Raises
    ------
    DesignError
        If a field is of the wrong type, or only one of `severity_column` and `min_severity` is
        given.

    Notes
    -----
    The day of a relapse is known, so the event is exact: both ends of its interval are its day.
    Whether relapses were collected cannot be seen from a table without any.

    Examples
    --------
    >>> RelapseEventRule(confirmed_column="confirmed").title
    'first relapse'
    """

    confirmed_column: str = ""
    severity_column: str = ""
    min_severity: float | None = None
    from_day: int = 0
    name: str = "relapse"
    label: str = ""
    citation: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        """Check texts, day, and that severity comes with a limit."""
        check_texts(self, "confirmed_column", "severity_column")
        require_whole_days(self, "from_day")
        limit = self.min_severity
        if (limit is None) == bool(self.severity_column) or not (limit is None or is_number(limit)):
            raise DesignError(
                f"Rule {self.name!r} needs both `severity_column` and `min_severity` (a number), "
                f"or neither; got {self.severity_column!r} and {limit!r}."
            )

    @property
    def title(self) -> str:
        """The event in clinical words."""
        return self.label or "first relapse"

    def describe(self) -> str:
        """Write the definition as a paragraph.

        Returns
        -------
        str
            For a protocol or a methods section.
        """
        conditions = [
            f"`{self.confirmed_column}` is true" if self.confirmed_column else "",
            f"`{self.severity_column}` is at least {self.min_severity:g}"
            if self.min_severity is not None
            else "",
        ]
        where = " and ".join(c for c in conditions if c)
        return definition(
            self,
            f"{capital(self.title)}: time from day 0 to the onset of the first relapse after day "
            f"{self.from_day}{f' where {where}' if where else ''}. Subjects without one are "
            "censored on the day they left the study, or else at their last visit.",
        )
