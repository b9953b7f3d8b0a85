"""ADaM tables of time to event. Witnesses: records written by hand, the readers of cohorts and of
SAS transport files, the rules of the standard on names and codes."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyreadstat
import pytest

from pmsstats.cohort import Cohort
from pmsstats.cohort.adam import read_adam
from pmsstats.endpoints import EndpointResult, derive_endpoint
from pmsstats.endpoints.definitions.composite_rule import CompositeRule
from pmsstats.endpoints.definitions.event_rules import (
    ExitEventRule,
    RecordedEventRule,
    RelapseEventRule,
)
from pmsstats.endpoints.definitions.presets import progression_rule
from pmsstats.endpoints.derivation.adtte import (
    ADTTE_LABELS,
    CENSOR_CODES,
    to_adtte,
    write_adtte,
)
from pmsstats.errors import DesignError, SchemaError

CDP = progression_rule("cdp12")
RELAPSE = RelapseEventRule()
EITHER = CompositeRule(name="relapse_or_cdp", parts=(RELAPSE, CDP))
VISITS = {
    "A": [(-7, 4.0), (84, 5.0), (168, 5.0)],  # worsens on day 84, relapses on day 50
    "B": [(0, 4.0), (84, 4.0), (168, 5.0)],  # worse at the last visit, leaves on day 200
    "C": [(0, 4.0), (84, 4.0), (168, 4.0)],  # dies on day 300
    "D": [(0, 4.0), (84, 4.0), (168, 4.0)],  # completes on day 168
    "E": [(0, 4.0), (84, 4.0)],  # leaves on day 90
}
EXITS = [("B", 200, "dropout"), ("C", 300, "death"), ("D", 168, "completed"), ("E", 90, "dropout")]


@pytest.fixture
def cohort() -> Cohort:
    """Five subjects, who end in five ways."""
    rows = [(subject, *visit) for subject, visits in VISITS.items() for visit in visits]
    subjects = pd.DataFrame(
        {
            "subject_id": list(VISITS),
            "arm": pd.Categorical(["P", "T", "P", "T", "P"], ["P", "T"], ordered=True),
            "age_years": [50, 51, 52, 53, 54],
            "first_dose": ["2014-01-01", "2014-01-02", "2014-01-03", None, "2014-01-05"],
            "days": [10, 20, 30, 40, 50],
            "happened": [1, 0, 0, 0, 0],
            "country": ["FR", "DE", "FR", "DE", "FR"],
        }
    )
    return Cohort(
        subjects,
        pd.DataFrame(rows, columns=["subject_id", "day", "edss"]),
        relapses=pd.DataFrame({"subject_id": ["A", "A"], "day": [-30, 50]}),
        exits=pd.DataFrame(EXITS, columns=["subject_id", "day", "reason"]),
    )


def records(cohort: Cohort, *rules: Any, **kws: Any) -> pd.DataFrame:
    """Derive rules and put them into one table, by subject."""
    results = [derive_endpoint(cohort, rule) for rule in rules]
    return to_adtte(results, cohort, study_id="X1", **kws).set_index("USUBJID")


def columns(table: pd.DataFrame, *names: str) -> list[tuple]:
    """Return some variables, row by row; missing numbers and days as None."""
    plain = table[list(names)].astype(object)
    return [tuple(None if pd.isna(v) else v for v in row) for row in plain.to_numpy()]


def test_times_by_hand(cohort: Cohort) -> None:
    """A's time runs from day -7, which is relative day -7; day 84 is relative day 85."""
    table = records(cohort, CDP)
    assert columns(table, "AVAL", "ADY", "PMSSTDY", "PMSLEFT", "PMSRIGHT", "PMSCONDY") == [
        (91.0, 85.0, -7.0, 0.0, 91.0, 169.0),
        (168.0, 169.0, 1.0, 84.0, None, None),
        (168.0, 169.0, 1.0, 168.0, None, None),
        (168.0, 169.0, 1.0, 168.0, None, None),
        (84.0, 85.0, 1.0, 84.0, None, None),
    ]
    assert set(table["AVALU"]) == {"DAYS"}
    assert table["PMSBASE"].tolist() == [4.0] * 5
    assert table.loc["C", "PMSDEATH"] == 300


def test_censoring_by_hand(cohort: Cohort) -> None:
    table = records(cohort, CDP)
    assert table["CNSR"].tolist() == [0, 2, 4, 1, 3]
    assert table["EVNTDESC"].tolist() == [
        "12-week confirmed EDSS progression",
        "change at the last assessment not confirmed",
        "died without the event",
        "no event up to the last assessment",
        "left the study without the event",
    ]
    assert table["CNSDTDSC"].tolist() == ["", *["last assessment"] * 4]
    assert list(CENSOR_CODES) == [0, 1, 2, 3, 4]


def test_sources_by_hand(cohort: Cohort) -> None:
    """The event of A was first seen at the second visit; its relapse is the second of two."""
    sources = ("SRCDOM", "SRCVAR", "SRCSEQ")
    assert columns(records(cohort, CDP), *sources) == [
        ("VISITS", "DAY", 2), ("VISITS", "DAY", 3), ("VISITS", "DAY", 3), ("VISITS", "DAY", 3),
        ("VISITS", "DAY", 2),
    ]  # fmt: skip
    assert columns(records(cohort, RELAPSE), *sources) == [
        ("RELAPSES", "DAY", 2), ("EXITS", "DAY", 1), ("EXITS", "DAY", 1), ("EXITS", "DAY", 1),
        ("EXITS", "DAY", 1),
    ]  # fmt: skip
    death = ExitEventRule(reasons=("death",))
    assert columns(records(cohort, death), *sources)[:3] == [
        ("VISITS", "DAY", 3), ("EXITS", "DAY", 1), ("EXITS", "DAY", 1),
    ]  # fmt: skip
    recorded = RecordedEventRule(duration="days", event="happened")
    assert set(columns(records(cohort, recorded), *sources)) == {("SUBJECTS", "days", None)}
    renamed = records(cohort, CDP, domains={"visits": "ADQS"})
    assert set(renamed["SRCDOM"]) == {"ADQS"}


def test_composite_is_traced_to_the_part_that_made_it(cohort: Cohort) -> None:
    table = records(cohort, EITHER)
    assert columns(table, "PMSCOMP", "SRCDOM", "SRCSEQ", "AVAL")[0] == (
        "relapse",
        "RELAPSES",
        2,
        50,
    )
    assert table.loc["A", "EVNTDESC"].endswith(": relapse")
    # without the relapse, it is the progression; the others are followed to their exit
    calm = Cohort(cohort.subjects, cohort.visits, exits=cohort.exits)
    assert columns(records(calm, EITHER), "PMSCOMP", "SRCDOM", "SRCSEQ") == [
        ("cdp12", "VISITS", 2), ("", "EXITS", 1), ("", "EXITS", 1), ("", "VISITS", 3),
        ("", "EXITS", 1),
    ]  # fmt: skip
    outer = CompositeRule(name="outer", parts=(EITHER, ExitEventRule(reasons=("death",))))
    assert columns(records(cohort, outer), "PMSCOMP", "SRCDOM", "SRCSEQ")[0] == (
        "relapse_or_cdp", "RELAPSES", 2,
    )  # fmt: skip


def test_day_without_a_row_has_no_source(cohort: Cohort) -> None:
    """Two parts required, one seen on day 84: the composite is known not to have come by day 83."""
    rule = CompositeRule(
        name="both", parts=(CDP, RecordedEventRule(duration="days", event="happened")),
        require=2, censor_at="first_of_any",
    )  # fmt: skip
    late = Cohort(cohort.subjects.assign(happened=0), cohort.visits)
    table = records(late, rule)
    assert columns(table.loc[["A"]], "AVAL", "SRCDOM", "SRCSEQ") == [(83, "", None)]


def test_several_endpoints_by_subject(cohort: Cohort) -> None:
    table = records(cohort, CDP, RELAPSE)
    assert table.index.tolist() == [s for s in VISITS for _ in range(2)]
    assert table["PARAMCD"].tolist() == ["CDP12", "RELAPSE"] * 5
    assert table["ASEQ"].tolist() == [1, 2] * 5
    assert table["PARAM"].tolist()[:2] == [
        "Time to 12-week confirmed EDSS progression (days)",
        "Time to first relapse (days)",
    ]


def test_dates(cohort: Cohort) -> None:
    table = records(cohort, CDP, start_date="first_dose")
    assert columns(table, "STARTDT", "ADT")[:2] == [
        (pd.Timestamp(2013, 12, 25), pd.Timestamp(2014, 3, 26)),
        (pd.Timestamp(2014, 1, 2), pd.Timestamp(2014, 6, 19)),
    ]
    assert columns(table.loc[["D"]], "STARTDT", "ADT") == [(None, None)]
    assert not {"STARTDT", "ADT"} & set(records(cohort, CDP))


@pytest.mark.parametrize(
    "day_0", [pd.Timestamp("2014-01-01 13:45", tz="Europe/Rome"), dt.date(2014, 1, 1)]
)
def test_dates_without_time_of_day_or_zone(cohort: Cohort, day_0: object) -> None:
    subjects = cohort.subjects.assign(first_dose=[day_0] * 5)
    dated = Cohort(subjects, cohort.visits, exits=cohort.exits)
    assert records(dated, CDP, start_date="first_dose").loc["B", "STARTDT"] == pd.Timestamp(
        2014, 1, 1
    )


def test_subject_variables(cohort: Cohort) -> None:
    table = records(cohort, CDP)
    assert columns(table, "AGE", "TRTP", "TRTPN")[:2] == [(50, "P", 1), (51, "T", 2)]
    own = records(cohort, CDP, subject_variables={"country": "COUNTRY", "arm": "TRT01P"})
    assert own["COUNTRY"].tolist() == ["FR", "DE", "FR", "DE", "FR"]
    assert not {"AGE", "TRTP"} & set(own)


def test_names_and_texts_fit_the_standard(cohort: Cohort) -> None:
    """Names of at most 8 characters, labels of at most 40, texts of at most 200."""
    table = records(cohort, CDP, RELAPSE, EITHER, start_date="first_dose").reset_index()
    assert set(table) - set(ADTTE_LABELS) == set()
    assert max(map(len, ADTTE_LABELS)) <= 8
    assert max(map(len, ADTTE_LABELS.values())) <= 40
    texts = [v for column in table for v in table[column] if isinstance(v, str)]
    assert texts
    assert max(map(len, texts)) <= 200
    first = ["STUDYID", "USUBJID", "AGE", "TRTP", "TRTPN", "PARAM", "PARAMCD", "ASEQ"]
    assert list(table.columns)[1:8] == first[:1] + first[2:]  # USUBJID was the index


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("cdp12", "CDP12"),
        ("cdp12_expand", "CDP12EXP"),
        ("25fw", "P25FW"),
        ("t25fw20_24", "T25FW202"),
    ],
)
def test_codes_made_from_names(cohort: Cohort, name: str, code: str) -> None:
    assert set(records(cohort, replace(CDP, name=name))["PARAMCD"]) == {code}


def test_codes_may_be_given(cohort: Cohort) -> None:
    table = records(cohort, CDP, RELAPSE, param_codes={"cdp12": "CDP_12W"})
    assert table["PARAMCD"].tolist()[:2] == ["CDP_12W", "RELAPSE"]


@pytest.mark.parametrize(
    ("rules", "kws", "error", "message"),
    [
        ((), {}, DesignError, "at least one endpoint"),
        ((CDP, CDP), {}, DesignError, "of different names"),
        ((CDP,), {"param_codes": {"cdp13": "X"}}, DesignError, "Did you mean 'cdp12'"),
        ((CDP,), {"param_codes": {"cdp12": "cdp12"}}, DesignError, "eight capitals"),
        ((CDP,), {"param_codes": {"cdp12": "CONFIRMED"}}, DesignError, "eight capitals"),
        ((CDP, RELAPSE), {"param_codes": {"cdp12": "RELAPSE"}}, DesignError, "and differ"),
        ((CDP,), {"start_date": "first_dse"}, SchemaError, "Did you mean 'first_dose'"),
        ((CDP,), {"start_date": "country"}, SchemaError, "must hold dates .* holds 'FR'"),
        ((CDP,), {"start_date": "age_years"}, SchemaError, "must hold dates .* holds numbers"),
        ((CDP,), {"subject_variables": {"sex": "SEX"}}, SchemaError, "no column 'sex'"),
    ],
)
def test_requests_that_cannot_be_met(
    cohort: Cohort, rules: tuple, kws: dict, error: type, message: str
) -> None:
    with pytest.raises(error, match=message):
        records(cohort, *rules, **kws)


def test_result_of_another_cohort(cohort: Cohort) -> None:
    result = derive_endpoint(cohort, CDP)
    with pytest.raises(DesignError, match=r"1 subject\(s\) that are not in `cohort` \(A\)"):
        to_adtte(result, cohort.select(subjects=["B", "C", "D", "E"]), study_id="X1")


# --- files --------------------------------------------------------------------------------------


def written(cohort: Cohort, path: Path) -> tuple[EndpointResult, pd.DataFrame]:
    """Write two endpoints."""
    result = derive_endpoint(cohort, CDP)
    results = (result, derive_endpoint(cohort, RELAPSE))
    table = to_adtte(results, cohort, study_id="X1", start_date="first_dose")
    write_adtte(table, path)
    return result, table


@pytest.mark.parametrize("suffix", ["csv", "parquet", "xpt"])
def test_reading_back_as_recorded_events(cohort: Cohort, tmp_path: Path, suffix: str) -> None:
    result, _ = written(cohort, tmp_path / f"adtte.{suffix}")
    subjects = cohort.subjects.assign(arm=cohort.subjects["arm"].astype(str))
    subjects[["subject_id", "arm"]].set_axis(["USUBJID", "TRT01P"], axis=1).to_csv(
        tmp_path / "adsl.csv", index=False
    )
    visits = cohort.visits.query("day >= 0")
    bds = pd.DataFrame(
        {
            "USUBJID": visits["subject_id"], "PARAMCD": "EDSS", "AVAL": visits["edss"],
            "ADY": visits["day"] + 1, "AVISIT": None,
        }
    )  # fmt: skip
    bds.to_csv(tmp_path / "adqs.csv", index=False)
    again = read_adam(
        tmp_path / "adsl.csv",
        {tmp_path / "adqs.csv": {"EDSS": "edss"}},
        adtte=tmp_path / f"adtte.{suffix}",
        events={"cdp12": "CDP12", "relapse": "RELAPSE"},
        match="day",
    )
    rule = RecordedEventRule(duration="cdp12_day", event="cdp12_event")
    found, before = derive_endpoint(again, rule).table(), result.table()
    columns = ["subject_id", "duration", "event"]
    pd.testing.assert_frame_equal(found[columns], before[columns])
    assert again.subjects["relapse_event"].tolist() == [True, False, False, False, False]
    assert again.subjects["relapse_day"].tolist() == [50, 200, 300, 168, 90]


def test_transport_file_keeps_names_labels_numbers_and_dates(
    cohort: Cohort, tmp_path: Path
) -> None:
    _, table = written(cohort, tmp_path / "adtte.xpt")
    frame, meta = pyreadstat.read_xport(str(tmp_path / "adtte.xpt"))
    assert list(frame.columns) == list(table.columns)
    assert meta.table_name == "ADTTE"
    assert meta.column_names_to_labels == {name: ADTTE_LABELS[name] for name in table.columns}
    assert frame["ADT"].tolist()[0] == table["ADT"][0].date()
    assert frame["ADT"].isna().tolist() == table["ADT"].isna().tolist()
    for name in ("AVAL", "CNSR", "SRCSEQ", "PMSRIGHT", "AGE"):
        np.testing.assert_array_equal(frame[name], table[name].astype(float), err_msg=name)
    for name in ("USUBJID", "PARAM", "EVNTDESC", "SRCDOM", "TRTP"):
        assert frame[name].tolist() == table[name].tolist(), name


def test_text_file_has_plain_dates(cohort: Cohort, tmp_path: Path) -> None:
    written(cohort, tmp_path / "adtte.csv")
    frame = pd.read_csv(tmp_path / "adtte.csv")
    assert frame["STARTDT"].tolist()[0] == "2013-12-25"


def test_other_files(cohort: Cohort, tmp_path: Path) -> None:
    with pytest.raises(DesignError, match=r"must end in .csv, .parquet or .xpt, got 'adtte.xlsx'"):
        written(cohort, tmp_path / "adtte.xlsx")
