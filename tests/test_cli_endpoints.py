"""`pmsstats endpoints`: definitions listed, read, and derived from tables."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from pmsstats.cli import main
from pmsstats.endpoints import PRESETS, preset


def invoke(*args: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in args], catch_exceptions=False)


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    """One subject worse from day 84 on, one stable."""
    folder = tmp_path / "tables"
    folder.mkdir()
    subjects = pd.DataFrame({"subject_id": ["A", "B"]})
    visits = pd.DataFrame(
        {
            "subject_id": ["A"] * 3 + ["B"] * 3,
            "day": [0, 84, 168] * 2,
            "edss": [4.0, 5.0, 5.0, 4.0, 4.0, 4.0],
        }
    )
    subjects.to_csv(folder / "subjects.csv", index=False)
    visits.to_csv(folder / "visits.csv", index=False)
    return folder


def test_all_definitions_are_listed() -> None:
    result = invoke("endpoints", "list")
    assert [line.split()[0] for line in result.output.splitlines()] == list(PRESETS)


def test_definitions_are_searched() -> None:
    assert "spms_lorscheider2016" in invoke("endpoints", "list", "secondary").output
    assert "No endpoint holds 'xyz'" in invoke("endpoints", "list", "xyz").output


def test_a_definition_is_shown_as_a_paragraph() -> None:
    shown = invoke("endpoints", "show", "cdp24").output
    assert " ".join(shown.split()) == preset("cdp24").describe()
    assert max(len(line) for line in shown.splitlines()) <= 90


def test_an_unknown_definition_is_told_with_the_nearest() -> None:
    result = invoke("endpoints", "show", "cdp42")
    assert result.exit_code == 2
    assert "Did you mean" in result.output


def test_events_left_out_and_adtte_are_written(tables: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    rules = ("--rule", "cdp12", "--rule", "cdp24")
    result = invoke("endpoints", "derive", tables, *rules, "--adtte", "--out", out)
    assert result.exit_code == 0, result.output
    assert "1 of 2 subjects (50 %) reached 12-week confirmed EDSS progression" in result.output
    events = pd.read_csv(out / "cdp12_events.csv").set_index("subject_id")
    assert events["duration"].to_dict() == {"A": 84, "B": 168}
    assert events["event"].to_dict() == {"A": True, "B": False}
    adtte = pd.read_csv(out / "adtte.csv")
    assert adtte["AVAL"].tolist() == [84, 168, 168, 168]
    assert (adtte["CNSR"] == 0).tolist() == [True, False, False, False]
    listed = set(json.loads((out / "manifest.json").read_text(encoding="utf-8"))["outputs"])
    assert listed == {p.name for p in out.iterdir()} - {"manifest.json"}


def test_a_folder_needs_a_rule(tables: Path, tmp_path: Path) -> None:
    result = invoke("endpoints", "derive", tables, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "Give one or more with --rule" in result.output
    assert not (tmp_path / "out").exists()
