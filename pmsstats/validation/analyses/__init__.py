"""Analyses that a statistician would run, each on many studies of one design at once."""

from __future__ import annotations

from pmsstats.validation.analyses.base import Analysis, Estimates
from pmsstats.validation.analyses.correlations import (
    ChangeCorrelation,
    Correlation,
    CorrelationContrast,
)
from pmsstats.validation.analyses.differences import (
    Difference,
    DifferenceContrast,
    PairedDifference,
)
from pmsstats.validation.analyses.event_power import OutcomeSensitivity
from pmsstats.validation.analyses.predictions import ConversionPrediction, Prediction
from pmsstats.validation.analyses.rates import (
    PairedRateDifference,
    Rate,
    RateByOutcome,
    RateDifference,
)
from pmsstats.validation.analyses.sensitivity import (
    Reliability,
    Responsiveness,
    SampleSize,
    SampleSizeRatio,
)
from pmsstats.validation.analyses.shares import CommonestValue, Prevalence, Share
from pmsstats.validation.analyses.treatments import TreatmentEffect

__all__ = [
    "Analysis",
    "ChangeCorrelation",
    "CommonestValue",
    "ConversionPrediction",
    "Correlation",
    "CorrelationContrast",
    "Difference",
    "DifferenceContrast",
    "Estimates",
    "OutcomeSensitivity",
    "PairedDifference",
    "PairedRateDifference",
    "Prediction",
    "Prevalence",
    "Rate",
    "RateByOutcome",
    "RateDifference",
    "Reliability",
    "Responsiveness",
    "SampleSize",
    "SampleSizeRatio",
    "Share",
    "TreatmentEffect",
]
