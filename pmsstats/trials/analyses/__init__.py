"""Analyses of many simulated trials at once: one estimate per replicate and comparison."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from pmsstats.cohort.trial_arrays import TrialArrays
from pmsstats.trials.analyses.answers import join_answers
from pmsstats.trials.analyses.change import analyse_change
from pmsstats.trials.analyses.comparisons import comparisons_of
from pmsstats.trials.analyses.counts import analyse_counts
from pmsstats.trials.analyses.endpoint_kinds import check_endpoints
from pmsstats.trials.analyses.function import analyse_function
from pmsstats.trials.analyses.imputed import analyse_imputed
from pmsstats.trials.analyses.known_days import known_days
from pmsstats.trials.analyses.model import analyse_model
from pmsstats.trials.analyses.multivariate import analyse_multivariate
from pmsstats.trials.analyses.options import choice
from pmsstats.trials.analyses.progression import analyse_progression
from pmsstats.trials.analyses.proportion import analyse_proportion
from pmsstats.trials.analyses.repeated import analyse_repeated
from pmsstats.trials.analyses.slope import analyse_slope
from pmsstats.trials.analyses.windows import TrialWindow, open_window
from pmsstats.trials.outcomes import AnalysisBatch
from pmsstats.trials.scenario import Scenario, TrialAnalysis

__all__ = ["analyse", "event_days"]

_METHODS: Mapping[str, Callable[[TrialWindow], AnalysisBatch]] = MappingProxyType(
    {
        "random_slope": analyse_slope,
        "mmrm": analyse_repeated,
        "ancova": analyse_change,
        "change": analyse_change,
        "log_rank": analyse_progression,
        "cox": analyse_progression,
        "counts": analyse_counts,
        "proportion": analyse_proportion,
        "multivariate": analyse_multivariate,
        "imputation": analyse_imputed,
        "model": analyse_model,
        "function": analyse_function,
    }
)


def analyse(
    scenario: Scenario,
    analysis: TrialAnalysis,
    data: TrialArrays,
    *,
    arms: tuple[str, ...],
    n_jobs: int = 1,
) -> AnalysisBatch:
    """Analyse all replicates.

    Parameters
    ----------
    scenario : Scenario
        The trial.
    analysis : TrialAnalysis
        One of its analyses.
    data : TrialArrays
        What was seen; replicates may have been cut at different times.
    arms : tuple of str
        Arms that are compared with the reference; subjects of others are left out.
    n_jobs : int, default 1
        Threads. Results do not depend on it.

    Returns
    -------
    AnalysisBatch
        One entry per replicate and comparison; those without an answer say why.

    Raises
    ------
    DesignError
        If the request is impossible, whatever the data hold: an endpoint that they do not have, or
        that the method is not for, a week without a visit, an unknown option.

    Notes
    -----
    All arms are in one model (a common variance); with the option ``pairwise=True`` each is
    compared with the reference as if the others were not there. With ``by="factor"`` the factors
    of a factorial trial are compared, each with all who do not get it, adjusted for the others,
    and with ``interaction=True`` pairs of them too. The numbers of a replicate do not depend on
    the replicates that it is analysed with.
    """
    is_by_arm = choice(analysis, "by", ("arm", "factor")) == "arm"
    if len(arms) > 1 and is_by_arm and choice(analysis, "pairwise", (False, True)):
        each = [analyse(scenario, analysis, data, arms=(a,), n_jobs=n_jobs) for a in arms]
        return join_answers(each)
    comparisons = comparisons_of(scenario, analysis, arms)
    window = open_window(scenario, analysis, data, comparisons, n_jobs=n_jobs)
    check_endpoints(window)
    return _METHODS[analysis.method](window)


def event_days(scenario: Scenario, analysis: TrialAnalysis, data: TrialArrays) -> np.ndarray:
    """Find the day on which each subject's event is known.

    Parameters
    ----------
    scenario : Scenario
        The trial.
    analysis : TrialAnalysis
        A ``log_rank``, ``cox`` or ``proportion`` analysis.
    data : TrialArrays
        What was seen.

    Returns
    -------
    ndarray, shape (n_replicates, n_subjects)
        Days from entry: of the visit that confirms the event, or of the event itself where it
        needs no confirmation. Infinite without an event, and outside of the subgroup.

    Raises
    ------
    DesignError
        If the endpoint is no time to an event.
    """
    plain = dataclasses.replace(analysis, options={}, true_value=None)
    comparisons = comparisons_of(scenario, plain, scenario.arm_names[1:])
    return known_days(open_window(scenario, plain, data, comparisons))
