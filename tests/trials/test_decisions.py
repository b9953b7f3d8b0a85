"""Bounds, selections and combinations, each worked out once more from its definition."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hand_made_trials import mcse, scenario
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtr, ndtri
from scipy.stats import multivariate_normal

from pmsstats.errors import DesignError
from pmsstats.trials.designs import group_sequential_design
from pmsstats.trials.enrichment import intersection_z
from pmsstats.trials.final_bounds import dunnett_critical, final_bounds
from pmsstats.trials.records import confidence_limits
from pmsstats.trials.scenario import DecisionRule, TrialArm
from pmsstats.trials.selection import passing
from pmsstats.trials.sequential_rule import bounds_at, sequential_design
from pmsstats.trials.stages import increment_z

MC = 4
statistics = st.lists(st.floats(-5, 5), min_size=3, max_size=3)


@pytest.mark.parametrize("ratios", [(1.0, 1.0), (0.5, 2.0), (1.0, 1.0, 1.0)])
def test_dunnett_critical_value_has_its_error_rate(ratios):
    critical = dunnett_critical(0.025, ratios)
    b = np.sqrt(np.array(ratios) / (1 + np.array(ratios)))
    correlation = np.outer(b, b)
    np.fill_diagonal(correlation, 1.0)
    law = multivariate_normal(cov=correlation, seed=1, maxpts=10**6, abseps=1e-8, releps=1e-8)
    below = law.cdf(np.full(len(ratios), critical))
    assert abs(1 - below - 0.025) < 2e-6


def test_holm_by_hand():
    z = np.array([[2.3, 2.0, 0.5], [2.2, 2.1, 2.0], [np.nan, 2.5, 1.9], [2.5, 2.3, 1.97]])
    bounds = final_bounds(z, alpha=0.025, multiplicity="holm", ratios=(1.0,) * 3)
    # Bounds step by step: 2.394 (0.025 / 3), 2.241 (0.025 / 2), 1.960.
    claimed = z >= bounds
    assert claimed.tolist() == [
        [False, False, False],
        [False, False, False],
        [False, True, False],
        [True, True, True],
    ]


@given(statistics)
def test_holm_claims_what_bonferroni_claims_and_no_more_than_no_correction(z):
    z = np.array([z])
    claimed = {
        rule: z >= final_bounds(z, alpha=0.025, multiplicity=rule, ratios=(1.0,) * 3)
        for rule in ("bonferroni", "holm", "dunnett", "none")
    }
    for narrow, wide in (("bonferroni", "holm"), ("bonferroni", "dunnett"), ("holm", "none")):
        assert not (claimed[narrow] & ~claimed[wide]).any()


@given(statistics, st.integers(1, 3))
def test_selection_keeps_the_best(z, keep):
    z = np.array([z])
    good = passing(z, np.ones((1, 3), bool), bound=0.0, keep=keep)
    assert good.sum() == min(keep, (z >= 0).sum())
    assert z[~good].max(initial=-np.inf) <= z[good].min(initial=np.inf) or (z[~good] < 0).any()


def test_an_arm_that_could_not_be_analysed_goes_on_after_the_others():
    z, asked = np.array([[np.nan, 1.0, 0.2]]), np.array([[True, True, True]])
    assert passing(z, asked, bound=0.5, keep=None).tolist() == [[True, True, False]]
    assert passing(z, asked, bound=0.5, keep=1).tolist() == [[False, True, False]]


@given(st.floats(-4, 4), st.floats(-4, 4))
def test_simes_by_definition(a, b):
    p = np.sort([ndtr(-a), ndtr(-b)])
    expected = min(2 * p[0], p[1])
    assert np.isclose(ndtr(-intersection_z(np.array(a), np.array(b))), min(expected, 1 - 1e-16))


def test_increments_are_independent():
    rng = np.random.default_rng(1)
    n, share = 100_000, 0.4
    first, second = rng.standard_normal((2, n))
    z = np.sqrt(share) * first + np.sqrt(1 - share) * second
    assert np.allclose(increment_z(first, z, np.full(n, share)), second)


def test_bounds_at_the_looks_hold_the_error_rate():
    trial = group_sequential_design(scenario(), looks=(0.3, 0.6), boundary="ld_pocock")
    n = 200_000
    t = [np.full(3, 0.3), np.array([0.6, np.nan, 0.75]), np.ones(3)]
    bounds = [bounds_at(trial, t[: k + 1], 1, final=k == 2)[0] for k in range(3)]
    rng = np.random.default_rng(5)
    checked = 0
    for row in range(3):
        # Brownian motion at the fractions of the row; a look that did not take place has no bound.
        times = [0.3, t[1][row], 1.0]
        at = [k for k in range(3) if not np.isnan(times[k])]
        steps = np.sqrt(np.diff([0.0, *(times[k] for k in at)]))
        path = np.cumsum(rng.standard_normal((n, len(at))) * steps, axis=1)
        z = path / np.sqrt([times[k] for k in at])
        crossed = (z >= [bounds[k][row] for k in at]).any(axis=1).mean()
        assert abs(crossed - 0.025) < MC * mcse(0.025, n)
        checked += 1
    assert checked == 3
    assert np.isposinf(bounds[1][1])


def test_conditional_power_futility_without_a_boundary():
    trial = group_sequential_design(
        scenario(), looks=(0.5,), boundary="none",
        futility={"conditional_power": 0.2, "trend": "observed"},
    )  # fmt: skip
    upper, lower = bounds_at(trial, [np.array([0.5])], 1, final=False)
    assert np.isposinf(upper[0])
    # At the bound: mean of the final statistic given z is z / sqrt(0.5), SD sqrt(0.5).
    chance = ndtr((lower[0] / np.sqrt(0.5) - 1.959964) / np.sqrt(0.5))
    assert np.isclose(chance, 0.2, atol=1e-6)
    assert np.isclose(bounds_at(trial, [np.array([0.5])] * 2, 1, final=True)[0][0], -ndtri(0.025))


def test_bonferroni_shares_the_error_rate_between_arms():
    arms = tuple(TrialArm(name=name) for name in ("placebo", "first", "second"))
    base = scenario(arms=arms, decision=DecisionRule(analysis="change", multiplicity="bonferroni"))
    design = sequential_design(group_sequential_design(base, looks=(0.5,)), 2)
    assert design is not None
    assert design.alpha == 0.0125


FUTILITY = {
    "unknown": ({"zz": 0.0}, "has no 'zz'"),
    "two rules": ({"z": 0.0, "conditional_power": 0.1}, "one of"),
    "unknown family": ({"spending": "pocock"}, "must be one of"),
}


@pytest.mark.parametrize("case", FUTILITY)
def test_wrong_futility_rules_are_refused(case):
    rule, words = FUTILITY[case]
    with pytest.raises(DesignError, match=words):
        group_sequential_design(scenario(), looks=(0.5,), futility=rule)


def test_binding_futility_needs_a_boundary():
    base = scenario()
    with pytest.raises(DesignError, match="needs a `boundary`"):
        group_sequential_design(
            base, looks=(0.5,), boundary="none", futility={"z": 0.0, "binding": True}
        )
    assert dataclasses.replace(base) == base


def test_confidence_limits_of_few_and_infinite_df():
    low, high = confidence_limits(
        np.array([1.0, 1.0]), np.array([0.5, 0.5]), np.array([10.0, np.inf]), alpha=0.025
    )
    # t quantile of 10 df: 2.228139; normal: 1.959964.
    assert np.allclose(high - 1.0, [0.5 * 2.228139, 0.5 * 1.959964], atol=1e-6)
    assert np.allclose(low + high, 2.0)
