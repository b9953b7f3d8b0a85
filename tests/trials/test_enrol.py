"""Recruitment and randomisation: times, ratios, arms that open late or are given up."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hand_made_trials import scenario
from hypothesis import given
from hypothesis import strategies as st

from pmsstats.errors import DesignError
from pmsstats.trials.enrol import allocation_block, enrol, expected_entries, planned_places
from pmsstats.trials.scenario import Accrual, DecisionRule, Interim, TrialArm

MC = 4
LOOK = Interim(name="look", at="followed", value=0.5, analysis="change", rule="group_sequential")
THREE = tuple(TrialArm(name=name) for name in ("placebo", "first", "second"))


def trial(pattern="uniform", n=60, **changes):
    """Return a trial whose order of entry matters."""
    ramp = {"ramp_years": 1.0} if pattern == "ramp" else {}
    accrual = Accrual(n_subjects=n, years=2.0, pattern=pattern, **ramp)
    accrual = dataclasses.replace(accrual, allocation=changes.pop("allocation", "blocks"))
    return dataclasses.replace(scenario(interims=(LOOK,)), accrual=accrual, **changes)


def test_uniform_entries_are_evenly_spaced():
    entry = enrol(trial(), 1, 0, 3).entry_year
    assert np.allclose(np.diff(entry, axis=1), 2 / 60)
    assert np.allclose(entry[:, 0], 1 / 60)


def test_poisson_entries_have_exponential_gaps():
    entry = enrol(trial("poisson"), 1, 0, 2000).entry_year
    gaps = np.diff(entry, axis=1).ravel() * 30
    assert (gaps >= 0).all()
    assert abs(gaps.mean() - 1) < MC / np.sqrt(gaps.size)
    # The variance of an exponential's square about its mean is 8.
    assert abs(gaps.var() - 1) < MC * np.sqrt(8 / gaps.size)


def test_ramp_rises_linearly():
    entry = expected_entries(trial("ramp", n=600))
    # Half a year's worth of recruits (a third of them) in the first year, at a rising rate.
    assert np.sum(entry < 1.0) == 200
    assert np.sum(entry < 0.5) == 50
    assert np.isclose(np.diff(entry)[400], 1.5 / 600)


def test_no_accrual_time_enters_all_at_once():
    at_once = dataclasses.replace(trial("poisson"), accrual=Accrual(n_subjects=60))
    assert (enrol(at_once, 1, 0, 2).entry_year == 0).all()


@given(
    st.lists(st.sampled_from([0.5, 1.0, 2.0, 3.0]), min_size=2, max_size=4),
    st.integers(10, 80),
    st.integers(0, 100),
)
def test_blocks_keep_the_ratio(ratios, n, seed):
    arms = tuple(TrialArm(name=f"arm {k}", ratio=r) for k, r in enumerate(ratios))
    # The smallest arm must be expected to have somebody.
    n = max(n, int(np.ceil(sum(ratios) / min(ratios))))
    arm = enrol(trial(n=n, arms=arms), seed, 0, 5).arm
    block = allocation_block(ratios)
    assert np.allclose(np.bincount(block) / len(block), np.array(ratios) / sum(ratios))
    for start in range(0, n - len(block) + 1, len(block)):
        part = np.sort(arm[:, start : start + len(block)], axis=1)
        assert (part == np.sort(block)).all()


def test_permutations_of_a_block_are_equally_likely():
    arm = enrol(trial(), 1, 0, 4000).arm[:, :4]
    _, counts = np.unique(arm @ [8, 4, 2, 1], return_counts=True)
    assert len(counts) == 6
    assert np.all(np.abs(counts / 4000 - 1 / 6) < MC * np.sqrt(5 / 36 / 4000))


def test_simple_allocation_varies():
    arm = enrol(trial(allocation="simple", n=100), 1, 0, 2000).arm
    treated = arm.sum(axis=1)
    assert abs(treated.mean() - 50) < MC * 5 / np.sqrt(2000)
    assert abs(treated.std() - 5) < MC * 5 / np.sqrt(2 * 2000)


def test_a_fixed_trial_has_one_row_of_arms():
    found = enrol(scenario(n=40), 1, 0, 1000)
    assert found.arm.strides[0] == 0
    assert found.arm[0].sum() == 20


def test_late_arm_recruits_from_its_opening():
    arms = (*THREE[:2], TrialArm(name="second", opens_year=1.0, closes_year=1.5))
    found = enrol(trial("poisson", arms=arms), 1, 0, 200)
    late = found.entry_year[found.arm == 2]
    assert late.min() >= 1.0
    assert late.max() < 1.5
    inside = (found.entry_year >= 1.0) & (found.entry_year < 1.5)
    share = np.mean(found.arm[inside] == 2)
    assert abs(share - 1 / 3) < 0.02


def test_nobody_is_randomised_to_the_reference_alone():
    arms = (THREE[0], TrialArm(name="first", closes_year=1.0))
    found = enrol(trial(arms=arms), 1, 0, 2)
    assert ((found.arm == -1) == (found.entry_year >= 1.0)).all()


def test_dropping_an_arm_changes_later_recruits_only():
    plan = trial("poisson", arms=THREE)
    before = enrol(plan, 3, 0, 50)
    dropped = np.full((50, 3), np.inf)
    dropped[:, 2] = np.linspace(0.2, 1.8, 50)
    after = enrol(plan, 3, 0, 50, entry_year=before.entry_year, dropped_year=dropped)
    early = before.entry_year <= dropped[:, 2:]
    assert (before.arm[early] == after.arm[early]).all()
    assert (after.arm[~early] != 2).all()
    again = dropped.copy()
    again[:, 1] = dropped[:, 2] + 0.1
    last = enrol(plan, 3, 0, 50, entry_year=before.entry_year, dropped_year=again)
    still = before.entry_year <= again[:, 1:2]
    assert (last.arm[still] == after.arm[still]).all()
    assert (last.arm[~still] == -1).all()


@pytest.mark.parametrize("pattern", ["uniform", "poisson", "ramp"])
@pytest.mark.parametrize("allocation", ["blocks", "simple"])
def test_replicates_do_not_depend_on_others(pattern, allocation):
    plan = trial(pattern, allocation=allocation, arms=THREE)
    whole = enrol(plan, 5, 0, 70)
    part = enrol(plan, 5, 13, 47)
    assert (whole.arm[13:47] == part.arm).all()
    assert (whole.entry_year[13:47] == part.entry_year).all()


def test_arms_without_patients_are_refused():
    arms = (TrialArm(name="placebo", ratio=12), TrialArm(name="treated", ratio=0.5))
    with pytest.raises(DesignError, match="'treated' has no patients"):
        enrol(trial(n=10, arms=arms), 1, 0, 1)
    late = (*THREE[:2], TrialArm(name="second", opens_year=1.99))
    with pytest.raises(DesignError, match="'second' has no patients"):
        enrol(trial(arms=late), 1, 0, 1)


def test_planned_numbers_must_agree_with_the_places():
    look = dataclasses.replace(LOOK, rule="sample_size", options={"n_planned": 40})
    assert planned_places(trial(interims=(look,))) == 40
    other = dataclasses.replace(look, name="other", options={"n_planned": 30})
    with pytest.raises(DesignError, match="must agree"):
        planned_places(trial(interims=(look, other)))
    assert planned_places(trial(decision=DecisionRule(analysis="change"))) == 60
