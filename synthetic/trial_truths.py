"""True values of the estimands of plain models, where there are closed forms.

Differences are treated minus reference. Where treatment begins late, may be stopped or acts through
an early loss, the slope difference of a straight-line analysis, or the one hazard ratio of a model
that assumes one, has no value that is not a matter of definition: None then stands for it, and a
very large trial must tell.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np

from pmsstats.cohort.coerce import DAYS_PER_YEAR
from synthetic.trial_arms import TrialScenario, event_rates
from synthetic.trial_effects import GroupHazards

__all__ = ["curve_truths", "hazard_truths", "linear_truths", "rate_truths"]

_AT_A_VISIT = ("mmrm", "ancova", "change")

_Found = dict[str, dict[str, float | None]]


class _Line(Protocol):
    """What :class:`synthetic.trial_slopes.SlopeEffects` has."""

    slope: np.ndarray
    onset: np.ndarray
    early: np.ndarray

    def __call__(self, year: np.ndarray, group: np.ndarray) -> np.ndarray:
        """Return what was added by then."""


def _fill(scenario: TrialScenario, value: Callable[[int], float | None]) -> dict[str, float | None]:
    """Return a value per treated arm."""
    return {arm.name: value(a) for a, arm in enumerate(scenario.arms) if a > 0}


def _may_stop(scenario: TrialScenario) -> bool:
    """Say whether a treatment's effect may end, or an analysis deal with its end in its own way."""
    return any(event_rates(scenario, event).any() for event in scenario.intercurrent)


def _measure(scenario: TrialScenario, analysis: Any) -> tuple[str, str | None]:
    """Return measure and rule of the endpoint of an analysis."""
    endpoint = next(e for e in scenario.endpoints if e.name == analysis.endpoint)  # type: ignore[attr-defined]
    return endpoint.measure, endpoint.rule


def _window(scenario: TrialScenario, analysis: Any) -> tuple[float, float] | None:
    """Return the years of the baseline and of the visit compared; None if they are not two."""
    weeks = [w for w in scenario.schedule.weeks if analysis.from_week <= w <= analysis.to_week]
    if not weeks:
        return None
    week = analysis.options.get("week", weeks[-1])
    return (7 * weeks[0] / DAYS_PER_YEAR, 7 * week / DAYS_PER_YEAR) if week in weeks[1:] else None


def _is_plain(analysis: Any) -> bool:
    """Say whether an analysis compares arms one by one, in everybody who is kept at random."""
    return "by" not in analysis.options and not analysis.strategies


def curve_truths(
    scenario: TrialScenario, measure: str, course: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> _Found:
    """Return differences at the last visit, or at that of option ``week``.

    Parameters
    ----------
    scenario : TrialScenario
        With its analyses.
    measure : str
        Of the outcome.
    course : callable
        What treatment has added, by year and arm.

    Returns
    -------
    dict of str to dict
        By analysis and arm; of analyses of this measure at a visit.
    """
    found: _Found = {}
    for analysis in scenario.analyses:
        window = _window(scenario, analysis)
        is_asked = analysis.method in _AT_A_VISIT and _measure(scenario, analysis)[0] == measure
        if not is_asked or window is None or not _is_plain(analysis) or _may_stop(scenario):
            continue
        if window[0] > 0 and analysis.method != "change":
            continue  # the baseline is affected by treatment
        found[analysis.name] = _fill(scenario, lambda a, window=window: _gain(course, window, a))
    return found


def _gain(
    course: Callable[[np.ndarray, np.ndarray], np.ndarray], window: tuple[float, float], arm: int
) -> float:
    """Return what treatment adds between two times, beyond the reference arm."""
    start, end = (np.full(2, year) for year in window)
    groups = np.array([0, arm])
    change = course(end, groups) - course(start, groups)
    return float(change[1] - change[0])


def linear_truths(
    scenario: TrialScenario, curves: Mapping[str, _Line], marker_share: float | None
) -> _Found:
    """Return slope differences per year, and differences at the last visit.

    Parameters
    ----------
    scenario : TrialScenario
        With its analyses.
    curves : mapping of str to SlopeEffects
        By measure.
    marker_share : float or None
        Share of subjects with a marker; nothing is said of differences that depend on it, except
        among those with it.

    Returns
    -------
    dict of str to dict
        By analysis and arm.
    """
    found: _Found = {}
    for measure, curve in curves.items():
        visits = curve_truths(scenario, measure, curve)
        slopes = {
            analysis.name: _fill(scenario, lambda a, c=curve: _slope(c, a))
            for analysis in scenario.analyses
            if analysis.method == "random_slope"
            and _measure(scenario, analysis)[0] == measure
            and _is_plain(analysis)
            and not _may_stop(scenario)
        }
        found |= visits | slopes
    if marker_share is None:
        return found
    positive = {a.name for a in scenario.analyses if _is_positive(a.subgroup.get("marker"))}
    return {name: values for name, values in found.items() if name in positive}


def _is_positive(limits: Any) -> bool:
    """Say whether a range of the marker has those with it alone."""
    return limits is not None and 0 < limits[0] <= 1 <= limits[1]


def _slope(curve: _Line, arm: int) -> float | None:
    """Return the slope difference; None where the courses are no straight lines."""
    both = [0, arm]
    delayed = any(curve.onset[g] > 0 and curve.slope[g] != 0 for g in both)
    if delayed or any(curve.early[g] for g in both):
        return None
    return float(curve.slope[arm] - curve.slope[0])


def hazard_truths(scenario: TrialScenario, measure: str, hazards: GroupHazards) -> _Found:
    """Return log hazard ratios.

    Parameters
    ----------
    scenario : TrialScenario
        With its analyses.
    measure : str
        Of the event.
    hazards : GroupHazards
        Of the arms.

    Returns
    -------
    dict of str to dict
        By analysis and arm: of Cox and log-rank analyses of the event itself (no rule), where
        hazards are proportional.
    """
    return {
        analysis.name: _fill(scenario, lambda a: _log_ratio(hazards, a))
        for analysis in scenario.analyses
        if analysis.method in {"cox", "log_rank"}
        and _measure(scenario, analysis) == (measure, None)
        and _is_plain(analysis)
        and not _may_stop(scenario)
    }


def rate_truths(scenario: TrialScenario, measure: str, rates: GroupHazards) -> _Found:
    """Return log rate ratios.

    Parameters
    ----------
    scenario : TrialScenario
        With its analyses.
    measure : str
        Of the counts.
    rates : GroupHazards
        Of the arms.

    Returns
    -------
    dict of str to dict
        By analysis and arm, where rates are proportional.
    """
    return {
        analysis.name: _fill(scenario, lambda a: _log_ratio(rates, a))
        for analysis in scenario.analyses
        if analysis.method == "counts"
        and _measure(scenario, analysis)[0] == measure
        and _is_plain(analysis)
        and not _may_stop(scenario)
    }


def _log_ratio(hazards: GroupHazards, arm: int) -> float | None:
    """Return the log hazard ratio; None where hazards are not proportional."""
    breaks = np.union1d(hazards.breaks[0], hazards.breaks[arm])
    reference, treated = (
        hazards.rates[g][np.searchsorted(hazards.breaks[g], breaks, side="right") - 1]
        for g in (0, arm)
    )
    if not (reference > 0).all() or not (treated > 0).all():
        return None
    ratios = np.log(treated / reference)
    return float(ratios[0]) if np.allclose(ratios, ratios[0], rtol=1e-12) else None
