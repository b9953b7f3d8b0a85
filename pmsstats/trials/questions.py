"""Analyses of the trials that go on, with what is known at a look."""

from __future__ import annotations

import dataclasses
from functools import lru_cache

import numpy as np

from pmsstats.cohort.trial_arrays import TrialArrays
from pmsstats.errors import DesignError
from pmsstats.trials.analyses.answers import normal_quantile
from pmsstats.trials.cuts import cut_at, take_replicates
from pmsstats.trials.outcomes import AnalysisBatch
from pmsstats.trials.records import Answers
from pmsstats.trials.scenario import Scenario, TrialAnalysis, TrialArm
from pmsstats.trials.trial_state import TrialState

__all__ = ["TRIAL_OPTIONS", "ask", "concurrent_only", "data_at", "without_trial_options"]

TRIAL_OPTIONS = ("after", "margin", "controls")
"""Options of an analysis that the trial deals with, and not its method."""

_NUMBERS = {
    "estimate": np.nan, "std_error": np.nan, "df": np.nan, "z": np.nan, "information": np.nan,
    "n_reference": 0, "n_treated": 0, "n_events": 0,
}  # fmt: skip


def data_at(state: TrialState, replicates: np.ndarray, year: np.ndarray) -> TrialArrays:
    """Return what is known of some trials at a look.

    Parameters
    ----------
    state : TrialState
        Of all of them.
    replicates : ndarray of int, shape (n_asked,)
        Ascending positions.
    year : ndarray, shape (n_asked,)
        Calendar time, infinite for everything.

    Returns
    -------
    TrialArrays
        With entries.
    """
    data = take_replicates(state.data, replicates)
    return cut_at(data, data.entry_year, year)


def ask(
    state: TrialState,
    name: str,
    data: TrialArrays,
    replicates: np.ndarray,
    year: np.ndarray,
    *,
    asked: np.ndarray | None = None,
) -> Answers:
    """Analyse some trials, each with the comparisons that are still going on.

    Parameters
    ----------
    state : TrialState
        Of all of them.
    name : str
        Of the analysis.
    data : TrialArrays
        Of these trials at the look.
    replicates : ndarray of int, shape (n_asked,)
        Ascending positions.
    year : ndarray, shape (n_asked,)
        Calendar time of the look.
    asked : ndarray of bool, shape (n_asked, n_comparisons), optional
        Comparisons to make; by default those that go on.

    Returns
    -------
    Answers
        Rows that could not be analysed say why.
    """
    analysis = state.scenario.analysis(name)
    bare = without_trial_options(state.scenario, name)
    if not state.by_arm or analysis.options.get("by", "arm") == "factor":
        batch = _analyse(state.scenario, bare, data, state.scenario.arm_names[1:])
        answers = _whole(analysis, batch, replicates, year)
    else:
        asked = state.active[replicates] if asked is None else asked
        answers = _by_arm(state, analysis, data, asked, (replicates, year))
    return _shift(answers, analysis)


def _whole(
    analysis: TrialAnalysis, batch: AnalysisBatch, replicates: np.ndarray, year: np.ndarray
) -> Answers:
    """Return the answers of one analysis of all arms."""
    return Answers(
        analysis=analysis.name,
        comparisons=batch.comparisons,
        replicates=replicates,
        asked=np.ones(batch.z.shape, dtype=bool),
        z=batch.z,
        numbers={field: getattr(batch, field) for field in _NUMBERS},
        reason=batch.reason,
        year=year,
        truth_sign=batch.truth_sign,
    )


def _by_arm(
    state: TrialState,
    analysis: TrialAnalysis,
    data: TrialArrays,
    asked: np.ndarray,
    when: tuple[np.ndarray, np.ndarray],
) -> Answers:
    """Ask about groups of trials that have the same arms left."""
    bare = without_trial_options(state.scenario, analysis.name)
    replicates, year = when
    groups = _groups(state.scenario, analysis, asked)
    if len(groups) == 1 and asked.all():
        batch = _analyse(state.scenario, bare, data, state.scenario.arm_names[1:])
        return _whole(analysis, batch, replicates, year)
    shape = asked.shape
    numbers = {field: np.full(shape, empty) for field, empty in _NUMBERS.items()}
    reason = np.full(shape, "", dtype=object)
    sign = 1
    for rows, columns in groups:
        part = take_replicates(data, rows)
        arms = [state.scenario.arms[1 + column] for column in columns]
        if _is_late(arms[0]) and analysis.options.get("controls", "concurrent") == "concurrent":
            part = concurrent_only(part, arms[0])
        batch = _analyse(state.scenario, bare, part, tuple(arm.name for arm in arms))
        place = np.ix_(rows, columns)
        for field, values in numbers.items():
            values[place] = getattr(batch, field)
        reason[place] = batch.reason
        sign = batch.truth_sign
    return Answers(
        analysis=analysis.name,
        comparisons=state.comparisons,
        replicates=replicates,
        asked=asked.copy(),
        z=numbers["z"],
        numbers=numbers,
        reason=reason,
        year=year,
        truth_sign=sign,
    )


def _groups(
    scenario: Scenario, analysis: TrialAnalysis, asked: np.ndarray
) -> list[tuple[np.ndarray, list[int]]]:
    """Return which replicates are asked about which comparisons together."""
    kind = analysis.options.get("controls", "concurrent")
    if kind not in {"concurrent", "all"}:
        raise DesignError(
            f"`controls` of analysis {analysis.name!r} must be 'concurrent' or 'all', got {kind!r}."
        )
    late = [kind == "concurrent" and _is_late(arm) for arm in scenario.arms[1:]]
    groups = []
    patterns, member = np.unique(asked, axis=0, return_inverse=True)
    for number, pattern in enumerate(patterns):
        rows = np.flatnonzero(member.ravel() == number)
        together = [c for c in np.flatnonzero(pattern) if not late[c]]
        alone = [[c] for c in np.flatnonzero(pattern) if late[c]]
        groups += [(rows, list(map(int, part))) for part in [together, *alone] if part]
    return groups


def _is_late(arm: TrialArm) -> bool:
    """Say whether an arm does not recruit all the time."""
    return arm.opens_year > 0 or bool(np.isfinite(arm.closes_year))


def concurrent_only(data: TrialArrays, arm: TrialArm) -> TrialArrays:
    """Keep subjects of the reference who could have been randomised to an arm.

    Parameters
    ----------
    data : TrialArrays
        With entries.
    arm : TrialArm
        That opens late or closes early.

    Returns
    -------
    TrialArrays
        The others have arm -1.
    """
    entry = data.entry_year
    out = (data.arm == 0) & ((entry < arm.opens_year) | (entry >= arm.closes_year))
    return data.replace(arm=np.where(out, np.int8(-1), data.arm).astype(np.int8))


@lru_cache(maxsize=256)
def without_trial_options(scenario: Scenario, name: str) -> TrialAnalysis:
    """Return an analysis as its method knows it.

    Parameters
    ----------
    scenario : Scenario
        The trial.
    name : str
        Of the analysis.

    Returns
    -------
    TrialAnalysis
        Without the options that the trial deals with.
    """
    analysis = scenario.analysis(name)
    options = {k: v for k, v in analysis.options.items() if k not in TRIAL_OPTIONS}
    return dataclasses.replace(analysis, options=options)


def _analyse(
    scenario: Scenario, analysis: TrialAnalysis, data: TrialArrays, arms: tuple[str, ...]
) -> AnalysisBatch:
    """Analyse replicates."""
    from pmsstats.trials.analyses import analyse

    return analyse(scenario, analysis, data, arms=arms)


def _shift(answers: Answers, analysis: TrialAnalysis) -> Answers:
    """Test against a margin, where there is one."""
    margin = float(analysis.options.get("margin", 0.0))
    if margin == 0.0:
        return answers
    if margin < 0.0:
        raise DesignError(
            f"`margin` of analysis {analysis.name!r} is how much worse a treatment may be, on the "
            f"scale of the estimate and above 0, got {margin!r}."
        )
    numbers = answers.numbers
    benefit = answers.truth_sign * numbers["estimate"] + margin
    z = normal_quantile(benefit / numbers["std_error"], numbers["df"])
    return dataclasses.replace(answers, z=z, numbers=numbers | {"z": z})
