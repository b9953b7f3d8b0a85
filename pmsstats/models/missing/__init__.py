"""Missing values and intercurrent events: estimands by name, imputation, delta, tipping points."""

from __future__ import annotations

from pmsstats.models.missing.batch import ImputedBatch, impute_batch
from pmsstats.models.missing.estimands import EstimandStrategy
from pmsstats.models.missing.estimate import estimate_with_missing
from pmsstats.models.missing.imputation import Imputation, impute
from pmsstats.models.missing.result import ImputationResult
from pmsstats.models.missing.spec import DeltaAdjustment, MissingSpec
from pmsstats.models.missing.tipping import tipping_point
from pmsstats.models.missing.tipping_result import TippingPointResult

__all__ = [
    "DeltaAdjustment",
    "EstimandStrategy",
    "Imputation",
    "ImputationResult",
    "ImputedBatch",
    "MissingSpec",
    "TippingPointResult",
    "estimate_with_missing",
    "impute",
    "impute_batch",
    "tipping_point",
]
