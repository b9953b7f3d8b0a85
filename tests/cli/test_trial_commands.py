"""``pmsstats simulate``: what it writes and refuses. Witness: the engine, called directly."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from pmsstats.cli import main
from pmsstats.provenance import verify_outputs
from pmsstats.trials import read_scenario, scenario_template, simulate_trials, trial_library
from pmsstats.trials.closed_form import closed_form_power
from synthetic import generate_trials

SECONDS_TO_GIVE_UP = 20
"""For an address where nobody answers."""

SCENARIO = """
name = "Cord area <fixed>"

[population]
model = "random_slope"
settings = {measure = "cord_area_c2c3_mm2", intercept = 75.0, rate = -1.2, intercept_sd = 8.0, \
slope_sd = 1.0, residual_sd = 1.0}

[[arms]]
name = "placebo"

[[arms]]
name = "active"
effects = {slowing = 0.4}

[accrual]
n_subjects = 120

[schedule]
weeks = [0, 52, 104]

[[endpoints]]
name = "cord area"
measure = "cord_area_c2c3_mm2"

[[analyses]]
name = "slope"
endpoint = "cord area"
method = "random_slope"

[decision]
analysis = "slope"
"""
FILES = {"index.html", "results.json", "simulation.csv", "closed_form.csv", "manifest.json"}
FRAMES = ("estimates", "trials", "arms", "operating", "truth", "failures")


def run(*args: str) -> Result:
    return CliRunner().invoke(main, ["simulate", *args], catch_exceptions=False)


@pytest.fixture
def scenario(tmp_path) -> Path:
    path = tmp_path / "scenario.toml"
    path.write_text(SCENARIO, encoding="utf-8")
    return path


def simulated(scenario: Path, out: Path, *args: str) -> Path:
    """Run 60 trials and return the folder."""
    result = run(str(scenario), "--replicates", "60", "--out", str(out), *args)
    assert result.exit_code == 0, result.output
    return out


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file but the manifests, which hold the time of the run."""
    files = [p for p in folder.rglob("*") if p.is_file() and p.name != "manifest.json"]
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


def test_scenario_file_gives_report_results_and_frames(scenario, tmp_path):
    out = simulated(scenario, tmp_path / "out", "--seed", "7")
    assert {p.name for p in out.iterdir()} == {*FILES, "trials"}
    assert {p.name for p in (out / "trials").iterdir()} == {
        "manifest.json", *(f"{name}.parquet" for name in FRAMES)
    }  # fmt: skip
    verify_outputs(out)
    direct = simulate_trials(read_scenario(scenario), generate_trials, 60, 7)
    written = pd.read_parquet(out / "trials" / "estimates.parquet")
    pd.testing.assert_frame_equal(written, direct.estimates, check_dtype=False)
    content = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert content["simulation"]["n_replicates"] == 60
    formula = closed_form_power(read_scenario(scenario))
    assert content["closed_form"]["power"] == formula.power


def test_page_has_the_plain_sentence_the_formula_and_escapes_the_name(scenario, tmp_path):
    page = (simulated(scenario, tmp_path / "out") / "index.html").read_text(encoding="utf-8")
    assert "of 100 such trials would show that the treatment works" in page
    assert "A formula gives" in page
    assert "Cord area &lt;fixed&gt;" in page
    assert "<fixed>" not in page


def test_same_bytes_twice_and_for_other_blocks(scenario, tmp_path):
    first = contents(simulated(scenario, tmp_path / "a"))
    assert contents(simulated(scenario, tmp_path / "b", "--block-size", "20")) == first


@pytest.mark.slow
def test_same_bytes_on_two_processes(scenario, tmp_path):
    first = contents(simulated(scenario, tmp_path / "a"))
    workers = ("--workers", "2", "--block-size", "20")
    assert contents(simulated(scenario, tmp_path / "b", *workers)) == first


def test_other_seeds_give_other_numbers(scenario, tmp_path):
    first = contents(simulated(scenario, tmp_path / "a"))
    assert contents(simulated(scenario, tmp_path / "b", "--seed", "1")) != first


def test_several_scenarios_are_compared(scenario, tmp_path):
    other = tmp_path / "other.toml"
    other.write_text(SCENARIO.replace("<fixed>", "small").replace("120", "60"), encoding="utf-8")
    out = tmp_path / "out"
    simulated(scenario, out, str(other))
    assert {"comparison.csv", "simulation_1.csv", "simulation_2.csv"} <= {
        p.name for p in out.iterdir()
    }
    assert (out / "trials" / "02" / "estimates.parquet").is_file()
    page = (out / "index.html").read_text(encoding="utf-8")
    assert "Designs side by side" in page
    assert "2 designs compared" in page


def test_published_trial_is_laid_beside_its_paper(tmp_path):
    out = tmp_path / "out"
    result = run("glatiramer", "--replicates", "20", "--no-truth", "--out", str(out))
    assert result.exit_code == 0, result.output
    assert (out / "published_1.csv").is_file()
    assert "Beside what was published" in (out / "index.html").read_text(encoding="utf-8")


def test_library_is_listed():
    lines = run("--list").output.splitlines()
    assert [line.split()[0] for line in lines] == list(trial_library())


def test_template_is_printed_and_runs(tmp_path):
    path, out = tmp_path / "scenario.toml", tmp_path / "out"
    path.write_text(run("--template").output, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == scenario_template()
    result = run(str(path), "--replicates", "20", "--no-truth", "--out", str(out))
    assert result.exit_code == 0, result.output
    page = (out / "index.html").read_text(encoding="utf-8")
    assert "difference of slopes (ml per year)" in page
    assert "Mean estimate, as hazard ratio" in page
    assert "Look 1: dose selection" in page


def test_files_that_are_no_text_are_told(tmp_path):
    picture = tmp_path / "x.png"
    picture.write_bytes(bytes([0x89]) + b"PNG")
    result = run(str(picture), "--out", str(tmp_path / "out"))
    assert result.exit_code == 2
    assert "x.png is no text file (TOML)" in result.output
    assert "defect" not in result.output


def test_numbers_of_trials_are_told_by_design_where_they_differ(scenario, tmp_path):
    """With no effect the error of the share is small early; at a power near a half it is not."""
    other, out = tmp_path / "other.toml", tmp_path / "out"
    text = SCENARIO.replace("<fixed>", "null").replace("slowing = 0.4", "slowing = 0.0")
    other.write_text(text, encoding="utf-8")
    asked = ("--replicates", "2000", "--target-mcse", "0.012", "--no-truth")
    assert run(str(scenario), str(other), *asked, "--out", str(out)).exit_code == 0
    page = (out / "index.html").read_text(encoding="utf-8")
    shown = re.findall(r"<dt>Simulated trials: ([^<]*)</dt><dd>([^<]*)</dd>", page)
    assert shown == [("Cord area &lt;fixed&gt;", "2,000"), ("Cord area null", "1,000")]


def test_interrupted_run_goes_on_from_its_checkpoint(scenario, tmp_path):
    kept = ("--checkpoint", str(tmp_path / "kept"), "--block-size", "20")
    whole = contents(simulated(scenario, tmp_path / "whole"))
    assert run(
        str(scenario), "--replicates", "20", "--out", str(tmp_path / "part"), *kept
    ).exit_code == 0  # fmt: skip
    blocks = {p: p.stat().st_mtime_ns for p in (tmp_path / "kept").rglob("*.parquet")}
    assert blocks
    assert contents(simulated(scenario, tmp_path / "resumed", *kept)) == whole
    assert {p: p.stat().st_mtime_ns for p in blocks} == blocks


def test_checkpoint_of_another_scenario_is_refused(scenario, tmp_path):
    kept = ("--checkpoint", str(tmp_path / "kept"))
    simulated(scenario, tmp_path / "a", *kept)
    scenario.write_text(SCENARIO.replace("0.4", "0.3"), encoding="utf-8")
    out = tmp_path / "b"
    result = run(str(scenario), "--replicates", "60", "--out", str(out), *kept)
    assert result.exit_code == 2
    assert "scenario" in result.output
    assert not out.exists()


WRONG = [
    ((), "Name a scenario file or a published trial"),
    (("ms_statt",), "Did you mean 'ms_stat'?"),
    (("nowhere.toml",), "There is no file 'nowhere.toml'"),
    (("ms_stat", "--replicates", "0"), "0 is not in the range"),
    (("ms_stat", "--workers", "0"), "0 is not in the range"),
    (("ms_stat", "--target-mcse", "-1"), "`target_mcse` must be above 0"),
    (("ms_stat", "--backend", "serial", "--workers", "4"), "one process"),
    (("ms_stat", "--scheduler", "somewhere"), "must be an address as tcp://host:8786"),
]


@pytest.mark.parametrize(("args", "told"), WRONG)
def test_wrong_calls_are_explained_and_leave_no_folder(args, told, tmp_path):
    out = tmp_path / "out"
    result = run(*args, "--out", str(out))
    assert result.exit_code == 2
    assert told in result.output
    assert "Traceback" not in result.output
    assert not out.exists()


BROKEN = [
    ("weeks = [0, 52, 104]", "weeks = [0, 104, 52]", "must start at 0 and ascend"),
    ("n_subjects = 120", "n_subject = 120", "n_subjects"),
    ("slowing = 0.4", "slowng = 0.4", "slowing"),
    ('analysis = "slope"', 'analysis = "slop"', "Did you mean 'slope'?"),
    ('method = "random_slope"', 'method = "random_slopes"', "random_slope"),
    ('measure = "cord_area_c2c3_mm2"\n\n[[an', 'measure = "edss"\n\n[[an', "edss"),
    ("[schedule]", "[schedule", "no valid TOML"),
]


@pytest.mark.parametrize(("old", "new", "told"), BROKEN)
def test_broken_scenario_files_are_explained(old, new, told, scenario, tmp_path):
    assert old in SCENARIO
    scenario.write_text(SCENARIO.replace(old, new), encoding="utf-8")
    result = run(str(scenario), "--replicates", "20", "--out", str(tmp_path / "out"))
    assert result.exit_code == 2
    assert told in result.output
    assert "defect" not in result.output


@pytest.mark.slow
def test_scheduler_that_does_not_answer_is_given_up_in_seconds(scenario, tmp_path):
    pytest.importorskip("distributed")
    start = time.monotonic()
    result = run(
        str(scenario), "--replicates", "20", "--scheduler", "tcp://127.0.0.1:1",
        "--out", str(tmp_path / "out"),
    )  # fmt: skip
    assert result.exit_code == 2
    assert "No Dask scheduler answers" in result.output
    assert time.monotonic() - start < SECONDS_TO_GIVE_UP
