"""Ready designs: a scenario in, the same trial under another design out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pmsstats.cohort.coerce import DAYS_PER_YEAR
from pmsstats.errors import DesignError
from pmsstats.trials.rules import check_rules
from pmsstats.trials.scenario import Interim, Scenario, TrialAnalysis, TrialArm

__all__ = [
    "delayed_start_design",
    "enrichment_design",
    "factorial_design",
    "fixed_design",
    "group_sequential_design",
    "later_window_design",
    "multi_arm_multi_stage_design",
    "sample_size_re_estimation_design",
]

Timing = Literal["year", "enrolled", "followed", "events", "information"]


def _checked(scenario: Scenario) -> Scenario:
    """Return a scenario whose rules fit."""
    check_rules(scenario)
    return scenario


def fixed_design(base: Scenario) -> Scenario:
    """Take out all looks before the end.

    Parameters
    ----------
    base : Scenario
        A trial of any design.

    Returns
    -------
    Scenario
        One analysis, when it is due.
    """
    decision = dataclasses.replace(
        base.decision, boundary="none", boundary_parameter=None, futility={}
    )
    return _checked(dataclasses.replace(base, interims=(), decision=decision))


def group_sequential_design(
    base: Scenario,
    *,
    looks: Sequence[float],
    at: Timing = "information",
    week: float | None = None,
    boundary: str = "ld_obrien_fleming",
    boundary_parameter: float | None = None,
    futility: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
) -> Scenario:
    """Let a trial stop early by its primary analysis.

    Parameters
    ----------
    base : Scenario
        A trial of any design.
    looks : sequence of float
        When looks take place, ascending: what is counted is said by `at`.
    at : {"information", "followed", "events", "enrolled", "year"}
        As in :class:`Interim`.
    week : float, optional
        For ``"followed"``.
    boundary : str, default "ld_obrien_fleming"
        As in :class:`DecisionRule`.
    boundary_parameter : float, optional
        Of the families that have one.
    futility : mapping of str to object, optional
        As in :class:`DecisionRule`; none by default.
    options : mapping of str to object, optional
        Of the looks.

    Returns
    -------
    Scenario
        With one look for each value.

    Raises
    ------
    DesignError
        If looks do not come with rising information.
    """
    interims = tuple(
        Interim(
            name=f"look {k + 1}",
            at=at,
            value=float(value),
            week=week,
            analysis=base.decision.analysis,
            rule="group_sequential",
            options=dict(options or {}),
        )
        for k, value in enumerate(looks)
    )
    decision = dataclasses.replace(
        base.decision,
        boundary=boundary,
        boundary_parameter=boundary_parameter,
        futility=dict(futility or {}),
    )
    return _checked(dataclasses.replace(base, interims=interims, decision=decision))


def multi_arm_multi_stage_design(
    base: Scenario,
    *,
    interim_analysis: str,
    value: float,
    at: Timing = "followed",
    week: float | None = None,
    threshold: float | None = None,
    keep: int | None = None,
    places: Literal["reallocate", "close"] = "reallocate",
    multiplicity: Literal["none", "bonferroni", "holm", "dunnett"] = "none",
) -> Scenario:
    """Let an interim outcome decide which arms go on.

    Parameters
    ----------
    base : Scenario
        A trial with several treated arms, late ones included (their `opens_year`).
    interim_analysis : str
        Of the interim outcome, as brain atrophy, alone or with clinical outcomes.
    value : float
        When the look takes place.
    at : {"followed", "year", "enrolled", "events", "information"}
        What `value` counts.
    week : float, optional
        For ``"followed"``; the last visit by default.
    threshold : float, optional
        One-sided p value that an arm must be below to go on.
    keep : int, optional
        At most so many arms go on, the best ones.
    places : {"reallocate", "close"}
        Later recruits go to the arms left, or those of a given up arm are not recruited.
    multiplicity : {"none", "bonferroni", "holm", "dunnett"}
        At the end, over all arms that began.

    Returns
    -------
    Scenario
        The primary analysis is done at the end in the arms left.

    Raises
    ------
    DesignError
        If neither `threshold` nor `keep` is given, or the analyses do not fit.

    References
    ----------
    .. [1] Royston P, Parmar MKB, Qian W. Novel designs for multi-arm clinical trials with survival
       outcomes with an application in ovarian cancer. Stat Med 2003;22:2239-2256.
       doi:10.1002/sim.1430
    .. [2] Li V, Leurent B, Barkhof F, et al. Designing multi-arm multistage adaptive trials for
       neuroprotection in progressive multiple sclerosis. Neurology 2022;98:754-764.
       doi:10.1212/WNL.0000000000200604
    """
    if threshold is None and keep is None:
        raise DesignError("Give `threshold` (one-sided p value) or `keep` (number of arms).")
    options = {"threshold": threshold, "keep": keep, "places": places}
    look = Interim(
        name="stage 1",
        at=at,
        value=value,
        week=week,
        analysis=interim_analysis,
        rule="select_arms",
        options={name: entry for name, entry in options.items() if entry is not None},
    )
    decision = dataclasses.replace(
        base.decision,
        boundary="none",
        boundary_parameter=None,
        futility={},
        multiplicity=multiplicity,
    )
    return _checked(dataclasses.replace(base, interims=(look,), decision=decision))


def sample_size_re_estimation_design(
    base: Scenario,
    *,
    n_planned: int,
    value: float = 0.5,
    at: Timing = "information",
    week: float | None = None,
    blinded: bool = False,
    effect: float | None = None,
    power: float = 0.8,
    conditional_power: float = 0.9,
    lowest: float = 0.36,
    combination: bool = True,
    options: Mapping[str, Any] | None = None,
) -> Scenario:
    """Plan the number of subjects anew at a look.

    Parameters
    ----------
    base : Scenario
        A trial of two arms; the subjects of its accrual are the most that may be recruited, at
        the rate of its accrual.
    n_planned : int
        Subjects without a change.
    value : float, default 0.5
        When the look takes place.
    at : {"information", "followed", "events", "enrolled", "year"}
        What `value` counts, of the subjects planned.
    week : float, optional
        For ``"followed"``.
    blinded : bool, default False
        By the variance of all subjects together, for the `effect` and `power`; else by the effect
        seen, in the promising zone.
    effect : float, optional
        That the trial is for, on the scale of the estimate; for a blinded look.
    power : float, default 0.8
        For a blinded look.
    conditional_power, lowest : float
        To be reached by raising the number, and from which on that is done.
    combination : bool, default True
        Whether stages are weighed as planned.
    options : mapping of str to object, optional
        Further ones of the look.

    Returns
    -------
    Scenario
        With this look only.

    Raises
    ------
    DesignError
        If there are fewer places than planned subjects, or more than two arms.

    References
    ----------
    .. [1] Cui L, Hung HMJ, Wang SJ. Modification of sample size in group sequential clinical
       trials. Biometrics 1999;55:853-857. doi:10.1111/j.0006-341X.1999.00853.x
    """
    chosen: dict[str, Any] = {"n_planned": n_planned}
    if blinded:
        chosen |= {"blinded": True, "effect": effect or 0.0, "power": power}
    else:
        chosen |= {
            "conditional_power": conditional_power,
            "lowest": lowest,
            "combination": combination,
        }
    look = Interim(
        name="re-estimation",
        at=at,
        value=value,
        week=week,
        analysis=base.decision.analysis,
        rule="sample_size",
        options=chosen | dict(options or {}),
    )
    return _checked(dataclasses.replace(base, interims=(look,)))


def enrichment_design(
    base: Scenario,
    *,
    subgroup: Mapping[str, tuple[float, float]],
    value: float,
    at: Timing = "enrolled",
    week: float | None = None,
    n_planned: int | None = None,
    interim_analysis: str | None = None,
    threshold: float = 0.3,
    threshold_subgroup: float = 0.3,
) -> Scenario:
    """Let an interim look choose between everybody and those with a marker.

    Parameters
    ----------
    base : Scenario
        A trial of two arms. Recruits without the marker are not randomised once carriers alone are
        wanted, so that the accrual needs more places than subjects.
    subgroup : mapping of str to (float, float)
        Range of what is known at entry that makes a carrier.
    value : float
        When the look takes place.
    at : {"enrolled", "followed", "year"}
        What `value` counts.
    week : float, optional
        For ``"followed"``.
    n_planned : int, optional
        Subjects to randomise; all places by default.
    interim_analysis : str, optional
        On which the choice rests; the primary one by default.
    threshold, threshold_subgroup : float, default 0.3
        One-sided p value in everybody below which the trial goes on in everybody; else that in
        carriers below which it goes on in carriers. Else it ends.

    Returns
    -------
    Scenario
        With the primary analysis in carriers beside it.

    Raises
    ------
    DesignError
        If there are more than two arms or nobody is left to recruit.
    """
    primary = base.analysis(base.decision.analysis)
    inner = dataclasses.replace(primary, name=f"{primary.name}_carriers", subgroup=dict(subgroup))
    options: dict[str, Any] = {
        "subgroup_analysis": inner.name,
        "threshold": threshold,
        "threshold_subgroup": threshold_subgroup,
    }
    if n_planned is not None:
        options["n_planned"] = n_planned
    look = Interim(
        name="enrichment",
        at=at,
        value=value,
        week=week,
        analysis=interim_analysis or primary.name,
        rule="enrichment",
        options=options,
    )
    analyses = (*(a for a in base.analyses if a.name != inner.name), inner)
    return _checked(dataclasses.replace(base, analyses=analyses, interims=(look,)))


def factorial_design(
    base: Scenario,
    *,
    factors: Mapping[str, Mapping[str, float]],
    both: Mapping[str, float] | None = None,
    interaction: bool = False,
) -> Scenario:
    """Test two treatments in one trial: neither, each, and both.

    Parameters
    ----------
    base : Scenario
        A trial whose first arm is the reference; its other arms are replaced.
    factors : mapping of str to mapping of str to float
        Two treatments and what they do.
    both : mapping of str to float, optional
        What they do together; by default the effects of each, which must then be of different
        names.
    interaction : bool, default False
        Whether the interaction is tested too.

    Returns
    -------
    Scenario
        Four arms of the same size; the primary analysis compares those with and without each
        treatment.

    Raises
    ------
    DesignError
        If there are not two factors, or it is not known what they do together.
    """
    if len(factors) != 2:
        raise DesignError(f"`factors` must be two treatments, got {list(factors)!r}.")
    (name_a, a), (name_b, b) = ((name, dict(effects)) for name, effects in factors.items())
    shared = sorted(set(a) & set(b))
    if shared and both is None:
        raise DesignError(
            f"Both treatments have the effect {shared[0]!r}: say in `both` what they do together."
        )
    arms = (
        base.arms[0],
        TrialArm(name=name_a, effects=a, factors=(name_a,)),
        TrialArm(name=name_b, effects=b, factors=(name_b,)),
        TrialArm(
            name=f"{name_a} and {name_b}", effects=dict(both or a | b), factors=(name_a, name_b)
        ),
    )
    primary = base.analysis(base.decision.analysis)
    options = dict(primary.options) | {"by": "factor"}
    options |= {"interaction": True} if interaction else {}
    changed = dataclasses.replace(primary, options=options)
    analyses = tuple(changed if x.name == primary.name else x for x in base.analyses)
    return _checked(dataclasses.replace(base, arms=arms, analyses=analyses, interims=()))


def delayed_start_design(
    base: Scenario, *, switch_week: float, margin: float, end_analysis: TrialAnalysis
) -> Scenario:
    """Give the reference arm the treatment later, to see whether an early start leaves a lead.

    Parameters
    ----------
    base : Scenario
        A trial of two arms whose primary analysis is of a slope.
    switch_week : float
        From which on the reference arm is treated.
    margin : float
        How much faster an early start may decline after the switch than a delayed one, per year,
        for the lead to count as kept.
    end_analysis : TrialAnalysis
        Of the difference at the end of the delayed period.

    Returns
    -------
    Scenario
        Three analyses, each after the one before it [1]_: of the slopes up to the switch, of the
        end, of the slopes after the switch (no worse by more than the margin). The last one
        decides.

    Raises
    ------
    DesignError
        If there are not two arms, or the switch is not between the first and the last visit.

    References
    ----------
    .. [1] Liu-Seifert H, Andersen SW, Lipkovich I, Holdridge KC, Siemers E. A novel approach to
       delayed-start analyses for demonstrating disease-modifying effects in Alzheimer's disease.
       PLoS One 2015;10:e0119632. doi:10.1371/journal.pone.0119632
    """
    if len(base.arms) != 2:
        raise DesignError(f"A delayed start has two arms, got {len(base.arms)}.")
    last = base.schedule.weeks[-1]
    if not 0 < switch_week < last:
        raise DesignError(
            f"`switch_week` must be between the first and the last visit (week {last}), got "
            f"{switch_week!r}."
        )
    late, early = base.arms
    onset = {"onset_years": switch_week * 7 / DAYS_PER_YEAR}
    late = dataclasses.replace(late, effects={**early.effects, **onset})
    slope = base.analysis(base.decision.analysis)
    first = dataclasses.replace(slope, name="before_switch", to_week=switch_week)
    end = dataclasses.replace(
        end_analysis,
        name="at_end",
        options={**end_analysis.options, "after": "before_switch"},
    )
    after = dataclasses.replace(
        slope,
        name="after_switch",
        from_week=switch_week,
        options={**slope.options, "after": "at_end", "margin": margin},
    )
    decision = dataclasses.replace(
        base.decision, analysis="after_switch", boundary="none", futility={}
    )
    return _checked(
        dataclasses.replace(
            base,
            arms=(late, early),
            analyses=(first, end, after),
            decision=decision,
            interims=(),
        )
    )


def later_window_design(base: Scenario, *, from_week: float) -> Scenario:
    """Analyse the primary endpoint from a later visit too, when an early loss is over.

    Parameters
    ----------
    base : Scenario
        A trial whose treatment may cause an early loss of volume (pseudo-atrophy).
    from_week : float
        First visit of the second analysis.

    Returns
    -------
    Scenario
        The first analysis is still the primary one; the name of the other ends with the week.

    Raises
    ------
    DesignError
        If no two visits are left.
    """
    primary = base.analysis(base.decision.analysis)
    left = [w for w in base.schedule.weeks if from_week <= w <= primary.to_week]
    if len(left) < 2:
        raise DesignError(
            f"`from_week` must leave two visits, got {from_week!r} with visits in weeks "
            f"{', '.join(map(str, base.schedule.weeks))}."
        )
    later = dataclasses.replace(
        primary, name=f"{primary.name}_from_week_{from_week:g}", from_week=from_week
    )
    return _checked(dataclasses.replace(base, analyses=(*base.analyses, later)))
