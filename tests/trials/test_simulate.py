"""The whole simulation: same bytes everywhere, stops when it knows enough, hides no failure."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from toy_trials import (
    EFFECT,
    ENGINE,
    GENERATOR,
    QUANTILE,
    STD_ERROR,
    FailingBlock,
    toy_block,
    toy_scenario,
    with_interim,
)

from pmsstats.errors import ConvergenceError, DesignError
from pmsstats.trials.blocks import TrialEngine
from pmsstats.trials.comparison import DesignComparison
from pmsstats.trials.progress import Progress, progress_line, reporter
from pmsstats.trials.result import SimulationResult
from pmsstats.trials.scenario import (
    Accrual,
    DecisionRule,
    TrialAnalysis,
    TrialArm,
    TrialDropout,
    TrialPopulation,
    TrialSchedule,
)
from pmsstats.trials.simulate import SimulationRequest, simulate_trials, simulate_with
from synthetic import generate_trials

SCENARIO = toy_scenario()


def simulate(n: int = 500, *, seed=7, scenario=SCENARIO, engine=ENGINE, **how):
    request = SimulationRequest(n_replicates=n, **({"truth": False} | how))
    return simulate_with(engine, scenario, GENERATOR, seed, request)


def written(result: SimulationResult, folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in result.write(folder) if p.suffix == ".parquet"}


@pytest.mark.parametrize(
    "how",
    [
        {"block_size": 20},
        {"block_size": 33},
        {"block_size": 10_000},
        {"n_workers": 2},
        {"n_workers": 2, "block_size": 45},
        pytest.param(
            {"backend": "dask", "n_workers": 2, "block_size": 60}, id="dask", marks=pytest.mark.slow
        ),
    ],
)
def test_same_bytes_for_any_blocks_and_workers(how: dict, tmp_path: Path) -> None:
    if how.get("backend") == "dask":
        pytest.importorskip("distributed")
    expected = written(simulate(truth=2000), tmp_path / "a")
    assert len(expected) == 6
    assert written(simulate(truth=2000, **how), tmp_path / "b") == expected


def test_seed_decides() -> None:
    one, again, other = simulate(), simulate(), simulate(seed=8)
    pd.testing.assert_frame_equal(one.estimates, again.estimates, check_exact=True)
    assert not np.array_equal(one.estimates["estimate"], other.estimates["estimate"])
    sequence = simulate(seed=np.random.SeedSequence(7))
    pd.testing.assert_frame_equal(one.estimates, sequence.estimates, check_exact=True)


def test_first_replicates_are_those_of_a_shorter_run() -> None:
    long, short = simulate(500), simulate(123)
    pd.testing.assert_frame_equal(long.trials.head(123), short.trials, check_exact=True)


SLOPES = TrialPopulation(
    model="random_slope",
    settings={
        "measure": "score", "intercept": 0.0, "rate": -0.6, "intercept_sd": 1.0,
        "slope_sd": 0.5, "correlation": 0.2, "residual_sd": 0.3,
    },
)  # fmt: skip
EVENTS = TrialPopulation(model="event_times", settings={"measure": "score", "hazard": 0.4})


def true_trial(population: TrialPopulation, method: str, effect: str, **changes: object):
    size = TrialArm(name="active", effects={effect: 0.5})
    return toy_scenario(
        name=method, population=population, arms=(TrialArm(name="placebo"), size),
        accrual=Accrual(n_subjects=60, years=1.0), schedule=TrialSchedule(weeks=(0, 26, 52, 104)),
        dropout=TrialDropout(share=0.2),
        analyses=(TrialAnalysis(name="test", endpoint="score", method=method),), **changes,
    )  # fmt: skip


TRUE_TRIALS = {
    "slopes": true_trial(SLOPES, "random_slope", "slowing"),
    "change": true_trial(SLOPES, "ancova", "slowing"),
    "sequential": with_interim(
        true_trial(
            SLOPES, "random_slope", "slowing",
            decision=DecisionRule(analysis="test", boundary="ld_obrien_fleming"),
        )
    ),
    "events": true_trial(EVENTS, "log_rank", "hazard_ratio"),
}  # fmt: skip


@pytest.mark.parametrize("scenario", TRUE_TRIALS.values(), ids=TRUE_TRIALS)
def test_true_trials_have_the_same_bytes_for_any_blocks(scenario, tmp_path: Path) -> None:
    def run(name: str, **how: object) -> dict[str, bytes]:
        result = simulate_trials(scenario, generate_trials, 120, 7, truth=False, **how)
        return written(result, tmp_path / name)

    expected = run("a", block_size=120)
    assert run("b", block_size=20) == expected
    assert run("c", block_size=37) == expected
    assert run("d", block_size=60, n_workers=2, checkpoint=tmp_path / "kept") == expected
    assert run("e", checkpoint=tmp_path / "kept") == expected


def untold(scenario, seed, **how):
    """Draw as the generator does, without its knowledge of true values."""
    return generate_trials(scenario, seed, **how)


@pytest.mark.parametrize("name", ["slopes", "change", "events"])
def test_large_trial_finds_what_the_generator_knows(name: str) -> None:
    scenario = TRUE_TRIALS[name]
    known = generate_trials.truth(scenario)["test"]["active"]
    result = simulate_trials(scenario, untold, 20, 7, truth=40_000)
    value, error = result.value("truth")
    assert result.truth["source"].tolist() == ["large trial"]
    assert abs(value - known) < 4 * error
    assert 0 < error < 0.1 * abs(known)


@pytest.mark.parametrize("effect", [0.0, EFFECT])
def test_power_is_that_of_the_z_test(effect: float) -> None:
    result = simulate(4000, scenario=toy_scenario(effect), truth=True)
    exact = 0.5 * math.erfc((QUANTILE - effect / STD_ERROR) / math.sqrt(2))
    value, mcse = result.value("power" if effect else "type1_error")
    assert mcse == pytest.approx(math.sqrt(value * (1 - value) / 4000))
    assert abs(value - exact) < 4 * math.sqrt(exact * (1 - exact) / 4000)
    bias, bias_error = result.value("bias")
    assert abs(bias) < 4 * bias_error


# --- early stop -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "how",
    [{"block_size": 20}, {"block_size": 170}, {"block_size": 5000}, {"n_workers": 2}],
)
def test_stop_at_the_target_depends_on_no_block(how: dict, tmp_path: Path) -> None:
    target = {"target_mcse": 0.012, "min_replicates": 500}
    expected = simulate(10_000, block_size=100, **target)
    found = simulate(10_000, **target, **how)
    # sqrt(0.71 x 0.29) / 0.012 = 38^2 = 1430: asked at 1000 and 1500
    assert found.n_replicates == expected.n_replicates == 1500
    assert found.stopped_because == "target"
    assert found.n_requested == 10_000
    assert "stopped before 10,000" in found.headline()
    assert written(found, tmp_path / "a") == written(expected, tmp_path / "b")


def test_resumed_run_stops_where_the_first_did(tmp_path: Path) -> None:
    how = {"target_mcse": {"power": 0.02}, "min_replicates": 500, "checkpoint": tmp_path / "c"}
    first = simulate(4000, block_size=100, **how)
    assert first.n_replicates == 1000
    again = simulate(4000, block_size=999, **how)
    pd.testing.assert_frame_equal(first.trials, again.trials, check_exact=True)


def test_target_of_bias_and_coverage() -> None:
    result = simulate(
        5000, truth=10_000_000, target_mcse={"bias": 0.008, "coverage": 0.02}, min_replicates=100
    )
    # 0.316 / 0.008 = 39.5^2 = 1562
    assert result.n_replicates == 2000
    assert result.value("bias")[1] <= 0.008
    assert result.value("coverage")[1] <= 0.02


def test_no_success_at_all_is_no_reason_to_stop_at_once() -> None:
    """A share of 0 has no binomial error, but 500 failures do not say 0 % within 0.1 %."""
    never = toy_scenario(-3.0)
    result = simulate(3000, scenario=never, target_mcse=0.001, min_replicates=500)
    assert result.value("power") == (0.0, 0.0)
    assert result.n_replicates > 500


# --- failures ---------------------------------------------------------------------------------


def engine_failing(k: int) -> TrialEngine:
    return dataclasses.replace(ENGINE, run_block=FailingBlock(k))


def test_failed_replicates_are_counted() -> None:
    result = simulate(1000, engine=engine_failing(100))
    assert result.value("failed")[0] == 0.01
    assert result.ledger()["n_replicates"].tolist() == [10, 10]
    assert "10 of them (1 %) gave no answer and count as no success" in result.headline()
    assert len(result.trials) == 1000


@pytest.mark.parametrize(
    ("k", "allowed", "block_size", "stopped_after"),
    [
        (50, 0.01, 20, 1000),  # 2 %: 20 of 1000 are more than 10 + 3 x 3.15, 10 of 500 not yet
        (50, 0.01, 700, 1000),
        (10, 0.01, 100, 500),  # 10 %: 50 of the first 500
        (499, 0.0, 100, 500),  # none allowed: replicates 0 and 499
        (90, 0.01, 100, 3000),  # 1.1 %: known at the end alone
    ],
)
def test_too_many_failures_stop_the_run(
    k: int, allowed: float, block_size: int, stopped_after: int
) -> None:
    scenario = toy_scenario(max_failure_rate=allowed)
    words = rf"first {stopped_after} trials of 'toy'.*no maximum \(\d+, first in 0, "
    with pytest.raises(ConvergenceError, match=words):
        simulate(3000, scenario=scenario, engine=engine_failing(k), block_size=block_size)


def test_allowed_failures_do_not_stop_the_run() -> None:
    scenario = toy_scenario(max_failure_rate=0.02)
    assert simulate(3000, scenario=scenario, engine=engine_failing(50)).n_replicates == 3000


# --- several scenarios ------------------------------------------------------------------------


@pytest.mark.parametrize("how", [{}, {"n_workers": 2}])
def test_several_scenarios_are_each_as_alone(how: dict, tmp_path: Path) -> None:
    pair = [toy_scenario(0.2, name="weak"), toy_scenario(0.9, name="strong")]
    both = simulate(scenario=pair, checkpoint=tmp_path / "c", **how)
    assert isinstance(both, DesignComparison)
    for scenario in pair:
        alone = simulate(scenario=scenario)
        pd.testing.assert_frame_equal(both[scenario.name].estimates, alone.estimates)
    names = sorted(path.name for path in (tmp_path / "c").iterdir())
    assert names == ["01-weak", "02-strong"]


def test_same_people_under_each_design() -> None:
    pair = [toy_scenario(0.2, name="weak"), toy_scenario(0.9, name="strong")]
    both = simulate(scenario=pair)
    difference = both["strong"].estimates["estimate"] - both["weak"].estimates["estimate"]
    assert difference.to_numpy() == pytest.approx(0.7)


# --- what is kept, what is told ---------------------------------------------------------------


def twice(*args):
    """A toy trial with a first look that says nothing."""
    outcome = toy_block(*args)
    first = outcome.estimates.assign(rejected=False)
    second = outcome.estimates.assign(look=2)
    both = pd.concat([first, second]).sort_values(["replicate", "look"], kind="stable")
    return dataclasses.replace(outcome, estimates=both)


def test_final_estimates_can_be_kept_alone() -> None:
    engine = dataclasses.replace(ENGINE, run_block=twice)
    all_looks, final = simulate(engine=engine), simulate(engine=engine, keep="estimates")
    assert len(all_looks.estimates) == 2 * len(final.estimates) == 1000
    assert set(final.estimates["look"]) == {2}
    pd.testing.assert_frame_equal(final.operating, all_looks.operating)


def test_progress_is_told_after_each_block(tmp_path: Path) -> None:
    states: list[Progress] = []
    simulate(100, block_size=20, checkpoint=tmp_path / "c")
    simulate(200, block_size=20, checkpoint=tmp_path / "c", progress=states.append)
    assert [state.n_done for state in states] == [120, 140, 160, 180, 200]
    assert {state.n_resumed for state in states} == {100}
    assert [state.is_final for state in states] == [False] * 4 + [True]
    assert states[-1].remaining_seconds == 0
    again: list[Progress] = []
    simulate(200, checkpoint=tmp_path / "c", progress=again.append)
    assert [(s.n_done, s.is_final) for s in again] == [(200, True)]


def test_progress_line_goes_to_standard_error_if_wanted(capsys) -> None:
    simulate(progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    starting, done = err.splitlines()
    assert starting.startswith("starting (the first run on a machine compiles")
    assert done.startswith("500 / 500 trials, ")
    assert "done in 0:0" in done
    for silent in (None, False):
        simulate(progress=silent)
        assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(30.0, "0:30 left"), (5000.0, "1:23:20 left"), (0.0, "starting")],
)
def test_remaining_time(seconds: float, words: str) -> None:
    state = Progress(
        n_done=500, n_total=1000, n_resumed=0, seconds=seconds, power=math.nan, mcse=math.nan
    )
    assert words in progress_line(state)
    assert "success" not in progress_line(state)


def test_resumed_replicates_are_no_speed() -> None:
    state = Progress(n_done=900, n_total=1000, n_resumed=800, seconds=10, power=0.5, mcse=0.01)
    assert state.rate == 10
    assert state.remaining_seconds == 10
    assert reporter(print) is print


# --- bad input --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"n": 0}, "`n_replicates` must be a whole number above 0, got 0"),
        ({"n": 10.5}, "`n_replicates` must be a whole number"),
        ({"min_replicates": -1}, "`min_replicates`"),
        ({"block_size": 0}, "`block_size` must be 1 or more"),
        ({"keep": "all"}, "`keep` must be"),
        ({"truth": 3}, "`truth` must be True, False or a number of subjects"),
        ({"target_mcse": 0.0}, "`target_mcse` must be above 0"),
        ({"target_mcse": -0.1}, "`target_mcse` must be above 0"),
        ({"target_mcse": {"power": 0.0}}, "no number of replicates will do"),
        ({"target_mcse": {"powr": 0.1}}, "Did you mean 'power'"),
        ({"scenario": []}, "one or more with different names"),
        ({"scenario": [SCENARIO, SCENARIO]}, r"different names \(`name`\), got .'toy', 'toy'"),
    ],
)
def test_bad_request_is_refused(how: dict, words: str) -> None:
    with pytest.raises(DesignError, match=words):
        simulate(**how)


def test_seed_is_required() -> None:
    with pytest.raises(TypeError, match="so that the result can be reproduced"):
        simulate_trials(SCENARIO, GENERATOR, 100)
