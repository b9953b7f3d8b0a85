"""The result contract: display, exclusions, plain JSON."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from pmsstats.results import (
    Exclusion,
    Result,
    exclude,
    exclusions_table,
    format_interval,
    format_number,
    format_p_value,
    to_plain,
)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class _Toy(Result):
    frame: pd.DataFrame
    exclusions: tuple[Exclusion, ...] = ()

    def headline(self):
        return "Slope of <b>thalamus</b> & cord"

    def table(self):
        return self.frame.copy()

    def plot(self, *, ax=None, **kws):
        return (plt.gca() if ax is None else ax, kws)[0]

    def to_dict(self):
        return {"schema": "toy/1", "rows": to_plain(self.frame)}


@pytest.fixture
def toy():
    frame = pd.DataFrame({"term": ["<script>x</script>"], "estimate": [1 / 3], "p_value": [2e-9]})
    return _Toy(frame=frame, exclusions=exclude("endpoint", "subject", "no baseline", ["S2", "S2"]))


def test_html_display_escapes_labels_and_headline(toy):
    shown = toy._repr_html_()
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown
    assert "<b>" not in shown


def test_text_display_rounds_but_the_table_does_not(toy):
    assert "0.3333" in str(toy)
    assert "<0.001" in str(toy)
    assert toy.table().loc[0, "estimate"] == 1 / 3
    assert repr(toy) == "<_Toy: Slope of <b>thalamus</b> & cord>"


def test_table_is_a_fresh_copy(toy):
    given_out = toy.table()
    given_out.loc[0, "estimate"] = 99.0
    assert toy.table().loc[0, "estimate"] == 1 / 3


def test_exclusions_count_units_and_name_each_subject_once(toy):
    row = toy.excluded().iloc[0]
    assert (row["n"], row["n_subjects"], row["first_subjects"]) == (2, 1, "S2")


def test_nothing_excluded_leaves_no_record():
    assert exclude("endpoint", "subject", "no baseline", []) == ()
    assert list(exclusions_table(()).columns)[:4] == ["stage", "unit", "reason", "n"]


# Expected text worked out by hand from the rule "significant digits, never in exponent form
# between 1e-4 and 1e9".
NUMBERS = [
    (0.0, "0"),
    (-0.0001234, "-0.0001234"),
    (0.00001234, "1.234e-05"),
    (123456.7, "123457"),
    (99.996, "100.00"),
    (7, "7"),
    (np.int64(7), "7"),
    (True, "yes"),
    (math.nan, "\u2013"),
    (None, "\u2013"),
    (pd.NA, "\u2013"),
    (math.inf, "\u221e"),
    (-math.inf, "-\u221e"),
    ("text", "text"),
]


@pytest.mark.parametrize(("value", "text"), NUMBERS)
def test_format_number(value, text):
    assert format_number(value) == text


INTERVALS = [
    ((-0.6234, -0.7123, -0.5345), "-0.623 (-0.712 to -0.534)"),
    ((1.42, 1.08, 12.6), "1.4 (1.1 to 12.6)"),
    ((0.012, -3.4, 3.5), "0.012 (-3.400 to 3.500)"),
    ((0.0, 0.0, 0.0), "0 (0 to 0)"),
    ((math.nan, 0.0, 1.0), "\u2013"),
    ((2.5, 1.0, math.inf), "2.50 (1.00 to \u221e)"),
    ((1.5e-7, 1e-7, 2e-7), "1.50e-07 (1.00e-07 to 2.00e-07)"),
]


@pytest.mark.parametrize(("values", "text"), INTERVALS)
def test_format_interval_gives_all_three_the_same_decimals(values, text):
    assert format_interval(*values) == text


@pytest.mark.parametrize(
    ("p_value", "text"), [(0.05, "0.050"), (0.0009999, "<0.001"), (math.nan, "\u2013")]
)
def test_format_p_value(p_value, text):
    assert format_p_value(p_value) == text


def test_to_plain_survives_a_json_round_trip():
    value = {
        "array": np.array([[1.5, np.nan], [np.inf, -np.inf]]),
        "frame": pd.DataFrame({"a": [1, 2], "b": pd.Categorical(["x", "y"])}),
        "when": pd.Timestamp("2020-02-03"),
        "missing": [None, pd.NA, pd.NaT],
        "flag": np.bool_(True),
        "record": Exclusion(stage="s", unit="row", reason="r", n=1),
    }
    plain = to_plain(value)
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert plain["array"] == [[1.5, None], ["inf", "-inf"]]
    assert plain["frame"] == [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]
    assert plain["missing"] == [None, None, None]
    assert plain["record"]["reason"] == "r"


def test_to_plain_refuses_what_has_no_plain_form():
    with pytest.raises(TypeError, match="object has no plain JSON form"):
        to_plain({"x": object()})


def test_long_tables_are_cut_in_display_only():
    frame = pd.DataFrame({"subject_id": [f"S{i:03d}" for i in range(200)]})
    long = _Toy(frame=frame)
    for shown in (str(long), long._repr_html_()):
        assert "first 10 of 200 rows" in shown
        assert "S009" in shown
        assert "S010" not in shown
    assert len(long.table()) == 200
