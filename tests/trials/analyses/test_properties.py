"""What holds for every analysis of replicates: signs, order, neighbours, errors under the null."""

from __future__ import annotations

import dataclasses
from functools import cache

import numpy as np
import pytest
from trial_cases import analysis_of, cut, event_trials, permuted, scenario_of, slope_trials

from pmsstats.cohort.trial_arrays import TrialArrays
from pmsstats.trials.analyses import analyse
from pmsstats.trials.outcomes import AnalysisBatch
from pmsstats.trials.scenario import TrialAnalysis, TrialArm, TrialEndpoint

ENDPOINTS = (
    TrialEndpoint(name="volume", measure="volume"),
    TrialEndpoint(name="walk", measure="walk", better="lower"),
    TrialEndpoint(name="t2", measure="t2", better="lower"),
    TrialEndpoint(name="latent", measure="edss"),
    TrialEndpoint(name="cdp", measure="edss", rule="cdp12", better="lower"),
)
BOTH = ("volume", "walk")
ANALYSES = {
    "slope": analysis_of("random_slope"),
    "slope_later": analysis_of("random_slope", from_week=24),
    "change": analysis_of("change"),
    "welch": analysis_of("change", options={"variance": "unequal"}),
    "ancova": analysis_of("ancova", covariates=("age_years",)),
    "mmrm": analysis_of("mmrm"),
    "counts": analysis_of("counts", endpoint="t2"),
    "multivariate": analysis_of("multivariate", endpoints=BOTH),
    "log_rank": analysis_of("log_rank", endpoint="latent"),
    "derived": analysis_of("log_rank", endpoint="cdp"),
    "cox": analysis_of("cox", endpoint="latent"),
    "proportion": analysis_of("proportion", endpoint="latent"),
    "odds": analysis_of("proportion", endpoint="latent", options={"effect": "log_odds_ratio"}),
}
SLOW = {"imputation": analysis_of("imputation", options={"n_groups": 5})}
ROUNDING = 1e-7  # subjects are added in another order
FLAT = 2e-3  # EM stops a step of 1e-7 before a maximum that it climbs slowly
CLIMBED = {"slope": 1e-4, "slope_later": 1e-6, "mmrm": 1e-4, "multivariate": FLAT}
"""How near two climbs to the same maximum come, by analysis; else 1e-6."""


@cache
def trials(R: int, seed: int, sizes: tuple[int, ...] = (30, 25)) -> TrialArrays:
    """Slopes, counts and events of the same subjects, without any effect."""
    slopes = slope_trials(
        seed, R, sizes, slopes=(-1.0,) * len(sizes), measures=("volume", "walk"),
        weeks=(0, 24, 48, 72, 96),
    )  # fmt: skip
    rng = np.random.default_rng(seed + 1)
    shape = slopes.arm.shape
    t2 = rng.poisson(0.6 * rng.gamma(1.5, 1 / 1.5, shape)[..., None] * np.ones(5)).astype(float)
    t2[np.isnan(slopes.values["volume"])] = np.nan
    day = 365.25 * rng.exponential(size=shape) / 0.4
    edss = np.where(np.array(slopes.weeks) * 7 >= day[..., None], 5.0, 4.0)
    edss[np.isnan(slopes.values["volume"])] = np.nan
    return slopes.replace(
        values={**slopes.values, "t2": t2, "edss": edss},
        baseline={**slopes.baseline, "event_day": day},
    )


def run(analysis: TrialAnalysis, data: TrialArrays, arms: tuple[str, ...] = ()) -> AnalysisBatch:
    """All arms against the first."""
    own = tuple(TrialArm(name=name) for name in data.arms)
    scenario = scenario_of(analysis, arms=own, endpoints=ENDPOINTS, n=data.n_subjects)
    return analyse(scenario, analysis, data, arms=arms or data.arms[1:])


@pytest.mark.parametrize("name", ANALYSES)
def test_swapping_arms_flips_the_sign(name):
    data = trials(12, 1)
    swapped = data.replace(arms=("active", "placebo"), arm=1 - data.arm)
    swapped_back = swapped.replace(arms=("placebo", "active"))
    one, other = run(ANALYSES[name], data), run(ANALYSES[name], swapped_back)
    tolerance = CLIMBED.get(name, 1e-6)
    np.testing.assert_allclose(one.estimate, -other.estimate, rtol=tolerance, atol=1e-6)
    np.testing.assert_allclose(one.z, -other.z, rtol=tolerance, atol=1e-5)
    np.testing.assert_array_equal(one.n_reference, other.n_treated)


@pytest.mark.parametrize("name", ANALYSES)
def test_the_order_of_subjects_does_not_matter(name):
    data = trials(12, 1)
    one, other = run(ANALYSES[name], data), run(ANALYSES[name], permuted(data, 5))
    tolerance = {"multivariate": FLAT}.get(name, ROUNDING)
    np.testing.assert_allclose(one.estimate, other.estimate, rtol=tolerance, atol=1e-9)
    np.testing.assert_allclose(one.std_error, other.std_error, rtol=tolerance)


@pytest.mark.parametrize("name", [*ANALYSES, *SLOW])
def test_replicates_do_not_depend_on_their_neighbours(name):
    analysis = {**ANALYSES, **SLOW}[name]
    data = trials(12, 1)
    data = data.replace(arm=np.where(np.arange(55) < 40 + np.arange(12)[:, None], data.arm, -1))
    whole = run(analysis, data)
    for rows in (slice(0, 5), slice(5, 6), slice(6, 12)):
        part = run(analysis, cut(data, rows))
        for field in ("estimate", "std_error", "df", "z", "information"):
            np.testing.assert_array_equal(getattr(whole, field)[rows], getattr(part, field))


def test_one_allocation_for_all_is_the_same_as_a_copy_of_it():
    data = trials(6, 3, (30, 30))
    row = np.repeat([0, 1], 30)
    spread = data.replace(arm=np.broadcast_to(row, (6, 60)))
    copied = data.replace(arm=np.tile(row, (6, 1)))
    for name in ("slope", "mmrm", "change"):
        one, other = run(ANALYSES[name], spread), run(ANALYSES[name], copied)
        np.testing.assert_array_equal(one.estimate, other.estimate)
        np.testing.assert_array_equal(one.df, other.df)


@pytest.mark.parametrize("name", ANALYSES)
def test_threads_change_nothing(name):
    data = trials(6, 2)
    analysis = ANALYSES[name]
    own = tuple(TrialArm(name=arm) for arm in data.arms)
    scenario = scenario_of(analysis, arms=own, endpoints=ENDPOINTS)
    one, two = (analyse(scenario, analysis, data, arms=("active",), n_jobs=n) for n in (1, 2))
    np.testing.assert_array_equal(one.estimate, two.estimate)


@pytest.mark.parametrize("name", ANALYSES)
def test_the_unit_of_time_and_measure_does_not_change_tests(name):
    data = trials(8, 4)
    scaled = {k: v * 1000.0 for k, v in data.values.items() if k in {"volume", "walk"}}
    one = run(ANALYSES[name], data)
    other = run(ANALYSES[name], data.replace(values={**data.values, **scaled}))
    tolerance = {"multivariate": FLAT}.get(name, 1e-4)
    np.testing.assert_allclose(one.z, other.z, rtol=tolerance, atol=1e-6)


@pytest.mark.parametrize("name", ANALYSES)
def test_errors_under_the_null_are_as_wanted(name):
    data = trials(1500, 6, (60, 60))
    batch = run(ANALYSES[name], data)
    assert (batch.reason == "").all()
    z = batch.z[:, 0]
    error = 4 * np.sqrt(0.05 * 0.95 / len(z))
    assert abs(np.mean(np.abs(z) > 1.959964) - 0.05) < error
    assert abs(z.mean()) < 4 / np.sqrt(len(z))


EFFECTS = {"slope": 0.4, "change": 0.4 * 672 / 365.25, "ancova": 0.4 * 672 / 365.25,
           "mmrm": 0.4 * 672 / 365.25}  # fmt: skip


@pytest.mark.parametrize("name", EFFECTS)
def test_estimates_are_unbiased_and_intervals_cover(name):
    data = slope_trials(21, 800, (60, 60), slopes=(-1.0, -0.6))
    batch = run(ANALYSES[name], data)
    estimate, error = batch.estimate[:, 0], batch.std_error[:, 0]
    truth = EFFECTS[name]
    assert abs(estimate.mean() - truth) < 4 * estimate.std() / np.sqrt(len(estimate))
    covered = np.abs(estimate - truth) < 1.98 * error
    assert abs(covered.mean() - 0.95) < 4 * np.sqrt(0.95 * 0.05 / len(estimate))
    np.testing.assert_allclose(batch.information, 1 / batch.std_error**2)


def test_hazard_ratios_are_recovered():
    data = event_trials(22, 800, (100, 100), rates=(0.5, 0.3))
    one_step = 0.02  # the estimate of a log-rank test is biased towards 0 far from it
    for method, bias in (("log_rank", one_step), ("cox", 0.0)):
        analysis = dataclasses.replace(ANALYSES["cox"], method=method)
        batch = run(analysis, data)
        estimate = batch.estimate[:, 0]
        small_sample = 0.01
        distance = abs(estimate.mean() - np.log(0.6))
        assert distance < 4 * estimate.std() / np.sqrt(800) + bias + small_sample
        assert batch.truth_sign == -1
        assert batch.z.mean() > 1


def test_information_of_a_log_rank_test_is_a_quarter_of_the_events():
    batch = run(ANALYSES["log_rank"], trials(200, 7, (60, 60)))
    ratio = batch.information / (batch.n_events / 4)
    assert abs(ratio.mean() - 1) < 0.03


def test_an_arm_without_patients_fails_alone():
    data = trials(6, 8, (20, 20, 20))
    arm = np.where((data.arm == 2) & (np.arange(6) < 3)[:, None], -1, data.arm)
    for name in ("slope", "change", "mmrm", "log_rank", "cox", "counts", "proportion"):
        batch = run(ANALYSES[name], data.replace(arm=arm))
        assert (batch.reason[:, 0] == "").all(), name
        assert (batch.reason[:3, 1] != "").all(), name
        assert np.isnan(batch.estimate[:3, 1]).all(), name
        assert (batch.reason[3:, 1] == "").all(), name
        two = run(ANALYSES[name], cut(data.replace(arm=arm), slice(0, 3)), ("active",))
        np.testing.assert_allclose(batch.estimate[:3, 0], two.estimate[:, 0], rtol=1e-6)


@pytest.mark.parametrize("name", [*ANALYSES, *SLOW])
def test_nobody_at_all_is_a_reason(name):
    data = trials(4, 9)
    empty = data.replace(arm=np.where(np.arange(4)[:, None] == 2, -1, data.arm))
    batch = run({**ANALYSES, **SLOW}[name], empty)
    assert batch.reason[2, 0] != ""
    assert np.isnan(batch.z[2, 0])
    assert (batch.reason[[0, 1, 3], 0] == "").all()


def test_a_trial_that_has_hardly_begun_is_a_reason():
    data = trials(4, 9)
    values = {k: np.where(np.arange(5) > 0, np.nan, v) for k, v in data.values.items()}
    young = data.replace(values=values, exit_day=np.zeros(data.arm.shape))
    for name, analysis in {**ANALYSES, **SLOW}.items():
        batch = run(analysis, young)
        assert (batch.reason != "").all(), name
