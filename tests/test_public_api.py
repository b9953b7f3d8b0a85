"""What the packages export, and that every Result honours the contract."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
from typing import Any

import pytest
from public_objects import (
    PACKAGES,
    module_names,
    packages,
    public_definitions,
    public_members,
    subclasses,
)

import pmsstats
from pmsstats import errors
from pmsstats.results import Exclusion, Result

DEFINITIONS = public_definitions()
MEMBERS = [
    (f"{path}.{name}", member)
    for path, owner in DEFINITIONS.items()
    if inspect.isclass(owner)
    for name, member in public_members(owner).items()
]
# A base that several kinds of results share may leave part of the contract to them.
RESULTS = [r for r in subclasses(Result) if not (inspect.isabstract(r) and r.__subclasses__())]
ERRORS = subclasses(errors.PMSStatsError)
CONTRACT = ("headline", "table", "plot", "to_dict")
SCHEMA = re.compile(r'"schema": "(?P<name>[a-z0-9_]+)/(?P<version>[1-9][0-9]*)"')

each_result = pytest.mark.parametrize("result", RESULTS, ids=lambda cls: cls.__name__)
each_package = pytest.mark.parametrize("package", packages(), ids=lambda module: module.__name__)


def snake_case(name: str) -> str:
    """Return ``lmm_result`` for ``LMMResult``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


@pytest.mark.parametrize(
    ("name", "expected"),
    [("LMMResult", "lmm_result"), ("CohortSummary", "cohort_summary"), ("KM2Result", "km2_result")],
)
def test_snake_case(name: str, expected: str) -> None:
    assert snake_case(name) == expected


def test_something_was_discovered() -> None:
    assert DEFINITIONS
    assert MEMBERS
    assert RESULTS
    assert ERRORS


@pytest.mark.parametrize("name", module_names())
def test_module_imports_without_r_and_says_what_it_is_for(name: str) -> None:
    module = importlib.import_module(name)
    assert (module.__doc__ or "").strip() not in {"", "TODO."}


@each_package
def test_exported_names_exist_and_stand_there_once(package: Any) -> None:
    exported = list(package.__all__)
    assert [name for name in exported if not hasattr(package, name)] == []
    assert len(exported) == len(set(exported))
    assert not any(name.startswith("_") and name != "__version__" for name in exported)


@pytest.mark.parametrize("package", PACKAGES)
def test_package_exports_something(package: str) -> None:
    assert importlib.import_module(package).__all__


def test_public_face_holds_only_exports_and_rooms() -> None:
    names = {name for name, value in vars(pmsstats).items() if not inspect.ismodule(value)}
    assert {name for name in names if not name.startswith("_")} - {"annotations"} <= set(
        pmsstats.__all__
    )


@pytest.mark.parametrize("path", DEFINITIONS)
def test_definition_is_documented(path: str) -> None:
    assert (DEFINITIONS[path].__doc__ or "").strip()


@pytest.mark.parametrize(("path", "member"), MEMBERS, ids=[path for path, _ in MEMBERS])
def test_member_is_documented(path: str, member: Any) -> None:
    assert (member.__doc__ or "").strip(), path


@pytest.mark.parametrize("error", ERRORS, ids=lambda cls: cls.__name__)
def test_error_is_also_a_builtin_one(error: type[Exception]) -> None:
    builtin = (ValueError, RuntimeError, ImportError)
    assert issubclass(error, builtin)


@each_result
def test_result_is_a_frozen_dataclass(result: type) -> None:
    assert dataclasses.is_dataclass(result)
    options = result.__dataclass_params__
    assert options.frozen
    assert all(field.kw_only for field in dataclasses.fields(result))
    assert not options.eq, "it holds frames: no =="
    assert not options.repr, "Result shows it"


@each_result
def test_result_declares_its_exclusions(result: type) -> None:
    fields = {field.name: field for field in dataclasses.fields(result)}
    assert fields["exclusions"].default == ()
    assert Exclusion.__name__ in str(fields["exclusions"].type)


@each_result
@pytest.mark.parametrize("method", CONTRACT)
def test_result_gives_the_whole_contract(result: type, method: str) -> None:
    assert not inspect.isabstract(result)
    assert getattr(result, method) is not getattr(Result, method)


@each_result
@pytest.mark.parametrize("method", ["__str__", "__repr__", "_repr_html_"])
def test_result_leaves_display_to_the_base(result: type, method: str) -> None:
    assert getattr(result, method) is getattr(Result, method)


@each_result
def test_result_draws_on_given_axes(result: type) -> None:
    parameter = inspect.signature(result.plot).parameters["ax"]
    assert parameter.kind is inspect.Parameter.KEYWORD_ONLY
    assert parameter.default is None


@each_result
@pytest.mark.parametrize("method", ["headline", "table", "to_dict"])
def test_result_answers_without_arguments(result: type, method: str) -> None:
    required = [
        parameter.name
        for parameter in inspect.signature(getattr(result, method)).parameters.values()
        if parameter.default is inspect.Parameter.empty and parameter.name != "self"
    ]
    assert required == []


@each_result
def test_result_names_the_layout_of_its_dict(result: type) -> None:
    code = inspect.getsource(result.to_dict).rsplit('"""', 1)[-1]
    named = SCHEMA.search(code)
    assert named
    assert named["name"] == snake_case(result.__name__)
