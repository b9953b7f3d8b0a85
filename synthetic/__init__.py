"""Synthetic cohorts whose truth is known: the oracle for the estimators of `pmsstats`.

It shares no code with them. ``generate_cohort("progressive", seed=1)`` gives subjects, visits,
relapses and exits as raw tables, never derived endpoints, and the truth behind them.
"""

from __future__ import annotations

from synthetic.clinical import (
    ConversionModel,
    DisabilityModel,
    FunctionalSystemsModel,
    HandModel,
    InstrumentModel,
    MissingnessModel,
    RelapseModel,
)
from synthetic.config import CohortConfig
from synthetic.generate import (
    SyntheticCohort,
    SyntheticTables,
    generate_cohort,
    generate_tables,
    iter_tables,
)
from synthetic.literature import LITERATURE, literature_table
from synthetic.observation import ImagingModel, ScheduleModel, SiteModel
from synthetic.parameters import Arm, LesionModel, PopulationModel
from synthetic.presets import PRESETS, preset
from synthetic.processes import FACTORS, PROCESSES
from synthetic.shared_effects import (
    SharedEffectsConfig,
    SharedEffectsData,
    generate_shared_effects,
)
from synthetic.treatments import TREATMENTS, treatment
from synthetic.trials import PLAIN_MODELS, TrialGenerator, generate_trials
from synthetic.truth import (
    Truth,
    level_correlation,
    slope_correlation,
    true_parameters,
    write_truth,
)
from synthetic.values import PerPhenotype, Sourced, assumed, derived, published, worked_out
from synthetic.writing import write_cohort

__all__ = [
    "FACTORS",
    "LITERATURE",
    "PLAIN_MODELS",
    "PRESETS",
    "PROCESSES",
    "TREATMENTS",
    "Arm",
    "CohortConfig",
    "ConversionModel",
    "DisabilityModel",
    "FunctionalSystemsModel",
    "HandModel",
    "ImagingModel",
    "InstrumentModel",
    "LesionModel",
    "MissingnessModel",
    "PerPhenotype",
    "PopulationModel",
    "RelapseModel",
    "ScheduleModel",
    "SharedEffectsConfig",
    "SharedEffectsData",
    "SiteModel",
    "Sourced",
    "SyntheticCohort",
    "SyntheticTables",
    "TrialGenerator",
    "Truth",
    "assumed",
    "derived",
    "generate_cohort",
    "generate_shared_effects",
    "generate_tables",
    "generate_trials",
    "iter_tables",
    "level_correlation",
    "literature_table",
    "preset",
    "published",
    "slope_correlation",
    "treatment",
    "true_parameters",
    "worked_out",
    "write_cohort",
    "write_truth",
]
