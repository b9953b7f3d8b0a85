"""The course of trials: stopping, selection, adaptation; against exact values and rpact."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hand_made_trials import generate, mcse, scenario
from reference_cases import load_case
from scipy.special import ndtri
from scipy.stats import nct, t

from pmsstats.errors import DesignError
from pmsstats.trials.blocks import check_outcome
from pmsstats.trials.course import run_block
from pmsstats.trials.designs import (
    enrichment_design,
    fixed_design,
    group_sequential_design,
    multi_arm_multi_stage_design,
    sample_size_re_estimation_design,
)
from pmsstats.trials.scenario import (
    Accrual,
    DecisionRule,
    Interim,
    TrialAnalysis,
    TrialArm,
    TrialSchedule,
)

MC = 4  # Monte Carlo errors
N = 4000
THREE = (
    TrialArm(name="placebo"),
    TrialArm(name="first", effects={"y": 0.3, "image": 0.3}),
    TrialArm(name="second", effects={"y": 0.6, "image": 0.6}),
)
SOON = TrialSchedule(weeks=(0, 4, 8))
ROOT = np.random.SeedSequence(7)


def run(trial, n=N, first=0):
    """Run replicates, and check that the frames are what a simulation takes."""
    return check_outcome(run_block(trial, generate, ROOT, first, first + n), first, first + n)


def cell(case, quantity):
    """Return inputs of a design of the reference case."""
    rows = case.input[case.input["design"] == quantity]
    return dict(zip(rows["quantity"], rows["value"], strict=True))


def close(found, expected, n=N, *, also=0.0):
    """Say whether a share lies within Monte Carlo errors of an expected one, simulated too."""
    return abs(found - expected) <= MC * (mcse(expected, n) + also)


def test_fixed_trial_has_the_power_of_the_noncentral_t():
    trial = scenario(effect=0.5, n=60)
    exact = nct.sf(t.ppf(0.975, 58), 58, 0.5 * np.sqrt(15))
    found = run(trial)
    assert close(found.trials["success"].mean(), exact)
    assert set(found.trials["stopped_for"]) == {"end"}
    assert (found.trials["n_enrolled"] == 60).all()


@pytest.mark.parametrize(
    ("kind", "boundary"),
    [("OF", "obrien_fleming"), ("asOF", "ld_obrien_fleming"), ("P", "pocock")],
)
@pytest.mark.parametrize("label", ["null", "effect"])
def test_group_sequential_stopping_agrees_with_rpact(kind, boundary, label):
    case = load_case("trials_rpact")
    given = cell(case, "group_sequential")
    effect = given["effect"] if label == "effect" else 0.0
    base = scenario(effect=effect, n=int(given["n_subjects"]))
    trial = group_sequential_design(
        base, looks=(1 / 3, 2 / 3), boundary=boundary, futility={"z": given["futility_z"]}
    )
    trials = run(trial).trials
    n_looks = 0
    for reason in ("efficacy", "futility"):
        wanted = case.rows(f"stop_{reason}").set_index("term")["value"]
        for look in (1, 2):
            share = np.mean((trials["stopped_for"] == reason) & (trials["n_looks"] == look))
            assert close(share, wanted[f"{kind}_{label}_{look}"]), (reason, look)
            n_looks += 1
    assert n_looks == 4
    wanted = case.rows("stop_efficacy").set_index("term")["value"]
    total = sum(wanted[f"{kind}_{label}_{k}"] for k in (1, 2, 3))
    assert close(trials["success"].mean(), total)
    # Forty subjects a look, as if nobody had entered in between.
    n = given["n_subjects"] / 3 * trials["n_looks"]
    expected = case.rows("expected_n").set_index("term").loc[f"{kind}_{label}", "value"]
    assert abs(n.mean() - expected) <= MC * n.std() / np.sqrt(N)


def test_expected_number_counts_those_who_had_entered():
    # Follow-up takes a year and recruitment two: at a third of the completers everybody who
    # entered in the year after them is in, too.
    trial = group_sequential_design(
        scenario(effect=0.0, n=120), looks=(1 / 3,), futility={"z": 0.0}
    )
    trials = run(trial, n=200).trials
    early = trials[trials["n_looks"] == 1]
    # The 40th entry is at 39.5 / 60 years; 52 weeks later 0.6583 + 0.9966 years are over.
    entered = int(np.floor((39.5 / 60 + 364 / 365.25) * 60 + 0.5 + 1e-9))
    assert len(early) > 50
    assert (early["n_enrolled"] == entered).all()
    assert np.allclose(early["duration_years"], 39.5 / 60 + 364 / 365.25)


def test_dunnett_agrees_with_rpact():
    case = load_case("trials_rpact")
    given = cell(case, "dunnett")
    wanted = case.rows("reject_at_least_one").set_index("term")["value"]
    for label, effect in (("null", 0.0), ("effect", given["effect"])):
        arms = (THREE[0], TrialArm(name="first"), TrialArm(name="second", effects={"y": effect}))
        trial = scenario(n=int(given["n_subjects"]), arms=arms)
        trial = dataclasses.replace(
            trial, decision=DecisionRule(analysis="change", multiplicity="dunnett")
        )
        found = run(trial).trials["success"].mean()
        # The t statistics make their normal quantiles exact; the joint law is close to normal.
        assert close(found, wanted[label], also=mcse(wanted[label], 20_000)), label


def test_selection_of_the_best_arm_agrees_with_rpact():
    case = load_case("trials_rpact")
    given = cell(case, "selection")
    arms = (
        THREE[0],
        TrialArm(name="first", effects={"y": given["effect_first"]}),
        TrialArm(name="second", effects={"y": given["effect_second"]}),
    )
    trial = multi_arm_multi_stage_design(
        scenario(n=int(given["n_subjects"]), arms=arms),
        interim_analysis="change", at="followed", value=0.5, keep=1,
    )  # fmt: skip
    found = run(trial)
    kept = found.arms.query("arm == 'second'")["dropped_at"] == 0
    wanted = case.rows("selected").set_index("term").loc["second", "value"]
    assert close(kept.mean(), wanted, also=mcse(wanted, 20_000))
    dropped = found.arms.query("arm != 'placebo'").groupby("replicate")["dropped_at"].sum()
    assert (dropped == 1).all()


def test_promising_zone_agrees_with_rpact():
    case = load_case("trials_rpact")
    given = cell(case, "promising")
    wanted = case.rows("promising_power").set_index("term")["value"]
    for label, effect in (("null", 0.0), ("effect", given["effect"])):
        base = scenario(effect=effect, n=int(given["n_max"]))
        trial = sample_size_re_estimation_design(
            base, n_planned=int(given["n_planned"]), lowest=0.0,
            conditional_power=given["target"],
        )  # fmt: skip
        found = run(trial).trials
        assert close(found["success"].mean(), wanted[label], also=mcse(wanted[label], 20_000))
        assert found["n_enrolled"].between(given["n_planned"], given["n_max"]).all()
        assert found["n_enrolled"].nunique() > 20


def test_recruits_after_a_selection_go_to_the_arms_left():
    trial = multi_arm_multi_stage_design(
        scenario(n=120, arms=THREE), interim_analysis="image", at="followed", value=0.25, keep=1
    )
    found = run(trial, n=200)
    counts = found.arms.pivot_table(index="replicate", columns="arm", values="n_enrolled")
    assert (counts.sum(axis=1) == 120).all()
    dropped = found.arms.set_index(["replicate", "arm"])["dropped_at"].unstack()
    lost = np.where(dropped["first"] > 0, counts["first"], counts["second"])
    kept = np.where(dropped["first"] > 0, counts["second"], counts["first"])
    # Look when 30 are followed: 29.5 / 60 + 364 / 365.25 years, when 89 of 120 are in.
    assert np.all(np.abs(lost - 89 / 3) <= 2)
    assert np.all(np.abs(kept - (89 / 3 + 31 / 2)) <= 3)
    closed = dataclasses.replace(
        trial.interims[0], options={**trial.interims[0].options, "places": "close"}
    )
    fewer = run(dataclasses.replace(trial, interims=(closed,)), n=200).trials["n_enrolled"]
    assert np.all(np.abs(fewer - (120 - 31 / 3)) <= 2)


def test_all_arms_below_the_threshold_end_the_trial():
    arms = (THREE[0], *(TrialArm(name=k, effects={"image": -3.0}) for k in ("first", "second")))
    trial = multi_arm_multi_stage_design(
        scenario(n=90, arms=arms), interim_analysis="image", value=0.5, threshold=0.5
    )
    found = run(trial, n=40)
    assert (found.trials["stopped_for"] == "futility").all()
    last = found.estimates.query("analysis == 'change'")
    assert (last.groupby("replicate").size() == 2).all()
    assert not last["rejected"].any()


def test_blocks_do_not_change_a_replicate():
    designs = {
        "poisson and late arm": dataclasses.replace(
            scenario(
                n=90, arms=(*THREE[:2], TrialArm(name="late", opens_year=0.7)),
            ),
            accrual=Accrual(n_subjects=90, years=2.0, pattern="poisson"),
        ),
        "selection": multi_arm_multi_stage_design(
            scenario(n=90, arms=THREE), interim_analysis="image", value=0.4, keep=1
        ),
        "sequential": group_sequential_design(scenario(effect=0.4), looks=(0.4, 0.7)),
        "re-estimation": sample_size_re_estimation_design(scenario(effect=0.4), n_planned=60),
        "enrichment": enrichment_design(
            scenario(effect=0.3, n=120, schedule=SOON), subgroup={"marker": (1, 1)}, value=40,
            n_planned=80,
        ),
    }  # fmt: skip
    for name, trial in designs.items():
        whole = run(trial, n=60)
        parts = [run(trial, n=13), run(trial, n=47, first=13)]
        for frame in ("estimates", "trials", "arms"):
            joined = np.concatenate([getattr(part, frame).to_numpy(dtype=object) for part in parts])
            assert _same(joined, getattr(whole, frame).to_numpy(dtype=object)), (name, frame)


def _same(a, b):
    """Compare cells, missing ones being alike."""
    return a.shape == b.shape and all(
        x == y or (x != x and y != y) for x, y in zip(a.ravel(), b.ravel(), strict=True)
    )


def test_swapping_arms_changes_the_sign():
    trial = scenario(effect=0.5, n=40)
    a = run(trial, n=50).estimates
    there = dataclasses.replace(trial, arms=trial.arms[::-1])

    def exchanged(scenario, root, *, first, last, arm):
        # The people of one arm, treated as they are, take the places of the other.
        data = generate(trial, root, first=first, last=last, arm=arm)
        places = [np.flatnonzero(arm[0] == k) for k in (0, 1)]
        order = np.empty(arm.shape[1], dtype=int)
        order[places[0]], order[places[1]] = places[1], places[0]
        return data.replace(
            arms=scenario.arm_names,
            values={name: value[:, order] for name, value in data.values.items()},
        )

    rows = check_outcome(run_block(there, exchanged, ROOT, 0, 50), 0, 50).estimates
    assert np.allclose(a["estimate"], -rows["estimate"])
    assert np.allclose(a["z"], -rows["z"])


def test_concurrent_controls_only_for_a_late_arm():
    arms = (THREE[0], THREE[1], TrialArm(name="late", opens_year=1.0))
    trial = scenario(n=120, arms=arms)
    rows = run(trial, n=30).estimates.query("analysis == 'change'").set_index("comparison")
    # In the second year 60 enter in three arms, in the first 60 in two.
    assert np.all(np.abs(rows.loc["late", "n_reference"] - 20) <= 2)
    assert np.all(np.abs(rows.loc["first", "n_reference"] - 50) <= 3)
    everyone = TrialAnalysis(
        name="change", endpoint="y", method="change", options={"controls": "all"}
    )
    rows = run(dataclasses.replace(trial, analyses=(everyone,)), n=30).estimates
    rows = rows.set_index("comparison")
    assert np.all(np.abs(rows.loc["late", "n_reference"] - 50) <= 3)


def test_events_end_the_trial_when_they_are_there():
    trial = dataclasses.replace(
        scenario(n=300, arms=(THREE[0], TrialArm(name="treated", effects={"hazard_ratio": 0.5}))),
        analyses=(TrialAnalysis(name="time", endpoint="event", method="log_rank"),),
        decision=DecisionRule(
            analysis="time", boundary="ld_obrien_fleming", final="events", final_value=50
        ),
        interims=(
            Interim(
                name="half", at="events", value=25, analysis="time", rule="group_sequential"
            ),
        ),
    )  # fmt: skip
    found = run(trial, n=300)
    rows = found.estimates
    assert (rows.loc[rows["look"] == 1, "n_events"] == 25).all()
    assert (rows.loc[rows["look"] == 2, "n_events"] == 50).all()
    assert np.allclose(rows.loc[rows["look"] == 1, "boundary"], 2.9626, atol=1e-4)
    assert found.trials["duration_years"].max() < 3.0


def test_margin_and_order_of_analyses():
    base = scenario(effect=0.0, n=60)
    analyses = (
        TrialAnalysis(name="change", endpoint="y", method="change", options={"margin": 0.05}),
        TrialAnalysis(name="image", endpoint="image", method="change", options={"after": "change"}),
    )
    rows = run(dataclasses.replace(base, analyses=analyses), n=500).estimates
    change = rows.query("analysis == 'change'").reset_index(drop=True)
    exact = ndtri(t.cdf((change["estimate"] + 0.05) / change["std_error"], change["df"]))
    assert np.allclose(change["z"], exact)
    image = rows.query("analysis == 'image'").reset_index(drop=True)
    assert not (image["rejected"] & ~change["rejected"]).any()
    assert (image["z"] >= 1.96).sum() > image["rejected"].sum()


def test_failed_analysis_is_written_down():
    trial = scenario(n=40)

    def nothing_in_the_first(scenario, root, *, first, last, arm):
        data = generate(scenario, root, first=first, last=last, arm=arm)
        values = {name: value.copy() for name, value in data.values.items()}
        values["y"][0] = np.nan
        return data.replace(values=values)

    found = run_block(trial, nothing_in_the_first, ROOT, 0, 5)
    assert found.trials["failed"].tolist() == [True] + [False] * 4
    assert found.trials.loc[0, "reason"] != ""
    assert not found.trials.loc[0, "success"]


BAD = {
    "unknown option": ({"options": {"tresh": 0.1}, "rule": "select_arms"}, "has no option 'tresh'"),
    "nothing to select by": ({"rule": "select_arms"}, "neither `threshold`"),
    "too many planned": (
        {"rule": "sample_size", "options": {"n_planned": 200}},
        "at most the 100 places",
    ),
    "blinded without effect": (
        {"rule": "sample_size", "options": {"n_planned": 80, "blinded": True}},
        "no number of subjects will do",
    ),
    "enrichment without analysis": ({"rule": "enrichment"}, "`subgroup_analysis`"),
    "events of a change": ({"at": "events", "value": 10}, "by the method 'change' counts none"),
    "look before anybody is seen": ({"at": "year", "value": 0.2}, "nobody has reached"),
}


@pytest.mark.parametrize("case", BAD)
def test_impossible_looks_are_refused(case):
    changes, words = BAD[case]
    fields = {
        "name": "look", "at": "followed", "value": 0.5, "analysis": "change",
        "rule": "group_sequential",
    }  # fmt: skip
    trial = scenario(effect=0.3, interims=(Interim(**fields | changes),))
    with pytest.raises(DesignError, match=words):
        run(trial, n=20)


def test_looks_out_of_order_and_wrong_corrections_are_refused():
    with pytest.raises(DesignError, match="rising information"):
        group_sequential_design(scenario(), looks=(0.6, 0.4))
    three = scenario(arms=THREE, decision=DecisionRule(analysis="change", multiplicity="holm"))
    with pytest.raises(DesignError, match="single final analysis"):
        group_sequential_design(three, looks=(0.5,))
    with pytest.raises(DesignError, match="two arms"):
        sample_size_re_estimation_design(scenario(arms=THREE), n_planned=60)
    factors = tuple(
        TrialArm(name=name, factors=given)
        for name, given in (("none", ()), ("a", ("a",)), ("b", ("b",)), ("ab", ("a", "b")))
    )
    crossed = TrialAnalysis(name="change", endpoint="y", method="change", options={"by": "factor"})
    by_arm = TrialAnalysis(name="image", endpoint="image", method="change")
    look = Interim(name="look", at="followed", value=0.5, analysis="image", rule="group_sequential")
    with pytest.raises(DesignError, match="same `by`"):
        run(scenario(arms=factors, analyses=(crossed, by_arm), interims=(look,)), n=1)
    circle = tuple(
        TrialAnalysis(name=a, endpoint="y", method="change", options={"after": b})
        for a, b in (("change", "other"), ("other", "change"))
    )
    with pytest.raises(DesignError, match="wait for one another"):
        fixed_design(scenario(analyses=circle))


def test_blinded_look_finds_the_number_that_the_variance_needs():
    # Planned for SD 1, but it is 1.3: 1.69 times as many subjects.
    base = scenario(effect=0.0, n=240)
    wider = dataclasses.replace(base.population, settings={"sd": 1.3})
    effect = (ndtri(0.975) + ndtri(0.8)) * np.sqrt(4 / 100)  # 100 subjects with SD 1
    trial = sample_size_re_estimation_design(
        dataclasses.replace(base, population=wider),
        n_planned=100, blinded=True, effect=float(effect),
    )  # fmt: skip
    n = run(trial, n=400).trials["n_enrolled"]
    # The variance of 50 subjects has a relative SD of sqrt(2 / 48).
    assert abs(n.mean() - 169) <= MC * 169 * np.sqrt(2 / 48) / np.sqrt(400) + 1
