"""Interim looks at which a trial may stop for efficacy or futility."""

from __future__ import annotations

import numpy as np

from pmsstats.errors import DesignError
from pmsstats.trials.information_at_looks import counts_events, planned_fraction
from pmsstats.trials.looks import final_cut_year
from pmsstats.trials.records import Answers
from pmsstats.trials.scenario import Interim
from pmsstats.trials.selection import give_up, stop_without_arms
from pmsstats.trials.sequential_rule import bounds_at, primary_looks
from pmsstats.trials.stages import combined_z, information_of, next_stage
from pmsstats.trials.trial_state import EFFICACY, TrialState

__all__ = ["sequential_look"]

_ROUND = 2  # digits of information fractions that were not planned: replicates then share bounds


def sequential_look(
    state: TrialState, interim: Interim, answers: Answers
) -> tuple[np.ndarray, np.ndarray]:
    """Stop trials that crossed a bound.

    Parameters
    ----------
    state : TrialState
        Changed: comparisons that end, and trials that stop.
    interim : Interim
        Options: `stop_when` (``"any"`` comparison is claimed, or ``"all"`` have ended), `fraction`
        of the final information as planned, `futility_z` for a look at another than the primary
        analysis, which may stop for futility only.
    answers : Answers
        Of its analysis.

    Returns
    -------
    boundary : ndarray, shape (n_asked, n_comparisons)
        For efficacy; missing where none may be claimed.
    rejected : ndarray of bool, shape (n_asked, n_comparisons)
        What was claimed.

    Raises
    ------
    DesignError
        If an option is unknown.
    """
    z, upper, lower = _statistics(state, interim, answers)
    rejected = answers.asked & (z >= upper[:, None])
    futile = answers.asked & ~rejected & (z < lower[:, None])
    who = answers.replicates
    answers.numbers["z"] = z
    state.rejected[who] |= rejected
    give_up(state, interim, answers, futile)
    _end_claimed(state, interim, answers, rejected)
    stop_without_arms(state, who)
    boundary = np.where(np.isinf(upper), np.nan, upper)[:, None]
    return np.broadcast_to(boundary, z.shape), rejected


def _statistics(
    state: TrialState, interim: Interim, answers: Answers
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return statistics, and bounds for efficacy and futility."""
    scenario, who = state.scenario, answers.replicates
    if interim.analysis != scenario.decision.analysis:
        lower = float(interim.options.get("futility_z", -np.inf))
        return answers.z, np.full(len(who), np.inf), np.full(len(who), lower)
    planned = planned_fraction(scenario, interim)
    fraction = np.full(state.n_replicates, np.nan)
    fraction[who] = _fractions(state, interim, answers, planned)
    fraction[who[np.isnan(answers.z).all(axis=1)]] = np.nan  # a look without answer spends nothing
    looks = primary_looks(scenario).index(interim)
    missed = [np.full(state.n_replicates, np.nan)] * (looks - len(state.fractions))
    state.fractions = [*state.fractions, *missed, fraction]
    upper, lower = bounds_at(
        scenario, [t[who] for t in state.fractions], len(state.comparisons), final=False
    )
    if not scenario.decision.futility.get("obeyed", True):
        lower = np.full(len(who), -np.inf)
    z = combined_z(state, answers, planned=planned)
    if state.stage is not None:
        state.stage = next_stage(state, answers, z, planned, before=state.stage)
    return z, upper, lower


def _fractions(state: TrialState, interim: Interim, answers: Answers, planned: float) -> np.ndarray:
    """Return the share of the final information that trials have at a look."""
    scenario, who = state.scenario, answers.replicates
    stated = "fraction" in interim.options or interim.at in {"information", "events"}
    if stated or counts_events(scenario.analysis(interim.analysis)) or state.stage is not None:
        return np.full(len(who), planned)
    now = information_of(state, interim.analysis, who, answers.year)
    cut = final_cut_year(scenario, state.data, state.entry_year)[who]
    end = information_of(state, interim.analysis, who, cut)
    share = np.round(now / np.maximum(end, 1e-300), _ROUND)
    return np.where(share > 0, np.minimum(share, 1.0 - 10.0**-_ROUND), np.nan)


def _end_claimed(
    state: TrialState, interim: Interim, answers: Answers, rejected: np.ndarray
) -> None:
    """End comparisons that were claimed, or the whole trial with the first of them."""
    rule = interim.options.get("stop_when", "any")
    if rule not in {"any", "all"}:
        raise DesignError(
            f"`stop_when` of interim {interim.name!r} must be 'any' or 'all', got {rule!r}."
        )
    who = answers.replicates
    if rule == "any":
        state.stop(who[rejected.any(axis=1)], EFFICACY)
        rejected = rejected & (state.running[who] == 0)[:, None]
    give_up(state, interim, answers, rejected)
