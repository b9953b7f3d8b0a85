"""Bad input at the level of files: each is refused, or read and said, in words for a newcomer."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyreadstat
import pytest

from pmsstats.cohort.cohort import Cohort
from pmsstats.cohort.io import read_cohort
from pmsstats.errors import SchemaError

SUBJECTS = "subject_id,arm\n001,Placebo\n002,Active\n"
VISITS = (
    "subject_id,day,edss,thalamus_ml\n001,0,4,14.1\n001,90,4.5,13.9\n002,0,5,15.1\n002,91,6,15.0\n"
)
STUDY = '[tables]\nsubjects = "subjects.csv"\nvisits = "visits.csv"\n'


def write(folder: Path, study: str = STUDY, **files: str | bytes) -> Path:
    """Write a small study that is right but for what a test replaces; return its study file."""
    content = {"subjects": SUBJECTS, "visits": VISITS, **files}
    for name, text in content.items():
        data = text if isinstance(text, bytes) else text.encode()
        (folder / (name if "." in name else f"{name}.csv")).write_bytes(data)
    path = folder / "study.toml"
    path.write_text(study, encoding="utf-8")
    return path


def refused(folder: Path, study: str = STUDY, **files: str | bytes) -> str:
    """Return what is said when a study is refused."""
    path = write(folder, study, **files)
    with pytest.raises(SchemaError) as caught:
        read_cohort(path)
    return str(caught.value)


def accepted(folder: Path, study: str = STUDY, **files: str | bytes) -> Cohort:
    """Return the cohort of a study."""
    return read_cohort(write(folder, study, **files))


def test_the_study_that_the_tests_break_is_right(tmp_path: Path) -> None:
    cohort = accepted(tmp_path)
    assert cohort.subjects["subject_id"].tolist() == ["001", "002"]
    assert cohort.visits["edss"].tolist() == [4.0, 4.5, 5.0, 6.0]
    assert cohort.issues.empty


# the file, its content, and what the message must say
REFUSED_VISITS = {
    "empty": ("", ["visits.csv is empty", "a first line with column names"]),
    "blank": ("\n  \n\n", ["visits.csv is empty"]),
    "header only": (
        "subject_id,day,edss\n",
        ["visits.csv has a header with 3 column(s) but no rows"],
    ),
    "cut at colons": (
        VISITS.replace(",", ":"),
        ["visits.csv has one column only", "'subject_id:day:edss:thalamus_ml'", 'delimiter = ":"'],
    ),
    "cut at blanks": (VISITS.replace(",", " "), ["one column only", 'delimiter = " "']),
    "duplicated names": (
        VISITS.replace("thalamus_ml", "edss"),
        ["visits.csv has 1 column name(s) more than once: 'edss' (columns 3, 4)", "rename"],
    ),
    "a row too long": (
        VISITS + "002,180,6,15,9\n",
        ["ragged_row", "row 6", "more cells than the header has columns (4)"],
    ),
    "a row too short": (
        VISITS + "002,180\n",
        ["ragged_row", "row 6", "fewer cells than the header has columns (4)"],
    ),
    "a header too short": (
        VISITS.replace("subject_id,", "", 1),
        ["names 3 columns, but every row has more", "row.names = FALSE"],
    ),
    "a quotation mark without partner": (
        VISITS + '"003,0,4,14\n',
        ["visits.csv cannot be cut into rows", "quotation mark may lack its partner"],
    ),
    "an Excel file": (b"PK\x03\x04 and so on", ["visits.csv is not a text table", "Excel"]),
    "a Parquet file": (b"PAR1 and so on", ["visits.csv is not a text table", "Parquet"]),
    "binary": (b"a,b\n\0\1,2\n", ["visits.csv is not a text table", "binary zeros"]),
    "text among numbers": (
        VISITS.replace("13.9", "13.9 ml"),
        ["not_a_number", "row 3", "thalamus_ml", "'13.9 ml'"],
    ),
}


@pytest.mark.parametrize(("content", "said"), REFUSED_VISITS.values(), ids=REFUSED_VISITS)
def test_bad_file_is_explained(content: str | bytes, said: list[str], tmp_path: Path) -> None:
    message = refused(tmp_path, visits=content)
    for part in said:
        assert part in message


@pytest.mark.parametrize(("given", "suggested"), [(";", '","'), ("\\t", '","'), ("|", '","')])
def test_wrong_delimiter_given(given: str, suggested: str, tmp_path: Path) -> None:
    study = STUDY.replace('"visits.csv"', f'{{ path = "visits.csv", delimiter = "{given}" }}')
    message = refused(tmp_path, study)
    assert f'With delimiter = "{given}", visits.csv has one column only' in message
    assert f"{suggested} would give 4 columns" in message


def test_delimiter_of_two_characters(tmp_path: Path) -> None:
    study = STUDY.replace('"visits.csv"', '{ path = "visits.csv", delimiter = "::" }')
    assert "`delimiter` must be one character" in refused(tmp_path, study)


def test_byte_order_mark_and_windows_line_ends(tmp_path: Path) -> None:
    content = b"\xef\xbb\xbf" + VISITS.replace("\n", "\r\n").encode()
    cohort = accepted(tmp_path, visits=content)
    assert cohort.visits.equals(accepted(tmp_path).visits)


def test_latin_1_names_are_read_and_said(tmp_path: Path) -> None:
    content = SUBJECTS.replace("Active", "Pr\u00fcfmedikament").encode("latin-1")
    cohort = accepted(tmp_path, subjects=content)
    assert cohort.subjects["arm"].tolist() == ["Placebo", "Pr\u00fcfmedikament"]
    (issue,) = cohort.issues.itertuples()
    assert (issue.rule, issue.table) == ("encoding", "subjects")
    assert "not UTF-8" in issue.message
    assert "Pr\u00fcfmedikament" in issue.message


def test_wrong_encoding_given(tmp_path: Path) -> None:
    study = STUDY.replace('"subjects.csv"', '{ path = "subjects.csv", encoding = "utf-8" }')
    content = SUBJECTS.replace("Active", "Pr\u00fcf").encode("latin-1")
    assert "not written in the encoding 'utf-8'" in refused(tmp_path, study, subjects=content)
    study = study.replace("utf-8", "utf-9")
    assert "no such encoding: 'utf-9'" in refused(tmp_path, study)


def test_names_that_differ_by_blanks_only_are_duplicates(tmp_path: Path) -> None:
    message = refused(tmp_path, visits=VISITS.replace("thalamus_ml", " edss "))
    assert "'edss' (columns 3, 4)" in message


def test_nothing_hides_behind_pandas_names(tmp_path: Path) -> None:
    message = refused(tmp_path, visits=VISITS.replace("day,edss", "edss,edss"))
    assert "edss.1" not in message
    assert "'edss' (columns 2, 3)" in message


def test_duplicated_names_in_excel(tmp_path: Path) -> None:
    study = STUDY.replace("visits.csv", "visits.xlsx")
    pd.DataFrame([["001", 0, 4, 5]], columns=["subject_id", "day", "edss", "edss"]).to_excel(
        tmp_path / "visits.xlsx", index=False
    )
    assert "visits.xlsx has 1 column name(s) more than once" in refused(tmp_path, study)


def test_leading_zeros_survive_in_every_table(tmp_path: Path) -> None:
    cohort = accepted(tmp_path, subjects="subject_id,site_id\n001,010\n002,020\n")
    assert cohort.subjects.to_numpy().tolist() == [["001", "010"], ["002", "020"]]
    assert set(cohort.visits["subject_id"]) == {"001", "002"}


def numeric_visits(folder: Path) -> None:
    """Write the visits with ids as numbers, as a spreadsheet or a statistics program does."""
    frame = pd.read_csv(folder / "visits.csv")
    assert frame["subject_id"].tolist() == [1, 1, 2, 2]
    frame.to_parquet(folder / "visits.parquet", index=False)


def test_ids_numbers_here_and_text_there(tmp_path: Path) -> None:
    write(tmp_path)
    numeric_visits(tmp_path)
    message = refused(tmp_path, STUDY.replace("visits.csv", "visits.parquet"))
    assert "subject_id_spelling" in message
    assert "'1' for '001'" in message
    assert "leading zeros" in message


def test_ids_are_padded_where_the_mapping_says_so(tmp_path: Path) -> None:
    write(tmp_path)
    numeric_visits(tmp_path)
    study = STUDY.replace("visits.csv", "visits.parquet") + (
        '[columns.visits]\nsubject_id = { column = "subject_id", zero_pad = 3 }\n'
    )
    cohort = accepted(tmp_path, study)
    assert cohort.visits["subject_id"].tolist() == ["001", "001", "002", "002"]


DATED = (
    "subject_id,date,edss\n001,2020-01-31,4\n001,30.04.2020,5\n002,02/13/2020,5\n002,2020-06-01,6\n"
)


def test_dates_in_three_formats(tmp_path: Path) -> None:
    message = refused(tmp_path, visits=DATED)
    assert "dates in 3 formats" in message
    for part in ["2 as yyyy-mm-dd", "1 as dd.mm.yyyy", "1 as mm/dd/yyyy", "'30.04.2020'"]:
        assert part in message
    assert "no rows" not in message  # nothing that only follows from it


def test_dates_whose_order_is_unknown(tmp_path: Path) -> None:
    visits = "subject_id,date,edss\n001,01/02/2020,4\n002,03/02/2020,5\n"
    message = refused(tmp_path, visits=visits)
    assert "day and month cannot be told apart" in message
    assert 'format = "%d/%m/%Y"' in message


def test_single_dates_that_do_not_parse(tmp_path: Path) -> None:
    visits = "subject_id,date,edss\n001,2020-01-01,4\n001,2020-02-30,4\n002,2020-01-01,5\n"
    message = refused(tmp_path, visits=visits)
    assert "not_a_date: 1 row of visits [date], 1 subject (001)" in message
    assert "'2020-02-30'" in message
    assert "missing_day" not in message  # nothing that only follows from it


def test_missing_file_suggests_the_nearest(tmp_path: Path) -> None:
    message = refused(tmp_path, STUDY.replace("visits.csv", "vists.csv"))
    assert "There is no file vists.csv" in message
    assert "Did you mean 'visits.csv'?" in message


def test_missing_file_lists_what_there_is(tmp_path: Path) -> None:
    message = refused(tmp_path, STUDY.replace("visits.csv", "mri.sav"))
    assert "The folder has subjects.csv, visits.csv" in message


def test_missing_folder(tmp_path: Path) -> None:
    message = refused(tmp_path, STUDY.replace("visits.csv", "data/visits.csv"))
    assert "its folder" in message
    assert "does not exist" in message


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("visits.doc", "cannot tell the kind of file from its ending. Readable are .csv, .tsv"),
        ("visits.xls", "Save it as .xlsx or .csv."),
    ],
)
def test_unsupported_ending(name: str, said: str, tmp_path: Path) -> None:
    message = refused(tmp_path, STUDY.replace("visits.csv", name), **{name: "x"})
    assert f"{name}: " in message
    assert said in message


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("visits.parquet", "Parquet"),
        ("visits.xlsx", "an Excel workbook"),
        ("visits.sas7bdat", "a SAS file"),
        ("visits.xpt", "a SAS transport file"),
        ("visits.sav", "a SPSS file"),
        ("visits.dta", "a Stata file"),
    ],
)
def test_damaged_binary_file(name: str, kind: str, tmp_path: Path) -> None:
    content = b"PAR1PK\x03\x04 this is none of them " * 40
    message = refused(tmp_path, STUDY.replace("visits.csv", name), **{name: content})
    assert f"{name} cannot be read as {kind}: it is damaged" in message


def test_truncated_statistics_file(tmp_path: Path) -> None:
    path = tmp_path / "visits.sav"
    pyreadstat.write_sav(pd.DataFrame({"subject_id": ["001"] * 500, "day": range(500)}), str(path))
    content = path.read_bytes()[:400]
    message = refused(tmp_path, STUDY.replace("visits.csv", path.name), **{path.name: content})
    assert "visits.sav cannot be read as a SPSS file" in message


def test_column_that_is_not_there_suggests_the_nearest(tmp_path: Path) -> None:
    study = STUDY + '[columns.visits]\nsdmt = "thalamus_mll"\n'
    message = refused(tmp_path, study)
    assert "visits.csv has no column 'thalamus_mll'" in message
    assert "[columns.visits] in study.toml maps to 'sdmt'" in message
    assert "Did you mean 'thalamus_ml'? It has: subject_id, day, edss, thalamus_ml" in message


def test_needed_column_that_nobody_mapped(tmp_path: Path) -> None:
    message = refused(tmp_path, visits=VISITS.replace("subject_id,day", "Patient ID,Day"))
    assert "visits.csv has no column 'subject_id', which the visits table needs" in message
    assert 'subject_id = "Patient ID"' in message
    assert 'day = "Day"' in message


def test_labels_of_no_column(tmp_path: Path) -> None:
    message = refused(tmp_path, STUDY + '[labels.am]\n"Placebo" = "Control"\n')
    assert "[labels.am] in study.toml: no table has a column 'am'. Did you mean 'arm'?" in message


def test_unknown_toml_key(tmp_path: Path) -> None:
    message = refused(tmp_path, STUDY + '[colums.visits]\nedss = "edss"\n')
    assert "study.toml has no key 'colums'. Did you mean 'columns'?" in message


def test_wrong_type_in_toml(tmp_path: Path) -> None:
    message = refused(tmp_path, STUDY.replace('"visits.csv"', "7"))
    assert "`visits` of [tables] in study.toml must be text in quotes" in message
    assert "got 7" in message


def test_text_that_is_no_toml(tmp_path: Path) -> None:
    message = refused(tmp_path, "[tables]\nsubjects = subjects.csv\n")
    assert "study.toml is not valid TOML" in message
    assert "line 2" in message


def test_study_file_that_is_not_there(tmp_path: Path) -> None:
    write(tmp_path)
    with pytest.raises(SchemaError, match=r"no study file .*Did you mean 'study\.toml'"):
        read_cohort(tmp_path / "studi.toml")
    with pytest.raises(SchemaError, match=r"Expected a study\.toml, or a folder"):
        read_cohort(tmp_path / "visits.csv")


def test_folder_without_tables(tmp_path: Path) -> None:
    with pytest.raises(SchemaError) as caught:
        read_cohort(tmp_path)
    assert "has no subjects table" in str(caught.value)
    assert "has no visits table" in str(caught.value)


def test_folder_with_two_of_a_kind(tmp_path: Path) -> None:
    write(tmp_path, **{"visits.tsv": VISITS.replace(",", "\t")})
    with pytest.raises(SchemaError, match=r"visits\.csv and visits\.tsv. Keep one visits table"):
        read_cohort(tmp_path)


def test_all_problems_of_files_are_told_at_once(tmp_path: Path) -> None:
    study = STUDY + 'relapses = "relapse.csv"\n[columns.visits]\nsdmt = "SDMT"\n'
    message = refused(tmp_path, study, subjects="", relapses="subject_id,day\n")
    assert "study.toml has 3 problems" in message
    for part in ["subjects.csv is empty", "no column 'SDMT'", "Did you mean 'relapses.csv'?"]:
        assert part in message


def test_all_problems_of_values_are_told_at_once(tmp_path: Path) -> None:
    visits = VISITS.replace("4.5", "4.3").replace("15.1", "x") + "003,0,4,14,1\n"
    message = refused(tmp_path, visits=visits)
    for rule in ["ragged_row", "illegal_value", "not_a_number", "unknown_subject"]:
        assert rule in message


HTML = "<script>alert(1)</script>"


def test_labels_with_html_survive_as_text(tmp_path: Path) -> None:
    cohort = accepted(tmp_path, subjects=SUBJECTS.replace("Placebo", HTML))
    assert cohort.subjects["arm"].tolist() == [HTML, "Active"]
    study = STUDY + f'[labels.arm]\n"Active" = "{HTML}"\n'
    assert accepted(tmp_path, study).subjects["arm"].tolist() == ["Placebo", HTML]


@pytest.mark.parametrize("table", ["relapses", "exits"])
def test_nobody_relapsed_or_left(table: str, tmp_path: Path) -> None:
    study = STUDY + f'{table} = "{table}.csv"\n'
    cohort = accepted(tmp_path, study, **{table: "subject_id,day,reason\n"})
    assert len(getattr(cohort, table)) == 0


def test_a_format_that_fits_no_date_is_told_once(tmp_path: Path) -> None:
    study = STUDY + '[columns.visits]\ndate = { column = "date", format = "%d/%m/%Y" }\n'
    visits = "subject_id,date,edss\n001,31.01.2020,4\n001,30.06.2020,4\n002,31.01.2020,5\n"
    message = refused(tmp_path, study, visits=visits)
    assert message.startswith("1 problem in visits")
    assert 'Write format = "%d.%m.%Y"' in message
    assert "empty_table" not in message  # nothing that only follows from it


def test_dates_of_which_none_can_be_read_are_no_empty_table(tmp_path: Path) -> None:
    visits = "subject_id,date,edss\n001,soon,4\n001,later,4\n002,never,5\n"
    message = refused(tmp_path, visits=visits)
    assert "not_a_date: 3 rows of visits [date]" in message
    assert "empty_table" not in message


def test_without_a_time_column_the_ways_to_say_when_are_offered(tmp_path: Path) -> None:
    visits = "subject_id,Visit date,edss\n001,31.01.2020,4\n002,31.01.2020,5\n"
    message = refused(tmp_path, visits=visits)
    assert "no column 'day', 'date' or 'year'" in message
    assert 'as in date = "Visit date"' in message
    assert "Columns that look like dates: 'Visit date'." in message


def test_a_subject_listed_twice(tmp_path: Path) -> None:
    message = refused(tmp_path, subjects=SUBJECTS + SUBJECTS.splitlines()[-1] + "\n")
    assert "listed twice in the subjects table" in message


def test_no_full_stop_is_glued_to_a_path(tmp_path: Path) -> None:
    message = refused(tmp_path, STUDY.replace("visits.csv", "vists.csv"))
    assert f"There is no file vists.csv in '{tmp_path}'." in message
