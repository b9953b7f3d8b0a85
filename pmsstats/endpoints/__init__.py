"""Clinical endpoints: definitions as data, derived from a cohort as time to event."""

from __future__ import annotations

from pmsstats.endpoints.definitions.composite_rule import CompositeRule
from pmsstats.endpoints.definitions.conditions import LesionFree, LevelCondition, RelapseFree
from pmsstats.endpoints.definitions.event_rules import (
    ExitEventRule,
    LesionEventRule,
    RecordedEventRule,
    RelapseEventRule,
    VolumeLossRule,
)
from pmsstats.endpoints.definitions.from_table import AnyRule, rule_from_dict
from pmsstats.endpoints.definitions.presets import (
    PRESETS,
    preset,
    presets_table,
    progression_rule,
)
from pmsstats.endpoints.definitions.progression_rule import ConfirmationWindow, ProgressionRule
from pmsstats.endpoints.definitions.thresholds import (
    AbsoluteThreshold,
    CombinedThreshold,
    LevelThreshold,
    RelativeThreshold,
    StepThreshold,
    Threshold,
    is_reached,
)
from pmsstats.endpoints.definitions.to_table import rule_to_dict
from pmsstats.endpoints.derivation.adtte import to_adtte, write_adtte
from pmsstats.endpoints.derivation.composite import derive_composite
from pmsstats.endpoints.derivation.endpoint import derive_endpoint
from pmsstats.endpoints.derivation.event_counts import count_events
from pmsstats.endpoints.derivation.first_occurrence import (
    derive_lesion_event,
    derive_relapse_event,
    derive_volume_loss,
)
from pmsstats.endpoints.derivation.presets_for import presets_for
from pmsstats.endpoints.derivation.progression import derive_progression
from pmsstats.endpoints.derivation.recorded import derive_exit_event, derive_recorded_event
from pmsstats.endpoints.derivation.status import StatusResult, derive_status
from pmsstats.endpoints.derivation.time_to_event import EndpointResult
from pmsstats.endpoints.derivation.trace import SubjectTrace, trace_subject
from pmsstats.endpoints.engine.batch import ProgressionBatch, derive_progression_batch
from pmsstats.endpoints.scores.annual_change import (
    AnnualChange,
    annualised_percent_change,
    derive_annual_change,
)
from pmsstats.endpoints.scores.edss import EDSS_SCORES, edss_threshold, is_legal_edss
from pmsstats.endpoints.scores.edss_consistency import check_edss
from pmsstats.endpoints.scores.edss_conventions import EDSS_CONVENTIONS, FS_COLUMNS, EDSSConvention
from pmsstats.endpoints.scores.functional_systems import derive_edss, functional_system_step
from pmsstats.endpoints.scores.lesion_rate import LesionRate, derive_lesion_rate
from pmsstats.endpoints.scores.msfc import MSFC_VARIANTS, MSFCResult, derive_msfc
from pmsstats.endpoints.scores.reference_population import (
    NMSS_TASK_FORCE,
    REFERENCE_POPULATIONS,
    ReferencePopulation,
    reference_from_baseline,
    reference_from_table,
)
from pmsstats.endpoints.scores.run_in import PREBASELINE_TESTS, exclude_run_in
from pmsstats.endpoints.scores.task_failure import TASK_FAILURES, TaskFailureConvention
from pmsstats.endpoints.scores.timed_test_spec import TimedTestSpec
from pmsstats.endpoints.scores.timed_tests import TimedTests, derive_timed_tests, mean_of_hands
from pmsstats.endpoints.scores.volume_loss import BRAIN_VOLUME_LOSS_CUTOFFS, VolumeLossCutoff

__all__ = [
    "BRAIN_VOLUME_LOSS_CUTOFFS",
    "EDSS_CONVENTIONS",
    "EDSS_SCORES",
    "FS_COLUMNS",
    "MSFC_VARIANTS",
    "NMSS_TASK_FORCE",
    "PREBASELINE_TESTS",
    "PRESETS",
    "REFERENCE_POPULATIONS",
    "TASK_FAILURES",
    "AbsoluteThreshold",
    "AnnualChange",
    "AnyRule",
    "CombinedThreshold",
    "CompositeRule",
    "ConfirmationWindow",
    "EDSSConvention",
    "EndpointResult",
    "ExitEventRule",
    "LesionEventRule",
    "LesionFree",
    "LesionRate",
    "LevelCondition",
    "LevelThreshold",
    "MSFCResult",
    "ProgressionBatch",
    "ProgressionRule",
    "RecordedEventRule",
    "ReferencePopulation",
    "RelapseEventRule",
    "RelapseFree",
    "RelativeThreshold",
    "StatusResult",
    "StepThreshold",
    "SubjectTrace",
    "TaskFailureConvention",
    "Threshold",
    "TimedTestSpec",
    "TimedTests",
    "VolumeLossCutoff",
    "VolumeLossRule",
    "annualised_percent_change",
    "check_edss",
    "count_events",
    "derive_annual_change",
    "derive_composite",
    "derive_edss",
    "derive_endpoint",
    "derive_exit_event",
    "derive_lesion_event",
    "derive_lesion_rate",
    "derive_msfc",
    "derive_progression",
    "derive_progression_batch",
    "derive_recorded_event",
    "derive_relapse_event",
    "derive_status",
    "derive_timed_tests",
    "derive_volume_loss",
    "edss_threshold",
    "exclude_run_in",
    "functional_system_step",
    "is_legal_edss",
    "is_reached",
    "mean_of_hands",
    "preset",
    "presets_for",
    "presets_table",
    "progression_rule",
    "reference_from_baseline",
    "reference_from_table",
    "rule_from_dict",
    "rule_to_dict",
    "to_adtte",
    "trace_subject",
    "write_adtte",
]
