"""Synthetic cohorts whose truth is known: the oracle for the estimators of `pmsstats`.

It shares no code with them. ``generate_cohort("progressive", seed=1)`` gives subjects, visits,
relapses and exits as raw tables, never derived endpoints, and the truth behind them.
"""

from __future__ import annotations

from synthetic.config import PRESETS, CohortConfig, preset
from synthetic.generate import SyntheticCohort, SyntheticTables, generate_cohort, generate_tables
from synthetic.observation import (
    HandModel,
    ImagingModel,
    InstrumentModel,
    MissingnessModel,
    ScheduleModel,
)
from synthetic.parameters import (
    Arm,
    DisabilityModel,
    LesionModel,
    PopulationModel,
    RelapseModel,
)
from synthetic.truth import Truth, true_parameters, write_truth
from synthetic.values import PerPhenotype, Sourced, assumed, derived, published

__all__ = [
    "PRESETS",
    "Arm",
    "CohortConfig",
    "DisabilityModel",
    "HandModel",
    "ImagingModel",
    "InstrumentModel",
    "LesionModel",
    "MissingnessModel",
    "PerPhenotype",
    "PopulationModel",
    "RelapseModel",
    "ScheduleModel",
    "Sourced",
    "SyntheticCohort",
    "SyntheticTables",
    "Truth",
    "assumed",
    "derived",
    "generate_cohort",
    "generate_tables",
    "preset",
    "published",
    "true_parameters",
    "write_truth",
]
