"""Who may import whom: the contracts of pyproject.toml hold, and would notice if they did not."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from public_objects import PACKAGES, ROOT, module_names

LINT = "from importlinter.cli import lint_imports_command as run; run()"
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"][
    "importlinter"
]["contracts"]
R_BRIDGE = ("rpy2", "pymer4", "polars")
# Rooms whose Results the report shows; it never sees the rooms themselves.
COMPUTING = ("endpoints", "models", "imaging", "power", "surrogacy", "association", "validation",
             "multiverse", "trials")  # fmt: skip
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", LINT, "--no-cache", "--no-logo"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def imports_at_the_top(path: Path) -> Iterator[str]:
    """Yield the packages that a file imports when it is itself imported."""
    waiting: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        match node:
            case ast.Import(names=names):
                yield from (alias.name.split(".")[0] for alias in names)
            case ast.ImportFrom(module=str(module)):
                yield module.split(".")[0]
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                continue
            case _:
                waiting += ast.iter_child_nodes(node)


def names_imported_from(path: Path, module: str) -> set[str]:
    tree = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    nodes = [node for node in tree if isinstance(node, ast.ImportFrom) and node.module == module]
    return {alias.name for node in nodes for alias in node.names}


@pytest.fixture
def copy_of_sources(tmp_path: Path) -> Path:
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, tmp_path / package, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_contracts_hold() -> None:
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("file", "line", "contract"),
    [
        ("pmsstats/cohort/intruder.py", "import pmsstats.endpoints", "rooms"),
        ("pmsstats/plots/intruder.py", "import pmsstats.evidence", "rooms"),
        ("pmsstats/errors.py", "import pmsstats.results", "rooms"),
        ("pmsstats/helpers.py", "", "rooms"),
        ("pmsstats/study/intruder.py", "from pmsstats import fit_lmm", "facade"),
        ("synthetic/intruder.py", "import pmsstats.endpoints", "synthetic-imports"),
        ("synthetic/intruder.py", "import pmsstats.results", "synthetic-imports"),
        ("synthetic/intruder.py", "import pmsstats", "facade"),
        ("pmsstats/study/intruder.py", "import synthetic", "synthetic-importers"),
        ("pmsstats/report/intruder.py", "import pmsstats.models", "report"),
        ("pmsstats/report/intruder.py", "import pmsstats.endpoints", "report"),
        ("pmsstats/plots/intruder.py", "import pmsstats.models", "plots"),
        ("pmsstats/plots/intruder.py", "import lifelines", "plots"),
        ("pmsstats/models/intruder.py", "import lifelines", "engines"),
        ("pmsstats/models/intruder.py", "from statsmodels.api import OLS", "engines"),
        ("pmsstats/association/intruder.py", "import rpy2", "engines"),
        ("synthetic/intruder.py", "import pymer4", "engines"),
    ],
)
def test_violation_is_noticed(copy_of_sources: Path, file: str, line: str, contract: str) -> None:
    path = copy_of_sources / file
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    path.write_text(f"{before}\n{line}\n", encoding="utf-8")
    done = lint_imports(copy_of_sources)
    name = next(entry["name"] for entry in CONTRACTS if entry["id"] == contract)
    assert done.returncode != 0
    assert f"{name} BROKEN" in " ".join(done.stdout.split())


def test_report_is_kept_from_every_room_that_computes() -> None:
    report = next(entry for entry in CONTRACTS if entry["id"] == "report")
    existing = {f"pmsstats.{room}" for room in COMPUTING} & set(module_names())
    assert existing
    assert set(report["forbidden_modules"]) == existing


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_file_imports_no_r_at_the_top(path: Path) -> None:
    assert set(imports_at_the_top(path)).isdisjoint(R_BRIDGE)


@pytest.mark.parametrize(
    "path", sorted((ROOT / "pmsstats/plots").glob("*.py")), ids=lambda p: p.name
)
def test_plots_take_only_number_formats_from_results(path: Path) -> None:
    names = names_imported_from(path, "pmsstats.results")
    assert {name for name in names if not name.startswith("format_")} == set()


def test_importing_the_package_loads_no_r() -> None:
    probe = f"import pmsstats, sys; print(sorted(set({R_BRIDGE!r}) & set(sys.modules)))"
    command = [sys.executable, "-c", probe]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
