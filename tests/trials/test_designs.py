"""Ready designs with the trial generator: what each is for comes out, within Monte Carlo error."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hand_made_trials import generate, mcse, scenario
from scipy.special import ndtr

from pmsstats.errors import DesignError
from pmsstats.trials.course import run_block
from pmsstats.trials.designs import (
    delayed_start_design,
    enrichment_design,
    factorial_design,
    fixed_design,
    group_sequential_design,
    later_window_design,
    multi_arm_multi_stage_design,
    sample_size_re_estimation_design,
)
from pmsstats.trials.scenario import (
    Accrual,
    DecisionRule,
    Scenario,
    TrialAnalysis,
    TrialArm,
    TrialEndpoint,
    TrialPopulation,
    TrialSchedule,
)
from pmsstats.trials.simulate import simulate_trials
from synthetic import generate_trials

MC = 4
ROOT = np.random.SeedSequence(11)
BRAIN = {
    "measure": "brain_pct", "intercept": 100.0, "rate": -0.6, "intercept_sd": 2.0,
    "slope_sd": 0.5, "residual_sd": 0.2,
}  # fmt: skip
SLOPE = TrialAnalysis(name="slope", endpoint="brain", method="random_slope")
BASE = Scenario(
    name="brain volume",
    population=TrialPopulation(model="random_slope", settings=BRAIN),
    arms=(TrialArm(name="placebo"), TrialArm(name="treated", effects={"slowing": 0.4})),
    accrual=Accrual(n_subjects=160, years=1.5),
    schedule=TrialSchedule(weeks=(0, 26, 52, 78, 104)),
    endpoints=(TrialEndpoint(name="brain", measure="brain_pct"),),
    analyses=(SLOPE,),
    decision=DecisionRule(analysis="slope"),
)
CLINICAL = ("edss_like", "walk_like", "hand_like")
OUTCOMES = [
    BRAIN,
    *(
        {"measure": m, "rate": 0.3, "intercept_sd": 1.0, "slope_sd": 1.0, "residual_sd": 0.5}
        for m in CLINICAL
    ),
]
STAGES = dataclasses.replace(
    BASE,
    name="a platform of the kind of OCTOPUS",
    population=TrialPopulation(
        model="correlated_outcomes",
        settings={"outcomes": OUTCOMES, "hazard": 0.15, "hazard_measure": "progression"},
    ),
    arms=(
        TrialArm(name="standard of care"),
        TrialArm(name="works", effects={"slowing": 0.5, "hazard_ratio": 0.6}),
        TrialArm(name="does not work"),
    ),
    accrual=Accrual(n_subjects=450, years=3.0),
    endpoints=(
        TrialEndpoint(name="brain", measure="brain_pct"),
        *(TrialEndpoint(name=m, measure=m, better="lower") for m in CLINICAL),
        TrialEndpoint(name="progression", measure="progression"),
    ),
    analyses=(
        SLOPE,
        TrialAnalysis(
            name="all four", endpoint="brain", endpoints=("brain", *CLINICAL),
            method="multivariate",
        ),
        TrialAnalysis(name="time", endpoint="progression", method="log_rank"),
    ),
    decision=DecisionRule(analysis="time"),
)  # fmt: skip


def run(trial, n):
    """Run replicates of the trial generator."""
    return run_block(trial, generate_trials, ROOT, 0, n)


def test_group_sequential_slopes_keep_power_and_stop_early():
    n = 1000
    fixed = run(fixed_design(BASE), n).trials
    early = run(group_sequential_design(BASE, looks=(0.6,), futility={"z": 0.0}), n).trials
    # One look of O'Brien and Fleming's spending costs a per cent or two of power.
    assert abs(early["success"].mean() - fixed["success"].mean()) < 0.03
    assert early["duration_years"].mean() < fixed["duration_years"].mean() - 0.1
    assert (early["stopped_for"] == "efficacy").mean() > 0.2


@pytest.mark.parametrize("interim", ["slope", "all four"])
def test_stages_keep_the_arm_that_works(interim):
    n = 120
    trial = multi_arm_multi_stage_design(
        STAGES, interim_analysis=interim, at="followed", value=0.3, week=78, threshold=0.3
    )
    found = run(trial, n)
    kept = found.arms.set_index(["replicate", "arm"])["dropped_at"].unstack() == 0
    assert kept["works"].mean() > 0.9
    # Without effect, an arm is below the threshold in 30 % of the trials.
    assert abs(kept["does not work"].mean() - 0.3) < MC * mcse(0.3, n)
    looks = found.estimates.groupby(["look", "analysis"]).size().unstack()
    assert looks.loc[1, interim] == 2 * n
    # At the end the arms that were left, by their time to progression.
    ended = found.trials.query("stopped_for == 'end'")["replicate"]
    final = found.estimates.query("look == 2 and analysis == 'time'")
    assert final["replicate"].nunique() == len(ended)
    assert len(final) == kept.loc[ended, ["works", "does not work"]].to_numpy().sum()
    wins = found.arms.groupby("arm")["rejected"].mean()
    assert wins["works"] > 0.4
    assert wins["does not work"] < 0.05


def test_enrichment_finds_those_in_whom_it_works():
    n = 1000
    arms = (TrialArm(name="placebo"), TrialArm(name="treated", effects={"carriers": 0.9}))
    base = scenario(n=220, arms=arms, schedule=TrialSchedule(weeks=(0, 4, 8)))
    trial = enrichment_design(
        base, subgroup={"marker": (1, 1)}, value=60, n_planned=120, threshold=0.05,
        threshold_subgroup=0.3,
    )  # fmt: skip
    found = run_block(trial, generate, ROOT, 0, n)
    rows = found.estimates
    final = rows[rows["look"] == 2]
    only = set(final.loc[final["analysis"] == "change_carriers", "replicate"]) - set(
        final.loc[final["analysis"] == "change", "replicate"]
    )
    assert 0.3 * n < len(only) < n
    # All subjects who were recruited after the choice carry the marker: more than half of all do.
    chosen = final[final["replicate"].isin(only) & (final["analysis"] == "change_carriers")]
    size = (chosen["n_reference"] + chosen["n_treated"]).mean()
    assert size > 0.6 * 120
    never = dataclasses.replace(
        trial.interims[0], options={**trial.interims[0].options, "threshold": 0.999}
    )
    everybody = run_block(dataclasses.replace(trial, interims=(never,)), generate, ROOT, 0, n)
    assert found.trials["success"].mean() > everybody.trials["success"].mean()


def test_factors_are_compared_by_all_who_get_them():
    effects = {"a": {"y": 0.5}, "b": {"image": 0.0}}
    trial = factorial_design(scenario(n=120), factors=effects, interaction=True)
    rows = run_block(trial, generate, ROOT, 0, 2000).estimates
    means = (
        rows.query("analysis == 'change'").groupby("comparison")["estimate"].agg(["mean", "std"])
    )
    error = MC * means["std"] / np.sqrt(2000)
    assert abs(means.loc["a", "mean"] - 0.5) < error["a"]
    assert abs(means.loc["b", "mean"]) < error["b"]
    assert abs(means.loc["a:b", "mean"]) < error["a:b"]
    with pytest.raises(DesignError, match="say in `both`"):
        factorial_design(scenario(), factors={"a": {"y": 0.1}, "b": {"y": 0.2}})
    with pytest.raises(DesignError, match="compares factors"):
        multi_arm_multi_stage_design(trial, interim_analysis="change", value=0.5, keep=1)


def test_delayed_start_sees_a_lead_that_stays():
    longer = dataclasses.replace(BASE, schedule=TrialSchedule(weeks=(0, 26, 52, 78, 104, 130, 156)))
    trial = delayed_start_design(
        longer, switch_week=78, margin=0.3,
        end_analysis=TrialAnalysis(name="end", endpoint="brain", method="change"),
    )  # fmt: skip
    assert trial.arms[0].effects["slowing"] == 0.4
    rows = run(trial, 1000).estimates
    means = rows.groupby("analysis")["estimate"].agg(["mean", "std"])
    error = MC * means["std"] / np.sqrt(1000)
    # 0.24 per year slower until week 78, the same from then on: a lead of 0.24 x 1.5 years.
    assert abs(means.loc["before_switch", "mean"] - 0.24) < error["before_switch"]
    assert abs(means.loc["after_switch", "mean"]) < error["after_switch"]
    assert abs(means.loc["at_end", "mean"] - 0.24 * 546 / 365.25) < error["at_end"]
    claimed = rows.set_index(["replicate", "analysis"])["rejected"].unstack()
    assert not (claimed["after_switch"] & ~claimed["at_end"]).any()
    assert not (claimed["at_end"] & ~claimed["before_switch"]).any()
    assert claimed["after_switch"].mean() > 0.3
    with pytest.raises(DesignError, match="`switch_week`"):
        delayed_start_design(BASE, switch_week=104, margin=0.1, end_analysis=SLOPE)


def test_early_loss_biases_the_whole_window_and_not_the_later_one():
    arm = TrialArm(
        name="treated",
        effects={"slowing": 0.4, "pseudo_atrophy": 0.5, "pseudo_atrophy_years": 0.1},
    )
    trial = later_window_design(dataclasses.replace(BASE, arms=(BASE.arms[0], arm)), from_week=26)
    rows = run(trial, 1000).estimates.groupby("analysis")["estimate"].agg(["mean", "std"])
    error = rows["std"] / np.sqrt(1000)
    truth = 0.24
    assert rows.loc["slope", "mean"] < truth - 10 * error["slope"]
    # 0.7 % of the early loss is still to come at week 26.
    rest = 0.5 * np.exp(-0.5 / 0.1)
    assert abs(rows.loc["slope_from_week_26", "mean"] - truth) < MC * error.iloc[1] + 2 * rest
    with pytest.raises(DesignError, match="two visits"):
        later_window_design(BASE, from_week=104)


def test_promising_zone_buys_power_with_subjects():
    small = scenario(effect=0.45, n=240)
    trial = sample_size_re_estimation_design(small, n_planned=120)
    found = run_block(trial, generate, ROOT, 0, 4000).trials
    exact = ndtr(0.45 * np.sqrt(30) - 1.96)  # with 120 subjects
    assert found["success"].mean() > exact + MC * mcse(exact, 4000)
    assert 120 < found["n_enrolled"].mean() < 180
    with pytest.raises(DesignError, match="threshold"):
        multi_arm_multi_stage_design(STAGES, interim_analysis="slope", value=0.5)


def test_simulated_delayed_start_has_power_at_its_margin_and_no_error_there():
    """Equal slopes after the switch are what the margin allows: to claim so is right."""
    longer = dataclasses.replace(BASE, schedule=TrialSchedule(weeks=(0, 26, 52, 78, 104, 130, 156)))
    trial = delayed_start_design(
        longer, switch_week=78, margin=0.3,
        end_analysis=TrialAnalysis(name="end", endpoint="brain", method="change"),
    )  # fmt: skip
    result = simulate_trials(trial, generate_trials, 400, seed=3, truth=20_000)
    power, error = result.value("power")
    assert power > 0.1 + MC * error
    assert "type1_error" not in set(result.table()["quantity"])
    true, _ = result.value("truth", analysis="before_switch")
    assert abs(true - 0.24) < 0.02
