"""The scenario file with every key. Witness: the dataclasses and the words that they allow."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import tomllib
from importlib import import_module, resources
from typing import Literal, get_args, get_origin, get_type_hints

import pytest

from pmsstats.power.spending import CLASSICAL, SPENDING_FAMILIES
from pmsstats.trials import (
    Scenario,
    read_scenario,
    scenario_from_dict,
    scenario_template,
    simulate_trials,
)
from pmsstats.trials import scenario as parts
from pmsstats.trials.analyses.options import COMMON_OPTIONS
from pmsstats.trials.questions import TRIAL_OPTIONS
from pmsstats.trials.rules import RULE_OPTIONS
from synthetic import generate_trials

TEMPLATE = scenario_template()
LINES = TEMPLATE.splitlines()
SCENARIO = scenario_from_dict(tomllib.loads(TEMPLATE))
PARTS = [
    value for name, value in vars(parts).items()
    if name in parts.__all__ and dataclasses.is_dataclass(value)
]  # fmt: skip
FIELDS = [(part, field.name) for part in PARTS for field in dataclasses.fields(part)]
CHOICES = sorted(
    {
        str(word)
        for part in PARTS
        for hint in get_type_hints(part).values()
        for kind in (hint, *get_args(hint))
        if get_origin(kind) is Literal
        for word in get_args(kind)
    }
    | {*CLASSICAL, *SPENDING_FAMILIES, "none"}
)
FOLDER = resources.files("pmsstats.trials.analyses")
MODULES = [
    import_module(f"pmsstats.trials.analyses.{file.name[:-3]}")
    for file in FOLDER.iterdir()
    if file.name.endswith(".py")
]
OF_METHODS = sorted(
    {
        str(argument.value)
        for module in MODULES
        for call in ast.walk(ast.parse(inspect.getsource(module)))
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "check_options"
        for argument in call.args[1:]
        if isinstance(argument, ast.Constant)
    }
)
OPTIONS = sorted({*OF_METHODS, *COMMON_OPTIONS, *TRIAL_OPTIONS, *sum(RULE_OPTIONS.values(), ())})

KEY = re.compile(r"#(\w+) = ")
COMMENTED = [i for i, line in enumerate(LINES) if KEY.match(line)]
SECTION = LINES.index("#[[intercurrent]]")
OF_SECTION = range(SECTION, LINES.index("", SECTION))
ALONE = [i for i in COMMENTED if i not in OF_SECTION]
NEEDS = {
    "boundary_parameter": ('#boundary = "none"', 'boundary = "wang_tsiatis"'),
    "final_value": ('#final = "followed"', 'final = "events"'),
}
"""Keys that go with another value of the key before them."""


def with_keys(lines: range | list[int]) -> str:
    """Return the template with some of its comments made keys."""
    return "\n".join(line[1:] if i in lines else line for i, line in enumerate(LINES))


def test_it_runs_as_it_stands(tmp_path):
    path = tmp_path / "scenario.toml"
    path.write_text(TEMPLATE, encoding="utf-8")
    result = simulate_trials(read_scenario(path), generate_trials, 20, 1, truth=False)
    assert len(result.trials) == 20
    assert not result.trials["failed"].any()
    assert [look.rule for look in SCENARIO.interims] == ["select_arms"]
    assert len(SCENARIO.arms) == 3
    assert SCENARIO.analysis(SCENARIO.decision.analysis).method == "log_rank"


def test_something_was_found_to_check():
    assert len(PARTS) == 11
    assert len(FIELDS) > 60
    assert {"random_slope", "dunnett", "mcar", "ld_pocock", "sample_size"} <= set(CHOICES)
    assert {"covariance", "missing", "by", "margin", "keep"} <= set(OPTIONS)
    assert len(ALONE) > 25


@pytest.mark.parametrize(
    ("part", "name"), FIELDS, ids=lambda value: getattr(value, "__name__", value)
)
def test_every_field_is_there(part, name):
    """A key, an open or a commented one, or a section."""
    pattern = rf"(?m)^#?(\[+{name}\]+$|{name} = )"
    assert re.search(pattern, TEMPLATE), name


@pytest.mark.parametrize("word", CHOICES)
def test_every_choice_is_named(word):
    assert f'"{word}"' in TEMPLATE


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_is_named(option):
    assert re.search(rf"\b{option}\b", TEMPLATE)


@pytest.mark.parametrize("i", ALONE, ids=lambda i: KEY.match(LINES[i])[1])
def test_a_commented_key_is_taken(i):
    """Alone, or with the value of another key that it goes with."""
    old, new = NEEDS.get(KEY.match(LINES[i])[1], ("", ""))
    content = tomllib.loads(with_keys([i]).replace(old, new))
    assert isinstance(scenario_from_dict(content), Scenario)


DEFAULTS = [i for i in ALONE if "# e.g." not in LINES[i]]


@pytest.mark.parametrize("i", DEFAULTS, ids=lambda i: KEY.match(LINES[i])[1])
def test_a_commented_key_shows_its_default(i):
    assert scenario_from_dict(tomllib.loads(with_keys([i]))) == SCENARIO


def test_all_defaults_may_be_given_together():
    assert len(DEFAULTS) > 20
    assert scenario_from_dict(tomllib.loads(with_keys(DEFAULTS))) == SCENARIO


def test_the_commented_section_is_taken():
    (event,) = scenario_from_dict(tomllib.loads(with_keys(OF_SECTION))).intercurrent
    plain = parts.IntercurrentEvent(rate=0.05, rates={"high dose": 0.08})
    assert event == plain


def test_lines_fit_a_terminal():
    assert max(map(len, LINES)) <= 100
