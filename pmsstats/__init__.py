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
    KMResult,
    KMSpec,
    LMMResult,
    LMMSpec,
    SlopesResult,
    fit_cox,
    fit_km,
    fit_lmm,
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
    "DataDictionary",
    "EndpointResult",
    "Exclusion",
    "FitLog",
    "KMResult",
    "KMSpec",
    "LMMResult",
    "LMMSpec",
    "Measure",
    "ProgressionRule",
    "Result",
    "SlopesResult",
    "StudyResult",
    "StudySpec",
    "__version__",
    "associate",
    "default_dictionary",
    "derive_endpoint",
    "derive_progression",
    "fit_cox",
    "fit_km",
    "fit_lmm",
    "progression_rule",
    "read_cohort",
    "read_study",
    "render_report",
    "run_study",
]
