"""Blocks as they come in: which failures count, what is enough, what is left aside."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from toy_trials import GENERATOR, fail_every, toy_block, toy_scenario, with_interim

from pmsstats.errors import ConvergenceError
from pmsstats.provenance import package_version
from pmsstats.trials.blocks import BlockTask, check_outcome
from pmsstats.trials.checkpoint import Checkpoint
from pmsstats.trials.gathering import Gathering, StoppingRule
from pmsstats.trials.scenario import Scenario

ROOT = np.random.SeedSequence(7)
TRUE_EFFECT = pd.DataFrame(
    {"analysis": ["test"], "comparison": ["dose1"], "value": [0.8], "std_error": [0.0]}
)


def gathering(n: int, *, scenario: Scenario | None = None, folder: Path | None = None, **rule):
    task = BlockTask(
        position=0, scenario=scenario or toy_scenario(), generator=GENERATOR, root=ROOT, first=0,
        last=n, run_block=toy_block, version=package_version(),
    )  # fmt: skip
    kept = None
    if folder is not None:
        kept = Checkpoint(folder, scenario=task.scenario, generator=GENERATOR, root=ROOT)
    limits = StoppingRule(n_replicates=n, **rule)
    return Gathering(task, rule=limits, truth=TRUE_EFFECT, checkpoint=kept)


def give(run: Gathering, first: int, last: int, change=lambda outcome: outcome) -> None:
    task = dataclasses.replace(run.task, first=first, last=last)
    outcome = toy_block(task.scenario, task.generator, task.root, first, last)
    run.accept(task, check_outcome(change(outcome), first, last))


def failing_at(replicate: int):
    """Let the analysis of one replicate fail."""

    def change(outcome):
        there = outcome.trials["replicate"].max() >= replicate
        return fail_every(outcome, replicate) if there else outcome

    return change


def test_only_the_replicates_asked_about_count_as_failures() -> None:
    """Replicate 500 is the 501st: the first 500 have no failure, whatever is there already."""
    run = gathering(1500, scenario=toy_scenario(max_failure_rate=0.0))
    failing = failing_at(500)
    give(run, 20, 600, failing)
    give(run, 0, 20)  # now all of 0 to 599 are there, and the first 500 are asked about
    assert not run.is_finished
    with pytest.raises(ConvergenceError, match="1 of the first 1000"):
        give(run, 600, 1000)


@pytest.mark.parametrize(("least", "enough_at"), [(500, 500), (501, 1000), (1000, 1000)])
def test_target_counts_from_the_least_number_of_replicates_on(least: int, enough_at: int) -> None:
    run = gathering(3000, targets={"power": 0.4}, min_replicates=least)
    give(run, 0, 3000)
    assert run.n_wanted == enough_at
    assert run.met_target


def test_every_comparison_must_meet_the_target() -> None:
    """Every trial finds dose2, so that its share has a small error; not every one finds dose1."""
    two = toy_scenario(0.8, 5.0)
    run = gathering(3000, scenario=two, targets={"power": 0.02}, min_replicates=500)
    give(run, 0, 3000)
    lone = gathering(3000, scenario=toy_scenario(5.0), targets={"power": 0.02}, min_replicates=500)
    give(lone, 0, 3000)
    assert lone.n_wanted == 500
    assert run.n_wanted == 1000  # sqrt(0.6 x 0.4 / 500) = 0.022


def test_every_comparison_must_meet_the_target_of_an_estimate() -> None:
    """The truth is known for dose1 alone; the error of the mean is asked for both."""
    run = gathering(
        3000, scenario=toy_scenario(0.8, 0.8), targets={"mean_estimate": 0.0135},
        min_replicates=500,
    )  # fmt: skip
    give(run, 0, 3000, widening("dose2"))
    # errors of a mean: sqrt(4 x 3 / 80) = 0.387; 0.387 / 0.0135 = 28.7^2 = 823, twice it: 3286
    assert run.n_wanted == 3000
    assert not run.met_target


def widening(comparison: str):
    """Double how far the estimates of a comparison lie from their mean."""

    def change(outcome):
        estimates = outcome.estimates.copy()
        rows = estimates["comparison"] == comparison
        estimates.loc[rows, "estimate"] = 2 * estimates.loc[rows, "estimate"] - 0.8
        return dataclasses.replace(outcome, estimates=estimates)

    return change


def test_blocks_that_come_too_late_are_left_aside(tmp_path: Path) -> None:
    run = gathering(2000, folder=tmp_path / "c", targets={"power": 0.4}, min_replicates=500)
    give(run, 0, 500)
    give(run, 500, 600)
    assert run.n_done == 500
    assert run.checkpoint.blocks() == [(0, 500)]
    assert len(run.joined().trials) == 500


def test_stored_blocks_reach_as_far_as_is_asked(tmp_path: Path) -> None:
    longer = gathering(300, folder=tmp_path / "c")
    give(longer, 0, 120)
    give(longer, 120, 300)
    run = gathering(100, folder=tmp_path / "c")
    assert (run.n_resumed, run.n_done, run.is_finished) == (100, 100, True)
    assert run.joined().trials["replicate"].tolist() == list(range(100))
    assert [(t.first, t.last) for t in run.tasks(50)] == []


def silent_at_first_look(share: float):
    """Add a look at which so many of the analyses have no answer."""

    def change(outcome):
        first = outcome.estimates.assign(rejected=False)
        gone = first["replicate"] % 100 < 100 * share
        first.loc[gone, ["estimate", "std_error", "z"]] = np.nan
        first.loc[gone, "reason"] = "too few rows or subjects"
        both = pd.concat([first, outcome.estimates.assign(look=2)])
        both = both.sort_values(["replicate", "look"], kind="stable", ignore_index=True)
        return dataclasses.replace(outcome, estimates=both)

    return change


def test_look_without_answers_is_no_look() -> None:
    run = gathering(1000, scenario=with_interim(toy_scenario()))
    words = r"In 60 % of the first 500 trials .* at look 1: too few rows .* Let interim 'half' come"
    with pytest.raises(ConvergenceError, match=words):
        give(run, 0, 700, silent_at_first_look(0.6))


def test_look_with_some_answers_is_one() -> None:
    run = gathering(1000, scenario=with_interim(toy_scenario()))
    give(run, 0, 1000, silent_at_first_look(0.4))
    assert run.is_finished


@pytest.mark.parametrize("quantity", ["familywise_error", "conjunctive_power", "coverage"])
def test_shares_of_none_or_all_are_no_reason_to_stop_at_once(quantity: str) -> None:
    """No trial claims the harmful dose1, none finds both: (2 / 504)^(1/2) / 504^(1/2) = 0.28 %."""
    truth = pd.DataFrame({
        "analysis": "test", "comparison": ["dose1", "dose2", "dose3"],
        "value": [-9.0, 9.0, 0.01], "std_error": 0.0,
    })  # fmt: skip
    run = gathering(
        3000, scenario=toy_scenario(-9.0, 9.0, 0.01), targets={quantity: 0.002}, min_replicates=500
    )
    run.truth = truth
    give(run, 0, 3000, wide_intervals)
    assert run.n_wanted > 500


def wide_intervals(outcome):
    """Let each interval hold everything."""
    estimates = outcome.estimates.assign(conf_low=-99.0, conf_high=99.0)
    return dataclasses.replace(outcome, estimates=estimates)
