"""The progression rule: a definition of confirmed change as checked, frozen data."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

from pmsstats.cohort.schema import Measure
from pmsstats.endpoints.definitions.conditions import (
    Days,
    LesionFree,
    LevelCondition,
    RelapseFree,
)
from pmsstats.endpoints.definitions.describe import rule_paragraph, rule_title
from pmsstats.endpoints.definitions.modified import honest_words, modified_rule
from pmsstats.endpoints.definitions.rule_checks import check_rule
from pmsstats.endpoints.definitions.rule_texts import rule_html, short_repr
from pmsstats.endpoints.definitions.thresholds import Direction, Threshold

__all__ = ["ConfirmationWindow", "ProgressionRule"]

Events = Literal["first", "first_pira", "first_raw", "first_either", "multiple"]
BaselineScheme = Literal["fixed", "roving", "roving_improvement", "roving_worsening"]
BaselineVisit = Literal["day_0", "first"]
ContinueFrom = Literal["confirmation", "onset"]
Subthreshold = Literal["none", "any", "improvement", "worsening"]
Extrema = Literal["none", "strict", "all"]
ConfirmLevel = Literal["threshold", "onset"]
MovedValue = Literal["visit", "least_changed"]
ConditionVisits = Literal["onset", "confirmation"]


@dataclass(frozen=True, kw_only=True)
class ConfirmationWindow:
    """When a visit may confirm a change.

    Parameters
    ----------
    weeks : int
        The nominal time.
    first_day, last_day : float
        Fewest and most days after onset, both included.
    """

    weeks: int
    first_day: int
    last_day: float


@dataclass(frozen=True, kw_only=True, repr=False)
class ProgressionRule:
    """A definition of confirmed progression (or improvement) of one measure.

    Parameters
    ----------
    name : str
        Short name, such as ``"cdp12"``.
    outcome : str
        Measure: a column of the visits table.
    threshold : AbsoluteThreshold, RelativeThreshold, StepThreshold, ...
        How much change from baseline counts.
    direction : {"increase", "decrease"}
        Which change counts. A higher EDSS or time is worse, a lower SDMT score is.
    opposite_threshold : Threshold, optional
        How much change in the other direction counts, for baselines that follow it and for
        multiple events; by default `threshold`.
    threshold_from : str
        Measure whose value at the baseline visit decides how much change counts; by default
        the outcome itself.
    events : {"first", "first_pira", "first_raw", "first_either", "multiple"}
        The first event in `direction` (by default), the first that is independent of relapses or
        of new lesions (PIRA), the first that is associated with a relapse (RAW), the first in
        either direction, or all events in both directions, one after the other.
    baseline : {"fixed", "roving", "roving_improvement", "roving_worsening"}
        Whether the baseline stays, or moves to each confirmed change, in both directions or one.
    baseline_visit : {"day_0", "first"}
        The first baseline: the last value at or before day 0, or the first value there is.
    baseline_window_days : int, default 0
        How long after day 0 the first value may still serve as baseline, for subjects without
        one at or before day 0. Trials allow none.
    baseline_range : tuple of float, default (-inf, inf)
        Lowest and highest first baseline of subjects at risk, ends included.
    continue_from : {"confirmation", "onset"}
        Where the search goes on after an event, and where a baseline that moves is put.
    subthreshold_rebaseline : {"none", "any", "improvement", "worsening"}
        Whether a confirmed change below the threshold moves a roving baseline, too.
    rebaseline_after_relapse : bool, default False
        Whether the baseline moves to the first visit after each relapse.
    baseline_never_better : bool, default False
        Whether a baseline that moves keeps its old value where the new one is better.
    moved_baseline_value : {"visit", "least_changed"}
        What a baseline that moves to a confirmed change takes its value (and how much change
        counts from it) from: the visit it moves to, or that of the visits from onset to
        confirmation whose value differs least from the old baseline.
    skip_local_extrema : {"none", "strict", "all"}
        Whether a visit that lies above (or below) both of its neighbours, by at least the
        threshold (``"strict"``) or by anything (``"all"``), may not be a baseline.
    min_days_from_baseline : int, default 0
        Fewest days from the current baseline visit to the onset of a change.
    confirm_weeks : int, tuple of int, or None
        The change must still be there this many weeks later; None takes it unconfirmed. Several
        windows are all reported; an event is confirmed if it is so in any of them.
    confirm_tolerance_days : int or tuple of int, default 0
        How many days too early the confirming visit may be, for each window or for all.
    confirm_late_days : float or tuple of float, default inf
        How many days too late it may be.
    confirm_intermediate : bool, default True
        Whether every visit from onset to the confirming one must show the change.
    confirm_level : {"threshold", "onset"}
        What the confirming visits must show: a change of at least the threshold from baseline,
        or a value at least as changed as at onset, too.
    opposite_confirm_weeks : int, optional
        The weeks after which changes in the other direction are confirmed (with the first of the
        tolerances), where these are others than `confirm_weeks`.
    confirmation_visits : str
        Column of the visits table that is true where a visit may confirm (a scheduled one, say);
        every visit by default.
    sustain_days : float, default 0
        The confirmed change must last so many days from its onset, or until the last visit if
        that comes earlier; infinity asks that it lasts until the last visit.
    impute_last_visit : float, default 0
        Probability that a change first seen at the last visit, which none could confirm, is
        taken as confirmed: 0 never, 1 always.
    impute_within_days : float, default inf
        Only for subjects whose last visit is at most so many days after their first.
    impute_reasons : tuple of str
        Only for subjects who left the study for one of these reasons of the exits table
        (``("dropout",)``); for all by default.
    relapse_to_baseline_days, relapse_to_onset_days, relapse_to_confirmation_days : tuple of float
        Days since the last relapse and days until the next one that a visit needs to serve as
        baseline (else it moves to the next visit that may), to start an event, to confirm one. One
        number is taken for the first; ``(0, 0)``, the default, takes no account of relapses.
    classify_relapses : bool, default False
        Whether events are told apart: associated with a relapse (RAW), independent of relapses
        (PIRA), or neither (undetermined). Always done for ``"first_pira"`` and ``"first_raw"``.
    raw_days : tuple of float, default (90, 0)
        An onset at most so many days after the last, or before the next, relapse is RAW.
    relapse_free : RelapseFree
        Intervals without relapses that make a worsening PIRA.
    lesion_free : LesionFree, optional
        Intervals without new lesions that PIRA needs as well.
    onset_conditions : tuple of LevelCondition
        Levels that measures must have at the visit where the change is first seen.
    condition_visits : {"onset", "confirmation"}
        Whether they must have them at that visit alone, or at all that must show the change, up
        to the confirming one.
    leading_systems : tuple of str
        Functional systems (columns of the visits table). Those that have risen most from
        baseline at onset lead: they must have risen by `leading_step`, and at least one of them
        must still have at the confirming visit (and at every visit in between, if the change
        must). A system without a value has not risen. The first baseline is a visit with a value
        of at least one of them.
    leading_step : float, default 1.0
        See `leading_systems`.
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
    opposite_threshold: Threshold | None = None
    threshold_from: str = ""
    events: Events = "first"
    baseline: BaselineScheme = "fixed"
    baseline_visit: BaselineVisit = "day_0"
    baseline_window_days: int = 0
    baseline_range: tuple[float, float] = (-math.inf, math.inf)
    continue_from: ContinueFrom = "confirmation"
    subthreshold_rebaseline: Subthreshold = "none"
    rebaseline_after_relapse: bool = False
    baseline_never_better: bool = False
    moved_baseline_value: MovedValue = "visit"
    skip_local_extrema: Extrema = "none"
    min_days_from_baseline: int = 0
    confirm_weeks: int | tuple[int, ...] | None = None
    confirm_tolerance_days: int | tuple[int, ...] = 0
    confirm_late_days: float | tuple[float, ...] = math.inf
    confirm_intermediate: bool = True
    confirm_level: ConfirmLevel = "threshold"
    opposite_confirm_weeks: int | None = None
    confirmation_visits: str = ""
    sustain_days: float = 0
    impute_last_visit: float = 0
    impute_within_days: float = math.inf
    impute_reasons: tuple[str, ...] = ()
    relapse_to_baseline_days: Days = (0, 0)
    relapse_to_onset_days: Days = (0, 0)
    relapse_to_confirmation_days: Days = (0, 0)
    classify_relapses: bool = False
    raw_days: Days = (90, 0)
    relapse_free: RelapseFree = field(default_factory=RelapseFree)
    lesion_free: LesionFree | None = None
    onset_conditions: tuple[LevelCondition, ...] = ()
    condition_visits: ConditionVisits = "onset"
    leading_systems: tuple[str, ...] = ()
    leading_step: float = 1.0
    label: str = ""
    citation: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        """Check every field, and that they agree."""
        check_rule(self)

    def __repr__(self) -> str:
        """Show the fields that are not at their defaults."""
        return short_repr(self)

    def _repr_html_(self) -> str:
        """Show the definition in words."""
        return rule_html(self.title(), self.describe())

    @property
    def classifies(self) -> bool:
        """Whether events are told apart: RAW, PIRA or undetermined."""
        return self.classify_relapses or self.events in ("first_pira", "first_raw")

    @property
    def windows(self) -> tuple[ConfirmationWindow, ...]:
        """When a visit may confirm, one window after the other; empty without confirmation."""
        weeks = (
            self.confirm_weeks
            if isinstance(self.confirm_weeks, tuple)
            else (() if self.confirm_weeks is None else (self.confirm_weeks,))
        )
        early, late = (self.per_window(f) for f in ("confirm_tolerance_days", "confirm_late_days"))
        return tuple(
            ConfirmationWindow(weeks=w, first_day=7 * w - e, last_day=7 * w + x)
            for w, e, x in zip(weeks, early, late, strict=True)
        )

    @property
    def opposite_windows(self) -> tuple[ConfirmationWindow, ...]:
        """When a visit may confirm a change in the other direction: :attr:`windows`, or its own."""
        if self.opposite_confirm_weeks is None or not self.windows:
            return self.windows
        first = self.windows[0]
        later = 7 * (self.opposite_confirm_weeks - first.weeks)
        return (
            ConfirmationWindow(
                weeks=self.opposite_confirm_weeks,
                first_day=first.first_day + later,
                last_day=first.last_day + later,
            ),
        )

    @property
    def min_days(self) -> int | None:
        """Fewest days between onset and confirmation; None without confirmation."""
        return min((w.first_day for w in self.windows), default=None)

    def per_window(self, name: str) -> tuple[Any, ...]:
        """Return a field that may be given once or for each confirmation window.

        Parameters
        ----------
        name : str
            Its name.

        Returns
        -------
        tuple
            One value for each window.
        """
        value = getattr(self, name)
        n = (
            len(self.confirm_weeks)
            if isinstance(self.confirm_weeks, list | tuple)
            else (self.confirm_weeks is not None)
        )
        return tuple(value) if isinstance(value, list | tuple) else (value,) * n

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
        return rule_title(honest_words(self), measure)

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
        return rule_paragraph(honest_words(self), measure)

    def modified(self, **changes: Any) -> ProgressionRule:
        """Return a definition with other fields, which says that it was modified.

        Parameters
        ----------
        **changes
            Fields with their new values.

        Returns
        -------
        ProgressionRule
            Without label and citation of its own (unless given), with a note of its origin.

        Raises
        ------
        DesignError
            If there is no such field, or fields contradict each other.

        Examples
        --------
        >>> from pmsstats.endpoints import preset
        >>> preset("cdp12").modified(confirm_weeks=24).title()
        '24-week confirmed worsening of EDSS'
        """
        return modified_rule(self, changes)
