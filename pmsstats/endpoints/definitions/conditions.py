"""What an event asks for besides the change itself: free intervals, other measures."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from pmsstats.endpoints.definitions.field_checks import (
    as_tuple,
    day_pair,
    is_number,
    require_choice,
)
from pmsstats.errors import DesignError

__all__ = [
    "Days",
    "LesionFree",
    "LevelCondition",
    "RelapseFree",
]

Days = tuple[float, float]
"""Days before and days after a visit."""

Reference = Literal["baseline", "last", "last_unchanged"]


@dataclass(frozen=True, kw_only=True)
class RelapseFree:
    """Intervals without onset of a relapse that make a worsening independent of relapses (PIRA).

    Parameters
    ----------
    reference : tuple of float or None, default (0, 0)
        Days before and after the reference visit. ``(0, 0)`` sets no interval there.
    onset : tuple of float or None, default (90, 30)
        Days before and after the onset of the worsening.
    confirmation : tuple of float or None, default (90, 30)
        Days before and after the confirming visit.
    reference_visit : {"baseline", "last", "last_unchanged"}
        Which visit is the reference: the current baseline, the last visit before onset, or the
        last visit before onset from which the onset (and its confirmation) is a change.

    Raises
    ------
    DesignError
        If a number of days is negative or infinite, open ends do not meet, or a reference visit
        is named that has no interval.

    Notes
    -----
    An interval holds both of its ends. Two neighbouring intervals are joined to one by None for
    the end of the first and the beginning of the second: ``reference=(0, None), onset=(None,
    30)`` asks that no relapse begins from the reference visit to 30 days after onset. The
    defaults are those recommended by Mueller 2023 [1]_.

    References
    ----------
    .. [1] Mueller J, et al. Harmonizing definitions for progression independent of relapse
       activity in multiple sclerosis: a systematic review. JAMA Neurol 2023;80:1232-1245.
       doi:10.1001/jamaneurol.2023.3331
    """

    reference: tuple[float | None, float | None] = (0, 0)
    onset: tuple[float | None, float | None] = (90, 30)
    confirmation: tuple[float | None, float | None] = (90, 30)
    reference_visit: Reference = "baseline"

    def __post_init__(self) -> None:
        """Check the days, and that open ends meet."""
        require_choice("RelapseFree", "reference_visit", self.reference_visit, get_args(Reference))
        points = ("reference", "onset", "confirmation")
        for point in points:
            pair = day_pair("RelapseFree", point, getattr(self, point), may_be_open=True)
            object.__setattr__(self, point, pair)
        ends = [getattr(self, point)[1] is None for point in points]
        starts = [getattr(self, point)[0] is None for point in points]
        if starts[0] or ends[2] or ends[0] != starts[1] or ends[1] != starts[2]:
            raise DesignError(
                "`RelapseFree` joins two intervals by None at the end of the first and at the "
                f"beginning of the next, got reference={self.reference!r}, onset={self.onset!r}, "
                f"confirmation={self.confirmation!r}."
            )
        if self.reference == (0, 0) and self.reference_visit != "baseline":
            raise DesignError(
                f"`reference_visit` of RelapseFree is {self.reference_visit!r}, but there is no "
                "interval around it: `reference` is (0, 0). Give days, or leave it out."
            )


@dataclass(frozen=True, kw_only=True)
class LesionFree:
    """Intervals without new lesions that make a worsening independent of MRI activity as well.

    Parameters
    ----------
    measures : tuple of str, default ("new_t2_count", "gd_lesion_count")
        Counts of new, enlarging or enhancing lesions, in the visits table. A scan with any above
        0 is active; its day is that of the scan.
    onset : tuple of float, default (90, 30)
        Days before and after the onset of the worsening in which no scan may be active.
    confirmation : tuple of float, default (0, 0)
        Days before and after the confirming visit; ``(0, 0)`` sets no interval there.
    scan_required : bool, default True
        Whether at least one scan must lie in the interval around onset (or, where there is an
        interval there, around confirmation): without one, absence of lesions is not known.

    Raises
    ------
    DesignError
        If a number of days is negative or infinite, there is no interval, or there is no measure
        or one is named twice.
    """

    measures: tuple[str, ...] = ("new_t2_count", "gd_lesion_count")
    onset: Days = (90, 30)
    confirmation: Days = (0, 0)
    scan_required: bool = True

    def __post_init__(self) -> None:
        """Check measures and days."""
        measures = as_tuple(self.measures)
        named = all(isinstance(measure, str) and measure.strip() for measure in measures)
        if not measures or not named or len(set(measures)) < len(measures):
            raise DesignError(
                "`measures` of LesionFree must name columns with lesion counts, each once, got "
                f"{self.measures!r}."
            )
        object.__setattr__(self, "measures", measures)
        for point in ("onset", "confirmation"):
            pair = day_pair("LesionFree", point, getattr(self, point))
            object.__setattr__(self, point, pair)
        if not isinstance(self.scan_required, bool):
            raise DesignError(
                f"`scan_required` of LesionFree must be true or false, got {self.scan_required!r}."
            )
        if not any(self.onset + self.confirmation):
            raise DesignError(
                "LesionFree has no interval: `onset` and `confirmation` are both (0, 0). Give days "
                "before and after, such as (90, 30), or leave it out."
            )


@dataclass(frozen=True, kw_only=True)
class LevelCondition:
    """A level that a measure must have at the visit where the change is first seen.

    Parameters
    ----------
    outcome : str
        Measure: a column of the visits table.
    at_least, at_most : float or None
        Bounds, ends included. A visit without the measure does not meet the condition.

    Raises
    ------
    DesignError
        If there is no bound, one is not a finite number, or no value meets both.

    Examples
    --------
    >>> LevelCondition(outcome="fs_pyramidal", at_least=2)
    LevelCondition(outcome='fs_pyramidal', at_least=2, at_most=None)
    """

    outcome: str
    at_least: float | None = None
    at_most: float | None = None

    def __post_init__(self) -> None:
        """Check the bounds."""
        if not (isinstance(self.outcome, str) and self.outcome.strip()):
            raise DesignError(
                f"`outcome` of a LevelCondition must be a text, got {self.outcome!r}."
            )
        bounds = [bound for bound in (self.at_least, self.at_most) if bound is not None]
        finite = all(is_number(bound) and math.isfinite(bound) for bound in bounds)
        if not bounds or not finite or bounds != sorted(bounds):
            raise DesignError(
                f"A LevelCondition on {self.outcome!r} needs `at_least`, `at_most`, or both with "
                f"the first not above the second, got {self.at_least!r} and {self.at_most!r}."
            )
