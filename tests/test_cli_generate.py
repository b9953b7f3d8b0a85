"""``pmsstats generate``: the files it writes and the mistakes it explains."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from pmsstats.cli import main
from pmsstats.cohort import read_cohort
from pmsstats.provenance import verify_outputs
from synthetic import PRESETS, generate_cohort

pytestmark = pytest.mark.filterwarnings("ignore::pmsstats.errors.EvidenceUncheckedWarning")


def run(*args):
    return CliRunner().invoke(main, ["generate", *map(str, args)], catch_exceptions=False)


def test_list_names_every_preset():
    lines = run("--list").output.splitlines()
    assert [line.split(":")[0] for line in lines] == list(PRESETS)


@pytest.mark.parametrize("table_format", ["csv", "parquet"])
def test_what_is_written_is_the_generated_cohort(tmp_path, table_format):
    result = run("--n", 30, "--seed", 5, "--out", tmp_path / "c", "--format", table_format)
    assert result.exit_code == 0, result.output
    assert verify_outputs(tmp_path / "c")["seed"] == 5
    again = read_cohort(tmp_path / "c")
    expected = generate_cohort("progressive", 5, n_subjects=30)
    pd.testing.assert_frame_equal(again.visits, expected.visits, check_like=True)
    assert (tmp_path / "c" / "truth" / "truth.json").is_file()


def test_measures_are_those_asked_for(tmp_path):
    result = run("--n", 20, "--measures", "edss, thalamus_ml", "--out", tmp_path / "c")
    assert result.exit_code == 0, result.output
    columns = set(read_cohort(tmp_path / "c").visits.columns)
    assert {"edss", "thalamus_ml"} <= columns
    assert "brain_ml" not in columns


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--preset", "progresive"), "Did you mean 'progressive'?"),
        (("--measures", "edss,thalamus_m"), "Did you mean 'thalamus_ml'?"),
    ],
)
def test_mistakes_are_explained_and_leave_no_folder(tmp_path, args, message):
    result = run(*args, "--out", tmp_path / "c")
    assert result.exit_code == 2
    assert message in result.output
    assert not (tmp_path / "c").exists()


def test_parts_hold_the_cohort_that_would_fit_into_memory(tmp_path):
    done = run("--n", 30, "--seed", 5, "--partitioned", "--out", tmp_path / "parts")
    assert done.exit_code == 0
    assert "30 subjects" in done.output
    expected = generate_cohort("progressive", 5, n_subjects=30)
    found = pd.read_parquet(tmp_path / "parts" / "visits")
    assert found["subject_id"].tolist() == expected.visits["subject_id"].tolist()
    np.testing.assert_array_equal(found["thalamus_ml"], expected.visits["thalamus_ml"])


def test_parts_may_be_written_again(tmp_path):
    for _ in range(2):
        done = run("--n", 20, "--partitioned", "--out", tmp_path / "parts")
        assert done.exit_code == 0, done.output


def test_tables_written_over_parts_leave_no_trace_of_them(tmp_path):
    out = tmp_path / "c"
    assert run("--n", 20, "--partitioned", "--out", out).exit_code == 0
    assert run("--n", 20, "--out", out).exit_code == 0
    assert sorted(path.name for path in out.iterdir() if path.is_dir()) == ["truth"]
