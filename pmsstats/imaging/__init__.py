"""Imaging: harmonised scanners, early effects of treatment, precision and responsiveness."""

from __future__ import annotations

from pmsstats.imaging.agreement import AgreementResult, AgreementSpec, estimate_agreement
from pmsstats.imaging.change_models import (
    BaselineChanges,
    ChangeResult,
    ChangeSpec,
    change_from_baseline,
    fit_change,
)
from pmsstats.imaging.confounding import ScannerConfounding, check_scanner_confounding
from pmsstats.imaging.constrained_baseline import (
    ConstrainedBaselineResult,
    ConstrainedBaselineSpec,
    constrain_baseline,
    fit_constrained_baseline,
)
from pmsstats.imaging.harmonisation import HarmonisationResult, HarmonisationSpec, harmonise
from pmsstats.imaging.precision import PrecisionResult, PrecisionSpec, estimate_precision
from pmsstats.imaging.pseudo_atrophy import (
    EarlyEffectResult,
    EarlyEffectSpec,
    fit_early_effect,
)
from pmsstats.imaging.pseudo_atrophy_bias import (
    PseudoAtrophyBias,
    PseudoAtrophyScenario,
    pseudo_atrophy_bias,
)
from pmsstats.imaging.rebaseline import Rebaselined, rebaseline
from pmsstats.imaging.responsiveness import (
    ResponsivenessResult,
    ResponsivenessSpec,
    compare_responsiveness,
)
from pmsstats.imaging.scanner_bootstrap import HarmonisedSlopes, bootstrap_harmonised_slopes
from pmsstats.imaging.scanner_models import (
    ScannerComparison,
    compare_scanner_models,
    random_scanner_model,
)

__all__ = [
    "AgreementResult",
    "AgreementSpec",
    "BaselineChanges",
    "ChangeResult",
    "ChangeSpec",
    "ConstrainedBaselineResult",
    "ConstrainedBaselineSpec",
    "EarlyEffectResult",
    "EarlyEffectSpec",
    "HarmonisationResult",
    "HarmonisationSpec",
    "HarmonisedSlopes",
    "PrecisionResult",
    "PrecisionSpec",
    "PseudoAtrophyBias",
    "PseudoAtrophyScenario",
    "Rebaselined",
    "ResponsivenessResult",
    "ResponsivenessSpec",
    "ScannerComparison",
    "ScannerConfounding",
    "bootstrap_harmonised_slopes",
    "change_from_baseline",
    "check_scanner_confounding",
    "compare_responsiveness",
    "compare_scanner_models",
    "constrain_baseline",
    "estimate_agreement",
    "estimate_precision",
    "fit_change",
    "fit_constrained_baseline",
    "fit_early_effect",
    "harmonise",
    "pseudo_atrophy_bias",
    "random_scanner_model",
    "rebaseline",
]
