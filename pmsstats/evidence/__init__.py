"""Published values with their sources: the anchors of the generator and of its checks."""

from __future__ import annotations

from pmsstats.evidence.citation import Citation
from pmsstats.evidence.finding import Direction, Finding, FindingKind, FindingStatus
from pmsstats.evidence.finding_registry import finding, findings, findings_table
from pmsstats.evidence.record import EvidenceRecord, Verified
from pmsstats.evidence.registry import (
    catalog,
    citation,
    evidence_table,
    record,
    records,
    value,
    warn_unchecked,
)

__all__ = [
    "Citation",
    "Direction",
    "EvidenceRecord",
    "Finding",
    "FindingKind",
    "FindingStatus",
    "Verified",
    "catalog",
    "citation",
    "evidence_table",
    "finding",
    "findings",
    "findings_table",
    "record",
    "records",
    "value",
    "warn_unchecked",
]
