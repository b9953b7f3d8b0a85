"""Closed forms of sample size and power: one quantity of a trial, solved for the others."""

from __future__ import annotations

from pmsstats.power.change import power_change, sample_size_change
from pmsstats.power.clusters import ClusterDesign, design_effect
from pmsstats.power.effects import TreatmentEffect, resolve_effect
from pmsstats.power.grid import PowerGrid, power_grid
from pmsstats.power.multiplicity import power_multiple, sample_size_multiple
from pmsstats.power.proportion import power_proportion, sample_size_proportion
from pmsstats.power.result import PowerResult

__all__ = [
    "ClusterDesign",
    "PowerGrid",
    "PowerResult",
    "TreatmentEffect",
    "design_effect",
    "power_change",
    "power_grid",
    "power_multiple",
    "power_proportion",
    "resolve_effect",
    "sample_size_change",
    "sample_size_multiple",
    "sample_size_proportion",
]
