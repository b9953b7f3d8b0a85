"""Analyses by a function of the user: the built-in ones, and models of the package, once more."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pandas as pd
import pytest
from plain_trials import halves, scenario
from trial_cases import analysis_of, cut, measured, scenario_of, slope_trials

from pmsstats.errors import DesignError
from pmsstats.models.joint.joint import fit_joint
from pmsstats.models.parametric.aft import AFTSpec, fit_aft
from pmsstats.trials.analyses import analyse
from pmsstats.trials.scenario import TrialArm, TrialEndpoint
from pmsstats.trials.scenario_toml import read_scenario, write_scenario
from pmsstats.trials.simulate import simulate_trials
from synthetic import generate_trials
from tests.trials.analyses.user_functions import HERE

CLOSED = 1e-12  # the same sums in another order
FIELDS = ("estimate", "std_error", "df", "z", "information", "n_reference", "n_treated", "n_events")


def by_function(name, **fields):
    """An analysis by one of the functions beside this file; options beside its own."""
    options = {"function": f"{HERE}:{name}", **fields.pop("options", {})}
    return analysis_of("function", options=options, **fields)


def run(analysis, data, **fields):
    """All treated arms against the first."""
    arms = tuple(TrialArm(name=name) for name in data.arms)
    fields = {"arms": arms, "weeks": data.weeks, "n": data.n_subjects, **fields}
    return analyse(scenario_of(analysis, **fields), analysis, data, arms=data.arms[1:])


# The same as a method that there is ------------------------------------------------------------


@pytest.mark.parametrize("sizes", [(25, 20), (20, 15, 18)])
@pytest.mark.parametrize("better", ["higher", "lower"])
def test_a_difference_of_means_is_that_of_the_method_change(sizes, better):
    data = slope_trials(5, 4, sizes, slopes=(-1.0, -0.4, -0.8)[: len(sizes)])
    endpoints = (TrialEndpoint(name="volume", measure="volume", better=better),)
    found = run(by_function("difference_of_means"), data, endpoints=endpoints)
    expected = run(analysis_of("change"), data, endpoints=endpoints)
    for field in ("estimate", "std_error", "df", "z", "information"):
        np.testing.assert_allclose(getattr(found, field), getattr(expected, field), rtol=CLOSED)
    assert found.comparisons == expected.comparisons
    assert found.truth_sign == expected.truth_sign
    seen = [[np.sum(row == a) for a in range(len(sizes))] for row in data.arm]
    np.testing.assert_array_equal(found.n_reference[:, 0], np.array(seen)[:, 0])
    np.testing.assert_array_equal(found.n_treated, np.array(seen)[:, 1:])


def test_options_and_windows_reach_the_function():
    data = slope_trials(6, 3, (25, 20), slopes=(-1.0, -0.4))
    found = run(by_function("difference_of_means", options={"week": 48}, to_week=72), data)
    expected = run(analysis_of("change", options={"week": 48}), data)
    np.testing.assert_allclose(found.estimate, expected.estimate, rtol=CLOSED)
    np.testing.assert_allclose(found.std_error, expected.std_error, rtol=CLOSED)


def test_a_hypothetical_strategy_takes_values_out_of_the_frames():
    data = slope_trials(7, 3, (25, 20), slopes=(-1.0, -0.4))
    stop = np.random.default_rng(1).uniform(100, 2000, data.arm.shape)
    data = data.replace(stop_day=stop, intercurrent={"discontinuation": stop})
    fields = {"strategies": {"discontinuation": "hypothetical"}}
    events = ("discontinuation",)
    found = run(by_function("difference_of_means", **fields), data, events=events)
    expected = run(analysis_of("change", **fields), data, events=events)
    np.testing.assert_allclose(found.estimate, expected.estimate, rtol=CLOSED)
    policy = run(analysis_of("change"), data)
    assert (np.abs(policy.estimate - expected.estimate) > 1e-3).all()


@pytest.mark.parametrize(("benefit", "sign"), [("higher", 1), ("lower", -1)])
def test_the_option_says_which_estimates_are_a_gain(benefit, sign):
    data = slope_trials(8, 3, (25, 20))
    plain = run(analysis_of("change"), data)
    found = run(by_function("difference_of_means", options={"benefit": benefit}), data)
    assert found.truth_sign == sign
    np.testing.assert_allclose(found.z, sign * plain.z, rtol=1e-9)  # through normal quantiles


def test_pairs_are_handed_over_pair_by_pair():
    data = slope_trials(9, 3, (20, 15, 18), slopes=(-1.0,) * 3)
    found = run(by_function("difference_of_means", options={"pairwise": True}), data)
    expected = run(analysis_of("change", options={"pairwise": True}), data)
    np.testing.assert_allclose(found.std_error, expected.std_error, rtol=CLOSED)


def test_frames_are_the_functions_own():
    data = slope_trials(10, 3, (25, 20))
    one, other = (run(by_function("changes_its_frames"), data) for _ in range(2))
    plain = run(by_function("difference_of_means"), data)
    for field in FIELDS:
        np.testing.assert_array_equal(getattr(one, field), getattr(other, field))
        np.testing.assert_array_equal(getattr(one, field), getattr(plain, field))


# Models of the package ---------------------------------------------------------------------------

WALK = {"measure": "walk", "rate": 0.5, "intercept": 8.0, "intercept_sd": 1.0, "slope_sd": 0.5,
        "residual_sd": 0.5}  # fmt: skip
MARKER = {"outcomes": [WALK], "hazard": 0.4, "hazard_loadings": {"walk": 0.5}}


def progressing(method, **changes):
    """Walking time and progression that goes with it: endpoint and frames are of progression."""
    return scenario(
        "correlated_outcomes", MARKER, ({}, {"hazard_ratio": 0.5}), n=80,
        measures=("progression", "walk"), methods=(method,), **changes,
    )  # fmt: skip


def by_hand(data, row):
    """The two tables of a joint model, from the arrays of the generator."""
    arm = pd.Categorical(np.array(data.arms)[data.arm[row]], categories=data.arms)
    day, end = data.baseline["event_day"][row], data.exit_day[row]
    subjects = pd.DataFrame(
        {"subject_id": range(80), "arm": arm, "duration": np.minimum(day, end) / 365.25,
         "event": day <= end}
    )  # fmt: skip
    visits = pd.DataFrame(
        {
            "subject_id": np.repeat(np.arange(80), 5),
            "year": np.tile(data.day[0, 0] / 365.25, 80),
            "walk": measured(data, "walk")[row].ravel(),
        }
    )
    return visits.dropna(), subjects


def log_hazard(data, row):
    visits, subjects = by_hand(data, row)
    fit = fit_joint(
        visits, subjects, "walk ~ year + (1 | subject_id)", hazard="arm", association="value",
        baseline="weibull",
    )  # fmt: skip
    return fit.table().set_index("term").loc["arm[T.a1]", ["estimate", "std_error"]]


def log_time(data, row):
    fit = fit_aft(by_hand(data, row)[1], AFTSpec(covariates="arm", distribution="loglogistic"))
    return fit.table().set_index("term").loc["arm[T.a1]", ["estimate", "std_error"]]


MODELS = [
    ("joint_hazard", {"association": "value", "baseline": "weibull"}, log_hazard, -1),
    ("time_ratio", {"distribution": "loglogistic", "benefit": "higher"}, log_time, 1),
]


@pytest.mark.parametrize(("name", "options", "alone", "sign"), MODELS)
def test_a_model_of_the_package_is_what_it_is_when_called_directly(name, options, alone, sign):
    leaving = dataclasses.replace(progressing("log_rank").dropout, share=0.2)
    trial = progressing("log_rank", dropout=leaving)
    data = generate_trials(trial, 4, first=0, last=3, arm=halves(3, 80))
    analysis = dataclasses.replace(
        trial.analyses[0], method="function", options={"function": f"{HERE}:{name}", **options}
    )
    found = analyse(trial, analysis, data, arms=("a1",))
    expected = np.array([alone(data, row) for row in range(3)], dtype=float)
    np.testing.assert_allclose(found.estimate[:, 0], expected[:, 0], rtol=1e-9)
    np.testing.assert_allclose(found.std_error[:, 0], expected[:, 1], rtol=1e-9)
    np.testing.assert_allclose(found.z[:, 0], sign * expected[:, 0] / expected[:, 1], rtol=1e-9)
    assert np.isinf(found.df).all()
    log_rank = analyse(trial, trial.analyses[0], data, arms=("a1",))
    for field in ("n_reference", "n_treated", "n_events"):
        np.testing.assert_array_equal(getattr(found, field), getattr(log_rank, field))


# What the frames have ----------------------------------------------------------------------------


def columns(analysis, data, **fields):
    """What the function is told there is."""
    return run(analysis, data, **fields).reason[0, 0]


def test_frames_have_what_is_known_and_no_more():
    data = slope_trials(11, 1, (10, 10), measures=("volume", "walk"))
    visits = ["subject_id", "arm", "year", "week", "volume", "walk", "age_years", "sex", "baseline"]
    told = columns(by_function("tells"), data)
    assert told == f"{visits} {['subject_id', 'arm', 'age_years', 'sex']}"


def test_frames_of_an_event_have_its_time_but_not_its_day():
    trial = progressing("log_rank")
    data = generate_trials(trial, 4, first=0, last=1, arm=halves(1, 80))
    analysis = dataclasses.replace(by_function("tells"), endpoint="progression")
    told = analyse(trial, analysis, data, arms=("a1",)).reason[0, 0]
    visits = ["subject_id", "arm", "year", "week", "progression", "walk", "baseline"]
    assert told == f"{visits} {['subject_id', 'arm', 'duration', 'event']}"


# What goes wrong ---------------------------------------------------------------------------------

DATA = slope_trials(12, 6, (10, 10))
GOOD = {"comparison": "active", "estimate": 0.5, "std_error": 0.25}
NAMES = {
    "none": (None, "as 'package.module:name', got None"),
    "no colon": ("numpy.mean", "as 'package.module:name', got 'numpy.mean'"),
    "no name": ("numpy:", "as 'package.module:name', got 'numpy:'"),
    "no text": (3, "got 3"),
    "no module": ("no_such_module:f", "PYTHONPATH, here and for every worker"),
    "no function": (f"{HERE}:difference_of_mean", "Did you mean 'difference_of_means'?"),
    "no callable": (f"{HERE}:NOT_A_FUNCTION", "has no function 'NOT_A_FUNCTION'"),
    "missing option": (f"{HERE}:returns", "missing a required argument: 'what'"),
}


@pytest.mark.parametrize("name", NAMES)
def test_functions_that_cannot_be_had_are_refused(name):
    function, words = NAMES[name]
    analysis = analysis_of("function", options={"function": function})
    with pytest.raises(DesignError, match=re.escape(words)):
        run(analysis, DATA)


def test_an_option_that_the_function_does_not_take_is_refused():
    analysis = by_function("difference_of_means", options={"weeks": 96})
    with pytest.raises(DesignError, match=r"options weeks: .*'weeks'.*It takes .*week=96"):
        run(analysis, DATA)


RETURNS = {
    "nothing": (None, "or a list of mappings.*got NoneType"),
    "a number": (3.0, "got float"),
    "numbers": ([1.0, 2.0], "got list"),
    "a misnamed column": ([{"comparison": "active", "estimate": 1.0, "std_err": 1.0}],
                          "there is no 'std_error'. Did you mean 'std_err'"),
    "an unknown arm": ([{**GOOD, "comparison": "actve"}], "'actve'. Did you mean 'active'"),
    "the reference": ([GOOD, {**GOOD, "comparison": "placebo"}], "one row per comparison"),
    "an arm twice": ([GOOD, GOOD], "one row per comparison"),
    "text": ([{**GOOD, "estimate": "much"}], "numbers: .*much"),
}  # fmt: skip


@pytest.mark.parametrize("name", RETURNS)
def test_answers_that_are_no_table_of_comparisons_are_refused(name):
    what, words = RETURNS[name]
    with pytest.raises(DesignError, match=words):
        run(by_function("returns", options={"what": what}), DATA)


FAILURES = {
    "no row": ([], "the function gives no row for this comparison"),
    "no estimate": ([{**GOOD, "estimate": np.nan}], "no finite estimate"),
    "an infinite error": ([{**GOOD, "std_error": np.inf}], "no finite estimate"),
    "no error": ([{**GOOD, "std_error": 0.0}], "no finite estimate"),
    "no degrees of freedom": ([{**GOOD, "df": None}], "no finite estimate"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_answers_without_numbers_are_failed_replicates(name):
    what, words = FAILURES[name]
    batch = run(by_function("returns", options={"what": what}), DATA)
    assert (batch.reason == words).all()
    assert np.isnan(batch.estimate).all()


def test_errors_of_the_numbers_are_failed_replicates_alone():
    batch = run(by_function("fails_in_some"), DATA)
    failed = DATA.arm[:, 0] == 1
    assert 0 < failed.sum() < len(failed)
    np.testing.assert_array_equal(batch.reason[:, 0] == "Singular matrix", failed)
    np.testing.assert_array_equal(np.isnan(batch.estimate[:, 0]), failed)
    assert (batch.z[~failed] == 2.0).all()


def test_other_errors_stop_and_say_where_they_come_from():
    with pytest.raises(KeyError) as caught:
        run(by_function("crashes"), DATA)
    assert f"{HERE}:crashes' of analysis 'main'" in caught.value.__notes__[0]


def test_an_arm_without_subjects_fails_alone_and_an_empty_trial_calls_nothing():
    data = slope_trials(13, 3, (10, 10, 10), slopes=(-1.0,) * 3)
    arm = data.arm.copy()
    arm[0][arm[0] == 2] = -1
    arm[1] = -1
    batch = run(by_function("difference_of_means"), data.replace(arm=arm))
    none = "no subject with a value in an arm"
    assert batch.reason.tolist() == [["", none], [none, none], ["", ""]]


FIELDS_REFUSED = [
    ({"formula": "volume ~ arm"}, "no use for `formula`"),
    ({"covariates": ("age_years",)}, "no use for `covariates`"),
    ({"options": {"benefit": "more"}}, "`benefit`.*'higher' or 'lower'.*got 'more'"),
    ({"options": {"by": "arms"}}, "`by`.*got 'arms'"),
    ({"strategies": {"discontinuation": "composite"}}, "'composite' for times to an event only"),
]


@pytest.mark.parametrize(("fields", "words"), FIELDS_REFUSED)
def test_fields_that_do_not_fit_are_refused(fields, words):
    with pytest.raises(DesignError, match=words):
        run(by_function("difference_of_means", **fields), DATA, events=("discontinuation",))


# Simulations -------------------------------------------------------------------------------------


def trial_by_function(**fields):
    """A trial of straight lines, analysed by a function with options of its own."""
    options = {"function": f"{HERE}:difference_of_means", "measure": "y", "week": 104}
    return scenario(
        effects=({}, {"slowing": 0.4}), methods=("function",), n=24,
        analysis={"options": options, **fields},
    )  # fmt: skip


def test_a_scenario_with_a_function_travels_through_its_file(tmp_path):
    trial = trial_by_function(true_value=1.6)
    assert read_scenario(write_scenario(trial, tmp_path / "trial.toml")) == trial


@pytest.mark.parametrize("how", [{"block_size": 20}, {"block_size": 33}, {"n_workers": 2}])
def test_same_bytes_for_any_blocks_and_workers(how, tmp_path):
    def written(folder, **how):
        found = simulate_trials(trial_by_function(), generate_trials, 70, 5, **how)
        return {p.name: p.read_bytes() for p in found.write(folder) if p.suffix == ".parquet"}

    expected = written(tmp_path / "one")
    assert len(expected) == 6
    assert written(tmp_path / "other", **how) == expected


def test_the_true_value_is_not_known_unless_it_is_given():
    unknown, given = (
        simulate_trials(trial_by_function(**fields), generate_trials, 40, 5)
        for fields in ({}, {"true_value": 1.6})
    )
    assert unknown.truth["source"].tolist() == ["unknown"]
    assert "bias" not in set(unknown.operating["quantity"])
    bias = given.operating.set_index("quantity").loc["bias", "value"]
    mean = unknown.operating.set_index("quantity").loc["mean_estimate", "value"]
    assert bias == pytest.approx(mean - 1.6, rel=1e-9)


def test_replicates_do_not_depend_on_their_neighbours():
    whole = run(by_function("difference_of_means"), DATA)
    part = run(by_function("difference_of_means"), cut(DATA, slice(2, 4)))
    for field in FIELDS:
        np.testing.assert_array_equal(getattr(whole, field)[2:4], getattr(part, field))
