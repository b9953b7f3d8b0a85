"""Tests that combine what was there before an adaptation with what came after."""

from __future__ import annotations

import numpy as np

from pmsstats.power.conditional import combination_test
from pmsstats.trials.cuts import take_replicates
from pmsstats.trials.information_at_looks import information_at
from pmsstats.trials.records import Answers
from pmsstats.trials.scenario import Scenario
from pmsstats.trials.trial_state import FirstStage, TrialState

__all__ = ["combined_z", "first_stage", "increment_z", "information_of"]


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
    z = np.full((state.n_replicates, answers.z.shape[1]), np.nan)
    z[answers.replicates] = answers.z
    information = np.full(state.n_replicates, np.nan)
    information[answers.replicates] = information_of(
        state, answers.analysis, answers.replicates, answers.year
    )
    return FirstStage(z=z, information=information, weight=weight)


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
        With its first stage, if it was adapted.
    answers : Answers
        Of the primary analysis at a later look.
    planned : float
        Share of the final information that this look was planned to have, 1 for the end.

    Returns
    -------
    ndarray, shape (n_asked, n_comparisons)
        The statistics as they are where nothing was adapted, or nothing came after.
    """
    stage = state.stage
    if stage is None or planned <= stage.weight:
        return answers.z
    z1 = stage.z[answers.replicates]
    now = information_of(state, answers.analysis, answers.replicates, answers.year)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = (stage.information[answers.replicates] / now)[:, None]
    usable = (share > 0) & (share < 1) & ~np.isnan(z1)
    share = np.where(usable, share, 0.5)
    z2 = increment_z(z1, answers.z, share)
    return np.where(usable, combination_test(z1, z2, weight=stage.weight / planned), answers.z)
