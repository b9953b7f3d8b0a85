"""Requests that cannot be met are refused, in words that help."""

from __future__ import annotations

import numpy as np
import pytest
from trial_cases import analysis_of, scenario_of, slope_trials

from pmsstats.errors import DesignError
from pmsstats.trials.analyses import analyse, event_days
from pmsstats.trials.scenario import TrialArm, TrialEndpoint

ENDPOINTS = (
    TrialEndpoint(name="volume", measure="volume"),
    TrialEndpoint(name="absent", measure="volum"),
    TrialEndpoint(name="progression", measure="edss", rule="cdp24"),
    TrialEndpoint(name="unruled", measure="volume"),
    TrialEndpoint(name="misnamed", measure="edss", rule="cdp240"),
    TrialEndpoint(name="neda", measure="edss", rule="neda3"),
)
DATA = slope_trials(1, 2, (10, 10))
BAD = {
    "measure": (analysis_of("change", endpoint="absent"), "volum'.*generator made volume"),
    "outcome": (analysis_of("log_rank", endpoint="progression"), "needs 'edss'"),
    "no rule": (analysis_of("cox", endpoint="unruled"), "no `rule`.*cdp24"),
    "rule": (analysis_of("log_rank", endpoint="misnamed"), "cdp240"),
    "window": (analysis_of("change", from_week=200), "no visit from week 200"),
    "one visit": (analysis_of("random_slope", from_week=96), "two visits or more"),
    "one visit mmrm": (analysis_of("mmrm", to_week=0), "after a baseline"),
    "week": (analysis_of("change", options={"week": 30}), "week 30.*There are: 24, 48, 72, 96"),
    "option": (analysis_of("change", options={"variances": "unequal"}), "no option 'variances'"),
    "value": (analysis_of("change", options={"variance": "other"}), "`variance`.*'other'"),
    "covariate": (analysis_of("ancova", covariates=("age",)), "`covariates` names 'age'.*age_year"),
    "subgroup": (analysis_of("change", subgroup={"marker": (0, 1)}), "`subgroup` names 'marker'"),
    "strata": (analysis_of("cox", endpoint="unruled"), "rule"),
    "strategy": (
        analysis_of("mmrm", strategies={"discontinuation": "composite"}),
        "cannot deal with 'discontinuation'.*composite",
    ),
    "failure": (
        analysis_of("change", strategies={"discontinuation": "composite"}),
        "failure_change",
    ),
    "welch covariates": (
        analysis_of("change", options={"variance": "unequal"}, covariates=("age_years",)),
        "unequal variances",
    ),
    "no factors": (analysis_of("change", options={"by": "factor"}), "no arm has `factors`"),
    "formula": (analysis_of("model"), "needs a `formula`"),
    "term": (
        analysis_of("model", formula="volume ~ arm + year + (1 | subject_id)"),
        "`term`.*the model has",
    ),
    "one outcome": (analysis_of("multivariate"), "several `endpoints`"),
    "weights": (
        analysis_of(
            "multivariate", endpoints=("volume", "unruled"), options={"weights": (1.0, 2.0, 3.0)}
        ),
        "2 numbers",
    ),
    "effects": (
        analysis_of(
            "multivariate", endpoints=("volume", "unruled"), options={"combine": "optimal"}
        ),
        "`effects`",
    ),
    "imputation": (analysis_of("imputation", options={"strategy": "BOCF"}), "`strategy`.*BOCF"),
    "groups": (analysis_of("imputation", options={"n_groups": 1}), "`n_groups`"),
}


@pytest.mark.parametrize("name", BAD)
def test_requests_that_cannot_be_met_are_refused(name):
    analysis, words = BAD[name]
    scenario = scenario_of(analysis, endpoints=ENDPOINTS, events=("discontinuation",), n=20)
    with pytest.raises(DesignError, match=words):
        analyse(scenario, analysis, DATA, arms=("active",))


@pytest.mark.parametrize(
    ("arms", "words"),
    [
        ((), "each arm to compare once"),
        (("active", "active"), "each arm to compare once"),
        (("placebo",), "other than the reference"),
        (("actve",), "actve.*active"),
        (("second",), "data have placebo, active"),
    ],
)
def test_arms_that_cannot_be_compared_are_refused(arms, words):
    analysis = analysis_of("change")
    own = tuple(TrialArm(name=name) for name in ("placebo", "active", "second"))
    with pytest.raises(DesignError, match=words):
        analyse(scenario_of(analysis, arms=own), analysis, DATA, arms=arms)


def test_factors_that_always_go_together_are_refused():
    analysis = analysis_of("change", options={"by": "factor"})
    own = (TrialArm(name="placebo"), TrialArm(name="active", factors=("a", "b")))
    with pytest.raises(DesignError, match="cannot be told apart"):
        analyse(scenario_of(analysis, arms=own), analysis, DATA, arms=("active",))


def test_strata_need_few_levels():
    data = DATA.replace(baseline={**DATA.baseline, "event_day": np.full((2, 20), 100.0)})
    analysis = analysis_of("log_rank", endpoint="unruled", options={"strata": ("age_years",)})
    with pytest.raises(DesignError, match="no whole numbers"):
        analyse(scenario_of(analysis, endpoints=ENDPOINTS), analysis, data, arms=("active",))
    with pytest.raises(DesignError, match="no `rule`"):
        event_days(scenario_of(analysis, endpoints=ENDPOINTS), analysis, DATA)


def test_too_many_values_for_a_joint_model_are_refused():
    weeks = tuple(range(0, 12 * 40, 12))
    data = slope_trials(2, 1, (5, 5), measures=("volume", "walk"), weeks=weeks)
    endpoints = (*ENDPOINTS, TrialEndpoint(name="walk", measure="walk"))
    analysis = analysis_of("multivariate", endpoints=("volume", "walk"))
    scenario = scenario_of(analysis, endpoints=endpoints, weeks=weeks)
    with pytest.raises(DesignError, match="62 values"):
        analyse(scenario, analysis, data, arms=("active",))
