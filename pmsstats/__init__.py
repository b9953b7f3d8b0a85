"""Longitudinal biomarker statistics for progressive multiple sclerosis."""

from __future__ import annotations

from pmsstats.association import AssociationResult, associate
from pmsstats.cohort import Cohort, DataDictionary, Measure, default_dictionary, read_cohort
from pmsstats.endpoints import (
    EndpointResult,
    ProgressionRule,
    derive_endpoint,
    derive_progression,
    progression_rule,
)
from pmsstats.models import (
    CoxResult,
    CoxSpec,
    CrossCheckResult,
    KMResult,
    KMSpec,
    LMMBatchResult,
    LMMResult,
    LMMSpec,
    MeansResult,
    MMRMBatchResult,
    MMRMResult,
    MMRMSpec,
    SlopesResult,
    SlowingResult,
    cross_check,
    estimate_means,
    estimate_slowing,
    fit_counts,
    fit_cox,
    fit_gee,
    fit_km,
    fit_lmm,
    fit_lmm_batch,
    fit_mmrm,
    fit_mmrm_batch,
    fit_ordinal,
)
from pmsstats.provenance import package_version as _package_version
from pmsstats.report import render_report
from pmsstats.results import Exclusion, FitLog, Result
from pmsstats.study import StudyResult, StudySpec, read_study, run_study

__version__ = _package_version()

__all__ = [
    "AssociationResult",
    "Cohort",
    "CoxResult",
    "CoxSpec",
    "CrossCheckResult",
    "DataDictionary",
    "EndpointResult",
    "Exclusion",
    "FitLog",
    "KMResult",
    "KMSpec",
    "LMMBatchResult",
    "LMMResult",
    "LMMSpec",
    "MMRMBatchResult",
    "MMRMResult",
    "MMRMSpec",
    "MeansResult",
    "Measure",
    "ProgressionRule",
    "Result",
    "SlopesResult",
    "SlowingResult",
    "StudyResult",
    "StudySpec",
    "__version__",
    "associate",
    "cross_check",
    "default_dictionary",
    "derive_endpoint",
    "derive_progression",
    "estimate_means",
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
    "progression_rule",
    "read_cohort",
    "read_study",
    "render_report",
    "run_study",
]
