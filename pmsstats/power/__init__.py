"""Closed forms of sample size and power: one quantity of a trial, solved for the others."""

from __future__ import annotations

from pmsstats.power.boundaries import BoundariesResult, boundaries, update_boundaries
from pmsstats.power.change import power_change, sample_size_change
from pmsstats.power.clusters import ClusterDesign, design_effect
from pmsstats.power.combination import power_combination, sample_size_combination
from pmsstats.power.conditional import (
    combination_test,
    conditional_power,
    conditional_power_at_looks,
    predictive_power,
)
from pmsstats.power.counts import power_counts, sample_size_counts
from pmsstats.power.effects import TreatmentEffect, resolve_effect
from pmsstats.power.expected_fit import ExpectedFit, Pattern, expect_fit
from pmsstats.power.grid import PowerGrid, power_grid
from pmsstats.power.group_sequential import GroupSequentialDesign
from pmsstats.power.information import information_time_events, information_time_slope
from pmsstats.power.lakatos import EventTrial
from pmsstats.power.log_rank import power_log_rank, sample_size_log_rank
from pmsstats.power.looks import (
    SequentialBounds,
    efficacy_bounds,
    futility_bounds,
    sequential_bounds,
)
from pmsstats.power.mmrm import power_mmrm, sample_size_mmrm
from pmsstats.power.mmrm_design import MMRMDesign
from pmsstats.power.multiplicity import power_multiple, sample_size_multiple
from pmsstats.power.piecewise import PiecewiseHazard
from pmsstats.power.pilot import sample_size_from_pilot, slope_model_from_fit
from pmsstats.power.pilot_precision import ratio_interval
from pmsstats.power.proportion import power_proportion, sample_size_proportion
from pmsstats.power.reestimation import (
    PromisingZone,
    blinded_sample_size,
    promising_zone_sample_size,
)
from pmsstats.power.result import PowerResult
from pmsstats.power.schedule import VisitSchedule, retention_of_arms
from pmsstats.power.sequential import Crossing, crossing_probabilities
from pmsstats.power.slope import power_slope, sample_size_slope
from pmsstats.power.slope_design import SlopeDesign
from pmsstats.power.slope_variance import SlopeModel, score_information
from pmsstats.power.spending import spend
from pmsstats.power.stopping import StoppingInference, estimate_at_stopping, repeated_intervals
from pmsstats.power.visit_covariance import VisitCovariance

__all__ = [
    "BoundariesResult",
    "ClusterDesign",
    "Crossing",
    "EventTrial",
    "ExpectedFit",
    "GroupSequentialDesign",
    "MMRMDesign",
    "Pattern",
    "PiecewiseHazard",
    "PowerGrid",
    "PowerResult",
    "PromisingZone",
    "SequentialBounds",
    "SlopeDesign",
    "SlopeModel",
    "StoppingInference",
    "TreatmentEffect",
    "VisitCovariance",
    "VisitSchedule",
    "blinded_sample_size",
    "boundaries",
    "combination_test",
    "conditional_power",
    "conditional_power_at_looks",
    "crossing_probabilities",
    "design_effect",
    "efficacy_bounds",
    "estimate_at_stopping",
    "expect_fit",
    "futility_bounds",
    "information_time_events",
    "information_time_slope",
    "power_change",
    "power_combination",
    "power_counts",
    "power_grid",
    "power_log_rank",
    "power_mmrm",
    "power_multiple",
    "power_proportion",
    "power_slope",
    "predictive_power",
    "promising_zone_sample_size",
    "ratio_interval",
    "repeated_intervals",
    "resolve_effect",
    "retention_of_arms",
    "sample_size_change",
    "sample_size_combination",
    "sample_size_counts",
    "sample_size_from_pilot",
    "sample_size_log_rank",
    "sample_size_mmrm",
    "sample_size_multiple",
    "sample_size_proportion",
    "sample_size_slope",
    "score_information",
    "sequential_bounds",
    "slope_model_from_fit",
    "spend",
    "update_boundaries",
]
