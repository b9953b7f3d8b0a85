"""Whether the event of a definition is a worsening or an improvement."""

from __future__ import annotations

from typing import Any

from pmsstats.cohort import Cohort
from pmsstats.endpoints import (
    CompositeRule,
    ExitEventRule,
    ProgressionRule,
    RecordedEventRule,
)
from pmsstats.endpoints.engine.scan_plan import worse_sense

__all__ = ["IMPROVEMENT", "MIXED", "UNSPECIFIED", "WORSENING", "change_of"]

WORSENING, IMPROVEMENT, MIXED, UNSPECIFIED = "worsening", "improvement", "mixed", "unspecified"
"""What the column ``change`` of a multiverse can say."""

_BAD_EXITS = frozenset({"death"})


def change_of(rule: Any, cohort: Cohort) -> str:
    """Say what the event of a definition is for the patient.

    Parameters
    ----------
    rule : rule
        Any endpoint rule.
    cohort : Cohort
        Its data dictionary tells in which direction each measure worsens; where it does not, the
        rule's own direction is taken as worsening.

    Returns
    -------
    {"worsening", "improvement", "mixed", "unspecified"}
        Relapses, lesions, loss of volume and death are worsenings; events that were recorded, and
        other exits, are unspecified. A composite is what its parts are: mixed where these differ,
        unspecified where one of them is. A first change in either direction is mixed.

    Raises
    ------
    SchemaError
        If the cohort has no such measure.
    DesignError
        If the rule asks for a class of worsening, but its direction is an improvement.
    """
    if isinstance(rule, CompositeRule):
        return _of_parts({change_of(part, cohort) for part in rule.parts})
    if isinstance(rule, ProgressionRule):
        if rule.events == "first_either":
            return MIXED
        return WORSENING if worse_sense(rule, cohort.measure(rule.outcome)) > 0 else IMPROVEMENT
    if isinstance(rule, ExitEventRule):
        return WORSENING if _BAD_EXITS.issuperset(rule.reasons) else UNSPECIFIED
    return UNSPECIFIED if isinstance(rule, RecordedEventRule) else WORSENING


def _of_parts(changes: set[str]) -> str:
    """Say what a composite of such parts is."""
    if len(changes) == 1:
        return changes.pop()
    return UNSPECIFIED if UNSPECIFIED in changes else MIXED
