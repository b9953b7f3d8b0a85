"""Surrogacy: can a marker stand for disability, in one trial and over several."""

from __future__ import annotations

from pmsstats.surrogacy.individual import surrogacy_individual
from pmsstats.surrogacy.individual_result import IndividualSurrogacyResult, ProportionExplained
from pmsstats.surrogacy.joint_proportion import surrogacy_joint
from pmsstats.surrogacy.joint_proportion_result import JointSurrogacyResult
from pmsstats.surrogacy.mediation_result import MediationResult
from pmsstats.surrogacy.natural_effects import mediation
from pmsstats.surrogacy.specs import (
    EffectTableSpec,
    IndividualSurrogacySpec,
    MediationSpec,
    TrialSurrogacySpec,
)
from pmsstats.surrogacy.trial import surrogacy_trial
from pmsstats.surrogacy.trial_result import TrialSurrogacyResult

__all__ = [
    "EffectTableSpec",
    "IndividualSurrogacyResult",
    "IndividualSurrogacySpec",
    "JointSurrogacyResult",
    "MediationResult",
    "MediationSpec",
    "ProportionExplained",
    "TrialSurrogacyResult",
    "TrialSurrogacySpec",
    "mediation",
    "surrogacy_individual",
    "surrogacy_joint",
    "surrogacy_trial",
]
