"""The progression rule: a definition of confirmed change as checked, frozen data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from pmsstats.cohort.schema import Measure, default_dictionary
from pmsstats.endpoints.thresholds import Direction, Threshold
from pmsstats.errors import DesignError, nearest

__all__ = ["ProgressionRule", "require_text"]

BaselineScheme = Literal["fixed"]


@dataclass(frozen=True, kw_only=True)
class ProgressionRule:
    """A definition of confirmed progression (or improvement) of one measure.

    Parameters
    ----------
    name : str
        Short name, such as ``"cdp12"``.
    outcome : str
        Measure: a column of the visits table.
    threshold : AbsoluteThreshold, RelativeThreshold or StepThreshold
        How much change from baseline counts.
    direction : {"increase", "decrease"}
        Which change counts. A higher EDSS or time is worse, a lower SDMT score is.
    baseline : {"fixed"}
        The baseline stays the same throughout.
    baseline_window_days : int, default 0
        How long after day 0 the first value may still serve as baseline, for subjects without
        one at or before day 0. Trials allow none.
    confirm_weeks : int or None
        The change must still be there this many weeks later; None takes it unconfirmed.
    confirm_tolerance_days : int, default 0
        How many days too early the confirming visit may be.
    relapse_days : int, default 0
        A visit fewer than this many days after the onset of a relapse (its day included) neither
        starts nor confirms an event; 0 takes no account of relapses.
    label : str
        The event in clinical words; by default made from the other fields.
    citation : str
        Source of the definition, with DOI.
    note : str
        Where sources differ, or how this differs from the source.

    Raises
    ------
    DesignError
        If a field is of the wrong type or range, or fields contradict each other.

    Examples
    --------
    >>> from pmsstats.endpoints import edss_threshold
    >>> ProgressionRule(
    ...     name="cdp12",
    ...     outcome="edss",
    ...     threshold=edss_threshold(),
    ...     direction="increase",
    ...     confirm_weeks=12,
    ... ).min_days
    84
    """

    name: str
    outcome: str
    threshold: Threshold
    direction: Direction
    baseline: BaselineScheme = "fixed"
    baseline_window_days: int = 0
    confirm_weeks: int | None = None
    confirm_tolerance_days: int = 0
    relapse_days: int = 0
    label: str = ""
    citation: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        """Check every field, and that they agree."""
        for field in ("name", "outcome"):
            require_text(self, field)
        for field in ("label", "citation", "note"):
            require_text(self, field, may_be_empty=True)
        if not isinstance(self.threshold, get_args(Threshold)):
            names = ", ".join(t.__name__ for t in get_args(Threshold))
            raise DesignError(
                f"`threshold` of rule {self.name!r} must be one of {names}, got {self.threshold!r}."
            )
        self._check_choice("direction", get_args(Direction))
        self._check_choice("baseline", get_args(BaselineScheme))
        for field in ("baseline_window_days", "confirm_tolerance_days", "relapse_days"):
            self._check_count(field, 0)
        self._check_confirmation()
        fraction = getattr(self.threshold, "fraction", 0.0)
        if self.direction == "decrease" and fraction >= 1:
            raise DesignError(
                f"`threshold` of rule {self.name!r} asks for a decrease by {100 * fraction:g} % "
                "of baseline, which no positive measure reaches. Use a fraction below 1."
            )

    def _check_choice(self, field: str, allowed: tuple[str, ...]) -> None:
        """Refuse a value outside of its vocabulary."""
        value = getattr(self, field)
        if value not in allowed:
            raise DesignError(
                f"`{field}` of rule {self.name!r} must be one of {', '.join(allowed)}, got "
                f"{value!r}.{nearest(str(value), allowed)}"
            )

    def _check_count(self, field: str, lowest: int) -> None:
        """Refuse what is no whole number, or too small."""
        value = getattr(self, field)
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < lowest:
            raise DesignError(
                f"`{field}` of rule {self.name!r} must be a whole number of at least {lowest}, "
                f"got {value!r}."
            )

    def _check_confirmation(self) -> None:
        """Refuse a confirmation that contradicts itself."""
        if self.confirm_weeks is None:
            if self.confirm_tolerance_days:
                raise DesignError(
                    f"`confirm_tolerance_days` of rule {self.name!r} is "
                    f"{self.confirm_tolerance_days}, but nothing is to be confirmed. Set "
                    "`confirm_weeks`."
                )
            return
        self._check_count("confirm_weeks", 1)
        if self.confirm_tolerance_days >= 7 * self.confirm_weeks:
            raise DesignError(
                f"`confirm_tolerance_days` of rule {self.name!r} is {self.confirm_tolerance_days}, "
                f"not shorter than the {7 * self.confirm_weeks} days of `confirm_weeks`: a visit "
                "would confirm itself. Use a smaller tolerance."
            )

    @property
    def min_days(self) -> int | None:
        """Fewest days between onset and confirmation; None without confirmation."""
        if self.confirm_weeks is None:
            return None
        return 7 * self.confirm_weeks - self.confirm_tolerance_days

    def title(self, measure: Measure | None = None) -> str:
        """Name the event in clinical words.

        Parameters
        ----------
        measure : Measure, optional
            What the outcome is; looked up in the package's data dictionary by default.

        Returns
        -------
        str
            The rule's own label, or one made from its fields.
        """
        if self.label:
            return self.label
        measure = measure or _known_measure(self.outcome)
        weeks = self.confirm_weeks
        confirmed = f"{weeks}-week confirmed" if weeks else "unconfirmed"
        size = self.threshold.size(measure.unit)
        by = f" by {size} or more" if size else ""
        return f"{confirmed} {_change_word(self.direction, measure)} of {measure.label}{by}"

    def describe(self, measure: Measure | None = None) -> str:
        """Write the definition as a paragraph, for a protocol or a methods section.

        Parameters
        ----------
        measure : Measure, optional
            What the outcome is; looked up in the package's data dictionary by default.

        Returns
        -------
        str
            Complete sentences: event, confirmation, relapses, baseline, time, source.
        """
        measure = measure or _known_measure(self.outcome)
        title = self.title(measure)
        change = self.threshold.describe(self.direction, measure.unit)
        event = f"{measure.axis_label} shows {change}{self._confirmation()}"
        sentences = [
            f"{title[:1].upper()}{title[1:]}: {event}",
            self._relapses(),
            self._baseline(),
            "Time runs from the baseline visit to the visit at which the change was first seen.",
            self._censoring(),
            f"Source: {self.citation}" if self.citation else "",
            self.note,
        ]
        return " ".join(s for s in sentences if s)

    def _confirmation(self) -> str:
        """Say how the change is confirmed."""
        if self.confirm_weeks is None:
            return ", taken at the first visit that shows it, without confirmation."
        early = (
            f" less {self.confirm_tolerance_days} days of tolerance"
            if self.confirm_tolerance_days
            else ""
        )
        return (
            f", still present at the first visit at least {self.min_days} days later "
            f"({self.confirm_weeks} weeks{early}) and at every visit in between; visits without "
            "a value are passed over."
        )

    def _censoring(self) -> str:
        """Say when subjects without an event are censored."""
        open_change = (
            "also when a change there could not be confirmed any more, and "
            if self.confirm_weeks
            else "also "
        )
        return (
            f"Subjects without an event are censored at their last visit with a value, "
            f"{open_change}when they died or left the study."
        )

    def _relapses(self) -> str:
        """Say what relapses do."""
        if not self.relapse_days:
            return "Relapses are not taken into account."
        return (
            f"A visit fewer than {self.relapse_days} days after the onset of a relapse neither "
            "starts nor confirms an event (but ends a change that it does not show)."
        )

    def _baseline(self) -> str:
        """Say what the baseline is."""
        late = (
            f", or else the first value within {self.baseline_window_days} days after it"
            if self.baseline_window_days
            else ""
        )
        return (
            f"Baseline is the last value at or before day 0{late}, and stays the same throughout; "
            "subjects without a baseline, or without a value after it, are not at risk."
        )


def _known_measure(name: str) -> Measure:
    """Look a measure up in the package's dictionary, else make one of its name."""
    return default_dictionary().get(name) or Measure(name=name, label=name)


def _change_word(direction: Direction, measure: Measure) -> str:
    """Call a change worsening or improvement where the dictionary tells which it is."""
    if measure.worsening == "unspecified":
        return direction
    worse = {"higher": "increase", "lower": "decrease"}[measure.worsening]
    return "worsening" if worse == direction else "improvement"


def require_text(rule: Any, field: str, *, may_be_empty: bool = False) -> None:
    """Refuse a field that is no text.

    Parameters
    ----------
    rule : object
        With the field.
    field : str
        Its name.
    may_be_empty : bool, default False
        Whether a text without a character will do.

    Raises
    ------
    DesignError
        If it is not such a text.
    """
    value = getattr(rule, field)
    if not isinstance(value, str) or not (may_be_empty or value.strip()):
        raise DesignError(f"`{field}` of a rule must be a text, got {value!r}.")
