"""What the public functions of the room say about other programs, and how they cite."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

import pmsstats.imaging
from pmsstats.imaging import PrecisionResult

FUNCTIONS = [
    getattr(pmsstats.imaging, name)
    for name in pmsstats.imaging.__all__
    if inspect.isfunction(getattr(pmsstats.imaging, name))
]
MODULES = sorted(Path(pmsstats.imaging.__file__).parent.glob("*.py"))


@pytest.mark.parametrize("function", [*FUNCTIONS, PrecisionResult.limits], ids=lambda f: f.__name__)
def test_every_public_function_names_the_statement_that_gives_the_same(function):
    text = inspect.getdoc(function)
    assert re.search(r"\bR( \(dplyr\))?[:,]|R or SAS statement", text)


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_citations_are_numbers(module):
    roles = re.findall(r"\[([^\[\]]+)\]_(?!\w)", module.read_text(encoding="utf-8"))
    assert [role for role in roles if not role.isdigit()] == []


def test_there_is_something_to_check():
    assert len(FUNCTIONS) > 10
    assert len(MODULES) > 20
