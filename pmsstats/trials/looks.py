"""When the looks at a trial take place, replicate by replicate."""

from __future__ import annotations

import numpy as np

from pmsstats.cohort.coerce import DAYS_PER_YEAR
from pmsstats.cohort.trial_arrays import TrialArrays
from pmsstats.trials.information_at_looks import event_years, year_of_information
from pmsstats.trials.scenario import Interim, Scenario

__all__ = ["all_followed_year", "final_cut_year", "look_year", "nth_year"]


def nth_year(years: np.ndarray, n: int | np.ndarray) -> np.ndarray:
    """Find when something happened for the nth time.

    Parameters
    ----------
    years : ndarray, shape (n_replicates, n_subjects)
        When it happened, infinite where it did not.
    n : int or ndarray of int, shape (n_replicates,)
        Counted from 1.

    Returns
    -------
    ndarray, shape (n_replicates,)
        Infinite where it did not happen so often.
    """
    place = np.broadcast_to(np.asarray(n), len(years)) - 1
    found = np.take_along_axis(
        np.sort(years, axis=1), np.clip(place, 0, years.shape[1] - 1)[:, None], axis=1
    )[:, 0]
    return np.where(place < years.shape[1], found, np.inf)


def look_year(
    scenario: Scenario, interim: Interim, data: TrialArrays, entry_year: np.ndarray
) -> np.ndarray:
    """Find when an interim look takes place.

    Parameters
    ----------
    scenario : Scenario
        The trial.
    interim : Interim
        The look.
    data : TrialArrays
        Of the whole trial; places that are not filled have arm -1.
    entry_year : ndarray, shape (n_replicates, n_subjects)
        Entries, ascending.

    Returns
    -------
    ndarray, shape (n_replicates,)
        Calendar time; infinite where what it waits for does not happen.

    Raises
    ------
    DesignError
        If it waits for events of an analysis that has none.
    """
    analysis = scenario.analysis(interim.analysis)
    if interim.at == "year":
        return np.full(data.n_replicates, interim.value)
    if interim.at == "events":
        years = event_years(scenario, analysis, data, entry_year)
        if interim.options.get("events_in") == "reference":
            years = np.where(data.arm == 0, years, np.inf)
        return nth_year(years, int(np.ceil(interim.value)))
    if interim.at == "information":
        return year_of_information(
            scenario, analysis, data, entry_year,
            share=interim.value, options=interim.options,
            until=final_cut_year(scenario, data, entry_year),
        )  # fmt: skip
    filled = data.arm >= 0
    entries = np.where(filled, entry_year, np.inf)
    if interim.at == "enrolled":
        return nth_year(entries, int(np.ceil(interim.value)))
    week = scenario.schedule.weeks[-1] if interim.week is None else interim.week
    wanted = np.ceil(interim.value * filled.sum(axis=1) - 1e-9).astype(int)
    return nth_year(entries, np.maximum(wanted, 1)) + week * 7 / DAYS_PER_YEAR


def all_followed_year(scenario: Scenario, data: TrialArrays, entry_year: np.ndarray) -> np.ndarray:
    """Find when everybody has reached the last visit, or left.

    Parameters
    ----------
    scenario : Scenario
        With its schedule.
    data : TrialArrays
        Of the whole trial; places that are not filled have arm -1.
    entry_year : ndarray, shape (n_replicates, n_subjects)
        Entries.

    Returns
    -------
    ndarray, shape (n_replicates,)
        Calendar time.
    """
    longest = 7 * scenario.schedule.weeks[-1] + scenario.schedule.window_days
    left = entry_year + np.minimum(data.exit_day, longest) / DAYS_PER_YEAR
    return np.max(np.where(data.arm >= 0, left, 0.0), axis=1)


def final_cut_year(scenario: Scenario, data: TrialArrays, entry_year: np.ndarray) -> np.ndarray:
    """Find when the data of the final analysis are cut.

    Parameters
    ----------
    scenario : Scenario
        With its decision rule.
    data : TrialArrays
        Of the whole trial; places that are not filled have arm -1.
    entry_year : ndarray, shape (n_replicates, n_subjects)
        Entries.

    Returns
    -------
    ndarray, shape (n_replicates,)
        Calendar time; infinite where all data are used: the trial then ends when everybody was
        followed, as it does where the events it waits for do not happen.

    Raises
    ------
    DesignError
        If it waits for events of an analysis that has none.
    """
    decision = scenario.decision
    if decision.final == "year":
        return np.full(data.n_replicates, float(decision.final_value or 0.0))
    if decision.final == "events":
        analysis = scenario.analysis(decision.analysis)
        years = event_years(scenario, analysis, data, entry_year)
        return nth_year(years, int(np.ceil(decision.final_value or 0.0)))
    return np.full(data.n_replicates, np.inf)
