"""The mapping part of a study file: what is accepted, and what a newcomer is told otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from pmsstats.cohort.mapping import ColumnSource, TableSource, parse_mapping
from pmsstats.errors import SchemaError

TABLES = {"subjects": "people.csv", "visits": "visits.csv"}


def parse(**parts: Any) -> Any:
    """Parse a mapping that has both tables unless told otherwise."""
    return parse_mapping({"tables": TABLES, **parts}, source="study.toml")


def problems(**parts: Any) -> str:
    """Return what is said about a wrong mapping."""
    with pytest.raises(SchemaError) as caught:
        parse(**parts)
    return str(caught.value)


def test_short_forms() -> None:
    mapping = parse(columns={"visits": {"edss": "EDSS score"}})
    assert mapping.tables["visits"] == TableSource(path="visits.csv")
    assert mapping.columns["visits"]["edss"] == ColumnSource(column="EDSS score")


def test_long_forms() -> None:
    table = {
        "path": "v.xlsx", "sheet": 2, "keep": {"FLAG": "Y", "SITE": [1, 2]}, "missing": [-99, "x"],
    }  # fmt: skip
    column = {"column": "thal", "unit": "mm3"}
    mapping = parse(
        tables={"subjects": "p.csv", "visits": table}, columns={"visits": {"thalamus_ml": column}}
    )
    visits = mapping.tables["visits"]
    assert visits.keep == {"FLAG": ("Y",), "SITE": ("1", "2")}
    assert visits.missing == ("-99", "x")
    assert visits.options.sheet == 2
    assert mapping.columns["visits"]["thalamus_ml"].unit == "mm3"


def test_own_measures_join_the_dictionary() -> None:
    mapping = parse(measures={"nwbv": {"label": "Brain volume", "worsening": "lower"}})
    assert mapping.dictionary["nwbv"].worsening == "lower"
    assert "edss" in mapping.dictionary


# what is wrong, and what the message must contain
WRONG = {
    "unknown top-level key": (
        {"tabels": {}},
        ["study.toml has no key 'tabels'", "Did you mean 'tables'?"],
    ),
    "unknown table": (
        {"tables": {**TABLES, "visit": "v.csv"}},
        ["'visit' is none of subjects, visits, relapses, exits", "Did you mean 'visits'?"],
    ),
    "no visits": ({"tables": {"subjects": "p.csv"}}, ["needs `visits`", "may name the same file"]),
    "unknown key of a table": (
        {"tables": {**TABLES, "visits": {"path": "v.csv", "delimeter": ";"}}},
        ["[tables.visits] in study.toml has no key 'delimeter'", "Did you mean 'delimiter'?"],
    ),
    "no path": ({"tables": {**TABLES, "visits": {}}}, ["[tables.visits]", "needs `path`"]),
    "number as file": (
        {"tables": {**TABLES, "visits": 3}},
        ["`visits`", "text in quotes", "got 3"],
    ),
    "list as tables": ({"tables": ["a"]}, ["`tables` of study.toml must be a table", "['a']"]),
    "text as columns": ({"columns": "x"}, ["`columns` of study.toml must be a table", "'x'"]),
    "number as column": (
        {"columns": {"visits": {"edss": 3}}},
        ["`edss` of [columns.visits]", "text in quotes", "got 3"],
    ),
    "unknown key of a column": (
        {"columns": {"visits": {"edss": {"column": "E", "unti": "mm3"}}}},
        ["[columns.visits.edss]", "has no key 'unti'", "Did you mean 'unit'?"],
    ),
    "columns of no table": (
        {"columns": {"visit": {"edss": "E"}}},
        ["'visit'", "[tables] has no such table", "Did you mean 'visits'?"],
    ),
    "unknown layout": (
        {"tables": {**TABLES, "visits": {"path": "v.csv", "layout": "lang"}}},
        ["`layout` of [tables.visits]", '"wide" or "long"', "got 'lang'", "Did you mean 'long'?"],
    ),
    "sheet 1.5": (
        {"tables": {**TABLES, "visits": {"path": "v.xlsx", "sheet": 1.5}}},
        ["`sheet`", "the name or the number of a sheet", "1.5"],
    ),
    "table as missing code": (
        {"tables": {**TABLES, "visits": {"path": "v.csv", "missing": {"a": 1}}}},
        ["`missing`", "a list of values"],
    ),
    "text as length": (
        {"columns": {"visits": {"subject_id": {"column": "id", "zero_pad": "3"}}}},
        ["`zero_pad`", "a whole number", "'3'"],
    ),
    "long without parameter": (
        {"tables": {**TABLES, "visits": {"path": "v.csv", "layout": "long", "value": "v"}}},
        ['layout = "long" needs `parameter`'],
    ),
    "parameter of a wide table": (
        {"tables": {**TABLES, "visits": {"path": "v.csv", "parameter": "P"}}},
        ["`parameter` is for", 'this table is "wide"'],
    ),
    "subjects as BDS": (
        {"tables": {**TABLES, "subjects": {"path": "s.csv", "layout": "bds"}}},
        ['layout = "bds" is for visits, not for subjects'],
    ),
    "events without names": (
        {"tables": {**TABLES, "tte": {"path": "t.csv", "layout": "adtte"}}},
        ["needs `duration`", "needs `event`"],
    ),
    "unit of the wrong kind": (
        {"columns": {"visits": {"thalamus_ml": {"column": "t", "unit": "mm2"}}}},
        ["'thalamus_ml'", "'mm2' measures area", "mm3"],
    ),
    "unit of a name that is no measure": (
        {"columns": {"visits": {"thalamus_vol": {"column": "t", "unit": "mm3"}}}},
        [
            "'thalamus_vol'",
            "unknown measure: declare [measures.thalamus_vol]",
            "Did you mean 'thalamus_ml'?",
        ],
    ),
    "day and year": ({"columns": {"visits": {"day": "d", "year": "y"}}}, ["both `day` and `year`"]),
    "blank in our name": (
        {"columns": {"subjects": {"age at onset": "x"}}},
        ["'age at onset' cannot be a column name here", 'age_years = "age at onset"'],
    ),
    "format not of strptime": (
        {"columns": {"visits": {"date": {"column": "D", "format": "DD.MM.YYYY"}}}},
        ['format = "DD.MM.YYYY"', 'Write format = "%d.%m.%Y"'],
    ),
    "format in words": (
        {"columns": {"visits": {"date": {"column": "D", "format": "dd.dd.yyyy"}}}},
        ["%d day, %m month, %Y year", "excel, sas, stata"],
    ),
    "format of a number": (
        {"columns": {"visits": {"edss": {"column": "E", "format": "%Y"}}}},
        ["`format` of 'edss' is for dates"],
    ),
    "take of a visit column": (
        {"columns": {"visits": {"edss": {"column": "E", "take": "last"}}}},
        ["`take` of 'edss' is for subject columns"],
    ),
    "unknown transform": (
        {"columns": {"visits": {"edss": {"column": "E", "transform": "exp"}}}},
        ["`transform`", '"log" or "log10" or "sqrt"', "'exp'"],
    ),
    "number as label": ({"labels": {"arm": {"a": 2}}}, ["`a` of [labels.arm]", "text in quotes"]),
    "unknown field of a measure": (
        {"measures": {"nwbv": {"labl": "x"}}},
        ["[measures.nwbv] in study.toml", "'labl'", "Did you mean 'label'?"],
    ),
    "unknown origin": ({"origin": "simulated"}, ["`origin`", '"real" or "synthetic"']),
}


@pytest.mark.parametrize(("parts", "said"), WRONG.values(), ids=WRONG)
def test_wrong_mapping_is_explained(parts: dict[str, Any], said: list[str]) -> None:
    message = problems(**parts)
    for part in said:
        assert part in message
    assert "pydantic" not in message


def test_all_problems_are_told_at_once() -> None:
    message = problems(
        tables={**TABLES, "visits": {"path": "v.csv", "shet": 1}},
        columns={"visits": {"edss": 3, "sdmt": {"colum": "s"}}},
        measures={"nwbv": {"worsening": "down"}},
    )
    assert message.startswith("study.toml has 5 problems:")
    for part in ["'shet'", "`edss`", "'colum'", "needs `column`", "'down'"]:
        assert part in message
