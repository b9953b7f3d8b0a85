"""The closed form that answers the question of a simple scenario, to lay beside its simulation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pmsstats.cohort.coerce import DAYS_PER_YEAR
from pmsstats.cohort.schema import default_dictionary
from pmsstats.power import (
    PiecewiseHazard,
    PowerResult,
    SlopeModel,
    VisitSchedule,
    power_log_rank,
    power_slope,
)
from pmsstats.trials.scenario import Scenario, TrialAnalysis

__all__ = ["closed_form_power"]

_SLOPE_EFFECTS = frozenset({"slowing", "slope_difference"})
_EVENT_EFFECTS = frozenset({"hazard_ratio", "onset_years"})
_NEEDED = frozenset({"rate", "intercept_sd", "slope_sd", "residual_sd"})
_SLOPE_SETTINGS = _NEEDED | {"measure", "intercept", "ageing_rate", "correlation", "scan"}


def closed_form_power(scenario: Scenario) -> PowerResult | None:
    """Return the power of a scenario's primary analysis by a closed form, where there is one.

    Parameters
    ----------
    scenario : Scenario
        The trial.

    Returns
    -------
    PowerResult or None
        Of the one-sided test. None where no closed form describes the scenario: there is one for
        two arms, no looks before the end, everybody followed to the last visit, dropout that is
        independent of the outcome, no other missing visits or intercurrent events, a benefit, and
        either ``"random_slope"`` on the model of this name, or ``"log_rank"`` on
        ``"event_times"`` that are seen when they happen.

    Notes
    -----
    Slopes: arms have one mean at entry, as in the analysis, hence the method
    ``"hu_mackey_thomas"`` of :func:`pmsstats.power.power_slope`. Event times: the method of Lakatos
    in :func:`pmsstats.power.power_log_rank`. Who dies is lost like who drops out.

    Examples
    --------
    >>> from pmsstats.trials import library_trial
    >>> closed_form_power(library_trial("oratorio").scenario) is None
    True
    """
    analysis = scenario.analysis(scenario.decision.analysis)
    if not (_is_plain_trial(scenario) and _is_plain_analysis(scenario, analysis)):
        return None
    answers = {("random_slope", "random_slope"): _slope, ("log_rank", "event_times"): _log_rank}
    answer = answers.get((analysis.method, scenario.population.model))
    return None if answer is None else answer(scenario, analysis)


def _is_plain_trial(scenario: Scenario) -> bool:
    """Say whether the course of the trial is one that the closed forms describe."""
    reference = scenario.arms[0]
    dropout, schedule = scenario.dropout, scenario.schedule
    return (
        len(scenario.arms) == 2
        and not (scenario.interims or scenario.intercurrent or reference.effects)
        and not any(arm.treatment or arm.factors or arm.opens_year for arm in scenario.arms)
        and all(math.isinf(arm.closes_year) for arm in scenario.arms)
        and scenario.decision.final == "followed"
        and (dropout.mechanism == "mcar" or dropout.log_hazard == 0)
        and dropout.missed_visit == dropout.missed_scan == schedule.window_days == 0
        and schedule.imaging_weeks in (None, schedule.weeks)
    )


def _is_plain_analysis(scenario: Scenario, analysis: TrialAnalysis) -> bool:
    """Say whether the analysis is of everybody, from entry to the end, without covariates."""
    return (
        not (analysis.covariates or analysis.subgroup or analysis.options or analysis.strategies)
        and scenario.endpoint(analysis.endpoint).rule is None
        and analysis.from_week == 0
        and analysis.to_week >= scenario.schedule.weeks[-1]
    )


def _slope(scenario: Scenario, analysis: TrialAnalysis) -> PowerResult | None:
    """Answer for a difference of slopes."""
    settings, effects = scenario.population.settings, scenario.arms[1].effects
    if not (_NEEDED <= set(settings) <= _SLOPE_SETTINGS and set(effects) <= _SLOPE_EFFECTS):
        return None
    excess = settings["rate"] - settings.get("ageing_rate", 0.0)
    effect = effects.get("slope_difference", 0.0) - effects.get("slowing", 0.0) * excess
    sign = 1 if scenario.endpoint(analysis.endpoint).benefit == "higher" else -1
    sds = {name: settings[name] for name in ("intercept_sd", "slope_sd", "residual_sd")}
    if sign * effect <= 0 or sds["residual_sd"] == 0:
        return None
    years = tuple(_years(week) for week in scenario.schedule.weeks)
    varies = sds["intercept_sd"] > 0 and sds["slope_sd"] > 0
    return power_slope(
        schedule=VisitSchedule(years=years),
        model=SlopeModel(**sds, correlation=settings.get("correlation", 0.0) if varies else 0.0),
        effect=effect,
        method="hu_mackey_thomas",
        unit=_unit(scenario.endpoint(analysis.endpoint).measure),
        **_common(scenario),
    )


def _log_rank(scenario: Scenario, _: TrialAnalysis) -> PowerResult | None:
    """Answer for times to an event, each subject being followed to the last visit."""
    settings, effects = scenario.population.settings, scenario.arms[1].effects
    ratio = effects.get("hazard_ratio", 1.0)
    is_known = set(effects) <= _EVENT_EFFECTS and settings.get("observed", "exact") == "exact"
    if not is_known or ratio >= 1 or "hazard" not in settings:
        return None
    return power_log_rank(
        hazard=_hazard(settings),
        hazard_ratio=ratio,
        delay=effects.get("onset_years", 0.0),
        follow_up=_years(scenario.schedule.weeks[-1]),
        **_common(scenario),
    )


def _unit(measure: str) -> str:
    """Return the unit of a measure, as the data dictionary has it, or its name."""
    dictionary = default_dictionary()
    return (dictionary[measure].unit if measure in dictionary else "") or measure


def _hazard(settings: Mapping[str, Any]) -> PiecewiseHazard:
    """Read the hazard of the reference arm."""
    given = settings["hazard"]
    rates = (given,) if isinstance(given, int | float) else tuple(given)
    return PiecewiseHazard(breaks=tuple(settings.get("breaks", ())), rates=rates)


def _common(scenario: Scenario) -> dict[str, Any]:
    """Return the size, the test, and the share that is lost per year."""
    dropout, years = scenario.dropout, _years(scenario.schedule.weeks[-1])
    leaving = -math.log1p(-dropout.share) / years + dropout.death_rate
    return {
        "n": scenario.accrual.n_subjects,
        "ratio": scenario.arms[1].ratio / scenario.arms[0].ratio,
        "alpha": scenario.decision.alpha,
        "sides": 1,
        "dropout": -math.expm1(-leaving),
    }


def _years(weeks: float) -> float:
    """Turn weeks to years."""
    return 7 * weeks / DAYS_PER_YEAR
