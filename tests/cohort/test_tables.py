"""Files of every format: the same table comes back, with its rows numbered as in the file."""

from __future__ import annotations

import datetime as dt
import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pyreadstat
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmsstats.cohort.tables import ReadOptions, read_table
from pmsstats.errors import SchemaError
from pmsstats.provenance import hash_file

ROWS = [("007", 0, 4.5, "left"), ("007", 91, None, "right"), ("012", 0, 6.0, None)]
COLUMNS = ["id", "day", "edss", "side"]


def typed() -> pd.DataFrame:
    """Return the table as a statistician has it: ids text, numbers as numbers."""
    return pd.DataFrame(ROWS, columns=COLUMNS).astype({"edss": float})


def write_text(path: Path, *, delimiter: str = ",", decimal: str = ".", **kws: Any) -> None:
    """Write the table as text."""
    typed().to_csv(path, index=False, sep=delimiter, decimal=decimal, **kws)


def write_excel(path: Path) -> None:
    """Write the table as the first sheet of a workbook."""
    book = openpyxl.Workbook()
    for row in [COLUMNS, *ROWS]:
        book.active.append(row)
    book.save(path)


WRITERS: dict[str, Callable[[Path], Any]] = {
    "t.csv": write_text,
    "semicolons.csv": lambda p: write_text(p, delimiter=";"),
    "bars.txt": lambda p: write_text(p, delimiter="|"),
    "t.tsv": lambda p: write_text(p, delimiter="\t"),
    "t.csv.gz": write_text,
    "bom.csv": lambda p: write_text(p, encoding="utf-8-sig"),
    "utf16.csv": lambda p: write_text(p, encoding="utf-16"),
    "windows.csv": lambda p: write_text(p, lineterminator="\r\n"),
    "old_mac.csv": lambda p: write_text(p, lineterminator="\r"),
    "german.csv": lambda p: write_text(p, delimiter=";", decimal=","),
    "t.parquet": lambda p: typed().to_parquet(p, index=False),
    "t.xlsx": write_excel,
    "t.xpt": lambda p: pyreadstat.write_xport(typed(), str(p), file_format_version=8),
    "t.sav": lambda p: pyreadstat.write_sav(typed(), str(p)),
    "t.dta": lambda p: pyreadstat.write_dta(typed(), str(p)),
}
# pyreadstat reads SAS7BDAT by the same call as XPT, but nothing here can write one to test with


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_table(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    WRITERS[name](path)
    found = read_table(path, table="visits")
    assert found.frame["id"].tolist() == ["007", "007", "012"]
    assert pd.to_numeric(found.frame["day"]).tolist() == [0, 91, 0]
    assert pd.to_numeric(found.frame["edss"]).fillna(-1).tolist() == [4.5, -1, 6.0]
    assert found.frame["side"].fillna("-").tolist() == ["left", "right", "-"]
    assert list(found.frame.columns) == COLUMNS
    assert (found.source.name, found.source.role, found.source.n_rows) == (name, "visits", 3)
    assert found.source.sha256 == hash_file(path)
    assert not (found.issues["severity"] == "error").any()


@pytest.mark.parametrize(
    ("name", "first"),
    [("t.csv", 2), ("t.csv.gz", 2), ("t.xlsx", 2), ("t.parquet", 1), ("t.sav", 1)],
)
def test_rows_are_numbered_as_in_the_file(name: str, first: int, tmp_path: Path) -> None:
    WRITERS[name](tmp_path / name)
    assert read_table(tmp_path / name).frame.index.tolist() == [first, first + 1, first + 2]


def text_table(path: Path, content: str | bytes, **options: Any) -> Any:
    """Write a text and read it as a table."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_table(path, table="visits", options=ReadOptions(**options))


def test_line_numbers_survive_blank_lines_and_line_breaks_in_quotes(tmp_path: Path) -> None:
    content = 'id,note\n1,a\n\n2,"two\nlines"\n3,c\n'
    found = text_table(tmp_path / "t.csv", content)
    assert found.frame.index.tolist() == [2, 4, 6]
    assert found.frame["note"].tolist() == ["a", "two\nlines", "c"]


def test_excel_hint_about_the_delimiter_is_taken(tmp_path: Path) -> None:
    found = text_table(tmp_path / "t.csv", "sep=;\nid;day\n1;0\n")
    assert found.frame.to_dict("list") == {"id": ["1"], "day": ["0"]}
    assert found.frame.index.tolist() == [3]


def test_trailing_delimiters_are_no_column(tmp_path: Path) -> None:
    assert list(text_table(tmp_path / "a.csv", "id,day,\n1,0,\n").frame) == ["id", "day"]
    assert list(text_table(tmp_path / "b.csv", "id,day\n1,0,\n2,0,\n").frame) == ["id", "day"]


def test_quoted_delimiters_do_not_cut(tmp_path: Path) -> None:
    found = text_table(tmp_path / "t.csv", '"Subject, ID";day\n"a;b";0\n')
    assert found.frame.to_dict("list") == {"Subject, ID": ["a;b"], "day": ["0"]}


def test_one_column_is_a_table(tmp_path: Path) -> None:
    found = text_table(tmp_path / "t.csv", "subject_id\n01\n02\n")
    assert found.frame["subject_id"].tolist() == ["01", "02"]


@pytest.mark.parametrize("code", ["", "NA", "na", "N/A", "NaN", ".", "NULL", " . "])
def test_usual_codes_are_missing(code: str, tmp_path: Path) -> None:
    assert text_table(tmp_path / "t.csv", f"id,x\n1,{code}\n").frame["x"].isna().all()


def test_further_codes_are_missing(tmp_path: Path) -> None:
    found = text_table(
        tmp_path / "t.csv", "id,x\n1,-99\n2,Unknown\n3,5\n", missing=("-99", "unknown")
    )
    assert found.frame["x"].isna().tolist() == [True, True, False]
    pd.DataFrame({"id": ["a", "b"], "x": [-99.0, 5.0]}).to_parquet(tmp_path / "t.parquet")
    numbers = read_table(tmp_path / "t.parquet", options=ReadOptions(missing=("-99",)))
    assert numbers.frame["x"].isna().tolist() == [True, False]


def test_decimal_comma_is_said(tmp_path: Path) -> None:
    found = text_table(tmp_path / "t.csv", "id;x\n1;1,5\n2;-0,25\n")
    assert found.frame["x"].tolist() == ["1.5", "-0.25"]
    (issue,) = found.issues.itertuples()
    assert (issue.rule, issue.severity) == ("decimal_comma", "warning")
    assert "'1,5' as 1.5" in issue.message


def test_decimal_comma_is_not_guessed_where_points_occur(tmp_path: Path) -> None:
    found = text_table(tmp_path / "t.csv", "id;x;y\n1;1,5;2.5\n")
    assert found.frame["x"].tolist() == ["1,5"]
    told = text_table(tmp_path / "t.csv", "id;x;y\n1;1,5;2.5\n", decimal=",")
    assert told.frame["x"].tolist() == ["1.5"]


@pytest.mark.parametrize(
    ("content", "encoding", "name"),
    [
        ("id,n\n1,J\u00fcrgen\n".encode("latin-1"), "cp1252", "J\u00fcrgen"),
        ("id,n\n1,\u20ac\n".encode("cp1252"), "cp1252", "\u20ac"),
        (b"id,n\n1,\x81\n", "latin-1", "\x81"),
    ],
)
def test_western_text_is_read_and_said(
    content: bytes, encoding: str, name: str, tmp_path: Path
) -> None:
    found = text_table(tmp_path / "t.csv", content)
    assert found.frame["n"].tolist() == [name]
    (issue,) = found.issues.itertuples()
    assert (issue.rule, issue.severity, issue.value) == ("encoding", "warning", encoding)
    assert "line 2" in issue.message


def test_encoding_as_told(tmp_path: Path) -> None:
    content = "id,n\n1,\u0160\n".encode("cp1250")
    found = text_table(tmp_path / "t.csv", content, encoding="cp1250")
    assert found.frame["n"].tolist() == ["\u0160"]
    assert found.issues.empty


def test_row_names_of_r_are_left_out_and_said(tmp_path: Path) -> None:
    found = text_table(tmp_path / "t.csv", '"","id"\n"1","a"\n"2","b"\n')
    assert list(found.frame.columns) == ["id"]
    assert found.issues["rule"].tolist() == ["nameless_column"]


def test_empty_rows_are_left_out_and_said(tmp_path: Path) -> None:
    found = text_table(tmp_path / "t.csv", "id,x\n1,2\n,\nNA,.\n")
    assert found.frame.index.tolist() == [2]
    assert found.issues[["rule", "row"]].to_numpy().tolist() == [["empty_row", 3], ["empty_row", 4]]


def test_excel_sheets(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.title = "Notes"
    book.active.append(["remark"])
    book.active.append(["hello"])
    visits = book.create_sheet("Visits")
    visits.append([])  # a blank row above the header
    visits.append(["id", "date", 7])
    visits.append([1, pd.Timestamp("2020-01-31"), "x"])
    path = tmp_path / "t.xlsx"
    book.save(path)
    first = read_table(path)
    assert list(first.frame.columns) == ["remark"]
    assert first.issues["rule"].tolist() == ["sheet_chosen"]
    assert "Notes, Visits" in first.issues["message"].iloc[0]
    for sheet in ("Visits", 2):
        found = read_table(path, options=ReadOptions(sheet=sheet))
        assert found.frame.to_dict("list") == {
            "id": [1], "date": [pd.Timestamp("2020-01-31")], "7": ["x"],
        }  # fmt: skip
        assert found.frame.index.tolist() == [3]
        assert found.issues.empty
    with pytest.raises(SchemaError, match=r"no sheet 'Visit'\. Did you mean 'Visits'"):
        read_table(path, options=ReadOptions(sheet="Visit"))


def test_dates_of_statistics_programs_come_as_dates(tmp_path: Path) -> None:
    frame = pd.DataFrame({"id": ["a"], "d": [dt.date(2020, 1, 31)]})
    pyreadstat.write_sav(frame, str(tmp_path / "t.sav"))
    pyreadstat.write_dta(frame, str(tmp_path / "t.dta"))
    for name in ("t.sav", "t.dta"):
        assert read_table(tmp_path / name).frame["d"].tolist() == [dt.date(2020, 1, 31)]


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=12)


@given(
    rows=st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=8),
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
)
def test_any_text_survives(
    rows: list[tuple[str, str, str]], delimiter: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    frame = pd.DataFrame([("x", *row) for row in rows], columns=["k", "a", "b", "c"])
    path = tmp_path_factory.mktemp("text") / "t.csv"
    frame.to_csv(path, index=False, sep=delimiter, lineterminator="\n")
    found = read_table(path, options=ReadOptions(decimal=".")).frame
    missing = {"", ".", "na", "n/a", "#n/a", "nan", "none", "null", "missing", "<na>"}
    for name in ("a", "b", "c"):
        meant = [text.strip() for text in frame[name]]
        meant = [None if text.casefold() in missing else text for text in meant]
        assert [None if pd.isna(v) else v for v in found[name]] == meant


def test_truncated_gzip_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(b"id,day\n1,0\n" * 1000)[:-12])
    with pytest.raises(SchemaError, match=r"t\.csv\.gz .*cannot be decompressed"):
        read_table(path)
