"""What is analysed and claimed where a trial ends."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from pmsstats.cohort.trial_arrays import TrialArrays
from pmsstats.trials.cuts import take_replicates
from pmsstats.trials.enrichment import claim_populations
from pmsstats.trials.final_bounds import final_bounds
from pmsstats.trials.looks import final_cut_year
from pmsstats.trials.questions import ask, data_at
from pmsstats.trials.records import Answers
from pmsstats.trials.scenario import Interim, Scenario
from pmsstats.trials.sequential_rule import bounds_at, primary_looks
from pmsstats.trials.stages import combined_z
from pmsstats.trials.trial_state import END, NOT_CHOSEN, TrialState

__all__ = ["analyses_at_end", "finish", "other_analyses"]


def analyses_at_end(scenario: Scenario) -> tuple[str, ...]:
    """Return the analyses beside the primary one that are done where a trial ends.

    Parameters
    ----------
    scenario : Scenario
        Analyses that interim looks alone use, and those in carriers, are left out.

    Returns
    -------
    tuple of str
        Each after the one that has to be significant first.
    """
    primary = scenario.decision.analysis
    only_interim = {look.analysis for look in scenario.interims}
    only_interim |= {str(look.options.get("subgroup_analysis")) for look in scenario.interims}
    needed = _chain(scenario, primary)
    names = [
        a.name for a in scenario.analyses
        if a.name != primary and (a.name not in only_interim or a.name in needed)
    ]  # fmt: skip
    return tuple(sorted(names, key=lambda name: len(_chain(scenario, name))))


def _chain(scenario: Scenario, name: str) -> tuple[str, ...]:
    """Return the analyses that have to be significant before another is claimed."""
    chain: list[str] = []
    before = scenario.analysis(name).options.get("after")
    while before is not None and before not in chain:
        chain.append(str(before))
        before = scenario.analysis(str(before)).options.get("after")
    return tuple(chain)


def finish(state: TrialState) -> None:
    """Analyse the trials that went on to the end.

    Parameters
    ----------
    state : TrialState
        Changed: all trials have stopped.
    """
    who = state.going_on()
    if not len(who):
        return
    end, cut = state.end_year(), final_cut_year(state.scenario, state.data, state.entry_year)
    state.n_looks[who] += 1
    state.last_year[who] = np.maximum(end, state.last_year)[who]
    years = state.last_year[who]
    data = data_at(state, who, cut[who])
    state.stop(who, END)
    adapted = np.zeros(len(who), dtype=bool)
    if state.enriched is not None:
        adapted = state.enriched.choice[who] != NOT_CHOSEN
    if adapted.any():
        _finish_enriched(state, data, who, years, adapted)
    if not adapted.all():
        part = take_replicates(data, np.flatnonzero(~adapted))
        _finish_plain(state, part, who[~adapted], years[~adapted])


def _finish_plain(state: TrialState, data: TrialArrays, who: np.ndarray, years: np.ndarray) -> None:
    """Test the primary analysis, and the others that hang on it or do not."""
    others = {name: ask(state, name, data, who, years) for name in analyses_at_end(state.scenario)}
    claimed = _claim_others(state, others)
    answers = ask(state, state.scenario.decision.analysis, data, who, years)
    z = combined_z(state, answers, planned=1.0)
    answers.numbers["z"] = z
    bounds = _primary_bounds(state, answers, z)
    rejected = answers.asked & (z >= bounds)
    before = state.scenario.analysis(answers.analysis).options.get("after")
    if before is not None:
        rejected &= claimed[before]
    state.rejected[who] |= rejected
    silent = answers.asked & (answers.reason != "")
    state.failed[who] = _first_words(answers.reason, silent)
    _write(state, answers, np.where(np.isinf(bounds), np.nan, bounds), rejected)
    claimed = _claim_others(state, others, {answers.analysis: rejected})
    for name, other in others.items():
        _write(state, other, np.full(other.z.shape, _critical(state)), claimed[name])


def _critical(state: TrialState) -> float:
    """Return the bound of a single test."""
    return float(-ndtri(state.scenario.decision.alpha))


def _primary_bounds(state: TrialState, answers: Answers, z: np.ndarray) -> np.ndarray:
    """Return the bounds of the primary analysis at the end."""
    scenario, decision = state.scenario, state.scenario.decision
    n_looks = len(primary_looks(scenario))
    if n_looks:
        nothing = np.full(state.n_replicates, np.nan)
        history = [*state.fractions, *[nothing] * (n_looks + 1 - len(state.fractions))]
        history = [t[answers.replicates] for t in history]
        upper, _ = bounds_at(scenario, history, z.shape[1], final=True)
        return np.broadcast_to(upper[:, None], z.shape)
    reference = scenario.arms[0].ratio
    ratios = tuple(arm.ratio / reference for arm in scenario.arms[1:])
    return final_bounds(
        np.where(answers.asked, z, np.nan),
        alpha=decision.alpha,
        multiplicity=decision.multiplicity,
        ratios=ratios if state.by_arm else (1.0,) * z.shape[1],
    )


def _claim_others(
    state: TrialState, others: dict[str, Answers], known: dict[str, np.ndarray] | None = None
) -> dict[str, np.ndarray]:
    """Say what the other analyses claim, each after the one before it."""
    claimed = dict(known or {})
    for name, answers in others.items():
        found = answers.asked & (answers.z >= _critical(state))
        before = state.scenario.analysis(name).options.get("after")
        if before in claimed:
            found &= claimed[before]
        claimed[name] = found
    return claimed


def _first_words(reason: np.ndarray, silent: np.ndarray) -> np.ndarray:
    """Return the first reason of each trial; empty where every comparison has an answer."""
    column = np.argmax(silent, axis=1)[:, None]
    words = np.take_along_axis(reason, column, axis=1)[:, 0]
    return np.where(silent.any(axis=1), words, "")


def _write(state: TrialState, answers: Answers, boundary: np.ndarray, rejected: np.ndarray) -> None:
    """Write down the answers at the end."""
    state.records.add(
        answers,
        look=state.n_looks[answers.replicates],
        boundary=np.broadcast_to(boundary, answers.z.shape),
        rejected=rejected,
        alpha=state.scenario.decision.alpha,
    )


def _finish_enriched(
    state: TrialState, data: TrialArrays, who: np.ndarray, years: np.ndarray, adapted: np.ndarray
) -> None:
    """Test everybody and carriers in the trials that had the choice."""
    part = take_replicates(data, np.flatnonzero(adapted))
    who, years = who[adapted], years[adapted]
    everybody, carriers = claim_populations(state, part, who, years)
    critical = _critical(state)
    for answers in (everybody, carriers):
        rejected = answers.asked & (answers.z >= critical)
        if answers is everybody:
            state.rejected[who] |= rejected
        else:
            state.claimed_in_carriers[who] |= rejected[:, 0]
        silent = answers.asked & (answers.reason != "")
        words = _first_words(answers.reason, silent)
        state.failed[who] = np.where(state.failed[who] == "", words, state.failed[who])
        _write(state, answers, np.full(answers.z.shape, critical), rejected)
    for name in analyses_at_end(state.scenario):
        other = ask(state, name, part, who, years)
        _write(state, other, np.full(other.z.shape, critical), other.asked & (other.z >= critical))


def other_analyses(
    state: TrialState, interim: Interim, answers: Answers, data: TrialArrays
) -> None:
    """Do what is done at the end in trials that a look has just stopped.

    Parameters
    ----------
    state : TrialState
        After the decision.
    interim : Interim
        The look.
    answers : Answers
        Of its analysis.
    data : TrialArrays
        At the look, of all trials that were asked.
    """
    if interim.rule == "select_arms":  # nothing is left to analyse: arms given up are not
        return
    scenario = state.scenario
    ended = np.flatnonzero(state.running[answers.replicates] != 0)
    names = [scenario.decision.analysis, *analyses_at_end(scenario)]
    names = [name for name in names if name != interim.analysis]
    if not len(ended) or not names:
        return
    who, years = answers.replicates[ended], answers.year[ended]
    part = take_replicates(data, ended)
    asked = answers.asked[ended]
    others = {name: ask(state, name, part, who, years, asked=asked) for name in names}
    primary = scenario.decision.analysis
    late = others.pop(primary, None)
    claimed = _claim_others(state, others, {primary: state.rejected[who]})
    if late is not None:
        _write(state, late, np.full(late.z.shape, np.nan), np.zeros(late.z.shape, dtype=bool))
    for name, other in others.items():
        _write(state, other, np.full(other.z.shape, _critical(state)), claimed[name])
