"""Trials simulated by the ten thousand: scenarios, designs, operating characteristics."""

from __future__ import annotations

from pmsstats.trials.checkpoint import CheckpointError
from pmsstats.trials.closed_form import closed_form_power
from pmsstats.trials.comparison import DesignComparison
from pmsstats.trials.description import describe_estimate, describe_scenario
from pmsstats.trials.designs import (
    delayed_start_design,
    enrichment_design,
    factorial_design,
    fixed_design,
    group_sequential_design,
    later_window_design,
    multi_arm_multi_stage_design,
    sample_size_re_estimation_design,
)
from pmsstats.trials.operating import operating_characteristics
from pmsstats.trials.progress import Progress
from pmsstats.trials.published_trials import (
    LibraryTrial,
    PublishedFinding,
    library_trial,
    trial_library,
)
from pmsstats.trials.published_trials.overview import LibraryComparison, simulate_library
from pmsstats.trials.published_trials.published import (
    PublishedComparison,
    compare_with_published,
    simulate_published,
)
from pmsstats.trials.result import SimulationResult
from pmsstats.trials.scenario import (
    Accrual,
    DecisionRule,
    IntercurrentEvent,
    Interim,
    Scenario,
    TrialAnalysis,
    TrialArm,
    TrialDropout,
    TrialEndpoint,
    TrialPopulation,
    TrialSchedule,
)
from pmsstats.trials.scenario_toml import (
    read_scenario,
    scenario_from_dict,
    scenario_to_toml,
    write_scenario,
)
from pmsstats.trials.simulate import compare_designs, simulate_trials
from pmsstats.trials.template import scenario_template

__all__ = [
    "Accrual",
    "CheckpointError",
    "DecisionRule",
    "DesignComparison",
    "IntercurrentEvent",
    "Interim",
    "LibraryComparison",
    "LibraryTrial",
    "Progress",
    "PublishedComparison",
    "PublishedFinding",
    "Scenario",
    "SimulationResult",
    "TrialAnalysis",
    "TrialArm",
    "TrialDropout",
    "TrialEndpoint",
    "TrialPopulation",
    "TrialSchedule",
    "closed_form_power",
    "compare_designs",
    "compare_with_published",
    "delayed_start_design",
    "describe_estimate",
    "describe_scenario",
    "enrichment_design",
    "factorial_design",
    "fixed_design",
    "group_sequential_design",
    "later_window_design",
    "library_trial",
    "multi_arm_multi_stage_design",
    "operating_characteristics",
    "read_scenario",
    "sample_size_re_estimation_design",
    "scenario_from_dict",
    "scenario_template",
    "scenario_to_toml",
    "simulate_library",
    "simulate_published",
    "simulate_trials",
    "trial_library",
    "write_scenario",
]
