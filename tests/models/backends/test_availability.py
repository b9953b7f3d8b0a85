"""The machine check finds what is there, says what is missing for what, and never hangs."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from properties import assert_result_contract

from pmsstats.models.backends.availability import MachineResult, examine_machine

COLUMNS = ["component", "found", "version", "needed_for", "install"]
R_COMPONENTS = [
    "R",
    "R package lme4",
    "R package lmerTest",
    "R package emmeans",
    "R package pbkrtest",
    "R package nlme",
    "R package survival",
    "bridge to R",
]
PATIENCE = 30  # seconds: far below the sleep of the hanging R, far above a slow machine's start

Fake = Callable[[str], None]


@pytest.fixture
def fake_rscript(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Put a shell script of this body on the search path in R's place."""

    def install(body: str) -> None:
        script = tmp_path / "Rscript"
        script.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
        script.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    return install


@pytest.fixture(scope="module")
def without_r(tmp_path_factory: pytest.TempPathFactory) -> MachineResult:
    """Look while R is hidden: nothing on the search path, no home of R."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(tmp_path_factory.mktemp("empty")))
        patch.delenv("R_HOME", raising=False)
        return examine_machine()


@pytest.fixture(scope="module")
def with_r() -> MachineResult:
    """Look at this machine as it is."""
    return examine_machine()


def by_component(result: MachineResult) -> pd.DataFrame:
    return result.table().set_index("component")


@pytest.mark.parametrize("component", R_COMPONENTS)
def test_without_r_each_part_is_missing_and_says_how_to_get_it(
    without_r: MachineResult, component: str
) -> None:
    row = by_component(without_r).loc[component]
    assert not row["found"]
    assert row["needed_for"]
    assert "apt-get install r-" in row["install"] or "pip install" in row["install"]


def test_without_r_the_python_parts_are_still_found(without_r: MachineResult) -> None:
    table = by_component(without_r)
    for name in ("statsmodels", "lifelines", "pyreadstat", "openpyxl", "pyarrow"):
        assert table.loc[name, "found"]
        assert table.loc[name, "version"] == importlib.metadata.version(name)
        assert table.loc[name, "install"] == ""


def test_headline_counts_and_names_what_is_missing(without_r: MachineResult) -> None:
    n_missing = int((~without_r.table()["found"]).sum())
    n_all = len(without_r.components)
    assert without_r.headline().startswith(f"{n_all - n_missing} of {n_all} components found")
    assert "R package lme4" in without_r.headline()


def test_answers_of_r_are_read_and_other_output_is_not(fake_rscript: Fake) -> None:
    fake_rscript(
        "echo 'Welcome, this profile talks'\n"
        "printf 'pmsstats-answer\\tR\\t4.9.1\\n'\n"
        "printf 'pmsstats-answer\\thome\\t/nowhere/R\\n'\n"
        "printf 'pmsstats-answer\\tlme4\\t1.2-3\\n'\n"
        "printf 'lmerTest\\t9.9\\n'"
    )
    table = by_component(examine_machine())
    assert table.loc["R", "version"] == "4.9.1"
    assert table.loc["R package lme4", "version"] == "1.2-3"
    assert not table.loc["R package lmerTest", "found"]


def test_r_that_fails_counts_as_missing(fake_rscript: Fake) -> None:
    fake_rscript("printf 'pmsstats-answer\\tR\\t4.9.1\\n'; exit 3")
    assert not by_component(examine_machine()).loc["R", "found"]


def test_r_that_hangs_counts_as_missing(fake_rscript: Fake) -> None:
    fake_rscript("exec sleep 600")
    started = time.monotonic()
    assert not by_component(examine_machine(timeout=1.0)).loc["R", "found"]
    assert time.monotonic() - started < PATIENCE


@pytest.mark.r
def test_bridge_to_another_r_is_no_bridge(fake_rscript: Fake) -> None:
    fake_rscript(
        "printf 'pmsstats-answer\\tR\\t4.9.1\\n'\nprintf 'pmsstats-answer\\thome\\t/nowhere/R\\n'"
    )
    row = by_component(examine_machine()).loc["bridge to R"]
    assert not row["found"]
    assert row["version"].endswith("but R is /nowhere/R")


@pytest.mark.r
@pytest.mark.parametrize("component", R_COMPONENTS)
def test_with_r_each_part_is_found(with_r: MachineResult, component: str) -> None:
    row = by_component(with_r).loc[component]
    assert row["found"]
    assert row["version"]
    assert row["install"] == ""


@pytest.mark.r
def test_home_of_the_bridge_is_what_r_itself_says(with_r: MachineResult) -> None:
    said = subprocess.run(["R", "RHOME"], capture_output=True, text=True, check=True)
    version = by_component(with_r).loc["bridge to R", "version"]
    assert Path(version).resolve() == Path(said.stdout.strip()).resolve()


@pytest.mark.parametrize(
    ("pymer4", "expected"), [("0.8.2", False), ("0.9.0", True), ("0.9.2", True), ("0.10.0", True)]
)
def test_new_pymer4_needs_one_more_r_package(
    monkeypatch: pytest.MonkeyPatch, pymer4: str, expected: bool
) -> None:
    monkeypatch.setenv("PATH", "")
    real = importlib.metadata.version
    monkeypatch.setattr(
        importlib.metadata, "version", lambda name: {"pymer4": pymer4}.get(name) or real(name)
    )
    components = examine_machine().table()["component"]
    assert ("R package report" in set(components)) == expected


def test_looking_loads_no_r_into_this_process() -> None:
    probe = (
        "import sys\n"
        "from pmsstats.models.backends.availability import examine_machine\n"
        "examine_machine()\n"
        "print(sorted({'rpy2', 'pymer4'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", probe]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_result_honours_the_contract(without_r: MachineResult) -> None:
    assert_result_contract(without_r)


def test_result_shows_itself(without_r: MachineResult) -> None:
    assert list(without_r.table().columns) == COLUMNS
    assert json.loads(json.dumps(without_r.to_dict()))["schema"] == "machine_result/1"
    assert without_r.headline() in str(without_r)
    assert without_r.headline() in repr(without_r)
    assert "r-cran-lme4" in without_r._repr_html_()


def test_plot_marks_each_component_once(without_r: MachineResult) -> None:
    _, ax = plt.subplots()
    assert without_r.plot(ax=ax) is ax
    labels = [tick.get_text() for tick in ax.get_yticklabels()]
    assert labels == [c.component for c in without_r.components]
    texts = [text.get_text() for text in ax.texts]
    assert texts == [c.version if c.found else "missing" for c in without_r.components]
    plt.close(ax.figure)
