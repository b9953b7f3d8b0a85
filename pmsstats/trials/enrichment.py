"""Trials that go on in those who carry a marker, if an interim look says so."""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy.special import ndtr, ndtri

from pmsstats.cohort.trial_arrays import TrialArrays
from pmsstats.errors import DesignError
from pmsstats.power.conditional import combination_test
from pmsstats.trials.analyses.windows import known_at_entry
from pmsstats.trials.enrol import expected_entries, planned_places
from pmsstats.trials.information_at_looks import expected_year
from pmsstats.trials.questions import ask, data_at
from pmsstats.trials.records import Answers
from pmsstats.trials.scenario import Interim, Scenario, TrialAnalysis
from pmsstats.trials.trial_state import (
    CARRIERS,
    EVERYBODY,
    FUTILITY,
    NOT_CHOSEN,
    Enriched,
    TrialState,
)

__all__ = ["choose_population", "claim_populations", "intersection_z", "is_carrier"]


def is_carrier(analysis: TrialAnalysis, data: TrialArrays) -> np.ndarray:
    """Say who belongs to the subgroup of an analysis.

    Parameters
    ----------
    analysis : TrialAnalysis
        With its subgroup.
    data : TrialArrays
        With what is known at entry.

    Returns
    -------
    ndarray of bool, shape (n_replicates, n_subjects)
        Within all ranges.
    """
    inside = np.ones(data.arm.shape, dtype=bool)
    for name, (low, high) in analysis.subgroup.items():
        value = known_at_entry(data, name, "subgroup")
        inside &= (value >= low) & (value <= high)
    return inside


def _subgroup_analysis(scenario: Scenario, interim: Interim) -> TrialAnalysis:
    """Return the analysis in carriers."""
    name = interim.options.get("subgroup_analysis")
    known = {analysis.name for analysis in scenario.analyses if analysis.subgroup}
    if name not in known:
        raise DesignError(
            f"Interim {interim.name!r} needs the analysis in the subgroup as `subgroup_analysis` "
            f"among its options, one with a `subgroup`, got {name!r}."
        )
    return scenario.analysis(str(name))


def _planned_weight(scenario: Scenario, interim: Interim) -> float:
    """Return the share of subjects who are expected to have entered at the look."""
    if "weight" in interim.options:
        weight = float(interim.options["weight"])
    elif interim.at in {"events", "information"}:
        raise DesignError(
            f"Interim {interim.name!r} needs `weight` among its options: the share of subjects who "
            "have entered by then, as planned."
        )
    else:
        entry = expected_entries(scenario)[: planned_places(scenario)]
        weight = float(np.mean(entry <= expected_year(scenario, interim)))
    if not 0.0 < weight < 1.0:
        raise DesignError(
            f"At interim {interim.name!r} {100 * weight:.0f} % of the subjects are expected to "
            "have entered: nobody is left whose recruitment it could change. Let it come earlier."
        )
    return weight


def choose_population(state: TrialState, interim: Interim, answers: Answers) -> np.ndarray:
    """Choose in whom a trial goes on.

    Parameters
    ----------
    state : TrialState
        Changed: places, and trials that end.
    interim : Interim
        Options: `subgroup_analysis` (name), `threshold` (one-sided p value in everybody, below
        which all go on, default 0.3), `threshold_subgroup` (else carriers go on if theirs is
        below, default 0.3; else the trial ends), `weight`.
    answers : Answers
        In everybody, at the look.

    Returns
    -------
    ndarray, shape (n_asked, 1)
        Bound of the statistic in everybody.
    """
    scenario, who = state.scenario, answers.replicates
    analysis = _subgroup_analysis(scenario, interim)
    weight = _planned_weight(scenario, interim)
    inner = dataclasses.replace(
        state.scenario.analysis(interim.analysis), subgroup=analysis.subgroup
    )
    data = data_at(state, who, answers.year)
    carriers = is_carrier(inner, data)
    emptied = data.replace(arm=np.where(carriers, data.arm, np.int8(-1)).astype(np.int8))
    z_carriers = ask(state, interim.analysis, emptied, who, answers.year).z[:, 0]
    bounds = [
        float(-ndtri(float(interim.options.get(name, 0.3))))
        for name in ("threshold", "threshold_subgroup")
    ]
    everybody = ~(answers.z[:, 0] < bounds[0])
    choice = np.where(everybody, EVERYBODY, np.where(z_carriers >= bounds[1], CARRIERS, NOT_CHOSEN))
    _go_on_in(state, analysis, answers, choice, weight)
    state.stop(who[choice == NOT_CHOSEN], FUTILITY)
    return np.full(answers.z.shape, bounds[0])


def _go_on_in(
    state: TrialState, analysis: TrialAnalysis, answers: Answers, choice: np.ndarray, weight: float
) -> None:
    """Let carriers alone enter where that was chosen, until as many are in as planned."""
    who = answers.replicates
    early = np.zeros(state.filled.shape, dtype=bool)
    early[who] = state.entry_year[who] <= answers.year[:, None]
    wanted = early | is_carrier(analysis, state.everybody)
    wanted &= np.cumsum(wanted, axis=1) <= planned_places(state.scenario)
    chosen = np.zeros(state.n_replicates, dtype=np.int8)
    chosen[who] = choice
    state.fill(np.where((chosen == CARRIERS)[:, None], wanted, state.filled))
    state.enriched = Enriched(
        subgroup_analysis=analysis.name, choice=chosen, early=early, weight=weight
    )


def intersection_z(z_everybody: np.ndarray, z_carriers: np.ndarray) -> np.ndarray:
    """Test that there is an effect neither in everybody nor in carriers.

    Parameters
    ----------
    z_everybody, z_carriers : ndarray
        Statistics, which are positively correlated.

    Returns
    -------
    ndarray
        Normal quantile of the p value of Simes [1]_.

    References
    ----------
    .. [1] Simes RJ. An improved Bonferroni procedure for multiple tests of significance.
       Biometrika 1986;73:751-754. doi:10.1093/biomet/73.3.751

    Examples
    --------
    >>> intersection_z(np.array([1.0]), np.array([1.0])).round(6).tolist()
    [1.0]
    """
    smaller = ndtr(-np.maximum(z_everybody, z_carriers))
    larger = ndtr(-np.minimum(z_everybody, z_carriers))
    return -ndtri(np.minimum(np.minimum(2.0 * smaller, larger), 1.0 - 1e-16))


def claim_populations(
    state: TrialState, data: TrialArrays, replicates: np.ndarray, year: np.ndarray
) -> tuple[Answers, Answers]:
    """Test the effect in everybody and in carriers at the end.

    Parameters
    ----------
    state : TrialState
        With what was chosen.
    data : TrialArrays
        Of some trials at their end.
    replicates : ndarray of int, shape (n_asked,)
        Their positions.
    year : ndarray, shape (n_asked,)
        Calendar time.

    Returns
    -------
    everybody, carriers : Answers
        Statistics are those that decide: an effect is claimed where they reach the critical value.
        In everybody, only trials that went on in everybody are asked.

    Notes
    -----
    Each hypothesis and their intersection is tested by the inverse normal combination of subjects
    who entered before and after the look, each group followed to the end [1]_; an effect is
    claimed if its own and the intersection's combination reach the critical value (closed test)
    [2]_.

    References
    ----------
    .. [1] Jenkins M, Stone A, Jennison C. An adaptive seamless phase II/III design for oncology
       trials with subpopulation selection using correlated survival endpoints. Pharm Stat
       2011;10:347-356. doi:10.1002/pst.472
    .. [2] Brannath W, Zuber E, Branson M, et al. Confirmatory adaptive designs with Bayesian
       decision tools for a targeted therapy in oncology. Stat Med 2009;28:1445-1463.
       doi:10.1002/sim.3559
    """
    enriched = state.enriched
    primary, inner = state.scenario.decision.analysis, enriched.subgroup_analysis
    early = enriched.early[replicates]
    whole = {name: ask(state, name, data, replicates, year) for name in (primary, inner)}
    z = {}
    for name in (primary, inner):
        for stage, members in enumerate((early, ~early)):
            part = data.replace(arm=np.where(members, data.arm, np.int8(-1)).astype(np.int8))
            z[name, stage] = ask(state, name, part, replicates, year).z[:, 0]
    only_carriers = enriched.choice[replicates] == CARRIERS
    both = [intersection_z(z[primary, stage], z[inner, stage]) for stage in (0, 1)]
    both[1] = np.where(only_carriers, z[inner, 1], both[1])
    w = enriched.weight
    union = combination_test(both[0], both[1], weight=w)
    decided = {
        name: np.minimum(combination_test(z[name, 0], z[name, 1], weight=w), union)[:, None]
        for name in (primary, inner)
    }
    asked = {primary: ~only_carriers[:, None], inner: np.ones((len(replicates), 1), dtype=bool)}
    everybody, carriers = (
        dataclasses.replace(
            whole[name],
            z=decided[name],
            numbers=whole[name].numbers | {"z": decided[name]},
            reason=_reasons(whole[name].reason, decided[name]),
            asked=asked[name],
        )
        for name in (primary, inner)
    )
    return everybody, carriers


def _reasons(reason: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Return why there is no answer, where a stage had none either."""
    silent = np.isnan(z) & (reason == "")
    return np.where(silent, "a stage could not be analysed", reason)
