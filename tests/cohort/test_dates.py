"""Dates: expected values are written out by hand."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmsstats.cohort.dates import Dates, parse_dates


def parse(values: list[Any], **kws: Any) -> Dates:
    """Parse a column whose first row is line 2 of a file."""
    ids = [f"S{i + 1}" for i in range(len(values))]
    frame = pd.DataFrame(
        {"subject_id": ids, "date": pd.Series(values, dtype=object)},
        index=None,
    )
    frame.index = pd.RangeIndex(2, 2 + len(values))
    return parse_dates(frame, "date", table="visits", theirs="Visit date", **kws)


def iso(dates: Dates) -> list[str | None]:
    """Write dates as text."""
    return [None if pd.isna(d) else d.strftime("%Y-%m-%d") for d in dates.dates]


# what stands in the file, format, what is meant
READ = {
    "ISO": (["2020-01-31", "2020-02-01"], None, ["2020-01-31", "2020-02-01"]),
    "ISO without zeros": (["2020-1-3"], None, ["2020-01-03"]),
    "missing stays missing": (["2020-01-31", None], None, ["2020-01-31", None]),
    "time of day is dropped": (["2020-01-31T23:59:59"], None, ["2020-01-31"]),
    "German": (["31.01.2020", "1.2.2020"], None, ["2020-01-31", "2020-02-01"]),
    "day first, known by 13": (["01/02/2020", "13/02/2020"], None, ["2020-02-01", "2020-02-13"]),
    "month first, known by 13": (["01/02/2020", "02/13/2020"], None, ["2020-01-02", "2020-02-13"]),
    "SAS date9": (["31JAN2020", "01feb2021"], None, ["2020-01-31", "2021-02-01"]),
    "month names": (["31-Jan-2020"], None, ["2020-01-31"]),
    "compact": (["20200131", 20200201.0], None, ["2020-01-31", "2020-02-01"]),
    "said: month first": (["01/02/2020"], "%m/%d/%Y", ["2020-01-02"]),
    "said: day first": (["01/02/2020"], "%d/%m/%Y", ["2020-02-01"]),
    "said: two digits": (["01.02.20"], "%d.%m.%y", ["2020-02-01"]),
    "Excel number": ([43861, "43862"], "excel", ["2020-01-31", "2020-02-01"]),
    "SAS number": ([21945], "sas", ["2020-01-31"]),  # SAS documentation: 0 is 1 January 1960
    "dates": ([dt.date(2020, 1, 31), None], None, ["2020-01-31", None]),
    "time stamps": ([pd.Timestamp("2020-01-31 12:30")], None, ["2020-01-31"]),
    "with zone": ([pd.Timestamp("2020-01-31 23:30", tz="Europe/Berlin")], None, ["2020-01-31"]),
    "nothing": ([None, None], None, [None, None]),
}


@pytest.mark.parametrize(("values", "written", "meant"), READ.values(), ids=READ)
def test_dates_are_read(values: list[Any], written: str | None, meant: list[str]) -> None:
    found = parse(values, format=written)
    assert iso(found) == meant
    assert found.issues.empty


STYLES = ["%Y-%m-%d", "%d.%m.%Y", "%Y%m%d", "%d%b%Y", "%Y/%m/%d"]


@given(
    st.sampled_from(STYLES),
    st.lists(st.dates(dt.date(1950, 1, 1), dt.date(2049, 12, 31)), min_size=1, max_size=20),
)
def test_one_style_throughout_is_found(style: str, days: list[dt.date]) -> None:
    found = parse([day.strftime(style) for day in days])
    assert iso(found) == [day.isoformat() for day in days]


REFUSED = {
    "day and month could be swapped": (
        ["01/02/2020", "03/04/2020"],
        "date_order_unknown",
        ["'Visit date'", "'01/02/2020'", 'format = "%d/%m/%Y"', 'format = "%m/%d/%Y"'],
    ),
    "two-digit year": (
        ["01.02.20", "31.12.19"],
        "date_order_unknown",
        ["'01.02.20'", "century", 'format = "%d.%m.%y"'],
    ),
    "three formats": (
        ["2020-01-31", "2020-03-04", "31.01.2020", "01/31/2020"],
        "mixed_dates",
        [
            "dates in 3 formats",
            "2 as yyyy-mm-dd (such as '2020-01-31')",
            "1 as dd.mm.yyyy (such as '31.01.2020')",
            "1 as mm/dd/yyyy (such as '01/31/2020')",
            "best as yyyy-mm-dd",
        ],
    ),
    "both orders": (
        ["13/04/2020", "14/04/2020", "04/13/2020"],
        "mixed_dates",
        ["2 as dd/mm/yyyy", "1 as mm/dd/yyyy"],
    ),
}


@pytest.mark.parametrize(("values", "rule", "said"), REFUSED.values(), ids=REFUSED)
def test_unknowable_format_is_refused(values: list[str], rule: str, said: list[str]) -> None:
    found = parse(values)
    first = found.issues.iloc[0]
    assert (first["rule"], first["severity"]) == (rule, "error")
    for part in said:
        assert part in first["message"]
    assert found.dates.isna().all()


def test_rows_of_the_rarer_formats_are_named() -> None:
    issues = parse(["2020-01-31", "2020-03-04", "31.01.2020", "01/31/2020"]).issues
    rows = issues[issues["row"].notna()]
    assert rows[["row", "subject_id", "value"]].to_numpy().tolist() == [
        [4, "S3", "31.01.2020"],
        [5, "S4", "01/31/2020"],
    ]


UNREADABLE = {
    "no such month": (["2020-01-31", "2020-13-31"], None, [3]),
    "no such day": (["30.02.2021", "28.02.2021"], None, [2]),
    "year only": (["2019-05-05", "2020"], None, [3]),
    "words": (["soon", "later"], None, [2, 3]),
    "not as said": (["31.01.2020", "2020-01-31"], "%d.%m.%Y", [3]),
    "no day number": (["43861", "x"], "excel", [3]),
}


@pytest.mark.parametrize(("values", "written", "rows"), UNREADABLE.values(), ids=UNREADABLE)
def test_rows_that_do_not_parse_are_reported(
    values: list[str], written: str | None, rows: list[int]
) -> None:
    found = parse(values, format=written)
    assert found.issues["rule"].unique().tolist() == ["not_a_date"]
    assert found.issues["row"].tolist() == rows
    assert found.issues["value"].tolist() == [values[row - 2] for row in rows]
