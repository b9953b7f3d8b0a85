"""Tests that combine what was there before an adaptation with what came after."""

from __future__ import annotations

import numpy as np

from pmsstats.power.conditional import combination_test
from pmsstats.trials.cuts import take_replicates
from pmsstats.trials.information_at_looks import information_at
from pmsstats.trials.records import Answers
from pmsstats.trials.scenario import Scenario
from pmsstats.trials.trial_state import FirstStage, TrialState

__all__ = ["combined_z", "first_stage", "increment_z", "information_of", "next_stage"]


def information_of(
    state: TrialState, name: str, replicates: np.ndarray, year: np.ndarray
) -> np.ndarray:
    """Count the information of some trials at a look.

    Parameters
    ----------
    state : TrialState
        Of all of them.
    name : str
        Of the analysis.
    replicates : ndarray of int, shape (n_asked,)
        Ascending positions.
    year : ndarray, shape (n_asked,)
        Calendar time, infinite for the end.

    Returns
    -------
    ndarray, shape (n_asked,)
        See :func:`~pmsstats.trials.information_at_looks.information_at`.
    """
    scenario = state.scenario
    data = take_replicates(state.data, replicates)
    options = _variances(scenario, name)
    return information_at(
        scenario, scenario.analysis(name), data, data.entry_year, year, options=options
    )


def _variances(scenario: Scenario, name: str) -> dict[str, object]:
    """Return what the looks of an analysis suppose about variances."""
    options: dict[str, object] = {}
    for look in scenario.interims:
        if look.analysis == name:
            options |= look.options
    return options


def first_stage(state: TrialState, answers: Answers, weight: float) -> FirstStage:
    """Keep the statistics at an adaptation.

    Parameters
    ----------
    state : TrialState
        Of all trials.
    answers : Answers
        At the look.
    weight : float
        Share of the final information as planned.

    Returns
    -------
    FirstStage
        Missing for trials that were not asked.
    """
    missing = np.full((state.n_replicates, answers.z.shape[1]), np.nan)
    nothing = FirstStage(
        z=missing, combined=missing, information=missing[:, 0], weight=missing[:, 0]
    )
    return next_stage(state, answers, answers.z, weight, before=nothing)


def next_stage(
    state: TrialState,
    answers: Answers,
    combined: np.ndarray,
    weight: float,
    *,
    before: FirstStage,
) -> FirstStage:
    """Keep the statistics at a look, from which on increments are counted.

    Parameters
    ----------
    state : TrialState
        Of all trials.
    answers : Answers
        At the look.
    combined : ndarray, shape (n_asked, n_comparisons)
        Statistics with the stages so far weighed as planned.
    weight : float
        Share of the final information as planned.
    before : FirstStage
        For trials that were not asked, or could not be analysed.

    Returns
    -------
    FirstStage
        Of all trials.
    """
    answered = ~np.isnan(answers.z).any(axis=1)
    who = answers.replicates[answered]
    known = information_of(state, answers.analysis, answers.replicates, answers.year)
    new = (answers.z[answered], combined[answered], known[answered], weight)
    fields = []
    for old, values in zip(
        (before.z, before.combined, before.information, before.weight), new, strict=True
    ):
        kept = old.copy()
        kept[who] = values
        fields.append(kept)
    return FirstStage(z=fields[0], combined=fields[1], information=fields[2], weight=fields[3])


def increment_z(z1: np.ndarray, z: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Return the statistic of the data that came after a look.

    Parameters
    ----------
    z1, z : ndarray
        At the look, and of all data.
    share : ndarray
        Information at the look as a share of that of all data, above 0 and below 1.

    Returns
    -------
    ndarray
        Independent of `z1`, as scores have independent increments.
    """
    return (z - np.sqrt(share) * z1) / np.sqrt(1.0 - share)


def combined_z(state: TrialState, answers: Answers, *, planned: float) -> np.ndarray:
    """Weigh the stages of an adapted trial as they were planned.

    Parameters
    ----------
    state : TrialState
        With the stages that are over, if it was adapted.
    answers : Answers
        Of the primary analysis at a later look.
    planned : float
        Share of the final information that this look was planned to have, 1 for the end.

    Returns
    -------
    ndarray, shape (n_asked, n_comparisons)
        The statistics as they are where nothing was adapted, or nothing came after.

    Notes
    -----
    Each stage between looks since the adaptation has its planned weight [1]_, so that statistics
    of later looks are as correlated as those of the plan.

    References
    ----------
    .. [1] Cui L, Hung HMJ, Wang SJ. Modification of sample size in group sequential clinical
       trials. Biometrics 1999;55:853-857. doi:10.1111/j.0006-341X.1999.00853.x
    """
    stage = state.stage
    if stage is None:
        return answers.z
    who = answers.replicates
    z1, weight = stage.z[who], (stage.weight[who] / planned)[:, None]
    now = information_of(state, answers.analysis, who, answers.year)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = (stage.information[who] / now)[:, None]
        usable = (share > 0) & (share < 1) & (weight < 1) & ~np.isnan(z1)
    z2 = increment_z(z1, answers.z, np.where(usable, share, 0.5))
    combined = combination_test(stage.combined[who], z2, weight=np.where(usable, weight, 0.5))
    return np.where(usable, combined, answers.z)
