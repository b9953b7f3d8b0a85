"""Reading cohorts: units, dates, shared and further files, long tables, exclusions, studies."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pmsstats.cohort.cohort import Cohort
from pmsstats.cohort.io import read_cohort
from pmsstats.cohort.mapping import parse_mapping
from pmsstats.errors import SchemaError

STUDIES = Path(__file__).resolve().parents[1] / "studies"
TABLES = '[tables]\nsubjects = "subjects.csv"\nvisits = "visits.csv"\n'
SUBJECTS = "subject_id,arm\nA,Placebo\nB,Active\n"
EXACT = 1e-12  # one multiplication by a decimal factor


def read(folder: Path, study: str, **files: str) -> Cohort:
    """Write files and a study, and read them."""
    for name, text in {"subjects": SUBJECTS, **files}.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    path = folder / "study.toml"
    path.write_text(study, encoding="utf-8")
    return read_cohort(path)


def refused(folder: Path, study: str, **files: str) -> str:
    """Return what is said when a study is refused."""
    with pytest.raises(SchemaError) as caught:
        read(folder, study, **files)
    return str(caught.value)


UNITS = (
    TABLES
    + """
[columns.visits]
subject_id = "ID"
day = { column = "Month", unit = "months" }
thalamus_ml = { column = "thal", unit = "mm3" }
t25fw_s = { column = "walk", unit = "min" }
snfl_pg_ml = { column = "NfL", unit = "ng/l" }
log_volume = { column = "thal", transform = "log10" }

[measures.log_volume]
label = "Thalamus, decimal logarithm of mm3"
"""
)
UNIT_VISITS = (
    "ID,Month,thal,walk,NfL\nA,0,14000,0.1,11.5\nA,6,13900,,12\nB,0,15000,0.2,9\nB,12,1e4,.15,8\n"
)


def test_units_are_converted(tmp_path: Path) -> None:
    visits = read(tmp_path, UNITS, visits=UNIT_VISITS).visits
    assert visits["thalamus_ml"].tolist() == pytest.approx([14.0, 13.9, 15.0, 10.0], rel=EXACT)
    assert visits["t25fw_s"].dropna().tolist() == pytest.approx([6.0, 12.0, 9.0], rel=EXACT)
    assert visits["snfl_pg_ml"].tolist() == [11.5, 12.0, 9.0, 8.0]
    # a month is a twelfth of 365.25 days: 6 months are 182.625 days, 12 are 365.25
    assert visits["day"].tolist() == [0, 183, 0, 365]
    logs = [math.log10(v) for v in (14000, 13900, 15000, 10000)]
    assert visits["log_volume"].tolist() == pytest.approx(logs, rel=EXACT)


def test_text_in_a_converted_column_is_reported_as_it_stands(tmp_path: Path) -> None:
    message = refused(tmp_path, UNITS, visits=UNIT_VISITS.replace("15000", "15 000"))
    assert "not_a_number" in message
    assert "row 4" in message
    assert "'15 000'" in message


def test_logarithm_of_zero_is_refused(tmp_path: Path) -> None:
    message = refused(tmp_path, UNITS, visits=UNIT_VISITS.replace("1e4", "0"))
    assert "not_transformable" in message
    assert "There is no log10 of this value" in message


DATED = (
    TABLES
    + """
relapses = "relapses.csv"
exits = "exits.csv"
"""
)
DATED_VISITS = (
    "subject_id,date,edss\nA,2020-01-10,4\nA,2021-01-10,5\nB,2020-02-01,3\nB,2020-08-01,3.5\n"
)
RELAPSES = "subject_id,date\nA,2020-01-31\nB,2019-12-31\n"
EXITS = "subject_id,date,reason\nB,2021-02-01,death\n"


def test_days_count_from_the_first_visit(tmp_path: Path) -> None:
    cohort = read(tmp_path, DATED, visits=DATED_VISITS, relapses=RELAPSES, exits=EXITS)
    # counted by hand: 2020 is a leap year
    assert cohort.visits["day"].tolist() == [0, 366, 0, 182]
    assert cohort.relapses["day"].tolist() == [21, -32]
    assert cohort.exits["day"].tolist() == [366]
    assert "date" not in cohort.visits


def test_days_count_from_the_baseline_date(tmp_path: Path) -> None:
    subjects = "subject_id,arm,baseline_date\nA,Placebo,2020-01-01\nB,Active,2020-02-01\n"
    cohort = read(
        tmp_path, DATED, subjects=subjects, visits=DATED_VISITS, relapses=RELAPSES, exits=EXITS
    )
    assert cohort.visits["day"].tolist() == [9, 375, 0, 182]
    assert cohort.relapses["day"].tolist() == [30, -32]
    assert list(cohort.subjects.columns) == ["subject_id", "arm"]


def test_day_and_date_of_visits_agree_on_the_baseline_of_relapses(tmp_path: Path) -> None:
    study = DATED + '[columns.visits]\nday = "day"\ndate = "date"\n'
    visits = "subject_id,day,date,edss\nA,7,2020-01-08,4\nA,30,2020-01-31,4.5\nB,0,2020-02-01,3\n"
    cohort = read(tmp_path, study, visits=visits, relapses=RELAPSES, exits=EXITS)
    assert cohort.visits["day"].tolist() == [7, 30, 0]
    assert cohort.relapses["day"].tolist() == [30, -32]  # day 0 of A is 1 January 2020


def test_relapse_of_a_subject_without_a_dated_visit(tmp_path: Path) -> None:
    visits = "subject_id,date,edss\nA,2020-01-10,4\nA,2021-01-10,5\n"
    message = refused(tmp_path, DATED, visits=visits, relapses=RELAPSES, exits=EXITS)
    assert "no_baseline_date" in message
    assert "no date for day 0" in message


def test_years_become_days(tmp_path: Path) -> None:
    visits = "subject_id,year,edss\nA,0,4\nA,1,5\nB,0,3\nB,0.5,3.5\n"
    cohort = read(tmp_path, TABLES, visits=visits)
    assert cohort.visits["day"].tolist() == [0, 365, 0, 183]
    assert cohort.visits["year"].tolist() == pytest.approx([0, 365 / 365.25, 0, 183 / 365.25])


SHARED = """
[tables]
subjects = "visits.csv"
visits = "visits.csv"
exits = "visits.csv"
[columns.subjects]
sex = "Sex"
age_years = { column = "Age", take = "baseline" }
last_age_years = { column = "Age", take = "last" }
[columns.visits]
subject_id = "ID"
day = "Day"
edss = "EDSS"
[columns.exits]
day = "End"
reason = "Why"
[labels.reason]
"0" = "completed"
"1" = "death"
"""
SHARED_VISITS = (
    "ID,Day,EDSS,Sex,Age,End,Why\n"
    "A,90,4,F,51,400,1\nA,0,4.5,F,50,400,1\nB,0,3,,60,300,0\nB,30,3.5,M,60,300,0\n"
)


def test_subjects_visits_and_exits_in_one_file(tmp_path: Path) -> None:
    cohort = read(tmp_path, SHARED, visits=SHARED_VISITS)
    assert cohort.subjects.to_dict("list") == {
        "subject_id": ["A", "B"],
        "sex": ["F", "M"],
        "age_years": [50, 60],
        "last_age_years": [51, 60],
    }
    assert cohort.exits.to_dict("list") == {
        "subject_id": ["A", "B"], "day": [400, 300], "reason": ["death", "completed"],
    }  # fmt: skip
    (source,) = cohort.sources
    assert (source.name, source.role, source.n_rows) == ("visits.csv", "subjects, visits, exits", 4)


def test_subject_column_that_varies(tmp_path: Path) -> None:
    study = SHARED.replace('{ column = "Age", take = "baseline" }', '"Age"')
    message = refused(tmp_path, study, visits=SHARED_VISITS)
    assert "varying_subject_column: 2 rows of subjects [age_years], 1 subject (A)" in message
    assert 'age_years = {column = "...", take = "baseline"}' in message


def test_missing_baseline_value_is_not_filled_from_later(tmp_path: Path) -> None:
    visits = SHARED_VISITS.replace("A,0,4.5,F,50", "A,0,4.5,F,")
    subjects = read(tmp_path, SHARED, visits=visits).subjects
    assert subjects["age_years"].isna().tolist() == [True, False]


def test_columns_with_our_names_need_no_entry_but_others_do(tmp_path: Path) -> None:
    visits = "subject_id,day,edss,scanner,MTR\nA,0,4,x,3\nA,90,4.5,x,4\nB,0,3,y,5\n"
    study = TABLES + '[columns.visits]\nsdmt = "MTR"\n'
    cohort = read(tmp_path, study, visits=visits)
    assert list(cohort.visits.columns) == ["subject_id", "day", "visit", "sdmt", "edss", "year"]


def test_measure_in_capitals_that_is_not_mapped_is_said(tmp_path: Path) -> None:
    visits = "subject_id,day,EDSS,MTR\nA,0,4,50\nA,90,4.5,51\nB,0,3,52\n"
    cohort = read(tmp_path, TABLES + '[columns.visits]\nsdmt = "MTR"\n', visits=visits)
    issue = cohort.issues.set_index("rule").loc["unmapped_measure"]
    assert 'add edss = "EDSS" under [columns.visits]' in issue["message"]


def test_without_an_entry_all_columns_of_the_visits_are_kept(tmp_path: Path) -> None:
    visits = "subject_id,day,edss,scanner\nA,0,4,x\nA,90,4.5,x\nB,0,3,y\n"
    cohort = read(tmp_path, TABLES, visits=visits)
    assert cohort.visits["scanner"].tolist() == ["x", "x", "y"]


def test_types_of_covariates_are_found(tmp_path: Path) -> None:
    subjects = "subject_id,n,x,code,event,mixed,part\nA,1,1.5,01,TRUE,1,TRUE\nB,2,,02,FALSE,one,\n"
    visits = "subject_id,day,edss\nA,0,4\nB,0,3\n"
    found = read(tmp_path, TABLES, subjects=subjects, visits=visits).subjects
    assert found["n"].tolist() == [1, 2]
    assert found["n"].dtype == np.int64
    assert found["x"].dtype == np.float64
    assert found["code"].tolist() == ["01", "02"]
    assert found["event"].dtype == bool
    assert found["mixed"].tolist() == ["1", "one"]
    assert found["part"].tolist() == [True, None]


def test_labels_translate_and_order(tmp_path: Path) -> None:
    study = TABLES + '[labels.arm]\n"Zeta" = "Placebo"\n"1" = "Low dose"\n"2" = "High dose"\n'
    subjects = "subject_id,arm\nA,2\nB,Zeta\nC,1\n"
    visits = "subject_id,day,edss\nA,0,4\nB,0,3\nC,0,2\n"
    arm = read(tmp_path, study, subjects=subjects, visits=visits).subjects["arm"]
    assert arm.tolist() == ["High dose", "Placebo", "Low dose"]
    assert arm.cat.categories.tolist() == ["Placebo", "Low dose", "High dose"]


def test_label_that_does_not_occur_is_said(tmp_path: Path) -> None:
    study = TABLES + '[labels.arm]\n"Placbo" = "Control"\n'
    cohort = read(tmp_path, study, visits="subject_id,day,edss\nA,0,4\nB,0,3\n")
    issue = cohort.issues.set_index("rule").loc["unused_label"]
    assert "'Placbo', which does not occur. Did you mean 'Placebo'?" in issue["message"]


def test_rows_not_kept_are_counted(tmp_path: Path) -> None:
    study = """
[tables]
subjects = "subjects.csv"
visits = { path = "visits.csv", keep = { ok = "Y", site = [1, 2] } }
"""
    visits = (
        "subject_id,day,edss,ok,site\nA,0,4,Y,1\nA,90,4.5,N,1\nB,0,3,,2\nB,1,3.5,Y,2\nB,9,4,Y,3\n"
    )
    cohort = read(tmp_path, study, visits=visits)
    assert cohort.visits["day"].tolist() == [0, 1]
    told = [(e.stage, e.unit, e.reason, e.n, e.subject_ids) for e in cohort.exclusions]
    assert told == [
        ("reading visits", "row", "ok is not 'Y'", 2, ("A", "B")),
        ("reading visits", "row", "site is not '1' or '2'", 1, ("B",)),
    ]


def test_visits_without_any_value_are_counted(tmp_path: Path) -> None:
    visits = "subject_id,day,edss,sdmt\nA,0,4,\nA,90,,\nB,0,,50\nB,90,.,NA\n"
    cohort = read(tmp_path, TABLES, visits=visits)
    assert cohort.visits["day"].tolist() == [0, 0]
    (exclusion,) = cohort.exclusions
    assert (exclusion.unit, exclusion.n) == ("visit", 2)
    assert exclusion.reason == "no value of any measure"


def test_measure_without_any_value_keeps_its_visits(tmp_path: Path) -> None:
    cohort = read(tmp_path, TABLES, visits="subject_id,day,edss\nA,0,\nA,90,\nB,0,\n")
    assert cohort.n_visits == 3
    assert "all_missing_measure" in set(cohort.issues["rule"])


LONG = """
[tables]
subjects = "subjects.csv"
visits = { path = "visits.csv", layout = "long", parameter = "test", value = "result" }
[columns.visits]
edss = "EDSS"
thalamus_ml = { column = "THAL", unit = "mm3" }
"""
LONG_VISITS = (
    "subject_id,day,visit,test,result\n"
    "A,90,Month 3,EDSS,4.5\nA,0,Baseline,EDSS,4\nA,0,Baseline,THAL,14000\nA,0,Baseline,PULSE,80\n"
    "B,0,Baseline,THAL,15000\nB,0,Baseline,EDSS,\n"
)


def test_long_tables_become_wide(tmp_path: Path) -> None:
    cohort = read(tmp_path, LONG, visits=LONG_VISITS)
    visits = cohort.visits
    assert visits[["subject_id", "day"]].to_numpy().tolist() == [["A", 0], ["A", 90], ["B", 0]]
    assert visits["visit"].tolist() == ["Baseline", "Month 3", "Baseline"]
    assert visits["edss"].fillna(-1).tolist() == [4.0, 4.5, -1]
    assert visits["thalamus_ml"].fillna(-1).tolist() == [14.0, -1, 15.0]
    (exclusion,) = cohort.exclusions
    assert (exclusion.reason, exclusion.n) == ("test is not 'EDSS' or 'THAL'", 1)


def test_order_of_long_rows_does_not_matter(tmp_path: Path) -> None:
    header, *rows = LONG_VISITS.splitlines()
    shuffled = "\n".join([header, *reversed(rows)]) + "\n"
    one = read(tmp_path, LONG, visits=LONG_VISITS).visits
    assert read(tmp_path, LONG, visits=shuffled).visits.equals(one)


def test_contradicting_long_values(tmp_path: Path) -> None:
    message = refused(tmp_path, LONG, visits=LONG_VISITS + "A,0,Baseline,EDSS,6\n")
    assert "repeated_value: 2 rows of visits" in message
    assert "Parameter 'EDSS' has several values at this visit" in message


def test_parameter_that_is_not_there(tmp_path: Path) -> None:
    message = refused(tmp_path, LONG.replace('"EDSS"', '"EDS"'), visits=LONG_VISITS)
    assert "visits.csv has no parameter 'EDS'" in message
    assert "Did you mean 'EDSS'? It has: EDSS, PULSE, THAL." in message


def test_long_values_matched_by_visit(tmp_path: Path) -> None:
    study = LONG.replace('layout = "long"', 'layout = "long", match = "visit"')
    visits = LONG_VISITS.replace("A,0,Baseline,THAL", "A,-3,Baseline,THAL")
    found = read(tmp_path, study, visits=visits).visits
    assert found[["subject_id", "day"]].to_numpy().tolist() == [["A", -3], ["A", 90], ["B", 0]]
    assert found["thalamus_ml"].fillna(-1).tolist() == [14.0, -1, 15.0]


TWO_FILES = (
    TABLES
    + """
[tables.mri]
path = "mri.csv"
adds_to = "visits"
[tables.genes]
path = "genes.csv"
adds_to = "subjects"
[columns.mri]
subject_id = "Patient"
day = "Scan day"
thalamus_ml = "thal"
[columns.genes]
risk = "HLA"
"""
)
CLINIC = "subject_id,day,visit,edss\nA,0,Baseline,4\nA,90,Month 3,4.5\nB,0,Baseline,3\n"
MRI = "Patient,Scan day,visit,thal\nA,0,Baseline,14\nA,95,Month 3,13.9\nB,0,Baseline,15\n"
GENES = "subject_id,HLA\nB,2\nA,1\n"


def test_clinic_and_mri_in_two_files_by_day(tmp_path: Path) -> None:
    cohort = read(tmp_path, TWO_FILES, visits=CLINIC, mri=MRI, genes=GENES)
    visits = cohort.visits
    assert visits["day"].tolist() == [0, 90, 95, 0]
    assert visits["visit"].astype(object).where(visits["visit"].notna(), None).tolist() == [
        "Baseline", "Month 3", None, "Baseline",
    ]  # fmt: skip
    assert visits["edss"].fillna(-1).tolist() == [4, 4.5, -1, 3]
    assert visits["thalamus_ml"].fillna(-1).tolist() == [14, -1, 13.9, 15]
    assert cohort.subjects["risk"].tolist() == [1, 2]
    assert [s.role for s in cohort.sources] == ["subjects", "visits", "mri", "genes"]


def test_clinic_and_mri_in_two_files_by_visit(tmp_path: Path) -> None:
    study = TWO_FILES.replace('adds_to = "visits"', 'adds_to = "visits"\nmatch = "visit"')
    visits = read(tmp_path, study, visits=CLINIC, mri=MRI, genes=GENES).visits
    assert visits["day"].tolist() == [0, 90, 0]
    assert visits["thalamus_ml"].tolist() == [14, 13.9, 15]


def test_further_file_with_an_unknown_subject(tmp_path: Path) -> None:
    message = refused(tmp_path, TWO_FILES, visits=CLINIC, mri=MRI, genes=GENES + "C,1\n")
    assert "unknown_subject: 1 row of genes" in message


def test_measure_in_two_files(tmp_path: Path) -> None:
    study = TWO_FILES.replace('thalamus_ml = "thal"', 'edss = "thal"')
    message = refused(tmp_path, study, visits=CLINIC, mri=MRI, genes=GENES)
    assert "'edss' comes from two files, visits.csv and mri.csv" in message


def test_data_folder_and_mapping(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "subjects.csv").write_text(SUBJECTS)
    (tmp_path / "data" / "visits.csv").write_text("subject_id,day,edss\nA,0,4\nB,0,3\n")
    path = tmp_path / "study.toml"
    path.write_text(
        'title = "t"\nacknowledgement = "a"\n' + TABLES + '[analysis]\nmeasure = "edss"\n'
    )
    cohort = read_cohort(path, data_dir=tmp_path / "data")
    assert cohort.n_visits == 2
    tables = {"subjects": "subjects.csv", "visits": "visits.csv"}
    mapping = parse_mapping({"tables": tables}, source="mine", folder=tmp_path / "data")
    assert read_cohort(mapping).visits.equals(cohort.visits)
    assert read_cohort(tmp_path / "data").visits.equals(cohort.visits)


def test_origin_is_what_the_study_says(tmp_path: Path) -> None:
    visits = "subject_id,day,edss\nA,0,4\nB,0,3\n"
    assert read(tmp_path, TABLES, visits=visits).origin == "real"
    assert read(tmp_path, 'origin = "synthetic"\n' + TABLES, visits=visits).origin == "synthetic"


def test_oasis2(data_file: Callable[[str], Path]) -> None:
    path = data_file("oasis2_longitudinal.csv")
    cohort = read_cohort(STUDIES / "oasis2.toml", data_dir=path.parent)
    raw = pd.read_csv(path)
    assert (cohort.n_subjects, cohort.n_visits) == (150, 373)  # SOURCE.md beside the data
    assert cohort.visits["nwbv"].sum() == pytest.approx(raw["nWBV"].sum(), rel=EXACT)
    assert cohort.subjects["diagnosis"].cat.categories.tolist() == ["Nondemented", "Demented"]
    first = raw[raw["MR Delay"] == 0].set_index("Subject ID")["Age"]
    assert cohort.subjects.set_index("subject_id")["age_years"].to_dict() == first.to_dict()
    assert cohort.issues.empty
    assert cohort.exclusions == ()


def test_pbc2(data_file: Callable[[str], Path]) -> None:
    path = data_file("pbc2.csv")
    cohort = read_cohort(STUDIES / "pbc2.toml", data_dir=path.parent)
    assert (cohort.n_subjects, cohort.n_visits) == (312, 1945)
    # R package survival 3.5-3, last row of each subject of pbcseq: status 0, 2 and 1
    assert cohort.exits["reason"].value_counts().to_dict() == {
        "alive": 143, "dead": 140, "transplanted": 29,
    }  # fmt: skip
    raw = pd.read_csv(path)
    logs = np.log(raw["serBilir"]).sum()
    assert cohort.visits["log_bilirubin"].sum() == pytest.approx(logs, rel=EXACT)
    assert cohort.subjects["arm"].cat.categories.tolist() == ["placebo", "D-penicillamine"]
    days = raw.drop_duplicates("id").set_index(raw["id"].drop_duplicates().astype(str))["years"]
    found = cohort.exits.set_index("subject_id")["day"]
    assert (found - days * 365.25).abs().max() <= 0.5  # whole days


FOUR = "subject_id,arm,Name,dis dur (y),Full name,smoker\n" + "".join(
    f"{i},{arm},Person {i},{i},Person {i} Doe,{smoker}\n"
    for i, arm, smoker in [("1", "a", "no"), ("2", "a", "yes"), ("3", "b", "no"), ("4", "b", "no")]
)
FOUR_VISITS = "subject_id,day,edss\n" + "".join(
    f"{i},0,4\n{i},90,{4 + i / 2}\n" for i in range(1, 5)
)


@pytest.mark.parametrize("section", ["", '[columns.subjects]\narm = "arm"\n'])
def test_names_of_persons_are_nowhere_shown(section: str, tmp_path: Path) -> None:
    cohort = read(tmp_path, TABLES + section, subjects=FOUR, visits=FOUR_VISITS)
    summary = cohort.summary()
    shown = f"{summary.to_dict()} {summary.display().to_string()} {cohort.issues.to_string()}"
    assert "Person" not in shown
    assert ("Name" in cohort.subjects) == (not section)  # a section says which columns are meant
    assert "smoker" in cohort.subjects
    named = cohort.issues.loc[cohort.issues["rule"] == "identifying_column", "column"]
    assert sorted(named) == ["Full name", "Name"]


def test_a_column_with_a_name_that_cannot_stay_is_told(tmp_path: Path) -> None:
    issues = read(tmp_path, TABLES, subjects=FOUR, visits=FOUR_VISITS).issues
    told = issues[issues["rule"] == "unmapped_column"]
    assert told["column"].tolist() == ["dis dur (y)"]
    assert '[columns.subjects], as in dis_dur_y = "dis dur (y)"' in told["message"].iloc[0]


def test_values_without_a_label_are_told(tmp_path: Path) -> None:
    study = TABLES + '[labels.phenotype]\nSP = "SPMS"\n'
    subjects = "subject_id,phenotype\n1,SP\n2,sp\n3,S.P.\n4,SPMS\n"
    issues = read(tmp_path, study, subjects=subjects, visits=FOUR_VISITS).issues
    (told,) = issues.loc[issues["rule"] == "unmapped_label", "message"]
    assert told == (
        "2 values of phenotype are not in [labels.phenotype]: 'sp' (1 row), 'S.P.' (1 row); they "
        "stay groups of their own."
    )


def test_converted_values_are_told_as_in_the_file(tmp_path: Path) -> None:
    visits = UNIT_VISITS.replace("13900", "-999").replace("1e4", "-999")
    study = UNITS.split("log_volume")[0]
    with pytest.raises(SchemaError) as caught:
        read(tmp_path, study, visits=visits)
    failures = caught.value.failures
    impossible = failures[failures["rule"] == "impossible_value"]
    assert impossible["value"].tolist() == [-999.0, -999.0]
    message = impossible["message"].iloc[0]
    assert "The file has -999 mm3, which is -0.999 ml." in message
    assert "missing = [-999] of [tables.visits]" in message
    assert message in str(caught.value)


def test_implausible_values_of_an_accepted_file_are_told_as_in_the_file(tmp_path: Path) -> None:
    study = UNITS.split("log_volume")[0]
    issues = read(tmp_path, study, visits=UNIT_VISITS.replace("13900", "40000")).issues
    told = issues[issues["rule"] == "implausible_value"]
    assert told["value"].tolist() == [40000.0]
    assert "The file has 40000 mm3, which is 40 ml." in told["message"].iloc[0]
