"""How much of its final information a trial has at a point in calendar time.

Looks are planned by information, which nobody knows before the data are analysed. It is counted
here by design: how many events there were, or what the visits that took place say about a slope
with the variances that the plan supposed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pmsstats.cohort.coerce import DAYS_PER_YEAR
from pmsstats.cohort.trial_arrays import TrialArrays
from pmsstats.errors import DesignError
from pmsstats.trials.cuts import seen_by
from pmsstats.trials.enrol import expected_entries, planned_places
from pmsstats.trials.scenario import Interim, Scenario, TrialAnalysis

__all__ = [
    "counts_events",
    "event_years",
    "expected_year",
    "first_informative_week",
    "information_at",
    "information_steps",
    "planned_fraction",
    "year_of_information",
]

_EVENTS = ("log_rank", "cox")
_SLOPES = ("random_slope", "multivariate")
_SAME_TIME = 1e-9  # years


def counts_events(analysis: TrialAnalysis) -> bool:
    """Return whether the information of an analysis is its number of events.

    Parameters
    ----------
    analysis : TrialAnalysis
        By its method.
    """
    return analysis.method in _EVENTS


def event_years(
    scenario: Scenario, analysis: TrialAnalysis, data: TrialArrays, entry_year: np.ndarray
) -> np.ndarray:
    """Say when each event became known.

    Parameters
    ----------
    scenario : Scenario
        The trial.
    analysis : TrialAnalysis
        Of a time to an event.
    data : TrialArrays
        Of the whole trial.
    entry_year : ndarray, shape (n_replicates, n_subjects)
        Entries.

    Returns
    -------
    ndarray, shape (n_replicates, n_subjects)
        Calendar time; infinite where there is no event, or nobody.

    Raises
    ------
    DesignError
        If the analysis is not about a time to an event.
    """
    from pmsstats.trials.analyses import event_days

    if not counts_events(analysis):
        raise DesignError(
            f"Analysis {analysis.name!r} by method {analysis.method!r} has no events to wait for. "
            f"Use one of {', '.join(_EVENTS)}, or time the look by visits or years."
        )
    days = event_days(scenario, analysis, data)
    return np.where(data.arm >= 0, entry_year + days / DAYS_PER_YEAR, np.inf)


def information_steps(
    scenario: Scenario, analysis: TrialAnalysis, options: Mapping[str, Any]
) -> np.ndarray:
    """Say what each visit adds to what is known from a subject, those before it included.

    Parameters
    ----------
    scenario : Scenario
        With its schedule.
    analysis : TrialAnalysis
        With its window.
    options : mapping of str to object
        Of the look: `slope_sd` (per year) and `residual_sd`, by default those of the population's
        settings.

    Returns
    -------
    ndarray, shape (n_visits,)
        For slopes, steps of ``1 / (slope_sd^2 + residual_sd^2 / S)`` with S the sum of squares of
        the years of the visits so far about their mean; for counts, the years since the visit
        before; else 1 at the last visit of the window.

    Raises
    ------
    DesignError
        If the standard deviations are not known, or the window has less than two visits.
    """
    weeks = np.asarray(scenario.schedule.weeks, dtype=float)
    inside = np.flatnonzero((weeks >= analysis.from_week) & (weeks <= analysis.to_week))
    if len(inside) < 2:
        raise DesignError(
            f"Analysis {analysis.name!r} needs two visits in its window, got {len(inside)}."
        )
    years = weeks[inside] * 7 / DAYS_PER_YEAR
    steps = np.zeros(len(weeks))
    if analysis.method in _SLOPES:
        slope_sd, residual_sd = _sds(scenario, analysis, options)
        squares = np.array(
            [np.sum((years[:k] - years[:k].mean()) ** 2) for k in range(2, len(years) + 1)]
        )
        known = squares / (slope_sd**2 * squares + residual_sd**2)
        steps[inside[1:]] = np.diff(known, prepend=0.0)
    elif analysis.method == "counts":
        steps[inside[1:]] = np.diff(years)
    else:
        steps[inside[-1]] = 1.0
    return steps


def first_informative_week(scenario: Scenario, analysis: TrialAnalysis) -> float:
    """Say up to which week a subject must be seen to say anything about an effect.

    Parameters
    ----------
    scenario : Scenario
        With its schedule.
    analysis : TrialAnalysis
        With its window.

    Returns
    -------
    float
        The second visit of the window for slopes, counts and models, else the last one.
    """
    weeks = [w for w in scenario.schedule.weeks if analysis.from_week <= w <= analysis.to_week]
    if analysis.method in {*_SLOPES, "counts", "mmrm", "model", "function"}:
        return float(weeks[1]) if len(weeks) > 1 else float("inf")
    return float(weeks[-1]) if weeks else float("inf")


def _sds(
    scenario: Scenario, analysis: TrialAnalysis, options: Mapping[str, Any]
) -> tuple[float, float]:
    """Return the standard deviations that the plan supposes."""
    found = {**scenario.population.settings, **options}
    try:
        slope_sd, residual_sd = float(found["slope_sd"]), float(found["residual_sd"])
    except (KeyError, TypeError, ValueError) as exc:
        raise DesignError(
            f"The information of analysis {analysis.name!r} rests on the variances of the plan. "
            "Give `slope_sd` (per year) and `residual_sd` among the `options` of the look, or its "
            "`fraction` of the final information."
        ) from exc
    if slope_sd < 0 or residual_sd <= 0:
        raise DesignError(
            "`slope_sd` must be 0 or more and `residual_sd` above 0, got "
            f"{slope_sd!r} and {residual_sd!r}."
        )
    return slope_sd, residual_sd


def _measured(
    scenario: Scenario, analysis: TrialAnalysis, data: TrialArrays, visits: np.ndarray
) -> np.ndarray:
    """Return which of some visits have a value, shape (n_replicates, n_subjects, n_chosen)."""
    measure = scenario.endpoint(analysis.endpoint).measure
    values = data.values.get(measure)
    there = (data.arm >= 0)[..., None]
    if values is None:
        day = np.broadcast_to(data.day, (*data.arm.shape, len(data.weeks)))[..., visits]
        return there & (day <= data.exit_day[..., None])
    return there & ~np.isnan(values[..., visits])


def information_at(
    scenario: Scenario,
    analysis: TrialAnalysis,
    data: TrialArrays,
    entry_year: np.ndarray,
    cut_year: np.ndarray,
    *,
    options: Mapping[str, Any],
) -> np.ndarray:
    """Count the information at a point in calendar time.

    Parameters
    ----------
    scenario : Scenario
        The trial.
    analysis : TrialAnalysis
        Whose information it is.
    data : TrialArrays
        Of the whole trial; places that are not filled have arm -1.
    entry_year : ndarray, shape (n_replicates, n_subjects)
        Entries.
    cut_year : ndarray, shape (n_replicates,)
        Calendar time; infinite for the end.
    options : mapping of str to object
        Of the look, see :func:`information_steps`.

    Returns
    -------
    ndarray, shape (n_replicates,)
        Events, or the sum of the steps of the visits that took place.
    """
    if counts_events(analysis):
        known = event_years(scenario, analysis, data, entry_year)
        return np.sum(np.isfinite(known) & (known <= cut_year[:, None]), axis=1).astype(float)
    steps = information_steps(scenario, analysis, options)
    visits = np.flatnonzero(steps)
    seen = seen_by(data, entry_year, cut_year)[..., visits]
    counts = np.sum(_measured(scenario, analysis, data, visits) & seen, axis=1)
    return np.sum(counts * steps[visits], axis=1)


def year_of_information(
    scenario: Scenario,
    analysis: TrialAnalysis,
    data: TrialArrays,
    entry_year: np.ndarray,
    *,
    share: float,
    options: Mapping[str, Any],
    until: np.ndarray,
) -> np.ndarray:
    """Find when a share of the final information is there.

    Parameters
    ----------
    scenario : Scenario
        The trial.
    analysis : TrialAnalysis
        Whose information it is.
    data : TrialArrays
        Of the whole trial; places that are not filled have arm -1.
    entry_year : ndarray, shape (n_replicates, n_subjects)
        Entries.
    share : float
        Of the information at the end, above 0 and below 1.
    options : mapping of str to object
        Of the look, see :func:`information_steps`.
    until : ndarray, shape (n_replicates,)
        Calendar time at which the final analysis is cut, infinite where it has everything.

    Returns
    -------
    ndarray, shape (n_replicates,)
        Calendar time; infinite where there never is any information.
    """
    if counts_events(analysis):
        times = np.sort(event_years(scenario, analysis, data, entry_year), axis=1)
        gained = np.isfinite(times).astype(float)
    else:
        times, gained = _gains(scenario, analysis, data, entry_year, options)
    gained = np.where(times <= until[:, None] + _SAME_TIME, gained, 0.0)
    so_far = np.cumsum(gained, axis=1)
    total = so_far[:, -1]
    reached = so_far >= share * total[:, None] * (1.0 - 1e-12)
    place = np.argmax(reached, axis=1)
    year = np.take_along_axis(times, place[:, None], axis=1)[:, 0]
    return np.where(total > 0, year, np.inf)


def _gains(
    scenario: Scenario,
    analysis: TrialAnalysis,
    data: TrialArrays,
    entry_year: np.ndarray,
    options: Mapping[str, Any],
) -> tuple[np.ndarray, np.ndarray]:
    """Return when information comes in, in order, and how much each time."""
    steps = information_steps(scenario, analysis, options)
    visits = np.flatnonzero(steps)
    measured = _measured(scenario, analysis, data, visits)
    years = np.asarray(data.day)[..., visits] / DAYS_PER_YEAR + entry_year[..., None]
    times = np.where(measured, years, np.inf).reshape(len(measured), -1)
    order = np.argsort(times, axis=1, kind="stable")
    gained = np.where(measured, steps[visits], 0.0).reshape(len(measured), -1)
    return (
        np.take_along_axis(times, order, axis=1),
        np.take_along_axis(gained, order, axis=1),
    )


def planned_fraction(scenario: Scenario, interim: Interim) -> float:
    """Say which share of the final information a look is planned to have.

    Parameters
    ----------
    scenario : Scenario
        The trial.
    interim : Interim
        With `fraction` among its options, or from the plan: entries as expected, nobody leaves.

    Returns
    -------
    float
        Above 0 and below 1.

    Raises
    ------
    DesignError
        If the plan does not say it, or the look has nothing to look at.
    """
    share = _stated_fraction(scenario, interim)
    if share is None:
        share = _fraction_by_visits(scenario, interim)
    if not 0.0 < share < 1.0:
        raise DesignError(
            f"Interim {interim.name!r} is planned with {share:.3g} of the final information, which "
            "must be above 0 and below 1. Move it between the first and the last visits."
        )
    return share


def _stated_fraction(scenario: Scenario, interim: Interim) -> float | None:
    """Return the share that the scenario says, if it does."""
    if "fraction" in interim.options:
        return float(interim.options["fraction"])
    if interim.at == "information":
        return interim.value
    of_all = interim.options.get("events_in", "all") == "all"
    if interim.at == "events" and scenario.decision.final == "events" and of_all:
        return interim.value / float(scenario.decision.final_value or np.inf)
    return None


def _fraction_by_visits(scenario: Scenario, interim: Interim) -> float:
    """Return the share that follows from planned entries and visits."""
    analysis = scenario.analysis(interim.analysis)
    if counts_events(analysis):
        raise DesignError(
            f"Interim {interim.name!r} does not say how many of the final events it has. Give its "
            "`fraction` among the `options`, or plan it after a number of events."
        )
    steps = information_steps(scenario, analysis, interim.options)
    entry = expected_entries(scenario)[: planned_places(scenario)]
    weeks = np.asarray(scenario.schedule.weeks, dtype=float)
    years = entry[:, None] + weeks * 7 / DAYS_PER_YEAR
    decision = scenario.decision
    end = float(decision.final_value or 0.0) if decision.final == "year" else np.inf
    seen, in_the_end = (
        np.sum((years <= at + _SAME_TIME) * steps)
        for at in (min(expected_year(scenario, interim), end), end)
    )
    return float(seen / in_the_end) if in_the_end > 0 else 0.0


def expected_year(scenario: Scenario, interim: Interim) -> float:
    """Return when a look that is timed by entries or years is expected.

    Parameters
    ----------
    scenario : Scenario
        The trial.
    interim : Interim
        Not timed by events or information.
    """
    if interim.at == "year":
        return interim.value
    entry = expected_entries(scenario)[: planned_places(scenario)]
    if interim.at == "enrolled":
        return float(entry[min(int(np.ceil(interim.value)), len(entry)) - 1])
    week = scenario.schedule.weeks[-1] if interim.week is None else interim.week
    place = int(np.ceil(interim.value * len(entry) - 1e-9)) - 1
    return float(entry[place] + week * 7 / DAYS_PER_YEAR)
