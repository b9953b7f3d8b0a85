"""The result of a simulation: words, tables, figures, files."""

from __future__ import annotations

import json

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from properties import assert_result_contract
from toy_trials import ENGINE, GENERATOR, FailingBlock, toy_scenario

from pmsstats.errors import DesignError
from pmsstats.provenance import verify_outputs
from pmsstats.trials.blocks import TrialEngine
from pmsstats.trials.result import SimulationResult
from pmsstats.trials.scenario import TrialAnalysis
from pmsstats.trials.simulate import SimulationRequest, simulate_with


def simulate(*effects: float, engine: TrialEngine = ENGINE, truth=2000) -> SimulationResult:
    request = SimulationRequest(n_replicates=300, truth=truth)
    return simulate_with(engine, toy_scenario(*effects), GENERATOR, 7, request)


FAILING = TrialEngine(run_block=FailingBlock(100), analyse=ENGINE.analyse)
RESULTS = {
    "two arms": simulate(0.8),
    "three arms": simulate(0.0, 0.8),
    "no truth": simulate(0.8, truth=False),
    "failures": simulate(0.8, engine=FAILING),
}
each = pytest.mark.parametrize("result", RESULTS.values(), ids=RESULTS)


@each
def test_contract(result: SimulationResult) -> None:
    assert_result_contract(result)


@each
def test_dictionary_is_plain_and_complete(result: SimulationResult) -> None:
    plain = json.loads(json.dumps(result.to_dict()))
    assert plain["schema"] == "simulation_result/1"
    assert len(plain["operating"]) == len(result.operating)
    assert plain["n_replicates"] == 300


def test_headline_says_power_and_error() -> None:
    value, mcse = RESULTS["two arms"].value("power")
    headline = RESULTS["two arms"].headline()
    assert headline == (
        f"Of 300 simulated trials of 'toy', {100 * value:.1f} % showed a benefit of dose1 (power; "
        f"Monte Carlo error {100 * mcse:#.2g} points); on average a trial took 40 patients and 1.0 "
        "years; every trial gave an answer."
    )
    several = RESULTS["three arms"].headline()
    assert "% claimed a benefit of dose1 where there is none (type I error; " in several
    assert "% showed a benefit of dose2 (power; " in several


def test_display_shows_shares_in_per_cent() -> None:
    shown = RESULTS["two arms"].display().set_index("Quantity")
    value, mcse = RESULTS["two arms"].value("power")
    assert shown.loc["power", "Value"] == f"{100 * value:.2f} %"
    assert shown.loc["power", "Monte Carlo error"] == f"{100 * mcse:.2f} %"
    assert shown.loc["patients, on average", "Value"] == "40"
    bias, error = RESULTS["two arms"].value("bias")
    assert float(shown.loc["bias", "Value"]) == pytest.approx(bias, abs=error / 10)
    assert len(shown.loc["bias", "Monte Carlo error"].lstrip("0.")) == 2  # two digits of the error


def test_display_leaves_out_what_only_repeats_another_row() -> None:
    given = "power, trials with an answer"
    assert given not in set(RESULTS["two arms"].display()["Quantity"])
    assert given in set(RESULTS["failures"].display()["Quantity"])
    first = RESULTS["three arms"].display()["Quantity"].tolist()
    assert first.index("trial succeeds") < first.index("bias")


@pytest.mark.parametrize(
    ("asked", "words"),
    [({"quantity": "pwer"}, "found 0 rows"), ({"quantity": "coverage"}, "found 2 rows")],
)
def test_unclear_question_is_refused(asked: dict, words: str) -> None:
    with pytest.raises(DesignError, match=words):
        RESULTS["three arms"].value(**asked)


def test_files_are_verified_and_read_back(tmp_path) -> None:
    result = RESULTS["failures"]
    paths = result.write(tmp_path / "out")
    assert [p.name for p in paths] == [
        "estimates.parquet", "trials.parquet", "arms.parquet", "operating.parquet",
        "truth.parquet", "failures.parquet", "manifest.json",
    ]  # fmt: skip
    manifest = verify_outputs(tmp_path / "out")
    assert manifest["root"] == "7"
    assert manifest["generator"] == "toy 1"
    assert manifest["origin"] == "synthetic"
    for name in ("estimates", "trials", "arms", "operating"):
        back = pd.read_parquet(tmp_path / "out" / f"{name}.parquet")
        pd.testing.assert_frame_equal(back, getattr(result, name), check_exact=True)


@pytest.fixture
def ax():
    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)


def test_power_is_drawn_at_its_value_with_its_interval(ax) -> None:
    result = RESULTS["three arms"]
    result.plot(ax=ax, kind="power")
    drawn = [float(line.get_xdata()[0]) for line in ax.lines if len(line.get_xdata()) == 1]
    values = [result.value("power")[0], result.value("type1_error")[0]]
    assert drawn == pytest.approx([100 * v for v in values])
    assert [t.get_text() for t in ax.get_yticklabels()] == ["test: dose1", "test: dose2"]
    assert ax.get_title(loc="right") == "synthetic data"
    bars = [segment for c in ax.collections for segment in c.get_segments()]
    widths = sorted(float(np.ptp(bar[:, 0])) for bar in bars)
    errors = sorted(result.value(q)[1] for q in ("type1_error", "power"))
    assert widths == pytest.approx([100 * 2 * 1.96 * e for e in errors])


def test_estimates_are_drawn_with_mean_and_truth(ax) -> None:
    result = RESULTS["two arms"]
    result.plot(ax=ax, kind="estimates")
    at = {line.get_gid(): float(line.get_xdata()[0]) for line in ax.lines}
    assert at["mean"] == pytest.approx(result.estimates["estimate"].mean())
    assert at["truth"] == pytest.approx(result.value("truth")[0])


def test_estimates_without_truth_have_no_line_for_it(ax) -> None:
    RESULTS["no truth"].plot(ax=ax, kind="estimates")
    assert {line.get_gid() for line in ax.lines} == {"mean"}


def test_ends_are_drawn_as_shares_of_all_trials(ax) -> None:
    result = RESULTS["two arms"]
    looks = np.where(np.arange(300) < 90, 1, 2)
    kinds = np.array(["efficacy"] * 60 + ["futility"] * 30 + ["end"] * 210, dtype=object)
    changed = SimulationResult(
        **{**vars(result), "trials": result.trials.assign(n_looks=looks, stopped_for=kinds)}
    )
    changed.plot(ax=ax, kind="stopping")
    bars = {(round(p.get_x() + 0.3), round(p.get_y())): p.get_height() for p in ax.patches}
    assert bars == pytest.approx({(1, 0): 20.0, (1, 20): 10.0, (2, 0): 70.0})
    assert ax.get_ylabel() == "Share of 300 trials that end here (%)"


def test_unknown_figure_is_refused() -> None:
    with pytest.raises(DesignError, match="`kind` must be 'power'"):
        RESULTS["two arms"].plot(kind="forest")


@pytest.mark.parametrize(
    ("effect", "words"),
    [(-0.4, "claimed a benefit of dose1, whose true effect is a loss"), (0.0, "where there is")],
)
def test_claims_of_a_harmful_treatment_are_called_so(effect: float, words: str) -> None:
    trial = toy_scenario(effect, analyses=(
        TrialAnalysis(name="test", endpoint="score", method="change", true_value=effect),
    ))  # fmt: skip
    request = SimulationRequest(n_replicates=200, truth=True)
    assert words in simulate_with(ENGINE, trial, GENERATOR, 3, request).headline()


def test_ratios_stand_below_their_logarithms() -> None:
    times = (TrialAnalysis(name="test", endpoint="score", method="log_rank"),)
    trial = toy_scenario(-0.3, analyses=times)
    request = SimulationRequest(n_replicates=100, truth=False)
    _, ax = plt.subplots()
    simulate_with(ENGINE, trial, GENERATOR, 3, request).plot(ax=ax, kind="estimates")
    assert ax.get_xlabel().startswith("Estimated log hazard ratio, hazard ratio below")
    plt.close("all")
