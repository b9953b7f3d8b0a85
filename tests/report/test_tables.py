"""Tables of the report: cells are formatted results, with as many decimals down a column."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from pmsstats.report import tables
from pmsstats.results import format_interval

SLOPES = pd.DataFrame(
    {
        "term": ["HC", "SPMS"],
        "n_subjects": [10, 20],
        "baseline": [8.1, 7.5],
        "estimate": [-0.041, -0.12],
        "conf_low": [-0.06, -0.15],
        "conf_high": [-0.02, -0.09],
        "percent_estimate": [-0.5, -1.6],
        "percent_conf_low": [-0.74, -2.0],
        "percent_conf_high": [-0.25, -1.2],
        "p_value": [0.034, 1e-9],
    }
)


def test_slopes_share_their_decimals():
    table = tables.slopes_table(SLOPES, unit="ml", conf_level=0.95)
    assert [row[3] for row in table.rows] == [
        "-0.0410 (-0.0600 to -0.0200)",
        "-0.1200 (-0.1500 to -0.0900)",
    ]
    assert [row[-1] for row in table.rows] == ["0.034", "<0.001"]
    assert table.columns[3] == "ml per year (95\u00a0% CI)"


@pytest.mark.parametrize(
    ("frame", "absent"),
    [
        (SLOPES.drop(columns=[c for c in SLOPES if c.startswith("percent_")]), "% of baseline"),
        (SLOPES.assign(percent_estimate=np.nan), "% of baseline"),
        (SLOPES.drop(columns="baseline"), "Baseline mean"),
    ],
)
def test_what_is_not_estimated_has_no_column(frame, absent):
    table = tables.slopes_table(frame, unit="ml", conf_level=0.95)
    assert absent not in " ".join(table.columns)
    assert {len(row) for row in table.rows} == {len(table.columns)}


def test_a_measure_without_unit():
    table = tables.slopes_table(SLOPES, unit="", conf_level=0.9)
    assert table.columns[2:4] == ("Baseline mean", "Units per year (90\u00a0% CI)")


def test_differences():
    frame = SLOPES.assign(term=["SPMS - HC", "PPMS - HC"])
    table = tables.differences_table(frame, unit="ml", conf_level=0.95)
    assert [row[0] for row in table.rows] == ["SPMS - HC", "PPMS - HC"]
    assert table.rows[0][2] == format_interval(-0.5, -0.74, -0.25)


def test_medians_are_in_years_or_not_reached():
    frame = pd.DataFrame(
        {
            "group": ["all", "B"],
            "n_subjects": [5, 6],
            "n_events": [3, 1],
            "median": [730.5, math.nan],
            "conf_low": [365.25, 400.0],
            "conf_high": [math.nan, math.nan],
        }
    )
    table = tables.progression_table(frame, conf_level=0.95)
    assert table.rows == (
        ("All subjects", "5", "3", "2.00 (1.00 to \u2013)"),
        ("B", "6", "1", "not reached"),
    )


def test_variances_are_shown_as_standard_deviations():
    components = pd.DataFrame(
        [
            ("subject_id", "intercept", None, 0.36, "variance"),
            ("subject_id", "intercept", "year", -0.02, "covariance"),
            ("subject_id", "intercept", "year", -0.5, "correlation"),
        ],
        columns=["group", "term1", "term2", "estimate", "kind"],
    )
    rows = tables.variance_table(components, 0.1, "ml").rows
    assert [(row[0], row[2], row[3]) for row in rows] == [
        ("intercept", "standard deviation", "0.6000"),  # the square root of 0.36
        ("intercept and year", "correlation", "-0.5000"),
        ("residual", "standard deviation", "0.1000"),
    ]


def test_a_method_that_was_not_estimable_says_why():
    frame = pd.DataFrame(
        {
            "method": ["two_stage", "time_varying"],
            "label": ["Two-stage Cox (predicted slopes)", "Time-varying Cox"],
            "quantity": "log hazard ratio",
            "term": ["Thalamus volume: per SD faster decline", "Thalamus volume: per SD lower"],
            "estimate": [0.4, math.nan],
            "conf_low": [0.1, math.nan],
            "conf_high": [0.7, math.nan],
            "hazard_ratio": [1.5, math.nan],
            "hazard_ratio_low": [1.1, math.nan],
            "hazard_ratio_high": [2.0, math.nan],
            "p_value": [0.01, math.nan],
            "sd": [0.04, math.nan],
            "sd_unit": ["ml/year", "ml"],
            "n_subjects": [50, 50],
            "n_events": [12, 3],
            "note": ["", "only 3 events"],
        }
    )
    table = tables.association_table(frame, conf_level=0.95)
    assert table.rows[0][1:3] == ("per SD faster decline", "1.50 (1.10 to 2.00)")
    assert table.rows[1][2:4] == ("\u2013", "\u2013")
    assert table.notes[-1].endswith("not estimable, only 3 events")


def test_the_global_test_is_shown_where_it_says_more():
    tests = pd.DataFrame(
        {
            "method": ["two_stage"] * 2 + ["time_varying"] * 3,
            "label": ["Two-stage Cox"] * 2 + ["Time-varying Cox"] * 3,
            "term": ["slope_per_sd", "global", "value_per_sd", "age_years", "global"],
            "statistic": [1.0, 1.0, 2.0, 3.0, 4.0],
            "df": [1, 1, 1, 1, 2],
            "p_value": [0.317, 0.317, 0.157, 0.083, 0.135],
        }
    )
    rows = tables.proportionality_table(tests).rows
    assert [row[1] for row in rows] == ["slope, per SD", "value, per SD", "age_years", "global"]


def test_a_correlation_stands_in_the_place_of_the_ratio():
    frame = pd.DataFrame(
        {
            "method": ["slope_correlation", "slope_correlation_corrected"],
            "label": ["Correlation of slopes (least squares)", "Correlation of slopes (bivariate)"],
            "quantity": "correlation",
            "term": "Thalamus volume: faster decline with faster increase of EDSS",
            "estimate": [0.412, math.nan],
            "conf_low": [0.1, math.nan],
            "conf_high": [0.7, math.nan],
            "hazard_ratio": math.nan,
            "hazard_ratio_low": math.nan,
            "hazard_ratio_high": math.nan,
            "p_value": [0.01, math.nan],
            "sd": math.nan,
            "sd_unit": "",
            "n_subjects": [50, 50],
            "n_events": [0, 0],
            "note": ["", "no slopes"],
        }
    )
    table = tables.association_table(frame, conf_level=0.95)
    assert table.columns[2].startswith("Hazard ratio, or correlation r")
    assert table.rows[0][2] == "r = 0.412 (0.100 to 0.700)"
    assert table.rows[1][2] == "\u2013"
    assert table.rows[0][-1] == "\u2013"  # a correlation counts no events
    assert "correlation of 0" in table.notes[0]
