"""Type I error of every design without effect: 2.5 % within Monte Carlo error.

Designs that spend less than they may must still spend half of it.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hand_made_trials import generate, mcse, scenario

from pmsstats.seeds import REPLICATES_PER_CELL, replicate_cells
from pmsstats.trials.course import run_block
from pmsstats.trials.designs import (
    delayed_start_design,
    enrichment_design,
    factorial_design,
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
    TrialEndpoint,
    TrialPopulation,
    TrialSchedule,
)

MC = 4
ALPHA = 0.025
N = 10_000
ARMS = tuple(TrialArm(name=name) for name in ("placebo", "first", "second", "third"))
SLOPES = {"slope_sd": 1.0, "residual_sd": 0.3}
TIMES = (TrialAnalysis(name="time", endpoint="event", method="log_rank"),)


def several(multiplicity):
    """Return a trial of three treated arms."""
    rule = DecisionRule(analysis="change", multiplicity=multiplicity)
    return scenario(n=160, arms=ARMS, decision=rule)


def slopes(n=80, **changes):
    """Return a trial of slopes with errors of measurement and random entries."""
    return scenario(
        n=n,
        population=TrialPopulation(model="hand_made", settings={"noise": 0.3, **SLOPES}),
        accrual=Accrual(n_subjects=n, years=2.0, pattern="poisson"),
        analyses=(TrialAnalysis(name="change", endpoint="y", method="random_slope"),),
        **changes,
    )


def events():
    """Return a trial that ends after 60 events, with a look at 30."""
    look = Interim(name="half", at="events", value=30, analysis="time", rule="group_sequential")
    rule = DecisionRule(
        analysis="time", boundary="ld_obrien_fleming", final="events", final_value=60
    )
    return scenario(n=200, analyses=TIMES, decision=rule, interims=(look,))


def selected_by_image():
    """Return stages of the kind of OCTOPUS: an image chooses arms, time to an event decides."""
    base = dataclasses.replace(
        several("dunnett"),
        analyses=(*TIMES, TrialAnalysis(name="image", endpoint="image", method="change")),
        decision=DecisionRule(analysis="time", multiplicity="dunnett"),
    )
    return multi_arm_multi_stage_design(
        base, interim_analysis="image", at="followed", value=0.4, threshold=0.35
    )


def late_arm():
    """Return a platform whose last arm opens after a year."""
    arms = (*ARMS[:2], TrialArm(name="late", opens_year=1.0))
    rule = DecisionRule(analysis="change", multiplicity="bonferroni")
    return scenario(n=120, arms=arms, decision=rule)


def marked():
    """Return a trial that may go on in carriers."""
    base = scenario(n=160, schedule=TrialSchedule(weeks=(0, 4, 8)))
    return enrichment_design(base, subgroup={"marker": (1, 1)}, value=50, n_planned=100)


EVENTS_PER_YEAR, DISPERSION = 2.0, 1.0


def generate_counts(scenario, root, *, first, last, arm):
    """Make trials of events at two visits in a year, gamma-Poisson and the same in all arms."""
    data = generate(scenario, root, first=first, last=last, arm=arm)
    counts = np.zeros((*arm.shape, 3))
    shape = (REPLICATES_PER_CELL, arm.shape[1])
    for rng, kept, place in replicate_cells(root, first, last, "counts"):
        own = rng.gamma(1 / DISPERSION, DISPERSION, shape)[..., None]
        counts[place, :, 1:] = rng.poisson(EVENTS_PER_YEAR / 2 * own * np.ones(2))[kept]
    return data.replace(values={"t2": counts})


def counts(n):
    """Return a trial of counts of lesions over a year."""
    return scenario(
        n=n,
        endpoints=(TrialEndpoint(name="t2", measure="t2", better="lower"),),
        analyses=(TrialAnalysis(name="lesions", endpoint="t2", method="counts"),),
        decision=DecisionRule(analysis="lesions"),
    )


SEQUENTIAL = {"looks": (1 / 3, 2 / 3)}
DESIGNS = {
    "fixed, t test": (lambda: scenario(n=60), N),
    "fixed, random slope": (slopes, 4000),
    "fixed, negative-binomial counts": (lambda: counts(300), N),
    "sequential, O'Brien-Fleming": (
        lambda: group_sequential_design(scenario(), boundary="obrien_fleming", **SEQUENTIAL), N,
    ),
    "sequential, Pocock": (
        lambda: group_sequential_design(scenario(), boundary="pocock", **SEQUENTIAL), N,
    ),
    "sequential, Wang-Tsiatis 0.25": (
        lambda: group_sequential_design(
            scenario(), boundary="wang_tsiatis", boundary_parameter=0.25, **SEQUENTIAL
        ), N,
    ),
    "sequential, Kim-DeMets 2": (
        lambda: group_sequential_design(
            scenario(), boundary="kim_demets", boundary_parameter=2.0, **SEQUENTIAL
        ), N,
    ),
    "sequential, Hwang-Shih-De Cani -4": (
        lambda: group_sequential_design(
            scenario(), boundary="hwang_shih_decani", boundary_parameter=-4.0, **SEQUENTIAL
        ), N,
    ),
    "sequential slopes, spending at the information reached": (
        lambda: group_sequential_design(
            slopes(n=120), looks=(0.4, 0.7), at="followed", boundary="ld_pocock", options=SLOPES
        ), 4000,
    ),
    "sequential, events": (events, 4000),
    "re-estimation, promising zone, stages combined": (
        lambda: sample_size_re_estimation_design(scenario(n=200), n_planned=100), N,
    ),
    "re-estimation, blinded": (
        lambda: sample_size_re_estimation_design(
            scenario(n=200), n_planned=100, blinded=True, effect=0.56
        ), N,
    ),
    "multi-arm, Dunnett": (lambda: several("dunnett"), N),
    "multi-arm, Holm": (lambda: several("holm"), N),
    "multi-arm multi-stage, image selects": (selected_by_image, 4000),
    "platform with a late arm": (late_arm, N),
    "enrichment": (marked, N),
}  # fmt: skip
GENERATORS = {"fixed, negative-binomial counts": generate_counts}
CONSERVATIVE = {
    # Bonferroni, the closed test and the selection spend less than they may.
    "platform with a late arm", "enrichment", "multi-arm multi-stage, image selects",
    "multi-arm, Holm",
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", DESIGNS)
def test_type1_error(name, record_property, capsys):
    make, n = DESIGNS[name]
    generator = GENERATORS.get(name, generate)
    found = run_block(make(), generator, np.random.SeedSequence(20261123), 0, n).trials
    share = float(found["success"].mean())
    record_property("type1_error", share)
    with capsys.disabled():
        print(f"\n{name:58s} {100 * share:5.2f} % (Monte Carlo error {100 * mcse(ALPHA, n):.2f} %)")  # noqa: T201
    assert not found["failed"].any()
    assert share <= ALPHA + MC * mcse(ALPHA, n)
    lowest = {True: ALPHA / 2, False: ALPHA - MC * mcse(ALPHA, n)}
    assert share >= lowest[name in CONSERVATIVE]


def test_wald_test_of_counts_is_liberal_in_small_trials():
    """With 15 subjects in each arm, at a nominal 2.5 %: more than chance, and how much at most."""
    found = run_block(counts(30), generate_counts, np.random.SeedSequence(20261123), 0, N).trials
    assert not found["failed"].any()
    share = found["success"].mean()
    assert ALPHA + MC * mcse(ALPHA, N) < share < 0.046  # 3.6 %; 0.046 is 5 Monte Carlo errors above


@pytest.mark.slow
def test_pooled_stages_after_a_look_do_not_hold_the_error_rate():
    # What the combination is for: more subjects exactly where the interim result is poor (a
    # conditional power below a half), tested as if nothing had happened.
    options = {"n_planned": 100, "lowest": 0.0, "conditional_power": 0.5}
    claimed = {}
    for combined in (True, False):
        trial = sample_size_re_estimation_design(scenario(n=500), combination=combined, **options)
        found = run_block(trial, generate, np.random.SeedSequence(3), 0, N).trials
        claimed[combined] = found["success"].to_numpy(dtype=float)
    assert abs(claimed[True].mean() - ALPHA) < MC * mcse(ALPHA, N)
    more = claimed[False] - claimed[True]
    assert more.mean() > MC * more.std() / np.sqrt(N)


@pytest.mark.slow
def test_factors_and_a_delayed_start_without_effect():
    base = scenario(n=80)
    crossed = factorial_design(base, factors={"a": {}, "b": {}})
    rows = run_block(crossed, generate, np.random.SeedSequence(5), 0, N).estimates
    shares = rows.query("analysis == 'change'").groupby("comparison")["rejected"].mean()
    assert sorted(shares.index) == ["a", "b"]
    assert np.all(np.abs(shares - ALPHA) < MC * mcse(ALPHA, N))
    weeks = dataclasses.replace(base.schedule, weeks=(0, 26, 52, 78, 104))
    delayed = delayed_start_design(
        dataclasses.replace(slopes(n=80), schedule=weeks),
        switch_week=52, margin=0.3,
        end_analysis=TrialAnalysis(name="end", endpoint="y", method="change"),
    )  # fmt: skip
    rows = run_block(delayed, generate, np.random.SeedSequence(6), 0, 2000).estimates
    shares = rows.groupby("analysis")["rejected"].mean()
    assert abs(shares["before_switch"] - ALPHA) < MC * mcse(ALPHA, 2000)
    assert shares["after_switch"] <= shares["at_end"] <= shares["before_switch"]
