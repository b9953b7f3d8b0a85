"""The generator of trials as others see it. Witness: the same request put another way."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from plain_trials import LINE, halves, scenario

from pmsstats.errors import DesignError
from pmsstats.trials.scenario import IntercurrentEvent, TrialDropout
from synthetic import PLAIN_MODELS, PRESETS, TrialGenerator, generate_trials

EVERYTHING = {
    "dropout": TrialDropout(
        share=0.2, mechanism="mar", log_hazard=0.7, missed_visit=0.05, missed_scan=0.1,
        death_rate=0.01,
    ),
    "intercurrent": (
        IntercurrentEvent(rate=0.1, seen_after=0.6),
        IntercurrentEvent(name="rescue", rates={"a1": 0.05}, effect_after="continues"),
    ),
}  # fmt: skip
OUTCOMES = [
    {"measure": "brain_ml", "intercept": 1400.0, "rate": -7.0, "intercept_sd": 100.0,
     "slope_sd": 5.0, "residual_sd": 4.0},
    {"measure": "walk", "rate": 0.2, "intercept_sd": 1.0, "slope_sd": 0.3, "residual_sd": 0.4},
]  # fmt: skip
TWO = {
    "outcomes": OUTCOMES, "slope_correlations": [[1, -0.4], [-0.4, 1]], "hazard": 0.2,
    "hazard_loadings": {"brain_ml": 0.3}, "marker_share": 0.4,
}  # fmt: skip
VISITS = {"mean": [0, 1, 2, 3, 4], "sd": 2, "correlation": 0.6}
CASES = [
    scenario(effects=({}, {"slowing": 0.3, "pseudo_atrophy": 1.0}), **EVERYTHING),
    scenario(effects=({}, {"slowing": 0.3}), window_days=7, **EVERYTHING),
    scenario(
        "correlated_outcomes", TWO, ({"slowing": 0.3, "onset_years": 1.0}, {"hazard_ratio": 0.7}),
        measures=("brain_ml", "walk", "progression"), imaging_weeks=(0, 52, 104), **EVERYTHING,
    ),
    scenario(
        "event_times", {"hazard": [0.2, 0.3], "breaks": [1.0]}, ({}, {"hazard_ratio": 0.6}),
        measures=("progression",), methods=("cox",), **EVERYTHING,
    ),
    scenario(
        "counts", {"rate": 2.0, "dispersion": 1.0}, ({}, {"rate_ratio": 0.6}),
        measures=("new_t2_count",), methods=("counts",), **EVERYTHING,
    ),
    scenario(
        "repeated", VISITS, ({}, {"difference": -1.0}), measures=("outcome",), methods=("mmrm",),
        **EVERYTHING,
    ),
    scenario(
        "ppms_trial", {"age": [30, 60], "sites": 3},
        ({}, {"atrophy_slowing": 0.3, "worsening_hazard_ratio": 0.6, "onset_years": 0.5,
              "pseudo_atrophy_pct": 1.0, "relapse_rate_ratio": 0.4, "lesion_rate_ratio": 0.2}),
        n=150, measures=("edss", "brain_ml", "pbvc_pct", "new_t2_count", "sdmt", "relapses"),
        imaging_weeks=(0, 52, 104), window_days=5, **EVERYTHING,
    ),
]  # fmt: skip
IDS = ["line", "windows", "outcomes", "events", "counts", "visits", "preset"]
cases = pytest.mark.parametrize("trial", CASES, ids=IDS)


def parts(drawn, first=0, last=None):
    """List the arrays of some replicates."""
    listed = {
        "arm": drawn.arm, "exit_day": drawn.exit_day, "reason": drawn.exit_reason,
        "stop_day": drawn.stop_day, "day": np.broadcast_to(drawn.day, (*drawn.arm.shape, 5)),
        **drawn.values, **drawn.baseline, **drawn.intercurrent,
    }  # fmt: skip
    return {name: array[first:last] for name, array in listed.items()}


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


@cases
def test_any_cut_gives_the_same_replicates(trial):
    whole = generate_trials(trial, 5, first=0, last=60)
    for first, last in ((0, 1), (13, 47), (40, 60)):
        piece = generate_trials(trial, 5, first=first, last=last)
        assert_same(parts(piece), parts(whole, first, last))
        inside = (whole.relapses[0] >= first) & (whole.relapses[0] < last)
        np.testing.assert_array_equal(piece.relapses[0] + first, whole.relapses[0][inside])
        np.testing.assert_array_equal(piece.relapses[2], whole.relapses[2][inside])


@cases
def test_arms_from_outside_replace_those_by_chance(trial):
    """The drawn arms put in give the same trial; they are neither copied nor changed."""
    drawn = generate_trials(trial, 5, first=3, last=23)
    arm = drawn.arm.copy()
    arm.setflags(write=False)
    again = generate_trials(trial, 5, first=3, last=23, arm=arm)
    assert_same(parts(again), parts(drawn))
    assert set(np.unique(drawn.arm)) == {0, 1}


@pytest.mark.parametrize("trial", CASES[:-1], ids=IDS[:-1])
def test_baseline_and_unchanged_people_do_not_depend_on_the_arm(trial):
    """Who is in the reference arm both times is the same in every number."""
    arm = halves(20, 30)
    one = generate_trials(trial, 5, first=0, last=20, arm=arm)
    other = generate_trials(trial, 5, first=0, last=20, arm=np.zeros_like(arm))
    for name, array in parts(one).items():
        np.testing.assert_array_equal(array[:, :15], parts(other)[name][:, :15], err_msg=name)
    for name, array in one.values.items():
        np.testing.assert_array_equal(array[..., 0], other.values[name][..., 0])


@cases
def test_a_place_that_nobody_has_is_empty(trial):
    arm = halves(20, trial.accrual.n_subjects).copy()
    full = generate_trials(trial, 5, first=0, last=20, arm=arm.copy())
    arm[:, ::7] = -1
    some = generate_trials(trial, 5, first=0, last=20, arm=arm)
    for name, array in some.values.items():
        assert np.isnan(array[arm < 0]).all()
        np.testing.assert_array_equal(array[arm >= 0], full.values[name][arm >= 0])


@cases
def test_another_seed_gives_other_people(trial):
    name = trial.measures[0]
    one, other = (generate_trials(trial, seed, first=0, last=1).values[name] for seed in (1, 2))
    assert (np.nan_to_num(one) != np.nan_to_num(other)).any()


@cases
def test_nothing_is_seen_after_the_exit_or_happens_after_it(trial):
    drawn = generate_trials(trial, 5, first=0, last=20)
    after = np.broadcast_to(drawn.day, (*drawn.arm.shape, 5)) > drawn.exit_day[..., None]
    assert after.any()
    for values in drawn.values.values():
        assert np.isnan(values[after]).all()
    for day in drawn.intercurrent.values():
        assert (day[np.isfinite(day)] <= drawn.exit_day[np.isfinite(day)]).all()
    first = np.minimum(*drawn.intercurrent.values())
    np.testing.assert_array_equal(drawn.stop_day, first)
    assert np.isfinite(first).any()


def test_the_generator_travels_between_processes_and_knows_its_version():
    again = pickle.loads(pickle.dumps(generate_trials))  # noqa: S301
    assert again == generate_trials
    assert again.fingerprint == generate_trials.fingerprint
    assert TrialGenerator(version=0).fingerprint != generate_trials.fingerprint
    assert len(generate_trials.fingerprint) == 64


def test_measures_are_listed():
    assert generate_trials.measures(CASES[2]) == ("brain_ml", "walk", "progression")
    assert {"edss", "gd_lesion_count", "relapses"} <= set(generate_trials.measures(CASES[-1]))


BAD = [
    ("model", {"model": "random_slopes"}, "Did you mean 'random_slope'"),
    ("setting", {"settings": {**LINE, "slope_sb": 1.0}}, "slope_sb.*slope_sd"),
    ("missing setting", {"settings": {"measure": "y"}}, "needs the setting 'rate'"),
    ("spread", {"settings": {**LINE, "slope_sd": -1.0}}, "`slope_sd` must be a number of 0 or"),
    ("text", {"settings": {**LINE, "rate": "fast"}}, "`rate` must be a number, got 'fast'"),
    ("correlation", {"settings": {**LINE, "correlation": 1.5}}, "from -1 to 1"),
    ("endpoint", {"measures": ("z",)}, "measure 'z'.*does not produce.*It produces: y"),
    ("effect", {"effects": ({}, {"slowin": 0.3})}, "no effect .*'slowin'.*slowing"),
    ("effect size", {"effects": ({}, {"slowing": 30.0})}, "slowing of arm a1.*from -2 to 2"),
    ("treatment", {"treatments": (None, "siponimod")}, "which only the presets know"),
    ("negatives", {"effects": ({}, {"effect_in_negatives": 0.5})}, "needs the setting `marker_"),
    ("marker", {"settings": {**LINE, "marker_share": 2.0}}, "`marker_share` must be a number"),
    ("preset setting", {"model": "ppms_trial", "settings": {"ages": [1, 2]}}, "no setting 'ages'"),
    ("preset endpoint", {"model": "ppms_trial", "settings": {}, "measures": ("eds",)}, "'edss'"),
    ("preset effect", {"model": "ppms_trial", "settings": {}, "measures": ("edss",),
                       "effects": ({}, {"atrophy": 1.0})}, "no effect"),
    ("preset treatment", {"model": "ppms_trial", "settings": {}, "measures": ("edss",),
                          "treatments": (None, "siponimud")}, "siponimod"),
    ("controls", {"model": "progressive", "settings": {}, "measures": ("edss",)}, "not randomised"),
    ("imaging", {"model": "ppms_trial", "settings": {"imaging": {"brain_m": {}}},
                 "measures": ("edss",)}, "brain_ml"),
    ("hazard", {"model": "event_times", "settings": {"hazard": -1.0},
                "measures": ("progression",)}, "`hazard` must be 0 or more"),
    ("breaks", {"model": "event_times", "settings": {"hazard": [1.0, 2.0], "breaks": [0.0]},
                "measures": ("progression",)}, "ascend from above 0"),
    ("pieces", {"model": "event_times", "settings": {"hazard": [1.0, 2.0]},
                "measures": ("progression",)}, "one number more"),
    ("hazard ratio", {"model": "event_times", "settings": {"hazard": 1.0},
                      "measures": ("progression",), "effects": ({}, {"hazard_ratio": 0})},
     "`hazard_ratio of arm a1` must be a number above 0, got 0"),
    ("rate ratio", {"model": "counts", "settings": {"rate": 1.0}, "measures": ("new_t2_count",),
                    "effects": ({}, {"rate_ratio": -1.0})},
     "`rate_ratio of arm a1` must be a number above 0, got -1"),
    ("early loss", {"effects": ({}, {"pseudo_atrophy_years": 0.0})},
     r"`pseudo_atrophy_years of arm a1` must be a number above 0 and at most 1e\+06, got 0"),
    ("observed", {"model": "event_times", "settings": {"hazard": 1.0, "observed": "never"},
                  "measures": ("progression",)}, "exact, visits"),
    ("counted relapses", {"model": "counts", "settings": {"rate": 1.0, "measure": "relapses"},
                          "measures": ("relapses",)}, "cannot be 'relapses'"),
    ("visits", {"model": "repeated", "settings": {**VISITS, "mean": [0, 1]},
                "measures": ("outcome",)}, "`mean` must have 5 numbers"),
    ("covariance", {"model": "repeated", "settings": {**VISITS, "correlation": -0.9},
                    "measures": ("outcome",)}, "positive definite"),
    ("two covariances", {"model": "repeated", "settings": {**VISITS, "covariance": [[1.0]]},
                         "measures": ("outcome",)}, "not both"),
    ("outcome twice", {"model": "correlated_outcomes", "settings": {"outcomes": OUTCOMES[:1] * 2},
                       "measures": ("brain_ml",)}, "different measures"),
    ("contradiction", {"model": "correlated_outcomes", "measures": ("walk",), "settings": {
        "outcomes": OUTCOMES, "slope_correlations": [[1, 1.2], [1.2, 1]]}}, "positive definite"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "changes", "message"), BAD, ids=[bad[0] for bad in BAD])
def test_what_cannot_be_is_refused(what, changes, message):
    with pytest.raises(DesignError, match=message):
        generate_trials(scenario(**changes), 1)


ARMS = [
    (np.zeros((1, 29), dtype=int), "shape"),
    (np.zeros((1, 30)), "whole numbers"),
    (np.full((1, 30), 2), "positions of the 2 arms"),
    (np.full((1, 30), -2), "got -2"),
]


@pytest.mark.parametrize(("arm", "message"), ARMS, ids=[message for _, message in ARMS])
def test_an_allocation_that_does_not_fit_is_refused(arm, message):
    with pytest.raises(DesignError, match=message):
        generate_trials(scenario(), 1, arm=arm)


@pytest.mark.parametrize(("first", "last"), [(1, 1), (-1, 2), (3, 2), (0.0, 1)])
def test_replicates_that_are_none_are_refused(first, last):
    with pytest.raises(DesignError, match="`first`"):
        generate_trials(scenario(), 1, first=first, last=last)


def test_a_seed_is_required():
    with pytest.raises(TypeError, match="seed"):
        generate_trials(scenario(), None)


def test_every_model_has_its_name_once():
    assert not set(PRESETS) & set(PLAIN_MODELS)
    for name, plan in PLAIN_MODELS.items():
        assert f'``"{name}"``. Settings' in " ".join(plan.__doc__.split())
