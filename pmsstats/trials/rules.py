"""What rules at looks may be asked for, checked before any work."""

from __future__ import annotations

from pmsstats.cohort.coerce import DAYS_PER_YEAR
from pmsstats.errors import DesignError, nearest
from pmsstats.trials.enrol import expected_entries, planned_places
from pmsstats.trials.information_at_looks import (
    counts_events,
    expected_year,
    first_informative_week,
    information_steps,
)
from pmsstats.trials.questions import TRIAL_OPTIONS
from pmsstats.trials.scenario import Interim, Scenario
from pmsstats.trials.sequential_rule import primary_looks, sequential_design
from pmsstats.trials.trial_state import compared

__all__ = ["RULE_OPTIONS", "check_rules"]

_OF_ALL = ("events_in", "fraction", "n_planned", "places", "residual_sd", "slope_sd")
RULE_OPTIONS = {
    "group_sequential": ("futility_z", "stop_when"),
    "select_arms": ("arms", "keep", "threshold"),
    "sample_size": (
        "blinded", "combination", "conditional_power", "effect", "lowest", "n_max", "n_min",
        "power",
    ),
    "enrichment": ("subgroup_analysis", "threshold", "threshold_subgroup", "weight"),
}  # fmt: skip
"""Options of each rule of an interim look, beside those that all have."""


def check_rules(scenario: Scenario) -> None:
    """Refuse looks whose rules contradict the rest of a scenario.

    Parameters
    ----------
    scenario : Scenario
        The trial.

    Raises
    ------
    DesignError
        If an option is unknown, a rule does not fit the arms, or analyses wait for one another in
        a circle.
    """
    comparisons = compared(scenario)
    by_arm = comparisons == scenario.arm_names[1:]
    for look in scenario.interims:
        _check_options(look)
        _check_arms(scenario, look, comparisons, by_arm=by_arm)
        _check_seen(scenario, look)
        _check_before_end(scenario, look)
        _check_acts(scenario, look)
    _check_decision_acts(scenario)
    _check_end_can_come(scenario)
    _check_adaptations(scenario)
    _check_shared_reference(scenario, by_arm=by_arm)
    _check_order(scenario)
    if primary_looks(scenario):
        sequential_design(scenario, len(comparisons))


def _check_options(look: Interim) -> None:
    """Refuse options that a rule does not have."""
    known = (*_OF_ALL, *RULE_OPTIONS[look.rule])
    for name in look.options:
        if name not in known:
            raise DesignError(
                f"Interim {look.name!r} by the rule {look.rule!r} has no option {name!r}."
                f"{nearest(name, known)} It has: {', '.join(sorted(known))}."
            )
    counted = look.options.get("events_in", "all")
    if counted not in {"all", "reference"}:
        raise DesignError(
            f"`events_in` of interim {look.name!r} must be 'all' or 'reference', got {counted!r}."
        )


def _check_arms(
    scenario: Scenario, look: Interim, comparisons: tuple[str, ...], *, by_arm: bool
) -> None:
    """Refuse rules that are for two arms, or for arms, where there are others."""
    if look.rule == "select_arms" and not by_arm:
        raise DesignError(
            f"Interim {look.name!r} selects arms, but the primary analysis compares factors. "
            "Use the rule 'group_sequential', or compare arms."
        )
    for name in look.options.get("arms", ()):
        if name not in comparisons:
            raise DesignError(
                f"`arms` of interim {look.name!r} names {name!r}, but the treated arms are "
                f"{', '.join(map(repr, comparisons))}.{nearest(str(name), comparisons)}"
            )
    if compared(scenario, look.analysis) != comparisons:
        raise DesignError(
            f"Interim {look.name!r} must compare what the primary analysis compares "
            f"({', '.join(comparisons)}), but its analysis {look.analysis!r} compares "
            f"{', '.join(compared(scenario, look.analysis))}. Use the same `by` in both."
        )
    if look.rule in {"sample_size", "enrichment"} and len(comparisons) > 1:
        raise DesignError(
            f"Interim {look.name!r} by the rule {look.rule!r} is for two arms, got "
            f"{len(comparisons)} comparisons."
        )
    blinded = look.options.get("blinded", False)
    if look.rule == "sample_size" and not blinded and look.analysis != scenario.decision.analysis:
        raise DesignError(
            f"Interim {look.name!r} raises the number of subjects by the effect seen: it must look "
            f"at the primary analysis {scenario.decision.analysis!r}, got {look.analysis!r}."
        )
    if look.rule == "enrichment" and len(scenario.interims) > 1:
        raise DesignError(
            f"Interim {look.name!r} chooses the population; it cannot be combined with other looks."
        )


def _check_seen(scenario: Scenario, look: Interim) -> None:
    """Refuse a look at which nobody is expected to have what it looks at."""
    analysis = scenario.analysis(look.analysis)
    if look.at == "information" and not counts_events(analysis):
        _check_information(scenario, look)
    if look.at in {"events", "information"} or counts_events(analysis):
        return
    week = first_informative_week(scenario, analysis)
    soonest = float(expected_entries(scenario)[0]) + week * 7 / DAYS_PER_YEAR
    year = expected_year(scenario, look)
    if year < soonest - 1e-9:
        raise DesignError(
            f"Interim {look.name!r} is expected after {year:.2f} years, but analysis "
            f"{analysis.name!r} needs visits up to week {week:g}, which nobody has reached before "
            f"{soonest:.2f} years. Let it come later, or end the window of the analysis earlier "
            "(`to_week`)."
        )


def _check_information(scenario: Scenario, look: Interim) -> None:
    """Refuse a look by information that the plan cannot tell."""
    try:
        information_steps(scenario, scenario.analysis(look.analysis), look.options)
    except DesignError as exc:
        raise DesignError(f"Interim {look.name!r} waits for information. {exc}") from exc


def _check_before_end(scenario: Scenario, look: Interim) -> None:
    """Refuse a look that is expected at the end of the trial, or never."""
    planned = planned_places(scenario)
    if look.at == "events":
        _check_events_can_come(scenario, look)
    if look.at in {"events", "information"}:
        return
    if look.at == "enrolled" and look.value > planned:
        raise DesignError(
            f"Interim {look.name!r} waits for {look.value:g} subjects, but {planned} are planned "
            "(`n_planned`). Let it come earlier."
        )
    decision = scenario.decision
    last = float(expected_entries(scenario)[planned - 1])
    end = last + scenario.schedule.weeks[-1] * 7 / DAYS_PER_YEAR
    if decision.final == "year":
        end = float(decision.final_value or 0.0)
    year = expected_year(scenario, look)
    if year >= end - 1e-9:
        raise DesignError(
            f"Interim {look.name!r} is expected after {year:.2f} years, when the trial ends "
            f"({end:.2f} years). Let it come earlier: by a smaller `value`, an earlier `week`, or "
            "a longer recruitment (`years` of the accrual)."
        )


def _check_events_can_come(scenario: Scenario, look: Interim) -> None:
    """Refuse to look after events that an analysis does not have, or that are too many."""
    analysis, n = scenario.analysis(look.analysis), scenario.accrual.n_subjects
    if not counts_events(analysis):
        raise DesignError(
            f"Interim {look.name!r} waits for events, but its analysis {analysis.name!r} by the "
            f"method {analysis.method!r} counts none. Time it by `at = 'followed'`, 'enrolled', "
            "'information' or 'year', or let it look at an analysis of times to an event."
        )
    if look.value > n:
        raise DesignError(
            f"Interim {look.name!r} waits for {look.value:g} events, but only {n} subjects are "
            "recruited, each with one event at most. Recruit more, or wait for fewer."
        )


def _check_acts(scenario: Scenario, look: Interim) -> None:
    """Refuse a look that could change nothing, whatever it sees."""
    decision = scenario.decision
    if look.rule == "group_sequential" and look.analysis != decision.analysis:
        if "futility_z" not in look.options:
            raise DesignError(
                f"Interim {look.name!r} looks at {look.analysis!r}, which is not the primary "
                "analysis: it can stop the trial for futility only, below `futility_z` among its "
                "`options`, which is not given."
            )
    elif look.rule == "group_sequential" and decision.boundary == "none" and not decision.futility:
        raise DesignError(
            f"Interim {look.name!r} can stop for nothing: the decision has neither a `boundary` "
            "for efficacy nor `futility`. Give one, as boundary = 'ld_obrien_fleming', or leave "
            "the look out."
        )
    if look.rule == "sample_size":
        _check_can_change(scenario, look)


def _check_can_change(scenario: Scenario, look: Interim) -> None:
    """Refuse to plan the number of subjects anew where it must stay what it is."""
    planned, places = planned_places(scenario), scenario.accrual.n_subjects
    most = look.options.get("n_max", places)
    least = look.options.get("n_min", planned) if look.options.get("blinded") else planned
    if least >= planned and most <= planned:
        raise DesignError(
            f"Interim {look.name!r} plans the number of subjects anew, but it must stay "
            f"{planned}: give `n_planned` among its `options`, below the {places} places of the "
            "accrual (`n_subjects`), which are the most that may be recruited."
        )


def _check_decision_acts(scenario: Scenario) -> None:
    """Refuse bounds of looks where there is no look to which they belong."""
    decision = scenario.decision
    given = [
        name for name, is_given in (
            ("boundary", decision.boundary != "none"), ("futility", bool(decision.futility))
        ) if is_given
    ]  # fmt: skip
    if given and not primary_looks(scenario):
        raise DesignError(
            f"`{given[0]}` of the decision belongs to looks before the end, but no interim has the "
            f"rule 'group_sequential' and the primary analysis {decision.analysis!r}. Add one, or "
            f"leave `{given[0]}` out."
        )


def _check_end_can_come(scenario: Scenario) -> None:
    """Refuse to wait for more events than subjects can have."""
    final, n = scenario.decision, scenario.accrual.n_subjects
    if final.final == "events" and (final.final_value or 0) > n:
        raise DesignError(
            f"The trial is to end after {final.final_value:g} events, but only {n} subjects are "
            "recruited, each with one event at most. Recruit more, or wait for fewer."
        )


def _check_adaptations(scenario: Scenario) -> None:
    """Refuse to plan the number of subjects anew more than once."""
    again = [look.name for look in scenario.interims if look.rule == "sample_size"]
    if len(again) > 1:
        raise DesignError(
            "The number of subjects can be planned anew at one look only, got "
            f"{', '.join(map(repr, again))}. Take all but one out."
        )


def _check_shared_reference(scenario: Scenario, *, by_arm: bool) -> None:
    """Refuse Dunnett's correction where comparisons do not share all of the reference."""
    if scenario.decision.multiplicity != "dunnett":
        return
    moving = [a.name for a in scenario.arms if a.opens_year > 0 or a.closes_year < float("inf")]
    if not by_arm or moving:
        what = f"arm {moving[0]!r} has concurrent subjects only" if by_arm else "factors do not"
        raise DesignError(
            "`multiplicity='dunnett'` is for arms that share the whole reference arm, but "
            f"{what}: it would claim too much. Use 'holm' or 'bonferroni'."
        )


def _check_order(scenario: Scenario) -> None:
    """Refuse analyses that wait for what is not there, or for one another."""
    names = tuple(analysis.name for analysis in scenario.analyses)
    for analysis in scenario.analyses:
        seen, before = [analysis.name], analysis.options.get("after")
        while before is not None:
            if before not in names:
                raise DesignError(
                    f"`after` of analysis {seen[-1]!r} names {before!r}, but there are "
                    f"{', '.join(map(repr, names))}.{nearest(str(before), names)}"
                )
            if compared(scenario, str(before)) != compared(scenario, seen[-1]):
                raise DesignError(
                    f"Analysis {seen[-1]!r} comes `after` {before!r}, which compares something "
                    "else. Use the same `by` in both."
                )
            if before in seen:
                raise DesignError(f"Analyses {', '.join(seen)} wait for one another by `after`.")
            seen.append(str(before))
            before = scenario.analysis(str(before)).options.get("after")
    waiting = scenario.analysis(scenario.decision.analysis).options.get("after")
    if waiting is not None and scenario.interims:
        raise DesignError(
            f"The primary analysis waits for {waiting!r} (`after`), which goes with a single "
            f"analysis at the end, got {len(scenario.interims)} interim look(s). Options that the "
            f"trial deals with: {', '.join(TRIAL_OPTIONS)}."
        )
