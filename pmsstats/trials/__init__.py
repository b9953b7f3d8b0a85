"""Trials simulated by the ten thousand: scenarios, designs, operating characteristics."""

from __future__ import annotations

from pmsstats.trials.comparison import DesignComparison
from pmsstats.trials.description import describe_scenario
from pmsstats.trials.library import LibraryTrial, PublishedFinding, library_trial, trial_library
from pmsstats.trials.library.published import (
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

__all__ = [
    "Accrual",
    "DecisionRule",
    "DesignComparison",
    "IntercurrentEvent",
    "Interim",
    "LibraryTrial",
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
    "compare_designs",
    "compare_with_published",
    "describe_scenario",
    "library_trial",
    "read_scenario",
    "scenario_from_dict",
    "scenario_to_toml",
    "simulate_published",
    "simulate_trials",
    "trial_library",
    "write_scenario",
]
