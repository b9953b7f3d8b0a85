"""What the README shows of trial design runs, and gives the numbers that stand beside it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import pmsstats as pms
from pmsstats.trials import library_trial

README = (Path(__file__).resolve().parent.parent / "README.md").read_text(encoding="utf-8")
SECTION = README.split("\n## Trial design\n")[1].split("\n## ")[0]


def block(opening: str) -> str:
    """Return the first block of the section that is opened so."""
    return SECTION.split(f"```{opening}\n")[1].split("```")[0]


def words(text: str) -> str:
    """Return a text without line ends and quotation marks."""
    return " ".join(re.sub(r"^>", "", text, flags=re.MULTILINE).split())


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return a folder to work in, with the scenario of the README."""
    name = 'toml title="scenario.toml"'
    (tmp_path / "scenario.toml").write_text(block(name), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_scenario_can_be_read(folder):
    scenario = pms.read_scenario(folder / "scenario.toml")
    assert scenario.accrual.n_subjects == 72
    assert [look.value for look in scenario.interims] == [0.5]


def test_the_closed_form_says_what_is_quoted(capsys, folder):
    code = block("python").split("scenario =")[0]
    exec(compile(code, "README", "exec"), {})  # noqa: S102 (our own text)
    answers = words(capsys.readouterr().out)
    quoted = SECTION.split("\n> ")[1].split("\n\n")[0]
    assert words(quoted) in answers


def test_the_simulation_runs(folder, capsys):
    code = block("python").replace("10_000", "40")
    exec(compile(code, "README", "exec"), {})  # noqa: S102 (our own text)
    assert re.search(r"\b40 simulated trials of .Cord atrophy in PPMS", capsys.readouterr().out)


def test_the_table_of_trials_shows_what_the_library_knows():
    rows = [line for line in SECTION.splitlines() if line.startswith("| ORATORIO")]
    assert len(rows) == 3
    for row, finding in zip(rows, library_trial("oratorio").published, strict=True):
        assert finding.what.replace("log hazard", "hazard") in row
