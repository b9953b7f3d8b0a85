"""numpydoc's validation of every public class, function, method and property.

The checks are those of ``[tool.numpydoc_validation]`` in pyproject.toml. The objects are imported
rather than parsed, so that the parameters of a dataclass are known.
"""

from __future__ import annotations

import inspect
import tomllib
from typing import Any

import pytest
from numpydoc.validate import validate
from public_objects import ROOT, public_definitions, public_members

CHECKS = frozenset(
    tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"][
        "numpydoc_validation"
    ]["checks"]
)
# The methods of Result are documented by their summary: parameters and types are the contract's.
# Nobody calls a Protocol with the arguments that its signature shows.
OF_A_CONTRACT = CHECKS - {"PR01", "RT01", "YD01"}
# "Return the number of visits." needs no section that says so again.
OF_A_RETURN = CHECKS - {"RT01"}
CONTRACT = frozenset({"headline", "table", "plot", "to_dict"})


def checks_for(name: str, value: Any) -> frozenset[str]:
    """Return the checks that apply to an object."""
    if name in CONTRACT or getattr(value, "_is_protocol", False):
        return OF_A_CONTRACT
    summary = (inspect.getdoc(value) or "").split("\n\n")[0]
    return OF_A_RETURN if summary.startswith("Return ") else CHECKS


def documented() -> dict[str, frozenset[str]]:
    """Return the dotted name of each public object with the checks that apply to it."""
    found = {}
    for path, value in public_definitions().items():
        found[path] = checks_for(path.rpartition(".")[2], value)
        members = public_members(value) if inspect.isclass(value) else {}
        found |= {f"{path}.{name}": checks_for(name, member) for name, member in members.items()}
    return found


OBJECTS = documented()


def test_something_was_discovered() -> None:
    assert OBJECTS


@pytest.mark.parametrize("path", OBJECTS)
def test_docstring_is_valid(path: str) -> None:
    problems = [(code, text) for code, text in validate(path)["errors"] if code in OBJECTS[path]]
    assert problems == []
