"""What a timed test counts that a patient could not complete, by named convention.

A test that was not completed because of the disease is not missing: leaving it out would drop
the worst results. Which number it gets is a convention, and part of the definition of every
endpoint that uses it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from pmsstats.errors import DesignError, nearest

__all__ = [
    "TASK_FAILURES",
    "TASK_LIMITS_S",
    "TaskFailureConvention",
    "task_failure_convention",
]

TASK_LIMITS_S: Mapping[str, float] = MappingProxyType(
    {"t25fw_s": 180.0, "nhpt_dominant_s": 300.0, "nhpt_nondominant_s": 300.0}
)
"""Longest time in seconds after which a trial is stopped.

Fischer JS, et al. Multiple Sclerosis Functional Composite: administration and scoring manual.
National Multiple Sclerosis Society, revised October 2001 (3 minutes for the walk, 5 minutes for
each trial of the peg test).
"""

_MANUAL = (
    "Fischer JS, Jak AJ, Kniker JE, Rudick RA, Cutter G. Multiple Sclerosis Functional Composite "
    "(MSFC): administration and scoring manual. National Multiple Sclerosis Society, revised "
    "October 2001. https://vdocuments.mx/msfc-manual.html"
)


@dataclass(frozen=True, kw_only=True)
class TaskFailureConvention:
    """The value of a test that could not be completed because of the disease.

    Parameters
    ----------
    name : str
        Key in :data:`TASK_FAILURES`.
    values : tuple of tuple
        Pairs of measure and value, in its unit; a failed test of a measure that is not named
        stays missing.
    citation : str
        Where it comes from.
    note : str
        What to know.

    Raises
    ------
    DesignError
        If a measure is named twice, or a value is not a finite number of at least 0.
    """

    name: str
    values: tuple[tuple[str, float], ...]
    citation: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        """Check the values."""
        names = [measure for measure, _ in self.values]
        if len(set(names)) != len(names):
            raise DesignError(f"`values` must name each measure once, got {', '.join(names)}.")
        for measure, value in self.values:
            if isinstance(value, bool) or not (math.isfinite(value) and value >= 0):
                raise DesignError(
                    f"`values` must give each measure a number of at least 0, got {value!r} for "
                    f"{measure!r}."
                )

    def value(self, measure: str) -> float:
        """Return the value of a failed test.

        Parameters
        ----------
        measure : str
            For example ``"t25fw_s"``.

        Returns
        -------
        float
            NaN where the convention leaves it missing.
        """
        return dict(self.values).get(measure, math.nan)


TASK_FAILURES: Mapping[str, TaskFailureConvention] = MappingProxyType(
    {
        "time_limit": TaskFailureConvention(
            name="time_limit",
            values=tuple(TASK_LIMITS_S.items()),
            citation=_MANUAL,
            note="The time after which a trial is stopped: 180 s for the walk, 300 s for a hand.",
        ),
        "msfc_manual": TaskFailureConvention(
            name="msfc_manual",
            values=(
                ("t25fw_s", 165.7948), ("nhpt_dominant_s", 777.0), ("nhpt_nondominant_s", 777.0),
                ("pasat3", 0.0),
            ),
            citation=_MANUAL,
            note=(
                "The walk as in the Task Force data the slowest did, z = -13.7 against their mean "
                "and SD (9.5353 + 13.7 x 11.4058 = 165.7948 s), a hand 777 s (1/777 is almost 0), "
                "PASAT-3 0. Rules and figures were read in a public program that follows the "
                "manual, not in the manual itself. A walk completed in 166 to 180 s counts as "
                "worse than none."
            ),
        ),
        "missing": TaskFailureConvention(
            name="missing",
            values=(),
            note="A failed test stays missing. Use it to see what the other conventions do.",
        ),
    }
)  # fmt: skip
"""Conventions by name."""


def task_failure_convention(convention: str | TaskFailureConvention) -> TaskFailureConvention:
    """Return a convention by name.

    Parameters
    ----------
    convention : str or TaskFailureConvention
        Key in :data:`TASK_FAILURES`, or the convention itself.

    Returns
    -------
    TaskFailureConvention
        It.

    Raises
    ------
    DesignError
        If there is none of that name.

    Examples
    --------
    >>> task_failure_convention("time_limit").value("t25fw_s")
    180.0
    """
    if isinstance(convention, TaskFailureConvention):
        return convention
    if convention not in TASK_FAILURES:
        raise DesignError(
            f"`failure` must be one of {', '.join(TASK_FAILURES)}, or a TaskFailureConvention, "
            f"got {convention!r}.{nearest(str(convention), TASK_FAILURES)}"
        )
    return TASK_FAILURES[convention]
