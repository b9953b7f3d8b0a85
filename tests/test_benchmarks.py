"""Every benchmark can be run by `make bench`, and does nothing when it is only imported."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent / "benchmarks"
BENCHMARKS = sorted(path for path in FOLDER.glob("*.py") if path.stem != "timing")  # their clock

each_benchmark = pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.stem)


def test_there_are_benchmarks() -> None:
    assert BENCHMARKS


@each_benchmark
def test_runner_finds_it_by_name(path: Path) -> None:
    assert re.fullmatch(r"bench_[a-z0-9_]+", path.stem)


@each_benchmark
def test_main_prints_the_table_and_runs_only_when_asked(path: Path) -> None:
    body = ast.parse(path.read_text(encoding="utf-8")).body
    functions = [node for node in body if isinstance(node, ast.FunctionDef)]
    main = next(node for node in functions if node.name == "main")
    assert not [*main.args.args, *main.args.kwonlyargs]
    assert ast.unparse(body[-1]) == "if __name__ == '__main__':\n    main()"
