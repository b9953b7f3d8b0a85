"""Checks against a known truth: published findings on a generator, and our own methods on it."""

from __future__ import annotations

from pmsstats.validation.association_recovery import check_association
from pmsstats.validation.association_recovery_result import AssociationRecoveryResult
from pmsstats.validation.calibration import CalibrationResult, calibrate
from pmsstats.validation.check import Check
from pmsstats.validation.claim import Claim
from pmsstats.validation.design import StudyDesign
from pmsstats.validation.evidence_checks import check_evidence
from pmsstats.validation.evidence_result import EvidenceChecksResult
from pmsstats.validation.protocol import CohortGenerator, CohortTables, StudyConfig
from pmsstats.validation.replication import replicate_studies
from pmsstats.validation.replication_result import ReplicationResult

__all__ = [
    "AssociationRecoveryResult",
    "CalibrationResult",
    "Check",
    "Claim",
    "CohortGenerator",
    "CohortTables",
    "EvidenceChecksResult",
    "ReplicationResult",
    "StudyConfig",
    "StudyDesign",
    "calibrate",
    "check_association",
    "check_evidence",
    "replicate_studies",
]
