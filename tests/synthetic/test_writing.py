"""Cohorts written piece by piece. Witness: the same cohort in memory, byte counts of files."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from pmsstats.errors import DesignError
from synthetic import generate_tables, preset, write_cohort
from synthetic.writing import PARTITION

N = PARTITION + 1500
CONFIG = preset("review").for_study(
    n_subjects=N, mix={"RRMS": 1, "SPMS": 1}, weeks=(0, 52), measures=("edss", "brain_ml"),
    conversion=True, sites=3, treatments=("placebo", "siponimod"),
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_cohort(CONFIG, 3, tmp_path_factory.mktemp("cohort") / "one")


def test_the_data_set_is_the_cohort(folder):
    tables = generate_tables(CONFIG, 3)
    names = ("subjects", "visits", "relapses", "exits")
    for name in names:
        found = pd.read_parquet(folder / name)
        expected = getattr(tables, name)
        assert list(found) == list(expected)
        found = found.astype(expected.dtypes)
        text = found.select_dtypes(object)  # missing text is read as another kind of missing
        found[list(text)] = text.where(text.notna(), None)
        pd.testing.assert_frame_equal(found, expected)
    truth = pd.read_parquet(folder / "truth_subjects")
    pd.testing.assert_frame_equal(truth.astype(tables.truth.subjects.dtypes), tables.truth.subjects)
    counts = {row["what"]: row["n"] for row in _json(folder)["attrition"]}
    assert counts["planned visits"] == 2 * N


def test_every_table_has_a_part_per_partition(folder):
    for table in ("subjects", "visits", "relapses", "exits", "truth_subjects", "truth_visits"):
        assert [p.name for p in sorted((folder / table).iterdir())] == [
            "part-00000.parquet", "part-00001.parquet"
        ]  # fmt: skip


def test_the_number_of_processes_changes_no_byte(folder, tmp_path):
    again = write_cohort(CONFIG, 3, tmp_path / "two", n_jobs=2)
    files = sorted(p.relative_to(folder) for p in folder.rglob("*.*"))
    assert len(files) == 13
    assert all((folder / f).read_bytes() == (again / f).read_bytes() for f in files)


def _json(folder):
    return json.loads((folder / "truth.json").read_text(encoding="utf-8"))


def test_truth_names_seed_and_description(folder):
    truth = _json(folder)
    assert truth["seed"] == [3]
    assert truth["spec"]["n_subjects"] == N


def test_a_folder_with_a_cohort_is_refused(folder):
    with pytest.raises(DesignError, match="must hold no cohort yet"):
        write_cohort(CONFIG, 3, folder)


def test_one_subject_can_be_written(tmp_path):
    path = write_cohort("progressive", 1, tmp_path, n_subjects=1)
    assert len(pd.read_parquet(path / "subjects")) == 1
