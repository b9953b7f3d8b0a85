"""The manifest: what ran, on which bytes, and whether the outputs are still what was written."""

from __future__ import annotations

import hashlib
import json

import pytest

from pmsstats.errors import SchemaError
from pmsstats.provenance import (
    Source,
    build_manifest,
    hash_file,
    remove_outputs,
    verify_outputs,
    write_manifest,
)


@pytest.fixture
def run(tmp_path):
    output = tmp_path / "tables" / "slopes.csv"
    output.parent.mkdir()
    output.write_bytes(b"a,b\n1,2\n")
    manifest = build_manifest(
        command=["pmsstats", "report", "study.toml"],
        spec={"measure": "thalamus_ml"},
        origin="synthetic",
        sources=[Source(name="visits.csv", sha256="0" * 64, n_rows=3, role="visits")],
        seed=1,
    )
    write_manifest(manifest, tmp_path, [output])
    return tmp_path


def test_hash_is_sha256_of_the_bytes(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"abc")
    assert hash_file(path) == hashlib.sha256(b"abc").hexdigest()


def test_manifest_lists_versions_inputs_and_outputs(run):
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["outputs"] == {"tables/slopes.csv": hashlib.sha256(b"a,b\n1,2\n").hexdigest()}
    assert manifest["inputs"][0]["name"] == "visits.csv"
    assert {"python", "numpy", "pandas"} <= set(manifest["versions"])
    assert manifest["origin"] == "synthetic"


def test_unchanged_outputs_verify(run):
    assert verify_outputs(run)["seed"] == 1


def test_changed_output_is_found(run):
    (run / "tables" / "slopes.csv").write_bytes(b"a,b\n1,3\n")
    with pytest.raises(SchemaError, match=r"1 output\(s\).*tables/slopes\.csv"):
        verify_outputs(run)


def test_missing_manifest_is_told(tmp_path):
    with pytest.raises(SchemaError, match=r"Expected a manifest\.json"):
        verify_outputs(tmp_path)


def test_only_the_written_manifest_has_a_date(run):
    built = build_manifest(command=["x"], spec={}, origin="real", sources=[])
    written = json.loads((run / "manifest.json").read_text())
    assert set(written) - set(built) == {"outputs", "written", "executable"}


def test_what_an_earlier_run_wrote_is_removed(run):
    (run / "own.txt").write_text("mine")
    removed = {path.name for path in remove_outputs(run)}
    assert removed == {"slopes.csv", "manifest.json"}
    assert (run / "own.txt").is_file()
    assert remove_outputs(run) == []


def test_a_manifest_cannot_name_files_outside_of_its_folder(tmp_path):
    outside = tmp_path / "precious.txt"
    outside.write_text("keep")
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "manifest.json").write_text(json.dumps({"outputs": {"../precious.txt": "0" * 64}}))
    remove_outputs(folder)
    assert outside.is_file()
