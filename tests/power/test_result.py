"""The answer of a closed form shows, tabulates, draws and stores itself."""

from __future__ import annotations

import json

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from properties import assert_result_contract

from pmsstats.errors import DesignError
from pmsstats.power.change import power_change
from pmsstats.power.combination import power_combination
from pmsstats.power.counts import power_counts
from pmsstats.power.log_rank import power_log_rank
from pmsstats.power.mmrm import power_mmrm
from pmsstats.power.multiplicity import power_multiple
from pmsstats.power.proportion import power_proportion
from pmsstats.power.result import PowerResult
from pmsstats.power.schedule import VisitSchedule
from pmsstats.power.slope import power_slope
from pmsstats.power.slope_variance import SlopeModel
from pmsstats.power.visit_covariance import VisitCovariance

PAIR = (30, 50)
SCHEDULE = VisitSchedule(years=(0.0, 0.5, 1.0, 1.25, 2.0))
MODEL = SlopeModel(slope_sd=0.5, residual_sd=0.6, intercept_sd=1.0, correlation=0.3)
COVARIANCE = VisitCovariance.cs(sd=1.0, correlation=0.5, n_visits=3)

CURVE = pd.DataFrame(
    {
        "n": [20.0, 40.0, 60.0] * 3,
        "effect": [0.375] * 3 + [0.5] * 3 + [0.625] * 3,
        "power": [0.2, 0.4, 0.5, 0.3, 0.6, 0.8, 0.5, 0.8, 0.9],
    }
)


def result(**kws) -> PowerResult:
    given = {
        "method": "slopes",
        "solved_for": "n",
        "value": 59.2,
        "n": (30, 31),
        "power": 0.8049,
        "alpha": 0.05,
        "sides": 2,
        "effect": 0.5,
        "effect_unit": "ml per year",
        "assumptions": "two arms, SD 1 ml.",
        "inputs": (("effect", 0.5), ("sd", (1.0, 1.0))),
        "curve": CURVE,
        "details": (("df", 59.0, ""),),
    }
    return PowerResult(**given | kws)


@pytest.mark.parametrize(
    ("kws", "words"),
    [
        ({}, "61 subjects (30 + 31) give 80.5 % power to find an effect of 0.5 ml per year."),
        ({"solved_for": "power"}, "61 subjects (30 + 31) give 80.5 % power to find an effect of"),
        ({"solved_for": "effect"}, "With 61 subjects (30 + 31), the effect found with 80.5 % powe"),
        ({"solved_for": "duration", "value": 1.754}, "of 0.5 ml per year takes 1.75 years."),
        ({"solved_for": "duration", "value": 1.0}, "of 0.5 ml per year takes 1 year."),
        ({"solved_for": "n_scans", "value": 3.2}, "takes 4 scans of each subject."),
        ({"n": (61,)}, "61 subjects give 80.5 % power"),
        ({"n": (20, 20, 21)}, "61 subjects (20 + 20 + 21) give"),
        (
            {"n_interval": (40.2, 95.1)},
            "ml per year (95 % interval from the pilot data: 41 to 96 subjects). Two arms",
        ),
    ],
)
def test_headline_says_what_was_solved_for(kws, words):
    headline = result(**kws).headline()
    assert words in headline
    assert headline.endswith("Two arms, SD 1 ml.")


def test_table_has_units():
    table = result(n_interval=(40.2, float("inf"))).table().set_index("quantity")
    assert table.loc["n", "value"] == 61
    assert table.loc["n_unrounded", "value"] == 59.2
    assert table.loc[["n_low", "n_high"], "value"].tolist() == [40.2, float("inf")]
    assert table.loc[["n_reference", "n_treated"], "value"].tolist() == [30, 31]
    assert table.loc["effect", "unit"] == "ml per year"
    assert table.loc["df", "value"] == 59
    three = result(n=(20, 20, 21)).table()["quantity"].tolist()
    assert {"n_arm_1", "n_arm_2", "n_arm_3"} <= set(three)


def test_what_was_solved_for_stands_in_the_table_once():
    solved = result(solved_for="duration", value=1.75).table()
    assert solved[solved["quantity"] == "duration"]["unit"].tolist() == ["years"]
    told = result(solved_for="duration", value=1.75, details=(("duration", 1.75, "years"),)).table()
    assert (told["quantity"] == "duration").sum() == 1


def test_contract():
    for solved_for in ("n", "power", "effect", "duration", "n_scans"):
        assert_result_contract(result(solved_for=solved_for))
    assert_result_contract(result(n_interval=(40.0, float("inf")), origin="synthetic"))


def test_dictionary_keeps_inputs_by_name():
    plain = json.loads(json.dumps(result().to_dict()))
    assert plain["schema"] == "power_result/1"
    assert plain["inputs"] == {"effect": 0.5, "sd": [1.0, 1.0]}
    assert plain["details"] == [{"quantity": "df", "value": 59.0, "unit": ""}]
    assert plain["n"] == [30, 31]


def test_figure_marks_the_design():
    _, ax = plt.subplots()
    result(origin="synthetic").plot(ax=ax)
    (mark,) = [line for line in ax.lines if line.get_gid() == "mark"]
    assert (mark.get_xdata()[0], mark.get_ydata()[0]) == (61, 0.8049)
    assert len([line for line in ax.lines if line.get_gid() == "curve"]) == 3
    assert ax.get_title(loc="right") == "synthetic data"
    assert "effect (ml per year) 0.5" in [t.get_text() for t in ax.get_legend().get_texts()]
    plt.close("all")


def test_origin_is_checked():
    with pytest.raises(DesignError, match="`origin` must be"):
        result(origin="made up")


ANY_DESIGN = [
    lambda n: power_change(n=n, effect=0.5, sd=1.0),
    lambda n: power_proportion(n=n, reference=0.3, treated=0.5),
    lambda n: power_slope(n=n, schedule=SCHEDULE, model=MODEL, effect=0.3),
    lambda n: power_mmrm(n=n, covariance=COVARIANCE, effect=0.5),
    lambda n: power_log_rank(n=n, hazard=0.2, hazard_ratio=0.5, follow_up=2.0),
    lambda n: power_counts(n=n, rate=1.0, rate_ratio=0.5, dispersion=1.0, follow_up=1.0),
    lambda n: power_multiple(n=n, effects=(0.4, 0.5)),
    lambda n: power_combination(n=n, effects=(0.4, 0.5)),
]


@pytest.mark.parametrize("design", ANY_DESIGN)
def test_arms_that_are_given_are_those_of_the_sentence(design):
    """Nobody is told of equal arms who gave 30 and 50."""
    assert "Two arms of 30 reference and 50 treated subjects" in design(PAIR).assumptions
    assert "Two arms of equal size" in design(80).assumptions
    assert "Two arms of equal size" in design(81).assumptions  # as equal as whole subjects are


@pytest.mark.parametrize("design", ANY_DESIGN)
def test_the_curve_goes_through_the_design(design):
    """Interpolated at its own number and effect, for arms that are not in the planned ratio."""
    answer = design((20, 90))
    curve = answer.curve[np.isclose(answer.curve["effect"], answer.effect)]
    found = np.interp(answer.n_total, curve["n"], curve["power"])
    assert found == pytest.approx(answer.power, abs=0.02)


@pytest.mark.parametrize(
    ("unit", "solved_for", "words"),
    [
        ("log hazard ratio", "n", "to find a hazard ratio of 1.649."),
        ("log rate ratio", "effect", "the rate ratio found with 80.5 % power is 1.649."),
        ("difference of shares", "n", "to find a difference of shares of 0.5."),
        (
            "difference of shares",
            "effect",
            "the difference of shares found with 80.5 % power is 0.5.",
        ),
        ("ml per year", "effect", "the effect found with 80.5 % power is 0.5 ml per year."),
    ],
)
def test_effects_are_said_on_their_own_scale(unit: str, solved_for: str, words: str) -> None:
    assert words in result(effect_unit=unit, solved_for=solved_for).headline()


def test_legend_shows_ratios() -> None:
    _, ax = plt.subplots()
    result(effect_unit="log hazard ratio").plot(ax=ax)
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts == ["hazard ratio 1.45", "hazard ratio 1.65", "hazard ratio 1.87"]
    plt.close("all")
