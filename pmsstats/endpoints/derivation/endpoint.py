"""One door to all endpoints: a preset's name, a table of a study file, or a rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pmsstats.cohort import Cohort
from pmsstats.endpoints.definitions.composite_rule import CompositeRule
from pmsstats.endpoints.definitions.event_rules import (
    ExitEventRule,
    LesionEventRule,
    RecordedEventRule,
    RelapseEventRule,
    VolumeLossRule,
)
from pmsstats.endpoints.definitions.from_table import AnyRule, rule_from_dict
from pmsstats.endpoints.definitions.presets import preset
from pmsstats.endpoints.definitions.progression_rule import ProgressionRule
from pmsstats.endpoints.derivation.composite import derive_composite
from pmsstats.endpoints.derivation.first_occurrence import (
    derive_lesion_event,
    derive_relapse_event,
    derive_volume_loss,
)
from pmsstats.endpoints.derivation.progression import derive_progression
from pmsstats.endpoints.derivation.recorded import derive_exit_event, derive_recorded_event
from pmsstats.endpoints.derivation.time_to_event import EndpointResult
from pmsstats.errors import DesignError
from pmsstats.seeds import Seed

__all__ = ["derive_endpoint"]

_DERIVE: Mapping[type, Callable[[Cohort, Any], EndpointResult]] = {
    RecordedEventRule: derive_recorded_event,
    ExitEventRule: derive_exit_event,
    RelapseEventRule: derive_relapse_event,
    LesionEventRule: derive_lesion_event,
    VolumeLossRule: derive_volume_loss,
}


def derive_endpoint(
    cohort: Cohort, rule: AnyRule | str | Mapping[str, Any], *, seed: Seed | None = None
) -> EndpointResult:
    """Derive any endpoint.

    Parameters
    ----------
    cohort : Cohort
        The data.
    rule : rule, str or mapping
        A rule of any kind (progression, recorded, exit, relapse, lesion, volume loss, composite),
        the name of a preset, or a table for :func:`rule_from_dict`.
    seed : int, numpy.random.SeedSequence or numpy.random.Generator, optional
        For rules that draw at random, see :func:`derive_progression`.

    Returns
    -------
    EndpointResult
        One row per subject at risk.

    Raises
    ------
    DesignError
        If the rule cannot be understood or needs a seed, or nobody can be assessed.
    SchemaError
        If the cohort lacks a measure or column.
    """
    if isinstance(rule, Mapping):
        rule = rule_from_dict(rule, dictionary=cohort.dictionary)
    if isinstance(rule, str):
        rule = preset(rule)
    if isinstance(rule, ProgressionRule):
        return derive_progression(cohort, rule, seed=seed)
    if isinstance(rule, CompositeRule):
        return derive_composite(cohort, rule, seed=seed)
    derive = _DERIVE.get(type(rule))
    if derive is None:
        raise DesignError(
            f"`rule` must be a rule, the name of a preset, or a table, got {type(rule).__name__}."
        )
    return derive(cohort, rule)
