"""Build notebooks/NN_topic.ipynb, without outputs, from each notebooks/NN_topic.py.

The same source gives the same bytes: cells are numbered, where jupytext alone would give them
random ids. Called by `make notebooks`.
"""

from __future__ import annotations

from pathlib import Path

import jupytext
import nbformat

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def build(source: Path) -> Path:
    """Write the notebook of one source file beside it, and return its path."""
    notebook = jupytext.read(source)
    for number, cell in enumerate(notebook.cells, start=1):
        cell["id"] = f"cell-{number:02d}"
    notebook.metadata = {"kernelspec": KERNEL}
    nbformat.validate(notebook)
    target = source.with_suffix(".ipynb")
    target.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")
    return target


if __name__ == "__main__":
    for path in sorted(NOTEBOOKS.glob("*.py")):
        print(build(path).relative_to(NOTEBOOKS.parent))
