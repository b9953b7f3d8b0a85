"""True values: given, no effect, told by the generator, or from a very large complete trial."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from toy_trials import ENGINE, GENERATOR, ToyGenerator, toy_block, toy_scenario, with_interim

from pmsstats.trials.blocks import TrialEngine
from pmsstats.trials.scenario import Accrual, DecisionRule, TrialAnalysis, TrialArm, TrialDropout
from pmsstats.trials.truths import complete_trial, null_arms, true_values, truth_key

ROOT = np.random.SeedSequence(4)


@dataclasses.dataclass(frozen=True)
class Knowing(ToyGenerator):
    """A toy generator that knows some true values."""

    answer: float | None = None

    def truth(self, scenario):
        return {"test": dict.fromkeys(scenario.arm_names[1:], self.answer)}


def analysis(method: str = "change", **changes: object) -> dict[str, object]:
    made = TrialAnalysis(name="test", endpoint="score", method=method, **changes)
    return {"analyses": (made,)}


def refuse(*args: object, **kws: object) -> None:
    raise AssertionError


NO_ANALYSIS = TrialEngine(run_block=toy_block, analyse=refuse)


@pytest.mark.parametrize(
    ("scenario", "generator", "value", "source"),
    [
        (toy_scenario(0.5, **analysis(true_value=0.7)), GENERATOR, 0.7, "given"),
        (toy_scenario(0.0), GENERATOR, 0.0, "no effect"),
        (toy_scenario(0.5), Knowing(answer=0.5), 0.5, "generator"),
        (toy_scenario(0.0), Knowing(answer=0.1), 0.0, "no effect"),
        (toy_scenario(0.5, **analysis("model")), GENERATOR, math.nan, "unknown"),
        (toy_scenario(0.0, **analysis("model")), GENERATOR, 0.0, "no effect"),
    ],
)
def test_known_value_needs_no_simulation(scenario, generator, value, source) -> None:
    table = true_values(scenario, generator, ROOT, NO_ANALYSIS)
    assert table["value"].tolist() == pytest.approx([value], nan_ok=True)
    assert table["source"].tolist() == [source]


@pytest.mark.parametrize("generator", [GENERATOR, Knowing(answer=None)])
def test_large_trial_finds_the_effect_within_its_error(generator) -> None:
    scenario = toy_scenario(0.5, 0.2)
    table = true_values(scenario, generator, ROOT, ENGINE, n_subjects=60_000)
    assert set(table["source"]) == {"large trial"}
    # three arms of 20,000: variance 2 / 20,000
    assert table["std_error"].to_numpy() == pytest.approx(math.sqrt(2 / 20_000), rel=1e-3)
    errors = (table["value"] - [0.5, 0.2]) / table["std_error"]
    assert (errors.abs() < 4).all()


def test_complete_trial_has_no_dropout_no_interim_and_everybody_at_once() -> None:
    late = (TrialArm(name="control"), TrialArm(name="late", ratio=2.0, opens_year=1.0))
    scenario = with_interim(
        toy_scenario(
            arms=late, accrual=Accrual(n_subjects=40, years=2.0),
            dropout=TrialDropout(share=0.3, missed_visit=0.1),
            decision=DecisionRule(analysis="test", final="year", final_value=2.5),
        )
    )  # fmt: skip
    asked = []

    def generator(scenario, seed, **how):
        asked.append(scenario)
        return GENERATOR(scenario, seed, **how)

    data = complete_trial(scenario, generator, ROOT, 3000)
    (seen,) = asked
    assert seen.dropout == TrialDropout()
    assert seen.interims == ()
    assert seen.accrual == Accrual(n_subjects=150)
    assert (data.n_replicates, data.n_subjects) == (20, 150)
    assert np.bincount(data.arm.ravel()).tolist() == [1000, 2000]  # the ratio of the scenario


def test_null_arms_are_those_in_which_nothing_differs() -> None:
    scenario = toy_scenario(0.0, 1e-9, 0.0)
    assert null_arms(scenario, GENERATOR, ROOT) == {"dose1", "dose3"}


def test_true_values_are_no_replicates_of_the_simulation() -> None:
    large = complete_trial(toy_scenario(), GENERATOR, ROOT, 800)
    table = true_values(toy_scenario(), GENERATOR, ROOT, ENGINE, n_subjects=800)
    batch = ENGINE.analyse(None, None, large, arms=("dose1",))
    assert abs(table["value"][0] - batch.estimate.mean()) > 1e-6  # other streams than the root's


def test_key_changes_with_what_truth_depends_on() -> None:
    given = toy_scenario(**analysis(true_value=0.7))
    keys = {truth_key(toy_scenario(), 100), truth_key(given, 100), truth_key(given, 200)}
    assert len(keys) == 3
