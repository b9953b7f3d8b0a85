"""Which measures and tables a definition needs."""

from __future__ import annotations

from collections.abc import Iterator

from pmsstats.endpoints.definitions.composite_rule import CompositeRule, PartRule
from pmsstats.endpoints.definitions.event_rules import (
    ExitEventRule,
    LesionEventRule,
    RelapseEventRule,
    VolumeLossRule,
)
from pmsstats.endpoints.definitions.progression_rule import ProgressionRule

__all__ = ["data_needs"]


def data_needs(rule: PartRule) -> tuple[str, ...]:
    """Name the data that a definition needs.

    Parameters
    ----------
    rule : rule
        Any endpoint rule.

    Returns
    -------
    tuple of str
        Measures and other columns of the visits table, and ``"relapses"`` and ``"exits"`` for
        these tables; each once.

    Examples
    --------
    >>> from pmsstats.endpoints import preset
    >>> data_needs(preset("neda3"))
    ('edss', 'relapses', 'new_t2_count', 'gd_lesion_count')
    """
    return tuple(dict.fromkeys(_needs(rule)))


def _needs(rule: PartRule) -> Iterator[str]:
    """Name the data that a rule needs, perhaps repeatedly."""
    if isinstance(rule, CompositeRule):
        for part in rule.parts:
            yield from _needs(part)
    elif isinstance(rule, ProgressionRule):
        yield from _progression_needs(rule)
    elif isinstance(rule, RelapseEventRule):
        yield "relapses"
    elif isinstance(rule, LesionEventRule):
        yield from rule.measures
    elif isinstance(rule, VolumeLossRule):
        yield rule.outcome
    elif isinstance(rule, ExitEventRule):
        yield "exits"


def _progression_needs(rule: ProgressionRule) -> Iterator[str]:
    """Name the data that a progression rule needs."""
    yield rule.outcome
    yield from (column for column in (rule.threshold_from, rule.confirmation_visits) if column)
    yield from (condition.outcome for condition in rule.onset_conditions)
    yield from rule.leading_systems
    if rule.lesion_free is not None:
        yield from rule.lesion_free.measures
    distances = (
        rule.relapse_to_baseline_days, rule.relapse_to_onset_days, rule.relapse_to_confirmation_days
    )  # fmt: skip
    if rule.classifies or rule.rebaseline_after_relapse or any(any(pair) for pair in distances):
        yield "relapses"
    if rule.impute_reasons:
        yield "exits"
