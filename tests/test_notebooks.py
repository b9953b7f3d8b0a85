"""Each notebook is a pair: the source that we review, and the file that a user opens."""

from __future__ import annotations

import re
from pathlib import Path

import jupytext
import nbformat
import pytest

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
SOURCES = sorted(NOTEBOOKS.glob("*.py"))
REBUILD = "run `make notebooks`"

each_source = pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)


def cells(notebook: nbformat.NotebookNode) -> list[tuple[str, str]]:
    return [(cell.cell_type, cell.source) for cell in notebook.cells]


def code_cells(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def built_from(source: Path) -> nbformat.NotebookNode:
    return nbformat.read(source.with_suffix(".ipynb"), as_version=4)


def test_there_are_notebooks() -> None:
    assert SOURCES


def test_every_built_notebook_has_a_source() -> None:
    built = {path.stem for path in NOTEBOOKS.glob("*.ipynb")}
    assert built == {path.stem for path in SOURCES}, REBUILD


@each_source
def test_name_is_a_number_and_a_topic(source: Path) -> None:
    assert re.fullmatch(r"\d\d_[a-z0-9_]+", source.stem)


@each_source
def test_pair_has_the_same_cells(source: Path) -> None:
    assert cells(built_from(source)) == cells(jupytext.read(source)), REBUILD


@each_source
def test_built_notebook_has_no_outputs(source: Path) -> None:
    code = code_cells(built_from(source))
    assert code
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code), REBUILD


@each_source
def test_built_notebook_is_valid_and_names_its_kernel(source: Path) -> None:
    built = built_from(source)
    nbformat.validate(built)
    assert built.metadata.kernelspec.name == "python3"


@each_source
def test_source_survives_a_round_trip_through_the_notebook(source: Path) -> None:
    text = jupytext.writes(built_from(source), "py:percent")
    assert cells(jupytext.reads(text, "py:percent")) == cells(jupytext.read(source))


@each_source
def test_last_code_cell_asserts(source: Path) -> None:
    last = code_cells(jupytext.read(source))[-1]
    assert re.search(r"^assert ", last.source, flags=re.MULTILINE)
