"""Validation: every way to be wrong is reported under its rule, in exactly the wrong rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import BREAKERS, SIDE_EFFECTS, BrokenTables, Tables, broken_tables, valid_tables

from pmsstats.cohort.coerce import arm_order, coerce_tables, phenotype_order
from pmsstats.cohort.cohort import Cohort
from pmsstats.cohort.issues import ISSUE_COLUMNS, concat_issues, flag_rows, flag_table
from pmsstats.cohort.rules_values import decimal_slips, guess_unit
from pmsstats.cohort.schema import DataDictionary, Measure, default_dictionary
from pmsstats.cohort.validate import RULES, describe, find_issues, tally, validate_cohort
from pmsstats.errors import SchemaError

SUBJECTS = pd.DataFrame({"subject_id": ["S1", "S2", "S3"], "arm": ["Placebo", "Active", "Active"]})


def visits_with(**columns: list) -> pd.DataFrame:
    """Return two visits for each of three subjects, with some columns replaced."""
    base = {
        "subject_id": ["S1", "S1", "S2", "S2", "S3", "S3"],
        "day": [0, 90, 0, 91, 0, 92],
        "edss": [4.0, 4.5, 5.0, 5.5, 6.0, 6.5],
    }
    return pd.DataFrame({**base, **columns})


def issues_of(
    subjects: pd.DataFrame,
    visits: pd.DataFrame,
    *others: pd.DataFrame,
    dictionary: DataDictionary | None = None,
) -> pd.DataFrame:
    """Return every issue of raw tables, errors too."""
    dictionary = default_dictionary() if dictionary is None else dictionary
    tables, coercion = coerce_tables(subjects, visits, *others, dictionary=dictionary)
    return find_issues(tables, dictionary=dictionary, prior_issues=[coercion])


def rules_of(issues: pd.DataFrame) -> set[str]:
    """Return the rules that were broken."""
    return set(issues["rule"])


def rows_of(issues: pd.DataFrame, rule: str) -> list[int]:
    """Return the source rows reported under a rule."""
    return sorted(issues.loc[issues["rule"] == rule, "row"].dropna().astype(int))


# --- properties ---------------------------------------------------------------------------------


@given(tables=valid_tables())
def test_valid_tables_have_no_issue(tables: Tables) -> None:
    issues = issues_of(*tables.frames())
    assert issues.empty, issues.to_string()


@pytest.mark.parametrize("name", BREAKERS)
@settings(max_examples=max(4, settings.default.max_examples // len(BREAKERS)))
@given(data=st.data())
def test_what_is_broken_is_reported_there_and_nowhere_else(name: str, data: st.DataObject) -> None:
    broken: BrokenTables = data.draw(broken_tables(name))
    issues = issues_of(*broken.tables.frames())
    found = issues[issues["rule"] == broken.rule]
    assert rules_of(issues) - SIDE_EFFECTS.get(name, frozenset()) == {broken.rule}
    assert set(found["table"]) == {broken.table}
    assert frozenset(found["row"]) == broken.rows
    assert set(found["severity"]) == {RULES[broken.rule].severity}


@given(tables=valid_tables(), name=st.sampled_from(sorted(BREAKERS)), seed=st.integers(0, 2**32))
def test_row_order_changes_nothing(tables: Tables, name: str, seed: int) -> None:
    broken, _ = BREAKERS[name][2](tables, seed)
    rng = np.random.default_rng(seed)
    shuffled = [frame.iloc[rng.permutation(len(frame))] for frame in broken.frames()]
    pd.testing.assert_frame_equal(
        issues_of(*shuffled), issues_of(*broken.frames()), check_dtype=False
    )


@given(tables=valid_tables(), name=st.sampled_from(sorted(BREAKERS)), at=st.integers(0, 1000))
def test_relabelling_subjects_changes_only_the_labels(tables: Tables, name: str, at: int) -> None:
    broken, _ = BREAKERS[name][2](tables, at)
    names = {f"S{i:03d}": f"x{i:03d}-S" for i in range(1000)}
    relabelled = [
        frame.assign(subject_id=[names.get(i, i) for i in frame["subject_id"]])
        for frame in broken.frames()
    ]
    columns = ["rule", "severity", "table", "row", "column"]
    before = issues_of(*broken.frames())[columns]
    after = issues_of(*relabelled)[columns]
    pd.testing.assert_frame_equal(after, before)


@given(tables=valid_tables())
def test_inputs_are_not_modified(tables: Tables) -> None:
    before = [frame.copy(deep=True) for frame in tables.frames()]
    tables.cohort()
    for frame, copy in zip(tables.frames(), before, strict=True):
        pd.testing.assert_frame_equal(frame, copy)


# --- what a refusal says ------------------------------------------------------------------------


def test_all_problems_are_reported_at_once_with_a_fix_each() -> None:
    visits = visits_with(edss=[4.3, 0.5, 11.0, 5.5, 6.0, 6.5], day=[0, 90, 0, 0, None, 92])
    with pytest.raises(SchemaError) as caught:
        Cohort(SUBJECTS, visits)
    message = str(caught.value)
    assert message.startswith("3 problems in 5 rows of visits (3 errors):")
    for rule in ("illegal_value", "duplicate_visit", "missing_day"):
        assert f"error {rule}: " in message
        assert RULES[rule].fix in message
    assert "S1" in message
    assert list(caught.value.failures.columns) == list(ISSUE_COLUMNS)
    assert rows_of(caught.value.failures, "illegal_value") == [0, 1, 2]
    assert rows_of(caught.value.failures, "duplicate_visit") == [2, 3]
    assert rows_of(caught.value.failures, "missing_day") == [4]


def test_raw_tables_with_errors_are_refused_with_all_that_is_wrong() -> None:
    visits = visits_with(edss=[4.3, 4.5, 5.0, 5.5, 6.0, 6.5], day=[0, 90, -10, 0, 0, None])
    with pytest.raises(SchemaError) as caught:
        validate_cohort(SUBJECTS, visits)
    failures = caught.value.failures
    assert rules_of(failures) == {"illegal_value", "missing_day", "screening_visit"}
    pd.testing.assert_frame_equal(failures, issues_of(SUBJECTS, visits))
    assert str(caught.value) == describe(failures)


def test_raw_tables_without_errors_give_their_warnings() -> None:
    warned = validate_cohort(SUBJECTS, visits_with(day=[-10, 0, 0, 91, 0, 92]))
    assert warned[["rule", "severity", "row"]].to_numpy().tolist() == [
        ["screening_visit", "warning", 0]
    ]
    assert validate_cohort(SUBJECTS, visits_with()).empty


def test_raw_tables_are_checked_against_the_given_dictionary() -> None:
    own = default_dictionary().extend(Measure(name="cdr", label="CDR", values=(0, 0.5, 1, 2, 3)))
    visits = visits_with(cdr=[0, 0.5, 1, 2, 3, 1.5])
    with pytest.raises(SchemaError, match="illegal_value"):
        validate_cohort(SUBJECTS, visits, dictionary=own)


def test_rows_are_those_of_the_source() -> None:
    visits = visits_with(edss=[4.0, 4.5, 5.0, 4.3, 6.0, 6.5]).set_axis([2, 3, 5, 8, 13, 21])
    issues = issues_of(SUBJECTS, visits)
    assert rows_of(issues, "illegal_value") == [8]
    assert issues.loc[0, "value"] == 4.3
    assert "row 8" in describe(issues)


def test_errors_stand_before_warnings_and_whole_tables_before_rows() -> None:
    visits = visits_with(
        edss=[4.3, 4.5, 5.0, 5.5, 6.0, 6.5],
        day=[0, 90, 0, 91, -10, 92],
        thalamus_ml=[14000.0, 13000.0, 12500.0, 14100.0, 13200.0, 13900.0],
    )
    severity = issues_of(SUBJECTS, visits)["severity"].tolist()
    assert severity == sorted(severity)
    counts = tally(issues_of(SUBJECTS, visits))
    assert counts["rule"].tolist() == ["unit_suspect", "illegal_value", "screening_visit"]
    assert counts["n_rows"].tolist() == [0, 1, 1]


def test_warnings_are_kept_with_the_cohort() -> None:
    cohort = Cohort(SUBJECTS, visits_with(day=[-10, 0, 0, 91, 0, 92]))
    assert cohort.issues["rule"].tolist() == ["screening_visit"]
    assert cohort.issues["row"].tolist() == [0]


def test_every_rule_says_what_to_do_and_is_reachable() -> None:
    assert all(rule.fix.endswith(".") for rule in RULES.values())
    assert all(name == rule.name for name, rule in RULES.items())
    reached = {rule for rule, _, _ in BREAKERS.values()} | set(TABLE_LEVEL)
    assert reached == set(RULES)


def test_issues_of_the_reader_are_reported_together_with_ours() -> None:
    prior = flag_table("bad_encoding", "error", table="visits", message="Is not UTF-8.")
    with pytest.raises(SchemaError, match=r"2 problems .*\n- error bad_encoding: visits") as caught:
        Cohort(SUBJECTS, visits_with(edss=[4.3] * 3 + [4.0] * 3), prior_issues=prior)
    assert rules_of(caught.value.failures) >= {"bad_encoding", "illegal_value"}


def test_a_visit_that_the_reader_lost_is_not_also_a_missing_one() -> None:
    visits = visits_with().drop(index=[1, 2, 3])
    lost = visits_with()
    parts = [
        flag_rows(
            "not_a_date",
            "error",
            lost,
            lost.index == row,
            table="visits",
            column="date",
            message="This is no date.",
            value=lost["day"],
        )
        for row in (1, 2, 3)
    ]
    with pytest.raises(SchemaError) as caught:
        Cohort(SUBJECTS, visits, prior_issues=concat_issues(parts))
    assert rules_of(caught.value.failures) == {"not_a_date"}


def test_joining_no_issues_gives_none_with_all_columns() -> None:
    assert concat_issues([None]).columns.tolist() == list(ISSUE_COLUMNS)


# --- problems of whole tables and columns -------------------------------------------------------


def _nothing(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.iloc[:0]


TABLE_LEVEL = {
    "missing_column": (SUBJECTS, visits_with().drop(columns="day"), "visits", "day"),
    "duplicate_column": (
        SUBJECTS,
        visits_with(sdmt=[50, 51, 52, 53, 54, 55.0]).rename(columns={"sdmt": "edss"}),
        "visits",
        "edss",
    ),
    "empty_table": (SUBJECTS, _nothing(visits_with()), "visits", ""),
    "date_in_day": (
        SUBJECTS,
        visits_with(day=pd.date_range("2020-01-01", periods=6, tz="Europe/Berlin")),
        "visits",
        "day",
    ),
    "replaced_year": (SUBJECTS, visits_with(year=[2012, 2013] * 3), "visits", "year"),
    "subject_id_spelling": (
        SUBJECTS.assign(subject_id=["001", "002", "010"]),
        visits_with(subject_id=[1, 1, 2, 2, 10, 10]),
        "visits",
        "subject_id",
    ),
    "one_subject": (SUBJECTS.iloc[:1], visits_with().iloc[:2], "subjects", "subject_id"),
    "one_group": (SUBJECTS.assign(arm="Active"), visits_with(), "subjects", "arm"),
    "identifying_column": (
        SUBJECTS.assign(Name=["Jane Doe", "Richard Roe", "Max Muster"]),
        visits_with(),
        "subjects",
        "Name",
    ),
    "no_measure": (SUBJECTS, visits_with().drop(columns="edss"), "visits", ""),
    "near_measure_name": (
        SUBJECTS,
        visits_with(thalamus_mL=[12.0, 13, 12, 13, 12, 13]),
        "visits",
        "thalamus_mL",
    ),
    "all_missing_measure": (SUBJECTS, visits_with(sdmt=[None] * 6), "visits", "sdmt"),
    "constant_measure": (SUBJECTS, visits_with(sdmt=[50] * 6), "visits", "sdmt"),
    "unit_suspect": (
        SUBJECTS,
        visits_with(thalamus_ml=[14100, 14000, 13300, 13200, 12700, 12600]),
        "visits",
        "thalamus_ml",
    ),
}


@pytest.mark.parametrize("rule", TABLE_LEVEL)
def test_a_problem_of_a_table_is_one_issue(rule: str) -> None:
    subjects, visits, table, column = TABLE_LEVEL[rule]
    issues = issues_of(subjects, visits)
    found = issues[issues["rule"] == rule]
    assert found[["table", "column"]].to_numpy().tolist() == [[table, column]]
    assert found["row"].isna().all()
    assert rules_of(issues) - {rule} <= {"one_group"}  # of one subject, everybody is in one group


@pytest.mark.parametrize("table", ["subjects", "visits"])
def test_a_header_only_is_an_empty_table_and_nothing_else(table: str) -> None:
    tables = {"subjects": SUBJECTS, "visits": visits_with()}
    tables[table] = tables[table].iloc[:0]
    issues = issues_of(**tables)
    assert issues[["rule", "table"]].to_numpy().tolist() == [["empty_table", table]]


def test_relapses_and_exits_may_be_empty() -> None:
    relapses = pd.DataFrame(columns=["subject_id", "day"])
    exits = pd.DataFrame(columns=["subject_id", "day", "reason"])
    cohort = Cohort(SUBJECTS, visits_with(), relapses, exits)
    assert cohort.issues.empty
    assert cohort.relapses["day"].dtype == np.int64


def test_a_frame_is_asked_for() -> None:
    with pytest.raises(SchemaError, match=r"`visits` must be a pandas DataFrame, got list"):
        Cohort(SUBJECTS, [["S1", 0, 4.0]])


# --- ids ----------------------------------------------------------------------------------------


def test_lost_leading_zeros_are_one_problem_and_not_merged() -> None:
    subjects, visits, _, _ = TABLE_LEVEL["subject_id_spelling"]
    with pytest.raises(SchemaError) as caught:
        Cohort(subjects, visits)
    assert str(caught.value).startswith("1 problem in visits (1 error):")
    assert "'1' for '001', '10' for '010', '2' for '002'" in str(caught.value)
    assert "leading zeros" in str(caught.value)


def test_lost_zeros_do_not_hide_a_truly_unknown_subject() -> None:
    subjects, visits, _, _ = TABLE_LEVEL["subject_id_spelling"]
    visits = visits.assign(subject_id=[1, 1, 2, 2, 99, 99])
    issues = issues_of(subjects, visits)
    assert rows_of(issues, "unknown_subject") == [4, 5]
    assert rows_of(issues, "subject_without_visits") == [2]


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ([1, 2, 10], ["1", "10", "2"]),
        ([1.0, 2.0, 10.0], ["1", "10", "2"]),
        ([" 1 ", "2\t", "10"], ["1", "10", "2"]),
        (["1", 2, 10.0], ["1", "10", "2"]),
        (pd.array([1, 2, 10], dtype="Int64"), ["1", "10", "2"]),
        (pd.Categorical(["a", "c", "b"]), ["a", "b", "c"]),
        (["007", "7", "07"], ["007", "07", "7"]),
    ],
    ids=["int", "float", "spaces", "mixed", "nullable", "categorical", "zeros stay apart"],
)
def test_ids_become_text(ids: list, expected: list[str]) -> None:
    subjects = pd.DataFrame({"subject_id": ids})
    visits = pd.DataFrame(
        {"subject_id": np.repeat(np.asarray(ids, dtype=object), 2), "day": [0, 90, 0, 91, 0, 92]}
    )
    cohort = Cohort(subjects, visits.assign(edss=[4, 5] * 3))
    assert cohort.subjects["subject_id"].tolist() == expected
    assert cohort.visits["subject_id"].unique().tolist() == expected


# --- values -------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["", "NA", ".", "n/a", "NaN", " na ", None, np.nan, pd.NA])
def test_missing_codes_are_missing(code: object) -> None:
    cohort = Cohort(SUBJECTS, visits_with(edss=["4.0", code, "5", "5.5", "6", "6.5"]))
    assert cohort.visits["edss"].isna().tolist() == [False, True, False, False, False, False]


@pytest.mark.parametrize("text", ["12,4", "1_000", "12 ml", "<5", "true", "2020-01-31", "1 200"])
def test_other_text_is_no_number_and_is_shown(text: str) -> None:
    visits = visits_with(sdmt=["40", "41", text, "43", "44", "45"])
    issues = issues_of(SUBJECTS, visits)
    assert issues[["rule", "row", "value"]].to_numpy().tolist() == [["not_a_number", 2, text]]


@pytest.mark.parametrize("values", [[True, False] * 3, pd.array([True, False] * 3, "boolean")])
def test_true_and_false_are_numbers_only_for_presence(values: list) -> None:
    present = Cohort(SUBJECTS, visits_with(gd_lesion_presence=values)).visits
    assert present["gd_lesion_presence"].tolist() == [1.0, 0.0] * 3
    issues = issues_of(SUBJECTS, visits_with(sdmt=values))
    assert rows_of(issues, "not_a_number") == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    "days",
    [
        pd.date_range("2020-01-01", periods=6),
        ["2020-01-31", "2020-03-01"] * 3,
        ["31.01.2020", "1.3.2020"] * 3,
        ["31-JAN-2020", "01-MAR-2020"] * 3,
        pd.to_timedelta([0, 90] * 3, unit="D"),
    ],
    ids=["time stamps", "iso", "german", "sas", "durations"],
)
def test_dates_in_day_are_one_problem(days: list) -> None:
    issues = issues_of(SUBJECTS, visits_with(day=days))
    assert issues["rule"].tolist() == ["date_in_day"]


@pytest.mark.parametrize("days", [["0", "90"] * 3, [0.0, 90.0] * 3, pd.array([0, 90] * 3, "Int32")])
def test_whole_days_of_any_type_are_days(days: list) -> None:
    visits = Cohort(SUBJECTS, visits_with(day=days)).visits
    assert visits["day"].tolist() == [0, 90] * 3
    assert visits["day"].dtype == np.int64
    assert visits["year"].tolist() == pytest.approx([0.0, 90 / 365.25] * 3)


def test_arm_in_visits_must_be_the_subjects() -> None:
    arm = ["Placebo", "Placebo", "Active", "Placebo", "Active", "Active"]
    issues = issues_of(SUBJECTS, visits_with(arm=arm))
    assert rows_of(issues, "varying_subject_column") == [2, 3]  # both rows of the mixed subject
    constant = ["Active", "Active", "Active", "Active", "Active", "Active"]
    issues = issues_of(SUBJECTS, visits_with(arm=constant))
    assert rows_of(issues, "varying_subject_column") == [0, 1]  # contradict the subjects table


def test_phenotype_may_change_over_time() -> None:
    subjects = SUBJECTS.assign(phenotype=["RRMS", "SPMS", "SPMS"])
    phenotype = ["RRMS", "SPMS", "SPMS", "SPMS", "SPMS", "SPMS"]
    assert Cohort(subjects, visits_with(phenotype=phenotype)).issues.empty


def test_a_lost_visit_is_not_also_a_missing_one() -> None:
    issues = issues_of(SUBJECTS, visits_with(day=["?", "?", "?", 91, 0, 92]))
    assert rules_of(issues) == {"not_a_number"}


THALAMUS = Measure(name="thalamus_ml", label="Thalamus", unit="ml", plausible=(6, 24))
# column values, measure, unit that they seem to be in, what they must be multiplied by
UNIT_CASES = [
    ([14000, 15000], "thalamus_ml", "mm3", 1e-3),
    ([0.014, 0.015], "thalamus_ml", "l", 1e3),
    ([140, 150], "thalamus_ml", "", 0.1),
    ([8000, 9000], "t2_lesion_ml", "mm3", 1e-3),
    ([0.1, 0.12], "t25fw_s", "min", 60),
    ([5500, 6100], "t25fw_s", "ms", 1e-3),
    ([0.0007, 0.0008], "nawm_md_um2_ms", "mm2/s", 1e3),
    ([700, 800], "nawm_md_um2_ms", "10^-6 mm2/s", 1e-3),
    ([0.38, 0.4], "nawm_mtr_pu", "fraction", 1e2),
    ([420, 430], "nawm_fa", "thousandths", 1e-3),
    ([42, 43], "nawm_fa", "percent", 1e-2),
    ([0.72, 0.8], "cord_area_c2c3_mm2", "cm2", 1e2),
    ([0.009, 0.012], "snfl_pg_ml", "ng/ml", 1e3),
]


@pytest.mark.parametrize(("values", "name", "unit", "factor"), UNIT_CASES)
def test_wrong_units_are_named(values: list, name: str, unit: str, factor: float) -> None:
    guess = guess_unit(np.array(values, dtype=float), default_dictionary()[name])
    assert guess is not None
    assert guess.unit == unit
    assert guess.factor == pytest.approx(factor, rel=1e-12)  # factors are decimal literals


@pytest.mark.parametrize(
    ("values", "measure"),
    [
        ([14.0, 15.0], THALAMUS),
        ([30.0, 31.0], THALAMUS),  # large, but by no factor between units
        ([np.nan, np.nan], THALAMUS),
        ([0.0, 0.0], THALAMUS),
        ([-50.0, -60.0], Measure(name="x_pct", label="x", plausible=(-5, 5), kind="change")),
        ([1e6, 1e6], Measure(name="x", label="x")),
    ],
    ids=["right", "no factor", "missing", "zero", "change", "no range"],
)
def test_units_that_are_not_suspect(values: list, measure: Measure) -> None:
    assert guess_unit(np.array(values), measure) is None


def test_a_wrong_unit_is_told_once_and_hides_no_other_problem() -> None:
    visits = visits_with(thalamus_ml=[14100, -14000, 13300, 13200, 12700, 2600])
    issues = issues_of(SUBJECTS, visits)
    assert "looks like mm3 instead of ml (factor 1000)" in issues.loc[0, "message"]
    assert rows_of(issues, "impossible_value") == [1]
    assert rows_of(issues, "implausible_value") == [5]  # 2.6 ml is little, in any unit


# values of one subject, positions that are off by a power of ten
SLIP_CASES = [
    ([6.1, 6.3, 62.0], [2]),
    ([6.1, 0.63, 6.2], [1]),
    ([1500.0, 1490, 1.495, 1480], [2]),
    ([6.1, 62.0], []),  # of two, nobody knows which
    ([6.1, 6.3, 30.0], []),  # five times as slow may be true
    ([6.1, 12.0, 61.0], []),  # the others do not agree
    ([6.1, np.nan, 6.3, 62.0], [3]),
    ([0.0, 0.0, 10.0], []),
    ([-6.0, -6.1, -61.0], []),
]


@pytest.mark.parametrize(("values", "expected"), SLIP_CASES)
def test_decimal_slips(values: list[float], expected: list[int]) -> None:
    bad, _ = decimal_slips(np.array(values), np.zeros(len(values), dtype=int))
    assert np.flatnonzero(bad).tolist() == expected


@pytest.mark.parametrize(
    ("measure", "rows"),
    [
        ("t25fw_s", [2]),
        ("gd_lesion_count", []),
        ("t2_lesion_count", []),
        ("new_t2_count", []),
        ("leptomeningeal_foci_count", []),
    ],
)
def test_counts_have_no_decimal_point_to_slip(measure: str, rows: list[int]) -> None:
    """5, 5 and then 50 new lesions is a course; 5, 5 and 50 seconds looks like a slip."""
    visits = pd.DataFrame({"subject_id": "S1", "day": [0, 90, 180], measure: [5.0, 5.0, 50.0]})
    issues = issues_of(SUBJECTS.head(1), visits)
    assert rows_of(issues, "decimal_slip") == rows


@given(
    st.lists(st.tuples(st.integers(0, 4), st.floats(0.5, 500)), min_size=1, max_size=30).map(sorted)
)
def test_decimal_slips_agree_with_a_loop_over_subjects(rows: list[tuple[int, float]]) -> None:
    subject, values = (np.array(column) for column in zip(*rows, strict=True))
    bad, _ = decimal_slips(values, subject)
    expected = [_slips_by_hand(values[subject == s], v) for s, v in rows]
    assert bad.tolist() == expected


def _slips_by_hand(own: np.ndarray, value: float) -> bool:
    """Apply the definition to one value of one subject."""
    ratios = np.log10(own / np.median(own))
    ratio = np.log10(value / np.median(own))
    disagreeing = int((np.abs(ratios) > np.log10(1.5)).sum())
    near_power = abs(ratio - round(ratio)) <= 0.1 and abs(round(ratio)) >= 1
    return len(own) >= 3 and disagreeing == 1 and near_power


def test_impossible_and_implausible_are_different_things() -> None:
    fa = [0.4, 0.41, 0.05, 1.2, -0.1, 0.42]
    issues = issues_of(SUBJECTS, visits_with(nawm_fa=fa))
    assert rows_of(issues, "impossible_value") == [3, 4]
    assert rows_of(issues, "implausible_value") == [2]


def test_own_measures_have_own_ranges() -> None:
    own = Measure(name="cdr", label="CDR", values=(0, 0.5, 1, 2, 3))
    visits = visits_with(cdr=[0, 0.5, 1, 2, 3, 1.5])
    issues = issues_of(SUBJECTS, visits, dictionary=default_dictionary().extend(own))
    assert rows_of(issues, "illegal_value") == [5]
    assert issues_of(SUBJECTS, visits).empty  # a column that is no measure is a covariate


# --- order of labels ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["Drug", "Placebo"], ["Placebo", "Drug"]),
        (["B", "A"], ["A", "B"]),
        (["Fluoxetine", "control group", "A"], ["control group", "A", "Fluoxetine"]),
        (["Control", "Placebo"], ["Placebo", "Control"]),
    ],
)
def test_reference_arm_comes_first(labels: list[str], expected: list[str]) -> None:
    assert arm_order(labels) == expected


def test_phenotypes_are_in_the_order_of_the_field() -> None:
    assert phenotype_order(["x", "SPMS", "HC", "PPMS", "A"]) == ["HC", "SPMS", "PPMS", "A", "x"]
