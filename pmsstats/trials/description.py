"""A scenario in plain words, part by part."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from typing import Any

from pmsstats.cohort.schema import default_dictionary
from pmsstats.endpoints import PRESETS
from pmsstats.results import format_number
from pmsstats.trials.scenario import (
    Accrual,
    IntercurrentEvent,
    Interim,
    Scenario,
    TrialAnalysis,
    TrialArm,
    TrialEndpoint,
    TrialPopulation,
)

__all__ = ["describe_estimate", "describe_ratio", "describe_scenario"]

METHODS = {
    "random_slope": "difference of slopes (random intercepts and slopes, REML, Satterthwaite)",
    "mmrm": "difference at the last visit (mixed model for repeated measures)",
    "ancova": "change, adjusted for baseline (ANCOVA)",
    "change": "change from baseline (t-test)",
    "log_rank": "log-rank test",
    "cox": "hazard ratio (Cox model)",
    "counts": "ratio of rates (negative binomial)",
    "proportion": "proportion with progression",
    "multivariate": "several outcomes in one mixed model, combined into one effect",
    "imputation": "multiple imputation",
    "model": "a mixed model by formula",
    "function": "a function of the user",
}
_ESTIMATES = {
    "random_slope": "difference of slopes ({unit}per year)",
    "mmrm": "difference of means at the last visit ({unit})",
    "ancova": "difference of means, adjusted for baseline ({unit})",
    "change": "difference of mean changes ({unit})",
    "proportion": "difference of proportions",
    "multivariate": "weighted mean of standardised differences, more being better",
    "imputation": "difference of means at the last visit ({unit})",
    "model": "coefficient of the treatment",
    "function": "what the function returns",
}
_RATIOS = {"log_rank": "hazard ratio", "cox": "hazard ratio", "counts": "ratio of rates"}
_LEAVERS = {
    "kaplan_meier": "those who leave before count as long as they were seen (Kaplan-Meier)",
    "no_event": "those who leave before count as without progression",
    "event": "those who leave before count as with progression",
    "excluded": "those who leave before are left out",
}
_MODELS = {
    "random_slope": "values on straight lines that differ between subjects",
    "correlated_outcomes": "several outcomes on correlated straight lines",
    "event_times": "times to an event",
    "counts": "counts of events",
    "repeated": "values at visits with a given mean and covariance",
}
_SETTINGS = {
    "measure": "measure",
    "intercept": "mean at entry",
    "rate": "mean change per year",
    "ageing_rate": "of which healthy ageing",
    "intercept_sd": "SD at entry",
    "slope_sd": "SD of slopes",
    "residual_sd": "SD of measurements about the line",
    "hazard": "events per year in the reference arm",
    "breaks": "rate changes after years",
    "hazard_ratio": "hazard ratio",
    "rate_ratio": "ratio of rates",
    "slope_difference": "difference of slopes per year",
    "pseudo_atrophy": "early loss that is none",
    "z": "stop below z =",
    "conditional_power": "stop below a conditional power of",
}
_BOUNDARIES = {
    "none": "tested once, at the end",
    "obrien_fleming": "O'Brien-Fleming boundaries",
    "pocock": "Pocock boundaries",
    "ld_obrien_fleming": "O'Brien-Fleming-like spending (Lan-DeMets)",
    "ld_pocock": "Pocock-like spending (Lan-DeMets)",
    "wang_tsiatis": "Wang-Tsiatis boundaries",
    "kim_demets": "power-family spending (Kim-DeMets)",
    "hwang_shih_decani": "gamma-family spending (Hwang-Shih-DeCani)",
}
_RULES = {
    "select_arms": "drop arms",
    "sample_size": "re-estimate the number of subjects",
    "enrichment": "restrict to a subgroup if it alone responds",
}
_TIMINGS = {
    "year": "in calendar year {value:g}",
    "enrolled": "when {value:g} subjects are randomised",
    "followed": "when {percent:g} % have reached {week}",
    "events": "after {value:g} events",
    "information": "at {percent:g} % of the final information",
}


def describe_scenario(scenario: Scenario) -> tuple[tuple[str, str], ...]:
    """Say in plain words what a scenario is.

    Parameters
    ----------
    scenario : Scenario
        The trial.

    Returns
    -------
    tuple of (str, str)
        What is described, and the sentence; parts that are absent are left out.
    """
    parts = [
        ("Population", _population(scenario.population)),
        ("Arms", "; ".join(_arm(arm) for arm in scenario.arms)),
        ("Recruitment", _recruitment(scenario.accrual, scenario.arms)),
        ("Visits", _visits(scenario)),
        ("Not seen", _not_seen(scenario)),
        ("After randomisation", "; ".join(_event(event) for event in scenario.intercurrent)),
        ("Endpoints", "; ".join(_endpoint(endpoint) for endpoint in scenario.endpoints)),
        ("Analyses", "; ".join(_analysis(analysis) for analysis in scenario.analyses)),
        ("Interim looks", "; ".join(_interim(look, scenario) for look in scenario.interims)),
        ("Success", _decision(scenario)),
        ("Source", scenario.citation),
    ]
    return tuple((label, text) for label, text in parts if text)


def describe_estimate(analysis: TrialAnalysis, endpoint: TrialEndpoint | None = None) -> str:
    """Say in plain words what an analysis estimates, treated against reference.

    Parameters
    ----------
    analysis : TrialAnalysis
        With its method.
    endpoint : TrialEndpoint, optional
        Whose measure has a unit, where the data dictionary knows it.

    Returns
    -------
    str
        Quantity and scale.

    Examples
    --------
    >>> slope = TrialAnalysis(name="slope", endpoint="thalamus", method="random_slope")
    >>> describe_estimate(slope, TrialEndpoint(name="thalamus", measure="thalamus_ml"))
    'difference of slopes (ml per year)'
    """
    if describe_ratio(analysis):
        return f"log {describe_ratio(analysis)}"
    unit = _unit(endpoint)
    text = _ESTIMATES[analysis.method]
    if "{unit}per year" in text:
        return text.format(unit=f"{unit} " if unit else "")
    return text.format(unit=unit) if unit else text.removesuffix(" ({unit})")


def describe_ratio(analysis: TrialAnalysis) -> str:
    """Name the ratio whose logarithm an analysis estimates.

    Parameters
    ----------
    analysis : TrialAnalysis
        With its method.

    Returns
    -------
    str
        As ``"hazard ratio"``; empty where estimates are no logarithms.

    Examples
    --------
    >>> describe_ratio(TrialAnalysis(name="time", endpoint="cdp", method="log_rank"))
    'hazard ratio'
    """
    if analysis.options.get("effect") == "log_odds_ratio":
        return "odds ratio"
    return _RATIOS.get(analysis.method, "")


def _unit(endpoint: TrialEndpoint | None) -> str:
    """Return the unit of a measure; nothing for times, scores and what no dictionary knows."""
    if endpoint is None or endpoint.rule or endpoint.measure not in default_dictionary():
        return ""
    return default_dictionary()[endpoint.measure].unit


def _with_settings(text: str, settings: Mapping[str, Any]) -> str:
    """Add settings in brackets."""
    inner = ", ".join(_named(key, value) for key, value in settings.items())
    return f"{text} ({inner})" if inner else text


def _population(population: TrialPopulation) -> str:
    """Describe who is recruited."""
    model = population.model
    words = f"{_MODELS[model]}, model {model}" if model in _MODELS else f"model {model}"
    return _with_settings(words, population.settings)


def _named(key: str, value: Any) -> str:
    """Write a setting or an effect after its name in words."""
    if key == "slowing" and isinstance(value, int | float):
        return f"slows change by {100 * value:g} %"
    if key == "onset_years":
        return f"effect begins after {_years(value)}"
    return f"{_SETTINGS.get(key, key.replace('_', ' '))} {_setting(value)}"


def _years(value: float) -> str:
    """Write a number of years."""
    return f"{value:g} year" if value == 1 else f"{value:g} years"


def _setting(value: Any) -> str:
    """Write a setting."""
    if isinstance(value, Mapping):
        return ", ".join(_named(str(key), entry) for key, entry in value.items())
    if isinstance(value, list | tuple):
        return " to ".join(map(_setting, value)) if len(value) == 2 else _listed(value)
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def _listed(values: Iterable[Any]) -> str:
    """Write a list."""
    return ", ".join(_setting(value) for value in values)


def _arm(arm: TrialArm) -> str:
    """Describe an arm."""
    parts = [f"ratio {arm.ratio:g}"] if arm.ratio != 1 else []
    parts += [arm.treatment] if arm.treatment and arm.treatment != arm.name else []
    parts += [_named(key, value) for key, value in arm.effects.items()]
    parts += [f"with {' and '.join(arm.factors)}"] if arm.factors else []
    parts += [f"opens in year {arm.opens_year:g}"] if arm.opens_year else []
    parts += [f"closes in year {arm.closes_year:g}"] if math.isfinite(arm.closes_year) else []
    return f"{arm.name} ({', '.join(parts)})" if parts else arm.name


def _recruitment(accrual: Accrual, arms: tuple[TrialArm, ...]) -> str:
    """Describe who enters when, and how they are allocated."""
    pace = {
        "uniform": "evenly",
        "poisson": "at random times",
        "ramp": f"with a rise over the first {_years(accrual.ramp_years)}",
    }[accrual.pattern]
    over = f"over {_years(accrual.years)}, {pace}" if accrual.years else "all on the first day"
    how = "permuted blocks" if accrual.allocation == "blocks" else "simple randomisation"
    ratio = ":".join(f"{arm.ratio:g}" for arm in arms)
    return f"{accrual.n_subjects:,} subjects {over}; randomised {ratio}, {how}"


def _visits(scenario: Scenario) -> str:
    """Describe the schedule."""
    schedule = scenario.schedule
    text = _weeks(schedule.weeks)
    if schedule.imaging_weeks is not None and schedule.imaging_weeks != schedule.weeks:
        text += f"; scans in {_weeks(schedule.imaging_weeks)}"
    window = schedule.window_days
    return text + (f"; within {window:g} days" if window else "")


def _weeks(weeks: tuple[int, ...]) -> str:
    """List weeks; where they are many and equally far apart, by their distance."""
    steps = {b - a for a, b in itertools.pairwise(weeks)}
    if len(weeks) > 4 and len(steps) == 1:
        return f"weeks {weeks[0]} to {weeks[-1]}, every {steps.pop()} weeks"
    return f"weeks {_listed(weeks)}"


def _not_seen(scenario: Scenario) -> str:
    """Describe what is missing."""
    dropout = scenario.dropout
    who = {
        "mcar": "completely at random",
        "mar": "more after a worsening that was seen",
        "mnar": "more before a worsening that nobody sees",
    }[dropout.mechanism]
    parts = [
        (dropout.share, f"{100 * dropout.share:g} % drop out before the end, {who}"),
        (dropout.missed_visit, f"{100 * dropout.missed_visit:g} % of visits are missed"),
        (dropout.missed_scan, f"{100 * dropout.missed_scan:g} % of scans are missed"),
        (dropout.death_rate, f"{100 * dropout.death_rate:g} % die per year"),
    ]
    return "; ".join(text for value, text in parts if value) or "nothing"


def _event(event: IntercurrentEvent) -> str:
    """Describe an intercurrent event."""
    rates = [f"{100 * event.rate:g} % per year"]
    rates += [f"{100 * rate:g} % in {arm}" for arm, rate in event.rates.items()]
    seen = "" if event.seen_after == 1 else f"; {100 * event.seen_after:g} % are seen after it"
    return f"{event.name} ({', '.join(rates)}; the effect {event.effect_after}{seen})"


def _endpoint(endpoint: TrialEndpoint) -> str:
    """Describe an endpoint."""
    if endpoint.rule in PRESETS:
        title = PRESETS[endpoint.rule].label
        return f"{endpoint.name}: time to {title} ({endpoint.rule} of {endpoint.measure})"
    if endpoint.rule:
        return f"{endpoint.name}: time to {endpoint.rule} of {endpoint.measure}"
    unit = f" in {_unit(endpoint)}" if _unit(endpoint) else ""
    known = default_dictionary().get(endpoint.measure)
    measure = f"{endpoint.measure}, {known.label}{unit}" if known else endpoint.measure
    return f"{endpoint.name}: {measure} ({endpoint.benefit} is better)"


def _analysis(analysis: TrialAnalysis) -> str:
    """Describe an analysis."""
    of = " + ".join(analysis.endpoints) or analysis.endpoint
    parts = [f"{analysis.name}: {METHODS[analysis.method]} of {of}"]
    if analysis.from_week or math.isfinite(analysis.to_week):
        until = f"to {analysis.to_week:g}" if math.isfinite(analysis.to_week) else "on"
        parts.append(f"from week {analysis.from_week:g} {until}")
    if analysis.method == "proportion":
        parts.append(_LEAVERS[analysis.options.get("missing", next(iter(_LEAVERS)))])
    parts += [f"adjusted for {_listed(analysis.covariates)}"] if analysis.covariates else []
    parts += [f"{how} for {event}" for event, how in analysis.strategies.items()]
    parts += [f"only {name} {_setting(limits)}" for name, limits in analysis.subgroup.items()]
    return ", ".join(parts)


def _interim(interim: Interim, scenario: Scenario) -> str:
    """Describe an interim look."""
    week = "the last visit" if interim.week is None else f"week {interim.week:g}"
    when = _TIMINGS[interim.at].format(
        value=interim.value, percent=float(format_number(100 * interim.value, 6)), week=week
    )
    options = dict(interim.options)
    rule = _RULES.get(interim.rule) or _stops(interim, scenario)
    if interim.rule == "select_arms":
        rule += _of_arms(options)
    rule = _with_settings(rule, options)
    return f"{interim.name}: {when}, {rule}, by {interim.analysis}"


def _of_arms(options: dict[str, Any]) -> str:
    """Say which arms are dropped, and where their places go; takes the options that it says."""
    threshold, keep = options.pop("threshold", None), options.pop("keep", None)
    closes = options.pop("places", "reallocate") == "close"
    which = "" if threshold is None else f" whose one-sided p value is not below {threshold:g}"
    which += "" if keep is None else f", at most {keep:g} going on"
    where = "are not filled" if closes else "go to the arms left"
    return f"{which} (their later places {where})"


def _stops(interim: Interim, scenario: Scenario) -> str:
    """Say what a group-sequential look can stop for."""
    decision = scenario.decision
    if interim.analysis != decision.analysis:
        return "stop for futility"
    may_claim, may_give_up = decision.boundary != "none", bool(decision.futility)
    if not decision.futility.get("obeyed", True):
        return "stop for efficacy, bounds of futility not obeyed"
    kinds = [("efficacy", may_claim), ("futility", may_give_up)]
    meant = [kind for kind, is_meant in kinds if is_meant]
    return f"stop for {' or '.join(meant) or 'nothing'}"


def _decision(scenario: Scenario) -> str:
    """Describe the decision."""
    decision = scenario.decision
    end = {
        "events": f"after {decision.final_value or 0:g} events",
        "followed": "when everybody has reached the last visit or left",
        "year": f"in calendar year {decision.final_value or 0:g}",
    }[decision.final]
    text = (
        f"{decision.analysis}, one-sided {100 * decision.alpha:g} %, "
        f"{_BOUNDARIES.get(decision.boundary, decision.boundary)}; the end comes {end}"
    )
    if decision.futility:
        text += f"; futility: {_setting(decision.futility)}"
    if decision.multiplicity != "none":
        text += f"; {decision.multiplicity.capitalize()} over the comparisons"
        return text
    return text + _uncorrected(scenario)


def _uncorrected(scenario: Scenario) -> str:
    """Say that several comparisons are each tested at the full level, where they are."""
    primary = scenario.analysis(scenario.decision.analysis)
    n, words = len(scenario.arms) - 1, "comparisons with the reference"
    if primary.options.get("by") == "factor":
        n, words = len({factor for arm in scenario.arms for factor in arm.factors}), "factors"
    if n < 2:
        return ""
    level = f"one-sided {100 * scenario.decision.alpha:g} %"
    return f"; {n} {words}, each at {level}, not corrected for multiplicity"
