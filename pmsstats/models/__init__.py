"""Models: trajectories (mixed and marginal models), other responses, survival of events."""

from __future__ import annotations

from pmsstats.models.events.survival import CoxSpec, KMSpec, fit_cox, fit_km
from pmsstats.models.events.survival_results import CoxResult, KMResult
from pmsstats.models.fixed_effects.anova import AnovaResult, anova
from pmsstats.models.fixed_effects.marginal_means import estimate_means
from pmsstats.models.fixed_effects.margins import SlopesResult, estimate_slopes
from pmsstats.models.fixed_effects.means_result import MeansResult
from pmsstats.models.fixed_effects.slope_ratio import SlowingResult, estimate_slowing
from pmsstats.models.mixed.bootstrap_result import BootstrapResult
from pmsstats.models.mixed.cross_check import CrossCheckResult, cross_check
from pmsstats.models.mixed.diagnostics_result import DiagnosticsResult
from pmsstats.models.mixed.influence import estimate_influence
from pmsstats.models.mixed.influence_result import InfluenceResult
from pmsstats.models.mixed.likelihood_ratio_result import LikelihoodRatioResult
from pmsstats.models.mixed.lmm import LMMResult, LMMSpec, RandomTerm, fit_lmm
from pmsstats.models.mixed.lmm_batch import LMMBatchResult, fit_lmm_batch
from pmsstats.models.mixed.lmm_bootstrap import bootstrap_lmm, bootstrap_variance_test
from pmsstats.models.mixed.lmm_diagnostics import diagnose
from pmsstats.models.mixed.lmm_prediction import (
    BlupsResult,
    estimate_blups,
    predict_marginal,
    predict_subjects,
)
from pmsstats.models.mixed.variance_tests import compare_fixed, compare_variances
from pmsstats.models.repeated.mmrm import FALLBACKS, MMRMResult, MMRMSpec, fit_mmrm
from pmsstats.models.repeated.mmrm_batch import MMRMBatchResult, fit_mmrm_batch
from pmsstats.models.responses.counts import CountsResult, CountsSpec, fit_counts
from pmsstats.models.responses.gee import GEEResult, GEESpec, fit_gee
from pmsstats.models.responses.ordinal import OrdinalResult, OrdinalSpec, fit_ordinal

__all__ = [
    "FALLBACKS",
    "AnovaResult",
    "BlupsResult",
    "BootstrapResult",
    "CountsResult",
    "CountsSpec",
    "CoxResult",
    "CoxSpec",
    "CrossCheckResult",
    "DiagnosticsResult",
    "GEEResult",
    "GEESpec",
    "InfluenceResult",
    "KMResult",
    "KMSpec",
    "LMMBatchResult",
    "LMMResult",
    "LMMSpec",
    "LikelihoodRatioResult",
    "MMRMBatchResult",
    "MMRMResult",
    "MMRMSpec",
    "MeansResult",
    "OrdinalResult",
    "OrdinalSpec",
    "RandomTerm",
    "SlopesResult",
    "SlowingResult",
    "anova",
    "bootstrap_lmm",
    "bootstrap_variance_test",
    "compare_fixed",
    "compare_variances",
    "cross_check",
    "diagnose",
    "estimate_blups",
    "estimate_influence",
    "estimate_means",
    "estimate_slopes",
    "estimate_slowing",
    "fit_counts",
    "fit_cox",
    "fit_gee",
    "fit_km",
    "fit_lmm",
    "fit_lmm_batch",
    "fit_mmrm",
    "fit_mmrm_batch",
    "fit_ordinal",
    "predict_marginal",
    "predict_subjects",
]
