"""Models: linear mixed models of trajectories, survival models of events."""

from __future__ import annotations

from pmsstats.models.lmm import LMMResult, LMMSpec, RandomTerm, fit_lmm
from pmsstats.models.margins import SlopesResult, estimate_slopes
from pmsstats.models.survival import CoxSpec, KMSpec, fit_cox, fit_km
from pmsstats.models.survival_results import CoxResult, KMResult

__all__ = [
    "CoxResult",
    "CoxSpec",
    "KMResult",
    "KMSpec",
    "LMMResult",
    "LMMSpec",
    "RandomTerm",
    "SlopesResult",
    "estimate_slopes",
    "fit_cox",
    "fit_km",
    "fit_lmm",
]
