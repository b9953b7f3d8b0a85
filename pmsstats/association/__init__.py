"""Trajectory and outcome: whether the course of a measure goes with disability."""

from __future__ import annotations

from pmsstats.association.associate import associate
from pmsstats.association.result import AssociationResult
from pmsstats.association.spec import AssociationSpec

__all__ = ["AssociationResult", "AssociationSpec", "associate"]
