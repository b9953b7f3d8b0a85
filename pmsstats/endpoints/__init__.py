"""Clinical endpoints: definitions as data, derived from a cohort as time to event."""

from __future__ import annotations

from pmsstats.endpoints.edss import EDSS_SCORES, edss_threshold, is_legal_edss
from pmsstats.endpoints.endpoint import derive_endpoint, rule_from_dict
from pmsstats.endpoints.presets import PRESETS, progression_rule
from pmsstats.endpoints.progression import derive_progression
from pmsstats.endpoints.recorded import (
    ExitEventRule,
    RecordedEventRule,
    derive_exit_event,
    derive_recorded_event,
)
from pmsstats.endpoints.rule import ProgressionRule
from pmsstats.endpoints.thresholds import (
    AbsoluteThreshold,
    RelativeThreshold,
    StepThreshold,
    is_reached,
)
from pmsstats.endpoints.time_to_event import EndpointResult

__all__ = [
    "EDSS_SCORES",
    "PRESETS",
    "AbsoluteThreshold",
    "EndpointResult",
    "ExitEventRule",
    "ProgressionRule",
    "RecordedEventRule",
    "RelativeThreshold",
    "StepThreshold",
    "derive_endpoint",
    "derive_exit_event",
    "derive_progression",
    "derive_recorded_event",
    "edss_threshold",
    "is_legal_edss",
    "is_reached",
    "progression_rule",
    "rule_from_dict",
]
