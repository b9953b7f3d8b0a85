"""Table 1: numbers worked by hand, rules stated, display rounded."""

from __future__ import annotations

import statistics as by_hand

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from properties import assert_result_contract
from strategies import valid_cohorts

from pmsstats.cohort.cohort import Cohort
from pmsstats.cohort.summary import TOTAL, CohortSummary, baseline_values, summarise_cohort
from pmsstats.cohort.summary_display import decimals
from pmsstats.errors import SchemaError

ROUNDING = 1e-12  # sums of a few dozen doubles, taken in another order

SUBJECTS = pd.DataFrame(
    {
        "subject_id": ["S1", "S2", "S3", "S4", "S5"],
        "arm": ["Placebo", "Placebo", "Drug", "Drug", "Drug"],
        "sex": ["F", "M", "F", "F", None],
        "age_years": [40, 50, 31, 42, None],
        "spinal": [True, False, True, True, False],
        "site_id": [f"site {i}" for i in range(5)],
    }
)
VISITS = pd.DataFrame(
    {
        "subject_id": ["S1", "S1", "S2", "S2", "S3", "S3", "S4", "S4", "S5", "S5"],
        "day": [-30, 0, 0, 731, -5, 365, 0, 1461, 0, 90],
        "edss": [3.0, 4.0, 5.0, 5.5, 6.0, 6.5, 3.5, 4.0, None, 4.0],
        "thalamus_ml": [14.0, None, 13.0, 12.8, 12.5, 12.4, 15.0, 14.5, 14.1, 14.0],
        "gd_lesion_presence": [1, 0, 0, 1, 1, 0, 0, 0, 1, 1],
        "pbvc_pct": [0, 0, 0, -0.8, 0, -0.5, 0, -2.0, 0, -0.1],
    }
)
RELAPSES = pd.DataFrame({"subject_id": ["S1", "S1", "S4"], "day": [-100, 50, 700]})
EXITS = pd.DataFrame({"subject_id": ["S2", "S4"], "day": [731, 1500], "reason": ["death", "death"]})


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    return Cohort(SUBJECTS, VISITS, RELAPSES, EXITS)


@pytest.fixture(scope="module")
def summary(cohort: Cohort) -> CohortSummary:
    return cohort.summary(by="arm")


def value(
    summary: CohortSummary, variable: str, statistic: str, group: str = TOTAL, level: str = ""
) -> float:
    """Look up one number."""
    table = summary.table()
    keys = {"variable": variable, "statistic": statistic, "group": group, "level": level}
    rows = table[np.logical_and.reduce([table[k] == v for k, v in keys.items()])]
    assert len(rows) == 1, keys
    return float(rows["value"].iloc[0])


# variable, statistic, group, level, value worked by hand from the tables above
HAND_WORKED = [
    ("n_subjects", "n", "Placebo", "", 2),
    ("n_subjects", "n", "Drug", "", 3),
    ("n_subjects", "n", TOTAL, "", 5),
    ("n_visits_total", "n", "Drug", "", 6),
    ("n_visits_total", "n", TOTAL, "", 10),
    ("age_years", "n", TOTAL, "", 4),
    ("age_years", "n_missing", TOTAL, "", 1),
    ("age_years", "mean", TOTAL, "", (40 + 50 + 31 + 42) / 4),
    ("age_years", "sd", "Placebo", "", 50**0.5),  # (5^2 + 5^2) / (2 - 1)
    ("age_years", "median", TOTAL, "", 41),
    ("age_years", "q1", TOTAL, "", 31 + 0.75 * 9),  # type 7: position 1 + 0.25 * 3 of 31 40 42 50
    ("age_years", "q3", TOTAL, "", 42 + 0.25 * 8),
    ("sex", "n", TOTAL, "F", 3),
    ("sex", "percent", TOTAL, "F", 75),  # of the four who have one
    ("sex", "n_missing", "Drug", "", 1),
    ("sex", "percent", "Drug", "F", 100),
    ("sex", "n", "Drug", "M", 0),
    ("spinal", "n", TOTAL, "yes", 3),
    ("spinal", "percent", "Placebo", "no", 50),
    ("site_id", "n", TOTAL, "site 3", 1),
    ("edss", "mean", "Placebo", "", 4.5),  # S1 at day 0, not at screening
    ("edss", "n_missing", TOTAL, "", 1),  # S5 has none at day 0
    ("edss", "mean", "Drug", "", (6.0 + 3.5) / 2),  # S3's on day 5 counts
    ("thalamus_ml", "mean", "Placebo", "", 13.5),  # S1's scan at screening counts
    ("gd_lesion_presence", "n", TOTAL, "yes", 2),
    ("gd_lesion_presence", "percent", "Drug", "yes", 200 / 3),
    ("n_visits", "median", TOTAL, "", 2),
    ("follow_up_years", "min", TOTAL, "", 0),  # S1's last visit is baseline
    ("follow_up_years", "max", TOTAL, "", 4),  # 1461 days
    ("follow_up_years", "median", TOTAL, "", 365 / 365.25),
    ("n_relapses", "mean", TOTAL, "", 2 / 5),  # the one before baseline does not count
    ("exit_reason", "n", TOTAL, "death", 2),
    ("exit_reason", "n_missing", TOTAL, "", 3),
]


@pytest.mark.parametrize(("variable", "statistic", "group", "level", "expected"), HAND_WORKED)
def test_numbers_worked_by_hand(
    summary: CohortSummary, variable: str, statistic: str, group: str, level: str, expected: float
) -> None:
    found = value(summary, variable, statistic, group, level)
    assert found == pytest.approx(expected, rel=ROUNDING)


def test_change_from_baseline_has_no_baseline_value(summary: CohortSummary) -> None:
    assert "pbvc_pct" not in set(summary.table()["variable"])


def test_counts_since_the_last_scan_have_no_baseline_value() -> None:
    """New lesions at the first scan are new since a scan that did not take place."""
    counts = {"new_t2_count": [None, 2] * 5, "active_lesion_count": [0, 1] * 5}
    visits = VISITS.assign(gd_lesion_count=[1, 0] * 5, **counts)
    variables = set(Cohort(SUBJECTS, visits).summary().table()["variable"])
    assert "gd_lesion_count" in variables
    assert variables.isdisjoint(counts)


@given(cohort=valid_cohorts)
def test_numbers_agree_with_the_standard_library(cohort: Cohort) -> None:
    summary = summarise_cohort(cohort)
    age = cohort.subjects["age_years"].tolist()
    low, middle, high = by_hand.quantiles(age, n=4, method="inclusive")
    assert value(summary, "age_years", "mean") == pytest.approx(by_hand.mean(age), rel=ROUNDING)
    assert value(summary, "age_years", "sd") == pytest.approx(
        by_hand.stdev(age), rel=1e-9, abs=1e-9
    )
    assert value(summary, "age_years", "median") == pytest.approx(middle, rel=ROUNDING)
    assert value(summary, "age_years", "q1") == pytest.approx(low, rel=ROUNDING)
    assert value(summary, "age_years", "q3") == pytest.approx(high, rel=ROUNDING)


@given(cohort=valid_cohorts)
def test_groups_add_up_to_the_total(cohort: Cohort) -> None:
    summary = summarise_cohort(cohort, by="arm")
    table = summary.table()
    counts = table[table["statistic"].isin(["n", "n_missing"])]
    keys = ["variable", "level", "statistic"]
    parts = counts[counts["group"] != TOTAL].groupby(keys)["value"].sum()
    totals = counts[counts["group"] == TOTAL].set_index(keys)["value"]
    pd.testing.assert_series_equal(parts.sort_index(), totals.sort_index())


@given(cohort=valid_cohorts)
def test_the_observation_curve_counts_last_visits(cohort: Cohort) -> None:
    curve = summarise_cohort(cohort).observation
    last = cohort.visits.groupby("subject_id")["day"].max() / 365.25
    assert curve["n_subjects"].iloc[0] == cohort.n_subjects
    assert curve["n_subjects"].iloc[-1] == 0
    for row in curve.iloc[1:].itertuples():
        assert row.n_subjects == (last > row.year).sum()


@given(cohort=valid_cohorts)
def test_a_summary_honours_the_contract(cohort: Cohort) -> None:
    assert_result_contract(summarise_cohort(cohort))


def test_a_summary_by_group_honours_the_contract(summary: CohortSummary) -> None:
    assert_result_contract(summary)


def test_the_headline_counts_groups_and_says_synthetic(summary: CohortSummary) -> None:
    assert summary.headline() == (
        "5 subjects (arm: Placebo: 2, Drug: 3) with 10 visits, followed for a median of 1.0 years "
        "(range 0.0 to 4.0)."
    )
    synthetic = Cohort(SUBJECTS, VISITS, origin="synthetic").summary()
    assert synthetic.headline().startswith("Synthetic cohort of 5 subjects with 10 visits")


def test_the_display_is_text_with_a_column_per_group(summary: CohortSummary) -> None:
    display = summary.display()
    assert display.columns.tolist() == ["Characteristic", "Statistic", "Placebo", "Drug", TOTAL]
    assert display.map(lambda cell: isinstance(cell, str)).all(axis=None)
    rows = {(r[0], r[1]): r[2:] for r in display.itertuples(index=False, name=None)}
    assert rows["Subjects", "n"] == ("2", "3", "5")
    assert rows["Age (years)", "mean (SD)"] == ("45.0 (7.1)", "36.5 (7.8)", "40.8 (7.8)")
    age = display.index[display["Characteristic"] == "Age (years)"][0]
    assert display.loc[age + 2].tolist() == ["", "missing", "0", "1", "1"]
    assert rows["Sex", "F, n (%)"] == ("1 (50)", "2 (100)", "3 (75)")
    assert rows["EDSS at baseline", "mean (SD)"] == ("4.50 (0.71)", "4.8 (1.8)", "4.6 (1.1)")
    assert rows["End of follow-up", "death, n (%)"] == ("1 (100)", "1 (100)", "2 (100)")


def test_without_groups_there_is_only_the_total(cohort: Cohort) -> None:
    summary = cohort.summary()
    assert summary.groups == ()
    assert summary.display().columns.tolist() == ["Characteristic", "Statistic", TOTAL]
    assert set(summary.table()["group"]) == {TOTAL}


def test_subjects_without_a_group_stand_in_their_own_column() -> None:
    cohort = Cohort(SUBJECTS.assign(sex=["F", "M", "F", "F", None]), VISITS)
    summary = cohort.summary(by="sex")
    assert summary.groups == ("F", "M", "(not given)")
    assert value(summary, "n_subjects", "n", "(not given)") == 1


def test_one_value_has_no_spread(summary: CohortSummary) -> None:
    one = Cohort(SUBJECTS.iloc[:2], VISITS.iloc[:4]).summary(by="sex")
    assert np.isnan(value(one, "age_years", "sd", "F"))
    display = one.display()
    assert display.loc[display["Characteristic"] == "Age (years)", "F"].tolist() == ["40 (\u2013)"]


@pytest.mark.parametrize(
    ("by", "message"),
    [
        ("arms", r"got 'arms'. Did you mean 'arm'\? It has: arm, sex"),
        ("number", r"at most 12 groups, but 'number' has 13 values"),
        ("word", r"'word' has a group called 'Total'"),
    ],
)
def test_a_grouping_that_cannot_be(by: str, message: str) -> None:
    ids = [f"S{i:02d}" for i in range(13)]
    subjects = pd.DataFrame({"subject_id": ids, "arm": ["A", "B"] * 6 + ["B"], "sex": "F"})
    subjects = subjects.assign(number=range(13), word=["Total", "x"] * 6 + ["x"])
    visits = pd.DataFrame({"subject_id": ids * 2, "day": [0] * 13 + [90] * 13})
    with pytest.raises(SchemaError, match=message):
        Cohort(subjects, visits.assign(sdmt=range(30, 56))).summary(by=by)


# day and value of one subject's visits, baseline value, why
BASELINES = [
    ([(0, 5.0), (90, 6.0)], 5.0, "day 0"),
    ([(-10, 4.0), (0, 5.0)], 5.0, "day 0 before screening"),
    ([(-10, 4.0), (0, None)], 4.0, "screening where day 0 has no value"),
    ([(-20, 4.0), (-5, 5.0)], 5.0, "the last of two before day 0"),
    ([(-20, 4.0), (1, 5.0)], 4.0, "the last before, though one after day 0 is nearer"),
    ([(-90, 4.0)], 4.0, "the first day of screening"),
    ([(1, 5.0), (90, 6.0)], None, "after baseline"),
]


@pytest.mark.parametrize(("rows", "expected", "why"), BASELINES)
def test_the_baseline_value(
    rows: list[tuple[int, float]], expected: float | None, why: str
) -> None:
    visits = pd.DataFrame(rows, columns=["day", "edss"], dtype=float).assign(subject_id="S1")
    assert baseline_values(visits, "edss").get("S1") == expected, why


@pytest.mark.parametrize(
    ("spread", "expected"),
    [(112.0, 0), (10.0, 0), (9.1, 1), (0.052, 3), (0.0, 1), (float("nan"), 1), (1e-9, 6)],
)
def test_decimals(spread: float, expected: int) -> None:
    assert decimals(spread) == expected


def test_a_plot_has_a_step_line_per_group_and_names_the_axes(summary: CohortSummary) -> None:
    ax = summary.plot()
    assert len(ax.lines) == 2
    assert ax.get_xlabel() == "Years from baseline"
    assert ax.lines[0].get_drawstyle() == "steps-post"
    assert ax.lines[0].get_ydata().tolist() == [2, 1, 0]
    assert ax.lines[1].get_ydata().tolist() == [3, 2, 1, 0]
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["Placebo (n = 2)", "Drug (n = 3)"]
    ax.figure.clear()


def test_a_plot_of_synthetic_data_says_so() -> None:
    ax = Cohort(SUBJECTS, VISITS, origin="synthetic").summary().plot()
    assert "synthetic" in ax.get_title(loc="right")
    ax.figure.clear()


def test_names_are_no_groups() -> None:
    named = Cohort(SUBJECTS.assign(Name=[f"Person {i}" for i in range(5)]), VISITS)
    assert "Name" not in set(named.summary().table()["variable"])
    with pytest.raises(SchemaError, match="looks like names or ids") as caught:
        named.summary(by="Name")
    assert "Person" not in str(caught.value)
