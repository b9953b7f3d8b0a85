"""Study files: what is refused, and in which words."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from pmsstats.endpoints import ExitEventRule, ProgressionRule, rule_from_dict
from pmsstats.errors import SchemaError
from pmsstats.study import read_study

VALID = """
title = "A study"
[tables]
subjects = "subjects.csv"
visits = "visits.csv"
[measures.nwbv]
label = "Brain volume"
worsening = "lower"
[analysis]
measure = "nwbv"
outcome = "cdp12"
group = "diagnosis"
groups = ["control", "case"]
covariates = ["age_years"]
"""


def study_file(folder, text):
    path = folder / "study.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_valid_study_is_read_whole(tmp_path):
    spec = read_study(study_file(tmp_path, VALID))
    assert (spec.title, spec.source) == ("A study", "study.toml")
    assert spec.analysis.groups == ("control", "case")
    assert spec.analysis.covariates == ("age_years",)
    assert isinstance(spec.analysis.outcome, ProgressionRule)
    assert spec.mapping.dictionary["nwbv"].worsening == "lower"


def test_title_defaults_to_the_name_of_the_file(tmp_path):
    assert read_study(study_file(tmp_path, VALID.replace('title = "A study"', ""))).title == "study"


def test_byte_order_mark_is_harmless(tmp_path):
    path = tmp_path / "study.toml"
    path.write_bytes(b"\xef\xbb\xbf" + VALID.encode())
    assert read_study(path).title == "A study"


def test_outcome_table_becomes_a_rule(tmp_path):
    table = 'outcome = { kind = "exit", reasons = ["death"] }'
    spec = read_study(study_file(tmp_path, VALID.replace('outcome = "cdp12"', table)))
    assert isinstance(spec.analysis.outcome, ExitEventRule)


def test_own_measure_tells_the_direction_of_an_outcome(tmp_path):
    table = 'outcome = { measure = "nwbv", change = 0.05 }'
    spec = read_study(study_file(tmp_path, VALID.replace('outcome = "cdp12"', table)))
    assert spec.analysis.outcome.direction == "decrease"


# What is changed in VALID, and words that a newcomer needs to find in the message.
BROKEN = [
    ('title = "A study"', "titel = 'x'", ["'titel'", "Did you mean 'title'?"]),
    ('title = "A study"', "title = 3", ["`title`", "text in quotes", "3"]),
    ('title = "A study"', "title = A study", ["not valid TOML", "line 2"]),
    ('measure = "nwbv"', "", ["[analysis]", "needs `measure`"]),
    ('measure = "nwbv"', "measure = 4", ["`measure`", "text in quotes", "4"]),
    ('outcome = "cdp12"', 'outcome = "cdp21"', ["cdp21", "Did you mean 'cdp"]),
    ('outcome = "cdp12"', "outcome = 12", ["`outcome`", "12"]),
    ('outcome = "cdp12"', 'outcome = {kind = "exits"}', ["exits", "Did you mean 'exit'?"]),
    ('group = "diagnosis"', "", ["`groups`", "without `group`"]),
    ('group = "diagnosis"', 'grup = "diagnosis"', ["'grup'", "Did you mean 'group'?"]),
    ('["age_years"]', '"age_years"', ["`covariates`", "a list"]),
    ('["age_years"]', '["age_years", 3]', ["covariates", "text in quotes", "3"]),
    ('["age_years"]', '["diagnosis"]', ["'diagnosis'", "both `group` and"]),
    ('["age_years"]', '["age_years"]\nengine = "lmer"', ["`engine`", "lme4"]),
    ('["age_years"]', '["age_years"]\nconf_level = 95.0', ["`conf_level`", "Write 0.95"]),
    ('subjects = "subjects.csv"', "", ["subjects"]),
    ('worsening = "lower"', 'worsening = "down"', ["worsening", "down", "lower"]),
]


@pytest.mark.parametrize(("old", "new", "words"), BROKEN)
def test_broken_study_is_explained(tmp_path, old, new, words):
    assert old in VALID
    with pytest.raises(SchemaError) as caught:
        read_study(study_file(tmp_path, VALID.replace(old, new)))
    message = str(caught.value)
    assert [word for word in words if word not in message] == []
    assert "pydantic" not in message


def test_all_problems_are_told_at_once(tmp_path):
    text = VALID.replace("title =", "titel =").replace('measure = "nwbv"', "measure = 4")
    with pytest.raises(SchemaError) as caught:
        read_study(study_file(tmp_path, text.replace('visits = "visits.csv"', "visits = 3")))
    message = str(caught.value)
    assert "3 problems" in message
    assert [word for word in ("'titel'", "`measure`", "`visits`") if word not in message] == []


def test_missing_study_suggests_its_neighbour(tmp_path):
    study_file(tmp_path, VALID)
    with pytest.raises(SchemaError, match=r"Did you mean 'study\.toml'\?"):
        read_study(tmp_path / "studdy.toml")


def test_study_that_is_no_text_is_explained(tmp_path):
    path = tmp_path / "study.toml"
    path.write_bytes(b"\xff\xfe\x00title")
    with pytest.raises(SchemaError, match="not UTF-8"):
        read_study(path)


README_BLOCKS = re.findall(
    r"```toml\n(.*?)```",
    (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8"),
    re.DOTALL,
)


def test_the_study_of_the_readme_can_be_read(tmp_path):
    spec = read_study(study_file(tmp_path, README_BLOCKS[0]))
    assert spec.analysis.group == "phenotype"
    assert spec.mapping.columns["visits"]["thalamus_ml"].unit == "mm3"


@pytest.mark.parametrize(
    ("block", "name"), list(zip(README_BLOCKS[1:], ["cdp24_modified", "cdp_or_sdmt"], strict=True))
)
def test_the_endpoints_of_the_readme_can_be_read(block, name):
    assert rule_from_dict(tomllib.loads(block)["analysis"]["outcome"]).name == name
