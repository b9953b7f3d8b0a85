"""The course of a trial: recruitment, looks, decisions, end; many replicates at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from pmsstats.cohort.trial_arrays import TrialArrays
from pmsstats.seeds import Seed, as_seed_sequence
from pmsstats.trials.enrichment import choose_population
from pmsstats.trials.final_analysis import finish, other_analyses
from pmsstats.trials.looks import look_year
from pmsstats.trials.outcomes import BlockOutcome
from pmsstats.trials.questions import ask, data_at
from pmsstats.trials.re_estimation import plan_by_effect, plan_by_variance
from pmsstats.trials.records import Answers
from pmsstats.trials.rules import check_rules
from pmsstats.trials.scenario import Interim, Scenario
from pmsstats.trials.selection import select_arms
from pmsstats.trials.sequential_looks import sequential_look
from pmsstats.trials.trial_state import STOPPED_FOR, TrialState, begin

__all__ = ["run_block"]


def run_block(
    scenario: Scenario,
    generator: Callable[..., TrialArrays],
    root: Seed,
    first: int,
    last: int,
) -> BlockOutcome:
    """Simulate some consecutive replicates of a trial from the first recruit to the decision.

    Parameters
    ----------
    scenario : Scenario
        The trial.
    generator : callable
        ``generator(scenario, root, first=, last=, arm=) -> TrialArrays``: the same people whatever
        their arms.
    root : int, numpy.random.SeedSequence or numpy.random.Generator
        From which every stream is spawned.
    first, last : int
        First replicate, and the one after the last.

    Returns
    -------
    BlockOutcome
        The same for a replicate whatever others are asked for.

    Raises
    ------
    DesignError
        If looks, rules and analyses contradict each other.

    Notes
    -----
    Each look is at what is known then: subjects who had entered, visits that had taken place.
    Interim looks give a row for the analysis that decides; where a trial ends, all analyses are
    done that are not for interim looks only, in the arms that were not given up by then. Data that
    come in after a trial was stopped are not looked at. Statistics of trials whose stages are
    combined are those of the combination; estimates and confidence limits are those of the analysis
    as it stands. Further analyses than the primary one are tested at the one-sided level of the
    decision, whenever the trial ends.
    """
    check_rules(scenario)
    state = begin(scenario, generator, as_seed_sequence(root), first, last)
    for interim in scenario.interims:
        _take_look(state, interim)
    finish(state)
    return _outcome(state)


def _take_look(state: TrialState, interim: Interim) -> None:
    """Look at the trials that go on, and decide."""
    years = look_year(state.scenario, interim, state.data, state.entry_year)
    years = np.maximum(years, state.last_year)
    who = np.flatnonzero((state.running == 0) & (years < state.end_year()))
    if not len(who):
        return
    state.n_looks[who] += 1
    state.last_year[who] = years[who]
    data = data_at(state, who, years[who])
    if interim.rule == "sample_size" and interim.options.get("blinded", False):
        plan_by_variance(state, interim, data, who, years[who])
        return
    answers = ask(state, interim.analysis, data, who, years[who])
    boundary, rejected = _decide(state, interim, answers)
    state.records.add(
        answers,
        look=state.n_looks[who],
        boundary=boundary,
        rejected=rejected,
        alpha=state.scenario.decision.alpha,
    )
    other_analyses(state, interim, answers, data)


def _decide(state: TrialState, interim: Interim, answers: Answers) -> tuple[np.ndarray, np.ndarray]:
    """Apply the rule of a look; return its bounds and what was claimed."""
    nothing = np.zeros(answers.z.shape, dtype=bool)
    if interim.rule == "select_arms":
        return select_arms(state, interim, answers), nothing
    if interim.rule == "enrichment":
        return choose_population(state, interim, answers), nothing
    if interim.rule == "sample_size":
        plan_by_effect(state, interim, answers)
        return np.full(answers.z.shape, np.nan), nothing
    return sequential_look(state, interim, answers)


def _outcome(state: TrialState) -> BlockOutcome:
    """Return the frames of a block."""
    scenario = state.scenario
    replicate = np.arange(state.first, state.first + state.n_replicates)
    entered = state.filled & (state.entry_year <= state.last_year[:, None] + 1e-9)
    arm = np.where(entered, state.everybody.arm, np.int8(-1))
    enrolled = np.stack([np.sum(arm == k, axis=1) for k in range(len(scenario.arms))], axis=1)
    trials = pd.DataFrame(
        {
            "replicate": replicate,
            "n_enrolled": enrolled.sum(axis=1),
            "duration_years": state.last_year,
            "n_looks": state.n_looks,
            "stopped_for": np.array(STOPPED_FOR, dtype=object)[state.running],
            "success": state.success(),
            "failed": state.failed != "",
            "reason": state.failed,
        }
    )
    return BlockOutcome(
        estimates=state.records.frame(), trials=trials, arms=_arms(state, replicate, enrolled)
    )


def _arms(state: TrialState, replicate: np.ndarray, enrolled: np.ndarray) -> pd.DataFrame:
    """Return one row per replicate and arm."""
    n, n_arms = enrolled.shape
    dropped, rejected = np.zeros((n, n_arms), dtype=np.int64), np.zeros((n, n_arms), dtype=bool)
    if state.by_arm:
        dropped[:, 1:], rejected[:, 1:] = state.dropped_at, state.rejected
    return pd.DataFrame(
        {
            "replicate": np.repeat(replicate, n_arms),
            "arm": np.tile(np.array(state.scenario.arm_names, dtype=object), n),
            "n_enrolled": enrolled.ravel(),
            "dropped_at": dropped.ravel(),
            "rejected": rejected.ravel(),
        }
    )
